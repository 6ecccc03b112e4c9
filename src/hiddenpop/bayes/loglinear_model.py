"""The log-linear model as PyMC holds it, where its chains start, and persons from its parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincc, gammaln, logsumexp, pdtrik
from scipy.stats import gamma, halfcauchy, norm

from hiddenpop._typing import Arrays, Bools, Floats
from hiddenpop.bayes.cells_design import CellsDesign
from hiddenpop.bayes.inference_data import load_pymc
from hiddenpop.bayes.sampling import Backend, Chains, sample
from hiddenpop.kernels.resampling.counts import draw_poisson

__all__ = [
    "CoefficientPrior",
    "PriorDraws",
    "PriorFamily",
    "SizeDraws",
    "SizeGamma",
    "Steps",
    "draw_chains",
    "draw_prior",
    "draw_sizes",
    "information_scale",
    "log_likelihood",
    "log_poisson_cdf",
    "log_prior",
    "posterior_mode",
    "replicates",
    "whitening",
]

PriorFamily = Literal["horseshoe", "normal"]

ABSENT = -1e6
"""Log weight of filling: nothing, yet with a gradient."""

SWITCH = 12.0
"""Standard deviations above the bound from where the tail of a Poisson is taken as a continued fraction."""

FRACTION_TERMS = 4
"""Of the continued fraction; from the switch on they give the logarithm to nine digits."""

MOST_STEPS, MOST_HALVINGS = 200, 40
DECREMENT = 1e-6
SMALLEST_EIGENVALUE = 1e-13
"""Of a matrix with unit diagonal: below lies rounding. A direction cut off here is stretched too little, no more."""

CLEARLY_ACTIVE = 5.0
"""Standard errors from no interaction; beyond, a coefficient cannot come near 0, where its scale would matter."""

LARGEST_LOG = 690.0
SMALLEST_CDF = 1e-280


@dataclass(frozen=True, slots=True, kw_only=True)
class CoefficientPrior:
    """Prior of the coefficients, on the scale of log odds ratios.

    Attributes
    ----------
    family : {"horseshoe", "normal"}
    main_sd : float
        Standard deviation of main effects.
    slab_sd : float
        Standard deviation of an interaction; under the horseshoe of one that is not shrunk.
    global_scale : float
        Median of the common scale of the interactions under the horseshoe; 1 where it plays no part.
    """

    family: PriorFamily
    main_sd: float
    slab_sd: float
    global_scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeGamma:
    """Gamma prior of the expected population size; shape and rate 0 give the prior 1/N."""

    shape: float = 0.0
    rate: float = 0.0

    @property
    def is_proper(self) -> bool:
        """Whether it has a finite integral."""
        return self.shape > 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Length and kind of the chains."""

    n_draws: int
    n_tune: int
    n_chains: int
    target_accept: float
    backend: Backend


def draw_chains(
    design: CellsDesign,
    prior: CoefficientPrior,
    size: SizeGamma,
    coordinates: "Whitening",
    steps: Steps,
    rng: np.random.Generator,
) -> Chains:
    """Draw the coefficients by NUTS.

    Parameters
    ----------
    design : CellsDesign
    prior : CoefficientPrior
    size : SizeGamma
    coordinates : Whitening
    steps : Steps
    rng : Generator

    Returns
    -------
    Chains
        ``theta`` (p,); ``log_certain``, the log expected number in cells with a count, when some cells have only a
        bound (else it is summed out); ``tau`` and ``lam`` (one an interaction) under the horseshoe.
    """
    data = _data(design, prior, size, coordinates)
    shrunk = sum(term.order > 1 for term in design.terms) if prior.family == "horseshoe" else 0
    key = ("loglinear", shrunk, tuple((name, values.shape) for name, values in data.items()))
    chains = sample(
        partial(_build, shrunk=shrunk),
        key,
        data,
        n_draws=steps.n_draws,
        n_tune=steps.n_tune,
        n_chains=steps.n_chains,
        target_accept=steps.target_accept,
        rng=rng,
        backend=steps.backend,
    )
    return chains if chains.failure else replace(chains, draws=_coefficients(chains.draws, data, prior))


def _data(
    design: CellsDesign, prior: CoefficientPrior, size: SizeGamma, coordinates: "Whitening"
) -> dict[str, npt.NDArray[Any]]:
    """Arrays of the model. Each kind of row has its own, as slices and look-ups take long to compile."""
    inner = design.is_interaction
    data: dict[str, npt.NDArray[Any]] = {
        "counts": design.counts,
        "centre": coordinates.centre,
        "spread": coordinates.spread,
        "fixed_sd": np.where(inner, prior.slab_sd, prior.main_sd),
        **_rows_of(design, "seen", slice(design.n_certain)),
    }
    last = design.n_certain + design.n_censored
    if design.n_censored:
        data |= {"bounds": design.bounds, **_rows_of(design, "bounded", slice(design.n_certain, last))}
    if size.is_proper:
        data |= {
            "size": np.array([size.shape, size.rate]),
            **_rows_of(design, "others", slice(design.n_certain, None)),
        }
    if prior.family == "horseshoe":
        interactions = [place for place, term in enumerate(design.terms) if term.order > 1]
        data |= {
            "fixed_sd": np.where(inner, 0.0, prior.main_sd),
            "follow": coordinates.follow,
            "loose": coordinates.loose,
            "belongs": (design.term_of[:, None] == np.array(interactions)).astype(np.float64),
            "scales": np.array([prior.global_scale, prior.slab_sd]),
        }
    return data


def _rows_of(design: CellsDesign, name: str, rows: slice) -> dict[str, npt.NDArray[Any]]:
    """Columns of the full cells of some rows, and with gaps the filling between them."""
    members, absent = design.members[rows], design.absent[rows]
    data = {name: design.columns[members.ravel()]}
    if absent.shape[1] > 1:
        data[f"{name}_filling"] = np.where(absent, ABSENT, 0.0)
    return data


def _coefficients(draws: Mapping[str, Floats], data: Arrays, prior: CoefficientPrior) -> dict[str, Floats]:
    """From the coordinates of the sampler to coefficients and scales."""
    z, found = draws["z"], {}
    theta = data["centre"] + z @ data["spread"].T
    if prior.family == "horseshoe":
        tau = prior.global_scale * draws["raw_tau"]
        wild = tau[..., None] * draws["lam"]
        scale = data["fixed_sd"] + (wild / np.hypot(1.0, wild / prior.slab_sd)) @ data["belongs"].T
        theta = theta + (data["loose"] * scale * z) @ data["follow"].T
        found = {"tau": tau, "lam": draws["lam"]}
    if "distance" in draws:
        n = data["counts"].sum()
        found["log_certain"] = np.log(n) + draws["distance"] / np.sqrt(n)
    return {"theta": theta, **found}


def _build(data: Arrays, *, shrunk: int) -> Any:
    """Make the PyMC model."""
    from pytensor import tensor

    pm = load_pymc()

    pt: Any = tensor  # ships no types
    with pm.Model() as model:
        d = {name: pm.Data(name, values) for name, values in data.items()}
        z = pm.Flat("z", shape=len(data["centre"]))
        scale = _horseshoe_scale(d, shrunk) if shrunk else d["fixed_sd"]
        theta = d["centre"] + d["spread"] @ z
        if shrunk:
            theta = theta + d["follow"] @ (d["loose"] * scale * z)
        density = -0.5 * pt.sqr(theta / scale) - pt.log(scale)
        if shrunk:
            density = pt.switch(d["loose"] > 0, -0.5 * pt.sqr(z), density)
        pm.Potential("prior", density.sum())
        pm.Potential("likelihood", _log_likelihood(d, theta))
    return model


def _horseshoe_scale(d: Mapping[str, Any], shrunk: int) -> Any:
    """Scale of every coefficient: the regularised horseshoe for interactions, fixed for main effects."""
    from pytensor import tensor

    pm = load_pymc()

    pt: Any = tensor
    tau = d["scales"][0] * pm.HalfCauchy("raw_tau", 1.0)
    wild = tau * pm.HalfCauchy("lam", 1.0, shape=shrunk)
    local = wild / pt.sqrt(1.0 + pt.sqr(wild / d["scales"][1]))
    return d["fixed_sd"] + d["belongs"] @ local


def _log_rows(d: Mapping[str, Any], name: str, theta: Any) -> Any:
    from pytensor import tensor

    pt: Any = tensor
    eta = d[name] @ theta
    filling = d.get(f"{name}_filling")
    return eta if filling is None else pt.logsumexp(eta.reshape(filling.shape) + filling, axis=1)


def _log_likelihood(d: Mapping[str, Any], theta: Any) -> Any:
    """Log likelihood of the counts and bounds, with the size of the population summed out where that is possible.

    With q the sum over all rows, A over those with a count, and a, b the shape and rate of the prior of the expected
    size, it is ``sum y log(row) + a log q - (n + a) log(b q + A)`` without bounds.
    """
    from pytensor import tensor

    pm = load_pymc()

    pt: Any = tensor
    certain, n = _log_rows(d, "seen", theta), d["counts"].sum()
    log_certain = pt.logsumexp(certain)
    by_count = (d["counts"] * certain).sum()
    log_all = None
    if "size" in d:
        log_all = pt.logaddexp(log_certain, pt.logsumexp(_log_rows(d, "others", theta)))
    if "bounds" not in d:
        if log_all is None:
            return by_count - n * log_certain
        a, b = d["size"][0], d["size"][1]
        return by_count + a * log_all - (n + a) * pt.logaddexp(pt.log(b) + log_all, log_certain)
    log_mean = pt.log(n) + pm.Flat("distance", shape=()) / pt.sqrt(n)
    censored = pt.exp(_log_rows(d, "bounded", theta) - log_certain + log_mean)
    total = by_count - n * log_certain + n * log_mean - pt.exp(log_mean)
    total = total + log_poisson_cdf(d["bounds"], censored).sum()
    if log_all is None:
        return total
    log_size = log_mean + log_all - log_certain
    return total + d["size"][0] * log_size - d["size"][1] * pt.exp(log_size)


def log_poisson_cdf(bound: Any, mean: Any) -> Any:
    """Log probability that a Poisson variable is at most a bound, for PyTensor, without loss far in the tail.

    Parameters
    ----------
    bound, mean : tensor

    Returns
    -------
    tensor

    Notes
    -----
    It is the regularised upper incomplete gamma function Q(bound + 1, mean). Where that would underflow, its continued
    fraction takes over, which needs few terms there.
    """
    from pytensor import tensor

    pt: Any = tensor  # ships no types
    s = bound + 1.0
    edge = s + SWITCH * pt.sqrt(s)
    far = pt.maximum(mean, edge)
    fraction = far + 2.0 * FRACTION_TERMS + 1.0 - s
    for k in range(FRACTION_TERMS, 0, -1):
        fraction = far + 2.0 * k - 1.0 - s - k * (k - s) / fraction
    tail = s * pt.log(far) - far - pt.gammaln(s) - pt.log(fraction)
    return pt.switch(mean > edge, tail, pt.log(pt.gammaincc(s, pt.minimum(mean, edge))))


# === where the posterior of a log-linear model lies and how it stretches ==============================================
# So that a sampler can start there.


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """Mode of the coefficients under normal priors, with the precision there.

    Attributes
    ----------
    theta : ndarray, shape (p,)
    precision : ndarray, shape (p, p)
        Fisher information plus that of the prior.
    """

    theta: Floats
    precision: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """``theta = centre + spread z + follow (loose scale z)``: coordinates z in which the posterior is nearly round.

    Attributes
    ----------
    centre : ndarray, shape (p,)
    spread, follow : ndarray, shape (p, p)
    loose : ndarray of float, shape (p,)
        1 for coefficients that are their prior scale times z, 0 for those whose z is a distance from the mode.
    """

    centre: Floats
    spread: Floats
    follow: Floats
    loose: Floats


def posterior_mode(design: CellsDesign, sd: Floats, columns: Bools | None = None) -> Mode:
    """Maximise the posterior of the coefficients by Fisher scoring, the total left out.

    Parameters
    ----------
    design : CellsDesign
    sd : ndarray, shape (p,)
        Standard deviations of independent normal priors around 0.
    columns : ndarray of bool, shape (p,), optional
        Coefficients that are free, the others 0.

    Returns
    -------
    Mode
        Cells with only an upper bound are left out: the mode is a place to start from.
    """
    free = np.ones(len(sd), dtype=np.bool_) if columns is None else columns
    theta = np.where(design.is_interaction | ~free, 0.0, -1.0)
    value = _log_posterior(design, theta, sd)
    for _ in range(MOST_STEPS):
        score, precision = _score(design, theta, sd)
        step = np.zeros(len(sd))
        step[free] = _solve(precision[np.ix_(free, free)], score[free])
        if score[free] @ step[free] < DECREMENT:
            break
        theta, value = _uphill(design, theta, step, value, sd)
    return Mode(theta, _score(design, theta, sd)[1])


def whitening(mode: Mode, is_interaction: Bools, *, shrinks: bool) -> Whitening:
    """Choose coordinates for a sampler.

    Parameters
    ----------
    mode : Mode
    is_interaction : ndarray of bool, shape (p,)
    shrinks : bool
        Whether the scale of interactions is unknown: those not clearly away from 0 are then multiples of their scale.

    Returns
    -------
    Whitening

    Notes
    -----
    With an unknown scale, a coefficient that the data leave near 0 and its scale form a funnel, which no step size
    fits; as a multiple of the scale it does not. A coefficient far from 0 is better taken by itself. All other
    coefficients are taken given these, as a regression on them.
    """
    loose = _near_zero(mode) & is_interaction if shrinks else np.zeros_like(is_interaction)
    tight = ~loose
    size = len(loose)
    spread, follow = np.zeros((size, size)), np.zeros((size, size))
    spread[np.ix_(tight, tight)] = _root_of_inverse(mode.precision[np.ix_(tight, tight)])
    follow[loose, loose] = 1.0
    if loose.any():
        slope = _solve(mode.precision[np.ix_(tight, tight)], mode.precision[np.ix_(tight, loose)])
        follow[np.ix_(tight, loose)] = -slope
    centre = np.where(tight, mode.theta - follow @ np.where(loose, mode.theta, 0.0), 0.0)
    return Whitening(centre, spread, follow, loose.astype(np.float64))


def information_scale(design: CellsDesign, main_sd: float) -> float:
    """Give the typical standard error of one interaction added to independence.

    Parameters
    ----------
    design : CellsDesign
    main_sd : float
        Prior standard deviation of main effects.

    Returns
    -------
    float
        Median over the interactions, on the scale of log odds ratios; 1 when there are none.
    """
    inner = design.is_interaction
    if not inner.any():
        return 1.0
    wide = np.full(len(inner), main_sd)
    precision = posterior_mode(design, wide, ~inner).precision - np.diag(np.where(inner, wide**-2, 0.0))
    cross = precision[np.ix_(~inner, inner)]
    left = np.diag(precision)[inner] - (cross * _solve(precision[np.ix_(~inner, ~inner)], cross)).sum(axis=0)
    return float(np.median(1.0 / np.sqrt(np.maximum(left, SMALLEST_EIGENVALUE))))


# --- steps ------------------------------------------------------------------------------------------------------------


def _log_posterior(design: CellsDesign, theta: Floats, sd: Floats) -> float:
    rows = design.log_rows(theta)[: design.n_certain]
    log_share = rows - logsumexp(rows)
    return float(design.counts @ log_share - 0.5 * ((theta / sd) ** 2).sum())


def _score(design: CellsDesign, theta: Floats, sd: Floats) -> tuple[Floats, Floats]:
    """Gradient, and Fisher information with that of the prior."""
    eta = design.columns @ theta
    members = design.members[: design.n_certain]
    logs = np.where(design.absent[: design.n_certain], -np.inf, eta[members])
    rows = logsumexp(logs, axis=1)
    within = np.exp(logs - rows[:, None])
    mean = np.einsum("rm,rmp->rp", within, design.columns[members])
    share = np.exp(rows - logsumexp(rows))
    total = design.counts.sum()
    centred = mean - share @ mean
    score = centred.T @ (design.counts - total * share) - theta / sd**2
    return score, total * (centred.T * share) @ centred + np.diag(sd**-2)


def _uphill(
    design: CellsDesign, theta: Floats, step: Floats, value: float, sd: Floats
) -> tuple[Floats, float]:
    """Take the longest halving of a step that does not go down by more than rounding."""
    least = value - 1e-13 * abs(value)
    for halving in range(MOST_HALVINGS):
        tried = theta + step / 2.0**halving
        reached = _log_posterior(design, tried, sd)
        if reached >= least:
            return tried, reached
    return theta, value


def _near_zero(mode: Mode) -> Bools:
    root = _root_of_inverse(mode.precision)
    return np.asarray(np.abs(mode.theta) < CLEARLY_ACTIVE * np.sqrt((root**2).sum(axis=1)))


def _solve(matrix: Floats, right: Floats) -> Floats:
    root = _root_of_inverse(matrix)
    return np.asarray(root @ (root.T @ right))


def _root_of_inverse(matrix: Floats) -> Floats:
    """Give a square root R of the inverse of a positive matrix, ``R R' = inverse``, with rounding kept out."""
    scale = 1.0 / np.sqrt(np.diag(matrix))
    values, vectors = np.linalg.eigh(matrix * scale * scale[:, None])
    return np.asarray(scale[:, None] * vectors / np.sqrt(np.maximum(values, SMALLEST_EIGENVALUE)))


# === from coefficients of a log-linear model to persons ===============================================================
# Sizes, hidden and censored cells, replicates, densities.


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
