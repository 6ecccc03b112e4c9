"""A file of any kind as a grid of cells. What other packages say of a damaged one is replaced: it may quote it."""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop._files import MEGABYTE, parse_json, read_parquet, refuse_size, unpacked, within_limit
from hiddenpop.errors import HiddenpopError, TableError
from hiddenpop.extras import need
from hiddenpop.reading.delimited import read_delimited, read_mark

__all__ = ["SUFFIXES", "Grid", "grid_of_frame", "read_grids"]

GZIP = ".gz"
LARGE_EXCEL = 5_000_000
"""Bytes of an Excel file that is read row by row."""

SHEETS_PACK = 10
"""Times that the sheets of an ordinary book are larger than its file."""
MOST_OF_BOOK = 400 * MEGABYTE
"""Bytes of an unpacked Excel file at the usual limit: in memory its cells take several times their text."""
MOST_CELLS = 50_000_000
BYTES_OF_VALUE = 8

READ_BYTES = 1 << 20
ROWS_END = b"</sheetData>"
_MERGED = re.compile(rb'<mergeCell\s[^>]*?ref="([A-Z]+[0-9]+:[A-Z]+[0-9]+)"')


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The cells of a file.

    Parameters
    ----------
    cells : DataFrame
        As they stand, columns numbered from 0.
    names : tuple of str or None
        Of the columns, where the kind of file keeps them apart from the cells.
    notes : tuple of str
        What was found out about the file.
    separator : str
        Between the cells of a text file, else empty.
    name : str
        Of a table in a file that may hold several, such as a sheet.
    """

    cells: pd.DataFrame
    names: tuple[str, ...] | None
    notes: tuple[str, ...] = ()
    separator: str = ""
    name: str = ""


def read_grids(path: Path) -> tuple[Grid, ...]:
    """Read the cells of a file, sheet by sheet; its suffix says which kind it is.

    Raises
    ------
    TableError
        If it cannot be read; the message says nothing of what stands in it.
    MissingExtraError
        If the reader of that kind is not installed.
    """
    suffix = _suffix(path)
    reader = READERS.get(suffix)
    if reader is None:
        raise TableError(
            f"cannot read {path}: its suffix is {path.suffix!r}; give a file that ends in {', '.join(SUFFIXES)}"
        )
    try:
        if path.exists() and not path.is_file():  # a pipe or a device might never end
            kind = "a folder" if path.is_dir() else "no regular file"
            raise TableError(f"cannot read {path}: it is {kind}; name a file such as counts.csv")
        content = path.read_bytes()
        if path.suffix.lower() == GZIP:
            content = unpacked(content)
        found = reader(content)
    except HiddenpopError as error:
        raise type(error)(str(error).replace("{path}", str(path))) from None
    except FileNotFoundError as error:
        raise TableError(f"there is no file {path}; check the name and the folder") from error
    except MemoryError:
        raise
    except OSError as error:
        raise TableError(
            f"cannot read {path}: {error.strerror or 'it is damaged'}; check the file"
        ) from error
    except Exception as error:  # every reader has its own errors, and their words may quote the file
        raise TableError(
            f"cannot read {path} as {suffix[1:]}: it is damaged, or a file of another kind; save it again"
        ) from (None if isinstance(error, zlib.error) else error)
    grids = (found,) if isinstance(found, Grid) else found
    if not grids or all(grid.cells.empty for grid in grids):
        raise TableError(f"{path} holds no rows; there is nobody to count")
    return grids


def _suffix(path: Path) -> str:
    """Give the suffix that says what kind of file it is, the one before ``.gz``."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() == GZIP else path.suffix.lower()


def grid_of_frame(frame: pd.DataFrame, *notes: str) -> Grid:
    """Take the names of a frame apart from its cells; an index with a name is a column like another."""
    named = [level for level, name in enumerate(frame.index.names) if name is not None]
    if named:
        levels = frame.index.to_frame(index=False).iloc[:, named]
        frame = pd.concat([levels, frame.reset_index(drop=True)], axis=1)
    names = tuple(str(name) for name in frame.columns)
    cells = frame.set_axis(range(len(names)), axis=1).reset_index(drop=True)
    return Grid(cells, names, notes)


def _delimited(content: bytes) -> Grid:
    text = read_delimited(content)
    return Grid(text.cells, None, text.notes, text.separator)


def _parquet(content: bytes) -> Grid:
    import pyarrow as pa

    return grid_of_frame(read_parquet(pa.BufferReader(content)).to_pandas())


def _arrow(content: bytes) -> Grid:
    import pyarrow as pa

    try:
        reader = pa.ipc.open_file(pa.BufferReader(content))
    except pa.ArrowInvalid:
        reader = pa.ipc.open_stream(pa.BufferReader(content))
    batches = getattr(reader, "num_record_batches", None)
    table = pa.Table.from_batches(
        within_limit(reader if batches is None else map(reader.get_batch, range(batches))),
        schema=reader.schema,
    )
    table.validate(full=True)
    return grid_of_frame(table.to_pandas())


def _excel(content: bytes) -> tuple[Grid, ...]:
    import io

    openpyxl = need("openpyxl", "an Excel file")
    size = _unpacked_size(content)
    refuse_size(size, MOST_OF_BOOK)
    large = (
        max(len(content), size // SHEETS_PACK) > LARGE_EXCEL
    )  # a book held in memory takes fifty times its size
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=large, data_only=True)
    grids = [Grid(_rows_of_sheet(sheet, content), None, name=sheet.title) for sheet in book.worksheets]
    return tuple(grid for grid in grids if (grid.cells.notna().sum(axis=1) > 1).sum() > 1)


def _rows_of_sheet(sheet: Any, content: bytes) -> pd.DataFrame:
    """Read the cells of a sheet; one that is merged downwards stands in each of its rows."""
    rows = pd.DataFrame(_cells(sheet), dtype=object)
    for left, top, right, bottom in _merged(sheet, content):
        if left == right and left <= rows.shape[1] and top <= len(rows):
            held: Any = rows.iloc[top - 1, left - 1]
            rows.iloc[top - 1 : bottom, left - 1] = held
    return rows.set_axis(range(rows.shape[1]), axis=1)


def _cells(sheet: Any) -> list[tuple[Any, ...]]:
    """Read the rows of a sheet; one that a single cell far below makes endless is refused."""
    rows, number = [], 0
    for row in sheet.iter_rows(values_only=True):
        number += max(len(row), 1)
        if number > MOST_CELLS:
            raise TableError(
                f"cannot read {{path}}: sheet {sheet.title!r} has more than {MOST_CELLS:,} cells, most of them perhaps "
                "empty; save what is needed as csv"
            )
        rows.append(row)
    return rows


def _unpacked_size(content: bytes) -> int:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as book:
        return sum(part.file_size for part in book.infolist())


def _merged(sheet: Any, content: bytes) -> list[tuple[int, int, int, int]]:
    """Give the merged cells of a sheet; of a large one they are read from the end of its part of the file."""
    import io
    import zipfile

    if hasattr(sheet, "merged_cells"):
        return [area.bounds for area in sheet.merged_cells.ranges]
    with zipfile.ZipFile(io.BytesIO(content)) as book, book.open(sheet._worksheet_path) as part:
        found = _MERGED.findall(_behind_the_rows(part))
    bounds = need("openpyxl", "an Excel file").utils.range_boundaries
    return [bounds(area.decode()) for area in found]


def _behind_the_rows(part: Any) -> bytes:
    """Read what stands behind the rows of a sheet, a piece at a time."""
    last = b""
    while piece := part.read(READ_BYTES):
        last += piece
        end = last.rfind(ROWS_END)
        last = last[end:] if end >= 0 else last if last.startswith(ROWS_END) else last[-len(ROWS_END) :]
    return last


def _stata(content: bytes) -> Grid:
    import io

    try:
        return grid_of_frame(pd.read_stata(io.BytesIO(content)))
    except ValueError:  # two values with one label; the values themselves can still be read
        return grid_of_frame(pd.read_stata(io.BytesIO(content), convert_categoricals=False))


def _spss(content: bytes) -> Grid:
    import tempfile

    pyreadstat = need("pyreadstat", "an SPSS file")
    with tempfile.TemporaryDirectory() as folder:  # its reader takes the name of a file only
        copy = Path(folder) / "copy.sav"
        copy.write_bytes(content)
        _, about = pyreadstat.read_sav(copy, metadataonly=True)
        refuse_size((about.number_rows or 0) * about.number_columns * BYTES_OF_VALUE)
        frame, _ = pyreadstat.read_sav(copy, apply_value_formats=True, formats_as_category=False)
    return grid_of_frame(frame)


def _mark(content: bytes) -> Grid:
    found = read_mark(content)
    return grid_of_frame(found.cells, *found.notes)


def _json(content: bytes) -> Grid:
    text = content.decode("utf-8-sig")
    try:
        try:
            found = parse_json(text)
        except json.JSONDecodeError:
            found = [parse_json(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # of nesting and of long numbers; it quotes nothing
        raise TableError(f"cannot read {{path}}: {error}; write it as a list of objects, one a row") from None
    return grid_of_frame(frame_of_records(found))


def frame_of_records(found: Any) -> pd.DataFrame:
    """Make a frame of records, of columns, of rows beside the names of columns, or of counts by name."""
    if isinstance(found, Mapping):
        tables = [part for part in found.values() if _is_records(part)]
        if isinstance(found.get("columns"), list) and isinstance(found.get("data"), list):
            return pd.DataFrame(found["data"], columns=found["columns"])
        if len(tables) == 1:
            return pd.DataFrame.from_records(tables[0])
        if found and all(isinstance(column, list | Mapping) for column in found.values()):
            return pd.DataFrame(dict(found))
        return pd.DataFrame([dict(found)])
    if _is_records(found):
        return pd.DataFrame.from_records(found)
    raise TableError("cannot read {path}: it holds no records; write it as a list of objects, one a row")


def _is_records(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and all(isinstance(row, Mapping) for row in found)


READERS: dict[str, Callable[[bytes], Grid | tuple[Grid, ...]]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".tab", ".dat"), _delimited),
    **dict.fromkeys((".xlsx", ".xlsm"), _excel),
    ".inp": _mark,
    ".parquet": _parquet,
    **dict.fromkeys((".arrow", ".feather"), _arrow),
    ".dta": _stata,
    ".sav": _spss,
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), _json),
}
SUFFIXES = tuple(READERS)
"""Endings of files that can be read, each also with ``.gz`` behind it."""
