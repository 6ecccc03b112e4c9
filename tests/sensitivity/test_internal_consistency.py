import json
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop import CaptureTable, LogLinear, SelectedLogLinear
from hiddenpop.errors import SettingError, TableError, UnknownNameError
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.result import Estimate, Interval
from hiddenpop.sensitivity.internal_consistency import InternalConsistency, conditioned, consistency_summary
from hiddenpop.sensitivity.protocol import Check

UK = hp.datasets.load("uk_5")
KOSOVO = hp.datasets.load("kosovo")
LARGE = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """Multiplies the observed; the interval reaches from them to `reach` times as many."""

    name: ClassVar[str] = "factor"
    factor: float = 2.0
    reach: float = LARGE

    def fit(self, table: CaptureTable, *, rng: object = None) -> Estimate:
        n = table.n_observed
        interval = Interval(n, n * self.reach, 0.95, "made up")
        return Estimate(
            n_hat=n * self.factor, n_observed=n, interval=interval, status="ok", estimator=spec_of(self),
            table=table.summary, details={"model": "/".join(table.lists)},
        )  # fmt: skip


def test_a_list_makes_the_population_and_the_others_see_some_of_it() -> None:
    frame = UK.to_frame()
    others = ["LA", "NG", "PFNCA", "GO"]
    on_gp = frame[frame["GP"] == 1]
    seen = conditioned(UK, "GP")
    assert seen.lists == tuple(others)
    assert seen.n_observed == on_gp.loc[on_gp[others].sum(axis=1) > 0, "count"].sum() == 20
    for name in others:
        assert seen.list_totals[name] == on_gp.loc[on_gp[name] == 1, "count"].sum()


def test_the_known_size_is_that_of_the_whole_list() -> None:
    found = InternalConsistency().run(Factor(), UK).table.set_index("list")
    assert found["known"].to_dict() == {"LA": 94, "NG": 567, "PFNCA": 1169, "GO": 807, "GP": 336}
    assert found.loc["NG", "n_hat"] == 2.0 * found.loc["NG", "observed_by_others"] == 208.0
    assert found.loc["NG", "log_relative_bias"] == pytest.approx(math.log(208 / 567))
    assert found.loc["NG", "model"] == "LA/PFNCA/GO/GP"


def test_the_numbers_are_those_of_the_estimator_on_the_other_lists() -> None:
    found = InternalConsistency().run(SelectedLogLinear(), KOSOVO).table.set_index("list")
    alone = SelectedLogLinear().fit(conditioned(KOSOVO, "HRW"))
    assert (found.loc["HRW", "n_hat"], found.loc["HRW", "model"]) == (alone.n_hat, alone.details["model"])
    assert (found.loc["HRW", "low"], found.loc["HRW", "high"]) == (alone.interval.low, alone.interval.high)


def test_a_given_model_goes_along_without_the_list() -> None:
    found = (
        InternalConsistency().run(LogLinear(model="EXH*ABA*OSCE + ABA*HRW"), KOSOVO).table.set_index("list")
    )
    assert found["model"].to_dict() == {"EXH": "[12,13]", "ABA": "[12,3]", "OSCE": "[12,23]", "HRW": "[123]"}


def test_lists_that_the_others_hardly_see_are_refused_and_said() -> None:
    found = InternalConsistency(minimum=100).run(Factor(), UK)
    rows = found.table.set_index("list")
    assert rows.index[rows["status"] == "refused"].tolist() == ["LA", "GP"]
    assert rows.loc["LA", ["known", "observed_by_others", "n_observed"]].tolist() == [94, 40, 40]
    assert rows.loc["LA", "covered"] is None
    assert (found.n_points, found.n_failed) == (5, 2)
    assert "3 of 3 lists that were estimated (5 in all)" in found.text
    assert "Not estimated: LA, GP (fewer than 100 of its persons are on another list)." in found.text
    assert InternalConsistency(minimum=40).run(Factor(), UK).table["status"].tolist() == ["ok"] * 4 + [
        "refused"
    ]


@pytest.mark.parametrize(
    ("estimator", "minimum", "passed"),
    [
        (Factor(), 30, True),
        (Factor(reach=5.0), 30, False),  # 567 / 104 and more
        (Factor(), 1000, None),
        (LogLinear(), 30, True),
    ],
)
def test_the_verdict_is_whether_all_known_sizes_lie_in_their_intervals(
    estimator: object, minimum: int, passed: bool | None
) -> None:
    assert InternalConsistency(minimum=minimum).run(estimator, UK).passed is passed


def test_which_lists_were_missed_is_said() -> None:
    found = InternalConsistency().run(SelectedLogLinear(), hp.datasets.load("australia"))
    assert found.passed is False
    assert (
        "The known size lies in its interval for 1 of 2 lists that were estimated (4 in all)." in found.text
    )
    assert "Missed: C." in found.text


def test_a_list_without_a_number_leaves_no_verdict() -> None:
    found = InternalConsistency().run(LogLinear(), hp.datasets.load("netherlands_5"))
    rows = found.table.set_index("list")
    assert (rows.loc["K", "status"], rows.loc["K", "covered"]) == ("unbounded", True)
    assert math.isnan(rows.loc["K", "log_relative_bias"])
    assert found.passed is None
    assert "Without a number: K." in found.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """Says what it is told to of a population, known by its lists; of others that it has twice the observed."""

    name: ClassVar[str] = "silent"
    of: str = "GP"
    low: float = 1.0
    high: float = math.inf
    status: str = "not_identified"

    def fit(self, table: CaptureTable, *, rng: object = None) -> Estimate:
        n, told = table.n_observed, self.of not in table.lists
        status = self.status if told else "ok"
        n_hat = {"unbounded": math.inf, "boundary": n, "ok": 2.0 * n}.get(status, math.nan)
        low, high = (self.low * n, self.high * n) if told else (n, 1e3 * n)
        return Estimate(
            n_hat=n_hat, n_observed=n, interval=Interval(low, high, 0.95, "made up"), status=status,
            reason="" if status == "ok" else "a reason", estimator=spec_of(self), table=table.summary,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "low", "high", "covered"),
    [
        ("not_identified", 1.0, math.inf, None),
        ("not_converged", 1.0, math.inf, None),
        ("unbounded", 1.0, math.inf, None),
        ("ok", 1.0, math.inf, None),
        ("unbounded", 1.5, math.inf, True),  # 336 of 20 seen
        ("unbounded", 100.0, math.inf, False),
        ("ok", 1.5, math.inf, True),
        ("ok", 1.0, 100.0, True),
        ("boundary", 1.0, 1.1, False),
        ("not_identified", 1.0, 100.0, None),  # limits for which the estimator does not answer
        ("not_converged", 2.0, 100.0, None),
    ],
)
def test_only_an_interval_that_says_something_holds_or_misses(
    status: str, low: float, high: float, covered: bool | None
) -> None:
    setting = Silent(status=status, low=low, high=high)
    found = InternalConsistency(minimum=1).run(setting, UK)
    rows = found.table.set_index("list")
    assert rows.loc["GP", "covered"] is covered
    assert rows.drop("GP")["covered"].tolist() == [True] * 4
    if covered is False:
        assert found.passed is False
    else:
        assert found.passed is (True if covered and status == "ok" else None)
    told = "For 1 of the 5 lists that were estimated there is nothing to judge" in found.text
    assert told is (covered is None)
    n, inside = (4, 4) if covered is None else (5, 4 + covered)
    assert f"lies in its interval for {inside} of {n} lists that" in found.text
    assert found.figure["summary"]["n_coverage"] == n


def test_lists_of_which_nothing_is_known_are_not_counted_as_found() -> None:
    """All pairs of three lists on what a fourth sees: most fits are not identified, and hold any size whatever."""
    found = InternalConsistency().run(LogLinear(model="all-pairs"), hp.datasets.load("netherlands_5"))
    rows = found.table.set_index("list")
    silent = rows.index[rows["status"] == "not_identified"].tolist()
    assert len(silent) == 4
    assert rows.loc[silent, "covered"].tolist() == [None] * 4
    assert (rows.loc[silent, "low"] <= rows.loc[silent, "known"]).all()
    assert (rows.loc[silent, "high"] == math.inf).all()
    assert f"no size or the estimator has no answer: {', '.join(silent)}." in found.text
    assert "for 4 of" not in found.text


def test_with_nothing_to_judge_nothing_is_said_to_be_found() -> None:
    found = InternalConsistency().run(
        LogLinear(model="all-pairs"), hp.datasets.load("simdat").collapse("X1", "X2", "X3", "X4", "Y")
    )
    assert found.passed is None
    assert found.text.startswith("For 1 of the 1 lists that were estimated there is nothing to judge")
    assert "lies in its interval" not in found.text


def test_the_summary_is_that_of_the_lists_behind_it() -> None:
    frame = pd.DataFrame(
        {"log_relative_bias": [0.3, -0.1, math.nan, 0.4], "covered": [True, False, None, True]}
    )
    found = consistency_summary([frame, frame.head(1)])
    bias = np.array([0.3, -0.1, 0.4, 0.3])
    assert found["mean"] == pytest.approx(0.225)
    assert found["sd"] == pytest.approx(np.sqrt(((bias - 0.225) ** 2).sum() / 3))
    assert found["rmse"] == pytest.approx(np.sqrt((bias**2).sum() / 4))
    assert (found["median"], found["coverage"]) == (pytest.approx(0.3), 0.75)
    assert (found["n_bias"], found["n_coverage"]) == (4, 4)
    empty = consistency_summary([frame.iloc[2:3]])
    assert empty["n_bias"] == empty["n_coverage"] == 0
    assert math.isnan(empty["mean"])
    assert math.isnan(empty["coverage"])


def test_an_unbiased_truth_is_found() -> None:
    # Independent lists of a population of 4,000: the others find the size of each, well within their intervals.
    chances = np.array([0.3, 0.4, 0.5, 0.35])
    bits = np.arange(16)[:, None] >> np.arange(4) & 1
    cells = 4000 * np.prod(np.where(bits, chances, 1.0 - chances), axis=1)
    frame = pd.DataFrame(bits[1:], columns=list("abcd")).assign(count=np.round(cells[1:]).astype(int))
    found = InternalConsistency().run(LogLinear(), CaptureTable.from_counts(frame, public=True))
    assert found.passed is True
    assert found.table["known"].tolist() == pytest.approx([1200, 1600, 2000, 1400], abs=4)
    assert np.abs(found.table["log_relative_bias"]).max() < 0.005


def test_nobody_on_another_list_and_unknown_names() -> None:
    table = CaptureTable.from_memberships([["a"], ["b"], ["b", "c"], ["c"]])
    with pytest.raises(TableError, match="nobody on 'a' is on another list"):
        conditioned(table, "a")
    with pytest.raises(UnknownNameError, match="did you mean 'GP'"):
        conditioned(UK, "GPP")


def test_covariates_stay_with_their_persons() -> None:
    table = hp.datasets.load("simdat").collapse("X2", "X3", "X4", "Y")
    seen = conditioned(table, "R1")
    assert [levels for levels, _ in seen.split("X1")] == [{"X1": "1"}, {"X1": "2"}]
    apart = [conditioned(part, "R1").n_observed for _, part in table.split("X1")]
    assert [part.n_observed for _, part in seen.split("X1")] == apart


def test_two_lists_are_too_few() -> None:
    found = InternalConsistency().run(LogLinear(), KOSOVO.drop_list("ABA", "HRW"))
    assert (found.passed, found.n_points) == (None, 0)
    assert "an estimate needs two more" in found.text


def test_an_impossible_minimum() -> None:
    with pytest.raises(SettingError, match="minimum=0 must be a whole number of at least 1"):
        InternalConsistency(minimum=0)


def test_it_is_a_check_with_plain_settings_and_figure() -> None:
    check = InternalConsistency()
    assert isinstance(check, Check)
    found = check.run(LogLinear(), UK, rng=1)
    assert {found.figure["label"], found.figure["truth"]} == {"list", "known"}
    assert found.figure["baseline"] == {"n_hat": None, "low": None, "high": None}
    json.dumps(found.to_dict(), allow_nan=False)
    pd.testing.assert_frame_equal(found.table, check.run(LogLinear(), UK, rng=1, workers=1).table)


def test_a_private_table_keeps_its_counts_and_biases() -> None:
    found = InternalConsistency(minimum=1).run(Factor(), UK.with_meta(public=False))
    shown = found.to_dict()
    for column in ("known", "observed_by_others", "n_observed", "log_relative_bias"):
        assert {row[column] for row in shown["table"]} == {"<10"}
    assert "relative bias" in found.text
    assert "relative bias" not in shown["text"]
