"""Several lists named in one cell, such as "police + shelter" or "Police only": cut where it cannot be misread."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hiddenpop.histories import MAX_LISTS
from hiddenpop.reading.columns import FEW, NOT_RECORDED, Column

__all__ = ["LETTERS", "NO_SPLIT", "Joined", "combinations_of_names", "is_cut", "read_joined", "splits_of"]

NO_SPLIT = "none"
"""What is typed to say that a cell names one list."""

LETTERS = "letters"
"""What is typed to say that every letter is a list, as in A, B, AB."""

SIGNS = ("+", ";", ",", "&", "|", "/", "\u2229")
JOINING_WORDS = ("and", "en", "\u00e9n", "plus", "und", "et", "y")
OTHER_SIGNS = ("-", "\u2013", "_", "x", "\u00d7", "*", "with", "met")
"""What also stands between names, and within them; it cuts only where that is said."""
SURE_SIGNS = frozenset({"+", "|", "\u2229"})
"""Signs that stand in no name of a person, a place or a house."""

_ANY = rf"\s*[{re.escape(''.join(SIGNS))}]\s*|\s+(?:{'|'.join(JOINING_WORDS)})\s+"
_ONLY = re.compile(
    r"(?:only|just|alleen|enkel|uitsluitend|nur|seulement)\s+|\s+(?:only|alone|alleen|enkel|nur|seulement)",
    re.IGNORECASE,
)
ALL_WORDS = frozenset({
    "both", "both lists", "beide", "beide lijsten", "allebei", "beides", "les deux", "all", "all lists", "all three",
    "all four", "alle", "alle lijsten", "alle drie", "alle vier",
})  # fmt: skip
NONE_WORDS = frozenset({
    "none", "neither", "no list", "on none", "geen", "geen lijst", "geen van beide", "op geen", "keine", "aucun",
})  # fmt: skip
"""What people write for all of the lists, and for none of them, in lower case."""

_HALF = 0.5
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Joined:
    """Texts as combinations of lists.

    Parameters
    ----------
    names : tuple of str
        The lists, in the order in which they are met.
    orders : tuple of tuples of str
        Of each text, the names of its lists as they stand there.
    is_clear : bool
        Whether the texts leave nothing open: every name also stands alone or in another combination.
    is_reused : bool
        Whether a part of a combination is met in another text; else a sign may be a part of a name.
    is_sure : bool
        Whether nothing but combinations of lists is written so.
    """

    names: tuple[str, ...]
    orders: tuple[tuple[str, ...], ...]
    is_clear: bool
    is_reused: bool
    is_sure: bool

    @property
    def combinations(self) -> tuple[frozenset[str], ...]:
        """The names of the lists of each text."""
        return tuple(map(frozenset, self.orders))


def read_joined(texts: Sequence[str], split: str | None = None) -> Joined | None:
    """Cut texts into the names of lists.

    Parameters
    ----------
    texts : sequence of str
    split : str or None
        A sign or a word between names, or "letters"; by default any that is met.

    Returns
    -------
    Joined or None
        None where no text names several lists.

    Examples
    --------
    >>> found = read_joined(["police", "shelter", "police + shelter"])
    >>> found.names, found.is_clear, sorted(found.combinations[2])
    (('police', 'shelter'), True, ['police', 'shelter'])
    >>> read_joined(["A", "B", "AB"]).names
    ('A', 'B')
    >>> read_joined(["police", "police and justice", "shelter"]).is_clear
    False
    """
    cut = [_parts(text, split) for text in texts]
    names: dict[str, str] = {}
    for part in (part for parts in cut for part in parts or ()):
        names.setdefault(part.casefold(), part)
    every = tuple(names.values())
    orders = [every if parts is None else tuple(names[part.casefold()] for part in parts) for parts in cut]
    if len(names) < 2 or all(len(set(lists)) < 2 for lists in orders):
        return _of_letters(texts) if split in (None, LETTERS) and len(texts) > 1 else None
    return _judged(every, orders, _signs(texts) if split is None else {split})


def splits_of(texts: Sequence[str]) -> list[str]:
    """Name the ways in which texts could be cut, as they are typed; the surest first."""
    signs = _signs(texts)
    return [sign for sign in (*SIGNS, *JOINING_WORDS) if sign in signs] or [LETTERS]


def is_cut(column: Column, split: str | None) -> Joined | None:
    """Cut the texts of a column, unless they may be of persons."""
    if column.holds_identifiers or column.is_person_by_name or (column.is_number and split is None):
        return None
    found = read_joined([*map(_known, column.levels)], split)
    return None if found is None or _are_persons(found) else found


def _known(text: str) -> str:
    return "" if text.casefold() in NOT_RECORDED else text


def _are_persons(found: Joined) -> bool:
    """Tell names of persons from those of lists: parts that seldom stand alone, and are many or keep their place.

    A part that keeps its place is a family name, say, and never stands behind another name.
    """
    alone = {name for lists in found.combinations if len(lists) == 1 for name in lists}
    seldom = len(alone) < _HALF * len(found.names)
    behind = {name for parts in found.orders if len(parts) > 1 for name in parts[1:]}
    in_place = not behind & {parts[0] for parts in found.orders if len(parts) > 1}
    strange = len(found.names) > MAX_LISTS or any(len(name) > _LONGEST_NAME for name in found.names)
    by_letter = all(len(name) == 1 for name in found.names)
    return strange or (seldom and not by_letter and (in_place or len(found.names) > FEW))


def _signs(texts: Sequence[str]) -> set[str]:
    return {found.strip().casefold() for text in texts for found in re.findall(_ANY, text, re.IGNORECASE)}


def _pattern(split: str | None) -> str:
    if split is None:
        return _ANY
    return rf"\s+{re.escape(split)}\s+" if split.isalpha() else rf"\s*{re.escape(split)}\s*"


def _parts(text: str, split: str | None) -> tuple[str, ...] | None:
    """Cut one text; None where it stands for all lists."""
    word = text.strip().casefold()
    if word in ALL_WORDS:
        return None
    if word in NONE_WORDS:
        return ()
    if split == LETTERS:
        return tuple(text.strip())
    cut = (_without_only(part) for part in re.split(_pattern(split), text, flags=re.IGNORECASE))
    return tuple(part for part in cut if part)


def _without_only(text: str) -> str:
    found = _ONLY.match(text)
    rest = text[found.end() :] if found and found.end() < len(text) else text
    last = _ONLY.search(rest)
    return (rest[: last.start()] if last and last.end() == len(rest) else rest).strip()


def _of_letters(texts: Sequence[str]) -> Joined | None:
    """Read A, B, AB, where every letter stands once in a text and also alone."""
    filled = [text for text in texts if text]
    if not all(text.isalpha() and len(set(text)) == len(text) for text in filled):
        return None
    names = tuple(dict.fromkeys(sign for text in filled for sign in text))
    alone = {text for text in filled if len(text) == 1}
    differ = len(set(map(frozenset, texts))) == len(texts)
    if len(names) < 2 or all(len(text) < 2 for text in filled) or not (differ and alone):
        return None
    return _judged(names, [tuple(text) for text in texts], {LETTERS})


def _judged(names: tuple[str, ...], orders: Sequence[tuple[str, ...]], signs: set[str]) -> Joined:
    sets = [*map(frozenset, orders)]
    met: Counter[str] = Counter(name for lists in set(sets) for name in lists)
    alone = {name for lists in sets if len(lists) == 1 for name in lists}
    known = all(name in alone or met[name] > 1 for name in names)
    enough = len(alone) >= (0 if signs <= SURE_SIGNS else _HALF * len(names))
    if signs == {LETTERS}:
        enough = len(alone) == len(names)
    reused = any(met[name] > 1 for lists in sets if len(lists) > 1 for name in lists)
    return Joined(names, tuple(orders), known and enough, reused, bool(signs) and signs <= SURE_SIGNS)


def combinations_of_names(
    names: Sequence[str],
) -> tuple[tuple[str, ...], Mapping[str, frozenset[str]]] | None:
    """Read names of columns as lists and combinations; None unless that is clear and all of them differ."""
    found = read_joined(names)
    if found is None or not found.is_clear or len(set(found.combinations)) < len(names):
        return None
    return found.names, dict(zip(names, found.combinations, strict=True))
