"""Identifying assumptions on the Kosovo table, whoever models the observed cells; see ORIGIN.md."""

import json
import math
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import digamma
from scipy.stats import multivariate_t, nbinom

import hiddenpop as hp
from hiddenpop.bayes.identifying import IdentifiedPosterior, identified_cells, identified_estimate
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.latent_class import LatentClass
from hiddenpop.bayes.loglinear import BayesianLogLinear
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.histories import captures
from hiddenpop.kernels.bayes.odds import cell_shapes, ratio_draws
from hiddenpop.result import Estimate, Interval

Floats = npt.NDArray[np.float64]

REFERENCE = json.loads((Path(__file__).parent / "identifying.json").read_text())
KOSOVO = hp.datasets.load("kosovo")
COUNTS = KOSOVO.to_dense().astype(float)
XIS = {"0.500": 0.5, "0.667": 2 / 3, "1.000": 1.0, "1.500": 1.5, "2.000": 2.0}
PAIR = ("ABA", "HRW")
NORMAL_95 = 1.959963984540054
STAN_SD = 5.0
"""Of the normal prior of every coefficient; ORIGIN.md says how it was found."""

STAN = BayesianLogLinear(
    order=3, main_effect_sd=STAN_SD, odds_ratio=math.exp(NORMAL_95 * STAN_SD), n_draws=2500
)

CASES = [
    (key, prior)
    for key, answers in REFERENCE.items()
    if "_nhoi_xi" in key or "_marg_" in key
    for prior in answers
    if isinstance(answers[prior], dict)
    if key != "mle_nhoi_xi1"
]


def cases(start: str) -> list[tuple[str, str]]:
    return [case for case in CASES if case[0].startswith(start)]


def settings_of(key: str) -> dict[str, Any]:
    xi = XIS[key[-5:]]
    return {"xi": xi} if "_nhoi_" in key else {"xi": xi, "assumption": "marginal", "lists": PAIR}


def weights_of(drawn: Floats, prior: str) -> Floats:
    """Weights that turn draws made under the prior 1/N into draws under another prior of N."""
    weight = np.ones(len(drawn))
    if prior != "improper_scale_prior":
        mean, size = (float(part[1:]) for part in prior.split("_")[1:])
        weight = nbinom.pmf(drawn, size, size / (size + mean)) * drawn
    return np.asarray(weight / weight.sum())


def distances(
    estimate: Estimate, answer: dict[str, Any], prior: str, *, ours: float, theirs: float
) -> list[float]:
    """How far median and limits lie from the answer, in standard errors of both.

    `ours` and `theirs` say how many independent draws the two are worth, as a share of all. A quantile of a normal
    sample of m has the standard error 1.25 sd / sqrt(m) in the middle and 2.7 sd / sqrt(m) at 2.5 %; the tail above is
    longer than a normal one, and gets twice as much.
    """
    drawn = np.asarray(estimate.draws)
    weight = weights_of(drawn, prior)
    found = np.quantile(drawn, [0.5, 0.025, 0.975], weights=weight, method="inverted_cdf")
    worth = ours / float((weight**2).sum())
    error = answer["sd"] * math.sqrt(1.0 / (theirs * answer["draws"]) + 1.0 / worth)
    known = np.array([answer["median"], answer["q025"], answer["q975"]])
    return (np.abs(found - known) / (np.array([1.25, 2.7, 5.4]) * error + 0.5)).tolist()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Given:
    """An estimator of somebody else, that holds shares of cells from elsewhere."""

    name: ClassVar[str] = "given"

    shares: Floats = field(repr=False)

    def fit(self, table: hp.CaptureTable, *, rng: Any = None) -> Estimate:
        drawn = np.full(len(self.shares), float(table.n_observed))
        idata = inference_data({"N": drawn[None], "cell_shares": self.shares[None]})
        return Estimate(
            n_hat=drawn[0],
            n_observed=table.n_observed,
            interval=Interval(drawn[0], drawn[0], 0.95, "none"),
            status="ok",
            estimator=spec_of(self),
            table=table.summary,
            draws=drawn,
            draws_are="posterior",
            details={"idata": idata},
        )


# --- Dirichlet cells --------------------------------------------------------------------------------------------------


@cache
def by_dirichlet(key: str) -> Estimate:
    """Dirichlet cells; those of the pair from all 15, where our own have a prior count for each cell of the pair."""
    if "_marg_" in key:
        shares = np.random.default_rng(1).dirichlet(COUNTS[1:] + 1.0, 100_000)
        return IdentifiedPosterior(cells=Given(shares=shares), **settings_of(key)).fit(KOSOVO, rng=1)
    return IdentifiedPosterior(prior_count=1.0, n_draws=100_000, **settings_of(key)).fit(KOSOVO, rng=1)


@pytest.mark.parametrize(("key", "prior"), cases("dirichlet_"))
def test_dirichlet_cells_are_the_same_posterior(key: str, prior: str) -> None:
    found = distances(by_dirichlet(key), REFERENCE[key][prior], prior, ours=1, theirs=1)
    assert max(found) < 4


def test_the_comparison_finds_another_prior_of_cells_and_of_persons_and_another_xi() -> None:
    answers, improper = REFERENCE["dirichlet_nhoi_xi1.000"], "improper_scale_prior"
    other = IdentifiedPosterior(prior_count=0.05, n_draws=100_000).fit(KOSOVO, rng=1)
    assert max(distances(other, answers[improper], improper, ours=1, theirs=1)) > 4
    right = by_dirichlet("dirichlet_nhoi_xi1.000")
    assert max(distances(right, answers["NB_M12000_a9"], improper, ours=1, theirs=1)) > 40
    upside_down = by_dirichlet("dirichlet_nhoi_xi0.500")
    answer = REFERENCE["dirichlet_nhoi_xi2.000"][improper]
    assert min(distances(upside_down, answer, improper, ours=1, theirs=1)) > 40


def test_a_prior_count_a_cell_of_the_pair_is_nearly_the_same() -> None:
    key = "dirichlet_marg_ABA_HRW_xi1.000"
    estimate = IdentifiedPosterior(prior_count=3.75, n_draws=100_000, **settings_of(key)).fit(KOSOVO, rng=1)
    answer = REFERENCE[key]["improper_scale_prior"]
    assert max(distances(estimate, answer, "improper_scale_prior", ours=1, theirs=1)) < 6


def test_the_ratio_has_its_exact_mean_and_variance() -> None:
    exact = REFERENCE["dirichlet_exact"]
    draws = ratio_draws(cell_shapes(COUNTS, 1.0, others=False), 4400, 200_000, np.random.default_rng(1))
    total = digamma(COUNTS.sum() + 15)
    deviation = math.sqrt(exact["Var_log_odds"])
    error = deviation / math.sqrt(200_000)
    assert draws.log_ratio.mean() + total == pytest.approx(exact["E_log_odds_pi0_nhoi_xi1"], abs=4 * error)
    assert draws.log_ratio.std() == pytest.approx(deviation, rel=4 / math.sqrt(2 * 200_000))


# --- the saturated observed cells -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", REFERENCE["freq_nhoi"])
def test_the_saturated_cells_give_the_same_estimate_and_error(key: str) -> None:
    answer, xi = REFERENCE["freq_nhoi"][key], {"xi0.667": 2 / 3}.get(key, float(key[2:]))
    estimate = hp.LogLinear(model="[123,124,134,234]", xi=xi).fit(KOSOVO)
    assert estimate.n_hat == pytest.approx(answer["est"], rel=1e-9)
    assert estimate.details["n0_standard_error"] == pytest.approx(answer["se"], rel=1e-9)
    plain = REFERENCE["mle_nhoi_xi1"]["n0"]
    assert estimate.n_hidden == pytest.approx(plain / xi, rel=1e-9)


# --- cells by a log-linear model --------------------------------------------------------------------------------------


TERMS = list(range(1, 15))
DESIGN = np.array([[float(cell & term == term) for term in TERMS] for cell in range(1, 16)])


def log_posterior(theta: Floats) -> Floats:
    """Log density of coefficients given who was observed, under the normal prior; rows of `theta`."""
    eta = theta @ DESIGN.T
    return (
        eta @ COUNTS[1:]
        - COUNTS.sum() * np.logaddexp.reduce(eta, axis=-1)
        - 0.5 * (theta**2).sum(axis=-1) / (STAN_SD**2)
    )


def mode() -> tuple[Floats, Floats]:
    """Newton's steps to the mode, and the covariance there."""
    theta = np.zeros(14)
    for _ in range(50):
        eta = DESIGN @ theta
        shares = np.exp(eta - np.logaddexp.reduce(eta))
        gradient = DESIGN.T @ (COUNTS[1:] - COUNTS.sum() * shares) - theta / STAN_SD**2
        moment = DESIGN.T @ shares
        curvature = COUNTS.sum() * (DESIGN.T @ (shares[:, None] * DESIGN) - np.outer(moment, moment))
        curvature += np.eye(14) / STAN_SD**2
        theta = theta + np.linalg.solve(curvature, gradient)
    return theta, np.linalg.inv(curvature)


@cache
def shares_by_importance() -> Floats:
    """Draws of the shares of the observed cells, by importance sampling: no chain, and none of our code."""
    rng = np.random.default_rng(3)
    centre, covariance = mode()
    law = multivariate_t(centre, covariance, df=8)
    theta = law.rvs(60_000, random_state=rng)
    log_weight = log_posterior(theta) - law.logpdf(theta)
    weight = np.exp(log_weight - log_weight.max())
    assert weight.sum() ** 2 / (weight**2).sum() > 20_000
    kept = theta[rng.choice(len(theta), 20_000, p=weight / weight.sum())]
    eta = kept @ DESIGN.T
    return np.asarray(np.exp(eta - np.logaddexp.reduce(eta, axis=-1, keepdims=True)))


@cache
def by_importance(key: str) -> Estimate:
    return IdentifiedPosterior(cells=Given(shares=shares_by_importance()), **settings_of(key)).fit(
        KOSOVO, rng=1
    )


@pytest.mark.parametrize(("key", "prior"), cases("stanLL_"))
def test_cells_by_importance_sampling_are_the_same_posterior(key: str, prior: str) -> None:
    # The reference's chains are worth a tenth of their draws at the least; ours are picked out of 60,000 weighted ones.
    found = distances(by_importance(key), REFERENCE[key][prior], prior, ours=0.6, theirs=0.12)
    assert max(found) < 4


def test_the_coefficients_are_those_of_a_normal_prior_with_standard_deviation_5() -> None:
    centre, covariance = mode()
    for row in REFERENCE["stan"]["lambda"]:
        lists = [name.removesuffix("1") for name in row["term"].split(":")]
        at = TERMS.index(sum(1 << KOSOVO.lists.index(name) for name in lists))
        assert centre[at] == pytest.approx(row["mean"], abs=0.05 * row["sd"])
        assert math.sqrt(covariance[at, at]) == pytest.approx(row["sd"], rel=0.02)


@cache
def fitted(kind: str) -> Estimate:
    cells: LatentClass | BayesianLogLinear = STAN if kind == "stanLL" else LatentClass()
    return cells.fit(KOSOVO, rng=1)


def by_chains(key: str) -> Estimate:
    """Apply the assumption of a key to one and the same fit of the observed cells."""
    base = fitted(key.split("_", maxsplit=1)[0])
    setting = IdentifiedPosterior(cells=base.estimator.build(), **settings_of(key))
    cells = identified_cells(setting, KOSOVO, fitted=base, rng=2)
    return identified_estimate(setting, KOSOVO, cells, {})


@pytest.mark.slow
@pytest.mark.parametrize(("key", "prior"), [*cases("stanLL_"), *cases("lcmcr_")])
def test_cells_by_chains_are_the_same_posterior(key: str, prior: str) -> None:
    # The Gibbs sampler of the latent classes mixes slowly: its 100,000 draws are taken for 2,000.
    theirs = 0.12 if key.startswith("stanLL") else 0.02
    estimate = by_chains(key)
    assert estimate.ok, estimate.reason
    effective = estimate.details["convergence"]["ess_bulk"] / len(np.asarray(estimate.draws))
    found = distances(estimate, REFERENCE[key][prior], prior, ours=min(effective, 1.0), theirs=theirs)
    assert max(found) < 4


@pytest.mark.slow
def test_latent_classes_and_log_linear_cells_are_told_apart() -> None:
    improper = "improper_scale_prior"
    answer = REFERENCE["lcmcr_nhoi_xi0.500"][improper]
    found = distances(by_chains("stanLL_nhoi_xi0.500"), answer, improper, ours=0.5, theirs=0.02)
    assert max(found) > 4


@pytest.mark.slow
def test_a_log_linear_model_without_the_highest_interaction_keeps_its_own_answer_at_xi_1() -> None:
    own, found = fitted("stanLL"), by_chains("stanLL_nhoi_xi1.000")
    posterior = own.details["idata"].posterior
    hidden = posterior["hidden_share"].to_numpy()
    sign = np.where(captures(np.arange(1, 16)) % 2 == 1, 1.0, -1.0)
    ratio = np.exp(np.log(posterior["cell_shares"].to_numpy()) @ sign)
    assert ratio == pytest.approx(hidden / (1 - hidden), rel=1e-9)
    assert found.n_hat == pytest.approx(own.n_hat, rel=0.02)
    latent = fitted("lcmcr")
    assert by_chains("lcmcr_nhoi_xi1.000").n_hat > 1.2 * latent.n_hat
