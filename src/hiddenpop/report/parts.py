"""Subgroups and years: a table and a figure for each."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from hiddenpop.disclosure import is_small
from hiddenpop.monitor import Ranks, Rates, Subgroups, Trend, TrendByList, UNIndicator
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
    user,
)
from hiddenpop.report.figures import part_figure
from hiddenpop.report.record import Part
from hiddenpop.report.withholding import MARK, leaving_directions

__all__ = ["parts_section"]

MOST_ROWS, MOST_TOLD = 60, 12
Row = Mapping[Any, Any]
Cells = Callable[[Context, Any, Row], tuple[Runs, ...]]


def parts_section(context: Context) -> Section:
    """Show everything that a monitor made of the estimate."""
    heading = context.say("heading.parts")
    if not context.report.parts:
        return Section("parts", heading, (context.para("parts.none"),))
    blocks: list[Block] = [context.para("parts.intro")]
    for part in context.report.parts:
        blocks += _blocks(context, part)
    return Section("parts", heading, tuple(blocks))


def _blocks(context: Context, part: Part) -> list[Block]:
    kind = _kind(part)
    title = context.runs(f"part.{kind}", **_named(context, part))
    blocks: list[Block] = [
        Subhead(title),
        _table(context, part, kind, context.runs("parts.table", title=title)),
    ]
    blocks.append(_limits(context, part))
    frame = _frame(context, part)
    if len(frame) > MOST_ROWS:
        left = context.words.count(len(frame) - MOST_ROWS)
        blocks.append(context.para("parts.more_rows", n=left))
    blocks += _changes(context, part)
    blocks += _figure(context, part, title)
    notes = getattr(part, "notes", ())
    return [*blocks, *([Items(tuple((software(note),) for note in notes))] if notes else [])]


def _named(context: Context, part: Part) -> dict[str, object]:
    """Give what the title of a part says of it."""
    by = [str(name) for name in getattr(part, "by", ())]
    return {
        "by": user(context.words.series(by)),
        "year": user(getattr(part, "year", "")),
        "per": context.words.count(getattr(part, "per", 0)),
    }


def _kind(part: Part) -> str:
    if isinstance(part, Trend) and part.by:
        return "Trend_by"
    return type(part).__name__


def _limits(context: Context, part: Part) -> Para:
    """Say what the limits are."""
    draws = getattr(part, "draws_are", "") or "own"
    level = context.words.level(part.level)
    return Para(
        context.runs(f"parts.limits.{draws}", level=level, estimator=user(part.estimator)), role="small"
    )


def _frame(context: Context, part: Part) -> pd.DataFrame:
    if isinstance(part, TrendByList):
        return leaving_directions(part) if context.hide else part.directions
    return part.protected_frame() if context.hide else part.frame


# --- tables -----------------------------------------------------------------------------------------------------------


def _table(context: Context, part: Part, kind: str, caption: Runs) -> Table:
    own = [(user(name),) for name in getattr(part, "by", ())]
    heads, cells = TABLES[kind.removesuffix("_by")]
    head = [*own, *(context.runs(f"column.{name}") for name in heads)]
    first = len(own)
    rows = []
    for row in _frame(context, part).head(MOST_ROWS).to_dict(orient="records"):
        levels = [_level(context, row[name]) for name in getattr(part, "by", ())]
        rows.append((*levels, *cells(context, part, row)))
    numeric = frozenset(first + i for i, name in enumerate(heads) if name not in IN_WORDS)
    return Table(caption, tuple(head), tuple(rows), numeric)


IN_WORDS = ("status", "sex", "age", "form", "part", "unit", "without", "silent_years", "change")


def _level(context: Context, level: Any) -> Runs:
    return context.runs("parts.all") if str(level) == "(all)" else (user(level),)


def _subgroup_cells(context: Context, part: Subgroups, row: Row) -> tuple[Runs, ...]:
    shares = [row["share"], row["share_low"], row["share_high"]]
    return (*_persons(context, row), _between(context, shares, context.words.percent), _status(context, row))


def _rate_cells(context: Context, part: Rates, row: Row) -> tuple[Runs, ...]:
    rates = [row["rate"], row["low"], row["high"]]
    one = context.words.general
    return (
        _whole(context, row["n_observed"]),
        _whole(context, row["residents"]),
        _one(context, row["observed_rate"], one),
        _between(context, rates, one),
        _status(context, row),
    )


def _trend_cells(context: Context, part: Trend, row: Row) -> tuple[Runs, ...]:
    band = _persons_between(context, row, "simultaneous_low", "simultaneous_high")
    return (context.cell(str(row["year"])), *_persons(context, row), band, _status(context, row))


def _rank_cells(context: Context, part: Ranks, row: Row) -> tuple[Runs, ...]:
    ranks = [row["rank"], row["rank_low"], row["rank_high"]]
    return (
        *_persons(context, row),
        _between(context, ranks, context.words.general),
        _one(context, row["top_share"], context.words.percent),
        _status(context, row),
    )


def _direction_cells(context: Context, part: TrendByList, row: Row) -> tuple[Runs, ...]:
    without = context.runs("parts.all_lists") if row["without"] == "(none)" else (user(row["without"]),)
    ratios = [row["ratio"], row["ratio_low"], row["ratio_high"]]
    reason = (Run(": "), software(row["reason"])) if row["reason"] else ()
    return (
        without,
        context.cell(f"{row['from_year']}-{row['to_year']}"),
        _between(context, ratios, context.words.general),
        _one(context, row["increase_share"], context.words.percent),
        context.runs(f"same_direction.{str(row['same_direction']).replace(' ', '_')}"),
        (user(row["silent_years"]),) if str(row["silent_years"]).strip() else context.cell(""),
        (*_status(context, row), *reason),
    )


def _un_cells(context: Context, part: UNIndicator, row: Row) -> tuple[Runs, ...]:
    value = [row["Value"], row["LowerBound"], row["UpperBound"]]
    names = [str(row[name]) for name in ("TimePeriod", "Sex", "Age", "Form", "Part", "Units")]
    if row["Part"] == "detected":
        shown = _one(context, value[0], context.words.general)
    else:
        shown = _between(context, value, context.words.general)
    status = _status(context, {"status": row["Status"]}) if row["Status"] else context.cell("")
    return (*((user(name),) if name else context.cell("") for name in names), shown, status)


TABLES: dict[str, tuple[Sequence[str], Cells]] = {
    "Subgroups": (("observed", "estimate_limits", "share_limits", "status"), _subgroup_cells),
    "Rates": (("observed", "residents", "observed_rate", "rate_limits", "status"), _rate_cells),
    "Trend": (("year", "observed", "estimate_limits", "band", "status"), _trend_cells),
    "Ranks": (("observed", "estimate_limits", "rank_limits", "top_share", "status"), _rank_cells),
    "TrendByList": (
        ("without", "years", "ratio_limits", "increase_share", "same_direction", "silent_years", "status"),
        _direction_cells,
    ),
    "UNIndicator": (("year", "sex", "age", "form", "part", "unit", "value_limits", "status"), _un_cells),
}


def _persons(context: Context, row: Row) -> tuple[Runs, Runs]:
    return _whole(context, row["n_observed"]), _persons_between(context, row, "low", "high", with_number=True)


def _persons_between(context: Context, row: Row, low: str, high: str, *, with_number: bool = False) -> Runs:
    """Write limits of a number of persons, and the number before them, with the digits that they support."""
    figures = [row["n_hat"], row[low], row[high], row["n_observed"]]
    if any(isinstance(x, str) for x in figures):
        return context.cell(MARK)
    n_hat, least_, most, least = (float(x) for x in figures)
    width = most - least_
    shown, from_, to = (context.size(x, width, least) for x in (n_hat, least_, most))
    if not with_number:
        return context.cell(context.limits(from_, to))
    return context.cell(context.say("number.with_limits", number=shown, low=from_, high=to))


def _whole(context: Context, n: Any) -> Runs:
    return context.cell(n if isinstance(n, str) else context.words.count(float(n)))


def _one(context: Context, x: Any, write: Callable[[float], str]) -> Runs:
    return context.cell(x if isinstance(x, str) else write(float(x)))


def _between(context: Context, figures: Sequence[Any], write: Callable[[float], str]) -> Runs:
    """Write a number with its limits; without them where it has none."""
    if any(isinstance(x, str) for x in figures):
        return context.cell(MARK)
    number, low, high = (float(x) for x in figures)
    if math.isnan(low) or math.isnan(high):
        return context.cell(write(number))
    values = dict(zip(("number", "low", "high"), map(write, (number, low, high)), strict=True))
    return context.cell(context.say("number.with_limits", **values))


def _status(context: Context, row: Row) -> Runs:
    status = str(row["status"])
    return context.cell(status) if status == MARK else context.runs(f"status.{status}")


def _changes(context: Context, part: Part) -> list[Block]:
    """Tabulate the changes of a trend."""
    if not isinstance(part, Trend) or part.changes.empty:
        return []
    frame = part.protected_changes() if context.hide else part.changes
    rows = []
    for row in frame.head(MOST_ROWS).to_dict(orient="records"):
        levels = [(user(row[name]),) for name in part.by]
        ratios = [row["ratio"], row["ratio_low"], row["ratio_high"]]
        years = context.cell(f"{row['from_year']}-{row['to_year']}")
        rises = _one(context, row["increase_share"], context.words.percent)
        rows.append((*levels, years, _between(context, ratios, context.words.general), rises))
    heads = ("years", "ratio_limits", f"increase_{part.draws_are}")
    head = (*((user(name),) for name in part.by), *(context.runs(f"column.{name}") for name in heads))
    numeric = frozenset(len(part.by) + i for i in (1, 2))
    return [
        Table(
            context.runs("parts.changes", title=context.runs(f"part.{_kind(part)}", **_named(context, part))),
            tuple(head),
            tuple(rows),
            numeric,
        )
    ]


# --- figures ----------------------------------------------------------------------------------------------------------


def _figure(context: Context, part: Part, title: Runs) -> list[Block]:
    few = context.hide and not part.table.public and is_small(context.report.table.n_observed)
    if isinstance(part, UNIndicator) or few or (isinstance(part, TrendByList) and not part.trends):
        return []
    place = context.report.parts.index(part)
    drawn = context.drawn(f"part {place}", lambda: part_figure(part, protect=context.hide))
    shown = part.trends[0] if isinstance(part, TrendByList) else part
    told = _told(context, shown)
    name = "".join(run.text for run in title)
    alternative = context.say("parts.alternative", title=name, rows="; ".join(told))
    return [Figure(*drawn, alternative, context.runs("parts.caption", title=title), wide=True)]


def _told(context: Context, part: Part) -> list[str]:
    """Write the first rows of what a figure shows as one line each."""
    frame = _frame(context, part)
    _heads, cells = TABLES[type(part).__name__]
    at = {"Subgroups": 1, "Rates": 3, "Trend": 2, "Ranks": 2}[type(part).__name__]
    lines = []
    for row in frame.head(MOST_TOLD).to_dict(orient="records"):
        names = [str(row[name]) for name in getattr(part, "by", ())]
        names += [str(row["year"])] if isinstance(part, Trend) else []
        shown = "".join(run.text for run in cells(context, part, row)[at])
        lines.append(context.say("parts.line", name=" / ".join(names), shown=shown))
    left = len(frame) - len(lines)
    return [*lines, *([context.say("parts.line_more", n=context.words.count(left))] if left else [])]
