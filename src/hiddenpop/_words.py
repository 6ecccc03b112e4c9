"""The words in which people write that somebody is on a list, or is not."""

import re
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
    ("no", "s\u00ec"),
    ("n\u00e3o", "sim"),
    ("nie", "tak"),
    ("nej", "ja"),
    ("nei", "ja"),
    ("hay\u0131r", "evet"),
    ("\u043d\u0435\u0442", "\u0434\u0430"),
    ("not listed", "listed"),
    ("not selected", "selected"),
    ("unchecked", "checked"),
    ("komt niet voor", "komt voor"),
    ("\u2610", "\u2611"),
    ("\u2610", "\u2612"),
    ("absent", "present"),
    ("afwezig", "aanwezig"),
    ("niet", "wel"),
    ("onwaar", "waar"),
    ("falsch", "wahr"),
    ("faux", "vrai"),
    ("falso", "verdadero"),
    ("falso", "vero"),
    ("falso", "verdadeiro"),
    ("not registered", "registered"),
    ("niet geregistreerd", "geregistreerd"),
    ("not seen", "seen"),
    ("niet gezien", "gezien"),
    ("not on list", "on list"),
    ("not known", "known"),
    ("niet aangekruist", "aangekruist"),
    ("-", "+"),
    ("-", "x"),
    ("0", "x"),
    ("0", "-1"),
)
"""Words for "not on the list" and "on the list", in lower case; Access writes true as -1."""

NO_WORDS, YES_WORDS = (frozenset(words) for words in zip(*PAIRS, strict=True))

TICKS = frozenset(
    {"1", "x", "yes", "ja", "true", "+", "*", "\u2713", "\u2714", "\u2022", "\u25cf", "\u2611", "\u2612"}
)
"""Words that say "on the list" where a cell that is not filled in says "not on it"."""


_NO_DECIMALS = re.compile(r"[.,]0{1,2}$")  # three of them may be thousands


def plain_word(text: str) -> str:
    """Write a word without blanks around it, in lower case, and 1.0 or 1,00 as 1.

    Examples
    --------
    >>> plain_word(" Yes "), plain_word("1.0"), plain_word("0,00"), plain_word("1.000")
    ('yes', '1', '0', '1.000')
    """
    word = text.strip().casefold()
    whole = _NO_DECIMALS.sub("", word)
    return whole if whole in ("0", "1", "2") else word


def pair_of(words: Collection[str], pairs: Iterable[tuple[str, str]] = PAIRS) -> tuple[str, str] | None:
    """Find the pair of words that holds all of these plain words.

    Examples
    --------
    >>> pair_of({"y", "n"}), pair_of({"f", "m"})
    (('n', 'y'), None)
    """
    return next((pair for pair in pairs if words and set(words) <= set(pair)), None)
