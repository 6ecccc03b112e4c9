"""Draws of the dark figure when an assumption ties it to a ratio of observed cells.

Notation of Aleshin-Guendel, Sadinle and Wakefield (2021), arXiv:2101.09304: a tilde marks shares among the observed, xi
is the quantity that the assumption fixes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, pdtr, polygamma

from hiddenpop._typing import Floats
from hiddenpop.histories import captures

__all__ = [
    "CellShapes",
    "RatioDraws",
    "cell_shapes",
    "empty_share",
    "log_gamma_draws",
    "missing",
    "ratio_draws",
]


EXACT_POISSON = 1e6
"""Above, three terms of Cornish and Fisher's series are right to a hundredth of a person."""


@dataclass(frozen=True, slots=True, eq=False)
class CellShapes:
    """Dirichlet shapes of the cells, sorted, so that neither order nor names of the lists can matter.

    Attributes
    ----------
    odd, even : ndarray
        Shapes (count and prior count) of the cells of an odd number of lists, and of an even number of at least two.
    other : float
        Shape of those observed on none of these lists; 0 when there can be none.
    """

    odd: Floats
    even: Floats
    other: float


@dataclass(frozen=True, slots=True, eq=False)
class RatioDraws:
    """All randomness behind draws of the dark figure, without xi: the same for every xi of a sweep.

    Attributes
    ----------
    log_ratio : ndarray, shape (d,)
        ``log R``, where R is the product of the odd cells over the product of the even ones, as shares.
    log_other : ndarray, shape (d,)
        Log share of those observed on none of the lists; minus infinity when there can be none.
    log_scale : ndarray, shape (d,)
        Log of a gamma variate with shape n.
    uniform, normal : ndarray, shape (d,)
    """

    log_ratio: Floats
    log_other: Floats
    log_scale: Floats
    uniform: Floats
    normal: Floats


def cell_shapes(counts: npt.ArrayLike, prior_count: float, *, others: bool) -> CellShapes:
    """Add the prior count to each cell.

    Parameters
    ----------
    counts : array_like, shape (2**t,)
        By history; element 0 counts those observed on none of the t lists.
    prior_count : float
    others : bool
        Whether somebody can be observed on none of these lists.

    Returns
    -------
    CellShapes

    Examples
    --------
    >>> shapes = cell_shapes([0, 8, 5, 2], 0.5, others=False)
    >>> shapes.odd.tolist(), shapes.even.tolist(), shapes.other
    ([5.5, 8.5], [2.5], 0.0)
    """
    cells = np.asarray(counts, dtype=np.float64)
    is_odd = captures(np.arange(len(cells))) % 2 == 1
    is_even = ~is_odd
    is_even[0] = False
    shapes = cells + prior_count
    return CellShapes(np.sort(shapes[is_odd]), np.sort(shapes[is_even]), float(shapes[0]) if others else 0.0)


def empty_share(shapes: CellShapes, prior_count: float) -> float:
    """Share of the variance of the log product ratio that comes from cells without a person.

    Examples
    --------
    >>> round(empty_share(cell_shapes([0, 80, 50, 0], 0.5, others=False), 0.5), 3)
    0.993
    """
    cells = np.concatenate([shapes.odd, shapes.even])
    variance = polygamma(1, cells)
    return float(variance[cells == prior_count].sum() / variance.sum())


def log_gamma_draws(shape: float, size: int, rng: np.random.Generator) -> Floats:
    """Draw logarithms of gamma variates; a small shape does not underflow.

    Notes
    -----
    Below 1, a variate of shape ``a`` is one of shape ``a + 1`` times ``U^(1/a)``.

    Examples
    --------
    >>> bool(log_gamma_draws(1e-6, 3, np.random.default_rng(1)).max() < -1e4)
    True
    """
    if shape >= 1.0:
        return np.asarray(np.log(rng.standard_gamma(shape, size)))
    boosted = np.log(rng.standard_gamma(shape + 1.0, size))
    return np.asarray(boosted - rng.standard_exponential(size) / shape)


def ratio_draws(shapes: CellShapes, n_observed: int, size: int, rng: np.random.Generator) -> RatioDraws:
    """Draw the ratio from the Dirichlet posterior, and what turns it into persons.

    Parameters
    ----------
    shapes : CellShapes
    n_observed : int
        Persons observed, on these lists or on others.
    size : int
    rng : Generator

    Returns
    -------
    RatioDraws
    """
    log_ratio, log_total = np.zeros(size), np.full(size, -np.inf)
    for sign, group in ((1.0, shapes.odd), (-1.0, shapes.even)):
        for shape in group.tolist():
            drawn = log_gamma_draws(shape, size, rng)
            log_ratio += sign * drawn
            log_total = np.logaddexp(log_total, drawn)
    log_other = np.full(size, -np.inf)
    if shapes.other > 0.0:
        log_other = log_gamma_draws(shapes.other, size, rng)
        log_total = np.logaddexp(log_total, log_other)
    return RatioDraws(
        log_ratio=log_ratio - log_total,
        log_other=log_other - log_total,
        log_scale=np.log(rng.standard_gamma(n_observed, size)),
        uniform=rng.random(size),
        normal=rng.standard_normal(size),
    )


def missing(draws: RatioDraws, log_xi: float | Floats) -> tuple[Floats, Floats]:
    """Turn the ratio into the odds of being hidden, and these into persons.

    Parameters
    ----------
    draws : RatioDraws
    log_xi : float or ndarray, shape (d,)

    Returns
    -------
    odds : ndarray, shape (d,)
        ``pi_0 / (1 - pi_0) = R / xi - other``; negative where no population size agrees with the assumption.
    n_missing : ndarray, shape (d,)
        Negative binomial given the odds, by a Poisson with a gamma mean; nan where the odds are not positive. The same
        draws give more persons the smaller xi is.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        odds = np.exp(draws.log_ratio - log_xi) - np.exp(draws.log_other)
        agrees = draws.log_ratio - log_xi > draws.log_other
        mean = np.where(agrees, np.exp(draws.log_scale) * odds, np.nan)
    return odds, _poisson_quantile(draws.uniform, mean)


def _poisson_quantile(share: Floats, mean: Floats) -> Floats:
    """Quantiles of Poisson variables, one a mean, from Cornish and Fisher's series and steps to the exact number."""
    normal = ndtri(np.clip(share, np.finfo(float).tiny, None))
    with np.errstate(invalid="ignore"):
        found = mean + normal * np.sqrt(mean) + (normal**2 - 1.0) / 6.0
    found = np.where(np.isinf(mean), np.inf, np.maximum(np.round(found), 0.0))
    exact = np.flatnonzero(mean <= EXACT_POISSON)
    found[exact] = _settled(found[exact], share[exact], mean[exact])
    return np.asarray(found)


def _settled(start: Floats, share: Floats, mean: Floats) -> Floats:
    """Step each number up or down to the least whose distribution function reaches its share."""
    found = start.copy()
    moving = np.arange(len(found))
    while len(moving):
        k, u, m = found[moving], share[moving], mean[moving]
        up = pdtr(k, m) < u
        down = ~up & (k > 0.0) & (pdtr(np.maximum(k - 1.0, 0.0), m) >= u)
        found[moving] += up.astype(float) - down.astype(float)
        moving = moving[up | down]
    return found
