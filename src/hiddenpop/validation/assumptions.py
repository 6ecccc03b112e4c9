"""What an estimator assumes, and whether it holds in a world."""

from hiddenpop.estimators.base import FOR_ALL, contract
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.synthetic import Scenario

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

SMALLEST_POPULATION, FEWEST_ON_TWO_LISTS = 2_000, 50.0
"""Above these the intervals, which are right in large samples, are held to their level."""


def assumptions_hold(estimator: Estimator, scenario: Scenario) -> bool:
    """Tell whether everything that an estimator assumes holds in a scenario.

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
    """Say in sentences what an estimator assumes and does not hold in a scenario.

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
    return contract(estimator).violated(scenario)


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
    needed = contract(estimator).facts.bounds_where
    return needed is not None and not scenario.unmet(*FOR_ALL, *needed)


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
