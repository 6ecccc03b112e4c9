"""Poisson log-linear fits to a small explicit design, compiled: for a profile that repeats one fit a hundred times."""

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

__all__ = ["LARGEST_COUNT", "RepeatedFit", "repeated_fit"]

Floats = npt.NDArray[np.float64]

LARGEST_COUNT = 1e10
"""Beyond it a Gram matrix loses one person beside so many, and the exact route of `dense` is needed."""

ITERATIONS, HALVINGS = 200, 30
TOLERANCE = 1e-10
"""Newton decrement after which one more step leaves the deviance right to the last digits."""

START_OFFSET = 0.1
PIVOT_TOLERANCE = 1e-10
LONGEST_STEP = 5.0


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
    likelihood = _fill_means(matrix, counts, coefficients, means)
    for _ in range(ITERATIONS):
        _fill_information(matrix, counts, means, information, score)
        decrement = _solve(information, score)
        # Written so that a decrement that is no number also ends here.
        if not decrement >= 0.0:
            return coefficients, np.nan, False
        score *= min(1.0, LONGEST_STEP / max(_longest(matrix, score), LONGEST_STEP))
        slack = 1e-9 * (1.0 + abs(likelihood))
        for _ in range(HALVINGS):
            proposed = _fill_means(matrix, counts, coefficients + score, means)
            if proposed >= likelihood - slack:
                break
            score *= 0.5
        coefficients += score
        likelihood = proposed
        if decrement < TOLERANCE:
            return coefficients, _deviance(counts, means), True
    return coefficients, np.nan, False


@nb.njit(cache=True)
def _longest(matrix: Floats, step: Floats) -> float:
    """Largest change of a logarithm of a mean."""
    longest = 0.0
    for i in range(matrix.shape[0]):
        change = 0.0
        for c in range(matrix.shape[1]):
            change += matrix[i, c] * step[c]
        longest = max(longest, abs(change))
    return longest


@nb.njit(cache=True)
def _fill_means(matrix: Floats, counts: Floats, coefficients: Floats, means: Floats) -> float:
    """Fill in the means, and return the log-likelihood up to a constant."""
    likelihood = 0.0
    for i in range(matrix.shape[0]):
        linear = 0.0
        for c in range(matrix.shape[1]):
            linear += matrix[i, c] * coefficients[c]
        means[i] = np.exp(linear)
        likelihood += counts[i] * linear - means[i]
    return likelihood


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
