"""Cards that say what a file holds, as TOML, and checksums of files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hiddenpop._files import write_text
from hiddenpop.errors import SettingError, TableError

__all__ = ["SUMS", "read_sums", "sha256", "toml_text", "write_sums"]

SUMS = "SHA256SUMS"
"""Name of the file of checksums, in the form that ``sha256sum --check`` reads."""


def toml_text(content: Mapping[str, Any]) -> str:
    """Write text, numbers, lists, tables and lists of tables as TOML.

    Parameters
    ----------
    content : mapping
        With text as keys.

    Returns
    -------
    str

    Raises
    ------
    SettingError
        For a value that has no form in TOML.

    Examples
    --------
    >>> print(toml_text({"truth": 4000, "lists": ["a", "b"], "columns": {"count": "persons"}}), end="")
    truth = 4000
    lists = ["a", "b"]
    <BLANKLINE>
    [columns]
    count = "persons"
    """
    text = "\n".join(_lines(content, "")).strip("\n")
    return f"{text}\n" if text else ""


def _lines(content: Mapping[str, Any], path: str) -> list[str]:
    """Write plain values first, as TOML wants it, then the tables."""
    lines = [f"{_key(name)} = {_value(item)}" for name, item in content.items() if not _has_tables(item)]
    lines += [""] if lines else []
    for name, item in content.items():
        inner = f"{path}{_key(name)}"
        if isinstance(item, Mapping):
            # A table of tables needs no line of its own.
            own = not item or not all(map(_has_tables, item.values()))
            lines += [f"[{inner}]"] * own + _lines(item, f"{inner}.")
        elif _has_tables(item):
            for table in item:
                lines += [f"[[{inner}]]", *_lines(table, f"{inner}.")]
    return lines


def _has_tables(value: Any) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
    return isinstance(value, Mapping) or (listed and all(isinstance(item, Mapping) for item in value))


def _key(name: str) -> str:
    plain = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if plain else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(item) for item in value)}]"
    raise SettingError(
        f"{value!r} ({type(value).__name__}) has no form in a card; give text, numbers or lists"
    )


def _text(text: str) -> str:
    """Write a text as JSON does, but for the one character that TOML wants escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def sha256(path: Path) -> str:
    """Hash the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path, paths: Sequence[Path]) -> Path:
    """Write the checksums of files in a folder, sorted by name."""
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    target = folder / SUMS
    write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in names), target)
    return target


def read_sums(folder: Path) -> dict[str, str]:
    """Read the checksums of a folder: from the name of a file to its hash.

    Raises
    ------
    TableError
        If there is no file of checksums.
    """
    try:
        lines = (folder / SUMS).read_text("utf-8").splitlines()
    except OSError as error:
        raise TableError(f"there is no {SUMS} in {folder}; name a folder of synthetic data") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{SUMS} in {folder} is not UTF-8 text; write the data again") from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
