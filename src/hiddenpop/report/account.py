"""The methodological account: every assumption, setting, status and diagnostic, written out in words."""

from collections.abc import Mapping
from typing import Any

from hiddenpop.estimators.base import as_spec, inner_spec
from hiddenpop.report.checking import check_label
from hiddenpop.report.context import Context
from hiddenpop.report.document import (
    Block,
    Items,
    Para,
    Run,
    Runs,
    Section,
    Subhead,
    code,
    user,
)
from hiddenpop.report.figures import short
from hiddenpop.report.known import FOR_ALL, assumes
from hiddenpop.result import Estimate, EstimatorSpec
from hiddenpop.sensitivity.protocol import CheckResult

__all__ = ["account_section", "setting_sentence"]

LONGEST_VALUE, MOST_ITEMS = 400, 12
"""Items of a setting that are written out; of more the number is given."""


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
