"""BCa limits and accelerations against MultipleSystemsEstimation 1.2.0 and SparseMSE 2.0.2 (see ORIGIN.md)."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from tests.support.plain import dense_counts
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.kernels.resampling.bootstrap_limits import acceleration, bias_correction, bootstrap_limits
from hiddenpop.kernels.resampling.bootstrap_modes import bootstrap_modes

GOLDEN = json.loads((Path(__file__).parent / "bootstrap.json").read_text(encoding="utf-8"))
STEPWISE, FIXED = GOLDEN["stepwise"], GOLDEN["fixed"]
LIMITS = [
    (key, probability)
    for key, answer in STEPWISE.items()
    for probability in answer["BCa"]
    if float(probability) < 0.5
]

REFERENCE_FIT = 1e-8
"""R's `glm` stops at 1e-8 of the deviance, so the reference's jackknife has about nine digits."""


def two_point_jackknife(wanted):
    """A jackknife of two histories whose acceleration is the one wanted."""
    lean = 3 * wanted / math.sqrt(1 + 9 * wanted**2)
    return {"jackknife": [1.0, 0.0], "jackknife_weights": [(1 + lean) / 2, (1 - lean) / 2]}


def delete_one(name, estimator):
    """Estimate without one person of each history that somebody has; and how many have it."""
    counts = dense_counts(hp.datasets.load(name)).astype(int)
    cells = np.flatnonzero(counts)
    without = counts - np.eye(len(counts), dtype=int)[cells]
    return np.array([estimator.fit(table_of(table)).n_hat for table in without]), counts[cells].astype(float)


def n_observed(key):
    return int(hp.datasets.load(key.split()[-1]).counts.sum())


def reference_limits(key, probability, jackknife):
    answer, level = STEPWISE[key], 1 - 2 * float(probability)
    return bootstrap_limits(
        answer["bootreps"],
        answer["popest"],
        n_observed(key),
        level=level,
        method="bca",
        ties="strict",
        **jackknife,
    )


def answers(key, probability):
    limits = STEPWISE[key]["BCa"]
    return limits[probability], limits[f"{1 - float(probability):g}"]


@pytest.mark.parametrize(("key", "probability"), LIMITS)
def test_limits_from_the_draws_and_the_acceleration_of_the_reference(key, probability):
    found = reference_limits(key, probability, two_point_jackknife(STEPWISE[key]["ahat"]))
    assert found.acceleration == pytest.approx(STEPWISE[key]["ahat"], rel=1e-12)
    assert (found.low, found.high) == pytest.approx(answers(key, probability), rel=1e-12)
    assert (found.method_name, found.notes) == ("bca", ())


@pytest.fixture(scope="module")
def stepwise_jackknife():
    estimator = hp.SelectedLogLinear(
        search="stepwise_p", p_threshold=0.02, admissible="exists", interval="wald"
    )
    return {name: delete_one(name, estimator) for name in sorted({key.split()[-1] for key in STEPWISE})}


@pytest.mark.parametrize("key", STEPWISE)
def test_acceleration_with_the_selection_repeated_without_each_person(key, stepwise_jackknife):
    ours = acceleration(*stepwise_jackknife[key.split()[-1]])
    assert ours == pytest.approx(STEPWISE[key]["ahat"], rel=REFERENCE_FIT)


@pytest.mark.parametrize(("key", "probability"), LIMITS)
def test_limits_from_the_draws_of_the_reference_and_our_own_jackknife(key, probability, stepwise_jackknife):
    values, persons = stepwise_jackknife[key.split()[-1]]
    found = reference_limits(key, probability, {"jackknife": values, "jackknife_weights": persons})
    assert (found.low, found.high) == pytest.approx(answers(key, probability), rel=1e-8)


@pytest.mark.parametrize("key", FIXED)
def test_acceleration_of_a_given_model(key):
    name, model = key.split()
    estimator = hp.LogLinear(model="independence" if model == "main" else model, interval="wald")
    assert acceleration(*delete_one(name, estimator)) == pytest.approx(FIXED[key]["ahat"], rel=REFERENCE_FIT)


@pytest.mark.parametrize("key", STEPWISE)
def test_no_draw_of_the_reference_equals_its_estimate_so_both_rules_agree(key):
    draws, n_hat = np.array(STEPWISE[key]["bootreps"]), STEPWISE[key]["popest"]
    assert bias_correction(draws, n_hat) == bias_correction(draws, n_hat, "strict")


@pytest.mark.parametrize(
    ("key", "places"),
    [
        ("SparseMSE uk", [11_500, 23_000]),
        ("SparseMSE netherlands_5", [45_000, 120_000]),
        ("SparseMSE uk_5", [11_300]),
    ],
)
def test_lumps_of_the_draws_of_the_reference(key, places):
    found = bootstrap_modes(STEPWISE[key]["bootreps"], n_observed(key))
    assert [lump.n for lump in found] == pytest.approx(places, rel=0.02)
