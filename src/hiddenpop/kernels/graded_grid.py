"""Sums over whole numbers by single points and by panels, graded to where a density is sharp."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev, legendre

from hiddenpop._typing import Floats, Ints

__all__ = [
    "NODES",
    "GradedGrid",
    "chebyshev_basis",
    "evaluate_series",
    "graded_grid",
    "panel_coefficients",
    "single_numbers",
    "sum_coefficients",
]


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
    # One division at a time: the third power of a long panel is no floating number.
    return half * whole - first / (24.0 * half) + (7.0 / 5760.0) * third / half / half / half
