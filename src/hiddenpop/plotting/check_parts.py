"""What the figures of checks share: what may be drawn, lines of estimate and claim, axes, points without a number."""

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from hiddenpop.plotting.style import (
    EVEN_STEPS,
    GREY,
    LOG_RATIO,
    NOTE_SIZE,
    RED,
    SKY,
    add_note,
    persons_text,
    round_ticks,
    spread,
)
from hiddenpop.result import format_persons
from hiddenpop.sensitivity.claims import Claim, tipping_points
from hiddenpop.sensitivity.protocol import SIZES, CheckResult, size_to_leave

__all__ = [
    "FAILS",
    "WITHHELD",
    "Drawing",
    "draw_notes",
    "draw_references",
    "drawing_of",
    "failure_note",
    "margin_words",
    "number_axis",
    "number_text",
    "persons_range",
    "ratio_text",
    "tipping_places",
    "upright_persons",
]

REACH = 8.0
"""The axis ends at this multiple of the largest point: a limit beyond it is an arrow."""

FAILS = {"linestyle": (0, (4, 2)), "color": RED, "linewidth": 1.3}
"""Where the claim begins to fail."""

RATIOS = (1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000)
"""Factors that an axis of factors may name, and their inverses."""

NO_RANGE = (0.5, 1.5, False)
"""Ends of an axis on which no number stands; it has no ticks."""

WITHHELD = "The points are withheld: they would give small counts away."


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What there is to draw of a check.

    Attributes
    ----------
    frame : DataFrame
        The points.
    figure : mapping
        Which columns stand where, as `CheckResult.figure` says.
    verdict : str
    baseline : tuple of float
        The estimate and its limits, nan where there is none.
    ends : tuple of float
        The finite ends of the claim.
    words : str
        The claim in words, empty where it is the interval of the baseline.
    small : bool
        For a panel of a page: fewer ticks, short labels, only the most needed note.
    """

    frame: pd.DataFrame
    figure: Mapping[str, Any]
    verdict: str
    baseline: tuple[float, float, float]
    ends: tuple[float, ...]
    words: str
    small: bool


def drawing_of(result: CheckResult, *, protect: bool, small: bool) -> Drawing:
    """Gather what may be drawn of a check; of protected data sizes have three digits, as in all that leaves.

    Where the figure is about some rows of the table alone, ``figure["where"]`` says which.
    """
    hide = protect and not result.data.public
    frame = result.table_to_leave() if hide else result.table
    for column, value in (result.figure.get("where") or {}).items():
        frame = frame[frame[column] == value]
    base: Mapping[str, Any] = result.figure.get("baseline") or {}
    sizes = [_number(base.get(name)) for name in SIZES]
    claim: Mapping[str, Any] = result.figure.get("claim") or {}
    ends = tuple(x for x in (_number(claim.get("low")), _number(claim.get("high"))) if math.isfinite(x))
    words = "" if set(ends) <= {x for x in sizes if math.isfinite(x)} else str(claim.get("text", ""))
    if hide:
        sizes = [size_to_leave(size) for size in sizes]
        ends = ends if words else tuple(size_to_leave(end) for end in ends)
    n, low, high = sizes
    return Drawing(
        frame=frame.reset_index(drop=True),
        figure=result.figure,
        verdict=result.verdict,
        baseline=(n, low, high),
        ends=ends,
        words=words,
        small=small,
    )


def _number(x: Any) -> float:
    return float(x) if isinstance(x, int | float) else math.nan


def persons_range(
    drawing: Drawing, points: Sequence[float], limits: Sequence[float]
) -> tuple[float, float, bool]:
    """Find the ends of an axis of persons and whether it is logarithmic.

    Parameters
    ----------
    drawing : Drawing
    points, limits : sequence of float
        All points are inside, limits where they are within reach.

    Returns
    -------
    low, high : float
    log : bool
    """
    base, *base_limits = drawing.baseline
    inner = [float(x) for x in (*points, base) if math.isfinite(x) and x > 0.0]
    if not inner:
        return NO_RANGE
    least, largest = min(inner) / REACH, max(inner) * REACH
    outer = [float(x) for x in (*limits, *base_limits, *drawing.ends) if least <= x <= largest]
    low, high = min([*inner, *outer]), max([*inner, *outer])
    if any(x > largest for x in limits):
        high *= 1.15
    if high > LOG_RATIO * low:
        return low / 1.12, high * 1.12, True
    margin = max(0.06 * (high - low), 0.01 * high, 0.5)
    return max(low - margin, 0.0), high + margin, False


def upright_persons(ax: Axes, drawing: Drawing, ends: tuple[float, float, bool]) -> None:
    """Give the vertical axis, of persons, its limits, its scale and its ticks."""
    low, high, log = ends
    ax.set_ylim(low, high)
    if ends == NO_RANGE:
        ax.set_yticks([])
        return
    if log:
        ax.set_yscale("log")
        ticks = round_ticks(low, high)
        most = 5 if drawing.small else 9
        ax.yaxis.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / most)]))
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.yaxis.set_major_locator(MaxNLocator(3 if drawing.small else 6, integer=True, steps=EVEN_STEPS))
    ax.yaxis.set_major_formatter(FuncFormatter(persons_text))
    ax.set_ylim(low, high)


def draw_references(ax: Axes, drawing: Drawing, *, upright: bool) -> None:
    """Draw the estimate as a thin line in a light band, and the ends of the claim as dashed lines."""
    span, line = (ax.axhspan, ax.axhline) if upright else (ax.axvspan, ax.axvline)
    edge = ax.get_ylim()[1] if upright else ax.get_xlim()[1]
    n, low, high = drawing.baseline
    if math.isfinite(low):
        span(low, min(high, edge), color=SKY, alpha=0.16, linewidth=0, zorder=0.5, gid="baseline band")
    if math.isfinite(n):
        line(n, color=GREY, linewidth=0.9, zorder=1, gid="baseline")
    for end in drawing.ends:
        line(end, zorder=3.5, gid="claim", **FAILS)  # type: ignore[arg-type]


def margin_words(ax: Axes, drawing: Drawing) -> None:
    """Name the lines across an upright axis of persons at its right, moved apart where they would overlap."""
    n, low, high = drawing.baseline
    claim = textwrap.fill(drawing.words, 16) if drawing.words and not drawing.small else ""
    named = [(end, f"{claim or persons_text(end)}", RED) for end in drawing.ends[:1]]
    named += [(end, persons_text(round(end)), RED) for end in drawing.ends[1:]]
    estimate = format_persons(n, high - low)
    named += [(n, estimate if drawing.small else f"estimate\n{estimate}", GREY)] if math.isfinite(n) else []
    inside = [(_height(ax, at), text, ink) for at, text, ink in named if _inside(ax, at)]
    inside.sort(key=lambda item: item[0])
    rows = 0.115 if drawing.small else 0.06
    widths = [rows * (1 + text.count("\n")) for _, text, _ in inside]
    for (_, text, ink), at in zip(inside, spread([i[0] for i in inside], widths, 0.0, 1.0), strict=True):
        look: dict[str, Any] = {"va": "center", "fontsize": NOTE_SIZE, "color": ink, "linespacing": 1.0}
        ax.text(1.015, at, text, transform=ax.transAxes, gid="words", **look)


def _inside(ax: Axes, n: float) -> bool:
    low, high = ax.get_ylim()
    return low <= n <= high


def _height(ax: Axes, n: float) -> float:
    """Where a number of persons stands, as a share of the height of the axes."""
    at = ax.transData.transform((ax.get_xlim()[0], n))
    return float(ax.transAxes.inverted().transform(at)[1])


def tipping_places(
    drawing: Drawing, x: Sequence[float], n: Sequence[float], *, log: bool
) -> list[tuple[float, float]]:
    """Find where a line passes an end of the claim, by the rule of the texts: the place and the end."""
    claim = drawing.figure.get("claim") or {}
    low = -math.inf if claim.get("low") is None else float(claim["low"])
    high = math.inf if claim.get("high") is None else float(claim["high"])
    found = tipping_points(x, n, Claim(low, high, ""), log=log)
    return [(tip.about, low if tip.n_fails < low else high) for tip in found]


def failure_note(frame: pd.DataFrame, what: str = "points") -> list[str]:
    """Count the points without a number by status; nothing where all have one.

    Examples
    --------
    >>> failure_note(pd.DataFrame({"n_hat": [1.0, float("inf")], "status": ["ok", "unbounded"]}))
    ['1 of 2 points without a number: 1 unbounded']
    """
    failed = frame[~np.isfinite(frame["n_hat"].to_numpy(dtype=float))]
    if failed.empty:
        return []
    counted = Counter(str(status).replace("_", " ") for status in failed["status"])
    listed = ", ".join(f"{times} {status}" for status, times in counted.items())
    return [f"{len(failed)} of {len(frame)} {what} without a number: {listed}"]


def draw_notes(
    ax: Axes, drawing: Drawing, label: str, marks: Sequence[str], what: str = "points", *, width: int = 92
) -> None:
    """Write under the axis what it is, what the marks are, and what has no number."""
    failed = failure_note(drawing.frame, what)
    if drawing.small:
        add_note(ax, failed, width=46, label=label)
        ax.xaxis.label.set_fontsize(NOTE_SIZE)
        ax.tick_params(labelsize=NOTE_SIZE)
        return
    n, low, _ = drawing.baseline
    lines = [
        *(
            ["thin line: the estimate" + ("; light band: its interval" if math.isfinite(low) else "")]
            if math.isfinite(n)
            else []
        ),
        *([f"dashed: {_claim_words(drawing)}"] if drawing.ends else []),
    ]
    add_note(ax, ["; ".join([*lines, *marks]), *failed], width=width, label=label)


def _claim_words(drawing: Drawing) -> str:
    if not drawing.words:
        return f"the ends of that interval ({drawing.verdict})"
    return f"the claim, {drawing.words} ({drawing.verdict})"


# --- axes of what is varied -------------------------------------------------------------------------------------------


def number_text(x: float) -> str:
    """Write a value of what is varied.

    Examples
    --------
    >>> number_text(0.30000000000000004), number_text(12500.0)
    ('0.3', '12,500')
    """
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def ratio_text(x: float, position: object = None) -> str:
    """Write a factor, those below 1 as fractions where they are such.

    Examples
    --------
    >>> ratio_text(1 / 3), ratio_text(2.0), ratio_text(0.9), ratio_text(2 / 3)
    ('1/3', '2', '0.9', '2/3')
    """
    for over in (1, 2):
        below = over / x
        if 0 < x < 1 and below > 1.4 and abs(below - round(below)) < 1e-6 * below:
            return f"{over}/{round(below)}"
    return number_text(x)


def number_axis(
    axis: Axis, values: Sequence[float], *, log: bool, neutral: float | None, small: bool
) -> None:
    """Give an axis of what is varied its scale and ticks; factors are written 1/3, 1/2, 1, 2, 3.

    Parameters
    ----------
    axis : Axis
    values : sequence of float
        Where points stand.
    log : bool
    neutral : float or None
        Where nothing changes; a tick stands there where it is on the axis.
    small : bool
    """
    most = 5 if small else 9
    low, high = min(values), max(values)
    if not log:
        axis.set_major_locator(MaxNLocator(most - 1, steps=EVEN_STEPS))
        axis.set_major_formatter(FuncFormatter(lambda x, _: number_text(x)))
        return
    axis._set_axes_scale("log")  # type: ignore[attr-defined]
    ticks = _ratio_ticks(low, high, most, neutral)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(ratio_text))


def _ratio_ticks(low: float, high: float, most: int, neutral: float | None) -> list[float]:
    """Choose factors between two ends: the centre, and outwards as many as there is room for."""
    if neutral is None and not low <= 1.0 <= high:
        return round_ticks(low, high)[:: math.ceil(len(round_ticks(low, high)) / most)]
    slack = 1.0 + 1e-9
    known = sorted({1.0, *map(float, RATIOS), *(1.0 / r for r in RATIOS), *([neutral] if neutral else [])})
    inside = [x for x in known if low / slack <= x <= high * slack]
    span = math.log(high / low)
    kept: list[float] = []
    for x in sorted(inside, key=lambda x: (x != (neutral or 1.0), -_roundness(x), abs(math.log(x)))):
        if len(kept) < most and all(abs(math.log(x / y)) > 0.8 * span / most for y in kept):
            kept.append(x)
    return sorted(kept)


def _roundness(x: float) -> int:
    """How gladly a factor is read: whole ones first."""
    ratio = x if x >= 1.0 else 1.0 / x
    return 2 if ratio in (2, 3, 5, 10, 100, 1000) else int(ratio == round(ratio))
