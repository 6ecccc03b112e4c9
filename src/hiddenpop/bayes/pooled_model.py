"""The pooled log-linear model: its standard deviations, its coordinates, its draws."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Floats
from hiddenpop.bayes.cells_design import CellsDesign, Term
from hiddenpop.bayes.loglinear_model import Steps
from hiddenpop.bayes.loglinear_start import posterior_mode, whitening
from hiddenpop.bayes.pooled_design import Factor, PooledDesign
from hiddenpop.bayes.pooled_sampling import KEPT, draw_kept, refuse_chain
from hiddenpop.bayes.sampling import Chains
from hiddenpop.kernels.pooled_data import PooledData, n_parameters, packed, unpacked

__all__ = ["Hyper", "PooledPrior", "data_of", "draw_chains", "hypers_of", "refuse_memory"]


FEWEST_TO_CENTRE = 8.0
"""Persons from which a place's own count tells its size better than other places do, when these differ by a factor or
so."""

HALF_CENTRED = 3.0
"""How many times as well as the prior a place must tell the effect of a list to be taken half by itself."""


FEWEST_TOLD = 1.0
"""With less, effects are multiples of their standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledPrior:
    """Scales of the priors, on the scale of logs.

    Attributes
    ----------
    main_sd, interaction_sd : float
        Of the means of list effects and of interactions.
    list_scale, interaction_scale, size_scale, step_scale : float
        Of the half-normal priors of standard deviations.
    log_size : (float, float)
        Centre and precision of the log of the expected persons in a typical stratum; precision 0 is flat.
    """

    main_sd: float
    interaction_sd: float
    list_scale: float
    interaction_scale: float
    size_scale: float
    step_scale: float
    log_size: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyper:
    """A standard deviation that is estimated.

    Attributes
    ----------
    factor : str
        What varies, e.g. ``"municipality"``; ``"residual"`` for sizes within a place.
    effect : str
        ``"size"``, a list, ``"lists"`` together, or ``"interactions"`` together.
    scale : float
        Of its half-normal prior.
    """

    factor: str
    effect: str
    scale: float


def hypers_of(design: PooledDesign, prior: PooledPrior) -> tuple[Hyper, ...]:
    """Name the standard deviations of a model, in the order of its draws.

    Parameters
    ----------
    design : PooledDesign
    prior : PooledPrior

    Returns
    -------
    tuple of Hyper
    """
    found: list[Hyper] = []
    for factor in design.factors:
        if factor.n_free:
            found += _hypers_of_factor(factor, design, prior)
    if design.has_residual:
        found.append(Hyper(factor="residual", effect="size", scale=prior.list_scale))
    return tuple(found)


def _hypers_of_factor(factor: Factor, design: PooledDesign, prior: PooledPrior) -> list[Hyper]:
    if factor.kind == "walk":
        return [
            Hyper(factor=factor.name, effect=effect, scale=prior.step_scale) for effect in ("size", "lists")
        ]
    effects = design.lists if factor.kind == "place" else ("lists",)
    scales = [("size", prior.size_scale), *((effect, prior.list_scale) for effect in effects)]
    if design.n_pairs:
        scales.append(("interactions", prior.interaction_scale))
    return [Hyper(factor=factor.name, effect=effect, scale=scale) for effect, scale in scales]


def draw_chains(design: PooledDesign, prior: PooledPrior, steps: Steps, rng: np.random.Generator) -> Chains:
    """Draw from the posterior by NUTS.

    Parameters
    ----------
    design : PooledDesign
    prior : PooledPrior
    steps : Steps
    rng : Generator

    Returns
    -------
    Chains
        ``log_hidden`` (s,): log of the expected hidden persons, or with a residual of the scale of the gamma
        distribution of that expectation; ``hyper``: the standard deviations of `hypers_of`; ``log_level``: log of the
        expected size of a typical stratum; ``mean`` (p,): means of the coefficients.
    """
    data = data_of(design, prior)
    size, n_kept = n_parameters(data), design.n_strata + len(data.scales) + 1 + len(data.masks)
    chains = draw_kept(packed(data), size, n_kept, steps, rng)
    return chains if chains.failure else replace(chains, draws=unpacked(chains.draws[KEPT], data))


def refuse_memory(design: PooledDesign, prior: PooledPrior, steps: Steps) -> None:
    """Refuse a chain of so many effects that it would fill more memory than there may be.

    Raises
    ------
    CapabilityError
    """
    refuse_chain(n_parameters(data_of(design, prior)), steps)


# --- arrays -----------------------------------------------------------------------------------------------------------


def data_of(design: PooledDesign, prior: PooledPrior) -> PooledData:
    """Put a design and its priors into the arrays that the density takes.

    Parameters
    ----------
    design : PooledDesign
    prior : PooledPrior

    Returns
    -------
    PooledData
    """
    centre, spread, sd = _means(design, prior)
    n, others = design.observed, design.factors[1:]
    n_lists = len(design.lists)
    typical = math.log(max(n.mean(), 0.5))
    own, logs = _freedom(design)
    return PooledData(
        scales=np.array([hyper.scale for hyper in hypers_of(design, prior)]),
        own=own,
        logs=logs,
        centre=centre,
        spread=np.ascontiguousarray(spread),
        mean_sd=sd,
        level=np.array([typical, 1.0 / math.sqrt(n.sum() + 1.0), *prior.log_size]),
        offset=design.log_offset,
        cells=np.ascontiguousarray(design.counts),
        absent=design.absent.astype(np.int64) @ (1 << np.arange(n_lists)),
        masks=np.array(design.terms, dtype=np.int64),
        place=np.ascontiguousarray(design.place.index),
        places=_places(design),
        levels=np.array([factor.index for factor in others], dtype=np.int64).reshape(-1, len(n)),
        contrasts=_stacked([factor.contrasts for factor in others]),
        shapes=np.array(
            [[*factor.contrasts.shape, _n_varying(factor, design)] for factor in others], dtype=np.int64
        ).reshape(-1, 3),
        flags=np.array([design.n_pairs, design.has_residual], dtype=np.int64),
    )


def _n_varying(factor: Factor, design: PooledDesign) -> int:
    return len(design.lists) + (0 if factor.kind == "walk" else design.n_pairs)


def _places(design: PooledDesign) -> Floats:
    """Coordinates of the places: those that tell their size or lists well from their own counts, others from the prior.

    How well a place tells them depends on how much places differ, of which the moments give a first idea. Where they
    hardly differ, coordinates taken from the counts would be squeezed together as their standard deviation nears 0.
    """
    place, n_lists = design.place, len(design.lists)
    if not place.n_free:
        return np.zeros((3 + n_lists, 0))
    n = _by_level(place, design.observed)
    expected = _by_level(place, np.exp(design.log_offset))
    centred = n * min(_variance_of_sizes(n, expected), 1.0) >= FEWEST_TO_CENTRE
    near = np.where(centred, np.log(n + 0.5), 0.0)
    width = np.where(centred, 1.0 / np.sqrt(n + 1.0), 1.0)
    told = [_told(n, _by_level(place, on)) for on in _on_lists(design)]
    return np.array(
        [centred.astype(np.float64), near, width, *(share / (HALF_CENTRED + share) for share in told)]
    )


def _freedom(design: PooledDesign) -> tuple[Floats, npt.NDArray[np.int64]]:
    """For each standard deviation, how far effects are free of it, and whether its parameter is its logarithm.

    Effects of covariates with few levels are often known well: taken as multiples of their standard deviation they
    would have to move whenever it does. Where they may be 0, they are such multiples, and the standard deviation has a
    sign.
    """
    own: list[float] = []
    n_pairs = int(design.n_pairs > 0)
    for factor in design.factors:
        if factor.kind == "levels":
            own += [*_told_by_levels(factor, design), *[0.0] * n_pairs]
        elif factor.n_free:
            own += [0.0] * (2 if factor.kind == "walk" else 1 + len(design.lists) + n_pairs)
    found = np.array([*own, *[0.0] * design.has_residual])
    logs = found > 0.0
    logs[: 1 + len(design.lists) if design.place.n_free else 0] = True
    return found, logs.astype(np.int64)


def _told_by_levels(factor: Factor, design: PooledDesign) -> list[float]:
    """How far the effects of a covariate on sizes and on lists are free of their standard deviations."""
    if _is_above(factor, design.place):
        return [0.0, 0.0]
    n, strata = _by_level(factor, design.observed), _by_level(factor, np.exp(design.log_offset))
    size = float(np.mean(n)) * min(_variance_of_sizes(n, strata), 1.0)
    lists = float(np.mean([_told(n, _by_level(factor, on)) for on in _on_lists(design)]))
    return [told / (HALF_CENTRED + told) if told > FEWEST_TOLD else 0.0 for told in (size, lists)]


def _is_above(factor: Factor, place: Factor) -> bool:
    """Tell whether each place has one level: then few places tell its effect, however many persons they have."""
    pairs = np.unique(np.stack([place.index, factor.index]), axis=1)
    return bool(pairs.shape[1] == len(place.levels))


def _by_level(factor: Factor, values: Floats) -> Floats:
    return np.bincount(factor.index, values, len(factor.levels)).astype(np.float64)


def _on_lists(design: PooledDesign) -> Floats:
    """Persons on each list in each stratum, shape (k, s)."""
    return np.asarray((design.counts @ design.columns[:, : len(design.lists)]).T)


def _variance_of_sizes(n: Floats, expected: Floats) -> float:
    """Variance of places around what is expected, as a share of it squared, beyond that of Poisson counts."""
    expected = expected * n.sum() / expected.sum()
    return max(float(((n - expected) ** 2 - expected).sum() / (expected**2).sum()), 0.0)


def _told(n: Floats, on: Floats) -> Floats:
    """Persons on a list by place: the precision of its log odds there, in terms of their variance between places."""
    p = np.clip(on.sum() / max(n.sum(), 1.0), 1e-6, 1.0 - 1e-6)
    spread = p * (1.0 - p)
    beyond = ((on - n * p) ** 2 - n * spread).sum() / max((n * (n - 1.0)).sum(), 1.0) / spread
    return np.asarray(n * max(float(beyond), 0.0))


def _stacked(matrices: list[Floats]) -> Floats:
    shape = (
        np.array([matrix.shape for matrix in matrices], dtype=np.int64).reshape(-1, 2).max(axis=0, initial=0)
    )
    found = np.zeros((len(matrices), *shape))
    for number, matrix in enumerate(matrices):
        found[number, : matrix.shape[0], : matrix.shape[1]] = matrix
    return found


def _means(design: PooledDesign, prior: PooledPrior) -> tuple[Floats, Floats, Floats]:
    """Coordinates in which the means are nearly round, were all strata alike; and their prior."""
    orders = np.array([mask.bit_count() for mask in design.terms])
    sd = np.where(orders > 1, prior.interaction_sd, prior.main_sd)
    whole = _added_up(design)
    found = whitening(posterior_mode(whole, sd), orders > 1, shrinks=False)
    return found.centre, found.spread, sd


def _added_up(design: PooledDesign) -> CellsDesign:
    """Add up all strata; a list that does not operate is read as one that saw nobody, which is near enough to start."""
    columns = design.columns
    size = len(columns)
    rows = np.r_[1:size, 0]
    return CellsDesign(
        lists=design.lists,
        dropped=(),
        strata=design.strata.iloc[:1, :0],
        terms=tuple(
            Term(tuple(name for i, name in enumerate(design.lists) if mask >> i & 1)) for mask in design.terms
        ),
        columns=columns,
        term_of=np.arange(len(design.terms)),
        members=rows[:, None],
        absent=np.zeros((size, 1), dtype=np.bool_),
        histories=rows[:-1],
        stratum_of=np.zeros(size - 1, dtype=np.int64),
        counts=design.counts.sum(axis=0)[1:],
        bounds=np.zeros(0),
        diagnostics=(),
        has_small=False,
    )
