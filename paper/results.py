"""Results as JSON files: sorted keys, no clock, no machine, written whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from paper.answers import Job, answer, jobs_of
from paper.printed import FOLDER, Printed
from paper.verdicts import Record, check_reasons, record_of

from hiddenpop._files import write_bytes as whole_bytes
from hiddenpop.parallel import run_blocks

RESULTS = FOLDER / "results"


def records_of(printed: Printed, *, slow: bool = True) -> dict[str, list[Record]]:
    """Compute ours for all rows, by group; without `slow` only those that take a moment."""
    rows = [row for row in printed.rows if slow or not row.slow]
    jobs = jobs_of(rows)
    answers = run_blocks(answer, [bare(job) for job in jobs], label="printed numbers")
    by_key = {
        row.key: found
        for job, block in zip(jobs, answers, strict=True)
        for row, found in zip(job.rows, block, strict=True)
    }
    return {
        group: [record_of(row, printed, by_key[row.key]) for row in printed.of(group) if row.key in by_key]
        for group in printed.groups
    }


def bare(job: Job) -> Job:
    """Leave out the words, so that a stored answer stays good when they change."""
    empty: dict[str, Any] = {"words": "", "where": "", "interval": "", "why": "-", "note": ""}
    return Job(tuple(replace(row, **empty) for row in job.rows))


def write_records(
    printed: Printed, found: Mapping[str, Sequence[Record]], folder: Path = RESULTS
) -> list[Path]:
    """Write one file a group, once every difference has its reason."""
    check_reasons([record for records in found.values() for record in records])
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_json(folder / f"{group}.json", {"title": printed.groups[group], "rows": list(records)})
        for group, records in found.items()
    ]


def write_json(path: Path, value: object) -> Path:
    """Write under a passing name first, so that nobody sees half a file."""
    return write_bytes(
        path, (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    )


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole_bytes(content, path)
    return path


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))
