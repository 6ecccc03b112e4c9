"""What follows from linear facts: the interval of a number for somebody who knows all that is shown."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats
from hiddenpop.errors import SettingError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = [
    "Intervals",
    "Knowledge",
    "Need",
    "Reduced",
    "infer",
    "is_unimodular",
    "joined",
    "narrowed",
    "solve",
]


TOLERANCE = 1e-6
"""HiGHS meets constraints to 1e-7; counts are whole, so nothing smaller than this is a difference."""

NARROWINGS = 20
"""How often facts are used one by one before programmes take over: most cells that follow do so within a few."""

MANY = 1_000_000
"""More values than anybody asks for."""

NODES = 20_000
"""Longest search of one programme in whole numbers."""

ROUNDS = 12
"""Tables looked for with all open numbers at once, before each remaining number is asked for by itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Knowledge:
    """Linear facts about base cells: ``lower <= matrix @ cells <= upper`` and ``floor <= cells <= ceiling``.

    Attributes
    ----------
    cells : tuple of str, length b
        Labels of the base cells.
    matrix : csr_array, shape (q, b)
        A row a fact.
    lower, upper : ndarray, shape (q,)
        Equal where a number is shown as it is; infinite where nothing is known.
    floor, ceiling : ndarray, shape (b,)
        What is known of each base cell before anything is shown: 0 and infinity for counts.
    whole : bool
        True for counts, which are whole numbers.
    """

    cells: tuple[str, ...]
    matrix: "csr_array[Any]"
    lower: Floats
    upper: Floats
    floor: Floats
    ceiling: Floats
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Need:
    """How far from known numbers must stay: each of shape (t,), for the numbers of interest.

    Attributes
    ----------
    down, up : ndarray
        How far below and above the true number the interval must reach.
    width : ndarray
        How wide it must be.
    different : int
        How many different whole numbers must stay possible.
    """

    down: Floats
    up: Floats
    width: Floats
    different: int = 1

    @classmethod
    def of_width(cls, width: float, n: int, different: int = 1) -> "Need":
        """Ask `n` numbers for intervals of one width."""
        return cls(down=np.zeros(n), up=np.zeros(n), width=np.full(n, float(width)), different=different)

    def at(self, rows: npt.NDArray[Any]) -> "Need":
        """Give the needs of some numbers only."""
        return replace(self, down=self.down[rows], up=self.up[rows], width=self.width[rows])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intervals:
    """What can be inferred of each number of interest, each of shape (t,).

    Attributes
    ----------
    low, high : ndarray
        The smallest and the largest number that agree with all facts, or, where `exact` is False, the extremes of the
        tables found.
    exact : ndarray of bool
        Whether the interval is the whole of it.
    different : ndarray of int
        How many different whole numbers were found possible.
    open : ndarray of bool
        Whether the interval is as wide as was needed, with as many values as were needed.
    """

    low: Floats
    high: Floats
    exact: Bools
    different: npt.NDArray[np.int64]
    open: Bools


def joined(first: Knowledge, second: Knowledge) -> Knowledge:
    """Put together what is known from two sides, about base cells that are matched by label.

    Parameters
    ----------
    first, second : Knowledge

    Returns
    -------
    Knowledge
        About all base cells of both.
    """
    from scipy.sparse import vstack

    cells = tuple(dict.fromkeys((*first.cells, *second.cells)))
    place = {label: j for j, label in enumerate(cells)}
    sides = [
        (side, np.array([place[label] for label in side.cells], dtype=np.int64)) for side in (first, second)
    ]
    floor, ceiling = np.full(len(cells), -np.inf), np.full(len(cells), np.inf)
    for side, at in sides:
        floor[at] = np.maximum(floor[at], side.floor)
        ceiling[at] = np.minimum(ceiling[at], side.ceiling)
    return Knowledge(
        cells=cells,
        matrix=vstack([_widened(side.matrix, at, len(cells)) for side, at in sides], format="csr"),
        lower=np.concatenate([first.lower, second.lower]),
        upper=np.concatenate([first.upper, second.upper]),
        floor=floor,
        ceiling=ceiling,
        whole=first.whole and second.whole,
    )


def _widened(matrix: "csr_array[Any]", at: npt.NDArray[np.int64], size: int) -> "csr_array[Any]":
    from scipy.sparse import csr_array

    found = matrix.tocoo()
    return csr_array((found.data, (found.row, at[found.col])), shape=(matrix.shape[0], size))


def is_unimodular(matrix: "csr_array[Any]") -> bool:
    """Tell whether sums of cells fall into two families, in each of which any two sums are nested or apart.

    Then every vertex of the tables that agree with whole sums is a table of whole numbers, so that linear programming
    gives what whole numbers give. Margins of a two-way table, one side with a hierarchy, are of this kind; three-way
    tables and linked tables are not.

    Parameters
    ----------
    matrix : csr_array, shape (q, b)

    Returns
    -------
    bool
        False also where it would hold for another reason.

    References
    ----------
    Edmonds, J. (1970). Submodular functions, matroids, and certain polyhedra. Reprinted in: Combinatorial Optimization
    - Eureka, You Shrink! Springer (2003), 11-26. doi:10.1007/3-540-36478-1_2

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> rows_and_columns = csr_array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]])
    >>> pairs_of_three = csr_array([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> is_unimodular(rows_and_columns), is_unimodular(pairs_of_three)
    (True, False)
    """
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    if matrix.nnz and not (matrix.data == 1).all():
        return False
    size = np.asarray(matrix.sum(axis=1)).ravel()
    common = (matrix @ matrix.T).tocoo()
    crossing = common.data < np.minimum(size[common.row], size[common.col])
    from scipy.sparse import csr_array

    graph = csr_array(
        (np.ones(int(crossing.sum())), (common.row[crossing], common.col[crossing])), shape=common.shape
    )
    side = np.zeros(graph.shape[0], dtype=np.int64)
    _, component = connected_components(graph, directed=False)
    for root in np.unique(component, return_index=True)[1]:
        order, before = breadth_first_order(graph, root, directed=False)
        for node in order[1:]:
            side[node] = 1 - side[before[node]]
    return bool((side[common.row[crossing]] != side[common.col[crossing]]).all())


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """What is left open: fixed cells are taken out, empty facts dropped."""

    matrix: "csr_array[Any]"
    lower: Floats
    upper: Floats
    floor: Floats
    ceiling: Floats
    open: Bools
    fixed: Floats


def narrowed(known: Knowledge) -> Reduced:
    """Narrow every cell by each fact alone, until nothing moves, and take out the cells that follow."""
    floor, ceiling = known.floor.copy(), known.ceiling.copy()
    narrow = _Narrowing.of(known)
    for _ in range(NARROWINGS):
        before = floor.sum(), np.where(np.isfinite(ceiling), ceiling, -1.0).sum()
        narrow.by_each_fact(floor, ceiling, known.whole)
        if before == (floor.sum(), np.where(np.isfinite(ceiling), ceiling, -1.0).sum()):
            break
    is_open = ceiling - floor > TOLERANCE
    fixed = np.where(is_open, 0.0, floor)
    left = known.matrix[:, np.flatnonzero(is_open)].tocsr()
    shift = known.matrix @ fixed
    keep = (np.diff(left.indptr) > 1) & (np.isfinite(known.lower) | np.isfinite(known.upper))
    return Reduced(
        left[np.flatnonzero(keep)],
        (known.lower - shift)[keep],
        (known.upper - shift)[keep],
        floor[is_open],
        ceiling[is_open],
        is_open,
        fixed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Narrowing:
    """Facts whose coefficients are not negative, entry by entry: what each says of a cell, given the others' ends."""

    row: npt.NDArray[np.int64]
    cell: npt.NDArray[np.int64]
    factor: Floats
    lower: Floats
    upper: Floats

    @classmethod
    def of(cls, known: Knowledge) -> "_Narrowing":
        entries = known.matrix.tocoo()
        negative = np.zeros(known.lower.size, dtype=bool)
        negative[entries.row[entries.data < 0]] = True
        use = (entries.data > 0) & ~negative[entries.row]
        return cls(
            entries.row[use].astype(np.int64),
            entries.col[use].astype(np.int64),
            entries.data[use].astype(float),
            known.lower,
            known.upper,
        )

    def by_each_fact(self, floor: Floats, ceiling: Floats, whole: bool) -> None:
        """Move the ends of all cells inwards, in place."""
        room = self.upper - self._sums(floor)
        high = floor[self.cell] + room[self.row] / self.factor
        np.minimum.at(ceiling, self.cell, (np.floor(high + TOLERANCE) + 0.0) if whole else high)
        np.maximum(ceiling, floor, out=ceiling)
        most = self.factor * ceiling[self.cell]
        endless = np.bincount(self.row, ~np.isfinite(most), self.upper.size)
        sums = np.bincount(self.row, np.where(np.isfinite(most), most, 0.0), self.upper.size)
        others = endless[self.row] - ~np.isfinite(most)
        rest = sums[self.row] - np.where(np.isfinite(most), most, 0.0)
        low = np.where(others > 0, -np.inf, (self.lower[self.row] - rest) / self.factor) + 0.0
        np.maximum.at(floor, self.cell, (np.ceil(low - TOLERANCE) + 0.0) if whole else low)
        np.minimum(floor, ceiling, out=floor)

    def _sums(self, ends: Floats) -> Floats:
        return np.bincount(self.row, self.factor * ends[self.cell], self.upper.size).astype(np.float64)


def infer(
    known: Knowledge,
    targets: "csr_array[Any]",
    truth: npt.ArrayLike,
    need: Need,
    *,
    exact: bool = False,
    rounds: int = ROUNDS,
) -> Intervals:
    """Find, for every number of interest, the interval that follows from all that is known.

    Parameters
    ----------
    known : Knowledge
    targets : csr_array, shape (t, b)
        The numbers of interest as sums of base cells.
    truth : array_like, shape (b,)
        The base cells as they are.
    need : Need
        How wide the intervals must be; it is enough to show that they are, unless `exact`.
    exact : bool
        Whether to go on to the ends of every interval.
    rounds : int
        How often all open numbers are moved at once, before each is asked for by itself.

    Returns
    -------
    Intervals

    Raises
    ------
    SettingError
        If the facts do not agree with the truth, or with each other.

    Notes
    -----
    A table that agrees with all facts is a certificate: its numbers are possible. So all open numbers are pushed up or
    down together, with random signs, in a few linear programmes; only a number that these do not show to be wide enough
    is asked for with two programmes of its own. Signs come from a fixed seed, so that the answer is always the same.
    Where whole numbers can make a difference (`is_unimodular` is False) the tables are asked to be whole.

    References
    ----------
    Fischetti, M. and Salazar, J. J. (2000). Models and algorithms for optimizing cell suppression in tabular data with
    linear constraints. Journal of the American Statistical Association 95(451), 916-928.
    doi:10.1080/01621459.2000.10474282

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> total = Knowledge(
    ...     cells=("a", "b"), matrix=csr_array([[1.0, 1.0]]), lower=np.array([12.0]), upper=np.array([12.0]),
    ...     floor=np.zeros(2), ceiling=np.full(2, np.inf),
    ... )
    >>> found = infer(total, csr_array([[1.0, 0.0]]), [3, 9], Need.of_width(10, 1), exact=True)
    >>> found.low.tolist(), found.high.tolist()
    ([0.0], [12.0])
    """
    return _Search(known, targets, np.asarray(truth, dtype=np.float64), need).run(exact, rounds)


class _Search:
    """The state of one audit: what is left open, and the tables found so far."""

    def __init__(self, known: Knowledge, targets: "csr_array[Any]", truth: Floats, need: Need) -> None:
        _check(known, truth)
        self.left = narrowed(known)
        inside = self.left.open
        self.shift = targets @ self.left.fixed
        self.targets = targets[:, np.flatnonzero(inside)].tocsr()
        self.truth = truth[inside]
        self.need, self.whole = need, known.whole
        self.linear = not known.whole or is_unimodular(_stacked(self.left.matrix, self.targets))
        self.value = targets @ truth
        self.low, self.high = self.value.copy(), self.value.copy()
        self.exact = np.asarray(self.targets.sum(axis=1) == 0).ravel()
        self.found = [self.value]
        self.hopeless = self._hopeless()

    def run(self, exact: bool, rounds: int) -> Intervals:
        self._shake(rounds)
        for t in np.flatnonzero(~self.exact if exact else ~self.exact & ~self._enough() & ~self.hopeless):
            if exact or self.linear:
                self._ends(int(t), exact)
            else:
                self._widths(int(t))
        self._fill()
        values = self._values()
        return Intervals(
            low=self.low,
            high=self.high,
            exact=self.exact,
            different=values,
            open=self._enough() & (values >= self.need.different),
        )

    def _enough(self) -> Bools:
        return _wide(self.value, self.low, self.high, self.need)

    def _widths(self, t: int) -> None:
        """Ask whether one number can be wide in halves and thirds, before whole numbers are looked for."""
        row, at = self.targets[[t]].toarray().ravel(), np.array([t])
        low, high = (self._relaxed_end(t, sign * row, sign) for sign in (1.0, -1.0))
        if not _wide(self.value[at], np.array([low]), np.array([high]), self.need.at(at))[0]:
            return
        reach = np.maximum(np.maximum(self.need.up, self.need.down), self.need.width)
        for sign in (1.0, -1.0):
            self._push(np.where(np.arange(self.value.size) == t, sign, 0.0), reach)

    def _relaxed_end(self, t: int, objective: Floats, sign: float) -> float:
        table, status = solve(self.left, objective, None, whole=False)
        if status == UNBOUNDED or table is None:
            return -sign * np.inf
        return float(self.shift[t] + sign * (objective @ table))

    def _can_be_wide(self, t: int) -> bool:
        """Tell whether a number whose largest value is known would be wide if it went down as far as its cells do."""
        at = np.array([t])
        low = self.shift[at] + self.targets[at] @ self.left.floor
        return bool(_wide(self.value[at], low, self.high[at], self.need.at(at))[0])

    def _hopeless(self) -> Bools:
        """Tell numbers that are too narrow already by the ends of each of their cells."""
        low, high = self.shift + self.targets @ self.left.floor, np.full(self.shift.size, np.inf)
        endless = self.targets @ (~np.isfinite(self.left.ceiling)).astype(float) > 0
        tops = self.targets @ np.where(np.isfinite(self.left.ceiling), self.left.ceiling, 0.0)
        high = np.where(endless, np.inf, self.shift + tops)
        return ~_wide(self.value, low, high, self.need)

    def _values(self) -> npt.NDArray[np.int64]:
        """Count the whole numbers that are known to be possible."""
        if not self.whole:
            return np.where(self.high - self.low > TOLERANCE, self.need.different, 1).astype(np.int64)
        tables = np.sort(np.round(np.stack(self.found)), axis=0)
        seen = 1 + (np.diff(tables, axis=0) > 0.5).sum(axis=0)
        if self.linear:
            seen = np.maximum(seen, np.minimum(self.high - self.low + 1 + TOLERANCE, MANY))
        return np.where(np.isfinite(self.high - self.low), seen, MANY).astype(np.int64)

    def _shake(self, rounds: int) -> None:
        """Move all numbers that are not yet wide enough, up or down by chance."""
        rng = np.random.default_rng(19)
        reach = np.maximum(np.maximum(self.need.up, self.need.down), self.need.width)
        for _ in range(rounds):
            wanting = ~self._enough() & ~self.hopeless
            if not wanting.any():
                return
            self._push(np.where(wanting, rng.choice([-1.0, 1.0], size=wanting.size), 0.0), reach)

    def _push(self, sign: Floats, reach: Floats) -> None:
        moved = np.flatnonzero(sign)
        at = (self.value - self.shift)[moved]
        limits = (self.targets[moved], at - reach[moved], at + reach[moved])
        self._take(self._solve(-(sign @ self.targets), limits)[0])

    def _take(self, table: Floats | None) -> None:
        if table is not None:
            found = self.targets @ table + self.shift
            self.low, self.high = np.minimum(self.low, found), np.maximum(self.high, found)
            self.found.append(found)

    def _ends(self, t: int, both: bool) -> None:
        """Ask for the largest and the smallest value of one number; unless `both`, only while it can be wide."""
        row = self.targets[[t]].toarray().ravel()
        self.exact[t] = True
        for sign in (-1.0, 1.0):
            if sign > 0 and not both and not self._can_be_wide(t):
                self.exact[t] = False
                return
            table, status = self._solve(sign * row)
            self._take(table)
            if status == UNBOUNDED:
                (self.low if sign > 0 else self.high)[t] = -sign * np.inf
            elif status != OPTIMAL:
                self.exact[t] = False

    def _fill(self) -> None:
        """Find tables for values in between, where several must stay possible."""
        for step, sign in itertools.product(range(1, self.need.different), (1.0, -1.0)):
            lacking = self._lacking()
            if not lacking.any():
                return
            self._push(np.where(lacking, sign, 0.0), np.full(lacking.size, float(step)))
        for t in np.flatnonzero(self._lacking()):
            self._fill_one(int(t))

    def _lacking(self) -> Bools:
        return self._enough() & (self._values() < self.need.different)

    def _fill_one(self, t: int) -> None:
        for value in range(int(np.ceil(self.low[t])), int(np.floor(self.high[t])) + 1):
            if self._values()[t] >= self.need.different:
                return
            if not any(round(found[t]) == value for found in self.found):
                at = np.array([value - self.shift[t]])
                self._take(self._solve(np.zeros(self.truth.size), (self.targets[[t]], at, at))[0])

    def _solve(
        self, objective: Floats, more: tuple["csr_array[Any]", Floats, Floats] | None = None
    ) -> tuple[Floats | None, int]:
        """Solve without whole numbers and, where the table is not whole, with them."""
        if not self.truth.size:
            return None, OPTIMAL
        table, status = solve(self.left, objective, more, whole=False)
        fractional = (
            table is not None and self.whole and bool((np.abs(table - np.round(table)) > TOLERANCE).any())
        )
        if not fractional and not (status == UNBOUNDED and self.whole):
            return (np.round(table) if table is not None and self.whole else table), status
        if status == UNBOUNDED:
            return None, status
        table, status = solve(self.left, objective, more, whole=True)
        return (None if table is None else np.round(table)), status


OPTIMAL, LIMIT, INFEASIBLE, UNBOUNDED = 0, 1, 2, 3


def solve(
    left: Any,
    objective: Floats,
    more: tuple["csr_array[Any]", Floats, Floats] | None,
    *,
    whole: bool,
) -> tuple[Floats | None, int]:
    """Minimise a linear form over the tables that agree with all facts; give the table and HiGHS's status."""
    from scipy.optimize import Bounds, LinearConstraint

    constraints = []
    if left.matrix.shape[0]:
        constraints.append(LinearConstraint(left.matrix, left.lower, left.upper))
    if more is not None and more[0].shape[0]:
        constraints.append(LinearConstraint(*more))
    found = programme(
        objective,
        integrality=np.full(objective.size, int(whole)),
        bounds=Bounds(left.floor, left.ceiling),
        constraints=constraints,
    )
    status = int(found.status)
    if status == 4 and "nbounded" in found.message:
        status = UNBOUNDED
    return found.x, status


def programme(
    objective: Floats, *, integrality: npt.NDArray[Any], bounds: Any, constraints: list[Any]
) -> Any:
    """Solve a programme, the same on every machine: a search is cut off by its nodes and never by the clock."""
    from scipy.optimize import milp

    with _aside(bool(integrality.any())):
        return milp(
            objective,
            integrality=integrality,
            bounds=bounds,
            constraints=constraints,
            options={"node_limit": NODES, "mip_rel_gap": 0.0},
        )


@contextlib.contextmanager
def _aside(needed: bool) -> Iterator[None]:
    """Send to the error stream what HiGHS 1.12 prints on its own while it searches: a command may be writing JSON."""
    try:
        kept = os.dup(1) if needed else -1
    except OSError:  # there is no standard output
        kept = -1
    if kept < 0:
        yield
        return
    try:
        _flush()
        os.dup2(2, 1)
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    """Let C write out what it holds back, where it can be reached."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)


def _stacked(first: "csr_array[Any]", second: "csr_array[Any]") -> "csr_array[Any]":
    """Put two sets of sums together; a single cell is nested in whatever it meets, so it is left out."""
    from scipy.sparse import vstack

    both: csr_array[Any] = vstack([first, second], format="csr")
    return both[np.flatnonzero(np.diff(both.indptr) > 1)]


def _wide(value: Floats, low: Floats, high: Floats, need: Need) -> Bools:
    return np.asarray(
        (value - low >= need.down - TOLERANCE)
        & (high - value >= need.up - TOLERANCE)
        & (high - low >= need.width - TOLERANCE)
    )


def _check(known: Knowledge, truth: Floats) -> None:
    values = known.matrix @ truth
    wrong = (values < known.lower - TOLERANCE) | (values > known.upper + TOLERANCE)
    outside = (truth < known.floor - TOLERANCE) | (truth > known.ceiling + TOLERANCE)
    if wrong.any() or outside.any():
        raise SettingError(
            f"{int(wrong.sum() + outside.sum())} of the facts to be audited do not agree with the table that they "
            f"are about; give the base cells that the shown numbers were counted from"
        )
