"""Coverage of the default bootstrap, in total and by stratum, year and change; and that the published one lacks it."""

import numpy as np
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.kernels.resampling.bootstrap_limits import type8_quantile
from hiddenpop.synthetic import LIBRARY

pytestmark = pytest.mark.slow

LEAST, TABLES, SEED = 0.92, 200, 20261128
TAILS = (0.025, 0.975)


def coverage(estimator, world, tables=TABLES):
    rngs = np.random.default_rng(SEED).spawn(tables)
    found = [estimator.fit(world.draw(rng=rng), rng=rng).interval for rng in rngs]
    return np.mean([interval.low <= world.truth <= interval.high for interval in found])


@pytest.mark.parametrize("name", ["large-overlaps-three", "large-overlaps-unequal-three"])
def test_with_the_right_model_the_default_keeps_its_level_where_lists_overlap_well(name):
    base = hp.LogLinear(model=LIBRARY[name].model)
    assert coverage(hp.Bootstrapped(base=base, n_boot=200), LIBRARY[name]) >= LEAST
    for interval in ("bca", "percentile", "basic"):  # n is kept fixed, and its variance is missing
        published = hp.Bootstrapped(base=base, n_boot=200, scheme="multinomial", interval=interval)
        assert coverage(published, LIBRARY[name]) < 0.88


@pytest.mark.parametrize(
    "name", ["all-pairs-three", "large-overlaps-three", "large-overlaps-pair-three", "one-pair-three"]
)
def test_with_the_model_chosen_the_default_keeps_its_level(name):
    assert coverage(hp.Bootstrapped(n_boot=200), LIBRARY[name]) >= LEAST
    if name == "all-pairs-three":  # where the right model is seldom chosen, no other limits do
        assert coverage(hp.SelectedLogLinear(search="exact"), LIBRARY[name]) < 0.4
        assert coverage(hp.Bootstrapped(n_boot=200, scheme="parametric"), LIBRARY[name]) < 0.5
        assert coverage(hp.Bootstrapped(n_boot=200, interval="basic"), LIBRARY[name]) < 0.5


@pytest.mark.parametrize("name", ["one-pair-three", "large-overlaps-pair-three", "large-overlaps-five"])
def test_worlds_that_two_hundred_tables_leave_in_doubt_keep_their_level(name):
    base = hp.LogLinear(model=LIBRARY[name].model)
    assert coverage(hp.Bootstrapped(base=base, n_boot=200), LIBRARY[name], tables=1000) >= LEAST


def with_few_on_the_second_list_alone(size, first, second, tables, seed):
    """Tables of two independent lists on which the dark figure rests on a handful of persons."""
    shares = np.array(
        [(1 - first) * (1 - second), first * (1 - second), (1 - first) * second, first * second]
    )
    for rng in np.random.default_rng(seed).spawn(tables):
        counts = rng.multinomial(size, shares).astype(float)
        counts[0] = 0.0
        yield table_of(counts), rng


@pytest.mark.parametrize("law", [(300, 0.97, 0.6), (100, 0.9, 0.6), (400, 0.98, 0.6)])
def test_the_rule_on_resamples_with_nobody_hidden_keeps_the_level(law):
    estimator = hp.Bootstrapped(base=hp.LogLinear(), n_boot=200)
    found = [
        estimator.fit(table, rng=rng).interval
        for table, rng in with_few_on_the_second_list_alone(*law, 600, 9)
    ]
    assert np.mean([interval.low <= law[0] <= interval.high for interval in found]) >= LEAST


def by_year(scheme, base, tables=600):
    """Whether limits hold the truth, by year, for the total and for the ratio of the last year to the first."""
    world = LIBRARY["large-overlaps-years-three"]
    truth = world.truth_by_stratum()["n"].to_numpy()
    estimator = hp.Stratified(base=hp.Bootstrapped(base=base, n_boot=200, scheme=scheme))
    held = {"year": [], "total": [], "change": []}
    for rng in np.random.default_rng(SEED).spawn(tables):
        found = estimator.fit(world.draw(rng=rng), rng=rng)
        years, whole = found.by_stratum, found.interval
        ratio = np.sort(found.stratum_draws[:, -1] / found.stratum_draws[:, 0])
        low, high = (
            type8_quantile(ratio, tail, side) for tail, side in zip(TAILS, ("lower", "upper"), strict=True)
        )
        held["year"].append(np.mean((years["low"] <= truth) & (truth <= years["high"])))
        held["total"].append(whole.low <= world.truth <= whole.high)
        held["change"].append(low <= truth[-1] / truth[0] <= high)
    return {part: np.mean(hits) for part, hits in held.items()}


@pytest.mark.parametrize(
    "base", [hp.LogLinear(), hp.SelectedLogLinear(search="exact")], ids=["given", "chosen"]
)
def test_by_stratum_year_and_change_as_well_as_in_total(base):
    found = by_year("semiparametric", base)
    assert min(found.values()) >= LEAST, found


def test_with_the_number_observed_fixed_years_and_total_fall_short():
    found = by_year("multinomial", hp.LogLinear())
    assert max(found.values()) < 0.88, found
