"""Random numbers of a study: each table and each fit has its own, whatever else is in the study."""

import hashlib

import numpy as np

from hiddenpop.errors import SettingError
from hiddenpop.table import RNGLike

__all__ = ["Words", "fit_rng", "root_words", "table_rng"]

Words = tuple[int, ...]


def root_words(rng: RNGLike) -> Words:
    """Draw the four words that all random numbers of a study come from.

    Examples
    --------
    >>> root_words(1) == root_words(np.random.default_rng(1)), len(root_words(None))
    (True, 4)
    """
    try:
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"rng={rng!r} is not a seed; give a whole number of at least 0, a numpy Generator, or None"
        ) from error
    return tuple(int(word) for word in generator.integers(2**32, size=4, dtype=np.uint64))


def _text_words(text: str) -> Words:
    digest = hashlib.sha256(text.encode()).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))


def table_rng(root: Words, scenario: str, replicate: int) -> np.random.Generator:
    """Make the generator that draws one table: it follows from the root, the scenario's name and the number alone.

    Examples
    --------
    >>> first, again, other = (table_rng((1, 2), name, 0).random() for name in ("a", "a", "b"))
    >>> first == again, first == other
    (True, False)
    """
    return np.random.default_rng(np.random.SeedSequence([*root, *_text_words(scenario), replicate]))


def fit_rng(root: Words, scenario: str, replicate: int, label: str) -> np.random.Generator:
    """Make the generator that one estimator gets for one table.

    Examples
    --------
    >>> one, other = (fit_rng((1, 2), "a", 0, label).random() for label in ("chao", "selected"))
    >>> one == other
    False
    """
    entropy = [*root, *_text_words(scenario), replicate]
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=_text_words(label)))
