"""`rates`: persons per so many residents."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._cells import level_text, unknown_name
from hiddenpop._front_door import front_door
from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError, TableError
from hiddenpop.monitor.groups import (
    Groups,
    added_years,
    covariate_names,
    covariates_of,
    groups_of,
    limits_are_for,
    settled_level,
    strata_of,
)
from hiddenpop.monitor.monitor_table import MonitorTable
from hiddenpop.monitor.subgroups import figures_of, total_of
from hiddenpop.monitor.withhold import marked, withheld_with_total
from hiddenpop.result import Estimate, format_level
from hiddenpop.table import TableSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RESIDENTS", "Rates", "Residents", "rates", "read_residents"]


RESIDENTS = "residents"
FIGURES = ("n_observed", "observed_rate", "rate", "low", "high", "status")
MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Rates(MonitorTable):
    """Persons per so many residents, by groups.

    Attributes
    ----------
    by : tuple of str
        The covariates that make the groups.
    frame : DataFrame
        One row a group and, last, one for all residents, whose levels are ``"(all)"``: the covariates,
        ``n_observed``, ``residents``, ``observed_rate``, ``rate``, ``low``, ``high``, ``status``.
    per : float
        Residents that the rates are per.
    level : float
        Of the limits.
    draws_are : {"posterior", "bootstrap", ""}
    estimator : str
    table : TableSummary
    notes : tuple of str
    """

    by: tuple[str, ...]
    frame: pd.DataFrame
    per: float
    level: float
    draws_are: str
    estimator: str
    table: TableSummary
    notes: tuple[str, ...] = ()

    def protected_frame(self) -> pd.DataFrame:
        """Give the frame as it may leave if the table is not public: few persons, and what tells them, marked."""
        if self.table.public:
            return self.frame
        return marked(self.frame, withheld_with_total(self.frame, self.by), FIGURES)

    def text(self) -> str:
        """Write a line a group."""
        head = f"{self.table.name}: persons per {self.per:,.0f} residents by {', '.join(self.by)}"
        lines = [f"  {self._line(row)}" for _, row in self.frame.iterrows()]
        limits = f"({self.estimator}; {format_level(self.level)} limits, residents taken as known)"
        return "\n".join([f"{head} {limits}", *lines, *(f"  note: {note}" for note in self.notes)])

    def _line(self, row: "pd.Series[Any]") -> str:
        name = " / ".join(str(row[covariate]) for covariate in self.by)
        rate, low, high, observed = (
            rate_text(float(str(row[key]))) for key in ("rate", "low", "high", "observed_rate")
        )
        shown = str(row["status"]).replace("_", " ") if rate == "none" else rate
        return f"{name}: {shown} ({low} to {high}); observed {observed}"

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the rates with their limits (`hiddenpop.plotting.part_plot`)."""
        from hiddenpop.plotting import part_plot

        return part_plot(self, ax=ax, **options)


def rate_text(rate: float) -> str:
    """Write a rate with three digits, more where it is large.

    Examples
    --------
    >>> rate_text(0.01234), rate_text(12.345), rate_text(1234.5), rate_text(math.inf), rate_text(math.nan)
    ('0.0123', '12.3', '1,234', 'no limit', 'none')
    """
    if math.isnan(rate):
        return "none"
    if math.isinf(rate):
        return "no limit"
    return f"{rate:,.0f}" if rate >= 100.0 else f"{rate:.3g}"


@front_door
def rates(
    estimate: Estimate,
    residents: pd.DataFrame,
    by: str | Sequence[str],
    *,
    per: float = 100_000,
    undivided: str | Sequence[str] = (),
    allow_missing: bool = False,
    level: float | None = None,
) -> Rates:
    """Give persons per so many residents, observed and in all.

    Parameters
    ----------
    estimate : Estimate
        Of an estimator that models strata.
    residents : DataFrame
        Columns with covariates of the estimate, and ``residents`` with how many live there; no combination twice.
        Rows with levels that the estimate does not have are left out, with a note.
    by : str or sequence of str
        The covariates that make the groups.
    per : float
        Residents that a rate is per.
    undivided : str or sequence of str
        Covariates in `by`, such as the form of exploitation, by which residents are not divided: each of their
        levels is set against all of the residents.
    allow_missing : bool
        Give groups without residents, such as persons living abroad, no rate and a note, instead of an error.
    level : float, optional
        Of the limits; by default that of the estimate.

    Returns
    -------
    Rates

    Raises
    ------
    CapabilityError
        For an estimate without strata, or for sums of strata without draws.
    UnknownNameError
        For a covariate that is not there, or not in `residents`.
    TableError
        For residents that are missing, zero, negative or given twice, with all faults in one message.
    SettingError
        For a setting it cannot have.

    Warns
    -----
    PersonYearsWarning
        If years are added up, be it in the last row only.

    Notes
    -----
    ``rate = per * N / residents``, with the limits of N, the persons in the group: residents are taken as known, and
    what another year would bring is not in the limits. The numerator counts everybody
    in scope of the table, also those who are not residents, such as persons in the country for a short time.

    References
    ----------
    United Nations Statistics Division. SDG indicator metadata, indicator 16.2.2.
    https://unstats.un.org/sdgs/metadata/files/Metadata-16-02-02.pdf

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
    >>> model = CovariateLogLinear(model="R1*X1 + R2 + R3 + R4 + Y", n_boot=400)
    >>> estimate = model.fit(hp.datasets.load("simdat").collapse("X2", "X3", "X4"), rng=1)
    >>> made_up = pd.DataFrame({"X1": ["1", "2"], "residents": [600_000, 500_000]})
    >>> rates(estimate, made_up, "X1").frame["observed_rate"].round(1).tolist()
    [93.3, 96.6, 94.8]
    """
    names = covariate_names(estimate, by)
    chosen = settled_level(estimate, level)
    if not 0.0 < per < math.inf:
        raise SettingError(f"per={per!r} must be a number of residents above 0, e.g. 100_000")
    groups = groups_of(estimate, strata_of(estimate)[list(names)])
    whole = total_of(estimate, names)
    known = read_residents(estimate, residents, names, undivided)
    bottom, notes = _denominators(known, groups, whole, names, allow_missing)
    frame = figures_of(estimate, groups, whole, chosen)
    return Rates(
        by=names,
        frame=_with_rates(frame, bottom, float(per)),
        per=float(per),
        level=chosen,
        draws_are=estimate.draws_are if whole.draws is not None else "",
        estimator=estimate.estimator.label,
        table=estimate.table,
        notes=(
            *limits_are_for(estimate),
            *added_years(estimate, apart=()),
            *notes,
            *_too_many(frame, bottom),
        ),
    )


def _with_rates(frame: pd.DataFrame, bottom: Floats, per: float) -> pd.DataFrame:
    scale = per / bottom  # nan without residents
    columns = {name: frame[source] * scale for name, source in RATE_OF.items()}
    kept = frame.drop(columns=["n_hat", "low", "high", "status"])
    return kept.assign(residents=bottom, **columns, status=frame["status"])


RATE_OF = {"observed_rate": "n_observed", "rate": "n_hat", "low": "low", "high": "high"}


def _too_many(frame: pd.DataFrame, bottom: Floats) -> tuple[str, ...]:
    """Say so where there would be more persons than residents."""
    beyond = np.isfinite(frame["n_hat"]) & (frame["n_hat"] > bottom)
    return (f"{int(beyond.sum())} groups would hold more persons than residents; check both",) * bool(
        beyond.any()
    )


# --- residents --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residents:
    """Residents by the strata of an estimate.

    Attributes
    ----------
    columns : tuple of str
        Covariates by which they are divided.
    cell_of : tuple of tuple of str
        For each stratum its cell of residents.
    number : mapping of tuple of str to float
        Residents of each cell; a cell that was not given is not there.
    undivided : tuple of str
        Covariates asked for by which they are not divided.
    ignored : tuple of str
        Cells that the estimate does not have.
    """

    columns: tuple[str, ...]
    cell_of: tuple[tuple[str, ...], ...]
    number: dict[tuple[str, ...], float]
    undivided: tuple[str, ...]
    ignored: tuple[str, ...]

    def of(self, members: npt.NDArray[np.int64]) -> float:
        """Count the residents behind some strata, each cell once; nan when one of them was not given."""
        cells = dict.fromkeys(self.cell_of[int(stratum)] for stratum in members)
        return float(sum(self.number.get(cell, math.nan) for cell in cells))

    def absent(self, members: npt.NDArray[np.int64]) -> list[str]:
        """Name the cells behind some strata that were not given."""
        cells = dict.fromkeys(self.cell_of[int(stratum)] for stratum in members)
        return [_cell_name(self.columns, cell) for cell in cells if cell not in self.number]


def read_residents(
    estimate: Estimate, residents: pd.DataFrame, by: Sequence[str], undivided: str | Sequence[str]
) -> Residents:
    """Read the residents of the strata of an estimate, and refuse what cannot be told.

    Parameters
    ----------
    estimate : Estimate
    residents : DataFrame
    by : sequence of str
        Covariates that are to be kept apart.
    undivided : str or sequence of str
        Those of them that need not be columns of `residents`.

    Returns
    -------
    Residents

    Raises
    ------
    UnknownNameError, TableError
        As for `rates`.
    """
    columns, covariates = [str(name) for name in residents.columns], covariates_of(estimate)
    whole = (undivided,) if isinstance(undivided, str) else tuple(undivided)
    if RESIDENTS not in columns:
        raise unknown_name("column of residents", RESIDENTS, columns)
    for name in whole:
        if name not in by:
            raise unknown_name("covariate in by", name, by)
    for name in by:
        if name not in columns and name not in whole:
            error = unknown_name("column of residents", name, [c for c in columns if c != RESIDENTS])
            raise type(error)(f"{error}; if residents are not divided by it, give undivided={name!r}")
    divided = tuple(name for name in columns if name != RESIDENTS)
    strange = [name for name in divided if name not in covariates]
    if strange:
        raise TableError(
            f"the column {strange[0]!r} of residents is not a covariate of the estimate ({', '.join(covariates)}); add "
            "up or select the residents you mean, and leave it out"
        )
    cell_of = tuple(strata_of(estimate)[list(divided)].itertuples(index=False, name=None))
    number = _numbers(residents, divided)
    ignored = tuple(_cell_name(divided, cell) for cell in number if cell not in set(cell_of))
    return Residents(
        columns=divided,
        cell_of=cell_of or ((),) * len(strata_of(estimate)),
        number=number,
        undivided=tuple(name for name in by if name not in divided),
        ignored=ignored,
    )


def _numbers(residents: pd.DataFrame, divided: Sequence[str]) -> dict[tuple[str, ...], float]:
    """Read the numbers by cell, every fault reported at once."""
    cells = [
        tuple(map(level_text, row)) for row in residents[list(divided)].itertuples(index=False, name=None)
    ]
    cells = cells or [()] * len(residents)
    values = pd.to_numeric(residents[RESIDENTS], errors="coerce").to_numpy(dtype=np.float64)
    faults = [
        f"{_cell_name(divided, cell)} has {given!r} residents"
        for cell, value, given in zip(cells, values, residents[RESIDENTS], strict=True)
        if not 0.0 <= value < math.inf
    ]
    twice = sorted({cell for cell in cells if cells.count(cell) > 1}) if len(set(cells)) < len(cells) else []
    faults += [f"{_cell_name(divided, cell)} is given more than once" for cell in twice]
    if faults:
        raise TableError(
            f"residents: {_listed(faults)}; give each combination once, with a number of 0 or more"
        )
    return dict(zip(cells, values.tolist(), strict=True))


def _cell_name(columns: Sequence[str], cell: Sequence[str]) -> str:
    named = ", ".join(f"{column}={level!r}" for column, level in zip(columns, cell, strict=True))
    return named or "the only row"


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return "; ".join(texts[:MOST_NAMED]) + more


def _denominators(
    known: Residents, groups: Groups, whole: Groups, by: Sequence[str], allow_missing: bool
) -> tuple[Floats, tuple[str, ...]]:
    """Give the residents of each group and of all, nan where there are none, with what a reader must know."""
    bottom = np.array([known.of(own) for own in (*groups.members, *whole.members)])
    faults = [f"{name} is missing" for name in known.absent(whole.members[0])]
    names = [_cell_name(by, row) for row in groups.levels.itertuples(index=False, name=None)]
    faults += [f"{name} has 0 residents" for name, n in zip(names, bottom[:-1], strict=True) if n == 0.0]
    if faults and not allow_missing:
        raise TableError(
            f"residents: {_listed(faults)}; give them, or allow_missing=True for no rate in their place"
        )
    if faults:
        bottom[-1] = math.nan  # persons of whom the residents are not known count in the numerator
    notes = [f"no rate, residents: {_listed(faults)}"] if faults else []
    if known.undivided:
        notes.append(
            f"residents are not divided by {', '.join(known.undivided)}: each level is set against all"
        )
    if known.ignored:
        notes.append(
            f"residents of strata that the estimate does not have are left out: {_listed(known.ignored)}"
        )
    return np.where(bottom > 0.0, bottom, math.nan), tuple(notes)
