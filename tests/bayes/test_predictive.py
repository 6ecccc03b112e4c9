import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes.diagnostics import (
    leave_one_out,
    posterior_predictive,
    predictive_check,
    prior_predictive,
)
from hiddenpop.bayes.latent_class import LatentClass
from hiddenpop.bayes.loglinear import BayesianLogLinear
from hiddenpop.bayes.thresholded import ThresholdedLogLinear, draw_from_prior
from hiddenpop.errors import SettingError

COUNTS = (0, 40, 30, 12, 20, 9, 7, 5)
MEANS = np.array(COUNTS[1:], dtype=float)


def cells(counts=COUNTS):
    bits = np.arange(1, 8)
    frame = pd.DataFrame({f"l{i}": bits >> i & 1 for i in range(3)})
    return frame.assign(count=list(counts[1:]))


def check(means=MEANS, counts=COUNTS, n=4000, **settings):
    drawn = np.random.default_rng(3).poisson(means, (n, 7))
    return predictive_check(drawn, cells(counts), ["l0", "l1", "l2"], **settings)


def p(found, statistic="freeman_tukey"):
    return float(found.discrepancy.set_index("statistic").loc[statistic, "p"])


# --- replicated tables ------------------------------------------------------------------------------------------------


def test_figures_are_those_of_the_replicates():
    drawn = np.random.default_rng(3).poisson(MEANS, (4000, 7))
    found = predictive_check(drawn, cells(), ["l0", "l1", "l2"], level=0.8)
    low, median, high = np.quantile(drawn, [0.1, 0.5, 0.9], axis=0, method="inverted_cdf")
    assert found.cells["observed"].tolist() == list(COUNTS[1:])
    assert found.cells[["low", "median", "high"]].to_numpy().T.tolist() == [
        low.tolist(),
        median.tolist(),
        high.tolist(),
    ]
    above = (drawn > COUNTS[1:]).mean(axis=0) + 0.5 * (drawn == COUNTS[1:]).mean(axis=0)
    assert found.cells["tail"].tolist() == above.tolist()


def test_captures_and_lists_add_up_cells():
    found = check()
    assert found.captures[["captures", "observed"]].to_numpy().tolist() == [[1, 90], [2, 28], [3, 5]]
    assert found.lists["observed"].tolist() == [66.0, 54.0, 41.0]
    assert found.captures["median"].to_numpy() == pytest.approx([90, 28, 5], abs=1)


@pytest.mark.slow
def test_a_table_from_the_model_fits_in_and_another_does_not():
    drawn = np.random.default_rng(8).poisson(MEANS, (400, 7))
    values = [p(check(counts=(0, *row), n=500)) for row in drawn]
    assert np.mean(values) == pytest.approx(0.5, abs=0.06)
    assert np.mean(np.array(values) < 0.05) < 0.1
    wrong = check(means=MEANS * np.array([1, 1, 3, 1, 1, 1, 0.1]))
    assert p(wrong) < 0.01
    assert p(wrong, "deviance") < 0.01
    assert len(wrong.odd_cells) >= 1


def test_a_count_that_is_never_replicated_is_infinitely_far():
    found = check(means=MEANS * (np.arange(7) != 6))
    assert p(found, "deviance") == 0.0
    assert found.cells["tail"].iloc[6] == 0.0
    assert found.odd_cells["observed"].tolist() == [5.0]


def test_a_model_without_the_dependence_in_the_data_is_found():
    table = hp.datasets.load("kosovo")
    fitted = ThresholdedLogLinear(n_draws=500).fit(table, rng=1)
    without = ThresholdedLogLinear(n_draws=500, threshold=100.0).fit(table, rng=1)
    assert p(posterior_predictive(without, table)) < 0.001
    assert p(posterior_predictive(fitted, table)) > 0.01 * p(posterior_predictive(without, table))
    assert len(posterior_predictive(without, table).odd_cells) > len(
        posterior_predictive(fitted, table).odd_cells
    )


def test_replicates_may_be_given_as_an_array():
    table = table_of(COUNTS)
    drawn = np.random.default_rng(3).poisson(MEANS, (2, 500, 7))
    found = posterior_predictive(drawn, table)
    assert found.n_replicates == 1000
    with_the_unobserved = np.concatenate([np.zeros((2, 500, 1)), drawn], axis=-1)
    assert posterior_predictive(with_the_unobserved, table).cells.equals(found.cells)


def test_strata_beside_the_lists_are_kept():
    frame = pd.concat([cells().assign(region="a"), cells().assign(region="b")], ignore_index=True)
    drawn = np.random.default_rng(3).poisson(np.tile(MEANS, 2), (500, 14))
    found = predictive_check(drawn, frame, ["l0", "l1", "l2"])
    assert found.cells["region"].tolist() == ["a"] * 7 + ["b"] * 7
    assert found.lists["observed"].tolist() == [132.0, 108.0, 82.0]


def test_replicates_of_another_table_are_refused():
    with pytest.raises(SettingError, match=r"replicates of shape \(10, 5\) do not fit 7 cells"):
        predictive_check(np.ones((10, 5)), cells(), ["l0"])
    with pytest.raises(SettingError, match="holds no replicated tables"):
        posterior_predictive(hp.LogLinear().fit(table_of(COUNTS)), table_of(COUNTS))


def test_words_say_what_a_check_is_worth():
    assert "as the same table made the fit" in check().text()
    assert "a prior should make the observed table possible" in check(kind="prior").text()


def test_the_prior_makes_tables_of_any_kind():
    table = table_of(COUNTS)
    wide = ThresholdedLogLinear(main_effect_sd=1.0, prior=("negative_binomial", 300.0, 1.0))
    found = prior_predictive(draw_from_prior(wide, 3, 2000, rng=1).counts, table)
    assert found.kind == "prior"
    assert len(found.odd_cells) == 0
    tight = ThresholdedLogLinear(main_effect_sd=0.1, prior=("negative_binomial", 1e5, 1000.0))
    assert len(prior_predictive(draw_from_prior(tight, 3, 500, rng=1).counts, table).odd_cells) == 7


def test_an_empty_list_is_no_cell():
    drawn = np.random.default_rng(3).poisson(MEANS, (500, 7))
    table = table_of((*COUNTS, *[0] * 8))
    assert posterior_predictive(drawn, table).lists["list"].tolist() == ["l0", "l1", "l2"]


# --- one cell from the others -----------------------------------------------------------------------------------------


def test_leaving_a_cell_out_prefers_the_model_with_the_dependence():
    table = hp.datasets.load("kosovo")
    fitted = leave_one_out(ThresholdedLogLinear(n_draws=500).fit(table, rng=1))
    without = leave_one_out(ThresholdedLogLinear(n_draws=500, threshold=100.0).fit(table, rng=1))
    assert fitted.elpd > without.elpd + 50
    assert fitted.elpd == pytest.approx(fitted.cells["elpd"].sum())
    assert fitted.n_unreliable == (fitted.cells["pareto_k"] > 0.7).sum()
    assert "not to be relied on" in fitted.text()
    assert fitted.cells["cell"].iloc[0] == "1000"


def test_leaving_a_cell_out_is_the_density_of_the_cell_by_the_others():
    """A cell that is one of many alike, under a model of main effects, is predicted well: refit without it."""
    rng = np.random.default_rng(4)
    counts = (0, *rng.poisson(40.0, 15))
    estimate = ThresholdedLogLinear(n_draws=2000, threshold=100.0).fit(table_of(counts), rng=1)
    found = leave_one_out(estimate)
    idata = estimate.details["idata"]
    in_sample = np.log(np.exp(idata.log_likelihood["cells"].to_numpy()).mean(axis=(0, 1)))
    assert (found.cells["elpd"] < in_sample + 1e-6).all()
    assert found.p_loo == pytest.approx(in_sample.sum() - found.elpd, rel=1e-6)


def test_without_a_likelihood_of_cells_nothing_can_be_left_out(monkeypatch):
    monkeypatch.setattr("hiddenpop.bayes.thresholded.MOST_VALUES", 0)
    estimate = ThresholdedLogLinear(n_draws=200).fit(table_of(COUNTS), rng=1)
    with pytest.raises(SettingError, match="holds no log likelihood of each cell"):
        leave_one_out(estimate)
    with pytest.raises(SettingError, match="holds no replicated tables"):
        posterior_predictive(estimate, table_of(COUNTS))


# --- estimators that keep what a check needs --------------------------------------------------------------------------

KEEPERS = {
    "latent_class": LatentClass(n_draws=200, n_tune=100, n_chains=2, n_temperatures=4, n_sweeps=1),
    "bayesian_loglinear": BayesianLogLinear(n_draws=200, n_tune=200, n_chains=2),
    "thresholded": ThresholdedLogLinear(n_draws=200, n_tune=200, n_chains=2),
}


QUICK = [pytest.param(n, marks=pytest.mark.slow if n == "bayesian_loglinear" else ()) for n in KEEPERS]


@pytest.mark.parametrize("name", QUICK)
def test_replicates_of_an_estimate_look_like_its_table(name):
    table = hp.datasets.load("kosovo")
    estimate = KEEPERS[name].fit(table, rng=1)
    check = posterior_predictive(estimate, table)
    cells = check.cells
    assert cells["observed"].tolist() == table.to_dense()[1:].tolist()
    assert np.corrcoef(cells["median"], cells["observed"])[0, 1] > 0.98
    assert cells["observed"].between(cells["low"], cells["high"]).mean() > 0.5


@pytest.mark.parametrize("name", QUICK)
def test_log_likelihood_of_cells_is_that_of_counts_around_the_replicates(name):
    table = hp.datasets.load("kosovo")
    held = KEEPERS[name].fit(table, rng=1).details["idata"]
    mean = held.posterior_predictive["cells"].to_numpy().mean(axis=(0, 1))
    found = held.log_likelihood["cells"].to_numpy().mean(axis=(0, 1))
    expected = poisson.logpmf(table.to_dense()[1:], mean)
    assert found == pytest.approx(expected, abs=1.5)


@pytest.mark.slow
def test_strata_are_added_up_in_replicates():
    table = split_by_region(hp.datasets.load("kosovo"))
    setting = BayesianLogLinear(strata="model", n_draws=200, n_tune=200, n_chains=2)
    check = posterior_predictive(setting.fit(table, rng=1), table)
    assert check.cells["observed"].sum() == 4400
    assert np.corrcoef(check.cells["median"], check.cells["observed"])[0, 1] > 0.98


def split_by_region(table):
    frame = table.to_frame()
    north = frame.assign(region="north", count=frame["count"] // 3)
    south = frame.assign(region="south", count=frame["count"] - north["count"])
    both = pd.concat([north, south])
    return hp.CaptureTable.from_counts(
        both[both["count"] > 0], lists=list(table.lists), strata=["region"], public=True, name="split"
    )


@pytest.mark.parametrize(("order", "fits"), [(1, False), (2, True)])
def test_a_model_that_cannot_make_the_table_is_a_warning_in_the_summary(order, fits):
    table = hp.datasets.load("uk_5")
    estimate = ThresholdedLogLinear(threshold=1e6 if order == 1 else 0.0, n_draws=300).fit(table, rng=1)
    assert ("hardly makes tables like this one" not in estimate.summary()) == fits
