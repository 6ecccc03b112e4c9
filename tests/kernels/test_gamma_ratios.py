"""Ratios of gamma functions against seventy decimal digits."""

from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hiddenpop.kernels.bayes.graphs import digamma_step, log_gamma_cross, log_gamma_ratio

quick = settings(max_examples=120, deadline=None, derandomize=True)
DIGITS, TERMS, SERIES_FROM = 70, 30, 80
TWICE_PI = Decimal(
    "6.2831853071795864769252867665590057683943387987502116419498891846156328125724179972560696506842"
)


@cache
def bernoulli(n: int) -> Fraction:
    """Bernoulli number, by the sum of those before it."""
    if n == 0:
        return Fraction(1)
    binomial, total = Fraction(1), Fraction(0)
    for k in range(n):
        total += binomial * bernoulli(k)
        binomial = binomial * (n + 1 - k) / (k + 1)
    return -total / (n + 1)


def log_gamma(x: Decimal) -> Decimal:
    """Stirling's series with thirty terms, from an argument of at least 80."""
    below = Decimal(0)
    while x < SERIES_FROM:
        below += x.ln()
        x += 1
    series = sum(
        Decimal(b.numerator) / Decimal(b.denominator) / (2 * k * (2 * k - 1)) / x ** (2 * k - 1)
        for k in range(1, TERMS)
        for b in [bernoulli(2 * k)]
    )
    return (x - Decimal("0.5")) * x.ln() - x + TWICE_PI.ln() / 2 + series - below


def exact(*signed: tuple[int, Fraction]) -> float:
    """Signed sum of log gamma functions, rounded once at the end."""
    with localcontext() as context:
        context.prec = DIGITS
        return float(
            sum(sign * log_gamma(Decimal(x.numerator) / Decimal(x.denominator)) for sign, x in signed)
        )


def decades(low: float, high: float) -> Any:
    """Numbers of all sizes between two powers of ten."""
    return st.floats(low, high).map(lambda power: float(10.0**power))


def either_side(low: float, high: float) -> Any:
    return st.builds(lambda sign, size: sign * size, st.sampled_from([-1.0, 1.0]), decades(low, high))


def test_seventy_digits_of_a_factorial() -> None:
    with localcontext() as context:
        context.prec = DIGITS
        assert abs(log_gamma(Decimal(5)) - Decimal(24).ln()) < Decimal("1e-50")


@quick
@given(decades(1.231, 15.0), either_side(-6.0, 15.0), either_side(-3.0, 15.0))
def test_a_cross_difference_of_any_steps(x: float, s: float, b: float) -> None:
    """Steps far smaller than the argument, as large, and a million times larger; in either direction."""
    assume(min(x, x + s, x + b, x + s + b) >= 17.0)
    start, first, second = Fraction(x), Fraction(s), Fraction(b)
    expected = exact((1, start + first + second), (-1, start + first), (-1, start + second), (1, start))
    assert float(log_gamma_cross(x, s, b)) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_a_cross_difference_has_no_order_of_its_steps_and_takes_arrays() -> None:
    s, b = np.array([-5e5, 1.0, 3e7]), np.array([[0.25], [2e4], [1e12]])
    both = log_gamma_cross(1e6, s, b)
    assert both.shape == (3, 3)
    assert both.tolist() == log_gamma_cross(1e6, b, s).tolist()
    one_by_one = [[float(log_gamma_cross(1e6, step, other)) for step in s] for other in b[:, 0]]
    assert both == pytest.approx(np.array(one_by_one), rel=1e-15)
    assert log_gamma_cross(1e6, 0.0, b).ravel().tolist() == [0.0, 0.0, 0.0]


@quick
@given(decades(-3.0, 15.0), st.floats(-0.9, 0.9) | decades(-6.0, 13.0))
def test_a_ratio_of_any_step(x: float, b: float) -> None:
    assume(x + b > 0.0)
    expected = exact((1, Fraction(x) + Fraction(b)), (-1, Fraction(x)))
    # Below 17 it is a difference of two values, each as exact as their size allows.
    lost = 1e-14 * (1.0 + abs(exact((1, Fraction(x))))) if x < 17.0 else 0.0
    assert float(log_gamma_ratio(x, b)) == pytest.approx(expected, rel=1e-12, abs=1e-15 + lost)


@quick
@given(decades(0.0, 12.0), st.floats(-0.9, 0.9) | decades(-3.0, 12.0))
def test_the_slope_of_a_ratio_is_a_difference_of_ratios(x: float, b: float) -> None:
    assume(x + b > 0.5)
    step = Fraction(x) / 10**12
    here, there = Fraction(x) - step, Fraction(x) + step
    with localcontext() as context:
        context.prec = DIGITS
        rise = exact((1, there + Fraction(b)), (-1, there), (-1, here + Fraction(b)), (1, here))
        expected = float(Decimal(rise) / (2 * Decimal(step.numerator) / Decimal(step.denominator)))
    assert float(digamma_step(x, b)) == pytest.approx(expected, rel=1e-10, abs=1e-14)
