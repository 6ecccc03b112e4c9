"""What the commands answer: on the screen everything, in files and JSON what may leave."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiddenpop._details import with_best_models
from hiddenpop._files import write_file, write_text
from hiddenpop.cli.figures import save_forest, save_overlap, save_released
from hiddenpop.cli.inputs import check_place
from hiddenpop.cli.screen import estimate_text, print_json, print_note, print_text, wrapped
from hiddenpop.description import TableDescription, closing_sentence, describe
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.compare import Comparison, fit_panel
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.released import released_estimates
from hiddenpop.parallel import parallel
from hiddenpop.result import SCHEMA_VERSION, Estimate
from hiddenpop.serial import to_jsonable
from hiddenpop.table import CaptureTable

if TYPE_CHECKING:
    from hiddenpop.monitor import Subgroups

__all__ = ["OutputOptions", "answer_description", "answer_one", "answer_several"]

STAYS_INSIDE = (
    "This file holds everything in full, small counts included. It must not leave where the data are."
)


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How an answer is wanted, checked before the work begins.

    Parameters
    ----------
    as_json : bool
    plot : Path or None
        Where a figure goes.
    show_small_counts : bool
        Whether small counts of a table that is not public may leave.
    seed : int or None
        For methods that draw random numbers.
    draws : Path or None
        Where the draws of one estimator go.
    by : tuple of str
        Covariates by whose levels one estimate is also given.
    inside : Path or None
        Where everything goes in full, for who works where the data are.

    Raises
    ------
    SettingError
        For a place that cannot be written to.
    """

    as_json: bool
    plot: Path | None = None
    show_small_counts: bool = False
    seed: int | None = None
    draws: Path | None = None
    by: tuple[str, ...] = ()
    inside: Path | None = None

    def __post_init__(self) -> None:
        check_place("--plot", self.plot, (".png", ".svg", ".pdf"))
        check_place("--draws", self.draws, (".parquet",))
        check_place("--inside", self.inside, (".json",))

    def protects(self, table: CaptureTable) -> bool:
        """Whether small counts of the table have to be withheld."""
        return not (table.public or self.show_small_counts)


def answer_description(table: CaptureTable, output: OutputOptions) -> None:
    """Print what a table holds and can carry."""
    with parallel(progress=True), _said_before_a_refusal(table, output):
        description = describe(table)
    if output.plot:
        save_overlap(table, output.plot, protect=output.protects(table))
        _say_written("figure", output.plot)
    if output.as_json:
        print_json(_with_reading(table, description.to_dict(show_small_counts=output.show_small_counts)))
    else:
        print_text("\n\n".join([*_about_the_file(table), description.text()]))


def _about_the_file(table: CaptureTable) -> list[str]:
    """Say how the file was understood, before anything is made of it."""
    if table.reading is None:
        return []
    return ["\n".join(wrapped(line, "  ") for line in table.reading.lines())]


@contextmanager
def _said_before_a_refusal(table: CaptureTable, output: OutputOptions) -> Iterator[None]:
    """Say how the file was understood before what was understood is refused."""
    try:
        yield
    except CapabilityError:
        for line in () if output.as_json else _about_the_file(table):
            print_text(f"{line}\n")
        sys.stdout.flush()
        raise


def _with_reading(table: CaptureTable, content: dict[str, Any]) -> dict[str, Any]:
    return content if table.reading is None else {**content, "reading": table.reading.to_dict()}


def answer_one(table: CaptureTable, method: Estimator, output: OutputOptions) -> None:
    """Print the estimate of one method."""
    if output.draws and output.protects(table):
        raise SettingError(
            "--draws: the table is not public, and draws tell of every count behind them; leave --draws out, or write "
            "them for inside alone with --show-small-counts"
        )
    with parallel(progress=True), _said_before_a_refusal(table, output):
        found = method.fit(table, rng=output.seed)
    parts = _by_strata(found, output.by) if output.by else None
    if output.inside:
        grouped = {} if parts is None else {"subgroups": _rows(parts, False)}
        _write_inside({**found.to_dict(show_small_counts=True), **grouped}, output.inside)
    if output.draws:
        _write_draws(found, output.draws)
    if output.protects(table):
        if parts is not None and output.as_json:
            print_note("numbers by group are on the screen alone: they are not released")
        if _leave(table, {found.estimator.label: found}, output):
            return
    elif output.plot:
        save_forest([found], None, output.plot, protect=False)
        _say_written("figure", output.plot)
    if output.as_json:
        shown = found.to_dict(show_small_counts=output.show_small_counts)
        grouped = {} if parts is None else {"subgroups": _rows(parts, False)}
        print_json(_with_reading(table, {**shown, **grouped}))
        return
    by_group = [] if parts is None else [parts.text()]
    about = _about_the_file(table)
    print_text("\n\n".join([*about, estimate_text(found), *by_group, wrapped(closing_sentence(table), "")]))


def _leave(table: CaptureTable, estimates: Mapping[str, Estimate], output: OutputOptions) -> bool:
    """Write what may leave of a table that is not public, figure and JSON of one release; tell whether that was all."""
    if not (output.plot or output.as_json):
        return False
    content = _released(table, estimates)
    if output.plot:
        save_released(content, output.plot)
        _say_written("figure", output.plot)
    if output.as_json:
        print_json(content)
    return output.as_json


def _write_inside(content: dict[str, Any], path: Path) -> None:
    """Write everything in full to a file that its owner alone can read, and that says where it must stay."""
    marked = {"inside": STAYS_INSIDE, **content}
    text = json.dumps(marked, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(text, path, private=True)
    _say_written("everything in full, for inside alone,", path)


def _by_strata(found: Estimate, by: tuple[str, ...]) -> "Subgroups":
    from hiddenpop.monitor import subgroups

    return subgroups(found, by)


def _rows(parts: "Subgroups", protect: bool) -> Any:
    return to_jsonable(parts.protected_frame() if protect else parts.frame)


def answer_several(table: CaptureTable, methods: Mapping[str, Estimator], output: OutputOptions) -> None:
    """Print the estimates of several methods side by side."""
    with parallel(progress=True), _said_before_a_refusal(table, output):
        description = describe(table)
        comparison = fit_panel(table, methods, rng=output.seed)
    if output.inside:
        _write_inside(_panel_object(comparison, description, True), output.inside)
    if output.as_json:
        for label, reason in comparison.left_out.items():
            print_note(f"{label} is left out: {reason}")
    if output.protects(table):
        if _leave(table, dict(zip(comparison.labels, comparison.estimates, strict=True)), output):
            return
    elif output.plot:
        save_forest(comparison.estimates, comparison.labels, output.plot, protect=False)
        _say_written("figure", output.plot)
    if output.as_json:
        content = _panel_object(comparison, description, output.show_small_counts)
        print_json(_with_reading(table, content))
        return
    head = f"{table.name}: {table.n_observed:,} observed on {table.n_lists} lists ({', '.join(table.lists)})"
    notes = (f"Note: {note.message}" for note in description.notes)
    about = [wrapped(line, "") for line in (head, table.population, *notes) if line]
    parts = [*_about_the_file(table), "\n".join(about), comparison.text(), wrapped(description.sentence, "")]
    print_text("\n\n".join(parts))


def _released(table: CaptureTable, estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """Give what may leave of estimates of a table that is not public, judged together."""
    about = {"name": table.name, "lists": list(table.lists), "population": table.population, "public": False}
    content = {"schema_version": SCHEMA_VERSION, "released": True, "table": about}
    if table.reading is not None:  # a remark with a number may tell how many rows there were
        reading = table.reading.to_dict()
        notes = [note for note in reading["notes"] if not any(sign.isdigit() for sign in note)]
        content["reading"] = {"unit": reading["unit"], "roles": reading["roles"], "notes": notes}
    return {**content, **released_estimates(table, estimates)}


def _panel_object(
    comparison: Comparison, description: TableDescription, show_small_counts: bool
) -> dict[str, Any]:
    pairs = zip(comparison.labels, comparison.estimates, strict=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "table": to_jsonable(description.table),
        "description": description.to_dict(show_small_counts=show_small_counts),
        "sentence": comparison.sentence(),
        "disagreements": comparison.disagreements(),
        "seed": comparison.seed,
        "estimates": [
            {"label": label, **with_best_models(e.to_dict(show_small_counts=show_small_counts))}
            for label, e in pairs
        ],
    }


def _write_draws(found: Estimate, path: Path) -> None:
    if found.draws is None:
        raise SettingError(f"{found.estimator.name} has no draws to write; leave out --draws")
    import pandas as pd

    write_file(pd.DataFrame({"n": found.draws}), path)
    _say_written("draws", path)


def _say_written(what: str, path: Path) -> None:
    print_note(f"{what} written to {path}")
