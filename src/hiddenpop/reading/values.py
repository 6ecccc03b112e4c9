"""The values of columns whose role is known: words as 0 and 1, counts as whole numbers, strata as levels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._typing import Bools
from hiddenpop._words import NO_WORDS, YES_WORDS, plain_word
from hiddenpop.errors import TableError
from hiddenpop.reading.columns import FEW, MOST_WORDS, NOT_RECORDED, Column
from hiddenpop.reading.numbers import Counts, read_counts_of
from hiddenpop.reading.questions import Choices, OpenQuestionError, unclear_sign
from hiddenpop.reading.record import PRESENCE, Options, number_of, places
from hiddenpop.reading.shapes import is_unknown_count

__all__ = ["UNKNOWN", "counts_of", "levels_of", "unknown_counts", "visits_question", "zero_one"]

UNKNOWN = "unknown"
"""The level of a covariate that was not recorded."""

VISITS_SAID = "of the numbers in lists, every one above 0 was read as being on the list"
BLANKS_SAID = "a list that is blank or NA in a row was read as 0, as no list says 0"


def zero_one(columns: Sequence[Column], counted: Bools, options: Options) -> tuple[dict[str, Any], list[str]]:
    """Read the words of lists as 0 and 1.

    Parameters
    ----------
    columns : sequence of Column
    counted : ndarray of bool, shape (n,)
        Rows that count somebody.
    options : Options

    Returns
    -------
    values : dict of str to Series
        By column; one with faults keeps its texts, so that they can be told with the others.
    notes : list of str
    """
    if options.yes is not None:
        return _told_words(columns, plain_word(options.yes))
    if options.visits is not None:
        return _presence(columns, options)
    if said := _said_of_filled(columns):
        return {
            c.name: _mapped(c, {level: level.casefold() not in NOT_RECORDED for level in c.levels}, False)
            for c in columns
        }, [said]
    filled = [column for column in columns if not column.is_blank]
    if filled and all(column.is_one_two for column in filled) and any("2" in c.words for c in filled):
        on = _one_or_two(filled, counted)
        said = f"of the codes 1 and 2, {on} was read as being on the list"
        return {
            c.name: _mapped(c, {level: plain_word(level) == on for level in c.levels}, None) for c in columns
        }, [said]
    ticked = not any(column.present & NO_WORDS for column in columns) and any(
        column.has_gaps for column in columns
    )
    if ticked and all(column.holds_ticks for column in columns):
        values = {
            c.name: _mapped(c, {level: plain_word(level) in c.present for level in c.levels}, False)
            for c in columns
        }
        return values, [BLANKS_SAID]
    return {column.name: _words(column) for column in columns}, []


def _said_of_filled(columns: Sequence[Column]) -> str:
    """Say how lists are read in which somebody who is on them has a day or a number; empty for other lists."""
    if columns and all(c.holds_dates for c in columns) and any(c.has_gaps for c in columns):
        return "a day in a column that is a list was read as being on that list, and a blank as not"
    if columns and all(c.holds_records for c in columns):
        return (
            "a number or text in a column that is a list was read as being on that list, and a blank as not"
        )
    return ""


def _presence(columns: Sequence[Column], options: Options) -> tuple[dict[str, Any], list[str]]:
    """Read numbers of visits, of which every one above 0 says "on the list"; words are read as ever."""
    read = {
        c.name: read_counts_of(c.levels, options.decimal)
        for c in columns
        if c.is_number or not (c.words and c.words <= YES_WORDS | NO_WORDS)
    }
    for name, counts in read.items():
        if counts.unclear:
            raise unclear_sign(name, counts.unclear)
    missing = None if any(0 in counts.numbers for counts in read.values()) else 0
    values = {c.name: _visited(c, read[c.name], missing) if c.name in read else _words(c) for c in columns}
    blanks = missing == 0 and any(c.has_gaps for c in columns if c.name in read)
    return values, [VISITS_SAID, *([BLANKS_SAID] if blanks else [])]


def _visited(column: Column, read: Counts, missing: int | None) -> "pd.Series[Any]":
    """Map numbers to 0 and 1; what is not a whole number stays, so that it is told with the other faults."""
    mapped: list[Any] = []
    for level, number, bound in zip(column.levels, read.numbers, read.bounds, strict=True):
        if level.casefold() in NOT_RECORDED:
            mapped.append(missing)
        else:
            right = isinstance(number, int) and number >= 0 and not bound
            mapped.append(int(bool(number)) if right else _plain_value(level))
    return pd.Series(np.array([*mapped, missing], dtype=object)[column.codes])


def visits_question(columns: Sequence[Column], ways: Choices, instead: str = "") -> OpenQuestionError | None:
    """Ask whether lists with numbers above 1 hold numbers of visits; None where they do not look like it.

    Parameters
    ----------
    columns : sequence of Column
        The lists.
    ways : sequence of sequences of mappings
        What else is to be said, each way with the shortest first.
    instead : str, optional
        What is told where no answer works.
    """
    held = [column for column in columns if column.may_be_visits]
    if not held or not all(c in held or c.is_binary or c.is_blank for c in columns):
        return None
    above = [
        np.isin(c.codes, [place for place, level in enumerate(c.levels) if _is_above_one(level)])
        for c in held
    ]
    rows = np.flatnonzero(np.logical_or.reduce(above))
    names = ", ".join(repr(column.name) for column in held)
    return OpenQuestionError(
        f"column {names} holds whole numbers above 1, in {places(rows)}, where a list holds 0 and 1; correct them, or, "
        "if they are numbers of visits and who has any is on the list",
        [[{**answer, "visits": PRESENCE} for answer in way] for way in ways],
        instead=instead,
    )


def _is_above_one(level: str) -> bool:
    return plain_word(level) not in NOT_RECORDED | {"0", "1"}


def _told_words(columns: Sequence[Column], yes: str) -> tuple[dict[str, Any], list[str]]:
    """Read lists of which the user named the word for being on them; every other word says the other thing."""
    others = {column.name: column.present - {yes} for column in columns}
    blanks = not any(others.values())  # then a blank says the other thing
    for column in columns:
        several = len(others[column.name]) >= MOST_WORDS or len(column.levels) > FEW
        if several or not any(yes in held.present for held in columns):
            number = f"{MOST_WORDS} other values or more" if several else "no such value"
            raise TableError(
                f"--yes names the value that says 'on the list' where lists hold a few, and column {column.name!r} "
                f"holds {number}; name the value as it stands there, or leave out --yes"
            )
    missing = 0 if blanks else None
    values = {
        column.name: pd.Series(
            np.array([*(_told(level, yes, missing) for level in column.levels), missing], dtype=object)[
                column.codes
            ]
        )
        for column in columns
    }
    told = [BLANKS_SAID] if blanks and any(column.has_gaps for column in columns) else []
    if any(len(held) > 1 for held in others.values()):
        told.append("every other value of a list than the one named by --yes was read as not being on it")
    return values, told


def _told(level: str, yes: str, missing: int | None) -> int | None:
    word = plain_word(level)
    return missing if word in NOT_RECORDED else int(word == yes)


def _words(column: Column) -> "pd.Series[Any]":
    """Map the words of a pair; any other column keeps its texts."""
    yes, no = column.words & YES_WORDS, column.words & NO_WORDS
    if column.words and yes | no == column.words and len(yes) <= 1 and len(no) <= 1:
        return _mapped(column, {level: plain_word(level) in YES_WORDS for level in column.levels}, None)
    return _texts(column)


def _texts(column: Column) -> "pd.Series[Any]":
    return pd.Series(np.array([*map(_plain_value, column.levels), None], dtype=object)[column.codes])


def _plain_value(level: str) -> object:
    """Give a small number as a number, so that an error shows it as it was meant."""
    try:
        number = float(level)
    except ValueError:
        return level
    return int(number) if number.is_integer() else number


def _mapped(column: Column, values: dict[str, bool], blank: bool | None) -> "pd.Series[Any]":
    found = [int(values[level]) for level in column.levels]
    if blank is None and (column.codes < 0).any():
        return pd.Series(np.array([*found, None], dtype=object)[column.codes])
    return pd.Series(np.array([*found, 0], dtype=np.int8)[column.codes])


def _one_or_two(columns: Sequence[Column], counted: Bools) -> str:
    """Find which code says "on the list": nobody who was counted can be on none."""
    words = [np.array([*map(plain_word, column.levels), ""])[column.codes] for column in columns]
    all_one, all_two = (np.all([word == code for word in words], axis=0) for code in ("1", "2"))
    one_is_on = (all_one & counted).any() or (all_two & ~counted).any()
    two_is_on = (all_two & counted).any() or (all_one & ~counted).any()
    if one_is_on == two_is_on:
        raise OpenQuestionError(
            "the lists hold codes 1 and 2, and nothing says which of them means being on the list",
            [[{"yes": "1"}], [{"yes": "2"}]],
        )
    return "1" if one_is_on else "2"


def counts_of(column: Column, options: Options, separator: str) -> tuple["pd.Series[Any]", Bools, list[str]]:
    """Read counts; a text that is none stays, so that it can be told with the other faults.

    Returns
    -------
    counts : Series
    bounds : ndarray of bool, shape (n,)
        True where a count is only an upper bound.
    notes : list of str
    """
    read = read_counts_of(column.levels, options.decimal, separator)
    if read.unclear:
        raise unclear_sign(column.name, read.unclear)
    values = [
        level if value is None else value for level, value in zip(column.levels, read.numbers, strict=True)
    ]
    filled = np.empty(len(values) + 1, dtype=object)
    filled[:-1] = values
    bounds = np.array([*read.bounds, False])[column.codes]
    notes = [f"{sign} in {column.name} was read as {meaning}" for sign, meaning in read.signs.items()]
    if bounds.any():
        notes.append(f"{number_of(int(bounds.sum()), 'count')}, such as <10, read as an upper bound only")
    return pd.Series(filled[column.codes]), bounds, notes


def unknown_counts(column: Column) -> Bools:
    """Mark the rows whose count is blank, NA, ? or 0."""
    unknown = [*map(is_unknown_count, column.levels), True]
    return np.array(unknown, dtype=np.bool_)[column.codes]


def levels_of(column: Column) -> tuple[pd.Categorical, Bools]:
    """Read a stratum; a value that is missing is a level of its own, "unknown".

    Returns
    -------
    levels : Categorical
    missing : ndarray of bool, shape (n,)
    """
    lost = [level.casefold() in (*NOT_RECORDED, "?") for level in column.levels]
    texts = [UNKNOWN if gone else level for gone, level in zip(lost, column.levels, strict=True)]
    names, renumbered = np.unique(np.array([*texts, UNKNOWN], dtype=object).astype(str), return_inverse=True)
    codes = renumbered[column.codes]
    used, codes = np.unique(codes, return_inverse=True)
    return pd.Categorical.from_codes(codes, categories=pd.Index(names[used].tolist())), np.array(
        [*lost, True]
    )[column.codes]
