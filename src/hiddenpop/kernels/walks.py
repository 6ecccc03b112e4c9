"""What several random walks over models found together, and whether they tell the same."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hiddenpop._typing import Floats, Ints
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.best_models import TIE
from hiddenpop.kernels.bound import ADMISSIBLE
from hiddenpop.kernels.mc3 import UNJUDGED, Walk, pairs_of

__all__ = ["Agreement", "Visited", "agreement", "merge", "split_rhat"]


TOP_MODELS = 20
"""Models by which the chains are compared one by one; all others count as one."""

LARGEST_RHAT = 1.05
LARGEST_VARIATION = 0.2
"""Chains that agree have a split R-hat and a total variation below these."""


@dataclass(frozen=True, slots=True)
class Visited:
    """The models that several chains fitted, best first; every array has one element a model.

    Attributes
    ----------
    term_sets : tuple of int
    values, deviance, n0, log_n0_variance : ndarray of float
        As in `hiddenpop.kernels.best_models.BestModels`.
    codes : ndarray of int
        1 admissible, 0 inadmissible, -1 proposed but never judged.
    visits : ndarray of int
        Steps spent at the model by all chains.
    """

    term_sets: tuple[int, ...]
    values: Floats
    deviance: Floats
    n0: Floats
    log_n0_variance: Floats
    codes: Ints
    visits: Ints


def merge(chains: Sequence[Walk], n_lists: int, without: int = 0) -> Visited:
    """Put the models of several chains together, sorted by criterion, the smaller first among equals."""
    masks = [mask for chain in chains for mask in chain.masks]
    visits = np.concatenate([np.bincount(chain.trace, minlength=len(chain.masks)) for chain in chains])
    codes = np.concatenate([chain.codes for chain in chains])
    columns = [
        np.concatenate([getattr(chain, name) for chain in chains])
        for name in ("values", "deviance", "log_n0", "log_n0_variance")
    ]
    total: Counter[int] = Counter()
    code: dict[int, int] = {}
    first: dict[int, int] = {}
    for i, mask in enumerate(masks):
        total[mask] += int(visits[i])
        code[mask] = max(code.get(mask, UNJUDGED), int(codes[i]))
        first.setdefault(mask, i)
    lowest = columns[0].min()
    steps = np.round((columns[0] - lowest) / TIE) if np.isfinite(lowest) else columns[0]
    unique = sorted(first, key=lambda mask: (steps[first[mask]], mask.bit_count(), mask))
    rows = [first[mask] for mask in unique]
    values, deviance, log_n0, variance = (column[rows] for column in columns)
    return Visited(
        tuple(_term_set(mask, n_lists, without) for mask in unique),
        values,
        deviance,
        np.exp(log_n0),
        variance,
        np.array([code[mask] for mask in unique]),
        np.array([total[mask] for mask in unique]),
    )


def _term_set(mask: int, n_lists: int, without: int) -> int:
    """Code of a model with a bit a term, as everywhere outside this module."""
    pairs = pairs_of(n_lists, without)
    singles = sum(1 << (1 << i) for i in range(n_lists)) | 1
    return singles | sum(1 << int(pairs[k]) for k in bit_positions(mask))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether chains from different starts tell the same; the first half of each is left out of the last two.

    Attributes
    ----------
    best : tuple of int
        Term set of the best admissible model of each chain, 0 where it found none.
    found_best : int
        Chains that found the best of all.
    rhat : float
        Split R-hat of the logarithm of the dark figure of the current model; nan where a chain never found an
        admissible model.
    total_variation : float
        Largest between two chains' shares of time at the models most visited, all others as one.
    """

    best: tuple[int, ...]
    found_best: int
    rhat: float
    total_variation: float

    @property
    def agree(self) -> bool:
        """Whether every chain found the same best model and spent its time alike."""
        return (
            self.found_best == len(self.best)
            and self.rhat < LARGEST_RHAT
            and self.total_variation < LARGEST_VARIATION
        )


def agreement(chains: Sequence[Walk], n_lists: int, without: int = 0) -> Agreement:
    """Compare chains from different starts.

    Parameters
    ----------
    chains : sequence of Walk
        Of the same number of steps, at least 4.
    n_lists : int

    Returns
    -------
    Agreement

    References
    ----------
    Gelman, A. et al. (2013). Bayesian Data Analysis, 3rd ed., section 11.4.
    """
    found = [chain for chain in chains if chain.best >= 0]
    winners = [chain.masks[chain.best] for chain in found]
    first = min(
        zip((chain.values[chain.best] for chain in found), winners, strict=True), default=(np.inf, -1)
    )
    late = [_late(chain) for chain in chains]
    judged = all(np.all(chain.codes[rows] == ADMISSIBLE) for chain, rows in zip(chains, late, strict=True))
    traces = np.array([chain.log_n0[rows] for chain, rows in zip(chains, late, strict=True)])
    shares = [
        Counter(chain.masks[row] for row in rows.tolist()) for chain, rows in zip(chains, late, strict=True)
    ]
    return Agreement(
        tuple(
            _term_set(chain.masks[chain.best], n_lists, without) if chain.best >= 0 else 0 for chain in chains
        ),
        winners.count(first[1]),
        split_rhat(traces) if judged else float("nan"),
        _largest_variation(shares),
    )


def _late(chain: Walk) -> Ints:
    return chain.trace[len(chain.trace) - (len(chain.trace) - 1) // 2 :]


def split_rhat(traces: Floats) -> float:
    """Give the potential scale reduction of chains, each cut in two.

    Parameters
    ----------
    traces : ndarray, shape (n_chains, n_steps)

    Returns
    -------
    float
        1 when nothing varies; inf when the chains stand still at different values.

    Examples
    --------
    >>> split_rhat(np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0]]))
    inf
    """
    half = traces.shape[1] // 2
    pieces = np.concatenate([traces[:, :half], traces[:, traces.shape[1] - half :]])
    within = float(pieces.var(axis=1, ddof=1).mean())
    between = float(pieces.mean(axis=1).var(ddof=1))
    if within == 0.0:
        return 1.0 if between == 0.0 else float("inf")
    return float(np.sqrt((half - 1) / half + between / within))


def _largest_variation(shares: Sequence[Counter[int]]) -> float:
    """Largest total variation between two chains over the models most visited by all."""
    together: Counter[int] = Counter()
    for share in shares:
        together.update(share)
    top = [mask for mask, _ in sorted(together.items(), key=lambda item: (-item[1], item[0]))[:TOP_MODELS]]
    rows = []
    for share in shares:
        row = np.array([share[mask] for mask in top], dtype=np.float64) / share.total()
        rows.append(np.append(row, 1.0 - row.sum()))
    return max((0.5 * float(np.abs(a - b).sum()) for a, b in combinations(rows, 2)), default=0.0)
