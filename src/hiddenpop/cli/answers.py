"""What the commands answer: on the screen everything, in files and JSON what may leave."""

import json
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import pandas as pd
import typer

from hiddenpop._files import write_file
from hiddenpop.cli.figures import save_forest, save_overlap
from hiddenpop.cli.inputs import check_place
from hiddenpop.cli.screen import columns, estimate_text, panel_text, wrapped
from hiddenpop.datasets import catalogue
from hiddenpop.description import TableDescription, describe
from hiddenpop.errors import CapabilityError, SettingError, TableSizeError
from hiddenpop.estimators.compare import Comparison
from hiddenpop.estimators.protocol import Estimator, spec_of
from hiddenpop.estimators.registry import ESTIMATORS, default_settings, estimator_class
from hiddenpop.monitor import Subgroups, subgroups
from hiddenpop.result import SCHEMA_VERSION, Estimate
from hiddenpop.serial import to_jsonable
from hiddenpop.table import CaptureTable

__all__ = ["Wish", "answer_description", "answer_one", "answer_several", "list_datasets", "list_estimators"]

TITLE_WIDTH = 38
PANEL_MODELS = 100
REFUSALS = (CapabilityError, TableSizeError)


@dataclass(frozen=True, slots=True)
class Wish:
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

    def __post_init__(self) -> None:
        check_place("--plot", self.plot, (".png", ".svg", ".pdf"))
        check_place("--draws", self.draws, (".parquet",))

    def protects(self, table: CaptureTable) -> bool:
        """Whether small counts of the table have to be withheld."""
        return not (table.public or self.show_small_counts)


def list_datasets(*, as_json: bool) -> None:
    """Print the published tables."""
    found = catalogue().to_dict(orient="records")
    if as_json:
        _print_json({"schema_version": SCHEMA_VERSION, "datasets": found})
        return
    rows = [row for entry in found for row in _catalogue_rows(entry)]
    typer.echo(columns([["name", "n", "lists", "title"], *rows], right=[1, 2]))


def _catalogue_rows(entry: Mapping[Hashable, Any]) -> Iterator[list[str]]:
    """Write a data set in as many rows as its title needs; one without lists holds repeat counts of one register."""
    first, *rest = wrap(entry["title"], TITLE_WIDTH)
    yield [entry["key"], f"{entry['n']:,}", str(entry["lists"] or "-"), first]
    yield from (["", "", "", line] for line in rest)


def list_estimators() -> None:
    """Print the registered estimators, each with what it is and its settings."""
    for name in ESTIMATORS:
        kind = estimator_class(name)
        about = (kind.__doc__ or "").strip().splitlines()[0]
        settings = ", ".join(f"{key}={_default(value)}" for key, value in default_settings(name).items())
        typer.echo(f"{name}\n{wrapped(f'  {about}', '  ')}\n{wrapped(f'  {settings}', '    ')}")


def _default(value: Any) -> str:
    return spec_of(value).label if isinstance(value, Estimator) else repr(value)


def answer_description(table: CaptureTable, wish: Wish) -> None:
    """Print what a table holds and can carry."""
    description = describe(table)
    if wish.plot:
        save_overlap(table, wish.plot, protect=wish.protects(table))
        _say_written("figure", wish.plot)
    if wish.as_json:
        _print_json(description.to_dict(show_small_counts=wish.show_small_counts))
    else:
        typer.echo(description.text())


def answer_one(table: CaptureTable, method: Estimator, wish: Wish) -> None:
    """Print the estimate of one method."""
    found = method.fit(table, rng=wish.seed)
    if wish.draws:
        _write_draws(found, wish.draws)
    if wish.plot:
        save_forest([found], None, wish.plot, protect=wish.protects(table))
        _say_written("figure", wish.plot)
    parts = subgroups(found, wish.by) if wish.by else None
    if wish.as_json:
        shown = found.to_dict(show_small_counts=wish.show_small_counts)
        _print_json(shown if parts is None else {**shown, "subgroups": _rows(parts, wish.protects(table))})
        return
    by_group = [] if parts is None else [parts.text()]
    typer.echo("\n\n".join([estimate_text(found), *by_group, wrapped(describe(table).sentence, "")]))


def _rows(parts: Subgroups, protect: bool) -> Any:
    return to_jsonable(parts.protected_frame() if protect else parts.frame)


def answer_several(table: CaptureTable, methods: Mapping[str, Estimator], wish: Wish) -> None:
    """Print the estimates of several methods side by side."""
    description = describe(table)
    comparison, refused = _fit_all(table, methods, wish.seed)
    if wish.plot:
        save_forest(comparison.estimates, comparison.labels, wish.plot, protect=wish.protects(table))
        _say_written("figure", wish.plot)
    if wish.as_json:
        for label, reason in refused.items():
            typer.echo(f"hiddenpop: note: {label} is left out: {reason}", err=True)
        _print_json(_panel_object(comparison, description, wish.show_small_counts))
        return
    head = f"{table.name}: {table.n_observed:,} observed on {table.n_lists} lists ({', '.join(table.lists)})"
    notes = (f"Note: {note.message}" for note in description.notes)
    about = [wrapped(line, "") for line in (head, table.population, *notes) if line]
    parts = ["\n".join(about), panel_text(comparison, refused), wrapped(description.sentence, "")]
    typer.echo("\n\n".join(parts))


def _fit_all(
    table: CaptureTable, methods: Mapping[str, Estimator], seed: int | None
) -> tuple[Comparison, dict[str, str]]:
    """Fit every method that can treat the table, and keep the reasons of the others."""
    fitted: dict[str, Estimate] = {}
    refused: dict[str, Exception] = {}
    for label, method in methods.items():
        try:
            fitted[label] = method.fit(table, rng=seed)
        except REFUSALS as error:
            refused[label] = error
    if not fitted:
        raise next(iter(refused.values()))
    return Comparison(tuple(fitted), tuple(fitted.values())), {label: str(e) for label, e in refused.items()}


def _panel_object(
    comparison: Comparison, description: TableDescription, show_small_counts: bool
) -> dict[str, Any]:
    pairs = zip(comparison.labels, comparison.estimates, strict=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "table": to_jsonable(description.table),
        "description": description.to_dict(show_small_counts=show_small_counts),
        "sentence": comparison.sentence(),
        "estimates": [
            {"label": label, **_shortened(e.to_dict(show_small_counts=show_small_counts))}
            for label, e in pairs
        ],
    }


def _shortened(estimate: dict[str, Any]) -> dict[str, Any]:
    """Leave of a long table of models only the best; alone, an estimate keeps them all."""
    models = estimate["details"].get("selection")
    if isinstance(models, list):
        estimate["details"]["selection"] = models[:PANEL_MODELS]
    return estimate


def _write_draws(found: Estimate, path: Path) -> None:
    if found.draws is None:
        raise SettingError(f"{found.estimator.name} has no draws to write; leave out --draws")
    write_file(pd.DataFrame({"n": found.draws}), path)
    _say_written("draws", path)


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def _say_written(what: str, path: Path) -> None:
    typer.echo(f"hiddenpop: note: {what} written to {path}", err=True)
