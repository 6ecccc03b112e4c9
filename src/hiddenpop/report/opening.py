"""The question, the registers and how they overlap."""

import math
from collections.abc import Sequence

import numpy as np

from hiddenpop.datasets import info
from hiddenpop.disclosure import protect_counts
from hiddenpop.errors import HiddenpopError, UnknownNameError
from hiddenpop.estimators.base import interval_kind
from hiddenpop.fitted_model import FittedModel
from hiddenpop.histories import bit_positions, decode
from hiddenpop.model import HierarchicalModel
from hiddenpop.report.context import Context
from hiddenpop.report.document import (
    Block,
    Figure,
    Items,
    Para,
    Run,
    Runs,
    Section,
    Subhead,
    Table,
    code,
    software,
    user,
)
from hiddenpop.report.figures import DRAWN_LISTS, overlap_figure, short
from hiddenpop.report.withholding import MARK, Registers, registers_to_leave
from hiddenpop.table import CaptureTable

__all__ = ["overlap_section", "question_section", "registers_section"]

MOST_IN_MATRIX = 12
MOST_TERMS = 8
GRADE_ENDS = "of 5)"
"""Where the grade ends in the sentence of a description."""

GRADES = (
    "in_short.grade1",
    "in_short.grade2",
    "in_short.grade3",
    "in_short.grade4",
    "in_short.grade5",
)
"""What counts can carry, from the best grade to the worst, by the keys of the catalogue."""
WITHOUT_INTERVAL = ("not_identified", "not_converged")
MOST_LEVELS = 20
MOST_TOLD = 10
"""Capture histories that the words beside the figure count."""


def question_section(context: Context) -> Section:
    """State what was asked, of whom, and what its authors add."""
    report = context.report
    blocks: list[Block] = [
        Para((user(report.question),), role="headline"),
        Subhead(context.runs("question.population")),
        Para((user(report.population),)),
    ]
    blocks.append(in_short(context))
    if context.words.language != "en":
        blocks.append(Para(context.runs("page.english"), role="small"))
    remarks = [Para((user(text),)) for text in report.notes if text.strip()]
    if remarks:
        blocks += [Subhead(context.runs("question.remarks")), *remarks]
    return Section("question", context.say("heading.question"), tuple(blocks))


def in_short(context: Context) -> Table:
    """Give on the first page what a reviewer asks first: the answer, what it rests on, the model and its fit."""
    answer = context.report.answer
    rows: list[tuple[str, Runs]] = [("answer", _answer(context))]
    if answer.status not in WITHOUT_INTERVAL:
        rows.append(
            ("takes", context.runs(f"holds.{interval_kind(answer)}", labels=user(context.report.chosen)))
        )
    rows += [("verdict", _verdict(context)), *_model(context)]
    if cited := _source(context.report.table):
        rows.append(("source", (user(cited),)))
    return Table(
        caption=context.runs("in_short.title"),
        head=(context.runs("in_short.head"), context.runs("in_short.value")),
        rows=tuple((context.runs(f"in_short.{name}"), found) for name, found in rows),
        numeric=frozenset(),
    )


def _answer(context: Context) -> Runs:
    answer = context.report.answer
    if context.is_withheld(answer):
        return context.runs("chosen.withheld")
    if not math.isfinite(answer.n_hat):
        return context.runs("in_short.no_answer", status=context.say(f"status.{answer.status}"))
    number, limits = context.estimate_text(answer)
    level = context.words.level(answer.interval.level)
    return context.runs("in_short.answer_text", number=number, limits=limits, level=level)


def _verdict(context: Context) -> Runs:
    found = context.description()
    if isinstance(found, str):
        return context.runs("in_short.not_judged", reason=software(found))
    said = {"grade": str(found.grade), "verdict": context.say(GRADES[found.grade - 1])}
    if context.hide:  # the figures behind it tell of the counts
        return context.runs("in_short.verdict_text", **said)
    grounds = found.sentence.rpartition(GRADE_ENDS)[2].lstrip(
        ":; "
    )  # the grade stands there in the reader's language
    return (
        *context.runs("in_short.verdict_text", **said),
        Run(" "),
        software(grounds[:1].upper() + grounds[1:]),
    )


def _model(context: Context) -> list[tuple[str, Runs]]:
    """Write the model of the chosen answer, where it has one; figures of its fit only where counts are public."""
    answer = context.report.answer
    model = answer.fitted_model
    if model is None or not model.model or context.is_withheld(answer):
        return []
    names = {"notation": code(model.model), "formula": user(model.formula)}
    rows = [
        ("model", context.runs("in_short.model_text" if model.formula else "in_short.model_alone", **names))
    ]
    if words := _in_words(context, model.model, answer.table.lists):
        rows.append(("words", words))
    if "df" in model.criteria:
        parameters, df = context.words.count(model.n_parameters), context.words.count(model.criteria["df"])
        rows.append(("parameters", context.runs("in_short.parameters_text", parameters=parameters, df=df)))
    return rows if context.hide else [*rows, *_fit(context, model)]


def _in_words(context: Context, notation: str, lists: Sequence[str]) -> Runs:
    """Say which registers depend on each other; nothing for a model that is not of lists alone."""
    try:
        model = HierarchicalModel.parse(notation, lists=lists)
    except HiddenpopError:
        return ()
    joint = [[lists[i] for i in bit_positions(term)] for term in model.generators if term.bit_count() > 1]
    if not joint:
        return context.runs("in_short.independent")
    said: list[Run] = []
    for names in joint[:MOST_TERMS]:
        key = "in_short.pair" if len(names) == 2 else "in_short.several"
        said += [*([Run("; ")] if said else []), *context.runs(key, lists=user(context.words.series(names)))]
    return (*said, Run("; ...")) if len(joint) > MOST_TERMS else tuple(said)


def _fit(context: Context, model: FittedModel) -> list[tuple[str, Runs]]:
    def written(x: float, digits: int = 1) -> str:
        return context.words.number(f"{x:,.{digits}f}")

    rows: list[tuple[str, Runs]] = []
    goodness = model.goodness_of_fit
    if "deviance" in goodness and "df" in goodness:
        figures: dict[str, object] = {
            "deviance": written(goodness["deviance"]),
            "df": context.words.count(goodness["df"]),
        }
        p = goodness.get("p_deviance")
        if isinstance(p, float) and math.isfinite(p):
            small = context.words.number("0.001")
            figures |= {
                "p": written(p, 3) if p >= 0.001 else f"< {small}",
                "method": software(goodness["p_method"]),
            }
        rows.append(
            (
                "fit",
                context.runs("in_short.fit_text" if "p" in figures else "in_short.fit_without_p", **figures),
            )
        )
    if {"aic", "bic"} <= set(model.criteria):
        found = {name: written(model.criteria[name]) for name in ("aic", "bic")}
        rows.append(("criteria", context.runs("in_short.criteria_text", **found)))
    return rows


def _source(table: CaptureTable) -> str:
    """Cite the published table that this one is, whatever was left out of it."""
    try:
        known = info(table.name) if table.public else None
    except UnknownNameError:
        return ""
    if known is None or not set(table.lists) <= set(known.list_names):
        return ""
    return f"{known.citation} doi:{known.doi}" if known.doi else known.citation


def registers_section(context: Context) -> Section:
    """List the registers: how many persons each holds, and where it could see anybody."""
    table = context.report.table
    held = registers_to_leave(table, protect=context.hide)
    blocks: list[Block] = [
        context.para(
            "registers.observed",
            observed=_told(context, held.n_observed),
            lists=context.words.count(table.n_lists),
            table=user(table.name),
        ),
        _protection(context),
        _sizes(context, held),
        _seen(context, held),
    ]
    if 1 < table.n_lists <= MOST_IN_MATRIX:
        blocks.append(_overlaps(context, held))
    blocks += _coverage(context)
    return Section("registers", context.say("heading.registers"), tuple(blocks))


def _told(context: Context, n: int | str) -> str:
    return n if isinstance(n, str) else context.words.count(n)


def _protection(context: Context) -> Block:
    """Say what was done about small counts."""
    if context.report.all_public:
        return context.para("registers.public")
    return context.aside("registers.protected" if context.hide else "registers.lifted", mark=MARK)


def _sizes(context: Context, held: Registers) -> Table:
    where = {gap.list: gap for gap in context.report.table.coverage}
    rows = []
    for name, persons, only in zip(*(held.lists[column].tolist() for column in held.lists), strict=True):
        known = isinstance(persons, int) and isinstance(held.n_observed, int)
        share = context.words.percent(persons / held.n_observed) if known else MARK
        gap = where.get(name)
        covers: Runs = context.runs("registers.everywhere")
        if gap is not None:
            levels = context.words.series(list(gap.levels[:MOST_LEVELS]))
            covers = context.runs("registers.only_where", covariate=user(gap.covariate), levels=user(levels))
        cells = [_told(context, persons), share, _told(context, only)]
        rows.append(((user(name),), *(context.cell(text) for text in cells), covers))
    heads = ("register", "persons", "share_observed", "only_here", "coverage")
    return Table(
        caption=context.runs("registers.sizes"),
        head=tuple(context.runs(f"column.{name}") for name in heads),
        rows=tuple(rows),
        numeric=frozenset({1, 2, 3}),
    )


def _seen(context: Context, held: Registers) -> Table:
    rows = tuple(
        (context.cell(context.words.count(k)), context.cell(_told(context, n)))
        for k, n in enumerate(held.seen, start=1)
    )
    return Table(
        caption=context.runs("registers.seen"),
        head=(context.runs("column.n_registers"), context.runs("column.persons")),
        rows=rows,
        numeric=frozenset({1}),
    )


def _overlaps(context: Context, held: Registers) -> Table:
    names, shared = list(held.overlaps.columns), held.overlaps.to_numpy()
    rows = [
        (
            (user(a),),
            *(
                context.cell(_told(context, shared[min(i, j), max(i, j)]) if i != j else "")
                for j in range(len(names))
            ),
        )
        for i, a in enumerate(names)
    ]
    return Table(
        caption=context.runs("registers.overlaps"),
        head=(context.runs("column.register"), *((user(short(name)),) for name in names)),
        rows=tuple(rows),
        numeric=frozenset(range(1, len(names) + 1)),
    )


def _coverage(context: Context) -> list[Block]:
    """Say what else a reader must know of the table: strata, gaps, uncertain counts, lists without overlap."""
    table = context.report.table
    items: list[Runs] = []
    for name, levels in table.strata.items():
        known = sorted(levels.unique().tolist())
        shown = context.words.series(known[:MOST_LEVELS])
        key = "registers.covariate" if len(known) <= MOST_LEVELS else "registers.covariate_many"
        values = {"name": user(name), "levels": user(shown), "n": context.words.count(len(known))}
        items.append(context.runs(key, **values))
    pairs = table.empty_overlaps
    for a, b in pairs[:MOST_LEVELS]:
        items.append(context.runs("registers.no_overlap", first=user(a), second=user(b)))
    if len(pairs) > MOST_LEVELS:
        items.append(context.runs("registers.more_pairs", n=context.words.count(len(pairs) - MOST_LEVELS)))
    found: list[Block] = [Items(tuple(items))] if items else []
    if table.has_gaps:
        found.append(context.aside("registers.gaps"))
    if table.has_censored:
        found.append(context.aside("registers.censored"))
    return found


def overlap_section(context: Context) -> Section:
    """Draw who is on which lists together."""
    table = context.report.table
    heading = context.say("heading.overlap")
    if context.hide and isinstance(registers_to_leave(table, protect=True).n_observed, str):
        return Section("overlap", heading, (context.para("overlap.withheld"),))
    if table.n_lists > DRAWN_LISTS:
        return Section("overlap", heading, (context.para("overlap.too_many"),))
    drawn = context.drawn("overlap", lambda: overlap_figure(table, protect=context.hide))
    figure = Figure(
        image=drawn[0],
        suffix=drawn[1],
        alternative=_overlap_in_words(context),
        caption=context.runs("overlap.caption"),
        wide=True,
    )
    return Section("overlap", heading, (context.para("overlap.how_to_read"), figure))


def _overlap_in_words(context: Context) -> str:
    """Name the capture histories with the most persons, as they may be shown."""
    table = context.report.table
    histories, counts = _histories(table)
    shown = protect_counts(counts) if context.hide and not table.public else counts.astype(object)
    order = sorted(range(len(counts)), key=lambda i: (isinstance(shown[i], str), -int(counts[i])))
    told = [
        context.say(
            "overlap.history",
            lists=context.words.series([table.lists[j] for j in np.flatnonzero(row)]),
            n=_told(context, n if isinstance(n, str) else int(n)),
        )
        for row, n in ((histories[i], shown[i]) for i in order[:MOST_TOLD])
    ]
    left = len(order) - len(told)
    more = context.say("overlap.more", n=context.words.count(left)) if left else ""
    return context.say("overlap.alternative", histories="; ".join(told), more=more)


def _histories(table: CaptureTable) -> tuple[np.ndarray, np.ndarray]:
    found, where = np.unique(table.histories, return_inverse=True)
    counts = np.bincount(where, weights=table.counts).astype(np.int64)
    kept = counts > 0
    return decode(found[kept], table.n_lists), counts[kept]
