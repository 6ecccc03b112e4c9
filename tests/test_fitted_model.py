"""What an estimate tells of its model by name: against statsmodels, out of a file, and all that other rooms read."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.contract.cases import quietly
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.estimators.registry import ESTIMATORS

SOURCE = Path(hp.__file__).parent
TABLE = hp.datasets.load("korea")
COEFFICIENTS = ["term", "estimate", "standard_error", "z", "p_value", "low", "high", "note"]
SAMPLED = {name for name, target in ESTIMATORS.items() if target.startswith("hiddenpop.bayes.")}
CHAINS = {"bayesian_loglinear", "latent_class", "pooled", "thresholded"}
QUICK = {
    "lincoln_petersen": {"lists": TABLE.lists[:2]},
    "chapman": {"lists": TABLE.lists[:2]},
    "bayesian_loglinear": {"n_draws": 200, "n_tune": 200},
    "latent_class": {"n_draws": 200},
    "pooled": {"n_draws": 200, "n_tune": 200},
    "thresholded": {"n_draws": 200},
}
MODELS = [
    ("kosovo", "[123,14,34]"),
    ("korea", "[12,3]"),
    ("rome_hiv", "[12,13,4]"),
    ("uk_5", "independence"),
    ("rome_hiv", "all-pairs"),
]


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_coefficients_criteria_and_residuals_are_those_of_statsmodels(name, model):
    table, estimator = hp.datasets.load(name), hp.LogLinear(model=model)
    found = estimator.fit(table).fitted_model
    glm = estimator.to_statsmodels(table)
    peer = glm.fit(tol=1e-14, maxiter=200)
    mine = found.coefficients.set_index("term").loc[list(peer.params.index)]
    if not (mine["note"] == "").all():
        pytest.fail("take a table without infinite coefficients")
    near = {"rel": 1e-6, "abs": 1e-6}
    assert mine["estimate"].to_numpy() == pytest.approx(peer.params.to_numpy(), **near)
    assert mine["standard_error"].to_numpy() == pytest.approx(peer.bse.to_numpy(), **near)
    assert mine["z"].to_numpy() == pytest.approx(peer.tvalues.to_numpy(), **near)
    assert mine["p_value"].to_numpy() == pytest.approx(peer.pvalues.to_numpy(), **near)
    assert mine[["low", "high"]].to_numpy() == pytest.approx(peer.conf_int().to_numpy(), **near)
    assert found.confint(0.5).loc[peer.params.index].to_numpy() == pytest.approx(
        peer.conf_int(0.5).to_numpy(), **near
    )
    covariance = found.covariance.loc[peer.params.index, peer.params.index]
    assert covariance.to_numpy() == pytest.approx(peer.cov_params().to_numpy(), rel=1e-5, abs=1e-8)
    assert found.criteria["log_likelihood"] == pytest.approx(peer.llf, abs=1e-7)
    assert found.criteria["aic"] == pytest.approx(peer.aic, abs=1e-6)
    assert found.criteria["deviance"] == pytest.approx(peer.deviance, abs=1e-6)
    assert (found.criteria["df"], found.n_parameters) == (peer.df_resid, len(peer.params))
    assert found.cells["fitted"].to_numpy() == pytest.approx(peer.mu, rel=1e-6)
    for kind, theirs in (
        ("pearson", peer.resid_pearson),
        ("deviance", peer.resid_deviance),
        ("response", peer.resid_response),
    ):
        assert found.residuals(kind).to_numpy() == pytest.approx(theirs, rel=1e-5, abs=1e-5)


def test_odds_ratios_are_of_the_interactions_alone():
    found = hp.LogLinear(model="[123,14,34]").fit(hp.datasets.load("kosovo"))
    table, model = found.fitted_model.odds_ratios(), found.fitted_model
    joint = model.coefficients[model.coefficients["term"].str.contains(r"\*")]
    assert table["term"].tolist() == joint["term"].tolist()
    assert table["odds_ratio"].to_numpy() == pytest.approx(np.exp(joint["estimate"].to_numpy()))
    assert (table["low"] < table["odds_ratio"]).all()
    assert (model.odds_ratios(0.5)["high"] < table["high"]).all()


def test_two_lists_have_the_odds_ratio_of_the_table():
    found = hp.LogLinear(model="[12,3]").fit(table_of([0, 60, 45, 30, 20, 5, 8, 4]))
    (ratio,) = found.fitted_model.odds_ratios()["odds_ratio"]
    fitted = {history: found.fitted_model.expected(history) for history in ("111", "101", "011", "001")}
    assert ratio == pytest.approx(fitted["111"] * fitted["001"] / (fitted["101"] * fitted["011"]))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SAMPLED else []) for name in ESTIMATORS]
)
def test_every_estimator_answers_by_name_and_its_file_does_too(name):
    found = quietly(hp.estimate, TABLE, name, rng=1, **QUICK.get(name, {}))
    model = found.fitted_model
    if model is not None:
        assert model.cells["observed"].sum() == (82 if name == "lincoln_petersen" else found.n_observed)
        assert set(model.criteria) == {"log_likelihood", "deviance", "df", "aic", "aicc", "bic"}
        assert found.model == model.model != ""
        assert list(model.coefficients.columns[:8]) == COEFFICIENTS
    assert (found.idata is None) == (name not in SAMPLED)
    assert (found.convergence is None) == (name not in CHAINS | {"bayesian_averaged"})
    assert (found.resamples is None) == (name not in ("bootstrapped",))
    again = hp.Estimate.from_dict(json.loads(json.dumps(found.to_dict())))
    assert (again.fitted_model is None) == (model is None)
    assert (again.selection is None) == (found.selection is None)
    assert again.model == found.model
    if model is not None:
        pd.testing.assert_frame_equal(again.fitted_model.coefficients, model.coefficients)
        pd.testing.assert_frame_equal(
            again.fitted_model.cells, model.cells, check_dtype=False, check_column_type=False
        )
    if found.resamples is not None:
        assert again.resamples.base_interval == found.resamples.base_interval
        assert again.resamples.modes == found.resamples.modes


def test_an_infinite_coefficient_has_no_error_and_a_note():
    found = quietly(hp.LogLinear(model="[12,13]").fit, table_of([0, 9, 8, 0, 7, 4, 3, 0])).fitted_model
    row = found.coefficients.set_index("term").iloc[
        found.coefficients["note"].str.contains("infinity").argmax()
    ]
    assert row["estimate"] == -np.inf
    assert np.isnan([row["standard_error"], row["low"], row["high"]]).all()
    assert np.isfinite(found.residuals("deviance")).all()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda model: model.residuals("raw"),
            "kind='raw' is not a kind of residual; use 'pearson', 'deviance'",
        ),
        (lambda model: model.confint(95), "level=95 must lie between 0 and 1"),
        (lambda model: model.expected("0000"), "history='0000' is not a cell of this table"),
    ],
)
def test_what_cannot_be_is_refused(ask, message):
    model = hp.LogLinear().fit(hp.datasets.load("korea")).fitted_model
    with pytest.raises(SettingError, match=re.escape(message)):
        ask(model)


OWN = ("estimators", "bayes")
"""Rooms of estimators, which write details; a wrapper there may read its own."""


def readers(source):
    return re.findall(r"\bdetails(?:\[|\.get\()\"", source)


def test_no_other_room_reads_details():
    past = {
        str(path.relative_to(SOURCE)): len(found)
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] not in OWN
        and path.name not in ("result.py", "fitted_model.py", "_details.py")
        and (found := readers(path.read_text("utf-8")))
    }
    assert not past
    assert readers('x = estimate.details["model"] or found.details.get("cells")')
