"""Poisson log-linear fits of one explicit design to many tables, compiled.

Newton steps from a warm start: a Gram matrix by BLAS, Cholesky, and a start from the counts where the warm one fails.
"""

import numpy as np

from hiddenpop._typing import Bools, Floats
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.lattice import _solve

__all__ = ["factor", "fit_cells", "fit_tables", "likelihood_bound"]

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
    _solve(lower, coefficients.shape[0], coefficients)


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
        _solve(lower, step.shape[0], step)
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
