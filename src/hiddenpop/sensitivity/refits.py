"""Many refits of one estimator to other counts of the same cells, of which a check needs the numbers only."""

import numpy as np
import numpy.typing as npt

from hiddenpop.estimators.base import contract
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.resampled import RefitBlock, Resamples, join_resamples, refit
from hiddenpop.parallel import block_slices, run_blocks
from hiddenpop.table import CaptureTable

__all__ = ["cells_that_count", "number_maker", "refit_all"]

BLOCK = 25
"""Refits a block; it depends on nothing, so that any number of workers gives the same."""


def number_maker(estimator: Estimator) -> Estimator:
    """Give the estimator that makes the number: a bootstrap around it only adds an interval.

    Examples
    --------
    >>> from hiddenpop import Bootstrapped, LogLinear
    >>> number_maker(Bootstrapped(base=LogLinear())).name
    'loglinear'
    """
    told = contract(estimator)
    return number_maker(told.inner) if told.facts.adds_interval_only else estimator


def cells_that_count(estimator: Estimator, table: CaptureTable) -> CaptureTable:
    """Add up over strata and leave out empty lists for an estimator that knows lists only; else leave all as it is."""
    if not contract(number_maker(estimator)).facts.loglinear or table.coverage:
        return table
    return table.collapse().drop_list(*table.list_totals.index[table.list_totals == 0])


def refit_all(
    estimator: Estimator,
    table: CaptureTable,
    counts: npt.NDArray[np.int64],
    *,
    seed: int,
    label: str,
) -> Resamples:
    """Estimate from every row of counts of the cells of a table.

    Parameters
    ----------
    estimator : Estimator
    table : CaptureTable
        Its cells are what the columns of `counts` are of; its own counts do not matter.
    counts : ndarray of int, shape (b, m)
    seed : int
        The same for all rows, so that they differ by their counts and not by chance.
    label : str
        For the progress bar.

    Returns
    -------
    Resamples
        In the order of the rows.
    """
    base = number_maker(estimator)
    tasks = [
        RefitBlock(base, table, counts[cut], rngs=tuple(np.random.default_rng(seed) for _ in counts[cut]))
        for cut in block_slices(len(counts), BLOCK)
    ]
    return join_resamples(run_blocks(refit, tasks, label=label))
