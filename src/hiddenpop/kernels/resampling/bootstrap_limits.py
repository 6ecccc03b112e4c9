"""Limits from bootstrap draws of which some may have no number.

``inf`` is a draw that is unbounded, which is an answer; ``nan`` is a draw that is unknown (not identified, or not
converged). Neither is ever dropped.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtr, ndtri

from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError

__all__ = [
    "Limits",
    "acceleration",
    "bias_correction",
    "bootstrap_limits",
    "check_boot_size",
    "fewest_resamples",
    "limit_errors",
    "quantile_error",
    "type8_quantile",
]

Side: TypeAlias = Literal["lower", "upper"]

DRAWS_BEYOND = 5
"""So many draws must lie beyond each limit, else a limit rests on the few most extreme draws."""

POSITION_TOLERANCE = 1e-9
"""A position this near an order statistic is that one: rounding of a probability reaches for no infinite neighbour."""

TIE = 1e-9
"""Two estimates this near, relatively, are equal but for the rounding of two fits."""

NO_SPREAD = 1e-12
"""Jackknife values that differ by less than this, relatively, differ by rounding only."""

TWO_SIGMA = 0.022750
"""Share of a normal law beyond two standard deviations: a wide span is less at the mercy of single draws."""

CORRECTED_ERROR = 2.0
"""A corrected bootstrap limit also moves with its correction, about as far as the quantile and often the same way."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a bootstrap interval.

    Attributes
    ----------
    low, high : float
        Limits for N; neither is under the number observed, `high` may be inf.
    method_name : str
        ``"bca"``, ``"percentile"``, ``"basic"`` or ``"bc (acceleration undefined)"``.
    z0, acceleration : float or None
        Bias correction and acceleration; None for a method without them.
    notes : tuple of str
        What had to be decided about draws without a number, and about limits at an end.
    """

    low: float
    high: float
    method_name: str
    z0: float | None
    acceleration: float | None
    notes: tuple[str, ...]


def check_boot_size(n_boot: int, level: float) -> None:
    """Refuse a bootstrap too small for its level: fewer than five draws beyond each limit.

    Parameters
    ----------
    n_boot : int
    level : float

    Raises
    ------
    SettingError

    Examples
    --------
    >>> check_boot_size(200, 0.95)
    >>> check_boot_size(99, 0.9)
    Traceback (most recent call last):
    hiddenpop.errors.SettingError: n_boot=99 leaves fewer than 5 draws beyond each limit at level=0.9; use at least 100
    """
    given: object = n_boot
    smallest = fewest_resamples(level)
    if isinstance(given, bool) or not isinstance(given, int | np.integer):
        raise SettingError(f"n_boot={n_boot!r} must be a whole number, at least {smallest}")
    if n_boot < smallest:
        raise SettingError(
            f"n_boot={n_boot} leaves fewer than {DRAWS_BEYOND} draws beyond each limit at level={level}; "
            f"use at least {smallest}"
        )


def fewest_resamples(level: float) -> int:
    """Give the fewest resamples with five draws beyond each limit.

    Examples
    --------
    >>> fewest_resamples(0.95), fewest_resamples(0.9)
    (200, 100)
    """
    _check_level(level)
    # Without rounding, 10 / (1 - 0.9) is 100 and a little, and would ask for 101.
    return math.ceil(round(2 * DRAWS_BEYOND / (1.0 - level), 6))


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise SettingError(f"level={level!r} must lie between 0 and 1, e.g. 0.95")


def type8_quantile(sorted_values: Floats, q: float, side: Side) -> float:
    """Sample quantile of type 8, nearly median-unbiased whatever the distribution.

    Parameters
    ----------
    sorted_values : ndarray, shape (B,)
        Ascending; infinite values are allowed, nan is not.
    q : float
        Probability.
    side : {"lower", "upper"}
        Which order statistic to take between two of which one is infinite.

    Returns
    -------
    float

    Notes
    -----
    Linear between order statistics at the position ``(B + 1/3) q + 1/3``.

    References
    ----------
    Hyndman, R. J. and Fan, Y. (1996). Sample quantiles in statistical packages. The American Statistician 50(4),
    361-365. doi:10.1080/00031305.1996.10473566

    Examples
    --------
    >>> values = np.array([1.0, 2.0, 4.0, np.inf])
    >>> round(type8_quantile(values, 0.5, "lower"), 6)
    3.0
    >>> type8_quantile(values, 0.8, "lower"), type8_quantile(values, 0.8, "upper")
    (4.0, inf)
    """
    size = len(sorted_values)
    if not size:
        raise ValueError("there are no values to take a quantile of")
    position = (size + 1.0 / 3.0) * q + 1.0 / 3.0
    rank = math.floor(position + POSITION_TOLERANCE)
    weight = max(position - rank, 0.0)
    below, above = (float(sorted_values[min(max(i, 1), size) - 1]) for i in (rank, rank + 1))
    if weight <= POSITION_TOLERANCE or below == above:
        return below
    if math.isfinite(below) and math.isfinite(above):
        return below + weight * (above - below)
    return below if side == "lower" else above


def bias_correction(
    draws: Floats, n_hat: float, ties: Literal["half", "strict"] = "half"
) -> tuple[float, tuple[str, ...]]:
    """Median bias of the draws in normal units, ``z0``, and what had to be decided for it.

    Parameters
    ----------
    draws : ndarray, shape (B,)
        inf where unbounded, nan where unknown.
    n_hat : float
    ties : {"half", "strict"}
        A draw equal to the estimate counts as half a draw below it, or, as in other programs, not at all.

    Returns
    -------
    z0 : float
    notes : tuple of str

    Examples
    --------
    >>> round(bias_correction(np.array([90.0, 100.0, 100.0, 110.0]), 100.0)[0], 6)
    0.0
    >>> round(bias_correction(np.array([90.0, 100.0, 100.0, 110.0]), 100.0, ties="strict")[0], 4)
    -0.6745
    """
    size, unknown = len(draws), int(np.isnan(draws).sum())
    if ties == "strict":
        below, tied = int((draws < n_hat).sum()), 0
    else:
        near = np.abs(draws - n_hat) <= TIE * n_hat
        below, tied = int(((draws < n_hat) & ~near).sum()), int(near.sum())
    share, notes = (below + tied / 2 + unknown / 2) / size, []
    if unknown:
        notes.append("draws without a number count half below the estimate in the bias correction")
    inside = min(max(share, 0.5 / size), 1.0 - 0.5 / size)
    if inside != share:
        where = "below" if share < inside else "above"
        notes.append(
            f"no draw lies {where} the estimate: the bias correction is the largest that {size} draws can show"
        )
    return float(ndtri(inside)), tuple(notes)


def acceleration(jackknife: Floats, weights: Floats) -> float:
    """Acceleration of the BCa interval from the delete-one jackknife grouped by capture history.

    Parameters
    ----------
    jackknife : ndarray, shape (m,)
        Estimate without one person of each history that somebody has.
    weights : ndarray, shape (m,)
        Persons with that history.

    Returns
    -------
    float
        nan when a jackknife value is not finite or all are the same: it is then not defined.

    Notes
    -----
    ``r_w = sum(n_w N_(w)) / n - N_(w)`` and ``a = sum(n_w r_w^3) / (6 (sum(n_w r_w^2))^(3/2))``. Persons with the same
    history give the same estimate, so one fit a history serves them all.

    References
    ----------
    Efron, B. (1987). Better bootstrap confidence intervals. Journal of the American Statistical Association 82(397),
    171-185. doi:10.1080/01621459.1987.10478410

    Examples
    --------
    >>> round(acceleration(np.array([10.0, 12.0, 20.0]), np.array([3.0, 2.0, 1.0])), 4)
    -0.1051
    """
    if not np.isfinite(jackknife).all():
        return math.nan
    centre = float(np.average(jackknife, weights=weights))
    residuals = centre - jackknife
    largest = float(np.abs(residuals).max())
    if largest <= NO_SPREAD * abs(centre):
        return math.nan
    scaled = residuals / largest
    return float(weights @ scaled**3 / (6.0 * (weights @ scaled**2) ** 1.5))


def bootstrap_limits(
    draws: npt.ArrayLike,
    n_hat: float,
    n_observed: float,
    *,
    level: float,
    method: Literal["bca", "percentile", "basic"],
    jackknife: npt.ArrayLike | None = None,
    jackknife_weights: npt.ArrayLike | None = None,
    ties: Literal["half", "strict"] = "half",
) -> Limits:
    """Bootstrap interval for the size of a population.

    Parameters
    ----------
    draws : array_like, shape (B,)
        Bootstrap estimates of N: inf where unbounded, nan where unknown.
    n_hat : float
        The estimate, finite.
    n_observed : float
        Persons observed.
    level : float
        Confidence level, between 0 and 1.
    method : {"bca", "percentile", "basic"}
        Bias-corrected and accelerated; the quantiles of the draws; or the basic interval on the log dark figure.
    jackknife, jackknife_weights : array_like, shape (m,), optional
        For ``"bca"``: the estimate without one person of each history that somebody has, and how many have it.
    ties : {"half", "strict"}
        See `bias_correction`.

    Returns
    -------
    Limits

    Raises
    ------
    SettingError
        For a level or method it cannot have.
    ValueError
        For an estimate that is not finite or below the number observed, no draws, or ``"bca"`` without a jackknife.

    Notes
    -----
    An unknown draw stands at the number observed for the lower limit and at infinity for the upper, so that it can only
    widen the interval. Quantiles are of type 8; next to an infinite order statistic the outer one of the two is taken.
    With ``a`` not defined the interval is bias-corrected only, and named so; where ``1 - a (z0 + z)`` is not positive
    the limit is the number observed or infinity. The basic interval is ``n + n0^2 / q`` with `q` the opposite quantile
    of the dark figure of the draws. No limit is under the number observed.

    References
    ----------
    Efron, B. (1987). Better bootstrap confidence intervals. Journal of the American Statistical Association 82(397),
    171-185. doi:10.1080/01621459.1987.10478410
    Davison, A. C. and Hinkley, D. V. (1997). Bootstrap Methods and their Application. Cambridge University Press.
    doi:10.1017/CBO9780511802843

    Examples
    --------
    >>> draws = np.concatenate([np.linspace(110.0, 200.0, 195), np.full(5, np.inf)])
    >>> limits = bootstrap_limits(draws, 140.0, 100, level=0.95, method="percentile")
    >>> round(limits.low, 2), limits.high
    (112.01, inf)
    >>> limits.notes
    ('5 of 200 draws are unbounded and count as infinite',)
    """
    values, floor = np.asarray(draws, dtype=np.float64), float(n_observed)
    _check_limits(values, n_hat, floor, level)
    notes = _notes_on_draws(values)
    tail = (1.0 - level) / 2.0
    if method == "percentile":
        return _at_shares(values, floor, (tail, 1.0 - tail), method, notes)
    if method == "basic":
        return _basic(values, float(n_hat), floor, tail, notes)
    if method != "bca":
        raise SettingError(f"method={method!r} is not one of 'bca', 'percentile', 'basic'")
    if jackknife is None or jackknife_weights is None:
        raise ValueError('method="bca" needs jackknife and jackknife_weights')
    acc = acceleration(*_checked_jackknife(jackknife, jackknife_weights))
    z0, said = bias_correction(values, n_hat, ties)
    return _bca(values, floor, tail, z0, acc, (*notes, *said))


def _check_limits(draws: Floats, n_hat: float, floor: float, level: float) -> None:
    _check_level(level)
    if draws.ndim != 1 or not len(draws) or np.isneginf(draws).any():
        raise ValueError("draws must be a vector of at least one estimate, none of them -inf")
    if not floor <= n_hat < math.inf:
        raise ValueError(
            f"n_hat={n_hat!r} must be finite and at least the number observed, {floor:g}: without an estimate there is "
            "no bootstrap interval"
        )


def _checked_jackknife(jackknife: npt.ArrayLike, weights: npt.ArrayLike) -> tuple[Floats, Floats]:
    values, persons = np.asarray(jackknife, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if values.shape != persons.shape or not len(values) or not (persons > 0).all():
        raise ValueError(
            "jackknife and jackknife_weights must have one element for each history that somebody has"
        )
    return values, persons


def _notes_on_draws(draws: Floats) -> tuple[str, ...]:
    unbounded, unknown = int(np.isposinf(draws).sum()), int(np.isnan(draws).sum())
    notes = []
    if unbounded:
        notes.append(f"{unbounded} of {len(draws)} draws are unbounded and count as infinite")
    if unknown:
        notes.append(
            f"{unknown} of {len(draws)} draws have no number: for the lower limit they stand at the number observed, "
            "for the upper at infinity"
        )
    return tuple(notes)


def _placed(draws: Floats, floor: float, side: Side) -> Floats:
    """Sort the draws, with unknown ones where they widen this side."""
    return np.sort(np.where(np.isnan(draws), floor if side == "lower" else math.inf, draws))


def _at_shares(
    draws: Floats,
    floor: float,
    shares: tuple[float | None, float | None],
    name: str,
    notes: tuple[str, ...],
    z0: float | None = None,
    acc: float | None = None,
) -> Limits:
    """Limits at two probabilities; None is the end of the scale."""
    low, high = shares
    lower = floor if low is None else type8_quantile(_placed(draws, floor, "lower"), low, "lower")
    upper = math.inf if high is None else type8_quantile(_placed(draws, floor, "upper"), high, "upper")
    return Limits(max(lower, floor), max(upper, floor), name, z0, acc, notes)


def _bca(draws: Floats, floor: float, tail: float, z0: float, acc: float, notes: tuple[str, ...]) -> Limits:
    name = "bca"
    if math.isnan(acc):
        acc, name = 0.0, "bc (acceleration undefined)"
        notes = (*notes, "the jackknife gives no acceleration; the interval is corrected for bias only")
    low, high = (_bca_share(z0, acc, float(ndtri(p))) for p in (tail, 1.0 - tail))
    if low is None:
        notes = (*notes, "the acceleration is too large for a lower limit above the number observed")
    if high is None:
        notes = (*notes, "the acceleration is too large for a finite upper limit")
    return _at_shares(draws, floor, (low, high), name, notes, z0, acc)


def _bca_share(z0: float, acc: float, z: float) -> float | None:
    scale = 1.0 - acc * (z0 + z)
    return None if scale <= 0.0 else float(ndtr(z0 + (z0 + z) / scale))


def _basic(draws: Floats, n_hat: float, floor: float, tail: float, notes: tuple[str, ...]) -> Limits:
    """Reflect the quantiles of the log dark figure about its estimate."""
    n0 = n_hat - floor
    if n0 <= 0.0:
        reason = "the estimate is the number observed, so the log dark figure has no basic interval"
        return Limits(floor, math.inf, "basic", None, None, (*notes, reason))
    high_quantile = type8_quantile(_placed(draws, floor, "upper"), 1.0 - tail, "upper")
    placed = _placed(draws, floor, "lower")
    # Nobody hidden is minus infinity in the logarithm: an infinite order statistic like any other.
    low_quantile = type8_quantile(np.where(placed <= floor, -math.inf, placed), tail, "lower")
    return Limits(
        floor + _reflected(n0, high_quantile - floor),
        floor + _reflected(n0, low_quantile - floor),
        "basic",
        None,
        None,
        notes,
    )


def _reflected(n0: float, quantile: float) -> float:
    return n0 * (n0 / quantile) if quantile > 0.0 else math.inf


# === how far a quantile of draws moves when other random numbers are drawn ============================================


def quantile_error(draws: Floats, share: float, effective: float) -> float:
    """Monte Carlo standard error of a quantile of draws.

    Parameters
    ----------
    draws : ndarray, shape (n,)
    share : float
        Of the draws below the quantile.
    effective : float
        Number of independent draws that are worth these.

    Returns
    -------
    float
        nan where it cannot be told.

    References
    ----------
    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021). Rank-normalization, folding, and
    localization: an improved R-hat for assessing convergence of MCMC. Bayesian Analysis 16(2), 667-718.
    doi:10.1214/20-BA1221

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=4000)
    >>> round(quantile_error(draws, 0.5, 4000.0), 2)  # 1.25 / sqrt(4000)
    0.02
    """
    counts = effective * share + 1.0, effective * (1.0 - share) + 1.0
    places = [float(betaincinv(*counts, tail)) for tail in (TWO_SIGMA, 1.0 - TWO_SIGMA)]
    low, high = (float(np.quantile(draws, place, method="closest_observation")) for place in places)
    return (high - low) / 4.0 if math.isfinite(high) and math.isfinite(low) else math.nan


def limit_errors(
    draws: Floats,
    low: float,
    high: float,
    *,
    floor: float,
    corrected: bool,
    effective: float | None = None,
) -> tuple[float, float]:
    """Monte Carlo standard errors of two limits that are quantiles of draws.

    Parameters
    ----------
    draws : ndarray, shape (n,)
        inf where unbounded; nan where unknown, which stands at `floor` for the lower limit and at infinity for the
        upper one.
    low, high : float
        The limits.
    floor : float
        Persons observed.
    corrected : bool
        Whether the shares at which they were taken were estimated from the draws too.
    effective : float, optional
        Number of independent draws that are worth these; all of them by default.

    Returns
    -------
    low, high : float
        nan for a limit that no draw reaches, or that may be infinite with other draws.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=200)
    >>> [round(x, 2) for x in limit_errors(draws, -1.96, 1.96, floor=-9.0, corrected=False)]
    [0.29, 0.22]
    """
    worth = float(len(draws)) if effective is None else effective
    factor = CORRECTED_ERROR if corrected else 1.0
    unknown = np.isnan(draws)
    below, above = np.where(unknown, floor, draws), np.where(unknown, np.inf, draws)
    return (
        factor * quantile_error(below, float((below < low).mean()), worth)
        if low >= below.min()
        else math.nan,
        factor * quantile_error(above, float((above <= high).mean()), worth)
        if high <= above.max()
        else math.nan,
    )
