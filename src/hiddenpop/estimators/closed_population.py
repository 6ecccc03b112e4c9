"""`ClosedPopulation`: the closed-population family of Otis and colleagues as log-linear models."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.criteria import criteria_of
from hiddenpop.estimators.outcome import (
    INTERVALS,
    REASONS,
    IntervalMethod,
    cell_frame,
    goodness_of_fit,
    limits_from_variance,
)
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.protocol import check_choice, check_level, spec_of
from hiddenpop.kernels.heterogeneity import (
    ClosedDesign,
    ClosedFit,
    bias_corrected_counts,
    closed_design,
    fit_closed,
    fit_lower_bound,
    profile_of_design,
    without_unreached,
)
from hiddenpop.kernels.model_fit import saturated_constant
from hiddenpop.kernels.profile import ProfileLimits
from hiddenpop.kernels.removal import first_captures, fit_removal, profile_of_removal
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, EstimatorSpec, Interval
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["ClosedPopulation", "estimate_of_fit", "fit_with_steps"]

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

NO_INTERVAL = "none: from the number observed to infinity"
FEWEST_LISTS = {"Mbh": 3}
BEHAVIOUR_REASONS = {
    "unbounded": "first captures do not become fewer from one list to the next: a removal model has no finite answer",
    "boundary": "all first captures are on the first of these lists, so the model says that nobody was missed",
    "not_identified": "nobody was caught for the first time after the first list, which this model sets apart",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPopulation:
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
        is then ``"lognormal"`` or ``"wald"``.
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
        data = list_counts(table, estimator=self.name, minimum_lists=FEWEST_LISTS.get(self.model, 2))
        self._check_spread(data.n_lists)
        design = closed_design(self.model, data.lists, self.column, self.parameter)
        diagnostics: list[Diagnostic] = []
        if self.model in ("Mb", "Mbh"):
            design, fit, profile = _fit_with_behaviour(design, data, self.model, self.level)
            diagnostics.append(_order_diagnostic(data))
        else:
            design, fit, profile = fit_with_steps(design, data, self.level)
        if self.bias_corrected:
            fit, note = _corrected(self, data, fit)
            diagnostics.append(note)
        return estimate_of_fit(
            spec_of(self), table, data, design, fit, profile,
            label=self._label(), level=self.level, interval=self.interval, rng=rng, diagnostics=tuple(diagnostics),
        )  # fmt: skip

    def _label(self) -> str:
        parameter = "" if math.isnan(self.parameter) else f" {self.parameter:g}"
        return self.model if self.column is None else f"{self.model} {self.column}{parameter}"

    def _check_spread(self, n_lists: int) -> None:
        if self.column == "poisson" and self.parameter ** (n_lists - 2) > LARGEST_SPREAD:
            raise CapabilityError(
                f"theta={self.parameter:g} gives on {n_lists} lists a column from theta^2 to theta^{n_lists}, too wide "
                f"to compute with; take theta at most {LARGEST_SPREAD ** (1 / (n_lists - 2)):.3g}"
            )


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


def fit_with_steps(
    design: ClosedDesign, data: ListCounts, level: float
) -> tuple[ClosedDesign, ClosedFit, Callable[[float], ProfileLimits]]:
    """Fit a design whose unobserved cell has the intercept alone, Chao's steps kept at 0 or above.

    Parameters
    ----------
    design : ClosedDesign
    data : ListCounts
    level : float

    Returns
    -------
    design : ClosedDesign
        Without the steps set to 0.
    fit : ClosedFit
    profile : callable
        From the estimated dark figure to the profile likelihood limits.
    """
    counts = data.counts[1:]
    kept, fit = fit_lower_bound(design, counts)
    reached = without_unreached(design, counts)
    return kept, fit, lambda n0: profile_of_design(reached, counts, n0, level)


def _fit_with_behaviour(
    design: ClosedDesign, data: ListCounts, model: str, level: float
) -> tuple[ClosedDesign, ClosedFit, Callable[[float], ProfileLimits]]:
    counts = data.counts[1:]
    caught = first_captures(counts, data.n_lists)
    apart, first = (float(caught[0]), caught[1:]) if model == "Mbh" else (0.0, caught)
    fit = fit_removal(fit_closed(design, counts), first)

    def profile(n0: float) -> ProfileLimits:
        limits = profile_of_removal(first, n0, level)
        low, high, top = (apart + value for value in (limits.low, limits.high, limits.maximiser))
        return ProfileLimits(low, high, top, limits.reason)

    return design, fit, profile


def _order_diagnostic(data: ListCounts) -> Diagnostic:
    order = ", ".join(data.lists)
    return Diagnostic(
        "order_of_lists", "warning", f"the model takes the lists as moments in time, in this order: {order}"
    )


def _corrected(settings: ClosedPopulation, data: ListCounts, fit: ClosedFit) -> tuple[ClosedFit, Diagnostic]:
    """Take dark figure and variance from the counts with pseudo-counts; all else stays that of the data."""
    counts = bias_corrected_counts(data.counts[1:], data.n_lists)
    _, other = fit_lower_bound(closed_design(settings.model, data.lists, settings.column), counts)
    before = f"from {fit.n0:,.1f}" if math.isfinite(fit.n0) else f"from none ({fit.status})"
    after = f"to {other.n0:,.1f}" if math.isfinite(other.n0) else f"to none ({other.status})"
    moved = replace(
        fit, status=other.status, n0=other.n0, log_n0_variance=other.log_n0_variance,
        converged=fit.converged and other.converged,
    )  # fmt: skip
    return moved, Diagnostic(
        "bias_corrected",
        "info",
        f"bias correction moved the dark figure {before} {after}",
        other.n0 - fit.n0 if math.isfinite(fit.n0) and math.isfinite(other.n0) else None,
    )


def estimate_of_fit(
    spec: EstimatorSpec,
    table: CaptureTable,
    data: ListCounts,
    design: ClosedDesign,
    fit: ClosedFit,
    profile: Callable[[float], ProfileLimits],
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
    return Estimate(
        n_hat=data.n_observed + fit.n0 if fit.converged else math.nan,
        n_observed=data.n_observed,
        interval=limits,
        status=status,
        reason=reasons.get(status, ""),
        estimator=spec,
        table=table.summary,
        diagnostics=(*data.diagnostics, *_face_diagnostic(fit), *diagnostics),
        provenance=make_provenance(table.summary, rng),
        details={**_details(data, design, fit, label), **found},
        protected=("cells", "coefficients", "etas") if data.has_small else (),
    )


def _interval(
    n: int, fit: ClosedFit, profile: Callable[[float], ProfileLimits], level: float, method: IntervalMethod
) -> tuple[Interval, dict[str, Any]]:
    if fit.status == "not_identified" or not fit.converged:
        return Interval(n, math.inf, level, NO_INTERVAL), {}
    if fit.status == "ok" and method != "profile":
        return _interval_from_variance(n, fit, level, method), {}
    limits = _profile_or_none(fit, profile)
    if limits is None:
        failed = " (the profile likelihood drowns in rounding)"
        if fit.status != "ok":
            return Interval(n, math.inf, level, NO_INTERVAL + failed), {}
        return _interval_from_variance(n, fit, level, "lognormal", failed), {}
    extras = {"profile_maximum": limits.maximiser, "profile_reason": limits.reason}
    if fit.status == "ok" and not limits.low <= n + fit.n0 <= limits.high:
        away = f" (the profile, {limits.low:.6g} to {limits.high:.6g}, does not hold the estimate)"
        return _interval_from_variance(n, fit, level, "lognormal", away), extras
    fallback = "" if method == "profile" else f" ({method} needs a finite dark figure)"
    # The multinomial profile may lean away from a conditional maximum at 0 or at infinity; the interval holds both.
    low = n if fit.status == "boundary" else max(limits.low, n)
    high = math.inf if fit.status == "unbounded" else limits.high
    return Interval(low, high, level, f"profile, model taken as known{fallback}"), extras


def _profile_or_none(fit: ClosedFit, profile: Callable[[float], ProfileLimits]) -> ProfileLimits | None:
    """Profile limits, unless the likelihood is too large for a fall of about 2 to be seen in it."""
    if fit.deviance > LARGEST_DEVIANCE or (fit.status == "ok" and fit.n0 > LARGEST_PROFILED):
        return None
    try:
        return profile(fit.n0)
    except ArithmeticError:
        return None


def _interval_from_variance(
    n: int, fit: ClosedFit, level: float, method: IntervalMethod, why: str = ""
) -> Interval:
    low, high = limits_from_variance(fit.n0, fit.n0_standard_error, fit.log_n0_variance, level, method)
    name = {"lognormal": "log-normal", "wald": "Wald on the log dark figure"}[method]
    return Interval(n + low, n + high, level, f"{name}, model taken as known{why}")


def _face_diagnostic(fit: ClosedFit) -> list[Diagnostic]:
    off = int((~fit.on_face).sum())
    if not off:
        return []
    message = f"the maximum lies on a face: {off} empty cells have fitted count 0 and some parameters are at infinity"
    return [Diagnostic("face", "info", message, off)]


def _details(data: ListCounts, design: ClosedDesign, fit: ClosedFit, label: str) -> dict[str, Any]:
    cells = cell_frame(data, fit.means, fit.on_face)
    minus_twice = np.array([fit.deviance + saturated_constant(data.counts)])
    criteria = criteria_of(minus_twice, [len(design.names)], data.n_observed)
    return {
        "model": label,
        "dropped_lists": list(data.dropped),
        "coefficients": _coefficients(design, fit),
        "etas": {design.names[c]: float(fit.coefficients[c]) for c in design.etas},
        "n0_standard_error": fit.n0_standard_error,
        "deviance": fit.deviance,
        "criteria": {name: float(value[0]) for name, value in criteria.items()},
        "goodness_of_fit": goodness_of_fit(cells, fit.deviance, fit.rank),
        "cells": cells,
    }


def _coefficients(design: ClosedDesign, fit: ClosedFit) -> pd.DataFrame:
    undetermined = np.isnan(fit.coefficients)
    return pd.DataFrame(
        {
            "term": list(design.names),
            "estimate": fit.coefficients,
            "standard_error": fit.standard_errors,
            "note": np.where(undetermined, "not determined by the data", ""),
        }
    )
