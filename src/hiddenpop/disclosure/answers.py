"""Answers as information: an estimate is a function of the counts, so it tells of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.disclosure.linear import Knowledge, Need, infer, narrowed, solve
from hiddenpop.disclosure.primary import too_few_degrees
from hiddenpop.disclosure.rules import OTHER_MARK, ReleaseRules
from hiddenpop.disclosure.suppression import TooNarrowError
from hiddenpop.disclosure.tables import Base, OutputTable
from hiddenpop.errors import SettingError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Answer", "Judged", "Printed", "Resolver", "enumerate_tables", "judge_answers", "print_answers"]

Answer = Callable[[Floats], Sequence[Any]]
"""From base counts, shape (b,), to the answers of an output, in its order: numbers, and words such as a status."""

Resolver = Callable[[Mapping[str, Any]], Answer]
"""From the plain data of an output (`OutputTable.recompute`) to the function that makes its answers."""

LEVELS = ("as it is", "rounded", "one digit", "between two numbers of a grid")
"""How an answer is printed, from the finest on."""

WITHHELD = "withheld"
BLOCK = 50
"""Tables tried before it is asked whether enough witnesses are found."""

GRID = (1.0, 2.0, 5.0, 10.0)
MARGIN = 0.7
"""Part of a rounding interval that a linear guess aims at, so that what is bent still falls inside."""

CORRECTIONS = 3
"""Tables tried on the way to one goal."""

FAILURES, PATIENCE = 8, 100
"""Goals missed one after the other before an answer is made coarser; of few cells more, so many by their number."""

FEW = 400
"""So many tables that agree with what is known are all tried, before any other search."""

LEAST_TIMES = 8
"""With fewer tables than these there are no witnesses for every small number."""

REACH = 10.0
"""How far, beside a few roots of itself, a cell of a candidate may be from its true count."""

BESIDE, FAR = 0.2, 0.02
"""What it costs to move a small number that is not meant to move, and any cell, against missing the goal by one."""

ROUNDINGS = 20
"""Ways to make whole numbers of a candidate, until one agrees with what is known."""

KEPT = 400
"""Witness tables that are tried again for the next answer."""


def print_answers(values: Iterable[Any], level: str, finest: float, digits: int) -> list[Any]:
    """Print answers as finely as a level says.

    Parameters
    ----------
    values : iterable
        Numbers, and words, which are given as they are.
    level : str
        One of ``"as it is"``, ``"rounded"``, ``"one digit"`` and ``"between two numbers of a grid"``.
    finest : float
        No number is rounded to less than a multiple of this.
    digits : int
        Digits of a number that is rounded.

    Returns
    -------
    list

    Examples
    --------
    >>> print_answers(["ok", 1234.5, 37.0], "rounded", 10, 2)
    ['ok', 1200.0, 40.0]
    >>> print_answers([1234.5, 37.0, 4.0], "between two numbers of a grid", 10, 2)
    ['between 1,000 and 2,000', 'between 20 and 50', 'between 0 and 10']
    """
    return [_printed(value, level, finest, digits)[0] for value in values]


def _printed(value: Any, level: str, finest: float, digits: int) -> tuple[Any, float, float]:
    """Print one answer; give also the ends between which numbers are printed alike, infinite for words."""
    if not _is_number(value):
        return value, -np.inf, np.inf
    number = float(value)
    if level == LEVELS[0] or not np.isfinite(number):
        return value, number, number
    if level == LEVELS[3]:
        return _on_a_grid(number, finest)
    size = np.floor(np.log10(max(abs(number), finest)))
    step = float(max(finest, 10.0 ** (size - (digits if level == LEVELS[1] else 1) + 1)))
    centre = float(np.round(np.floor(number / step + 0.5) * step, 10)) + 0.0
    return centre, centre - step / 2, centre + step / 2


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _on_a_grid(number: float, finest: float) -> tuple[str, float, float]:
    size = abs(number)
    power = 10.0 ** np.floor(np.log10(max(size, finest)))
    steps = np.array([0.0, *(power * np.array(GRID))]) if size < power else power * np.array(GRID)
    steps = steps[(steps == 0) | (steps >= finest * (1 - 1e-9))]
    at = int(np.searchsorted(steps, size, side="right"))
    low, high = float(steps[max(at - 1, 0)]), float(steps[min(at, steps.size - 1)])
    if number < 0:
        low, high = -high, -low
    return f"between {low:,.10g} and {high:,.10g}", low, high


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Printed:
    """An answer as it has been printed: what anybody who has it can test a table of counts against.

    Attributes
    ----------
    name : str
        Of the output.
    recompute : mapping
        How the answer follows from counts, as plain data.
    level, finest, digits
        How it is printed; see `print_answers`.
    shown : tuple
        What stands there.
    low, high : ndarray
        The ends between which each number is printed alike: a guide for the search, no part of the test.
    lift : csr_array or None
        How the counts that it is about follow from base counts.
    """

    name: str
    recompute: Mapping[str, Any]
    level: str
    finest: float
    digits: int
    shown: tuple[Any, ...]
    low: Floats
    high: Floats
    lift: "csr_array[Any] | None" = None

    def text(self, values: Iterable[Any]) -> tuple[str, ...]:
        """Print answers of another table in the same way, for a comparison."""
        return tuple(map(_as_text, print_answers(values, self.level, self.finest, self.digits)))


def _as_text(value: Any) -> str:
    return repr(float(value)) if _is_number(value) else str(value)


def printed_as(table: OutputTable, level: str, rules: ReleaseRules) -> Printed:
    """Print the answers of an output as finely as a level says."""
    finest = float(rules.finest) if table.finest is None else table.finest
    values = table.frame[table.value].tolist()
    found = [_printed(value, level, finest, rules.digits) for value in values]
    return Printed(
        name=table.name,
        recompute=table.recompute,
        level=level,
        finest=finest,
        digits=rules.digits,
        shown=tuple(one[0] for one in found),
        low=np.array([one[1] for one in found]),
        high=np.array([one[2] for one in found]),
        lift=table.lift,
    )


def read_printed(table: OutputTable, shown: Sequence[Any], rules: ReleaseRules) -> Printed | None:
    """Find how answers that are shown were printed; None where they are withheld.

    Raises
    ------
    SettingError
        If no way of printing gives what is shown: it has been changed.
    """
    words = tuple(map(_as_text, shown))
    if all(word == OTHER_MARK for word in words):
        return None
    for level in reversed(LEVELS):
        printed = printed_as(table, level, rules)
        if tuple(map(_as_text, printed.shown)) == words:
            return printed
    raise SettingError(
        f"output {table.name!r} does not show what its answers are under any way of printing them; make the release "
        f"again"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What may be shown of the answers about one base, and what is known once it is shown."""

    frames: dict[str, pd.DataFrame]
    known: Knowledge
    printed: tuple[Printed, ...]
    linear: frozenset[str]
    witnesses: Floats
    account: list[tuple[Any, ...]]
    log: list[str]


@dataclass(slots=True, kw_only=True, eq=False)
class Court:
    """What all answers about one base are judged against.

    Attributes
    ----------
    base : Base
    small : csr_array, shape (t, b)
        The small numbers.
    need : Need
    rules : ReleaseRules
    resolve : callable or None
    pool : list of ndarray
        Witness tables found so far, tried first for the next answer.
    """

    base: Base
    small: "csr_array[Any]"
    need: Need
    rules: ReleaseRules
    resolve: Resolver | None
    pool: list[Floats] = field(default_factory=list)
    memory: dict[tuple[str, bytes], Sequence[Any]] = field(default_factory=dict)
    functions: dict[str, Answer] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    def answers(self, printed: Printed, table: Floats) -> Sequence[Any]:
        """Give the answers for a table of base counts, each worked out once."""
        key = (_key(printed), table.tobytes())
        if key not in self.memory:
            self.asked[key[0]] = self.asked.get(key[0], 0) + 1
            own = table if printed.lift is None else np.round(printed.lift @ table)
            self.memory[key] = list(self._function(printed, key[0])(own))
        return self.memory[key]

    def _function(self, printed: Printed, key: str) -> Answer:
        if key not in self.functions:
            if self.resolve is None:
                raise SettingError(
                    f"answers of {printed.name!r} have left, and what they tell can be judged only with the function "
                    f"that makes them; hand in resolve="
                )
            self.functions[key] = self.resolve(printed.recompute)
        return self.functions[key]

    def spent(self, printed: Sequence[Printed]) -> bool:
        """Whether one of the answers was worked out as often as it may be."""
        return any(
            self.asked.get(_key(one), 0) >= min(self.rules.evaluations, _times(one.recompute))
            for one in printed
        )

    def reproduces(self, printed: Sequence[Printed], table: Floats) -> bool:
        """Tell whether a table gives all that is printed."""
        return all(one.text(self.answers(one, table)) == tuple(map(_as_text, one.shown)) for one in printed)

    def open(self, known: Knowledge, printed: Sequence[Printed], *, search: bool = True) -> "_Witnesses":
        """Look for witness tables for every small number."""
        found = _Witnesses(self, known, printed)
        found.run(search=search)
        return found


def _key(printed: Printed) -> str:
    return repr(sorted(printed.recompute.items(), key=str))


def judge_answers(
    tables: Sequence[OutputTable], known: Knowledge, court: Court, earlier: Sequence[Printed] = ()
) -> Judged:
    """Show each answer as finely as small numbers allow: those of given models first, then in the order given.

    Parameters
    ----------
    tables : sequence of OutputTable
        Answers about one base.
    known : Knowledge
        What the tables of counts and earlier releases tell.
    court : Court
    earlier : sequence of Printed
        Answers that have left before.

    Returns
    -------
    Judged

    Raises
    ------
    TooNarrowError
        If the counts to be shown tell too much beside answers that have left before.

    Notes
    -----
    An answer of a given hierarchical model depends on the table through the number observed, the sizes of lists and the
    overlaps in its terms alone. If these, taken as known exactly, leave every small number open, its digits tell
    nothing more. Any other answer is shown as finely as *witness tables* allow: tables of whole numbers that agree with
    all that is known and give the same printed answers, with enough different values of each small number. A witness
    is a certificate; where none is found the answer is made coarser: two digits, one digit, between two numbers of a
    grid 1-2-5, withheld.
    """
    printed = list(earlier)
    found = court.open(known, printed) if printed else None
    if found is not None and not found.open().all():
        raise TooNarrowError(
            f"{int((~found.open()).sum())} small numbers follow too narrowly from what would be shown beside answers "
            f"that have left before"
        )
    levels: dict[str, tuple[str, str]] = {}
    linear: set[str] = set()
    for table in tables:
        more = _with_margins(known, table, court.base)
        if _too_few(table, court):
            levels[table.name] = WITHHELD, "too few degrees of freedom"
        elif more is not None and _leaves_open(more, printed, court):
            known = more
            linear.add(table.name)
            best = LEVELS[0] if table.exact else LEVELS[1]
            levels[table.name] = best, "depends on sums that may be known"
    # Only now, when all that is linear is known: what is printed must agree with all of it.
    for table in sorted(tables, key=lambda one: -_times(one.recompute)):  # what is dear comes last
        if table.name not in levels:
            level, words, one = _finest(table, known, printed, court)
            levels[table.name] = level, words
            printed += one
    frames, account, log = {}, [], []
    persons = round(court.base.counts.sum())
    for table in tables:
        level, words = levels[table.name]
        size = len(table.frame)
        shown = [OTHER_MARK] * size if level == WITHHELD else printed_as(table, level, court.rules).shown
        frames[table.name] = table.frame.assign(
            **{table.value: pd.Series(list(shown), index=table.frame.index, dtype=object)}
        )
        values = table.frame[table.value].tolist()
        account += [
            (table.name, row, value, persons, one, words)
            for row, (value, one) in enumerate(zip(values, shown, strict=True))
        ]
        log.append(f"{table.name}: {level} ({words})")
    return Judged(
        frames=frames,
        known=known,
        printed=tuple(printed[len(earlier) :]),
        linear=frozenset(linear),
        witnesses=np.array(court.pool).reshape(len(court.pool), court.base.counts.size),
        account=account,
        log=log,
    )


def _too_few(table: OutputTable, court: Court) -> bool:
    parameters, counts = table.n_parameters, court.base.counts
    persons = counts.sum() if table.lift is None else (table.lift @ counts).sum()
    return parameters is not None and too_few_degrees(float(persons), parameters, court.rules)


def _with_margins(known: Knowledge, table: OutputTable, base: Base) -> Knowledge | None:
    from scipy.sparse import vstack

    if table.matrix is None:
        return None
    values = table.matrix @ base.counts
    return replace(
        known,
        matrix=vstack([known.matrix, table.matrix], format="csr"),
        lower=np.concatenate([known.lower, values]),
        upper=np.concatenate([known.upper, values]),
    )


def _leaves_open(known: Knowledge, printed: Sequence[Printed], court: Court) -> bool:
    if not infer(known, court.small, court.base.counts, court.need).open.all():
        return False
    return not printed or bool(court.open(known, printed).open().all())


def _finest(
    table: OutputTable, known: Knowledge, printed: Sequence[Printed], court: Court
) -> tuple[str, str, list[Printed]]:
    """Find the finest way to print an answer that leaves every small number open."""
    if court.resolve is None or not table.recompute:
        return WITHHELD, "how it follows from counts is not known", []
    court.asked.clear()
    times, served = _times(table.recompute), "witness tables for every small number"
    least = printed_as(table, LEVELS[-1], court.rules)
    if times < LEAST_TIMES:
        return WITHHELD, "too dear to be worked out for other tables", []
    if not court.reproduces([least], court.base.counts):
        return WITHHELD, "the function that should make it gives something else", []
    dear = bool(
        np.isfinite(times)
    )  # then the coarsest first, and a finer one where the same tables serve for it
    if dear and not court.open(known, [*printed, least]).open().all():
        return WITHHELD, "no witness tables found within the budget", []
    for level in LEVELS[1:]:
        one = printed_as(table, level, court.rules)
        if court.open(known, [*printed, one], search=not dear).open().all():
            return level, served, [one]
        if not dear and court.spent([*printed, one]):
            break
    return (LEVELS[-1], served, [least]) if dear else (WITHHELD, "no witness tables found", [])


def enumerate_tables(known: Knowledge, limit: int) -> Floats | None:
    """Give every table of whole numbers that agrees with what is known; None where there are more than `limit`.

    Parameters
    ----------
    known : Knowledge
        With facts whose coefficients are not negative.
    limit : int

    Returns
    -------
    ndarray, shape (m, b), or None

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> known = Knowledge(
    ...     cells=("a", "b"), matrix=csr_array([[1.0, 1.0]]), lower=np.array([2.0]), upper=np.array([2.0]),
    ...     floor=np.zeros(2), ceiling=np.full(2, np.inf),
    ... )
    >>> enumerate_tables(known, 10).tolist()
    [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]
    """
    left = narrowed(known)
    if not np.isfinite(left.ceiling).all() or (left.matrix.data < 0).any():
        return None
    matrix = left.matrix.toarray()
    sums_low = np.zeros((1, matrix.shape[0]))
    found = np.zeros((1, 0))
    rest_low, rest_high = matrix @ left.floor, matrix @ left.ceiling
    for j in range(matrix.shape[1]):
        values = np.arange(left.floor[j], left.ceiling[j] + 1)
        if found.shape[0] * values.size > 20 * max(limit, 1):
            return None
        rest_low, rest_high = (
            rest_low - matrix[:, j] * left.floor[j],
            rest_high - matrix[:, j] * left.ceiling[j],
        )
        size = found.shape[0] * values.size
        sums = (sums_low[:, None, :] + values[None, :, None] * matrix[:, j]).reshape(size, matrix.shape[0])
        longer = np.concatenate(
            [np.repeat(found, values.size, axis=0), np.tile(values, found.shape[0])[:, None]], axis=1
        )
        keep = ((sums + rest_low <= left.upper + 1e-9) & (sums + rest_high >= left.lower - 1e-9)).all(axis=1)
        found, sums_low = longer[keep], sums[keep]
        if found.shape[0] > 2 * limit:
            return None
    if found.shape[0] > limit:
        return None
    tables = np.tile(left.fixed, (found.shape[0], 1))
    tables[:, left.open] = found + 0.0
    return tables


class _Witnesses:
    """Tables that agree with all that is known and give the same printed answers."""

    def __init__(self, court: Court, known: Knowledge, printed: Sequence[Printed]) -> None:
        self.court, self.known = court, known
        self.printed = sorted(printed, key=lambda one: -_times(one.recompute))
        self.left, self.truth = narrowed(known), court.base.counts
        self.values = [np.asarray(court.small @ self.truth)]
        self.tables: list[Floats] = []
        self.straight: list[_Line] | None = None

    def run(self, *, search: bool) -> None:
        """Try the tables that served before; if asked, then all tables where there are few, else some near the true."""
        if not self.values[0].size:
            return
        self.keep(self.court.pool)
        if self.open().all() or not search:
            return
        limit = self.court.rules.enumerate_up_to
        tables = enumerate_tables(self.known, limit) if limit else None
        if tables is None or len(tables) > FEW:
            self.look()
        if tables is None:
            return
        nearest = np.argsort(np.abs(tables - self.truth).sum(axis=1), kind="stable")
        for first in range(0, len(nearest), BLOCK):
            if self.spent or self.open().all():
                return
            self.keep(tables[nearest[first : first + BLOCK]])

    @property
    def spent(self) -> bool:
        """Whether one of the answers was worked out as often as it may be."""
        return self.court.spent(self.printed)

    def keep(self, tables: Iterable[Floats]) -> bool:
        """Keep those of some tables that show a new value and give the same answers; tell whether there was any."""
        kept = False
        for table in list(tables):
            if self.spent:
                break
            values = np.asarray(self.court.small @ table)
            new = ~(np.abs(np.stack(self.values) - values) < 0.5).any(axis=0) & ~self.open()
            if new.any() and self.agrees(table):
                self._remember(table)
                if self.court.reproduces(self.printed, table):
                    self.values.append(values)
                    self.tables.append(table)
                    kept = True
        return kept

    def agrees(self, table: Floats) -> bool:
        """Tell whether a table agrees with all that is known linearly."""
        sums, known = self.known.matrix @ table, self.known
        return bool(
            (sums >= known.lower - 1e-6).all()
            and (sums <= known.upper + 1e-6).all()
            and (table >= known.floor).all()
            and (table <= known.ceiling).all()
        )

    def _remember(self, table: Floats) -> None:
        pool = self.court.pool
        if len(pool) < KEPT and not any(np.array_equal(table, one) for one in pool):
            pool.append(table)

    def open(self) -> npt.NDArray[np.bool_]:
        """Tell for each small number whether enough values of it are witnessed."""
        found, need = np.stack(self.values), self.court.need
        low, high, true = found.min(axis=0), found.max(axis=0), self.values[0]
        return np.asarray(
            (self.different() >= need.different)
            & (high - low >= need.width - 1e-6)
            & (true - low >= need.down - 1e-6)
            & (high - true >= need.up - 1e-6)
        )

    def different(self) -> npt.NDArray[np.int64]:
        """Count the witnessed values of each small number."""
        found = np.sort(np.round(np.stack(self.values)), axis=0)
        return np.asarray(1 + (np.diff(found, axis=0) > 0.5).sum(axis=0))

    def look(self) -> None:
        """Look for tables that move many small numbers at once; fewer at a time after each that fails."""
        rng = np.random.default_rng(19)
        share, failed = 1.0, 0
        most = min(self.court.rules.witnesses, max(FAILURES, PATIENCE // max(int(self.left.open.sum()), 1)))
        while not (self.spent or self.open().all() or failed > most):
            wanting = np.flatnonzero(~self.open())
            some = rng.permutation(wanting)[: max(1, int(np.ceil(share * wanting.size)))]
            goal = np.round(self.values[0])
            goal[some] = [self._new_value(int(t), failed // 3, rng) for t in some]
            if self._follow(goal, some):
                share, failed = min(1.0, 2.0 * share), 0
            else:
                share, failed = (1.0 if some.size == 1 else share / 2.0), failed + 1

    def _new_value(self, t: int, wider: int, rng: np.random.Generator) -> float:
        """Choose a value of a small number that no table has shown yet, near the true one."""
        need, true = self.court.need, round(float(self.values[0][t]))
        reach = int(np.ceil(max(need.width[t], need.down[t] + need.up[t], need.different - 1)))
        low = max(0, true - max(int(np.ceil(need.down[t])), reach // 2 + wider))
        high = max(low + reach, true + max(int(np.ceil(need.up[t])), reach // 2 + wider))
        seen = {round(float(values[t])) for values in self.values}
        fresh = [value for value in range(low, high + 1) if value not in seen]
        return float(rng.choice(fresh)) if fresh else float(high + 1)

    def _follow(self, goal: Floats, moved: npt.NDArray[np.int64]) -> bool:
        """Look for a table near a goal, by straight lines that are bent after each table that misses."""
        lines = list(self._lines())
        kept, last = False, None
        for _ in range(CORRECTIONS):
            table = self._nearest(goal, moved, lines)
            if table is None or self.spent or (last is not None and np.array_equal(table, last)):
                return kept
            if self.keep([table]):
                return True
            for k, one in enumerate(self.printed):
                if not self.court.reproduces([one], table):  # later answers are not worked out for it
                    lines[k] = lines[k].through(
                        (table - self.truth)[self.left.open], _numbers(self.court.answers(one, table))
                    )
                    break
            else:
                return kept
            last = table
        return kept

    def _nearest(self, goal: Floats, moved: npt.NDArray[np.int64], lines: Sequence["_Line"]) -> Floats | None:
        """Find the table nearest to a goal for the small numbers, and to the true one elsewhere."""
        from scipy.sparse import block_array, csr_array, eye_array, vstack

        inside = np.flatnonzero(self.left.open)
        here = self.truth[inside]
        small = self.court.small[:, inside].tocsr()
        aims = np.concatenate([goal - self.court.small @ self.left.fixed, here])
        size, count = aims.size, inside.size
        sums = vstack([small, eye_array(count)], format="csr")
        one = eye_array(size, format="csr")
        weight = np.full(size, FAR)
        weight[: goal.size] = BESIDE
        weight[moved] = 1.0
        slopes = np.concatenate([np.zeros((0, count)), *[line.slopes for line in lines]])
        low = np.concatenate([np.zeros(0), *[line.low for line in lines]]) + slopes @ here
        high = np.concatenate([np.zeros(0), *[line.high for line in lines]]) + slopes @ here
        rows = block_array(
            [[sums, one], [sums, -one], [csr_array(slopes), None]]
            if low.size
            else [[sums, one], [sums, -one]],
            format="csr",
        )
        endless = np.full(size, np.inf)
        ends = np.concatenate([aims, -endless, low]), np.concatenate([endless, aims, high])
        reach = REACH + 3.0 * np.sqrt(here)
        left = replace(
            self.left,
            matrix=_wider(self.left.matrix, size),
            floor=np.concatenate([np.maximum(self.left.floor, here - reach), np.zeros(size)]),
            ceiling=np.concatenate([np.minimum(self.left.ceiling, here + reach), endless]),
        )
        found, _ = solve(left, np.concatenate([np.zeros(count), weight]), (rows, *ends), whole=False)
        return None if found is None else self._whole(found[:count])

    def _whole(self, cells: Floats) -> Floats | None:
        """Make whole numbers of the cells that are open, so that they agree with what is known."""
        rng = np.random.default_rng(19)
        full = self.left.fixed.copy()
        for k in range(ROUNDINGS):
            full[self.left.open] = np.floor(cells + (rng.random(cells.size) if k else 0.5))
            if self.agrees(full):
                return full
        return None

    def _lines(self) -> "list[_Line]":
        """Approach each answer by straight lines at the true table; one that is dear begins level."""
        if self.straight is None:
            inside = np.flatnonzero(self.left.open)
            self.straight = [self._line(one, inside) for one in self.printed]
        return self.straight

    def _line(self, one: Printed, inside: npt.NDArray[np.int64]) -> "_Line":
        base = _numbers(self.court.answers(one, self.truth))
        slopes = np.zeros((base.size, inside.size))
        if not np.isfinite(_times(one.recompute)):
            for k, j in enumerate(inside):
                table = self.truth.copy()
                table[j] += 1.0
                with np.errstate(invalid="ignore"):  # a limit without end in both
                    slopes[:, k] = _numbers(self.court.answers(one, table)) - base
        use = (
            np.isfinite(base) & np.isfinite(one.high) & np.isfinite(one.low) & np.isfinite(slopes).all(axis=1)
        )
        at, low, high = base[use], one.low[use], one.high[use]
        room = (high - low) * (1 - MARGIN) / 2
        return _Line(use, slopes[use], at, np.minimum(low + room, at) - at, np.maximum(high - room, at) - at)


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """The numbers of an answer as straight lines from the true table, and how far they may move."""

    use: npt.NDArray[np.bool_]
    slopes: Floats
    at: Floats
    low: Floats
    high: Floats

    def through(self, step: Floats, numbers: Floats) -> "_Line":
        """Bend the lines so that they meet what a table a step away gives (Broyden's rank-one change)."""
        miss = numbers[self.use] - self.at - self.slopes @ step
        miss = np.where(np.isfinite(miss), miss, 0.0)
        return replace(self, slopes=self.slopes + np.outer(miss, step) / max(float(step @ step), 1.0))


def _numbers(answers: Iterable[Any]) -> Floats:
    return np.array([float(one) if _is_number(one) else np.nan for one in answers], dtype=np.float64)


def _times(recompute: Mapping[str, Any]) -> float:
    """Say how often an answer may be worked out for other tables; without end where it is quick."""
    times = recompute.get("times")
    return np.inf if times is None else float(times)


def _wider(matrix: "csr_array[Any]", size: int) -> "csr_array[Any]":
    from scipy.sparse import csr_array, hstack

    found: csr_array[Any] = hstack([matrix, csr_array((matrix.shape[0], size))], format="csr")
    return found
