"""`BayesianModelAveraging`: the posterior of N, averaged over log-linear models by their marginal likelihood."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logsumexp

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats
from hiddenpop.bayes.convergence import Convergence
from hiddenpop.bayes.inference_data import inference_data, load_arviz
from hiddenpop.bayes.outcome import quantiles, sampled_estimate
from hiddenpop.bayes.priors import (
    Prior,
    check_between,
    check_prior,
    odds_ratio_of_sd,
    sd_of_odds_ratio,
    size_gamma,
)
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.base import POSTERIOR, BaseEstimator, Change, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.protocol import as_number, check_level, check_order, check_whole
from hiddenpop.estimators.search import default_order
from hiddenpop.histories import bit_positions, captures
from hiddenpop.kernels.bayes.marginal_likelihood import (
    MOST_PROBABLE,
    ModelPosterior,
    ThetaPrior,
    draw_missing,
    effective_draws,
    evidence_constant,
    model_posterior,
    reweighted,
    systematic_rows,
    weighted_quantiles,
)
from hiddenpop.model import (
    MAX_ENUMERATED_LISTS,
    HierarchicalModel,
    enumerate_models,
    model_space_size,
    notations,
)
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate
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

LARGEST_SPACE = 100_000
"""Six lists have 32,768 models up to order 2, which take a few seconds, and 3.7 million up to order 3."""

MAIN_EFFECT_SD = 10.0
LARGEST_NUMBER = 1e6

PROTECTED = ("hidden_share", "importance", "interactions", "models", "sensitivity", "top_models")
"""Details that give small counts away: exact probabilities can be solved for the cells behind them."""

TOP_MODELS, SHOWN_MODELS = 10, 10_000
HIGHEST_K = 0.7
"""Above, importance weights do not settle with any number of draws that one would take (Vehtari et al. 2024)."""

UNRELIABLE = 0.1
"""A Pareto k from a thousand draws has a standard error of 0.15: a few of a hundred lie above 0.7 by chance."""

LAPLACE_ERROR = 0.1
FACTORS, MOVED = (0.5, 2.0), 1.15
"""A figure that moves by more than 15 % when a prior is twice or half as wide rests on it."""

HEAVY = 0.05
APART = 0.8
"""Two models disagree when their equal-tailed intervals of this probability have nothing in common."""


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

    def prepare(self, table: CaptureTable) -> "tuple[ListCounts, ModelSpace]":
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
    space: "ModelSpace"
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


# === the space of models that are averaged over, and the priors of models and parameters ==============================


@dataclass(frozen=True, slots=True, eq=False)
class ModelSpace:
    """Every hierarchical model up to an order.

    Attributes
    ----------
    n_lists : int
    order : int
    term_sets : ndarray of uint64, shape (m,)
    interactions : tuple of int
        Terms of two and more lists that a model may hold, as masks.
    """

    n_lists: int
    order: int
    term_sets: npt.NDArray[np.uint64]
    interactions: tuple[int, ...]

    @property
    def holds(self) -> npt.NDArray[np.bool_]:
        """Which model holds which interaction, shape (m, interactions)."""
        bits = np.array(self.interactions, dtype=np.uint64)
        return (self.term_sets[:, None] >> bits & np.uint64(1)).astype(np.bool_)

    @property
    def n_interactions(self) -> npt.NDArray[np.int64]:
        """How many interactions each model holds."""
        return np.bitwise_count(self.term_sets).astype(np.int64) - self.n_lists - 1


def model_space(n_lists: int, max_order: int | None, table: str, estimator: str) -> ModelSpace:
    """Enumerate the models up to an order.

    Parameters
    ----------
    n_lists : int
    max_order : int or None
        None for every order up to five lists, and 2 for six.
    table, estimator : str
        Names for the messages.

    Returns
    -------
    ModelSpace

    Raises
    ------
    CapabilityError
        For a space of more than `LARGEST_SPACE` models.
    """
    order = default_order(n_lists, max_order)
    size = model_space_size(n_lists, order)
    if n_lists > MAX_ENUMERATED_LISTS or size is None or size > LARGEST_SPACE:
        spelled = f"{size:,}" if size is not None else "more than a million million"
        raise CapabilityError(
            f"{estimator} weighs every model, and the {n_lists} lists of {table} have {spelled} hierarchical models up "
            f"to order {order}, more than {LARGEST_SPACE:,}; take at most {MAX_ENUMERATED_LISTS} lists, with "
            f"max_order=2 for six: merge those of the same kind with merge_lists, or drop some"
        )
    term_sets = np.concatenate(list(enumerate_models(n_lists, max_order=order)))
    masks = sorted(range(1, 1 << n_lists), key=lambda mask: (mask.bit_count(), mask))
    return ModelSpace(
        n_lists, order, term_sets, tuple(mask for mask in masks if 2 <= mask.bit_count() <= order)
    )


def log_model_prior(space: ModelSpace, inclusion: float | None) -> Floats:
    """Log prior probability of each model.

    Examples
    --------
    >>> space = model_space(3, None, "t", "e")
    >>> np.exp(log_model_prior(space, 0.25)).round(4)[:3]
    array([0.4219, 0.1406, 0.1406])
    """
    odds = 1.0 if inclusion is None else inclusion / (1.0 - inclusion)
    weight = space.n_interactions * math.log(odds)
    return np.asarray(weight - logsumexp(weight))


def theta_prior(odds_ratio: float, main_effect_sd: float, prior: Prior) -> ThetaPrior:
    """Write the priors as the kernel takes them.

    Examples
    --------
    >>> round(theta_prior(10.0, 10.0, "reciprocal").interaction_sd, 3)
    1.175
    """
    return ThetaPrior(main_effect_sd, sd_of_odds_ratio(odds_ratio), *size_gamma(prior))


def check_inclusion(inclusion: Any) -> None:
    """Refuse a prior probability of an interaction that is not between 0 and 1; None weighs all models alike."""
    if inclusion is not None and not 0.0 < as_number(inclusion) < 1.0:
        raise SettingError(
            f"inclusion={inclusion!r} must lie between 0 and 1, the ends excluded, or be None for equal weights"
        )


# === what a reader of a posterior over log-linear models asks for =====================================================
# Models, interactions, and how far to trust them.


def pareto_k(log_weight: Floats) -> float:
    """Shape of the generalised Pareto law of the largest importance weights; below 0.7 they can be relied on.

    References
    ----------
    Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024). Pareto smoothed importance sampling. Journal of
    Machine Learning Research 25(72), 1-58.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> bool(pareto_k(rng.normal(size=2000)) < 0.7), bool(pareto_k(3.0 * rng.normal(size=2000)) > 0.7)
    (True, True)
    """
    if np.ptp(log_weight) < 1e-9:
        return -math.inf
    with np.errstate(all="ignore"):
        return float(load_arviz().psislw(log_weight)[1])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Importance:
    """How well weighted draws stand for the posterior.

    Attributes
    ----------
    examined : ndarray of int
        The most probable models, the first first.
    k : ndarray
        Pareto k of each, from its own draws.
    pooled_k : float
        Pareto k of all draws together.
    effective_draws : float
        Independent draws that the weighted ones are worth, over the whole posterior.
    unreliable_share : float
        Of the probability of the models examined, that of models with a Pareto k above 0.7.
    """

    examined: npt.NDArray[np.int64]
    k: Floats
    pooled_k: float
    effective_draws: float
    unreliable_share: float


def importance_of(found: Averaged) -> Importance:
    """Look at the importance weights, together and model by model.

    Parameters
    ----------
    found : Averaged

    Returns
    -------
    Importance
    """
    posterior = found.posterior
    order = np.argsort(-posterior.probability, kind="stable")
    examined = order[~np.isnan(posterior.error[order])][:MOST_PROBABLE]
    by_model = [pareto_k(posterior.draws.log_weight[posterior.model == m]) for m in examined]
    k = np.array(by_model)
    shares = posterior.probability[examined]
    return Importance(
        examined=examined,
        k=k,
        pooled_k=pareto_k(np.log(posterior.weight[posterior.weight > 0.0])),
        effective_draws=float(1.0 / (posterior.weight**2).sum()),
        unreliable_share=float(shares[k > HIGHEST_K].sum() / shares.sum()),
    )


def faults_of(importance: Importance) -> list[str]:
    """Say why the weighted draws cannot be trusted, nothing when they can.

    Examples
    --------
    >>> faults_of(
    ...     Importance(
    ...         examined=np.array([0]), k=np.array([0.9]), pooled_k=0.2, effective_draws=900.0, unreliable_share=1.0
    ...     )
    ... )
    ['models with 100% of the probability examined have a Pareto k above 0.7: few importance weights carry them']
    """
    faults = []
    if importance.pooled_k > HIGHEST_K:
        faults.append(
            f"the Pareto k of the importance weights is {importance.pooled_k:.2f}, above {HIGHEST_K}: few of them "
            f"carry all"
        )
    if importance.unreliable_share > UNRELIABLE:
        faults.append(
            f"models with {importance.unreliable_share:.0%} of the probability examined have a Pareto k above "
            f"{HIGHEST_K}: few importance weights carry them"
        )
    return faults


def diagnostics_of(found: Averaged, importance: Importance, sensitivity: pd.DataFrame) -> list[Diagnostic]:
    """Say what to beware of.

    Parameters
    ----------
    found : Averaged
    importance : Importance
    sensitivity : DataFrame
        By `sensitivity_of`.

    Returns
    -------
    list of Diagnostic
    """
    return [
        *_no_overlap(found),
        *_few_persons(found),
        *_prior_sensitivity(sensitivity),
        *_models_disagree(found),
        *_laplace_error(found, importance),
    ]


def _no_overlap(found: Averaged) -> list[Diagnostic]:
    counts = found.data.counts
    if counts[captures(np.arange(len(counts))) > 1].any():
        return []
    message = (
        "nobody is on two lists: the data set the population no upper limit, and the priors of main effects and "
        "interactions alone set one"
    )
    return [Diagnostic("no_overlap", "warning", message, 0)]


def _few_persons(found: Averaged) -> list[Diagnostic]:
    n, cells = found.data.n_observed, len(found.data.counts) - 1
    if n >= cells:
        return []
    persons = "1 person" if n == 1 else f"{n} persons"
    message = f"{persons} for {cells} capture histories: the priors weigh as much as the data"
    return [Diagnostic("few_persons", "warning", message)]


def sensitivity_of(found: Averaged, level: float) -> pd.DataFrame:
    """Median and limits of N under half and twice the standard deviation of a normal prior, from the same draws.

    Parameters
    ----------
    found : Averaged
    level : float

    Returns
    -------
    DataFrame
        ``odds_ratio``, ``main_effect_sd``, ``median``, ``low``, ``high``, and the ``effective_draws`` left; the first
        row has the priors of the estimate.
    """
    posterior, prior = found.posterior, found.prior
    others = [prior._replace(main_sd=factor * prior.main_sd) for factor in FACTORS]
    others += [prior._replace(interaction_sd=factor * prior.interaction_sd) for factor in FACTORS]
    tail = (1.0 - level) / 2.0
    rows = []
    for other in [prior, *others]:
        weight = reweighted(posterior, prior, other)
        missing = weighted_quantiles(posterior.n_missing, weight, [0.5, tail, 1.0 - tail])
        odds_ratio = odds_ratio_of_sd(other.interaction_sd)
        sizes = (found.data.n_observed + missing).tolist()
        rows.append((odds_ratio, other.main_sd, *sizes, float(1.0 / (weight**2).sum())))
    columns = ["odds_ratio", "main_effect_sd", "median", "low", "high", "effective_draws"]
    return pd.DataFrame(rows, columns=columns)


def _prior_sensitivity(sensitivity: pd.DataFrame) -> list[Diagnostic]:
    """Warn where another width of a prior moves a figure by much."""
    figures = sensitivity[["median", "low", "high"]]
    moved = np.abs(np.log(figures / figures.iloc[0])).max(axis=1)
    found = []
    for name, rows in (("main_effect_sd", [1, 2]), ("odds_ratio", [3, 4])):
        if moved[rows].max() <= math.log(MOVED):
            continue
        here = sensitivity.loc[[rows[0], 0, rows[1]]]
        shown = ", ".join(
            f"{{{3 * row}}} [{{{3 * row + 1}}}, {{{3 * row + 2}}}] at {value:.3g}"
            for row, value in enumerate(here[name])
        )
        sizes = tuple(here[["median", "low", "high"]].to_numpy().ravel().tolist())
        message = f"the answer moves with the prior {name}: {shown}; report the range"
        largest = round(float(np.exp(moved[rows].max())), 2)
        found.append(Diagnostic(f"sensitive_{name}", "warning", message, largest, sizes))
    return found


def _models_disagree(found: Averaged) -> list[Diagnostic]:
    """Warn where heavy models have intervals that do not meet."""
    posterior = found.posterior
    heavy = np.flatnonzero(posterior.probability > HEAVY).tolist()
    if len(heavy) < 2:
        return []
    limits = np.array([_sizes_under(found, m, APART) for m in heavy])
    lowest, highest = int(np.argmin(limits[:, 2])), int(np.argmax(limits[:, 1]))
    if limits[highest, 1] <= limits[lowest, 2]:
        return []
    names = notations(found.space.term_sets[heavy], found.data.n_lists)
    first, last = (
        f"{names[i]} has {{{place}}} ({posterior.probability[heavy[i]]:.0%})"
        for place, i in enumerate((lowest, highest))
    )
    message = f"models that both have weight are far apart: {first} and {last}; the median may lie between"
    sizes = (float(limits[lowest, 0]), float(limits[highest, 0]))
    return [Diagnostic("models_disagree", "warning", message, len(heavy), sizes)]


def _laplace_error(found: Averaged, importance: Importance) -> list[Diagnostic]:
    """Say where Laplace's evidence is off by more than its limit and the noise of the other."""
    posterior, top = found.posterior, importance.examined
    correction, error = posterior.correction[top], posterior.error[top]
    wrong = np.abs(correction) > LAPLACE_ERROR + 2.0 * error
    if not wrong.any():
        return []
    largest = float(np.abs(correction[wrong]).max())
    light = 1.0 - float(posterior.probability[~np.isnan(posterior.error)].sum())
    message = (
        f"Laplace's log evidence is off by up to {largest:.2f} in {int(wrong.sum())} of the {len(top)} most probable "
        f"models, so that importance sampling gives it for all but the lightest, which have {light:.1%} of the weight"
    )
    return [Diagnostic("laplace_error", "info", message, round(largest, 2))]


def details_of(
    found: Averaged, importance: Importance, sensitivity: pd.DataFrame, level: float
) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    found : Averaged
    importance : Importance
    sensitivity : DataFrame
    level : float

    Returns
    -------
    dict
    """
    tail = (1.0 - level) / 2.0
    shares = np.quantile(found.hidden_share, [0.5, tail, 1.0 - tail], method="inverted_cdf")
    posterior = found.posterior
    models = _model_frame(found)
    return {
        "dropped_lists": list(found.data.dropped),
        "n_models": len(found.space.term_sets),
        "order": found.space.order,
        "interactions": _interaction_frame(found),
        "top_models": _top_frame(found, importance, models, level),
        "models": models,
        "sensitivity": sensitivity,
        "importance": {
            "n_proposals": len(posterior.weight),
            "n_models_drawn": len(posterior.explored),
            "effective_draws": importance.effective_draws,
            "pareto_k": importance.pooled_k,
            "unreliable_share": importance.unreliable_share,
        },
        "hidden_share": dict(zip(("median", "low", "high"), shares.tolist(), strict=True)),
        "idata": inference_data({"N": found.sizes[None], "hidden_share": found.hidden_share[None]}),
    }


def _interaction_frame(found: Averaged) -> pd.DataFrame:
    """Prior and posterior probability of each interaction."""
    space, holds = found.space, found.space.holds.astype(np.float64)
    lists = found.data.lists
    return pd.DataFrame(
        {
            "interaction": ["*".join(lists[i] for i in bit_positions(term)) for term in space.interactions],
            "order": [term.bit_count() for term in space.interactions],
            "prior": np.exp(found.log_model_prior) @ holds,
            "posterior": np.minimum(found.posterior.probability @ holds, 1.0),
        }
    )


def _model_frame(found: Averaged) -> pd.DataFrame:
    """Give the models, the most probable first."""
    posterior, space = found.posterior, found.space
    order = np.argsort(-posterior.probability, kind="stable")[:SHOWN_MODELS]
    return pd.DataFrame(
        {
            "model": notations(space.term_sets[order], space.n_lists),
            "interactions": space.n_interactions[order],
            "prior": np.exp(found.log_model_prior[order]),
            "probability": posterior.probability[order],
            "log_evidence": posterior.log_evidence[order] + found.constant,
            "evidence": np.where(np.isnan(posterior.error[order]), "laplace", "importance"),
        }
    )


def _top_frame(found: Averaged, importance: Importance, models: pd.DataFrame, level: float) -> pd.DataFrame:
    """Give the most probable models with the population size under each."""
    rows = importance.examined[:TOP_MODELS]
    sizes = np.array([_sizes_under(found, m, level) for m in rows])
    lists = found.data.lists
    formulas = [
        HierarchicalModel.from_term_set(int(found.space.term_sets[m]), len(lists)).to_formula(lists)
        for m in rows
    ]
    top = models.head(len(rows))
    return top.assign(
        formula=formulas,
        median=sizes[:, 0],
        low=sizes[:, 1],
        high=sizes[:, 2],
        laplace_error=-found.posterior.correction[rows],
        pareto_k=importance.k[: len(rows)],
    )


def _sizes_under(found: Averaged, model: int, level: float) -> tuple[float, float, float]:
    """Median and equal-tailed limits of N under one model."""
    posterior = found.posterior
    here = posterior.model == model
    tail = (1.0 - level) / 2.0
    shares = [0.5, tail, 1.0 - tail]
    missing = weighted_quantiles(posterior.n_missing[here], posterior.weight[here], shares)
    median, low, high = (found.data.n_observed + missing).tolist()
    return median, low, high


# === draws from the prior of `BayesianModelAveraging` =================================================================
# What it takes a population and its registers to be like.


@dataclass(frozen=True, slots=True, eq=False)
class PriorDraw:
    """A population drawn from the prior, with its table.

    Attributes
    ----------
    term_set : int
        The model, as coded by `hiddenpop.model.enumerate_models`.
    theta : ndarray, shape (2**n_lists,)
        Parameter of each term, 0 for terms that the model does not hold.
    size : int
        Persons, observed and hidden.
    counts : ndarray, shape (2**n_lists,)
        Persons by capture history; element 0 holds the hidden.
    """

    term_set: int
    theta: Floats
    size: int
    counts: Floats


def draw_from_prior(setting: BayesianModelAveraging, n_lists: int, *, rng: RNGLike = None) -> PriorDraw:
    """Draw a model, its parameters, a population size and a table on which there is somebody.

    Parameters
    ----------
    setting : BayesianModelAveraging
        With a negative binomial prior of N; the others are improper.
    n_lists : int
    rng : int, Generator or None

    Returns
    -------
    PriorDraw

    Raises
    ------
    SettingError
        For a prior of N that cannot be drawn from.

    Notes
    -----
    Draws without an observed person are drawn again, all of them: model, parameters and size. An estimator conditions
    on the table, and so on there being one.

    Examples
    --------
    >>> setting = BayesianModelAveraging(prior=("negative_binomial", 100, 4), main_effect_sd=1.0)
    >>> drawn = draw_from_prior(setting, 3, rng=1)
    >>> int(drawn.counts.sum()) == drawn.size
    True
    """
    if isinstance(setting.prior, str):
        raise SettingError(
            f'prior="{setting.prior}" is improper and cannot be drawn from; take ("negative_binomial", mean, shape)'
        )
    rng = np.random.default_rng(rng)
    space = model_space(n_lists, setting.max_order, "the prior", setting.name)
    probability = np.exp(log_model_prior(space, setting.inclusion))
    prior = theta_prior(setting.odds_ratio, setting.main_effect_sd, setting.prior)
    masks = np.arange(1 << n_lists)
    sd = np.where(captures(masks) == 1, prior.main_sd, prior.interaction_sd)
    inside = (masks[:, None] & masks) == masks
    while True:
        term_set = int(space.term_sets[rng.choice(len(probability), p=probability / probability.sum())])
        held = np.array([bool(term_set >> int(mask) & 1) for mask in masks]) & (masks > 0)
        theta = np.where(held, sd * rng.standard_normal(len(masks)), 0.0)
        eta = inside @ theta
        cells = np.exp(eta - eta.max())
        size = int(rng.poisson(rng.gamma(prior.shape, 1.0 / prior.rate)))
        counts = rng.multinomial(size, cells / cells.sum()).astype(np.float64)
        if counts[1:].any():
            return PriorDraw(term_set, theta, size, counts)
