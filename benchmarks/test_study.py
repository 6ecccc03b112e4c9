"""What a simulation study costs: a replicate of three estimators, and whether the cost is linear in their number."""

import time

import pytest

import hiddenpop as hp
from hiddenpop.synthetic import LIBRARY
from hiddenpop.validation import study

ESTIMATORS = {
    "best BIC model": hp.SelectedLogLinear(criterion="bic"),
    "independence": hp.LogLinear(),
    "lower bound": hp.ChaoLowerBound(),
}
FOUR, FIVE = "independent-four", "independent-five"
TARGET_FITS, TARGET_SECONDS, CORES = 30_000, 120.0, 2


def seconds(n_rep: int, name: str) -> float:
    """Time one study in this process."""
    start = time.perf_counter()
    study(ESTIMATORS, [LIBRARY[name]], n_rep=n_rep, rng=1)
    return time.perf_counter() - start


@pytest.fixture(autouse=True)
def compiled() -> None:
    for name in (FOUR, FIVE):
        study(ESTIMATORS, [LIBRARY[name]], n_rep=1, rng=1)


def test_cost_is_linear_in_replicates(benchmark, report):
    """Target: 1,000 replicates of ten scenarios with three estimators in two minutes on two cores, 8 ms a fit."""
    few = seconds(100, FOUR) / 100
    many = benchmark.pedantic(seconds, args=(1000, FOUR), rounds=1) / 1000
    target = TARGET_SECONDS * CORES / TARGET_FITS
    report(
        f"four lists: {1e3 * many / 3:.1f} ms a fit, table and all (target {1e3 * target:.0f}); a replicate of three "
        f"fits {1e3 * few:.1f} ms in a study of 100 and {1e3 * many:.1f} ms in one of 1,000; 1,000 replicates of ten "
        f"scenarios would take {many * 10_000 / CORES:.0f} s on two cores (target {TARGET_SECONDS:.0f})"
    )
    assert many < 1.5 * few


def test_where_the_time_goes(report):
    parts = []
    for name in (FOUR, FIVE):
        result = study(ESTIMATORS, [LIBRARY[name]], n_rep=30, rng=1)
        times = result.times.groupby("estimator", sort=False)["seconds"].median()
        parts.append(
            f"{name}: " + ", ".join(f"{label} {1e3 * value:.1f} ms" for label, value in times.items())
        )
    report("; ".join(parts))
