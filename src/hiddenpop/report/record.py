"""`Report`: everything that one analysis has to show, and how it is written out."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from hiddenpop._cells import unknown_name
from hiddenpop._files import write_bytes
from hiddenpop._front_door import front_doors
from hiddenpop.description import TableDescription
from hiddenpop.errors import SettingError
from hiddenpop.monitor import Ranks, Rates, Subgroups, Trend, TrendByList, UNIndicator
from hiddenpop.report.catalogue import words_in
from hiddenpop.report.withholding import leaving_directions, registers_to_leave
from hiddenpop.result import SCHEMA_VERSION, Estimate
from hiddenpop.sensitivity.protocol import CheckResult
from hiddenpop.serial import to_jsonable
from hiddenpop.table import CaptureTable

__all__ = ["Part", "Redo", "Report"]

Part = Subgroups | Rates | Trend | Ranks | UNIndicator | TrendByList
"""What a monitor makes of an estimate by strata."""

LONGEST_DETAIL = 4000
"""Signs that a detail of an estimate may take."""

FORMATS = (".html", ".pdf", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Redo:
    """How to make a report again.

    Parameters
    ----------
    command : str
        What to type.
    seed : int or None
    inputs : mapping of str to str
        File or data set, and its checksum or fingerprint.
    versions : mapping of str to str
        Of all that the numbers depend on.
    settings : str
        The plan of the analysis, as it was read.
    machine : str
        What it was made on.

    Examples
    --------
    >>> Redo(command="hiddenpop run analysis.toml", seed=1, inputs={"kosovo": "sha256:..."}).seed
    1
    """

    command: str
    seed: int | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""
    machine: str = ""

    def __post_init__(self) -> None:
        for name in ("inputs", "versions"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


@front_doors("__init__")
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """What an analysis found, with everything a critical reader needs to judge it and to do it again.

    Parameters
    ----------
    title : str
    question : str
        What was asked.
    population : str
        The target population: who, where, in which period, who is eligible.
    table : CaptureTable
    estimates : mapping of str to Estimate
        By label, in the order in which they stand side by side.
    chosen : str
        A label of `estimates`.
    why : str
        Why that one.
    checks : tuple of CheckResult
    claim : str
        What the checks were held to.
    parts : tuple of monitor records
        Subgroups, rates, trends, ranks and indicators.
    authors : tuple of str
    notes : tuple of str
        Paragraphs of the researchers.
    date : str
        As the researchers write it. Nothing in a report depends on the clock.
    redo : Redo, optional
    show_small_counts : bool
        Of counts that are not public, those from 1 to 9 and what gives them away are withheld. True lifts that, and the
        report says so.

    Raises
    ------
    SettingError
        If a text that is needed is blank, or there is no estimate.
    UnknownNameError
        If no estimate has the label `chosen`.

    Notes
    -----
    Equal inputs give equal bytes. The HTML is one file without scripts that asks nothing of the network; all that was
    given as text is shown as text.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> korea = hp.datasets.load("korea")
    >>> report = Report(
    ...     title="A test", question="How many?", population="Everybody", table=korea,
    ...     estimates={"one model": hp.LogLinear(model="[12,3]").fit(korea)}, chosen="one model", why="It is the one.")
    >>> report.html().splitlines()[1]
    '<html lang="en">'
    """

    title: str
    question: str
    population: str
    table: CaptureTable
    estimates: Mapping[str, Estimate]
    chosen: str
    why: str
    checks: tuple[CheckResult, ...] = ()
    claim: str = ""
    parts: tuple[Part, ...] = ()
    authors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    date: str = ""
    redo: Redo | None = None
    show_small_counts: bool = False
    drawn: dict[str, tuple[bytes, str]] = field(default_factory=dict, init=False, repr=False)
    described: list[TableDescription | str] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("title", "question", "population", "why"):
            _need_text(name, getattr(self, name))
        if not self.estimates:
            raise SettingError("a report needs at least one estimate; estimates is empty")
        if self.chosen not in self.estimates:
            raise unknown_name("estimate", self.chosen, self.estimates)
        object.__setattr__(self, "estimates", MappingProxyType(dict(self.estimates)))
        for name in ("checks", "parts", "authors", "notes"):
            object.__setattr__(self, name, _as_tuple(name, getattr(self, name)))

    @property
    def answer(self) -> Estimate:
        """The chosen estimate."""
        return self.estimates[self.chosen]

    @property
    def protects(self) -> bool:
        """Whether small counts are withheld."""
        return not (self.show_small_counts or self.all_public)

    @property
    def all_public(self) -> bool:
        """Whether every count behind the report is public."""
        tables = [e.table.public for e in self.estimates.values()]
        tables += [result.data.public for result in self.checks]
        return self.table.public and all(tables) and all(part.table.public for part in self.parts)

    def html(self, *, language: str = "en") -> str:
        """Write the report as one HTML page.

        Parameters
        ----------
        language : str
            One of `hiddenpop.report.LANGUAGES`.

        Returns
        -------
        str

        Raises
        ------
        UnknownNameError
            For another language.
        MissingExtraError
            If Jinja2 is not installed.
        """
        from hiddenpop.report.content import document_of
        from hiddenpop.report.html import html_of

        return html_of(document_of(self, language))

    def pdf(self, *, language: str = "en") -> bytes:
        """Write the report as a tagged PDF.

        Parameters
        ----------
        language : str
            One of `hiddenpop.report.LANGUAGES`.

        Returns
        -------
        bytes

        Raises
        ------
        UnknownNameError
            For another language.
        MissingExtraError
            If typst is not installed.
        """
        from hiddenpop.report.content import document_of
        from hiddenpop.report.pdf import pdf_of

        return pdf_of(document_of(self, language))

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain values for JSON, protected as its estimates and checks are."""
        return values_of(self)

    def write(self, path: str | Path, *, language: str = "en") -> Path:
        """Write the report to a file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            Its suffix says the format: ``.html``, ``.pdf`` or ``.json``.
        language : str
            One of `hiddenpop.report.LANGUAGES`; JSON has none.

        Returns
        -------
        Path

        Raises
        ------
        SettingError
            For another suffix.
        UnknownNameError
            For another language.
        TableError
            If the file cannot be written.
        MissingExtraError
            If what writes the format is not installed.
        """
        return write_report(self, Path(path), language)


def _need_text(name: str, text: object) -> None:
    if not isinstance(text, str) or not text.strip():
        raise SettingError(f"{name}={text!r} is blank; a report has to state it, so write it out")


def _as_tuple(name: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str):
        raise SettingError(f"{name}={given!r} is one text; give a list of them")
    return tuple(given)


# === A report as plain values for JSON ================================================================================


def values_of(report: Report) -> dict[str, Any]:
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


def _estimate(report: Report, estimate: Estimate) -> dict[str, Any]:
    """Write an estimate; of its details those that are short, the others stand in the files of the run."""
    told = estimate.to_dict(show_small_counts=report.show_small_counts)
    details = told["details"]
    short = {name: value for name, value in details.items() if len(json.dumps(value)) <= LONGEST_DETAIL}
    told["details"], told["details_left_out"] = short, [name for name in details if name not in short]
    return told


def _part(part: Part, *, protect: bool) -> dict[str, Any]:
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


# === A report in a file: written whole or not at all ==================================================================


def write_report(report: Report, path: Path, language: str) -> Path:
    """Write a report in the format that the suffix names."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise SettingError(
            f"cannot write a report to {path}: its suffix is {path.suffix!r}; choose {', '.join(FORMATS)}"
        )
    words_in(language)
    write_bytes(_content(report, suffix, language), path)
    return path


def _content(report: Report, suffix: str, language: str) -> bytes:
    if suffix == ".html":
        return report.html(language=language).encode("utf-8")
    if suffix == ".pdf":
        return report.pdf(language=language)
    text = json.dumps(report.to_dict(), ensure_ascii=False, indent=2, allow_nan=False)
    return f"{text}\n".encode("utf-8", errors="replace")
