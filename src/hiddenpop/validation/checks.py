"""Whether estimators do what they claim where what they take for granted holds."""

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from hiddenpop.estimators.protocol import Estimator
from hiddenpop.synthetic import Scenario
from hiddenpop.validation.assumptions import assumptions_hold, is_well_fed
from hiddenpop.validation.record import KEYS, Study

__all__ = ["coverage_tolerance", "targeted_checks", "targets"]

ERRORS_ALLOWED, COVERAGE_ALLOWED = 3.0, 0.01
"""Coverage may differ from its level by so many Monte Carlo errors, and by so much that intervals right in large
samples may have left."""

BIAS_ALLOWED = 0.2
"""Bias in standard deviations of the estimate, beyond Monte Carlo error: at 0.2 it costs less than 1 % of coverage."""


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
    return [
        (world.name, label)
        for world in scenarios
        for label, estimator in estimators.items()
        if is_well_fed(world) and assumptions_hold(estimator, world)
    ]


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
    wide = study.wide().set_index(KEYS)
    rows = [(*pair, *check) for pair in pairs for check in _checks(wide.loc[[pair]].iloc[0])]
    frame = pd.DataFrame(rows, columns=[*KEYS, "check", "value", "aim", "tolerance"])
    return frame.assign(holds=(frame["value"] - frame["aim"]).abs() <= frame["tolerance"])


def _checks(row: "pd.Series[float]") -> list[tuple[str, float, float, float]]:
    nominal, n = float(row["nominal"]), float(row["replicates"])
    spread = float(row["empirical_se"])
    bias = float(row["bias"]) / spread if spread > 0.0 else math.copysign(math.inf, float(row["bias"]))
    return [
        ("coverage", float(row["coverage"]), nominal, coverage_tolerance(nominal, n)),
        ("bias", bias, 0.0, ERRORS_ALLOWED / math.sqrt(n) + BIAS_ALLOWED),
    ]
