"""Parts of a population, their limits and their shares."""

import dataclasses
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.monitor.estimates import by_strata, two_by_two, yearly

import hiddenpop as hp
from hiddenpop import datasets, monitor
from hiddenpop.errors import CapabilityError, PersonYearsWarning, SettingError, UnknownNameError
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.monitor import subgroup, subgroups
from hiddenpop.monitor.groups import groups_of, level_order, strata_of
from hiddenpop.monitor.limits import draw_limits


def test_a_part_is_the_sum_of_its_strata() -> None:
    estimate = two_by_two()
    parts = subgroups(estimate, "sex").frame.set_index("sex")
    draws = np.asarray(estimate.stratum_draws)[:, :2].sum(axis=1)
    low, high = draw_limits(draws, 0.9, "posterior", unknown=(50.0, math.inf))
    assert parts.loc["f", "n_observed"] == 50
    assert parts.loc["f", "n_hat"] == np.quantile(draws, 0.5, method="inverted_cdf")
    assert (parts.loc["f", "low"], parts.loc["f", "high"]) == (low, high)


@pytest.mark.parametrize("by", ["sex", "age", ("sex", "age"), ("age", "sex")])
def test_parts_add_up_to_the_total_draw_by_draw(by: Any) -> None:
    estimate = two_by_two()
    names = [by] if isinstance(by, str) else list(by)
    groups = groups_of(estimate, strata_of(estimate)[names])
    np.testing.assert_array_equal(np.asarray(groups.draws).sum(axis=1), np.asarray(estimate.draws))
    assert groups.n_observed.sum() == estimate.n_observed


def test_last_row_is_the_whole_as_the_estimate_has_it() -> None:
    estimate = two_by_two()
    last = subgroups(estimate, ["sex", "age"]).frame.iloc[-1]
    assert (last["sex"], last["age"]) == ("(all)", "(all)")
    assert (last["n_hat"], last["n_observed"]) == (estimate.n_hat, estimate.n_observed)
    assert (last["low"], last["high"]) == (estimate.interval.low, estimate.interval.high)
    assert (last["share"], last["share_low"], last["share_high"]) == (1.0, 1.0, 1.0)


def test_another_level_comes_from_the_draws_of_parts_and_of_the_whole() -> None:
    estimate = two_by_two()
    wide, narrow = (subgroups(estimate, "sex", level=level).frame for level in (0.95, 0.5))
    assert (narrow["low"] > wide["low"]).all()
    assert (narrow["high"] < wide["high"]).all()


def test_bootstrap_point_is_the_sum_of_the_estimates() -> None:
    estimate = two_by_two(kind="bootstrap", n_hat=[100.0, 150.0, 200.0, 250.0])
    frame = subgroups(estimate, "age").frame
    assert frame["n_hat"].tolist() == [300.0, 400.0, 700.0]
    assert frame["share"].tolist() == pytest.approx([3 / 7, 4 / 7, 1.0])


def test_shares_are_taken_draw_by_draw() -> None:
    estimate = two_by_two()
    draws = np.asarray(estimate.stratum_draws)
    share = draws[:, :2].sum(axis=1) / draws.sum(axis=1)
    row = subgroups(estimate, "sex").frame.iloc[0]
    assert row["share"] == np.quantile(share, 0.5, method="inverted_cdf")
    assert (row["share_low"], row["share_high"]) == draw_limits(share, 0.9, "posterior", unknown=(0.0, 1.0))


def test_unbounded_and_unknown_replicates_are_counted() -> None:
    draws = np.tile([100.0, 200.0, 300.0, 400.0], (400, 1)) + np.arange(400)[:, None] / 100
    draws[:30, 0], draws[30:60, 2] = np.inf, np.nan
    estimate = two_by_two(kind="bootstrap", n_hat=[100.0, 200.0, 300.0, 400.0])
    estimate = dataclasses.replace(estimate, stratum_draws=draws, draws=draws.sum(axis=1))
    frame = subgroups(estimate, "sex").frame.set_index("sex")
    assert math.isinf(frame.loc["f", "high"])
    assert frame.loc["f", "low"] > 300.0
    assert (frame.loc["m", "low"], frame.loc["m", "high"]) == (90.0, math.inf)
    assert frame.loc["f", "share_high"] == 1.0
    assert frame.loc["m", "share_low"] == 0.0


def test_an_unbounded_stratum_beside_an_unknown_one_is_unbounded() -> None:
    draws = np.full((400, 2), 100.0)
    draws[:100] = np.inf, np.nan
    estimate = by_strata({"sex": ["f", "m"]}, [20, 30], draws, kind="bootstrap", n_hat=[100.0, 100.0])
    groups = groups_of(estimate, strata_of(estimate)[[]].assign(all="x"))
    assert np.isposinf(np.asarray(groups.draws)[:100]).all()


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["ok", "ok"], "ok"),
        (["boundary", "ok"], "ok"),
        (["ok", "unbounded"], "unbounded"),
        (["not_identified", "unbounded"], "unbounded"),
        (["not_identified", "not_converged"], "not_converged"),
        (["ok", "not_identified"], "not_identified"),
    ],
)
def test_a_part_has_the_worst_status_of_its_strata(states: list[str], expected: str) -> None:
    levels = {"sex": ["f", "f", "m"], "age": ["old", "young", "old"]}
    draws = np.tile([100.0, 120.0, 150.0], (400, 1))
    estimate = by_strata(levels, [20, 30, 40], draws, status=[*states, "ok"], kind="bootstrap")
    frame = subgroups(estimate, "sex").frame
    assert frame["status"].tolist()[:2] == [expected, "ok"]
    assert math.isfinite(frame["n_hat"].iloc[0]) is (expected == "ok")
    assert frame["low"].iloc[0] >= 50


def test_a_part_in_which_nobody_is_hidden_is_on_the_boundary() -> None:
    draws = np.tile([20.0, 30.0, 150.0], (400, 1))
    levels = {"sex": ["f", "f", "m"], "age": ["old", "young", "old"]}
    estimate = by_strata(levels, [20, 30, 40], draws, status=["boundary", "boundary", "ok"])
    assert subgroups(estimate, "sex").frame["status"].tolist() == ["boundary", "ok", "ok"]


def test_levels_that_are_numbers_are_sorted_as_numbers() -> None:
    assert level_order(["10", "9", "100"]) == ["9", "10", "100"]
    assert level_order(["10", "9", "b"]) == ["10", "9", "b"]


def test_one_part_by_level_or_levels() -> None:
    estimate = two_by_two()
    one = subgroup(estimate, sex="f", age=["old", "young"])
    assert one.parts[["sex", "age"]].to_numpy().tolist() == [["f", "old or young"]]
    both = subgroups(estimate, "sex").frame
    names = ["n_observed", "n_hat", "low", "high", "share"]
    assert one.parts[names].iloc[0].tolist() == both[names].iloc[0].tolist()


def test_numbers_are_levels_too() -> None:
    with pytest.warns(PersonYearsWarning, match="2019 to 2020"):
        assert subgroup(yearly([2019, 2020]), year=2019).parts["n_observed"].tolist() == [50]


def test_unknown_names_are_refused_with_what_may_be_meant() -> None:
    estimate = two_by_two()
    with pytest.raises(UnknownNameError, match=r"no covariate 'Sex'.*did you mean 'sex'"):
        subgroups(estimate, "Sex")
    with pytest.raises(UnknownNameError, match=r"no level of 'age' 'yung'.*did you mean 'young'"):
        subgroup(estimate, age="yung")


def test_a_combination_without_a_stratum_is_refused() -> None:
    draws = np.full((400, 2), 100.0)
    estimate = by_strata({"sex": ["f", "m"], "age": ["old", "young"]}, [20, 30], draws)
    with pytest.raises(UnknownNameError, match="no stratum with"):
        subgroup(estimate, sex="f", age="young")


@pytest.mark.parametrize("by", [[], ["sex", "sex"]])
def test_by_names_each_covariate_once(by: list[str]) -> None:
    with pytest.raises(SettingError, match="must name one covariate or several"):
        subgroups(two_by_two(), by)


def test_without_strata_the_error_says_who_models_them() -> None:
    estimate = hp.LogLinear().fit(hp.datasets.load("kosovo"))
    with pytest.raises(CapabilityError, match=r"no estimates by stratum.*covariate_loglinear"):
        subgroups(estimate, "sex")


def test_without_draws_single_strata_have_their_own_limits() -> None:
    table = hp.datasets.load("spina_bifida")
    estimate = CovariateLogLinear(model="S1 + S2*S3 + eth", interval="lognormal").fit(table)
    frame = subgroups(estimate, "eth").frame
    own = estimate.by_stratum
    assert frame["n_hat"].tolist()[:-1] == own["n_hat"].tolist()
    assert frame["low"].tolist()[:-1] == own["low"].tolist()
    assert frame["n_hat"].iloc[-1] == estimate.n_hat
    assert frame["share_low"].isna().tolist() == [True, True, True, False]


def test_without_draws_sums_and_other_levels_are_refused() -> None:
    estimate = by_strata(
        {"sex": ["f", "f"], "age": ["old", "young"]}, [20, 30], None, n_hat=[50.0, 60.0], kind=""
    )
    with pytest.raises(CapabilityError, match=r"no draws by stratum.*by=\['sex', 'age'\]"):
        subgroups(estimate, "sex")
    with pytest.raises(SettingError, match=r"level=0.5 differs from the level 0.9"):
        subgroups(estimate, ["sex", "age"], level=0.5)


def test_draws_of_which_nobody_says_what_they_are_are_refused() -> None:
    with pytest.raises(CapabilityError, match="does not say what its draws are"):
        subgroups(two_by_two(kind=""), "sex")


def test_an_estimate_read_back_has_its_single_strata() -> None:
    estimate = by_strata({"sex": ["f", "m"]}, [20, 30], None, n_hat=[50.0, 60.0], kind="")
    again = hp.Estimate.from_dict(estimate.to_dict())
    frame = subgroups(again, "sex").frame
    assert frame["n_hat"].tolist() == [50.0, 60.0, 110.0]
    assert np.isinf(frame["high"]).all()


def test_a_withheld_estimate_read_back_is_refused() -> None:
    estimate = by_strata({"sex": ["f", "m"]}, [2, 30], None, n_hat=[50.0, 60.0], kind="", public=False)
    again = hp.Estimate.from_dict(estimate.to_dict())
    with pytest.raises(CapabilityError, match="withheld when the estimate was written"):
        subgroups(again, "sex")


def test_years_that_are_added_up_are_said_and_warned_of() -> None:
    estimate = yearly([2019, 2020])
    with pytest.warns(PersonYearsWarning, match="a person seen in two of them counts twice"):
        parts = subgroups(estimate, "year")
    assert "does not say whom it counts when" in parts.notes[0]
    stated = dataclasses.replace(
        estimate, table=dataclasses.replace(estimate.table, population="Victims, once in each year")
    )
    with pytest.warns(PersonYearsWarning, match="stated as 'Victims, once in each year'"):
        subgroups(stated, "year")
    assert "note: the levels of 'year'" in parts.text()


@pytest.mark.parametrize(
    ("name", "levels", "warns"),
    [
        ("year", ["1", "2"], True),
        ("Jaar", ["a", "b"], True),
        ("period", ["2019", "2020"], True),
        ("code", ["4019", "2020"], False),
        ("year", ["2019", "2019"], False),
    ],
)
def test_years_are_known_by_name_or_by_level(name: str, levels: list[str], warns: bool) -> None:
    estimate = by_strata({name: levels, "sex": ["f", "m"]}, [20, 30], np.full((400, 2), 100.0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        subgroups(estimate, "sex")
    assert [w.category for w in caught] == [PersonYearsWarning] * warns


def test_what_leaves_of_a_table_that_is_not_public_has_marks() -> None:
    draws = np.full((400, 3), 300.0)
    estimate = by_strata({"town": ["a", "b", "c"]}, [4, 60, 70], draws, public=False)
    parts = subgroups(estimate, "town")
    assert parts.frame["n_observed"].tolist() == [4, 60, 70, 134]
    frame = parts.protected_frame()
    assert frame["n_observed"].tolist() == ["<10", "<10", 70, 134]
    assert frame.loc[0, ["n_hat", "low", "high", "status", "share"]].tolist() == ["<10"] * 5


def test_one_part_that_tells_the_rest_is_withheld() -> None:
    estimate = by_strata({"town": ["a", "b"]}, [4, 60], np.full((400, 2), 300.0), public=False)
    assert subgroup(estimate, town="b").protected_frame()["n_observed"].tolist() == ["<10", 64]


def test_text_says_what_has_no_number() -> None:
    estimate = by_strata(
        {"sex": ["f", "m"]}, [20, 30], np.full((400, 2), 100.0), status=["ok", "unbounded"], kind="bootstrap"
    )
    text = subgroups(estimate, "sex").text()
    assert "m: unbounded" in text
    assert "f: 100 (100 to 100); 20 observed" in text


def test_a_part_that_alone_is_unbounded_is_the_whole_of_such_a_draw() -> None:
    draws = np.tile([100.0, 300.0], (400, 1))
    draws[:40, 0] = np.inf
    estimate = by_strata({"sex": ["f", "m"]}, [50, 50], draws, kind="bootstrap", n_hat=[100.0, 300.0])
    frame = subgroups(estimate, "sex").frame.set_index("sex")
    assert frame.loc["f", ["share", "share_low", "share_high"]].tolist() == [0.25, 0.25, 1.0]
    assert frame.loc["m", ["share", "share_low", "share_high"]].tolist() == [0.75, 0.0, 0.75]


@pytest.mark.parametrize(("limits_of", "said"), [("persons", 0), ("expected", 1)])
def test_what_limits_are_for_is_said_where_it_is_not_the_persons(limits_of: str, said: int) -> None:
    table = datasets.load("simdat").collapse("X2", "X3", "X4").rename({"Y": "year"})
    model = CovariateLogLinear(model="R1*X1 + R2 + R3 + R4 + year", n_boot=200, limits_of=limits_of)  # type: ignore[arg-type]
    estimate = model.fit(table, rng=1)
    residents = pd.DataFrame({"X1": ["1", "2"], "residents": [600_000, 500_000]})
    codes = {"X1": ("Sex", {"1": "FEMALE", "2": "MALE"})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PersonYearsWarning)
        found = [
            monitor.subgroups(estimate, "X1"),
            monitor.subgroup(estimate, X1="1"),
            monitor.rates(estimate, residents, "X1"),
            monitor.ranks(estimate, "X1"),
            monitor.trend(estimate),
            monitor.un_indicator(estimate, residents, codes, area=("528", "Netherlands"), year=2019),
        ]
    for record in found:
        assert sum("for the number expected there" in note for note in record.notes) == said
        assert ("note: limits of strata are for the number expected there" in record.text()) is bool(said)
