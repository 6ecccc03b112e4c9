"""Searches against MultipleSystemsEstimation 1.2.0 and SparseMSE 2.0.2, number by number (see ORIGIN.md)."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hiddenpop import LogLinear, SelectedLogLinear, datasets
from hiddenpop.model import HierarchicalModel

GOLDEN = json.loads((Path(__file__).parent / "selection.json").read_text(encoding="utf-8"))

STEPWISE = [
    (table, float(key.removeprefix("stepwise_pthresh_")), answer)
    for table, answers in GOLDEN["MSE_point_estimates"].items()
    for key, answer in answers.items()
    if key.startswith("stepwise")
]
FIXED = [
    (table, key.removeprefix("fixed_"), answer)
    for table, answers in GOLDEN["MSE_point_estimates"].items()
    for key, answer in answers.items()
    if key.startswith("fixed")
]
WALD = [
    (table, float(key.removeprefix("p")), answer)
    for table, answers in GOLDEN["SparseMSE_point_estimates"].items()
    for key, answer in answers.items()
]
RANKED = {
    "UKdat_5_nboot1000": "uk_5",
    "Ned_5_nboot1000": "netherlands_5",
    "HIV_nboot500": "rome_hiv",
    "Kosovo_nboot1000": "kosovo",
    "Korea_nboot1000": "korea",
    "Artificial_3_nboot1000": "artificial_3",
}
MAX_ORDER = {3: 2, 4: 3, 5: 3}
MODEL_WORDS = {"main": "independence", "all_pairs": "all-pairs"}

# The reference refuses models whose maximum lies on a face that no empty margin explains; where a test follows it
# model by model, so must we.
REFERENCE = "exists"

R_STANDARD_ERROR = 3e-5
"""R's `glm` takes standard errors from its last step but one, stopped at 1e-8 of the deviance: five digits."""


def stepwise(table, p_threshold, **settings):
    estimator = SelectedLogLinear(
        search="stepwise_p", p_threshold=p_threshold, admissible=REFERENCE, **settings
    )
    return estimator.fit(datasets.load(table))


@pytest.mark.parametrize(("table", "p_threshold", "answer"), STEPWISE)
def test_stepwise_ends_at_the_model_of_the_reference(table, p_threshold, answer):
    estimate = stepwise(table, p_threshold)
    assert estimate.details["model"] == answer["model"]
    assert estimate.n_hat == pytest.approx(answer["popest"], rel=1e-8)
    assert estimate.details["criteria"]["bic"] == pytest.approx(answer["bic"], rel=1e-9)
    assert estimate.details["criteria"]["aic"] == pytest.approx(answer["aic"], rel=1e-9)


@pytest.mark.parametrize(("table", "model", "answer"), [case for case in FIXED if "error" not in case[2]])
def test_a_given_model_fits_as_in_the_reference(table, model, answer):
    estimate = LogLinear(model=MODEL_WORDS[model]).fit(datasets.load(table))
    assert estimate.n_hat == pytest.approx(answer["abundance"], rel=1e-8)
    assert estimate.details["deviance"] == pytest.approx(answer["deviance"], rel=1e-9)
    assert estimate.details["criteria"]["bic"] == pytest.approx(answer["bic"], rel=1e-9)


@pytest.mark.parametrize(("table", "model", "answer"), [case for case in FIXED if "error" not in case[2]])
def test_coefficients_are_those_of_the_reference(table, model, answer):
    data = datasets.load(table)
    ours = coefficients_by_term(LogLinear(model=MODEL_WORDS[model]).fit(data).details["coefficients"])
    theirs = {
        int(key) - 1: float(str(value).replace("-Inf", "-inf")) for key, value in answer["coef"].items()
    }
    assert ours.keys() == theirs.keys()
    for term, value in theirs.items():
        assert ours[term] == pytest.approx(value, rel=1e-6, abs=1e-7)


def coefficients_by_term(frame):
    """Key coefficients by the bit mask of their term, read from the column of positions."""
    return {
        sum(1 << (int(position) - 1) for position in positions if position != "0"): estimate
        for positions, estimate in zip(frame["positions"], frame["estimate"], strict=True)
    }


@pytest.mark.parametrize(("table", "model", "answer"), [case for case in FIXED if "error" in case[2]])
def test_where_the_reference_cannot_fit_we_give_a_status_and_no_number(table, model, answer):
    assert "could not be fitted" in answer["error"]
    estimate = LogLinear(model=MODEL_WORDS[model]).fit(datasets.load(table))
    assert estimate.status in {"unbounded", "not_identified"}
    assert not math.isfinite(estimate.n_hat)
    assert estimate.reason


@pytest.mark.parametrize(("table", "p_threshold", "answer"), WALD)
def test_wald_intervals_are_those_of_sparsemse(table, p_threshold, answer):
    estimate = stepwise(table, p_threshold, interval="wald")
    theirs = answer["estimate"]
    # SparseMSE takes the terms of empty overlaps out of its formula and lists them apart.
    formula = " + ".join([answer["formula"].removeprefix("count ~ "), *answer["emptyoverlaps"]])
    assert estimate.details["model"] == str(
        HierarchicalModel.parse(formula, lists=datasets.load(table).lists)
    )
    assert estimate.n_hat == pytest.approx(theirs["point est."], rel=1e-8)
    assert estimate.interval.low == pytest.approx(theirs["2.5%"], rel=R_STANDARD_ERROR)
    assert estimate.interval.high == pytest.approx(theirs["97.5%"], rel=R_STANDARD_ERROR)
    assert estimate.details["criteria"]["aic"] == pytest.approx(answer["aic"], rel=1e-9)
    known = "Wald on the log dark figure, selected model taken as known"
    pairs_only = ", on models to order 2" if datasets.load(table).n_lists > 3 else ""
    assert estimate.interval.method == known + pairs_only


@pytest.mark.parametrize(("key", "table"), RANKED.items())
def test_the_twenty_best_models_by_bic_come_in_the_same_order(key, table):
    data, answer = datasets.load(table), GOLDEN["MSE_bic_top20"][key]
    estimator = SelectedLogLinear(
        criterion="bic", search="exhaustive", max_order=MAX_ORDER[data.n_lists], admissible=REFERENCE
    )
    estimate = estimator.fit(data)
    assert estimate.details["model"] == answer["model"]
    assert estimate.n_hat == pytest.approx(answer["popest"], rel=1e-8)
    assert_same_ranking(estimate.details["selection"], answer["top20"])


def assert_same_ranking(selection, top):
    """Each model with its BIC and N, and the values in the same order; equal values may swap places."""
    ours = selection.set_index("model")
    for row in top:
        assert ours.loc[row["model"], "bic"] == pytest.approx(row["BIC"], rel=1e-9)
        assert ours.loc[row["model"], "n_hat"] == pytest.approx(row["abundance"], rel=1e-7)
        assert ours.loc[row["model"], "order"] == row["modelsorder"]
    places = [ours.index.get_loc(row["model"]) for row in top]
    values = np.array([row["BIC"] for row in top])
    ordered = ours["bic"].to_numpy()[sorted(places)]
    assert ordered == pytest.approx(values, rel=1e-9)
