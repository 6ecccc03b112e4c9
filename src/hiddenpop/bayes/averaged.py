"""`BayesianModelAveraging`: the posterior of N, averaged over log-linear models by their marginal likelihood."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats
from hiddenpop.bayes.averaged_details import (
    PROTECTED,
    details_of,
    diagnostics_of,
    faults_of,
    importance_of,
    sensitivity_of,
)
from hiddenpop.bayes.averaged_space import (
    LARGEST_NUMBER,
    MAIN_EFFECT_SD,
    ModelSpace,
    check_inclusion,
    log_model_prior,
    model_space,
    theta_prior,
)
from hiddenpop.bayes.convergence import Convergence
from hiddenpop.bayes.outcome import quantiles, sampled_estimate
from hiddenpop.bayes.priors import Prior, check_between, check_prior
from hiddenpop.estimators.base import POSTERIOR, BaseEstimator, Change, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.protocol import check_level, check_order, check_whole
from hiddenpop.kernels.marginal_likelihood import ThetaPrior, evidence_constant
from hiddenpop.kernels.posterior_draws import (
    ModelPosterior,
    draw_missing,
    effective_draws,
    model_posterior,
    systematic_rows,
)
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Estimate
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["Averaged", "BayesianModelAveraging", "sweep_odds_ratio"]


METHOD = "equal-tailed posterior, averaged over log-linear models"
FEWEST_LISTS = 3
FEWEST_DRAWS = 1000
"""With fewer, no posterior has the 400 effective draws that its limits need."""

COLUMNS = ["odds_ratio", "median", "low", "high", "status", "n_modes", "model", "probability"]

STANDARD_PRIORS: tuple[Change, ...] = (
    (("odds_ratio", 3.0),),
    (("odds_ratio", 10.0),),
    (("odds_ratio", 100.0),),
    (("inclusion", 0.25),),
    (("main_effect_sd", 3.0),),
)
"""Priors worth trying beside the one that is set."""


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class BayesianModelAveraging(BaseEstimator):
    """Size of a closed population, averaged over log-linear models by their marginal likelihood.

    Every hierarchical model without the interaction of all lists has a posterior probability, proportional to its prior
    times the probability that it gives to the table with its parameters and N integrated out. The posterior of N is
    that of all of them together.

    Parameters
    ----------
    odds_ratio : float
        Prior of an interaction: normal around 0, such that the odds ratio lies between ``1 / odds_ratio`` and
        `odds_ratio` with probability 95 %. Beyond two lists it is the ratio of such ratios.
    main_effect_sd : float
        Standard deviation of the normal prior of a main effect, the log odds of being on a list among those on no
        other. The default is nearly flat, and proper.
    max_order : int, optional
        Size of the largest term. By default every order up to five lists, 2 for six.
    prior : {"reciprocal", "uniform"} or ("negative_binomial", mean, shape)
        Prior of N: 1/N, flat, or negative binomial with that mean and variance ``mean + mean^2 / shape``.
    inclusion : float, optional
        Prior probability p of an interaction, before hierarchy: a model with k of the f interactions of the space
        weighs ``p^k (1 - p)^(f - k)``. By default all models weigh the same.
    n_draws : int
        Draws from the posterior, at least 1,000.
    level : float
        Probability of the interval.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    `n_hat` is the posterior median, and n0 is drawn, not put at its expectation.

    Computation. Laplace's approximation gives the evidence of all models. Those that hold all but a thousandth of the
    weight, 8,000 at most, are then sampled from split t laws at their modes, and their importance weights
    replace Laplace's evidence, which sparse tables put wrong by a tenth or more on the log scale; the light models
    share a thousand draws. The draws are independent: no chain has to converge. What can fail are the importance
    weights. They are bounded, as the priors are normal and the proposals have the tails of a t, but a few may carry
    all: the status is ``"not_converged"`` with fewer than 400 effective draws, or a Pareto k above 0.7.

    `odds_ratio`. The default 10 says that odds ratios of registers beyond 10 and below 1/10 are rare, as they are in
    the field, and shrinks one of 3 by little. It matters twice: for the size of the interactions, and for their number,
    since a wide prior makes each of them dear (Bartlett's paradox). Models with one interaction more or less can have
    dark figures that differ by a factor of two. ``details["sensitivity"]`` has the answer under half and twice the
    standard deviation of each prior, from the same draws, and a diagnostic says when a figure moves by more than 15 %.
    Report the range of `sweep_odds_ratio` beside the interval.

    Prior of the models. Most hierarchical models are large: with all alike on five lists, a pair has the prior
    probability 0.77 and a triple 0.29. ``details["interactions"]`` has these figures beside the posterior ones.
    `inclusion` of 1/2 is the same as none; smaller ones favour few interactions.

    Every model here takes the interaction of all lists to be absent, which no table can test: see
    `hiddenpop.bayes.identifying.IdentifiedPosterior`. Without any overlap of two lists the prior of the main effects
    alone sets an upper limit. On a handful of persons it says that a list that caught most of them catches nearly
    everybody: a normal law this wide on the log odds holds probabilities near 0 and 1 for the likely ones.

    References
    ----------
    Madigan, D. and York, J. C. (1997). Bayesian methods for estimation of the size of a closed population. Biometrika
    84(1), 19-31. doi:10.1093/biomet/84.1.19
    Geweke, J. (1989). Bayesian inference in econometric models using Monte Carlo integration. Econometrica 57(6),
    1317-1339. doi:10.2307/1913710
    King, R. and Brooks, S. P. (2001). On the Bayesian analysis of population size. Biometrika 88(2), 317-336.
    doi:10.1093/biomet/88.2.317

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = BayesianModelAveraging().fit(hp.datasets.load("kosovo"), rng=1)
    >>> estimate.status, round(estimate.n_hat, -3)
    ('ok', 12000.0)
    >>> estimate.details["top_models"]["model"][0]
    '[123,134]'
    """

    name: ClassVar[str] = "bayesian_averaged"

    odds_ratio: float = 10.0
    main_effect_sd: float = MAIN_EFFECT_SD
    max_order: int | None = None
    prior: Prior = "reciprocal"
    inclusion: float | None = None
    n_draws: int = 10_000
    level: float = 0.95

    def __post_init__(self) -> None:
        check_order(self.max_order)
        odds_ratio = check_between("odds_ratio", self.odds_ratio, above=1.0, at_most=LARGEST_NUMBER)
        object.__setattr__(self, "odds_ratio", odds_ratio)
        sd = check_between("main_effect_sd", self.main_effect_sd, above=0.0, at_most=LARGEST_NUMBER)
        object.__setattr__(self, "main_effect_sd", sd)
        object.__setattr__(self, "prior", check_prior(self.prior))
        check_inclusion(self.inclusion)
        check_whole("n_draws", self.n_draws, least=FEWEST_DRAWS)
        check_level(self.level)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Draw from the posterior of the population size, over all models of the space.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None

        Returns
        -------
        Estimate
            ``details`` holds ``interactions`` (prior and posterior probability of each), ``top_models`` and ``models``,
            ``sensitivity`` (to the normal priors), ``importance`` (effective draws, Pareto k), ``n_models``, ``order``,
            ``hidden_share``, ``convergence``, ``modes``, ``quantiles`` and ``idata``. The status is ``"boundary"`` when
            half of the posterior or more lies on nobody hidden, ``"unbounded"`` when its median says more than the data
            can, and ``"not_converged"`` when the importance weights cannot be relied on.

        Raises
        ------
        CapabilityError
            For fewer than three lists that caught somebody, more than 100,000 models, gaps or censored cells.
        """
        check_table(table)
        provenance = make_provenance(table.summary, rng)
        found = averaged(self, table, np.random.default_rng(rng))
        importance, sensitivity = importance_of(found), sensitivity_of(found, self.level)
        return sampled_estimate(
            self,
            table,
            sizes=found.sizes[None],
            n_observed=found.data.n_observed,
            n_lists=found.data.n_lists,
            convergence=found.convergence(self.level),
            method=METHOD,
            provenance=provenance,
            details=details_of(found, importance, sensitivity, self.level),
            diagnostics=(*found.data.diagnostics, *diagnostics_of(found, importance, sensitivity)),
            protected=PROTECTED if found.data.has_small else (),
            faults=faults_of(importance),
        )

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("homogeneous", "one_of_models", "no_highest_order", "priors"),
            model_is="averaged",
            other_priors=STANDARD_PRIORS,
            adds_up_strata=True,
        )

    def prepare(self, table: CaptureTable) -> tuple[ListCounts, ModelSpace]:
        """Count, and list the models of so many lists."""
        check_table(table)
        data = list_counts(table, estimator=self.name, minimum_lists=FEWEST_LISTS)
        return data, model_space(data.n_lists, self.max_order, table.name, self.name)

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(scenario, POSTERIOR)


@dataclass(frozen=True, slots=True, eq=False)
class Averaged:
    """A posterior over models with what it was made from.

    Attributes
    ----------
    data : ListCounts
    space : ModelSpace
    prior : ThetaPrior
    log_model_prior : ndarray, shape (m,)
    posterior : ModelPosterior
        Its weighted draws.
    constant : float
        What the log evidences lack, the same for every model.
    sizes : ndarray, shape (n_draws,)
        Draws of N, in persons, of equal weight.
    hidden_share : ndarray, shape (n_draws,)
        Probability of being hidden.
    """

    data: ListCounts
    space: ModelSpace
    prior: ThetaPrior
    log_model_prior: Floats
    posterior: ModelPosterior
    constant: float
    sizes: Floats
    hidden_share: Floats

    def convergence(self, level: float) -> Convergence:
        """Effective draws of the median and of the limits, by the weights; the draws are independent."""
        weight, missing = self.posterior.weight, self.posterior.n_missing
        tail = (1.0 - level) / 2.0
        ess = [effective_draws(missing, weight, share) for share in (tail, 0.5, 1.0 - tail)]
        most = float(len(self.sizes))
        return Convergence(
            rhat=1.0,
            ess_bulk=min(ess[1], most),
            ess_tail=min(ess[0], ess[2], most),
            n_chains=1,
            n_draws=len(self.sizes),
        )


def averaged(setting: BayesianModelAveraging, table: CaptureTable, rng: np.random.Generator) -> Averaged:
    """Explore the posterior behind a table, and draw from it."""
    data, space = setting.prepare(table)
    prior = theta_prior(setting.odds_ratio, setting.main_effect_sd, setting.prior)
    by_model = log_model_prior(space, setting.inclusion)
    posterior = model_posterior(
        data.counts, space.term_sets, data.n_lists, prior, by_model, int(setting.n_draws), rng
    )
    rows = systematic_rows(posterior.weight, int(setting.n_draws), rng)
    log_odds = posterior.draws.log_odds[rows]
    missing = draw_missing(log_odds, data.n_observed, prior, rng)
    return Averaged(
        data=data,
        space=space,
        prior=prior,
        log_model_prior=by_model,
        posterior=posterior,
        constant=evidence_constant(data.counts, prior),
        sizes=missing + data.n_observed,
        hidden_share=1.0 / (1.0 + np.exp(np.minimum(log_odds, math.log(1e300)))),
    )


def sweep_odds_ratio(
    table: CaptureTable,
    odds_ratios: Iterable[float],
    *,
    base: BayesianModelAveraging | None = None,
    rng: RNGLike = None,
) -> pd.DataFrame:
    """Show how the answer moves with the prior of the interactions.

    Parameters
    ----------
    table : CaptureTable
    odds_ratios : iterable of float
        Values of `BayesianModelAveraging.odds_ratio`.
    base : BayesianModelAveraging, optional
        Its other settings; the defaults when left out.
    rng : int, Generator or None

    Returns
    -------
    DataFrame
        One row a value: ``odds_ratio``, ``median``, ``low`` and ``high`` of N as drawn, the ``status`` that `fit`
        gives, ``n_modes``, and the most probable ``model`` with its ``probability``.

    Raises
    ------
    SettingError
        For a value that is not above 1.
    CapabilityError
        As for `BayesianModelAveraging.fit`.

    Notes
    -----
    Report the range of the medians over values that you would defend, e.g. 3 to 100, beside the interval for one of
    them: where the range is wider than the interval, the prior answers in place of the data.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> sweep = sweep_odds_ratio(hp.datasets.load("kosovo"), [3, 10, 100], rng=1)
    >>> sweep["status"].tolist()
    ['ok', 'ok', 'ok']
    """
    base = base or BayesianModelAveraging()
    settings = [replace(base, odds_ratio=value) for value in odds_ratios]
    seed = int(np.random.default_rng(rng).integers(2**63))
    return pd.DataFrame([_sweep_row(setting, table, seed) for setting in settings], columns=COLUMNS)


def _sweep_row(setting: BayesianModelAveraging, table: CaptureTable, seed: int) -> dict[str, Any]:
    estimate = setting.fit(table, rng=seed)
    tail = (1.0 - setting.level) / 2.0
    draws = np.asarray(estimate.draws)
    top = estimate.details["top_models"].iloc[0]
    figures = (
        setting.odds_ratio,
        *quantiles(draws, [0.5, tail, 1.0 - tail]).tolist(),
        estimate.status,
        len(estimate.details["modes"]),
        top["model"],
        top["probability"],
    )
    return dict(zip(COLUMNS, figures, strict=True))
