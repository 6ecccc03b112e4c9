"""The words in which people write that somebody is on a list, or is not."""

from collections.abc import Collection, Iterable

__all__ = ["NO_WORDS", "PAIRS", "TICKS", "YES_WORDS", "pair_of", "plain_word"]

PAIRS = (
    ("0", "1"),
    ("false", "true"),
    ("f", "t"),
    ("no", "yes"),
    ("n", "y"),
    ("nee", "ja"),
    ("n", "j"),
    ("nein", "ja"),
    ("non", "oui"),
    ("no", "s\u00ed"),
    ("no", "si"),
    ("absent", "present"),
    ("afwezig", "aanwezig"),
    ("niet", "wel"),
    ("-", "+"),
    ("-", "x"),
    ("0", "x"),
    ("0", "-1"),
)
"""Words for "not on the list" and "on the list", in lower case; Access writes true as -1."""

NO_WORDS, YES_WORDS = (frozenset(words) for words in zip(*PAIRS, strict=True))

TICKS = frozenset({"1", "x", "yes", "ja", "true", "\u2713", "\u2714"})
"""Words that say "on the list" where a cell that is not filled in says "not on it"."""


def plain_word(text: str) -> str:
    """Write a word without blanks around it, in lower case, and 1.0 or 1,0 as 1.

    Examples
    --------
    >>> plain_word(" Yes "), plain_word("1.0"), plain_word("0,0")
    ('yes', '1', '0')
    """
    word = text.strip().casefold()
    whole = word.replace(",", ".").removesuffix(".0")
    return whole if whole in ("0", "1", "2") else word


def pair_of(words: Collection[str], pairs: Iterable[tuple[str, str]] = PAIRS) -> tuple[str, str] | None:
    """Find the pair of words that holds all of these plain words.

    Examples
    --------
    >>> pair_of({"y", "n"}), pair_of({"f", "m"})
    (('n', 'y'), None)
    """
    return next((pair for pair in pairs if words and set(words) <= set(pair)), None)
