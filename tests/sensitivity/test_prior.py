"""`PriorSensitivity`: standard sets, priors by power and by refit, the rule of the medians, and who has no prior."""

import json
import math
import pickle
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes import sensitivity
from hiddenpop.bayes.decomposable import DecomposableAveraging
from hiddenpop.bayes.identifying import IdentifiedPosterior
from hiddenpop.bayes.latent_class import LatentClass
from hiddenpop.bayes.loglinear import SWEEP_PRIORS, BayesianLogLinear
from hiddenpop.bayes.sensitivity import prior_sensitivity, sensitivity_range
from hiddenpop.bayes.thresholded import ThresholdedLogLinear
from hiddenpop.errors import SettingError, UnknownNameError
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.registry import ESTIMATORS, estimator_class
from hiddenpop.result import Estimate, Interval
from hiddenpop.sensitivity import prior
from hiddenpop.sensitivity.points import ANSWER, seed_of
from hiddenpop.sensitivity.prior import PriorSensitivity, standard_priors
from hiddenpop.sensitivity.protocol import Check

KOSOVO, UK = hp.datasets.load("kosovo"), hp.datasets.load("uk_5")
SHORT = ThresholdedLogLinear(n_draws=1000, n_tune=200)
EXACT = DecomposableAveraging(n_draws=100)
IDENTIFIED = IdentifiedPosterior(n_draws=1000)


# --- what is tried ----------------------------------------------------------------------------------------------------


def test_every_bayesian_estimator_has_a_standard_set_that_it_can_take():
    bayesian = {name for name, path in ESTIMATORS.items() if path.startswith("hiddenpop.bayes")}
    assert {name for name in ESTIMATORS if standard_priors(name)} == bayesian
    for name in bayesian:
        default = estimator_class(name)()
        others = [default.with_settings(**dict(change)) for change in standard_priors(name)]
        assert len([other for other in others if other != default]) >= 3
    assert standard_priors("bayesian_loglinear") == tuple(tuple(c.items()) for c in SWEEP_PRIORS)


def test_the_estimate_stands_first_and_its_own_prior_is_not_refitted():
    result = PriorSensitivity().run(EXACT, KOSOVO, rng=1)
    labels = result.table["prior"].tolist()
    assert labels == ["as fitted", "delta=0.01", "delta=0.1", "delta=0.5", "delta=1.0", "link_weight=0.5"]
    assert result.table["kind"].tolist() == ["as fitted", *["refit"] * 5]
    assert result.table["n_hat"][0] == EXACT.fit(KOSOVO).n_hat
    assert result.table["n_hat"][4] == DecomposableAveraging(delta=1.0).fit(KOSOVO).n_hat


def test_named_priors_replace_the_standard_ones():
    check = PriorSensitivity(
        priors=[{"delta": 0.1}, {"delta": 0.1}, {"prior": ("negative_binomial", 9000.0, 2.0)}]
    )
    result = check.run(EXACT, KOSOVO, rng=1)
    assert result.table["prior"].tolist()[1:] == ["delta=0.1", "prior=('negative_binomial', 9000.0, 2.0)"]
    assert PriorSensitivity(priors={"delta": 0.1}).priors == ((("delta", 0.1),),)


def test_the_prior_is_found_behind_the_model_of_the_cells():
    result = PriorSensitivity(powers=()).run(IdentifiedPosterior(cells=SHORT), KOSOVO, rng=1)
    assert result.table["prior"].tolist()[1:3] == ["prior_variance=0.25", "prior_variance=4.0"]
    narrow = IdentifiedPosterior(cells=ThresholdedLogLinear(n_draws=1000, n_tune=200, prior_variance=0.25))
    assert result.table["n_hat"][1] == narrow.fit(KOSOVO, rng=seed_of(1)).n_hat
    mixed = IdentifiedPosterior(cells=SHORT).with_settings(threshold=1.0, xi=2.0)
    assert (mixed.xi, mixed.cells.threshold) == (2.0, 1.0)


# --- powers -----------------------------------------------------------------------------------------------------------


def test_powers_come_from_the_draws_of_the_estimate():
    base = SHORT.fit(KOSOVO, rng=2)
    result = PriorSensitivity(priors=(), powers=(0.5, 1, 2)).run(SHORT, KOSOVO, base, rng=1)
    expected = sensitivity_range(base, (0.5, 2))
    assert result.table["prior"].tolist() == ["as fitted", "prior to the power 0.5", "prior to the power 2"]
    assert result.table["n_hat"].tolist() == [base.n_hat, *expected["median"]]
    assert result.table["high"].tolist()[1:] == expected["high"].tolist()
    assert f"Raised to a power near 1, {prior_sensitivity(base)['diagnosis'][0]}." in result.text


def test_a_power_that_the_draws_do_not_reach_has_no_number_and_counts(monkeypatch):
    found = pd.DataFrame([{"power": 9.0, "median": 1e4, "low": 9e3, "high": 2e4, "reliable": False}])
    monkeypatch.setattr(sensitivity, "sensitivity_range", lambda *args: found)
    result = PriorSensitivity(priors=(), powers=(9,)).run(SHORT, KOSOVO, rng=1)
    assert (result.passed, result.n_failed, result.n_points) == (None, 1, 2)
    assert math.isnan(result.table["n_hat"][1])
    assert "the draws do not reach this prior" in result.text


def test_estimates_without_densities_have_no_powers():
    kinds = PriorSensitivity().run(IDENTIFIED, KOSOVO, rng=1).table["kind"]
    assert "power" not in set(kinds)
    assert "power" not in set(PriorSensitivity(powers=(1,)).run(SHORT, KOSOVO, rng=1).table["kind"])


# --- the verdict ------------------------------------------------------------------------------------------------------


def test_a_prior_that_breaks_the_claim_is_a_failure():
    holds = PriorSensitivity(claim="more than 4,500").run(EXACT, KOSOVO, rng=1)
    fails = PriorSensitivity(claim="more than 10,000").run(EXACT, KOSOVO, rng=1)
    assert (holds.passed, fails.passed) == (True, False)
    assert "12,600 (9,830 to 16,540) under the prior of the estimate" in fails.text
    assert "medians between 4,620 and 12,570 under other priors, limits from 4,410 to 16,560" in fails.text


def answers(*sizes):
    rows = [
        ("as fitted" if not i else f"p{i}", "as fitted" if not i else "refit", n) for i, n in enumerate(sizes)
    ]
    frame = pd.DataFrame(rows, columns=["prior", "kind", "n_hat"])
    return frame.assign(
        low=frame["n_hat"] - 10, high=frame["n_hat"] + 10, n_observed=100, status="ok", reason=""
    )


def estimate_of(low, n, high):
    return Estimate(
        n_hat=n,
        n_observed=100,
        interval=Interval(low, high, 0.95, "made up"),
        status="ok",
        estimator=spec_of(EXACT),
        table=KOSOVO.summary,
    )


def test_medians_further_apart_than_half_the_interval_are_not_decided_by_the_data():
    base, rule = estimate_of(1000, 1500, 2000), "the data do not decide between the priors"
    assert rule not in prior._range_in_words(base, answers(1500, 1200, 1700))
    assert rule in prior._range_in_words(base, answers(1500, 1199, 1700))
    assert rule in prior._range_in_words(base, answers(1500, 1000.0 - 1))
    assert prior._range_in_words(base, answers(1500)) == ""
    assert "medians between 1,200 and 1,700" in prior._range_in_words(
        base, answers(1500, 1200, math.nan, 1700)
    )


def test_a_prior_that_the_table_cannot_take_is_refused_and_counted():
    check = PriorSensitivity(priors=({"prior": "uniform"}, {"delta": 0.1}))
    result = check.run(DecomposableAveraging(delta=0.01), table_of((0, 30, 20, 10)), rng=1)
    assert result.table["status"].tolist() == ["ok", "refused", "ok"]
    assert result.n_failed == 1
    assert "Without a number: 1 refused" in result.text


# --- who has no prior -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """An estimator of somebody else."""

    name: ClassVar[str] = "theirs"

    draws_are: str = "posterior"
    scale: float = 1.0

    def fit(self, table: Any, *, rng: Any = None) -> Estimate:
        found = EXACT.fit(table, rng=1)
        n = table.n_observed + self.scale * found.n_hidden
        return Estimate(
            n_hat=n,
            n_observed=table.n_observed,
            interval=Interval(n / 1.1, n * 1.1, 0.95, "made up"),
            status="ok",
            estimator=spec_of(self),
            table=table.summary,
            draws=found.draws,
            draws_are=self.draws_are,
        )


@pytest.mark.parametrize(
    "estimator", [hp.LogLinear(), hp.Bootstrapped(base=hp.SelectedLogLinear()), Theirs(draws_are="bootstrap")]
)
def test_an_estimator_without_a_prior_is_not_concerned(estimator):
    result = PriorSensitivity(priors=({"scale": 2.0},) if isinstance(estimator, Theirs) else None).run(
        estimator, KOSOVO, rng=1
    )
    assert (result.passed, result.figure["kind"]) == (None, "nothing")
    assert f"Does not apply: {estimator.name} has no prior" in result.text


def test_another_bayesian_estimator_is_taken_with_the_priors_that_are_named():
    result = PriorSensitivity(priors=({"scale": 2.0},)).run(Theirs(), KOSOVO, rng=1)
    hidden = result.table["n_hat"] - 4400
    assert hidden[1] == pytest.approx(2 * hidden[0])
    assert PriorSensitivity().run(Theirs(), KOSOVO, rng=1).n_points == 1


def test_a_table_that_the_estimator_cannot_treat_is_no_fault():
    result = PriorSensitivity().run(SHORT, table_of((0, 30, 20, 10)), rng=1)
    assert result.passed is None
    assert "thresholded needs at least 3 lists" in result.text


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"priors": ("delta",)}, "priors: 'delta' must name settings and values"),
        ({"priors": ({},)}, "priors: {} must name"),
        ({"priors": ({1: 2},)}, "must name settings and values"),
        ({"powers": (0,)}, "powers: 0 must be a number above 0"),
        ({"powers": "2"}, "powers: '2' must be"),
        ({"claim": "many"}, "cannot be read"),
    ],
)
def test_an_impossible_setting_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        PriorSensitivity(**settings)


def test_a_prior_that_the_estimator_does_not_have_is_refused():
    with pytest.raises(UnknownNameError, match=r"no setting of decomposable 'delt'.*did you mean 'delta'"):
        PriorSensitivity(priors=({"delt": 0.1},)).run(EXACT, KOSOVO, rng=1)
    with pytest.raises(SettingError, match="delta"):
        PriorSensitivity(priors=({"delta": -0.1},)).run(EXACT, KOSOVO, rng=1)


def test_the_result_is_plain_and_repeats():
    check = PriorSensitivity(claim="more than 4,500")
    one, again = (check.run(IDENTIFIED, KOSOVO, rng=7) for _ in range(2))
    assert json.dumps(one.to_dict(), allow_nan=False) == json.dumps(again.to_dict(), allow_nan=False)
    assert list(one.table.columns) == ["prior", "kind", *ANSWER]
    assert (one.figure["kind"], one.figure["label"], one.figure["truth"]) == ("forest", "prior", "")
    named = PriorSensitivity(priors=({"prior_count": 1.0},))
    assert json.loads(json.dumps(spec_of(named).settings))["priors"] == [[["prior_count", 1.0]]]
    assert PriorSensitivity(priors=[[["prior_count", 1.0]]]) == named
    assert pickle.loads(pickle.dumps(named)) == named
    assert hash(named) == hash(PriorSensitivity(priors=({"prior_count": 1.0},)))
    assert isinstance(named, Check)


@pytest.mark.slow
def test_chains_are_compared_under_their_standard_priors():
    found = PriorSensitivity().run(BayesianLogLinear(), UK, rng=1)
    assert found.n_points == 7
    by_prior = found.table.set_index("prior")["n_hat"]
    narrow, wide = (by_prior[f"prior_family=normal, odds_ratio={x}"] for x in (3.0, 100.0))
    assert narrow > by_prior["as fitted"] > wide
    latent = LatentClass(n_classes=5, n_draws=500)
    check = PriorSensitivity(priors=({"concentration_prior": (1.0, 1.0)},))
    assert check.run(latent, KOSOVO, rng=1).passed is True
