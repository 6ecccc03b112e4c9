"""Plain aligned text for 80 columns."""

from collections.abc import Sequence
from textwrap import fill

__all__ = ["columns", "wrapped"]

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
