"""Numbers year by year, with limits for each year and for all years at once."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from hiddenpop._front_door import front_door
from hiddenpop.disclosure import THRESHOLD
from hiddenpop.errors import SettingError
from hiddenpop.monitor.trend import Trend
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    EVEN_STEPS,
    GREY,
    INK,
    LIGHT,
    NOTE_SIZE,
    RED,
    TEXT_SIZE,
    add_note,
    bare,
    new_axes,
    persons_text,
    set_title,
)
from hiddenpop.result import format_level

__all__ = ["draw_years", "top_of", "trend_plot", "year_notes"]

REACH = 3.0
"""The axis ends at this multiple of the largest point: a limit beyond it is an arrow."""

MOST_TICKS = 12
HALF_YEAR = 0.32
WORDS = {"unbounded": "no limit", "not_identified": "not identified", "not_converged": "not converged"}


@literal_text
@front_door
def trend_plot(trend: Trend, ax: Axes | None = None, *, protect: bool = False) -> Axes:
    """Draw the numbers of one trend year by year.

    Parameters
    ----------
    trend : Trend
        Of one group; `subgroup_plot` draws several.
    ax : Axes, optional
        To draw on.
    protect : bool
        Leave out the years whose number observed must not be given away, and say how many. For files of tables that
        are not public.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If the trend has several groups.

    Notes
    -----
    The dark band holds the number of each year by itself, the light one with dashed ends the whole path. Bars are the
    persons observed. Years without an estimate break the bands. A limit beyond the axis is an arrow; a year without a
    number is hatched and says why.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from hiddenpop.table import TableSummary
    >>> frame = pd.DataFrame({
    ...     "year": [2020, 2021], "n_observed": [40, 50], "n_hat": [100.0, 120.0], "low": [80.0, 100.0],
    ...     "high": [130.0, 150.0], "simultaneous_low": [75.0, 95.0], "simultaneous_high": [135.0, 155.0],
    ...     "status": "ok"})
    >>> made_up = Trend(year="year", by=(), frame=frame, changes=frame.iloc[:0], level=0.95, draws_are="posterior",
    ...     estimator="made up", table=TableSummary("made up", "", ("a", "b"), True))
    >>> ax = trend_plot(made_up, ax=Figure().add_subplot())
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['2020', '2021']
    """
    if trend.by and len(trend.frame[list(trend.by)].drop_duplicates()) > 1:
        raise SettingError(
            f"the trend has several groups, by {', '.join(trend.by)}; draw them with subgroup_plot"
        )
    withheld = trend.withheld & protect
    top = top_of(trend.frame[~withheld])
    ax = new_axes(ax, 7.6, 4.2)
    draw_years(ax, trend.frame, withheld, top)
    ax.set_ylabel("persons", fontsize=TEXT_SIZE, color=INK)
    add_note(ax, [*year_notes(trend, slice(None), withheld, top), *trend.notes], width=96)
    set_title(ax, f"{trend.table.name} by {trend.year}: {trend.estimator}")
    return ax


def top_of(frame: pd.DataFrame) -> float:
    """Find the upper end of an axis of persons: all points, and the limits within reach."""
    points = [float(x) for x in [*frame["n_hat"], *frame["n_observed"]] if math.isfinite(x)]
    reach = REACH * max(points, default=1.0)
    limits = [float(x) for x in frame["simultaneous_high"] if math.isfinite(x)]
    inside = [x for x in limits if x <= reach]
    beyond = len(inside) < len(frame)
    largest = max([*points, *inside], default=1.0)
    return max(largest, 1.0) * (1.3 if beyond else 1.08)


def draw_years(ax: Axes, frame: pd.DataFrame, withheld: Any, top: float) -> None:
    """Draw the years of one group between 0 and `top`.

    Parameters
    ----------
    ax : Axes
    frame : DataFrame
        Rows of `Trend.frame`, in the order of the years.
    withheld : ndarray of bool
        Years to leave out.
    top : float
    """
    rows = frame.to_dict("records")
    for row, hide in zip(rows, withheld, strict=True):
        _draw_year(ax, row, bool(hide), top)
    plain = [row for row, hide in zip(rows, withheld, strict=True) if not hide and row["status"] not in WORDS]
    for run in _runs(plain):
        _draw_bands(ax, run, top)
    years = frame["year"].to_numpy()
    ticks = range(int(years.min()), int(years.max()) + 1)
    step = math.ceil(len(ticks) / MOST_TICKS)
    ax.xaxis.set_major_locator(FixedLocator(list(ticks[::step])))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda year, _: f"{year:.0f}"))
    ax.set_xlim(years.min() - 0.6, years.max() + 0.6)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=EVEN_STEPS, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(persons_text))
    ax.set_ylim(0.0, top)
    bare(ax, "bottom", "left")


def _runs(rows: Sequence[dict[Any, Any]]) -> list[list[dict[Any, Any]]]:
    """Cut the years where one is missing between two."""
    runs: list[list[dict[Any, Any]]] = [[rows[0]]] if rows else []
    for before, after in pairwise(rows):
        if after["year"] != before["year"] + 1:
            runs.append([])
        runs[-1].append(after)
    return runs


def _draw_year(ax: Axes, row: dict[Any, Any], hide: bool, top: float) -> None:
    """Draw the bar of the observed and the point of the estimate, or what stands in their place."""
    year = row["year"]
    if hide:
        _hatch(ax, year, 0.0, top, "withheld", GREY)
        return
    ax.bar(year, row["n_observed"], width=0.5, color=LIGHT, zorder=1, gid="observed")
    if row["status"] in WORDS:
        colour = RED if row["status"] == "unbounded" else GREY
        _hatch(ax, year, row["simultaneous_low"], top, WORDS[row["status"]], colour)
        return
    filled = BLUE if row["status"] == "ok" else "white"
    marker = "o" if row["status"] == "ok" else "D"
    ax.plot([year], [row["n_hat"]], marker, ms=6, mfc=filled, mec=BLUE, mew=1.5, zorder=5, gid="point")
    if row["simultaneous_high"] > top:
        colour = BLUE if row["high"] > top else GREY
        ax.plot([year], [top], "^", color=colour, ms=7, clip_on=False, zorder=5, gid="arrow")


def _hatch(ax: Axes, year: float, low: float, top: float, word: str, colour: str) -> None:
    """Fill the place of a number that is not there, and say why."""
    low = min(low, 0.9 * top)
    ax.bar(
        year,
        top - low,
        bottom=low,
        width=2.0 * HALF_YEAR,
        facecolor="white",
        edgecolor=LIGHT,
        linewidth=0.0,
        hatch="////",
        zorder=0.5,
        gid="without a number",
    )
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    ax.text(
        year,
        (low + top) / 2.0,
        word,
        rotation=90,
        ha="center",
        va="center",
        fontsize=NOTE_SIZE,
        color=colour,
        style="italic",
        bbox=box,
        zorder=6,
        gid="word",
    )


def _draw_bands(ax: Axes, run: list[dict[Any, Any]], top: float) -> None:
    """Draw both bands over years in a row; a year by itself has bars as wide as its neighbours would leave."""
    years = np.array([row["year"] for row in run], dtype=np.float64)
    look = (("simultaneous_low", "simultaneous_high", 0.18, "band"), ("low", "high", 0.32, "limits"))
    for low_name, high_name, alpha, gid in look:
        low = np.array([row[low_name] for row in run], dtype=np.float64)
        high = np.minimum([row[high_name] for row in run], 1.02 * top)
        x, ends = (years, (low, high)) if len(run) > 1 else _widened(years, low, high)
        ax.fill_between(x, *ends, color=BLUE, alpha=alpha, linewidth=0, zorder=2, gid=gid)
        if gid == "band":
            for end in ends:
                ax.plot(x, end, color=BLUE, linewidth=0.9, linestyle=(0, (4, 2)), zorder=3, gid="band end")
    if len(run) > 1:
        ax.plot(years, [row["n_hat"] for row in run], color=BLUE, linewidth=1.4, zorder=4, gid="path")


def _widened(years: Any, low: Any, high: Any) -> tuple[Any, tuple[Any, Any]]:
    x = np.array([years[0] - HALF_YEAR, years[0] + HALF_YEAR])
    return x, (np.repeat(low, 2), np.repeat(high, 2))


def year_notes(trend: Trend, rows: Any, withheld: Any, top: float) -> list[str]:
    """Say what the marks are in these rows."""
    level = format_level(trend.level)
    shown = trend.frame.iloc[rows][~withheld[rows]]
    statuses = set(shown["status"])
    beyond = ((shown["simultaneous_high"] > top) & ~shown["status"].isin(list(WORDS))).any()
    n_withheld = int(np.sum(withheld[rows]))
    return [
        f"dark band: {level} limits of each year; light, dashed: of all years at once; bars: observed",
        *(["diamond: nobody hidden, by the estimate"] if "boundary" in statuses else []),
        *(["arrow: a limit lies beyond the axis"] if beyond else []),
        *(["hatched: no number"] if statuses & set(WORDS) else []),
        *(
            [
                f"{n_withheld} years are withheld: fewer than {THRESHOLD} observed, or they would tell such a number"
            ]
            if n_withheld
            else []
        ),
    ]
