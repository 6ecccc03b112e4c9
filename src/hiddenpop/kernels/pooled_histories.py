"""Histories of one stratum, with lists that do not operate, and small functions that do not overflow."""

import math

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.kernels.compiled import njit

__all__ = [
    "TINY",
    "expit",
    "gamma_steps",
    "histories",
    "merged_histories",
    "softplus",
    "subset_sums",
    "superset_sums",
]


NEVER = -1e6
"""Log odds of being observed where no list operates."""

FEW = 16
TINY = 1e-300


# --- small functions --------------------------------------------------------------------------------------------------


@njit(inline="always")
def softplus(x: float) -> float:
    """``log(1 + exp(x))``.

    Examples
    --------
    >>> softplus(1000.0)
    1000.0
    """
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@njit(inline="always")
def expit(x: float) -> float:
    """``1 / (1 + exp(-x))``.

    Examples
    --------
    >>> expit(-1000.0)
    0.0
    """
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@njit
def _digamma(x: float) -> float:
    found = 0.0
    while x < 8.0:
        found -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r / 132.0))))
    return found + math.log(x) - 0.5 / x - series


@njit
def gamma_steps(n: float, k: float) -> tuple[float, float]:
    """Log of ``gamma(n + k) / gamma(k)`` and its derivative in k.

    Examples
    --------
    >>> [round(value, 3) for value in gamma_steps(2.0, 1.0)]
    [0.693, 1.5]
    """
    if n > FEW:
        return math.lgamma(n + k) - math.lgamma(k), _digamma(n + k) - _digamma(k)
    product, slope = 0.0, 0.0
    for j in range(int(n)):
        product += math.log(k + j)
        slope += 1.0 / (k + j)
    return product, slope


@njit(inline="always")
def subset_sums(cells: Floats, n_lists: int) -> None:
    """Add to each history, in place, the values of all histories inside it.

    Parameters
    ----------
    cells : ndarray, shape (2**k,)
    n_lists : int
    """
    for i in range(n_lists):
        bit = 1 << i
        for w in range(len(cells)):
            if w & bit:
                cells[w] += cells[w ^ bit]


@njit(inline="always")
def superset_sums(cells: Floats, n_lists: int) -> None:
    """Add to each history, in place, the values of all histories that it is inside of.

    Parameters
    ----------
    cells : ndarray, shape (2**k,)
    n_lists : int
    """
    for i in range(n_lists):
        bit = 1 << i
        for w in range(len(cells)):
            if not w & bit:
                cells[w] += cells[w | bit]


# --- histories --------------------------------------------------------------------------------------------------------


@njit
def histories(eta: Floats, y: Floats, n: float, fit: Floats, odds: Floats) -> tuple[float, float]:
    """Log likelihood of histories given observation, and log odds of observation, with their derivatives in eta.

    Parameters
    ----------
    eta, y : ndarray, shape (2**k,)
        Predictors, that of history 0 being 0, and persons.
    n : float
        All persons.
    fit, odds : ndarray, shape (2**k,)
        Filled with the derivatives, from element 1.

    Returns
    -------
    (float, float)
    """
    top = eta[1]
    for w in range(2, len(eta)):
        top = max(top, eta[w])
    some, value = 0.0, 0.0
    for w in range(1, len(eta)):
        odds[w] = math.exp(eta[w] - top)
        some += odds[w]
        value += y[w] * (eta[w] - top)
    for w in range(1, len(eta)):
        odds[w] /= some
        fit[w] = y[w] - n * odds[w]
    log_some = math.log(some)
    return value - n * log_some, top + log_some


@njit
def merged_histories(
    eta: Floats, y: Floats, n: float, absent: int, fit: Floats, odds: Floats, weight: Floats
) -> tuple[float, float]:
    """Do the same where some lists do not operate: histories that differ only in these are added up.

    Parameters
    ----------
    eta, y : ndarray, shape (2**k,)
    n : float
    absent : int
        The lists that do not operate, as a mask.
    fit, odds : ndarray, shape (2**k,)
    weight : ndarray, shape (2**k,)
        Room to work in.

    Returns
    -------
    (float, float)
    """
    top, top_none = -np.inf, 0.0
    for w in range(1, len(eta)):
        if w & ~absent:
            top = max(top, eta[w])
        else:
            top_none = max(top_none, eta[w])
    weight[:] = 0.0
    some, none = 0.0, 0.0
    for w in range(len(eta)):
        seen = w & ~absent
        odds[w] = math.exp(eta[w] - (top if seen else top_none))
        weight[seen] += odds[w]
    none = weight[0]
    value = 0.0
    for w in range(1, len(eta)):
        some += weight[w]
        if y[w] > 0.0:
            value += y[w] * math.log(weight[w] + TINY)
    for w in range(1, len(eta)):
        seen = w & ~absent
        if seen:
            fit[w] = odds[w] * (y[seen] / (weight[seen] + TINY) - n / some)
            odds[w] /= some
        else:
            fit[w] = 0.0
            odds[w] /= -none
    if some == 0.0:
        return 0.0, NEVER
    log_some = math.log(some)
    return value - n * log_some, top + log_some - top_none - math.log(none)
