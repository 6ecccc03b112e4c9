import numpy as np
import pytest
from tests.support.plain import design, model_of, statsmodels_fit, terms_of

from hiddenpop.kernels.poisson.dense import fit_design, poisson_deviance
from hiddenpop.model import HierarchicalModel, enumerate_models


def test_coefficients_errors_and_deviance_are_those_of_statsmodels():
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 300, 16).astype(float)
    for term_set in np.concatenate(list(enumerate_models(4)))[::9]:
        X = design(range(1, 16), terms_of(HierarchicalModel.from_term_set(term_set, 4)))
        fit, reference = fit_design(X, counts[1:]), statsmodels_fit(X, counts[1:])
        assert fit.converged
        assert fit.coefficients == pytest.approx(reference.params, rel=1e-9, abs=1e-9)
        assert fit.covariance == pytest.approx(reference.cov_params(), rel=1e-6, abs=1e-12)
        assert fit.means == pytest.approx(reference.mu, rel=1e-9)
        assert fit.deviance == pytest.approx(reference.deviance, rel=1e-9, abs=1e-9)


def test_it_serves_a_design_that_is_no_lattice():
    rng = np.random.default_rng(2)
    X = np.column_stack([np.ones(200), rng.normal(size=(200, 3))])
    y = rng.poisson(np.exp(X @ [1.0, 0.5, -0.3, 0.1])).astype(float)
    fit, reference = fit_design(X, y), statsmodels_fit(X, y)
    assert fit.coefficients == pytest.approx(reference.params, rel=1e-8)
    assert fit.deviance == pytest.approx(reference.deviance, rel=1e-10)


def test_counts_from_one_to_a_million_million_in_one_table_keep_their_digits():
    # Two lists: n0 = n10 n01 / n11, exactly.
    X = design([1, 2, 3], [1, 2, 0])
    fit = fit_design(X, np.array([1e12, 3.0, 7e6]))
    assert float(np.exp(fit.coefficients[-1])) == pytest.approx(3e12 / 7e6, rel=1e-10)
    variance = 1e-12 + 1 / 3 + 1 / 7e6
    assert fit.covariance[-1, -1] == pytest.approx(variance, rel=1e-6)


def test_three_lists_with_all_pairs_have_a_closed_form():
    counts = np.array([3e11, 2e4, 17.0, 5e8, 2.0, 3e3, 9.0])
    fit = fit_design(design(range(1, 8), terms_of(model_of("all-pairs", 3))), counts)
    a, b, ab, c, ac, bc, abc = counts
    assert float(np.exp(fit.coefficients[-1])) == pytest.approx(a * b * c * abc / (ab * ac * bc), rel=1e-9)
    assert fit.deviance == pytest.approx(0.0, abs=1e-9)


def test_deviance_by_its_definition():
    y = np.array([4.0, 0.0, 9.0])
    mu = np.array([5.0, 0.25, 7.0])
    expected = 2 * (4 * np.log(4 / 5) - (4 - 5) + 0.25 + 9 * np.log(9 / 7) - (9 - 7))
    assert poisson_deviance(y, mu) == pytest.approx(expected, rel=1e-12)
    assert poisson_deviance(y, y) == 0.0


def test_a_mean_of_zero_under_a_count_of_zero_adds_nothing():
    assert poisson_deviance(np.array([3.0, 0.0]), np.array([3.0, 0.0])) == 0.0


@pytest.mark.parametrize("mean", [1e-3, 1e-8, 1e-12, 1e-15, 1e-17, 1e-200])
def test_the_deviance_keeps_its_digits_when_a_mean_is_far_below_its_count(mean):
    expected = 2 * (7 * (np.log(7.0) - np.log(mean)) - (7 - mean))
    assert poisson_deviance(np.array([7.0]), np.array([mean])) == pytest.approx(expected, rel=1e-13)
