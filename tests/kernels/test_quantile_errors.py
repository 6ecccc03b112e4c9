"""How far limits move with other random numbers, against many bootstraps."""

import math

import numpy as np
import pytest
from scipy.stats import beta, norm

from hiddenpop.kernels.resampling.bootstrap_limits import limit_errors, quantile_error


def test_the_errors_of_percentile_limits_are_those_of_many_bootstraps():
    rng = np.random.default_rng(1)
    runs = np.exp(rng.normal(7.0, 0.4, size=(2_000, 200)))
    limits = np.quantile(runs, [0.025, 0.975], axis=1)
    told = np.array(
        [
            limit_errors(run, *ends, floor=0.0, corrected=False)
            for run, ends in zip(runs, limits.T, strict=True)
        ]
    )
    assert np.median(told, axis=0) == pytest.approx(limits.std(axis=1), rel=0.25)


def test_the_example_is_the_span_of_order_statistics_over_four():
    """Of 200 draws, the two that bound the share below a limit with the chance of two standard deviations."""
    draws = np.random.default_rng(1).normal(size=200)
    ordered = sorted(draws.tolist())

    def error(share):
        law = beta(200 * share + 1, 200 * (1 - share) + 1)
        low, high = (round(200 * law.ppf(norm.cdf(z))) for z in (-2, 2))
        return (ordered[high - 1] - ordered[low - 1]) / 4

    expected = error(sum(x < -1.96 for x in ordered) / 200), error(sum(x <= 1.96 for x in ordered) / 200)
    found = limit_errors(draws, -1.96, 1.96, floor=-9.0, corrected=False)
    assert found == pytest.approx(expected, rel=1e-12)
    assert [round(x, 2) for x in expected] == [0.29, 0.22]


def test_a_corrected_limit_is_said_to_move_twice_as_far():
    draws = np.random.default_rng(2).normal(100.0, 10.0, size=500)
    plain = limit_errors(draws, 81.0, 119.0, floor=0.0, corrected=False)
    assert limit_errors(draws, 81.0, 119.0, floor=0.0, corrected=True) == pytest.approx(
        [2 * x for x in plain]
    )


def test_draws_without_a_number_stand_where_they_widen():
    known = np.random.default_rng(3).normal(100.0, 10.0, size=190)
    found = limit_errors(np.append(known, np.full(10, np.nan)), 78.0, 112.0, floor=0.0, corrected=False)
    below = limit_errors(np.append(known, np.full(10, 0.0)), 78.0, 112.0, floor=0.0, corrected=False)
    above = limit_errors(np.append(known, np.full(10, 999.0)), 78.0, 112.0, floor=0.0, corrected=False)
    assert found[0] == below[0] != above[0]
    assert found[1] == above[1] != below[1]


def test_a_limit_that_may_be_infinite_with_other_draws_has_no_error():
    draws = np.append(np.linspace(100.0, 200.0, 195), np.full(5, np.inf))
    low, high = limit_errors(draws, 103.0, math.inf, floor=0.0, corrected=False)
    assert math.isfinite(low)
    assert math.isnan(high)


def test_a_limit_that_no_draw_reaches_has_no_error():
    draws = np.linspace(100.0, 200.0, 200)
    assert math.isnan(limit_errors(draws, 102.0, 500.0, floor=0.0, corrected=False)[1])
    assert math.isnan(limit_errors(draws, 50.0, 198.0, floor=0.0, corrected=False)[0])


def test_the_median_of_normal_draws():
    runs = np.random.default_rng(4).normal(size=(200, 2_500))
    told = np.mean([quantile_error(draws, 0.5, 2_500.0) for draws in runs])
    assert told == pytest.approx(math.sqrt(math.pi / 2) / 50, rel=0.03)
