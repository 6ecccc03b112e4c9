"""A check over a grid of two things that are varied: cells of a size each, and where the claim begins to fail."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.patches import Rectangle

from hiddenpop._typing import Floats
from hiddenpop.plotting.check_parts import FAILS, Drawing, draw_notes, number_axis, persons_range
from hiddenpop.plotting.style import (
    BLUE,
    GREY,
    INK,
    LOG_RATIO,
    NOTE_SIZE,
    RED,
    TEXT_SIZE,
    bare,
    persons_text,
    round_ticks,
)
from hiddenpop.result import format_persons

__all__ = ["draw_contour"]


MOST_NUMBERS = (8, 56)
"""Columns and cells up to which each cell says its number; beyond, lines of equal size do."""

NARROWEST = 0.09
"""Share of the axis that a column needs so that its numbers do not run into those of the next."""

SHADES = LinearSegmentedColormap.from_list("hiddenpop shades", ["#F4F8FB", "#BFD9EA", "#6BA9D0"])


def draw_contour(ax: Axes, drawing: Drawing) -> None:
    """Draw the size over a grid."""
    figure = drawing.figure
    sizes = _grid(drawing.frame, figure["x"], figure["y"])
    x, y = (np.array(values, dtype=float) for values in (sizes.columns, sizes.index))
    n = sizes.to_numpy(dtype=float)
    log_x, log_y = bool(figure.get("log_x")) and x.min() > 0, bool(figure.get("log_y")) and y.min() > 0
    neutral = figure.get("neutral") or [None, None]
    number_axis(ax.xaxis, x.tolist(), log=log_x, neutral=neutral[0], small=drawing.small)
    number_axis(ax.yaxis, y.tolist(), log=log_y, neutral=neutral[1], small=drawing.small)
    edges = _edges(x, log_x), _edges(y, log_y)
    known = np.isfinite(n)
    if known.any():
        _draw_shades(ax, edges, n)
        if _says_numbers(drawing, n):
            _draw_numbers(ax, drawing, (x, y, n), neutral)
        else:
            _draw_levels(ax, drawing, (x, y, n))
            _draw_neutral(ax, neutral)
        _draw_claim(ax, drawing, (x, y, n))
    _draw_gaps(ax, edges, n)
    ax.set_xlim(edges[0][0], edges[0][-1])
    ax.set_ylim(edges[1][0], edges[1][-1])
    bare(ax, "bottom", "left")
    size = NOTE_SIZE if drawing.small else TEXT_SIZE
    ax.set_ylabel(str(figure.get("y_label", figure["y"])), fontsize=size, color=INK)
    draw_notes(
        ax, _without_line(drawing), str(figure.get("x_label", figure["x"])), _marks(drawing, n, neutral)
    )


def _grid(frame: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    return frame.pivot_table(index=y, columns=x, values="n_hat", aggfunc="first", dropna=False)


def _without_line(drawing: Drawing) -> Drawing:
    """Leave the line of the estimate out, as there is none here."""
    return replace(drawing, baseline=(math.nan, math.nan, math.nan))


def _edges(at: Floats, log: bool) -> Floats:
    """Put the borders of cells halfway between neighbouring points.

    Examples
    --------
    >>> _edges(np.array([0.0, 1.0, 3.0]), False).tolist()
    [-0.5, 0.5, 2.0, 4.0]
    """
    places = np.log(at) if log else at
    if len(places) == 1:
        borders = np.array([places[0] - 0.5, places[0] + 0.5])
    else:
        middle = (places[:-1] + places[1:]) / 2
        borders = np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])
    return np.exp(borders) if log else borders


def _draw_shades(ax: Axes, edges: tuple[Floats, Floats], n: Floats) -> None:
    known = n[np.isfinite(n)]
    low, high = float(known.min()), float(known.max())
    norm = LogNorm(low, high) if high > LOG_RATIO * low > 0 else Normalize(low, high)
    ax.pcolormesh(
        *edges,
        np.ma.masked_invalid(n),
        cmap=SHADES,
        norm=norm,
        edgecolors="white",
        linewidth=0.4,
        zorder=0.5,
        gid="shades",
    )


def _says_numbers(drawing: Drawing, n: Floats) -> bool:
    columns, cells = MOST_NUMBERS
    few = n.shape[1] <= (columns // 2 if drawing.small else columns) and n.size <= cells
    return few and _narrowest(drawing) >= NARROWEST


def _narrowest(drawing: Drawing) -> float:
    """Share of the axis that the narrowest column takes."""
    x = np.unique(drawing.frame[drawing.figure["x"]].to_numpy(dtype=float))
    log = bool(drawing.figure.get("log_x")) and x.min() > 0
    edges = np.log(_edges(x, True)) if log else _edges(x, False)
    return float(np.diff(edges).min() / (edges[-1] - edges[0]))


def _draw_numbers(ax: Axes, drawing: Drawing, grid: tuple[Floats, Floats, Floats], neutral: Any) -> None:
    """Write the number in each cell, with a box around it where nothing changes."""
    x, y, n = grid
    width = float(np.ptp(n[np.isfinite(n)]))
    for (row, column), size in np.ndenumerate(n):
        if math.isfinite(size):
            holds, at = _holds(drawing, size), (float(x[column]), float(y[row]))
            look: dict[str, Any] = {"ha": "center", "va": "center", "color": INK if holds else RED}
            box = (
                {"boxstyle": "round,pad=0.25", "facecolor": "none", "edgecolor": INK}
                if at == tuple(neutral)
                else None
            )
            look |= {"weight": "normal" if holds else "bold", "bbox": box, "fontsize": NOTE_SIZE, "zorder": 4}
            ax.text(*at, format_persons(size, width), gid="number", **look)


def _draw_levels(ax: Axes, drawing: Drawing, grid: tuple[Floats, Floats, Floats]) -> None:
    """Draw lines of equal size, but for the one of the claim."""
    x, y, n = grid
    if min(n.shape) < 2:
        return
    low, high, log = persons_range(drawing, n[np.isfinite(n)].tolist(), [])
    rounded = {
        float(f"{level:.2g}")
        for level in (round_ticks(low, high) if log else np.linspace(low, high, 7)[1:-1])
    }
    levels = sorted(
        level for level in rounded if not any(math.isclose(level, end, rel_tol=0.05) for end in drawing.ends)
    )
    if levels:
        shown = np.ma.masked_invalid(n)
        lines = ax.contour(x, y, shown, levels=levels, colors=[BLUE], linewidths=0.8, zorder=2)
        ax.clabel(lines, fmt=persons_text, fontsize=NOTE_SIZE, colors=[INK])


def _holds(drawing: Drawing, size: float) -> bool:
    claim = drawing.figure.get("claim") or {}
    low, high = claim.get("low"), claim.get("high")
    return (low is None or size >= low) and (high is None or size <= high)


def _draw_claim(ax: Axes, drawing: Drawing, grid: tuple[Floats, Floats, Floats]) -> None:
    """Draw where the size passes an end of the claim."""
    x, y, n = grid
    known = n[np.isfinite(n)]
    ends = [end for end in sorted(drawing.ends) if known.min() < end < known.max()]
    if not ends or min(n.shape) < 2:
        return
    line = ax.contour(
        x,
        y,
        np.ma.masked_invalid(n),
        levels=ends,
        colors=[str(FAILS["color"])],
        linewidths=1.8,
        linestyles="dashed",
        zorder=2.5,
    )
    line.set_gid("claim")
    if not drawing.small:
        ax.clabel(line, fmt=persons_text, fontsize=NOTE_SIZE)


def _draw_gaps(ax: Axes, edges: tuple[Floats, Floats], n: Floats) -> None:
    """Hatch the cells without a number, the unbounded ones in their own colour."""
    for (row, column), size in np.ndenumerate(n):
        if math.isfinite(size):
            continue
        left, right, bottom, top = (
            float(e[i + k]) for e, i in zip(edges, (column, row), strict=True) for k in (0, 1)
        )
        colour, hatch, gid = (RED, "\\\\\\", "unbounded") if math.isinf(size) else (GREY, "////", "unknown")
        look: dict[str, Any] = {
            "facecolor": "white",
            "edgecolor": colour,
            "linewidth": 0,
            "hatch": hatch,
            "alpha": 0.7,
        }
        ax.add_patch(Rectangle((left, bottom), right - left, top - bottom, zorder=2, gid=gid, **look))


def _draw_neutral(ax: Axes, neutral: Any) -> None:
    if neutral[0] is not None and neutral[1] is not None:
        ax.plot([neutral[0]], [neutral[1]], "o", ms=13, mfc="none", mec=INK, mew=1.1, zorder=4, gid="neutral")


def _marks(drawing: Drawing, n: Floats, neutral: Any) -> list[str]:
    estimate, low, high = drawing.baseline
    text = f"no change (estimate {format_persons(estimate, high - low)})"
    meant = drawing.figure.get("neutral_means") or text
    return [
        *(["red numbers: the claim fails"] if drawing.ends and _says_numbers(drawing, n) else []),
        *(
            [f"{'box' if _says_numbers(drawing, n) else 'circle'}: {meant}"]
            if neutral[0] is not None and neutral[1] is not None
            else []
        ),
        *(["hatched in red: unbounded"] if np.isposinf(n).any() else []),
        *(["hatched in grey: no number"] if np.isnan(n).any() else []),
    ]
