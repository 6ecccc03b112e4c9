"""Where true sizes lie in their posteriors."""

from matplotlib.axes import Axes

from hiddenpop._front_door import front_door
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import BLUE, GREY, INK, PALE, TEXT_SIZE, add_note, bare, new_axes, set_title
from hiddenpop.validation import Calibration

__all__ = ["calibration_plot"]


@literal_text
@front_door
def calibration_plot(calibration: Calibration, ax: Axes | None = None) -> Axes:
    """Draw a rank histogram with the band that a right posterior stays inside.

    Parameters
    ----------
    calibration : Calibration
    ax : Axes, optional
        To draw on.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> even = Calibration(positions=(np.arange(100) + 0.5) / 100, label="made up")
    >>> calibration_plot(even, ax=Figure().add_subplot()).get_title(loc="left")
    'Where the truth lies in its posterior: made up'
    """
    ax = new_axes(ax, 6.0, 3.2)
    bars = calibration.histogram()
    middle = len(calibration.positions) / len(bars)
    low, high = bars["low"].iloc[0], bars["high"].iloc[0]
    ax.axhspan(low, high, color=PALE, linewidth=0, zorder=0)
    ax.hlines([low, high], 0.0, 1.0, color=GREY, linewidth=1.0, zorder=3)
    ax.set_ylim(0.0, 1.08 * max(high, bars["count"].max()))
    ax.axhline(middle, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=3)
    ax.bar(
        bars["start"],
        bars["count"],
        width=1.0 / len(bars),
        align="edge",
        color=BLUE,
        edgecolor="white",
        zorder=2,
    )
    ax.set_xlim(0.0, 1.0)
    ax.set_ylabel("populations", fontsize=TEXT_SIZE, color=GREY)
    bare(ax, "bottom", "left")
    inside = "inside" if calibration.calibrated else "outside"
    note = f"{len(calibration.positions)} populations drawn from the prior: {inside} the 99 % bands"
    add_note(ax, [note], width=90, label="share of the posterior below the true size")
    set_title(ax, f"Where the truth lies in its posterior: {calibration.label}".rstrip(": "))
    return ax
