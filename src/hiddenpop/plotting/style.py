"""What the figures share: colours, text sizes, axes of persons, names of cells and estimators."""

import math
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from hiddenpop.disclosure import THRESHOLD, is_small, protect_value

__all__ = [
    "BLUE",
    "EVEN_STEPS",
    "GREEN",
    "GREY",
    "INK",
    "LIGHT",
    "NOTE_SIZE",
    "ORANGE",
    "PALE",
    "PURPLE",
    "RED",
    "SKY",
    "TEXT_SIZE",
    "TITLE_SIZE",
    "add_note",
    "bare",
    "cell_names",
    "lumps",
    "new_axes",
    "people",
    "persons_axis",
    "persons_text",
    "round_ticks",
    "set_title",
    "short_count",
    "spread",
]

# Okabe and Ito's palette: told apart with any colour vision. Marker, hatch or place says the same in black and white.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
INK, GREY, LIGHT, PALE = "#222222", "#6E6E6E", "#CFCFCF", "#F1F1F1"
TITLE_SIZE, TEXT_SIZE, NOTE_SIZE = 11.0, 9.0, 8.0

LOG_RATIO = 8.0
"""An axis of persons whose ends differ by a larger factor is logarithmic."""

_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5), (1, 1.5, 2, 3, 5, 7))
EVEN_STEPS = [1, 2, 2.5, 5, 10]
_FEWEST_TICKS, _MOST_TICKS = 4, 9
_UNITS = ((1e12, " trillion"), (1e9, " billion"), (1e6, " million"))


def new_axes(ax: Axes | None, width: float, height: float) -> Axes:
    """Give the axes themselves, or make a figure of this size, in inches, where there are none."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained").add_subplot()


def bare(ax: Axes, *sides: str) -> None:
    """Take away the frame on all sides but these, and set the size of the tick labels."""
    for side, spine in ax.spines.items():
        spine.set_visible(side in sides)
        spine.set_color(GREY)
    ax.tick_params(labelsize=TEXT_SIZE, colors=INK, labelcolor=INK)


def set_title(ax: Axes, title: str, *, pad: float = 6.0) -> None:
    """Write the title at the left, in lines that fit, `pad` points above the axes."""
    ax.set_title(textwrap.fill(title, 78), loc="left", fontsize=TITLE_SIZE, color=INK, pad=pad)


def add_note(
    ax: Axes, lines: Sequence[str], *, width: int, label: str = "", loc: Literal["left", "center"] = "center"
) -> None:
    """Write the axis label and under it, in its place, what a reader must know besides."""
    wrapped = [textwrap.fill(line, width) for line in (label, *lines) if line]
    ax.set_xlabel("\n".join(wrapped), fontsize=TEXT_SIZE, color=INK, linespacing=1.35, loc=loc)


def people(n: float, protect: bool) -> str:
    """Write a number of people, or the mark in its place when it must not leave.

    Examples
    --------
    >>> people(2744, protect=True), people(4, protect=True), people(4, protect=False)
    ('2,744', '<10', '4')
    """
    shown = protect_value(n, THRESHOLD) if protect and is_small(n, THRESHOLD) else n
    return shown if isinstance(shown, str) else f"{shown:,.0f}"


def persons_text(n: float, position: object = None) -> str:
    """Write a tick of an axis of persons.

    Examples
    --------
    >>> persons_text(12500), persons_text(2.5e6), persons_text(1.5)
    ('12,500', '2.5 million', '1.5')
    """
    for unit, name in _UNITS:
        if n >= unit:
            return f"{n / unit:g}{name}"
    return f"{n:,.0f}" if n >= 10 else f"{n:g}"


def short_count(n: int) -> str:
    """Write a count in full, or to four digits with its unit from a million.

    Examples
    --------
    >>> short_count(4466), short_count(100_000_500_015)
    ('4,466', '100 billion')
    """
    for unit, name in _UNITS:
        if n >= unit:
            return f"{n / unit:.4g}{name}"
    return f"{n:,}"


def round_ticks(low: float, high: float) -> list[float]:
    """Give round numbers between two positive ends of a logarithmic axis, a handful of them.

    Examples
    --------
    >>> round_ticks(900, 40000)
    [1000.0, 3000.0, 10000.0, 30000.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in _STEPS:
        ticks = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
        if len(ticks) >= _FEWEST_TICKS:
            return ticks
    even = MaxNLocator(6, steps=EVEN_STEPS, integer=low >= 10).tick_values(low, high)
    return [float(tick) for tick in even if low <= tick <= high]


def persons_axis(ax: Axes, low: float, high: float, *, log: bool) -> None:
    """Give the horizontal axis, of persons, its limits, its scale and ticks written out in full."""
    if log:
        ax.set_xscale("log")
        ticks = round_ticks(low, high)
        ax.xaxis.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / _MOST_TICKS)]))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        # Ticks with a unit behind them are long and need more room.
        ax.xaxis.set_major_locator(MaxNLocator(6 if high < 1e6 else 3, integer=True, steps=EVEN_STEPS))
    ax.xaxis.set_major_formatter(FuncFormatter(persons_text))
    ax.set_xlim(low, high)


def cell_names(indicators: npt.ArrayLike, lists: Sequence[str]) -> tuple[list[str], bool]:
    """Name cells by their lists, or by 0/1 patterns where names would be long, and tell whether they are patterns.

    Examples
    --------
    >>> cell_names([[1, 0], [1, 1]], ["police", "shelter"])
    (['police', 'police & shelter'], False)
    >>> cell_names([[1, 1]], ["organisation for coordination", "youth protection"])
    (['11'], True)
    """
    bits = np.asarray(indicators, dtype=np.bool_)
    names = [" & ".join(name for name, on in zip(lists, row, strict=True) if on) for row in bits]
    if max(map(len, names), default=0) <= 32:
        return names, False
    return ["".join("1" if on else "0" for on in row) for row in bits], True


def spread(centres: Sequence[float], widths: Sequence[float], low: float, high: float) -> list[float]:
    """Move blocks on a line as little as needed so that none overlaps the next and all lie between two ends.

    Parameters
    ----------
    centres, widths : sequence of float
        In ascending order of the centres; the widths together fit between the ends.
    low, high : float

    Returns
    -------
    list of float
        The new centres.

    Examples
    --------
    >>> spread([0.5, 0.55], [0.2, 0.2], 0.0, 1.0)
    [0.5, 0.7]
    """
    placed = list(centres)
    edge = low
    for i, (centre, width) in enumerate(zip(centres, widths, strict=True)):
        placed[i] = max(centre, edge + width / 2)
        edge = placed[i] + width / 2
    edge = high
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], edge - widths[i] / 2)
        edge = placed[i] - widths[i] / 2
    return placed


def lumps(values: Sequence[float], ratio: float) -> list[list[int]]:
    """Group positive numbers into lumps: neighbours in size that differ by less than a factor belong together.

    Examples
    --------
    >>> lumps([24.0, 12.0, 25.0], ratio=1.2)
    [[1], [0, 2]]
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    groups: list[list[int]] = [order[:1]] if order else []
    for before, after in pairwise(order):
        if values[after] > ratio * values[before]:
            groups.append([])
        groups[-1].append(after)
    return groups
