"""Figures that the commands leave in files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hiddenpop.result import Estimate
from hiddenpop.table import CaptureTable

__all__ = ["save_forest", "save_overlap", "save_released"]

WIDTH = 8.0
ROW, ROW_OF_SEVERAL, HEAD = 0.45, 0.55, 1.6
LANDSCAPE = 4.5
OVERLAP = 5.0


def save_overlap(table: CaptureTable, path: Path, *, protect: bool) -> None:
    """Draw how the lists overlap."""
    from matplotlib.figure import Figure

    from hiddenpop.plotting import overlap_plot, save_figure

    figure = Figure(figsize=(WIDTH, OVERLAP), layout="constrained")
    overlap_plot(table, ax=figure.add_subplot(), protect=protect)
    save_figure(figure, path)


def save_forest(
    estimates: Sequence[Estimate], labels: Sequence[str] | None, path: Path, *, protect: bool
) -> None:
    """Draw estimates under each other; below a single one, the models it was chosen from or averages."""
    from matplotlib.figure import Figure

    from hiddenpop.plotting import forest_plot, landscape_plot, save_figure

    several = len(estimates) > 1
    forest_height = HEAD + (ROW_OF_SEVERAL if several else ROW) * len(estimates)
    landscape = not several and estimates[0].selection is not None
    heights = [forest_height, LANDSCAPE] if landscape else [forest_height]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights).ravel()
    forest_plot(estimates, labels=labels, ax=axes[0], protect=protect, holds=several)
    if landscape:
        landscape_plot(estimates[0], ax=axes[1], protect=protect)
    save_figure(figure, path)


def save_released(content: Mapping[str, Any], path: Path) -> None:
    """Draw the estimates of a table that is not public from what has been released of them."""
    from matplotlib.figure import Figure

    from hiddenpop.plotting import save_figure
    from hiddenpop.plotting.forest import released_forest

    shown = content["estimates"]
    figure = Figure(figsize=(WIDTH, HEAD + ROW_OF_SEVERAL * len(shown)), layout="constrained")
    ax = released_forest(shown, figure.add_subplot())
    ax.set_title(f"{content['table']['name']}: estimated number of people", loc="left")
    save_figure(figure, path)
