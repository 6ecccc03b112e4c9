"""Decomposable graphs on a few lists, and the log posterior of a graph and a dark figure."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import digamma, gammaln

from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.histories import bit_positions
from hiddenpop.model import term_label

__all__ = [
    "LARGEST_ENUMERATION",
    "NUMBER_OF_GRAPHS",
    "DecomposableGraphs",
    "GraphDensity",
    "GraphTerms",
    "SizePrior",
    "decomposable_graphs",
    "graph_density",
]

LARGEST_ENUMERATION = 6
NUMBER_OF_GRAPHS = {2: 2, 3: 8, 4: 61, 5: 822, 6: 18_154, 7: 617_675}
"""Chordal graphs on labelled vertices; the last is there for a message."""

SMALLEST_ANCHOR = 1e6
NEAR = 2.0
"""Within this factor of the anchor differences to it are taken."""

Step = Callable[[Floats, Floats], Floats]

STIRLING_FROM = 17.0
"""From here on four terms of Stirling's series leave an error below 1e-14."""

SMALL_STEP = 1e-3
"""Below this share of the argument a step is taken as it is: the rounded sum of both would lose its digits."""

FAR_STEP = 0.5
"""A step beyond this share of the argument changes a gamma ratio so much that a plain difference keeps its digits."""


@dataclass(frozen=True, slots=True, eq=False)
class DecomposableGraphs:
    """All decomposable (chordal) graphs on the lists, from no link to every link.

    Attributes
    ----------
    n_lists : int
    pairs : tuple of (int, int)
        Positions of the lists that link ``e`` joins.
    links : ndarray of int64, shape (g,)
        Bit ``e`` is set when the graph has link ``e``. Sorted by number of links, then by code.
    coefficients : ndarray of int64, shape (g, 2**t)
        How often each set of lists is a clique, minus how often it is a separator. The empty set counts minus the
        number of connected components: one for the normalising constant, and one for each empty separator.
    """

    n_lists: int
    pairs: tuple[tuple[int, int], ...]
    links: Ints
    coefficients: Ints

    @property
    def n_links(self) -> Ints:
        """Number of links of each graph."""
        return np.bitwise_count(self.links).astype(np.int64)

    @property
    def linked(self) -> Bools:
        """Whether each graph has each link, shape (g, number of pairs)."""
        return (self.links[:, None] >> np.arange(len(self.pairs)) & 1).astype(np.bool_)

    def cliques(self, graph: int) -> tuple[int, ...]:
        """Cliques of one graph as masks of lists, from large to small.

        Examples
        --------
        >>> decomposable_graphs(3).cliques(-1)
        (7,)
        """
        return _all_cliques(self)[graph]

    def notation(self, graph: int) -> str:
        """Bracket notation of one graph: its cliques by positions of the lists.

        Examples
        --------
        >>> decomposable_graphs(3).notation(0), decomposable_graphs(3).notation(-1)
        ('[1,2,3]', '[123]')
        """
        return _all_notations(self)[graph]


@cache
def _all_cliques(graphs: DecomposableGraphs) -> tuple[tuple[int, ...], ...]:
    """Cliques of every graph."""
    sets = range(1 << graphs.n_lists)
    order = np.array(sorted(sets, key=lambda mask: (-mask.bit_count(), bit_positions(mask))))
    graph, place = np.nonzero(graphs.coefficients[:, order] > 0)
    ends = np.searchsorted(graph, np.arange(len(graphs.links) + 1)).tolist()
    found = order[place].tolist()
    return tuple(tuple(found[start:stop]) for start, stop in pairwise(ends))


@cache
def _all_notations(graphs: DecomposableGraphs) -> tuple[str, ...]:
    """Bracket notation of every graph."""
    labels = [term_label(clique, graphs.n_lists) if clique else "" for clique in range(1 << graphs.n_lists)]
    return tuple(
        "[" + ",".join(labels[clique] for clique in cliques) + "]" for cliques in _all_cliques(graphs)
    )


@cache
def decomposable_graphs(n_lists: int) -> DecomposableGraphs:
    """Enumerate the decomposable graphs on 2 to 6 lists.

    Every graph is ordered by maximum cardinality search; it is decomposable exactly when the earlier neighbours of
    each list form a complete set. Those sets then give cliques and separators: a list ``v`` with earlier neighbours
    ``P`` adds ``P + v`` and takes ``P`` away, and what is neither clique nor separator cancels.

    Parameters
    ----------
    n_lists : int

    Returns
    -------
    DecomposableGraphs
        Its arrays are read-only.

    Raises
    ------
    ValueError
        For fewer than 2 or more than 6 lists.

    References
    ----------
    Tarjan, R. E. and Yannakakis, M. (1984). Simple linear-time algorithms to test chordality of graphs, test
    acyclicity of hypergraphs, and selectively reduce acyclic hypergraphs. SIAM Journal on Computing 13(3), 566-579.
    doi:10.1137/0213035

    Examples
    --------
    >>> [len(decomposable_graphs(t).links) for t in (2, 3, 4, 5)]
    [2, 8, 61, 822]
    """
    if not 2 <= n_lists <= LARGEST_ENUMERATION:
        raise ValueError(f"graphs are enumerated for 2 to {LARGEST_ENUMERATION} lists; got {n_lists}")
    pairs = tuple(combinations(range(n_lists), 2))
    codes = np.arange(1 << len(pairs), dtype=np.int64)
    coefficients, chordal = _search(_neighbours(codes, pairs, n_lists), n_lists)
    links = codes[chordal]
    order = np.lexsort((links, np.bitwise_count(links)))
    graphs = DecomposableGraphs(n_lists, pairs, links[order], coefficients[chordal][order])
    for array in (graphs.links, graphs.coefficients):
        array.flags.writeable = False
    return graphs


def _neighbours(codes: Ints, pairs: tuple[tuple[int, int], ...], n_lists: int) -> Ints:
    """Masks of the neighbours of each list in each graph, shape (g, t)."""
    masks = np.zeros((len(codes), n_lists), dtype=np.int64)
    for link, (i, j) in enumerate(pairs):
        there = codes >> link & 1
        masks[:, i] |= there << j
        masks[:, j] |= there << i
    return masks


def _search(neighbours: Ints, n_lists: int) -> tuple[Ints, Bools]:
    """Maximum cardinality search in all graphs at once: signed counts of cliques and separators, and chordality."""
    rows = np.arange(len(neighbours))
    coefficients = np.zeros((len(neighbours), 1 << n_lists), dtype=np.int64)
    chordal = np.ones(len(neighbours), dtype=np.bool_)
    visited = np.zeros(len(neighbours), dtype=np.int64)
    for _ in range(n_lists):
        earlier = np.bitwise_count(neighbours & visited[:, None]).astype(np.int64)
        earlier[(visited[:, None] >> np.arange(n_lists) & 1) == 1] = -1
        chosen = np.argmax(earlier, axis=1)
        parents = neighbours[rows, chosen] & visited
        for u in range(n_lists):
            others = parents & ~(1 << u)
            chordal &= (parents >> u & 1 == 0) | (neighbours[:, u] & others == others)
        coefficients[rows, parents | 1 << chosen] += 1
        coefficients[rows, parents] -= 1
        visited |= 1 << chosen
    return coefficients, chordal


# === posterior density of graph and dark figure under hyper-Dirichlet priors, up to a constant, in logs ===============


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


# === ratios of gamma functions whose arguments are both large =========================================================
# Without the loss of digits of a plain difference.


def log_gamma_ratio(x: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """``log Gamma(x + b) - log Gamma(x)`` for positive `x` and ``x + b``.

    Parameters
    ----------
    x, b : array_like
        Broadcast against each other; `b` above -1.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> log_gamma_ratio(1e30, 2.0).round(9) == round(2 * np.log(1e30), 9)
    np.True_
    """
    return _by_size(
        np.asarray(x, dtype=np.float64), np.asarray(b, dtype=np.float64), _smooth_ratio, _plain_ratio
    )


def _by_size(x: Floats, b: Floats, smooth: Step, plain: Step) -> Floats:
    """Take the series where x is large enough for it, and the plain difference elsewhere."""
    large = x >= STIRLING_FROM
    if large.all():
        return smooth(x, b)
    if not large.any():
        return plain(x, b)
    return _in_two(large, x, b, smooth, plain)


def _in_two(first: npt.NDArray[np.bool_], x: Floats, b: Floats, one: Step, other: Step) -> Floats:
    """Take one function where `first` holds and another elsewhere."""
    shape = np.broadcast_shapes(x.shape, b.shape)
    if first.ndim == 1 and shape != first.shape and b.shape[-1] == 1:  # whole columns
        found = np.empty(shape)
        found[:, first], found[:, ~first] = one(x[first], b), other(x[~first], b)
        return found
    x, b, first = np.broadcast_to(x, shape), np.broadcast_to(b, shape), np.broadcast_to(first, shape)
    found, rest = np.empty(shape), ~first
    found[first], found[rest] = one(x[first], b[first]), other(x[rest], b[rest])
    return found


def _plain_ratio(x: Floats, b: Floats) -> Floats:
    return np.asarray(gammaln(x + b) - gammaln(x))


def _smooth_ratio(x: Floats, b: Floats) -> Floats:
    near = np.abs(b) < SMALL_STEP * x
    if near.all():
        return _small_step(x, b)
    return _in_two(near, x, b, _small_step, _large_step) if near.any() else _large_step(x, b)


def _large_step(x: Floats, b: Floats) -> Floats:
    z = x + b
    # For huge x the rounded difference z - x is not b; the line below uses it in both places or in neither.
    found: Floats = (
        (x - 0.5) * np.log1p((z - x) / x) + b * np.log(z) - (z - x) + _remainder(z) - _remainder(x)
    )
    return found


def _small_step(y: Floats, b: Floats) -> Floats:
    ratio = b / y
    log = np.log1p(ratio)
    return (y - 0.5) * log + b * (np.log(y) + log) - b + _remainder(y * (1.0 + ratio)) - _remainder(y)


def _remainder(z: Floats) -> Floats:
    p = 1.0 / z
    q = p * p
    return p * (1.0 / 12.0 - q * (1.0 / 360.0 - q * (1.0 / 1260.0 - q / 1680.0)))


def log_gamma_cross(x: float, s: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """How a step `s` changes a gamma ratio: ``log_gamma_ratio(x + s, b) - log_gamma_ratio(x, b)``.

    Parameters
    ----------
    x : float
        At least 17.
    s, b : array_like
        Broadcast against each other; ``x + s``, ``x + b`` and ``x + s + b`` at least 17 too.

    Returns
    -------
    ndarray

    Notes
    -----
    About ``s b / x``, with nearly as many digits as a floating number has: the difference of the ratios, each of them
    near ``b log(x)``, has none of them left where x is far larger than both steps. With ``p = s / x`` and
    ``q = b / x``, Stirling's series gives ``x ((1 + p + q) L + q log(1 + p) + p log(1 + q)) - L / 2`` and a remainder,
    where ``L = log(1 - p q / ((1 + p) (1 + q)))``. Where a step is as large as x it is this that loses digits, and the
    plain difference, of ratios with the smaller step, that keeps them.

    Examples
    --------
    >>> round(float(log_gamma_cross(1e15, 1e8, 1e7)), 6)
    1.0
    """
    s, b = np.broadcast_arrays(np.asarray(s, dtype=np.float64), np.asarray(b, dtype=np.float64))
    swapped = np.abs(s) > np.abs(b)
    small, large = np.where(swapped, b, s), np.where(swapped, s, b)
    near = np.abs(large) <= FAR_STEP * x
    if near.all():
        return _cross_near(x, small, large)
    return _in_two(near, small, large, partial(_cross_near, x), partial(_cross_far, x))


def _cross_near(x: float, s: Floats, b: Floats) -> Floats:
    p, q = s / x, b / x
    log = np.log1p(-p * q / ((1.0 + p) * (1.0 + q)))
    main = (1.0 + p + q) * log + q * np.log1p(p) + p * np.log1p(q)
    alone = _remainder(np.asarray(x, dtype=np.float64))
    rest = _remainder(x + s + b) - _remainder(x + s) - _remainder(x + b) + alone
    return np.asarray(x * main - 0.5 * log + rest)


def _cross_far(x: float, small: Floats, large: Floats) -> Floats:
    return log_gamma_ratio(x + large, small) - log_gamma_ratio(x, small)


def digamma_step(x: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """``digamma(x + b) - digamma(x)``, the derivative of `log_gamma_ratio` by `x`.

    Parameters
    ----------
    x, b : array_like

    Returns
    -------
    ndarray

    Examples
    --------
    >>> round(float(digamma_step(3.0, 1.0)), 12) == round(1 / 3, 12)
    True
    """
    return _by_size(
        np.asarray(x, dtype=np.float64), np.asarray(b, dtype=np.float64), _smooth_slope, _plain_slope
    )


def _plain_slope(x: Floats, b: Floats) -> Floats:
    return np.asarray(digamma(x + b) - digamma(x))


def _smooth_slope(x: Floats, b: Floats) -> Floats:
    p, q = 1.0 / x, 1.0 / (x + b)
    d = -b * p * q
    return np.log1p(b * p) - d / 2.0 - d * (p + q) * _digamma_series(p * p, q * q)


def _digamma_series(u: Floats, v: Floats) -> Floats:
    """``1/12 - (u + v)/120 + (u^2 + u v + v^2)/252 - ...``, the series of digamma divided by ``v - u``."""
    square = u * u + u * v + v * v
    return 1.0 / 12.0 - (u + v) / 120.0 + square / 252.0 - (u + v) * (u * u + v * v) / 240.0
