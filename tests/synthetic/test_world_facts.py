"""Registers drawn from the shipped settings against the published figures, and from wrong settings against them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.synthetic.altered import altered

from hiddenpop.synthetic.world import World, draw_world, read_settings

COUNTRIES = 4
SIZE = COUNTRIES * 28_750
ERRORS = 4.0  # standard errors; about one false alarm in 16,000 checks
SEVEN = {"0363", "0599", "0518", "0344", "0202", "0080", "0400"}


def share_is(hits: "pd.Series[bool]", published: float) -> None:
    error = math.sqrt(published * (1 - published) / len(hits))
    assert len(hits) > 100
    assert abs(hits.mean() - published) < ERRORS * error


def number_is(number: int, published: float) -> None:
    assert abs(number - COUNTRIES * published) < ERRORS * math.sqrt(COUNTRIES * published)


def persons(world: World, agency: str, *, reported: bool = False) -> pd.DataFrame:
    """Give one row a person and year on the list of an agency."""
    rows = world.registrations.merge(
        world.links[world.links["file"] == "registrations"], left_on="registration", right_on="record"
    )
    rows = rows[(rows["agency"] == agency) & (rows["reported"] | (not reported))]
    return rows.drop_duplicates(["person", "year"])


def age_on(born: "pd.Series[Any]", day: "pd.Series[Any]") -> "pd.Series[int]":
    return (day.astype(int) - born.astype(int)) // 10_000


def days(later: "pd.Series[Any]", earlier: "pd.Series[Any]") -> "pd.Series[float]":
    return (pd.to_datetime(later, format="%Y%m%d") - pd.to_datetime(earlier, format="%Y%m%d")).dt.days


def victims_a_year(world: World) -> None:
    by_year = world.victims.groupby("year").size() / COUNTRIES
    assert by_year[2015] == pytest.approx(6250)
    assert by_year[2018] == pytest.approx(5000)
    assert by_year[2019] == pytest.approx(5000)


def sexual_exploitation(world: World) -> None:
    sexual = world.victims["form"].isin(["domestic_sexual", "cross_border_sexual"])
    early = world.victims["year"] < 2018
    assert sexual[early].mean() == pytest.approx(2 / 3, abs=0.001)
    assert sexual[~early].mean() == pytest.approx(0.5, abs=0.001)


def signalled_by_police(world: World) -> None:
    by_year = persons(world, "police").groupby("year").size()
    number_is(by_year[2015], 440)
    number_is(by_year[2019], 1015)
    assert by_year.is_monotonic_increasing


def reported_a_year(world: World) -> None:
    by_year = world.victims.groupby("year")["reported"].sum() / COUNTRIES
    assert by_year.between(950, 1300).all()


def care_reports_less(world: World) -> None:
    care = world.registrations[world.registrations["agency"].isin(["shelters", "coordinators", "youth_care"])]
    by_year = care.groupby("year")["reported"].sum()
    assert by_year[[2018, 2019]].max() < 0.75 * by_year[[2015, 2016, 2017]].min()


def labour_reports(world: World) -> None:
    found = persons(world, "labour_inspectorate", reported=True)
    assert (found.groupby("year").size() > COUNTRIES * 100).all()
    everything = persons(world, "labour_inspectorate")
    number_is(int(everything["investigated"].sum()), 5 * 8)


def municipalities(world: World) -> None:
    police = persons(world, "police")
    assert set(police["municipality"].value_counts().index[:10]) >= SEVEN


def suspects_a_year(world: World) -> None:
    by_year = world.cases.groupby("year").size() / COUNTRIES
    assert (by_year[2016], by_year[2019]) == (285, 170)


def young_offenders(world: World) -> None:
    young = age_on(world.cases["birth_date"], world.cases["suspicion_date"]) < 23
    share_is(young[world.cases["form"] == "domestic_sexual"], 1 / 3)
    share_is(young[world.cases["form"] == "criminal"], 1 / 5)


def women_among_suspects(world: World) -> None:
    share = (world.cases["sex"] == "F").mean()
    error = math.sqrt(share * (1 - share) / len(world.cases))
    assert 1 / 6 - ERRORS * error < share < 1 / 5 + ERRORS * error


def dismissals(world: World) -> None:
    decided = world.cases[world.cases["decision"].notna()]
    dismissed = decided["decision"] == "dismissed"
    share_is(dismissed[decided["year"] == 2016], 0.25)
    last = dismissed[decided["year"] == 2019]
    assert last.mean() + ERRORS * math.sqrt(0.24 / len(last)) > 0.40
    assert last.mean() > dismissed[decided["year"] == 2016].mean()


def reoffending(world: World) -> None:
    cases = world.cases[world.cases["form"] == "domestic_sexual"]
    share_is(days(cases["reoffence_date"], cases["suspicion_date"]) <= 730, 0.36)


def supervision(world: World) -> None:
    prison = world.cases[world.cases["sentence"] == "prison"]
    share_is(prison["supervision_date"].notna(), 25 / 85)
    assert len(prison) / COUNTRIES / 5 == pytest.approx(85, abs=8)


def without_help(world: World) -> None:
    helped = days(world.measures["help_date"], world.measures["measure_date"]) <= 183
    share_is(~helped, 0.15)


FACTS: list[tuple[Callable[[World], None], str, Any]] = [
    (victims_a_year, "victims.size.3", 6250),
    (sexual_exploitation, "victims.forms", {f: [0.2] * 5 for f in read_settings().forms}),
    (signalled_by_police, "agency.police.found.4", 1125),
    (reported_a_year, "agency.police.reported", [0.1] * 5),
    (care_reports_less, "agency.shelters.reported", [0.85] * 5),
    (labour_reports, "agency.labour_inspectorate.found.2", 90),
    (municipalities, "municipality.6.weight", 0.8),
    (suspects_a_year, "suspects.size.4", 210),
    (young_offenders, "suspects.ages.shares.criminal", [0.13, 0.17, 0.2, 0.3, 0.2]),
    (women_among_suspects, "suspects.women", 0.28),
    (dismissals, "cases.dismissed.4", 0.2),
    (reoffending, "cases.reoffend.domestic_sexual", 0.46),
    (supervision, "cases.supervised", 0.45),
    (without_help, "measures.without_help", 0.25),
]


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world(size=SIZE, rng=20210412)


@pytest.mark.parametrize("fact", [entry[0] for entry in FACTS], ids=lambda fact: fact.__name__)
def test_registers_show_what_was_published(world, fact):
    fact(world)


@pytest.mark.parametrize(("fact", "key", "value"), FACTS, ids=[entry[0].__name__ for entry in FACTS])
def test_the_check_sees_a_changed_setting(tmp_path, fact, key, value):
    wrong = draw_world(read_settings(altered(tmp_path, key, value)), size=SIZE, rng=20210412)
    with pytest.raises(AssertionError):
        fact(wrong)


def test_ages_are_those_of_the_groups(world):
    ages = age_on(world.cases["birth_date"], world.cases["suspicion_date"])
    assert ages.between(14, 69).all()
    expected = np.array(read_settings().suspects.ages.shares["domestic_sexual"])
    chosen = ages[world.cases["form"] == "domestic_sexual"]
    for (first, last), share in zip(read_settings().suspects.ages.groups, expected, strict=True):
        share_is(chosen.between(first, last), share)
