"""A check whose points have names: one row each, with its limits, and the truth where it is known."""

import math
import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hiddenpop.plotting.check_parts import Drawing, draw_notes, draw_references, persons_range
from hiddenpop.plotting.style import (
    BLUE,
    GREY,
    INK,
    NOTE_SIZE,
    ORANGE,
    PALE,
    RED,
    TEXT_SIZE,
    bare,
    persons_axis,
)
from hiddenpop.result import format_persons

__all__ = ["draw_forest", "forest_height"]

MOST_ROWS, MOST_SMALL_ROWS = 30, 10
HEAD, ROW_HEIGHT = 1.7, (0.3, 0.4)
LABEL, SMALL_LABEL, NOTE_WIDTH = 44, 26, 70


def forest_height(drawing: Drawing) -> float:
    """Give a height in inches that fits the rows with their labels."""
    labels = [_label(name, drawing.small) for name in drawing.frame[drawing.figure["label"]]]
    lines = 1 + max((label.count("\n") for label in labels), default=0)
    return HEAD + ROW_HEIGHT[min(lines, 2) - 1] * max(min(len(labels), MOST_ROWS), 3)


def draw_forest(ax: Axes, drawing: Drawing) -> None:
    """Draw one row per point; of many those that lie furthest from the estimate."""
    frame, kept = drawing.frame, _kept(drawing)
    shown = frame.iloc[kept]
    truth = drawing.figure.get("truth") or ""
    truths = shown[truth].tolist() if truth else []
    low, high, log = persons_range(drawing, [*shown["n_hat"], *truths], [*shown["low"], *shown["high"]])
    persons_axis(ax, low, high, log=log)
    if drawing.small:
        ax.locator_params(axis="x", nbins=3) if not log else ax.set_xticks(ax.get_xticks()[::2])
    if not truth:
        draw_references(ax, drawing, upright=False)
    for row, point in enumerate(shown.to_dict("records")):
        _draw_row(ax, row, point, drawing.small)
        if truth and math.isfinite(point[truth]):
            ax.plot([point[truth]], [row], "|", color=INK, ms=12, mew=2.0, zorder=5, gid="truth")
    ax.set_yticks(range(len(shown)), [_label(x, drawing.small) for x in shown[drawing.figure["label"]]])
    ax.set_ylim(max(len(shown), 1) - 0.5, -0.5)
    bare(ax, "bottom")
    ax.tick_params(axis="y", left=False)
    if not truth:
        _claim_word(ax, drawing)
    scale = ", log scale" if log else ""
    marks = _marks(drawing, shown, high, truth)
    draw_notes(ax, drawing, f"number of people{scale}", marks, width=NOTE_WIDTH)


def _kept(drawing: Drawing) -> Any:
    """Choose the rows, in their own order: without a number first, then by the distance from the estimate."""
    n = drawing.frame["n_hat"].to_numpy(dtype=float)
    known = n[np.isfinite(n)]
    base = (
        drawing.baseline[0] if math.isfinite(drawing.baseline[0]) else np.median(known if len(known) else 1.0)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(np.log(n / base))
    order = np.argsort(-np.where(np.isfinite(n), distance, np.inf), kind="stable")
    return np.sort(order[: MOST_SMALL_ROWS if drawing.small else MOST_ROWS])


def _label(name: Any, small: bool) -> str:
    text = str(name)
    if small:
        return text if len(text) <= SMALL_LABEL else f"{text[: SMALL_LABEL - 1]}…"
    return textwrap.fill(text, LABEL)


def _draw_row(ax: Axes, row: int, point: dict[Any, Any], small: bool) -> None:
    """Draw one point with its limits, or say why there is none."""
    if row % 2 == 0:
        ax.axhspan(row - 0.5, row + 0.5, color=PALE, linewidth=0, zorder=0)
    n, low, high, status = (point[name] for name in ("n_hat", "low", "high", "status"))
    colour = {"ok": BLUE, "boundary": ORANGE, "unbounded": RED}.get(status, GREY)
    edge = ax.get_xlim()[1]
    if math.isfinite(low):
        ax.plot(
            [low, min(high, edge)],
            [row, row],
            color=colour,
            linewidth=2.0,
            zorder=3,
            gid="interval",
            solid_capstyle="butt",
        )
    if high > edge:
        ax.plot([edge], [row], ">", color=colour, ms=7, clip_on=False, zorder=4, gid="arrow")
    if math.isfinite(n):
        filled, marker = (colour, "o") if status == "ok" else ("white", "D")
        ax.plot(
            [n], [row], marker, ms=4.5 if small else 6, mfc=filled, mec=colour, mew=1.4, zorder=6, gid="point"
        )
    else:
        look: dict[str, Any] = {"fontsize": NOTE_SIZE, "style": "italic", "ha": "right", "color": colour}
        word = str(status).replace("_", " ")
        ax.text(
            0.985,
            row - 0.06,
            word,
            transform=ax.get_yaxis_transform(),
            va="bottom" if math.isfinite(low) else "center",
            zorder=6,
            gid="word",
            **look,
        )
    if not small and math.isfinite(n):
        place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": TEXT_SIZE}
        ax.text(1.03, row, _row_text(n, low, high), color=INK, gid="numbers", **place)


def _row_text(n: float, low: float, high: float) -> str:
    if not math.isfinite(low):
        return format_persons(n, math.inf)
    width = high - low
    end = "no limit" if math.isinf(high) else format_persons(high, width)
    return f"{format_persons(n, width)} ({format_persons(low, width)} to {end})"


def _claim_word(ax: Axes, drawing: Drawing) -> None:
    """Write the claim over its dashed line, towards the side with more room."""
    if not (drawing.words and drawing.ends) or drawing.small:
        return
    at = drawing.ends[0]
    place = ax.transAxes.inverted().transform(ax.transData.transform((at, 0.0)))[0]
    side = "left" if place < 0.5 else "right"
    ax.text(
        at,
        1.005,
        drawing.words,
        transform=ax.get_xaxis_transform(),
        ha=side,
        va="bottom",
        fontsize=NOTE_SIZE,
        color=RED,
        gid="words",
    )


def _marks(drawing: Drawing, shown: Any, edge: float, truth: str) -> list[str]:
    beyond = bool((shown["high"] > edge).any())
    return [
        *(["black bar: the true size"] if truth else []),
        *(["diamond: nobody hidden, by the estimate"] if (shown["status"] == "boundary").any() else []),
        *(["arrow: a limit beyond the axis"] if beyond else []),
        *_rest(drawing.frame.drop(shown.index)["n_hat"].to_numpy(dtype=float)),
    ]


def _rest(n: Any) -> list[str]:
    """Say between which sizes the rows lie that are not drawn."""
    known = n[np.isfinite(n)]
    if not len(known):
        return [f"{len(n)} more are not drawn"] if len(n) else []
    low, high = (format_persons(float(x), float(np.ptp(known))) for x in (known.min(), known.max()))
    return [f"{len(n)} more, nearer to the estimate, are not drawn ({low} to {high})"]
