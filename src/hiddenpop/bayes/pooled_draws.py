"""Persons from the draws of a pooled model, and whether the chains agree on every stratum."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from hiddenpop._typing import Floats
from hiddenpop.bayes.pooled_design import PooledDesign
from hiddenpop.bayes.sampling import Chains
from hiddenpop.kernels.poisson_draws import draw_poisson
from hiddenpop.kernels.pooled_density import SMALLEST_CV2

__all__ = ["Agreement", "agreement", "draw_sizes"]


BLOCK = 256
"""Strata that are looked at together: enough to be fast, few enough to need little memory."""

LARGEST_LOG = 690.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """How well chains agree on each of many quantities.

    Attributes
    ----------
    rhat : ndarray, shape (q,)
        Split, rank-normalised R-hat, the larger of bulk and folded; 1 for what never changes.
    ess_bulk : ndarray, shape (q,)
        Effective draws of the centre.
    """

    rhat: Floats
    ess_bulk: Floats


def draw_sizes(design: PooledDesign, chains: Chains, rng: np.random.Generator) -> Floats:
    """Draw the population size of every stratum: those observed, and hidden persons.

    Parameters
    ----------
    design : PooledDesign
    chains : Chains
        Of `pooled_model.draw_chains`.
    rng : Generator

    Returns
    -------
    ndarray, shape (chains, draws, s)

    Notes
    -----
    With a residual the expected size of a stratum is summed out of the model. Given the rest it follows a gamma
    distribution, of which one is drawn here.
    """
    log_hidden, observed = chains.draws["log_hidden"], design.observed
    sizes = np.empty(log_hidden.shape)
    for chain, log_scale in enumerate(log_hidden):
        mean = np.exp(np.minimum(log_scale, LARGEST_LOG))
        if design.has_residual:
            shape = 1.0 / (chains.draws["hyper"][chain, :, -1] ** 2 + SMALLEST_CV2)
            mean *= rng.standard_gamma(shape[:, None] + observed)
        sizes[chain] = observed + draw_poisson(mean, rng)
    return sizes


def agreement(drawn: Floats) -> Agreement:
    """Measure R-hat and effective draws of many quantities at once.

    Parameters
    ----------
    drawn : ndarray, shape (chains, draws, q)

    Returns
    -------
    Agreement

    Notes
    -----
    The same figures as `convergence` gives for one quantity, without a call for each.

    References
    ----------
    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021). Rank-normalization, folding, and
    localization: an improved R-hat for assessing convergence of MCMC. Bayesian Analysis 16(2), 667-718.
    doi:10.1214/20-BA1221

    Examples
    --------
    >>> drawn = np.random.default_rng(1).normal(size=(4, 500, 3))
    >>> drawn[0, :, 2] += 1.0
    >>> (agreement(drawn).rhat < 1.02).tolist()
    [True, True, False]
    """
    half = drawn.shape[1] // 2
    if not drawn.shape[-1]:
        return Agreement(rhat=np.ones(0), ess_bulk=np.ones(0))
    blocks = [slice(start, start + BLOCK) for start in range(0, drawn.shape[-1], BLOCK)]
    found = [
        _agreement(np.concatenate([drawn[:, :half, block], drawn[:, -half:, block]])) for block in blocks
    ]
    return Agreement(
        rhat=np.concatenate([rhat for rhat, _ in found]), ess_bulk=np.concatenate([ess for _, ess in found])
    )


def _agreement(split: Floats) -> tuple[Floats, Floats]:
    """R-hat and effective draws of some quantities, shape (halves, draws, q)."""
    moves = split.max(axis=(0, 1)) > split.min(axis=(0, 1))
    rhat, ess = np.ones(len(moves)), np.full(len(moves), float(split.shape[0] * split.shape[1]))
    if moves.any():
        moving = split[..., moves]
        z = _normal_scores(moving)
        folded = _normal_scores(np.abs(moving - np.median(moving, axis=(0, 1))))
        rhat[moves] = np.maximum(_rhat(z), _rhat(folded))
        ess[moves] = _effective(z)
    return rhat, ess


def _normal_scores(values: Floats) -> Floats:
    flat = values.reshape(-1, values.shape[-1])
    ranks = rankdata(flat, axis=0)
    return np.asarray(ndtri((ranks - 0.375) / (len(flat) + 0.25))).reshape(values.shape)


def _rhat(z: Floats) -> Floats:
    """Square root of the total over the inner variance."""
    n = z.shape[1]
    within = z.var(axis=1, ddof=1).mean(axis=0)
    between = n * z.mean(axis=1).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.sqrt((between / within + n - 1.0) / n)
    return np.asarray(np.where(within > 0.0, found, np.where(between > 0.0, np.inf, 1.0)))


def _effective(z: Floats) -> Floats:
    """Effective draws by Geyer's initial monotone sequence over the autocorrelation of all halves."""
    halves, n, _ = z.shape
    covariance = _autocovariance(z).mean(axis=0)
    within = covariance[0] * n / (n - 1.0)
    total = within * (n - 1.0) / n + z.mean(axis=1).var(axis=0, ddof=1)
    rho = 1.0 - (within - covariance) / total
    rho[0] = 1.0
    even = n - n % 2
    pairs = rho[0:even:2] + rho[1:even:2]
    going = np.cumprod(pairs > 0.0, axis=0)
    pairs = np.minimum.accumulate(pairs, axis=0) * going
    last = going.sum(axis=0) * 2
    beyond = np.take_along_axis(rho, np.minimum(last, n - 1)[None], axis=0)[0]
    tau = -1.0 + 2.0 * pairs.sum(axis=0) + np.maximum(beyond, 0.0)
    draws = halves * n
    return np.asarray(draws / np.maximum(tau, 1.0 / np.log10(draws)))


def _autocovariance(z: Floats) -> Floats:
    """Autocovariance of each half by the fast Fourier transform, shape (halves, n, q)."""
    from scipy.fft import irfft, next_fast_len, rfft

    n = z.shape[1]
    size = next_fast_len(2 * n, real=True)
    spectrum = rfft(z - z.mean(axis=1, keepdims=True), size, axis=1)
    return np.asarray(irfft(spectrum * spectrum.conj(), size, axis=1)[:, :n] / n)
