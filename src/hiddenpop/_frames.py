"""From the frames and files people have to the cells of a capture table, with every fault reported at once.

Nothing here quotes what could identify a person: a value of a table with one row per person is shown only when it is a
small number or a very short text, and people are named by their position.
"""

import difflib
import re
from collections.abc import Collection, Hashable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._cells import (
    Cells,
    exact_sum,
    in_escapes,
    is_written,
    level_text,
    look_alikes,
    starts_cell,
    stratum_codes,
    unknown_name,
)
from hiddenpop._files import WRITTEN_TRUTHS
from hiddenpop._typing import Bools, Ints
from hiddenpop._words import NO_WORDS, YES_WORDS, plain_word
from hiddenpop.errors import TableError
from hiddenpop.histories import MAX_LISTS, decode, encode

__all__ = [
    "MAX_COUNT",
    "read_counts",
    "read_indicators",
    "read_memberships",
    "read_registrations",
    "settle_levels",
]

MAX_COUNT = 2**62  # far above any population, and exact in float64
MAX_TOTAL = 2**63 - 1
_LONGEST_QUOTED = 60
_ROWS_SHOWN = 5
_SHORT_TEXT = 3
_FEW_LEVELS = 10
_SMALL_NUMBER = 100
_INDICATORS: dict[Hashable, int] = {0: 0, 1: 1, "0": 0, "1": 1}  # True, 1.0 and 1 are one key


# --- the shapes people have ------------------------------------------------------------------------------------


def read_counts(
    frame: pd.DataFrame,
    lists: Sequence[str] | None,
    count: str,
    strata: Sequence[str],
    censored: str | None,
    *,
    add_up: bool = False,
) -> Cells:
    """Read a table with one row a cell; rows of one cell are added up where they are known to be parts of it."""
    faults: list[str] = []
    frame = _named_columns(frame, faults)
    _sequence("strata", strata)
    others = [count] if censored is None else [count, censored]
    names = _list_columns(frame, lists, [*others, *strata], faults)
    clear = not faults  # which columns are lists and which strata, so that rows can be compared
    bits, readable = _indicators(frame, names, faults, personal=False)
    levels, placed = _levels(frame, strata, faults)
    counts = _counts(frame[count], faults)
    bound = np.zeros(len(frame), np.bool_) if censored is None else _flags(frame[censored], faults)
    histories = encode(bits[:, :MAX_LISTS])
    unseen = histories == 0
    if clear:
        _refuse_unseen(readable & unseen & (counts > 0), faults)
        if not add_up:
            _refuse_repeats(histories, levels, names, readable & placed & ~unseen, faults)
    _raise(faults)
    seen = np.flatnonzero(~unseen)
    return Cells(tuple(names), histories[seen], levels.iloc[seen], counts[seen], bound[seen])


def read_indicators(
    frame: pd.DataFrame, lists: Sequence[str] | None, strata: Sequence[str], *, leave_unlisted: bool = False
) -> Cells:
    """Read a table with one row a person and one 0/1 column a list; people on no list are refused or left out."""
    faults: list[str] = []
    frame = _named_columns(frame, faults)
    _sequence("strata", strata)
    names = _list_columns(frame, lists, strata, faults)
    clear = not faults
    bits, readable = _indicators(frame, names, faults, personal=True)
    levels, _ = _levels(frame, strata, faults)
    histories = encode(bits[:, :MAX_LISTS])
    if clear and not leave_unlisted:
        _refuse_listless(readable & (histories == 0), faults)
    _raise(faults)
    return _listed(names, histories, levels)


def read_memberships(memberships: Iterable[Iterable[str]], lists: Sequence[str] | None) -> Cells:
    """Read, for each person, the names of the lists the person is on."""
    people = [_membership(person, row) for row, person in enumerate(memberships, start=1)]
    if not people:
        raise TableError("nobody observed: there are no memberships")
    sizes = np.fromiter(map(len, people), dtype=np.int64, count=len(people))
    flat = pd.Series(list(chain.from_iterable(people)), dtype=object)
    faults: list[str] = []
    person = np.repeat(np.arange(len(people)), sizes)
    bits, names = _list_codes(flat, lists, person + 1, "person", faults)
    _refuse_listless(sizes == 0, faults)
    _raise(faults)
    histories = _join(person, bits, len(people))
    return _one_each(names, histories, pd.DataFrame(index=range(len(people))))


def read_registrations(
    frame: pd.DataFrame,
    person: str,
    list_column: str | None,
    strata: Sequence[str],
    lists: Sequence[str] | None,
    *,
    conflicts: str = "error",
    date: str | None = None,
    leave_unlisted: bool = False,
) -> Cells:
    """Read a table with one row a registration, of a person on a list or with one 0/1 column a list."""
    faults: list[str] = []
    frame = _named_columns(frame, faults)
    _sequence("strata", strata)
    _known(frame, "column", [name for name in (person, list_column, date) if name is not None])
    people, identities = pd.factorize(frame[person])
    _refuse(
        people < 0, f"column {person!r}: no person in {{rows}}; complete or remove the registration", faults
    )
    if list_column is None:
        names = _list_columns(frame, lists, [person, *strata, *([date] if date else [])], faults)
        histories = encode(_indicators(frame, names, faults, personal=True)[0][:, :MAX_LISTS])
    else:
        places = np.arange(1, len(frame) + 1)
        positions, names = _list_codes(frame[list_column], lists, places, "row", faults)
        histories = np.int64(1) << positions
    levels, _ = _levels(frame, strata, faults)
    order = None if date is None else frame[date].to_numpy()
    settled = _settle(levels, people, len(identities), order, conflicts, faults)
    _raise(faults)
    joined = np.zeros(len(identities), dtype=np.int64)
    np.bitwise_or.at(joined, people, histories)
    if not leave_unlisted:
        _refuse_listless(joined == 0, faults)
    _raise(faults)
    return _listed(names, joined, settled)


def _settle(
    levels: pd.DataFrame,
    people: npt.NDArray[np.integer[Any]],
    n_people: int,
    order: npt.NDArray[Any] | None,
    conflicts: str,
    faults: list[str],
) -> pd.DataFrame:
    """Give every person one level of each covariate."""
    settled = {}
    for name, column in levels.items():
        codes = np.asarray(column.cat.codes, dtype=np.int64)
        chosen, torn = settle_levels(codes, people, n_people, order, conflicts)
        if torn.any() and conflicts == "error":
            faults.append(_wandering(str(name), codes, people, chosen))
        settled[name] = column.array[chosen]
    return pd.DataFrame(settled, index=range(n_people))


def settle_levels(
    codes: Ints,
    people: npt.NDArray[np.integer[Any]],
    n_people: int,
    order: npt.NDArray[Any] | None,
    conflicts: str,
) -> tuple[Ints, Bools]:
    """Choose for every person the row that gives the level, and say who has several.

    Parameters
    ----------
    codes, people : ndarray, shape (n,)
        Level and person of each row; a person of -1 is none.
    n_people : int
    order : ndarray, shape (n,), or None
        Dates that put the rows in order; the order of the rows where None.
    conflicts : {"error", "first", "last", "mode"}
        The level that counts; the earliest row decides between levels that occur equally often.

    Returns
    -------
    chosen : ndarray of int64, shape (n_people,)
        Rows.
    torn : ndarray of bool, shape (n_people,)
    """
    rows = np.flatnonzero(people >= 0)
    if order is not None:
        rows = rows[np.argsort(order[rows], kind="stable")]
    who, level = people[rows], codes[rows]
    chosen = np.zeros(n_people, dtype=np.int64)
    chosen[who[::-1]] = rows[::-1]  # of several rows the last one written stays, which is the first
    torn = np.zeros(n_people, dtype=np.bool_)
    torn[who[level != codes[chosen[who]]]] = True
    if conflicts == "last":
        chosen[who] = rows
    elif conflicts == "mode":
        _, place, number = np.unique(
            who.astype(np.int64) * (int(codes.max(initial=0)) + 2) + level,
            return_inverse=True,
            return_counts=True,
        )
        best = np.lexsort((np.arange(rows.size), -number[place], who))
        chosen[who[best[::-1]]] = rows[best[::-1]]
    return chosen, torn


def _listed(names: Sequence[str], histories: Ints, levels: pd.DataFrame) -> Cells:
    """Keep the people on at least one list."""
    on = np.flatnonzero(histories)
    if on.size == 0:
        raise TableError(
            "nobody observed: every person is on none of the lists; check which columns are lists"
        )
    return _one_each(names, histories[on], levels.iloc[on])


def _one_each(names: Sequence[str], histories: Ints, levels: pd.DataFrame) -> Cells:
    ones = np.ones(histories.size, dtype=np.int64)
    return Cells(tuple(names), histories, levels, ones, np.zeros(histories.size, dtype=np.bool_))


def _join(people: Ints, positions: Ints, n_people: int) -> Ints:
    histories = np.zeros(n_people, dtype=np.int64)
    np.bitwise_or.at(histories, people, np.int64(1) << positions)
    return histories


def _membership(person: Iterable[str], row: int) -> Collection[str]:
    if isinstance(person, str) or not isinstance(person, Iterable):
        raise TableError(
            f"person {row} is not a collection of list names; write a single list as a list of one name"
        )
    return tuple(person)


# --- columns ---------------------------------------------------------------------------------------------------


def _text_columns(frame: pd.DataFrame, others: Collection[str]) -> list[str]:
    """Name the columns that hold text and no 0 or 1, so that they can only be strata."""
    return [str(name) for name, column in frame.items() if name not in others and not _may_be_list(column)]


def _named_columns(frame: pd.DataFrame, faults: list[str]) -> pd.DataFrame:
    frame = frame.rename(columns=str).reset_index(drop=True)
    repeated = frame.columns[frame.columns.duplicated()].unique().tolist()
    if repeated:
        faults.append(f"more than one column is called {_names(repeated)}; rename or remove the copies")
    if frame.empty:
        faults.append("nobody observed: the table has no rows")
    return frame.loc[:, ~frame.columns.duplicated()]


def _list_columns(
    frame: pd.DataFrame, lists: Sequence[str] | None, others: Sequence[str], faults: list[str]
) -> list[str]:
    _known(frame, "column", others)
    if lists is not None:
        names = _as_names(lists, faults)
        _known(frame, "column", names)
        shared = [name for name in names if name in others]
        if shared:
            faults.append(f"{_names(shared)} cannot be a list and something else; name the column once")
        return names
    left = [name for name in frame.columns if name not in others]
    names = [name for name in left if _may_be_list(frame[name])]
    texts = [name for name in left if name not in names]
    if texts:
        faults.append(f"text in column {_names(texts)}: name it in strata or drop it")
    _check_number(names, faults)
    return names


def _as_names(lists: Sequence[str], faults: list[str]) -> list[str]:
    _sequence("lists", lists)
    names = [str(name) for name in lists]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        faults.append(f"list {_names(repeated)} is named more than once; every list needs its own name")
    _check_number(names, faults)
    return list(dict.fromkeys(names))


def _check_number(names: Sequence[str], faults: list[str]) -> None:
    if not names:
        faults.append("no list: a table needs at least one column of 0 and 1")
    if len(names) > MAX_LISTS:
        faults.append(f"{len(names)} lists: a table holds at most {MAX_LISTS}; merge or drop some")


def _may_be_list(column: "pd.Series[Any]") -> bool:
    if pd.api.types.is_numeric_dtype(column):
        return True
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = pd.Series(column.cat.categories)
    return bool(column.isin(list(_INDICATORS)).any()) or _holds_a_pair(column)


def _indicators(
    frame: pd.DataFrame, names: Sequence[str], faults: list[str], *, personal: bool
) -> tuple[npt.NDArray[np.int8], Bools]:
    """Read 0/1 columns, shape ``(n, t)``, and which rows hold nothing else; a faulty value becomes 0."""
    bits = np.zeros((len(frame), len(names)), dtype=np.int8)
    readable = np.ones(len(frame), dtype=np.bool_)
    for position, name in enumerate(names):
        values = _zero_one(frame[name])
        wrong = ~((values == 0) | (values == 1))
        if wrong.any():
            faults.append(_not_zero_one(frame[name], wrong, personal))
        bits[:, position] = values == 1
        readable &= ~wrong
    return bits, readable


def _zero_one(column: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    known = _words(column)
    found = (known.get(value, np.nan) if isinstance(value, Hashable) else np.nan for value in column)
    return np.fromiter(found, dtype=np.float64, count=len(column))


def _holds_a_pair(column: "pd.Series[Any]") -> bool:
    """Tell whether a column of text holds both words of a pair, such as yes and no."""
    words = _words(column)
    return words is not _INDICATORS and set(words.values()) == {0, 1}


def _words(column: "pd.Series[Any]") -> dict[Hashable, int]:
    """Find the words of a column: those of one pair, such as yes and no, or 0 and 1."""
    texts = {value for value in column if isinstance(value, str)}
    if len(texts) == len({value for value in column if isinstance(value, Hashable)}) and texts:
        words = {plain_word(text) for text in texts}
        no, yes = words & NO_WORDS, words & YES_WORDS
        if no | yes == words and len(no) <= 1 and len(yes) <= 1:
            return {text: int(plain_word(text) in YES_WORDS) for text in texts}
    return _INDICATORS


def _not_zero_one(column: "pd.Series[Any]", wrong: Bools, personal: bool) -> str:
    advice = "correct it, or name the column in strata or leave it out if it is not a list"
    return (
        f"column {column.name!r} holds values other than 0 and 1: {_shown(column, wrong, personal)}; {advice}"
    )


def _shown(column: "pd.Series[Any]", wrong: Bools, personal: bool) -> str:
    rows = np.flatnonzero(wrong)
    # Many different values may be names or numbers of persons, in whatever column they were put.
    hidden = column[wrong].astype(str).nunique() > _FEW_LEVELS
    shown = [f"row {row + 1} {_quoted(column.iloc[row], personal, hidden)}" for row in rows[:_ROWS_SHOWN]]
    more = f" and {rows.size - _ROWS_SHOWN} more" if rows.size > _ROWS_SHOWN else ""
    return ", ".join(shown) + more


def _quoted(value: object, personal: bool, hidden: bool) -> str:
    """Show a value, unless it stands in a row about one person and could be a name or a number of that person."""
    if bool(np.all(pd.isna(np.asarray(value, dtype=object)))):
        return "is missing"
    short = not isinstance(value, str) or len(value) <= _LONGEST_QUOTED
    if short and not hidden and (not personal or _tells_nothing(value)):
        return f"holds {value.item() if isinstance(value, np.generic) else value!r}"
    return f"holds a text of {len(value)} characters" if isinstance(value, str) else "holds another value"


def _tells_nothing(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _SHORT_TEXT and not (re.search(r"\d", value) and re.search(r"[^\W\d_]", value))
    return isinstance(value, int | float | np.number) and abs(float(value)) < _SMALL_NUMBER


def _counts(column: "pd.Series[Any]", faults: list[str]) -> Ints:
    """Read a column of counts; a faulty one becomes 0."""
    numbers = pd.to_numeric(column.astype(object), errors="coerce")
    if pd.api.types.is_complex_dtype(numbers):
        numbers = pd.to_numeric(column.astype(str), errors="coerce")
    values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~((values >= 0) & (values <= MAX_COUNT) & (np.floor(values) == values))
    counts = numbers.where(~wrong, 0).to_numpy(dtype=np.int64, copy=True)
    wrong |= counts > MAX_COUNT  # float64 cannot tell them apart
    counts[wrong] = 0
    if wrong.any():
        advice = "correct it, or, for a withheld count, enter its upper bound and mark the row in a censored column"
        faults.append(
            f"column {column.name!r} must hold whole numbers from 0 to 2**62: {_shown(column, wrong, False)}; {advice}"
        )
    if exact_sum(counts) > MAX_TOTAL:
        faults.append(
            f"column {column.name!r} adds up to more than {MAX_TOTAL} people; correct the largest counts"
        )
    return counts


def _truth(value: Any) -> Any:
    return WRITTEN_TRUTHS.get(value, value) if isinstance(value, str) else value


def _flags(column: "pd.Series[Any]", faults: list[str]) -> Bools:
    values = _zero_one(column.astype(object).map(_truth))
    wrong = ~((values == 0) | (values == 1))
    _refuse(
        wrong,
        f"column {column.name!r} must say true or false, which it does not in {{rows}}; correct it",
        faults,
    )
    return np.asarray(values == 1)


def _levels(frame: pd.DataFrame, strata: Sequence[str], faults: list[str]) -> tuple[pd.DataFrame, Bools]:
    """Read strata as categories of text, and which rows have all of them."""
    _known(frame, "column", strata)
    placed = np.ones(len(frame), dtype=np.bool_)
    columns: dict[str, pd.Categorical] = {}
    for name in map(str, strata):
        columns[name], missing = _as_categories(frame[name])
        placed &= ~missing
        _refuse(missing, f'column {name!r}: no value in {{rows}}; give it a level such as "unknown"', faults)
        strange = np.array([not is_written(level) for level in columns[name].categories], dtype=np.bool_)
        _refuse(
            strange[columns[name].codes] if strange.any() else missing & False,
            f"column {name!r}: control characters, such as a line break, in {{rows}}; take them out",
            faults,
        )
        if alike := look_alikes(columns[name].categories):
            faults.append(f"column {name!r}: the levels {in_escapes(*alike)}; write them in one way")
    return pd.DataFrame(columns, index=frame.index), placed


def _as_categories(column: "pd.Series[Any]") -> tuple[pd.Categorical, Bools]:
    codes, levels = pd.factorize(column)
    texts = np.array([*map(level_text, levels), ""], dtype=object)  # the last one serves code -1, missing
    names, renumbered = np.unique(texts.astype(str), return_inverse=True)
    text_codes = renumbered[codes]
    blank = np.char.strip(names) == ""
    return pd.Categorical.from_codes(text_codes, categories=pd.Index(names.tolist())), blank[text_codes]


def _list_codes(
    column: "pd.Series[Any]", lists: Sequence[str] | None, places: Ints, unit: str, faults: list[str]
) -> tuple[Ints, list[str]]:
    """Read a column of list names as positions, shape ``(n,)``, with the names; a faulty one becomes position 0."""
    categories, missing = _as_categories(column)
    found = [name for name in categories.categories if name.strip()]
    if lists is None:
        names = sorted(found)
        _check_number(names, faults)
    else:
        names = _as_names(lists, faults)
    position = {name: place for place, name in enumerate(names[:MAX_LISTS])}
    lookup = np.array([position.get(name, -1) for name in categories.categories], dtype=np.int64)
    positions = lookup[categories.codes]
    _refuse(missing, f"no list named in {{rows}}; complete or remove the {unit}", faults, places, unit)
    if lists is not None:
        advice = "; ".join(_slips(found, names)) or f"the lists are {_names(names)}"
        unknown = (positions < 0) & ~missing
        _refuse(unknown, f"a list that is not in lists, in {{rows}}: {advice}", faults, places, unit)
    return np.maximum(positions, 0), names


def _slips(found: Iterable[str], names: Sequence[str]) -> list[str]:
    """Quote a name outside the lists only beside the list it resembles: any other could be of a person."""
    strange = [(name, difflib.get_close_matches(name, names, n=1)) for name in found if name not in names]
    return [f"{name!r} looks like {close[0]!r}" for name, close in strange[:_ROWS_SHOWN] if close]


# --- faults ----------------------------------------------------------------------------------------------------


def _sequence(argument: str, names: Sequence[str]) -> None:
    if isinstance(names, str):
        raise TableError(f"{argument} is the text {names!r}; give a sequence of names, such as [{names!r}]")


def _known(frame: pd.DataFrame, kind: str, names: Iterable[str]) -> None:
    for name in names:
        if str(name) not in frame.columns:
            raise unknown_name(kind, str(name), frame.columns)


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _raise(faults: Sequence[str]) -> None:
    if len(faults) == 1:
        raise TableError(faults[0])
    if faults:
        raise TableError("\n  - ".join([f"{len(faults)} faults in the table:", *faults]))


def _refuse(
    wrong: Bools, message: str, faults: list[str], places: Ints | None = None, unit: str = "row"
) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        # A column may be called "{": the message is not a format.
        told = _places(rows + 1 if places is None else np.unique(places[rows]), unit)
        faults.append(message.replace("{rows}", told))


def _places(numbers: Ints, unit: str) -> str:
    shown = [str(number) for number in numbers[:_ROWS_SHOWN]]
    if numbers.size > _ROWS_SHOWN:
        return f"{unit}s {', '.join(shown)} and {numbers.size - _ROWS_SHOWN} more"
    if len(shown) == 1:
        return f"{unit} {shown[0]}"
    return f"{unit}s {', '.join(shown[:-1])} and {shown[-1]}"


def _refuse_unseen(wrong: Bools, faults: list[str]) -> None:
    advice = "the people on no list are what is to be estimated; remove the row, or correct its lists"
    _refuse(wrong, f"on no list, but with a count, in {{rows}}: {advice}", faults)


def _refuse_listless(wrong: Bools, faults: list[str]) -> None:
    advice = "somebody on no list was not observed; leave the person out, or correct the lists"
    _refuse(wrong, f"on no list: {{rows}}; {advice}", faults, unit="person")


def _refuse_repeats(
    histories: Ints, levels: pd.DataFrame, names: Sequence[str], sound: Bools, faults: list[str]
) -> None:
    rows = np.flatnonzero(sound)
    stratum = stratum_codes(levels.iloc[rows])
    order = np.lexsort((rows, histories[rows], stratum))
    first = starts_cell(stratum[order], histories[rows][order])
    repeats = np.flatnonzero(~first)
    for place in repeats[:_ROWS_SHOWN]:
        earlier, later = rows[order[place - 1]] + 1, rows[order[place]] + 1
        caught = decode(histories[[later - 1]], len(names))[0]
        lists = _names(name for name, on in zip(names, caught, strict=True) if on)
        faults.append(f"rows {earlier} and {later} are the same cell (on {lists}): add them up first")
    if repeats.size > _ROWS_SHOWN:
        faults.append(f"{repeats.size - _ROWS_SHOWN} more rows repeat a cell")


def _wandering(name: str, codes: Ints, people: npt.NDArray[np.integer[Any]], chosen: Ints) -> str:
    known = np.flatnonzero(people >= 0)
    moved = known[codes[known] != codes[chosen[people[known]]]]
    numbers = np.unique(people[moved] + 1)
    return (
        f"column {name!r} differs between registrations of one person: {_places(numbers, 'person')} (in order of first "
        f'registration), at {_places(moved + 1, "row")}; choose one level a person, or let conflicts be "first", '
        '"last" or "mode"'
    )
