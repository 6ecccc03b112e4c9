"""Bootstrap limits: each convention for draws without a number, and two routes to the ordinary ones."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hiddenpop.errors import SettingError
from hiddenpop.kernels.resampling.bootstrap_limits import (
    acceleration,
    bias_correction,
    bootstrap_limits,
    check_boot_size,
    type8_quantile,
)

N_OBSERVED, N_HAT = 100, 150.0
FLAT = {"jackknife": [149.0, 151.0], "jackknife_weights": [50, 50]}


def jackknife_of(wanted):
    """A jackknife of two histories whose acceleration is the one wanted, in closed form."""
    lean = 3 * wanted / math.sqrt(1 + 9 * wanted**2)
    return {"jackknife": [1.0, 0.0], "jackknife_weights": [(1 + lean) / 2, (1 - lean) / 2]}


def spread(size=200, low=110.0, high=200.0):
    return np.linspace(low, high, size)


def limits(draws, method="percentile", level=0.95, **more):
    return bootstrap_limits(draws, N_HAT, N_OBSERVED, level=level, method=method, **more)


finite = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(finite, st.floats(0, 1))
def test_quantiles_are_those_of_numpy_and_scipy(values, q):
    values = np.sort(values)
    ours = type8_quantile(values, q, "lower")
    assert ours == type8_quantile(values, q, "upper")
    assert ours == pytest.approx(np.quantile(values, q, method="median_unbiased"), abs=1e-6, rel=1e-9)
    other = stats.mstats.mquantiles(values, [q], alphap=1 / 3, betap=1 / 3)[0]
    assert ours == pytest.approx(other, abs=1e-6, rel=1e-9)


def test_between_a_finite_and_an_infinite_order_statistic_the_outer_one_is_taken():
    values = np.array([1.0, 2.0, 3.0, np.inf, np.inf])
    between = (3 + 0.5 - 1 / 3) / (5 + 1 / 3)
    assert type8_quantile(values, between, "upper") == np.inf
    assert type8_quantile(values, between, "lower") == 3.0
    falling = -values[::-1]
    assert type8_quantile(falling, 1 - between, "lower") == -np.inf
    assert type8_quantile(falling, 1 - between, "upper") == -3.0
    assert type8_quantile(values, 0.99, "lower") == np.inf


@pytest.mark.parametrize("rank", range(1, 6))
def test_rounding_of_a_probability_reaches_for_no_infinite_neighbour(rank):
    places = np.arange(1.0, 7.0)
    above, below = np.where(places <= rank, places, np.inf), np.where(places >= rank, places, -np.inf)
    exactly = (rank - 1 / 3) / (6 + 1 / 3)
    for q in (np.nextafter(exactly, 0), exactly, np.nextafter(exactly, 1)):
        assert type8_quantile(above, q, "upper") == pytest.approx(rank, abs=1e-12)
        assert type8_quantile(below, q, "lower") == pytest.approx(rank, abs=1e-12)


def test_no_values_have_no_quantile():
    with pytest.raises(ValueError, match="no values to take a quantile of"):
        type8_quantile(np.array([]), 0.5, "lower")


def test_percentile_limits_are_quantiles_of_the_draws():
    found = limits(spread())
    expected = np.quantile(spread(), [0.025, 0.975], method="median_unbiased")
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-12)
    assert (found.method_name, found.z0, found.acceleration, found.notes) == ("percentile", None, None, ())


def test_unbounded_draws_are_the_largest_draws():
    few, many = spread(), spread()
    few[:4], many[:6] = np.inf, np.inf
    assert limits(few).high == pytest.approx(200.0, abs=0.5)
    assert limits(many).high == np.inf
    assert limits(many).low > limits(spread()).low
    assert limits(many).notes == ("6 of 200 draws are unbounded and count as infinite",)


def test_an_upper_limit_next_to_an_unbounded_draw_is_infinite():
    # The 97.5 % quantile of 200 draws lies between the 195th and the 196th.
    draws = np.sort(spread())
    draws[195:] = np.inf
    assert limits(draws).high == np.inf
    draws[195] = 500.0
    assert 200 < limits(draws).high < 500


def test_a_lower_limit_next_to_an_unbounded_draw_is_the_finite_one():
    draws = np.full(200, np.inf)
    draws[:5] = [110, 120, 130, 140, 150]
    assert (limits(draws).low, limits(draws).high) == (150.0, np.inf)


def test_unknown_draws_widen_both_sides():
    draws = spread()
    draws[[50, 60, 70, 80, 90, 100]] = np.nan
    found = limits(draws)
    assert (found.low, found.high) == (N_OBSERVED, np.inf)
    assert found.notes == (
        "6 of 200 draws have no number: for the lower limit they stand at the number observed, "
        "for the upper at infinity",
    )


def test_few_unknown_draws_move_each_limit_as_if_they_lay_beyond_it():
    draws = spread()
    draws[[60, 100]] = np.nan
    found = limits(draws)
    at_floor, at_top = (np.where(np.isnan(draws), place, draws) for place in (N_OBSERVED, 1e9))
    assert found.low == pytest.approx(np.quantile(at_floor, 0.025, method="median_unbiased"), rel=1e-12)
    assert found.high == pytest.approx(np.quantile(at_top, 0.975, method="median_unbiased"), rel=1e-12)


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
def test_no_limit_lies_below_the_number_observed(method):
    # Where the number observed varies between resamples, an estimate may lie below the one observed here.
    draws = np.concatenate([np.full(20, 90.0), spread(180)])
    found = limits(draws, method, **FLAT if method == "bca" else {})
    assert N_OBSERVED <= found.low < found.high


def test_all_draws_below_the_number_observed_leave_both_limits_there():
    found = bootstrap_limits(np.full(50, 90.0), 100.0, 100, level=0.8, method="percentile")
    assert (found.low, found.high) == (100, 100)


def test_a_tie_counts_half_and_in_the_strict_rule_not_at_all():
    draws = np.array([120.0, 150.0, 150.0, 150.0 * (1 + 1e-12), 200.0, 210.0, 220.0, 230.0])
    assert bias_correction(draws, N_HAT)[0] == pytest.approx(stats.norm.ppf(2.5 / 8))
    assert bias_correction(draws, N_HAT, "strict")[0] == pytest.approx(stats.norm.ppf(1 / 8))
    assert limits(draws, "bca", level=0.5, **FLAT).z0 == pytest.approx(stats.norm.ppf(2.5 / 8))
    assert limits(draws, "bca", level=0.5, ties="strict", **FLAT).z0 == pytest.approx(stats.norm.ppf(1 / 8))


def test_an_unbounded_draw_lies_above_and_an_unknown_one_half_below():
    draws = np.array([120.0, 130.0, 140.0, np.inf, np.inf, np.nan, np.nan, 170.0, 180.0, 190.0])
    z0, notes = bias_correction(draws, N_HAT)
    assert z0 == pytest.approx(stats.norm.ppf((3 + 2 / 2) / 10))
    assert notes == ("draws without a number count half below the estimate in the bias correction",)
    assert notes[0] in limits(draws, "bca", level=0.5, **FLAT).notes


@pytest.mark.parametrize(
    ("n_hat", "share", "where"), [(105.0, 0.5 / 200, "below"), (999.0, 199.5 / 200, "above")]
)
def test_the_bias_correction_stays_finite(n_hat, share, where):
    found = bootstrap_limits(spread(), n_hat, N_OBSERVED, level=0.95, method="bca", **FLAT)
    assert found.z0 == pytest.approx(stats.norm.ppf(share))
    assert found.notes == (
        f"no draw lies {where} the estimate: the bias correction is the largest that 200 draws can show",
    )


@given(
    st.lists(st.tuples(st.floats(100, 1e5), st.integers(1, 6)), min_size=2, max_size=8),
)
def test_the_grouped_jackknife_is_the_ordinary_one(cells):
    values, persons = (np.array(column, dtype=float) for column in zip(*cells, strict=True))
    everyone = np.repeat(values, persons.astype(int))
    gap = everyone.mean() - everyone
    found = acceleration(values, persons)
    if np.abs(gap).max() <= 1e-9 * everyone.mean():
        assert math.isnan(found) or abs(found) < 1
    else:
        assert found == pytest.approx((gap**3).sum() / (6 * (gap**2).sum() ** 1.5), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("wanted", [-0.4, -0.05, 0.0, 0.013, 0.6])
def test_the_two_point_jackknife_has_the_acceleration_it_was_made_for(wanted):
    two = jackknife_of(wanted)
    assert acceleration(*map(np.array, two.values())) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_without_an_acceleration_the_interval_is_bias_corrected_and_says_so(bad):
    found = limits(spread(), "bca", jackknife=[140.0, bad, 160.0], jackknife_weights=[50, 30, 20])
    assert (found.method_name, found.acceleration) == ("bc (acceleration undefined)", 0.0)
    assert found.notes == ("the jackknife gives no acceleration; the interval is corrected for bias only",)
    shares = stats.norm.cdf(2 * found.z0 + stats.norm.ppf([0.025, 0.975]))
    expected = np.quantile(spread(), shares, method="median_unbiased")
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-12)


@pytest.mark.parametrize("values", [[150.0, 150.0], [150.0, 150.0 * (1 + 1e-15)]])
def test_a_jackknife_without_spread_gives_no_acceleration(values):
    found = limits(spread(), "bca", jackknife=values, jackknife_weights=[50, 50])
    assert found.method_name == "bc (acceleration undefined)"


def test_huge_jackknife_values_do_not_overflow():
    assert acceleration(np.array([0.0, 1e200]), np.array([3.0, 1.0])) == pytest.approx(
        acceleration(np.array([0.0, 1.0]), np.array([3.0, 1.0]))
    )


@pytest.mark.parametrize(("sign", "end"), [(1, "high"), (-1, "low")])
def test_beyond_the_reach_of_the_acceleration_the_limit_is_the_end_of_the_scale(sign, end):
    draws = np.append(spread(), N_HAT)
    found = limits(draws, "bca", **jackknife_of(sign * 0.6))
    assert 1 - found.acceleration * (found.z0 + sign * stats.norm.ppf(0.975)) <= 0
    assert getattr(found, end) == {"high": np.inf, "low": N_OBSERVED}[end]
    assert len(found.notes) == 1
    assert "the acceleration is too large" in found.notes[0]
    other = "low" if end == "high" else "high"
    assert 110 < getattr(found, other) < 200
    assert limits(draws, "bca", **jackknife_of(sign * 0.3)).notes == ()


def test_bca_against_scipy():
    rng = np.random.default_rng(8)
    sample = rng.poisson(3.0, 40).astype(float)
    reference = stats.bootstrap((sample,), np.mean, n_resamples=2000, method="BCa", rng=rng)
    draws, values = reference.bootstrap_distribution, np.unique(sample)
    persons = np.array([(sample == value).sum() for value in values])
    without = (sample.sum() - values) / (len(sample) - 1)
    found = bootstrap_limits(
        draws, sample.mean(), 0, level=0.95, method="bca", jackknife=without, jackknife_weights=persons
    )
    z = found.z0 + stats.norm.ppf([0.025, 0.975])
    shares = stats.norm.cdf(found.z0 + z / (1 - found.acceleration * z))
    # scipy's quantiles are of type 7: with those at our probabilities its limits come out to the last digits.
    assert np.quantile(draws, shares) == pytest.approx(tuple(reference.confidence_interval), rel=1e-12)
    assert (found.low, found.high) == pytest.approx(
        tuple(np.quantile(draws, shares, method="median_unbiased")), rel=1e-12
    )
    assert found.acceleration != 0


def test_basic_reflects_the_log_dark_figure():
    found = limits(spread(), "basic")
    low, high = np.quantile(spread() - N_OBSERVED, [0.025, 0.975], method="median_unbiased")
    n0 = N_HAT - N_OBSERVED
    assert (found.low, found.high) == pytest.approx((N_OBSERVED + n0**2 / high, N_OBSERVED + n0**2 / low))
    assert (found.method_name, found.z0, found.acceleration) == ("basic", None, None)
    assert found.low == pytest.approx(N_OBSERVED + math.exp(2 * math.log(n0) - math.log(high)))


def test_basic_with_unbounded_draws_reaches_down_to_the_number_observed():
    draws = spread()
    draws[-6:] = np.inf
    found = limits(draws, "basic")
    assert found.low == N_OBSERVED
    assert found.high == pytest.approx(limits(spread(), "basic").high)


def test_basic_with_draws_of_nobody_hidden_has_no_upper_limit():
    # The 2.5 % quantile of 200 draws lies between the fifth and the sixth: one of them is enough.
    draws = spread()
    draws[:5] = N_OBSERVED
    assert limits(draws, "basic").high == np.inf
    draws[4] = 110.0
    assert math.isfinite(limits(draws, "basic").high)


def test_basic_with_unknown_draws_widens_both_sides():
    draws = spread()
    draws[50:56] = np.nan
    assert (limits(draws, "basic").low, limits(draws, "basic").high) == (N_OBSERVED, np.inf)


def test_basic_says_nothing_where_nobody_is_estimated_to_be_hidden():
    found = bootstrap_limits(spread(), 100.0, 100, level=0.95, method="basic")
    assert (found.low, found.high) == (100, np.inf)
    assert found.notes == (
        "the estimate is the number observed, so the log dark figure has no basic interval",
    )


anything = st.lists(
    st.one_of(st.floats(90, 1e7), st.just(math.inf), st.just(math.nan)), min_size=1, max_size=80
)


@given(anything, st.sampled_from(["percentile", "basic", "bca"]), st.floats(-0.5, 0.5))
def test_limits_are_ordered_and_nested_whatever_the_draws(draws, method, acc):
    more = jackknife_of(acc) if method == "bca" else {}
    inner, outer = (limits(draws, method, level, **more) for level in (0.8, 0.95))
    assert N_OBSERVED <= outer.low <= inner.low <= inner.high <= outer.high


@given(
    st.lists(st.floats(101, 1e7), min_size=5, max_size=60),
    st.randoms(),
    st.sampled_from([math.inf, math.nan]),
)
def test_a_draw_that_loses_its_number_never_lowers_the_upper_percentile(draws, random, lost):
    worse = list(draws)
    worse[random.randrange(len(worse))] = lost
    assert limits(worse).high >= limits(draws).high
    if math.isnan(lost):
        assert limits(worse).low <= limits(draws).low


@pytest.mark.parametrize(
    ("level", "smallest"), [(0.95, 200), (0.9, 100), (0.8, 50), (0.7, 34), (0.99, 1000), (0.999, 10_000)]
)
def test_the_smallest_bootstrap_leaves_five_draws_beyond_each_limit(level, smallest):
    assert check_boot_size(smallest, level) is None
    with pytest.raises(SettingError, match=rf"n_boot={smallest - 1} .* use at least {smallest}$"):
        check_boot_size(smallest - 1, level)


@pytest.mark.parametrize("n_boot", [1, 0, -5])
def test_a_bootstrap_of_one_is_refused(n_boot):
    with pytest.raises(SettingError, match=f"n_boot={n_boot} leaves fewer than 5"):
        check_boot_size(n_boot, 0.95)


@pytest.mark.parametrize("n_boot", [1000.0, "1000", True, None])
def test_a_number_of_resamples_is_whole(n_boot):
    with pytest.raises(SettingError, match="must be a whole number, at least 200"):
        check_boot_size(n_boot, 0.95)


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5, -0.1, math.nan])
def test_a_level_lies_between_0_and_1(level):
    with pytest.raises(SettingError, match="must lie between 0 and 1"):
        check_boot_size(1000, level)
    with pytest.raises(SettingError, match="must lie between 0 and 1"):
        limits(spread(), level=level)


def test_an_unknown_method_is_refused():
    with pytest.raises(SettingError, match="method='t' is not one of 'bca', 'percentile', 'basic'"):
        limits(spread(), "t")


@pytest.mark.parametrize("n_hat", [math.inf, math.nan, 99.0])
def test_without_an_estimate_there_is_no_interval(n_hat):
    with pytest.raises(ValueError, match="must be finite and at least the number observed, 100"):
        bootstrap_limits(spread(), n_hat, N_OBSERVED, level=0.95, method="percentile")


@pytest.mark.parametrize("draws", [[], [[110.0, 120.0]], [110.0, -math.inf]])
def test_draws_are_a_vector_of_estimates(draws):
    with pytest.raises(ValueError, match="draws must be a vector of at least one estimate"):
        limits(draws)


def test_bca_needs_a_jackknife():
    with pytest.raises(ValueError, match="needs jackknife and jackknife_weights"):
        limits(spread(), "bca", jackknife=[1.0, 2.0])


@pytest.mark.parametrize(("values", "weights"), [([1.0, 2.0], [1.0]), ([], []), ([1.0, 2.0], [3, 0])])
def test_a_jackknife_has_one_value_a_history(values, weights):
    with pytest.raises(ValueError, match="one element for each history that somebody has"):
        limits(spread(), "bca", jackknife=values, jackknife_weights=weights)
