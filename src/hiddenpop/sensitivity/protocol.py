"""What a check is, and the `CheckResult` that every check returns: a table, a verdict in words, what to draw."""

import html
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import pandas as pd

from hiddenpop._front_door import front_doors
from hiddenpop.disclosure import THRESHOLD, is_small
from hiddenpop.estimators.protocol import Estimator, spec_of
from hiddenpop.parallel import parallel
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Estimate, EstimatorSpec
from hiddenpop.sensitivity.points import baseline_of, seed_of
from hiddenpop.sensitivity.verdict import Verdict
from hiddenpop.serial import to_jsonable
from hiddenpop.table import CaptureTable, RNGLike, TableSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SIZES", "Asked", "Check", "CheckResult", "Found", "StandardCheck", "size_to_leave"]

SIZES = ("n_hat", "low", "high")
REASON_WITHHELD = "reason withheld"
TOO_FEW = f"Withheld: fewer than {THRESHOLD} persons were observed."
DIGITS_TO_LEAVE = 3
"""Significant digits of a size that leaves: many exact sizes of one table can be solved for its small cells."""


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
    def verdict(self) -> str:
        """The verdict in a word: "holds", "fails" or "no verdict"."""
        return {True: "holds", False: "fails", None: "no verdict"}[self.passed]

    def summary(self) -> str:
        """Write the verdict in a few lines of text."""
        return f"{self.name} of {self.estimator.label} on {self.data.name}: {self.verdict}\n  {self.text}"

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
    """Round a size to the digits that may leave; what is no finite number stays."""
    if not isinstance(size, int | float) or not math.isfinite(size) or size == 0:
        return size
    return float(f"{size:.{DIGITS_TO_LEAVE - 1}e}")


@dataclass(frozen=True, slots=True)
class Asked:
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
    def judged(cls, verdict: Verdict, **rest: Any) -> "Found":
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
            found = self._find(Asked(estimator, table, baseline, seed_of(rng)))
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
    def _find(self, asked: Asked) -> Found | str:
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
