"""From a fitted model to an `Estimate`: criteria, goodness of fit, limits and diagnostics."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtrc, ndtri

from hiddenpop._typing import Bools, Floats
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.histories import decode
from hiddenpop.kernels.poisson.model_fit import ModelFit, hidden_profile
from hiddenpop.kernels.poisson.plain import refit_deviances
from hiddenpop.kernels.poisson.profile import profile_limits
from hiddenpop.model import HierarchicalModel, term_label
from hiddenpop.result import MISFIT, Diagnostic, Interval, Status
from hiddenpop.table import RNGLike

__all__ = [
    "CRITERIA",
    "INTERVALS",
    "REASONS",
    "REJECTED",
    "Criterion",
    "IntervalMethod",
    "cell_frame",
    "criteria_of",
    "fit_diagnostics",
    "for_few_persons",
    "goodness_of_fit",
    "limits_from_variance",
    "misfit_p_value",
    "misfit_remarks",
    "model_details",
    "model_interval",
    "noted_coefficients",
    "pooled_pearson",
    "residuals_of",
    "status_of_fit",
    "terms_of",
]

IntervalMethod = Literal["profile", "lognormal", "wald"]
INTERVALS: tuple[str, ...] = ("profile", "lognormal", "wald")

METHOD_NAMES = {"lognormal": "log-normal limits", "wald": "Wald limits"}

REASONS = {
    "unbounded": "the likelihood keeps rising as the dark figure grows: the empty cells leave it no upper limit",
    "boundary": "the data push the dark figure to 0: the likelihood is highest when nobody was missed",
    "not_identified": "the data do not determine the dark figure under this model: different values fit equally well",
    "not_converged": "the fit did not converge",
}

RESIDUAL_ROUNDING = 1e-9
"""A smaller Pearson residual is the rounding of a fit that meets the count, whose sign depends on the machine."""

LARGE_ENOUGH = 5.0
SHARE_LARGE_ENOUGH = 0.8
IMPLAUSIBLE_RATIO = 1e6
GOODNESS_TABLES, GOODNESS_TABLES_MANY_LISTS = 999, 199
DEVIANCE_ROUNDING = 1e-7
"""Two tables that fit equally well differ by the stopping rule of the fit; count them as equal."""

REJECTED = 0.01
"""p-value below which a model is rejected; the choice of a model by the same data makes p-values too large."""

Criterion = Literal["bic", "aic", "aicc"]
CRITERIA: tuple[str, ...] = ("bic", "aic", "aicc")


def status_of_fit(fit: ModelFit) -> tuple[Status, str]:
    """Status and reason of a fitted model."""
    if not fit.converged:
        return "not_converged", REASONS["not_converged"]
    return fit.face.status, REASONS.get(fit.face.status, "")


def limits_from_variance(
    n0: float, n0_standard_error: float, log_n0_variance: float, level: float, method: IntervalMethod
) -> tuple[float, float]:
    """Limits for the dark figure from its estimated variance.

    Parameters
    ----------
    n0, n0_standard_error : float
        Dark figure in persons, finite and positive.
    log_n0_variance : float
        Variance of its logarithm, without Poisson variation.
    level : float
    method : {"lognormal", "wald"}
        ``"lognormal"`` (Chao 1987): ``n0 / C`` and ``n0 C`` with ``C = exp(z sqrt(log(1 + se^2 / n0^2)))``.
        ``"wald"``: ``exp(log n0 -/+ z se(log n0))``, which leaves Poisson variation out.

    Returns
    -------
    low, high : float
        The lower log-normal one is rounded down to whole persons: a limit between 0 and 1 would exclude that nobody is
        hidden, and between two sizes of a population there is none. Of the Wald limits, whose digits are published,
        only one below 1 is.

    References
    ----------
    Chao, A. (1987). Estimating the population size for capture-recapture data with unequal catchability. Biometrics
    43(4), 783-791. doi:10.2307/2531532

    Examples
    --------
    >>> low, high = limits_from_variance(60.0, 20.0, 0.1, 0.95, "lognormal")  # 60 / C is 31.8
    >>> low, round(high, 1)
    (31.0, 113.4)
    """
    z = -float(ndtri((1.0 - level) / 2.0))
    if method == "wald":
        spread = z * math.sqrt(log_n0_variance)
    else:
        spread = z * math.sqrt(math.log1p((n0_standard_error / n0) ** 2))
    low = n0 * math.exp(-spread)
    return float(math.floor(low)) if method == "lognormal" or low < 1.0 else low, n0 * math.exp(spread)


def model_interval(
    data: ListCounts,
    model: HierarchicalModel,
    fit: ModelFit,
    level: float,
    method: IntervalMethod,
    known: str,
) -> tuple[Interval, dict[str, Any]]:
    """Interval for N under one model, and what the profile says besides.

    Parameters
    ----------
    data : ListCounts
    model : HierarchicalModel
    fit : ModelFit
    level : float
    method : {"profile", "lognormal", "wald"}
        The last two need a finite dark figure; without one the profile is used and named.
    known : str
        What the interval takes as known, e.g. ``"model taken as known"``.

    Returns
    -------
    interval : Interval
    extras : dict
    """
    n, status = data.n_observed, fit.face.status
    if status == "not_identified" or not fit.converged:
        return Interval(n, math.inf, level, "none: from the number observed to infinity"), {}
    if status == "ok" and method != "profile":
        low, high = limits_from_variance(fit.n0, fit.n0_standard_error, fit.log_n0_variance, level, method)
        name = {"lognormal": "log-normal", "wald": "Wald on the log dark figure"}[method]
        return Interval(n + low, n + high, level, f"{name}, {known}"), {}
    profile = profile_limits(
        hidden_profile(data.counts, terms_of(model), data.n_lists, fit, data.offset), level
    )
    fallback = "" if method == "profile" else f" ({method} needs a finite dark figure)"
    extras = {"profile_maximum": profile.maximiser, "profile_reason": profile.reason}
    # The profile runs on the persons of the fitted table, which for two of many lists are fewer than those observed.
    low, high = max(profile.low, n), max(profile.high, n)
    return Interval(low, high, level, f"{profile.method}, {known}{fallback}"), extras


def for_few_persons(limits: Interval, n_hat: float, method: IntervalMethod) -> Interval:
    """Put likelihood limits in the place of those from a variance, around a bias-corrected estimate.

    The likelihood is largest a little above such an estimate, and its limits may leave it out.
    """
    return replace(
        limits,
        low=min(limits.low, n_hat),
        high=max(limits.high, n_hat),
        method=f"{limits.method} (too few persons for {METHOD_NAMES[method]})",
    )


def terms_of(model: HierarchicalModel) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Terms of a model as an array, the intercept last, as the kernels want them."""
    return np.array([*model.terms[1:], 0], dtype=np.int64)


def model_details(
    data: ListCounts, model: HierarchicalModel, fit: ModelFit, criteria: dict[str, float], rng: RNGLike
) -> dict[str, Any]:
    """Collect what a reader of one fitted model asks for: coefficients, fitted counts, goodness of fit."""
    cells = cell_frame(data, fit.means[1:], fit.face.cells[1:])
    seeded = None if rng is None else partial(_bootstrap_p_value, data, model, fit, rng)
    return {
        "model": str(model),
        "formula": model.to_formula(data.lists),
        "dropped_lists": list(data.dropped),
        "coefficients": _coefficient_frame(data, model, fit),
        "n0_standard_error": fit.n0_standard_error,
        "deviance": fit.deviance,
        "criteria": criteria,
        "goodness_of_fit": goodness_of_fit(cells, fit.deviance, fit.face.rank, seeded),
        "cells": cells,
    }


def _coefficient_frame(data: ListCounts, model: HierarchicalModel, fit: ModelFit) -> pd.DataFrame:
    terms = terms_of(model)
    names = [
        "*".join(data.lists[i] for i in range(data.n_lists) if term >> i & 1) or "intercept" for term in terms
    ]
    positions = [term_label(int(term), data.n_lists) for term in terms]
    return noted_coefficients(names, positions, fit.coefficients, fit.standard_errors)


def noted_coefficients(
    names: Sequence[str], positions: Sequence[str], estimates: Floats, standard_errors: Floats
) -> pd.DataFrame:
    """Table coefficients with a note where one is not a number."""
    return pd.DataFrame(
        {
            "term": names,
            "positions": positions,
            "estimate": estimates,
            "standard_error": standard_errors,
            "note": [_coefficient_note(value) for value in estimates],
        }
    )


def _coefficient_note(value: float) -> str:
    if value == -math.inf:
        return "minus infinity: nobody is on all of these lists"
    return "not determined by the data" if math.isnan(value) else ""


def cell_frame(data: ListCounts, fitted: Floats, on_face: Bools) -> pd.DataFrame:
    """Table the observed and fitted counts of every observable cell, with Pearson residuals on the face."""
    counts = data.counts[1:]
    residual = np.zeros(len(counts))
    residual[on_face] = residuals_of(counts[on_face], fitted[on_face])
    bits = decode(np.arange(1, len(data.counts)), data.n_lists)
    return pd.DataFrame(
        {
            **dict(zip(data.lists, bits.T, strict=True)),
            "count": counts.astype(np.int64),
            "fitted": fitted,
            "residual": residual,
            "on_face": on_face,
        }
    )


def residuals_of(counts: Floats, fitted: Floats) -> Floats:
    """Give the Pearson residuals, 0 where there is nothing but rounding."""
    residual = (counts - fitted) / np.sqrt(fitted)
    residual[np.abs(residual) < RESIDUAL_ROUNDING] = 0.0
    return residual


def goodness_of_fit(
    cells: pd.DataFrame, deviance: float, rank: int, bootstrap: Callable[[], tuple[float, int]] | None = None
) -> dict[str, Any]:
    """Give deviance and Pearson statistics with p-values by the route that the fitted counts carry.

    Chi-square when four fifths of the fitted counts are 5 or more; otherwise `bootstrap`, which gives a p-value and
    the number of tables behind it; otherwise none, with the reason.
    """
    on_face = cells["on_face"].to_numpy()
    fitted, residual = (cells[column].to_numpy()[on_face] for column in ("fitted", "residual"))
    df = len(fitted) - rank
    pearson = float((residual**2).sum())
    result = {"deviance": deviance, "pearson": pearson, "df": df, "p_deviance": None, "p_pearson": None}
    if df <= 0:
        return {**result, "p_method": "none: the model has as many parameters as there are cells on its face"}
    if (fitted >= LARGE_ENOUGH).mean() >= SHARE_LARGE_ENOUGH:
        tails = {"p_deviance": float(chdtrc(df, deviance)), "p_pearson": float(chdtrc(df, pearson))}
        return {**result, **tails, "p_method": "chi-square"}
    if bootstrap is None:
        why = "fitted counts too small for chi-square; a parametric bootstrap, where offered, needs a seed (rng)"
        return {**result, "p_method": f"none: {why}"}
    p_value, size = bootstrap()
    return {
        **result,
        "p_deviance": p_value,
        "p_method": f"parametric bootstrap of the deviance, {size} tables",
    }


def _bootstrap_p_value(
    data: ListCounts, model: HierarchicalModel, fit: ModelFit, rng: RNGLike
) -> tuple[float, int]:
    """Share of tables drawn from the fitted model, with as many persons, that fit it no better than the data do."""
    size = GOODNESS_TABLES if data.n_lists <= 8 else GOODNESS_TABLES_MANY_LISTS
    expected = np.where(fit.face.cells, fit.means, 0.0)
    tables = (
        np.random.default_rng(rng)
        .multinomial(data.n_observed, expected / expected.sum(), size=size)
        .astype(np.float64)
    )
    deviances = refit_deviances(tables, terms_of(model), data.n_lists, data.offset)
    worse = int(np.sum(deviances >= fit.deviance - DEVIANCE_ROUNDING))
    return (1 + worse) / (1 + size), size


def fit_diagnostics(fit: ModelFit) -> list[Diagnostic]:
    """Say when the maximum lies on a face, where some fitted counts are 0, and when the answer is out of all bounds."""
    found = []
    observed = float(fit.means[1:].sum())
    if math.isfinite(fit.n0) and fit.n0 > IMPLAUSIBLE_RATIO * observed:
        message = "the dark figure is more than a million times the observed: far outside what data can tell"
        found.append(Diagnostic("implausibly_large", "warning", message, fit.n0 / observed))
    off = int((~fit.face.cells[1:]).sum())
    if not off:
        return found
    message = f"the maximum lies on a face: the fitted count is 0 in {off} empty cells, some interactions are infinite"
    return [*found, Diagnostic("face", "info", message, off)]


# === whether a fitted model is rejected by its goodness of fit, also where many cells hold few persons ================


@dataclass(frozen=True, slots=True)
class PooledTest:
    """Pearson's test over pooled cells.

    Attributes
    ----------
    pearson : float
    df : int
        At most so many degrees of freedom.
    p_value : float
        Of the most degrees of freedom, so no smaller than it should be; 1 where there is nothing to test.
    """

    pearson: float
    df: int
    p_value: float


def pooled_pearson(counts: Floats, fitted: Floats) -> PooledTest:
    """Test a fit by Pearson's X2 over cells that are pooled until each is expected to hold five persons.

    Parameters
    ----------
    counts, fitted : ndarray, shape (m,)
        Of the cells whose fitted count is above 0; both add up to the same.

    Returns
    -------
    PooledTest

    Notes
    -----
    The smallest cells are pooled first. With parameters fitted to all cells, X2 of g pools has a law between the
    chi-square laws on g - 1 - parameters and on g - 1 degrees of freedom (Chernoff and Lehmann 1954). The second is
    taken, so that a model is not rejected for its small cells alone.

    References
    ----------
    Chernoff, H. and Lehmann, E. L. (1954). The use of maximum likelihood estimates in chi-square tests for goodness of
    fit. Annals of Mathematical Statistics 25(3), 579-586. doi:10.1214/aoms/1177728726

    Examples
    --------
    >>> test = pooled_pearson(np.array([30.0, 4.0, 0.0, 16.0]), np.array([20.0, 3.0, 2.0, 25.0]))
    >>> round(test.pearson, 2), test.df
    (8.44, 2)
    """
    order = np.argsort(fitted, kind="stable")
    pool, expected, numbers = 0, 0.0, np.zeros(len(fitted), dtype=np.int64)
    for row in order:
        numbers[row] = pool
        expected += float(fitted[row])
        if expected >= LARGE_ENOUGH:
            pool, expected = pool + 1, 0.0
    numbers = np.minimum(numbers, max(pool - 1, 0))  # what is left over joins the last pool
    seen, fit = np.bincount(numbers, weights=counts), np.bincount(numbers, weights=fitted)
    pearson, df = float(((seen - fit) ** 2 / fit).sum()), len(fit) - 1
    return PooledTest(pearson, df, float(chdtrc(df, pearson)) if df > 0 else 1.0)


def misfit_remarks(details: Mapping[str, Any]) -> list[Diagnostic]:
    """Say that a model is rejected, with the test.

    Parameters
    ----------
    details : mapping
        ``goodness_of_fit`` and ``cells`` of a fitted model.

    Returns
    -------
    list of Diagnostic
        None where the model is not rejected, or has as many parameters as cells.
    """
    p_value, evidence = _evidence(details["goodness_of_fit"], details["cells"])
    if p_value >= REJECTED:
        return []
    return [
        Diagnostic(MISFIT, "warning", f"the model is rejected by its goodness of fit: {evidence}", p_value)
    ]


def misfit_p_value(details: Mapping[str, Any]) -> float:
    """Give the p-value by which `misfit_remarks` judges; 1 where there is nothing to test."""
    return _evidence(details["goodness_of_fit"], details["cells"])[0]


def _evidence(fit: Mapping[str, Any], cells: pd.DataFrame) -> tuple[float, str]:
    """Give the p-value by the route that the fitted counts carry, and the statistics with the test in words."""
    if fit["df"] <= 0:
        return 1.0, "as many parameters as cells"
    deviance, pearson, df = f"deviance {fit['deviance']:,.1f}", f"Pearson X2 {fit['pearson']:,.1f}", fit["df"]
    if "p_captures" in fit:  # of more lists than a table of all cells can have
        p_value = 1.0 if fit["p_captures"] is None else float(fit["p_captures"])
        return p_value, f"{fit['p_method']}, p = {p_value:.1g}"
    if fit["p_deviance"] is not None and fit["p_pearson"] is not None:
        both = f"{deviance}, p = {fit['p_deviance']:.1g}, and {pearson}, p = {fit['p_pearson']:.1g}"
        # A few small cells can make one of the two large; a model that fails is failed by both.
        return max(float(fit["p_deviance"]), float(fit["p_pearson"])), f"{both}, on {df} df (chi-square)"
    if fit["p_deviance"] is not None:
        words = f"{deviance}, p = {fit['p_deviance']:.1g} ({fit['p_method']}), {pearson}, on {df} df"
        return float(fit["p_deviance"]), words
    on = cells["on_face"].to_numpy()
    pooled = pooled_pearson(*(cells[name].to_numpy(dtype=np.float64)[on] for name in ("count", "fitted")))
    words = (
        f"{deviance} and {pearson} on {df} df; many cells are small, and over cells pooled to five persons or more X2 "
        f"{pooled.pearson:,.1f} on at most {pooled.df} df, p = {pooled.p_value:.1g}"
    )
    return pooled.p_value, words


# === information criteria, with the number of observed persons as the sample size =====================================


def criteria_of(
    minus_twice_log_likelihood: Floats, n_parameters: npt.ArrayLike, n_observed: int
) -> dict[str, Floats]:
    """BIC, AIC and AICc of fitted models.

    Parameters
    ----------
    minus_twice_log_likelihood : ndarray
        Poisson, constants included, so that values compare with other programs.
    n_parameters : array_like
        Parameters counted, of the same shape.
    n_observed : int
        Persons observed, not cells.

    Returns
    -------
    dict of str to ndarray
        AICc is inf where there are no more persons than parameters plus one.

    Examples
    --------
    >>> {name: float(value[0]) for name, value in criteria_of(np.array([10.0]), [2], 100).items()}["aic"]
    14.0
    """
    p = np.asarray(n_parameters, dtype=np.float64)
    aic = minus_twice_log_likelihood + 2.0 * p
    spare = n_observed - p - 1.0
    with np.errstate(divide="ignore"):
        correction = np.where(spare > 0, 2.0 * (p * p + p) / np.where(spare > 0, spare, 1.0), np.inf)
    return {"bic": minus_twice_log_likelihood + np.log(n_observed) * p, "aic": aic, "aicc": aic + correction}
