"""Resampled counts of capture histories, the estimate smoothed over them, and Poisson counts of any mean."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import CapabilityError
from hiddenpop.kernels.resampling.bootstrap_limits import type8_quantile

__all__ = ["Bagged", "bagged", "draw_multinomial", "draw_parametric", "draw_poisson", "draw_semiparametric"]

LARGEST_POPULATION = 2.0**62
"""What whole numbers of 64 bits can count, with room."""

NEGLIGIBLE_SHARE = 1e-6
"""Where hardly anybody is caught, cell counts are Poisson up to this share of their variance."""

LARGEST_EXACT = 1e15
"""Beyond, a count is rounded from a normal: whole numbers stand no closer in a double."""

LARGEST_SIZE = 1e300


def draw_multinomial(counts: npt.ArrayLike, size: int, rng: np.random.Generator) -> Ints:
    """Resample the observed persons: ``Mult(n, n_w / n)``.

    Parameters
    ----------
    counts : array_like, shape (m,)
    size : int
        Resamples.
    rng : Generator

    Returns
    -------
    ndarray of int, shape (size, m)

    Examples
    --------
    >>> draw_multinomial([0, 30, 20], 2, np.random.default_rng(1)).sum(axis=1).tolist()
    [50, 50]
    """
    cells = np.asarray(counts, dtype=np.float64)
    return _multinomial(round(float(cells.sum())), cells, size, rng)


def draw_semiparametric(counts: npt.ArrayLike, n_hat: float, size: int, rng: np.random.Generator) -> Ints:
    """Resample the estimated population by its observed proportions and leave out those who are missed.

    Parameters
    ----------
    counts : array_like, shape (m,)
    n_hat : float
        Finite, at least the number observed.
    size : int
    rng : Generator

    Returns
    -------
    ndarray of int, shape (size, m)

    Notes
    -----
    ``Mult(round(N); n_w / N, (N - n) / N)`` without those missed, so the number observed varies.

    References
    ----------
    Norris, J. L. and Pollock, K. H. (1996). Including model uncertainty in estimating variances in multiple capture
    studies. Environmental and Ecological Statistics 3, 235-244. doi:10.1007/BF00569242

    Examples
    --------
    >>> draw_semiparametric([0, 30, 20], 200.0, 3, np.random.default_rng(1)).sum(axis=1).tolist()
    [44, 51, 46]
    """
    cells = np.asarray(counts, dtype=np.float64)
    missed = n_hat - cells.sum()
    if not 0.0 <= missed < math.inf:
        raise ValueError(f"n_hat={n_hat!r} must be finite and at least the number observed, {cells.sum():g}")
    return _draw_caught(missed, cells, size, rng)


def draw_parametric(fitted: npt.ArrayLike, n_hat: float, size: int, rng: np.random.Generator) -> Ints:
    """Draw populations from a fitted model and leave out those whom no list catches.

    Parameters
    ----------
    fitted : array_like, shape (2**n_lists,)
        Expected counts by history; element 0 is the dark figure.
    n_hat : float
        Their sum.
    size : int
    rng : Generator

    Returns
    -------
    ndarray of int, shape (size, 2**n_lists)
        Column 0 is empty.

    Notes
    -----
    ``Mult(round(N); fitted / N)`` over all cells, so the number observed varies.

    Examples
    --------
    >>> draw_parametric([60.0, 30.0, 20.0, 10.0], 120.0, 2, np.random.default_rng(1))[:, 0].tolist()
    [0, 0]
    """
    means = np.asarray(fitted, dtype=np.float64)
    if not (math.isfinite(n_hat) and math.isclose(means.sum(), n_hat, rel_tol=1e-6)):
        raise ValueError(f"the fitted cells add up to {means.sum():g}, not to a finite n_hat={n_hat!r}")
    drawn = np.zeros((size, len(means)), dtype=np.int64)
    drawn[:, 1:] = _draw_caught(means[0], means[1:], size, rng)
    return drawn


def _draw_caught(missed: float, cells: Floats, size: int, rng: np.random.Generator) -> Ints:
    """Draw whole populations, the missed in front, and keep the cells of those caught."""
    persons = missed + float(cells.sum())
    if persons < LARGEST_POPULATION:
        return _multinomial(round(persons), np.insert(cells, 0, missed), size, rng)[:, 1:]
    if cells.sum() > NEGLIGIBLE_SHARE * persons:
        raise CapabilityError(
            f"a population of {persons:.3g} of whom {cells.sum():.3g} are caught is too large to draw; "
            f'use scheme="multinomial", or count in thousands'
        )
    return rng.poisson(cells, size=(size, len(cells))).astype(np.int64)


def _multinomial(persons: int, weights: Floats, size: int, rng: np.random.Generator) -> Ints:
    """Draw over the cells that can be drawn: numpy gives what rounding leaves over to the last cell, empty or not."""
    possible = np.flatnonzero(weights > 0.0)
    if not len(possible):
        raise ValueError("there is nobody to draw from: every cell is empty")
    drawn = np.zeros((size, len(weights)), dtype=np.int64)
    shares = weights[possible] / weights[possible].sum()
    drawn[:, possible] = rng.multinomial(persons, shares, size=size)
    return drawn


@dataclass(frozen=True, slots=True)
class Bagged:
    """A bagged estimate.

    Attributes
    ----------
    n_hat, standard_error : float
        Both inf when a draw has no number.
    median : float
        Median of the draws: unbounded draws lie above it, unknown ones half above and half below. It is nan only
        when every draw is unknown.
    reason : str
        Why `n_hat` is infinite, or why `standard_error` is 0; otherwise empty.
    """

    n_hat: float
    standard_error: float
    median: float
    reason: str


def bagged(
    draws: npt.ArrayLike,
    resampled_counts: npt.ArrayLike,
    cell_counts: npt.ArrayLike,
    *,
    n_hat: float | None = None,
) -> Bagged:
    """Bagged (smoothed) estimate, the mean over resamples of the observed histories, with its standard error.

    Parameters
    ----------
    draws : array_like, shape (B,)
        Bootstrap estimates of N: inf where unbounded, nan where unknown.
    resampled_counts : array_like, shape (B, m)
        The resamples behind them, drawn by `draw_multinomial` or `draw_semiparametric`.
    cell_counts : array_like, shape (m,)
        Persons observed by history; histories that nobody has are left out.
    n_hat : float, optional
        The estimate of N, from whose population `draw_semiparametric` draws. The standard error then holds the variance
        of the number observed. Without it the standard error is that given the number observed, and the resamples must
        be those of `draw_multinomial`.

    Returns
    -------
    Bagged

    Raises
    ------
    ValueError
        If the shapes do not fit together, or there are fewer than two draws, or resamples let n vary and `n_hat` is not
        given.

    Notes
    -----
    With ``c_w = cov_b(n*_w, N*_b)``, `m` the number of histories that somebody has and `v` the variance of the draws
    with divisor B, the infinitesimal jackknife with its Monte Carlo bias taken off is

    - given n: ``se^2 = sum_w c_w^2 / n_w - (m - 1) v / B``;
    - where n varies in the resamples: ``se^2 = sum_w c_w^2 / n_w + (sum_w c_w)^2 / (N - n) - m v / B``;
    - from resamples that keep n fixed: that given n, and ``N (N - n) / n`` for the variance of n.

    All are ``c' V^-1 c`` with V the covariance of the counts, ``diag(n_w) - n_w n_v / n`` given n and ``diag(n_w) -
    n_w n_v / N`` otherwise: c is V times the slope of the bagged estimate in the counts. That its population, N, moves
    with the counts as well plays no part: with the same mean counts it changes their variance only, and of an estimate
    that doubles when all counts double the second derivatives vanish in that direction. For the same reason the slope
    along n is N / n where resamples cannot show it. Efron's bias has the number of persons in the place of ``m - 1``
    because he estimates a covariance for every person; persons with the same history share theirs here, which leaves
    so much less noise to take off. It is the error of the bagged estimate, which is smaller than the spread of the
    draws where these jump between models.

    References
    ----------
    Efron, B. (2014). Estimation and accuracy after model selection. Journal of the American Statistical Association
    109(507), 991-1007. doi:10.1080/01621459.2013.823775
    Wager, S., Hastie, T. and Efron, B. (2014). Confidence intervals for random forests: the jackknife and the
    infinitesimal jackknife. Journal of Machine Learning Research 15, 1625-1651.

    Examples
    --------
    >>> counts = np.array([30, 20, 10])
    >>> resamples = draw_multinomial(counts, 4000, np.random.default_rng(5))
    >>> answer = bagged(2.0 * resamples[:, 0] + resamples[:, 1], resamples, counts)
    >>> round(answer.n_hat), round(answer.standard_error)  # exactly 80 and sqrt(33.3)
    (80, 6)
    """
    values = np.asarray(draws, dtype=np.float64)
    resampled, cells = np.asarray(resampled_counts), np.asarray(cell_counts)
    if len(values) < 2 or resampled.shape != (len(values), len(cells)):
        raise ValueError(
            f"{len(values)} draws, resamples of shape {resampled.shape} and {len(cells)} cells do not fit together; "
            "at least two draws are needed, each with one row of counts by cell"
        )
    median = _median(values)
    if not np.isfinite(values).all():
        return Bagged(math.inf, math.inf, median, _why_not_bagged(values))
    mean = float(values.mean())
    variance = _infinitesimal_jackknife(values - mean, resampled[:, cells > 0], cells[cells > 0], n_hat)
    reason = (
        "" if variance > 0.0 else "its standard error is below the Monte Carlo noise; take more resamples"
    )
    return Bagged(mean, math.sqrt(max(variance, 0.0)), median, reason)


def _infinitesimal_jackknife(deviations: Floats, resampled: Ints, cells: Ints, n_hat: float | None) -> float:
    size, n = len(deviations), float(cells.sum())
    keeps_n = bool((resampled.sum(axis=1) == n).all())
    covariances = deviations @ (resampled - cells) / size
    free = len(cells) - 1 if keeps_n else len(cells)
    given_cells = float(np.sum(covariances**2 / cells)) - free * float(deviations @ deviations) / size**2
    if n_hat is None:
        if not keeps_n:
            raise ValueError(
                "the resamples let the number observed vary: give n_hat, whose population they are of"
            )
        return given_cells
    if keeps_n:
        return given_cells + n_hat * max(n_hat - n, 0.0) / n
    return given_cells + float(covariances.sum()) ** 2 / (n_hat - n)


def _median(draws: Floats) -> float:
    known = np.sort(draws[~np.isnan(draws)])
    return type8_quantile(known, 0.5, "upper") if len(known) else math.nan


def _why_not_bagged(draws: Floats) -> str:
    unbounded, unknown = int(np.isposinf(draws).sum()), int(np.isnan(draws).sum())
    counted = ((unbounded, "are unbounded"), (unknown, "have no number"))
    found = " and ".join(f"{number} {what}" for number, what in counted if number)
    return f"of {len(draws)} draws {found}, so their mean is not finite"


# === poisson counts of any mean =======================================================================================


def draw_poisson(mean: npt.ArrayLike, rng: np.random.Generator) -> Floats:
    """Draw Poisson counts, also of means that no integer can hold.

    Parameters
    ----------
    mean : array_like
    rng : Generator

    Returns
    -------
    ndarray
        Of the shape of `mean`.

    Examples
    --------
    >>> [f"{count:.2g}" for count in draw_poisson([0.0, 1e200], np.random.default_rng(1))]
    ['0', '1e+200']
    """
    expected = np.asarray(mean, dtype=np.float64)
    large = expected > LARGEST_EXACT
    drawn: Floats = np.array(rng.poisson(np.where(large, 0.0, expected)), dtype=np.float64)
    normal = rng.standard_normal(int(large.sum()))
    spread = np.sqrt(np.minimum(expected[large], LARGEST_SIZE))
    drawn[large] = np.round(expected[large] + spread * normal)
    return drawn
