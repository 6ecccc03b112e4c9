"""Pseudonyms: what comparing needs of a name, a date or a code, each part hashed with a secret key.

A pseudonym is the first eight bytes of HMAC-SHA-256 under the user's key, of a tag and the value made plain. Equal
values under one tag have equal pseudonyms, so that records can be compared and nobody can read them without the key.
Pseudonyms are no anonymity: how often each occurs remains to be seen, and left-out letters tell which names are alike.
"""

import hmac
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

__all__ = [
    "KINDS",
    "PARTICLES",
    "Normal",
    "encoded",
    "kind_of",
    "part_columns",
    "plain_name",
]

PSEUDONYM_BYTES = 8
"""Of 10^7 distinct values, two share a pseudonym of 64 bits with a chance below 1 in 100,000."""

PARTICLES = frozenset({
    "van", "der", "den", "de", "het", "t", "ter", "ten", "te", "in", "op", "vd", "von", "zu", "zur", "la", "le",
    "du", "da", "dos", "del", "di", "el", "al", "bin", "ben", "ibn", "bint", "abu", "abd",
})  # fmt: skip
"""Words of a last name that registers write, shorten and leave out."""

KINDS = {"first_name": "name", "last_name": "name", "birth_date": "date", "place": "place"}
"""Kinds of link fields by name; any other is a code, compared for equality alone."""

FEWEST_LETTERS = 3
"""A part of a double name with fewer letters is not compared by itself."""

SOUNDS = (
    ("tsch", "c"), ("sch", "s"), ("dzh", "z"), ("cz", "c"), ("sz", "s"), ("tch", "c"), ("tsj", "c"), ("sj", "s"),
    ("zh", "z"), ("sh", "s"), ("ch", "k"), ("kh", "k"), ("gh", "g"), ("ph", "f"), ("th", "t"), ("dj", "z"), ("ck", "k"),
    ("ks", "x"), ("ij", "i"), ("w", "v"), ("q", "k"), ("c", "k"), ("z", "s"), ("j", "i"), ("y", "i"), ("h", ""),
)  # fmt: skip
"""Letters that stand for one sound in the ways of writing a foreign name in Latin letters, the longest first."""

_WORDS = re.compile(r"[^\W\d_]+")
_DATE = re.compile(r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})")
_DATE_BACK = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4})")
_ABROAD = str.maketrans(
    {"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
)

Hash = Callable[[str, str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """How names are made plain before they are compared.

    Parameters
    ----------
    particles : frozenset of str
        Words left out of last names, in lower case.
    patronymics : tuple of str
        Endings by which a middle word of a last name is known as a patronymic and left out, such as ``"ovich"``.
    """

    particles: frozenset[str] = PARTICLES
    patronymics: tuple[str, ...] = ()


def kind_of(field: str) -> str:
    """Say what kind of values a link field holds: ``"name"``, ``"date"``, ``"place"`` or ``"code"``."""
    return KINDS.get(field, "code")


def part_columns(field: str) -> dict[str, str]:
    """Give the columns that a link field becomes, each with ``"one"`` or ``"list"``.

    Examples
    --------
    >>> part_columns("birth_date")
    {'birth_date': 'one', 'birth_date_year': 'one', 'birth_date_sorted': 'one', 'birth_date_near': 'list'}
    """
    more = {
        "name": {"initial": "one", "sound": "one", "near": "list"},
        "date": {"year": "one", "sorted": "one", "near": "list"},
    }.get(kind_of(field), {})
    return {field: "one", **{f"{field}_{part}": shape for part, shape in more.items()}}


def _hash(key: bytes | None) -> Hash:
    """Give the function that makes a pseudonym of a tag and a value; without a key the value stays as it is."""
    if key is None:
        return lambda tag, value: value

    def pseudonym(tag: str, value: str) -> int:
        digest = hmac.digest(key, f"{tag}\0{value}".encode(), "sha256")
        return int.from_bytes(digest[:PSEUDONYM_BYTES], "little", signed=True)

    return pseudonym


# --- values made plain -----------------------------------------------------------------------------------------------


def plain_name(text: str, normal: Normal, *, last: bool) -> list[str]:
    """Give the words of a name in plain letters a to z, particles and patronymics left out.

    Examples
    --------
    >>> plain_name("van der Berg-Müller", Normal(), last=True), plain_name("Zoë", Normal(), last=False)
    (['berg', 'muller'], ['zoe'])
    """
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_ABROAD))
    letters = "".join(c for c in folded if not unicodedata.combining(c) and c not in "'`\u2019")
    words = _WORDS.findall(letters)
    if not last:
        return words
    kept = [word for word in words if word not in normal.particles]
    if len(kept) > 1 and normal.patronymics:
        kept = [word for word in kept if not word.endswith(normal.patronymics)] or kept
    return kept or words


def _sound(name: str) -> str:
    """Write a name by its consonants as they sound, with a first vowel as ``a``."""
    for letters, sound in SOUNDS:
        name = name.replace(letters, sound)
    head = "a" if name[:1] in tuple("aeiou") else name[:1]
    rest = "".join(letter for letter in name[1:] if letter not in "aeiou")
    sounds = head + rest
    return "".join(c for at, c in enumerate(sounds) if at == 0 or c != sounds[at - 1])


def _less_a_letter(name: str) -> set[str]:
    return {name} | {name[:at] + name[at + 1 :] for at in range(len(name))}


def read_date(text: str) -> tuple[str, str, str] | None:
    """Give year, month and day of a date, ``"00"`` where one is not known; None for a text that is not a date.

    Examples
    --------
    >>> read_date("19870302"), read_date("2-3-1987"), read_date("1987-03-02 00:00:00"), read_date("19871302")
    (('1987', '03', '02'), ('1987', '03', '02'), ('1987', '03', '02'), None)
    """
    stripped = text.strip().split("T")[0].split(" ")[0] if text[:4].isdigit() else text.strip()
    if found := _DATE.fullmatch(stripped):
        year, month, day = found.groups()
    elif found := _DATE_BACK.fullmatch(stripped):
        day, month, year = (part.zfill(2) for part in found.groups())
    else:
        return None
    return (year, month, day) if int(month) <= 12 and int(day) <= 31 else None


def _name_parts(field: str, text: str, normal: Normal, pseudonym: Hash) -> dict[str, Any]:
    last = field == "last_name"
    words = plain_name(text, normal, last=last)
    whole = "".join(words)
    if not whole:
        return {}
    near = _less_a_letter(whole)
    if len(words) > 1:
        near.update(*(_less_a_letter(word) for word in words if len(word) >= FEWEST_LETTERS))
    short = len(whole) == 1
    return {
        field: None
        if short
        else pseudonym("name", whole),  # one tag for all names: first and last may be swapped
        f"{field}_initial": pseudonym(f"{field}/initial", whole[0]),
        f"{field}_sound": None if short else pseudonym(f"{field}/sound", _sound(whole)),
        f"{field}_near": None if short else sorted(pseudonym(f"{field}/near", part) for part in near),
    }


def _date_parts(field: str, text: str, pseudonym: Hash) -> dict[str, Any]:
    read = read_date(text)
    if read is None:
        return {}
    year, month, day = read
    found = {f"{field}_year": pseudonym(f"{field}/year", year)}
    if "00" in (month, day) or (month, day) == ("01", "01"):  # how registers write a year of birth
        return found
    low, high = sorted((month, day))
    pairs = (f"{year}-{month}-", f"{year}--{day}", f"-{month}-{day}")
    return {
        **found,
        field: pseudonym(field, year + month + day),
        f"{field}_sorted": pseudonym(f"{field}/sorted", year + low + high),
        f"{field}_near": sorted(pseudonym(f"{field}/near", pair) for pair in pairs),
    }


def plain_place(text: str) -> str:
    """Give a code of a municipality as its digits.

    Examples
    --------
    >>> plain_place("GM0363")
    '0363'
    """
    code = text.strip().upper()
    return code[2:] if code.startswith("GM") else code


def encoded(field: str, values: Iterable[str], key: bytes | None, normal: Normal) -> pa.Table:
    """Make the parts of each distinct value of a link field.

    Parameters
    ----------
    field : str
    values : iterable of str
        Distinct and not missing.
    key : bytes or None
        The secret; without one the parts stay readable.
    normal : Normal

    Returns
    -------
    Table
        The column ``value`` and those of `part_columns`; a part that the value does not have is missing.
    """
    pseudonym, kind = _hash(key), kind_of(field)
    makers: Mapping[str, Callable[[str], dict[str, Any]]] = {
        "name": lambda text: _name_parts(field, text, normal, pseudonym),
        "date": lambda text: _date_parts(field, text, pseudonym),
        "place": lambda text: {field: pseudonym(field, plain_place(text))},
        "code": lambda text: {field: pseudonym(field, text.strip().casefold())},
    }
    texts = list(values)
    rows = [makers[kind](text) for text in texts]
    one = pa.string() if key is None else pa.int64()
    shapes = {"one": one, "list": pa.list_(one)}
    columns = {
        name: pa.array([row.get(name) for row in rows], shapes[shape])
        for name, shape in part_columns(field).items()
    }
    return pa.table({"value": pa.array(texts, pa.string()), **columns})
