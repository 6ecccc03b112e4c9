"""What a check is, and the `CheckResult` that every check returns: a table, a verdict in words, what to draw."""

import html
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_doors
from hiddenpop._text import screen_text
from hiddenpop.disclosure import THRESHOLD, is_small
from hiddenpop.errors import SettingError
from hiddenpop.estimators.base import contract
from hiddenpop.estimators.protocol import Estimator, spec_of
from hiddenpop.parallel import parallel
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Estimate, EstimatorSpec, format_persons
from hiddenpop.sensitivity.claims import Claim
from hiddenpop.sensitivity.points import baseline_of, has_number, seed_of
from hiddenpop.serial import to_jsonable
from hiddenpop.table import CaptureTable, RNGLike, TableSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "SIZES",
    "Check",
    "CheckContext",
    "CheckResult",
    "Found",
    "StandardCheck",
    "Verdict",
    "as_pairs",
    "figure_of",
    "has_setting",
    "judge",
    "lacks",
    "setting_of",
    "size_to_leave",
    "with_settings",
]

SIZES = ("n_hat", "low", "high")
REASON_WITHHELD = "reason withheld"
TOO_FEW = f"Withheld: fewer than {THRESHOLD} persons were observed."
DIGITS_TO_LEAVE = 3
"""Significant digits of a size that leaves: many exact sizes of one table can be solved for its small cells."""

Pairs = tuple[tuple[str, str], ...]


@runtime_checkable
class Check(Protocol):
    """A frozen, keyword-only dataclass of settings with a pure `run`.

    A check is one of two moves: another estimator on the same table, or the same estimator on another table. One that
    cannot apply to an estimator or a table returns ``passed=None`` and says why; it raises only for settings that
    cannot be, such as the name of a list that is not there.
    """

    name: ClassVar[str]

    def run(
        self,
        estimator: Estimator,
        table: CaptureTable,
        baseline: Estimate | None = None,
        *,
        rng: RNGLike = None,
        workers: int | None = None,
    ) -> "CheckResult":
        """Try what the check is about and say what it does to the answer."""
        ...


@front_doors("__init__")
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckResult:
    """What a check found.

    Attributes
    ----------
    name : str
    passed : bool or None
        None where there is no verdict: the check does not apply, or too many points have no number.
    table : DataFrame
        One row a point that was tried, with ``n_hat``, ``low``, ``high``, ``status`` and ``reason``; other columns say
        which point it is.
    text : str
        The verdict in words.
    figure : mapping
        How `plot` draws the table: ``"kind"`` and which columns stand where.
    estimator : EstimatorSpec
    data : TableSummary
        The table of counts.
    n_points, n_failed : int
        Points tried, and those among them without a finite number. They are counted, never dropped.
    settings : mapping
        Those of the check.
    protected : tuple of str
        Columns that give small counts away; they are withheld from what leaves when the data are not public.
    text_to_leave : str
        The verdict without what has to stay; `text` itself when empty.
    provenance : mapping
    """

    name: str
    passed: bool | None
    table: pd.DataFrame
    text: str
    figure: Mapping[str, Any]
    estimator: EstimatorSpec
    data: TableSummary
    n_points: int = 0
    n_failed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    protected: tuple[str, ...] = ()
    text_to_leave: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.n_failed <= self.n_points:
            raise ValueError(f"{self.n_failed} of {self.n_points} points cannot have failed")
        for name in ("figure", "settings", "provenance"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the fields, with plain mappings."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return _rebuild, ({k: dict(v) if isinstance(v, MappingProxyType) else v for k, v in plain.items()},)

    @property
    def applies(self) -> bool:
        """Whether the check could be made of this estimator and table: it tried a point, or has a verdict."""
        return self.passed is not None or self.n_points > 0

    @property
    def verdict(self) -> str:
        """The verdict in a word: "holds", "fails" or "no verdict"."""
        return {True: "holds", False: "fails", None: "no verdict"}[self.passed]

    def summary(self) -> str:
        """Write the verdict in a few lines of text."""
        return screen_text(
            f"{self.name} of {self.estimator.label} on {self.data.name}: {self.verdict}\n  {self.text}"
        )

    def to_dict(self, *, show_small_counts: bool = False) -> dict[str, Any]:
        """Give the result as plain values for JSON.

        Parameters
        ----------
        show_small_counts : bool
            Of data that are not public, columns that would give small counts away are written as ``"<10"`` and sizes
            to three significant digits. True lifts that, and the provenance says so.

        Returns
        -------
        dict
            Numbers that are not finite are None beside their status.
        """
        hide = not (self.data.public or show_small_counts)
        return {
            "name": self.name,
            "passed": self.passed,
            "text": self.words_to_leave() if hide else self.text,
            "table": to_jsonable(self.table_to_leave() if hide else self.table),
            "figure": {} if hide else to_jsonable(self.figure),
            "n_points": self.n_points,
            "n_failed": self.n_failed,
            "estimator": {"name": self.estimator.name, "settings": to_jsonable(self.estimator.settings)},
            "data": to_jsonable(self.data),
            "settings": to_jsonable(self.settings),
            "provenance": to_jsonable({**self.provenance, "small_counts_shown": not hide}),
        }

    def table_to_leave(self) -> pd.DataFrame:
        """Give the table without what would show small counts of data that are not public."""
        if self.data.public:
            return self.table
        sizes = [name for name in self.table if name in SIZES and name not in self.protected]
        shown: dict[str, Any] = {str(name): self.table[name].map(size_to_leave) for name in sizes}
        if "reason" in self.table:
            shown["reason"] = self.table["reason"].replace(dict.fromkeys(self._telling(), REASON_WITHHELD))
        return self.table.assign(**{**shown, **dict.fromkeys(self.protected, f"<{THRESHOLD}")})

    def words_to_leave(self) -> str:
        """Give the verdict without what would show small counts of data that are not public."""
        if self.data.public:
            return self.text
        text = self.text_to_leave or self.text
        for reason in self._telling():
            text = text.replace(reason, REASON_WITHHELD)
        return text

    def _telling(self) -> list[str]:
        """Reasons with a number in them: of a part of the table it may be a small count."""
        reasons = self.table["reason"].unique().tolist() if "reason" in self.table else []
        return [reason for reason in reasons if any(letter.isdigit() for letter in reason)]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the points of the check; those without a number are gaps, counted under the axis."""
        from hiddenpop.plotting import check_plot

        return check_plot(self, ax=ax)

    def __repr__(self) -> str:
        return f"<CheckResult {self.summary()}>"

    def _repr_html_(self) -> str:
        shown = self.table.to_html(index=False, escape=True, max_rows=20, float_format="{:,.4g}".format)
        return f"<pre>{html.escape(self.summary())}</pre>{shown if len(self.table) else ''}"


def _rebuild(values: dict[str, Any]) -> CheckResult:
    return CheckResult(**values)


def size_to_leave(size: Any) -> Any:
    """Round a size to the digits that may leave; what is not a finite number stays."""
    if not isinstance(size, int | float) or not math.isfinite(size) or size == 0:
        return size
    return float(f"{size:.{DIGITS_TO_LEAVE - 1}e}")


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a check is asked about.

    Attributes
    ----------
    estimator : Estimator
    table : CaptureTable
    baseline : Estimate or None
        The answer on the table, where it is there already.
    seed : int
        The same for every point, so that they differ by what is varied and not by chance.
    """

    estimator: Any
    table: CaptureTable
    baseline: Estimate | None
    seed: int

    def base(self) -> Estimate:
        """Give the answer on the table, fitted where it is not there."""
        return baseline_of(self.estimator, self.table, self.baseline, self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check found; the attributes are those of `CheckResult`."""

    passed: bool | None
    table: pd.DataFrame
    text: str
    figure: Mapping[str, Any]
    n_points: int
    n_failed: int
    protected: tuple[str, ...] = ()
    text_to_leave: str = ""
    settings: Mapping[str, Any] | None = None

    @classmethod
    def judged(cls, verdict: "Verdict", **rest: Any) -> "Found":
        """Take the outcome and the numbers of points from a verdict."""
        return cls(passed=verdict.passed, n_points=verdict.n_points, n_failed=verdict.n_failed, **rest)


class StandardCheck(ABC):
    """What the checks of this package share: how they are asked, and what becomes of what they find."""

    __slots__ = ()

    name: ClassVar[str]

    def run(
        self,
        estimator: Estimator,
        table: CaptureTable,
        baseline: Estimate | None = None,
        *,
        rng: RNGLike = None,
        workers: int | None = None,
    ) -> CheckResult:
        """Try what the check is about and say what it does to the answer.

        Parameters
        ----------
        estimator : Estimator
        table : CaptureTable
        baseline : Estimate, optional
            The answer of the estimator on the table; fitted when left out.
        rng : int, Generator or None
            All points start from the same seed.
        workers : int, optional
            Processes, -1 for every core. The result does not depend on their number.

        Returns
        -------
        CheckResult
            ``passed`` is None where the check cannot apply to this estimator and table; the text says why.

        Raises
        ------
        UnknownNameError, SettingError
            For settings of the check that this table or estimator makes impossible, such as an unknown list.
        CapabilityError
            If the estimator cannot treat the table at all.
        """
        provenance = make_provenance(table.summary, rng)
        with parallel(workers=workers):
            found = self._find(CheckContext(estimator, table, baseline, seed_of(rng)))
        if isinstance(found, str):
            found = _nothing(found)
        if is_small(table.n_observed):
            found = _of_few(found)
        return CheckResult(
            name=self.name,
            passed=found.passed,
            table=found.table,
            text=found.text,
            figure=found.figure,
            estimator=spec_of(estimator),
            data=table.summary,
            n_points=found.n_points,
            n_failed=found.n_failed,
            settings=spec_of(self).settings if found.settings is None else found.settings,
            protected=found.protected,
            text_to_leave=found.text_to_leave,
            provenance=provenance,
        )

    @abstractmethod
    def _find(self, asked: CheckContext) -> Found | str:
        """Give what is found, or say in words why the check does not apply."""


def _of_few(found: Found) -> Found:
    """Keep sizes and words back where so few persons were observed that every figure could give them away."""
    shown = [
        str(name) for name in found.table if name in (*SIZES, "n_observed") and name not in found.protected
    ]
    return replace(found, protected=(*found.protected, *shown), text_to_leave=TOO_FEW)


def _nothing(why: str) -> Found:
    """Make a result without points of the reason why there are none."""
    return Found(
        passed=None,
        table=pd.DataFrame(columns=["n_hat", "low", "high", "status", "reason"]),
        text=f"{why[:1].upper()}{why[1:]}{'' if why.endswith('.') else '.'}",
        figure={"kind": "nothing"},
        n_points=0,
        n_failed=0,
    )


# === from the points of a sweep to a verdict, made from all the points it states or not at all ========================


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the points say of a claim.

    Attributes
    ----------
    passed : bool or None
        None where points without a number leave it open.
    text : str
    n_points, n_failed : int
        Points tried, and those among them without a finite number.
    share : float
        Share of the points with a number at which the claim holds; nan where no point has one.
    """

    passed: bool | None
    text: str
    n_points: int
    n_failed: int
    share: float


def judge(frame: pd.DataFrame, claim: Claim, *, points: str = "points") -> Verdict:
    """Hold every point of a sweep to a claim.

    Parameters
    ----------
    frame : DataFrame
        As `points.evaluate` gives it.
    claim : Claim
    points : str
        What a point is called, in the plural.

    Returns
    -------
    Verdict
        ``passed`` is False when a point with a number breaks the claim, True when all points have a number and none
        breaks it, and None otherwise.
    """
    known = has_number(frame).to_numpy()
    numbers = frame["n_hat"].to_numpy(dtype=float)[known]
    holds = np.array([claim.holds(n) for n in numbers], dtype=bool)
    n_points, n_failed = len(frame), int((~known).sum())
    passed = False if not holds.all() else (True if n_points and not n_failed else None)
    text = _in_words(frame, claim, numbers, holds, points)
    share = float(holds.mean()) if len(holds) else float("nan")
    return Verdict(passed, text, n_points, n_failed, share)


def _in_words(
    frame: pd.DataFrame, claim: Claim, numbers: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    holds: "np.ndarray[tuple[int], np.dtype[np.bool_]]", points: str,
) -> str:  # fmt: skip
    if not len(numbers):
        return f"No verdict: none of the {len(frame)} {points} has a number.{failures_in_words(frame)}"
    observed = frame["n_observed"].unique()
    beside = f" ({int(observed[0]):,} observed)" if len(observed) == 1 else ""
    low, high = (format_persons(n, float(np.ptp(numbers)), 0.0) for n in (numbers.min(), numbers.max()))
    span = f"N runs from {low} to {high} over {len(numbers)} of {len(frame)} {points}{beside}."
    found = f"The claim ({claim.text}) holds at {int(holds.sum())} of them."
    return f"{span} {found}{failures_in_words(frame)}"


def failures_in_words(frame: pd.DataFrame) -> str:
    """Count the points without a number by status, with the first reason of each; empty where there are none."""
    failed = frame[~has_number(frame)]
    if failed.empty:
        return ""
    reasons = failed.drop_duplicates("status").set_index("status")["reason"]
    counted = Counter(failed["status"])
    listed = "; ".join(f"{times} {status} ({reasons[status]})" for status, times in counted.items())
    return f" Without a number: {listed}."


# === what the figure of every check has, as plain values ==============================================================


def figure_of(kind: str, title: str, baseline: Estimate, claim: Claim, **columns: Any) -> dict[str, Any]:
    """Say how a check is drawn: its kind and title, the baseline and the claim, and which columns stand where.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> base = hp.LogLinear().fit(hp.datasets.load("kosovo"))
    >>> figure_of("curve", "N", base, Claim.parse("more than 10,000"), x="multiplier")["claim"]
    {'low': 10000.0, 'high': None, 'text': 'more than 10,000'}
    """
    interval = baseline.interval
    return {
        "kind": kind,
        "title": title,
        "baseline": {
            "n_hat": _plain(baseline.n_hat),
            "low": _plain(interval.low),
            "high": _plain(interval.high),
        },
        "claim": {"low": _plain(claim.low), "high": _plain(claim.high), "text": claim.text},
        **columns,
    }


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


# === what a check needs of an estimator: a setting that it has itself, or that the estimator it wraps has =============


def has_setting(estimator: Estimator, name: str) -> bool:
    """Tell whether an estimator, or the one it wraps, has a setting.

    Examples
    --------
    >>> from hiddenpop import Bootstrapped, LogLinear
    >>> has_setting(Bootstrapped(base=LogLinear()), "model"), has_setting(LogLinear(), "n_boot")
    (True, False)
    """
    return contract(estimator).holder(name) is not None


def setting_of(estimator: Estimator, name: str) -> Any:
    """Give the value of a setting of an estimator or of the one it wraps."""
    return getattr(contract(estimator).holder(name), name)


def with_settings(estimator: Estimator, **changes: Any) -> Any:
    """Make a variant of an estimator, each change made where the setting stands: in it or in what it wraps."""
    return contract(estimator).with_settings(**changes)


def lacks(estimator: Estimator, name: str, what: str) -> str:
    """Say that a check cannot apply, as the estimator has no such setting."""
    return f"does not apply: {spec_of(estimator).name} has no setting {name!r}, {what}"


# === pairs of lists, as the settings of checks name them ==============================================================


def as_pairs(given: Any) -> Pairs | None:
    """Read pairs of lists; None stands for every pair.

    Raises
    ------
    SettingError
        For anything that is not a pair of different lists, a pair that stands twice, and no pairs at all.

    Examples
    --------
    >>> as_pairs([["police", "shelter"]])
    (('police', 'shelter'),)
    """
    if given is None:
        return None
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise SettingError(f'pairs={given!r} must be pairs of lists, such as [("police", "shelter")]')
    pairs = [tuple(pair) if isinstance(pair, tuple | list | set | frozenset) else (pair,) for pair in given]
    for pair in pairs:
        if len(pair) != 2 or not all(isinstance(name, str) for name in pair) or pair[0] == pair[1]:
            raise SettingError(
                f'pairs: {pair!r} is not a pair of different lists; write ("police", "shelter")'
            )
    if not pairs or len({frozenset(pair) for pair in pairs}) < len(pairs):
        raise SettingError(f"pairs={given!r} must name pairs of lists, each once")
    return tuple((pair[0], pair[1]) for pair in pairs)
