"""`SampleCoverage`: the sample coverage approach to dependent lists (Chao & Tsay 1998)."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.outcome import limits_from_variance
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.protocol import check_choice, check_level, spec_of
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval, Status
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["CoverageSummary", "SampleCoverage", "coverage_summary"]

Floats = npt.NDArray[np.float64]

VARIANTS = ("high", "low", "independent")
LOW_COVERAGE = 0.55
"""Chao & Tsay: below this the high-coverage form is too unsteady to be used."""

ROUNDING = 1e-9
"""Differences of quantities of order 1 (or n) that are 0 but for rounding."""

COMPLEX_STEP = 1e-30
NO_INTERVAL = "none: from the number observed to infinity"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCoverage:
    """Size of a population from lists that may depend on each other, by the share of it that the lists cover.

    The estimand is ``N = D / C`` times a correction for dependence of pairs of lists, with ``C`` the sample coverage
    (the mean over lists of the share of its persons who are on another list too) and ``D`` the mean number of persons
    in the table left when a list is left out.

    Parameters
    ----------
    variant : {"high", "low", "independent"}
        ``"high"`` (default) estimates the dependence of each pair of lists and is meant for high coverage; ``"low"`` is
        the one-step form for low coverage, which leaves bias behind for the sake of a smaller variance;
        ``"independent"`` is ``D / C``. All three stand in ``details``.
    level : float
        Confidence level.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    Dependence is measured by coefficients of covariation of pairs and of higher order; only the pairs are estimated,
    the rest is left out. When the coverage is at most 0.55 a diagnostic recommends ``"low"``; the variant is never
    changed in silence. The interval is log-normal with the delta-method variance under multinomial sampling,
    ``var = sum g_w^2 n_w - (sum g_w n_w)^2 / N``, g the gradient by complex step.

    References
    ----------
    Chao, A. and Tsay, P. K. (1998). A sample coverage approach to multiple-system estimation with application to census
    undercount. JASA 93(441), 283-293. doi:10.1080/01621459.1998.10474109
    Chao, A., Tsay, P. K., Lin, S.-H., Shau, W.-Y. and Chao, D.-Y. (2001). The applications of capture-recapture models
    to epidemiological data. Statistics in Medicine 20(20), 3123-3157. doi:10.1002/sim.996

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = SampleCoverage(variant="low").fit(hp.datasets.load("hepatitis_a_taiwan"))
    >>> round(estimate.n_hat, 1), round(estimate.details["sample_coverage"], 4)
    (507.8, 0.5127)
    """

    name: ClassVar[str] = "sample_coverage"

    variant: Literal["high", "low", "independent"] = "high"
    level: float = 0.95

    def __post_init__(self) -> None:
        check_choice("variant", self.variant, VARIANTS)
        check_level(self.level)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Estimate the population size behind `table`.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None
            Not used; recorded in the provenance.

        Returns
        -------
        Estimate

        Raises
        ------
        CapabilityError
            If the table has gaps in coverage, censored cells, fewer than two lists that caught somebody, or fewer than
            three for a variant that estimates dependence.
        """
        data = list_counts(table, estimator=self.name)
        if data.n_lists < 3 and self.variant != "independent":
            raise CapabilityError(
                f"{table.name} has two lists that caught somebody, which cannot show whether they depend on each "
                f"other; take variant='independent' or a third list"
            )
        summary = coverage_summary(data.counts, data.n_lists)
        status, reason, n_hat = _judge(summary, self.variant)
        limits, error = _interval(summary, self.variant, status, n_hat, self.level)
        return Estimate(
            n_hat=n_hat,
            n_observed=data.n_observed,
            interval=limits,
            status=status,
            reason=reason,
            estimator=spec_of(self),
            table=table.summary,
            diagnostics=(*data.diagnostics, *_diagnostics(summary, self.variant)),
            provenance=make_provenance(table.summary, rng),
            details=_details(data, summary, error),
            protected=("sample_coverage", "by_variant") if data.has_small else (),
        )


@dataclass(frozen=True, slots=True)
class CoverageSummary:
    """What the sample coverage approach takes from a table.

    Attributes
    ----------
    counts : ndarray, shape (m,)
        The positive counts.
    weights : ndarray, shape (q, m)
        The linear maps from counts to `statistics`.
    statistics : ndarray, shape (q,)
        Persons in all; per list those on it alone, then those on it; per pair ``A``, then those on both, where ``A``
        counts those on exactly one list of the pair and no other once, and those on exactly the pair twice.
    n_lists : int
    """

    counts: Floats
    weights: Floats
    statistics: Floats
    n_lists: int

    @property
    def n(self) -> float:
        """Persons observed."""
        return float(self.statistics[0])

    @property
    def coverage(self) -> float:
        """Sample coverage C."""
        return float(_parts(self.statistics, self.n_lists).coverage.real)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Named pieces of the statistics, real or complex."""

    t: int
    mean_left: Any
    coverage: Any
    pair_counts: Any
    pair_ratios: Any


def coverage_summary(counts: Floats, n_lists: int) -> CoverageSummary:
    """Take the statistics of the sample coverage approach from counts by history.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Element 0 is not used; every list has caught somebody.
    n_lists : int

    Returns
    -------
    CoverageSummary

    Examples
    --------
    >>> summary = coverage_summary(np.array([0.0, 30.0, 20.0, 10.0]), 2)
    >>> round(summary.coverage, 6)
    0.291667
    """
    histories = np.flatnonzero(np.arange(len(counts)) * counts)
    counts = counts[histories]
    masks = [1 << i for i in range(n_lists)]
    pairs = [a | b for a, b in itertools.combinations(masks, 2)]
    single = [histories == mask for mask in masks]
    alone = {mask: rows.astype(np.float64) for mask, rows in zip(masks, single, strict=True)}
    two = [alone[p & -p] + alone[p ^ (p & -p)] + 2.0 * (histories == p) for p in pairs]
    weights = np.vstack([
        np.ones(len(histories)),
        *single,
        *((histories & mask) > 0 for mask in masks),
        *two,
        *((histories & pair) == pair for pair in pairs),
    ]).astype(np.float64)  # fmt: skip
    return CoverageSummary(counts, weights, weights @ counts, n_lists)


def _parts(statistics: "npt.NDArray[Any]", t: int) -> _Parts:
    n_pairs = t * (t - 1) // 2
    alone, totals = statistics[1 : 1 + t], statistics[1 + t : 1 + 2 * t]
    pair_counts, both = np.split(statistics[1 + 2 * t :], [n_pairs])
    first, second = np.triu_indices(t, k=1)
    ratios = both / totals[first] / totals[second]
    # The shares are of persons who are on another list too, so that no overlap gives a coverage of exactly 0.
    coverage = ((totals - alone) / totals).mean()
    return _Parts(t, statistics[0] - alone.mean(), coverage, pair_counts, ratios)


def _independent(statistics: "npt.NDArray[Any]", t: int) -> Any:
    parts = _parts(statistics, t)
    return parts.mean_left / parts.coverage


def _high(statistics: "npt.NDArray[Any]", t: int) -> Any:
    parts = _parts(statistics, t)
    return _high_numerator(parts) / _high_denominator(parts)


def _high_numerator(parts: _Parts) -> Any:
    return parts.t * parts.mean_left - parts.pair_counts.sum()


def _high_denominator(parts: _Parts) -> Any:
    return parts.t * parts.coverage - (parts.pair_counts * parts.pair_ratios).sum()


def _low(statistics: "npt.NDArray[Any]", t: int) -> Any:
    parts = _parts(statistics, t)
    start = parts.mean_left / parts.coverage
    weights = parts.pair_counts / (t * parts.coverage)
    once = start + (weights * (start * parts.pair_ratios - 1.0)).sum()
    return start + (weights * (parts.pair_ratios * once - 1.0)).sum()


FORMULAS: dict[str, Callable[["npt.NDArray[Any]", int], Any]] = {
    "high": _high,
    "low": _low,
    "independent": _independent,
}


def _judge(summary: CoverageSummary, variant: str) -> tuple[Status, str, float]:
    """Status, reason and estimate; a formula that breaks down never gives a number."""
    n, parts = summary.n, _parts(summary.statistics, summary.n_lists)
    if parts.coverage <= ROUNDING**2:
        return (
            "unbounded",
            "nobody is on more than one list: the sample coverage is 0 and N = D / C has no limit",
            math.inf,
        )
    if variant == "high":
        refused = _judge_high(parts, n)
        if refused is not None:
            return refused
    n_hat = float(FORMULAS[variant](summary.statistics, summary.n_lists))
    if n_hat <= n * (1.0 + ROUNDING):
        return "boundary", f"the formula gives {n_hat:,.1f}, no more than the {n:,.0f} observed", n
    return "ok", "", n_hat


def _judge_high(parts: _Parts, n: float) -> tuple[Status, str, float] | None:
    """Refuse the high-coverage form where its numerator or its denominator is not positive."""
    numerator, denominator = float(_high_numerator(parts)), float(_high_denominator(parts))
    if numerator > ROUNDING * n and denominator <= ROUNDING:
        return (
            "unbounded",
            f"the high-coverage form divides by {denominator:.3g}, which must be positive: the coverage of "
            f"{parts.coverage:.2f} is too low for the dependence that the pairs show; see variant 'low'",
            math.inf,
        )
    if denominator <= ROUNDING:
        return "not_identified", "numerator and denominator of the high-coverage form both vanish", math.nan
    if numerator <= ROUNDING * n:
        return (
            "boundary",
            "the numerator of the high-coverage form is not positive: it gives fewer than were observed",
            n,
        )
    return None


def _gradient(summary: CoverageSummary, variant: str) -> Floats:
    """Gradient of the estimate with respect to the count of each history, by complex step."""
    by_statistic = np.empty(len(summary.statistics))
    for j in range(len(summary.statistics)):
        shifted = summary.statistics.astype(np.complex128)
        shifted[j] += 1j * COMPLEX_STEP
        by_statistic[j] = FORMULAS[variant](shifted, summary.n_lists).imag / COMPLEX_STEP
    return np.asarray(by_statistic @ summary.weights)


def _standard_error(summary: CoverageSummary, variant: str, n_hat: float) -> float:
    """Compute the delta-method standard error of the formula's value under multinomial sampling."""
    gradient = _gradient(summary, variant)
    total = float(gradient @ summary.counts)
    variance = float(gradient**2 @ summary.counts) - total * (total / n_hat)
    return math.sqrt(max(variance, 0.0))


def _interval(
    summary: CoverageSummary, variant: str, status: Status, n_hat: float, level: float
) -> tuple[Interval, float | None]:
    n = summary.n
    if status == "boundary":
        return _upper_only(summary, variant, level), None
    if status != "ok":
        return Interval(n, math.inf, level, NO_INTERVAL), None
    error = _standard_error(summary, variant, n_hat)
    low, high = limits_from_variance(n_hat - n, error, math.nan, level, "lognormal")
    method = "log-normal, delta-method variance; higher-order dependence taken as 0"
    return Interval(n + low, n + high, level, method), error


def _upper_only(summary: CoverageSummary, variant: str, level: float) -> Interval:
    """From the number observed to the formula's value plus z standard errors; infinity where that says nothing."""
    n = summary.n
    raw = float(FORMULAS[variant](summary.statistics, summary.n_lists))
    upper = raw + float(norm.isf((1.0 - level) / 2.0)) * _standard_error(summary, variant, max(raw, n))
    if upper <= n * (1.0 + ROUNDING):
        return Interval(n, math.inf, level, NO_INTERVAL)
    return Interval(n, upper, level, "Wald, delta-method variance, cut off at the number observed")


def _diagnostics(summary: CoverageSummary, variant: str) -> list[Diagnostic]:
    coverage = summary.coverage
    if variant != "high" or coverage > LOW_COVERAGE:
        return []
    message = (
        f"the sample coverage is {coverage:.2f}, at most {LOW_COVERAGE}: the high-coverage form is unsteady here and "
        f"variant='low' is recommended"
    )
    return [Diagnostic("low_sample_coverage", "warning", message, coverage)]


def _details(data: ListCounts, summary: CoverageSummary, error: float | None) -> dict[str, Any]:
    """Give all three forms, each with its own status."""
    variants = VARIANTS if data.n_lists > 2 else ("independent",)
    judged = {variant: _judge(summary, variant) for variant in variants}
    return {
        "sample_coverage": summary.coverage,
        "by_variant": {v: {"n_hat": n_hat, "status": status} for v, (status, _, n_hat) in judged.items()},
        "standard_error": error,
        "dropped_lists": list(data.dropped),
    }
