"""Log-linear models with one hidden cell a stratum: fitted to a table to full precision, and refitted to many."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats, Texts
from hiddenpop.kernels.dense import LARGEST_QUICK_COUNT, DenseFit, fit_design
from hiddenpop.kernels.faces import FitStatus
from hiddenpop.kernels.hidden_faces import HiddenFace, face_of_cells, independent_columns, total_status
from hiddenpop.kernels.lattice import offset_or_zeros
from hiddenpop.kernels.poisson_batch import fit_tables
from hiddenpop.kernels.threads import one_thread

__all__ = ["NO_TAIL", "HiddenFit", "HiddenRefits", "SilentTail", "fit_hidden", "refit_hidden", "silent_tail"]


LEAST_PERSONS, LEAST_RISE = 1e-4, 0.02
LARGEST_RISE, LARGEST_RATIO = 40.0, 1e6
STEP = 1.6
"""How finely and how far the deviance of a stratum at the boundary is followed."""

MEAN_BY_STATUS = {"boundary": 0.0, "unbounded": math.inf, "not_identified": math.nan}


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


def _kept_columns(design: Floats, face: HiddenFace) -> npt.NDArray[np.intp]:
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
    the log-likelihood; see `hiddenpop.kernels.profile.profile_limits` for its use where few persons tell anything.

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


def _by_column(face: HiddenFace, kept: npt.NDArray[np.intp], fit: DenseFit) -> tuple[Floats, Floats, Floats]:
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
