"""`Report`: everything that one analysis has to show, and how it is written out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hiddenpop._cells import unknown_name
from hiddenpop._front_door import front_doors
from hiddenpop.errors import SettingError
from hiddenpop.monitor import Ranks, Rates, Subgroups, Trend, TrendByList, UNIndicator
from hiddenpop.result import Estimate
from hiddenpop.sensitivity.protocol import CheckResult
from hiddenpop.table import CaptureTable

__all__ = ["Part", "Redo", "Report"]

Part = Subgroups | Rates | Trend | Ranks | UNIndicator | TrendByList
"""What a monitor makes of an estimate by strata."""


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
        from hiddenpop.report.values import values_of

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
        from hiddenpop.report.files import write_report

        return write_report(self, Path(path), language)


def _need_text(name: str, text: object) -> None:
    if not isinstance(text, str) or not text.strip():
        raise SettingError(f"{name}={text!r} is blank; a report has to state it, so write it out")


def _as_tuple(name: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str):
        raise SettingError(f"{name}={given!r} is one text; give a list of them")
    return tuple(given)
