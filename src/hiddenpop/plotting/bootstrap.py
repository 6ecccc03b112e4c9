"""Estimates on resamples of a table, coloured by the model each chose, under the intervals with and without choice."""

import math
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from hiddenpop._front_door import front_door
from hiddenpop._typing import Floats
from hiddenpop.disclosure import THRESHOLD, is_small
from hiddenpop.errors import SettingError
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LIGHT,
    NOTE_SIZE,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    TEXT_SIZE,
    add_note,
    bare,
    new_axes,
    people,
    persons_axis,
    set_title,
    spread,
)
from hiddenpop.result import Estimate, Interval, Resamples, format_level, format_persons

__all__ = ["bootstrap_plot"]


STYLES = (
    (BLUE, ""),
    (ORANGE, "////"),
    (GREEN, ""),
    (SKY, "...."),
    (RED, "----"),
    (PURPLE, "\\\\\\\\"),
)
"""Colour and hatch of the models, the most frequent first; hatches keep neighbours apart in black and white."""

REACH = 5.0
"""The axis ends at this multiple of the draw that one in a hundred exceeds; draws beyond it are counted in words."""

TAIL = 0.99
MOST_BINS, FEWEST_BINS = 80, 12
_STRIP = 0.09  # room at the right for unbounded draws, as a share of the width
_TOP_OF_BARS, _LUMP_LEVEL, _ROWS = 0.60, 0.68, (0.94, 0.84)  # shares of the height
_CHARACTER, _LUMP_COLUMNS = 0.064, 13  # inches; characters of a share
_BESIDE, _NARROWEST = (
    3.4,
    2.0,
)  # inches that the words at both sides take from the axes when the figure is laid out
_LEGEND_WRAP, _ROW_WRAP = 34, 22


@dataclass(frozen=True, slots=True)
class _Draws:
    """Draws of a bootstrap, as they may be shown.

    Attributes
    ----------
    n_hat : ndarray of float
        inf where unbounded, nan where there is no number.
    models : ndarray of str
        Model chosen in each; empty text where none was.
    floor : float
        Nothing is shown below it: the number observed, or what stands in its place when that must not leave.
    low, high : float
        Ends of what is drawn, without margins.
    """

    n_hat: Floats
    models: npt.NDArray[np.str_]
    floor: float
    low: float
    high: float

    @property
    def drawn(self) -> npt.NDArray[np.bool_]:
        """Draws with a number on the axis."""
        return np.isfinite(self.n_hat) & (self.n_hat <= self.high)

    def share(self, chosen: npt.NDArray[np.bool_]) -> str:
        """Write a number of draws with its share."""
        number = int(chosen.sum())
        return f"{number:,} of {len(self.n_hat):,} draws ({_percent(number / len(self.n_hat))})"


@literal_text
@front_door
def bootstrap_plot(
    estimate: Estimate, ax: Axes | None = None, *, n_models: int = 6, protect: bool = False
) -> Axes:
    """Draw the estimates of a bootstrap, coloured by the model that each resample chose.

    Parameters
    ----------
    estimate : Estimate
        By `Bootstrapped`.
    ax : Axes, optional
        To draw on.
    n_models : int
        Models that get a colour of their own, the most frequent ones, 1 to 6; the others are grey.
    protect : bool
        Keep a number observed of 1 to 9 out of the figure. For files of tables that are not public.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If the estimate holds no bootstrap, or `n_models` is not 1 to 6.

    Notes
    -----
    The bars are a stacked histogram on the log axis of N. The rows on top are the interval of the bootstrap and the
    one of its base, which takes the model as known. A lump that the second interval does not reach holds answers
    that another sample of the same population might well have given. Unbounded draws are an arrow at the right.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import hiddenpop as hp
    >>> estimate = hp.Bootstrapped(n_boot=400).fit(hp.datasets.load("kosovo"), rng=1)
    >>> ax = bootstrap_plot(estimate, ax=Figure().add_subplot())
    >>> ax.get_title(loc="left")
    'kosovo: estimates from 400 resamples'
    """
    found = _check(estimate, n_models)
    draws = _draws(estimate, found, protect)
    ax = new_axes(ax, 9.6, 4.8)
    _set_axes(ax, draws)
    top = _draw_bars(ax, draws, found.models.head(n_models))
    _draw_unbounded(ax, draws)
    _draw_intervals(ax, draws, estimate, found.base_interval)
    _name_lumps(ax, draws, found, top)
    set_title(ax, f"{estimate.table.name}: estimates from {len(draws.n_hat):,} resamples")
    add_note(
        ax,
        _notes(draws, estimate, found, protect),
        width=88,
        label="estimated number of people N (log scale)",
    )
    return ax


def _check(estimate: Estimate, n_models: int) -> Resamples:
    found = estimate.resamples
    if estimate.draws is None or found is None:
        raise SettingError(
            f"{estimate.estimator.name} on {estimate.table.name} holds no bootstrap; "
            "the plot needs an estimate by 'bootstrapped', as fitted: a file does not keep the draws"
        )
    if not 1 <= n_models <= len(STYLES):
        raise SettingError(f"n_models={n_models}: there are colours for 1 to {len(STYLES)} models")
    return found


def _draws(estimate: Estimate, found: Resamples, protect: bool) -> _Draws:
    """Take the draws out of the estimate, and find the ends of the axis."""
    floor = float(THRESHOLD if protect and is_small(estimate.n_observed) else estimate.n_observed)
    values = np.maximum(np.asarray(estimate.draws, dtype=np.float64), floor)
    limits = (estimate.interval, found.base_interval)
    sizes = [estimate.n_hat, *(x for interval in limits for x in (interval.low, interval.high))]
    finite = values[np.isfinite(values)]
    reach = REACH * max(float(np.quantile(finite, TAIL)) if len(finite) else 0.0, estimate.n_hat, floor)
    shown = [max(float(x), floor) for x in [*sizes, *finite] if x <= reach]
    return _Draws(values, np.asarray(found.model_of_draw), floor, min(shown), max(shown))


def _set_axes(ax: Axes, draws: _Draws) -> None:
    low, high = math.log(draws.low), math.log(draws.high)
    margin = max(0.04 * (high - low), 0.05)
    strip = _STRIP * (high - low + 2 * margin) if np.isposinf(draws.n_hat).any() else 0.0
    persons_axis(ax, math.exp(low - margin), math.exp(high + margin + strip), log=True)
    bare(ax, "bottom")


def _draw_bars(ax: Axes, draws: _Draws, named: pd.DataFrame) -> Floats:
    """Stack the draws of each model, set the height of the axes, and give the edges of the bars above their tops."""
    bins = min(max(round(2.0 * math.sqrt(len(draws.n_hat))), FEWEST_BINS), MOST_BINS)
    edges = np.geomspace(draws.low * 0.999, draws.high * 1.001, bins + 1)
    floor = np.zeros(bins)
    for chosen, label, colour, hatch in _layers(draws, named):
        height = np.histogram(draws.n_hat[chosen & draws.drawn], edges)[0] / len(draws.n_hat)
        ax.bar(
            edges[:-1],
            height,
            np.diff(edges),
            floor,
            align="edge",
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.4,
            zorder=2,
            label=label,
            gid="draws",
        )
        floor = floor + height
    ax.set_ylim(0.0, max(float(floor.max()), 1e-9) / _TOP_OF_BARS)
    if len(named):
        _write_legend(ax)
    return np.vstack([edges[:-1], edges[1:], floor])


def _layers(draws: _Draws, named: pd.DataFrame) -> list[tuple[npt.NDArray[np.bool_], str, str, str]]:
    """List what is stacked, from the bottom up: the draws, what to call them, colour and hatch."""
    if named.empty:
        return [(np.ones(len(draws.n_hat), dtype=np.bool_), "draws", BLUE, "")]
    layers = [
        (draws.models == row.model, _model_label(row, draws.floor), *style)
        for row, style in zip(named.itertuples(index=False), STYLES, strict=False)
    ]
    others = ~np.isin(draws.models, named["model"].tolist())
    if others.any():
        number = len(set(draws.models[others].tolist()) - {""})
        label = f"{number} other models" if number > 1 else "1 other model" if number else "no model"
        layers.append((others, f"{label}  {_percent(float(others.mean()))}", LIGHT, ""))
    return layers


def _model_label(row: Any, floor: float) -> str:
    notation = textwrap.fill(row.model.replace(",", ", "), _LEGEND_WRAP, break_long_words=False)
    median = max(row.median, floor) if math.isfinite(row.median) else row.median
    return f"{notation.replace(', ', ',')}  {_percent(row.share)}, median {format_persons(median, median)}"


def _write_legend(ax: Axes) -> None:
    """Name the layers in the order in which they lie on each other."""
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles[::-1],
        labels[::-1],
        loc="upper left",
        bbox_to_anchor=(1.03, 0.74),
        borderaxespad=0.0,
        title="model, share of draws, median N",
        title_fontsize=NOTE_SIZE,
        fontsize=NOTE_SIZE,
        alignment="left",
        frameon=False,
        handlelength=1.4,
    )


def _draw_unbounded(ax: Axes, draws: _Draws) -> None:
    """Put an arrow with the share of unbounded draws at the right."""
    unbounded = np.isposinf(draws.n_hat)
    if not unbounded.any():
        return
    low, high = np.log(ax.get_xlim())
    edge, middle = float(np.exp(high - _STRIP * (high - low))), 1.0 - _STRIP / 2
    ax.vlines(edge, 0.0, _TOP_OF_BARS * ax.get_ylim()[1], color=LIGHT, linewidth=1.0, zorder=1)
    ax.plot(
        [middle], [0.12], ">", color=RED, markersize=10, transform=ax.transAxes, zorder=3, gid="unbounded"
    )
    ax.text(
        middle,
        0.17,
        f"un-\nbounded\n{_percent(float(unbounded.mean()))}",
        transform=ax.transAxes,
        ha="center",
        va="bottom",
        fontsize=NOTE_SIZE,
        color=RED,
        gid="unbounded share",
    )


def _draw_intervals(ax: Axes, draws: _Draws, estimate: Estimate, base: Interval) -> None:
    """Draw the two intervals in rows on top, the estimate through both."""
    n_hat, height = max(estimate.n_hat, draws.floor), ax.get_ylim()[1]
    ax.axvline(
        n_hat, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), ymax=_ROWS[0], zorder=1.5, gid="estimate"
    )
    rows = ((estimate.interval, INK), (base, GREY))
    for level, (interval, colour) in zip(_ROWS, rows, strict=True):
        _draw_interval(ax, draws, interval, level * height, colour)
        ax.plot([n_hat], [level * height], "o", ms=6, color=colour, zorder=4, gid="point")
        place: dict[str, Any] = {"transform": ax.transAxes, "va": "center", "fontsize": TEXT_SIZE}
        ax.text(1.03, level, _limits(draws, interval), color=INK, gid="numbers", **place)
    names = [_row_name(interval) for interval, _ in rows]
    ax.set_yticks([level * height for level in _ROWS], names, fontsize=NOTE_SIZE)
    ax.tick_params(axis="y", left=False)


def _draw_interval(ax: Axes, draws: _Draws, interval: Interval, y: float, colour: str) -> None:
    """Draw an interval; one that leaves the axis ends in an arrow across its edge."""
    edge = ax.get_xlim()[1]
    low, beyond = max(interval.low, draws.floor), interval.high > edge
    ends = [low, edge if beyond else max(interval.high, draws.floor)]
    ax.plot(ends, [y, y], color=colour, linewidth=2.4, zorder=3, solid_capstyle="butt", gid="interval")
    caps = ends[:1] if beyond else ends
    ax.plot(caps, [y] * len(caps), "|", color=colour, markersize=9, markeredgewidth=1.8, zorder=3)
    if beyond:
        ax.plot([edge], [y], ">", color=colour, markersize=9, clip_on=False, zorder=4, gid="arrow")


def _row_name(interval: Interval) -> str:
    return textwrap.fill(f"{format_level(interval.level)} {interval.method}", _ROW_WRAP)


def _limits(draws: _Draws, interval: Interval) -> str:
    low, high = (format_persons(max(x, draws.floor), interval.width) for x in (interval.low, interval.high))
    return f"{low} to {'no limit' if math.isinf(interval.high) else high}"


def _name_lumps(ax: Axes, draws: _Draws, resamples: Resamples, bars: Floats) -> None:
    """Write N and share of each lump above it, side by side."""
    found = [(max(n, draws.floor), share) for n, share in resamples.modes]
    found = [(n, share) for n, share in found if n <= draws.high]
    low, high = np.log(ax.get_xlim())
    heads = [f"N ≈ {format_persons(n, n)}" for n, _ in found]
    width = max(ax.bbox.width / ax.figure.dpi - _BESIDE, _NARROWEST)
    widths = [max(len(head), _LUMP_COLUMNS) * _CHARACTER / width for head in heads]
    shrink = min(1.0, 0.99 / max(sum(widths), 1e-9))
    centres = [(math.log(n) - low) / (high - low) for n, _ in found]
    places = spread(centres, [share * shrink for share in widths], 0.0, 1.0)
    for (n, share), head, x in zip(found, heads, places, strict=True):
        near = bars[2][(bars[0] <= n * 1.02) & (bars[1] >= n / 1.02)]
        ax.annotate(
            f"{head}\n{_percent(share)} of draws",
            (n, float(near.max(initial=0.0))),
            (x, _LUMP_LEVEL),
            textcoords="axes fraction",
            ha="center",
            va="bottom",
            fontsize=NOTE_SIZE * shrink,
            color=INK,
            linespacing=1.2,
            gid="lump",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 2},
            zorder=5,
        )


def _percent(share: float) -> str:
    """Write a share in whole per cent, and say so when it is less than one or just short of all."""
    whole = round(100.0 * share)
    if 0.0 < share < 0.01:
        return "<1%"
    return ">99%" if whole == 100 and share < 1.0 else f"{whole}%"


def _notes(draws: _Draws, estimate: Estimate, found: Resamples, protect: bool) -> list[str]:
    """Say what the marks are, what is not drawn, and how far the interval widens."""
    unbounded, unknown = np.isposinf(draws.n_hat), np.isnan(draws.n_hat)
    beyond = np.isfinite(draws.n_hat) & ~draws.drawn
    widening, width = found.widening, found.base_interval.width
    n_hat = format_persons(max(estimate.n_hat, draws.floor), width)
    return [
        f"dashed line: the estimate, {n_hat}; observed: {people(estimate.n_observed, protect)}",
        *(
            [f"the interval of the bootstrap is {widening:.1f} times as wide as that of its base"]
            if math.isfinite(widening)
            else []
        ),
        *([f"arrow: unbounded, {draws.share(unbounded)}"] if unbounded.any() else []),
        *([f"without a number: {draws.share(unknown)}"] if unknown.any() else []),
        *([f"beyond the axis: {draws.share(beyond)}"] if beyond.any() else []),
    ]
