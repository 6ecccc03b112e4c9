"""One register as its owner has it: what each column is, and its rows as texts in DuckDB."""

import codecs
import csv
import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from hiddenpop._cells import unknown_name
from hiddenpop._files import parquet_bytes, refuse_size
from hiddenpop.errors import HiddenpopError, TableError, UnknownNameError
from hiddenpop.reading import is_frame, plain_frame
from hiddenpop.reading.delimited import read_delimited
from hiddenpop.reading.files import read_grids
from hiddenpop.reading.header import under_names

__all__ = ["Register", "load_rows", "quoted"]

HEAD = 200_000
"""Bytes of a text file that its separator is found from."""

BLOCK = 1 << 22
TEXTS, SHEETS = (".csv", ".tsv", ".txt"), (".xlsx", ".xls", ".sav", ".dta", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """A register and the meaning of its columns.

    Parameters
    ----------
    name : str
        Of the list that the register becomes.
    data : path or DataFrame
        A file (csv, tsv, txt, parquet, arrow, DuckDB, or what else `CaptureTable.read` reads), or a dataframe.
    table : str
        Of a DuckDB file, the table.
    record : str
        The column that numbers the records; every record once.
    day : str
        The column with the day of the registration.
    key : tuple of str
        Columns of a person key; empty where there is none. Of two, the first says which kind of key the second is.
    key_kinds : tuple of str
        Kinds that stand for a person, of a key of two columns. Others count as no key.
    link : mapping of str to str
        Columns of what persons are compared by: ``first_name``, ``last_name``, ``birth_date``, ``place``, or any other
        name for a code that is compared for equality alone.
    strata : mapping of str to str
        Columns of covariates.
    codes : mapping of str to tuple of str
        Values that a column may hold.
    width : mapping of str to int
        Signs that every value of a column must have.
    eligible : mapping of str to tuple of str
        Values of a column that count; other rows are left out and counted.
    unit : str
        A column that says which period a registration belongs to; by default the year of its day.
    register : str
        A column that names the register of each row, of a file that holds several; `name` is then that of the file.
    """

    name: str
    data: Any
    record: str
    day: str
    table: str = ""
    key: tuple[str, ...] = ()
    key_kinds: tuple[str, ...] = ("R",)
    link: Mapping[str, str] = field(default_factory=dict)
    strata: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    width: Mapping[str, int] = field(default_factory=dict)
    eligible: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unit: str = ""
    register: str = ""

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any], folder: Path) -> "Register":
        """Read what a plan or a call says of a register.

        Raises
        ------
        TableError
            With every fault.
        """
        faults = _setting_faults(given)
        if faults:
            raise TableError(
                "\n  - ".join([f"register {name!r} cannot be read as it is described:", *faults])
            )
        values = {key: _fixed(key, value) for key, value in given.items() if key not in ("file", "data")}
        data = given["data"] if "data" in given else folder / given["file"]
        return cls(name=name, data=data, **values)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are read, each once."""
        named = [self.record, self.day, *self.key, *self.link.values(), *self.strata.values()]
        named += [*self.codes, *self.width, *self.eligible, self.unit, self.register]
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def harmless(self) -> frozenset[str]:
        """Columns whose values are said to identify nobody."""
        identifying = {self.record, *self.key, *self.link.values()}
        return (
            frozenset({*self.strata.values(), *self.codes, *self.eligible, self.unit, self.register})
            - identifying
        )

    def described(self) -> dict[str, Any]:
        """Say in plain data how the register was read, without its place on the machine."""
        said: dict[str, Any] = {
            entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "data"
        }
        plain = {
            key: dict(value) if isinstance(value, Mapping) else value for key, value in said.items() if value
        }
        return {**plain, "file": self.data.name if isinstance(self.data, Path) else ""}


TEXT_KEYS = ("record", "day", "table", "unit", "register")
MAPPED = ("link", "strata", "codes", "width", "eligible")
KEYS = ("file", "data", *TEXT_KEYS, "key", "key_kinds", *MAPPED)


def _setting_faults(given: Mapping[str, Any]) -> list[str]:
    """Say everything that is wrong with a description."""
    faults = [str(unknown_name("key", str(key), KEYS)) for key in given if key not in KEYS]
    if ("file" in given) == ("data" in given):
        faults.append('give file = "..." or data (a dataframe), one of the two')
    faults += [f"{key} is missing; name the column" for key in ("record", "day") if not given.get(key)]
    faults += [
        f"{key} must name one column in quotes; got {given[key]!r:.60}"
        for key in (*TEXT_KEYS, "file")
        if key in given and not isinstance(given[key], str | Path)
    ]
    for name in ("key", "key_kinds"):
        value = given.get(name, ())
        if not isinstance(value, str) and not _texts(value):
            faults.append(f"{name} must be a text or a list of texts; got {value!r:.60}")
    if not isinstance(given.get("key", ()), str) and len(given.get("key", ())) > 2:
        faults.append("key has more than two columns; give one column, or the kind of key and the key")
    for name in MAPPED:
        value = given.get(name, {})
        if name == "strata" and _texts(value):
            continue
        if not isinstance(value, Mapping):
            faults.append(f"{name} must be a table such as {EXAMPLES[name]}; got {value!r:.60}")
    return faults


EXAMPLES = {
    "link": '{ last_name = "surname", birth_date = "born" }',
    "strata": '{ sex = "sex" }',
    "codes": '{ sex = ["F", "M"] }',
    "width": "{ municipality = 4 }",
    "eligible": '{ event = ["victim"] }',
}


def _texts(value: Any) -> bool:
    return (
        isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)
    )


def _fixed(key: str, value: Any) -> Any:
    """Bring what may be said in two ways into one."""
    if key in ("key", "key_kinds"):
        return (value,) if isinstance(value, str) else tuple(value)
    if key == "strata" and not isinstance(value, Mapping):
        return {name: name for name in value}
    if key in ("codes", "eligible"):
        return {
            str(name): (str(item),) if isinstance(item, str | int) else tuple(map(str, item))
            for name, item in value.items()
        }
    return {str(name): item for name, item in value.items()} if isinstance(value, Mapping) else value


def quoted(name: str) -> str:
    """Write a name of a column or table for SQL."""
    return '"' + name.replace('"', '""') + '"'


# --- rows ------------------------------------------------------------------------------------------------------------


def load_rows(connection: Any, register: Register, target: str) -> None:
    """Put the rows of a register into a table of DuckDB: the column ``row``, from 1, and every needed column as text.

    Blanks around a text are left out, and an empty text is missing.

    Raises
    ------
    TableError
        If it cannot be read; the message says nothing of what stands in it.
    UnknownNameError
        For a column that is not there.
    """
    try:
        _load(connection, register, target)
    except HiddenpopError:
        raise
    except MemoryError:
        raise
    except Exception:  # DuckDB and Arrow quote the line at fault
        raise TableError(
            f"register {register.name!r}: {_place(register)} is damaged, half written or of another kind "
            f"than its suffix "
            "says; save it again"
        ) from None


def _place(register: Register) -> str:
    return f"the file {register.data}" if isinstance(register.data, Path) else "the dataframe"


def _load(connection: Any, register: Register, target: str) -> None:
    data = register.data
    if is_frame(data) and not isinstance(data, Mapping):
        table = (
            data
            if isinstance(data, pa.Table)
            else pa.Table.from_pandas(plain_frame(data), preserve_index=False)
        )
        return _from_arrow(connection, register, target, table)
    path = Path(data)
    if not path.is_file():
        raise TableError(
            f"register {register.name!r}: there is no file {path}; check the name and the folder"
        )
    suffix = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if suffix in TEXTS:
        return _from_arrow(connection, register, target, _open_text(path, register))
    if suffix == ".parquet":
        _refuse_size(register, path, parquet_bytes(pq.read_metadata(path)))
        return _from_sql(connection, register, target, f"read_parquet({_literal(str(path))})", path)
    if suffix in (".arrow", ".feather"):
        with pa.OSFile(str(path), "rb") as file:
            return _from_arrow(connection, register, target, pa.ipc.open_file(file).read_all())
    if suffix in (".duckdb", ".db"):
        return _from_database(connection, register, target, path)
    if suffix in SHEETS:
        grids = [grid for grid in read_grids(path) if not grid.cells.empty]
        if len(grids) > 1:
            raise TableError(
                f"register {register.name!r}: {path} has {len(grids)} sheets with rows; save the sheet of the "
                "register as a file of its own"
            )
        frame, _ = under_names(grids[0], None)
        return _from_arrow(
            connection, register, target, pa.Table.from_pandas(frame.astype("str"), preserve_index=False)
        )
    kinds = ", ".join((*TEXTS, ".parquet", ".arrow", ".duckdb", *SHEETS))
    raise TableError(
        f"register {register.name!r}: cannot read {path}: its suffix is {suffix!r}; give one of {kinds}"
    )


def _from_arrow(connection: Any, register: Register, target: str, table: Any) -> None:
    source = f"{target}_source"
    connection.register(source, table)
    try:
        _create(connection, register, target, source, table.schema.names)
    finally:
        connection.unregister(source)


def _from_sql(connection: Any, register: Register, target: str, source: str, path: Path) -> None:
    names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    _create(connection, register, target, source, names)


def _from_database(connection: Any, register: Register, target: str, path: Path) -> None:
    if not register.table:
        raise TableError(f'register {register.name!r}: {path} is a database; say table = "..."')
    alias = f"{target}_database"
    connection.execute(f"ATTACH {_literal(str(path))} AS {alias} (READ_ONLY)")
    try:
        _from_sql(connection, register, target, f"{alias}.{quoted(register.table)}", path)
    finally:
        connection.execute(f"DETACH {alias}")


def _create(connection: Any, register: Register, target: str, source: str, names: Sequence[str]) -> None:
    """Make the table; columns are found whatever the case of their letters, as files of one source differ in it."""
    found = {name.casefold(): name for name in names}
    unknown = [column for column in register.columns if column.casefold() not in found]
    if unknown:
        lines = [str(unknown_name("column", column, names)) for column in unknown]
        raise UnknownNameError("\n  - ".join([f"register {register.name!r}, {_place(register)}:", *lines]))
    chosen = ", ".join(
        f"nullif(trim(CAST({quoted(found[column.casefold()])} AS VARCHAR)), '') AS {quoted(column)}"
        for column in register.columns
    )
    connection.execute(f"CREATE TABLE {target} AS SELECT row_number() OVER () AS row, {chosen} FROM {source}")


def _refuse_size(register: Register, path: Path, needed: int) -> None:
    try:
        refuse_size(needed)
    except TableError as error:
        raise TableError(f"register {register.name!r}: {str(error).replace('{path}', str(path))}") from None


def _refuse_unpacked(register: Register, path: Path) -> None:
    """Unpack a file once, keeping nothing, to see that it is not endless."""
    size = 0
    with pa.input_stream(str(path), compression="gzip") as file:
        while block := file.read(BLOCK):
            size += len(block)
            _refuse_size(register, path, size)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _open_text(path: Path, register: Register) -> Any:
    """Open a text file as a stream of texts, with its separator, quote and encoding found out."""
    if path.suffix.lower() == ".gz":
        _refuse_unpacked(register, path)
    opened = pa.input_stream(str(path), compression="gzip" if path.suffix.lower() == ".gz" else None)
    with opened:
        head = opened.read(HEAD)
    whole = len(head) < HEAD
    cut = head if whole else head[: head.rfind(b"\n") + 1]
    try:
        grid = read_delimited(cut)
    except TableError as error:
        raise TableError(f"register {register.name!r}: {str(error).replace('{path}', str(path))}") from None
    encoding = _encoding(path, head)
    first = io.StringIO(cut.decode(encoding, "ignore").removeprefix("\ufeff"), newline="")
    names = [
        name.strip() for name in next(csv.reader(first, delimiter=grid.separator, skipinitialspace=True))
    ]
    stream = pa.input_stream(str(path), compression="gzip" if path.suffix.lower() == ".gz" else None)
    return pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(
            column_names=names, skip_rows=1, encoding=encoding, block_size=BLOCK, use_threads=False
        ),
        parse_options=pa_csv.ParseOptions(delimiter=grid.separator, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )


def _encoding(path: Path, head: bytes) -> str:
    """Find the encoding: UTF-16 by its mark, UTF-8 where every byte agrees, else Windows-1252."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    opened = pa.input_stream(str(path), compression="gzip" if path.suffix.lower() == ".gz" else None)
    try:
        with opened:
            while block := opened.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def as_day(text: str) -> datetime.date:
    """Read a day of a setting."""
    try:
        return datetime.date.fromisoformat(str(text))
    except ValueError:
        raise TableError(f"{text!r} is not a day; write it as 2015-12-31") from None
