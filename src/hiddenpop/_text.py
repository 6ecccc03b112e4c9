"""Plain aligned text for 80 columns, in which nothing steers the terminal."""

import re
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

__all__ = ["columns", "screen_json", "screen_text", "steering_text", "visible", "wrapped"]

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters besides tab and line feed, marks that turn the direction of text, and halves of characters."""
_NOT_ON_A_SCREEN = re.compile(rf"[\u061c\u200e\u200f{_STEERING.pattern[1:]}")
"""With the marks of direction that stand in honest Arabic and Hebrew: a file may hold them, a terminal gets none."""
_NOT_ON_A_LINE = re.compile(rf"[\t\n{_NOT_ON_A_SCREEN.pattern[1:]}")

WIDTH = 80


def wrapped(text: str, indent: str = "  ") -> str:
    """Break a line at 80 columns, the rest indented.

    Examples
    --------
    >>> wrapped("short")
    'short'
    """
    return fill(text, WIDTH, subsequent_indent=indent)


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Align rows of text; columns named in `right` end at the same place.

    Examples
    --------
    >>> print(columns([["a", "10"], ["bc", "5"]], right=[1]))
    a   10
    bc   5
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join(_aligned(row, widths, right) for row in rows)


def _aligned(row: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> str:
    cells = enumerate(zip(row, widths, strict=True))
    return "  ".join(cell.rjust(w) if k in right else cell.ljust(w) for k, (cell, w) in cells).rstrip()


def visible(text: str) -> str:
    r"""Write what steers a terminal, breaks a line or turns the direction of text as its escape.

    Examples
    --------
    >>> visible("café"), visible("a\x1b[2J\nb")
    ('café', 'a\\x1b[2J\\nb')
    """
    return _NOT_ON_A_LINE.sub(lambda sign: ascii(sign[0])[1:-1], text)


def screen_text(text: str) -> str:
    r"""Write what steers a terminal or turns the direction of text as its escape; lines stay lines.

    Examples
    --------
    >>> screen_text("one\ntwo\x1b[2J")
    'one\ntwo\\x1b[2J'
    """
    return _NOT_ON_A_SCREEN.sub(lambda sign: ascii(sign[0])[1:-1], text)


def screen_json(text: str) -> str:
    r"""Write in a text of JSON what steers a terminal as JSON's own escape: it is read as the same text.

    Examples
    --------
    >>> screen_json('{"a": "\u202eb"}')
    '{"a": "\\u202eb"}'
    """
    return _NOT_ON_A_SCREEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def steering_text(value: Any) -> str:
    r"""Give the first text in plain values that would steer a terminal; empty where there is none.

    Parameters
    ----------
    value : object
        As JSON gives it: mappings, lists, text, numbers. Line breaks and tabs may be in text.

    Returns
    -------
    str

    Examples
    --------
    >>> steering_text({"a": ["two\nlines", 1]}), steering_text([{"b\x1b[2J": None}])
    ('', 'b\x1b[2J')
    """
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str) and _STEERING.search(item):
            return item
        if isinstance(item, Mapping):
            left += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            left += item
    return ""
