"""Lumps of a bootstrap distribution: the answers between which a choice of model jumps."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from hiddenpop._typing import Floats

__all__ = ["BootstrapMode", "bootstrap_modes", "divide", "prominent_peaks"]


SMALLEST_LUMP = 0.02
NOBODY = 0.5
"""A dark figure below half a person counts as nobody hidden."""

LUMP_ERRORS = 2.0
"""A valley divides two lumps when it is deeper than so many standard errors of the difference it makes."""

NO_SPREAD = 1e-12
"""Logarithms that differ by less than this differ by rounding only."""

KERNEL_ROUGHNESS = 1.0 / (2.0 * math.sqrt(math.pi))
BINS_PER_BANDWIDTH, MOST_BINS = 8, 200_000


@dataclass(frozen=True, slots=True)
class BootstrapMode:
    """A lump of the bootstrap distribution.

    Attributes
    ----------
    n : float
        Where the density of the log dark figure is highest, as a number of persons.
    share : float
        Of all draws, those without a finite number included.
    """

    n: float
    share: float


def bootstrap_modes(draws: npt.ArrayLike, n_observed: float) -> tuple[BootstrapMode, ...]:
    """Lumps of the bootstrap distribution: the modes of the log dark figure, with their shares.

    Parameters
    ----------
    draws : array_like, shape (B,)
        Bootstrap estimates of N; only finite ones are smoothed, but all count in the shares.
    n_observed : float

    Returns
    -------
    tuple of BootstrapMode
        In order of size; lumps with less than 2 % of the draws are left out. Draws with nobody hidden are a lump of
        their own, at the number observed.

    Notes
    -----
    A Gaussian kernel density with Silverman's bandwidth ``0.9 min(sd, IQR / 1.34) B^(-1/5)``, cut at its valleys. A
    valley counts when the root of the density, whose standard error is the same everywhere, falls by two standard
    errors of a difference: shallower ones are noise of the draws.

    References
    ----------
    Silverman, B. W. (1986). Density Estimation for Statistics and Data Analysis. Chapman & Hall.
    doi:10.1201/9781315140919

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> dark = np.concatenate([rng.lognormal(9.2, 0.1, 700), rng.lognormal(9.9, 0.1, 300)])
    >>> [(round(lump.n, -3), round(lump.share, 1)) for lump in bootstrap_modes(2744 + dark, 2744)]
    [(13000.0, 0.7), (23000.0, 0.3)]
    """
    values = np.asarray(draws, dtype=np.float64)
    dark = values[np.isfinite(values)] - n_observed
    hidden = np.sort(np.log(dark[dark >= NOBODY]))
    found = [(float(n_observed), len(dark) - len(hidden))]
    found += [(n_observed + math.exp(mode), size) for mode, size in _modes(hidden)]
    shares = [BootstrapMode(n, size / len(values)) for n, size in found if size]
    return tuple(lump for lump in shares if lump.share >= SMALLEST_LUMP)


def _modes(values: Floats) -> list[tuple[float, int]]:
    """Modes of sorted values, with the number of values between the valleys on either side."""
    if not len(values):
        return []
    peaks, valleys = divide(values, len(values))
    sizes = np.diff([0, *np.searchsorted(values, valleys), len(values)])
    return [(float(peak), int(number)) for peak, number in zip(peaks, sizes, strict=True)]


def divide(values: Floats, effective: float, smallest: float = 0.0) -> tuple[Floats, Floats]:
    """Peaks of the density of some values, and the valleys between them.

    Parameters
    ----------
    values : ndarray, shape (B,)
        Sorted; at least one.
    effective : float
        How many independent values they are worth; bandwidth and error of the density follow from it.
    smallest : float
        A peak with a smaller share of the values between its valleys is not a peak of its own.

    Returns
    -------
    peaks : ndarray, shape (k,)
    valleys : ndarray, shape (k - 1,)

    Examples
    --------
    >>> values = np.sort(np.random.default_rng(1).normal([0.0, 5.0], 1.0, (1000, 2)).ravel())
    >>> peaks, valleys = divide(values, len(values))
    >>> np.abs(peaks - [0, 5]).max() < 0.3, len(valleys)
    (np.True_, 1)
    """
    bandwidth = _silverman(values, effective)
    if not bandwidth > 0.0:
        return np.array([np.median(values)]), np.empty(0)
    grid, density = _density(values, bandwidth)
    error = math.sqrt(KERNEL_ROUGHNESS / (2.0 * effective * bandwidth))
    peaks = prominent_peaks(np.sqrt(density), LUMP_ERRORS * error)
    if not len(peaks):
        peaks = np.array([int(np.argmax(density))])
    while True:
        valleys = np.array(
            [left + int(np.argmin(density[left:right])) for left, right in pairwise(peaks)], int
        )
        shares = np.diff([0, *np.searchsorted(values, grid[valleys]), len(values)]) / len(values)
        if len(peaks) == 1 or shares.min() >= smallest:
            return grid[peaks], grid[valleys]
        peaks = np.delete(peaks, int(np.argmin(shares)))


def prominent_peaks(heights: Floats, prominence: float) -> npt.NDArray[np.int64]:
    """Find the local maxima that stand out by `prominence` above the higher of the two valleys beside them.

    A valley ends where something higher than the peak begins, or at an end of `heights`; a flat top counts in its
    middle. As `scipy.signal.find_peaks`, whose import takes longer than the bootstrap that asks for it.

    Parameters
    ----------
    heights : ndarray, shape (n,)
    prominence : float

    Returns
    -------
    ndarray of int

    Examples
    --------
    >>> prominent_peaks(np.array([0.0, 2.0, 1.9, 2.1, 2.1, 2.1, 0.0, 1.0, 0.0]), 0.5)
    array([4, 7])
    """
    starts = np.flatnonzero(np.diff(heights, prepend=np.nan))
    ends = np.append(starts[1:], len(heights)) - 1
    levels = heights[starts]
    tops = 1 + np.flatnonzero((levels[1:-1] > levels[:-2]) & (levels[1:-1] > levels[2:]))
    standing = [top for top in tops if levels[top] - _higher_valley(levels, int(top)) >= prominence]
    return (starts[standing] + ends[standing]) // 2


def _higher_valley(levels: Floats, top: int) -> float:
    """Give the higher of the lowest points on either side of a top, as far as nothing is higher than it."""
    higher = np.flatnonzero(levels > levels[top])
    left = higher[higher < top].max(initial=-1) + 1
    right = higher[higher > top].min(initial=len(levels))
    return float(max(levels[left:top].min(), levels[top + 1 : right].min()))


def _silverman(values: Floats, effective: float) -> float:
    first, third = np.quantile(values, [0.25, 0.75])
    spreads = [spread for spread in (float(values.std()), float(third - first) / 1.34) if spread > NO_SPREAD]
    return 0.9 * min(spreads, default=0.0) * effective**-0.2


def _density(values: Floats, bandwidth: float) -> tuple[Floats, Floats]:
    """Kernel density on a grid of bins that is padded far enough for it to vanish at both ends."""
    margin = 6.0 * bandwidth
    start, width = values[0] - margin, values[-1] - values[0] + 2.0 * margin
    bins = min(math.ceil(width * BINS_PER_BANDWIDTH / bandwidth), MOST_BINS)
    counted, edges = np.histogram(values, bins=bins, range=(start, start + width))
    step = width / bins
    density = gaussian_filter1d(
        counted / (len(values) * step), bandwidth / step, mode="constant", truncate=5.0
    )
    return (edges[:-1] + edges[1:]) / 2.0, density
