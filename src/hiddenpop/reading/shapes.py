"""Shapes that tables have, brought to one row a cell, a person or a registration under a line of names."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hiddenpop._cells import COUNT, unknown_name
from hiddenpop._typing import Bools, Ints
from hiddenpop._words import NO_WORDS, YES_WORDS, pair_of, plain_word
from hiddenpop.errors import TableError
from hiddenpop.histories import MAX_LISTS
from hiddenpop.reading.columns import (
    FEW,
    NOT_RECORDED,
    UNKNOWN_COUNT,
    Column,
    is_count_name,
    one_spelling,
    writable,
)
from hiddenpop.reading.files import Grid
from hiddenpop.reading.header import are_row_names, columns_of_frame, is_counted, under_names
from hiddenpop.reading.joined import NO_SPLIT, Joined, combinations_of_names, is_cut, splits_of
from hiddenpop.reading.numbers import may_be_number, read_counts_of
from hiddenpop.reading.questions import OpenQuestionError, unclear_sign
from hiddenpop.reading.record import Options, number_of

__all__ = ["Sheet", "rows_of", "sheet_of_grid"]

TOTAL_WORDS = frozenset({
    "total", "totals", "totaal", "totalen", "grand total", "overall total", "subtotal", "sub total", "eindtotaal",
    "subtotaal", "algemeen totaal", "sum", "som", "gesamt", "insgesamt", "summe",
})  # fmt: skip
ROW_NAMES = frozenset({"", "unnamed: 0", "rownames", "row.names", "row_names", "index"})
_HEAD = 200
_WIDE = re.compile(r"[^\d]*?([01]{2,})")
_LABEL = re.compile(r"\s*([^=]+?)\s*=\s*([^=]+?)\s*")
MOST_NOTES = 10
_NOTE = re.compile(r"[*\u2020(\[]|.*[^\W\d_].*(\s|:)")
_RULE = re.compile(r"[-=:+_\u2013\u2014]{2,}")
_TOTAL_OF = re.compile(r"n\s*[=:]\s*\d[\d., ]*")
_WITH_NUMBER = re.compile(r"\s*[=:(]\s*(n\s*=\s*)?\d[\d., ]*\)?$")
_SAID_TOTAL = "the row of totals is left out"


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Columns by name, with what was done to get them.

    Parameters
    ----------
    columns : dict of str to Column
    rows : int
    notes : tuple of str
    separator : str
        Of the text file.
    settled : tuple of str
        Lists that a shape made: what else could be a list is none.
    """

    columns: dict[str, Column]
    rows: int
    notes: tuple[str, ...] = ()
    separator: str = ""
    settled: tuple[str, ...] = ()


def sheet_of_grid(grid: Grid, options: Options) -> Sheet:
    """Find the line of names, leave out what is not data, and turn the shape.

    Parameters
    ----------
    grid : Grid
    options : Options
        Of these, the names of columns and lists, the decimal sign, and what is said of cells with several lists.

    Raises
    ------
    OpenQuestionError
        For cells that may name several lists.
    UnknownNameError
        For one of several columns of names of lists that is not there.
    TableError
        For columns that hold no names of lists, a first line that looks like data, names that do not fit, or cells
        beyond the last column.
    """
    frame, notes = under_names(grid, options.columns)
    frame, more = _without_blanks(frame)
    if frame.empty:
        raise TableError("{path} holds no rows; there is nobody to count")
    sheet = Sheet(columns_of_frame(frame), len(frame), (*grid.notes, *notes, *more), grid.separator)
    for turn in (_without_row_names, _without_rules, _without_notes, _without_units, _without_totals):
        sheet = turn(sheet)
    shapes: tuple[Callable[[Sheet, Options], Sheet | None], ...] = (
        _from_lists_beside_each_other,
        _from_ftable,
        _from_crossed,
        _from_wide_row,
        _from_wide_names,
        _from_totals,
        _from_histories,
        _from_several_lists_a_cell,
    )
    turned = (shape(sheet, options) for shape in shapes)
    return next((found for found in turned if found is not None), sheet)


# --- rows and columns that are no data -------------------------------------------------------------------------


def _without_blanks(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    blank: Bools = np.all(frame.isna().to_numpy(), axis=1)
    if not blank.any():
        return frame.reset_index(drop=True), ()
    return frame.loc[~blank].reset_index(drop=True), (f"{number_of(int(blank.sum()), 'blank row')} left out",)


def _without_row_names(sheet: Sheet) -> Sheet:
    name, column = next(iter(sheet.columns.items()))
    plain = name.casefold().strip()
    if plain not in ROW_NAMES or len(sheet.columns) < 3 or any(map(_LABEL.fullmatch, column.levels[:1])):
        return sheet
    if not (is_counted(column) or (not plain and are_row_names(column))):
        return sheet
    kept = {key: held for key, held in sheet.columns.items() if key != name}
    return replace(
        sheet, columns=kept, notes=(*sheet.notes, "the first column holds names of rows and is set aside")
    )


def _without_totals(sheet: Sheet) -> Sheet:
    """Leave out rows that say of themselves that they are totals, and a last row of nothing but a total."""
    total = np.zeros(sheet.rows, dtype=np.bool_)
    for column in sheet.columns.values():
        places = [place for place, level in enumerate(column.levels) if _is_total(level)]
        if places:
            total |= np.isin(column.codes, places)
    total |= _bare_totals(sheet)
    total |= _sums_below(sheet)
    if not total.any() or total.all():
        return sheet
    number = int(total.sum())
    said = _SAID_TOTAL if number == 1 else f"{number:,} rows of totals are left out"
    return replace(rows_of(sheet, ~total), notes=(*sheet.notes, said))


def _bare_totals(sheet: Sheet) -> Bools:
    """Find a first or a last row with nothing but a label and a number as large as all others together."""
    found = np.zeros(sheet.rows, dtype=np.bool_)
    for place in (0, sheet.rows - 1):
        found[place] = _is_bare_total(sheet, place)
    return found


def _is_bare_total(sheet: Sheet, place: int) -> bool:
    filled = [column for column in sheet.columns.values() if column.codes[place] >= 0]
    numbers = [column for column in filled if column.is_number]
    labels = [column for column in filled if not column.is_number]
    if sheet.rows < 3 or len(numbers) != 1 or len(labels) > 1 or len(sheet.columns) < len(filled) + 2:
        return False
    if any((column.codes == column.codes[place]).sum() > 1 for column in labels):
        return False
    values = read_counts_of(numbers[0].levels, separator=sheet.separator).numbers
    counts = [values[code] or 0 if code >= 0 else 0 for code in numbers[0].codes]
    return counts[place] > 0 and 2 * counts[place] == sum(counts)


def _sums_below(sheet: Sheet) -> Bools:
    """Find a last row in which every number is the sum of those above: of persons, or weighted with the counts."""
    found = np.zeros(sheet.rows, dtype=np.bool_)
    numbers = [column for column in sheet.columns.values() if column.is_number]
    texts = [column for column in sheet.columns.values() if not column.is_number]
    lists = [column for column in numbers if _is_zero_one_above(column)]
    others = [column for column in numbers if column not in lists]
    blank_text = all(column.codes[-1] < 0 for column in texts)
    if sheet.rows < 3 or len(lists) < 2 or len(others) > 1 or not blank_text:
        return found
    values = [_numbers_by_row(sheet, column) for column in (*lists, *others)]
    if any(None in held for held in values):
        return found
    *above, counts = np.array(values if others else [*values, [1] * (sheet.rows - 1) + [0]], dtype=np.float64)
    sums = [column[:-1] @ counts[:-1] == column[-1] for column in above]
    found[-1] = all(sums) and (not others or counts[:-1].sum() == counts[-1])
    return found


def _is_zero_one_above(column: Column) -> bool:
    """Tell a column of 0 and 1 with another number at the end."""
    last = column.codes[-1]
    if last < 0 or len(column.levels) > 3 or column.levels[last] in ("0", "1"):
        return False
    return bool((column.codes == last).sum() == 1) and {*column.levels} - {column.levels[last]} <= {"0", "1"}


def _without_rules(sheet: Sheet) -> Sheet:
    """Leave out rows of nothing but dashes, as they stand below the names of a table that was set out with signs."""
    if not any(_RULE.fullmatch(level) for column in sheet.columns.values() for level in column.levels[:1]):
        return sheet
    dashes = [
        np.array([*(bool(_RULE.fullmatch(level)) for level in column.levels), True])[column.codes]
        for column in sheet.columns.values()
    ]
    rule: Bools = np.logical_and.reduce(dashes)
    if rule.all():
        return sheet
    return replace(
        rows_of(sheet, ~rule), notes=(*sheet.notes, f"{number_of(int(rule.sum()), 'row')} of dashes left out")
    )


def _without_units(sheet: Sheet) -> Sheet:
    """Leave out a first row that holds nothing but a word or two above numbers, such as the unit of the counts."""
    filled = [column for column in sheet.columns.values() if column.codes[0] >= 0]
    if sheet.rows < 3 or not filled or len(filled) == len(sheet.columns) or not all(map(_is_unit, filled)):
        return sheet
    said = "1 row below the names left out, as of units"
    return replace(rows_of(sheet, np.arange(sheet.rows) > 0), notes=(*sheet.notes, said))


def _is_unit(column: Column) -> bool:
    """Tell whether the first text of a column is a word, and all others are numbers."""
    first, *others = column.levels[: FEW + 1]
    alone = (column.codes == column.codes[0]).sum() == 1
    return bool(alone) and bool(others) and not may_be_number(first) and all(map(may_be_number, others))


def _is_total(text: str) -> bool:
    word = text.casefold().strip(" .:=")
    return word in TOTAL_WORDS or bool(_TOTAL_OF.fullmatch(word)) or _WITH_NUMBER.sub("", word) in TOTAL_WORDS


def _without_notes(sheet: Sheet) -> Sheet:
    """Leave out lines below a table in which only the first cell is filled in, with words found nowhere above."""
    first, *others = sheet.columns.values()
    if not others or sheet.rows < 3:
        return sheet
    alone = np.all([column.codes[-MOST_NOTES:] < 0 for column in others], axis=0)
    last = sheet.rows
    while last > 1 and sheet.rows - last < alone.size and alone[last - 1 - sheet.rows]:
        code = first.codes[last - 1]
        if code < 0 or not _is_note(first.levels[code]) or (first.codes[: last - 1] == code).any():
            break
        last -= 1
    if last == sheet.rows:
        return sheet
    said = f"{number_of(sheet.rows - last, 'row')} below the table left out, as of a note"
    return replace(rows_of(sheet, np.arange(sheet.rows) < last), notes=(*sheet.notes, said))


def _is_note(text: str) -> bool:
    """Tell words from a value: several of them, or with a sign of a note in front."""
    return bool(_NOTE.match(text))


def rows_of(sheet: Sheet, kept: Bools) -> Sheet:
    """Keep some rows."""
    columns = {name: _part(column, kept) for name, column in sheet.columns.items()}
    return replace(sheet, columns=columns, rows=int(kept.sum()))


def _part(column: Column, kept: Bools) -> Column:
    codes = column.codes[kept]
    used, renumbered = np.unique(codes[codes >= 0], return_inverse=True)
    new = np.full(codes.size, -1, dtype=np.int64)
    new[codes >= 0] = renumbered
    return Column(column.name, new, tuple(column.levels[place] for place in used))


# --- other shapes ----------------------------------------------------------------------------------------------


def _long(rows: Sequence[dict[str, str]], sheet: Sheet, lists: Sequence[str], said: str) -> Sheet:
    """Make a sheet with one row per cell; what was one cell of the file is a row now."""
    frame = pd.DataFrame(list(rows), dtype=object)
    frame = frame.where(frame.notna() & (frame != ""), None)
    return replace(
        sheet,
        columns=columns_of_frame(frame),
        rows=len(frame),
        notes=(*sheet.notes, said),
        settled=tuple(lists),
    )


def _texts_of(column: Column) -> list[str]:
    return [column.levels[code] if code >= 0 else "" for code in column.codes]


def _labels(text: str) -> dict[str, str] | None:
    """Read "low=0" or "low=0, crisis=1"."""
    parts = [_LABEL.fullmatch(part) for part in re.split(r"[,;]\s*", text)]
    return {part[1]: part[2] for part in parts if part} if parts and all(parts) else None


def _from_ftable(sheet: Sheet, _: Options) -> Sheet | None:
    """Turn a flat table of R: names and levels along both sides, counts inside."""
    above = {name: _labels(name) for name in sheet.columns}
    if not any(above.values()):
        return None
    sides = [_filled_down(_texts_of(sheet.columns[name])) for name, label in above.items() if label is None]
    beside: list[dict[str, str]] = [{} for _ in range(sheet.rows)]
    for side in sides:
        for place, text in enumerate(side):
            beside[place] = {**beside[place], **(_labels(text) or {})}
    rows = [
        {**beside[place], **label, COUNT: text}
        for name, label in above.items()
        if label is not None
        for place, text in enumerate(_texts_of(sheet.columns[name]))
    ]
    return _long(rows, sheet, (), f"a flat table was turned into {len(rows)} rows, one a cell")


def _from_crossed(sheet: Sheet, _: Options) -> Sheet | None:
    """Turn counts under the two words of a list, such as nee and ja, beside the other lists, into rows."""
    pair = {name: plain_word(name) for name in sheet.columns if plain_word(name) in YES_WORDS | NO_WORDS}
    rest = [name for name in sheet.columns if name not in pair]
    numbers = all(
        column.is_number or all(map(is_unknown_count, column.levels))
        for column in (sheet.columns[name] for name in pair)
    )
    listed = [name for name in rest if sheet.columns[name].is_binary]
    if len(pair) != 2 or pair_of([*pair.values()]) is None or not (numbers and listed):
        return None
    if any(map(is_count_name, rest)) or all(sheet.columns[name].is_zero_one for name in pair):
        return None
    corner = re.split(r"\s*[\\/|]\s*", rest[0]) if rest[0] in listed else []
    own, across = corner if len(corner) == 2 and all(corner) else (rest[0], f"list{len(listed) + 1}")
    rows = [
        {own if name == rest[0] else name: texts[place] for name, texts in beside.items()}
        | {across: "01"[word in YES_WORDS], COUNT: counts[place]}
        for beside in [{name: _texts_of(sheet.columns[name]) for name in rest}]
        for name, word in pair.items()
        for counts in [_texts_of(sheet.columns[name])]
        for place in range(sheet.rows)
    ]
    said = f"the counts under {' and '.join(pair)} were turned into rows, of a list {across}"
    return _long(rows, sheet, (), said)


def _filled_down(texts: Sequence[str]) -> list[str]:
    """Repeat a label over the blanks below it."""
    found, last = [], ""
    for text in texts:
        last = text or last
        found.append(last)
    return found


def _list_names(number: int, lists: Sequence[str] | None) -> list[str]:
    given = list(lists or ())
    return given if len(given) == number else [f"list{place + 1}" for place in range(number)]


def _from_wide_row(sheet: Sheet, options: Options) -> Sheet | None:
    """Turn columns n111, n110, ... into rows."""
    bits = {name: found[1] for name in sheet.columns if (found := _WIDE.fullmatch(name))}
    rest = [name for name in sheet.columns if name not in bits]
    lengths = {len(text) for text in bits.values()}
    if len(bits) < 3 or len(lengths) != 1 or len(set(bits.values())) < len(bits):
        return None
    if all(sheet.columns[name].is_binary for name in bits) or (not rest and sheet.rows > 1):
        return None
    names = _list_names(lengths.pop(), options.lists)
    return _beside_each_other(sheet, {name: tuple(text) for name, text in bits.items()}, names)


def _beside_each_other(sheet: Sheet, bits: Mapping[str, Sequence[str]], names: Sequence[str]) -> Sheet:
    """Turn counts that stand beside each other into rows; the other columns stay."""
    rest = {name: _texts_of(column) for name, column in sheet.columns.items() if name not in bits}
    rows = [
        {
            **dict(zip(names, on, strict=True)),
            **{key: texts[place] for key, texts in rest.items()},
            COUNT: cell,
        }
        for name, on in bits.items()
        for place, cell in enumerate(_texts_of(sheet.columns[name]))
    ]
    return _long(
        rows, sheet, names, f"{len(bits)} counts beside each other were turned into rows, one a cell"
    )


def _from_wide_names(sheet: Sheet, options: Options) -> Sheet | None:
    """Turn columns that are called as combinations of lists, such as A, B and AB, into rows."""
    counts = [
        name
        for name, column in sheet.columns.items()
        if (column.is_number or all(map(is_unknown_count, column.levels))) and not column.is_covariate_by_name
    ]
    rest = [sheet.columns[name] for name in sheet.columns if name not in counts]
    of_persons = all(sheet.columns[name].is_binary for name in counts) and sheet.rows > 1
    if len(counts) < 3 or of_persons or options.split == NO_SPLIT or (sheet.rows > 1 and not rest):
        return None
    combinations = combinations_of_names(counts)
    if combinations is None:
        return None
    names, by_column = combinations
    bits = {name: ["01"[held in lists] for held in names] for name, lists in by_column.items()}
    return _beside_each_other(sheet, bits, names)


TOTALS = (("n1", "n2", "m"), ("n1", "n2", "m2"), ("n1", "n2", "n12"), ("n1", "n2", "m12"), ("m", "c", "r"))
"""What the totals of two lists and their overlap are called in the books."""


def _from_totals(sheet: Sheet, options: Options) -> Sheet | None:
    """Turn the totals of two lists and their overlap into three cells, in every row that is a stratum."""
    by_name = {name.casefold(): name for name in sheet.columns}
    found = next((names for names in TOTALS if set(names) <= set(by_name)), None)
    if found is None:
        return None
    named = [by_name[name] for name in found]
    rest = {name: _texts_of(column) for name, column in sheet.columns.items() if name not in named}
    if (sheet.rows > 1 and not rest) or any(is_count_name(name) for name in rest):
        return None
    columns = [_numbers_by_row(sheet, sheet.columns[name], options.decimal) for name in named]
    names = _list_names(2, options.lists)
    rows: list[dict[str, str]] = []
    for place, (first, second, both) in enumerate(zip(*columns, strict=True)):
        if first is None or second is None or both is None or both > min(first, second):
            raise TableError(
                f"{', '.join(named[:2])} and {named[2]} must be the totals of two lists and the number on both, which "
                f"is at most either; row {place + 1} does not hold such numbers; correct it"
            )
        cells = {("1", "0"): first - both, ("0", "1"): second - both, ("1", "1"): both}
        beside = {name: texts[place] for name, texts in rest.items()}
        rows += [
            {**dict(zip(names, bits, strict=True)), **beside, COUNT: str(number)}
            for bits, number in cells.items()
        ]
    said = f"the totals {named[0]} and {named[1]} and the overlap {named[2]} were turned into three cells"
    return _long(rows, sheet, names, said + (", in every row" if sheet.rows > 1 else ""))


def _numbers_by_row(sheet: Sheet, column: Column, decimal: str | None = None) -> list[int | float | None]:
    read = read_counts_of(column.levels, decimal, sheet.separator)
    if read.unclear:
        raise unclear_sign(column.name, read.unclear)
    return [read.numbers[code] if code >= 0 else None for code in column.codes]


def _from_histories(sheet: Sheet, options: Options) -> Sheet | None:
    """Cut capture histories such as 0110 or n0110 into lists."""
    held = ((column, column.histories) for column in sheet.columns.values())
    found, texts = next(((column, texts) for column, texts in held if texts), (None, ()))
    if found is None:
        return None
    width = max(map(len, texts))
    names = _list_names(width, options.lists)
    bits = [[int(sign) for sign in text.zfill(width)] for text in texts]
    said = f"the histories in {found.name} were cut into {width} lists, {', '.join(names)}"
    return _cut(sheet, found, [*bits, [-1] * width], names, said)


def _cut(
    sheet: Sheet, column: Column, bits: Sequence[Sequence[int]], names: Sequence[str], said: str
) -> Sheet:
    """Put lists in the place of a column; `bits` holds them for every level, and then for a blank."""
    by_level = np.array(bits, dtype=np.int64)
    return _with_lists(sheet, [column.name], dict(zip(names, by_level[column.codes].T, strict=True)), said)


def _with_lists(sheet: Sheet, old: Sequence[str], lists: Mapping[str, Ints], said: str) -> Sheet:
    """Put lists, as 0 and 1 by row, in the place of columns."""
    others = {name: held for name, held in sheet.columns.items() if name not in old}
    if clash := [name for name in lists if name in others]:
        raise TableError(
            f"a list of {', '.join(map(repr, old))} cannot be called {clash[0]!r} as a column is; rename the column"
        )
    made = {name: Column(name, codes, ("0", "1")) for name, codes in lists.items()}
    return replace(sheet, columns={**made, **others}, notes=(*sheet.notes, said), settled=tuple(lists))


# --- a list in each of several columns, or several in one cell ------------------------------------------------


def _from_lists_beside_each_other(sheet: Sheet, options: Options) -> Sheet | None:
    """Make lists of the names that stand beside each other, as in register1, register2."""
    if not options.lists_beside:
        return None
    for name in options.lists_beside:
        if name not in sheet.columns:
            raise unknown_name("column", name, list(sheet.columns))
    held = [sheet.columns[name] for name in options.lists_beside]
    named, told = one_spelling(_pooled(held))
    texts, said = writable(named.levels)
    _refuse_no_names(held, named)
    on = np.zeros((sheet.rows, len(texts)), dtype=np.int64)
    for codes in named.codes.reshape(len(held), sheet.rows):
        filled = np.flatnonzero(codes >= 0)
        on[filled, codes[filled]] = 1
    of_rows = (
        f"the lists of a row are named in {', '.join(options.lists_beside)}: {', '.join(texts.values())}"
    )
    noted = replace(sheet, notes=(*sheet.notes, *told, *said))
    return _with_lists(noted, options.lists_beside, dict(zip(texts.values(), on.T, strict=True)), of_rows)


def _pooled(columns: Sequence[Column]) -> Column:
    """Put columns below each other, without what says that a value is missing."""
    levels = tuple(
        dict.fromkeys(
            level for column in columns for level in column.levels if level.casefold() not in NOT_RECORDED
        )
    )
    place = {level: number for number, level in enumerate(levels)}
    codes = [np.array([*(place.get(level, -1) for level in c.levels), -1])[c.codes] for c in columns]
    return Column("", np.concatenate(codes).astype(np.int64), levels)


def _refuse_no_names(columns: Sequence[Column], named: Column) -> None:
    """Refuse what does not look like names of lists: it would be printed as such."""
    if binary := [column.name for column in columns if column.is_binary]:
        raise TableError(
            f"--list is for columns that hold names of lists, and {binary[0]!r} holds two words, such as yes and no; "
            "name such columns with --lists"
        )
    n, filled = len(named.levels), int((named.codes >= 0).sum())
    strange = [
        column.name
        for place, column in enumerate(columns)
        if column.holds_identifiers
        or column.is_person_by_name
        or _is_of_its_own(column, [*columns[:place], *columns[place + 1 :]])
    ]
    if strange or n > MAX_LISTS or 2 * n > filled:
        raise TableError(
            f"column {', '.join(repr(column.name) for column in columns)} does not seem to name lists: there are "
            f"{number_of(n, 'different value')} in {number_of(filled, 'cell')}; name others with --list"
        )


def _is_of_its_own(column: Column, others: Sequence[Column]) -> bool:
    """Tell a column of many texts that are hardly met in the columns beside it, as persons are."""
    beside = {level.casefold() for other in others for level in other.levels}
    met = sum(level.casefold() in beside for level in column.levels)
    return len(column.levels) > FEW and 2 * met < len(column.levels)


def _from_several_lists_a_cell(sheet: Sheet, options: Options) -> Sheet | None:
    """Cut cells that name several lists: into lists, or, where a column names the list of a registration, into rows."""
    if options.split == NO_SPLIT or (options.lists and set(options.lists) <= set(sheet.columns)):
        return None
    if options.list_column is not None:
        return _several_registrations(sheet, options)
    held = {options.count, options.person, options.date, options.censored, *(options.strata or ())}
    left = [column for name, column in sheet.columns.items() if name not in held and not is_count_name(name)]
    lists = [c.name for c in left if (c.is_binary or c.is_tick) and not c.is_covariate_by_name]
    if len(lists) > 1 and options.split is None:
        return None  # what is beside lists is a label or a stratum
    cuts = {
        column.name: found
        for column in left
        if column.name not in lists
        and not column.is_covariate_by_name
        and (found := is_cut(column, options.split)) is not None
        and (found.is_clear or options.split is not None)
    }
    if not cuts:
        if options.split is not None:
            raise _not_cut(options.split)
        return None
    name, found = next(iter(cuts.items()))
    rivals = [c for c in left if c.name != name and (c.name in lists or _is_rival(c))]
    if options.split is None and (len(cuts) > 1 or (rivals and not found.is_sure)):
        raise _several_lists(sheet.columns[name])
    names, said = found.names, _said_cut(name, found)
    bits = [[int(held in on) for held in names] for on in found.combinations]
    return _cut(sheet, sheet.columns[name], [*bits, [0] * len(names)], names, said)


def _not_cut(split: str) -> TableError:
    return TableError(
        f"--split {split}: no cell names several lists so; write what stands between the names, or leave out --split"
    )


def _said_cut(name: str, found: Joined) -> str:
    return f"the combinations in {name} were cut into {len(found.names)} lists, {', '.join(found.names)}"


def _is_rival(column: Column) -> bool:
    """Tell a text with few values that is not a covariate by its name."""
    return (
        1 < len(column.levels) <= MAX_LISTS
        and not column.is_number
        and not column.is_covariate_by_name
        and not column.is_person_by_name
        and not column.holds_identifiers
    )


def _several_lists(column: Column) -> OpenQuestionError:
    return OpenQuestionError(
        f"column {column.name!r} may name several lists in one cell",
        [*([{"split": way}] for way in splits_of(column.levels)), [{"split": NO_SPLIT}]],
    )


def _several_registrations(sheet: Sheet, options: Options) -> Sheet | None:
    """Make a row of each list where a registration names several."""
    column = sheet.columns.get(str(options.list_column))
    found = None if column is None else is_cut(column, options.split)
    if column is None or found is None or not (found.is_reused or options.split):
        if options.split is not None:
            raise _not_cut(options.split)
        return None
    if not found.is_clear and options.split is None:
        raise _several_lists(column)
    places = [sorted(map(found.names.index, on)) for on in found.combinations]
    several = np.array([*(len(on) for on in places), 0], dtype=np.int64)[column.codes]
    rows = np.repeat(np.arange(sheet.rows), np.maximum(several, 1))
    flat = [
        place for code in column.codes for place in (places[code] if code >= 0 and places[code] else [-1])
    ]
    columns = {name: replace(held, codes=held.codes[rows]) for name, held in sheet.columns.items()}
    columns[column.name] = Column(column.name, np.array(flat, dtype=np.int64), found.names)
    return replace(
        sheet, columns=columns, rows=rows.size, notes=(*sheet.notes, _said_cut(column.name, found))
    )


def is_unknown_count(text: str) -> bool:
    """Tell whether a text stands for the people on no list, whose number is sought."""
    return not text or text.casefold() in UNKNOWN_COUNT or (may_be_number(text) and not text.strip("0.,"))
