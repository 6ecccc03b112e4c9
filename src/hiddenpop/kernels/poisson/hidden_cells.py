"""Log-linear models with one hidden cell a stratum: fitted to a table to full precision, and refitted to many."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

from hiddenpop._typing import Bools, Floats, Texts
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.poisson.dense import LARGEST_QUICK_COUNT, DenseFit, fit_design, one_thread
from hiddenpop.kernels.poisson.faces import FitStatus, direction_over_rows, facial_set
from hiddenpop.kernels.poisson.lattice import offset_or_zeros, solve_factored

__all__ = [
    "NO_TAIL",
    "HiddenFace",
    "HiddenFit",
    "HiddenRefits",
    "SilentTail",
    "face_of_cells",
    "factor",
    "fit_cells",
    "fit_hidden",
    "independent_columns",
    "likelihood_bound",
    "refit_hidden",
    "silent_tail",
    "total_status",
]

LEAST_PERSONS, LEAST_RISE = 1e-4, 0.02
LARGEST_RISE, LARGEST_RATIO = 40.0, 1e6
STEP = 1.6
"""How finely and how far the deviance of a stratum at the boundary is followed."""

MEAN_BY_STATUS = {"boundary": 0.0, "unbounded": math.inf, "not_identified": math.nan}

RANK_TOLERANCE = 1e-10
"""Singular values below this share of the largest are 0. Columns are scaled to a largest entry of 1 before."""

SURE_PIVOT = 1e-6
"""A Gram matrix whose Cholesky pivots stay above this share of their diagonal has full rank beyond any doubt."""

ZERO = 1e-8
"""A product of a row and a direction of the null space (both of size 1) below this is 0."""

DIGITS = 9
"""Rows that agree to so many digits are one row."""

START_OFFSET = 0.1
DECREMENT_TOLERANCE = 1e-11
"""Newton's decrement is about twice the log-likelihood still to be gained; the step that reveals it is still taken."""

MAX_ITERATIONS = 60
MAX_HALVINGS = 30
PIVOT_TOLERANCE = 1e-12
"""A pivot below this share of its diagonal is rounding: that parameter is aliased and stays where it is."""

LIKELIHOOD_SLACK = 1e-9
LARGEST_LINEAR = 700.0
"""Beyond it the exponential overflows."""


@dataclass(frozen=True, slots=True, eq=False)
class HiddenFit:
    """A log-linear model fitted to one table.

    Attributes
    ----------
    status : {"ok", "boundary", "unbounded", "not_identified"}
        Of the sum of the hidden cells.
    hidden_status : ndarray of str, shape (h,)
    hidden_means : ndarray, shape (h,)
        Hidden persons a stratum: 0 at the boundary, inf when unbounded, nan when not identified.
    on_face : ndarray of bool, shape (m,)
        Observable cells with a positive mean at the maximum.
    rank : int
        Rank of the design on the face.
    exists : bool
        Whether, empty margins taken out, the maximum is attained and unique.
    coefficients : ndarray, shape (p,)
        ``-inf`` where the margin is empty, nan where the face does not determine it.
    covariance : ndarray, shape (p, p)
        Of the coefficients that the face determines; nan elsewhere.
    estimable_covariance : ndarray, shape (p, p)
        The same on a subset of columns of full rank, 0 elsewhere: right for every combination of coefficients that
        the face determines, the rows of hidden cells with status ``"ok"`` among them.
    means : ndarray, shape (m,)
        Fitted means, 0 off the face.
    deviance : float
    converged : bool
    """

    status: FitStatus
    hidden_status: Texts
    hidden_means: Floats
    on_face: Bools
    rank: int
    exists: bool
    coefficients: Floats
    covariance: Floats
    estimable_covariance: Floats
    means: Floats
    deviance: float
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class HiddenRefits:
    """One model fitted to many tables.

    Attributes
    ----------
    hidden_means : ndarray, shape (b, h)
        0 at the boundary, inf when unbounded, nan when not identified or not converged.
    deviances : ndarray, shape (b,)
    status : ndarray of str, shape (b,)
        Of the sum of the hidden cells, or ``"not_converged"``.
    """

    hidden_means: Floats
    deviances: Floats
    status: Texts

    @property
    def n_not_converged(self) -> int:
        """How many fits did not converge."""
        return int((self.status == "not_converged").sum())


def fit_hidden(
    design: Floats, hidden: Floats, counts: Floats, offset: Floats | None = None, multiplier: float = 1.0
) -> HiddenFit:
    """Fit a log-linear model by Poisson maximum likelihood on the observable cells.

    Parameters
    ----------
    design : ndarray, shape (m, p)
        Rows of the observable cells; aliased columns do no harm.
    hidden : ndarray, shape (h, p)
        Rows of the hidden cells.
    counts : ndarray, shape (m,)
    offset : ndarray, shape (m,), optional
        Added to the log means of the observable cells.
    multiplier : float
        Of the means of the hidden cells.

    Returns
    -------
    HiddenFit

    Notes
    -----
    The fit is made on the face of the maximum with a subset of columns of full rank, so it converges quadratically
    even when coefficients lie at infinity.

    Examples
    --------
    >>> import numpy as np
    >>> design = np.array([[1.0, 1, 0], [1, 0, 1], [1, 1, 1]])
    >>> fit = fit_hidden(design, np.array([[1.0, 0, 0]]), np.array([30.0, 20, 10]))
    >>> fit.status, round(float(fit.hidden_means[0]), 6)
    ('ok', 60.0)
    """
    with one_thread():
        return _fit_on_face(design, hidden, counts, offset_or_zeros(offset, len(design)), multiplier)


def _fit_on_face(
    design: Floats, hidden: Floats, counts: Floats, offset: Floats, multiplier: float
) -> HiddenFit:
    face = face_of_cells(design, hidden, counts > 0)
    kept = _kept_columns(design, face)
    rows = design[np.ix_(face.on_face, kept)]
    seen = counts[face.on_face].astype(np.float64)
    fit = fit_design(rows, seen, offset[face.on_face]) if len(kept) else _nobody()
    means = np.zeros(len(counts))
    means[face.on_face] = fit.means
    coefficients, covariance, estimable = _by_column(face, kept, fit)
    return HiddenFit(
        total_status(face.hidden_status),
        face.hidden_status,
        _hidden_means(face.hidden_status, hidden[:, kept] @ fit.coefficients + math.log(multiplier)),
        face.on_face,
        face.rank,
        face.exists,
        coefficients,
        covariance,
        estimable,
        means,
        fit.deviance,
        fit.converged,
    )


def _kept_columns(design: Floats, face: "HiddenFace") -> npt.NDArray[np.intp]:
    """Columns of full rank on the face."""
    alive = np.flatnonzero(~face.dead)
    if face.rank == len(alive):
        return alive
    return alive[independent_columns(design[np.ix_(face.on_face, alive)])]


@dataclass(frozen=True, slots=True, eq=False)
class SilentTail:
    """How many persons may be hidden in a stratum where the data push the dark figure to 0.

    Attributes
    ----------
    persons : ndarray, shape (k,)
        Rising, from 0.
    rise : ndarray, shape (k,)
        Rise of the deviance when so many persons are supposed to be hidden there.
    """

    persons: Floats
    rise: Floats

    def at(self, rise: Floats) -> Floats:
        """Give the persons at which the deviance has risen so far; inf where it never does."""
        inside = np.minimum(np.asarray(rise, dtype=np.float64), self.rise[-1])
        logs = np.interp(np.log(np.maximum(inside, 1e-300)), np.log(self.rise[1:]), np.log(self.persons[1:]))
        first = self.persons[1] * inside / self.rise[1]  # a likelihood begins to fall in a straight line
        found = np.where(inside < self.rise[1], first, np.exp(logs))
        return np.where(np.asarray(rise) > self.rise[-1], math.inf, found)

    def draw(self, size: int, rng: np.random.Generator) -> Floats:
        """Draw whole persons from the law whose quantiles are the mid-P limits at every level: half of it is at 0."""
        tail = rng.random(size)
        rises = np.where(tail < 0.5, -2.0 * np.log(2.0 * tail), 0.0)
        return np.asarray(np.round(np.where(tail < 0.5, self.at(rises), 0.0)), dtype=np.float64)


NO_TAIL = SilentTail(np.array([0.0, 1e-9]), np.array([0.0, 1e-12]))
"""Of a stratum of which nothing is known but that the maximum lies at 0."""


def silent_tail(
    design: Floats,
    hidden: Floats,
    counts: Floats,
    place: int,
    offset: Floats | None = None,
    multiplier: float = 1.0,
) -> SilentTail:
    """Follow the deviance as persons are supposed to be hidden in one stratum at the boundary.

    Parameters
    ----------
    design, hidden, counts, offset, multiplier
        As for `fit_hidden`.
    place : int
        Row of `hidden`: a stratum with status ``"boundary"``.

    Returns
    -------
    SilentTail

    Notes
    -----
    The hidden cell of the stratum enters the fit with a supposed count. What the deviance rises by is twice the fall of
    the log-likelihood; see `hiddenpop.kernels.poisson.profile.profile_limits` for its use where few persons tell
    anything.

    Examples
    --------
    >>> import numpy as np
    >>> design, hidden = np.array([[1.0, 1, 0], [1, 0, 1], [1, 1, 1]]), np.array([[1.0, 0, 0]])
    >>> tail = silent_tail(design, hidden, np.array([30.0, 0, 12]), 0)  # the second list lies inside the first
    >>> round(float(tail.at(np.array([5.991465]))[0]), 1)
    10.1
    """
    rows = np.vstack([hidden[place], design])
    offsets = np.append(math.log(multiplier), offset_or_zeros(offset, len(design)))
    supposed = np.append(0.0, counts)

    def deviance_at(persons: float) -> float:
        supposed[0] = persons
        return fit_hidden(rows, hidden, supposed, offsets, multiplier).deviance

    least, persons = deviance_at(0.0), 1.0
    while persons > LEAST_PERSONS and deviance_at(persons) - least > LEAST_RISE:
        persons /= 4.0
    found = [(0.0, 0.0)]
    largest = LARGEST_RATIO * max(float(counts.sum()), 1.0)
    while persons <= largest and found[-1][1] < LARGEST_RISE:
        rise = deviance_at(persons) - least
        if rise > found[-1][1]:
            found.append((persons, rise))
        persons *= STEP
    table = np.array(found)
    return SilentTail(table[:, 0], table[:, 1]) if len(table) > 2 else NO_TAIL


def _nobody() -> DenseFit:
    """Give the fit of a table without anybody, in which every mean is 0."""
    return DenseFit(np.zeros(0), np.zeros((0, 0)), np.zeros(0), 0.0, converged=True)


def _hidden_means(status: Texts, linear: Floats) -> Floats:
    """Means of the hidden cells with a finite one; what the status says of the others."""
    means = np.array([MEAN_BY_STATUS.get(word, 1.0) for word in status.tolist()])
    ok = status == "ok"
    means[ok] = np.exp(linear[ok])
    return means


def _by_column(
    face: "HiddenFace", kept: npt.NDArray[np.intp], fit: DenseFit
) -> tuple[Floats, Floats, Floats]:
    """Spread coefficients and their covariance over all columns."""
    p = len(face.dead)
    coefficients = np.where(face.dead, -np.inf, np.nan)
    covariance, estimable = np.full((p, p), np.nan), np.zeros((p, p))
    estimable[np.ix_(kept, kept)] = fit.covariance
    sure = face.determined[kept]
    known = kept[sure]
    coefficients[known] = fit.coefficients[sure]
    covariance[np.ix_(known, known)] = fit.covariance[np.ix_(sure, sure)]
    return coefficients, covariance, estimable


def refit_hidden(
    design: Floats,
    hidden: Floats,
    tables: Floats,
    *,
    start: Floats | None = None,
    offset: Floats | None = None,
    multiplier: float = 1.0,
) -> HiddenRefits:
    """Fit one model to many tables: the inner loop of a bootstrap.

    Parameters
    ----------
    design : ndarray, shape (m, p)
    hidden : ndarray, shape (h, p)
    tables : ndarray, shape (b, m)
        One table a row.
    start : ndarray, shape (p,), optional
        Coefficients near those of the tables. By default those of their mean.
    offset, multiplier
        As for `fit_hidden`.

    Returns
    -------
    HiddenRefits

    Examples
    --------
    >>> import numpy as np
    >>> design, hidden = np.array([[1.0, 1, 0], [1, 0, 1], [1, 1, 1]]), np.array([[1.0, 0, 0]])
    >>> refit_hidden(design, hidden, np.array([[30.0, 20, 10], [30, 20, 0], [30, 0, 10]])).hidden_means.round(6)
    array([[60.],
           [inf],
           [ 0.]])
    """
    with one_thread():
        return _refit_on_faces(
            design, hidden, tables, start, offset_or_zeros(offset, len(design)), multiplier
        )


def _refit_on_faces(
    design: Floats, hidden: Floats, tables: Floats, start: Floats | None, offset: Floats, multiplier: float
) -> HiddenRefits:
    rows = np.ascontiguousarray(design, dtype=np.float64)
    counts = np.ascontiguousarray(tables, dtype=np.float64)
    faces = [face_of_cells(rows, hidden, table > 0) for table in counts]
    on_face = np.array([face.on_face for face in faces]).reshape(counts.shape)
    begin = _usual_start(rows, counts, offset) if start is None else np.where(np.isfinite(start), start, 0.0)
    coefficients, deviances, converged = fit_tables(rows, counts, on_face, begin, offset)
    converged = converged & (counts.max(axis=1, initial=0.0) <= LARGEST_QUICK_COUNT)
    means = np.empty((len(counts), len(hidden)))
    status = np.empty(len(counts), dtype="<U14")
    for row, face in enumerate(faces):
        means[row] = _hidden_means(face.hidden_status, hidden @ coefficients[row] + math.log(multiplier))
        status[row] = total_status(face.hidden_status)
        if not converged[row]:
            means[row], deviances[row], status[row] = _slowly(rows, hidden, counts[row], offset, multiplier)
    return HiddenRefits(means, deviances, status)


def _slowly(
    design: Floats, hidden: Floats, counts: Floats, offset: Floats, multiplier: float
) -> tuple[Floats, float, str]:
    """Fit one table by the exact route where the quick one did not converge."""
    fit = fit_hidden(design, hidden, counts, offset, multiplier)
    if fit.converged:
        return fit.hidden_means, fit.deviance, fit.status
    unknown = np.where(fit.hidden_status == "ok", np.nan, fit.hidden_means)
    return unknown, fit.deviance, "not_converged"


def _usual_start(design: Floats, tables: Floats, offset: Floats) -> Floats:
    """Coefficients of the mean of the tables."""
    if not len(tables):
        return np.zeros(design.shape[1])
    mean = tables.mean(axis=0)[None]
    everywhere = np.ones_like(mean, dtype=np.bool_)
    start, _, _ = fit_tables(design, mean, everywhere, np.zeros(design.shape[1]), offset)
    return np.where(np.isfinite(start[0]), start[0], 0.0)


# === where a design with many hidden cells has its maximum, and what that says of each hidden cell ====================
# With covariates every stratum has a hidden cell of its own, and designs hold real numbers beside 0 and 1.
# The questions are those of `hiddenpop.kernels.poisson.faces`, answered in the null space of the cells with people
# in them, which is small.


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


# === poisson log-linear fits of one explicit design to many tables, compiled ==========================================
# Newton steps from a warm start: a Gram matrix by BLAS, Cholesky, and a start from the counts where the
# warm one fails.


@njit
def factor(gram: Floats, lower: Floats) -> int:
    """Cholesky factor of `gram` into `lower`; an aliased parameter gets a zero row. Give how many there are."""
    frozen = 0
    p = gram.shape[0]
    for j in range(p):
        pivot = gram[j, j]
        for k in range(j):
            pivot -= lower[j, k] * lower[j, k]
        if pivot > PIVOT_TOLERANCE * gram[j, j] and pivot > 0.0:
            root = np.sqrt(pivot)
            lower[j, j] = root
            for i in range(j + 1, p):
                value = gram[i, j]
                for k in range(j):
                    value -= lower[i, k] * lower[j, k]
                lower[i, j] = value / root
        else:
            frozen += 1
            for i in range(j, p):
                lower[i, j] = 0.0
    return frozen


@njit
def _log_likelihood(counts: Floats, linear: Floats, means: Floats) -> float:
    """Fill `means` and return the Poisson log-likelihood up to a constant; minus infinity where it overflows."""
    total = 0.0
    for w in range(counts.shape[0]):
        if not linear[w] < LARGEST_LINEAR:
            return -np.inf
        means[w] = np.exp(linear[w])
        total += counts[w] * linear[w] - means[w]
    return total


@njit
def _deviance(counts: Floats, means: Floats) -> float:
    total = 0.0
    for w in range(counts.shape[0]):
        if counts[w] > 0.0:
            relative = (means[w] - counts[w]) / counts[w]
            logarithm = np.log1p(relative) if relative > -0.5 else np.log(means[w] / counts[w])
            total += counts[w] * (relative - logarithm)
        else:
            total += means[w]
    return 2.0 * total


@njit
def _gram(design: Floats, weights: Floats) -> Floats:
    weighted = np.empty_like(design)
    for w in range(design.shape[0]):
        root = np.sqrt(weights[w])
        for j in range(design.shape[1]):
            weighted[w, j] = design[w, j] * root
    return np.dot(weighted.T, weighted)


@njit
def _cold_start(design: Floats, counts: Floats, offset: Floats, lower: Floats, coefficients: Floats) -> None:
    """One weighted least-squares fit to the logarithm of the counts, a little added."""
    weights = counts + START_OFFSET
    factor(_gram(design, weights), lower)
    coefficients[:] = np.dot(design.T, weights * (np.log(weights) - offset))
    solve_factored(lower, coefficients.shape[0], coefficients)


@njit
def likelihood_bound(means: Floats) -> float:
    """Bound the log-likelihood of a model from above by any means that meet all of its margins.

    Parameters
    ----------
    means : ndarray, shape (m,)
        With ``design.T @ means == design.T @ counts``.

    Returns
    -------
    float
        ``sum(means log(means) - means)``, or inf where a mean is negative and there is no bound.

    Notes
    -----
    For such means ``counts @ linear = means @ linear`` for every linear predictor of the model, and
    ``mu x - exp(x)`` is at most ``mu log(mu) - mu``. Newton's step gives such means, the linear ones.
    """
    total = 0.0
    for mean in means:
        if mean < 0.0:
            return np.inf
        if mean > 0.0:
            total += mean * (np.log(mean) - 1.0)
    return total


@njit
def _climb(
    design: Floats,
    counts: Floats,
    offset: Floats,
    coefficients: Floats,
    linear: Floats,
    means: Floats,
    lower: Floats,
    needed: float,
) -> tuple[bool, float]:
    """Newton from `coefficients`, in place, until it has converged or cannot reach the likelihood that is needed."""
    linear[:] = np.dot(design, coefficients) + offset
    likelihood = _log_likelihood(counts, linear, means)
    if likelihood == -np.inf:
        return False, likelihood
    for _ in range(MAX_ITERATIONS):
        frozen = factor(_gram(design, means), lower)
        score = np.dot(design.T, counts - means)
        step = score.copy()
        solve_factored(lower, step.shape[0], step)
        decrement = np.dot(score, step)
        moved = np.dot(design, step)
        if frozen == 0 and needed > -np.inf and likelihood_bound(means * (1.0 + moved)) < needed:
            return False, -np.inf
        share = 1.0
        proposed = -np.inf
        for _ in range(MAX_HALVINGS):
            proposed = _log_likelihood(counts, linear + share * moved, means)
            if proposed >= likelihood - LIKELIHOOD_SLACK * (1.0 + abs(likelihood)):
                break
            share *= 0.5
        if proposed == -np.inf:
            return False, likelihood
        coefficients += share * step
        linear += share * moved
        likelihood = proposed
        if decrement < DECREMENT_TOLERANCE:
            return True, likelihood
    return False, likelihood


@njit
def fit_cells(
    design: Floats, counts: Floats, offset: Floats, start: Floats, means: Floats, needed: float
) -> tuple[Floats, float, bool]:
    """Fit one table.

    Parameters
    ----------
    design : ndarray, shape (m, p)
        Contiguous.
    counts : ndarray, shape (m,)
    offset : ndarray, shape (m,)
        Added to the linear predictor; 0 where the fit may be given up.
    start : ndarray, shape (p,)
        Coefficients to start from.
    means : ndarray, shape (m,)
        Filled with the fitted means.
    needed : float
        The fit is given up as soon as it is proven that the log-likelihood, without the factorials of the counts,
        stays below this; minus infinity to go on.

    Returns
    -------
    coefficients : ndarray, shape (p,)
    likelihood : float
        Log-likelihood without the factorials; minus infinity where the fit was given up.
    converged : bool
    """
    p = design.shape[1]
    lower = np.zeros((p, p))
    linear = np.empty(design.shape[0])
    coefficients = start.copy()
    converged, likelihood = _climb(design, counts, offset, coefficients, linear, means, lower, needed)
    if not converged and not (needed > -np.inf and likelihood == -np.inf):
        _cold_start(design, counts, offset, lower, coefficients)
        converged, likelihood = _climb(design, counts, offset, coefficients, linear, means, lower, needed)
    return coefficients, likelihood, converged


@njit
def fit_tables(
    design: Floats, tables: Floats, on_face: Bools, start: Floats, offset: Floats
) -> tuple[Floats, Floats, Bools]:
    """Fit one design to many tables, each on its own face.

    Parameters
    ----------
    design : ndarray, shape (m, p)
    tables : ndarray, shape (b, m)
    on_face : ndarray of bool, shape (b, m)
        Cells with a positive mean at the maximum.
    start : ndarray, shape (p,)
    offset : ndarray, shape (m,)
        Added to the linear predictor.

    Returns
    -------
    coefficients : ndarray, shape (b, p)
        Those that the face does not determine are one choice of many.
    deviances : ndarray, shape (b,)
    converged : ndarray of bool, shape (b,)
    """
    b, p = tables.shape[0], design.shape[1]
    coefficients = np.empty((b, p))
    deviances = np.empty(b)
    converged = np.empty(b, dtype=np.bool_)
    for i in range(b):
        cells = np.flatnonzero(on_face[i])
        rows = np.empty((cells.shape[0], p))
        counts = np.empty(cells.shape[0])
        shifts = np.empty(cells.shape[0])
        for w in range(cells.shape[0]):
            rows[w] = design[cells[w]]
            counts[w] = tables[i, cells[w]]
            shifts[w] = offset[cells[w]]
        means = np.empty(cells.shape[0])
        coefficients[i], _, converged[i] = fit_cells(rows, counts, shifts, start, means, -np.inf)
        deviances[i] = _deviance(counts, means)
    return coefficients, deviances, converged
