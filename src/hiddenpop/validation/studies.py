"""Simulation studies: estimators on tables from worlds whose size is known."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError, TableError
from hiddenpop.parallel import parallel, run_blocks
from hiddenpop.synthetic import Scenario
from hiddenpop.table import RNGLike
from hiddenpop.validation.blocks import BlockTask, block_frame, run_block, write_block
from hiddenpop.validation.plan import BLOCK, Cell, Contestants, Plan, make_plan
from hiddenpop.validation.record import Study
from hiddenpop.validation.store import BLOCKS, open_folder, read_block, read_manifest, write_manifest

__all__ = ["read_study", "rerun_block", "study"]


@front_door
def study(
    estimators: Contestants,
    scenarios: Sequence[str | Scenario],
    *,
    n_rep: int,
    rng: RNGLike,
    workers: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    block_size: int = BLOCK,
) -> Study:
    """Fit estimators to tables drawn from worlds whose size is known, and note what they give.

    Parameters
    ----------
    estimators : mapping or sequence
        Registered names or estimators; the keys of a mapping are the labels. In a mapping a function of a scenario
        may stand for the estimator to use in it; it raises a `CapabilityError` where there is none.
    scenarios : sequence of Scenario or str
        Or names from the library.
    n_rep : int
        Tables drawn from each scenario.
    rng : int, Generator or None
        A number makes the study repeatable, and lets an interrupted one go on.
    workers : int, optional
        As for `hiddenpop.parallel`. A cluster set by ``joblib.parallel_config("dask")`` serves as well.
    out : path, optional
        Folder that keeps finished blocks and a manifest. A study with the same settings goes on from
        there; blocks of other settings, seeds, versions or code have other names and are never mixed in.
    progress : bool, optional
        Show a bar with the time left.
    block_size : int
        Replicates that are computed, kept and lost together.

    Returns
    -------
    Study

    Raises
    ------
    SettingError, UnknownNameError
        For a setting, name or label that cannot be, before anything is drawn.
    Exception
        Whatever an estimator raises but a `CapabilityError`, with a note that names scenario, estimator and replicate.

    Notes
    -----
    The random numbers of a replicate follow from the seed, the scenario's name and the replicate's number; those of a
    fit also from the label. So all estimators see the same tables, an estimator or a scenario more changes nothing in
    the results of the others, more replicates begin with the ones there were, and any block can be run alone
    (`rerun_block`). The files are the same, byte for byte, on any number of workers; run times lie in files of their
    own.

    An estimator that cannot treat a table, because lists do not operate everywhere, say, is noted as
    ``"not_applicable"`` with its reason, and is not a failure. Warnings of the package are counted and not shown.

    References
    ----------
    Morris, T. P., White, I. R. and Crowther, M. J. (2019). Using simulation studies to evaluate statistical methods.
    Statistics in Medicine 38(11), 2074-2102. doi:10.1002/sim.8086

    Examples
    --------
    >>> study(["chapman"], ["independent-two"], n_rep=5, rng=1)
    <Study: 1 estimators in 1 scenarios, 5 fits>
    """
    plan = make_plan(estimators, scenarios, n_rep=n_rep, rng=rng, block_size=block_size)
    with parallel(workers=workers, progress=progress):
        return _run(plan, out)


def _run(plan: Plan, out: str | os.PathLike[str] | None) -> Study:
    cells = list(plan.cells())
    frames: dict[Cell, pd.DataFrame] = {}
    folder = None if out is None else open_folder(out)
    if out is not None and folder is not None:
        write_manifest(out, plan.manifest())
        found = {cell: read_block(folder, cell.file, cell.stop - cell.start) for cell in cells}
        frames = {cell: frame for cell, frame in found.items() if frame is not None}
    tasks = _tasks(plan, [cell for cell in cells if cell not in frames], folder)
    for task, results in zip(tasks, run_blocks(run_block, tasks, label="study"), strict=True):
        for cell in task.cells:
            frames[cell] = block_frame(cell, task.scenario.truth, results[cell.label])
            # A worker elsewhere had no such folder.
            if folder is not None and not (folder / cell.file).exists():
                write_block(folder, cell, task.scenario.truth, results[cell.label])
    return Study.from_frames([frames[cell] for cell in cells], plan.manifest())


def _tasks(plan: Plan, missing: list[Cell], folder: Path | None) -> list[BlockTask]:
    """Put the missing estimators of a block together, so that each of its tables is drawn once."""
    worlds = {scenario.name: scenario for scenario in plan.scenarios}
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in missing:
        groups.setdefault((cell.scenario, cell.start), []).append(cell)
    return [
        BlockTask(scenario=worlds[name], cells=tuple(group), root=plan.root, folder=folder)
        for (name, _), group in groups.items()
    ]


@front_door
def rerun_block(
    estimators: Contestants,
    scenario: str | Scenario,
    block: int,
    *,
    n_rep: int,
    rng: RNGLike,
    block_size: int = BLOCK,
) -> pd.DataFrame:
    """Run one block of a study alone, to look into what it gave.

    Parameters
    ----------
    estimators : mapping or sequence
        Those of the study, or some of them under the same labels.
    scenario : Scenario or str
    block : int
        Counted from 0: replicates ``block * block_size`` and on.
    n_rep : int
        Replicates of the whole study.
    rng : int, Generator or None
        That of the study.
    block_size : int
        That of the study.

    Returns
    -------
    DataFrame
        The same rows as in ``Study.replicates``, to the last bit.

    Raises
    ------
    SettingError
        If the study has no such block.
    """
    plan = make_plan(estimators, [scenario], n_rep=n_rep, rng=rng, block_size=block_size)
    cells = [cell for cell in plan.cells() if cell.start == block * block_size]
    if not cells:
        raise SettingError(
            f"block={block!r} is not there: {n_rep} replicates in blocks of {block_size} have blocks 0 to "
            f"{(n_rep - 1) // block_size}"
        )
    (task,) = _tasks(plan, cells, None)
    results = run_block(task)
    frames = [block_frame(cell, task.scenario.truth, results[cell.label]) for cell in cells]
    return Study.from_frames(frames, plan.manifest()).replicates


@front_door
def read_study(folder: str | os.PathLike[str]) -> Study:
    """Read a finished study from the folder it was written to.

    Parameters
    ----------
    folder : path
        What was given to `study` as `out`.

    Returns
    -------
    Study

    Raises
    ------
    TableError
        If there is no study, or it was interrupted.
    """
    manifest = read_manifest(folder)
    sizes = _rows_of_blocks(manifest["n_rep"], manifest["block_size"])
    files = manifest["blocks"]
    frames = [
        read_block(Path(folder) / BLOCKS, file, sizes[number % len(sizes)])
        for number, file in enumerate(files)
    ]
    there = [frame for frame in frames if frame is not None]
    if len(there) < len(files):
        raise TableError(
            f"the study in {folder} is not finished: {len(there)} of its {len(files)} blocks are there; "
            f"run it again with the same settings to go on"
        )
    return Study.from_frames(there, manifest)


def _rows_of_blocks(n_rep: int, block_size: int) -> list[int]:
    return [min(block_size, n_rep - start) for start in range(0, n_rep, block_size)]
