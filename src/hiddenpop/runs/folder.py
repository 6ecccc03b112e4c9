"""The folder of a run: taken by one process at a time, gone on with where it was left, never mixed with another run."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hiddenpop.errors import SettingError
from hiddenpop.runs.manifest import (
    COMPLETE,
    MANIFEST,
    core_versions,
    opening,
    read_manifest,
    write_manifest,
)
from hiddenpop.runs.plan import Plan
from hiddenpop.runs.steps import STEPS

__all__ = ["LEFT_UNTIL_DONE", "Opened", "open_folder"]

LEFT_UNTIL_DONE = ".work"
LOCK, CLEARED = "lock", "cleared"
ANOTHER = "name another folder with --out, or delete this one"


@dataclass(frozen=True, slots=True)
class Opened:
    """A folder that this process holds.

    Parameters
    ----------
    path : Path
    work : Path
        Finished steps and blocks, which nothing has been withheld from; gone when the run is complete.
    manifest : mapping
        Of the run, as it began.
    """

    path: Path
    work: Path
    manifest: Mapping[str, Any]


@contextmanager
def open_folder(plan: Plan, path: Path) -> Iterator[Opened]:
    """Take a folder for a run, and clear up what only a run needs when it is complete.

    Raises
    ------
    SettingError
        If the folder cannot be used, another process is writing to it, or it holds anything but an unfinished run of
        the same plan on the same inputs under the same versions.
    """
    _refuse(plan, path)
    work = path / LEFT_UNTIL_DONE
    try:
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(work / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise SettingError(
            f"another run is writing to {path}; wait until it is over, or name another folder with --out"
        ) from error
    except (OSError, NotImplementedError) as error:
        raise SettingError(f"cannot use the folder {path}: {_reason(error)}; name another") from error
    try:
        yield _opened(plan, path, work)
        _clear(path, work)
    finally:
        lock.release()
        if _is_complete(path):  # whoever holds the lock from now on is refused
            with suppress(OSError):
                (work / LOCK).unlink(missing_ok=True)
                work.rmdir()


def _is_complete(path: Path) -> bool:
    try:
        manifest = read_manifest(path)
    except SettingError:
        return False
    return manifest is not None and manifest["status"] == COMPLETE


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _opened(plan: Plan, path: Path, work: Path) -> Opened:
    """Look again now that nobody else can write: another run may have ended in between."""
    _refuse(plan, path)
    manifest = read_manifest(path)
    if manifest is None:
        manifest = opening(plan, path)
        write_manifest(path, manifest)
    elif manifest["status"] == COMPLETE and not (work / STEPS).exists():
        _clear(path, work)  # killed while it cleared up: everything else is there
        raise SettingError(_finished(path))
    return Opened(path, work, manifest)


def _clear(path: Path, work: Path) -> None:
    """Remove finished steps at one stroke, then what killed writers left half-written; the lock goes last."""
    if (work / STEPS).exists():
        (work / STEPS).replace(work / CLEARED)
    for item in work.iterdir():
        if item.is_dir():
            shutil.rmtree(item)
        elif item.name != LOCK:
            item.unlink()
    for draft in path.rglob(".*.part"):
        draft.unlink()


def _refuse(plan: Plan, path: Path) -> None:
    """Refuse a folder that is not empty and holds no unfinished run that this one can go on with."""
    if not path.exists():
        return
    if not path.is_dir():
        raise SettingError(f"the output {path} is a file; name a folder")
    manifest = read_manifest(path)
    if manifest is None:
        others = [p.name for p in path.iterdir() if p.name != LEFT_UNTIL_DONE and not _is_draft(p)]
        if others:
            raise SettingError(f"{path} holds other files ({sorted(others)[0]!r}); {ANOTHER}")
        return
    unlike = _differences(plan, manifest)
    whole = manifest["status"] == COMPLETE
    if whole and (unlike or not (path / LEFT_UNTIL_DONE).exists()):
        raise SettingError(_finished(path, " of another plan or input" if unlike else ""))
    if unlike:
        raise SettingError(
            f"{path} holds an unfinished run that cannot be gone on with: {'; '.join(unlike)}; {ANOTHER}"
        )


def _finished(path: Path, what: str = "") -> str:
    return (
        f"{path} holds a finished run{what}; to do it again and compare, use `hiddenpop reproduce`; to run anew, "
        f"{ANOTHER}"
    )


def _is_draft(path: Path) -> bool:
    return path.name.startswith(f".{MANIFEST}.")


def _differences(plan: Plan, manifest: Mapping[str, Any]) -> list[str]:
    """Say how a run in a folder differs from this one."""
    if manifest["plan"]["hash"] != plan.digest:
        return ["the plan is another one"]
    before = {item["name"]: item["hash"] for item in manifest["inputs"]}
    changed = [source.name for source in plan.inputs if before.get(source.name) != source.digest]
    found = [f"the input {name!r} has changed since" for name in changed]
    ours = core_versions()
    for name, old in manifest["core_versions"].items():
        if ours.get(name) != old:
            found.append(f"{name} has changed since ({_short(old)} then, {_short(ours.get(name))} now)")
    return found


def _short(text: str | None) -> str:
    return "none" if text is None else text[:19]
