"""Climbing the likelihood of sums of log-linear cells: EM steps to start with, then Newton's in a region of trust.

Near independence of the lists the information in sums is nearly singular, however many persons there are. Fisher
scoring overshoots there and EM hardly moves. Steps are measured by the information that all cells would hold, the
metric in which an EM step has length one.
"""

from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Floats, Ints
from hiddenpop.kernels.dense import fit_design, poisson_deviance

__all__ = ["Part", "Peak", "climb", "em_step", "expected_rows", "flat_directions", "highest", "null_of_rows"]


MAX_ITERATIONS = 1000
DECREMENT_TOLERANCE = 1e-12
LONGEST_STEP, SMALLEST_RADIUS = 5.0, 1e-9
"""No logarithm of a mean moves further in one step; and less than this is no step."""

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
