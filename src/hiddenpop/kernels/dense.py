"""Poisson log-linear fits with an explicit design matrix, by weighted QR: the readable and the most exact route.

The lattice kernel forms Gram matrices, which squares the condition number. Here the design itself is factored, so
that counts from 1 to 10^12 in one table still leave ten digits. It also serves designs that are no subset lattice.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from hiddenpop._typing import Floats

__all__ = ["LARGEST_QUICK_COUNT", "DenseFit", "fit_design", "poisson_deviance"]


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
        Of full column rank; the maximum must be attained (see `hiddenpop.kernels.faces`).
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
