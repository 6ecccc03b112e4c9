"""What a reader of a posterior over graphs and dark figures asks for: frames, and remarks on what to beware of."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.count_posterior import CountPosterior, Mode
from hiddenpop.kernels.decomposable import GraphPosterior
from hiddenpop.kernels.graphs import DecomposableGraphs
from hiddenpop.result import Diagnostic

__all__ = ["diagnostics_of", "graph_frame", "link_frame", "modes_frame", "posterior_frame", "tail_details"]

SATURATED_WARNING = 0.5
LIMIT_WARNING = 0.01
SHOWN_QUANTILES, SHOWN_STEPS = 101, 100
WHOLE_RANGE = 400
"""A posterior on at most so many numbers is shown whole."""

CENTRE = (0.001, 0.995)


def modes_frame(modes: Sequence[Mode], n_observed: int) -> pd.DataFrame:
    """Modes of the posterior of N with their weights, by size.

    Examples
    --------
    >>> modes_frame([Mode(50.0, 0.7), Mode(20.0, 0.3)], 100).to_numpy().tolist()
    [[120.0, 0.3], [150.0, 0.7]]
    """
    rows = [
        (n_observed + mode.position, mode.weight) for mode in sorted(modes, key=lambda mode: mode.position)
    ]
    return pd.DataFrame(rows, columns=["location", "weight"])


def posterior_frame(missing: CountPosterior, n_observed: int, summits: tuple[Mode, ...]) -> pd.DataFrame:
    """Posterior of N at a few hundred numbers: evenly over the centre, at quantiles far out, and at the modes.

    Parameters
    ----------
    missing : CountPosterior
    n_observed : int
    summits : tuple of Mode

    Returns
    -------
    DataFrame
        ``n``, ``n_missing``, ``probability`` of exactly that number, and ``below``, the probability of it or less.
    """
    if missing.tail is None and len(missing.grid.starts) <= WHOLE_RANGE and missing.grid.is_single.all():
        numbers = missing.grid.starts
    else:
        found = missing.quantile([*np.linspace(0.0005, 0.9995, SHOWN_QUANTILES), *CENTRE])
        far, ends = found[:SHOWN_QUANTILES], found[SHOWN_QUANTILES:]
        centre = np.linspace(float(ends[0]), float(ends[1]), SHOWN_STEPS) if np.isfinite(far).all() else far
        numbers = np.unique(np.round(np.concatenate([far, centre, [mode.position for mode in summits]])))
        numbers = numbers[np.isfinite(numbers)]
    return pd.DataFrame(
        {
            "n": numbers + n_observed,
            "n_missing": numbers,
            "probability": missing.probability(numbers),
            "below": np.minimum(missing.below(numbers), 1.0),
        }
    )


def graph_frame(
    found: GraphPosterior, graphs: DecomposableGraphs, kept: Any, data: ListCounts
) -> pd.DataFrame:
    """Every graph with its posterior probability, the most probable first.

    Parameters
    ----------
    found : GraphPosterior
    graphs : DecomposableGraphs
    kept : ndarray of int64
        Positions in `graphs` of those that the prior allows, in the order of `found`.
    data : ListCounts

    Returns
    -------
    DataFrame
        ``graph`` and ``cliques`` in brackets and by names, the number of ``links``, ``probability``, and ``mean``, the
        mean of N under that graph (inf where it has none, nan where the prior rules the graph out).
    """
    probability, mean = np.zeros(len(graphs.links)), np.full(len(graphs.links), math.nan)
    probability[kept] = found.probabilities
    mean[kept] = data.n_observed + found.means
    order = np.argsort(-probability, kind="stable")
    named = ["*".join(data.lists[i] for i in bit_positions(mask)) for mask in range(len(data.counts))]
    return pd.DataFrame(
        {
            "graph": [graphs.notation(g) for g in order.tolist()],
            "cliques": [" + ".join(named[clique] for clique in graphs.cliques(g)) for g in order.tolist()],
            "links": graphs.n_links[order],
            "probability": probability[order],
            "mean": mean[order],
        }
    )


def link_frame(
    found: GraphPosterior, graphs: DecomposableGraphs, kept: Any, lists: tuple[str, ...]
) -> pd.DataFrame:
    """Probability that two lists are linked, 1 on the diagonal."""
    shares = found.probabilities @ graphs.linked[kept].astype(np.float64)
    links = np.eye(len(lists))
    for (i, j), share in zip(graphs.pairs, shares.tolist(), strict=True):
        links[i, j] = links[j, i] = share
    return pd.DataFrame(links, index=list(lists), columns=list(lists))


def tail_details(found: GraphPosterior, n_observed: int) -> dict[str, float] | None:
    """Where the closed form begins, and what lies beyond; None when the range or the prior ends the sum."""
    tail = found.missing.tail
    if tail is None:
        return None
    return {
        "beyond": n_observed + tail.start - 1.0,
        "mass": tail.mass,
        "exponent": float(found.exponents.min()),
    }


def diagnostics_of(
    data: ListCounts, delta: float, p_saturated: float, summits: tuple[Mode, ...], beyond_limit: float
) -> list[Diagnostic]:
    """Say what to beware of.

    Parameters
    ----------
    data : ListCounts
    delta : float
    p_saturated : float
        Posterior probability of the saturated graph.
    summits : tuple of Mode
    beyond_limit : float
        Share of the posterior without a limit that lies outside the range given; 0 without one.

    Returns
    -------
    list of Diagnostic
    """
    found = [*_no_overlap(data), *_saturated(data, delta, p_saturated)]
    if len(summits) > 1:
        n = data.n_observed
        listed = ", ".join(f"{n + mode.position:,.0f} ({mode.weight:.0%})" for mode in summits)
        message = f"the posterior has {len(summits)} modes: {listed}; read them beside the median"
        found.append(Diagnostic("several_modes", "warning", message, len(summits)))
    if beyond_limit > LIMIT_WARNING:
        message = (
            f"the range of dark figures cuts off {beyond_limit:.0%} of the posterior that the same priors give without "
            f"a limit; leave out n_missing and max_missing unless the range is knowledge of its own"
        )
        found.append(Diagnostic("limit_cuts", "warning", message, round(beyond_limit, 2)))
    return found


def _no_overlap(data: ListCounts) -> list[Diagnostic]:
    shared = np.bitwise_count(np.arange(len(data.counts))) > 1
    if data.counts[shared].any():
        return []
    message = (
        "nobody is on two lists: the data set the population no upper limit, and the prior alone sets one"
    )
    return [Diagnostic("no_overlap", "warning", message, 0)]


def _saturated(data: ListCounts, delta: float, p_saturated: float) -> list[Diagnostic]:
    if p_saturated <= SATURATED_WARNING:
        return []
    cells = len(data.counts)
    message = (
        f"the saturated graph, under which the data say nothing of the dark figure, holds {p_saturated:.0%} of the "
        f"posterior: the prior sets the answer"
    )
    if delta * cells > 1.0:
        message += (
            f", and delta={delta:g} is a prior of {delta * cells:g} persons spread evenly over {cells} cells, which "
            f"favours that graph; compare smaller ones with sweep_delta"
        )
    return [Diagnostic("saturated_graph", "warning", message, round(p_saturated, 2))]
