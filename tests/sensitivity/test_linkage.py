import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import SettingError, UnknownNameError
from hiddenpop.kernels.linkage import corrected_pair
from hiddenpop.sensitivity.claims import Claim, tipping_in_words
from hiddenpop.sensitivity.corrected import rounded
from hiddenpop.sensitivity.linkage import LinkageSweep
from hiddenpop.synthetic import FalseLinks, Group, IndependentLists, MissedLinks, Scenario
from hiddenpop.table import CaptureTable, Coverage

KOSOVO = hp.LogLinear(model="[123,14,34]")


def world(*distortions, size=20_000, chances=(0.3, 0.25, 0.2)):
    """A world of independent lists, and what happens to their records."""
    return Scenario(
        name="linkage",
        description="Independent lists with linkage errors.",
        lists=tuple("abcd"[: len(chances)]),
        groups=(Group(size=size, law=IndependentLists(probabilities=chances)),),
        distortions=distortions,
    )


def sizes(check, estimator, table):
    frame = check.run(estimator, table, rng=1).table
    return {(row.missed, row.false): row.n_hat for row in frame.itertuples()}


def test_at_rates_of_zero_the_estimate_is_that_of_the_table():
    kosovo = hp.datasets.load("kosovo")
    for estimator in (KOSOVO, hp.SelectedLogLinear(), hp.AveragedLogLinear()):
        row = LinkageSweep(missed=(0,), false=(0,)).run(estimator, kosovo, rng=1).table.iloc[0]
        base = estimator.fit(kosovo)
        assert row["n_hat"] == pytest.approx(base.n_hat, rel=1e-9)
        assert (row["low"], row["high"]) == pytest.approx((base.interval.low, base.interval.high), rel=1e-9)
        assert (row["corrected"], row["counts_are"]) == ("inverse", "real")


@pytest.mark.parametrize("rate", [0.02, 0.1])
def test_petersen_is_the_closed_form(rate):
    pair = table_of([0, 400, 300, 100])
    closed = corrected_pair(500, 400, 100, missed=1 - (1 - rate) ** 2)
    found = LinkageSweep(missed=(rate,), false=(0,)).run(hp.LincolnPetersen(), pair, rng=1).table.iloc[0]
    assert found["n_hat"] == pytest.approx(closed.n_hat, rel=1e-9)
    chapman = LinkageSweep(missed=(rate,), false=(0,)).run(hp.Chapman(), pair, rng=1).table.iloc[0]
    assert chapman["counts_are"] == "rounded"
    assert chapman["n_observed"] == round(closed.n_observed)
    assert chapman["n_hat"] == pytest.approx(501 * 401 / (closed.overlap + 1) - 1, rel=0.01)


def test_links_missed_by_one_list_only():
    pair = table_of([0, 400, 300, 100])
    found = LinkageSweep(missed=(0.1,), false=(0,), lists=("l0",)).run(hp.LincolnPetersen(), pair, rng=1)
    assert found.table["n_hat"].item() == pytest.approx(corrected_pair(500, 400, 100, missed=0.1).n_hat)


def test_missed_links_lower_the_answer_and_false_links_raise_it():
    n = sizes(LinkageSweep(), hp.LogLinear(), hp.datasets.load("kosovo"))
    along_missed = [n[rate, 0.0] for rate in LinkageSweep().missed]
    along_false = [n[0.0, rate] for rate in LinkageSweep().false]
    assert along_missed == sorted(along_missed, reverse=True)
    assert along_false == sorted(along_false)


@pytest.mark.parametrize(
    ("distortions", "rates"),
    [
        ((MissedLinks(rate=0.1),), (0.1, 0.0)),
        ((FalseLinks(rate=0.1),), (0.0, 0.1)),
        ((MissedLinks(rate=0.1), FalseLinks(rate=0.05)), (0.1, 0.05)),
    ],
)
def test_at_the_true_rates_the_truth_comes_back(distortions, rates):
    scenario = world(*distortions, size=1_000_000)
    check = LinkageSweep(missed=sorted({0.0, rates[0]}), false=sorted({0.0, rates[1]}))
    n = sizes(check, hp.LogLinear(), scenario.draw(rng=1))
    assert n[rates] == pytest.approx(scenario.truth, rel=0.01)
    assert abs(n[0.0, 0.0] / scenario.truth - 1) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("distortions", "rates", "chances", "estimator"),
    [
        ((MissedLinks(rate=0.1),), (0.1, 0.0), (0.3, 0.25, 0.2), hp.LogLinear()),
        ((FalseLinks(rate=0.05),), (0.0, 0.05), (0.3, 0.25, 0.2), hp.LogLinear()),
        ((MissedLinks(rate=0.1), FalseLinks(rate=0.05)), (0.1, 0.05), (0.3, 0.25, 0.2), hp.LogLinear()),
        ((MissedLinks(rate=0.1), FalseLinks(rate=0.05)), (0.1, 0.05), (0.2, 0.15), hp.Chapman()),
        ((MissedLinks(rate=0.1), FalseLinks(rate=0.05)), (0.1, 0.05), (0.2, 0.15, 0.1, 0.1), hp.SelectedLogLinear()),
    ],
)  # fmt: skip
def test_the_corrected_estimate_has_little_bias(distortions, rates, chances, estimator):
    scenario = world(*distortions, chances=chances)
    check = LinkageSweep(missed=sorted({0.0, rates[0]}), false=sorted({0.0, rates[1]}))
    drawn = [sizes(check, estimator, scenario.draw(rng=seed)) for seed in range(60)]
    error = {key: np.array([n[key] for n in drawn]) / scenario.truth - 1 for key in drawn[0]}
    assert abs(error[rates].mean()) < 0.02
    assert abs(error[0.0, 0.0].mean()) > 0.04


def test_rates_that_the_records_contradict_are_points_without_a_number():
    linked = table_of(
        [0, 20, 20, 1000]
    )  # 0.19 of the links missed would have left 235 persons on each list alone
    result = LinkageSweep(missed=(0, 0.1), false=(0,)).run(hp.LogLinear(), linked, rng=1)
    refused = result.table.iloc[1]
    assert refused["status"] == "infeasible"
    assert math.isnan(refused["n_hat"])
    assert "fewer than no persons on l0 alone, more than chance explains" in refused["reason"]
    assert (result.passed, result.n_points, result.n_failed) == (None, 2, 1)
    assert "1 infeasible (these rates ask for" in result.text


def test_an_inverse_asked_for_by_name_may_be_infeasible_where_em_is_not():
    uk = hp.datasets.load("uk_5")
    inverse = LinkageSweep(missed=(0.05,), false=(0,), method="inverse").run(hp.LogLinear(), uk, rng=1)
    assert inverse.table["status"].item() == "infeasible"
    assert 'method="em" holds such cells at 0' in inverse.table["reason"].item()
    em = LinkageSweep(missed=(0.05,), false=(0,)).run(hp.LogLinear(), uk, rng=1).table.iloc[0]
    assert (em["status"], em["corrected"], em["n_at_zero"]) == ("ok", "em", 1)


def test_rounding_moves_an_estimate_and_the_counts_as_they_are_do_not():
    uk = hp.datasets.load("uk_5")
    real = (
        LinkageSweep(missed=(0.05,), false=(0,)).run(hp.LogLinear(model="all-pairs"), uk, rng=1).table.iloc[0]
    )
    assert real["counts_are"] == "real"
    other = hp.Bootstrapped(base=hp.LogLinear(model="all-pairs"), n_boot=200)
    whole = LinkageSweep(missed=(0.05,), false=(0,)).run(other, uk, rng=1).table.iloc[0]
    assert whole["counts_are"] == "rounded"
    assert 0.001 < abs(whole["n_hat"] / real["n_hat"] - 1) < 0.03


def test_limits_move_with_the_dark_figure_of_the_counts_as_they_are():
    uk, rate = hp.datasets.load("uk_5"), (0.1,)
    row = LinkageSweep(missed=rate, false=(0,)).run(hp.LogLinear(model="all-pairs"), uk, rng=1).table.iloc[0]
    whole = hp.Bootstrapped(base=hp.LogLinear(model="all-pairs"), n_boot=200)
    assert (
        LinkageSweep(missed=rate, false=(0,)).run(whole, uk, rng=1).table["n_hat"].item()
        < 0.95 * row["n_hat"]
    )
    assert row["low"] < row["n_hat"] < row["high"]
    assert row["n_hat"] - row["low"] < row["high"] - row["n_hat"]
    log_reach = [
        math.log((row[end] - row["n_observed"]) / (row["n_hat"] - row["n_observed"]))
        for end in ("low", "high")
    ]
    assert -log_reach[0] == pytest.approx(log_reach[1], rel=0.3)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_rounded_counts_hold_the_total_and_move_less_than_one(values):
    counts = np.array(values)
    whole = rounded(counts)
    assert whole.sum() == round(float(counts.sum()))
    assert np.abs(whole - counts).max() <= 1 + 1e-6


def test_strata_are_corrected_apart_and_lists_may_have_gaps():
    north = {(1, 0, 0): 500, (0, 1, 0): 600, (1, 1, 0): 200}
    south = {
        (1, 0, 0): 700,
        (0, 1, 0): 800,
        (0, 0, 1): 900,
        (1, 1, 0): 150,
        (1, 0, 1): 160,
        (0, 1, 1): 170,
        (1, 1, 1): 90,
    }
    rows = [(r, *h, n) for r, cells in (("n", north), ("s", south)) for h, n in cells.items()]
    frame = pd.DataFrame(rows, columns=["region", "a", "b", "c", "count"])
    table = CaptureTable.from_counts(
        frame, lists=["a", "b", "c"], strata=["region"], coverage=[Coverage("c", "region", ("s",))]
    )
    estimator = hp.Stratified(base=hp.LogLinear())
    found = LinkageSweep(missed=(0.1,), false=(0.02,)).run(estimator, table, rng=1).table["n_hat"].item()
    parts = [
        LinkageSweep(missed=(0.1,), false=(0.02,)).run(hp.LogLinear(), part, rng=1).table["n_hat"].item()
        for _, part in table.split("region")
    ]
    assert found == pytest.approx(sum(parts), rel=0.005)


def test_the_verdict_names_where_the_claim_begins_to_fail():
    check = LinkageSweep(missed=(0, 0.02, 0.05), false=(0, 0.05), claim="more than 9,500")
    result = check.run(KOSOVO, hp.datasets.load("kosovo"), rng=1)
    n = {(row.missed, row.false): row.n_hat for row in result.table.itertuples()}
    at = 2 + 3 * (n[0.02, 0] - 9500) / (n[0.02, 0] - n[0.05, 0])
    assert result.passed is False
    assert f"Along missed links, false at 0 %: it begins to fail at a rate of about {at:.1f} %" in result.text
    assert "interpolated between 2 % and 5 %" in result.text
    assert "Along false links, missed at 0 %: it does not fail up to a rate of 5 %" in result.text
    assert (result.figure["kind"], result.figure["x"], result.figure["y"]) == ("contour", "missed", "false")
    assert result.figure["claim"]["high"] is None


def test_a_claim_that_fails_from_the_start_and_points_without_a_number():
    claim = Claim.parse("more than 100")
    assert "fails already at a rate of 0 %" in tipping_in_words([0, 0.1], [90, 80], claim, "a rate")
    assert tipping_in_words([0, 0.1], [math.nan, math.nan], claim, "a rate") == ""
    assert "about 15.0 %" in tipping_in_words([0, 0.1, 0.2], [110, math.nan, 96.667], claim, "a rate")


def test_one_axis_is_a_curve():
    result = LinkageSweep(missed=(0,), false=(0, 0.02)).run(KOSOVO, hp.datasets.load("kosovo"), rng=1)
    assert (result.figure["kind"], result.figure["x"], result.figure["neutral"]) == ("curve", "false", 0.0)


def test_any_number_of_workers_gives_the_same():
    check, kosovo = LinkageSweep(missed=(0, 0.05), false=(0, 0.02)), hp.datasets.load("kosovo")
    one, two = (check.run(KOSOVO, kosovo, rng=1, workers=n) for n in (1, 2))
    assert pickle.dumps(one.to_dict()) == pickle.dumps(two.to_dict())


def test_a_table_that_cannot_be_corrected_is_said_to_be_one():
    frame = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [4, 5, 9], "bound": [True, False, False]})
    censored = CaptureTable.from_counts(frame, lists=["a", "b"], censored="bound")
    result = LinkageSweep().run(hp.LogLinear(), censored, rng=1)
    assert (result.passed, result.figure["kind"]) == (None, "nothing")
    assert "some counts are only upper bounds" in result.text
    single = CaptureTable.from_memberships([["a"], ["a"], ["b"]]).merge_lists({"ab": ["a", "b"]})
    assert "a single list has no links" in LinkageSweep().run(hp.LogLinear(), single, rng=1).text


def test_nothing_small_leaves_of_data_that_are_not_public():
    private = table_of([0, 40, 30, 3, 20, 2, 1, 5])
    told = LinkageSweep(missed=(0, 0.05), false=(0,)).run(hp.LogLinear(), private, rng=1).to_dict()
    assert {row["n_observed"] for row in told["table"]} == {row["misfit"] for row in told["table"]} == {"<10"}
    assert told["figure"] == {}


def test_settings_are_checked():
    with pytest.raises(SettingError, match=r"missed=1.0 must be numbers from 0 to below 1"):
        LinkageSweep(missed=1.0)
    with pytest.raises(SettingError, match=r"false=\(0.5,\) must be numbers from 0 to below 0.5"):
        LinkageSweep(false=(0.5,))
    with pytest.raises(SettingError, match="method='exact' is not one of"):
        LinkageSweep(method="exact")
    with pytest.raises(SettingError, match=r"lists=\(\) lets no record come loose"):
        LinkageSweep(lists=())
    with pytest.raises(SettingError, match="cannot be read"):
        LinkageSweep(claim="many")
    with pytest.raises(UnknownNameError, match="did you mean 'EXH'"):
        LinkageSweep(lists=("EXX",)).run(KOSOVO, hp.datasets.load("kosovo"), rng=1)
    assert LinkageSweep(missed=0.1, lists="EXH").missed == (0.1,)
    assert hash(LinkageSweep(missed=[0.1, 0.0])) == hash(LinkageSweep(missed=(0, 0.1)))


@pytest.mark.parametrize(
    "estimator",
    [hp.SelectedLogLinear(search="stepwise_p"), hp.SelectedLogLinear(count="rank", search="exhaustive")],
)
def test_estimators_without_compiled_fits_get_rounded_counts(estimator):
    row = (
        LinkageSweep(missed=(0.03,), false=(0,))
        .run(estimator, hp.datasets.load("kosovo"), rng=1)
        .table.iloc[0]
    )
    assert (row["counts_are"], row["status"]) == ("rounded", "ok")


def test_fixed_odds_ratios_and_xi_stay_in_force():
    kosovo = hp.datasets.load("kosovo")
    for settings in (
        {"model": "[123,14,34]", "xi": 1.5},
        {"model": "[123,34]", "odds_ratios": (("EXH", "HRW", 2.0),)},
    ):
        estimator = hp.LogLinear(**settings)
        zero, some = LinkageSweep(missed=(0, 0.02), false=(0,)).run(estimator, kosovo, rng=1).table["n_hat"]
        assert zero == pytest.approx(estimator.fit(kosovo).n_hat)
        assert some < zero
