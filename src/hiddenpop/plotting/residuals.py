"""How far the fitted counts of one model are from the observed ones, cell by cell."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hiddenpop._front_door import front_door
from hiddenpop.disclosure import THRESHOLD, protect_counts
from hiddenpop.errors import SettingError
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    GREY,
    INK,
    NOTE_SIZE,
    PALE,
    RED,
    add_note,
    bare,
    cell_names,
    new_axes,
    set_title,
)
from hiddenpop.result import Estimate

__all__ = ["GUIDE", "residual_plot"]

GUIDE = 2.0
"""Of residuals that are about standard normal, one in twenty lies beyond."""


@literal_text
@front_door
def residual_plot(
    estimate: Estimate, ax: Axes | None = None, *, max_cells: int = 32, protect: bool = False
) -> Axes:
    """Draw the Pearson residual of every cell, (observed - fitted) / sqrt(fitted).

    Parameters
    ----------
    estimate : Estimate
        Of one log-linear model, with a `fitted_model`.
    ax : Axes, optional
        To draw on.
    max_cells : int
        The most cells to draw; those with the largest residuals stay, and the note says how small the others are.
    protect : bool
        Leave out the cells whose count must not be given away, and say how many. For files of tables that are not
        public.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If the estimate has no fitted cells, or `max_cells` is below 1.

    Notes
    -----
    Cells go from one list to many. Beyond the guides at -2 and 2 a residual is large if the fitted count is not small;
    where it is below 1, a residual of 3 can be one person. A cross is a cell whose fitted count is 0, off the face
    of the model that holds the maximum: it has no residual.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from matplotlib.figure import Figure
    >>> estimate = hp.estimate(hp.datasets.load("korea"), "loglinear", model="[12,23]")
    >>> ax = residual_plot(estimate, ax=Figure().add_subplot())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['b', 'c', 'd', 'b & c', 'b & d', 'c & d', 'b & c & d']
    """
    cells, lists = _sorted_cells(estimate)
    withheld = _withheld(cells, protect)
    known = cells[~withheld]
    shown = _largest(known, max_cells)
    ax = new_axes(ax, 7.0, 1.6 + 0.24 * max(len(shown), 3))
    names, patterns = cell_names(shown[lists].to_numpy(), lists)
    _draw_guides(ax, len(shown))
    _draw_cells(ax, shown, names)
    key = [f"patterns: {', '.join(lists)}"] if patterns else []
    left = known.drop(shown.index)
    add_note(ax, [*key, *_notes(shown, left, int(withheld.sum()))], width=80, label="Pearson residual")
    set_title(
        ax,
        f"{estimate.table.name}: residuals of {estimate.estimator.name} {estimate.model}",
    )
    return ax


def _sorted_cells(estimate: Estimate) -> tuple[pd.DataFrame, list[str]]:
    """Give the cells in order of the number of lists, and the names of the lists."""
    fitted = estimate.fitted_model
    if fitted is None:
        raise SettingError(
            f"{estimate.estimator.name} on {estimate.table.name} has no fitted cells; "
            "residuals need an estimate under one log-linear model, such as 'loglinear' or 'selected'"
        )
    cells, lists = fitted.cells, fitted.factors
    bits = cells[lists].to_numpy()
    order = np.lexsort((*(-bits.T[::-1]), bits.sum(axis=1)))
    return cells.iloc[order].reset_index(drop=True), lists


def _withheld(cells: pd.DataFrame, protect: bool) -> "pd.Series[bool]":
    if not protect:
        return pd.Series(False, index=cells.index)
    shown = protect_counts(cells["observed"].to_numpy(dtype=np.int64))
    return pd.Series([isinstance(value, str) for value in shown], index=cells.index)


def _largest(cells: pd.DataFrame, max_cells: int) -> pd.DataFrame:
    """Keep the cells with the largest residuals, in the order they had."""
    if max_cells < 1:
        raise SettingError(f"max_cells={max_cells} leaves nothing to draw; give 1 or more")
    rank = np.argsort(-cells["residual"].abs().to_numpy(), kind="stable")
    return cells.iloc[np.sort(rank[:max_cells])]


def _draw_guides(ax: Axes, n_cells: int) -> None:
    for row in range(0, n_cells, 2):
        ax.axhspan(row - 0.5, row + 0.5, color=PALE, linewidth=0, zorder=0)
    ax.axvline(0, color=INK, linewidth=0.8, zorder=1)
    for guide in (-GUIDE, GUIDE):
        ax.axvline(guide, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1, gid="guide")


def _draw_cells(ax: Axes, cells: pd.DataFrame, names: list[str]) -> None:
    residuals, on_face = cells["residual"].to_numpy(), cells["on_face"].to_numpy(dtype=bool)
    rows = np.arange(len(cells))
    large = on_face & (np.abs(residuals) > GUIDE)
    ax.hlines(rows[on_face], 0, residuals[on_face], color=GREY, linewidth=1.2, zorder=2)
    for chosen, marker, colour in ((on_face & ~large, "o", BLUE), (large, "D", RED)):
        ax.plot(residuals[chosen], rows[chosen], marker, color=colour, markersize=6, zorder=3, gid="residual")
    ax.plot(
        np.zeros((~on_face).sum()), rows[~on_face], "x", color=INK, ms=7, mew=1.6, zorder=3, gid="off face"
    )
    for row, (count, fitted) in enumerate(zip(cells["observed"], cells["fitted"], strict=True)):
        ax.text(
            1.015,
            row,
            f"{count:,}  /  {_fitted_text(fitted)}",
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=NOTE_SIZE,
            color=INK,
            gid="counts",
        )
    ax.text(
        1.015, 1.0, "observed / fitted", transform=ax.transAxes, va="bottom", fontsize=NOTE_SIZE, color=GREY
    )
    ax.set_yticks(rows, names)
    ax.set_ylim(max(len(cells), 1) - 0.5, -0.5)
    reach = 1.12 * max(GUIDE * 1.25, float(np.abs(residuals).max(initial=0.0)))
    ax.set_xlim(-reach, reach)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    bare(ax, "bottom")
    ax.tick_params(axis="y", left=False, labelsize=NOTE_SIZE)


def _fitted_text(fitted: float) -> str:
    """Write a fitted count with a decimal where it is small."""
    return f"{fitted:,.0f}" if fitted >= 100 else f"{fitted:.1f}" if fitted >= 0.95 else f"{fitted:.2g}"


def _notes(shown: pd.DataFrame, left: pd.DataFrame, n_withheld: int) -> list[str]:
    """Say what the marks are and what is not drawn."""
    off, large = int((~shown["on_face"]).sum()), int((shown["residual"].abs() > GUIDE).sum())
    bound = math.ceil(100 * left["residual"].abs().max()) / 100 if len(left) else 0.0
    withheld = f"{n_withheld} cells are withheld: their counts are below {THRESHOLD} or would give one away"
    return [
        f"{large} of {len(shown)} cells drawn lie beyond the dashed guides at ±{GUIDE:g}",
        *([f"{len(left)} more cells, with residuals within ±{bound:g}, are not drawn"] if len(left) else []),
        *([f"crosses: fitted count 0, off the face that holds the maximum ({off} cells)"] if off else []),
        *([withheld] if n_withheld else []),
    ]
