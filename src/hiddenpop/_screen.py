"""What stands on stderr beside the answers: bars and notes, whole lines of which none cuts another."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from hiddenpop._text import visible

__all__ = ["draw_bar", "end_bar", "in_notebook", "is_watched", "notes", "write_note"]

VARIABLE = "HIDDENPOP_COMPILE_NOTE"
"""``off`` is for programs that expect nothing on stderr."""


@dataclass(slots=True)
class _Line:
    """The last line of the terminal, while a bar stands there."""

    bar: str = ""


_LAST = _Line()
_SHOWN: ContextVar[bool | None] = ContextVar("hiddenpop_notes", default=None)


@contextmanager
def notes(*, shown: bool) -> Iterator[None]:
    """Show notes inside wherever stderr leads to, as a command does, or show none."""
    token = _SHOWN.set(shown)
    try:
        yield
    finally:
        _SHOWN.reset(token)


def is_watched() -> bool:
    """Tell whether a note would be read: by default in a terminal or a notebook, and never from a worker process."""
    from multiprocessing import parent_process

    if sys.stderr is None or parent_process() is not None or os.environ.get(VARIABLE) == "off":
        return False
    shown = _SHOWN.get()
    if shown is not None:
        return shown
    try:
        return in_notebook(sys.stderr) or sys.stderr.isatty()
    except (AttributeError, ValueError):  # of a stand-in, or of a stream that was closed
        return False


def in_notebook(stream: Any) -> bool:
    """Tell whether what is written goes into the cell of a notebook."""
    return type(stream).__module__.startswith("ipykernel")


def write_note(text: str) -> None:
    """Write a line above the bar that is being drawn, if one is."""
    bar = _LAST.bar
    above = f"\r{' ' * len(bar)}\r" if bar else ""
    with suppress(OSError, ValueError):  # nobody's computation ends because nobody can be told of it
        sys.stderr.write(f"{above}hiddenpop: note: {visible(text)}\n{bar}")
        sys.stderr.flush()


def draw_bar(stream: Any, text: str) -> None:
    """Write a bar over the one before."""
    _LAST.bar = visible(text)
    stream.write("\r" + _LAST.bar)


def end_bar(stream: Any) -> None:
    """Leave the bar as it is and go on below it."""
    stream.write("\n")
    _LAST.bar = ""
