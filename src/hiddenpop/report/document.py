"""The blocks that a report is made of, the same for every format it is written in."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Aside",
    "Block",
    "Code",
    "Document",
    "Figure",
    "Items",
    "Para",
    "Run",
    "Runs",
    "Section",
    "Subhead",
    "Table",
    "clean",
    "code",
    "plain",
    "software",
    "strong",
    "user",
]

Kind = Literal["text", "user", "software", "code", "strong"]

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_DIRECTIONS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
NOTHING = "-"
"""What stands in the place of a blank name, so that no cell or heading is empty."""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text and whose words it is.

    Parameters
    ----------
    text : str
    kind : {"text", "user", "software", "code", "strong"}
        ``"text"`` and ``"strong"`` are the report's own words, ``"user"`` what a researcher wrote in any language and
        direction, ``"software"`` sentences that the methods write in English, ``"code"`` names and commands.
    """

    text: str
    kind: Kind = "text"


Runs = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Para:
    """A paragraph; its role is how much it stands out."""

    runs: Runs
    role: Literal["", "headline", "small"] = ""


@dataclass(frozen=True, slots=True)
class Aside:
    """A paragraph that a reader must not overlook."""

    runs: Runs


@dataclass(frozen=True, slots=True)
class Items:
    """A list; `label` says what of to those who do not see what stands above."""

    items: tuple[Runs, ...]


@dataclass(frozen=True, slots=True)
class Subhead:
    """A heading within a section."""

    runs: Runs


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names the rows.

    Attributes
    ----------
    caption : Runs
    head : tuple of Runs
    rows : tuple of tuple of Runs
    numeric : frozenset of int
        Columns of numbers.
    """

    caption: Runs
    head: tuple[Runs, ...]
    rows: tuple[tuple[Runs, ...], ...]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with what it shows in words.

    Attributes
    ----------
    image : bytes
    suffix : {".svg", ".png"}
    alternative : str
        What it shows, in numbers.
    caption : Runs
    wide : bool
        Whether it must not be made narrower than it can be read.
    """

    image: bytes
    suffix: str
    alternative: str
    caption: Runs
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be copied, with a label."""

    text: str
    label: str


Block = Para | Aside | Items | Subhead | Table | Figure | Code


@dataclass(frozen=True, slots=True)
class Section:
    """A section with its name, which links to it, and its heading."""

    name: str
    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole report.

    Attributes
    ----------
    title, language : str
    subtitle : Runs
    lead : Runs
        The answer in a sentence.
    sections : tuple of Section
    words : dict
        What the page itself says, such as the label of its contents.
    """

    title: str
    language: str
    subtitle: Runs
    lead: Runs
    sections: tuple[Section, ...]
    words: dict[str, str] = field(default_factory=dict)


def clean(text: str) -> str:
    r"""Take out what no page can show, and marks that turn the direction of what follows.

    Examples
    --------
    >>> clean("a\x00b\u202ec\nd"), clean("  ")
    ('a\ufffdbc\nd', '-')
    """
    shown = _DIRECTIONS.sub("", _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n")))
    return shown if shown.strip() else NOTHING


def user(text: object) -> Run:
    """Mark the words of a researcher."""
    return Run(str(text), "user")


def software(text: object) -> Run:
    """Mark English words that a method wrote."""
    return Run(str(text), "software")


def code(text: object) -> Run:
    """Mark a name or a command."""
    return Run(str(text), "code")


def strong(text: object) -> Run:
    """Mark words that stand out."""
    return Run(str(text), "strong")


def plain(runs: Iterable[Run]) -> str:
    """Give the text alone.

    Examples
    --------
    >>> plain((Run("a "), strong("b")))
    'a b'
    """
    return "".join(run.text for run in runs)
