"""Counts of cells with persons more or fewer, the estimate from each, and how few persons carry a claim."""

import itertools
import math
import warnings
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._cells import distinct_texts
from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import EmptyListWarning
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.resampled import Resamples
from hiddenpop.result import Estimate
from hiddenpop.sensitivity.claims import Claim
from hiddenpop.sensitivity.points import Point, evaluate
from hiddenpop.sensitivity.refits import number_maker, refit_all
from hiddenpop.table import CaptureTable

__all__ = ["MovedCells", "Removal", "every_cell", "fewest_removed"]


MOST_LISTS = 6
"""Up to so many lists the histories that nobody has are tried as well."""

EXACT_UP_TO = 2
"""Every choice of so many persons is tried; more are found one after the other."""


@dataclass(frozen=True, slots=True)
class MovedCells:
    """The cells to which persons are added, and the estimator that is run on them."""

    estimator: Estimator
    table: CaptureTable
    seed: int

    @property
    def names(self) -> list[str]:
        """Name each cell by its lists and, where there are some, by its strata."""
        rows = [
            tuple(name for i, name in enumerate(self.table.lists) if history >> i & 1)
            for history in self.table.histories.tolist()
        ]
        lists = distinct_texts(rows, " & ")
        levels = distinct_texts(self.table.strata.itertuples(index=False, name=None), ", ")
        return [f"{name} ({level})" if level else name for name, level in zip(lists, levels, strict=True)]

    def counts_of(self, table: CaptureTable) -> Ints:
        """Give the persons of the real table in each cell."""
        if len(self.table) == len(table):
            return np.array(table.counts)
        at = np.zeros(1 << table.n_lists, dtype=np.int64)
        at[table.histories] = table.counts
        return at[self.table.histories]

    def estimate(self, counts: Ints, label: str) -> Resamples:
        """Estimate from every row of counts; all share the seed."""
        return refit_all(self.estimator, self.table, counts, seed=self.seed, label=label)

    def answer(self, counts: Ints, found: Resamples, row: int) -> tuple[float, str, str]:
        """Give number, status and reason; an unknown number is asked of the estimator itself."""
        n = float(found.n_hat[row])
        if not math.isnan(n):
            persons = int(counts.sum())
            status = "unbounded" if math.isinf(n) else "boundary" if n <= persons else "ok"
            return n, status, "the dark figure is unbounded" if math.isinf(n) else ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EmptyListWarning)
            point = Point({}, number_maker(self.estimator), replace(self.table, counts=counts))
        told = evaluate([point], seed=self.seed, label="").iloc[0]
        return float(told["n_hat"]), str(told["status"]), str(told["reason"])


def every_cell(table: CaptureTable) -> CaptureTable:
    """Make a table with a person in every history, so that persons can be added to those that nobody has."""
    if table.n_lists > MOST_LISTS or len(table.strata.columns) or table.coverage:
        return table
    histories = np.arange(1, 1 << table.n_lists, dtype=np.int64)
    bits = {name: histories >> i & 1 for i, name in enumerate(table.lists)}
    frame = pd.DataFrame({**bits, "count": 1})
    labels = {"name": table.name, "population": table.population, "public": table.public}
    return CaptureTable.from_counts(frame, lists=table.lists, **labels)  # type: ignore[arg-type]


# --- how many persons must go -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Removal:
    """Persons whose removal breaks a claim.

    Attributes
    ----------
    persons : tuple of str
        The capture history of each.
    n_hat : float
        The estimate without them.
    exact : bool
        Whether it is known that fewer do not break it.
    """

    persons: tuple[str, ...]
    n_hat: float
    exact: bool


def fewest_removed(
    cells: MovedCells, counts: Ints, base: Estimate, claim: Claim, most: int
) -> Removal | None:
    """Look for the fewest persons without whom the claim fails; None where none are found or it fails already.

    Parameters
    ----------
    cells : MovedCells
    counts : ndarray of int, shape (m,)
    base : Estimate
    claim : Claim
    most : int

    Returns
    -------
    Removal or None

    Notes
    -----
    One and two persons: every choice. More: starting from the pair that brings the estimate closest to an end of the
    claim, the person who brings it closest is taken away next, for each end apart.
    """
    if not most or not claim.holds(base.n_hat):
        return None
    gone: list[tuple[int, ...]] = []
    n_hat = np.zeros(0)
    for size in range(1, min(EXACT_UP_TO, most) + 1):
        gone = _choices(counts, size)
        n_hat = _without(cells, counts, gone)
        broken = _breaks(n_hat, claim)
        if broken.any():
            at = int(np.flatnonzero(broken)[0])
            return _removal(cells, gone[at], n_hat[at], exact=True)
    if most <= EXACT_UP_TO:
        return None
    found = [_greedy(cells, counts, gone, n_hat, claim, (end, most)) for end in claim.ends]
    known = [removal for removal in found if removal is not None]
    return min(known, key=lambda removal: len(removal.persons), default=None)


def _choices(counts: Ints, size: int) -> list[tuple[int, ...]]:
    """Give every choice of so many persons, told apart by their cells only."""
    cells = np.flatnonzero(counts).tolist()
    chosen = itertools.combinations_with_replacement(cells, size)
    return [gone for gone in chosen if all(counts[cell] >= times for cell, times in Counter(gone).items())]


def _without(cells: MovedCells, counts: Ints, gone: list[tuple[int, ...]]) -> Floats:
    rows = np.tile(counts, (len(gone), 1))
    for row, persons in zip(rows, gone, strict=True):
        np.subtract.at(row, list(persons), 1)
    return cells.estimate(rows, f"persons taken out of {cells.table.name}").n_hat


def _breaks(n_hat: Floats, claim: Claim) -> npt.NDArray[np.bool_]:
    return np.array([math.isfinite(n) and not claim.holds(n) for n in n_hat], dtype=np.bool_)


def _greedy(
    cells: MovedCells,
    counts: Ints,
    gone: list[tuple[int, ...]],
    n_hat: Floats,
    claim: Claim,
    goal: tuple[float, int],
) -> Removal | None:
    """Take one more person at a time, each time the one that brings the estimate closest to an end of the claim."""
    end, most = goal
    while gone and len(gone[0]) < most:
        distance = np.where(np.isfinite(n_hat), np.abs(n_hat - end), math.inf)
        best = gone[int(np.argmin(distance))]
        spare = counts - np.bincount(best, minlength=len(counts))
        gone = [(*best, cell) for cell in np.flatnonzero(spare > 0).tolist()]
        n_hat = _without(cells, counts, gone)
        broken = np.flatnonzero(_breaks(n_hat, claim))
        if len(broken):
            at = int(broken[0])
            return _removal(cells, gone[at], n_hat[at], exact=len(gone[at]) == EXACT_UP_TO + 1)
    return None


def _removal(cells: MovedCells, gone: tuple[int, ...], n_hat: float, *, exact: bool) -> Removal:
    names = cells.names
    return Removal(tuple(names[cell] for cell in sorted(gone)), float(n_hat), exact)
