"""Relative error of the estimates of a study against the smallest overlap of the lists."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from hiddenpop._front_door import front_door
from hiddenpop.plotting.coverage import LOOKS, chosen_labels
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import GREY, INK, TEXT_SIZE, add_note, bare, new_axes, persons_axis, set_title
from hiddenpop.validation import Study

__all__ = ["error_overlap_plot"]

TOP = 3.0
"""Relative errors beyond this are arrows at the edge."""

LEAST = 0.5
"""Smaller overlaps stand here: the axis is logarithmic."""

MIDDLE = (0.05, 0.5, 0.95)


@literal_text
@front_door
def error_overlap_plot(
    study: Study, ax: Axes | None = None, *, estimators: Sequence[str] | None = None
) -> Axes:
    """Draw the relative error of estimates against the smallest expected number of persons on two lists.

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

    Notes
    -----
    A point is the median over the replicates with an answer, infinite ones included, a bar holds the middle 90 %.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from hiddenpop.validation import study
    >>> result = study(["chapman"], ["independent-two"], n_rep=20, rng=1)
    >>> ax = error_overlap_plot(result, ax=Figure().add_subplot())
    >>> ax.get_title(loc="left")
    'Error of estimates: chapman'
    """
    labels = chosen_labels(study, estimators)
    overlaps = study.scenarios.set_index("scenario")["smallest_overlap"]
    ax = new_axes(ax, 8.2, 5.2)
    for place, label in enumerate(labels):
        rows = study.replicates[study.replicates["estimator"] == label]
        for scenario, group in rows.groupby("scenario", sort=False):
            errors = (group["n_hat"] / group["truth"] - 1.0).dropna().to_numpy()
            shift = 1.05 ** (place - (len(labels) - 1) / 2)
            _draw_errors(ax, max(float(overlaps[str(scenario)]), LEAST) * shift, errors, LOOKS[place])
    ax.axhline(0.0, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1, gid="no error")
    low, high = max(float(overlaps.min()), LEAST), max(float(overlaps.max()), 1.0)
    persons_axis(ax, low / 1.3, high * 1.3, log=True)
    ax.set_ylim(-1.05, TOP * 1.03)
    bare(ax, "bottom", "left")
    _name(ax, labels)
    return ax


def _draw_errors(ax: Axes, x: float, errors: npt.NDArray[np.float64], look: tuple[str, str]) -> None:
    if not len(errors):
        return
    colour, marker = look
    low, middle, high = np.quantile(errors, MIDDLE, method="nearest")
    ax.plot(
        [x, x], [min(low, TOP), min(high, TOP)], color=colour, linewidth=1.6, alpha=0.7, zorder=3, gid="range"
    )
    if middle <= TOP:
        ax.plot([x], [middle], marker, ms=5, color=colour, zorder=4, gid="median")
    if high > TOP:
        ax.plot([x], [TOP], "^", ms=6, mfc="white", mec=colour, zorder=4, clip_on=False, gid="arrow")


def _name(ax: Axes, labels: Sequence[str]) -> None:
    set_title(ax, "Error of estimates" + (f": {labels[0]}" if len(labels) == 1 else ""))
    notes = [
        f"median and middle 90% of replicates; arrow: an error above {TOP:g}; overlaps below 0.5 stand at 0.5"
    ]
    add_note(ax, notes, width=70, label="smallest expected number of persons on two lists, log scale")
    ax.set_ylabel("estimate / truth - 1", fontsize=TEXT_SIZE, color=INK)
    ax.grid(axis="y", color=GREY, alpha=0.15)
    if len(labels) > 1:
        handles = [
            ax.plot([], [], marker, color=colour, label=label)[0]
            for (colour, marker), label in zip(LOOKS, labels, strict=False)
        ]
        ax.legend(handles=handles, fontsize=TEXT_SIZE, frameon=False, loc="upper right")
