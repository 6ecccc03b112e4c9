"""`SelectedLogLinear`: what it reports of the winner, of its rivals, and when nothing can win."""

import math
from functools import cache

import numpy as np
import pytest
from tests.contract.cases import quietly, table_of

from hiddenpop import AveragedLogLinear, LogLinear, SelectedLogLinear, datasets
from hiddenpop.errors import CapabilityError, SettingError

COLUMNS = [
    "model",
    "order",
    "n_parameters",
    "rank",
    "deviance",
    "bic",
    "aic",
    "aicc",
    "n_hat",
    "status",
    "admissible",
]


@cache
def western_us():
    table = datasets.load("western_us")
    return SelectedLogLinear(criterion="aic", search="exhaustive").fit(table).details["selection"]


def diagnostics(estimate):
    return {diagnostic.name: diagnostic for diagnostic in estimate.diagnostics}


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p_threshold", [-0.01, 1.01, math.nan, math.inf, "0.02", None])
def test_an_impossible_threshold_is_refused(p_threshold):
    with pytest.raises(SettingError, match=r"p_threshold=.* must be a number between 0 and 1"):
        SelectedLogLinear(p_threshold=p_threshold)


@pytest.mark.parametrize("max_order", [0, -1, 2.5, "2", True, math.nan])
def test_an_impossible_order_is_refused(max_order):
    with pytest.raises(SettingError, match=r"max_order=.* must be a whole number of at least 1"):
        SelectedLogLinear(max_order=max_order)


@pytest.mark.parametrize("search", ["stepwise_p", "stepwise_aic"])
def test_an_order_has_no_meaning_for_a_search_over_pairs(search):
    with pytest.raises(
        SettingError, match=f"search='{search}' is over two-list terms; leave out max_order=3"
    ):
        SelectedLogLinear(search=search, max_order=3)
    assert SelectedLogLinear(search=search, max_order=2).max_order == 2


def test_seven_lists_are_refused_with_the_size_of_the_space_and_the_ways_out():
    with pytest.raises(
        CapabilityError, match="8 lists have 268,435,456 hierarchical models up to order 2"
    ) as refused:
        SelectedLogLinear(search="exhaustive").fit(datasets.load("new_orleans_185"))
    for way_out in ('search="exact"', "merge lists"):
        assert way_out in str(refused.value)


def test_eight_lists_have_a_best_model_of_every_order():
    found = SelectedLogLinear().fit(datasets.load("new_orleans_185"))
    assert (found.status, found.details["model"]) == ("ok", "[45,1,2,3,6,7,8]")
    assert found.n_hat == pytest.approx(1183.69, abs=0.01)
    proof = found.details["proof"]
    assert (proof.finished, proof.gap, proof.window) == (True, 0.0, 10.0)


@pytest.mark.parametrize(("max_order", "advised"), [(None, True), (3, True), (2, False)])
def test_a_search_that_stops_early_advises_a_smaller_space_only_where_there_is_one(max_order, advised):
    found = SelectedLogLinear(max_order=max_order, max_fits=5).fit(datasets.load("uk"))
    message = next(d.message for d in found.diagnostics if d.name == "search_unfinished")
    assert "raise max_fits" in message
    assert ("take max_order=2" in message) is advised


def test_ten_lists_are_refused_with_the_ways_out():
    counts = np.append(0, np.ones((1 << 10) - 1, dtype=int))
    with pytest.raises(CapabilityError, match=r"10 lists are too many.*take max_order=2 or search=\"mc3\""):
        SelectedLogLinear().fit(table_of(counts, "abcdefghij"))


# --- the winner -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", ["exact", "exhaustive", "stepwise_p", "stepwise_aic", "downhill"])
@pytest.mark.parametrize("interval", ["profile", "lognormal", "wald"])
def test_the_estimate_is_that_of_the_winner_taken_as_known(search, interval):
    table = datasets.load("kosovo")
    found = SelectedLogLinear(search=search, interval=interval, level=0.9).fit(table)
    alone = LogLinear(model=found.details["model"], interval=interval, level=0.9).fit(table)
    assert found.n_hat == alone.n_hat
    assert (found.interval.low, found.interval.high) == (alone.interval.low, alone.interval.high)
    cut_short = ", on models to order 2" if search.startswith("stepwise") else ""
    known = alone.interval.method.replace("model taken", "selected model taken")
    assert found.interval.method == known + cut_short
    assert found.details["coefficients"].equals(alone.details["coefficients"])
    assert found.details["cells"].equals(alone.details["cells"])
    assert found.details["search"] == search


@pytest.mark.parametrize("search", ["exhaustive", "stepwise_p", "stepwise_aic", "downhill"])
def test_every_model_tried_is_in_the_selection(search):
    found = SelectedLogLinear(search=search).fit(datasets.load("australia"))
    selection = found.details["selection"]
    assert selection.columns.tolist() == COLUMNS
    assert len(selection) == found.details["n_models"]
    assert (found.details["path"] is None) is (search == "exhaustive")
    by_status = selection.groupby("status")["n_hat"]
    assert by_status.apply(lambda n: np.isfinite(n).all()).get("ok", True)
    assert (selection.loc[selection["status"] == "unbounded", "n_hat"] == math.inf).all()
    assert selection.loc[selection["status"] == "not_identified", "n_hat"].isna().all()
    assert (selection.loc[selection["status"] == "boundary", "n_hat"] == 414).all()


def test_in_a_selection_a_number_stands_only_beside_ok_or_boundary():
    selection = western_us()
    assert set(selection["status"]) == {"ok", "boundary", "unbounded", "not_identified"}
    finite = np.isfinite(selection["n_hat"])
    assert (finite == selection["status"].isin(["ok", "boundary"])).all()
    assert (selection.loc[finite, "n_hat"] >= 345).all()


# --- what a reader must be told ---------------------------------------------------------------------------------------


def test_rivals_with_very_different_answers_are_told():
    found = diagnostics(SelectedLogLinear().fit(datasets.load("uk_5")))["rivals_disagree"]
    assert found.level == "warning"
    assert "models within 2 units of the best BIC give N from 12,300 to 28,800" in found.message
    assert found.value == pytest.approx((28822.12560870488 - 2744) / (12262.412420546874 - 2744), rel=1e-6)


def test_agreeing_rivals_are_not_told():
    assert "rivals_disagree" not in diagnostics(SelectedLogLinear().fit(datasets.load("rome_hiv")))


def test_a_winner_that_hangs_on_how_parameters_are_counted_is_told():
    found = diagnostics(SelectedLogLinear(criterion="bic").fit(datasets.load("australia")))[
        "count_changes_winner"
    ]
    assert 'with count="rank" BIC would choose [234,12], N = 2,440' in found.message
    by_rank = SelectedLogLinear(criterion="bic", count="rank", search="exhaustive")
    other = diagnostics(by_rank.fit(datasets.load("australia")))
    assert 'with count="all" BIC would choose [12,23,24], N = 6,500' in other["count_changes_winner"].message
    assert "count_changes_winner" not in diagnostics(
        SelectedLogLinear(criterion="aic").fit(datasets.load("australia"))
    )


@pytest.mark.parametrize("admissible", ["finite", "exists"])
def test_better_models_without_an_admissible_answer_are_named_with_the_difference(admissible):
    found = SelectedLogLinear(criterion="aic", admissible=admissible).fit(datasets.load("australia"))
    selection = found.details["selection"]
    winner = selection.loc[selection["model"] == found.details["model"], "aic"].item()
    better = selection[selection["aic"] < winner]
    told = diagnostics(found).get("better_models_without_answer")
    if better.empty:
        assert told is None
    else:
        first = better.iloc[0]
        assert told.value == len(better)
        assert f"{first['model']} (" in told.message
        assert f"{winner - first['aic']:.2f} lower" in told.message


def test_following_the_reference_leaves_better_models_behind_and_says_so():
    told = diagnostics(
        SelectedLogLinear(criterion="aic", admissible="exists").fit(datasets.load("australia"))
    )
    assert told["better_models_without_answer"].value == 6
    assert "[234,12] (ok, 3.68 lower)" in told["better_models_without_answer"].message


# --- when nothing can win ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", ["exhaustive", "stepwise_p", "stepwise_aic", "downhill"])
def test_lists_without_any_overlap_leave_nothing_to_choose(search):
    estimate = SelectedLogLinear(search=search).fit(table_of((0, 10, 12, 0, 9, 0, 0, 0), "abc"))
    assert (estimate.status, estimate.n_hat) == ("unbounded", math.inf)
    assert 31 < estimate.interval.low < estimate.interval.high == math.inf
    assert "the likelihood keeps rising as the dark figure grows" in estimate.reason
    assert len(estimate.details["selection"]) == estimate.details["n_models"]


@pytest.mark.parametrize("counts", [(0, 30, 0, 10), (0, 0, 0, 25), (0, 0, 0, 1)])
def test_two_lists_have_one_model_and_so_one_answer(counts):
    table = table_of(counts, "ab")
    alone = quietly(LogLinear().fit, table)
    chosen = quietly(SelectedLogLinear().fit, table)
    assert alone.status == "boundary"
    assert chosen.status == alone.status
    assert chosen.n_hat == alone.n_hat


def test_the_reference_rule_can_refuse_what_is_finite():
    # Western US [135,2,4]: the intercept is determined on a face, but the reference's test refuses the model.
    row = western_us().set_index("model").loc["[135,2,4]"]
    assert row["status"] == "ok"
    assert row["n_hat"] == pytest.approx(2573.73, abs=0.005)
    assert row["rank"] < row["n_parameters"]


# --- no model may be used, and something is fixed ---------------------------------------------------------------------

# Everybody is on the first list, or on the third: every model pushes the dark figure to 0.
AT_THE_BOUNDARY = [(0, 20, 0, 10, 0, 15, 0, 3), (0, 0, 0, 0, 0, 15, 9, 3), (0, 9, 0, 4, 0, 6, 0, 0)]


@pytest.mark.parametrize("counts", AT_THE_BOUNDARY)
@pytest.mark.parametrize("pair", ["ab", "ac", "bc"])
@pytest.mark.parametrize("kind", [SelectedLogLinear, AveragedLogLinear])
def test_without_a_model_to_use_what_is_fixed_stays_fixed(kind, pair, counts):
    table = table_of(counts, ("a", "b", "c"))
    fixed = ((*pair, 3.0),)
    estimate = kind(odds_ratios=fixed, xi=2.0).fit(table)
    assert estimate.status == "boundary"
    assert not estimate.details["selection"]["admissible"].any()
    # Two routes: the table of the search, and the model fitted by itself under the same assumption.
    row = estimate.details["selection"].set_index("model").loc[estimate.details["model"]]
    alone = LogLinear(model=estimate.details["model"], odds_ratios=fixed, xi=2.0).fit(table)
    assert estimate.details["deviance"] == pytest.approx(row["deviance"], abs=1e-6)
    assert estimate.details["deviance"] == pytest.approx(alone.details["deviance"], abs=1e-9)
    assert estimate.details["criteria"]["bic"] == pytest.approx(row["bic"], abs=1e-6)
