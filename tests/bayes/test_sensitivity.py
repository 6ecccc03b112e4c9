import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes import sensitivity
from hiddenpop.bayes.diagnostics import prior_sensitivity, sensitivity_range
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.thresholded import ThresholdedLogLinear
from hiddenpop.errors import SettingError

SMALL = (0, 30, 22, 9, 15, 6, 4, 3)


def normal_estimate(prior, data, *, constant=False, seed=1, n_draws=5000):
    """An estimate whose log N has a normal prior and a normal likelihood, each (mean, sd)."""
    weights = np.array([prior[1] ** -2, data[1] ** -2])
    sd = weights.sum() ** -0.5
    mean = (weights @ [prior[0], data[0]]) * sd**2
    x = mean + sd * np.random.default_rng(seed).normal(size=(4, n_draws))
    parts = {"size": norm(*prior).logpdf(x)}
    if constant:
        parts["flat"] = np.zeros_like(x)
    held = {"log_prior": parts, "log_likelihood": {"cells": norm(*data).logpdf(x)[..., None]}}
    idata = inference_data({"N": np.exp(x)}, groups=held)
    base = hp.LogLinear().fit(table_of(SMALL))
    return replace(base, details={"idata": idata})


def under_power(prior, data, power):
    weights = np.array([power * prior[1] ** -2, data[1] ** -2])
    sd = weights.sum() ** -0.5
    return (weights @ [prior[0], data[0]]) * sd**2, sd


PRIOR, DATA = (9.0, 0.5), (9.8, 0.3)


def range_is_right():
    found = sensitivity_range(normal_estimate(PRIOR, DATA), [0.5, 1.0, 2.0])
    right = []
    for row in found.itertuples():
        mean, sd = under_power(PRIOR, DATA, row.power)
        error = sd * 4.0 / math.sqrt(row.effective)
        right.append(abs(math.log(row.median) - mean) < 1.25 * error)
        right.append(abs(math.log(row.high) - (mean + 1.96 * sd)) < 2.7 * error)
    return all(right) and bool(found["reliable"].all())


def test_range_is_that_of_priors_raised_to_powers():
    assert range_is_right()


def test_the_check_of_the_range_finds_a_wrong_power(monkeypatch):
    original = sensitivity._under
    monkeypatch.setattr(
        sensitivity, "_under", lambda power, *rest: {**original(1.0 / power, *rest), "power": power}
    )
    assert not range_is_right()


def test_a_power_that_the_draws_do_not_reach_is_not_reliable():
    far = sensitivity_range(normal_estimate((9.0, 0.05), (10.5, 0.05)), [0.01, 1.0])
    assert far["reliable"].tolist() == [False, True]
    assert far["effective"].iloc[1] == 20_000


@pytest.mark.parametrize(
    ("prior", "data", "words"),
    [
        ((9.0, 50.0), (9.8, 0.3), "the prior hardly moves N"),
        ((9.0, 0.3), (9.8, 0.3), "pull N in different directions"),
        ((9.0, 0.3), (9.0, 30.0), "the prior decides"),
    ],
)
def test_diagnosis(prior, data, words):
    found = prior_sensitivity(normal_estimate(prior, data))
    assert found["part"].tolist() == ["all"]
    assert words in found["diagnosis"].iloc[0]


def test_few_draws_set_no_limit():
    assert not sensitivity_range(normal_estimate(PRIOR, DATA, n_draws=25))["reliable"].any()
    assert sensitivity_range(normal_estimate(PRIOR, DATA, n_draws=2500))["reliable"].all()


def test_parts_of_the_prior_are_measured_apart():
    found = prior_sensitivity(normal_estimate((9.0, 0.3), (9.8, 0.3), constant=True)).set_index("part")
    assert found.index.tolist() == ["all", "size", "flat"]
    assert found.loc["flat", "prior"] == pytest.approx(0.0, abs=1e-5)
    assert found.loc["size", "prior"] == pytest.approx(found.loc["all", "prior"], rel=1e-6)


def test_range_agrees_with_fits_under_those_priors():
    """A normal prior raised to the power 1/2 is one of twice the variance."""
    table = hp.datasets.load("korea")
    base = ThresholdedLogLinear(threshold=0.0, n_draws=8000)
    found = sensitivity_range(base.fit(table, rng=3), [0.5, 2.0], parts=["interactions"]).set_index("power")
    assert found["reliable"].all()
    for power in (0.5, 2.0):
        anew = replace(base, prior_variance=1.0 / power).fit(table, rng=2)
        assert found.loc[power, "median"] == pytest.approx(anew.n_hat, rel=0.02)
        assert found.loc[power, "high"] == pytest.approx(anew.interval.high, rel=0.08)
    assert found.loc[0.5, "median"] > 1.05 * found.loc[2.0, "median"]


def test_nobody_hidden_is_moved_by_nothing():
    x = np.full((4, 100), 50.0)
    held = {
        "log_prior": {"a": np.random.default_rng(1).normal(size=(4, 100))},
        "log_likelihood": {"y": x[..., None]},
    }
    idata = inference_data({"N": x}, groups=held)
    estimate = replace(hp.LogLinear().fit(table_of(SMALL)), details={"idata": idata})
    assert "fixed by structure" in prior_sensitivity(estimate)["diagnosis"].iloc[0]


def test_estimates_without_what_is_needed_are_refused():
    with pytest.raises(SettingError, match="holds no log_prior and no log_likelihood"):
        prior_sensitivity(hp.LogLinear().fit(table_of(SMALL)))
    estimate = normal_estimate(PRIOR, DATA)
    with pytest.raises(SettingError, match=r"powers: 0\.0 must be a number above 0"):
        sensitivity_range(estimate, [0.0])
    with pytest.raises(SettingError, match="the prior has the parts size"):
        sensitivity_range(estimate, parts=["main"])
