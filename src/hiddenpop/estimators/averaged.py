"""`AveragedLogLinear`: a mixture over log-linear models, weighted by an information criterion."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr

from hiddenpop.estimators.criteria import CRITERIA, Criterion
from hiddenpop.estimators.dependence import OddsRatios, as_odds_ratios, check_positive
from hiddenpop.estimators.exact import weighty
from hiddenpop.estimators.loglinear import PROTECTED, counts_under
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.estimators.protocol import (
    check_choice,
    check_exact,
    check_level,
    check_order,
    check_share,
    check_whole,
    spec_of,
)
from hiddenpop.estimators.search import Rule, Tried, exhaustive
from hiddenpop.estimators.selected import ADMISSIBLE, COUNTS, estimate_without_model, selection_frame
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["AveragedLogLinear", "Mixture"]

Floats = npt.NDArray[np.float64]

NEGLIGIBLE_WEIGHT = 1e-8
INADMISSIBLE_WARNING = 0.05
MODE_GRID = 2001
DENSITY_NUMBERS = 1 << 22
SMALLEST_MODE_SHARE = 0.01
MODE_WEIGHT = 1e-4
"""Lighter components than this share of the heaviest make no mode."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Normal mixture for the logarithm of the dark figure.

    Attributes
    ----------
    weights, centres, spreads : ndarray, shape (m,)
        Weights that add up to 1; mean and standard deviation of each component on the log scale.
    """

    weights: Floats
    centres: Floats
    spreads: Floats

    def quantile(self, q: float) -> float:
        """Dark figure below which a share `q` of the mixture lies.

        Examples
        --------
        >>> one = Mixture(np.array([1.0]), np.array([math.log(60.0)]), np.array([0.3]))
        >>> round(one.quantile(0.5), 6)
        60.0
        """
        reach = 10.0 + abs(math.log(min(q, 1.0 - q)))
        low = float(np.min(self.centres - reach * self.spreads))
        high = float(np.max(self.centres + reach * self.spreads))
        return math.exp(float(brentq(lambda x: self._below(x) - q, low, high, xtol=1e-12)))

    def _below(self, log_n0: float) -> float:
        return float(self.weights @ ndtr((log_n0 - self.centres) / self.spreads))

    def modes(self) -> list[tuple[float, float]]:
        """Local maxima of the density of log n0, as (dark figure, share of the mixture around it), largest first."""
        heavy = self.weights > MODE_WEIGHT * self.weights.max()
        centres, spreads = self.centres[heavy], self.spreads[heavy]
        low, high = np.min(centres - 4 * spreads), np.max(centres + 4 * spreads)
        some = np.sort(centres)[:: -(-len(centres) // MODE_GRID)]
        grid = np.union1d(np.linspace(low, high, MODE_GRID), some)
        density = _density(grid, self.weights[heavy], centres, spreads)
        peaks = np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])) + 1
        valleys = [a + int(np.argmin(density[a:b])) for a, b in pairwise(peaks)]
        edges = [0.0, *(self._below(float(grid[v])) for v in valleys), 1.0]
        found = [
            (math.exp(float(grid[p])), b - a) for p, a, b in zip(peaks, edges[:-1], edges[1:], strict=True)
        ]
        return sorted((m for m in found if m[1] >= SMALLEST_MODE_SHARE), key=lambda m: -m[1])


def _density(grid: Floats, weights: Floats, centres: Floats, spreads: Floats) -> Floats:
    """Density up to a factor, a few points at a time: all of them by all components may not fit in memory."""
    rows = max(1, DENSITY_NUMBERS // len(centres))
    found = np.empty(len(grid))
    for start in range(0, len(grid), rows):
        z = (grid[start : start + rows, None] - centres) / spreads
        found[start : start + rows] = np.exp(-0.5 * z * z) @ (weights / spreads)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragedLogLinear:
    """Size of a closed population, averaged over log-linear models.

    Weights are proportional to ``exp(-criterion / 2)`` over the admissible models. The log dark figure is a mixture of
    ``Normal(log n0_m, tau_m^2)`` with ``tau_m^2 = var(log n0_m) + 1 / max(n0_m, 1)``; the estimate is the mixture's
    median and the limits its quantiles (Turek & Fletcher 2012), so that an interval spans modes instead of standing
    between them.

    Parameters
    ----------
    criterion : {"bic", "aic", "aicc"}
    max_order : int, optional
        Size of the largest term. By default every order up to five lists, 2 for six.
    admissible : {"finite", "exists"}
        As for `SelectedLogLinear`.
    count : {"all", "rank"}
        As for `SelectedLogLinear`.
    search : {"exhaustive", "exact"}
        Average over all models (up to six lists), or over those in the window around the best that holds all but a
        share of the weight, found by branch and bound.
    outside : float
        For ``"exact"``: the most weight, relative to the best model, that may lie outside. ``details`` gives the bound
        that was reached.
    max_fits : int
        For ``"exact"``: give up after so many fits; the estimate is then ``"not_converged"``.
    level : float
    odds_ratios : tuple of (str, str, float), or mapping
        As for `LogLinear`: pairs of lists with a fixed odds ratio. The average is over models without the pair, and
        without any interaction that contains it.
    xi : float
        As for `LogLinear`.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    Models without an admissible answer get no weight; `details` tells how much they would have had, and a diagnostic
    warns above 5 %. With several modes the median can fall between them: read `details["modes"]`.

    References
    ----------
    Turek, D. and Fletcher, D. (2012). Model-averaged Wald confidence intervals. Computational Statistics & Data
    Analysis 56(9), 2809-2815. doi:10.1016/j.csda.2012.03.002
    Buckland, S. T., Burnham, K. P. and Augustin, N. H. (1997). Model selection: an integral part of inference.
    Biometrics 53(2), 603-618. doi:10.2307/2533961

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = AveragedLogLinear().fit(hp.datasets.load("kosovo"))
    >>> estimate.status, 9_000 < estimate.n_hat < 15_000
    ('ok', True)
    """

    name: ClassVar[str] = "averaged"

    criterion: Criterion = "bic"
    max_order: int | None = None
    admissible: Literal["finite", "exists"] = "finite"
    count: Literal["all", "rank"] = "all"
    search: Literal["exhaustive", "exact"] = "exhaustive"
    outside: float = 1e-3
    max_fits: int = 200_000
    level: float = 0.95
    odds_ratios: OddsRatios = ()
    xi: float = 1.0

    def __post_init__(self) -> None:
        check_choice("criterion", self.criterion, CRITERIA)
        check_choice("admissible", self.admissible, ADMISSIBLE)
        check_choice("count", self.count, COUNTS)
        check_choice("search", self.search, ("exhaustive", "exact"))
        check_share("outside", self.outside)
        check_whole("max_fits", self.max_fits)
        check_exact(self.search, self.count)
        check_level(self.level)
        check_order(self.max_order)
        object.__setattr__(self, "odds_ratios", as_odds_ratios(self.odds_ratios))
        object.__setattr__(self, "xi", check_positive("xi", self.xi))

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Average over the models of the space.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None
            Not used: the mixture is computed, not sampled.

        Returns
        -------
        Estimate
            ``details`` holds the weighted mean, the modes, and ``selection`` with the weight of every model.

        Raises
        ------
        CapabilityError
            For more than six lists, and as for `LogLinear`.
        """
        data = counts_under(self, table)
        rule = Rule(self.criterion, self.count, self.admissible)
        tried, found = self._search(data, rule)
        tried = tried.ranked(data, rule)
        weights, lost = _weights(tried, data, rule)
        frame = selection_frame(tried, data, rule).assign(weight=weights)
        extra: dict[str, Any] = {"criterion": self.criterion, **found, "selection": frame}
        if not weights.any():
            return estimate_without_model(spec_of(self), table, data, tried, self.level, rng, extra)
        if found.get("outside") == math.inf:
            return self._unfinished(table, data, rng, extra)
        mixture = _mixture(tried, weights)
        return self._estimate(table, data, mixture, lost, rng, extra)

    def median(self, data: ListCounts) -> float:
        """Give the median of the mixture alone, nan where there is none: what a resample needs."""
        rule = Rule(self.criterion, self.count, self.admissible)
        tried, found = self._search(data, rule)
        weights, _ = _weights(tried, data, rule)
        if not weights.any() or found.get("outside") == math.inf:
            return math.nan
        return data.n_observed + _mixture(tried, weights).quantile(0.5)

    def _search(self, data: ListCounts, rule: Rule) -> tuple[Tried, dict[str, Any]]:
        if self.search == "exhaustive":
            tried, n_models = exhaustive(data, rule, self.max_order)
            return tried, {"n_models": n_models}
        tried, proof, outside = weighty(data, rule, self.max_order, self.outside, self.max_fits)
        return tried, {"n_models": proof.n_fits, "proof": proof, "outside": outside}

    def _unfinished(
        self, table: CaptureTable, data: ListCounts, rng: RNGLike, extra: dict[str, Any]
    ) -> Estimate:
        """Answer when the window around the best could not be covered within the fits allowed."""
        return Estimate(
            n_hat=math.nan,
            n_observed=data.n_observed,
            interval=Interval(
                data.n_observed, math.inf, self.level, "none: from the number observed to infinity"
            ),
            status="not_converged",
            reason=f"the models that carry the weight were not all found within {self.max_fits:,} fits; raise max_fits",
            estimator=spec_of(self),
            table=table.summary,
            diagnostics=data.diagnostics,
            provenance=make_provenance(table.summary, rng),
            details={"dropped_lists": list(data.dropped), **extra},
            protected=PROTECTED if data.has_small else (),
        )

    def _estimate(
        self,
        table: CaptureTable,
        data: ListCounts,
        mixture: Mixture,
        lost: float,
        rng: RNGLike,
        extra: dict[str, Any],
    ) -> Estimate:
        n, tail = data.n_observed, (1.0 - self.level) / 2.0
        modes = [{"n": n + n0, "share": share} for n0, share in mixture.modes()]
        mean = n + float(mixture.weights @ np.exp(mixture.centres))
        details = {
            "dropped_lists": list(data.dropped),
            "weighted_mean": mean,
            "modes": modes,
            "inadmissible_weight": lost,
        }
        return Estimate(
            n_hat=n + mixture.quantile(0.5),
            n_observed=n,
            interval=Interval(
                n + mixture.quantile(tail),
                n + mixture.quantile(1.0 - tail),
                self.level,
                "mixture over models",
            ),
            status="ok",
            estimator=spec_of(self),
            table=table.summary,
            diagnostics=(*data.diagnostics, *_diagnostics(lost, modes)),
            provenance=make_provenance(table.summary, rng),
            details={**details, **extra},
            protected=PROTECTED if data.has_small else (),
        )


def _weights(tried: Tried, data: ListCounts, rule: Rule) -> tuple[Floats, float]:
    """Weight of each model, 0 where it is not admissible, and the share that those would have had."""
    values = tried.criteria(data, rule.count)[rule.criterion]
    finite = np.isfinite(values)
    raw = np.zeros(len(values))
    if finite.any():
        raw[finite] = np.exp(-(values[finite] - values[finite].min()) / 2.0)
    allowed = np.where(tried.eligible(data, rule), raw, 0.0)
    if not allowed.any():
        return allowed, 1.0
    return allowed / allowed.sum(), 1.0 - float(allowed.sum() / raw.sum())


def _mixture(tried: Tried, weights: Floats) -> Mixture:
    """Components of the models that carry weight."""
    rows = np.flatnonzero(weights > NEGLIGIBLE_WEIGHT * weights.max())
    n0, variance = tried.n0[rows], tried.log_n0_variance[rows]
    # Below one person a normal law for the logarithm describes Poisson variation no longer; it is held at one.
    spreads = np.sqrt(variance + 1.0 / np.maximum(n0, 1.0))
    return Mixture(weights[rows] / weights[rows].sum(), np.log(n0), spreads)


def _diagnostics(lost: float, modes: list[dict[str, float]]) -> list[Diagnostic]:
    found = []
    if lost > INADMISSIBLE_WARNING:
        message = f"models without an admissible answer would have had {lost:.0%} of the weight"
        found.append(Diagnostic("inadmissible_weight", "warning", message, lost))
    if len(modes) > 1:
        listed = ", ".join(f"{mode['n']:,.0f} ({mode['share']:.0%})" for mode in modes)
        message = f"the mixture has {len(modes)} modes: {listed}; read them beside the median"
        found.append(Diagnostic("several_modes", "warning", message, len(modes)))
    return found
