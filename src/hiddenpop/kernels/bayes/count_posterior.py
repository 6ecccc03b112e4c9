"""A distribution on the whole numbers: single probabilities, smooth panels, and a tail of power laws."""

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev, legendre

from hiddenpop._typing import Floats, Ints

__all__ = [
    "CountPosterior",
    "GradedGrid",
    "Knots",
    "Mode",
    "PowerTail",
    "count_posterior",
    "graded_grid",
    "modes",
    "single_numbers",
]

DEEP_VALLEY = 0.95
"""Two peaks are two modes when the density between them falls below this share of the lower one."""

ZOOM = 33
EXACT_INTEGERS = 2.0**52

LARGEST = 1e300
"""A quantile beyond is infinite."""

MOST_STEPS = 200
ROUNDING = 4.0 * float(np.finfo(np.float64).eps)

KNOTS = 64
"""Bounds in a panel at which the probability is tabled: a quantile is sought between two of them."""

STEPS_PER_HALVING = 8
"""Newton's steps in a row, before the bracket is halved in case that they are too short."""

NODES = 20
"""Nodes of a panel. On a panel that is short beside the width of a peak the interpolation error is below 1e-11."""

SHORTEST_PANEL = 128
"""Below this length two terms of Euler and Maclaurin's series no longer give twelve digits: sum every number."""

REST = 1.5
REACH_OF_WIDTH, REACH_OF_DISTANCE = 2.0, 0.5
"""A panel spans two widths of a peak that it touches, and half the distance to one that it does not."""


@dataclass(frozen=True, slots=True, eq=False)
class PowerTail:
    """Mixture of tails ``mass * ((x + 1/2 + offset) / (start - 1/2 + offset)) ** -exponent`` above `start` - 1.

    Attributes
    ----------
    start : float
        First number of the tail.
    masses, exponents, offsets : ndarray, shape (m,)
    """

    start: float
    masses: Floats
    exponents: Floats
    offsets: Floats

    @property
    def mass(self) -> float:
        """Probability of the tail."""
        return float(self.masses.sum())

    def above(self, x: Floats) -> Floats:
        """Probability of more than `x`, for `x` in the tail."""
        found: Floats = self._parts(x + 0.5).sum(axis=1)
        return found

    def density(self, x: Floats) -> Floats:
        """Probability of each number of the tail."""
        found: Floats = (self._parts(x) * self.exponents / (x[:, None] + self.offsets)).sum(axis=1)
        return found

    def quantile(self, above: Floats) -> Floats:
        """Smallest number with at most so much probability above it; inf where it is beyond all floating numbers."""
        low, high = np.full(len(above), math.log(self.start)), np.full(len(above), math.log(LARGEST))
        beyond, at = self.above(np.exp(high)) > above, low
        for _ in range(MOST_STEPS):
            gap, slope = self._log_gap(np.exp(at), above)
            low, high = np.where(gap > 0.0, at, low), np.where(gap > 0.0, high, at)
            newton = at - gap / slope
            inside = (newton >= low) & (newton <= high)
            last, at = at, np.where(inside, newton, (low + high) / 2.0)
            if (np.abs(at - last) <= ROUNDING * at).all():
                break
        return np.where(beyond, math.inf, np.ceil(np.exp(at)))

    def _log_gap(self, x: Floats, above: Floats) -> tuple[Floats, Floats]:
        """Log of the probability of more than `x` over that asked for, and its slope by the logarithm of `x`.

        Where the probability is too small for a floating number the gap is minus infinity.
        """
        parts = self._parts(x + 0.5)
        found = parts.sum(axis=1)
        fall = (parts * self.exponents / (x[:, None] + 0.5 + self.offsets)).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            gap, slope = np.log(found) - np.log(above), -x * fall / found
        return np.where(found > 0.0, gap, -math.inf), np.where(slope < 0.0, slope, -1.0)

    def _parts(self, edge: Floats) -> Floats:
        """Probability of each part of the mixture beyond a bound between two numbers, shape (m, parts)."""
        with np.errstate(over="ignore"):
            ratio = (edge[:, None] + self.offsets) / (self.start - 0.5 + self.offsets)
            found: Floats = self.masses * ratio**-self.exponents
        return found


@dataclass(frozen=True, slots=True, eq=False)
class CountPosterior:
    """Probabilities of whole numbers that add up to 1.

    Attributes
    ----------
    grid : GradedGrid
    at_nodes : ndarray
        Probability at the nodes of the grid, in their order.
    masses, up_to : ndarray, shape (q,)
        Probability of each piece of the grid, and of it with all before.
    coefficients : ndarray, shape (nodes, p)
        Chebyshev coefficients of the probability within each panel.
    sums : ndarray, shape (nodes + 1, p)
        Chebyshev coefficients of the probability of the numbers of the panel up to a bound.
    knots : Knots
    tail : PowerTail or None
    """

    grid: "GradedGrid"
    at_nodes: Floats
    masses: Floats
    up_to: Floats
    coefficients: Floats
    sums: Floats
    knots: "Knots"
    tail: PowerTail | None

    def probability(self, x: npt.ArrayLike) -> Floats:
        """Probability of each number of an array."""
        x = np.atleast_1d(np.asarray(x, dtype=np.float64))
        piece, found = self._piece(x), np.zeros(len(x))
        inside = (x >= self.grid.starts[piece]) & (x < self.grid.stops[piece])
        is_single = self.grid.is_single[piece]
        single, wide = inside & is_single, inside & ~is_single
        found[single] = self.masses[piece[single]]
        if wide.any():
            found[wide] = self._series(self.coefficients, x[wide], piece[wide])
        if self.tail is not None:
            beyond = x >= self.tail.start
            found[beyond] = self.tail.density(x[beyond])
        return found

    def below(self, x: npt.ArrayLike) -> Floats:
        """Probability of each number or less."""
        x = np.atleast_1d(np.asarray(x, dtype=np.float64))
        piece = self._piece(x)
        before = (self.up_to - self.masses)[piece]
        whole = x >= self.grid.stops[piece] - 1.0
        found = before + np.where(whole, self.masses[piece], 0.0)
        if self.tail is None:  # near 1 what lies above keeps its digits
            beyond = np.append(np.cumsum(self.masses[:0:-1])[::-1], 0.0)
            high = whole & (found > 0.5)
            found[high] = 1.0 - beyond[piece[high]]
        within = (x < self.grid.stops[piece] - 1.0) & ~self.grid.is_single[piece]
        if within.any():
            found[within] = before[within] + self._series(self.sums, x[within] + 0.5, piece[within])
        found[x < self.grid.starts[0]] = 0.0
        if self.tail is not None:
            beyond = x >= self.tail.start
            found[beyond] = 1.0 - self.tail.above(x[beyond])
        return found

    def quantile(self, q: npt.ArrayLike) -> Floats:
        """Smallest number whose probability with all below it is at least `q`."""
        q = np.atleast_1d(np.asarray(q, dtype=np.float64))
        knot = np.searchsorted(self.knots.up_to, q, side="left")
        beyond = knot >= len(self.knots.up_to)
        knot = np.minimum(knot, len(self.knots.up_to) - 1)
        found = self.knots.numbers[knot]
        wide = ~self.grid.is_single[self.knots.piece[knot]] & ~beyond
        if wide.any():
            found[wide] = self._between_knots(q[wide], knot[wide])
        if self.tail is not None and beyond.any():
            found[beyond] = self.tail.quantile(1.0 - q[beyond])
        return found

    def mean(self) -> float:
        """Mean, inf where the tail is too heavy for one."""
        inside = float((self.at_nodes * self.grid.weights) @ self.grid.points)
        if self.tail is None:
            return inside
        t = self.tail
        if not t.exponents.min(initial=math.inf) > 1.0:
            return math.inf
        edge = t.start - 0.5 + t.offsets
        return inside + float(t.masses @ (edge * t.exponents / (t.exponents - 1.0) - t.offsets))

    def _piece(self, x: Floats) -> Ints:
        last = len(self.grid.starts) - 1
        return np.clip(np.searchsorted(self.grid.starts, x, side="right") - 1, 0, last)

    def _scaled(self, x: Floats, piece: Ints) -> Floats:
        """Put numbers on the scale on which their panel runs from -1 to 1."""
        start, length = self.grid.starts[piece], (self.grid.stops - self.grid.starts)[piece]
        return 2.0 * (x - start + 0.5) / length - 1.0

    def _series(self, coefficients: Floats, x: Floats, piece: Ints) -> Floats:
        """Evaluate a series of each panel at a number in it."""
        return evaluate_series(coefficients[:, self.grid.panel[piece]], self._scaled(x, piece))

    def _between_knots(self, q: Floats, knot: Ints) -> Floats:
        """Smallest number of a panel whose probability with all below it is at least `q`: Newton from a straight line.

        The number lies at or before the knot, in the same panel.
        """
        piece, number = self.knots.piece[knot], self.knots.numbers[knot]
        start = self.grid.starts[piece]
        width = (self.grid.stops[piece] - start) / KNOTS
        mass = q - (self.up_to - self.masses)[piece]
        rise = self.knots.up_to[knot] - self.knots.up_to[knot - 1]
        share = (self.knots.up_to[knot] - q) / np.where((rise > 0.0) & (knot > 0), rise, math.inf)
        low = np.maximum(np.floor(number - width), start - 1.0)
        high = np.minimum(np.ceil(number), self.grid.stops[piece] - 1.0)
        at, open_ = number - width * share, np.arange(len(q))
        for step in range(MOST_STEPS * STEPS_PER_HALVING):
            below, above = low[open_], high[open_]
            halve = step % STEPS_PER_HALVING == STEPS_PER_HALVING - 1
            middle = np.floor((below + above) / 2.0) if halve else np.ceil(at)
            # Not on a limit of the bracket but beside it, so that the next step closes the bracket.
            least = np.maximum(below + 1.0, np.nextafter(below, math.inf))
            middle = np.minimum(np.maximum(middle, least), np.minimum(above - 1.0, np.nextafter(above, 0.0)))
            keep = (middle > below) & (middle < above)
            open_, middle = open_[keep], middle[keep]
            if not len(open_):
                break
            panel = self.grid.panel[piece[open_]]
            basis = chebyshev_basis(self._scaled(middle + 0.5, piece[open_]), len(self.sums))
            gap = mass[open_] - np.einsum("km,km->m", basis, self.sums[:, panel])
            slope = np.einsum("km,km->m", basis[:-1], self.coefficients[:, panel])
            short = gap > 0.0
            low[open_[short]], high[open_[~short]] = middle[short], middle[~short]
            at = middle + gap / np.where(slope > 0.0, slope, math.inf)
        return high


@dataclass(frozen=True, slots=True, eq=False)
class Knots:
    """Numbers up to which the probability is tabled: every single number, and some bounds in each panel.

    Attributes
    ----------
    numbers : ndarray, shape (k,)
        Ascending; within a panel they need not be whole.
    up_to : ndarray, shape (k,)
        Probability of all numbers up to each.
    piece : ndarray of int64, shape (k,)
        Piece of the grid that it belongs to.
    """

    numbers: Floats
    up_to: Floats
    piece: Ints


def count_posterior(grid: "GradedGrid", at_nodes: Floats, tail: PowerTail | None) -> CountPosterior:
    """Make a distribution from its probabilities at the nodes of a grid.

    Parameters
    ----------
    grid : GradedGrid
    at_nodes : ndarray
        In the order of the nodes.
    tail : PowerTail or None

    Returns
    -------
    CountPosterior
    """
    single = grid.is_single
    n_single = int(single.sum())
    coefficients = panel_coefficients(at_nodes[n_single:].reshape(-1, NODES))
    sums = sum_coefficients(coefficients, (grid.stops - grid.starts)[~single])
    masses = np.empty(len(single))
    masses[single] = at_nodes[:n_single]
    # Interpolation may dip below nothing where there is nothing.
    masses[~single] = np.maximum(sums.sum(axis=0), 0.0)
    up_to = np.cumsum(masses)
    knots = _knots(grid, masses, up_to, sums)
    return CountPosterior(grid, at_nodes, masses, up_to, coefficients, sums, knots, tail)


def _knots(grid: "GradedGrid", masses: Floats, up_to: Floats, sums: Floats) -> Knots:
    """Table the probability at every single number and at even distances in each panel."""
    single = grid.is_single
    piece = np.repeat(np.arange(len(single)), np.where(single, 1, KNOTS))
    numbers, tabled = grid.starts[piece], up_to[piece]
    wide = ~single[piece]
    shares = np.arange(1, KNOTS + 1) / KNOTS
    length = (grid.stops - grid.starts)[~single]
    numbers[wide] = (grid.starts[~single, None] - 1.0 + length[:, None] * shares).ravel()
    inner = chebyshev_basis(2.0 * shares - 1.0, len(sums)).T @ sums
    inner = np.minimum(np.maximum(inner, 0.0), masses[~single])
    inner[-1] = masses[~single]
    tabled[wide] += (inner - masses[~single]).T.ravel()
    # By rounding a value may lie below the one before it.
    return Knots(numbers, np.maximum.accumulate(tabled), piece)


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode: the most probable number around it, and the probability between the valleys on both sides."""

    position: float
    weight: float


def modes(posterior: CountPosterior, smallest: float) -> tuple[Mode, ...]:
    """Modes with a weight of at least `smallest`, from the heaviest on.

    Parameters
    ----------
    posterior : CountPosterior
    smallest : float

    Returns
    -------
    tuple of Mode
    """
    order = np.argsort(posterior.grid.points, kind="stable")
    # The ends of the range are no nodes; the search for an extreme number goes there too.
    x = np.concatenate(
        [posterior.grid.starts[:1], posterior.grid.points[order], posterior.grid.stops[-1:] - 1.0]
    )
    peaks, valleys = _peaks_and_valleys(posterior.at_nodes[order])
    lowest = [_extreme(posterior, x[valley], x[valley + 2], sign=-1.0) for valley in valleys]
    below = posterior.below(np.array(lowest)).tolist() if valleys else []
    found = [
        Mode(_extreme(posterior, x[peak], x[peak + 2], sign=1.0), high - low)
        for peak, (low, high) in zip(peaks, pairwise([0.0, *below, 1.0]), strict=True)
    ]
    return tuple(sorted((mode for mode in found if mode.weight >= smallest), key=lambda mode: -mode.weight))


def _peaks_and_valleys(p: Floats) -> tuple[list[int], list[int]]:
    """Peaks that a deep valley parts, and the valleys, as positions."""
    padded = np.concatenate([[-math.inf], p, [-math.inf]])
    candidates = np.flatnonzero((padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:])).tolist()
    peaks, valleys = [candidates[0]], []
    for candidate in candidates[1:]:
        valley = peaks[-1] + int(np.argmin(p[peaks[-1] : candidate + 1]))
        if p[valley] < DEEP_VALLEY * min(p[peaks[-1]], p[candidate]):
            peaks.append(candidate)
            valleys.append(valley)
        elif p[candidate] > p[peaks[-1]]:
            peaks[-1] = candidate
    return peaks, valleys


def _extreme(posterior: CountPosterior, low: float, high: float, *, sign: float) -> float:
    """Most probable number between two numbers that enclose a single peak; with a sign of -1, the least probable."""
    low, high = float(np.floor(low)), float(np.ceil(high))
    while True:
        whole = high - low < ZOOM
        points = np.arange(low, high + 1.0) if whole else np.unique(np.round(np.linspace(low, high, ZOOM)))
        best = int(np.argmax(sign * posterior.probability(points)))
        if whole or high > EXACT_INTEGERS:
            return float(points[best])
        low, high = points[max(best - 1, 0)], points[min(best + 1, len(points) - 1)]


# === sums over whole numbers by single points and by panels, graded to where a density is sharp =======================


@dataclass(frozen=True, slots=True, eq=False)
class GradedGrid:
    """Consecutive pieces of the whole numbers: single numbers, and panels with nodes.

    Attributes
    ----------
    starts, stops : ndarray, shape (q,)
        Each piece holds the numbers from its start up to but not its stop.
    panel : ndarray of int64, shape (q,)
        Position of the piece among the panels, -1 for a single number.
    is_single : ndarray of bool, shape (q,)
    points, weights : ndarray, shape (m,)
        Nodes to evaluate a function at, and weights that turn its values into the sum over all numbers. Single numbers
        come first, then the panels.
    """

    starts: Floats
    stops: Floats
    panel: Ints
    is_single: npt.NDArray[np.bool_]
    points: Floats
    weights: Floats


def _with_nodes(starts: Floats, stops: Floats, panel: Ints) -> GradedGrid:
    single = panel < 0
    first, length = starts[~single], (stops - starts)[~single]
    inner = (first - 0.5 + length / 2.0)[:, None] + length[:, None] / 2.0 * _rule().points
    points = np.concatenate([starts[single], inner.ravel()])
    weights = np.concatenate([np.ones(int(single.sum())), _panel_weights(length).T.ravel()])
    return GradedGrid(starts, stops, panel, single, points, weights)


def single_numbers(numbers: Ints) -> GradedGrid:
    """Each of some ascending whole numbers on its own."""
    starts = numbers.astype(np.float64)
    return _with_nodes(starts, starts + 1.0, np.full(len(starts), -1, dtype=np.int64))


def graded_grid(first: int, stop: int, peaks: Floats, widths: Floats) -> GradedGrid:
    """Pieces from `first` up to but not `stop`, short where a peak is near and narrow, long elsewhere.

    Parameters
    ----------
    first, stop : int
    peaks, widths : ndarray, shape (p,)
        Where the functions to be summed are largest, and the length over which each changes by a factor.

    Returns
    -------
    GradedGrid

    Examples
    --------
    >>> grid = graded_grid(0, 10**9, np.array([5e4]), np.array([3e3]))
    >>> len(grid.points) < 2_000
    True
    """
    starts, stops, panel, x, n_panels = [], [], [], first, 0
    while x < stop:
        limits = REACH_OF_WIDTH * widths + REACH_OF_DISTANCE * np.abs(x - peaks)
        limit = int(min(float(limits.min(initial=np.inf)), REACH_OF_DISTANCE * x))
        # No short rest at the end: far out it would be finer than floating numbers are.
        length = stop - x if stop - x <= REST * limit else limit
        if length >= SHORTEST_PANEL:
            starts.append(float(x))
            stops.append(float(x + length))
            panel.append(n_panels)
            n_panels, x = n_panels + 1, x + length
        else:
            end = min(x + SHORTEST_PANEL, stop)
            starts += [float(y) for y in range(x, end)]
            stops += [float(y + 1) for y in range(x, end)]
            panel += [-1] * (end - x)
            x = end
    return _with_nodes(np.array(starts), np.array(stops), np.array(panel, dtype=np.int64))


def panel_coefficients(values: Floats) -> Floats:
    """Chebyshev coefficients, shape (NODES, p), of functions by their values at the nodes, shape (p, NODES)."""
    return (values @ _rule().to_coefficients).T


def sum_coefficients(coefficients: Floats, length: Floats) -> Floats:
    """Chebyshev coefficients of the sum over the numbers of a panel up to a bound, by Euler and Maclaurin's formula.

    Parameters
    ----------
    coefficients : ndarray, shape (NODES, p)
        Of a function on each panel.
    length : ndarray, shape (p,)
        Numbers in each panel.

    Returns
    -------
    ndarray, shape (NODES + 1, p)
        As functions of the bound, half way between two numbers, on the scale on which the panel runs from -1 to 1.
    """
    whole, first, third = (operator @ coefficients for operator in _rule().operators)
    return _euler_maclaurin(whole, first, third, length)


def evaluate_series(coefficients: Floats, t: Floats) -> Floats:
    """Values of Chebyshev series, a column of coefficients for each argument between -1 and 1.

    Parameters
    ----------
    coefficients : ndarray, shape (k, m)
    t : ndarray, shape (m,)

    Returns
    -------
    ndarray, shape (m,)

    Examples
    --------
    >>> evaluate_series(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), np.array([0.5, 1.0])).tolist()
    [2.0, 1.0]
    """
    found: Floats = np.einsum("km,km->m", chebyshev_basis(t, len(coefficients)), coefficients)
    return found


def chebyshev_basis(t: Floats, k: int) -> Floats:
    """Chebyshev polynomials of degrees 0 to ``k - 1`` at each argument, shape (k, m).

    Notes
    -----
    ``T_(n+j) = 2 T_n T_j - T_(n-j)`` for all j up to n at once, so that each step doubles the degree.
    """
    basis = np.empty((k, len(t)))
    basis[:1], basis[1:2] = 1.0, t
    n = 1
    while n < k - 1:
        more = min(n, k - 1 - n)
        rows = basis[n + 1 : n + 1 + more]
        np.multiply(2.0 * basis[n], basis[1 : more + 1], out=rows)
        rows -= basis[n - more : n][::-1]
        n += more
    return basis


@dataclass(frozen=True, slots=True, eq=False)
class _Rule:
    """Constants of a panel of any length.

    Attributes
    ----------
    points : ndarray, shape (NODES,)
        Nodes of Gauss and Legendre.
    to_coefficients : ndarray, shape (NODES, NODES)
        From values at the nodes to Chebyshev coefficients.
    operators : tuple of ndarray, shape (NODES + 1, NODES)
        On coefficients: the integral from -1, and the first and third derivative less their values at -1.
    to_sums : tuple of ndarray, shape (NODES,)
        From values at the nodes to what the operators give at 1.
    """

    points: Floats
    to_coefficients: Floats
    operators: tuple[Floats, Floats, Floats]
    to_sums: tuple[Floats, Floats, Floats]


@cache
def _rule() -> _Rule:
    points, _ = legendre.leggauss(NODES)
    to_coefficients = np.asarray(np.linalg.inv(chebyshev.chebvander(points, NODES - 1)).T, dtype=np.float64)
    whole = np.asarray(chebyshev.chebint(np.eye(NODES), lbnd=-1), dtype=np.float64)
    operators = (whole, _derivative(1), _derivative(3))
    first, second, third = (to_coefficients @ operator.sum(axis=0) for operator in operators)
    return _Rule(np.asarray(points, dtype=np.float64), to_coefficients, operators, (first, second, third))


def _derivative(order: int) -> Floats:
    """Operator of a derivative less its value at -1, with as many rows as that of the integral."""
    found = np.zeros((NODES + 1, NODES))
    found[: NODES - order] = chebyshev.chebder(np.eye(NODES), order)
    found[0] -= chebyshev.chebval(-1.0, found)
    return found


def _panel_weights(length: Floats) -> Floats:
    """Weights of the nodes of each panel for the sum over its numbers, shape (NODES, p)."""
    whole, first, third = (part[:, None] for part in _rule().to_sums)
    return _euler_maclaurin(whole, first, third, length)


def _euler_maclaurin(whole: Floats, first: Floats, third: Floats, length: Floats) -> Floats:
    """Put integral and derivatives on the scale from -1 to 1 together to a sum over so many numbers."""
    half = length / 2.0
    # One division at a time: the third power of a long panel is not a floating number.
    return half * whole - first / (24.0 * half) + (7.0 / 5760.0) * third / half / half / half
