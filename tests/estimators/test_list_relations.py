import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop import CaptureTable
from hiddenpop.estimators.prepare import ListRelations, list_relations, list_remarks
from hiddenpop.estimators.registry import ESTIMATORS

QUICK: dict[str, Any] = {
    "lincoln_petersen": {"lists": ("a", "b")},
    "chapman": {"lists": ("a", "b")},
    "bayesian_loglinear": {"n_draws": 200, "n_tune": 200},
    "latent_class": {"n_draws": 200},
    "pooled": {"n_draws": 200, "n_tune": 200},
    "thresholded": {"n_draws": 200},
}


def counts_of(cells: dict[str, int], lists: str) -> np.ndarray:
    counts = np.zeros(1 << len(lists))
    for on, persons in cells.items():
        counts[sum(1 << lists.index(name) for name in on)] = persons
    return counts


def relations(counts: np.ndarray) -> ListRelations:
    return list_relations(np.arange(len(counts)), counts, 3)


def test_a_list_inside_another_and_what_it_does_to_coverage() -> None:
    cells = {"a": 300, "ab": 80, "c": 200, "ac": 40, "abc": 30}
    found = relations(counts_of(cells, "abc"))
    assert (found.inside, found.copies, found.everybody) == (((1, 0),), (), ())
    assert found.coverage == pytest.approx(np.mean([150 / 450, 110 / 110, 70 / 270]))
    assert found.coverage_without == pytest.approx(np.mean([70 / 450, 70 / 270]))
    assert (found.twice, found.twice_without) == (150, 70)


def test_a_small_list_may_lie_inside_a_large_one_by_chance() -> None:
    assert relations(counts_of({"a": 900, "ab": 3, "c": 60, "ac": 30}, "abc")).inside == ()


def test_two_copies_are_copies_and_not_inside_each_other() -> None:
    found = relations(counts_of({"ab": 260, "c": 300, "abc": 40}, "abc"))
    assert (found.inside, found.copies) == ((), ((0, 1),))


def test_nearly_counts_only_where_the_exceptions_are_many() -> None:
    nearly = {"ab": 190, "b": 10, "a": 400, "c": 500, "ac": 20}
    assert relations(counts_of(nearly, "abc")).inside == ((1, 0),)
    tenth = {on: persons // 10 for on, persons in nearly.items()}
    assert relations(counts_of(tenth, "abc")).inside == ()


def test_a_list_of_nearly_everybody() -> None:
    found = relations(counts_of({"a": 900, "ab": 40, "b": 30, "c": 20, "ac": 10}, "abc"))
    assert found.everybody == (0,)


def _told_without_a_number(estimate: hp.Estimate) -> None:
    remarks = [d for d in estimate.to_dict()["diagnostics"] if d["name"] == "list_inside_another"]
    assert len(remarks) == 1, estimate.estimator.name
    assert remarks[0]["value"] is None
    assert not any(character.isdigit() for character in remarks[0]["message"])


CELLS = {"a": 300, "ab": 80, "c": 200, "ac": 4, "abc": 30}
ROWS = [{**{name: int(name in on) for name in "abc"}, "count": n} for on, n in CELLS.items()]
TABLE = CaptureTable.from_counts(pd.DataFrame(ROWS))
BY_SEX = CaptureTable.from_counts(
    pd.DataFrame([{**row, "sex": sex} for row in ROWS for sex in "FM"]), strata=["sex"]
)
SAMPLED = {name for name, target in ESTIMATORS.items() if target.startswith("hiddenpop.bayes.")}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SAMPLED else []) for name in ESTIMATORS]
)
@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
def test_every_estimator_tells_it_and_no_number_leaves(name: str) -> None:
    for given in (TABLE, BY_SEX):
        _told_without_a_number(hp.estimate(given, name, rng=1, **QUICK.get(name, {})))


def test_a_description_tells_it_and_no_number_leaves() -> None:
    notes = json.dumps(hp.describe(TABLE).to_dict()["notes"])
    assert "lies inside" in notes
    assert "hundredths, not [number withheld]" in notes


def test_nothing_is_said_of_ordinary_lists() -> None:
    table = hp.datasets.load("kosovo")
    assert list_remarks(table.histories, table.counts.astype(float), table.lists) == ()
