"""Exact search of the space of models: the best by branch and bound, and all that carry weight."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from hiddenpop.errors import CapabilityError, TableSizeError
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.estimators.search import Fits, Rule, as_term_sets, default_order, fit_models
from hiddenpop.kernels.best_models import BestModels, best_models, penalties
from hiddenpop.model import MAX_ENUMERATED_LISTS, HierarchicalModel, enumerate_models

__all__ = [
    "MAX_EXACT_LISTS",
    "Proof",
    "exact",
    "models_by_size",
    "refuse_proof",
    "refuse_uncounted",
    "weighty",
]

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
        Whether the best model of the space is proven.
    gap : float
        How far below the best model found another could lie; 0 when the search was finished.
    window : float
        Every model so near to the best has been found; others may have been found too.
    """

    n_fits: int
    finished: bool
    gap: float
    window: float = 0.0


def exact(
    data: ListCounts, rule: Rule, max_order: int | None, window: float, max_fits: int
) -> tuple[Fits, Proof]:
    """Find the best model of the whole space and those within a distance of it, by branch and bound.

    The best is proven first. What is left of the fits goes into the list of the others.

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
    fits : Fits
    proof : Proof
    """
    refuse_proof(data, max_order)
    best = _best_models(data, rule, max_order, 0.0, max_fits)
    lowest = float(best.values[best.admissible].min(initial=np.inf))
    gap = 0.0 if best.finished else max(0.0, lowest - best.proven)
    proof = Proof(best.n_fits, best.finished, gap)
    if not best.finished or best.n_fits >= max_fits or window <= 0.0:
        return _fits(data, [best]), proof
    try:
        near = _best_models(data, rule, max_order, window, max_fits - best.n_fits)
    except TableSizeError:  # more of them than can be listed
        return _fits(data, [best]), proof
    reached = window if near.finished else min(window, max(0.0, near.proven - lowest))
    return _fits(data, [near] if near.finished else [best, near]), replace(
        proof, n_fits=best.n_fits + near.n_fits, window=reached
    )


def _best_models(
    data: ListCounts, rule: Rule, max_order: int | None, window: float, max_fits: int
) -> BestModels:
    return best_models(
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


def _fits(data: ListCounts, found: Sequence[BestModels]) -> Fits:
    """Take over the fits of searches, each model once; where there are none, the main effects stand for the space."""
    term_sets = [term_set for part in found for term_set in part.term_sets]
    if not term_sets:
        return fit_models(data, (HierarchicalModel.independence(data.n_lists).term_set,))
    first = list({term_set: row for row, term_set in reversed(list(enumerate(term_sets)))}.values())
    figures = (
        np.concatenate([getattr(part, name) for part in found])[first]
        for name in ("deviance", "n0", "log_n0_variance", "converged")
    )
    return Fits(as_term_sets([term_sets[row] for row in first], data.n_lists), *figures)


def refuse_proof(data: ListCounts, max_order: int | None) -> None:
    """Refuse branch and bound where its largest model is out of reach."""
    if data.n_lists > MAX_EXACT_LISTS and (max_order is None or max_order > 2):
        raise CapabilityError(
            f"{data.n_lists} lists are too many to prove the best model of the whole space, which takes fits of nearly "
            f'2**{data.n_lists} parameters; take max_order=2 or search="mc3", or merge lists down to {MAX_EXACT_LISTS}'
        )


def refuse_uncounted(n_lists: int, max_order: int) -> None:
    """Refuse a space whose models nobody has counted by size.

    Raises
    ------
    CapabilityError
    """
    if n_lists > MAX_ENUMERATED_LISTS and max_order > 2:
        raise CapabilityError(
            f"the models of {n_lists} lists up to order {max_order} have not been counted by size, which bounds the "
            f"weight outside a window; use max_order=2"
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
    refuse_uncounted(n_lists, max_order)
    counts = np.zeros((1 << n_lists) + 1, dtype=np.int64)
    for block in enumerate_models(n_lists, max_order=max_order):
        counts += np.bincount(np.bitwise_count(block), minlength=len(counts))
    return tuple(int(c) for c in counts)


def weighty(
    data: ListCounts, rule: Rule, max_order: int | None, share: float, max_fits: int
) -> tuple[Fits, Proof, float]:
    """Find the models that hold all but a share of the weight ``exp(-criterion / 2)`` of a space.

    Returns
    -------
    fits : Fits
    proof : Proof
    outside : float
        Bound for the weight of all models that are not listed, relative to that of the best one.

    Notes
    -----
    Beyond a distance w from the best there are at most as many models of each size as the space has, each with a
    criterion of at least its own penalty and of at least w above the best.
    """
    refuse_proof(data, max_order)
    order = default_order(data.n_lists, max_order)
    sizes = np.array(models_by_size(data.n_lists, order), dtype=np.float64)
    best = _best_models(data, rule, order, 0.0, max_fits)
    penalty = penalties(rule.criterion, len(data.counts), data.n_observed)[: len(sizes)]
    above = penalty - float(best.values[best.admissible].min(initial=np.inf))
    window, outside = 0.0, np.inf
    while outside > share and window < WIDEST_WINDOW:
        window += 1.0
        outside = float(sizes @ np.exp(-np.maximum(above, window) / 2.0))
    near = _best_models(data, rule, order, window, max_fits)
    lowest = float(near.values[near.admissible].min(initial=np.inf))
    gap = 0.0 if near.finished else max(0.0, lowest - near.proven)
    proof = Proof(near.n_fits, near.finished, gap, window if near.finished else 0.0)
    return _fits(data, [near]), proof, outside if near.finished else math.inf
