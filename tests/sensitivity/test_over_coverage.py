import math
import pickle

import numpy as np
import pandas as pd
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import SettingError, TableError, UnknownNameError
from hiddenpop.sensitivity.over_coverage import OverCoverageSweep, trimmed_dual_system
from hiddenpop.synthetic import Group, IndependentLists, OverCoverage, Scenario
from hiddenpop.table import CaptureTable

KOSOVO = hp.LogLinear(model="[123,14,34]")
PAIR = [0, 400, 300, 100]


def world(law, size=20_000, share=0.05):
    """Three independent lists, and records of persons outside the population."""
    return Scenario(
        name="over-coverage",
        description="Independent lists with erroneous records.",
        lists=("a", "b", "c"),
        groups=(Group(size=size, law=IndependentLists(probabilities=(0.3, 0.25, 0.2))),),
        distortions=(OverCoverage(share=share, law=IndependentLists(probabilities=law)),),
    )


TRUE_SHARE = 0.05 / 0.35
"""Of the records of list a when 5 % of the population besides are on it for certain."""

ERRONEOUS = {"only here": (1.0, 0.0, 0.0), "any": (1.0, 0.25, 0.2)}


def test_petersen_is_the_trimmed_estimator():
    check = OverCoverageSweep(list="l0", shares=(0, 0.1, 0.2))
    found = check.run(hp.LincolnPetersen(), table_of(PAIR), rng=1).table
    trimmed = trimmed_dual_system(table_of(PAIR), "l0", (0, 50, 100))
    assert found["n_hat"].tolist() == pytest.approx(trimmed["n_hat"].tolist())
    assert trimmed["n_hat"].tolist() == pytest.approx([2000, 450 * 400 / 100, 400 * 400 / 100])
    assert found["n_observed"].tolist() == trimmed["n_observed"].tolist()


def test_persons_removed_from_every_history_alike_leave_the_other_list_too():
    check = OverCoverageSweep(list="l0", shares=(0, 0.1), which="any")
    found = check.run(hp.LincolnPetersen(), table_of(PAIR), rng=1).table["n_hat"].tolist()
    assert found == pytest.approx([2000, 450 * 390 / 90])


def test_records_trimmed_at_random_leave_the_trimmed_estimator_where_it_is():
    assert trimmed_dual_system(table_of(PAIR), "l0", 50, linked=10)["n_hat"].item() == pytest.approx(2000)


@pytest.mark.parametrize("which", ["only here", "any"])
def test_at_the_true_share_the_truth_comes_back(which):
    scenario = world(ERRONEOUS[which], size=1_000_000)
    check = OverCoverageSweep(list="a", shares=(0, TRUE_SHARE), which=which)
    naive, corrected = check.run(hp.LogLinear(), scenario.draw(rng=1), rng=1).table["n_hat"]
    assert corrected == pytest.approx(scenario.truth, rel=0.01)
    assert naive > 1.04 * scenario.truth


@pytest.mark.slow
@pytest.mark.parametrize("which", ["only here", "any"])
def test_the_corrected_estimate_has_little_bias(which):
    scenario = world(ERRONEOUS[which])
    check = OverCoverageSweep(list="a", shares=(0, TRUE_SHARE), which=which)
    drawn = [check.run(hp.LogLinear(), scenario.draw(rng=seed), rng=1).table["n_hat"] for seed in range(60)]
    naive, corrected = np.mean(drawn, axis=0) / scenario.truth - 1
    assert abs(corrected) < 0.02
    assert naive > 0.04


def test_every_list_is_tried_unless_one_is_named():
    kosovo = hp.datasets.load("kosovo")
    result = OverCoverageSweep(shares=(0, 0.1)).run(KOSOVO, kosovo, rng=1)
    assert result.table["list"].tolist() == [name for name in kosovo.lists for _ in range(2)]
    assert result.table.query("share == 0")["n_hat"].tolist() == pytest.approx([KOSOVO.fit(kosovo).n_hat] * 4)
    totals = kosovo.list_totals
    assert result.table["removed"].tolist() == pytest.approx([v for t in totals for v in (0, 0.1 * t)])
    two = OverCoverageSweep(list=["EXH", "HRW"], shares=(0, 0.1)).run(KOSOVO, kosovo, rng=1)
    assert set(two.table["list"]) == {"EXH", "HRW"}
    assert (two.figure["kind"], two.figure["x"], two.figure["series"]) == ("curve", "share", "list")


def test_more_erroneous_records_than_persons_on_the_list_alone_are_infeasible():
    result = OverCoverageSweep(list="l0", shares=(0, 0.9), claim="more than 100").run(
        hp.LogLinear(), table_of(PAIR), rng=1
    )
    refused = result.table.iloc[1]
    assert refused["status"] == "infeasible"
    assert "90.0% of the records of l0 are more persons than are on l0 alone" in refused["reason"]
    assert (result.passed, result.n_failed) == (None, 1)


def test_the_share_at_which_the_claim_fails_is_interpolated():
    check = OverCoverageSweep(list="l0", shares=(0, 0.1, 0.2), claim="more than 1,700")
    result = check.run(hp.LogLinear(), table_of(PAIR), rng=1)
    assert result.passed is False
    assert (
        "Of l0: it begins to fail at a share of about 15.0 % (interpolated between 10 % and 20 %)"
        in result.text
    )


def test_lists_that_do_not_fail_are_told_together():
    text = (
        OverCoverageSweep(shares=(0, 0.1), claim="more than 9,500")
        .run(KOSOVO, hp.datasets.load("kosovo"), rng=1)
        .text
    )
    assert "Of EXH, ABA, OSCE: it does not fail up to a share of 10 %" in text
    assert "Of HRW: it begins to fail" in text


def test_other_estimators_get_rounded_counts():
    check = OverCoverageSweep(list="l0", shares=(0.013,))
    row = check.run(hp.Chapman(), table_of(PAIR), rng=1).table.iloc[0]
    assert (row["counts_are"], row["n_observed"]) == ("rounded", 794)
    assert row["n_hat"] == pytest.approx(495 * 401 / 101 - 1)


def test_strata_are_kept():
    rows = [
        (r, a, b, n)
        for r, k in (("n", 1), ("s", 3))
        for a, b, n in ((1, 0, 40 * k), (0, 1, 30 * k), (1, 1, 10 * k))
    ]
    table = CaptureTable.from_counts(pd.DataFrame(rows, columns=["r", "a", "b", "count"]), strata=["r"])
    found = OverCoverageSweep(list="a", shares=(0.2,)).run(hp.Stratified(base=hp.LogLinear()), table, rng=1)
    assert found.table["n_hat"].item() == pytest.approx(160 * 160 / 40, rel=1e-6)


def test_any_number_of_workers_gives_the_same():
    check, kosovo = OverCoverageSweep(shares=(0, 0.1)), hp.datasets.load("kosovo")
    one, two = (check.run(KOSOVO, kosovo, rng=1, workers=n) for n in (1, 2))
    assert pickle.dumps(one.to_dict()) == pickle.dumps(two.to_dict())


def test_settings_are_checked():
    with pytest.raises(SettingError, match=r"shares=\(1,\) must be numbers from 0 to below 1"):
        OverCoverageSweep(shares=(1,))
    with pytest.raises(SettingError, match="which='all' is not one of"):
        OverCoverageSweep(which="all")
    with pytest.raises(SettingError, match=r"list=\(\) names no list"):
        OverCoverageSweep(list=())
    with pytest.raises(UnknownNameError, match="did you mean 'HRW'"):
        OverCoverageSweep(list="HRV").run(KOSOVO, hp.datasets.load("kosovo"), rng=1)


# --- the trimmed estimator --------------------------------------------------------------------------------------------


def test_trimming_down_to_nothing():
    frame = trimmed_dual_system(table_of(PAIR), "l0", (100, 401, 500), linked=(100, 0, 400))
    assert frame["status"].tolist() == ["unbounded", "infeasible", "infeasible"]
    assert frame["n_hat"][0] == math.inf
    assert "more records are trimmed than the list has" in frame["reason"][1]


def test_trimming_with_one_of_many_lists():
    kosovo = hp.datasets.load("kosovo")
    overlaps = kosovo.overlaps
    found = trimmed_dual_system(kosovo, "HRW", 20, linked=5, other="ABA")["n_hat"].item()
    expected = (
        (overlaps.loc["HRW", "HRW"] - 20) * overlaps.loc["ABA", "ABA"] / (overlaps.loc["HRW", "ABA"] - 5)
    )
    assert found == pytest.approx(expected)
    with pytest.raises(SettingError, match="has 4 lists; name the other one"):
        trimmed_dual_system(kosovo, "HRW", 20)


def test_what_cannot_be_trimmed_is_refused():
    table = table_of(PAIR)
    with pytest.raises(UnknownNameError, match="no list 'l9'"):
        trimmed_dual_system(table, "l9", 1, other="l0")
    with pytest.raises(UnknownNameError, match="no list 'l9'"):
        trimmed_dual_system(table, "l9", 1)
    with pytest.raises(SettingError, match="linked=5 must be 0 to 3"):
        trimmed_dual_system(table, "l0", 3, linked=5)
    with pytest.raises(SettingError, match="must be one number, or one for each of the 2 of k"):
        trimmed_dual_system(table, "l0", (3, 4), linked=(1,))
    with pytest.raises(SettingError, match="both 'l0'; name two lists"):
        trimmed_dual_system(table, "l0", 3, other="l0")
    frame = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [4, 5, 9], "bound": [True, False, False]})
    censored = CaptureTable.from_counts(frame, lists=["a", "b"], censored="bound")
    with pytest.raises(TableError, match="counts that are only upper bounds"):
        trimmed_dual_system(censored, "a", 1)
    assert "Does not apply" in OverCoverageSweep().run(hp.LogLinear(), censored, rng=1).text
