"""The observed cells of Bayesian estimators under an identifying assumption."""

import json
import math
import pickle
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes import cell_draws
from hiddenpop.bayes.averaged import BayesianModelAveraging
from hiddenpop.bayes.cell_draws import has_cells
from hiddenpop.bayes.decomposable import DecomposableAveraging
from hiddenpop.bayes.identifying import IdentifiedPosterior, sweep_prior_count, sweep_xi
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.latent_class import LatentClass
from hiddenpop.bayes.loglinear import BayesianLogLinear
from hiddenpop.bayes.thresholded import ThresholdedLogLinear
from hiddenpop.errors import CapabilityError, EmptyListWarning, SettingError
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.registry import build
from hiddenpop.histories import captures
from hiddenpop.result import Estimate, Interval

KOSOVO = hp.datasets.load("kosovo")
SHORT = ThresholdedLogLinear(n_draws=500, n_tune=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An estimator of somebody else, sure of the probabilities of all cells, the hidden one first."""

    name: ClassVar[str] = "known"

    probabilities: tuple[float, ...]
    status: str = "ok"

    def fit(self, table: Any, *, rng: Any = None) -> Estimate:
        whole = np.array(self.probabilities)
        shares = np.broadcast_to(whole[1:] / (1.0 - whole[0]), (2, 2000, len(whole) - 1))
        drawn, n = np.full((2, 2000), 1e9), table.n_observed
        return Estimate(
            n_hat=1e9 if self.status == "ok" else math.nan,
            n_observed=n,
            interval=Interval(n, 1e9, 0.95, "none"),
            status=self.status,
            reason="" if self.status == "ok" else "its chains disagree",
            estimator=spec_of(self),
            table=table.summary,
            draws=drawn.ravel(),
            draws_are="posterior",
            details={"idata": inference_data({"N": drawn, "cell_shares": shares})},
        )


def world(n_lists, highest):
    """Probabilities of all cells with a known interaction of all lists, and a table with these as counts."""
    terms = np.random.default_rng(n_lists).normal(0.0, 0.3, 1 << n_lists)
    terms[-1] = highest
    cells = np.arange(1 << n_lists)
    p = np.exp([terms[(cells & cell) == cells].sum() for cell in cells])
    p /= p.sum()
    return p, table_of(np.round(1e8 * p))


def finds_the_hidden(n_lists, highest=0.7, *, upside_down=False):
    """Whether xi, as documented, gives back the hidden of a world whose highest interaction is known."""
    p, table = world(n_lists, highest)
    xi = math.exp(highest if n_lists % 2 else -highest)
    setting = IdentifiedPosterior(cells=Known(probabilities=tuple(p)), xi=1.0 / xi if upside_down else xi)
    return setting.fit(table, rng=1).n_hidden == pytest.approx(1e8 * p[0], rel=1e-3)


@pytest.mark.parametrize("n_lists", [2, 3, 4])
def test_xi_gives_back_the_hidden_of_a_known_world(n_lists):
    assert finds_the_hidden(n_lists)
    assert not finds_the_hidden(n_lists, upside_down=True)


def test_the_check_finds_odd_and_even_exchanged_and_shares_of_the_whole_population(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(cell_draws, "captures", lambda histories: captures(histories) + 1)
        assert not finds_the_hidden(3)
    held = cell_draws._held

    def unconditional(estimate, name):
        shares = held(estimate, name)
        return shares * 0.8 if name == "cell_shares" else shares

    monkeypatch.setattr(cell_draws, "_held", unconditional)
    assert not finds_the_hidden(3)


def test_the_marginal_form_adds_up_the_other_lists():
    p, table = world(3, 0.0)
    estimator = Known(probabilities=tuple(p))
    setting = IdentifiedPosterior(cells=estimator, assumption="marginal", lists=("l0", "l2"), xi=0.5)
    pair = np.array([p[h] for h in range(1, 8)]) / (1 - p[0])
    cells = {(h & 1, h >> 2 & 1): 0.0 for h in range(1, 8)}
    for h in range(1, 8):
        cells[h & 1, h >> 2 & 1] += pair[h - 1]
    g = cells[1, 0] * cells[0, 1] / cells[1, 1] - 0.5 * cells[0, 0]
    found = setting.fit(table, rng=1)
    assert found.n_hidden == pytest.approx(found.n_observed * g / 0.5, rel=1e-3)
    assert found.interval.method.endswith("in the table of l0, l2 of xi=0.5, observed cells by known")


@cache
def short(kind):
    return kind.fit(KOSOVO, rng=3)


LATENT = LatentClass(n_classes=3, n_draws=200, n_tune=100, n_chains=2, n_temperatures=3, n_sweeps=1)


def ratio_and_odds(estimate):
    posterior = estimate.details["idata"].posterior
    shares, hidden = posterior["cell_shares"].to_numpy(), posterior["hidden_share"].to_numpy()
    assert shares.sum(axis=-1) == pytest.approx(1.0, rel=1e-12)
    sign = np.where(captures(np.arange(1, shares.shape[-1] + 1)) % 2 == 1, 1.0, -1.0)
    return np.exp(np.log(shares) @ sign), hidden / (1.0 - hidden)


def test_without_the_highest_interaction_the_ratio_is_the_odds_of_being_hidden_and_else_not():
    ratio, odds = ratio_and_odds(short(SHORT))
    assert ratio == pytest.approx(odds, rel=1e-9)
    ratio, odds = ratio_and_odds(short(LATENT))
    assert np.median(np.abs(np.log(ratio / odds))) > 0.1


def test_shares_follow_the_posterior_of_the_cells():
    for estimate in (short(SHORT), short(LATENT)):
        groups = estimate.details["idata"]
        expected = groups.posterior["cell_shares"].to_numpy().mean(axis=(0, 1)) * KOSOVO.n_observed
        replicated = groups.posterior_predictive["cells"].to_numpy().mean(axis=(0, 1))
        assert expected == pytest.approx(replicated, rel=0.03, abs=2.0)


def test_a_model_of_the_cells_has_its_own_answer_at_xi_1_and_half_the_hidden_at_2():
    own = short(SHORT)
    sweep = sweep_xi(KOSOVO, [1.0, 2.0], base=IdentifiedPosterior(cells=SHORT), rng=3)
    assert sweep["median"][0] == pytest.approx(own.n_hat, rel=0.01)
    hidden = sweep["median"] - KOSOVO.n_observed
    assert hidden[1] == pytest.approx(hidden[0] / 2, rel=0.01)


def test_an_average_over_models_gives_the_ratio_over_all_lists_only():
    averaging = BayesianModelAveraging(n_draws=2000)
    found = IdentifiedPosterior(cells=averaging).fit(KOSOVO, rng=2)
    own = averaging.fit(KOSOVO, rng=2)
    assert has_cells(own)
    assert found.n_hat == pytest.approx(own.n_hat, rel=0.02)
    assert found.interval.high == pytest.approx(own.interval.high, rel=0.05)
    pair = IdentifiedPosterior(cells=averaging, assumption="marginal", lists=("EXH", "ABA"))
    with pytest.raises(CapabilityError, match="keeps only the ratio over all lists"):
        pair.fit(KOSOVO, rng=2)


def test_the_estimate_is_whole_pickles_and_repeats():
    setting = IdentifiedPosterior(cells=SHORT, xi=("lognormal", 1.5, 0.2))
    one, again, other = (setting.fit(KOSOVO, rng=seed) for seed in (5, 5, 6))
    assert one.draws.tobytes() == again.draws.tobytes() != other.draws.tobytes()
    assert one.details["idata"].posterior["N"].shape == (4, 500)
    assert one.details["convergence"]["n_chains"] == 4
    assert pickle.loads(pickle.dumps(setting)) == setting
    spec = json.loads(json.dumps(spec_of(setting).settings))
    assert build("identified", spec) == setting
    assert json.dumps(one.to_dict(), allow_nan=False) == json.dumps(again.to_dict(), allow_nan=False)
    assert one.details["prior_count"] is None
    assert math.isnan(one.details["empty_share"])


def test_remarks_of_the_cells_are_passed_on_and_empty_cells_told():
    table = hp.datasets.load("korea")
    estimate = IdentifiedPosterior(cells=replace(SHORT, main_effect_sd=10.0)).fit(table, rng=1)
    remarks = {d.name: d.message for d in estimate.diagnostics}
    assert "are what thresholded makes of the other cells" in remarks["empty_cells"]
    assert "chosen_by_data" in {d.name for d in short(SHORT).diagnostics}
    passed = IdentifiedPosterior(cells=SHORT).fit(KOSOVO, rng=3)
    assert "chosen_by_data" in {d.name for d in passed.diagnostics}


def test_an_empty_list_is_told_once_and_changes_nothing():
    counts = (0, 62, 45, 21, 38, 14, 11, 9)
    estimator = IdentifiedPosterior(cells=replace(SHORT, n_draws=200))
    with pytest.warns(EmptyListWarning) as caught:
        found = estimator.fit(table_of((*counts, *[0] * 8)), rng=1)
    assert len(caught) == 1
    assert found.details["dropped_lists"] == ["l3"]
    assert found.draws.tobytes() == estimator.fit(table_of(counts), rng=1).draws.tobytes()


# --- when the cells cannot be used ------------------------------------------------------------------------------------


def test_the_status_of_the_cells_is_passed_on():
    p, table = world(3, 0.0)
    found = IdentifiedPosterior(cells=Known(probabilities=tuple(p), status="not_converged")).fit(table, rng=1)
    assert found.status == "not_converged"
    assert found.reason == "the observed cells come from known, and there: its chains disagree"
    assert len(found.draws) == 4000


def test_a_cell_without_a_share_leaves_the_ratio_without_a_value():
    p, table = world(3, 0.0)
    p[3] = 0.0
    found = IdentifiedPosterior(cells=Known(probabilities=tuple(p / p.sum()))).fit(table, rng=1)
    assert found.status == "not_identified"
    assert "gives a cell no share at all" in found.reason


def test_chains_that_disagree_on_the_ratio_are_not_converged(monkeypatch):
    p, table = world(3, 0.0)
    fit = Known.fit

    def apart(self, table, *, rng=None):
        estimate = fit(self, table, rng=rng)
        shares = np.random.default_rng(1).dirichlet(200 * p[1:], (2, 2000))
        shares[1] = np.random.default_rng(2).dirichlet(200 * p[1:] ** 2, 2000)
        return replace(estimate, details={"idata": inference_data({"cell_shares": shares})})

    monkeypatch.setattr(Known, "fit", apart)
    found = IdentifiedPosterior(cells=Known(probabilities=tuple(p))).fit(table, rng=1)
    assert found.status == "not_converged"
    assert found.reason.startswith("the ratio of the cells by known: ")


def test_cells_that_were_never_drawn_are_a_status():
    flat = ThresholdedLogLinear(prior_variance=None, n_draws=200)
    table = table_of((0, 40, 30, 0, 20, 0, 0, 0))
    assert flat.fit(table, rng=1).draws is None
    found = IdentifiedPosterior(cells=flat).fit(table, rng=1)
    assert found.status == "not_identified"
    assert found.reason.startswith(
        "the observed cells come from thresholded, and there: there is no posterior"
    )
    assert (len(found.draws), found.interval.high) == (0, math.inf)
    json.dumps(found.to_dict(), allow_nan=False)


def test_an_estimator_without_cells_is_refused():
    with pytest.raises(
        CapabilityError, match=r"those of decomposable on kosovo do not hold a share of every cell"
    ):
        IdentifiedPosterior(cells=DecomposableAveraging()).fit(KOSOVO, rng=1)
    assert not has_cells(DecomposableAveraging().fit(KOSOVO, rng=1))


@pytest.mark.slow
def test_a_bayesian_log_linear_model_holds_shares_unless_a_history_has_no_cell():
    short_chains = {"n_draws": 200, "n_tune": 300, "n_chains": 2}
    ratio, odds = ratio_and_odds(BayesianLogLinear(**short_chains).fit(KOSOVO, rng=1))
    assert ratio == pytest.approx(odds, rel=1e-9)
    modelled = BayesianLogLinear(strata="model", **short_chains).fit(KOSOVO, rng=1)
    assert has_cells(modelled)
    table = table_of((0, 62, 45, 0, 38, 14, 11, 0))
    apart = BayesianLogLinear(structural_zeros=("l0*l1",), **short_chains)
    assert not has_cells(apart.fit(table, rng=1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"cells": "latent_class"},
            r"cells='latent_class' must be a Bayesian estimator, e.g. LatentClass\(\)",
        ),
        ({"cells": LatentClass}, "must be a Bayesian estimator"),
        ({"cells": IdentifiedPosterior()}, "must be a Bayesian estimator"),
        (
            {"cells": LatentClass(prior="uniform")},
            "latent_class has prior='uniform'.*leave prior=\"reciprocal\"",
        ),
        ({"cells": SHORT, "prior_count": 1.0}, "prior_count=1.0 is about Dirichlet cells; thresholded has"),
        ({"cells": SHORT, "n_draws": 500}, "n_draws=500 is about Dirichlet cells"),
    ],
)
def test_an_impossible_setting_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        IdentifiedPosterior(**settings)


def test_a_sweep_of_prior_counts_needs_dirichlet_cells():
    with pytest.raises(SettingError, match="is about Dirichlet cells"):
        sweep_prior_count(KOSOVO, [1.0], base=IdentifiedPosterior(cells=SHORT), rng=1)
