"""`hiddenpop run` and `hiddenpop reproduce`: an analysis from a file, and the same done again."""

from pathlib import Path
from typing import Annotated

import typer

from hiddenpop.cli.screen import print_json, print_text, wrapped

__all__ = ["TRUST", "reproduce", "run"]

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

    Leaves a folder with results, figures, the report and a manifest. The plan is judged as a whole before the first
    step. A run that was interrupted goes on where it was.
    """
    from hiddenpop.runs import run as carry_out

    done = carry_out(plan, out, workers=workers, progress=True, trust=trust)
    print_text("\n".join(wrapped(line, "    ") for line in done.summary().splitlines()))


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
    """Repeat a run and compare it, number by number, with what it left.

    Exit code 0 where all agrees, 1 where something differs.
    """
    from hiddenpop.runs import reproduce as do_again

    found = do_again(folder, data=data, workers=workers, progress=True, trust=trust)
    if as_json:
        print_json(found.to_dict())
    else:
        print_text("\n".join(wrapped(line, "    ") for line in found.summary().splitlines()))
    if not found.agrees:
        raise typer.Exit(DIFFERENT)
