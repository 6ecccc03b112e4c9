"""Faces and statuses against exact rational arithmetic (`tests.support.exact`), which uses no facial set at all."""

import numpy as np
import pytest
from tests.support.exact import AscentCone, exact_existence, exact_pivots
from tests.support.plain import dense_counts, model_of, terms_of

import hiddenpop as hp
from hiddenpop.kernels.poisson.faces import (
    direction_of_dark_figure,
    face_of_model,
    faces_of_batch,
    facial_set,
    lattice_design,
)
from hiddenpop.model import HierarchicalModel, enumerate_models

THREE = np.concatenate(list(enumerate_models(3)))


@pytest.mark.parametrize("pattern", range(1, 128))
def test_every_zero_pattern_of_three_lists_and_every_model(pattern):
    counts = np.array([0.0, *(7.0 * (pattern >> k & 1) for k in range(7))])
    batch = faces_of_batch(counts, THREE, 3)
    for m, term_set in enumerate(THREE):
        terms = terms_of(HierarchicalModel.from_term_set(term_set, 3))
        face = face_of_model(counts, terms, 3)
        cone = AscentCone(counts, terms)
        assert face.status == batch.status[m] == cone.status()
        assert np.flatnonzero(face.cells).tolist() == cone.face()
        assert face.exists == batch.exists[m] == exact_existence(counts, terms)
        assert face.rank == batch.rank[m] == sum(exact_pivots(cone.face(), face.terms))


@pytest.mark.parametrize("name", ["korea", "artificial_3", "kosovo", "rome_hiv", "australia", "uk_4"])
def test_every_model_of_the_published_tables_of_three_and_four_lists(name):
    counts = dense_counts(hp.datasets.load(name))
    n_lists = len(counts).bit_length() - 1
    term_sets = np.concatenate(list(enumerate_models(n_lists)))
    batch = faces_of_batch(counts, term_sets, n_lists)
    for m, term_set in enumerate(term_sets):
        terms = terms_of(HierarchicalModel.from_term_set(term_set, n_lists))
        assert batch.status[m] == AscentCone(counts, terms).status()
        assert batch.exists[m] == exact_existence(counts, terms)


# Judged on the models that pass the screen of ranks and on those that do not, as prototypes and references count them.
KNOWN_COUNTS = {
    "uk_5": {"exists": 6519, "face": 51, "boundary": 285, "unbounded": 2, "not_identified": 36},
    "netherlands_5": {"exists": 6568, "face": 0, "boundary": 249, "unbounded": 4, "not_identified": 72},
    "western_us": {"exists": 3375, "face": 2165, "boundary": 187, "unbounded": 873, "not_identified": 293},
    "new_orleans_5_185": {"exists": 6327, "face": 0, "boundary": 272, "unbounded": 68, "not_identified": 226},
}


@pytest.mark.parametrize("name", KNOWN_COUNTS)
def test_the_five_list_tables_split_as_known(name):
    counts = dense_counts(hp.datasets.load(name))
    batch = faces_of_batch(counts, np.concatenate(list(enumerate_models(5))), 5)
    ok = batch.status == "ok"
    found = {s: int((batch.status == s).sum()) for s in ("boundary", "unbounded", "not_identified")}
    assert {
        "exists": int(batch.exists.sum()),
        "face": int((ok & ~batch.exists).sum()),
        **found,
    } == KNOWN_COUNTS[name]
    assert not (batch.exists & ~ok).any()


def test_a_batch_is_the_same_as_one_by_one_and_in_any_order():
    counts = dense_counts(hp.datasets.load("western_us"))
    term_sets = np.concatenate(list(enumerate_models(5)))[::97]
    batch = faces_of_batch(counts, term_sets, 5)
    backwards = faces_of_batch(counts, term_sets[::-1], 5)
    for field in ("status", "rank", "exists"):
        assert getattr(backwards, field)[::-1].tolist() == getattr(batch, field).tolist()
    for m, term_set in enumerate(term_sets):
        face = face_of_model(counts, terms_of(HierarchicalModel.from_term_set(term_set, 5)), 5)
        assert (face.status, face.rank, face.exists) == (batch.status[m], batch.rank[m], batch.exists[m])


def test_the_unobserved_cell_is_never_read_as_data():
    counts = np.array([0.0, 40, 30, 6, 20, 0, 0, 0])
    supposed = counts.copy()
    supposed[0] = 1e6
    assert (
        faces_of_batch(supposed, THREE, 3).status.tolist() == faces_of_batch(counts, THREE, 3).status.tolist()
    )
    terms = terms_of(model_of("[12,3]", 3))
    assert face_of_model(supposed, terms, 3).status == face_of_model(counts, terms, 3).status == "unbounded"


def test_only_which_cells_are_empty_matters():
    rng = np.random.default_rng(6)
    term_sets = np.concatenate(list(enumerate_models(4)))
    for _ in range(4):
        occupied = rng.random(16) < 0.55
        small = np.where(occupied, 1.0, 0.0)
        large = np.where(occupied, np.floor(10 ** rng.uniform(0, 12, 16)), 0.0)
        assert (
            faces_of_batch(small, term_sets, 4).status.tolist()
            == faces_of_batch(large, term_sets, 4).status.tolist()
        )


def test_the_facial_set_is_everything_when_no_cell_is_empty():
    design = lattice_design(np.arange(1, 8), np.array([1, 2, 4, 0]))
    assert facial_set(design, np.ones(7, dtype=bool)).all()


def test_the_direction_of_two_lists_without_an_overlap_and_with_nothing_else():
    design = lattice_design(np.array([1, 2, 3]), np.array([1, 2, 0]))
    assert direction_of_dark_figure(design, np.array([True, True, False]), 2) == "unbounded"
    assert direction_of_dark_figure(design, np.array([True, False, True]), 2) == "boundary"
    assert direction_of_dark_figure(design, np.array([True, False, False]), 2) == "not_identified"


def test_the_design_holds_a_one_where_the_history_contains_the_term():
    expected = [[1, 0, 0, 1], [0, 1, 0, 1], [1, 1, 1, 1]]
    assert lattice_design(np.array([1, 2, 3]), np.array([1, 2, 3, 0])).tolist() == expected


def test_twelve_lists_are_judged():
    rng = np.random.default_rng(12)
    counts = np.zeros(1 << 12)
    pairs = [1 << i | 1 << j for i in range(12) for j in range(i)]
    counts[[1 << i for i in range(12)]] = rng.integers(50, 200, 12)
    counts[pairs] = rng.integers(1, 10, len(pairs))
    face = face_of_model(counts, terms_of(HierarchicalModel.all_pairs(12)), 12)
    assert (face.status, face.rank) == ("boundary", 78)  # a triple has mean n_ij n_ik n_jk n0 / (n_i n_j n_k)
    counts[0b111] = 2.0
    face = face_of_model(counts, terms_of(HierarchicalModel.all_pairs(12)), 12)
    assert (face.status, face.rank, face.exists) == ("ok", 79, True)
    independence = face_of_model(counts, terms_of(HierarchicalModel.independence(12)), 12)
    assert (independence.status, independence.rank) == ("ok", 13)
