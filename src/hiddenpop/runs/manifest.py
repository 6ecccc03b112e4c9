"""`manifest.json`: what a run read, what it was made with, on which machine, and a hash of all that it left."""

import datetime
import functools
import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from hiddenpop._files import write_text
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.provenance import RECORDED_PACKAGES
from hiddenpop.runs.data import key_mark
from hiddenpop.runs.plan import Plan
from hiddenpop.runs.steps import seed_of_step
from hiddenpop.serial import to_jsonable

__all__ = [
    "COMPLETE",
    "MANIFEST",
    "PLAN_COPY",
    "UNFINISHED",
    "core_versions",
    "digest_of_output",
    "finished",
    "imported_versions",
    "machine",
    "now",
    "opening",
    "read_manifest",
    "resolved",
    "write_manifest",
]

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
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SettingError(f"{path} cannot be read as the manifest of a run: {error}") from error
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise SettingError(
            f"{path} is no manifest of a run that this version reads; it reads schema version {SCHEMA_VERSION}"
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
            f"{path} is no whole manifest of a run: {', '.join(faults)} missing, or not what it should be"
        )
    return content


def _is_text(section: Any, name: str) -> bool:
    return isinstance(section, dict) and isinstance(section.get(name), str)
