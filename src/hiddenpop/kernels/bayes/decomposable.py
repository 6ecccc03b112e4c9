"""The exact posterior of the dark figure, summed over all decomposable graphs."""

import math
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Floats, Ints
from hiddenpop.kernels.bayes.count_posterior import (
    CountPosterior,
    GradedGrid,
    PowerTail,
    count_posterior,
    graded_grid,
    single_numbers,
)
from hiddenpop.kernels.bayes.graphs import GraphDensity, GraphTerms

__all__ = ["GraphPosterior", "Peaks", "find_peaks", "posterior_of"]


MOST_SINGLE_NUMBERS = 2_000
"""A bounded range of at most so many numbers is summed number by number; panels need about as many points."""

BLOCK = 1 << 18
FEWEST_COLUMNS = 64

NEGLIGIBLE = 46.0
"""A probability below exp(-46), 1e-20, of the largest of the same graph changes no digit."""

RELEVANT = 35.0
"""Peaks more than exp(35) below the highest need no grid of their own."""

FIRST_SCANNED, SCAN = 0.5, 0.15
"""From here on a scan goes in steps of that share. The slope of a log density is a sum of logarithms of ratios
(n0 + a) / (n0 + 1), which change with the logarithm of n0 over a unit and more."""

TINY = 1e-300
MOST_STEPS = 100
SHARP = 1e-5
"""A peak is found when it is known to this share of its width: its height is then right to ten digits."""

LARGEST_MODE = 10.0
TAIL_FROM = 1e4
"""The tail starts so many times beyond the scale of the data; its formula is then right to about 1e-8."""

COARSE_TAIL_FROM = 1e2
"""For a share of which only two digits are told; the formula is then right to about 1e-4."""

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
    outside : float
        Share of the posterior without limits that lies outside the range given; 0 without a range, where there is no
        such posterior, and with a `log_prior`.
    """

    missing: CountPosterior
    log_probabilities: Floats
    means: Floats
    exponents: Floats
    log_evidence: float
    outside: float

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
    if log_prior is not None:
        possible = first + np.flatnonzero(log_prior > -math.inf)
        sums = _sum_over(density, single_numbers(possible), log_prior[possible - first], to_infinity=False)
        return _normalise(density, sums, outside=0.0)
    tops = _find_tops(density, last)
    found = _peaks_between(density, tops, first, last)
    density = density.anchored(found.highest)
    sums = _sum_between(density, found, first, last, TAIL_FROM)
    outside = _log_sum_outside(density, tops, first, last)
    share = math.exp(outside - float(np.logaddexp(outside, sums.log_sum)))
    return _normalise(density, sums, outside=share)


def find_peaks(density: GraphDensity, first: int, last: int | None) -> Peaks:
    """Find the peaks of every graph in a range: a scan for changes of slope, then false position.

    Parameters
    ----------
    density : GraphDensity
    first : int
    last : int or None

    Returns
    -------
    Peaks
        At least one a graph, at an end of the range if the density rises or falls all along.
    """
    return _peaks_between(density, _find_tops(density, last), first, last)


@dataclass(frozen=True, slots=True, eq=False)
class _Tops:
    """Where densities stop to rise, from nobody hidden up to an end beyond the scale of the data.

    Attributes
    ----------
    graphs : ndarray of int64, shape (p,)
    positions : ndarray, shape (p,)
    falling, rising : ndarray of int64
        Graphs whose density falls from nobody hidden on, and those whose density still rises at the end.
    end : float
    """

    graphs: Ints
    positions: Floats
    falling: Ints
    rising: Ints
    end: float


def _find_tops(density: GraphDensity, last: int | None) -> _Tops:
    """Scan all densities for changes of slope."""
    sets = int(math.log2(len(density.shifts)))
    end = LARGEST_MODE * (float(density.shifts.max()) + 1.0) ** sets
    if density.prior.rate > 0.0:
        end = max(end, (density.prior.shape + EXPONENTIAL_REACH) / density.prior.rate)
    end = max(end, float(last or 0), 1.0)
    steps = math.ceil(math.log(end / FIRST_SCANNED) / SCAN)
    scan = np.append(0.0, FIRST_SCANNED * np.exp(np.linspace(0.0, math.log(end / FIRST_SCANNED), steps + 1)))
    slopes = density.slope(scan)
    rising = slopes > 0.0
    graph, place = np.nonzero(rising[:, :-1] & ~rising[:, 1:])
    between = _Bracket(scan[place], scan[place + 1], slopes[graph, place], slopes[graph, place + 1])
    positions = _turning_points(density.of_graphs(graph), between)
    return _Tops(
        graph, positions, np.flatnonzero(~rising[:, 0]), np.flatnonzero(rising[:, -1]), float(scan[-1])
    )


def _peaks_between(density: GraphDensity, tops: _Tops, first: int, last: int | None) -> Peaks:
    """Peaks in a range: tops that lie in it, and its ends where a density only falls or only rises."""
    low, high = float(first), tops.end if last is None else float(last)
    inside = (tops.positions >= low - 1.0) & (tops.positions <= high + 1.0)
    falling, rising = tops.falling, tops.rising
    if first > 0:
        falling = np.flatnonzero(density.slope(np.array([low]))[:, 0] <= 0.0)
    if last is not None:
        rising = np.flatnonzero(density.slope(np.array([high]))[:, 0] > 0.0)
    graphs = np.concatenate([tops.graphs[inside], falling, rising])
    ends = np.repeat([low, max(low, high)], [len(falling), len(rising)])
    positions = np.concatenate([np.clip(tops.positions[inside], low, max(low, high)), ends])
    terms = density.of_graphs(graphs)
    return Peaks(graphs, positions, _widths(terms, positions), terms.log_density(positions))


@dataclass(frozen=True, slots=True, eq=False)
class _Bracket:
    """Dark figures between which each density stops to rise, with the slopes there; shape (p,) each."""

    low: Floats
    high: Floats
    at_low: Floats
    at_high: Floats


def _turning_points(terms: GraphTerms, between: _Bracket) -> Floats:
    """Where each density stops to rise, by false position; a limit that stays twice counts for half (Illinois)."""
    low, high, at_low, at_high = between.low, between.high, between.at_low, between.at_high
    place, up = low, np.zeros(len(low), dtype=np.bool_)
    for step in range(MOST_STEPS):
        # With slopes that are only rounding both limits may have met.
        curvature = np.maximum(at_low - at_high, TINY) / np.maximum(high - low, TINY)
        place, was_up = np.minimum(low + at_low / curvature, high), up
        here = terms.slope(place)
        if (here * here <= SHARP**2 * curvature).all():
            break
        up = here > 0.0
        again = (up == was_up) & (step > 0)
        at_high = np.where(up, np.where(again, at_high / 2.0, at_high), here)
        at_low = np.where(up, here, np.where(again, at_low / 2.0, at_low))
        low, high = np.where(up, place, low), np.where(up, high, place)
    return place


def _widths(terms: GraphTerms, positions: Floats) -> Floats:
    """Length over which the density falls by a factor: from its curvature, or at an end of the range its slope."""
    step = np.maximum(1e-4 * positions, 0.25)
    here, there = terms.slope(positions), terms.slope(positions + step)
    curvature = np.maximum((here - there) / step, 0.0)
    return 1.0 / np.maximum(np.sqrt(curvature), np.maximum(np.abs(here), TINY))


def _end_of_grid(density: GraphDensity, peaks: Floats, widths: Floats, first: int, tail_from: float) -> int:
    """Find where the tail may begin: far beyond the scale of data and peaks, or where the prior has ended it."""
    rate = density.prior.rate
    if rate > 0.0:
        return int(float((peaks + WIDTHS_BEYOND * widths).max()) + EXPONENTIAL_REACH / rate) + 1
    return int(tail_from * max(float(density.shifts.max()), float(peaks.max()), first, 1.0)) + 1


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums of the densities over a grid and the tail beyond it.

    Attributes
    ----------
    grid : GradedGrid
    log_masses, means : ndarray, shape (g,)
        Log sum and mean dark figure of every graph.
    log_density : ndarray
        Log density at every node, summed over graphs.
    tail : _Tail or None
    """

    grid: GradedGrid
    log_masses: Floats
    means: Floats
    log_density: Floats
    tail: "_Tail | None"

    @property
    def log_sum(self) -> float:
        """Log of the sum over graphs."""
        return float(np.logaddexp.reduce(self.log_masses))


def _sum_between(
    density: GraphDensity, found: Peaks, first: int, last: int | None, tail_from: float
) -> _Sums:
    """Sum over a range: number by number where it is short, by panels where it is long."""
    to_infinity = last is None and not density.prior.rate > 0.0
    if last is not None and last - first < MOST_SINGLE_NUMBERS:
        grid = single_numbers(np.arange(first, last + 1))
    else:
        peaks, widths = found.relevant()
        stop = _end_of_grid(density, peaks, widths, first, tail_from) if last is None else last + 1
        grid = graded_grid(first, stop, peaks, widths)
    return _sum_over(density, grid, None, to_infinity=to_infinity)


def _sum_over(density: GraphDensity, grid: GradedGrid, extra: Floats | None, *, to_infinity: bool) -> _Sums:
    log_masses, means, log_density = _graph_sums(density, grid, extra)
    if not to_infinity:
        return _Sums(grid, log_masses, means, log_density, None)
    tail = _tail_of(density, float(grid.stops[-1]))
    total = np.logaddexp(log_masses, tail.log_masses)
    within, beyond = np.exp(log_masses - total), np.exp(tail.log_masses - total)
    means = within * means + np.where(beyond > 0.0, beyond * tail.means, 0.0)
    return _Sums(grid, total, means, log_density, tail)


def _log_sum_outside(density: GraphDensity, tops: _Tops, first: int, last: int | None) -> float:
    """Log of the sum over graphs and all dark figures outside a range; minus infinity where there is no such sum."""
    if last is None or not density.is_proper:
        return -math.inf
    parts = [(0, first - 1)] if first > 0 else []
    found = [
        _sum_between(density, _peaks_between(density, tops, *part), *part, COARSE_TAIL_FROM).log_sum
        for part in (*parts, (last + 1, None))
    ]
    return float(np.logaddexp.reduce(found))


def _normalise(density: GraphDensity, sums: _Sums, *, outside: float) -> GraphPosterior:
    """Turn sums into probabilities."""
    log_evidence, tail = sums.log_sum, sums.tail
    exponents = density.exponents if tail is not None else np.full(density.n_graphs, math.inf)
    far = None if tail is None else tail.scaled(log_evidence)
    missing = count_posterior(sums.grid, np.exp(sums.log_density - log_evidence), far)
    log_probabilities = sums.log_masses - log_evidence
    return GraphPosterior(
        missing, log_probabilities, sums.means, exponents, log_evidence + density.reference, outside
    )


def _graph_sums(
    density: GraphDensity, grid: GradedGrid, extra: Floats | None
) -> tuple[Floats, Floats, Floats]:
    """Log sum and mean dark figure of every graph, and the log density at every node summed over graphs.

    `extra` is added to the log density at each node.
    """
    points, weights = grid.points, grid.weights
    columns = max(FEWEST_COLUMNS, BLOCK // density.n_graphs)
    shift = np.full(density.n_graphs, -math.inf)
    if len(points) > columns:  # what is negligible is judged by all blocks
        stride = max(1, len(points) // FEWEST_COLUMNS)
        shift = _log_density(density, points, extra, slice(None, None, stride)).max(axis=1)
    mass, moment = np.zeros(density.n_graphs), np.zeros(density.n_graphs)
    log_density = np.empty(len(points))
    largest = max(float(points[-1]), 1.0)  # weight times point may be no floating number
    for start in range(0, len(points), columns):
        block = slice(start, start + columns)
        values = _log_density(density, points, extra, block)
        highest = values.max(axis=1)
        lost = np.exp(np.minimum(shift - highest, 0.0))
        mass, moment, shift = mass * lost, moment * lost, np.maximum(shift, highest)
        # Few graphs carry weight in a block; the exponential of the others is most of the work, and nothing else.
        live = np.flatnonzero(highest > shift - NEGLIGIBLE)
        values = np.exp(values[live] - shift[live, None])
        added = values @ np.stack([weights[block], weights[block] * (points[block] / largest)], axis=1)
        mass[live] += added[:, 0]
        moment[live] += added[:, 1]
        top = shift.max()
        with np.errstate(divide="ignore"):
            log_density[block] = top + np.log(np.exp(shift[live] - top) @ values)
    return shift + np.log(mass), largest * (moment / mass), log_density


def _log_density(density: GraphDensity, points: Floats, extra: Floats | None, block: slice) -> Floats:
    found = density.log_density(points[block])
    return found if extra is None else found + extra[block]


@dataclass(frozen=True, slots=True, eq=False)
class _Tail:
    """What lies at and beyond `start` for every graph, as a power law with the slope that the density has there."""

    start: float
    log_masses: Floats
    means: Floats
    exponents: Floats
    offsets: Floats

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
    reach = (1.0 + k) / np.maximum(-slope, (1.0 + k) / (4.0 * edge))
    # So far beyond the scale of the data the offset is small; otherwise the slope is only rounding.
    reach = np.where((reach > edge / 2.0) & (reach < 2.0 * edge), reach, edge)
    offsets = reach - edge
    means = np.full(len(k), math.inf)
    light = k > 1.0
    means[light] = reach[light] * k[light] / (k[light] - 1.0) - offsets[light]
    return _Tail(start, height + np.log(reach) - np.log(k), means, k, offsets)
