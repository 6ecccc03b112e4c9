"""Details of an estimate: read-only, and what is long to make is made when somebody reads it."""

import dataclasses
import json
import pickle

import pytest

import hiddenpop as hp
from hiddenpop._details import Deferred, read_only
from hiddenpop.estimators import search


def counted(calls):
    def make():
        calls.append(1)
        return {"rows": 3}

    return Deferred(make)


def test_a_deferred_value_is_made_once_and_only_when_it_is_read():
    calls = []
    details = read_only({"model": "[12,3]", "selection": counted(calls)})
    assert "selection" in details
    assert list(details) == ["model", "selection"]
    assert len(details) == 2
    assert details["model"] == "[12,3]"
    assert not calls
    assert details["selection"] is details.get("selection")
    assert details["selection"] == {"rows": 3}
    assert calls == [1]


def test_copies_and_additions_leave_it_deferred_and_share_what_is_made():
    calls = []
    first = read_only({"selection": counted(calls)})
    second, third = read_only(first), first | {"more": 1}
    assert not calls
    assert second["selection"] is third["selection"] is first["selection"]
    assert (third["more"], calls) == (1, [1])


def test_details_cannot_be_changed():
    details = read_only({"a": 1})
    with pytest.raises(TypeError, match="does not support item assignment"):
        details["a"] = 2
    given = {"a": 1}
    kept = read_only(given)
    given["a"] = 2
    assert kept["a"] == 1


def test_an_estimate_keeps_its_table_of_models_through_replace_pickle_and_json():
    estimate = hp.SelectedLogLinear(search="exhaustive").fit(hp.datasets.load("kosovo"))
    again = dataclasses.replace(estimate, n_failed=0)
    pickled = pickle.loads(pickle.dumps(estimate))
    assert again.details["selection"] is estimate.details["selection"]
    assert pickled.details["selection"].equals(estimate.details["selection"])
    rows = json.loads(json.dumps(estimate.to_dict()))["details"]["selection"]
    assert [row["model"] for row in rows] == estimate.details["selection"]["model"].tolist()


def test_a_fit_does_not_judge_models_that_cannot_win(monkeypatch):
    judged = []
    original = search.faces_of_batch

    def spied(counts, term_sets, n_lists):
        judged.append(len(term_sets))
        return original(counts, term_sets, n_lists)

    monkeypatch.setattr(search, "faces_of_batch", spied)
    estimate = hp.SelectedLogLinear(search="exhaustive").fit(hp.datasets.load("uk_5"))
    assert sum(judged) < 200
    assert len(estimate.details["selection"]) == 6_893
    assert sum(judged) > 6_893
