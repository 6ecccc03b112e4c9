"""Indicator 16.2.2 in the UN's columns."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.monitor.estimates import by_strata

from hiddenpop.errors import PersonYearsWarning, SettingError, TableError, UnknownNameError
from hiddenpop.monitor import un_indicator
from hiddenpop.monitor.un_indicator import OUR_COLUMNS, UN_COLUMNS
from hiddenpop.result import Estimate

LEVELS = {
    "year": ["2018", "2018", "2018", "2018", "2019", "2019", "2019", "2019"],
    "gender": ["woman", "woman", "man", "man"] * 2,
    "kind": ["domestic", "labour", "cross-border", "labour"] * 2,
}
MAPPING: dict[str, Any] = {
    "gender": ("Sex", {"woman": "FEMALE", "man": "MALE"}),
    "kind": ("Form", {"domestic": "SX", "cross-border": "SX", "labour": "FL"}),
}
RESIDENTS = pd.DataFrame(
    {
        "gender": ["woman", "man"] * 2,
        "year": [2018, 2018, 2019, 2019],
        "residents": [1e6, 2e6, 1.1e6, 2.1e6],
    }
)
COUNTS = [40, 30, 20, 60, 44, 33, 22, 66]


def victims(**options: Any) -> Estimate:
    draws = np.array(COUNTS) + np.random.default_rng(1).poisson(np.array(COUNTS) * 3, (400, 8))
    counts = options.pop("counts", COUNTS)
    return by_strata(LEVELS, counts, draws.astype(np.float64), **options)


def indicator(estimate: Estimate, **options: Any) -> Any:
    settings: dict[str, Any] = {"area": ("528", "Netherlands"), "year": "year", **options}
    return un_indicator(estimate, RESIDENTS, MAPPING, **settings)


def test_columns_are_those_of_the_un_and_then_ours() -> None:
    frame = indicator(victims()).frame
    assert tuple(frame.columns) == (*UN_COLUMNS, *OUR_COLUMNS)
    assert set(frame["Indicator"]) == {"16.2.2"}
    assert set(frame["GeoAreaName"]) == {"Netherlands"}


def test_every_combination_of_levels_and_totals_is_there_once_a_year() -> None:
    frame = indicator(victims()).frame
    keys = frame[["TimePeriod", "Form", "Sex", "Part", "Units"]]
    assert not keys.duplicated().any()
    assert len(frame) == 2 * 3 * 3 * 3 * 2
    assert set(frame["Age"]) == {"ALLAGE"}
    assert frame["TimePeriod"].is_monotonic_increasing


def test_detected_are_the_observed_in_the_series_of_the_un() -> None:
    frame = indicator(victims()).frame.set_index(["SeriesCode", "TimePeriod", "Sex"])["Value"].sort_index()
    assert frame["VC_HTF_DETV", "2018", "BOTHSEX"] == 150
    assert frame["VC_HTF_DETV", "2019", "FEMALE"] == 77
    assert frame["VC_HTF_DETVSX", "2018", "BOTHSEX"] == 60
    assert frame["VC_HTF_DETVFL", "2018", "MALE"] == 60
    assert frame["VC_HTF_DETVR", "2018", "BOTHSEX"] == pytest.approx(150 / 30)
    assert frame["VC_HTF_DETVSXR", "2019", "MALE"] == pytest.approx(22 / 21)


def test_undetected_are_the_total_less_the_detected_and_no_series_of_the_un() -> None:
    frame = indicator(victims()).frame
    keys = ["TimePeriod", "Form", "Sex", "Units"]
    parts = {part: rows.set_index(keys) for part, rows in frame.groupby("Part")}
    for name in ("Value", "LowerBound", "UpperBound"):
        difference = parts["total"][name] - parts["undetected"][name]
        np.testing.assert_allclose(difference, parts["detected"]["Value"])
    assert set(parts["undetected"]["SeriesCode"]) == set(parts["total"]["SeriesCode"]) == {""}
    assert parts["detected"][["LowerBound", "UpperBound", "Level"]].isna().all().all()
    assert parts["total"]["SeriesDescription"].str.contains("not a series of the UN").all()
    assert set(parts["detected"]["Nature"]) == {"C"}
    assert set(parts["total"]["Nature"]) == {"E"}


def test_total_is_the_sum_of_draws_of_its_strata() -> None:
    estimate = victims()
    frame = indicator(estimate).frame
    row = frame[
        (frame["Part"] == "total")
        & (frame["Units"] == "NUMBER")
        & (frame["Form"] == "SX")
        & (frame["Sex"] == "BOTHSEX")
        & (frame["TimePeriod"] == "2019")
    ].iloc[0]
    drawn = np.asarray(estimate.stratum_draws)[:, [4, 6]].sum(axis=1)
    assert row["Value"] == np.quantile(drawn, 0.5, method="inverted_cdf")


def test_a_part_without_a_number_has_no_value_and_its_status() -> None:
    estimate = victims(kind="bootstrap", n_hat=[200.0] * 8, status=["unbounded"] + ["ok"] * 7)
    frame = indicator(estimate).frame
    rows = frame[(frame["Form"] == "SX") & (frame["Sex"] == "FEMALE") & (frame["TimePeriod"] == "2018")]
    assert rows["Status"].tolist() == ["ok", "ok"] + ["unbounded"] * 4
    assert rows["Value"].isna().tolist() == [False, False] + [True] * 4


def test_years_are_never_added_up_unless_the_year_is_given_as_a_number() -> None:
    assert not indicator(victims()).notes
    with pytest.warns(PersonYearsWarning, match="2018 to 2019"):
        whole = indicator(victims(), year=2018)
    assert set(whole.frame["TimePeriod"]) == {"2018"}


def test_text_has_a_line_for_each_part_of_each_year() -> None:
    text = indicator(victims()).text()
    assert "2018, detected: 5\n" in text
    assert "2019, total: " in text


def test_levels_without_a_code_are_named_together() -> None:
    mapping = {"gender": ("Sex", {"woman": "FEMALE"}), "kind": ("Form", {"labour": "FL"})}
    with pytest.raises(
        UnknownNameError, match="'man' of 'gender', 'cross-border' of 'kind', 'domestic' of 'kind'"
    ):
        un_indicator(victims(), RESIDENTS, mapping, area=("528", "Netherlands"), year="year")


@pytest.mark.parametrize(
    ("mapping", "error", "message"),
    [
        ({"gender": ("sex", MAPPING["gender"][1])}, UnknownNameError, "no dimension 'sex'"),
        (
            {"kind": ("Form", dict.fromkeys(MAPPING["kind"][1], "XX"))},
            SettingError,
            "the form 'XX' of 'kind'",
        ),
        (
            {"gender": MAPPING["gender"], "kind": ("Sex", dict.fromkeys(MAPPING["kind"][1], "MALE"))},
            SettingError,
            "two covariates the same dimension",
        ),
        (
            {"gender": ("Sex", {"woman": "FEMALE", "man": "BOTHSEX"})},
            SettingError,
            "'BOTHSEX' of 'gender' is that of all levels added up",
        ),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(mapping: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        un_indicator(victims(), RESIDENTS, mapping, area=("528", "Netherlands"), year="year")


def test_residents_that_are_missing_are_named() -> None:
    with pytest.raises(TableError, match="missing or zero for 2019, BOTHSEX, ALLAGE; 2019, MALE"):
        un_indicator(victims(), RESIDENTS.iloc[:3], MAPPING, area=("528", "Netherlands"), year="year")


def test_small_groups_and_what_tells_them_are_marked() -> None:
    counts = [40, 30, 4, 60, 44, 33, 22, 66]
    shown = indicator(victims(counts=counts, public=False)).protected_frame()
    hidden = shown[shown["Value"] == "<10"]
    assert set(hidden["TimePeriod"]) == {"2018"}
    fine = hidden[(hidden["Form"] != "") & (hidden["Sex"] != "BOTHSEX")]
    assert len(fine[["Form", "Sex"]].drop_duplicates()) == 4
    assert set(hidden[hidden["Part"] == "total"]["UpperBound"]) == {"<10"}
    totals = shown[(shown["Sex"] == "BOTHSEX") & (shown["Form"] == "")]
    assert all(isinstance(value, float) and not math.isnan(value) for value in totals["Value"])


def test_nothing_of_a_public_table_is_marked() -> None:
    shown = indicator(victims(counts=[4] * 8))
    assert shown.protected_frame() is shown.frame
