"""Everything that the package writes, and the ways in which writing goes wrong."""

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hiddenpop import datasets
from hiddenpop._files import write_file, write_text
from hiddenpop.cli import main
from hiddenpop.cli.sensitivity import _write as write_checks
from hiddenpop.estimators.registry import build
from hiddenpop.parallel import parallel, run_blocks
from hiddenpop.plotting import save_figure
from hiddenpop.sensitivity.registry import build_check
from hiddenpop.sensitivity.standard_set import standard
from hiddenpop.synthetic.curated import write_scenario, write_world_set
from hiddenpop.validation import study

NOBODY = 65534
FRAME = pd.DataFrame({"a": np.arange(3000), "b": [f"text {i}" for i in range(3000)]})


@dataclass(frozen=True, slots=True)
class Writer:
    """Something that writes into a folder; a command says so by its exit code and not by an exception."""

    write: Callable[[Path], Any]
    files: tuple[str, ...]

    def __call__(self, folder: Path) -> int:
        """Write, and give the exit code of a command, 0 for anything else that does not raise."""
        given = self.write(folder)
        return given if isinstance(given, int) else 0


def draw(path: Path) -> None:
    figure = Figure()
    figure.add_subplot().plot([1, 2, 3])
    save_figure(figure, path)


def numbers(task: int) -> dict[str, Any]:
    return {"numbers": np.arange(task * 1000), "task": task}


def store_blocks(folder: Path) -> None:
    with parallel(store=folder):
        run_blocks(numbers, [1, 2, 3])


def run_study(folder: Path) -> None:
    study(["chapman"], ["independent-two"], n_rep=40, rng=1, out=folder, block_size=20)


def command(*words: str) -> Callable[[Path], int]:
    def call(folder: Path) -> int:
        return main([word.replace("OUT", str(folder)) for word in words])

    return call


@cache
def table() -> Any:
    return datasets.load("kosovo")


@cache
def checks() -> Any:
    """What `hiddenpop sensitivity --out` writes of, with two checks that are quick."""
    method = build("chao", {})
    return standard(
        table(), method, checks=[build_check("list_influence"), build_check("cell_influence")], rng=1
    )


WRITERS = {
    "csv": Writer(lambda folder: write_file(FRAME, folder / "x.csv"), ("x.csv",)),
    "parquet": Writer(lambda folder: write_file(FRAME, folder / "x.parquet"), ("x.parquet",)),
    "text": Writer(lambda folder: write_text("line\n" * 3000, folder / "x.md"), ("x.md",)),
    "png": Writer(lambda folder: draw(folder / "x.png"), ("x.png",)),
    "svg": Writer(lambda folder: draw(folder / "x.svg"), ("x.svg",)),
    "pdf": Writer(lambda folder: draw(folder / "x.pdf"), ("x.pdf",)),
    "table": Writer(lambda folder: table().write(folder / "t.csv"), ("t.csv",)),
    "scenario": Writer(
        lambda folder: write_scenario(folder, "like-kosovo", seed=1), ("like-kosovo.csv", "like-kosovo.toml")
    ),
    "world": Writer(
        lambda folder: write_world_set(folder, seed=1, size=300),
        (
            "registrations.parquet",
            "measures.parquet",
            "cases.parquet",
            "truth/persons.parquet",
            "truth/victims.parquet",
            "truth/links.parquet",
            "truth/totals.csv",
            "truth/coverage.csv",
            "world.toml",
        ),
    ),
    "blocks": Writer(store_blocks, ()),
    "study": Writer(run_study, ("manifest.json",)),
    "estimate": Writer(
        command("estimate", "kosovo", "--estimator", "decomposable", "--seed", "1", "--plot", "OUT/x.png",
                "--draws", "OUT/x.parquet"),
        ("x.png", "x.parquet"),
    ),
    "sensitivity": Writer(
        lambda folder: write_checks(checks(), folder, show_small_counts=False),
        ("page.png", "results.json", "table.csv"),
    ),
    "describe": Writer(command("describe", "kosovo", "--plot", "OUT/x.svg"), ("x.svg",)),
    "simulate": Writer(
        command("simulate", "like-kosovo", "--seed", "1", "--out", "OUT"), ("like-kosovo.csv", "like-kosovo.toml")
    ),
}  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, hidden ones too; run times differ from run to run and are left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "times" not in path.parts
    }


# --- faults ---


@contextlib.contextmanager
def files_no_larger_than(limit: int) -> Iterator[None]:
    """Let every write beyond some bytes fail, in Python and in compiled code alike."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@contextlib.contextmanager
def folder_that_cannot_be_written(folder: Path) -> Iterator[None]:
    """Take the right to write away, also from the administrator."""
    folder.chmod(0o555)
    administrator = os.geteuid() == 0
    if administrator:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if administrator:
            os.seteuid(0)
        folder.chmod(0o755)


def killed(write: Callable[[], Any], spoil: Callable[[], None]) -> int:
    """Run a writer in a process of its own, which `spoil` prepares to die; give the signal that ended it."""
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        with contextlib.suppress(BaseException):
            spoil()
            write()
        os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])
