"""Cones of low dimension by their extreme rays: what linear programmes answer, without a solver.

The directions along which a likelihood climbs to a face form a cone in the null space of the cells with people in
them. That space has one dimension in most tables that raise the question, seldom more than three, and then the extreme
rays of the cone can simply be listed.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Floats

__all__ = ["MOST_DIMENSIONS", "MOST_ROWS", "ROUNDING", "Cone", "cone_below", "null_space"]


MOST_DIMENSIONS, MOST_ROWS = 3, 64
"""In three dimensions all pairs of rows are tried; beyond that, and for more rows, a linear programme is quicker."""

ROUNDING = 1e-9
"""Coordinates are ratios of small integers, brought to length 1: what is smaller is rounding."""


@dataclass(frozen=True, slots=True)
class Cone:
    """The directions r with ``rows @ r <= 0``: sums of its rays, and any multiple of its lines.

    Attributes
    ----------
    rays, lines : ndarray, shape (n, k)
        A direction a row; `lines` leave every row at 0.
    """

    rays: Floats
    lines: Floats


def null_space(matrix: Floats, dimension: int) -> Floats:
    """Orthonormal basis, a direction a column, of the directions that a matrix sends to 0; the dimension is known.

    Examples
    --------
    >>> np.abs(null_space(np.array([[1.0, 1.0]]), 1)).round(3).ravel().tolist()
    [0.707, 0.707]
    """
    if len(matrix) > matrix.shape[1]:
        matrix = np.asarray(np.linalg.qr(matrix, mode="r"), dtype=np.float64)
    basis: Floats = np.linalg.svd(matrix)[2][matrix.shape[1] - dimension :].T
    return basis


def cone_below(rows: Floats) -> Cone:
    """List the extreme rays of the cone on which no row is positive.

    Parameters
    ----------
    rows : ndarray, shape (m, k)
        k at most `MOST_DIMENSIONS`.

    Returns
    -------
    Cone

    Notes
    -----
    Within the span of the rows, of dimension q, the cone has no line, and each of its extreme rays is at right angles
    to q - 1 independent rows.

    Examples
    --------
    >>> cone_below(np.array([[1.0, 0.0], [0.0, 1.0]])).rays.tolist()
    [[0.0, -1.0], [-1.0, 0.0]]
    """
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    units = rows[length[:, 0] > ROUNDING] / length[length[:, 0] > ROUNDING]
    units = np.unique(units.round(12), axis=0)
    if not len(units):
        return Cone(np.zeros((0, rows.shape[1])), np.eye(rows.shape[1]))
    values, directions = np.linalg.eigh(units.T @ units)
    line = values <= ROUNDING
    span, lines = directions[:, ~line].T, directions[:, line].T
    inside = units @ span.T
    candidates = _at_right_angles(inside)
    candidates = np.vstack([candidates, -candidates])
    kept = candidates[(inside @ candidates.T <= ROUNDING).all(axis=0)]
    return Cone(kept @ span, lines)


def _at_right_angles(units: Floats) -> Floats:
    """Directions of length 1 at right angles to q - 1 independent rows, in q dimensions up to three."""
    if units.shape[1] == 1:
        return np.ones((1, 1))
    if units.shape[1] == 2:
        return np.column_stack([units[:, 1], -units[:, 0]])
    pairs = np.array(list(itertools.combinations(range(len(units)), 2)))
    crossed = np.cross(units[pairs[:, 0]], units[pairs[:, 1]])
    length = np.linalg.norm(crossed, axis=1)
    return np.asarray(crossed[length > ROUNDING] / length[length > ROUNDING, None])
