"""The figure of a check, by the kind that the check names."""

import textwrap
from collections.abc import Callable

from matplotlib.axes import Axes

from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError
from hiddenpop.plotting.check_band import draw_band
from hiddenpop.plotting.check_contour import draw_contour
from hiddenpop.plotting.check_curve import draw_curve
from hiddenpop.plotting.check_forest import draw_forest, forest_height
from hiddenpop.plotting.check_parts import WITHHELD, Drawing, drawing_of
from hiddenpop.plotting.check_specification import draw_specification, specification_rows
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import INK, TEXT_SIZE, new_axes, set_title
from hiddenpop.sensitivity.protocol import CheckResult

__all__ = ["check_plot", "draw_check"]

DRAW: dict[str, Callable[[Axes, Drawing], None]] = {
    "curve": draw_curve,
    "contour": draw_contour,
    "forest": draw_forest,
    "specification": draw_specification,
    "band": draw_band,
}
WIDTH, HEIGHT = 8.2, 4.6


@literal_text
@front_door
def check_plot(result: CheckResult, ax: Axes | None = None, *, protect: bool = False) -> Axes:
    """Draw what a check found.

    Parameters
    ----------
    result : CheckResult
        Its ``figure`` says how: a curve, a contour, a forest, a specification curve or a band.
    ax : Axes, optional
        To draw on.
    protect : bool
        Draw only what may leave, sizes to three significant digits. For files of tables that are not public.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If the kind of the figure is not known.

    Notes
    -----
    The estimate is a thin line in the light band of its interval. Dashed lines are the ends of the claim, a diamond is
    where a line passes one. A point without a number is a gap, marked and counted under the axis; a limit beyond the
    axis is an arrow. A check that does not apply is a sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from hiddenpop.result import EstimatorSpec
    >>> from hiddenpop.table import TableSummary
    >>> points = pd.DataFrame({"odds_ratio": [0.5, 1.0, 2.0], "n_hat": [80.0, 100.0, 140.0], "low": [70.0, 90.0, 120.0],
    ...     "high": [95.0, 120.0, 170.0], "status": "ok", "reason": ""})
    >>> made_up = CheckResult(name="made_up", passed=False, table=points, text="N runs from 80 to 140.",
    ...     figure={"kind": "curve", "title": "made up", "x": "odds_ratio", "log_x": True, "neutral": 1.0,
    ...         "baseline": {"n_hat": 100.0, "low": 90.0, "high": 120.0},
    ...         "claim": {"low": None, "high": 120.0, "text": "at most 120"}},
    ...     estimator=EstimatorSpec("made up", {}), data=TableSummary("made up", "", ("a", "b"), True), n_points=3)
    >>> ax = check_plot(made_up, ax=Figure().add_subplot())
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['1/2', '2/3', '0.8', '1', '1.25', '1.5', '2']
    """
    drawing = drawing_of(result, protect=protect, small=False)
    ax = new_axes(ax, WIDTH, _height(result, drawing))
    draw_check(ax, result, drawing, protect=protect)
    claim_above = drawing.figure["kind"] == "forest" and drawing.words and not drawing.figure.get("truth")
    set_title(ax, _title(result), pad=18.0 if claim_above else 6.0)
    return ax


def draw_check(ax: Axes, result: CheckResult, drawing: Drawing, *, protect: bool) -> None:
    """Draw a check without its title."""
    kind = str(drawing.figure["kind"])
    hidden = protect and not result.data.public and _needs_protected(result)
    if kind == "nothing" or hidden or drawing.frame.empty:
        _write(ax, WITHHELD if hidden else result.text, small=drawing.small)
        return
    if kind not in DRAW:
        raise SettingError(f"figure kind {kind!r} is not known; choose one of {', '.join(DRAW)}, nothing")
    DRAW[kind](ax, drawing)


def _needs_protected(result: CheckResult) -> bool:
    """Tell whether the figure stands on a column that may not leave."""
    figure = result.figure
    named = {figure.get(key) for key in ("x", "y", "label", "truth", "series")}
    named |= {name for key in ("bounds", "limits", "choices") for name in figure.get(key) or ()}
    return bool(({"n_hat"} | named) & set(result.protected))


def _title(result: CheckResult) -> str:
    """Give the title of the figure, with the name of the table in front where it is not in it."""
    title = str(result.figure.get("title") or result.name.replace("_", " "))
    return title if result.data.name in title else f"{result.data.name}: {title}"


def _height(result: CheckResult, drawing: Drawing) -> float:
    """Give a height in inches that fits the rows."""
    if drawing.figure["kind"] == "forest":
        return forest_height(drawing)
    if drawing.figure["kind"] == "specification":
        return HEIGHT + 0.19 * specification_rows(drawing)
    return 1.6 if drawing.figure["kind"] == "nothing" else HEIGHT


def _write(ax: Axes, text: str, *, small: bool) -> None:
    """Write a sentence in the place of a figure."""
    ax.set_axis_off()
    shown = textwrap.fill(text, 44 if small else 96)
    ax.text(0.0, 1.0, shown, transform=ax.transAxes, va="top", fontsize=TEXT_SIZE, color=INK, gid="text")
