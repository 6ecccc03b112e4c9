"""Pages that are made before Sphinx looks for pages: notebooks, API, changelog, gallery, security.

The figures of the gallery are drawn by two processes beside Sphinx, which reads their page last.
"""

import atexit
import contextlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gallery
from rooms import ROOMS, Room, documented
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

from hiddenpop.cli import main
from hiddenpop.cli.commands import app

__all__ = ["setup"]

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
FROM_ROOT = (("changelog", "CHANGELOG.md", "Changelog"), ("security", "SECURITY.md", "Security"))
"""Pages that stand at the root of the project: name, file, and a title where the file is not there."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the pages as soon as the settings are read, before pages are looked for."""
    app.connect("config-inited", lambda _, config: make_all(config))
    drawing = Drawing()
    app.connect("config-inited", drawing.start)
    app.connect("env-before-read-docs", _gallery_last)
    app.connect("source-read", drawing.wait)
    return {"parallel_read_safe": True}


def make_all(config: Config) -> None:
    """Make every page that is made, and name those that list public names."""
    config["autosummary_generate"] = [f"api/{room.page}.md" for room in ROOMS]
    _notebooks()
    _api()
    write_if_changed(DOCS / "cli.md", command_line())
    for page, source, title in FROM_ROOT:
        _put(page, ROOT / source, title)
    write_if_changed(DOCS / "gallery.md", gallery.page())


class Drawing:
    """The two processes that draw the figures of the gallery."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, app: Sphinx, config: Config) -> None:
        """Begin to draw, where the figures are not there yet."""
        if gallery.is_drawn(DOCS):
            return
        for names in gallery.halves():
            process = subprocess.Popen([sys.executable, str(DOCS / "gallery.py"), *names])
            atexit.register(process.kill)
            self.processes.append(process)

    def wait(self, app: Sphinx, page: str, content: list[str]) -> None:
        """Wait for the figures before their page is read."""
        if page != "gallery" or not self.processes:
            return
        codes = [process.wait() for process in self.processes]
        if any(codes):
            raise ExtensionError(f"docs/gallery.py ended with exit codes {codes}")
        gallery.note_drawn(DOCS)


def _gallery_last(app: Sphinx, env: BuildEnvironment, pages: list[str]) -> None:
    pages.sort(key=lambda page: page == "gallery")


def write_if_changed(path: Path, text: str) -> None:
    """Leave a file alone that holds the text already, so that Sphinx does not read it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _put(page: str, source: Path, title: str) -> None:
    text = source.read_text(encoding="utf-8") if source.exists() else f"# {title}\n\nThere is none yet.\n"
    write_if_changed(DOCS / f"{page}.md", _linked(text))


def _linked(text: str) -> str:
    """Turn links from the root of the project into links from docs."""
    return text.replace("](docs/", "](")


def _notebooks() -> None:
    """Copy the notebooks, with a page that lists them."""
    folder = DOCS / "notebooks"
    sources = sorted((ROOT / "notebooks").glob("*.ipynb"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for source in sources:
        shutil.copy2(source, folder / source.name)
    entries = "\n".join(source.stem for source in sources)
    lines = "\n".join(f"- [{_title(source)}]({source.name}): {_question(source)}" for source in sources)
    head = (
        "# The course\n\nRead in this order; each part takes a quarter of an hour. They are notebooks, stored with "
        "what their code gives, and they run from a clone of the project."
    )
    write_if_changed(
        folder / "index.md", f"{head}\n\n{lines}\n\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"
    )


def _cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def _title(path: Path) -> str:
    return _cells(path)[0].splitlines()[0].lstrip("# ")


def _question(path: Path) -> str:
    """Give the first sentence under the title."""
    body = " ".join(_cells(path)[0].splitlines()[1:]).replace("**", "").strip()
    for mark in ("? ", ". "):
        first, found, _ = body.partition(mark)
        if found:
            return first + mark.strip()
    return body


def _api() -> None:
    """Write a page a room, and take away pages of names that are no longer there."""
    names = set(documented())
    for path in (DOCS / "api" / "generated").glob("*.rst"):
        if path.stem not in names:
            path.unlink()
    pages = {"index", *(room.page for room in ROOMS)}
    for path in (DOCS / "api").glob("*.md"):
        if path.stem not in pages:
            path.unlink()
    for room in ROOMS:
        write_if_changed(DOCS / "api" / f"{room.page}.md", _page(room))
    entries = "\n".join(room.page for room in ROOMS)
    lines = "\n".join(f"- [{room.title}]({room.page}.md): {room.text}" for room in ROOMS)
    head = "# API\n\nEvery public name, from its docstring. The examples in docstrings are run by the tests."
    write_if_changed(
        DOCS / "api" / "index.md", f"{head}\n\n{lines}\n\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"
    )


def command_line() -> str:
    """Write the help of every command on one page."""
    names = [
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    ]
    head = "# The command line\n\nEvery command with its options, as `hiddenpop COMMAND --help` prints them."
    codes = (
        "Exit codes: 0 where all is well, 2 with one line of explanation for input that cannot be, and what a command "
        "says of itself."
    )
    return "\n\n".join([head, codes, *(f"## {name}\n\n```text\n{_help(name)}\n```" for name in names)]) + "\n"


def _help(command: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main([command, "--help"])
    return out.getvalue().strip()


def _page(room: Room) -> str:
    names = "\n".join(f"   ~{name}" for name in room.names)
    return (
        f"# {room.title}\n\n{room.text}\n\n```{{eval-rst}}\n"
        f".. autosummary::\n   :toctree: generated\n\n{names}\n\n.. module:: {room.module}\n```\n"
    )
