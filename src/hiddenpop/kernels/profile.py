"""Profile likelihood limits for the size of a closed population: Cormack's, and for few persons by the mid-P rule."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from scipy.special import gammaincc, gammaincinv

from hiddenpop.kernels.scalar import bounded_minimum, bracketed_root

__all__ = [
    "FEW_PERSONS",
    "HiddenProfile",
    "LostLikelihoodError",
    "ProfileLimits",
    "chi_square_drop",
    "fall_limits",
    "information_of",
    "mid_p_drop",
    "profile_limits",
]

SERIES_FROM = 1e4
LARGEST_RATIO = 1e6
"""Beyond a dark figure of this many times the observed (or the estimated) number, the likelihood is at its limit."""

SMALLEST_DARK_FIGURE = 1e-6
RELATIVE_PRECISION = 1e-10

FEW_PERSONS = 2.0
"""Where the data tell less of the dark figure than a count of so many persons would, the multinomial coefficient and
the chi-square law mislead: over 60 laws with small cells Cormack's limits cover from 15 % upwards, those by the mid-P
rule below this number, and Cormack's above it, at least 95 %."""


@dataclass(frozen=True, slots=True)
class ProfileLimits:
    """Limits of a profile likelihood interval.

    Attributes
    ----------
    low, high : float
        Limits for N; `low` is never under the number observed, `high` may be inf.
    maximiser : float
        The N at which the profile likelihood is largest, inf when it keeps rising: the multinomial estimate, slightly
        below the conditional one; the conditional one where the limits are those for few persons.
    reason : str
        Why a limit is at the number observed or at infinity; empty when both were found.
    method : str
        What the limits are, for the name of the interval.
    """

    low: float
    high: float
    maximiser: float
    reason: str
    method: str = "profile"


FOR_FEW = "profile for few persons, mid-P"


@dataclass(frozen=True, slots=True)
class HiddenProfile:
    """What the data say of every dark figure under one model.

    Attributes
    ----------
    n_observed : float
        Persons in the table that was fitted.
    n0_hat : float
        The estimated dark figure, 0 or inf included.
    information : float
        How many persons a count would have that tells as much of the dark figure: ``1 / var(log n0)``, and 0 where the
        data push it to 0 or to infinity.
    deviance_at : callable
        Deviance of the model fitted to the observed cells and the unobserved cell with a supposed dark figure.
    """

    n_observed: float
    n0_hat: float
    information: float
    deviance_at: Callable[[float], float]

    @property
    def largest(self) -> float:
        """A dark figure at which the likelihood has reached its limit."""
        return LARGEST_RATIO * max(self.n_observed, self.n0_hat if math.isfinite(self.n0_hat) else 0.0)

    def rise_at(self, n0: float) -> float:
        """How far the deviance of a supposed dark figure lies above that of the estimate."""
        at = min(self.n0_hat, self.largest)
        return max(self.deviance_at(n0) - self.deviance_at(at), 0.0)

    def rise_at_infinity(self) -> float:
        """How far it lies above that in the limit of large dark figures."""
        return self.rise_at(self.largest)


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


def information_of(log_n0_variance: float) -> float:
    """How many persons a Poisson count would have whose logarithm varies as much; 0 where there is no variance (nan).

    Examples
    --------
    >>> information_of(0.25), information_of(float("nan"))
    (4.0, 0.0)
    """
    if math.isnan(log_n0_variance):
        return 0.0
    return 1.0 / log_n0_variance if log_n0_variance > 0.0 else math.inf


def mid_p_drop(information: float, level: float) -> float:
    """How far twice the log-likelihood may fall inside an interval when the data are worth a count of few persons.

    Parameters
    ----------
    information : float
        Persons; 0 where the dark figure is at its boundary or has none.
    level : float

    Returns
    -------
    float
        The deviance of a Poisson count of `information` from its upper mid-P limit; for many persons the chi-square
        quantile.

    Notes
    -----
    With ``k`` the information, the limit mu solves ``P(X < k) + P(X = k)/2 = (1 - level)/2`` for X of mean mu, with the
    distribution function continued to real k by the incomplete gamma function. Half the probability of the count itself
    (Lancaster 1961) keeps the error of a discrete law near its level.

    References
    ----------
    Lancaster, H. O. (1961). Significance tests in discrete distributions. Journal of the American Statistical
    Association 56(294), 223-234. doi:10.1080/01621459.1961.10482105

    Examples
    --------
    >>> round(mid_p_drop(0.0, 0.95), 2), round(mid_p_drop(1.0, 0.95), 2), round(mid_p_drop(1e6, 0.95), 2)
    (5.99, 4.67, 3.84)
    """
    k, tail = information, (1.0 - level) / 2.0
    low, high = k, k + 10.0 + 40.0 * math.sqrt(k + 1.0) - 2.0 * math.log(tail)

    def excess(mean: float) -> float:
        below = float(gammaincc(k, mean)) if k > 0.0 else 0.0
        return (below + float(gammaincc(k + 1.0, mean))) / 2.0 - tail

    mean = bracketed_root(excess, low, high, RELATIVE_PRECISION) if excess(low) > 0.0 else low
    return 2.0 * (mean - k - (k * math.log(mean / k) if k > 0.0 else 0.0))


def chi_square_drop(level: float) -> float:
    """Half a chi-square quantile: how far the log-likelihood may fall where many persons carry the estimate.

    Examples
    --------
    >>> round(chi_square_drop(0.95), 3)
    1.921
    """
    return float(gammaincinv(0.5, level))


def fall_limits(profile: HiddenProfile, drop: float) -> tuple[float, float]:
    """Dark figures at which the conditional log-likelihood has fallen by `drop` from its maximum.

    Examples
    --------
    >>> from math import log
    >>> poisson = HiddenProfile(100.0, 1.0, 1.0, lambda n0: 2.0 * (n0 - 1.0 - log(max(n0, 1e-300))))
    >>> low, high = fall_limits(poisson, 1.920729)
    >>> round(low, 3), round(high, 2)
    (0.057, 4.4)
    """
    limits = _limits(profile, _conditional(profile), drop, top_is_known=True)
    return limits.low - profile.n_observed, limits.high - profile.n_observed


def profile_limits(profile: HiddenProfile, level: float) -> ProfileLimits:
    """Find where the profile log-likelihood of N has fallen too far from its maximum.

    Parameters
    ----------
    profile : HiddenProfile
        With infinite information the limits are Cormack's whatever the counts.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    ProfileLimits

    Notes
    -----
    ``l(N) = -D(N)/2 + g(n0) - g(N)`` up to a constant, with ``n0 = N - n`` and ``g`` of `stirling_remainder`: the
    deviance of the Poisson fit, and the multinomial coefficient that depends on N. The limit is where it has fallen by
    half a chi-square quantile. The model is taken as known.

    The coefficient favours ``N = n`` by ``log(2 pi n) / 2``, 3 to 4 units, and small dark figures before large ones.
    Where the data tell little of the dark figure that is all there is in the likelihood, and its limits hold a few
    persons more than those observed and never the truth. So with less information than `FEW_PERSONS` the limits are
    those of the deviance alone: the
    conditional likelihood of the observed cells with the intercept given, and the binomial deviance of the number
    unseen. It is largest at the conditional estimate, and its fall is that of `mid_p_drop`. The same holds where
    Cormack's interval does not hold the conditional estimate, as at low levels with a dark figure near 0.

    Where one person more takes the information over that number, the upper limit can fall by up to 3 %.

    For two lists these limits agree closely with the exact ones of the hypergeometric overlap, by mid-P.

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
    >>> profile = HiddenProfile(n_observed=60.0, n0_hat=60.0, information=5.5, deviance_at=deviance_at)
    >>> limits = profile_limits(profile, level=0.95)
    >>> round(limits.low, 1), round(limits.high, 1)
    (82.4, 199.4)
    """
    n, drop = profile.n_observed, chi_square_drop(level)
    if profile.information >= FEW_PERSONS:
        limits = _limits(profile, _multinomial(profile), drop)
        if limits.low <= n + profile.n0_hat <= limits.high:
            return limits
    if math.isfinite(profile.information):
        drop = mid_p_drop(profile.information, level) / 2.0
    return replace(_limits(profile, _conditional(profile), drop, top_is_known=True), method=FOR_FEW)


class LostLikelihoodError(ArithmeticError):
    """The likelihood does not come down where it must: its digits are lost in the size of the counts."""


def _multinomial(profile: HiddenProfile) -> Callable[[float], float]:
    """Profile log-likelihood of the dark figure, multinomial coefficient included."""
    n = profile.n_observed
    return lambda n0: -profile.deviance_at(n0) / 2.0 + stirling_remainder(n0) - stirling_remainder(n0 + n)


def _conditional(profile: HiddenProfile) -> Callable[[float], float]:
    """Profile log-likelihood of the dark figure given the observed cells, and that of the number unseen."""
    return lambda n0: -profile.deviance_at(n0) / 2.0


def _limits(
    profile: HiddenProfile, likelihood: Callable[[float], float], drop: float, *, top_is_known: bool = False
) -> ProfileLimits:
    """Limits where a log-likelihood has fallen by `drop` from its maximum, which may be known to be the estimate."""
    n_observed, n0_hat, largest = profile.n_observed, profile.n0_hat, profile.largest
    likelihood = functools.cache(likelihood)  # a fit a value
    # Where nobody sets an upper limit, the likelihood of very large lists reaches its limit only further out.
    while math.isinf(n0_hat) and likelihood(1e3 * largest) > likelihood(largest) + 1e-6:
        largest *= 1e3
    try:
        if top_is_known:
            best_n0, best = n0_hat, likelihood(min(n0_hat, largest))
        else:
            best_n0, best = _maximise(likelihood, n0_hat, largest)
        target = best - drop
        low, low_reason = _lower(likelihood, target, drop, min(best_n0, largest))
        high, high_reason = _upper(likelihood, target, drop, best_n0, largest)
    except LostLikelihoodError as error:
        return ProfileLimits(n_observed, math.inf, n_observed + n0_hat, str(error))
    reason = "; ".join(filter(None, (low_reason, high_reason)))
    return ProfileLimits(n_observed + low, n_observed + high, n_observed + best_n0, reason)


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
    log_n0, fall = bounded_minimum(lambda t: -likelihood(math.exp(t)), *bounds, RELATIVE_PRECISION)
    return max([*ends, (math.exp(log_n0), -fall)], key=lambda pair: pair[1])


def _lower(
    likelihood: Callable[[float], float], target: float, drop: float, best_n0: float
) -> tuple[float, str]:
    if best_n0 <= 0.0:
        return 0.0, ""
    if likelihood(0.0) >= target:
        return 0.0, "the lower limit is the number observed: the data do not exclude that nobody was missed"
    outer, inner = best_n0, best_n0 / 2
    while likelihood(inner) >= target:
        outer, inner = inner, inner / 2
        if inner < SMALLEST_DARK_FIGURE:
            return 0.0, ""
    return _crossing(likelihood, target, drop, inner, outer), ""


def _upper(
    likelihood: Callable[[float], float], target: float, drop: float, best_n0: float, largest: float
) -> tuple[float, str]:
    no_limit = "there is no upper limit: the likelihood does not fall enough however large the dark figure"
    if likelihood(largest) >= target:
        return math.inf, no_limit
    inner = max(best_n0, SMALLEST_DARK_FIGURE)
    outer = min(2 * inner, largest)
    while likelihood(outer) >= target:
        inner, outer = outer, min(2 * outer, largest)
    return _crossing(likelihood, target, drop, inner, outer), ""


def _crossing(likelihood: Callable[[float], float], target: float, drop: float, a: float, b: float) -> float:
    """Dark figure between `a` and `b` where the likelihood meets the target, to relative precision."""
    allowed = math.sqrt(drop)

    def above(log_n0: float) -> float:
        # The root of the fall is nearly linear, so that few fits find where it is the root of the drop.
        fall = drop - (likelihood(math.exp(log_n0)) - target)
        return allowed - math.sqrt(fall) if fall > 0.0 else allowed

    low, high = math.log(a), math.log(b)
    if not above(low) * above(high) <= 0.0:
        raise LostLikelihoodError(
            "no limits: the counts span more orders of magnitude than the arithmetic can follow"
        )
    return math.exp(bracketed_root(above, low, high, RELATIVE_PRECISION))
