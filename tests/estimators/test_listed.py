"""Models judged only as far as somebody asks, against the same models all judged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.cases import quietly
from tests.support.tables import table_of

from hiddenpop import datasets
from hiddenpop.estimators.prepare import list_counts
from hiddenpop.estimators.search import SelectionRule, exhaustive, judge, list_models
from hiddenpop.kernels.poisson.faces import face_of_model
from hiddenpop.kernels.poisson.lattice import independent_terms, ranks_of_people, superset_sums
from hiddenpop.model import enumerate_models

DISTANCE = 2.0


def both(table, rule):
    data = quietly(list_counts, table, estimator="test")
    fits, _ = exhaustive(data, rule, None)
    return data, list_models(data, rule, fits), judge(data, fits).ranked(data, rule)


def assert_same_leading(data, listed, tried, rule):
    """The leading models are those that all judged give: same order, same verdicts, none left out."""
    values, allowed = tried.criteria(data, "all")[rule.criterion], tried.eligible(data, rule)
    leading = listed.leading(DISTANCE)
    if not allowed.any():
        assert leading is None
        return
    first = int(np.argmax(allowed))
    size = int((values <= values[first] + DISTANCE).sum())
    # Models whose criterion differs by rounding alone have no order.
    one = np.lexsort((leading.term_sets, np.round(leading.criterion, 7)))
    other = np.lexsort((tried.term_sets[:size], np.round(values[:size], 7)))
    assert leading.term_sets[one].tolist() == tried.term_sets[:size][other].tolist()
    assert leading.allowed[one].tolist() == allowed[:size][other].tolist()
    assert leading.status[one].tolist() == tried.status[:size][other].tolist()
    assert np.array_equal(leading.criterion[one], values[:size][other])
    assert np.array_equal(leading.n0[one], tried.n0[:size][other])


def assert_same_by_rank(data, listed, tried, rule):
    """The winner by rank is the first of the lowest among all that may win."""
    allowed = tried.eligible(data, rule)
    values = np.where(allowed, tried.criteria(data, "rank")[rule.criterion], np.inf)
    best = [int(listed.fits.term_sets[row]) for row in listed.best_by_rank()]
    if not allowed.any():
        assert best == []
    else:
        assert best == tried.term_sets[values == values.min()].tolist()


@pytest.mark.parametrize("criterion", ["bic", "aic", "aicc"])
@pytest.mark.parametrize("admissible", ["finite", "exists"])
@pytest.mark.parametrize("name", ["korea", "artificial_3", "kosovo", "australia", "uk_4"])
def test_the_leading_models_and_the_best_by_rank_of_published_tables(name, criterion, admissible):
    rule = SelectionRule(criterion, "all", admissible)
    found = both(datasets.load(name), rule)
    assert_same_leading(*found, rule)
    assert_same_by_rank(*found, rule)


@pytest.mark.parametrize("name", ["western_us", "new_orleans_5_185"])
def test_five_sparse_lists(name):
    rule = SelectionRule("bic")
    found = both(datasets.load(name), rule)
    assert_same_leading(*found, rule)
    assert_same_by_rank(*found, rule)


SPARSE = (
    st.lists(st.sampled_from([0, 0, 0, 1, 2, 7, 40]), min_size=15, max_size=15).filter(any),
    st.sampled_from(["bic", "aic", "aicc"]),
    st.sampled_from(["finite", "exists"]),
)


def the_same_of_a_sparse_table(cells, criterion, admissible):
    rule = SelectionRule(criterion, "all", admissible)
    table = quietly(table_of, [0, *cells])
    if len(table.lists) - len(table.empty_lists) < 2:
        return
    found = both(table, rule)
    assert_same_leading(*found, rule)
    assert_same_by_rank(*found, rule)


@settings(max_examples=6, deadline=None)  # some seconds each
@given(*SPARSE)
def test_any_sparse_table_of_four_lists(cells, criterion, admissible):
    the_same_of_a_sparse_table(cells, criterion, admissible)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(*SPARSE)
def test_many_sparse_tables_of_four_lists(cells, criterion, admissible):
    the_same_of_a_sparse_table(cells, criterion, admissible)


def test_everything_is_what_all_judged_give():
    rule = SelectionRule("bic")
    _, listed, tried = both(datasets.load("australia"), rule)
    everything = listed.everything()
    for name in ("term_sets", "deviance", "n0", "rank", "status", "exists"):
        assert np.array_equal(getattr(everything, name), getattr(tried, name)), name


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0, 0, 1, 3]), min_size=15, max_size=15).filter(any))
def test_the_rank_of_the_cells_with_people_bounds_that_of_the_face(cells):
    counts = np.array([0, *cells], dtype=float)
    margins = superset_sums(counts, 4)
    models = next(enumerate_models(4))[::9]
    rank, identified = ranks_of_people(counts, margins, models)
    for row, model in enumerate(models):
        terms = np.array([*(t for t in range(1, 16) if int(model) >> t & 1), 0])
        alive = terms[(margins[terms] > 0) | (terms == 0)]
        own = independent_terms(np.flatnonzero(counts > 0), alive)
        face = face_of_model(counts, terms, 4)
        assert rank[row] == own.sum() <= face.rank
        assert identified[row] == own[-1]
        if identified[row]:
            assert face.status == "ok"
