"""`ThresholdedLogLinear`: the log-linear model that keeps the interactions which stand out from their spread."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, gammaln

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Bools, Floats
from hiddenpop.bayes.convergence import (
    FEWEST_EFFECTIVE,
    HIGHEST_RHAT,
    Convergence,
    convergence,
    effective_draws,
    rhat,
)
from hiddenpop.bayes.inference_data import (
    CELL_SHARES,
    MOST_VALUES,
    cell_groups,
    inference_data,
    shares_of_seen,
)
from hiddenpop.bayes.outcome import median_and_limits, sampled_estimate
from hiddenpop.bayes.priors import Prior, check_prior, size_gamma
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.base import BaseEstimator, Change, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.protocol import as_number, check_level, check_whole, spec_of
from hiddenpop.histories import bit_positions, decode
from hiddenpop.kernels.bayes.hamiltonian import tempered
from hiddenpop.kernels.bayes.loglinear_density import LogLinearTask, predictors, whitened
from hiddenpop.kernels.poisson.faces import face_of_model
from hiddenpop.kernels.resampling.counts import draw_poisson
from hiddenpop.model import HierarchicalModel
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["PriorTables", "ThresholdedLogLinear", "draw_from_prior", "problem_of"]

FEWEST_LISTS, MOST_LISTS = 3, 12
FEWEST_DRAWS = 100
SMALLEST, LARGEST = 1e-6, 1e6
METHOD = "equal-tailed posterior, chosen interactions taken as known"

STANDARD_PRIORS: tuple[Change, ...] = (
    (("prior_variance", 0.25),),
    (("prior_variance", 1.0),),
    (("prior_variance", 4.0),),
    (("threshold", 1.5),),
    (("threshold", 2.5),),
)
"""Priors worth trying beside the one that is set."""

OVERDISPERSED = 1.5
"""Chains start around the mode, spread by so many posterior standard deviations."""

LARGEST_LOG = 690.0

BLOCK = 2_000_000
"""Cells times draws that are worked on at once."""

PROTECTED = ("expected", "hidden_share", "interactions")

COLUMNS = ["interaction", "n_lists", "mean", "sd", "statistic", "error", "effective", "outcome"]


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdedLogLinear(BaseEstimator):
    """Size of a population from the log-linear model of those interactions that stand out in the posterior of all.

    The model with every two-list interaction is fitted first. An interaction stays if its posterior mean is at least
    `threshold` posterior standard deviations from 0. The model of those that stay is fitted anew, and gives N.

    Parameters
    ----------
    threshold : float
        Posterior standard deviations; 0 keeps every interaction.
    order : {2, 3}
        Largest number of lists in an interaction. With 3, an interaction of three lists is tried when its three pairs
        have stayed, and must pass the threshold in turn.
    prior_variance : float or None
        Variance of the normal prior of an interaction, a log odds ratio. None for flat priors: interactions of lists
        with nobody in common are then fixed at minus infinity, and the maximum of the likelihood must exist.
    main_effect_sd : float or None
        Standard deviation of the normal prior of a main effect; None for flat priors.
    prior : "reciprocal" or ("negative_binomial", mean, shape)
        Of the population size N; ``"reciprocal"`` is 1/N.
    n_draws, n_tune : int
        Draws kept and warm-up draws of each chain, at each stage.
    n_chains : int
    level : float
        Probability of the interval.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    This is not a proper posterior over models: the data choose the interactions and then fit them. The interval takes
    the choice as known, and so is too short where the choice is not clear. An interaction near 0 in truth stays when
    the data say so by chance, and then its size is overstated. Compare with an average over models such as
    `DecomposableAveraging`. With ``threshold=0`` nothing is chosen, and with proper priors of everything the posterior
    is one in the full sense.

    The statistic of an interaction is known up to a Monte Carlo error, reported in ``details["interactions"]``. When
    it lies within two such errors of the threshold, another seed may choose another model, and a diagnostic
    ``coin_toss`` says so: draw more, or look at both models. Chains that do not agree at the first stage make the
    status ``"not_converged"``, as the choice of model is then as uncertain as the chains.

    The hidden persons n0 are drawn from a Poisson distribution. The reference implementation reports its mean instead
    and so has slightly shorter intervals; ``details["expected"]`` has that form.

    Flat priors leave it to the data that there is a posterior at all. If the likelihood has no maximum the status is
    ``"not_identified"``; a `main_effect_sd`, and a `prior_variance`, make it proper.

    References
    ----------
    Silverman, B. W. (2020). Multiple-systems analysis for the quantification of modern slavery: classical and Bayesian
    approaches. Journal of the Royal Statistical Society A 183(3), 691-736. doi:10.1111/rssa.12505

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = ThresholdedLogLinear().fit(hp.datasets.load("western_us"), rng=1)
    >>> estimate.details["model"], round(estimate.n_hat, -2)
    ('[15,2,3,4]', 2300.0)
    """

    name: ClassVar[str] = "thresholded"

    threshold: float = 2.0
    order: int = 2
    prior_variance: float | None = 1.0
    main_effect_sd: float | None = None
    prior: Prior = "reciprocal"
    n_draws: int = 4000
    n_tune: int = 500
    n_chains: int = 4
    level: float = 0.95

    def __post_init__(self) -> None:
        if not 0.0 <= as_number(self.threshold) < math.inf:
            raise SettingError(
                f"threshold={self.threshold!r} must be a number of at least 0, in standard deviations"
            )
        if self.order not in {2, 3} or isinstance(self.order, bool):
            raise SettingError(f"order={self.order!r} must be 2 or 3, the lists of the largest interaction")
        _check_spread("prior_variance", self.prior_variance)
        _check_spread("main_effect_sd", self.main_effect_sd)
        object.__setattr__(self, "prior", _checked_prior(self.prior))
        for setting in ("n_draws", "n_tune"):
            check_whole(setting, getattr(self, setting), least=FEWEST_DRAWS)
        check_whole("n_chains", self.n_chains)
        check_level(self.level)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Choose the interactions and draw from the posterior of the population size behind `table`.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None

        Returns
        -------
        Estimate
            ``details`` holds ``model`` (bracket notation), ``retained`` (interactions by name), ``interactions`` (a row
            each: stage, mean, sd, statistic, its Monte Carlo error, what became of it), ``stages`` (convergence of
            each), ``expected`` (median and limits of n plus the expected dark figure), ``hidden_share``,
            ``convergence``, ``modes``, ``quantiles`` and ``idata`` (with log likelihood, log prior and replicated
            tables).

        Raises
        ------
        CapabilityError
            For fewer than three lists that caught somebody, more than twelve, gaps or censored cells.
        """
        problem = self.prepare(table)
        provenance = make_provenance(table.summary, rng)
        generator = np.random.default_rng(rng)
        found = choose(problem, float(self.threshold), int(self.order), generator)
        if isinstance(found, str):
            reason = no_posterior(found, flat=self.prior_variance is None)
            return _not_identified(self, table, problem.data, reason, provenance)
        drawn = sampled(problem, found.last, generator)
        return sampled_estimate(
            self,
            table,
            sizes=drawn.sizes,
            n_observed=problem.data.n_observed,
            n_lists=problem.data.n_lists,
            convergence=drawn.measured,
            method=METHOD,
            provenance=provenance,
            details=details_of(problem, found, drawn, self.level, generator),
            diagnostics=(*problem.data.diagnostics, *diagnostics_of(problem, found)),
            protected=PROTECTED if problem.data.has_small else (),
            faults=found.faults,
        )

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("homogeneous", "no_highest_order", "choice_as_known", "priors", "chains"),
            model_is="chosen",
            other_priors=STANDARD_PRIORS,
            adds_up_strata=True,
        )

    def prepare(self, table: CaptureTable) -> "Problem":
        """Put table and settings together for the stages."""
        check_table(table)
        return problem_of(self, table)

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(
            scenario, "the interval takes interactions that were chosen on the same data as known"
        )


def problem_of(setting: ThresholdedLogLinear, table: CaptureTable) -> "Problem":
    """Put table and settings together for the stages.

    Raises
    ------
    CapabilityError
        As for `ThresholdedLogLinear.fit`.
    """
    data = list_counts(table, estimator=setting.name, minimum_lists=FEWEST_LISTS)
    if data.n_lists > MOST_LISTS:
        raise CapabilityError(
            f"{setting.name} works on all cells of at most {MOST_LISTS} lists and {table.name} has {data.n_lists}; "
            f"merge lists of the same kind with merge_lists"
        )
    shape, rate = size_gamma(setting.prior)
    return Problem(
        data=data,
        prior_variance=setting.prior_variance,
        main_effect_sd=setting.main_effect_sd,
        shape=shape,
        rate=rate,
        n_draws=int(setting.n_draws),
        n_tune=int(setting.n_tune),
        n_chains=int(setting.n_chains),
    )


def _not_identified(
    setting: ThresholdedLogLinear,
    table: CaptureTable,
    data: ListCounts,
    reason: str,
    provenance: dict[str, Any],
) -> Estimate:
    return Estimate(
        n_hat=math.nan,
        n_observed=data.n_observed,
        interval=Interval(float(data.n_observed), math.inf, setting.level, METHOD),
        status="not_identified",
        reason=reason,
        estimator=spec_of(setting),
        table=table.summary,
        diagnostics=data.diagnostics,
        provenance=provenance,
        details={"dropped_lists": list(data.dropped)},
    )


def draw_from_prior(
    setting: ThresholdedLogLinear, n_lists: int, n_tables: int, *, rng: RNGLike = None
) -> "PriorTables":
    """Draw populations and tables from the prior of the model of all interactions.

    Parameters
    ----------
    setting : ThresholdedLogLinear
        With proper priors of N, main effects and interactions.
    n_lists, n_tables : int
    rng : int, Generator or None

    Returns
    -------
    PriorTables
        Tables in which nobody is observed are left out, as no such table is ever fitted. With ``threshold=0`` the
        posterior of such a table is that of the law it was drawn from; a list that caught nobody is an exception, as
        the estimator leaves it out.

    Raises
    ------
    SettingError
        If a prior is not proper.

    Examples
    --------
    >>> prior = ("negative_binomial", 500.0, 4.0)
    >>> setting = ThresholdedLogLinear(threshold=0, main_effect_sd=1.0, prior=prior)
    >>> draw_from_prior(setting, 3, 10, rng=1).counts.shape
    (10, 8)
    """
    if isinstance(setting.prior, str) or setting.prior_variance is None or setting.main_effect_sd is None:
        raise SettingError(
            f'a prior that is not proper cannot be drawn from: give prior=("negative_binomial", mean, shape) (now '
            f"{setting.prior!r}), main_effect_sd (now {setting.main_effect_sd}) and prior_variance (now "
            f"{setting.prior_variance})"
        )
    terms = sorted(
        (t for t in range(1, 1 << n_lists) if t.bit_count() <= min(setting.order, n_lists - 1)),
        key=lambda t: (t.bit_count(), t),
    )
    single = np.array([t.bit_count() == 1 for t in terms])
    sds = np.where(single, setting.main_effect_sd, math.sqrt(setting.prior_variance))
    return prior_tables(tuple(terms), sds, n_lists, setting.prior[1:], n_tables, np.random.default_rng(rng))


# --- settings ---------------------------------------------------------------------------------------------------------


def _checked_prior(prior: Any) -> Prior:
    checked = check_prior(prior)
    if checked == "uniform":
        raise SettingError(
            'prior="uniform" leaves log-linear models without a posterior where lists share few persons; take '
            '"reciprocal" or ("negative_binomial", mean, shape)'
        )
    return checked


def _check_spread(setting: str, value: float | None) -> None:
    if value is not None and not SMALLEST <= as_number(value) <= LARGEST:
        raise SettingError(
            f"{setting}={value!r} must be a number from {SMALLEST:g} to {LARGEST:g}, or None for a flat prior"
        )


# === the stages of Bayesian thresholding ==============================================================================
# Draws from one log-linear model, and which of its interactions stay.


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """A table and the priors that every stage shares.

    Attributes
    ----------
    data : ListCounts
    prior_variance : float or None
        Of the interactions; None for flat priors.
    main_effect_sd : float or None
    shape, rate : float
        Of the negative binomial prior of N as a gamma mixture; 0 for 1/N.
    n_draws, n_tune, n_chains : int
    """

    data: ListCounts
    prior_variance: float | None
    main_effect_sd: float | None
    shape: float
    rate: float
    n_draws: int
    n_tune: int
    n_chains: int

    @property
    def mains(self) -> list[int]:
        """Terms of one list."""
        return [1 << i for i in range(self.data.n_lists)]

    def interactions(self, order: int) -> list[int]:
        """Give the terms of so many lists, in the order of their bits."""
        return [t for t in range(1 << self.data.n_lists) if t.bit_count() == order]

    def triples_over(self, pairs: list[int]) -> list[int]:
        """Terms of three lists, not of all there are, of which every pair is among `pairs`."""
        whole = (1 << self.data.n_lists) - 1
        return [
            t
            for t in self.interactions(3)
            if t != whole and all(t & ~(1 << i) in pairs for i in bit_positions(t))
        ]

    def is_empty(self, term: int) -> bool:
        """Whether nobody is on all lists of a term."""
        histories = np.arange(len(self.data.counts))
        return not self.data.counts[histories & term == term].any()

    def live(self, dead: list[int]) -> Bools:
        """Cells that can be observed when some terms are minus infinity."""
        histories = np.arange(len(self.data.counts))
        alive = histories > 0
        for term in dead:
            alive &= histories & term != term
        return alive

    def task(self, terms: list[int], dead: list[int]) -> LogLinearTask:
        """Put together what the density of one model needs."""
        sds = [self.main_effect_sd if t.bit_count() == 1 else _sd(self.prior_variance) for t in terms]
        return LogLinearTask(
            counts=self.data.counts,
            terms=np.array(terms, dtype=np.int64),
            live=self.live(dead),
            precision=np.array([0.0 if sd is None else sd**-2 for sd in sds]),
            shape=self.shape,
            rate=self.rate,
        )

    def why_improper(self, terms: list[int]) -> str:
        """Say why the posterior of a model does not exist; empty when it does.

        Flat priors leave it to the likelihood to end: it must have a maximum, of all terms when all are flat, and of
        the main effects when the interactions have a proper prior.
        """
        if self.main_effect_sd is not None and self.prior_variance is not None:
            return ""
        flat = terms if self.prior_variance is None else self.mains
        face = face_of_model(self.data.counts, np.array([*flat, 0], dtype=np.int64), self.data.n_lists)
        if face.exists or (face.status == "unbounded" and self.shape > 0.0):
            return ""
        return "dark figure to infinity" if face.status == "unbounded" else "parameters to infinity"


def _sd(variance: float | None) -> float | None:
    return None if variance is None else math.sqrt(variance)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """Draws of the parameters of one model.

    Attributes
    ----------
    terms : list of int
        Without the intercept.
    dead : list of int
        Interactions fixed at minus infinity.
    theta : ndarray, shape (chains, draws, p)
    n_divergent : int
    """

    terms: list[int]
    dead: list[int]
    theta: Floats
    n_divergent: int


def stage(problem: Problem, terms: list[int], dead: list[int], rng: np.random.Generator) -> Stage:
    """Draw from the posterior of one model.

    Parameters
    ----------
    problem : Problem
    terms, dead : list of int
    rng : Generator

    Returns
    -------
    Stage
    """
    data, mode = whitened(problem.task(terms, dead))
    starts = OVERDISPERSED * rng.standard_normal((problem.n_chains, 1, len(terms)))
    drawn = tempered(data, starts, betas=np.ones(1), n_draws=problem.n_draws, n_tune=problem.n_tune, rng=rng)
    return Stage(
        terms=terms,
        dead=dead,
        theta=mode.theta + drawn.draws @ mode.root.T,
        n_divergent=drawn.n_divergent,
    )


# --- which interactions stay ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """Mean over standard deviation of one interaction.

    Attributes
    ----------
    term : int
    mean, sd : float
    value : float
        Their ratio without its sign.
    error : float
        Monte Carlo standard error of `value`.
    effective : float
        Effective draws, the smaller number of those for the mean and for the variance.
    rhat : float
    """

    term: int
    mean: float
    sd: float
    value: float
    error: float
    effective: float
    rhat: float

    @property
    def trusted(self) -> bool:
        """Whether the chains agree on it."""
        return self.rhat <= HIGHEST_RHAT and self.effective >= FEWEST_EFFECTIVE

    def stays(self, threshold: float) -> bool:
        """Whether the interaction stays in the model."""
        return self.value >= threshold

    def is_toss(self, threshold: float) -> bool:
        """Whether another seed may well decide otherwise."""
        return abs(self.value - threshold) <= 2.0 * self.error


def statistic(term: int, drawn: Floats) -> Statistic:
    """Measure one interaction.

    Parameters
    ----------
    term : int
    drawn : ndarray, shape (chains, draws)

    Returns
    -------
    Statistic

    Examples
    --------
    >>> found = statistic(3, np.random.default_rng(1).normal(2.0, 1.0, (4, 1000)))
    >>> round(found.value, 1), found.error < 0.05
    (2.0, True)
    """
    mean, sd = float(drawn.mean()), float(drawn.std(ddof=1))
    squares = (drawn - mean) ** 2
    for_mean, for_square = effective_draws(drawn, "mean"), effective_draws(squares, "mean")
    value = abs(mean) / sd
    spread = float(squares.std()) / (2.0 * sd**2) / math.sqrt(for_square)
    return Statistic(
        term=term,
        mean=mean,
        sd=sd,
        value=value,
        error=math.hypot(1.0 / math.sqrt(for_mean), value * spread),
        effective=min(for_mean, for_square),
        rhat=rhat(drawn),
    )


def term_name(term: int, lists: tuple[str, ...]) -> str:
    """Write an interaction by its lists.

    Examples
    --------
    >>> term_name(0b101, ("police", "shelter", "youth"))
    'police*youth'
    """
    return "*".join(lists[i] for i in bit_positions(term))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Try:
    """A model with candidates, and what became of them.

    Attributes
    ----------
    last : Stage
    statistics : list of Statistic
        Of the candidates that were no minus infinity.
    kept, dead : list of int
        Interactions that stay, from earlier tries too, and those fixed at minus infinity.
    """

    last: Stage
    statistics: list[Statistic]
    kept: list[int]
    dead: list[int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """The model that is left and the way to it.

    Attributes
    ----------
    last : Stage
        Of the model that is left.
    tries : list of Try
        Of pairs, and of triples where there were any to try.
    threshold : float
    untried : str
        Why triples that could have been tried were not; empty when there were none.
    """

    last: Stage
    tries: list[Try]
    threshold: float
    untried: str = ""

    @property
    def kept(self) -> list[int]:
        """Interactions that stay."""
        return self.tries[-1].kept

    @property
    def statistics(self) -> list[Statistic]:
        """Give those of all tries."""
        return [found for tried in self.tries for found in tried.statistics]

    @property
    def faults(self) -> list[str]:
        """What keeps the choice from being trusted."""
        poor = [found for found in self.statistics if not found.trusted]
        if not poor:
            return []
        worst = min(poor, key=lambda found: found.effective)
        return [
            f"the choice of interactions rests on chains that do not agree: R-hat up to "
            f"{max(found.rhat for found in poor):.3g}, {worst.effective:,.0f} effective draws at worst"
        ]


def choose(problem: Problem, threshold: float, order: int, rng: np.random.Generator) -> Chosen | str:
    """Try pairs, then the triples whose pairs have stayed, and draw from the model that is left.

    Parameters
    ----------
    problem : Problem
    threshold : float
    order : int
        2 or 3.
    rng : Generator

    Returns
    -------
    Chosen or str
        A text says why the model of all pairs has no posterior.
    """
    first = _try(problem, threshold, [], [], problem.interactions(2), rng)
    if isinstance(first, str):
        return first
    tries, untried = [first], ""
    triples = problem.triples_over(first.kept) if order > 2 else []
    if triples:
        second = _try(problem, threshold, first.kept, first.dead, triples, rng)
        if isinstance(second, str):
            untried = second
        else:
            tries.append(second)
    final = tries[-1]
    terms, last = [*problem.mains, *final.kept], final.last
    if set(last.terms) != set(terms):
        last = stage(problem, terms, final.dead, rng)
    return Chosen(last=last, tries=tries, threshold=threshold, untried=untried)


def _try(
    problem: Problem,
    threshold: float,
    kept: list[int],
    dead: list[int],
    candidates: list[int],
    rng: np.random.Generator,
) -> Try | str:
    flat = problem.prior_variance is None
    gone = [term for term in candidates if flat and problem.is_empty(term)]
    left = [term for term in candidates if term not in gone]
    reason = problem.why_improper([*problem.mains, *kept, *dead, *candidates])
    if reason:
        return reason
    terms = [*problem.mains, *kept, *left]
    last = stage(problem, terms, [*dead, *gone], rng)
    found = [statistic(term, last.theta[..., terms.index(term)]) for term in left]
    passed = [s.term for s in found if s.stays(threshold)]
    return Try(last=last, statistics=found, kept=[*kept, *passed], dead=last.dead)


# === from draws of the parameters of a log-linear model to persons, cells and replicated tables =======================


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sampled:
    """Draws of the size of the population and what belongs to them; all of shape (chains, draws).

    Attributes
    ----------
    sizes : ndarray
        Persons: those observed and a drawn number of hidden ones.
    log_hidden : ndarray
        Log of the expected number of hidden persons.
    log_odds : ndarray
        Log odds of being observed.
    measured : Convergence
    """

    sizes: Floats
    log_hidden: Floats
    log_odds: Floats
    measured: Convergence

    @property
    def hidden(self) -> Floats:
        """Expected number of hidden persons."""
        return np.asarray(np.exp(np.minimum(self.log_hidden, LARGEST_LOG)))

    @property
    def hidden_share(self) -> Floats:
        """Probability of being hidden."""
        return np.asarray(expit(-self.log_odds))

    @property
    def log_rate(self) -> Floats:
        """Log of the expected size of the population."""
        return self.log_hidden + np.logaddexp(self.log_odds, 0.0)


def sampled(problem: Problem, last: Stage, rng: np.random.Generator) -> Sampled:
    """Draw the hidden persons that go with draws of the parameters.

    Parameters
    ----------
    problem : Problem
    last : Stage
    rng : Generator

    Returns
    -------
    Sampled
    """
    n, log_odds = problem.data.n_observed, _log_odds(problem, last)
    exposure = log_odds
    if problem.rate > 0.0:
        exposure = np.logaddexp(math.log(problem.rate), math.log1p(problem.rate) + log_odds)
    log_hidden = np.log(rng.standard_gamma(n + problem.shape, log_odds.shape)) - exposure
    sizes = n + draw_poisson(np.exp(np.minimum(log_hidden, LARGEST_LOG)), rng)
    measured = convergence(sizes, n_divergent=last.n_divergent)
    return Sampled(sizes=sizes, log_hidden=log_hidden, log_odds=log_odds, measured=measured)


def _log_odds(problem: Problem, last: Stage) -> Floats:
    """Log odds of being observed, in blocks of draws, as twelve lists have 4,095 cells."""
    chains, draws, p = last.theta.shape
    flat = last.theta.reshape(-1, p)
    step = max(BLOCK >> problem.data.n_lists, 1)
    found = [_cells(problem, last, flat[start : start + step]) for start in range(0, len(flat), step)]
    return np.concatenate([np.logaddexp.reduce(eta, axis=-1) for eta in found]).reshape(chains, draws)


def _cells(problem: Problem, last: Stage, theta: Floats) -> Floats:
    """Log means of the observed cells relative to the unobserved one; minus infinity in cells ruled out."""
    eta = predictors(theta, np.array(last.terms, dtype=np.int64), problem.data.n_lists)
    return np.where(problem.live(last.dead), eta, -np.inf)[..., 1:]


def cell_means(problem: Problem, last: Stage, drawn: Sampled) -> Floats:
    """Give the expected persons in each observable cell, 0 in cells ruled out.

    Parameters
    ----------
    problem : Problem
    last : Stage
    drawn : Sampled

    Returns
    -------
    ndarray, shape (chains, draws, cells)
    """
    log_means = _cells(problem, last, last.theta) + drawn.log_hidden[..., None]
    return np.asarray(np.exp(np.minimum(log_means, LARGEST_LOG)))


def table_likelihood(problem: Problem, last: Stage, drawn: Sampled) -> Floats:
    """Log likelihood of the whole table.

    Parameters
    ----------
    problem : Problem
    last : Stage
    drawn : Sampled

    Returns
    -------
    ndarray, shape (chains, draws)
    """
    seen = problem.data.counts[1:]
    margins = problem.task(last.terms, last.dead).margins
    observed = np.exp(np.minimum(drawn.log_hidden + drawn.log_odds, LARGEST_LOG))
    constant = float(gammaln(seen + 1.0).sum())
    return np.asarray(last.theta @ margins + seen.sum() * drawn.log_hidden - observed - constant)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorTables:
    """Populations and tables drawn from the prior.

    Attributes
    ----------
    sizes : ndarray, shape (draws,)
        Persons N.
    counts : ndarray, shape (draws, 2**K)
        Persons by history; element 0, the unobserved cell, is 0 as in any table.
    theta : ndarray, shape (draws, p)
        Parameters, in the order of `terms`.
    terms : tuple of int
    """

    sizes: Floats
    counts: npt.NDArray[np.int64]
    theta: Floats
    terms: tuple[int, ...]


def prior_tables(
    terms: tuple[int, ...],
    sds: Floats,
    n_lists: int,
    size_prior: tuple[float, float],
    n_tables: int,
    rng: np.random.Generator,
) -> PriorTables:
    """Draw populations and their tables from proper priors, those left out in which nobody is observed.

    Parameters
    ----------
    terms : tuple of int
        Without the intercept.
    sds : ndarray, shape (p,)
        Standard deviations of their normal priors.
    n_lists : int
    size_prior : (float, float)
        Mean and shape of the negative binomial prior of N.
    n_tables : int
    rng : Generator

    Returns
    -------
    PriorTables
    """
    mean, shape = size_prior
    found: list[tuple[Any, ...]] = []
    while len(found) < n_tables:
        theta = sds * rng.standard_normal(len(sds))
        eta = predictors(theta, np.array(terms, dtype=np.int64), n_lists)
        shares = np.exp(eta - np.logaddexp.reduce(eta))
        size = rng.poisson(rng.gamma(shape, mean / shape))
        counts = rng.multinomial(size, shares / math.fsum(shares))
        if size > counts[0]:
            counts[0] = 0
            found.append((size, counts, theta))
    sizes, tables, thetas = zip(*found, strict=True)
    return PriorTables(
        sizes=np.array(sizes, dtype=np.float64), counts=np.array(tables), theta=np.array(thetas), terms=terms
    )


# === what an estimate by thresholding carries along: interactions, stages, remarks ====================================


def no_posterior(reason: str, *, flat: bool) -> str:
    """Say that flat priors have left a table without a posterior.

    Parameters
    ----------
    reason : str
        Where the likelihood drives what.
    flat : bool
        Whether the interactions have flat priors too.

    Returns
    -------
    str
    """
    what = "the model of all two-list interactions" if flat else "the main effects"
    remedy = (
        "a prior_variance, and perhaps a main_effect_sd, make it proper"
        if flat
        else "a main_effect_sd makes it proper"
    )
    return (
        f"there is no posterior: under flat priors of {what} the likelihood has no maximum and drives the {reason}; "
        f"{remedy}"
    )


def details_of(
    problem: Problem, found: Chosen, drawn: Sampled, level: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    problem : Problem
    found : Chosen
    drawn : Sampled
    level : float
    rng : Generator
        For the replicated tables.

    Returns
    -------
    dict
    """
    lists = problem.data.lists
    return {
        "dropped_lists": list(problem.data.dropped),
        "model": str(HierarchicalModel(problem.data.n_lists, _generators(found.last.terms))),
        "retained": [term_name(term, lists) for term in found.kept],
        "minus_infinity": [term_name(term, lists) for term in found.last.dead],
        "interactions": _interactions(found, lists),
        "stages": pd.DataFrame([_stage_row(tried.statistics) for tried in found.tries]),
        "expected": median_and_limits(problem.data.n_observed + drawn.hidden, level),
        "hidden_share": median_and_limits(drawn.hidden_share, level),
        "idata": _idata(problem, found.last, drawn, rng),
    }


def _generators(terms: list[int]) -> tuple[int, ...]:
    return tuple(t for t in terms if not any(t != other and t & other == t for other in terms))


def _interactions(found: Chosen, lists: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        (
            term_name(s.term, lists),
            s.term.bit_count(),
            s.mean,
            s.sd,
            s.value,
            s.error,
            s.effective,
            "kept" if s.term in found.kept else "left out",
        )
        for s in found.statistics
    ]
    rows += [
        (term_name(term, lists), term.bit_count(), -np.inf, 0.0, np.inf, 0.0, np.inf, "minus infinity")
        for term in found.last.dead
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _stage_row(statistics: list[Statistic]) -> dict[str, float]:
    return {
        "n_lists": max((s.term.bit_count() for s in statistics), default=0),
        "rhat": max((s.rhat for s in statistics), default=1.0),
        "effective": min((s.effective for s in statistics), default=np.inf),
        "error": max((s.error for s in statistics), default=0.0),
    }


def _idata(problem: Problem, last: Stage, drawn: Sampled, rng: np.random.Generator) -> Any:
    lists = problem.data.lists
    posterior = {
        "N": drawn.sizes,
        "hidden_share": drawn.hidden_share,
        "expected": problem.data.n_observed + drawn.hidden,
        "theta": last.theta,
    }
    cells = decode(np.arange(1, len(problem.data.counts)), len(lists))
    names = ["".join(map(str, row)) for row in cells.tolist()]
    groups: dict[str, Any] = {"log_prior": _log_prior(problem, last, drawn)}
    if drawn.sizes.size * len(names) <= MOST_VALUES:
        means = cell_means(problem, last, drawn)
        groups |= cell_groups(means, problem.data.counts[1:], rng)
        posterior[CELL_SHARES] = shares_of_seen(means)
    else:
        groups["log_likelihood"] = {"table": table_likelihood(problem, last, drawn)}
    return inference_data(
        posterior,
        groups=groups,
        dims={"theta": ["term"], "cells": ["cell"], CELL_SHARES: ["cell"]},
        coords={"term": [term_name(term, lists) for term in last.terms], "cell": names},
    )


def _log_prior(problem: Problem, last: Stage, drawn: Sampled) -> dict[str, Floats]:
    """Log prior of each part, of the expected size in place of N, up to constants; a flat part is left out."""
    shape, rate = problem.shape, problem.rate
    parts = {"size": (shape - 1.0) * drawn.log_rate - rate * np.exp(np.minimum(drawn.log_rate, 690.0))}
    precision = problem.task(last.terms, last.dead).precision
    single = np.bitwise_count(np.array(last.terms, dtype=np.int64)) == 1
    for name, chosen in (("main_effects", single), ("interactions", ~single)):
        if precision[chosen].any():
            parts[name] = -0.5 * (last.theta[..., chosen] ** 2 @ precision[chosen])
    return parts


def diagnostics_of(problem: Problem, found: Chosen) -> list[Diagnostic]:
    """Say what the answer rests on and what to beware of.

    Parameters
    ----------
    problem : Problem
    found : Chosen

    Returns
    -------
    list of Diagnostic
    """
    return [*_choice(problem, found), *_tosses(problem, found), *_untried(found)]


def _choice(problem: Problem, found: Chosen) -> list[Diagnostic]:
    if not any(s.term not in found.kept for s in found.statistics):
        return []
    message = (
        f"{len(found.kept)} of {len(found.statistics)} interactions were kept by the same data that then give N: the "
        f"interval takes them as known and does not hold the doubt about the choice"
    )
    return [Diagnostic("chosen_by_data", "info", message, len(found.kept))]


def _tosses(problem: Problem, found: Chosen) -> list[Diagnostic]:
    close = [s for s in found.statistics if s.is_toss(found.threshold)]
    if not close:
        return []
    listed = ", ".join(
        f"{term_name(s.term, problem.data.lists)} ({s.value:.3f}, Monte Carlo error {s.error:.3f})"
        for s in close
    )
    message = (
        f"too close to the threshold of {found.threshold:g} to tell with so many draws: {listed}; another seed may "
        f"choose another model, so draw more or look at both"
    )
    return [Diagnostic("coin_toss", "warning", message, len(close))]


def _untried(found: Chosen) -> list[Diagnostic]:
    if not found.untried:
        return []
    message = (
        f"interactions of three lists were left out: with them the likelihood has no maximum under flat priors and "
        f"drives the {found.untried}"
    )
    return [Diagnostic("triples_left_out", "warning", message)]
