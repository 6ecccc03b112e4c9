"""Poisson log-linear fits with an explicit design matrix: exact by weighted QR, and quicker for loops.

The lattice kernel forms Gram matrices, which squares the condition number. Here the design itself is factored, so
that counts from 1 to 10^12 in one table still leave ten digits. It also serves designs that are no subset lattice.
"""

import itertools
import math
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf, dpotrs

from hiddenpop._typing import Floats

__all__ = [
    "LARGEST_COUNT",
    "LARGEST_QUICK_COUNT",
    "DenseFit",
    "Examined",
    "RepeatedFit",
    "fit_design",
    "free_at_maximum",
    "one_thread",
    "poisson_deviance",
    "repeated_fit",
    "robust_fit",
    "steady_fit",
]

MAX_ITERATIONS = 300
DECREMENT_TOLERANCE = 1e-12
MAX_HALVINGS = 40
LONGEST_START, LONGEST_STEP = 60.0, 5.0
"""No logarithm of a mean moves further in one step, so that counts from 1 to 10^12 never overshoot to infinity."""

LARGEST_QUICK_COUNT = 10**9
"""Beyond it one person beside so many is lost in the rounding of fits that form Gram matrices; this file is used."""

START_OFFSET = 0.1
SMALLEST_MEAN = 1e-280
"""A mean on its way to 0 stops here, so that a count divided by it stays finite."""

LARGEST_LOG_MEAN = 600.0
"""Keeps means, and the squares of means, within the range of a double."""

STEADY_ITERATIONS = 500
STEADY_TOLERANCE = 1e-9
MEAN_ROUNDING = 1e-14
"""Relative rounding of a mean that is the exponential of a logarithm of about 50."""

SMALLEST_DAMPING, LARGEST_DAMPING = 1e-8, 1e12

LARGEST_COUNT = 1e10
"""Beyond it a Gram matrix loses one person beside so many, and the exact route of `dense` is needed."""

ITERATIONS, HALVINGS = 200, 30
TOLERANCE = 1e-10
"""Newton decrement after which one more step leaves the deviance right to the last digits."""

PIVOT_TOLERANCE = 1e-10
LONGEST_REPEATED_STEP = 5.0

Fit = TypeVar("Fit")

_HERE = threading.local()


@dataclass(frozen=True, slots=True)
class DenseFit:
    """A fitted Poisson log-linear model.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
    covariance : ndarray, shape (p, p)
        Inverse Fisher information, at the last iterate but one: good to about 1e-7 relative.
    means : ndarray, shape (m,)
    deviance : float
    converged : bool
    """

    coefficients: Floats
    covariance: Floats
    means: Floats
    deviance: float
    converged: bool


def poisson_deviance(counts: Floats, means: Floats) -> float:
    """Twice the log-likelihood lost against the saturated model; a mean of 0 under a count of 0 adds nothing.

    Examples
    --------
    >>> import numpy as np
    >>> poisson_deviance(np.array([2.0, 0.0]), np.array([2.0, 0.5]))
    1.0
    """
    positive = counts > 0
    seen, fitted = counts[positive], np.maximum(means[positive], SMALLEST_MEAN)
    relative = (fitted - seen) / seen
    near = relative > -0.5
    logarithm = np.where(near, np.log1p(np.maximum(relative, -0.5)), np.log(fitted) - np.log(seen))
    return float(2.0 * (np.sum(seen * (relative - logarithm)) + np.sum(means[~positive])))


def fit_design(design: Floats, counts: Floats, offset: Floats | float = 0.0) -> DenseFit:
    """Fit ``log E[counts] = offset + design @ coefficients`` by maximum likelihood.

    Parameters
    ----------
    design : ndarray, shape (m, p)
        Of full column rank; the maximum must be attained (see `hiddenpop.kernels.poisson.faces`).
    counts : ndarray, shape (m,)
    offset : ndarray, shape (m,), or float

    Returns
    -------
    DenseFit

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_design(np.array([[1.0, 1, 0], [1, 0, 1], [1, 1, 1]]), np.array([30.0, 20, 10]))
    >>> round(float(np.exp(fit.coefficients[0])), 6)
    60.0
    """
    means = np.maximum(counts, 0.0) + START_OFFSET
    start, triangle = _weighted_step(design, means, np.log(means) - offset)
    nowhere = np.zeros(design.shape[1])
    coefficients, linear, likelihood = _advance(
        design,
        counts,
        offset,
        nowhere,
        start,
        _log_likelihood(counts, design @ nowhere + offset),
        LONGEST_START,
    )
    converged = False
    for _ in range(MAX_ITERATIONS):
        means = np.maximum(np.exp(linear), SMALLEST_MEAN)
        step, triangle = _weighted_step(design, means, (counts - means) / means)
        decrement = float(np.sum((triangle @ step) ** 2))
        coefficients, linear, likelihood = _advance(
            design, counts, offset, coefficients, step, likelihood, LONGEST_STEP
        )
        if decrement < DECREMENT_TOLERANCE:
            converged = True
            break
    means = np.exp(linear)
    inverse = (
        np.linalg.pinv(triangle)
        if np.any(np.diag(triangle) == 0.0)
        else solve_triangular(triangle, np.eye(len(coefficients)))
    )
    return DenseFit(coefficients, inverse @ inverse.T, means, poisson_deviance(counts, means), converged)


def _weighted_step(design: Floats, means: Floats, response: Floats) -> tuple[Floats, Floats]:
    """Weighted least squares of `response` on the design; also the triangle whose cross-product is the information."""
    root = np.sqrt(means)
    orthogonal, triangle = np.linalg.qr(design * root[:, None])
    target = orthogonal.T @ (response * root)
    if np.all(np.diag(triangle) != 0.0):
        return solve_triangular(triangle, target), triangle
    # Means that have gone to 0 leave a parameter without information: the shortest step leaves it where it is.
    return np.linalg.lstsq(triangle, target)[0], triangle


def _log_likelihood(counts: Floats, linear: Floats) -> float:
    with np.errstate(over="ignore"):
        return float(counts @ linear - np.exp(linear).sum())


def _advance(
    design: Floats,
    counts: Floats,
    offset: Floats | float,
    coefficients: Floats,
    step: Floats,
    likelihood: float,
    longest: float,
) -> tuple[Floats, Floats, float]:
    """Take the step, cut to the longest allowed and halved until the likelihood falls by no more than rounding."""
    slack = 1e-9 * (1.0 + abs(likelihood))
    step = step * min(1.0, longest / np.max(np.abs(design @ step), initial=longest))
    for _ in range(MAX_HALVINGS):
        linear = design @ (coefficients + step) + offset
        proposed = _log_likelihood(counts, linear)
        if proposed >= likelihood - slack:
            break
        step = step / 2
    return coefficients + step, linear, proposed


# === poisson log-linear fits by damped Newton steps, from a warm start ================================================
# Quick on many cells, and steady on steep columns.
#
# `fit_design` factors the design, which is exact. A profile over twelve lists needs a hundred
# fits to 4,096 cells, each close to the last; Gram matrices and warm starts serve it better. The same steps
# take over where columns as steep as ``2^k`` or a supposed dark figure a million times the observed keep
# the exact route from converging.


def robust_fit(matrix: Floats, counts: Floats, offset: Floats | None = None) -> DenseFit:
    """Fit a Poisson log-linear model, by damped Newton steps where the undamped ones leave the range of numbers.

    Parameters
    ----------
    matrix : ndarray, shape (m, p)
        Of full column rank, the intercept last; the maximum is attained.
    counts : ndarray, shape (m,)
    offset : ndarray, shape (m,), optional
        Added to the log means; with it the undamped steps alone are tried.

    Returns
    -------
    DenseFit

    Examples
    --------
    >>> import numpy as np
    >>> levels = np.array([[0.0, 0.0, 1.0], [1.0, 0.5, 1.0], [2.0, 2.0, 1.0], [3.0, 4.5, 1.0]])
    >>> fit = robust_fit(levels, np.array([6.4e7, 0.0, 60.0, 4.0]))
    >>> fit.converged, round(float(fit.means.sum()))
    (True, 64000064)
    """
    if offset is not None:
        with np.errstate(all="ignore"):
            return fit_design(matrix, counts, offset)
    with np.errstate(all="ignore"):
        try:
            fit = fit_design(matrix, counts)
        except (np.linalg.LinAlgError, ValueError):  # the solvers refuse what is singular or not finite
            return steady_fit(matrix, counts)
    if not np.isfinite(fit.means).all():
        return steady_fit(matrix, counts)
    if not fit.converged:
        score = matrix.T @ (counts - fit.means)
        with np.errstate(all="ignore"):
            decrement = float(score @ fit.covariance @ score)
        if not decrement < _smallest_decrement(counts):
            return steady_fit(matrix, counts)
    return replace(fit, converged=True)


def steady_fit(matrix: Floats, counts: Floats, start: Floats | None = None) -> DenseFit:
    """Fit by Levenberg's damping on columns scaled to at most 1, from `start` or from all means alike."""
    scale = np.abs(matrix).max(axis=0)
    columns = matrix / scale
    alike = np.append(np.zeros(len(scale) - 1), math.log(counts.mean()))
    coefficients = alike if start is None else start * scale
    damping, converged, tolerance = 0.0, False, _smallest_decrement(counts)
    slack = MEAN_ROUNDING * float(counts.sum())
    means = _clipped_means(columns @ coefficients)
    score, information = _score_and_information(columns, counts, means)
    for _ in range(STEADY_ITERATIONS):
        ridge = np.diag(damping * np.diag(information))
        step = np.linalg.lstsq(information + ridge, score, rcond=None)[0]
        proposed = _clipped_means(columns @ (coefficients + step))
        gain = float(counts @ (columns @ step) - (proposed - means).sum())
        decrement = float(score @ step)
        converged = damping == 0.0 and decrement < tolerance
        if gain >= -slack or converged:
            coefficients, means = coefficients + step, proposed
            score, information = _score_and_information(columns, counts, means)
            damping = damping / 10.0 if damping > SMALLEST_DAMPING else 0.0
        else:
            damping = max(10.0 * damping, SMALLEST_DAMPING)
        if converged or damping > LARGEST_DAMPING:
            break
    covariance = np.linalg.pinv(information, hermitian=True) / np.outer(scale, scale)
    return DenseFit(coefficients / scale, covariance, means, poisson_deviance(counts, means), converged)


def _smallest_decrement(counts: Floats) -> float:
    """Newton decrement below which a fit has converged as far as rounding of the means lets it."""
    return max(STEADY_TOLERANCE, MEAN_ROUNDING**2 * float(counts.sum()))


def _score_and_information(columns: Floats, counts: Floats, means: Floats) -> tuple[Floats, Floats]:
    return columns.T @ (counts - means), (columns.T * means) @ columns


def _clipped_means(linear: Floats) -> Floats:
    return np.asarray(np.exp(np.clip(linear, -LARGEST_LOG_MEAN, LARGEST_LOG_MEAN)))


# === poisson log-linear fits to a small explicit design by Gram matrices ==============================================
# For a profile that repeats one many times.


@dataclass(frozen=True, slots=True)
class RepeatedFit:
    """A fit, or the word that Newton's method did not get there.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
    deviance : float
        nan where it did not converge.
    converged : bool
    """

    coefficients: Floats
    deviance: float
    converged: bool


def repeated_fit(matrix: Floats, counts: Floats, start: Floats | None = None) -> RepeatedFit:
    """Fit ``log E[counts] = matrix @ coefficients`` by Newton's method.

    Parameters
    ----------
    matrix : ndarray, shape (m, p)
        Of full column rank; the maximum is attained.
    counts : ndarray, shape (m,)
        None above `LARGEST_COUNT`.
    start : ndarray, shape (p,), optional
        Coefficients that are near; by default those of a least squares fit to the logarithms of the counts.

    Returns
    -------
    RepeatedFit

    Notes
    -----
    A step is cut to 5 on the log scale, and halved while the likelihood falls. A matrix that is nearly singular ends
    the fit unconverged, and the caller takes a slower route.

    Examples
    --------
    >>> design = np.array([[1.0, 0, 1], [0, 1, 1], [1, 1, 1]])
    >>> fit = repeated_fit(design, np.array([30.0, 20, 10]))
    >>> fit.converged, round(float(np.exp(fit.coefficients[2])), 6)
    (True, 60.0)
    """
    coefficients = _start(matrix, counts) if start is None else start
    means, likelihood = _repeated_means(matrix, counts, coefficients)
    for _ in range(ITERATIONS):
        score = matrix.T @ (counts - means)
        step = _solved((matrix.T * means) @ matrix, score)
        if step is None:
            break
        decrement = float(score @ step)
        step = step * min(
            1.0, LONGEST_REPEATED_STEP / max(float(np.abs(matrix @ step).max()), LONGEST_REPEATED_STEP)
        )
        slack = 1e-9 * (1.0 + abs(likelihood))
        for _ in range(HALVINGS):
            means, proposed = _repeated_means(matrix, counts, coefficients + step)
            if proposed >= likelihood - slack:
                break
            step = step * 0.5
        coefficients, likelihood = coefficients + step, proposed
        if decrement < TOLERANCE:
            return RepeatedFit(coefficients, poisson_deviance(counts, means), True)
    return RepeatedFit(coefficients, math.nan, False)


def _start(matrix: Floats, counts: Floats) -> Floats:
    """One weighted least squares step from the counts themselves; nan where it cannot be solved."""
    means = counts + START_OFFSET
    start = _solved((matrix.T * means) @ matrix, matrix.T @ (means * np.log(means)))
    return np.full(matrix.shape[1], math.nan) if start is None else start


def _repeated_means(matrix: Floats, counts: Floats, coefficients: Floats) -> tuple[Floats, float]:
    """Fitted means, and the log-likelihood up to a constant."""
    linear = matrix @ coefficients
    with np.errstate(over="ignore"):
        means: Floats = np.exp(linear)
    return means, float(counts @ linear - means.sum())


def _solved(information: Floats, score: Floats) -> Floats | None:
    """Newton's step, or None where the information is singular or no number."""
    if not np.isfinite(information).all():
        return None
    lower, fault = dpotrf(information, lower=1, clean=0)
    pivots = np.square(np.diagonal(lower))
    if fault or not (pivots > PIVOT_TOLERANCE * np.diagonal(information)).all():
        return None
    step: Floats = dpotrs(lower, score, lower=1)[0]
    return step


# === which coefficients are 0 where some may not be negative: a search that lets them come back =======================


@dataclass(frozen=True, slots=True)
class Examined(Generic[Fit]):
    """A fit with some coefficients free and the others held at 0.

    Attributes
    ----------
    fit : object
    deviance : float
    negative : frozenset of int
        Free coefficients below 0.
    wanted : frozenset of int
        Held coefficients whose score is positive: the likelihood would rise with them.
    """

    fit: Fit
    deviance: float
    negative: frozenset[int]
    wanted: frozenset[int]

    @property
    def wrong(self) -> frozenset[int]:
        """What keeps the fit from being the constrained maximum."""
        return self.negative | self.wanted


def free_at_maximum(
    columns: Collection[int], start: Collection[int], examine: Callable[[frozenset[int]], Examined[Fit]]
) -> tuple[frozenset[int], Fit]:
    """Find the free coefficients at the maximum under which none of `columns` is negative.

    Parameters
    ----------
    columns : collection of int
        Coefficients that may not be negative.
    start : collection of int
        Those free at first.
    examine : callable
        From a set of free coefficients to its fit.

    Returns
    -------
    free : frozenset of int
    fit : object

    Notes
    -----
    The likelihood is concave, so a fit without a negative coefficient and without a positive score among those held at
    0 is the constrained maximum, however it was found (Karush, Kuhn and Tucker). All that is wrong is turned at once;
    where that comes back to a set, only the last of it is turned, and where that comes back too, all sets are looked
    through, those with the most free ones first.

    References
    ----------
    Portugal, L. F., Judice, J. J. and Vicente, L. N. (1994). A comparison of block pivoting and interior-point
    algorithms for linear least squares problems with nonnegative variables. Mathematics of Computation 63, 625-643.
    doi:10.1090/S0025-5718-1994-1250776-4

    Examples
    --------
    >>> def examine(free):
    ...     wrong = frozenset({3}) if 3 in free else frozenset()
    ...     return Examined("a fit", 0.0, wrong, frozenset({2}) - free)
    >>> sorted(free_at_maximum([2, 3], [3], examine)[0])
    [2]
    """
    known: dict[frozenset[int], Examined[Fit]] = {}

    def look(free: frozenset[int]) -> Examined[Fit]:
        if free not in known:
            known[free] = examine(free)
        return known[free]

    free = frozenset(start)
    for all_at_once in (True, False):
        passed: set[frozenset[int]] = set()
        while free not in passed:
            passed.add(free)
            wrong = look(free).wrong
            if not wrong:
                return free, look(free).fit
            free ^= wrong if all_at_once else {max(wrong)}
    return _best_of_all(columns, look)


def _best_of_all(
    columns: Collection[int], look: Callable[[frozenset[int]], Examined[Fit]]
) -> tuple[frozenset[int], Fit]:
    """Take the first set without anything wrong, else the best of those without a negative coefficient."""
    allowed = []
    for size in range(len(columns), -1, -1):
        for free in map(frozenset, itertools.combinations(sorted(columns), size)):
            found = look(free)
            if not found.wrong:
                return free, found.fit
            if not found.negative:
                allowed.append((found.deviance, free, found.fit))
    # With nothing free nothing is negative, so there is always one.
    _, free, fit = min(allowed, key=lambda entry: entry[0])
    return free, fit


# === one thread for BLAS, for as long as small matrices are worked on =================================================


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread; inside another such block this costs nothing.

    The matrices here are small: threads that wait for each other take longer than the work, on a busy machine ten
    times as long. And sums come out the same to the last bit whatever the number of cores. To enter takes longer than
    to fit such a model, so a loop enters it once, around all of its fits.

    Examples
    --------
    >>> with one_thread(), one_thread():
    ...     pass
    """
    if getattr(_HERE, "inside", False):
        yield
        return
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1, user_api="blas"):
        _HERE.inside = True
        try:
            yield
        finally:
            _HERE.inside = False
