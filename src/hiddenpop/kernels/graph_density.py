"""Posterior density of graph and dark figure under hyper-Dirichlet priors, up to a constant, in logs."""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.special import gammaln

from hiddenpop._typing import Floats, Ints
from hiddenpop.kernels.gamma_ratios import digamma_step, log_gamma_cross, log_gamma_ratio
from hiddenpop.kernels.graphs import DecomposableGraphs

__all__ = ["GraphDensity", "GraphTerms", "SizePrior", "graph_density"]


SMALLEST_ANCHOR = 1e6
NEAR = 2.0
"""Within this factor of the anchor differences to it are taken."""


@dataclass(frozen=True, slots=True)
class SizePrior:
    """Prior of the population size, ``p(N) = N^-power Gamma(N + shape) / Gamma(N + 1) exp(-rate N)`` up to a factor.

    Attributes
    ----------
    power, shape, rate : float
        (1, 1, 0) is 1/N, (0, 1, 0) uniform, (0, shape, log(1 + shape / mean)) negative binomial.
    """

    power: float = 1.0
    shape: float = 1.0
    rate: float = 0.0

    def log(self, size: Floats) -> Floats:
        """Log prior at population sizes; 0 is one of them only without a power."""
        fall = self.power * np.log(size) if self.power else 0.0
        rise = 0.0 if self.shape == 1.0 else log_gamma_ratio(size + 1.0, self.shape - 1.0)
        return np.asarray(rise - fall - self.rate * size)

    def difference(self, size: float, step: Floats) -> Floats:
        """Log prior at ``size + step`` minus that at `size`."""
        rise = 0.0 if self.shape == 1.0 else log_gamma_cross(size + 1.0, step, self.shape - 1.0)
        return rise - self.power * np.log1p(step / size) - self.rate * step

    def slope(self, size: Floats) -> Floats:
        """Give the derivative of the log prior."""
        rise = 0.0 if self.shape == 1.0 else digamma_step(size + 1.0, self.shape - 1.0)
        return np.asarray(rise - self.power / size - self.rate)


@dataclass(frozen=True, slots=True, eq=False)
class GraphDensity:
    """Log posterior density of (graph, dark figure), for all graphs as one sparse signed sum over sets of lists.

    Attributes
    ----------
    n_observed : float
    shifts : ndarray, shape (2**t,)
        ``a_S``: persons on none of the lists S, plus the prior count of that cell. The dark figure ``n0`` enters the
        likelihood of a set only as ``lgamma(n0 + a_S)``.
    weights : csr_array, shape (g, 2**t + 2)
        Clique minus separator counts; then 1 for ``lgamma(N+1) - lgamma(n0+1)`` with the prior of N; then what does
        not depend on n0.
    exponents : ndarray, shape (g,)
        Without a `rate`, the density of graph g falls like ``n0 ** -(1 + exponent)``.
    prior : SizePrior
    anchor : float
        A dark figure, 0 for none. Near it the density is its value there plus a small difference: of terms around
        1e14, as 1e12 persons make them, the sum itself has only two digits after the point.
    at_anchor : ndarray, shape (g,)
        Log density there.
    reference : float
        Taken off every log density, so that those that matter are small numbers, whose sums keep their digits.
    """

    n_observed: float
    shifts: Floats
    weights: csr_array
    exponents: Floats
    prior: SizePrior
    anchor: float = 0.0
    at_anchor: Floats = field(default_factory=lambda: np.zeros(0))
    reference: float = 0.0

    @property
    def n_graphs(self) -> int:
        """Number of graphs."""
        return len(self.exponents)

    @property
    def is_proper(self) -> bool:
        """Whether the sum over all dark figures is finite."""
        return self.prior.rate > 0.0 or bool(self.exponents.min() > 0.0)

    def rows(self, n0: Floats) -> Floats:
        """Functions of the dark figure that every graph is a signed sum of, shape (2**t + 2, m)."""
        sets = log_gamma_ratio(n0 + 1.0, self.shifts[:, None] - 1.0)
        common = log_gamma_ratio(n0 + 1.0, self.n_observed) + self.log_prior(n0)
        return np.vstack([sets, common, np.ones_like(n0)])

    def log_prior(self, n0: Floats) -> Floats:
        """Log prior of the population size that goes with each dark figure."""
        size = n0 + self.n_observed
        # A size of 0 only happens where nobody was observed, and there only a prior without a power has a value.
        return self.prior.log(np.maximum(size, 1.0) if self.prior.power else size)

    def prior_slope(self, n0: Floats) -> Floats:
        """Give the derivative of `log_prior`."""
        return self.prior.slope(np.maximum(n0 + self.n_observed, 1.0))

    def log_density(self, n0: Floats) -> Floats:
        """Log density of every graph at every dark figure, shape (g, m)."""
        found: Floats = self.weights @ self.rows(n0) - self.reference
        near = (n0 > self.anchor / NEAR) & (n0 < self.anchor * NEAR)
        if near.any():
            found[:, near] = self.at_anchor[:, None] + self.weights[:, :-1] @ self._from_anchor(n0[near])
        return found

    def anchored(self, anchor: float) -> "GraphDensity":
        """Choose the dark figure near which the density is most exact; one too small for rounding is not needed."""
        whole = (self.weights @ self.rows(np.array([anchor])))[:, 0]
        highest = float(whole.max())
        if anchor < SMALLEST_ANCHOR:
            return replace(self, reference=highest)
        return replace(self, anchor=anchor, at_anchor=whole - highest, reference=highest)

    def _from_anchor(self, n0: Floats) -> Floats:
        """Differences of `rows` but the last to their values at the anchor."""
        step, size = n0 - self.anchor, self.anchor + self.n_observed
        sets = log_gamma_cross(self.anchor + 1.0, step, self.shifts[:, None] - 1.0)
        common = log_gamma_cross(self.anchor + 1.0, step, self.n_observed) + self.prior.difference(size, step)
        return np.vstack([sets, common])

    def slope_rows(self, n0: Floats) -> Floats:
        """Give the derivatives of `rows`."""
        sets = digamma_step(n0 + 1.0, self.shifts[:, None] - 1.0)
        common = digamma_step(n0 + 1.0, self.n_observed) + self.prior_slope(n0)
        return np.vstack([sets, common, np.zeros_like(n0)])

    def slope(self, n0: Floats) -> Floats:
        """Give the derivative of the log density by the dark figure, shape (g, m)."""
        found: Floats = self.weights @ self.slope_rows(n0)
        return found

    def select(self, graphs: Ints) -> "GraphDensity":
        """Keep some graphs."""
        return replace(self, weights=self.weights[graphs], exponents=self.exponents[graphs])

    def of_graphs(self, graphs: Ints) -> "GraphTerms":
        """Give the density of single graphs, each to be taken at a dark figure of its own.

        Distinct graphs have distinct figures here, so each needs only the sets of its own cliques and separators.
        """
        starts, sizes = self.weights.indptr[graphs], np.diff(self.weights.indptr)[graphs]
        owner = np.repeat(np.arange(len(graphs)), sizes)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        entry = np.repeat(starts, sizes) + place
        column, weight = self.weights.indices[entry], self.weights.data[entry]
        moves = column <= len(self.shifts)
        steps = np.append(self.shifts - 1.0, self.n_observed)[column[moves]]
        constants = np.bincount(owner[~moves], weights=weight[~moves], minlength=len(graphs)).astype(
            np.float64
        )
        return GraphTerms(self, owner[moves], steps, weight[moves], constants)


@dataclass(frozen=True, slots=True, eq=False)
class GraphTerms:
    """Log densities of some graphs, each at its own dark figure: signed sums of ratios of gamma functions.

    Attributes
    ----------
    density : GraphDensity
    owners : ndarray of int64, shape (q,)
        Position of the graph that each ratio belongs to.
    steps, weights : ndarray, shape (q,)
        Each ratio is ``Gamma(n0 + 1 + step) / Gamma(n0 + 1)``.
    constants : ndarray, shape (p,)
    """

    density: GraphDensity
    owners: Ints
    steps: Floats
    weights: Floats
    constants: Floats

    def log_density(self, n0: Floats) -> Floats:
        """Log density of the graph at each place, at the figure there."""
        sums = self._add_up(log_gamma_ratio(n0[self.owners] + 1.0, self.steps))
        return self.constants + sums + self.density.log_prior(n0)

    def slope(self, n0: Floats) -> Floats:
        """Give the derivatives of the log densities."""
        return self._add_up(digamma_step(n0[self.owners] + 1.0, self.steps)) + self.density.prior_slope(n0)

    def _add_up(self, terms: Floats) -> Floats:
        found = np.bincount(self.owners, weights=self.weights * terms, minlength=len(self.constants))
        return found.astype(np.float64)


def graph_density(
    counts: Floats, graphs: DecomposableGraphs, delta: float, prior: SizePrior, log_graph_prior: Floats
) -> GraphDensity:
    """Build the density for a table.

    Parameters
    ----------
    counts : ndarray, shape (2**t,)
        Persons by history; element 0 is not read.
    graphs : DecomposableGraphs
        On the same t lists.
    delta : float
        Prior count of each of the 2**t cells.
    prior : SizePrior
    log_graph_prior : ndarray, shape (g,)
        Finite.

    Returns
    -------
    GraphDensity

    References
    ----------
    Madigan, D. and York, J. C. (1997). Bayesian methods for estimation of the size of a closed population. Biometrika
    84(1), 19-31. doi:10.1093/biomet/84.1.19
    """
    n_lists, observed = graphs.n_lists, np.concatenate([[0.0], counts[1:]])
    cells = np.arange(1 << n_lists)
    unseen = (observed * (cells[:, None] & cells == 0)).sum(axis=1)
    pseudo = delta * 2.0 ** (n_lists - np.bitwise_count(cells).astype(np.float64))
    constants = _constants(observed, pseudo)
    fixed = graphs.coefficients @ constants + log_graph_prior
    weights = np.column_stack([graphs.coefficients, np.ones(len(fixed)), fixed])
    # Persons and prior counts apart, so that the whole numbers cancel exactly.
    by_data = -(graphs.coefficients @ unseen + observed.sum())
    by_prior = -(graphs.coefficients @ pseudo)
    exponents = by_data + (by_prior - prior.shape + prior.power)
    return GraphDensity(float(observed.sum()), unseen + pseudo, csr_array(weights), exponents, prior)


def _constants(observed: Floats, pseudo: Floats) -> Floats:
    """Part of the log marginal likelihood of each set of lists that does not depend on the dark figure."""
    cells = np.arange(len(observed))
    seen_by = cells[:, None] & cells
    place = cells[:, None] * len(cells) + seen_by
    margins = np.bincount(place.ravel(), weights=np.tile(observed, len(cells)), minlength=len(cells) ** 2)
    # Every cell of the margin of a set but that of nobody: the subsets of the set.
    own = (cells[:, None] & ~cells[:, None].T == 0).T & (cells > 0)
    each = np.where(own, gammaln(margins.reshape(own.shape) + pseudo[:, None]), 0.0).sum(axis=1)
    return np.asarray(each - 2.0 ** np.bitwise_count(cells) * gammaln(pseudo))
