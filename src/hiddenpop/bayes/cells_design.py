"""The full table behind an observed one: which cells exist, which are counted together, and the columns of a model."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._typing import Floats, Ints
from hiddenpop.disclosure import is_small
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, TableError
from hiddenpop.estimators.cell_space import (
    check_structural_zeros,
    products,
    read_combinations,
)
from hiddenpop.estimators.prepare import warned, without_empty_lists
from hiddenpop.result import Diagnostic
from hiddenpop.table import CaptureTable

__all__ = ["MOST_CELLS", "MOST_COLUMNS", "CellsDesign", "Term", "cells_design", "check_structural_zeros"]

Factor = tuple[str, Floats]
Strata = Literal["collapse", "model"]

MOST_CELLS = 2**13
"""Every draw computes each cell of lists and strata: twelve lists without strata, or nine lists in sixteen strata."""

MOST_COLUMNS = 500
FEWEST_LISTS = 3


@dataclass(frozen=True, slots=True)
class Term:
    """A main effect or an interaction of lists and covariates.

    Attributes
    ----------
    lists : tuple of str
    covariates : tuple of str
    """

    lists: tuple[str, ...]
    covariates: tuple[str, ...] = ()

    @property
    def order(self) -> int:
        """Number of lists and covariates in it; 1 for a main effect."""
        return len(self.lists) + len(self.covariates)

    def __str__(self) -> str:
        return "*".join((*self.lists, *self.covariates))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CellsDesign:
    """Cells of lists and strata, and how the observed ones are sums of them.

    A full cell is a history over all lists in one stratum. A *row* is a sum over full cells: first the rows with a
    count, then those with an upper bound, then the hidden persons, one row a stratum. Without gaps in coverage each row
    is one full cell.

    Attributes
    ----------
    lists : tuple of str
        Lists that caught somebody.
    dropped : tuple of str
        Lists that caught nobody.
    strata : DataFrame, shape (s, c)
        Levels of the covariates in each stratum; one row without columns when there are none.
    terms : tuple of Term
    columns : ndarray, shape (cells, p)
        Design of the full cells, without an intercept.
    term_of : ndarray of int, shape (p,)
        Term of each column.
    members : ndarray of int, shape (rows, m)
        Full cells of each row, filled up with 0.
    absent : ndarray of bool, shape (rows, m)
        Where `members` is filling.
    histories : ndarray of int, shape (certain + censored,)
        Histories of the observed rows, over `lists`.
    stratum_of : ndarray of int, shape (certain + censored,)
    counts : ndarray, shape (certain,)
        Persons.
    bounds : ndarray, shape (censored,)
        Most persons that the cell holds.
    diagnostics : tuple of Diagnostic
    has_small : bool
        Whether a cell holds so few people that a table that is not public must hide it.
    """

    lists: tuple[str, ...]
    dropped: tuple[str, ...]
    strata: pd.DataFrame
    terms: tuple[Term, ...]
    columns: Floats
    term_of: Ints
    members: Ints
    absent: npt.NDArray[np.bool_]
    histories: Ints
    stratum_of: Ints
    counts: Floats
    bounds: Floats
    diagnostics: tuple[Diagnostic, ...]
    has_small: bool

    @property
    def n_certain(self) -> int:
        """Number of rows with a count."""
        return len(self.counts)

    @property
    def n_censored(self) -> int:
        """Number of rows with an upper bound."""
        return len(self.bounds)

    @property
    def n_strata(self) -> int:
        """Number of strata."""
        return len(self.strata)

    @property
    def n_observed(self) -> int:
        """Persons that are certain: those in rows with a count."""
        return int(self.counts.sum())

    @property
    def is_interaction(self) -> npt.NDArray[np.bool_]:
        """Whether each column belongs to an interaction, shape (p,)."""
        return np.array([term.order > 1 for term in self.terms], dtype=np.bool_)[self.term_of]

    def log_rows(self, theta: npt.ArrayLike) -> Floats:
        """Add up the full cells of every row, in logs and without the common factor.

        Parameters
        ----------
        theta : array_like, shape (..., p)
            Coefficients.

        Returns
        -------
        ndarray, shape (..., rows)
        """
        eta = np.asarray(theta, dtype=np.float64) @ self.columns.T
        return self.sums(eta)

    def sums(self, eta: Floats) -> Floats:
        """Logarithms of the sums over the full cells of each row, from logarithms of the cells, shape (..., cells)."""
        if self.members.shape[1] == 1:
            return np.asarray(eta[..., self.members[:, 0]])
        parts = np.where(self.absent, -np.inf, eta[..., self.members])
        return np.asarray(np.logaddexp.reduce(parts, axis=-1))


def cells_design(
    table: CaptureTable,
    *,
    order: int,
    strata: Strata = "collapse",
    structural_zeros: Sequence[str] = (),
    estimator: str,
) -> CellsDesign:
    """Lay out the cells of a table and the columns of a log-linear model.

    Parameters
    ----------
    table : CaptureTable
    order : int
        Most lists and covariates in a term.
    strata : {"collapse", "model"}
        Add up the strata, or give each its own cells.
    structural_zeros : sequence of str
        Combinations of lists that nobody can be on together.
    estimator : str
        Name for the messages.

    Returns
    -------
    CellsDesign

    Raises
    ------
    CapabilityError
        For fewer than three lists that caught somebody, gaps in coverage under ``"collapse"``, no certain count, and
        tables or models that are too large.
    TableError
        For persons in a structural zero.
    UnknownNameError
        For a list in `structural_zeros` that is not there.

    Warns
    -----
    EmptyListWarning, CollapsedStrataWarning

    Notes
    -----
    Lists have treatment coding, so that the coefficient of two lists is the log odds ratio between them among persons
    on no other list. A covariate with L levels has L - 1 orthogonal contrasts that treat all levels alike, scaled so
    that the difference between any two levels has the variance of a coefficient. Only strata that occur in the table
    exist; other combinations of levels are taken as impossible.
    """
    forbidden = _forbidden(structural_zeros, table)
    table, diagnostics = _prepared(table, strata, estimator)
    levels, stratum_codes, operating = _strata_of(table)
    _refuse_size(table, len(levels), estimator)
    full, full_stratum = _full_cells(table.lists, len(levels), forbidden)
    terms, columns, term_of = _columns(table.lists, levels, full, full_stratum, order)
    if columns.shape[1] > MOST_COLUMNS:
        raise CapabilityError(
            f"{estimator} with order={order} has more than {MOST_COLUMNS} coefficients on {table.name}; lower the "
            f"order, merge lists, or collapse strata"
        )
    rows = _rows(table, stratum_codes, operating, full, full_stratum)
    return CellsDesign(
        lists=table.lists,
        dropped=diagnostics.dropped,
        strata=levels,
        terms=terms,
        columns=columns,
        term_of=term_of,
        diagnostics=diagnostics.remarks,
        has_small=any(is_small(count) for count in table.counts),
        **rows,
    )


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Prepared:
    dropped: tuple[str, ...]
    remarks: tuple[Diagnostic, ...]


def _prepared(table: CaptureTable, strata: Strata, estimator: str) -> tuple[CaptureTable, _Prepared]:
    """Collapse strata where asked, and leave out empty lists."""
    remarks: list[Diagnostic] = []
    if strata == "collapse" and table.has_gaps:
        lists = ", ".join(sorted({rule.list for rule in table.coverage}))
        raise CapabilityError(
            f"{lists} did not operate in every stratum of {table.name}, and added up over strata what is structurally "
            f'missing would be read as zero; use strata="model", or drop the list'
        )
    if strata == "collapse" and table.has_strata:
        names = ", ".join(table.strata.columns)
        message = f'{estimator} added up {names}; strata="model" models them'
        remarks.append(warned("collapsed_strata", message, CollapsedStrataWarning, 6))
        table = table.collapse()
    table, dropped, empty = without_empty_lists(table, 6)
    return table, _Prepared(dropped, (*remarks, *empty))


def _refuse_size(table: CaptureTable, n_strata: int, estimator: str) -> None:
    if table.n_lists < FEWEST_LISTS:
        raise CapabilityError(
            f"{estimator} needs at least {FEWEST_LISTS} lists that caught somebody; {table.name} has {table.n_lists}, "
            f"which leaves the odds ratio of two lists to the prior"
        )
    if n_strata << table.n_lists > MOST_CELLS:
        raise CapabilityError(
            f"{estimator} works on at most {MOST_CELLS:,} cells, and {table.n_lists} lists in {n_strata} strata of "
            f"{table.name} have {n_strata << table.n_lists:,}; merge lists of the same kind with merge_lists, or "
            f"collapse strata"
        )
    if not table.counts[~table.censored].any():
        raise CapabilityError(
            f"all persons of {table.name} are in cells whose count is only an upper bound, so nobody is certain; "
            f"{estimator} needs at least one person in another cell"
        )


def _strata_of(table: CaptureTable) -> tuple[pd.DataFrame, Ints, Ints]:
    """Strata that occur, the stratum of each cell, and the lists that operate in each stratum."""
    frame = table.strata
    if not table.has_strata:
        return (
            pd.DataFrame(index=range(1)),
            np.zeros(len(table), dtype=np.int64),
            np.array([(1 << table.n_lists) - 1], dtype=np.int64),
        )
    groups = frame.groupby(list(frame.columns), sort=True).ngroup()
    codes: Ints = np.asarray(groups, dtype=np.int64)
    first = np.unique(codes, return_index=True)[1]
    return frame.iloc[first].reset_index(drop=True), codes, table.operating[first]


def _forbidden(combinations: Sequence[str], table: CaptureTable) -> Ints:
    """Code each combination as a history of the lists that caught somebody; others cannot occur anyway."""
    caught = [name for name in table.lists if name not in table.empty_lists]
    masks = (found.mask(caught) for found in read_combinations(combinations, table))
    return np.array([mask for mask in masks if mask is not None], dtype=np.int64)


# --- full cells and columns -------------------------------------------------------------------------------------------


def _full_cells(lists: Sequence[str], n_strata: int, forbidden: Ints) -> tuple[Ints, Ints]:
    """History and stratum of every cell that is possible."""
    histories = np.arange(1 << len(lists), dtype=np.int64)
    possible = histories[~((histories[:, None] & forbidden) == forbidden).any(axis=1)]
    strata = np.arange(n_strata, dtype=np.int64)
    return np.tile(possible, n_strata), np.repeat(strata, len(possible))


def _columns(
    lists: Sequence[str], levels: pd.DataFrame, full: Ints, full_stratum: Ints, order: int
) -> tuple[tuple[Term, ...], Floats, Ints]:
    """Columns of all terms up to the order, except those that no possible cell has."""
    on = {name: ((full >> i) & 1).astype(np.float64)[:, None] for i, name in enumerate(lists)}
    contrasts = {str(name): _contrasts(levels[name])[full_stratum] for name in levels.columns}
    factors = [(name, on[name]) for name in lists] + list(contrasts.items())
    terms: list[Term] = []
    blocks: list[Floats] = []
    n_columns = 0
    for chosen in _combinations(factors, order):
        if n_columns > MOST_COLUMNS:
            break  # refused in any case
        block = products(part for _, part in chosen)
        if block.any():
            names = [name for name, _ in chosen]
            lists_of = tuple(name for name in names if name in on)
            terms.append(Term(lists_of, tuple(name for name in names if name not in on)))
            blocks.append(block)
            n_columns += block.shape[1]
    widths = [block.shape[1] for block in blocks]
    return (
        tuple(terms),
        np.hstack(blocks),
        np.asarray(np.repeat(np.arange(len(blocks)), widths), dtype=np.int64),
    )


def _combinations(factors: Sequence[Factor], order: int) -> Iterator[tuple[Factor, ...]]:
    """All combinations of up to so many factors, main effects first."""
    for size in range(1, min(order, len(factors)) + 1):
        yield from itertools.combinations(factors, size)


def _contrasts(column: "pd.Series[Any]") -> Floats:
    """Contrasts that treat all levels alike, for the level in each stratum, shape (s, L - 1)."""
    codes, names = pd.factorize(column, sort=True)
    n_levels = len(names)
    helmert = np.zeros((n_levels, n_levels - 1))
    for j in range(1, n_levels):
        helmert[:j, j - 1], helmert[j, j - 1] = 1.0, -j
    # Unit columns give a difference of two levels twice the variance of a coefficient.
    return np.asarray((helmert / np.sqrt(2.0 * (helmert**2).sum(axis=0)))[codes])


# --- rows -------------------------------------------------------------------------------------------------------------


def _rows(
    table: CaptureTable, stratum_codes: Ints, operating: Ints, full: Ints, full_stratum: Ints
) -> dict[str, Any]:
    """Observed and hidden rows: full cells that look alike to the lists that operate."""
    seen = full & operating[full_stratum]
    key = full_stratum << table.n_lists | seen
    cells, row_of = np.unique(key, return_inverse=True)
    histories, stratum_of = cells & (1 << table.n_lists) - 1, cells >> table.n_lists
    counts, censored = _counts_of(table, stratum_codes, cells)
    kind = np.where(histories == 0, 2, censored.astype(np.int64))
    sorting = np.argsort(kind, kind="stable")
    members, absent = _members(row_of, sorting)
    first, second = int((kind == 0).sum()), int((kind < 2).sum())
    return {
        "members": members,
        "absent": absent,
        "histories": histories[sorting][:second],
        "stratum_of": stratum_of[sorting][:second],
        "counts": counts[sorting][:first],
        "bounds": counts[sorting][first:second],
    }


def _counts_of(table: CaptureTable, stratum_codes: Ints, cells: Ints) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Count, and whether it is only a bound, of each cell; nobody may be where nobody can be."""
    wanted = stratum_codes << table.n_lists | table.histories
    at = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
    possible = cells[at] == wanted
    wrong = ~possible & (table.counts > 0) & ~table.censored
    if wrong.any():
        history = int(table.histories[wrong][0])
        names = "*".join(name for i, name in enumerate(table.lists) if history >> i & 1)
        raise TableError(
            f"structural_zeros says that nobody can be on {names} together, and {table.name} counts persons there; "
            f"correct the table or the setting"
        )
    counts, censored = np.zeros(len(cells)), np.zeros(len(cells), dtype=np.bool_)
    counts[at[possible]] = table.counts[possible]
    censored[at[possible]] = table.censored[possible]
    return counts, censored


def _members(row_of: Ints, sorting: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Full cells of each row, in the order of the rows, as a rectangle with filling."""
    sizes = np.bincount(row_of)
    by_row = np.split(np.argsort(row_of, kind="stable"), np.cumsum(sizes)[:-1])
    members = np.zeros((len(sizes), sizes.max()), dtype=np.int64)
    absent = np.ones(members.shape, dtype=np.bool_)
    for place, row in enumerate(sorting):
        members[place, : sizes[row]] = by_row[row]
        absent[place, : sizes[row]] = False
    return members, absent
