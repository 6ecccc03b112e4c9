"""Shapes that tables have, brought to one row a cell, a person or a registration under a line of names."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hiddenpop._cells import COUNT, BoolArray
from hiddenpop.errors import TableError
from hiddenpop.reading.columns import COUNT_NAMES, UNKNOWN_COUNT, Column
from hiddenpop.reading.files import Grid
from hiddenpop.reading.header import are_row_names, columns_of_frame, is_counted, under_names
from hiddenpop.reading.numbers import may_be_number, read_counts_of
from hiddenpop.reading.record import number_of

__all__ = ["Sheet", "sheet_of_grid"]

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


def sheet_of_grid(
    grid: Grid, names: Sequence[str] | None, lists: Sequence[str] | None, decimal: str | None
) -> Sheet:
    """Find the line of names, leave out what is no data, and turn the shape.

    Parameters
    ----------
    grid : Grid
    names : sequence of str or None
        Names for the columns of a file without a header line.
    lists : sequence of str or None
        Names of lists, for shapes that hold none.
    decimal : str or None

    Raises
    ------
    TableError
        For a first line that looks like data, names that do not fit, or cells beyond the last column.
    """
    frame, notes = under_names(grid, names)
    frame, more = _without_blanks(frame)
    if frame.empty:
        raise TableError("{path} holds no rows; there is nobody to count")
    sheet = Sheet(columns_of_frame(frame), len(frame), (*grid.notes, *notes, *more), grid.separator)
    for turn in (_without_row_names, _without_notes, _without_totals):
        sheet = turn(sheet)
    shapes: tuple[Callable[[Sheet, Sequence[str] | None, str | None], Sheet | None], ...] = (
        _from_ftable,
        _from_wide_row,
        _from_totals,
        _from_histories,
    )
    turned = (shape(sheet, lists, decimal) for shape in shapes)
    return next((found for found in turned if found is not None), sheet)


# --- rows and columns that are no data -------------------------------------------------------------------------


def _without_blanks(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    blank: BoolArray = np.all(frame.isna().to_numpy(), axis=1)
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
    total |= _bare_total(sheet)
    if not total.any() or total.all():
        return sheet
    number = int(total.sum())
    said = _SAID_TOTAL if number == 1 else f"{number:,} rows of totals are left out"
    return replace(_rows(sheet, ~total), notes=(*sheet.notes, said))


def _bare_total(sheet: Sheet) -> BoolArray:
    """Find a last row with nothing but a label and a number as large as all others together."""
    last = np.zeros(sheet.rows, dtype=np.bool_)
    filled = [column for column in sheet.columns.values() if column.codes[-1] >= 0]
    numbers = [column for column in filled if column.is_number]
    labels = [column for column in filled if not column.is_number]
    if sheet.rows < 3 or len(numbers) != 1 or len(labels) > 1 or len(sheet.columns) < len(filled) + 2:
        return last
    if any((column.codes[:-1] == column.codes[-1]).any() for column in labels):
        return last
    values = read_counts_of(numbers[0].levels, separator=sheet.separator).numbers
    counts = [values[code] or 0 if code >= 0 else 0 for code in numbers[0].codes]
    last[-1] = counts[-1] > 0 and counts[-1] == sum(counts[:-1])
    return last


def _is_total(text: str) -> bool:
    return text.casefold().strip(" .:=") in TOTAL_WORDS


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
    return replace(_rows(sheet, np.arange(sheet.rows) < last), notes=(*sheet.notes, said))


def _is_note(text: str) -> bool:
    """Tell words from a value: several of them, or with a sign of a note in front."""
    return bool(_NOTE.match(text))


def _rows(sheet: Sheet, kept: BoolArray) -> Sheet:
    columns = {name: _part(column, kept) for name, column in sheet.columns.items()}
    return replace(sheet, columns=columns, rows=int(kept.sum()))


def _part(column: Column, kept: BoolArray) -> Column:
    codes = column.codes[kept]
    used, renumbered = np.unique(codes[codes >= 0], return_inverse=True)
    new = np.full(codes.size, -1, dtype=np.int64)
    new[codes >= 0] = renumbered
    return Column(column.name, new, tuple(column.levels[place] for place in used))


# --- other shapes ----------------------------------------------------------------------------------------------


def _long(rows: Sequence[dict[str, str]], sheet: Sheet, lists: Sequence[str], said: str) -> Sheet:
    """Make a sheet with a row a cell; what was one cell of the file is a row now."""
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


def _from_ftable(sheet: Sheet, _: Sequence[str] | None, __: str | None) -> Sheet | None:
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


def _from_wide_row(sheet: Sheet, lists: Sequence[str] | None, decimal: str | None) -> Sheet | None:
    """Turn columns n111, n110, ... into rows."""
    bits = {name: found[1] for name in sheet.columns if (found := _WIDE.fullmatch(name))}
    rest = [name for name in sheet.columns if name not in bits]
    lengths = {len(text) for text in bits.values()}
    if len(bits) < 3 or len(lengths) != 1 or len(set(bits.values())) < len(bits):
        return None
    if all(sheet.columns[name].is_binary for name in bits) or (not rest and sheet.rows > 1):
        return None
    names = _list_names(lengths.pop(), lists)
    rows = [
        {
            **dict(zip(names, text, strict=True)),
            **{key: _texts_of(sheet.columns[key])[place] for key in rest},
            COUNT: cell,
        }
        for name, text in bits.items()
        for place, cell in enumerate(_texts_of(sheet.columns[name]))
    ]
    return _long(
        rows, sheet, names, f"{len(bits)} counts beside each other were turned into rows, one a cell"
    )


def _from_totals(sheet: Sheet, lists: Sequence[str] | None, decimal: str | None) -> Sheet | None:
    """Turn the totals n1 and n2 of two lists and their overlap m into three cells."""
    by_name = {name.casefold(): column for name, column in sheet.columns.items()}
    overlap = next((name for name in ("m", "m2", "n12", "m12") if name in by_name), None)
    if overlap is None or not {"n1", "n2"} <= set(by_name) or len(by_name) != 3 or sheet.rows != 1:
        return None
    texts = [_texts_of(by_name[name])[0] for name in ("n1", "n2", overlap)]
    first, second, both = read_counts_of(texts, decimal, sheet.separator).numbers
    if first is None or second is None or both is None or both > min(first, second):
        raise TableError(
            f"n1, n2 and {overlap} must be the totals of two lists and the number on both, which is at most either"
        )
    names = _list_names(2, lists)
    cells = {("1", "0"): first - both, ("0", "1"): second - both, ("1", "1"): both}
    rows = [{**dict(zip(names, bits, strict=True)), COUNT: str(number)} for bits, number in cells.items()]
    return _long(
        rows, sheet, names, f"the totals n1 and n2 and the overlap {overlap} were turned into three cells"
    )


def _from_histories(sheet: Sheet, lists: Sequence[str] | None, _: str | None) -> Sheet | None:
    """Cut capture histories such as 0110 or n0110 into lists."""
    held = ((column, column.histories) for column in sheet.columns.values())
    found, texts = next(((column, texts) for column, texts in held if texts), (None, ()))
    if found is None:
        return None
    width = max(map(len, texts))
    names = _list_names(width, lists)
    others = {name: column for name, column in sheet.columns.items() if name != found.name}
    if clash := [name for name in names if name in others]:
        raise TableError(
            f"a list cut from {found.name!r} cannot be called {clash[0]!r} as a column is; name the lists"
        )
    bits = np.array([[int(sign) for sign in text.zfill(width)] for text in texts], dtype=np.int64)
    made = {
        name: Column(name, np.where(found.codes < 0, -1, bits[found.codes, place]), ("0", "1"))
        for place, name in enumerate(names)
    }
    said = f"the histories in {found.name} were cut into {width} lists, {', '.join(names)}"
    return replace(sheet, columns={**made, **others}, notes=(*sheet.notes, said), settled=tuple(names))


def is_count_name(name: str) -> bool:
    """Tell whether a column is called as columns of counts are."""
    return name.casefold().strip() in COUNT_NAMES


def is_unknown_count(text: str) -> bool:
    """Tell whether a text stands for the people on no list, whose number is sought."""
    return not text or text.casefold() in UNKNOWN_COUNT or (may_be_number(text) and not text.strip("0.,"))
