"""Where a design with many hidden cells has its maximum, and what that says of each hidden cell.

With covariates every stratum has a hidden cell of its own, and designs hold real numbers beside 0 and 1. The questions
are those of `hiddenpop.kernels.faces`, answered in the null space of the cells with people in them, which is small.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

from hiddenpop._typing import Bools, Floats, Texts
from hiddenpop.kernels.faces import FitStatus, direction_over_rows, facial_set

__all__ = ["HiddenFace", "face_of_cells", "independent_columns", "total_status"]


RANK_TOLERANCE = 1e-10
"""Singular values below this share of the largest are 0. Columns are scaled to a largest entry of 1 before."""

SURE_PIVOT = 1e-6
"""A Gram matrix whose Cholesky pivots stay above this share of their diagonal has full rank beyond any doubt."""

ZERO = 1e-8
"""A product of a row and a direction of the null space (both of size 1) below this is 0."""

DIGITS = 9
"""Rows that agree to so many digits are one row."""


@dataclass(frozen=True, slots=True)
class HiddenFace:
    """The face on which a design attains its maximum on one table.

    Attributes
    ----------
    on_face : ndarray of bool, shape (m,)
        Observable cells on the face; the rest have fitted mean 0.
    dead : ndarray of bool, shape (p,)
        Columns whose margin is empty: their coefficients are at minus infinity.
    determined : ndarray of bool, shape (p,)
        Columns whose coefficients the face determines.
    hidden_status : ndarray of str, shape (h,)
        What the data say of the mean of each hidden cell.
    rank : int
        Rank of the design on the face.
    exists : bool
        Whether, once empty margins are taken out, the maximum is attained and unique.
    """

    on_face: Bools
    dead: Bools
    determined: Bools
    hidden_status: Texts
    rank: int
    exists: bool


def face_of_cells(design: Floats, hidden: Floats, positive: Bools) -> HiddenFace:
    """Find the face of the maximum and judge every hidden cell.

    Parameters
    ----------
    design : ndarray, shape (m, p)
        Rows of the observable cells.
    hidden : ndarray, shape (h, p)
        Rows of the hidden cells.
    positive : ndarray of bool, shape (m,)
        Cells with a positive count.

    Returns
    -------
    HiddenFace

    Notes
    -----
    A hidden cell has a finite mean when its row lies in the row space of the design on the face. Otherwise its row is
    followed along all directions in which the likelihood climbs to the face: upwards on all of them it is unbounded,
    downwards on all of them its mean tends to 0, and else the data do not determine it.

    Examples
    --------
    >>> import numpy as np
    >>> design = np.array([[1.0, 1, 0], [1, 0, 1], [1, 1, 1]])
    >>> face = face_of_cells(design, np.array([[1.0, 0, 0]]), np.array([True, True, False]))
    >>> face.hidden_status.tolist()
    ['unbounded']
    """
    scale = _column_scale(design, hidden)
    rows, hidden_rows = design / scale, hidden / scale
    dead = empty_margins(rows, positive)
    live: Bools = np.asarray(~(rows[:, dead] > 0.0).any(axis=1))
    columns = rows[:, ~dead]
    free = null_space(columns[positive])
    on_face = live.copy()
    if free.shape[1]:
        empty = np.flatnonzero(live & ~positive)
        moved = _clean(columns[empty] @ free)
        on_face[empty] = _stay_on_face(moved)
        free = free @ null_space(moved[on_face[empty]])
    determined = ~dead
    determined[~dead] = np.abs(free).max(axis=1, initial=0.0) < ZERO
    status = _judge_rows(rows, hidden_rows, dead, free, on_face)
    rank = int((~dead).sum()) - free.shape[1]
    exists = free.shape[1] == 0 and bool((on_face == live).all())
    return HiddenFace(on_face, dead, determined, status, rank, exists)


def total_status(hidden_status: Texts) -> FitStatus:
    """Say what the parts mean for their sum.

    Examples
    --------
    >>> import numpy as np
    >>> total_status(np.array(["ok", "boundary"])), total_status(np.array(["not_identified", "unbounded"]))
    ('ok', 'unbounded')
    """
    found = set(hidden_status.tolist())
    if "unbounded" in found:
        return "unbounded"
    if "not_identified" in found:
        return "not_identified"
    return "ok" if "ok" in found else "boundary"


def empty_margins(design: Floats, positive: Bools) -> Bools:
    """Columns without a negative entry that nobody observed has, though some cell has them."""
    unseen = np.abs(design[positive]).sum(axis=0) == 0.0
    dead: Bools = unseen & (design.min(axis=0, initial=0.0) >= 0.0) & (design.max(axis=0, initial=0.0) > 0.0)
    return dead


def null_space(rows: Floats) -> Floats:
    """Columns that span the vectors without effect on any row, shape (p, k); k of their rows are the identity.

    Examples
    --------
    >>> import numpy as np
    >>> null_space(np.array([[1.0, 1.0], [2.0, 2.0]])).shape
    (2, 1)
    """
    p = rows.shape[1]
    if len(rows) == 0 or p == 0:
        return np.eye(p)
    if len(rows) >= p and _surely_full_rank(rows):
        return np.zeros((p, 0))
    _, values, right = np.linalg.svd(_shortened(rows), full_matrices=True)
    rank = int(np.sum(values > RANK_TOLERANCE * max(float(values[0]), 1.0)))
    return _tidy(right[rank:].T)


def independent_columns(rows: Floats) -> npt.NDArray[np.intp]:
    """Positions of the columns that are independent of those before them.

    Examples
    --------
    >>> import numpy as np
    >>> independent_columns(np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 1.0]])).tolist()
    [0, 2]
    """
    short = _shortened(rows)
    found = np.zeros((short.shape[0], 0))
    kept = []
    for j, column in enumerate(short.T):
        rest = column - found @ (found.T @ column)
        rest = rest - found @ (found.T @ rest)
        size = float(np.linalg.norm(rest))
        if size > ZERO * max(float(np.linalg.norm(column)), ZERO):
            kept.append(j)
            found = np.column_stack([found, rest / size])
    return np.array(kept, dtype=np.intp)


def _tidy(basis: Floats) -> Floats:
    """Other columns that span the same space: for 0/1 designs small fractions and many zeros."""
    k = basis.shape[1]
    if k == 0:
        return basis
    _, places = qr(basis.T, mode="r", pivoting=True)
    return np.asarray(np.linalg.solve(basis[places[:k]].T, basis.T).T)


def _shortened(rows: Floats) -> Floats:
    """Give no more rows than columns with the same cross-products."""
    if rows.shape[0] <= rows.shape[1]:
        return rows
    return np.asarray(np.linalg.qr(rows, mode="r"))


def _column_scale(design: Floats, hidden: Floats) -> Floats:
    largest = np.maximum(np.abs(design).max(axis=0, initial=0.0), np.abs(hidden).max(axis=0, initial=0.0))
    return np.where(largest > 0.0, largest, 1.0)


def _surely_full_rank(rows: Floats) -> bool:
    gram = rows.T @ rows
    diagonal = np.diag(gram)
    if not (diagonal > 0.0).all():
        return False
    root = np.sqrt(diagonal)
    try:
        lower = np.linalg.cholesky(gram / np.outer(root, root))
    except np.linalg.LinAlgError:
        return False
    return bool((np.diag(lower) ** 2).min() > SURE_PIVOT)


def _clean(rows: Floats) -> Floats:
    """Set rounding to 0 and scale what is left of each row to a largest entry of 1."""
    rows = np.where(np.abs(rows) < ZERO, 0.0, rows)
    largest = np.abs(rows).max(axis=1, initial=0.0)
    scaled: Floats = rows / np.where(largest > 0.0, largest, 1.0)[:, None]
    return scaled


def _stay_on_face(moved: Floats) -> Bools:
    """Say which empty cells, by what the free directions do to them, keep a positive mean at the maximum."""
    distinct, which = np.unique(np.round(moved, DIGITS), axis=0, return_inverse=True)
    nothing = np.zeros(len(distinct), dtype=bool)
    if distinct.shape[1] == 1:
        one_way = (distinct >= 0.0).all() or (distinct <= 0.0).all()
        stays = (distinct[:, 0] == 0.0) | (not one_way)
    else:
        stays = facial_set(distinct, nothing)
    return np.asarray(stays)[which.ravel()]


def _judge_rows(rows: Floats, hidden: Floats, dead: Bools, free: Floats, on_face: Bools) -> Texts:
    """Judge hidden cells by the directions that leave the face alone: all of the dead columns, and the free ones."""
    along = _along(hidden, dead, free)
    status = np.full(len(hidden), "ok", dtype="<U14")
    open_rows = np.flatnonzero(np.abs(along).max(axis=1, initial=0.0) > 0.0)
    if not len(open_rows):
        return status
    off = np.unique(np.round(_clean(_along(rows[~on_face], dead, free)), DIGITS), axis=0)
    distinct, which = np.unique(np.round(_clean(along[open_rows]), DIGITS), axis=0, return_inverse=True)
    judged = np.array([_judge_row(off, row) for row in distinct])
    status[open_rows] = judged[which.ravel()]
    return status


def _along(rows: Floats, dead: Bools, free: Floats) -> Floats:
    product = np.hstack([rows[:, dead], rows[:, ~dead] @ free])
    return np.where(np.abs(product) < ZERO, 0.0, product)


def _judge_row(off: Floats, row: Floats) -> FitStatus:
    """Judge a hidden cell; one that moves as some cell off the face does, or against it, needs no programme."""
    if not len(off):
        return "not_identified"
    tolerance = 10.0**-DIGITS * 2.0
    if (np.abs(off - row).max(axis=1) <= tolerance).any():
        return "boundary"
    if (np.abs(off + row).max(axis=1) <= tolerance).any():
        return "unbounded"
    return direction_over_rows(off, row)
