"""One estimator on many resamples of a table: what goes in, what comes out, and one fit after another."""

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import CapabilityError, HiddenpopWarning, TableError
from hiddenpop.estimators.base import contract
from hiddenpop.estimators.prepare import ListCounts, has_many_lists
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.histories import project
from hiddenpop.kernels.poisson.dense import LARGEST_QUICK_COUNT, one_thread
from hiddenpop.model import HierarchicalModel
from hiddenpop.table import CaptureTable

__all__ = [
    "NO_MODEL",
    "RefitBlock",
    "Resamples",
    "fit_one",
    "join_resamples",
    "label_models",
    "one_by_one",
    "refit",
]


NO_MODEL = ""


@dataclass(frozen=True, slots=True)
class RefitBlock:
    """A block of work: an estimator, a table, and the counts of its cells in each resample.

    Attributes
    ----------
    estimator : Estimator
    table : CaptureTable
    counts : ndarray of int, shape (b, m)
        One row per resample, a column a cell of the table.
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

    @property
    def is_large(self) -> bool:
        """Whether there are more lists, or a larger count, than the compiled loops take."""
        return has_many_lists(self.table) or bool(self.counts.max(initial=0) > LARGEST_QUICK_COUNT)

    def dense(self, data: ListCounts) -> Floats:
        """Spread the counts over the histories of the lists that caught somebody, one resample a row."""
        at = project(self.table.histories, data.kept)
        tables = np.zeros((len(self.counts), len(data.counts)))
        np.add.at(tables.T, at, self.counts.T)
        tables[:, 0] = 0.0
        return tables


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
    n_boundary : int
        Resamples with nobody hidden: their estimate is the number of persons in them.
    """

    n_hat: Floats
    models: tuple[str, ...]
    n_unfinished: int = 0
    n_boundary: int = 0


def refit(block: RefitBlock) -> Resamples:
    """Estimate from every resample of a block, the choice of model included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        found = contract(block.estimator).refit(block)
    boundary = found.n_hat <= block.counts.sum(axis=1)
    return dataclasses.replace(found, n_boundary=int(np.sum(boundary)))


def join_resamples(blocks: Sequence[Resamples]) -> Resamples:
    """Put the estimates of blocks one after another.

    Examples
    --------
    >>> block = Resamples(np.array([60.0, 50.0]), ("[1,2]", "[1,2]"), n_boundary=1)
    >>> join_resamples([block, block]).n_boundary
    2
    """
    return Resamples(
        np.concatenate([block.n_hat for block in blocks]) if blocks else np.zeros(0),
        tuple(model for block in blocks for model in block.models),
        sum(block.n_unfinished for block in blocks),
        sum(block.n_boundary for block in blocks),
    )


def label_models(term_sets: Sequence[int], n_lists: int) -> tuple[str, ...]:
    """Write models by their term sets; 0 stands for none.

    Examples
    --------
    >>> label_models([0b10110, 0], 3)
    ('[1,2,3]', '')
    """
    known = {
        term_set: str(HierarchicalModel.from_term_set(term_set, n_lists)) if term_set else NO_MODEL
        for term_set in set(term_sets)
    }
    return tuple(known[term_set] for term_set in term_sets)


def one_by_one(block: RefitBlock) -> Resamples:
    """Fit the estimator itself to one resample after another."""
    with one_thread():
        fitted = [fit_one(block, row) for row in range(len(block.counts))]
    return Resamples(np.array([n for n, _ in fitted]), tuple(model for _, model in fitted))


def fit_one(block: RefitBlock, row: int) -> tuple[float, str]:
    """Estimate from one resample by the estimator itself; a resample that the estimator cannot treat has no number.

    That goes for counts that are not whole, which a table cannot hold: only the compiled loops fit them.
    """
    if np.any(block.counts[row] != np.floor(block.counts[row])):
        return math.nan, NO_MODEL
    rng = block.rngs[row] if block.rngs else None
    try:
        resample = dataclasses.replace(block.table, counts=block.counts[row])
        number: Callable[..., tuple[float, str]] | None = getattr(block.estimator, "number", None)
        if number is not None:
            return number(resample, rng=rng)
        found = block.estimator.fit(resample, rng=rng)
    except (CapabilityError, TableError):
        return math.nan, NO_MODEL
    return found.n_hat, found.model or NO_MODEL
