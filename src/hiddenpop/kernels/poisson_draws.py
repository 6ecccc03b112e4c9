"""Poisson counts of any mean."""

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Floats

__all__ = ["draw_poisson"]


LARGEST_EXACT = 1e15
"""Beyond, a count is rounded from a normal: whole numbers stand no closer in a double."""

LARGEST_SIZE = 1e300


def draw_poisson(mean: npt.ArrayLike, rng: np.random.Generator) -> Floats:
    """Draw Poisson counts, also of means that no integer can hold.

    Parameters
    ----------
    mean : array_like
    rng : Generator

    Returns
    -------
    ndarray
        Of the shape of `mean`.

    Examples
    --------
    >>> [f"{count:.2g}" for count in draw_poisson([0.0, 1e200], np.random.default_rng(1))]
    ['0', '1e+200']
    """
    expected = np.asarray(mean, dtype=np.float64)
    large = expected > LARGEST_EXACT
    drawn: Floats = np.array(rng.poisson(np.where(large, 0.0, expected)), dtype=np.float64)
    normal = rng.standard_normal(int(large.sum()))
    spread = np.sqrt(np.minimum(expected[large], LARGEST_SIZE))
    drawn[large] = np.round(expected[large] + spread * normal)
    return drawn
