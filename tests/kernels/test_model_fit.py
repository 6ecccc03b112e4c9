import numpy as np
import pytest
from scipy.stats import poisson
from tests.support.plain import dense_counts, design, model_of, statsmodels_fit, terms_of

import hiddenpop as hp
from hiddenpop.kernels.poisson.lattice import fit_batch
from hiddenpop.kernels.poisson.model_fit import fit_model, saturated_constant
from hiddenpop.model import HierarchicalModel, enumerate_models


@pytest.mark.parametrize("name", ["kosovo", "rome_hiv", "australia", "uk_5", "western_us"])
def test_the_careful_fit_and_the_batch_agree(name):
    counts = dense_counts(hp.datasets.load(name))
    n_lists = len(counts).bit_length() - 1
    term_sets = np.concatenate(list(enumerate_models(n_lists)))[:: 3 if n_lists == 4 else 61]
    batch = fit_batch(counts, term_sets, n_lists)
    n, compared = counts.sum(), 0
    for m, term_set in enumerate(term_sets):
        fit = fit_model(counts, terms_of(HierarchicalModel.from_term_set(term_set, n_lists)), n_lists)
        assert fit.converged
        assert batch.deviance[m] == pytest.approx(fit.deviance, rel=1e-7, abs=1e-7)
        if fit.face.status == "ok":
            compared += 1
            assert n + batch.n0[m] == pytest.approx(n + fit.n0, rel=2e-8)
            assert batch.log_n0_variance[m] == pytest.approx(fit.log_n0_variance, rel=1e-4)
    assert compared > 20


@pytest.mark.parametrize(
    ("counts", "status", "n0"),
    [
        ([0, 30, 20, 10], "ok", 60.0),
        ([0, 0, 0, 1], "boundary", 0.0),
        ([0, 1, 0, 0], "not_identified", np.nan),
        ([0, 5, 7, 0], "unbounded", np.inf),
        ([0, 1e12, 1e12, 1.0], "ok", 1e24),
        ([0, 1.0, 1.0, 1e12], "ok", 1e-12),
    ],
)
def test_two_lists(counts, status, n0):
    fit = fit_model(np.array(counts, dtype=float), np.array([1, 2, 0]), 2)
    assert fit.face.status == status
    assert fit.n0 == pytest.approx(n0, rel=1e-9, nan_ok=True)
    assert fit.means[0] == pytest.approx(n0, rel=1e-9, nan_ok=True)
    assert np.isfinite(fit.log_n0_variance) == (status == "ok")


def test_standard_error_is_petersens_for_two_lists():
    a, b, m = 40.0, 25.0, 15.0
    fit = fit_model(np.array([0, a, b, m]), np.array([1, 2, 0]), 2)
    n1, n2 = a + m, b + m
    assert fit.n0_standard_error**2 == pytest.approx(n1 * n2 * a * b / m**3, rel=1e-6)


def test_coefficients_and_errors_are_those_of_statsmodels():
    counts = dense_counts(hp.datasets.load("kosovo"))
    terms = terms_of(model_of("[123,14,34]", 4))
    fit = fit_model(counts, terms, 4)
    reference = statsmodels_fit(design(range(1, 16), terms), counts[1:])
    assert fit.coefficients == pytest.approx(reference.params, rel=1e-8)
    assert fit.standard_errors == pytest.approx(reference.bse, rel=1e-6)
    assert fit.log_n0_variance == pytest.approx(reference.bse[-1] ** 2, rel=1e-6)


def test_terms_with_an_empty_margin_are_at_minus_infinity_and_undetermined_ones_are_nan():
    counts = np.array([0.0, 40, 30, 0, 20, 6, 4, 0])
    fit = fit_model(counts, terms_of(model_of("[12,3]", 3)), 3)
    by_term = dict(zip(terms_of(model_of("[12,3]", 3)).tolist(), fit.coefficients, strict=True))
    assert by_term[3] == -np.inf
    assert np.isfinite([by_term[t] for t in (0, 1, 2, 4)]).all()
    australia = dense_counts(hp.datasets.load("australia"))
    on_face = fit_model(australia, terms_of(model_of("[234,12]", 4)), 4)
    assert np.isnan(on_face.coefficients).sum() >= 1
    assert np.isfinite(on_face.coefficients[-1])
    assert np.isnan(on_face.coefficients).tolist() == np.isnan(on_face.standard_errors).tolist()


def test_margins_of_the_fit_are_those_of_the_data():
    counts = dense_counts(hp.datasets.load("australia"))
    terms = terms_of(model_of("[234,12]", 4))
    fit = fit_model(counts, terms, 4)
    cells = np.arange(1, 16)
    for term in terms:
        above = cells[cells & term == term]
        assert fit.means[above].sum() == pytest.approx(counts[above].sum(), rel=1e-9)
    assert not fit.means[1:][~fit.face.cells[1:]].any()


def test_the_saturated_constant_is_the_likelihood_of_a_perfect_fit():
    counts = np.array([99.0, 1, 2, 0, 350, 12_345, 6, 10**6])
    expected = -2 * poisson.logpmf(counts[1:], counts[1:]).sum()
    assert saturated_constant(counts) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("where", range(1, 8))
@pytest.mark.parametrize("count", [1.0, 1e12])
def test_all_persons_in_one_cell_give_a_status(where, count):
    counts = np.zeros(8)
    counts[where] = count
    for term_set in np.concatenate(list(enumerate_models(3))):
        fit = fit_model(counts, terms_of(HierarchicalModel.from_term_set(term_set, 3)), 3)
        assert fit.face.status in {"boundary", "not_identified"}
        assert fit.converged
        assert fit.deviance == pytest.approx(0.0, abs=1e-6)
