"""Random tables that are not public, and what somebody would release of them."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tests.attack.tools import ESTIMATORS

from hiddenpop.disclosure import Base, EstimateRecord, OutputTable

REGIONS = ("north", "south", "west")


@dataclass(frozen=True)
class World:
    """A table of 2 to 6 lists, with strata or without."""

    cells: pd.DataFrame
    counts: np.ndarray
    lists: tuple

    @property
    def base(self):
        return Base(name="table", frame=self.cells, counts=self.counts)

    @property
    def small(self):
        return np.flatnonzero((self.counts > 0) & (self.counts < 10))

    @property
    def strata(self):
        return [name for name in self.cells.columns if name not in self.lists]

    def without(self, name):
        """The same persons, as far as they are on other lists."""
        columns = [column for column in self.cells.columns if column != name]
        lists = tuple(one for one in self.lists if one != name)
        frame = self.cells.assign(count=self.counts)
        frame = frame[frame[list(lists)].sum(axis=1) > 0]
        counted = frame.groupby(columns, as_index=False, sort=False)["count"].sum()
        return World(counted[columns], counted["count"].to_numpy(), lists)

    def about(self, lists):
        """Who is on at least one of some lists."""
        return self.cells[list(lists)].sum(axis=1).to_numpy() > 0


def random_world(seed, n_lists=None, n_strata=None):
    rng = np.random.default_rng([19, seed])
    k = n_lists or int(rng.integers(2, 7))
    strata = n_strata or int(rng.integers(1, 4))
    lists = tuple(f"list {letter}" for letter in "abcdef"[:k])
    histories = [row for row in itertools.product([0, 1], repeat=k) if any(row)]
    rows = list(itertools.product(REGIONS[:strata], histories))
    cells = pd.DataFrame([row[1] for row in rows], columns=list(lists))
    if strata > 1:
        cells.insert(0, "region", [row[0] for row in rows])
    log_odds = rng.normal(-1.0, 0.6, size=k)
    size = rng.choice([60, 200, 800]) * rng.dirichlet(np.full(strata, 4.0))
    odds = np.array([row[1] for row in rows]) @ log_odds
    share = np.exp(odds + rng.normal(0, 0.4, size=len(rows)))
    means = np.repeat(size, len(histories)) * share / share.sum() * strata
    return World(cells, rng.poisson(means), lists)


def resolver(world):
    """From plain data to the function that works the answers out again."""

    def resolve(plain):
        lists = plain["lists"]
        cells = world.cells if set(lists) == set(world.lists) else world.without(plain["left_out"]).cells
        return lambda counts: ESTIMATORS[plain["method"]](np.asarray(counts, dtype=float), cells, lists)

    return resolve


def estimate(world, method, name=None, left_out=None):
    """The floor of an estimate; of the table without a list where one is left out."""
    part = world if left_out is None else world.without(left_out)
    lists = list(part.lists)
    status, n_hat, low, high = ESTIMATORS[method](part.counts.astype(float), part.cells, lists)
    return EstimateRecord(
        name=name or method,
        base=part.base,
        lists=lists,
        method=method,
        status=status,
        n_hat=n_hat,
        low=low,
        high=high,
        level=0.95,
        recompute={"method": method, "lists": lists, "left_out": left_out},
    )


def margins(world):
    """Pairs of lists, by stratum where there are strata."""
    base = world.base
    by = [*world.strata, *world.lists[:2]]
    return OutputTable.of_counts("pairs", base, by)


def history_table(world):
    matrix = world.base.sums(world.cells.to_dict("records"))
    return OutputTable.of_sums("cells", world.base, world.cells, matrix)
