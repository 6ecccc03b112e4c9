"""Sets of terms as bits in 64-bit words, compiled: a model of t lists is 2**t bits, so up to six lists are one word."""

import numpy as np

from hiddenpop._typing import Ints, Words
from hiddenpop.kernels.compiled import njit

__all__ = ["from_words", "n_words", "to_words"]


WORD_BITS = 64


def n_words(n_lists: int) -> int:
    """Words that a set of terms over so many lists takes."""
    return max(1, (1 << n_lists) // WORD_BITS)


def to_words(term_set: int, n_lists: int) -> Words:
    """Cut a term set, one Python integer, into words.

    Examples
    --------
    >>> to_words(0b10111, 3).tolist()
    [23]
    """
    mask = (1 << WORD_BITS) - 1
    return np.array([term_set >> (WORD_BITS * i) & mask for i in range(n_words(n_lists))], dtype=np.uint64)


def from_words(words: Words) -> int:
    """Join words to a term set.

    Examples
    --------
    >>> from_words(to_words(0b10111, 3)) == 0b10111
    True
    """
    return sum(int(word) << (WORD_BITS * i) for i, word in enumerate(words))


@njit
def has(words: Words, term: int) -> bool:
    """Whether the set holds a term."""
    found: bool = (words[term >> 6] >> np.uint64(term & 63)) & np.uint64(1) != 0
    return found


@njit
def put(words: Words, term: int) -> None:
    """Put a term into the set."""
    words[term >> 6] |= np.uint64(1) << np.uint64(term & 63)


@njit
def drop(words: Words, term: int) -> None:
    """Take a term out of the set."""
    words[term >> 6] &= ~(np.uint64(1) << np.uint64(term & 63))


@njit
def drop_above(words: Words, term: int, size: int) -> None:
    """Take out every term that contains `term`."""
    for t in range(term, size):
        if t & term == term:
            drop(words, t)


@njit
def copy(to: Words, words: Words) -> None:
    """Make one set equal to another; a slice would say the same and take seconds to compile."""
    for i in range(words.shape[0]):
        to[i] = words[i]


@njit
def same(a: Words, b: Words) -> bool:
    """Whether two sets are equal."""
    equal = True
    for i in range(a.shape[0]):
        equal &= a[i] == b[i]
    return equal


@njit
def count(words: Words) -> int:
    """How many terms the set holds."""
    total = 0
    for word in words:
        rest = word
        while rest:
            rest &= rest - np.uint64(1)
            total += 1
    return total


@njit
def list_terms(words: Words, size: int, terms: Ints) -> int:
    """Fill `terms` with the terms of a set, the intercept last; return how many there are."""
    count = 0
    for t in range(1, size):
        if has(words, t):
            terms[count] = t
            count += 1
    terms[count] = 0
    return count + 1


@njit
def facets_inside(words: Words, term: int, n_lists: int) -> bool:
    """Whether the set holds every term that is `term` less one list."""
    inside = True
    for i in range(n_lists):
        inside &= not term >> i & 1 or has(words, term & ~(1 << i))
    return inside


@njit
def missing_below(words: Words, term: int) -> int:
    """How many terms the set lacks of those that come with `term`, itself included."""
    missing = 0
    subset = term
    while subset > 0:
        if not has(words, subset):
            missing += 1
        subset = (subset - 1) & term
    return missing
