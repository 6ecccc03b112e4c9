"""From draws of the parameters of a log-linear model to persons, cells and replicated tables."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, gammaln

from hiddenpop._typing import Floats
from hiddenpop.bayes.convergence import Convergence, convergence
from hiddenpop.bayes.thresholding import Problem, Stage
from hiddenpop.kernels.loglinear_density import predictors
from hiddenpop.kernels.poisson_draws import draw_poisson

__all__ = ["PriorTables", "Sampled", "cell_means", "prior_tables", "sampled", "table_likelihood"]


LARGEST_LOG = 690.0


BLOCK = 2_000_000
"""Cells times draws that are worked on at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sampled:
    """Draws of the size of the population and what belongs to them; all of shape (chains, draws).

    Attributes
    ----------
    sizes : ndarray
        Persons: those observed and a drawn number of hidden ones.
    log_hidden : ndarray
        Log of the expected number of hidden persons.
    log_odds : ndarray
        Log odds of being observed.
    measured : Convergence
    """

    sizes: Floats
    log_hidden: Floats
    log_odds: Floats
    measured: Convergence

    @property
    def hidden(self) -> Floats:
        """Expected number of hidden persons."""
        return np.asarray(np.exp(np.minimum(self.log_hidden, LARGEST_LOG)))

    @property
    def hidden_share(self) -> Floats:
        """Probability of being hidden."""
        return np.asarray(expit(-self.log_odds))

    @property
    def log_rate(self) -> Floats:
        """Log of the expected size of the population."""
        return self.log_hidden + np.logaddexp(self.log_odds, 0.0)


def sampled(problem: Problem, last: Stage, rng: np.random.Generator) -> Sampled:
    """Draw the hidden persons that go with draws of the parameters.

    Parameters
    ----------
    problem : Problem
    last : Stage
    rng : Generator

    Returns
    -------
    Sampled
    """
    n, log_odds = problem.data.n_observed, _log_odds(problem, last)
    exposure = log_odds
    if problem.rate > 0.0:
        exposure = np.logaddexp(math.log(problem.rate), math.log1p(problem.rate) + log_odds)
    log_hidden = np.log(rng.standard_gamma(n + problem.shape, log_odds.shape)) - exposure
    sizes = n + draw_poisson(np.exp(np.minimum(log_hidden, LARGEST_LOG)), rng)
    measured = convergence(sizes, n_divergent=last.n_divergent)
    return Sampled(sizes=sizes, log_hidden=log_hidden, log_odds=log_odds, measured=measured)


def _log_odds(problem: Problem, last: Stage) -> Floats:
    """Log odds of being observed, in blocks of draws, as twelve lists have 4,095 cells."""
    chains, draws, p = last.theta.shape
    flat = last.theta.reshape(-1, p)
    step = max(BLOCK >> problem.data.n_lists, 1)
    found = [_cells(problem, last, flat[start : start + step]) for start in range(0, len(flat), step)]
    return np.concatenate([np.logaddexp.reduce(eta, axis=-1) for eta in found]).reshape(chains, draws)


def _cells(problem: Problem, last: Stage, theta: Floats) -> Floats:
    """Log means of the observed cells relative to the unobserved one; minus infinity in cells ruled out."""
    eta = predictors(theta, np.array(last.terms, dtype=np.int64), problem.data.n_lists)
    return np.where(problem.live(last.dead), eta, -np.inf)[..., 1:]


def cell_means(problem: Problem, last: Stage, drawn: Sampled) -> Floats:
    """Give the expected persons in each observable cell, 0 in cells ruled out.

    Parameters
    ----------
    problem : Problem
    last : Stage
    drawn : Sampled

    Returns
    -------
    ndarray, shape (chains, draws, cells)
    """
    log_means = _cells(problem, last, last.theta) + drawn.log_hidden[..., None]
    return np.asarray(np.exp(np.minimum(log_means, LARGEST_LOG)))


def table_likelihood(problem: Problem, last: Stage, drawn: Sampled) -> Floats:
    """Log likelihood of the whole table.

    Parameters
    ----------
    problem : Problem
    last : Stage
    drawn : Sampled

    Returns
    -------
    ndarray, shape (chains, draws)
    """
    seen = problem.data.counts[1:]
    margins = problem.task(last.terms, last.dead).margins
    observed = np.exp(np.minimum(drawn.log_hidden + drawn.log_odds, LARGEST_LOG))
    constant = float(gammaln(seen + 1.0).sum())
    return np.asarray(last.theta @ margins + seen.sum() * drawn.log_hidden - observed - constant)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorTables:
    """Populations and tables drawn from the prior.

    Attributes
    ----------
    sizes : ndarray, shape (draws,)
        Persons N.
    counts : ndarray, shape (draws, 2**K)
        Persons by history; element 0, the unobserved cell, is 0 as in any table.
    theta : ndarray, shape (draws, p)
        Parameters, in the order of `terms`.
    terms : tuple of int
    """

    sizes: Floats
    counts: npt.NDArray[np.int64]
    theta: Floats
    terms: tuple[int, ...]


def prior_tables(
    terms: tuple[int, ...],
    sds: Floats,
    n_lists: int,
    size_prior: tuple[float, float],
    n_tables: int,
    rng: np.random.Generator,
) -> PriorTables:
    """Draw populations and their tables from proper priors, those left out in which nobody is observed.

    Parameters
    ----------
    terms : tuple of int
        Without the intercept.
    sds : ndarray, shape (p,)
        Standard deviations of their normal priors.
    n_lists : int
    size_prior : (float, float)
        Mean and shape of the negative binomial prior of N.
    n_tables : int
    rng : Generator

    Returns
    -------
    PriorTables
    """
    mean, shape = size_prior
    found: list[tuple[Any, ...]] = []
    while len(found) < n_tables:
        theta = sds * rng.standard_normal(len(sds))
        eta = predictors(theta, np.array(terms, dtype=np.int64), n_lists)
        shares = np.exp(eta - np.logaddexp.reduce(eta))
        size = rng.poisson(rng.gamma(shape, mean / shape))
        counts = rng.multinomial(size, shares / math.fsum(shares))
        if size > counts[0]:
            counts[0] = 0
            found.append((size, counts, theta))
    sizes, tables, thetas = zip(*found, strict=True)
    return PriorTables(
        sizes=np.array(sizes, dtype=np.float64), counts=np.array(tables), theta=np.array(thetas), terms=terms
    )
