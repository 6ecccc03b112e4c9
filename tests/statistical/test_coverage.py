"""Coverage and bias where all assumptions hold; the sign of the bias where they do not; and faults that are caught."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from tests.validation.estimators import ForgetsThoseOnAllLists, Shifted, Shortened

import hiddenpop as hp
from hiddenpop.errors import CapabilityError
from hiddenpop.synthetic import LIBRARY, Scenario
from hiddenpop.validation import Study, study
from hiddenpop.validation.assumptions import assumptions_hold, is_lower_bound, is_well_fed
from hiddenpop.validation.checks import status_checks, status_targets, targeted_checks
from hiddenpop.validation.standard import largest_pair, true_model

pytestmark = pytest.mark.slow

REPLICATES, SEED, WORKERS = 1000, 20260118, 2

WORLDS = [
    LIBRARY[name]
    for name in (
        "independent-two", "independent-three", "independent-four", "independent-five", "equal-four", "by-sex-four",
        "one-pair-three", "all-pairs-three", "two-pairs-four", "triple-four", "three-pairs-five", "negative-pairs-four",
    )
]  # fmt: skip

FIXED: dict[str, Any] = {
    "true model": true_model,
    "independence": hp.LogLinear(),
    "all pairs": hp.LogLinear(model="all-pairs"),
    "Lincoln-Petersen": largest_pair(hp.LincolnPetersen),
    "Chapman": largest_pair(hp.Chapman),
    "sample coverage, independent": hp.SampleCoverage(variant="independent"),
    "sample coverage, low": hp.SampleCoverage(variant="low"),
    "sample coverage, high": hp.SampleCoverage(),
    "Chao, closed form": hp.ChaoLowerBound(list_effects=False),
}

BASE = hp.LogLinear()
BROKEN = {
    "sound": BASE,
    "intervals a fifth too short": Shortened(base=BASE),
    "estimate 2 % too high": Shifted(base=BASE),
    "forgets those on all lists": ForgetsThoseOnAllLists(base=BASE),
}


def chosen(item: Any, world: Scenario) -> Any:
    """Give the estimator for a scenario, None where there is none."""
    try:
        return item if hasattr(item, "fit") else item(world)
    except CapabilityError:
        return None


def targeted(items: dict[str, Any], worlds: list[Scenario]) -> list[tuple[str, str]]:
    return [
        (world.name, label)
        for world in worlds
        for label, item in items.items()
        if is_well_fed(world)
        and (found := chosen(item, world)) is not None
        and assumptions_hold(found, world)
    ]


def failures(checks: pd.DataFrame) -> str:
    return checks[~checks["holds"]].to_string()


@pytest.fixture(scope="module")
def fixed() -> Study:
    return study(FIXED, WORLDS, n_rep=REPLICATES, rng=SEED, workers=WORKERS)


def test_where_all_assumptions_hold_intervals_keep_their_level_and_estimates_have_no_bias(
    fixed: Study,
) -> None:
    pairs = targeted(FIXED, WORLDS)
    assert len(pairs) > 40
    assert {label for _, label in pairs} == set(FIXED)
    checks = targeted_checks(fixed, pairs)
    assert checks["holds"].all(), "\n" + failures(checks)


def test_the_check_fails_where_assumptions_do_not_hold(fixed: Study) -> None:
    checks = targeted_checks(fixed, [("two-pairs-four", "independence"), ("all-pairs-three", "Chapman")])
    assert not checks["holds"].any()


def test_a_broken_estimator_is_caught() -> None:
    world = LIBRARY["independent-four"]
    found = study(BROKEN, [world], n_rep=REPLICATES, rng=SEED, workers=WORKERS)
    checks = targeted_checks(found, [(world.name, label) for label in BROKEN])
    holds = checks.groupby("estimator", sort=False)["holds"].all()
    assert holds.to_dict() == {label: label == "sound" for label in BROKEN}, "\n" + checks.to_string()


def test_no_status_hides_intervals_that_never_hold_the_truth() -> None:
    # Under all pairs two thirds of these tables end at the boundary, where a profile of n to n + 7 holds no truth.
    world = LIBRARY["tiny-overlaps-three"]
    estimators = {"all pairs": FIXED["all pairs"], "sample coverage, high": hp.SampleCoverage(n_boot=200)}
    pairs = status_targets(estimators, [world])
    assert {label for _, label in pairs} == set(estimators)
    found = status_checks(study(estimators, [world], n_rep=450, rng=SEED, workers=WORKERS), pairs)
    assert ("all pairs", "coverage given boundary") in set(
        zip(found["estimator"], found["check"], strict=True)
    )
    assert found["holds"].all(), "\n" + failures(found)


def relative_bias(result: Study) -> pd.Series:
    return result.wide().set_index(["scenario", "estimator"])["relative_bias"]


def test_independence_is_biased_low_under_positive_dependence(fixed: Study) -> None:
    bias = relative_bias(fixed)
    for name in ("one-pair-three", "two-pairs-four", "three-pairs-five"):
        assert bias[name, "independence"] < -0.05, name
    assert bias["negative-pairs-four", "independence"] > 0.05


@pytest.fixture(scope="module")
def bounds() -> Study:
    estimators = {
        "with list effects": hp.ChaoLowerBound(),
        "closed form": hp.ChaoLowerBound(list_effects=False),
    }
    worlds = ["rasch-three", "rasch-strong-four", "independent-two", "independent-four", "equal-four"]
    return study(estimators, worlds, n_rep=300, rng=SEED, workers=WORKERS)


def test_the_lower_bound_lies_below_the_truth_under_common_heterogeneity(bounds: Study) -> None:
    for name in ("rasch-three", "rasch-strong-four"):
        assert is_lower_bound(hp.ChaoLowerBound(), LIBRARY[name])
        assert relative_bias(bounds)[name, "with list effects"] < -0.05, name
        rows = bounds.outcomes(name, "with list effects")
        assert (rows["n_hat"] < rows["truth"]).mean() > 0.99, name


def test_the_closed_form_is_no_lower_bound_when_lists_differ(bounds: Study) -> None:
    bias = relative_bias(bounds)
    assert bias["independent-four", "closed form"] > 0.01
    assert abs(bias["equal-four", "closed form"]) < 0.01
    assert not is_lower_bound(hp.ChaoLowerBound(list_effects=False), LIBRARY["independent-four"])


def test_with_independent_lists_the_lower_bound_reaches_the_truth(bounds: Study) -> None:
    bias = relative_bias(bounds)
    for name in ("independent-two", "independent-four", "equal-four"):
        assert abs(bias[name, "with list effects"]) < 0.015, name


def test_a_selected_model_is_reported_and_never_held_to_its_level() -> None:
    call: Callable[..., bool] = assumptions_hold
    for estimator in (hp.SelectedLogLinear(), hp.AveragedLogLinear(), hp.Bootstrapped()):
        assert not any(call(estimator, world) for world in LIBRARY.values())
