"""Search paths, estimates, coefficients and bootstrap limits of mse, the R package."""

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import hiddenpop as hp
from hiddenpop.estimators.selected_covariates import SelectedCovariateLogLinear

ANSWERS = json.loads((Path(__file__).parent / "cruyff_mse.json").read_text())
QUADRATIC = {"Y": "poly(2)"}
CASES = {
    "simdat_lists_only": ("simdat", (), {}),
    "simdat_year_dummies": ("simdat", ("Y",), {}),
    "simdat_X1": ("simdat", ("X1",), {}),
    "simdat_X1X2": ("simdat", ("X1", "X2"), {}),
    "simdat_X1_year_quadratic": ("simdat", ("X1", "Y"), QUADRATIC),
    "simdat_full_help_example": ("simdat", ("X1", "X2", "X3", "X4", "Y"), QUADRATIC),
    "UKdat_5": ("uk_5", (), {}),
    "spina_eth": ("spina_bifida", ("eth",), {}),
}
BOOTSTRAPPED = [name for name in CASES if "boot" in ANSWERS[name]]
BEYOND_DOUBT = 15.0
"""Larger coefficients of the reference are on their way to infinity."""

REPLICATES = 4000
ERRORS = 3.5
"""Limits differ by so many standard errors in one of 2,000 comparisons."""


def table_of(name):
    table = hp.datasets.load(CASES[name][0])
    others = [covariate for covariate in table.strata.columns if covariate not in CASES[name][1]]
    return table.collapse(*others) if others else table


@cache
def estimate_of(name, criterion="bic", limits_of=None):
    interval = (
        {"interval": "lognormal"} if limits_of is None else {"n_boot": REPLICATES, "limits_of": limits_of}
    )
    estimator = SelectedCovariateLogLinear(coding=CASES[name][2], criterion=criterion, **interval)
    return estimator.fit(table_of(name), rng=20)


def path_of(name):
    return estimate_of(name).details["path"]


@pytest.mark.parametrize("name", CASES)
def test_the_path_is_the_same(name):
    models, path = ANSWERS[name]["models"], path_of(name)
    assert path["term"].str.replace("*", ":").tolist() == [model["Step"] for model in models]
    assert path["df"].tolist() == [model["Resid..Df"] for model in models]
    changes = [model["Df"] for model in models[1:]]
    assert [after - before for before, after in pairwise(path["df"])] == changes


@pytest.mark.parametrize("name", CASES)
def test_deviance_and_criteria_are_the_same(name):
    answer, path = ANSWERS[name], path_of(name)
    # The printed deviances have one digit; criteria above the lowest are differences of two such numbers.
    for model, deviance in zip(answer["models"], path["deviance"], strict=True):
        assert model["Resid..Dev"] == pytest.approx(deviance, abs=0.0501)
    for criterion, key in (("aic", "AIC"), ("aicc", "AICc"), ("bic", "BIC")):
        assert answer["minima"][key] == pytest.approx(path[criterion].min(), abs=0.0501)
        above = path[criterion] - path[criterion].min()
        np.testing.assert_allclose([model[key] for model in answer["models"]], above, atol=0.1001)


@pytest.mark.parametrize("name", CASES)
def test_n_is_the_same_wherever_it_is_finite(name):
    path = path_of(name)
    finite = path["status"] == "ok"
    expected = np.array([model["Nhat_full"] for model in ANSWERS[name]["models"]])
    np.testing.assert_allclose(path["n_hat"][finite], expected[finite], rtol=1e-7)
    assert finite.sum() == len(path) - (2 if name == "simdat_full_help_example" else 0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("criterion", ["bic", "aic"])
def test_coefficients_are_the_same_or_infinite(name, criterion):
    estimate = estimate_of(name, criterion)
    expected = ANSWERS[name]["models"][estimate.details["chosen"]]["coef"]
    theirs = {key_of_reference(label, name): value for label, value in expected.items()}
    frame = estimate.details["coefficients"]
    ours = {
        key_of_column(column): value for column, value in zip(frame["column"], frame["estimate"], strict=True)
    }
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        if np.isfinite(value):
            scale = frame["standard_error"].max()
            assert theirs[key] == pytest.approx(value, rel=1e-5, abs=1e-5 * scale)
        else:
            assert abs(theirs[key]) > BEYOND_DOUBT


def key_of_column(column):
    """Factors with their level or degree: ``R1*Y[poly 2]`` is {(R1, 1), (Y, 2)}."""
    if column == "intercept":
        return frozenset()
    parts = (re.fullmatch(r"(\w+)(?:\[(?:poly )?(.*)\])?", part) for part in column.split("*"))
    return frozenset((part.group(1), part.group(2) or "1") for part in parts)


def key_of_reference(label, name):
    """The same of ``R11:Y2``, in R's way of writing."""
    if label == "(Intercept)":
        return frozenset()
    factors = (*table_of(name).lists, *CASES[name][1])
    found = []
    for part in label.split(":"):
        factor = max((f for f in factors if part.startswith(f)), key=len)
        found.append((factor, part[len(factor) :]))
    return frozenset(found)


def test_the_models_at_a_thousand_million_have_no_finite_n():
    name = "simdat_full_help_example"
    models, path = ANSWERS[name]["models"], path_of(name)
    assert [model["Nhat_full"] > 1.7e9 for model in models] == [False] * 31 + [True] * 2
    assert path["status"].tolist()[31:] == ["unbounded"] * 2
    assert path["n_hat"].tolist()[31:] == [np.inf] * 2
    assert path["aic"].idxmin() == 31  # where AIC ends when nobody asks whether there is an answer
    chosen = estimate_of(name, "aic")
    assert chosen.details["chosen"] == 30
    assert chosen.n_hat == pytest.approx(models[30]["Nhat_full"], rel=1e-6)
    warning = next(d for d in chosen.diagnostics if d.name == "better_models_without_answer")
    assert "step 31 (unbounded, 1.31 lower)" in warning.message


def test_observed_rows_alone_are_the_same_table():
    table = hp.datasets.load("uk_5")
    rows = table.to_frame()
    assert len(rows) == ANSWERS["UKdat_5_observed_rows_only"]["n_cells"] == 18
    alone = hp.CaptureTable.from_counts(rows, lists=table.lists)
    estimate = SelectedCovariateLogLinear(interval="lognormal").fit(alone)
    assert estimate.n_hat == estimate_of("UKdat_5").n_hat
    assert estimate.details["path"].equals(path_of("UKdat_5"))
    theirs = ANSWERS["UKdat_5_observed_rows_only"]["models"][-2]["Nhat_full"]
    assert theirs == pytest.approx(table.n_observed, rel=1e-6)
    assert estimate.n_hat > 4 * theirs


@pytest.mark.parametrize("name", BOOTSTRAPPED)
def test_subgroups_have_the_same_size(name):
    estimate = estimate_of(name)
    for group, rows in ANSWERS[name]["boot"]["tables"].items():
        for level, row in groups(estimate, group, rows):
            here = slice(None) if level is None else estimate.by_stratum[group] == level
            n_hat = estimate.n_hat if level is None else estimate.by_stratum["n_hat"][here].sum()
            assert round(n_hat) == pytest.approx(row["Nhat"], abs=1)


@pytest.mark.parametrize("name", BOOTSTRAPPED)
def test_bootstrap_limits_agree_within_their_monte_carlo_error(name):
    """The reference draws populations of one size over all cells: limits of a part are for the size expected there."""
    estimate = estimate_of(name, limits_of="expected")
    assert estimate.n_failed == 0
    for group, rows in ANSWERS[name]["boot"]["tables"].items():
        for level, row in groups(estimate, group, rows):
            assert agrees(name, draws_of(estimate, group, level), row)


@pytest.mark.parametrize("name", BOOTSTRAPPED)
def test_limits_of_persons_are_the_same_in_total(name):
    estimate = estimate_of(name, limits_of="persons")
    assert agrees(name, estimate.draws, ANSWERS[name]["boot"]["tables"]["x"][0])


def test_limits_of_persons_are_not_the_same_where_most_of_a_part_are_seen():
    estimate = estimate_of("spina_eth", limits_of="persons")
    row = ANSWERS["spina_eth"]["boot"]["tables"]["eth"][0]
    assert not agrees("spina_eth", draws_of(estimate, "eth", "afro-american"), row)


def draws_of(estimate, group, level):
    if level is None:
        return estimate.draws
    return estimate.stratum_draws[:, (estimate.by_stratum[group] == level).to_numpy()].sum(axis=1)


def agrees(name, draws, row):
    """Whether the reference's limits lie between our quantiles some standard errors of the two samples apart."""
    reference = 200 if "rep=200" in ANSWERS[name]["boot"]["func"] else 1000
    found = []
    for tail, key in ((0.025, "min95"), (0.975, "max95")):
        error = ERRORS * np.sqrt(tail * (1 - tail) * (1 / reference + 1 / REPLICATES))
        low, high = np.quantile(draws, np.clip([tail - error, tail + error], 0.0, 1.0))
        found.append(low - 0.5 <= row[key] <= high + 0.5)
    return all(found)


def groups(estimate, group, rows):
    """Levels with their rows; None for everybody."""
    if group == "x":
        return [(None, rows[0])]
    return [(str(row.get("Year", row["row"])), row) for row in rows]
