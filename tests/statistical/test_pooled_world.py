"""Pooled municipalities of the synthetic Dutch-like registers: whether chains agree on every one of 342."""

import dataclasses

import numpy as np
import pytest

from hiddenpop import PooledLogLinear
from hiddenpop.synthetic.world import draw_world, read_settings, world_table, world_truth
from hiddenpop.synthetic.world.settings import Municipality

pytestmark = pytest.mark.slow

N_PLACES, YEAR = 342, 2019


@pytest.fixture(scope="module")
def world():
    """A world in which every municipality of a country has a share, a twentieth of the persons in the largest."""
    places = tuple(
        Municipality(code=f"{i:04d}", name=f"place {i}", weight=20.0 / (i + 1))
        for i in range(1, N_PLACES + 1)
    )
    settings = dataclasses.replace(read_settings(), municipality=places)
    return draw_world(size=25_000, settings=settings, rng=1)


@pytest.fixture(scope="module")
def estimate(world):
    table = world_table(world, year=YEAR, strata=["municipality"])
    places = tuple(f"{i:04d}" for i in range(1, N_PLACES + 1))
    return PooledLogLinear(place="municipality", places=places).fit(table, rng=1)


def test_chains_agree_on_every_municipality_and_spread(estimate):
    worst = estimate.details["worst"]
    assert max(worst["stratum"]["rhat"], worst["spread"]["rhat"]) <= 1.01
    assert len(estimate.by_stratum) == N_PLACES
    assert estimate.status == "ok"


def test_heterogeneity_that_no_stratum_shows_makes_it_a_lower_bound(world, estimate):
    """Victims differ by form and visibility within a municipality, and lists refer to each other: half are missed."""
    truth = world_truth(world, year=YEAR, by=["municipality"])["n"].sum()
    assert estimate.n_observed < estimate.interval.low
    assert estimate.interval.high < truth
    held = estimate.by_stratum.merge(world_truth(world, year=YEAR, by=["municipality"]), on="municipality")
    covered = (held["low"] <= held["n"]) & (held["n"] <= held["high"])
    assert 0.5 < np.mean(covered) < 0.95
