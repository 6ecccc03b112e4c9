"""Existence verdicts of two R packages against ours and against exact arithmetic."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.exact import exact_existence
from tests.support.plain import dense_counts, terms_of

import hiddenpop as hp
from hiddenpop.kernels.poisson.faces import faces_of_batch
from hiddenpop.model import HierarchicalModel, enumerate_models, notations

ANSWERS = json.loads((Path(__file__).parent / "existence.json").read_text())
VERDICTS, SPARSE = ANSWERS["check_extended_MLE"], ANSWERS["SparseMSE_checkallmodels"]


def table(name):
    capture_table = hp.datasets.load(name)
    return capture_table.lists, dense_counts(capture_table)


@pytest.mark.parametrize("name", [name for name, entry in VERDICTS.items() if "verdicts" in entry])
def test_every_named_verdict(name):
    lists, counts = table(name)
    verdicts = VERDICTS[name]["verdicts"]
    models = [HierarchicalModel.parse(text, n_lists=len(lists)) for text in verdicts]
    faces = faces_of_batch(counts, np.array([m.term_set for m in models], dtype=np.uint64), len(lists))
    expected = [verdict == 0 for verdict in verdicts.values()]
    assert faces.exists.tolist() == expected
    assert [exact_existence(counts, terms_of(model)) for model in models] == expected
    unidentifiable = [verdict >= 2 for verdict in verdicts.values()]
    assert (faces.status == "not_identified").tolist() == unidentifiable


@pytest.mark.parametrize("name", [name for name, entry in VERDICTS.items() if "verdicts_failing" in entry])
def test_spaces_of_which_only_failures_are_named(name):
    lists, counts = table(name)
    term_sets = np.concatenate(list(enumerate_models(len(lists), max_order=2)))
    assert len(term_sets) == sum(VERDICTS[name]["counts"].values())
    exists = faces_of_batch(counts, term_sets, len(lists)).exists
    assert set(notations(term_sets[~exists], len(lists))) == set(VERDICTS[name]["verdicts_failing"])


@pytest.mark.parametrize("name", SPARSE)
def test_all_models_of_two_list_terms(name):
    lists, counts = table(name)
    term_sets = np.concatenate(list(enumerate_models(len(lists), max_order=2)))
    faces = faces_of_batch(counts, term_sets, len(lists))
    # SparseMSE states apart that the model of all pairs is not identifiable, and counts the others.
    failing = term_sets[~faces.exists & (faces.status != "not_identified")]
    bad = SPARSE[name]["bad_models"] or []
    mains = " + ".join(lists)
    expected = {HierarchicalModel.parse(f"{text.replace(' ', ' + ')} + {mains}", lists=lists) for text in bad}
    assert {HierarchicalModel.from_term_set(s, len(lists)) for s in failing.tolist()} == expected
    assert len(failing) == SPARSE[name]["n_bad"]
    all_pairs = HierarchicalModel.all_pairs(len(lists)).term_set
    said = "not identifiable" in " ".join(SPARSE[name]["printed"])
    assert (faces.status[term_sets == np.uint64(all_pairs)][0] == "not_identified") == said
