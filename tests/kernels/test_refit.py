"""Refits of many tables against one fit, and one linear programme, a model and table."""

import numpy as np
import pytest
from tests.support.full_search import terms_array
from tests.support.plain import dense_counts

import hiddenpop as hp
from hiddenpop.kernels.poisson.faces import face_of_model
from hiddenpop.kernels.poisson.model_fit import fit_model
from hiddenpop.kernels.search.best_models import TIE, best_among, best_of_each, penalties, same_model
from hiddenpop.kernels.search.bound import from_words
from hiddenpop.model import HierarchicalModel, enumerate_models

SIZES = {"ok": None, "boundary": 0.0, "unbounded": np.inf, "not_identified": np.nan}


def term_set_of(text, n_lists):
    return HierarchicalModel.parse(text, n_lists=n_lists).term_set


def resamples(name, size, seed):
    counts = dense_counts(hp.datasets.load(name))
    n = counts.sum()
    tables = np.random.default_rng(seed).multinomial(int(n), counts / n, size=size).astype(float)
    return tables, len(counts).bit_length() - 1


def one_by_one(counts, term_set, n_lists):
    """Dark figure of one model on one table, with the status its face has."""
    face = face_of_model(counts, terms_array(term_set), n_lists)
    if face.status == "ok":
        return fit_model(counts, terms_array(term_set), n_lists).n0
    return SIZES[face.status]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("korea", "[12,23]"),
        ("korea", "[12,13,23]"),
        ("korea", "[1,2,3]"),
        ("artificial_3", "[12,3]"),
        ("artificial_3", "[12,13,23]"),
        ("kosovo", "[123,14,34]"),
        ("australia", "[234,12]"),
        ("western_us", "[15,2,3,4]"),
    ],
)
def test_one_model_on_resamples(name, model):
    tables, n_lists = resamples(name, 60, seed=3)
    term_set = term_set_of(model, n_lists)
    found = same_model(tables, term_set, n_lists)
    assert found == pytest.approx(
        [one_by_one(table, term_set, n_lists) for table in tables], rel=1e-6, abs=1e-9, nan_ok=True
    )


def test_resamples_of_the_first_test_hold_every_status():
    found = np.concatenate(
        [
            same_model(resamples(name, 60, seed=3)[0], term_set_of(model, 3), 3)
            for name, model in [("korea", "[12,23]"), ("korea", "[12,13,23]"), ("artificial_3", "[12,13,23]")]
        ]
    )
    assert np.isfinite(found).any()
    assert np.isposinf(found).any()
    assert np.isnan(found).any()
    assert not np.isneginf(found).any()


@pytest.mark.parametrize(
    ("cells", "n_hidden"),
    [([9, 30, 20, 10], 60.0), ([0, 30, 20, 0], np.inf), ([0, 30, 0, 10], 0.0), ([0, 0, 0, 5], 0.0)],
)
def test_two_lists_in_closed_form(cells, n_hidden):
    assert same_model(np.array([cells], dtype=float), 0b111, 2)[0] == pytest.approx(n_hidden)


def test_a_list_that_catches_nobody_leaves_the_others_their_answer():
    tables = np.array([[0.0, 30, 20, 10, 0, 0, 0, 0]])
    assert same_model(tables, term_set_of("[1,2,3]", 3), 3)[0] == pytest.approx(60.0)


def slow_choice(counts, term_sets, n_lists, criterion, exists):
    """Position and dark figure of the best admissible model, the first among equals."""
    penalty = penalties(criterion, len(counts), float(counts[1:].sum()))
    best, chosen, n0 = np.inf, -1, np.nan
    for position, term_set in enumerate(term_sets):
        face = face_of_model(counts, terms_array(term_set), n_lists)
        fit = fit_model(counts, terms_array(term_set), n_lists)
        value = fit.deviance + penalty[term_set.bit_count()]
        if (face.exists if exists else face.status == "ok") and value < best - TIE:
            best, chosen, n0 = value, position, fit.n0
    return chosen, n0


@pytest.mark.parametrize("exists", [True, False], ids=["exists", "finite"])
@pytest.mark.parametrize("criterion", ["bic", "aic", "aicc"])
@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("korea", ["[12,23]", "[1,2,3]", "[13,12]", "[12,13,23]"]),
        ("artificial_3", ["[12,3]", "[12,13,23]", "[12,23]"]),
        ("kosovo", ["[123,14,34]", "[123,134]", "[12,13,14,34]", "[1,2,3,4]"]),
        ("australia", ["[12,234]", "[12,23,24]", "[123,24]"]),
    ],
)
def test_the_best_of_a_list_of_models(name, models, criterion, exists):
    tables, n_lists = resamples(name, 25, seed=8)
    term_sets = [term_set_of(model, n_lists) for model in models]
    found = best_among(tables, term_sets, n_lists, criterion=criterion, exists=exists)
    wanted = [slow_choice(table, term_sets, n_lists, criterion, exists) for table in tables]
    assert found.chosen.tolist() == [chosen for chosen, _ in wanted]
    assert found.n0 == pytest.approx([n0 for _, n0 in wanted], rel=1e-6, abs=1e-9, nan_ok=True)


def test_the_best_of_all_models_is_what_the_search_of_the_space_finds():
    tables, n_lists = resamples("kosovo", 100, seed=4)
    everything = [int(s) for block in enumerate_models(n_lists) for s in block]
    everything.sort(key=lambda s: (s.bit_count(), s))
    among = best_among(tables, everything, n_lists)
    space = best_of_each(tables, n_lists)
    assert [everything[at] for at in among.chosen] == [from_words(words) for words in space.term_sets]
    assert among.n0 == pytest.approx(space.n0, rel=1e-12)


def test_where_no_model_of_the_list_may_be_chosen_there_is_none():
    tables = np.array([[0.0, 12, 7, 0, 9, 0, 0, 0], [0.0, 12, 7, 3, 9, 2, 4, 1]])
    found = best_among(tables, [0b10111], 3)
    assert found.chosen.tolist() == [-1, 0]
    assert np.isnan(found.n0[0])
    assert found.n0[1] > 0


def test_the_first_of_equal_models_is_taken():
    symmetric = np.array([[0.0, 20, 20, 15, 20, 15, 15, 3]])
    pairs = [term_set_of(model, 3) for model in ("[12,3]", "[13,2]", "[23,1]")]
    for order in (pairs, pairs[::-1]):
        found = best_among(symmetric, order, 3)
        assert found.chosen.tolist() == [0]
        assert found.n0[0] == pytest.approx(best_among(symmetric, pairs, 3).n0[0], rel=1e-9)


def test_the_unobserved_cell_is_not_read_and_the_tables_are_left_alone():
    tables, n_lists = resamples("kosovo", 3, seed=1)
    filled = tables.copy()
    filled[:, 0] = 1e6
    before = filled.copy()
    term_set = term_set_of("[123,14,34]", 4)
    assert (
        best_among(filled, [term_set], n_lists).n0.tolist()
        == best_among(tables, [term_set], n_lists).n0.tolist()
    )
    assert same_model(filled, term_set, n_lists).tolist() == same_model(tables, term_set, n_lists).tolist()
    assert np.array_equal(filled, before)


@pytest.mark.parametrize("exists", [True, False], ids=["exists", "finite"])
@pytest.mark.parametrize(
    "cells", [[0, 20, 22, 29, 0, 2500, 120000, 2300], [0, 21, 290, 23, 0, 24, 24000, 190]]
)
def test_doubtful_models_are_settled_by_linear_programming(cells, exists):
    counts = np.array([cells], dtype=float)
    term_sets = [int(s) for block in enumerate_models(3) for s in block]
    found = best_among(counts, term_sets, 3, exists=exists)
    chosen, n0 = slow_choice(counts[0], term_sets, 3, "bic", exists)
    assert found.chosen[0] == chosen
    assert found.n0[0] == pytest.approx(n0, rel=1e-6, abs=1e-9, nan_ok=True)
