"""Points, limits and simultaneous bands from draws of which some may be infinite or unknown."""

import math
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import check_level
from hiddenpop.kernels.resampling.bootstrap_limits import DRAWS_BEYOND, type8_quantile

__all__ = ["Band", "check_draws", "draw_limits", "draw_median", "simultaneous_band", "upward_share"]


ROUNDING = 1e-9
"""A rank this near a whole number is that number."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """Limits that hold whole paths of draws.

    Attributes
    ----------
    low, high : ndarray, shape (t,)
    rank : int
        The limits are the draws of this rank from below and from above, at each of the t points.
    """

    low: Floats
    high: Floats
    rank: int


def check_draws(n_draws: int, level: float) -> None:
    """Refuse a level that leaves fewer than five draws beyond each limit.

    Examples
    --------
    >>> check_draws(400, 0.95)
    >>> check_draws(200, 0.99)
    Traceback (most recent call last):
    hiddenpop.errors.SettingError: level=0.99 leaves fewer than 5 of 200 draws beyond each limit; take a lower level ...
    """
    check_level(level)
    if n_draws * (1.0 - level) / 2.0 < DRAWS_BEYOND - ROUNDING:
        raise SettingError(
            f"level={level} leaves fewer than {DRAWS_BEYOND} of {n_draws} draws beyond each limit; take a lower level "
            "or an estimate with more draws"
        )


def draw_limits(
    values: Floats, level: float, kind: str, *, unknown: tuple[float, float]
) -> tuple[float, float]:
    """Equal-tailed limits of one quantity.

    Parameters
    ----------
    values : ndarray, shape (d,)
        Draws, nan where unknown.
    level : float
    kind : str
        Of ``"posterior"`` draws the limits are among the draws (inverse of the distribution function); of bootstrap
        draws they are quantiles of type 8, next to an infinite draw the outer of the two.
    unknown : (float, float)
        Where unknown draws stand for the lower and for the upper limit, so that they can only widen the interval.

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> draw_limits(np.arange(1.0, 101.0), 0.9, "posterior", unknown=(0.0, np.inf))
    (5.0, 95.0)
    >>> draw_limits(np.array([1.0, 2.0, 3.0, np.nan]), 0.5, "posterior", unknown=(0.0, np.inf))
    (0.0, 3.0)
    """
    tail = (1.0 - level) / 2.0
    below, above = (np.sort(np.where(np.isnan(values), place, values)) for place in unknown)
    if kind == "posterior":
        return _at(below, tail), _at(above, 1.0 - tail)
    return type8_quantile(below, tail, "lower"), type8_quantile(above, 1.0 - tail, "upper")


def draw_median(values: Floats) -> float:
    """Median among the draws, nan where unknown draws could move it.

    Examples
    --------
    >>> draw_median(np.array([3.0, 1.0, 2.0])), draw_median(np.array([np.nan, 1.0, 2.0]))
    (2.0, nan)
    """
    low, high = (_at(np.sort(np.where(np.isnan(values), p, values)), 0.5) for p in (-math.inf, math.inf))
    return low if low == high else math.nan


def _at(ordered: Floats, share: float) -> float:
    return float(ordered[max(math.ceil(len(ordered) * share - ROUNDING) - 1, 0)])


def upward_share(first: Floats, last: Floats) -> float:
    """Share of the draws in which the last is above the first; ties and unknown draws count half.

    Examples
    --------
    >>> upward_share(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.0, 4.0, np.nan]))
    0.75
    """
    up = np.where(last > first, 1.0, np.where(last < first, 0.0, 0.5))
    return float(up.mean())


def simultaneous_band(draws: Floats, level: float, floor: Floats) -> Band:
    """Smallest band of pointwise quantiles that holds whole paths of draws.

    Parameters
    ----------
    draws : ndarray, shape (d, t)
        A path a row; inf where unbounded, nan where unknown.
    level : float
        Share of the paths that lie inside at all t points.
    floor : ndarray, shape (t,)
        Least possible values; unknown draws stand there for the lower limit, and at infinity for the upper.

    Returns
    -------
    Band

    Notes
    -----
    A path has the depth of its most extreme point: the number of draws at or below it, or at or above it, whichever is
    smaller. The band runs from the k-th smallest to the k-th largest draw at each point, with the largest k for which
    the paths of depth k or more are `level` of all. Only ranks count, so that a logarithm changes nothing.

    References
    ----------
    Besag, J., Green, P., Higdon, D. and Mengersen, K. (1995). Bayesian computation and stochastic systems. Statistical
    Science 10(1), 3-41. doi:10.1214/ss/1177010123

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=(2000, 10))
    >>> band = simultaneous_band(draws, 0.9, np.full(10, -np.inf))
    >>> inside = ((draws >= band.low) & (draws <= band.high)).all(axis=1)
    >>> round(float(inside.mean()), 2)
    0.9
    """
    below, above = np.where(np.isnan(draws), floor, draws), np.where(np.isnan(draws), math.inf, draws)
    ascending, ascending_above = np.sort(below, axis=0), np.sort(above, axis=0)
    size, points = draws.shape
    depth = np.full(size, size)
    for t in range(points):
        at_or_below = np.searchsorted(ascending[:, t], below[:, t], side="right")
        at_or_above = size - np.searchsorted(ascending_above[:, t], above[:, t], side="left")
        depth = np.minimum(depth, np.minimum(at_or_below, at_or_above))
    rank = int(np.sort(depth)[math.floor(size * (1.0 - level) + ROUNDING)])
    return Band(
        low=np.maximum(ascending[rank - 1], floor),
        high=np.maximum(ascending_above[size - rank], floor),
        rank=rank,
    )
