"""Exact rank questions about designs on the subset lattice, by elimination modulo a prime, compiled.

Entries are 0 or 1, so a dependence over the rational numbers is one modulo the prime too, and an independence is
found unless the prime divides every minor that shows it. With a prime of 31 bits that does not happen to designs of
this size by accident, and there is no tolerance to choose.
"""

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats, Ints, TermSets
from hiddenpop.kernels.compiled import njit

__all__ = ["independent_terms", "ranks_of_people"]

PRIME = (1 << 31) - 1


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
