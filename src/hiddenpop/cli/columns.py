"""The options that say what the columns of a file are, the same for every command that reads one."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

__all__ = ["TABLE_HELP", "Columns", "reads_columns", "reads_table"]

TABLE_HELP = "A published data set, or a file: csv, txt, Excel, Stata, SPSS, parquet, Arrow or json."

Columns = dict[str, str | None]
"""What was typed, by the name of the option."""

OPTIONS = {
    "lists": ("A,B,C", "Columns of the file that are lists; columns that are not named are set aside."),
    "count": ("NAME", "Column of counts; none where a row is a person."),
    "strata": ("X,Y", "Columns of the file that are strata."),
    "censored": ("NAME", "Column that says true where a count is only an upper bound."),
    "person": ("NAME", "Column that tells persons apart, where a row is a registration."),
    "list": ("A,B", "Column that names the list of a registration, or several that each name one."),
    "date": ("NAME", "Column of days, where a row is a registration."),
    "conflicts": ("HOW", "Stratum of a person whose registrations differ: first, last or mode."),
    "columns": ("A,B,C", "Names of all columns, for a file without a line of names."),
    "decimal": ("SIGN", "The decimal sign of the file, . or ,"),
    "yes": ("VALUE", "The value that says 'on the list', for lists of two values."),
    "visits": (
        "presence",
        "How lists of numbers of visits are read: on the list is who was there once or more.",
    ),
    "split": ("SIGN", "What stands between lists named in one cell, such as +; letters, or none."),
    "sheet": ("NAME", "Which table, in a file of several: a sheet, or a number."),
}


OF_A_TABLE = {
    **OPTIONS,
    "merge": ("NEW=A+B,...", "Lists to make one of; on it is who was on any of them."),
}


def reads_columns(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options on columns; it receives what was typed as its argument `columns`."""
    return _with_options(command, OPTIONS)


def reads_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options on columns, and those on the table made of them, in its argument `columns`."""
    return _with_options(command, OF_A_TABLE)


def _with_options(command: Callable[..., None], options: dict[str, tuple[str, str]]) -> Callable[..., None]:
    @functools.wraps(command)
    def with_options(*arguments: Any, **typed: Any) -> None:
        given: Columns = {name: typed.pop(name) for name in options}
        command(*arguments, **typed, columns=given)

    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "columns"
    ]
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, typer.Option(f"--{name}", metavar=metavar, help=text)],
        )
        for name, (metavar, text) in options.items()
    ]
    parameters = [*own, *added]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
