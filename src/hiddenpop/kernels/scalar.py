"""Roots and minima of functions of one variable by Brent's methods, for those who would otherwise load an optimiser.

References
----------
Brent, R. P. (1973). Algorithms for Minimization without Derivatives. Prentice-Hall, chapters 4 and 5.
"""

import math
import sys
from collections.abc import Callable

__all__ = ["bounded_minimum", "bracketed_root"]

EPSILON = sys.float_info.epsilon
GOLDEN = (3.0 - math.sqrt(5.0)) / 2.0

MAX_STEPS = 500
"""Bisection alone needs about 60 steps; Brent's methods may take a few times as many at the very worst."""


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
        If the function has the same sign at both ends, or a value that is no number.

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
