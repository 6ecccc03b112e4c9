"""Whether chains agree on the size of a population, and between which modes they move."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.bayes.inference_data import load_arviz
from hiddenpop.kernels.resampling.bootstrap_modes import divide

__all__ = ["Convergence", "convergence", "effective_draws", "judge", "modes", "rhat"]


HIGHEST_RHAT = 1.01
FEWEST_EFFECTIVE = 400.0
"""The limits that Vehtari et al. (2021) give; below 400 R-hat itself is not to be relied on."""

FEWEST_ROUND_TRIPS = 30
"""Journeys from the posterior to the hottest temperature and back, in all chains together: with fewer, the weights of
modes that only the hot temperatures connect are known to no better than a fifth."""

LARGEST_DIVERGENT = 0.01
"""Above this share of the draws the sampler misses a part of the posterior too often for its figures to stand."""

SMALLEST_MODE = 0.02
FEWEST_FOR_DENSITY = 200.0
"""Chains that are stuck in different modes are worth few draws, yet each shows well the density of its own mode."""

LARGEST, LARGEST_SHOWN = 1e300, 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """How well chains agree on the population size.

    Attributes
    ----------
    rhat : float
        Split, rank-normalised R-hat of N, the larger of bulk and folded.
    ess_bulk, ess_tail : float
        Effective draws of N for its centre and for its limits.
    n_chains, n_draws : int
        Chains, and draws a chain.
    n_divergent : int or None
        Divergent transitions after the warm-up; None for a sampler that has none.
    round_trips : int or None
        For tempering: journeys between the posterior and the hottest temperature and back, of all chains.

    Examples
    --------
    >>> Convergence(rhat=1.002, ess_bulk=900, ess_tail=700, n_chains=4, n_draws=1000).converged
    True
    """

    rhat: float
    ess_bulk: float
    ess_tail: float
    n_chains: int
    n_draws: int
    n_divergent: int | None = None
    round_trips: int | None = None

    @property
    def converged(self) -> bool:
        """Whether `judge` finds no fault."""
        return judge(self)[0] == "ok"

    @property
    def divergent_share(self) -> float:
        """Divergent transitions as a share of all draws."""
        return (self.n_divergent or 0) / max(self.n_chains * self.n_draws, 1)

    def as_dict(self) -> dict[str, Any]:
        """Give the figures and the verdict as plain values."""
        return {**asdict(self), "converged": self.converged}


def convergence(
    sizes: Floats, *, n_divergent: int | None = None, round_trips: int | None = None
) -> Convergence:
    """Measure how well chains agree on the population size.

    Parameters
    ----------
    sizes : ndarray, shape (chains, draws)
        Draws of N, in persons.
    n_divergent : int, optional
        Divergent transitions after the warm-up.
    round_trips : int, optional
        Of a tempered sampler, in all chains.

    Returns
    -------
    Convergence

    Raises
    ------
    ValueError
        For draws that are no array of chains with at least four draws each.

    Notes
    -----
    All are measured on log N; ranks make R-hat and the effective draws of the centre the same on any scale. Draws
    that are all alike, as when nobody is hidden in any of them, agree perfectly.

    References
    ----------
    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021). Rank-normalization, folding, and
    localization: an improved R-hat for assessing convergence of MCMC. Bayesian Analysis 16(2), 667-718.
    doi:10.1214/20-BA1221

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> convergence(np.round(rng.lognormal(8.0, 0.2, (4, 1000)))).converged
    True
    >>> stuck = rng.lognormal(8.0, 0.2, (4, 1000)) * np.array([[1.0], [1.0], [1.0], [3.0]])
    >>> convergence(stuck).converged
    False
    """
    drawn = _log(sizes)
    return Convergence(
        rhat=rhat(drawn),
        ess_bulk=effective_draws(drawn, "bulk"),
        ess_tail=effective_draws(drawn, "tail"),
        n_chains=drawn.shape[0],
        n_draws=drawn.shape[1],
        n_divergent=n_divergent,
        round_trips=round_trips,
    )


def _log(sizes: Floats) -> Floats:
    values = np.asarray(sizes, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 4 or not values.shape[0]:
        raise ValueError(f"draws come as chains of at least four draws each; got shape {values.shape}")
    if np.isnan(values).any():
        raise ValueError("a draw of N is not a number")
    return np.log(np.clip(values, 1.0, LARGEST))


def rhat(drawn: Floats) -> float:
    """Split, rank-normalised R-hat, the larger of bulk and folded; inf where it has no number.

    Parameters
    ----------
    drawn : ndarray, shape (chains, draws)

    Returns
    -------
    float

    Examples
    --------
    >>> rhat(np.ones((4, 100)))
    1.0
    """
    if drawn.max() == drawn.min():
        return 1.0
    if len(drawn) == 1:  # ArviZ asks for two chains, and splits them anyway
        half = drawn.shape[1] // 2
        drawn = np.stack([drawn[0, :half], drawn[0, -half:]])
    with np.errstate(all="ignore"):
        found = float(load_arviz().rhat(drawn, method="rank"))
    return found if math.isfinite(found) else math.inf


def effective_draws(drawn: Floats, method: Literal["bulk", "tail", "mean"]) -> float:
    """Effective number of draws, at least 1.

    Parameters
    ----------
    drawn : ndarray, shape (chains, draws)
    method : {"bulk", "tail", "mean"}

    Returns
    -------
    float

    Examples
    --------
    >>> effective_draws(np.ones((4, 100)), "bulk")
    400.0
    """
    with np.errstate(all="ignore"):
        found = float(load_arviz().ess(drawn, method=method))
    return max(found, 1.0) if math.isfinite(found) else 1.0


def judge(measured: Convergence) -> tuple[Literal["ok", "not_converged"], str]:
    """Say whether the chains may be trusted, and what speaks against it.

    Parameters
    ----------
    measured : Convergence

    Returns
    -------
    status : {"ok", "not_converged"}
    reason : str
        Empty when there is nothing to say.

    Notes
    -----
    Not converged: R-hat above 1.01, fewer than 400 effective draws of the centre or of the limits, divergences in
    more than 1 % of the draws, or fewer than 30 round trips of a tempered sampler.

    Examples
    --------
    >>> judge(Convergence(rhat=1.67, ess_bulk=6, ess_tail=30, n_chains=4, n_draws=1000))[0]
    'not_converged'
    """
    faults = _faults(measured)
    if not faults:
        return "ok", ""
    return "not_converged", f"the chains cannot be trusted: {'; '.join(faults)}"


def _faults(m: Convergence) -> list[str]:
    faults: list[str] = []
    if not m.rhat <= HIGHEST_RHAT:
        shown = f"{m.rhat:.3f}" if m.rhat < LARGEST_SHOWN else "very large, as a chain hardly moves,"
        faults.append(f"R-hat of N is {shown}, above {HIGHEST_RHAT}")
    for what, ess in (("centre", m.ess_bulk), ("limits", m.ess_tail)):
        if not ess >= FEWEST_EFFECTIVE:
            faults.append(f"{ess:,.0f} effective draws for the {what} of N, under {FEWEST_EFFECTIVE:.0f}")
    if m.divergent_share > LARGEST_DIVERGENT:
        faults.append(
            f"{m.n_divergent:,} of {m.n_chains * m.n_draws:,} draws are divergent, more than 1 in 100"
        )
    if m.round_trips is not None and m.round_trips < FEWEST_ROUND_TRIPS:
        faults.append(f"{m.round_trips} round trips between the temperatures, under {FEWEST_ROUND_TRIPS}")
    return faults


def modes(sizes: Floats) -> pd.DataFrame:
    """Modes of the posterior of the population size, with their weights and how well these are known.

    Parameters
    ----------
    sizes : ndarray, shape (chains, draws)
        Draws of N, in persons.

    Returns
    -------
    DataFrame
        One row a mode, by size: ``location`` (highest density of log N), ``low`` and ``high`` (the draws between the
        valleys at its sides), ``weight``, ``standard_error`` of the weight, and the weight in each chain alone:
        ``chain_1``, ``chain_2``, ...

    Notes
    -----
    A kernel density of log N is cut at its valleys. A valley counts when it is deeper than the noise of as many
    independent draws as the chains are worth, each taken alone; a part with less than 2 % of the draws belongs to its
    neighbour. The standard error comes from the effective draws of the indicator of the mode, over all chains: chains
    that stay in different modes give an error as large as the weight itself.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> logs = np.where(rng.random((4, 1000)) < 0.3, rng.normal(9.0, 0.1, (4, 1000)), rng.normal(10.0, 0.1, (4, 1000)))
    >>> modes(np.exp(logs))[["location", "weight"]].round({"location": -3, "weight": 1}).to_numpy().tolist()
    [[8000.0, 0.3], [22000.0, 0.7]]
    """
    logs = _log(sizes)
    alone = sum(effective_draws(chain[None], "bulk") for chain in logs)
    effective = min(max(alone, FEWEST_FOR_DENSITY), float(logs.size))
    peaks, valleys = divide(np.sort(_spread_ties(np.exp(logs.ravel()))), effective, SMALLEST_MODE)
    edges = np.array([-np.inf, *valleys, np.inf])
    rows = [
        _mode_row(np.exp(peak), np.exp(logs), (logs > below) & (logs <= above))
        for peak, below, above in zip(peaks, edges[:-1], edges[1:], strict=True)
    ]
    return pd.DataFrame([row for row in rows if row])


def _spread_ties(drawn: Floats) -> Floats:
    """Logarithms of whole numbers, each tie spread evenly over its number, so that few persons are no lumps."""
    whole = np.round(drawn)
    _, inverse, counts = np.unique(whole, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    rank = np.empty(len(drawn))
    rank[order] = np.arange(len(drawn)) - np.repeat(np.cumsum(counts) - counts, counts)
    spread = whole + (rank + 0.5) / counts[inverse] - 0.5
    return np.asarray(np.log(np.maximum(spread, 0.5)))


def _mode_row(location: float, drawn: Floats, inside: npt.NDArray[np.bool_]) -> dict[str, float]:
    if not inside.any():
        return {}
    weight, held = float(inside.mean()), np.round(drawn[inside])
    error = _weight_error(inside.astype(np.float64))
    return {
        "location": float(np.clip(np.round(location), held.min(), held.max())),
        "low": float(held.min()),
        "high": float(held.max()),
        "weight": weight,
        "standard_error": error,
        **{f"chain_{i}": float(share) for i, share in enumerate(inside.mean(axis=1), start=1)},
    }


def _weight_error(inside: Floats) -> float:
    weight = float(inside.mean())
    if weight in {0.0, 1.0}:
        return 0.0
    return math.sqrt(weight * (1.0 - weight) / effective_draws(inside, "mean"))


def three_digits(size: float) -> str:
    """Write a size with three digits.

    Examples
    --------
    >>> three_digits(52871.0)
    '52,900'
    """
    return f"{float(f'{size:.3g}'):,.0f}"


def in_words(found: pd.DataFrame, sizes: Iterable[str]) -> str:
    """List modes with their weights, the sizes as they are given.

    Examples
    --------
    >>> in_words(pd.DataFrame([{"location": 52871.0, "weight": 0.13, "standard_error": 0.05}]), ["52,900"])
    '52,900 (weight 0.13, standard error 0.05)'
    """
    return ", ".join(
        f"{size} (weight {row.weight:.2f}, standard error {row.standard_error:.2f})"
        for size, row in zip(sizes, found.itertuples(), strict=True)
    )
