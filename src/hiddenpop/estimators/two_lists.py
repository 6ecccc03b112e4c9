"""`LincolnPetersen` and `Chapman`: two lists, independent of each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtri

from hiddenpop._front_door import front_doors
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.base import BaseEstimator, Facts, Scenario
from hiddenpop.estimators.loglinear import estimate_of_model, profile_under
from hiddenpop.estimators.outcome import (
    INTERVALS,
    IntervalMethod,
    for_few_persons,
    limits_from_variance,
    model_interval,
    terms_of,
)
from hiddenpop.estimators.prepare import (
    ListCells,
    ListCounts,
    OddsRatios,
    as_odds_ratios,
    list_cells,
    remarks,
)
from hiddenpop.estimators.protocol import check_choice, check_level, spec_of
from hiddenpop.estimators.registry import build
from hiddenpop.histories import project
from hiddenpop.kernels.poisson.model_fit import fit_model
from hiddenpop.kernels.poisson.profile import FEW_PERSONS, HiddenProfile
from hiddenpop.model import HierarchicalModel
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["Chapman", "LincolnPetersen", "symmetric_limits"]

INDEPENDENCE = HierarchicalModel.independence(2)
ROUNDING = 1e-9
"""Log odds ratio of a pair of lists that counts as 0: cell probabilities carry rounding of about 1e-15."""

NO_HIDDEN = "everyone on one of the two lists is on the other, so the formula says that nobody was missed"


class _OnTwoLists(BaseEstimator):
    """What is true of both estimators from two lists."""

    __slots__ = ()
    lists: tuple[str, str] | None

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("two_independent", "equal_chance_one", "large_sample"),
            model_is="given",
            other_priors=(),
            needs_draws=False,
            adds_up_strata=True,
        )

    def without_highest_order(self, table: CaptureTable) -> bool:
        """Tell whether its two lists are all lists of the table."""
        return table.n_lists == 2

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return _dependence(self.lists, scenario)


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class LincolnPetersen(_OnTwoLists):
    """Size of a population from two independent lists, ``N = n1 n2 / m``, or from lists with a known odds ratio.

    Parameters
    ----------
    lists : (str, str), optional
        The two lists; needed when the table has more than two that caught somebody.
    interval : {"profile", "lognormal", "wald"}
        Profile likelihood (Cormack 1992) by default.
    level : float
        Confidence level.
    odds_ratios : tuple of (str, str, float), or mapping
        The odds ratio between the two lists, psi, where it is known not to be 1: ``N = n + psi n10 n01 / n11``.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    It is the log-linear model of independence on the table of the two lists. If being on one list makes being on the
    other likelier, N is too small; with two lists the data cannot show it. Persons on other lists only count as
    observed, and an estimate below the number observed is raised to it with status ``"boundary"``.

    References
    ----------
    Lincoln, F. C. (1930). Calculating waterfowl abundance on the basis of banding returns. USDA Circular 118.
    Chapman, D. G. (1951). University of California Publications in Statistics 1, 131-160.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> table = hp.datasets.load("kosovo")
    >>> round(LincolnPetersen(lists=("EXH", "OSCE")).fit(table).n_hat, 1)
    7136.5
    """

    name: ClassVar[str] = "lincoln_petersen"

    lists: tuple[str, str] | None = None
    interval: IntervalMethod = "profile"
    level: float = 0.95
    odds_ratios: OddsRatios = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "lists", _checked_pair(self.lists))
        check_choice("interval", self.interval, INTERVALS)
        check_level(self.level)
        object.__setattr__(self, "odds_ratios", as_odds_ratios(self.odds_ratios))

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Estimate the population size behind `table`.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None
            Only for the goodness of fit where that needs a bootstrap; two lists leave nothing to test.

        Returns
        -------
        Estimate

        Raises
        ------
        CapabilityError
            If the table has more than two lists and `lists` names none, if it names one that is not there or caught
            nobody, or if the table has gaps or censored cells.
        """
        whole, pair = self.prepare(table)
        fit = fit_model(pair.counts, terms_of(INDEPENDENCE), 2, pair.offset)
        alone = estimate_of_model(
            spec_of(self), table, pair, INDEPENDENCE, fit, level=self.level, interval=self.interval, rng=rng
        )
        return _raised_to_observed(alone, whole)

    def hidden_profile(self, table: CaptureTable) -> HiddenProfile | None:
        """Say what the data tell of every dark figure; None where other lists caught persons as well."""
        whole, pair = self.prepare(table)
        if self.interval != "profile" or whole.n_observed > pair.n_observed:
            return None
        return profile_under(pair, INDEPENDENCE)

    def prepare(self, table: CaptureTable) -> tuple[ListCells, ListCounts]:
        """Count over all lists, and over the two that are used."""
        check_table(table)
        whole, independent = _pair_counts(table, self.name, self.lists)
        return whole, _with_odds_ratio(independent, self.odds_ratios)

    @property
    def for_real_counts(self) -> Any:
        """The log-linear model of independence, which it is on a table of two lists."""
        return build("loglinear", {"odds_ratios": self.odds_ratios}) if self.lists is None else None


def _with_odds_ratio(pair: ListCounts, odds_ratios: OddsRatios) -> ListCounts:
    """Fix the odds ratio of the two lists, and say so."""
    for first, second, _ in odds_ratios:
        if {first, second} != set(pair.lists):
            raise CapabilityError(
                f"odds_ratios is about {first} and {second}, and the estimate is from {' and '.join(pair.lists)}"
            )
    if not odds_ratios:
        return pair
    offset = np.array([0.0, 0.0, 0.0, math.log(odds_ratios[0][2])])
    told = (*pair.diagnostics, *remarks(pair.lists, odds_ratios, 1.0))
    return replace(pair, offset=offset, diagnostics=told)


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class Chapman(_OnTwoLists):
    """Size of a population from two independent lists, nearly without bias, ``N = (n1+1)(n2+1)/(m+1) - 1``.

    Parameters
    ----------
    lists : (str, str), optional
        The two lists; needed when the table has more than two that caught somebody.
    interval : {"profile", "lognormal", "wald"}
        The profile likelihood limits of `LincolnPetersen`, whose model is the same, by default. ``"lognormal"`` is
        that on the dark figure (Chao 1987); ``"wald"`` is ``N -/+ z se``, cut off at the number observed. Where few
        persons carry the estimate, both are replaced by the profile, and the interval says so.
    level : float
        Confidence level.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    Assumes what `LincolnPetersen` assumes. Without overlap it still gives a number, which then rests on the 1 that is
    added to the overlap; a diagnostic says so. The variance is that of Seber (1970).

    The variance is small where the estimate is, so limits made from it are too low where the overlap happens to be
    large. Log-normal ones miss the truth above in 6 to 15 % of tables where an overlap of 2 to 5 persons is expected;
    those of the likelihood in 2 to 4 %.

    References
    ----------
    Chapman, D. G. (1951). University of California Publications in Statistics 1, 131-160.
    Seber, G. A. F. (1970). The effects of trap response on tag recapture estimates. Biometrics 26(1), 13-22.
    doi:10.2307/2529040

    Examples
    --------
    >>> import hiddenpop as hp
    >>> table = hp.datasets.load("kosovo")
    >>> round(Chapman(lists=("EXH", "OSCE")).fit(table).n_hat, 1)
    7128.3
    """

    name: ClassVar[str] = "chapman"

    lists: tuple[str, str] | None = None
    interval: IntervalMethod = "profile"
    level: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "lists", _checked_pair(self.lists))
        check_choice("interval", self.interval, INTERVALS)
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
            As for `LincolnPetersen`.
        """
        whole, pair = self.prepare(table)
        n0, error = chapman_dark_figure(pair.counts)
        hidden = n0 > 0.0
        alone = Estimate(
            n_hat=pair.n_observed + n0,
            n_observed=pair.n_observed,
            interval=_chapman_interval(pair, n0, error, self.level, self.interval),
            status="ok" if hidden else "boundary",
            reason="" if hidden else NO_HIDDEN,
            estimator=spec_of(self),
            table=table.summary,
            diagnostics=(*pair.diagnostics, *_without_overlap(pair)),
            provenance=make_provenance(table.summary, rng),
            details={**_two_list_details(pair), "n0_standard_error": error},
            protected=("n0_standard_error", "overlap", "totals") if pair.has_small else (),
        )
        return _raised_to_observed(alone, whole)

    def prepare(self, table: CaptureTable) -> tuple[ListCells, ListCounts]:
        """Count over all lists, and over the two that are used."""
        check_table(table)
        return _pair_counts(table, self.name, self.lists)


def chapman_dark_figure(counts: "np.ndarray[Any, np.dtype[np.float64]]") -> tuple[float, float]:
    """Chapman's dark figure and its standard error, from the counts of a two-list table.

    Examples
    --------
    >>> n0, error = chapman_dark_figure(np.array([0.0, 30.0, 20.0, 10.0]))
    >>> round(n0, 2), round(error, 2)
    (54.55, 22.92)
    """
    _, first, second, both = (float(count) for count in counts)
    n1, n2 = first + both, second + both
    variance = (n1 + 1.0) * (n2 + 1.0) / (both + 1.0) * (first * second / (both + 1.0)) / (both + 2.0)
    return first * second / (both + 1.0), math.sqrt(variance)


def _chapman_interval(
    pair: ListCounts, n0: float, error: float, level: float, method: IntervalMethod
) -> Interval:
    """Interval from the likelihood of independence, or from the variance where enough persons carry the estimate."""
    known = "independence taken as known"
    n = pair.n_observed
    fit = fit_model(pair.counts, terms_of(INDEPENDENCE), 2)
    if method == "profile" or fit.information < FEW_PERSONS:
        limits, _ = model_interval(pair, INDEPENDENCE, fit, level, "profile", known)
        if method != "profile":
            return for_few_persons(limits, n + n0, method)
        # The likelihood is largest at Lincoln-Petersen's estimate, a little above Chapman's.
        return replace(limits, low=min(limits.low, n + n0))
    if method == "wald":
        low, high = symmetric_limits(n0, error, level)
        return Interval(n + low, n + high, level, f"Wald, cut off at the number observed; {known}")
    low, high = limits_from_variance(n0, error, math.nan, level, "lognormal")
    return Interval(n + low, n + high, level, f"log-normal, {known}")


def symmetric_limits(n0: float, error: float, level: float) -> tuple[float, float]:
    """``n0 -/+ z se``, cut off at 0.

    Examples
    --------
    >>> low, high = symmetric_limits(10.0, 10.0, 0.95)
    >>> low, round(high, 2)
    (0.0, 29.6)
    """
    z = -float(ndtri((1.0 - level) / 2.0))
    return max(n0 - z * error, 0.0), max(n0 + z * error, 0.0)


def _without_overlap(pair: ListCounts) -> list[Diagnostic]:
    if pair.counts[3] > 0:
        return []
    message = (
        f"nobody is on both {pair.lists[0]} and {pair.lists[1]}: the estimate rests on the one person that the formula "
        f"adds to the overlap, and the data set it no upper limit"
    )
    return [Diagnostic("no_overlap", "warning", message, 0)]


def _two_list_details(pair: ListCounts) -> dict[str, Any]:
    _, first, second, both = (int(count) for count in pair.counts)
    totals = {pair.lists[0]: first + both, pair.lists[1]: second + both}
    return {"lists": list(pair.lists), "totals": totals, "overlap": both, "dropped_lists": list(pair.dropped)}


def _checked_pair(lists: Sequence[str] | None) -> tuple[str, str] | None:
    if lists is None:
        return None
    pair = tuple(lists) if not isinstance(lists, str) else (lists,)
    if len(pair) != 2 or not all(isinstance(name, str) for name in pair) or pair[0] == pair[1]:
        raise SettingError(f"lists={lists!r} must name two different lists, e.g. lists=('police', 'shelter')")
    return pair[0], pair[1]


def _pair_counts(
    table: CaptureTable, estimator: str, lists: tuple[str, str] | None
) -> tuple[ListCells, ListCounts]:
    """Count over all lists, and over the two that are used."""
    data = list_cells(table, estimator=estimator)
    names = ", ".join(data.lists)
    if lists is None and data.n_lists > 2:
        raise CapabilityError(
            f"{estimator} works on two lists and {table.name} has {data.n_lists}: {names}; "
            f"name two, e.g. lists=({data.lists[0]!r}, {data.lists[1]!r})"
        )
    chosen = lists or data.lists
    for name in chosen:
        if name not in data.lists:
            raise CapabilityError(
                f"lists={chosen!r}: {table.name} has no list {name!r} that caught somebody; it has {names}"
            )
    at = [data.lists.index(name) for name in chosen]
    counts = np.zeros(4)
    np.add.at(counts, project(data.histories, at), data.counts)
    counts[0] = 0.0
    kept = tuple(data.kept[position] for position in at)
    pair = ListCounts(
        counts, tuple(chosen), kept, data.dropped, int(counts.sum()), data.diagnostics, data.has_small
    )
    return data, pair


def _dependence(lists: tuple[str, str] | None, scenario: Scenario) -> tuple[str, ...]:
    """Say whether being on one of the two lists depends on being on the other."""
    pair = lists or scenario.lists
    if len(pair) != 2 or not set(pair) <= set(scenario.lists):
        return (f"lists={lists!r} names no pair of {', '.join(scenario.lists)}",)
    at = [scenario.lists.index(name) for name in pair]
    cells = np.asarray(scenario.cell_probabilities(), dtype=np.float64)
    neither, first, second, both = np.bincount(project(np.arange(len(cells)), at), weights=cells, minlength=4)
    if min(neither, first, second, both) > 0.0 and abs(np.log(neither * both / first / second)) < ROUNDING:
        return ()
    return (f"being on {pair[0]} and being on {pair[1]} depend on each other",)


def _raised_to_observed(alone: Estimate, whole: ListCells) -> Estimate:
    """Count the persons on other lists only as observed, and keep estimate and interval at or above them."""
    n = whole.n_observed
    if n == alone.n_observed:
        return alone
    others = Diagnostic(
        "other_lists",
        "info",
        f"{n - alone.n_observed:,} persons are on other lists only; they count as observed",
    )
    limits = replace(alone.interval, low=max(alone.interval.low, n), high=max(alone.interval.high, n))
    changes: dict[str, Any] = {}
    if alone.n_hat < n:
        reason = f"the two lists alone give {alone.n_hat:,.1f}, fewer than the {n:,} observed on all lists"
        changes = {"n_hat": float(n), "status": "boundary", "reason": reason}
    return replace(alone, n_observed=n, interval=limits, diagnostics=(*alone.diagnostics, others), **changes)
