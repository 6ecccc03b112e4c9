"""Local populations of known size: many small places, lists that catch more here and less there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import as_number, check_share, check_whole
from hiddenpop.histories import decode
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["LocalWorld", "draw_local"]


LARGEST = 1e6
SD_OF_FACTOR = 1.959963984540054
PLACES_A_REGION = 29
"""342 municipalities make twelve regions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalWorld:
    """A table of small places, and what it should lead to.

    Attributes
    ----------
    table : CaptureTable
        Public, with the strata ``"municipality"``, ``"region"`` and, where asked for, ``"year"`` and ``"form"``.
    truth : DataFrame
        One row a stratum, also where nobody was observed: its levels, ``n`` (persons) and ``n_observed``.
    residents : DataFrame
        One row a place: ``municipality``, ``region``, ``residents``.
    """

    table: CaptureTable
    truth: pd.DataFrame
    residents: pd.DataFrame

    @property
    def places(self) -> tuple[str, ...]:
        """Every place there is."""
        return tuple(self.residents["municipality"])


def draw_local(
    *,
    n_places: int = 342,
    n_persons: int = 6000,
    exponent: float = 1.0,
    probabilities: Sequence[float] = (0.25, 0.18, 0.12, 0.2),
    odds_ratio: float = 1.6,
    spread: float = 3.0,
    years: Sequence[int] = (),
    year_step: float = 1.2,
    growth: float = 1.0,
    forms: Sequence[str] = (),
    form_spread: float = 2.0,
    rng: RNGLike = None,
) -> LocalWorld:
    """Draw a population place by place, and the lists that catch it.

    Parameters
    ----------
    n_places : int
    n_persons : int
        Expected persons in all places, years and forms together.
    exponent : float
        Sizes fall with the rank of the place to this power, as city sizes do; 0 makes all places alike.
    probabilities : sequence of float
        The chance of each list in a typical place, for persons on no other list.
    odds_ratio : float
        Between the first two lists, among persons on no other; the others are independent.
    spread : float
        At least 1. In 95 % of the places the odds of a list are within this factor of the typical ones.
    years : sequence of int
        Years, each with persons of its own.
    year_step : float
        The same as `spread`, for a step of the odds of a list to the next year.
    growth : float
        Factor of the size from one year to the next.
    forms : sequence of str
        Forms of exploitation; the first is the most frequent.
    form_spread : float
        The same as `spread`, between forms.
    rng : int, Generator or None

    Returns
    -------
    LocalWorld

    Raises
    ------
    SettingError
        For fewer than one place or person, chances that are not above 0 and below 1, and factors below 1.

    Notes
    -----
    With the defaults half of the places have at most six victims, and in a tenth of them nobody was observed. Places
    are numbered by their size and their regions follow each other in turn, so that each region has large and small
    places.

    Examples
    --------
    >>> world = draw_local(n_places=50, n_persons=1000, rng=1)
    >>> len(world.truth), world.table.n_observed == int(world.truth["n_observed"].sum())
    (50, True)
    """
    _check(n_places, n_persons, probabilities)
    factors = {"odds_ratio": odds_ratio, "spread": spread, "year_step": year_step, "form_spread": form_spread}
    for name, value in factors.items():
        _check_factor(name, value)
    generator = np.random.default_rng(rng)
    strata = _strata(n_places, years, forms)
    expected = n_persons * _shares(strata, n_places, exponent, growth, len(forms))
    effects = _effects(
        strata, len(probabilities), {"place": spread, "year": year_step, "form": form_spread}, generator
    )
    typical = np.log(probabilities) - np.log1p(-np.asarray(probabilities))
    counts = _counts(expected, typical + effects, math.log(odds_ratio), generator)
    levels = _levels(strata, years, forms)
    truth = levels.assign(n=counts.sum(axis=1), n_observed=counts[:, 1:].sum(axis=1))
    return LocalWorld(
        table=_table(levels, counts, len(probabilities)),
        truth=truth.sort_values(list(levels.columns), kind="stable").reset_index(drop=True),
        residents=_residents(n_places, exponent, generator),
    )


# --- sizes and chances ------------------------------------------------------------------------------------------------


def _strata(n_places: int, years: Sequence[int], forms: Sequence[str]) -> pd.DataFrame:
    crossed = pd.MultiIndex.from_product(
        [range(n_places), range(max(len(years), 1)), range(max(len(forms), 1))],
        names=["place", "year", "form"],
    )
    return crossed.to_frame(index=False)


def _shares(strata: pd.DataFrame, n_places: int, exponent: float, growth: float, n_forms: int) -> Floats:
    by_place = _place_shares(n_places, exponent)
    by_year = growth ** np.arange(strata["year"].max() + 1.0)
    by_form = 1.0 / np.arange(1.0, max(n_forms, 1) + 1.0)
    weight = by_place[strata["place"]] * by_year[strata["year"]] * by_form[strata["form"]]
    return np.asarray(weight / weight.sum())


def _place_shares(n_places: int, exponent: float) -> Floats:
    weight = np.arange(1.0, n_places + 1.0) ** -exponent
    return np.asarray(weight / weight.sum())


def _effects(
    strata: pd.DataFrame, n_lists: int, factors: dict[str, float], rng: np.random.Generator
) -> Floats:
    """Log odds of each list in each stratum, less those of a typical one; over years they walk."""
    total = np.zeros((len(strata), n_lists))
    for name, factor in factors.items():
        drawn = rng.standard_normal((strata[name].max() + 1, n_lists)) * math.log(factor) / SD_OF_FACTOR
        if name == "year":
            drawn = np.cumsum(drawn, axis=0) - drawn[0]
        elif len(drawn) == 1:
            drawn = np.zeros_like(drawn)
        total += drawn[strata[name]]
    return total


def _counts(expected: Floats, logits: Floats, interaction: float, rng: np.random.Generator) -> Floats:
    """Persons by history in each stratum, those on no list first."""
    n_lists = logits.shape[1]
    on = decode(np.arange(1 << n_lists), n_lists).astype(np.float64)
    eta = logits @ on.T + interaction * on[:, 0] * on[:, 1]
    share = np.exp(eta - eta.max(axis=1, keepdims=True))
    return np.asarray(
        rng.poisson(expected[:, None] * share / share.sum(axis=1, keepdims=True)), dtype=np.float64
    )


# --- frames -----------------------------------------------------------------------------------------------------------


def _codes(n_places: int) -> list[str]:
    return [f"{number:04d}" for number in range(1, n_places + 1)]


def _regions(n_places: int) -> list[str]:
    n_regions = max(n_places // PLACES_A_REGION, 1)
    return [f"region {place % n_regions + 1:02d}" for place in range(n_places)]


def _levels(strata: pd.DataFrame, years: Sequence[int], forms: Sequence[str]) -> pd.DataFrame:
    n_places = int(strata["place"].max()) + 1
    found = {
        "municipality": np.array(_codes(n_places))[strata["place"]],
        "region": np.array(_regions(n_places))[strata["place"]],
    }
    if years:
        found["year"] = np.array([str(year) for year in years])[strata["year"]]
    if forms:
        found["form"] = np.array(list(forms))[strata["form"]]
    return pd.DataFrame(found)


def _table(levels: pd.DataFrame, counts: Floats, n_lists: int) -> CaptureTable:
    stratum, history = np.nonzero(counts[:, 1:])
    names = [f"list_{position + 1}" for position in range(n_lists)]
    frame = pd.DataFrame(decode(history + 1, n_lists), columns=names)
    at = levels.iloc[stratum].reset_index(drop=True)
    count = counts[stratum, history + 1].astype(np.int64)
    return CaptureTable.from_counts(
        pd.concat([frame, at], axis=1).assign(count=count),
        lists=names,
        strata=list(levels.columns),
        name="local",
        population="Victims in a synthetic country, by municipality",
        public=True,
    )


def _residents(n_places: int, exponent: float, rng: np.random.Generator) -> pd.DataFrame:
    """Residents that go with the number of victims, not in strict proportion."""
    noise = np.exp(0.3 * rng.standard_normal(n_places))
    number = 1.74e7 * _place_shares(n_places, 0.8 * exponent) * noise / noise.mean()
    frame = pd.DataFrame({"municipality": _codes(n_places), "region": _regions(n_places)})
    return frame.assign(residents=np.maximum(np.round(number), 1000.0).astype(np.int64))


# --- settings ---------------------------------------------------------------------------------------------------------


def _check(n_places: int, n_persons: int, probabilities: Sequence[float]) -> None:
    check_whole("n_places", n_places)
    check_whole("n_persons", n_persons)
    for position, chance in enumerate(probabilities):
        check_share(f"probabilities[{position}]", chance)
        if chance in (0.0, 1.0):
            raise SettingError(f"probabilities[{position}]={chance!r} must be above 0 and below 1")


def _check_factor(name: str, value: float) -> None:
    if not 1.0 <= as_number(value) <= LARGEST:
        raise SettingError(f"{name}={value!r} must be a number from 1 to {LARGEST:g}")
