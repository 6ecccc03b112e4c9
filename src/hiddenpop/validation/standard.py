"""The standard validation: every registered estimator in every scenario of the library."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hiddenpop.bayes.averaged import BayesianModelAveraging
from hiddenpop.bayes.decomposable import DecomposableAveraging
from hiddenpop.bayes.identifying import IdentifiedPosterior
from hiddenpop.bayes.latent_class import LatentClass
from hiddenpop.bayes.loglinear import BayesianLogLinear
from hiddenpop.bayes.pooled import PooledLogLinear
from hiddenpop.bayes.thresholded import ThresholdedLogLinear
from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.averaged import AveragedLogLinear
from hiddenpop.estimators.bootstrapped import Bootstrapped
from hiddenpop.estimators.closed_population import ClosedPopulation
from hiddenpop.estimators.covariate_formula import quoted
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.estimators.loglinear import LogLinear
from hiddenpop.estimators.lower_bound import ChaoLowerBound
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.sample_coverage import SampleCoverage
from hiddenpop.estimators.selected import SelectedLogLinear
from hiddenpop.estimators.selected_covariates import SelectedCovariateLogLinear
from hiddenpop.estimators.stratified import Stratified
from hiddenpop.estimators.two_lists import Chapman, LincolnPetersen
from hiddenpop.synthetic import LIBRARY, Scenario
from hiddenpop.validation.plan import Contestant, make_plan
from hiddenpop.validation.record import Study, join_studies
from hiddenpop.validation.studies import study

__all__ = ["STANDARD", "STANDARD_SEED", "Part", "StandardRun", "largest_pair", "run_standard", "true_model"]

STANDARD_SEED = 20260117
"""The seed is part of what makes the validation a standard; another one shows how much is chance."""

MOST_LISTS, MOST_LISTS_BY_BIC = 5, 6
"""Over more lists a search of all models takes too long to be repeated a thousand times; by BIC it is quicker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Estimators that are studied with the same number of replicates.

    Attributes
    ----------
    name : str
    estimators : mapping
        By label; see `hiddenpop.validation.study`.
    n_rep, quick : int
        Replicates of each scenario, in full and in the quick form.
    scenarios : tuple of str
        All of the library by default.
    """

    name: str
    estimators: Mapping[str, Contestant]
    n_rep: int
    quick: int
    scenarios: tuple[str, ...] = ()

    def worlds(self) -> list[Scenario]:
        """Give the scenarios."""
        return [LIBRARY[name] for name in self.scenarios or LIBRARY]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardRun:
    """What the standard validation gave.

    Attributes
    ----------
    study : Study
    estimators : dict
        The estimator of each scenario and label, None where there is none.
    quick : bool
    seed : int
    """

    study: Study
    estimators: dict[tuple[str, str], Estimator | None] = field(repr=False)
    quick: bool
    seed: int


def true_model(scenario: Scenario) -> Estimator:
    """Give the log-linear estimator of the model that holds.

    Raises
    ------
    CapabilityError
        If none holds.
    """
    if scenario.model is None:
        raise CapabilityError(
            "no log-linear model without the interaction of all lists holds in this scenario"
        )
    return LogLinear(model=scenario.model)


def largest_pair(kind: type[LincolnPetersen] | type[Chapman]) -> Callable[[Scenario], Estimator]:
    """Give a function that takes the two lists with the largest expected overlap.

    Examples
    --------
    >>> from hiddenpop.synthetic import scenario
    >>> largest_pair(Chapman)(scenario("independent-three")).lists
    ('police', 'shelter')
    """

    def choose(scenario: Scenario) -> Estimator:
        first, second = np.triu_indices(len(scenario.lists), k=1)
        best = int(scenario.expected_overlaps().to_numpy()[first, second].argmax())
        return kind(lists=(scenario.lists[first[best]], scenario.lists[second[best]]))

    return choose


def lists_by_strata(scenario: Scenario) -> Estimator:
    """Let every list depend on all covariates together, and not on other lists.

    Examples
    --------
    >>> from hiddenpop.synthetic import scenario
    >>> lists_by_strata(scenario("regions-three")).model
    '(police + shelter + coordinator) * region'
    """
    covariates = [name for name, _ in scenario.groups[0].strata]
    lists = " + ".join(map(quoted, scenario.lists))
    return CovariateLogLinear(
        model=" * ".join([f"({lists})", *map(quoted, covariates)]), n_boot=FEWEST_REPLICATES
    )


def _searched(estimator: Estimator, most_lists: int = MOST_LISTS) -> Callable[[Scenario], Estimator]:
    """Leave out scenarios with too many lists to search all models a thousand times."""

    def choose(scenario: Scenario) -> Estimator:
        if len(scenario.lists) > most_lists:
            raise CapabilityError(
                f"a search of all models of {len(scenario.lists)} lists takes too long to be repeated here"
            )
        return estimator

    return choose


BEST = SelectedLogLinear(search="exact")

SIX_WORLDS = (
    "independent-four",
    "one-pair-three",
    "two-pairs-four",
    "like-kosovo",
    "rasch-three",
    "tiny-overlaps-three",
)
"""Where posteriors are looked at, which take longer: sound worlds, dependence, heterogeneity, few overlaps."""

WITH_STRATA = (
    "regions-three",
    "by-sex-four",
    "sex-and-age-three",
    "years-four",
    "gap-region-three",
    "gap-years-four",
    "missing-by-list-three",
)
"""Where there are covariates: lists that see some more than others, that start late, that do not tell the age."""

FEWEST_REPLICATES = 200
"""Resamples or replicates of a bootstrap, the fewest that a level of 95 % allows."""

STANDARD: tuple[Part, ...] = (
    Part(
        name="single",
        n_rep=1000,
        quick=40,
        estimators={
            "true model": true_model,
            "independence": LogLinear(),
            "all pairs": LogLinear(model="all-pairs"),
            "best BIC model": _searched(BEST, MOST_LISTS_BY_BIC),
            "best AIC model": _searched(SelectedLogLinear(criterion="aic", search="exact")),
            "stepwise": SelectedLogLinear(search="stepwise_p"),
            "model-averaged": _searched(AveragedLogLinear(search="exact")),
            "lower bound": ChaoLowerBound(),
            "Chao, closed form": ChaoLowerBound(list_effects=False),
            "sample coverage, high": SampleCoverage(n_boot=FEWEST_REPLICATES),
            "sample coverage, low": SampleCoverage(variant="low", n_boot=FEWEST_REPLICATES),
            "Lincoln-Petersen, pair of largest overlap": largest_pair(LincolnPetersen),
            "Chapman, pair of largest overlap": largest_pair(Chapman),
            "Darroch heterogeneity": ClosedPopulation(model="Mth", heterogeneity="darroch"),
            "Poisson heterogeneity": ClosedPopulation(model="Mth", heterogeneity="poisson"),
            "behaviour": ClosedPopulation(model="Mb"),
        },
    ),
    Part(
        name="posterior",
        n_rep=100,
        quick=8,
        scenarios=SIX_WORLDS,
        estimators={
            "average over decomposable graphs": DecomposableAveraging(n_draws=0),
            "no highest-order interaction": IdentifiedPosterior(),
            "average by marginal likelihood": BayesianModelAveraging(),
            "all pairs, normal priors": BayesianLogLinear(n_draws=500, n_tune=500),
            "all pairs, horseshoe": BayesianLogLinear(prior_family="horseshoe", n_draws=500, n_tune=500),
            "pairs that stand out": ThresholdedLogLinear(n_draws=1000),
            "latent classes": LatentClass(n_draws=1000, n_sweeps=1),
        },
    ),
    Part(
        name="strata",
        n_rep=100,
        quick=4,
        scenarios=WITH_STRATA,
        estimators={
            "independence in every stratum": Stratified(base=LogLinear()),
            "best BIC model in every stratum": Stratified(base=BEST),
            "lists by strata": lists_by_strata,
            "lists and covariates, stepwise": SelectedCovariateLogLinear(n_boot=FEWEST_REPLICATES),
        },
    ),
    Part(
        name="pooled",
        n_rep=20,
        quick=2,
        scenarios=("sex-and-age-three", "years-four", "gap-years-four"),
        estimators={"strata that borrow": PooledLogLinear(n_draws=1000)},
    ),
    Part(
        name="bootstrap",
        n_rep=200,
        quick=8,
        estimators={
            "best BIC model, percentile bootstrap": _searched(
                Bootstrapped(base=BEST, n_boot=FEWEST_REPLICATES, interval="percentile")
            ),
            "best BIC model, BCa bootstrap": _searched(
                Bootstrapped(base=BEST, n_boot=FEWEST_REPLICATES, scheme="multinomial", interval="bca")
            ),
        },
    ),
)
"""What is run: 1,000 replicates of single fits, 100 of posteriors in six scenarios, with chains that are shorter than
by default, 100 of estimators that model strata where there are some, 20 of strata that borrow where there are four or
five of them, and 200 of bootstraps, each of 200 resamples."""


def run_standard(
    *,
    quick: bool = False,
    rng: int = STANDARD_SEED,
    workers: int | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> StandardRun:
    """Run the standard validation.

    Parameters
    ----------
    quick : bool
        With so few replicates that it takes minutes and shows gross faults only.
    rng : int
        Seed.
    workers : int, optional
        As for `hiddenpop.parallel`.
    store : path, optional
        Folder that keeps finished blocks, so that an interrupted run goes on.
    progress : bool, optional

    Returns
    -------
    StandardRun
    """
    studies, chosen = [], {}
    for part in STANDARD:
        n_rep, worlds = part.quick if quick else part.n_rep, part.worlds()
        plan = make_plan(part.estimators, worlds, n_rep=n_rep, rng=rng)
        chosen.update({pair: estimator for pair, (estimator, _) in plan.entries.items()})
        out = None if store is None else Path(store) / part.name
        studies.append(
            study(part.estimators, worlds, n_rep=n_rep, rng=rng, workers=workers, out=out, progress=progress)
        )
    return StandardRun(study=join_studies(studies), estimators=chosen, quick=quick, seed=rng)
