"""What an estimator takes for granted, and whether it holds in a world."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hiddenpop.bayes.averaged import BayesianModelAveraging
from hiddenpop.bayes.decomposable import DecomposableAveraging
from hiddenpop.bayes.identifying import IdentifiedPosterior
from hiddenpop.bayes.latent_class import LatentClass
from hiddenpop.bayes.loglinear import BayesianLogLinear
from hiddenpop.bayes.pooled import PooledLogLinear
from hiddenpop.bayes.thresholded import ThresholdedLogLinear
from hiddenpop.errors import ModelError
from hiddenpop.estimators.averaged import AveragedLogLinear
from hiddenpop.estimators.bootstrapped import Bootstrapped
from hiddenpop.estimators.closed_population import ClosedPopulation
from hiddenpop.estimators.covariate_formula import CovariateModel
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.estimators.loglinear import LogLinear
from hiddenpop.estimators.lower_bound import ChaoLowerBound
from hiddenpop.estimators.protocol import Estimator, spec_of
from hiddenpop.estimators.sample_coverage import SampleCoverage
from hiddenpop.estimators.selected import SelectedLogLinear
from hiddenpop.estimators.selected_covariates import SelectedCovariateLogLinear
from hiddenpop.estimators.stratified import Stratified
from hiddenpop.estimators.two_lists import Chapman, LincolnPetersen
from hiddenpop.histories import project
from hiddenpop.model import HierarchicalModel
from hiddenpop.synthetic import ASSUMPTIONS, Group, Scenario, as_implied

__all__ = [
    "FEWEST_ON_TWO_LISTS",
    "SMALLEST_POPULATION",
    "Reasons",
    "assumptions_hold",
    "broken_assumptions",
    "is_lower_bound",
    "is_well_fed",
]

Reasons = tuple[str, ...]

FOR_ALL = ("closed", "linked", "in_scope", "operating")
SMALLEST_POPULATION, FEWEST_ON_TWO_LISTS = 2_000, 50.0
"""Above these the intervals, which are right in large samples, are held to their level."""

NO_MODEL = "no log-linear model without the interaction of all lists holds"

NOT_WITHIN = "the lists are not independent within strata"
POSTERIOR = "posterior intervals keep their level on average over the prior only"

ROUNDING = 1e-9
"""Log odds ratio of a pair of lists that counts as 0: cell probabilities carry rounding of about 1e-15."""


@dataclass(frozen=True, slots=True)
class _Never:
    """An estimator that chooses among models: its coverage is reported and never held to its level."""

    why: str

    def __call__(self, estimator: Any, world: Scenario) -> Reasons:
        return (*(() if _has_model(world) else (NO_MODEL,)), self.why)


def assumptions_hold(estimator: Estimator, scenario: Scenario) -> bool:
    """Tell whether everything that an estimator takes for granted holds in a scenario.

    Parameters
    ----------
    estimator : Estimator
    scenario : Scenario

    Returns
    -------
    bool
        False also for an estimator that chooses among models, or of which nothing is known: its coverage is reported
        and not held to its level.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.synthetic import scenario
    >>> [assumptions_hold(e, scenario("independent-three")) for e in (hp.LogLinear(), hp.SelectedLogLinear())]
    [True, False]
    """
    return not broken_assumptions(estimator, scenario)


def broken_assumptions(estimator: Estimator, scenario: Scenario) -> Reasons:
    """Say in sentences what an estimator takes for granted and does not hold in a scenario.

    Parameters
    ----------
    estimator : Estimator
    scenario : Scenario

    Returns
    -------
    tuple of str
        Empty where all holds.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.synthetic import scenario
    >>> broken_assumptions(hp.ChaoLowerBound(list_effects=False), scenario("independent-three"))
    ('Not so here: Every list catches the same share of the population.',)
    """
    rule = _RULES.get(type(estimator))
    if rule is None:
        return (f"nothing is known of what {spec_of(estimator).name} takes for granted",)
    return _missing(scenario, *FOR_ALL) + rule(estimator, scenario)


def is_lower_bound(estimator: Estimator, scenario: Scenario) -> bool:
    """Tell whether theory makes an estimator a lower bound for the population of a scenario.

    Parameters
    ----------
    estimator : Estimator
    scenario : Scenario

    Returns
    -------
    bool

    Notes
    -----
    With list effects: one propensity common to the lists on the logit scale (Rivest & Baillargeon 2007). Without: equal
    lists besides.
    """
    if not isinstance(estimator, ChaoLowerBound):
        return False
    needed = ("rasch",) if estimator.list_effects else ("rasch", "equal_lists")
    return not _missing(scenario, *FOR_ALL, *needed)


def is_well_fed(scenario: Scenario) -> bool:
    """Tell whether a scenario has so many persons that intervals which are right in large samples should be right.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    bool
        At least 2,000 persons, and at least 50 expected on every pair of lists.
    """
    return scenario.truth >= SMALLEST_POPULATION and scenario.expected_overlap() >= FEWEST_ON_TWO_LISTS


def _missing(world: Scenario, *needed: str) -> Reasons:
    return tuple(f"Not so here: {ASSUMPTIONS[name]}" for name in needed if name not in world.assumptions)


def _has_model(world: Scenario) -> bool:
    return world.model is not None or "independent" in world.assumptions


def _model_holds(estimator: LogLinear, world: Scenario) -> Reasons:
    """Compare the model with the one that holds: every term of the true one must be in it."""
    try:
        model = _parsed(estimator.model, world)
    except ModelError as error:
        return (str(error),)
    if model.is_saturated:
        return (
            f"the model {model} holds the interaction of all lists, so the data do not determine the dark figure",
        )
    if "independent" in world.assumptions:
        return ()
    if world.model is None:
        return (NO_MODEL,)
    lacking = set(_parsed(world.model, world).terms) - set(model.terms)
    return (f"the model {model} lacks terms of {world.model}, which holds",) if lacking else ()


def _parsed(model: str | HierarchicalModel, world: Scenario) -> HierarchicalModel:
    if isinstance(model, HierarchicalModel):
        if model.n_lists != len(world.lists):
            raise ModelError(
                f"the model {model} is for {model.n_lists} lists, and there are {len(world.lists)}"
            )
        return model
    return HierarchicalModel.parse(model, lists=world.lists)


def _pair_is_independent(estimator: LincolnPetersen | Chapman, world: Scenario) -> Reasons:
    pair = estimator.lists or world.lists
    if len(pair) != 2 or not set(pair) <= set(world.lists):
        return (f"lists={estimator.lists!r} names no pair of {', '.join(world.lists)}",)
    at = [world.lists.index(name) for name in pair]
    cells = np.asarray(world.cell_probabilities(), dtype=np.float64)
    neither, first, second, both = np.bincount(project(np.arange(len(cells)), at), weights=cells, minlength=4)
    if min(neither, first, second, both) > 0.0 and abs(np.log(neither * both / first / second)) < ROUNDING:
        return ()
    return (f"being on {pair[0]} and being on {pair[1]} depend on each other",)


def _sample_coverage(estimator: SampleCoverage, world: Scenario) -> Reasons:
    if len(world.lists) < 3 and estimator.variant != "independent":
        return (f"two lists cannot show the dependence that variant {estimator.variant!r} estimates",)
    return _missing(world, "independent")


def _lower_bound(estimator: ChaoLowerBound, world: Scenario) -> Reasons:
    return _missing(world, "independent", *(() if estimator.list_effects else ("homogeneous", "equal_lists")))


def _closed_population(estimator: ClosedPopulation, world: Scenario) -> Reasons:
    """Each model of the family holds for independent lists, its further terms then being 0."""
    if estimator.column in ("poisson", "darroch", "gamma") and len(world.lists) < 3:
        return (f"two lists cannot show the heterogeneity that model {estimator.model} estimates",)
    equal = () if estimator.model in ("Mt", "Mth") else ("equal_lists",)
    return _missing(world, "independent", *equal)


def _strata_apart(estimator: Stratified, world: Scenario) -> Reasons:
    """Ask of every stratum what the base takes for granted; and the strata have to be known."""
    reasons = dict.fromkeys(
        reason for part in _parts(world, estimator.by) for reason in broken_assumptions(estimator.base, part)
    )
    return (*(_missing(world, "known_strata") if world.groups[0].strata else ()), *reasons)


def _parts(world: Scenario, by: tuple[str, ...]) -> list[Scenario]:
    """Give a world for each stratum, before distortions."""
    parts: dict[tuple[str, ...], list[Group]] = {}
    for group in world.groups:
        levels = tuple(level for name, level in group.strata if not by or name in by)
        if group.size:
            parts.setdefault(levels, []).append(group)
    return [as_implied(replace(world, groups=tuple(groups), distortions=())) for groups in parts.values()]


def _lists_and_covariates(estimator: CovariateLogLinear, world: Scenario) -> Reasons:
    """Every list has to depend on all covariates together, where they are independent within strata."""
    covariates = [name for name, _ in world.groups[0].strata]
    model = CovariateModel.parse(estimator.model, lists=world.lists, covariates=covariates)
    whole = [name for name in model.factors if name in covariates]
    needed = [sum(1 << model.factors.index(name) for name in (one, *whole)) for one in model.lists]
    if len(whole) < len(covariates) or any(term not in model.terms for term in needed):
        return ("lists that do not depend on all covariates together are not looked into",)
    independent = all("independent" in part.assumptions for part in _parts(world, ()))
    return _missing(world, "known_strata") + (() if independent else (NOT_WITHIN,))


_RULES: dict[type, Callable[[Any, Scenario], Reasons]] = {
    LogLinear: _model_holds,
    LincolnPetersen: _pair_is_independent,
    Chapman: _pair_is_independent,
    SampleCoverage: _sample_coverage,
    ChaoLowerBound: _lower_bound,
    ClosedPopulation: _closed_population,
    SelectedLogLinear: _Never("the interval takes a model that was chosen on the same data as known"),
    AveragedLogLinear: _Never("weights of models are no probabilities that could be held to a level"),
    DecomposableAveraging: _Never(POSTERIOR),
    IdentifiedPosterior: _Never(POSTERIOR),
    BayesianLogLinear: _Never(POSTERIOR),
    BayesianModelAveraging: _Never(POSTERIOR),
    LatentClass: _Never(POSTERIOR),
    PooledLogLinear: _Never(POSTERIOR),
    Stratified: _strata_apart,
    CovariateLogLinear: _lists_and_covariates,
    SelectedCovariateLogLinear: _Never(
        "the interval takes a model that was chosen on the same data as known"
    ),
    ThresholdedLogLinear: _Never(
        "the interval takes interactions that were chosen on the same data as known"
    ),
    Bootstrapped: _Never("the limits are right in large samples and with many resamples only"),
}
