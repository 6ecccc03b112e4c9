"""A document as a tagged PDF, set by typst: all text is handed over as data and never as markup."""

import json
import math
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hiddenpop.extras import need
from hiddenpop.report.document import (
    Aside,
    Block,
    Code,
    Document,
    Figure,
    Items,
    Para,
    Run,
    Runs,
    Subhead,
    Table,
    clean,
    plain,
)

__all__ = ["pdf_of"]

STANDARD = "ua-1"
"""The PDF is made for screen readers too, and typst refuses what would break that."""

LONGEST_WORD = 16
_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")
BREAK = "\u200b"


def pdf_of(document: Document) -> bytes:
    """Set the document."""
    typst = need("typst", "a report in PDF")
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "page.typ").write_bytes((here / "page.typ").read_bytes())
        content = json.dumps(_plain(document, folder), ensure_ascii=True)
        (folder / "document.json").write_text(content, encoding="utf-8")
        made = typst.compile(
            folder / "page.typ",
            root=folder,
            format="pdf",
            font_paths=[str(_fonts())],
            ignore_system_fonts=True,
            pdf_standards=[STANDARD],
            package_path=folder,
            package_cache_path=folder,
        )
    return bytes(made)


def _fonts() -> Path:
    """Find the fonts that come with matplotlib: they have signs that typst's own lack."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"


def _plain(document: Document, folder: Path) -> dict[str, Any]:
    from hiddenpop import __version__

    sections = [
        {
            "name": section.name,
            "heading": section.heading,
            "blocks": [
                _block(block, folder, f"{section.name}-{i}") for i, block in enumerate(section.blocks)
            ],
        }
        for section in document.sections
    ]
    return {
        "title": _breakable(clean(document.title)),
        "language": document.language,
        "subtitle": _runs(document.subtitle),
        "lead": _runs(document.lead),
        "words": document.words,
        "version": __version__,
        "sections": sections,
    }


def _block(block: Block, folder: Path, name: str) -> dict[str, Any]:
    plainly: dict[str, Any]
    match block:
        case Para(runs, role):
            plainly = {"kind": "para", "runs": _runs(runs), "role": role}
        case Aside(runs):
            plainly = {"kind": "aside", "runs": _runs(runs)}
        case Subhead(runs):
            plainly = {"kind": "subhead", "runs": _runs(runs)}
        case Items(items):
            plainly = {"kind": "items", "items": [_runs(item) for item in items]}
        case Code(text, label):
            plainly = {"kind": "code", "text": _breakable(clean(text)), "label": label}
        case Figure():
            plainly = _figure(block, folder, name)
        case Table():
            plainly = _table(block)
    return plainly


def _figure(block: Figure, folder: Path, name: str) -> dict[str, Any]:
    file = f"{name}{block.suffix}"
    (folder / file).write_bytes(block.image)
    return {
        "kind": "figure",
        "file": file,
        "alternative": clean(block.alternative),
        "caption": _runs(block.caption),
    }


def _table(block: Table) -> dict[str, Any]:
    longest = max((len(plain(cell)) for row in block.rows for cell in row), default=0)
    return {
        "kind": "table",
        "caption": _runs(block.caption),
        "head": _rows([block.head])[0],
        "rows": _rows(block.rows),
        "numeric": sorted(block.numeric),
        "widths": _widths(block),
        "long": longest > LONG_CELL,
        "endless": longest > ENDLESS_CELL,
    }


def _rows(rows: Iterable[tuple[Runs, ...]]) -> list[list[Any]]:
    return [[_runs(cell) for cell in row] for row in rows]


LONG_CELL, ENDLESS_CELL = 120, 1500
"""Letters in a cell from which its table, and its row, may go on on the next page."""

NARROWEST, WIDEST, ROOM, BOLD = 6, 60, 3, 1.4


def _widths(block: Table) -> list[int]:
    """Weigh columns by their longest cell, within limits, so that words get the room that numbers leave."""
    columns = range(len(block.head))
    longest = [max((len(plain(row[i])) for row in block.rows), default=0) for i in columns]
    longest = [
        math.ceil(BOLD * n) if i in block.numeric else n for i, n in zip(columns, longest, strict=True)
    ]
    words = [max([_longest_word(row[i]) for row in block.rows], default=0) for i in columns]
    heads = [math.ceil(BOLD * _longest_word(cell)) for cell in block.head]
    return [
        min(max(n, word, head, NARROWEST), max(WIDEST, word, head)) + ROOM
        for n, word, head in zip(longest, words, heads, strict=True)
    ]


def _longest_word(runs: Runs) -> int:
    words = [word for run in runs for word in _breakable(run.text).replace(BREAK, " ").split()]
    return max(map(len, words), default=0)


def _runs(runs: Iterable[Run]) -> list[dict[str, str]]:
    return [{"kind": run.kind, "text": _text(run)} for run in runs if run.text or run.kind != "text"]


def _text(run: Run) -> str:
    return run.text if run.kind == "text" else _breakable(clean(run.text))


def _breakable(text: str) -> str:
    """Allow breaks within words that no line can hold."""
    return _LONG_WORD.sub(lambda found: _cut(found[0]), text)


def _cut(word: str) -> str:
    pieces = (word[i : i + LONGEST_WORD] for i in range(0, len(word), LONGEST_WORD))
    return BREAK.join(pieces)
