"""Priors of the population size and of the graph, as settings and as numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.errors import ModelError, SettingError
from hiddenpop.estimators.protocol import as_number
from hiddenpop.kernels.bayes.graphs import DecomposableGraphs, SizePrior
from hiddenpop.model import HierarchicalModel

__all__ = [
    "DEFAULT_DELTA",
    "GraphPrior",
    "Prior",
    "check_between",
    "check_delta",
    "check_graph_prior",
    "check_log_prior",
    "check_prior",
    "check_range",
    "log_graph_prior",
    "odds_ratio_of_sd",
    "sd_of_odds_ratio",
    "size_gamma",
    "size_prior",
]


Prior = str | tuple[str, float, float]
GraphPrior = tuple[tuple[str, float], ...] | tuple[float, ...]

DEFAULT_DELTA = "2^-K"
SMALLEST_DELTA, LARGEST_DELTA = 1e-9, 1e6
"""Outside, the posterior is the prior: no upper limit that a computer can hold, or every cell alike."""

SMALLEST_MEAN, LARGEST_MEAN = 1e-9, 1e15
SMALLEST_SHAPE, LARGEST_SHAPE = 1e-9, 1e9
"""Outside, the prior of N is not a distribution that a computer can sum: all of it on 0, a Poisson law, or no limit."""

LARGEST_MISSING = 2**53 - 1
"""A larger whole number and the next one are not both floating numbers."""

NAMED = {"reciprocal": SizePrior(1.0, 1.0, 0.0), "uniform": SizePrior(0.0, 1.0, 0.0)}
NEGATIVE_BINOMIAL = "negative_binomial"
NORMAL_95 = 1.959963984540054
NAMED_GAMMAS = {"reciprocal": (0.0, 0.0), "uniform": (1.0, 0.0)}
PRIOR_HELP = '"reciprocal", "uniform" or ("negative_binomial", mean, shape), both numbers above 0'


def check_delta(delta: Any) -> float | str:
    """Refuse a prior count that is neither ``"2^-K"`` nor a positive number."""
    return check_count("delta", delta, SMALLEST_DELTA, LARGEST_DELTA, DEFAULT_DELTA)


def check_count(setting: str, count: Any, least: float, most: float, word: str) -> float | str:
    """Refuse a prior count of a cell that is neither a number within its limits nor the word for one person in all."""
    if isinstance(count, str) and count == word:
        return count
    checked = as_number(count)
    if not least <= checked <= most:
        raise SettingError(
            f"{setting}={count!r} must be a number from {least:g} to {most:g}, the prior persons of a cell, or "
            f'"{word}" for one person over all cells'
        )
    return checked


def check_between(setting: str, value: Any, *, above: float, at_most: float) -> float:
    """Refuse what is not a number above a limit and at most another."""
    checked = as_number(value)
    if not above < checked <= at_most:
        raise SettingError(f"{setting}={value!r} must be a number above {above:g} and at most {at_most:g}")
    return checked


def check_prior(prior: Any) -> Prior:
    """Refuse what is not a prior of the population size."""
    if isinstance(prior, str) and prior in NAMED:
        return prior
    if isinstance(prior, tuple | list) and len(prior) == 3 and prior[0] == NEGATIVE_BINOMIAL:
        mean, shape = as_number(prior[1]), as_number(prior[2])
        if 0.0 < mean < math.inf and 0.0 < shape < math.inf:
            _check_negative_binomial(mean, shape)
            return NEGATIVE_BINOMIAL, mean, shape
    raise SettingError(f"prior={prior!r} is not one of {PRIOR_HELP}")


def _check_negative_binomial(mean: float, shape: float) -> None:
    if not (SMALLEST_MEAN <= mean <= LARGEST_MEAN and SMALLEST_SHAPE <= shape <= LARGEST_SHAPE):
        raise SettingError(
            f"prior=({NEGATIVE_BINOMIAL!r}, {mean:g}, {shape:g}) must have a mean from {SMALLEST_MEAN:g} to "
            f"{LARGEST_MEAN:g} and a shape from {SMALLEST_SHAPE:g} to {LARGEST_SHAPE:g}"
        )


def size_prior(prior: Prior) -> SizePrior:
    """Turn the setting into the form that the sum works on.

    Examples
    --------
    >>> size_prior("reciprocal").power
    1.0
    """
    if isinstance(prior, str):
        return NAMED[prior]
    _, mean, shape = prior
    return SizePrior(power=0.0, shape=shape, rate=math.log1p(shape / mean))


def size_gamma(prior: Prior) -> tuple[float, float]:
    """Shape and rate of the gamma prior of the expected population size; 0 and 0 for the prior 1/N.

    Parameters
    ----------
    prior : {"reciprocal", "uniform"} or ("negative_binomial", mean, shape)

    Returns
    -------
    (float, float)

    Examples
    --------
    >>> size_gamma("reciprocal"), size_gamma(("negative_binomial", 1000.0, 2.0))
    ((0.0, 0.0), (2.0, 0.002))
    """
    if isinstance(prior, str):
        return NAMED_GAMMAS[prior]
    _, mean, shape = prior
    return shape, shape / mean


def sd_of_odds_ratio(odds_ratio: float) -> float:
    """Give the standard deviation of a normal log odds ratio that lies within a factor with probability 95 %.

    Examples
    --------
    >>> round(sd_of_odds_ratio(10.0), 3)
    1.175
    """
    return math.log(odds_ratio) / NORMAL_95


def odds_ratio_of_sd(sd: float) -> float:
    """Give the factor that 95 % of odds ratios lie within, from the standard deviation of their logarithms.

    Examples
    --------
    >>> round(odds_ratio_of_sd(sd_of_odds_ratio(10.0)), 9)
    10.0
    """
    return math.exp(NORMAL_95 * sd)


def check_range(n_missing: Any, max_missing: Any) -> tuple[int, int] | None:
    """Read the range of dark figures from its two settings; None when there is no upper limit.

    Examples
    --------
    >>> check_range(range(1, 301), None), check_range(None, 5000), check_range(None, None)
    ((1, 300), (0, 5000), None)
    """
    if n_missing is not None and max_missing is not None:
        raise SettingError("give either n_missing or max_missing, not both")
    if max_missing is not None:
        if not _is_whole(max_missing):
            raise SettingError(f"max_missing={max_missing!r} must be a whole number of at least 0")
        _check_largest("max_missing", int(max_missing))
        return 0, int(max_missing)
    if n_missing is None:
        return None
    ends = _ends(n_missing)
    if ends is None or not ends[0] <= ends[1]:
        raise SettingError(
            f"n_missing={n_missing!r} must be a range of step 1, e.g. range(0, 5001), or its first and last number, "
            f"e.g. (0, 5000)"
        )
    _check_largest("n_missing", ends[1])
    return ends


def _check_largest(setting: str, last: int) -> None:
    if last > LARGEST_MISSING:
        raise SettingError(
            f"{setting} goes to {float(last):.3g}, and a computer counts to {LARGEST_MISSING:.3g} only; leave it out "
            f"for a sum to infinity"
        )


def _ends(n_missing: Any) -> tuple[int, int] | None:
    if isinstance(n_missing, range):
        n_missing = (n_missing.start, n_missing.stop - 1) if n_missing.step == 1 else ()
    if not isinstance(n_missing, tuple | list) or len(n_missing) != 2 or not all(map(_is_whole, n_missing)):
        return None
    return int(n_missing[0]), int(n_missing[1])


def check_log_prior(
    log_prior: Any, prior: Prior, limits: tuple[int, int] | None
) -> tuple[float | None, ...] | None:
    """Refuse log prior weights that do not fit the range; minus infinity is written None."""
    if log_prior is None:
        return None
    if limits is None or prior != "reciprocal":
        raise SettingError(
            "log_prior takes the place of prior and needs n_missing, the dark figures it stands for"
        )
    numbers = tuple(
        -math.inf if x is None else as_number(x) for x in np.asarray(log_prior, dtype=object).tolist()
    )
    expected = limits[1] - limits[0] + 1
    if len(numbers) != expected:
        raise SettingError(
            f"log_prior has {len(numbers):,} values and the range from {limits[0]:,} to {limits[1]:,} has {expected:,}"
        )
    if any(math.isnan(x) or x == math.inf for x in numbers) or max(numbers) == -math.inf:
        raise SettingError(
            "log_prior must hold numbers, minus infinity for what is impossible, and not that alone"
        )
    return tuple(None if x == -math.inf else x for x in numbers)


def check_graph_prior(graph_prior: Any) -> GraphPrior | None:
    """Refuse weights of graphs that are not positive numbers or 0, and write a mapping as pairs."""
    if graph_prior is None:
        return None
    if isinstance(graph_prior, Mapping):
        graph_prior = tuple(graph_prior.items())
    entries = tuple(graph_prior) if isinstance(graph_prior, Sequence | np.ndarray) else ()
    if entries and all(isinstance(entry, tuple | list) and len(entry) == 2 for entry in entries):
        pairs = tuple((str(name), as_number(weight)) for name, weight in entries)
        weights: tuple[float, ...] = tuple(weight for _, weight in pairs)
        result: GraphPrior = pairs
    else:
        result = weights = tuple(as_number(weight) for weight in entries)
    if not weights or not all(0.0 <= weight < math.inf for weight in weights) or not any(weights):
        raise SettingError(
            "graph_prior must give weights of at least 0, not all 0: a mapping such as {'[12,3]': 2.0, '[13,2]': 1.0} "
            "(graphs that are not named get 0), or one number a graph in the order of the enumeration"
        )
    return result


def log_graph_prior(
    setting: GraphPrior | None, link_weight: float, graphs: DecomposableGraphs, lists: tuple[str, ...]
) -> Floats:
    """Log prior weight of each graph, minus infinity for one that is ruled out.

    Parameters
    ----------
    setting : tuple or None
        As `check_graph_prior` leaves it.
    link_weight : float
        Factor for each link.
    graphs : DecomposableGraphs
    lists : tuple of str

    Returns
    -------
    ndarray, shape (g,)

    Raises
    ------
    SettingError
        For a number of weights that is not that of the graphs, or a model that is not a decomposable graph.
    """
    weights = np.ones(len(graphs.links)) if setting is None else _weights(setting, graphs, lists)
    with np.errstate(divide="ignore"):
        result: Floats = np.log(weights) + graphs.n_links * math.log(link_weight)
    return result


def _weights(setting: GraphPrior, graphs: DecomposableGraphs, lists: tuple[str, ...]) -> Floats:
    if not isinstance(setting[0], tuple):
        if len(setting) != len(graphs.links):
            raise SettingError(
                f"graph_prior has {len(setting):,} weights, and {len(lists)} lists have {len(graphs.links):,} "
                f"decomposable graphs"
            )
        return np.array(setting, dtype=np.float64)
    known = {graphs.cliques(g): g for g in range(len(graphs.links))}
    weights = np.zeros(len(graphs.links))
    for name, weight in setting:
        weights[_position(name, known, lists)] = weight
    if not weights.any():
        raise SettingError("graph_prior gives every graph the weight 0")
    return weights


def _position(name: str, known: dict[tuple[int, ...], int], lists: tuple[str, ...]) -> int:
    try:
        generators = HierarchicalModel.parse(name, lists=lists).generators
    except ModelError as error:
        raise SettingError(f"graph_prior: {error}") from error
    if generators not in known:
        raise SettingError(
            f"graph_prior names {name!r}, which is not the set of cliques of a decomposable graph, e.g. '[12,3]'"
        )
    return known[generators]


def _is_whole(value: Any) -> bool:
    count = as_number(value)
    return 0.0 <= count < math.inf and count == int(count)
