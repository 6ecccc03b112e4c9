"""Tables in csv and parquet files, and texts: read without surprises, written whole or not at all."""

import csv
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop.errors import TableError

__all__ = ["WRITTEN_TRUTHS", "passing_name", "read_file", "write_bytes", "write_file", "write_text"]

WRITTEN_TRUTHS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


def read_file(path: Path, strata: Collection[str]) -> pd.DataFrame:
    """Read a csv or parquet file; columns named in `strata` keep their text as it stands."""
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise TableError(f"cannot read {path}: its suffix is {path.suffix!r}; give a .csv or a .parquet file")
    try:
        if path.exists() and not path.is_file():  # a pipe or a device might never end
            kind = "a folder" if path.is_dir() else "no regular file"
            raise TableError(f"cannot read {path}: it is {kind}; name a .csv or .parquet file")
        frame = reader(path, strata)
    except FileNotFoundError as error:
        raise TableError(f"there is no file {path}; check the name and the folder") from error
    except UnicodeDecodeError as error:
        raise TableError(f"cannot read {path}: it is not UTF-8 text; save it again as UTF-8") from error
    except TableError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise TableError(f"cannot read {path} as {path.suffix[1:]}: {_first_line(error)}") from error
    if frame.empty:
        raise TableError(f"{path} holds no rows; there is nobody to count")
    return frame


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _read_parquet(path: Path, strata: Collection[str]) -> pd.DataFrame:
    import pyarrow.parquet as pq

    pq.read_table(path).validate(full=True)  # text of a damaged file may be no UTF-8
    return pd.read_parquet(path)


def _read_csv(path: Path, strata: Collection[str]) -> pd.DataFrame:
    """Read everything as text first: a postcode keeps its zeros, and a doubled header is seen."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
    separator = max(",;\t", key=first.count)
    frame = pd.read_csv(
        path,
        sep=separator,
        encoding="utf-8-sig",
        header=None,
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        skipinitialspace=True,
    )
    header = frame.iloc[0].fillna("").str.strip()
    body = frame.iloc[1:].set_axis(pd.Index(header), axis=1)
    read = [body.iloc[:, i] if name in strata else _typed(body.iloc[:, i]) for i, name in enumerate(header)]
    return pd.concat(read, axis=1) if len(body) else body


def _typed(column: "pd.Series[Any]") -> "pd.Series[Any]":
    present = column.dropna()
    if present.isin(list(WRITTEN_TRUTHS)).all():
        return column.map(WRITTEN_TRUTHS)
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if bool(numbers.notna().eq(column.notna()).all()) else column


def write_file(frame: pd.DataFrame, path: Path) -> None:
    """Write a csv or parquet file under a passing name first: a reader never sees half of it."""
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise TableError(f"cannot write {path}: its suffix is {path.suffix!r}; choose .csv or .parquet")
    with _whole(path) as draft:
        writer(frame, draft)


def write_text(text: str, path: Path) -> None:
    """Write a text file, the same bytes on every system, under a passing name first."""
    write_bytes(text.encode("utf-8"), path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file as it is, under a passing name first."""
    with _whole(path) as draft:
        draft.write_bytes(content)


def passing_name(path: Path) -> Path:
    """Name the file that stands for `path` while it is being written."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a file its name when it is whole, and leave nothing behind when it is not."""
    draft = passing_name(path)
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        raise TableError(
            f"cannot write {path}: {error.strerror or error}; choose a folder you can write"
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, index=False)
