"""A check whose answer is a set of sizes at each width of an assumption, and the limits of that set."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hiddenpop.plotting.check_curve import draw_arrows, draw_tipping, finite_runs, mark_gaps, place_x
from hiddenpop.plotting.check_parts import (
    Drawing,
    draw_notes,
    draw_references,
    margin_words,
    persons_range,
    tipping_places,
    upright_persons,
)
from hiddenpop.plotting.style import BLUE, INK, TEXT_SIZE, bare

__all__ = ["draw_band"]


def draw_band(ax: Axes, drawing: Drawing) -> None:
    """Draw the identified set as a dark band within the light one of its limits."""
    figure = drawing.figure
    rows = drawing.frame.sort_values(figure["x"], kind="stable").reset_index(drop=True)
    bounds, limits = list(figure["bounds"]), list(figure.get("limits") or figure["bounds"])
    points = [*rows[bounds[0]], *(x for x in rows[bounds[1]] if math.isfinite(x))]
    upright_persons(
        ax,
        drawing,
        persons_range(drawing, points, rows[[*bounds, *limits]].to_numpy(dtype=float).ravel().tolist()),
    )
    log = place_x(ax, drawing, rows[figure["x"]].tolist())
    draw_references(ax, drawing, upright=True)
    known = np.isfinite(rows[bounds[0]].to_numpy(dtype=float))
    _fill(ax, rows, figure["x"], limits, "limits")
    _fill(ax, rows, figure["x"], bounds, "set")
    mark_gaps(ax, rows[figure["x"]].to_numpy(dtype=float)[~known], np.full(int((~known).sum()), math.nan))
    x = rows[figure["x"]].tolist()
    found = [place for bound in bounds for place in tipping_places(drawing, x, rows[bound].tolist(), log=log)]
    draw_tipping(ax, found, log)
    bare(ax, "bottom", "left")
    ax.set_ylabel("" if drawing.small else "number of people", fontsize=TEXT_SIZE, color=INK)
    margin_words(ax, drawing)
    label = str(figure.get("x_label", figure["x"]))
    draw_notes(ax, drawing, label, _marks(rows, limits, ax.get_ylim()[1], bool(found)))


def _fill(ax: Axes, rows: pd.DataFrame, column: str, names: list[str], gid: str) -> None:
    """Fill between two columns; an end beyond the axis is an arrow."""
    x, low, high = (rows[name].to_numpy(dtype=float) for name in (column, *names))
    alpha, line, top = (0.45, 1.4, ax.get_ylim()[1]) if gid == "set" else (0.15, 0.0, ax.get_ylim()[1])
    for run in finite_runs(np.isfinite(low) & ~np.isnan(high)):
        upper = np.minimum(high[run], top)
        if run.stop - run.start == 1:
            ax.vlines(x[run], low[run], upper, color=BLUE, alpha=alpha, linewidth=6.0, zorder=3, gid=gid)
        ax.fill_between(x[run], low[run], upper, color=BLUE, alpha=alpha, linewidth=0, zorder=3, gid=gid)
        if line:
            ax.plot(x[run], low[run], color=BLUE, lw=line, zorder=4, gid="lower bound")
            ax.plot(
                x[run],
                np.where(high[run] > top, np.nan, upper),
                color=BLUE,
                lw=line,
                zorder=4,
                gid="upper bound",
            )
        draw_arrows(ax, x[run][high[run] > top], BLUE, filled=gid == "set")


def _marks(rows: pd.DataFrame, limits: list[str], top: float, tipping: bool) -> list[str]:
    return [
        "dark band: every size that agrees with the assumption; light: with its limits",
        *(["diamond: where a bound passes an end"] if tipping else []),
        *(["arrow: beyond the axis"] if (rows[limits[1]] > top).any() else []),
    ]
