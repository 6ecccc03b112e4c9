"""One page of figures: every check in a small panel, with its name and its verdict."""

import math
import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure

from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError
from hiddenpop.plotting.check import draw_check
from hiddenpop.plotting.check_parts import drawing_of
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import GREEN, GREY, INK, NOTE_SIZE, RED, TEXT_SIZE, TITLE_SIZE
from hiddenpop.sensitivity.protocol import CheckResult

__all__ = ["check_page", "page_size"]

COLUMNS = 3
WIDTH, PANEL_HEIGHT, HEAD, LINE = 11.4, 3.1, 0.5, 0.17
FOOT_WIDTH, TITLE_WIDTH = 150, 40
COLOURS = {"holds": GREEN, "fails": RED, "no verdict": GREY}


@literal_text
@front_door
def check_page(
    results: Sequence[CheckResult],
    figure: Figure | None = None,
    *,
    title: str = "",
    protect: bool = False,
) -> Figure:
    """Draw checks in small panels on one page.

    Parameters
    ----------
    results : sequence of CheckResult
        In the order of the panels. Those that do not apply have no panel and are named at the foot, with the reason.
    figure : Figure, optional
        To draw on, for instance one with ``layout="constrained"``; by default one of a fitting size is made.
    title : str
        By default the table and the estimator of the first check.
    protect : bool
        Draw only what may leave, sizes to three significant digits. For files of tables that are not public.

    Returns
    -------
    Figure

    Raises
    ------
    SettingError
        If there are no results.

    Notes
    -----
    Each panel is what `check_plot` draws, with fewer words. Its title is the name of the check and its verdict.

    Examples
    --------
    >>> import pandas as pd
    >>> from hiddenpop.result import EstimatorSpec
    >>> from hiddenpop.table import TableSummary
    >>> made_up = CheckResult(name="prior_sensitivity", passed=None, table=pd.DataFrame(), text="Has no prior.",
    ...     figure={"kind": "nothing"}, estimator=EstimatorSpec("chapman", {}),
    ...     data=TableSummary("made up", "", ("a", "b"), True))
    >>> page = check_page([made_up], figure=Figure(layout="constrained"))
    >>> page.get_suptitle()
    'made up: sensitivity of chapman'
    """
    listed = list(results)
    if not listed:
        raise SettingError("there are no checks to draw; give at least one result")
    drawn = [result for result in listed if result.figure["kind"] != "nothing"]
    foot = _foot([result for result in listed if result.figure["kind"] == "nothing"], protect)
    n_rows = math.ceil(len(drawn) / COLUMNS)
    figure = _new_figure(page_size(listed)) if figure is None else figure
    if drawn:
        axes = figure.subplots(n_rows, min(COLUMNS, len(drawn)), squeeze=False).ravel()
        for result, ax in zip(drawn, axes, strict=False):
            draw_check(ax, result, drawing_of(result, protect=protect, small=True), protect=protect)
            shown = textwrap.fill(f"{_words(result.name)}: {result.verdict}", TITLE_WIDTH)
            ax.set_title(shown, loc="left", fontsize=TEXT_SIZE, color=COLOURS[result.verdict], weight="bold")
        for ax in axes[len(drawn) :]:
            ax.set_axis_off()
    first = listed[0]
    shown = title or f"{first.data.name}: sensitivity of {first.estimator.label}"
    figure.suptitle(textwrap.fill(shown, 110), x=0.01, ha="left", fontsize=TITLE_SIZE, color=INK)
    if foot:
        figure.supxlabel(foot, x=0.01, ha="left", fontsize=NOTE_SIZE, color=INK)
    return figure


def _words(name: str) -> str:
    text = name.replace("_", " ")
    return f"{text[:1].upper()}{text[1:]}"


def _foot(left_out: Sequence[CheckResult], protect: bool) -> str:
    """Name the checks without a panel, with their reasons."""
    reasons = [
        f"{_words(result.name)}: {(result.words_to_leave() if protect else result.text).rstrip('.')}"
        for result in left_out
    ]
    return textwrap.fill(". ".join(reasons) + ".", FOOT_WIDTH) if reasons else ""


def page_size(results: Sequence[CheckResult]) -> tuple[float, float]:
    """Give width and height in inches of a page that these checks fill."""
    foot = [result for result in results if result.figure["kind"] == "nothing"]
    n_rows = math.ceil((len(results) - len(foot)) / COLUMNS)
    return WIDTH, HEAD + PANEL_HEIGHT * n_rows + LINE * (_foot(foot, protect=False).count("\n") + 2)


def _new_figure(size: tuple[float, float]) -> Figure:
    from matplotlib import pyplot as plt

    return plt.figure(figsize=size, layout="constrained")
