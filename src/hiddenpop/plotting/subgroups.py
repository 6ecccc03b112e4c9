"""Parts of a population: side by side in a year, or year by year in small multiples."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hiddenpop._cells import distinct_texts
from hiddenpop._front_door import front_door
from hiddenpop.disclosure import THRESHOLD
from hiddenpop.errors import SettingError
from hiddenpop.monitor.rates import Rates, rate_text
from hiddenpop.monitor.subgroups import Subgroups
from hiddenpop.monitor.trend import Trend
from hiddenpop.monitor.withhold import withheld_with_total
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    EVEN_STEPS,
    GREY,
    INK,
    ORANGE,
    PALE,
    RED,
    TEXT_SIZE,
    add_note,
    bare,
    new_axes,
    persons_text,
    set_title,
)
from hiddenpop.plotting.trend import draw_years, top_of, year_notes
from hiddenpop.result import format_level, format_persons

__all__ = ["part_plot", "subgroup_plot"]

REACH = 5.0
"""The axis of parts ends at this multiple of the largest point: a limit beyond it is an arrow."""

COLOURS = {"ok": BLUE, "boundary": ORANGE, "unbounded": RED}
WORDS = {"unbounded": "unbounded", "not_identified": "not identified", "not_converged": "not converged"}


@literal_text
@front_door
def subgroup_plot(
    trend: Trend,
    ax: Axes | None = None,
    *,
    max_panels: int = 12,
    same_scale: bool = True,
    protect: bool = False,
) -> Axes:
    """Draw the trend of every group in a panel of its own.

    Parameters
    ----------
    trend : Trend
        By groups.
    ax : Axes, optional
        To draw on; it becomes the frame around the panels, which are its ``child_axes``.
    max_panels : int
        The most panels to draw; the groups with the most observed stay, and the note counts the others.
    same_scale : bool
        Give all panels the same scale, so that they can be compared; else each its own.
    protect : bool
        Leave out the years whose number observed must not be given away, and say how many. For files of tables that
        are not public.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If the trend is not by groups, or `max_panels` is below 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from hiddenpop.table import TableSummary
    >>> frame = pd.DataFrame({
    ...     "sex": ["f", "f", "m", "m"], "year": [2020, 2021] * 2, "n_observed": [40, 50, 60, 80],
    ...     "n_hat": [100.0, 120.0, 150.0, 190.0], "low": [80.0, 100.0, 120.0, 150.0],
    ...     "high": [130.0, 150.0, 190.0, 240.0], "simultaneous_low": [75.0, 95.0, 115.0, 140.0],
    ...     "simultaneous_high": [135.0, 155.0, 200.0, 250.0], "status": "ok"})
    >>> made_up = Trend(year="year", by=("sex",), frame=frame, changes=frame.iloc[:0], level=0.95,
    ...     draws_are="posterior", estimator="made up", table=TableSummary("made up", "", ("a", "b"), True))
    >>> ax = subgroup_plot(made_up, ax=Figure().add_subplot())
    >>> [panel.get_title(loc="left") for panel in ax.child_axes]
    ['f', 'm']
    """
    if not trend.by:
        raise SettingError("the trend has one group; draw it with trend_plot, or give trend(..., by=...)")
    if max_panels < 1:
        raise SettingError(f"max_panels={max_panels} leaves nothing to draw; give 1 or more")
    groups = _largest_groups(trend, max_panels)
    withheld = trend.withheld & protect
    n_rows, n_columns = _grid(len(groups))
    ax = new_axes(ax, 8.6, 1.9 + 1.9 * n_rows)
    ax.set_axis_on()
    bare(ax)
    ax.set_xticks([])
    ax.set_yticks([])
    shown = np.concatenate([rows for _, rows in groups])
    top = top_of(trend.frame.iloc[shown[~withheld[shown]]])
    for place, (name, rows) in enumerate(groups):
        panel = ax.inset_axes(_place(place, n_rows, n_columns, gap=0.025 if same_scale else 0.085))
        frame, hidden = trend.frame.iloc[rows], withheld[rows]
        draw_years(panel, frame, hidden, top if same_scale else top_of(frame[~hidden]))
        _dress(panel, name, place, n_columns, len(groups), same_scale)
        panel.set_xlim(trend.frame["year"].min() - 0.6, trend.frame["year"].max() + 0.6)
    left = len(trend.frame[list(trend.by)].drop_duplicates()) - len(groups)
    more = [f"{left} more groups, with fewer observed, are not drawn"] if left else []
    scale = [] if same_scale else ["each panel has a scale of its own"]
    notes = year_notes(trend, shown, withheld, top)
    add_note(ax, [*notes, *scale, *more, *trend.notes[:3]], width=104)
    set_title(ax, f"{trend.table.name} by {', '.join(trend.by)} and {trend.year}: {trend.estimator}")
    return ax


def _largest_groups(trend: Trend, most: int) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Give names and rows of the groups with the most observed, in the order they have."""
    found: dict[tuple[str, ...], list[int]] = {}
    for row, levels in enumerate(trend.frame[list(trend.by)].itertuples(index=False, name=None)):
        found.setdefault(tuple(map(str, levels)), []).append(row)
    observed = {group: int(trend.frame["n_observed"].iloc[rows].sum()) for group, rows in found.items()}
    kept = set(sorted(found, key=lambda group: -observed[group])[:most])
    names = dict(zip(found, distinct_texts(found, " / "), strict=True))
    return [(names[group], np.array(rows, dtype=np.int64)) for group, rows in found.items() if group in kept]


def _grid(n_panels: int) -> tuple[int, int]:
    """Choose rows and columns, at most four across."""
    n_columns = min(n_panels, 4 if n_panels > 6 else 3 if n_panels > 2 and n_panels != 4 else 2)
    return math.ceil(n_panels / n_columns), n_columns


def _place(place: int, n_rows: int, n_columns: int, gap: float) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of a panel, as shares of the axes."""
    row, column = divmod(place, n_columns)
    left, gap_x, gap_y = 0.07, gap, 0.34 / (n_rows + 1)
    width = (1.0 - left - gap_x * (n_columns - 1)) / n_columns
    height = (1.0 - gap_y * n_rows) / n_rows
    return (
        left + column * (width + gap_x),
        1.0 - gap_y * 0.62 - (row + 1) * height - row * gap_y,
        width,
        height,
    )


def _dress(panel: Axes, name: str, place: int, n_columns: int, n_panels: int, same_scale: bool) -> None:
    """Name a panel, and keep the labels of the outer ones only."""
    panel.set_title(name, loc="left", fontsize=TEXT_SIZE, color=INK, pad=3.0)
    panel.yaxis.set_major_locator(MaxNLocator(3, steps=EVEN_STEPS, integer=True))
    if place % n_columns and same_scale:
        panel.tick_params(labelleft=False)
    if place + n_columns < n_panels:
        panel.tick_params(labelbottom=False)
    ticks = panel.get_xticks()
    panel.set_xticks(ticks[:: math.ceil(len(ticks) / max(12 // n_columns, 3))])


# --- parts in rows ----------------------------------------------------------------------------------------------------


@literal_text
@front_door
def part_plot(
    parts: Subgroups | Rates, ax: Axes | None = None, *, max_rows: int = 40, protect: bool = False
) -> Axes:
    """Draw parts of a population, or their rates, with their limits, one row each.

    Parameters
    ----------
    parts : Subgroups or Rates
    ax : Axes, optional
        To draw on.
    max_rows : int
        The most parts to draw; those with the most observed stay, and the note counts the others.
    protect : bool
        Leave out the parts whose number observed must not be given away, and say how many. For files of tables that
        are not public.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If `max_rows` is below 1.

    Notes
    -----
    The short black line is what was observed. A limit beyond the axis is an arrow; a part without a number is a word.
    The row of the whole is written in the note and not drawn, so that it does not flatten the parts; of rates it is a
    dashed line.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from hiddenpop.table import TableSummary
    >>> frame = pd.DataFrame({"sex": ["f", "m", "(all)"], "n_observed": [40, 60, 100], "n_hat": [100.0, 90.0, 190.0],
    ...     "low": [80.0, 70.0, 160.0], "high": [130.0, 110.0, 230.0], "status": "ok"})
    >>> made_up = Subgroups(by=("sex",), frame=frame, level=0.95, draws_are="posterior", estimator="made up",
    ...     table=TableSummary("made up", "", ("a", "b"), True))
    >>> ax = part_plot(made_up, ax=Figure().add_subplot())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['f', 'm']
    """
    if max_rows < 1:
        raise SettingError(f"max_rows={max_rows} leaves nothing to draw; give 1 or more")
    figures = _plain(parts)
    hidden = withheld_with_total(parts.frame, parts.by) & (protect and not parts.table.public)
    kept = np.flatnonzero(~hidden[:-1])
    largest = np.argsort(-figures["n_observed"].to_numpy()[kept], kind="stable")[:max_rows]
    shown = figures.iloc[np.sort(kept[largest])]
    high = _edge(shown)
    ax = new_axes(ax, 7.8, 1.7 + 0.34 * max(len(shown), 2))
    for row, figure in enumerate(shown.to_dict("records")):
        _draw_row(ax, row, figure, high, isinstance(parts, Rates))
    ax.set_yticks(range(len(shown)), list(shown["name"]))
    ax.set_ylim(max(len(shown), 1) - 0.5, -0.5)
    ax.set_xlim(0.0, high)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=EVEN_STEPS))
    ax.xaxis.set_major_formatter(FuncFormatter(persons_text))
    bare(ax, "bottom")
    ax.tick_params(axis="y", left=False)
    _draw_whole(ax, parts, figures, bool(hidden[-1]))
    counts = (len(kept) - len(shown), int(hidden[:-1].sum()))
    add_note(
        ax, _part_notes(parts, figures, shown, high, counts, bool(hidden[-1])), width=90, label=_label(parts)
    )
    set_title(ax, f"{parts.table.name} by {', '.join(parts.by)}: {parts.estimator}")
    return ax


def _plain(parts: Subgroups | Rates) -> pd.DataFrame:
    """Give names and figures in the same columns for persons and for rates."""
    frame = parts.frame
    name = distinct_texts(frame[list(parts.by)].itertuples(index=False, name=None), " / ")
    point, observed = ("rate", "observed_rate") if isinstance(parts, Rates) else ("n_hat", "n_observed")
    columns = frame[["n_observed", "low", "high", "status"]]
    return columns.assign(name=name, point=frame[point], mark=frame[observed])


def _edge(shown: pd.DataFrame) -> float:
    points = [float(x) for x in [*shown["point"], *shown["mark"]] if math.isfinite(x)]
    reach = REACH * max(points, default=1.0)
    inside = [float(x) for x in shown["high"] if x <= reach]
    beyond = len(inside) < len(shown)
    return (max([*points, *inside], default=1.0) or 1.0) * (1.25 if beyond else 1.06)


def _draw_row(ax: Axes, row: int, figure: dict[Any, Any], edge: float, is_rate: bool) -> None:
    """Draw one part, or say in its place why there is no number."""
    if row % 2 == 0:
        ax.axhspan(row - 0.5, row + 0.5, color=PALE, linewidth=0, zorder=0)
    status, point, low, high = (figure[key] for key in ("status", "point", "low", "high"))
    colour = COLOURS.get(status, GREY)
    ax.plot([figure["mark"]] * 2, [row - 0.3, row + 0.3], color=INK, linewidth=1.4, zorder=4, gid="observed")
    if status in ("ok", "boundary", "unbounded") and math.isfinite(low):
        ax.plot([low, min(high, edge)], [row, row], color=colour, linewidth=2.2, zorder=3, gid="interval")
        if high > edge:
            ax.plot([edge], [row], ">", color=colour, ms=8, clip_on=False, zorder=4, gid="arrow")
    if math.isfinite(point):
        filled, marker = (colour, "o") if status == "ok" else ("white", "D")
        ax.plot([point], [row], marker, ms=6.5, mfc=filled, mec=colour, mew=1.6, zorder=5, gid="point")
    look: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": TEXT_SIZE}
    ax.text(1.03, row, _row_text(figure, is_rate), color=INK, gid="numbers", **look)


def _row_text(figure: dict[Any, Any], is_rate: bool) -> str:
    """Write the number and its limits, or the word for what there is instead."""
    status, point, low, high = (figure[key] for key in ("status", "point", "low", "high"))
    if status in ("not_identified", "not_converged"):
        return WORDS[status]
    if is_rate and math.isnan(low):
        return "no residents"
    width = high - low
    texts = [rate_text(x) if is_rate else format_persons(x, width) for x in (point, low, high)]
    end = "no limit" if math.isinf(high) else texts[2]
    return f"unbounded (from {texts[1]})" if status == "unbounded" else f"{texts[0]} ({texts[1]} to {end})"


def _draw_whole(ax: Axes, parts: Subgroups | Rates, figures: pd.DataFrame, hide: bool) -> None:
    whole = float(figures["point"].iloc[-1])
    if isinstance(parts, Rates) and math.isfinite(whole) and not hide:
        ax.axvline(whole, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1, gid="whole")


def _label(parts: Subgroups | Rates) -> str:
    what = f"persons per {parts.per:,.0f} residents" if isinstance(parts, Rates) else "persons"
    return f"{what}, observed and hidden (point and {format_level(parts.level)} limits)"


def _part_notes(
    parts: Subgroups | Rates,
    figures: pd.DataFrame,
    shown: pd.DataFrame,
    edge: float,
    counts: Sequence[int],
    hide_whole: bool,
) -> list[str]:
    is_rate, left, n_withheld = isinstance(parts, Rates), *counts
    whole = _row_text(figures.iloc[-1].to_dict(), is_rate)
    line = ", dashed line" if is_rate else ""
    arrows = ((shown["high"] > edge) & ~shown["status"].isin(["not_identified", "not_converged"])).any()
    withheld = (
        f"{n_withheld} parts are withheld: fewer than {THRESHOLD} observed, or they would tell such a number"
    )
    return [
        "short black lines: observed" + ("" if hide_whole else f"; all together{line}: {whole}"),
        *(["arrow: a limit lies beyond the axis"] if arrows else []),
        *([f"{left} more parts, with fewer observed, are not drawn"] if left else []),
        *([withheld] if n_withheld else []),
        *parts.notes,
    ]
