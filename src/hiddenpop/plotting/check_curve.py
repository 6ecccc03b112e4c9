"""A check whose points lie along a line: the size against what is varied, with gaps where there is no number."""

import math
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hiddenpop.plotting.check_parts import (
    Drawing,
    draw_notes,
    draw_references,
    margin_words,
    number_axis,
    number_text,
    persons_range,
    ratio_text,
    tipping_places,
    upright_persons,
)
from hiddenpop.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    NOTE_SIZE,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    TEXT_SIZE,
    bare,
)

__all__ = ["draw_arrows", "draw_curve", "draw_tipping", "finite_runs", "mark_gaps", "place_x"]

LOOKS = tuple(zip((BLUE, ORANGE, GREEN, PURPLE, SKY, INK), "os^Dv*", strict=True))
QUIET = "#A8A8A8"
MOST_BANDS, MOST_NAMED, MOST_COLOURED, MOST_MARKED = 3, 6, 5, 30
MOST_TIPPING_WORDS = 3


def draw_curve(ax: Axes, drawing: Drawing) -> None:
    """Draw the size against what is varied, one line a series."""
    frame, figure = drawing.frame, drawing.figure
    groups = _groups(drawing)
    x = [float(value) for value in frame[figure["x"]]]
    ends = persons_range(drawing, frame["n_hat"].tolist(), [*frame["low"], *frame["high"]])
    upright_persons(ax, drawing, ends)
    log = place_x(ax, drawing, x)
    draw_references(ax, drawing, upright=True)
    banded, marked = len(groups) <= MOST_BANDS, len(frame) <= MOST_MARKED * len(groups)
    for (_, rows), look in zip(groups, _looks(drawing, groups), strict=True):
        _draw_series(ax, rows, figure["x"], look, (banded, marked))
    n_tipping = _draw_all_tipping(ax, drawing, groups, log)
    _name_series(ax, drawing, groups)
    bare(ax, "bottom", "left")
    ax.set_ylabel("" if drawing.small else "number of people", fontsize=TEXT_SIZE, color=INK)
    margin_words(ax, drawing)
    draw_notes(ax, drawing, str(figure.get("x_label", figure["x"])), _marks(ax, drawing, groups, n_tipping))


def _groups(drawing: Drawing) -> list[tuple[str, pd.DataFrame]]:
    x, series = drawing.figure["x"], drawing.figure.get("series") or ""
    ordered = drawing.frame.sort_values(x, kind="stable")
    if not series:
        return [("", ordered)]
    names = list(dict.fromkeys(drawing.frame[series].map(str)))
    return [(name, ordered[ordered[series].map(str) == name]) for name in names]


def _looks(drawing: Drawing, groups: list[tuple[str, pd.DataFrame]]) -> list[tuple[str, str]]:
    """Give each line a colour and a marker; of many only those that move most, the others are grey."""
    most = 4 if drawing.small else MOST_COLOURED
    loud = list(range(len(groups)))
    if len(groups) > MOST_NAMED:
        moves = [
            -_largest_move(rows["n_hat"].to_numpy(dtype=float), drawing.baseline[0]) for _, rows in groups
        ]
        loud = sorted(loud, key=moves.__getitem__)[:most]
    chosen = dict(zip(sorted(loud), cycle(LOOKS), strict=False))
    return [chosen.get(at, (QUIET, "")) for at in range(len(groups))]


def _largest_move(n: Any, base: float) -> float:
    known = n[np.isfinite(n) & (n > 0.0)]
    centre = base if math.isfinite(base) and base > 0.0 else float(np.median(known)) if len(known) else 1.0
    return float(np.max(np.abs(np.log(known / centre)), initial=0.0))


def place_x(ax: Axes, drawing: Drawing, x: list[float]) -> bool:
    """Set up the axis of what is varied and tell whether it is logarithmic; a dotted line is where nothing changes."""
    neutral = drawing.figure.get("neutral")
    log = bool(drawing.figure.get("log_x")) and min(x) > 0.0
    number_axis(ax.xaxis, x, log=log, neutral=neutral, small=drawing.small)
    low, high = (math.log(min(x)), math.log(max(x))) if log else (min(x), max(x))
    margin = 0.03 * (high - low) or 0.1 * abs(high) or 0.5
    ends = (low - margin, high + margin)
    ax.set_xlim(*(map(math.exp, ends) if log else ends))
    if neutral is not None:
        ax.axvline(neutral, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1, gid="neutral")
    return log


def finite_runs(known: Any) -> list[slice]:
    """Cut a line at what is not known.

    Examples
    --------
    >>> finite_runs([True, True, False, True])
    [slice(0, 2, None), slice(3, 4, None)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(known, dtype=int), [0]])))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _draw_series(
    ax: Axes, rows: pd.DataFrame, column: str, look: tuple[str, str], draws: tuple[bool, bool]
) -> None:
    (colour, marker), (banded, marked) = look, draws
    x, n, low, high = (rows[name].to_numpy(dtype=float) for name in (column, "n_hat", "low", "high"))
    for run in finite_runs(np.isfinite(n)):
        alone = run.stop - run.start == 1
        shown = (marker or ("." if alone else "")) if marked or alone else ""
        loud = {"ms": 4.5, "lw": 1.5, "zorder": 4} if marker else {"ms": 4.0, "lw": 0.9, "zorder": 3}
        ax.plot(x[run], n[run], color=colour, marker=shown, gid="path", **loud)  # type: ignore[arg-type]
    if banded:
        _draw_bands(ax, x, low, high, colour)
    mark_gaps(ax, x, n)


def mark_gaps(ax: Axes, x: Any, n: Any) -> None:
    """Mark points without a number: an arrow above where the size is unbounded, else a cross below."""
    bottom, top = ax.get_ylim()
    unbounded = np.isposinf(n)
    unknown = ~np.isfinite(n) & ~unbounded
    look: dict[str, Any] = {"linestyle": "none", "clip_on": False, "zorder": 5}
    if unbounded.any():
        ax.plot(
            x[unbounded], np.full(unbounded.sum(), top), marker="^", color=RED, ms=7, gid="unbounded", **look
        )
    if unknown.any():
        at = np.full(unknown.sum(), bottom)
        ax.plot(x[unknown], at, marker="x", color=GREY, ms=6, mew=1.5, gid="unknown", **look)


def _draw_bands(ax: Axes, x: Any, low: Any, high: Any, colour: str) -> None:
    """Draw the limits; one beyond the axis is an arrow at its end."""
    top = ax.get_ylim()[1]
    for run in finite_runs(np.isfinite(low) & ~np.isnan(high)):
        ends = low[run], np.minimum(high[run], top)
        if run.stop - run.start == 1:
            ax.vlines(x[run], *ends, color=colour, alpha=0.5, linewidth=3.0, zorder=3, gid="limits")
        else:
            ax.fill_between(x[run], *ends, color=colour, alpha=0.2, linewidth=0, zorder=2, gid="limits")
        draw_arrows(ax, x[run][high[run] > top], colour, filled=False)


def draw_arrows(ax: Axes, x: Any, colour: str, *, filled: bool) -> None:
    """Mark limits beyond the axis. An empty line off the clip would take all room from a constrained layout."""
    if len(x):
        look: dict[str, Any] = {"mfc": colour if filled else "white", "clip_on": False, "zorder": 5}
        ax.plot(x, np.full(len(x), ax.get_ylim()[1]), "^", color=colour, ms=5, gid="arrow", **look)


def _draw_all_tipping(ax: Axes, drawing: Drawing, groups: list[tuple[str, pd.DataFrame]], log: bool) -> int:
    """Mark where each line passes the ends of the claim."""
    found = [
        place
        for _, rows in groups
        for place in tipping_places(
            drawing, rows[drawing.figure["x"]].tolist(), rows["n_hat"].tolist(), log=log
        )
    ]
    draw_tipping(ax, found, log, most=1 if drawing.small else MOST_TIPPING_WORDS)
    return len(found)


def draw_tipping(
    ax: Axes, found: list[tuple[float, float]], log: bool, *, most: int = MOST_TIPPING_WORDS
) -> None:
    """Mark points where the claim begins to fail and, of a few, say where they lie."""
    for at, end in found:
        ax.plot([at], [end], "D", ms=6.5, mfc="white", mec=RED, mew=1.6, zorder=6, gid="tipping")
        if len(found) <= most:
            text = ratio_text(float(f"{at:.2g}")) if log else number_text(float(f"{at:.2g}"))
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 0.6}
            place: dict[str, Any] = {
                "xytext": (0, 7),
                "textcoords": "offset points",
                "ha": "center",
                "va": "bottom",
            }
            ax.annotate(
                text,
                (at, end),
                fontsize=NOTE_SIZE,
                color=RED,
                bbox=box,
                zorder=7,
                gid="tipping words",
                **place,
            )


def _name_series(ax: Axes, drawing: Drawing, groups: list[tuple[str, pd.DataFrame]]) -> None:
    """Name the coloured lines in a legend."""
    if len(groups) < 2:
        return
    from matplotlib.lines import Line2D

    longest = 18 if drawing.small else 40
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=4.5, lw=1.5, label=_short(name, longest))
        for (name, _), (colour, marker) in zip(groups, _looks(drawing, groups), strict=True)
        if marker
    ]
    if len(handles) < len(groups):
        handles.append(Line2D([], [], color=QUIET, lw=0.9, label=f"{len(groups) - len(handles)} others"))
    size = NOTE_SIZE - (1.5 if drawing.small else 0.0)
    ax.legend(handles=handles, fontsize=size, framealpha=0.8, edgecolor="none", loc="best")


def _short(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _marks(ax: Axes, drawing: Drawing, groups: list[tuple[str, pd.DataFrame]], n_tipping: int) -> list[str]:
    artists = [artist for artist in ax.get_children() if isinstance(artist.get_gid(), str)]
    ids = {str(artist.get_gid()) for artist in artists}
    series = str(drawing.figure.get("series") or "").replace("_", " ")
    return [
        *([f"one line a {series}, coloured those that move most"] if len(groups) > MOST_NAMED else []),
        *(["band: limits of each point"] if "limits" in ids else []),
        *(["limits are in the table"] if len(groups) > MOST_BANDS else []),
        *(["diamond: where the line passes an end"] if n_tipping else []),
        *(["small arrow: a limit beyond the axis"] if "arrow" in ids else []),
        *(["red arrow: unbounded"] if "unbounded" in ids else []),
        *(["cross: no number"] if "unknown" in ids else []),
        *([f"dotted: {drawing.figure.get('neutral_means') or 'no change'}"] if "neutral" in ids else []),
    ]
