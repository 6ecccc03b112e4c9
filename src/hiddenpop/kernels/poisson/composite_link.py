"""Log-linear models whose observed counts are sums of cells, where lists do not operate: maximum likelihood.

A person whom the absent list would have caught and one whom it would not have caught look alike. The counts are then
Poisson with means ``m = C exp(X b)``, a composite link. The likelihood need not be concave, and a face of it is no
face of a linear model. What is said of a maximum here is found by climbing to it, so it is numerical where
`hiddenpop.kernels.poisson.hidden_cells` is exact.
"""

import math
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Bools, Floats, Ints, Texts
from hiddenpop.kernels.poisson.dense import fit_design, one_thread, poisson_deviance
from hiddenpop.kernels.poisson.faces import FitStatus
from hiddenpop.kernels.poisson.hidden_cells import (
    MEAN_BY_STATUS,
    HiddenFace,
    HiddenRefits,
    face_of_cells,
    independent_columns,
    total_status,
)

__all__ = ["CompositeCells", "CompositeFit", "fit_composite", "refit_composite"]

VANISHING = 1e-7
"""Persons. A climb towards infinity stops when the means that go to 0 have reached about 1e-12."""

SAME_DEVIANCE = 1e-7
"""Deviances that differ by less than this share of 1 plus the deviance are equal but for rounding."""

SAME_HIDDEN = 1e-4
"""Two climbs to one maximum agree on the hidden persons to more digits than this."""

LOOSE = 1e-6
"""A gradient of the log of the hidden persons that sticks out of the row space by more is not determined."""

LOOSE_RIDGE = 1e-3
"""The same along a ridge, whose direction is known to fewer digits."""

MOST_FACES = 5
TWO_MAXIMA = "the likelihood has two maxima of the same height that give different numbers of hidden persons"
NOT_DETERMINED = (
    "hidden persons change in number along a direction that leaves the likelihood of the counts alone"
)

MAX_ITERATIONS = 1000
DECREMENT_TOLERANCE = 1e-12
LONGEST_STEP, SMALLEST_RADIUS = 5.0, 1e-9
"""No logarithm of a mean moves further in one step; and less than this is not a step."""

POOR, GOOD = 0.25, 0.75
"""Shares of the gain that a quadratic promised."""

SMALLEST_DAMPING = 1e-8
"""Where the search for a damping that keeps a step short begins; 1 is about that of an EM step."""

LARGEST_LINEAR = 700.0
SMALLEST_MEAN = 1e-280
SLACK = 1e-9
"""Rise of the deviance, as a share of 1 plus itself, that rounding explains."""

ALIASED = 1e-8
"""Singular values of the design of the sums, columns of size 1, below this share of the largest are 0."""

NOT_TOLD = 1e-10
"""Directions in which all cells together tell less than this share have means that are gone."""

SADDLE = -1e-5
"""Curvature, as a share of the information in all cells, from which on the likelihood bends upwards."""

FLAT = 1e-6
"""The same, below which a peak is a ridge. Peaks are found to about a millionth of a standard error."""

MOST_SADDLES = 4
EM_STEPS = 3
TILTS = (1.0, 0.1, 10.0)
"""Weights of the second, third, ... cell of a row against the first one where a climb starts."""


@dataclass(frozen=True, slots=True, eq=False)
class CompositeCells:
    """Cells of a log-linear model and the rows they are added up to.

    Attributes
    ----------
    cells : ndarray, shape (c, p)
        Design of the cells.
    row_of : ndarray of int, shape (c,)
        Row of each cell, ascending: first the observed rows, then the hidden ones.
    n_rows : int
        Number of observed rows.
    n_hidden : int
        Number of hidden rows.
    """

    cells: Floats
    row_of: Ints
    n_rows: int
    n_hidden: int

    @property
    def seen(self) -> tuple[Floats, Ints]:
        """Design and row of the cells in observed rows."""
        here = self.row_of < self.n_rows
        return self.cells[here], self.row_of[here]

    @property
    def unseen(self) -> tuple[Floats, Ints]:
        """Design and hidden row of the other cells."""
        here = self.row_of >= self.n_rows
        return self.cells[here], self.row_of[here] - self.n_rows


@dataclass(frozen=True, slots=True, eq=False)
class CompositeFit:
    """A log-linear model fitted to one table of sums.

    Attributes
    ----------
    status : {"ok", "boundary", "unbounded", "not_identified"}
        Of the sum of the hidden rows.
    hidden_status : ndarray of str, shape (h,)
    hidden_means : ndarray, shape (h,)
        Hidden persons a row: 0 at the boundary, inf when unbounded, nan when not identified.
    hidden_gradient : ndarray, shape (h, p)
        Derivative of the logarithm of the hidden persons by the coefficients.
    on_face : ndarray of bool, shape (m,)
        Observed rows with a positive mean at the maximum.
    rank : int
        Parameters that the data determine.
    n_parameters : int
        Parameters that data without empty rows would determine.
    exists : bool
        Whether, empty margins taken out, the maximum is attained and unique.
    coefficients : ndarray, shape (p,)
        ``-inf`` where the margin is empty, nan where the data do not determine it.
    covariance : ndarray, shape (p, p)
        Of the coefficients that the data determine; nan elsewhere.
    estimable_covariance : ndarray, shape (p, p)
        Right for every combination of coefficients that the data determine.
    means : ndarray, shape (m,)
    deviance : float
    converged : bool
    reason : str
        Why the hidden persons are not identified, where this took more than a look at the cells.
    """

    status: FitStatus
    hidden_status: Texts
    hidden_means: Floats
    hidden_gradient: Floats
    on_face: Bools
    rank: int
    n_parameters: int
    exists: bool
    coefficients: Floats
    covariance: Floats
    estimable_covariance: Floats
    means: Floats
    deviance: float
    converged: bool
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class _Maximum:
    """Where a climb ended: face, columns kept, and the peak on it."""

    face: HiddenFace
    kept: Ints
    part: "Part"
    peak: "Peak"


@dataclass(frozen=True, slots=True, eq=False)
class _Hidden:
    """What a maximum says of the hidden rows."""

    status: Texts
    means: Floats
    gradient: Floats
    reason: str


def fit_composite(table: CompositeCells, counts: Floats) -> CompositeFit:
    """Fit a log-linear model to sums of its cells by Poisson maximum likelihood.

    Parameters
    ----------
    table : CompositeCells
    counts : ndarray, shape (m,)
        Persons in the observed rows.

    Returns
    -------
    CompositeFit

    Notes
    -----
    Newton steps from several starts of a few EM steps each, which spread every count over its cells in different
    ways. The highest peak counts. Variances come from the Fisher information of ``D = diag(1 / m) C diag(mu) X``, the
    design of the sums.

    Cells that only rows without persons have are taken off beforehand when the likelihood climbs to the face without
    them; that is exact. Other means that go to 0 on the way are taken off when a direction exists that lowers them
    and leaves the rest alone, and when the peak without them is as high. Then a hidden row is "unbounded", "boundary"
    or "not_identified" when its cells are, by the directions that lead to the face. It is "ok" when they are finite,
    the gradient of its logarithm lies in the row space of D, and it does not change along ridges of the likelihood.
    Otherwise, and when two peaks of one height tell different numbers, it is "not_identified". All this holds near
    the peak that was found: a higher peak to which no start leads goes unseen.

    References
    ----------
    Thompson, R. and Baker, R. J. (1981). Composite link functions in generalized linear models. Applied Statistics
    30(2), 125-131. doi:10.2307/2346381

    Examples
    --------
    Two lists; where the second is absent, those on the first alone and those on both look alike.

    >>> import numpy as np
    >>> cells = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 0],
    ...                   [1, 0, 0, 1], [1, 0, 1, 1]])
    >>> table = CompositeCells(cells, np.array([0, 1, 2, 3, 3, 4, 5, 5]), 4, 2)
    >>> fit_composite(table, np.array([30.0, 20, 10, 80])).hidden_means.round(6).tolist()
    [60.0, 160.0]
    """
    with one_thread():
        found, *others = _maxima(table, counts, None)
        return _record(table, found, _with_rivals(table, found, others))


def refit_composite(table: CompositeCells, tables: Floats, *, start: Floats) -> HiddenRefits:
    """Fit one model to many tables of sums: the inner loop of a bootstrap.

    Parameters
    ----------
    table : CompositeCells
    tables : ndarray, shape (b, m)
        One table a row.
    start : ndarray, shape (p,)
        Coefficients near those of the tables; the only start unless it leads nowhere.

    Returns
    -------
    HiddenRefits

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.array([[1.0, 1, 0], [1, 0, 1], [1, 1, 1], [1, 0, 0]])
    >>> table = CompositeCells(cells, np.arange(4), 3, 1)
    >>> refit_composite(table, np.array([[30.0, 20, 10], [30, 20, 0]]), start=np.zeros(3)).hidden_means.round(6)
    array([[60.],
           [inf]])
    """
    with one_thread():
        return _refits(table, tables, np.where(np.isfinite(start), start, 0.0))


def _refits(table: CompositeCells, tables: Floats, start: Floats) -> HiddenRefits:
    means = np.empty((len(tables), table.n_hidden))
    deviances = np.empty(len(tables))
    status = np.empty(len(tables), dtype="<U14")
    for i, counts in enumerate(np.asarray(tables, dtype=np.float64)):
        found = _maxima(table, counts, start)[0]
        if not found.peak.converged:
            found = _maxima(table, counts, None)[0]
        hidden = _judge(table, found)
        means[i], status[i] = hidden.means, total_status(hidden.status)
        deviances[i] = found.peak.deviance
        if not found.peak.converged:
            means[i], status[i] = np.where(hidden.status == "ok", np.nan, hidden.means), "not_converged"
    return HiddenRefits(means, deviances, status)


# --- the maximum ------------------------------------------------------------------------------------------------------


def _maxima(table: CompositeCells, counts: Floats, start: Floats | None) -> list[_Maximum]:
    """Climb to peaks, each on the face where it lies; the highest first."""
    cells, row_of = table.seen
    face = face_of_cells(cells, table.unseen[0], counts[row_of] > 0)
    kept, part = _part(cells, row_of, counts, face)
    peaks = highest(part) if start is None else [climb(part, _onto(part, cells[face.on_face] @ start))]
    found = [_down_to_face(table, counts, _Maximum(face, kept, part, peak)) for peak in peaks]
    return sorted(found, key=lambda maximum: maximum.peak.deviance)


def _down_to_face(table: CompositeCells, counts: Floats, found: _Maximum) -> _Maximum:
    for _ in range(MOST_FACES):
        smaller = _smaller_face(table, counts, found)
        if smaller is None:
            break
        found = smaller
    return found


def _part(cells: Floats, row_of: Ints, counts: Floats, face: HiddenFace) -> "tuple[Ints, Part]":
    """Cells on the face with a subset of columns of full rank."""
    alive = np.flatnonzero(~face.dead)
    kept = alive[independent_columns(cells[np.ix_(face.on_face, alive)])] if len(alive) else alive
    return kept, Part.of(cells[np.ix_(face.on_face, kept)], row_of[face.on_face], counts)


def _onto(part: "Part", linear: Floats) -> Floats:
    """Coefficients of a part from linear predictors of its cells."""
    if not part.cells.size:
        return np.zeros(part.cells.shape[1])
    coefficients: Floats = np.linalg.lstsq(part.cells, linear, rcond=None)[0].astype(np.float64)
    return coefficients


def _smaller_face(table: CompositeCells, counts: Floats, found: _Maximum) -> _Maximum | None:
    """Give the peak without the means that went to 0; None where there are none, or where it is lower."""
    cells, row_of = table.seen
    stays = found.face.on_face.copy()
    stays[stays] = found.peak.cell_means > VANISHING
    if (stays == found.face.on_face).all():
        return None
    face = face_of_cells(cells, table.unseen[0], stays)
    if (face.on_face == found.face.on_face).all():
        return None
    kept, part = _part(cells, row_of, counts, face)
    inside = face.on_face[found.face.on_face]
    linear = np.log(np.maximum(found.peak.cell_means[inside], VANISHING))
    peak = climb(part, _onto(part, linear))
    if peak.deviance > found.peak.deviance + SAME_DEVIANCE * (1.0 + found.peak.deviance):
        return None
    return _Maximum(face, kept, part, peak)


# --- what it says of the hidden ---------------------------------------------------------------------------------------


def _judge(table: CompositeCells, found: _Maximum) -> _Hidden:
    """Status, mean and gradient of every hidden row."""
    _, row_of = table.unseen
    means, gradient = _hidden_at(table, found, found.peak.coefficients)
    free = null_of_rows(expected_rows(found.part, found.peak.coefficients))
    flat = flat_directions(found.part, found.peak.coefficients)
    sticks_out = np.abs(gradient[:, found.kept] @ free).max(axis=1, initial=0.0) > LOOSE
    sticks_out |= np.abs(gradient[:, found.kept] @ flat).max(axis=1, initial=0.0) > LOOSE_RIDGE
    status = np.empty(table.n_hidden, dtype="<U14")
    for row in range(table.n_hidden):
        status[row] = total_status(found.face.hidden_status[row_of == row])
    loose = sticks_out & (status == "ok")
    status[loose] = "not_identified"
    numbers = np.array([MEAN_BY_STATUS.get(word, 1.0) for word in status.tolist()])
    numbers[status == "ok"] = means[status == "ok"]
    return _Hidden(status, numbers, gradient, NOT_DETERMINED if loose.any() else "")


def _hidden_at(table: CompositeCells, found: _Maximum, coefficients: Floats) -> tuple[Floats, Floats]:
    """Hidden persons of each row in cells with a finite mean, and the gradient of their logarithm."""
    cells, row_of = table.unseen
    fine = found.face.hidden_status == "ok"
    linear = np.minimum(cells[np.ix_(fine, found.kept)] @ coefficients, LARGEST_LINEAR)
    each = np.exp(linear)
    means: Floats = np.bincount(row_of[fine], each, minlength=table.n_hidden).astype(np.float64)
    gradient = np.zeros((table.n_hidden, cells.shape[1]))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(means[row_of[fine]] > 0.0, each / means[row_of[fine]], 0.0)
    np.add.at(gradient, row_of[fine], shares[:, None] * cells[fine])
    return means, gradient


def _with_rivals(table: CompositeCells, found: _Maximum, others: list[_Maximum]) -> _Hidden:
    """Judge the hidden rows, and give up those of which another peak of the same height tells another number."""
    hidden = _judge(table, found)
    status, means, reason = hidden.status.copy(), hidden.means.copy(), hidden.reason
    slack = SAME_DEVIANCE * (1.0 + found.peak.deviance)
    for other in others:
        if not other.peak.converged or other.peak.deviance > found.peak.deviance + slack:
            continue
        differs = (status != "not_identified") & ~_same(hidden, _judge(table, other))
        status[differs], means[differs] = "not_identified", math.nan
        reason = TWO_MAXIMA if differs.any() else reason
    return _Hidden(status, means, hidden.gradient, reason)


def _same(one: _Hidden, other: _Hidden) -> Bools:
    """Whether two peaks tell the same of each hidden row."""
    close = np.isclose(one.means, other.means, rtol=SAME_HIDDEN, atol=SAME_HIDDEN, equal_nan=True)
    same: Bools = (one.status == other.status) & close
    return same


# --- the record -------------------------------------------------------------------------------------------------------


def _record(table: CompositeCells, found: _Maximum, hidden: _Hidden) -> CompositeFit:
    rows = expected_rows(found.part, found.peak.coefficients)
    free = null_of_rows(rows)
    coefficients, covariance, estimable = _by_column(found, rows, free)
    rank = len(found.kept) - free.shape[1]
    means = np.zeros(table.n_rows)
    means[found.part.rows] = found.peak.means
    return CompositeFit(
        status=total_status(hidden.status),
        hidden_status=hidden.status,
        hidden_means=hidden.means,
        hidden_gradient=hidden.gradient,
        on_face=np.isin(np.arange(table.n_rows), found.part.rows),
        rank=rank,
        n_parameters=max(rank, _generic_rank(table)),
        exists=rank == int((~found.face.dead).sum()) and found.face.exists,
        coefficients=coefficients,
        covariance=covariance,
        estimable_covariance=estimable,
        means=means,
        deviance=found.peak.deviance,
        converged=found.peak.converged,
        reason=hidden.reason,
    )


def _by_column(found: _Maximum, rows: Floats, free: Floats) -> tuple[Floats, Floats, Floats]:
    """Spread coefficients and their covariance over all columns."""
    p, kept = len(found.face.dead), found.kept
    inverse = _inverse_information(rows, found.peak.means)
    coefficients = np.where(found.face.dead, -np.inf, np.nan)
    covariance, estimable = np.full((p, p), np.nan), np.zeros((p, p))
    estimable[np.ix_(kept, kept)] = inverse
    sure = found.face.determined[kept] & (np.abs(free).max(axis=1, initial=0.0) < LOOSE)
    known = kept[sure]
    coefficients[known] = found.peak.coefficients[sure]
    covariance[np.ix_(known, known)] = inverse[np.ix_(sure, sure)]
    return coefficients, covariance, estimable


def _inverse_information(rows: Floats, means: Floats) -> Floats:
    """Generalised inverse of the information, right for whatever lies in the row space."""
    weighted = np.sqrt(means)[:, None] * rows
    size = np.sqrt(np.einsum("ij,ij->j", weighted, weighted))
    size = np.where(size > 0.0, size, 1.0)
    if not weighted.size:
        return np.zeros((rows.shape[1], rows.shape[1]))
    _, values, right = np.linalg.svd(weighted / size, full_matrices=False)
    rank = rows.shape[1] - null_of_rows(rows).shape[1]
    half = right[:rank].T / values[:rank] / size[:, None]
    return np.asarray(half @ half.T)


def _generic_rank(table: CompositeCells) -> int:
    """Rank of the design of the sums at coefficients without any symmetry."""
    cells, row_of = table.seen
    p = cells.shape[1]
    part = Part.of(cells, row_of, np.zeros(table.n_rows))
    return p - null_of_rows(expected_rows(part, 0.5 * np.sin(1.0 + np.arange(p) ** 1.5))).shape[1]


# === climbing the likelihood of sums of log-linear cells ==============================================================
# EM steps to start with, then Newton's in a region of trust.
#
# Near independence of the lists the information in sums is nearly singular, however many persons there are.
# Fisher scoring overshoots there and EM hardly moves. Steps are measured by the information that all cells
# would hold, the metric in which an EM step has length one.


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Cells with a positive mean and the rows they add up to.

    Attributes
    ----------
    cells : ndarray, shape (c, q)
        In the order of their rows.
    row : ndarray of int, shape (c,)
        Place in `rows` of each cell's row.
    first : ndarray of int, shape (r,)
        First cell of each row.
    rows : ndarray of int, shape (r,)
        Rows of the table that have a cell.
    counts : ndarray, shape (r,)
    outside : float
        Persons in rows without a cell; with any, no means fit.
    """

    cells: Floats
    row: Ints
    first: Ints
    rows: Ints
    counts: Floats
    outside: float

    @classmethod
    def of(cls, cells: Floats, row_of: Ints, counts: Floats) -> "Part":
        """Take cells in the order of their rows."""
        rows, first, row = np.unique(row_of, return_index=True, return_inverse=True)
        here = counts[rows].astype(np.float64)
        return cls(cells, row, first, rows, here, float(counts.sum() - here.sum()))

    def add_up(self, values: Floats) -> Floats:
        """Add up values of cells by row."""
        return np.add.reduceat(values, self.first, axis=0) if len(self.first) else values[:0]


@dataclass(frozen=True, slots=True, eq=False)
class Peak:
    """Where a climb ended.

    Attributes
    ----------
    coefficients : ndarray, shape (q,)
    cell_means : ndarray, shape (c,)
    means : ndarray, shape (r,)
    deviance : float
    converged : bool
    """

    coefficients: Floats
    cell_means: Floats
    means: Floats
    deviance: float
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Coefficients with everything that follows from them."""

    coefficients: Floats
    cell_means: Floats
    means: Floats
    deviance: float


def highest(part: Part) -> list[Peak]:
    """Climb from several starts.

    Parameters
    ----------
    part : Part

    Returns
    -------
    list of Peak
        The highest first.
    """
    peaks = [climb(part, _start(part, tilt)) for tilt in TILTS]
    return sorted(peaks, key=lambda peak: peak.deviance)


def climb(part: Part, start: Floats) -> Peak:
    """Climb to a maximum of the likelihood, away from saddles.

    Parameters
    ----------
    part : Part
        Its columns of full rank; those of the sums need not be.
    start : ndarray, shape (q,)

    Returns
    -------
    Peak

    Examples
    --------
    >>> cells = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    >>> peak = climb(Part.of(cells, np.array([0, 1, 1]), np.array([4.0, 24.0])), np.zeros(2))
    >>> np.exp(peak.coefficients).round(6).tolist()
    [4.0, 3.0]
    """
    state = _state(part, start)
    converged = False
    for _ in range(MOST_SADDLES):
        state, converged = _newton(part, state)
        upwards = _upwards(part, state) if converged else None
        if upwards is None:
            break
        sides = [_newton(part, _state(part, state.coefficients + sign * upwards))[0] for sign in (1.0, -1.0)]
        state = min(sides, key=lambda side: side.deviance)
    return Peak(state.coefficients, state.cell_means, state.means, state.deviance, converged)


def _newton(part: Part, state: _State) -> tuple[_State, bool]:
    """Newton steps until one gains nothing; an EM step where no step can be trusted."""
    radius = LONGEST_STEP
    for _ in range(MAX_ITERATIONS):
        bends, directions = _bends(part, state)
        slope = directions.T @ (expected_rows(part, state.coefficients).T @ (part.counts - state.means))
        done = bool(np.sum(slope**2 / np.maximum(np.abs(bends), FLAT)) < DECREMENT_TOLERANCE)
        step = _step(bends, slope, part.cells @ directions, radius)
        proposed = _state(part, state.coefficients + directions @ step)
        gained = state.deviance - proposed.deviance
        promised = float(2.0 * slope @ step - bends @ step**2)
        rounding = SLACK * (1.0 + state.deviance)
        if done:
            return (proposed if gained >= 0.0 else state), True
        radius = _next_radius(radius, gained + rounding, promised)
        if gained >= -rounding:
            state = proposed
        elif radius < SMALLEST_RADIUS:
            state, radius = _state(part, em_step(part, state.cell_means)), LONGEST_STEP
    return state, False


def _step(bends: Floats, slope: Floats, moves: Floats, radius: float) -> Floats:
    """Newton step along each direction, damped until no logarithm of a mean moves further than the radius.

    `moves` is how a step of size 1 along each direction moves the logarithms of the means, shape (c, k).
    """
    lowest = float(bends.min(initial=1.0))
    damping = 2.0 * FLAT - lowest if lowest < 0.0 else 0.0
    floor = np.maximum(bends, FLAT) if lowest >= 0.0 else bends
    step = slope / (floor + damping)
    while np.abs(moves @ step).max(initial=0.0) > radius:
        damping = max(2.0 * damping, SMALLEST_DAMPING)
        step = slope / (floor + damping)
    return np.asarray(step)


def _next_radius(radius: float, gained: float, promised: float) -> float:
    """Widen the region of trust where the quadratic kept its promise, narrow it where it did not."""
    if gained < POOR * promised:
        return radius / 4.0
    return min(2.0 * radius, LONGEST_STEP) if gained > GOOD * promised else radius


def _state(part: Part, coefficients: Floats) -> _State:
    cell_means = np.maximum(np.exp(np.minimum(part.cells @ coefficients, LARGEST_LINEAR)), SMALLEST_MEAN)
    means = part.add_up(cell_means)
    deviance = poisson_deviance(part.counts, means) if part.outside == 0.0 else np.inf
    return _State(coefficients, cell_means, means, deviance)


def expected_rows(part: Part, coefficients: Floats) -> Floats:
    """Design of the sums: the mean of the design over each row's cells, weighed by their means.

    Parameters
    ----------
    part : Part
    coefficients : ndarray, shape (q,)

    Returns
    -------
    ndarray, shape (r, q)
    """
    return part.add_up(_shares(part, part.cells @ coefficients)[:, None] * part.cells)


def _shares(part: Part, linear: Floats) -> Floats:
    """Share of each cell in its row."""
    if not len(linear):
        return linear
    weights = np.exp(linear - np.maximum.reduceat(linear, part.first)[part.row])
    return np.asarray(weights / part.add_up(weights)[part.row])


def null_of_rows(rows: Floats) -> Floats:
    """Orthonormal columns that span the directions that no row sees, shape (q, k)."""
    size = _sizes(rows)
    if not rows.size:
        return np.eye(rows.shape[1])
    _, values, right = np.linalg.svd(rows / size, full_matrices=True)
    rank = int(np.sum(values > ALIASED * max(float(values[0]), 1.0)))
    null, _ = np.linalg.qr(right[rank:].T / size[:, None])
    return null


def _sizes(rows: Floats) -> Floats:
    """Length of each column, 1 for an empty one."""
    size = np.sqrt(np.einsum("ij,ij->j", rows, rows))
    return np.where(size > 0.0, size, 1.0)


# --- EM ---------------------------------------------------------------------------------------------------------------


def _start(part: Part, tilt: float) -> Floats:
    """Take a few EM steps from counts that are spread evenly over their cells, but for a tilt of the first one."""
    weights = np.full(len(part.row), tilt)
    weights[part.first] = 1.0
    coefficients = np.zeros(part.cells.shape[1])
    for _ in range(EM_STEPS):
        coefficients = em_step(part, weights)
        weights = np.exp(np.minimum(part.cells @ coefficients, LARGEST_LINEAR))
    return coefficients


def em_step(part: Part, weights: Floats) -> Floats:
    """Spread every count over its cells in proportion to weights, and fit the cells.

    Parameters
    ----------
    part : Part
    weights : ndarray, shape (c,)

    Returns
    -------
    ndarray, shape (q,)
    """
    if not part.cells.shape[1]:
        return np.zeros(0)
    shares = weights / part.add_up(weights)[part.row]
    return fit_design(part.cells, part.counts[part.row] * shares).coefficients


# --- curvature --------------------------------------------------------------------------------------------------------


def flat_directions(part: Part, coefficients: Floats) -> Floats:
    """Directions along which the likelihood is flat at a peak.

    Parameters
    ----------
    part : Part
    coefficients : ndarray, shape (q,)
        Of the peak.

    Returns
    -------
    ndarray, shape (q, k)
        Columns of length 1.

    Notes
    -----
    The likelihood of sums may be flat where the means change: those of empty rows, with a constant total.
    """
    values, directions = _bends(part, _state(part, coefficients))
    flat = directions[:, values < FLAT]
    return flat / _sizes(flat)


def _upwards(part: Part, state: _State) -> Floats | None:
    """Direction in which the likelihood bends upwards, moving a mean by a factor of e; None at a maximum."""
    values, directions = _bends(part, state)
    if not len(values) or values[0] > SADDLE:
        return None
    moved = np.abs(part.cells @ directions[:, 0]).max()
    return np.asarray(directions[:, 0] / moved)


def _bends(part: Part, state: _State) -> tuple[Floats, Floats]:
    """Curvature of minus the log-likelihood as shares of what all cells would tell, ascending, and its directions."""
    whole = part.cells.T @ (state.cell_means[:, None] * part.cells)
    size = np.sqrt(np.diag(whole))
    size = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(whole / np.outer(size, size))
    told = values > NOT_TOLD
    white = vectors[:, told] / np.sqrt(values[told]) / size[:, None]
    bends, turned = np.linalg.eigh(white.T @ _curvature(part, state) @ white)
    return bends, white @ turned


def _curvature(part: Part, state: _State) -> Floats:
    """Second derivatives of minus the log-likelihood."""
    rows = expected_rows(part, state.coefficients)
    excess = (1.0 - part.counts / state.means)[part.row] * state.cell_means
    squares = part.cells.T @ (excess[:, None] * part.cells)
    return np.asarray(squares + rows.T @ (part.counts[:, None] * rows))
