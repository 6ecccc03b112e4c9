"""The exact posterior of the dark figure, summed over all decomposable graphs."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from hiddenpop.kernels.count_posterior import CountPosterior, PowerTail
from hiddenpop.kernels.graded_grid import (
    NODES,
    GradedGrid,
    graded_grid,
    panel_coefficients,
    panel_sum,
    single_numbers,
)
from hiddenpop.kernels.graph_density import GraphDensity

__all__ = ["GraphPosterior", "Peaks", "find_peaks", "posterior_of"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_SINGLE_NUMBERS = 100_000
"""A bounded range of at most so many numbers is summed number by number."""

BLOCK = 1 << 18
FEWEST_COLUMNS = 64

NEGLIGIBLE = 46.0
"""A probability below exp(-46), 1e-20, of the largest of the same graph changes no digit."""

RELEVANT = 35.0
"""Peaks more than exp(35) below the highest need no grid of their own."""

SCAN = 400
BISECTIONS = 40
LARGEST_MODE = 10.0
TAIL_FROM = 1e4
"""The tail starts so many times beyond the scale of the data; its formula is then right to about 1e-8."""

EXPONENTIAL_REACH = 200.0
WIDTHS_BEYOND = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class GraphPosterior:
    """Posterior of the dark figure and of the graphs.

    Attributes
    ----------
    missing : CountPosterior
        Of the dark figure.
    log_probabilities, means : ndarray, shape (g,)
        Of each graph: its log posterior probability, and the mean dark figure under it (inf where there is none).
    exponents : ndarray, shape (g,)
        Of the tail of each graph; inf where the range or the prior ends it.
    log_evidence : float
        Log of the sum over graphs and dark figures, with the constants that were left out left out.
    """

    missing: CountPosterior
    log_probabilities: Floats
    means: Floats
    exponents: Floats
    log_evidence: float

    @property
    def probabilities(self) -> Floats:
        """Posterior probability of each graph."""
        return np.exp(self.log_probabilities)


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Where the density of a graph is highest, for all graphs.

    Attributes
    ----------
    graphs : ndarray of int64, shape (p,)
    positions, widths, heights : ndarray, shape (p,)
        Heights are logs.
    """

    graphs: Ints
    positions: Floats
    widths: Floats
    heights: Floats

    @property
    def highest(self) -> float:
        """Position of the peak with the largest mass."""
        return float(self.positions[np.argmax(self.heights + np.log(self.widths))])

    def relevant(self) -> tuple[Floats, Floats]:
        """Positions and widths of the peaks that may carry weight."""
        mass = self.heights + np.log(self.widths)
        keep = mass > mass.max() - RELEVANT
        return self.positions[keep], self.widths[keep]


def posterior_of(
    density: GraphDensity, first: int = 0, last: int | None = None, log_prior: Floats | None = None
) -> GraphPosterior:
    """Sum the density over graphs and dark figures.

    Parameters
    ----------
    density : GraphDensity
    first : int
        Smallest dark figure.
    last : int, optional
        Largest dark figure; without one the sum runs to infinity, the tail in closed form.
    log_prior : ndarray, optional
        Log prior weights of the dark figures from `first` to `last`, on top of the prior of `density`; minus infinity
        leaves a figure out.

    Returns
    -------
    GraphPosterior

    Notes
    -----
    Without a bound the density of every graph must have a positive exponent or the prior a rate.
    """
    extra = None
    if log_prior is not None:
        possible = first + np.flatnonzero(log_prior > -math.inf)
        grid, extra = single_numbers(possible), log_prior[possible - first]
    elif last is not None and last - first < MOST_SINGLE_NUMBERS:
        grid = single_numbers(np.arange(first, last + 1))
    else:
        found = find_peaks(density, first, last)
        peaks, widths = found.relevant()
        density = density.anchored(found.highest)
        stop = _end_of_grid(density, peaks, widths, first) if last is None else last + 1
        grid = graded_grid(first, stop, peaks, widths)
    return _sum_over(density, grid, extra, bounded=last is not None)


def find_peaks(density: GraphDensity, first: int, last: int | None) -> Peaks:
    """Find the peaks of every graph in a range: a scan for changes of slope, then bisection.

    Parameters
    ----------
    density : GraphDensity
    first : int
    last : int or None

    Returns
    -------
    Peaks
    """
    scale = float(density.shifts.max()) + 1.0
    sets = int(math.log2(len(density.shifts)))
    largest = LARGEST_MODE * scale**sets if last is None else float(last)
    if last is None and density.prior.rate > 0.0:
        largest = max(largest, (density.prior.shape + EXPONENTIAL_REACH) / density.prior.rate)
    scan = first + np.concatenate([[0.0], np.geomspace(0.5, max(largest - first, 1.0), SCAN)])
    scan[-1] = max(largest, first)
    rising = density.slope(scan) > 0.0
    graph, place = np.nonzero(rising[:, :-1] & ~rising[:, 1:])
    low, high = scan[place], scan[place + 1]
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        up = density.at(graph, middle, slope=True) > 0.0
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    at_first, at_last = np.flatnonzero(~rising[:, 0]), np.flatnonzero(rising[:, -1])
    graphs = np.concatenate([graph, at_first, at_last])
    positions = np.concatenate([high, np.full(len(at_first), scan[0]), np.full(len(at_last), scan[-1])])
    widths = _widths(density, graphs, positions)
    return Peaks(graphs, positions, widths, density.at(graphs, positions))


def _widths(density: GraphDensity, graphs: Ints, positions: Floats) -> Floats:
    """Length over which the density falls by a factor: from its curvature, or at an end of the range its slope."""
    step = np.maximum(1e-4 * positions, 0.25)
    here = density.at(graphs, positions, slope=True)
    there = density.at(graphs, positions + step, slope=True)
    curvature = np.maximum((here - there) / step, 0.0)
    return 1.0 / np.maximum(np.sqrt(curvature), np.maximum(np.abs(here), 1e-300))


def _end_of_grid(density: GraphDensity, peaks: Floats, widths: Floats, first: int) -> int:
    """Find where the tail may begin: far beyond the scale of data and peaks, or where the prior has ended it."""
    rate = density.prior.rate
    if rate > 0.0:
        return int(float((peaks + WIDTHS_BEYOND * widths).max()) + EXPONENTIAL_REACH / rate) + 1
    return int(TAIL_FROM * max(float(density.shifts.max()), float(peaks.max()), first, 1.0)) + 1


def _sum_over(
    density: GraphDensity, grid: GradedGrid, extra: Floats | None, *, bounded: bool
) -> GraphPosterior:
    points, weights = grid.nodes()
    sums = _graph_sums(density, points, weights, np.zeros(len(points)) if extra is None else extra)
    ended = bounded or density.prior.rate > 0.0
    tail = _Tail.empty(density.n_graphs) if ended else _tail_of(density, float(grid.stops[-1]))
    log_masses = np.logaddexp(sums.log_masses, tail.log_masses)
    log_evidence = float(logsumexp(log_masses))
    within, beyond = np.exp(sums.log_masses - log_masses), np.exp(tail.log_masses - log_masses)
    means = within * sums.means + np.where(beyond > 0.0, beyond * tail.means, 0.0)
    exponents = np.full(density.n_graphs, math.inf) if ended else density.exponents
    missing = _count_posterior(
        grid, sums.log_density - log_evidence, None if ended else tail.scaled(log_evidence)
    )
    return GraphPosterior(
        missing, log_masses - log_evidence, means, exponents, log_evidence + density.reference
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Log sum and mean dark figure of every graph, and log density at every node summed over graphs."""

    log_masses: Floats
    means: Floats
    log_density: Floats


def _graph_sums(density: GraphDensity, points: Floats, weights: Floats, extra: Floats) -> _Sums:
    columns = max(FEWEST_COLUMNS, BLOCK // density.n_graphs)
    stride = max(1, len(points) // FEWEST_COLUMNS)
    shift = (density.log_density(points[::stride]) + extra[::stride]).max(axis=1)
    mass, moment = np.zeros(density.n_graphs), np.zeros(density.n_graphs)
    log_density = np.empty(len(points))
    for start in range(0, len(points), columns):
        block = slice(start, start + columns)
        values = density.log_density(points[block]) + extra[block]
        highest = values.max(axis=1)
        lost = np.exp(np.minimum(shift - highest, 0.0))
        mass, moment, shift = mass * lost, moment * lost, np.maximum(shift, highest)
        # Few graphs carry weight in a block; the exponential of the others is most of the work, and nothing else.
        live = np.flatnonzero(highest > shift - NEGLIGIBLE)
        values = np.exp(values[live] - shift[live, None])
        mass[live] += np.einsum("gx,x->g", values, weights[block])
        moment[live] += np.einsum("gx,x->g", values, weights[block] * points[block])
        top = shift.max()
        total = np.einsum("g,gx->x", np.exp(shift[live] - top), values)
        with np.errstate(divide="ignore"):
            log_density[block] = top + np.log(total)
    return _Sums(shift + np.log(mass), moment / mass, log_density)


def _count_posterior(grid: GradedGrid, log_probability: Floats, tail: PowerTail | None) -> CountPosterior:
    probability = np.exp(log_probability)
    single = grid.is_single
    n_single = int(single.sum())
    coefficients = panel_coefficients(probability[n_single:].reshape(-1, NODES))
    length = (grid.stops - grid.starts)[~single]
    masses = np.empty(len(single))
    masses[single] = probability[:n_single]
    # Interpolation may dip below nothing where there is nothing.
    masses[~single] = np.maximum(panel_sum(coefficients, np.ones(len(length)), length), 0.0)
    return CountPosterior(grid, masses, coefficients, tail)


@dataclass(frozen=True, slots=True, eq=False)
class _Tail:
    """What lies at and beyond `start` for every graph, as a power law with the slope that the density has there."""

    start: float
    log_masses: Floats
    means: Floats
    exponents: Floats
    offsets: Floats

    @classmethod
    def empty(cls, n_graphs: int) -> "_Tail":
        none = np.zeros(n_graphs)
        return cls(math.inf, np.full(n_graphs, -math.inf), none, none, none)

    def scaled(self, log_evidence: float) -> PowerTail:
        """Keep the parts that matter, as probabilities."""
        keep = np.flatnonzero(self.log_masses > self.log_masses.max() - NEGLIGIBLE)
        masses = np.exp(self.log_masses[keep] - log_evidence)
        return PowerTail(self.start, masses, self.exponents[keep], self.offsets[keep])


def _tail_of(density: GraphDensity, start: float) -> _Tail:
    edge = np.array([start - 0.5])
    height, slope = density.log_density(edge)[:, 0], density.slope(edge)[:, 0]
    k = density.exponents
    # (edge + offset) ** -(1 + k) has the slope -(1 + k) / (edge + offset).
    reach = np.where(slope < 0.0, (1.0 + k) / np.maximum(-slope, 1e-300), edge)
    offsets = reach - edge
    means = np.full(len(k), math.inf)
    light = k > 1.0
    means[light] = reach[light] * k[light] / (k[light] - 1.0) - offsets[light]
    return _Tail(start, height + np.log(reach) - np.log(k), means, k, offsets)
