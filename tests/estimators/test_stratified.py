import math

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop import CaptureTable, Coverage, datasets
from hiddenpop.errors import CapabilityError, SettingError, UnknownNameError
from hiddenpop.estimators.stratified import Stratified, sum_limits

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
    below = math.hypot(*(e.n_hat - e.interval.low for e in alone))
    assert estimate.interval.low == pytest.approx(estimate.n_hat - below)
    assert "recovery of variances" in estimate.interval.method
    assert estimate.draws is None


def test_one_stratum_is_the_estimate_of_the_base():
    table = datasets.load("kosovo")
    estimate, base = Stratified(base=INDEPENDENT).fit(table), INDEPENDENT.fit(table)
    assert (estimate.n_hat, estimate.interval) == (base.n_hat, base.interval)
    assert estimate.by_stratum.empty
    assert [d.name for d in estimate.diagnostics] == ["one_stratum"]


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
        ({"base": hp.LogLinear}, "is no estimator"),
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
