"""The paper as a PDF, and the numbers that stand in it."""

import json
from pathlib import Path
from typing import Any

from paper.printed import FOLDER
from paper.results import write_bytes

from hiddenpop.extras import need

BUILD = FOLDER / "build"
SOURCE, PDF = FOLDER / "paper.typ", BUILD / "hiddenpop.pdf"


def typeset(target: Path = PDF, source: Path = SOURCE) -> Path:
    """Typeset the paper from the results and figures that are there."""
    typst = need("typst", "the paper")
    # Fonts of the machine would make another paper on another machine.
    content = typst.compile(str(source), root=str(FOLDER), ignore_system_fonts=True)
    return write_bytes(target, content)


def numbers_in_text(source: Path = SOURCE) -> list[dict[str, Any]]:
    """List every number of the paper that comes from the results: its key and the text that was set."""
    typst = need("typst", "the paper")
    found = json.loads(
        typst.query(str(source), "<number>", field="value", root=str(FOLDER), ignore_system_fonts=True)
    )
    return list(found)
