"""Profile likelihood limits for the size of a closed population: Cormack's, and for few persons by the mid-P rule."""

import functools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaincc, gammaincinv

from hiddenpop._typing import Floats

__all__ = [
    "FEW_PERSONS",
    "HiddenProfile",
    "LostLikelihoodError",
    "ProfileCurves",
    "ProfileLimits",
    "bracketed_root",
    "chi_square_drop",
    "fall_limits",
    "information_of",
    "mid_p_drop",
    "profile_curves",
    "profile_limits",
    "sum_of_profiles",
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

FALLS = 10
"""Points at which the profile of each part is inverted; between them its logarithm is interpolated."""

GRID = 120
LEAST_INFORMATION = 0.001
"""Parts with less information than this many persons count together as so many, so that a negligible share of theirs
changes nothing."""

ROUNDS = 4

EPSILON = sys.float_info.epsilon
GOLDEN = (3.0 - math.sqrt(5.0)) / 2.0

MAX_STEPS = 500
"""Bisection alone needs about 60 steps; Brent's methods may take a few times as many at the very worst."""


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
    >>> from hiddenpop.kernels.poisson.lattice import fit_one
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


# === profile likelihood limits for the sum of dark figures that were estimated apart ==================================


@dataclass(frozen=True, slots=True, eq=False)
class ProfileCurves:
    """How far the dark figure of one part may lie from its estimate, by how much the deviance may rise.

    Attributes
    ----------
    below, above : ndarray, shape (GRID + 1,)
        Distances at equal steps of the root of the deviance, from 0 to that of `mid_p_drop` without information.
    information : float
        As in `HiddenProfile`.
    """

    below: Floats
    above: Floats
    information: float


def profile_curves(part: HiddenProfile, level: float) -> ProfileCurves:
    """Invert the profile of one part of the population.

    Parameters
    ----------
    part : HiddenProfile
        With a finite dark figure.
    level : float
        Of the limits of the sum.

    Returns
    -------
    ProfileCurves

    Raises
    ------
    LostLikelihoodError
        If the digits of the likelihood are lost in the size of the counts.
    """
    radii = _radii(level)
    return ProfileCurves(
        _excess(part, radii, upper=False), _excess(part, radii, upper=True), part.information
    )


def sum_of_profiles(parts: Sequence[ProfileCurves], level: float) -> tuple[float, float]:
    """Find how far below and above its estimate the sum of independent dark figures may lie.

    Parameters
    ----------
    parts : sequence of ProfileCurves
        One for each part of the population, each with persons of its own, for the same level.
    level : float

    Returns
    -------
    below, above : float
        Distances of the limits from the sum of the estimates; `above` may be inf.

    Notes
    -----
    The deviance of a supposed sum T is ``D(T) = min sum_s D_s(n_s)`` over the ways to divide T. It may rise by the drop
    of `mid_p_drop`, at the information that belongs to the limit: ``1 / sum_s w_s^2
    / k_s``, with k_s the information of part s and w_s its share in the distance from estimate to limit. A part whose
    dark figure the data push to 0 thus widens the sum by what it may hide, and does not make it infinite by itself.

    With the root of the deviance as radius the minimum over divisions is a maximum over a sphere, so two parts are
    joined along a quarter circle, and more of them one after the other.

    Examples
    --------
    >>> from math import log
    >>> def poisson(count):
    ...     return lambda n0: 2.0 * (n0 - count - (count * log(max(n0, 1e-300) / count) if count else 0.0))
    >>> parts = [profile_curves(HiddenProfile(100.0, float(k), float(k), poisson(k)), 0.95) for k in (9, 16)]
    >>> below, above = sum_of_profiles(parts, 0.95)  # as of one count of 25
    >>> round(25 - below, 1), round(25 + above, 1)
    (16.4, 36.1)
    """
    information = np.array([part.information for part in parts])
    below, above = (
        _limit([getattr(part, side) for part in parts], _radii(level), information, level)
        for side in ("below", "above")
    )
    return below, above


def _radii(level: float) -> Floats:
    return np.linspace(0.0, math.sqrt(mid_p_drop(0.0, level)), GRID + 1)


def _excess(part: HiddenProfile, radii: Floats, *, upper: bool) -> Floats:
    """Distance from the estimate at which the deviance of one part has risen by the square of each radius."""
    farthest = _farthest(part, upper=upper)
    inside = np.linspace(0.0, min(float(radii[-1]), farthest), FALLS + 1)[1:]
    found = []
    for radius in inside:
        low, high = fall_limits(part, radius**2 / 2.0)
        found.append(high - part.n0_hat if upper else part.n0_hat - low)
    values = np.maximum(np.array(found), 0.0)
    excess = _interpolated(inside, values, radii) if values.any() else np.zeros(len(radii))
    excess[radii > farthest] = math.inf if upper else part.n0_hat
    return excess


def _farthest(part: HiddenProfile, *, upper: bool) -> float:
    """Radius at which the limit of a part is at infinity, or at nobody."""
    end = part.rise_at_infinity() if upper else part.rise_at(0.0)
    return 0.999 * math.sqrt(max(end, 1e-12))


def _interpolated(at: Floats, values: Floats, radii: Floats) -> Floats:
    """Interpolate the logarithm of a distance by that of the radius; it starts at 0 as the power it begins with."""
    positive = values > 0.0
    x, y = np.log(at[positive]), np.log(values[positive])
    inner = np.log(np.maximum(radii, 1e-300))
    power = (y[1] - y[0]) / (x[1] - x[0]) if len(x) > 1 else 1.0
    logs = np.where(inner < x[0], y[0] + max(power, 1.0) * (inner - x[0]), np.interp(inner, x, y))
    return np.where(radii > 0.0, np.exp(logs), 0.0)


def _limit(curves: list[Floats], radii: Floats, information: Floats, level: float) -> float:
    """Distance of the limit of the sum from its estimate, with the drop that its own information asks for."""
    joined, trail = [curves[0]], []
    for curve in curves[1:]:
        total, taken = _join(joined[-1], curve)
        joined.append(total)
        trail.append(taken)
    whole, drop = joined[-1], chi_square_drop(level)
    for _ in range(ROUNDS):
        radius = math.sqrt(2.0 * drop) / float(radii[1])
        distance = _at(whole, np.array([radius]))[0]
        shares = _shares(curves, trail, radius)
        drop = _drop(shares, information, level)
    return float(distance)


def _drop(shares: Floats, information: Floats, level: float) -> float:
    silent = information <= LEAST_INFORMATION
    spread = float(np.sum(shares[~silent] ** 2 / information[~silent]))
    spread += float(shares[silent].sum()) ** 2 / LEAST_INFORMATION
    worth = 1.0 / max(spread, 1e-300)
    return mid_p_drop(worth, level) / 2.0 if worth < FEW_PERSONS else chi_square_drop(level)


def _join(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Join two curves on the grid: the largest sum along each quarter circle, and the angle where it lies."""
    steps = np.arange(len(first), dtype=np.float64)
    angles = np.linspace(0.0, math.pi / 2.0, GRID + 1)
    ours, theirs = np.outer(steps, np.cos(angles)), np.outer(steps, np.sin(angles))
    sums = _at(first, ours) + _at(second, theirs)
    best = np.argmax(sums, axis=1)
    return sums[np.arange(len(steps)), best], angles[best]


def _at(curve: Floats, places: Floats) -> Floats:
    """Value of a curve between the points of its grid; infinite as soon as the next point is."""
    left = np.minimum(np.floor(places + 1e-9).astype(np.int64), len(curve) - 1)
    right = np.minimum(left + 1, len(curve) - 1)
    share = np.clip(places - left, 0.0, 1.0)
    share = np.where(share < 1e-9, 0.0, share)
    with np.errstate(invalid="ignore"):
        between = curve[left] * (1.0 - share) + curve[right] * share
    return np.where(share == 0.0, curve[left], between)


def _shares(curves: list[Floats], trail: list[Floats], radius: float) -> Floats:
    """Share of every part in the distance of the sum, followed back along the circles."""
    found = np.zeros(len(curves))
    for position in range(len(curves) - 1, 0, -1):
        angle = trail[position - 1][min(round(radius), GRID)]
        found[position] = _at(curves[position], np.array([radius * math.sin(angle)]))[0]
        radius *= math.cos(angle)
    found[0] = _at(curves[0], np.array([radius]))[0]
    if not np.isfinite(found).all():
        return np.isinf(found) / np.isinf(found).sum()
    return found / found.sum() if found.sum() > 0.0 else found


# === roots and minima of functions of one variable by Brent's methods =================================================
# For those who would otherwise load an optimiser.
#
# References
# ----------
# Brent, R. P. (1973). Algorithms for Minimization without Derivatives. Prentice-Hall, chapters 4 and 5.


def bracketed_root(function: Callable[[float], float], a: float, b: float, tolerance: float) -> float:
    """Find where a function changes its sign.

    Parameters
    ----------
    function : callable
    a, b : float
        The function must not have the same sign at both.
    tolerance : float
        Largest distance of the answer from the change of sign, rounding apart.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the function has the same sign at both ends, or a value that is not a number.

    Examples
    --------
    >>> round(bracketed_root(lambda x: x * x - 2.0, 0.0, 2.0, 1e-12), 9)
    1.414213562
    """
    f_a, f_b = function(a), function(b)
    if not f_a * f_b <= 0.0:
        raise ValueError(f"the function has the same sign at both ends: {f_a} at {a}, {f_b} at {b}")
    c, f_c = a, f_a
    step = before = b - a
    for _ in range(MAX_STEPS):
        if abs(f_c) < abs(f_b):
            a, b, c = b, c, b
            f_a, f_b, f_c = f_b, f_c, f_b
        near, middle = 2.0 * EPSILON * abs(b) + tolerance / 2.0, (c - b) / 2.0
        if abs(middle) <= near or f_b == 0.0:
            break
        step, before = _root_step(a, b, c, f_a, f_b, f_c, step, before, near)
        a, f_a = b, f_b
        b += step if abs(step) > near else math.copysign(near, middle)
        f_b = function(b)
        if (f_b > 0.0) == (f_c > 0.0):
            c, f_c = a, f_a
            step = before = b - a
    return b


def _root_step(
    a: float,
    b: float,
    c: float,
    f_a: float,
    f_b: float,
    f_c: float,
    step: float,
    before: float,
    near: float,
) -> tuple[float, float]:
    """Interpolate where that goes well inside the bracket and halves the step before last, else bisect."""
    middle = (c - b) / 2.0
    if abs(before) < near or abs(f_a) <= abs(f_b):
        return middle, middle
    s = f_b / f_a
    if a == c:
        p, q = 2.0 * middle * s, 1.0 - s
    else:
        q, r = f_a / f_c, f_b / f_c
        p = s * (2.0 * middle * q * (q - r) - (b - a) * (r - 1.0))
        q = (q - 1.0) * (r - 1.0) * (s - 1.0)
    p, q = (p, -q) if p > 0.0 else (-p, q)
    if 2.0 * p < 3.0 * middle * q - abs(near * q) and p < abs(before * q / 2.0):
        return p / q, step
    return middle, middle


def bounded_minimum(
    function: Callable[[float], float], lower: float, upper: float, tolerance: float
) -> tuple[float, float]:
    """Find a local minimum between two bounds.

    Parameters
    ----------
    function : callable
    lower, upper : float
    tolerance : float
        Absolute precision of the argument, beside the square root of the machine's.

    Returns
    -------
    x, value : float
        The best point seen, and the function there.

    Examples
    --------
    >>> round(bounded_minimum(lambda x: (x - 1.0) ** 2, 0.0, 3.0, 1e-9)[0], 6)
    1.0
    """
    a, b = lower, upper
    x = w = v = a + GOLDEN * (b - a)
    f_x = f_w = f_v = function(x)
    step = before = 0.0
    for _ in range(MAX_STEPS):
        middle = (a + b) / 2.0
        near = math.sqrt(EPSILON) * abs(x) + tolerance / 3.0
        if abs(x - middle) <= 2.0 * near - (b - a) / 2.0:
            break
        parabola = _parabola_step(x, w, v, f_x, f_w, f_v, before, a, b, near)
        if parabola is None:
            before = (a if x >= middle else b) - x
            step = GOLDEN * before
        else:
            before, step = step, parabola
        u = x + (step if abs(step) >= near else math.copysign(near, step))
        f_u = function(u)
        if f_u <= f_x:
            a, b = (x, b) if u >= x else (a, x)
            v, f_v, w, f_w, x, f_x = w, f_w, x, f_x, u, f_u
        else:
            a, b = (u, b) if u < x else (a, u)
            if f_u <= f_w or w == x:
                v, f_v, w, f_w = w, f_w, u, f_u
            elif f_u <= f_v or v in (x, w):
                v, f_v = u, f_u
    return x, f_x


def _parabola_step(
    x: float,
    w: float,
    v: float,
    f_x: float,
    f_w: float,
    f_v: float,
    before: float,
    a: float,
    b: float,
    near: float,
) -> float | None:
    """Step to the lowest point of the parabola through three points; None where it is not to be trusted."""
    if abs(before) <= near:
        return None
    r, q = (x - w) * (f_x - f_v), (x - v) * (f_x - f_w)
    p, q = (x - v) * q - (x - w) * r, 2.0 * (q - r)
    p, q = (-p, q) if q > 0.0 else (p, -q)
    if not (abs(p) < abs(q * before / 2.0) and q * (a - x) < p < q * (b - x)):
        return None
    u = x + p / q
    if u - a < 2.0 * near or b - u < 2.0 * near:
        return math.copysign(near, (a + b) / 2.0 - x)
    return p / q
