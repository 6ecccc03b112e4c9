"""Draws as ArviZ holds them, and ArviZ and PyMC themselves without a notice."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

__all__ = ["inference_data", "load_arviz", "load_pymc"]

REFACTOR_NOTICE = r"\s*ArviZ is undergoing a major refactor"

Draws = Mapping[str, npt.NDArray[Any]]


def load_arviz() -> Any:
    """Import ArviZ, which is slow to load and announces its next version once a day.

    Returns
    -------
    module

    Examples
    --------
    >>> load_arviz().__name__
    'arviz'
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=REFACTOR_NOTICE, category=FutureWarning)
        import arviz
    return arviz


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
