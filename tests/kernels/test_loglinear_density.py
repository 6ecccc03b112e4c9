import math

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import nbinom

from hiddenpop.kernels.bayes import loglinear_density
from hiddenpop.kernels.bayes.loglinear_density import (
    LogLinearTask,
    log_density,
    posterior_mode,
    predictors,
    whitened,
)

COUNTS = np.array([0, 30, 22, 9, 15, 6, 4, 3], dtype=float)
TERMS = np.array([1, 2, 4, 3, 5, 6])
PRECISION = np.array([0.1, 0.1, 0.1, 1.0, 2.0, 0.5])
LIVE = np.arange(8) > 0
PRIORS = [(0.0, 0.0), (2.5, 0.01)]


def task(shape=0.0, rate=0.0, counts=COUNTS, live=LIVE):
    return LogLinearTask(
        counts=np.asarray(counts, dtype=float),
        terms=TERMS,
        live=live,
        precision=PRECISION,
        shape=shape,
        rate=rate,
    )


def design():
    cells = np.arange(8)
    return (cells[:, None] & TERMS == TERMS).astype(float)


def log_likelihood_by_sum_over_sizes(theta, shape, rate):
    """Sum the multinomial likelihood over N, term by term."""
    eta = design() @ theta
    shares = np.exp(eta - logsumexp(eta))
    n = COUNTS[1:].sum()
    hidden = np.arange(0.0, 4000.0)
    sizes = n + hidden
    log_prior = -np.log(sizes) if shape == 0.0 else nbinom(shape, rate / (1.0 + rate)).logpmf(sizes)
    terms = log_prior + gammaln(sizes + 1) - gammaln(hidden + 1) + hidden * math.log(shares[0])
    return logsumexp(terms) + COUNTS[1:] @ np.log(shares[1:])


def value(data, z):
    return sum(log_density(data, z, np.empty_like(z), np.empty_like(z)))


@pytest.mark.parametrize(("shape", "rate"), PRIORS)
def test_density_is_the_likelihood_summed_over_the_size(shape, rate):
    data, mode = whitened(task(shape, rate))
    for seed in range(4):
        z = np.random.default_rng(seed).normal(0.0, 0.6, 6)
        theta = mode.theta + mode.root @ z
        expected = log_likelihood_by_sum_over_sizes(theta, shape, rate)
        expected -= log_likelihood_by_sum_over_sizes(mode.theta, shape, rate)
        prior = -0.5 * PRECISION @ (theta**2 - mode.theta**2)
        log_prior, log_likelihood = log_density(data, z, np.empty(6), np.empty(6))
        assert log_likelihood == pytest.approx(expected, abs=1e-7)
        assert log_prior == pytest.approx(prior, abs=1e-10)


@pytest.mark.parametrize(("shape", "rate"), PRIORS)
@pytest.mark.parametrize("scale", [0.02, 0.5, 8.0])
def test_gradients_are_those_of_the_value(shape, rate, scale):
    data, _ = whitened(task(shape, rate))
    z = np.random.default_rng(3).normal(0.0, scale, 6)
    gradient, by_likelihood = np.empty(6), np.empty(6)
    log_density(data, z, gradient, by_likelihood)
    steps = 1e-6 * np.eye(6)
    numeric = [(value(data, z + step) - value(data, z - step)) / 2e-6 for step in steps]
    assert gradient + by_likelihood == pytest.approx(np.array(numeric), rel=1e-5, abs=1e-5)


def test_near_and_far_sums_agree(monkeypatch):
    data, _ = whitened(task(2.5, 0.01))
    z = np.random.default_rng(3).normal(0.0, 0.2, 6)
    near = value(data, z)
    monkeypatch.setattr(loglinear_density, "NEAR", 0.0)
    plain = loglinear_density._excess.py_func
    eta = predictors(np.full(6, 0.05), TERMS, 3)
    change, other = np.zeros(8), np.zeros(8)
    far = plain(data.sized, eta, 1.0, change)
    monkeypatch.undo()
    assert far == pytest.approx(plain(data.sized, eta, 1.0, other), rel=1e-9)
    assert change == pytest.approx(other, rel=1e-9)
    assert math.isfinite(near)


@pytest.mark.parametrize(("shape", "rate"), PRIORS)
def test_mode_has_no_slope_and_unit_curvature(shape, rate):
    data, _ = whitened(task(shape, rate))
    prior_gradient, gradient = np.empty(6), np.empty(6)
    log_density(data, np.zeros(6), prior_gradient, gradient)
    assert np.abs(prior_gradient + gradient).max() < 1e-4
    step = 1e-3
    curvature = [
        (value(data, step * e) + value(data, -step * e) - 2 * value(data, 0 * e)) / step**2 for e in np.eye(6)
    ]
    assert curvature == pytest.approx([-1.0] * 6, abs=1e-3)


def test_counts_of_millions_of_millions_keep_their_digits():
    counts = np.array([0, *[10**12] * 7], dtype=float)
    data, _ = whitened(task(counts=counts))
    z = np.full(6, 0.3)
    assert value(data, z) == pytest.approx(-0.5 * z @ z, rel=1e-4)
    assert value(data, z) + value(data, -z) == pytest.approx(-(z @ z), rel=1e-6)


def test_cells_that_are_ruled_out_have_no_weight():
    live = LIVE & (np.arange(8) & 3 != 3)
    counts = COUNTS * live
    data, mode = whitened(task(counts=counts, live=live))
    assert data.sized[3] == data.sized[7] == 0.0
    moved = mode.theta.copy()
    free = posterior_mode(task(counts=counts, live=live))
    assert moved == pytest.approx(free.theta)
    assert free.theta[3] == pytest.approx(0.0, abs=1e-6)


def test_likelihood_falls_without_end_where_it_should():
    data, _ = whitened(task())
    for direction in np.eye(6):
        far = [value(data, size * direction) for size in (10.0, 100.0, 1000.0)]
        assert far[0] > far[1] > far[2]
        assert math.isfinite(far[2])
