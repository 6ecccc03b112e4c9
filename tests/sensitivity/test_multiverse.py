import json
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop import AveragedLogLinear, Bootstrapped, CaptureTable, LogLinear, SelectedLogLinear, Stratified
from hiddenpop.errors import SettingError, UnknownNameError
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.two_lists import Chapman
from hiddenpop.result import Estimate, Interval
from hiddenpop.sensitivity.multiverse import Multiverse, cross, standard_choices
from hiddenpop.sensitivity.protocol import Check

KOSOVO = hp.datasets.load("kosovo")
UK = hp.datasets.load("uk_5")
SIMDAT = hp.datasets.load("simdat").collapse("X2", "X3", "X4", "Y")

CRITERIA = {"bic": {"criterion": "bic"}, "aic": {"criterion": "aic"}}
SEARCHES = {"exact": {"search": "exact"}, "stepwise": {"search": "stepwise_p"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Multiplies the observed by `factor`, or has no number where that is 0."""

    name: ClassVar[str] = "times"
    factor: float = 2.0
    reach: float = 2.0
    interval: str = "narrow"

    def fit(self, table: CaptureTable, *, rng: object = None) -> Estimate:
        n = table.n_observed
        known = self.factor > 0
        high = n * self.factor * (1.0 if self.interval == "narrow" else self.reach)
        return Estimate(
            n_hat=n * self.factor if known else math.inf,
            n_observed=n,
            interval=Interval(n, high if known else math.inf, 0.95, "made up"),
            status="ok" if known else "unbounded",
            reason="" if known else "told to",
            estimator=spec_of(self),
            table=table.summary,
        )


def factors(*values: float) -> dict[str, dict[str, float]]:
    return {f"x{value:g}": {"factor": value} for value in values}


# --- crossing ---


def test_every_combination_is_a_row_with_its_options() -> None:
    choices = {
        "criterion": CRITERIA,
        "lists": {"all": {}, "no HRW": {"drop": "HRW"}, "two": {"merge": {"x": ["ABA", "OSCE"]}}},
    }
    found = Multiverse(choices=choices).run(SelectedLogLinear(), KOSOVO).table
    assert len(found) == 6
    rows = found.set_index(["criterion", "lists"])["n_hat"]
    assert rows["aic", "no HRW"] == SelectedLogLinear(criterion="aic").fit(KOSOVO.drop_list("HRW")).n_hat
    assert rows["bic", "two"] == SelectedLogLinear().fit(KOSOVO.merge_lists({"x": ["ABA", "OSCE"]})).n_hat
    assert found["n_hat"].is_monotonic_increasing


def test_combinations_that_come_to_the_same_are_fitted_and_counted_once() -> None:
    # The search by p-value knows no criterion: two of the four combinations are one specification.
    check = Multiverse(choices={"criterion": CRITERIA, "search": SEARCHES}, claim="more than 11,000")
    found = check.run(SelectedLogLinear(), KOSOVO)
    assert found.n_points == len(found.table) == 3
    rows = found.table.set_index("search")
    assert rows.loc["stepwise", "criterion"] == "any"
    assert found.text.startswith(
        "3 specifications of 4 combinations; 1 come to the same as another and count once."
    )
    supporting = (rows["n_hat"] > 11_000).sum()
    assert f"By estimate {supporting} of 3 support it" in found.text


def test_tables_that_come_to_the_same_are_one() -> None:
    choices = {
        "first": {"all": {}, "no HRW": {"drop": ["HRW"]}},
        "second": {"all": {}, "also no HRW": {"drop": ["HRW"]}, "no EXH": {"drop": ["EXH"]}},
    }
    found = Multiverse(choices=choices).run(Times(), KOSOVO)
    # Dropped by the first, the second or both: the same three lists. Then without EXH, without both, and all.
    assert len(found.table) == 4
    labels = found.table.loc[
        found.table["n_observed"] == KOSOVO.drop_list("HRW").n_observed, ["first", "second"]
    ]
    assert labels.to_numpy().tolist() == [["any", "all / also no HRW"]]


def test_estimates_that_differ_in_their_interval_alone_count_once_by_estimate() -> None:
    choices = {
        "factor": factors(2, 3),
        "kind": {"narrow": {"interval": "narrow"}, "wide": {"interval": "wide"}},
    }
    check = Multiverse(choices=choices, claim=f"fewer than {3 * KOSOVO.n_observed}")
    found = check.run(Times(), KOSOVO)
    assert len(found.table) == 4
    assert "By estimate 2 of 2 support it (100%), by their whole interval 2 of 4 (50%)." in found.text
    assert found.table["supports_interval"].tolist() == [True, False, True, False]


def test_a_choice_that_an_estimator_does_not_have_plays_no_part_there() -> None:
    choices = {
        "class": {
            "selected": {},
            "one model": {"estimator": LogLinear()},
            "coverage": {"estimator": hp.SampleCoverage()},
        },
        "criterion": CRITERIA,
        "limits": {"log-normal": {"interval": "lognormal"}, "wald": {"interval": "wald"}},
    }
    found = Multiverse(choices=choices).run(SelectedLogLinear(), KOSOVO)
    assert found.table.groupby("class").size().to_dict() == {"coverage": 1, "one model": 2, "selected": 4}
    assert set(found.table.loc[found.table["class"] != "selected", "criterion"]) == {"any"}
    # Of these intervals the sample coverage knows one; the other cannot be made, under either criterion.
    assert "2 cannot be made (interval='wald' is not one of 'by_coverage', 'lognormal'" in found.text


def test_what_cannot_be_made_is_counted_before_anything_is_fitted() -> None:
    choices = {
        "order": {"2": {"max_order": 2}, "3": {"max_order": 3}},
        "search": SEARCHES,
        "lists": {"all": {}, "no HRW": {"drop": ["HRW"]}},
        "pairs": {"as they are": {}, "two": {"merge": {"x": ["ABA", "HRW"]}}},
    }
    crossed = cross(Multiverse(choices=choices).choices, SelectedLogLinear(), KOSOVO)
    # Stepwise with order 3 (4 combinations), and merging a list that was dropped (the other 3 of 4).
    assert (crossed.n_combinations, crossed.n_impossible) == (16, 7)
    assert len(crossed.points) + crossed.n_repeated == 9
    found = Multiverse(choices=choices).run(SelectedLogLinear(), KOSOVO)
    assert "7 cannot be made (" in found.text
    assert "refused" not in set(found.table["status"])


def test_a_setting_that_one_option_lacks_is_dropped_not_ignored() -> None:
    averaged = {"estimator": AveragedLogLinear(), "outside": 0.1}
    choices = {"how": {"bic": {"criterion": "bic"}, "averaged": averaged, "outside": {"outside": 0.1}}}
    found = Multiverse(choices=choices).run(SelectedLogLinear(), KOSOVO)
    assert "1 cannot be made (how='outside': selected has no setting 'outside')" in found.text
    assert sorted(found.table["how"]) == ["averaged", "bic"]


def test_moves_of_the_table() -> None:
    choices = {
        "who": {
            "all": {},
            "first": {"select": {"X1": "1"}},
            "added up": {"collapse": ["X1"]},
            "apart": {"stratify": "X1"},
        },
        "lists": {"all": {}, "no R4": {"drop": ["R4"]}},
    }
    found = Multiverse(choices=choices).run(Times(), SIMDAT).table.set_index(["who", "lists"])
    first = SIMDAT.select(X1="1")
    assert found.loc[("first", "all"), "n_observed"] == first.n_observed
    assert found.loc[("first", "no R4"), "n_observed"] == first.drop_list("R4").n_observed
    assert len(found) == 8


@pytest.mark.filterwarnings("ignore::hiddenpop.errors.CollapsedStrataWarning")
def test_strata_apart_and_strata_that_an_estimator_adds_up_itself() -> None:
    who = {"as it is": {}, "added up": {"collapse": ["X1"]}, "apart": {"stratify": "X1"}}
    found = Multiverse(choices={"who": who}).run(SelectedLogLinear(), SIMDAT).table.set_index("who")
    assert set(found.index) == {"as it is / added up", "apart"}
    assert found.loc["apart", "n_hat"] == Stratified(base=SelectedLogLinear(), by=("X1",)).fit(SIMDAT).n_hat
    assert found.loc["as it is / added up", "n_hat"] == SelectedLogLinear().fit(SIMDAT.collapse()).n_hat


def test_a_given_model_goes_along_with_dropped_and_merged_lists() -> None:
    choices = {"lists": {"all": {}, "no ABA": {"drop": ["ABA"]}, "one": {"merge": {"x": ["EXH", "OSCE"]}}}}
    found = Multiverse(choices=choices).run(LogLinear(model="EXH*ABA + ABA*HRW + OSCE"), KOSOVO)
    assert found.table.set_index("lists")["model"].to_dict() == {
        "all": "[12,24,3]",
        "no ABA": "[1,2,3]",
        "one": "[12,23]",
    }


def test_settings_reach_into_wrappers() -> None:
    wrapped = Bootstrapped(base=SelectedLogLinear(), n_boot=200, interval="percentile")
    found = (
        Multiverse(choices={"criterion": CRITERIA}).run(wrapped, KOSOVO, rng=1).table.set_index("criterion")
    )
    assert found.loc["aic", "n_hat"] == SelectedLogLinear(criterion="aic").fit(KOSOVO).n_hat
    assert found.loc["aic", "low"] < found.loc["aic", "n_hat"] < found.loc["aic", "high"]


@pytest.mark.parametrize(
    ("one", "other", "n_lists", "same"),
    [
        ({"search": "stepwise_p"}, {"search": "stepwise_p", "criterion": "aic", "max_order": 2}, 5, True),
        ({"search": "stepwise_aic"}, {"search": "stepwise_aic", "criterion": "aicc"}, 5, True),
        ({"search": "stepwise_p"}, {"search": "stepwise_p", "p_threshold": 0.05}, 5, False),
        ({}, {"criterion": "aic"}, 5, False),
        ({"search": "exhaustive"}, {"search": "exhaustive", "max_fits": 7, "n_steps": 30_000}, 5, True),
        ({}, {"p_threshold": 0.5, "n_steps": 30_000}, 5, True),
        ({"search": "exact"}, {"search": "exact", "max_fits": 7}, 5, False),
        ({"max_order": None}, {"max_order": 4}, 5, True),
        ({"max_order": None}, {"max_order": 5}, 5, True),
        ({"max_order": None}, {"max_order": 2}, 5, False),
        ({"max_order": None}, {"max_order": 2}, 3, True),
        ({"search": "exhaustive"}, {"search": "exhaustive", "max_order": 2}, 6, True),
        ({"search": "exhaustive"}, {"search": "exhaustive", "max_order": 5}, 6, False),
        ({"search": "exact", "max_order": None}, {"search": "exact", "max_order": 2}, 6, False),
    ],
)
def test_which_estimators_do_the_same(one: dict, other: dict, n_lists: int, same: bool) -> None:
    first, second = (SelectedLogLinear(**settings) for settings in (one, other))
    assert (first.canonical(n_lists) == second.canonical(n_lists)) is same
    wrapped = (Bootstrapped(base=base).canonical(n_lists) for base in (first, second))
    assert (next(wrapped) == next(wrapped)) is same


def test_settings_without_effect_change_no_number() -> None:
    uk = UK.merge_lists({"x": ["LA", "NG"], "y": ["GO", "GP"]})
    for one, other in [
        ({"search": "stepwise_p"}, {"search": "stepwise_p", "criterion": "aic"}),
        ({}, {"max_order": 2}),
    ]:
        first, second = (SelectedLogLinear(**settings) for settings in (one, other))
        assert first.canonical(3) == second.canonical(3)
        assert first.fit(uk).n_hat == second.fit(uk).n_hat


# --- the verdict ---


def test_shares_are_of_those_with_a_number_and_the_rest_is_counted() -> None:
    check = Multiverse(choices={"factor": factors(0, 2, 3, 4)}, claim=f"more than {3 * KOSOVO.n_observed}")
    found = check.run(Times(), KOSOVO)
    assert (found.n_points, found.n_failed, found.passed) == (4, 1, False)
    assert "By estimate 2 of 3 support it (67%), by their whole interval 0 of 3 (0%)." in found.text
    assert "is not a probability" in found.text
    assert "Without a number: 1 unbounded (told to)." in found.text
    assert found.table["n_hat"].tolist()[-1] == math.inf
    assert found.table["supports"].tolist() == [False, True, True, False]


@pytest.mark.parametrize(("values", "passed"), [((2, 3), True), ((2, 3, 0), None), ((1.5, 3), False)])
def test_the_verdict_needs_every_estimate(values: tuple[float, ...], passed: bool | None) -> None:
    check = Multiverse(choices={"factor": factors(*values)}, claim=f"at least {2 * KOSOVO.n_observed}")
    assert check.run(Times(), KOSOVO).passed is passed


def test_the_choice_that_moves_n_most_is_that_with_the_widest_medians() -> None:
    choices = {"factor": factors(2, 3, 4), "lists": {"all": {}, "no HRW": {"drop": ["HRW"]}}}
    found = Multiverse(choices=choices).run(Times(), KOSOVO)
    assert "The choice that moves N most is factor: its options have medians from" in found.text
    small = KOSOVO.drop_list("HRW").n_observed
    medians = [np.median([n * KOSOVO.n_observed, n * small]) for n in (2, 4)]
    assert f"({'x2'}) to {round(medians[1], -1):,.0f} (x4)" in found.text
    one = Multiverse(choices={"factor": factors(2)}).run(Times(), KOSOVO)
    assert "moves N most" not in one.text


def test_without_a_claim_n_should_stay_in_the_interval_of_the_baseline() -> None:
    found = Multiverse(choices={"criterion": CRITERIA}).run(SelectedLogLinear(), KOSOVO)
    base = SelectedLogLinear().fit(KOSOVO).interval
    assert (found.figure["claim"]["low"], found.figure["claim"]["high"]) == (base.low, base.high)
    assert base.high < 12740.97  # the best model by AIC is outside
    assert found.passed is False


# --- the standard choices ---


def options_of(estimator: object, table: CaptureTable, **asked: bool) -> dict[str, list[str]]:
    return {n: [label for label, _ in o] for n, o in standard_choices(estimator, table, **asked)}


def test_the_standard_choices_of_a_selected_model() -> None:
    assert options_of(SelectedLogLinear(), UK) == {
        "class": ["selected", "averaged", "stepwise"],
        "criterion": ["bic", "aic", "aicc"],
        "order": ["2", "every"],
        "lists": ["as they are", "LA or PFNCA", "LA or GP"],  # 21 of 94 in common; nobody in common
        "limits": ["profile", "lognormal"],
    }


def test_the_standard_choices_follow_the_estimator_and_the_table() -> None:
    assert options_of(LogLinear(), KOSOVO)["class"] == ["one model", "selected", "averaged", "stepwise"]
    wrapped = Bootstrapped(base=SelectedLogLinear(search="stepwise_p"))
    assert options_of(wrapped, UK)["class"] == ["stepwise", "selected", "averaged"]
    assert options_of(wrapped, UK)["limits"] == ["percentile", "bca", "basic"]
    classes = dict(dict(standard_choices(wrapped, UK))["class"])
    assert dict(classes["averaged"])["estimator"] == Bootstrapped(base=AveragedLogLinear())
    assert "order" not in options_of(SelectedLogLinear(search="exact"), hp.datasets.load("uk"))
    assert set(options_of(hp.DecomposableAveraging(), UK)) == {"lists"}
    assert options_of(Chapman(), KOSOVO.drop_list("ABA", "HRW")) == {"limits": ["profile", "lognormal"]}
    assert options_of(hp.DecomposableAveraging(), KOSOVO.drop_list("ABA", "HRW")) == {}


def test_another_class_keeps_what_was_settled_about_the_model() -> None:
    given = SelectedLogLinear(admissible="exists", level=0.9)
    classes = dict(dict(standard_choices(given, UK))["class"])
    assert dict(classes["averaged"])["estimator"] == AveragedLogLinear(admissible="exists", level=0.9)
    assert dict(classes["stepwise"])["estimator"] == SelectedLogLinear(
        search="stepwise_p", admissible="exists", level=0.9
    )


def test_strata_are_added_up_or_apart_and_periods_come_when_asked_for() -> None:
    years = SIMDAT.rename({"X1": "year"})
    assert options_of(SelectedLogLinear(), years)["strata"] == ["added up", "by year"]
    assert "period" not in options_of(SelectedLogLinear(), years)
    assert options_of(SelectedLogLinear(), years, periods=True)["period"] == ["all", "1", "2"]
    assert "period" not in options_of(SelectedLogLinear(), SIMDAT, periods=True)
    assert "strata" not in options_of(Stratified(base=SelectedLogLinear()), years)


def test_the_standard_multiverse_runs_by_itself() -> None:
    found = Multiverse(claim="more than 8,000").run(SelectedLogLinear(search="exact"), KOSOVO)
    # 3 classes: 12 of selected, 12 / 2 of averaged, 2 of stepwise; two sets of lists, the second of three, on which
    # order 2 is every order: (12 + 6 + 2) + (6 + 3 + 2).
    assert found.n_points == 31
    assert found.figure["choices"] == ["class", "criterion", "order", "lists", "limits"]
    same = Multiverse.standard(SelectedLogLinear(search="exact"), KOSOVO, claim="more than 8,000")
    again = same.run(SelectedLogLinear(search="exact"), KOSOVO)
    pd.testing.assert_frame_equal(found.table, again.table)
    assert found.settings == again.settings


def test_nothing_to_choose_does_not_apply() -> None:
    found = Multiverse().run(hp.DecomposableAveraging(), KOSOVO.drop_list("ABA", "HRW"))
    assert (found.passed, found.n_points) == (None, 0)
    assert "leaves no standard choice" in found.text
    impossible = {"a": {"no HRW": {"drop": ["HRW"]}}, "b": {"x": {"merge": {"x": ["ABA", "HRW"]}}}}
    assert (
        "none of the 1 combinations can be made" in Multiverse(choices=impossible).run(Times(), KOSOVO).text
    )


# --- reading choices ---


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "give at least one choice"),
        ({"a": {}}, "the choice 'a' has no options"),
        ({"n_hat": {"x": {}}}, "a choice cannot be called 'n_hat'"),
        ({"a": "bic"}, "choice 'a': 'bic' is neither a mapping nor pairs"),
        ([("a", {"x": {}}), ("a", {"x": {}})], "the name 'a' is not text, empty, or given twice"),
        ({"a": {"x": {"estimator": LogLinear}}}, "is not an estimator; give one"),
        ({"a": {"x": {"merge": [["A", "B"]]}}}, "must give the parts of a new list"),
        ({"a": {"x": {"drop": {"A", "B"}}}}, "can change later; give numbers, text, tuples"),
        (
            {f"c{i}": factors(*range(1, 11)) for i in range(5)},
            "5 choices make 100,000 combinations; give at most",
        ),
    ],
)
def test_choices_that_cannot_be_read(choices: object, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Multiverse(choices=choices)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drop": ["HRX"]}, "'HRX'"),
        ({"merge": {"x": ["ABA", "nobody"]}}, "'nobody'"),
        ({"select": {"year": "2010"}}, "'year'"),
        ({"stratify": ["year"]}, "'year'"),
        ({"criterium": "bic"}, "no estimator here has a setting 'criterium'"),
    ],
)
def test_names_that_are_not_there(changes: dict, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        Multiverse(choices={"a": {"as set": {}, "x": changes}}).run(SelectedLogLinear(), KOSOVO)


# --- what every check promises ---


def test_it_is_a_check_that_can_be_hashed_and_written_down_and_read_back() -> None:
    lists = {"all": {}, "x": {"merge": {"x": ["ABA", "HRW"]}}}
    choices = {"class": {"own": {}, "averaged": {"estimator": AveragedLogLinear()}}, "lists": lists}
    check = Multiverse(choices=choices, claim="more than 9,000")
    assert isinstance(check, Check)
    assert hash(check) == hash(Multiverse(choices=choices, claim="more than 9,000"))
    found = check.run(SelectedLogLinear(), KOSOVO, rng=1)
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert hp.sensitivity.build_check("multiverse", written["settings"]) == check
    spec = hp.result.EstimatorSpec("hiddenpop.sensitivity.multiverse:Multiverse", written["settings"])
    assert spec.build(trust=True) == check
    assert {*found.figure["choices"], "n_hat", "low", "high"} <= set(found.table)


def test_a_private_table_keeps_the_counts_of_its_parts() -> None:
    check = Multiverse(choices={"lists": {"all": {}, "no HRW": {"drop": ["HRW"]}}})
    shown = check.run(Times(), KOSOVO.with_meta(public=False)).to_dict()
    assert {row["n_observed"] for row in shown["table"]} == {"<10"}
