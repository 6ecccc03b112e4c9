"""Exact search of the space of models: the best by branch and bound, and all that carry weight."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.estimators.search import Rule, Tried, default_order, evaluate
from hiddenpop.kernels.best_models import best_models, penalties
from hiddenpop.model import MAX_ENUMERATED_LISTS, HierarchicalModel, enumerate_models

__all__ = ["MAX_EXACT_LISTS", "Proof", "exact", "models_by_size", "weighty"]

MAX_EXACT_LISTS = 9
"""The bound of the whole space fits its largest model: 500 parameters at nine lists."""

WIDEST_WINDOW = 80.0


@dataclass(frozen=True, slots=True)
class Proof:
    """What a search by branch and bound has shown.

    Attributes
    ----------
    n_fits : int
    finished : bool
        Whether the whole space was covered.
    gap : float
        How far below the best model found another could lie; 0 when the search was finished.
    """

    n_fits: int
    finished: bool
    gap: float


def exact(
    data: ListCounts, rule: Rule, max_order: int | None, window: float, max_fits: int
) -> tuple[Tried, Proof]:
    """Find the models within a distance of the best of the whole space, by branch and bound.

    Parameters
    ----------
    data : ListCounts
    rule : Rule
        Must count every nominal parameter.
    max_order : int, optional
        Every order by default.
    window : float
        Distance from the best admissible model; inadmissible models below it are found too.
    max_fits : int

    Returns
    -------
    tried : Tried
    proof : Proof
    """
    _refuse_proof(data, max_order)
    found = best_models(
        data.counts,
        data.n_lists,
        criterion=rule.criterion,
        max_order=max_order,
        exists=rule.admissible == "exists",
        window=window,
        max_fits=max_fits,
        offset=data.offset,
        without=data.without,
    )
    # Where no model has a finite criterion, the main effects stand for the space.
    tried = evaluate(data, found.term_sets or (HierarchicalModel.independence(data.n_lists).term_set,))
    best = float(found.values[found.admissible].min()) if found.admissible.any() else np.inf
    gap = 0.0 if found.finished else max(0.0, best - found.proven)
    return tried, Proof(found.n_fits, found.finished, gap)


def _refuse_proof(data: ListCounts, max_order: int | None) -> None:
    """Refuse branch and bound where its largest model is out of reach."""
    if data.n_lists > MAX_EXACT_LISTS and (max_order is None or max_order > 2):
        raise CapabilityError(
            f"{data.n_lists} lists are too many to prove the best model of the whole space, which takes fits of nearly "
            f'2**{data.n_lists} parameters; use search="mc3", or merge lists down to {MAX_EXACT_LISTS}'
        )


@cache
def models_by_size(n_lists: int, max_order: int) -> tuple[int, ...]:
    """Count the models of a space by their number of parameters; element p counts those with p.

    Raises
    ------
    CapabilityError
        For more than six lists beyond two-list terms, whose models have not been counted.

    Examples
    --------
    >>> models_by_size(3, 2)
    (0, 0, 0, 0, 1, 3, 3, 1)
    """
    if max_order <= 2:
        pairs = math.comb(n_lists, 2) if max_order == 2 else 0
        return (0,) * (n_lists + 1) + tuple(math.comb(pairs, k) for k in range(pairs + 1))
    if n_lists > MAX_ENUMERATED_LISTS:
        raise CapabilityError(
            f"the models of {n_lists} lists up to order {max_order} have not been counted by size, which bounds the "
            f"weight outside a window; use max_order=2"
        )
    counts = np.zeros((1 << n_lists) + 1, dtype=np.int64)
    for block in enumerate_models(n_lists, max_order=max_order):
        counts += np.bincount(np.bitwise_count(block), minlength=len(counts))
    return tuple(int(c) for c in counts)


def weighty(
    data: ListCounts, rule: Rule, max_order: int | None, share: float, max_fits: int
) -> tuple[Tried, Proof, float]:
    """Find the models that hold all but a share of the weight ``exp(-criterion / 2)`` of a space.

    Returns
    -------
    tried : Tried
    proof : Proof
    outside : float
        Bound for the weight of all models that are not listed, relative to that of the best one.

    Notes
    -----
    Beyond a distance w from the best there are at most as many models of each size as the space has, each with a
    criterion of at least its own penalty and of at least w above the best.
    """
    _refuse_proof(data, max_order)
    order = default_order(data.n_lists, max_order)
    sizes = np.array(models_by_size(data.n_lists, order), dtype=np.float64)
    best = best_models(
        data.counts,
        data.n_lists,
        criterion=rule.criterion,
        max_order=order,
        exists=rule.admissible == "exists",
        offset=data.offset,
        without=data.without,
    )
    penalty = penalties(rule.criterion, len(data.counts), data.n_observed)[: len(sizes)]
    above = penalty - float(best.values[best.admissible].min(initial=np.inf))
    window, outside = 0.0, np.inf
    while outside > share and window < WIDEST_WINDOW:
        window += 1.0
        outside = float(sizes @ np.exp(-np.maximum(above, window) / 2.0))
    tried, proof = exact(data, rule, order, window, max_fits)
    return tried, proof, outside if proof.finished else math.inf
