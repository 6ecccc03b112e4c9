"""Sums over whole numbers by single points and by panels, graded to where a density is sharp."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

__all__ = ["NODES", "GradedGrid", "graded_grid", "panel_coefficients", "panel_sum", "single_numbers"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NODES = 20
"""Nodes of a panel. On a panel that is short beside the width of a peak the interpolation error is below 1e-11."""

SHORTEST_PANEL = 128
"""Below this length two terms of Euler and Maclaurin's series no longer give twelve digits: sum every number."""

REST = 1.5
REACH_OF_WIDTH, REACH_OF_DISTANCE = 2.0, 0.5
"""A panel spans two widths of a peak that it touches, and half the distance to one that it does not."""


@dataclass(frozen=True, slots=True, eq=False)
class GradedGrid:
    """Consecutive pieces of the whole numbers: single numbers, and panels with nodes.

    Attributes
    ----------
    starts, stops : ndarray, shape (q,)
        Each piece holds the numbers from its start up to but not its stop.
    panel : ndarray of int64, shape (q,)
        Position of the piece among the panels, -1 for a single number.
    """

    starts: Floats
    stops: Floats
    panel: Ints

    @property
    def is_single(self) -> npt.NDArray[np.bool_]:
        """Which pieces are single numbers."""
        return self.panel < 0

    def nodes(self) -> tuple[Floats, Floats]:
        """Points to evaluate a function at, and weights that turn its values into the sum over all numbers.

        Single numbers come first, then the panels.
        """
        single, wide = self.is_single, ~self.is_single
        length = (self.stops - self.starts)[wide]
        middle = self.starts[wide] - 0.5 + length / 2.0
        points = middle[:, None] + length[:, None] / 2.0 * _gauss()[0]
        weights = np.array([_panel_weights(float(h)) for h in length]).reshape(-1, NODES)
        return (
            np.concatenate([self.starts[single], points.ravel()]),
            np.concatenate([np.ones(int(single.sum())), weights.ravel()]),
        )


def single_numbers(numbers: Ints) -> GradedGrid:
    """Each of some ascending whole numbers on its own."""
    starts = numbers.astype(np.float64)
    return GradedGrid(starts, starts + 1.0, np.full(len(starts), -1, dtype=np.int64))


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
    >>> len(grid.nodes()[0]) < 2_000
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
    return GradedGrid(np.array(starts), np.array(stops), np.array(panel, dtype=np.int64))


def panel_coefficients(values: Floats) -> Floats:
    """Legendre coefficients, shape (NODES, p), of functions by their values at the nodes, shape (p, NODES)."""
    points, weights = _gauss()
    degrees = np.arange(NODES)
    basis = legendre.legvander(points, NODES - 1) * weights[:, None] * (degrees + 0.5)
    return (values @ basis).T


def panel_sum(coefficients: Floats, t: Floats, length: Floats) -> Floats:
    """Sum of a function over the numbers of its panel up to a bound, by Euler and Maclaurin's formula.

    Parameters
    ----------
    coefficients : ndarray, shape (NODES, m)
        A column for each bound.
    t : ndarray, shape (m,)
        The bound, half way between two numbers, on the scale on which the panel runs from -1 to 1.
    length : ndarray, shape (m,)
        Numbers in the panel.

    Returns
    -------
    ndarray, shape (m,)
    """
    half = length / 2.0
    lower = np.full_like(t, -1.0)
    whole = _columns(legendre.legint(coefficients, lbnd=-1), t)
    first, third = (
        _columns(legendre.legder(coefficients, order), t)
        - _columns(legendre.legder(coefficients, order), lower)
        for order in (1, 3)
    )
    return half * whole - first / (24.0 * half) + 7.0 * third / (5760.0 * half**3)


def _columns(coefficients: Any, t: Floats) -> Floats:
    """Evaluate a series a column at its own argument."""
    return np.asarray(legendre.legval(t, coefficients, tensor=False), dtype=np.float64)


@cache
def _gauss() -> tuple[Floats, Floats]:
    points, weights = legendre.leggauss(NODES)
    return points, weights


@cache
def _panel_weights(length: float) -> Floats:
    """Weights of the nodes of a panel for the sum over its numbers."""
    coefficients = panel_coefficients(np.eye(NODES))
    return panel_sum(coefficients, np.ones(NODES), np.full(NODES, length))
