"""Grids over whole numbers, for any range and any peaks: each number in one piece, and sums those of the numbers."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import zeta

from hiddenpop.kernels.bayes.count_posterior import (
    NODES,
    SHORTEST_PANEL,
    chebyshev_basis,
    evaluate_series,
    graded_grid,
    panel_coefficients,
    single_numbers,
    sum_coefficients,
)

quick = settings(max_examples=200, deadline=None, derandomize=True)
LARGEST = 2**53
"""The largest dark figure that a setting may ask for."""

first_numbers = st.sampled_from([0, 1, 127, 128]) | st.integers(0, 10**12)
lengths = st.sampled_from([1, 127, 128, 129, 192, 193]) | st.integers(1, 10**6) | st.integers(1, LARGEST)
peak = st.tuples(
    st.sampled_from([0.0, 1e300]) | st.floats(0.0, 17.0).map(lambda power: 10.0**power),
    st.sampled_from([0.0, 1e-300, math.inf]) | st.floats(-3.0, 16.0).map(lambda power: 10.0**power),
)


def grid_of(first: int, length: int, peaks: list[tuple[float, float]]) -> Any:
    positions, widths = np.array(peaks, dtype=np.float64).reshape(-1, 2).T
    return graded_grid(first, first + length, positions, widths)


@quick
@given(first_numbers, lengths, st.lists(peak, max_size=4))
def test_every_number_is_in_one_piece(first: int, length: int, peaks: list[tuple[float, float]]) -> None:
    grid = grid_of(first, length, peaks)
    assert (grid.starts[0], grid.stops[-1]) == (float(first), float(first + length))
    assert grid.starts[1:].tolist() == grid.stops[:-1].tolist()
    assert ((grid.stops - grid.starts)[grid.is_single] == 1.0).all()
    assert ((grid.stops - grid.starts)[~grid.is_single] >= SHORTEST_PANEL).all()
    assert grid.panel[~grid.is_single].tolist() == list(range(int((~grid.is_single).sum())))
    assert len(grid.points) == int(grid.is_single.sum()) + NODES * int((~grid.is_single).sum())
    assert len(grid.points) < 20_000
    assert ((grid.points >= first - 0.5) & (grid.points <= first + length - 0.5)).all()


@quick
@given(first_numbers, lengths, st.lists(peak, max_size=4))
def test_how_many_numbers_there_are_and_their_sum(
    first: int, length: int, peaks: list[tuple[float, float]]
) -> None:
    grid = grid_of(first, length, peaks)
    assert np.isfinite(grid.weights).all()
    assert math.fsum(grid.weights) == pytest.approx(length, rel=1e-12)
    last = first + length - 1
    assert math.fsum(grid.weights * grid.points) == pytest.approx((first + last) * length / 2, rel=1e-12)


@quick
@given(
    st.integers(0, 2000),
    st.integers(1, 60_000),
    st.lists(st.tuples(st.floats(0.0, 6e4), st.floats(1.0, 3e4)), min_size=1, max_size=3),
)
def test_bells_at_the_peaks_are_summed_as_number_by_number(
    first: int, length: int, peaks: list[tuple[float, float]]
) -> None:
    grid, numbers = grid_of(first, length, peaks), np.arange(first, first + length, dtype=np.float64)

    def bells(x: np.ndarray) -> np.ndarray:
        return np.sum([np.exp(-0.5 * ((x - place) / width) ** 2) for place, width in peaks], axis=0)

    expected = math.fsum(bells(numbers))
    assert math.fsum(grid.weights * bells(grid.points)) == pytest.approx(
        expected, rel=1e-9, abs=1e-12 * length
    )


@pytest.mark.parametrize("power", [1.5, 2.0, 4.0])
def test_a_power_law_to_the_largest_number_is_a_zeta_function(power: float) -> None:
    first = 10
    grid = graded_grid(first, LARGEST, np.array([float(first)]), np.array([5.0]))
    beyond = float(LARGEST) ** (1.0 - power) / (power - 1.0)
    assert math.fsum(grid.weights * grid.points**-power) == pytest.approx(
        zeta(power, first) - beyond, rel=1e-11
    )


@quick
@given(st.integers(0, 10**6), st.integers(SHORTEST_PANEL, 10**5))
def test_the_sum_up_to_any_number_of_a_panel(seed: int, length: int) -> None:
    """A cubic is summed exactly, at every bound half way between two numbers."""
    rng = np.random.default_rng(seed)
    a, b, c, d = rng.normal(size=4)
    nodes = np.polynomial.legendre.leggauss(NODES)[0]
    inner = length / 2.0 * (nodes + 1.0) - 0.5

    def cubic(x: np.ndarray) -> np.ndarray:
        z = x / length
        return a + b * z + c * z**2 + d * z**3

    series = sum_coefficients(panel_coefficients(cubic(inner)[None]), np.array([float(length)]))
    bounds = np.unique(rng.integers(1, length + 1, 20))
    t = 2.0 * bounds / length - 1.0
    found = evaluate_series(np.repeat(series, len(t), axis=1), t)
    expected = np.cumsum(cubic(np.arange(length, dtype=np.float64)))[bounds - 1]
    assert found == pytest.approx(expected, abs=1e-9 * length)


@quick
@given(st.integers(1, 40), st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=6))
def test_chebyshev_polynomials_are_cosines(k: int, t: list[float]) -> None:
    arguments = np.array(t)
    expected = np.cos(np.arange(k)[:, None] * np.arccos(arguments))
    assert chebyshev_basis(arguments, k) == pytest.approx(expected, abs=1e-12)


def test_single_numbers_stand_for_themselves() -> None:
    grid = single_numbers(np.array([3, 4, 90]))
    assert grid.points.tolist() == grid.starts.tolist() == [3.0, 4.0, 90.0]
    assert grid.weights.tolist() == [1.0, 1.0, 1.0]
    assert grid.is_single.all()
