"""A report as plain values for JSON."""

import json
import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from hiddenpop.monitor import Trend, TrendByList
from hiddenpop.report.withholding import leaving_directions, registers_to_leave
from hiddenpop.result import SCHEMA_VERSION, Estimate
from hiddenpop.serial import to_jsonable

if TYPE_CHECKING:
    from hiddenpop.report.record import Part, Report

__all__ = ["values_of"]

LONGEST_DETAIL = 4000
"""Signs that a detail of an estimate may take."""


def values_of(report: "Report") -> dict[str, Any]:
    """Write everything a report has to show, small counts withheld where it protects."""
    show = report.show_small_counts
    registers = registers_to_leave(report.table, protect=report.protects)
    return {
        "schema_version": SCHEMA_VERSION,
        "title": report.title,
        "question": report.question,
        "population": report.population,
        "authors": list(report.authors),
        "date": report.date,
        "notes": list(report.notes),
        "table": to_jsonable(report.table.summary),
        "registers": {
            "n_observed": registers.n_observed,
            "lists": to_jsonable(registers.lists),
            "seen": list(registers.seen),
        },
        "coverage": to_jsonable(report.table.coverage),
        "estimates": {label: _estimate(report, e) for label, e in report.estimates.items()},
        "chosen": report.chosen,
        "why": report.why,
        "claim": report.claim,
        "checks": [result.to_dict(show_small_counts=show) for result in report.checks],
        "parts": [_part(part, protect=report.protects) for part in report.parts],
        "redo": to_jsonable(report.redo),
        "small_counts_shown": not report.protects,
    }


def _estimate(report: "Report", estimate: Estimate) -> dict[str, Any]:
    """Write an estimate; of its details those that are short, the others stand in the files of the run."""
    told = estimate.to_dict(show_small_counts=report.show_small_counts)
    details = told["details"]
    short = {name: value for name, value in details.items() if len(json.dumps(value)) <= LONGEST_DETAIL}
    told["details"], told["details_left_out"] = short, [name for name in details if name not in short]
    return told


def _part(part: "Part", *, protect: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": type(part).__name__}
    told |= {
        name: to_jsonable(getattr(part, name)) for name in ("by", "year", "level") if hasattr(part, name)
    }
    if isinstance(part, TrendByList):
        frames = {"directions": leaving_directions(part) if protect else part.directions}
        frames |= {} if protect else {"frame": part.frame}
    elif isinstance(part, Trend):
        frames = {"frame": part.protected_frame() if protect else part.frame}
        frames["changes"] = part.protected_changes() if protect else part.changes
    else:
        frames = {"frame": part.protected_frame() if protect else part.frame}
    notes = list(getattr(part, "notes", ()))
    return told | {name: _rows(frame) for name, frame in frames.items()} | {"notes": notes}


def _rows(frame: pd.DataFrame) -> Any:
    return [
        {str(name): None if _is_missing(value) else to_jsonable(value) for name, value in row.items()}
        for row in frame.to_dict(orient="records")
    ]


def _is_missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
