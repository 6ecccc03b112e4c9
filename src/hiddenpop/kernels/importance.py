"""Importance sampling of the parameters of log-linear models, compiled.

The proposal is a split t law at the mode: along each axis of the Cholesky factor it is as wide on either side as the
posterior is, which a single covariance cannot be where an empty cell leaves a parameter bounded on one side only.
"""

import math
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Floats, Ints, TermSets
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.lattice import _add_supersets
from hiddenpop.kernels.marginal_likelihood import (
    ThetaPrior,
    _floats,
    _log_diagonal,
    _log_posterior,
    _mode,
    _observed,
    _solve_transposed,
    _terms_of,
)

__all__ = ["DEGREES_OF_FREEDOM", "ThetaDraws", "draw_parameters"]


DEGREES_OF_FREEDOM = 6.0
"""Tails of the proposal: polynomial, so that they cover a posterior whose tails are those of a normal prior."""

STEPS = (0.5, 1.0, 2.0, 3.0, 4.5)
"""Distances from the mode, in standard deviations of the normal law there, at which the true density is looked at."""

SMALLEST_WIDTH, LARGEST_WIDTH = 0.7, 12.0
"""Limits of a width, in the same unit: too narrow a side would carry the weights that a sampler cannot afford."""


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
    _add_supersets(margins, n_lists)
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
    >>> from hiddenpop.kernels.marginal_likelihood import laplace_evidence
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
