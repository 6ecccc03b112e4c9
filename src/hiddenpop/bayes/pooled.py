"""`PooledLogLinear`: many small strata that borrow from each other."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri
from scipy.stats import rankdata

from hiddenpop._cells import distinct_texts, level_text
from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats
from hiddenpop.bayes.convergence import HIGHEST_RHAT, convergence, effective_draws
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.loglinear import LARGEST_MOVE, OTHER_POWERS, PRIOR_DRIVEN, reweighted_median
from hiddenpop.bayes.loglinear_model import Steps
from hiddenpop.bayes.outcome import estimate_without_draws, quantiles, reach_of, sampled_estimate
from hiddenpop.bayes.pooled_model import (
    Hyper,
    Plan,
    PooledDesign,
    PooledPrior,
    draw_chains,
    hypers_of,
    pooled_design,
    refuse_memory,
)
from hiddenpop.bayes.priors import check_between, odds_ratio_of_sd, sd_of_odds_ratio
from hiddenpop.bayes.sampling import BACKENDS, SAMPLER_PACKAGES, Backend, Chains
from hiddenpop.errors import SettingError
from hiddenpop.estimators.base import POSTERIOR, BaseEstimator, Change, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.protocol import as_number, check_choice, check_level, check_whole
from hiddenpop.kernels.bayes.pooled_density import SMALLEST_CV2
from hiddenpop.kernels.resampling.counts import draw_poisson
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Status
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["PooledLogLinear"]

FEWEST_DRAWS, FEWEST_TUNE = 100, 100
LARGEST_SD = 100.0
LARGEST_ODDS = 1e6
SPREADS = ("odds_ratio", "spread", "interaction_spread", "size_spread", "year_step")

STANDARD_PRIORS: tuple[Change, ...] = (
    (("odds_ratio", 3.0),),
    (("odds_ratio", 100.0),),
    (("spread", 2.0),),
    (("interaction_spread", 4.0),),
    (("size_spread", 10.0),),
)
"""Priors worth trying beside the one that is set."""

BLOCK = 256
"""Strata that are looked at together: enough to be fast, few enough to need little memory."""

LARGEST_LOG = 690.0

PROTECTED = ("shrinkage",)
"""Details from which the counts of small cells could be worked out."""

FEW_LEVELS = 5
"""With fewer levels the standard deviation between them is mostly its prior."""


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class PooledLogLinear(BaseEstimator):
    r"""Sizes of many small strata from one log-linear model whose list effects vary between them around a common mean.

    In stratum s there are ``N_s ~ Poisson(L_s)`` persons with

        ``log L_s = level + log residents_s + a_place + a_region + a_year + ... + residual_s``,

    and a person there has the history w with a probability in proportion to

        ``exp(sum_i (b_i + B_is) w_i + sum_{i<j} (g_ij + G_ijs) w_i w_j)``.

    ``B_is`` and ``G_ijs`` add up effects of the place, the region and other covariates, drawn from normal laws around 0
    whose standard deviations are estimated; over years ``a`` and ``B`` walk at random. So a place with many persons
    speaks for itself, and one with few, or with nobody observed, borrows from the others. The hidden persons of a
    stratum are drawn from ``Poisson(L_s p_s0)``.

    Parameters
    ----------
    place : str, optional
        The covariate with many levels, e.g. ``"municipality"``. By default every combination of the covariates other
        than `year` and `region` is a place.
    year : str, optional
        A covariate with numbers as levels, over which sizes and list effects walk at random.
    region : str, optional
        A covariate above the places: each place lies in one region.
    places : sequence of str, or mapping of str to str, optional
        All places there are, also those where nobody was observed; with `region`, a mapping from place to region. They
        are crossed with what else occurs. By default the strata of the table.
    residents : mapping of str to float, optional
        Residents by place; where several covariates make a place, by the tuple of their levels in the order of the
        table. Then it is victims per resident that vary around a mean.
    order : int
        Most lists in an interaction; those of three and more have the same value everywhere.
    odds_ratio : float
        Above 1. The prior puts 95 % of the odds ratios between two lists, at their mean, between ``1/odds_ratio`` and
        ``odds_ratio``.
    spread : float
        Above 1. How much the odds of being on a list may differ: the scale of the half-normal priors of their standard
        deviations is the one that puts 95 % of the places within this factor of the mean.
    interaction_spread : float
        The same for the odds ratios between two lists.
    size_spread : float
        The same for the expected number of persons, or with `residents` for their rate.
    year_step : float
        The same for the step from one year to the next, of sizes and of the odds of lists.
    main_effect_sd : float
        Standard deviation of the mean of a list effect, on the scale of logits: nearly flat.
    level_prior : (float, float), optional
        Expected persons in a typical stratum, and the factor that it is within with a probability of 95 %. By default
        its logarithm is flat, which is the prior 1/N.
    n_draws, n_tune : int
        Draws a chain, and steps of warm-up before them.
    n_chains : int
        At least 2, so that they can be compared.
    target_accept : float
        Acceptance that the step size aims at; raise it when there are divergences.
    backend : {"nutpie", "pymc"}
        The sampler; ``"pymc"`` is slower and a fallback.
    level : float
        Probability of the intervals.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    When it fails. Places are taken for exchangeable, apart from what covariates, region and residents say. Where lists
    miss more in places that are also small, as when a list does not reach the countryside, what is said of small places
    is wrong by as much, and the data of small places cannot show it: give a region or another covariate that tells them
    apart. Sums over many places fare better than single ones.

    The strata of one place differ by year, region and covariates as the model says, and in size by a gamma-distributed
    residual, whose coefficient of variation is estimated. Interactions do not change over years.

    A list that does not operate in a stratum (its coverage says where it does) counts there as one whose persons nobody
    told us of: the histories with it and without it are added up.

    Status. Chains must agree on N, on every stratum and on every standard deviation (R-hat at most 1.01), and N must be
    worth 400 draws. A median that the nearly flat prior of the means moves by more than a factor of two is
    ``"not_identified"``. Strata have a status of their own.

    Draws are kept of the hidden persons of every stratum and not of the effects behind them. While a chain is drawn its
    effects are held too: 10,000 places with four lists need five gigabytes at the default length, and what needs more
    than eight is refused.

    References
    ----------
    Hammond, C., Smith, P. A. and van der Heijden, P. G. M. (2025). arXiv:2505.01359.
    Papaspiliopoulos, O., Roberts, G. O. and Skold, M. (2007). A general framework for the parametrization of
    hierarchical models. Statistical Science 22(1), 59-73. doi:10.1214/088342307000000014

    Examples
    --------
    >>> from hiddenpop.synthetic.local import draw_local
    >>> world = draw_local(n_places=20, n_persons=2000, rng=1)
    >>> setting = PooledLogLinear(place="municipality", region="region")
    >>> estimate = setting.fit(world.table, rng=1)
    >>> estimate.status, len(estimate.by_stratum) == world.table.strata["municipality"].nunique()
    ('ok', True)
    """

    name: ClassVar[str] = "pooled"

    place: str | None = None
    year: str | None = None
    region: str | None = None
    places: tuple[tuple[str, str], ...] | None = None
    residents: tuple[tuple[str | tuple[str, ...], float], ...] | None = None
    order: int = 2
    odds_ratio: float = 10.0
    spread: float = 5.0
    interaction_spread: float = 2.0
    size_spread: float = 100.0
    year_step: float = 2.0
    main_effect_sd: float = 10.0
    level_prior: tuple[float, float] | None = None
    n_draws: int = 2000
    n_tune: int = 500
    n_chains: int = 4
    target_accept: float = 0.9
    backend: Backend = "nutpie"
    level: float = 0.95

    def __post_init__(self) -> None:
        _check_covariates(self)
        object.__setattr__(self, "places", _checked_places(self.places, self.place, self.region))
        object.__setattr__(self, "residents", _checked_residents(self.residents))
        check_whole("order", self.order)
        for name in SPREADS:
            check_between(name, getattr(self, name), above=1.0, at_most=LARGEST_ODDS)
        check_between("main_effect_sd", self.main_effect_sd, above=0.0, at_most=LARGEST_SD)
        object.__setattr__(self, "level_prior", _checked_level_prior(self.level_prior))
        check_whole("n_draws", self.n_draws, least=FEWEST_DRAWS)
        check_whole("n_tune", self.n_tune, least=FEWEST_TUNE)
        check_whole("n_chains", self.n_chains, least=2)
        check_between("target_accept", self.target_accept, above=0.0, at_most=1.0)
        check_choice("backend", self.backend, BACKENDS)
        check_level(self.level)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Draw from the posterior of the population size behind `table`, stratum by stratum.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None

        Returns
        -------
        Estimate
            With ``by_stratum`` and ``stratum_draws``, unless the table has no covariates and so is one stratum.
            ``details`` holds ``hyperparameters`` (standard deviations, with R-hat and effective draws), ``means``,
            ``worst`` (the stratum and the standard deviation on which chains agree least), ``shrinkage`` (how far each
            stratum speaks for itself), ``factors``, ``convergence``, ``modes``, ``quantiles`` and ``idata``, which
            holds N, the standard deviations and the means.

        Raises
        ------
        CapabilityError
            For censored cells, fewer than three lists that caught somebody, and tables that are too large.
        SettingError
            For years that are no numbers, and places in several regions.
        UnknownNameError
            For a covariate that is not there, and a place that is not in `places` or `residents`.

        Warns
        -----
        EmptyListWarning
        """
        design = self.prepare(table)
        provenance = make_provenance(table.summary, rng, SAMPLER_PACKAGES)
        generator, prior = np.random.default_rng(rng), prior_of(self)
        chains = draw_chains(design, prior, _steps(self), generator)
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
        posterior = posterior_of(design, prior, chains, draw_sizes(design, chains, generator))
        return _estimate(self, table, posterior, provenance)

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("places_alike", "no_highest_order", "priors", "chains"),
            model_is="given",
            other_priors=STANDARD_PRIORS,
        )

    def prepare(self, table: CaptureTable) -> PooledDesign:
        """Lay out strata and cells, and refuse what would not fit into memory."""
        check_table(table)
        design = design_of(self, table)
        refuse_memory(design, prior_of(self), _steps(self))
        return design

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(scenario, POSTERIOR)


def prior_of(setting: PooledLogLinear) -> PooledPrior:
    """Turn the settings into scales of logs.

    Parameters
    ----------
    setting : PooledLogLinear

    Returns
    -------
    PooledPrior
    """
    centre, precision = 0.0, 0.0
    if setting.level_prior is not None:
        centre = math.log(setting.level_prior[0])
        precision = sd_of_odds_ratio(setting.level_prior[1]) ** -2
    return PooledPrior(
        main_sd=float(setting.main_effect_sd),
        interaction_sd=sd_of_odds_ratio(setting.odds_ratio),
        list_scale=sd_of_odds_ratio(setting.spread),
        interaction_scale=sd_of_odds_ratio(setting.interaction_spread),
        size_scale=sd_of_odds_ratio(setting.size_spread),
        step_scale=sd_of_odds_ratio(setting.year_step),
        log_size=(centre, precision),
    )


def design_of(setting: PooledLogLinear, table: CaptureTable) -> PooledDesign:
    """Read a table as a setting takes it.

    Parameters
    ----------
    setting : PooledLogLinear
    table : CaptureTable

    Returns
    -------
    PooledDesign
    """
    return pooled_design(table, _plan(setting), estimator=setting.name)


# --- parts of a fit ---------------------------------------------------------------------------------------------------


def _plan(setting: PooledLogLinear) -> Plan:
    return Plan(
        place=setting.place,
        year=setting.year,
        region=setting.region,
        places=setting.places,
        residents=None
        if setting.residents is None
        else tuple(((level,) if isinstance(level, str) else level, n) for level, n in setting.residents),
        order=int(setting.order),
    )


def _steps(setting: PooledLogLinear) -> Steps:
    return Steps(
        n_draws=int(setting.n_draws),
        n_tune=int(setting.n_tune),
        n_chains=int(setting.n_chains),
        target_accept=float(setting.target_accept),
        backend=setting.backend,
    )


def _estimate(
    setting: PooledLogLinear, table: CaptureTable, posterior: "Posterior", provenance: Mapping[str, Any]
) -> Estimate:
    design, modelled = posterior.design, table.has_strata
    pooled = f"{design.n_strata:,} strata pooled over {design.place.name}" if modelled else "one stratum"
    estimate = sampled_estimate(
        setting,
        table,
        sizes=posterior.sizes,
        n_observed=design.n_observed,
        n_lists=len(design.lists),
        convergence=convergence(posterior.sizes, n_divergent=posterior.chains.n_divergent),
        method=f"equal-tailed posterior, {pooled}",
        provenance=provenance,
        details=details_of(posterior, setting.level),
        diagnostics=diagnostics_of(posterior),
        protected=PROTECTED if design.has_small else (),
        faults=faults_of(posterior),
        stratum_draws=posterior.by_stratum.reshape(-1, design.n_strata) if modelled else None,
    )
    reason = prior_sets_the_answer(posterior)
    if reason and estimate.status == "ok":
        estimate = replace(estimate, n_hat=math.nan, status="not_identified", reason=reason)
    if modelled:
        estimate = replace(estimate, by_stratum=strata_frame(posterior, setting.level, estimate.status))
    return estimate


# --- settings ---------------------------------------------------------------------------------------------------------


def _check_covariates(setting: PooledLogLinear) -> None:
    given = {name: getattr(setting, name) for name in ("place", "year", "region")}
    named = [value for value in given.values() if value is not None]
    for name, value in given.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise SettingError(f"{name}={value!r} must be the name of a covariate, or None")
    if len(set(named)) < len(named):
        raise SettingError(
            f"place, year and region must be different covariates; got {', '.join(map(repr, named))}"
        )


def _checked_places(places: Any, place: str | None, region: str | None) -> Any:
    """Write all places as pairs of place and region; the region is empty without one."""
    if places is None:
        return None
    if place is None:
        raise SettingError(
            'places says which places there are; say with place="..." which covariate they are of'
        )
    if isinstance(places, Mapping | pd.Series):
        places = tuple(places.items())
    rows = tuple(places) if isinstance(places, Iterable) and not isinstance(places, str) else ()
    pairs = tuple(_place_pair(row, region) for row in rows)
    names = [name for name, _ in pairs]
    if not names or len(set(names)) < len(names):
        raise SettingError("places must name at least one place, and each once")
    return pairs


def _place_pair(row: Any, region: str | None) -> tuple[str, str]:
    given = (level_text(row), "") if not isinstance(row, tuple | list) else tuple(map(level_text, row))
    if len(given) != 2 or (region is None) == bool(given[1]):
        wanted = (
            "its region with each, e.g. {'0363': 'west'}" if region else "names alone, or name the region"
        )
        raise SettingError(f"places has {row!r}; give places with {wanted}")
    return given[0], given[1]


def _checked_residents(residents: Any) -> Any:
    """Write residents as pairs of place and number."""
    if residents is None:
        return None
    if isinstance(residents, Mapping | pd.Series):
        residents = tuple(residents.items())
    rows = tuple(residents) if isinstance(residents, Iterable) and not isinstance(residents, str) else ()
    if not rows or not all(isinstance(row, tuple | list) and len(row) == 2 for row in rows):
        raise SettingError("residents must be a mapping from places to numbers, e.g. {'0363': 872757}")
    pairs = tuple((_place_named(level), _residents_of(level, value)) for level, value in rows)
    if len(dict(pairs)) < len(pairs):
        raise SettingError("residents names a place twice")
    return pairs


def _place_named(level: Any) -> str | tuple[str, ...]:
    """Read the name of a place, or the levels of the covariates that make it."""
    if not isinstance(level, tuple | list):
        return level_text(level)
    levels = tuple(map(level_text, level))
    return levels[0] if len(levels) == 1 else levels


def _residents_of(level: Any, value: Any) -> float:
    given = float(value) if isinstance(value, np.number) else as_number(value)
    if not 0.0 < given < math.inf:
        raise SettingError(f"residents of {level!r} are {value!r}; give a number above 0")
    return given


def _checked_level_prior(prior: Any) -> tuple[float, float] | None:
    if prior is None:
        return None
    given = tuple(map(as_number, prior)) if isinstance(prior, tuple | list) else ()
    if len(given) != 2 or not 0.0 < given[0] < math.inf or not 1.0 < given[1] <= LARGEST_ODDS:
        raise SettingError(
            f"level_prior={prior!r} must be the expected persons in a typical stratum and the factor that they are "
            f"within, above 1, e.g. (10.0, 20.0)"
        )
    return given[0], given[1]


# === persons from the draws of a pooled model, and whether the chains agree on every stratum ==========================


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """How well chains agree on each of many quantities.

    Attributes
    ----------
    rhat : ndarray, shape (q,)
        Split, rank-normalised R-hat, the larger of bulk and folded; 1 for what never changes.
    ess_bulk : ndarray, shape (q,)
        Effective draws of the centre.
    """

    rhat: Floats
    ess_bulk: Floats


def draw_sizes(design: PooledDesign, chains: Chains, rng: np.random.Generator) -> Floats:
    """Draw the population size of every stratum: those observed, and hidden persons.

    Parameters
    ----------
    design : PooledDesign
    chains : Chains
        Of `pooled_model.draw_chains`.
    rng : Generator

    Returns
    -------
    ndarray, shape (chains, draws, s)

    Notes
    -----
    With a residual the expected size of a stratum is summed out of the model. Given the rest it follows a gamma
    distribution, of which one is drawn here.
    """
    log_hidden, observed = chains.draws["log_hidden"], design.observed
    sizes = np.empty(log_hidden.shape)
    for chain, log_scale in enumerate(log_hidden):
        mean = np.exp(np.minimum(log_scale, LARGEST_LOG))
        if design.has_residual:
            shape = 1.0 / (chains.draws["hyper"][chain, :, -1] ** 2 + SMALLEST_CV2)
            mean *= rng.standard_gamma(shape[:, None] + observed)
        sizes[chain] = observed + draw_poisson(mean, rng)
    return sizes


def agreement(drawn: Floats) -> Agreement:
    """Measure R-hat and effective draws of many quantities at once.

    Parameters
    ----------
    drawn : ndarray, shape (chains, draws, q)

    Returns
    -------
    Agreement

    Notes
    -----
    The same figures as `convergence` gives for one quantity, without a call for each.

    References
    ----------
    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021). Rank-normalization, folding, and
    localization: an improved R-hat for assessing convergence of MCMC. Bayesian Analysis 16(2), 667-718.
    doi:10.1214/20-BA1221

    Examples
    --------
    >>> drawn = np.random.default_rng(1).normal(size=(4, 500, 3))
    >>> drawn[0, :, 2] += 1.0
    >>> (agreement(drawn).rhat < 1.02).tolist()
    [True, True, False]
    """
    half = drawn.shape[1] // 2
    if not drawn.shape[-1]:
        return Agreement(rhat=np.ones(0), ess_bulk=np.ones(0))
    blocks = [slice(start, start + BLOCK) for start in range(0, drawn.shape[-1], BLOCK)]
    found = [
        _agreement(np.concatenate([drawn[:, :half, block], drawn[:, -half:, block]])) for block in blocks
    ]
    return Agreement(
        rhat=np.concatenate([rhat for rhat, _ in found]), ess_bulk=np.concatenate([ess for _, ess in found])
    )


def _agreement(split: Floats) -> tuple[Floats, Floats]:
    """R-hat and effective draws of some quantities, shape (halves, draws, q)."""
    moves = split.max(axis=(0, 1)) > split.min(axis=(0, 1))
    rhat, ess = np.ones(len(moves)), np.full(len(moves), float(split.shape[0] * split.shape[1]))
    if moves.any():
        moving = split[..., moves]
        z = _normal_scores(moving)
        folded = _normal_scores(np.abs(moving - np.median(moving, axis=(0, 1))))
        rhat[moves] = np.maximum(_rhat(z), _rhat(folded))
        ess[moves] = _effective(z)
    return rhat, ess


def _normal_scores(values: Floats) -> Floats:
    flat = values.reshape(-1, values.shape[-1])
    ranks = rankdata(flat, axis=0)
    return np.asarray(ndtri((ranks - 0.375) / (len(flat) + 0.25))).reshape(values.shape)


def _rhat(z: Floats) -> Floats:
    """Square root of the total over the inner variance."""
    n = z.shape[1]
    within = z.var(axis=1, ddof=1).mean(axis=0)
    between = n * z.mean(axis=1).var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.sqrt((between / within + n - 1.0) / n)
    return np.asarray(np.where(within > 0.0, found, np.where(between > 0.0, np.inf, 1.0)))


def _effective(z: Floats) -> Floats:
    """Effective draws by Geyer's initial monotone sequence over the autocorrelation of all halves."""
    halves, n, _ = z.shape
    covariance = _autocovariance(z).mean(axis=0)
    within = covariance[0] * n / (n - 1.0)
    total = within * (n - 1.0) / n + z.mean(axis=1).var(axis=0, ddof=1)
    rho = 1.0 - (within - covariance) / total
    rho[0] = 1.0
    even = n - n % 2
    pairs = rho[0:even:2] + rho[1:even:2]
    going = np.cumprod(pairs > 0.0, axis=0)
    pairs = np.minimum.accumulate(pairs, axis=0) * going
    last = going.sum(axis=0) * 2
    beyond = np.take_along_axis(rho, np.minimum(last, n - 1)[None], axis=0)[0]
    tau = -1.0 + 2.0 * pairs.sum(axis=0) + np.maximum(beyond, 0.0)
    draws = halves * n
    return np.asarray(draws / np.maximum(tau, 1.0 / np.log10(draws)))


def _autocovariance(z: Floats) -> Floats:
    """Autocovariance of each half by the fast Fourier transform, shape (halves, n, q)."""
    from scipy.fft import irfft, next_fast_len, rfft

    n = z.shape[1]
    size = next_fast_len(2 * n, real=True)
    spectrum = rfft(z - z.mean(axis=1, keepdims=True), size, axis=1)
    return np.asarray(irfft(spectrum * spectrum.conj(), size, axis=1)[:, :n] / n)


# === what a reader of a pooled model asks for: strata, spreads, convergence, and how much is borrowed =================


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """All that was drawn, and how well chains agree on it.

    Attributes
    ----------
    design : PooledDesign
    prior : PooledPrior
    chains : Chains
    by_stratum : ndarray, shape (chains, draws, s)
        Population size, in persons.
    of_strata, of_hypers : Agreement
    """

    design: PooledDesign
    prior: PooledPrior
    chains: Chains
    by_stratum: Floats
    of_strata: Agreement
    of_hypers: Agreement

    @property
    def sizes(self) -> Floats:
        """Population size, shape (chains, draws)."""
        return np.asarray(self.by_stratum.sum(axis=-1))

    @property
    def hypers(self) -> tuple[Hyper, ...]:
        """The standard deviations that were drawn."""
        return hypers_of(self.design, self.prior)


def posterior_of(design: PooledDesign, prior: PooledPrior, chains: Chains, by_stratum: Floats) -> Posterior:
    """Put draws together with how well chains agree on them.

    Parameters
    ----------
    design : PooledDesign
    prior : PooledPrior
    chains : Chains
    by_stratum : ndarray, shape (chains, draws, s)

    Returns
    -------
    Posterior
    """
    return Posterior(
        design=design,
        prior=prior,
        chains=chains,
        by_stratum=by_stratum,
        of_strata=agreement(by_stratum),
        of_hypers=agreement(chains.draws["hyper"]),
    )


def faults_of(posterior: Posterior) -> list[str]:
    """Say on which stratum and on which standard deviation chains disagree most, where that is too much.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    list of str
    """
    names = {"of_strata": _stratum_names(posterior.design), "of_hypers": _hyper_names(posterior)}
    faults = []
    for what, subject in (("of_strata", "N in"), ("of_hypers", "the spread")):
        rhat = getattr(posterior, what).rhat
        if len(rhat) and not rhat.max() <= HIGHEST_RHAT:
            worst = int(np.argmax(rhat))
            faults.append(
                f"R-hat of {subject} {names[what][worst]} is {rhat[worst]:.3f}, above {HIGHEST_RHAT}, the highest of "
                f"{int((rhat > HIGHEST_RHAT).sum()):,} that are"
            )
    return faults


def details_of(posterior: Posterior, level: float) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    posterior : Posterior
    level : float

    Returns
    -------
    dict
    """
    design, draws = posterior.design, posterior.chains.draws
    held = {
        "N": posterior.sizes,
        "hyper": draws["hyper"],
        "log_level": draws["log_level"],
        "mean": draws["mean"],
    }
    labels = {"spread": _hyper_names(posterior), "term": _term_names(design)}
    return {
        "dropped_lists": list(design.dropped),
        "factors": {factor.name: len(factor.levels) for factor in design.factors},
        "hyperparameters": _hyperparameters(posterior, level),
        "means": _means(posterior, level),
        "worst": _worst(posterior),
        "shrinkage": _shrinkage(posterior),
        "backend": posterior.chains.backend,
        "idata": inference_data(held, dims={"hyper": ["spread"], "mean": ["term"]}, coords=labels),
    }


def diagnostics_of(posterior: Posterior) -> list[Diagnostic]:
    """Say what the answer rests on and what to beware of.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    list of Diagnostic
    """
    return [*posterior.design.diagnostics, *_little_to_pool(posterior.design), *_nobody(posterior.design)]


def prior_sets_the_answer(posterior: Posterior) -> str:
    """Say that the prior of the mean list effects moves the median of N too far; empty when it does not.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    str
    """
    mains = posterior.chains.draws["mean"][..., : len(posterior.design.lists)]
    log_prior = -0.5 * ((mains / posterior.prior.main_sd) ** 2).sum(axis=-1).ravel()
    sizes = posterior.sizes.ravel()
    medians = [reweighted_median(sizes, (power - 1.0) * log_prior)[0] for power in (*OTHER_POWERS, 1.0)]
    return PRIOR_DRIVEN if max(medians) > LARGEST_MOVE * min(medians) else ""


# --- strata -----------------------------------------------------------------------------------------------------------


def strata_frame(posterior: Posterior, level: float, status: Status) -> pd.DataFrame:
    """Give one row a stratum: levels, persons observed, median, limits and status.

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
    n = design.observed.astype(np.int64)
    flat = posterior.by_stratum.reshape(-1, design.n_strata)
    tail = (1.0 - level) / 2.0
    shares = [0.5, tail, 1.0 - tail]
    blocks = [
        np.quantile(flat[:, start : start + BLOCK], shares, axis=0, method="inverted_cdf")
        for start in range(0, design.n_strata, BLOCK)
    ]
    median, low, high = np.concatenate(blocks, axis=1)
    own = _statuses(posterior, median, status)
    has_number = np.isin(own, ["ok", "boundary"])
    n_hat = np.where(own == "unbounded", math.inf, np.where(has_number, median, math.nan))
    found = {"n_observed": n, "n_hat": n_hat, "low": low, "high": high, "status": own}
    return pd.concat([design.strata, pd.DataFrame(found)], axis=1)


def _statuses(posterior: Posterior, median: Floats, status: Status) -> npt.NDArray[Any]:
    design = posterior.design
    n = design.observed
    reach = reach_of(design.n_observed, len(design.lists))
    own = np.where(median == n, "boundary", "ok").astype(object)
    own[median > reach] = "unbounded"
    own[posterior.of_strata.rhat > HIGHEST_RHAT] = "not_converged"
    return own if status in ("ok", "boundary") else np.full(len(n), status, dtype=object)


def _stratum_names(design: PooledDesign) -> list[str]:
    return distinct_texts(design.strata.itertuples(index=False, name=None), " / ")


# --- frames -----------------------------------------------------------------------------------------------------------


def _hyper_names(posterior: Posterior) -> list[str]:
    return distinct_texts([(hyper.factor, hyper.effect) for hyper in posterior.hypers], ": ")


def _term_names(design: PooledDesign) -> list[str]:
    return [
        "*".join(name for position, name in enumerate(design.lists) if mask >> position & 1)
        for mask in design.terms
    ]


def _hyperparameters(posterior: Posterior, level: float) -> pd.DataFrame:
    """Give each standard deviation, the factor that 95 % of what varies lies within, and how well it was drawn."""
    tail = (1.0 - level) / 2.0
    rows = []
    for at, hyper in enumerate(posterior.hypers):
        drawn = posterior.chains.draws["hyper"][..., at]
        median, low, high = quantiles(drawn.ravel(), [0.5, tail, 1.0 - tail]).tolist()
        rows.append(
            {
                "factor": hyper.factor,
                "effect": hyper.effect,
                "sd": median,
                "low": low,
                "high": high,
                "within_factor": odds_ratio_of_sd(median),
                "prior_scale": hyper.scale,
                "rhat": float(posterior.of_hypers.rhat[at]),
                "ess_bulk": effective_draws(drawn, "bulk"),
                "ess_tail": effective_draws(drawn, "tail"),
            }
        )
    return pd.DataFrame(rows)


def _means(posterior: Posterior, level: float) -> pd.DataFrame:
    """Means of list effects (log odds) and interactions (log odds ratios)."""
    tail = (1.0 - level) / 2.0
    rows = []
    for at, name in enumerate(_term_names(posterior.design)):
        drawn = posterior.chains.draws["mean"][..., at].ravel()
        median, low, high = quantiles(drawn, [0.5, tail, 1.0 - tail]).tolist()
        rows.append({"term": name, "median": median, "low": low, "high": high})
    return pd.DataFrame(rows)


def _worst(posterior: Posterior) -> dict[str, Any]:
    """Name the stratum and the standard deviation on which chains agree least."""
    found: dict[str, Any] = {}
    names = {"stratum": _stratum_names(posterior.design), "spread": _hyper_names(posterior)}
    for what, measured in (("stratum", posterior.of_strata), ("spread", posterior.of_hypers)):
        if len(measured.rhat):
            highest, fewest = int(np.argmax(measured.rhat)), int(np.argmin(measured.ess_bulk))
            found[what] = {
                "rhat": float(measured.rhat[highest]),
                "rhat_of": names[what][highest],
                "ess_bulk": float(measured.ess_bulk[fewest]),
                "ess_bulk_of": names[what][fewest],
            }
    return found


def _shrinkage(posterior: Posterior) -> pd.DataFrame:
    """How far each stratum speaks for itself: 1 when the others weigh nothing, 0 when all is borrowed."""
    design, place = posterior.design, posterior.design.place
    if not place.n_free:
        return design.strata.assign(own_size=1.0, own_lists=1.0)
    n = np.bincount(place.index, design.observed, len(place.levels))[place.index]
    middle = np.median(posterior.chains.draws["hyper"], axis=(0, 1))
    size, lists = middle[0] ** 2, middle[1 : len(design.lists) + 1] ** 2
    total = max(design.n_observed, 1)
    caught = design.counts.sum(axis=0) @ design.columns[:, : len(design.lists)] / total
    told = np.outer(n, caught * (1.0 - caught) * lists)
    return design.strata.assign(
        own_size=n * size / (1.0 + n * size), own_lists=(told / (1.0 + told)).mean(axis=1)
    )


# --- remarks ----------------------------------------------------------------------------------------------------------


def _little_to_pool(design: PooledDesign) -> list[Diagnostic]:
    n_levels = len(design.place.levels)
    if n_levels >= FEW_LEVELS:
        return []
    message = (
        f"{design.place.name} has {n_levels} {'level' if n_levels == 1 else 'levels'}: there is little to pool, "
        f"and how much they differ is mostly the prior"
    )
    return [Diagnostic("little_to_pool", "warning", message, n_levels)]


def _nobody(design: PooledDesign) -> list[Diagnostic]:
    empty = int((design.observed == 0.0).sum())
    if not empty:
        return []
    message = (
        f"nobody was observed in {empty:,} of {design.n_strata:,} strata: what is said of them comes mostly from the "
        f"others"
    )
    return [Diagnostic("strata_without_persons", "info", message, empty)]
