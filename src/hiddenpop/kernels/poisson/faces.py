"""Where the likelihood has its maximum: the face of the marginal cone, and what it says of the dark figure.

When some cells are empty the maximum may lie at infinity, on a face of the cone of sufficient statistics: the cells
off the face have fitted mean 0, the others are fitted as usual. The dark figure is finite and unique exactly when
the intercept is estimable from the cells on the face, whatever other parameters do.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.poisson.plain import (
    independent_terms,
    live_part,
    ranks_of_people,
    superset_sums,
    terms_with_people,
)

__all__ = [
    "ROUNDING",
    "BatchFaces",
    "Face",
    "FitStatus",
    "direction_of_dark_figure",
    "direction_over_rows",
    "face_of_model",
    "face_with_nobody",
    "faces_of_batch",
    "facial_set",
    "lattice_design",
    "null_space",
]

FitStatus = Literal["ok", "boundary", "unbounded", "not_identified"]

MOST_DIMENSIONS, MOST_ROWS = 3, 64
"""In three dimensions all pairs of rows are tried; beyond that, and for more rows, a linear programme is quicker."""

ROUNDING = 1e-9
"""Coordinates are ratios of small integers, brought to length 1: what is smaller is rounding."""


@dataclass(frozen=True, slots=True)
class Face:
    """The face on which a model attains its maximum.

    Attributes
    ----------
    status : {"ok", "boundary", "unbounded", "not_identified"}
    cells : ndarray of bool, shape (2**K,)
        Observable cells on the face; the rest have fitted mean 0.
    terms : ndarray of int64
        Terms with a positive margin, the intercept last.
    rank : int
        Rank of the design on the face: the number of parameters that the data determine.
    exists : bool
        Whether, once empty margins are taken out, the maximum is attained and unique: the face is everything that
        is left and the design has full rank there. This is the existence test of the extended maximum likelihood
        literature, stricter than ``status == "ok"``.
    """

    status: FitStatus
    cells: Bools
    terms: Ints
    rank: int
    exists: bool


def facial_set(design: Floats, positive: Bools) -> Bools:
    """Find the cells on the face of the maximum.

    Parameters
    ----------
    design : ndarray, shape (m, p)
        One row per cell.
    positive : ndarray of bool, shape (m,)
        Cells with a positive count.

    Returns
    -------
    ndarray of bool, shape (m,)

    Notes
    -----
    One linear programme gives the whole set: maximise ``sum z_w`` subject to ``A_w d = 0`` where the count is
    positive, ``A_w d + z_w <= 0`` and ``0 <= z_w <= 1`` where it is 0. Cells with ``z_w = 1`` are off the face.

    References
    ----------
    Fienberg, S. E. and Rinaldo, A. (2012). Maximum likelihood estimation in log-linear models. Annals of Statistics
    40(2), 996-1023. doi:10.1214/12-AOS986
    """
    from scipy import sparse
    from scipy.optimize import linprog

    empty = ~positive
    n_empty, n_positive, p = int(empty.sum()), int(positive.sum()), design.shape[1]
    if n_empty == 0:
        return np.ones(len(positive), dtype=bool)
    # Sparse, because the identity alone would fill memory at sixteen lists; the solver's stubs know dense arrays only.
    off: Any = sparse.hstack([sparse.csr_array(design[empty]), sparse.eye_array(n_empty)])
    on: Any = sparse.hstack([sparse.csr_array(design[positive]), sparse.csr_array((n_positive, n_empty))])
    solution = linprog(
        np.concatenate([np.zeros(p), -np.ones(n_empty)]),
        A_ub=off,
        b_ub=np.zeros(n_empty),
        A_eq=on,
        b_eq=np.zeros(n_positive),
        bounds=[(None, None)] * p + [(0.0, 1.0)] * n_empty,
        method="highs",
    )
    if solution.x is None:
        raise ArithmeticError(f"the linear programme of the face failed: {solution.message}")
    on_face = positive.copy()
    on_face[empty] = solution.x[p:] < 0.5
    return on_face


def direction_of_dark_figure(design: Floats, on_face: Bools, intercept: int) -> FitStatus:
    """Say where the dark figure goes when the likelihood climbs to a face that does not fix it.

    Parameters
    ----------
    design : ndarray, shape (m, p)
    on_face : ndarray of bool, shape (m,)
    intercept : int
        Column of the intercept.

    Returns
    -------
    {"unbounded", "boundary", "not_identified"}
        By the sign of ``r_0`` over ``{r: A_w r = 0 on the face, A_w r <= 0 off it}``: nowhere negative, nowhere
        positive, or neither. It must be other than 0 somewhere.
    """
    objective = np.zeros(design.shape[1])
    objective[intercept] = 1.0
    return _direction_of(objective, design[~on_face], design[on_face])


def direction_over_rows(off: Floats, row: Floats) -> FitStatus:
    """Say where any hidden cell goes along the directions that lower every cell off the face.

    Parameters
    ----------
    off : ndarray, shape (m, k)
        Cells off the face, one a row, by their change along k directions that leave the face alone.
    row : ndarray, shape (k,)
        The same of the hidden cell.

    Returns
    -------
    {"unbounded", "boundary", "not_identified"}

    Examples
    --------
    >>> import numpy as np
    >>> direction_over_rows(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1.0, 1.0]))
    'boundary'
    """
    return _direction_of(row, off, np.zeros((0, len(row))))


def _direction_of(row: Floats, off: Floats, on: Floats) -> FitStatus:
    up, down = _climbs(row, off, on), _climbs(-row, off, on)
    if up and down:
        return "not_identified"
    return "unbounded" if up else "boundary"


def _climbs(row: Floats, off: Floats, on: Floats) -> bool:
    """Whether ``row @ r`` is positive for some r that leaves `on` alone and raises no row of `off`.

    The programme is bounded, and feasible at 0: its largest value is 0 or 1.
    """
    from scipy.optimize import linprog

    solution = linprog(
        -row,
        A_ub=np.vstack([off, row]),
        b_ub=np.append(np.zeros(len(off)), 1.0),
        A_eq=on if len(on) else None,
        b_eq=np.zeros(len(on)) if len(on) else None,
        bounds=(None, None),
        method="highs",
    )
    if solution.fun is None:
        raise ArithmeticError(f"the linear programme of the dark figure failed: {solution.message}")
    return bool(-solution.fun > 0.5)


def lattice_design(cells: Ints, terms: Ints) -> Floats:
    """Rows of the design for `cells`, columns for `terms`: 1 where the history contains the term."""
    design: Floats = ((cells[:, None] & terms[None, :]) == terms[None, :]).astype(np.float64)
    return design


def face_of_model(counts: Floats, terms: Ints, n_lists: int) -> Face:
    """Judge one hierarchical model on one table.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by history; element 0 is not used.
    terms : ndarray of int64
        All terms of the model, the intercept (0) last.
    n_lists : int

    Returns
    -------
    Face

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([0, 40, 30, 6, 20, 0, 0, 0], dtype=float)
    >>> face_of_model(counts, np.array([1, 2, 3, 4, 0]), 3).status
    'unbounded'
    """
    observed = counts.copy()
    observed[0] = 0.0
    active, live = _live_part(superset_sums(observed, n_lists), terms)
    positive = observed[live] > 0
    cells = np.zeros(len(counts), dtype=bool)
    free = int((~independent_terms(live[positive], active)).sum())
    if free == 0:
        # No direction but 0 leaves every positive cell alone, so the face is everything that is left.
        cells[live] = True
        return Face("ok", cells, active, len(active), exists=True)
    on_face = _on_face(lattice_design(live, active), positive, free)
    cells[live[on_face]] = True
    independent = independent_terms(live[on_face], active)
    rank = int(independent.sum())
    if independent[-1]:
        return Face("ok", cells, active, rank, exists=bool(on_face.all()) and rank == len(active))
    return Face(_direction(live, active, on_face, rank), cells, active, rank, exists=False)


def face_with_nobody(counts: Floats, terms: Ints, n_lists: int) -> tuple[Ints, Ints, Ints]:
    """Judge one hierarchical model on a table whose cell of nobody is seen too.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by history, with those on no list.
    terms : ndarray of int64
        All terms of the model, the intercept (0) last.
    n_lists : int

    Returns
    -------
    cells : ndarray of int64
        Histories on the face of the maximum.
    active : ndarray of int64
        Terms with a positive margin, the intercept last.
    kept : ndarray of int64
        Those of them that are independent on the face.

    Examples
    --------
    >>> cells, active, kept = face_with_nobody(np.array([9.0, 5.0, 3.0, 0.0]), np.array([1, 2, 3, 0]), 2)
    >>> cells.tolist(), active.tolist(), kept.tolist()
    ([0, 1, 2], [1, 2, 0], [1, 2, 0])
    """
    alive, on = live_part(superset_sums(counts, n_lists), terms)
    active, live = terms[alive], np.flatnonzero(on)
    positive = counts[live] > 0
    free = int((~independent_terms(live[positive], active)).sum())
    if free == 0:
        return live, active, active
    cells = live[_on_face(lattice_design(live, active), positive, free)]
    return cells, active, active[independent_terms(cells, active)]


def _on_face(design: Floats, positive: Bools, free: int) -> Bools:
    return (
        _facial_set_by_rays(design, positive, free) if _few(positive, free) else facial_set(design, positive)
    )


def _few(kept: Bools, free: int) -> bool:
    """Whether the rays of the cone can be listed."""
    return free <= 2 or (free <= MOST_DIMENSIONS and int((~kept).sum()) <= MOST_ROWS)


def _facial_set_by_rays(design: Floats, positive: Bools, free: int) -> Bools:
    """Find what `facial_set` finds, in a null space of few dimensions."""
    rows = design[~positive] @ null_space(design[positive], free)
    on_face = positive.copy()
    on_face[~positive] = ~(rows @ cone_below(rows).rays.T < -ROUNDING).any(axis=1)
    return on_face


def _direction_by_rays(design: Floats, on_face: Bools, free: int) -> FitStatus:
    """Find what `direction_of_dark_figure` finds, the intercept last, in a null space of few dimensions."""
    basis = null_space(design[on_face], free)
    cone = cone_below(design[~on_face] @ basis)
    if (np.abs(cone.lines @ basis[-1]) > ROUNDING).any():
        return "not_identified"
    along = cone.rays @ basis[-1]
    if (along > ROUNDING).any() and (along < -ROUNDING).any():
        return "not_identified"
    return "unbounded" if (along > ROUNDING).any() else "boundary"


def _live_part(margins: Floats, terms: Ints) -> tuple[Ints, Ints]:
    """Terms with a positive margin (and the intercept), and the observable cells above no empty margin."""
    alive, live = live_part(margins, terms)
    return terms[alive], np.flatnonzero(live)[1:]


def _direction(live: Ints, active: Ints, on_face: Bools, rank: int) -> FitStatus:
    if not independent_terms(live, active)[-1]:
        return "not_identified"
    design, free = lattice_design(live, active), len(active) - rank
    if _few(on_face, free):
        return _direction_by_rays(design, on_face, free)
    return direction_of_dark_figure(design, on_face, intercept=len(active) - 1)


@dataclass(frozen=True, slots=True)
class BatchFaces:
    """What the face says of many models on one table; every array has one element a model.

    Attributes
    ----------
    status : ndarray of str
        See `Face`.
    rank : ndarray of int
        Parameters that the data determine.
    exists : ndarray of bool
        The existence test of the literature, see `Face`.
    """

    status: npt.NDArray[np.str_]
    rank: Ints
    exists: Bools


def faces_of_batch(counts: Floats, term_sets: npt.NDArray[np.uint64], n_lists: int) -> BatchFaces:
    """Judge many models: by rank where that is enough, else by linear programming, once for each distinct problem.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by history; element 0 is not used.
    term_sets : ndarray of uint64, shape (m,)
        Models as coded by `hiddenpop.model.enumerate_models`, up to six lists.
    n_lists : int

    Returns
    -------
    BatchFaces

    Notes
    -----
    Models that differ only in terms whose margin is empty pose the same problem when the same cells are left.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([0, 40, 30, 6, 20, 0, 0, 0], dtype=float)
    >>> faces_of_batch(counts, np.array([0b10111, 0b11111], dtype=np.uint64), 3).status.tolist()
    ['ok', 'unbounded']
    """
    observed = counts.copy()
    observed[0] = 0.0
    margins = superset_sums(observed, n_lists)
    rank, _ = ranks_of_people(observed, margins, term_sets)
    exists = rank == np.bitwise_count(term_sets & terms_with_people(margins))
    status = np.full(len(term_sets), "ok", dtype="<U14")
    known: dict[tuple[bytes, bytes], Face] = {}
    for m in np.flatnonzero(~exists):
        face = _face_once(observed, margins, int(term_sets[m]), n_lists, known)
        status[m], rank[m], exists[m] = face.status, face.rank, face.exists
    return BatchFaces(status, rank, exists)


def _face_once(
    counts: Floats, margins: Floats, term_set: int, n_lists: int, known: dict[tuple[bytes, bytes], Face]
) -> Face:
    terms = np.array([*(t for t in bit_positions(term_set) if t), 0], dtype=np.int64)
    active, live = _live_part(margins, terms)
    key = active.tobytes(), live.tobytes()
    if key not in known:
        known[key] = face_of_model(counts, terms, n_lists)
    return known[key]


# === cones of low dimension by their extreme rays: what linear programmes answer, without a solver ====================
# The directions along which a likelihood climbs to a face form a cone in the null space of the cells with
# people in them. That space has one dimension in most tables that raise the question, seldom more than
# three, and then the extreme rays of the cone can simply be listed.


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
