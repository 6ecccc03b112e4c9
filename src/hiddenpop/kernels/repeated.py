"""Poisson log-linear fits to a small explicit design, compiled: for a profile that repeats one fit a hundred times."""

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

__all__ = ["LARGEST_COUNT", "RepeatedFit", "repeated_fit"]

Floats = npt.NDArray[np.float64]

LARGEST_COUNT = 1e8
"""Beyond it a Gram matrix loses one person beside so many, and the exact route of `dense` is needed."""

ITERATIONS = 30
TOLERANCE = 1e-10
"""Newton decrement after which one more step leaves the deviance right to the last digits."""

START_OFFSET = 0.1
PIVOT_TOLERANCE = 1e-10
LONGEST_STEP = 5.0


@dataclass(frozen=True, slots=True)
class RepeatedFit:
    """A fit, or the word that Newton's plain steps did not get there.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
    deviance : float
    converged : bool
        If not, the other two mean nothing.
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
    No step is halved: a step that is longer than 5 on the log scale, or a matrix that is nearly singular, ends the fit
    unconverged, and the caller takes a slower route.

    Examples
    --------
    >>> design = np.array([[1.0, 0, 1], [0, 1, 1], [1, 1, 1]])
    >>> fit = repeated_fit(design, np.array([30.0, 20, 10]))
    >>> fit.converged, round(float(np.exp(fit.coefficients[2])), 6)
    (True, 60.0)
    """
    columns = np.ascontiguousarray(matrix)
    near = _start(columns, counts) if start is None else start.copy()
    coefficients, deviance, converged = _newton(columns, counts, near)
    return RepeatedFit(coefficients, deviance, converged)


@nb.njit(cache=True)
def _start(matrix: Floats, counts: Floats) -> Floats:
    """One weighted least squares step from the counts themselves; nan where it cannot be solved."""
    p = matrix.shape[1]
    information, score = np.empty((p, p)), np.empty(p)
    means = counts + START_OFFSET
    _fill_information(matrix, means * (1.0 + np.log(means)), means, information, score)
    _solve(information, score)
    return score


@nb.njit(cache=True)
def _newton(matrix: Floats, counts: Floats, coefficients: Floats) -> tuple[Floats, float, bool]:
    m, p = matrix.shape
    means = np.empty(m)
    information, score = np.empty((p, p)), np.empty(p)
    for _ in range(ITERATIONS):
        _fill_means(matrix, coefficients, means)
        _fill_information(matrix, counts, means, information, score)
        decrement = _solve(information, score)
        longest = 0.0
        for i in range(m):
            change = 0.0
            for c in range(p):
                change += matrix[i, c] * score[c]
            longest = max(longest, abs(change))
        # Written so that a decrement that is no number also ends here.
        if not (decrement >= 0.0 and longest <= LONGEST_STEP):
            return coefficients, np.nan, False
        coefficients += score
        if decrement < TOLERANCE:
            _fill_means(matrix, coefficients, means)
            return coefficients, _deviance(counts, means), True
    return coefficients, np.nan, False


@nb.njit(cache=True)
def _fill_means(matrix: Floats, coefficients: Floats, means: Floats) -> None:
    for i in range(matrix.shape[0]):
        linear = 0.0
        for c in range(matrix.shape[1]):
            linear += matrix[i, c] * coefficients[c]
        means[i] = np.exp(linear)


@nb.njit(cache=True)
def _fill_information(
    matrix: Floats, counts: Floats, means: Floats, information: Floats, score: Floats
) -> None:
    information[:] = 0.0
    score[:] = 0.0
    for i in range(matrix.shape[0]):
        for c in range(matrix.shape[1]):
            entry = matrix[i, c]
            if entry != 0.0:
                score[c] += entry * (counts[i] - means[i])
                for d in range(c + 1):
                    information[c, d] += entry * matrix[i, d] * means[i]


@nb.njit(cache=True)
def _solve(information: Floats, score: Floats) -> float:
    """Put Newton's step in the place of the score, by Cholesky factors in the lower triangle; return the decrement."""
    p = len(score)
    decrement = 0.0
    for i in range(p):
        for j in range(i + 1):
            value = information[i, j]
            for k in range(j):
                value -= information[i, k] * information[j, k]
            if j < i:
                information[i, j] = value / information[j, j]
            elif value <= PIVOT_TOLERANCE * information[i, i]:
                return np.nan
            else:
                information[i, i] = np.sqrt(value)
        for k in range(i):
            score[i] -= information[i, k] * score[k]
        score[i] /= information[i, i]
        decrement += score[i] * score[i]
    for i in range(p - 1, -1, -1):
        for k in range(i + 1, p):
            score[i] -= information[k, i] * score[k]
        score[i] /= information[i, i]
    return decrement


@nb.njit(cache=True)
def _deviance(counts: Floats, means: Floats) -> float:
    """Twice the fall of the log-likelihood from the counts themselves, without cancellation where a fit is close."""
    total = 0.0
    for i in range(len(counts)):
        y, mu = counts[i], means[i]
        if y <= 0.0:
            total += mu
        elif mu > 0.5 * y:
            relative = (mu - y) / y
            total += y * (relative - np.log1p(relative))
        else:
            total += mu - y - y * (np.log(mu) - np.log(y))
    return 2.0 * total
