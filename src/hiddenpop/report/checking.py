"""What the sensitivity checks found."""

import math
from typing import Any

from hiddenpop.disclosure import is_small
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
    software,
    strong,
    user,
)
from hiddenpop.report.figures import checks_figure, short
from hiddenpop.result import EstimatorSpec
from hiddenpop.sensitivity.protocol import CheckResult, size_to_leave
from hiddenpop.serial import to_jsonable

__all__ = ["check_label", "checks_section", "held_runs"]

LONGEST_LABEL = 200


def checks_section(context: Context) -> Section:
    """Give the verdict of every check in words, and draw them on one page."""
    heading = context.say("heading.checks")
    report = context.report
    if not report.checks:
        return Section("checks", heading, (context.para("checks.none"),))
    blocks: list[Block] = [
        context.para("checks.intro"),
        *([] if report.claim.strip() else [context.para("checks.interval")]),
        Para(held_runs(context)),
        *_others(context),
        _table(context),
        Subhead(context.runs("checks.words")),
        Items(tuple(_in_words(context, result) for result in report.checks)),
    ]
    blocks += _page(context)
    return Section("checks", heading, tuple(blocks))


def held_runs(context: Context) -> Runs:
    """Say in how many checks the claim holds, or the answer stays within its interval where nothing is claimed."""
    verdicts = [result.verdict for result in context.report.checks]
    held, of = (context.words.count(n) for n in (verdicts.count("holds"), len(verdicts)))
    claim = context.report.claim.strip()
    if not claim:
        return context.runs("checks.held_interval", held=held, of=of)
    return context.runs("checks.held", held=held, of=of, claim=user(claim))


def _others(context: Context) -> list[Block]:
    """Say where checks are about another estimator than the chosen one."""
    own = _written(context.report.answer.estimator)
    found = {r.estimator.label: None for r in context.report.checks if _written(r.estimator) != own}
    return [context.aside("checks.other", label=user(short(label, LONGEST_LABEL))) for label in found]


def _written(spec: EstimatorSpec) -> Any:
    return spec.name, to_jsonable(spec.settings)


def _table(context: Context) -> Table:
    rows = tuple(_row(context, result) for result in context.report.checks)
    heads = ("check", "verdict", "points", "without_number")
    return Table(
        caption=context.runs("checks.table"),
        head=tuple(context.runs(f"column.{name}") for name in heads),
        rows=rows,
        numeric=frozenset({2, 3}),
    )


def _row(context: Context, result: CheckResult) -> tuple[Runs, ...]:
    verdict = context.say(f"verdict.{result.verdict.replace(' ', '_')}")
    return (
        check_label(context, result.name),
        (strong(verdict) if result.passed is False else Run(verdict),),
        context.cell(context.words.count(result.n_points)),
        context.cell(context.words.count(result.n_failed)),
    )


def _in_words(context: Context, result: CheckResult) -> Runs:
    name = "".join(run.text for run in check_label(context, result.name))
    return strong(name), Run(". "), software(result.words_to_leave() if context.hide else result.text)


def check_label(context: Context, name: str) -> Runs:
    """Call a check by its name in the language of the report."""
    key = f"check.{name}.label"
    return context.runs(key) if context.words.has(key) else (user(name.replace("_", " ")),)


def _page(context: Context) -> list[Block]:
    """Draw what may be drawn."""
    report = context.report
    few = context.hide and is_small(report.table.n_observed)
    drawn = [result for result in report.checks if result.figure.get("kind", "nothing") != "nothing"]
    if not drawn or few:
        return [context.para("checks.not_drawn")]
    title = f"Sensitivity of {report.chosen}"
    page = context.drawn("checks", lambda: checks_figure(drawn, title, protect=context.hide))
    told = "; ".join(_told(context, result) for result in drawn)
    caption = context.runs("checks.caption")
    return [Figure(*page, context.say("checks.alternative", checks=told), caption, wide=True)]


def _told(context: Context, result: CheckResult) -> str:
    """Say of one panel what it shows: the verdict, and the smallest and largest size."""
    name = "".join(run.text for run in check_label(context, result.name))
    verdict = context.say(f"verdict.{result.verdict.replace(' ', '_')}")
    frame = result.table_to_leave() if context.hide else result.table
    sizes = [x for x in frame.get("n_hat", ()) if isinstance(x, int | float) and math.isfinite(x)]
    if not sizes:
        return context.say("checks.panel_without", name=name, verdict=verdict)
    low, high = (context.words.general(float(size_to_leave(float(x)))) for x in (min(sizes), max(sizes)))
    return context.say("checks.panel", name=name, verdict=verdict, low=low, high=high)
