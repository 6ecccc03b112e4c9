"""Profile likelihood limits for the size of a closed population (Cormack 1992)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2

__all__ = ["ProfileLimits", "profile_limits"]

SERIES_FROM = 1e4
LARGEST_RATIO = 1e6
"""Beyond a dark figure of this many times the observed (or the estimated) number, the likelihood is at its limit."""

SMALLEST_DARK_FIGURE = 1e-6
RELATIVE_PRECISION = 1e-10


@dataclass(frozen=True, slots=True)
class ProfileLimits:
    """Limits of a profile likelihood interval.

    Attributes
    ----------
    low, high : float
        Limits for N; `low` is never under the number observed, `high` may be inf.
    maximiser : float
        The N at which the profile likelihood is largest, inf when it keeps rising: the multinomial estimate, slightly
        below the conditional one.
    reason : str
        Why a limit is at the number observed or at infinity; empty when both were found.
    """

    low: float
    high: float
    maximiser: float
    reason: str


def stirling_remainder(x: float) -> float:
    """``x log x - log Gamma(x + 1) - x`` without cancellation.

    Examples
    --------
    >>> stirling_remainder(0.0)
    0.0
    >>> abs(stirling_remainder(1e4 - 1e-6) - stirling_remainder(1e4 + 1e-6)) < 1e-9
    True
    """
    if x <= 0.0:
        return 0.0
    if x < SERIES_FROM:
        return x * math.log(x) - math.lgamma(x + 1.0) - x
    return -0.5 * math.log(2.0 * math.pi * x) - 1.0 / (12.0 * x)


def profile_limits(
    deviance_at: Callable[[float], float], n_observed: float, n0_hat: float, level: float
) -> ProfileLimits:
    """Find where the profile log-likelihood of N has fallen by half a chi-square quantile.

    Parameters
    ----------
    deviance_at : callable
        Deviance of the model fitted to the observed cells and the unobserved cell with a supposed dark figure.
    n_observed : float
        Persons in the table that was fitted.
    n0_hat : float
        Where to start: the estimated dark figure, 0 or inf included.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    ProfileLimits

    Notes
    -----
    ``l(N) = -D(N)/2 + g(n0) - g(N)`` up to a constant, with ``n0 = N - n`` and ``g`` of `stirling_remainder`: the
    deviance of the Poisson fit, and the multinomial coefficient that depends on N. The model is taken as known.

    References
    ----------
    Cormack, R. M. (1992). Interval estimation for mark-recapture studies of closed populations. Biometrics 48(2),
    567-576. doi:10.2307/2532310

    Examples
    --------
    >>> import numpy as np
    >>> from hiddenpop.kernels.lattice import fit_one
    >>> def deviance_at(n0):
    ...     counts = np.array([n0, 30.0, 20.0, 10.0])
    ...     return fit_one(counts, np.ones(4, dtype=bool), np.array([1, 2, 0]), n_lists=2).deviance
    >>> limits = profile_limits(deviance_at, n_observed=60, n0_hat=60.0, level=0.95)
    >>> round(limits.low, 1), round(limits.high, 1)
    (82.4, 199.4)
    """
    n_observed, n0_hat = float(n_observed), float(n0_hat)
    drop = float(chi2.ppf(level, 1)) / 2.0
    largest = LARGEST_RATIO * (max(n_observed, n0_hat) if math.isfinite(n0_hat) else n_observed)

    def likelihood(n0: float) -> float:
        return -deviance_at(n0) / 2.0 + stirling_remainder(n0) - stirling_remainder(n0 + n_observed)

    # Where nobody sets an upper limit, the likelihood of very large lists reaches its limit only further out.
    while math.isinf(n0_hat) and likelihood(1e3 * largest) > likelihood(largest) + 1e-6:
        largest *= 1e3
    try:
        best_n0, best = _maximise(likelihood, n0_hat, largest)
        target = best - drop
        low, low_reason = _lower(likelihood, target, min(best_n0, largest))
        high, high_reason = _upper(likelihood, target, best_n0, largest)
    except LostLikelihoodError as error:
        return ProfileLimits(n_observed, math.inf, n_observed + n0_hat, str(error))
    reason = "; ".join(filter(None, (low_reason, high_reason)))
    return ProfileLimits(n_observed + low, n_observed + high, n_observed + best_n0, reason)


class LostLikelihoodError(ArithmeticError):
    """The likelihood does not come down where it must: its digits are lost in the size of the counts."""


def _maximise(likelihood: Callable[[float], float], n0_hat: float, largest: float) -> tuple[float, float]:
    """Dark figure with the largest likelihood, and that likelihood; the ends 0 and infinity count."""
    start = min(max(n0_hat, SMALLEST_DARK_FIGURE), largest)
    ends = [(0.0, likelihood(0.0)), (math.inf, likelihood(largest))]
    lower, upper = start, start
    while lower > SMALLEST_DARK_FIGURE and likelihood(lower / 2) > likelihood(lower):
        lower /= 2
    while upper < largest and likelihood(upper * 2) > likelihood(upper):
        upper *= 2
    bounds = math.log(lower / 2), math.log(min(upper * 2, largest))
    inside = minimize_scalar(
        lambda t: -likelihood(math.exp(t)),
        bounds=bounds,
        method="bounded",
        options={"xatol": RELATIVE_PRECISION},
    )
    return max([*ends, (math.exp(float(inside.x)), -float(inside.fun))], key=lambda pair: pair[1])


def _lower(likelihood: Callable[[float], float], target: float, best_n0: float) -> tuple[float, str]:
    if best_n0 <= 0.0:
        return 0.0, ""
    if likelihood(0.0) >= target:
        return 0.0, "the lower limit is the number observed: the data do not exclude that nobody was missed"
    outer, inner = best_n0, best_n0 / 2
    while likelihood(inner) >= target:
        outer, inner = inner, inner / 2
        if inner < SMALLEST_DARK_FIGURE:
            return 0.0, ""
    return _crossing(likelihood, target, inner, outer), ""


def _upper(
    likelihood: Callable[[float], float], target: float, best_n0: float, largest: float
) -> tuple[float, str]:
    no_limit = "there is no upper limit: the likelihood does not fall enough however large the dark figure"
    if likelihood(largest) >= target:
        return math.inf, no_limit
    inner = max(best_n0, SMALLEST_DARK_FIGURE)
    outer = min(2 * inner, largest)
    while likelihood(outer) >= target:
        inner, outer = outer, min(2 * outer, largest)
    return _crossing(likelihood, target, inner, outer), ""


def _crossing(likelihood: Callable[[float], float], target: float, a: float, b: float) -> float:
    """Dark figure between `a` and `b` where the likelihood meets the target, to relative precision."""

    def above(log_n0: float) -> float:
        return likelihood(math.exp(log_n0)) - target

    low, high = math.log(a), math.log(b)
    if not above(low) * above(high) <= 0.0:
        raise LostLikelihoodError(
            "no limits: the counts span more orders of magnitude than the arithmetic can follow"
        )
    return math.exp(float(brentq(above, low, high, xtol=RELATIVE_PRECISION)))
