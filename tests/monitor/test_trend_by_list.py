"""The same trend without each list."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests.monitor.estimates import Doubled

import hiddenpop as hp
from hiddenpop.errors import CapabilityError, TableError, UnknownNameError
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.monitor import trend, trend_by_list
from hiddenpop.monitor.trend_by_list import NONE_DROPPED


def table(rows: list[tuple[int, int, int, int, int]], **options: object) -> hp.CaptureTable:
    frame = pd.DataFrame(rows, columns=["a", "b", "c", "year", "count"])
    return hp.CaptureTable.from_counts(frame, strata=["year"], **options)  # type: ignore[arg-type]


GROWING_BY_A = table(
    [
        *[(1, 0, 0, year, n) for year, n in ((2018, 20), (2019, 60), (2020, 150))],
        *[(0, 1, 0, year, n) for year, n in ((2018, 60), (2019, 50), (2020, 40))],
        *[(0, 1, 1, year, n) for year, n in ((2018, 30), (2019, 30), (2020, 25))],
    ]
)


def test_a_direction_that_rests_on_one_list_is_seen() -> None:
    found = trend_by_list(Doubled(), GROWING_BY_A, rng=1)
    rows = found.directions.set_index("without")
    assert list(rows.index) == [NONE_DROPPED, "a", "b", "c"]
    assert rows["direction"].to_dict() == {NONE_DROPPED: "up", "a": "down", "b": "up", "c": "up"}
    assert rows["same_direction"].to_dict() == {NONE_DROPPED: "yes", "a": "no", "b": "yes", "c": "yes"}
    assert "without a: times 0.72" in found.text()
    assert "the direction changes" in found.text()


def test_every_fit_is_the_trend_of_its_own_table() -> None:
    found = trend_by_list(Doubled(), GROWING_BY_A, rng=1)
    own = trend(Doubled().fit(GROWING_BY_A.drop_list("b"), rng=1)).frame
    rows = found.frame[found.frame["without"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows[list(own.columns)], own)


def test_equal_seed_gives_equal_bytes_and_a_generator_is_left_as_it_was() -> None:
    rng = np.random.default_rng(3)
    first, second = (trend_by_list(Doubled(), GROWING_BY_A, rng=rng).frame for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_a_year_seen_by_one_list_only_is_a_row_without_it() -> None:
    alone = table([(1, 0, 0, 2018, 30), (1, 1, 0, 2019, 20), (0, 1, 1, 2019, 20), (0, 0, 1, 2019, 9)])
    found = trend_by_list(Doubled(), alone, rng=1)
    rows = found.frame[found.frame["without"] == "a"]
    assert rows["status"].tolist() == ["not_fitted", "ok"]
    assert rows["reason"].iloc[0] == "nobody observed without this list"
    assert rows["n_observed"].tolist() == [0, 49]
    assert found.directions.set_index("without").loc["a", "same_direction"] == "no answer"


def test_a_fit_that_cannot_be_made_is_a_row_with_its_reason() -> None:
    two = GROWING_BY_A.drop_list("c")
    found = trend_by_list(Doubled(), two, rng=1)
    rows = found.directions.set_index("without")
    assert rows["status"].to_dict() == {NONE_DROPPED: "ok", "a": "not_fitted", "b": "not_fitted"}
    assert "one list is not enough" in rows.loc["a", "reason"]
    assert found.frame["status"].tolist() == ["ok"] * 3 + ["not_fitted"] * 6
    assert len(found.trends) == 1
    assert "without a: no answer, not fitted: one list is not enough" in found.text()


def test_lists_that_start_or_stop_are_marked() -> None:
    starts = table([(1, 0, 0, 2018, 30), (0, 1, 0, 2018, 20), (1, 0, 1, 2019, 25), (0, 1, 1, 2020, 9)])
    silent = trend_by_list(Doubled(), starts, rng=1).directions.set_index("without")["silent_years"].to_dict()
    assert silent == {NONE_DROPPED: "", "a": "2020", "b": "2019", "c": "2018"}


def test_coverage_over_years_marks_a_list() -> None:
    rows = [(1, 0, 0, 2018, 30), (0, 1, 0, 2018, 20), (1, 0, 1, 2019, 25), (0, 1, 1, 2019, 9)]
    gapped = table(rows, coverage=[hp.Coverage("c", "year", ("2019",))])
    silent = trend_by_list(Doubled(), gapped, rng=1).directions.set_index("without")["silent_years"]
    assert silent.to_dict() == {NONE_DROPPED: "", "a": "", "b": "", "c": "2018"}


def test_a_model_of_the_package_can_be_asked() -> None:
    from hiddenpop.synthetic import scenario

    drawn = scenario("years-four").draw(rng=1)
    found = trend_by_list(CovariateLogLinear(n_boot=200, level=0.9), drawn, rng=1)
    assert found.directions["status"].eq("ok").all()
    assert found.directions["same_direction"].eq("yes").all()


def test_a_list_that_starts_is_found_out_by_leaving_it_out() -> None:
    """A model that takes it for equally active in all years sees a rise; the truth falls by a fifth."""
    from hiddenpop.synthetic import scenario

    started = dataclasses.replace(scenario("gap-years-four").draw(rng=1), coverage=())
    model = "(police + shelter + coordinator)*year + prosecution"
    found = trend_by_list(CovariateLogLinear(model=model, n_boot=400), started, rng=1)
    rows = found.directions.set_index("without")
    assert rows.loc[NONE_DROPPED, "ratio"] > 1.3
    assert rows.loc["prosecution", "ratio"] == pytest.approx(0.8, abs=0.08)
    assert rows.loc["prosecution", "same_direction"] == "no"
    assert rows.loc["prosecution", "silent_years"] == "2015, 2016"


def test_faults_of_the_whole_are_raised() -> None:
    with pytest.raises(UnknownNameError, match=r"no covariate 'jaar'.*there is 'year'"):
        trend_by_list(Doubled(), GROWING_BY_A, year="jaar")
    with pytest.raises(CapabilityError, match="one list is not enough"):
        trend_by_list(Doubled(), GROWING_BY_A.drop_list("b", "c"))


def test_a_list_that_is_called_like_all_of_them_is_refused() -> None:
    called = GROWING_BY_A.rename({"c": NONE_DROPPED})
    with pytest.raises(TableError, match="stands for all lists here; rename it"):
        trend_by_list(Doubled(), called, rng=1)
