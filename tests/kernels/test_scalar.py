"""Roots and minima of one variable, against scipy's optimisers and closed forms."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2, norm, poisson

from hiddenpop.kernels.poisson.profile import MAX_STEPS, bounded_minimum, bracketed_root

quick = settings(max_examples=150, deadline=None, derandomize=True)

SHAPES: dict[str, Callable[[float], float]] = {
    "line": lambda x: x,
    "cubic": lambda x: x**3,
    "flat at the root": lambda x: x**9,
    "steep": lambda x: math.expm1(min(x, 600.0)),
    "bounded": math.tanh,
    "root of a distance": lambda x: math.copysign(math.sqrt(abs(x)), x),
    "jump": lambda x: 1.0 if x > 0.0 else -1.0,
}
FLAT = {"cubic": 1e-5, "flat at the root": 1e-1}
"""Near the root of a power the function is 0 in floating numbers: any of these is a root."""


class Counted:
    """A function that knows how often it was called, and between which arguments."""

    def __init__(self, function: Callable[[float], float]) -> None:
        self.function, self.arguments = function, []

    def __call__(self, x: float) -> float:
        self.arguments.append(x)
        return self.function(x)


@quick
@given(
    st.sampled_from(sorted(SHAPES)),
    st.floats(-1e3, 1e3),
    st.floats(1e-6, 1e3),
    st.floats(1e-6, 1e3),
    st.sampled_from([1.0, -1.0]),
    st.sampled_from([1e-12, 1e-8, 1e-3]),
)
def test_a_root_is_where_the_sign_changes(
    shape: str, root: float, left: float, right: float, sign: float, tolerance: float
) -> None:
    function = Counted(lambda x: sign * SHAPES[shape](x - root))
    assume(root - left < root < root + right)
    found = bracketed_root(function, root - left, root + right, tolerance)
    near = tolerance + 4.0 * np.finfo(float).eps * abs(root)
    assert abs(found - root) <= near or abs(found - root) <= FLAT.get(shape, 0.0)
    assert root - left <= min(function.arguments)
    assert max(function.arguments) <= root + right
    assert len(function.arguments) <= 150


@pytest.mark.parametrize("level", [1e-12, 0.001, 0.5, 0.95, 0.999, 1.0 - 1e-12])
def test_roots_of_distribution_functions_are_their_quantiles(level: float) -> None:
    for law, low, high in ((norm, -40.0, 40.0), (chi2(1), 0.0, 1e3), (chi2(300), 0.0, 1e4)):
        function = Counted(lambda x, law=law: float(law.cdf(x)) - level)
        quantile = float(law.ppf(level))
        last_digits = 4e-16 / float(law.pdf(quantile)) + 1e-12 * abs(quantile)
        theirs, done = brentq(function.function, low, high, xtol=1e-12, full_output=True)
        found = bracketed_root(function, low, high, 1e-12)
        assert found == pytest.approx(quantile, rel=0, abs=1e-12 + last_digits)
        assert found == pytest.approx(theirs, rel=0, abs=3e-12 + 2.0 * last_digits)
        assert len(function.arguments) <= done.function_calls + 2


def test_the_exact_limit_of_a_poisson_mean_is_that_of_chi_square() -> None:
    for count, tail in ((0, 0.25), (0, 0.0005), (3, 0.025), (250, 0.0005)):
        found = bracketed_root(lambda m, c=count, t=tail: float(poisson.cdf(c, m)) - t, 0.0, 2e3, 1e-12)
        assert found == pytest.approx(chi2.isf(tail, 2 * (count + 1)) / 2.0, rel=1e-10)


def test_a_root_at_an_end_is_found_at_once() -> None:
    for a, b in ((2.0, 5.0), (5.0, 2.0), (-1.0, 2.0)):
        function = Counted(lambda x: x - 2.0)
        assert bracketed_root(function, a, b, 1e-12) == pytest.approx(2.0, abs=1e-12)
        assert len(function.arguments) <= 3


@pytest.mark.parametrize("function", [lambda x: x * x + 1.0, lambda x: -1.0 - x * x, lambda x: math.nan])
def test_no_change_of_sign_is_an_error(function: Callable[[float], float]) -> None:
    with pytest.raises(ValueError, match=r"the same sign at both ends: .* at -1\.0, .* at 3\.0"):
        bracketed_root(function, -1.0, 3.0, 1e-9)


HOLLOWS: dict[str, Callable[[float], float]] = {
    "parabola": lambda x: x * x,
    "quartic": lambda x: x**4,
    "distance": abs,
    "wall on one side": lambda x: math.exp(min(x, 600.0)) - x,
    "root": lambda x: math.sqrt(abs(x)),
}


@quick
@given(
    st.sampled_from(sorted(HOLLOWS)),
    st.floats(-50.0, 50.0),
    st.floats(0.0, 30.0),
    st.floats(0.01, 30.0),
    st.sampled_from([1e-10, 1e-6]),
)
def test_a_minimum_of_one_hollow(
    shape: str, place: float, left: float, right: float, tolerance: float
) -> None:
    """Also where the lowest point is the lower end."""
    function = Counted(lambda x: HOLLOWS[shape](x - place))
    lower, upper = place - left, place + right
    x, value = bounded_minimum(function, lower, upper, tolerance)
    assert all(lower <= u <= upper for u in function.arguments)
    assert value == function.function(x) == min(function.function(u) for u in function.arguments)
    near = 3e-8 * (1.0 + abs(place)) + 2.0 * tolerance
    flat = 2e-3 if shape == "quartic" else 0.0  # below it the fourth power is nothing beside the last digits
    assert abs(x - place) <= near + flat
    assert len(function.arguments) <= MAX_STEPS


@quick
@given(st.integers(0, 10**6))
def test_a_minimum_is_that_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centre, width, skew = rng.uniform(-3, 3), rng.uniform(0.1, 3), rng.uniform(-0.9, 0.9)

    def function(x: float) -> float:
        z = (x - centre) / width
        return math.sqrt(1.0 + z * z) + skew * z

    x, value = bounded_minimum(function, -10.0, 10.0, 1e-9)
    theirs = minimize_scalar(function, bounds=(-10.0, 10.0), method="bounded", options={"xatol": 1e-9})
    assert x == pytest.approx(theirs.x, abs=1e-6)
    assert value == pytest.approx(theirs.fun, abs=1e-13)
    assert abs(x - (centre - width * skew / math.sqrt(1.0 - skew * skew))) < 1e-5 or abs(x) > 9.9


def test_a_minimum_at_an_end_is_reached_within_the_tolerance() -> None:
    for function, end in ((lambda x: x, 1.0), (lambda x: -x, 4.0)):
        assert bounded_minimum(function, 1.0, 4.0, 1e-9)[0] == pytest.approx(end, abs=3e-7)
