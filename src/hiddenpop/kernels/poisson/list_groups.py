"""Groups of lists that are independent of each other, any number of them, on the non-empty cells.

With the dark figure supposed, the fit falls apart into one of each group, with the persons on none of its lists known.
Where every interaction of a group is free its fitted margin is the observed one, in closed form; else a small table of
all its histories is fitted. The dark figure is then the root of one equation, and no table of 2**t cells is needed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import xlogy

from hiddenpop._typing import Floats, Ints
from hiddenpop.histories import project
from hiddenpop.kernels.poisson.dense import DenseFit, fit_design, poisson_deviance
from hiddenpop.kernels.poisson.faces import (
    ROUNDING,
    FitStatus,
    direction_over_rows,
    face_with_nobody,
    facial_set,
    lattice_design,
    null_space,
)
from hiddenpop.kernels.poisson.model_fit import NUMBER_BY_STATUS, estimable
from hiddenpop.kernels.poisson.plain import fit_one, independent_terms, live_part, superset_sums
from hiddenpop.kernels.poisson.profile import HiddenProfile, bracketed_root, information_of

__all__ = ["GroupFit", "ListGroup", "dark_figure", "fit_groups", "free_group", "profile_of_groups"]


LEAST_LOG, MOST_LOG = -690.0, 690.0
"""Logarithms of the smallest and the largest dark figure that is a number."""

ROOT_PRECISION = 1e-13
QUICK_PRECISION = 1e-8
"""Of the root by quick fits; a Newton step by exact ones squares what is left."""

MOST_POLISHING = 20

AS_GOOD_AS_INFINITE = 1e8
"""A dark figure of so many times the observed leaves the means within 1e-8 of their limit."""


@dataclass(frozen=True, slots=True)
class ListGroup:
    """Lists that may depend on each other, and on no list outside.

    Attributes
    ----------
    lists : tuple of int
        Their positions.
    terms : tuple of int, or None
        Masks over the lists of the group, without the intercept; None where all interactions are free.
    shifts : ndarray, shape (2**k,), or None
        Added to the log mean of each history of the group; 0 for that of nobody. None where all are free.
    """

    lists: tuple[int, ...]
    terms: tuple[int, ...] | None = None
    shifts: Floats | None = None


def free_group(lists: Sequence[int]) -> ListGroup:
    """Give a group whose interactions are all free.

    Examples
    --------
    >>> free_group([3, 5]).lists
    (3, 5)
    """
    return ListGroup(tuple(lists))


@dataclass(frozen=True, slots=True)
class GroupFit:
    """A fitted model of independent groups of lists.

    Attributes
    ----------
    status : {"ok", "boundary", "unbounded", "not_identified"}
    n0 : float
        The dark figure: finite when the status is ``"ok"``, 0 at the ``"boundary"``, inf when ``"unbounded"``, nan when
        ``"not_identified"``.
    log_n0_variance : float
        Variance of its logarithm; nan unless the status is ``"ok"``.
    deviance : float
        On all observable cells.
    means : ndarray, shape (m,)
        Of the non-empty cells.
    rank : int
        Parameters that the data determine.
    terms : tuple of int
        Masks of lists, the intercept (0) last.
    coefficients, standard_errors : ndarray, shape (p,)
        One a term: ``-inf`` where nobody is on all of these lists, nan where the data do not determine it.
    by_captures : ndarray, shape (t,), or None
        Persons expected on 1, ..., t lists; None where the dark figure is unbounded.
    converged : bool
    """

    status: FitStatus
    n0: float
    log_n0_variance: float
    deviance: float
    means: Floats
    rank: int
    terms: tuple[int, ...]
    coefficients: Floats
    standard_errors: Floats
    by_captures: Floats | None
    converged: bool

    @property
    def n0_standard_error(self) -> float:
        """Standard error of the dark figure, ``sqrt(n0 + n0^2 var)``: Poisson variation and estimation error."""
        return math.sqrt(self.n0 + self.n0**2 * self.log_n0_variance)

    @property
    def information(self) -> float:
        """How many persons a count would have that tells as much of the dark figure; 0 where it has no number."""
        return information_of(self.log_n0_variance)


def fit_groups(histories: Ints, counts: Floats, groups: Sequence[ListGroup], xi: float = 1.0) -> GroupFit:
    """Fit the model in which groups of lists are independent.

    Parameters
    ----------
    histories : ndarray of int64, shape (m,)
        Of the non-empty cells.
    counts : ndarray, shape (m,)
    groups : sequence of ListGroup
        Two at least; every list is in one, and has caught somebody.
    xi : float
        What divides the dark figure.

    Returns
    -------
    GroupFit

    Notes
    -----
    With ``f_g`` of the n persons fitted on some list of group g when n0 are supposed on none, the estimate solves
    ``1 - n/N = prod_g (1 - f_g/N)``. In a group with all interactions ``f_g`` is the number of persons seen by it; with
    one list a group that is Darroch's (1958) equation. Were the n0 persons seen, the logarithm of their mean would have
    the variance ``v = (1 - G)/N + sum_g v_g``, with ``v_g`` that of the intercept of group g; it has ``1/(1/v - n0)``.

    Whether there is a finite root is read from the directions in which the likelihood climbs for ever. Such a direction
    is a sum of one of each group, and lowers all cells where the intercept and the largest parts of all groups do.

    References
    ----------
    Darroch, J. N. (1958). The multiple-recapture census: I. Estimation of a closed population. Biometrika 45, 343-359.
    doi:10.2307/2333183

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.array([1, 2, 3]), np.array([30.0, 20.0, 10.0])
    >>> fit = fit_groups(*cells, [free_group([0]), free_group([1])])
    >>> fit.status, round(fit.n0, 6), round(fit.log_n0_variance, 6)
    ('ok', 60.0, 0.183333)
    """
    n, parts = float(counts.sum()), _parts(histories, counts, groups)
    status, rank = _status(histories, n, parts)
    n0, variance, converged = (
        _root(n, parts) if status == "ok" else (NUMBER_BY_STATUS[status], math.nan, True)
    )
    states = _states_at(n, n0, parts)
    converged = converged and all(state.converged for state in states)
    total = sum(float(state.means.sum()) for state in states) / len(states)
    means = _means(histories, parts, states, total, n0)
    deviance = poisson_deviance(counts, means) + 2.0 * (n - float(means.sum()))
    coefficients, errors = _coefficients(parts, states, n0, variance, status)
    terms = tuple(_spread_mask(term, part.lists) for part in parts for term in part.terms)
    by_captures = None if math.isinf(n0) else _by_captures(states, total)
    return GroupFit(
        status,
        n0 / xi,
        variance,
        deviance,
        means,
        rank,
        (*terms, 0),
        coefficients,
        errors,
        by_captures,
        converged,
    )


def profile_of_groups(
    histories: Ints, counts: Floats, groups: Sequence[ListGroup], fit: GroupFit, xi: float = 1.0
) -> HiddenProfile:
    """Say what the data tell of every dark figure under a model of independent groups.

    Parameters
    ----------
    histories, counts, groups, xi
        As for `fit_groups`.
    fit : GroupFit

    Returns
    -------
    HiddenProfile

    Notes
    -----
    With ``xi`` other than 1 the groups are fitted to another number of hidden persons than the one supposed: the score
    equations of ``n0`` persons whose mean is ``m0 / xi`` are those of ``n0 + (1 - 1/xi) m0`` whose mean is ``m0``.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.array([1, 2, 3]), np.array([30.0, 20.0, 10.0]), [free_group([0]), free_group([1])]
    >>> profile = profile_of_groups(*cells, fit_groups(*cells))
    >>> abs(profile.deviance_at(60.0)) < 1e-9, round(profile.deviance_at(30.0), 2)
    (True, 2.28)
    """
    n, parts = float(counts.sum()), _parts(histories, counts, groups)
    sizes = [part.size for part in parts]
    within = sum(float(xlogy(part.margin[1:], part.margin[1:]).sum()) for part in parts)
    observed = float(xlogy(counts, counts).sum()) - within

    def deviance_at(n0: float) -> float:
        # The terms in N are written so that nothing large is taken from something large.
        standing = _standing_for(n0, n, parts, xi)
        total = n + standing
        states = [part.quick(total) for part in parts]
        unseen = -sum(_log_complement(size, total) for size in sizes)
        lost = sum(state.deviance for state in states)
        if xi == 1.0:
            hidden = _log_complement(n, total)
        else:
            log_share = _log_share_unseen(states, total)  # of the mean of nobody, among all
            mean = total * math.exp(log_share)
            hidden = (
                standing * log_share + standing - mean + float(xlogy(n0, n0 * xi / mean)) - n0 + mean / xi
            )
        return 2.0 * (observed + (sum(sizes) - n) * math.log(total) + unseen + hidden) + lost

    return HiddenProfile(n, fit.n0, fit.information, deviance_at)


def _standing_for(n0: float, n: float, parts: Sequence["_Part"], xi: float) -> float:
    """How many persons on no list, of mean m0, stand for `n0` of mean ``m0 / xi``; below 0 where xi is small."""
    if xi == 1.0:
        return n0
    least = max((part.size for part in parts if isinstance(part, _Free)), default=0.0)

    def excess(standing: float) -> float:
        total = n + standing
        if total <= least:
            return standing - n0
        states = [part.quick(total) for part in parts]
        if not all(
            state.converged for state in states
        ):  # so few persons that the mean of nobody has come down to 0
            return standing - n0
        mean = total * math.exp(_log_share_unseen(states, total))
        return standing - (1.0 - 1.0 / xi) * mean - n0

    low, high = (n0, n0 + 1.0) if xi > 1.0 else (least - n, n0)
    while xi > 1.0 and excess(high) < 0.0:
        high = n0 + 4.0 * (high - n0)
    if excess(low) >= 0.0:
        return low
    return bracketed_root(excess, low, high, ROOT_PRECISION * max(n, high))


def _log_complement(size: float, total: float) -> float:
    """``(N - u) log(1 - u/N)``, 0 where they are equal."""
    return (total - size) * math.log1p(-size / total) if total > size else 0.0


# --- one group ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _State:
    """A group fitted to a supposed number of persons in all.

    `fitted` are the persons on some of its lists, `variance` is that of the logarithm of those on none. Where fewer are
    supposed in all than are on its lists, the deviance lacks the logarithm of their difference.
    """

    fitted: float
    variance: float
    deviance: float
    means: Floats
    converged: bool
    fit: DenseFit | None = None
    """Of an exact fit to the histories on the face."""


class _Part(Protocol):
    """A group with the persons on its lists: `margin` by history (0 for nobody), `size` in all."""

    @property
    def lists(self) -> tuple[int, ...]: ...
    @property
    def margin(self) -> Floats: ...
    @property
    def size(self) -> float: ...
    @property
    def terms(self) -> tuple[int, ...]: ...
    @property
    def n_determined(self) -> int: ...
    def quick(self, total: float) -> _State: ...
    def exact(self, total: float) -> _State: ...
    def coefficients(self, state: _State) -> tuple[Floats, Floats, Floats]: ...


@dataclass(frozen=True, slots=True)
class _Free:
    """A group with all interactions: its means are its counts."""

    lists: tuple[int, ...]
    margin: Floats

    @property
    def size(self) -> float:
        return float(self.margin[1:].sum())

    @property
    def terms(self) -> tuple[int, ...]:
        return tuple(range(1, len(self.margin)))

    @property
    def n_determined(self) -> int:
        return int((self.margin[1:] > 0).sum())

    def quick(self, total: float) -> _State:
        means = self.margin.copy()
        means[0] = max(total - self.size, 0.0)
        variance = 1.0 / means[0] if means[0] > 0.0 else math.inf
        return _State(self.size, variance, 0.0, means, converged=True)

    exact = quick

    def coefficients(self, state: _State) -> tuple[Floats, Floats, Floats]:
        """Give coefficients, their variances, and their covariances with the intercept, all cells being seen."""
        means = state.means
        cells = np.arange(len(means))
        signs = np.where(
            (cells[1:, None] & cells) == cells, (-1.0) ** np.bitwise_count(cells[1:, None] ^ cells), 0.0
        )
        filled = means > 0.0
        logs, inverse = np.zeros(len(means)), np.zeros(len(means))
        logs[filled], inverse[filled] = np.log(means[filled]), 1.0 / means[filled]
        values, variances, with_nobody = signs @ logs, (signs**2) @ inverse, signs[:, 0] * inverse[0]
        loose = (signs != 0.0) @ ~filled
        values[loose], variances[loose] = math.nan, math.nan
        nobody = superset_sums(self.margin, len(self.lists))[1:] == 0.0
        values[nobody], variances[nobody] = -math.inf, math.nan
        return values, variances, with_nobody


@dataclass(frozen=True, slots=True)
class _Modelled:
    """A group with some interactions, fitted to all its histories."""

    lists: tuple[int, ...]
    margin: Floats
    terms: tuple[int, ...]
    shifts: Floats
    cells: Ints
    """On the face of the maximum when somebody is on none of these lists."""
    active: Ints
    """Terms with people, the intercept last."""
    kept: Ints
    """Those of full rank on the face, the intercept last."""

    @property
    def size(self) -> float:
        return float(self.margin[1:].sum())

    @property
    def n_determined(self) -> int:
        return len(self.kept) - 1

    def _counts(self, total: float) -> Floats:
        counts = self.margin.copy()
        counts[0] = total - self.size
        return counts

    def quick(self, total: float) -> _State:
        counts, use = self._counts(total), np.zeros(len(self.margin), dtype=bool)
        if counts[0] <= 0.0:
            return self.exact(total)
        use[self.cells] = True
        fit = fit_one(counts, use, self.kept, len(self.lists), self.shifts)
        if not fit.converged:
            return self.exact(total)
        return _State(
            float(fit.means[1:].sum()), fit.log_n0_variance, fit.deviance, fit.means, converged=True
        )

    def exact(self, total: float) -> _State:
        counts, cells, kept = self._counts(total), self.cells, self.kept
        if counts[0] == 0.0:
            cells, _, kept = face_with_nobody(counts, np.array([*self.terms, 0]), len(self.lists))
        fit = fit_design(lattice_design(cells, kept), counts[cells], self.shifts[cells])
        means = np.zeros(len(counts))
        means[cells] = fit.means
        deviance, fitted = fit.deviance, float(means[1:].sum())
        if counts[0] < 0.0 and fit.converged:  # as if they were 0, and what they add to the likelihood
            deviance = poisson_deviance(self.margin[1:], means[1:]) + 2.0 * (self.size - fitted)
            deviance -= 2.0 * counts[0] * math.log(means[0] / total)
        return _State(fitted, float(fit.covariance[-1, -1]), deviance, means, fit.converged, fit)

    def coefficients(self, state: _State) -> tuple[Floats, Floats, Floats]:
        """Give coefficients, their variances, and their covariances with the intercept, all cells being seen."""
        fit = state.fit
        assert fit is not None
        values, variances, with_nobody = (np.full(len(self.terms), math.nan) for _ in range(3))
        full = len(self.kept) == len(self.active)
        place = {term: at for at, term in enumerate(self.terms)}
        for at, term in enumerate(self.kept[:-1]):
            if full or estimable(int(term), self.cells, self.active):
                row = place[int(term)]
                values[row], variances[row] = fit.coefficients[at], fit.covariance[at, at]
                with_nobody[row] = fit.covariance[at, -1]
        values[~np.isin(self.terms, self.active)] = -math.inf
        return values, variances, with_nobody


def _parts(histories: Ints, counts: Floats, groups: Sequence[ListGroup]) -> list[_Part]:
    return [_part(group, _margin(histories, counts, group.lists)) for group in groups]


def _margin(histories: Ints, counts: Floats, lists: Sequence[int]) -> Floats:
    """Count the persons by history within a group; element 0 is 0."""
    margin = np.zeros(1 << len(lists))
    np.add.at(margin, project(histories, lists), counts)
    margin[0] = 0.0
    return margin


def _part(group: ListGroup, margin: Floats) -> _Part:
    if group.terms is None:
        return _Free(group.lists, margin)
    supposed = margin.copy()
    supposed[0] = 1.0
    cells, active, kept = face_with_nobody(supposed, np.array([*group.terms, 0]), len(group.lists))
    shifts = np.zeros(len(margin)) if group.shifts is None else group.shifts
    return _Modelled(group.lists, margin, group.terms, shifts, cells, active, kept)


# --- the dark figure ------------------------------------------------------------------------------------------------


def _status(histories: Ints, n: float, parts: Sequence[_Part]) -> tuple[FitStatus, int]:
    """Say whether there is a finite dark figure, and how many parameters the data determine."""
    sizes = np.array([part.size for part in parts])
    if all(isinstance(part, _Free) for part in parts) and dark_figure(n, sizes)[0] == "ok":
        return "ok", 1 + sum(part.n_determined for part in parts)
    lives = [_live(part) for part in parts]
    columns = [
        _spread_mask(int(term), part.lists)
        for part, (_, terms) in zip(parts, lives, strict=True)
        for term in terms
    ]
    masks = np.array([*columns, 0], dtype=np.int64)
    free = int((~independent_terms(histories, masks)).sum())
    if free == 0:
        return "ok", len(masks)
    basis = null_space(lattice_design(histories, masks), free)
    rows, intercept = _lowered(lives, basis), np.append(basis[-1], np.zeros(len(parts)))
    directions = _directions(rows)
    rank = len(masks) - int(np.linalg.matrix_rank(directions[:free], tol=ROUNDING))
    if np.abs(intercept @ directions).max(initial=0.0) < ROUNDING:
        return "ok", rank
    return direction_over_rows(rows, intercept), rank


def _directions(rows: Floats) -> Floats:
    """Span, a direction a column, of the directions that raise no row."""
    # A row of zeros is one that no direction lowers.
    with_zero = np.vstack([rows, np.zeros(rows.shape[1])])
    fixed = with_zero[facial_set(with_zero, np.arange(len(with_zero)) == len(rows))]
    rank = int(np.linalg.matrix_rank(fixed, tol=ROUNDING))
    return np.asarray(np.linalg.svd(fixed)[2][rank:].T)


def _live(part: _Part) -> tuple[Ints, Ints]:
    """Histories of a group with somebody that contain no term without people, and its terms with people."""
    terms = np.array([*part.terms, 0], dtype=np.int64)
    active, live = live_part(superset_sums(part.margin, len(part.lists)), terms)
    return np.flatnonzero(live)[1:], terms[active][:-1]


def _lowered(lives: Sequence[tuple[Ints, Ints]], basis: Floats) -> Floats:
    """Rows that are at most 0 for directions that raise no cell.

    The columns are those of the basis, and of each group a bound on what the direction adds at any of its histories, 0
    for that of nobody included.
    """
    n_groups, at, rows = len(lives), 0, []
    for g, (cells, terms) in enumerate(lives):
        added = lattice_design(cells, terms) @ basis[at : at + len(terms)]
        at += len(terms)
        added = np.unique(np.where(np.abs(added) < ROUNDING, 0.0, added).round(12), axis=0)
        others, own = np.ones((len(added), n_groups)), np.zeros((len(added), n_groups))
        others[:, g], own[:, g] = 0.0, -1.0
        rows += [np.hstack([added + basis[-1], others]), np.hstack([added, own])]
    bounds = np.hstack([np.zeros((n_groups, basis.shape[1])), -np.eye(n_groups)])
    return np.vstack([*rows, bounds])


def _root(n: float, parts: Sequence[_Part]) -> tuple[float, float, bool]:
    """Solve the equation of `fit_groups`; give the dark figure, the variance of its logarithm, and convergence."""
    if all(isinstance(part, _Free) for part in parts):
        _, n0, variance = dark_figure(n, np.array([part.size for part in parts]))
        return n0, variance, True

    def excess(log_n0: float) -> float:
        total = n + math.exp(log_n0)
        return -math.log1p(n / math.exp(log_n0)) - _log_share_unseen(
            [part.quick(total) for part in parts], total
        )

    log_n0 = _crossing(excess, math.log(n), QUICK_PRECISION)
    for _ in range(MOST_POLISHING):
        n0 = math.exp(log_n0)
        states = [part.exact(n + n0) for part in parts]
        variance = (1 - len(parts)) / (n + n0) + sum(state.variance for state in states)
        fall = -math.log1p(n / n0) - _log_share_unseen(states, n + n0)
        step = -fall / (1.0 - n0 * variance)
        log_n0 += max(-1.0, min(1.0, step))
        if abs(step) < 10.0 * QUICK_PRECISION:
            return math.exp(log_n0), 1.0 / (1.0 / variance - n0), True
    return math.exp(log_n0), 1.0 / (1.0 / variance - n0), False


def _log_share_unseen(states: Sequence[_State], total: float) -> float:
    """Logarithm of the share of all persons expected on no list."""
    # A quick fit may put all persons but rounding on lists.
    return sum(math.log1p(-min(state.fitted / total, 1.0 - 1e-16)) for state in states)


def dark_figure(n: float, sizes: Floats) -> tuple[FitStatus, float, float]:
    """Solve the equation of `fit_groups` for groups with all interactions.

    There is a finite root when somebody was seen by two groups and no group has seen everybody.

    Parameters
    ----------
    n : float
        Persons observed.
    sizes : ndarray, shape (g,)
        How many of them are on some list of each group.

    Returns
    -------
    status : {"ok", "boundary", "unbounded"}
    n0 : float
    log_n0_variance : float
        Variance of its logarithm; nan unless the status is ``"ok"``.

    Examples
    --------
    >>> status, n0, variance = dark_figure(60.0, np.array([40.0, 30.0]))
    >>> status, round(n0, 6), round(variance, 6)
    ('ok', 60.0, 0.183333)
    """
    if sizes.max() >= n:
        return "boundary", NUMBER_BY_STATUS["boundary"], math.nan
    if sizes.sum() <= n:
        return "unbounded", NUMBER_BY_STATUS["unbounded"], math.nan

    def excess(log_n0: float) -> float:
        n0 = math.exp(log_n0)
        return -math.log1p(n / n0) - float(np.log1p(-sizes / (n + n0)).sum())

    n0 = math.exp(_crossing(excess, math.log(n), ROOT_PRECISION))
    total = n + n0
    # Of the observed cells: 1 / (d log m0 / d n0) - n0, where m0 is the fitted mean of a supposed dark figure.
    spread = total / (1.0 + float((sizes / (total - sizes)).sum())) - n0
    return "ok", n0, 1.0 / spread


def _crossing(excess: Callable[[float], float], start: float, precision: float) -> float:
    """Find where a rising function of the logarithm of the dark figure is 0."""
    low, high = start - 2.0, start + 2.0
    while excess(low) > 0.0 and low > LEAST_LOG:
        low -= 2.0 * (start + 2.0 - low)
    while excess(high) < 0.0 and high < MOST_LOG:
        high += 2.0 * (high - start)
    return bracketed_root(excess, max(low, LEAST_LOG), min(high, MOST_LOG), precision)


# --- what follows from it -------------------------------------------------------------------------------------------


def _states_at(n: float, n0: float, parts: Sequence[_Part]) -> list[_State]:
    """Fit the groups at the estimate; where any dark figure is as good as another, at that of the persons observed."""
    at = {math.inf: AS_GOOD_AS_INFINITE * n}.get(n0, n if math.isnan(n0) else n0)
    return [part.exact(n + at) for part in parts]


def _means(
    histories: Ints, parts: Sequence[_Part], states: Sequence[_State], total: float, n0: float
) -> Floats:
    if math.isinf(n0) and all(isinstance(part, _Free) for part in parts):  # nobody is seen by two groups
        return np.asarray(sum(part.margin[project(histories, part.lists)] for part in parts))
    log_means = np.full(len(histories), math.log(total))
    with np.errstate(divide="ignore"):
        for part, state in zip(parts, states, strict=True):
            log_means += np.log(state.means / total)[project(histories, part.lists)]
    return np.exp(log_means)


def _by_captures(states: Sequence[_State], total: float) -> Floats:
    """Expect so many persons on 1, 2, ... lists: what groups are on adds up, independently of each other."""
    law = np.ones(1)
    for state in states:
        times = np.bitwise_count(np.arange(len(state.means)))
        law = np.convolve(law, np.bincount(times, weights=state.means / total))
    return total * law[1:]


def _coefficients(
    parts: Sequence[_Part], states: Sequence[_State], n0: float, variance: float, status: FitStatus
) -> tuple[Floats, Floats]:
    """Give the coefficients of all groups and the intercept, with errors for cells of which one is hidden."""
    if status != "ok":
        nothing = np.full(1 + sum(len(part.terms) for part in parts), math.nan)
        return nothing, nothing.copy()
    found = [part.coefficients(state) for part, state in zip(parts, states, strict=True)]
    values, variances, with_nobody = (np.concatenate(pieces) for pieces in zip(*found, strict=True))
    # One cell less: of the inverse information A the rest is A + n0 a a' / (1 - n0 v), a its column of the intercept.
    errors = np.sqrt(variances + with_nobody**2 * n0 * (1.0 + n0 * variance))
    return np.append(values, math.log(n0)), np.append(errors, math.sqrt(variance))


def _spread_mask(term: int, lists: Sequence[int]) -> int:
    """Write a term over the lists of a group as one over all lists."""
    return sum(1 << lists[i] for i in range(len(lists)) if term >> i & 1)
