"""The figures of the paper, drawn from the result files."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from paper.printed import FOLDER
from paper.results import RESULTS, read_json
from paper.validation import PERFORMANCE, coverage_by_estimator

from hiddenpop.plotting.files import save_figure

FIGURES = FOLDER / "build" / "figures"
OURS, THEIRS, QUIET = "#1f5f8b", "#b5541c", "#9aa3ab"
WIDTH = 6.6  # inches, the width of the text


def draw_figures(results: Path = RESULTS, folder: Path = FIGURES) -> list[Path]:
    """Draw every figure of the paper."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = read_json(results / "bootstrap.json")["rows"]
    return [
        save_figure(two_answers(rows), folder / "two-answers.svg"),
        save_figure(intervals(rows), folder / "intervals.svg"),
        save_figure(coverage(pd.read_csv(PERFORMANCE)), folder / "coverage.svg"),
    ]


def two_answers(rows: list[dict[str, Any]]) -> Figure:
    """Draw the bootstrap distribution of the best model by BIC on the five lists of the United Kingdom."""
    row = next(row for row in rows if row["key"] == "bootstrap.every.uk_5_all")
    histogram, values = row["histogram"], _values(row)
    figure, ax = _axes(2.1)
    ax.stairs(histogram["counts"], histogram["edges"], fill=True, color=OURS, alpha=0.75)
    ax.set_xscale("log")
    ax.set_xticks(
        [10_000, 15_000, 20_000, 30_000, 50_000], ["10,000", "15,000", "20,000", "30,000", "50,000"]
    )
    ax.minorticks_off()
    ax.axvline(values["n_hat"], color=THEIRS, linewidth=1.5)
    ax.set_xlabel("Population size (log scale); the line is the estimate from the table itself")
    ax.set_ylabel("Resamples")
    return figure


def intervals(rows: list[dict[str, Any]]) -> Figure:
    """Draw printed and our intervals of Table 6 of Silverman, Chan & Vincent (2024), as multiples of the estimate."""
    shown = [row for row in rows if row["where"] == "Table 6" and "low" in _values(row)]
    figure, ax = _axes(0.21 * len(shown) + 0.7)
    for place, row in enumerate(reversed(shown)):
        for side, shift, colour in (("printed", 0.16, THEIRS), ("ours", -0.16, OURS)):
            values = _values(row, side)
            scale = _values(row)["n_hat"]
            ax.plot(
                [values["low"] / scale, values["high"] / scale],
                [place + shift] * 2,
                color=colour,
                linewidth=2.2,
                solid_capstyle="butt",
                label=side if place == 0 else None,
            )
    ax.axvline(1.0, color=QUIET, linewidth=0.8, zorder=0)
    ax.set_yticks(
        range(len(shown)), [f"{row['table']}, {row['words']}" for row in reversed(shown)], fontsize=7
    )
    ax.set_xlabel("Limits of the interval as multiples of the estimate")
    ax.legend(frameon=False, fontsize=7, loc="lower right")
    return figure


def _values(row: dict[str, Any], side: str = "ours") -> dict[str, float]:
    return {quantity["name"]: quantity[side] for quantity in row["quantities"]}


def coverage(performance: pd.DataFrame) -> Figure:
    """Draw coverage in each scenario of the standard validation, estimator by estimator."""
    shown = coverage_by_estimator(performance)
    figure, ax = _axes(0.135 * len(shown) + 0.7)
    ax.axvline(0.95, color=THEIRS, linewidth=1.0, zorder=0)
    for place, (_, values) in enumerate(shown):
        ax.plot(values, [place] * len(values), "|", color=OURS, markersize=6, markeredgewidth=0.9)
        ax.plot(float(pd.Series(values).median()), place, "o", color=OURS, markersize=3.5)
    ax.set_yticks(range(len(shown)), [name for name, _ in shown], fontsize=7)
    ax.set_xlabel("Coverage of nominal 95 % intervals; a stroke a scenario, the dot is the median")
    ax.set_xlim(-0.02, 1.02)
    return figure


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    ax = figure.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=7, length=2)
    ax.xaxis.label.set_fontsize(8)
    ax.yaxis.label.set_fontsize(8)
    return figure, ax
