"""A report in a file: written whole or not at all."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hiddenpop._files import write_bytes
from hiddenpop.errors import SettingError
from hiddenpop.report.catalogue import words_in

if TYPE_CHECKING:
    from hiddenpop.report.record import Report

__all__ = ["FORMATS", "write_report"]

FORMATS = (".html", ".pdf", ".json")


def write_report(report: "Report", path: Path, language: str) -> Path:
    """Write a report in the format that the suffix names."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise SettingError(
            f"cannot write a report to {path}: its suffix is {path.suffix!r}; choose {', '.join(FORMATS)}"
        )
    words_in(language)
    write_bytes(_content(report, suffix, language), path)
    return path


def _content(report: "Report", suffix: str, language: str) -> bytes:
    if suffix == ".html":
        return report.html(language=language).encode("utf-8")
    if suffix == ".pdf":
        return report.pdf(language=language)
    text = json.dumps(report.to_dict(), ensure_ascii=False, indent=2, allow_nan=False)
    return f"{text}\n".encode("utf-8", errors="replace")
