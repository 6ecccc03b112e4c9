"""A run that is killed at any moment goes on when it is started again, to the same bytes."""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runs.conftest import COUNTS, PLAN, PRIVATE

from hiddenpop import CaptureTable
from hiddenpop.errors import SettingError, TableError
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.runs import reproduce, run
from hiddenpop.runs.execute import core_versions

LONGEST = 240.0
SMALL_STEPS = PLAN.replace("n_boot = 200", "n_boot = 3000").replace("[12,3]", "[12,23]")


def start(plan: Path, *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "hiddenpop", "run", str(plan), *options]
    with plan.with_suffix(".err").open("wb") as errors:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)


def kill_when(process: "subprocess.Popen[bytes]", moment: Callable[[], bool]) -> bool:
    """Kill a process without warning at a moment; tell whether it was still running."""
    end = time.monotonic() + LONGEST
    while not moment() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    running = process.poll() is None
    process.kill()  # SIGKILL; nothing where it has ended
    process.wait()
    return running


def bytes_in(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def number_of(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.rglob(pattern))


def test_a_killed_run_goes_on_to_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    plan, folder = tmp_path / "public.toml", tmp_path / "public-run"
    plan.write_text(PLAN)
    process = start(plan, "--workers", "1")
    assert kill_when(process, lambda: number_of(folder, "*.step") > 0)
    assert json.loads((folder / "manifest.json").read_text())["status"] == "unfinished"
    with pytest.raises(SettingError, match="is unfinished"):
        reproduce(folder)
    core_versions.cache_clear()  # the other process has looked at the source later than this one
    run(plan)
    assert bytes_in(folder) == bytes_in(finished / "public-run")
    assert not (folder / ".work").exists()


@pytest.mark.usefixtures("without_figures")
def test_finished_steps_are_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plan.toml").write_text(PRIVATE)
    (tmp_path / "counts.csv").write_text(COUNTS)

    def stop(*args: object) -> None:
        raise TableError("stopped")

    module = importlib.import_module("hiddenpop.runs.run")
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_all", stop)
        with pytest.raises(TableError, match="stopped"):
            run(tmp_path / "plan.toml")

    fit = CovariateLogLinear.fit

    def watched(self: CovariateLogLinear, table: CaptureTable, **more: Any) -> Any:
        """Let the release work the estimate out for other counts; steps are about the table of the file."""
        if table.reading is not None or table.n_lists < 3:
            raise AssertionError("this step was done")
        return fit(self, table, **more)

    with monkeypatch.context() as patch:
        patch.setattr(CovariateLogLinear, "fit", watched)
        with pytest.raises(AssertionError, match="this step was done"):
            run(tmp_path / "plan.toml", tmp_path / "anew")
        done = run(tmp_path / "plan.toml")
    assert reproduce(done.folder).agrees


def test_a_run_killed_while_it_clears_up_is_finished(copied: Path) -> None:
    folder = copied / "public-run"
    (folder / ".work" / "cleared").mkdir(parents=True)
    (folder / ".work" / "cleared" / "x.step").write_text("")
    (folder / ".report.html.1.part").write_text("half")
    with pytest.raises(SettingError, match="holds a finished run"):
        run(copied / "public.toml")
    assert not (folder / ".work").exists()
    assert not number_of(folder, "*.part")
    assert reproduce(folder).agrees


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("pattern", "number"),
    [
        ("lock", 1),
        ("manifest.json", 1),
        ("*.step", 1),
        ("*.block", 1),
        ("*.block", 4),
        ("*.step", 2),
        ("*.step", 3),
        ("results.json", 1),
        ("draws.parquet", 1),
        ("overlap.png", 1),
        ("checks.png", 1),
    ],
)
def test_killed_at_any_moment(
    pattern: str, number: int, workers: str, uninterrupted: Path, tmp_path: Path
) -> None:
    plan, folder = tmp_path / "plan.toml", tmp_path / "plan-run"
    plan.write_text(SMALL_STEPS)
    process = start(plan, "--workers", workers)
    assert kill_when(process, lambda: number_of(folder, pattern) >= number)
    again = start(plan, "--workers", workers)
    assert (again.wait(LONGEST), plan.with_suffix(".err").read_text()) == (0, "")
    assert bytes_in(folder) == bytes_in(uninterrupted)


@pytest.mark.slow
def test_killed_again_and_again(uninterrupted: Path, tmp_path: Path) -> None:
    plan, folder = tmp_path / "plan.toml", tmp_path / "plan-run"
    plan.write_text(SMALL_STEPS)
    seconds, running = 2.0, True
    while running:
        end = time.monotonic() + seconds
        running = kill_when(start(plan, "--workers", "1"), lambda end=end: time.monotonic() > end)
        seconds *= 1.25
    assert json.loads((folder / "manifest.json").read_text())["status"] == "complete"
    assert bytes_in(folder) == bytes_in(uninterrupted)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / "plan.toml").write_text(SMALL_STEPS)
    return run(folder / "plan.toml", workers=1).folder
