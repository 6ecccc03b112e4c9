"""Draws as ArviZ holds them, and ArviZ and PyMC themselves without a notice."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, xlogy

from hiddenpop._typing import Floats
from hiddenpop.extras import load_arviz
from hiddenpop.kernels.resampling.counts import draw_poisson

__all__ = [
    "CELL_SHARES",
    "MOST_VALUES",
    "cell_groups",
    "inference_data",
    "load_arviz",
    "load_pymc",
    "shares_of_seen",
]


Draws = Mapping[str, npt.NDArray[Any]]

CELL_SHARES = "cell_shares"
"""Name among the draws of a posterior: of each history 1, 2, ..., its share among the observed."""

MOST_VALUES = 5_000_000
"""Cells times draws, 40 MB an array: more than that is not kept with an estimate."""


def load_pymc() -> Any:
    """Import PyMC, which imports ArviZ.

    Returns
    -------
    module

    Examples
    --------
    >>> load_pymc().__name__
    'pymc'
    """
    load_arviz()
    import pymc

    return pymc


def inference_data(
    draws: Draws,
    *,
    groups: Mapping[str, Draws] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, Sequence[Any]] | None = None,
) -> Any:
    """Put posterior draws into an ArviZ ``InferenceData``, without the time at which that was done.

    Parameters
    ----------
    draws : mapping of str to ndarray, shape (chains, draws, ...)
    groups : mapping of str to mapping, optional
        Other groups by their ArviZ names: ``"log_likelihood"`` (one variable, an element a cell), ``"log_prior"`` (one
        variable a part of the prior), ``"posterior_predictive"``, ``"prior"``, ``"observed_data"``.
    dims : mapping of str to sequence of str, optional
        Names of the dimensions after chain and draw, by variable.
    coords : mapping of str to sequence, optional
        Labels along named dimensions.

    Returns
    -------
    arviz.InferenceData

    Examples
    --------
    >>> import numpy as np
    >>> inference_data({"N": np.ones((1, 3))}).posterior["N"].shape
    (1, 3)
    >>> data = inference_data({"N": np.ones((1, 3))}, groups={"log_prior": {"theta": np.zeros((1, 3))}})
    >>> data.groups()
    ['posterior', 'log_prior']
    """
    arviz, labels = load_arviz(), {"dims": _plain(dims), "coords": _plain(coords)}
    others = {group: dict(held) for group, held in (groups or {}).items()}
    log_prior = others.pop("log_prior", None)  # from_dict passes over this group in silence
    if others:
        data = arviz.from_dict(posterior=dict(draws), **others, **labels)
    else:  # the same in half the time
        data = arviz.InferenceData(posterior=arviz.dict_to_dataset(dict(draws), **labels))
    if log_prior is not None:
        data.add_groups({"log_prior": arviz.dict_to_dataset(log_prior, **labels)})
    for group in data.groups():
        data[group].attrs.pop("created_at", None)
    return data


def _plain(named: Mapping[str, Sequence[Any]] | None) -> dict[str, list[Any]] | None:
    return None if named is None else {name: list(values) for name, values in named.items()}


# === what ArviZ is told of cells: how likely each count was, and counts drawn again ===================================


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
