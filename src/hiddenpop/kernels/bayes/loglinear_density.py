"""Posterior of a log-linear model, as the samplers take it: whitened around its mode, the size summed out.

The cell of a history w has the predictor ``eta_w = sum of theta_t over the terms t inside w``, and the unobserved cell
``eta_0 = 0``. With ``S = sum of exp(eta_w)`` over the cells that can be observed, a the shape of a negative binomial
prior of N and ``b = a / mean`` (a = b = 0 for 1/N), the likelihood of theta without N is

    sum y_w eta_w + a log(1 + S) - (n + a) log(b + (1 + b) S).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, solve_triangular

from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.kernels.bayes.hamiltonian import has_density
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.poisson.lattice import superset_sums

__all__ = [
    "LogLinearData",
    "LogLinearTask",
    "PosteriorMode",
    "log_density",
    "posterior_mode",
    "predictors",
    "whitened",
]


NEAR = 1.0
"""Steps from the centre within which all predictors differ by less than this are summed as differences from 1, without
which counts of 10^12 would leave no digit of the likelihood."""

MOST_STEPS, MOST_HALVINGS = 200, 40
SMALL_DECREMENT = 1e-9
SLACK = 1e-13
"""Relative error of a log likelihood; a Newton step that loses no more than that is not a loss."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogLinearTask:
    """A table, a model and its priors.

    Attributes
    ----------
    counts : ndarray, shape (2**K,)
        Element 0 is not used.
    terms : ndarray of int64, shape (p,)
        Terms without the intercept.
    live : ndarray of bool, shape (2**K,)
        Cells that can be observed; element 0 is False.
    precision : ndarray, shape (p,)
        Of the normal prior around 0; 0 for a flat one.
    shape, rate : float
        a and b of the prior of N, both 0 for 1/N.
    """

    counts: Floats
    terms: Ints
    live: Bools
    precision: Floats
    shape: float = 0.0
    rate: float = 0.0

    @property
    def n_lists(self) -> int:
        """Number of lists K."""
        return len(self.counts).bit_length() - 1

    @property
    def n_observed(self) -> float:
        """Persons observed."""
        return float(self.counts[1:].sum())

    @property
    def margins(self) -> Floats:
        """Persons on all lists of each term."""
        return np.asarray(superset_sums(self.counts, self.n_lists)[self.terms])


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorMode:
    """Where the posterior is highest, and its curvature there.

    Attributes
    ----------
    theta : ndarray, shape (p,)
    root : ndarray, shape (p, p)
        Upper triangular; ``theta + root @ z`` has the identity for curvature in z.
    """

    theta: Floats
    root: Floats


class LogLinearData(NamedTuple):
    """What the compiled density works on: differences from a centre, in whitened coordinates.

    Attributes
    ----------
    terms : ndarray of int64, shape (p,)
    root : ndarray, shape (p, p)
    slope, prior_slope, precision : ndarray, shape (p,)
        Gradients of log likelihood and log prior at the centre, and the prior precision.
    sized : ndarray, shape (2**K,)
        Shares of the cells in b + (1 + b) S at the centre.
    whole : ndarray, shape (2**K,)
        Shares of the cells in 1 + S.
    power, shape : float
        n + a, and a.
    """

    terms: Ints
    root: Floats
    slope: Floats
    prior_slope: Floats
    precision: Floats
    sized: Floats
    whole: Floats
    power: float
    shape: float


# --- compiled ---------------------------------------------------------------------------------------------------------


@njit
def _add_subsets(values: Floats) -> None:
    bit, size = 1, values.shape[0]
    while bit < size:
        for block in range(0, size, 2 * bit):
            for w in range(block, block + bit):
                values[w + bit] += values[w]
        bit *= 2


@njit
def _add_supersets(values: Floats) -> None:
    bit, size = 1, values.shape[0]
    while bit < size:
        for block in range(0, size, 2 * bit):
            for w in range(block, block + bit):
                values[w] += values[w + bit]
        bit *= 2


@njit
def _excess(shares: Floats, eta: Floats, factor: float, change: Floats) -> float:
    """Log of the mean of exp(eta) less the mean of eta; adds ``factor`` times the change of the shares to `change`."""
    largest, top = 0.0, -np.inf
    for w in range(eta.shape[0]):
        if shares[w] > 0.0:
            largest, top = max(largest, abs(eta[w])), max(top, eta[w])
    near = largest < NEAR
    shift = 0.0 if near else top
    power = np.empty(eta.shape[0])  # each exponential is taken once
    total, mean = 0.0, 0.0
    for w in range(eta.shape[0]):
        if shares[w] > 0.0:
            power[w] = np.expm1(eta[w]) if near else np.exp(eta[w] - shift)
            mean += shares[w] * eta[w]
            total += shares[w] * power[w]
    for w in range(eta.shape[0]):
        if shares[w] > 0.0:
            moved = (power[w] - total) / (1.0 + total) if near else power[w] / total - 1.0
            change[w] += factor * shares[w] * moved
    return (np.log1p(total) if near else shift + np.log(total)) - mean


@njit
def log_density(
    data: LogLinearData, z: Floats, prior_gradient: Floats, likelihood_gradient: Floats
) -> tuple[float, float]:
    """Log prior and log likelihood less their values at the centre; fills both gradients in z."""
    p, size = z.shape[0], data.sized.shape[0]
    eta, change = np.zeros(size), np.zeros(size)
    step = np.zeros(p)
    log_prior, log_likelihood = 0.0, 0.0
    for i in range(p):
        for j in range(i, p):
            step[i] += data.root[i, j] * z[j]
        eta[data.terms[i]] = step[i]
        log_prior += (data.prior_slope[i] - 0.5 * data.precision[i] * step[i]) * step[i]
        log_likelihood += data.slope[i] * step[i]
    _add_subsets(eta)
    log_likelihood -= data.power * _excess(data.sized, eta, -data.power, change)
    if data.shape > 0.0:
        log_likelihood += data.shape * _excess(data.whole, eta, data.shape, change)
    _add_supersets(change)
    prior_gradient[:] = 0.0
    likelihood_gradient[:] = 0.0
    for i in range(p):
        by_prior = data.prior_slope[i] - data.precision[i] * step[i]
        by_likelihood = data.slope[i] + change[data.terms[i]]
        for j in range(i, p):
            prior_gradient[j] += data.root[i, j] * by_prior
            likelihood_gradient[j] += data.root[i, j] * by_likelihood
    return log_prior, log_likelihood


has_density(LogLinearData, log_density)


# --- around the mode --------------------------------------------------------------------------------------------------


def predictors(theta: Floats, terms: Ints, n_lists: int) -> Floats:
    """Log means of all cells relative to the unobserved one.

    Parameters
    ----------
    theta : ndarray, shape (..., p)
    terms : ndarray of int64, shape (p,)
    n_lists : int

    Returns
    -------
    ndarray, shape (..., 2**n_lists)

    Examples
    --------
    >>> predictors(np.array([0.1, 0.2, 1.0]), np.array([1, 2, 3]), 2).tolist()
    [0.0, 0.1, 0.2, 1.3]
    """
    eta = np.zeros((*theta.shape[:-1], 1 << n_lists))
    eta[..., terms] = theta
    for i in range(n_lists):
        halves = eta.reshape(*theta.shape[:-1], -1, 2, 1 << i)
        halves[..., 1, :] += halves[..., 0, :]
    return eta


def _shares(task: LogLinearTask, eta: Floats) -> tuple[Floats, Floats, float]:
    """Shares of the cells in b + (1 + b) S and in 1 + S, and the log likelihood."""
    top = max(float(eta[task.live].max()), 0.0)
    odds = np.where(task.live, np.exp(eta - top), 0.0)
    nobody = float(np.exp(-top))
    sized, whole = (1.0 + task.rate) * odds, odds.copy()
    sized[0], whole[0] = task.rate * nobody, nobody
    log_sized, log_whole = np.log(sized.sum()) + top, np.log(whole.sum()) + top
    likelihood = (
        float(task.counts[1:] @ eta[1:]) + task.shape * log_whole - (task.n_observed + task.shape) * log_sized
    )
    return sized / sized.sum(), whole / whole.sum(), likelihood


def _slopes(task: LogLinearTask, sized: Floats, whole: Floats) -> tuple[Floats, Floats, Floats]:
    """Gradient of the log likelihood, and its two information matrices, that of n + a persons and that of a."""
    union = task.terms[:, None] | task.terms[None, :]
    matrices = []
    slope = task.margins
    for shares, persons in ((sized, task.n_observed + task.shape), (whole, -task.shape)):
        sums = superset_sums(np.concatenate([[0.0], shares[1:]]), task.n_lists)
        mean = sums[task.terms]
        slope = slope - persons * mean
        matrices.append(persons * (sums[union] - np.outer(mean, mean)))
    return slope, matrices[0], matrices[1]


def _root(task: LogLinearTask, first: Floats, second: Floats) -> Floats:
    """Inverse of the upper Cholesky factor of the curvature; where that is none, of the part that always is one."""
    prior = np.diag(task.precision)
    try:
        lower = np.linalg.cholesky(first + second + prior)
    except LinAlgError:
        lower = np.linalg.cholesky(first + prior)
    return np.asarray(solve_triangular(lower, np.eye(len(lower)), lower=True).T)


def _objective(task: LogLinearTask, theta: Floats) -> float:
    likelihood = _shares(task, predictors(theta, task.terms, task.n_lists))[2]
    return likelihood - 0.5 * float(task.precision @ theta**2)


def posterior_mode(task: LogLinearTask) -> PosteriorMode:
    """Find the mode by Newton steps with halving.

    Parameters
    ----------
    task : LogLinearTask
        With a posterior that is proper.

    Returns
    -------
    PosteriorMode
        Near enough for whitening; what is built on it holds at any centre.
    """
    theta = _start(task)
    value = _objective(task, theta)
    for _ in range(MOST_STEPS):
        sized, whole, _ = _shares(task, predictors(theta, task.terms, task.n_lists))
        slope, first, second = _slopes(task, sized, whole)
        root = _root(task, first, second)
        whitened_slope = root.T @ (slope - task.precision * theta)
        step = root @ whitened_slope
        if float(whitened_slope @ whitened_slope) < SMALL_DECREMENT:
            break
        for halving in range(MOST_HALVINGS):
            proposed = theta + step * 0.5**halving
            reached = _objective(task, proposed)
            if reached >= value - SLACK * abs(value):
                break
        else:
            break
        theta, value = proposed, reached
    return PosteriorMode(theta, root)


def _start(task: LogLinearTask) -> Floats:
    """Log odds of each list among those observed, no interactions."""
    alone = np.bitwise_count(task.terms) == 1
    inside = task.margins + 0.5
    return np.asarray(np.where(alone, np.log(inside / (task.n_observed - inside + 1.0)), 0.0))


def whitened(task: LogLinearTask) -> tuple[LogLinearData, PosteriorMode]:
    """Build the density in coordinates in which it is close to a standard normal.

    Parameters
    ----------
    task : LogLinearTask

    Returns
    -------
    data : LogLinearData
    mode : PosteriorMode
        From draws z to the parameters: ``mode.theta + z @ mode.root.T``.
    """
    mode = posterior_mode(task)
    sized, whole, _ = _shares(task, predictors(mode.theta, task.terms, task.n_lists))
    slope, _, _ = _slopes(task, sized, whole)
    data = LogLinearData(
        terms=task.terms,
        root=np.ascontiguousarray(mode.root),
        slope=slope,
        prior_slope=-task.precision * mode.theta,
        precision=task.precision,
        sized=sized,
        whole=whole,
        power=task.n_observed + task.shape,
        shape=task.shape,
    )
    return data, mode
