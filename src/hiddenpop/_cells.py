"""The canonical cells of a capture table, and which list could have seen the people in them."""

import difflib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Bools, Ints
from hiddenpop.errors import TableError, UnknownNameError
from hiddenpop.histories import MAX_LISTS

__all__ = [
    "CENSORED",
    "COUNT",
    "Cells",
    "Coverage",
    "aggregate",
    "check_codes",
    "check_mapping",
    "check_names",
    "check_texts",
    "exact_sum",
    "in_escapes",
    "is_written",
    "level_text",
    "look_alikes",
    "merge_coverage",
    "merger_parts",
    "operating",
    "settle_coverage",
    "starts_cell",
    "stratum_codes",
    "unknown_name",
]

COUNT, CENSORED = "count", "censored"
MOST_NAMES = 20
"""Of more names an error shows only the one that may have been meant."""

FORMULA_SIGNS = frozenset("+*:,[]")
_Limits = dict[str, frozenset[str]]  # covariate -> levels where a list operates


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Capture histories, shape ``(m,)``, with their strata ``(m, c)``, counts ``(m,)`` and censoring ``(m,)``."""

    lists: tuple[str, ...]
    histories: Ints
    strata: pd.DataFrame
    counts: Ints
    censored: Bools


@front_doors("__init__")
@dataclass(frozen=True, slots=True)
class Coverage:
    """A list operates only in some levels of a covariate; elsewhere its zeros say nothing.

    Parameters
    ----------
    list : str
        Name of the list.
    covariate : str
        Name of the covariate.
    levels : tuple of str
        The levels where the list operates; stored sorted, as text.

    Raises
    ------
    TableError
        If no level is named: a list that operates nowhere is not a list.

    Examples
    --------
    >>> Coverage("police", "region", ("south", "north"))
    Coverage(list='police', covariate='region', levels=('north', 'south'))
    """

    list: str
    covariate: str
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        given: object = self.levels
        levels = (given,) if isinstance(given, str) else self.levels  # a single level is not its letters
        object.__setattr__(self, "levels", tuple(sorted({level_text(level) for level in levels})))
        if not self.levels:
            raise TableError(
                f"list {self.list!r} operates in no level of {self.covariate!r}; name its levels, or drop the list"
            )


def level_text(level: object) -> str:
    """Write a level of a covariate as text, the same for 2019, 2019.0 and "2019"."""
    if isinstance(level, float | np.floating) and float(level).is_integer():
        return str(int(level))
    return str(level)


def is_written(text: str) -> bool:
    r"""Tell whether a text can be shown and stored: control characters steer a terminal, half characters have no bytes.

    Examples
    --------
    >>> is_written("Groningen"), is_written("a\x1b[2J")
    (True, False)
    """
    return text.isprintable() or not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text)


def look_alikes(texts: Iterable[str]) -> tuple[str, str] | None:
    r"""Find two texts that look the same and are not: they differ by characters that nobody sees.

    Such are signs without a width, variants of a blank, blanks too many, and accents apart from their letter.

    Examples
    --------
    >>> look_alikes(["north", "south", "nor\u200bth"]), look_alikes(["north", "North"])
    (('north', 'nor\u200bth'), None)
    """
    found: dict[str, str] = {}
    for text in texts:
        seen = "".join(sign for sign in unicodedata.normalize("NFC", text) if not _has_no_width(sign))
        first = found.setdefault(" ".join(seen.split()), text)
        if first != text:
            return first, text
    return None


def in_escapes(first: str, second: str) -> str:
    r"""Say of two texts that look the same how they differ.

    Examples
    --------
    >>> print(in_escapes("a", "a\xad"))
    'a' and 'a\xad' differ only by characters that cannot be seen
    """
    return f"{first!a} and {second!a} differ only by characters that cannot be seen"


def _has_no_width(sign: str) -> bool:
    return unicodedata.category(sign) == "Cf" or "\ufe00" <= sign <= "\ufe0f" or sign in "\u115f\u3164\u034f"


def distinct_texts(rows: Iterable[Sequence[str]], sign: str) -> list[str]:
    """Join the parts of different rows into different texts: where two read the same, parts are written in quotes.

    Examples
    --------
    >>> distinct_texts([("a", "b"), ("a", "c")], " / ")
    ['a / b', 'a / c']
    >>> distinct_texts([("a", "b / c"), ("a / b", "c"), ("d", "e")], " / ")
    ["'a' / 'b / c'", "'a / b' / 'c'", 'd / e']
    """
    given = [tuple(map(str, row)) for row in rows]
    rows_of = Counter(sign.join(row) for row in set(given))
    quoted = [sign.join(map(repr, row)) for row in given]
    texts = [
        quotes if rows_of[sign.join(row)] > 1 else sign.join(row)
        for row, quotes in zip(given, quoted, strict=True)
    ]
    return texts if len(set(texts)) == len(set(given)) else quoted


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Make the error for a name that does not exist: what exists, and what may have been meant."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    shown = names if len(names) <= MOST_NAMES or not close else close
    more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    exists = (", ".join(map(repr, shown)) or "none") + more
    return UnknownNameError(f"no {kind} {name!r}: there is {exists}{meant}")


def refuse_unknown(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse the first name that does not exist."""
    existing = list(known)
    for name in names:
        if name not in existing:
            raise unknown_name(kind, name, existing)


def exact_sum(counts: Ints) -> int:
    """Add up non-negative counts without overflow."""
    return (int((counts >> 32).sum()) << 32) + int((counts & 0xFFFFFFFF).sum())


def check_texts(kind: str, names: Iterable[object]) -> None:
    """Refuse names that are no texts, a list of names in the place of one above all."""
    for name in names:
        if isinstance(name, str):
            continue
        one_by_one = isinstance(name, list | tuple | set | frozenset)
        advice = "give the names one by one, not in a collection" if one_by_one else "give its name as text"
        raise TableError(f"{name!r:.60} is not a name of a {kind}; {advice}")


def check_mapping(names: object, example: str) -> None:
    """Refuse what does not say new names by old ones, or old by new."""
    if not isinstance(names, Mapping):
        raise TableError(f"{names!r:.60} does not say which name belongs to which; give a mapping, {example}")


def merger_parts(mapping: Mapping[str, Any]) -> dict[str, str]:
    """Say for each part of a merger into which list it goes."""
    owners: dict[str, str] = {}
    for new, parts in mapping.items():
        if isinstance(parts, str) or not isinstance(parts, Iterable) or not parts:
            raise TableError(f"list {new!r} would have the parts {parts!r}; give a sequence of names")
        for part in parts:
            if owners.setdefault(part, new) != new:
                raise TableError(f"list {part!r} goes into both {owners[part]!r} and {new!r}; choose one")
    return owners


def check_names(lists: Sequence[str], covariates: Sequence[str]) -> None:
    """Refuse names that could be confused with one another or with the columns of `CaptureTable.to_frame`."""
    names = [*lists, *covariates]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TableError(f"the name {repeated[0]!r} is used more than once; rename a list or covariate")
    if alike := look_alikes(names):
        raise TableError(f"the names {in_escapes(*alike)}; rename a list or covariate")
    for name in names:
        if not name.strip() or name in (COUNT, CENSORED) or not is_written(name):
            raise TableError(
                f"a list or covariate cannot be called {name!r}; rename it, or say what the column is"
            )
    for name in lists:
        if name != name.strip() or set(name) & FORMULA_SIGNS:
            raise TableError(
                f"a list cannot be called {name!r}: blanks at the ends and the signs {' '.join(sorted(FORMULA_SIGNS))} "
                f"cannot be read back from a model's formula; rename it"
            )
    if not 1 <= len(lists) <= MAX_LISTS:
        raise TableError(f"a table has 1 to {MAX_LISTS} lists, not {len(lists)}; merge, drop or keep some")


def check_codes(histories: Ints, counts: Ints, n_lists: int) -> None:
    """Refuse histories and counts that no table can hold."""
    outside = (histories < 1) | (histories > (1 << n_lists) - 1)
    if outside.any():
        raise TableError(
            f"{histories[outside][0]} is not a capture history on {n_lists} lists; use 1 to {(1 << n_lists) - 1}"
        )
    if (counts < 0).any():
        raise TableError(f"a cell counts {counts.min()} people; counts are 0 or more")


def aggregate(cells: Cells) -> Cells:
    """Sort the cells by stratum and history, add up equal ones and leave out the empty ones that are not censored."""
    rows = np.flatnonzero((cells.counts > 0) | cells.censored)
    histories, strata = cells.histories[rows], cells.strata.iloc[rows]
    stratum = stratum_codes(strata)
    order = np.lexsort((histories, stratum))
    starts = np.flatnonzero(starts_cell(stratum[order], histories[order]))
    first = order[starts]
    return Cells(
        lists=cells.lists,
        histories=histories[first],
        strata=strata.iloc[first].reset_index(drop=True).astype("str"),
        counts=_reduce(np.add, cells.counts[rows][order], starts),
        censored=_reduce(np.logical_or, cells.censored[rows][order], starts),
    )


def starts_cell(stratum: Ints, histories: Ints) -> Bools:
    """Mark, in sorted rows, shape ``(n,)``, each first row of a cell."""
    new = np.ones(histories.size, dtype=np.bool_)
    new[1:] = (stratum[1:] != stratum[:-1]) | (histories[1:] != histories[:-1])
    return new


def stratum_codes(strata: pd.DataFrame) -> Ints:
    """Give numbers to the strata of rows, shape ``(n,)``, in the order of their levels, column by column."""
    codes = np.zeros(len(strata), dtype=np.int64)
    for _, column in strata.items():
        level_codes, levels = pd.factorize(column, sort=True)
        codes = np.unique(codes * len(levels) + level_codes, return_inverse=True)[1].astype(np.int64)
    return codes


def operating(lists: Sequence[str], strata: pd.DataFrame, coverage: Iterable[Coverage]) -> Ints:
    """Code, for each cell, the lists that could have seen the people in it, as a history of those lists."""
    masks = np.full(len(strata), (1 << len(lists)) - 1, dtype=np.int64)
    for entry in coverage:
        outside = ~strata[entry.covariate].isin(entry.levels).to_numpy(dtype=np.bool_)
        masks[outside] &= ~(np.int64(1) << lists.index(entry.list))
    return masks


def settle_coverage(
    lists: Sequence[str], strata: pd.DataFrame, histories: Ints, coverage: Iterable[Coverage]
) -> tuple[Coverage, ...]:
    """Check the entries against the table, and give one entry a list and covariate in a fixed order."""
    entries = tuple(coverage)
    for entry in entries:
        if entry.list not in lists:
            raise unknown_name("list", entry.list, lists)
        if entry.covariate not in strata.columns:
            raise unknown_name("covariate", entry.covariate, strata.columns)
    settled = tuple(
        Coverage(name, covariate, tuple(limits[covariate]))
        for name in lists
        for limits in [_limits(name, entries)]
        for covariate in sorted(limits)
    )
    _refuse_contradictions(lists, strata, histories, settled)
    return settled


def merge_coverage(coverage: Iterable[Coverage], new: str, parts: Sequence[str]) -> tuple[Coverage, ...]:
    """Let the list `new` operate where any of its parts does.

    Raises
    ------
    TableError
        If that is not a plain set of levels of one covariate.
    """
    entries = tuple(coverage)
    kept = tuple(entry for entry in entries if entry.list not in parts)
    limits = [_limits(part, entries) for part in parts]
    if not all(limits):
        return kept
    if any(limit != limits[0] for limit in limits):
        return kept + _united(new, parts, limits)
    return kept + tuple(Coverage(new, covariate, tuple(levels)) for covariate, levels in limits[0].items())


def _united(new: str, parts: Sequence[str], limits: Sequence[_Limits]) -> tuple[Coverage, ...]:
    covariates = {covariate for limit in limits for covariate in limit}
    if len(covariates) > 1:
        raise TableError(
            f"where {new!r} operates cannot be said in levels of one covariate, as its parts "
            f"{', '.join(map(repr, parts))} depend on {', '.join(map(repr, sorted(covariates)))}; "
            "select strata where they all operate first"
        )
    covariate = covariates.pop()
    levels = frozenset().union(*(limit[covariate] for limit in limits))
    return (Coverage(new, covariate, tuple(levels)),)


def _limits(name: str, coverage: Iterable[Coverage]) -> _Limits:
    limits: _Limits = {}
    for entry in coverage:
        if entry.list == name:
            levels = frozenset(entry.levels)
            limits[entry.covariate] = limits.get(entry.covariate, levels) & levels
    return limits


def _refuse_contradictions(
    lists: Sequence[str], strata: pd.DataFrame, histories: Ints, coverage: Iterable[Coverage]
) -> None:
    for entry in coverage:
        contradicted = np.flatnonzero(histories & ~operating(lists, strata, [entry]))
        if contradicted.size:
            level = strata[entry.covariate].iloc[contradicted[0]]
            raise TableError(
                f"list {entry.list!r} caught people where {entry.covariate!r} is {level!r}, but its coverage names "
                f"only {', '.join(map(repr, entry.levels))}; correct the coverage or the table"
            )


def _reduce(ufunc: np.ufunc, values: npt.NDArray[Any], starts: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    return np.asarray(ufunc.reduceat(values, starts)) if starts.size else values[:0]
