"""`ClosedPopulation`: the closed-population family of Otis and colleagues as log-linear models."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.base import BaseEstimator, Facts, Scenario
from hiddenpop.estimators.loglinear import PROTECTED as OF_THE_FIT
from hiddenpop.estimators.many_lists import GroupedLists, filled_cells, goodness_of_filled, grouped_lists
from hiddenpop.estimators.outcome import (
    INTERVALS,
    REASONS,
    IntervalMethod,
    cell_frame,
    criteria_of,
    for_few_persons,
    goodness_of_fit,
    limits_from_variance,
    misfit_remarks,
)
from hiddenpop.estimators.prepare import (
    ListCells,
    ListCounts,
    has_many_lists,
    list_cells,
    list_counts,
)
from hiddenpop.estimators.protocol import check_choice, check_level, spec_of
from hiddenpop.histories import added_by, captures
from hiddenpop.kernels.poisson.dense import poisson_deviance
from hiddenpop.kernels.poisson.heterogeneity import (
    ClosedDesign,
    ClosedFit,
    behaviour_design,
    bias_corrected_cells,
    bias_corrected_counts,
    bias_corrected_variance,
    closed_design,
    first_captures,
    fit_closed,
    fit_lower_bound,
    fit_removal,
    frequency_design,
    lists_before_the_first,
    profile_of_design,
    profile_of_removal,
)
from hiddenpop.kernels.poisson.list_effects import (
    ListEffects,
    fit_list_effects,
    list_effects,
    profile_of_list_effects,
)
from hiddenpop.kernels.poisson.list_groups import GroupFit, fit_groups
from hiddenpop.kernels.poisson.model_fit import saturated_constant
from hiddenpop.kernels.poisson.profile import FEW_PERSONS, HiddenProfile, ProfileLimits, profile_limits
from hiddenpop.model import HierarchicalModel
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, EstimatorSpec, Interval
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["ClosedPopulation", "estimate_of_fit", "fit_effects", "fit_frequencies", "fit_with_steps"]

Design = ClosedDesign | ListEffects

ModelName = Literal["M0", "Mt", "Mh", "Mth", "Mb", "Mbh"]
Heterogeneity = Literal["chao", "poisson", "darroch", "gamma"]

MODELS = ("M0", "Mt", "Mh", "Mth", "Mb", "Mbh")
HETEROGENEITIES = ("chao", "poisson", "darroch", "gamma")
DEFAULT_PARAMETER = {"poisson": 2.0, "gamma": 3.5}
PARAMETER_RANGE = {"poisson": (1.01, 100.0), "gamma": (0.01, 100.0)}
"""Beyond these the column is within rounding of the number of captures, or of a mark for a single cell."""

LARGEST_SPREAD = 1e6
"""Largest ratio of the entries of a heterogeneity column that linear programmes to 1e-7 can tell apart."""

LARGEST_DEVIANCE, LARGEST_PROFILED = 1e10, 1e25
"""A profile looks for a fall of about 2 in the likelihood; rounding comes near that beyond these."""

PROTECTED = (*OF_THE_FIT, "etas")

NO_INTERVAL = "none: from the number observed to infinity"
FEWEST_LISTS = {"Mbh": 3}
BEHAVIOUR_REASONS = {
    "unbounded": "first captures do not become fewer from one list to the next: a removal model has no finite answer",
    "boundary": "all first captures are on the first of these lists, so the model says that nobody was missed",
    "not_identified": "nobody was caught for the first time after the first list, which this model sets apart",
}


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPopulation(BaseEstimator):
    """Size of a closed population when capture varies by list, by person, or after a first capture.

    The estimand is ``N = n + n0`` where ``n0`` is the mean of the unobserved cell under the model named.

    Parameters
    ----------
    model : {"M0", "Mt", "Mh", "Mth", "Mb", "Mbh"}
        ``0`` one capture probability for all; ``t`` lists differ; ``h`` persons differ; ``b`` capture changes the
        chance of later captures, which takes the lists in the order of the table as moments in time.
    heterogeneity : {"chao", "poisson", "darroch", "gamma"}, optional
        For ``"Mh"`` and ``"Mth"``. ``"chao"`` (default) gives a lower bound; the others add the column ``theta^k - 1``,
        ``k^2 / 2`` or ``log theta - log(theta + k)`` for k captures.
    theta : float, optional
        Parameter of ``"poisson"`` (2 by default) or ``"gamma"`` (3.5 by default).
    bias_corrected : bool
        Take out the first-order bias (Rivest & Levesque 2001), for ``"Mt"`` and ``"Mth"`` with ``"chao"``; the interval
        is then ``"lognormal"`` or ``"wald"``, and that of the likelihood where few persons carry the estimate. On two
        lists it is `Chapman`, with the variance of Seber (1970).
    interval : {"profile", "lognormal", "wald"}
    level : float
        Confidence level.

    Raises
    ------
    SettingError
        For a setting it cannot have, or one that has no meaning beside another.

    Notes
    -----
    Heterogeneity enters every list in the same way, so ``"Mth"`` holds only when what makes a person hard to find is
    common to the lists. Different columns for heterogeneity fit alike and extrapolate differently: on many tables the
    data cannot tell them apart, and the spread between them is the honest uncertainty.

    References
    ----------
    Otis, D. L., Burnham, K. P., White, G. C. and Anderson, D. R. (1978). Wildlife Monographs 62.
    Cormack, R. M. (1989). Log-linear models for capture-recapture. Biometrics 45(2), 395-413. doi:10.2307/2531485
    Rivest, L.-P. and Baillargeon, S. (2007). Applications and extensions of Chao's moment estimator for the size of a
    closed population. Biometrics 63(4), 999-1006. doi:10.1111/j.1541-0420.2007.00779.x

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = ClosedPopulation(model="Mth", heterogeneity="poisson").fit(hp.datasets.load("hares"))
    >>> round(estimate.n_hat, 1)
    81.1
    """

    name: ClassVar[str] = "closed_population"

    model: ModelName = "Mth"
    heterogeneity: Heterogeneity | None = None
    theta: float | None = None
    bias_corrected: bool = False
    interval: IntervalMethod = "profile"
    level: float = 0.95

    def __post_init__(self) -> None:
        check_choice("model", self.model, MODELS)
        check_choice("interval", self.interval, INTERVALS)
        check_level(self.level)
        _check_heterogeneity(self.model, self.heterogeneity)
        _check_theta(self.column, self.theta)
        _check_correction(self)

    @property
    def column(self) -> str | None:
        """Kind of heterogeneity, ``"chao"`` where a model with heterogeneity names none."""
        return (self.heterogeneity or "chao") if self.model in ("Mh", "Mth") else None

    @property
    def parameter(self) -> float:
        """Parameter of the heterogeneity column; nan where there is none."""
        return self.theta if self.theta is not None else DEFAULT_PARAMETER.get(self.column or "", math.nan)

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
            If the table has gaps in coverage, censored cells, fewer lists that caught somebody than the model needs,
            or so many that the heterogeneity column cannot be computed with.
        """
        check_table(table)
        if self._in_groups(table):
            return self._grouped_estimate(table, rng)
        data, design, fit, profile = self._fitted(table)
        diagnostics = [_order_diagnostic(data)] if self.model in ("Mb", "Mbh") else []
        too_few = self.bias_corrected and profile.information < FEW_PERSONS
        if self.bias_corrected:
            fit, note = _corrected(self, data, fit)
            diagnostics.append(note)
        estimate = estimate_of_fit(
            spec_of(self), table, data, design, fit, profile,
            label=self._label(), level=self.level, interval="profile" if too_few else self.interval, rng=rng,
            diagnostics=tuple(diagnostics),
        )  # fmt: skip
        if not too_few or estimate.status != "ok":
            return estimate
        return replace(estimate, interval=for_few_persons(estimate.interval, estimate.n_hat, self.interval))

    def hidden_profile(self, table: CaptureTable) -> HiddenProfile | None:
        """Say what the data tell of every dark figure; None where the interval is not from the likelihood."""
        if self._in_groups(table):
            return self._grouped(table).profile if self.interval == "profile" else None
        _, _, fit, profile = self._fitted(table)
        return profile if self.interval == "profile" and fit.converged else None

    def _in_groups(self, table: CaptureTable) -> bool:
        """Tell whether lists that differ are more than a dense table can have."""
        return self.model == "Mt" and has_many_lists(table)

    def _grouped(self, table: CaptureTable) -> GroupedLists:
        return grouped_lists(table, self.name, HierarchicalModel.independence(table.n_lists))

    def _grouped_estimate(self, table: CaptureTable, rng: RNGLike) -> Estimate:
        grouped = self._grouped(table)

        def estimated(lists: GroupedLists, interval: IntervalMethod) -> Estimate:
            return lists.estimate(
                spec_of(self), table, label={"model": self._label(), "etas": {}}, level=self.level, interval=interval,
                rng=rng, protected=PROTECTED,
            )  # fmt: skip

        if not self.bias_corrected:
            return estimated(grouped, self.interval)
        cells = bias_corrected_cells(grouped.data.histories, grouped.data.counts, grouped.data.n_lists)
        other = fit_groups(*cells, grouped.groups)
        moved = replace(grouped.fit, status=other.status, n0=other.n0, log_n0_variance=other.log_n0_variance)
        note = _correction_diagnostic(grouped.fit, other)
        data = replace(grouped.data, diagnostics=(*grouped.data.diagnostics, note))
        corrected = estimated(replace(grouped, data=data, fit=moved), self.interval)
        if grouped.fit.information >= FEW_PERSONS:
            return corrected
        limits = estimated(grouped, "profile").interval
        return replace(corrected, interval=for_few_persons(limits, corrected.n_hat, self.interval))

    def _fitted(self, table: CaptureTable) -> tuple[ListCounts | ListCells, Design, ClosedFit, HiddenProfile]:
        if has_many_lists(table):
            cells = list_cells(table, estimator=self.name)
            self._check_spread(cells.n_lists)
            return cells, *self._fit_cells(cells)
        data = list_counts(table, estimator=self.name, minimum_lists=FEWEST_LISTS.get(self.model, 2))
        self._check_spread(data.n_lists)
        design = closed_design(self.model, data.lists, self.column, self.parameter)
        fit = _fit_with_behaviour if self.model in ("Mb", "Mbh") else fit_with_steps
        return data, *fit(design, data)

    def _fit_cells(self, cells: ListCells) -> tuple[Design, ClosedFit, HiddenProfile]:
        """Fit to the non-empty cells of any number of lists."""
        if self.model in ("Mb", "Mbh"):
            return _fit_behaviour(cells, self.model)
        if self.column is not None and self.model == "Mth":
            return fit_effects(cells, self.column, self.parameter)
        return fit_frequencies(cells, self.column, self.parameter)

    def _label(self) -> str:
        parameter = "" if math.isnan(self.parameter) else f" {self.parameter:g}"
        return self.model if self.column is None else f"{self.model} {self.column}{parameter}"

    def _check_spread(self, n_lists: int) -> None:
        if self.column == "poisson" and self.parameter ** (n_lists - 2) > LARGEST_SPREAD:
            raise CapabilityError(
                f"theta={self.parameter:g} gives on {n_lists} lists a column from theta^2 to theta^{n_lists}, too wide "
                f"to compute with; take theta at most {LARGEST_SPREAD ** (1 / (n_lists - 2)):.3g}"
            )

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("capture_law", "no_dependence", "large_sample"),
            model_is="given",
            is_bound=self.column == "chao",
            other_priors=(),
            needs_draws=False,
            adds_up_strata=True,
        )

    def prepare(self, table: CaptureTable) -> Any:
        """Count and fit, which takes no longer than to count; the interval is left."""
        check_table(table)
        return self._grouped(table) if self._in_groups(table) else self._fitted(table)

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        """Each model of the family holds for independent lists, its further terms then being 0."""
        if self.column in ("poisson", "darroch", "gamma") and len(scenario.lists) < 3:
            return (f"two lists cannot show the heterogeneity that model {self.model} estimates",)
        equal = () if self.model in ("Mt", "Mth") else ("equal_lists",)
        return scenario.unmet("independent", *equal)


def _check_heterogeneity(model: str, heterogeneity: str | None) -> None:
    if heterogeneity is None:
        return
    check_choice("heterogeneity", heterogeneity, HETEROGENEITIES)
    if model not in ("Mh", "Mth"):
        raise SettingError(
            f"model={model!r} has no heterogeneity column; leave heterogeneity out, or take 'Mh' or 'Mth'"
        )


def _check_theta(column: str | None, theta: float | None) -> None:
    if theta is None:
        return
    if column not in PARAMETER_RANGE:
        raise SettingError(
            f"theta={theta!r} belongs to heterogeneity 'poisson' or 'gamma'; leave it out here"
        )
    low, high = PARAMETER_RANGE[column]
    if not low <= theta <= high:
        raise SettingError(f"theta={theta!r} of {column!r} must be a number from {low:g} to {high:g}")


def _check_correction(settings: ClosedPopulation) -> None:
    if not isinstance(settings.bias_corrected, bool):
        raise SettingError(f"bias_corrected={settings.bias_corrected!r} must be True or False")
    if not settings.bias_corrected:
        return
    if settings.model not in ("Mt", "Mth") or settings.column not in (None, "chao"):
        raise SettingError(
            "bias_corrected=True is for model 'Mt' and for 'Mth' with heterogeneity 'chao'; "
            "the corrected bound for lists of one size is the estimator 'chao' with list_effects=False"
        )
    if settings.interval == "profile":
        raise SettingError(
            "bias_corrected=True has no profile likelihood; take interval='lognormal' or 'wald'"
        )


def fit_with_steps(design: ClosedDesign, data: ListCounts) -> tuple[ClosedDesign, ClosedFit, HiddenProfile]:
    """Fit a design whose unobserved cell has the intercept alone, Chao's steps kept at 0 or above.

    Parameters
    ----------
    design : ClosedDesign
    data : ListCounts

    Returns
    -------
    design : ClosedDesign
        Without the steps that are 0.
    fit : ClosedFit
    profile : HiddenProfile
    """
    counts = data.counts[1:]
    kept, fit = fit_lower_bound(design, counts)
    return kept, fit, profile_of_design(design, counts, fit)


def fit_frequencies(
    data: ListCells, heterogeneity: str | None = None, parameter: float = math.nan
) -> tuple[ClosedDesign, ClosedFit, HiddenProfile]:
    """Fit a model whose lists are alike to the numbers of persons caught 1, ..., t times, for any number of lists.

    Parameters
    ----------
    data : ListCells
    heterogeneity, parameter
        As for `frequency_design`.

    Returns
    -------
    design : ClosedDesign
        Without the steps that are 0.
    fit : ClosedFit
        Its deviance is that of all cells, its means are of the numbers of persons.
    profile : HiddenProfile
    """
    design = frequency_design(data.n_lists, heterogeneity, parameter)
    row = captures(data.histories) - 1
    counts = added_by(row, data.counts, data.n_lists)
    kept, fit = fit_lower_bound(design, counts)
    times = np.arange(data.n_lists)
    return kept, _of_cells(data, kept, fit, row, times), profile_of_design(design, counts, fit)


def fit_effects(
    data: ListCells, heterogeneity: str, parameter: float = math.nan
) -> tuple[ListEffects, ClosedFit, HiddenProfile]:
    """Fit a model whose lists differ beside what heterogeneity does, for any number of lists.

    Parameters
    ----------
    data : ListCells
    heterogeneity, parameter
        As for `list_effects`.

    Returns
    -------
    design : ListEffects
        Without the steps that are 0.
    fit : ClosedFit
    profile : HiddenProfile
    """
    design = list_effects(data.lists, heterogeneity, parameter)
    kept, fit = fit_list_effects(design, data.histories, data.counts)
    return kept, fit, profile_of_list_effects(design, data.histories, data.counts, fit)


def _of_cells(data: ListCells, design: ClosedDesign, fit: ClosedFit, row: Ints, times: Ints) -> ClosedFit:
    """Turn a fit to groups of histories that are alike into one to histories: means of those with people, deviance.

    `row` is the group of each history, `times` the number of captures of each group, less one.
    """
    n_histories = 1.0 if design.offset is None else np.exp(design.offset)
    means = (fit.means / n_histories)[row]
    deviance = poisson_deviance(data.counts, means) + 2.0 * (data.n_observed - float(means.sum()))
    by_captures = added_by(times, fit.means, data.n_lists)
    return replace(fit, means=means, deviance=deviance, by_captures=by_captures)


def _fit_with_behaviour(
    design: ClosedDesign, data: ListCounts
) -> tuple[ClosedDesign, ClosedFit, HiddenProfile]:
    counts = data.counts[1:]
    return _removed(design, fit_closed(design, counts), first_captures(counts, data.n_lists))


def _fit_behaviour(data: ListCells, model: str) -> tuple[ClosedDesign, ClosedFit, HiddenProfile]:
    """Fit a model with behavioural response to the numbers of persons by first capture and captures."""
    design, rows = behaviour_design(model, data.n_lists)
    before = lists_before_the_first(data.histories).astype(np.int64)
    row = rows[before, captures(data.histories)]
    fit = fit_closed(design, added_by(row, data.counts, len(design.matrix)))
    caught = added_by(before, data.counts, data.n_lists)
    recaptures = design.matrix[:, design.names.index("recaptures")].astype(np.int64)
    return _removed(design, _of_cells(data, design, fit, row, recaptures), caught)


def _removed(
    design: ClosedDesign, fit: ClosedFit, caught: Floats
) -> tuple[ClosedDesign, ClosedFit, HiddenProfile]:
    """Take the dark figure from first captures; under Mbh those on the first list stand apart."""
    first = caught[1:] if "first capture on the first list" in design.names else caught
    found = fit_removal(fit, first)
    return design, found, profile_of_removal(first, found)


def _order_diagnostic(data: ListCounts | ListCells) -> Diagnostic:
    order = ", ".join(data.lists)
    return Diagnostic(
        "order_of_lists", "warning", f"the model takes the lists as moments in time, in this order: {order}"
    )


def _corrected(
    settings: ClosedPopulation, data: ListCounts | ListCells, fit: ClosedFit
) -> tuple[ClosedFit, Diagnostic]:
    """Take dark figure and variance from the counts with pseudo-counts; all else stays that of the data."""
    if isinstance(data, ListCells):
        cells = bias_corrected_cells(data.histories, data.counts, data.n_lists)
        _, other = fit_list_effects(list_effects(data.lists, "chao"), *cells)
        variance = other.log_n0_variance
    else:
        counts = bias_corrected_counts(data.counts[1:], data.n_lists)
        _, other = fit_lower_bound(closed_design(settings.model, data.lists, settings.column), counts)
        variance = bias_corrected_variance(other, counts)
    moved = replace(
        fit, status=other.status, n0=other.n0, log_n0_variance=variance,
        converged=fit.converged and other.converged,
    )  # fmt: skip
    return moved, _correction_diagnostic(fit, other)


def _correction_diagnostic(fit: ClosedFit | GroupFit, other: ClosedFit | GroupFit) -> Diagnostic:
    before = f"from {fit.n0:,.1f}" if math.isfinite(fit.n0) else f"from none ({fit.status})"
    after = f"to {other.n0:,.1f}" if math.isfinite(other.n0) else f"to none ({other.status})"
    return Diagnostic(
        "bias_corrected",
        "info",
        f"bias correction moved the dark figure {before} {after}",
        other.n0 - fit.n0 if math.isfinite(fit.n0) and math.isfinite(other.n0) else None,
    )


def estimate_of_fit(
    spec: EstimatorSpec,
    table: CaptureTable,
    data: ListCounts | ListCells,
    design: Design,
    fit: ClosedFit,
    profile: HiddenProfile,
    *,
    label: str,
    level: float,
    interval: IntervalMethod,
    rng: RNGLike,
    diagnostics: tuple[Diagnostic, ...] = (),
) -> Estimate:
    """Make the estimate that follows from one fitted closed-population model."""
    limits, found = _interval(data.n_observed, fit, profile, level, interval)
    reasons = {**REASONS, **BEHAVIOUR_REASONS} if label in ("Mb", "Mbh") else REASONS
    status = fit.status if fit.converged else "not_converged"
    details = _details(data, design, fit, label)
    return Estimate(
        n_hat=data.n_observed + fit.n0 if fit.converged else math.nan,
        n_observed=data.n_observed,
        interval=limits,
        status=status,
        reason=reasons.get(status, ""),
        estimator=spec,
        table=table.summary,
        diagnostics=(
            *misfit_remarks(details),
            *data.diagnostics,
            *_face_diagnostic(design, fit),
            *diagnostics,
        ),
        provenance=make_provenance(table.summary, rng),
        details={**details, **found},
        protected=PROTECTED if data.has_small else (),
    )


def _interval(
    n: int, fit: ClosedFit, profile: HiddenProfile, level: float, method: IntervalMethod
) -> tuple[Interval, dict[str, Any]]:
    if fit.status == "not_identified" or not fit.converged:
        return Interval(n, math.inf, level, NO_INTERVAL), {}
    if fit.status == "ok" and method != "profile":
        return _interval_from_variance(n, fit, level, method), {}
    limits = _profile_or_none(fit, profile, level)
    if limits is None:
        failed = " (the profile likelihood drowns in rounding)"
        if fit.status != "ok":
            return Interval(n, math.inf, level, NO_INTERVAL + failed), {}
        return _interval_from_variance(n, fit, level, "lognormal", failed), {}
    apart = n - profile.n_observed  # persons whose history says nothing of those hidden
    extras = {"profile_maximum": apart + limits.maximiser, "profile_reason": limits.reason}
    fallback = "" if method == "profile" else f" ({method} needs a finite dark figure)"
    low, high = max(apart + limits.low, n), max(apart + limits.high, n)
    return Interval(low, high, level, f"{limits.method}, model taken as known{fallback}"), extras


def _profile_or_none(fit: ClosedFit, profile: HiddenProfile, level: float) -> ProfileLimits | None:
    """Profile limits, unless the likelihood is too large for a fall of about 2 to be seen in it."""
    if fit.deviance > LARGEST_DEVIANCE or (fit.status == "ok" and fit.n0 > LARGEST_PROFILED):
        return None
    try:
        return profile_limits(profile, level)
    except ArithmeticError:
        return None


def _interval_from_variance(
    n: int, fit: ClosedFit, level: float, method: IntervalMethod, why: str = ""
) -> Interval:
    low, high = limits_from_variance(fit.n0, fit.n0_standard_error, fit.log_n0_variance, level, method)
    name = {"lognormal": "log-normal", "wald": "Wald on the log dark figure"}[method]
    return Interval(n + math.floor(low), n + high, level, f"{name}, model taken as known{why}")


def _face_diagnostic(design: Design, fit: ClosedFit) -> list[Diagnostic]:
    cells = 1.0 if design.offset is None else np.rint(np.exp(design.offset))
    off = int((~fit.on_face * cells).sum())
    if not off:
        return []
    message = f"the maximum lies on a face: {off} empty cells have fitted count 0 and some parameters are at infinity"
    return [Diagnostic("face", "info", message, off)]


def _details(data: ListCounts | ListCells, design: Design, fit: ClosedFit, label: str) -> dict[str, Any]:
    if isinstance(data, ListCells):
        cells = filled_cells(data, fit.means)
        goodness = goodness_of_filled(data, fit.means, fit.deviance, fit.rank, fit.by_captures)
        counts = np.append(0.0, data.counts)
    else:
        cells = cell_frame(data, fit.means, fit.on_face)
        goodness, counts = goodness_of_fit(cells, fit.deviance, fit.rank), data.counts
    minus_twice = np.array([fit.deviance + saturated_constant(counts)])
    criteria = criteria_of(minus_twice, [len(design.names)], data.n_observed)
    return {
        "model": label,
        "dropped_lists": list(data.dropped),
        "coefficients": _coefficients(design, fit),
        "etas": {design.names[c]: float(fit.coefficients[c]) for c in design.etas},
        "n0_standard_error": fit.n0_standard_error,
        "deviance": fit.deviance,
        "criteria": {name: float(value[0]) for name, value in criteria.items()},
        "goodness_of_fit": goodness,
        "cells": cells,
    }


def _coefficients(design: Design, fit: ClosedFit) -> pd.DataFrame:
    undetermined = np.isnan(fit.coefficients)
    return pd.DataFrame(
        {
            "term": list(design.names),
            "estimate": fit.coefficients,
            "standard_error": fit.standard_errors,
            "note": np.where(undetermined, "not determined by the data", ""),
        }
    )
