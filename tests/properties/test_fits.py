"""Random sparse tables of up to four lists: status by exact arithmetic, N by statsmodels on the exact face."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.support.exact import AscentCone, exact_existence
from tests.support.plain import statsmodels_dark_figure, terms_of

from hiddenpop.histories import project
from hiddenpop.kernels.poisson.faces import face_of_model, faces_of_batch
from hiddenpop.kernels.poisson.lattice import fit_batch
from hiddenpop.kernels.poisson.model_fit import fit_model, hidden_profile
from hiddenpop.kernels.poisson.profile import profile_limits
from hiddenpop.model import HierarchicalModel, enumerate_models

SPACES = {t: np.concatenate(list(enumerate_models(t))) for t in (2, 3, 4)}
sparse_count = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 7]) | st.integers(0, 5000)


def judged(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.filter_too_much],
    )


@st.composite
def cases(draw):
    n_lists = draw(st.integers(2, 4))
    counts = [0, *draw(st.lists(sparse_count, min_size=(1 << n_lists) - 1, max_size=(1 << n_lists) - 1))]
    assume(sum(counts) > 0)
    return n_lists, np.array(counts, dtype=float), draw(st.sampled_from(SPACES[n_lists].tolist()))


def check_against_exact_arithmetic(case):
    n_lists, counts, term_set = case
    terms = terms_of(HierarchicalModel.from_term_set(term_set, n_lists))
    fit = fit_model(counts, terms, n_lists)
    cone = AscentCone(counts, terms)
    assert fit.face.status == cone.status()
    assert np.flatnonzero(fit.face.cells).tolist() == cone.face()
    assert fit.converged
    batch = np.array([term_set], dtype=np.uint64)
    faces = faces_of_batch(counts, batch, n_lists)
    assert faces.status[0] == fit.face.status
    assert faces.exists[0] == fit.face.exists == exact_existence(counts, terms)
    if fit.face.status == "ok":
        n0, deviance = statsmodels_dark_figure(counts, terms)
        n = counts.sum()
        assert n + fit.n0 == pytest.approx(n + n0, rel=1e-9)
        assert n + fit_batch(counts, batch, n_lists).n0[0] == pytest.approx(n + n0, rel=1e-7)
        assert fit.deviance == pytest.approx(deviance, rel=1e-8, abs=1e-8)


@judged(200)
@given(cases())
def test_status_face_and_n_by_exact_arithmetic_and_statsmodels(case):
    check_against_exact_arithmetic(case)


@pytest.mark.slow
@judged(6000)
@given(cases())
def test_status_face_and_n_on_many_more_tables(case):
    check_against_exact_arithmetic(case)


@judged(100)
@given(cases(), st.randoms(use_true_random=False))
def test_relabelling_the_lists_changes_no_status_and_no_number(case, random):
    n_lists, counts, term_set = case
    model = HierarchicalModel.from_term_set(term_set, n_lists)
    order = random.sample(range(n_lists), n_lists)
    relabelled = np.zeros_like(counts)
    relabelled[project(np.arange(len(counts)), order)] = counts
    before = fit_model(counts, terms_of(model), n_lists)
    after = fit_model(relabelled, terms_of(model.restrict(order)), n_lists)
    assert after.face.status == before.face.status
    assert (after.face.rank, after.face.exists) == (before.face.rank, before.face.exists)
    assert counts.sum() + after.n0 == pytest.approx(counts.sum() + before.n0, rel=1e-9, nan_ok=True)
    assert after.deviance == pytest.approx(before.deviance, rel=1e-8, abs=1e-8)


@judged(100)
@given(cases(), st.data())
def test_a_larger_model_never_fits_worse(case, data):
    n_lists, counts, term_set = case
    larger = data.draw(st.sampled_from([s for s in SPACES[n_lists].tolist() if s & term_set == term_set]))
    small, large = (
        fit_model(counts, terms_of(HierarchicalModel.from_term_set(s, n_lists)), n_lists)
        for s in (term_set, larger)
    )
    assert large.deviance <= small.deviance * (1 + 1e-9) + 1e-8
    assert (small.face.cells >= large.face.cells).all()


@judged(60)
@given(cases(), st.sampled_from([0.1, 0.5, 0.95, 0.999]))
def test_the_profile_interval_holds_the_estimate_and_starts_no_lower_than_the_observed(case, level):
    n_lists, counts, term_set = case
    terms = terms_of(HierarchicalModel.from_term_set(term_set, n_lists))
    fit = fit_model(counts, terms, n_lists)
    assume(fit.face.status != "not_identified")
    n = counts.sum()
    limits = profile_limits(hidden_profile(counts, terms, n_lists, fit), level)
    assert n <= limits.low <= n + fit.n0 * (1 + 1e-9)
    assert limits.high >= n + min(fit.n0, 1e300) * (1 - 1e-9)
    assert limits.low <= limits.maximiser <= limits.high
    if fit.face.status == "boundary":
        assert limits.low == n
        assert limits.high > n + 1e-6 * n
    if fit.face.status == "unbounded":
        assert limits.high == np.inf


@judged(60)
@given(cases(), st.integers(2, 10**9))
def test_only_the_pattern_of_empty_cells_decides_the_status(case, factor):
    n_lists, counts, term_set = case
    terms = terms_of(HierarchicalModel.from_term_set(term_set, n_lists))
    assert (
        face_of_model(counts * factor, terms, n_lists).status == face_of_model(counts, terms, n_lists).status
    )
    assert face_of_model(np.sign(counts), terms, n_lists).rank == face_of_model(counts, terms, n_lists).rank
