"""What a reader of a latent class posterior asks for: classes in use, hidden share, how the ladder was climbed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.bayes.cell_groups import CELL_SHARES, MOST_VALUES, cell_groups, shares_of_seen
from hiddenpop.bayes.convergence import Convergence, convergence
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.outcome import median_and_limits
from hiddenpop.estimators.prepare import ListCells
from hiddenpop.kernels.hamiltonian import Tempered
from hiddenpop.kernels.latent_class import (
    LatentClassData,
    SizeDraws,
    cell_probabilities,
    class_weights,
    hidden_share,
)
from hiddenpop.result import Diagnostic

__all__ = ["PROTECTED", "Posterior", "details_of", "diagnostics_of", "measured"]


PROTECTED = ("classes", "hidden_share")
"""Details from which the counts of small cells could be worked out."""

ALL_IN_USE = 0.9


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Posterior:
    """All that was drawn, and what from.

    Attributes
    ----------
    counts : ListCells
    data : LatentClassData
    parameters : ndarray, shape (chains, draws, p)
    drawn : SizeDraws
        Of shape (chains, draws).
    n_divergent : int
        At power 1.
    n_sweeps : int or None
        Sweeps a draw; None without tempering.
    betas : ndarray, shape (temps,), or None
        Powers of the likelihood; None without tempering.
    climb : Tempered or None
    """

    counts: ListCells
    data: LatentClassData
    parameters: Floats
    drawn: SizeDraws
    n_divergent: int
    n_sweeps: int | None = None
    betas: Floats | None = None
    climb: Tempered | None = None

    @property
    def sizes(self) -> Floats:
        """Draws of N, in persons; shape (chains, draws)."""
        return self.drawn.sizes

    @property
    def round_trips(self) -> int | None:
        """Round trips of all chains; None without tempering."""
        return None if self.climb is None else int(self.climb.round_trips.sum())

    @property
    def classes(self) -> float:
        """Average number of classes to which a person of the population belongs."""
        with np.errstate(all="ignore"):
            weights = class_weights(self.parameters, self.data.n_classes)
            empty = np.exp(self.sizes[..., None] * np.log1p(-np.minimum(weights, 1.0)))
        return float((1.0 - empty).sum(axis=-1).mean())


def measured(found: Posterior) -> Convergence:
    """Measure how well the chains agree.

    What a failed trajectory could not reach, exchanges with lower powers can: tempering is judged by its round trips,
    not by divergences.

    Parameters
    ----------
    found : Posterior

    Returns
    -------
    Convergence
    """
    divergent = None if found.climb else found.n_divergent
    return convergence(found.sizes, n_divergent=divergent, round_trips=found.round_trips)


def details_of(found: Posterior, level: float, rng: np.random.Generator) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    found : Posterior
    level : float
    rng : Generator
        For tables drawn again.

    Returns
    -------
    dict
    """
    with np.errstate(all="ignore"):
        hidden, _ = hidden_share(found.parameters, found.data.n_classes)
    details: dict[str, Any] = {
        "dropped_lists": list(found.counts.dropped),
        "classes": found.classes,
        "hidden_share": median_and_limits(hidden, level),
        "idata": _idata(found, hidden, rng),
    }
    if found.climb is None or found.betas is None:
        return details
    return details | {
        "powers": found.betas.tolist(),
        "swap_rates": found.climb.swap_rates.tolist(),
        "acceptance": found.climb.accept.tolist(),
        "n_sweeps": found.n_sweeps,
        "n_divergent": found.n_divergent,
        "round_trips": found.climb.round_trips.tolist(),
    }


def _idata(found: Posterior, hidden: Floats, rng: np.random.Generator) -> Any:
    held, groups = {"N": found.sizes, "hidden_share": hidden}, {}
    n_cells = 2**found.counts.n_lists - 1
    if found.sizes.size * n_cells <= MOST_VALUES:
        seen = np.zeros(n_cells)
        seen[found.counts.histories - 1] = found.counts.counts
        by_chain = [cell_probabilities(chain, found.data.n_classes)[..., 1:] for chain in found.parameters]
        cells = np.stack(by_chain)
        groups = cell_groups(found.drawn.expected[..., None] * cells, seen, rng)
        held[CELL_SHARES] = shares_of_seen(cells)
    return inference_data(held, groups=groups)


def diagnostics_of(found: Posterior) -> list[Diagnostic]:
    """Say what to beware of.

    Parameters
    ----------
    found : Posterior

    Returns
    -------
    list of Diagnostic
    """
    remarks = list(found.counts.diagnostics)
    n_classes = found.data.n_classes
    if n_classes > 1 and found.classes > ALL_IN_USE * n_classes:
        message = (
            f"{found.classes:.1f} of {n_classes} classes are in use on average: a larger n_classes could change the "
            f"answer"
        )
        remarks.append(Diagnostic("classes_used_up", "warning", message, round(found.classes, 2)))
    return remarks
