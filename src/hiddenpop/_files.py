"""Tables in csv and parquet files, and texts: read without surprises, written whole or not at all."""

import csv
import gzip
import io
import json
import math
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiddenpop._text import visible
from hiddenpop.errors import HiddenpopError, SettingError, TableError
from hiddenpop.extras import need

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "WRITTEN_TRUTHS",
    "csv_text",
    "inert",
    "parquet_bytes",
    "parse_json",
    "parse_toml",
    "read_file",
    "read_parquet",
    "refuse_size",
    "unpacked",
    "whole",
    "within_limit",
    "without_marks",
    "write_bytes",
    "write_file",
    "write_text",
]

DRAFT = ".part"
"""Ending of a file that is being written."""

WRITTEN_TRUTHS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


# --- nested texts, and files that unpack to more than there is room for ---

DEEPEST, LONGEST_NUMBER = 100, 400
"""Levels of nesting, and digits of a number, in a text of TOML or JSON."""
LIMIT_VARIABLE, MOST_MEGABYTES = "HIDDENPOP_MOST_MEGABYTES", 2000
"""What a file may unpack to, and the environment variable that lifts it."""
MEGABYTE = 1_000_000
PIECE = 1 << 20

_JSON_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_TOML_TEXTS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}|\'\'\'(?:[^\']|\'(?!\'\'))*+\'{3,5}'
    r'|"(?:[^"\\\n]|\\.)*+"|\'[^\'\n]*+\'|#[^\n]*+',
    re.DOTALL,
)
_BRACKETS = re.compile(r"[\[\]{}]")
_LONG_NUMBER = re.compile(rf"[0-9a-fA-F_]{{{LONGEST_NUMBER + 1}}}")
_DOTTED = re.compile(rf"(?<![^\s.=\[\]{{}},])(?:[^\s.=\[\]{{}},]++[ \t]*+\.[ \t]*+){{{DEEPEST + 1}}}")


def parse_json(text: str, **options: Any) -> Any:
    """Read JSON that is not nested too deep to be read.

    Raises
    ------
    ValueError
        If it is not JSON, nested deeper than `DEEPEST`, or holds a number of more than `LONGEST_NUMBER` digits.

    Examples
    --------
    >>> parse_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    if fault := _fault_of_nesting(_JSON_TEXTS.sub('""', text)):
        raise ValueError(fault)
    return json.loads(text, **options)


def parse_toml(text: str) -> dict[str, Any]:
    r"""Read TOML that is not nested too deep to be read.

    Raises
    ------
    TOMLDecodeError
        If it is not TOML, nested deeper than `DEEPEST`, or holds a number of more than `LONGEST_NUMBER` digits.

    Examples
    --------
    >>> parse_toml("[a]\nb = 1")
    {'a': {'b': 1}}
    """
    plain = _TOML_TEXTS.sub('""', text)
    fault = _fault_of_nesting(plain) or (_too_deep("a name is") if _DOTTED.search(plain) else "")
    if fault:
        raise tomllib.TOMLDecodeError(fault)
    return tomllib.loads(text)


def _fault_of_nesting(plain: str) -> str:
    depth = 0
    for found in _BRACKETS.finditer(plain):
        depth += 1 if found[0] in "[{" else -1
        if depth > DEEPEST:
            return _too_deep("it is")
    return f"it holds a number of more than {LONGEST_NUMBER} digits" if _LONG_NUMBER.search(plain) else ""


def _too_deep(what: str) -> str:
    return f"{what} nested more than {DEEPEST} levels deep"


def most_bytes() -> int:
    """Give the number of bytes that a file may unpack to.

    Raises
    ------
    SettingError
        If the environment variable that lifts the limit holds no whole number.
    """
    said = os.environ.get(LIMIT_VARIABLE, "") or str(MOST_MEGABYTES)
    if not (said.isascii() and said.isdigit() and len(said) < 10):
        raise SettingError(
            f"{LIMIT_VARIABLE} is {said!r:.40}; give a whole number of megabytes, such as 4000"
        )
    return int(said) * MEGABYTE


def refuse_size(needed: int, limit: int | None = None) -> None:
    """Refuse what would unpack to more than the limit; ``{path}`` in the error stands for the file.

    Raises
    ------
    TableError
    """
    share = 1.0 if limit is None else limit / (MOST_MEGABYTES * MEGABYTE)
    most = most_bytes() * share
    if needed > most:
        larger = math.ceil(max(1.1 * needed, 2 * most) / share / MEGABYTE)
        raise TableError(
            f"cannot read {{path}}: it unpacks to {needed / MEGABYTE:,.0f} MB or more, and the limit is "
            f"{most / MEGABYTE:,.0f} MB; if you expect that, set {LIMIT_VARIABLE} to a larger number, such as {larger}"
        )


def unpacked(content: bytes) -> bytes:
    """Unpack a gzip file, piece by piece up to the limit.

    Raises
    ------
    TableError
        If there is more.
    """
    pieces, size = [], 0
    with gzip.open(io.BytesIO(content)) as file:
        while piece := file.read(PIECE):
            size += len(piece)
            refuse_size(size)
            pieces.append(piece)
    return b"".join(pieces)


def read_parquet(source: Any) -> Any:
    """Read a parquet file as an Arrow table, after a look at what it says of itself, and in pieces up to the limit.

    Raises
    ------
    TableError
        If it unpacks to more than the limit.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(source)
    refuse_size(parquet_bytes(file.metadata))
    # A text that is stored once may stand in every row: so many rows are read at a time that all of them would fit.
    largest = max(parquet_columns(file.metadata), default=1)
    rows = max(1, min(PIECE // 16, most_bytes() // max(largest, 1)))
    table = pa.Table.from_batches(within_limit(file.iter_batches(batch_size=rows)), schema=file.schema_arrow)
    table.validate(full=True)  # text of a damaged file may be no UTF-8
    return table


def within_limit(batches: Iterable[Any]) -> Iterator[Any]:
    """Pass batches of Arrow on, as long as all of them together stay within the limit.

    Raises
    ------
    TableError
        If they do not.
    """
    size = 0
    for batch in batches:
        size += batch.nbytes
        refuse_size(size)
        yield batch


def parquet_columns(metadata: Any) -> list[int]:
    """Give the bytes of every column in every row group, as the file tells them."""
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    return [
        group.column(place).total_uncompressed_size for group in groups for place in range(group.num_columns)
    ]


def parquet_bytes(metadata: Any) -> int:
    """Give the fewest bytes that a file takes when it is read: equal values are stored once, and read row by row."""
    rows = max(metadata.num_rows, sum(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)))
    return int(max(sum(parquet_columns(metadata)), rows * metadata.num_columns * FEWEST_BYTES))


FEWEST_BYTES = 4
"""Of a value that has been read, on average."""


def read_file(path: Path, strata: Collection[str]) -> "pd.DataFrame":
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


def _read_parquet(path: Path, strata: Collection[str]) -> "pd.DataFrame":
    try:
        frame: pd.DataFrame = read_parquet(path).to_pandas()
    except TableError as error:
        raise TableError(str(error).replace("{path}", str(path))) from None
    return frame


def _read_csv(path: Path, strata: Collection[str]) -> "pd.DataFrame":
    """Read everything as text first: a postcode keeps its zeros, and a doubled header is seen."""
    import pandas as pd

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
    frame = without_marks(frame)
    header = frame.iloc[0].fillna("").str.strip()
    body = frame.iloc[1:].set_axis(pd.Index(header), axis=1)
    read = [body.iloc[:, i] if name in strata else _typed(body.iloc[:, i]) for i, name in enumerate(header)]
    return pd.concat(read, axis=1) if len(body) else body


def _typed(column: "pd.Series[Any]") -> "pd.Series[Any]":
    import pandas as pd

    present = column.dropna()
    if present.isin(list(WRITTEN_TRUTHS)).all():
        return column.map(WRITTEN_TRUTHS)
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if bool(numbers.notna().eq(column.notna()).all()) else column


def write_file(frame: "pd.DataFrame", path: Path) -> None:
    """Write a csv, xlsx or parquet file whole: a reader never sees half of it, and a spreadsheet works nothing out."""
    writers = {".csv": _write_csv, ".xlsx": _write_xlsx, ".parquet": _write_parquet}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise TableError(
            f"cannot write {path}: its suffix is {path.suffix!r}; choose .csv, .xlsx or .parquet"
        )
    with whole(path) as draft:
        writer(frame, draft)


def write_text(text: str, path: Path, *, private: bool = False) -> None:
    """Write a text file, the same bytes on every system, whole or not at all."""
    write_bytes(text.encode("utf-8"), path, private=private)


def write_bytes(content: bytes, path: Path, *, private: bool = False) -> None:
    """Write a file as it is, whole or not at all."""
    with whole(path, private=private) as draft:
        draft.write_bytes(content)


@contextmanager
def whole(
    path: Path, *, private: bool = False, what: str = "", error: type[HiddenpopError] = TableError
) -> Iterator[Path]:
    """Give the draft of a file, which takes its name when it is whole, and of which nothing is left when it is not.

    Every file that the package writes is written through this.

    Parameters
    ----------
    path : Path
        Where the file will stand.
    private : bool
        Whether the file stays readable by its owner alone. By default it takes the rights of the file that it
        replaces, or those that a new file has here.
    what : str
        Kind of file, for the error.
    error : type
        What is raised where it cannot be written.

    Yields
    ------
    Path
        An empty file in the same folder, with a name that nobody can foresee, readable by its owner alone.
    """
    draft = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=DRAFT)
        os.close(handle)
        draft = Path(name)
        yield draft
        if not private:
            draft.chmod(_rights(path))
        draft.replace(path)
    except OSError as fault:
        raise error(
            f"cannot write {what and f'the {what} '}{path}: {fault.strerror or fault}; choose a folder you can write"
        ) from fault
    finally:
        if draft is not None:
            with suppress(OSError):
                draft.unlink()


def _rights(path: Path) -> int:
    """Give the rights of the file that is replaced, or of a new one."""
    try:
        found = path.lstat().st_mode
    except OSError:
        found = 0
    if stat.S_ISREG(found):
        return stat.S_IMODE(found)
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask


FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""Beginning of a text that a spreadsheet would work out, or that one was marked as text with."""
MARKED = r"^'(?='*[=+\-@\t\r])"


def inert(value: Any) -> Any:
    """Mark a text that a spreadsheet would work out as text, by a quote in front.

    Examples
    --------
    >>> inert("=1+1"), inert("a=b"), inert(-3)
    ("'=1+1", 'a=b', -3)
    """
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def without_marks(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Take away the quotes that `inert` has put in front, from columns of text."""
    marked = [place for place in range(frame.shape[1]) if frame.iloc[:, place].str.startswith("'").any()]
    for place in marked:
        frame.isetitem(place, frame.iloc[:, place].str.replace(MARKED, "", regex=True).array)
    return frame


def csv_text(frame: "pd.DataFrame") -> str:
    r"""Write a frame as csv in which no text is a formula for the program that opens it.

    Examples
    --------
    >>> import pandas as pd
    >>> csv_text(pd.DataFrame({"level": ["@home", "b"], "n": [-1, 2]}))
    "level,n\n'@home,-1\nb,2\n"
    """
    return _inert(frame).to_csv(index=False, lineterminator="\n")


def _inert(frame: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    columns = [
        column if _holds_no_text(column.dtype) else column.astype(object).map(inert)
        for column in (frame.iloc[:, place] for place in range(frame.shape[1]))
    ]
    safe = pd.concat(columns, axis=1) if columns else frame
    return safe.set_axis([inert(name) for name in frame.columns], axis=1)


def _holds_no_text(kind: Any) -> bool:
    import pandas as pd

    return pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind)


def _write_csv(frame: "pd.DataFrame", path: Path) -> None:
    path.write_bytes(csv_text(frame).encode("utf-8"))


def _write_xlsx(frame: "pd.DataFrame", path: Path) -> None:
    """Write a workbook of one sheet; openpyxl takes a text that begins with = for a formula unless it is told."""
    openpyxl = need("openpyxl", "an Excel file")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("table")
    rows = [list(frame.columns), *frame.itertuples(index=False, name=None)]
    for row in rows:
        sheet.append([_cell(openpyxl, sheet, value) for value in row])
    book.save(path)


def _cell(openpyxl: Any, sheet: Any, value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    if plain is None or plain != plain:  # noqa: PLR0124
        return None
    if isinstance(plain, bool | int | float):
        return plain if math.isfinite(plain) else str(plain)
    cell = openpyxl.cell.WriteOnlyCell(sheet, visible(str(plain)))
    cell.data_type = "s"
    return cell


def _write_parquet(frame: "pd.DataFrame", path: Path) -> None:
    frame.to_parquet(path, index=False)
