"""Every model that was tried: how good it is against what it says of the population size."""

import math
import textwrap
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError
from hiddenpop.fitted_model import ModelSelection
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    EVEN_STEPS,
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
    lumps,
    new_axes,
    people,
    persons_axis,
    set_title,
    spread,
)
from hiddenpop.result import Estimate, format_persons

__all__ = ["BAND", "LUMP_RATIO", "landscape_plot"]

BAND = 2.0
"""Models within two units of the best are commonly held to be supported as well (Burnham & Anderson 2002)."""

LUMP_RATIO = 1.2
"""Estimates that follow each other by less than a fifth belong to one lump."""

_STYLES = {1: ("P", INK), 2: ("o", BLUE), 3: ("^", ORANGE), 4: ("s", GREEN), 5: ("D", PURPLE)}
_ANY_ORDER = ("v", SKY)
_NAMED_LUMPS, _NAMED_MODELS, _WRAP = 4, 3, 42
_STRIP = 0.07  # room at the right for models without a finite N, as a share of the width
_CHARACTER, _LINE, _GAP, _HEAD_LINE = 0.062, 0.152, 0.3, 0.24  # inches


@dataclass(frozen=True, slots=True)
class _Landscape:
    """Models within reach of the best finite one, with their `distance` from it in units of the criterion.

    Attributes
    ----------
    finite, without : DataFrame
        Models with a finite N, and without one.
    n_models : int or None
        Models that were fitted; None where a proof stands in the place of most of them.
    selected : str
        Notation of the model selected; empty when none was.
    """

    finite: pd.DataFrame
    without: pd.DataFrame
    n_models: int | None
    selected: str


@dataclass(frozen=True, slots=True)
class _Rival:
    """A lump of models to name: what to write, and where it stands, as a share of the axis."""

    head: str
    body: str
    x: float
    models: pd.DataFrame

    @property
    def columns(self) -> float:
        """Width in characters of the body; the head is bold and larger."""
        return max(1.45 * len(self.head), *(len(line) + 3 for line in self.body.split("\n")))

    @property
    def rows(self) -> int:
        """Lines of the body."""
        return self.body.count("\n") + 1


@literal_text
@front_door
def landscape_plot(
    estimate: Estimate, ax: Axes | None = None, *, within: float = 10.0, protect: bool = False
) -> Axes:
    """Draw every model tried within reach of the best one: criterion against population size.

    Parameters
    ----------
    estimate : Estimate
        With a `selection`, as ``"selected"`` and ``"averaged"`` give it.
    ax : Axes, optional
        To draw on.
    within : float
        Largest distance from the best finite model to draw. The selected model is drawn wherever it lies.
    protect : bool
        Keep a number observed of 1 to 9 out of the figure. For files of tables that are not public.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If the estimate keeps no record of the models tried, none of them has a finite N, or `within` is not positive.

    Notes
    -----
    The data hardly tell models in the shaded band apart. Where it holds lumps of models with different N, the choice
    among them makes the answer; each lump is named. Models without a finite N stand in the strip at the right.

    References
    ----------
    Burnham, K. P. and Anderson, D. R. (2002). Model Selection and Multimodel Inference. Springer.
    doi:10.1007/b97636

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from matplotlib.figure import Figure
    >>> ax = landscape_plot(hp.estimate(hp.datasets.load("kosovo"), "selected"), ax=Figure().add_subplot())
    >>> [text.get_text() for text in ax.texts if text.get_gid() == "lump"]
    ['N ≈ 10,400', 'N ≈ 12,700', 'N ≈ 18,400']
    """
    if not within > 0:
        raise SettingError(f"within={within} must be a positive distance in units of the criterion")
    selection = _selection(estimate)
    within = min(within, selection.window)  # an exact search keeps no models from farther off
    found = _landscape(estimate, selection, within)
    distances = pd.concat([found.finite["distance"], found.without["distance"]])
    bottom, top = min(0.0, float(distances.min())), max(1.03 * float(distances.max()), 1.5 * BAND)
    ax = new_axes(ax, 8.6, 6.2)
    _set_axes(ax, found, estimate)
    _draw_models(ax, found)
    _draw_without(ax, found, bottom, top)
    if not found.selected and math.isfinite(estimate.n_hat):
        _draw_estimate(ax, estimate, top)
    _name_rivals(ax, _rivals(ax, found), bottom, top)
    ax.set_yticks(
        [tick for tick in MaxNLocator(6, steps=EVEN_STEPS).tick_values(bottom, top) if bottom <= tick <= top]
    )
    _write_around(ax, found, estimate, selection, within, protect)
    return ax


def _write_around(
    ax: Axes, found: _Landscape, estimate: Estimate, selection: ModelSelection, within: float, protect: bool
) -> None:
    criterion = selection.criterion.upper()
    ax.set_ylabel(f"{criterion} above the best model with a finite N", fontsize=TEXT_SIZE, color=INK)
    notes = _notes(found, estimate, within, protect)
    add_note(ax, notes, width=95, label="population size N under the model (log scale)")
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.995),
        fontsize=NOTE_SIZE,
        ncols=7,
        frameon=False,
        handletextpad=0.3,
        columnspacing=1.2,
        markerscale=0.9,
    )
    set_title(
        ax, f"{estimate.table.name}: models tried by {estimate.estimator.name}, {criterion} against N", pad=24
    )


def _selection(estimate: Estimate) -> ModelSelection:
    selection = estimate.selection
    if selection is None:
        raise SettingError(
            f"{estimate.estimator.name} on {estimate.table.name} keeps no record of models tried; "
            "the landscape needs an estimate by 'selected' or 'averaged'"
        )
    return selection


def _landscape(estimate: Estimate, selection: ModelSelection, within: float) -> _Landscape:
    tried = selection.models
    finite = tried["status"].isin(["ok", "boundary"])
    if not finite.any():
        raise SettingError(
            f"none of the {len(tried)} models tried on {estimate.table.name} has a finite N; there is no landscape"
        )
    values = tried[selection.criterion]
    tried = tried.assign(distance=values - values[finite].min())
    selected = estimate.model
    near = (tried["distance"] <= within) | (tried["model"] == selected)
    return _Landscape(
        tried[finite & near].sort_values("distance", kind="stable"),
        tried[~finite & near],
        selection.n_models,
        selected if (tried["model"] == selected).any() else "",
    )


def _set_axes(ax: Axes, found: _Landscape, estimate: Estimate) -> None:
    """Set limits with room for names below the best model, and the strip for models without a finite N."""
    sizes = [
        *found.finite["n_hat"],
        *([] if found.selected or math.isinf(estimate.n_hat) else [estimate.n_hat]),
    ]
    low, high = math.log(min(sizes)), math.log(max(sizes))
    margin = max(0.08 * (high - low), 0.12)
    strip = _STRIP * (high - low + 2 * margin) if len(found.without) else 0.0
    persons_axis(ax, math.exp(low - margin), math.exp(high + margin + strip), log=True)
    ax.axhspan(0, BAND, color="#FFF0C2", linewidth=0, zorder=0, gid="band")
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    bare(ax, "left", "bottom")


def _draw_models(ax: Axes, found: _Landscape) -> None:
    for order in sorted(set(found.finite["order"].tolist())):
        models = found.finite[found.finite["order"] == order]
        marker, colour = _STYLES.get(order, _ANY_ORDER)
        ax.scatter(
            models["n_hat"],
            models["distance"],
            s=26,
            marker=marker,
            color=colour,
            edgecolors="white",
            linewidths=0.5,
            zorder=3,
            label=f"order {order}",
            gid="models",
        )
    chosen = found.finite[found.finite["model"] == found.selected]
    if len(chosen):
        ax.scatter(
            chosen["n_hat"],
            chosen["distance"],
            s=150,
            facecolors="none",
            edgecolors=RED,
            linewidths=2.0,
            zorder=4,
            label="selected",
            gid="selected",
        )


def _draw_without(ax: Axes, found: _Landscape, bottom: float, top: float) -> None:
    """Put models without a finite N at the right, at the height of their criterion."""
    if found.without.empty:
        return
    ax.vlines(_strip_edge(ax), bottom, top, color=LIGHT, linewidth=1.0, zorder=1)
    for marker, word, chosen in (
        (">", "no finite N: unbounded", found.without["status"] == "unbounded"),
        ("x", "no finite N: not identified or not converged", found.without["status"] != "unbounded"),
    ):
        heights = found.without.loc[chosen, "distance"]
        if len(heights):
            ax.scatter(
                [1 - _STRIP / 2] * len(heights),
                heights,
                s=30,
                marker=marker,
                color=GREY,
                zorder=3,
                transform=ax.get_yaxis_transform(),
                label=word,
                gid="without",
            )


def _strip_edge(ax: Axes) -> float:
    low, high = np.log(ax.get_xlim())
    return float(np.exp(high - _STRIP * (high - low)))


def _draw_estimate(ax: Axes, estimate: Estimate, top: float) -> None:
    label = f"estimate: {format_persons(estimate.n_hat, estimate.n_hat)}"
    ax.vlines(
        estimate.n_hat,
        0,
        top,
        color=INK,
        linewidth=1.3,
        linestyle=(0, (4, 2)),
        zorder=1.5,
        label=label,
        gid="estimate",
    )


def _rivals(ax: Axes, found: _Landscape) -> list[_Rival]:
    """Name the lumps of models in the band, the selected model's included, and what has no finite N there."""
    finite = found.finite
    band = finite[(finite["distance"] <= BAND) | (finite["model"] == found.selected)]
    groups = [band.iloc[sorted(group)] for group in lumps(band["n_hat"].tolist(), LUMP_RATIO)]
    groups.sort(key=lambda group: (found.selected not in set(group["model"]), group["distance"].min()))
    rivals = [
        _Rival(
            _lump_head(group), _lump_body(group, found.selected), _fraction(ax, group["n_hat"].iloc[0]), group
        )
        for group in groups[:_NAMED_LUMPS]
    ]
    without = found.without[found.without["distance"] <= BAND].sort_values("distance", kind="stable")
    if len(without):
        rivals.append(_Rival("no finite N", _lump_body(without, ""), 1 - _STRIP / 2, without))
    return sorted(rivals, key=lambda rival: rival.x)


def _name_rivals(ax: Axes, rivals: list[_Rival], bottom: float, top: float) -> None:
    """Write under each lump its N and its best models, side by side, and set the limits to hold them."""
    width, height = ax.bbox.width / ax.figure.dpi, ax.bbox.height / ax.figure.dpi
    widths = [rival.columns * _CHARACTER / width for rival in rivals]
    shrink = min(1.0, 0.99 / sum(widths))
    places = spread([rival.x for rival in rivals], [share * shrink for share in widths], 0.0, 1.0)
    level = min(0.6, (_GAP + _HEAD_LINE + 0.08 + _LINE * max(rival.rows for rival in rivals)) / height)
    ax.set_ylim(bottom - (top - bottom) * level / (1 - level), top)
    for rival, x in zip(rivals, places, strict=True):
        _write_rival(ax, rival, (x, level - _GAP / height), shrink)


def _write_rival(ax: Axes, rival: _Rival, place: tuple[float, float], shrink: float) -> None:
    """Write the head of a lump at a place in shares of the axes, with a line to its best model, and the body below."""
    ax.annotate(
        rival.head,
        (rival.x, rival.models["distance"].iloc[0]),
        place,
        xycoords=ax.get_yaxis_transform(),
        textcoords="axes fraction",
        ha="center",
        va="top",
        fontsize=(TEXT_SIZE + 2) * shrink,
        fontweight="bold",
        color=INK,
        gid="lump",
        arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 1.0, "shrinkB": 4},
    )
    ax.annotate(
        rival.body,
        place,
        (0, -72 * _HEAD_LINE),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=NOTE_SIZE * shrink,
        color=INK,
        linespacing=1.3,
        gid="names",
    )


def _fraction(ax: Axes, n: float) -> float:
    """Give the place of a population size on the axis, from 0 at its left end to 1."""
    low, high = np.log(ax.get_xlim())
    return float((math.log(n) - low) / (high - low))


def _lump_head(group: pd.DataFrame) -> str:
    """Write the N of a lump, or its range, in three digits."""
    low, high = (format_persons(n, n) for n in (group["n_hat"].min(), group["n_hat"].max()))
    return f"N ≈ {low}" if low == high else f"N ≈ {low} to {high}"


def _lump_body(group: pd.DataFrame, selected: str) -> str:
    """Write the notation and distance of the best models of a lump, the selected one among them."""
    chosen = group[group["model"] == selected]
    shown = (
        pd.concat([chosen, group[group["model"] != selected]]).iloc[:_NAMED_MODELS].sort_values("distance")
    )
    rows = zip(shown["model"].tolist(), shown["distance"].tolist(), strict=True)
    lines = [_model_line(model, distance, model == selected) for model, distance in rows]
    more = len(group) - len(shown)
    return "\n".join([*lines, *([f"and {more} more in the band"] if more else [])])


def _model_line(model: str, distance: float, selected: bool) -> str:
    notation = textwrap.fill(model.replace(",", ", "), _WRAP, break_long_words=False).replace(", ", ",")
    return f"{notation}  {distance:+.2f}{'  selected' if selected else ''}"


def _notes(found: _Landscape, estimate: Estimate, within: float, protect: bool) -> list[str]:
    distances = pd.concat([found.finite["distance"], found.without["distance"]])
    near, band = int((distances <= within).sum()), int((distances <= BAND).sum())
    of_all = "" if found.n_models is None else f" of {found.n_models:,}"
    return [
        f"{near:,}{of_all} models lie within {within:g} units, {band:,} in the shaded band of "
        f"{BAND:g} units; observed: {people(estimate.n_observed, protect)}"
    ]
