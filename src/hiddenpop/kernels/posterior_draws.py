"""Weighted draws from the joint posterior of model, parameters and dark figure, over a space of log-linear models.

Laplace's evidence says where the posterior is. Draws from split t laws at the modes then replace it: their importance
weights give the evidence of each model that matters, and together they are the posterior. Models too light for draws of
their own are represented by some of them, picked by their Laplace weight, so that nothing is cut off.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, softmax

from hiddenpop._typing import Floats, Ints
from hiddenpop.kernels.importance import ThetaDraws, draw_parameters
from hiddenpop.kernels.marginal_likelihood import Evidence, ThetaPrior, laplace_evidence
from hiddenpop.kernels.poisson_draws import draw_poisson

__all__ = [
    "MOST_PROBABLE",
    "ModelPosterior",
    "draw_missing",
    "effective_draws",
    "model_posterior",
    "reweighted",
    "systematic_rows",
    "weighted_quantiles",
]


OUTSIDE = 1e-3
"""Posterior weight of the models that get no draws of their own."""

MOST_MODELS = 8_000
"""More models than this get no draws of their own, whatever they weigh."""

OWN_DRAWS = 100
"""Draws of a light model: its evidence is then known to about 10 %, and so small a share moves nothing."""

MOST_PROBABLE, THEIR_DRAWS = 100, 1_000
"""The most probable models are looked at one by one, for which they need draws enough, however many share the weight.
"""

SHARED_DRAWS = 1_000
PROPOSALS_PER_DRAW = 2
"""So many weighted draws for each one that is asked for: their weights cost about half."""

LARGEST_LOG, LARGEST_SIZE = 690.0, 1e300
CERTAIN = 4.0
"""So many standard errors away, the edge of an atom of probability decides nothing."""


@dataclass(frozen=True, slots=True)
class ModelPosterior:
    """Joint posterior by weighted draws; m models, of which e were explored, and d draws.

    Attributes
    ----------
    laplace : Evidence
        Of every model.
    probability : ndarray, shape (m,)
        Posterior probability of each model.
    log_evidence : ndarray, shape (m,)
        By importance sampling where a model has draws of its own, else Laplace's.
    error : ndarray, shape (m,)
        Standard error of `log_evidence`; nan for Laplace's.
    explored : ndarray of int, shape (e,)
        Positions of the models that were drawn from.
    draws : ThetaDraws
        Its `model` counts in `explored`.
    weight : ndarray, shape (d,)
        Posterior weight of each draw; they add up to 1.
    n_missing : ndarray, shape (d,)
        Dark figure of each draw.
    """

    laplace: Evidence
    probability: Floats
    log_evidence: Floats
    error: Floats
    explored: Ints
    draws: ThetaDraws
    weight: Floats
    n_missing: Floats

    @property
    def model(self) -> Ints:
        """Position of the model of each draw among all."""
        return self.explored[self.draws.model]

    @property
    def correction(self) -> Floats:
        """What Laplace's log evidence lacks, nan where there is nothing to compare it with."""
        return np.where(np.isnan(self.error), np.nan, self.log_evidence - self.laplace.log_evidence)


def model_posterior(
    counts: Floats,
    term_sets: npt.NDArray[np.uint64],
    n_lists: int,
    prior: ThetaPrior,
    log_model_prior: Floats,
    n_draws: int,
    rng: np.random.Generator,
) -> ModelPosterior:
    """Explore the posterior of model, parameters and dark figure.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by capture history; element 0 is not used.
    term_sets : ndarray of uint64, shape (m,)
        Models as coded by `hiddenpop.model.enumerate_models`.
    n_lists : int
    prior : ThetaPrior
    log_model_prior : ndarray, shape (m,)
        Up to a constant.
    n_draws : int
        Independent draws that the weighted ones should be worth.
    rng : Generator

    Returns
    -------
    ModelPosterior

    Notes
    -----
    A model m with M_m draws of its own adds ``prior(m) w / M_m`` for each, w its importance weight. Of the others, R
    are drawn with probabilities Q in proportion to their Laplace weight, each adding ``prior(m) w / (R Q(m))``. The sum
    over all draws estimates the evidence of the whole space without bias.

    Examples
    --------
    >>> counts = np.array([0.0, 300.0, 200.0, 100.0])
    >>> models, rng = np.array([0b0111], dtype=np.uint64), np.random.default_rng(1)
    >>> found = model_posterior(counts, models, 2, ThetaPrior(10.0, 1.0), np.zeros(1), 4000, rng)
    >>> weighted_quantiles(found.n_missing, found.weight, [0.5]).round(-2)
    array([600.])
    """
    laplace = laplace_evidence(counts, term_sets, n_lists, prior)
    log_share = laplace.log_evidence + log_model_prior
    log_share = log_share - logsumexp(log_share)
    number, log_rate, own = _allocate(log_share, n_draws, rng)
    explored = np.flatnonzero(number)
    draws = draw_parameters(counts, term_sets[explored], number[explored], n_lists, prior, rng)
    log_weight = draws.log_weight + (log_model_prior - log_rate)[explored][draws.model]
    total = float(logsumexp(log_weight))
    weight = np.exp(log_weight - total)
    log_evidence, error = _evidence(laplace.log_evidence, draws, explored, number, own)
    shared = float(weight[~own[explored][draws.model]].sum())
    probability = np.exp(log_evidence + log_model_prior - total)
    if not own.all():
        probability[~own] = shared * softmax(log_share[~own])
    n_missing = draw_missing(draws.log_odds, float(counts[1:].sum()), prior, rng)
    return ModelPosterior(
        laplace,
        probability / probability.sum(),
        log_evidence,
        error,
        explored,
        draws,
        weight / weight.sum(),
        n_missing,
    )


def _allocate(
    log_share: Floats, n_draws: int, rng: np.random.Generator
) -> tuple[Ints, Floats, npt.NDArray[np.bool_]]:
    """Draws of each model, the logarithm of their expected number, and which models have draws of their own."""
    share = np.exp(log_share)
    order = np.argsort(-log_share, kind="stable")
    before = np.concatenate([[0.0], np.cumsum(share[order])[:-1]])
    heavy = order[: min(MOST_MODELS, max(1, int((before < 1.0 - OUTSIDE).sum())))]
    own = np.zeros(len(share), dtype=np.bool_)
    own[heavy] = True
    number = np.where(own, OWN_DRAWS + np.ceil(PROPOSALS_PER_DRAW * n_draws * share), 0).astype(np.int64)
    top = heavy[:MOST_PROBABLE]
    number[top] = np.maximum(number[top], THEIR_DRAWS)
    log_rate = np.zeros(len(share))
    log_rate[own] = np.log(number[own])
    if not own.all():
        picked = softmax(log_share[~own])
        number[~own] = rng.multinomial(SHARED_DRAWS, picked)
        with np.errstate(divide="ignore"):
            log_rate[~own] = np.log(SHARED_DRAWS * picked)
    return number, log_rate, own


def _evidence(
    laplace: Floats, draws: ThetaDraws, explored: Ints, number: Ints, own: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Log evidence of every model with its standard error, Laplace's without one where there are no own draws."""
    drawn = number[explored]
    starts = np.cumsum(drawn) - drawn
    highest = np.maximum.reduceat(draws.log_weight, starts)
    relative = np.exp(draws.log_weight - highest[draws.model])
    first = np.add.reduceat(relative, starts)
    second = np.add.reduceat(relative**2, starts)
    log_evidence, error = laplace.copy(), np.full(len(laplace), np.nan)
    log_evidence[explored] = highest + np.log(first / drawn)
    error[explored] = np.sqrt(np.maximum(second / first**2 - 1.0 / drawn, 0.0))
    return np.where(own, log_evidence, laplace), np.where(own, error, np.nan)


def draw_missing(log_odds: Floats, n_observed: float, prior: ThetaPrior, rng: np.random.Generator) -> Floats:
    """Draw the dark figure given the parameters: negative binomial, by a Poisson with a gamma mean.

    Parameters
    ----------
    log_odds : ndarray, shape (d,)
        Logarithm of the odds of being observed.
    n_observed : float
    prior : ThetaPrior
    rng : Generator

    Returns
    -------
    ndarray, shape (d,)

    Examples
    --------
    >>> drawn = draw_missing(np.zeros(1000), 500.0, ThetaPrior(1.0, 1.0), np.random.default_rng(1))
    >>> float(drawn.mean().round(-1))
    500.0
    """
    unseen_odds = np.exp(np.minimum(-log_odds, LARGEST_LOG))
    scale = unseen_odds / (1.0 + prior.rate * (1.0 + unseen_odds))
    gamma = rng.standard_gamma(n_observed + prior.shape, len(scale))
    mean = np.minimum(gamma, LARGEST_SIZE / np.maximum(scale, 1.0)) * scale
    return draw_poisson(mean, rng)


def systematic_rows(weight: Floats, size: int, rng: np.random.Generator) -> Ints:
    """Pick rows in proportion to their weights, each as often as expected but for less than one, in random order.

    Parameters
    ----------
    weight : ndarray, shape (d,)
        They add up to 1.
    size : int
    rng : Generator

    Returns
    -------
    ndarray of int, shape (size,)

    Examples
    --------
    >>> np.bincount(systematic_rows(np.array([0.25, 0.75]), 8, np.random.default_rng(1))).tolist()
    [2, 6]
    """
    points = (np.arange(size) + rng.random()) / size
    rows = np.searchsorted(np.cumsum(weight), points * weight.sum(), side="right")
    return rng.permutation(np.minimum(rows, len(weight) - 1))


def weighted_quantiles(values: Floats, weight: Floats, shares: npt.ArrayLike) -> Floats:
    """Quantiles of weighted draws that are among the numbers drawn.

    Examples
    --------
    >>> weighted_quantiles(np.array([4.0, 9.0, 7.0]), np.array([0.4, 0.2, 0.4]), [0.5, 0.9])
    array([7., 9.])
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order])
    rows = np.searchsorted(below, np.asarray(shares) * below[-1], side="left")
    return np.asarray(values[order[np.minimum(rows, len(order) - 1)]])


def effective_draws(values: Floats, weight: Floats, share: float) -> float:
    """Independent draws that would tell a quantile as well as the weighted ones do.

    Parameters
    ----------
    values : ndarray, shape (d,)
    weight : ndarray, shape (d,)
        They add up to 1.
    share : float
        Of the quantile.

    Returns
    -------
    float

    Notes
    -----
    Of independent draws, the share below the quantile has the variance ``share (1 - share) / draws``. A number that so
    many draws share that its probability holds the whole neighbourhood of `share` is known for certain.

    Examples
    --------
    >>> round(effective_draws(np.arange(800.0), np.full(800, 1 / 800), 0.25))
    800
    """
    quantile = weighted_quantiles(values, weight, [share])[0]
    effective = float(1.0 / (weight**2).sum())
    for inside in (values < quantile, values <= quantile):
        below = float(weight[inside].sum())
        variance = float((weight**2) @ (inside - below) ** 2)
        if variance > 0.0 and abs(below - share) < CERTAIN * math.sqrt(variance):
            effective = min(effective, share * (1.0 - share) / variance)
    return effective


def reweighted(found: ModelPosterior, prior: ThetaPrior, other: ThetaPrior) -> Floats:
    """Weights of the same draws under other normal priors of main effects and interactions.

    Parameters
    ----------
    found : ModelPosterior
        Under `prior`.
    prior, other : ThetaPrior
        With the same prior of N.

    Returns
    -------
    ndarray, shape (d,)
        They add up to 1.

    Examples
    --------
    >>> counts = np.array([0.0, 3.0, 2.0, 1.0])
    >>> models, prior = np.array([0b0111], dtype=np.uint64), ThetaPrior(10.0, 1.0)
    >>> found = model_posterior(counts, models, 2, prior, np.zeros(1), 4000, np.random.default_rng(1))
    >>> narrow = reweighted(found, prior, ThetaPrior(1.0, 1.0))
    >>> bool(narrow @ found.n_missing < found.weight @ found.n_missing)
    True
    """
    draws = found.draws
    n_main = int(found.laplace.n_terms.min())
    n_interactions = found.laplace.n_terms[found.model] - n_main
    log_ratio = -0.5 * draws.main_squares * (other.main_sd**-2 - prior.main_sd**-2)
    log_ratio -= 0.5 * draws.interaction_squares * (other.interaction_sd**-2 - prior.interaction_sd**-2)
    log_ratio -= n_interactions * np.log(other.interaction_sd / prior.interaction_sd)
    with np.errstate(divide="ignore"):
        return np.asarray(softmax(np.log(found.weight) + log_ratio))
