"""Models of lists and covariates where lists do not operate in some strata: what is added up, and who fits it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.estimators.covariate_design import CovariateDesign
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.hidden_cells import HiddenFit, HiddenRefits, fit_hidden, refit_hidden
from hiddenpop.kernels.summed_cells import SummedCells, SummedFit, fit_summed, refit_summed

__all__ = ["ModelCells", "model_cells", "neighbours", "parameters_of", "summed_lists"]


@dataclass(frozen=True, slots=True, eq=False)
class ModelCells:
    """Everything a fit of one model needs besides the counts.

    Attributes
    ----------
    design : ndarray, shape (m, p)
        Rows of the observable cells; where they are sums, those of their part on no absent list.
    hidden : ndarray, shape (h, p)
        Rows of the hidden cells.
    summed : SummedCells or None
        The cells behind the sums, where the sums are not log-linear themselves.
    offset : ndarray, shape (m,), or None
        Added to the log means of the observable cells: what is assumed of the lists and not estimated.
    multiplier : float
        Of the dark figures.
    """

    design: Floats
    hidden: Floats
    summed: SummedCells | None
    offset: Floats | None = None
    multiplier: float = 1.0

    def fit(self, counts: Floats) -> HiddenFit | SummedFit:
        """Fit one table to full precision."""
        if self.summed is not None:
            return fit_summed(self.summed, counts)
        return fit_hidden(self.design, self.hidden, counts, self.offset, self.multiplier)

    def refit(self, tables: Floats, start: Floats) -> HiddenRefits:
        """Fit many tables near the coefficients `start`."""
        if self.summed is not None:
            return refit_summed(self.summed, tables, start=start)
        return refit_hidden(
            self.design, self.hidden, tables, start=start, offset=self.offset, multiplier=self.multiplier
        )

    def n_parameters(self, fit: HiddenFit | SummedFit) -> int:
        """Count the parameters: columns that no structural zero or gap makes depend on others."""
        if isinstance(fit, SummedFit):
            return fit.n_parameters
        return parameters_of(self.design, fit)

    def gradient(self, fit: HiddenFit | SummedFit) -> Floats:
        """Give the derivative of the logarithm of the hidden persons by the coefficients, shape (h, p)."""
        return fit.hidden_gradient if isinstance(fit, SummedFit) else self.hidden


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


def _summed(design: CovariateDesign, terms: Sequence[int], lists: int) -> SummedCells:
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
    return SummedCells(cells, row_of[order], n_rows, n_hidden)
