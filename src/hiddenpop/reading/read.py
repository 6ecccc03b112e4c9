"""`read_table`: a file or a frame to the cells of a table, with what was understood of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._cells import Cells, stratum_codes
from hiddenpop._frames import read_counts, read_indicators, read_registrations, settle_levels
from hiddenpop._typing import Bools, Ints
from hiddenpop.errors import TableError, UnknownNameError
from hiddenpop.reading.columns import UNKNOWN_COUNT, Column, is_code, make_column, one_spelling, writable
from hiddenpop.reading.files import SUFFIXES, Grid, frame_of_records, grid_of_frame, read_grids
from hiddenpop.reading.frames import is_frame, plain_frame
from hiddenpop.reading.header import tables_of, unfolded
from hiddenpop.reading.questions import OpenQuestionError, ask
from hiddenpop.reading.record import Options, Reading, number_of, people, places
from hiddenpop.reading.roles import Roles, all_differ, assign, filled_down
from hiddenpop.reading.shapes import Sheet, rows_of, sheet_of_grid
from hiddenpop.reading.values import counts_of, levels_of, unknown_counts, visits_question, zero_one

__all__ = ["SUFFIXES", "read_table"]

_Found = tuple[Cells, Reading]
AGREEING = 3
"""Cells with persons in which a level must be the sum of the others: fewer could agree by chance."""

MONTHS = 12
_NUMBERS_OF_DAY = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ]\d{2,4}")
_DATE_KEY, _PERSON, _LIST, _COUNT, _BOUND = "\0date", "\0person", "\0list", "\0count", "\0bound"


def read_table(source: Any, options: Options) -> _Found:
    """Read a table from a file, a dataframe or a dict of counts.

    Parameters
    ----------
    source : path, DataFrame or mapping
    options : Options
        What the user says of it.

    Returns
    -------
    cells : Cells
    reading : Reading

    Raises
    ------
    TableError
        For a file that cannot be read, faulty values, all in one message, or one question where it can be read in
        several ways.
    UnknownNameError
        For a column that is not there.
    """
    grids = _grids(source)

    def attempt(tried: Options) -> _Found:
        sheet = sheet_of_grid(_chosen(grids, tried.sheet), tried)
        return _cells_of(sheet, assign(sheet, tried), tried)

    try:
        return attempt(options)
    except OpenQuestionError as question:
        raise ask(question, options, attempt) from None
    except UnknownNameError:
        raise
    except TableError as error:
        raise TableError(str(error).replace("{path}", str(source))) from None


def _grids(source: Any) -> tuple[Grid, ...]:
    """Read the tables of a source; sheets and parts of them that look like none are left out where others do."""
    if isinstance(source, Mapping):
        return (grid_of_frame(frame_of_records(_by_history(source))),)
    if is_frame(source):
        return (grid_of_frame(plain_frame(source)),)
    read = tuple(map(unfolded, read_grids(Path(source))))
    tables = tuple(table for grid in read for table in tables_of(grid))
    found = tables or read
    if len(read) > 1 == len(found):
        said = f"the file has {len(read)} sheets, and one of them holds a table"
        return (replace(found[0], notes=(*found[0].notes, said)),)
    return found


def _chosen(grids: Sequence[Grid], sheet: str | None) -> Grid:
    """Take the table that was named, by its name or its number, or the only one."""
    names = [grid.name or str(place) for place, grid in enumerate(grids, 1)]
    if sheet is None:
        if len(grids) == 1:
            return grids[0]
        shown = [str(place) if is_code(name) else name for place, name in enumerate(names, 1)]
        if make_column("", pd.Series(names)).holds_identifiers:
            shown = [*map(str, range(1, len(names) + 1))]
        raise OpenQuestionError(
            f"the file holds {len(grids)} tables",
            [[{"sheet": name}] for name in shown],
            "keep one table in a file, or name one with --sheet",
        )
    known = dict(zip([*map(str, range(1, len(grids) + 1)), *names], [*grids, *grids], strict=True))
    if sheet not in known:
        raise TableError(
            f"--sheet names no table of {{path}}: it has {number_of(len(grids), 'table')}; name one by its number, "
            "from 1, or leave out --sheet"
        )
    return known[sheet]


def _by_history(counts: Mapping[Any, Any]) -> dict[str, Any]:
    """Write the keys of counts as texts: (1, 1, 0) as 110."""
    return {
        "".join(str(int(on)) for on in key) if isinstance(key, tuple) else str(key): n
        for key, n in counts.items()
    }


def _cells_of(sheet: Sheet, roles: Roles, options: Options) -> _Found:
    readers = {"cell": _read_cells, "person": _read_persons, "registration": _read_registrations}
    try:
        return readers[roles.unit](sheet, roles, options)
    except OpenQuestionError:
        raise
    except TableError as faults:
        columns = () if options.visits or roles.list else [sheet.columns[name] for name in roles.lists]
        question = visits_question(columns, [[{}, {"lists": roles.lists}]], str(faults))
        if question is None:
            raise
        raise question from None


def _reading(sheet: Sheet, roles: Roles, notes: list[str], persons: int | None = None) -> Reading:
    return Reading(
        roles.unit, sheet.rows, persons, roles.by_column(sheet), (*sheet.notes, *roles.notes, *notes)
    )


def _strata(sheet: Sheet, roles: Roles, notes: list[str]) -> dict[str, pd.Categorical]:
    levels = {}
    for name in roles.strata:
        levels[name], missing = levels_of(sheet.columns[name])
        if missing.any():
            notes.append(
                f'{name} is missing in {people_or_rows(missing, roles)}, which got the level "unknown"'
            )
    return levels


def people_or_rows(rows: Bools, roles: Roles) -> str:
    """Count rows, where each is a person in words that may leave."""
    number = int(rows.sum())
    return people(number) if roles.unit == "person" else number_of(number, "row")


# --- one row per cell ----------------------------------------------------------------------------------------------


def _read_cells(sheet: Sheet, roles: Roles, options: Options) -> _Found:
    notes: list[str] = []
    sheet = _filled_down(sheet, roles, notes)
    column = sheet.columns[str(roles.count)]
    unknown = unknown_counts(column)
    values, said = zero_one([sheet.columns[name] for name in roles.lists], ~unknown, options)
    notes += said
    counts, bounds, said = counts_of(column, options, sheet.separator)
    notes += said
    on_none = _on_none(values, sheet.rows)
    notes += _told_of_nobody(on_none, unknown, counts)
    counts = counts.where(~on_none, 0)
    frame = pd.DataFrame(
        {**values, **_strata(sheet, roles, notes), _COUNT: counts, _BOUND: bounds & ~on_none}
    )
    if roles.censored is not None:
        frame[_BOUND] = _flags(sheet.columns[roles.censored], bounds)
    frame = _without_sums(frame, roles, notes)
    named = frame.rename(columns={_COUNT: str(roles.count)})
    cells = read_counts(named, roles.lists, str(roles.count), list(roles.strata), _BOUND, add_up=True)
    if options.lists is None:
        _refuse_parts(cells, roles)
    return cells, _reading(sheet, roles, notes)


def _filled_down(sheet: Sheet, roles: Roles, notes: list[str]) -> Sheet:
    """Repeat a stratum over the blanks below it where, left blank, rows would be of one cell: as of merged cells."""
    cells = (*roles.lists, *roles.strata)
    for name in roles.strata:
        filled = filled_down(sheet, [name])
        if (
            (sheet.columns[name].codes < 0).any()
            and all_differ(filled, cells)
            and not all_differ(sheet, cells)
        ):
            sheet = filled
            notes.append(f"a blank in {name} was read as the value above it, as of merged cells")
    return sheet


def _without_sums(frame: pd.DataFrame, roles: Roles, notes: list[str]) -> pd.DataFrame:
    """Leave out a level of a stratum whose counts are, in every cell, those of the other levels together."""
    if not all(isinstance(count, int) for count in frame[_COUNT]) or any(frame[_BOUND] == 1):
        return frame
    numbers = frame.assign(**{_COUNT: frame[_COUNT].astype(np.float64)})
    for name in roles.strata:
        others = [held for held in (*roles.lists, *roles.strata) if held != name]
        sums = numbers.pivot_table(_COUNT, others, name, aggfunc="sum", fill_value=0, observed=True)
        counts = sums.to_numpy(dtype=np.float64)
        is_sum = (2 * counts == counts.sum(axis=1, keepdims=True)).all(axis=0)
        is_sum &= (counts > 0).sum(axis=0) >= AGREEING
        if counts.shape[1] > 2 and is_sum.any():
            kept = frame[name] != sums.columns[int(is_sum.argmax())]
            levels = frame.loc[kept, name].cat.remove_unused_categories()
            frame = frame.loc[kept].assign(**{name: levels}).reset_index(drop=True)
            notes.append(f"one level of {name} is the sum of the others in every cell, and is left out")
    return frame


def _refuse_parts(cells: Cells, roles: Roles) -> None:
    """Ask for the lists where two rows are of one cell: a list or a stratum may be missing, or counts come in parts."""
    places = np.column_stack([stratum_codes(cells.strata), cells.histories])
    if len(np.unique(places, axis=0)) == len(places):
        return
    named = {
        "lists": roles.lists,
        "count": str(roles.count),
        **({"strata": roles.strata} if roles.strata else {}),
    }
    raise OpenQuestionError(
        "two rows or more are of the same lists and strata; to add them up, name the lists", [[named]]
    )


def _on_none(values: Mapping[str, Any], rows: int) -> Bools:
    """Mark the rows on none of the lists; a list with a fault hides them."""
    if not values or any(held.dtype == object for held in values.values()):
        zeros = [held.eq(0).to_numpy(dtype=np.bool_) for held in values.values()]
        return np.logical_and.reduce(zeros) if zeros else np.zeros(rows, dtype=np.bool_)
    return np.asarray(np.logical_and.reduce([held.to_numpy() == 0 for held in values.values()]))


def _told_of_nobody(on_none: Bools, unknown: Bools, counts: "pd.Series[Any]") -> list[str]:
    known = np.array([isinstance(count, int) for count in counts], dtype=np.bool_)
    sought, counted = on_none & (unknown | ~known), on_none & ~unknown & known
    notes = []
    if sought.any():
        notes.append("the row of those on no list is what is sought, and is read over")
    if counted.any():
        number = sum(counts[counted])
        notes.append(f"{people(number)} on none of the lists left out: how many those are is what is sought")
    return notes


def _flags(column: Column, bounds: Bools) -> "pd.Series[Any]":
    """Join a column that says which counts are bounds with what the counts themselves say."""
    texts = np.array([*column.levels, None], dtype=object)[column.codes]
    return pd.Series(np.where(bounds, "true", texts))


# --- one row per person, or a registration -------------------------------------------------------------------------


def _read_persons(sheet: Sheet, roles: Roles, options: Options) -> _Found:
    notes: list[str] = []
    everybody = np.ones(sheet.rows, dtype=np.bool_)
    values, said = zero_one([sheet.columns[name] for name in roles.lists], everybody, options)
    notes += said
    frame = pd.DataFrame({**values, **_strata(sheet, roles, notes)}, index=range(sheet.rows))
    cells = read_indicators(frame, roles.lists, list(roles.strata), leave_unlisted=True)
    notes += _told_of_unlisted(sheet.rows - cells.histories.size)
    return cells, _reading(sheet, roles, notes)


def _told_of_unlisted(number: int) -> list[str]:
    return [f"{people(number)} on none of the lists left out"] if number else []


def _read_registrations(sheet: Sheet, roles: Roles, options: Options) -> _Found:
    notes: list[str] = []
    if roles.count is not None:
        before = len(sheet.columns[str(roles.person)].levels)
        sheet = _with_a_visit(sheet, sheet.columns[roles.count], options, notes)
        notes += _told_of_unlisted(before - len(sheet.columns[str(roles.person)].levels))
    who = sheet.columns[str(roles.person)]
    people = _known_persons(who)
    frame = pd.DataFrame({_PERSON: np.where(people < 0, np.nan, people)}, index=range(sheet.rows))
    _refuse_nobody(people, who.name)
    if roles.list is None:
        counted = np.ones(sheet.rows, dtype=np.bool_)
        values, said = zero_one([sheet.columns[name] for name in roles.lists], counted, options)
        notes += said
        frame = frame.assign(**values)
    else:
        named, told = one_spelling(sheet.columns[roles.list])
        texts, said = writable(named.levels)
        notes += [*told, *said]
        roles = replace(roles, lists=tuple(texts.get(name, name) for name in roles.lists))
        frame[_LIST] = pd.Categorical.from_codes(named.codes, categories=pd.Index([*texts.values()]))
    levels = _strata(sheet, replace(roles, unit="cell"), notes)
    frame = frame.assign(**levels)
    if roles.date is not None:
        frame[_DATE_KEY] = _days(sheet.columns[roles.date])
    notes += _settled(frame, who, roles, options)
    cells = read_registrations(
        frame,
        _PERSON,
        _LIST if roles.list is not None else None,
        list(roles.strata),
        roles.lists or None,
        conflicts=options.conflicts,
        date=None if roles.date is None else _DATE_KEY,
        leave_unlisted=True,
    )
    persons = len(who.levels)
    notes += _told_of_unlisted(persons - cells.histories.size)
    return cells, _reading(sheet, roles, notes, persons)


def _with_a_visit(sheet: Sheet, column: Column, options: Options, notes: list[str]) -> Sheet:
    """Leave out rows that say that a person was never on the list, or not on it."""
    if column.is_binary and not column.is_zero_one:
        values, _ = zero_one([column], np.ones(sheet.rows, dtype=np.bool_), options)
        numbers, bounds = values[column.name], np.zeros(sheet.rows, dtype=np.bool_)
    else:
        numbers, bounds, said = counts_of(column, options, sheet.separator)
        notes += said
    right = np.array([isinstance(held, int) and held >= 0 for held in numbers], dtype=np.bool_) & ~bounds
    if not right.all():
        raise TableError(
            f"column {column.name!r} must say in whole numbers how often a person was on a list, which it does not in "
            f"{places(np.flatnonzero(~right))}; correct them, with 0 for never"
        )
    kept = numbers.to_numpy() > 0
    if not kept.all():
        notes.append(f"{number_of(int((~kept).sum()), 'row')} left out, in which {column.name} says 0")
    return rows_of(sheet, kept)


def _known_persons(who: Column) -> Ints:
    """Give the number of each row's person, -1 where the text says that somebody is not known."""
    unknown = [
        place
        for place, level in enumerate(who.levels)
        if len(level) < 9 and level.casefold() in UNKNOWN_COUNT
    ]
    return np.where(np.isin(who.codes, unknown), -1, who.codes) if unknown else who.codes


def _refuse_nobody(people: Ints, name: str) -> None:
    rows = np.flatnonzero(people < 0)
    if rows.size:
        raise TableError(f"column {name!r}: no person in {places(rows)}; complete or remove the registration")


def _settled(frame: pd.DataFrame, who: Column, roles: Roles, options: Options) -> list[str]:
    """Say how many persons have several values of a stratum, and ask which counts where nothing was said."""
    notes = []
    for name in roles.strata:
        order = frame[_DATE_KEY].to_numpy() if roles.date is not None else None
        codes = np.asarray(frame[name].cat.codes, dtype=np.int64)
        _, torn = settle_levels(codes, who.codes, len(who.levels), order, options.conflicts)
        number = int(torn.sum())
        if number and options.conflicts == "error":
            raise OpenQuestionError(
                f"column {name!r} differs between the registrations of {people(number)}",
                [[{"conflicts": how}] for how in ("first", "last", "mode")],
            )
        if number:
            notes.append(
                f"{name} differs between the registrations of {people(number)}; the {options.conflicts} counts"
            )
    return notes


def _has_month_first(texts: Sequence[str]) -> bool:
    """Tell 3/28/2020 from 28/3/2020: a day is written first unless some of the days say otherwise."""
    found = [match for match in map(_NUMBERS_OF_DAY.match, texts) if match]
    return any(int(match[2]) > MONTHS for match in found) and not any(
        int(match[1]) > MONTHS for match in found
    )


def _days(column: Column) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Read days as numbers to put registrations in order; one that cannot be read stands last."""
    texts = pd.Series([*column.levels], dtype=object)
    read = pd.to_datetime(texts, errors="coerce", format="ISO8601")
    if read.isna().any():
        first = not _has_month_first(column.levels)
        read = read.fillna(pd.to_datetime(texts, errors="coerce", dayfirst=first, format="mixed"))
    if read.isna().all():
        raise TableError(
            f"column {column.name!r} holds no dates; write them as 2026-11-26, or leave out --date"
        )
    numbers = read.astype("int64").to_numpy(dtype=np.float64)
    numbers[read.isna().to_numpy()] = np.inf
    return np.array([*numbers, np.inf])[column.codes]
