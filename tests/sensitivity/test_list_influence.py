import json
import math
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop import Bootstrapped, CaptureTable, Coverage, LogLinear, SelectedLogLinear
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.two_lists import LincolnPetersen
from hiddenpop.result import Estimate, Interval
from hiddenpop.sensitivity.list_influence import ListInfluence
from hiddenpop.sensitivity.protocol import Check
from hiddenpop.sensitivity.regrouping import regrouped, regrouped_estimator

UK = hp.datasets.load("uk_5")
KOSOVO = hp.datasets.load("kosovo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """Says that there are as many hidden as observed, and remembers which lists it saw in the model."""

    name: ClassVar[str] = "twice"

    def fit(self, table: CaptureTable, *, rng: object = None) -> Estimate:
        n = table.n_observed
        interval = Interval(n, 3.0 * n, 0.95, "made up")
        return Estimate(
            n_hat=2.0 * n, n_observed=n, interval=interval, status="ok", estimator=spec_of(self),
            table=table.summary, details={"model": "/".join(table.lists)},
        )  # fmt: skip


def members(table: CaptureTable, *, only: str = "") -> int:
    """Count persons by the frame of cells: all, or those on one list and no other."""
    frame = table.to_frame()
    alone = frame[list(table.lists)].sum(axis=1) == frame[only] if only else pd.Series(True, frame.index)
    return int(frame.loc[alone, "count"].sum())


# --- the moves ---


def test_every_list_is_left_out_and_every_pair_merged() -> None:
    found = ListInfluence().run(Twice(), UK).table
    assert found.loc[found["move"] == "leave out", "lists"].tolist() == list(UK.lists)
    merged = [f"{a} or {b}" for a, b in combinations(UK.lists, 2)]
    assert found.loc[found["move"] == "merge", "lists"].tolist() == merged
    assert set(found["n_lists"]) == {4}


def test_leaving_a_list_out_removes_the_persons_on_it_alone() -> None:
    found = ListInfluence(moves=("leave_one_out",)).run(Twice(), UK).table.set_index("lists")
    for name in UK.lists:
        assert found.loc[name, "n_observed"] == members(UK) - members(UK, only=name)


def test_on_a_merged_list_is_who_was_on_any_part_and_nobody_leaves() -> None:
    merged = regrouped(UK, (("LA", "GO"), ("NG",), ("PFNCA",), ("GP",)))
    frame = UK.to_frame()
    assert merged.lists == ("LA or GO", "NG", "PFNCA", "GP")
    assert merged.list_totals["LA or GO"] == frame.loc[frame["LA"] + frame["GO"] > 0, "count"].sum()
    assert merged.n_observed == UK.n_observed
    found = ListInfluence(moves=("merge_pairs",)).run(Twice(), UK).table
    assert set(found["n_observed"]) == {UK.n_observed}


def test_the_numbers_are_those_of_the_estimator_on_the_smaller_table() -> None:
    found = ListInfluence().run(SelectedLogLinear(), KOSOVO)
    rows = found.table.set_index("lists")
    alone = SelectedLogLinear().fit(KOSOVO.drop_list("HRW"))
    together = SelectedLogLinear().fit(KOSOVO.merge_lists({"x": ["ABA", "OSCE"]}))
    assert (rows.loc["HRW", "n_hat"], rows.loc["HRW", "model"]) == (alone.n_hat, alone.details["model"])
    assert (rows.loc["HRW", "low"], rows.loc["HRW", "high"]) == (alone.interval.low, alone.interval.high)
    assert rows.loc["ABA or OSCE", "n_hat"] == together.n_hat
    whole = SelectedLogLinear().fit(KOSOVO).n_hat
    assert rows["change"].tolist() == pytest.approx((rows["n_hat"] / whole).tolist())


def test_combinations_are_all_sets_that_leave_two_lists() -> None:
    found = ListInfluence(combinations=True).run(Twice(), UK).table
    assert found.groupby("move").size().to_dict() == {"leave out": 5 + 10 + 10, "merge": 10 + 10 + 5}
    assert found["n_lists"].min() == 2
    assert not found["lists"].duplicated().any()
    only_larger = ListInfluence(moves=(), combinations=True).run(Twice(), UK).table
    assert only_larger.groupby("move").size().to_dict() == {"leave out": 20, "merge": 25}


@pytest.mark.parametrize(("name", "bell"), [("kosovo", 15), ("uk_5", 52), ("uk", 203)])
def test_partitions_are_all_but_one_list_and_the_table_itself(name: str, bell: int) -> None:
    table = hp.datasets.load(name)
    found = ListInfluence(moves=(), partitions=True).run(Twice(), table).table
    assert len(found) == bell - 2
    parts = [frozenset(frozenset(g.split(" or ")) for g in text.split(" | ")) for text in found["lists"]]
    assert len(set(parts)) == bell - 2
    assert all(frozenset.union(*groups) == frozenset(table.lists) for groups in parts)


def test_a_set_of_lists_that_two_moves_reach_is_one_row() -> None:
    both = ListInfluence(partitions=True).run(Twice(), KOSOVO).table
    assert both.groupby("move").size().to_dict() == {"leave out": 4, "merge": 6, "partition": 15 - 2 - 6}


def test_an_empty_list_changes_nothing() -> None:
    frame = KOSOVO.to_frame().assign(nobody=0)
    with pytest.warns(hp.errors.EmptyListWarning):
        padded = CaptureTable.from_counts(frame[[*KOSOVO.lists, "nobody", "count"]], public=True)
    one, other = (ListInfluence().run(Twice(), table, rng=1).table for table in (KOSOVO, padded))
    pd.testing.assert_frame_equal(one, other)


# --- a model that is given ---


def test_a_given_model_goes_along() -> None:
    model = LogLinear(model="EXH*ABA + ABA*HRW + OSCE")
    alone = regrouped_estimator(model, KOSOVO, (("EXH",), ("OSCE",), ("HRW",)))
    assert alone == LogLinear(model=hp.HierarchicalModel.parse("[1,2,3]", n_lists=3))
    merged = regrouped_estimator(Bootstrapped(base=model), KOSOVO, (("EXH",), ("OSCE", "ABA"), ("HRW",)))
    assert str(merged.base.model) == "[12,23]"
    assert regrouped(KOSOVO, (("EXH",), ("OSCE", "ABA"), ("HRW",))).lists == ("EXH", "OSCE or ABA", "HRW")
    assert regrouped_estimator(SelectedLogLinear(), KOSOVO, (("EXH",), ("HRW",))) == SelectedLogLinear()


def test_a_point_that_the_estimator_cannot_treat_is_a_row_and_counted() -> None:
    found = ListInfluence().run(LincolnPetersen(lists=("EXH", "OSCE")), KOSOVO)
    refused = found.table[found.table["status"] == "refused"]
    assert found.n_failed == len(refused) == 7  # EXH or OSCE left out, or merged with something
    assert found.n_points == 10
    assert refused["reason"].str.contains("has no list").all()
    assert "without EXH; without OSCE; EXH or ABA merged" in found.text


def test_lists_whose_coverage_cannot_be_merged_are_a_row_with_the_reason() -> None:
    people = pd.DataFrame(
        [[1, 0, 0, 0, "n", "u"], [1, 1, 0, 1, "n", "u"], [0, 1, 1, 0, "s", "u"], [1, 0, 1, 1, "n", "v"]],
        columns=["a", "b", "c", "d", "region", "sex"],
    )  # fmt: skip
    gaps = CaptureTable.from_indicators(
        people, lists=["a", "b", "c", "d"], strata=["region", "sex"], public=True,
        coverage=[Coverage("a", "region", ("n",)), Coverage("b", "sex", ("u",))],
    )  # fmt: skip
    found = ListInfluence().run(Twice(), gaps).table.set_index("lists")
    assert found.loc["a or b", "status"] == "refused"
    assert "cannot be said in levels of one covariate" in found.loc["a or b", "reason"]
    assert found.index.tolist()[:5] == ["a", "b", "c", "d", "a or b"]
    assert found.loc["c or d", "status"] == "ok"


# --- words and verdict ---


def test_the_list_that_carries_the_estimate_is_named_with_numbers() -> None:
    found = ListInfluence().run(SelectedLogLinear(search="exact"), UK)
    single = found.table[found.table["move"] == "leave out"]
    strongest = single.loc[single["change"].map(math.log).abs().idxmax()]
    assert (strongest["lists"], round(strongest["n_hat"])) == ("GO", 4542)
    assert "GO carries the estimate: without it N goes from 25,300 to 4,540 (0.18 times)." in found.text
    assert "fewer are observed, of the same population" in found.text
    assert found.passed is False


def test_the_claim_is_held_at_every_set_of_lists() -> None:
    holds = ListInfluence(claim="more than 4,000").run(SelectedLogLinear(search="exact"), UK)
    assert holds.passed is True
    assert "holds at 15 of them" in holds.text
    fails = ListInfluence(claim="more than 5,000").run(SelectedLogLinear(search="exact"), UK)
    assert fails.passed is False
    assert "holds at 14 of them" in fails.text


def test_sets_without_a_number_are_named_and_leave_no_verdict() -> None:
    check = ListInfluence(combinations=True, claim="more than 100")
    found = check.run(LogLinear(model="[12,3,4,5]"), UK)
    without = found.table[~found.table["n_hat"].map(math.isfinite)]
    assert found.passed is None
    assert found.n_failed == len(without) == 4
    assert "Those without one are: without NG, PFNCA, GO; without PFNCA, GO, GP; LA or" in found.text
    assert {"unbounded", "not_identified"} == set(without["status"])


def test_an_estimate_below_the_persons_seen_is_marked() -> None:
    frame = pd.DataFrame(
        [[1, 1, 0, 50], [1, 0, 0, 5], [0, 1, 0, 5], [1, 1, 1, 5], [0, 0, 1, 500]],
        columns=["a", "b", "c", "count"],
    )
    table = CaptureTable.from_counts(frame, public=True)
    found = ListInfluence(moves=("leave_one_out",)).run(LogLinear(), table)
    rows = found.table.set_index("lists")
    assert rows.loc["c", "n_hat"] < 565
    assert rows["below_observed"].to_dict() == {"a": False, "b": False, "c": True}
    assert "Below the 565 persons seen on all lists, so known to be too small: without c." in found.text


def test_a_baseline_without_a_number_is_said() -> None:
    frame = pd.DataFrame([[1, 0, 0, 5], [0, 1, 0, 6], [0, 0, 1, 7]], columns=["a", "b", "c", "count"])
    found = ListInfluence().run(LogLinear(), CaptureTable.from_counts(frame, public=True))
    assert found.passed is None
    assert "The baseline has no number (unbounded)" in found.text
    assert found.figure["baseline"]["n_hat"] is None


def test_two_lists_are_too_few() -> None:
    found = ListInfluence().run(LogLinear(), KOSOVO.drop_list("ABA", "HRW"))
    assert (found.passed, found.n_points) == (None, 0)
    assert "leaving one out or merging two needs 3" in found.text


def test_too_many_lists_for_every_grouping_are_refused() -> None:
    table = hp.datasets.load("new_orleans_185")
    with pytest.raises(
        SettingError, match="partitions=True tries every way to group 8 lists, and the most it does is 6"
    ):
        ListInfluence(partitions=True).run(Twice(), table)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"moves": ("drop",)}, "moves='drop' is not one of"),
        ({"moves": ()}, "nothing to try: name a move"),
        ({"claim": "many"}, "claim='many' cannot be read"),
    ],
)
def test_impossible_settings(settings: dict, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        ListInfluence(**settings)


# --- what every check promises ---


def test_it_is_a_check_with_plain_settings_and_figure() -> None:
    check = ListInfluence(moves="leave_one_out", claim="more than 5,000")
    assert isinstance(check, Check)
    assert check == ListInfluence(moves=("leave_one_out",), claim="more than 5,000")
    assert hash(check) == hash(ListInfluence(moves=["leave_one_out"], claim="more than 5,000"))
    found = check.run(Twice(), KOSOVO, rng=1)
    assert found.figure["claim"] == {"low": 5000.0, "high": None, "text": "more than 5,000"}
    assert {found.figure["label"], "change", "n_hat", "reason"} <= set(found.table)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_private_table_keeps_the_counts_of_its_parts() -> None:
    private = ListInfluence().run(Twice(), KOSOVO.with_meta(public=False))
    assert set(private.to_dict()["table"][0]) >= {"n_observed", "lists"}
    assert {row["n_observed"] for row in private.to_dict()["table"]} == {"<10"}


@pytest.mark.slow  # starts processes
def test_the_same_on_any_number_of_workers() -> None:
    check, estimator = (
        ListInfluence(moves=("leave_one_out",)),
        Bootstrapped(base=LogLinear(), n_boot=200, interval="percentile"),
    )
    one, two = (check.run(estimator, KOSOVO, rng=3, workers=n).table for n in (1, 2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_fixed_odds_ratios_go_along_where_both_lists_remain():
    kosovo = hp.datasets.load("kosovo")
    ratios = [("EXH", "ABA", 2.0), ("OSCE", "HRW", 3.0)]
    asked = hp.LogLinear(odds_ratios=ratios)
    found = ListInfluence().run(asked, kosovo).table.set_index("what")
    assert (found["status"] == "ok").all()
    without = hp.LogLinear(odds_ratios=ratios[1:]).fit(kosovo.drop_list("EXH"))
    assert found.loc["without EXH", "n_hat"] == pytest.approx(without.n_hat)
    merged = kosovo.merge_lists({"ABA or OSCE": ("ABA", "OSCE")})
    between = [("EXH", "ABA or OSCE", 2.0), ("ABA or OSCE", "HRW", 3.0)]
    joined = hp.LogLinear(odds_ratios=between).fit(merged)
    assert found.loc["ABA or OSCE merged", "n_hat"] == pytest.approx(joined.n_hat)


def test_a_formula_with_covariates_goes_along():
    births = hp.datasets.load("spina_bifida")
    asked = hp.CovariateLogLinear(model="S1*eth + S2 + S3*eth", interval="lognormal")
    found = ListInfluence().run(asked, births).table.set_index("what")
    assert (found["status"] == "ok").all()
    without = hp.CovariateLogLinear(model="S1*eth + S2", interval="lognormal").fit(births.drop_list("S3"))
    assert found.loc["without S3", "n_hat"] == pytest.approx(without.n_hat)
    merged = births.merge_lists({"S1 or S3": ("S1", "S3")})
    joined = hp.CovariateLogLinear(model="`S1 or S3`*eth + S2", interval="lognormal").fit(merged)
    assert found.loc["S1 or S3 merged", "n_hat"] == pytest.approx(joined.n_hat)
