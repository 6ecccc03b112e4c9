"""A distribution on the whole numbers: single probabilities, smooth panels, and a tail of power laws."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hiddenpop.kernels.graded_grid import GradedGrid, panel_sum

__all__ = ["CountPosterior", "Mode", "PowerTail", "modes"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DEEP_VALLEY = 0.95
"""Two peaks are two modes when the density between them falls below this share of the lower one."""

ZOOM = 33
EXACT_INTEGERS = 2.0**52


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
        with np.errstate(over="ignore"):
            ratio = (x[:, None] + 0.5 + self.offsets) / (self.start - 0.5 + self.offsets)
            found: Floats = (self.masses * ratio**-self.exponents).sum(axis=1)
        return found

    def density(self, x: Floats) -> Floats:
        """Probability of each number of the tail."""
        edge = self.start - 0.5 + self.offsets
        ratio = (x[:, None] + self.offsets) / edge
        found: Floats = (self.masses * self.exponents / edge * ratio ** -(1.0 + self.exponents)).sum(axis=1)
        return found

    def quantile(self, above: Floats) -> Floats:
        """Smallest number with at most so much probability above it; inf where it is beyond all floating numbers."""
        low, high = np.full(len(above), math.log(self.start)), np.full(len(above), math.log(1e300))
        for _ in range(64):
            middle = (low + high) / 2.0
            over = self.above(np.exp(middle)) > above
            low, high = np.where(over, middle, low), np.where(over, high, middle)
        beyond = self.above(np.full(len(above), 1e300)) > above
        return np.where(beyond, math.inf, np.ceil(np.exp(high)))


@dataclass(frozen=True, slots=True, eq=False)
class CountPosterior:
    """Probabilities of whole numbers that add up to 1.

    Attributes
    ----------
    grid : GradedGrid
    masses : ndarray, shape (q,)
        Probability of each piece of the grid.
    coefficients : ndarray, shape (nodes, p)
        Legendre coefficients of the probability within each panel.
    tail : PowerTail or None
    """

    grid: GradedGrid
    masses: Floats
    coefficients: Floats
    tail: PowerTail | None

    def probability(self, x: npt.ArrayLike) -> Floats:
        """Probability of each number of an array."""
        x = np.atleast_1d(np.asarray(x, dtype=np.float64))
        piece, found = self._piece(x), np.zeros(len(x))
        inside = (x >= self.grid.starts[piece]) & (x < self.grid.stops[piece])
        single = inside & self.grid.is_single[piece]
        found[single] = self.masses[piece[single]]
        wide = inside & ~self.grid.is_single[piece]
        t = self._scaled(x[wide], piece[wide])
        columns = self.coefficients[:, self.grid.panel[piece[wide]]]
        found[wide] = np.polynomial.legendre.legval(t, columns, tensor=False)
        if self.tail is not None:
            beyond = x >= self.tail.start
            found[beyond] = self.tail.density(x[beyond])
        return found

    def below(self, x: npt.ArrayLike) -> Floats:
        """Probability of each number or less."""
        x = np.atleast_1d(np.asarray(x, dtype=np.float64))
        piece = self._piece(x)
        before = np.cumsum(self.masses)[piece] - self.masses[piece]
        found = before + np.where(x >= self.grid.stops[piece] - 1.0, self.masses[piece], 0.0)
        within = (x < self.grid.stops[piece] - 1.0) & ~self.grid.is_single[piece]
        found[within] = before[within] + self._partial(x[within], piece[within])
        found[x < self.grid.starts[0]] = 0.0
        if self.tail is not None:
            beyond = x >= self.tail.start
            found[beyond] = 1.0 - self.tail.above(x[beyond])
        return found

    def quantile(self, q: npt.ArrayLike) -> Floats:
        """Smallest number whose probability with all below it is at least `q`."""
        q = np.atleast_1d(np.asarray(q, dtype=np.float64))
        up_to = np.cumsum(self.masses)
        piece = np.searchsorted(up_to, q, side="left")
        beyond = piece >= len(up_to)
        piece = np.minimum(piece, len(up_to) - 1)
        found = np.where(self.grid.is_single[piece], self.grid.starts[piece], self.grid.stops[piece] - 1.0)
        wide = ~self.grid.is_single[piece] & ~beyond
        found[wide] = self._inside(q[wide] - (up_to - self.masses)[piece[wide]], piece[wide])
        if self.tail is not None and beyond.any():
            found[beyond] = self.tail.quantile(1.0 - q[beyond])
        return found

    def mean(self) -> float:
        """Mean, inf where the tail is too heavy for one."""
        points, weights = self.grid.nodes()
        inside = float((self.probability_at_nodes() * weights) @ points)
        if self.tail is None:
            return inside
        t = self.tail
        if not t.exponents.min(initial=math.inf) > 1.0:
            return math.inf
        edge = t.start - 0.5 + t.offsets
        return inside + float(t.masses @ (edge * t.exponents / (t.exponents - 1.0) - t.offsets))

    def probability_at_nodes(self) -> Floats:
        """Probability at the nodes of the grid, in their order."""
        points, _ = self.grid.nodes()
        single = self.grid.is_single
        inside = points[int(single.sum()) :]
        piece = np.repeat(np.flatnonzero(~single), len(self.coefficients))
        t = self._scaled(inside, piece)
        columns = self.coefficients[:, self.grid.panel[piece]]
        wide = np.polynomial.legendre.legval(t, columns, tensor=False) if len(t) else t
        return np.concatenate([self.masses[single], wide])

    def _piece(self, x: Floats) -> Ints:
        last = len(self.grid.starts) - 1
        return np.clip(np.searchsorted(self.grid.starts, x, side="right") - 1, 0, last)

    def _scaled(self, x: Floats, piece: Ints) -> Floats:
        """Put numbers on the scale on which their panel runs from -1 to 1."""
        start, length = self.grid.starts[piece], (self.grid.stops - self.grid.starts)[piece]
        return 2.0 * (x - start + 0.5) / length - 1.0

    def _partial(self, x: Floats, piece: Ints) -> Floats:
        """Probability of the numbers of a panel up to and with `x`."""
        t = self._scaled(x + 0.5, piece)
        length = (self.grid.stops - self.grid.starts)[piece]
        return panel_sum(self.coefficients[:, self.grid.panel[piece]], t, length)

    def _inside(self, mass: Floats, piece: Ints) -> Floats:
        """Smallest number of a panel up to which there is so much probability in the panel."""
        low, high = self.grid.starts[piece] - 1.0, self.grid.stops[piece] - 1.0
        while len(low):
            middle = np.floor((low + high) / 2.0)
            open_ = (middle > low) & (middle < high)
            if not open_.any():
                break
            enough = self._partial(middle, piece) >= mass
            high = np.where(open_ & enough, middle, high)
            low = np.where(open_ & ~enough, middle, low)
        return high


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
    points, _ = posterior.grid.nodes()
    order = np.argsort(points, kind="stable")
    x, p = points[order], posterior.probability_at_nodes()[order]
    peaks, valleys = _peaks_and_valleys(p)
    edges = [-math.inf, *np.floor(x[valleys]).tolist(), math.inf]
    below = posterior.below(np.array(edges[1:-1])).tolist() if valleys else []
    found = [
        Mode(_summit(posterior, x[max(peak - 1, 0)], x[min(peak + 1, len(x) - 1)]), high - low)
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


def _summit(posterior: CountPosterior, low: float, high: float) -> float:
    """Most probable number between two numbers that enclose a single peak."""
    low, high = float(np.floor(low)), float(np.ceil(high))
    while True:
        points = np.unique(np.round(np.linspace(low, high, ZOOM)))
        best = int(np.argmax(posterior.probability(points)))
        if high - low < ZOOM or high > EXACT_INTEGERS:
            return float(points[best])
        low, high = points[max(best - 1, 0)], points[min(best + 1, len(points) - 1)]
