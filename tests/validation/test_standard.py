"""The standard validation: everything registered is in it, and its page says what the results say."""

import dataclasses
from typing import Any

import pytest

import hiddenpop as hp
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.registry import ESTIMATORS
from hiddenpop.synthetic import LIBRARY
from hiddenpop.validation import standard, study
from hiddenpop.validation.checks import (
    coverage_tolerance,
    status_checks,
    status_targets,
    targeted_checks,
    targets,
)
from hiddenpop.validation.page import performance_table, validation_page
from hiddenpop.validation.plan import make_plan
from hiddenpop.validation.standard import STANDARD, Part, StandardRun, largest_pair, run_standard, true_model

NAMES = ("independent-three", "one-pair-three", "gap-region-three", "sparse-eight")


@pytest.fixture(scope="module")
def run() -> StandardRun:
    small = Part(
        name="small",
        n_rep=1,
        quick=40,
        scenarios=NAMES,
        estimators={
            "independence": hp.LogLinear(),
            "true model": true_model,
            "pair": largest_pair(hp.Chapman),
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standard, "STANDARD", (small,))
        return run_standard(quick=True, rng=5)


def section(page: str, label: str) -> str:
    return page.split(f"### {label}\n")[1].split("\n### ", maxsplit=1)[0]


def test_every_registered_estimator_is_in_the_standard() -> None:
    plans = [make_plan(part.estimators, part.worlds(), n_rep=1, rng=1) for part in STANDARD]
    names = {spec_of(e).name for plan in plans for e, _ in plan.entries.values() if e is not None}
    assert names >= set(ESTIMATORS)


def test_single_fits_have_a_thousand_replicates_and_every_scenario() -> None:
    assert {part.name: part.n_rep for part in STANDARD} == {
        "single": 1000,
        "posterior": 100,
        "strata": 100,
        "pooled": 20,
        "bootstrap": 200,
    }
    assert {part.name: len(part.worlds()) for part in STANDARD} == {
        "single": len(LIBRARY),
        "posterior": 6,
        "strata": 7,
        "pooled": 3,
        "bootstrap": len(LIBRARY),
    }


@pytest.mark.parametrize("world", LIBRARY.values(), ids=lambda world: world.name)
def test_the_pair_of_largest_overlap(world: Any) -> None:
    overlaps = world.expected_overlaps()
    first, second = largest_pair(hp.LincolnPetersen)(world).lists
    assert first != second
    others = [overlaps.loc[a, b] for a in world.lists for b in world.lists if a != b]
    assert overlaps.loc[first, second] == max(others)


def test_the_page_says_where_an_estimator_falls_short_and_why(run: StandardRun) -> None:
    text = section(validation_page(run, command="hiddenpop validate --quick", folder="v"), "independence")
    row = next(line for line in text.splitlines() if line.startswith("| one-pair-three |"))
    coverage = run.study.wide().set_index(["estimator", "scenario"])["coverage"][
        "independence", "one-pair-three"
    ]
    assert f"| {coverage:.3f} (" in row
    assert "the model [1,2,3] lacks terms of [12,3], which holds" in row
    assert "Biased low in one-pair-three" in text
    assert "It is held to its level in 1 scenario and keeps it in 1" in text
    assert "Not applicable in gap-region-three: " in text


def test_the_page_tells_a_lower_bound_from_an_estimate() -> None:
    part = Part(
        name="p", n_rep=1, quick=20, scenarios=("rasch-three",), estimators={"bound": hp.ChaoLowerBound()}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standard, "STANDARD", (part,))
        page = validation_page(run_standard(quick=True, rng=5), command="x", folder="v")
    assert "a lower bound, not an estimate, in rasch-three: its mean is above N in none of them." in page


def test_a_broken_estimator_is_named_as_such(run: StandardRun) -> None:
    rows = run.study.replicates
    at = (rows["estimator"] == "independence") & (rows["scenario"] == "independent-three")
    broken = rows.assign(low=rows["low"].mask(at, 10_000.0), high=rows["high"].mask(at, 10_001.0))
    worse = dataclasses.replace(run, study=dataclasses.replace(run.study, replicates=broken))
    text = section(validation_page(worse, command="x", folder="v"), "independence")
    assert "It does not in independent-three." in text
    assert "nothing: all it assumes holds" in text


def boundary_hides(run: StandardRun) -> StandardRun:
    """Say of a fifth of the tables of one sound pair that they end at the boundary, with an interval that misses."""
    rows = run.study.replicates
    sound = (rows["estimator"] == "independence") & (rows["scenario"] == "sparse-eight")
    at = sound & (rows["replicate"] < 8)
    changed = rows.assign(
        status=rows["status"].mask(at, "boundary"), high=rows["high"].mask(at, rows["n_observed"] + 4.0),
        low=rows["low"].mask(at, rows["n_observed"] + 0.0),
    )  # fmt: skip
    return dataclasses.replace(run, study=dataclasses.replace(run.study, replicates=changed))


def test_a_status_whose_intervals_never_hold_the_truth_does_not_hide(run: StandardRun) -> None:
    pairs = [("sparse-eight", "independence")]
    assert status_targets({"independence": hp.LogLinear()}, [LIBRARY["sparse-eight"]]) == pairs
    assert not targets({"independence": hp.LogLinear()}, [LIBRARY["sparse-eight"]])
    assert status_checks(run.study, pairs)["check"].tolist() == ["coverage given ok"]
    assert status_checks(run.study, pairs)["holds"].all()
    checks = status_checks(boundary_hides(run).study, pairs).set_index("check")
    assert checks["holds"].to_dict() == {"coverage given ok": True, "coverage given boundary": False}
    assert checks.loc["coverage given boundary", ["value", "aim"]].tolist() == pytest.approx([0.0, 0.9])


def test_the_page_has_a_column_by_status_and_a_verdict(run: StandardRun) -> None:
    before = validation_page(run, command="x", folder="v")
    page = validation_page(boundary_hides(run), command="x", folder="v")
    summary = [line for line in page.splitlines() if line.startswith(("| estimator |", "| independence |"))]
    head, row = ([cell.strip() for cell in line.split("|")] for line in summary)
    assert dict(zip(head, row, strict=True))["short given boundary in"] == "1"
    text = section(page, "independence")
    assert "given boundary they keep it in 0 of 1 (not in sparse-eight)" in text
    line = next(
        line for line in text.splitlines() if line.startswith("| sparse-eight | ") and " of 8" in line
    )
    assert "| **0.000 (0.000) of 8** |" in line
    assert "not in sparse-eight" not in section(before, "independence")


def test_few_tables_of_a_status_are_shown_and_not_judged(run: StandardRun) -> None:
    rows = run.study.replicates
    at = (rows["scenario"] == "sparse-eight") & (rows["replicate"] < 3)
    changed = dataclasses.replace(
        run.study,
        replicates=rows.assign(
            status=rows["status"].mask(at, "boundary"), high=rows["high"].mask(at, rows["low"])
        ),
    )
    found = status_checks(changed, [("sparse-eight", "independence")])
    assert found["check"].tolist() == ["coverage given ok"]
    assert changed.wide().set_index(["scenario", "estimator"]).loc[
        ("sparse-eight", "independence"), "replicates_given_boundary"
    ] == pytest.approx(3.0)


def test_the_page_carries_its_command_and_says_that_it_is_quick(run: StandardRun) -> None:
    page = validation_page(run, command="hiddenpop validate --quick --seed 5", folder="v")
    assert "Made by `hiddenpop validate --quick --seed 5`: 3 estimators in 4 scenarios" in page
    assert "seed 5" in page
    assert "This is the quick form" in page
    full = validation_page(dataclasses.replace(run, quick=False), command="x", folder="v")
    assert "This is the quick form" not in full


def test_the_table_is_sorted_and_every_figure_has_its_error(run: StandardRun) -> None:
    table = performance_table(run)
    keys = list(table[["scenario", "estimator", "measure"]].itertuples(index=False, name=None))
    assert keys == sorted(keys)
    shares = table[table["measure"].isin(["coverage", "finite", "lower_miss", "relative_bias"])]
    assert shares.dropna(subset="value")["mcse"].notna().all()


def test_the_checks_hold_an_estimator_to_level_and_bias() -> None:
    worlds = [LIBRARY["independent-two"], LIBRARY["positive-two"]]
    estimators = {"chapman": hp.Chapman(), "selected": hp.SelectedLogLinear()}
    pairs = targets(estimators, worlds)
    assert pairs == [("independent-two", "chapman")]
    result = study(estimators, worlds, n_rep=60, rng=3)
    assert targeted_checks(result, pairs)["holds"].all()
    assert not targeted_checks(result, [("positive-two", "chapman")])["holds"].any()


def test_the_tolerance_is_three_errors_and_a_hundredth() -> None:
    assert coverage_tolerance(0.9, 900) == pytest.approx(3 * 0.01 + 0.01)
