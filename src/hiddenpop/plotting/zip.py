"""The zip plot: every interval of a study, ranked by how far it is from the truth."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    INK,
    RED,
    TEXT_SIZE,
    add_note,
    bare,
    new_axes,
    persons_axis,
    set_title,
)
from hiddenpop.result import format_level
from hiddenpop.validation import Study
from hiddenpop.validation.measures import NOT_APPLICABLE

__all__ = ["zip_plot"]

REACH = 4.0
"""The axis ends at so many times the truth at most; intervals that go on are cut off there."""

BARS = 1.96


@literal_text
@front_door
def zip_plot(study: Study, scenario: str, estimator: str, ax: Axes | None = None) -> Axes:
    """Draw all intervals of one estimator in one scenario, those that miss the truth on top.

    Parameters
    ----------
    study : Study
    scenario, estimator : str
        Names in the study.
    ax : Axes, optional
        To draw on.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If the study has no such results, or the estimator does not apply there.

    Notes
    -----
    Intervals are ranked by the distance of the truth from the estimate, in lengths of the arm of the interval on that
    side: beyond 1 it misses. The height at which they change colour is the coverage.

    References
    ----------
    Morris, T. P., White, I. R. and Crowther, M. J. (2019). Using simulation studies to evaluate statistical methods.
    Statistics in Medicine 38(11), 2074-2102. doi:10.1002/sim.8086

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from hiddenpop.validation import study
    >>> result = study(["chapman"], ["independent-two"], n_rep=20, rng=1)
    >>> ax = zip_plot(result, "independent-two", "chapman", ax=Figure().add_subplot())
    >>> ax.get_title(loc="left")
    'chapman in independent-two'
    """
    rows = study.outcomes(scenario, estimator)
    rows = rows[rows["status"] != NOT_APPLICABLE]
    if rows.empty:
        raise SettingError(f"{estimator!r} does not apply in {scenario!r}, so there are no intervals to draw")
    truth, level = float(rows["truth"].iloc[0]), float(rows["level"].iloc[0])
    ranks, covers = _ranks(rows, truth)
    ax = new_axes(ax, 6.0, 6.0)
    edge = _edge(rows, truth)
    for hit, colour, gid in ((True, BLUE, "hit"), (False, RED, "miss")):
        _draw(ax, rows[covers == hit], ranks[covers == hit], edge, colour, gid)
    ax.axvline(truth, color=INK, linewidth=1.2, zorder=4, gid="truth")
    share = float(covers.mean())
    bar = BARS * np.sqrt(share * (1.0 - share) / len(rows))
    for y, style in ((level, (0, (4, 2))), (share - bar, "dotted"), (share + bar, "dotted")):
        ax.axhline(100.0 * y, color=INK, linewidth=1.0, linestyle=style, zorder=4, gid="level")
    low = float(rows["low"].min())
    margin = 0.03 * (edge - low)
    persons_axis(ax, max(low - margin, 0.0), edge + margin, log=False)
    ax.set_ylim(0.0, 100.5)
    ax.set_ylabel("rank of the interval, in percent", fontsize=TEXT_SIZE, color=INK)
    bare(ax, "bottom", "left")
    set_title(ax, f"{estimator} in {scenario}")
    _note(ax, rows, share, level)
    return ax


def _ranks(rows: pd.DataFrame, truth: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Rank the intervals from 0 to 100, those that miss above those that hold the truth."""
    n_hat, low, high = (rows[name].to_numpy(np.float64) for name in ("n_hat", "low", "high"))
    covers = rows["has_interval"].to_numpy(np.bool_) & (low <= truth) & (truth <= high)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(truth > n_hat, (truth - n_hat) / (high - n_hat), (n_hat - truth) / (n_hat - low))
    distance = np.where(np.isfinite(distance), distance, np.where(covers, 1.0, np.inf))
    order = np.lexsort((distance, ~covers))
    ranks = np.empty(len(rows))
    ranks[order] = 100.0 * (np.arange(len(rows)) + 0.5) / len(rows)
    return ranks, covers


def _edge(rows: pd.DataFrame, truth: float) -> float:
    """End of the axis: it holds nearly all upper limits within reach."""
    limits = rows["high"].to_numpy(np.float64)
    within = limits[limits <= REACH * truth]
    return max(float(within.max()) if len(within) else 0.0, 1.05 * truth, float(rows["n_observed"].max()))


def _draw(
    ax: Axes, rows: pd.DataFrame, ranks: npt.NDArray[np.float64], edge: float, colour: str, gid: str
) -> None:
    there = rows["has_interval"].to_numpy(np.bool_)
    high = np.minimum(rows["high"].to_numpy(np.float64), edge * 1.1)
    low = np.minimum(rows["low"].to_numpy(np.float64), edge * 1.1)
    segments = [[(a, y), (b, y)] for a, b, y in zip(low[there], high[there], ranks[there], strict=True)]
    ax.add_collection(LineCollection(segments, colors=colour, linewidths=_line(len(rows)), zorder=2, gid=gid))


def _line(n: int) -> float:
    """Give lines a width at which many do not run into each other and few can be seen."""
    return 0.5 if n > 300 else 1.2


def _note(ax: Axes, rows: pd.DataFrame, share: float, level: float) -> None:
    without = int((~rows["has_interval"]).sum())
    notes = [
        f"coverage {100 * share:.1f}% of {len(rows):,}, claimed {format_level(level)} (dashed)",
        "dotted: 95% Monte Carlo interval of the coverage",
        *([f"{without:,} without an interval take the top ranks"] if without else []),
    ]
    add_note(ax, notes, width=60, label="number of people; vertical line: the truth")
