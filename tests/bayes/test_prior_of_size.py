"""The prior 1/N is improper: it must be the limit of proper ones, negative binomial with a variance that grows."""

import dataclasses
import math

import numpy as np
import pytest
from tests.support.tables import table_of

from hiddenpop import (
    BayesianLogLinear,
    BayesianModelAveraging,
    DecomposableAveraging,
    LatentClass,
    ThresholdedLogLinear,
)

TABLE = table_of([0, 120, 90, 40, 70, 25, 18, 12])
# Mean and shape: variance mean + mean^2 / shape.
VAGUE = ("negative_binomial", 1e6, 1e-3)
INFORMED = ("negative_binomial", 1500.0, 40.0)

ESTIMATORS = {
    "decomposable": DecomposableAveraging(n_draws=4000),
    "bayesian_averaged": BayesianModelAveraging(),
    "thresholded": ThresholdedLogLinear(threshold=0.0, n_draws=2000),
    "bayesian_loglinear": BayesianLogLinear(),
    "latent_class": LatentClass(n_classes=4, n_temperatures=6, n_sweeps=1),
}
QUICK = ("decomposable", "bayesian_averaged", "thresholded")
EACH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ESTIMATORS]


def median_and_error(name, prior):
    estimate = dataclasses.replace(ESTIMATORS[name], prior=prior).fit(TABLE, rng=7)
    draws = np.asarray(estimate.draws)
    low, high = np.quantile(draws, [0.16, 0.84])
    effective = estimate.details.get("convergence", {}).get("ess_bulk", len(draws))
    return np.median(draws), 1.25 * (high - low) / 2 / math.sqrt(effective)


@pytest.mark.parametrize("name", EACH)
def test_reciprocal_is_the_limit_of_proper_priors(name):
    reciprocal, error = median_and_error(name, "reciprocal")
    vague, other = median_and_error(name, VAGUE)
    assert abs(vague - reciprocal) < 4 * math.hypot(error, other)


@pytest.mark.parametrize("name", EACH)
def test_a_proper_prior_that_says_something_moves_the_answer(name):
    reciprocal, error = median_and_error(name, "reciprocal")
    informed, other = median_and_error(name, INFORMED)
    assert informed - reciprocal > 8 * math.hypot(error, other)
