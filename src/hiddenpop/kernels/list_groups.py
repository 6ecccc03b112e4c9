"""Groups of lists that are independent of each other, any number of them: closed forms on the non-empty cells.

Within a group every interaction is free, so that its fitted margin is the observed one, the persons on none of its
lists included. The dark figure is then the root of one equation, and no table of 2**t cells is needed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from hiddenpop.histories import project
from hiddenpop.kernels.dense import poisson_deviance
from hiddenpop.kernels.faces import FitStatus
from hiddenpop.kernels.model_fit import NUMBER_BY_STATUS
from hiddenpop.kernels.profile import HiddenProfile, information_of
from hiddenpop.kernels.scalar import bracketed_root

__all__ = ["GroupFit", "dark_figure", "fit_groups", "profile_of_groups"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_LOG, MOST_LOG = -690.0, 690.0
"""Logarithms of the smallest and the largest dark figure that is a number."""

ROOT_PRECISION = 1e-13


@dataclass(frozen=True, slots=True)
class GroupFit:
    """A fitted model of independent groups of lists.

    Attributes
    ----------
    status : {"ok", "boundary", "unbounded"}
    n0 : float
        The dark figure: finite when the status is ``"ok"``, 0 at the ``"boundary"``, inf when ``"unbounded"``.
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
        Persons expected on 1, ..., t lists; None unless the dark figure is finite.
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

    @property
    def n0_standard_error(self) -> float:
        """Standard error of the dark figure, ``sqrt(n0 + n0^2 var)``: Poisson variation and estimation error."""
        return math.sqrt(self.n0 + self.n0**2 * self.log_n0_variance)

    @property
    def information(self) -> float:
        """How many persons a count would have that tells as much of the dark figure; 0 where it has no number."""
        return information_of(self.log_n0_variance)


def fit_groups(histories: Ints, counts: Floats, groups: Sequence[Sequence[int]]) -> GroupFit:
    """Fit the model in which groups of lists are independent, and all is free within a group.

    Parameters
    ----------
    histories : ndarray of int64, shape (m,)
        Of the non-empty cells.
    counts : ndarray, shape (m,)
    groups : sequence of sequence of int
        Positions of the lists of each group, of two groups at least; every list is in one, and has caught somebody.

    Returns
    -------
    GroupFit

    Notes
    -----
    With ``u_g`` of the n persons on some list of group g, the estimate solves ``1 - n/N = prod_g (1 - u_g/N)``; with
    one list a group that is Darroch's (1958) equation. There is a finite root when somebody was seen by two groups and
    no group has seen everybody.

    References
    ----------
    Darroch, J. N. (1958). The multiple-recapture census: I. Estimation of a closed population. Biometrika 45, 343-359.
    doi:10.2307/2333183

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_groups(np.array([1, 2, 3]), np.array([30.0, 20.0, 10.0]), [[0], [1]])
    >>> fit.status, round(fit.n0, 6), round(fit.log_n0_variance, 6)
    ('ok', 60.0, 0.183333)
    """
    margins = _margins(histories, counts, groups)
    n, sizes = float(counts.sum()), np.array([margin[1:].sum() for margin in margins])
    status, n0, variance = dark_figure(n, sizes)
    means = _means(histories, groups, margins, n, n0)
    deviance = poisson_deviance(counts, means) + 2.0 * (n - float(means.sum()))
    terms, coefficients, errors = _coefficients(groups, margins, n, n0, status)
    rank = 1 + sum(int((margin[1:] > 0).sum()) for margin in margins)
    by_captures = None if math.isinf(n0) else _by_captures(margins, n + n0)
    return GroupFit(status, n0, variance, deviance, means, rank, terms, coefficients, errors, by_captures)


def profile_of_groups(
    histories: Ints, counts: Floats, groups: Sequence[Sequence[int]], fit: GroupFit
) -> HiddenProfile:
    """Say what the data tell of every dark figure under a model of independent groups.

    Parameters
    ----------
    histories, counts, groups
        As for `fit_groups`.
    fit : GroupFit

    Returns
    -------
    HiddenProfile

    Examples
    --------
    >>> import numpy as np
    >>> histories, counts, groups = np.array([1, 2, 3]), np.array([30.0, 20.0, 10.0]), [[0], [1]]
    >>> profile = profile_of_groups(histories, counts, groups, fit_groups(histories, counts, groups))
    >>> abs(profile.deviance_at(60.0)) < 1e-9, round(profile.deviance_at(30.0), 2)
    (True, 2.28)
    """
    n, margins = float(counts.sum()), _margins(histories, counts, groups)
    sizes = [float(margin[1:].sum()) for margin in margins]
    within = sum(float(xlogy(margin[1:], margin[1:]).sum()) for margin in margins)
    observed = float(xlogy(counts, counts).sum()) - within

    def deviance_at(n0: float) -> float:
        # The terms in N are written so that nothing large is taken from something large.
        total = n + n0
        unseen = _log_complement(n, total) - sum(_log_complement(size, total) for size in sizes)
        return 2.0 * (observed + (sum(sizes) - n) * math.log(total) + unseen)

    return HiddenProfile(n, fit.n0, fit.information, deviance_at)


def _log_complement(size: float, total: float) -> float:
    """``(N - u) log(1 - u/N)``, 0 where they are equal."""
    return (total - size) * math.log1p(-size / total) if total > size else 0.0


def _margins(histories: Ints, counts: Floats, groups: Sequence[Sequence[int]]) -> list[Floats]:
    """Count the persons by history within each group; element 0 is 0."""
    margins: list[Floats] = []
    for group in groups:
        margin = np.zeros(1 << len(group))
        np.add.at(margin, project(histories, group), counts)
        margin[0] = 0.0
        margins.append(margin)
    return margins


def dark_figure(n: float, sizes: Floats) -> tuple[FitStatus, float, float]:
    """Solve the equation of `fit_groups`.

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

    start = math.log(n)
    low, high = start - 2.0, start + 2.0
    while excess(low) > 0.0 and low > LEAST_LOG:
        low -= 2.0 * (start + 2.0 - low)
    while excess(high) < 0.0 and high < MOST_LOG:
        high += 2.0 * (high - start)
    n0 = math.exp(bracketed_root(excess, max(low, LEAST_LOG), min(high, MOST_LOG), ROOT_PRECISION))
    total = n + n0
    # Of the observed cells: 1 / (d log m0 / d n0) - n0, where m0 is the fitted mean of a supposed dark figure.
    spread = total / (1.0 + float((sizes / (total - sizes)).sum())) - n0
    return "ok", n0, 1.0 / spread


def _means(
    histories: Ints, groups: Sequence[Sequence[int]], margins: Sequence[Floats], n: float, n0: float
) -> Floats:
    if math.isinf(n0):  # in the limit nobody is seen by two groups
        return np.asarray(
            sum(margin[project(histories, group)] for group, margin in zip(groups, margins, strict=True))
        )
    total = n + n0
    log_means = np.full(len(histories), math.log(total))
    with np.errstate(divide="ignore"):
        for group, margin in zip(groups, margins, strict=True):
            shares = margin / total
            shares[0] = (total - margin.sum()) / total
            log_means += np.log(shares)[project(histories, group)]
    return np.exp(log_means)


def _by_captures(margins: Sequence[Floats], total: float) -> Floats:
    """Expect so many persons on 1, 2, ... lists: what groups are on adds up, independently of each other."""
    law = np.ones(1)
    for margin in margins:
        persons = margin.copy()
        persons[0] = total - margin.sum()
        law = np.convolve(law, np.bincount(np.bitwise_count(np.arange(len(margin))), weights=persons / total))
    return total * law[1:]


def _coefficients(
    groups: Sequence[Sequence[int]], margins: Sequence[Floats], n: float, n0: float, status: FitStatus
) -> tuple[tuple[int, ...], Floats, Floats]:
    """Give the coefficients of the subsets of each group, from the log odds of its cells against none of its lists."""
    terms = tuple(
        sum(1 << group[i] for i in range(len(group)) if cell >> i & 1)
        for group in groups
        for cell in range(1, 1 << len(group))
    )
    if status != "ok":
        return (*terms, 0), np.full(len(terms) + 1, math.nan), np.full(len(terms) + 1, math.nan)
    total = n + n0
    odds, filled, signs, empty = [], [], [], []
    for margin in margins:
        subsets = _subset_signs(len(margin))
        with np.errstate(divide="ignore"):
            odds.append(np.log(margin[1:]) - math.log(total - margin.sum()))
        filled.append(margin[1:] > 0)
        signs.append(subsets)
        empty.append(_margin_is_empty(margin))
    contrast = _block_diagonal([*signs, np.ones((1, 1))])
    known = np.append(np.concatenate(filled), True)
    values = np.append(np.concatenate(odds), math.log(n0))
    loose = (contrast != 0.0) @ ~known
    values[~known] = 0.0
    covariance = contrast[:, known] @ _covariance(margins, total, n) @ contrast[:, known].T
    coefficients, errors = contrast @ values, np.sqrt(np.diag(covariance))
    coefficients[loose], errors[loose] = math.nan, math.nan
    nobody = np.append(np.concatenate(empty), False)
    coefficients[nobody], errors[nobody] = -math.inf, math.nan
    return (*terms, 0), coefficients, errors


def _subset_signs(size: int) -> Floats:
    """Signs with which the non-empty cells of a group enter the coefficient of each of its terms."""
    cells = np.arange(1, size)
    inside = (cells[:, None] & cells[None, :]) == cells[None, :]
    apart = np.bitwise_count(cells[:, None] ^ cells[None, :])
    return np.where(inside, (-1.0) ** apart, 0.0)


def _margin_is_empty(margin: Floats) -> npt.NDArray[np.bool_]:
    """Whether nobody is on all lists of each term of a group."""
    cells = np.arange(1, len(margin))
    return np.array([margin[1:][(cells & term) == term].sum() == 0.0 for term in cells])


def _covariance(margins: Sequence[Floats], total: float, n: float) -> Floats:
    """Covariance of the log odds of the filled cells of every group, and of the intercept last."""
    filled = [margin[1:][margin[1:] > 0] for margin in margins]
    persons = np.concatenate(filled)
    group = np.repeat(np.arange(len(filled)), [len(part) for part in filled])
    information = np.where(group[:, None] == group, 0.0, np.outer(persons, persons / total))
    information[np.diag_indices(len(persons))] = persons
    whole = np.block([[information, persons[:, None]], [persons[None, :], np.array([[n]])]])
    return np.asarray(np.linalg.inv(whole))


def _block_diagonal(blocks: Sequence[Floats]) -> Floats:
    size = sum(len(block) for block in blocks)
    whole = np.zeros((size, size))
    at = 0
    for block in blocks:
        whole[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return whole
