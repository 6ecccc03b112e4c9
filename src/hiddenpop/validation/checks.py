"""Whether estimators do what they claim where what they assume holds."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from hiddenpop.estimators.protocol import Estimator
from hiddenpop.synthetic import Scenario
from hiddenpop.validation.assumptions import assumptions_hold, is_well_fed
from hiddenpop.validation.measures import STATUSES_WITH_INTERVAL, given
from hiddenpop.validation.record import KEYS, Study

__all__ = [
    "LEAST_SHARE",
    "aim_given_status",
    "coverage_tolerance",
    "is_judged",
    "keeps_given_status",
    "status_checks",
    "status_targets",
    "targeted_checks",
    "targets",
]

Check = tuple[str, float, float, float]
"""Name, value, aim and tolerance."""

ERRORS_ALLOWED, COVERAGE_ALLOWED = 3.0, 0.01
"""Coverage may differ from its level by so many Monte Carlo errors, and by so much that intervals right in large
samples may have left."""

BIAS_ALLOWED = 0.2
"""Bias in standard deviations of the estimate, beyond Monte Carlo error: at 0.2 it costs less than 1 % of coverage."""

LEAST_SHARE, LESS_GIVEN_STATUS = 0.1, 0.05
"""A status that at least a tenth of the tables have is judged by itself. Its intervals may miss more often than all do
together, by so much: a status is known only when the table is, and an interval keeps its level over all tables."""


def coverage_tolerance(nominal: float, n: float) -> float:
    """How far the coverage of n replicates may be from its level: 3 Monte Carlo errors at that level, and 0.01.

    Examples
    --------
    >>> round(coverage_tolerance(0.95, 1000), 4)
    0.0307
    """
    return ERRORS_ALLOWED * math.sqrt(nominal * (1.0 - nominal) / n) + COVERAGE_ALLOWED


def targets(estimators: Mapping[str, Estimator], scenarios: Iterable[Scenario]) -> list[tuple[str, str]]:
    """Name the pairs of scenario and label in which an estimator is held to its level.

    Parameters
    ----------
    estimators : mapping
        By label.
    scenarios : iterable of Scenario

    Returns
    -------
    list of (str, str)
        Where all assumptions hold, N is at least 2,000 and at least 50 are expected on every pair of lists.
    """
    return status_targets(estimators, [world for world in scenarios if is_well_fed(world)])


def status_targets(
    estimators: Mapping[str, Estimator], scenarios: Iterable[Scenario]
) -> list[tuple[str, str]]:
    """Name the pairs of scenario and label in which the intervals of every status are judged by themselves.

    Parameters
    ----------
    estimators : mapping
        By label.
    scenarios : iterable of Scenario

    Returns
    -------
    list of (str, str)
        Where all assumptions hold, however few persons there are: it is few persons that make a status.
    """
    return [
        (world.name, label)
        for world in scenarios
        for label, estimator in estimators.items()
        if assumptions_hold(estimator, world)
    ]


def aim_given_status(nominal: float) -> float:
    """Coverage that the intervals of one status are held to.

    Examples
    --------
    >>> round(aim_given_status(0.95), 2)
    0.9
    """
    return nominal - LESS_GIVEN_STATUS


def is_judged(measures: Mapping[Any, float], status: str) -> bool:
    """Tell whether so many tables have a status that its intervals are judged by themselves."""
    n = measures[given("replicates", status)]
    return n >= LEAST_SHARE * measures["replicates"] and n > 0.0


def keeps_given_status(measures: Mapping[Any, float], status: str) -> bool:
    """Tell whether the intervals of one status miss no more often than they may; no interval is no miss."""
    _, value, aim, tolerance = _given_status(measures, status)
    return value >= aim - tolerance


def status_checks(study: Study, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Hold the intervals of each status to a level of their own, so that none hides behind the others.

    Parameters
    ----------
    study : Study
    pairs : iterable of (str, str)
        Scenario and label.

    Returns
    -------
    DataFrame
        One row per pair and status that at least a tenth of its tables have: ``check`` is, say, "coverage given
        boundary", ``value`` the share of its replicates whose interval does not miss, ``aim`` 0.05 below the level,
        ``tolerance`` as for coverage, and ``holds`` whether `value` is not below `aim` by more.
    """
    frame = _frame_of_checks(study, pairs, _checks_given_status)
    return frame.assign(holds=frame["value"] >= frame["aim"] - frame["tolerance"])


def _checks_given_status(measures: Mapping[Any, float]) -> list[Check]:
    return [
        _given_status(measures, status) for status in STATUSES_WITH_INTERVAL if is_judged(measures, status)
    ]


def _given_status(measures: Mapping[Any, float], status: str) -> Check:
    aim, n = aim_given_status(measures["nominal"]), measures[given("replicates", status)]
    missed = measures[given("lower_miss", status)] + measures[given("upper_miss", status)]
    return f"coverage given {status}", 1.0 - missed, aim, coverage_tolerance(aim, n)


def targeted_checks(study: Study, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Hold estimators to their level, and their bias to a fifth of their standard deviation.

    Parameters
    ----------
    study : Study
    pairs : iterable of (str, str)
        Scenario and label.

    Returns
    -------
    DataFrame
        Two rows a pair, ``check`` "coverage" and "bias" (in standard deviations of the estimate), with ``value``,
        ``aim``, ``tolerance`` and ``holds``.
    """
    frame = _frame_of_checks(study, pairs, _checks)
    return frame.assign(holds=(frame["value"] - frame["aim"]).abs() <= frame["tolerance"])


def _checks(measures: Mapping[Any, float]) -> list[Check]:
    nominal, n = measures["nominal"], measures["replicates"]
    spread = measures["empirical_se"]
    bias = measures["bias"] / spread if spread > 0.0 else math.copysign(math.inf, measures["bias"])
    return [
        ("coverage", measures["coverage"], nominal, coverage_tolerance(nominal, n)),
        ("bias", bias, 0.0, ERRORS_ALLOWED / math.sqrt(n) + BIAS_ALLOWED),
    ]


def _frame_of_checks(
    study: Study, pairs: Iterable[tuple[str, str]], checks: Callable[[Mapping[Any, float]], list[Check]]
) -> pd.DataFrame:
    """Check the measures of every pair of scenario and label, one row per check."""
    wide = study.wide().set_index(KEYS)
    rows = [(*pair, *check) for pair in pairs for check in checks(wide.loc[[pair]].iloc[0].to_dict())]
    return pd.DataFrame(rows, columns=[*KEYS, "check", "value", "aim", "tolerance"])
