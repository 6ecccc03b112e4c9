"""`ChaoLowerBound`: at least so many, whatever makes some people harder to find than others."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hiddenpop.errors import SettingError
from hiddenpop.estimators.closed_population import estimate_of_fit, fit_with_steps
from hiddenpop.estimators.outcome import INTERVALS, IntervalMethod, limits_from_variance
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.protocol import check_choice, check_level, spec_of
from hiddenpop.estimators.two_lists import symmetric_limits
from hiddenpop.histories import captures
from hiddenpop.kernels.heterogeneity import closed_design
from hiddenpop.kernels.lattice import superset_sums
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["ChaoLowerBound", "chao_dark_figure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaoLowerBound:
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
    level : float
        Confidence level.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    It bounds N from below when heterogeneity is common to the lists, for any distribution of it (Rivest & Baillargeon
    2007): persons seen once or twice fix the dark figure, the steps eta leave those seen more often free. Negative
    steps are set to 0. With two lists it is `LincolnPetersen`. It is no bound when being on one list makes being on
    another less likely.

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
    level: float = 0.95

    def __post_init__(self) -> None:
        if not isinstance(self.list_effects, bool):
            raise SettingError(f"list_effects={self.list_effects!r} must be True or False")
        check_choice("interval", self.interval, INTERVALS)
        check_level(self.level)

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
        data = list_counts(table, estimator=self.name)
        if not self.list_effects:
            return self._closed_form(table, data, rng)
        design, fit, profile = fit_with_steps(closed_design("Mth", data.lists, "chao"), data, self.level)
        return estimate_of_fit(
            spec_of(self), table, data, design, fit, profile,
            label="Mth chao", level=self.level, interval=self.interval, rng=rng,
        )  # fmt: skip

    def _closed_form(self, table: CaptureTable, data: ListCounts, rng: RNGLike) -> Estimate:
        frequencies = np.bincount(captures(np.arange(len(data.counts))), weights=data.counts)
        n0, error = chao_dark_figure(float(frequencies[1]), float(frequencies[2]), data.n_lists)
        hidden = n0 > 0.0
        return Estimate(
            n_hat=data.n_observed + n0,
            n_observed=data.n_observed,
            interval=self._closed_form_interval(data, n0, error),
            status="ok" if hidden else "boundary",
            reason=""
            if hidden
            else f"{frequencies[1]:.0f} persons on one list only give the formula a dark figure of 0",
            estimator=spec_of(self),
            table=table.summary,
            diagnostics=(*data.diagnostics, _sizes_diagnostic(data)),
            provenance=make_provenance(table.summary, rng),
            details=_closed_form_details(data, frequencies, error),
            protected=("capture_frequencies",) if data.has_small else (),
        )

    def _closed_form_interval(self, data: ListCounts, n0: float, error: float) -> Interval:
        n = data.n_observed
        if n0 == 0.0:
            _, fit, profile = fit_with_steps(closed_design("M0", data.lists), data, self.level)
            method = "profile of one capture probability for all (the closed form has no variance where it gives 0)"
            return Interval(n, profile(fit.n0).high, self.level, method)
        if self.interval == "wald":
            low, high = symmetric_limits(n0, error, self.level)
            return Interval(
                n + low,
                n + high,
                self.level,
                "Wald, cut off at the number observed; equal lists taken as known",
            )
        low, high = limits_from_variance(n0, error, math.nan, self.level, "lognormal")
        instead = " (the closed form has no profile likelihood)" if self.interval == "profile" else ""
        return Interval(n + low, n + high, self.level, f"log-normal, equal lists taken as known{instead}")


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


def _list_totals(data: ListCounts) -> dict[str, int]:
    margins = superset_sums(data.counts, data.n_lists)
    return {name: int(margins[1 << position]) for position, name in enumerate(data.lists)}


def _sizes_diagnostic(data: ListCounts) -> Diagnostic:
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
    data: ListCounts, frequencies: "np.ndarray[Any, Any]", error: float
) -> dict[str, Any]:
    return {
        "model": "Mh, closed form",
        "dropped_lists": list(data.dropped),
        "capture_frequencies": {str(k): int(f) for k, f in enumerate(frequencies) if k},
        "list_totals": _list_totals(data),
        "n0_standard_error": error,
    }
