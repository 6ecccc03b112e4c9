"""From a report to its document: the sections in order."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hiddenpop.report.answers import (
    account_section,
    checks_section,
    chosen_section,
    estimates_section,
    headline,
    held_runs,
    uncertainty_section,
)
from hiddenpop.report.catalogue import words_in
from hiddenpop.report.context import Context
from hiddenpop.report.document import (
    Block,
    Code,
    Document,
    Items,
    Run,
    Runs,
    Section,
    Subhead,
    Table,
    code,
    user,
)
from hiddenpop.report.opening import overlap_section, question_section, registers_section
from hiddenpop.report.parts import parts_section
from hiddenpop.report.withholding import MARK

if TYPE_CHECKING:
    from hiddenpop.report.record import Report

__all__ = ["document_of"]

ALWAYS = ("unseen", "highest_order", "unreachable", "definition", "linkage", "causes")


# === what the data cannot know, and how to do the analysis again ======================================================


def limits_section(context: Context) -> Section:
    """Say what no analysis of these registers can tell."""
    report = context.report
    names = list(ALWAYS)
    names += ["two_lists"] if report.table.n_lists == 2 else []
    names += ["no_overlap"] if report.table.empty_overlaps else []
    names += ["gaps"] if report.table.has_gaps else []
    names += ["no_checks"] if not report.checks else []
    names += ["withheld"] if context.hide else []
    items = tuple(context.runs(f"limits.{name}") for name in names)
    return Section("limits", context.say("heading.limits"), (context.para("limits.intro"), Items(items)))


def redo_section(context: Context) -> Section:
    """Give the command, the seed, the inputs and the versions."""
    report, redo = context.report, context.report.redo
    blocks: list[Block] = []
    if redo is None:
        blocks.append(context.para("redo.none"))
    else:
        blocks += [context.para("redo.command"), Code(redo.command, context.say("redo.command_label"))]
        blocks.append(
            context.para("redo.no_seed")
            if redo.seed is None
            else context.para("redo.seed", seed=code(str(redo.seed)))
        )
        blocks += _names(context, redo.inputs, "redo.inputs", "input", "checksum")
        if redo.machine.strip():
            blocks.append(context.para("redo.machine", machine=user(redo.machine)))
    blocks.append(context.para("redo.fingerprint", fingerprint=code(report.table.fingerprint)))
    blocks += [] if report.table.public else [context.para("redo.keyed")]
    versions = redo.versions if redo is not None and redo.versions else _versions(context)
    blocks += _names(context, versions, "redo.versions", "package", "version")
    if redo is not None and redo.settings.strip():
        blocks += [Subhead(context.runs("redo.plan")), Code(redo.settings, context.say("redo.plan_label"))]
    if context.hide:
        blocks.append(context.para("redo.withheld", mark=MARK))
    return Section("redo", context.say("heading.redo"), tuple(blocks))


def _versions(context: Context) -> Mapping[str, str]:
    found = context.report.answer.provenance.get("versions", {})
    return {str(name): str(version) for name, version in found.items()} if isinstance(found, Mapping) else {}


def _names(context: Context, values: Mapping[str, str], caption: str, *heads: str) -> list[Block]:
    """Write names and what belongs to them as a table, nothing where there are none."""
    if not values:
        return []
    rows: tuple[tuple[Runs, ...], ...] = tuple(((user(a),), (code(b),)) for a, b in values.items())
    head = tuple(context.runs(f"column.{name}") for name in heads)
    return [Table(context.runs(caption), head, rows)]


# === from a report to its document: the sections in order =============================================================


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
