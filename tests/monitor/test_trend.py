"""Numbers year by year, and the changes between them."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from tests.monitor.estimates import by_strata, two_by_two, yearly

from hiddenpop.errors import CapabilityError, SettingError, UnknownNameError
from hiddenpop.monitor import subgroups, trend
from hiddenpop.monitor.limits import draw_limits, simultaneous_band


def test_years_have_their_own_limits_and_those_of_all_at_once() -> None:
    estimate = yearly([2018, 2019, 2020])
    frame = trend(estimate).frame
    draws = np.asarray(estimate.stratum_draws)
    band = simultaneous_band(draws, 0.9, np.full(3, 50.0))
    own = [draw_limits(draws[:, t], 0.9, "posterior", unknown=(50.0, math.inf)) for t in range(3)]
    assert frame[["low", "high"]].to_numpy().tolist() == [list(pair) for pair in own]
    assert frame["simultaneous_low"].tolist() == band.low.tolist()
    assert frame["simultaneous_high"].tolist() == band.high.tolist()
    assert (frame["simultaneous_low"] < frame["low"]).all()
    assert (frame["simultaneous_high"] > frame["high"]).all()


def test_no_years_are_added_up_and_none_is_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trend(yearly([2018, 2019])).frame["year"].tolist() == [2018, 2019]


def test_years_are_in_the_order_of_their_numbers() -> None:
    estimate = yearly([10, 9, 100])
    frame = trend(estimate).frame
    assert frame["year"].tolist() == [9, 10, 100]
    assert frame["n_hat"].tolist() == estimate.by_stratum["n_hat"].iloc[[1, 0, 2]].tolist()


def test_other_covariates_are_added_up_within_a_year() -> None:
    levels = {"year": ["2019", "2019", "2020", "2020"], "sex": ["f", "m"] * 2}
    rng = np.random.default_rng(2)
    draws = 60.0 + rng.poisson([50, 60, 70, 80], (400, 4))
    estimate = by_strata(levels, [20, 30, 40, 50], draws)
    summed = trend(estimate).frame
    assert summed["n_observed"].tolist() == [50, 90]
    assert (
        summed["n_hat"].tolist()
        == np.quantile(draws.reshape(400, 2, 2).sum(axis=2), 0.5, axis=0, method="inverted_cdf").tolist()
    )
    apart = trend(estimate, by="sex")
    assert apart.frame[["sex", "year", "n_observed"]].to_numpy().tolist() == [
        ["f", 2019, 20],
        ["f", 2020, 40],
        ["m", 2019, 30],
        ["m", 2020, 50],
    ]
    single = simultaneous_band(draws[:, [0, 2]], 0.9, np.array([20.0, 40.0]))
    assert apart.frame["simultaneous_high"].tolist()[:2] == single.high.tolist()
    assert apart.changes["sex"].tolist() == ["f", "f", "m", "m"]


def test_changes_are_computed_draw_by_draw() -> None:
    estimate = yearly([2018, 2019, 2020])
    draws = np.asarray(estimate.stratum_draws)
    changes = trend(estimate).changes
    assert changes[["kind", "from_year", "to_year"]].to_numpy().tolist() == [
        ["consecutive", 2018, 2019],
        ["consecutive", 2019, 2020],
        ["first to last", 2018, 2020],
    ]
    last, ratio = changes.iloc[2], draws[:, 2] / draws[:, 0]
    assert last["difference"] == np.quantile(draws[:, 2] - draws[:, 0], 0.5, method="inverted_cdf")
    assert (last["ratio_low"], last["ratio_high"]) == draw_limits(
        ratio, 0.9, "posterior", unknown=(0.0, math.inf)
    )
    up, tie = (draws[:, 2] > draws[:, 0]).mean(), (draws[:, 2] == draws[:, 0]).mean()
    assert last["increase_share"] == pytest.approx(up + tie / 2)


def test_what_years_share_cancels_in_a_change() -> None:
    common = np.random.default_rng(3).lognormal(0.0, 0.5, (400, 1))
    estimate = by_strata({"year": ["1", "2"]}, [1, 1], 1.0 + common * np.array([100.0, 120.0]))
    row = trend(estimate).changes.iloc[0]
    assert row["ratio_high"] - row["ratio_low"] < 0.01
    assert row["increase_share"] == 1.0


def test_bootstrap_changes_are_those_of_the_estimates() -> None:
    estimate = yearly([2018, 2019], kind="bootstrap", n_hat=[140.0, 210.0])
    row = trend(estimate).changes.iloc[0]
    assert (row["difference"], row["ratio"]) == (70.0, 1.5)
    assert "share of resamples of an increase" in trend(estimate).text()
    assert "posterior probability of an increase" in trend(yearly([2018, 2019])).text()


def test_missing_years_are_said_and_not_joined() -> None:
    found = trend(yearly([2015, 2016, 2018, 2021]))
    assert found.notes == ("no estimate for 2017, 2019, 2020; the years around are not joined",)
    assert found.changes[["from_year", "to_year"]].to_numpy().tolist() == [[2015, 2016], [2015, 2021]]


def test_groups_that_lack_a_year_are_named() -> None:
    levels = {"town": ["a", "a", "a", "b", "b"], "year": ["1", "2", "3", "1", "3"]}
    found = trend(
        by_strata(levels, [5] * 5, 50.0 + np.random.default_rng(4).poisson(50, (400, 5))), by="town"
    )
    assert found.notes == ("b: no estimate for 2; the years around are not joined",)


def test_a_year_without_a_number_has_no_change() -> None:
    estimate = yearly(
        [2018, 2019, 2020], kind="bootstrap", n_hat=[1.0e2] * 3, status=["ok", "unbounded", "ok"]
    )
    found = trend(estimate)
    assert found.frame["status"].tolist() == ["ok", "unbounded", "ok"]
    assert found.changes["status"].tolist() == ["unbounded", "unbounded", "ok"]
    assert found.changes["ratio"].isna().tolist() == [True, True, False]


def test_unbounded_and_unknown_draws_open_limits_of_changes() -> None:
    draws = 100.0 + np.random.default_rng(5).poisson(50.0, (400, 3)).astype(float)
    draws[:40, 1], draws[40:80, 2] = np.inf, np.nan
    changes = trend(
        by_strata({"year": ["1", "2", "3"]}, [50] * 3, draws, kind="bootstrap", n_hat=[150.0] * 3)
    ).changes
    first, second, whole = (changes.iloc[i] for i in range(3))
    assert math.isinf(first["difference_high"])
    assert math.isfinite(first["difference_low"])
    assert (second["difference_low"], second["ratio_low"]) == (-math.inf, 0.0)
    assert (whole["difference_low"], whole["difference_high"]) == (-math.inf, math.inf)
    assert 0.5 * 0.1 < whole["increase_share"] < 1.0


def test_limits_are_never_below_the_observed() -> None:
    draws = np.random.default_rng(6).normal(52.0, 5.0, (400, 4))
    estimate = by_strata({"year": list("1234")}, [50] * 4, draws, kind="bootstrap", n_hat=[52.0] * 4)
    frame = trend(estimate).frame
    assert (frame[["low", "simultaneous_low"]] == 50.0).all().all()


def test_bands_that_rest_on_few_draws_are_said() -> None:
    found = trend(yearly(list(range(1990, 2020)), size=100))
    assert "leave fewer than 5 draws beyond them" in found.notes[0]
    assert not trend(yearly([2018, 2019], size=2000)).notes


def test_one_year_has_no_changes() -> None:
    found = trend(yearly([2020]))
    assert found.changes.empty
    assert "2020:" in found.text()


def test_years_that_are_no_numbers_are_refused() -> None:
    estimate = by_strata({"year": ["2019/20", "2021"]}, [20, 30], np.full((400, 2), 100.0))
    with pytest.raises(SettingError, match="'2019/20', which is not a whole number"):
        trend(estimate)


def test_names_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="no covariate 'year'"):
        trend(two_by_two())
    with pytest.raises(SettingError, match="already gives the years"):
        trend(yearly([2018, 2019]), by="year")


def test_without_draws_it_is_refused() -> None:
    estimate = by_strata({"year": ["1", "2"]}, [20, 30], None, n_hat=[50.0, 60.0], kind="")
    with pytest.raises(CapabilityError, match=r"need.*bootstrap"):
        trend(estimate)


def test_a_trend_by_groups_agrees_with_the_subgroups_of_one_year() -> None:
    levels: dict[str, Any] = {"year": ["2019", "2019", "2020", "2020"], "sex": ["f", "m"] * 2}
    estimate = by_strata(levels, [20, 30, 40, 50], 60.0 + np.random.default_rng(7).poisson(50, (400, 4)))
    with pytest.warns(UserWarning, match="added up"):
        parts = subgroups(estimate, ["sex", "year"]).parts
    names = ["n_observed", "n_hat", "low", "high"]
    assert trend(estimate, by="sex").frame[names].to_numpy().tolist() == parts[names].to_numpy().tolist()


def test_what_leaves_has_marks_in_years_and_in_changes() -> None:
    draws = 100.0 + np.random.default_rng(8).poisson(50, (400, 4))
    estimate = by_strata({"year": list("1234")}, [40, 3, 30, 60], draws, public=False)
    found = trend(estimate)
    assert found.withheld.tolist() == [False, True, True, False]
    assert found.protected_frame()["simultaneous_low"].tolist()[1:3] == ["<10", "<10"]
    assert [value == "<10" for value in found.protected_changes()["ratio"]] == [True, True, True, False]
    assert not trend(by_strata({"year": list("1234")}, [40, 3, 30, 60], draws)).withheld.any()
