"""What the density of a pooled model is of, as arrays and as one vector."""

from typing import Any, NamedTuple

import numpy as np

from hiddenpop._typing import Floats, Ints
from hiddenpop.kernels.compiled import njit

__all__ = ["PooledData", "n_parameters", "packed", "unpack", "unpacked"]


class PooledData(NamedTuple):
    """All that the density is of, in s strata with 2**k histories.

    Attributes
    ----------
    scales : ndarray, shape (h,)
        Of the half-normal priors of the standard deviations.
    own : ndarray, shape (h,)
        For the standard deviations of factors other than the place, how far their effects are free of them.
    logs : ndarray of int64, shape (h,)
        1 for standard deviations whose parameter is their logarithm; those of the place and of effects that are free to
        some extent are among them.
    centre, spread, mean_sd : ndarray, shape (p,), (p, p), (p,)
        The means are ``centre + spread z``; standard deviations of their normal priors.
    level : ndarray, shape (4,)
        Where the number observed in a typical stratum is looked for, and in what steps, on the scale of logs; centre
        and precision of the prior of the log of its size.
    offset : ndarray, shape (s,)
    cells : ndarray, shape (s, 2**k)
        Persons by history.
    absent : ndarray of int64, shape (s,)
        Lists that do not operate, as a mask.
    masks : ndarray of int64, shape (p,)
        Lists of each term: main effects, interactions of two, further ones.
    place : ndarray of int64, shape (s,)
    places : ndarray, shape (3 + k, j)
        By place: 1 where its size is found from the number observed and 0 where from its prior; where it is looked for,
        in what steps; for each list, how far its effect is free of its standard deviation. No columns when all strata
        are of one place.
    levels : ndarray of int64, shape (f, s)
        Level of each stratum in each other factor.
    contrasts : ndarray, shape (f, most levels, most variables)
    shapes : ndarray of int64, shape (f, 3)
        Levels, variables and terms that vary, of each factor.
    flags : ndarray of int64, shape (2,)
        Number of interactions of two lists that vary; 1 with a residual.
    """

    scales: Floats
    own: Floats
    centre: Floats
    spread: Floats
    mean_sd: Floats
    level: Floats
    offset: Floats
    cells: Floats
    absent: Ints
    masks: Ints
    place: Ints
    places: Floats
    levels: Ints
    contrasts: Floats
    shapes: Ints
    logs: Ints
    flags: Ints


def n_parameters(data: PooledData) -> int:
    """Count the parameters.

    Parameters
    ----------
    data : PooledData

    Returns
    -------
    int
    """
    n_lists = data.cells.shape[1].bit_length() - 1
    of_places = data.places.shape[1] * (1 + n_lists + int(data.flags[0]))
    of_factors = int((data.shapes[:, 1] * (1 + data.shapes[:, 2])).sum())
    return len(data.scales) + len(data.centre) + 1 + of_places + of_factors


FLOATS = ("scales", "own", "centre", "spread", "mean_sd", "level", "offset", "cells", "places", "contrasts")
INTS = ("absent", "masks", "place", "levels", "shapes", "logs", "flags")
HEADER = 8


def packed(data: PooledData) -> Floats:
    """Put everything into one vector, as samplers hand it to compiled code.

    Parameters
    ----------
    data : PooledData

    Returns
    -------
    ndarray
        Numbers of strata, histories, means, standard deviations and places, and the shape of the contrasts; then the
        fields, whole numbers among them.
    """
    sizes = (
        *data.cells.shape,
        len(data.masks),
        len(data.scales),
        data.places.shape[1],
        *data.contrasts.shape,
    )
    fields = [np.ravel(getattr(data, name)) for name in (*FLOATS, *INTS)]
    return np.concatenate([np.array(sizes), *fields]).astype(np.float64)


def unpacked(kept: Floats, data: PooledData) -> dict[str, Floats]:
    """Name what is kept of draws.

    Parameters
    ----------
    kept : ndarray, shape (..., s + h + 1 + p)
    data : PooledData

    Returns
    -------
    dict
        ``log_hidden`` (s,), ``hyper`` (h,), ``log_level`` and ``mean`` (p,), as `density` gives them.
    """
    n_strata, n_spreads = len(data.cells), len(data.scales)
    at = n_strata + n_spreads
    return {
        "log_hidden": kept[..., :n_strata],
        "hyper": kept[..., n_strata:at],
        "log_level": kept[..., at],
        "mean": kept[..., at + 1 :],
    }


@njit
def _take(vector: Any, at: int, size: int) -> tuple[Any, int]:
    return vector[at : at + size], at + size


@njit
def unpack(data: Floats) -> PooledData:
    """Read the vector that `packed` makes.

    Parameters
    ----------
    data : ndarray

    Returns
    -------
    PooledData
    """
    header = data[:HEADER].astype(np.int64)
    s, c, p, h, j = header[0], header[1], header[2], header[3], header[4]
    f, most_levels, most_free = header[5], header[6], header[7]
    rows = 3
    while 1 << (rows - 3) < c:
        rows += 1
    n_floats = 2 * h + 2 * p + p * p + 4 + s + s * c + rows * j + f * most_levels * most_free
    floats, ints = data[HEADER : HEADER + n_floats], data[HEADER + n_floats :].astype(np.int64)
    scales, at = _take(floats, 0, h)
    own, at = _take(floats, at, h)
    centre, at = _take(floats, at, p)
    spread, at = _take(floats, at, p * p)
    mean_sd, at = _take(floats, at, p)
    level, at = _take(floats, at, 4)
    offset, at = _take(floats, at, s)
    cells, at = _take(floats, at, s * c)
    places, at = _take(floats, at, rows * j)
    contrasts, at = _take(floats, at, f * most_levels * most_free)
    absent, at = _take(ints, 0, s)
    masks, at = _take(ints, at, p)
    place, at = _take(ints, at, s)
    levels, at = _take(ints, at, f * s)
    shapes, at = _take(ints, at, 3 * f)
    logs, at = _take(ints, at, h)
    flags, at = _take(ints, at, 2)
    return PooledData(
        scales, own, centre, spread.reshape(p, p), mean_sd, level, offset, cells.reshape(s, c), absent, masks, place,
        places.reshape(rows, j), levels.reshape(f, s), contrasts.reshape(f, most_levels, most_free),
        shapes.reshape(f, 3), logs, flags,
    )  # fmt: skip
