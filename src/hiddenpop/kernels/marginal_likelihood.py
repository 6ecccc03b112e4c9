"""Posterior modes of log-linear models and their marginal likelihoods by Laplace, compiled.

The population size is summed out. With theta the parameters without the intercept, eta their subset sums (0 for the
unobserved cell), S the sum of ``exp(eta)`` over the observable cells, n persons observed, and a prior of N that is
1/N (a = b = 0), flat (a = 1, b = 0) or negative binomial of shape a (b = shape / mean), the log-likelihood is, but for
a constant,

    sum y eta + a log(1 + S) - (n + a) log((1 + b) S + b)

and the probability of being hidden is ``1 / (1 + S)``. Score and curvature are superset sums, as in
`hiddenpop.kernels.lattice`. Priors of theta are independent normals around 0.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, xlogy

from hiddenpop._typing import Floats, Ints, TermSets
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.lattice import _add_subsets, _add_supersets, _decode_terms, _solve

__all__ = [
    "Evidence",
    "ThetaPrior",
    "evidence_constant",
    "laplace_evidence",
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
    _add_subsets(eta, n_lists)
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
    _add_supersets(sums, n_lists)
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
    _add_supersets(sums, n_lists)
    _add_supersets(eta, n_lists)
    theta = np.empty(terms.shape[0])
    for i in range(terms.shape[0]):
        theta[i] = eta[terms[i]] - sums[terms[i]] * eta[0] / total
    if _factor(sums, terms, precision, 1.0, 1.0 / total, lower):
        _solve(lower, theta.shape[0], theta)
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
        _solve(lower, p, step)
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
    terms = _decode_terms(term_set, size)[:-1]
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
    _add_supersets(margins, n_lists)
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
