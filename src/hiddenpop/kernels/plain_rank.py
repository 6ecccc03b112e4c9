"""The exact ranks of `hiddenpop.kernels.rank` in numpy: the same answers to the last bit, with nothing to compile."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats, Ints, TermSets

__all__ = ["independent_terms", "ranks_of_people", "terms_with_people"]


PRIME = (1 << 31) - 1
"""Entries of a design are 0 or 1: a rank modulo so large a prime is that over the rational numbers."""

CHUNK = 1024
"""Designs that are eliminated side by side, so that they stay in the cache of a core."""


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

    Examples
    --------
    >>> independent_terms(np.array([1, 2]), np.array([1, 2, 0])).tolist()
    [True, True, False]
    """
    matrix = ((cells[:, None] & terms) == terms).astype(np.int64)
    pivots = np.zeros(len(terms), dtype=bool)
    for column in range(len(terms)):
        rows = np.flatnonzero(matrix[:, column])
        if not len(rows):
            continue
        pivots[column] = True
        first, below = rows[0], rows[1:]
        scaled = matrix[first, column:] * pow(int(matrix[first, column]), -1, PRIME) % PRIME
        matrix[first] = 0
        if len(below):
            matrix[below, column:] = (
                matrix[below, column:] - matrix[below, column][:, None] * scaled
            ) % PRIME
    return pivots


def ranks_of_people(counts: Floats, margins: Floats, term_sets: TermSets) -> tuple[Ints, Bools]:
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
        Of the design on the cells with people: the data determine so many parameters at least. Where it is the number
        of terms with a margin, the maximum is attained, unique, and the dark figure finite.
    identified : ndarray of bool, shape (m,)
        Whether these cells determine the intercept; the dark figure is then finite and unique on whatever face the
        maximum lies.

    Examples
    --------
    >>> counts = np.array([0.0, 40, 30, 6, 20, 0, 0, 0])
    >>> margins = np.array([96.0, 46, 36, 6, 20, 0, 0, 0])
    >>> rank, identified = ranks_of_people(counts, margins, np.array([0b10111, 0b11111], dtype=np.uint64))
    >>> rank.tolist(), identified.tolist()
    ([4, 4], [True, False])
    """
    cells, size = np.flatnonzero(counts > 0), len(counts)
    sets, place = np.unique(term_sets & terms_with_people(margins), return_inverse=True)
    rank, identified = np.bitwise_count(sets).astype(np.int64), np.ones(len(sets), dtype=bool)
    full = [_full_rank_modulo_two(cells, piece, size) for piece in _pieces(sets)]
    doubtful = np.flatnonzero(~np.concatenate([np.zeros(0, dtype=bool), *full]))
    pivots = _pivots(cells, sets[doubtful], size)
    rank[doubtful], identified[doubtful] = pivots.sum(axis=0), pivots[-1]
    return rank[place], identified[place]


def terms_with_people(margins: Floats) -> np.uint64:
    """Terms with a positive margin, and the intercept, as a term set.

    Examples
    --------
    >>> bin(terms_with_people(np.array([96.0, 46, 36, 6, 20, 0, 0, 0])))
    '0b11111'
    """
    return np.uint64(1 | sum(1 << t for t in range(1, len(margins)) if margins[t] > 0))


def _full_rank_modulo_two(cells: Ints, sets: TermSets, size: int) -> Bools:
    """Whether designs have full column rank modulo 2, which implies it over the rational numbers."""
    if not len(cells):
        return np.zeros(len(sets), dtype=bool)
    inside = [sum(1 << t for t in range(size) if t & int(cell) == t) for cell in cells]
    rows = np.array(inside, dtype=np.uint64)[:, None] & sets
    rank = np.zeros(len(sets), dtype=np.int64)
    every = np.arange(len(sets))
    for t in range(size):
        holds = (rows >> np.uint64(t) & np.uint64(1)).astype(bool)
        pivot = rows[holds.argmax(axis=0), every]
        rows ^= holds * pivot
        rank += holds.any(axis=0)
    return rank == np.bitwise_count(sets)


def _pivots(cells: Ints, sets: TermSets, size: int) -> Bools:
    """Which terms are independent of those before them, the intercept last; shape (size, m), false for absent terms."""
    terms = np.append(np.arange(1, size), 0)
    pivots = np.zeros((size, len(sets)), dtype=bool)
    design = ((cells[:, None] & terms) == terms).astype(np.int64)
    for piece, found in zip(_pieces(sets), _pieces(pivots.T), strict=True):
        present = (piece >> terms[:, None].astype(np.uint64) & np.uint64(1)).astype(np.int64)
        _eliminate(design[:, :, None] * present, found.T)
    return pivots


def _pieces(values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return [values[start : start + CHUNK] for start in range(0, len(values), CHUNK)]


def _eliminate(matrix: Ints, pivots: Bools) -> None:
    """Eliminate designs side by side, shape (cells, terms, m), and mark the columns that hold a pivot."""
    every = np.arange(matrix.shape[2])
    for column in range(matrix.shape[1]):
        entries = matrix[:, column]
        holds = pivots[column] = entries.any(axis=0)
        if not holds.any():
            continue
        first = (entries != 0).argmax(axis=0)
        scaled = matrix[first, column:, every].T * _inverses(entries[first, every]) % PRIME
        matrix[first[holds], column:, every[holds]] = 0  # no row is used up where there is no pivot
        rows = np.flatnonzero(entries.any(axis=1))
        matrix[rows, column:] = (matrix[rows, column:] - entries[rows, None] * scaled) % PRIME


def _inverses(values: Ints) -> Ints:
    """Inverses modulo the prime, by Fermat; of 0 it is 0."""
    result, base, exponent = np.ones_like(values), values % PRIME, PRIME - 2
    while exponent:
        if exponent & 1:
            result = result * base % PRIME
        base = base * base % PRIME
        exponent >>= 1
    return result
