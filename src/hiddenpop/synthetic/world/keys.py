"""Person keys in the form of Statistics Netherlands: RINPERSOONS "R" or "S", and nine digits. All of them invented."""

from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Ints

__all__ = ["Salt", "draw_salt", "key_numbers"]


KEYS = 10**9
BITS = 30  # 2**30 is the first power of two above the number of keys
MASK = np.int64(2**BITS - 1)


@dataclass(frozen=True, slots=True)
class Salt:
    """What makes the keys of one world differ from those of another."""

    shift: int
    first: int
    second: int


def draw_salt(rng: np.random.Generator) -> Salt:
    """Draw the salt of a world."""
    shift, first, second = rng.integers(2**BITS, size=3).tolist()
    return Salt(shift, first | 1, second | 1)


def key_numbers(numbers: Ints, salt: Salt) -> Ints:
    """Give each number below 10**9 another below 10**9, without showing the order.

    Parameters
    ----------
    numbers : ndarray of int64
    salt : Salt

    Returns
    -------
    ndarray of int64
        Different for different numbers.

    Notes
    -----
    Odd factors and shifts move the numbers below 2**30 among themselves; what falls beyond 10**9 is moved again until
    it does not. It hides the order from a reader, and is not encryption.

    Examples
    --------
    >>> keys = key_numbers(np.arange(1000), Salt(5, 7, 9))
    >>> len(set(keys.tolist())), int(keys.max()) < 10**9
    (1000, True)
    """
    keys = _moved(np.asarray(numbers, dtype=np.int64), salt)
    while (beyond := keys >= KEYS).any():
        keys[beyond] = _moved(keys[beyond], salt)
    return keys


def _moved(numbers: Ints, salt: Salt) -> Ints:
    moved = (numbers ^ np.int64(salt.shift)) * np.int64(salt.first) & MASK
    moved ^= moved >> np.int64(BITS // 2)
    moved = moved * np.int64(salt.second) & MASK
    return np.asarray(moved ^ (moved >> np.int64(13)))
