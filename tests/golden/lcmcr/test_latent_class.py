"""The latent class posterior against LCMCR; see ORIGIN.md."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hiddenpop as hp
from hiddenpop.bayes.latent_class import LatentClass
from hiddenpop.result import Estimate

REFERENCE = json.loads((Path(__file__).parent / "latent_class.json").read_text())


@cache
def fit(name: str, n_classes: int) -> Estimate:
    return LatentClass(n_classes=n_classes).fit(hp.datasets.load(name), rng=1)


def assert_same_posterior(
    estimate: Estimate, answer: dict[str, Any], *, centre: float, limits: float
) -> None:
    """Compare median and limits with tolerances that are shares of the posterior standard deviation."""
    quantiles, sd = answer["pooled_quantiles"], answer["pooled_sd"]
    assert estimate.ok, estimate.reason
    assert estimate.n_observed == answer["n_observed"]
    assert estimate.n_hat == pytest.approx(quantiles["median"], abs=centre * sd)
    assert estimate.interval.low == pytest.approx(quantiles["q025"], abs=limits * sd)
    assert estimate.interval.high == pytest.approx(quantiles["q975"], abs=2 * limits * sd)


@pytest.mark.parametrize("name", REFERENCE["one_class"])
def test_one_class_is_the_exact_answer(name: str) -> None:
    answer = REFERENCE["one_class"][name]["exact"]
    setting = LatentClass(n_classes=1, n_draws=2000, n_temperatures=2, lowest_power=0.5)
    estimate = setting.fit(hp.datasets.load(name), rng=1)
    error = answer["sd"] / np.sqrt(estimate.details["convergence"]["ess_bulk"])
    assert estimate.draws is not None
    assert estimate.draws.mean() == pytest.approx(answer["mean"], abs=4 * error)
    assert estimate.draws.std() == pytest.approx(answer["sd"], rel=0.07)
    assert estimate.n_hat == pytest.approx(answer["median"], abs=0.1 * answer["sd"] + 1)


@pytest.mark.slow
def test_new_orleans_is_the_same_posterior() -> None:
    estimate = fit("new_orleans_186", 10)
    assert_same_posterior(estimate, REFERENCE["posterior"]["new_orleans_186"], centre=0.12, limits=0.2)
    assert estimate.details["classes"] == pytest.approx(1.02, abs=0.05)


@pytest.mark.slow
def test_kosovo_is_the_same_posterior() -> None:
    estimate = fit("kosovo", 10)
    assert_same_posterior(estimate, REFERENCE["posterior"]["kosovo"], centre=0.15, limits=0.25)
    assert estimate.details["classes"] == pytest.approx(7.21, abs=0.3)


@pytest.mark.slow
def test_western_us_is_the_same_posterior() -> None:
    estimate = fit("western_us", 10)
    assert_same_posterior(estimate, REFERENCE["posterior"]["western_us"], centre=0.2, limits=0.3)
    assert estimate.details["classes"] == pytest.approx(1.45, abs=0.12)


@pytest.mark.slow
@pytest.mark.parametrize(("key", "n_classes"), [("uk", 10), ("uk_K5", 5)])
def test_the_uk_is_the_same_posterior_with_round_trips(key: str, n_classes: int) -> None:
    estimate = fit("uk", n_classes)
    assert_same_posterior(estimate, REFERENCE["posterior"][key], centre=0.2, limits=0.3)
    convergence = estimate.details["convergence"]
    assert convergence["ess_bulk"] > 1000
    assert convergence["rhat"] <= 1.01
    assert convergence["round_trips"] >= 30


@pytest.mark.slow
def test_kosovo_with_five_classes() -> None:
    assert_same_posterior(fit("kosovo", 5), REFERENCE["posterior"]["kosovo_K5"], centre=0.15, limits=0.25)
