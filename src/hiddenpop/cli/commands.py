"""The commands. Each reads its words, calls the package and prints; what is heavy is imported inside."""

from pathlib import Path
from typing import Annotated

import typer

from hiddenpop.cli.columns import TABLE_HELP, Columns, reads_table
from hiddenpop.cli.initial import init
from hiddenpop.cli.link import link
from hiddenpop.cli.run import TRUST, reproduce, run
from hiddenpop.cli.screen import print_text
from hiddenpop.cli.sensitivity import sensitivity
from hiddenpop.cli.simulate import simulate
from hiddenpop.cli.validate import validate
from hiddenpop.cli.warm import warm

__all__ = ["app"]

app = typer.Typer(
    name="hiddenpop",
    help="Estimate how many people are on none of the registers, from how the registers overlap.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Table = Annotated[str, typer.Argument(metavar="TABLE", help=TABLE_HELP)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Plot = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Draw a figure (.png, .svg or .pdf).")
]
Level = Annotated[float | None, typer.Option("--level", help="Level of the intervals, e.g. 0.9.")]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        help="Seed for methods that draw random numbers; without it one is drawn for methods side by side, and told.",
    ),
]
ShowSmall = Annotated[
    bool,
    typer.Option(
        "--show-small-counts",
        help="Show counts below 10 of a table that is not public in JSON and figures; the output says so.",
    ),
]
Inside = Annotated[
    Path | None,
    typer.Option(
        "--inside",
        metavar="FILE",
        help="Write everything in full (.json), for you alone and to stay where the data are.",
    ),
]
Trust = Annotated[bool, typer.Option("--trust", help=TRUST)]


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Print the version, or the help where no command is named."""
    if version:
        from hiddenpop import __version__

        print_text(f"hiddenpop {__version__}")
    elif context.invoked_subcommand is None:
        print_text(context.get_help())


@app.command()
def datasets(*, as_json: Json = False) -> None:
    """List the published tables that are included."""
    from hiddenpop.cli.listing import list_datasets

    list_datasets(as_json=as_json)


@app.command()
@reads_table
def describe(
    table: Table,
    *,
    columns: Columns,
    as_json: Json = False,
    plot: Plot = None,
    show_small_counts: ShowSmall = False,
) -> None:
    """Say whether a table can carry an estimate.

    Sizes and overlaps of the lists, how many models have a finite answer, how far the good ones disagree, a verdict.
    """
    from hiddenpop.cli.answers import OutputOptions, answer_description
    from hiddenpop.cli.inputs import read_table

    output = OutputOptions(as_json, plot, show_small_counts)
    answer_description(read_table(table, columns), output)


@app.command()
@reads_table
def estimate(
    table: Table,
    *,
    estimator: Annotated[
        str | None,
        typer.Option("--estimator", metavar="NAME", help="One estimator; without it the usual ones."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the estimator; repeatable."),
    ] = None,
    columns: Columns,
    level: Level = None,
    seed: Seed = None,
    as_json: Json = False,
    plot: Plot = None,
    draws: Annotated[
        Path | None, typer.Option("--draws", metavar="FILE", help="Write the estimator's draws (.parquet).")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="X,Y", help="Also by the levels of these strata, for one estimator."),
    ] = None,
    inside: Inside = None,
    show_small_counts: ShowSmall = False,
    trust: Trust = False,
) -> None:
    """Estimate the population behind a table.

    By one method with --estimator, otherwise by the usual ones side by side.
    """
    from hiddenpop.cli.answers import OutputOptions, answer_one, answer_several
    from hiddenpop.cli.inputs import make_method, make_panel, read_settings, read_table, split_names

    output = OutputOptions(
        as_json, plot, show_small_counts, seed, draws, tuple(split_names(by or "")), inside
    )
    chosen = read_settings(settings or [])
    method = None if estimator is None else make_method(estimator, chosen, level, trust=trust)
    counted = read_table(table, columns)
    if method is None:
        panel = make_panel(counted, level, {"--set": chosen, "--draws": draws, "--by": by})
        answer_several(counted, panel, output)
    else:
        answer_one(counted, method, output)


@app.command()
@reads_table
def compare(
    table: Table,
    names: Annotated[list[str], typer.Argument(metavar="NAME NAME...", help="Two or more estimators.")],
    *,
    columns: Columns,
    level: Level = None,
    seed: Seed = None,
    as_json: Json = False,
    plot: Plot = None,
    inside: Inside = None,
    show_small_counts: ShowSmall = False,
    trust: Trust = False,
) -> None:
    """Put estimates of several methods together."""
    from hiddenpop.cli.answers import OutputOptions, answer_several
    from hiddenpop.cli.inputs import make_methods, read_table

    output = OutputOptions(as_json, plot, show_small_counts, seed, inside=inside)
    methods = make_methods(names, level, trust=trust)
    answer_several(read_table(table, columns), methods, output)


@app.command()
def estimators() -> None:
    """List the estimators with their settings."""
    from hiddenpop.cli.listing import list_estimators

    list_estimators()


app.command()(init)
app.command()(run)
app.command()(reproduce)
app.command()(link)
app.command()(sensitivity)
app.command()(validate)
app.command()(simulate)
app.command()(warm)
