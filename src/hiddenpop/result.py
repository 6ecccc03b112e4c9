"""`Estimate`: what every estimator returns, with its interval, its status and where it came from."""

import html
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._details import read_only
from hiddenpop._front_door import front_doors
from hiddenpop._text import screen_text, steering_text, visible
from hiddenpop.disclosure import is_small, protect_cells, protect_text, protect_value
from hiddenpop.errors import EstimateNotOkError, SettingError, TableError
from hiddenpop.fitted_model import FittedModel, ModelSelection, fitted_model_of, selection_of
from hiddenpop.serial import NotJsonableError, to_jsonable
from hiddenpop.table import TableSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "SCHEMA_VERSION",
    "Diagnostic",
    "Estimate",
    "EstimatorSpec",
    "Interval",
    "Resamples",
    "Status",
]

SCHEMA_VERSION = 1
Status = Literal["ok", "boundary", "unbounded", "not_identified", "not_converged"]
Severity = Literal["info", "warning", "error"]
DrawsAre = Literal["posterior", "bootstrap", ""]

LEVEL_DIGITS = 4
"""Digits that a written level has of what lies inside or beyond it, whichever is smaller, unless they are zeros."""

OF_EXPECTED_SIZES = "limits_of_expected_sizes"
"""Name of the diagnostic that says that draws by stratum are of expected sizes, and not of the persons there."""

MISFIT = "misfit"
"""Name of the diagnostic that says that the model is rejected by its goodness of fit; it stands before the number."""

N_HAT_WITHOUT_NUMBER = {"unbounded": math.inf, "not_identified": math.nan, "not_converged": math.nan}


@front_doors("__init__")
@dataclass(frozen=True, slots=True)
class Interval:
    """An interval for the population size.

    Parameters
    ----------
    low, high : float
        Limits in persons; `high` may be inf, honestly: the data set no upper limit.
    level : float
        Nominal coverage, between 0 and 1.
    method : str
        How it was made and what it takes as known, e.g. ``"profile, model taken as known"``.

    Examples
    --------
    >>> 120 in Interval(100.0, 150.0, 0.95, "profile, model taken as known")
    True
    """

    low: float
    high: float
    level: float
    method: str

    def __post_init__(self) -> None:
        if math.isnan(self.low) or math.isnan(self.high) or self.low > self.high:
            raise SettingError(f"an interval needs low <= high; got low={self.low}, high={self.high}")
        if not 0.0 < self.level < 1.0:
            raise SettingError(f"the level of an interval lies between 0 and 1; got {self.level}")

    def __contains__(self, n: float) -> bool:
        return self.low <= n <= self.high

    @property
    def width(self) -> float:
        """Length of the interval in persons."""
        return self.high - self.low


@front_doors("__init__")
@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A named remark about an estimate.

    Parameters
    ----------
    name : str
        A stable short name, e.g. ``"face"``.
    level : {"info", "warning", "error"}
    message : str
        One sentence for a reader. Where `sizes` are given, with ``{0}``, ``{1}``, ... in the place of each.
    value : float or str, optional
        The figure behind it.
    sizes : tuple of float, optional
        Population sizes that the sentence names. The estimate that the remark belongs to writes them, as it writes its
        own: one size is rounded in one way.
    template : str, optional
        The sentence before the sizes were written in it; kept by `written`.

    Examples
    --------
    >>> Diagnostic("other", "info", "without list A, N = {0}", sizes=(1234.5,)).written(lambda n: f"{n:,.0f}").message
    'without list A, N = 1,234'
    """

    name: str
    level: Severity
    message: str
    value: float | str | None = None
    sizes: tuple[float, ...] = field(default=(), compare=False, repr=False)
    template: str = field(default="", compare=False, repr=False)

    def written(self, write: Callable[[float], str]) -> "Diagnostic":
        """Give the remark with its sizes in the sentence; again, if it has been written before."""
        if not self.sizes:
            return self
        template = self.template or self.message
        return replace(self, message=template.format(*map(write, self.sizes)), template=template)

    def to_dict(self) -> dict[str, Any]:
        """Give the remark as plain values for JSON."""
        plain = {"name": self.name, "level": self.level, "message": self.message, "value": self.value}
        return {name: to_jsonable(value) for name, value in plain.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resamples:
    """What a bootstrap found.

    Attributes
    ----------
    models : pandas.DataFrame
        Models chosen: ``model``, ``share`` of the resamples, ``median`` of their estimates.
    model_of_draw : tuple of str
        The model chosen in each resample.
    modes : tuple of (float, float)
        Sizes around which the estimates lie, each with its share of the resamples.
    base_interval : Interval
        That of the estimator that was resampled.
    widening : float
        How many times as wide the interval of the bootstrap is.
    """

    models: pd.DataFrame
    model_of_draw: tuple[str, ...]
    modes: tuple[tuple[float, float], ...]
    base_interval: Interval
    widening: float


@dataclass(frozen=True, slots=True)
class EstimatorSpec:
    """An estimator as it is written down: its name and its settings as plain values.

    Examples
    --------
    >>> EstimatorSpec("loglinear", {"model": "[12,3]"}).build().model
    '[12,3]'
    """

    name: str
    settings: Mapping[str, Any]

    def build(self, *, trust: bool = False) -> Any:
        """Make the estimator again; with `trust` also one that is not registered, whose module is imported."""
        from hiddenpop.estimators.registry import build

        return build(self.name, self.settings, trust=trust)

    @property
    def label(self) -> str:
        """Name with the first setting and those others that differ from their defaults, for tables and figures.

        The defaults are those of registered estimators; of another name all settings are shown. Nothing else is
        imported for it.
        """
        from hiddenpop.estimators.registry import default_settings

        defaults = default_settings(self.name)
        shown = [
            f"{key}={_short(value)}"
            for place, (key, value) in enumerate(self.settings.items())
            if place == 0 or key not in defaults or to_jsonable(value) != to_jsonable(defaults[key])
        ]
        return visible(f"{self.name} ({', '.join(shown)})" if shown else str(self.name))


@front_doors("__init__")
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """The estimated size of a population, of which some were observed.

    Attributes
    ----------
    n_hat : float
        Estimated number of persons, observed and hidden; inf when `status` is ``"unbounded"``, nan when it is
        ``"not_identified"`` or ``"not_converged"``.
    n_observed : int
        Persons on at least one list.
    interval : Interval
        Never below `n_observed`.
    status : {"ok", "boundary", "unbounded", "not_identified", "not_converged"}
        ``"ok"``: finite and unique. ``"boundary"``: the data push the dark figure to 0.
    reason : str
        Why the status is not ``"ok"``; empty when it is.
    estimator : EstimatorSpec
    table : TableSummary
    n_failed : int
        Inner fits (bootstrap samples, chains) that gave no finite answer. They are counted, never dropped.
    diagnostics : tuple of Diagnostic
    draws : ndarray, shape (n_draws,), or None
        Bootstrap or posterior draws of the population size.
    draws_are : {"posterior", "bootstrap", ""}
        Which of the two. The estimate of a group of strata is the median of its posterior draws, but the sum of the
        estimates of its strata when the draws are replicates.
    stratum_draws : ndarray, shape (n_draws, n_strata), or None
        Draws by stratum; the rows add up to `draws`.
    by_stratum : DataFrame
        One row a stratum, empty for estimators that do not model strata.
    provenance : mapping
        Versions, fingerprint of the table, random number generator.
    details : mapping
        The method's own extras.
    protected : tuple of str
        Names of details that hold cell counts or figures that give them away.

    Raises
    ------
    ValueError
        If the parts contradict each other, e.g. an interval below `n_observed`.
    """

    n_hat: float
    n_observed: int
    interval: Interval
    status: Status
    estimator: EstimatorSpec
    table: TableSummary
    reason: str = ""
    n_failed: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()
    draws: npt.NDArray[np.float64] | None = None
    draws_are: DrawsAre = ""
    stratum_draws: npt.NDArray[np.float64] | None = None
    by_stratum: pd.DataFrame = field(default_factory=pd.DataFrame)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    protected: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise SettingError(f"status {self.status!r} is not one of {', '.join(get_args(Status))}")
        if self.draws_are not in get_args(DrawsAre):
            raise SettingError(f"draws are posterior or bootstrap draws, not {self.draws_are!r}")
        _check_consistency(self)
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))
        object.__setattr__(self, "details", read_only(self.details))
        remarks = tuple(d.written(self.persons_in_words) for d in self.diagnostics)
        object.__setattr__(self, "diagnostics", remarks)
        for name in ("draws", "stratum_draws"):
            if getattr(self, name) is not None:
                view = getattr(self, name).view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the fields, with plain mappings; what was read-only is read-only again."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return _rebuild, ({**plain, "provenance": dict(self.provenance), "details": dict(self.details)},)

    @property
    def fitted_model(self) -> FittedModel | None:
        """The model behind the number: coefficients, criteria, fitted cells; None for a method without one."""
        return fitted_model_of(self.details, self.table.lists, self.interval.level)

    @property
    def model(self) -> str:
        """The model in the notation of the literature, or as a formula; empty for a method without one."""
        return str(self.details.get("model", ""))

    @property
    def selection(self) -> ModelSelection | None:
        """Models that were tried, for a choice among models and for an average; else None."""
        return selection_of(self.details)

    @property
    def resamples(self) -> Resamples | None:
        """What a bootstrap found; None for another method."""
        base = self.details.get("base_interval")
        if base is None:
            return None
        widening = self.details["widening"]
        return Resamples(
            models=pd.DataFrame(self.details["models"]),
            model_of_draw=tuple(self.details["draw_models"]),
            modes=tuple((float(lump["n"]), float(lump["share"])) for lump in self.details["lumps"]),
            base_interval=base if isinstance(base, Interval) else _interval_from(base),
            widening=math.nan if widening is None else float(widening),
        )

    @property
    def idata(self) -> Any:
        """The draws as an ``arviz.InferenceData``, for a method that samples; None otherwise and out of a file."""
        return self.details.get("idata")

    @property
    def convergence(self) -> Mapping[str, Any] | None:
        """How well the chains agree: ``rhat``, ``ess_bulk``, ``ess_tail``, divergences; None without chains."""
        measured = self.details.get("convergence")
        return measured if isinstance(measured, Mapping) else None

    @property
    def standard_error(self) -> float | None:
        """Standard error of the number of hidden persons, where the method gives one."""
        for name in ("n0_standard_error", "standard_error"):
            error = self.details.get(name)
            if isinstance(error, float):
                return error
        return None

    @property
    def ok(self) -> bool:
        """Whether the estimate is finite and unique."""
        return self.status == "ok"

    @property
    def n_hidden(self) -> float:
        """The dark figure: persons on none of the lists."""
        return self.n_hat - self.n_observed

    @property
    def hidden_share(self) -> float:
        """Share of the population on none of the lists."""
        return 1.0 - self.n_observed / self.n_hat

    def require_ok(self) -> Self:
        """Return the estimate itself, or raise `EstimateNotOkError` with the reason when the status is not ok."""
        if not self.ok:
            raise EstimateNotOkError(
                f"{self.estimator.name} on {self.table.name}: {self.status}: {self.reason}"
            )
        return self

    def summary(self) -> str:
        """Describe the estimate in a few lines of text."""
        lines = [f"{self.estimator.label} on {self.table.name}"]
        lines += [f"  {d.level}: {d.message}" for d in self.diagnostics if d.name == MISFIT]
        lines.append(f"  {self._headline()}")
        if self.reason:
            lines.append(f"  {self.status}: {self.reason}")
        if self.n_failed:
            lines.append(
                f"  {self.n_failed} inner fits gave no finite answer; they are counted in the interval"
            )
        lines += [f"  {d.level}: {d.message}" for d in self.diagnostics if d.name != MISFIT]
        return screen_text("\n".join(lines))

    def in_words(self) -> tuple[str, str]:
        """Write the estimate and its interval with the digits that the width of the interval supports."""
        number, low, high = map(self.persons_in_words, (self.n_hat, self.interval.low, self.interval.high))
        return number, f"{low} or more" if math.isinf(self.interval.high) else f"{low} to {high}"

    def persons_in_words(self, n: float) -> str:
        """Write a size with as many digits as this estimate is written with, wherever it stands beside it."""
        return format_persons(n, self.spread, self.n_observed)

    @property
    def spread(self) -> float:
        """Width of the interval, or twice its lower side where it has no upper limit: it decides the digits."""
        width = self.interval.width
        if math.isfinite(width) or not math.isfinite(self.n_hat):
            return width
        return 2.0 * (self.n_hat - self.interval.low)

    def _headline(self) -> str:
        number, limits = self.in_words()
        shown = "no estimate" if math.isnan(self.n_hat) else f"N = {number}"
        interval = f"{format_level(self.interval.level)} interval {limits} ({self.interval.method})"
        return f"{shown}, {interval}; {self.n_observed:,} observed"

    def to_frame(self) -> pd.DataFrame:
        """Give the estimate as one tidy row."""
        row = {
            "table": self.table.name,
            "estimator": self.estimator.label,
            "n_hat": self.n_hat,
            "low": self.interval.low,
            "high": self.interval.high,
            "level": self.interval.level,
            "method": self.interval.method,
            "status": self.status,
            "reason": self.reason,
            "n_observed": self.n_observed,
            "n_hidden": self.n_hidden,
            "hidden_share": self.hidden_share,
            "n_failed": self.n_failed,
        }
        return pd.DataFrame([row])

    def to_dict(self, *, show_small_counts: bool = False) -> dict[str, Any]:
        """Give the estimate as plain values for JSON, without draws.

        Parameters
        ----------
        show_small_counts : bool
            Of a table that is not public, counts from 1 to 9 and the figures that would give them away are written as
            ``"<10"``, and reasons and diagnostics without their numbers. True lifts that, and the provenance says so.

        Returns
        -------
        dict
            Numbers that are not finite are None beside their status.
        """
        hide = not (self.table.public or show_small_counts)
        hide_total = hide and is_small(self.n_observed)
        provenance = {
            **self.provenance,
            "small_counts_shown": not hide,
            "protected_details": self.protected,
        }
        interval = to_jsonable(self.interval)
        if hide_total:  # a limit at the number observed would give it away
            interval["low"] = protect_value(self.interval.low)
        return {
            "schema_version": SCHEMA_VERSION,
            "n_hat": to_jsonable(protect_value(self.n_hat) if hide_total else self.n_hat),
            "n_observed": protect_value(self.n_observed) if hide else self.n_observed,
            "n_hidden": protect_value(1) if hide_total else to_jsonable(self.n_hidden),
            "interval": interval,
            "status": self.status,
            "reason": protect_text(self.reason) if hide else self.reason,
            "n_failed": self.n_failed,
            "diagnostics": [(protect_remark(d) if hide else d).to_dict() for d in self.diagnostics],
            "by_stratum": to_jsonable(_protect_strata(self.by_stratum) if hide else self.by_stratum),
            "estimator": {"name": self.estimator.name, "settings": to_jsonable(self.estimator.settings)},
            "table": to_jsonable(self.table),
            "provenance": to_jsonable(provenance),
            "details": self._details_for_json(hide),
        }

    def _details_for_json(self, hide: bool) -> dict[str, Any]:
        """Write out the details that have a form in JSON, protected where asked."""
        result: dict[str, Any] = {}
        for name, value in self.details.items():
            shown = _protect_detail(value) if hide and name in self.protected else value
            try:
                result[name] = to_jsonable(shown)
            except NotJsonableError:
                continue
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Estimate":
        """Read an estimate written by `to_dict`.

        Parameters
        ----------
        data : mapping
            With the fields of `to_dict`. A number that was withheld as ``"<10"`` cannot come back.

        Returns
        -------
        Estimate
            Without draws.

        Raises
        ------
        TableError
            For another schema version, a missing field, a withheld number observed, or anything that `to_dict` does
            not write.
        """
        if not isinstance(data, Mapping):
            raise TableError(f"not an estimate: {type(data).__name__} in place of the fields of one")
        if data.get("schema_version") != SCHEMA_VERSION:
            raise TableError(
                f"schema version {data.get('schema_version')!r} is not {SCHEMA_VERSION}, which this version reads"
            )
        absent = [name for name in ("n_observed", *WRITTEN_AS) if name not in data]
        if absent:
            raise TableError(f"not an estimate: the fields {', '.join(absent)} are missing")
        if not isinstance(data["n_observed"], int):
            raise TableError(
                f"the number observed was withheld ({data['n_observed']!r}); the estimate cannot be read back"
            )
        for name, kind in WRITTEN_AS.items():
            if not isinstance(data[name], kind):
                raise TableError(
                    f"not an estimate: {name} is {data[name]!r:.60}, which `to_dict` does not write"
                )
        if steering := steering_text(data):
            raise TableError(
                f"not an estimate that can be read: the text {steering!r:.80} holds control characters, which could "
                "steer a terminal; take them out"
            )
        try:
            return cls._of_fields(data)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise TableError(
                f"not an estimate that can be read: {error}; give what `to_dict` wrote, unchanged"
            ) from error

    @classmethod
    def _of_fields(cls, data: Mapping[str, Any]) -> "Estimate":
        n_hat = data["n_hat"] if data["n_hat"] is not None else N_HAT_WITHOUT_NUMBER[data["status"]]
        return cls(
            n_hat=n_hat,
            n_observed=data["n_observed"],
            interval=_interval_from(data["interval"]),
            status=data["status"],
            reason=data["reason"],
            n_failed=data["n_failed"],
            diagnostics=tuple(Diagnostic(**item) for item in data["diagnostics"]),
            by_stratum=pd.DataFrame(data["by_stratum"]),
            estimator=_spec_from(data["estimator"]),
            table=TableSummary(**{**data["table"], "lists": tuple(data["table"]["lists"])}),
            provenance=data["provenance"],
            details=data["details"],
            protected=tuple(data["provenance"].get("protected_details", data["details"])),
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the estimate with its interval."""
        from hiddenpop.plotting import forest_plot

        return forest_plot([self], ax=ax)

    def __repr__(self) -> str:
        return screen_text(
            f"<Estimate {self.estimator.name} on {self.table.name}: {self._headline()}; {self.status}>"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


WRITTEN_AS: dict[str, Any] = {
    "n_hat": int | float | None,
    "interval": Mapping,
    "status": str,
    "reason": str,
    "n_failed": int,
    "diagnostics": list,
    "by_stratum": list,
    "estimator": Mapping,
    "table": Mapping,
    "provenance": Mapping,
    "details": Mapping,
}
"""Kinds of the fields in JSON."""


def _spec_from(written: Mapping[str, Any]) -> EstimatorSpec:
    name, settings = written.get("name"), written.get("settings")
    if len(written) != 2 or not isinstance(name, str) or not isinstance(settings, Mapping):
        raise TypeError("its estimator must be a name and a table of settings")
    return EstimatorSpec(name, settings)


def _interval_from(written: Mapping[str, Any]) -> Interval:
    high = math.inf if written["high"] is None else written["high"]
    return Interval(written["low"], high, written["level"], written["method"])


def _rebuild(values: dict[str, Any]) -> Estimate:
    return Estimate(**values)


def _check_consistency(estimate: Estimate) -> None:
    """Refuse an estimate whose parts contradict each other."""
    e = estimate
    if e.interval.low < e.n_observed:
        raise SettingError(f"the interval starts at {e.interval.low}, below the {e.n_observed} observed")
    if e.status in ("ok", "boundary") and not e.n_observed <= e.n_hat < math.inf:
        raise SettingError(
            f"status {e.status!r} needs a finite estimate of at least {e.n_observed}; got {e.n_hat}"
        )
    none = N_HAT_WITHOUT_NUMBER.get(e.status, e.n_hat)
    if e.n_hat != none and not (math.isnan(e.n_hat) and math.isnan(none)):
        raise SettingError(f"status {e.status!r} goes with n_hat={none}; got {e.n_hat}")
    if e.status != "ok" and not e.reason:
        raise SettingError(f"status {e.status!r} needs a reason in words")


def _protect_detail(value: Any) -> Any:
    """Withhold what would give small counts away: row by row in a frame of cells, whole otherwise."""
    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        value = pd.DataFrame(value)  # a frame that has been through JSON
    if isinstance(value, pd.DataFrame) and "count" in value.columns:
        return protect_cells(value)
    return protect_value(1)


def protect_remark(remark: Diagnostic) -> Diagnostic:
    """Write a remark about a table that is not public without its numbers."""
    return Diagnostic(remark.name, remark.level, protect_text(remark.message))


def _protect_strata(frame: pd.DataFrame) -> pd.DataFrame:
    """Withhold the figures of strata in which few people were observed."""
    if frame.empty:
        return frame
    cells = protect_cells(frame.rename(columns={"n_observed": "count"}))
    return cells.rename(columns={"count": "n_observed"})


LONGEST_IN_LABEL = 8
"""Items of a setting that a label names; of more it gives the number."""


def _short(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) > LONGEST_IN_LABEL:
        return f"{len(value)} items"
    if isinstance(value, Mapping) and isinstance(value.get("settings"), Mapping) and "name" in value:
        return EstimatorSpec(value["name"], value["settings"]).label
    return str(value)


SAME_SIZE = 1e-9
"""Relative difference below which two estimates are one size, found by two routes."""


def spread_beside(estimate: Estimate, others: Iterable[Estimate]) -> float:
    """Give the spread that decides the digits of an estimate beside others: one size is written in one way.

    Of several estimates of the same size the one with the most digits decides; limits keep digits of their own.
    """
    same = [
        e.spread
        for e in others
        if math.isclose(e.n_hat, estimate.n_hat, rel_tol=SAME_SIZE) and math.isfinite(e.spread)
    ]
    return min(same, default=estimate.spread)


def format_level(level: float) -> str:
    """Write the level of an interval in per cent, with the digits that it has, so that no level reads as all.

    Examples
    --------
    >>> [format_level(level) for level in (0.95, 0.5, 0.975, 0.999, 2 / 3)]
    ['95%', '50%', '97.5%', '99.9%', '66.67%']
    """
    percent = 100 * Decimal(repr(float(level)))
    beyond = min(percent, 100 - percent)
    places = max(0, LEVEL_DIGITS - 1 - beyond.adjusted())
    text = f"{percent:.{places}f}"
    return f"{text.rstrip('0').rstrip('.') if places else text}%"


LARGEST_IN_FULL = 1e15
"""A size from here on is not a number of persons, and is written as a power of ten."""


def format_persons(n: float, width: float, least: float = 0.0) -> str:
    """Write a number of persons with the digits that an interval of this width supports, but at least three.

    Rounding never takes it below `least`, the number observed.

    Examples
    --------
    >>> format_persons(12349.587, 5800.0), format_persons(137.2, 12.0), format_persons(math.inf, math.inf)
    ('12,350', '137', 'infinity')
    >>> format_persons(3.21e18, 4e18)
    '3.21e+18'
    >>> format_persons(1234.2, 90000.0, least=1234)
    '1,234'
    """
    if math.isnan(n):
        return "unknown"
    if math.isinf(n):
        return "infinity"
    if n >= LARGEST_IN_FULL:
        return f"{n:.3g}"
    spare = min(width, n) if math.isfinite(width) else 0.0
    places = max(0, math.floor(math.log10(spare)) - 2) if spare >= 1.0 else 0
    return f"{max(round(n, -places), least):,.0f}"
