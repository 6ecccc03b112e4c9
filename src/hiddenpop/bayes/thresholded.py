"""`ThresholdedLogLinear`: the log-linear model that keeps the interactions which stand out from their spread."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hiddenpop._front_door import front_doors
from hiddenpop.bayes.outcome import sampled_estimate
from hiddenpop.bayes.priors import Prior, check_prior, size_gamma
from hiddenpop.bayes.thresholded_details import PROTECTED, details_of, diagnostics_of, no_posterior
from hiddenpop.bayes.thresholded_draws import PriorTables, prior_tables, sampled
from hiddenpop.bayes.thresholding import Problem, choose
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.base import BaseEstimator, Change, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.protocol import as_number, check_level, check_whole, spec_of
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Estimate, Interval
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
    This is no proper posterior over models: the data choose the interactions and then fit them. The interval takes the
    choice as known, and so is too short where the choice is not clear. An interaction near 0 in truth stays when the
    data say so by chance, and then its size is overstated. Compare with an average over models such as
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

    def prepare(self, table: CaptureTable) -> Problem:
        """Put table and settings together for the stages."""
        check_table(table)
        return problem_of(self, table)

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(
            scenario, "the interval takes interactions that were chosen on the same data as known"
        )


def problem_of(setting: ThresholdedLogLinear, table: CaptureTable) -> Problem:
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
) -> PriorTables:
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
