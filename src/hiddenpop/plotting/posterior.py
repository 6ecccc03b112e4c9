"""Chains of a posterior: their ranks and their way."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from hiddenpop._front_door import front_door
from hiddenpop._typing import Floats
from hiddenpop.bayes.inference_data import load_arviz
from hiddenpop.disclosure import THRESHOLD, is_small
from hiddenpop.errors import SettingError
from hiddenpop.plotting.literal_text import literal_text
from hiddenpop.plotting.style import (
    BLUE,
    EVEN_STEPS,
    GREEN,
    INK,
    LOG_RATIO,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    TEXT_SIZE,
    add_note,
    bare,
    new_axes,
    persons_text,
    round_ticks,
    set_title,
)
from hiddenpop.result import Estimate

__all__ = ["rank_plot", "trace_plot"]


COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
MOST_POINTS = 1000
"""Points of a chain that are drawn, evenly over its length."""


@literal_text
@front_door
def rank_plot(estimate: Estimate, ax: Axes | None = None) -> Axes:
    """Draw how the draws of each chain rank among all.

    Parameters
    ----------
    estimate : Estimate
        With several chains in `idata`.
    ax : Axes, optional
        To draw on.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If the estimate holds no chains.

    Notes
    -----
    When chains agree, each has as many draws in every part of the ranks, and its bars follow its dashed line. A chain
    that stays in one mode, or in one tail, has a slope, a gap or a hill.

    References
    ----------
    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021). Rank-normalization, folding, and
    localization: an improved R-hat for assessing convergence of MCMC. Bayesian Analysis 16(2), 667-718.
    doi:10.1214/20-BA1221

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from matplotlib.figure import Figure
    >>> from hiddenpop.bayes.thresholded import ThresholdedLogLinear
    >>> estimate = ThresholdedLogLinear(n_draws=200).fit(hp.datasets.load("korea"), rng=1)
    >>> rank_plot(estimate, ax=Figure().add_subplot()).get_ylabel()
    'chain'
    """
    drawn = _chains(estimate)
    ax = new_axes(ax, 7.0, 1.2 + 0.55 * max(len(drawn), 3))
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(drawn))]
    load_arviz().plot_rank(
        estimate.idata,
        var_names=["N"],
        kind="bars",
        colors=colours,
        labels=True,
        ax=ax,
        ref_line_kwargs={"color": INK, "linestyle": (0, (4, 3)), "linewidth": 1.0},
    )
    ax.set_title("")
    ax.set_yticks(ax.get_yticks(), [str(i + 1) for i in range(len(drawn))])
    ax.set_ylabel("chain", fontsize=TEXT_SIZE, color=INK)
    bare(ax, "bottom")
    ax.tick_params(axis="y", left=False)
    add_note(ax, [_figures(estimate)], width=80, label="rank of the draws of N among those of all chains")
    set_title(ax, f"{estimate.table.name}: do the chains of {estimate.estimator.name} agree?")
    return ax


@literal_text
@front_door
def trace_plot(estimate: Estimate, ax: Axes | None = None, *, protect: bool = False) -> Axes:
    """Draw the way of each chain.

    Parameters
    ----------
    estimate : Estimate
        With chains in `idata`.
    ax : Axes, optional
        To draw on.
    protect : bool
        Keep a number observed of 1 to 9 out of the figure. For files of tables that are not public.

    Returns
    -------
    Axes

    Raises
    ------
    SettingError
        If the estimate holds no chains.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from matplotlib.figure import Figure
    >>> from hiddenpop.bayes.thresholded import ThresholdedLogLinear
    >>> estimate = ThresholdedLogLinear(n_draws=200).fit(hp.datasets.load("korea"), rng=1)
    >>> len(trace_plot(estimate, ax=Figure().add_subplot()).lines)
    4
    """
    drawn = _chains(estimate)
    if protect and is_small(estimate.n_observed):
        drawn = np.maximum(drawn, THRESHOLD)
    ax = new_axes(ax, 7.0, 3.6)
    step = max(drawn.shape[1] // MOST_POINTS, 1)
    at = np.arange(0, drawn.shape[1], step)
    for i, chain in enumerate(drawn):
        colour = COLOURS[i % len(COLOURS)]
        ax.plot(at + 1, chain[at], color=colour, linewidth=0.7, alpha=0.8, label=f"{i + 1}", gid="chain")
    _persons_upwards(ax, drawn[:, at])
    ax.set_xlim(0, drawn.shape[1] + 1)
    ax.set_ylabel("N", fontsize=TEXT_SIZE, color=INK)
    ax.legend(title="chain", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=TEXT_SIZE)
    bare(ax, "bottom", "left")
    every = [f"every {step}th draw is shown"] if step > 1 else []
    add_note(ax, [_figures(estimate), *every], width=80, label="draw")
    set_title(ax, f"{estimate.table.name}: the chains of {estimate.estimator.name}")
    return ax


def _chains(estimate: Estimate) -> Floats:
    idata: Any = estimate.idata
    if idata is None or "N" not in idata.posterior:
        raise SettingError(f"{estimate.estimator.name} on {estimate.table.name} holds no chains to draw")
    drawn: Floats = np.asarray(idata.posterior["N"].to_numpy(), dtype=np.float64)
    return drawn


def _figures(estimate: Estimate) -> str:
    measured = estimate.convergence
    if not measured:
        return "no measure of convergence is held"
    return (
        f"R-hat {measured['rhat']:.3f}; {measured['ess_bulk']:,.0f} effective draws for the centre, "
        f"{measured['ess_tail']:,.0f} for the limits"
    )


def _persons_upwards(ax: Axes, drawn: Floats) -> None:
    """Write the vertical axis in persons, on a log scale where the draws go far apart."""
    low, high = float(drawn.min()), float(drawn.max())
    if high > LOG_RATIO * low:
        ax.set_yscale("log")
        ax.set_yticks(round_ticks(low, high))
        ax.minorticks_off()
    else:
        ax.locator_params(axis="y", nbins=5, steps=EVEN_STEPS)
    ax.yaxis.set_major_formatter(FuncFormatter(persons_text))
