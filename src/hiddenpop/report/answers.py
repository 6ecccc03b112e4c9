"""The estimates side by side, the chosen one, and what its uncertainty holds."""

import math

from hiddenpop.estimators.base import estimates_below, interval_kind, is_bound
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
    strong,
    user,
)
from hiddenpop.report.figures import forest_figure
from hiddenpop.report.known import draws_kind, keeps_number_observed, model_uncertainty
from hiddenpop.result import MISFIT, Estimate

__all__ = ["chosen_section", "estimates_section", "headline", "uncertainty_section"]

WITHOUT_INTERVAL = ("not_identified", "not_converged")


def estimates_section(context: Context) -> Section:
    """Set the estimates beside each other."""
    report = context.report
    n = len(report.estimates)
    blocks: list[Block] = [
        context.para("estimates.intro", n=context.words.count(n))
        if n > 1
        else context.para("estimates.intro_one")
    ]
    blocks.append(_table(context))
    blocks += _holds(context)
    blocks += _other_tables(context)
    blocks += _spread(context)
    blocks += _disagreements(context)
    shown = {label: e for label, e in report.estimates.items() if not context.is_withheld(e)}
    if shown:
        drawn = context.drawn("forest", lambda: forest_figure(shown, protect=context.hide))
        told = "; ".join(_in_words(context, label, e) for label, e in shown.items())
        caption = context.runs("estimates.caption")
        alternative = context.say("estimates.alternative", estimates=told)
        blocks.append(Figure(*drawn, alternative, caption, wide=True))
    return Section("estimates", context.say("heading.estimates"), tuple(blocks))


def _table(context: Context) -> Table:
    rows = tuple(_row(context, label, e) for label, e in context.report.estimates.items())
    heads = ("estimator", "estimate", "interval", "level", "hidden", "hidden_share", "status")
    return Table(
        caption=context.runs("estimates.table"),
        head=tuple(context.runs(f"column.{name}") for name in heads),
        rows=rows,
        numeric=frozenset({1, 2, 3, 4, 5}),
    )


def _row(context: Context, label: str, estimate: Estimate) -> tuple[Runs, ...]:
    number, limits = context.estimate_text(estimate)
    hidden, share = _hidden(context, estimate)
    chosen = (Run(" "), strong(context.say("estimates.chosen"))) if label == context.report.chosen else ()
    level = context.words.level(estimate.interval.level)
    cells = (context.cell(text) for text in (number, limits, level, hidden, share))
    return ((user(label), *chosen), *cells, status_runs(context, estimate))


def _hidden(context: Context, estimate: Estimate) -> tuple[str, str]:
    """Write the dark figure and its share."""
    if context.is_withheld(estimate):
        return context.say("number.withheld"), context.say("number.withheld")
    if not math.isfinite(estimate.n_hat):
        nothing = context.say("number.none")
        return (context.say("number.infinite") if math.isinf(estimate.n_hat) else nothing), nothing
    return (
        context.size(estimate.n_hidden, estimate.spread),
        context.words.percent(estimate.hidden_share),
    )


def status_runs(context: Context, estimate: Estimate) -> Runs:
    """Write a status in words, with the reason where it is not ok."""
    word = context.runs(f"status.{estimate.status}")
    return (*word, Run(": "), context.written_by(estimate, estimate.reason)) if estimate.reason else word


def _in_words(context: Context, label: str, estimate: Estimate) -> str:
    number, limits = context.estimate_text(estimate)
    if estimate.status in WITHOUT_INTERVAL:
        return context.say(
            "estimates.no_number", label=label, status=context.say(f"status.{estimate.status}")
        )
    return context.say("estimates.told", label=label, number=number, limits=limits)


def _other_tables(context: Context) -> list[Block]:
    """Say which estimates are of other counts than those of this report."""
    own = context.report.table.fingerprint
    others = {
        label: e.table.name for label, e in context.report.estimates.items() if e.table.fingerprint != own
    }
    return [
        context.aside("estimates.other_table", label=user(label), table=user(name))
        for label, name in others.items()
    ]


def _holds(context: Context) -> list[Block]:
    """Say of each kind of interval which estimates have it and what it holds."""
    kinds: dict[str, list[str]] = {}
    for label, e in context.report.estimates.items():
        if e.status not in WITHOUT_INTERVAL:
            kinds.setdefault(interval_kind(e), []).append(label)
    items = tuple(
        context.runs(f"holds.{kind}", labels=user(", ".join(labels))) for kind, labels in kinds.items()
    )
    return [Subhead(context.runs("holds.title")), Items(items)] if items else []


def _disagreements(context: Context) -> list[Block]:
    """Name the estimates below the lower limit of a lower bound."""
    shown = {label: e for label, e in context.report.estimates.items() if not context.is_withheld(e)}
    found: list[Block] = []
    for bound, below in estimates_below(shown).items():
        low = context.size(shown[bound].interval.low, shown[bound].spread, shown[bound].n_observed)
        named = "; ".join(f"{label} ({context.estimate_text(shown[label])[0]})" for label in below)
        found.append(context.para("estimates.below", below=user(named), bound=user(bound), low=low))
    return found


def _spread(context: Context) -> list[Block]:
    """Say how far the finite estimates disagree."""
    report = context.report
    finite = {
        label: e
        for label, e in report.estimates.items()
        if math.isfinite(e.n_hat) and not context.is_withheld(e) and not is_bound(e.estimator)
    }
    without = sum(not math.isfinite(e.n_hat) for e in report.estimates.values())
    found: list[Block] = []
    if len(finite) > 1:
        least, most = min(finite, key=lambda x: finite[x].n_hat), max(finite, key=lambda x: finite[x].n_hat)
        low, high = (context.estimate_text(finite[label])[0] for label in (least, most))
        values = {"low": low, "high": high, "least": user(least), "most": user(most)}
        found.append(context.para("estimates.spread", **values))
    if without:
        n, of = context.words.count(without), context.words.count(len(report.estimates))
        found.append(context.aside("estimates.without", n=n, of=of))
    return found


# --- the chosen one ---------------------------------------------------------------------------------------------------


def chosen_section(context: Context) -> Section:
    """Say what the chosen estimate comes to, and why it was chosen."""
    report = context.report
    blocks: list[Block] = [*_rejected(context), Para(headline(context), role="headline")]
    blocks.append(context.para("chosen.which", label=user(report.chosen)))
    if report.answer.status != "ok":
        blocks.append(context.aside(f"status_means.{report.answer.status}"))
        blocks.append(Para((context.written_by(report.answer, report.answer.reason),)))
    if is_bound(report.answer.estimator):
        blocks.append(context.aside("chosen.bound"))
    blocks += [Subhead(context.runs("chosen.why")), Para((user(report.why),))]
    return Section("chosen", context.say("heading.chosen"), tuple(blocks))


def _rejected(context: Context) -> list[Block]:
    """Warn before the number where the model of the chosen estimate is rejected."""
    answer = context.report.answer
    messages = (context.written_by(answer, d.message) for d in answer.diagnostics if d.name == MISFIT)
    return [context.aside("chosen.rejected", message=message) for message in messages]


def headline(context: Context) -> Runs:
    """Say in a sentence what the chosen estimate comes to."""
    estimate = context.report.answer
    if context.is_withheld(estimate):
        return context.runs("chosen.withheld")
    number, limits = context.estimate_text(estimate)
    hidden, share = _hidden(context, estimate)
    values = {
        "number": number,
        "limits": limits,
        "level": context.words.level(estimate.interval.level),
        "kind": context.say(f"interval.{draws_kind(estimate)}"),
        "low": context.size(estimate.interval.low, estimate.spread, estimate.n_observed),
        "observed": context.words.count(estimate.n_observed),
        "hidden": hidden,
        "share": share,
    }
    bound = "_bound" if estimate.status == "ok" and is_bound(estimate.estimator) else ""
    return context.runs(f"headline.{estimate.status}{bound}", **values)


def uncertainty_section(context: Context) -> Section:
    """Say what kind of interval it is, what it takes as known, and what is not in it."""
    estimate = context.report.answer
    if context.is_withheld(estimate):
        blocks: list[Block] = [context.para("uncertainty.withheld")]
    elif estimate.status in WITHOUT_INTERVAL:
        blocks = [context.para("uncertainty.none")]
    else:
        blocks = list(_interval(context, estimate))
    holds = [context.runs(f"uncertainty.{model_uncertainty(estimate)}")]
    names = ("linkage", "erroneous", "highest_order", "others")
    holds += [context.runs(f"uncertainty.not_in.{name}") for name in names]
    blocks += [Subhead(context.runs("uncertainty.not_in_it")), Items(tuple(holds))]
    return Section("uncertainty", context.say("heading.uncertainty"), tuple(blocks))


def _interval(context: Context, estimate: Estimate) -> list[Block]:
    kind, level = draws_kind(estimate), context.words.level(estimate.interval.level)
    if kind == "bootstrap" and keeps_number_observed(estimate.estimator):
        kind = "bootstrap_fixed"
    _, limits = context.estimate_text(estimate)
    found: list[Block] = [
        context.para(f"uncertainty.kind.{kind}", level=level, limits=limits),
        context.para("uncertainty.made", method=context.written_by(estimate, estimate.interval.method)),
    ]
    if math.isinf(estimate.interval.high):
        found.append(context.aside("uncertainty.endless"))
    if estimate.n_failed:
        found.append(context.para("uncertainty.failed", n=context.words.count(estimate.n_failed)))
    return found
