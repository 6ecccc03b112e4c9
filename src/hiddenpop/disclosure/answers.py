"""Answers as information: an estimate is a function of the counts, so it tells of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.disclosure.linear import Knowledge, Need, infer, narrowed, solve
from hiddenpop.disclosure.primary import too_few_degrees
from hiddenpop.disclosure.rules import OTHER_MARK, ReleaseRules
from hiddenpop.disclosure.tables import Base, OutputTable

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Answer", "Judged", "Resolver", "enumerate_tables", "judge_answers", "open_values"]

Floats = npt.NDArray[np.float64]
Answer = Callable[[Floats], Floats]
"""From base counts, shape (b,), to the numbers of an output, shape (k,)."""

Resolver = Callable[[Mapping[str, Any]], Answer]
"""From the plain data of an output (`OutputTable.recompute`) to the function that makes its numbers."""

BLOCK = 50
"""Tables tried before it is asked whether enough witnesses are found."""

GRID = (1.0, 2.0, 5.0, 10.0)
MARGIN = 0.7
"""Part of a rounding interval that a linear guess aims at, so that what is bent still falls inside."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What may be shown of the answers about one base, and what is known once it is shown."""

    frames: dict[str, pd.DataFrame]
    known: Knowledge
    account: list[tuple[Any, ...]]
    log: list[str]


def judge_answers(
    tables: Sequence[OutputTable],
    known: Knowledge,
    base: Base,
    small: "csr_array[Any]",
    need: Need,
    rules: ReleaseRules,
    resolve: Resolver | None,
) -> Judged:
    """Show each answer as finely as small numbers allow: those of given models first, then in the order given.

    Parameters
    ----------
    tables : sequence of OutputTable
        Answers about `base`.
    known : Knowledge
        What the tables of counts and earlier releases tell.
    base : Base
    small : csr_array, shape (t, b)
        The small numbers.
    need : Need
    rules : ReleaseRules
    resolve : callable or None

    Returns
    -------
    Judged

    Notes
    -----
    An answer of a given hierarchical model depends on the table through the number observed, the sizes of lists and the
    overlaps in its terms alone. If these, taken as known exactly, leave every small number open, its digits tell
    nothing more. Any other answer is shown as finely as *witness tables* allow: tables of whole numbers that agree with
    all that is known and give the same printed numbers, with enough different values of each small number. A witness
    is a certificate; where none is found the answer is made coarser: two digits, one digit, between two numbers of a
    grid 1-2-5, withheld.
    """
    frames, account, log = {}, [], []
    printed: list[tuple[Answer, Floats, Floats]] = []
    for table in sorted(
        tables, key=lambda one: one.matrix is None
    ):  # what is linear first: others must agree with it
        with_margins = _with_margins(known, table, base)
        if _too_few(table, base, rules):
            level, words = len(LEVELS), "too few degrees of freedom"
        elif with_margins is not None and bool(infer(with_margins, small, base.counts, need).open.all()):
            known, level, words = with_margins, 0, "depends on sums that may be known"
        else:
            level, words, more = _finest(table, known, base, small, need, rules, resolve, printed)
            printed += more
        shown = (
            LEVELS[level](table.numbers, rules)[0] if level < len(LEVELS) else [OTHER_MARK] * len(table.frame)
        )
        frames[table.name] = table.frame.assign(**{table.value: pd.Series(shown, index=table.frame.index)})
        account += [
            (table.name, row, value, round(base.counts.sum()), one, words)
            for row, (value, one) in enumerate(zip(table.numbers, shown, strict=True))
        ]
        log.append(f"{table.name}: {LEVEL_WORDS[level]} ({words})")
    return Judged(frames=frames, known=known, account=account, log=log)


def _too_few(table: OutputTable, base: Base, rules: ReleaseRules) -> bool:
    parameters = table.n_parameters
    return parameters is not None and too_few_degrees(float(base.counts.sum()), parameters, rules)


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


def _finest(
    table: OutputTable,
    known: Knowledge,
    base: Base,
    small: "csr_array[Any]",
    need: Need,
    rules: ReleaseRules,
    resolve: Resolver | None,
    printed: list[tuple[Answer, Floats, Floats]],
) -> tuple[int, str, list[tuple[Answer, Floats, Floats]]]:
    """Find the finest way to print an answer that leaves every small number open."""
    if resolve is None or not table.recompute:
        return len(LEVELS), "how it follows from counts is not known", []
    answer = resolve(table.recompute)
    for level in range(1, len(LEVELS)):
        _, low, high = LEVELS[level](table.numbers, rules)
        more = [*printed, (answer, low, high)]
        if not small.shape[0] or bool(open_values(known, base.counts, more, small, need, rules).all()):
            return level, "witness tables for every small number", more[-1:]
    return len(LEVELS), "no witness tables found", []


def _as_they_are(values: Floats, rules: ReleaseRules) -> tuple[list[Any], Floats, Floats]:
    return values.tolist(), values, values


def _rounded(values: Floats, rules: ReleaseRules, digits: int) -> tuple[list[Any], Floats, Floats]:
    finite = np.where(np.isfinite(values), values, 0.0)
    size = np.floor(np.log10(np.maximum(np.abs(finite), 1.0)))
    step = np.maximum(float(rules.finest), 10.0 ** (size - digits + 1))
    centre = np.round(finite / step) * step
    shown = [float(c) if np.isfinite(v) else float(v) for c, v in zip(centre, values, strict=True)]
    ends = np.isfinite(values)
    return shown, np.where(ends, centre - step / 2, values), np.where(ends, centre + step / 2, values)


def _two_digits(values: Floats, rules: ReleaseRules) -> tuple[list[Any], Floats, Floats]:
    return _rounded(values, rules, rules.digits)


def _one_digit(values: Floats, rules: ReleaseRules) -> tuple[list[Any], Floats, Floats]:
    return _rounded(values, rules, 1)


def _on_a_grid(values: Floats, rules: ReleaseRules) -> tuple[list[Any], Floats, Floats]:
    shown: list[Any] = []
    low, high = values.copy(), values.copy()
    for k, value in enumerate(values):
        if not np.isfinite(value):
            shown.append(float(value))
            continue
        power = 10.0 ** np.floor(np.log10(max(value, float(rules.finest))))
        steps = np.array([0.0, *(power * np.array(GRID))]) if value < power else power * np.array(GRID)
        at = int(np.searchsorted(steps, value, side="right"))
        low[k], high[k] = steps[max(at - 1, 0)], steps[min(at, steps.size - 1)]
        shown.append(f"between {low[k]:,.0f} and {high[k]:,.0f}")
    return shown, low, high


LEVELS = (_as_they_are, _two_digits, _one_digit, _on_a_grid)
LEVEL_WORDS = ("as it is", "rounded", "one digit", "between two numbers of a grid", "withheld")


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


def open_values(
    known: Knowledge,
    truth: Floats,
    printed: Sequence[tuple[Answer, Floats, Floats]],
    small: "csr_array[Any]",
    need: Need,
    rules: ReleaseRules,
) -> npt.NDArray[np.bool_]:
    """Tell for each small number whether tables that give the printed answers leave enough values of it open.

    Parameters
    ----------
    known : Knowledge
    truth : ndarray, shape (b,)
    printed : sequence of (callable, ndarray, ndarray)
        Of each answer the function, and the smallest and largest numbers that are printed alike.
    small : csr_array, shape (t, b)
    need : Need
    rules : ReleaseRules

    Returns
    -------
    ndarray of bool, shape (t,)
    """
    search = _Witnesses(known, truth, printed, small, need)
    tables = enumerate_tables(known, rules.enumerate_up_to) if rules.enumerate_up_to else None
    if tables is not None:
        nearest = np.argsort(np.abs(tables - truth).sum(axis=1), kind="stable")
        for block in np.array_split(tables[nearest], max(1, len(tables) // BLOCK)):
            search.add(block)
            if search.open().all():
                break
        return search.open()
    rng = np.random.default_rng(19)
    for t in range(small.shape[0]):
        search.look_for(t, rng, rules.witnesses)
        if not search.open()[t]:
            break
    return search.open()


class _Witnesses:
    """Tables that agree with all that is known and give the same printed answers."""

    def __init__(
        self,
        known: Knowledge,
        truth: Floats,
        printed: Sequence[tuple[Answer, Floats, Floats]],
        small: "csr_array[Any]",
        need: Need,
    ) -> None:
        self.left, self.truth, self.printed, self.small, self.need = (
            narrowed(known),
            truth,
            printed,
            small,
            need,
        )
        self.values = [small @ truth]
        self.slopes: Floats | None = None

    def reproduces(self, table: Floats) -> bool:
        """Tell whether every printed answer is the same."""
        for answer, low, high in self.printed:
            found = np.asarray(answer(table), dtype=np.float64)
            same = ((found >= low) & (found <= high)) | (found == low) | (np.isnan(found) & np.isnan(low))
            if not same.all():
                return False
        return True

    def add(self, tables: Floats) -> None:
        """Keep those of some tables that give the same answers."""
        self.values += [self.small @ table for table in tables if self.reproduces(table)]

    def open(self) -> npt.NDArray[np.bool_]:
        found = np.stack(self.values)
        low, high, true = found.min(axis=0), found.max(axis=0), self.values[0]
        different = 1 + (np.diff(np.sort(np.round(found), axis=0), axis=0) > 0.5).sum(axis=0)
        return np.asarray(
            (different >= self.need.different)
            & (high - low >= self.need.width - 1e-6)
            & (true - low >= self.need.down - 1e-6)
            & (high - true >= self.need.up - 1e-6)
        )

    def look_for(self, t: int, rng: np.random.Generator, tries: int) -> None:
        """Look for tables with other values of one small number, nearest first."""
        true = self.values[0][t]
        reach = int(max(self.need.width[t], self.need.different)) + 2
        aims = sorted(range(-reach, reach + 1), key=abs)
        for aim in [true + step for step in aims if step and true + step >= 0]:
            for _ in range(max(1, tries // 5)):
                if self.open()[t]:
                    return
                if any(values[t] == aim for values in self.values):
                    break
                self._try(t, aim, rng)

    def _try(self, t: int, aim: float, rng: np.random.Generator) -> None:
        from scipy.sparse import csr_array, vstack

        inside = np.flatnonzero(self.left.open)
        row = self.small[[t]]
        slopes, low, high = self._linear()
        rows = vstack([row[:, inside], csr_array(slopes)], format="csr")
        at = aim - float((row @ self.left.fixed)[0])
        ends = np.concatenate([[at], low]), np.concatenate([[at], high])
        weight = rng.uniform(-1.0, 1.0, size=inside.size)
        near = _near_truth(
            self.left, self.truth[inside], reach=float(max(10.0, 2 * abs(aim - self.values[0][t])))
        )
        table, _ = solve(near, weight, (rows, *ends), whole=True, seconds=5.0)
        if table is not None:
            full = self.left.fixed.copy()
            full[inside] = np.round(table)
            self.add(full[None])

    def _linear(self) -> tuple[Floats, Floats, Floats]:
        """Approach the answers by straight lines at the true table, and say where these must stay."""
        inside = np.flatnonzero(self.left.open)
        if self.slopes is None:
            base = self._answers(self.truth)
            moved = []
            for j in inside:
                table = self.truth.copy()
                table[j] += 1.0
                moved.append(self._answers(table) - base)
            self.slopes = np.nan_to_num(
                np.array(moved).T.reshape(base.size, inside.size), posinf=0.0, neginf=0.0
            )
            low = np.concatenate([one[1] for one in self.printed])
            high = np.concatenate([one[2] for one in self.printed])
            room = (high - low) * (1 - MARGIN) / 2
            at = np.where(np.isfinite(base), base, 0.0)
            shift = self.slopes @ self.truth[inside] - at
            self.low = np.where(np.isfinite(low), np.minimum(low + room, at) + shift, -np.inf)
            self.high = np.where(np.isfinite(high), np.maximum(high - room, at) + shift, np.inf)
        return self.slopes, self.low, self.high

    def _answers(self, table: Floats) -> Floats:
        return np.concatenate([np.asarray(one[0](table), dtype=np.float64) for one in self.printed])


def _near_truth(left: Any, truth: Floats, reach: float) -> Any:
    """Keep a search near the true table."""
    return replace(
        left, floor=np.maximum(left.floor, truth - reach), ceiling=np.minimum(left.ceiling, truth + reach)
    )
