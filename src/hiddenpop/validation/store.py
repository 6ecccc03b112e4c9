"""The folder of a study: a file a block, and a manifest that says which of them belong to it."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop._files import parse_json, write_text
from hiddenpop.errors import SettingError, TableError
from hiddenpop.store import read_finished
from hiddenpop.validation.blocks import TIMES
from hiddenpop.validation.plan import SCHEMA_VERSION

__all__ = ["BLOCKS", "MANIFEST", "open_folder", "read_block", "read_manifest", "write_manifest"]

MANIFEST = "manifest.json"
BLOCKS = "blocks"


def open_folder(out: str | os.PathLike[str]) -> Path:
    """Make the folders of a study and give the one of its blocks.

    Raises
    ------
    SettingError
        If they cannot be made.
    """
    folder = Path(out) / BLOCKS
    try:
        (folder / TIMES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"cannot use {out} for a study: {error.strerror}; choose another folder"
        ) from error
    return folder


def read_block(folder: Path, file: str, n_rows: int) -> pd.DataFrame | None:
    """Read one block with its run times; None where it is not there, or not whole."""
    frames, times = (list(read_finished(place / file)) for place in (folder, folder / TIMES))
    if not (frames and times and isinstance(frames[0], pd.DataFrame)):
        return None
    whole = len(frames[0]) == len(times[0]) == n_rows
    return frames[0].assign(seconds=times[0]) if whole else None


def write_manifest(out: str | os.PathLike[str], manifest: dict[str, Any]) -> None:
    """Write the manifest of a study."""
    write_text(json.dumps(manifest, indent=1) + "\n", Path(out) / MANIFEST)


def read_manifest(out: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the manifest of a study.

    Raises
    ------
    TableError
        If the folder holds no study, or one of another version.
    """
    path = Path(out) / MANIFEST
    try:
        manifest: dict[str, Any] = parse_json(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TableError(f"{out} holds no study that can be read: there is no whole {MANIFEST}") from error
    if not isinstance(manifest, dict):
        raise TableError(f"{out} holds no study that can be read: {MANIFEST} is not a table of settings")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise TableError(
            f"the study in {out} has schema version {manifest.get('schema_version')!r}; this version reads "
            f"{SCHEMA_VERSION}, so run the study again"
        )
    if not _is_whole(manifest):
        raise TableError(f"the {MANIFEST} in {out} is damaged; run the study again with the same settings")
    return manifest


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Tell whether a manifest names its blocks, as many as its replicates need, and its scenarios."""
    n_rep, size = manifest.get("n_rep"), manifest.get("block_size")
    files, scenarios = manifest.get("blocks"), manifest.get("scenarios")
    if type(n_rep) is not int or type(size) is not int or n_rep < 1 or size < 1:
        return False
    if not (isinstance(files, list) and files and isinstance(scenarios, list) and scenarios):
        return False
    named = all(isinstance(file, str) and Path(file).name == file for file in files)
    told = all(isinstance(entry, dict) and isinstance(entry.get("assumptions"), list) for entry in scenarios)
    return named and told and len(files) % -(-n_rep // size) == 0
