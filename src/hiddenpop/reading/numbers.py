"""Counts as people write them: thousands and decimal signs, bounds such as "<10", and what can be read two ways."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Counts", "may_be_number", "read_counts_of"]

_GROUPING = re.compile(r"(?<=\d)[ '\u2019\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_NUMBER = re.compile(r"[+-]?(\d[\d.,]*|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_BOUND = re.compile(r"(<=|\u2264|<|&lt;|less than|fewer than|minder dan)\s*(\d+)", re.IGNORECASE)
_RANGE = re.compile(r"(\d+)\s*[-\u2013\u2012]\s*(\d+)")
_SIGNS = (".", ",")
_SIGN_NAMES = {".": "a point", ",": "a comma"}
_GROUP = 3
_THOUSAND = 1000

MOST_SIGNS = 60
"""Signs of a number; a longer run of digits is not a count of persons, and takes long to read."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of a column, level by level.

    Parameters
    ----------
    numbers : tuple of int, float or None
        None for a text that is not a number.
    bounds : tuple of bool
        True where the number is only an upper bound.
    unclear : str
        A sign that can be read two ways, else empty.
    signs : mapping of str to str
        What each sign in the numbers was read as.
    """

    numbers: tuple[int | float | None, ...]
    bounds: tuple[bool, ...]
    unclear: str = ""
    signs: Mapping[str, str] = field(default_factory=dict)


def may_be_number(text: str) -> bool:
    """Tell whether a text is a number, however its signs are read, or a bound on one.

    Examples
    --------
    >>> may_be_number("1.000"), may_be_number("8 900"), may_be_number("<10"), may_be_number("north")
    (True, True, True, False)
    """
    plain = _GROUPING.sub("", text)
    return bool(_NUMBER.fullmatch(plain) or _BOUND.fullmatch(text))


def read_counts_of(levels: Sequence[str], decimal: str | None = None, separator: str = "") -> Counts:
    """Read numbers; where a sign could be decimal or between thousands, the other numbers settle it or nothing does.

    Parameters
    ----------
    levels : sequence of str
    decimal : {".", ","} or None
        The decimal sign, where a user named it.
    separator : str
        Between the cells of the file: a comma there is no decimal sign in a number.

    Examples
    --------
    >>> read_counts_of(["1.000", "729"]).numbers, read_counts_of(["1.000", "2.000"]).unclear
    ((1000, 729), '.')
    >>> read_counts_of(["89,0", "<10"]).numbers
    (89, 9)
    """
    plain = [_GROUPING.sub("", level) for level in levels]
    numbers = [text for text in plain if _NUMBER.fullmatch(text)]
    thousands, unclear = _thousands(numbers, decimal, separator)
    if unclear:
        return Counts((None,) * len(plain), (False,) * len(plain), unclear=unclear)
    read = [_bound(text) for text in plain]
    values = tuple(
        _value(text, thousands) if bound is None else bound for text, bound in zip(plain, read, strict=True)
    )
    return Counts(values, tuple(bound is not None for bound in read), signs=_said(levels, plain, thousands))


def _said(levels: Sequence[str], plain: Sequence[str], thousands: str) -> dict[str, str]:
    """Say what the signs in numbers were read as, where they were not plain digits with a point."""
    said = {}
    if any(level != text for level, text in zip(levels, plain, strict=True)):
        said["a blank"] = "standing between thousands"
    if any(thousands and thousands in text for text in plain):
        said[_SIGN_NAMES[thousands]] = "standing between thousands"
    if thousands != "," and any("," in text for text in plain):
        said[_SIGN_NAMES[","]] = "the decimal sign"
    return said


def _thousands(numbers: Sequence[str], decimal: str | None, separator: str) -> tuple[str, str]:
    """Find the sign between thousands, and the sign that cannot be settled."""
    if decimal:
        return (_SIGNS[1 - _SIGNS.index(decimal)], "")
    decimals = {sign for sign in _SIGNS if any(_is_decimal(text, sign) for text in numbers)}
    groups = {sign for sign in _SIGNS if any(_is_grouped(text, sign) for text in numbers)}
    for sign in _SIGNS:
        if sign in decimals and sign in groups:
            return "", sign
        if sign in groups:
            return sign, ""
        if sign not in decimals and any(_is_unclear(text, sign) for text in numbers):
            return _settled(numbers, sign, decimals, separator)
    return "", ""


def _settled(numbers: Sequence[str], sign: str, decimals: set[str], separator: str) -> tuple[str, str]:
    """Settle a sign with three digits behind it by the numbers beside it: a decimal sign would stand in those too."""
    plain = [int(text) for text in numbers if text.isdigit() and len(text) <= MOST_SIGNS]
    if decimals or (sign == "," == separator):
        return sign, ""
    if plain and max(plain) < _THOUSAND:
        return sign, ""
    return "", sign


def _is_decimal(text: str, sign: str) -> bool:
    before, found, after = text.lstrip("+-").partition(sign)
    if not found or sign in after:
        return False
    if _SIGNS[1 - _SIGNS.index(sign)] in after:
        return False
    return len(after) != _GROUP or not len(before.replace(_other(sign), "")) >= 1 or _leads(before, sign)


def _other(sign: str) -> str:
    return _SIGNS[1 - _SIGNS.index(sign)]


def _leads(before: str, sign: str) -> bool:
    """Tell whether what stands before a sign cannot be the first group of a number of thousands."""
    return before.startswith("0") or len(before) > _GROUP or _other(sign) in before


def _is_grouped(text: str, sign: str) -> bool:
    body = text.lstrip("+-")
    whole = body.split(_other(sign), maxsplit=1)[0]
    groups = whole.split(sign)
    right = len(groups) > 1 and 1 <= len(groups[0]) <= _GROUP and all(len(g) == _GROUP for g in groups[1:])
    return right and (len(groups) > 2 or _other(sign) in body)


def _is_unclear(text: str, sign: str) -> bool:
    return sign in text and not _is_decimal(text, sign) and not _is_grouped(text, sign)


def _value(text: str, thousands: str) -> int | float | None:
    if len(text) > MOST_SIGNS or not _NUMBER.fullmatch(text):
        return None
    plain = text.replace(thousands, "") if thousands else text
    try:
        number = float(plain.replace(",", "."))
    except ValueError:
        return None
    digits = plain.lstrip("+")
    if digits.lstrip("-").isdigit():
        return int(digits)
    return int(number) if number.is_integer() else number


def _bound(text: str) -> int | None:
    """Read "<10" as at most 9, and "5-9" as at most 9."""
    if len(text) > MOST_SIGNS:
        return None
    if found := _BOUND.fullmatch(text):
        number = int(found[2])
        return number if found[1] in ("<=", "\u2264") else max(number - 1, 0)
    if found := _RANGE.fullmatch(text):
        return int(found[2])
    return None
