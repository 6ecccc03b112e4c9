import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.exact import exact_pivots
from tests.support.plain import terms_of

from hiddenpop.kernels.poisson import lattice, plain
from hiddenpop.kernels.poisson.lattice import superset_sums
from hiddenpop.model import HierarchicalModel, enumerate_models

quick = settings(max_examples=200, deadline=None, derandomize=True)
both_routes = pytest.mark.parametrize("route", [plain, lattice], ids=["numpy", "compiled"])


@both_routes
@quick
@given(data=st.data(), n_lists=st.integers(2, 4))
def test_pivots_are_those_of_exact_elimination(route, data, n_lists):
    cells = data.draw(st.lists(st.integers(1, (1 << n_lists) - 1), max_size=14))
    terms = data.draw(st.lists(st.integers(0, (1 << n_lists) - 1), min_size=1, max_size=12))
    found = route.independent_terms(np.array(cells, dtype=np.int64), np.array(terms, dtype=np.int64))
    assert found.tolist() == exact_pivots(cells, terms)


@both_routes
def test_a_design_of_full_rank_that_is_singular_modulo_two_is_still_of_full_rank(route):
    # The triangle 12, 13, 23 on the pairs' cells alone has determinant 2.
    cells = np.array([0b011, 0b101, 0b110], dtype=np.int64)
    assert route.independent_terms(cells, np.array([1, 2, 4], dtype=np.int64)).all()


@both_routes
@pytest.mark.parametrize("n_lists", [3, 4])
def test_the_batch_agrees_with_exact_elimination_on_every_model(route, n_lists):
    term_sets = np.concatenate(list(enumerate_models(n_lists)))
    rng = np.random.default_rng(5)
    for _ in range(6):
        counts = rng.integers(0, 3, 1 << n_lists).astype(float)
        counts[0] = 0.0
        margins = superset_sums(counts, n_lists)
        ranks, identified = route.ranks_of_people(counts, margins, term_sets)
        for m, term_set in enumerate(term_sets.tolist()):
            terms = [
                t
                for t in terms_of(HierarchicalModel.from_term_set(term_set, n_lists))
                if t == 0 or margins[t] > 0
            ]
            pivots = exact_pivots(np.flatnonzero(counts), terms)
            assert (ranks[m], identified[m]) == (sum(pivots), pivots[-1])
