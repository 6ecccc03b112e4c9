"""What registers and links look like, each with the assumption of capture-recapture that it touches."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from hiddenpop.disclosure import THRESHOLD, is_small
from hiddenpop.errors import HiddenpopError
from hiddenpop.registers.links import Links
from hiddenpop.table import CaptureTable

__all__ = ["Page", "Part", "quality_page"]

NOT_FOR_RELEASE = (
    f"Numbers of persons below {THRESHOLD} are withheld one by one, without regard to what follows from "
    f"others: this page "
    "stays where the registers are. What leaves goes through a release."
)
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.2rem .7rem;border-bottom:1px solid #ccc;"
    "text-align:right}th:first-child,td:first-child{text-align:left}caption{text-align:left;font-weight:600}"
)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A table with its title and what it means for an estimate.

    Attributes
    ----------
    title, meaning : str
    frame : DataFrame
    persons : tuple of str
        Columns that count persons.
    """

    title: str
    meaning: str
    frame: pd.DataFrame
    persons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """The parts in order."""

    title: str
    parts: tuple[Part, ...]

    def to_text(self) -> str:
        """Write the page for a screen, with every number."""
        blocks = [f"{part.title}\n{part.meaning}\n{part.frame.to_string(index=False)}" for part in self.parts]
        return "\n\n".join([self.title, *blocks])

    def to_html(self) -> str:
        """Write the page as one file without scripts; small numbers of persons are withheld."""
        parts = "\n".join(
            f"<h2>{escape(part.title)}</h2>\n<p>{escape(part.meaning)}</p>\n{_html(part)}"
            for part in self.parts
        )
        return (
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(self.title)}</title>'
            f"<style>{STYLE}</style></head><body>\n<h1>{escape(self.title)}</h1>\n<p>{escape(NOT_FOR_RELEASE)}</p>\n"
            f"{parts}\n</body></html>\n"
        )


def _html(part: Part) -> str:
    frame = part.frame.copy()
    for column in part.persons:
        frame[column] = [f"<{THRESHOLD}" if is_small(float(n)) else f"{int(n):,}" for n in frame[column]]
    for column in frame.columns.difference(list(part.persons)):
        if pd.api.types.is_float_dtype(frame[column]):
            frame[column] = frame[column].map("{:.3f}".format)
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in frame.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>\n"
        for row in frame.itertuples(index=False, name=None)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>"


def quality_page(links: Links, table: CaptureTable, *, title: str, unit: str = "person") -> Page:
    """Bring together what registers and links say about the assumptions of an estimate.

    Parameters
    ----------
    links : Links
    table : CaptureTable
        As counted from them.
    title : str
    unit : {"person", "person-year"}
        As counted.

    Returns
    -------
    Page
    """
    return Page(
        title,
        (
            _registers(links),
            _sizes(table),
            _overlaps(table),
            _missing(links),
            *_conflicts(links),
            *_quality(links),
            *_audit(links, unit),
        ),
    )


def _registers(links: Links) -> Part:
    columns = ["register", "rows", "not_eligible", "outside_window", "kept", "repeats"]
    return Part(
        "Registrations read",
        "Rows that do not count are left out here. Repeats are rows with the same person fields, key and "
        "day: registered "
        "twice, or two events. Persons who are not of the population (over-coverage) make a list too long.",
        links.registrations.quality[columns],
        tuple(columns[1:]),
    )


def _sizes(table: CaptureTable) -> Part:
    frame = table.list_totals.rename("persons").rename_axis("list").reset_index()
    return Part(
        "Sizes of the lists",
        "Every list must have a chance to catch persons of the population.",
        frame,
        ("persons",),
    )


def _overlaps(table: CaptureTable) -> Part:
    marks = [np.asarray((table.histories >> at) & 1, dtype=np.bool_) for at in range(table.n_lists)]
    rows = [
        {"first": one, "second": other, "persons on both": int(table.counts[marks[i] & marks[j]].sum())}
        for i, one in enumerate(table.lists)
        for j, other in enumerate(table.lists)
        if i < j
    ]
    return Part(
        "Overlaps",
        "The estimate rests on overlaps. One of 0 says that two lists never meet, or that links between "
        "them are missed; "
        "referral from one list to another makes an overlap larger than chance does.",
        pd.DataFrame(rows, columns=["first", "second", "persons on both"]),
        ("persons on both",),
    )


def _missing(links: Links) -> Part:
    quality = links.registrations.quality
    columns = [name for name in quality.columns if name.startswith("no_")]
    renamed = quality[["register", *columns]].rename(
        columns={name: name.removeprefix("no_") for name in columns}
    )
    return Part(
        "Missing fields, as a share of the registrations",
        "Links are missed where fields are missing; where this differs between registers or groups, so do "
        "missed links.",
        renamed,
    )


def _conflicts(links: Links) -> Sequence[Part]:
    if not links.registrations.strata:
        return ()
    frame = links.conflicts().rename(
        columns={"several": "persons with several records", "differ": "whose level differs"}
    )
    return (
        Part(
            "Strata that differ between the records of a person",
            "A level that changes puts a person into another group, and may be a sign of two persons taken for one.",
            frame,
            ("persons with several records", "whose level differs"),
        ),
    )


def _quality(links: Links) -> Sequence[Part]:
    quality = links.quality
    figures = {
        "records": quality.records,
        "persons": quality.persons,
        "persons with two keys": quality.two_keys,
        "persons with two years of birth": quality.two_births,
    }
    shares = {
        "expected precision of pairs": quality.expected_precision,
        "expected recall of pairs looked at": quality.expected_recall,
    }
    parts = [
        Part(
            "Links by themselves",
            "Every record must belong to one person, and all records of a person must be brought together.",
            pd.DataFrame({"figure": list(figures), "number": list(figures.values())}),
            ("number",),
        ),
        Part(
            "Persons by number of records",
            "Persons on very many records may be several persons.",
            quality.sizes,
            ("persons",),
        ),
    ]
    if links.pairs is not None:
        parts.append(
            Part(
                "What the probabilities of the pairs say",
                "Pairs that no rule looked at are not counted, and probabilities between 0.1 and 0.9 are "
                "trusted too much: "
                "the audit below says how much.",
                pd.DataFrame({"figure": list(shares), "share": list(shares.values())}),
            )
        )
    return parts


def _audit(links: Links, unit: str) -> Sequence[Part]:
    """Give the audit by the key and the rates that follow; a reason where there is none."""
    try:
        audit = links.audit(unit=unit)  # type: ignore[arg-type]
        rates = links.rates(unit=unit, n_boot=0)  # type: ignore[arg-type]
    except HiddenpopError as error:
        return (Part("Audit by the key", f"There is none: {error}", pd.DataFrame({"figure": []})),)
    shares = {
        "recall without the key": audit.recall,
        "pairs linked without the key whose keys differ": audit.wrong,
    }
    by_list = rates[["register", "missed", "false"]].rename(columns={"missed": "records that come loose"})
    return (
        Part(
            "Audit by the key",
            "The records are linked again with the key kept out; the key then says which links are found. It holds for "
            "records with a key, standardised to all records by group; links of persons without one are "
            "missed more often.",
            pd.DataFrame({"figure": list(shares), "share": list(shares.values())}),
        ),
        Part(
            "Probabilities held against the key",
            "Where told and shown differ, the model trusts its fields too much or too little.",
            audit.calibration,
            ("pairs",),
        ),
        Part(
            "Rates by register",
            "Chance that a record comes loose from its person, and share of persons taken for another: what "
            "an estimate is "
            "corrected by. Missed links make the dark figure too large, false links too small.",
            by_list,
        ),
    )
