"""A specification curve: estimates in order of size, and under each the choices that lead to it."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hiddenpop.plotting.check_parts import (
    Drawing,
    draw_notes,
    draw_references,
    margin_words,
    persons_range,
    upright_persons,
)
from hiddenpop.plotting.style import BLUE, GREY, INK, NOTE_SIZE, PALE, RED, TEXT_SIZE, bare

__all__ = ["draw_specification", "specification_rows"]

MOST_OPTIONS, MOST_SMALL_ROWS = 12, 12
LABEL, SMALL_LABEL = 38, 22
ROW_HEIGHT, CURVE_HEIGHT = 0.19, 3.2


def specification_rows(drawing: Drawing) -> int:
    """Give the number of rows of the matrix of choices."""
    return len(_options(drawing))


def draw_specification(ax: Axes, drawing: Drawing) -> None:
    """Draw estimates above and choices below, in two panels that are the ``child_axes`` of the axes."""
    frame = _ordered(drawing.frame)
    options = _options(drawing)
    ax.set_axis_on()
    bare(ax)
    ax.set_xticks([])
    ax.set_yticks([])
    below = _share_below(len(options), drawing.small)
    curve = ax.inset_axes((0.0, below + 0.03, 1.0, 0.97 - below))
    matrix = ax.inset_axes((0.0, 0.0, 1.0, below), sharex=curve)
    _draw_estimates(curve, frame, drawing)
    _draw_choices(matrix, frame, options, drawing)
    margin = max(0.5, 0.01 * len(frame))
    curve.set_xlim(-margin, len(frame) - 1 + margin)
    more = len(_all_options(drawing)) - len(options)
    marks = [f"{len(frame)} specifications in order of size", "bar: limits of each"]
    marks += ["red: the claim fails"] if drawing.ends else []
    marks += [f"{more} options are not drawn"] if more else []
    label = f"{len(frame)} specifications" if drawing.small else ""
    draw_notes(ax, drawing, label, marks, "specifications")


def _share_below(rows: int, small: bool) -> float:
    height = ROW_HEIGHT * rows
    share = height / (height + (1.5 if small else CURVE_HEIGHT))
    return min(share, 0.62)


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort by size, what has no number last."""
    n = frame["n_hat"].to_numpy(dtype=float)
    key = np.where(np.isnan(n), np.inf, n)
    order = np.lexsort((np.isnan(n), key))
    return frame.iloc[order].reset_index(drop=True)


def _all_options(drawing: Drawing) -> list[tuple[str, str]]:
    """Give the choices with their options, those that do not vary left out."""
    found = []
    for choice in drawing.figure["choices"]:
        names = list(dict.fromkeys(map(str, drawing.frame[choice])))
        found += [(str(choice), name) for name in names] if len(names) > 1 else []
    return found


def _options(drawing: Drawing) -> list[tuple[str, str]]:
    """Keep of each choice the options that occur most; on a page, only as many rows as there is room for."""
    every = _all_options(drawing)
    choices = list(dict.fromkeys(choice for choice, _ in every))
    most = max(2, MOST_SMALL_ROWS // max(len(choices), 1)) if drawing.small else MOST_OPTIONS
    kept: list[tuple[str, str]] = []
    for choice in choices:
        names = [name for of, name in every if of == choice]
        often = drawing.frame[choice].map(str).value_counts()
        frequent = sorted(names, key=lambda name, often=often: -int(often[name]))[:most]  # type: ignore[misc]
        kept += [(choice, name) for name in names if name in frequent]
    return kept


def _draw_estimates(ax: Axes, frame: pd.DataFrame, drawing: Drawing) -> None:
    low, high, log = persons_range(drawing, frame["n_hat"].tolist(), [*frame["low"], *frame["high"]])
    upright_persons(ax, drawing, (low, high, log))
    draw_references(ax, drawing, upright=True)
    many = len(frame) > 60
    colours = _colours(frame, drawing)
    for at, (point, colour) in enumerate(zip(frame.to_dict("records"), colours, strict=True)):
        _draw_estimate(ax, at, point, colour, many)
    bare(ax, "left")
    ax.tick_params(axis="x", bottom=False, labelbottom=False)
    ax.tick_params(labelsize=NOTE_SIZE if drawing.small else TEXT_SIZE)
    ax.set_ylabel("" if drawing.small else "number of people", fontsize=TEXT_SIZE, color=INK)
    margin_words(ax, drawing)


def _colours(frame: pd.DataFrame, drawing: Drawing) -> list[str]:
    claim = drawing.figure.get("claim") or {}
    low, high = claim.get("low"), claim.get("high")
    holds = [(low is None or n >= low) and (high is None or n <= high) for n in frame["n_hat"]]
    finite = np.isfinite(frame["n_hat"].to_numpy(dtype=float))
    return [GREY if not known else BLUE if good else RED for known, good in zip(finite, holds, strict=True)]


def _draw_estimate(ax: Axes, at: int, point: dict[Any, Any], colour: str, many: bool) -> None:
    bottom, top = ax.get_ylim()
    n, low, high = (point[name] for name in ("n_hat", "low", "high"))
    if math.isfinite(low) and math.isfinite(n):
        width = 0.7 if many else 1.6
        ax.plot([at, at], [low, min(high, top)], color=colour, lw=width, alpha=0.45, zorder=3, gid="limits")
    if math.isfinite(n):
        ax.plot([at], [n], "o", ms=2.2 if many else 4.5, color=colour, zorder=4, gid="point")
        if high > top:
            ax.plot(
                [at],
                [top],
                "^",
                ms=2.5 if many else 4,
                mfc="white",
                color=colour,
                clip_on=False,
                zorder=5,
                gid="arrow",
            )
    elif math.isinf(n):
        ax.plot([at], [top], "^", ms=3.5 if many else 6, color=RED, clip_on=False, zorder=5, gid="unbounded")
    else:
        ax.plot(
            [at], [bottom], "x", ms=3.5 if many else 5, color=GREY, clip_on=False, zorder=5, gid="unknown"
        )


def _draw_choices(ax: Axes, frame: pd.DataFrame, options: list[tuple[str, str]], drawing: Drawing) -> None:
    """Mark in each row the specifications that have the option, choices set apart by shade."""
    colours = np.array(_colours(frame, drawing))
    shaded, before = False, ""
    for row, (choice, name) in enumerate(options):
        shaded = shaded if choice == before or not before else not shaded
        before = choice
        if shaded:
            ax.axhspan(row - 0.5, row + 0.5, color=PALE, linewidth=0, zorder=0)
        at = np.flatnonzero(frame[choice].map(str).to_numpy() == name)
        ax.vlines(
            at,
            row - 0.32,
            row + 0.32,
            color=colours[at],
            linewidth=_width(len(frame)),
            zorder=3,
            gid="choice",
        )
    ax.set_yticks(range(len(options)), _labels(options, drawing.small))
    ax.set_ylim(max(len(options), 1) - 0.5, -0.5)
    bare(ax)
    ax.tick_params(
        left=False, bottom=False, labelbottom=False, labelsize=NOTE_SIZE - 1 if drawing.small else NOTE_SIZE
    )


def _width(n: int) -> float:
    return min(5.0, max(0.9, 160.0 / max(n, 1)))


def _labels(options: list[tuple[str, str]], small: bool) -> list[str]:
    """Name the choice before the first of its options."""
    longest, before, labels = (SMALL_LABEL if small else LABEL), "", []
    for choice, name in options:
        shown = name if len(name) <= longest else f"{name[: longest - 1]}…"
        head = choice.replace("_", " ")
        labels.append(shown if choice == before or small else f"{head}: {shown}")
        before = choice
    return labels
