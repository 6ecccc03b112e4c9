"""From a report to its document: the sections in order."""

from typing import TYPE_CHECKING

from hiddenpop.report.account import account_section
from hiddenpop.report.answers import chosen_section, estimates_section, headline, uncertainty_section
from hiddenpop.report.catalogue import words_in
from hiddenpop.report.checking import checks_section, held_runs
from hiddenpop.report.closing import limits_section, redo_section
from hiddenpop.report.context import Context
from hiddenpop.report.document import Document, Run, Runs, user
from hiddenpop.report.opening import overlap_section, question_section, registers_section
from hiddenpop.report.parts import parts_section

if TYPE_CHECKING:
    from hiddenpop.report.record import Report

__all__ = ["document_of"]

SECTIONS = (
    question_section,
    registers_section,
    overlap_section,
    estimates_section,
    chosen_section,
    uncertainty_section,
    checks_section,
    parts_section,
    account_section,
    limits_section,
    redo_section,
)


def document_of(report: "Report", language: str) -> Document:
    """Put a report together in one language."""
    words = words_in(language)
    context = Context(report, words)
    page = {key.removeprefix("page."): words.say(key) for key in words.phrases if key in PAGE}
    return Document(
        title=" ".join(report.title.split()),
        language=language,
        subtitle=_subtitle(context),
        lead=_lead(context),
        sections=tuple(make(context) for make in SECTIONS),
        words=page,
    )


PAGE = ("page.contents", "page.skip", "page.kind")
"""What the page itself says."""


def _lead(context: Context) -> Runs:
    """Give the answer, and how it stood up to the checks: many readers read no further."""
    answer = headline(context)
    return (*answer, Run(" "), *held_runs(context)) if context.report.checks else answer


def _subtitle(context: Context) -> Runs:
    report = context.report
    parts: list[Run] = []
    for text in (*report.authors, report.date):
        if text.strip():
            parts += [Run(" · "), user(text)] if parts else [user(text)]
    return tuple(parts)
