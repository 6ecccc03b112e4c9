"""The figures of a report as bytes: without a clock, and of counts that are not public without their points."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from hiddenpop.monitor import Ranks, Rates, Subgroups, Trend, TrendByList
from hiddenpop.report.withholding import rounded
from hiddenpop.result import Estimate, Interval
from hiddenpop.sensitivity.protocol import CheckResult
from hiddenpop.table import CaptureTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWN_LISTS", "checks_figure", "forest_figure", "overlap_figure", "part_figure", "short"]

LONGEST_NAME = 40
PERSONS = ("n_hat", "low", "high", "simultaneous_low", "simultaneous_high")
DRAWN_LISTS = 25
"""The most lists of which an overlap is drawn."""


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """Shorten a long name in the middle, so that what tells two names apart at their ends stays.

    Examples
    --------
    >>> short("police"), short("a" * 30 + "b" * 30, 11)
    ('police', 'aaaaa…bbbbb')
    """
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"


def overlap_figure(table: CaptureTable, *, protect: bool) -> tuple[bytes, str]:
    """Draw how the lists overlap."""
    from hiddenpop.plotting import overlap_plot

    shown = _with_short_names(table)
    n_bars = min(30, len(set(table.histories.tolist())))
    width = 2.1 + 0.078 * max(map(len, shown.lists)) + 0.3 * max(n_bars, 12)
    figure = _figure(width, 3.5 + 0.27 * table.n_lists)
    overlap_plot(shown, ax=figure.add_subplot(), protect=protect)
    return _bytes(figure, vector=table.public)


def _with_short_names(table: CaptureTable) -> CaptureTable:
    names = {name: short(name) for name in table.lists}
    if len(set(names.values())) < len(names):
        names = {name: f"{short(name, 32)} ({i})" for i, name in enumerate(table.lists, start=1)}
    changed = {old: new for old, new in names.items() if old != new}
    return table.rename(changed) if changed else table


def forest_figure(estimates: Mapping[str, Estimate], *, protect: bool) -> tuple[bytes, str]:
    """Draw the estimates under each other."""
    from hiddenpop.plotting import forest_plot

    shown = [_to_draw(e, protect=protect) for e in estimates.values()]
    figure = _figure(8.2, 1.6 + 0.5 * len(shown))
    forest_plot(shown, labels=[short(x, 60) for x in estimates], ax=figure.add_subplot(), protect=protect)
    return _bytes(figure, vector=all(e.table.public for e in shown))


def _to_draw(estimate: Estimate, *, protect: bool) -> Estimate:
    """Shorten the name of the table, and round sizes of counts that are not public as the text does."""
    named = replace(estimate, table=replace(estimate.table, name=short(estimate.table.name)))
    if not protect or estimate.table.public:
        return named
    ends = estimate.interval
    n_hat, low, high = (rounded(x, estimate.n_observed) for x in (estimate.n_hat, ends.low, ends.high))
    return replace(named, n_hat=n_hat, interval=Interval(low, high, ends.level, ends.method))


def checks_figure(results: Sequence[CheckResult], title: str, *, protect: bool) -> tuple[bytes, str]:
    """Draw all checks that have something to draw on one page."""
    from hiddenpop.plotting.check_page import check_page, page_size

    figure = _figure(*page_size(results))
    check_page(results, figure=figure, title=title, protect=protect)
    return _bytes(figure, vector=all(result.data.public for result in results))


def part_figure(part: Subgroups | Rates | Trend | Ranks | TrendByList, *, protect: bool) -> tuple[bytes, str]:
    """Draw what a monitor made of an estimate."""
    figure = _figure(*_part_size(part))
    shown = part.trends[0] if isinstance(part, TrendByList) else part
    if protect and not part.table.public:
        shown = replace(shown, frame=_rounded_frame(shown.frame))
    shown.plot(ax=figure.add_subplot(), protect=protect)
    return _bytes(figure, vector=part.table.public)


def _rounded_frame(frame: pd.DataFrame) -> pd.DataFrame:
    if "n_hat" not in frame:
        return frame
    sizes = [name for name in PERSONS if name in frame]
    least = frame["n_observed"].tolist()
    return frame.assign(**{name: list(map(rounded, frame[name].tolist(), least)) for name in sizes})


def _part_size(part: Subgroups | Rates | Trend | Ranks | TrendByList) -> tuple[float, float]:
    if isinstance(part, Ranks):
        return 8.2, 1.7 + 0.3 * min(max(len(part.frame), 3), 25)
    if isinstance(part, Subgroups | Rates):
        return 7.8, 1.7 + 0.34 * min(max(len(part.frame) - 1, 2), 40)
    trend = part.trends[0] if isinstance(part, TrendByList) else part
    if not trend.by:
        return 7.6, 4.2
    n_groups = min(len(trend.frame[list(trend.by)].drop_duplicates()), 12)
    n_columns = min(n_groups, 4 if n_groups > 6 else 3 if n_groups > 2 and n_groups != 4 else 2)
    return 8.6, 1.9 + 1.9 * math.ceil(n_groups / n_columns)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _bytes(figure: "Figure", *, vector: bool) -> tuple[bytes, str]:
    """Write a figure; as points of ink and not of data where these must not leave."""
    from hiddenpop.plotting import save_figure

    suffix = ".svg" if vector else ".png"
    with tempfile.TemporaryDirectory() as folder:
        return save_figure(figure, Path(folder) / f"figure{suffix}").read_bytes(), suffix
