"""Few persons on two to four lists, at low and high levels: what no interval may be."""

import math

import numpy as np
import pytest
from tests.support.tables import table_of

from hiddenpop import ChaoLowerBound, ClosedPopulation, SampleCoverage
from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.histories import decode
from hiddenpop.result import Estimate

MODELS = [
    {"model": "M0"},
    {"model": "Mt"},
    {"model": "Mb"},
    {"model": "Mbh"},
    *(
        {"model": model, "heterogeneity": form}
        for model in ("Mh", "Mth")
        for form in ("chao", "poisson", "darroch", "gamma")
    ),
]
INTERVALS = ("profile", "lognormal", "wald")
N_BOOT = {0.5: 200, 0.95: 200, 0.999: 10_000}


def estimators(level: float) -> list[Estimator]:
    """Every form of the three families; sample coverage draws tables, which at a high level are many."""
    draws = ("lognormal",) if level > 0.99 else ("lognormal", "by_coverage", "bootstrap")
    return [
        *(ChaoLowerBound(interval=i, list_effects=e, level=level) for i in INTERVALS for e in (True, False)),
        *(ClosedPopulation(**model, interval="profile", level=level) for model in MODELS),
        *(ClosedPopulation(**model, interval="lognormal", level=level) for model in MODELS[:2]),
        *(
            ClosedPopulation(**model, bias_corrected=True, interval=i, level=level)
            for model in ({"model": "Mt"}, {"model": "Mth"})
            for i in ("lognormal", "wald")
        ),
        *(
            SampleCoverage(variant=v, interval=i, level=level, n_boot=N_BOOT[level])
            for v in ("high", "low", "independent")
            for i in draws
        ),
    ]


def few_persons(size: int, seed: int) -> list[np.ndarray]:
    """Tables of two to four lists, all of which caught somebody, in which most cells hold nobody, one or two."""
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < size:
        n_lists = int(rng.integers(2, 5))
        counts = rng.poisson(rng.choice([0.4, 1.0, 3.0]), 1 << n_lists) * (rng.random(1 << n_lists) < 0.8)
        counts[0] = 0
        if (decode(np.arange(1 << n_lists), n_lists).T @ counts).all():
            found.append(counts)
    return found


def check_interval(estimate: Estimate) -> None:
    limits = estimate.interval
    assert not math.isnan(limits.low)
    assert not math.isnan(limits.high)
    assert limits.low >= estimate.n_observed
    assert limits.width >= 1e-6 * estimate.n_observed
    if estimate.status in ("ok", "boundary") and estimate.n_hat not in limits:
        said = {diagnostic.name for diagnostic in estimate.diagnostics}
        assert "estimate_outside_interval" in said
    if estimate.status == "unbounded":
        assert limits.high == math.inf


def check_all(counts: np.ndarray, level: float) -> None:
    for estimator in estimators(level):
        try:
            estimate = estimator.fit(table_of(counts), rng=1)
        except CapabilityError:
            continue
        try:
            check_interval(estimate)
        except AssertionError as error:
            error.add_note(f"{estimator} on {counts.tolist()}: {estimate!r}")
            raise


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("seed", range(2))
def test_no_interval_of_few_persons_is_empty_or_below_what_was_seen(level: float, seed: int) -> None:
    for counts in few_persons(4, seed):
        check_all(counts, level)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("seed", range(10, 14))
def test_no_interval_of_few_persons_is_empty_or_below_what_was_seen_on_many_tables(
    level: float, seed: int
) -> None:
    for counts in few_persons(12, seed):
        check_all(counts, level)
