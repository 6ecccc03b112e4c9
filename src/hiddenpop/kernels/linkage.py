"""Linkage errors between capture histories: what missed and false links make of a table, and the way back.

Missed links. Each record of a person on two lists or more comes loose with the chance of its list, independently of the
others, and then counts as a person on that list alone. With r_i the chance of list i, a person of history h leaves

    M[w, h] = product over i in w of (1 - r_i) * product over i in h but not in w of r_i   (w within h)

records of history w that still hold together, and besides, for each list i of h, r_i records of history {i}. That is
right for a person on one list too, who stays one. A person who is split counts twice or more, so the columns of M add
up to more than 1; the totals of the lists never change.

False links. Those caught are paired at random, a share `rate` of the pairs is taken for one person on all lists of
both, and a pair with one history is left as it is, as persons are told apart within a list. Of n persons,
``rate / (n - 1) * n_g * n_h`` pairs of different histories g and h are joined on average: quadratic in the counts.

Missed links come first, and false links are made among what they leave.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from hiddenpop._typing import Floats

__all__ = [
    "Corrected",
    "corrected_counts",
    "false_links",
    "missed_links",
    "transition_matrix",
    "without_false_links",
    "without_missed_links",
]

Method = Literal["inverse", "em"]

ROUNDING = 1e-9
"""As a share of the persons observed: a cell this little below 0 is rounding."""

NEARLY_ZERO = 1e-6
"""Persons. EM approaches an empty cell at a geometric rate and never reaches it."""

TOLERANCE = 1e-10
"""Largest change of a cell in a step, as a share of the persons observed, at which an iteration has arrived."""

MOST_STEPS = 2_000


@dataclass(frozen=True, slots=True)
class Corrected:
    """Counts of persons that explain counts of records.

    Attributes
    ----------
    counts : ndarray of float, shape (2**t,)
        Persons by history, not whole numbers; element 0 is 0. Negative cells are possible with ``"inverse"``.
    method : {"inverse", "em"}
    misfit : float
        Deviance of the records from what `counts` leave on average; 0 for an inverse.
    n_at_zero : int
        Cells that EM holds at 0 against the records.
    lowest : float
        Smallest cell of the inverse, in persons; nan where there is no inverse.
    lowest_history : int
        Its history.
    converged : bool
    """

    counts: Floats
    method: Method
    misfit: float
    n_at_zero: int
    lowest: float
    lowest_history: int
    converged: bool

    @property
    def is_negative(self) -> bool:
        """Whether a cell is negative beyond rounding."""
        return bool(self.counts.min() < -ROUNDING * self.counts.sum())


def missed_links(counts: Floats, rates: Floats) -> Floats:
    """Give the records by history that persons leave on average when records come loose: ``M n``.

    Parameters
    ----------
    counts : ndarray, shape (2**t,)
        Persons by history; element 0 is not used.
    rates : ndarray, shape (t,)
        Chance, by list, that a record comes loose.

    Returns
    -------
    ndarray, shape (2**t,)

    Examples
    --------
    >>> missed_links(np.array([0.0, 0.0, 0.0, 100.0]), np.array([0.1, 0.2])).round(6).tolist()
    [0.0, 28.0, 28.0, 72.0]
    """
    cells = counts.copy()
    for i, rate in enumerate(rates):
        off, on = _halves(cells, i)
        off += rate * on
        on *= 1.0 - rate
    cells[_singles(len(rates))] += rates * _list_totals(counts, len(rates))
    cells[0] = 0.0
    return cells


def without_missed_links(counts: Floats, rates: Floats) -> Floats:
    """Solve ``M n = counts`` for the persons behind records that came loose.

    Parameters
    ----------
    counts : ndarray, shape (2**t,)
        Records by history; element 0 is not used.
    rates : ndarray, shape (t,)
        Chances below 1.

    Returns
    -------
    ndarray, shape (2**t,)
        Cells may be negative: then no persons leave exactly these records on average.

    Examples
    --------
    >>> records = np.array([0.0, 28.0, 28.0, 72.0])
    >>> without_missed_links(records, np.array([0.1, 0.2])).round(6).tolist()
    [0.0, 0.0, 0.0, 100.0]
    """
    cells = counts.copy()
    cells[_singles(len(rates))] -= rates * _list_totals(counts, len(rates))
    for i, rate in enumerate(rates):
        off, on = _halves(cells, i)
        on /= 1.0 - rate
        off -= rate * on
    cells[0] = 0.0
    return cells


def _missed_transposed(values: Floats, rates: Floats) -> Floats:
    """Give ``M' v``: for each history of a person, the sum of the values of the records."""
    cells, singles = values.copy(), values[_singles(len(rates))]
    cells[0] = 0.0
    for i, rate in enumerate(rates):
        off, on = _halves(cells, i)
        on *= 1.0 - rate
        on += rate * off
    for i, rate in enumerate(rates):
        _halves(cells, i)[1][...] += rate * singles[i]
    cells[0] = 0.0
    return cells


def transition_matrix(rates: Floats) -> Floats:
    """Give the matrix M of missed links: records of a history (rows) by history of the person (columns).

    Parameters
    ----------
    rates : ndarray, shape (t,)

    Returns
    -------
    ndarray, shape (2**t - 1, 2**t - 1)
        Row and column i belong to history i + 1.

    Examples
    --------
    >>> transition_matrix(np.array([0.1, 0.2])).round(6).tolist()
    [[1.0, 0.0, 0.28], [0.0, 1.0, 0.28], [0.0, 0.0, 0.72]]
    """
    identity = np.eye(1 << len(rates))
    return np.array([missed_links(row, rates) for row in identity]).T[1:, 1:]


def false_links(counts: Floats, rate: float) -> Floats:
    """Give the records by history that persons leave on average when some are taken for one.

    Parameters
    ----------
    counts : ndarray, shape (2**t,)
        Persons by history; element 0 is not used.
    rate : float
        Share of the pairs that are joined.

    Returns
    -------
    ndarray, shape (2**t,)

    Examples
    --------
    >>> false_links(np.array([0.0, 60.0, 41.0, 0.0]), 0.5).round(6).tolist()
    [0.0, 47.7, 28.7, 12.3]
    """
    return _joined(counts, counts, rate)


def _joined(counts: Floats, others: Floats, rate: float) -> Floats:
    """Join persons with partners taken from `others`; each person brings half of what a pair leaves."""
    share = rate / max(float(others.sum()) - 1.0, 1.0)
    pairs = _unions(counts, others) - counts * others
    return counts * (1.0 - share * (others.sum() - others)) + 0.5 * share * pairs


def _joined_transposed(values: Floats, others: Floats, rate: float) -> Floats:
    """Give the transpose of `_joined` in its first argument."""
    share = rate / max(float(others.sum()) - 1.0, 1.0)
    moebius = _cumulated(values, _MOEBIUS_UP)
    pairs = _cumulated(_cumulated(others, _SUBSETS) * moebius, _SUPERSETS) - others * values
    return values * (1.0 - share * (others.sum() - others)) + 0.5 * share * pairs


def without_false_links(counts: Floats, rate: float) -> tuple[Floats, bool]:
    """Find the persons who leave `counts` on average when a share of the pairs is joined.

    Parameters
    ----------
    counts : ndarray, shape (2**t,)
        Records by history; element 0 is not used.
    rate : float
        Share of the pairs that were joined, below 1/2.

    Returns
    -------
    cells : ndarray, shape (2**t,)
        Persons; cells may be negative.
    converged : bool

    Examples
    --------
    >>> cells, converged = without_false_links(np.array([0.0, 47.7, 28.7, 12.3]), 0.5)
    >>> cells[1:3].round(6).tolist(), converged
    ([60.0, 41.0], True)
    """
    cells = counts.copy()
    cells[0] = 0.0
    target, scale = cells.copy(), max(float(cells.sum()), 1.0)
    for _ in range(MOST_STEPS):
        step = target - false_links(cells, rate)
        cells = cells + step
        if not np.isfinite(step).all() or np.abs(step).max() > 10.0 * scale:
            return target, False
        if np.abs(step).max() <= TOLERANCE * scale:
            return cells, True
    return cells, False


def corrected_counts(
    counts: Floats, missed: Floats, false: float, method: Literal["auto", "inverse", "em"] = "auto"
) -> Corrected:
    """Take missed and false links out of a table.

    Parameters
    ----------
    counts : ndarray, shape (2**t,)
        Records by history; element 0 is not used.
    missed : ndarray, shape (t,)
        Chance, by list, that a record comes loose; below 1.
    false : float
        Share of the pairs that are joined, below 1/2.
    method : {"auto", "inverse", "em"}
        ``"inverse"`` solves for persons who leave exactly these records on average. ``"em"`` keeps every cell at 0 or
        above and comes as near as it can. ``"auto"`` takes the inverse unless it has negative cells.

    Returns
    -------
    Corrected

    Notes
    -----
    EM is that of Poisson counts with a known matrix: each cell is multiplied by the mean ratio of records found to
    records expected over the records that its persons leave. False links depend on the persons themselves; in each step
    partners are taken from the cells as they stand. Steps are extrapolated (Varadhan & Roland 2008).

    References
    ----------
    Varadhan, R. and Roland, C. (2008). Simple and globally convergent methods for accelerating the convergence of any
    EM algorithm. Scandinavian Journal of Statistics 35(2), 335-353.

    Examples
    --------
    >>> corrected_counts(np.array([0.0, 28.0, 28.0, 72.0]), np.array([0.1, 0.2]), 0.0).counts.round(6).tolist()
    [0.0, 0.0, 0.0, 100.0]
    """
    inverse = _inverse(counts, missed, false)
    if method == "inverse" or (method == "auto" and inverse.converged and not inverse.is_negative):
        return inverse
    return _em(counts, missed, false, inverse)


def _inverse(counts: Floats, missed: Floats, false: float) -> Corrected:
    held, converged = without_false_links(counts, false)
    cells = without_missed_links(held, missed)
    at = 1 + int(np.argmin(cells[1:]))
    lowest = float(cells[at]) if converged else math.nan
    return Corrected(cells, "inverse", 0.0, 0, lowest, at, converged)


def _em(counts: Floats, missed: Floats, false: float, inverse: Corrected) -> Corrected:
    records = counts.copy()
    records[0] = 0.0
    # A cell that starts at 0 stays there, and one that nobody's records reach may hold persons whose links were missed.
    cells = (
        np.maximum(inverse.counts, 0.01 * records.sum() / len(records))
        if inverse.converged
        else records + 1.0
    )
    cells[0] = 0.0
    scale = float(records.sum())
    cells, converged = _climb(records, cells, missed, false, TOLERANCE * scale)
    cells[cells < NEARLY_ZERO] = 0.0
    at_zero = int(np.sum((cells == 0.0) & (inverse.counts < -ROUNDING * scale)))
    misfit = _misfit(records, cells, missed, false)
    return Corrected(cells, "em", misfit, at_zero, inverse.lowest, inverse.lowest_history, converged)


def _climb(
    records: Floats, cells: Floats, missed: Floats, false: float, tolerance: float
) -> tuple[Floats, bool]:
    """Take EM steps, two at a time with a leap along their direction that is kept where it fits better."""
    for _ in range(MOST_STEPS):
        first = _em_step(records, cells, missed, false)
        second = _em_step(records, first, missed, false)
        if np.abs(second - first).max() <= tolerance:
            return second, True
        leapt = _em_step(records, _leap(cells, first, second), missed, false)
        better = _misfit(records, leapt, missed, false) <= _misfit(records, second, missed, false)
        cells = leapt if better else second
    return cells, False


def _leap(start: Floats, first: Floats, second: Floats) -> Floats:
    """Extrapolate two steps of a slow iteration by the squared scheme of Varadhan and Roland."""
    step, bend = first - start, second - 2.0 * first + start
    length = max(float(np.linalg.norm(step)) / max(float(np.linalg.norm(bend)), 1e-300), 1.0)
    leapt = start + 2.0 * length * step + length**2 * bend
    return np.where(leapt > 0.0, leapt, second)


def _misfit(records: Floats, cells: Floats, missed: Floats, false: float) -> float:
    return _deviance(records[1:], false_links(missed_links(cells, missed), false)[1:])


def _em_step(records: Floats, cells: Floats, missed: Floats, false: float) -> Floats:
    held = missed_links(cells, missed)
    expected = false_links(held, false)
    ratio = np.divide(records, expected, out=np.zeros_like(records), where=expected > 0.0)
    everything = np.ones_like(records)
    everything[0] = 0.0
    up = _missed_transposed(_joined_transposed(ratio, held, false), missed)
    reach = _missed_transposed(_joined_transposed(everything, held, false), missed)
    return cells * np.divide(up, reach, out=np.zeros_like(up), where=reach > 0.0)


def _deviance(found: Floats, expected: Floats) -> float:
    terms = xlogy(
        found, np.divide(found, expected, out=np.ones_like(found), where=(found > 0) & (expected > 0))
    )
    missing = bool(np.any((found > 0.0) & (expected <= 0.0)))
    return math.inf if missing else max(float(2.0 * (terms - found + expected).sum()), 0.0)


# --- transforms on the lattice of histories --------------------------------------------------------------------------

_SUBSETS, _MOEBIUS, _SUPERSETS, _MOEBIUS_UP = (1, 0, 1.0), (1, 0, -1.0), (0, 1, 1.0), (0, 1, -1.0)
"""Which half receives, which gives, and the sign."""


def _halves(cells: Floats, position: int) -> tuple[Floats, Floats]:
    """Give views of the cells without and with a list."""
    view = cells.reshape(-1, 2, 1 << position)
    return view[:, 0], view[:, 1]


def _cumulated(cells: Floats, way: tuple[int, int, float]) -> Floats:
    result = cells.copy()
    to, source, sign = way
    for i in range(len(cells).bit_length() - 1):
        halves = _halves(result, i)
        halves[to][...] += sign * halves[source]
    return result


def _unions(counts: Floats, others: Floats) -> Floats:
    """Sum ``counts[g] * others[h]`` over all g and h by the lists that they have together."""
    return _cumulated(_cumulated(counts, _SUBSETS) * _cumulated(others, _SUBSETS), _MOEBIUS)


def _singles(n_lists: int) -> npt.NDArray[np.int64]:
    singles: npt.NDArray[np.int64] = 1 << np.arange(n_lists, dtype=np.int64)
    return singles


def _list_totals(counts: Floats, n_lists: int) -> Floats:
    return np.array([float(_halves(counts, i)[1].sum()) for i in range(n_lists)])


# === two lists with linkage errors, in closed form ====================================================================


@dataclass(frozen=True, slots=True)
class LinkedPair:
    """What two lists would show without linkage errors.

    Attributes
    ----------
    overlap : float
        Persons on both lists.
    n_observed : float
        Persons on one list at least: the records of both lists less the overlap.
    n_hat : float
        The number of Petersen, ``n1 n2 / overlap``; inf without overlap, nan when the rates cannot be.
    reason : str
        Why the rates cannot be; empty when they can.
    """

    overlap: float
    n_observed: float
    n_hat: float
    reason: str = ""


def corrected_pair(
    first: float,
    second: float,
    linked: float,
    *,
    missed: float = 0.0,
    false_first: float = 0.0,
    false_second: float = 0.0,
    false_share: float = 0.0,
) -> LinkedPair:
    """Correct the overlap of two lists for missed and false links.

    Parameters
    ----------
    first, second : float
        Records of each list, one a person.
    linked : float
        Records of the first list that were linked to one of the second.
    missed : float
        Chance that the link of a person on both lists is missed.
    false_first : float
        Chance that a record of the first list whose person is not on the second is linked to another person there.
    false_second : float
        The same for records of the second list.
    false_share : float
        Share of the links made that join two persons: 1 less the precision of the linkage.

    Returns
    -------
    LinkedPair

    Notes
    -----
    With n1 and n2 records, m persons on both, and a link that was missed not made up by a false one,

        E linked (1 - false_share) = m (1 - missed) + (n1 - m) false_first + (n2 - m) false_second,

    which is solved for m. With `missed` alone ``m = linked / (1 - missed)`` and ``N = n1 n2 (1 - missed) / linked``;
    the links that were missed also made the union of records, ``n1 + n2 - linked``, too large. With one of the two
    false rates it is the one-directional correction of Ding and Fienberg (1994); with both, links are made from either
    side. A false link takes one record of each list, so that for lists of unequal size the two rates that describe the
    same links differ: ``(n1 - m) false_first = (n2 - m) false_second``. Give such links once, on the side where the
    rate was measured.

    References
    ----------
    Ding, Y. and Fienberg, S. E. (1994). Dual system estimation of census undercount in the presence of matching error.
    Survey Methodology 20(2), 149-158.
    Di Consiglio, L. and Tuoto, T. (2015). Coverage evaluation on probabilistically linked data. Journal of Official
    Statistics 31(3), 415-429. doi:10.1515/jos-2015-0025

    Examples
    --------
    >>> pair = corrected_pair(500, 400, 90, missed=0.1)
    >>> round(pair.overlap), round(pair.n_observed), round(pair.n_hat)
    (100, 800, 2000)
    """
    kept = 1.0 - missed - false_first - false_second
    if kept <= 0.0:
        return LinkedPair(
            math.nan, math.nan, math.nan, "links are as likely between strangers as for a person"
        )
    overlap = ((1.0 - false_share) * linked - false_first * first - false_second * second) / kept
    if overlap < 0.0:
        return LinkedPair(math.nan, math.nan, math.nan, "more false links than there are links")
    if overlap > min(first, second):
        return LinkedPair(
            math.nan, math.nan, math.nan, "more missed links than there are records without a link"
        )
    n_hat = first * second / overlap if overlap > 0.0 else math.inf
    return LinkedPair(overlap, first + second - overlap, n_hat)
