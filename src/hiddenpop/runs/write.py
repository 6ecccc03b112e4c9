"""What a run leaves: results, frames, figures and reports, each file whole or not there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop._files import write_file, write_text
from hiddenpop.errors import SettingError
from hiddenpop.provenance import RECORDED_PACKAGES
from hiddenpop.runs.content import frames_of, results_of
from hiddenpop.runs.execute import Found
from hiddenpop.runs.manifest import PLAN_COPY, core_versions, digest_of_output, machine
from hiddenpop.runs.plan import Plan

__all__ = ["RESULTS", "write_all"]

RESULTS = "results.json"
WIDTH, ROW, HEAD, SQUARE = 8.0, 0.45, 1.6, 5.0


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
        If a file cannot be written.
    """
    _write_copy(plan, folder)
    names = [PLAN_COPY, RESULTS]
    write_text(json_of(results_of(plan, found)), folder / RESULTS)
    for name, frame in frames_of(plan, found).items():
        names.append(_placed(f"{name}.parquet", folder, frame))
    names += _write_figures(plan, found, folder)
    names += _write_reports(plan, found, folder)
    return {name: digest_of_output(folder / name) for name in sorted(names)}


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
    names = [
        (f"report{'' if language == 'en' else f'.{language}'}.{form}", language)
        for form in plan.formats
        for language in plan.languages
    ]
    for name, language in names:
        report.write(folder / name, language=language)
    return [name for name, _ in names]


def _versions(found: Found) -> dict[str, str]:
    """Give the versions that the numbers rest on, those of samplers included."""
    core = {name: core_versions()[name] for name in ("python", *RECORDED_PACKAGES)}
    for estimate in found.estimates.values():
        core.update(estimate.provenance.get("versions", {}))
    return core
