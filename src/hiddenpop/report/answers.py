"""Estimates and checks of a report: side by side, chosen, and accounted for in words."""

import math
from collections.abc import Mapping
from typing import Any

from hiddenpop.disclosure import is_small
from hiddenpop.estimators.base import (
    as_spec,
    estimates_below,
    inner_spec,
    interval_kind,
    is_bound,
    model_in_interval,
    read_facts,
)
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
    strong,
    user,
)
from hiddenpop.report.figures import checks_figure, forest_figure, short
from hiddenpop.result import MISFIT, Estimate, EstimatorSpec
from hiddenpop.sensitivity.protocol import CheckResult, size_to_leave
from hiddenpop.serial import to_jsonable

__all__ = [
    "account_section",
    "checks_section",
    "chosen_section",
    "estimates_section",
    "headline",
    "held_runs",
    "uncertainty_section",
]

WITHOUT_INTERVAL = ("not_identified", "not_converged")

LONGEST_VALUE, MOST_ITEMS = 400, 12
"""Items of a setting that are written out; of more the number is given."""

FOR_ALL = ("closed", "linked", "in_scope", "chance")
"""What every estimator assumes, by the keys of the catalogue."""

LONGEST_LABEL = 200


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


# === the methodological account: every assumption, setting, status and diagnostic, written out in words ===============


def account_section(context: Context) -> Section:
    """Write out what was assumed, set and found, estimator by estimator and check by check."""
    blocks: list[Block] = [context.para("account.intro"), Subhead(context.runs("account.for_all"))]
    blocks.append(Items(tuple(context.runs(f"assumption.{name}") for name in FOR_ALL)))
    for label, estimate in context.report.estimates.items():
        blocks += _of_estimate(context, label, estimate)
    for result in context.report.checks:
        blocks += _of_check(context, result)
    return Section("account", context.say("heading.account"), tuple(blocks))


def _of_estimate(context: Context, label: str, estimate: Estimate) -> list[Block]:
    spec = estimate.estimator
    blocks: list[Block] = [Subhead(context.runs("account.estimator", label=user(label)))]
    blocks += _of_spec(context, spec)
    blocks.append(context.para("account.assumes"))
    blocks.append(Items(tuple(context.runs(f"assumption.{name}") for name in assumes(spec))))
    blocks.append(context.para("account.outcome"))
    blocks.append(Items(tuple(_outcome(context, estimate))))
    return blocks


def _of_spec(context: Context, spec: EstimatorSpec) -> list[Block]:
    """Say what an estimator does and how it was set; the same of what is inside it."""
    key = f"estimator.{spec.name}"
    what = context.runs(key) if context.words.has(key) else context.runs("account.unknown_estimator")
    blocks: list[Block] = [Para((*what, Run(" "), *context.runs("account.name", name=code(spec.name))))]
    settings = {name: value for name, value in spec.settings.items() if as_spec(value) is None}
    blocks += _settings(context, spec.name, settings)
    for name, inner in inner_spec(spec):
        blocks.append(context.para("account.inside", setting=code(name)))
        blocks += _of_spec(context, inner)
    return blocks


def _settings(context: Context, owner: str, settings: Mapping[str, Any]) -> list[Block]:
    if not settings:
        return [context.para("account.no_settings")]
    items = tuple(setting_sentence(context, owner, name, value) for name, value in settings.items())
    return [context.para("account.settings"), Items(items)]


def setting_sentence(context: Context, owner: str, name: str, value: Any) -> Runs:
    """Write one setting of an estimator or check as a sentence.

    The catalogue has a sentence for the setting of this owner, else for the setting wherever it occurs; one for when it
    is left out; and words for its choices.
    """
    key = next(
        (k for k in (f"setting.{owner}-{name}", f"setting.{name}") if context.words.has(f"{k}.is")), None
    )
    if key is None:
        return (
            *context.runs(
                "account.other_setting", name=code(name), value=user(short(_in_code(value), LONGEST_VALUE))
            ),
        )
    if _is_left_out(value) and context.words.has(f"{key}.none"):
        return (*context.runs(f"{key}.none"), *_in_brackets(name))
    choice = f"{key}.choices.{_choice(value)}"
    if context.words.has(choice):
        return (*context.runs(choice), *_in_brackets(f"{name} = {value}"))
    return (*context.runs(f"{key}.is", value=_value(context, value)), *_in_brackets(name))


def _in_brackets(name: str) -> Runs:
    return Run(" ("), code(name), Run(")")


def _is_left_out(value: Any) -> bool:
    return value is None or (isinstance(value, tuple | list | Mapping) and len(value) == 0)


def _choice(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _value(context: Context, value: Any) -> Run:
    if isinstance(value, bool):
        return Run(context.say("number.yes" if value else "number.no"))
    if isinstance(value, int):
        return Run(context.words.count(value))
    if isinstance(value, float):
        return Run(context.words.general(float(value), 6))
    if (
        isinstance(value, list | tuple)
        and all(isinstance(x, int | float) for x in value)
        and len(value) <= MOST_ITEMS
    ):
        return Run("; ".join(context.words.general(float(x), 3) for x in value))
    return user(short(_options(value) or _in_code(value), LONGEST_VALUE))


def _options(value: Any) -> str:
    """Write choices with their options by name alone; nothing where a value is something else."""
    try:
        return "; ".join(
            f"{choice}: {', '.join(str(name) for name, _ in options)}" for choice, options in value
        )
    except (TypeError, ValueError):
        return ""


def _in_code(value: Any) -> str:
    """Write a value as plain text; of long ones the first items."""
    if isinstance(value, Mapping):
        value = [f"{key}: {_in_code(item)}" for key, item in value.items()]
    if isinstance(value, list | tuple):
        items = [_in_code(item) for item in value]
        more = f", … ({len(items)})" if len(items) > MOST_ITEMS else ""
        return f"[{', '.join(items[:MOST_ITEMS])}{more}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = getattr(value, "text", None)
    return text if isinstance(text, str) else str(value)


def _outcome(context: Context, estimate: Estimate) -> list[Runs]:
    """List status, interval, inner fits and diagnostics of an estimate."""
    number, limits = context.estimate_text(estimate)
    level = context.words.level(estimate.interval.level)
    found = [context.runs("account.status", status=context.say(f"status_means.{estimate.status}"))]
    if estimate.reason:
        found.append(context.runs("account.reason", reason=context.written_by(estimate, estimate.reason)))
    method = context.written_by(estimate, estimate.interval.method)
    values = {"number": number, "limits": limits, "level": level, "method": method}
    found.append(context.runs("account.interval", **values))
    found.append(
        context.runs("account.failed", n=context.words.count(estimate.n_failed))
        if estimate.n_failed
        else context.runs("account.none_failed")
    )
    if not estimate.diagnostics:
        found.append(context.runs("account.no_diagnostics"))
    for remark in estimate.diagnostics:
        message = context.written_by(estimate, remark.message)
        found.append(context.runs(f"account.{remark.level}", message=message, name=code(remark.name)))
    return found


def _of_check(context: Context, result: CheckResult) -> list[Block]:
    blocks: list[Block] = [Subhead(context.runs("account.check", check=check_label(context, result.name)))]
    key = f"check.{result.name}.what"
    what = context.runs(key) if context.words.has(key) else context.runs("account.unknown_check")
    blocks.append(Para((*what, Run(" "), *context.runs("account.name", name=code(result.name)))))
    blocks += _settings(context, result.name, result.settings)
    values = {"points": context.words.count(result.n_points), "failed": context.words.count(result.n_failed)}
    verdict = context.say(f"verdict_means.{result.verdict.replace(' ', '_')}")
    points = context.runs("account.points", **values)
    blocks.append(Items((points, context.runs("account.verdict", verdict=verdict))))
    return blocks


# === what a report says of an estimator from its facts ================================================================
# What it assumes, what its interval holds.


def assumes(spec: EstimatorSpec) -> tuple[str, ...]:
    """Name what an estimator assumes besides what all do, and what is inside it assumes.

    Examples
    --------
    >>> assumes(EstimatorSpec("somebody:Else", {}))
    ('unknown',)
    """
    return read_facts(spec).assumes


def draws_kind(estimate: Estimate) -> str:
    """Say whether an interval is credible, from a bootstrap, or a confidence interval."""
    return {"posterior": "credible", "bootstrap": "bootstrap"}.get(estimate.draws_are, "confidence")


def keeps_number_observed(spec: EstimatorSpec) -> bool:
    """Tell whether resamples hold as many persons as were observed, so that the variation of their number is left out.

    Examples
    --------
    >>> keeps_number_observed(EstimatorSpec("bootstrapped", {"scheme": "multinomial"}))
    True
    """
    return read_facts(spec).keeps_number_observed


def model_uncertainty(estimate: Estimate) -> str:
    """Say whether the interval knows that the model was chosen."""
    return f"model_{model_in_interval(estimate)}"


# === what the sensitivity checks found ================================================================================


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
        _check_table(context),
        Subhead(context.runs("checks.words")),
        Items(tuple(_check_in_words(context, result) for result in report.checks)),
    ]
    blocks += _page(context)
    return Section("checks", heading, tuple(blocks))


def held_runs(context: Context) -> Runs:
    """Say in how many checks the claim holds, or the answer stays within its interval where nothing is claimed."""
    applying = [result for result in context.report.checks if result.applies]
    numbers = {
        "held": sum(result.passed is True for result in applying),
        "of": len(applying),
        "points": sum(result.n_points for result in applying),
    }
    counted = {name: context.words.count(n) for name, n in numbers.items()}
    rest = len(context.report.checks) - len(applying)
    more: Runs = (Run(" "), *context.runs("checks.rest", n=context.words.count(rest))) if rest else ()
    claim = context.report.claim.strip()
    if not claim:
        return (*context.runs("checks.held_interval", **counted), *more)
    return (*context.runs("checks.held", claim=user(claim), **counted), *more)


def _others(context: Context) -> list[Block]:
    """Say where checks are about another estimator than the chosen one."""
    own = _written(context.report.answer.estimator)
    found = {r.estimator.label: None for r in context.report.checks if _written(r.estimator) != own}
    return [context.aside("checks.other", label=user(short(label, LONGEST_LABEL))) for label in found]


def _written(spec: EstimatorSpec) -> Any:
    return spec.name, to_jsonable(spec.settings)


def _check_table(context: Context) -> Table:
    rows = tuple(_check_row(context, result) for result in context.report.checks)
    heads = ("check", "verdict", "points", "without_number")
    return Table(
        caption=context.runs("checks.table"),
        head=tuple(context.runs(f"column.{name}") for name in heads),
        rows=rows,
        numeric=frozenset({2, 3}),
    )


def _check_row(context: Context, result: CheckResult) -> tuple[Runs, ...]:
    verdict = context.say(f"verdict.{result.verdict.replace(' ', '_')}")
    return (
        check_label(context, result.name),
        (strong(verdict) if result.passed is False else Run(verdict),),
        context.cell(context.words.count(result.n_points)),
        context.cell(context.words.count(result.n_failed)),
    )


def _check_in_words(context: Context, result: CheckResult) -> Runs:
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
