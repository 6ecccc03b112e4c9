"""`estimate`, `compare` and `Comparison`: one verb for newcomers, and estimators side by side."""

import dataclasses
import math
import pickle
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.cases import table_of

import hiddenpop as hp
from hiddenpop.errors import SettingError, UnknownNameError
from hiddenpop.estimators.compare import standard_panel
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.registry import STANDARD_PANEL

KOSOVO = hp.datasets.load("kosovo")


def test_the_verb_is_the_estimator():
    by_name = hp.estimate(KOSOVO, "loglinear", model="[123,14,34]", interval="wald")
    by_object = hp.estimate(KOSOVO, hp.LogLinear(model="[123,14,34]", interval="wald"))
    assert by_name.to_dict() == by_object.to_dict()
    assert by_name.n_hat == pytest.approx(10356.52, abs=0.005)


def test_without_a_name_there_is_a_panel_and_the_interval_that_repeats_the_choice_stands_first():
    panel = hp.estimate(KOSOVO, rng=1)
    assert panel.labels == tuple(STANDARD_PANEL)
    assert panel.labels[0] == "best BIC, bootstrapped"
    for label, method, found in zip(panel.labels, standard_panel().values(), panel.estimates, strict=True):
        assert found.to_dict() == method.fit(KOSOVO, rng=1).to_dict(), label
    assert (panel.seed, panel.seed_drawn, dict(panel.left_out)) == (1, False, {})


def test_a_panel_without_a_seed_draws_one_that_repeats_it():
    panel = hp.estimate(KOSOVO)
    assert panel.seed_drawn
    again = hp.estimate(KOSOVO, rng=panel.seed)
    assert [e.to_dict() for e in panel.estimates] == [e.to_dict() for e in again.estimates]
    assert panel.estimates[0].provenance["rng"] == {"seed": panel.seed}
    assert f"Random numbers: seed {panel.seed}, drawn for this run" in panel.text()
    assert f"Random numbers: seed {panel.seed}." in again.text()
    assert hp.estimate(KOSOVO).seed != panel.seed


def test_a_panel_takes_a_level_and_no_other_setting():
    panel = hp.estimate(KOSOVO, rng=1, level=0.9)
    assert {e.interval.level for e in panel.estimates} == {0.9}
    with pytest.raises(SettingError, match=r"settings \(criterion\) go with an estimator's name"):
        hp.estimate(KOSOVO, criterion="aic")
    with pytest.raises(SettingError, match="level=2 must lie between 0 and 1"):
        hp.estimate(KOSOVO, level=2)


@pytest.mark.parametrize(("level", "n_boot"), [(0.8, 200), (0.95, 200), (0.99, 1000)])
def test_the_bootstrap_of_the_panel_has_draws_enough_for_its_level(level, n_boot):
    assert standard_panel(level=level)["best BIC, bootstrapped"].n_boot == n_boot


def test_a_lower_limit_alone_has_no_level_of_a_half():
    with pytest.raises(SettingError, match=r"level=0\.5: a lower limit alone needs a level above 0\.5"):
        standard_panel(level=0.5)


def test_the_panel_says_in_a_label_where_models_are_left_out():
    assert "model-averaged (order 2)" in standard_panel(hp.datasets.load("netherlands"))
    assert "model-averaged" in standard_panel(hp.datasets.load("uk_5"))
    found = standard_panel(hp.datasets.load("netherlands"))["model-averaged (order 2)"].fit(
        hp.datasets.load("netherlands")
    )
    assert found.interval.method == "mixture over models, on models to order 2"


def test_a_reduced_order_stands_in_the_method_and_every_order_in_none():
    table = hp.datasets.load("uk_5")
    for search in ({"max_order": 2}, {"search": "exhaustive", "max_order": 2}, {"search": "stepwise_p"}):
        method = hp.SelectedLogLinear(**search).fit(table).interval.method
        assert method.endswith(", on models to order 2")
    for search in ("exact", "exhaustive", "downhill"):
        method = hp.SelectedLogLinear(search=search).fit(table).interval.method
        assert method == "profile, selected model taken as known"


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
    assert comparison.sentence() in " ".join(text.split())
    assert "independence" in text
    assert "<table" in comparison._repr_html_()


def test_html_of_labels_is_escaped():
    assert "<script>" not in hp.compare(KOSOVO, {"<script>": "loglinear"})._repr_html_()


def test_the_standard_panel():
    assert list(standard_panel()) == list(STANDARD_PANEL)
    assert list(standard_panel()) == [
        "best BIC, bootstrapped",
        "independence",
        "best BIC model",
        "best AIC model",
        "model-averaged",
        "stepwise",
        "lower bound",
    ]


# --- what each interval holds -----------------------------------------------------------------------------------------


@cache
def panel_of(name):
    return hp.estimate(hp.datasets.load(name), rng=1)


def rows_of(comparison):
    """Label, estimate, interval and last column of the table as it is printed."""
    table = next(part for part in comparison.text().split("\n\n") if "what it holds" in part)
    head, *lines = table.splitlines()
    starts = [0, *(head.index(word) for word in ("95%", "what it holds"))]
    found = {}
    for line in lines:
        left, limits, holds = (line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True))
        label, number = left.rsplit("  ", 1)
        found[label.strip()] = (number.strip(), limits, holds)
    return found


def test_every_row_says_what_its_interval_holds():
    assert {label: holds for label, (_, _, holds) in rows_of(panel_of("kosovo")).items()} == {
        "best BIC, bootstrapped": "choice of model included",
        "independence": "if this model is true",
        "best BIC model": "choice not included",
        "best AIC model": "choice not included",
        "model-averaged": "choice included by weights",
        "stepwise": "choice not included",
        "lower bound": "if no negative dependence",
    }
    text = " ".join(panel_of("kosovo").text().split())
    assert "independence: holds the size in 95% of tables if this model is true" in text
    assert (
        "stepwise: the model was chosen on the same table, and the choice is not in the interval: usually too short"
        in text
    )


def test_a_status_stands_in_the_place_of_what_an_interval_holds():
    found = rows_of(hp.estimate(table_of((0, 10, 20, 0), "ab"), rng=1))
    assert {row[2] for row in found.values()} == {"unbounded"}
    assert {row[0] for row in found.values()} == {"none"}


def test_estimators_of_other_kinds_say_what_theirs_hold():
    comparison = hp.compare(
        KOSOVO, {"posterior": hp.DecomposableAveraging(n_draws=100), "mine": Whatever()}, rng=1
    )
    assert "given model and prior" in comparison.text()
    assert "the estimator does not tell what its interval holds" in " ".join(comparison.text().split())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whatever:
    """An estimator of one's own."""

    def fit(self, table, *, rng=None):
        return dataclasses.replace(hp.LogLinear().fit(table, rng=rng), estimator=spec_of(self))


def test_the_bound_is_one_sided_and_at_the_level_of_the_others():
    bound = panel_of("uk_5").estimates[-1]
    two_sided = hp.ChaoLowerBound(level=0.9).fit(hp.datasets.load("uk_5"))
    assert (bound.interval.low, bound.interval.high) == (two_sided.interval.low, math.inf)
    assert bound.interval.level == 0.95
    assert rows_of(panel_of("uk_5"))["lower bound"][:2] == ("13,570", "12,310 or more")


def test_an_estimate_below_the_bound_is_a_disagreement_and_no_disproof():
    (said,) = panel_of("uk_5").disagreements()
    assert said.startswith(
        "best AIC model (5,550), stepwise (11,310): below the lower bound, at least 12,310."
    )
    assert "disproves neither" in said
    assert said in " ".join(panel_of("uk_5").text().split())
    assert hp.estimate(hp.datasets.load("korea"), rng=1).disagreements() == []


def test_a_bound_is_not_one_of_the_estimates_that_disagree():
    comparison = hp.compare(KOSOVO, {"independence": "loglinear", "bound": "chao"})
    assert comparison.sentence().startswith("Only independence has a finite answer")


def test_the_limits_of_a_bootstrap_have_the_monte_carlo_error_of_many_bootstraps():
    setting = hp.Bootstrapped(n_boot=400, interval="percentile", scheme="multinomial")
    told, limits = [], []
    for seed in range(12):
        comparison = hp.compare(KOSOVO, {"resampled": setting}, rng=seed)
        text = " ".join(comparison.text().split())
        said = re.search(r"400 resamples, Monte Carlo error of the limits ([\d,]+) and ([\d,]+)\)", text)
        told.append([float(number.replace(",", "")) for number in said.groups()])
        limits.append([comparison.estimates[0].interval.low, comparison.estimates[0].interval.high])
    ratio = np.mean(told, axis=0) / np.std(limits, axis=0, ddof=1)
    assert (ratio > 0.5).all()
    assert (ratio < 2.0).all()


# --- one number is written in one way ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uk_5", "kosovo", "korea", "australia", "new_orleans_5_185"])
def test_one_number_is_written_in_one_way_on_a_screen(name):
    comparison = panel_of(name)
    written = {label: row[0] for label, row in rows_of(comparison).items()}
    by_size = {}
    for label, e in zip(comparison.labels, comparison.estimates, strict=True):
        by_size.setdefault(round(e.n_hat, 6), set()).add(written[label])
    assert all(len(texts) == 1 for texts in by_size.values())
    ends = re.findall(r"(?:from|to) ([\d,]+) \(([^)]*)\)", comparison.sentence())
    assert len(ends) == 2
    below = re.findall(r"([A-Za-z][\w ,-]*?) \(([\d,]+)\)", "; ".join(comparison.disagreements()))
    for label, number in [*((label, number) for number, label in ends), *below]:
        assert written[label.removeprefix(", ").strip()] == number


def test_the_remarks_of_an_estimate_are_written_as_the_estimate_is():
    found = hp.SelectedLogLinear().fit(KOSOVO)
    (remark,) = [d for d in found.diagnostics if d.name == "rivals_disagree"]
    assert f"give N from {found.in_words()[0]} to 18,390" in remark.message


@pytest.mark.parametrize("name", ["uk_5", "kosovo", "korea"])
def test_a_bootstrap_writes_the_sizes_in_the_remarks_of_its_base_with_its_own_digits(name):
    found = hp.Bootstrapped(base=hp.SelectedLogLinear(), n_boot=200).fit(hp.datasets.load(name), rng=1)
    (remark,) = [d for d in found.diagnostics if d.name == "rivals_disagree"]
    low, high = map(found.persons_in_words, remark.sizes)
    assert f"give N from {low} to {high}" in remark.message
    assert pickle.loads(pickle.dumps(found)).diagnostics == found.diagnostics
    assert hp.Estimate.from_dict(found.to_dict()).diagnostics == found.diagnostics


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.floats(0.0, 1e14), min_size=1, max_size=4),
    width=st.floats(0.0, 1e9),
    other=st.floats(0.0, 1e9),
)
def test_a_size_in_a_remark_is_written_as_the_estimate_that_it_stands_beside(sizes, width, other):
    sentence = "; ".join(f"{{{place}}} at {place}" for place in range(len(sizes)))
    remark = hp.Diagnostic("sizes", "info", sentence, sizes=tuple(sizes))
    first = dataclasses.replace(
        found_of("korea"), interval=hp.Interval(123.0, 200.0 + width, 0.95, "x"), diagnostics=(remark,)
    )
    for found in (first, dataclasses.replace(first, interval=hp.Interval(123.0, 200.0 + other, 0.95, "x"))):
        written = "; ".join(f"{found.persons_in_words(n)} at {place}" for place, n in enumerate(sizes))
        assert [d.message for d in found.diagnostics] == [written]


def found_of(name):
    return hp.LogLinear().fit(hp.datasets.load(name))


def test_an_interval_without_an_upper_limit_takes_its_digits_from_its_lower_side():
    bound = hp.ChaoLowerBound(one_sided=True).fit(hp.datasets.load("uk_5"))
    assert bound.in_words() == ("13,570", "12,310 or more")
