"""Blocks of work on several cores or a cluster: the same results on any number of workers, progress, and resume."""

import contextlib
import copy
import functools
import hashlib
import inspect
import io
import itertools
import operator
import os
import pickle
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hiddenpop._screen import draw_bar, end_bar, in_notebook
from hiddenpop._text import visible
from hiddenpop.errors import SettingError
from hiddenpop.store import read_finished, write_finished

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "block_slices",
    "parallel",
    "progress_bar",
    "run_blocks",
    "signed_blocks",
    "spawn_seeds",
    "threads",
]

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

# A block computed under another version may differ in its last bits, so it is not mixed with new ones.
_VERSIONS_IN_KEY = ("hiddenpop", "numpy", "scipy", "numba")


@dataclass(frozen=True, slots=True)
class _Setup:
    """What `parallel` set for the code inside it; the workers stand in joblib's own configuration."""

    progress: bool = False
    store: Path | None = None
    key: bytes = b""
    inside_block: bool = False


_NOTHING_SET = _Setup()
_SETUP: ContextVar[_Setup] = ContextVar("hiddenpop_parallel", default=_NOTHING_SET)


@dataclass(frozen=True, slots=True)
class _Block:
    """One task with its number.

    Wrapped like this a task travels with its call. Bare arrays joblib scatters over a Dask cluster: they lie on one
    worker, and are lost with it.
    """

    number: int
    total: int
    label: str
    function: Callable[[Any], Any]
    task: Any


@contextlib.contextmanager
def parallel(
    workers: int | None = None,
    progress: bool | None = None,
    store: str | os.PathLike[str] | None = None,
) -> Iterator[None]:
    """Set workers, progress bars and a folder to resume from, for every long computation inside the context.

    Parameters
    ----------
    workers : int, optional
        Processes to use, or -1 for every core. By default whatever holds outside: the configuration of joblib, for
        instance ``joblib.parallel_config("dask")``, and without any a single process.
    progress : bool, optional
        Show a bar for each computation, in a terminal or a notebook and nowhere else.
    store : path, optional
        Folder that keeps finished blocks: an interrupted computation, called again with the same table, settings and
        rng (a number, not None), takes them from there.

    Raises
    ------
    SettingError
        If `workers` is neither -1 nor at least 1.

    Notes
    -----
    Results do not depend on the number of workers: work is cut into blocks whose size and seeds follow from the task
    alone. Contexts nest; what an inner one leaves out stays as it was. Work inside a block is not divided further,
    shows no bar and stores nothing of its own.
    The folder holds results that nothing has been withheld from, readable by its owner: keep it with the data, and
    delete it when it is no longer needed.

    Examples
    --------
    >>> with parallel(workers=1, progress=True):
    ...     run_blocks(abs, [-1, 2])
    [1, 2]
    """
    given: dict[str, Any] = {}
    if progress is not None:
        given["progress"] = bool(progress)
    if store is not None:
        given["store"] = Path(store)
    outside = _SETUP.get()
    with _joblib_workers(workers):
        token = _SETUP.set(outside if outside.inside_block else replace(outside, **given))
        try:
            yield
        finally:
            _SETUP.reset(token)


@contextlib.contextmanager
def signed_blocks(key: bytes) -> Iterator[None]:
    """Sign the blocks that are stored inside, and take up only those that bear the same signature.

    Parameters
    ----------
    key : bytes
        Of whose work they are.

    Examples
    --------
    >>> with signed_blocks(b"mine"):
    ...     run_blocks(abs, [-1, 2])
    [1, 2]
    """
    token = _SETUP.set(replace(_SETUP.get(), key=key))
    try:
        yield
    finally:
        _SETUP.reset(token)


def _joblib_workers(workers: int | None) -> contextlib.AbstractContextManager[Any]:
    if workers is None:
        return contextlib.nullcontext()
    try:
        number = 0 if isinstance(workers, bool) else operator.index(workers)
    except TypeError:
        number = 0
    if number < 1 and number != -1:
        raise SettingError(
            f"workers is {workers!r}; give a number of processes from 1 up, or -1 for every core"
        )
    import joblib

    config: contextlib.AbstractContextManager[Any] = joblib.parallel_config(n_jobs=number)
    return config


def threads(most: int) -> int:
    """Give the number of threads for a compiled loop: a core each, and a single one inside a block of other work.

    Parameters
    ----------
    most : int
        What there is to do at the same time.

    Returns
    -------
    int

    Examples
    --------
    >>> threads(1)
    1
    """
    from joblib import cpu_count

    return 1 if _SETUP.get().inside_block else max(1, min(most, cpu_count()))


def spawn_seeds(rng: "int | np.random.Generator | None", n: int) -> "list[np.random.Generator]":
    """Give one independent random generator a block.

    Examples
    --------
    >>> [int(child.integers(100)) for child in spawn_seeds(1, 2)] == [
    ...     int(child.integers(100)) for child in spawn_seeds(1, 3)[:2]
    ... ]
    True
    """
    import numpy as np

    return np.random.default_rng(rng).spawn(n)


def block_slices(n: int, size: int) -> list[slice]:
    """Cut n items into blocks of a size that must not depend on the number of workers; the last may be smaller.

    Examples
    --------
    >>> block_slices(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if n < 0 or size < 1:
        raise SettingError(f"cannot cut {n} items into blocks of {size}; both must be positive")
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def run_blocks(
    function: Callable[[_Task], _Result],
    tasks: Iterable[_Task],
    *,
    label: str = "",
    store: str | os.PathLike[str] | None = None,
) -> list[_Result]:
    """Apply a function to each task, on the workers that `parallel` or joblib has set, and give the results in order.

    Parameters
    ----------
    function : callable
        Defined in a module, or a `functools.partial` of such a function, so that other processes can import it.
    tasks : iterable
        Each holds everything its block needs, its random generator included (`spawn_seeds`). A block works on a copy.
    label : str
        What is being computed, for the bar and for errors.
    store : path, optional
        Folder of finished blocks, by default the one given to `parallel`. It keeps results made of arrays, numbers,
        text, tuples, lists, sets, dicts, frames, named tuples and dataclasses.

    Returns
    -------
    list
        The result of each task, the same bytes on any number of workers.

    Raises
    ------
    SettingError
        If the folder cannot be written, or a task or a result cannot be stored in it.
    Exception
        Whatever a block raises, with a note that names the block.

    Notes
    -----
    A stored block is used again only for the same function (name and source), task and package versions, and only if
    its file is whole. Change code that the function calls, and the folder must be emptied by hand.

    Examples
    --------
    >>> run_blocks(len, ["a", "bcd"], label="lengths")
    [1, 3]
    """
    listed = list(tasks)
    folder = _SETUP.get().store if store is None else Path(store)
    paths = None if folder is None else _block_paths(folder, function, listed)
    done = {
        i: result for i, path in enumerate(paths or ()) for result in read_finished(path, _SETUP.get().key)
    }
    todo = [_Block(i, len(listed), label, function, task) for i, task in enumerate(listed) if i not in done]
    with (
        progress_bar(label, len(listed), len(done)) as step,
        _stopping(_outcomes(todo)) as outcomes,
    ):
        for number, result in outcomes:
            if paths is not None:
                write_finished(paths[number], result, _SETUP.get().key)
            done[number] = result
            step()
    return [done[number] for number in range(len(listed))]


def _outcomes(blocks: list[_Block]) -> Any:
    """Give a generator of (number, result) as blocks finish."""
    if len(blocks) < 2 or not _is_spread():
        return (_run_block(block) for block in blocks)
    import joblib

    # Large arrays are sent like small ones: as memory maps they would be read-only, and compiled anew for that.
    pool = joblib.Parallel(return_as="generator_unordered", batch_size=1, max_nbytes=None)
    return pool(joblib.delayed(_run_block)(block) for block in blocks)


@contextlib.contextmanager
def _stopping(outcomes: Any) -> Iterator[Any]:
    """Stop the workers when the body fails, without joblib's advice on how to avoid that.

    A worker that has grown by 300 MB, as it does when it compiles, is replaced by joblib with a warning. Where warnings
    are errors, that would end the thread which hands out the work, and nobody would ever hear of the rest.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
            yield outcomes
    except BaseException:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", ".*tasks (which were still being|have been successfully)", UserWarning
            )
            outcomes.close()
        raise


def _is_spread() -> bool:
    """Tell whether blocks go through joblib; nobody can have configured it before it was imported."""
    if _SETUP.get().inside_block or "joblib" not in sys.modules:
        return False
    import joblib

    return bool(joblib.Parallel().n_jobs != 1)


def _run_block(block: _Block) -> tuple[int, Any]:
    # The copy makes a block in this process see what a block in another one sees, a shared generator included.
    function, task = copy.deepcopy((block.function, block.task))
    token = _SETUP.set(_Setup(inside_block=True))
    try:
        return block.number, function(task)
    except Exception as error:
        error.add_note(
            f"in block {block.number + 1} of {block.total}" + (block.label and f" ({block.label})")
        )
        raise
    finally:
        _SETUP.reset(token)


# --- progress ---


@contextlib.contextmanager
def progress_bar(label: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
    """Give a function that counts one step more on the screen; silent where nobody looks.

    Parameters
    ----------
    label : str
        What is being computed.
    total : int
        Steps there are, or at most.
    done : int
        Steps made before.

    Examples
    --------
    >>> with progress_bar("counting", 2) as step:
    ...     step()
    """
    stream: Any = sys.stderr  # None where there is no console at all
    notebook = in_notebook(stream)
    if not (_SETUP.get().progress and total and (notebook or (stream and stream.isatty()))):
        yield lambda: None
        return
    draw = _draw_line if notebook else _draw_bar
    counter, started = itertools.count(done), time.monotonic()

    def step() -> None:
        reached = next(counter)
        time_left = _time_left(time.monotonic() - started, reached - done, total - reached)
        draw(stream, label or "working", reached, total, time_left)
        stream.flush()

    step()
    try:
        yield step
    finally:
        if not notebook:
            end_bar(stream)


def _draw_bar(stream: Any, label: str, done: int, total: int, time_left: str) -> None:
    width = shutil.get_terminal_size().columns - 1
    filled = 20 * done // total
    text = f"{label} [{'#' * filled}{'.' * (20 - filled)}] {done}/{total}{time_left}"
    draw_bar(stream, text[:width].ljust(width))


def _draw_line(stream: Any, label: str, done: int, total: int, time_left: str) -> None:
    """Write a line every tenth, and no more: a saved notebook keeps them all."""
    if done * 10 // total > (done - 1) * 10 // total:
        stream.write(f"{visible(label)}: {done}/{total}{time_left}\n")


def _time_left(elapsed: float, computed: int, left: int) -> str:
    if not computed or not left:
        return ""
    seconds = elapsed / computed * left
    if seconds < 60:
        return f", about {seconds:.0f} s left"
    return (
        f", about {seconds / 60:.0f} min left" if seconds < 3600 else f", about {seconds / 3600:.1f} h left"
    )


# --- the store ---


def _block_paths(folder: Path, function: Callable[[Any], Any], tasks: list[Any]) -> list[Path]:
    """Name the file of each block after everything its result depends on."""
    from importlib.metadata import version

    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    try:
        source = inspect.getsource(inspect.unwrap(inner))
        versions = [version(package) for package in _VERSIONS_IN_KEY]
        keys = [_content_hash((versions, source, function, task)) for task in tasks]
    except (pickle.PicklingError, AttributeError, OSError, TypeError, ValueError) as error:
        raise SettingError(
            f"blocks of {inner!r} cannot be stored: {error}; give a function defined in a module, "
            "and tasks that can be pickled"
        ) from error
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"cannot use {folder} to store blocks: {error.strerror}; choose another folder"
        ) from error
    return [folder / f"{key}.block" for key in keys]


def _content_hash(value: Any) -> str:
    pickled = io.BytesIO()
    pickler = pickle.Pickler(pickled, protocol=5)
    pickler.fast = True  # by content alone: equal parts give equal bytes, whether or not they are one object
    pickler.dump(value)
    return hashlib.sha256(pickled.getbuffer()).hexdigest()
