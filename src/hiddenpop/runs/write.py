"""What a run leaves: results, frames, figures and reports, each file whole or not there."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop._details import with_best_models
from hiddenpop._files import write_file, write_text
from hiddenpop.disclosure import THRESHOLD, is_small, protect_value
from hiddenpop.errors import SettingError
from hiddenpop.estimators.released import release_estimates
from hiddenpop.provenance import RECORDED_PACKAGES
from hiddenpop.report.released import write_released_report
from hiddenpop.result import Estimate
from hiddenpop.runs.execute import PLAN_COPY, Found, core_versions, digest_of_output, machine, seed_of_step
from hiddenpop.runs.plan import Plan
from hiddenpop.sensitivity.protocol import REASON_WITHHELD, size_to_leave
from hiddenpop.serial import to_jsonable

__all__ = ["RESULTS", "results_of", "write_all"]

RESULTS = "results.json"
RELEASE, FOR_THE_CHECKER = "release", "for-the-checker"
INSIDE_MARK, NOT_RELEASED = "STAYS-INSIDE.txt", "NOT-RELEASED.txt"
STAYS_INSIDE = """This folder is about data that are not public, and stays where they are.

What may leave stands in the folder release, if there is one, and there alone. The folder for-the-checker is for whoever
judges that release. Everything else holds numbers with all their digits, from which small counts can be worked out.
"""
WIDTH, ROW, HEAD, SQUARE = 8.0, 0.45, 1.6, 5.0

SCHEMA_VERSION = 1

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


def write_all(plan: Plan, found: Found, folder: Path) -> dict[str, str]:
    """Write everything that a run leaves but the manifest.

    Parameters
    ----------
    plan : Plan
    found : Found
    folder : Path

    Returns
    -------
    dict
        The files by their name in the folder, with a hash of each.

    Raises
    ------
    TableError, SettingError
        If a file cannot be written, or is gone before it is hashed.
    """
    _write_copy(plan, folder)
    names = [PLAN_COPY, RESULTS]
    write_text(json_of(results_of(plan, found)), folder / RESULTS)
    for name, frame in frames_of(plan, found).items():
        names.append(_placed(f"{name}.parquet", folder, frame))
    names += _write_figures(plan, found, folder)
    names += _write_reports(plan, found, folder)
    if plan.protects:
        names += _write_release(plan, found, folder)
    return {name: _digest_of_written(folder / name) for name in sorted(names)}


def _digest_of_written(path: Path) -> str:
    digest = digest_of_output(path)
    if not digest:
        raise SettingError(
            f"{path} was written and is gone; see what else works in this folder, and run again with --out elsewhere"
        )
    return digest


def json_of(content: Mapping[str, Any]) -> str:
    """Write results as text, the same for the same results."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _write_copy(plan: Plan, folder: Path) -> None:
    write_text(plan.text, folder / PLAN_COPY)


def _placed(name: str, folder: Path, frame: pd.DataFrame) -> str:
    _make_folder((folder / name).parent)
    write_file(frame, folder / name)
    return name


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"cannot make {folder}: {error.strerror or error}; make room, or name another"
        ) from error


def _write_figures(plan: Plan, found: Found, folder: Path) -> list[str]:
    """Draw the overlap of the lists, the estimates, the checks and the parts."""
    from hiddenpop.plotting import forest_plot, overlap_plot, save_figure

    _make_folder(folder / "figures")
    estimates, protect = list(found.estimates.values()), plan.protects
    figures = {
        "overlap": _figure(SQUARE, lambda ax: overlap_plot(plan.table, ax=ax, protect=protect)),
        "estimates": _figure(
            HEAD + ROW * len(estimates),
            lambda ax: forest_plot(estimates, labels=list(found.estimates), ax=ax, protect=protect),
        ),
        **_figure_of_checks(plan, found),
    }
    for label, part in found.parts.items():
        if (drawn := _figure_of_part(part, protect)) is not None:
            figures[label] = drawn
    for name, figure in figures.items():
        save_figure(figure, folder / "figures" / f"{name}.png")
    return [f"figures/{name}.png" for name in figures]


def _figure(height: float, draw: Any) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    draw(figure.add_subplot())
    return figure


def _figure_of_checks(plan: Plan, found: Found) -> dict[str, Any]:
    from matplotlib.figure import Figure

    from hiddenpop.plotting import check_page
    from hiddenpop.plotting.check_page import page_size

    results = list(found.checks.values())
    if not results:
        return {}
    figure = Figure(figsize=page_size(results), layout="constrained")
    title = f"{plan.chosen}: {plan.claim or 'within the interval of the estimate'}?"
    return {"checks": check_page(results, figure=figure, title=title, protect=plan.protects)}


def _figure_of_part(part: Any, protect: bool) -> Any:
    """Draw a part, where there is a figure of its kind that can be protected."""
    from hiddenpop.plotting import part_plot, ranking_plot, subgroup_plot, trend_plot

    kind = type(part).__name__
    if kind in ("Subgroups", "Rates"):
        return _figure(
            HEAD + ROW * min(len(part.frame), 40), lambda ax: part_plot(part, ax=ax, protect=protect)
        )
    if kind == "Ranks":
        return _figure(
            HEAD + ROW * min(len(part.frame), 25), lambda ax: ranking_plot(part, ax=ax, protect=protect)
        )
    if kind == "Trend":
        draw = subgroup_plot if part.by else trend_plot
        return _figure(SQUARE, lambda ax: draw(part, ax=ax, protect=protect))
    return None


def _write_reports(plan: Plan, found: Found, folder: Path) -> list[str]:
    """Write the report in every format and language asked for."""
    if not plan.formats:
        return []
    from hiddenpop.report import Redo, Report

    report = Report(
        title=plan.title,
        question=plan.question,
        population=plan.population,
        table=plan.table,
        estimates=found.estimates,
        chosen=plan.chosen,
        why=plan.why,
        checks=tuple(found.checks.values()),
        claim=plan.claim,
        parts=tuple(found.parts.values()),
        authors=plan.authors,
        notes=(*plan.notes, *(f"{label} is left out: {why}" for label, why in plan.left_out.items())),
        date=plan.date,
        redo=Redo(
            command=f"hiddenpop run {PLAN_COPY}",
            seed=plan.seed,
            inputs={source.name: source.digest for source in plan.inputs},
            versions=_versions(found),
            settings=plan.text,
            machine="; ".join(f"{name}: {text}" for name, text in machine().items()),
        ),
        show_small_counts=plan.show_small_counts,
    )
    names = _report_names(plan)
    for name, _, language in names:
        report.write(folder / name, language=language)
    return [name for name, _, _ in names]


def _report_names(plan: Plan) -> list[tuple[str, str, str]]:
    """Give the name of every report that is asked for, with its format and language."""
    return [
        (f"report{'' if language == 'en' else f'.{language}'}.{form}", form, language)
        for form in plan.formats
        for language in plan.languages
    ]


def _write_release(plan: Plan, found: Found, folder: Path) -> list[str]:
    """Write beside each other what may leave of the estimates, judged together, and what a checker of it needs."""
    for name in (RELEASE, FOR_THE_CHECKER):  # of a run that was killed
        for left in (folder / name, *folder.glob(f".{name}.*.part")):
            shutil.rmtree(left, ignore_errors=True)
    write_text(STAYS_INSIDE, folder / INSIDE_MARK)
    try:
        judged, shown = release_estimates(plan.table, found.estimates, plan.rules, plan.earlier)
    except SettingError as error:
        write_text(f"{error}\n", folder / NOT_RELEASED)
        return [INSIDE_MARK, NOT_RELEASED]
    judged.write(folder / RELEASE)
    judged.write_inside(folder / FOR_THE_CHECKER)
    table = plan.table
    about = {"name": table.name, "lists": list(table.lists), "population": plan.population, "public": False}
    content = {
        "schema_version": SCHEMA_VERSION,
        "released": True,
        "title": plan.title,
        "question": plan.question,
        "table": about,
        "choice": {"estimator": plan.chosen, "why": plan.why},
        "notes": list(plan.notes),
        **shown,
    }
    write_text(json_of(content), folder / RELEASE / "estimates.json")
    _draw_released(content["estimates"], folder / RELEASE / "estimates.png")
    for name, form, language in _report_names(plan):
        if form != "json":  # that is estimates.json
            write_released_report(content, folder / RELEASE / name, language)
    places = [path for name in (RELEASE, FOR_THE_CHECKER) for path in (folder / name).iterdir()]
    return [INSIDE_MARK, *(path.relative_to(folder).as_posix() for path in places)]


def _draw_released(shown: Sequence[Mapping[str, Any]], path: Path) -> None:
    from hiddenpop.plotting import save_figure
    from hiddenpop.plotting.forest import released_forest

    save_figure(_figure(HEAD + ROW * len(shown), lambda ax: released_forest(shown, ax)), path)


def _versions(found: Found) -> dict[str, str]:
    """Give the versions that the numbers rest on, those of samplers included."""
    core = {name: core_versions()[name] for name in ("python", *RECORDED_PACKAGES)}
    for estimate in found.estimates.values():
        core.update(estimate.provenance.get("versions", {}))
    return core


# === what a run says ==================================================================================================
# `results.json`, and the frames that go into parquet files, protected as the data ask.


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
        {
            "label": label,
            "seed": seed_of_step(plan.seed, "estimate", label),
            **with_best_models(estimate.to_dict(show_small_counts=show)),
        }
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
        pd.DataFrame(e.to_dict(show_small_counts=not plan.protects)["by_stratum"]).assign(estimator=label)
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
