"""Which further numbers are withheld, so that the withheld ones do not follow from what is shown."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats
from hiddenpop.disclosure.linear import Intervals, Knowledge, Need, infer, programme
from hiddenpop.errors import SettingError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Numbers", "Pattern", "TooNarrowError", "suppress"]

Places = npt.NDArray[np.int64]

FURTHEST = 10.0
"""No number is moved by more than this many times the width asked for, which keeps the programme well scaled."""

NEIGHBOURS = 300
"""Cells that a first search for cover looks at; four times as many each time it finds none."""

TOGETHER = 4
"""Open numbers near each other that are covered by one programme."""


class TooNarrowError(SettingError):
    """A small number follows too narrowly, whatever else is withheld."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """The numbers of a release, each a sum of base cells, with what the rules ask of each.

    Attributes
    ----------
    cells : tuple of str, length b
        Labels of the base cells.
    matrix : csr_array, shape (q, b)
        One row per number; no two rows are equal.
    truth : ndarray, shape (b,)
        The base cells as they are.
    floor, ceiling : ndarray, shape (b,)
        What everybody knows of each base cell.
    cost : ndarray, shape (q,)
        Of withholding each number; positive.
    primary : ndarray of bool, shape (q,)
        Must be withheld.
    fixed : ndarray of bool, shape (q,)
        Must not be withheld.
    need : Need
        What the interval of each number must be where it is primary; of size q.
    low, high : ndarray, shape (q,)
        What the mark of each number says, should it be withheld.
    whole : bool
    hidden : ndarray of bool, shape (q,), optional
        Not shown from the start, and in no need of protection: what was withheld or rounded earlier.
    shown : tuple of ndarray, each of shape (q,), optional
        The ends between which each number is for somebody who sees it shown: apart where it is rounded. Both are the
        number itself by default.
    """

    cells: tuple[str, ...]
    matrix: "csr_array[Any]"
    truth: Floats
    floor: Floats
    ceiling: Floats
    cost: Floats
    primary: Bools
    fixed: Bools
    need: Need
    low: Floats
    high: Floats
    whole: bool = True
    hidden: Bools | None = None
    shown: tuple[Floats, Floats] | None = None

    @property
    def start(self) -> Bools:
        """What is withheld before any cover is bought."""
        return self.primary if self.hidden is None else self.primary | self.hidden

    @property
    def amounts(self) -> Floats:
        """The numbers as they are."""
        return np.asarray(self.matrix @ self.truth)

    def known(self, withheld: Bools) -> Knowledge:
        """Say what is known when some numbers are withheld."""
        low, high = self.shown or (self.amounts, self.amounts)
        return Knowledge(
            cells=self.cells,
            matrix=self.matrix,
            lower=np.where(withheld, self.low, low),
            upper=np.where(withheld, self.high, high),
            floor=self.floor,
            ceiling=self.ceiling,
            whole=self.whole,
        )

    def only_moving(self, cells: Places) -> "Numbers":
        """Give the same numbers where all other cells are known: what is open then is open all the more without."""
        inside = np.zeros(self.truth.size, dtype=bool)
        inside[cells] = True
        return replace(
            self,
            floor=np.where(inside, self.floor, self.truth),
            ceiling=np.where(inside, self.ceiling, self.truth),
        )

    def audit(self, withheld: Bools, of: Places, *, exact: bool = False) -> Intervals:
        """Infer the intervals of some numbers."""
        return infer(self.known(withheld), self.matrix[of], self.truth, self.need.at(of), exact=exact)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pattern:
    """Which numbers are withheld.

    Attributes
    ----------
    withheld : ndarray of bool, shape (q,)
    cost : float
        Of all withheld numbers together.
    optimal : bool
        Whether no pattern costs less, proven.
    """

    withheld: Bools
    cost: float
    optimal: bool


def suppress(numbers: Numbers, *, exact_up_to: int = 100) -> Pattern:
    """Withhold further numbers, at the least cost, until no primary number follows too narrowly.

    Parameters
    ----------
    numbers : Numbers
    exact_up_to : int
        Up to so many numbers one programme finds the cheapest pattern; above, cover is bought number by number.

    Returns
    -------
    Pattern

    Raises
    ------
    TooNarrowError
        If no pattern is enough, because numbers that may not be withheld tell too much.

    Notes
    -----
    A number is safe when two tables agree with all that is shown and differ enough in it. The exact programme holds
    two tables for every primary number; in them a number may differ from the true one only if it is withheld. For
    many numbers the same programme is solved for one open number at a time, among the cells near it: first the audit,
    then cover for what it finds open, then what has become superfluous is shown again, and the audit once more.

    References
    ----------
    Fischetti, M. and Salazar, J. J. (2000). Models and algorithms for optimizing cell suppression in tabular data with
    linear constraints. Journal of the American Statistical Association 95(451), 916-928.
    doi:10.1080/01621459.2000.10474282
    """
    if not numbers.primary.any():
        return Pattern(withheld=numbers.start.copy(), cost=0.0, optimal=True)
    found = None
    if numbers.primary.size <= exact_up_to:
        found = _exact(numbers)
    return found or _bought(numbers)


def _exact(numbers: Numbers) -> Pattern | None:
    """Find the cheapest pattern by one programme; None where it is not enough for whole numbers, or was cut off."""
    everything = np.arange(numbers.primary.size), np.arange(numbers.truth.size)
    targets = np.flatnonzero(numbers.primary)
    withheld, proven = _programme(numbers, numbers.start, targets, *everything)
    if withheld is None:
        return None
    safe = bool(numbers.audit(withheld, targets).open.all())
    return Pattern(withheld=withheld, cost=_cost(numbers, withheld), optimal=proven) if safe else None


def _cost(numbers: Numbers, withheld: Bools) -> float:
    return float(numbers.cost[withheld].sum())


def _bought(numbers: Numbers) -> Pattern:
    """Audit first, cover what is narrow, show again what is superfluous, and cover what that has opened.

    What is open with nothing but the primary numbers withheld stays open whatever is withheld besides, so all that
    follows is about the narrow ones alone.
    """
    primary = np.flatnonzero(numbers.primary)
    narrow = primary[~numbers.audit(numbers.start, primary).open]
    withheld = _protected(numbers, numbers.start.copy(), narrow)
    less = _without_superfluous(numbers, withheld, narrow)
    if less.sum() < withheld.sum():
        left = narrow[~numbers.audit(less, narrow).open]
        withheld = min(_protected(numbers, less, left), withheld, key=lambda p: _cost(numbers, p))
    return Pattern(withheld=withheld, cost=_cost(numbers, withheld), optimal=False)


def _protected(numbers: Numbers, withheld: Bools, narrow: Places) -> Bools:
    """Cover numbers that are too narrow, the largest first. Withholding more never narrows an interval."""
    left = narrow[np.argsort(-numbers.amounts[narrow], kind="stable")]
    while left.size:
        withheld, left = _covered(numbers, withheld, left)
    return withheld


def _covered(numbers: Numbers, withheld: Bools, narrow: Places) -> tuple[Bools, Places]:
    """Buy cover for the first narrow number and those near it, among the cells near it; further away if need be.

    Gives the pattern and the numbers that are still to be covered.
    """
    size, extra = NEIGHBOURS, 0.0
    while True:
        cells = _near(numbers, withheld, int(narrow[0]), size)
        inside = np.zeros(numbers.truth.size)
        inside[cells] = 1.0
        within = np.asarray(numbers.matrix[narrow] @ inside == np.diff(numbers.matrix.indptr)[narrow])
        group = narrow[within][:TOGETHER]
        rows = np.flatnonzero(np.diff(numbers.matrix[:, cells].tocsr().indptr))
        more, _ = _programme(numbers, withheld, group, rows, cells, extra)
        if more is not None and numbers.only_moving(cells).audit(more, group).open.all():
            return more, np.setdiff1d(narrow, group, assume_unique=True)
        if cells.size == numbers.truth.size:
            if extra > numbers.need.different or more is None:
                break
            extra += 1.0
        size *= 4
    raise TooNarrowError(
        "a number that must be withheld follows too narrowly from numbers that may not be; allow more numbers to be "
        "withheld, or show fewer tables"
    )


def _near(numbers: Numbers, withheld: Bools, number: int, size: int) -> Places:
    """Give some cells that share small sums with a number, or with cells that do; the cheapest of each kind."""
    price = np.zeros(numbers.truth.size)
    single = np.flatnonzero((np.diff(numbers.matrix.indptr) == 1) & ~withheld)
    price[numbers.matrix.indices[numbers.matrix.indptr[single]]] = numbers.cost[single]
    chosen = np.zeros(numbers.truth.size, dtype=bool)
    chosen[_members(numbers, np.array([number]))] = True
    reached = chosen
    for share in (0.4, 1.0):
        reached = _next_to(numbers, reached, size)
        for fresh in (reached & ~chosen & (price > 0), reached & ~chosen & (price == 0)):
            places = np.flatnonzero(fresh)
            order = np.argsort(np.where(price > 0, price, -numbers.truth)[places], kind="stable")
            chosen[places[order][: round(share * size / 2)]] = True
    return np.flatnonzero(chosen)


def _members(numbers: Numbers, rows: Places) -> Places:
    return np.unique(numbers.matrix[rows].indices)


def _next_to(numbers: Numbers, reached: Bools, size: int) -> Bools:
    """Add the cells of all sums that a cell is in, as long as the sums are small."""
    sizes = np.diff(numbers.matrix.indptr)
    touching = np.asarray(numbers.matrix @ reached.astype(float)) > 0
    wider = reached.copy()
    wider[_members(numbers, np.flatnonzero(touching & (sizes <= size)))] = True
    return wider


def _programme(
    numbers: Numbers,
    withheld: Bools,
    targets: Places,
    rows: Places,
    cells: Places,
    extra: float = 0.0,
) -> tuple[Bools | None, bool]:
    """Find the cheapest numbers to withhold besides, so that two tables differ enough in every target.

    Only `cells` move and only `rows`, all that they are in, are looked at. Gives the pattern (None where there is
    none) and whether it is proven the cheapest.
    """
    from scipy.optimize import Bounds, LinearConstraint
    from scipy.sparse import csr_array, eye_array, hstack, kron, vstack

    part = numbers.matrix[rows][:, cells].tocsr()
    values, need = numbers.amounts[rows], numbers.need.at(targets)
    reach = FURTHEST * max(1.0, float(np.max([need.up, need.down, need.width])) + extra)
    buyable = ~(withheld | numbers.fixed)[rows]
    ends = numbers.shown or (numbers.amounts, numbers.amounts)
    near = ends[0][rows] - values, ends[1][rows] - values
    low = np.where(withheld[rows] | buyable, np.minimum(numbers.low[rows] - values, near[0]), near[0])
    high = np.where(withheld[rows] | buyable, np.maximum(numbers.high[rows] - values, near[1]), near[1])
    low, high = np.maximum(low, -reach), np.minimum(high, reach)
    copies = 2 * targets.size
    moves = kron(eye_array(copies), part, format="csr")
    bought = np.flatnonzero(buyable)
    switch = csr_array(
        (np.ones(bought.size), (bought, np.arange(bought.size))), shape=(rows.size, bought.size)
    )
    switches = vstack([switch] * copies, format="csr")
    lows, highs = np.tile(low, copies), np.tile(high, copies)
    still = np.tile(np.maximum(near[0], -reach), copies), np.tile(np.minimum(near[1], reach), copies)
    always, sometimes = np.tile(~buyable, copies), np.tile(buyable, copies)
    whole, some = np.flatnonzero(always), np.flatnonzero(sometimes)
    empty = csr_array((whole.size, bought.size))
    target = numbers.matrix[targets][:, cells].tocsr()
    wanted = _wanted(target, targets.size, cells.size)
    blank = csr_array((3 * targets.size, bought.size))
    ask = np.stack([need.up, need.down, need.width + extra], axis=1).ravel()
    facts = (
        (hstack([moves[whole], empty], format="csr"), lows[whole], highs[whole]),
        (_bought_room(moves[some], switches[some], (highs - still[1])[some]), -np.inf, still[1][some]),
        (_bought_room(moves[some], switches[some], (lows - still[0])[some]), still[0][some], np.inf),
        (hstack([wanted, blank], format="csr"), ask, np.inf),
    )
    constraints = [LinearConstraint(*fact) for fact in facts if fact[0].shape[0]]
    known = numbers.floor - numbers.truth, numbers.ceiling - numbers.truth
    found = programme(
        np.concatenate([np.zeros(moves.shape[1]), numbers.cost[rows][bought]]),
        integrality=np.concatenate([np.zeros(moves.shape[1]), np.ones(bought.size)]),
        bounds=Bounds(
            np.concatenate([np.tile(np.maximum(known[0][cells], -reach), copies), np.zeros(bought.size)]),
            np.concatenate([np.tile(np.minimum(known[1][cells], reach), copies), np.ones(bought.size)]),
        ),
        constraints=constraints,
    )
    if found.x is None:
        return None, False
    more = withheld.copy()
    more[rows[bought[found.x[moves.shape[1] :] > 0.5]]] = True
    return more, found.status == 0


def _bought_room(moves: "csr_array[Any]", switches: "csr_array[Any]", room: Floats) -> "csr_array[Any]":
    """Give rows that say: a number moves no further than what is shown of it lets, and `room` more if it is bought."""
    from scipy.sparse import hstack

    found: csr_array[Any] = hstack([moves, -switches.multiply(room[:, None])], format="csr")
    return found


def _wanted(target: "csr_array[Any]", n: int, width: int) -> "csr_array[Any]":
    """Make three rows a target: how far the first table goes up, the second down, and both together."""
    from scipy.sparse import coo_array

    entries = target.tocoo()
    first, second = 2 * entries.row * width + entries.col, (2 * entries.row + 1) * width + entries.col
    at = 3 * entries.row
    rows = np.concatenate([at, at + 1, at + 2, at + 2])
    columns = np.concatenate([first, second, first, second])
    data = np.concatenate([entries.data, -entries.data, entries.data, -entries.data])
    return coo_array((data, (rows, columns)), shape=(3 * n, 2 * n * width)).tocsr()


def _without_superfluous(numbers: Numbers, withheld: Bools, narrow: Places) -> Bools:
    """Show again, dearest first, what protects no narrow number near it."""
    secondary = np.flatnonzero(withheld & ~numbers.start)
    for number in secondary[np.argsort(-numbers.cost[secondary], kind="stable")]:
        less = withheld.copy()
        less[number] = False
        if _safe_near(numbers, less, int(number), narrow):
            withheld = less
    return withheld


def _safe_near(numbers: Numbers, withheld: Bools, number: int, narrow: Places) -> bool:
    """Tell whether narrow numbers near a number are wide even where no cell further away moves."""
    cells = _near(numbers, withheld, number, NEIGHBOURS)
    inside = np.zeros(numbers.truth.size)
    inside[cells] = 1.0
    near = narrow[np.asarray(numbers.matrix[narrow] @ inside) > 0]
    return bool(numbers.only_moving(cells).audit(withheld, near).open.all())
