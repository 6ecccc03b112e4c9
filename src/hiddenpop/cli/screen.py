"""What the commands print: plain aligned text for 80 columns."""

import math
from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill

from hiddenpop.estimators.compare import Comparison
from hiddenpop.result import Estimate, format_persons

__all__ = ["columns", "estimate_text", "panel_text", "wrapped"]

WIDTH = 80
STATUS_WORDS = {"not_identified": "not identified", "not_converged": "not converged"}


def wrapped(text: str, indent: str = "  ") -> str:
    """Break a line at 80 columns, the rest indented."""
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


def panel_text(comparison: Comparison, refused: Mapping[str, str]) -> str:
    """Write estimates side by side, then what has to be said about them, and how far they disagree.

    Parameters
    ----------
    comparison : Comparison
    refused : mapping
        Reasons by label, of estimators that cannot treat the table.
    """
    pairs = list(zip(comparison.labels, comparison.estimates, strict=True))
    level = comparison.estimates[0].interval.level
    head = ["", "estimate", f"{level:.0%} interval", "status"]
    rows = [[label, _number(e), _limits(e), _status(e)] for label, e in pairs]
    table = columns([head, *rows], right=[1])
    remarks = [
        *_grouped(((label, f"interval: {e.interval.method}") for label, e in pairs)),
        *(f"{label}: {_status(e)}: {e.reason}" for label, e in pairs if e.reason),
        *_grouped(
            (label, f"{d.level}: {d.message}")
            for label, e in pairs
            for d in e.diagnostics
            if d.level != "info"
        ),
        *(f"{label}: left out: {reason}" for label, reason in refused.items()),
    ]
    return "\n\n".join([table, "\n".join(map(wrapped, remarks)), wrapped(comparison.sentence(), "")])


def _grouped(remarks: Iterable[tuple[str, str]]) -> list[str]:
    """Say once what holds for several estimators."""
    by_text: dict[str, list[str]] = {}
    for label, text in remarks:
        by_text.setdefault(text, []).append(label)
    return [f"{', '.join(labels)}: {text}" for text, labels in by_text.items()]


def _number(estimate: Estimate) -> str:
    return (
        format_persons(estimate.n_hat, estimate.interval.width) if math.isfinite(estimate.n_hat) else "none"
    )


def _limits(estimate: Estimate) -> str:
    low, high = (
        format_persons(x, estimate.interval.width) for x in (estimate.interval.low, estimate.interval.high)
    )
    return f"{low} to {high}" if math.isfinite(estimate.interval.high) else f"{low} or more, without limit"


def _status(estimate: Estimate) -> str:
    return STATUS_WORDS.get(estimate.status, estimate.status)


def estimate_text(estimate: Estimate) -> str:
    """Write one estimate with everything that has to be said about it."""
    return "\n".join(wrapped(line, "    ") for line in estimate.summary().splitlines())
