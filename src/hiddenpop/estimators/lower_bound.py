"""`ChaoLowerBound`: at least so many, whatever makes some people harder to find than others."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import betaincinv

from hiddenpop._front_door import front_doors
from hiddenpop.errors import SettingError
from hiddenpop.estimators.base import BaseEstimator, Facts, Scenario
from hiddenpop.estimators.closed_population import (
    estimate_of_fit,
    fit_effects,
    fit_frequencies,
    fit_with_steps,
)
from hiddenpop.estimators.outcome import INTERVALS, IntervalMethod, limits_from_variance
from hiddenpop.estimators.prepare import ListCells, ListCounts, has_many_lists, list_cells, list_counts
from hiddenpop.estimators.protocol import check_choice, check_level, spec_of
from hiddenpop.estimators.two_lists import symmetric_limits
from hiddenpop.histories import captures, decode
from hiddenpop.kernels.poisson.heterogeneity import ClosedDesign, ClosedFit, closed_design
from hiddenpop.kernels.poisson.list_effects import ListEffects
from hiddenpop.kernels.poisson.profile import FEW_PERSONS, HiddenProfile, profile_limits
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["ChaoLowerBound", "chao_dark_figure"]


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChaoLowerBound(BaseEstimator):
    """Lower bound for the size of a population whose members differ in how easily they are found.

    The estimand is ``n + n0`` where ``log mu_w = alpha_0 + sum_j alpha_j w_j + sum_{j>=3} eta_j max(k - j + 1, 0)``
    for a person on k lists, every ``eta_j >= 0``, and ``n0 = exp(alpha_0)``.

    Parameters
    ----------
    list_effects : bool
        True (default): lists may differ in size. False: Chao's closed form from the persons on one list and on two,
        ``n + (t-1) f1 (f1-1) / (2t (f2+1))``, right only when every list is as likely to catch a given person.
    interval : {"profile", "lognormal", "wald"}
        The closed form has no profile likelihood; for it ``"profile"`` gives the log-normal interval, and says so.
    one_sided : bool
        True: no upper limit, and the lower one at `level` alone: at 95 % it is that of the two-sided interval of 90 %,
        and "at least so many" holds in 95 of 100 tables if the assumptions do. False (default): both limits.
    level : float
        Confidence level; above 0.5 for a one-sided limit.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    It bounds N from below when heterogeneity is common to the lists, for any distribution of it (Rivest & Baillargeon
    2007): persons seen once or twice fix the dark figure, the steps eta leave those seen more often free. The fit is
    the maximum of the likelihood under which no step is negative, and so is the profile at every supposed dark figure.
    With two lists it is `LincolnPetersen`. It is not a bound when being on one list makes being on another less likely.

    The interval of the closed form is log-normal. Its upper limit is at least what the share of those seen twice
    allows, which decides where few were; its lower limit is rounded down to whole persons, as N is one.

    The closed form without list effects errs upwards when lists differ in size, whatever the persons: two independent
    lists that catch half and a tenth of the population make it 2.8 times the dark figure.

    References
    ----------
    Chao, A. (1987). Biometrics 43(4), 783-791. doi:10.2307/2531532
    Chao, A. (1989). Estimating population size for sparse data in capture-recapture experiments. Biometrics 45(2),
    427-438. doi:10.2307/2531487
    Rivest, L.-P. and Baillargeon, S. (2007). Biometrics 63(4), 999-1006. doi:10.1111/j.1541-0420.2007.00779.x

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = ChaoLowerBound().fit(hp.datasets.load("kosovo"))
    >>> round(estimate.n_hat, 1)
    8591.2
    """

    name: ClassVar[str] = "chao"

    list_effects: bool = True
    interval: IntervalMethod = "profile"
    one_sided: bool = False
    level: float = 0.95

    def __post_init__(self) -> None:
        for name in ("list_effects", "one_sided"):
            if not isinstance(getattr(self, name), bool):
                raise SettingError(f"{name}={getattr(self, name)!r} must be True or False")
        check_choice("interval", self.interval, INTERVALS)
        check_level(self.level)
        if self.one_sided and self.level <= 0.5:
            raise SettingError(
                f"level={self.level:g}: a lower limit alone needs a level above 0.5; with 0.5 it is the estimate itself"
            )

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Bound the population size behind `table` from below.

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
            If the table has gaps in coverage, censored cells, or fewer than two lists that caught somebody.
        """
        check_table(table)
        if self.one_sided:
            return self._lower_limit_alone(table, rng)
        if not self.list_effects:
            return self._closed_form(table, list_cells(table, estimator=self.name), rng)
        data, design, fit, profile = self._fitted(table)
        return estimate_of_fit(
            spec_of(self), table, data, design, fit, profile,
            label="Mth chao", level=self.level, interval=self.interval, rng=rng,
        )  # fmt: skip

    def _lower_limit_alone(self, table: CaptureTable, rng: RNGLike) -> Estimate:
        two_sided = replace(self, one_sided=False, level=round(2.0 * self.level - 1.0, 12))
        both = two_sided.fit(table, rng=rng)
        method = f"one-sided, {both.interval.method}"
        limits = Interval(both.interval.low, math.inf, self.level, method)
        return replace(both, interval=limits, estimator=spec_of(self))

    def hidden_profile(self, table: CaptureTable) -> HiddenProfile | None:
        """Say what the data tell of every dark figure; None where the interval is not from the likelihood."""
        if not self.list_effects or self.one_sided or self.interval != "profile":
            return None
        _, _, fit, profile = self._fitted(table)
        return profile if fit.converged else None

    def _fitted(
        self, table: CaptureTable
    ) -> tuple[ListCounts | ListCells, ClosedDesign | ListEffects, ClosedFit, HiddenProfile]:
        """Fit with list effects: to every cell, or where lists are too many for that to the non-empty ones."""
        if has_many_lists(table):
            cells = list_cells(table, estimator=self.name)
            return cells, *fit_effects(cells, "chao")
        data = list_counts(table, estimator=self.name)
        return data, *fit_with_steps(closed_design("Mth", data.lists, "chao"), data)

    def _closed_form(self, table: CaptureTable, data: ListCells, rng: RNGLike) -> Estimate:
        frequencies = np.bincount(captures(data.histories), weights=data.counts, minlength=data.n_lists + 1)
        seen_once, seen_twice = float(frequencies[1]), float(frequencies[2])
        n0, error = chao_dark_figure(seen_once, seen_twice, data.n_lists)
        hidden = n0 > 0.0
        return Estimate(
            n_hat=data.n_observed + n0,
            n_observed=data.n_observed,
            interval=self._closed_form_interval(data, n0, error, (seen_once, seen_twice)),
            status="ok" if hidden else "boundary",
            reason=""
            if hidden
            else f"{seen_once:.0f} persons on one list only give the formula a dark figure of 0",
            estimator=spec_of(self),
            table=table.summary,
            diagnostics=(*data.diagnostics, _sizes_diagnostic(data)),
            provenance=make_provenance(table.summary, rng),
            details=_closed_form_details(data, frequencies, error),
            protected=("capture_frequencies", "n0_standard_error") if data.has_small else (),
        )

    def _closed_form_interval(
        self, data: ListCells, n0: float, error: float, frequencies: tuple[float, float]
    ) -> Interval:
        n = data.n_observed
        _, _, profile = fit_frequencies(data)
        if n0 == 0.0:
            method = "profile of one capture probability for all (the closed form has no variance where it gives 0)"
            return Interval(n, profile_limits(profile, self.level).high, self.level, method)
        if self.interval == "wald":
            low, high = symmetric_limits(n0, error, self.level)
            return Interval(
                n + low,
                n + high,
                self.level,
                "Wald, cut off at the number observed; equal lists taken as known",
            )
        low, high = limits_from_variance(n0, error, math.nan, self.level, "lognormal")
        method = "log-normal, equal lists taken as known"
        method += " (the closed form has no profile likelihood)" if self.interval == "profile" else ""
        if (exact := largest_dark_figure(*frequencies, data.n_lists, self.level)) > high:
            high, method = exact, f"{method}; upper limit from the share seen twice, exact"
        # So few persons may be one from a table where the closed form gives 0, whose limit it must not fall below.
        if profile.information < FEW_PERSONS and (few := profile_limits(profile, self.level).high) > high:
            high, method = few, f"{method}; upper limit by the profile of one capture probability for all"
        return Interval(n + low, n + high, self.level, method)

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("common_propensity", "lower_bound", "large_sample"),
            model_is="given",
            is_bound=True,
            bounds_where=("rasch",) if self.list_effects else ("rasch", "equal_lists"),
            other_priors=(),
            needs_draws=False,
            adds_up_strata=True,
        )

    def prepare(self, table: CaptureTable) -> Estimate:
        """Ask the fit itself, which takes no longer than to count."""
        return self.fit(table)

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return scenario.unmet("independent", *(() if self.list_effects else ("homogeneous", "equal_lists")))


def chao_dark_figure(f1: float, f2: float, n_lists: int) -> tuple[float, float]:
    """Chao's bias-corrected dark figure and its standard error.

    Parameters
    ----------
    f1, f2 : float
        Persons on exactly one and on exactly two lists.
    n_lists : int

    Returns
    -------
    n0, standard_error : float
        Both 0 where at most one person is on one list only.

    Examples
    --------
    >>> n0, error = chao_dark_figure(1774.0, 115.0, 4)
    >>> round(1896 + n0, 2), round(error, 2)
    (12064.0, 1060.61)
    """
    share = (n_lists - 1.0) / (2.0 * n_lists)
    if f1 <= 1.0:
        return 0.0, 0.0
    ratio = f1 / (f2 + 1.0)
    n0 = share * ratio * (f1 - 1.0)
    rest = f1**2 + 4.0 * f1 * f2 + 3.0 * f1 - 6.0 * f2 - 6.0
    variance = n0 + share**2 * ratio * ((f1 - 1.0) / (f2 + 1.0)) * (rest / (f2 + 2.0))
    return n0, math.sqrt(variance)


def largest_dark_figure(f1: float, f2: float, n_lists: int, level: float) -> float:
    """Largest dark figure of Chao's formula that the share of those seen twice allows.

    Parameters
    ----------
    f1, f2 : float
        Persons on exactly one and on exactly two lists.
    n_lists : int
    level : float

    Returns
    -------
    float
        Infinite where nobody was seen twice.

    Notes
    -----
    Of those seen once or twice the share seen twice is binomial, and its lower limit exact (Clopper & Pearson 1934).
    The expected frequencies of once and twice at that share stand in the formula without its bias correction,
    ``(t-1)/(2t) f1^2 / f2``. A variance says too little where only a handful was seen twice.

    References
    ----------
    Clopper, C. J. and Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the case of the
    binomial. Biometrika 26(4), 404-413. doi:10.2307/2331986

    Examples
    --------
    >>> round(largest_dark_figure(30.0, 3.0, 2, 0.95), 1), largest_dark_figure(30.0, 0.0, 2, 0.95)
    (414.4, inf)
    """
    twice = float(betaincinv(f2, f1 + 1.0, (1.0 - level) / 2.0)) if f2 > 0.0 else 0.0
    if twice == 0.0:
        return math.inf
    return (n_lists - 1.0) / (2.0 * n_lists) * (f1 + f2) * (1.0 - twice) * ((1.0 - twice) / twice)


def _list_totals(data: ListCells) -> dict[str, int]:
    totals = data.counts @ decode(data.histories, data.n_lists)
    return {name: int(total) for name, total in zip(data.lists, totals, strict=True)}


def _sizes_diagnostic(data: ListCells) -> Diagnostic:
    totals = _list_totals(data)
    ratio = max(totals.values()) / min(totals.values())
    message = (
        f"THIS IS NO LOWER BOUND: the closed form takes every list to be equally likely to catch a given person, and "
        f"the largest list has {ratio:.1f} times the persons of the smallest, which biases it upwards; "
        f"use list_effects=True"
    )
    if ratio > 1.0:
        return Diagnostic("unequal_lists", "warning", message, ratio)
    return Diagnostic(
        "equal_lists",
        "info",
        "the lists have the same number of persons, as the closed form takes them to",
        1.0,
    )


def _closed_form_details(
    data: ListCells, frequencies: "np.ndarray[Any, Any]", error: float
) -> dict[str, Any]:
    return {
        "model": "Mh, closed form",
        "dropped_lists": list(data.dropped),
        "capture_frequencies": {str(k): int(f) for k, f in enumerate(frequencies) if k},
        "list_totals": _list_totals(data),
        "n0_standard_error": error,
    }
