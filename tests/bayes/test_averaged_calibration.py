import numpy as np
import pytest

from hiddenpop.bayes.averaged import (
    BayesianModelAveraging,
    draw_from_prior,
    log_model_prior,
    model_space,
    theta_prior,
)
from hiddenpop.errors import SettingError
from hiddenpop.kernels.bayes.marginal_likelihood import model_posterior
from hiddenpop.validation import Calibration

# Of 300, an interaction sd wrong by a factor of 4 is missed with one seed of four.
REPLICATES = 600
# Few persons and wide interactions, so that the priors matter and a fault in one of them shows.
RIGHT = BayesianModelAveraging(
    prior=("negative_binomial", 200.0, 4.0), odds_ratio=20.0, main_effect_sd=1.0, n_draws=1000
)
SPACE = model_space(3, None, "made up", "averaged")
HOLDS = SPACE.holds
PRIOR = theta_prior(RIGHT.odds_ratio, RIGHT.main_effect_sd, RIGHT.prior)
EQUAL = log_model_prior(SPACE, None)


def explore(counts, rng, prior=PRIOR, by_model=EQUAL, term_sets=SPACE.term_sets):
    found = model_posterior(counts, term_sets, 3, prior, by_model, 1000, rng)
    return found.n_missing, found.weight, found.probability


def by_expectation(counts, rng):
    """Put the dark figure at its expectation, given the parameters, in place of drawing it."""
    found = model_posterior(counts, SPACE.term_sets, 3, PRIOR, EQUAL, 1000, rng)
    unseen = np.exp(-found.draws.log_odds)
    mean = (counts[1:].sum() + PRIOR.shape) * unseen / (1.0 + PRIOR.rate * (1.0 + unseen))
    return mean, found.weight, found.probability


def without_averaging(counts, rng):
    return *explore(counts, rng, by_model=np.zeros(1), term_sets=SPACE.term_sets[:1])[:2], np.eye(8)[0]


def with_another_interaction_sd(counts, rng):
    return explore(counts, rng, PRIOR._replace(interaction_sd=PRIOR.interaction_sd / 4))


def with_another_main_sd(counts, rng):
    return explore(counts, rng, PRIOR._replace(main_sd=0.3))


def with_another_mean(counts, rng):
    return explore(counts, rng, PRIOR._replace(rate=3.0 * PRIOR.rate))


def without_normaliser_of_the_interactions(counts, rng):
    """Leave out the normal densities' ``1 / sd``, which is what makes an interaction dear."""
    return explore(counts, rng, by_model=EQUAL + SPACE.n_interactions * np.log(4.0 * PRIOR.interaction_sd))


def replicate(posterior, seed):
    """Where the true N lies in its posterior, and what is left of each interaction, true or not, less its probability.

    Both are averaged over the prior: ranks are uniform, and the rests have mean 0 and a known variance.
    """
    rng = np.random.default_rng(seed)
    ranks, rests, variances = np.empty(REPLICATES), np.zeros(3), np.zeros(3)
    for i in range(REPLICATES):
        truth = draw_from_prior(RIGHT, 3, rng=rng)
        missing, weight, probability = posterior(truth.counts, rng)
        hidden = truth.counts[0]
        equal = weight[np.abs(missing - hidden) < 0.5].sum()
        ranks[i] = weight[missing <= hidden - 0.5].sum() + rng.random() * equal
        included = probability @ HOLDS
        rests += np.array([truth.term_set >> term & 1 for term in SPACE.interactions]) - included
        variances += included * (1.0 - included)
    return Calibration(positions=ranks), rests / np.sqrt(np.maximum(variances, 1e-9))


def off_target(rests):
    """Whether an interaction is there more or less often than said, by more than chance once in a thousand."""
    return bool(np.abs(rests).max() > 3.6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_posterior_is_calibrated(seed):
    calibration, rests = replicate(explore, [2024, seed])
    assert calibration.calibrated
    assert not off_target(rests)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        by_expectation,
        without_averaging,
        with_another_interaction_sd,
        with_another_main_sd,
        with_another_mean,
    ],
)
def test_a_wrong_posterior_is_not_calibrated(wrong):
    assert not replicate(wrong, [2024, 1])[0].calibrated


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [with_another_interaction_sd, without_normaliser_of_the_interactions])
def test_a_wrong_evidence_is_seen_in_the_interactions(wrong):
    assert off_target(replicate(wrong, [2024, 1])[1])


def test_the_prior_draws_what_it_says():
    rng = np.random.default_rng(1)
    drawn = [draw_from_prior(RIGHT, 3, rng=rng) for _ in range(2000)]
    # Tables without a person are rare here, so that conditioning on one moves little.
    assert np.mean([d.size for d in drawn]) == pytest.approx(200.0, abs=10.0)
    models = np.unique([d.term_set for d in drawn], return_counts=True)[1]
    assert models.min() > 180
    held = np.array([d.theta[3] for d in drawn if d.term_set >> 3 & 1])
    assert np.quantile(np.abs(held), 0.95) == pytest.approx(np.log(20.0), rel=0.1)
    assert all(d.theta[3] == 0.0 for d in drawn if not d.term_set >> 3 & 1)
    assert np.std([d.theta[1] for d in drawn]) == pytest.approx(1.0, abs=0.06)
    assert all(d.counts.sum() == d.size for d in drawn)
    assert all(d.counts[1:].any() for d in drawn)


def test_an_improper_prior_cannot_be_drawn_from():
    with pytest.raises(SettingError, match='prior="reciprocal" is improper'):
        draw_from_prior(BayesianModelAveraging(), 3, rng=1)
