"""Notes and bars on stderr: who sees them, and that none cuts another."""

import io
import sys

import pytest

from hiddenpop import parallel
from hiddenpop._screen import is_watched, notes, write_note
from hiddenpop.parallel import run_blocks


class Stream(io.StringIO):
    """What is written to stderr, on a terminal or not."""

    def __init__(self, *, isatty: bool) -> None:
        super().__init__()
        self._isatty = isatty

    def isatty(self) -> bool:
        return self._isatty


class Cell(Stream):
    """The stderr of a notebook."""

    __module__ = "ipykernel.iostream"


@pytest.fixture(autouse=True)
def not_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HIDDENPOP_COMPILE_NOTE", raising=False)


@pytest.mark.parametrize(
    ("stream", "watched"),
    [
        (Stream(isatty=True), True),
        (Stream(isatty=False), False),
        (Cell(isatty=False), True),
        (None, False),
        (object(), False),
    ],
)
def test_notes_are_for_terminals_and_notebooks(
    monkeypatch: pytest.MonkeyPatch, stream: object, watched: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert is_watched() is watched


def test_a_command_shows_them_everywhere_and_can_show_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Stream(isatty=False))
    with notes(shown=True):
        assert is_watched()
        with notes(shown=False):
            assert not is_watched()
        assert is_watched()
        monkeypatch.setenv("HIDDENPOP_COMPILE_NOTE", "off")
        assert not is_watched()
    assert not is_watched()


def watched_as_in_a_command(task: int) -> bool:
    with notes(shown=True):
        return is_watched()


def test_workers_never_show_them() -> None:
    assert run_blocks(watched_as_in_a_command, [0, 1]) == [True, True]
    with parallel(workers=2):
        assert run_blocks(watched_as_in_a_command, [0, 1]) == [False, False]


def note(task: int) -> None:
    write_note("compiling")


def test_a_note_stands_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stderr", Stream(isatty=True))
    with parallel(progress=True):
        run_blocks(note, [0], label="fits")
    note(0)
    empty, full = ("fits [" + sign * 20 + "]" for sign in ".#")
    assert shown(sys.stderr.getvalue()) == [
        "hiddenpop: note: compiling",
        f"{full} 1/1",
        "hiddenpop: note: compiling",
        "",
    ]
    assert f"{empty} 0/1" in sys.stderr.getvalue()


def shown(written: str) -> list[str]:
    """What a terminal shows of what was written: after a return the line is written over."""
    lines = []
    for line in written.split("\n"):
        place = ""
        for part in line.split("\r"):
            place = part + place[len(part) :]
        lines.append(place.rstrip())
    return lines


def test_a_stream_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Stream(isatty=True)
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    note(0)
    assert closed.closed
