"""One block of a study: draw tables, fit every estimator to each, note what came out."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hiddenpop.errors import CapabilityError, HiddenpopWarning
from hiddenpop.estimators.base import contract
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.result import Estimate
from hiddenpop.store import write_finished
from hiddenpop.synthetic import Scenario
from hiddenpop.table import CaptureTable
from hiddenpop.validation.measures import NOT_APPLICABLE
from hiddenpop.validation.plan import Cell
from hiddenpop.validation.seeds import Words, fit_rng, table_rng

__all__ = ["TIMES", "BlockTask", "Replicate", "block_frame", "run_block", "write_block"]

TIMES = "times"
"""Folder of run times, which differ from run to run and so stay out of the files that do not."""

WITHOUT_INTERVAL = ("not_identified", "not_converged")


class Replicate(NamedTuple):
    """What one estimator gave on one table."""

    n_hat: float
    low: float
    high: float
    level: float
    status: str
    reason: str
    has_interval: bool
    n_observed: int
    n_failed: int
    n_warnings: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTask:
    """Everything one block needs.

    Attributes
    ----------
    scenario : Scenario
    cells : tuple of Cell
        The estimators, all for the same replicates.
    root : tuple of int
    folder : Path or None
        Where files go as soon as the block is done.
    """

    scenario: Scenario
    cells: tuple[Cell, ...]
    root: Words
    folder: Path | None = None


def run_block(task: BlockTask) -> dict[str, list[Replicate]]:
    """Run one block and write its files, where this process can reach the folder.

    Parameters
    ----------
    task : BlockTask

    Returns
    -------
    dict of str to list of Replicate
        By label.

    Raises
    ------
    Exception
        Whatever an estimator raises but a `CapabilityError`, with a note that names scenario, estimator and replicate.
    """
    results: dict[str, list[Replicate]] = {cell.label: [] for cell in task.cells}
    for number in range(task.cells[0].start, task.cells[0].stop):
        table = _draw(task, number)
        for cell in task.cells:
            results[cell.label].append(_fit(task, cell, table, number))
    if task.folder is not None and task.folder.is_dir():
        for cell in task.cells:
            write_block(task.folder, cell, task.scenario.truth, results[cell.label])
    return results


def _draw(task: BlockTask, number: int) -> CaptureTable:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HiddenpopWarning)
            return task.scenario.draw(rng=table_rng(task.root, task.scenario.name, number))
    except Exception as error:
        error.add_note(_place(task, number, "no estimator, while the table was drawn"))
        raise


def _fit(task: BlockTask, cell: Cell, table: CaptureTable, number: int) -> Replicate:
    if cell.estimator is None:
        return _not_applicable(table, cell.reason, 0, 0.0)
    rng = fit_rng(task.root, cell.scenario, number, cell.label) if _needs_draws(cell.estimator) else None
    started = time.perf_counter()
    reason, estimate = "", None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", HiddenpopWarning)
            estimate = cell.estimator.fit(table, rng=rng)
    except CapabilityError as error:
        reason = str(error)
    except Exception as error:
        error.add_note(_place(task, number, cell.label))
        raise
    seconds = time.perf_counter() - started
    n_warnings = _count_and_pass_on(caught)
    if estimate is None:
        return _not_applicable(table, reason, n_warnings, seconds)
    return _replicate(estimate, n_warnings, seconds)


def _needs_draws(estimator: Estimator) -> bool:
    """Tell whether number and interval need random numbers: else they only bootstrap a goodness of fit, at length."""
    return contract(estimator).facts.needs_draws


def _place(task: BlockTask, number: int, label: str) -> str:
    first = task.cells[0]
    return (
        f"in scenario {task.scenario.name!r}, estimator {label!r}, replicate {number} of the block from {first.start} "
        f"to {first.stop - 1}, entropy {list(task.root)}"
    )


def _count_and_pass_on(caught: Sequence[warnings.WarningMessage]) -> int:
    """Count warnings of the package, and issue those of others again."""
    ours = 0
    for entry in caught:
        if issubclass(entry.category, HiddenpopWarning):
            ours += 1
        else:
            warnings.warn_explicit(entry.message, entry.category, entry.filename, entry.lineno)
    return ours


def _not_applicable(table: CaptureTable, reason: str, n_warnings: int, seconds: float) -> Replicate:
    nan = float("nan")
    return Replicate(
        nan, nan, nan, nan, NOT_APPLICABLE, reason, False, int(table.n_observed), 0, n_warnings, seconds
    )


def _replicate(estimate: Estimate, n_warnings: int, seconds: float) -> Replicate:
    limits = estimate.interval
    return Replicate(
        n_hat=float(estimate.n_hat),
        low=float(limits.low),
        high=float(limits.high),
        level=float(limits.level),
        status=estimate.status,
        reason=estimate.reason,
        has_interval=estimate.status not in WITHOUT_INTERVAL and not limits.method.startswith("none"),
        n_observed=int(estimate.n_observed),
        n_failed=int(estimate.n_failed),
        n_warnings=n_warnings,
        seconds=seconds,
    )


def block_frame(cell: Cell, truth: float, rows: Sequence[Replicate]) -> pd.DataFrame:
    """Give the rows of a block as a tidy frame, one a replicate, run times in the last column."""
    frame = pd.DataFrame(rows, columns=list(Replicate._fields))
    frame.insert(0, "truth", int(truth))
    frame.insert(0, "replicate", np.arange(cell.start, cell.stop, dtype=np.int64))
    frame.insert(0, "estimator", cell.label)
    frame.insert(0, "scenario", cell.scenario)
    return frame


def write_block(folder: Path, cell: Cell, truth: float, rows: Sequence[Replicate]) -> None:
    """Write the files of a block, the one with results last, so that a block with it is whole."""
    frame = block_frame(cell, truth, rows)
    write_finished(folder / TIMES / cell.file, frame["seconds"].to_numpy(), private=False)
    write_finished(folder / cell.file, frame.drop(columns="seconds"), private=False)
