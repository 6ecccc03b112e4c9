"""Measures of performance, each with its Monte Carlo standard error: arrays in, numbers out."""

import math
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats

__all__ = [
    "MEASURES",
    "NOT_APPLICABLE",
    "STATUSES_WITH_INTERVAL",
    "Measure",
    "Outcomes",
    "given",
    "measures_of",
    "share",
]


NOT_APPLICABLE = "not_applicable"
"""Status of a replicate whose table the estimator has no means to treat."""

MEASURES: dict[str, str] = {
    "replicates": "replicates that the estimator could treat; all below are over these",
    "not_applicable": "share of all replicates whose table the estimator has no means to treat",
    "nominal": "level that the intervals claim",
    "finite": "share with a finite estimate",
    "bias": "mean of estimate minus truth, over finite estimates, in persons",
    "relative_bias": "bias divided by the truth",
    "median_error": "median of estimate minus truth, infinite estimates included, in persons",
    "empirical_se": "standard deviation of finite estimates, in persons",
    "rmse": "root mean squared error of finite estimates, in persons",
    "relative_rmse": "rmse divided by the truth",
    "coverage": "share whose interval holds the truth; a replicate without an interval does not",
    "coverage_of_intervals": "the same among replicates with an interval",
    "lower_miss": "share whose interval lies above the truth: the lower limit misses it",
    "upper_miss": "share whose interval lies below the truth: the upper limit misses it",
    "no_interval": "share without an interval",
    "unbounded_interval": "share whose interval has no upper end",
    "mean_width": "mean width of intervals with an upper end, in persons",
    "median_width": "median width of all intervals, in persons",
    "interval_score": "mean interval score of intervals with an upper end, in persons",
    "median_interval_score": "median interval score of all intervals, in persons",
    "ok": "share with status 'ok'",
    "boundary": "share with status 'boundary'",
    "unbounded": "share with status 'unbounded'",
    "not_identified": "share with status 'not_identified'",
    "not_converged": "share with status 'not_converged'",
    "inner_failures": "mean number of inner fits without a finite answer",
    "warned": "share in which the package warned",
}
"""Every measure of a study, with what it says; those below stand beside them for each status with an interval."""

STATUSES_WITH_INTERVAL = ("ok", "boundary", "unbounded")
_STATUSES = (*STATUSES_WITH_INTERVAL, "not_identified", "not_converged")

_GIVEN_STATUS = {
    "replicates": "replicates with status {0!r}",
    "coverage": "share of those with status {0!r} whose interval holds the truth; without an interval it does not",
    "lower_miss": "share of those with status {0!r} whose interval lies above the truth",
    "upper_miss": "share of those with status {0!r} whose interval lies below the truth",
    "no_interval": "share of those with status {0!r} without an interval",
    "median_width": "median width of the intervals of those with status {0!r}, in persons",
}


def given(measure: str, status: str) -> str:
    """Give the name of a measure among the replicates with one status.

    Examples
    --------
    >>> given("coverage", "boundary")
    'coverage_given_boundary'
    """
    return f"{measure}_given_{status}"


MEASURES |= {
    given(name, status): text.format(status)
    for status in STATUSES_WITH_INTERVAL
    for name, text in _GIVEN_STATUS.items()
}


class Measure(NamedTuple):
    """A measure of performance with its Monte Carlo standard error; nan where there is nothing to measure."""

    value: float
    mcse: float


NOTHING = Measure(math.nan, math.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What one estimator gave on the replicates of one scenario.

    Parameters
    ----------
    truth : float
        Persons in the population.
    level : float
        Nominal level of the intervals.
    n_hat, low, high : ndarray, shape (n,)
        Estimates and limits in persons; inf and nan as in `hiddenpop.Estimate`.
    has_interval : ndarray of bool, shape (n,)
    status : ndarray of str, shape (n,)
    n_failed, n_warnings : ndarray of int, shape (n,)

    Notes
    -----
    Only replicates that the estimator could treat.
    """

    truth: float
    level: float
    n_hat: Floats
    low: Floats
    high: Floats
    has_interval: Bools
    status: npt.NDArray[np.str_]
    n_failed: npt.NDArray[np.int64]
    n_warnings: npt.NDArray[np.int64]


def share(hits: Bools) -> Measure:
    """Share of hits, with its binomial standard error.

    Examples
    --------
    >>> share(np.array([True, True, True, False]))
    Measure(value=0.75, mcse=0.21650635094610965)
    """
    if not len(hits):
        return NOTHING
    p = float(hits.mean())
    return Measure(p, math.sqrt(p * (1.0 - p) / len(hits)))


def _mean(values: Floats) -> Measure:
    if not len(values):
        return NOTHING
    error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Measure(float(values.mean()), error)


def _spread(values: Floats) -> Measure:
    if len(values) < 2:
        return NOTHING
    deviation = float(values.std(ddof=1))
    return Measure(deviation, deviation / math.sqrt(2.0 * (len(values) - 1)))


def _root_mean_square(errors: Floats) -> Measure:
    """Root of the mean square; its standard error by the delta method."""
    square = _mean(errors**2)
    if not square.value > 0.0:
        return Measure(math.sqrt(square.value), square.mcse) if square.value == 0.0 else NOTHING
    root = math.sqrt(square.value)
    return Measure(root, square.mcse / (2.0 * root))


def median_of(values: Floats) -> Measure:
    """Median of values that may be infinite; its standard error is half the distance of the quantiles one error away.

    Examples
    --------
    >>> median_of(np.array([1.0, 2.0, np.inf])).value
    2.0
    """
    if not len(values):
        return NOTHING
    step = 0.5 / math.sqrt(len(values))
    at = [max(0.5 - step, 0.0), 0.5, min(0.5 + step, 1.0)]
    # Halfway between neighbours, not in proportion: infinity times 0 would be nan.
    low, middle, high = (
        np.quantile(values, at, method="lower") + np.quantile(values, at, method="higher")
    ) / 2.0
    error = (high - low) / 2.0 if math.isfinite(low) else math.nan
    return Measure(float(middle), float(error))


def _times(measure: Measure, factor: float) -> Measure:
    return Measure(measure.value * factor, measure.mcse * factor)


def interval_scores(low: Floats, high: Floats, truth: float, level: float) -> Floats:
    """Score intervals: the width, and ``2 / (1 - level)`` times the distance by which each misses the truth.

    Parameters
    ----------
    low, high : ndarray, shape (n,)
        Limits in persons.
    truth : float
        In persons.
    level : float
        Nominal level.

    Returns
    -------
    ndarray, shape (n,)
        In persons; smaller is better, inf for an interval without an upper end.

    References
    ----------
    Gneiting, T. and Raftery, A. E. (2007). Strictly proper scoring rules, prediction, and estimation. Journal of the
    American Statistical Association 102(477), 359-378. doi:10.1198/016214506000001437

    Examples
    --------
    >>> interval_scores(np.array([90.0, 110.0]), np.array([120.0, 120.0]), 100.0, 0.9).round(6).tolist()
    [30.0, 210.0]
    """
    weight = 2.0 / (1.0 - level)
    return (high - low) + weight * (np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0))


def measures_of(outcomes: Outcomes) -> dict[str, Measure]:
    """Measure the performance of one estimator in one scenario.

    Parameters
    ----------
    outcomes : Outcomes

    Returns
    -------
    dict of str to Measure
        Those of `MEASURES` but ``"not_applicable"``, in that order.

    References
    ----------
    Morris, T. P., White, I. R. and Crowther, M. J. (2019). Using simulation studies to evaluate statistical methods.
    Statistics in Medicine 38(11), 2074-2102. doi:10.1002/sim.8086
    """
    return {
        **_of_estimates(outcomes),
        **_of_intervals(outcomes),
        **_of_failures(outcomes),
        **_given_status(outcomes),
    }


def _of_estimates(o: Outcomes) -> dict[str, Measure]:
    finite = np.isfinite(o.n_hat)
    errors = o.n_hat[finite] - o.truth
    bias, rmse = _mean(errors), _root_mean_square(errors)
    return {
        "replicates": Measure(float(len(o.n_hat)), 0.0),
        "nominal": Measure(o.level, 0.0),
        "finite": share(finite),
        "bias": bias,
        "relative_bias": _times(bias, 1.0 / o.truth),
        "median_error": median_of(o.n_hat[~np.isnan(o.n_hat)] - o.truth),
        "empirical_se": _spread(errors),
        "rmse": rmse,
        "relative_rmse": _times(rmse, 1.0 / o.truth),
    }


def _of_intervals(o: Outcomes) -> dict[str, Measure]:
    there = o.has_interval
    below, above = there & (o.truth < o.low), there & (o.truth > o.high)
    covers = there & ~below & ~above
    bounded = there & np.isfinite(o.high)
    scores = interval_scores(o.low, o.high, o.truth, o.level)
    widths = o.high - o.low
    return {
        "coverage": share(covers),
        "coverage_of_intervals": share(covers[there]),
        "lower_miss": share(below),
        "upper_miss": share(above),
        "no_interval": share(~there),
        "unbounded_interval": share(there & ~bounded),
        "mean_width": _mean(widths[bounded]),
        "median_width": median_of(widths[there]),
        "interval_score": _mean(scores[bounded]),
        "median_interval_score": median_of(scores[there]),
    }


def _given_status(o: Outcomes) -> dict[str, Measure]:
    """Measure the intervals of the replicates of each status by themselves, so that none hides behind the others."""
    found: dict[str, Measure] = {}
    for status in STATUSES_WITH_INTERVAL:
        of_intervals = _of_intervals(_only(o, o.status == status))
        those = share(o.status == status)
        number = {"replicates": _times(those, float(len(o.status)))}
        found |= {given(name, status): (number | of_intervals)[name] for name in _GIVEN_STATUS}
    return found


def _only(o: Outcomes, chosen: Bools) -> Outcomes:
    return replace(
        o,
        **{
            field.name: getattr(o, field.name)[chosen]
            for field in fields(o)
            if isinstance(getattr(o, field.name), np.ndarray)
        },
    )


def _of_failures(o: Outcomes) -> dict[str, Measure]:
    return {
        **{status: share(o.status == status) for status in _STATUSES},
        "inner_failures": _mean(o.n_failed.astype(np.float64)),
        "warned": share(o.n_warnings > 0),
    }
