import itertools
import math

import numpy as np
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.sample_coverage import SampleCoverage, coverage_summary
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
    estimate = SampleCoverage().fit(hp.datasets.load("hepatitis_a_taiwan"))
    assert round(estimate.n_hat, 1) == 970.8
    assert [d.name for d in estimate.diagnostics] == ["low_sample_coverage"]
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
    assert (estimate.interval.low, estimate.interval.high) == (estimate.n_observed, math.inf)
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
    assert (estimate.n_hat, estimate.status) == (1.0, "boundary")
    assert (estimate.interval.low, estimate.interval.high) == (1.0, math.inf)


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
    estimator = SampleCoverage(variant=variant)
    covered, n_tables = 0, 600
    for _ in range(n_tables):
        counts = rng.multinomial(size, probabilities)
        counts[0] = 0
        covered += size in estimator.fit(table_of(counts)).interval
    # Two and a half binomial standard errors about the nominal 95 %, and a point for the approximation.
    assert covered / n_tables == pytest.approx(0.95, abs=0.032)
