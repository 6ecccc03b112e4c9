"""Log-linear models whose observed counts are sums of cells, where lists do not operate: maximum likelihood.

A person whom the absent list would have caught and one whom it would not have caught look alike. The counts are then
Poisson with means ``m = C exp(X b)``, a composite link. The likelihood need not be concave, and a face of it is no
face of a linear model. What is said of a maximum here is found by climbing to it, so it is numerical where
`hiddenpop.kernels.hidden_cells` is exact.
"""

import math
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Bools, Floats, Ints, Texts
from hiddenpop.kernels.faces import FitStatus
from hiddenpop.kernels.hidden_cells import MEAN_BY_STATUS, HiddenRefits
from hiddenpop.kernels.hidden_faces import HiddenFace, face_of_cells, independent_columns, total_status
from hiddenpop.kernels.summed_climb import (
    LARGEST_LINEAR,
    Part,
    Peak,
    climb,
    expected_rows,
    flat_directions,
    highest,
    null_of_rows,
)
from hiddenpop.kernels.threads import one_thread

__all__ = ["SummedCells", "SummedFit", "fit_summed", "refit_summed"]


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


@dataclass(frozen=True, slots=True, eq=False)
class SummedCells:
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
class SummedFit:
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
    part: Part
    peak: Peak


@dataclass(frozen=True, slots=True, eq=False)
class _Hidden:
    """What a maximum says of the hidden rows."""

    status: Texts
    means: Floats
    gradient: Floats
    reason: str


def fit_summed(table: SummedCells, counts: Floats) -> SummedFit:
    """Fit a log-linear model to sums of its cells by Poisson maximum likelihood.

    Parameters
    ----------
    table : SummedCells
    counts : ndarray, shape (m,)
        Persons in the observed rows.

    Returns
    -------
    SummedFit

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
    >>> table = SummedCells(cells, np.array([0, 1, 2, 3, 3, 4, 5, 5]), 4, 2)
    >>> fit_summed(table, np.array([30.0, 20, 10, 80])).hidden_means.round(6).tolist()
    [60.0, 160.0]
    """
    with one_thread():
        found, *others = _maxima(table, counts, None)
        return _record(table, found, _with_rivals(table, found, others))


def refit_summed(table: SummedCells, tables: Floats, *, start: Floats) -> HiddenRefits:
    """Fit one model to many tables of sums: the inner loop of a bootstrap.

    Parameters
    ----------
    table : SummedCells
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
    >>> table = SummedCells(cells, np.arange(4), 3, 1)
    >>> refit_summed(table, np.array([[30.0, 20, 10], [30, 20, 0]]), start=np.zeros(3)).hidden_means.round(6)
    array([[60.],
           [inf]])
    """
    with one_thread():
        return _refits(table, tables, np.where(np.isfinite(start), start, 0.0))


def _refits(table: SummedCells, tables: Floats, start: Floats) -> HiddenRefits:
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


def _maxima(table: SummedCells, counts: Floats, start: Floats | None) -> list[_Maximum]:
    """Climb to peaks, each on the face where it lies; the highest first."""
    cells, row_of = table.seen
    face = face_of_cells(cells, table.unseen[0], counts[row_of] > 0)
    kept, part = _part(cells, row_of, counts, face)
    peaks = highest(part) if start is None else [climb(part, _onto(part, cells[face.on_face] @ start))]
    found = [_down_to_face(table, counts, _Maximum(face, kept, part, peak)) for peak in peaks]
    return sorted(found, key=lambda maximum: maximum.peak.deviance)


def _down_to_face(table: SummedCells, counts: Floats, found: _Maximum) -> _Maximum:
    for _ in range(MOST_FACES):
        smaller = _smaller_face(table, counts, found)
        if smaller is None:
            break
        found = smaller
    return found


def _part(cells: Floats, row_of: Ints, counts: Floats, face: HiddenFace) -> tuple[Ints, Part]:
    """Cells on the face with a subset of columns of full rank."""
    alive = np.flatnonzero(~face.dead)
    kept = alive[independent_columns(cells[np.ix_(face.on_face, alive)])] if len(alive) else alive
    return kept, Part.of(cells[np.ix_(face.on_face, kept)], row_of[face.on_face], counts)


def _onto(part: Part, linear: Floats) -> Floats:
    """Coefficients of a part from linear predictors of its cells."""
    if not part.cells.size:
        return np.zeros(part.cells.shape[1])
    coefficients: Floats = np.linalg.lstsq(part.cells, linear, rcond=None)[0].astype(np.float64)
    return coefficients


def _smaller_face(table: SummedCells, counts: Floats, found: _Maximum) -> _Maximum | None:
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


def _judge(table: SummedCells, found: _Maximum) -> _Hidden:
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


def _hidden_at(table: SummedCells, found: _Maximum, coefficients: Floats) -> tuple[Floats, Floats]:
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


def _with_rivals(table: SummedCells, found: _Maximum, others: list[_Maximum]) -> _Hidden:
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


def _record(table: SummedCells, found: _Maximum, hidden: _Hidden) -> SummedFit:
    rows = expected_rows(found.part, found.peak.coefficients)
    free = null_of_rows(rows)
    coefficients, covariance, estimable = _by_column(found, rows, free)
    rank = len(found.kept) - free.shape[1]
    means = np.zeros(table.n_rows)
    means[found.part.rows] = found.peak.means
    return SummedFit(
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


def _generic_rank(table: SummedCells) -> int:
    """Rank of the design of the sums at coefficients without any symmetry."""
    cells, row_of = table.seen
    p = cells.shape[1]
    part = Part.of(cells, row_of, np.zeros(table.n_rows))
    return p - null_of_rows(expected_rows(part, 0.5 * np.sin(1.0 + np.arange(p) ** 1.5))).shape[1]
