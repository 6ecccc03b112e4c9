"""`Stratified`: any estimator in every stratum apart, and their total."""

import contextlib
import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats
from hiddenpop.errors import CapabilityError, HiddenpopWarning, SettingError, TableError
from hiddenpop.estimators.base import BaseEstimator, Facts, Scenario, contract, settings_of
from hiddenpop.estimators.bootstrapped import SILENT_RESAMPLES
from hiddenpop.estimators.prepare import without_empty_lists
from hiddenpop.estimators.protocol import Estimator, check_choice, check_level, spec_of
from hiddenpop.estimators.registry import build
from hiddenpop.kernels.poisson.profile import ProfileCurves, profile_curves, sum_of_profiles
from hiddenpop.kernels.resampling.bootstrap_limits import bootstrap_limits
from hiddenpop.parallel import block_slices, run_blocks, spawn_seeds
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval, Status
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["Stratified", "sum_limits"]

WithoutEstimate = Literal["none", "observed", "together"]

WITHOUT_ESTIMATE: tuple[str, ...] = ("none", "observed", "together")
BLOCK = 50
"""Strata a block; it depends on nothing, so that any number of workers draws the same numbers."""

WITH_NUMBER = ("ok", "boundary")
MOST_NAMED = 10
TOGETHER = "together"
BORROWS = (
    "a model of all strata (covariate_loglinear, pooled) takes what they lack from the others, where lists that do not "
    "operate are stated as coverage"
)
AS_OBSERVED = "counted as observed only"
"""What `Stratified` says of a stratum whose dark figure is left out of the total."""


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class Stratified(BaseEstimator):
    """Size of a population as the sum over strata that are estimated apart.

    The estimand is ``N = sum of N_s`` over the strata s that occur in the table, each with lists, model and dark figure
    of its own.

    Parameters
    ----------
    base : Estimator
        Fitted in every stratum; by default the best model by BIC of the whole hierarchical space.
    by : tuple of str
        Covariates whose levels make the strata; all of the table when empty. The base sees the others.
    without_estimate : {"none", "observed", "together"}
        What strata without an estimate of their own do to the total. ``"none"``: it has no number. ``"observed"``: they
        count as the persons observed there, so that the total is a lower bound. ``"together"``: those in which the same
        lists operate are added up and estimated as one stratum; one that has none to go with stays without an estimate.
    level : float
        Of the total and of every stratum; it takes the place of a level of the base.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    Assumes what the base assumes, within every stratum; nothing is shared between strata, so small ones say little. A
    person counts in each stratum where seen: with years as strata the total counts person-years.

    A list that does not operate in a stratum (coverage) plays no part there.

    Where the base gives draws in every stratum, independent draws are added up: the median and equal-tailed limits of
    posterior draws; the sum of the estimates with percentile limits of bootstrap draws. Where many resamples of a
    stratum do not say how many are hidden there, so that its upper limit may be that of its base, the upper limit of
    the total is at least the one combined from those of the strata, as below. Where the limits of the base are those of
    a profile likelihood, so are those of the total: the likelihood of a supposed total is the largest over the ways to
    divide it. A stratum in which the data push the dark figure to 0 then widens the total by what may be
    hidden there. Otherwise the limits of the strata are combined by recovery of variances, ``N - L`` and ``U - N``
    being the roots of the sums of squares of ``N_s - L_s`` and ``U_s - N_s`` (Zou and Donner 2008). All of it takes
    strata as independent.

    References
    ----------
    Zou, G. Y. and Donner, A. (2008). Construction of confidence limits about effect measures: a general approach.
    Statistics in Medicine 27(10), 1693-1702. doi:10.1002/sim.3095

    Examples
    --------
    >>> import hiddenpop as hp
    >>> table = hp.datasets.load("simdat").collapse("X2", "X3", "X4", "Y")
    >>> estimate = Stratified(base=hp.LogLinear(model="[1,2,3,4]")).fit(table)
    >>> estimate.by_stratum[["X1", "n_observed", "status"]].to_dict("list")
    {'X1': ['1', '2'], 'n_observed': [560, 483], 'status': ['ok', 'ok']}
    """

    name: ClassVar[str] = "stratified"

    base: Estimator = dataclasses.field(default_factory=lambda: build("selected", {"search": "exact"}))
    by: tuple[str, ...] = ()
    without_estimate: WithoutEstimate = "none"
    level: float = 0.95

    def __post_init__(self) -> None:
        if isinstance(self.base, type) or not hasattr(self.base, "fit"):
            raise SettingError(f"base={self.base!r} is not an estimator; give one, such as LogLinear()")
        object.__setattr__(self, "by", _names(self.by))
        check_choice("without_estimate", self.without_estimate, WITHOUT_ESTIMATE)
        check_level(self.level)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Estimate every stratum and the total.

        Parameters
        ----------
        table : CaptureTable
            Without covariates it is one stratum.
        rng : int, Generator or None

        Returns
        -------
        Estimate
            ``by_stratum`` has one row per stratum with its status and reason, one that the base cannot treat included;
            ``stratum_draws`` is there where every stratum has draws. ``n_failed`` counts strata without an estimate.

        Raises
        ------
        CapabilityError
            If the base can treat no stratum.
        UnknownNameError
            For a covariate that is not there.
        """
        check_table(table)
        provenance = make_provenance(table.summary, rng)
        generators = spawn_seeds(rng, 2)
        base = _with_level(self.base, self.level)
        if not table.has_strata:
            if self.by:
                table.split(*self.by)  # refuses a name that is not there
            return _one_stratum(self, base.fit(table, rng=generators[0]), provenance)
        kept, dropped, remarks = without_empty_lists(table, 3)
        rows = _strata(base, kept, self.by, generators[0])
        without = [row for row in rows if row.fit.status not in WITH_NUMBER]
        if without and self.without_estimate == "together":
            together = _fit_together(base, without, [row.label for row in rows], generators[1])
            rows = [row for row in rows if row.fit.status in WITH_NUMBER] + together
        if without and self.without_estimate == "observed":
            rows = [_as_observed(row) for row in rows]
        estimate = _total(self, table, rows, without, provenance, generators[1])
        return dataclasses.replace(
            estimate,
            diagnostics=(*remarks, *estimate.diagnostics),
            details={"dropped_lists": list(dropped), **estimate.details},
        )

    def number(self, table: CaptureTable, *, rng: RNGLike = None) -> tuple[float, str]:
        """Give the number of `fit` without intervals, inf or nan where there is none; of one stratum also its model."""
        number_of = getattr(self.base, "number", None)
        if number_of is not None and table.has_strata:
            kept, _, _ = without_empty_lists(table, 2)
            generators = spawn_seeds(rng, 2)
            with contextlib.suppress(CapabilityError, TableError):
                parts = [part for _, part in kept.split(*self.by)]
                total = sum(number_of(part, rng=generators[0])[0] for part in parts)
                if math.isfinite(
                    total
                ):  # else it is `fit` that knows what stands for a stratum without a number
                    return total, ""
        found = self.fit(table, rng=rng)
        return found.n_hat, found.model

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set: what is true of the base, in strata that have to be known."""
        base = contract(self.base).facts
        return Facts(
            assumes=base.assumed_with("as_inside_strata", "covariates_known", "strata_apart"),
            model_is=base.model_is,
            is_bound=base.is_bound,
            other_priors=base.other_priors,
            keeps_number_observed=base.keeps_number_observed,
        )

    def prepare(self, table: CaptureTable) -> list[CaptureTable]:
        """Refuse covariates that are not there, and a table no stratum of which the base can treat."""
        check_table(table)
        base = contract(_with_level(self.base, self.level))
        if not table.has_strata:
            if self.by:
                table.split(*self.by)
            base.prepare(table)
            return [table]
        kept, _, _ = without_empty_lists(table, 2)
        strata = kept.split(*self.by)
        refused = [(levels, why) for levels, part in strata if (why := _refusal(base, part))]
        if len(refused) == len(strata):
            raise _no_stratum(table, f"{_in_words(refused[0][0])}: {refused[0][1]}")
        return [part for _, part in strata]

    def strata_of(self, table: CaptureTable) -> tuple[str, ...] | None:
        """Name the covariates whose levels make the strata."""
        return self.by or tuple(map(str, table.strata.columns))

    def without_highest_order(self, table: CaptureTable) -> bool:
        """Tell whether that goes for the base."""
        return contract(self.base).without_highest_order(table)

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        """Ask of every stratum what the base assumes; and the strata have to be known."""
        base = contract(self.base)
        reasons = dict.fromkeys(why for part in scenario.by_stratum(*self.by) for why in base.violated(part))
        return (*(scenario.unmet("known_strata") if scenario.covariates else ()), *reasons)


def sum_limits(n_hat: Floats, low: Floats, high: Floats) -> tuple[float, float]:
    """Limits of a sum of independent estimates from their own limits, by recovery of variances.

    Parameters
    ----------
    n_hat, low, high : ndarray, shape (s,)
        Estimates with limits of one level.

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> sum_limits(np.array([10.0, 20.0]), np.array([7.0, 16.0]), np.array([16.0, 28.0]))
    (25.0, 40.0)
    """
    middle = float(n_hat.sum())
    below, above = (float(np.sqrt(np.sum((n_hat - side) ** 2))) for side in (low, high))
    return middle - below, middle + above


# --- one stratum ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _StratumFit:
    """What the base says of one stratum."""

    n_observed: int
    n_hat: float
    low: float
    high: float
    method: str
    status: Status
    reason: str
    draws: Floats | None
    draws_are: str
    remarks: tuple[str, ...]
    refused: bool = False
    curves: ProfileCurves | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    levels: Mapping[str, str]
    fit: _StratumFit
    part: CaptureTable

    @property
    def label(self) -> str:
        return _in_words(self.levels)


def _in_words(levels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={level}" for name, level in levels.items())


def _refusal(base: BaseEstimator, part: CaptureTable) -> str:
    """Say why the base cannot treat a stratum; empty where it can."""
    try:
        base.prepare(part)
    except (CapabilityError, TableError) as error:
        return str(error)
    return ""


def _no_stratum(table: CaptureTable, reason: str) -> CapabilityError:
    return CapabilityError(f"the base can treat no stratum of {table.name}: {reason}")


def _names(by: Any) -> tuple[str, ...]:
    names = (by,) if isinstance(by, str) else tuple(by)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong or len(set(names)) < len(names):
        raise SettingError(f"by={by!r} must name covariates, each once, e.g. ('year', 'sex')")
    return names


def _with_level(base: Estimator, level: float) -> Estimator:
    return dataclasses.replace(base, level=level) if "level" in settings_of(base) else base  # type: ignore[type-var]


def _one_stratum(setting: Stratified, estimate: Estimate, provenance: Mapping[str, Any]) -> Estimate:
    message = "the table has no covariates, so it is one stratum and this is the estimate of the base"
    return dataclasses.replace(
        estimate,
        estimator=spec_of(setting),
        diagnostics=(*estimate.diagnostics, Diagnostic("one_stratum", "info", message)),
        provenance=provenance,
    )


def _strata(
    base: Estimator, table: CaptureTable, by: tuple[str, ...], rng: np.random.Generator
) -> list["_Row"]:
    strata = table.split(*by)
    fits = _fit_all(base, [part for _, part in strata], rng, table.name)
    rows = [_Row(levels, fit, part) for (levels, part), fit in zip(strata, fits, strict=True)]
    if all(row.fit.refused for row in rows):
        raise _no_stratum(table, _first_reason(rows))
    return rows


def _fit_all(
    base: Estimator, parts: Sequence[CaptureTable], rng: np.random.Generator, name: str
) -> list[_StratumFit]:
    slices = block_slices(len(parts), BLOCK)
    tasks = [
        (base, tuple(parts[cut]), tuple(child.spawn(len(parts[cut]))))
        for cut, child in zip(slices, rng.spawn(len(slices)), strict=True)
    ]
    done = run_blocks(_fit_block, tasks, label=f"strata of {name}")
    return [fit for block in done for fit in block]


def _fit_block(
    task: tuple[Estimator, tuple[CaptureTable, ...], tuple[np.random.Generator, ...]],
) -> list[_StratumFit]:
    base, parts, rngs = task
    return [_fit_one(base, part, rng) for part, rng in zip(parts, rngs, strict=True)]


def _fit_one(base: Estimator, part: CaptureTable, rng: np.random.Generator) -> _StratumFit:
    """Fit one stratum; what the base cannot treat is a stratum without an estimate, with the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HiddenpopWarning)  # said once for all strata, in the diagnostics
            found = base.fit(part, rng=rng)
    except (CapabilityError, TableError) as error:
        return _refused(part, str(error))
    return _StratumFit(
        n_observed=found.n_observed,
        n_hat=found.n_hat,
        low=found.interval.low,
        high=found.interval.high,
        method=found.interval.method,
        status=found.status,
        reason=found.reason,
        draws=None if found.draws is None else np.asarray(found.draws),
        draws_are=found.draws_are,
        remarks=tuple(remark.name for remark in found.diagnostics if remark.level != "info"),
        curves=_curves(base, part, found),
    )


def _curves(base: Estimator, part: CaptureTable, found: Estimate) -> ProfileCurves | None:
    """Invert the likelihood of the dark figure of one stratum, where the base has one and gives a number."""
    profile_of = getattr(base, "hidden_profile", None)
    if profile_of is None or found.draws is not None or found.status not in WITH_NUMBER:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        profile = profile_of(part)
    try:
        return None if profile is None else profile_curves(profile, found.interval.level)
    except ArithmeticError:
        return None


def _refused(part: CaptureTable, reason: str) -> _StratumFit:
    return _StratumFit(
        n_observed=part.n_observed,
        n_hat=math.nan,
        low=part.n_observed,
        high=math.inf,
        method="none",
        status="not_identified",
        reason=reason,
        draws=None,
        draws_are="",
        remarks=(),
        refused=True,
    )


def _fit_together(
    base: Estimator, without: Sequence[_Row], taken: Sequence[str], rng: np.random.Generator
) -> list[_Row]:
    """Estimate strata that have no estimate of their own as one, those apart in which other lists operate."""
    groups = _with_same_lists(without)
    several = sum(len(group) > 1 for group in groups) > 1
    rows = []
    for group in groups:
        if len(group) == 1:  # it would be the same fit again
            rows += group
            continue
        part = _joined([row.part for row in group])
        name = f"{TOGETHER} ({', '.join(part.lists)})" if several else TOGETHER
        levels = dict.fromkeys(group[0].levels, name)
        while _Row(levels, group[0].fit, part).label in taken:  # a stratum is called so
            levels = {covariate: f"({level})" for covariate, level in levels.items()}
        rows.append(_Row(levels, _fit_one(base, part, rng), part))
    return rows


def _with_same_lists(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Group strata by the lists that operate there: what others would have caught is not known."""
    found: dict[tuple[str, ...], list[_Row]] = {}
    for row in rows:
        found.setdefault(row.part.lists, []).append(row)
    return list(found.values())


def _joined(parts: Sequence[CaptureTable]) -> CaptureTable:
    """Add up strata with the same lists."""
    return dataclasses.replace(
        parts[0],
        histories=np.concatenate([part.histories for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
        censored=np.concatenate([part.censored for part in parts]),
        _strata=pd.concat([part.strata for part in parts], ignore_index=True),
    )


def _as_observed(row: _Row) -> _Row:
    if row.fit.status in WITH_NUMBER:
        return row
    return dataclasses.replace(
        row, fit=dataclasses.replace(row.fit, reason=f"{AS_OBSERVED}: {row.fit.reason}")
    )


# --- the total --------------------------------------------------------------------------------------------------------


def _total(
    setting: Stratified,
    table: CaptureTable,
    rows: Sequence[_Row],
    without: Sequence[_Row],
    provenance: Mapping[str, Any],
    rng: np.random.Generator,
) -> Estimate:
    numbered = [row.fit for row in rows if row.fit.status in WITH_NUMBER]
    bound = setting.without_estimate == "observed"
    status, reason = _status(rows, without, setting.without_estimate)
    draws = _joint_draws(rows, rng) if status in WITH_NUMBER else None
    n_hat, interval, method = _sum(rows, status, draws, setting.level)
    if bound and without:
        method += f"; {len(without)} of {len(rows)} strata {AS_OBSERVED}, so this is a lower bound"
    kind = numbered[0].draws_are if numbered and draws is not None else ""
    return Estimate(
        n_hat=n_hat,
        n_observed=table.n_observed,
        interval=Interval(*interval, setting.level, method),
        status=status,
        reason=reason,
        estimator=spec_of(setting),
        table=table.summary,
        n_failed=len(without),
        diagnostics=_remarks(rows, without, setting.without_estimate),
        draws=None if draws is None else draws.sum(axis=1),
        draws_are=kind,  # type: ignore[arg-type]
        stratum_draws=draws,
        by_stratum=_frame(rows),
        provenance=provenance,
        details={"base": spec_of(setting.base).label, "strata_without_estimate": [r.label for r in without]},
    )


def _status(rows: Sequence[_Row], without: Sequence[_Row], treated: WithoutEstimate) -> tuple[Status, str]:
    """Give the status of the total: the worst of the strata whose dark figure is a part of it."""
    found = [row.fit.status for row in rows]
    if not any(status in WITH_NUMBER for status in found):
        return "not_identified", f"no stratum has an estimate: {_first_reason(rows)}"
    if treated != "observed":
        for status in ("not_converged", "not_identified", "unbounded"):
            if status in found:
                return status, (
                    f"{_listed([row for row in rows if row.fit.status == status])}: {status} there; "
                    f"{_ways_out(without, treated)}"
                )
    if "ok" in found:
        return "ok", ""
    return "boundary", "the data push the dark figure of every stratum to 0"


def _ways_out(without: Sequence[_Row], treated: WithoutEstimate) -> str:
    """Say what gives a total all the same: of several strata together only where that is another fit."""
    joined = [_joined([row.part for row in group]) for group in _with_same_lists(without) if len(group) > 1]
    alone = sum(len(group) == 1 for group in _with_same_lists(without))
    helps = bool(joined) and not alone and all(_may_have_estimate(part) for part in joined)
    ways = ['without_estimate="observed" counts such strata as observed only, for a lower bound']
    if treated == "none" and helps:
        ways.append('"together" tries those with the same lists as one')
    return "; ".join([*ways, BORROWS])


def _may_have_estimate(part: CaptureTable) -> bool:
    """Tell whether somebody is on two lists: without, no estimate is finite."""
    return bool((part.counts[np.bitwise_count(part.histories) > 1] > 0).any())


def _first_reason(rows: Sequence[_Row]) -> str:
    return f"{rows[0].label}: {rows[0].fit.reason}"


def _listed(rows: Sequence[_Row]) -> str:
    names = "; ".join(row.label for row in rows[:MOST_NAMED])
    more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    return f"{len(rows)} strata ({names}{more})" if len(rows) > 1 else names


def _counted(row: _Row) -> _StratumFit:
    """Give a stratum as it enters the total: one without a number enters as observed."""
    n = float(row.fit.n_observed)
    has_number = row.fit.status in WITH_NUMBER
    return row.fit if has_number else dataclasses.replace(row.fit, n_hat=n, low=n, high=n)


def _joint_draws(rows: Sequence[_Row], rng: np.random.Generator) -> Floats | None:
    """Put independent draws of the strata side by side, shape (draws, strata); None where a stratum has none."""
    drawn = [row.fit.draws for row in rows if row.fit.status in WITH_NUMBER]
    if any(draws is None or not len(draws) for draws in drawn):
        return None
    if len(rows) == 1 and drawn[0] is not None:
        return drawn[0][:, None]
    size = min(len(draws) for draws in drawn if draws is not None)
    columns = []
    for row in rows:
        own = row.fit.draws if row.fit.status in WITH_NUMBER else None
        columns.append(
            np.full(size, float(row.fit.n_observed)) if own is None else rng.permutation(own)[:size]
        )
    return np.column_stack(columns)


def _sum(
    rows: Sequence[_Row], status: Status, draws: Floats | None, level: float
) -> tuple[float, tuple[float, float], str]:
    if len(rows) == 1:
        only = rows[0].fit
        return only.n_hat, (only.low, only.high), only.method
    n = sum(row.fit.n_observed for row in rows)
    counted = [_counted(row) for row in rows]
    if status not in WITH_NUMBER:
        n_hat = math.inf if status == "unbounded" else math.nan
        lowest = max(sum(fit.low for fit in (row.fit for row in rows)), n) if status == "unbounded" else n
        return n_hat, (float(lowest), math.inf), "none: strata without an estimate"
    middle = float(sum(fit.n_hat for fit in counted))
    curves = [row.fit.curves for row in rows if row.fit.status in WITH_NUMBER]
    if draws is None and all(curve is not None for curve in curves):
        below, above = sum_of_profiles([curve for curve in curves if curve is not None], level)
        return middle, (max(middle - below, float(n)), middle + above), "profile of the total"
    if draws is None:
        sides = (np.array([getattr(fit, name) for fit in counted]) for name in ("n_hat", "low", "high"))
        low, high = sum_limits(*sides)
        return middle, (max(low, float(n)), high), "strata combined by recovery of variances"
    total, tail = draws.sum(axis=1), (1.0 - level) / 2.0
    if any(fit.draws_are == "posterior" for fit in counted):
        low, middle, high = np.quantile(total, [tail, 0.5, 1.0 - tail], method="inverted_cdf").tolist()
        return middle, (max(low, float(n)), high), "equal-tailed, sum of posterior draws by stratum"
    return middle, *_bootstrap_sum(counted, total, level)


def _bootstrap_sum(
    counted: Sequence[_StratumFit], total: Floats, level: float
) -> tuple[tuple[float, float], str]:
    """Percentile limits of the total, and how they are made; draws that say nothing of a stratum do not bound it."""
    middle, n = float(sum(fit.n_hat for fit in counted)), sum(fit.n_observed for fit in counted)
    limits = bootstrap_limits(total, middle, n, level=level, method="percentile")
    method = "percentile, sum of bootstrap draws by stratum"
    if any(SILENT_RESAMPLES in fit.remarks for fit in counted):
        sides = (np.array([getattr(fit, name) for fit in counted]) for name in ("n_hat", "low", "high"))
        _, high = sum_limits(*sides)
        if high > limits.high:
            return (limits.low, high), f"{method}; upper limit from those of the strata"
    return (limits.low, limits.high), method


def _frame(rows: Sequence[_Row]) -> pd.DataFrame:
    names = list(rows[0].levels)
    return pd.DataFrame(
        {
            **{name: [row.levels[name] for row in rows] for name in names},
            "n_observed": [row.fit.n_observed for row in rows],
            "n_hat": [row.fit.n_hat for row in rows],
            "low": [float(row.fit.low) for row in rows],
            "high": [float(row.fit.high) for row in rows],
            "status": [row.fit.status for row in rows],
            "reason": [row.fit.reason for row in rows],
        }
    )


def _remarks(rows: Sequence[_Row], without: Sequence[_Row], treated: str) -> tuple[Diagnostic, ...]:
    remarks = []
    if without:
        how = {
            "none": "so the total has none",
            "observed": "and count as observed only, so the total is a lower bound",
            "together": "and are estimated as one",
        }[treated]
        message = f"no estimate of their own: {_listed(without)}; they carry too little information, {how}"
        remarks.append(Diagnostic("strata_without_estimate", "warning", message, len(without)))
    named: dict[str, int] = {}
    for row in rows:
        for name in set(row.fit.remarks):
            named[name] = named.get(name, 0) + 1
    for name, times in sorted(named.items()):
        message = f"{name}: said of {times} of {len(rows)} strata"
        remarks.append(Diagnostic(f"strata_{name}", "warning", message, times))
    return tuple(remarks)
