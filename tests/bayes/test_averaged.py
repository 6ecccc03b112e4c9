import json
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes import averaged
from hiddenpop.bayes.averaged import BayesianModelAveraging, pareto_k, sweep_odds_ratio
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, EmptyListWarning, SettingError
from hiddenpop.result import Estimate
from hiddenpop.table import CaptureTable

THREE = (0, 41, 30, 6, 20, 4, 3, 5)
NO_OVERLAP = (0, 10, 20, 0, 15, 0, 0, 0)
AMBIGUOUS = (0, 300, 20, 8, 150, 2, 1, 1)


def fit(counts, rng=1, **settings):
    return BayesianModelAveraging(**settings).fit(table_of(counts), rng=rng)


def names(estimate):
    return {diagnostic.name for diagnostic in estimate.diagnostics}


def message(estimate, name):
    return next(d.message for d in estimate.diagnostics if d.name == name)


@pytest.fixture(scope="module")
def uk():
    return BayesianModelAveraging().fit(hp.datasets.load("uk_5"), rng=7)


@pytest.fixture(scope="module")
def kosovo():
    return BayesianModelAveraging().fit(hp.datasets.load("kosovo"), rng=7)


# --- the estimate -----------------------------------------------------------------------------------------------------


def test_the_estimate_is_the_median_of_the_draws(kosovo):
    assert kosovo.status == "ok"
    assert kosovo.n_hat == np.quantile(kosovo.draws, 0.5, method="inverted_cdf")
    assert kosovo.n_hat == pytest.approx(11_750, rel=0.01)
    assert (kosovo.interval.low, kosovo.interval.high) == (
        pytest.approx(9_050, rel=0.02),
        pytest.approx(15_600, rel=0.03),
    )
    assert kosovo.interval.method == "equal-tailed posterior, averaged over log-linear models"
    assert kosovo.draws.shape == (10_000,)
    assert (kosovo.draws == np.round(kosovo.draws)).all()
    assert kosovo.draws.min() >= kosovo.n_observed


def test_draws_are_worth_as_much_as_their_number(kosovo, uk):
    for estimate in (kosovo, uk):
        convergence, importance = estimate.details["convergence"], estimate.details["importance"]
        assert convergence["ess_bulk"] == convergence["ess_tail"] == 10_000
        assert importance["effective_draws"] > 10_000
        assert importance["pareto_k"] < 0.5
        assert importance["unreliable_share"] < 0.05


def test_draws_come_in_no_order(kosovo):
    assert abs(np.corrcoef(kosovo.draws[:-1], kosovo.draws[1:])[0, 1]) < 0.05


def test_equal_seeds_give_equal_bytes():
    one, again, other = (fit(THREE, rng=seed) for seed in (3, 3, 4))
    assert one.draws.tobytes() == again.draws.tobytes() != other.draws.tobytes()
    assert json.dumps(one.to_dict()) == json.dumps(again.to_dict())
    # 10,000 draws each: their medians differ by some hundredths of a standard deviation.
    assert abs(one.n_hat - other.n_hat) < 0.08 * one.draws.std()


def test_a_hundredfold_table_has_the_model_that_bic_selects():
    frame = hp.datasets.load("kosovo").to_frame()
    table = CaptureTable.from_counts(frame.assign(count=100 * frame["count"]), lists=list(frame.columns[:-1]))
    estimate = BayesianModelAveraging(n_draws=2000).fit(table, rng=1)
    selected = hp.SelectedLogLinear(criterion="bic").fit(table)
    top = estimate.details["top_models"].iloc[0]
    assert top["model"] == selected.details["model"]
    assert top["median"] == pytest.approx(selected.n_hat, rel=0.01)
    averaged = hp.AveragedLogLinear().fit(table)
    assert estimate.n_hat == pytest.approx(averaged.n_hat, rel=0.01)
    assert estimate.interval.width == pytest.approx(averaged.interval.width, rel=0.2)


@pytest.mark.slow
def test_the_prior_of_the_interactions_moves_the_answer_and_says_so(uk):
    # Two models one unit of BIC apart have 12 and 23 thousand persons here.
    sweep = sweep_odds_ratio(hp.datasets.load("uk_5"), [3, 10, 100], rng=7)
    assert sweep["median"].tolist() == [
        pytest.approx(14_200, rel=0.02),
        pytest.approx(13_400, rel=0.02),
        pytest.approx(12_600, rel=0.02),
    ]
    assert sweep["high"].is_monotonic_increasing
    assert sweep["status"].tolist() == ["ok"] * 3
    assert "report the range" in message(uk, "sensitive_odds_ratio")
    assert "sensitive_main_effect_sd" not in names(uk)


def test_sensitivity_from_the_same_draws_is_that_of_another_fit(uk):
    shown = uk.details["sensitivity"]
    assert shown["odds_ratio"].tolist() == pytest.approx([10, 10, 10, math.sqrt(10), 100])
    assert shown["main_effect_sd"].tolist() == [10, 5, 20, 10, 10]
    narrow = BayesianModelAveraging(odds_ratio=math.sqrt(10)).fit(hp.datasets.load("uk_5"), rng=8)
    assert shown.loc[3, "median"] == pytest.approx(narrow.n_hat, rel=0.02)
    assert shown.loc[3, "high"] == pytest.approx(narrow.interval.high, rel=0.03)
    assert shown.loc[0, "median"] == pytest.approx(uk.n_hat, rel=0.02)


def test_interactions_add_up_the_models_that_hold_them(uk):
    shown, models = uk.details["interactions"].set_index("interaction"), uk.details["models"]
    assert len(models) == 6893
    assert models["probability"].sum() == pytest.approx(1.0)
    assert models["probability"].is_monotonic_decreasing
    assert len(shown) == 10 + 10 + 5
    for name, digits in (("LA*NG", "12"), ("LA*NG*PFNCA", "123")):
        held = [
            any(set(digits) <= set(generator) for generator in model.strip("[]").split(","))
            for model in models["model"]
        ]
        assert shown.loc[name, "posterior"] == pytest.approx(models.loc[held, "probability"].sum())
        assert shown.loc[name, "prior"] == pytest.approx(np.mean(held))
    assert shown.loc["LA*NG", "posterior"] > 0.999
    assert shown["order"].tolist() == [2] * 10 + [3] * 10 + [4] * 5


def test_top_models_have_a_size_of_their_own(kosovo):
    top = kosovo.details["top_models"]
    assert top.loc[0, ["model", "formula"]].tolist() == ["[123,134]", "EXH*ABA*OSCE + EXH*OSCE*HRW"]
    assert top.loc[0, "probability"] == pytest.approx(0.69, abs=0.02)
    alone = hp.LogLinear(model="[123,134]", interval="wald").fit(hp.datasets.load("kosovo"))
    assert top.loc[0, "median"] == pytest.approx(alone.n_hat, rel=0.08)
    assert (top["low"] < top["median"]).all()
    assert (top["pareto_k"] < 0.7).all()


def test_arviz_holds_the_draws(kosovo):
    idata = kosovo.details["idata"]
    assert idata.posterior["N"].to_numpy().ravel().tolist() == kosovo.draws.tolist()
    share = idata.posterior["hidden_share"].to_numpy().ravel()
    assert np.median(share) == pytest.approx(1 - 4400 / kosovo.n_hat, abs=0.01)
    assert kosovo.details["hidden_share"]["median"] == pytest.approx(np.median(share), abs=1e-3)


def test_json_and_pickle(uk):
    data = json.loads(json.dumps(uk.to_dict(), allow_nan=False))
    back = Estimate.from_dict(data)
    assert (back.n_hat, back.interval) == (uk.n_hat, uk.interval)
    assert pickle.loads(pickle.dumps(uk)).draws.tobytes() == uk.draws.tobytes()
    rebuilt = BayesianModelAveraging(**json.loads(json.dumps(dict(uk.estimator.settings))))
    assert rebuilt == BayesianModelAveraging()


def test_a_private_table_lets_no_exact_probability_out(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    details = fit(THREE).to_dict()["details"]
    for name in (
        "models",
        "top_models",
        "interactions",
        "importance",
        "sensitivity",
        "hidden_share",
        "modes",
    ):
        assert details[name] == "<10"


# --- priors -----------------------------------------------------------------------------------------------------------


def test_one_over_n_is_the_limit_of_the_negative_binomial():
    table = hp.datasets.load("kosovo")
    one, limit, far = (
        BayesianModelAveraging(prior=prior).fit(table, rng=1)
        for prior in ("reciprocal", ("negative_binomial", 1e9, 1e-5), ("negative_binomial", 6000.0, 100.0))
    )
    assert limit.n_hat == pytest.approx(one.n_hat, rel=0.01)
    assert limit.interval.high == pytest.approx(one.interval.high, rel=0.03)
    assert far.n_hat < 0.8 * one.n_hat


def test_a_flat_prior_favours_more_than_one_over_n():
    one, flat = fit(THREE), fit(THREE, prior="uniform")
    assert flat.n_hat > 1.1 * one.n_hat


def test_a_small_inclusion_favours_few_interactions():
    found = [fit(AMBIGUOUS, inclusion=p).details["models"] for p in (0.05, 0.5, 0.95)]
    mean = [float(f["interactions"] @ f["probability"]) for f in found]
    assert mean[0] < mean[1] < mean[2]
    equal = fit(AMBIGUOUS).details["models"]
    pd.testing.assert_frame_equal(equal, found[1])
    prior = found[0].set_index("model")["prior"]
    assert prior["[12,3]"] / prior["[1,2,3]"] == pytest.approx(0.05 / 0.95)


def test_order_one_is_independence():
    estimate = fit(THREE, max_order=1)
    assert estimate.details["n_models"] == 1
    alone = hp.LogLinear(model="independence").fit(table_of(THREE))
    assert estimate.n_hat == pytest.approx(alone.n_hat, rel=0.03)
    assert estimate.details["interactions"].empty


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"odds_ratio": 1.0}, r"odds_ratio=1.0 must be a number above 1"),
        ({"odds_ratio": math.inf}, "odds_ratio=inf must be"),
        ({"odds_ratio": "wide"}, "odds_ratio='wide' must be"),
        ({"main_effect_sd": 0.0}, "main_effect_sd=0.0 must be a number above 0"),
        ({"main_effect_sd": math.nan}, "main_effect_sd=nan must be"),
        ({"inclusion": 0.0}, "inclusion=0.0 must lie between 0 and 1"),
        ({"inclusion": 1}, "inclusion=1 must lie"),
        ({"inclusion": True}, "inclusion=True must lie"),
        ({"prior": "jeffreys"}, "prior='jeffreys' is not one of"),
        ({"max_order": 0}, "max_order=0 must be"),
        ({"n_draws": 999}, "n_draws=999 must be a whole number of at least 1000"),
        ({"level": 1.0}, "level"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        BayesianModelAveraging(**settings)


def test_a_sweep_keeps_the_other_settings_and_refuses_before_the_first_fit():
    table = table_of(THREE)
    narrow, wide = (
        sweep_odds_ratio(table, [5], base=BayesianModelAveraging(level=level), rng=1) for level in (0.5, 0.99)
    )
    assert wide["high"].item() > narrow["high"].item()
    with pytest.raises(SettingError, match=r"odds_ratio=0\.5 must be"):
        sweep_odds_ratio(table, [5, 0.5], rng=1)
    assert sweep_odds_ratio(table, [], rng=1).empty


# --- what it makes of odd tables --------------------------------------------------------------------------------------


def test_without_overlap_the_priors_answer_and_that_is_said():
    estimate = fit(NO_OVERLAP)
    assert {"no_overlap", "sensitive_main_effect_sd", "no_upper_limit"} <= names(estimate)
    assert estimate.interval.high == math.inf
    assert fit(NO_OVERLAP, prior="uniform").status == "unbounded"


def test_one_person_gets_an_answer_with_a_warning():
    estimate = fit((0, 0, 0, 0, 0, 0, 0, 1))
    assert estimate.status == "boundary"
    assert message(estimate, "few_persons").startswith("1 person for 7 capture histories")
    assert "few_persons" not in names(fit(THREE))


def test_everybody_on_all_lists_is_the_boundary():
    estimate = fit((0, 0, 0, 0, 0, 0, 0, 50))
    assert (estimate.status, estimate.n_hat, estimate.interval.high) == ("boundary", 50.0, 50.0)


def test_huge_counts_have_a_narrow_answer():
    estimate = fit((0, *[10**12] * 7))
    assert estimate.n_hat == pytest.approx(8e12, rel=1e-5)
    assert estimate.interval.width < 1e-5 * estimate.n_hat


def test_models_far_apart_are_a_warning():
    estimate = fit(AMBIGUOUS)
    assert "far apart" in message(estimate, "models_disagree")
    assert "models_disagree" not in names(fit((0, 410, 300, 60, 200, 40, 30, 5)))


def test_laplace_is_corrected_where_cells_are_empty():
    estimate = fit((0, 0, 0, 5, 0, 5, 5, 0))
    assert "is off by up to 0." in message(estimate, "laplace_error")
    assert "laplace_error" not in names(fit(tuple(100 * count for count in THREE)))


def test_weights_that_few_draws_carry_are_not_trusted(monkeypatch):
    monkeypatch.setattr(averaged, "HIGHEST_K", -10.0)
    estimate = fit(THREE)
    assert estimate.status == "not_converged"
    assert math.isnan(estimate.n_hat)
    assert "Pareto k" in estimate.reason
    assert estimate.interval.method.endswith("from the lowest limit of a chain to the highest")


def test_pareto_k_sees_weights_without_a_variance():
    rng = np.random.default_rng(1)
    tame, wild = (np.log(rng.pareto(1 / k, 5000) + 1) for k in (0.3, 1.0))
    assert pareto_k(tame) == pytest.approx(0.3, abs=0.15)
    assert pareto_k(wild) > 0.8
    assert pareto_k(np.zeros(100)) == -math.inf


def test_two_lists_are_too_few():
    with pytest.raises(CapabilityError, match="at least 3 lists"):
        fit((0, 30, 20, 8))
    with (
        pytest.warns(EmptyListWarning, match="l1 caught nobody"),
        pytest.raises(CapabilityError, match="at least 3 lists"),
    ):
        fit((0, 40, 0, 0, 30, 8, 0, 0))


def test_too_many_models_are_refused_with_what_to_do():
    with pytest.raises(CapabilityError, match=r"8 lists of new_orleans_185 have 268,435,456.*merge_lists"):
        BayesianModelAveraging().fit(hp.datasets.load("new_orleans_185"))
    with pytest.raises(CapabilityError, match=r"3,702,013 hierarchical models up to order 3.*max_order=2"):
        BayesianModelAveraging(max_order=3).fit(hp.datasets.load("uk"))


def test_six_lists_are_averaged_over_pairs():
    estimate = BayesianModelAveraging().fit(hp.datasets.load("uk"), rng=1)
    assert estimate.details["n_models"] == 32_768
    assert estimate.n_hat == pytest.approx(11_850, rel=0.02)
    assert len(estimate.details["models"]) == 10_000


def test_an_empty_list_is_left_out():
    whole = fit(THREE)
    with pytest.warns(EmptyListWarning, match="l3 caught nobody"):
        estimate = fit((*THREE, *[0] * 8))
    assert estimate.details["dropped_lists"] == ["l3"]
    assert estimate.draws.tobytes() == whole.draws.tobytes()


def test_strata_are_added_up_with_a_warning():
    frame = pd.DataFrame(
        {
            "a": [1, 0, 0, 1, 1] * 2,
            "b": [0, 1, 0, 1, 0] * 2,
            "c": [0, 0, 1, 0, 1] * 2,
            "sex": list("fffffmmmmm"),
            "n": [9, 8, 6, 3, 2] * 2,
        }
    )
    table = CaptureTable.from_counts(frame, count="n", strata=["sex"])
    with pytest.warns(CollapsedStrataWarning, match="added up sex"):
        estimate = BayesianModelAveraging().fit(table, rng=1)
    assert estimate.n_hat == fit((0, 18, 16, 6, 12, 4, 0, 0)).n_hat


def test_the_order_of_the_lists_changes_nothing_but_chance(kosovo):
    table = hp.datasets.load("kosovo")
    moved = CaptureTable.from_counts(table.to_frame(), lists=list(table.lists)[::-1], public=True)
    other = BayesianModelAveraging().fit(moved, rng=7)
    assert other.n_hat == pytest.approx(kosovo.n_hat, rel=0.02)
    assert other.interval.high == pytest.approx(kosovo.interval.high, rel=0.04)
    one, two = (
        {
            frozenset(row.interaction.split("*")): row.posterior
            for row in e.details["interactions"].itertuples()
        }
        for e in (kosovo, other)
    )
    assert two == pytest.approx(one, abs=0.02)
