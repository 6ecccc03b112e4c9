"""The pages of docs as text: their sections, their code, their command lines."""

import re
import sys
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"
WRITTEN = sorted(
    path
    for folder in (".", "howto", "estimators", "checks")
    for path in (DOCS / folder).glob("*.md")
    if path.name not in ("changelog.md", "cli.md", "gallery.md", "security.md", "validation.md")
)
"""Pages written by hand; the others are made from something else."""

FENCE = re.compile(r"^```(?:\{code-block\} )?(\w+)\n(:class: slow\n\n)?(.*?)^```$", re.S | re.M)

for folder in (DOCS, DOCS / "_ext"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


class Block(NamedTuple):
    """A block of code of a page."""

    language: str
    slow: bool
    text: str


def name_of(path: Path) -> str:
    return path.relative_to(DOCS).with_suffix("").as_posix()


def blocks(path: Path, language: str) -> list[Block]:
    found = FENCE.findall(path.read_text(encoding="utf-8"))
    return [Block(kind, bool(slow), text) for kind, slow, text in found if kind == language]


def headings(path: Path, level: int = 2) -> list[str]:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return re.findall(rf"^{'#' * level} (.+)$", text, re.M)


def table_rows(path: Path) -> list[list[str]]:
    """Give the rows of all tables of a page, without heads."""
    rows = [
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    heads = {at - 1 for at, row in enumerate(rows) if _is_rule(row)}
    return [row for at, row in enumerate(rows) if at not in heads and not _is_rule(row)]


def _is_rule(row: list[str]) -> bool:
    return all(set(cell) <= {"-", ":"} for cell in row)
