"""`hiddenpop run` and `hiddenpop reproduce`: an analysis from a file, and the same done again."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hiddenpop.cli.inputs import Columns, reads_columns
from hiddenpop.errors import SettingError

__all__ = ["TRUST", "init", "reproduce", "run"]

DIFFERENT = 1
TRUST = "Import an estimator that is not registered, mymodule:Mine. To import it is to run it: read it first."

Workers = Annotated[int, typer.Option("--workers", help="Processes, -1 for every core.")]
Trust = Annotated[bool, typer.Option("--trust", help=TRUST)]


def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A file such as analysis.toml.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder for what it leaves, else PLAN-run beside the plan."
        ),
    ] = None,
    workers: Workers = -1,
    trust: Trust = False,
) -> None:
    """Carry out an analysis that is written in a file.

    Leaves a folder with results, figures, the report and a manifest. The plan is judged whole before the first step. A
    run that was interrupted goes on where it was.
    """
    from hiddenpop.cli.screen import wrapped
    from hiddenpop.runs import run as carry_out

    done = carry_out(plan, out, workers=workers, progress=True, trust=trust)
    typer.echo("\n".join(wrapped(line, "    ") for line in done.summary().splitlines()))


def reproduce(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `hiddenpop run` left.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="Folder from which the plan names its files, if they moved."
        ),
    ] = None,
    workers: Workers = -1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
    trust: Trust = False,
) -> None:
    """Do a run again and compare it, number by number, with what it left.

    Exit code 0 where all agrees, 1 where something differs.
    """
    from hiddenpop.cli.screen import wrapped
    from hiddenpop.runs import reproduce as do_again

    found = do_again(folder, data=data, workers=workers, progress=True, trust=trust)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo("\n".join(wrapped(line, "    ") for line in found.summary().splitlines()))
    if not found.agrees:
        raise typer.Exit(DIFFERENT)


# === `hiddenpop init`: a plan for a file, to be read and filled in ====================================================


@reads_columns
def init(
    table: Annotated[str, typer.Argument(metavar="FILE", help="A file with a table.")],
    *,
    columns: Columns,
    out: Annotated[
        Path, typer.Option("--out", metavar="PLAN", help="The plan that is written; none is overwritten.")
    ] = Path("analysis.toml"),
) -> None:
    """Write a plan for a file: what was found in it, three estimators, the checks and the reports.

    The population is left to fill in; then `hiddenpop run` carries it out.
    """
    from hiddenpop._files import write_text
    from hiddenpop.cli.inputs import check_place, is_file_name, read_columns
    from hiddenpop.runs.initial import initial_plan

    check_place("--out", out, (".toml",))
    if out.exists():
        raise SettingError(f"{out} is there already; name another file with --out")
    if not is_file_name(table):
        raise SettingError(f"{table!r} is no file; name one such as counts.csv")
    typed = {option: text for option, text in columns.items() if text is not None}
    write_text(initial_plan(Path(table), read_columns(typed), out), out)
    typer.echo(f"{out} is written: fill in the population, read the rest, and run it: hiddenpop run {out}")
