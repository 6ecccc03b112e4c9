"""Simulation-based calibration: whether a posterior is right about populations drawn from its own prior."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from hiddenpop._front_door import front_door
from hiddenpop._typing import Floats
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.parallel import block_slices, run_blocks
from hiddenpop.table import RNGLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Calibration", "Replicate", "calibrate", "position"]

Replicate = Callable[[np.random.Generator], tuple[float, Floats]]

BLOCK = 5
MOST_REFUSED = 1000
GRID = 100
BAND_TRIALS = 20_000
BAND_SEED = 1
"""The bands are quantiles of a distribution that is fixed: their seed is not a setting."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Where true sizes lie in their posteriors: spread evenly when the posterior is right.

    Attributes
    ----------
    positions : ndarray, shape (n_rep,)
        Share of each posterior below the truth, ties broken at random.
    n_refused : int
        Tables that the estimator refused, in whose place others were drawn. What is refused depends on the table alone,
        so the others are still calibrated.
    label : str

    References
    ----------
    Talts, S., Betancourt, M., Simpson, D., Vehtari, A. and Gelman, A. (2018). Validating Bayesian inference algorithms
    with simulation-based calibration. arXiv:1804.06788.

    Sailynoja, T., Burkner, P.-C. and Vehtari, A. (2022). Graphical test for discrete uniformity and its applications in
    goodness-of-fit evaluation and multiple sample comparison. Statistics and Computing 32, 32.
    https://doi.org/10.1007/s11222-022-10090-6
    """

    positions: Floats
    n_refused: int = 0
    label: str = ""

    def histogram(self, n_bins: int = 10, *, level: float = 0.99) -> pd.DataFrame:
        """Count the positions by bin, beside a band that all bars together leave once in 1 / (1 - level) times.

        Parameters
        ----------
        n_bins : int
        level : float

        Returns
        -------
        DataFrame
            ``start``, ``end``, ``count``, ``low``, ``high``.
        """
        edges = np.linspace(0.0, 1.0, n_bins + 1)
        counts = np.histogram(self.positions, bins=edges)[0]
        tail = _tail_of_bars(len(self.positions), n_bins, level)
        low, high = np.asarray(binom.ppf([tail, 1.0 - tail], len(self.positions), 1.0 / n_bins))
        return pd.DataFrame(
            {"start": edges[:-1], "end": edges[1:], "count": counts, "low": low, "high": high}
        )

    def excess(self) -> pd.DataFrame:
        """Give the cumulative share of positions minus that of even ones, with its band, in 99 of 100 studies inside.

        Returns
        -------
        DataFrame
            ``at``, ``excess``, ``low``, ``high``.
        """
        n, at = len(self.positions), np.arange(1, GRID) / GRID
        share = np.searchsorted(np.sort(self.positions), at, side="right") / n
        tail = _tail_of_shares(n, 0.99)
        low, high = binom.ppf(np.array([[tail], [1.0 - tail]]), n, at) / n - at
        return pd.DataFrame({"at": at, "excess": share - at, "low": low, "high": high})

    @property
    def calibrated(self) -> bool:
        """Whether bars and cumulative shares stay inside their bands, which a right posterior does 98 times in 100."""
        bars, shares = self.histogram(), self.excess()
        return bool(
            bars["count"].between(bars["low"], bars["high"]).all()
            and shares["excess"].between(shares["low"] - 1e-12, shares["high"] + 1e-12).all()
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the histogram with its band."""
        from hiddenpop.plotting import calibration_plot

        return calibration_plot(self, ax=ax)


def position(truth: float, draws: Floats, rng: np.random.Generator) -> float:
    """Give the share of draws below the truth, as an even number between 0 and 1 when truth and draws are alike.

    Parameters
    ----------
    truth : float
    draws : ndarray
    rng : Generator
        Breaks ties.

    Returns
    -------
    float

    Examples
    --------
    >>> 0.5 < position(3.0, np.array([1.0, 2.0, 9.0]), np.random.default_rng(1)) < 0.75
    True
    """
    below, ties = int((draws < truth).sum()), int((draws == truth).sum())
    return float((below + rng.random() * (ties + 1)) / (len(draws) + 1))


@front_door
def calibrate(replicate: Replicate, *, n_rep: int = 300, rng: RNGLike = None, label: str = "") -> Calibration:
    """Draw sizes and tables from a prior, fit each table, and see where the sizes lie in their posteriors.

    Parameters
    ----------
    replicate : callable
        Takes a Generator; gives a true size drawn from the prior of an estimator and the draws of the posterior that
        the estimator makes of a table drawn for it. Prior and estimator must have the same settings. It may raise
        `CapabilityError` for a table that the estimator refuses.
    n_rep : int
        300 find a spread that is wrong by a third or a location that is wrong by a third of its spread.
    rng : int, Generator or None
    label : str

    Returns
    -------
    Calibration

    Raises
    ------
    SettingError
        When 1,000 tables in a row are refused.

    Examples
    --------
    >>> def right(rng):
    ...     truth = rng.normal()
    ...     return truth, (truth + rng.normal()) / 2 + rng.normal(size=99) * 0.5**0.5
    >>> calibrate(right, n_rep=100, rng=1).calibrated
    True
    """
    blocks = block_slices(n_rep, BLOCK)
    children = np.random.default_rng(rng).spawn(len(blocks))
    tasks = [
        (replicate, block.stop - block.start, child) for block, child in zip(blocks, children, strict=True)
    ]
    found = run_blocks(_block, tasks, label=f"calibration {label}".strip())
    return Calibration(
        positions=np.concatenate([positions for positions, _ in found]),
        n_refused=sum(refused for _, refused in found),
        label=label,
    )


def _block(task: tuple[Replicate, int, np.random.Generator]) -> tuple[Floats, int]:
    replicate, size, rng = task
    results = [_one(replicate, rng) for _ in range(size)]
    return np.array([at for at, _ in results]), sum(refused for _, refused in results)


def _one(replicate: Replicate, rng: np.random.Generator) -> tuple[float, int]:
    for refused in range(MOST_REFUSED):
        try:
            truth, draws = replicate(rng)
        except CapabilityError as error:
            reason = str(error)
        else:
            return position(truth, draws, rng), refused
    raise SettingError(
        f"the estimator refused {MOST_REFUSED:,} tables in a row that were drawn from the prior, the last one with: "
        f"{reason}; choose a prior with larger tables"
    )


@cache
def _tail_of_bars(n: int, n_bins: int, level: float) -> float:
    """Probability in each tail of a bar that makes the band hold for all bars together."""
    rng = np.random.default_rng(BAND_SEED)
    bars = rng.multinomial(n, np.full(n_bins, 1.0 / n_bins), size=BAND_TRIALS)
    return _smallest_tail(bars, n, np.full(n_bins, 1.0 / n_bins), level)


@cache
def _tail_of_shares(n: int, level: float) -> float:
    """Probability in each tail of a cumulative count that makes the band hold for all of them together."""
    rng = np.random.default_rng(BAND_SEED)
    steps = rng.multinomial(n, np.full(GRID, 1.0 / GRID), size=BAND_TRIALS)
    return _smallest_tail(np.cumsum(steps, axis=1)[:, :-1], n, np.arange(1, GRID) / GRID, level)


def _smallest_tail(counts: npt.NDArray[np.int64], n: int, p: Floats, level: float) -> float:
    """Quantile, over trials, of the smallest tail probability that a trial meets."""
    every = np.arange(n + 1)[:, None]
    tails = np.minimum(binom.cdf(every, n, p), binom.sf(every - 1, n, p))
    smallest = tails[counts, np.arange(len(p))].min(axis=1)
    return max(float(np.quantile(smallest, 1.0 - level, method="lower")) * (1.0 - 1e-9), math.ulp(0.0))
