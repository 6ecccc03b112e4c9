"""Finished blocks in a folder: what is used again, what is not, and a run that is broken off."""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

from hiddenpop.errors import ModelError, SettingError
from hiddenpop.parallel import parallel, run_blocks, spawn_seeds
from hiddenpop.store import _Reader

ROOT = Path(__file__).parents[1]
COUNTS = np.arange(16.0)


class Pair(NamedTuple):
    """A named result."""

    left: Any
    right: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Settings as a task carries them."""

    level: float = 0.95
    names: tuple[str, ...] = ("police", "shelter")


CALLS: list[Any] = []


def identity(task: Any) -> Any:
    CALLS.append(task)
    return task


def refuse_two_late(task: int) -> int:
    if task == 2:
        time.sleep(0.5)
        raise ModelError("model 2 has no main effects")
    return task


@pytest.fixture(scope="module", autouse=True)
def workers_end_with_the_module():
    """Let no idle worker outlive these tests."""
    yield
    get_reusable_executor().shutdown(wait=True)


def run_python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


# --- what is used again ---


def note_and_sum(task: tuple[str, int, np.random.Generator]) -> Pair:
    """Leave a mark in a folder for each computation, and give a named result."""
    marks, n, rng = task
    mark = Path(marks) / f"{n}-{time.monotonic_ns()}"
    mark.touch()
    return Pair(rng.random(n), {"n": n, "mean": np.float64(n) / 3})


class Counted:
    """Tasks that mark what was computed, and the folder their blocks are stored in."""

    def __init__(self, folder: Path):
        self.marks, self.store = folder / "marks", folder / "deep" / "store"
        self.marks.mkdir()

    def run(self, sizes: list[int], *, rng: int = 5, function: Any = note_and_sum) -> tuple[list[Pair], int]:
        """Give the results, and how many blocks were computed."""
        before = len(list(self.marks.iterdir()))
        seeds = spawn_seeds(rng, len(sizes))
        tasks = [(str(self.marks), n, seed) for n, seed in zip(sizes, seeds, strict=True)]
        results = run_blocks(function, tasks, store=self.store)
        return results, len(list(self.marks.iterdir())) - before

    def files(self) -> list[Path]:
        return sorted(self.store.iterdir())


@pytest.fixture
def counted(tmp_path):
    return Counted(tmp_path)


def test_stored_blocks_are_not_computed_again(counted):
    first, computed = counted.run([3, 4, 5])
    assert computed == 3
    again, computed = counted.run([3, 4, 5])
    assert computed == 0
    assert same(again, first)


def test_only_missing_blocks_are_computed(counted):
    first, _ = counted.run([3, 4, 5])
    counted.files()[1].unlink()
    again, computed = counted.run([3, 4, 5])
    assert computed == 1
    assert same(again, first)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failed_run_keeps_the_blocks_before_the_failure(counted, workers: int):
    with parallel(workers=workers, store=counted.store):
        with pytest.raises(ModelError, match="no main effects"):
            run_blocks(refuse_two_late, [0, 1, 3, 4, 2])
        assert len(counted.files()) == 4
        assert run_blocks(refuse_two_late, [4, 3, 1, 0]) == [4, 3, 1, 0]
    assert len(counted.files()) == 4


def test_other_seeds_and_other_tasks_are_computed_anew(counted):
    first, _ = counted.run([3, 4, 5])
    other, computed = counted.run([3, 4, 5], rng=6)
    assert computed == 3
    assert not same(other, first)
    assert counted.run([3, 4, 6])[1] == 1


def test_equal_tasks_share_a_block_whether_or_not_their_parts_are_one_object(tmp_path):
    text, array = "police", np.arange(3.0)
    for task in [(text, text, array, array), (text, "".join(list(text)), array, array.copy())]:
        run_blocks(identity, [task], store=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_changed_setting_is_computed_anew(tmp_path):
    def stored() -> int:
        return len(list(tmp_path.iterdir()))

    for settings, files in [
        (Settings(), 1),
        (Settings(), 1),
        (Settings(level=0.9), 2),
        (Settings(names=("shelter", "police")), 3),
    ]:
        run_blocks(level_of, [(settings, COUNTS)], store=tmp_path)
        assert stored() == files
    run_blocks(level_of, [(Settings(), COUNTS + (np.arange(16) == 15))], store=tmp_path)
    assert stored() == 4
    run_blocks(functools.partial(level_of, scale=2.0), [(Settings(), COUNTS)], store=tmp_path)
    assert stored() == 5


def level_of(task: tuple[Settings, np.ndarray], scale: float = 1.0) -> float:
    return task[0].level * scale


def test_a_changed_function_is_computed_anew(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    home, store = tmp_path / "changing_home.py", tmp_path / "store"
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import changing_home; "
        "from hiddenpop.parallel import run_blocks; "
        f"print(run_blocks(changing_home.scaled, [1, 2], store={str(store)!r}))"
    )
    home.write_text("def scaled(task):\n    return task * 10\n")
    assert run_python(program) == "[10, 20]"
    home.write_text("def scaled(task):\n    return task * 3.5\n")
    assert run_python(program) == "[3.5, 7.0]"


def test_another_version_of_a_package_computes_anew(counted, monkeypatch):
    counted.run([3, 4])
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.0.1")
    assert counted.run([3, 4])[1] == 2


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "swap", "zip"])
def test_a_damaged_file_is_computed_again(counted, damage: str):
    first, _ = counted.run([3, 4])
    path, other = counted.files()
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-40] ^= 1
    harmed = {
        "cut": content[: len(content) // 2],
        "flip": content,
        "empty": b"",
        "swap": other.read_bytes(),
        "zip": content[32:],
    }
    path.write_bytes(harmed[damage])
    for expected in (1, 0):
        again, computed = counted.run([3, 4])
        assert computed == expected
        assert same(again, first)


def test_a_flipped_byte_is_noticed_anywhere(tmp_path):
    [stored] = run_blocks(identity, [np.arange(3.0)], store=tmp_path)
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        [again] = run_blocks(identity, [np.arange(3.0)], store=tmp_path)
        assert again.tobytes() == stored.tobytes()
        assert path.read_bytes() == whole


def test_a_write_that_breaks_off_leaves_nothing_behind(counted, monkeypatch):
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(SettingError, match=r"cannot write .*No space left on device; choose a folder"):
            counted.run([3])
    assert counted.files() == []
    assert counted.run([3])[1] == 1


RESULTS = [
    None,
    True,
    -7,
    2**80,
    0.1,
    float("-inf"),
    "š — text",
    np.float64(0.1),
    np.int32(4),
    np.bool_(True),
    np.array(3.5),
    np.arange(6, dtype=np.uint64).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(10.0)[::3],
    np.array([]),
    np.array(["ab", "c"]),
    np.array([1.0, np.nan, np.inf]),
    (1, (2.0, "x"), ()),
    [1, [np.arange(2)], []],
    {"a": {"b": np.zeros(2)}, "array": 1, "record": None},
    Pair(1, np.ones(2)),
    Settings(0.5, ("a",)),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_a_stored_result_comes_back_as_it_was(result: Any, tmp_path):
    before = len(CALLS)
    for _ in range(2):
        [stored] = run_blocks(identity, [result], store=tmp_path)
    assert len(CALLS) == before + 1
    assert same(stored, result)


def same(left: Any, right: Any) -> bool:
    """Compare by type and bytes, inside containers too."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        layout = (left.dtype, left.shape, left.flags.fnc)
        return layout == (right.dtype, right.shape, right.flags.fnc) and left.tobytes() == right.tobytes()
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if dataclasses.is_dataclass(left):
        return all(same(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left))
    return left == right


@pytest.mark.parametrize(
    "result", [np.array([1j], dtype=object), b"bytes", 1j, np.ma.masked_array([1.0], [True]), Path()]
)
def test_a_result_that_cannot_be_stored_is_refused(result: Any, tmp_path):
    with pytest.raises(
        SettingError, match=r"result of a block holds .*, which cannot be stored; return arrays"
    ):
        run_blocks(identity, [(1, [result])], store=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_record_whose_fields_have_changed_is_computed_again(counted, monkeypatch):
    counted.run([3])
    monkeypatch.setattr(sys.modules[__name__], "Pair", NamedTuple("Pair", [("first", Any), ("second", Any)]))
    assert counted.run([3])[1] == 1


@pytest.mark.parametrize(
    "target", ["subprocess:Popen", "builtins:exec", "no_such_module:Pair", "pathlib:Path"]
)
def test_a_file_that_names_another_class_runs_nothing(target: str, tmp_path):
    run_blocks(identity, [Pair(1, 2)], store=tmp_path)
    [path] = tmp_path.iterdir()
    tree = json.dumps({"record": {"args": "true"}, "class": target.split(":")}).encode()
    buffer = io.BytesIO()
    np.savez(buffer, np.frombuffer(tree, dtype=np.uint8))
    path.write_bytes(hashlib.sha256(path.name.encode() + buffer.getvalue()).digest() + buffer.getvalue())
    assert run_blocks(identity, [Pair(1, 2)], store=tmp_path) == [Pair(1, 2)]


def test_a_file_that_names_a_class_not_there_yet_asks_no_module_for_it(monkeypatch, tmp_path):
    asked = []
    lazy = ModuleType("lazy")
    lazy.__getattr__ = lambda name: asked.append(name) or Pair
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    for path in (["lazy", "Pair"], [1, 2], ["lazy", None], ["lazy", "__getattr__.x"]):
        with pytest.raises((LookupError, TypeError)):
            _Reader({}).unpack({"record": {"left": 1, "right": 2}, "class": path})
    assert asked == []
    assert _Reader({}).unpack({"record": {"left": 1, "right": 2}, "class": [__name__, "Pair"]}) == Pair(1, 2)


@pytest.mark.parametrize("function", [lambda task: task, len, functools.partial(lambda task: task)])
def test_a_function_that_has_no_name_or_source_cannot_be_stored(function: Any, tmp_path):
    with pytest.raises(
        SettingError, match=r"blocks of .* cannot be stored: .*; give a function defined in a module"
    ):
        run_blocks(function, ["a"], store=tmp_path)
    assert run_blocks(function, ["a"]) == [function("a")]


def test_a_task_that_cannot_be_pickled_cannot_be_stored(tmp_path):
    with pytest.raises(
        SettingError, match=r"blocks of .*identity.* cannot be stored: .*tasks that can be pickled"
    ):
        run_blocks(identity, [lambda: None], store=tmp_path)


def test_a_file_in_place_of_the_folder_is_refused_before_anything_runs(counted):
    counted.store.parent.mkdir()
    counted.store.write_text("")
    with pytest.raises(
        SettingError, match=r"cannot use .* to store blocks: File exists; choose another folder"
    ):
        counted.run([3])
    assert list(counted.marks.iterdir()) == []


def test_stored_blocks_are_for_their_owner_only(counted):
    counted.run([3])
    assert counted.store.stat().st_mode & 0o077 == 0
    assert counted.files()[0].stat().st_mode & 0o077 == 0


def test_work_inside_a_block_is_not_stored_by_itself(tmp_path):
    with parallel(store=tmp_path):
        run_blocks(nested_lengths, [1, 2])
    assert len(list(tmp_path.iterdir())) == 2


def nested_lengths(task: int) -> list[int]:
    return run_blocks(len, ["a"] * task)


# --- interruption ---

N_SLOW = 80
INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background deaf to it
from tests import test_parallel_store as home
from hiddenpop.parallel import parallel, run_blocks
with parallel(workers=int(sys.argv[1]), store=sys.argv[2]):
    run_blocks(home.slow_sum, home.slow_tasks(sys.argv[3]))
"""


def slow_sum(task: tuple[str, np.random.Generator]) -> float:
    pids, rng = task
    (Path(pids) / str(os.getpid())).touch()
    time.sleep(0.02)
    return float(rng.random(10).sum())


def slow_tasks(pids: str) -> list[tuple[str, np.random.Generator]]:
    return [(pids, rng) for rng in spawn_seeds(1, N_SLOW)]


def test_workers_stop_when_a_result_cannot_be_kept(tmp_path, monkeypatch):
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    marks = tmp_path / "marks"
    marks.mkdir()
    monkeypatch.setattr(Path, "replace", full)
    with parallel(workers=2, store=tmp_path / "store"):
        with pytest.raises(SettingError, match=r"cannot write .*No space left on device") as caught:
            run_blocks(slow_mark, [(str(marks), n) for n in range(200)])
        begun = len(list(marks.iterdir()))
        time.sleep(0.3)
    assert (
        caught.value.__traceback__ is not None
    )  # it holds the generator of results: not collection ends the work
    assert len(list(marks.iterdir())) == begun < 200


def slow_mark(task: tuple[str, int]) -> None:
    marks, n = task
    (Path(marks) / str(n)).touch()
    time.sleep(0.02)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, f"waited 30 s in vain: {what}"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Tell whether a process is there, one that has ended but was not waited for excepted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def deaf_to_interruption() -> Iterator[None]:
    """Ignore SIGINT, as in the background of a shell and in some CI: what is started meanwhile ignores it too."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_stops_its_workers_and_resumes(workers: int, tmp_path):
    store, pids = tmp_path / "store", tmp_path / "pids"
    pids.mkdir()
    with deaf_to_interruption():
        run = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, str(workers), str(store), str(pids)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "1"},
            start_new_session=True,
        )
    wait_until(lambda: len(list(store.glob("*.block"))) >= 5, "no blocks were stored")
    wait_until(lambda: len(list(pids.iterdir())) == workers, "not every worker has begun")
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: the workers hear it too
    _, errors = run.communicate(timeout=30)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert run.returncode == -signal.SIGINT
    worked = [int(path.name) for path in pids.iterdir()]
    assert len(worked) == workers
    wait_until(lambda: not any(map(is_running, worked)), "workers are still there")
    assert list(store.glob("*.part")) == []
    kept = {path: path.stat().st_mtime_ns for path in store.glob("*.block")}
    assert 5 <= len(kept) < N_SLOW
    with parallel(workers=2, store=store):
        resumed = run_blocks(slow_sum, slow_tasks(str(pids)))
    assert resumed == [float(rng.random(10).sum()) for rng in spawn_seeds(1, N_SLOW)]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
