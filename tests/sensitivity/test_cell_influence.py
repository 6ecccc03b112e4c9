"""Which handful of persons turns the answer."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.sensitivity.cell_influence import CellInfluence, MovedCells, every_cell, fewest_removed
from hiddenpop.sensitivity.claims import Claim


def moved(table: hp.CaptureTable, history: str, step: int | None) -> hp.CaptureTable:
    """Build the table anew with persons added to one history, or nobody left in it."""
    on = set(history.split(" & "))
    counts = {
        frozenset(name for name in table.lists if row[name]): int(row["count"])
        for row in table.to_frame().to_dict("records")
    }
    counts[frozenset(on)] = 0 if step is None else counts.get(frozenset(on), 0) + step
    rows = [
        {**{name: int(name in cell) for name in table.lists}, "count": n} for cell, n in counts.items() if n
    ]
    return hp.CaptureTable.from_counts(pd.DataFrame(rows), lists=table.lists, public=True)


STEPS: dict[str, int | None] = {"1 fewer": -1, "1 more": 1, "nobody": None}


@pytest.mark.parametrize("name", ["korea", "western_us"])
def test_every_move_is_a_fit_to_the_table_with_that_move(name: str) -> None:
    table, estimator = hp.datasets.load(name), hp.SelectedLogLinear(max_order=2)
    base = estimator.fit(table)
    found = CellInfluence(most_removed=0).run(estimator, table, base)
    for row in found.table.iloc[:: 1 if name == "korea" else 9].to_dict("records"):
        again = moved(table, row["history"], STEPS[row["move"]])
        n_hat, model = estimator.number(again)
        assert row["n_hat"] == pytest.approx(n_hat, rel=1e-6)
        assert row["change"] == pytest.approx(n_hat - base.n_hat, rel=1e-5, abs=1e-3)
        assert (row["model"], row["n_observed"]) == (model, again.n_observed)
        assert row["other_model"] == (row["model"] != str(base.details["model"]))


def test_all_histories_get_a_person_and_only_those_with_persons_lose_one() -> None:
    table = hp.datasets.load("western_us")
    frame = CellInfluence(most_removed=0).run(hp.LogLinear(), table).table
    taken, added = frame[frame["move"] == "1 fewer"], frame[frame["move"] == "1 more"]
    assert (len(added), len(taken)) == (31, len(table))
    counts = taken.set_index("history")["count"].to_dict()
    assert sum(counts.values()) == table.n_observed
    assert set(added[added["count"] == 0]["history"]).isdisjoint(counts)


def test_cells_with_most_of_the_persons_are_not_emptied() -> None:
    table = hp.datasets.load("netherlands_5")
    frame = CellInfluence(most_removed=0).run(hp.LogLinear(), table).table
    emptied = frame[frame["move"] == "nobody"]
    small = table.counts[table.counts <= 0.1 * table.n_observed]
    assert sorted(emptied["count"]) == sorted(small.tolist())


def test_the_answer_of_uk_5_turns_on_single_persons() -> None:
    table = hp.datasets.load("uk_5")
    found = CellInfluence(empty_cells=False, claim="more than 20,000").run(hp.SelectedLogLinear(), table)
    turned = found.table[found.table["n_hat"] < 20_000]
    assert set(turned["model"]) == {"[12,13,25,35,45]"}
    assert sorted(turned["history"]) == ["LA & GO", "LA & GP", "NG & GO"]
    assert turned["n_hat"].to_numpy() == pytest.approx(12_262, rel=0.01)
    assert set(turned["move"]) == {"1 more"}
    assert found.passed is False
    assert "[12,13,25,35,45] with N about 12,200 (LA & GP: 1 more" in found.text


def test_with_two_way_models_one_person_fewer_brings_uk_5_from_22_991_to_12_262() -> None:
    found = CellInfluence(claim="more than 20,000").run(
        hp.SelectedLogLinear(max_order=2), hp.datasets.load("uk_5")
    )
    assert "1 person is enough to break the claim (1 on LA & NG & PFNCA): N is 12,259 without" in found.text


def test_the_largest_changes_come_first() -> None:
    frame = CellInfluence(most_removed=0).run(hp.LogLinear(), hp.datasets.load("korea")).table
    assert (np.diff(frame["change"].abs()) <= 0).all()


# --- how few persons carry the claim ----------------------------------------------------------------------------------


def removal_of(table: hp.CaptureTable, estimator: Any, claim: str, most: int = 5) -> Any:
    cells = MovedCells(estimator, every_cell(table), 1)
    base = estimator.fit(table)
    return fewest_removed(cells, cells.counts_of(table), base, Claim.parse(claim), most)


def test_two_persons_break_the_claim_where_no_single_one_does() -> None:
    table, estimator = hp.datasets.load("korea"), hp.SelectedLogLinear()
    removal = removal_of(table, estimator, "fewer than 226")
    assert (removal.persons, removal.exact) == (("c", "b & d"), True)
    without = moved(moved(table, "c", -1), "b & d", -1)
    assert removal.n_hat == pytest.approx(estimator.fit(without).n_hat)
    assert removal.n_hat > 226
    singles = CellInfluence(perturb=(-1,), empty_cells=False, most_removed=0).run(estimator, table).table
    assert singles["n_hat"].max() <= 226


def test_a_longer_search_finds_persons_of_whom_all_are_needed_by_the_path() -> None:
    table, estimator = hp.datasets.load("hares"), hp.LogLinear()
    removal = removal_of(table, estimator, "between 69 and 82")
    assert len(removal.persons) == 5
    assert not removal.exact
    without = table
    for history in removal.persons:
        without = moved(without, history, -1)
    assert estimator.fit(without).n_hat == pytest.approx(removal.n_hat)
    assert removal.n_hat < 69


def test_no_cell_loses_more_persons_than_it_has() -> None:
    table = hp.CaptureTable.from_counts(
        pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [20, 20, 2]}), public=True
    )
    removal = removal_of(table, hp.LogLinear(), "between 100 and 300")
    assert removal.persons == ("a & b",)
    assert removal.n_hat == pytest.approx(21 * 21)
    assert removal_of(table, hp.LogLinear(), "more than 100", most=3) is None


def test_an_estimate_without_a_number_breaks_no_claim() -> None:
    table = hp.CaptureTable.from_counts(
        pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [20, 20, 1]}), public=True
    )
    assert removal_of(table, hp.LogLinear(), "fewer than 500") is None


def test_a_claim_that_fails_already_or_is_not_searched_has_no_removal() -> None:
    table = hp.datasets.load("korea")
    assert removal_of(table, hp.LogLinear(), "more than 10,000") is None
    assert removal_of(table, hp.LogLinear(), "fewer than 226", most=0) is None
    held = CellInfluence(most_removed=2, claim="fewer than 10,000").run(hp.LogLinear(), table)
    assert "Taking away up to 2 persons was not found to break the claim" in held.text


# --- points without a number, strata, other estimators ----------------------------------------------------------------


def test_moves_without_a_number_are_rows_with_a_reason() -> None:
    table = hp.CaptureTable.from_counts(
        pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [20, 20, 1]}), public=True
    )
    found = CellInfluence(claim="more than 100").run(hp.LogLinear(), table)
    lost = found.table[found.table["status"] == "unbounded"]
    assert sorted(lost["point"]) == ["a & b: 1 fewer", "a & b: nobody"]
    assert (found.n_points, found.n_failed) == (len(found.table), 2)
    assert found.passed is None
    assert "Without a number: 1 unbounded (the dark figure is unbounded)" in found.text


def test_an_unknown_number_is_asked_of_the_estimator_itself() -> None:
    table = hp.CaptureTable.from_counts(
        pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [1, 9, 1]}), public=True
    )
    found = CellInfluence(most_removed=0).run(hp.Chapman(), table)
    known = hp.Chapman().fit(moved(table, "a & b", -1))
    row = found.table.set_index("point").loc["a & b: 1 fewer"]
    assert row["n_hat"] == pytest.approx(known.n_hat)


def test_strata_count_together_only_where_the_estimator_knows_lists_only() -> None:
    people = pd.DataFrame(
        {
            "a": [1, 0, 1] * 2,
            "b": [0, 1, 1] * 2,
            "sex": ["f"] * 3 + ["m"] * 3,
            "count": [40, 30, 12, 35, 25, 9],
        }
    )
    table = hp.CaptureTable.from_counts(people, strata=["sex"], public=True)
    with pytest.warns(hp.errors.CollapsedStrataWarning, match="added up sex"):
        lists_only = CellInfluence(most_removed=0).run(hp.LogLinear(), table).table
    assert sorted(set(lists_only["history"])) == ["a", "a & b", "b"]
    assert lists_only.set_index("point").loc["a: 1 more", "count"] == 75
    by_sex = CellInfluence(most_removed=0).run(hp.Stratified(base=hp.Chapman()), table).table
    assert "a & b (f)" in set(by_sex["history"])
    assert by_sex.set_index("point").loc["a & b (f): 1 fewer", "count"] == 12


def test_empty_lists_stay_out_and_a_bootstrap_changes_nothing() -> None:
    table = hp.datasets.load("korea")
    with pytest.warns(hp.errors.EmptyListWarning, match="caught nobody"):
        wider = hp.CaptureTable.from_counts(table.to_frame().assign(z=0), public=True)
    check = CellInfluence(most_removed=0)
    plain = check.run(hp.LogLinear(), table).table
    base = hp.LogLinear().fit(table)
    padded = check.run(hp.LogLinear(), wider, base).table
    wrapped = check.run(hp.Bootstrapped(base=hp.LogLinear(), n_boot=200), table, base).table
    pd.testing.assert_frame_equal(plain, padded)
    pd.testing.assert_frame_equal(plain, wrapped)


def test_it_does_not_apply_to_censored_counts() -> None:
    found = CellInfluence().run(hp.LogLinear(), hp.datasets.load("scottish_pwid"))
    assert (found.passed, found.n_points) == (None, 0)
    assert "a censored count is an upper bound" in found.text


@pytest.mark.parametrize("perturb", [(), (0, 1), (0.5,)])
def test_moves_that_cannot_be_are_refused(perturb: Any) -> None:
    with pytest.raises(SettingError, match="must hold whole numbers of persons other than 0"):
        CellInfluence(perturb=perturb)


def test_a_negative_number_of_persons_to_remove_is_refused() -> None:
    with pytest.raises(SettingError, match="most_removed=-1 must be 0 or more"):
        CellInfluence(most_removed=-1)


def test_nothing_that_tells_small_counts_leaves_of_private_data() -> None:
    table = hp.datasets.load("korea").with_meta(public=False)
    found = CellInfluence(claim="more than 100").run(hp.SelectedLogLinear(), table)
    left = found.to_dict()
    for row in left["table"]:
        assert {row[name] for name in ("count", "n_hat", "change", "n_observed", "model", "status")} == {
            "<10"
        }
    assert left["figure"] == {}
    # Digits of a keyed fingerprint are digits of no size.
    del left["provenance"], left["data"]["fingerprint"]
    written = json.dumps(left)
    for size in found.table["n_hat"]:
        assert f"{size:.4g}" not in written
    assert left["text"].startswith("The claim (more than 100) holds at")
    shown = found.to_dict(show_small_counts=True)
    assert shown["text"] == found.text
    assert all(not math.isnan(row["n_hat"]) for row in shown["table"])


def test_the_order_of_rows_does_not_tell_which_moves_matter() -> None:
    table = hp.datasets.load("korea").with_meta(public=False)
    frame = CellInfluence(most_removed=0).run(hp.LogLinear(), table).table
    halves = [frame[frame["move"] == move]["history"].tolist() for move in ("1 fewer", "nobody")]
    assert all(half == [name for name in halves[0] if name in half] for half in halves)
    assert not frame["change"].abs().is_monotonic_decreasing


def test_which_rows_there_are_does_not_tell_a_count_of_one() -> None:
    table = hp.datasets.load("western_us").with_meta(public=False)
    frame = CellInfluence(most_removed=0).run(hp.LogLinear(), table).table
    small = frame[(frame["count"] > 0) & (frame["count"] <= 2)]
    assert set(small.groupby("history")["move"].apply(lambda moves: tuple(sorted(moves)))) == {
        ("1 fewer", "1 more", "nobody")
    }
