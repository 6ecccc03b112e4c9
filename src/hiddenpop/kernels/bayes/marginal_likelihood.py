"""Posterior modes of log-linear models and their marginal likelihoods by Laplace, compiled.

The population size is summed out. With theta the parameters without the intercept, eta their subset sums (0 for the
unobserved cell), S the sum of ``exp(eta)`` over the observable cells, n persons observed, and a prior of N that is
1/N (a = b = 0), flat (a = 1, b = 0) or negative binomial of shape a (b = shape / mean), the log-likelihood is, but for
a constant,

    sum y eta + a log(1 + S) - (n + a) log((1 + b) S + b)

and the probability of being hidden is ``1 / (1 + S)``. Score and curvature are superset sums, as in
`hiddenpop.kernels.poisson.lattice`. Priors of theta are independent normals around 0.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, logsumexp, softmax, xlogy

from hiddenpop._typing import Floats, Ints, TermSets
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.poisson.lattice import add_subsets, add_supersets, decode_terms, solve_factored
from hiddenpop.kernels.resampling.counts import draw_poisson

__all__ = [
    "MOST_PROBABLE",
    "Evidence",
    "ModelPosterior",
    "ThetaPrior",
    "draw_missing",
    "effective_draws",
    "evidence_constant",
    "laplace_evidence",
    "model_posterior",
    "reweighted",
    "systematic_rows",
    "weighted_quantiles",
]

START_OFFSET = 0.1
"""Added to the counts for the starting point, so that an empty cell has a logarithm."""

DECREMENT_TOLERANCE = 1e-10
"""Newton's decrement is about twice the log density still to be gained; the step that reveals it is still taken."""

MAX_ITERATIONS = 100
"""Ten are common; a list that is never alone on a table of 10^12 persons takes thirty."""

MAX_HALVINGS = 40
LARGEST_LOG = 690.0
"""Exponentials stop here, short of overflow; a first step can go far."""

SLACK = 1e-9
ROUNDING = 1e-15
"""Relative error of a log-likelihood that is a sum over so many persons."""

DEGREES_OF_FREEDOM = 6.0
"""Tails of the proposal: polynomial, so that they cover a posterior whose tails are those of a normal prior."""

STEPS = (0.5, 1.0, 2.0, 3.0, 4.5)
"""Distances from the mode, in standard deviations of the normal law there, at which the true density is looked at."""

SMALLEST_WIDTH, LARGEST_WIDTH = 0.7, 12.0
"""Limits of a width, in the same unit: too narrow a side would carry the weights that a sampler cannot afford."""

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

LARGEST_EXPONENT, LARGEST_SIZE = 690.0, 1e300
CERTAIN = 4.0
"""So many standard errors away, the edge of an atom of probability decides nothing."""


class ThetaPrior(NamedTuple):
    """Priors in numbers.

    Attributes
    ----------
    main_sd, interaction_sd : float
        Standard deviations of the normal priors of main effects and of interactions.
    shape, rate : float
        Of the gamma law of the mean of N: shape and shape / mean of a negative binomial; both 0 for 1/N, and 1 and 0
        for a flat prior.
    """

    main_sd: float
    interaction_sd: float
    shape: float = 0.0
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Laplace's approximation to the marginal likelihood of many models; every array has one element a model.

    Attributes
    ----------
    log_evidence : ndarray of float
        Logarithm of the marginal likelihood, but for `evidence_constant`.
    log_odds : ndarray of float
        Logarithm of S at the mode: the odds of being observed.
    n_terms : ndarray of int
        Number of parameters.
    converged : ndarray of bool
    """

    log_evidence: Floats
    log_odds: Floats
    n_terms: Ints
    converged: npt.NDArray[np.bool_]


@njit
def _size_term(log_odds: float, n: float, shape: float, rate: float) -> float:
    """Give what the prior of N adds to the log-likelihood of the observed cells among themselves."""
    if shape == 0.0:
        return 0.0
    unseen_odds = np.exp(min(-log_odds, LARGEST_LOG))
    return -n * np.log1p(rate * (1.0 + unseen_odds)) - shape * np.log(rate + 1.0 / (1.0 + unseen_odds))


@njit
def _log_posterior(
    counts: Floats,
    entropy: float,
    theta: Floats,
    terms: Ints,
    n_lists: int,
    precision: Floats,
    prior: ThetaPrior,
    eta: Floats,
    shares: Floats,
) -> tuple[float, float]:
    """Fill `eta` and the `shares` of the observable cells; return the log density without normalisers, and log S."""
    size = counts.shape[0]
    eta[:] = 0.0
    penalty = 0.0
    for i in range(terms.shape[0]):
        eta[terms[i]] = theta[i]
        penalty += precision[i] * theta[i] * theta[i]
    add_subsets(eta, n_lists)
    highest = eta[1]
    for w in range(2, size):
        highest = max(highest, eta[w])
    total = 0.0
    shares[0] = 0.0
    for w in range(1, size):
        shares[w] = np.exp(eta[w] - highest)
        total += shares[w]
    log_odds = highest + np.log(total)
    n = 0.0
    value = 0.0
    for w in range(1, size):
        shares[w] /= total
        n += counts[w]
        value += counts[w] * (eta[w] - log_odds)
    return value - entropy + _size_term(log_odds, n, prior.shape, prior.rate) - 0.5 * penalty, log_odds


@njit
def _weights(log_odds: float, n: float, prior: ThetaPrior, concave: bool) -> tuple[float, float]:
    """Factors of the diagonal and of the outer product in the curvature; without the convex part on request."""
    unseen_odds = np.exp(min(-log_odds, LARGEST_LOG))
    first = 1.0 / (1.0 + prior.rate / (1.0 + prior.rate) * unseen_odds)
    second = 1.0 / (1.0 + unseen_odds)
    shape = prior.shape
    if concave:
        return (n + shape) * first, (n + shape) * first * first
    return (
        (n + shape) * first - shape * second,
        (n + shape) * first * first - shape * second * second,
    )


@njit
def _factor(
    sums: Floats, terms: Ints, precision: Floats, diagonal: float, outer: float, lower: Floats
) -> bool:
    """Cholesky factor of the negative Hessian; False when it is not positive definite."""
    for i in range(terms.shape[0]):
        for j in range(i + 1):
            value = diagonal * sums[terms[i] | terms[j]] - outer * sums[terms[i]] * sums[terms[j]]
            if i == j:
                value += precision[i]
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            if i > j:
                lower[i, j] = value / lower[j, j]
            elif value > 0.0:
                lower[i, i] = np.sqrt(value)
            else:
                return False
    return True


@njit
def _curvature(
    shares: Floats,
    log_odds: float,
    n: float,
    terms: Ints,
    n_lists: int,
    precision: Floats,
    prior: ThetaPrior,
    sums: Floats,
    lower: Floats,
) -> bool:
    """Fill `sums` and the factor; where the density is not concave, that of its concave part, and say False."""
    sums[:] = shares
    add_supersets(sums, n_lists)
    diagonal, outer = _weights(log_odds, n, prior, False)
    if _factor(sums, terms, precision, diagonal, outer, lower):
        return True
    diagonal, outer = _weights(log_odds, n, prior, True)
    _factor(sums, terms, precision, diagonal, outer, lower)
    return False


@njit
def _solve_transposed(lower: Floats, vector: Floats) -> None:
    """Solve with the transpose of the Cholesky factor in place."""
    p = vector.shape[0]
    for i in range(p - 1, -1, -1):
        for k in range(i + 1, p):
            vector[i] -= lower[k, i] * vector[k]
        vector[i] /= lower[i, i]


@njit
def _start(
    counts: Floats, terms: Ints, n_lists: int, precision: Floats, sums: Floats, eta: Floats, lower: Floats
) -> Floats:
    """Weighted least squares of the logarithms of the counts on the terms, with the priors."""
    total = 0.0
    sums[0] = eta[0] = 0.0
    for w in range(1, counts.shape[0]):
        sums[w] = counts[w] + START_OFFSET
        eta[w] = sums[w] * np.log(sums[w])
        total += sums[w]
    add_supersets(sums, n_lists)
    add_supersets(eta, n_lists)
    theta = np.empty(terms.shape[0])
    for i in range(terms.shape[0]):
        theta[i] = eta[terms[i]] - sums[terms[i]] * eta[0] / total
    if _factor(sums, terms, precision, 1.0, 1.0 / total, lower):
        solve_factored(lower, theta.shape[0], theta)
    else:
        theta[:] = 0.0
    return theta


@njit
def _mode(
    counts: Floats,
    margins: Floats,
    entropy: float,
    terms: Ints,
    n_lists: int,
    precision: Floats,
    prior: ThetaPrior,
    eta: Floats,
    shares: Floats,
    sums: Floats,
    lower: Floats,
) -> tuple[Floats, float, float, bool]:
    """Climb to the mode by Newton steps; return (theta, log density, log S, converged), the factor left in `lower`."""
    n = margins[0]
    p = terms.shape[0]
    theta = _start(counts, terms, n_lists, precision, sums, eta, lower)
    value, log_odds = _log_posterior(counts, entropy, theta, terms, n_lists, precision, prior, eta, shares)
    step = np.empty(p)
    score = np.empty(p)
    converged = False
    for _ in range(MAX_ITERATIONS):
        concave = _curvature(shares, log_odds, n, terms, n_lists, precision, prior, sums, lower)
        if converged:
            return theta, value, log_odds, concave
        pull, _ = _weights(log_odds, n, prior, False)
        for i in range(p):
            score[i] = margins[terms[i]] - pull * sums[terms[i]] - precision[i] * theta[i]
        step[:] = score
        solve_factored(lower, p, step)
        decrement = 0.0
        for i in range(p):
            decrement += score[i] * step[i]
            theta[i] += step[i]
        proposed, log_odds = _log_posterior(
            counts, entropy, theta, terms, n_lists, precision, prior, eta, shares
        )
        allowed = SLACK * (1.0 + abs(value)) + ROUNDING * n
        halvings = 0
        while not proposed >= value - allowed and halvings < MAX_HALVINGS:
            halvings += 1
            for i in range(p):
                step[i] *= 0.5
                theta[i] -= step[i]
            proposed, log_odds = _log_posterior(
                counts, entropy, theta, terms, n_lists, precision, prior, eta, shares
            )
        value = proposed
        converged = decrement < DECREMENT_TOLERANCE + ROUNDING * n
    return theta, value, log_odds, False


@njit
def _terms_of(term_set: np.uint64, size: int, prior: ThetaPrior) -> tuple[Ints, Floats, float]:
    """Terms of a coded model without the intercept, their prior precisions, and the log normaliser of their prior.

    The normaliser lacks the power of 2 pi, which Laplace's formula brings back.
    """
    terms = decode_terms(term_set, size)[:-1]
    precision = np.empty(terms.shape[0])
    normaliser = 0.0
    for i in range(terms.shape[0]):
        term = terms[i]
        sd = prior.main_sd if term & (term - 1) == 0 else prior.interaction_sd
        precision[i] = 1.0 / (sd * sd)
        normaliser -= np.log(sd)
    return terms, precision, normaliser


@njit
def _log_diagonal(lower: Floats, p: int) -> float:
    total = 0.0
    for i in range(p):
        total += np.log(lower[i, i])
    return total


@njit
def _laplace(
    counts: Floats,
    entropy: float,
    term_sets: TermSets,
    n_lists: int,
    prior: ThetaPrior,
    log_evidence: Floats,
    log_odds: Floats,
    n_terms: Ints,
    converged: npt.NDArray[np.bool_],
) -> None:
    size = counts.shape[0]
    margins = counts.copy()
    add_supersets(margins, n_lists)
    eta, shares, sums, lower = np.empty(size), np.empty(size), np.empty(size), np.zeros((size, size))
    for m in range(term_sets.shape[0]):
        terms, precision, normaliser = _terms_of(term_sets[m], size, prior)
        _, value, odds, there = _mode(
            counts, margins, entropy, terms, n_lists, precision, prior, eta, shares, sums, lower
        )
        p = terms.shape[0]
        log_evidence[m] = value + normaliser - _log_diagonal(lower, p)
        log_odds[m] = odds
        n_terms[m] = p
        converged[m] = there


def laplace_evidence(counts: Floats, term_sets: TermSets, n_lists: int, prior: ThetaPrior) -> Evidence:
    """Approximate the marginal likelihood of every model of `term_sets`.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by capture history; element 0 is not used.
    term_sets : ndarray of uint64, shape (m,)
        Models as coded by `hiddenpop.model.enumerate_models`.
    n_lists : int
        Number of lists, at most 6.
    prior : ThetaPrior

    Returns
    -------
    Evidence

    Notes
    -----
    ``log p(y, mode) + p/2 log 2 pi - 1/2 log |H|`` with H the negative Hessian at the mode and p parameters; the
    normalisers of the priors are in it.

    References
    ----------
    Tierney, L. and Kadane, J. B. (1986). Accurate approximations for posterior moments and marginal densities. Journal
    of the American Statistical Association 81(393), 82-86. doi:10.1080/01621459.1986.10478240

    Examples
    --------
    >>> counts = np.array([0.0, 300.0, 200.0, 100.0])
    >>> found = laplace_evidence(counts, np.array([0b0111], dtype=np.uint64), 2, ThetaPrior(10.0, 1.0))
    >>> round(float(np.exp(-found.log_odds[0])) * 600)
    600
    """
    m = len(term_sets)
    found = Evidence(np.empty(m), np.empty(m), np.empty(m, dtype=np.int64), np.zeros(m, dtype=np.bool_))
    observed, entropy = _observed(counts)
    _laplace(
        observed,
        entropy,
        np.asarray(term_sets, dtype=np.uint64),
        n_lists,
        _floats(prior),
        found.log_evidence,
        found.log_odds,
        found.n_terms,
        found.converged,
    )
    return found


def evidence_constant(counts: Floats, prior: ThetaPrior) -> float:
    """Give what the log evidences lack, the same for every model of a table.

    With it, the logarithm is that of the sum over N of the prior of N times the probability of the counts: with the
    negative binomial, the probability of the table.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
    prior : ThetaPrior

    Returns
    -------
    float
    """
    observed, entropy = _observed(counts)
    n = float(observed.sum())
    constant = entropy + float(gammaln(n + prior.shape) - gammaln(observed + 1.0).sum())
    if prior.rate:
        constant += prior.shape * math.log(prior.rate) - float(gammaln(prior.shape))
    return constant


def _observed(counts: Floats) -> tuple[Floats, float]:
    """Give the counts without the unobserved cell, and the log-likelihood of a model that fits them exactly."""
    observed = np.array(counts, dtype=np.float64)
    observed[0] = 0.0
    return observed, float(xlogy(observed, observed / observed.sum()).sum())


def _floats(prior: ThetaPrior) -> ThetaPrior:
    """Priors whose numbers are all of one compiled type."""
    return ThetaPrior(*(float(number) for number in prior))


# === importance sampling of the parameters of log-linear models, compiled =============================================
# The proposal is a split t law at the mode: along each axis of the Cholesky factor it is as wide on either
# side as the posterior is, which a single covariance cannot be where an empty cell leaves a parameter
# bounded on one side only.


@dataclass(frozen=True, slots=True)
class ThetaDraws:
    """Parameters drawn from split t laws at the modes of several models, model after model.

    Attributes
    ----------
    model : ndarray of int
        Position of the model of each draw in the array of models.
    log_weight : ndarray of float
        Log of posterior density, unnormalised, over density of the proposal: the logarithm of their mean over the
        draws of one model estimates its log marginal likelihood on the scale of `Evidence.log_evidence`.
    log_odds : ndarray of float
        Logarithm of S.
    main_squares, interaction_squares : ndarray of float
        Sums of the squares of the main effects and of the interactions: what another prior of them needs.
    """

    model: Ints
    log_weight: Floats
    log_odds: Floats
    main_squares: Floats
    interaction_squares: Floats


@njit
def _widths(
    counts: Floats,
    entropy: float,
    mode: Floats,
    value: float,
    terms: Ints,
    n_lists: int,
    precision: Floats,
    prior: ThetaPrior,
    lower: Floats,
    eta: Floats,
    shares: Floats,
) -> Floats:
    """How far the density reaches on either side along each axis, 1 for that of the normal law at the mode."""
    p = terms.shape[0]
    widths = np.ones((p, 2))
    axis, theta = np.empty(p), np.empty(p)
    for i in range(p):
        axis[:] = 0.0
        axis[i] = 1.0
        _solve_transposed(lower, axis)
        for side in range(2):
            widest = 0.0
            for distance in STEPS:
                for k in range(p):
                    theta[k] = mode[k] + (distance if side else -distance) * axis[k]
                there, _ = _log_posterior(
                    counts, entropy, theta, terms, n_lists, precision, prior, eta, shares
                )
                fall = max(2.0 * (value - there), distance * distance / LARGEST_WIDTH**2)
                widest = max(widest, distance / np.sqrt(fall))
            widths[i, side] = max(widest, SMALLEST_WIDTH)
    return widths


@njit
def _importance(
    counts: Floats,
    entropy: float,
    term_sets: TermSets,
    n_draws: Ints,
    n_lists: int,
    prior: ThetaPrior,
    rng: np.random.Generator,
    log_weight: Floats,
    log_odds: Floats,
    main_squares: Floats,
    interaction_squares: Floats,
) -> None:
    size = counts.shape[0]
    margins = counts.copy()
    add_supersets(margins, n_lists)
    eta, shares, sums, lower = np.empty(size), np.empty(size), np.empty(size), np.zeros((size, size))
    df = DEGREES_OF_FREEDOM
    at = 0
    for m in range(term_sets.shape[0]):
        terms, precision, normaliser = _terms_of(term_sets[m], size, prior)
        mode, peak, _, _ = _mode(
            counts, margins, entropy, terms, n_lists, precision, prior, eta, shares, sums, lower
        )
        widths = _widths(counts, entropy, mode, peak, terms, n_lists, precision, prior, lower, eta, shares)
        p = terms.shape[0]
        theta = np.empty(p)
        # Normalisers of the prior over those of the split t law; the powers of 2 and of pi are what is left of both.
        constant = normaliser - _log_diagonal(lower, p) - 0.5 * p * math.log(2.0 / df)
        constant += math.lgamma(0.5 * df) - math.lgamma(0.5 * (df + p))
        for i in range(p):
            constant += np.log(0.5 * (widths[i, 0] + widths[i, 1]))
        for _ in range(n_draws[m]):
            squares = 0.0
            for i in range(p):
                distance = abs(rng.standard_normal())
                squares += distance * distance
                up = rng.random() * (widths[i, 0] + widths[i, 1]) < widths[i, 1]
                theta[i] = distance * widths[i, 1] if up else -distance * widths[i, 0]
            chi_square = rng.chisquare(df)
            scale = np.sqrt(df / chi_square)
            _solve_transposed(lower, theta)
            for i in range(p):
                theta[i] = mode[i] + scale * theta[i]
            value, odds = _log_posterior(
                counts, entropy, theta, terms, n_lists, precision, prior, eta, shares
            )
            log_weight[at] = value + constant + 0.5 * (df + p) * np.log1p(squares / chi_square)
            log_odds[at] = odds
            main_squares[at] = interaction_squares[at] = 0.0
            for i in range(p):
                if terms[i] & (terms[i] - 1) == 0:
                    main_squares[at] += theta[i] * theta[i]
                else:
                    interaction_squares[at] += theta[i] * theta[i]
            at += 1


def draw_parameters(
    counts: Floats,
    term_sets: TermSets,
    n_draws: Ints,
    n_lists: int,
    prior: ThetaPrior,
    rng: np.random.Generator,
) -> ThetaDraws:
    """Draw parameters of several models from split t laws at their modes, with their importance weights.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
    term_sets : ndarray of uint64, shape (m,)
    n_draws : ndarray of int, shape (m,)
        Draws of each model.
    n_lists : int
    prior : ThetaPrior
    rng : Generator

    Returns
    -------
    ThetaDraws
        Of ``n_draws.sum()`` draws.

    References
    ----------
    Geweke, J. (1989). Bayesian inference in econometric models using Monte Carlo integration. Econometrica 57(6),
    1317-1339. doi:10.2307/1913710

    Examples
    --------
    >>> from hiddenpop.kernels.bayes.marginal_likelihood import laplace_evidence
    >>> counts = np.array([0.0, 300.0, 200.0, 100.0])
    >>> model, prior = np.array([0b0111], dtype=np.uint64), ThetaPrior(10.0, 1.0)
    >>> drawn = draw_parameters(counts, model, np.array([4000]), 2, prior, np.random.default_rng(1))
    >>> ratio = np.log(np.exp(drawn.log_weight).mean()) - laplace_evidence(counts, model, 2, prior).log_evidence[0]
    >>> bool(abs(ratio) < 0.02)
    True
    """
    number = np.asarray(n_draws, dtype=np.int64)
    total = int(number.sum())
    drawn = ThetaDraws(
        np.repeat(np.arange(len(number)), number),
        log_weight=np.empty(total),
        log_odds=np.empty(total),
        main_squares=np.empty(total),
        interaction_squares=np.empty(total),
    )
    observed, entropy = _observed(counts)
    _importance(
        observed,
        entropy,
        np.asarray(term_sets, dtype=np.uint64),
        number,
        n_lists,
        _floats(prior),
        rng,
        drawn.log_weight,
        drawn.log_odds,
        drawn.main_squares,
        drawn.interaction_squares,
    )
    return drawn


# === weighted draws from the joint posterior of model =================================================================
# Parameters and dark figure, over a space of log-linear models.
#
# Laplace's evidence says where the posterior is. Draws from split t laws at the modes then replace it:
# their importance weights give the evidence of each model that matters, and together they are the
# posterior. Models too light for draws of their own are represented by some of them, picked by their
# Laplace weight, so that nothing is cut off.


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
    unseen_odds = np.exp(np.minimum(-log_odds, LARGEST_EXPONENT))
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
