"""Monte Carlo errors against many runs, and that they see what single draws hide."""

import numpy as np
import pytest

import hiddenpop as hp
from hiddenpop.kernels.resampling.bootstrap_limits import quantile_error
from hiddenpop.runs.execute import Found
from hiddenpop.runs.reproduce import ERRORS_ALLOWED, allowances, effective_draws


def autoregressive(n: int, rho: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=n) * np.sqrt(1.0 - rho**2)
    found = np.empty(n)
    found[0] = rng.normal()
    for i in range(1, n):
        found[i] = rho * found[i - 1] + steps[i]
    return found


@pytest.mark.parametrize("share", [0.025, 0.5, 0.975])
def test_the_error_of_a_quantile_is_that_of_many_runs(share: float) -> None:
    rng = np.random.default_rng(1)
    runs = rng.lognormal(size=(800, 1000))
    spread = np.quantile(runs, share, axis=1).std()
    told = np.mean([quantile_error(run, share, 1000.0) for run in runs[:200]])
    assert told == pytest.approx(spread, rel=0.12)


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_draws_that_hang_together_count_for_less(rho: float) -> None:
    found = np.mean([effective_draws(autoregressive(4000, rho, seed)) for seed in range(8)])
    # The indicator of the lower half of a normal chain with correlation rho has correlation 2/pi * asin(rho**k).
    lags = np.arange(1, 200)
    truth = 4000 / (1.0 + 2.0 * np.sum(2.0 / np.pi * np.arcsin(rho**lags)))
    assert 0.7 * truth < found < 1.35 * truth


def test_what_the_sampler_says_counts_where_it_is_less() -> None:
    draws = np.random.default_rng(1).normal(size=1000)
    assert effective_draws(draws, 50.0) == 50.0
    assert effective_draws(np.ones(100)) == 100.0


def test_a_quantile_among_infinite_draws_has_no_error() -> None:
    draws = np.where(np.arange(1000) < 900, np.arange(1000.0), np.inf)
    assert np.isnan(quantile_error(draws, 0.975, 1000.0))
    assert np.isfinite(quantile_error(draws, 0.5, 1000.0))


METHODS = {
    "percentile": hp.Bootstrapped(base=hp.LogLinear(model="[123,14,34]"), n_boot=400, interval="percentile"),
    "bca": hp.Bootstrapped(
        base=hp.LogLinear(model="[123,14,34]"), n_boot=400, scheme="multinomial", interval="bca"
    ),
    "posterior": hp.BayesianModelAveraging(n_draws=1000),
}


@pytest.mark.parametrize(
    "name",
    [
        "percentile",
        pytest.param("bca", marks=pytest.mark.slow),
        pytest.param("posterior", marks=pytest.mark.slow),
    ],
)
def test_what_two_runs_may_lie_apart_is_what_they_do(name: str) -> None:
    apart = []
    for seed in range(12):
        one, two = (METHODS[name].fit(hp.datasets.load("kosovo"), rng=rng) for rng in (seed, 100 + seed))
        found = Found(estimates={"x": one}, checks={}, parts={}, versions={})
        allowed = allowances(found, {"checks": [], "parts": []}, "x", "x")
        for end in ("low", "high"):
            moved = getattr(one.interval, end) - getattr(two.interval, end)
            apart.append(ERRORS_ALLOWED * moved / allowed["estimates", "x", "interval", end])
        assert allowed["estimates", "x", "n_hat"] >= abs(one.n_hat - two.n_hat)
    # In standard errors of the difference; corrected limits have room for what the correction may add.
    assert 0.4 < np.std(apart) < 1.25
    assert np.max(np.abs(apart)) < ERRORS_ALLOWED
