"""What of a frame by groups may leave when the table is not public."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.disclosure import THRESHOLD, is_small

__all__ = ["MARK", "marked", "withheld_groups", "withheld_rows", "withheld_with_total"]

MARK = f"<{THRESHOLD}"
Key = tuple[str, ...]

MOST_JUDGED = 400
ROUNDING = 1e-7
"""Weights of sums that make up another are ratios of small whole numbers; what is smaller is rounding."""


def withheld_rows(levels: pd.DataFrame, counts: Sequence[int], apart: Sequence[str] = ()) -> Bools:
    """Choose the groups whose figures must not leave: small ones, and those that would give them away.

    Parameters
    ----------
    levels : DataFrame, shape (g, c)
        What names each group.
    counts : sequence of int
        Persons observed in each.
    apart : sequence of str
        Columns, such as years, whose levels are never added up in what leaves.

    Returns
    -------
    ndarray of bool, shape (g,)

    Notes
    -----
    Counts from 1 to 9 are withheld. The sums over any of the columns count as known, the total included: in each such
    sum two counts or more must be withheld or none, together 10 persons or more, else the smallest count shown is
    withheld as well, until nothing changes. A sum that tells a count all the same is withheld itself, with all that is
    in it. Of up to 400 withheld groups it is also judged whether all sums together determine a small one. What other
    tables of the population show is not.

    Examples
    --------
    >>> levels = pd.DataFrame({"sex": ["f", "f", "m", "m"], "age": ["old", "young", "old", "young"]})
    >>> withheld_rows(levels, [4, 60, 50, 70]).tolist()
    [True, True, True, True]
    >>> withheld_rows(levels[["sex"]].iloc[[0, 2]], [64, 120]).tolist()
    [False, False]
    """
    hidden = withheld_groups(levels, counts, apart)[tuple(levels.columns)]
    return np.array([row in hidden for row in levels.itertuples(index=False, name=None)], dtype=np.bool_)


def withheld_with_total(frame: pd.DataFrame, by: Sequence[str]) -> Bools:
    """Choose the rows that must not leave of a frame of parts whose last row is the whole.

    Parameters
    ----------
    frame : DataFrame
        With the columns `by` and ``n_observed``. Where the parts are not all, the rest counts as one more part.
    by : sequence of str

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> frame = pd.DataFrame({"sex": ["f", "(all)"], "n_observed": [95, 100]})
    >>> withheld_with_total(frame, ["sex"]).tolist()
    [True, False]
    """
    parts, counts = frame[list(by)].iloc[:-1], frame["n_observed"].tolist()
    rest = pd.DataFrame({name: ["\0"] for name in by})
    inside = withheld_rows(
        pd.concat([parts, rest], ignore_index=True), [*counts[:-1], max(counts[-1] - sum(counts[:-1]), 0)]
    )
    return np.append(inside[:-1], is_small(counts[-1]))


def withheld_groups(
    levels: pd.DataFrame, counts: Sequence[int], apart: Sequence[str] = ()
) -> dict[Key, frozenset[Key]]:
    """Choose, for each table of sums over some of the columns, the groups that must not leave.

    Parameters
    ----------
    levels, counts, apart
        As for `withheld_rows`.

    Returns
    -------
    dict
        By the columns of the table, from few to many; each group is named by its levels.
    """
    columns = [str(name) for name in levels.columns]
    fixed = [name for name in columns if name in apart]
    free = [name for name in columns if name not in apart]
    kept = [{*fixed, *chosen} for size in range(len(free) + 1) for chosen in combinations(free, size)]
    tables = [tuple(name for name in columns if name in names) for names in kept]
    frame = levels.assign(**{"\0count": np.asarray(counts, dtype=np.int64)})
    sums = {names: _sums(frame, names) for names in tables}
    forced: set[tuple[Key, Key]] = set()
    while True:
        found: dict[Key, frozenset[Key]] = {}
        failed: set[tuple[Key, Key]] = set()
        for names in tables:
            found[names], open_lines = _withheld_in(sums[names], names, found, forced)
            failed |= open_lines
        failed = failed or _told(sums, found)
        if not failed:
            return found
        forced |= failed


def _withheld_in(
    sums: dict[Key, int], names: Key, coarser: dict[Key, frozenset[Key]], forced: set[tuple[Key, Key]]
) -> tuple[frozenset[Key], set[tuple[Key, Key]]]:
    """Withhold groups of one table of sums, given those of fewer columns; and name sums that give one away still."""
    keys, counts = list(sums), np.array(list(sums.values()), dtype=np.int64)
    hidden = (counts > 0) & (counts < THRESHOLD)
    hidden |= np.array([(names, key) in forced for key in keys], dtype=np.bool_)
    lines: dict[tuple[Key, Key], Ints] = {}
    for columns, covered in coarser.items():
        if set(columns) < set(names):
            for line, members in _lines(keys, [names.index(name) for name in columns]).items():
                positive = members[counts[members] > 0]
                if line in covered:
                    hidden[positive] = True
                else:
                    lines[columns, line] = positive
    open_lines = _complete(hidden, counts, lines)
    return frozenset(key for key, hide in zip(keys, hidden, strict=True) if hide), open_lines


def _lines(keys: Sequence[Key], places: Sequence[int]) -> dict[Key, Ints]:
    """Group the positions of keys by some of their parts."""
    rows: dict[Key, list[int]] = {}
    for i, key in enumerate(keys):
        rows.setdefault(tuple(key[place] for place in places), []).append(i)
    return {line: np.array(members, dtype=np.int64) for line, members in rows.items()}


def _complete(hidden: Bools, counts: Ints, lines: dict[tuple[Key, Key], Ints]) -> set[tuple[Key, Key]]:
    """Withhold more, in place, until no sum shown tells a withheld count or a small sum of them.

    Gives the sums for which that is not possible: they have to be withheld themselves.
    """
    alone = {int(line[0]) for line in lines.values() if len(line) == 1}  # such a group is told by a sum
    open_lines: set[tuple[Key, Key]] = set()
    changed = True
    while changed:
        changed = False
        for name, line in lines.items():
            usable = np.array([i for i in line if int(i) not in alone], dtype=np.int64)
            inside = usable[hidden[usable]]
            if (
                name in open_lines
                or not inside.size
                or (inside.size > 1 and counts[inside].sum() >= THRESHOLD)
            ):
                continue
            others = usable[~hidden[usable]]
            if others.size:
                hidden[others[np.argmin(counts[others])]] = True
            else:
                open_lines.add(name)
            changed = True
    return open_lines


def _sums(frame: pd.DataFrame, names: Key) -> dict[Key, int]:
    sums: dict[Key, int] = {}
    keys = zip(*(frame[name] for name in names), strict=True) if names else [()] * len(frame)
    for key, count in zip(keys, frame["\0count"], strict=True):
        sums[tuple(key)] = sums.get(tuple(key), 0) + int(count)
    return sums


def _told(sums: dict[Key, dict[Key, int]], found: dict[Key, frozenset[Key]]) -> set[tuple[Key, Key]]:
    """Name one more group to withhold where the sums shown, taken together, determine a small one."""
    finest = max(sums, key=len)
    hidden = sorted(found[finest])
    if not 0 < len(hidden) <= MOST_JUDGED:
        return set()
    rows = _over_hidden(sums, found, finest, hidden, lambda names, key: key not in found[names])
    few = _over_hidden(
        sums, found, finest, hidden, lambda names, key: key in found[names] and sums[names][key] < THRESHOLD
    )
    known = np.array(list(rows.values())).reshape(len(rows), len(hidden))
    projection = np.linalg.pinv(known, rcond=ROUNDING) @ known if len(rows) else np.zeros((len(hidden),) * 2)
    for secret in few.values():
        if np.abs(secret @ projection - secret).max() < ROUNDING:
            return {_next_to(hidden[int(np.argmax(secret))], sums, found, finest)}
    return set()


def _over_hidden(
    sums: dict[Key, dict[Key, int]],
    found: dict[Key, frozenset[Key]],
    finest: Key,
    hidden: list[Key],
    wanted: Callable[[Key, Key], bool],
) -> dict[tuple[Key, Key], Floats]:
    """Write the wanted groups of all tables as sums over the withheld groups of the finest one."""
    written: dict[tuple[Key, Key], Floats] = {}
    for names in sums:
        places = [finest.index(name) for name in names]
        for i, cell in enumerate(hidden):
            key = tuple(cell[place] for place in places)
            if wanted(names, key):
                written.setdefault((names, key), np.zeros(len(hidden)))[i] = 1.0
    return written


def _next_to(
    cell: Key, sums: dict[Key, dict[Key, int]], found: dict[Key, frozenset[Key]], finest: Key
) -> tuple[Key, Key]:
    """Choose the smallest count shown that is in one sum with a cell; where there is none, the narrowest such sum."""
    lines = [(names, tuple(cell[finest.index(name)] for name in names)) for names in sums if names != finest]
    lines = [(names, key) for names, key in lines if key not in found[names]]
    others = [
        (count, key)
        for key, count in sums[finest].items()
        if count > 0
        and key not in found[finest]
        and any(tuple(key[finest.index(name)] for name in names) == line for names, line in lines)
    ]
    return (finest, min(others)[1]) if others else max(lines, key=lambda line: len(line[0]))


def marked(frame: pd.DataFrame, rows: Bools, figures: Sequence[str]) -> pd.DataFrame:
    """Put the mark in the place of the figures of withheld rows.

    Examples
    --------
    >>> frame = pd.DataFrame({"sex": ["f", "m"], "n_observed": [4, 50]})
    >>> marked(frame, np.array([True, False]), ["n_observed"])["n_observed"].tolist()
    ['<10', 50]
    """
    present = [name for name in figures if name in frame.columns]
    return frame.assign(**{name: frame[name].astype(object).mask(rows, MARK) for name in present})
