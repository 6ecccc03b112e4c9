"""Strata, lists and factors of a pooled model: what is counted where, and what varies by what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from hiddenpop._cells import distinct_texts, operating, unknown_name
from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.disclosure import is_small
from hiddenpop.errors import CapabilityError, SettingError, UnknownNameError
from hiddenpop.estimators.prepare import refuse_censored, without_empty_lists
from hiddenpop.result import Diagnostic
from hiddenpop.table import CaptureTable

__all__ = ["MOST_CELLS", "Factor", "Plan", "PooledDesign", "pooled_design"]

Kind = Literal["place", "levels", "walk"]

FEWEST_LISTS = 3
MOST_CELLS = 2**19
"""Strata times histories: every step of the sampler computes each. 10,000 strata of five lists, or a hundred of
twelve."""

MOST_COLUMNS = 200
MOST_LEVELS = 500
"""Of a covariate other than the place: its effects cost their number squared at every step."""


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
