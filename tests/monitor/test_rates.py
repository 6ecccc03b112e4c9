"""Persons per so many residents."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.monitor.estimates import by_strata, two_by_two, yearly

from hiddenpop.errors import PersonYearsWarning, SettingError, TableError, UnknownNameError
from hiddenpop.monitor import rates, subgroups


def residents(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


SEXES = residents(sex=["f", "m"], residents=[10_000, 5_000])


def test_rates_are_numbers_over_residents() -> None:
    estimate = two_by_two()
    parts, found = subgroups(estimate, "sex").frame, rates(estimate, SEXES, "sex", per=1000).frame
    bottom = np.array([10.0, 5.0, 15.0])
    for rate, number in (
        ("rate", "n_hat"),
        ("low", "low"),
        ("high", "high"),
        ("observed_rate", "n_observed"),
    ):
        np.testing.assert_allclose(found[rate], parts[number] / bottom)
    assert found["residents"].tolist() == [10_000.0, 5_000.0, 15_000.0]


def test_residents_are_added_up_over_what_is_not_asked_for() -> None:
    fine = residents(
        sex=["f", "f", "m", "m"], age=["old", "young"] * 2, residents=[4_000, 6_000, 2_000, 3_000]
    )
    estimate = two_by_two()
    pd.testing.assert_frame_equal(rates(estimate, fine, "sex").frame, rates(estimate, SEXES, "sex").frame)


def test_levels_that_are_numbers_match_their_text() -> None:
    with pytest.warns(PersonYearsWarning, match="added up"):
        found = rates(yearly([2019, 2020]), residents(year=[2019, 2020], residents=[100, 200]), "year")
    assert found.frame["residents"].tolist() == [100.0, 200.0, 300.0]


def test_residents_that_are_not_divided_are_set_against_each_level() -> None:
    found = rates(two_by_two(), SEXES, ["sex", "age"], undivided="age")
    assert found.frame["residents"].tolist() == [10_000.0, 10_000.0, 5_000.0, 5_000.0, 15_000.0]
    assert "not divided by age" in found.notes[0]
    alone = rates(two_by_two(), residents(residents=[15_000]), "age", undivided="age")
    assert alone.frame["residents"].tolist() == [15_000.0] * 3


def test_rows_that_the_estimate_does_not_have_are_left_out_with_a_note() -> None:
    more = residents(sex=["f", "m", "x"], residents=[10_000, 5_000, 77])
    found = rates(two_by_two(), more, "sex")
    assert found.frame["residents"].iloc[-1] == 15_000.0
    assert "sex='x'" in found.notes[0]


def test_missing_and_zero_residents_are_named_together() -> None:
    levels = {"town": ["a", "b", "c", "d"]}
    estimate = by_strata(levels, [20, 30, 40, 50], np.full((400, 4), 100.0))
    given = residents(town=["a", "b", "d"], residents=[100, 0, 100])
    with pytest.raises(
        TableError, match=r"town='c' is missing; town='b' has 0 residents.*allow_missing=True"
    ):
        rates(estimate, given, "town")
    found = rates(estimate, given, "town", allow_missing=True)
    assert found.frame["rate"].isna().tolist() == [False, True, True, False, True]
    assert "no rate, residents: town='c' is missing" in found.notes[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (residents(sex=["f", "m"], residents=[1, -1]), "sex='m' has -1 residents"),
        (residents(sex=["f", "m"], residents=[1, math.nan]), "sex='m' has nan residents"),
        (residents(sex=["f", "m"], residents=["1", "many"]), "sex='m' has 'many' residents"),
        (residents(sex=["f", "f", "m"], residents=[1, 2, 3]), "sex='f' is given more than once"),
        (
            residents(sex=["f", "m"], colour=["x", "y"], residents=[1, 2]),
            "'colour' of residents is not a covariate",
        ),
    ],
)
def test_faulty_residents_are_refused(given: pd.DataFrame, message: str) -> None:
    with pytest.raises(TableError, match=message):
        rates(two_by_two(), given, "sex")


def test_columns_that_are_not_there_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="no column of residents 'residents'"):
        rates(two_by_two(), residents(sex=["f"], inhabitants=[3]), "sex")
    with pytest.raises(UnknownNameError, match=r"no column of residents 'age'.*undivided='age'"):
        rates(two_by_two(), SEXES, "age")
    with pytest.raises(UnknownNameError, match="no covariate in by 'age'"):
        rates(two_by_two(), SEXES, "sex", undivided="age")


@pytest.mark.parametrize("per", [0.0, -1.0, math.inf, math.nan])
def test_per_is_a_number_above_zero(per: float) -> None:
    with pytest.raises(SettingError, match="must be a number of residents above 0"):
        rates(two_by_two(), SEXES, "sex", per=per)


def test_more_persons_than_residents_are_said() -> None:
    found = rates(two_by_two(), residents(sex=["f", "m"], residents=[10, 5_000]), "sex")
    assert "1 groups would hold more persons than residents" in found.notes[0]


def test_an_unbounded_group_has_an_infinite_rate_and_its_status() -> None:
    estimate = two_by_two(status=["ok", "unbounded", "ok", "ok"], kind="bootstrap", n_hat=[100.0] * 4)
    row = rates(estimate, SEXES, "sex").frame.iloc[0]
    assert (row["rate"], row["status"]) == (math.inf, "unbounded")
    assert math.isfinite(row["low"])


def test_what_leaves_has_marks_in_all_figures_of_a_row() -> None:
    estimate = by_strata({"town": ["a", "b", "c"]}, [4, 60, 70], np.full((400, 3), 300.0), public=False)
    frame = rates(
        estimate, residents(town=["a", "b", "c"], residents=[100, 100, 100]), "town"
    ).protected_frame()
    assert frame["observed_rate"].tolist()[:2] == ["<10", "<10"]
    assert frame["rate"].tolist()[:2] == ["<10", "<10"]
    assert frame["residents"].tolist()[:2] == [100.0, 100.0]


def test_text_holds_rate_limits_and_what_was_observed() -> None:
    text = rates(two_by_two(), SEXES, "sex", per=1000).text()
    assert "persons per 1,000 residents by sex" in text
    assert "f: 25" in text
    assert "observed 5" in text


def test_the_whole_has_no_rate_when_some_of_its_persons_have_no_residents() -> None:
    given = residents(sex=["f", "m"], residents=[10_000, 0])
    found = rates(two_by_two(), given, "sex", allow_missing=True).frame
    assert found["rate"].isna().tolist() == [False, True, True]
    assert found["n_observed"].tolist() == [50, 90, 140]
