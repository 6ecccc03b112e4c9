"""From a world to a capture table whose true size is known."""

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from hiddenpop.errors import SettingError, UnknownNameError
from hiddenpop.synthetic.world.draw import World
from hiddenpop.table import CaptureTable, Coverage

__all__ = ["world_table", "world_truth"]

STRATA = ("year", "form", "sex", "minor", "municipality")
HOW_FIRST_SEEN = ("minor", "municipality")
"""What may change from year to year, and is that of the first year where years are added up."""


def world_table(
    world: World,
    *,
    year: int | None = None,
    strata: Sequence[str] = (),
    reported: bool = True,
    identify: Literal["person", "key"] = "person",
) -> CaptureTable:
    """Count the victims on the lists of the agencies.

    Parameters
    ----------
    world : World
    year : int, optional
        One year; by default all of them.
    strata : sequence of str
        Any of ``"year"``, ``"form"``, ``"sex"``, ``"minor"`` and ``"municipality"``, as they truly are.
    reported : bool
        Only registrations that were reported to the national coordination centre (the default), or all.
    identify : {"person", "key"}
        Who is the same person: by the true person number, or by the person key, which misses links.

    Returns
    -------
    CaptureTable
        Public, with lists in the order in which the agencies act. With the stratum ``"form"`` its coverage says which
        agencies never find victims of a form.

    Raises
    ------
    SettingError
        For a year that is not in the world.
    UnknownNameError
        For another stratum.

    Notes
    -----
    `world_truth` gives the size it should lead to. A person who is a victim in two years counts in each of them when
    the years are strata, and once when they are not.

    Examples
    --------
    >>> from hiddenpop.synthetic.world import draw_world
    >>> world = draw_world(size=5000, rng=1)
    >>> table = world_table(world, year=2019)
    >>> table.n_observed < world_truth(world, year=2019)
    True
    """
    units = _units(world, year, strata)
    rows = _identified(world, reported=reported, identify=identify).merge(
        units, on=["person", "year"], validate="many_to_one"
    )
    if not _pooled(year, strata):
        rows["identity"] += "/" + rows["year"].astype(str)
    return CaptureTable.from_registrations(
        rows[["identity", "agency", *strata]].astype(str),
        person="identity",
        list="agency",
        strata=list(strata),
        lists=list(world.coverage["agency"].unique()),
        name="world" if year is None else f"world {year}",
        population=f"Victims in the synthetic register world, {_period(world, year)}",
        public=True,
        coverage=_coverage(world, rows) if "form" in strata else (),
    )


def world_truth(world: World, *, year: int | None = None, by: Sequence[str] = ()) -> int | pd.DataFrame:
    """Count the victims there are, hidden ones included.

    Parameters
    ----------
    world : World
    year : int, optional
        One year; by default all of them.
    by : sequence of str
        Any of ``"year"``, ``"form"``, ``"sex"``, ``"minor"`` and ``"municipality"``.

    Returns
    -------
    int or DataFrame
        A number, or with `by` a row for each stratum, with the column ``"n"``.

    Raises
    ------
    SettingError
        For a year that is not in the world.
    UnknownNameError
        For another stratum.
    """
    units = _units(world, year, by)
    if _pooled(year, by):
        units = units.drop_duplicates("person")
    if not by:
        return len(units)
    return units[list(by)].astype(str).value_counts(sort=False).sort_index().rename("n").reset_index()


def _units(world: World, year: int | None, strata: Sequence[str]) -> pd.DataFrame:
    """Give the victims by person and year with their strata; over several years a person keeps those of the first."""
    for name in strata:
        if name not in STRATA:
            raise UnknownNameError(f"{name!r} is not a stratum of a world; choose from {', '.join(STRATA)}")
    units = world.victims[["person", *STRATA]]
    if year is not None:
        units = units[units["year"] == year]
        if units.empty:
            raise SettingError(f"the world has no victims in year={year!r}; it covers {_period(world, None)}")
    units = units.sort_values(["person", "year"], kind="stable").reset_index(drop=True)
    if _pooled(year, strata):
        persons = units.groupby("person")
        units = units.assign(**{name: persons[name].transform("first") for name in HOW_FIRST_SEEN})
    return units


def _pooled(year: int | None, strata: Sequence[str]) -> bool:
    return year is None and "year" not in strata


def _identified(world: World, *, reported: bool, identify: str) -> pd.DataFrame:
    """Give the registrations with the person behind each, and who a reader takes that person to be."""
    if identify not in ("person", "key"):
        raise SettingError(f"identify={identify!r} is not one of 'person', 'key'")
    found = world.registrations[world.registrations["reported"]] if reported else world.registrations
    links = world.links.loc[world.links["file"] == "registrations", ["record", "person"]]
    rows = found.merge(links, left_on="registration", right_on="record", validate="one_to_one")
    key = rows["RINPERSOONS"] + rows["RINPERSOON"]
    rows["identity"] = rows["person"].astype(str) if identify == "person" else key
    return rows[["identity", "agency", "person", "year"]]


def _coverage(world: World, rows: pd.DataFrame) -> list[Coverage]:
    """Say which agencies find only victims of some forms, in the forms that the table has."""
    there = sorted(set(rows["form"].astype(str)))
    sees = world.coverage.groupby("agency", sort=False)["form"].agg(set)
    levels = {agency: tuple(form for form in there if form in forms) for agency, forms in sees.items()}
    return [
        Coverage(str(agency), "form", forms)
        for agency, forms in levels.items()
        if forms and len(forms) < len(there)
    ]


def _period(world: World, year: int | None) -> str:
    if year is not None:
        return str(year)
    return f"{world.victims['year'].min()} to {world.victims['year'].max()}"
