"""Compiled kernels in blocks: the same bytes inline, in processes and on a Dask cluster that loses a worker."""

import dataclasses
import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from dask.distributed import Client, LocalCluster
from joblib.externals.loky import get_reusable_executor

import hiddenpop as hp
from hiddenpop.errors import ModelError
from hiddenpop.kernels.search.best_models import ResampledBest, best_of_each
from hiddenpop.parallel import block_slices, parallel, run_blocks, spawn_seeds

KOSOVO = hp.datasets.load("kosovo").to_dense().astype(float)
N_BLOCKS = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Draws:
    """Some resamples of a table, and a generator to draw more."""

    tables: np.ndarray
    rng: np.random.Generator


def choose(task: Draws) -> tuple[ResampledBest, np.ndarray]:
    """Choose the best model of each table, and of as many again that are drawn here."""
    drawn = task.rng.multinomial(int(KOSOVO.sum()), KOSOVO / KOSOVO.sum(), size=len(task.tables))
    return best_of_each(task.tables, 4), best_of_each(drawn.astype(float), 4).n0


def choose_without_drawing(tables: np.ndarray) -> tuple[ResampledBest, np.ndarray]:
    """Choose the best model of each table: a task that is a bare array."""
    return best_of_each(tables, 4), tables


def slowly(task: Any, function: Callable[[Any], Any], marks: Path) -> Any:
    """Take some time, and leave a mark with the process's number at the start and at the end."""
    mark = marks / f"{os.getpid()}-{time.monotonic_ns()}"
    mark.with_suffix(".begun").touch()
    time.sleep(0.3)
    result = function(task)
    mark.with_suffix(".ended").touch()
    return result


def draws() -> list[Draws]:
    tables = np.random.default_rng(3).multinomial(
        int(KOSOVO.sum()), KOSOVO / KOSOVO.sum(), size=10 * N_BLOCKS
    )
    parts = block_slices(len(tables), 10)
    return [
        Draws(tables[part].astype(float), rng)
        for part, rng in zip(parts, spawn_seeds(7, len(parts)), strict=True)
    ]


def scaled_dark_figures(task: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return best_of_each(task * scale, 4).n0


def as_bytes(results: list[tuple[ResampledBest, np.ndarray]]) -> list[bytes]:
    return [
        array.tobytes()
        for chosen, dark in results
        for array in (*(getattr(chosen, field.name) for field in dataclasses.fields(chosen)), dark)
    ]


@pytest.fixture(scope="module")
def expected() -> list[bytes]:
    """What a plain loop gives."""
    return as_bytes([choose(task) for task in draws()])


@pytest.fixture(scope="module", autouse=True)
def workers_end_with_the_module() -> Iterator[None]:
    """Let no idle worker outlive these tests."""
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Client]:
    """Start a scheduler and two worker processes that nobody outside this machine can reach."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as local,
        Client(local) as client,
    ):
        yield client


def begun(marks: Path) -> set[str]:
    return {path.stem for path in marks.glob("*.begun")}


def ended(marks: Path) -> set[str]:
    return {path.stem for path in marks.glob("*.ended")}


def kill_a_busy_worker(marks: Path, killed: list[int]) -> None:
    """Once a third of the blocks are done, kill a process in the middle of a block."""
    while len(ended(marks)) < N_BLOCKS // 3 or not (busy := begun(marks) - ended(marks)):
        time.sleep(0.01)
    killed.append(int(busy.pop().split("-")[0]))
    os.kill(killed[0], signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_kernels_give_the_same_bytes_on_any_number_of_workers(workers: int, expected: list[bytes]):
    with parallel(workers=workers):
        assert as_bytes(run_blocks(choose, draws())) == expected


def test_bound_arrays_reach_the_kernel_in_another_process():
    tables = [task.tables for task in draws()[:3]]
    function = functools.partial(scaled_dark_figures, scale=np.r_[np.ones(8), np.full(8, 2.0)])
    inline = run_blocks(function, tables)
    with parallel(workers=2):
        spread = run_blocks(function, tables)
    assert [dark.tobytes() for dark in spread] == [dark.tobytes() for dark in inline]
    assert inline[0].tobytes() != best_of_each(tables[0], 4).n0.tobytes()


def test_stored_results_of_kernels_are_the_same_bytes(tmp_path: Path, expected: list[bytes]):
    for _ in range(2):
        assert as_bytes(run_blocks(choose, draws(), store=tmp_path)) == expected
    assert len(list(tmp_path.iterdir())) == N_BLOCKS


def test_a_cluster_gives_the_same_bytes_from_its_own_processes(
    cluster: Client, expected: list[bytes], tmp_path: Path
):
    with joblib.parallel_config("dask"), parallel(progress=True):
        results = run_blocks(functools.partial(slowly, function=choose, marks=tmp_path), draws()[:4])
    assert as_bytes(results) == expected[: len(expected) // 3]
    processes = {int(stem.split("-")[0]) for stem in ended(tmp_path)}
    assert processes == set(cluster.run(os.getpid).values())


def fail_with_two(task: int) -> int:
    if task == 2:
        raise ModelError("model 2 has no main effects")
    return task


def test_an_error_on_a_cluster_names_its_block(cluster: Client):
    with (
        joblib.parallel_config("dask"),
        pytest.raises(ModelError, match="model 2 has no main effects") as caught,
    ):
        run_blocks(fail_with_two, range(4), label="bootstrap")
    assert caught.value.__notes__ == ["in block 3 of 4 (bootstrap)"]


def test_one_worker_stays_here_though_a_cluster_is_set(
    cluster: Client, expected: list[bytes], tmp_path: Path
):
    with joblib.parallel_config("dask"), parallel(workers=1):
        results = run_blocks(functools.partial(slowly, function=choose, marks=tmp_path), draws()[:2])
    assert as_bytes(results) == expected[: len(expected) // 6]
    assert {stem.split("-")[0] for stem in ended(tmp_path)} == {str(os.getpid())}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "tasks"),
    [(choose, draws()), (choose_without_drawing, [task.tables for task in draws()])],
    ids=["records", "arrays"],
)
def test_a_killed_worker_costs_time_and_not_results(
    function: Callable[[Any], Any], tasks: list[Any], cluster: Client, tmp_path: Path
):
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_busy_worker, args=(tmp_path, killed), daemon=True)
    with joblib.parallel_config("dask"):
        killer.start()
        results = run_blocks(functools.partial(slowly, function=function, marks=tmp_path), tasks)
    killer.join(timeout=10)
    assert as_bytes(results) == as_bytes(run_blocks(function, tasks))
    lost = begun(tmp_path) - ended(tmp_path)
    assert [int(stem.split("-")[0]) for stem in lost] == killed
    assert len(begun(tmp_path)) > N_BLOCKS
