"""Newton fits of log-linear models on the lattice of subsets of the lists, and exact ranks, compiled.

The linear predictor of a cell is the sum of the parameters of the terms inside it, a subset sum, and of an offset
where one is given. The score of a term
is the sum of the residuals of the cells around it, a superset sum, and so is the Gram matrix, whose entry for two
terms is the superset sum of the fitted means at their union. Each transform takes K 2^K additions for K lists, so no
design matrix is ever formed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats, Ints, TermSets
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.poisson.plain import (
    DECREMENT_TOLERANCE,
    LIKELIHOOD_SLACK,
    MAX_HALVINGS,
    MAX_ITERATIONS,
    PIVOT_TOLERANCE,
    START_OFFSET,
    BatchFit,
    LatticeFit,
    offset_or_zeros,
)

__all__ = [
    "BatchFit",
    "LatticeFit",
    "add_subsets",
    "add_supersets",
    "decode_terms",
    "fit_batch",
    "fit_one",
    "fit_terms",
    "independent_terms",
    "offset_or_zeros",
    "ranks_of_people",
    "refit_deviances",
    "solve_factored",
    "superset_sums",
]

PRIME = (1 << 31) - 1


@njit(inline="always")
def add_supersets(values: Floats, n_lists: int) -> None:
    """Replace each element by the sum over the histories that contain it, in place."""
    size = values.shape[0]
    for i in range(n_lists):
        bit = 1 << i
        for block in range(0, size, 2 * bit):
            for w in range(block, block + bit):
                values[w] += values[w + bit]


@njit(inline="always")
def add_subsets(values: npt.NDArray[Any], n_lists: int) -> None:
    """Replace each element by the sum over the histories that it contains, in place."""
    size = values.shape[0]
    for i in range(n_lists):
        bit = 1 << i
        for block in range(0, size, 2 * bit):
            for w in range(block, block + bit):
                values[w + bit] += values[w]


@njit
def superset_sums(values: Floats, n_lists: int) -> Floats:
    """Sum `values` over the histories that contain each history."""
    result = values.copy()
    add_supersets(result, n_lists)
    return result


@njit
def _live_terms(margins: Floats, terms: Ints, n_lists: int, live: Bools, active: Ints) -> int:
    """Take out terms with an empty margin and the cells above them; return how many terms are left.

    `active` receives the indices of the terms left; `live` is narrowed in place.
    """
    dead = np.zeros(live.shape[0], dtype=np.int64)
    count = 0
    any_dead = False
    for i in range(terms.shape[0]):
        if margins[terms[i]] > 0.0 or terms[i] == 0:
            active[count] = i
            count += 1
        else:
            dead[terms[i]] = 1
            any_dead = True
    if any_dead:
        add_subsets(dead, n_lists)
        for w in range(live.shape[0]):
            if dead[w] > 0:
                live[w] = False
    return count


@njit
def _factor(sums: Floats, terms: Ints, active: Ints, p: int, lower: Floats) -> None:
    """Cholesky factor of the Gram matrix in the active terms; an aliased parameter gets a zero row."""
    for i in range(p):
        term = terms[active[i]]
        for j in range(i):
            value = sums[term | terms[active[j]]]
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            lower[i, j] = value / lower[j, j] if lower[j, j] > 0.0 else 0.0
        diagonal = sums[term]
        pivot = diagonal
        for k in range(i):
            pivot -= lower[i, k] * lower[i, k]
        lower[i, i] = np.sqrt(pivot) if pivot > PIVOT_TOLERANCE * diagonal and pivot > 0.0 else 0.0


@njit
def solve_factored(lower: Floats, p: int, vector: Floats) -> None:
    """Solve with the Cholesky factor in place; aliased parameters get 0."""
    for i in range(p):
        value = vector[i]
        for k in range(i):
            value -= lower[i, k] * vector[k]
        vector[i] = value / lower[i, i] if lower[i, i] > 0.0 else 0.0
    for i in range(p - 1, -1, -1):
        value = vector[i]
        for k in range(i + 1, p):
            value -= lower[k, i] * vector[k]
        vector[i] = value / lower[i, i] if lower[i, i] > 0.0 else 0.0


@njit
def _predict(
    theta: Floats, terms: Ints, active: Ints, p: int, n_lists: int, offset: Floats, eta: Floats
) -> None:
    """Fill `eta` with the linear predictor of every history."""
    for w in range(eta.shape[0]):
        eta[w] = 0.0
    for i in range(p):
        eta[terms[active[i]]] = theta[i]
    add_subsets(eta, n_lists)
    for w in range(eta.shape[0]):
        eta[w] += offset[w]


@njit
def _log_likelihood(counts: Floats, live: Bools, eta: Floats, means: Floats) -> float:
    """Fill `means` on the live cells and return the Poisson log-likelihood up to a constant."""
    total = 0.0
    for w in range(counts.shape[0]):
        if live[w]:
            means[w] = np.exp(eta[w])
            total += counts[w] * eta[w] - means[w]
        else:
            means[w] = 0.0
    return total


@njit
def _newton(
    counts: Floats,
    margins: Floats,
    live: Bools,
    terms: Ints,
    active: Ints,
    p: int,
    n_lists: int,
    offset: Floats,
    theta: Floats,
    eta: Floats,
    means: Floats,
    sums: Floats,
    lower: Floats,
    step: Floats,
) -> tuple[int, bool]:
    """Maximise the likelihood over the active terms; return (iterations, converged)."""
    size = counts.shape[0]
    for w in range(size):
        sums[w] = counts[w] + START_OFFSET if live[w] else 0.0
        eta[w] = sums[w] * (np.log(sums[w]) - offset[w]) if live[w] else 0.0
    add_supersets(sums, n_lists)
    add_supersets(eta, n_lists)
    _factor(sums, terms, active, p, lower)
    for i in range(p):
        theta[i] = eta[terms[active[i]]]
    solve_factored(lower, p, theta)
    _predict(theta, terms, active, p, n_lists, offset, eta)
    likelihood = _log_likelihood(counts, live, eta, means)
    for iteration in range(1, MAX_ITERATIONS + 1):
        for w in range(size):
            sums[w] = means[w]
        add_supersets(sums, n_lists)
        _factor(sums, terms, active, p, lower)
        for i in range(p):
            step[i] = margins[terms[active[i]]] - sums[terms[active[i]]]
        decrement = 0.0
        for i in range(p):
            eta[i] = step[i]
        solve_factored(lower, p, step)
        for i in range(p):
            decrement += eta[i] * step[i]
            theta[i] += step[i]
        _predict(theta, terms, active, p, n_lists, offset, eta)
        proposed = _log_likelihood(counts, live, eta, means)
        halvings = 0
        while (
            not proposed >= likelihood - LIKELIHOOD_SLACK * (1.0 + abs(likelihood))
            and halvings < MAX_HALVINGS
        ):
            halvings += 1
            for i in range(p):
                step[i] *= 0.5
                theta[i] -= step[i]
            _predict(theta, terms, active, p, n_lists, offset, eta)
            proposed = _log_likelihood(counts, live, eta, means)
        likelihood = proposed
        if decrement < DECREMENT_TOLERANCE:
            return iteration, True
    return MAX_ITERATIONS, False


@njit
def _deviance(counts: Floats, live: Bools, means: Floats) -> float:
    """Poisson deviance; by log1p, so that a huge count fitted closely adds its own small share and no rounding."""
    total = 0.0
    for w in range(counts.shape[0]):
        if live[w]:
            if counts[w] > 0.0:
                relative = (means[w] - counts[w]) / counts[w]
                logarithm = np.log1p(relative) if relative > -0.5 else np.log(means[w] / counts[w])
                total += counts[w] * (relative - logarithm)
            else:
                total += means[w]
    return 2.0 * total


@njit
def fit_terms(
    counts: Floats, margins: Floats, use: Bools, terms: Ints, n_lists: int, offset: Floats
) -> tuple[Floats, Floats, Bools, float, float, int, bool]:
    """Fit one model to the cells in `use`; the last term must be the intercept, 0.

    The log of the dark figure is that parameter plus ``offset[0]``.
    """
    size = counts.shape[0]
    n_terms = terms.shape[0]
    live = use.copy()
    active = np.empty(n_terms, dtype=np.int64)
    p = _live_terms(margins, terms, n_lists, live, active)
    theta = np.empty(p)
    eta = np.empty(max(size, p))
    means = np.empty(size)
    sums = np.empty(size)
    lower = np.zeros((p, p))
    step = np.empty(p)
    eta_cells = eta[:size]
    iterations, converged = _newton(
        counts, margins, live, terms, active, p, n_lists, offset, theta, eta_cells, means, sums, lower, step
    )
    parameters = np.full(n_terms, -np.inf)
    for i in range(p):
        parameters[active[i]] = theta[i]
    last = lower[p - 1, p - 1]
    variance = 1.0 / (last * last) if last > 0.0 else np.inf
    deviance = _deviance(counts, live, means)
    return parameters, means, live, deviance, variance, iterations, converged


@njit
def decode_terms(term_set: np.uint64, size: int) -> Ints:
    """List the terms of a coded model, by value, the intercept last."""
    count = 0
    for t in range(size):
        if (term_set >> np.uint64(t)) & np.uint64(1):
            count += 1
    terms = np.empty(count, dtype=np.int64)
    i = 0
    for t in range(1, size):
        if (term_set >> np.uint64(t)) & np.uint64(1):
            terms[i] = t
            i += 1
    terms[count - 1] = 0
    return terms


@njit
def _fit_batch(
    counts: Floats,
    term_sets: TermSets,
    n_lists: int,
    offset: Floats,
    n0: Floats,
    variance: Floats,
    deviance: Floats,
    n_parameters: Ints,
    converged: Bools,
) -> None:
    size = counts.shape[0]
    use = np.ones(size, dtype=np.bool_)
    use[0] = False
    margins = superset_sums(counts, n_lists)
    for m in range(term_sets.shape[0]):
        terms = decode_terms(term_sets[m], size)
        parameters, _, _, dev, var, _, conv = fit_terms(counts, margins, use, terms, n_lists, offset)
        n0[m] = np.exp(parameters[terms.shape[0] - 1] + offset[0])
        variance[m] = var
        deviance[m] = dev
        n_parameters[m] = terms.shape[0]
        converged[m] = conv


def fit_batch(
    counts: npt.NDArray[np.float64],
    term_sets: npt.NDArray[np.uint64],
    n_lists: int,
    offset: Floats | None = None,
) -> BatchFit:
    """Fit every model of `term_sets` to one table by Poisson maximum likelihood on the observable cells.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by capture history; element 0 is not used.
    term_sets : ndarray of uint64, shape (m,)
        Models as coded by `hiddenpop.model.enumerate_models`.
    n_lists : int
        Number of lists, at most 6.
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history; element 0 is that of the unobserved cell.

    Returns
    -------
    BatchFit

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_batch(np.array([0.0, 30.0, 20.0, 10.0]), np.array([0b0111], dtype=np.uint64), n_lists=2)
    >>> round(float(fit.n0[0]), 6)
    60.0
    """
    m = len(term_sets)
    result = BatchFit(
        n0=np.empty(m),
        log_n0_variance=np.empty(m),
        deviance=np.empty(m),
        n_parameters=np.empty(m, dtype=np.int64),
        converged=np.zeros(m, dtype=np.bool_),
    )
    observed = np.array(counts, dtype=np.float64)
    observed[0] = 0.0
    _fit_batch(
        observed,
        np.asarray(term_sets, dtype=np.uint64),
        n_lists,
        offset_or_zeros(offset, len(observed)),
        result.n0,
        result.log_n0_variance,
        result.deviance,
        result.n_parameters,
        result.converged,
    )
    return result


def fit_one(
    counts: npt.NDArray[np.float64],
    use: npt.NDArray[np.bool_],
    terms: npt.NDArray[np.int64],
    n_lists: int,
    offset: Floats | None = None,
) -> LatticeFit:
    """Fit one model to the cells in `use`.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by capture history. Element 0 enters only if ``use[0]``: with a supposed dark figure there, the fit is
        the one whose deviance the profile likelihood needs.
    use : ndarray of bool, shape (2**n_lists,)
        Cells of the likelihood: the observable cells, less those that are off the face.
    terms : ndarray of int64, shape (p,)
        Terms as masks, the intercept (0) last.
    n_lists : int
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history; element 0 is that of the unobserved cell.

    Returns
    -------
    LatticeFit

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([0.0, 30.0, 20.0, 10.0])
    >>> fit = fit_one(counts, np.array([False, True, True, True]), np.array([1, 2, 0]), n_lists=2)
    >>> round(float(fit.means[0]), 6)
    60.0
    """
    usable = np.where(use, counts, 0.0)
    margins = superset_sums(usable, n_lists)
    offset = offset_or_zeros(offset, len(counts))
    parameters, means, _, deviance, variance, iterations, converged = fit_terms(
        usable, margins, use, terms, n_lists, offset
    )
    if not use[0]:
        means[0] = np.exp(parameters[-1] + offset[0])
    return LatticeFit(parameters, means, float(deviance), float(variance), int(iterations), bool(converged))


def refit_deviances(tables: Floats, terms: Ints, n_lists: int, offset: Floats | None = None) -> Floats:
    """Fit one model to many tables and return the deviances.

    Parameters
    ----------
    tables : ndarray of float, shape (b, 2**n_lists)
        Counts by history; column 0 is not used.
    terms : ndarray of int64, shape (p,)
        Terms as masks, the intercept (0) last.
    n_lists : int
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history.

    Returns
    -------
    ndarray of float, shape (b,)
    """
    found: Floats = _refit_deviances(tables, terms, n_lists, offset_or_zeros(offset, tables.shape[1]))
    return found


@njit
def _refit_deviances(tables: Floats, terms: Ints, n_lists: int, offset: Floats) -> Floats:
    size = tables.shape[1]
    use = np.ones(size, dtype=np.bool_)
    use[0] = False
    deviances = np.empty(tables.shape[0])
    for b in range(tables.shape[0]):
        counts = tables[b].copy()
        counts[0] = 0.0
        deviances[b] = fit_terms(counts, superset_sums(counts, n_lists), use, terms, n_lists, offset)[3]
    return deviances


# === exact rank questions about designs on the subset lattice, by elimination modulo a prime, compiled ================
# Entries are 0 or 1, so a dependence over the rational numbers is one modulo the prime too, and an
# independence is found unless the prime divides every minor that shows it. With a prime of 31 bits that
# does not happen to designs of this size by accident, and there is no tolerance to choose.


@njit
def _inverse(value: int) -> int:
    """Inverse modulo the prime, by Fermat."""
    result, base, exponent = 1, value % PRIME, PRIME - 2
    while exponent > 0:
        if exponent & 1:
            result = result * base % PRIME
        base = base * base % PRIME
        exponent >>= 1
    return result


@njit
def _eliminate(matrix: Ints) -> Bools:
    """Bring to row echelon form in place and say which columns hold a pivot."""
    n_rows, n_columns = matrix.shape
    rank = 0
    pivots = np.zeros(n_columns, dtype=np.bool_)
    for column in range(n_columns):
        found = -1
        for row in range(rank, n_rows):
            if matrix[row, column] != 0:
                found = row
                break
        if found < 0:
            continue
        for k in range(column, n_columns):
            matrix[rank, k], matrix[found, k] = matrix[found, k], matrix[rank, k]
        inverse = _inverse(matrix[rank, column])
        for row in range(found + 1, n_rows):
            factor = matrix[row, column] * inverse % PRIME
            if factor != 0:
                for k in range(column, n_columns):
                    matrix[row, k] = (matrix[row, k] - factor * matrix[rank, k]) % PRIME
        rank += 1
        pivots[column] = True
        if rank == n_rows:
            break
    return pivots


@njit
def independent_terms(cells: Ints, terms: Ints) -> Bools:
    """Say which columns of the design of `terms` on `cells` are independent of the columns before them.

    Parameters
    ----------
    cells : ndarray of int64
        Histories whose rows the design has.
    terms : ndarray of int64
        Columns.

    Returns
    -------
    ndarray of bool
        Their number is the rank. The last term is estimable from the cells exactly when its element is true.
    """
    matrix = np.zeros((cells.shape[0], terms.shape[0]), dtype=np.int64)
    for i in range(cells.shape[0]):
        for j in range(terms.shape[0]):
            if cells[i] & terms[j] == terms[j]:
                matrix[i, j] = 1
    pivots: Bools = _eliminate(matrix)
    return pivots


@njit
def rank_of(independent: Bools) -> int:
    """How many columns `independent_terms` found."""
    rank = 0
    for column in independent:
        if column:
            rank += 1
    return rank


@njit
def odd_full_rank(cells: Ints, terms: Ints) -> bool:
    """Whether the design has full column rank modulo 2, which implies it over the rational numbers."""
    p = terms.shape[0]
    pivots = np.zeros(p, dtype=np.uint64)
    rank = 0
    for i in range(cells.shape[0]):
        row = np.uint64(0)
        for j in range(p):
            if cells[i] & terms[j] == terms[j]:
                row |= np.uint64(1) << np.uint64(j)
        for j in range(p):
            if (row >> np.uint64(j)) & np.uint64(1):
                if pivots[j] == 0:
                    pivots[j] = row
                    rank += 1
                    break
                row ^= pivots[j]
        if rank == p:
            return True
    return False


@njit
def _ranks_of_people(
    cells: Ints, margins: Floats, term_sets: TermSets, rank: Ints, identified: Bools
) -> None:
    size = margins.shape[0]
    terms = np.empty(size, dtype=np.int64)
    for m in range(term_sets.shape[0]):
        p = 0
        for t in range(1, size):
            if (term_sets[m] >> np.uint64(t)) & np.uint64(1) and margins[t] > 0.0:
                terms[p] = t
                p += 1
        terms[p] = 0
        active = terms[: p + 1]
        if odd_full_rank(cells, active):
            rank[m], identified[m] = p + 1, True
        else:
            independent = independent_terms(cells, active)
            rank[m], identified[m] = rank_of(independent), independent[p]


def ranks_of_people(
    counts: npt.NDArray[np.float64], margins: npt.NDArray[np.float64], term_sets: npt.NDArray[np.uint64]
) -> tuple[Ints, Bools]:
    """Say of each model what the cells with people in them alone determine.

    Parameters
    ----------
    counts, margins : ndarray, shape (2**K,)
        Counts by history (element 0 is 0) and their superset sums.
    term_sets : ndarray of uint64, shape (m,)
        Models, K at most 6. Terms with an empty margin are left out of the question.

    Returns
    -------
    rank : ndarray of int64, shape (m,)
        Of the design on the cells with people: the data determine so many parameters at least.
    identified : ndarray of bool, shape (m,)
        Whether these cells determine the intercept; the dark figure is then finite and unique on whatever face the
        maximum lies.
    """
    rank, identified = np.empty(len(term_sets), dtype=np.int64), np.empty(len(term_sets), dtype=np.bool_)
    _ranks_of_people(np.flatnonzero(counts > 0).astype(np.int64), margins, term_sets, rank, identified)
    return rank, identified
