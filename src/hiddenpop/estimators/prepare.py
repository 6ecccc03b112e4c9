"""From a capture table to the counts that a model for lists works on."""

import json
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._views import most_shared
from hiddenpop.disclosure import is_small
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, EmptyListWarning
from hiddenpop.estimators.dependence import OddsRatios, offset_of, remarks
from hiddenpop.estimators.list_relations import list_remarks
from hiddenpop.estimators.registry import ESTIMATORS, build
from hiddenpop.result import Diagnostic
from hiddenpop.table import CaptureTable

__all__ = [
    "MAX_DENSE_LISTS",
    "ListCells",
    "ListCounts",
    "dense_counts",
    "has_many_lists",
    "list_cells",
    "list_counts",
    "merger_to_type",
    "refuse_censored",
    "refuse_many_lists",
    "warned",
    "without_empty_lists",
]

MAX_DENSE_LISTS = 16
"""A dense array over 16 lists has 65,536 cells; beyond that there are estimators on the non-empty cells alone."""


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
