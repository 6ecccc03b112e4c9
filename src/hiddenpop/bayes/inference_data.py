"""Draws as ArviZ holds them."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["inference_data"]

REFACTOR_NOTICE = r"\s*ArviZ is undergoing a major refactor"


def inference_data(draws: Mapping[str, npt.NDArray[np.float64]]) -> Any:
    """Put posterior draws into an ArviZ ``InferenceData``, without the time at which that was done.

    Parameters
    ----------
    draws : mapping of str to ndarray, shape (chains, draws, ...)

    Returns
    -------
    arviz.InferenceData

    Examples
    --------
    >>> inference_data({"N": np.ones((1, 3))}).posterior["N"].shape
    (1, 3)
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=REFACTOR_NOTICE, category=FutureWarning)
        import arviz
    data = arviz.from_dict(posterior=dict(draws))
    for group in data.groups():
        data[group].attrs.pop("created_at", None)
    return data
