"""The exact sum over graphs on the grid of dark figures that MSETools takes; see ORIGIN.md."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hiddenpop.estimators.protocol import spec_of
from hiddenpop.kernels.bayes.decomposable import GraphPosterior, posterior_of
from hiddenpop.kernels.bayes.graphs import SizePrior, decomposable_graphs, graph_density
from hiddenpop.result import Estimate, Interval
from hiddenpop.table import CaptureTable, RNGLike


def grid_of(table: CaptureTable) -> np.ndarray:
    return np.unique(np.round(np.linspace(1, 30 * table.n_observed, 1000))).astype(int)


def posterior_on_grid(table: CaptureTable, delta: float) -> GraphPosterior:
    """Sum over graphs on all lists, those that caught nobody too, at the points of the grid alone."""
    graphs, grid = decomposable_graphs(table.n_lists), grid_of(table)
    counts, flat = table.to_dense().astype(float), np.zeros(len(graphs.links))
    among = np.full(grid[-1], -np.inf)
    among[grid - 1] = 0.0
    return posterior_of(graph_density(counts, graphs, delta, SizePrior(), flat), 1, int(grid[-1]), among)


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirGrid:
    name: ClassVar[str] = "their_grid"

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        grid = grid_of(table)
        below = posterior_on_grid(table, 2.0**-table.n_lists).missing.below(grid)
        low, median, high = (table.n_observed + int(grid[np.argmax(below > q)]) for q in (0.025, 0.5, 0.975))
        return Estimate(
            n_hat=median,
            n_observed=table.n_observed,
            interval=Interval(low, high, 0.95, "equal-tailed posterior on the grid"),
            status="ok",
            estimator=spec_of(self),
            table=table.summary,
        )
