"""What a run says: `results.json`, and the frames that go into parquet files, protected as the data ask."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pandas as pd

from hiddenpop.disclosure import THRESHOLD, is_small, protect_value
from hiddenpop.result import Estimate
from hiddenpop.runs.execute import Found
from hiddenpop.runs.plan import Plan
from hiddenpop.runs.steps import seed_of_step
from hiddenpop.sensitivity.protocol import REASON_WITHHELD, size_to_leave
from hiddenpop.serial import to_jsonable

__all__ = ["MOST_MODELS", "frames_of", "one_kind", "results_of"]

SCHEMA_VERSION = 1
MOST_MODELS = 100
"""Of a long table of models only the best go into the results."""

PERSONS = ("n_hat", "low", "n_observed", "n_hidden", "hidden_share")
FRAMES_OF_PARTS = ("frame", "changes", "directions")
ALL_LISTS = "(none)"
"""Stands where no list was left out of a trend."""

SIZES_OF_TRENDS = (
    "n_hat",
    "low",
    "high",
    "simultaneous_low",
    "simultaneous_high",
    "ratio",
    "ratio_low",
    "ratio_high",
)
ROW_OF_TRENDS = ("without", "year", "from_year", "to_year", "silent_years")


def results_of(plan: Plan, found: Found) -> dict[str, Any]:
    """Give everything that was found as plain values for JSON, without clock, place or machine.

    Parameters
    ----------
    plan : Plan
    found : Found

    Returns
    -------
    dict
    """
    show = not plan.protects
    table = plan.table
    estimates = [
        {"label": label, "seed": seed_of_step(plan.seed, "estimate", label), **_estimate(estimate, show)}
        for label, estimate in found.estimates.items()
    ]
    about = {
        "name": table.name,
        "lists": table.lists,
        "strata": [str(name) for name in table.strata.columns],
        "n_observed": table.n_observed if show else protect_value(table.n_observed),
        "fingerprint": table.fingerprint,
        "public": table.public,
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "title": plan.title,
        "question": plan.question,
        "population": plan.population,
        "seed": plan.seed,
        "table": to_jsonable(about),
        "estimates": estimates,
        "choice": {"estimator": plan.chosen, "why": plan.why},
        "claim": plan.claim,
        "checks": [
            {"label": label, **check.to_dict(show_small_counts=plan.show_small_counts)}
            for label, check in found.checks.items()
        ],
        "parts": [_part(label, part, plan) for label, part in found.parts.items()],
        "small_counts_shown": show,
    }


def _estimate(estimate: Estimate, show: bool) -> dict[str, Any]:
    written = estimate.to_dict(show_small_counts=show)
    models = written["details"].get("selection")
    if isinstance(models, list):
        written["details"]["selection"] = models[:MOST_MODELS]
    return written


def _part(label: str, part: Any, plan: Plan) -> dict[str, Any]:
    shown = {name: to_jsonable(frame) for name, frame in _frames_of_part(part, plan).items()}
    plain = {
        f.name: getattr(part, f.name) for f in fields(part) if f.name in ("by", "year", "level", "notes")
    }
    return {"label": label, "kind": type(part).__name__, **to_jsonable(plain), **shown}


def _frames_of_part(part: Any, plan: Plan) -> dict[str, pd.DataFrame]:
    """Give the frames of a part, those that may leave where the data ask for it."""
    found = {}
    for name in FRAMES_OF_PARTS:
        if hasattr(part, name):
            found[name] = _part_to_leave(part, name) if plan.protects else getattr(part, name)
    return found


def _part_to_leave(part: Any, name: str) -> pd.DataFrame:
    """Take the protected frame of a record, or make that of a trend without each list, which has none."""
    protected = getattr(part, f"protected_{name}", None)
    if protected is None:
        return _leave_one_out(part, name)
    frame: pd.DataFrame = protected()
    return frame


def _leave_one_out(part: Any, name: str) -> pd.DataFrame:
    """Withhold what tells how many are on one list alone, and all of rows in which few persons were observed."""
    frame: pd.DataFrame = getattr(part, name)
    observed = part.frame.set_index(["without", "year"])["n_observed"]
    ends = ("year",) if name == "frame" else ("from_year", "to_year")
    few = [
        any(is_small(float(observed.get((row["without"], row[end]), 0))) for end in ends)
        for row in frame.to_dict(orient="records")
    ]
    one_out = frame["without"] != ALL_LISTS
    shown = frame.assign(**{c: frame[c].map(size_to_leave) for c in frame if c in SIZES_OF_TRENDS})
    if "reason" in shown:
        telling = shown["reason"].astype(str).str.contains("[0-9]")
        shown["reason"] = shown["reason"].mask(telling & one_out, REASON_WITHHELD)
    if "n_observed" in shown:
        shown["n_observed"] = shown["n_observed"].astype(object).mask(one_out, f"<{THRESHOLD}")
    masked = {
        str(c): shown[c].astype(object).mask(pd.Series(few, index=shown.index), f"<{THRESHOLD}")
        for c in shown
        if c not in ROW_OF_TRENDS
    }
    return shown.assign(**masked)


def frames_of(plan: Plan, found: Found) -> dict[str, pd.DataFrame]:
    """Give the frames that go into parquet files, by name without the suffix."""
    frames = {"estimates": _rows(plan, found.estimates)}
    strata = [
        pd.DataFrame(_estimate(e, not plan.protects)["by_stratum"]).assign(estimator=label)
        for label, e in found.estimates.items()
        if len(e.by_stratum)
    ]
    if strata:
        frames["strata"] = pd.concat([_label_first(frame) for frame in strata], ignore_index=True)
    draws = _draws(plan, found.estimates)
    if len(draws):
        frames["draws"] = draws
    for label, check in found.checks.items():
        frames[f"checks/{label}"] = check.table_to_leave() if plan.protects else check.table
    for label, part in found.parts.items():
        for name, frame in _frames_of_part(part, plan).items():
            frames[f"parts/{label}{'' if name == 'frame' else f'-{name}'}"] = frame
    return {name: one_kind(frame) for name, frame in frames.items()}


def _label_first(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["estimator", *(name for name in frame if name != "estimator")]].astype(object)


def _rows(plan: Plan, estimates: Mapping[str, Estimate]) -> pd.DataFrame:
    rows = []
    for label, estimate in estimates.items():
        row = estimate.to_frame().assign(label=label)
        if plan.protects and is_small(estimate.n_observed):
            row = row.assign(**dict.fromkeys(PERSONS, f"<{THRESHOLD}"))
        rows.append(row[["label", *(name for name in row if name != "label")]])
    return pd.concat(rows, ignore_index=True)


def _draws(plan: Plan, estimates: Mapping[str, Estimate]) -> pd.DataFrame:
    """Give the draws of every estimate that has them, unless so few were observed that they would tell how many."""
    columns = [
        pd.DataFrame({"estimator": label, "draw": range(len(e.draws)), "n": e.draws})
        for label, e in estimates.items()
        if e.draws is not None and not (plan.protects and is_small(e.n_observed))
    ]
    return pd.concat(columns, ignore_index=True) if columns else pd.DataFrame()


def one_kind(frame: pd.DataFrame) -> pd.DataFrame:
    """Make every column one kind of value, as parquet wants it: what is mixed becomes text.

    Examples
    --------
    >>> one_kind(pd.DataFrame({"n": pd.Series(["<10", 12.5], dtype=object)}))["n"].tolist()
    ['<10', '12.5']
    """
    return frame.assign(**{str(name): _one_kind(frame[name]) for name in frame}).rename(columns=str)


def _one_kind(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if column.dtype != object:
        return column.astype(str) if isinstance(column.dtype, pd.CategoricalDtype) else column
    there = column[column.notna()]
    if there.map(lambda value: isinstance(value, bool)).all():
        return column
    if there.map(lambda value: isinstance(value, int | float) and not isinstance(value, bool)).all():
        return pd.to_numeric(column)
    return column.map(lambda value: None if value is None or value != value else str(value))  # noqa: PLR0124
