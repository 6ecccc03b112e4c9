import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2

import hiddenpop as hp
from hiddenpop import CaptureTable, Coverage, datasets
from hiddenpop.errors import CapabilityError, SettingError, UnknownNameError
from hiddenpop.estimators.stratified import Stratified, sum_limits
from hiddenpop.kernels.poisson.profile import (
    FEW_PERSONS,
    HiddenProfile,
    chi_square_drop,
    fall_limits,
    mid_p_drop,
    profile_curves,
    sum_of_profiles,
)
from hiddenpop.kernels.resampling.bootstrap_limits import bootstrap_limits

INDEPENDENT = hp.LogLinear()
LISTS = ("police", "shelter", "health")


def table_of(counts_by_stratum, covariate="region", **labels):
    """One row of seven counts a stratum, by history."""
    rows = [
        {**{name: w >> i & 1 for i, name in enumerate(LISTS)}, covariate: level, "count": count}
        for level, counts in counts_by_stratum.items()
        for w, count in enumerate(counts, start=1)
    ]
    labels = {"public": True, **labels}
    return CaptureTable.from_counts(pd.DataFrame(rows), lists=LISTS, strata=[covariate], **labels)


RICH = {"north": (40, 30, 6, 20, 5, 4, 2), "south": (80, 70, 16, 30, 9, 9, 3)}
# Nobody on two lists in the west: independence cannot bound the hidden there.
POOR = {**RICH, "west": (5, 4, 0, 3, 0, 0, 0)}


def test_the_total_is_the_sum_of_the_strata_fitted_apart():
    table = table_of(RICH)
    estimate = Stratified(base=INDEPENDENT).fit(table)
    alone = [INDEPENDENT.fit(table.select(region=level).collapse()) for level in RICH]
    assert estimate.n_hat == pytest.approx(sum(e.n_hat for e in alone), rel=1e-12)
    assert estimate.by_stratum["n_hat"].tolist() == [e.n_hat for e in alone]
    assert estimate.by_stratum["low"].tolist() == [e.interval.low for e in alone]
    assert estimate.interval.method == "profile of the total"
    assert estimate.draws is None


def test_without_a_likelihood_the_limits_of_the_strata_are_combined():
    table, base = table_of(RICH), hp.LogLinear(interval="lognormal")
    estimate = Stratified(base=base).fit(table)
    alone = [base.fit(table.select(region=level).collapse()) for level in RICH]
    below = math.hypot(*(e.n_hat - e.interval.low for e in alone))
    assert estimate.interval.low == pytest.approx(estimate.n_hat - below)
    assert "recovery of variances" in estimate.interval.method


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("counts", [RICH, {**RICH, "west": (0, 6, 9, 3, 4, 5, 2)}])
def test_the_profile_of_the_total_against_a_division_by_brute_force(counts, level):
    """At the limits the least deviance over all ways to divide the hidden is the drop that was asked for."""
    table = table_of(counts)
    estimate = Stratified(base=INDEPENDENT, level=level).fit(table)
    profiles = [INDEPENDENT.hidden_profile(table.select(region=name).collapse()) for name in counts]
    assert estimate.interval.low < estimate.n_hat < estimate.interval.high < math.inf
    for limit in (estimate.interval.low, estimate.interval.high):
        hidden = limit - estimate.n_observed
        risen = least_deviance(profiles, hidden)
        assert risen == pytest.approx(chi2.ppf(level, 1), rel=0.02)


def least_deviance(profiles, hidden):
    """Divide the hidden over the strata so that the sum of their deviances is least."""

    def total(shares):
        weights = np.append(np.exp(shares), 1.0)
        return sum(
            profile.rise_at(hidden * w / weights.sum()) for profile, w in zip(profiles, weights, strict=True)
        )

    start = np.array([max(p.n0_hat, 1e-3) for p in profiles])
    starts = [np.log(start[:-1] / start[-1]) + shift for shift in (-1.0, 0.0, 1.0)]
    return min(minimize(total, x, method="Nelder-Mead", options={"xatol": 1e-6}).fun for x in starts)


def test_a_stratum_at_the_boundary_widens_the_total_by_what_may_be_hidden_there():
    silent = {**RICH, "west": (3000, 0, 12, 0, 5, 0, 0)}  # everybody of the west is with the police
    rich, table = Stratified(base=INDEPENDENT).fit(table_of(RICH)), table_of(silent)
    estimate = Stratified(base=INDEPENDENT).fit(table)
    west = estimate.by_stratum.set_index("region").loc["west"]
    assert west["status"] == "boundary"
    assert west["high"] > west["n_observed"]
    more = estimate.interval.high - estimate.n_hat
    assert rich.interval.high - rich.n_hat < more
    assert more < rich.interval.high - rich.n_hat + west["high"] - west["n_observed"]


@pytest.mark.parametrize("parts", [(9, 16), (1,) * 25, (0,) * 10, (1, *(0,) * 9), (1, 2), (50, *(0,) * 30)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_poisson_counts_in_parts_bound_their_sum_as_one_count_does(parts, level):
    def profile(count):
        def deviance(n0):
            return 2.0 * (n0 - count - (count * math.log(max(n0, 1e-300) / count) if count else 0.0))

        return HiddenProfile(100.0, float(count), float(count), deviance)

    below, above = sum_of_profiles([profile_curves(profile(count), level) for count in parts], level)
    whole = profile(sum(parts))
    drop = mid_p_drop(sum(parts), level) if sum(parts) < FEW_PERSONS else 2 * chi_square_drop(level)
    low, high = fall_limits(whole, drop / 2)
    assert sum(parts) + above == pytest.approx(high, rel=0.01)
    assert sum(parts) - below == pytest.approx(low, rel=0.02, abs=0.02)


def test_one_stratum_is_the_estimate_of_the_base():
    table = datasets.load("kosovo")
    estimate, base = Stratified(base=INDEPENDENT).fit(table), INDEPENDENT.fit(table)
    assert (estimate.n_hat, estimate.interval) == (base.n_hat, base.interval)
    assert estimate.by_stratum.empty
    told = [*(d.name for d in base.diagnostics), "one_stratum"]
    assert [d.name for d in estimate.diagnostics] == told


def test_the_level_is_that_of_the_total_and_of_every_stratum():
    wide, narrow = (Stratified(base=INDEPENDENT, level=level).fit(table_of(RICH)) for level in (0.95, 0.5))
    assert narrow.interval.level == 0.5
    assert narrow.interval.width < wide.interval.width / 2
    assert (narrow.by_stratum["high"] < wide.by_stratum["high"]).all()


def test_draws_of_the_strata_add_up_and_bound_the_total():
    base = hp.Bootstrapped(base=INDEPENDENT, n_boot=400, interval="percentile")
    estimate = Stratified(base=base).fit(table_of(RICH), rng=1)
    assert estimate.draws_are == "bootstrap"
    assert estimate.stratum_draws.shape == (400, 2)
    np.testing.assert_array_equal(estimate.stratum_draws.sum(axis=1), estimate.draws)
    low, high = np.quantile(estimate.draws, [0.025, 0.975])
    assert estimate.interval.low == pytest.approx(low, rel=0.01)
    assert estimate.interval.high == pytest.approx(high, rel=0.02)


def test_posterior_draws_give_a_median():
    estimate = Stratified(base=hp.DecomposableAveraging(n_draws=2000)).fit(table_of(RICH), rng=1)
    assert estimate.draws_are == "posterior"
    assert estimate.n_hat == np.quantile(estimate.draws, 0.5, method="inverted_cdf")


def test_draws_of_two_strata_are_independent():
    base = hp.DecomposableAveraging(n_draws=4000)
    same = {"north": RICH["south"], "south": RICH["south"]}
    estimate = Stratified(base=base).fit(table_of(same), rng=1)
    correlation = np.corrcoef(np.log(estimate.stratum_draws.T))[0, 1]
    assert abs(correlation) < 0.06


@pytest.mark.parametrize(
    ("treated", "status"), [("none", "unbounded"), ("observed", "ok"), ("together", "unbounded")]
)
def test_a_stratum_without_information_is_said(treated, status):
    estimate = Stratified(base=INDEPENDENT, without_estimate=treated).fit(table_of(POOR))
    assert estimate.status == status
    assert estimate.n_failed == 1
    said = {d.name: d for d in estimate.diagnostics}["strata_without_estimate"]
    assert "region=west" in said.message
    assert estimate.details["strata_without_estimate"] == ["region=west"]


def test_as_observed_it_counts_for_no_more_than_was_seen():
    estimate = Stratified(base=INDEPENDENT, without_estimate="observed").fit(table_of(POOR))
    rich = Stratified(base=INDEPENDENT).fit(table_of(RICH))
    assert estimate.n_hat == pytest.approx(rich.n_hat + 12)
    assert "lower bound" in estimate.interval.method
    assert estimate.by_stratum.set_index("region").loc["west", "status"] == "unbounded"


def test_poor_strata_together_are_estimated_as_one():
    poor = {
        **RICH,
        "west": (5, 4, 0, 3, 0, 0, 0),
        "east": (6, 5, 2, 3, 0, 0, 0),
        "isle": (4, 9, 0, 0, 0, 0, 0),
    }
    alone = Stratified(base=INDEPENDENT).fit(table_of(poor))
    bad = alone.by_stratum.query("status != 'ok'")["region"].tolist()
    assert sorted(bad) != []
    estimate = Stratified(base=INDEPENDENT, without_estimate="together").fit(table_of(poor))
    merged = INDEPENDENT.fit(table_of(poor).select(region=bad).collapse())
    row = estimate.by_stratum.set_index("region").loc["together"]
    assert row["n_hat"] == merged.n_hat
    assert row["n_observed"] == merged.n_observed
    assert estimate.by_stratum["n_observed"].sum() == estimate.n_observed


ALL_PAIRS = hp.LogLinear(model="all-pairs")
# Alone each has a pair of lists that shares nobody besides those on all three: all pairs are unbounded.
WEST, EAST = (15, 14, 0, 13, 6, 5, 2), (16, 15, 7, 13, 0, 4, 2)
HEALTH_STOPPED = Coverage("health", "region", ("north", "south", "west", "east"))


def test_strata_with_other_lists_are_estimated_apart():
    """What a list that stopped would have caught is not known: strata go together with those of the same lists."""
    poor = {
        "north": RICH["north"],
        "west": WEST,
        "east": EAST,
        "cape": (9, 8, 0, 0, 0, 0, 0),
        "isle": (7, 6, 0, 0, 0, 0, 0),
    }
    table = table_of(poor, coverage=[HEALTH_STOPPED])
    rows = Stratified(base=ALL_PAIRS, without_estimate="together").fit(table).by_stratum.set_index("region")
    assert rows.index.tolist() == [
        "north",
        "together (police, shelter)",
        "together (police, shelter, health)",
    ]
    for region, regions in {
        "together (police, shelter)": ["cape", "isle"],
        "together (police, shelter, health)": ["west", "east"],
    }.items():
        merged = table.select(region=regions)
        merged = (merged if "health" in region else merged.drop_list("health")).collapse()
        alone = ALL_PAIRS.fit(merged)
        assert rows.loc[region, ["n_observed", "n_hat", "status"]].tolist() == [
            merged.n_observed,
            pytest.approx(alone.n_hat, rel=1e-12, nan_ok=True),
            alone.status,
        ]
    assert rows.loc["together (police, shelter, health)", "status"] == "ok"


def test_strata_of_which_a_list_stopped_in_all_go_together():
    """A gap by the covariate of the strata kept them apart, though the same lists operate in both."""
    poor = {**RICH, "west": WEST, "east": EAST}
    stopped = Coverage("church", "region", ("north", "south"))
    frame = table_of(poor).to_frame().assign(church=0)
    frame.loc[frame["region"] == "north", "church"] = 1
    table = CaptureTable.from_counts(
        frame, lists=[*LISTS, "church"], strata=["region"], coverage=[stopped], public=True
    )
    rows = Stratified(base=ALL_PAIRS, without_estimate="together").fit(table).by_stratum.set_index("region")
    merged = ALL_PAIRS.fit(table_of(poor).select(region=["west", "east"]).collapse())
    assert merged.status == "ok"
    assert rows.loc["together", "n_hat"] == pytest.approx(merged.n_hat, rel=1e-12)


def test_the_ways_out_that_are_named_work():
    """`together` is named only where it is another fit, and never to those who took it."""
    lists_stopped = [Coverage(name, "region", ("north", "south")) for name in ("shelter", "health")]
    worlds = {
        "two that go together": (ALL_PAIRS, {**RICH, "west": WEST, "east": EAST}, []),
        "one alone": (INDEPENDENT, POOR, []),
        "one list is left": (
            INDEPENDENT,
            {**RICH, "west": (25, 0, 0, 0, 0, 0, 0), "east": (31, 0, 0, 0, 0, 0, 0)},
            lists_stopped,
        ),
    }
    named = {}
    for name, (base, counts, coverage) in worlds.items():
        table = table_of(counts, coverage=coverage)
        reason = Stratified(base=base).fit(table).reason
        named[name] = '"together"' in reason
        for way in ('without_estimate="observed"', "covariate_loglinear", "stated as coverage"):
            assert way in reason
        assert Stratified(base=base, without_estimate="observed").fit(table).status == "ok"
        shared = hp.CovariateLogLinear(model="police + shelter + health + region", interval="lognormal")
        assert shared.fit(table).status == "ok"
        together = Stratified(base=base, without_estimate="together").fit(table)
        assert (together.status == "ok") is named[name]
        assert '"together"' not in together.reason
    assert named == {"two that go together": True, "one alone": False, "one list is left": False}


def test_a_stratum_that_has_none_to_go_with_keeps_its_name():
    rows = Stratified(base=INDEPENDENT, without_estimate="together").fit(table_of(POOR)).by_stratum
    assert rows["region"].tolist() == ["north", "south", "west"]


def test_a_stratum_that_is_called_together_stays_apart():
    poor = {"together": RICH["north"], "west": WEST, "east": EAST}
    estimate = Stratified(base=ALL_PAIRS, without_estimate="together").fit(table_of(poor))
    assert estimate.by_stratum["region"].tolist() == ["together", "(together)"]
    assert estimate.by_stratum["status"].tolist() == ["ok", "ok"]


def test_a_stratum_that_the_base_refuses_is_a_row_with_the_reason():
    table = table_of({**RICH, "west": (9, 0, 0, 0, 0, 0, 0)})
    estimate = Stratified(base=INDEPENDENT).fit(table)
    row = estimate.by_stratum.set_index("region").loc["west"]
    assert (row["status"], estimate.status) == ("not_identified", "not_identified")
    assert "needs at least 2 lists" in row["reason"]
    assert math.isnan(estimate.n_hat)


def test_a_base_that_can_treat_no_stratum_is_an_error():
    with pytest.raises(CapabilityError, match="can treat no stratum of table: region=north"):
        Stratified(base=hp.LatentClass()).fit(table_of(RICH).drop_list("health"))


def test_a_list_that_does_not_operate_plays_no_part():
    counts = {"north": RICH["north"], "south": (80, 70, 16, 0, 0, 0, 0)}
    table = table_of(counts, coverage=[Coverage("health", "region", ("north",))])
    estimate = Stratified(base=INDEPENDENT).fit(table)
    assert estimate.by_stratum["n_hat"].iloc[1] == pytest.approx((80 + 16) * (70 + 16) / 16)


def test_the_base_sees_the_covariates_that_are_not_strata():
    frame = pd.concat([table_of(RICH).to_frame().assign(sex=sex) for sex in ("man", "woman")])
    table = CaptureTable.from_counts(frame, lists=LISTS, strata=["region", "sex"], public=True)
    inner = Stratified(base=INDEPENDENT)
    nested = Stratified(base=inner, by=("region",)).fit(table)
    assert nested.by_stratum.columns[0] == "region"
    assert nested.n_hat == pytest.approx(inner.fit(table).n_hat)


def test_the_same_seed_gives_the_same_bytes_on_two_workers():
    base = hp.Bootstrapped(base=INDEPENDENT, n_boot=200, interval="percentile")
    table = table_of({f"{i:03}": RICH["north"] for i in range(60)})
    alone = Stratified(base=base).fit(table, rng=3)
    with hp.parallel(workers=2):
        spread = Stratified(base=base).fit(table, rng=3)
    np.testing.assert_array_equal(alone.stratum_draws, spread.stratum_draws)


def test_limits_of_a_sum_cover_it():
    """Log-normal estimates with their own limits: a little under 95 % as they are skewed; adding limits covers all."""
    rng = np.random.default_rng(5)
    truth, spread = np.array([100.0, 300.0, 40.0, 500.0]), np.array([0.3, 0.2, 0.5, 0.1])
    covered, by_adding = 0, 0
    for _ in range(4000):
        found = truth * np.exp(spread * rng.standard_normal(4))
        lows, highs = found * np.exp(-1.96 * spread), found * np.exp(1.96 * spread)
        low, high = sum_limits(found, lows, highs)
        covered += low <= truth.sum() <= high
        by_adding += lows.sum() <= truth.sum() <= highs.sum()
    assert 0.92 < covered / 4000 < 0.96
    assert by_adding / 4000 > 0.99


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base": hp.LogLinear}, "is not an estimator"),
        ({"by": ("region", "region")}, "each once"),
        ({"by": (1,)}, "must name covariates"),
        ({"without_estimate": "zero"}, "not one of 'none', 'observed', 'together'"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Stratified(**settings)


def test_an_unknown_covariate_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'region'"):
        Stratified(base=INDEPENDENT, by=("regoin",)).fit(table_of(RICH))


def test_a_covariate_that_is_not_there_is_refused_also_where_there_are_none():
    with pytest.raises(UnknownNameError, match="'region'"):
        hp.Stratified(by=("region",)).fit(hp.datasets.load("uk_5"))


def two_lists_by_region(counts_by_region):
    """Persons on the first list alone, on the second alone, and on both."""
    rows = [
        {"a": a, "b": b, "region": region, "count": count}
        for region, counts in counts_by_region.items()
        for (a, b), count in zip(((1, 0), (0, 1), (1, 1)), counts, strict=True)
    ]
    return CaptureTable.from_counts(pd.DataFrame(rows), lists=["a", "b"], strata=["region"])


def test_an_upper_limit_of_a_stratum_that_is_that_of_its_base_raises_that_of_the_total():
    # In the north two persons are on the second list alone: in 13 % of the resamples nobody is, nor is anybody hidden.
    base = hp.Bootstrapped(base=INDEPENDENT, n_boot=200)
    estimate = Stratified(base=base).fit(
        two_lists_by_region({"north": (400, 2, 20), "south": (40, 30, 60)}), rng=1
    )
    strata = estimate.by_stratum
    limits_of_draws = {"level": 0.95, "method": "percentile"}
    north = bootstrap_limits(estimate.stratum_draws[:, 0], strata["n_hat"][0], 422, **limits_of_draws)
    total = bootstrap_limits(estimate.draws, estimate.n_hat, estimate.n_observed, **limits_of_draws)
    assert strata["high"][0] > north.high  # raised to that of the base
    expected = estimate.n_hat + math.hypot(*(strata["high"] - strata["n_hat"]))
    assert estimate.interval.high == pytest.approx(expected)
    assert expected > total.high
    assert estimate.interval.method.endswith("; upper limit from those of the strata")
    calm = Stratified(base=base).fit(
        two_lists_by_region({"north": (40, 30, 20), "south": (40, 30, 60)}), rng=1
    )
    assert calm.interval.method == "percentile, sum of bootstrap draws by stratum"


@pytest.mark.parametrize("counts", [RICH, POOR, {**RICH, "west": (5, 4, 0, 3, 0, 0, 2)}])
@pytest.mark.parametrize("treated", ["none", "together", "observed"])
@pytest.mark.parametrize("base", [INDEPENDENT, hp.SelectedLogLinear(), hp.ChaoLowerBound()])
def test_the_number_alone_is_that_of_the_fit(base, treated, counts):
    method = Stratified(base=base, without_estimate=treated)
    table = table_of(counts)
    assert method.number(table)[0] == pytest.approx(method.fit(table).n_hat, rel=1e-9, nan_ok=True)
