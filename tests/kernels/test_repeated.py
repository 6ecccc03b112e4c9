import numpy as np
import pytest

from hiddenpop.kernels.poisson.dense import fit_design, repeated_fit
from hiddenpop.kernels.poisson.heterogeneity import closed_design


def random_counts(design, rng, mean=40.0):
    coefficients = rng.normal(0.0, 0.4, design.shape[1])
    coefficients[-1] = np.log(mean)
    return rng.poisson(np.exp(design @ coefficients)).astype(float) + 1.0


@pytest.mark.parametrize("model", ["M0", "Mt", "Mth"])
@pytest.mark.parametrize("n_lists", [3, 4, 6])
def test_it_agrees_with_the_exact_route_from_either_start(model, n_lists):
    design = closed_design(
        model, [f"l{i}" for i in range(n_lists)], "chao" if model == "Mth" else None
    ).matrix
    rng = np.random.default_rng(n_lists)
    for _ in range(20):
        counts = random_counts(design, rng)
        exact = fit_design(design, counts)
        for start in (None, exact.coefficients + rng.normal(0.0, 0.3, design.shape[1])):
            fit = repeated_fit(design, counts, start)
            assert fit.converged
            assert fit.deviance == pytest.approx(exact.deviance, rel=1e-10, abs=1e-9)
            np.testing.assert_allclose(fit.coefficients, exact.coefficients, atol=1e-7)


def test_a_saturated_fit_has_no_deviance():
    design = np.array([[0.0, 0, 1], [1, 0, 1], [0, 1, 1]])
    assert repeated_fit(design, np.array([7.0, 3e7, 1.0])).deviance == pytest.approx(0.0, abs=1e-9)


def test_a_singular_design_does_not_converge():
    design = np.array([[1.0, 1, 1], [2, 2, 1], [3, 3, 1], [4, 4, 1]])
    fit = repeated_fit(design, np.array([5.0, 6, 7, 8]))
    assert not fit.converged
    assert np.isnan(fit.deviance)


@pytest.mark.parametrize("far", [-12.0, 12.0])
def test_a_start_that_is_far_away_is_left_as_it_was(far):
    design = np.array([[1.0, 0, 1], [0, 1, 1], [1, 1, 1]])
    start = np.array([0.0, 0.0, far])
    fit = repeated_fit(design, np.array([30.0, 20, 10]), start)
    assert fit.converged
    assert np.exp(fit.coefficients[2]) == pytest.approx(60.0)
    np.testing.assert_array_equal(start, [0.0, 0.0, far])


def test_a_maximum_at_infinity_does_not_converge():
    design = np.array([[1.0, 1], [0.0, 1]])
    assert not repeated_fit(design, np.array([1e7, 0.0])).converged
