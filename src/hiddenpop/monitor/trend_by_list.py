"""`trend_by_list`: whether a trend is one of the population or of a single list."""

import math
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hiddenpop._cells import unknown_name
from hiddenpop._front_door import front_door
from hiddenpop.errors import HiddenpopError, HiddenpopWarning, TableError
from hiddenpop.estimators.protocol import Estimator, spec_of
from hiddenpop.histories import decode
from hiddenpop.monitor.groups import level_order
from hiddenpop.monitor.monitor_table import MonitorTable
from hiddenpop.monitor.trend import Trend, trend
from hiddenpop.table import CaptureTable, RNGLike, TableSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["NONE_DROPPED", "TrendByList", "trend_by_list"]

NONE_DROPPED = "(none)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TrendByList(MonitorTable):
    """A trend on all lists, and on all but one.

    Attributes
    ----------
    year : str
    frame : DataFrame
        One row a list left out and year: ``without`` (``"(none)"`` for all lists), ``year``, ``n_observed``, ``n_hat``,
        ``low``, ``high``, ``simultaneous_low``, ``simultaneous_high``, ``status``, ``reason``.
    directions : DataFrame
        One row a list left out: ``without``, ``from_year``, ``to_year``, ``ratio`` of the last year to the first with
        ``ratio_low`` and ``ratio_high``, ``increase_share``, ``direction`` (``"up"``, ``"down"``, ``"none"``),
        ``same_direction`` (``"yes"``, ``"no"``, ``"no answer"``), ``silent_years`` in which the list caught nobody or
        did not operate, ``status``, ``reason``.
    trends : tuple of Trend
        Those that could be fitted, in the order of `directions`.
    level : float
    estimator : str
    table : TableSummary
    """

    year: str
    frame: pd.DataFrame
    directions: pd.DataFrame
    trends: tuple[Trend, ...]
    level: float
    estimator: str
    table: TableSummary

    def text(self) -> str:
        """Say of each list what becomes of the trend without it."""
        lines = [_direction_line(row) for _, row in self.directions.iterrows()]
        head = f"{self.table.name}: first to last {self.year} without each list ({self.estimator})"
        return "\n".join([head, *(f"  {line}" for line in lines)])

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the trend on all lists (`hiddenpop.plotting.trend_plot`)."""
        return self.trends[0].plot(ax, **options)


def _direction_line(row: "pd.Series[Any]") -> str:
    name = "all lists" if row["without"] == NONE_DROPPED else f"without {row['without']}"
    silent = f"; {row['without']} caught nobody in {row['silent_years']}" if row["silent_years"] else ""
    if math.isnan(row["ratio"]):
        return f"{name}: no answer, {row['status'].replace('_', ' ')}: {row['reason']}{silent}"
    limits = f"times {row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
    turned = ", the direction changes" if row["same_direction"] == "no" else ""
    return f"{name}: {limits}{turned}{silent}"


@front_door
def trend_by_list(
    estimator: Estimator,
    table: CaptureTable,
    year: str = "year",
    *,
    level: float | None = None,
    rng: RNGLike = None,
) -> TrendByList:
    """Fit the same estimator without each list in turn, and compare the trends.

    Parameters
    ----------
    estimator : Estimator
        One that models strata and gives draws by stratum.
    table : CaptureTable
    year : str
        The covariate that holds the years; all others are added up.
    level : float, optional
        Of the limits; by default that of the estimator.
    rng : int, Generator or None
        Every fit gets the same.

    Returns
    -------
    TrendByList

    Raises
    ------
    UnknownNameError
        For a covariate that is not there.
    TableError
        For a list whose name stands for all lists in the frames.
    CapabilityError, SettingError
        As for `trend`, for the fit to all lists. One without a list that fails is a row with a status and a reason.

    Notes
    -----
    Whoever was only on the list that is left out becomes hidden, and its terms leave the model, so that the fits
    describe the same population as far as the model holds. A direction that rests on one list says more of that list
    than of the population. A list is silent in a year in which it caught nobody though others caught somebody, or does
    not operate by the coverage of the table; where it starts or stops within the years, its zeros are no observations,
    and coverage belongs in the table.

    Examples
    --------
    >>> from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
    >>> from hiddenpop.synthetic import scenario
    >>> table = scenario("years-four").draw(rng=1)
    >>> fits = trend_by_list(CovariateLogLinear(n_boot=400), table, rng=1)
    >>> dict(zip(fits.directions["without"], fits.directions["direction"]))
    {'(none)': 'down', 'police': 'down', 'shelter': 'down', 'coordinator': 'down', 'prosecution': 'down'}
    """
    known = [str(name) for name in table.strata.columns]
    if year not in known:
        raise unknown_name("covariate", year, known)
    if NONE_DROPPED in table.lists:
        raise TableError(
            f"a list is called {NONE_DROPPED!r}, which stands for all lists here; rename it with rename"
        )
    whole = trend(estimator.fit(table, rng=_same(rng)), year, level=level)
    fits: list[tuple[str, Trend | HiddenpopError]] = [(NONE_DROPPED, whole)]
    fits += [(name, _without(estimator, table, name, year, level, rng)) for name in table.lists]
    years = whole.frame["year"].tolist()
    first = _direction_row(fits[0], "", years, None)
    silent = _silent_years(table, year)
    rows = [first, *(_direction_row(fit, silent[fit[0]], years, first["direction"]) for fit in fits[1:])]
    return TrendByList(
        year=year,
        frame=pd.concat([_year_rows(name, fit, years) for name, fit in fits], ignore_index=True),
        directions=pd.DataFrame(rows),
        trends=tuple(fit for _, fit in fits if isinstance(fit, Trend)),
        level=whole.level,
        estimator=spec_of(estimator).label,
        table=table.summary,
    )


def _same(rng: RNGLike) -> RNGLike:
    return rng if rng is None or isinstance(rng, int) else deepcopy(rng)


def _without(
    estimator: Estimator, table: CaptureTable, name: str, year: str, level: float | None, rng: RNGLike
) -> Trend | HiddenpopError:
    """Fit without one list; what keeps it from being fitted is an answer."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HiddenpopWarning)  # the fit to all lists has said it
            return trend(estimator.fit(_emptied(table, name), rng=_same(rng)), year, level=level)
    except HiddenpopError as error:
        return error


def _emptied(table: CaptureTable, name: str) -> CaptureTable:
    """Take everybody off a list and leave its name, so that a model which names it is the same without its terms."""
    rest = table.histories & ~(np.int64(1) << table.lists.index(name))
    return replace(
        table,
        histories=np.where(rest > 0, rest, 1),
        counts=np.where(rest > 0, table.counts, 0),
        censored=table.censored & (rest > 0),
        coverage=tuple(entry for entry in table.coverage if entry.list != name),
    )


def _year_rows(name: str, fit: Trend | HiddenpopError, years: Sequence[int]) -> pd.DataFrame:
    """Give a row for each year that all lists together have."""
    if isinstance(fit, Trend):
        frame = fit.frame.set_index("year").reindex(list(years))
        nobody = frame["status"].isna()
        frame["reason"] = np.where(nobody, "nobody observed without this list", "")
        frame = frame.fillna({"status": "not_fitted", "n_observed": 0}).astype({"n_observed": np.int64})
    else:
        frame = pd.DataFrame({"status": "not_fitted", "reason": str(fit)}, index=list(years))
        frame = frame.reindex(columns=YEAR_COLUMNS).astype(dict.fromkeys(YEAR_COLUMNS[:6], np.float64))
    frame.insert(0, "year", years)
    frame.insert(0, "without", name)
    return frame.reset_index(drop=True)


YEAR_COLUMNS = (
    "n_observed",
    "n_hat",
    "low",
    "high",
    "simultaneous_low",
    "simultaneous_high",
    "status",
    "reason",
)


def _direction_row(
    named: tuple[str, Trend | HiddenpopError], silent: str, years: Sequence[int], reference: str | None
) -> dict[str, Any]:
    """Describe the change from the first year to the last, and whether it goes the way of the fit to all lists."""
    name, fit = named
    row: dict[str, Any] = {"without": name, "from_year": years[0], "to_year": years[-1]}
    change, status, reason = _first_to_last(fit, years)
    row |= {key: change[key] for key in ("ratio", "ratio_low", "ratio_high", "increase_share")}
    direction = _direction(row["ratio"])
    expected = direction if reference is None else reference
    same = "no answer" if "none" in (direction, expected) else "yes" if direction == expected else "no"
    row |= {"direction": direction, "same_direction": same}
    return {**row, "silent_years": silent, "status": status, "reason": reason}


def _first_to_last(fit: Trend | HiddenpopError, years: Sequence[int]) -> tuple[dict[str, float], str, str]:
    nothing = dict.fromkeys(("ratio", "ratio_low", "ratio_high", "increase_share"), math.nan)
    if not isinstance(fit, Trend):
        return nothing, "not_fitted", str(fit)
    ends = fit.changes[fit.changes["kind"] == "first to last"]
    ends = ends[(ends["from_year"] == years[0]) & (ends["to_year"] == years[-1])]
    if ends.empty:
        return nothing, "not_fitted", "nobody observed in the first or the last year"
    found = ends.iloc[0]
    reason = "" if found["status"] == "ok" else f"one of the two years is {found['status'].replace('_', ' ')}"
    return {key: float(found[key]) for key in nothing}, str(found["status"]), reason


def _direction(ratio: float) -> str:
    return "up" if ratio > 1.0 else "down" if ratio < 1.0 else "none"


def _silent_years(table: CaptureTable, year: str) -> dict[str, str]:
    """List, for each list, the years in which it caught nobody, or does not operate, while others caught somebody."""
    levels = table.strata[year]
    on = decode(table.histories, table.n_lists).astype(np.int64) * table.counts[:, None]
    caught = pd.DataFrame(on, columns=list(table.lists)).groupby(levels.to_numpy()).sum()
    ordered = [level for level in level_order(levels) if table.counts[levels.to_numpy() == level].sum() > 0]
    silent = {name: [level for level in ordered if caught.loc[level, name] == 0] for name in table.lists}
    for entry in table.coverage:
        if entry.covariate == year:
            outside = {level for level in ordered if level not in entry.levels}
            silent[entry.list] = [lvl for lvl in ordered if lvl in outside or lvl in silent[entry.list]]
    return {name: ", ".join(found) for name, found in silent.items()}
