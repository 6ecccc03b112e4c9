"""Faults of a register, found in one pass of SQL: row, column, what is wrong, what to do, and never an identity."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hiddenpop.registers.pseudonyms import kind_of
from hiddenpop.registers.source import Register, quoted

__all__ = ["DAY", "find_faults"]

DAY = (
    "CAST(coalesce(try_strptime({0}, '%Y%m%d'), try_strptime({0}, '%Y-%m-%d'), try_strptime({0}, '%Y-%m-%d %H:%M:%S'), "
    "try_strptime({0}, '%d-%m-%Y'), try_strptime({0}, '%d/%m/%Y')) AS DATE)"
)
"""A day as registers write it, or nothing."""

PLACE_WIDTH = 4
EARLIEST_BIRTH = 1880
SHORT = 3
"""Signs of a value that an error may repeat; of a longer one it tells the shape."""


@dataclass(frozen=True, slots=True)
class _Check:
    """What makes a row faulty, in SQL, and what to say of it."""

    column: str
    condition: str
    says: str
    advice: str
    value: str = ""


def find_faults(connection: Any, table: str, register: Register, today: datetime.date) -> list[str]:
    """Find the faults of a register.

    Parameters
    ----------
    connection : DuckDBPyConnection
    table : str
        With the rows, as `load_rows` makes it.
    register : Register
    today : date
        Days after it are faults.

    Returns
    -------
    list of str
        One a kind of fault and column, with the first row that has it and how many have it. Values appear only of
        columns that identify nobody, and of these only short ones; of others their shape, with 9 for a digit and a
        for a letter: a row that slipped by a column may hold a name where a day should stand.
    """
    checks = list(_checks(register, today))
    several = f"count(*) - count(DISTINCT {_identity(register)})"
    asked = [
        f"count(*), {several}",
        *(_asked(check) for check in checks),
        *(_widths(c) for c in _width_columns(register)),
    ]
    found = list(connection.execute(f"SELECT {', '.join(asked)} FROM {table}").fetchall()[0])
    rows, repeated, *rest = found
    if not rows:
        return [f"register {register.name!r} holds no rows; there is nobody to count"]
    faults = []
    for check in checks:
        number, row, value = rest[:3]
        del rest[:3]
        if number:
            faults.append(_said(register, check, number, row, value))
    if repeated:
        faults.append(_repeats(connection, table, register))
    for column, widths in zip(_width_columns(register), rest, strict=True):
        if widths and len(widths) > 1:
            faults.append(_unequal(connection, table, register, column, widths))
    return faults


def _identity(register: Register) -> str:
    record = quoted(register.record)
    return f"({quoted(register.register)}, {record})" if register.register else record


def _checks(register: Register, today: datetime.date) -> Iterator[_Check]:
    record, day = quoted(register.record), quoted(register.day)
    yield _Check(register.record, f"{record} IS NULL", "is empty", "number every record")
    yield _Check(register.day, f"{day} IS NULL", "is empty", "complete or remove the registration")
    parsed = DAY.format(day)
    written = "write days as 20151231 or 2015-12-31"
    yield _Check(register.day, f"{day} IS NOT NULL AND {parsed} IS NULL", "is not a day", written, day)
    yield _Check(register.day, f"{parsed} > DATE '{today}'", "lies in the future", "correct the day", day)
    if register.register:
        column = quoted(register.register)
        yield _Check(
            register.register, f"{column} IS NULL", "names no register", "complete or remove the registration"
        )
    for column, values in register.codes.items():
        yield _code_check(column, values)
    for column, width in register.width.items():
        wrong = f"length({quoted(column)}) <> {int(width)}"
        yield _Check(
            column,
            wrong,
            f"has not {width} signs",
            "write it with all of its signs, leading zeros too",
            quoted(column),
        )
    for field, column in register.link.items():
        yield from _link_checks(field, column, today)


def _code_check(column: str, values: tuple[str, ...]) -> _Check:
    allowed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    condition = f"{quoted(column)} NOT IN ({allowed})" if allowed else f"{quoted(column)} IS NOT NULL"
    shown = ", ".join(values[:8]) + (" and others" if len(values) > 8 else "")
    return _Check(
        column,
        condition,
        "is outside its list",
        f"it may be {shown}; add the code or correct it",
        quoted(column),
    )


def _link_checks(field: str, column: str, today: datetime.date) -> Iterator[_Check]:
    name = quoted(column)
    if kind_of(field) == "date":
        digits = f"regexp_replace({name}, '[^0-9]', '', 'g')"
        known = f"{name} IS NOT NULL"
        four = f"CASE WHEN {name} ~ '^[0-9]{{4}}' THEN left({digits}, 4) ELSE right({digits}, 4) END"
        year = f"try_cast({four} AS INTEGER)"
        part = f"regexp_matches({digits}, '^[0-9]{{4}}(00|0[1-9]|1[0-2])(0[0-9]|[12][0-9]|3[01])')"
        back = f"regexp_full_match({name}, '[0-9]{{1,2}}[-/. ][0-9]{{1,2}}[-/. ][0-9]{{4}}')"
        advice = "write dates as 19871231, with 00 for what is not known, or leave them empty"
        yield _Check(column, f"{known} AND NOT ({part} OR {back})", "is not a date", advice)
        odd = f"{known} AND ({part} OR {back}) AND {year} NOT BETWEEN {EARLIEST_BIRTH} AND {today.year}"
        yield _Check(
            column,
            odd,
            f"is a date before {EARLIEST_BIRTH} or after this year",
            "correct it or leave it empty",
        )
    if kind_of(field) == "place":
        plain = f"regexp_replace(upper({name}), '^GM', '')"
        advice = "write codes with leading zeros, such as 0363 or GM0363"
        yield _Check(
            column, f"length({plain}) <> {PLACE_WIDTH}", f"is not a code of {PLACE_WIDTH} signs", advice
        )


def _asked(check: _Check) -> str:
    value = f"arg_min({check.value}, row) FILTER ({check.condition})" if check.value else "NULL"
    return f"count(*) FILTER ({check.condition}), min(row) FILTER ({check.condition}), {value}"


def _said(register: Register, check: _Check, number: int, row: int, value: str | None) -> str:
    shown = "" if value is None else f" {_shape(value, plain=check.column in register.harmless)}"
    where = f"register {register.name!r}, column {check.column!r}: row {row}{shown}"
    return f"{where} {check.says}{_more(number)}; {check.advice}"


def _more(number: int) -> str:
    return "" if number == 1 else f", as in {number - 1:,} more"


def _shape(value: str, *, plain: bool) -> str:
    """Show a short value of a column that identifies nobody, and of any other the kinds of its signs."""
    if plain and len(value) <= SHORT:
        return f"({value!r})"
    outline = "".join("9" if sign.isdigit() else "a" if sign.isalpha() else sign for sign in value[:20])
    return f"(of the form {outline!r})"


def _repeats(connection: Any, table: str, register: Register) -> str:
    """Say which row repeats a record."""
    identity = _identity(register)
    again = f"SELECT row, row_number() OVER (PARTITION BY {identity} ORDER BY row) AS time FROM {table}"
    ((number, row),) = connection.execute(
        f"SELECT count(*), min(row) FROM ({again}) WHERE time > 1"
    ).fetchall()
    return (
        f"register {register.name!r}, column {register.record!r}: row {row} has the number of a record above it"
        f"{_more(number)}; every record must have its own number, remove copies"
    )


# --- keys that lost their leading zeros ------------------------------------------------------------------------------


def _width_columns(register: Register) -> list[str]:
    """Give the columns whose values must be equally long where nobody said how long."""
    return [column for column in register.key[-1:] if column not in register.width]


def _widths(column: str) -> str:
    return f"list_sort(list(DISTINCT length({quoted(column)})) FILTER ({quoted(column)} IS NOT NULL))"


def _unequal(connection: Any, table: str, register: Register, column: str, widths: list[int]) -> str:
    name = quoted(column)
    ((most,),) = connection.execute(f"SELECT mode(length({name})) FROM {table}").fetchall()
    ((number, row),) = connection.execute(
        f"SELECT count(*), min(row) FROM {table} WHERE length({name}) <> {most}"
    ).fetchall()
    found = ", ".join(str(width) for width in widths if width != most)
    return (
        f"register {register.name!r}, column {column!r}: row {row} has a key of {found} signs, where most have {most}"
        f"{_more(number)}; write keys with their leading zeros"
    )
