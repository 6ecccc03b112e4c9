"""`BayesianLogLinear`: a log-linear model of lists and strata under priors stated as odds ratios."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats
from hiddenpop.bayes.cells_design import CellsDesign, Strata, cells_design, check_structural_zeros
from hiddenpop.bayes.convergence import convergence
from hiddenpop.bayes.inference_data import CELL_SHARES, inference_data
from hiddenpop.bayes.loglinear_model import (
    CoefficientPrior,
    PriorDraws,
    PriorFamily,
    SizeDraws,
    SizeGamma,
    Steps,
    draw_chains,
    draw_prior,
    draw_sizes,
    information_scale,
    log_likelihood,
    log_prior,
    posterior_mode,
    replicates,
    whitening,
)
from hiddenpop.bayes.outcome import estimate_without_draws, median_and_limits, quantiles, sampled_estimate
from hiddenpop.bayes.priors import Prior, check_between, check_prior, sd_of_odds_ratio, size_gamma
from hiddenpop.bayes.sampling import BACKENDS, SAMPLER_PACKAGES, Backend, Chains
from hiddenpop.errors import SettingError
from hiddenpop.estimators.base import POSTERIOR, BaseEstimator, Change, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.protocol import check_choice, check_level, check_whole
from hiddenpop.histories import decode
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Status
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = [
    "STANDARD_PRIORS",
    "BayesianLogLinear",
    "prior_tables",
    "replicated_tables",
    "reweighted_median",
    "sweep_priors",
]

FAMILIES: tuple[str, ...] = get_args(PriorFamily)
STRATA: tuple[str, ...] = get_args(Strata)
FEWEST_DRAWS, FEWEST_TUNE = 100, 100
LARGEST_SD = 100.0
LARGEST_ODDS = 1e6

STANDARD_PRIORS: tuple[Change, ...] = (
    (
        ("prior_family", "normal"),
        ("odds_ratio", 3.0),
    ),
    (
        ("prior_family", "normal"),
        ("odds_ratio", 10.0),
    ),
    (
        ("prior_family", "normal"),
        ("odds_ratio", 100.0),
    ),
    (
        ("prior_family", "horseshoe"),
        ("odds_ratio", 10.0),
    ),
    (
        ("prior_family", "horseshoe"),
        ("odds_ratio", 100.0),
    ),
)
"""Priors worth trying beside the one that is set."""

PROTECTED = ("censored", "hidden_share", "interactions", "prior_powers")
"""Details from which the counts of small cells could be worked out."""

POWERS = {"interactions": (0.8, 1.25)}
OTHER_POWERS = (0.5, 2.0)
"""Powers to which a part of the prior is raised. The half-Cauchy prior of a scale has no finite integral below 1/2."""

LARGEST_MOVE = 2.0
NOTABLE_MOVE = 1.1
FEWEST_EFFECTIVE = 50.0
"""Reweighted draws that are worth fewer say only that the prior moves the answer further than they reach."""

MOST_POINTWISE = 512
"""Cells up to which the log likelihood of each is kept for every draw; beyond, it fills hundreds of megabytes."""

PRIOR_DRIVEN = (
    "the nearly flat prior of the main effects sets the answer: with half or double its weight the median of N moves "
    "by more than a factor of two, so that the overlaps say nothing of the size"
)

SWEEP_PRIORS: tuple[Mapping[str, Any], ...] = tuple(map(dict, STANDARD_PRIORS))
"""What `sweep_priors` compares when it is not told otherwise."""


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class BayesianLogLinear(BaseEstimator):
    r"""Size of a population from a log-linear model with all interactions up to an order, each pulled towards none.

    With ``x`` a history, the expected number in its cell is
    ``exp(u + sum_j x_j u_j + sum_{j<k} x_j x_k u_jk + ...)``, so that ``u_jk`` is the log odds ratio between two lists
    among persons on no other list, and the interactions of three are logs of ratios of such odds ratios. No model is
    chosen: what the data do not show stays near an odds ratio of 1, as far as the prior says.

    Parameters
    ----------
    order : int
        Most lists and covariates in an interaction; 1 is independence.
    prior_family : {"normal", "horseshoe"}
        ``"normal"`` pulls all interactions alike. The regularised ``"horseshoe"`` pulls most of them strongly and lets
        a few go.
    odds_ratio : float
        Above 1. The prior puts 95 % of an odds ratio between ``1/odds_ratio`` and ``odds_ratio``; for interactions
        of three, of the ratio of two odds ratios, and so on. Under the horseshoe it says so of those that are let go.
    n_active : float, optional
        Under the horseshoe, the number of interactions expected to be let go; by default a third of them.
    global_scale : float, optional
        Under the horseshoe, the median of the common scale of log odds ratios, in place of `n_active`, which derives it
        from the data.
    main_effect_sd : float
        Standard deviation of main effects, on the scale of logits: nearly flat.
    prior : "reciprocal" or ("negative_binomial", mean, shape)
        Prior of the population size; ``"reciprocal"`` is 1/N.
    strata : {"collapse", "model"}
        Add up the strata of a table, or make its covariates factors of the model, beside the lists. Gaps in coverage
        need ``"model"``.
    structural_zeros : tuple of str
        Combinations of lists that nobody can be on together, e.g. ``("police*shelter",)``.
    n_draws, n_tune : int
        Draws a chain, and steps of warm-up before them.
    n_chains : int
        At least 2, so that they can be compared.
    target_accept : float
        Acceptance that the step size aims at; raise it when there are divergences.
    backend : {"nutpie", "pymc"}
        The sampler; ``"pymc"`` is slower and a fallback.
    level : float
        Probability of the interval.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    `odds_ratio`. In ten published tables the 64 odds ratios between two lists that are known to a standard error of 0.7
    or better spread as a normal prior with ``odds_ratio=10`` has it: half of them are within a factor of 2, nineteen in
    twenty within 7.5, and the largest is 78.
    The prior is part of the answer: on the UK table of five lists 3, 10 and 100 give medians near 14,600, 13,800 and
    12,200. Report the range that `sweep_priors` gives.

    The horseshoe (Piironen and Vehtari 2017) gives interaction k the scale ``tau lambda_k``, cut off at the slab,
    with half-Cauchy priors of tau and lambda_k. The median of tau is ``n_active / (D - n_active)`` times the typical
    standard error of one of the D interactions, added to independence. All contrasts of one interaction share their
    ``lambda_k``, so that no level of a covariate is special.

    Covariates. Contrasts treat all levels of a covariate alike: each difference of two levels of a log odds has the
    prior of a pair of lists. Strata are those that occur in the table.

    Censored cells, whose count is an upper bound u, contribute the probability of at most u; a count is then drawn.
    N is the sum of certain, censored and hidden persons, and ``n_observed`` holds the certain ones alone. A bound far
    above what the model expects is the same as a count that is not known.

    Where a list does not operate, a cell is the sum over being and not being on it, and everybody whom no operating
    list caught is hidden.

    The total is summed out where all counts are known, with the prior 1/N or a gamma on the expected size, which makes
    N negative binomial. The hidden persons are drawn, not put at their expectation.

    Status. Chains must agree on N (R-hat at most 1.01, 400 effective draws). When halving or doubling the weight of the
    nearly flat prior of the main effects moves the median by more than a factor of two, the overlaps say nothing
    of the size, and the status is ``"not_identified"``.

    References
    ----------
    Piironen, J. and Vehtari, A. (2017). Sparsity information and regularization in the horseshoe and other shrinkage
    priors. Electronic Journal of Statistics 11(2), 5018-5051. doi:10.1214/17-EJS1337SI
    Overstall, A. M., King, R., Bird, S. M., Hutchinson, S. J. and Hay, G. (2014). Incomplete contingency tables with
    censored cells with application to estimating the number of people who inject drugs in Scotland. Statistics in
    Medicine 33(9), 1564-1579. doi:10.1002/sim.6047

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = BayesianLogLinear(odds_ratio=10.0).fit(hp.datasets.load("uk_5"), rng=1)
    >>> estimate.status, round(estimate.n_hat, -3)
    ('ok', 14000.0)
    """

    name: ClassVar[str] = "bayesian_loglinear"

    order: int = 2
    prior_family: PriorFamily = "normal"
    odds_ratio: float = 10.0
    n_active: float | None = None
    global_scale: float | None = None
    main_effect_sd: float = 10.0
    prior: Prior = "reciprocal"
    strata: Strata = "collapse"
    structural_zeros: tuple[str, ...] = ()
    n_draws: int = 1000
    n_tune: int = 1000
    n_chains: int = 4
    target_accept: float = 0.95
    backend: Backend = "nutpie"
    level: float = 0.95

    def __post_init__(self) -> None:
        check_whole("order", self.order)
        check_choice("prior_family", self.prior_family, FAMILIES)
        check_between("odds_ratio", self.odds_ratio, above=1.0, at_most=LARGEST_ODDS)
        _check_horseshoe(self)
        check_between("main_effect_sd", self.main_effect_sd, above=0.0, at_most=LARGEST_SD)
        object.__setattr__(self, "prior", _checked_prior(self.prior))
        check_choice("strata", self.strata, STRATA)
        object.__setattr__(self, "structural_zeros", check_structural_zeros(self.structural_zeros))
        check_whole("n_draws", self.n_draws, least=FEWEST_DRAWS)
        check_whole("n_tune", self.n_tune, least=FEWEST_TUNE)
        check_whole("n_chains", self.n_chains, least=2)
        check_between("target_accept", self.target_accept, above=0.0, at_most=1.0)
        check_choice("backend", self.backend, BACKENDS)
        check_level(self.level)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Draw from the posterior of the population size behind `table`.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None

        Returns
        -------
        Estimate
            ``by_stratum`` and ``stratum_draws`` are there under ``strata="model"``. ``details`` holds ``interactions``
            (odds ratios of pairs of lists, and the ratios of higher orders), ``hidden_share``, ``prior`` (scales in
            numbers), ``censored`` (persons drawn, cell by cell), ``prior_powers`` (medians when a part of the prior
            is raised to a power), ``convergence``, ``modes``, ``quantiles`` and ``idata``, with the groups
            ``log_likelihood`` (a cell each), ``posterior_predictive`` (unless cells have only a bound) and
            ``log_prior``.

        Raises
        ------
        CapabilityError
            For fewer than three lists that caught somebody, gaps in coverage unless ``strata="model"``, no certain
            count, and tables that are too large.
        SettingError
            For an `n_active` that is not below the number of interactions.
        TableError
            For persons in a structural zero.
        UnknownNameError
            For a list in `structural_zeros` that is not there.

        Warns
        -----
        EmptyListWarning, CollapsedStrataWarning
        """
        design, prior = self.prepare(table)
        provenance = make_provenance(table.summary, rng, SAMPLER_PACKAGES)
        generator, size = np.random.default_rng(rng), _size_gamma(self.prior)
        chains = _chains(self, design, prior, size, generator)
        if chains.failure:
            return estimate_without_draws(
                self,
                table,
                n_observed=design.n_observed,
                why=chains.failure,
                provenance=provenance,
                diagnostics=design.diagnostics,
                dropped=design.dropped,
            )
        drawn = draw_sizes(design, size, chains.draws["theta"], chains.draws.get("log_certain"), generator)
        posterior = Posterior(design=design, prior=prior, size=size, chains=chains, drawn=drawn)
        return _estimate(self, table, posterior, provenance, generator)

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("homogeneous", "interactions_small", "no_highest_order", "priors", "chains"),
            model_is="given",
            other_priors=STANDARD_PRIORS,
            adds_up_strata=self.strata == "collapse",
            takes_censored=True,
        )

    def prepare(self, table: CaptureTable) -> tuple[CellsDesign, CoefficientPrior]:
        """Lay out the cells, and turn odds ratios into priors of their coefficients."""
        check_table(table)
        design = _design(self, table)
        return design, _coefficient_prior(self, design)

    def strata_of(self, table: CaptureTable) -> tuple[str, ...]:
        """Name all covariates of the table where they are factors of the model."""
        return tuple(map(str, table.strata.columns)) if self.strata == "model" else ()

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(scenario, POSTERIOR)


def replicated_tables(
    setting: BayesianLogLinear, table: CaptureTable, estimate: Estimate, *, rng: RNGLike = None
) -> Floats:
    """Draw the table again from each draw of the posterior, for predictive checks.

    Parameters
    ----------
    setting : BayesianLogLinear
        That made `estimate`.
    table : CaptureTable
        That it was fitted to.
    estimate : Estimate
    rng : int, Generator or None

    Returns
    -------
    ndarray, shape (chains * draws, cells)
        Persons in the observed cells, in the order of ``cells_design(...)``: those with a count first, then censored
        ones, where a replicate is compared with its bound.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> table, setting = hp.datasets.load("uk_5"), BayesianLogLinear()
    >>> replicated_tables(setting, table, setting.fit(table, rng=1), rng=1).shape
    (4000, 31)
    """
    design, posterior = _design(setting, table), estimate.details["idata"].posterior
    theta, log_size = posterior["theta"].to_numpy(), posterior["log_size"].to_numpy()
    drawn = replicates(design, theta, log_size, np.random.default_rng(rng))
    return drawn.reshape(-1, drawn.shape[-1])


def prior_tables(
    setting: BayesianLogLinear, table: CaptureTable, n_tables: int, *, rng: RNGLike = None
) -> PriorDraws:
    """Draw parameters and tables from the prior, for predictive checks and calibration.

    Parameters
    ----------
    setting : BayesianLogLinear
        With a proper prior of the population size.
    table : CaptureTable
        Gives lists and strata, and under the horseshoe without `global_scale` the common scale; its counts are not used
        otherwise.
    n_tables : int
    rng : int, Generator or None

    Returns
    -------
    PriorDraws
        Given that somebody is observed. Cells are in the order of ``cells_design(...)``; bounds play no part.

    Raises
    ------
    SettingError
        For a prior of the population size that is not proper.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> setting = BayesianLogLinear(prior=("negative_binomial", 1000.0, 2.0))
    >>> prior_tables(setting, hp.datasets.load("kosovo"), 5, rng=1).counts.shape
    (5, 15)
    """
    size = _size_gamma(setting.prior)
    if not size.is_proper:
        raise SettingError(
            f"prior={setting.prior!r} has no finite integral, so nothing can be drawn from it; give "
            f'("negative_binomial", mean, shape)'
        )
    check_whole("n_tables", n_tables)
    design = _design(setting, table)
    return draw_prior(design, _coefficient_prior(setting, design), size, n_tables, np.random.default_rng(rng))


# --- parts of a fit ---------------------------------------------------------------------------------------------------


def _design(setting: BayesianLogLinear, table: CaptureTable) -> CellsDesign:
    return cells_design(
        table,
        order=int(setting.order),
        strata=setting.strata,
        structural_zeros=setting.structural_zeros,
        estimator=setting.name,
    )


def _coefficient_prior(setting: BayesianLogLinear, design: CellsDesign) -> CoefficientPrior:
    """Turn odds ratios into standard deviations, and the number of active interactions into a scale."""
    slab = sd_of_odds_ratio(setting.odds_ratio)
    fixed = {"main_sd": float(setting.main_effect_sd), "slab_sd": slab}
    n_interactions = sum(term.order > 1 for term in design.terms)
    if setting.prior_family == "normal" or not n_interactions:
        return CoefficientPrior(family="normal", **fixed)
    if setting.global_scale is not None:
        return CoefficientPrior(family="horseshoe", global_scale=float(setting.global_scale), **fixed)
    active = n_interactions / 3.0 if setting.n_active is None else float(setting.n_active)
    if active >= n_interactions:
        raise SettingError(
            f"n_active={setting.n_active!r} must be below the number of interactions, which is {n_interactions} for "
            f"{len(design.lists)} lists at this order; a third is the default"
        )
    scale = active / (n_interactions - active) * information_scale(design, setting.main_effect_sd)
    return CoefficientPrior(family="horseshoe", global_scale=scale, **fixed)


def _size_gamma(prior: Prior) -> SizeGamma:
    shape, rate = size_gamma(prior)
    return SizeGamma(shape=shape, rate=rate)


def _chains(
    setting: BayesianLogLinear,
    design: CellsDesign,
    prior: CoefficientPrior,
    size: SizeGamma,
    rng: np.random.Generator,
) -> Chains:
    inner = design.is_interaction
    mode = posterior_mode(design, np.where(inner, prior.slab_sd, prior.main_sd))
    coordinates = whitening(mode, inner, shrinks=prior.family == "horseshoe")
    steps = Steps(
        n_draws=int(setting.n_draws),
        n_tune=int(setting.n_tune),
        n_chains=int(setting.n_chains),
        target_accept=float(setting.target_accept),
        backend=setting.backend,
    )
    return draw_chains(design, prior, size, coordinates, steps, rng)


def _estimate(
    setting: BayesianLogLinear,
    table: CaptureTable,
    posterior: "Posterior",
    provenance: Mapping[str, Any],
    rng: np.random.Generator,
) -> Estimate:
    design, drawn = posterior.design, posterior.drawn
    modelled = setting.strata == "model" and table.has_strata
    estimate = sampled_estimate(
        setting,
        table,
        sizes=drawn.sizes,
        n_observed=design.n_observed,
        n_lists=len(design.lists),
        convergence=convergence(drawn.sizes, n_divergent=posterior.chains.n_divergent),
        method=f"equal-tailed posterior, all interactions up to order {setting.order} under {_in_words(setting)}",
        provenance=provenance,
        details=details_of(posterior, setting.level, rng),
        diagnostics=diagnostics_of(posterior),
        protected=PROTECTED if design.has_small else (),
        stratum_draws=drawn.by_stratum.reshape(-1, design.n_strata) if modelled else None,
    )
    reason = prior_sets_the_answer(posterior)
    if reason and estimate.status == "ok":
        estimate = replace(estimate, n_hat=math.nan, status="not_identified", reason=reason)
    if modelled:
        estimate = replace(estimate, by_stratum=strata_frame(posterior, setting.level, estimate.status))
    return estimate


def _in_words(setting: BayesianLogLinear) -> str:
    if setting.order == 1:
        return "independence"
    if setting.prior_family == "normal":
        return f"normal priors, 95 % of an odds ratio within a factor {setting.odds_ratio:g}"
    return f"a horseshoe with a slab of a factor {setting.odds_ratio:g}"


# --- settings ---------------------------------------------------------------------------------------------------------


def _check_horseshoe(setting: BayesianLogLinear) -> None:
    for name in ("n_active", "global_scale"):
        value = getattr(setting, name)
        if value is None:
            continue
        if setting.prior_family != "horseshoe":
            raise SettingError(f'{name}={value!r} goes with prior_family="horseshoe"')
        check_between(name, value, above=0.0, at_most=math.inf)
    if setting.n_active is not None and setting.global_scale is not None:
        raise SettingError("give either n_active or global_scale, not both")


def _checked_prior(prior: Any) -> Prior:
    if isinstance(prior, str) and prior == "uniform":
        raise SettingError(
            'prior="uniform" leaves a tail of N that only the prior of the main effects ends; take "reciprocal" or '
            '("negative_binomial", mean, shape)'
        )
    return check_prior(prior)


# === what a reader of a Bayesian log-linear model asks for ============================================================
# Odds ratios, strata, remarks, and what the prior moves.


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Posterior:
    """All that was drawn, and what from."""

    design: CellsDesign
    prior: CoefficientPrior
    size: SizeGamma
    chains: Chains
    drawn: SizeDraws

    @property
    def theta(self) -> Floats:
        """Coefficients, shape (chains, draws, p)."""
        return self.chains.draws["theta"]

    @property
    def log_prior(self) -> dict[str, Floats]:
        """Log prior by its parts, each of shape (chains, draws)."""
        tau = self.chains.draws.get("tau")
        return log_prior(self.design, self.prior, self.size, self.theta, self.drawn.log_size, tau)


def details_of(posterior: Posterior, level: float, rng: np.random.Generator) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    posterior : Posterior
    level : float
    rng : Generator
        For tables drawn again.

    Returns
    -------
    dict
    """
    design, prior = posterior.design, posterior.prior
    return {
        "dropped_lists": list(design.dropped),
        "terms": [str(term) for term in design.terms],
        "interactions": _interactions(posterior, level),
        "hidden_share": median_and_limits(posterior.drawn.hidden_share, level),
        "prior": _prior_in_numbers(design, prior),
        "prior_powers": _prior_powers(posterior),
        "censored": _censored(posterior, level),
        "backend": posterior.chains.backend,
        "idata": _idata(posterior, rng),
    }


def _interactions(posterior: Posterior, level: float) -> pd.DataFrame:
    """Odds ratios of the interactions between lists, and ratios of these for higher orders."""
    design = posterior.design
    rows = []
    for place, term in enumerate(design.terms):
        if term.order > 1 and not term.covariates:
            log_ratio = posterior.theta[..., design.term_of == place].ravel()
            limits = median_and_limits(np.exp(log_ratio), level)
            rows.append({"interaction": str(term), **limits, "above_1": float((log_ratio > 0.0).mean())})
    return pd.DataFrame(rows, columns=["interaction", "median", "low", "high", "above_1"])


def _prior_in_numbers(design: CellsDesign, prior: CoefficientPrior) -> dict[str, Any]:
    numbers = {"family": prior.family, "main_effect_sd": prior.main_sd, "interaction_sd": prior.slab_sd}
    if prior.family == "normal":
        return numbers
    ratio = prior.global_scale / information_scale(design, prior.main_sd)
    n_interactions = sum(term.order > 1 for term in design.terms)
    active = n_interactions * ratio / (1.0 + ratio)
    return {**numbers, "global_scale": prior.global_scale, "n_active": active}


def _censored(posterior: Posterior, level: float) -> pd.DataFrame:
    """Censored cells with their bounds and the persons drawn."""
    design = posterior.design
    at = slice(design.n_certain, design.n_certain + design.n_censored)
    frame = pd.DataFrame(decode(design.histories[at], len(design.lists)), columns=list(design.lists))
    levels = design.strata.iloc[design.stratum_of[at]].reset_index(drop=True)
    drawn = posterior.drawn.censored.reshape(posterior.drawn.sizes.size, design.n_censored)
    found = [median_and_limits(drawn[:, cell], level) for cell in range(design.n_censored)]
    limits = pd.DataFrame(found, columns=["median", "low", "high"])
    return pd.concat([frame, levels, limits], axis=1).assign(bound=design.bounds)


def _idata(posterior: Posterior, rng: np.random.Generator) -> Any:
    design, drawn, draws = posterior.design, posterior.drawn, posterior.chains.draws
    held = {
        "N": drawn.sizes,
        "hidden_share": drawn.hidden_share,
        "log_size": drawn.log_size,
        **{name: draws[name] for name in ("theta", "tau", "lam") if name in draws},
    }
    groups = {"log_prior": posterior.log_prior}
    if design.n_certain + design.n_censored <= MOST_POINTWISE:
        cells = log_likelihood(design, posterior.theta, drawn.log_size)
        groups["log_likelihood"] = {"cells": cells}
        if not design.n_censored:  # a bound says nothing of what to compare a replicate with
            belongs = _by_history(design)
            drawn_again = replicates(design, posterior.theta, drawn.log_size, rng)
            groups["posterior_predictive"] = {"cells": drawn_again @ belongs}
            groups["observed_data"] = {"cells": design.counts @ belongs}
        held |= _cell_shares(design, posterior.theta)
    return inference_data(held, groups=groups)


def _cell_shares(design: CellsDesign, theta: Floats) -> dict[str, Floats]:
    """Share of each history among the observed; nothing where a history has no cell, or a cell no certain count."""
    belongs = _by_history(design)
    if design.n_censored or design.members.shape[1] > 1 or not belongs.any(axis=0).all():
        return {}
    return {CELL_SHARES: softmax(design.log_rows(theta)[..., : design.n_certain], axis=-1) @ belongs}


def _by_history(design: CellsDesign) -> npt.NDArray[np.bool_]:
    """Which certain cell has which history 1, 2, ..., so that a product with it adds the strata up."""
    cells = np.arange(1, 1 << len(design.lists))
    return np.asarray(design.histories[: design.n_certain, None] == cells)


# --- strata -----------------------------------------------------------------------------------------------------------


def strata_frame(posterior: Posterior, level: float, status: Status) -> pd.DataFrame:
    """Give one row a stratum: levels, persons certain, median and limits.

    Parameters
    ----------
    posterior : Posterior
    level : float
    status : str
        Of the estimate; a row has a number only where the estimate has one.

    Returns
    -------
    DataFrame
    """
    design = posterior.design
    certain = np.bincount(design.stratum_of[: design.n_certain], design.counts, design.n_strata)
    rows = []
    for stratum, n in enumerate(certain.astype(np.int64).tolist()):
        found = median_and_limits(posterior.drawn.by_stratum[..., stratum], level)
        n_hat = found["median"] if status in ("ok", "boundary") else math.nan
        own = "boundary" if status == "ok" and n_hat == n else status
        rows.append(
            {"n_observed": n, "n_hat": n_hat, "low": found["low"], "high": found["high"], "status": own}
        )
    return pd.concat([design.strata, pd.DataFrame(rows)], axis=1)


# --- what the prior moves ---------------------------------------------------------------------------------------------


def _prior_powers(posterior: Posterior) -> pd.DataFrame:
    """Medians of N when a part of the prior weighs less or more, by reweighting, with what the draws are worth."""
    sizes = posterior.drawn.sizes.ravel()
    rows = []
    for part, density in posterior.log_prior.items():
        for power in POWERS.get(part, OTHER_POWERS):
            median, worth = reweighted_median(sizes, (power - 1.0) * density.ravel())
            rows.append({"part": part, "power": power, "median": median, "effective_draws": worth})
    return pd.DataFrame(rows)


def reweighted_median(sizes: Floats, log_weight: Floats) -> tuple[float, float]:
    """Median of weighted draws, and how many draws without weights they are worth.

    Examples
    --------
    >>> reweighted_median(np.array([5.0, 7.0, 9.0]), np.log([1.0, 1.0, 2.0]))[0]
    7.0
    """
    weight = np.exp(log_weight - log_weight.max())
    order = np.argsort(sizes, kind="stable")
    reached = np.cumsum(weight[order])
    at = int(np.searchsorted(reached, 0.5 * reached[-1]))
    return float(sizes[order][at]), float(weight.sum() ** 2 / (weight**2).sum())


def _largest_move(posterior: Posterior, part: str) -> tuple[float, float, float]:
    """Smallest and largest median over the powers of one part, and the fewest draws they are worth."""
    frame = _prior_powers(posterior)
    mine = frame[frame["part"] == part]
    median = float(quantiles(posterior.drawn.sizes.ravel(), [0.5])[0])
    if mine.empty:
        return median, median, math.inf
    low, high = float(mine["median"].min()), float(mine["median"].max())
    return min(low, median), max(high, median), float(mine["effective_draws"].min())


def prior_sets_the_answer(posterior: Posterior) -> str:
    """Say that the prior of the main effects moves the median too far; empty when it does not."""
    low, high, _ = _largest_move(posterior, "main_effects")
    return PRIOR_DRIVEN if high > LARGEST_MOVE * low else ""


def diagnostics_of(posterior: Posterior) -> list[Diagnostic]:
    """Say what the answer rests on and what to beware of.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    list of Diagnostic
    """
    return [*posterior.design.diagnostics, *_bounds(posterior), *_moved(posterior)]


def _bounds(posterior: Posterior) -> list[Diagnostic]:
    design = posterior.design
    if not design.n_censored:
        return []
    most = float(design.bounds.sum())
    message = (
        f"{design.n_censored} cells have only an upper bound: together they hold at most {most:,.0f} persons more than "
        f"the {design.n_observed:,} that are certain; N counts those drawn"
    )
    return [Diagnostic("censored_cells", "info", message, most)]


def _moved(posterior: Posterior) -> list[Diagnostic]:
    low, high, worth = _largest_move(posterior, "interactions")
    if high <= NOTABLE_MOVE * low and worth >= FEWEST_EFFECTIVE:
        return []
    message = (
        "the prior of the interactions is a part of the answer: raised to the powers 0.8 and 1.25 it moves the median "
        "between {0} and {1}; report the range of sweep_priors"
    )
    ratio = round(high / max(low, 1.0), 3)
    return [Diagnostic("prior_of_interactions", "warning", message, ratio, (low, high))]


# === how the answer of a Bayesian log-linear model moves with the prior of its interactions ===========================


def sweep_priors(
    table: CaptureTable,
    priors: Iterable[Mapping[str, Any]] = SWEEP_PRIORS,
    *,
    base: BayesianLogLinear | None = None,
    rng: RNGLike = None,
) -> pd.DataFrame:
    """Show how the answer moves with the prior of the interactions.

    Parameters
    ----------
    table : CaptureTable
    priors : iterable of mapping
        Settings of `BayesianLogLinear` that differ from `base`, such as ``{"odds_ratio": 3.0}``; `SWEEP_PRIORS` when
        left out.
    base : BayesianLogLinear, optional
        The other settings; the defaults when left out.
    rng : int, Generator or None
        All priors start from the same seed.

    Returns
    -------
    DataFrame
        One row a prior: ``prior_family``, ``odds_ratio``, ``n_active``, ``median``, ``low``, ``high`` as drawn, and the
        ``status`` of the estimate.

    Raises
    ------
    SettingError, CapabilityError, TableError, UnknownNameError
        As for `BayesianLogLinear`.

    Notes
    -----
    How to report it. Give the estimate under the prior chosen before the data were seen. Beside it give the lowest and
    the highest median over all priors that a reader could hold, with the lowest lower and the highest upper limit:
    "14,000 (9,000 to 22,000); medians between 12,000 and 15,000 under other priors". Do not choose the prior by the
    answer, and do not average over the rows: they are no sample from anything. A row whose status is not "ok" stays in
    the report with its status. If the medians lie further apart than half of the width of one interval, say that the
    data do not decide between the priors.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> sweep = sweep_priors(hp.datasets.load("uk_5"), [{"odds_ratio": 3.0}, {"odds_ratio": 10.0}], rng=1)
    >>> bool(sweep["median"][0] > sweep["median"][1]), sweep["status"].tolist()
    (True, ['ok', 'ok'])
    """
    base = base or BayesianLogLinear()
    seed = int(np.random.default_rng(rng).integers(2**63))
    rows = [_sweep_row(_changed(base, changes), table, seed) for changes in priors]
    columns = ["prior_family", "odds_ratio", "n_active", "median", "low", "high", "status"]
    return pd.DataFrame(rows, columns=columns)


def _changed(base: BayesianLogLinear, changes: Mapping[str, Any]) -> BayesianLogLinear:
    known = BayesianLogLinear.__dataclass_fields__
    for setting in changes:
        if setting not in known:
            raise SettingError(f"a prior of the sweep has {setting!r}; settings: {', '.join(known)}")
    return replace(base, **changes)


def _sweep_row(setting: BayesianLogLinear, table: CaptureTable, seed: int) -> dict[str, Any]:
    estimate = setting.fit(table, rng=seed)
    tail = (1.0 - setting.level) / 2.0
    drawn = np.array([]) if estimate.draws is None else estimate.draws
    median, low, high = quantiles(drawn, [0.5, tail, 1.0 - tail]).tolist()
    shrinks = setting.prior_family == "horseshoe"
    return {
        "prior_family": setting.prior_family,
        "odds_ratio": setting.odds_ratio,
        "n_active": estimate.details.get("prior", {}).get("n_active", math.nan) if shrinks else math.nan,
        "median": median,
        "low": low,
        "high": high,
        "status": estimate.status,
    }
