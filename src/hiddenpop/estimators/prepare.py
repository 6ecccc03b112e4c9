"""From a table to the counts that a model for lists works on: relations between lists, dependence, offsets."""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._cells import refuse_unknown
from hiddenpop._typing import Floats, Ints
from hiddenpop._views import most_shared
from hiddenpop.disclosure import is_small
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, EmptyListWarning, SettingError
from hiddenpop.estimators.protocol import as_number
from hiddenpop.estimators.registry import ESTIMATORS, build
from hiddenpop.histories import decode
from hiddenpop.model import HierarchicalModel
from hiddenpop.result import Diagnostic
from hiddenpop.table import CaptureTable

__all__ = [
    "MAX_DENSE_LISTS",
    "ListCells",
    "ListCounts",
    "OddsRatios",
    "as_odds_ratios",
    "check_positive",
    "dense_counts",
    "has_many_lists",
    "list_cells",
    "list_counts",
    "list_relations",
    "merger_to_type",
    "pair_of",
    "refuse_censored",
    "refuse_many_lists",
    "refuse_unknown_lists",
    "regroup_ratios",
    "remarks",
    "shifts_of",
    "warned",
    "without_empty_lists",
    "without_terms",
]

MAX_DENSE_LISTS = 16
"""A dense array over 16 lists has 65,536 cells; beyond that there are estimators on the non-empty cells alone."""

NEARLY = 0.95
"""Share of a list from which on it lies nearly inside another, or is nearly its copy."""

NEARLY_EVERYBODY = 0.9
"""Share of all observed persons from which on a list holds nearly everybody."""

ENOUGH = 200
"""Below so many persons only "all" counts, not "nearly all": the exceptions could be counted on two hands."""

BY_CHANCE = 0.01
"""Probability from which on a small list can lie inside a large one by chance."""

OddsRatios = tuple[tuple[str, str, float], ...]

SMALLEST, LARGEST = 1e-12, 1e12
EXAMPLE = 'odds_ratios=[("police", "shelter", 2.0)]'


@dataclass(frozen=True, slots=True)
class ListCells:
    """Non-empty cells over the lists that caught somebody, any number of lists.

    Attributes
    ----------
    histories : ndarray of int64, shape (m,)
        On the lists kept, in order.
    counts : ndarray of float, shape (m,)
    lists : tuple of str
        The t lists kept.
    kept : tuple of int
        Their positions in the table.
    dropped : tuple of str
        Empty lists.
    n_observed : int
    diagnostics : tuple of Diagnostic
    has_small : bool
        Whether a cell holds so few people that a table that is not public must hide it.
    """

    histories: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]
    lists: tuple[str, ...]
    kept: tuple[int, ...]
    dropped: tuple[str, ...]
    n_observed: int
    diagnostics: tuple[Diagnostic, ...]
    has_small: bool

    @property
    def n_lists(self) -> int:
        """Number of lists kept."""
        return len(self.lists)


@dataclass(frozen=True, slots=True)
class ListCounts:
    """Counts by history over the lists that caught somebody.

    Attributes
    ----------
    counts : ndarray of float, shape (2**t,)
        Element 0, the unobserved cell, is 0.
    lists : tuple of str
        The t lists kept.
    kept : tuple of int
        Their positions in the table.
    dropped : tuple of str
        Empty lists.
    n_observed : int
    diagnostics : tuple of Diagnostic
    has_small : bool
        Whether a cell holds so few people that a table that is not public must hide it.
    offset : ndarray of float, shape (2**t,), or None
        Added to the log mean of each history: what is assumed of the lists and not estimated.
    without : int
        Term set of the interactions whose place the offset takes.
    """

    counts: npt.NDArray[np.float64]
    lists: tuple[str, ...]
    kept: tuple[int, ...]
    dropped: tuple[str, ...]
    n_observed: int
    diagnostics: tuple[Diagnostic, ...]
    has_small: bool
    offset: npt.NDArray[np.float64] | None = None
    without: int = 0

    @property
    def n_lists(self) -> int:
        """Number of lists kept."""
        return len(self.lists)


def list_counts(
    table: CaptureTable,
    *,
    estimator: str,
    minimum_lists: int = 2,
    odds_ratios: OddsRatios = (),
    xi: float = 1.0,
) -> ListCounts:
    """Add up strata, leave out empty lists, and refuse what an estimator for lists cannot treat.

    Parameters
    ----------
    table : CaptureTable
    estimator : str
        Name for the messages.
    minimum_lists : int
        Fewest lists that the estimator needs.
    odds_ratios : tuple of (str, str, float)
        Fixed odds ratios of pairs of lists.
    xi : float
        What the highest-order interaction is assumed to be.

    Returns
    -------
    ListCounts

    Raises
    ------
    CapabilityError
        If a list does not operate in some stratum, a count is only an upper bound, or there are too few or too many
        lists that caught somebody.
    UnknownNameError
        If an odds ratio is of a list that is not there.

    Warns
    -----
    EmptyListWarning, CollapsedStrataWarning
    """
    cells, kept = _cells_of(table, estimator, minimum_lists)
    refuse_many_lists(kept, estimator)
    counts = kept.to_dense().astype(np.float64)
    offset, without = offset_of(table, cells.lists, odds_ratios, xi)
    told = (*cells.diagnostics, *remarks(cells.lists, odds_ratios, xi))
    return ListCounts(
        counts,
        cells.lists,
        cells.kept,
        cells.dropped,
        cells.n_observed,
        told,
        cells.has_small,
        offset,
        without,
    )


def list_cells(table: CaptureTable, *, estimator: str, minimum_lists: int = 2) -> ListCells:
    """Add up strata and leave out empty lists, for an estimator that needs the non-empty cells alone.

    Parameters
    ----------
    table : CaptureTable
    estimator : str
        Name for the messages.
    minimum_lists : int
        Fewest lists that the estimator needs.

    Returns
    -------
    ListCells

    Raises
    ------
    CapabilityError
        If a list does not operate in some stratum, a count is only an upper bound, or too few lists caught somebody.

    Warns
    -----
    EmptyListWarning, CollapsedStrataWarning
    """
    return _cells_of(table, estimator, minimum_lists)[0]


def dense_counts(cells: ListCells) -> ListCounts:
    """Spread the non-empty cells of at most 16 lists over all histories."""
    counts = np.zeros(1 << cells.n_lists)
    counts[cells.histories] = cells.counts
    return ListCounts(
        counts, cells.lists, cells.kept, cells.dropped, cells.n_observed, cells.diagnostics, cells.has_small
    )


def has_many_lists(table: CaptureTable) -> bool:
    """Tell whether so many lists caught somebody that there is no dense table of them."""
    return table.n_lists - len(table.empty_lists) > MAX_DENSE_LISTS


def refuse_many_lists(table: CaptureTable, estimator: str) -> None:
    """Refuse a table with more lists than a dense table can have, and name the two to merge first.

    Raises
    ------
    CapabilityError
    """
    if not has_many_lists(table):
        return
    n_lists = table.n_lists - len(table.empty_lists)
    raise CapabilityError(
        f"{estimator} works on at most {MAX_DENSE_LISTS} lists and {table.name} has {n_lists}, "
        f"{n_lists - MAX_DENSE_LISTS} too many; merge lists of the same kind, {merger_to_type(table.overlaps)}; "
        f"or drop some"
    )


def merger_to_type(overlaps: pd.DataFrame) -> str:
    """Write the merger of the two lists that share most persons, in Python and on the command line.

    Examples
    --------
    >>> shared = pd.DataFrame([[9, 1, 3], [1, 9, 0], [3, 0, 9]], columns=["a", "b", "c"])
    >>> print(merger_to_type(shared))
    first of all a and c, which share most persons: merge_lists({"a": ["a", "c"]}), or --merge "a=a+c"
    """
    first, second = most_shared(overlaps)
    one, other = (json.dumps(name, ensure_ascii=False) for name in (first, second))
    return (
        f"first of all {first} and {second}, which share most persons: merge_lists({{{one}: [{one}, {other}]}}), or "
        f'--merge "{first}={first}+{second}"'
    )


def _cells_of(table: CaptureTable, estimator: str, minimum_lists: int) -> tuple[ListCells, CaptureTable]:
    """Give the cells, and the table of the lists kept without strata; warnings point at who asked for the estimate."""
    _refuse_gaps(table, estimator)
    diagnostics: list[Diagnostic] = []
    if table.has_strata:
        columns = ", ".join(table.strata.columns)
        message = f"{estimator} does not model strata and added up {columns}"
        diagnostics.append(warned("collapsed_strata", message, CollapsedStrataWarning, 5))
        table = table.collapse()
    kept, dropped, said = without_empty_lists(table, 5)
    diagnostics.extend(said)
    if kept.n_lists < minimum_lists:
        raise CapabilityError(
            f"{estimator} needs at least {minimum_lists} lists that caught somebody; {table.name} has {kept.n_lists}"
        )
    cells = ListCells(
        kept.histories,
        kept.counts.astype(np.float64),
        kept.lists,
        tuple(table.lists.index(name) for name in kept.lists),
        dropped,
        table.n_observed,
        tuple(diagnostics),
        any(is_small(count) for count in kept.counts),
    )
    return cells, kept


def without_empty_lists(
    table: CaptureTable, stacklevel: int
) -> tuple[CaptureTable, tuple[str, ...], tuple[Diagnostic, ...]]:
    """Leave out the lists that caught nobody, with a warning; give their names, and what is to be said of all lists."""
    dropped = tuple(table.empty_lists)
    if not dropped:
        return table, (), _relations_told(table)
    message = f"{', '.join(dropped)} caught nobody and {'is' if len(dropped) == 1 else 'are'} left out"
    remark = warned("empty_list", message, EmptyListWarning, stacklevel + 1)
    kept = table.drop_list(*dropped)
    return kept, dropped, (remark, *_relations_told(kept))


def _relations_told(table: CaptureTable) -> tuple[Diagnostic, ...]:
    """Say which lists lie inside others; where a list could not see everybody, or counts are not known, nothing."""
    if table.has_gaps or table.has_censored:
        return ()
    return list_remarks(table.histories, table.counts.astype(np.float64), table.lists)


def warned(name: str, message: str, category: type[Warning], stacklevel: int) -> Diagnostic:
    """Warn, and give the same remark as a diagnostic; a `stacklevel` of 1 is the line that calls this."""
    warnings.warn(message, category, stacklevel=stacklevel + 1)
    return Diagnostic(name, "warning", message)


def _refuse_gaps(table: CaptureTable, estimator: str) -> None:
    if table.has_gaps:
        lists = ", ".join(sorted({rule.list for rule in table.coverage}))
        raise CapabilityError(
            f"{lists} did not operate in every stratum of {table.name}, and {estimator} would read what is "
            f"structurally missing as zero; select the strata where all lists operate, or drop the list"
        )
    refuse_censored(table, estimator)


def refuse_censored(table: CaptureTable, estimator: str) -> None:
    """Refuse counts that are only upper bounds, and name the estimators that model them."""
    if table.has_censored:
        able = [name for name in ESTIMATORS if build(name, {}).facts.takes_censored]
        typed = " or ".join(f"hiddenpop estimate FILE --estimator {name}" for name in able)
        raise CapabilityError(
            f"{table.name} has cells whose count is only an upper bound, and {estimator} would read it as a count; "
            f"take {' or '.join(able)}, which models it ({typed}), or drop the list concerned"
        )


# === lists that say little of each other: one inside another, copies, and one that holds nearly everybody =============


@dataclass(frozen=True, slots=True)
class ListRelations:
    """What lists have to do with each other; lists by their positions.

    Attributes
    ----------
    inside : tuple of (int, int)
        Pairs of a list and a larger one that holds all or nearly all of its persons.
    copies : tuple of (int, int)
        Pairs of lists that hold the same persons, or nearly.
    everybody : tuple of int
        Lists that hold all or nearly all persons observed.
    coverage, coverage_without : float
        Sample coverage, and what it is without the lists inside others and one of each pair of copies.
    twice, twice_without : int
        Persons on two or more lists, and how many those are without these lists.
    """

    inside: tuple[tuple[int, int], ...]
    copies: tuple[tuple[int, int], ...]
    everybody: tuple[int, ...]
    coverage: float
    coverage_without: float
    twice: int
    twice_without: int


def list_relations(histories: npt.NDArray[np.int64], counts: Floats, n_lists: int) -> ListRelations:
    """Find lists that lie inside others, copies, and lists that hold nearly everybody.

    Parameters
    ----------
    histories : ndarray of int
        The cells given, empty ones or not.
    counts : ndarray, as long
        Persons of each.
    n_lists : int

    Returns
    -------
    ListRelations

    Notes
    -----
    List a lies inside b when everybody on a is on b, and that is not a chance: the share of all observed persons who
    are on b, to the power of the persons on a, is below 0.01. From 200 persons on 95 % of them are enough. Two lists
    each inside the other are copies. A list holds nearly everybody with 90 % of all observed.

    Examples
    --------
    >>> relations = list_relations(np.array([1, 3, 4, 5, 7]), np.array([300.0, 80.0, 200.0, 40.0, 30.0]), 3)
    >>> relations.inside, round(relations.coverage, 2), round(relations.coverage_without, 2)
    (((1, 0),), 0.53, 0.21)
    """
    filled = counts > 0.0
    on, persons = decode(histories[filled], n_lists).astype(bool), counts[filled]
    held, everyone = (on.T * persons) @ on, float(persons.sum())
    pairs = [
        (a, b) for a in range(n_lists) for b in range(n_lists) if a != b and _inside(held, a, b, everyone)
    ]
    copies = tuple((a, b) for a, b in pairs if a < b and (b, a) in pairs)
    inside = tuple((a, b) for a, b in pairs if (b, a) not in pairs)
    gone = {a for a, _ in inside} | {b for _, b in copies}
    kept = [i for i in range(n_lists) if i not in gone]
    coverage, twice = _overlap(on, persons)
    coverage_without, twice_without = _overlap(on[:, kept], persons)
    everybody = [i for i in range(n_lists) if n_lists > 1 and _nearly(held[i, i], everyone, NEARLY_EVERYBODY)]
    return ListRelations(inside, copies, tuple(everybody), coverage, coverage_without, twice, twice_without)


def _inside(held: Floats, a: int, b: int, everyone: float) -> bool:
    """Tell whether list a lies inside list b, and not by chance."""
    size, larger = float(held[a, a]), float(held[b, b])
    by_chance = size * math.log(larger / everyone) > math.log(BY_CHANCE)
    return not by_chance and _nearly(float(held[a, b]), size, NEARLY)


def _nearly(part: float, whole: float, share: float) -> bool:
    """Tell whether a part is the whole, or of many persons nearly the whole."""
    return part == whole or (whole >= ENOUGH and part >= share * whole)


def _overlap(on: npt.NDArray[np.bool_], persons: Floats) -> tuple[float, int]:
    """Give sample coverage and the persons on two or more of these lists."""
    times = on.sum(axis=1)
    sizes, only = on.T @ persons, on[times == 1].T @ persons[times == 1]
    return float(1.0 - (only / sizes).mean()), int(persons[times > 1].sum())


def list_remarks(
    histories: npt.NDArray[np.int64], counts: Floats, lists: tuple[str, ...]
) -> tuple[Diagnostic, ...]:
    """Say which lists add nothing or hold nearly everybody, and what that does.

    Parameters
    ----------
    histories, counts
        As for `list_relations`.
    lists : tuple of str

    Returns
    -------
    tuple of Diagnostic
        Sample coverage is written in hundredths, so that of a table that is not public it is withheld as a number is.

    Examples
    --------
    >>> cells = np.array([1, 3, 4, 5, 7]), np.array([300.0, 80.0, 200.0, 40.0, 30.0])
    >>> [remark.name for remark in list_remarks(*cells, ("police", "convicted", "shelter"))]
    ['list_inside_another']
    """
    found = list_relations(histories, counts, len(lists))
    rows = [
        *(_remark("list_inside_another", f"{lists[a]} lies inside {lists[b]}: {lists[b]} holds all of it or nearly, "
                  f"so it adds nothing", found) for a, b in found.inside),
        *(_remark("list_copies", f"{lists[a]} and {lists[b]} hold the same persons or nearly, as copies do, so one of "
                  f"them adds nothing", found) for a, b in found.copies),
    ]  # fmt: skip
    return (*rows, *(_everybody(lists[i]) for i in found.everybody))


def _remark(name: str, what: str, found: ListRelations) -> Diagnostic:
    message = (
        f"{what}. Without such lists sample coverage is {100 * found.coverage_without:.0f} hundredths, not "
        f"{100 * found.coverage:.0f}, and {found.twice_without:,} persons are on two or more lists, not {found.twice:,}"
    )
    return Diagnostic(name, "warning", message, found.coverage - found.coverage_without)


def _everybody(name: str) -> Diagnostic:
    message = f"{name} holds nearly everybody observed: the estimate rests on the few whom it missed and others found"
    return Diagnostic("list_of_nearly_everybody", "warning", message)


# === what the data cannot check, as offsets ===========================================================================
# Fixed odds ratios between lists, and the highest-order interaction.


def as_odds_ratios(given: Any) -> OddsRatios:
    """Read fixed odds ratios: triples of two lists and a number, or a mapping of pairs of lists to numbers.

    Raises
    ------
    SettingError
        For anything else, a number that is not above 0, or a pair that stands twice.

    Examples
    --------
    >>> as_odds_ratios({("police", "shelter"): 2})
    (('police', 'shelter', 2.0),)
    """
    if isinstance(given, str) or not isinstance(given, Mapping | Sequence):
        raise SettingError(
            f"odds_ratios={given!r} must hold two lists and a number for each pair, as in {EXAMPLE}"
        )
    ratios = tuple(_as_triple(item) for item in (_items(given) if isinstance(given, Mapping) else given))
    pairs = [frozenset(pair) for *pair, _ in ratios]
    for pair in pairs:
        if pairs.count(pair) > 1:
            raise SettingError(f"odds_ratios has {' and '.join(sorted(pair))} twice; give one number a pair")
    return ratios


def _items(given: Mapping[Any, Any]) -> list[tuple[Any, ...]]:
    """Give the triples of a mapping; a key that is not a pair makes a triple that is none."""
    return [(*pair, psi) if isinstance(pair, tuple | list) else (pair, psi) for pair, psi in given.items()]


def _as_triple(item: Any) -> tuple[str, str, float]:
    if isinstance(item, str) or not isinstance(item, Sequence) or len(item) != 3:
        raise SettingError(f"odds_ratios: {item!r} is not a pair of lists with a number, as in {EXAMPLE}")
    first, second, psi = item
    if not isinstance(first, str) or not isinstance(second, str) or first == second:
        raise SettingError(f"odds_ratios: {first!r} and {second!r} must name two different lists")
    return first, second, check_positive(f"the odds ratio of {first} and {second}", psi)


def check_positive(what: str, value: Any) -> float:
    """Give a number above 0, or refuse it."""
    number = as_number(value)
    if not SMALLEST <= number <= LARGEST:
        raise SettingError(f"{what} is {value!r}; it must be a number above 0, and 1 stands for independence")
    return number


def regroup_ratios(ratios: OddsRatios, groups: Mapping[str, str]) -> OddsRatios:
    """Fix odds ratios between groups of lists; of two that come to stand between the same groups, the first.

    Examples
    --------
    >>> regroup_ratios((("a", "b", 2.0), ("a", "c", 3.0)), {"a": "a", "b": "b or c", "c": "b or c"})
    (('a', 'b or c', 2.0),)
    """
    kept: dict[frozenset[str], tuple[str, str, float]] = {}
    for first, second, psi in ratios:
        one, other = groups.get(first), groups.get(second)
        if one is not None and other is not None and one != other:
            kept.setdefault(frozenset((one, other)), (one, other, psi))
    return tuple(kept.values())


def offset_of(
    table: CaptureTable, lists: tuple[str, ...], odds_ratios: OddsRatios, xi: float
) -> tuple[Floats | None, int]:
    """Turn the assumptions into an offset of the log means, and the terms that it replaces.

    Parameters
    ----------
    table : CaptureTable
        To say which names are wrong.
    lists : tuple of str
        Those that caught somebody, t of them. A pair with another one has no say.
    odds_ratios : tuple of (str, str, float)
    xi : float

    Returns
    -------
    offset : ndarray, shape (2**t,), or None
        ``log psi`` for every history with both lists of a pair, ``-log xi`` for the unobserved cell; None where nothing
        is assumed.
    without : int
        Term set of the pairs and of every interaction that contains one of them.

    Raises
    ------
    UnknownNameError
        For a list that is not in the table.

    Notes
    -----
    The offset takes the place of the interaction: were the pair, or a larger interaction around it, still in the
    model, it would take the offset up and N would not move.

    References
    ----------
    Gerritse, S. C., van der Heijden, P. G. M. and Bakker, B. F. M. (2015). Sensitivity of population size estimation
    for violating parametric assumptions in log-linear models. Journal of Official Statistics 31(3), 357-379.
    doi:10.1515/jos-2015-0022
    """
    refuse_unknown_lists(table, odds_ratios)
    cells = np.arange(1 << len(lists))
    offset, without = shifts_of(cells, lists, odds_ratios), 0
    for pair in (pair_of(lists, first, second) for first, second, _ in odds_ratios):
        if pair:
            without |= sum(1 << int(term) for term in cells[cells & pair == pair])
    offset[0] = -math.log(xi)
    return (offset if offset.any() or without else None), without


def shifts_of(histories: Ints, lists: tuple[str, ...], odds_ratios: OddsRatios) -> Floats:
    """Give the sum of ``log psi`` over the pairs of which each history has both lists.

    Examples
    --------
    >>> shifts_of(np.array([1, 2, 3]), ("a", "b"), (("a", "b", 1.0),)).tolist()
    [0.0, 0.0, 0.0]
    """
    shifts = np.zeros(len(histories))
    for first, second, psi in odds_ratios:
        pair = pair_of(lists, first, second)
        if pair:
            shifts[histories & pair == pair] += math.log(psi)
    return shifts


def pair_of(lists: tuple[str, ...], first: str, second: str) -> int:
    """Bits of two lists, 0 where one of them is not there."""
    there = first in lists and second in lists
    return 1 << lists.index(first) | 1 << lists.index(second) if there else 0


def refuse_unknown_lists(table: CaptureTable, odds_ratios: OddsRatios) -> None:
    """Refuse odds ratios of lists that are not in the table."""
    refuse_unknown("list", (name for *pair, _ in odds_ratios for name in pair), table.lists)


def without_terms(model: HierarchicalModel, without: int) -> HierarchicalModel:
    """Take the terms out of a model whose place an offset takes.

    Examples
    --------
    >>> pair_12 = 1 << 0b011 | 1 << 0b111
    >>> str(without_terms(HierarchicalModel.parse("[12,13,23]", n_lists=3), pair_12))
    '[13,23]'
    """
    kept = model.term_set & ~without
    return model if kept == model.term_set else HierarchicalModel.from_term_set(kept, model.n_lists)


def remarks(lists: tuple[str, ...], odds_ratios: OddsRatios, xi: float) -> tuple[Diagnostic, ...]:
    """Say what is assumed, and what of it has no say as a list caught nobody."""
    found = []
    for first, second, psi in odds_ratios:
        if pair_of(lists, first, second):
            message = f"the odds ratio of {first} and {second} is fixed at {psi:g}, not estimated"
            found.append(Diagnostic("fixed_odds_ratio", "info", message, psi))
        else:
            empty = first if first not in lists else second
            message = f"the odds ratio of {first} and {second} has no say: {empty} caught nobody"
            found.append(Diagnostic("idle_odds_ratio", "warning", message, psi))
    if xi != 1.0:
        message = f"xi is fixed at {xi:g}: the dark figure is {1 / xi:.4g} times that at 1"
        found.append(Diagnostic("fixed_xi", "info", message, xi))
    return tuple(found)
