"""Estimates and their intervals under each other, with what has no number said in words."""

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from hiddenpop._front_door import front_door
from hiddenpop.disclosure import THRESHOLD, is_small
from hiddenpop.errors import SettingError
from hiddenpop.estimators.base import interval_kind
from hiddenpop.estimators.compare import HOLDS
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    GREY,
    INK,
    LOG_RATIO,
    ORANGE,
    PALE,
    RED,
    TEXT_SIZE,
    add_note,
    bare,
    new_axes,
    people,
    persons_axis,
    set_title,
)
from hiddenpop.result import Estimate, format_level, format_persons, spread_beside

__all__ = ["forest_plot", "released_forest"]

WORDS = {
    "ok": "",
    "boundary": "boundary",
    "unbounded": "unbounded",
    "not_identified": "not identified",
    "not_converged": "not converged",
}
COLOURS = {"ok": BLUE, "boundary": ORANGE, "unbounded": RED, "not_identified": GREY, "not_converged": GREY}
WITHOUT_INTERVAL = ("not_identified", "not_converged")

REACH = 12.0
"""The axis ends at this multiple of the largest point: a limit beyond it is an arrow, and a number at the right."""


@literal_text
@front_door
def forest_plot(
    estimates: Sequence[Estimate],
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
    *,
    protect: bool = False,
    holds: bool = False,
) -> Axes:
    """Draw estimates of a population size with their intervals, one row each.

    Parameters
    ----------
    estimates : sequence of Estimate
        From the top down.
    labels : sequence of str, optional
        One an estimate; by default the estimator with its settings, and the table where there are several.
    ax : Axes, optional
        To draw on.
    protect : bool
        Keep a number observed of 1 to 9 out of the figure. For files of tables that are not public.
    holds : bool
        Write under each label what the interval holds: whether the choice of model is in it, for instance.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If there are no estimates, or not as many labels.

    Notes
    -----
    A limit or an estimate at infinity is an arrow that leaves the axis. An estimate that is not identified is a word
    without a point. The vertical line is the number of people observed, below which no estimate can lie. When
    the ends of the axis differ by a factor of more than 8 it is logarithmic.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from matplotlib.figure import Figure
    >>> estimate = hp.estimate(hp.datasets.load("korea"), "loglinear", model="[12,3]")
    >>> ax = forest_plot([estimate], ax=Figure().add_subplot())
    >>> ax.get_title(loc="left")
    'korea: estimated number of people by loglinear (model=[12,3])'
    """
    shown, names = list(estimates), _names(estimates, labels, holds)
    low, high, log = _range(shown, protect)
    ax = new_axes(ax, 8.2, 1.5 + 0.48 * len(shown))
    persons_axis(ax, low, high, log=log)
    _draw_observed(ax, shown, protect)
    for row, estimate in enumerate(shown):
        _draw_row(ax, row, estimate, high, protect, spread_beside(estimate, shown))
    ax.set_yticks(range(len(shown)), names)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    bare(ax, "bottom")
    ax.tick_params(axis="y", left=False)
    set_title(ax, _title(shown))
    add_note(ax, _notes(shown, high, protect), width=90, label=_axis_label(shown, ax))
    return ax


def _names(estimates: Sequence[Estimate], labels: Sequence[str] | None, holds: bool) -> list[str]:
    """Give each row its label, with the status where it is not ok, else with what its interval holds if asked."""
    if not estimates:
        raise SettingError("there are no estimates to draw; give at least one")
    if labels is None:
        several = len({e.table.name for e in estimates}) > 1
        labels = [f"{e.table.name}: {e.estimator.label}" if several else e.estimator.label for e in estimates]
    if len(labels) != len(estimates):
        raise SettingError(f"{len(labels)} labels for {len(estimates)} estimates; give one each")
    states = [_below_label(e, holds) for e in estimates]
    return [f"{textwrap.fill(label, 40)}{state}" for label, state in zip(labels, states, strict=True)]


def _below_label(estimate: Estimate, holds: bool) -> str:
    if WORDS[estimate.status]:
        return f"\n[{WORDS[estimate.status]}]"
    return f"\n{HOLDS[interval_kind(estimate)]}" if holds else ""


def _title(estimates: Sequence[Estimate]) -> str:
    """Name the table and, of a single estimate, the estimator."""
    tables = ", ".join(dict.fromkeys(e.table.name for e in estimates))
    estimator = f" by {estimates[0].estimator.label}" if len(estimates) == 1 else ""
    return f"{tables}: estimated number of people{estimator}"


def _observed(estimate: Estimate, protect: bool) -> float:
    """Give the number observed, or the threshold in its place when it must not be read off the figure."""
    return THRESHOLD if protect and is_small(estimate.n_observed) else estimate.n_observed


def _limits(estimate: Estimate, protect: bool) -> tuple[float, float]:
    floor = _observed(estimate, protect)
    return max(estimate.interval.low, floor), max(estimate.interval.high, floor)


def _range(estimates: Sequence[Estimate], protect: bool) -> tuple[float, float, bool]:
    """Find the ends of the axis, which hold all points and the limits within reach, and whether it is logarithmic."""
    points = [max(e.n_hat, _observed(e, protect)) for e in estimates if math.isfinite(e.n_hat)]
    limits = [x for e in estimates if e.status not in WITHOUT_INTERVAL for x in _limits(e, protect)]
    starts = [_observed(e, protect) for e in estimates]
    reach = REACH * max(points or starts)
    high = max(x for x in [*starts, *points, *limits] if x <= reach)
    low = min(starts)
    if not points or any(x > reach for x in limits):
        high = max(high * 1.25, 2.5 * low)
    if high > LOG_RATIO * low:
        return low / 1.12, high * 1.12, True
    margin = max(0.05 * (high - low), 0.05 * low, 2.0)
    return max(low - margin, 0.0), high + margin, False


def _draw_observed(ax: Axes, estimates: Sequence[Estimate], protect: bool) -> None:
    """Mark the number observed: one line through all rows, or a piece in each where the tables differ."""
    for value in sorted({e.n_observed for e in estimates}):
        if protect and is_small(value):
            continue
        rows = [row for row, e in enumerate(estimates) if e.n_observed == value]
        if len(rows) == len(estimates):
            ax.axvline(value, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1, gid="observed")
        else:
            ends = [row - 0.4 for row in rows], [row + 0.4 for row in rows]
            ax.vlines([value] * len(rows), *ends, color=INK, linewidth=1.2, zorder=1, gid="observed")


def _draw_row(ax: Axes, row: int, estimate: Estimate, edge: float, protect: bool, spread: float) -> None:
    if row % 2 == 0:
        ax.axhspan(row - 0.5, row + 0.5, color=PALE, linewidth=0, zorder=0)
    if estimate.status not in WITHOUT_INTERVAL:
        _draw_interval(ax, row, *_limits(estimate, protect), edge, COLOURS[estimate.status])
    if math.isfinite(estimate.n_hat):
        _draw_point(ax, row, estimate, max(estimate.n_hat, _observed(estimate, protect)))
    else:
        _draw_word(ax, row, estimate)
    numbers: dict[str, Any] = {
        "transform": ax.get_yaxis_transform(),
        "va": "center",
        "fontsize": TEXT_SIZE,
        "color": INK,
    }
    ax.text(1.03, row, _row_text(estimate, protect, spread), gid="numbers", **numbers)


def _draw_point(ax: Axes, row: int, estimate: Estimate, n: float) -> None:
    """Draw the estimate, hollow and of another shape when it lies on the boundary."""
    colour = COLOURS[estimate.status]
    filled, marker = (colour, "o") if estimate.status == "ok" else ("white", "D")
    ax.plot([n], [row], marker, ms=7, mfc=filled, mec=colour, mew=1.6, zorder=4, gid="point")


def _draw_word(ax: Axes, row: int, estimate: Estimate) -> None:
    """Say in the place of a point why there is none."""
    word, colour = WORDS[estimate.status], COLOURS[estimate.status]
    look: dict[str, Any] = {
        "transform": ax.get_yaxis_transform(),
        "fontsize": TEXT_SIZE,
        "color": colour,
        "style": "italic",
    }
    if estimate.status == "unbounded":
        ax.text(0.985, row - 0.14, word, ha="right", va="bottom", gid="word", **look)
    else:
        ax.text(0.5, row, word, ha="center", va="center", gid="word", **look)


def _draw_interval(ax: Axes, row: int, low: float, high: float, edge: float, colour: str) -> None:
    """Draw the interval; one that leaves the axis ends in an arrow across its edge."""
    beyond = high > edge
    ax.plot(
        [low, min(high, edge)],
        [row, row],
        color=colour,
        linewidth=2.2,
        zorder=3,
        gid="interval",
        solid_capstyle="butt",
    )
    caps = [low] if beyond else [low, high]
    ax.plot(caps, [row] * len(caps), "|", color=colour, markersize=9, markeredgewidth=1.8, zorder=3)
    if beyond:
        ax.plot([edge], [row], ">", color=colour, markersize=9, clip_on=False, zorder=4, gid="arrow")


def _row_text(estimate: Estimate, protect: bool, spread: float) -> str:
    """Write the estimate and its limits, or the word for what there is instead; `spread` decides its digits."""
    endless, floor = math.isinf(estimate.interval.width), _observed(estimate, protect)
    low, high = (format_persons(x, estimate.spread, floor) for x in _limits(estimate, protect))
    if estimate.status in WITHOUT_INTERVAL:
        return WORDS[estimate.status]
    if estimate.status == "unbounded":
        return f"unbounded (from {low})" if endless else f"unbounded ({low} to {high})"
    limits = f"({low} or more)" if endless else f"({low} to {high})"
    return f"{format_persons(max(estimate.n_hat, floor), spread, floor)} {limits}"


def _axis_label(estimates: Sequence[Estimate], ax: Axes) -> str:
    levels = sorted({e.interval.level for e in estimates})
    named = " to ".join(format_level(level) for level in dict.fromkeys((levels[0], levels[-1])))
    scale = ", log scale" if ax.get_xscale() == "log" else ""
    return f"number of people, observed and hidden (point and {named} interval{scale})"


def _notes(estimates: Sequence[Estimate], edge: float, protect: bool) -> list[str]:
    counts = sorted({e.n_observed for e in estimates})
    observed = ", ".join(people(n, protect) for n in counts)
    beyond = any(e.status not in WITHOUT_INTERVAL and e.interval.high > edge for e in estimates)
    mark = "dashed line" if len(counts) == 1 else "black marks"
    hidden = " (not drawn)" if protect and any(is_small(n) for n in counts) else ""
    return [
        f"{mark}: observed, {observed}{hidden}",
        *(["arrow: the interval goes on beyond the axis"] if beyond else []),
    ]


# === estimates as they have been released =============================================================================


def released_forest(shown: Sequence[Mapping[str, Any]], ax: Axes) -> Axes:
    r"""Draw estimates as they have been released, from what stands there and nothing else.

    Parameters
    ----------
    shown : sequence of mapping
        As `hiddenpop.estimators.released.released_estimates` gives them under ``estimates``.
    ax : Axes

    Returns
    -------
    Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> shown = [{"label": "chao", "status": "ok", "n_hat": "between 100 and 200", "n_observed": 125,
    ...           "interval": {"low": 130.0, "high": None}}]
    >>> [label.get_text() for label in released_forest(shown, Figure().add_subplot()).get_yticklabels()]
    ['chao\nN between 100 and 200 (130 to no limit)']
    """
    rows = [_released_ends(one) for one in shown]
    numbers = [end for row in rows for pair in row for end in pair if end is not None]
    numbers += [float(one["n_observed"]) for one in shown if _is_shown(one["n_observed"])]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    room = 0.05 * (high - low) or 1.0
    persons_axis(ax, max(0.0, low - room), high + room, log=low > 0 and high / low > LOG_RATIO)
    for at, (n_hat, least, most) in enumerate(rows):
        if least[0] is not None:
            end = ax.get_xlim()[1] if most[1] is None else most[1]
            ax.plot([least[0], end], [at, at], color=BLUE, linewidth=1.5)
        if n_hat[0] is None or n_hat[1] is None:
            continue
        if n_hat[0] == n_hat[1]:
            ax.plot([n_hat[0]], [at], color=BLUE, marker="o")
        else:
            ax.plot([n_hat[0], n_hat[1]], [at, at], color=BLUE, linewidth=6.0, solid_capstyle="butt")
    for observed in {one["n_observed"] for one in shown if _is_shown(one["n_observed"])}:
        ax.axvline(float(observed), color=GREY, linewidth=1.0)
    names = [f"{textwrap.fill(str(one['label']), 40)}\n{_released_words(one)}" for one in shown]
    ax.set_yticks(range(len(shown)), names)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    bare(ax, "bottom")
    ax.tick_params(axis="y", left=False)
    ax.set_xlabel("people, rounded; the line is how many were observed")
    return ax


def _is_shown(value: Any) -> bool:
    return isinstance(value, int | float)


def _released_ends(one: Mapping[str, Any]) -> list[tuple[float | None, float | None]]:
    """Give the ends of N and of both limits: a number twice, two numbers of a grid, or nothing."""
    return [_ends(value) for value in (one["n_hat"], one["interval"]["low"], one["interval"]["high"])]


def _ends(value: Any) -> tuple[float | None, float | None]:
    if _is_shown(value):
        return float(value), float(value)
    found = re.fullmatch(r"between ([\d,.]+) and ([\d,.]+)", str(value))
    return (None, None) if found is None else (_grid(found[1]), _grid(found[2]))


def _grid(text: str) -> float:
    return float(text.replace(",", ""))


def _released_words(one: Mapping[str, Any]) -> str:
    """Say what was released in words."""
    n_hat, low, high = one["n_hat"], one["interval"]["low"], one["interval"]["high"]
    if n_hat == ".":
        return "withheld, to protect small numbers"
    if n_hat is None:
        return WORDS.get(str(one["status"])) or str(one["status"])
    limits = [f"{value:,.0f}" if _is_shown(value) else (value or "no limit") for value in (low, high)]
    number = f"{n_hat:,.0f}" if _is_shown(n_hat) else n_hat
    return f"N {number} ({limits[0]} to {limits[1]})"
