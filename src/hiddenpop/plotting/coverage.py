"""Coverage of the intervals of a simulation study, scenario by scenario."""

import math
from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes

from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    RED,
    SKY,
    TEXT_SIZE,
    add_note,
    bare,
    new_axes,
    set_title,
)
from hiddenpop.validation import Study

__all__ = ["coverage_plot"]

LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (RED, "^"), (PURPLE, "v"), (SKY, "P"))
BARS = 1.96
"""Bars of so many Monte Carlo standard errors hold the coverage that endless replicates would show, 95 times in 100."""


@literal_text
@front_door
def coverage_plot(study: Study, ax: Axes | None = None, *, estimators: Sequence[str] | None = None) -> Axes:
    """Draw the coverage of estimators in every scenario, with Monte Carlo bars and a line at the nominal level.

    Parameters
    ----------
    study : Study
    ax : Axes, optional
        To draw on.
    estimators : sequence of str, optional
        Labels; all by default, and six at most.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        For a label that the study does not hold, or more than six.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from hiddenpop.validation import study
    >>> result = study(["chapman"], ["independent-two"], n_rep=20, rng=1)
    >>> ax = coverage_plot(result, ax=Figure().add_subplot())
    >>> ax.get_title(loc="left")
    'Coverage of intervals: chapman'
    """
    labels = chosen_labels(study, estimators)
    scenarios = list(dict.fromkeys(study.replicates["scenario"]))
    found, levels = _coverages(study, labels), set(study.replicates["level"].dropna())
    ax = new_axes(ax, 8.2, 1.8 + 0.3 * len(scenarios))
    for row, scenario in enumerate(scenarios):
        if row % 2 == 0:
            ax.axhspan(row - 0.5, row + 0.5, color=PALE, linewidth=0, zorder=0)
        for place, label in enumerate(labels):
            at = row + (place - (len(labels) - 1) / 2) * 0.8 / len(labels)
            _draw_share(ax, at, found.get((scenario, label)), LOOKS[place])
    for level in sorted(levels):
        ax.axvline(level, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1, gid="nominal")
    ax.set_yticks(range(len(scenarios)), scenarios)
    ax.set_ylim(len(scenarios) - 0.5, -0.5)
    ax.set_xlim(-0.02, 1.02)
    bare(ax, "bottom")
    ax.tick_params(axis="y", left=False)
    _name(ax, labels)
    return ax


def chosen_labels(study: Study, estimators: Sequence[str] | None) -> list[str]:
    """Give the labels to draw, all of the study by default."""
    known = list(dict.fromkeys(study.replicates["estimator"]))
    labels = known if estimators is None else list(estimators)
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise SettingError(f"the study has no estimator {unknown[0]!r}; it has {', '.join(known)}")
    if not 1 <= len(labels) <= len(LOOKS):
        raise SettingError(
            f"{len(labels)} estimators on one axis; name 1 to {len(LOOKS)} in estimators=[...]"
        )
    return labels


def _coverages(study: Study, labels: Sequence[str]) -> dict[tuple[str, str], tuple[float, float]]:
    """Give coverage and Monte Carlo standard error by scenario and label; nan where an estimator does not apply."""
    rows = study.replicates[study.replicates["estimator"].isin(labels)]
    frame = replace(study, replicates=rows).performance()
    names = rows[["scenario", "estimator"]].drop_duplicates()
    found = names.merge(frame[frame["measure"] == "coverage"], how="left", on=["scenario", "estimator"])
    keys = zip(found["scenario"], found["estimator"], strict=True)
    return dict(zip(keys, zip(found["value"], found["mcse"], strict=True), strict=True))


def _draw_share(ax: Axes, at: float, found: tuple[float, float] | None, look: tuple[str, str]) -> None:
    """Draw one share with its bar, or say that there is none."""
    if found is None:
        return
    value, error = found
    if math.isnan(value):
        ax.text(0.0, at, "not applicable", va="center", fontsize=TEXT_SIZE - 2, color=GREY, gid="none")
        return
    (colour, marker), bar = look, BARS * error
    ends = [max(value - bar, 0.0), min(value + bar, 1.0)]
    ax.plot(ends, [at, at], color=colour, linewidth=2.0, zorder=3, gid="bar", solid_capstyle="butt")
    ax.plot([value], [at], marker, ms=5, color=colour, zorder=4, gid="share")


def _name(ax: Axes, labels: Sequence[str]) -> None:
    set_title(ax, "Coverage of intervals" + (f": {labels[0]}" if len(labels) == 1 else ""))
    notes = ["dashed line: what the intervals claim; bars: 95% Monte Carlo intervals"]
    add_note(ax, notes, width=70, label="share of replicates whose interval holds the truth")
    if len(labels) > 1:
        handles = [
            ax.plot([], [], marker, color=colour, label=label)[0]
            for (colour, marker), label in zip(LOOKS, labels, strict=False)
        ]
        ax.legend(
            handles=handles, fontsize=TEXT_SIZE, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0)
        )
