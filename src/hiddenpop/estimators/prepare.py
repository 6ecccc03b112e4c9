"""From a capture table to the counts that a model for lists works on."""

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop.disclosure import is_small
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, EmptyListWarning
from hiddenpop.estimators.dependence import OddsRatios, offset_of, remarks
from hiddenpop.result import Diagnostic
from hiddenpop.table import CaptureTable

__all__ = ["ListCounts", "list_counts", "warned", "without_empty_lists"]

MAX_DENSE_LISTS = 16
"""A dense array over 16 lists has 65,536 cells; beyond that a log-linear model needs another kernel."""


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
    _refuse_gaps(table, estimator)
    diagnostics: list[Diagnostic] = []
    if table.has_strata:
        columns = ", ".join(table.strata.columns)
        message = f"{estimator} does not model strata and added up {columns}"
        diagnostics.append(warned("collapsed_strata", message, CollapsedStrataWarning, 3))
        table = table.collapse()
    table_kept, dropped, empty = without_empty_lists(table, 3)
    diagnostics.extend(empty)
    _refuse_size(table_kept, estimator, minimum_lists)
    kept = tuple(table.lists.index(name) for name in table_kept.lists)
    counts = table_kept.to_dense().astype(np.float64)
    small = any(is_small(count) for count in table_kept.counts)
    lists = table_kept.lists
    offset, without = offset_of(table, lists, odds_ratios, xi)
    told = (*diagnostics, *remarks(lists, odds_ratios, xi))
    return ListCounts(counts, lists, kept, dropped, table.n_observed, told, small, offset, without)


def without_empty_lists(
    table: CaptureTable, stacklevel: int
) -> tuple[CaptureTable, tuple[str, ...], tuple[Diagnostic, ...]]:
    """Leave out the lists that caught nobody, with a warning; also give their names and the remark."""
    dropped = tuple(table.empty_lists)
    if not dropped:
        return table, (), ()
    message = f"{', '.join(dropped)} caught nobody and {'is' if len(dropped) == 1 else 'are'} left out"
    remark = warned("empty_list", message, EmptyListWarning, stacklevel + 1)
    return table.drop_list(*dropped), dropped, (remark,)


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
    if table.has_censored:
        raise CapabilityError(
            f"{table.name} has cells whose count is only an upper bound, and {estimator} would read it as a count; "
            f"drop the list concerned, or use an estimator for censored cells"
        )


def _refuse_size(table: CaptureTable, estimator: str, minimum_lists: int) -> None:
    if table.n_lists < minimum_lists:
        raise CapabilityError(
            f"{estimator} needs at least {minimum_lists} lists that caught somebody; {table.name} has {table.n_lists}"
        )
    if table.n_lists > MAX_DENSE_LISTS:
        raise CapabilityError(
            f"{estimator} works on at most {MAX_DENSE_LISTS} lists and {table.name} has {table.n_lists}; "
            f"merge lists of the same kind with merge_lists"
        )
