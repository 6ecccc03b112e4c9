"""A report of what has been released of a table that is not public: it is given nothing else."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hiddenpop._files import write_bytes
from hiddenpop.disclosure.rules import OTHER_MARK
from hiddenpop.errors import SettingError
from hiddenpop.report.catalogue import Words, words_in
from hiddenpop.report.document import (
    Aside,
    Block,
    Document,
    Items,
    Para,
    Runs,
    Section,
    Subhead,
    Table,
    software,
    user,
)

__all__ = ["released_document", "write_released_report"]

PAGE = ("page.contents", "page.skip", "page.kind")
LIMITS = (
    "limits.unseen",
    "limits.highest_order",
    "limits.unreachable",
    "limits.definition",
    "limits.linkage",
)
BETWEEN = re.compile(r"between ([\d,.]+) and ([\d,.]+)")


def write_released_report(content: Mapping[str, Any], path: Path, language: str = "en") -> Path:
    """Write what has been released as a page.

    Parameters
    ----------
    content : mapping
        ``title``, ``question``, ``table`` (with ``name``, ``lists`` and ``population``), ``choice`` (with ``estimator``
        and ``why``), ``notes``, and what `hiddenpop.estimators.released.released_estimates` gives.
    path : Path
        Its suffix says the format: ``.html`` or ``.pdf``.
    language : str
        One of `hiddenpop.report.LANGUAGES`.

    Returns
    -------
    Path

    Raises
    ------
    SettingError
        For another suffix.
    """
    document = released_document(content, language)
    if path.suffix == ".html":
        from hiddenpop.report.html import html_of

        write_bytes(html_of(document).encode("utf-8"), path)
    elif path.suffix == ".pdf":
        from hiddenpop.report.pdf import pdf_of

        write_bytes(pdf_of(document), path)
    else:
        raise SettingError(f"cannot write a report to {path}: choose .html or .pdf")
    return path


def released_document(content: Mapping[str, Any], language: str) -> Document:
    """Put what has been released together in one language."""
    words = words_in(language)
    sections = (
        _question(words, content),
        _estimates(words, content),
        _chosen(words, content),
        _limits(words),
    )
    return Document(
        title=" ".join(content["title"].split()),
        language=language,
        subtitle=(),
        lead=_answer(words, content),
        sections=sections,
        words={key.removeprefix("page."): words.say(key) for key in words.phrases if key in PAGE},
    )


def _question(words: Words, content: Mapping[str, Any]) -> Section:
    table = content["table"]
    blocks: list[Block] = [
        Para((user(content["question"]),), role="headline"),
        Subhead(words.runs("question.population")),
        Para((user(table["population"]),)),
    ]
    if words.language != "en":
        blocks.append(Para(words.runs("page.english"), role="small"))
    remarks = [Para((user(text),)) for text in content.get("notes", ()) if text.strip()]
    if remarks:
        blocks += [Subhead(words.runs("question.remarks")), *remarks]
    return Section("question", words.say("heading.question"), tuple(blocks))


def _estimates(words: Words, content: Mapping[str, Any]) -> Section:
    shown = content["estimates"]
    first = shown[0]
    about = Aside(
        words.runs("released.what", rules=user(content["rules"]), legend=software(content["legend"]))
    )
    observed = words.runs(
        "released.observed", observed=_number(words, first["n_observed"]), lists=words.count(first["n_lists"])
    )
    registers = Table(
        caption=words.runs("released.registers"),
        head=(words.runs("column.register"), words.runs("column.persons")),
        rows=tuple(
            ((user(name),), words.runs("released.cell", text=_number(words, size)))
            for name, size in first["lists"].items()
        ),
        numeric=frozenset({1}),
    )
    heads = ("estimator", "estimate", "interval", "level", "status")
    table = Table(
        caption=words.runs("estimates.table"),
        head=tuple(words.runs(f"column.{name}") for name in heads),
        rows=tuple(_row(words, one, one["label"] == content["choice"]["estimator"]) for one in shown),
        numeric=frozenset({1, 2, 3}),
    )
    blocks = (about, Para(observed), registers, table, Para(words.runs("released.left_out")))
    return Section("estimates", words.say("heading.estimates"), blocks)


def _row(words: Words, one: Mapping[str, Any], chosen: bool) -> tuple[Runs, ...]:
    number, limits = _in_words(words, one)
    mark = words.runs("released.cell", text=f" {words.say('estimates.chosen')}") if chosen else ()
    cells = (number, limits, words.level(one["interval"]["level"]), _status(words, one))
    return ((user(one["label"]), *mark), *(words.runs("released.cell", text=text) for text in cells))


def _chosen(words: Words, content: Mapping[str, Any]) -> Section:
    blocks = (
        Para(_answer(words, content), role="headline"),
        Subhead(words.runs("chosen.why")),
        Para((user(content["choice"]["why"]),)),
    )
    return Section("chosen", words.say("heading.chosen"), blocks)


def _limits(words: Words) -> Section:
    items = Items(tuple(words.runs(name) for name in LIMITS))
    return Section("limits", words.say("heading.limits"), (Para(words.runs("limits.intro")), items))


def _answer(words: Words, content: Mapping[str, Any]) -> Runs:
    label = content["choice"]["estimator"]
    (one,) = (one for one in content["estimates"] if one["label"] == label)
    number, limits = _in_words(words, one)
    if number == words.say("number.withheld"):
        return words.runs("released.withheld", label=user(label))
    return words.runs("released.answer", label=user(label), number=number, limits=limits)


def _in_words(words: Words, one: Mapping[str, Any]) -> tuple[str, str]:
    """Write an estimate and its limits; limits that are two numbers each are named one by one."""
    ends = [one["interval"][name] for name in ("low", "high")]
    if OTHER_MARK in (one["n_hat"], *ends):
        return words.say("number.withheld"), words.say("number.withheld")
    low, high = (_number(words, end) for end in ends)
    apart = any(isinstance(end, str) for end in ends)
    limits = words.say("released.limits" if apart else "number.limits", low=low, high=high)
    if one["n_hat"] is None:
        return words.say("number.infinite" if one["status"] == "unbounded" else "number.none"), limits
    return _number(words, one["n_hat"]), limits


def _number(words: Words, value: Any) -> str:
    """Write a released value: a number, two numbers of a grid, a mark, or nothing where there is no limit."""
    if value is None:
        return words.say("number.infinite")
    if value == OTHER_MARK:
        return words.say("number.withheld")
    if not isinstance(value, str):
        return words.count(value)
    ends = BETWEEN.fullmatch(value)
    if ends is None:
        return value
    return words.say("released.between", low=words.number(ends[1]), high=words.number(ends[2]))


def _status(words: Words, one: Mapping[str, Any]) -> str:
    return (
        words.say("number.withheld") if one["status"] == OTHER_MARK else words.say(f"status.{one['status']}")
    )
