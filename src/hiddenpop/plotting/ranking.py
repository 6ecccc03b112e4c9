"""Groups in the order of their size or rate, with the uncertainty of their places."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hiddenpop._cells import distinct_texts
from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError
from hiddenpop.monitor.ranks import Ranks
from hiddenpop.monitor.rates import rate_text
from hiddenpop.monitor.trend import share_name
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    GREY,
    INK,
    NOTE_SIZE,
    PALE,
    TEXT_SIZE,
    add_note,
    bare,
    new_axes,
    set_title,
)
from hiddenpop.result import format_level, format_persons

__all__ = ["ranking_plot"]


@literal_text
@front_door
def ranking_plot(
    ranks: Ranks, ax: Axes | None = None, *, max_places: int = 25, protect: bool = False
) -> Axes:
    """Draw the first places with the limits of their ranks.

    Parameters
    ----------
    ranks : Ranks
    ax : Axes, optional
        To draw on.
    max_places : int
        The most groups to draw, from the first place down; the note counts the others.
    protect : bool
        Leave out numbers of persons that must not be given away. For files of tables that are not public.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If `max_places` is below 1.

    Notes
    -----
    A full point belongs to the first `top` with all of its limits, a hollow one may or may not. The dashed line is the
    border of the first `top`; the shares to do so stand at the right, beside number or rate.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import pandas as pd
    >>> from hiddenpop.table import TableSummary
    >>> frame = pd.DataFrame({"town": ["a", "b", "c"], "n_observed": [40, 30, 20], "n_hat": [100.0, 90.0, 50.0],
    ...     "low": [80.0, 70.0, 30.0], "high": [130.0, 110.0, 80.0], "rate": float("nan"), "rank": [1.0, 2.0, 3.0],
    ...     "rank_low": [1.0, 1.0, 2.0], "rank_high": [2.0, 3.0, 3.0], "top_share": [0.7, 0.3, 0.0],
    ...     "first_share": [0.7, 0.3, 0.0], "status": "ok"})
    >>> made_up = Ranks(by=("town",), frame=frame, top=1, measure="persons", level=0.95, draws_are="posterior",
    ...     estimator="made up", table=TableSummary("made up", "", ("a", "b"), True))
    >>> ax = ranking_plot(made_up, ax=Figure().add_subplot(), max_places=2)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['a', 'b']
    """
    if max_places < 1:
        raise SettingError(f"max_places={max_places} leaves nothing to draw; give 1 or more")
    shown, withheld = ranks.frame.head(max_places), ranks.withheld & protect
    ax = new_axes(ax, 8.2, 1.7 + 0.3 * max(len(shown), 3))
    for row, (place, hide) in enumerate(zip(shown.to_dict("records"), withheld, strict=False)):
        _draw_place(ax, row, place, ranks, bool(hide))
    _draw_border(ax, ranks)
    names = distinct_texts(shown[list(ranks.by)].itertuples(index=False, name=None), " / ")
    ax.set_yticks(range(len(shown)), names)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    last = float(shown["rank_high"].max())
    ax.set_xlim(0.4, last + 0.6)
    round_ranks = MaxNLocator(8, integer=True).tick_values(1.0, max(last, 2.0))
    ax.set_xticks([1, *(int(rank) for rank in round_ranks if 1 < rank <= last)])
    bare(ax, "bottom")
    ax.tick_params(axis="y", left=False)
    _head(ax, ranks)
    hidden = int(withheld[: len(shown)].sum())
    add_note(ax, _notes(ranks, len(ranks.frame) - len(shown), hidden), width=96, label=_label(ranks))
    what = "persons per resident" if ranks.measure == "rate" else "number of persons"
    set_title(ax, f"{ranks.table.name}: order by {what}, {ranks.estimator}", pad=20.0)
    return ax


def _draw_place(ax: Axes, row: int, place: dict[Any, Any], ranks: Ranks, hide: bool) -> None:
    if row % 2 == 0:
        ax.axhspan(row - 0.5, row + 0.5, color=PALE, linewidth=0, zorder=0)
    low, high = place["rank_low"], place["rank_high"]
    ax.plot([low, high], [row, row], color=BLUE, linewidth=2.2, solid_capstyle="butt", zorder=3, gid="limits")
    ax.plot([low, high], [row, row], "|", color=BLUE, ms=8, mew=1.6, zorder=3)
    sure = high <= ranks.top
    filled = BLUE if sure else "white"
    ax.plot([place["rank"]], [row], "o", ms=6.5, mfc=filled, mec=BLUE, mew=1.6, zorder=4, gid="rank")
    look: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": TEXT_SIZE}
    ax.text(1.10, row, f"{place['top_share']:.2f}", ha="right", color=INK, gid="share", **look)
    ax.text(1.14, row, "withheld" if hide else _number(place, ranks), color=INK, gid="numbers", **look)


def _number(place: dict[Any, Any], ranks: Ranks) -> str:
    if place["status"] not in ("ok", "boundary"):
        return str(place["status"]).replace("_", " ")
    if ranks.measure == "rate":
        return rate_text(place["rate"])
    low, high = place["low"], place["high"]
    number, lowest, highest = (
        format_persons(x, high - low, place["n_observed"]) for x in (place["n_hat"], low, high)
    )
    return f"{number} ({lowest} to {highest})"


def _draw_border(ax: Axes, ranks: Ranks) -> None:
    if ranks.top < len(ranks.frame):
        ax.axvline(ranks.top + 0.5, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), zorder=2, gid="top")


def _head(ax: Axes, ranks: Ranks) -> None:
    """Name the columns at the right."""
    what = "per 100,000" if ranks.measure == "rate" else "persons"
    look: dict[str, Any] = {
        "transform": ax.transAxes,
        "va": "bottom",
        "fontsize": NOTE_SIZE,
        "color": GREY,
        "gid": "head",
    }
    ax.text(1.10, 1.01, f"top {ranks.top}", ha="right", **look)
    ax.text(1.14, 1.01, what, **look)


def _label(ranks: Ranks) -> str:
    return f"rank, 1 is the largest (median and {format_level(ranks.level)} limits)"


def _notes(ranks: Ranks, n_left: int, n_withheld: int) -> list[str]:
    border = f"dashed line: border of the first {ranks.top}" if ranks.top < len(ranks.frame) else ""
    share = f"top {ranks.top}: {share_name(ranks.draws_are)} to be among them; full points: within all limits"
    return [
        "; ".join(filter(None, [border, share])),
        *([f"{n_left} more of {len(ranks.frame)} are not drawn"] if n_left else []),
        *([f"numbers of {n_withheld} are withheld"] if n_withheld else []),
        *ranks.notes,
    ]
