"""Ratios of gamma functions whose arguments are both large, without the loss of digits of a plain difference."""

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln

__all__ = ["digamma_step", "log_gamma_ratio"]

Floats = npt.NDArray[np.float64]

STIRLING_FROM = 17.0
"""From here on four terms of Stirling's series leave an error below 1e-14."""


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
    x, b = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(b, dtype=np.float64))
    large = x >= STIRLING_FROM
    y = np.where(large, x, STIRLING_FROM)
    z = np.where(large, x + b, STIRLING_FROM)
    smooth = (y - 0.5) * np.log1p((z - y) / y) + b * np.log(z) - (z - y) + _remainder(z) - _remainder(y)
    # For huge y the rounded difference z - y is not b; the lines above use it in both places or in neither.
    smooth = np.where(np.abs(b) < 1e-3 * y, _small_step(y, b), smooth)
    near = np.where(large, 1.0, x)
    plain = gammaln(near + np.where(large, 0.0, b)) - gammaln(near)
    return np.where(large, smooth, plain)


def _small_step(y: Floats, b: Floats) -> Floats:
    ratio = b / y
    log = np.log1p(ratio)
    return (y - 0.5) * log + b * (np.log(y) + log) - b + _remainder(y * (1.0 + ratio)) - _remainder(y)


def _remainder(z: Floats) -> Floats:
    q = 1.0 / (z * z)
    return (1.0 / 12.0 - q * (1.0 / 360.0 - q * (1.0 / 1260.0 - q / 1680.0))) / z


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
    x, b = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(b, dtype=np.float64))
    large = x >= STIRLING_FROM
    y = np.where(large, x, STIRLING_FROM)
    step = np.where(large, b, 0.0)
    p, q = 1.0 / y, 1.0 / (y + step)
    d = -step * p * q
    smooth = np.log1p(step * p) - d / 2.0 - d * (p + q) * _digamma_series(p * p, q * q)
    near = np.where(large, 1.0, x)
    plain = digamma(near + np.where(large, 0.0, b)) - digamma(near)
    return np.where(large, smooth, plain)


def _digamma_series(u: Floats, v: Floats) -> Floats:
    """``1/12 - (u + v)/120 + (u^2 + u v + v^2)/252 - ...``, the series of digamma divided by ``v - u``."""
    square = u * u + u * v + v * v
    return 1.0 / 12.0 - (u + v) / 120.0 + square / 252.0 - (u + v) * (u * u + v * v) / 240.0
