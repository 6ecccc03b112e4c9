"""From coefficients of a log-linear model to persons: sizes, hidden and censored cells, replicates, densities."""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, gammaln, logsumexp, pdtrik
from scipy.stats import gamma, halfcauchy, norm

from hiddenpop._typing import Floats
from hiddenpop.bayes.cells_design import CellsDesign
from hiddenpop.bayes.loglinear_model import FRACTION_TERMS, SWITCH, CoefficientPrior, SizeGamma
from hiddenpop.kernels.poisson_draws import draw_poisson

__all__ = [
    "PriorDraws",
    "SizeDraws",
    "draw_counts",
    "draw_prior",
    "draw_sizes",
    "log_likelihood",
    "log_prior",
    "replicates",
    "truncated_poisson",
]


LARGEST_LOG = 690.0
SMALLEST_CDF = 1e-280


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SizeDraws:
    """Persons drawn, chain by chain.

    Attributes
    ----------
    by_stratum : ndarray, shape (chains, draws, strata)
        Population size: certain, censored and hidden persons.
    censored : ndarray, shape (chains, draws, censored)
        Persons in cells of which only an upper bound is known.
    log_size : ndarray, shape (chains, draws)
        Log of the expected population size.
    hidden_share : ndarray, shape (chains, draws)
        Probability of being hidden.
    """

    by_stratum: Floats
    censored: Floats
    log_size: Floats
    hidden_share: Floats

    @property
    def sizes(self) -> Floats:
        """Population size, shape (chains, draws)."""
        return np.asarray(self.by_stratum.sum(axis=-1))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PriorDraws:
    """Parameters and tables drawn from the prior.

    Attributes
    ----------
    theta : ndarray, shape (d, p)
    log_size : ndarray, shape (d,)
        Log of the expected population size.
    sizes : ndarray, shape (d,)
        Population size, in persons.
    counts : ndarray, shape (d, cells)
        Persons in the observed cells, in the order of the design.
    """

    theta: Floats
    log_size: Floats
    sizes: Floats
    counts: Floats


def draw_sizes(
    design: CellsDesign,
    size: SizeGamma,
    theta: Floats,
    log_certain: Floats | None,
    rng: np.random.Generator,
) -> SizeDraws:
    """Draw the persons that no count holds.

    Parameters
    ----------
    design : CellsDesign
    size : SizeGamma
    theta : ndarray, shape (chains, draws, p)
    log_certain : ndarray, shape (chains, draws), or None
        Log expected number in cells with a count; None where it was summed out, and is drawn here.
    rng : Generator

    Returns
    -------
    SizeDraws
    """
    rows = design.log_rows(theta)
    log_all = logsumexp(rows, axis=-1)
    log_seen = logsumexp(rows[..., : design.n_certain], axis=-1) - log_all
    if log_certain is None:
        shape = design.n_observed + size.shape
        log_size = np.log(rng.standard_gamma(shape, log_seen.shape)) - np.log(size.rate + np.exp(log_seen))
    else:
        log_size = log_certain - log_seen
    log_mean = rows + (log_size - log_all)[..., None]
    last = design.n_certain + design.n_censored
    hidden = draw_counts(log_mean[..., last:], rng)
    censored = truncated_poisson(np.exp(log_mean[..., design.n_certain : last]), design.bounds, rng)
    certain = np.bincount(design.stratum_of[: design.n_certain], design.counts, design.n_strata)
    by_stratum = hidden + certain
    for cell, stratum in enumerate(design.stratum_of[design.n_certain :]):
        by_stratum[..., stratum] += censored[..., cell]
    share = np.exp(logsumexp(rows[..., last:], axis=-1) - log_all)
    return SizeDraws(by_stratum=by_stratum, censored=censored, log_size=log_size, hidden_share=share)


def draw_counts(log_mean: Floats, rng: np.random.Generator) -> Floats:
    """Draw Poisson counts from the logarithms of their means, however large.

    Examples
    --------
    >>> [f"{count:.1e}" for count in draw_counts(np.array([-800.0, 69.0]), np.random.default_rng(1))]
    ['0.0e+00', '9.3e+29']
    """
    return draw_poisson(np.exp(np.minimum(log_mean, LARGEST_LOG)), rng)


def truncated_poisson(mean: Floats, bound: Floats, rng: np.random.Generator) -> Floats:
    """Draw Poisson counts given that they are at most a bound.

    Parameters
    ----------
    mean : ndarray, shape (..., c)
    bound : ndarray, shape (c,)
    rng : Generator

    Returns
    -------
    ndarray, shape (..., c)

    Examples
    --------
    >>> truncated_poisson(np.array([[1e4, 1e-9]]), np.array([30.0, 5.0]), np.random.default_rng(1)).tolist()
    [[30.0, 0.0]]
    """
    bounds = np.broadcast_to(bound, mean.shape)
    uniform = 1.0 - rng.random(mean.shape)
    mass = gammaincc(bounds + 1.0, mean)
    far = mass < SMALLEST_CDF
    with np.errstate(all="ignore"):
        found = np.ceil(pdtrik(uniform * mass, mean) - 1e-9)
        # Far above its bound a Poisson falls off geometrically below it.
        steps = np.floor(np.log(uniform) / np.log(bounds / mean))
    below = np.where(bounds > 0.0, bounds - np.nan_to_num(steps), 0.0)
    return np.clip(np.where(far, below, np.nan_to_num(found)), 0.0, bounds)


def replicates(design: CellsDesign, theta: Floats, log_size: Floats, rng: np.random.Generator) -> Floats:
    """Draw the observed cells again, given coefficients and expected size.

    Parameters
    ----------
    design : CellsDesign
    theta : ndarray, shape (..., p)
    log_size : ndarray, shape (...)
    rng : Generator

    Returns
    -------
    ndarray, shape (..., cells)
    """
    rows = design.log_rows(theta)
    log_mean = rows + (log_size - logsumexp(rows, axis=-1))[..., None]
    return draw_counts(log_mean[..., : design.n_certain + design.n_censored], rng)


def log_likelihood(design: CellsDesign, theta: Floats, log_size: Floats) -> Floats:
    """Log likelihood of each observed cell, given coefficients and expected size.

    Parameters
    ----------
    design : CellsDesign
    theta : ndarray, shape (..., p)
    log_size : ndarray, shape (...)

    Returns
    -------
    ndarray, shape (..., cells)
    """
    rows = design.log_rows(theta)
    log_mean = rows + (log_size - logsumexp(rows, axis=-1))[..., None]
    first, last = design.n_certain, design.n_certain + design.n_censored
    mean = np.exp(np.minimum(log_mean[..., :last], LARGEST_LOG))
    counted = design.counts * log_mean[..., :first] - mean[..., :first] - gammaln(design.counts + 1.0)
    return np.concatenate([counted, _log_cdf(design.bounds, mean[..., first:])], axis=-1)


def _log_cdf(bound: Floats, mean: Floats) -> Floats:
    """Log probability of at most `bound`, in the same two parts as the model's own."""
    shape = bound + 1.0
    edge = shape + SWITCH * np.sqrt(shape)
    far = np.maximum(mean, edge)
    fraction = far + 2.0 * FRACTION_TERMS + 1.0 - shape
    for k in range(FRACTION_TERMS, 0, -1):
        fraction = far + 2.0 * k - 1.0 - shape - k * (k - shape) / fraction
    tail = shape * np.log(far) - far - gammaln(shape) - np.log(fraction)
    return np.asarray(np.where(mean > edge, tail, np.log(gammaincc(shape, np.minimum(mean, edge)))))


def log_prior(
    design: CellsDesign,
    prior: CoefficientPrior,
    size: SizeGamma,
    theta: Floats,
    log_size: Floats,
    tau: Floats | None,
) -> dict[str, Floats]:
    """Log prior densities of each draw, by the part of the prior.

    Parameters
    ----------
    design : CellsDesign
    prior : CoefficientPrior
    size : SizeGamma
    theta : ndarray, shape (..., p)
    log_size : ndarray, shape (...)
    tau : ndarray, shape (...), or None
        Common scale of the horseshoe.

    Returns
    -------
    dict of str to ndarray, shape (...)
        ``main_effects``; ``interactions``, for the horseshoe the prior of its common scale, which is what is chosen;
        ``size`` when it is proper, on the log scale.
    """
    inner = design.is_interaction
    parts = {"main_effects": norm.logpdf(theta[..., ~inner], scale=prior.main_sd).sum(axis=-1)}
    if tau is not None:
        parts["interactions"] = halfcauchy.logpdf(tau, scale=prior.global_scale)
    elif inner.any():
        parts["interactions"] = norm.logpdf(theta[..., inner], scale=prior.slab_sd).sum(axis=-1)
    if size.is_proper:
        parts["size"] = gamma.logpdf(np.exp(log_size), size.shape, scale=1.0 / size.rate) + log_size
    return {name: np.asarray(values) for name, values in parts.items()}


def draw_prior(
    design: CellsDesign, prior: CoefficientPrior, size: SizeGamma, n_draws: int, rng: np.random.Generator
) -> PriorDraws:
    """Draw parameters and tables from a proper prior, given that somebody is observed.

    Parameters
    ----------
    design : CellsDesign
    prior : CoefficientPrior
    size : SizeGamma
        With a shape above 0.
    n_draws : int
    rng : Generator

    Returns
    -------
    PriorDraws
    """
    held: list[PriorDraws] = []
    while sum(len(part.sizes) for part in held) < n_draws:
        drawn = _drawn(design, prior, size, n_draws, rng)
        some = drawn.counts.sum(axis=1) > 0.0
        held.append(
            PriorDraws(
                theta=drawn.theta[some],
                log_size=drawn.log_size[some],
                sizes=drawn.sizes[some],
                counts=drawn.counts[some],
            )
        )
    joined = {
        name: np.concatenate([getattr(part, name) for part in held])[:n_draws]
        for name in ("theta", "log_size", "sizes", "counts")
    }
    return PriorDraws(**joined)


def _drawn(
    design: CellsDesign, prior: CoefficientPrior, size: SizeGamma, n_draws: int, rng: np.random.Generator
) -> PriorDraws:
    inner = design.is_interaction
    scale = np.broadcast_to(np.where(inner, prior.slab_sd, prior.main_sd), (n_draws, len(inner)))
    if prior.family == "horseshoe":
        scale = np.where(inner, _horseshoe_scales(design, prior, n_draws, rng), scale)
    theta = scale * rng.standard_normal(scale.shape)
    log_size = np.log(rng.standard_gamma(size.shape, n_draws)) - np.log(size.rate)
    rows = design.log_rows(theta)
    counts = draw_counts(rows + (log_size - logsumexp(rows, axis=-1))[:, None], rng)
    last = design.n_certain + design.n_censored
    return PriorDraws(theta=theta, log_size=log_size, sizes=counts.sum(axis=1), counts=counts[:, :last])


def _horseshoe_scales(
    design: CellsDesign, prior: CoefficientPrior, n_draws: int, rng: np.random.Generator
) -> Floats:
    tau = prior.global_scale * np.abs(rng.standard_cauchy((n_draws, 1)))
    wild = tau * np.abs(rng.standard_cauchy((n_draws, len(design.terms))))
    return np.asarray((prior.slab_sd / np.hypot(prior.slab_sd / wild, 1.0))[:, design.term_of])
