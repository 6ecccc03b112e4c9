"""Which column is what: named by the user, guessed and said, or asked."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from hiddenpop._cells import CENSORED, COUNT, FORMULA_SIGNS, is_written, unknown_name
from hiddenpop._typing import Bools, Ints
from hiddenpop._words import NO_WORDS, YES_WORDS, plain_word
from hiddenpop.errors import TableError
from hiddenpop.histories import MAX_LISTS
from hiddenpop.reading.columns import (
    FEW,
    MOST_WORDS,
    NOT_RECORDED,
    ROWS_PER_GROUP,
    ROWS_PER_STRATUM,
    Column,
    is_code,
    is_count_name,
    without_formula_signs,
)
from hiddenpop.reading.joined import LETTERS, OTHER_SIGNS, is_cut, splits_of
from hiddenpop.reading.numbers import read_counts_of
from hiddenpop.reading.questions import Answer, Choices, OpenQuestionError
from hiddenpop.reading.record import PRESENCE, Options
from hiddenpop.reading.shapes import Sheet
from hiddenpop.reading.values import visits_question

__all__ = ["NO_COUNT", "Roles", "all_differ", "assign", "filled_down"]

_SHARE = re.compile(r"\d{1,3}(\.\d+)?")
_HALF = 0.5
_NO_PAIR = "no column holds 0 and 1, or another pair of words, so a row may be a registration"
_ONE_COLUMN = (
    "the file has one column; set its cells apart with commas, semicolons, tabs or bars, and save it again"
)
NO_COUNT = "none"
"""What is typed to say that no column holds counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """What each column is.

    Parameters
    ----------
    unit : {"cell", "person", "registration"}
    lists : tuple of str
        Columns; or, where `list` names them, the lists in the order wanted (empty for those found).
    strata : tuple of str
    count, censored, person, list, date : str or None
    aside : tuple of str
    notes : tuple of str
    """

    unit: str
    lists: tuple[str, ...]
    strata: tuple[str, ...] = ()
    count: str | None = None
    censored: str | None = None
    person: str | None = None
    list: str | None = None
    date: str | None = None
    aside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def by_column(self, sheet: Sheet) -> dict[str, str]:
        """Give the role of each column, in the order of the file."""
        held = dict.fromkeys(self.aside, "set aside")
        held |= dict.fromkeys(self.strata, "stratum")
        held |= dict.fromkeys(() if self.list else self.lists, "list")
        single = {"count": self.count, "censored": self.censored, "person": self.person, "date": self.date}
        held |= {name: role for role, name in single.items() if name is not None}
        if self.list is not None:
            held[self.list] = "list name"
        return {name: held[name] for name in sheet.columns if name in held}


def assign(sheet: Sheet, options: Options) -> Roles:
    """Say what each column is.

    Raises
    ------
    OpenQuestionError
        Where a column can be two things.
    TableError, UnknownNameError
        For columns named twice or not there.
    """
    _check_named(sheet, options)
    if options.person is None and (given := options.of_registrations()):
        raise OpenQuestionError(
            f"{', '.join(f'--{name}' for name in given)} is of registrations, and no column names the persons",
            [[{"person": name}] for name in _by_levels(sheet, _held(options.list_column, options.date))],
        )
    roles = _registrations(sheet, options) if options.person is not None else _counted(sheet, options)
    _check_names(sheet, () if roles.list else roles.lists)
    return roles


def _check_names(sheet: Sheet, lists: Sequence[str]) -> None:
    """Ask for other names where those of lists could not be read back from the formula of a model."""
    if wrong := [name for name in lists if set(name) & FORMULA_SIGNS or not is_written(name)]:
        plain = [without_formula_signs(name, "_") for name in sheet.columns]
        raise OpenQuestionError(
            f"a list cannot be called {_names(wrong)}: control characters and the signs "
            f"{' '.join(sorted(FORMULA_SIGNS))} cannot be read back from a model's formula; name the columns in order",
            [[{"columns": plain}]],
            "rename it in the file",
        )


def _check_named(sheet: Sheet, options: Options) -> None:
    single = [
        name
        for name in (options.censored, options.person, options.list_column, options.date)
        if name is not None
    ]
    if options.count is not None and not _says_none(sheet, options):
        single.append(options.count)
    lists = () if options.list_column else options.lists or ()
    several = (*lists, *(options.strata or ()))
    for name in (*single, *several):
        if name not in sheet.columns:
            raise unknown_name("column", name, [known for known in sheet.columns if "\0" not in known])
    for name in several:
        if name in single or (name in lists and name in (options.strata or ())):
            raise TableError(f"{name!r} cannot be a list and something else; name the column once")
    if repeated := sorted({name for name in single if single.count(name) > 1}):
        raise TableError(f"{repeated[0]!r} is named for two things; name the column once")


def _says_none(sheet: Sheet, options: Options) -> bool:
    return options.count == NO_COUNT and NO_COUNT not in sheet.columns


def _held(*names: str | None) -> set[str]:
    return {name for name in names if name is not None}


def _by_levels(sheet: Sheet, without: Collection[str]) -> list[str]:
    """Name the columns, those with most different values first."""
    names = [name for name, column in sheet.columns.items() if name not in without and column.levels]
    return sorted(names, key=lambda name: -len(sheet.columns[name].levels))


# --- one row per registration --------------------------------------------------------------------------------------


def _registrations(sheet: Sheet, options: Options) -> Roles:
    person = str(options.person)
    count = None if _says_none(sheet, options) else options.count
    named = _held(person, options.list_column, options.date, count, *(options.strata or ()))
    left = [name for name in sheet.columns if name not in named]
    notes: tuple[str, ...] = ()
    if options.list_column is None:
        lists = options.lists if options.lists is not None else sheet.settled or _lists_beside(sheet, left)
        if not lists:
            raise _which_list(sheet, person, named)
    else:
        lists = options.lists or ()
        _check_list_column(sheet, person, options.list_column, options)
        if options.count is None:
            _ask_for_visits(sheet, person, options.list_column, left)
        notes = _told_of_others(sheet, options.list_column, left)
    strata = tuple(options.strata or ())
    _refuse_identifying(sheet, strata, of_persons=True)
    used = {*named, *(() if options.list_column else lists)}
    return Roles(
        unit="registration",
        lists=tuple(lists),
        strata=strata,
        count=count,
        person=person,
        list=options.list_column,
        date=options.date,
        aside=tuple(name for name in left if name not in used),
        notes=notes,
    )


def _lists_beside(sheet: Sheet, left: Iterable[str]) -> tuple[str, ...]:
    columns = [sheet.columns[name] for name in left if not sheet.columns[name].is_covariate_by_name]
    like = [
        column
        for column in columns
        if column.is_binary or column.is_tick or column.is_one_two or _may_be_visits(column, columns)
    ]
    sums = _sums(sheet, [column.name for column in like])
    return tuple(column.name for column in like if column.name not in sums)


def _may_be_visits(column: Column, left: Sequence[Column]) -> bool:
    """Tell a list of numbers of visits: most are 0 and 1, or no column says 0 and 1 alone and another is like it."""
    if not column.may_be_visits or is_count_name(column.name):
        return False
    alike = sum(other.may_be_visits and not is_count_name(other.name) for other in left)
    return column.is_nearly_binary or (alike > 1 and not any(other.is_binary for other in left))


def _which_list(sheet: Sheet, person: str, named: Collection[str]) -> OpenQuestionError:
    beside = _name_lists_beside(sheet, named)
    one = [
        name
        for name in reversed(_by_levels(sheet, {*named, *beside}))
        if not sheet.columns[name].is_number
        and not sheet.columns[name].is_covariate_by_name
        and not sheet.columns[name].holds_dates
    ]
    several: Choices = [[{"list": beside}]] if beside else []
    return OpenQuestionError(
        f"{person!r} names the persons, and no column of 0 and 1 is a list: which column names the lists?",
        [*several, *([{"list": name}] for name in one)],
        "name it with --list, or give every list a column of 0 and 1",
    )


def _name_lists_beside(sheet: Sheet, without: Collection[str]) -> tuple[str, ...]:
    """Name columns that may each name a list of the row: they share their names, or each holds its own or nothing."""
    words = {
        name: {level.casefold() for level in column.levels if level.casefold() not in NOT_RECORDED}
        for name, column in sheet.columns.items()
        if name not in without and _may_name_a_list(column)
    }
    shared = [
        name
        for name, held in words.items()
        if any(held & others for other, others in words.items() if other != name)
    ]
    if len(set().union(*(words[name] for name in shared))) > 1:
        return tuple(shared)
    own = [name for name, held in words.items() if len(held) == 1 and sheet.columns[name].has_gaps]
    return tuple(own) if len(set().union(*(words[name] for name in own))) > 1 else ()


def _may_name_a_list(column: Column) -> bool:
    plain = not (column.is_number or column.is_covariate_by_name or column.holds_dates or _tells(column))
    return plain and 1 <= len(column.levels) <= MAX_LISTS and not column.words <= YES_WORDS | NO_WORDS


def _told_of_others(sheet: Sheet, name: str, left: Iterable[str]) -> tuple[str, ...]:
    """Say that another column holds the same names as the one that names the lists."""
    words = {level.casefold() for level in sheet.columns[name].levels} - NOT_RECORDED
    others = [
        other
        for other in left
        if _may_name_a_list(sheet.columns[other])
        and words & {level.casefold() for level in sheet.columns[other].levels}
    ]
    if not others:
        return ()
    return (
        f"{', '.join(others)} holds names that {name} holds too; if it names lists as well, say --list "
        f"{','.join((name, *others))}",
    )


def _ask_for_visits(sheet: Sheet, person: str, name: str, left: Iterable[str]) -> None:
    """Ask what a number is that stands once for a person and a list: of the visits, none where it is 0."""
    if not all_differ(sheet, [person, name]):
        return
    every = len(sheet.columns[person].levels) * len(sheet.columns[name].levels) == sheet.rows
    numbers = [
        held
        for held in left
        if sheet.columns[held].may_be_visits
        or (every and sheet.columns[held].is_binary and not sheet.columns[held].is_covariate_by_name)
    ]
    if numbers:
        raise OpenQuestionError(
            f"every person has one row for a list and column {_names(numbers)} may say how often, or whether, that "
            "person is on it; rows with 0 are then left out",
            [*([{"count": held}] for held in numbers), [{"count": NO_COUNT}]],
        )


def _check_list_column(sheet: Sheet, person: str, name: str, options: Options) -> None:
    """Refuse persons in the place of lists: their names would be printed as those of lists."""
    n_lists, n_persons = len(sheet.columns[name].levels), len(sheet.columns[person].levels)
    if n_lists >= max(n_persons, 2) and sheet.rows > 2:
        raise OpenQuestionError(
            f"{name!r} has {n_lists} different values and {person!r} has {n_persons}: persons outnumber lists, so the "
            "two columns seem to be swapped",
            [[{"person": name, "list": person}]],
        )
    if n_lists > MAX_LISTS or sheet.columns[name].holds_identifiers:
        others = list(reversed(_by_levels(sheet, {person, name, options.date or ""})))
        raise OpenQuestionError(
            f"{name!r} does not look like names of lists: it has {n_lists} different values",
            [[{"list": o}] for o in others],
        )


# --- one row per cell or a person ----------------------------------------------------------------------------------


def _counted(sheet: Sheet, options: Options) -> Roles:
    count, notes = _count_column(sheet, options)
    if count is not None:
        _refuse_no_counts(sheet, options, count)
    censored = options.censored
    if censored is None and count is not None and CENSORED in sheet.columns:
        censored = CENSORED
    if censored is not None and count is None:
        raise TableError(
            f"column {censored!r} can only mark counts as censored; name the column of counts too, with --count"
        )
    named = _held(count, censored, options.date, *(options.lists or ()), *(options.strata or ()))
    left = [sheet.columns[name] for name in sheet.columns if name not in named]
    found = (
        _named_lists(sheet, options, left, count)
        if options.lists is not None
        else _sorted_out(sheet, options, count, left)
    )
    roles = Roles(
        unit="person" if count is None else "cell",
        lists=found.lists,
        strata=found.strata,
        count=count,
        censored=censored,
        date=options.date,
        aside=found.aside,
        notes=(*notes, *found.notes),
    )
    if count is None and options.count is None:
        _ask_for_counts(sheet, options, roles)
    _refuse_identifying(sheet, options.strata or (), of_persons=count is None)
    return roles


@dataclass(frozen=True, slots=True)
class _Found:
    lists: tuple[str, ...]
    strata: tuple[str, ...]
    aside: tuple[str, ...]
    notes: tuple[str, ...] = ()


def _named_lists(sheet: Sheet, options: Options, left: Sequence[Column], count: str | None) -> _Found:
    """Take the lists that were named; columns that were not are set aside and block nothing."""
    repeating = [
        c.name
        for c in left
        if count is None
        and _tells(c)
        and not (c.holds_dates or c.is_name_by_name)
        and 1 < len(c.levels) < sheet.rows
    ]
    notes = tuple(f"{name} repeats: if a row is a registration, say --person {name}" for name in repeating)
    return _Found(
        tuple(options.lists or ()), tuple(options.strata or ()), tuple(column.name for column in left), notes
    )


def _sorted_out(sheet: Sheet, options: Options, count: str | None, left: Sequence[Column]) -> _Found:
    """Take each column for a list, a stratum or nothing by its values and its name."""
    of_persons = count is None
    kinds = {column.name: _kind(column, left, sheet, options.yes, of_persons) for column in left}
    others = [name for name, kind in kinds.items() if kind in ("number", "group", "person")]
    again = () if count is None else _said_again(sheet, count, others)
    kinds |= dict.fromkeys(again, "again")
    remarks = () if of_persons or options.strata is not None else _remarks(sheet, kinds)
    kinds |= dict.fromkeys(remarks, "remark")
    labels = _labels_of_rows(sheet, kinds)
    kinds |= dict.fromkeys(labels, "label")
    sums = _sums(sheet, [name for name, kind in kinds.items() if kind in ("list", "number")])
    kinds |= dict.fromkeys(sums, "sum")
    of = {kind: [name for name in kinds if kinds[name] == kind] for kind in set(kinds.values())}
    lists = (*of.get("list", ()),)
    guessed = (*of.get("coded", ()), *of.get("group", ()))
    strata = guessed if options.strata is None else tuple(options.strata)
    for question in _questions(sheet, options, count, of, lists, strata):
        raise question
    notes = []
    if coded := of.get("coded"):
        notes.append(f"{_taken(coded)} by name; if it is a list, name it in --lists")
    if (groups := of.get("group")) and options.strata is None:
        notes.append(f"{_taken(groups)}, as the values are no 0 and 1")
    if days := of.get("day"):
        notes.append(f"{', '.join(days)} set aside, as the values are days")
    if labels:
        notes.append(f"{', '.join(labels)} set aside, as it only says again which lists a row is on")
    if sums:
        notes.append(f"{', '.join(sums)} set aside, as it is the sum of the lists in every row")
    if remarks:
        notes.append(f"{', '.join(remarks)} set aside, as most of it is blank and rows differ without it")
    if again:
        notes.append(f"{', '.join(again)} set aside, as it is a share of {count} or a part of it")
    aside = (
        name for kind in ("blank", "day", "label", "sum", "again", "remark") for name in of.get(kind, ())
    )
    return _Found(lists, strata, tuple(aside), tuple(notes))


def _labels_of_rows(sheet: Sheet, kinds: Mapping[str, str]) -> list[str]:
    """Name columns of text with a value of its own for every combination of lists: its name, or its share in %.

    Texts that name no list are labels only where three lists or more have all their combinations.
    """
    lists = [name for name, kind in kinds.items() if kind == "list"]
    texts = [
        name
        for name, kind in kinds.items()
        if kind in ("group", "person") and not sheet.columns[name].is_number
    ]
    if len(lists) < 2 or not texts:
        return []
    number = _n_different(sheet, lists)
    return [
        name
        for name in texts
        if len(sheet.columns[name].levels) == number > 2
        and _n_different(sheet, [*lists, name]) == number
        and (7 <= number == 2 ** len(lists) - 1 or _is_about(sheet.columns[name].levels, lists))
    ]


def _remarks(sheet: Sheet, kinds: Mapping[str, str]) -> tuple[str, ...]:
    """Name columns of text that are mostly blank and tell no rows apart."""
    held = [name for name, kind in kinds.items() if kind in ("list", "coded", "group")]
    found: list[str] = []
    for name in held:
        column = sheet.columns[name]
        blank = (column.codes < 0).sum() > _HALF * sheet.rows
        rest = [other for other in held if other != name and other not in found]
        if kinds[name] == "group" and blank and not column.is_covariate_by_name and all_differ(sheet, rest):
            found.append(name)
    return tuple(found)


def _is_about(texts: Sequence[str], lists: Sequence[str]) -> bool:
    """Say whether texts name lists, by names or by signs as in AB or 011, or are shares; one may be that of nobody.

    Examples
    --------
    >>> _is_about(["Police only", "police & shelter", "none"], ["police", "shelter"])
    True
    >>> _is_about(["PS", "P", "-"], ["police", "shelter"]), _is_about(["north", "south", "west"], ["a", "b"])
    (True, False)
    """
    names = [plain_word(name) for name in lists]
    signs = {name[0] for name in names} | set("01+-&,;/ ")
    words = [plain_word(text) for text in texts]
    named = sum(any(len(name) > 2 and name in word for name in names) for word in words)
    named = max(named, sum(not set(names).isdisjoint(re.findall(r"\w+", word)) for word in words))
    signed = sum(set(word) <= signs or word.endswith("%") for word in words)
    return max(named, signed) >= len(words) - 1


def _taken(names: Sequence[str]) -> str:
    return (
        f"{names[0]} is taken for a stratum"
        if len(names) == 1
        else f"{', '.join(names)} are taken for strata"
    )


def _kind(column: Column, left: Sequence[Column], sheet: Sheet, yes: str | None, of_persons: bool) -> str:
    """Name the kind of a column: list, coded and group (strata), day, person, number, label and blank (set aside)."""
    if sheet.settled and column.name in sheet.settled:
        return "list"
    if column.is_constant and is_count_name(column.name):
        return "label"
    if yes is not None and plain_word(yes) in column.present and len(column.present) <= MOST_WORDS:
        return "list"
    if column.is_blank:
        return "list" if any(other.is_tick for other in left) else "blank"
    if _is_list_like(column, left):
        return "coded" if column.is_covariate_by_name else "list"
    return _kind_of_number(column, of_persons) if column.is_number else _kind_of_text(column, of_persons)


def _is_list_like(column: Column, left: Sequence[Column]) -> bool:
    if column.is_binary or column.is_tick:
        return True
    if column.is_one_two:
        return not any(other.is_zero_one for other in left)
    halved = column.half_a_pair and any(
        other.is_binary and not other.is_zero_one and column.words <= other.words for other in left
    )
    return halved or _may_be_visits(column, left)  # with a fault, which becomes a question


def _kind_of_number(column: Column, of_persons: bool) -> str:
    if column.is_covariate_by_name and not column.is_scattered(of_persons=of_persons):
        return "coded"
    if column.is_person_by_name or column.holds_identifiers:
        return "person"
    return "list" if column.is_nearly_binary else "number"


def _kind_of_text(column: Column, of_persons: bool) -> str:
    if any(word in ("0", "1") for word in column.words):
        return "list"  # with a fault, which is told with the others
    if column.holds_dates and of_persons:
        return "day"
    named = column.is_covariate_by_name and len(column.levels) <= 20
    if column.holds_identifiers or (column.is_person_by_name and column.name.casefold() != "place"):
        return "person"
    return "person" if column.is_scattered(of_persons=of_persons) and not named else "group"


def _questions(
    sheet: Sheet,
    options: Options,
    count: str | None,
    of: dict[str, list[str]],
    lists: tuple[str, ...],
    strata: tuple[str, ...],
) -> Iterable[OpenQuestionError]:
    """Ask what a column is that can be several things; the first question is put."""
    persons, numbers = of.get("person", []), of.get("number", [])
    aside: Answer = {"lists": lists, **({"strata": strata} if strata else {})}
    counted: Answer = {} if count is None else {"count": count}
    if not lists:
        yield _no_list(sheet, options, count, persons, of)
    if len(lists) == 1 and (coded := [name for name in of.get("coded", ()) if sheet.columns[name].is_binary]):
        yield OpenQuestionError(
            f"only {lists[0]!r} is a list for certain, and {_names(coded)} may be lists or strata",
            [[{"lists": (*lists, *coded)}], [{"lists": lists, "strata": coded}]],
        )
    if count is None and (
        open_counts := [name for name in numbers if _may_count(sheet, name, lists, strata)]
    ):
        yield _which_counts(sheet, open_counts, aside)
    if persons and options.visits is None:
        by_person: Choices = [[{"person": name}] for name in persons]
        if question := visits_question([sheet.columns[name] for name in lists], [[aside], *by_person]):
            yield question
    if persons:
        yield _who(sheet, persons, numbers, {**counted, **aside}, of_persons=count is None)
    if numbers:
        differ = all_differ(sheet, lists)
        counts = [name for name in numbers if differ or not sheet.columns[name].is_covariate_by_name]
        several = [{"count": name} for name in counts] if count is None else []
        whole = partial(_holds_whole_numbers, sheet)
        visited = [name for name in numbers if sheet.columns[name].may_be_visits]
        visits: Choices = [[{"visits": PRESENCE, "lists": (*lists, *visited)}]] if visited else []
        yield OpenQuestionError(
            f"column {_names(numbers)} holds numbers and is not named: counts, strata, persons or nothing",
            [
                *([answer, {**answer, **aside}] for answer in several),
                *visits,
                *([[{"strata": (*strata, *numbers)}]] if all(map(whole, numbers)) else []),
                *(
                    [{"person": name}]
                    for name in numbers
                    if count is None and _may_number_persons(sheet, name)
                ),
                [aside],
            ],
        )
    if options.strata is not None and (unnamed := [*of.get("coded", ()), *of.get("group", ())]):
        yield OpenQuestionError(
            f"column {_names(unnamed)} is not named in --strata and is not a list by its name or values",
            [[{"strata": (*strata, *unnamed)}], [{"lists": lists}]],
        )


def _may_number_persons(sheet: Sheet, name: str) -> bool:
    return not sheet.columns[name].is_covariate_by_name and _holds_whole_numbers(sheet, name)


def _no_list(
    sheet: Sheet, options: Options, count: str | None, persons: Sequence[str], of: dict[str, list[str]]
) -> OpenQuestionError:
    names = _by_levels(sheet, {*of.get("day", ()), count or ""})
    who = list(persons) or names[:2]
    where = [name for name in reversed(names) if _may_name_lists(sheet.columns[name])][:3]
    coded = of.get("coded", [])
    if words := _words_of_lists(sheet, options):
        return OpenQuestionError(
            f"no list: column {_names(words)} holds the same few values, and nothing says which of them means being on "
            "the list",
            [[{"yes": word}] for word in next(iter(words.values()))],
        )
    dated = [
        c.name for c in sheet.columns.values() if c.holds_dates and c.has_gaps and not c.is_person_by_name
    ]
    if len(dated) > 1:
        return OpenQuestionError(
            f"no list: column {_names(dated)} holds days and blanks, and a day may say that somebody was on a list",
            [[{"lists": dated}]],
        )
    records = [c.name for c in sheet.columns.values() if c.holds_records and not c.is_covariate_by_name]
    if len(records) > 1:
        return OpenQuestionError(
            f"no list: column {_names(records)} holds a value of its own or nothing, as numbers of records are, and "
            "what is filled in may say that somebody is on a list",
            [[{"lists": records}]],
        )
    if marks := _marks_of_lists(sheet, options):
        return OpenQuestionError(
            f"no list: column {_names(marks)} holds one value or nothing, which may say that somebody is on the list",
            [[{"yes": mark}] for mark in set(marks.values())],
        )
    if beside := _name_lists_beside(sheet, {*persons, *_held(options.count, options.date)}):
        repeats = [name for name in persons if len(sheet.columns[name].levels) < sheet.rows]
        return OpenQuestionError(
            f"no list: column {_names(beside)} may each name a list that the row is on",
            [
                *([{"person": name, "list": beside}] for name in persons),
                *([] if repeats else [[{"list": beside}]]),
            ],
        )
    pairs: Choices = [
        [{"person": p, "list": w}] for p in who for w in where if p != w and _outnumbers(sheet, p, w)
    ]
    cut: Choices = [[{"split": way}] for name in names for way in _ways_to_cut(sheet.columns[name], options)]
    return OpenQuestionError(
        f"no list: {_ONE_COLUMN if len(sheet.columns) == 1 and sheet.separator else _NO_PAIR}"
        + (", or a cell may name several lists" if cut else ""),
        [*cut[:2], *pairs[:3], *([[{"lists": coded}]] if coded else [])],
        "give every list a column of 0 and 1, or say which column is what with --lists or --person and --list",
    )


def _ways_to_cut(column: Column, options: Options) -> list[str]:
    """Name the signs at which cells could be cut into names of lists, where some of these are met again."""
    if options.split is not None or column.is_covariate_by_name:
        return []
    found = is_cut(column, None)
    if found is not None and found.is_reused:
        return splits_of(column.levels)
    others = {sign: is_cut(column, sign) for sign in (*OTHER_SIGNS, LETTERS)}
    return [sign for sign, cut in others.items() if cut is not None and cut.is_clear and cut.is_reused][:1]


def _words_of_lists(sheet: Sheet, options: Options) -> dict[str, list[str]]:
    """Find columns that hold the same two words, in so many rows that these name nobody; empty where there are none."""
    held = {
        name: sorted(column.levels)
        for name, column in sheet.columns.items()
        if (len(column.levels) == 2 == len(column.present) or _has_unknown(column))
        and name not in (options.count, *(options.strata or ()))
        and not (column.is_number or column.is_covariate_by_name or _tells(column))
        and len(column.words) == len(column.levels)
    }
    shared = [words for words in held.values() if list(held.values()).count(words) > 1]
    found = {name: words for name, words in held.items() if shared and words == shared[0]}
    return found if sheet.rows > 2 else {}


def _has_unknown(column: Column) -> bool:
    """Tell a pair of words with one or two more, such as ja, nee and onbekend."""
    return (
        2 < len(column.levels) <= MOST_WORDS
        and bool(column.words & YES_WORDS)
        and bool(column.words & NO_WORDS)
    )


def _marks_of_lists(sheet: Sheet, options: Options) -> dict[str, str]:
    """Find columns that hold the same one mark and blanks; a column of its own could be of anything."""
    held = {
        name: column.levels[0]
        for name, column in sheet.columns.items()
        if len(column.levels) == 1
        and column.has_gaps
        and (column.codes >= 0).sum() > 1  # what stands in one row alone may be of one person
        and name not in (options.count, *(options.strata or ()))
    }
    return {
        name: mark
        for name, mark in held.items()
        if [*held.values()].count(mark) > 1 and not (is_code(mark) or _tells(sheet.columns[name]))
    }


def _may_name_lists(column: Column) -> bool:
    return 2 <= len(column.levels) <= MAX_LISTS and not column.is_covariate_by_name and not column.is_number


def _outnumbers(sheet: Sheet, persons: str, lists: str) -> bool:
    return len(sheet.columns[persons].levels) > len(sheet.columns[lists].levels)


def _which_counts(sheet: Sheet, names: Sequence[str], aside: Answer) -> OpenQuestionError:
    none: list[Answer] = [{**aside, "count": NO_COUNT}]
    whole = [name for name in names if _holds_whole_numbers(sheet, name)]
    if not whole:
        return OpenQuestionError(
            f"every row has lists of its own and column {_names(names)} holds numbers that are not whole, such as "
            "shares; give the counts themselves, or, if every row is a person",
            [none],
        )
    counts: Choices = [[{"count": name}, {"count": name, **aside}] for name in whole]
    return OpenQuestionError(
        f"every row has lists of its own and column {_names(whole)} holds whole numbers, so it may hold the counts",
        [*counts, none],
    )


def _holds_whole_numbers(sheet: Sheet, name: str) -> bool:
    read = read_counts_of(sheet.columns[name].levels, separator=sheet.separator)
    return bool(read.unclear) or sum(isinstance(number, float) for number in read.numbers) < _HALF * len(
        read.numbers
    )


def _who(
    sheet: Sheet, persons: Sequence[str], numbers: Sequence[str], aside: Answer, *, of_persons: bool
) -> OpenQuestionError:
    called = [name for name in persons if sheet.columns[name].is_person_by_name] or persons
    called = [name for name in called if not sheet.columns[name].is_name_by_name] or called
    repeats = [name for name in called if len(sheet.columns[name].levels) < sheet.rows]
    told = f"column {_names(persons)} looks like what tells persons apart"
    by_person: Choices = []
    for name in repeats if repeats else called:
        by_person.append([{"person": name}, {"person": name, "lists": aside["lists"]}])
    strata = tuple(aside.get("strata", ()))
    group: Choices = (
        [[{"strata": (*strata, *persons)}]]
        if not any(_tells(sheet.columns[name]) for name in persons)
        else []
    )
    if repeats and of_persons:
        return OpenQuestionError(
            f"{told} and has more than one row for some: a row may be a registration",
            [
                *by_person,
                *group,
                *([] if any(sheet.columns[name].is_person_by_name for name in persons) else [[aside]]),
            ],
        )
    ways: Choices = [[aside], *(by_person if of_persons else []), *group]
    return OpenQuestionError(f"{told}, and no stratum is made of it; to set it aside, name the lists", ways)


def _tells(column: Column) -> bool:
    return column.is_person_by_name or column.holds_identifiers


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _refuse_identifying(sheet: Sheet, strata: Iterable[str], *, of_persons: bool) -> None:
    """Refuse to make strata of what tells persons apart, even where a user names it."""
    for name in strata:
        column = sheet.columns[name]
        n, rows = len(column.levels), column.codes.size
        scattered = n > FEW and rows < (ROWS_PER_GROUP if of_persons else ROWS_PER_STRATUM) * n
        if of_persons and column.has_gaps:  # remarks, say
            scattered = scattered or int((column.codes >= 0).sum()) < ROWS_PER_GROUP * n
        if (
            scattered
            or (column.holds_identifiers and not column.is_number)
            or (column.is_person_by_name and n > FEW)
        ):
            raise TableError(
                f"column {name!r} has {n} levels for {rows} rows, like a name or number of a person, and cannot be a "
                "stratum; leave it out of --strata"
            )


# --- counts ----------------------------------------------------------------------------------------------------


def _count_column(sheet: Sheet, options: Options) -> tuple[str | None, tuple[str, ...]]:
    """Find the column of counts: the one named, or one that is called as such columns are."""
    if _says_none(sheet, options):
        return None, ()
    if options.count is not None:
        return options.count, ()
    taken = {*(options.lists or ()), *(options.strata or ()), options.date, options.censored}
    called = [name for name in sheet.columns if is_count_name(name) and name not in taken]
    texts = [name for name in called if _holds_numbers_in_words(sheet.columns[name])]
    if texts and not set(called) - set(texts):
        raise TableError(
            f"column {_names(texts)} is called as counts are and holds numbers with words beside them; write the whole "
            "numbers alone there, or, if every row is a person, say --count none"
        )
    numbers = [name for name in called if sheet.columns[name].is_number and not _counts_captures(sheet, name)]
    if COUNT in called and (COUNT not in numbers or _fits_counts(sheet, COUNT)):
        return COUNT, ()
    fit = [name for name in numbers if _fits_counts(sheet, name)]
    if len(fit) > 1:
        raise OpenQuestionError(
            f"column {_names(fit)} may each hold the counts",
            [_with_lists(sheet, options, name) for name in fit],
        )
    if fit:
        return fit[0], (f"{fit[0]} is taken for the counts by its name",)
    if several := [name for name in numbers if not sheet.columns[name].is_constant]:
        raise OpenQuestionError(
            f"column {_names(several)} is called as counts are, and rows of the same lists repeat: it may hold parts "
            "of counts, or something of a person",
            _of_parts(sheet, options, several),
        )
    return None, tuple(f"{name} is the same in every row and is not taken for counts" for name in numbers)


_BESIDE_A_NUMBER = re.compile(r"[^\d\s.,'<>=\u2264\u2265+-]")
"""What does not belong to a number, its signs between thousands and the marks of a bound."""


def _holds_numbers_in_words(column: Column) -> bool:
    """Tell texts such as "61 persons" and "40 (20%)"; a number that is too long to be read is none of them."""
    read = read_counts_of(column.levels)
    digits = [any(map(str.isdigit, level)) and _BESIDE_A_NUMBER.search(level) for level in column.levels]
    wrong = any(digit and number is None for digit, number in zip(digits, read.numbers, strict=True))
    return wrong and not read.unclear and sum(map(bool, digits)) > _HALF * len(digits)


def _refuse_no_counts(sheet: Sheet, options: Options, count: str) -> None:
    """Refuse texts and weights in the place of counts."""
    read = read_counts_of(sheet.columns[count].levels, options.decimal, sheet.separator)
    least = _HALF * max(len(read.numbers), 1)
    texts = not read.unclear and sum(number is None for number in read.numbers) > least
    weights = sum(isinstance(number, float) for number in read.numbers) >= least
    others = [c.name for c in sheet.columns.values() if c.is_number and not c.is_binary and c.name != count]
    ways: Choices = [_with_lists(sheet, options, name) for name in others]
    if texts:
        raise OpenQuestionError(
            f"column {count!r} holds no counts but texts",
            ways,
            "write whole numbers there",
        )
    if weights:
        raise OpenQuestionError(
            f"column {count!r} holds numbers that are not whole, such as weights or averages; a table counts persons: "
            "give the counts before they were weighted",
            ways,
            "no other column of the file can hold them",
        )


def _with_lists(sheet: Sheet, options: Options, count: str) -> list[Answer]:
    return [{"count": count}, {"count": count, "lists": _likely_lists(sheet, options)}]


def _of_parts(sheet: Sheet, options: Options, names: Sequence[str]) -> Choices:
    lists = _likely_lists(sheet, options)
    parts: Choices = [[{"count": name, "lists": lists}] for name in names]
    more = [name for name in names if sheet.columns[name].is_zero_one]
    listed: Choices = [[{"lists": (*lists, name), "count": NO_COUNT}] for name in more]
    return [*parts, [{"lists": lists, "count": NO_COUNT}], *listed]


def _likely_lists(sheet: Sheet, options: Options) -> tuple[str, ...]:
    """Name the lists where nothing but the values tells them."""
    if options.lists is not None:
        return tuple(options.lists)
    named = [
        column.name
        for column in sheet.columns.values()
        if (column.is_binary or column.is_tick or column.is_one_two) and not is_count_name(column.name)
    ]
    lists = [name for name in named if not sheet.columns[name].is_covariate_by_name]
    return tuple(lists or named)


def _fits_counts(sheet: Sheet, name: str) -> bool:
    """Tell counts from something of a person: no two rows are of one cell."""
    others = [
        column
        for column in sheet.columns.values()
        if column.name != name and not (_tells(column) or len(column.levels) == sheet.rows > FEW)
    ]
    groups = [
        column.name
        for column in others
        if not column.is_number or len(column.levels) <= FEW or column.is_covariate_by_name
    ]
    return all_differ(sheet, groups) or all_differ(filled_down(sheet, groups), groups)


def filled_down(sheet: Sheet, names: Iterable[str]) -> Sheet:
    """Repeat texts over the blanks below them, as they stand in merged cells; columns that begin blank stay."""
    columns = dict(sheet.columns)
    for name in names:
        codes = columns[name].codes
        if codes[0] >= 0 and not columns[name].is_binary:
            last = np.maximum.accumulate(np.where(codes < 0, 0, np.arange(sheet.rows)))
            columns[name] = replace(columns[name], codes=codes[last])
    return replace(sheet, columns=columns)


def all_differ(sheet: Sheet, names: Sequence[str]) -> bool:
    """Tell whether no two rows agree in all of these columns."""
    return _n_different(sheet, names) == sheet.rows


def _n_different(sheet: Sheet, names: Sequence[str]) -> int:
    """Count the rows that differ in some of these columns."""
    key: Ints = np.zeros(sheet.rows, dtype=np.int64)
    for name in names:
        column = sheet.columns[name]
        key = np.unique(key * (len(column.levels) + 1) + column.codes + 1, return_inverse=True)[1].astype(
            np.int64
        )
    return int(np.unique(key).size)


def _counts_captures(sheet: Sheet, name: str) -> bool:
    """Tell whether a column is, in every row, the number of lists that the row is on, or of visits to them."""
    return name in _sums(sheet, [name, *(key for key, held in sheet.columns.items() if _adds_up(held))])


def _adds_up(column: Column) -> bool:
    return (column.is_zero_one or column.may_be_visits) and not is_count_name(column.name)


def _sums(sheet: Sheet, names: Iterable[str]) -> list[str]:
    """Name columns of numbers that are, in every row, the sum of the columns of 0, 1 or visits among these."""
    unique = list(dict.fromkeys(names))
    parts = {name: _numbers(sheet.columns[name]) for name in unique if _adds_up(sheet.columns[name])}
    found = []
    for name in unique:
        others = [held for other, held in parts.items() if other != name]
        column = sheet.columns[name]
        if (
            len(others) < 2
            or column.is_zero_one
            or not (column.is_number and _is_sum(_numbers(column), others))
        ):
            continue
        found.append(name)
        parts.pop(name, None)
    return found


def _said_again(sheet: Sheet, count: str, names: Sequence[str]) -> tuple[str, ...]:
    """Name columns that say again what the counts say: shares of them, or parts that add up to them in every row."""
    counts = _numbers(sheet.columns[count])
    known = counts > 0
    if known.sum() < 2:
        return ()
    shares = tuple(name for name in names if _is_share(sheet.columns[name], counts, known))
    whole = [name for name in names if sheet.columns[name].is_number and name not in shares]
    parts = [_numbers(sheet.columns[name])[known] for name in whole]
    return (*shares, *(whole if len(whole) > 1 and _is_sum(counts[known], parts) else ()))


def _is_share(column: Column, counts: npt.NDArray[np.float64], known: Bools) -> bool:
    """Tell whether numbers, with or without %, are the shares of the counts, as they are rounded there."""
    texts = [level.rstrip("% ").replace(",", ".") for level in column.levels]
    if not all(map(_SHARE.fullmatch, texts)):
        return False
    values = np.array([*map(float, texts), np.nan])[column.codes][known]
    right = counts[known] / counts[known].sum()
    digits = max(len(text.partition(".")[2]) for text in texts)
    return any((np.abs(values - unit * right) <= 0.51 * 10.0**-digits).all() for unit in (1, 100))


def _is_sum(total: npt.NDArray[np.float64], parts: Sequence[npt.NDArray[np.float64]]) -> bool:
    return bool((np.nansum(parts, axis=0) == total).all())


def _numbers(column: Column) -> npt.NDArray[np.float64]:
    values = np.array(
        [np.nan if v is None else float(v) for v in (*read_counts_of(column.levels).numbers, None)]
    )
    return values[column.codes]


def _may_count(sheet: Sheet, name: str, lists: Sequence[str], strata: Sequence[str]) -> bool:
    column = sheet.columns[name]
    if not column.is_number or column.is_zero_one or column.is_covariate_by_name or column.is_person_by_name:
        return False
    return sheet.rows > 1 and all_differ(sheet, [*lists, *strata])


def _ask_for_counts(sheet: Sheet, options: Options, roles: Roles) -> None:
    """Ask where rows about persons are so different that they may be cells with their counts."""
    aside: Answer = {"lists": roles.lists, **({"strata": roles.strata} if roles.strata else {})}
    unused = [name for name in roles.aside if _may_count(sheet, name, roles.lists, roles.strata)]
    if unused:
        raise _which_counts(sheet, unused, aside)
    *first, last = roles.lists
    if options.lists is not None or len(first) < 2 or not sheet.columns[last].is_zero_one:
        return
    if sheet.rows >= 2 ** len(first) - 1 and all_differ(sheet, [*first, *roles.strata]):
        raise OpenQuestionError(
            f"every combination of {_names(first)} has one row, so {last!r} may be a list or counts of 0 and 1",
            [[{"count": last}], [aside]],
        )
