"""Models with list effects by sums over all histories, against the dense route that has a row for each history."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hiddenpop.histories import captures, decode
from hiddenpop.kernels.poisson.heterogeneity import closed_design, fit_lower_bound, profile_of_design
from hiddenpop.kernels.poisson.list_effects import (
    fit_list_effects,
    list_effects,
    profile_of_list_effects,
    sums_over_histories,
)
from hiddenpop.kernels.poisson.profile import profile_limits

COLUMNS = (("chao", np.nan), ("darroch", np.nan), ("poisson", 2.0), ("gamma", 3.5))


def drawn(seed, n_lists, size, spread):
    """Draw counts by history from 1, of persons who differ, or none where a list would be empty."""
    rng = np.random.default_rng(seed)
    odds = rng.uniform(0.02, 0.6, n_lists) * np.exp(rng.normal(0.0, spread, size))[:, None]
    on = rng.random((size, n_lists)) < odds / (1.0 + odds)
    assume(on.any(axis=0).all())
    return np.bincount(on @ (1 << np.arange(n_lists)), minlength=1 << n_lists)[1:].astype(float)


def both(counts, n_lists, kind, parameter):
    """Fit by the dense route and by the sums."""
    names = [f"list {i}" for i in range(n_lists)]
    cells = np.flatnonzero(counts) + 1
    dense = fit_lower_bound(closed_design("Mth", names, kind, parameter), counts)
    return dense, fit_list_effects(list_effects(names, kind, parameter), cells, counts[cells - 1])


@given(st.lists(st.floats(-8, 4), min_size=1, max_size=8), st.integers(0, 10**6))
def test_sums_are_those_over_all_histories(effects, seed):
    t = len(effects)
    factors = np.random.default_rng(seed).normal(0.0, 3.0, t + 1)
    sums = sums_over_histories(np.array(effects), factors)
    histories = np.arange(1 << t)
    on, k = decode(histories, t).astype(float), captures(histories)
    means = np.exp(on @ np.array(effects) + factors[k])
    assert sums.by_captures == pytest.approx(np.bincount(k, weights=means, minlength=t + 1), rel=1e-12)
    assert sums.on_both == pytest.approx(on.T @ (on * means[:, None]), rel=1e-12)
    level = (k[:, None] == np.arange(t + 1)) * means[:, None]
    assert sums.on_list == pytest.approx(on.T @ level, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(3, 12),
    st.sampled_from([200, 2_000, 20_000]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from(COLUMNS),
)
def test_fits_are_those_of_the_dense_route(seed, n_lists, size, spread, column):
    assume(column[0] != "poisson" or n_lists <= 10)
    counts = drawn(seed, n_lists, size, spread)
    (design, dense), (kept, sparse) = both(counts, n_lists, *column)
    assert kept.names == design.names
    assert (sparse.status, sparse.converged) == (dense.status, dense.converged)
    assert sparse.n0 == pytest.approx(dense.n0, rel=1e-9)
    assert sparse.deviance == pytest.approx(dense.deviance, rel=1e-9, abs=1e-8)
    assert sparse.log_n0_variance == pytest.approx(dense.log_n0_variance, rel=1e-5, nan_ok=True)
    assert sparse.means == pytest.approx(dense.means[counts > 0], rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 7), st.integers(12, 60), st.sampled_from([None, 1, 2]))
def test_few_persons_have_the_status_of_the_dense_route(seed, n_lists, size, missing):
    counts = drawn(seed, n_lists, size, 0.5)
    if missing:
        counts[captures(np.arange(1, len(counts) + 1)) == missing] = 0.0
        totals = counts @ decode(np.arange(1, len(counts) + 1), n_lists)
        assume((totals > 0).all() and counts.sum() > 3)
    (_, dense), (_, sparse) = both(counts, n_lists, "chao", np.nan)
    assert sparse.status == dense.status
    assert sparse.n0 == pytest.approx(dense.n0, rel=1e-8, nan_ok=True)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 8), st.sampled_from([100, 2_000]))
def test_profile_limits_are_those_of_the_dense_route(seed, n_lists, size):
    counts = drawn(seed, n_lists, size, 0.7)
    (_, dense), (_, sparse) = both(counts, n_lists, "chao", np.nan)
    names, cells = [str(i) for i in range(n_lists)], np.flatnonzero(counts) + 1
    whole = profile_limits(profile_of_design(closed_design("Mth", names, "chao"), counts, dense), 0.95)
    profile = profile_of_list_effects(list_effects(names, "chao"), cells, counts[cells - 1], sparse)
    limits = profile_limits(profile, 0.95)
    assert (limits.low, limits.high) == pytest.approx((whole.low, whole.high), rel=1e-7)
    assert limits.method == whole.method
