"""One estimator on many resamples of a table: by compiled loops where it is log-linear, by its own `fit` otherwise."""

import dataclasses
import math
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop.errors import CapabilityError, HiddenpopWarning, TableError
from hiddenpop.estimators.averaged import AveragedLogLinear
from hiddenpop.estimators.dependence import without_terms
from hiddenpop.estimators.loglinear import LogLinear, counts_under, model_for
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.search import default_order
from hiddenpop.estimators.selected import NO_MODEL, SelectedLogLinear
from hiddenpop.histories import project
from hiddenpop.kernels.best_models import best_of_each
from hiddenpop.kernels.dense import LARGEST_QUICK_COUNT
from hiddenpop.kernels.refit import best_among, same_model
from hiddenpop.kernels.term_sets import from_words
from hiddenpop.model import HierarchicalModel
from hiddenpop.table import CaptureTable

__all__ = ["RefitBlock", "Resamples", "refit"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RefitBlock:
    """A block of work: an estimator, a table, and the counts of its cells in each resample.

    Attributes
    ----------
    estimator : Estimator
    table : CaptureTable
    counts : ndarray of int, shape (b, m)
        A row a resample, a column a cell of the table.
    models : tuple of int
        Term sets to which the choice is restricted, none for the whole space.
    rngs : tuple of Generator
        One a resample, for estimators that draw random numbers; empty where they are not needed.
    """

    estimator: Estimator
    table: CaptureTable
    counts: Ints
    models: tuple[int, ...] = ()
    rngs: tuple[np.random.Generator, ...] = ()


@dataclass(frozen=True, slots=True)
class Resamples:
    """Estimates of a block of resamples.

    Attributes
    ----------
    n_hat : ndarray of float
        inf where unbounded, nan where there is no number for another reason.
    models : tuple of str
        Model chosen in each, empty text where there is none or the estimator chooses none.
    n_unfinished : int
        Resamples in which an exact search ran out of fits.
    """

    n_hat: Floats
    models: tuple[str, ...]
    n_unfinished: int = 0


def refit(block: RefitBlock) -> Resamples:
    """Estimate from every resample of a block, the choice of model included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return _quick(block) or _one_by_one(block)


def _quick(block: RefitBlock) -> Resamples | None:
    """Refit by a compiled loop, None for an estimator that has none."""
    base = block.estimator
    if not isinstance(base, LogLinear | SelectedLogLinear | AveragedLogLinear):
        return None
    if block.counts.max(initial=0) > LARGEST_QUICK_COUNT:
        return None
    data = counts_under(base, block.table)
    if isinstance(base, AveragedLogLinear):
        return _average_again(block, base, data)
    if isinstance(base, LogLinear):
        model = without_terms(model_for(base.model, block.table).restrict(data.kept), data.without)
        if model.is_saturated:
            return None
        tables = _dense(block, data)
        n0 = same_model(tables, model.term_set, data.n_lists, data.offset)
        return Resamples(_add(tables, n0), (str(model),) * len(tables))
    return _select_again(block, base, data)


def _select_again(block: RefitBlock, base: SelectedLogLinear, data: ListCounts) -> Resamples | None:
    exists = base.admissible == "exists"
    if base.search not in ("exact", "exhaustive") or base.count != "all":
        return None
    tables = _dense(block, data)
    if block.models:
        among = sorted(block.models, key=lambda term_set: (term_set.bit_count(), term_set))
        found = best_among(
            tables, among, data.n_lists, criterion=base.criterion, exists=exists, offset=data.offset
        )
        term_sets = [among[at] if at >= 0 else 0 for at in found.chosen]
        return Resamples(_add(tables, found.n0), _labels(term_sets, data.n_lists))
    order = default_order(data.n_lists, base.max_order) if base.search == "exhaustive" else base.max_order
    best = best_of_each(
        tables,
        data.n_lists,
        criterion=base.criterion,
        max_order=order,
        exists=exists,
        max_fits=base.max_fits,
        offset=data.offset,
        without=data.without,
    )
    n_hat = _add(tables, best.n0)
    for row in np.flatnonzero(
        np.isnan(n_hat)
    ):  # no model may be chosen: the estimator itself says what that means
        n_hat[row] = _fit_one(block, int(row))[0]
    labels = _labels([from_words(words) for words in best.term_sets], data.n_lists)
    return Resamples(n_hat, labels, int(np.sum(~best.finished)))


def _average_again(block: RefitBlock, base: AveragedLogLinear, data: ListCounts) -> Resamples:
    """Average over the models of the original lists in every resample, without the tables of a full estimate."""
    tables = _dense(block, data)
    n_hat = np.array(
        [base.median(dataclasses.replace(data, counts=row, n_observed=int(row.sum()))) for row in tables]
    )
    for row in np.flatnonzero(np.isnan(n_hat)):
        n_hat[row] = _fit_one(block, int(row))[0]
    return Resamples(n_hat, (NO_MODEL,) * len(tables))


def _labels(term_sets: list[int], n_lists: int) -> tuple[str, ...]:
    known = {
        term_set: str(HierarchicalModel.from_term_set(term_set, n_lists)) if term_set else NO_MODEL
        for term_set in set(term_sets)
    }
    return tuple(known[term_set] for term_set in term_sets)


def _add(tables: Floats, n0: Floats) -> Floats:
    """Dark figures and the persons of each table together."""
    n_hat: Floats = tables.sum(axis=1) + n0
    return n_hat


def _dense(block: RefitBlock, data: ListCounts) -> Floats:
    """Spread the counts over the histories of the lists that caught somebody, one resample a row."""
    at = project(block.table.histories, data.kept)
    tables = np.zeros((len(block.counts), len(data.counts)))
    np.add.at(tables.T, at, block.counts.T)
    tables[:, 0] = 0.0
    return tables


def _one_by_one(block: RefitBlock) -> Resamples:
    fitted = [_fit_one(block, row) for row in range(len(block.counts))]
    return Resamples(np.array([n for n, _ in fitted]), tuple(model for _, model in fitted))


def _fit_one(block: RefitBlock, row: int) -> tuple[float, str]:
    """Estimate from one resample by the estimator itself; a resample that the estimator cannot treat has no number.

    That goes for counts that are not whole, which a table cannot hold: only the compiled loops fit them.
    """
    if np.any(block.counts[row] != np.floor(block.counts[row])):
        return math.nan, NO_MODEL
    rng = block.rngs[row] if block.rngs else None
    try:
        resample = dataclasses.replace(block.table, counts=block.counts[row])
        if isinstance(block.estimator, LogLinear | SelectedLogLinear):
            return block.estimator.number(resample, rng=rng)
        found = block.estimator.fit(resample, rng=rng)
    except (CapabilityError, TableError):
        return math.nan, NO_MODEL
    return found.n_hat, str(found.details.get("model", NO_MODEL))
