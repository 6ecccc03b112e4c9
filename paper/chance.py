"""How far two bootstraps of the same table may be apart by chance alone.

A printed bootstrap limit comes from some number of resamples, and so would another one. Ours is taken from many more
resamples. From them bootstraps of the printed size are drawn again and again; each of their limits has a place in the
distribution of all resamples, which is nearly normal whatever the lumps in that distribution. A printed limit is as
many standard deviations off as its own place is from the mean of these places.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop.kernels.resampling.bootstrap_limits import Limits, bootstrap_limits

Floats = npt.NDArray[np.float64]

AGAIN = 200
"""Bootstraps of the printed size that are drawn from all resamples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Many resamples of one table, estimated.

    Attributes
    ----------
    draws : ndarray
        Estimates, inf where unbounded and nan where unknown.
    jackknife, weights : ndarray
        Estimates without one person of each history, and how many persons have it.
    n_hat : float
    n_observed : int
    """

    draws: Floats
    jackknife: Floats
    weights: npt.NDArray[np.int64]
    n_hat: float
    n_observed: int

    def limits(self, level: float, draws: Floats | None = None) -> Limits:
        """BCa limits from all draws, or from those given."""
        return bootstrap_limits(
            self.draws if draws is None else draws,
            self.n_hat,
            self.n_observed,
            level=level,
            method="bca",
            jackknife=self.jackknife,
            jackknife_weights=self.weights,
        )


def deviations(
    pool: Pool, printed: Sequence[float], half_units: Sequence[float], *, level: float, size: int, seed: int
) -> list[float]:
    """How many Monte Carlo standard deviations each printed limit is off; 0 within its rounding.

    Parameters
    ----------
    pool : Pool
    printed, half_units : sequence of float
        Lower and upper limit, and half a unit of their last digits.
    level : float
    size : int
        Resamples behind the printed limits.
    seed : int

    Returns
    -------
    list of float
    """
    rng = np.random.default_rng(seed)
    again = [pool.limits(level, rng.choice(pool.draws, size)) for _ in range(AGAIN)]
    ordered = np.sort(np.where(np.isnan(pool.draws), np.inf, pool.draws))
    found = []
    for limit, half, ours in zip(
        printed, half_units, np.array([(x.low, x.high) for x in again]).T, strict=True
    ):
        places = np.searchsorted(ordered, ours, side="right") / len(ordered)
        error = float(places.std(ddof=1)) * np.sqrt(1.0 + size / len(ordered))
        low, high = np.searchsorted(ordered, [limit - half, limit + half]) / len(ordered)
        outside = max(low - places.mean(), places.mean() - high, 0.0)
        found.append(float(outside / max(error, 1.0 / len(ordered))))
    return found


def quantile_deviation(draws: Floats, printed: float, share: float, effective: Sequence[float]) -> float:
    """How many standard deviations a printed posterior quantile is off.

    Parameters
    ----------
    draws : ndarray
        Our draws of N.
    printed, share : float
        The quantile, and the share of the posterior below it.
    effective : sequence of float
        Effective numbers of draws, theirs and ours.

    Returns
    -------
    float
    """
    error = np.sqrt(share * (1 - share) * sum(1.0 / n for n in effective))
    return float(abs((draws < printed).mean() - share) / error)
