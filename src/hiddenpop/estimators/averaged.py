"""`AveragedLogLinear`: a mixture over log-linear models, weighted by an information criterion."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from hiddenpop._details import Deferred
from hiddenpop._front_door import front_doors
from hiddenpop._typing import Bools, Floats
from hiddenpop.estimators.base import BaseEstimator, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.loglinear import PROTECTED, counts_under
from hiddenpop.estimators.outcome import CRITERIA, Criterion, terms_of
from hiddenpop.estimators.prepare import ListCounts, OddsRatios, as_odds_ratios, check_positive
from hiddenpop.estimators.protocol import (
    check_choice,
    check_exact,
    check_level,
    check_order,
    check_share,
    check_whole,
    spec_of,
)
from hiddenpop.estimators.resampled import NO_MODEL, RefitBlock, Resamples, fit_one
from hiddenpop.estimators.search import (
    CandidateModels,
    Listed,
    SelectionRule,
    canonical_order,
    default_order,
    exhaustive,
    judge,
    list_models,
    occams_window,
    refuse_proof,
    refuse_space,
    refuse_uncounted,
    space_in_words,
)
from hiddenpop.estimators.selected import ADMISSIBLE, COUNTS, estimate_without_model, selection_frame
from hiddenpop.kernels.poisson.model_fit import fit_model, hidden_profile
from hiddenpop.kernels.poisson.profile import bracketed_root
from hiddenpop.model import HierarchicalModel
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["AveragedLogLinear", "Mixture"]


NEGLIGIBLE_WEIGHT = 1e-8
UNSEEN_WEIGHT = 1e-17
"""Models that together have less than this share of the weight do not change a digit of it."""

INADMISSIBLE_WARNING = 0.05
MODE_GRID = 2001
DENSITY_NUMBERS = 1 << 22
SMALLEST_MODE_SHARE = 0.01
MODE_WEIGHT = 1e-4
"""Lighter components than this share of the heaviest make no mode."""

BOUNDARY_WARNING = 0.05
SMALLEST_SUPPOSED, SUPPOSED = 1e-3, 60
"""Smallest dark figure at which the likelihood of a model at the boundary is taken, and at how many at most."""

EXCLUDED_RISE = 80.0
"""Where the deviance of a dark figure lies so far above that of nobody hidden, 1e-18 of the component lies beyond."""

OWN_CURVE = 1e-3
"""Models at the boundary with a smaller share of the weight have the curve of the heaviest of them."""


@dataclass(frozen=True, slots=True)
class AtBoundary:
    """What a model that is most likely with nobody hidden leaves possible.

    Attributes
    ----------
    weight : float
    log_n0 : ndarray, shape (s,)
        Logarithms of dark figures, ascending; from the last on the likelihood stays the same, or nothing is left.
    rises : ndarray, shape (s,)
        How far the deviance of each lies above that of nobody hidden.

    Notes
    -----
    The share of the component above a dark figure is ``exp(-rise / 2) / 2``, the mid-P tail of a count of 0 in which
    the deviance rises as much; half of it lies at 0. Its quantiles are the limits of
    `hiddenpop.kernels.poisson.profile.profile_limits`.
    """

    weight: float
    log_n0: Floats
    rises: Floats

    def above(self, log_n0: float) -> float:
        """Share of the component above a dark figure.

        Examples
        --------
        >>> count_of_none = AtBoundary(1.0, np.log([0.001, 1.0, 1e6]), np.array([0.002, 2.0, 2e6]))
        >>> round(count_of_none.above(math.log(2.996)), 3)  # a Poisson count of 0 has so high an upper mid-P limit
        0.025
        """
        if log_n0 < self.log_n0[0]:
            rise = self.rises[0] * math.exp(log_n0 - self.log_n0[0])
        else:
            rise = math.exp(np.interp(log_n0, self.log_n0, np.log(np.maximum(self.rises, 1e-300))))
        return 0.5 * math.exp(-0.5 * rise)


@dataclass(frozen=True, slots=True)
class Mixture:
    """Mixture for the logarithm of the dark figure: normal components, and models at the boundary.

    Attributes
    ----------
    weights, centres, spreads : ndarray, shape (m,)
        Weights; mean and standard deviation of each component on the log scale.
    boundary : tuple of AtBoundary
        With their weights all add up to 1.
    """

    weights: Floats
    centres: Floats
    spreads: Floats
    boundary: tuple[AtBoundary, ...] = ()

    @property
    def boundary_weight(self) -> float:
        """Share of the models at the boundary."""
        return math.fsum(component.weight for component in self.boundary)

    def quantile(self, q: float) -> float:
        """Dark figure below which a share `q` of the mixture lies; 0 or inf where an end holds as much.

        Examples
        --------
        >>> one = Mixture(np.array([1.0]), np.array([math.log(60.0)]), np.array([0.3]))
        >>> round(one.quantile(0.5), 6)
        60.0
        """
        if q <= 0.5 * self.boundary_weight:
            return 0.0
        reach = 10.0 + abs(math.log(min(q, 1.0 - q)))
        low = float(np.min(self.centres - reach * self.spreads, initial=math.inf))
        high = float(np.max(self.centres + reach * self.spreads, initial=-math.inf))
        for component in self.boundary:
            low, high = min(low, float(component.log_n0[0]) - reach), max(high, float(component.log_n0[-1]))
        if self._below(high) < q:
            return math.inf
        if self._below(low) > q:
            return 0.0
        return math.exp(bracketed_root(lambda x: self._below(x) - q, low, high, 1e-12))

    def _below(self, log_n0: float) -> float:
        normal = float(self.weights @ ndtr((log_n0 - self.centres) / self.spreads))
        return normal + sum(part.weight * (1.0 - part.above(log_n0)) for part in self.boundary)

    def modes(self) -> list[tuple[float, float]]:
        """Local maxima of the density of log n0, as (dark figure, share of the mixture around it), largest first.

        The density is that of the normal components.
        """
        if not len(self.weights):
            return []
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


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class AveragedLogLinear(BaseEstimator):
    """Size of a closed population, averaged over log-linear models.

    Weights are proportional to ``exp(-criterion / 2)`` over the admissible models. The log dark figure is a mixture of
    ``Normal(log n0_m, tau_m^2)`` with ``tau_m^2 = var(log n0_m) + 1 / max(n0_m, 1)``; the estimate is the mixture's
    median and the limits its quantiles (Turek & Fletcher 2012), so that an interval spans modes instead of standing
    between them. A model that is most likely with nobody hidden has no such law; it enters by the likelihood of how
    many may be hidden.

    Parameters
    ----------
    criterion : {"bic", "aic", "aicc"}
        AIC by default. BIC gives narrower intervals, which hold the size less often where models disagree.
    max_order : int, optional
        Size of the largest term. By default every order up to five lists, 2 for six; an order that leaves models out is
        named by the interval.
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
    warns above 5 %. Models at the boundary are admissible here, unless `admissible` is ``"exists"``: they put half of
    their weight on nobody hidden, and ``exp(-rise / 2) / 2`` of it above each dark figure, by the rise of the deviance
    there. Without them, a model that does not say how many are hidden would leave the interval to models that are too
    small. `details` and a diagnostic tell their share. With several modes the median can fall between them: read
    `details["modes"]`.

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

    criterion: Criterion = "aic"
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
        data = self.prepare(table)
        rule = SelectionRule(self.criterion, self.count, self.admissible)
        models, found = self._search(data, rule)
        weights, boundary, lost = _weights(models)
        extra: dict[str, Any] = {
            "criterion": self.criterion,
            **found,
            "selection": Deferred(lambda: _frame_with_weights(models, data, rule)),
        }
        if not weights[~boundary].any():
            tried = models.everything()
            return estimate_without_model(spec_of(self), table, data, tried, self.level, rng, extra)
        if found.get("outside") == math.inf:
            return self._unfinished(table, data, rng, extra)
        return self._estimate(table, data, _mixture(models, weights, boundary, data), lost, rng, extra)

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("homogeneous", "one_of_models", "no_highest_order", "criterion_weights", "large_sample"),
            model_is="averaged",
            other_priors=(),
            needs_draws=False,
            adds_up_strata=True,
            loglinear=True,
        )

    def prepare(self, table: CaptureTable) -> ListCounts:
        """Count the lists that caught somebody, and refuse more of them than the average can be over."""
        check_table(table)
        data = counts_under(self, table)
        if self.search == "exhaustive":
            refuse_space(data.n_lists, self.max_order)
        else:
            refuse_proof(data, self.max_order)
            refuse_uncounted(data.n_lists, self._order(data.n_lists))
        return data

    def without_highest_order(self, table: CaptureTable) -> bool:
        """Tell that its dark figure is that without an interaction of all lists, but for ``xi``."""
        return True

    def canonical(self, n_lists: int) -> "AveragedLogLinear":
        """Set the order to the one that is averaged over, and fits that are not counted to their default."""
        max_fits = self.max_fits if self.search == "exact" else type(self)().max_fits
        return replace(
            self, max_fits=max_fits, max_order=canonical_order(self.search, n_lists, self.max_order)
        )

    def quick_refits(self, block: RefitBlock) -> Resamples | None:
        """Average over the models of the original lists in every resample, without the tables of a full estimate."""
        if block.is_large:
            return None
        data = counts_under(self, block.table)
        tables = block.dense(data)
        n_hat = np.array(
            [self.median(replace(data, counts=row, n_observed=int(row.sum()))) for row in tables]
        )
        for row in np.flatnonzero(np.isnan(n_hat)):
            n_hat[row] = fit_one(block, int(row))[0]
        return Resamples(n_hat, (NO_MODEL,) * len(tables))

    @property
    def for_real_counts(self) -> "AveragedLogLinear":
        """Itself: its median takes counts that are not whole."""
        return self

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(
            scenario, "weights of models are no probabilities that could be held to a level"
        )

    def median(self, data: ListCounts) -> float:
        """Give the median of the mixture alone, nan where there is none: what a resample needs."""
        models, found = self._search(data, SelectionRule(self.criterion, self.count, self.admissible))
        weights, boundary, _ = _weights(models)
        if not weights[~boundary].any() or found.get("outside") == math.inf:
            return math.nan
        return data.n_observed + _mixture(models, weights, boundary, data).quantile(0.5)

    def _search(self, data: ListCounts, rule: SelectionRule) -> tuple["_Models", dict[str, Any]]:
        if self.search == "exhaustive":
            fits, n_models = exhaustive(data, rule, self.max_order)
            found: dict[str, Any] = {"n_models": n_models}
        else:
            fits, proof, outside = occams_window(data, rule, self.max_order, self.outside, self.max_fits)
            found = {"n_models": proof.n_fits, "proof": proof, "outside": outside}
        if rule.count == "rank":
            return _of_judged(judge(data, fits).ranked(data, rule), data, rule), found
        return _of_listed(list_models(data, rule, fits)), found

    def _order(self, n_lists: int) -> int:
        """Size of the largest term of the models averaged."""
        return default_order(n_lists, self.max_order)

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
            "boundary_weight": mixture.boundary_weight,
        }
        median = mixture.quantile(0.5)
        remarks = _diagnostics(lost, mixture.boundary_weight, modes)
        return Estimate(
            n_hat=n + median,
            n_observed=n,
            interval=Interval(
                n + mixture.quantile(tail),
                n + mixture.quantile(1.0 - tail),
                self.level,
                f"mixture over models{space_in_words(self._order(data.n_lists), data.n_lists)}",
            ),
            status="ok" if median > 0.0 else "boundary",
            reason="" if median > 0.0 else "half of the mixture lies where nobody is hidden",
            estimator=spec_of(self),
            table=table.summary,
            provenance=make_provenance(table.summary, rng),
            details={**details, **extra},
            diagnostics=(*data.diagnostics, *remarks),
            protected=PROTECTED if data.has_small else (),
        )


@dataclass(frozen=True, slots=True)
class _Models:
    """The models of an average, best first, one element of every array a model.

    Attributes
    ----------
    values : ndarray of float
        Their criterion.
    n0, log_n0_variance : ndarray of float
    term_sets : ndarray
        Bit ``theta`` of an element is set when the model holds term ``theta``.
    allowed : callable
        Says of models by position whether they may have weight, and which of these are at the boundary.
    everything : callable
        Judges all of them.
    """

    values: Floats
    n0: Floats
    log_n0_variance: Floats
    term_sets: npt.NDArray[Any]
    allowed: Callable[[npt.NDArray[np.intp]], tuple[Bools, Bools]]
    everything: Callable[[], CandidateModels]


def _of_listed(listed: Listed) -> _Models:
    fits = listed.fits
    finite_value = np.isfinite(listed.values)

    def allowed(rows: npt.NDArray[np.intp]) -> tuple[Bools, Bools]:
        status, finite = listed.allowed(rows)
        boundary = _at_boundary(status, finite_value[rows], listed.rule)
        return finite | boundary, boundary

    return _Models(listed.values, fits.n0, fits.log_n0_variance, fits.term_sets, allowed, listed.everything)


def _of_judged(tried: CandidateModels, data: ListCounts, rule: SelectionRule) -> _Models:
    values, finite = tried.criteria(data, rule.count)[rule.criterion], tried.eligible(data, rule)
    boundary = _at_boundary(tried.status, np.isfinite(values), rule)
    return _Models(
        values,
        tried.n0,
        tried.log_n0_variance,
        tried.term_sets,
        lambda rows: ((finite | boundary)[rows], boundary[rows]),
        lambda: tried,
    )


def _at_boundary(status: npt.NDArray[np.str_], finite_value: Bools, rule: SelectionRule) -> Bools:
    """Say which models have weight though their dark figure is 0; the existence test admits none."""
    if rule.admissible == "exists":
        return np.zeros(len(status), dtype=bool)
    found: Bools = (status == "boundary") & finite_value
    return found


def _raw_weights(values: Floats) -> Floats:
    raw: Floats = np.zeros(len(values))
    finite = np.isfinite(values)
    if finite.any():
        raw[finite] = np.exp(-(values[finite] - values[finite].min()) / 2.0)
    return raw


def _weights(models: _Models) -> tuple[Floats, Bools, float]:
    """Weight of each model, 0 where it is not admissible; which are at the boundary; the share that was lost.

    The models at the end, which together would have less weight than rounding, are not judged and get none.
    """
    raw = _raw_weights(models.values)
    behind = np.cumsum(raw[::-1])[::-1]
    rows = np.flatnonzero(behind > UNSEEN_WEIGHT * raw.sum())
    kept, boundary = np.zeros(len(raw)), np.zeros(len(raw), dtype=bool)
    allowed, boundary[rows] = models.allowed(rows)
    kept[rows] = np.where(allowed, raw[rows], 0.0)
    if not kept[~boundary].any():
        allowed, boundary = models.allowed(np.arange(len(raw)))
        kept = np.where(allowed, raw, 0.0)
    if not kept.any():
        return kept, boundary, 1.0
    return kept / kept.sum(), boundary, 1.0 - float(kept.sum() / raw.sum())


def _frame_with_weights(models: _Models, data: ListCounts, rule: SelectionRule) -> pd.DataFrame:
    """Table every model with its weight."""
    tried = models.everything()
    values = tried.criteria(data, rule.count)[rule.criterion]
    finite = tried.eligible(data, rule)
    has_weight = finite | _at_boundary(tried.status, np.isfinite(values), rule) if finite.any() else finite
    allowed = np.where(has_weight, _raw_weights(values), 0.0)
    total = allowed.sum()
    return selection_frame(tried, data, rule).assign(weight=allowed / total if total > 0.0 else allowed)


def _mixture(models: _Models, weights: Floats, boundary: Bools, data: ListCounts) -> Mixture:
    """Components of the models that carry weight."""
    heavy = weights > NEGLIGIBLE_WEIGHT * weights.max()
    rows, silent = np.flatnonzero(heavy & ~boundary), np.flatnonzero(heavy & boundary)
    n0, variance = models.n0[rows], models.log_n0_variance[rows]
    # Below one person a normal law for the logarithm describes Poisson variation no longer; it is held at one.
    spreads = np.sqrt(variance + 1.0 / np.maximum(n0, 1.0))
    total = weights[rows].sum() + weights[silent].sum()
    parts = _boundary_parts(models.term_sets[silent], weights[silent] / total, data)
    return Mixture(weights[rows] / total, np.log(n0), spreads, parts)


def _boundary_parts(term_sets: npt.NDArray[Any], weights: Floats, data: ListCounts) -> tuple[AtBoundary, ...]:
    """Find how the deviance of each model rises with the dark figure; light ones borrow the curve of the heaviest."""
    if not len(weights):
        return ()
    own = np.union1d(np.flatnonzero(weights >= OWN_CURVE), [np.argmax(weights)])
    shares = weights[own].copy()
    shares[np.argmax(shares)] += weights.sum() - shares.sum()
    pairs = zip(term_sets[own].tolist(), shares.tolist(), strict=True)
    return tuple(_boundary_part(term_set, weight, data) for term_set, weight in pairs)


def _boundary_part(term_set: int, weight: float, data: ListCounts) -> AtBoundary:
    terms = terms_of(HierarchicalModel.from_term_set(term_set, data.n_lists))
    fit = fit_model(data.counts, terms, data.n_lists, data.offset)
    profile = hidden_profile(data.counts, terms, data.n_lists, fit, data.offset)
    supposed = np.geomspace(SMALLEST_SUPPOSED, profile.largest, SUPPOSED)
    nobody, rises = profile.deviance_at(0.0), [0.0]
    for n0 in supposed:
        rises.append(max(profile.deviance_at(float(n0)) - nobody, rises[-1]))
        if rises[-1] > EXCLUDED_RISE:
            break
    return AtBoundary(weight, np.log(supposed[: len(rises) - 1]), np.array(rises[1:]))


def _diagnostics(lost: float, boundary: float, modes: list[dict[str, float]]) -> list[Diagnostic]:
    found = []
    if boundary > BOUNDARY_WARNING:
        message = (
            f"models that are most likely with nobody hidden have {boundary:.0%} of the weight; they enter by how many "
            f"they leave possible"
        )
        found.append(Diagnostic("boundary_weight", "warning", message, boundary))
    if lost > INADMISSIBLE_WARNING:
        message = f"models without an admissible answer would have had {lost:.0%} of the weight"
        found.append(Diagnostic("inadmissible_weight", "warning", message, lost))
    if len(modes) > 1:
        listed = ", ".join(f"{{{place}}} ({mode['share']:.0%})" for place, mode in enumerate(modes))
        message = f"the mixture has {len(modes)} modes: {listed}; read them beside the median"
        sizes = tuple(mode["n"] for mode in modes)
        found.append(Diagnostic("several_modes", "warning", message, len(modes), sizes))
    return found
