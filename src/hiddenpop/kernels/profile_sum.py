"""Profile likelihood limits for the sum of dark figures that were estimated apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.kernels.profile import (
    FEW_PERSONS,
    HiddenProfile,
    chi_square_drop,
    fall_limits,
    mid_p_drop,
)

__all__ = ["ProfileCurves", "profile_curves", "sum_of_profiles"]


FALLS = 10
"""Points at which the profile of each part is inverted; between them its logarithm is interpolated."""

GRID = 120
LEAST_INFORMATION = 0.001
"""Parts with less information than this many persons count together as so many, so that a negligible share of theirs
changes nothing."""

ROUNDS = 4


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
    of `hiddenpop.kernels.profile.mid_p_drop`, at the information that belongs to the limit: ``1 / sum_s w_s^2 / k_s``,
    with k_s the information of part s and w_s its share in the distance from estimate to limit. A part whose dark
    figure the data push to 0 thus widens the sum by what it may hide, and does not make it infinite by itself.

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
