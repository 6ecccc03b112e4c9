"""Observed counts within those that a model makes, cell by cell."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hiddenpop._front_door import front_door
from hiddenpop.bayes.predictive import ODD_TAIL, PredictiveCheck
from hiddenpop.disclosure import THRESHOLD, protect_counts
from hiddenpop.errors import SettingError
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    GREY,
    INK,
    LIGHT,
    NOTE_SIZE,
    PALE,
    RED,
    add_note,
    bare,
    cell_names,
    new_axes,
    persons_text,
    set_title,
)
from hiddenpop.result import format_level

__all__ = ["predictive_plot"]

NARROWEST = 0.06
"""Room that a tick needs, as a share of the width."""


@literal_text
@front_door
def predictive_plot(
    check: PredictiveCheck, ax: Axes | None = None, *, max_cells: int = 32, protect: bool = False
) -> Axes:
    """Draw the observed count of every cell within the limits of its replicates.

    Parameters
    ----------
    check : PredictiveCheck
        By `hiddenpop.bayes.diagnostics.posterior_predictive` or `prior_predictive`.
    ax : Axes, optional
        To draw on.
    max_cells : int
        The most cells to draw; those furthest out among their replicates stay.
    protect : bool
        Leave out the cells whose count must not be given away, and say how many. For files of tables that are not
        public.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If `max_cells` is below 1.

    Notes
    -----
    Counts stand on a scale of roots, on which chance moves all of them about as far. Grey bars hold the stated share of
    the replicates, with their median. A red diamond is an observed count with hardly a replicate on one side of it.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from hiddenpop.bayes.diagnostics import predictive_check
    >>> cells = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [30, 20, 90]})
    >>> drawn = np.random.default_rng(1).poisson([30, 20, 10], (1000, 3))
    >>> ax = predictive_plot(predictive_check(drawn, cells, ["a", "b"]), ax=Figure().add_subplot())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['a', 'b', 'a & b']
    """
    if max_cells < 1:
        raise SettingError(f"max_cells={max_cells} leaves nothing to draw; give 1 or more")
    lists = [str(name) for name in check.lists["list"]]
    cells = _ordered(check.cells, lists)
    withheld = _withheld(cells, protect)
    known = cells[~withheld]
    extremity = (known["tail"] - 0.5).abs().to_numpy()
    shown = known.iloc[np.sort(np.argsort(-extremity, kind="stable")[:max_cells])]
    ax = new_axes(ax, 7.0, 1.8 + 0.24 * max(len(shown), 3))
    names, patterns = cell_names(shown[lists].to_numpy(), lists)
    _draw_cells(ax, shown)
    ax.set_yticks(range(len(shown)), names)
    _root_axis(ax, float(shown[["observed", "high"]].to_numpy().max(initial=1.0)))
    key = [f"patterns: {', '.join(lists)}"] if patterns else []
    notes = [*key, *_notes(check, len(known) - len(shown), int(withheld.sum()))]
    add_note(ax, notes, width=80, label="persons")
    set_title(ax, f"Observed counts and {check.n_replicates:,} tables drawn from the {check.kind}", pad=18.0)
    return ax


def _ordered(cells: pd.DataFrame, lists: list[str]) -> pd.DataFrame:
    bits = cells[lists].to_numpy()
    order = np.lexsort((*(-bits.T[::-1]), bits.sum(axis=1)))
    return cells.iloc[order].reset_index(drop=True)


def _withheld(cells: pd.DataFrame, protect: bool) -> npt.NDArray[np.bool_]:
    if not protect:
        return np.zeros(len(cells), dtype=np.bool_)
    shown = protect_counts(cells["observed"].to_numpy(dtype=np.int64))
    return np.array([isinstance(value, str) for value in shown], dtype=np.bool_)


def _draw_cells(ax: Axes, cells: pd.DataFrame) -> None:
    rows = np.arange(len(cells))
    for row in range(0, len(cells), 2):
        ax.axhspan(row - 0.5, row + 0.5, color=PALE, linewidth=0, zorder=0)
    ax.hlines(rows, cells["low"], cells["high"], color=LIGHT, linewidth=7, zorder=1, gid="limits")
    ax.plot(cells["median"], rows, "|", color=GREY, markersize=9, markeredgewidth=1.6, zorder=2, gid="median")
    tail, observed = cells["tail"].to_numpy(), cells["observed"].to_numpy()
    odd = (tail <= ODD_TAIL) | (tail >= 1.0 - ODD_TAIL)
    for chosen, marker, colour in ((~odd, "o", BLUE), (odd, "D", RED)):
        ax.plot(
            observed[chosen],
            rows[chosen],
            marker,
            color=colour,
            ms=5.5,
            zorder=3,
            clip_on=False,
            gid="observed",
        )
    for row, (count, low, high) in enumerate(zip(observed, cells["low"], cells["high"], strict=True)):
        text, place = f"{count:,.0f}  /  {low:,.0f} to {high:,.0f}", ax.get_yaxis_transform()
        ax.text(1.015, row, text, transform=place, va="center", fontsize=NOTE_SIZE, color=INK, gid="counts")
    ax.text(
        1.015, 1.0, "observed / drawn", transform=ax.transAxes, va="bottom", fontsize=NOTE_SIZE, color=GREY
    )
    ax.set_ylim(max(len(cells), 1) - 0.5, -0.5)
    bare(ax, "bottom")
    ax.tick_params(axis="y", left=False, labelsize=NOTE_SIZE)


def _root_axis(ax: Axes, largest: float) -> None:
    """Scale by roots, with round numbers up to the largest count."""
    ax.set_xscale("function", functions=(_root, np.square))
    ticks = [0.0]
    for tick in (f * 10.0**k for k in range(16) for f in (1.0, 4.0)):
        if tick <= 1.1 * largest and _root(tick) - _root(ticks[-1]) > NARROWEST * _root(1.1 * largest):
            ticks.append(tick)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(persons_text))
    ax.set_xlim(0.0, 1.1 * largest + 0.5)


def _root(x: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.asarray(np.sqrt(np.maximum(np.asarray(x, dtype=np.float64), 0.0)))


def _notes(check: PredictiveCheck, n_left: int, n_withheld: int) -> list[str]:
    bars = f"bars: {format_level(check.level)} of the drawn counts, with their median"
    share = f"{len(check.odd_cells)} of {len(check.cells)} cells"
    odd = f"diamonds: at most {ODD_TAIL:.1%} of the drawn counts on one side ({share})"
    withheld = f"{n_withheld} cells are withheld: their counts are below {THRESHOLD} or would give one away"
    return [
        f"{bars}; {odd}",
        *([f"{n_left} more cells, nearer to their medians, are not drawn"] if n_left else []),
        *([withheld] if n_withheld else []),
    ]
