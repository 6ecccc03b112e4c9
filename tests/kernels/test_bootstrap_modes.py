"""Lumps of bootstrap distributions: found where they are, and not where they are not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks

import hiddenpop as hp
from hiddenpop.kernels.resampling.bootstrap_modes import BootstrapMode, bootstrap_modes, prominent_peaks
from hiddenpop.kernels.resampling.counts import draw_multinomial
from hiddenpop.kernels.search.best_models import best_of_each

N_OBSERVED = 2744


def rng(seed=6):
    return np.random.default_rng(seed)


def around(centre, size, spread=0.1, seed=6):
    """Draws of N whose log dark figure is normal about that of `centre`."""
    return N_OBSERVED + (centre - N_OBSERVED) * np.exp(spread * rng(seed).normal(size=size))


def test_three_lumps_with_their_places_and_shares():
    draws = np.concatenate([around(6_000, 300), around(12_000, 500, seed=7), around(40_000, 200, seed=8)])
    found = bootstrap_modes(rng().permutation(draws), N_OBSERVED)
    assert [lump.n for lump in found] == pytest.approx([6_000, 12_000, 40_000], rel=0.05)
    assert [lump.share for lump in found] == pytest.approx([0.3, 0.5, 0.2], abs=0.01)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_uk_has_one_lump_near_twelve_and_one_near_twenty_four_thousand(seed):
    counts = hp.datasets.load("uk_5").to_dense()
    resamples = draw_multinomial(counts, 400, rng(seed)).astype(float)
    n_hat = counts.sum() + best_of_each(resamples, 5, max_order=2).n0
    found = bootstrap_modes(n_hat, counts.sum())
    assert [lump.n for lump in found] == pytest.approx([12_000, 24_000], rel=0.1)
    assert found[0].share == pytest.approx((n_hat < 18_000).mean(), abs=0.03)


@pytest.mark.parametrize("shape", ["normal", "gumbel", "standard_exponential"])
@pytest.mark.parametrize("size", [200, 1000])
def test_one_lump_is_seldom_taken_for_two(shape, size):
    generator = rng(11)
    made = (1000 + 800 * np.exp(0.3 * getattr(generator, shape)(size=size)) for _ in range(100))
    assert sum(len(bootstrap_modes(draws, 1000)) > 1 for draws in made) <= 5


def test_two_close_lumps_are_told_apart_once_there_are_draws_enough():
    def draws(size):
        return np.concatenate([around(8_000, size, 0.2), around(14_500, size, 0.2, seed=7)])

    assert [len(bootstrap_modes(draws(size), N_OBSERVED)) for size in (10, 1000)] == [1, 2]


def test_a_lump_of_less_than_two_per_cent_is_left_out():
    small, large = (np.concatenate([around(8_000, 1000 - k), around(90_000, k)]) for k in (15, 30))
    assert [round(lump.share, 3) for lump in bootstrap_modes(small, N_OBSERVED)] == [0.985]
    assert [round(lump.share, 3) for lump in bootstrap_modes(large, N_OBSERVED)] == [0.97, 0.03]


def test_shares_are_of_all_draws():
    draws = np.concatenate([around(8_000, 150), np.full(40, math.inf), np.full(10, math.nan)])
    (lump,) = bootstrap_modes(draws, N_OBSERVED)
    assert lump.share == 0.75


def test_draws_with_nobody_hidden_are_a_lump_of_their_own():
    draws = np.concatenate([around(8_000, 90), np.full(8, float(N_OBSERVED)), [N_OBSERVED + 0.4] * 2])
    at_floor, above = bootstrap_modes(draws, N_OBSERVED)
    assert at_floor == BootstrapMode(N_OBSERVED, 0.1)
    assert above.n == pytest.approx(8_000, rel=0.05)


def test_equal_draws_are_one_lump_where_they_are():
    (lump,) = bootstrap_modes(np.full(50, 9_000.0), N_OBSERVED)
    assert (lump.n, lump.share) == (pytest.approx(9_000.0), 1.0)


def test_two_values_only_are_two_lumps():
    found = bootstrap_modes(np.repeat([6_000.0, 20_000.0], [70, 30]), N_OBSERVED)
    assert [lump.n for lump in found] == pytest.approx([6_000, 20_000], rel=0.02)
    assert [lump.share for lump in found] == [0.7, 0.3]


def test_one_value_in_a_trillion_does_not_hide_the_others():
    draws = np.concatenate([around(8_000, 600), around(20_000, 399), [1e15]])
    assert [lump.n for lump in bootstrap_modes(draws, N_OBSERVED)] == pytest.approx([8_000, 20_000], rel=0.05)


@pytest.mark.parametrize("draws", [[], [math.inf, math.nan]])
def test_without_a_finite_draw_there_is_no_lump(draws):
    assert bootstrap_modes(draws, N_OBSERVED) == ()


def test_order_does_not_matter():
    draws = np.concatenate([around(8_000, 300), around(20_000, 300)])
    assert bootstrap_modes(draws, N_OBSERVED) == bootstrap_modes(draws[::-1], N_OBSERVED)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 5), max_size=30), st.sampled_from([0.0, 1.0, 2.5]))
def test_peaks_are_those_that_scipy_finds(heights, prominence):
    values = np.array(heights, dtype=float)
    expected, _ = find_peaks(values, prominence=prominence)
    assert prominent_peaks(values, prominence).tolist() == expected.tolist()
