"""`hiddenpop init`: a plan for a file, to be read and filled in."""

from pathlib import Path
from typing import Annotated

import typer

from hiddenpop.cli.columns import Columns, reads_columns
from hiddenpop.cli.screen import print_text
from hiddenpop.errors import SettingError

__all__ = ["init"]


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
        raise SettingError(f"{table!r} is not a file; name one such as counts.csv")
    typed = {option: text for option, text in columns.items() if text is not None}
    write_text(initial_plan(Path(table), read_columns(typed), out), out)
    print_text(f"{out} is written: fill in the population, read the rest, and run it: hiddenpop run {out}")
