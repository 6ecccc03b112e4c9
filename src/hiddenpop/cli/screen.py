"""What the commands print: plain aligned text for 80 columns."""

import math
from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill

from hiddenpop.estimators.compare import Comparison
from hiddenpop.result import Diagnostic, Estimate, format_persons

__all__ = ["columns", "estimate_text", "panel_text", "wrapped"]

WIDTH = 80
OF_THE_TABLE = ("collapsed_strata", "empty_list")
"""Diagnostics that are the same for every estimator and stand above the estimates."""

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
    methods = _collected((e.interval.method, label) for label, e in pairs)
    intervals = [f"{method}: {', '.join(labels)}" for method, labels in methods.items()]
    reasons = [f"{label}: {_status(e)}: {e.reason}" for label, e in pairs if e.reason]
    warnings = _by_text((label, d.message) for label, e in pairs for d in e.diagnostics if _tells(d))
    left_out = _by_text(refused.items())
    parts = [
        table,
        _section("Intervals", intervals),
        _section("Without a number", reasons),
        _section("Warnings", warnings),
        _section("Left out", left_out),
        wrapped(comparison.sentence(), ""),
    ]
    return "\n\n".join(part for part in parts if part)


def _tells(diagnostic: Diagnostic) -> bool:
    return diagnostic.level != "info" and diagnostic.name not in OF_THE_TABLE


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(wrapped(f"  {line}", "    ") for line in lines)]) if lines else ""


def _by_text(remarks: Iterable[tuple[str, str]]) -> list[str]:
    """Say once what holds for several estimators."""
    said = _collected((text, label) for label, text in remarks)
    return [f"{', '.join(labels)}: {text}" for text, labels in said.items()]


def _collected(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Collect second parts by their first part, in order."""
    together: dict[str, list[str]] = {}
    for first, second in pairs:
        together.setdefault(first, []).append(second)
    return together


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
