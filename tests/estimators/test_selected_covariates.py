"""The stepwise choice of a model with covariates: what is chosen, what is passed over, and what is said of it."""

import json

import numpy as np
import pandas as pd
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, ModelError, SettingError
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.estimators.selected_covariates import SelectedCovariateLogLinear
from hiddenpop.result import EstimatorSpec


def quick(**settings):
    return SelectedCovariateLogLinear(**{"interval": "lognormal", **settings})


def remarks(estimate):
    return {diagnostic.name: diagnostic for diagnostic in estimate.diagnostics}


def simdat(*covariates):
    table = hp.datasets.load("simdat")
    others = [name for name in table.strata.columns if name not in covariates]
    return table.collapse(*others) if others else table


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"minimal": 3}, ModelError, "minimal=3 is not text"),
        ({"maximal": None}, ModelError, "maximal=None is not text"),
        ({"criterion": "dic"}, SettingError, "criterion='dic' is not one of 'bic', 'aic', 'aicc'"),
        ({"interval": "bca"}, SettingError, "interval='bca'"),
        ({"n_boot": 20}, SettingError, "20"),
        ({"limits_of": "expected", "interval": "lognormal"}, SettingError, "limits_of"),
        ({"combinations": "some"}, SettingError, "combinations='some'"),
        ({"level": 1.0}, SettingError, "level"),
    ],
)
def test_settings_that_it_cannot_have(settings, error, message):
    with pytest.raises(error, match=message):
        SelectedCovariateLogLinear(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minimal": "R1 + R2 + R3 + R4"}, "leaves out X1, which the maximal model has; add \\+ X1"),
        (
            {"minimal": "R1*R2 + R3 + R4 + X1", "maximal": "R1*X1 + R2 + R3 + R4"},
            "has R1\\*R2, which maximal=.* has not",
        ),
        ({"minimal": ".", "maximal": "R1 + R2*R3 + R4"}, "has X1, which maximal"),
        ({"maximal": "R1 + R2 + R3 + X1"}, "leaves out R4"),
    ],
)
def test_formulas_that_do_not_fit_together(settings, message):
    with pytest.raises(ModelError, match=message):
        quick(**settings).fit(simdat("X1"))


@pytest.mark.parametrize("limits_of", ["persons", "expected"])
def test_the_estimate_is_that_of_the_chosen_model_taken_as_known(limits_of):
    table = simdat("X1")
    chosen = SelectedCovariateLogLinear(n_boot=200, limits_of=limits_of).fit(table, rng=7)
    same = CovariateLogLinear(model=chosen.details["model"], n_boot=200, limits_of=limits_of).fit(
        table, rng=7
    )
    assert chosen.n_hat == pytest.approx(same.n_hat, rel=1e-12)
    np.testing.assert_allclose(chosen.stratum_draws, same.stratum_draws, rtol=1e-9)
    pd.testing.assert_frame_equal(chosen.by_stratum, same.by_stratum, rtol=1e-9)
    assert chosen.draws_are == "bootstrap"
    assert chosen.interval.method == "percentile parametric bootstrap, chosen model taken as known"
    row = chosen.details["path"].loc[chosen.details["chosen"]]
    assert row["model"] == chosen.details["model"]
    assert row["n_hat"] == pytest.approx(chosen.n_hat, rel=1e-12)
    for criterion in ("aic", "aicc", "bic"):
        assert row[criterion] == pytest.approx(same.details["criteria"][criterion], rel=1e-10)


def test_the_same_bytes_on_any_number_of_workers():
    estimator, table = SelectedCovariateLogLinear(n_boot=250), simdat("X1")
    alone = estimator.fit(table, rng=3)
    with hp.parallel(workers=2):
        together = estimator.fit(table, rng=3)
    assert alone.draws.tobytes() == together.draws.tobytes()
    assert alone.stratum_draws.tobytes() == together.stratum_draws.tobytes()
    np.testing.assert_allclose(alone.stratum_draws.sum(axis=1), alone.draws)


def test_the_lowest_of_the_path_is_chosen_by_each_criterion():
    table = simdat("X1", "Y")
    places = {}
    for criterion in ("bic", "aic", "aicc"):
        estimate = quick(criterion=criterion).fit(table)
        path = estimate.details["path"]
        assert set(path["status"]) == {"ok"}
        places[criterion] = estimate.details["chosen"]
        assert places[criterion] == path[criterion].idxmin()
    assert places["bic"] < places["aic"]


def test_every_model_of_the_path_is_fitted_in_full():
    table = simdat("X2")
    path = quick().fit(table).details["path"]
    for _, row in path.iterrows():
        alone = CovariateLogLinear(model=row["model"], interval="lognormal").fit(table)
        assert row["n_hat"] == pytest.approx(alone.n_hat, rel=1e-10)
        assert row["deviance"] == pytest.approx(alone.details["deviance"], rel=1e-10)
        assert row["n_parameters"] == alone.details["n_parameters"]
        assert row["df"] == 30 - row["n_parameters"]


def test_what_aic_prefers_without_an_answer_is_passed_over_and_said():
    table = hp.datasets.load("artificial_3")
    estimate = quick(criterion="aic").fit(table)
    path = estimate.details["path"]
    assert path["status"].tolist() == ["ok", "unbounded"]
    assert path["aic"].idxmin() == 1
    assert (estimate.status, estimate.details["chosen"]) == ("ok", 0)
    said = remarks(estimate)
    assert said["better_models_without_answer"].level == "warning"
    assert "step 1 (unbounded," in said["better_models_without_answer"].message
    assert said["path_without_answer"].value == 1


def test_without_a_model_that_has_an_answer_there_is_none():
    estimate = quick().fit(table_of([0, 30, 20, 0]))
    assert estimate.status == "unbounded"
    assert estimate.n_hat == np.inf
    assert estimate.interval.high == np.inf
    assert "no model on the path has a finite N" in remarks(estimate)["no_model_with_answer"].message


def test_rivals_that_disagree_are_said():
    said = remarks(quick(coding={"Y": "poly(2)"}).fit(simdat("X1", "X2", "X3", "X4", "Y")))
    assert "the choice among them decides the answer" in said["rivals_disagree"].message
    assert "rivals_disagree" not in remarks(quick().fit(hp.datasets.load("spina_bifida")))


def test_covariates_outside_the_maximal_model_are_added_up():
    with pytest.warns(CollapsedStrataWarning, match="covariate_selected added up X2"):
        part = quick(maximal="(R1 + R2 + R3 + R4 + X1)**2").fit(simdat("X1", "X2"))
    whole = quick().fit(simdat("X1"))
    assert part.n_hat == whole.n_hat
    assert part.details["path"].equals(whole.details["path"])
    assert part.by_stratum.columns[0] == "X1"


def test_codings_in_formulas_and_settings_are_the_same():
    table = simdat("Y")
    by_setting = quick(coding={"Y": "poly(2)"}).fit(table)
    by_formula = quick(maximal="(R1 + R2 + R3 + R4 + poly(Y, 2))**2").fit(table)
    assert by_setting.n_hat == by_formula.n_hat
    assert by_setting.details["path"].equals(by_formula.details["path"])
    assert by_setting.n_hat != quick().fit(table).n_hat


def test_terms_of_the_minimal_model_stay():
    table = simdat("X1")
    free = quick().fit(table).details["path"]
    assert "R1*R2" not in " ".join(free["model"])
    kept = quick(minimal="R1*R2 + R3 + R4 + X1").fit(table).details["path"]
    assert all("R1*R2" in model for model in kept["model"])


def test_terms_of_three_factors_may_come_in():
    table = simdat("X1", "X2")
    path = quick(maximal="(R1 + R2 + R3 + R4 + X1 + X2)**3").fit(table).details["path"]
    orders = path["term"].str.count(r"\*") + 1
    assert orders.max() == 3
    assert path["term"].is_unique


def test_the_maximal_model_may_be_the_minimal_one():
    estimate = quick(maximal="main-effects").fit(simdat("X1"))
    assert len(estimate.details["path"]) == 1
    assert estimate.details["model"] == "R1 + R2 + R3 + R4 + X1"


def test_neither_the_order_of_lists_nor_names_of_levels_matter():
    table = simdat("X1", "Y")
    frame = table.to_frame()
    turned = hp.CaptureTable.from_counts(
        frame.assign(X1=frame["X1"].map({"1": "z", "2": "a"})),
        lists=["R4", "R2", "R1", "R3"],
        strata=["Y", "X1"],
    )
    one, other = quick().fit(table), quick().fit(turned)
    assert one.n_hat == pytest.approx(other.n_hat, rel=1e-9)
    np.testing.assert_allclose(one.details["path"]["bic"], other.details["path"]["bic"], rtol=1e-10)
    women = one.by_stratum.groupby("X1")["n_hat"].sum()["1"]
    assert women == pytest.approx(other.by_stratum.groupby("X1")["n_hat"].sum()["z"], rel=1e-9)


def test_structural_zeros_take_cells_out():
    table = simdat("X4")
    free, narrow = quick().fit(table), quick(structural_zeros="R2*R4*X4=2").fit(table)
    before, after = free.details["path"], narrow.details["path"]
    # Two lists together in one of three levels are four histories of 45 cells.
    assert (before["df"] - after["df"]).tolist() == [4] * len(before)
    assert after["n_hat"][0] < before["n_hat"][0] - 1
    # Nobody is on R4 at that level: once R4*X4 is in, those cells are at 0 anyway.
    assert before["term"][3] == "+ R4*X4"
    np.testing.assert_allclose(after["n_hat"][3:8], before["n_hat"][3:8], rtol=1e-9)


def test_combinations_that_all_occur_may_be_called_observed():
    table = simdat("X1", "X4")
    free, observed = quick().fit(table), quick(combinations="observed").fit(table)
    assert observed.n_hat == pytest.approx(free.n_hat, rel=1e-9)
    assert len(observed.by_stratum) == 6


def test_gaps_by_a_covariate_that_the_model_leaves_out_are_refused():
    frame = pd.DataFrame(
        {"a": [1, 0, 1, 1], "b": [0, 1, 1, 0], "region": ["n", "n", "n", "s"], "count": [5, 6, 7, 8]}
    )
    table = hp.CaptureTable.from_counts(
        frame, strata=["region"], coverage=[hp.Coverage("b", "region", ("n",))]
    )
    with pytest.raises(CapabilityError, match="b did not operate in every stratum"):
        quick(maximal="a + b").fit(table)


def test_it_is_written_down_and_built_again():
    estimator = quick(coding={"Y": "poly(2)"}, criterion="aicc", maximal="(R1+R2+R3+R4+Y)**2")
    estimate = estimator.fit(simdat("Y"))
    assert estimate.estimator.name == "covariate_selected"
    settings = json.loads(json.dumps(dict(estimate.to_dict()["estimator"]["settings"])))
    assert EstimatorSpec("covariate_selected", settings).build() == estimator
    assert hash(estimator) == hash(
        quick(coding={"Y": "poly(2)"}, criterion="aicc", maximal="(R1+R2+R3+R4+Y)**2")
    )


def test_aicc_takes_no_model_with_as_many_parameters_as_persons():
    frame = pd.DataFrame(
        {"a": [1, 0, 1, 1], "b": [0, 1, 1, 0], "sex": ["f", "f", "f", "m"], "count": [1, 1, 1, 1]}
    )
    estimate = quick(criterion="aicc").fit(hp.CaptureTable.from_counts(frame, strata=["sex"]))
    path = estimate.details["path"]
    assert np.isinf(path["aicc"]).all()
    assert "no model on the path has a finite N" in remarks(estimate)["no_model_with_answer"].message
