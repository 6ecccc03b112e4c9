"""Ratios of gamma functions whose arguments are both large, without the loss of digits of a plain difference."""

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln

from hiddenpop._typing import Floats

__all__ = ["digamma_step", "log_gamma_cross", "log_gamma_ratio"]


Step = Callable[[Floats, Floats], Floats]

STIRLING_FROM = 17.0
"""From here on four terms of Stirling's series leave an error below 1e-14."""

SMALL_STEP = 1e-3
"""Below this share of the argument a step is taken as it is: the rounded sum of both would lose its digits."""


FAR_STEP = 0.5
"""A step beyond this share of the argument changes a gamma ratio so much that a plain difference keeps its digits."""


def log_gamma_ratio(x: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """``log Gamma(x + b) - log Gamma(x)`` for positive `x` and ``x + b``.

    Parameters
    ----------
    x, b : array_like
        Broadcast against each other; `b` above -1.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> log_gamma_ratio(1e30, 2.0).round(9) == round(2 * np.log(1e30), 9)
    np.True_
    """
    return _by_size(
        np.asarray(x, dtype=np.float64), np.asarray(b, dtype=np.float64), _smooth_ratio, _plain_ratio
    )


def _by_size(x: Floats, b: Floats, smooth: Step, plain: Step) -> Floats:
    """Take the series where x is large enough for it, and the plain difference elsewhere."""
    large = x >= STIRLING_FROM
    if large.all():
        return smooth(x, b)
    if not large.any():
        return plain(x, b)
    return _in_two(large, x, b, smooth, plain)


def _in_two(first: npt.NDArray[np.bool_], x: Floats, b: Floats, one: Step, other: Step) -> Floats:
    """Take one function where `first` holds and another elsewhere."""
    shape = np.broadcast_shapes(x.shape, b.shape)
    if first.ndim == 1 and shape != first.shape and b.shape[-1] == 1:  # whole columns
        found = np.empty(shape)
        found[:, first], found[:, ~first] = one(x[first], b), other(x[~first], b)
        return found
    x, b, first = np.broadcast_to(x, shape), np.broadcast_to(b, shape), np.broadcast_to(first, shape)
    found, rest = np.empty(shape), ~first
    found[first], found[rest] = one(x[first], b[first]), other(x[rest], b[rest])
    return found


def _plain_ratio(x: Floats, b: Floats) -> Floats:
    return np.asarray(gammaln(x + b) - gammaln(x))


def _smooth_ratio(x: Floats, b: Floats) -> Floats:
    near = np.abs(b) < SMALL_STEP * x
    if near.all():
        return _small_step(x, b)
    return _in_two(near, x, b, _small_step, _large_step) if near.any() else _large_step(x, b)


def _large_step(x: Floats, b: Floats) -> Floats:
    z = x + b
    # For huge x the rounded difference z - x is not b; the line below uses it in both places or in neither.
    found: Floats = (
        (x - 0.5) * np.log1p((z - x) / x) + b * np.log(z) - (z - x) + _remainder(z) - _remainder(x)
    )
    return found


def _small_step(y: Floats, b: Floats) -> Floats:
    ratio = b / y
    log = np.log1p(ratio)
    return (y - 0.5) * log + b * (np.log(y) + log) - b + _remainder(y * (1.0 + ratio)) - _remainder(y)


def _remainder(z: Floats) -> Floats:
    p = 1.0 / z
    q = p * p
    return p * (1.0 / 12.0 - q * (1.0 / 360.0 - q * (1.0 / 1260.0 - q / 1680.0)))


def log_gamma_cross(x: float, s: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """How a step `s` changes a gamma ratio: ``log_gamma_ratio(x + s, b) - log_gamma_ratio(x, b)``.

    Parameters
    ----------
    x : float
        At least 17.
    s, b : array_like
        Broadcast against each other; ``x + s``, ``x + b`` and ``x + s + b`` at least 17 too.

    Returns
    -------
    ndarray

    Notes
    -----
    About ``s b / x``, with nearly as many digits as a floating number has: the difference of the ratios, each of them
    near ``b log(x)``, has none of them left where x is far larger than both steps. With ``p = s / x`` and
    ``q = b / x``, Stirling's series gives ``x ((1 + p + q) L + q log(1 + p) + p log(1 + q)) - L / 2`` and a remainder,
    where ``L = log(1 - p q / ((1 + p) (1 + q)))``. Where a step is as large as x it is this that loses digits, and the
    plain difference, of ratios with the smaller step, that keeps them.

    Examples
    --------
    >>> round(float(log_gamma_cross(1e15, 1e8, 1e7)), 6)
    1.0
    """
    s, b = np.broadcast_arrays(np.asarray(s, dtype=np.float64), np.asarray(b, dtype=np.float64))
    swapped = np.abs(s) > np.abs(b)
    small, large = np.where(swapped, b, s), np.where(swapped, s, b)
    near = np.abs(large) <= FAR_STEP * x
    if near.all():
        return _cross_near(x, small, large)
    return _in_two(near, small, large, partial(_cross_near, x), partial(_cross_far, x))


def _cross_near(x: float, s: Floats, b: Floats) -> Floats:
    p, q = s / x, b / x
    log = np.log1p(-p * q / ((1.0 + p) * (1.0 + q)))
    main = (1.0 + p + q) * log + q * np.log1p(p) + p * np.log1p(q)
    alone = _remainder(np.asarray(x, dtype=np.float64))
    rest = _remainder(x + s + b) - _remainder(x + s) - _remainder(x + b) + alone
    return np.asarray(x * main - 0.5 * log + rest)


def _cross_far(x: float, small: Floats, large: Floats) -> Floats:
    return log_gamma_ratio(x + large, small) - log_gamma_ratio(x, small)


def digamma_step(x: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """``digamma(x + b) - digamma(x)``, the derivative of `log_gamma_ratio` by `x`.

    Parameters
    ----------
    x, b : array_like

    Returns
    -------
    ndarray

    Examples
    --------
    >>> round(float(digamma_step(3.0, 1.0)), 12) == round(1 / 3, 12)
    True
    """
    return _by_size(
        np.asarray(x, dtype=np.float64), np.asarray(b, dtype=np.float64), _smooth_slope, _plain_slope
    )


def _plain_slope(x: Floats, b: Floats) -> Floats:
    return np.asarray(digamma(x + b) - digamma(x))


def _smooth_slope(x: Floats, b: Floats) -> Floats:
    p, q = 1.0 / x, 1.0 / (x + b)
    d = -b * p * q
    return np.log1p(b * p) - d / 2.0 - d * (p + q) * _digamma_series(p * p, q * q)


def _digamma_series(u: Floats, v: Floats) -> Floats:
    """``1/12 - (u + v)/120 + (u^2 + u v + v^2)/252 - ...``, the series of digamma divided by ``v - u``."""
    square = u * u + u * v + v * v
    return 1.0 / 12.0 - (u + v) / 120.0 + square / 252.0 - (u + v) * (u * u + v * v) / 240.0
