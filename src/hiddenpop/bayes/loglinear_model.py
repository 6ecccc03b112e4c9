"""The log-linear model as PyMC holds it, for any design of cells."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Arrays, Floats
from hiddenpop.bayes.cells_design import CellsDesign
from hiddenpop.bayes.inference_data import load_pymc
from hiddenpop.bayes.loglinear_start import Whitening
from hiddenpop.bayes.sampling import Backend, Chains, sample

__all__ = ["CoefficientPrior", "PriorFamily", "SizeGamma", "Steps", "draw_chains", "log_poisson_cdf"]

PriorFamily = Literal["horseshoe", "normal"]

ABSENT = -1e6
"""Log weight of filling: nothing, yet with a gradient."""

SWITCH = 12.0
"""Standard deviations above the bound from where the tail of a Poisson is taken as a continued fraction."""

FRACTION_TERMS = 4
"""Of the continued fraction; from the switch on they give the logarithm to nine digits."""


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
    coordinates: Whitening,
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
    design: CellsDesign, prior: CoefficientPrior, size: SizeGamma, coordinates: Whitening
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
