"""Poisson log-linear fits to a small explicit design by Gram matrices, for a profile that repeats one many times."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from hiddenpop._typing import Floats
from hiddenpop.kernels.dense import poisson_deviance

__all__ = ["LARGEST_COUNT", "RepeatedFit", "repeated_fit"]


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
    coefficients = _start(matrix, counts) if start is None else start
    means, likelihood = _means(matrix, counts, coefficients)
    for _ in range(ITERATIONS):
        score = matrix.T @ (counts - means)
        step = _solved((matrix.T * means) @ matrix, score)
        if step is None:
            break
        decrement = float(score @ step)
        step = step * min(1.0, LONGEST_STEP / max(float(np.abs(matrix @ step).max()), LONGEST_STEP))
        slack = 1e-9 * (1.0 + abs(likelihood))
        for _ in range(HALVINGS):
            means, proposed = _means(matrix, counts, coefficients + step)
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


def _means(matrix: Floats, counts: Floats, coefficients: Floats) -> tuple[Floats, float]:
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
