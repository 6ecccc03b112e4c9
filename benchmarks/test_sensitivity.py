"""The standard set of checks, and what a point of a sweep costs, beside fitting every model at every point."""

import time

import pytest

import hiddenpop as hp
from hiddenpop.sensitivity.dependence_sweep import DependenceSweep
from hiddenpop.sensitivity.points import Point, evaluate
from hiddenpop.sensitivity.standard_set import standard

TARGET = 60.0
EVERY_MODEL = hp.SelectedLogLinear(criterion="bic", search="exhaustive", interval="profile")


@pytest.mark.parametrize("name", ["uk_5", "netherlands_5"])
def test_standard_set_with_bic_over_all_five_list_models(benchmark, report, name):
    """Target: 60 s on two cores."""
    table = hp.datasets.load(name)
    found = benchmark.pedantic(
        standard,
        args=(table, EVERY_MODEL),
        kwargs={"claim": "more than 10,000", "rng": 1, "workers": 2},
        rounds=1,
        iterations=1,
    )
    points = sum(result.n_points for result in found.results)
    fits = [EVERY_MODEL.fit(table) for _ in range(2)]
    start = time.perf_counter()
    for _ in range(5):
        EVERY_MODEL.fit(table)
    whole = (time.perf_counter() - start) / 5
    seconds = benchmark.stats.stats.median
    assert fits[0].n_hat == found.baseline.n_hat
    assert seconds < TARGET
    report(
        f"{name}: standard set of {len(found.results)} checks, {points} points, in {seconds:.1f} s on two processes "
        f"(target {TARGET:.0f}); fitting all 6,893 models at every point {points * whole:.0f} s on one core, scaled "
        f"from 5 fits of {whole:.2f} s"
    )


@pytest.mark.parametrize("n_values", [5, 10, 20, 40])
def test_cost_is_linear_in_points(benchmark, report, n_values):
    table = hp.datasets.load("uk_5")
    ratios = tuple(0.5 * 4 ** (k / (n_values - 1)) for k in range(n_values))
    sweep = DependenceSweep(odds_ratios=ratios)
    baseline = EVERY_MODEL.fit(table)
    found = benchmark.pedantic(
        sweep.run, args=(EVERY_MODEL, table, baseline), kwargs={"rng": 1}, rounds=1, iterations=1
    )
    seconds = benchmark.stats.stats.median
    report(f"{found.n_points} points in {seconds:.2f} s: {1e3 * seconds / found.n_points:.1f} ms a point")


def test_a_point_by_both_routes(benchmark, report):
    """The exact search in place of fitting every model: the same estimate."""
    table = hp.datasets.load("netherlands_5")
    points = [Point({"k": k}, EVERY_MODEL, table) for k in range(20)]
    evaluate(points[:1], seed=1, label="")
    frame = benchmark.pedantic(
        evaluate, args=(points,), kwargs={"seed": 1, "label": ""}, rounds=1, iterations=1
    )
    start = time.perf_counter()
    slow = EVERY_MODEL.fit(table)
    whole = time.perf_counter() - start
    ours = benchmark.stats.stats.median / len(points)
    assert EVERY_MODEL.quicker(table) != EVERY_MODEL
    assert frame["n_hat"][0] == pytest.approx(slow.n_hat, rel=1e-12)
    report(
        f"a point in {1e3 * ours:.0f} ms; with all 6,893 models fitted {1e3 * whole:.0f} ms ({whole / ours:.0f} times)"
    )
