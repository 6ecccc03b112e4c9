"""Blocks of work: the same bytes on any number of workers, progress bars, and resuming from a folder."""

import contextlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

import hiddenpop
from hiddenpop.errors import ModelError, SettingError
from hiddenpop.parallel import _time_left, block_slices, parallel, run_blocks, spawn_seeds

ROOT = Path(__file__).parents[1]


def sums(task: tuple[int, np.random.Generator]) -> float:
    n, rng = task
    return float(rng.random(n).sum())


def process_id(task: object) -> int:
    return os.getpid()


def refuse_two(task: int) -> int:
    if task == 2:
        raise ModelError("model 2 has no main effects")
    return task


def spoil(task: np.ndarray) -> tuple[str, float]:
    task += 1.0
    return type(task).__name__, float(task.sum())


def nested_processes(task: int) -> list[int]:
    with parallel(workers=2, progress=True):
        return run_blocks(process_id, range(3))


@pytest.fixture(scope="module", autouse=True)
def workers_end_with_the_module():
    """Let no idle worker outlive these tests."""
    yield
    get_reusable_executor().shutdown(wait=True)


# --- results ---


def test_results_come_in_the_order_of_the_tasks():
    assert run_blocks(len, ["abc", "", "ab"]) == [3, 0, 2]


def test_results_come_in_order_even_when_the_first_block_ends_last():
    with parallel(workers=2):
        assert run_blocks(wait_and_return, [0.6, 0.0, 0.1, 0.0]) == [0.6, 0.0, 0.1, 0.0]


def wait_and_return(task: float) -> float:
    time.sleep(task)
    return task


def test_no_tasks_give_no_results():
    with parallel(workers=2, progress=True):
        assert run_blocks(len, []) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_generator_shared_by_tasks_gives_each_the_same_numbers(workers: int):
    shared = np.random.default_rng(3)
    with parallel(workers=workers):
        first, second = run_blocks(sums, [(5, shared), (5, shared)])
    assert first == second == sums((5, np.random.default_rng(3)))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_block_that_changes_its_task_changes_a_copy(workers: int):
    task = np.zeros(200_000)  # larger than what joblib would send as a read-only memory map
    with parallel(workers=workers):
        assert run_blocks(spoil, [task, task]) == [("ndarray", 200_000.0)] * 2
    assert not task.any()


# --- where blocks run ---


def test_blocks_run_in_this_process_unless_told_otherwise():
    assert set(run_blocks(process_id, range(4))) == {os.getpid()}


def test_workers_are_other_processes():
    with parallel(workers=2):
        assert os.getpid() not in run_blocks(process_id, range(4))
    assert set(run_blocks(process_id, range(4))) == {os.getpid()}


def test_every_core_can_be_asked_for():
    with parallel(workers=-1):
        assert joblib.Parallel().n_jobs == -1
    assert joblib.Parallel().n_jobs == 1


def test_joblibs_own_configuration_is_used_and_kept():
    with joblib.parallel_config("loky", n_jobs=2), parallel(progress=True):
        assert os.getpid() not in run_blocks(process_id, range(4))


def test_one_worker_overrides_joblibs_own_configuration():
    with joblib.parallel_config("loky", n_jobs=2), parallel(workers=1):
        assert set(run_blocks(process_id, range(4))) == {os.getpid()}


def test_contexts_nest_and_end():
    with parallel(workers=2):
        with parallel(progress=False), parallel(workers=1):
            assert set(run_blocks(process_id, range(4))) == {os.getpid()}
        assert os.getpid() not in run_blocks(process_id, range(4))


def test_a_context_ends_when_its_body_fails():
    with pytest.raises(ModelError, match="no main effects"), parallel(workers=2, progress=True):
        refuse_two(2)
    with terminal() as screen:
        assert set(run_blocks(process_id, range(4))) == {os.getpid()}
    assert screen.text == ""


@pytest.mark.parametrize("workers", [1, 2])
def test_work_inside_a_block_is_not_divided_again(workers: int):
    with parallel(workers=workers):
        for processes in run_blocks(nested_processes, range(2)):
            assert len(set(processes)) == 1


@pytest.mark.parametrize("workers", [0, -2, 1.5, "2", True])
def test_a_number_of_workers_that_cannot_be_is_refused(workers: Any):
    with (
        pytest.raises(SettingError, match=rf"workers is {workers!r}; give a number .* or -1 for every core"),
        parallel(workers=workers),
    ):
        pass


def test_a_number_of_workers_may_come_from_numpy():
    with parallel(workers=np.int64(1)):
        assert run_blocks(len, ["ab"]) == [2]


def test_importing_the_module_imports_neither_joblib_nor_numba():
    program = (
        "import sys; from hiddenpop.parallel import parallel; "
        "print([name for name in ('joblib', 'numba') if name in sys.modules])"
    )
    assert run_python(program).stdout.strip() == "[]"


def test_inline_work_does_not_import_joblib():
    program = (
        "import sys; from hiddenpop.parallel import run_blocks; "
        "print(run_blocks(len, ['a']), 'joblib' in sys.modules)"
    )
    assert run_python(program).stdout.strip() == "[1] False"


def test_the_verb_is_public_and_stands_before_its_module():
    assert hiddenpop.parallel is parallel


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


# --- blocks and seeds ---


def test_blocks_cover_everything_once():
    for n, size in [(0, 3), (1, 3), (3, 3), (10, 3), (10, 1)]:
        parts = block_slices(n, size)
        assert [i for part in parts for i in range(n)[part]] == list(range(n))
        assert all(part.stop - part.start == size for part in parts[:-1])


@pytest.mark.parametrize(("n", "size"), [(-1, 3), (5, 0), (5, -2)])
def test_blocks_of_no_size_are_refused(n: int, size: int):
    with pytest.raises(SettingError, match=f"cannot cut {n} items into blocks of {size}"):
        block_slices(n, size)


def test_seeds_follow_from_the_rng_and_differ_between_blocks():
    first, again = ([child.random() for child in spawn_seeds(11, 4)] for _ in range(2))
    assert first == again
    assert len(set(first)) == 4
    assert first != [child.random() for child in spawn_seeds(12, 4)]


def test_a_generator_spawns_new_seeds_each_time():
    rng = np.random.default_rng(11)
    first, second = spawn_seeds(rng, 2), spawn_seeds(rng, 2)
    assert [child.random() for child in first] == [child.random() for child in spawn_seeds(11, 2)]
    assert len({child.random() for child in first + second}) == 4


# --- failures ---


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_keeps_its_type_and_names_its_block(workers: int):
    with parallel(workers=workers), pytest.raises(ModelError, match="no main effects") as caught:
        run_blocks(refuse_two, range(4), label="bootstrap")
    assert caught.value.__notes__ == ["in block 3 of 4 (bootstrap)"]


def test_work_goes_on_after_an_error_in_a_worker():
    with parallel(workers=2):
        with pytest.raises(ModelError, match="no main effects"):
            run_blocks(refuse_two, range(4))
        assert run_blocks(refuse_two, [3, 4, 5]) == [3, 4, 5]


# --- progress ---


class Screen:
    """A stream that may be a terminal."""

    def __init__(self, isatty: bool):
        self.text = ""
        self._isatty = isatty

    def isatty(self) -> bool:
        return self._isatty

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


@contextlib.contextmanager
def terminal(columns: int = 80) -> Iterator[Screen]:
    """Show a terminal to the code inside (a fixture could not: pytest sets its own stderr before each test)."""
    screen = Screen(isatty=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(sys, "stderr", screen)
        yield screen


@pytest.mark.parametrize("workers", [1, 2])
def test_a_terminal_shows_a_bar_that_fills(workers: int):
    with terminal() as screen, parallel(workers=workers, progress=True):
        run_blocks(len, ["a", "b", "c", "d"], label="bootstrap")
    states = [line.strip() for line in screen.text.split("\r")[1:]]
    assert states[0] == "bootstrap [....................] 0/4"
    assert states[2].startswith("bootstrap [##########..........] 2/4, about 0 s left")
    assert states[4] == "bootstrap [####################] 4/4"
    assert len(states) == 5
    assert screen.text.endswith("\n")


def test_stored_blocks_count_as_done_but_not_for_the_time_left(tmp_path):
    with terminal() as screen, parallel(progress=True, store=tmp_path):
        run_blocks(size_of, ["a", "b"])
        screen.text = ""
        run_blocks(size_of, ["a", "b", "c", "d"])
    states = [line.strip() for line in screen.text.split("\r")[1:]]
    assert states[0] == "working [##########..........] 2/4"
    assert states[1].startswith("working [###############.....] 3/4, about ")
    assert len(states) == 3


def size_of(task: str) -> int:
    return len(task)


def test_a_bar_never_wraps_a_narrow_terminal():
    with terminal(columns=30) as screen, parallel(progress=True):
        run_blocks(len, ["a", "b"], label="a label that is longer than the terminal is wide")
    assert {len(line) for line in screen.text.rstrip("\n").split("\r")[1:]} == {29}


def test_the_line_is_ended_when_a_block_fails():
    with terminal() as screen, parallel(progress=True), pytest.raises(ModelError, match="no main effects"):
        run_blocks(refuse_two, range(4))
    assert "working [##########..........] 2/4" in screen.text
    assert screen.text.endswith("\n")


def test_work_inside_a_block_shows_no_bar_of_its_own():
    with terminal() as screen, parallel(progress=True):
        run_blocks(nested_processes, range(2))
    assert "/2" in screen.text
    assert "/3" not in screen.text


def test_a_bar_is_silent_unless_asked_for():
    with terminal() as screen:
        run_blocks(len, ["a", "b"])
        with parallel(workers=1):
            run_blocks(len, ["a", "b"])
        with parallel(progress=True), parallel(progress=False):
            run_blocks(len, ["a", "b"])
    assert screen.text == ""


@pytest.mark.parametrize("stream", [Screen(isatty=False), None])
def test_a_bar_is_silent_where_nobody_looks(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    with parallel(progress=True):
        assert run_blocks(len, ["a", "b"]) == [1, 1]
    assert stream is None or stream.text == ""


def test_a_notebook_shows_a_plain_line_every_tenth(monkeypatch):
    cell = type("OutStream", (Screen,), {"__module__": "ipykernel.iostream"})(isatty=False)
    monkeypatch.setattr(sys, "stderr", cell)
    with parallel(progress=True):
        run_blocks(len, ["a"] * 40, label="bootstrap")
    lines = cell.text.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"bootstrap: {n}/40" for n in range(0, 41, 4)]
    assert "\r" not in cell.text


@pytest.mark.parametrize(
    ("elapsed", "computed", "left", "text"),
    [
        (10.0, 0, 5, ""),
        (10.0, 5, 0, ""),
        (10.0, 5, 6, ", about 12 s left"),
        (10.0, 1, 18, ", about 3 min left"),
        (60.0, 1, 150, ", about 2.5 h left"),
    ],
)
def test_time_left_follows_from_the_blocks_computed(elapsed, computed, left, text):
    assert _time_left(elapsed, computed, left) == text


def replaced(_: int) -> int:
    """Say what joblib says when it puts a new worker in the place of one that has grown."""
    warnings.warn("A worker stopped while some jobs were given to the executor.", UserWarning, stacklevel=1)
    return 1


def test_a_worker_that_is_replaced_is_no_fault_where_warnings_are_errors() -> None:
    with pytest.raises(UserWarning, match="A worker stopped"):
        replaced(0)
    assert run_blocks(replaced, [1, 2]) == [1, 1]
