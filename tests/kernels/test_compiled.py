"""What is compiled is kept, and taken again as long as all source behind it is the same."""

import ast
import errno
import importlib
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from numba.core import caching
from numba.core.event import Event, EventStatus, Listener, install_listener

import hiddenpop
from hiddenpop.kernels import compiled
from hiddenpop.kernels.compiled import (
    KEPT,
    PACKAGE,
    VARIABLES,
    cache_folder,
    imported_files,
    njit,
    source_digest,
)

SOURCE = Path(hiddenpop.__file__).parent

NAME = "tinypop"
TINY = {
    "__init__.py": "",
    "constants.py": "FACTOR = 2.0\n",
    "kernels/__init__.py": "",
    "kernels/inner.py": """
from tinypop.constants import FACTOR
from tinypop.kernels.compiled import njit

@njit
def inner(x):
    return FACTOR * x + 1
""",
    "kernels/outer.py": """
from tinypop.kernels.compiled import njit
from tinypop.kernels.inner import inner

@njit(error_model="numpy")
def outer(x):
    return inner(x) / 1
""",
}
"""A package of two kernels, one compiled into the other, with a constant from a third module."""


class Count(Listener):
    """Counts what is compiled."""

    seen = 0

    def on_start(self, event: Event) -> None:
        self.seen += 1

    def on_end(self, event: Event) -> None:
        pass


class Place:
    """A package with kernels that compile in a moment, in the way of this one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        for name, text in TINY.items():
            self.write(name, text)
        for name in ("_screen.py", "_text.py", "kernels/compiled.py"):
            self.write(name, (SOURCE / name).read_text().replace(PACKAGE, NAME))

    def write(self, name: str, text: str) -> None:
        path = self.folder / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def forget(self) -> None:
        """Forget what was imported, as a new process would."""
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def module(self, name: str) -> Any:
        return importlib.import_module(f"{NAME}.{name}")

    def call(self, value: float) -> tuple[float, int]:
        """Give the outer kernel's answer in a process of its own, and how many functions were compiled for it."""
        self.forget()
        return self.call_again(value)

    def call_again(self, value: float) -> tuple[float, int]:
        with install_listener("numba:compile", Count()) as count:
            answer = self.module("kernels.outer").outer(value)
        return answer, count.seen


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python, too, looks at no more than size and date
    monkeypatch.setattr("numba.core.event._registered", defaultdict(list))
    monkeypatch.setenv("HIDDENPOP_CACHE_DIR", str(made.cache))
    yield made
    made.forget()


# --- the source behind a function ---


def test_what_is_compiled_once_is_taken_by_the_next_process(place: Place) -> None:
    assert place.call(3.0) == (7.0, 2)
    script = """
from numba.core import event
listener = event.RecordingListener()
event.register("numba:compile", listener)
from tinypop.kernels.outer import outer
print(outer(3.0), len(listener.buffer))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": str(place.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("7.0 0\n", "")


@pytest.mark.parametrize(
    ("name", "old", "new", "answer"),
    [
        ("kernels/outer.py", "/ 1", "/ 7", 1.0),
        ("kernels/inner.py", "+ 1", "+ 2", 8.0),
        ("constants.py", "2.0", "5.0", 16.0),
    ],
)
def test_an_edit_of_anything_behind_a_function_is_seen(
    place: Place, name: str, old: str, new: str, answer: float
) -> None:
    """Also one that leaves the size and the date of the file as they were, which is all that numba looks at."""
    assert place.call(3.0)[0] == 7.0
    path = place.folder / NAME / name
    before, text = path.stat(), path.read_text()
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert place.call(3.0)[0] == answer
    path.write_text(text)
    assert place.call(3.0) == (7.0, 0), "the former state was kept beside the new one"


def imports_by_syntax(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively, which is not looked for"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_by_lines_are_those_by_syntax() -> None:
    """Of the kernels and of the modules below them."""
    paths = [*SOURCE.glob("*.py"), *SOURCE.glob("kernels/**/*.py")]
    found = {path: set(imported_files(path.read_bytes())) for path in paths}
    assert found == {
        path: {file for name in imports_by_syntax(path) for file in file_of(name)} for path in paths
    }


def file_of(module: str) -> list[Path]:
    path = SOURCE.parent.joinpath(*module.split("."))
    files = [path.with_suffix(".py"), path / "__init__.py"]
    return [file for file in files if file.exists() and module.partition(".")[0] == PACKAGE]


def test_a_digest_is_of_everything_behind_and_of_nothing_else() -> None:
    behind = {
        "hiddenpop.kernels.poisson.lattice",
        "hiddenpop.kernels.search.bound",
        "hiddenpop.kernels.search.best_models",
        "hiddenpop.kernels.bayes.latent_class",
    }
    assert len({source_digest(module) for module in behind}) == len(behind)
    assert source_digest("hiddenpop.kernels.poisson.lattice") == source_digest(
        "hiddenpop.kernels.poisson.lattice"
    )


def test_what_has_no_source_is_compiled_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook, say: nobody could tell whether it is still the same."""

    def half(x: float) -> float:
        return x / 2.0

    half.__module__ = "typed_by_hand"
    monkeypatch.setitem(sys.modules, "typed_by_hand", ModuleType("typed_by_hand"))
    function: Any = njit(half)
    assert function(3.0) == 1.5
    assert function.stats.cache_path is None


def test_every_compiled_function_is_made_in_one_place() -> None:
    made = re.compile(r"\b(numba|nb)\.(n?jit|vectorize|guvectorize|cfunc)\b|from numba import .*jit")
    found = {path.name for path in SOURCE.rglob("*.py") if made.search(path.read_text())}
    assert found == {"compiled.py"}


# --- where it is kept ---


def test_the_place_of_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / "home" / ".cache" / "hiddenpop"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "hiddenpop"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert cache_folder() == tmp_path / "numba"
    monkeypatch.setenv("HIDDENPOP_CACHE_DIR", str(tmp_path / "ours"))
    assert cache_folder() == tmp_path / "ours"
    monkeypatch.setenv("HIDDENPOP_CACHE_DIR", "")
    assert cache_folder() == tmp_path / "numba"


def test_a_user_without_a_home_keeps_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for variable in (*VARIABLES, "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", fail)
    monkeypatch.chdir(place.folder)
    assert place.call(3.0) == (7.0, 2)
    assert not place.module("kernels.compiled").is_kept()
    assert not list(place.folder.rglob("~"))


@pytest.mark.parametrize(
    ("platform", "local", "folder"),
    [
        ("darwin", "", "home/Library/Caches/hiddenpop"),
        ("win32", "", "home/AppData/Local/hiddenpop"),
        ("win32", "local", "local/hiddenpop"),
    ],
)
def test_the_place_on_other_systems(
    monkeypatch: pytest.MonkeyPatch, platform: str, local: str, folder: str
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("LOCALAPPDATA", local)
    assert cache_folder() == Path(folder)


def test_everything_lies_in_the_folder_that_is_named(place: Place) -> None:
    place.call(3.0)
    assert {path.name.rpartition("-")[0] for path in place.cache.iterdir()} == {
        "tinypop.kernels.inner",
        "tinypop.kernels.outer",
    }
    assert {path.parents[1] for path in place.folder.rglob("*.nbi")} == {place.cache}


def test_where_nothing_can_be_written_everything_is_compiled(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.folder / "file").write_text("")
    monkeypatch.setenv("HIDDENPOP_CACHE_DIR", str(place.folder / "file" / "inside"))
    assert [place.call(3.0), place.call(3.0)] == [(7.0, 2)] * 2
    assert place.module("kernels.outer").outer.stats.cache_path is None
    assert not place.module("kernels.compiled").is_kept()
    assert not list(place.folder.rglob("*.nbi"))


def test_a_full_disk_ends_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*data: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("numba.core.caching.IndexDataCacheFile._save_data", fail)
        assert place.call(3.0) == (7.0, 2)
    assert place.call(3.0) == (7.0, 2)
    assert place.call(3.0) == (7.0, 0)


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_file_is_made_anew(place: Place, suffix: str) -> None:
    place.call(3.0)
    for path in place.cache.rglob(f"*.{suffix}"):
        path.write_bytes(path.read_bytes()[:20])
    assert place.call(3.0) == (7.0, 2)
    assert place.call(3.0) == (7.0, 0)


def test_two_processes_do_not_write_at_the_same_time(place: Place) -> None:
    """Both would take the next number for their file, and one of them would later be given the code of the other."""
    place.call(3.0)
    place.module("kernels.compiled").LONGEST_WAIT = 0.1
    (folder,) = place.cache.glob("*outer-*")
    with FileLock(folder / "lock"):
        assert place.call_again(3) == (7.0, 2)
    assert place.call(3) == (7.0, 1), "only the inner one could be kept"
    assert place.call(3) == (7.0, 0)


def test_old_states_of_a_module_do_not_pile_up(tmp_path: Path) -> None:
    digests = [f"{number:064}" for number in range(1_000_000_000, 1_000_000_000 + KEPT + 2)]
    for turn, digest in enumerate(digests):
        folder = compiled._folder(tmp_path, "hiddenpop.kernels.poisson.lattice", digest[::-1])
        assert folder is not None
        os.utime(folder, (turn, turn))
    other = compiled._folder(tmp_path, "hiddenpop.kernels.rank_other", digests[0])
    assert other is not None
    left = {path.name for path in tmp_path.iterdir()} - {other.name}
    assert left == {f"hiddenpop.kernels.poisson.lattice-{digest[::-1][:16]}" for digest in digests[-KEPT:]}


def test_a_state_that_is_used_is_not_an_old_one(tmp_path: Path) -> None:
    first = compiled._folder(tmp_path, "m", "0" * 64)
    assert first is not None
    for number in range(1, KEPT + 3):
        os.utime(first, (0, 0))
        compiled._folder.cache_clear()
        assert compiled._folder(tmp_path, "m", "0" * 64) == first
        compiled._folder(tmp_path, "m", f"{number}" * 64)
    assert first.exists()


# --- beside other packages, and another numba ---


def test_functions_of_others_are_kept_as_numba_keeps_them(place: Place) -> None:
    assert place.call(3.0)[0] == 7.0
    text = "import numba\n\n@numba.njit(cache=True)\ndef twice(x):\n    return 2 * x\n"
    place.write("foreign.py", text)
    twice = place.module("foreign").twice
    assert twice(2) == 4
    assert not Path(twice.stats.cache_path).is_relative_to(place.cache)
    assert type(twice._cache) is caching.FunctionCache
    assert {kind.__module__.partition(".")[0] for kind in caching.CacheImpl._locator_classes} <= {
        "numba",
        "pytensor",
    }


def without_a_class(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(caching, "CompileResultCacheImpl")


def with_another_class(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(caching, "CompileResultCacheImpl", type("Other", (), {}))


@pytest.mark.parametrize("change", [without_a_class, with_another_class])
def test_a_numba_that_is_made_otherwise_keeps_what_it_can(
    place: Place, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Its own cache, in its own place."""
    change(monkeypatch)
    monkeypatch.setattr("numba.config.CACHE_DIR", str(place.folder / "numba"))
    assert [place.call(3.0), place.call(3.0)] == [(7.0, 2), (7.0, 0)]
    assert {path.parents[1] for path in place.folder.rglob("*.nbi")} == {place.folder / "numba"}


def test_a_dispatcher_that_is_made_otherwise_is_asked_to_keep(place: Place) -> None:
    asked: list[bool] = []

    def refuse() -> None:
        asked.append(False)
        raise RuntimeError("cannot cache function: no locator available")

    for enable in (lambda: asked.append(True), refuse):
        compiled._keep(SimpleNamespace(enable_caching=enable), len, "module", "digest")
    assert asked == [True, False]


def test_numba_may_be_told_to_compile_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.config.DISABLE_JIT", 1)
    assert place.call(3.0) == (7.0, 0)


# --- what is said ---


def test_a_command_says_once_that_something_is_compiled_and_not_that_it_is_loaded(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HIDDENPOP_COMPILE_NOTE")

    def said() -> str:
        place.forget()
        with place.module("_screen").notes(shown=True):
            assert place.call_again(3.0)[0] == place.call_again(3)[0] == 7.0
        return capsys.readouterr().err

    assert [said(), said()] == [f"tinypop: note: {compiled.NOTE}\n".replace(PACKAGE, NAME), ""]


def test_a_program_whose_notes_nobody_reads_says_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HIDDENPOP_COMPILE_NOTE")
    assert place.call(3.0) == (7.0, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("module", "says"), [("hiddenpop.kernels.poisson.lattice", True), ("hiddenpopular", False), (None, False)]
)
def test_only_what_the_package_compiles_is_told(
    monkeypatch: pytest.MonkeyPatch, module: str | None, says: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(compiled, "is_watched", lambda: True)
    monkeypatch.setattr(compiled, "write_note", said.append)
    function = SimpleNamespace(__module__=module)
    start = Event("numba:compile", EventStatus.START, {"dispatcher": SimpleNamespace(py_func=function)})
    teller = compiled._Teller()
    teller.notify(start)
    teller.notify(start)
    assert said == [compiled.NOTE] * says
