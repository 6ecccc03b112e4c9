"""Whether intervals of covariate models hold the truth, in total and by subgroup, where the model is right and not."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import hiddenpop as hp
from hiddenpop import CaptureTable
from hiddenpop.monitor import subgroups

pytestmark = pytest.mark.slow

LISTS = ("police", "shelter", "coordinator")
YEARS = ("2018", "2019", "2020")
# Log odds of being on each list, by sex; those of the first list rise from year to year.
ODDS = {"woman": (-0.6, -0.8, -1.4), "man": (-1.7, -1.1, -2.2)}
RISE = 0.3
SIZES = {("woman", year): 900 for year in YEARS} | {("man", year): 1500 for year in YEARS}
N_REP, N_BOOT = 300, 200

RIGHT = "police*sex + shelter*sex + coordinator*sex + police*year + sex*year"
WRONG = "police*year + shelter + coordinator + sex*year"


def one_table(rng):
    rows = []
    for (sex, year), size in SIZES.items():
        odds = np.array(ODDS[sex]) + np.array([RISE * YEARS.index(year), 0.0, 0.0])
        people = pd.DataFrame(rng.random((size, 3)) < expit(odds), columns=LISTS).astype(int)
        rows.append(people[people.any(axis=1)].assign(sex=sex, year=year))
    return CaptureTable.from_indicators(pd.concat(rows), lists=LISTS, strata=["sex", "year"], public=True)


@cache
def fits(model, interval):
    tables = [one_table(rng) for rng in np.random.default_rng(20261125).spawn(N_REP)]
    setting = hp.CovariateLogLinear(model=model, interval=interval, n_boot=N_BOOT)
    return [setting.fit(table, rng=rep) for rep, table in enumerate(tables)]


def covered(estimates, truth, limits):
    inside = [low <= truth <= high for low, high in map(limits, estimates)]
    return float(np.mean(inside))


ERROR = 3 * (0.95 * 0.05 / N_REP) ** 0.5
TRUTH = sum(SIZES.values())


@pytest.mark.parametrize("interval", ["bootstrap", "lognormal"])
def test_the_total_is_held_as_often_as_promised(interval):
    share = covered(fits(RIGHT, interval), TRUTH, lambda e: (e.interval.low, e.interval.high))
    assert share == pytest.approx(0.95, abs=ERROR)
    bias = np.mean([e.n_hat for e in fits(RIGHT, interval)]) / TRUTH - 1.0
    assert abs(bias) < 0.01


@pytest.mark.parametrize("interval", ["bootstrap", "lognormal"])
def test_a_stratum_is_held_as_often_as_promised(interval):
    """The twin of the total: limits of a stratum are for the persons in it, and hold them neither less nor more."""
    persons = pd.Series(SIZES)
    held = []
    for estimate in fits(RIGHT, interval):
        frame = estimate.by_stratum.set_index(["sex", "year"])
        there = persons.loc[frame.index]
        held.append(((frame["low"] <= there) & (there <= frame["high"])).to_numpy())
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)
    np.testing.assert_allclose(np.mean(held, axis=0), 0.95, atol=ERROR)


@pytest.mark.parametrize("year", YEARS)
def test_a_subgroup_is_held_as_often_as_promised(year):
    def limits(estimate):
        row = subgroups(estimate, "year").frame.set_index("year").loc[year]
        return row["low"], row["high"]

    truth = sum(size for (_, of), size in SIZES.items() if of == year)
    with pytest.warns(hp.errors.PersonYearsWarning):
        share = covered(fits(RIGHT, "bootstrap"), truth, limits)
    assert share == pytest.approx(0.95, abs=ERROR)


def test_a_model_without_what_the_lists_see_is_found_out():
    """Both lists see women more than men: without it they look dependent and the total comes out too low."""
    share = covered(fits(WRONG, "lognormal"), TRUTH, lambda e: (e.interval.low, e.interval.high))
    assert share < 0.8
