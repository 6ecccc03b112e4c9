"""Posteriors drawn by chains hold sizes drawn from their own prior as often as they promise.

Drawing and fitting share proper priors. Tables with a list that caught nobody are drawn again: which tables are left
out follows from the table alone, and the others stay calibrated.
"""

import dataclasses
import warnings
from functools import partial

import numpy as np
import pytest
from tests.support.tables import table_of

from hiddenpop import BayesianLogLinear, LatentClass, ThresholdedLogLinear, parallel
from hiddenpop.bayes.loglinear import prior_tables
from hiddenpop.bayes.priors import size_gamma
from hiddenpop.bayes.thresholded import draw_from_prior
from hiddenpop.errors import CapabilityError, HiddenpopWarning
from hiddenpop.kernels.bayes.latent_class import draw_prior
from hiddenpop.validation import calibrate

N_REP = 100
N_LISTS = 3
# Few persons, so that the prior of the size matters and a fault in it shows.
SIZE = ("negative_binomial", 150.0, 3.0)
LARGER = ("negative_binomial", 600.0, 30.0)
WORTH = 99
"""Draws that are compared with the truth, far enough apart to be nearly independent."""


def thinned(estimate, rng):
    chosen = np.linspace(0, len(estimate.draws) - 1, WORTH).round().astype(int)
    return estimate.draws[chosen]


def posterior_of(estimator, counts, rng):
    full = table_of(counts)
    if full.empty_lists:
        raise CapabilityError("a list caught nobody")
    return thinned(estimator.fit(full, rng=rng), rng)


# --- latent classes ---------------------------------------------------------------------------------------------------

CLASSES = LatentClass(
    n_classes=3,
    prior=SIZE,
    concentration_prior=(2.0, 1.0),
    n_draws=400,
    n_tune=200,
    n_chains=2,
    n_temperatures=5,
    n_sweeps=2,
)
BY_NUTS = dataclasses.replace(CLASSES, sampler="nuts", n_draws=500, n_tune=500)


def class_replicate(rng, fitted):
    drawn = draw_prior(
        N_LISTS,
        n_classes=CLASSES.n_classes,
        size_prior=size_gamma(CLASSES.prior),
        concentration=CLASSES.concentration_prior,
        rng=rng,
    )
    return drawn.size, posterior_of(fitted, drawn.counts, rng)


# --- log-linear models ------------------------------------------------------------------------------------------------

PAIRS = BayesianLogLinear(
    prior=SIZE, main_effect_sd=1.0, odds_ratio=10.0, n_draws=300, n_tune=300, n_chains=2, target_accept=0.9
)
HORSESHOE = dataclasses.replace(PAIRS, prior_family="horseshoe", global_scale=0.3)
TEMPLATE = table_of([0, 1, 1, 1, 1, 1, 1, 1])


def pairs_replicate(rng, drawn_from, fitted):
    drawn = prior_tables(drawn_from, TEMPLATE, 1, rng=rng)
    return drawn.sizes[0], posterior_of(fitted, [0, *drawn.counts[0]], rng)


# Kept whatever their statistic: with a threshold above 0 the choice looks at the table twice.
KEPT = ThresholdedLogLinear(
    threshold=0.0, prior=SIZE, main_effect_sd=1.0, prior_variance=1.0, n_draws=300, n_tune=200, n_chains=2
)


def kept_replicate(rng, fitted):
    drawn = draw_from_prior(KEPT, N_LISTS, 1, rng=rng)
    return drawn.sizes[0], posterior_of(fitted, drawn.counts[0], rng)


# --- samplers that are wrong on purpose -------------------------------------------------------------------------------


def too_narrow(rng, replicate):
    truth, draws = replicate(rng)
    centre = np.median(draws)
    return truth, np.round(centre + 0.6 * (draws - centre))


def too_low(rng, replicate):
    truth, draws = replicate(rng)
    return truth, np.round(draws - 0.6 * draws.std())


# --- the check --------------------------------------------------------------------------------------------------------

RIGHT = {
    "classes by tempering": partial(class_replicate, fitted=CLASSES),
    "classes by NUTS": partial(class_replicate, fitted=BY_NUTS),
    "pairs, normal": partial(pairs_replicate, drawn_from=PAIRS, fitted=PAIRS),
    "pairs, horseshoe": partial(pairs_replicate, drawn_from=HORSESHOE, fitted=HORSESHOE),
    "pairs, all kept": partial(kept_replicate, fitted=KEPT),
}
WRONG = {
    "classes, larger populations": partial(
        class_replicate, fitted=dataclasses.replace(CLASSES, prior=LARGER)
    ),
    "classes, a single one": partial(class_replicate, fitted=dataclasses.replace(CLASSES, n_classes=1)),
    "pairs, larger populations": partial(
        pairs_replicate, drawn_from=PAIRS, fitted=dataclasses.replace(PAIRS, prior=LARGER)
    ),
    "pairs, independence": partial(
        pairs_replicate, drawn_from=PAIRS, fitted=dataclasses.replace(PAIRS, order=1)
    ),
    "classes, draws too narrow": partial(too_narrow, replicate=RIGHT["classes by tempering"]),
    "pairs, draws too low": partial(too_low, replicate=RIGHT["pairs, normal"]),
    "pairs kept, larger populations": partial(kept_replicate, fitted=dataclasses.replace(KEPT, prior=LARGER)),
    "pairs kept, narrow main effects": partial(
        kept_replicate, fitted=dataclasses.replace(KEPT, main_effect_sd=0.3)
    ),
}


# Tables that take a hundredth of a second each.
MORE = {"pairs, all kept": 300, "pairs kept, larger populations": 300, "pairs kept, narrow main effects": 300}


def outcome(replicate, label):
    with parallel(workers=2), warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return calibrate(replicate, n_rep=MORE.get(label, N_REP), rng=20261125, label=label)


@pytest.mark.slow
@pytest.mark.parametrize("label", RIGHT)
def test_the_posterior_is_calibrated(label):
    found = outcome(RIGHT[label], label)
    assert found.calibrated, found.histogram().to_string()


@pytest.mark.slow
@pytest.mark.parametrize("label", WRONG)
def test_a_wrong_posterior_is_not_calibrated(label):
    assert not outcome(WRONG[label], label).calibrated
