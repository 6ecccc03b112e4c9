"""`estimate`, `compare` and `Comparison`: one verb for newcomers, and estimators side by side."""

import math

import numpy as np
import pytest
from tests.contract.cases import table_of

import hiddenpop as hp
from hiddenpop.errors import SettingError, UnknownNameError
from hiddenpop.estimators.compare import standard_panel
from hiddenpop.estimators.registry import STANDARD_PANEL

KOSOVO = hp.datasets.load("kosovo")


def test_the_verb_is_the_estimator():
    by_name = hp.estimate(KOSOVO, "loglinear", model="[123,14,34]", interval="wald")
    by_object = hp.estimate(KOSOVO, hp.LogLinear(model="[123,14,34]", interval="wald"))
    assert by_name.to_dict() == by_object.to_dict()
    assert by_name.n_hat == pytest.approx(10356.52, abs=0.005)


def test_without_a_name_the_best_model_by_bic_is_taken():
    assert hp.estimate(KOSOVO).to_dict() == hp.SelectedLogLinear().fit(KOSOVO).to_dict()


def test_a_name_that_is_not_registered_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="no estimator 'averagd'; did you mean 'averaged'"):
        hp.estimate(KOSOVO, "averagd")


def test_a_setting_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(SettingError, match="selected has no setting 'criterium'; did you mean 'criterion'"):
        hp.estimate(KOSOVO, "selected", criterium="aic")


def test_settings_beside_an_estimator_are_refused():
    with pytest.raises(SettingError, match=r"settings \(level\) go with an estimator's name"):
        hp.estimate(KOSOVO, hp.LogLinear(), level=0.9)


def test_there_is_no_automatic_estimator():
    with pytest.raises(UnknownNameError, match="there is no estimator 'auto'"):
        hp.estimate(KOSOVO, "auto")


def test_a_comparison_is_each_estimator_by_itself():
    comparison = hp.compare(KOSOVO, ["loglinear", hp.SelectedLogLinear(criterion="aic"), "averaged"])
    alone = [hp.LogLinear(), hp.SelectedLogLinear(criterion="aic"), hp.AveragedLogLinear()]
    for found, estimator in zip(comparison.estimates, alone, strict=True):
        assert found.to_dict() == estimator.fit(KOSOVO).to_dict()
    assert comparison.labels[0] == "loglinear"
    assert comparison.labels[1].startswith("selected (criterion=aic")


def test_labels_come_from_the_keys_of_a_mapping():
    comparison = hp.compare(KOSOVO, {"plain": "loglinear", "BIC": hp.SelectedLogLinear()})
    frame = comparison.to_frame()
    assert frame["label"].tolist() == ["plain", "BIC"]
    assert frame["n_hat"].tolist() == [estimate.n_hat for estimate in comparison.estimates]
    assert frame["high"].tolist() == [estimate.interval.high for estimate in comparison.estimates]


def test_an_answer_does_not_depend_on_the_company_it_keeps():
    table = hp.datasets.load("western_us")
    generator = np.random.default_rng(5)
    both = hp.compare(table, {"a": hp.LogLinear(), "b": hp.LogLinear(level=0.9)}, rng=generator)
    alone = hp.compare(table, {"b": hp.LogLinear(level=0.9)}, rng=np.random.default_rng(5))
    assert both.estimates[1].to_dict() == alone.estimates[0].to_dict()
    assert both.estimates[0].details["goodness_of_fit"]["p_deviance"] is not None


@pytest.mark.parametrize("nothing", [[], {}, ()])
def test_nothing_to_compare_is_refused(nothing):
    with pytest.raises(SettingError, match="there is nothing to compare"):
        hp.compare(KOSOVO, nothing)


def test_one_sentence_says_how_far_they_disagree():
    comparison = hp.compare(hp.datasets.load("uk_5"), {"independence": "loglinear", "BIC": "selected"})
    low, high = (estimate.n_hidden for estimate in comparison.estimates)
    sentence = comparison.sentence()
    assert sentence.startswith("The estimates run from 13,4")
    assert sentence.endswith(f"the largest dark figure is {high / low:.1f} times the smallest.")


def test_the_sentence_counts_those_without_a_finite_answer():
    table = hp.datasets.load("korea")
    comparison = hp.compare(table, {"independence": "loglinear", "pairs": hp.LogLinear(model="all-pairs")})
    assert [estimate.status for estimate in comparison.estimates] == ["ok", "unbounded"]
    assert (
        "Only independence has a finite answer, 142; 1 of 2 have no finite answer." in comparison.sentence()
    )


def test_the_sentence_has_something_to_say_when_nobody_answers():
    comparison = hp.compare(table_of((0, 10, 20, 0), "ab"), ["loglinear", "selected"])
    assert comparison.sentence() == "None of the 2 estimators has a finite answer."
    assert all(math.isinf(estimate.n_hat) for estimate in comparison.estimates)


def test_a_comparison_prints_its_rows_and_its_sentence():
    comparison = hp.compare(KOSOVO, {"independence": "loglinear", "BIC": "selected"})
    text = repr(comparison)
    assert comparison.sentence() in text
    assert "independence" in text
    assert "<table" in comparison._repr_html_()


def test_html_of_labels_is_escaped():
    assert "<script>" not in hp.compare(KOSOVO, {"<script>": "loglinear"})._repr_html_()


def test_the_standard_panel_is_what_the_command_shows():
    assert list(standard_panel()) == list(STANDARD_PANEL)
    assert list(standard_panel()) == [
        "independence",
        "best BIC model",
        "best AIC model",
        "model-averaged",
        "stepwise",
        "lower bound",
    ]
