"""Running a command: answers on stdout, one line for every fault or note on stderr, honest exit codes."""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer

from hiddenpop._screen import notes
from hiddenpop.cli.commands import app
from hiddenpop.errors import CollapsedStrataWarning, HiddenpopError, HiddenpopWarning

__all__ = ["main"]

BAD_INPUT = 2
INTERRUPTED = 128 + 2
PIPE_CLOSED = 128 + 13

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises for a command line it cannot read; it does not export the class itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        Exit code: 0, 2 for bad input, 130 when interrupted, 141 when the reader of stdout went away.

    Examples
    --------
    >>> main(["--version"])
    hiddenpop ...
    0
    """
    try:
        with _notes_on_stderr(), notes(shown=True):
            code = _run(arguments)
            sys.stdout.flush()
            return code
    except HiddenpopError as error:
        return _fail(str(error))
    except BrokenPipeError:
        _forget_stdout()
        return PIPE_CLOSED
    except (OSError, MemoryError) as error:
        return _fail(_fault_of_the_machine(error))
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED


def _fault_of_the_machine(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; ask for less, for instance fewer draws"
    if error.filename is None:
        _forget_stdout()
        return f"the answer cannot be written: {error.strerror or error}; make room, or send it elsewhere"
    return f"{error.filename}: {error.strerror or error}; check the name and the folder"


def _run(arguments: Sequence[str] | None) -> int:
    given = None if arguments is None else list(arguments)
    try:
        return int(app(args=given, prog_name="hiddenpop", standalone_mode=False) or 0)
    except UsageError as error:
        return _fail(f"{_message(error)}; see hiddenpop --help")
    except SystemExit as stop:
        # Typer ends the process by itself when the reader of its output goes away.
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        raise


def _message(error: Any) -> str:
    return str(error.format_message()).rstrip(".")


def _fail(message: str) -> int:
    typer.echo(f"hiddenpop: error: {_one_line(message)}", err=True)
    return BAD_INPUT


def _one_line(message: str) -> str:
    """Join the lines of a message; faults listed under each other are set apart by semicolons."""
    head, *faults = message.split("\n  - ")
    line = " ".join(f"{head} {'; '.join(faults)}".split())
    # What steers a terminal, in the name of a file say, is shown and does nothing.
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)


def _forget_stdout() -> None:
    """Let the interpreter flush what is left into nothing, so that it does not complain on its way out."""
    with suppress(OSError, ValueError):  # a stand-in for stdout may have no descriptor
        descriptor = sys.stdout.fileno()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, descriptor)
        os.close(nothing)


@contextmanager
def _notes_on_stderr() -> Iterator[None]:
    """Write warnings of the package as notes of one line, each once however many estimators repeat it."""
    told: set[object] = set()

    def note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, HiddenpopWarning):
            usual(message, category, *where, **more)
            return
        # Every estimator says with its own name in front that it adds up the strata.
        subject: object = category if issubclass(category, CollapsedStrataWarning) else str(message)
        if subject not in told:
            told.add(subject)
            typer.echo(f"hiddenpop: note: {_one_line(str(message))}", err=True)

    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.showwarning = note
        warnings.simplefilter("always", HiddenpopWarning)
        yield
