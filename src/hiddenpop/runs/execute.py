"""A plan carried out step by step in a folder, with a manifest of what it read and left."""

import datetime
import functools
import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hiddenpop._files import parse_json, write_text
from hiddenpop.errors import HiddenpopError, HiddenpopWarning, SettingError
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.keys import steps_key
from hiddenpop.parallel import parallel, signed_blocks
from hiddenpop.provenance import RECORDED_PACKAGES
from hiddenpop.result import Estimate
from hiddenpop.runs.plan import Plan
from hiddenpop.runs.sections import key_mark, make_part
from hiddenpop.sensitivity.protocol import CheckResult
from hiddenpop.serial import to_jsonable
from hiddenpop.store import CannotBeKeptError, read_finished, write_finished

__all__ = [
    "COMPLETE",
    "LEFT_UNTIL_DONE",
    "MANIFEST",
    "PLAN_COPY",
    "Found",
    "core_versions",
    "digest_of_output",
    "execute",
    "finished",
    "imported_versions",
    "machine",
    "open_folder",
    "read_manifest",
    "resolved",
    "seed_of_step",
    "write_manifest",
]

STEPS, BLOCKS = "steps", "blocks"
"""Folders of what is done."""

SEED_BYTES = 6
"""48 bits: apart for every step, and whole in the numbers of JSON."""

LEFT_UNTIL_DONE = ".work"
LOCK, CLEARED = "lock", "cleared"
ANOTHER = "name another folder with --out, or delete this one"

MANIFEST, PLAN_COPY = "manifest.json", "analysis.toml"
SCHEMA_VERSION = 1
UNFINISHED, COMPLETE = "unfinished", "complete"
SOURCE = "source of hiddenpop"
CPU_FILE = Path("/proc/cpuinfo")
SHAPE = {
    "status": str,
    "plan": dict,
    "seed": int,
    "inputs": list,
    "core_versions": dict,
    "machine": dict,
}
OF_THE_PLAN, OF_AN_INPUT = ("hash", "text", "inputs_from"), ("name", "kind", "hash")
"""What a manifest holds from the beginning of a run."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What a plan led to.

    Attributes
    ----------
    estimates : mapping of str to Estimate
        By label.
    checks : mapping of str to CheckResult
        By name, with a number where one is run twice.
    parts : mapping of str to monitor record
        By label.
    versions : mapping of str to str
        Of every package that was imported on the way.
    """

    estimates: Mapping[str, Estimate]
    checks: Mapping[str, CheckResult]
    parts: Mapping[str, Any]
    versions: Mapping[str, str]


def execute(
    plan: Plan, *, work: Path | None, workers: int | None = None, progress: bool | None = None
) -> Found:
    """Do every step of a plan.

    Parameters
    ----------
    plan : Plan
    work : Path or None
        Folder that keeps finished steps and blocks; None keeps nothing.
    workers : int, optional
        Processes, -1 for every core. The numbers do not depend on it.
    progress : bool, optional
        Show a bar for every long computation.

    Returns
    -------
    Found

    Raises
    ------
    HiddenpopError
        What a step raises, with the name of the step in front.
    """
    steps = Steps(None if work is None else work / STEPS, plan.digest)
    key = _key()
    store = None if work is None or key is None else work / BLOCKS
    with (
        parallel(workers=workers, progress=progress, store=store),
        signed_blocks(key or b""),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter(
            "ignore", HiddenpopWarning
        )  # the results say the same in their diagnostics and notes
        estimates = _done(steps, "estimate", _estimates(plan))
        checks = _done(steps, "check", _checks(plan, estimates))
        parts = _done(steps, "part", _parts(plan, estimates))
    versions = {
        name: text
        for step in (estimates, checks, parts)
        for _, more in step.values()
        for name, text in more.items()
    }
    return Found(
        estimates=_results(estimates), checks=_results(checks), parts=_results(parts), versions=versions
    )


Todo = Iterator[tuple[str, Callable[[], Any]]]
Done = dict[str, tuple[Any, dict[str, str]]]


def _done(steps: "Steps", kind: str, todo: Todo) -> Done:
    return {label: steps.done(kind, label, _with_versions(make)) for label, make in todo}


def _with_versions(make: Callable[[], Any]) -> Callable[[], Any]:
    """Note with a result what was imported for it: a run that goes on later may import less."""
    return lambda: (make(), imported_versions())


def _results(done: Done) -> dict[str, Any]:
    return {label: result for label, (result, _) in done.items()}


def _estimates(plan: Plan) -> Todo:
    for label, method in plan.estimators.items():
        seed = seed_of_step(plan.seed, "estimate", label)
        yield label, lambda method=method, seed=seed: method.fit(plan.table, rng=seed)  # type: ignore[misc]


def _checks(plan: Plan, estimates: Done) -> Todo:
    """Check the estimate that is reported, from its own seed: points then differ by what is varied alone."""
    method, seed = plan.estimators[plan.chosen], seed_of_step(plan.seed, "estimate", plan.chosen)
    baseline, _ = estimates[plan.chosen]
    times: Counter[str] = Counter()
    for check in plan.checks:
        times[check.name] += 1
        label = check.name if times[check.name] == 1 else f"{check.name}-{times[check.name]}"
        yield label, lambda check=check: check.run(method, plan.table, baseline, rng=seed)  # type: ignore[misc]


def _parts(plan: Plan, estimates: Done) -> Todo:
    label = plan.parts_of
    for part in plan.parts:
        method, seed = plan.estimators[label], seed_of_step(plan.seed, "estimate", label)
        estimate, _ = estimates[label]
        yield (
            part.label,
            lambda part=part, estimate=estimate, method=method, seed=seed: make_part(  # type: ignore[misc]
                part, estimate, method, plan.table, seed
            ),
        )


# === steps of a run: a seed for each, and what is done kept until the run is over =====================================


def seed_of_step(seed: int, kind: str, label: str) -> int:
    """Give a step a seed that depends on the seed of the plan and its own label, and on no other step.

    Examples
    --------
    >>> seed_of_step(1, "estimate", "BIC") == seed_of_step(1, "estimate", "AIC")
    False
    """
    content = json.dumps([seed, kind, label]).encode()
    return int.from_bytes(hashlib.sha256(content).digest()[:SEED_BYTES], "big")


@dataclass(frozen=True, slots=True)
class Steps:
    """Where finished steps are kept.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    run : str
        What they belong to: a step of another run is not used.

    Notes
    -----
    Steps hold figures that nothing has been withheld from, readable by their owner. They are arrays and JSON, and
    reading one runs nothing. They are signed with a key that is shared with nobody (`hiddenpop.keys.steps_key`): the
    step of somebody else is done again. Without a key nothing is kept, and an interrupted run does its steps again.
    """

    folder: Path | None
    run: str

    def done(self, kind: str, label: str, make: Callable[[], Any]) -> Any:
        """Give the result of a step, made only where it is not kept; the same bytes either way.

        Raises
        ------
        HiddenpopError
            Whatever the step raises, with its name in front.
        """
        path, key = self._path(kind, label), _key()
        if path is None or key is None:
            return _named(kind, label, make)
        kept = list(read_finished(path, key, own_classes=True))
        if kept:
            return kept[0]
        made = _named(kind, label, make)
        _make_folder(path.parent)
        try:
            write_finished(path, made, key)
        except CannotBeKeptError:  # of an estimator of one's own, say: it is done again
            return made
        return next(read_finished(path, key, own_classes=True), made)

    def _path(self, kind: str, label: str) -> Path | None:
        if self.folder is None:
            return None
        name = hashlib.sha256(json.dumps([self.run, kind, label]).encode()).hexdigest()
        return self.folder / f"{name}.step"


def _named(kind: str, label: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except HiddenpopError as error:
        raise type(error)(f"the {kind} {label!r} could not be made: {error}") from error


def _key() -> bytes | None:
    try:
        return steps_key()
    except HiddenpopError:
        return None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"cannot write {folder}: {error.strerror or error}; make room, or name another folder"
        ) from error


# === the folder of a run ==============================================================================================
# Taken by one process at a time, gone on with where it was left, never mixed with another run.


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
        _refuse_others(work)
        yield _opened(plan, path, work)
        _clear(path, work)
    finally:
        lock.release()
        if _is_complete(path):  # whoever holds the lock from now on is refused
            with suppress(OSError):
                (work / LOCK).unlink(missing_ok=True)
                work.rmdir()


def _refuse_others(work: Path) -> None:
    """Refuse a folder of finished steps in which somebody else could put one."""
    found = work.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise SettingError(f"{work} leads elsewhere; delete that link and run again")
    if os.name != "posix":
        return
    if found.st_uid != os.geteuid():
        raise SettingError(f"{work} belongs to another user, who could change finished steps; {ANOTHER}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SettingError(
            f"others may write to {work} and could change finished steps; run: chmod 700 {work}, or {ANOTHER}"
        )


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


# === `manifest.json` ==================================================================================================
# What a run read, what it was made with, on which machine, and a hash of all that it left.


def now() -> str:
    """Give the time, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@functools.cache
def core_versions() -> dict[str, str]:
    """Give the versions that numbers rest on, with a hash of the package's own source."""
    named = {name: version(name) for name in RECORDED_PACKAGES}
    return {"python": platform.python_version(), **named, SOURCE: _source_hash()}


def _source_hash() -> str:
    """Hash the package: between two releases its version does not change, and its numbers may."""
    folder = Path(__file__).parents[1]
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return f"sha256:{content.hexdigest()}"


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def imported_versions() -> dict[str, str]:
    """Give the versions of every package that this process has imported."""
    tops = {name.partition(".")[0] for name in sys.modules}
    names = {package for top in tops for package in _distributions().get(top, ())}
    return {name: version(name) for name in sorted(names, key=str.lower)}


def machine() -> dict[str, Any]:
    """Say what kind of computer this is, not which one."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": f"{platform.machine()} {_processor()}".strip(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    try:
        lines = CPU_FILE.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def digest_of_output(path: Path) -> str:
    """Hash a file that a run left; empty where it is not there."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else ""


def resolved(plan: Plan) -> dict[str, Any]:
    """Write down every estimator and check with all its settings, defaults included."""
    estimators = [
        {"label": label, "seed": seed_of_step(plan.seed, "estimate", label), **_spec(method)}
        for label, method in plan.estimators.items()
    ]
    parts = [{"label": part.label, "settings": dict(part.settings)} for part in plan.parts]
    checks = [_spec(check) for check in plan.checks]
    found: dict[str, Any] = to_jsonable({"estimators": estimators, "checks": checks, "parts": parts})
    return found


def _spec(made: Any) -> dict[str, Any]:
    spec = spec_of(made)
    return {"name": spec.name, "settings": spec.settings}


def opening(plan: Plan, folder: Path) -> dict[str, Any]:
    """Give the manifest of a run that begins."""
    return {
        "schema_version": SCHEMA_VERSION,
        "status": UNFINISHED,
        "plan": {
            "file": PLAN_COPY,
            "hash": plan.digest,
            "inputs_from": _way(folder, plan.path.parent),
            "text": plan.text,
        },
        "seed": plan.seed,
        "inputs": [{"name": i.name, "kind": i.kind, "hash": i.digest} for i in plan.inputs],
        "key": "" if plan.table.public else key_mark(),
        "small_counts_shown": not plan.protects,
        "core_versions": core_versions(),
        "machine": machine(),
        **resolved(plan),
        "started": now(),
    }


def _way(start: Path, end: Path) -> str:
    """Give the way from one folder to another, which says less of a computer than the place itself."""
    try:
        return Path(os.path.relpath(end.absolute(), start.absolute())).as_posix()
    except ValueError:  # another drive
        return end.absolute().as_posix()


def finished(
    manifest: Mapping[str, Any], outputs: Mapping[str, str], versions: Mapping[str, str]
) -> dict[str, Any]:
    """Give the manifest of a run that is complete."""
    return {
        **manifest,
        "status": COMPLETE,
        "finished": now(),
        "versions": dict(versions),
        "outputs": dict(outputs),
    }


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write it whole."""
    write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", folder / MANIFEST)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Read the manifest of a folder, None where there is none.

    Raises
    ------
    SettingError
        If it cannot be read, or another version of the package wrote it in a form that this one does not know.
    """
    path = folder / MANIFEST
    try:
        content = parse_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SettingError(f"{path} cannot be read as the manifest of a run: {error}") from error
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise SettingError(
            f"{path} is not a manifest of a run that this version reads; it reads schema version {SCHEMA_VERSION}"
        )
    faults = [name for name, kind in SHAPE.items() if not isinstance(content.get(name), kind)]
    if not faults:
        faults = [f"plan.{name}" for name in OF_THE_PLAN if not _is_text(content["plan"], name)]
        faults += [
            f"inputs[{place}].{name}"
            for place, item in enumerate(content["inputs"])
            for name in OF_AN_INPUT
            if not _is_text(item, name)
        ]
    if faults:
        raise SettingError(
            f"{path} is not a whole manifest of a run: {', '.join(faults)} missing, or not what it should be"
        )
    return content


def _is_text(section: Any, name: str) -> bool:
    return isinstance(section, dict) and isinstance(section.get(name), str)
