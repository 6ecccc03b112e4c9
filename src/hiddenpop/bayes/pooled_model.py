"""Strata and factors of a pooled model, its coordinates and standard deviations, and NUTS over it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._cells import distinct_texts, operating, unknown_name
from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.bayes.cells_design import CellsDesign, Term
from hiddenpop.bayes.inference_data import load_pymc
from hiddenpop.bayes.loglinear_model import Steps, posterior_mode, whitening
from hiddenpop.bayes.sampling import NO_START, Chains, quietly, sample
from hiddenpop.disclosure import is_small
from hiddenpop.errors import CapabilityError, SettingError, UnknownNameError
from hiddenpop.estimators.prepare import refuse_censored, without_empty_lists
from hiddenpop.kernels.bayes.pooled_density import PooledData, n_parameters, packed, unpacked
from hiddenpop.parallel import threads
from hiddenpop.result import Diagnostic
from hiddenpop.table import CaptureTable

__all__ = [
    "Hyper",
    "Plan",
    "PooledDesign",
    "PooledPrior",
    "data_of",
    "draw_chains",
    "hypers_of",
    "pooled_design",
    "refuse_memory",
]

FEWEST_TO_CENTRE = 8.0
"""Persons from which a place's own count tells its size better than other places do, when these differ by a factor or
so."""

HALF_CENTRED = 3.0
"""How many times as well as the prior a place must tell the effect of a list to be taken half by itself."""

FEWEST_TOLD = 1.0
"""With less, effects are multiples of their standard deviation."""

Kind = Literal["place", "levels", "walk"]

FEWEST_LISTS = 3
MOST_CELLS = 2**19
"""Strata times histories: every step of the sampler computes each. 10,000 strata of five lists, or a hundred of
twelve."""

MOST_COLUMNS = 200
MOST_LEVELS = 500
"""Of a covariate other than the place: its effects cost their number squared at every step."""

KEPT = "kept"
BYTES_A_STEP = 16
"""Of nutpie for each parameter: its value and its slope."""

LARGEST_TRACE, LARGEST_CHAIN = 2**31, 2**33

FIRST = 1.0
"""Chains start within so much of 0, as nutpie starts PyMC's models."""


# === strata, lists and factors of a pooled model: what is counted where, and what varies by what ======================


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which covariate is what.

    Attributes
    ----------
    place, year, region : str or None
    places : tuple of (str, str), or None
        Every place there is, with its region, which is empty without one.
    residents : tuple of (tuple of str, float), or None
        Residents by the levels that make a place.
    order : int
        Most lists in an interaction.
    """

    place: str | None
    year: str | None
    region: str | None
    places: tuple[tuple[str, str], ...] | None
    residents: tuple[tuple[tuple[str, ...], float], ...] | None
    order: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factor:
    """Something by which list effects vary.

    Attributes
    ----------
    name : str
    kind : {"place", "levels", "walk"}
        One effect a level, the levels of a covariate around their mean, or a random walk around its mean.
    levels : tuple of tuple of str
        A level is the levels of one covariate or, of places, of all the covariates that make a place.
    index : ndarray of int, shape (s,)
        Level of each stratum.
    contrasts : ndarray, shape (levels, z)
        From independent standard normal variables to effects; no rows for places, whose effects are the variables.
    """

    name: str
    kind: Kind
    levels: tuple[tuple[str, ...], ...]
    index: Ints
    contrasts: Floats

    @property
    def n_free(self) -> int:
        """Number of variables behind the effects of one list."""
        return int(self.contrasts.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PooledDesign:
    """Counts by stratum and history, with the factors by which strata differ.

    Attributes
    ----------
    lists, dropped : tuple of str
        Lists that caught somebody, and that caught nobody.
    strata : DataFrame, shape (s, c)
    counts : ndarray, shape (s, 2**k)
        Persons by history over the lists that operate; column 0 is 0.
    absent : ndarray of bool, shape (s, k)
        Lists that do not operate in a stratum.
    terms : tuple of int
        Main effects, then interactions by order, as masks of lists.
    factors : tuple of Factor
        The place first.
    log_offset : ndarray, shape (s,)
        Log of the residents, relative to their mean; 0 without.
    diagnostics : tuple of Diagnostic
    has_small : bool
        Whether a cell holds so few people that a table that is not public must hide it.
    """

    lists: tuple[str, ...]
    dropped: tuple[str, ...]
    strata: pd.DataFrame
    counts: Floats
    absent: Bools
    terms: tuple[int, ...]
    factors: tuple[Factor, ...]
    log_offset: Floats
    diagnostics: tuple[Diagnostic, ...]
    has_small: bool

    @property
    def n_strata(self) -> int:
        """Number of strata."""
        return len(self.counts)

    @property
    def observed(self) -> Floats:
        """Persons observed by stratum."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def n_observed(self) -> int:
        """Persons observed."""
        return int(self.counts.sum())

    @property
    def has_gaps(self) -> bool:
        """Whether some list does not operate somewhere."""
        return bool(self.absent.any())

    @property
    def place(self) -> Factor:
        """The factor of the places."""
        return self.factors[0]

    @property
    def has_residual(self) -> bool:
        """Whether a place has several strata, which then differ in size by more than their factors say."""
        return len(self.place.levels) < self.n_strata

    @property
    def columns(self) -> Floats:
        """Which term counts in which history, shape (2**k, p)."""
        histories, masks = np.arange(self.counts.shape[1])[:, None], np.array(self.terms)[None, :]
        return np.asarray((histories & masks) == masks, dtype=np.float64)

    @property
    def n_pairs(self) -> int:
        """Interactions of two lists."""
        return sum(1 for mask in self.terms if mask.bit_count() == 2)


def pooled_design(table: CaptureTable, plan: Plan, *, estimator: str) -> PooledDesign:
    """Read a table as strata that are pooled.

    Parameters
    ----------
    table : CaptureTable
    plan : Plan
    estimator : str
        Name for the messages.

    Returns
    -------
    PooledDesign

    Raises
    ------
    CapabilityError
        For a table with censored cells, fewer than three lists that caught somebody, too many cells.
    SettingError
        For places in several regions, residents or places that are missing.
    UnknownNameError
        For a covariate that is not there.

    Warns
    -----
    EmptyListWarning
    """
    refuse_censored(table, estimator)
    table, dropped, diagnostics = without_empty_lists(table, 4)
    lists = table.lists
    strata, stratum_of = _strata(table, plan)
    _refuse_size(table, lists, len(strata), estimator)
    terms = _terms(len(lists), plan.order)
    counts = np.zeros((len(strata), 1 << len(lists)))
    np.add.at(counts, (stratum_of, table.histories), table.counts.astype(np.float64))
    factors = _factors(strata, plan)
    return PooledDesign(
        lists=lists,
        dropped=dropped,
        strata=strata,
        counts=counts,
        absent=_absent(table, strata, lists),
        terms=terms,
        factors=factors,
        log_offset=_log_offset(factors[0], plan),
        diagnostics=(*diagnostics, *_alone(strata)),
        has_small=any(is_small(count) for count in table.counts),
    )


# --- what is refused --------------------------------------------------------------------------------------------------


def _refuse_size(table: CaptureTable, lists: Sequence[str], n_strata: int, estimator: str) -> None:
    if len(lists) < FEWEST_LISTS:
        raise CapabilityError(
            f"{estimator} needs at least {FEWEST_LISTS} lists that caught somebody; {table.name} has {len(lists)}"
        )
    if n_strata << len(lists) > MOST_CELLS:
        raise CapabilityError(
            f"{estimator} computes {n_strata:,} strata times 2**{len(lists)} histories at every step, more than "
            f"{MOST_CELLS:,}; merge lists of the same kind with merge_lists, or collapse a covariate"
        )


def _alone(strata: pd.DataFrame) -> tuple[Diagnostic, ...]:
    if len(strata) > 1:
        return ()
    message = "there is one stratum, so nothing is pooled; bayesian_loglinear is the same model for one"
    return (Diagnostic("one_stratum", "info", message),)


# --- strata -----------------------------------------------------------------------------------------------------------


def _strata(table: CaptureTable, plan: Plan) -> tuple[pd.DataFrame, Ints]:
    """Give the strata, sorted by their levels, and that of each cell of the table."""
    found = table.strata
    for name in (plan.place, plan.year, plan.region):
        if name is not None and name not in found.columns:
            raise unknown_name("covariate", name, found.columns)
    if not table.has_strata:
        return pd.DataFrame(index=range(1)), np.zeros(len(table), dtype=np.int64)
    seen = found.drop_duplicates()
    if plan.places is not None:
        seen = _crossed(seen, plan)
    columns = list(found.columns)
    strata = seen.sort_values(columns, kind="stable").reset_index(drop=True)
    numbered = strata.assign(stratum=np.arange(len(strata)))
    joined = found.merge(numbered, on=columns, how="left", validate="many_to_one", sort=False)
    return strata, joined["stratum"].to_numpy(dtype=np.int64)


def _crossed(seen: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Cross all places there are with what else occurs."""
    place, own = str(plan.place), [str(plan.place), *([plan.region] if plan.region else [])]
    rows = plan.places or ()
    known = {level for level, _ in rows}
    for level in seen[place].unique():
        if level not in known:
            raise unknown_name(f"level of {place!r} in places", str(level), sorted(known))
    there = pd.DataFrame([row[: len(own)] for row in rows], columns=own).astype("str")
    if plan.region:
        _check_regions(pd.concat([seen[own], there]), place, plan.region)
    others = [column for column in seen.columns if column not in own]
    crossed = there.merge(seen[others].drop_duplicates(), how="cross") if others else there
    return crossed[list(seen.columns)]


def _check_regions(pairs: pd.DataFrame, place: str, region: str) -> None:
    """Refuse places that lie in several regions."""
    regions = pairs[[place, region]].drop_duplicates().groupby(place)[region].agg(list)
    for level, found in regions.items():
        if len(found) > 1:
            raise SettingError(
                f"region={region!r} must be the same for all strata of a place, and {place} {level!r} lies in "
                f"{' and '.join(sorted(found))}; correct the table, or leave region out and take it as a covariate"
            )


def _absent(table: CaptureTable, strata: pd.DataFrame, lists: Sequence[str]) -> Bools:
    masks = operating(table.lists, strata, table.coverage)
    bits = np.array([table.lists.index(name) for name in lists])
    return np.asarray(((masks[:, None] >> bits) & 1) == 0)


def _terms(n_lists: int, order: int) -> tuple[int, ...]:
    masks = sorted(range(1, 1 << n_lists), key=lambda mask: (mask.bit_count(), mask))
    chosen = tuple(mask for mask in masks if mask.bit_count() <= order)
    if len(chosen) > MOST_COLUMNS:
        raise CapabilityError(
            f"interactions up to order {order} of {n_lists} lists are {len(chosen):,} coefficients, more than "
            f"{MOST_COLUMNS}; lower order, or merge lists of the same kind with merge_lists"
        )
    return chosen


# --- factors ----------------------------------------------------------------------------------------------------------


def _factors(strata: pd.DataFrame, plan: Plan) -> tuple[Factor, ...]:
    above = [name for name in (plan.year, plan.region) if name is not None]
    own = [column for column in strata.columns if column not in above] if plan.place is None else [plan.place]
    others = [column for column in strata.columns if column not in (*own, *above)]
    if plan.region and plan.place:
        _check_regions(strata, plan.place, plan.region)
    factors = [_place(strata, own, above)]
    factors += [_levels(strata, name) for name in others]
    if plan.region:
        factors.append(_levels(strata, plan.region))
    if plan.year:
        factors.append(_walk(strata, plan.year))
    return (factors[0], *(factor for factor in factors[1:] if factor.n_free))


def _place(strata: pd.DataFrame, own: Sequence[str], above: Sequence[str]) -> Factor:
    """Take every combination of levels for a place; the levels are its identity, and not a text made of them."""
    rows = list(strata[list(own)].itertuples(index=False, name=None))
    levels = sorted(set(rows))
    place_of = {level: at for at, level in enumerate(levels)}
    size = len(levels)
    name, *_ = distinct_texts([tuple(own), *((other,) for other in above)], " / ")
    return Factor(
        name=name or "stratum",
        kind="place",
        levels=tuple(levels),
        index=np.array([place_of[row] for row in rows], dtype=np.int64),
        contrasts=np.zeros((0, size if size > 1 else 0)),
    )


def _levels(strata: pd.DataFrame, name: str) -> Factor:
    index, levels = pd.factorize(strata[name], sort=True)
    if len(levels) > MOST_LEVELS:
        raise CapabilityError(
            f"{name} has {len(levels):,} levels and only the place may have more than {MOST_LEVELS}; name it as "
            f"place, or collapse it"
        )
    return Factor(
        name=name,
        kind="levels",
        levels=tuple((str(level),) for level in levels),
        index=index.astype(np.int64),
        contrasts=_around_mean(np.eye(len(levels))),
    )


def _around_mean(effects: Floats) -> Floats:
    """Write effects that add up to 0 in as few independent variables as they have degrees of freedom."""
    centred = effects - effects.mean(axis=0)
    vectors, values, _ = np.linalg.svd(centred, full_matrices=False)
    free = len(effects) - 1
    return np.asarray(vectors[:, :free] * values[:free])


def _walk(strata: pd.DataFrame, name: str) -> Factor:
    """Order the years, and let a step over several years be as much wider as several steps."""
    at = pd.to_numeric(strata[name], errors="coerce")
    if at.isna().any():
        raise SettingError(
            f"year={name!r} must have numbers as levels, to know their order; "
            f"{strata[name][at.isna()].iloc[0]!r} is none"
        )
    times = np.unique(at.to_numpy(dtype=np.float64))
    steps = np.tril(np.ones((len(times), len(times))), -1)[:, :-1] * np.sqrt(np.diff(times))
    by_time = strata[name].groupby(at).first()
    return Factor(
        name=name,
        kind="walk",
        levels=tuple((str(level),) for level in by_time),
        index=np.searchsorted(times, at.to_numpy(dtype=np.float64)).astype(np.int64),
        contrasts=steps - steps.mean(axis=0),
    )


def _without_residents(
    place: Factor, level: tuple[str, ...], known: Mapping[tuple[str, ...], float]
) -> UnknownNameError:
    """Name a place by its level or, where several covariates make it, as the tuple that residents must have."""
    name, *names = (one[0] if len(one) == 1 else repr(one) for one in (level, *known))
    error = unknown_name(f"level of {place.name!r} in residents", name, names)
    if len(level) == 1:
        return error
    return type(error)(f"{error}; several covariates make a place here, so give their levels as a tuple")


def _log_offset(place: Factor, plan: Plan) -> Floats:
    if plan.residents is None:
        return np.zeros(len(place.index))
    known = dict(plan.residents)
    for level in place.levels:
        if level not in known:
            raise _without_residents(place, level, known)
    logs = np.log([known[level] for level in place.levels])
    return np.asarray((logs - np.log(np.exp(logs - logs.max()).mean()) - logs.max())[place.index])


# === the pooled log-linear model: its standard deviations, its coordinates, its draws =================================


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


# === NUTS over a pooled model: by nutpie on its compiled density, or by PyMC ==========================================


def draw_kept(data: Floats, n_parameters: int, n_kept: int, steps: Steps, rng: np.random.Generator) -> Chains:
    """Draw from a pooled model by NUTS, and keep of each draw what its strata need.

    Parameters
    ----------
    data : ndarray
        By `pooled_data.packed`.
    n_parameters, n_kept : int
    steps : Steps
    rng : Generator

    Returns
    -------
    Chains
        With the draws ``"kept"``.

    Raises
    ------
    CapabilityError
        When a single chain would fill more than eight gigabytes.

    Notes
    -----
    Nutpie takes the density as it is, without PyMC between. Written in PyTensor the model is more than a hundred
    operations, which take half a minute to compile for every shape of table; the density is compiled once and numba
    keeps it on disk. PyMC's own sampler, the fallback, has the same density as one operation of `pymc_model`.

    While a chain is drawn, nutpie holds its parameters and its gradient at every step. Where those of all chains would
    fill more than two gigabytes, they are drawn one after the other.
    """
    refuse_chain(n_parameters, steps)
    if steps.backend == "nutpie":
        return _by_nutpie(data, n_parameters, n_kept, steps, int(rng.integers(2**31)))
    return sample(
        lambda arrays: pymc_model(arrays["data"], n_parameters, n_kept),
        ("pooled", n_parameters, n_kept),
        {"data": data},
        n_draws=steps.n_draws,
        n_tune=steps.n_tune,
        n_chains=steps.n_chains,
        target_accept=steps.target_accept,
        rng=rng,
        backend="pymc",
    )


def pymc_model(data: Floats, n_parameters: int, n_kept: int) -> Any:
    """Make the PyMC model.

    Parameters
    ----------
    data : ndarray
    n_parameters, n_kept : int

    Returns
    -------
    pymc.Model
        With the parameters ``x``, flat before the density is added, and what is kept.
    """
    pm = load_pymc()

    from hiddenpop.bayes.pooled_op import PooledDensity

    with pm.Model() as model:
        x = pm.Flat("x", shape=n_parameters)
        outputs: Any = PooledDensity(n_kept)(x, pm.Data("data", data))
        pm.Potential("density", outputs[0])
        pm.Deterministic(KEPT, outputs[2])
    return model


def _bytes_of_chain(n_parameters: int, steps: Steps) -> int:
    return BYTES_A_STEP * n_parameters * (steps.n_draws + steps.n_tune)


def refuse_chain(n_parameters: int, steps: Steps) -> None:
    """Refuse a chain that would fill more memory than there may be.

    Raises
    ------
    CapabilityError
    """
    needed = _bytes_of_chain(n_parameters, steps)
    if needed > LARGEST_CHAIN:
        raise CapabilityError(
            f"{n_parameters:,} effects at {steps.n_draws + steps.n_tune:,} steps of a chain need "
            f"{needed / 1e9:.0f} gigabytes, more than {LARGEST_CHAIN / 1e9:.0f}; lower n_draws, take order=1, or "
            f"collapse places"
        )


def _by_nutpie(data: Floats, n_parameters: int, n_kept: int, steps: Steps, seed: int) -> Chains:
    together = _bytes_of_chain(n_parameters, steps) * steps.n_chains <= LARGEST_TRACE
    calls = [steps.n_chains] if together else [1] * steps.n_chains
    try:
        with quietly():
            found = [
                _one_call(data, n_parameters, n_kept, steps, n_chains, seed + number)
                for number, n_chains in enumerate(calls)
            ]
    except RuntimeError as error:
        return Chains(draws={}, n_divergent=0, backend="nutpie", failure=f"{NO_START} ({error})")
    return Chains(
        draws={KEPT: np.concatenate([kept for kept, _ in found])},
        n_divergent=sum(divergent for _, divergent in found),
        backend="nutpie",
    )


def _one_call(
    data: Floats, n_parameters: int, n_kept: int, steps: Steps, n_chains: int, seed: int
) -> tuple[Floats, int]:
    """Draw some chains; give what is kept, and the number of divergent draws."""
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    compiled = from_pyfunc(
        n_parameters,
        lambda: partial(_value_and_gradient, data=data),
        lambda *_: partial(_kept, data=data),
        [np.dtype(np.float64)],
        [(n_kept,)],
        [KEPT],
        make_initial_point_fn=lambda chain_seed: _start(n_parameters, chain_seed),
    )
    trace = nutpie.sample(
        compiled,
        draws=steps.n_draws,
        tune=steps.n_tune,
        chains=n_chains,
        target_accept=steps.target_accept,
        seed=seed,
        cores=threads(n_chains),
        save_warmup=False,
        progress_bar=False,
    )
    kept = np.asarray(trace.posterior[KEPT].to_numpy(), dtype=np.float64)
    return kept, int(trace.sample_stats["diverging"].sum())


def _value_and_gradient(x: Floats, data: Floats) -> tuple[float, Floats]:
    from hiddenpop.kernels.bayes.pooled_density import packed_density

    found = packed_density(np.array(x), data)
    return float(found[0]), found[1 : 1 + len(x)]


def _kept(x: Floats, data: Floats) -> dict[str, Floats]:
    from hiddenpop.kernels.bayes.pooled_density import packed_density

    return {KEPT: packed_density(np.array(x), data)[1 + len(x) :]}


def _start(n_parameters: int, seed: int) -> Floats:
    return np.random.default_rng(seed).uniform(-FIRST, FIRST, n_parameters)
