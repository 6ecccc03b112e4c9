"""The line of names of a file: where it stands, whether it is there at all, and the columns under it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd

from hiddenpop._cells import COUNT
from hiddenpop._typing import Bools
from hiddenpop._words import pair_of, plain_word
from hiddenpop.errors import TableError
from hiddenpop.reading.columns import UNKNOWN_COUNT, Column, is_code, is_count_name, make_column
from hiddenpop.reading.files import Grid
from hiddenpop.reading.questions import OpenQuestionError
from hiddenpop.reading.record import number_of

__all__ = ["are_row_names", "columns_of_frame", "is_counted", "tables_of", "under_names", "unfolded"]

MOST_TITLES = 10
FEWEST_LINES = 3
"""Of a table, its names included: shorter ones are notes."""

_HEAD = 200
_COMMENT = "# "


def under_names(grid: Grid, given: Sequence[str] | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Put the names above the columns, and leave out what stands above the names.

    Parameters
    ----------
    grid : Grid
    given : sequence of str or None
        Names from the user, in place of those of the file, or where it has none.

    Returns
    -------
    frame : DataFrame
    notes : tuple of str

    Raises
    ------
    OpenQuestionError
        For a first line that looks like data, and for a column without a name.
    TableError
        For names that do not fit, or cells beyond the last column.
    """
    if grid.names is not None:
        return _under(grid.cells, list(given or grid.names)), ()
    head = [list(_texts(row)) for row in grid.cells.head(_HEAD).itertuples(index=False, name=None)]
    titles = _titles(head)
    header, below = head[titles], _columns_below(head, titles)
    told = (
        [f"{number_of(titles, 'row')} above the names of the columns left out, as of a title"]
        if titles
        else []
    )
    alike = [_same_kind(text, column) for text, column in zip(header, below, strict=True)]
    if given:
        named = False in alike and True not in alike
        told.append("the names of the columns are those given" + (", not those of the file" if named else ""))
        return _under(grid.cells.iloc[titles + named :], list(given)), tuple(told)
    body = grid.cells.iloc[titles + 1 :]
    if body.empty:
        raise TableError("{path} holds no rows; there is nobody to count")
    words = any(_is_word_above(text, column) for text, column in zip(header, below, strict=True))
    if alike.count(True) >= max(alike.count(False) + words, 1):
        raise _no_names(below)
    names, lower = _joined(head, titles), _second_names(head, titles)
    if lower:
        told.append("the names of some columns stand a row lower")
        body = body.iloc[1:]
    return _under(
        body, _shifted([low or name for low, name in zip(lower or names, names, strict=True)], body)
    ), tuple(told)


def tables_of(grid: Grid) -> tuple[Grid, ...]:
    """Take apart tables that stand below each other, a blank row and a line of names between them.

    Parameters
    ----------
    grid : Grid

    Returns
    -------
    tuple of Grid
        The grid itself where it holds one table, or none with names.
    """
    if grid.names is not None:
        return (grid,)
    blank: Bools = np.all(grid.cells.isna().to_numpy(), axis=1)
    if not blank.any():
        return (grid,) if _is_table(grid.cells) else ()
    starts = np.flatnonzero(~blank & np.r_[True, blank[:-1]])
    blocks = [grid.cells.iloc[at:end] for at, end in pairwise([*starts, len(blank)])]
    firsts = [place for place, block in enumerate(blocks) if _is_table(block)]
    if len(firsts) < 2:
        return (grid,) if firsts else ()
    cuts = [0, *(int(starts[_with_titles(blocks, place)]) for place in firsts[1:]), len(blank)]
    return tuple(
        replace(grid, cells=grid.cells.iloc[at:end].reset_index(drop=True), name=_part_name(grid, place))
        for place, (at, end) in enumerate(pairwise(cuts), 1)
    )


def unfolded(grid: Grid) -> Grid:
    """Turn a flat table as R writes it, with names of covariates along both sides, into one row a cell.

    Parameters
    ----------
    grid : Grid

    Returns
    -------
    Grid
        The grid itself where it is no such table.
    """
    if grid.names is not None or grid.cells.shape[1] < 3:
        return grid
    head = [list(_texts(row)) for row in grid.cells.head(MOST_TITLES).itertuples(index=False, name=None)]
    last = next((place for place, row in enumerate(head) if row[0]), 0)
    side = next((place for place, text in enumerate(head[last]) if not text), 0)
    above, beside = head[:last], head[last][:side]
    fits = last and side and not any(head[last][side:]) and len(grid.cells) > last + 1
    if not fits or any(any(row[:side]) or not row[side] or not any(row[side + 1 :]) for row in above):
        return grid
    cells = grid.cells.iloc[last + 1 :].reset_index(drop=True)
    if cells.iloc[:, side].notna().any():
        return grid
    rows = cells.iloc[:, :side].ffill()
    across = [pd.Series([text or None for text in row[side + 1 :]], dtype=object).ffill() for row in above]
    parts = [
        rows.assign(**{f"{place}": levels[column] for place, levels in enumerate(across)})
        .assign(count=cells.iloc[:, side + 1 + column])
        .set_axis([*beside, *(row[side] for row in above), COUNT], axis=1)
        for column in range(cells.shape[1] - side - 1)
    ]
    whole = pd.concat(parts, ignore_index=True)
    said = f"a flat table was turned into {len(whole)} rows, one a cell"
    names = tuple(map(str, whole.columns))
    return replace(
        grid, cells=whole.set_axis(range(len(names)), axis=1), names=names, notes=(*grid.notes, said)
    )


def _with_titles(blocks: Sequence[pd.DataFrame], place: int) -> int:
    """Go back over the titles above a table: rows of one cell."""
    while place > 1 and blocks[place - 1].notna().sum(axis=1).max() < 2:
        place -= 1
    return place


def _part_name(grid: Grid, place: int) -> str:
    return f"{grid.name}:{place}" if grid.name else str(place)


def _is_table(cells: pd.DataFrame) -> bool:
    """Tell a line of names with two rows below it or more."""
    head = [list(_texts(row)) for row in cells.head(_HEAD).itertuples(index=False, name=None)]
    head = [row for row in head if any(row)]
    if len(head) < FEWEST_LINES:
        return False
    titles = _titles(head)
    return len(head) - titles >= FEWEST_LINES and _are_names(head, titles)


def columns_of_frame(frame: pd.DataFrame) -> dict[str, Column]:
    """Read the columns of a frame; those without a name keep their place as one."""
    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise OpenQuestionError(
            f"more than one column is called {', '.join(map(repr, repeated))}; rename or remove the copies, or name "
            "the columns in order",
            [[{"columns": _numbered(names)}]],
        )
    unique = [name if names.count(name) == 1 else f"{name}\0{place}" for place, name in enumerate(names)]
    return {name: make_column(name, frame.iloc[:, place]) for place, name in enumerate(unique)}


def _numbered(names: Sequence[str]) -> list[str]:
    """Tell names apart by a number where they are the same; one that is not a name gets its place."""
    made: list[str] = []
    for place, name in enumerate(names):
        new = name or f"column{place + 1}"
        tries = (new, *(f"{new}_{number}" for number in range(2, len(names) + 2)))
        made.append(
            next(tried for tried in tries if tried not in made and (tried == name or tried not in names))
        )
    return made


def _texts(row: Iterable[object]) -> Iterable[str]:
    """Write each cell as text, a blank one as no text."""
    column = make_column("", pd.Series(list(row), dtype=object))
    return (column.levels[code] if code >= 0 else "" for code in column.codes)


def _columns_below(head: Sequence[Sequence[str]], place: int) -> list[Column]:
    rows = head[place + 1 :]
    return [
        make_column("", pd.Series([row[column] or None for row in rows], dtype=object))
        for column in range(len(head[place]))
    ]


# --- where the line of names stands ----------------------------------------------------------------------------


def _titles(head: Sequence[Sequence[str]]) -> int:
    """Count the rows above the line of names: comments, those with one cell filled in, those above a fuller line."""
    filled = [1 if row[0].startswith(_COMMENT) else sum(map(bool, row)) for row in head]
    if max(filled) < 2:
        return 0
    found = next(place for place, number in enumerate(filled) if number > 1)
    for place in range(found + 1, min(len(head) - 1, MOST_TITLES + 1)):
        if filled[place] > max(filled[:place]) and _are_names(head, place):
            found = place
    return found if found <= MOST_TITLES else 0


def _are_names(head: Sequence[Sequence[str]], place: int) -> bool:
    """Tell whether no cell of a line is as those below it, and some are not; 0 and 1 name no column."""
    if {"0", "1"} & set(head[place]):
        return False
    pairs = zip(head[place], _columns_below(head, place), strict=True)
    return {_same_kind(text, below) for text, below in pairs} - {None} == {False}


def _is_word_above(text: str, below: Column) -> bool:
    """Tell a word above numbers, which is not a value that is missing among them."""
    return below.is_number and text.isalpha() and text.casefold() not in UNKNOWN_COUNT


def _second_names(head: Sequence[Sequence[str]], place: int) -> list[str]:
    """Give the names that stand below one name that is merged over several columns of numbers; none elsewhere."""
    if place + 3 > len(head):
        return []
    header, lower = head[place], head[place + 1]
    below = _columns_below(head, place + 1)
    named = [column for column, text in enumerate(lower) if text]
    merged = any(not header[column] for column in named)
    words = all(_is_word_above(lower[column], below[column]) for column in named)
    return [*lower] if len(named) > 1 and merged and words and len(named) < len(lower) else []


def _joined(head: Sequence[Sequence[str]], place: int) -> list[str]:
    """Give the names; one that stands a line higher, above a blank, is taken from there."""
    above = head[place - 1] if place and sum(map(bool, head[place - 1])) > 1 else [""] * len(head[place])
    return [name or higher for name, higher in zip(head[place], above, strict=True)]


def _same_kind(text: str, below: Column) -> bool | None:
    """Tell whether a text is as those below it; None where nothing can be said."""
    if below.is_blank or not text:
        return None
    if below.levels == (text,) and pair_of({plain_word(text)}) is None:
        return None  # a list that holds its own name where somebody is on it
    if text in below.levels or below.is_binary:
        return text in below.levels
    above = make_column("", pd.Series([text], dtype=object))
    if below.is_number:
        return above.is_number
    if below.holds_identifiers or all(any(map(str.isdigit, level)) for level in below.levels):
        return above.holds_identifiers or is_code(text) or _outline(text) in set(map(_outline, below.levels))
    return None


def _outline(text: str) -> str:
    """Write every digit as 9 and every letter as a."""
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text))


def _no_names(below: Sequence[Column]) -> OpenQuestionError:
    return OpenQuestionError(
        "the first line looks like data and not like names of columns; add a line of names above it, or name the "
        "columns in order",
        [[{"columns": _example_names(below)}]],
        "say --columns A,B,C with a name for every column",
    )


def _example_names(below: Sequence[Column]) -> list[str]:
    """Make names that say what the columns may be, ready to be typed."""
    names: list[str] = []
    lists = 0
    for place, column in enumerate(below):
        if column.is_binary or column.is_tick or column.is_one_two:
            lists += 1
            names.append(f"list{lists}")
        elif column.histories:
            names.append("history" if "history" not in names else f"column{place + 1}")
        elif column.is_number and not column.holds_identifiers and column.codes.size < _HEAD - 1:
            names.append(COUNT if COUNT not in names else f"column{place + 1}")
        else:
            names.append(f"column{place + 1}")
    return names


# --- the columns under it --------------------------------------------------------------------------------------


def _shifted(header: list[str], body: pd.DataFrame) -> list[str]:
    """Move names one column to the right where R wrote row names without a name above them."""
    last = body.iloc[:, -1]
    if len(header) > 1 and not header[-1] and all(header[:-1]) and last.notna().all() and len(body) > 1:
        first = make_column("", body.iloc[:, 0])
        if are_row_names(first):
            return ["", *header[:-1]]
    return header


def are_row_names(column: Column) -> bool:
    """Tell 1, 2, 3 ... or texts that all differ."""
    differ = len(column.levels) == column.codes.size
    return differ and (not column.is_number or is_counted(column))


def is_counted(column: Column) -> bool:
    """Tell whether a column counts its rows, from 0 or from 1."""
    rows = column.codes.size
    first = {column.levels[:1]} & {("0",), ("1",)}
    start = int(column.levels[0]) if first else 0
    return bool(first) and column.levels == tuple(map(str, range(start, start + rows)))


def _under(cells: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Put names above columns; columns without a name and without a cell are no columns."""
    if len(names) > cells.shape[1]:
        raise TableError(
            f"{len(names)} names of columns were given, and the file has {cells.shape[1]} columns; name each once"
        )
    names = [*names, *[""] * (cells.shape[1] - len(names))]
    present = cells.notna().to_numpy()
    filled: Bools = np.any(present, axis=0)
    last = max((place for place, name in enumerate(names) if name), default=len(names))
    if filled[last + 1 :].any():
        raise _beyond(present, names, last + 1)
    kept = [place for place, name in enumerate(names) if name or filled[place]]
    return cells.iloc[:, kept].set_axis([names[place] for place in kept], axis=1)


def _beyond(present: Bools, names: list[str], end: int) -> TableError:
    """Refuse cells behind the last name: a column without a name, or rows with a cell too many."""
    over = present[:, end:].any(axis=1)
    if 1 < present.any(axis=1).sum() == over.sum():
        counted = any(map(is_count_name, names))
        named = [name or (COUNT if place == end and not counted else "") for place, name in enumerate(names)]
        return OpenQuestionError(
            f"{number_of(len(names) - end, 'column')} at the end without a name; name the columns in order",
            [[{"columns": _numbered(named)}]],
        )
    return TableError(
        f"cannot read {{path}}: row {int(np.flatnonzero(over)[0]) + 1} has more cells than there are names of "
        "columns; correct the row"
    )
