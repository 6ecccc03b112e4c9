"""Measures against arithmetic done by hand, and their Monte Carlo errors against repeated studies."""

import math
from typing import Any

import numpy as np
import pytest

from hiddenpop.validation.measures import (
    MEASURES,
    STATUSES_WITH_INTERVAL,
    Outcomes,
    given,
    interval_scores,
    measures_of,
    median_of,
)

TRUTH = 100.0
NAN, INF = math.nan, math.inf


def outcomes(
    n_hat: Any, low: Any, high: Any, status: Any = None, there: Any = None, level: float = 0.95
) -> Outcomes:
    n = len(n_hat)
    return Outcomes(
        truth=TRUTH,
        level=level,
        n_hat=np.asarray(n_hat, dtype=float),
        low=np.asarray(low, dtype=float),
        high=np.asarray(high, dtype=float),
        has_interval=np.ones(n, dtype=bool) if there is None else np.asarray(there),
        status=np.array(["ok"] * n if status is None else status),
        n_failed=np.zeros(n, dtype=np.int64),
        n_warnings=np.zeros(n, dtype=np.int64),
    )


MIXED = outcomes(
    [90.0, 120.0, INF, NAN, 105.0],
    [80.0, 110.0, 95.0, 60.0, 101.0],
    [99.0, 140.0, INF, INF, INF],
    ["ok", "boundary", "unbounded", "not_identified", "ok"],
    [True, True, True, False, True],
)


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        ("replicates", 5.0),
        ("finite", 3 / 5),
        ("bias", (-10 + 20 + 5) / 3),
        ("relative_bias", 5 / 100),
        ("median_error", 12.5),  # of -10, 5, 20, inf
        ("rmse", math.sqrt((100 + 400 + 25) / 3)),
        ("coverage", 1 / 5),  # 95 to infinity alone
        ("coverage_of_intervals", 1 / 4),
        ("lower_miss", 2 / 5),
        ("upper_miss", 1 / 5),
        ("no_interval", 1 / 5),
        ("unbounded_interval", 2 / 5),
        ("mean_width", (19 + 30) / 2),
        ("interval_score", (19 + 40 * 1 + 30 + 40 * 10) / 2),
        ("boundary", 1 / 5),
        ("unbounded", 1 / 5),
        ("not_identified", 1 / 5),
        ("not_converged", 0.0),
    ],
)
def test_measures_of_a_mixed_case_by_hand(measure: str, value: float) -> None:
    assert measures_of(MIXED)[measure].value == pytest.approx(value)


def test_the_names_are_those_that_are_explained() -> None:
    assert set(measures_of(MIXED)) == set(MEASURES) - {"not_applicable"}


@pytest.mark.parametrize(
    ("measure", "value", "error"),
    [
        ("ok", 0.5, math.sqrt(0.25 / 10)),
        ("replicates_given_ok", 5.0, math.sqrt(10 * 0.25)),
        ("replicates_given_boundary", 4.0, math.sqrt(10 * 0.24)),
        ("replicates_given_unbounded", 0.0, 0.0),
        ("coverage", 0.5, math.sqrt(0.25 / 10)),
        ("coverage_given_ok", 1.0, 0.0),
        ("coverage_given_boundary", 0.0, 0.0),
        ("upper_miss_given_boundary", 0.75, math.sqrt(0.75 * 0.25 / 4)),
        ("no_interval_given_boundary", 0.25, math.sqrt(0.75 * 0.25 / 4)),
        ("lower_miss_given_ok", 0.0, 0.0),
        ("median_width_given_ok", 40.0, 0.0),
        ("median_width_given_boundary", 3.0, 0.0),
        ("coverage_given_unbounded", NAN, NAN),
    ],
)
def test_a_status_is_measured_by_itself(measure: str, value: float, error: float) -> None:
    found = measures_of(
        outcomes(
            [100.0] * 5 + [60.0] * 4 + [NAN],
            [80.0] * 5 + [60.0] * 5,
            [120.0] * 5 + [63.0] * 3 + [INF] * 2,
            ["ok"] * 5 + ["boundary"] * 4 + ["not_identified"],
            [True] * 8 + [False] * 2,
        )
    )
    assert (found[measure].value, found[measure].mcse) == pytest.approx((value, error), nan_ok=True)


def test_hits_misses_and_absent_intervals_add_up() -> None:
    found = measures_of(MIXED)
    parts = ("coverage", "lower_miss", "upper_miss", "no_interval")
    assert sum(found[name].value for name in parts) == pytest.approx(1.0)
    for status in STATUSES_WITH_INTERVAL:
        assert sum(found[given(name, status)].value for name in parts) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("low", "high", "covers"), [(100, 120, 1.0), (80, 100, 1.0), (100.5, 120, 0.0), (80, 99.5, 0.0)]
)
def test_an_interval_holds_its_own_ends(low: float, high: float, covers: float) -> None:
    assert measures_of(outcomes([100.0], [low], [high]))["coverage"].value == covers


def test_an_interval_without_upper_end_holds_what_lies_above_its_lower_end() -> None:
    found = measures_of(outcomes([INF, INF], [90, 110], [INF, INF], ["unbounded"] * 2))
    assert (found["coverage"].value, found["lower_miss"].value, found["unbounded_interval"].value) == (
        0.5,
        0.5,
        1.0,
    )


def test_what_cannot_be_measured_is_nan_and_not_zero() -> None:
    found = measures_of(outcomes([NAN], [50.0], [INF], ["not_identified"], [False]))
    for name in ("bias", "rmse", "median_error", "mean_width", "coverage_of_intervals", "interval_score"):
        assert math.isnan(found[name].value), name
    assert found["coverage"].value == 0.0


def test_the_median_may_be_infinite() -> None:
    assert median_of(np.array([1.0, INF, INF])).value == INF


def test_the_score_of_an_interval_is_best_at_the_quantiles() -> None:
    draws = np.random.default_rng(1).normal(size=200_000)
    score = {
        z: np.mean([interval_scores(np.array([-z]), np.array([z]), t, 0.9)[0] for t in draws[:4000]])
        for z in (1.2, 1.645, 2.2)
    }
    assert score[1.645] < min(score[1.2], score[2.2])


@pytest.mark.parametrize(
    "measure",
    [
        "bias",
        "empirical_se",
        "rmse",
        "median_error",
        "coverage",
        "lower_miss",
        "mean_width",
        "interval_score",
    ],
)
def test_monte_carlo_errors_are_the_spread_of_repeated_studies(measure: str) -> None:
    rng = np.random.default_rng(7)
    values, errors = [], []
    for _ in range(400):
        n_hat = rng.normal(101.0, 5.0, size=250)
        half = rng.gamma(40.0, 0.2, size=250)
        found = measures_of(outcomes(n_hat, n_hat - half, n_hat + half, level=0.9))[measure]
        values.append(found.value)
        errors.append(found.mcse)
    # The spread of 400 values is known to 3.5 %; the quantile rule for the median is rougher.
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25 if measure == "median_error" else 0.12)
