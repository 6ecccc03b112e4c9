"""Invented names from a grammar of syllables, and the errors of people who type them.

Every name begins with a pair of consonants that begins no common name in the languages around, so that no name of a
world is the name of somebody. The grammar gives 12,096 first names for each sex and 161,280 last names; a world uses a
part of them, a few often and most seldom, as real names are.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Ints

__all__ = ["ONSETS", "draw_names", "first_names", "last_names", "transpose_letters", "without_a_letter"]

Names = npt.NDArray[np.bytes_]

ONSETS = (
    "Bv",
    "Fv",
    "Jv",
    "Rv",
    "Pv",
    "Tf",
    "Zf",
    "Fz",
    "Jz",
    "Pz",
    "Vf",
    "Wv",
    "Lf",
    "Vb",
    "Wb",
    "Vp",
    "Fp",
    "Jp",
)
VOWELS = ("a", "e", "i", "o", "u", "y", "aa", "ee")
MIDDLES = ("b", "d", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "lm")
WOMEN = ("a", "ina", "ea", "is", "ya", "ola")
MEN = ("o", "an", "ek", "us", "or", "im")
LAST = ("ard", "em", "ink", "oma", "sel", "tor", "ulk", "evan", "ossa", "ips")

WIDTH = 16
FIRST_IN_USE, LAST_IN_USE = 1_500, 30_000
STEP = 7919  # a prime: it visits every name once, and neighbours in frequency do not look alike
STEEPNESS = 0.8  # of the law of Zipf


@cache
def first_names(women: bool) -> Names:
    """First names in use for one sex, the most frequent first."""
    return _in_use([ONSETS, VOWELS, MIDDLES, WOMEN if women else MEN], FIRST_IN_USE)


@cache
def last_names() -> Names:
    """Last names in use, the most frequent first.

    Examples
    --------
    >>> last_names()[:3].tolist()
    [b'Bvabaard', b'Bveebeeips', b'Fvaadeeossa']
    """
    return _in_use([ONSETS, VOWELS, MIDDLES, VOWELS, LAST], LAST_IN_USE)


def _in_use(parts: list[tuple[str, ...]], n: int) -> Names:
    sizes = [len(part) for part in parts]
    numbers = np.arange(n) * STEP % int(np.prod(sizes))
    digits = np.unravel_index(numbers, sizes)
    pieces = [np.array(part, dtype=f"S{WIDTH}")[digit] for part, digit in zip(parts, digits, strict=True)]
    names = pieces[0]
    for piece in pieces[1:]:
        names = np.char.add(names, piece)
    return names.astype(f"S{WIDTH}")


def draw_names(women: npt.NDArray[np.bool_], rng: np.random.Generator) -> tuple[Names, Names]:
    """Draw a first and a last name for each person.

    Parameters
    ----------
    women : ndarray of bool, shape (n,)
    rng : Generator

    Returns
    -------
    ndarray of bytes, shape (n,)
        First names.
    ndarray of bytes, shape (n,)
        Last names.
    """
    ranks = _ranks(len(women), FIRST_IN_USE, rng)
    first = np.where(women, first_names(True)[ranks], first_names(False)[ranks])
    return first, last_names()[_ranks(len(women), LAST_IN_USE, rng)]


def _ranks(n: int, in_use: int, rng: np.random.Generator) -> Ints:
    steps = np.cumsum(np.arange(1, in_use + 1) ** -STEEPNESS)
    found = np.searchsorted(steps, rng.random(n) * steps[-1], side="right")
    return np.asarray(found.clip(max=in_use - 1), dtype=np.int64)


def transpose_letters(names: Names, rng: np.random.Generator) -> Names:
    """Let two neighbouring letters of each name change places; the first letter stays.

    Examples
    --------
    >>> transpose_letters(np.array([b"abc"], dtype="S16"), np.random.default_rng(1))
    array([b'acb'], dtype='|S16')
    """
    letters, rows = _letters(names)
    at = _position(names, rng, 2)
    letters[rows, at], letters[rows, at + 1] = letters[rows, at + 1].copy(), letters[rows, at].copy()
    return _joined(letters)


def without_a_letter(names: Names, rng: np.random.Generator) -> Names:
    """Leave out one letter of each name, never the first.

    Examples
    --------
    >>> without_a_letter(np.array([b"ab"], dtype="S16"), np.random.default_rng(1))
    array([b'a'], dtype='|S16')
    """
    letters, _ = _letters(names)
    at = _position(names, rng, 1)
    columns = np.arange(letters.shape[1])
    source = np.minimum(columns + (columns >= at[:, None]), letters.shape[1] - 1)
    shifted = np.take_along_axis(letters, source, axis=1)
    shifted[:, -1] = 0
    return _joined(shifted)


def replace_letter(names: Names, rng: np.random.Generator) -> Names:
    """Put another letter in the place of one of each name, never the first.

    Examples
    --------
    >>> replace_letter(np.array([b"ab"], dtype="S16"), np.random.default_rng(1))
    array([b'au'], dtype='|S16')
    """
    letters, rows = _letters(names)
    at = _position(names, rng, 1)
    shift = rng.integers(1, 26, size=len(names))
    lower = (letters[rows, at].astype(np.int64) - ord("a")) % 26
    letters[rows, at] = (ord("a") + (lower + shift) % 26).astype(np.uint8)
    return _joined(letters)


def _letters(names: Names) -> tuple[npt.NDArray[np.uint8], Ints]:
    width = max(WIDTH, names.dtype.itemsize)
    whole = np.ascontiguousarray(names.astype(f"S{width}"))
    return whole.view(np.uint8).reshape(len(names), width).copy(), np.arange(len(names))


def _joined(letters: npt.NDArray[np.uint8]) -> Names:
    return np.ascontiguousarray(letters).view(f"S{letters.shape[1]}").reshape(len(letters))


def _position(names: Names, rng: np.random.Generator, room: int) -> Ints:
    """Draw a position after the first letter, with `room` letters from there on."""
    free = np.char.str_len(names).astype(np.int64) - room
    return 1 + (rng.random(len(names)) * np.maximum(free, 1)).astype(np.int64)
