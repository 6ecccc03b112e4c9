"""`SampleCoverage`: the sample coverage approach to dependent lists (Chao & Tsay 1998)."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.base import BaseEstimator, Facts, Scenario
from hiddenpop.estimators.outcome import limits_from_variance
from hiddenpop.estimators.prepare import ListCells, list_cells
from hiddenpop.estimators.protocol import check_choice, check_level, spec_of
from hiddenpop.histories import decode
from hiddenpop.kernels.resampling.bootstrap_limits import DRAWS_BEYOND, bootstrap_limits, check_boot_size
from hiddenpop.kernels.resampling.counts import LARGEST_POPULATION, draw_parametric, draw_semiparametric
from hiddenpop.parallel import block_slices, spawn_seeds
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval, Status
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["CoverageSummary", "SampleCoverage", "coverage_summary"]

Numbers = npt.NDArray[Any]
"""Real numbers, or complex ones whose imaginary part carries a derivative."""

VARIANTS = ("high", "low", "independent")
INTERVALS = ("by_coverage", "lognormal", "bootstrap")
LOW_COVERAGE = 0.55
"""Chao & Tsay: below this the high-coverage form is too unsteady to be used."""

ROUNDING = 1e-9
"""Differences of quantities of order 1 (or n) that are 0 but for rounding."""

COMPLEX_STEP = 1e-30
FEWEST_DRAWS, MOST_DRAWS = 1000, 100_000
BLOCK_NUMBERS = 4_000_000
"""Counts that are drawn at a time."""

MOST_LISTS_DRAWN = 12
"""Every one of the 2^t cells is drawn to see how often the formula breaks down."""

FARTHEST = 1e6
"""A dark figure of more than so many times the observed number is not a limit."""

LIMIT_STEPS = 9
"""Halvings between two dark figures of which one is twice the other: the limit is right to about 0.2 %."""

TABLES_OF_A_LIMIT, CELLS_OF_A_LIMIT = 10_000, 1_000_000
"""Tables drawn to see how often a supposed size ends at the boundary, and most cells of them. A share of 2.5 % of 1,000
tables is known to a fifth of it, and the limit that hangs on it to about a tenth."""

DEPENDENCE = "higher-order dependence taken as 0"
NO_INTERVAL = "none: from the number observed to infinity"


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCoverage(BaseEstimator):
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
    interval : {"by_coverage", "lognormal", "bootstrap"}
        ``"lognormal"``: log-normal limits from the delta-method variance. ``"bootstrap"``: percentiles of the estimate
        on tables drawn anew. ``"by_coverage"`` (default) is the log-normal one where the sample coverage is above 0.55
        and the bootstrap elsewhere. The interval's `method` says which it is.
    n_boot : int, optional
        Tables drawn for the bootstrap: 1,000 by default, more where the level needs them.
    level : float
        Confidence level.

    Raises
    ------
    SettingError
        For a setting it cannot have, such as too few tables for the level.

    Notes
    -----
    Dependence is measured by coefficients of covariation of pairs and of higher order; only the pairs are estimated,
    the rest is left out. When the coverage is at most 0.55 a diagnostic recommends ``"low"``; the variant is never
    changed in silence.

    The delta-method variance is that of multinomial sampling, ``var = sum g_w^2 n_w - (sum g_w n_w)^2 / N``, g the
    gradient by complex step. Where the coverage is low it says too little of the high form, whose denominator may be
    near 0: there the estimate has no variance, and percentiles are asked instead.

    The bootstrap draws ``Mult(N; n_w / N, (N - n) / N)`` and leaves out those missed, so that the number observed
    varies. Tables on which the formula has no number are counted in `Estimate.n_failed` and can only widen the
    interval. The upper limit is at least the log-normal one, as percentiles are short upwards where hardly anybody is
    hidden. The high form is a quotient, so its upper limit is also at least that of Fieller: the largest N with
    ``(numerator - N denominator)^2`` within ``z^2`` times its variance, infinite where the denominator may be 0.

    Where the formula gives no more than the number observed, no variance and no redrawing of the table say anything.
    The upper limit is then the smallest N at which independent lists of these sizes would end there in fewer than half
    of ``1 - level`` of all tables: the only place where lists are taken as independent. An estimate within z standard
    errors of the number observed gets no upper limit below that one. All this needs random numbers; with
    ``"lognormal"``, which draws none, there is no interval at that boundary. A lower limit is rounded down to whole
    persons, as N is one: between n and n + 1 there is nobody.

    References
    ----------
    Chao, A. and Tsay, P. K. (1998). A sample coverage approach to multiple-system estimation with application to census
    undercount. JASA 93(441), 283-293. doi:10.1080/01621459.1998.10474109
    Chao, A., Tsay, P. K., Lin, S.-H., Shau, W.-Y. and Chao, D.-Y. (2001). The applications of capture-recapture models
    to epidemiological data. Statistics in Medicine 20(20), 3123-3157. doi:10.1002/sim.996
    Fieller, E. C. (1954). Some problems in interval estimation. Journal of the Royal Statistical Society B 16(2),
    175-185. doi:10.1111/j.2517-6161.1954.tb00159.x

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = SampleCoverage(variant="low").fit(hp.datasets.load("hepatitis_a_taiwan"), rng=1)
    >>> round(estimate.n_hat, 1), round(estimate.details["sample_coverage"], 4)
    (507.8, 0.5127)
    """

    name: ClassVar[str] = "sample_coverage"

    variant: Literal["high", "low", "independent"] = "high"
    interval: Literal["by_coverage", "lognormal", "bootstrap"] = "by_coverage"
    n_boot: int | None = None
    level: float = 0.95

    def __post_init__(self) -> None:
        check_choice("variant", self.variant, VARIANTS)
        check_choice("interval", self.interval, INTERVALS)
        check_level(self.level)
        if self.n_boot is not None:
            check_boot_size(self.n_boot, self.level)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Estimate the population size behind `table`.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None
            For the bootstrap; None draws other tables in every call.

        Returns
        -------
        Estimate
            With ``draws`` where the limits are those of a bootstrap.

        Raises
        ------
        CapabilityError
            If the table has gaps in coverage, censored cells, fewer than two lists that caught somebody, or fewer than
            three for a variant that estimates dependence.
        """
        data = self.prepare(table)
        provenance = make_provenance(table.summary, rng)
        summary = summary_of_cells(data.histories, data.counts, data.n_lists)
        status, reason, n_hat = _judge(summary, self.variant)
        error = _standard_error(summary, self.variant, n_hat) if status == "ok" else None
        found = _interval(summary, _Asked(self), status, n_hat, error, rng)
        return Estimate(
            n_hat=n_hat,
            n_observed=data.n_observed,
            interval=found.interval,
            status=status,
            reason=reason,
            estimator=spec_of(self),
            table=table.summary,
            n_failed=0 if found.draws is None else int(np.sum(~np.isfinite(found.draws))),
            diagnostics=(*data.diagnostics, *_diagnostics(summary, self.variant), *found.notes),
            draws=found.draws,
            draws_are="" if found.draws is None else "bootstrap",
            provenance=provenance,
            details=_details(data, summary, error),
            protected=("sample_coverage", "by_variant", "standard_error") if data.has_small else (),
        )

    def number(self, table: CaptureTable, *, rng: RNGLike = None) -> tuple[float, str]:
        """Give the number of `fit` and no model, without an interval; inf or nan where there is none."""
        data = self.prepare(table)
        return _judge(summary_of_cells(data.histories, data.counts, data.n_lists), self.variant)[2], ""

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("coverage_of_pairs", "equal_chance_coverage", "large_sample"),
            model_is="given",
            other_priors=(),
            adds_up_strata=True,
        )

    def prepare(self, table: CaptureTable) -> ListCells:
        """Count, and refuse two lists for a form that estimates their dependence."""
        check_table(table)
        data = list_cells(table, estimator=self.name)
        if data.n_lists < 3 and self.variant != "independent":
            raise CapabilityError(
                f"{table.name} has two lists that caught somebody, which cannot show whether they depend on each "
                f"other; take variant='independent' or a third list"
            )
        return data

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        if len(scenario.lists) < 3 and self.variant != "independent":
            return (f"two lists cannot show the dependence that variant {self.variant!r} estimates",)
        return scenario.unmet("independent")


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
    """Named pieces of the statistics of one table or of many, real or complex."""

    t: int
    mean_left: Any
    coverage: Any
    pair_counts: Any
    pair_ratios: Any


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an interval is asked of, and how surely."""

    settings: SampleCoverage

    @property
    def variant(self) -> str:
        """Form of the estimate."""
        return self.settings.variant

    @property
    def level(self) -> float:
        """Confidence level."""
        return self.settings.level

    @property
    def tail(self) -> float:
        """Chance that a limit on one side may miss."""
        return (1.0 - self.level) / 2.0

    @property
    def z(self) -> float:
        """Normal quantile of the level."""
        return float(-ndtri(self.tail))

    @property
    def n_draws(self) -> int:
        """Tables to draw: so many that enough lie beyond each limit."""
        needed = 2 * DRAWS_BEYOND / (1.0 - self.level)
        return self.settings.n_boot or max(FEWEST_DRAWS, math.ceil(min(needed, MOST_DRAWS)))

    def n_tables(self, n_lists: int) -> int:
        """Tables to draw at every supposed size."""
        return max(self.n_draws, min(TABLES_OF_A_LIMIT, CELLS_OF_A_LIMIT >> n_lists))

    @property
    def reaches(self) -> bool:
        """Whether so many tables can show limits of this level."""
        return self.n_draws * (1.0 - self.level) >= DRAWS_BEYOND

    def inverts(self, n_lists: int) -> bool:
        """Tell whether tables may be drawn to see how often they end at the boundary."""
        return self.settings.interval != "lognormal" and self.reaches and n_lists <= MOST_LISTS_DRAWN

    def by_percentiles(self, coverage: float) -> bool:
        """Tell whether the limits are percentiles, by the setting and the sample coverage."""
        chosen = self.settings.interval
        return chosen == "bootstrap" or (chosen == "by_coverage" and coverage <= LOW_COVERAGE)


@dataclass(frozen=True, slots=True)
class _Found:
    """An interval with the draws behind it and what there is to say of it."""

    interval: Interval
    draws: Floats | None = None
    notes: tuple[Diagnostic, ...] = ()


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
    return summary_of_cells(histories, counts[histories], n_lists)


def summary_of_cells(histories: Ints, counts: Floats, n_lists: int) -> CoverageSummary:
    """Take the statistics from the non-empty cells, histories and counts of shape ``(m,)``.

    Examples
    --------
    >>> summary = summary_of_cells(np.array([1, 2, 3]), np.array([30.0, 20.0, 10.0]), 2)
    >>> round(summary.coverage, 6)
    0.291667
    """
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


def _parts(statistics: Numbers, t: int) -> _Parts:
    """Take statistics apart, shape (..., q); a list that caught nobody makes them nan."""
    n_pairs = t * (t - 1) // 2
    alone, totals = statistics[..., 1 : 1 + t], statistics[..., 1 + t : 1 + 2 * t]
    pair_counts, both = np.split(statistics[..., 1 + 2 * t :], [n_pairs], axis=-1)
    first, second = np.triu_indices(t, k=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = both / totals[..., first] / totals[..., second]
        # The shares are of persons who are on another list too, so that no overlap gives a coverage of exactly 0.
        coverage = ((totals - alone) / totals).mean(axis=-1)
    return _Parts(t, statistics[..., 0] - alone.mean(axis=-1), coverage, pair_counts, ratios)


def _independent(parts: _Parts) -> Any:
    return parts.mean_left / parts.coverage


def _high(parts: _Parts) -> Any:
    return _high_numerator(parts) / _high_denominator(parts)


def _high_numerator(parts: _Parts) -> Any:
    return parts.t * parts.mean_left - parts.pair_counts.sum(axis=-1)


def _high_denominator(parts: _Parts) -> Any:
    return parts.t * parts.coverage - (parts.pair_counts * parts.pair_ratios).sum(axis=-1)


def _low(parts: _Parts) -> Any:
    start = parts.mean_left / parts.coverage
    weights = parts.pair_counts / (parts.t * parts.coverage)[..., None]
    once = start + (weights * (start[..., None] * parts.pair_ratios - 1.0)).sum(axis=-1)
    return start + (weights * (parts.pair_ratios * once[..., None] - 1.0)).sum(axis=-1)


FORMULAS: dict[str, Callable[[_Parts], Any]] = {"high": _high, "low": _low, "independent": _independent}


# --- the estimate and its status --------------------------------------------------------------------------------------


def _judged(statistics: Numbers, t: int, variant: str) -> tuple[npt.NDArray[np.str_], Floats]:
    """Status and estimate of each table, shape (...,); a formula that breaks down never gives a number."""
    n, parts = statistics[..., 0], _parts(statistics, t)
    with np.errstate(all="ignore"):
        values = FORMULAS[variant](parts)
        status = np.where(values <= n * (1.0 + ROUNDING), "boundary", "ok").astype("U14")
        if variant == "high":
            some = _high_numerator(parts) > ROUNDING * n
            none = _high_denominator(parts) <= ROUNDING
            status = np.where(~some, "boundary", status)
            status = np.where(none, np.where(some, "unbounded", "not_identified"), status)
    status = np.where(parts.coverage <= ROUNDING**2, "unbounded", status)
    status = np.where(np.isnan(parts.coverage), "not_identified", status)
    without = [status == word for word in ("boundary", "unbounded", "not_identified")]
    return status, np.select(without, [n, math.inf, math.nan], values)


def _judge(summary: CoverageSummary, variant: str) -> tuple[Status, str, float]:
    """Status, reason and estimate of one table."""
    words, values = _judged(summary.statistics, summary.n_lists, variant)
    status: Any = str(words)
    return status, _reason(summary, variant, status), float(values)


def _reason(summary: CoverageSummary, variant: str, status: Status) -> str:
    """Say why the formula gives no ordinary number."""
    n, parts = summary.n, _parts(summary.statistics, summary.n_lists)
    if status == "ok":
        return ""
    if parts.coverage <= ROUNDING**2:
        return "nobody is on more than one list: the sample coverage is 0 and N = D / C has no limit"
    if status == "not_identified":
        return "numerator and denominator of the high-coverage form both vanish"
    if status == "unbounded":
        return (
            f"the high-coverage form divides by {float(_high_denominator(parts)):.3g}, which must be positive: the "
            f"coverage of {parts.coverage:.2f} is too low for the dependence that the pairs show; see variant 'low'"
        )
    if variant == "high" and not float(_high_numerator(parts)) > ROUNDING * n:
        return "the numerator of the high-coverage form is not positive: it gives fewer than were observed"
    return f"the formula gives {float(FORMULAS[variant](parts)):,.1f}, no more than the {n:,.0f} observed"


def _gradient(summary: CoverageSummary, function: Callable[[_Parts], Any]) -> Floats:
    """Gradient of a function of the statistics with respect to the count of each history, by complex step."""
    q = len(summary.statistics)
    shifted = summary.statistics + 1j * COMPLEX_STEP * np.eye(q)
    by_statistic = np.asarray(function(_parts(shifted, summary.n_lists)).imag / COMPLEX_STEP)
    return np.asarray(by_statistic @ summary.weights)


def _standard_error(summary: CoverageSummary, variant: str, n_hat: float) -> float:
    """Compute the delta-method standard error of the formula's value under multinomial sampling."""
    gradient = _gradient(summary, FORMULAS[variant])
    total = float(gradient @ summary.counts)
    variance = float(gradient**2 @ summary.counts) - total * (total / n_hat)
    return math.sqrt(max(variance, 0.0))


# --- intervals --------------------------------------------------------------------------------------------------------


def _interval(
    summary: CoverageSummary,
    asked: _Asked,
    status: Status,
    n_hat: float,
    error: float | None,
    rng: RNGLike,
) -> _Found:
    """Interval by the settings, as far as the table has one."""
    n, level = summary.n, asked.level
    if status == "unbounded" and asked.variant == "high":
        return _Found(_without_upper_limit(summary, asked))
    redrawing, inverting = spawn_seeds(rng, 2)
    if status == "boundary" and asked.inverts(summary.n_lists):
        return _Found(_boundary_interval(summary, asked, inverting))
    if error is None:
        return _Found(Interval(n, math.inf, level, NO_INTERVAL))
    by_percentiles = asked.by_percentiles(summary.coverage) and n_hat < LARGEST_POPULATION
    if by_percentiles and not asked.reaches:
        why = f" (level {level:g} needs more than {asked.n_draws:,} tables drawn anew)"
        return _Found(Interval(n, math.inf, level, NO_INTERVAL + why))
    if by_percentiles:
        found = _percentile_interval(summary, asked, n_hat, error, redrawing)
    else:
        found = _Found(_log_normal_interval(summary, asked, n_hat, error))
    if asked.inverts(summary.n_lists) and n_hat - n <= asked.z * error:
        return _raised_to_boundary(found, summary, asked, inverting)
    return found


def _without_upper_limit(summary: CoverageSummary, asked: _Asked) -> Interval:
    """From the smallest N that the quotient allows to infinity; from the number observed where it allows none."""
    low, high = quotient_limits(summary, asked.z)
    if not (summary.n + 1.0 <= low < math.inf == high):
        return Interval(summary.n, math.inf, asked.level, NO_INTERVAL)
    return Interval(float(math.floor(low)), high, asked.level, f"quotient (Fieller); {DEPENDENCE}")


def _log_normal_interval(summary: CoverageSummary, asked: _Asked, n_hat: float, error: float) -> Interval:
    n = summary.n
    low, high = limits_from_variance(n_hat - n, error, math.nan, asked.level, "lognormal")
    method = f"log-normal, delta-method variance; {DEPENDENCE}"
    return Interval(n + low, n + high, asked.level, method)


def quotient_limits(summary: CoverageSummary, z: float) -> tuple[float, float]:
    """Fieller's limits for N as the quotient of the high form.

    Parameters
    ----------
    summary : CoverageSummary
    z : float
        Normal quantile.

    Returns
    -------
    low, high : float
        Smallest and largest N, of those not below the number observed, with ``(a - N d)^2 <= z^2 var(a - N d)``; nan
        where there is none.

    Notes
    -----
    With N times that condition it is a cubic in N: ``var(a - N d) = S_aa - 2 N S_ad + N^2 S_dd - a^2 / N`` under
    multinomial sampling, as a is of degree 1 in the counts and d of degree 0.

    Examples
    --------
    >>> table = np.array([0.0, 30.0, 20.0, 10.0, 25.0, 12.0, 8.0, 5.0])
    >>> low, high = quotient_limits(coverage_summary(table, 3), 1.96)
    >>> round(low), round(high)
    (115, 562)
    """
    n, parts = summary.n, _parts(summary.statistics, summary.n_lists)
    a, d = float(_high_numerator(parts)) / n, float(_high_denominator(parts))
    by_count = [_gradient(summary, function) for function in (_high_numerator, _high_denominator)]
    by_count[1] = by_count[1] * n
    s_aa, s_ad, s_dd = (
        float(by_count[i] * by_count[j] @ summary.counts) / n**2 for i, j in ((0, 0), (0, 1), (1, 1))
    )
    # In units of the number observed, so that the coefficients are of order 1 whatever the size of the table.
    cubic = np.array([d**2 - z**2 * s_dd, 2.0 * (z**2 * s_ad - a * d), a**2 - z**2 * s_aa, z**2 * a**2 / n])
    cubic[np.abs(cubic) <= ROUNDING * np.abs(cubic).max()] = 0.0
    if not cubic.any():
        return math.nan, math.nan
    roots = np.roots(cubic)
    real = np.sort(roots[np.abs(roots.imag) <= ROUNDING * np.abs(roots)].real)
    beyond = [float(root) for root in real if root > 1.0]
    low = 1.0 if np.polyval(cubic, 1.0) <= 0.0 else min(beyond, default=math.nan)
    high = math.inf if cubic[cubic != 0.0][0] < 0.0 else max(beyond, default=low)
    return n * low, n * high


def _percentile_interval(
    summary: CoverageSummary, asked: _Asked, n_hat: float, error: float, rng: np.random.Generator
) -> _Found:
    """Percentiles of the estimate on tables drawn anew, and no upper limit below what formulas say."""
    n = summary.n
    draws = _redrawn(summary, asked, n_hat, rng)
    limits = bootstrap_limits(draws, n_hat, n, level=asked.level, method="percentile")
    candidates = [
        (limits.high, ""),
        (_log_normal_interval(summary, asked, n_hat, error).high, "; log-normal upper limit"),
    ]
    if asked.variant == "high":
        candidates.append((quotient_limits(summary, asked.z)[1], "; upper limit of the quotient (Fieller)"))
    high, decided = max(candidates, key=lambda pair: pair[0])
    method = f"percentile bootstrap of {len(draws):,} tables, number observed redrawn; {DEPENDENCE}{decided}"
    interval = Interval(n + math.floor(limits.low - n), high, asked.level, method)
    return _Found(interval, draws, _notes(limits.notes, n_hat, interval))


def _redrawn(summary: CoverageSummary, asked: _Asked, n_hat: float, rng: np.random.Generator) -> Floats:
    """Estimates on tables of the estimated population, those missed left out; a list may have caught nobody."""
    estimates = []
    for cut in block_slices(asked.n_draws, max(1, BLOCK_NUMBERS // len(summary.counts))):
        tables = draw_semiparametric(summary.counts, n_hat, cut.stop - cut.start, rng)
        estimates.append(_judged(tables @ summary.weights.T, summary.n_lists, asked.variant)[1])
    return np.concatenate(estimates)


def _notes(notes: tuple[str, ...], n_hat: float, interval: Interval) -> tuple[Diagnostic, ...]:
    found = [Diagnostic("bootstrap_limits", "info", note) for note in notes]
    if n_hat not in interval:
        message = "the estimates on redrawn tables lie nearly all on one side of the estimate: neither is a good guide"
        found.append(Diagnostic("estimate_outside_interval", "warning", message))
    return tuple(found)


def _boundary_interval(summary: CoverageSummary, asked: _Asked, rng: np.random.Generator) -> Interval:
    """From the number observed to the largest N that leaves a table at the boundary any chance to speak of."""
    high = _boundary_limit(summary, asked, rng, 1.0)
    known = (
        NO_INTERVAL
        if math.isinf(high)
        else "test inversion by parametric bootstrap, lists taken as independent"
    )
    return Interval(summary.n, high, asked.level, known)


def _raised_to_boundary(
    found: _Found, summary: CoverageSummary, asked: _Asked, rng: np.random.Generator
) -> _Found:
    """Raise an upper limit to that of a table at the boundary, which may be one person away."""
    limits = found.interval
    high = (
        _boundary_limit(summary, asked, rng, limits.high - summary.n)
        if math.isfinite(limits.high)
        else math.inf
    )
    if not limits.high < high:
        return found
    raised = replace(limits, high=high, method=f"{limits.method}; upper limit of a table at the boundary")
    return replace(found, interval=raised)


def _boundary_limit(summary: CoverageSummary, asked: _Asked, rng: np.random.Generator, start: float) -> float:
    """Give the smallest N of dark figure `start` or more whose tables end at the boundary in less than the tail.

    Between two dark figures of which one is twice the other it is found by halving; infinite where none is found.
    """
    n, t = summary.n, summary.n_lists
    # By size, so that the order of the lists changes nothing.
    totals = np.sort(summary.statistics[1 + t : 1 + 2 * t])[::-1]
    farthest = min(FARTHEST * n, LARGEST_POPULATION / 4.0)

    def plausible(n0: float) -> bool:
        share = _share_at_boundary(totals, n + n0, asked, rng)
        return share >= asked.tail

    below, above = 0.0, max(start, 1.0)
    if above > farthest:
        return n + start
    while plausible(above):
        below, above = above, 2.0 * above
        if above > farthest:
            return math.inf
    for _ in range(LIMIT_STEPS if below > 0.0 else 0):
        middle = (below + above) / 2.0
        below, above = (middle, above) if plausible(middle) else (below, middle)
    return n + above


def _share_at_boundary(totals: Floats, size: float, asked: _Asked, rng: np.random.Generator) -> float:
    """Share of tables of independent lists with these expected totals, none of them empty, that end at the boundary."""
    t = len(totals)
    bits = decode(np.arange(1 << t), t)
    caught = np.minimum(totals / size, 1.0)
    means = size * np.prod(np.where(bits, caught, 1.0 - caught), axis=1)
    weights = coverage_summary(np.ones(1 << t), t).weights
    at_boundary, n_tables = 0, 0
    for cut in block_slices(asked.n_tables(t), max(1, BLOCK_NUMBERS >> t)):
        tables = draw_parametric(means, float(means.sum()), cut.stop - cut.start, rng)[:, 1:]
        statistics = tables @ weights.T
        statistics = statistics[np.all(statistics[:, 1 + t : 1 + 2 * t] > 0, axis=1)]
        at_boundary += int(np.sum(_judged(statistics, t, asked.variant)[0] == "boundary"))
        n_tables += len(statistics)
    return at_boundary / n_tables if n_tables else 1.0


def _diagnostics(summary: CoverageSummary, variant: str) -> list[Diagnostic]:
    coverage = summary.coverage
    if variant != "high" or coverage > LOW_COVERAGE:
        return []
    message = (
        f"the sample coverage is {coverage:.2f}, at most {LOW_COVERAGE}: the high-coverage form is unsteady here and "
        f"variant='low' is recommended"
    )
    return [Diagnostic("low_sample_coverage", "warning", message, coverage)]


def _details(data: ListCells, summary: CoverageSummary, error: float | None) -> dict[str, Any]:
    """Give all three forms, each with its own status."""
    variants = VARIANTS if data.n_lists > 2 else ("independent",)
    judged = {variant: _judge(summary, variant) for variant in variants}
    return {
        "sample_coverage": summary.coverage,
        "by_variant": {v: {"n_hat": n_hat, "status": status} for v, (status, _, n_hat) in judged.items()},
        "standard_error": error,
        "dropped_lists": list(data.dropped),
    }
