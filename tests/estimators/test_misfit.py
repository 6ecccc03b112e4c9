import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import hiddenpop as hp
from hiddenpop import CaptureTable
from hiddenpop.estimators.outcome import pooled_pearson
from hiddenpop.result import MISFIT, Estimate

YEARS = {"c": 1018, "b": 1194, "bc": 188, "a": 1680, "ac": 205, "ab": 233, "abc": 96}
"""Of the same misfit as a table of three years that was tried by its owner."""


def table_of(counts: dict[str, int], lists: str, **options: object) -> CaptureTable:
    rows = [{**{name: int(name in on) for name in lists}, "count": n} for on, n in counts.items()]
    return CaptureTable.from_counts(pd.DataFrame(rows), **options)


def misfit_of(estimate: Estimate) -> list[str]:
    return [remark.message for remark in estimate.diagnostics if remark.name == MISFIT]


def test_a_rejected_model_is_told_before_its_number() -> None:
    estimate = hp.estimate(table_of(YEARS, "abc", public=True), "loglinear")
    lines = estimate.summary().splitlines()
    assert lines[1].startswith("  warning: the model is rejected by its goodness of fit: deviance ")
    assert lines[2].startswith("  N = ")
    fit = estimate.details["goodness_of_fit"]
    assert estimate.diagnostics[0].value == pytest.approx(
        max(chi2.sf(fit["deviance"], 3), chi2.sf(fit["pearson"], 3)), rel=1e-6
    )
    assert "on 3 df (chi-square)" in lines[1]


def test_a_model_that_fits_is_not_rejected() -> None:
    table = hp.datasets.load("spina_bifida_626")
    assert misfit_of(hp.SelectedLogLinear().fit(table)) == []


def test_the_panel_names_rejected_models_first() -> None:
    panel = hp.compare(table_of(YEARS, "abc", public=True), ["loglinear", "selected"])
    assert panel.text().startswith("Rejected by their goodness of fit\n  loglinear")
    assert panel._repr_html_().startswith("<p>loglinear")


def test_every_wrapped_and_closed_model_tells_its_misfit() -> None:
    table = table_of(YEARS, "abc", public=True)
    bootstrapped = hp.Bootstrapped(base=hp.LogLinear(), n_boot=200).fit(table, rng=1)
    assert len(misfit_of(bootstrapped)) == 1
    assert len(misfit_of(hp.estimate(table, "closed_population", model="M0"))) == 1


def test_many_small_cells_do_not_reject_a_true_model() -> None:
    rng = np.random.default_rng(7)
    rejected = 0
    for _ in range(60):
        members = rng.random((300, 6)) < 0.15
        caught = pd.DataFrame(members[members.any(axis=1)].astype(int), columns=list("abcdef"))
        estimate = hp.estimate(CaptureTable.from_indicators(caught, public=True), "loglinear")
        assert "pooled" not in "".join(misfit_of(estimate)) or estimate.diagnostics[0].value < 0.01
        rejected += bool(misfit_of(estimate))
    assert rejected <= 3


def test_many_small_cells_can_reject_a_wrong_model() -> None:
    estimate = hp.estimate(hp.datasets.load("uk_5"), "loglinear")
    (message,) = misfit_of(estimate)
    assert "over cells pooled to five persons or more" in message


def test_cells_are_pooled_until_each_is_expected_to_hold_five() -> None:
    fitted = np.array([2.0, 40.0, 1.0, 3.0, 2.0, 52.0])
    counts = np.array([5.0, 42.0, 0.0, 1.0, 3.0, 49.0])
    pooled = pooled_pearson(counts, fitted)
    # The pool of 1, 2 and 2 holds 8, the next takes the 3 and joins the 40.
    expected = (8 - 5) ** 2 / 5 + (43 - 43) ** 2 / 43 + (49 - 52) ** 2 / 52
    assert (pooled.pearson, pooled.df) == (pytest.approx(expected), 2)


def test_a_private_misfit_leaves_without_its_numbers() -> None:
    estimate = hp.estimate(table_of(YEARS, "abc"), "loglinear")
    remark = next(d for d in estimate.to_dict()["diagnostics"] if d["name"] == MISFIT)
    assert remark["value"] is None
    assert not any(character.isdigit() for character in remark["message"].replace("X2", ""))
