"""`hiddenpop sensitivity`: what would have to be true for the answer to change."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hiddenpop._details import with_best_models
from hiddenpop.cli.columns import TABLE_HELP, Columns, reads_table
from hiddenpop.cli.run import TRUST
from hiddenpop.cli.screen import print_json, print_note, print_text
from hiddenpop.errors import SettingError

if TYPE_CHECKING:
    from hiddenpop.sensitivity.standard_set import SensitivityReport

__all__ = ["sensitivity"]

FILES = ("page.png", "results.json", "table.csv")


@reads_table
def sensitivity(
    table: Annotated[str, typer.Argument(metavar="TABLE", help=TABLE_HELP)],
    *,
    columns: Columns,
    estimator: Annotated[
        str, typer.Option("--estimator", metavar="NAME", help="The estimator that is put to the test.")
    ] = "selected",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the estimator; repeatable."),
    ] = None,
    claim: Annotated[
        str | None,
        typer.Option("--claim", metavar="TEXT", help='What is claimed, such as "more than 10,000".'),
    ] = None,
    level: Annotated[float | None, typer.Option("--level", help="Level of the intervals, e.g. 0.9.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed for checks that draw random numbers.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes, -1 for every core.")] = -1,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder for page.png, results.json and table.csv."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
    show_small_counts: Annotated[
        bool,
        typer.Option(
            "--show-small-counts",
            help="Show counts below 10 of a table that is not public in JSON and files; the output says so.",
        ),
    ] = False,
    trust: Annotated[bool, typer.Option("--trust", help=TRUST)] = False,
) -> None:
    """Say what would have to be true for an estimate to change.

    Runs the checks that a reviewer expects and holds each to a claim, or without one to the interval of the estimate.
    """
    from hiddenpop.cli.inputs import make_method, read_settings, read_table
    from hiddenpop.sensitivity.claims import as_claim
    from hiddenpop.sensitivity.standard_set import standard

    method = make_method(estimator, read_settings(settings or []), level, trust=trust)
    held = as_claim(claim)
    _make_folder(out)
    counted = read_table(table, columns)
    report = standard(counted, method, claim=held, rng=seed, workers=workers, progress=True)
    if out is not None:
        _write(report, out, show_small_counts=show_small_counts)
        print_note(f"{', '.join(FILES)} written to {out}")
    if as_json:
        print_json(_content(report, show_small_counts))
    else:
        print_text(_text(report))


def _make_folder(out: Path | None) -> None:
    """Make the folder before the work begins, not after it."""
    if out is None:
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"--out {out}: {error.strerror}; name a folder you can write") from error


def _content(report: "SensitivityReport", show_small_counts: bool) -> dict[str, Any]:
    content = report.to_dict(show_small_counts=show_small_counts)
    with_best_models(content["baseline"])
    return content


def _text(report: "SensitivityReport") -> str:
    """Write the verdicts, one paragraph a check."""
    from hiddenpop.cli.screen import wrapped

    first, *lines = report.summary().splitlines()
    return "\n".join([wrapped(first, "  "), *(wrapped(line, " " * 14) for line in lines)])


def _write(report: "SensitivityReport", out: Path, *, show_small_counts: bool) -> None:
    """Write the page, the results and one row a check."""
    from hiddenpop._files import write_file, write_text
    from hiddenpop.plotting import check_page, save_figure

    save_figure(_page(report, check_page, show_small_counts), out / "page.png")
    content = _content(report, show_small_counts)
    write_text(
        json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", out / "results.json"
    )
    leaving = [result.to_dict(show_small_counts=show_small_counts)["text"] for result in report.results]
    write_file(report.table().assign(in_words=leaving), out / "table.csv")


def _page(report: "SensitivityReport", draw: Any, show_small_counts: bool) -> Any:
    """Draw the page on a figure of its own: a command has no screen for it."""
    from matplotlib.figure import Figure

    from hiddenpop.plotting.check_page import page_size

    figure = Figure(figsize=page_size(report.results), layout="constrained")
    title = f"{report.baseline.estimator.label} on {report.baseline.table.name}: {report.claim.text}?"
    return draw(report.results, figure=figure, title=title, protect=not show_small_counts)
