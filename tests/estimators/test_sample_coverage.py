import itertools
import math

import numpy as np
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.bootstrapped import Bootstrapped
from hiddenpop.estimators.sample_coverage import (
    SampleCoverage,
    coverage_summary,
    quotient_limits,
)
from hiddenpop.estimators.two_lists import LincolnPetersen
from hiddenpop.histories import decode

VARIANTS = ("independent", "high", "low")


def cell_probabilities(main: list[float], pairs: dict[tuple[int, int], float]) -> np.ndarray:
    """Probabilities of a log-linear model, the unobserved cell first."""
    bits = decode(np.arange(1 << len(main)), len(main)).astype(float)
    linear = bits @ np.array(main)
    for (i, j), value in pairs.items():
        linear += value * bits[:, i] * bits[:, j]
    return np.exp(linear) / np.exp(linear).sum()


PRINTED = [
    ("hepatitis_a_taiwan", 407.0, 970.8, 507.8, 0.513),
    ("congenital_anomalies", 629.5, 659.5, 649.3, 0.774),
]


@pytest.mark.parametrize(("name", "independent", "high", "low", "coverage"), PRINTED)
def test_printed_figures(name: str, independent: float, high: float, low: float, coverage: float) -> None:
    table = hp.datasets.load(name)
    for variant, printed in zip(VARIANTS, (independent, high, low), strict=True):
        estimate = SampleCoverage(variant=variant).fit(table)
        assert estimate.n_hat == pytest.approx(printed, abs=0.051)
        assert estimate.details["sample_coverage"] == pytest.approx(coverage, abs=5.1e-4)


def test_details_hold_all_three() -> None:
    by_variant = SampleCoverage().fit(hp.datasets.load("hepatitis_a_taiwan")).details["by_variant"]
    assert {name: round(form["n_hat"], 1) for name, form in by_variant.items()} == {
        "high": 970.8,
        "low": 507.8,
        "independent": 407.0,
    }


def test_low_coverage_recommends_the_low_variant_and_changes_nothing() -> None:
    estimate = SampleCoverage().fit(hp.datasets.load("hepatitis_a_taiwan"), rng=1)
    assert round(estimate.n_hat, 1) == 970.8
    assert [d.name for d in estimate.diagnostics] == ["low_sample_coverage", "bootstrap_limits"]
    assert "variant='low' is recommended" in estimate.diagnostics[0].message
    assert SampleCoverage().fit(hp.datasets.load("congenital_anomalies")).diagnostics == ()
    assert SampleCoverage(variant="low").fit(hp.datasets.load("hepatitis_a_taiwan")).diagnostics == ()


def test_independent_lists_make_all_three_exact() -> None:
    p = np.array([0.3, 0.4, 0.2, 0.35])
    bits = decode(np.arange(16), 4)
    counts = np.rint(10**9 * np.prod(np.where(bits, p, 1 - p), axis=1))
    for variant in VARIANTS:
        assert SampleCoverage(variant=variant).fit(table_of(counts)).n_hat == pytest.approx(10**9, rel=1e-6)


def test_two_lists_and_independence_are_petersen() -> None:
    pair = hp.datasets.load("kosovo").drop_list("ABA", "HRW")
    assert SampleCoverage(variant="independent").fit(pair).n_hat == pytest.approx(
        LincolnPetersen().fit(pair).n_hat
    )
    with pytest.raises(CapabilityError, match="cannot show whether they depend"):
        SampleCoverage().fit(pair)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_variance_is_the_delta_method_with_numerical_derivatives(variant: str) -> None:
    table = hp.datasets.load("congenital_anomalies")
    counts = table.to_dense().astype(float)

    def value(shifted: np.ndarray) -> float:
        summary = coverage_summary(shifted, 5)
        t, s = 5, summary.statistics
        alone, totals, a, both = s[1:6], s[6:11], s[11:21], s[21:31]
        pairs = list(itertools.combinations(range(5), 2))
        ratio = np.array([both[k] / totals[i] / totals[j] for k, (i, j) in enumerate(pairs)])
        d, c = s[0] - alone.mean(), 1.0 - (alone / totals).mean()
        if variant == "independent":
            return float(d / c)
        if variant == "high":
            return float((t * d - a.sum()) / (t * c - a @ ratio))
        once = d / c + (a @ (d / c * ratio - 1.0)) / (t * c)
        return float(d / c + (a @ (ratio * once - 1.0)) / (t * c))

    estimate = SampleCoverage(variant=variant).fit(table)
    assert estimate.n_hat == pytest.approx(value(counts), rel=1e-12)
    gradient = np.zeros(32)
    for cell in np.flatnonzero(counts):
        step = np.zeros(32)
        step[cell] = 1e-4
        gradient[cell] = (value(counts + step) - value(counts - step)) / 2e-4
    variance = gradient**2 @ counts - (gradient @ counts) ** 2 / estimate.n_hat
    assert estimate.details["standard_error"] == pytest.approx(math.sqrt(variance), rel=1e-5)


def test_petersen_variance_is_the_special_case() -> None:
    counts = np.array([0.0, 30.0, 20.0, 10.0])
    estimate = SampleCoverage(variant="independent").fit(table_of(counts))
    assert estimate.details["standard_error"] == pytest.approx(math.sqrt(40 * 30 * 30 * 20 / 10**3))


def test_no_overlap_is_unbounded() -> None:
    counts = np.array([0, 10, 20, 0, 30, 0, 0, 0], dtype=float)
    for variant in VARIANTS:
        estimate = SampleCoverage(variant=variant).fit(table_of(counts))
        assert (estimate.n_hat, estimate.status) == (math.inf, "unbounded")
        assert "sample coverage is 0" in estimate.reason


@pytest.mark.parametrize("name", ["western_us", "artificial_3", "new_orleans_185"])
def test_a_denominator_that_is_not_positive_gives_no_number(name: str) -> None:
    estimate = SampleCoverage().fit(hp.datasets.load(name))
    assert (estimate.n_hat, estimate.status) == (math.inf, "unbounded")
    assert "see variant 'low'" in estimate.reason
    assert estimate.interval.high == math.inf
    assert estimate.n_observed <= estimate.interval.low < 3 * estimate.n_observed
    assert estimate.details["by_variant"]["low"]["status"] == "ok"


@pytest.mark.parametrize("variant", VARIANTS)
def test_nobody_seen_once_is_the_boundary(variant: str) -> None:
    estimate = SampleCoverage(variant=variant).fit(
        table_of(np.array([0, 0, 0, 20, 0, 30, 10, 4], dtype=float))
    )
    assert (estimate.n_hat, estimate.status, estimate.interval.low) == (64.0, "boundary", 64.0)
    assert estimate.reason


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_person(variant: str) -> None:
    estimate = SampleCoverage(variant=variant).fit(table_of(np.array([0, 0, 0, 0, 0, 0, 0, 1], dtype=float)))
    assert (estimate.n_hat, estimate.status, estimate.interval.low) == (1.0, "boundary", 1.0)
    assert estimate.interval.high > 8.0


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_thousand_fold_table_gives_a_thousand_fold_estimate(variant: str) -> None:
    counts = hp.datasets.load("congenital_anomalies").to_dense().astype(float)
    small, large = (SampleCoverage(variant=variant).fit(table_of(counts * f)) for f in (1, 10**9))
    assert large.n_hat == pytest.approx(small.n_hat * 1e9, rel=1e-10)
    assert large.details["standard_error"] == pytest.approx(
        small.details["standard_error"] * math.sqrt(1e9), rel=1e-9
    )


def test_settings_are_checked() -> None:
    with pytest.raises(SettingError, match="variant='auto' is not one of"):
        SampleCoverage(variant="auto")


def random_tables(size: int, seed: int) -> list[np.ndarray]:
    """Counts of few persons on two to four lists, all of which caught somebody."""
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < size:
        n_lists = int(rng.integers(2, 5))
        counts = rng.integers(0, rng.integers(2, 13), 1 << n_lists) * (rng.random(1 << n_lists) < 0.5)
        counts[0] = 0
        if (decode(np.arange(1 << n_lists), n_lists).T @ counts).all():
            found.append(counts.astype(float))
    return found


def variants_for(counts: np.ndarray) -> tuple[str, ...]:
    return VARIANTS if len(counts) > 4 else ("independent",)


DEGENERATE = [
    [0, 0, 0, 0, 2, 3, 8, 8],
    [0, 0, 0, 0, 1, 3, 1, 0],
    [0, 0, 2, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 10, 0, 1, 4, 0, 0, 0, 0, 0, 0, 9, 3],
]


@pytest.mark.parametrize(
    ("interval", "level"),
    [
        ("lognormal", 0.5),
        ("lognormal", 0.999),
        ("by_coverage", 0.5),
        ("by_coverage", 0.95),
        ("bootstrap", 0.95),
        pytest.param("by_coverage", 0.999, marks=pytest.mark.slow),
        pytest.param("bootstrap", 0.999, marks=pytest.mark.slow),
    ],
)
def test_no_interval_of_few_persons_is_empty_below_what_was_seen_or_rid_of_its_estimate(
    interval: str, level: float
) -> None:
    for counts in [*map(np.array, DEGENERATE), *random_tables(12, seed=4)]:
        for variant in variants_for(counts):
            estimator = SampleCoverage(
                variant=variant, interval=interval, level=level, n_boot=10_000 if level > 0.99 else 200
            )
            estimate = estimator.fit(table_of(counts), rng=1)
            limits = estimate.interval
            assert limits.low >= estimate.n_observed
            assert limits.width >= 1e-6 * estimate.n_observed
            assert limits.high >= estimate.n_observed + 1 or (interval, estimate.status) == (
                "lognormal",
                "ok",
            )
            if estimate.status == "ok" and estimate.n_hat not in limits:
                assert "estimate_outside_interval" in {d.name for d in estimate.diagnostics}


def test_the_interval_follows_the_coverage_and_says_which_it_is() -> None:
    low, high = hp.datasets.load("hepatitis_a_taiwan"), hp.datasets.load("congenital_anomalies")
    assert SampleCoverage().fit(low, rng=1).interval.method.startswith("percentile bootstrap of 1,000 tables")
    assert SampleCoverage().fit(high, rng=1).interval.method.startswith("log-normal")
    assert SampleCoverage().fit(high, rng=1).draws is None
    asked = SampleCoverage(interval="bootstrap", n_boot=400).fit(high, rng=1)
    assert asked.interval.method.startswith("percentile bootstrap of 400 tables")
    assert (len(asked.draws), asked.draws_are, asked.n_failed) == (400, "bootstrap", 0)
    assert SampleCoverage(interval="lognormal").fit(low).interval.method.startswith("log-normal")


def test_equal_rng_gives_equal_bytes_and_none_draws_anew() -> None:
    table, estimator = hp.datasets.load("hepatitis_a_taiwan"), SampleCoverage()
    first, again = (estimator.fit(table, rng=np.random.default_rng(3)) for _ in range(2))
    assert first.draws.tobytes() == again.draws.tobytes()
    assert first.interval == again.interval
    assert estimator.fit(table).draws.tobytes() != estimator.fit(table).draws.tobytes()


def test_the_number_observed_varies_and_draws_without_a_number_widen_the_interval() -> None:
    estimate = SampleCoverage(n_boot=2000).fit(hp.datasets.load("hepatitis_a_taiwan"), rng=5)
    finite = np.isfinite(estimate.draws)
    assert estimate.n_failed == np.sum(~finite) > 0
    assert estimate.interval.low <= np.quantile(estimate.draws[finite], 0.025)
    # Resamples that keep n fixed leave out about 15 % of the variance of the independent form here.
    spread = SampleCoverage(variant="independent", interval="bootstrap").fit(
        hp.datasets.load("hepatitis_a_taiwan"), rng=5
    )
    assert np.std(spread.draws) == pytest.approx(spread.details["standard_error"], rel=0.08)


def test_limits_of_the_quotient_solve_their_own_condition() -> None:
    # A second route: the variance of numerator minus N times denominator by numerical derivatives.
    counts = hp.datasets.load("kosovo").to_dense().astype(float)
    counts[0] = 0.0
    summary = coverage_summary(counts, 4)

    def pieces(shifted: np.ndarray) -> np.ndarray:
        s = coverage_summary(shifted, 4).statistics
        alone, totals, a, both = s[1:5], s[5:9], s[9:15], s[15:21]
        first, second = np.triu_indices(4, k=1)
        ratio = both / totals[first] / totals[second]
        return np.array(
            [
                4 * (s[0] - alone.mean()) - a.sum(),
                4 * (1 - (alone / totals).mean()) - a @ ratio,
            ]
        )

    steps = 1e-4 * np.eye(16)[1:]
    slopes = np.array([(pieces(counts + step) - pieces(counts - step)) / 2e-4 for step in steps])
    at = pieces(counts)
    for limit in quotient_limits(summary, 1.96):
        gradient = slopes @ [1.0, -limit]
        value = at @ [1.0, -limit]
        variance = gradient**2 @ counts[1:] - (gradient @ counts[1:]) ** 2 / limit
        assert value**2 == pytest.approx(1.96**2 * variance, rel=1e-5)


def test_a_denominator_that_is_0_and_has_no_variance_bounds_nothing() -> None:
    estimate = SampleCoverage().fit(hp.datasets.load("artificial_3"))
    assert (estimate.interval.low, estimate.interval.high) == (96, math.inf)


def test_the_limit_at_the_boundary_of_two_lists_is_that_of_its_law() -> None:
    # List 2 inside list 1: with independent lists nobody is on list 2 alone with probability (1 - p2 (1 - p1))^N.
    counts = np.array([0.0, 40.0, 0.0, 20.0])
    table = table_of(counts)
    estimate = SampleCoverage(variant="independent", n_boot=20_000).fit(table, rng=2)

    def share(size: float) -> float:
        p1, p2 = 60.0 / size, 20.0 / size
        return float((1.0 - p2 * (1.0 - p1)) ** round(size))

    assert estimate.status == "boundary"
    assert share(estimate.interval.high) == pytest.approx(0.025, abs=0.006)
    assert "lists taken as independent" in estimate.interval.method


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_person_more_on_one_list_alone_brings_no_shorter_interval(variant: str) -> None:
    # At the boundary the limit follows from how often a table ends there; a person off it must not undo that.
    counts = np.array([0, 0, 0, 20, 0, 30, 10, 4], dtype=float)
    # The limit rests on drawn tables and on the sizes of the lists, so it may move a little.
    estimator = SampleCoverage(variant=variant, n_boot=2000)
    before = estimator.fit(table_of(counts), rng=1)
    assert before.status == "boundary"
    for cell in (1, 2, 4):
        more = counts.copy()
        more[cell] = 1.0
        after = estimator.fit(table_of(more), rng=1)
        assert after.interval.high >= before.interval.high - 0.1 * (before.interval.high - 64.0)


def test_a_level_beyond_all_resamples_gives_no_limit_and_says_so() -> None:
    estimate = SampleCoverage(level=1 - 1e-9).fit(hp.datasets.load("hepatitis_a_taiwan"), rng=1)
    assert (estimate.interval.low, estimate.interval.high) == (271, math.inf)
    assert "needs more than 100,000 tables" in estimate.interval.method
    with pytest.raises(SettingError, match="use at least 200"):
        SampleCoverage(n_boot=100)


def test_a_bootstrap_around_it_asks_for_the_number_alone() -> None:
    table = hp.datasets.load("korea")
    base = SampleCoverage(interval="bootstrap")
    wrapped = Bootstrapped(base=base, n_boot=200, interval="percentile").fit(table, rng=1)
    assert base.number(table) == (base.fit(table, rng=1).n_hat, "")
    assert np.isfinite(wrapped.draws).mean() > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "main", "pairs", "size"),
    [
        ("high", [-0.4, -0.4, -0.4], {}, 500),
        ("high", [-0.6, -0.4, -0.5, -0.8], {(0, 1): 0.8}, 1000),
        ("low", [-0.85, -0.4, -1.4, -0.6], {}, 1000),
        ("independent", [-0.85, -0.4, -1.4, -0.6], {}, 1000),
    ],
)
def test_intervals_cover(
    variant: str, main: list[float], pairs: dict[tuple[int, int], float], size: int
) -> None:
    rng = np.random.default_rng(20)
    probabilities = cell_probabilities(main, pairs)
    estimator = SampleCoverage(variant=variant, n_boot=400)
    covered, n_tables = 0, 600
    for _ in range(n_tables):
        counts = rng.multinomial(size, probabilities)
        counts[0] = 0
        covered += size in estimator.fit(table_of(counts), rng=rng).interval
    # Two and a half binomial standard errors about the nominal 95 %, and a point for the approximation.
    assert covered / n_tables == pytest.approx(0.95, abs=0.032)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chances", "size"),
    [
        ([0.06, 0.05, 0.05], 2000),
        ([0.06, 0.05, 0.05, 0.04], 1000),
        ([0.1, 0.1, 0.1], 300),
        ([0.7, 0.1, 0.1], 100),
        ([0.8, 0.7, 0.6], 100),
    ],
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_intervals_cover_where_few_are_on_two_lists_or_hardly_anybody_is_hidden(
    variant: str, chances: list[float], size: int
) -> None:
    # By the delta method alone: 0.47 to 0.76 for the high form in the first three, 0.4 to 0.9 in the last.
    rng = np.random.default_rng(21)
    estimator = SampleCoverage(variant=variant, n_boot=400)
    bits = decode(np.arange(1 << len(chances)), len(chances))
    probabilities = np.prod(np.where(bits, chances, 1 - np.array(chances)), axis=1)
    n_tables, covered, below = 200, 0, 0
    for _ in range(n_tables):
        counts = rng.multinomial(size, probabilities).astype(float)
        counts[0] = 0.0
        limits = estimator.fit(table_of(counts), rng=rng).interval
        covered += size in limits
        below += limits.high < size
    # Three binomial standard errors below 0.93, and above 0.05.
    assert covered / n_tables > 0.93 - 3 * math.sqrt(0.93 * 0.07 / n_tables)
    assert below / n_tables < 0.05 + 3 * math.sqrt(0.05 * 0.95 / n_tables)
