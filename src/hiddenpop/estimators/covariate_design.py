"""The cells of a covariate model, its columns, and what lists that do not operate everywhere make of both."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._cells import Coverage, operating, unknown_name
from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.disclosure import is_small
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, TableError
from hiddenpop.estimators.cell_space import (
    Combination,
    products,
    read_combinations,
)
from hiddenpop.estimators.covariate_formula import (
    DUMMIES,
    Coding,
    LevelColumns,
    factor_label,
    level_columns,
    natural_order,
)
from hiddenpop.estimators.prepare import refuse_censored, warned, without_empty_lists
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.poisson.composite_link import (
    CompositeCells,
    CompositeFit,
    fit_composite,
    refit_composite,
)
from hiddenpop.kernels.poisson.hidden_cells import HiddenFit, HiddenRefits, fit_hidden, refit_hidden
from hiddenpop.result import Diagnostic
from hiddenpop.table import CaptureTable

__all__ = ["MOST_NUMBERS", "CovariateDesign", "ModelCells", "covariate_design", "model_cells", "neighbours"]

MOST_NUMBERS = 40_000_000
"""Cells times columns of a design that is built: 320 megabytes, and a few times that while it is fitted."""

FEWEST_LISTS = 2
RESULT_COLUMNS = ("n_observed", "n_hat", "low", "high", "status", "fitted", "residual", "on_face")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CovariateDesign:
    """Cells of lists and covariates.

    Attributes
    ----------
    lists : tuple of str
        Lists that caught somebody.
    dropped : tuple of str
        Lists that caught nobody.
    covariates : tuple of str
        Covariates of the model that vary.
    strata : DataFrame, shape (s, c)
        Levels in each stratum, also of covariates that do not vary; one row without columns when there are none.
    levels : dict of str to tuple of str
        Levels of each covariate in order, the first one the reference.
    coding : dict of str to str or tuple
    blocks : dict of str to LevelColumns
        Columns of each covariate, one row per level.
    zeros : tuple of Combination
        Lists and levels that cannot go together.
    crossed : bool
        Whether every combination of levels exists that is not a structural zero.
    coverage : tuple of Coverage
        Which of the lists operate in some levels only.
    operating : ndarray of int, shape (s,)
        Lists that operate in each stratum, as a history.
    histories : ndarray of int, shape (m,)
        History of each observable cell over `lists`, of those that operate there.
    stratum_of : ndarray of int, shape (m,)
        Its row in `strata`.
    counts : ndarray, shape (m,)
        Persons.
    hidden_stratum : ndarray of int, shape (h,)
        Rows of `strata` in which persons can be.
    diagnostics : tuple of Diagnostic
    has_small : bool
        Whether a cell holds so few people that a table that is not public must hide it.
    n_observed : int
    estimator : str
        Name for the messages.
    """

    lists: tuple[str, ...]
    dropped: tuple[str, ...]
    covariates: tuple[str, ...]
    strata: pd.DataFrame
    levels: dict[str, tuple[str, ...]]
    coding: dict[str, Coding]
    blocks: dict[str, LevelColumns]
    zeros: tuple[Combination, ...]
    crossed: bool
    coverage: tuple[Coverage, ...]
    operating: Ints
    histories: Ints
    stratum_of: Ints
    counts: Floats
    hidden_stratum: Ints
    diagnostics: tuple[Diagnostic, ...]
    has_small: bool
    n_observed: int
    estimator: str

    @property
    def factors(self) -> tuple[str, ...]:
        """Lists first, then covariates: what the bits of a term stand for."""
        return (*self.lists, *self.covariates)

    @property
    def sometimes_absent(self) -> int:
        """Lists that do not operate in every stratum, as a bit mask."""
        everywhere = np.bitwise_and.reduce(self.operating, initial=(1 << len(self.lists)) - 1)
        return (1 << len(self.lists)) - 1 & ~int(everywhere)

    def width(self, term: int) -> int:
        """Count the columns of a term."""
        return math.prod(self.blocks[name].matrix.shape[1] for name in self._covariates_of(term))

    def columns(self, terms: Sequence[int]) -> tuple[Floats, Floats, Ints]:
        """Make the columns of a model.

        Parameters
        ----------
        terms : sequence of int
            Sets of `factors` as bit masks, without the empty one.

        Returns
        -------
        design : ndarray, shape (m, p)
            Rows of the observable cells: the intercept, then the terms in the order given. Columns that depend on
            others stay.
        hidden : ndarray, shape (h, p)
            Rows of the persons on no list, one a stratum.
        term_of : ndarray of int, shape (p,)
            Place of each column's term in the terms given, -1 for the intercept.

        Raises
        ------
        CapabilityError
            If there would be more than `MOST_NUMBERS` numbers.
        """
        term_of = np.repeat(
            np.arange(-1, len(terms), dtype=np.int64), [1, *(self.width(term) for term in terms)]
        )
        return self.rows(terms, self.histories, self.stratum_of), self.columns_of_hidden(terms), term_of

    def refuse_size(self, terms: Sequence[int]) -> None:
        """Refuse a model whose columns would hold too many numbers.

        Raises
        ------
        CapabilityError
        """
        self._refuse_size(len(self.histories), 1 + sum(self.width(term) for term in terms))

    def rows(self, terms: Sequence[int], histories: Ints, stratum_of: Ints) -> Floats:
        """Make the rows of any cells, shape (cells, p)."""
        ends = np.cumsum([1, *(self.width(term) for term in terms)])
        self._refuse_size(len(histories), int(ends[-1]))
        design = np.ones((len(histories), int(ends[-1])))
        for term, start, end in zip(terms, ends[:-1], ends[1:], strict=True):
            lists = term & (1 << len(self.lists)) - 1
            on = (histories & lists) == lists
            design[:, start:end] = on[:, None] * self._stratum_block(term)[stratum_of]
        return design

    def possible(self, histories: Ints, stratum_of: Ints) -> Bools:
        """Say which cells are no structural zeros, shape (cells,)."""
        found = np.ones(len(histories), dtype=np.bool_)
        for zero in self.zeros:
            mask = zero.mask(self.lists) or 0
            found &= ~(_matches(self.strata, zero)[stratum_of] & ((histories & mask) == mask))
        return found

    def columns_of_hidden(self, terms: Sequence[int]) -> Floats:
        """Make the rows of the persons on no list alone, shape (h, p): terms with a list are 0 there."""
        blocks = [np.ones((len(self.hidden_stratum), 1))]
        for term in terms:
            absent = not term & (1 << len(self.lists)) - 1
            blocks.append(absent * self._stratum_block(term)[self.hidden_stratum])
        return np.hstack(blocks)

    def labels(self, terms: Sequence[int]) -> tuple[str, ...]:
        """Write the columns of `columns`, such as ``"police*year[2016]"``."""
        return ("intercept", *(label for term in terms for label in self._labels(term)))

    def observed_by_stratum(self) -> Floats:
        """Persons observed in each stratum that can hold any, shape (h,)."""
        totals = np.bincount(self.stratum_of, self.counts, minlength=len(self.strata))
        return totals[self.hidden_stratum].astype(np.float64)

    def _covariates_of(self, term: int) -> tuple[str, ...]:
        n = len(self.lists)
        return tuple(self.covariates[i - n] for i in bit_positions(term) if i >= n)

    def _stratum_block(self, term: int) -> Floats:
        """Columns of a term's covariates, one row per stratum."""
        parts = [np.ones((len(self.strata), 1))]
        for name in self._covariates_of(term):
            place = {level: i for i, level in enumerate(self.levels[name])}
            codes = self.strata[name].map(place).to_numpy(dtype=np.int64)
            parts.append(self.blocks[name].matrix[codes])
        return products(parts)

    def _labels(self, term: int) -> list[str]:
        """Write every column of a term, the columns of the last covariate changing fastest."""
        lists = factor_label(self.lists, term & (1 << len(self.lists)) - 1)
        labels = [lists] if lists else [""]
        for name in self._covariates_of(term):
            labels = [
                f"{before}*{name}[{label}]" if before else f"{name}[{label}]"
                for before in labels
                for label in self.blocks[name].labels
            ]
        return labels

    def _refuse_size(self, n_cells: int, n_columns: int) -> None:
        if n_cells * n_columns > MOST_NUMBERS:
            raise CapabilityError(
                f"{self.estimator} would build a design of {n_cells:,} cells and {n_columns:,} columns, "
                f"more than {MOST_NUMBERS:,} numbers; {_smaller(self.crossed)}"
            )


def covariate_design(
    table: CaptureTable,
    *,
    covariates: Sequence[str],
    coding: Sequence[tuple[str, Coding]] = (),
    levels: Sequence[tuple[str, Sequence[str]]] = (),
    combinations: str = "crossed",
    structural_zeros: Sequence[str] = (),
    estimator: str,
) -> CovariateDesign:
    """Lay out the cells of a table.

    Parameters
    ----------
    table : CaptureTable
    covariates : sequence of str
        Covariates of the model; the others are added up.
    coding : sequence of (str, str or tuple)
        Coding by covariate; dummies where none is given.
    levels : sequence of (str, sequence of str)
        Levels in order, by covariate; in their natural order where none is given. A level that nobody seen has exists
        all the same where combinations are crossed.
    combinations : {"crossed", "observed"}
        Whether every combination of levels exists, or only those in the table.
    structural_zeros : sequence of str
        Combinations of lists and levels that cannot be.
    estimator : str
        Name for the messages.

    Returns
    -------
    CovariateDesign

    Raises
    ------
    CapabilityError
        For gaps in coverage by a covariate that the model leaves out, censored cells, fewer than two lists that caught
        somebody, and designs that are too large.
    TableError
        For persons in a structural zero.
    UnknownNameError
        For a covariate or level that is not there.
    SettingError
        For a coding that does not suit the levels.

    Warns
    -----
    EmptyListWarning, CollapsedStrataWarning
    """
    given_levels, given_coding = dict(levels), dict(coding)
    _refuse_names(table, covariates, [*given_levels, *given_coding])
    refuse_coverage(table, covariates, estimator)
    zeros = read_combinations(structural_zeros, table, _all_levels(table, given_levels))
    _refuse_left_out(zeros, covariates, table)
    table, dropped, diagnostics = _prepared(table, covariates, estimator)
    crossed = combinations == "crossed"
    order = {
        str(name): _ordered(table, str(name), given_levels.get(str(name)), crossed)
        for name in table.strata.columns
    }
    varying = tuple(name for name in order if len(order[name]) > 1)
    used = {name: given_coding.get(name, DUMMIES) for name in varying}
    wide = sum(len(order[name]) - 1 if used[name] == DUMMIES else 1 for name in varying)
    codes, strata = _strata(table, order, crossed, 1 + table.n_lists + wide, estimator)
    rows = math.prod(len(order[name]) for name in varying) << table.n_lists
    blocks = {
        name: level_columns(name, order[name], used[name], rows / len(order[name]), given_levels.get(name))
        for name in varying
    }
    zeros = tuple(zero for zero in zeros if zero.mask(table.lists) is not None)
    return CovariateDesign(
        lists=table.lists,
        dropped=dropped,
        covariates=varying,
        strata=strata,
        levels=order,
        coding=used,
        blocks=blocks,
        zeros=zeros,
        crossed=crossed,
        coverage=table.coverage,
        diagnostics=(*diagnostics, *_remarks(table, order, blocks), *gap_remarks(table, strata)),
        has_small=any(is_small(count) for count in table.counts),
        n_observed=table.n_observed,
        estimator=estimator,
        **_cells(table, codes, strata, zeros),
    )


# --- the table --------------------------------------------------------------------------------------------------------


def _refuse_names(table: CaptureTable, covariates: Sequence[str], others: Sequence[str]) -> None:
    """Refuse names that are not there, and those of columns of results."""
    known = list(map(str, table.strata.columns))
    for name in (*covariates, *others):
        if name not in known:
            raise unknown_name("covariate", name, known)
    for name in (*table.lists, *covariates):
        if name in RESULT_COLUMNS:
            raise CapabilityError(
                f"a list or covariate called {name!r} has the name of a column of results; rename it with "
                f"table.rename({{{name!r}: ...}})"
            )


def _all_levels(table: CaptureTable, given: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Levels that a structural zero may name: those in the table and those in the setting."""
    return {
        str(name): [*natural_order(column.unique()), *given.get(str(name), ())]
        for name, column in table.strata.items()
    }


def _refuse_left_out(zeros: Sequence[Combination], covariates: Sequence[str], table: CaptureTable) -> None:
    for zero in zeros:
        for name in zero.factors:
            if name not in table.lists and name not in covariates:
                raise CapabilityError(
                    f"structural_zeros holds {str(zero)!r} and the model leaves {name} out, so that its levels are "
                    f"added up; add + {name} to the model, or take the combination away"
                )


def _prepared(
    table: CaptureTable, covariates: Sequence[str], estimator: str
) -> tuple[CaptureTable, tuple[str, ...], tuple[Diagnostic, ...]]:
    """Add up the covariates that the model leaves out, and leave out empty lists."""
    remarks: list[Diagnostic] = []
    others = [name for name in map(str, table.strata.columns) if name not in covariates]
    if others:
        message = f"{estimator} added up {', '.join(others)}, which the model leaves out"
        remarks.append(warned("collapsed_strata", message, CollapsedStrataWarning, 5))
        table = table.collapse(*others)
    kept, dropped, empty = without_empty_lists(table, 5)
    if kept.n_lists < FEWEST_LISTS:
        raise CapabilityError(
            f"{estimator} needs at least {FEWEST_LISTS} lists that caught somebody; {table.name} has {kept.n_lists}"
        )
    return kept, dropped, (*remarks, *empty)


def _ordered(table: CaptureTable, name: str, given: Sequence[str] | None, crossed: bool) -> tuple[str, ...]:
    """Levels of a covariate in order: those given or those in the table; where nothing is crossed only the latter."""
    present = set(table.strata[name].unique())
    if given is None:
        return natural_order(present)
    absent = natural_order(present.difference(given))
    if absent:
        raise unknown_name(f"level in levels[{name!r}]", absent[0], given)
    return tuple(level for level in given if crossed or level in present)


def _remarks(
    table: CaptureTable, order: Mapping[str, Sequence[str]], blocks: Mapping[str, LevelColumns]
) -> list[Diagnostic]:
    found = []
    for name, levels in order.items():
        if len(levels) == 1:
            message = f"everybody has {name}={levels[0]}, so the covariate and its terms are left out"
            found.append(Diagnostic("constant_covariate", "warning", message, name))
        nobody = set(levels).difference(table.strata[name].unique())
        if nobody:
            message = f"nobody seen has {name} at {', '.join(natural_order(nobody))}"
            found.append(Diagnostic("empty_level", "warning", message, name))
    notes = [
        Diagnostic("reduced_polynomial", "warning", block.note, name)
        for name, block in blocks.items()
        if block.note
    ]
    return [*found, *notes]


# --- strata and cells -------------------------------------------------------------------------------------------------


def _strata(
    table: CaptureTable, order: Mapping[str, Sequence[str]], crossed: bool, n_columns: int, estimator: str
) -> tuple[Ints, pd.DataFrame]:
    """Stratum of each cell of the table, and the levels of each stratum."""
    columns = table.strata
    by_name = {
        name: columns[name].map({level: i for i, level in enumerate(order[name])}).to_numpy(dtype=np.int64)
        for name in order
    }
    if crossed or not order:
        shape = tuple(len(levels) for levels in order.values())
        _refuse_cells(table, math.prod(shape), n_columns, crossed, estimator)
        codes = np.zeros(len(table), dtype=np.int64)
        for name, n_levels in zip(order, shape, strict=True):
            codes = codes * n_levels + by_name[name]
        places = np.unravel_index(np.arange(math.prod(shape)), shape) if shape else ()
        frame = {name: np.array(order[name])[at] for name, at in zip(order, places, strict=True)}
        return codes, pd.DataFrame(frame, index=range(math.prod(shape)))
    together = np.stack(list(by_name.values()), axis=1)
    found, codes = np.unique(together, axis=0, return_inverse=True)
    _refuse_cells(table, len(found), n_columns, crossed, estimator)
    frame = {name: np.array(order[name])[found[:, i]] for i, name in enumerate(order)}
    return codes.ravel(), pd.DataFrame(frame)


def _refuse_cells(table: CaptureTable, n_strata: int, n_columns: int, crossed: bool, estimator: str) -> None:
    """Refuse, before it takes memory, what even the main effects would make too large."""
    if (n_strata << table.n_lists) * n_columns > MOST_NUMBERS:
        raise CapabilityError(
            f"{estimator} would lay out {table.n_lists} lists in {n_strata:,} strata, {n_strata << table.n_lists:,} "
            f"cells, with {n_columns:,} columns or more, and a design holds at most {MOST_NUMBERS:,} numbers; "
            f"{_smaller(crossed)}"
        )


def _smaller(crossed: bool) -> str:
    observed = 'use combinations="observed", ' if crossed else ""
    return (
        f"{observed}leave covariates out of the model, give levels that belong together one name, or merge lists with "
        f"merge_lists"
    )


def _cells(
    table: CaptureTable, codes: Ints, strata: pd.DataFrame, zeros: Sequence[Combination]
) -> dict[str, Any]:
    """Observable cells that can be, with their counts, and the strata that can hold somebody."""
    n_histories = (1 << table.n_lists) - 1
    histories = np.tile(np.arange(1, n_histories + 1, dtype=np.int64), len(strata))
    stratum_of = np.repeat(np.arange(len(strata), dtype=np.int64), n_histories)
    counts = np.zeros(len(histories))
    counts[codes * n_histories + table.histories - 1] = table.counts
    masks = operating(table.lists, strata, table.coverage)
    possible = histories & ~masks[stratum_of] == 0
    inhabited = np.ones(len(strata), dtype=np.bool_)
    for zero in zeros:
        mask = zero.mask(table.lists) or 0
        here = _matches(strata, zero)
        inside = here[stratum_of] & ((histories & mask) == mask)
        if counts[inside].any():
            raise TableError(
                f"structural_zeros says that {zero} cannot be, and {table.name} counts persons there; correct the "
                f"table or the setting"
            )
        possible &= ~inside
        if not mask:
            inhabited &= ~here
    return {
        "histories": histories[possible],
        "stratum_of": stratum_of[possible],
        "counts": counts[possible],
        "operating": masks,
        "hidden_stratum": np.flatnonzero(inhabited),
    }


def _matches(strata: pd.DataFrame, zero: Combination) -> Bools:
    here = np.ones(len(strata), dtype=np.bool_)
    for covariate, level in zero.levels:
        here &= (strata[covariate] == level).to_numpy()
    return here


# === lists that do not operate everywhere: which models can take that into account, and what to say of it =============


def refuse_coverage(table: CaptureTable, covariates: Sequence[str], estimator: str) -> None:
    """Refuse gaps that a model with these covariates cannot see, and counts that are only upper bounds."""
    for rule in table.coverage:
        if rule.covariate not in covariates:
            raise CapabilityError(
                f"{rule.list} did not operate in every stratum of {table.name}, and {estimator} would add up its "
                f"strata: the model leaves {rule.covariate} out, and what is structurally missing would be read as "
                f"zero; add + {rule.covariate} to the model, or drop the list"
            )
    refuse_censored(table, estimator)


def gap_remarks(table: CaptureTable, strata: pd.DataFrame) -> list[Diagnostic]:
    """Say of each list in how many strata it did not operate."""
    found = []
    masks = operating(table.lists, strata, table.coverage)
    for name in dict.fromkeys(rule.list for rule in table.coverage):
        absent = int(np.sum(masks >> table.lists.index(name) & 1 == 0))
        if absent:
            message = f"{name} did not operate in {absent} of {len(strata)} strata; what it would have caught is hidden"
            found.append(Diagnostic("gap", "info", message, absent))
    return found


# === models of lists and covariates where lists do not operate in some strata =========================================
# What is added up, and who fits it.


@dataclass(frozen=True, slots=True, eq=False)
class ModelCells:
    """Everything a fit of one model needs besides the counts.

    Attributes
    ----------
    design : ndarray, shape (m, p)
        Rows of the observable cells; where they are sums, those of their part on no absent list.
    hidden : ndarray, shape (h, p)
        Rows of the hidden cells.
    summed : CompositeCells or None
        The cells behind the sums, where the sums are not log-linear themselves.
    offset : ndarray, shape (m,), or None
        Added to the log means of the observable cells: what is assumed of the lists and not estimated.
    multiplier : float
        Of the dark figures.
    """

    design: Floats
    hidden: Floats
    summed: CompositeCells | None
    offset: Floats | None = None
    multiplier: float = 1.0

    def fit(self, counts: Floats) -> HiddenFit | CompositeFit:
        """Fit one table to full precision."""
        if self.summed is not None:
            return fit_composite(self.summed, counts)
        return fit_hidden(self.design, self.hidden, counts, self.offset, self.multiplier)

    def refit(self, tables: Floats, start: Floats) -> HiddenRefits:
        """Fit many tables near the coefficients `start`."""
        if self.summed is not None:
            return refit_composite(self.summed, tables, start=start)
        return refit_hidden(
            self.design, self.hidden, tables, start=start, offset=self.offset, multiplier=self.multiplier
        )

    def n_parameters(self, fit: HiddenFit | CompositeFit) -> int:
        """Count the parameters: columns that no structural zero or gap makes depend on others."""
        if isinstance(fit, CompositeFit):
            return fit.n_parameters
        return parameters_of(self.design, fit)

    def gradient(self, fit: HiddenFit | CompositeFit) -> Floats:
        """Give the derivative of the logarithm of the hidden persons by the coefficients, shape (h, p)."""
        return fit.hidden_gradient if isinstance(fit, CompositeFit) else self.hidden


def parameters_of(columns: Floats, fit: HiddenFit) -> int:
    """Count the parameters of a model: columns that no structural zero makes depend on others."""
    if fit.rank == columns.shape[1]:
        return fit.rank
    scale = np.sqrt(np.einsum("ij,ij->j", columns, columns))
    return int(np.linalg.matrix_rank(columns[:, scale > 0.0] / scale[scale > 0.0]))


def model_cells(design: CovariateDesign, terms: Sequence[int]) -> ModelCells:
    """Lay out a model on the cells of a design.

    Parameters
    ----------
    design : CovariateDesign
    terms : sequence of int

    Returns
    -------
    ModelCells

    Raises
    ------
    CapabilityError
        If there would be too many numbers.

    Notes
    -----
    Where list A does not operate, counts are sums over being on A or not. The sum changes the logarithm of a count by
    a function of the factors that A interacts with. If these, with the covariates that A's coverage depends on, lie in
    one term of the model, and each level there has a coefficient, other coefficients of the model absorb it: the sums
    follow the same model without A, and their fit is exact (the argument of Asmussen & Edwards 1983 for
    collapsibility). Other sums need a composite link.

    References
    ----------
    Asmussen, S. and Edwards, D. (1983). Collapsibility and response variables in contingency tables. Biometrika 70(3),
    567-578. doi:10.1093/biomet/70.3.567
    """
    columns, hidden, _ = design.columns(terms)
    lists = summed_lists(design, terms)
    return ModelCells(columns, hidden, _summed(design, terms, lists) if lists else None)


def summed_lists(design: CovariateDesign, terms: Sequence[int]) -> int:
    """Find the lists whose absence makes counts sums that are not log-linear, as a bit mask."""
    inside = set(terms)
    coarse = sum(
        1 << i
        for i, name in enumerate(design.factors)
        if name in design.blocks and not design.blocks[name].saturated
    )
    found = 0
    for i in bit_positions(design.sometimes_absent):
        around = neighbours(design, terms, 1 << i)
        if around & coarse or around not in inside:
            found |= 1 << i
    return found


def neighbours(design: CovariateDesign, terms: Sequence[int], bit: int) -> int:
    """Factors that a list interacts with, cannot go together with, or that its coverage depends on."""
    place = {name: 1 << i for i, name in enumerate(design.factors)}
    zeros = [reduce(or_, (place.get(name, 0) for name in zero.factors), 0) for zero in design.zeros]
    rules = [place[rule.list] | place.get(rule.covariate, 0) for rule in design.coverage]
    return reduce(or_, (edge for edge in (*terms, *zeros, *rules) if edge & bit), 0) & ~bit


def _summed(design: CovariateDesign, terms: Sequence[int], lists: int) -> CompositeCells:
    """All cells behind the rows, observed and hidden, over being on the absent lists or not."""
    n_rows, n_hidden = len(design.histories), len(design.hidden_stratum)
    histories = np.concatenate([design.histories, np.zeros(n_hidden, dtype=np.int64)])
    strata = np.concatenate([design.stratum_of, design.hidden_stratum])
    row_of = np.arange(n_rows + n_hidden)
    for i in bit_positions(lists):
        absent = design.operating[strata] >> i & 1 == 0
        histories = np.concatenate([histories, histories[absent] | 1 << i])
        strata, row_of = np.concatenate([strata, strata[absent]]), np.concatenate([row_of, row_of[absent]])
    order = np.argsort(row_of, kind="stable")
    order = order[design.possible(histories[order], strata[order])]
    cells = design.rows(terms, histories[order], strata[order])
    return CompositeCells(cells, row_of[order], n_rows, n_hidden)
