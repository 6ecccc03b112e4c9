"""What ArviZ is told of cells: how likely each count was, and counts drawn again."""

from typing import Any

import numpy as np
from scipy.special import gammaln, xlogy

from hiddenpop._typing import Floats
from hiddenpop.kernels.poisson_draws import draw_poisson

__all__ = ["CELL_SHARES", "MOST_VALUES", "cell_groups", "shares_of_seen"]


CELL_SHARES = "cell_shares"
"""Name among the draws of a posterior: of each history 1, 2, ..., its share among the observed."""

MOST_VALUES = 5_000_000
"""Cells times draws, 40 MB an array: more than that is not kept with an estimate."""


def cell_groups(mean: Floats, seen: Floats, rng: np.random.Generator) -> dict[str, Any]:
    """Log likelihood and replicates of each observable cell, with what was observed, as groups of ArviZ.

    Parameters
    ----------
    mean : ndarray, shape (chains, draws, cells)
        Expected persons.
    seen : ndarray, shape (cells,)
        Persons observed.
    rng : Generator

    Returns
    -------
    dict
        ``log_likelihood``, ``posterior_predictive`` and ``observed_data``, each with the variable ``cells``.

    Examples
    --------
    >>> groups = cell_groups(np.full((1, 2, 3), 4.0), np.array([4.0, 0.0, 3.0]), np.random.default_rng(1))
    >>> groups["posterior_predictive"]["cells"].shape
    (1, 2, 3)
    """
    likelihood = xlogy(seen, mean) - mean - gammaln(seen + 1.0)
    return {
        "log_likelihood": {"cells": likelihood},
        "posterior_predictive": {"cells": draw_poisson(mean, rng)},
        "observed_data": {"cells": seen},
    }


def shares_of_seen(mean: Floats) -> Floats:
    """Shares among the observed, from expected persons or probabilities of the observable cells.

    Parameters
    ----------
    mean : ndarray, shape (..., cells)

    Returns
    -------
    ndarray, shape (..., cells)
        They add up to 1: given that a person is observed, not over the whole population.

    Examples
    --------
    >>> shares_of_seen(np.array([1.0, 2.0, 1.0])).tolist()
    [0.25, 0.5, 0.25]
    """
    return np.asarray(mean / mean.sum(axis=-1, keepdims=True))
