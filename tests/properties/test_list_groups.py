"""Groups of lists with any interactions, with fixed odds ratios and xi: the fit on all cells and the one by groups."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.plain import terms_of

from hiddenpop.estimators.prepare import shifts_of
from hiddenpop.histories import project
from hiddenpop.kernels.poisson.list_groups import ListGroup, fit_groups, free_group, profile_of_groups
from hiddenpop.kernels.poisson.model_fit import fit_model, hidden_profile
from hiddenpop.kernels.poisson.profile import profile_limits
from hiddenpop.model import HierarchicalModel

NAMES = tuple("abcdefghijkl")
SUPPOSED = (0.0, 0.5, 7.0, 400.0)


def judged(examples):
    return settings(max_examples=examples, deadline=None, derandomize=True)


@st.composite
def cases(draw, least=3, most=6):
    """Draw a table, sparse or full, and a model that leaves its lists in groups, with what is assumed of them."""
    n_lists = draw(st.integers(least, most))
    groups = cut(
        draw(st.permutations(range(n_lists))), draw(st.sets(st.integers(1, n_lists - 1), min_size=1))
    )
    generators = [t for group in groups for t in draw(interactions(group))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    level = draw(st.sampled_from([0.03, 0.1, 0.3, 1.0, 5.0, 40.0]))
    on = np.bitwise_count(np.arange(1 << n_lists, dtype=np.int64))
    counts = rng.poisson(
        level * rng.gamma(0.5, 2.0, len(on)) * draw(st.sampled_from([1.0, 0.4])) ** on
    ).astype(float)
    cells = np.arange(1 << n_lists)
    if draw(st.integers(0, 3)) == 0:  # everybody is on some list of one group
        counts[cells & sum(1 << i for i in groups[0]) == 0] = 0.0
        counts[-1] += 1.0
    for i in range(n_lists):
        counts[1 << i] += not counts[cells >> i & 1 == 1].any()
    counts[0] = 0.0
    ratios = draw(st.lists(st.sampled_from([0.3, 1.0, 4.0]), max_size=2))
    pairs = [sorted(group[:2]) for group in groups if len(group) > 1]
    assumed = tuple((NAMES[i], NAMES[j], psi) for (i, j), psi in zip(pairs, ratios, strict=False))
    return (
        counts,
        HierarchicalModel(n_lists, tuple(generators)),
        groups,
        assumed,
        draw(st.sampled_from([1.0, 1.0, 2.5, 0.4])),
    )


def cut(order, places):
    edges = [0, *sorted(places), len(order)]
    return [order[a:b] for a, b in itertools.pairwise(edges)]


def interactions(group):
    """Draw interactions of a group, its lists themselves among them; often all of its pairs, or all there are."""
    single, whole = [1 << i for i in group], sum(1 << i for i in group)
    pairs = [1 << i | 1 << j for i in group for j in group if i < j]
    some = st.lists(st.sampled_from(pairs), max_size=5) if pairs else st.just([])
    triples = st.lists(st.permutations(group).map(lambda g: sum(1 << i for i in g[:3])), max_size=2)
    return st.one_of(
        some,
        st.tuples(some, triples).map(lambda both: both[0] + both[1]),
        st.just([*pairs]),
        st.just([whole]),
    ).map(lambda found: found + single)


def dense_route(counts, model, assumed, xi):
    """Fit to all cells, the pairs whose odds ratio is fixed taken out of the model."""
    cells, names = np.arange(len(counts)), NAMES[: model.n_lists]
    pairs = [1 << NAMES.index(a) | 1 << NAMES.index(b) for a, b, _ in assumed]
    terms = np.array([t for t in terms_of(model) if not any(t & pair == pair for pair in pairs)])
    offset = shifts_of(cells, names, assumed)
    offset[0] = -np.log(xi)
    fit = fit_model(counts, terms, model.n_lists, offset)
    return terms, fit, hidden_profile(counts, terms, model.n_lists, fit, offset)


def group_route(counts, terms, groups, assumed, xi):
    cells = np.flatnonzero(counts)
    found = []
    for group in groups:
        within, lists = sum(1 << i for i in group), tuple(sorted(group))
        own = tuple(int(project([t], lists)[0]) for t in terms if t and t & within == t)
        names = tuple(NAMES[i] for i in lists)
        free = len(own) == (1 << len(lists)) - 1
        shifts = shifts_of(np.arange(1 << len(lists)), names, assumed)
        found.append(free_group(lists) if free else ListGroup(lists, own, shifts))
    fit = fit_groups(cells, counts[cells], found, xi)
    return fit, profile_of_groups(cells, counts[cells], found, fit, xi)


def check_that_groups_give_the_fit_on_all_cells(case):
    counts, model, groups, assumed, xi = case
    terms, dense, dense_profile = dense_route(counts, model, assumed, xi)
    fit, profile = group_route(counts, terms, groups, assumed, xi)
    n = counts.sum()
    assert (fit.status, fit.rank, fit.converged) == (dense.face.status, dense.face.rank, True)
    assert n + fit.n0 == pytest.approx(n + dense.n0, rel=1e-9, nan_ok=True)
    assert fit.deviance == pytest.approx(
        dense.deviance, rel=1e-7, abs=1e-6 if fit.status == "unbounded" else 1e-8
    )
    assert fit.means == pytest.approx(dense.means[counts > 0], rel=1e-6)
    for n0 in SUPPOSED:
        assert profile.deviance_at(n0) == pytest.approx(dense_profile.deviance_at(n0), rel=1e-7, abs=1e-6)
    if fit.status == "ok":
        assert fit.log_n0_variance == pytest.approx(dense.log_n0_variance, rel=1e-6)
        place = [fit.terms.index(t) for t in terms]
        assert fit.coefficients[place] == pytest.approx(dense.coefficients, rel=1e-6, abs=1e-6, nan_ok=True)
        finite = np.isfinite(dense.coefficients)
        assert fit.standard_errors[place][finite] == pytest.approx(dense.standard_errors[finite], rel=1e-5)
        times = np.bitwise_count(np.arange(1, len(counts)))
        expected = np.bincount(times, weights=dense.means[1:], minlength=model.n_lists + 1)[1:]
        assert fit.by_captures == pytest.approx(expected, rel=1e-6, abs=1e-8)
    if fit.status != "not_identified":
        wanted, limits = profile_limits(dense_profile, 0.95), profile_limits(profile, 0.95)
        assert (limits.low, limits.high) == pytest.approx((wanted.low, wanted.high), rel=1e-6)


@judged(150)
@given(cases())
def test_groups_are_the_fit_on_all_cells(case):
    check_that_groups_give_the_fit_on_all_cells(case)


@pytest.mark.slow
@judged(3000)
@given(cases())
def test_groups_are_the_fit_on_all_cells_of_many_more_tables(case):
    check_that_groups_give_the_fit_on_all_cells(case)


@pytest.mark.slow
@judged(60)
@given(cases(least=7, most=12))
def test_groups_of_up_to_twelve_lists_are_the_fit_on_all_cells(case):
    check_that_groups_give_the_fit_on_all_cells(case)
