"""`Registrations`: the registers after reading, checking and pseudonymising, as one relation of DuckDB."""

import datetime
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import pandas as pd

from hiddenpop._front_door import front_door
from hiddenpop.errors import HiddenpopError, TableError
from hiddenpop.extras import need
from hiddenpop.keys import read_key
from hiddenpop.reading.values import UNKNOWN
from hiddenpop.registers.checks import DAY, find_faults
from hiddenpop.registers.pseudonyms import Normal, encoded, kind_of, part_columns
from hiddenpop.registers.source import Register, as_day, load_rows, quoted

__all__ = ["TABLE", "Registrations"]

TABLE = "registrations"
OWN = ("id", "record", "register", "day", "unit", "key")
"""Columns that every relation has; link fields and strata stand behind them."""

DISTINCT_AT_A_TIME = 200_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registrations:
    """Registrations of several registers, checked, and without direct identifiers.

    Attributes
    ----------
    connection : DuckDBPyConnection
        A database in memory with the table ``registrations``: one row per registration with the columns ``id``,
        ``record``, ``register``, ``day``, ``unit``, ``key``, the parts of the link fields, and the strata.
    registers : tuple of str
        In the order given.
    link : tuple of str
        Link fields, in the order in which the registers name them.
    strata : tuple of str
    has_key : bool
        Whether a register has a person key.
    pseudonymised : bool
        Whether keys and link fields are hashed.
    described : mapping
        How the registers were read, in plain data for a manifest.
    quality : DataFrame
        One row per register: rows, those left out and why, those kept, exact repeats, and the shares without a key and
        without each link field.

    Notes
    -----
    ``key`` is missing where the kind of key does not stand for a person. ``id`` numbers the rows by register and
    record, so that the order of rows, files and registers changes nothing. Pseudonyms are no anonymity: keep the
    object where the registers are, and let only a table leave. The database is in memory and writes nothing to disk.

    Examples
    --------
    >>> frame = pd.DataFrame({"no": ["1", "2"], "on": ["20190105", "20190301"], "name": ["Jansen", "Janssen"]})
    >>> told = {"data": frame, "record": "no", "day": "on", "link": {"last_name": "name"}}
    >>> Registrations.read({"police": told, "shelter": told}, pseudonymise=False)
    Registrations: 4 of 2 registers, not pseudonymised; link fields last_name
    """

    connection: Any
    registers: tuple[str, ...]
    link: tuple[str, ...]
    strata: tuple[str, ...]
    has_key: bool
    pseudonymised: bool
    described: Mapping[str, Any]
    quality: pd.DataFrame = field(repr=False)

    @classmethod
    @front_door
    def read(
        cls,
        registers: Mapping[str, Mapping[str, Any]],
        *,
        key_file: str | os.PathLike[str] | None = None,
        pseudonymise: bool = True,
        window: Sequence[str] | None = None,
        folder: str | os.PathLike[str] = ".",
        particles: Sequence[str] | None = None,
        patronymics: Sequence[str] = (),
        threads: int = 1,
        today: str | None = None,
    ) -> Self:
        """Read registers, check every row, and hash what could identify a person.

        Parameters
        ----------
        registers : mapping of str to mapping
            By name, as ``[registers.<name>]`` of a plan: ``file`` or ``data``, ``record``, ``day``, and as there are
            ``key``, ``key_kinds``, ``link``, ``strata``, ``codes``, ``width``, ``eligible``, ``unit``, ``register`` and
            ``table`` (see `hiddenpop.registers.source.Register`).
        key_file : path, optional
            The secret of the pseudonyms, at least 32 bytes that only you can read; `create_key` makes one.
        pseudonymise : bool
            False keeps names and keys readable in memory, for a closed room without a key. The manifest says so.
        window : sequence of str, optional
            First and last day; registrations outside are left out, and counted.
        folder : path
            Where files are looked for.
        particles : sequence of str, optional
            Words left out of last names; by default those usual here (van, de, el, ...).
        patronymics : sequence of str
            Endings of middle words of a last name that are left out.
        threads : int
            Of DuckDB.
        today : str, optional
            The day after which a registration cannot be; by default the day of reading.

        Returns
        -------
        Registrations

        Raises
        ------
        TableError
            With every fault of every register, by row and column and without an identity.
        UnknownNameError
            For a column that is not there.
        MissingExtraError
            Without DuckDB.
        """
        duckdb = need("duckdb", "reading registers")
        key = _secret(key_file, pseudonymise=pseudonymise)
        sources = _described(registers, Path(folder))
        normal = Normal(
            patronymics=tuple(patronymics),
            **({} if particles is None else {"particles": frozenset(word.casefold() for word in particles)}),
        )
        days = _window(window)
        connection = duckdb.connect(":memory:")
        # Nothing is spilled to disk, not even in part: a spill would hold names as they were typed.
        connection.execute(
            f"SET temp_directory = ''; SET threads = {int(threads)}; SET preserve_insertion_order = true"
        )
        try:
            quality = _read_all(connection, sources, key, normal, days, today)
        except BaseException:
            connection.close()
            raise
        link = tuple(dict.fromkeys(name for source in sources for name in source.link))
        strata = tuple(dict.fromkeys(name for source in sources for name in source.strata))
        return cls(
            connection=connection,
            registers=tuple(quality["register"]),
            link=link,
            strata=strata,
            has_key=any(source.key for source in sources),
            pseudonymised=pseudonymise,
            described=MappingProxyType(_manifest(sources, pseudonymise, days, normal)),
            quality=quality,
        )

    @property
    def relation(self) -> Any:
        """The rows, as a relation of DuckDB."""
        return self.connection.table(TABLE)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of the relation."""
        return tuple(self.relation.columns)

    def __len__(self) -> int:
        """Count the registrations."""
        return int(self.quality["kept"].sum())

    def __repr__(self) -> str:
        """Say what there is, and nothing of anybody."""
        how = "" if self.pseudonymised else ", not pseudonymised"
        fields = ", ".join((*(("key",) if self.has_key else ()), *self.link)) or "none"
        return f"Registrations: {len(self):,} of {len(self.registers)} registers{how}; link fields {fields}"

    @property
    def fingerprint(self) -> str:
        """A hash of the rows that does not depend on their order; of pseudonyms it tells nobody."""
        columns = ", ".join(quoted(name) for name in self.columns if name != "id")
        ((total,),) = self.connection.execute(f"SELECT sum(hash({columns})::HUGEINT) FROM {TABLE}").fetchall()
        return f"sha256:{hashlib.sha256(str(total).encode()).hexdigest()}"


def _secret(key_file: Any, *, pseudonymise: bool) -> bytes | None:
    if not pseudonymise:
        return None
    if key_file is None:
        raise TableError(
            "pseudonyms need a secret key and no key_file is named; make one with "
            "hiddenpop.registers.create_key(path), or "
            "say pseudonymise=False in a closed room"
        )
    return read_key(key_file)


def _window(window: Sequence[str] | None) -> tuple[datetime.date, datetime.date] | None:
    if window is None:
        return None
    if isinstance(window, str) or len(window) != 2:
        raise TableError(
            f'window must be a first and a last day, such as ["2015-01-01", "2019-12-31"]; got {window!r:.60}'
        )
    first, last = map(as_day, window)
    if first > last:
        raise TableError(f"the window begins on {first}, after its end on {last}; exchange them")
    return first, last


def _described(registers: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Register]:
    """Read what was said of every register, and refuse all faults at once."""
    if not registers:
        raise TableError("no registers are described; name at least one, with its file and columns")
    faults, sources = [], []
    by_case: dict[str, str] = {}
    for name, given in registers.items():
        if (other := by_case.setdefault(name.strip().casefold(), name)) != name:
            faults.append(f"registers {other!r} and {name!r} have one name; rename one")
        try:
            sources.append(Register.of(name, given, folder))
        except HiddenpopError as error:
            faults.append(str(error))
    if faults:
        raise TableError("\n  - ".join(faults))
    return sources


def _manifest(
    sources: Sequence[Register],
    pseudonymise: bool,
    days: tuple[datetime.date, datetime.date] | None,
    normal: Normal,
) -> dict[str, Any]:
    return {
        "registers": {source.name: source.described() for source in sources},
        "pseudonymise": pseudonymise,
        "window": None if days is None else [day.isoformat() for day in days],
        "particles": sorted(normal.particles),
        "patronymics": list(normal.patronymics),
    }


# --- from rows as typed to the relation ------------------------------------------------------------------------------


def _read_all(
    connection: Any,
    sources: Sequence[Register],
    key: bytes | None,
    normal: Normal,
    days: tuple[datetime.date, datetime.date] | None,
    today: str | None,
) -> pd.DataFrame:
    """Load every register, find every fault, then make the relation."""
    faults: list[str] = []
    latest = datetime.date.today() if today is None else as_day(today)
    for place, source in enumerate(sources):
        try:
            load_rows(connection, source, f"rows_{place}")
            faults += find_faults(connection, f"rows_{place}", source, latest)
        except HiddenpopError as error:
            faults.append(str(error))
    if faults:
        head = "1 fault in the registers" if len(faults) == 1 else f"{len(faults)} faults in the registers"
        raise TableError("\n  - ".join([f"{head}:", *faults]))
    counted = [_kept(connection, f"rows_{place}", source, days) for place, source in enumerate(sources)]
    _same_names(connection, sources)
    link = dict.fromkeys(name for source in sources for name in source.link)
    strata = dict.fromkeys(name for source in sources for name in source.strata)
    union = " UNION ALL ".join(
        _selected(f"rows_{place}", source, list(link), list(strata)) for place, source in enumerate(sources)
    )
    connection.execute(f"CREATE TABLE typed AS {union}")
    for place in range(len(sources)):
        connection.execute(f"DROP TABLE rows_{place}")
    for name in link:
        _encode_field(connection, name, key, normal)
    _encode_field(connection, "key", key, normal)
    _join(connection, list(link), list(strata))
    connection.execute("DROP TABLE typed")
    return _quality(connection, list(link), pd.concat(counted, ignore_index=True))


def _named(source: Register) -> str:
    return quoted(source.register) if source.register else "'" + source.name.replace("'", "''") + "'"


def _kept(
    connection: Any, table: str, source: Register, days: tuple[datetime.date, datetime.date] | None
) -> pd.DataFrame:
    """Take out rows that do not count, and say how many of each register."""
    day = DAY.format(quoted(source.day))
    outside = "false" if days is None else f"{day} NOT BETWEEN DATE '{days[0]}' AND DATE '{days[1]}'"
    wanted = []
    for column, values in source.eligible.items():
        listed = ", ".join("'" + str(value).replace("'", "''") + "'" for value in values) or "NULL"
        wanted.append(f"coalesce({quoted(column)} IN ({listed}), false)")
    other = f"NOT ({' AND '.join(wanted)})" if wanted else "false"
    counted: pd.DataFrame = connection.execute(
        f"SELECT {_named(source)} AS register, count(*) AS rows, count(*) FILTER ({other}) AS not_eligible, "
        f"count(*) FILTER (NOT ({other}) AND {outside}) AS outside_window FROM {table} GROUP BY 1 ORDER BY 1"
    ).df()
    connection.execute(f"DELETE FROM {table} WHERE {other} OR {outside}")
    return counted


def _same_names(connection: Any, sources: Sequence[Register]) -> None:
    """Refuse a register that two files hold."""
    named = " UNION ALL ".join(
        f"SELECT DISTINCT {place} AS place, {_named(source)} AS register FROM rows_{place}"
        for place, source in enumerate(sources)
    )
    doubled = connection.execute(
        f"SELECT lower(trim(register)) FROM ({named}) GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"
    ).fetchall()
    if doubled:
        names = ", ".join(repr(row[0]) for row in doubled)
        raise TableError(
            f"more than one register is called {names}; give each its own name, whatever the case"
        )


def _selected(table: str, source: Register, link: Sequence[str], strata: Sequence[str]) -> str:
    """Bring the columns of a register under the names that all of them share."""
    day = DAY.format(quoted(source.day))
    unit = quoted(source.unit) if source.unit else f"CAST(year({day}) AS VARCHAR)"
    fields = [
        f"{quoted(source.link[name]) if name in source.link else 'NULL'} AS {quoted(name)}" for name in link
    ]
    levels = [
        f"{f'coalesce({quoted(source.strata[name])}, {UNKNOWN!r})' if name in source.strata else repr(UNKNOWN)} AS "
        f"{quoted(f'stratum {name}')}"
        for name in strata
    ]
    parts = [
        f"{quoted(source.record)} AS record",
        f"{_named(source)} AS register",
        f"{day} AS day",
        f"coalesce({unit}, {UNKNOWN!r}) AS unit",
        f"{_key(source)} AS key",
        *fields,
        *levels,
    ]
    return f"SELECT {', '.join(parts)} FROM {table}"


def _key(source: Register) -> str:
    """Write a person key as one text, missing where its kind does not stand for a person."""
    if not source.key:
        return "CAST(NULL AS VARCHAR)"
    if len(source.key) == 1:
        return quoted(source.key[0])
    kind, number = map(quoted, source.key)
    kinds = ", ".join("'" + value.replace("'", "''") + "'" for value in source.key_kinds) or "NULL"
    return f"CASE WHEN {kind} IN ({kinds}) THEN {kind} || {number} END"


def _encode_field(connection: Any, name: str, key: bytes | None, normal: Normal) -> None:
    """Make a table of the parts of each distinct value: hashing is done once a value, and joined."""
    column, made = quoted(name), quoted(f"parts {name}")
    values = connection.sql(
        f"SELECT DISTINCT {column} FROM typed WHERE {column} IS NOT NULL"
    ).to_arrow_table()
    texts = values.column(0)
    connection.register("parts_source", encoded(name, [], key, normal))
    connection.execute(f"CREATE TABLE {made} AS FROM parts_source")
    connection.unregister("parts_source")
    for start in range(0, len(texts), DISTINCT_AT_A_TIME):
        block = texts.slice(start, DISTINCT_AT_A_TIME).to_pylist()
        connection.register("parts_source", encoded(name, block, key, normal))
        connection.execute(f"INSERT INTO {made} FROM parts_source")
        connection.unregister("parts_source")


def _join(connection: Any, link: Sequence[str], strata: Sequence[str]) -> None:
    """Put pseudonyms where values stood, and drop the values."""
    parts = [f"{quoted(f'parts {name}')}.{quoted(part)}" for name in link for part in part_columns(name)]
    levels = [f"{quoted(f'stratum {name}')} AS {quoted(f'stratum_{name}')}" for name in strata]
    joins = " ".join(
        f"LEFT JOIN {quoted(f'parts {name}')} ON typed.{quoted(name)} = {quoted(f'parts {name}')}.value"
        for name in (*link, "key")
    )
    columns = ["record", "register", "day", "unit", '"parts key".key AS key', *parts, *levels]
    connection.execute(
        f"CREATE TABLE {TABLE} AS SELECT CAST(row_number() OVER (ORDER BY register, record) - 1 AS INTEGER) AS id, "
        f"{', '.join(columns)} FROM typed {joins} ORDER BY id"
    )
    for name in (*link, "key"):
        connection.execute(f"DROP TABLE {quoted(f'parts {name}')}")


def _quality(connection: Any, link: Sequence[str], counted: pd.DataFrame) -> pd.DataFrame:
    """Say of each register how complete it is."""
    known = {name: _known(name) for name in link}
    missing = ", ".join(
        f"avg(CAST({condition} AS INTEGER)) AS {quoted(f'no_{name}')}"
        for name, condition in {
            "key": "key IS NULL",
            **{name: f"NOT ({c})" for name, c in known.items()},
        }.items()
    )
    content = ", ".join(["key", *(quoted(part) for name in link for part in part_columns(name)), "day"])
    found: pd.DataFrame = connection.execute(
        f"SELECT register, count(*) AS kept, count(*) - count(DISTINCT hash({content})) AS repeats, {missing} "
        f"FROM {TABLE} GROUP BY register ORDER BY register"
    ).df()
    merged = counted.merge(found, on="register", how="left")
    merged[["kept", "repeats"]] = merged[["kept", "repeats"]].fillna(0).astype("int64")
    return merged


def _known(name: str) -> str:
    """Say in SQL that a link field holds something: of a name its initial is enough, of a date its year."""
    part = {"name": f"{name}_initial", "date": f"{name}_year"}.get(kind_of(name), name)
    return f"{quoted(part)} IS NOT NULL"
