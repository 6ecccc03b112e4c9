"""A million rows of a csv file to a table, each in a process of its own: CPU seconds and peak memory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROWS = 1_000_000
LISTS = np.array(["politie", "opvang", "kliniek", "zorg"])
READ = """
import json, resource, sys, time
start = time.process_time()
from hiddenpop.table import CaptureTable
table = CaptureTable.read(sys.argv[1], **json.loads(sys.argv[2]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([table.n_observed, time.process_time() - start, peak]))
"""


def write_registrations(path: Path, rng: np.random.Generator) -> None:
    who, where, day = (
        rng.integers(0, 400_000, ROWS),
        LISTS[rng.integers(0, 4, ROWS)],
        rng.integers(1, 28, ROWS),
    )
    rows = (
        f"NL-{w:07d},{x},{'vm'[w % 2]},2020-03-{d:02d}\n" for w, x, d in zip(who, where, day, strict=True)
    )
    with path.open("w", encoding="utf-8") as file:
        file.write("client,bron,sekse,datum\n")
        file.writelines(rows)


def write_persons(path: Path, rng: np.random.Generator) -> None:
    histories = rng.integers(1, 16, ROWS)
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(LISTS) + "\n")
        file.writelines(f"{h & 1},{h >> 1 & 1},{h >> 2 & 1},{h >> 3}\n" for h in histories)


def write_persons_with_id(path: Path, rng: np.random.Generator) -> None:
    histories = rng.integers(1, 16, ROWS)
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(["client", *LISTS]) + "\n")
        file.writelines(
            f"NL-{i:07d},{h & 1},{h >> 1 & 1},{h >> 2 & 1},{h >> 3}\n" for i, h in enumerate(histories)
        )


REGISTRATIONS = {"person": "client", "list": "bron", "strata": ["sekse"], "date": "datum"}


@pytest.mark.parametrize(
    ("name", "write", "columns", "seconds", "mebibytes"),
    [
        ("registrations", write_registrations, REGISTRATIONS, 5.0, 1024),
        ("rows, one a person", write_persons, {}, 3.8, 405),
        ("rows, one a person with an id", write_persons_with_id, {"person": "client"}, 3.8, 405),
        (
            "rows, one a person with an id set aside",
            write_persons_with_id,
            {"lists": LISTS.tolist()},
            3.8,
            405,
        ),
    ],
)
def test_a_million_rows(tmp_path, report, name, write, columns, seconds, mebibytes):
    write(tmp_path / "mine.csv", np.random.default_rng(1))
    words = [sys.executable, "-c", READ, str(tmp_path / "mine.csv"), json.dumps(columns)]
    persons, used, peak = json.loads(subprocess.run(words, capture_output=True, check=True, text=True).stdout)
    report(f"{ROWS:,} {name}: {persons:,} persons in {used:.2f} CPU s, peak memory {peak:.0f} MiB")
    assert used <= seconds
    assert peak <= mebibytes
