"""`PooledLogLinear`: many small strata that borrow from each other."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hiddenpop._cells import level_text
from hiddenpop._front_door import front_doors
from hiddenpop.bayes.convergence import convergence
from hiddenpop.bayes.loglinear_model import Steps
from hiddenpop.bayes.outcome import estimate_without_draws, sampled_estimate
from hiddenpop.bayes.pooled_design import Plan, PooledDesign, pooled_design
from hiddenpop.bayes.pooled_details import (
    PROTECTED,
    Posterior,
    details_of,
    diagnostics_of,
    faults_of,
    posterior_of,
    prior_sets_the_answer,
    strata_frame,
)
from hiddenpop.bayes.pooled_draws import draw_sizes
from hiddenpop.bayes.pooled_model import PooledPrior, draw_chains, refuse_memory
from hiddenpop.bayes.priors import check_between, sd_of_odds_ratio
from hiddenpop.bayes.sampling import BACKENDS, SAMPLER_PACKAGES, Backend
from hiddenpop.errors import SettingError
from hiddenpop.estimators.base import POSTERIOR, BaseEstimator, Change, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.protocol import as_number, check_choice, check_level, check_whole
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Estimate
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
    setting: PooledLogLinear, table: CaptureTable, posterior: Posterior, provenance: Mapping[str, Any]
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
