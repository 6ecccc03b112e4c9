"""Which lists share how many people: a bar a capture history over a matrix of lists."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator
from matplotlib.transforms import Bbox

from hiddenpop._front_door import front_door
from hiddenpop.disclosure import THRESHOLD, protect_counts
from hiddenpop.errors import SettingError
from hiddenpop.histories import decode
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    GREY,
    INK,
    LIGHT,
    NOTE_SIZE,
    PALE,
    SKY,
    TEXT_SIZE,
    add_note,
    bare,
    new_axes,
    people,
    persons_text,
    set_title,
    short_count,
)
from hiddenpop.table import CaptureTable

__all__ = ["LOG_FROM", "overlap_plot"]

LOG_FROM = 80.0
"""Largest count over smallest from which bars are logarithmic by default: a bar of less is a hairline beside it."""

_BAR, _ROW, _BARS_HEIGHT, _SIZES = 0.3, 0.27, 2.5, 1.5  # inches
_CHARACTER = 0.078  # inches
_LOG_FLOOR = 0.5
_NAMED_PAIRS = 20


@dataclass(frozen=True, slots=True)
class _Bars:
    """What is drawn: one element a capture history, from the most to the fewest people, withheld ones last.

    Attributes
    ----------
    members : ndarray of bool, shape (m, t)
    counts : ndarray of int, shape (m,)
        The threshold in the place of a withheld count.
    withheld, censored : ndarray of bool, shape (m,)
    n_cells : int
        Histories with people, drawn or not.
    rest : int or None
        People in those not drawn; None when it must not be said.
    """

    members: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    withheld: npt.NDArray[np.bool_]
    censored: npt.NDArray[np.bool_]
    n_cells: int
    rest: int | None

    def __len__(self) -> int:
        return len(self.counts)

    def label(self, i: int) -> str:
        """Write the count of a bar."""
        if self.withheld[i]:
            return f"<{THRESHOLD}"
        return f"{'≤' if self.censored[i] else ''}{short_count(int(self.counts[i]))}"


@literal_text
@front_door
def overlap_plot(
    table: CaptureTable,
    ax: Axes | None = None,
    *,
    max_cells: int = 30,
    log: bool | None = None,
    protect: bool = False,
) -> Axes:
    """Draw the number of people by capture history, and the size of each list, in the manner of UpSet.

    Parameters
    ----------
    table : CaptureTable
        Strata are added up.
    ax : Axes, optional
        Its place is taken by three panels; it becomes the panel of the bars.
    max_cells : int
        The most capture histories to draw; the note counts the others, which hold the fewest people.
    log : bool, optional
        Whether bars are on a log scale; by default when the largest count is above 80 times the smallest.
    protect : bool
        For files of tables that are not public: bars that would give a count of 1 to 9 away are hatched and marked
        ``"<10"``, and list sizes count only the others.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If `max_cells` is below 1.

    Notes
    -----
    A dark dot means "on this list", a pale one "not on it". Pairs of lists that share nobody are named below: they
    decide which models have a finite estimate.

    References
    ----------
    Lex, A. et al. (2014). UpSet. IEEE Trans. Vis. Comput. Graph. 20(12), 1983-1992. doi:10.1109/TVCG.2014.2346248

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from matplotlib.figure import Figure
    >>> ax = overlap_plot(hp.datasets.load("korea"), ax=Figure().add_subplot())
    >>> [text.get_text() for text in ax.texts]
    ['54', '41', '12', '6', '5', '5']
    """
    bars = _bars_of(table, max_cells, protect)
    main, dots, sizes = _panels(new_axes(ax, *_size(table, bars)), len(bars), table.n_lists)
    _draw_bars(main, bars, _is_wide(bars) if log is None else log)
    _draw_dots(dots, bars)
    _draw_sizes(sizes, table, bars, protect)
    set_title(main, _title(table, protect))
    add_note(dots, _notes(table, bars, protect), width=max(46, int(4.6 * len(bars))), loc="left")
    return main


def _size(table: CaptureTable, bars: _Bars) -> tuple[float, float]:
    """Give the width and height of a figure for these bars, in inches."""
    names = 0.6 + _CHARACTER * max(map(len, table.lists))
    return names + _SIZES + _BAR * max(len(bars), 8), _BARS_HEIGHT + _ROW * table.n_lists + 1.0


def _bars_of(table: CaptureTable, max_cells: int, protect: bool) -> _Bars:
    if max_cells < 1:
        raise SettingError(f"max_cells={max_cells} leaves nothing to draw; give 1 or more")
    histories, where = np.unique(table.histories, return_inverse=True)
    counts = np.bincount(where, weights=table.counts).astype(np.int64)
    censored = np.bincount(where, weights=table.censored) > 0
    withheld = np.zeros(len(counts), dtype=np.bool_)
    if protect:
        withheld = np.array([isinstance(shown, str) for shown in protect_counts(counts)])
    counts[withheld] = THRESHOLD
    order = np.lexsort((histories, -counts, withheld))
    order = order[counts[order] > 0]
    drawn, left = order[:max_cells], order[max_cells:]
    rest = None if withheld[left].any() else int(counts[left].sum())
    members = decode(histories[drawn], table.n_lists).astype(np.bool_)
    return _Bars(members, counts[drawn], withheld[drawn], censored[drawn], len(order), rest)


def _is_wide(bars: _Bars) -> bool:
    return bool(bars.counts.max() > LOG_FROM * bars.counts.min())


def _panels(ax: Axes, n_bars: int, n_lists: int) -> tuple[Axes, Axes, Axes]:
    """Divide the place of `ax`: bars over dots, list sizes left of the dots."""
    figure = ax.figure
    widths, heights = [_SIZES, _BAR * max(n_bars, 4)], [_BARS_HEIGHT, _ROW * n_lists]
    place = ax.get_subplotspec()
    if place is not None:
        grid = place.subgridspec(2, 2, width_ratios=widths, height_ratios=heights, wspace=0.02, hspace=0.03)
        ax.set_subplotspec(grid[0, 1])
        dots = figure.add_subplot(grid[1, 1], sharex=ax)
        return ax, dots, figure.add_subplot(grid[1, 0], sharey=dots)
    box = ax.get_position()
    x, y = box.x0 + box.width * widths[0] / sum(widths), box.y0 + box.height * heights[1] / sum(heights)
    ax.set_position(Bbox.from_extents(x, y, box.x1, box.y1))
    dots = figure.add_axes((x, box.y0, box.x1 - x, y - box.y0), sharex=ax)
    return ax, dots, figure.add_axes((box.x0, box.y0, x - box.x0, y - box.y0), sharey=dots)


def _draw_bars(ax: Axes, bars: _Bars, log: bool) -> None:
    upright = _labels_collide(ax, bars)
    for i, count in enumerate(bars.counts.tolist()):
        marked = bool(bars.withheld[i] or bars.censored[i])
        ax.bar(
            i,
            count,
            0.66,
            color="white" if marked else BLUE,
            hatch="/////" if marked else None,
            edgecolor=BLUE,
        )
        ax.annotate(
            bars.label(i),
            (i, count),
            (0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=NOTE_SIZE,
            color=INK,
            rotation=90 if upright else 0,
        )
    _scale_bars(ax, float(bars.counts.max()), 0.2 if upright else 0.12, log)
    bare(ax, "left")
    ax.tick_params(axis="x", bottom=False, labelbottom=False)
    # The room left of the bars is empty, so the ticks may stand in it; otherwise they would push the list sizes away.
    ax.yaxis.set_in_layout(False)


def _labels_collide(ax: Axes, bars: _Bars) -> bool:
    """Tell whether neighbouring counts would touch when written level."""
    pitch = ax.bbox.width / ax.figure.dpi / len(bars)
    widths = [_CHARACTER * len(bars.label(i)) for i in range(len(bars))]
    return any((left + right) / 2 > pitch for left, right in pairwise(widths))


def _scale_bars(ax: Axes, top: float, headroom: float, log: bool) -> None:
    """Leave a share of the height free above the highest bar, for its count."""
    if log:
        ax.set_yscale("log")
        ax.set_ylim(_LOG_FLOOR, _LOG_FLOOR * (top / _LOG_FLOOR) ** (1 / (1 - headroom)))
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.set_ylim(0, top / (1 - headroom))
    ax.yaxis.set_major_formatter(FuncFormatter(persons_text))
    ax.set_ylabel(f"people{' (log scale)' if log else ''}", fontsize=TEXT_SIZE, color=INK)


def _draw_dots(ax: Axes, bars: _Bars) -> None:
    m, t = bars.members.shape
    _stripes(ax, t)
    x, y = np.nonzero(~bars.members)
    ax.scatter(x, y, s=34, color=LIGHT, linewidths=0, zorder=2)
    for i, row in enumerate(bars.members):
        on = np.flatnonzero(row)
        ax.plot([i, i], [on[0], on[-1]], color=INK, linewidth=1.8, zorder=3)
    x, y = np.nonzero(bars.members)
    ax.scatter(x, y, s=40, color=INK, linewidths=0, zorder=4)
    ax.set_xlim(-0.6, m - 0.4)
    ax.set_ylim(t - 0.5, -0.5)
    bare(ax)
    ax.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)


def _draw_sizes(ax: Axes, table: CaptureTable, bars: _Bars, protect: bool) -> None:
    """Draw how many people each list holds; with `protect`, how many in the bars that show their count."""
    totals = table.list_totals.to_numpy()
    partial = protect and bool(bars.withheld.any() or bars.rest is None)
    if partial:
        totals = (bars.members * bars.counts[:, None])[~bars.withheld].sum(axis=0)
    _stripes(ax, len(totals))
    for y, total in enumerate(totals.tolist()):
        ax.barh(y, total, 0.58, color=SKY, edgecolor=GREY, linewidth=0.6, zorder=2)
        text = f"{'≥' if partial else ''}{short_count(total)} "
        ax.text(total, y, text, ha="right", va="center", fontsize=NOTE_SIZE, color=INK, zorder=3)
    ax.set_xlim(max(totals.max(), 1) * 1.65, 0)
    bare(ax)
    ax.tick_params(left=False, bottom=False, labelbottom=False)
    ax.set_yticks(range(len(totals)), table.lists)
    ax.set_xlabel("people on the list", fontsize=NOTE_SIZE, color=GREY)


def _stripes(ax: Axes, n_lists: int) -> None:
    for row in range(0, n_lists, 2):
        ax.axhspan(row - 0.5, row + 0.5, color=PALE, zorder=0, linewidth=0)


def _title(table: CaptureTable, protect: bool) -> str:
    n = people(table.n_observed, protect)
    return f"{table.name}: {n} people observed on {table.n_lists} lists"


def _notes(table: CaptureTable, bars: _Bars, protect: bool) -> list[str]:
    """Say in words what the bars leave out, and which pairs of lists share nobody."""
    left = bars.n_cells - len(bars)
    among = f", together {bars.rest:,}" if bars.rest is not None else ""
    withheld = (
        f"<{THRESHOLD}: withheld, because it is small or would give a small count away; lists count the rest"
    )
    return [
        f"{bars.n_cells} of {2**table.n_lists - 1:,} capture histories hold people",
        *([f"the {left} with the fewest people{among}, are not drawn"] if left else []),
        _empty_pairs(table),
        *([withheld] if protect and (bars.withheld.any() or bars.rest is None) else []),
        *(["≤: the count is only an upper bound"] if bars.censored.any() else []),
        *(["some lists operate only in some strata"] if table.has_gaps else []),
    ]


def _empty_pairs(table: CaptureTable) -> str:
    pairs = table.empty_overlaps
    if not pairs:
        return "every pair of lists shares people"
    named = ", ".join(f"{first} & {second}" for first, second in pairs[:_NAMED_PAIRS])
    more = f" and {len(pairs) - _NAMED_PAIRS} more" if len(pairs) > _NAMED_PAIRS else ""
    return f"{len(pairs)} of {math.comb(table.n_lists, 2)} pairs of lists share nobody: {named}{more}"
