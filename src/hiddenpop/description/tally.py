"""The models of a table, counted by what they say of the dark figure, and how far the good ones disagree."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.estimators.outcome import criteria_of, terms_of
from hiddenpop.estimators.prepare import ListCells, ListCounts
from hiddenpop.histories import decode
from hiddenpop.kernels.poisson.faces import face_of_model, faces_of_batch
from hiddenpop.kernels.poisson.model_fit import saturated_constant
from hiddenpop.kernels.poisson.plain import (
    MOST_LISTS,
    BatchFit,
    LatticeFit,
    fit_batch,
    fit_one,
    independent_terms,
    ranks_of_people,
    superset_sums,
)
from hiddenpop.model import MAX_ENUMERATED_LISTS, HierarchicalModel, enumerate_models, notations

if TYPE_CHECKING:
    from hiddenpop.kernels.search.best_models import BestModels

__all__ = [
    "STATUSES",
    "FittedModels",
    "Spread",
    "count_by_order",
    "fit_closed_forms",
    "fit_space",
    "spread_of",
]

STATUSES = ("ok", "unbounded", "boundary", "not_identified", "not_converged")

EVERY_ORDER_LISTS = 5
"""Five lists have 6,893 models, fitted in a tenth of a second; six have 7.8 million."""

CELLS_FITTED, FEWEST_FITS, MOST_FITS = 40_000 << 8, 500, 60_000
"""Budget of one exact search, as fits times cells: 40,000 for eight lists, seconds where persons are few."""

WITHOUT_ANSWER = 20
"""Models without a finite answer that are looked at closer; of sparse tables there are thousands."""

CLOSE = 2.0
"""Units of a criterion within which a model is about as good as the best (Raftery 1995, doi:10.2307/271063)."""


@dataclass(frozen=True, slots=True)
class FittedModels:
    """Models fitted to one table; every array has one element a model, independence first.

    Attributes
    ----------
    space : str
        Which models they are, in words.
    order : ndarray of int
        Size of the largest term.
    status : ndarray of str
        What the data say of the dark figure under the model.
    n0 : ndarray of float
        The dark figure; a number only where the status is ``"ok"``.
    criteria : dict of str to ndarray
        BIC and AIC, over the observed persons; empty where models are not judged because lists are too many.
    notation : callable
        Writes the model at a position in brackets.
    n_space : int
        Models in the space.
    n_looked_at : int
        Those of them that were fitted.
    judged : bool
        Whether every model close to the best of the space is known to be here.
    """

    space: str
    order: npt.NDArray[np.int64]
    status: npt.NDArray[np.str_]
    n0: Floats
    criteria: dict[str, Floats]
    notation: Callable[[int], str]
    n_space: int
    n_looked_at: int
    judged: bool

    def __len__(self) -> int:
        return len(self.order)


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the models close to the best one disagree.

    Attributes
    ----------
    criterion : {"bic", "aic"}
    n_models : int
        Models with a finite answer within 2 units of the best of them.
    best_model, low_model, high_model : str
        The best model, and those with the smallest and largest answer.
    best, low, high : float
        Their estimates of the population size, in persons.
    ratio : float
        Largest over smallest dark figure.
    n_better_without_answer : int
        Models with a better criterion than the best that have no finite answer.
    """

    criterion: str
    n_models: int
    best_model: str
    best: float
    low_model: str
    low: float
    high_model: str
    high: float
    ratio: float
    n_better_without_answer: int


def fit_space(data: ListCounts) -> FittedModels:
    """Fit the models that a table's number of lists allows to try.

    Parameters
    ----------
    data : ListCounts
        Of at least two lists.

    Returns
    -------
    FittedModels
        Every hierarchical model up to five lists, those of two-list terms for six, and for more lists independence
        and the models of two-list terms that an exact search finds to be close to the best.
    """
    return _fit_enumerated(data) if data.n_lists <= MAX_ENUMERATED_LISTS else _search(data)


def fit_closed_forms(data: ListCells) -> FittedModels:
    """Fit what has a closed form on any number of lists: independence, and one pair in an interaction.

    Parameters
    ----------
    data : ListCells

    Returns
    -------
    FittedModels
        Not judged: nothing says that a model close to the best is among them.
    """
    from hiddenpop.kernels.poisson.list_groups import dark_figure

    on = decode(data.histories, data.n_lists).astype(np.float64)
    held = (on.T * data.counts) @ on
    sizes = held.diagonal()
    pairs = list(itertools.combinations(range(data.n_lists), 2))
    pair_bits = [1 << i | 1 << j for i, j in pairs]
    groups = [sizes]
    for i, j in pairs:
        groups.append(np.append(np.delete(sizes, [i, j]), sizes[i] + sizes[j] - held[i, j]))
    found = [dark_figure(float(data.n_observed), group) for group in groups]
    independence = HierarchicalModel.independence(data.n_lists).generators
    return FittedModels(
        space="independence, and independence with one pair in an interaction; so many lists have too many models to "
        "compare",
        order=np.array([1] + [2] * len(pairs)),
        status=np.array([status for status, _, _ in found]),
        n0=np.array([n0 for _, n0, _ in found]),
        criteria={},
        notation=lambda i: str(HierarchicalModel(data.n_lists, (*independence, *pair_bits[:i][-1:]))),
        n_space=1 << len(pairs),
        n_looked_at=len(groups),
        judged=False,
    )


def _fit_enumerated(data: ListCounts) -> FittedModels:
    whole = data.n_lists <= EVERY_ORDER_LISTS
    blocks = enumerate_models(data.n_lists, max_order=None if whole else 2)
    term_sets = np.concatenate(list(blocks))
    fit = _fit_all(data.counts, term_sets, data.n_lists)
    status = _statuses(data.counts, term_sets, data.n_lists)
    return FittedModels(
        space="every hierarchical model" if whole else "every model of two-list terms",
        order=_orders(term_sets, data.n_lists),
        status=np.where((status == "ok") & ~fit.converged, "not_converged", status),
        n0=fit.n0,
        criteria=_criteria(data, fit.deviance, fit.n_parameters),
        notation=lambda i: notations(term_sets[i : i + 1], data.n_lists)[0],
        n_space=len(term_sets),
        n_looked_at=len(term_sets),
        judged=True,
    )


def _fit_all(counts: Floats, term_sets: npt.NDArray[np.uint64], n_lists: int) -> BatchFit:
    """Fit the models in numpy where that takes less time than to get a compiler going."""
    if n_lists <= MOST_LISTS:
        return fit_batch(counts, term_sets, n_lists)
    from hiddenpop.kernels.poisson import lattice

    return lattice.fit_batch(counts, term_sets, n_lists)


def _statuses(counts: Floats, term_sets: npt.NDArray[np.uint64], n_lists: int) -> npt.NDArray[np.str_]:
    """Judge many models; the costly search for a face is only made where the cells with people leave N open."""
    _, settled = ranks_of_people(counts, superset_sums(counts, n_lists), term_sets)
    status = np.full(len(term_sets), "ok", dtype="<U14")
    status[~settled] = faces_of_batch(counts, term_sets[~settled], n_lists).status
    return status


def _search(data: ListCounts) -> FittedModels:
    """Search the models of two-list terms by branch and bound, which fits some thousand of millions."""
    from hiddenpop.kernels.search.best_models import best_models

    budget = min(max(FEWEST_FITS, CELLS_FITTED >> data.n_lists), MOST_FITS)
    searches = [
        best_models(
            data.counts, data.n_lists, criterion=criterion, max_order=2, window=CLOSE, max_fits=budget
        )
        for criterion in ("bic", "aic")
    ]
    independence = HierarchicalModel.independence(data.n_lists).term_set
    models = [
        HierarchicalModel.from_term_set(term_set, data.n_lists)
        for term_set in dict.fromkeys((independence, *_listed(searches[0]), *_listed(searches[1])))
    ]
    fits = [_fit(data.counts, terms_of(model), data.n_lists) for model in models]
    n_parameters = np.array([model.n_parameters for model in models])
    return FittedModels(
        space="models of two-list terms, those within 2 units of the best by BIC or AIC",
        order=np.array([model.order for model in models]),
        status=np.array([status for status, _ in fits]),
        n0=np.array([fit.means[0] for _, fit in fits]),
        criteria=_criteria(data, np.array([fit.deviance for _, fit in fits]), n_parameters),
        notation=lambda i: str(models[i]),
        n_space=1 << math.comb(data.n_lists, 2),
        n_looked_at=max(found.n_fits for found in searches),
        judged=all(found.finished for found in searches),
    )


def _listed(found: "BestModels") -> list[int]:
    """Give the models close to the best, and of those without an answer the first, because to judge one takes long."""
    allowed = found.admissible
    wanted = allowed | (np.cumsum(~allowed) <= WITHOUT_ANSWER)
    return [found.term_sets[row] for row in np.flatnonzero(wanted)]


def _fit(counts: Floats, terms: npt.NDArray[np.int64], n_lists: int) -> tuple[str, LatticeFit]:
    """Fit one model, and judge it as `_statuses` does."""
    fit = fit_one(counts, np.arange(len(counts)) > 0, terms, n_lists)
    if independent_terms(np.flatnonzero(counts > 0), terms)[-1]:
        return "ok" if fit.converged else "not_converged", fit
    return face_of_model(counts, terms, n_lists).status, fit


def _criteria(data: ListCounts, deviance: Floats, n_parameters: npt.NDArray[np.int64]) -> dict[str, Floats]:
    criteria = criteria_of(deviance + saturated_constant(data.counts), n_parameters, data.n_observed)
    return {name: criteria[name] for name in ("bic", "aic")}


def _orders(term_sets: npt.NDArray[np.uint64], n_lists: int) -> npt.NDArray[np.int64]:
    """Size of the largest term of each model."""
    order = np.ones(len(term_sets), dtype=np.int64)
    for size in range(2, n_lists):
        terms = sum(1 << term for term in range(1 << n_lists) if term.bit_count() == size)
        order[(term_sets & np.uint64(terms)) != 0] = size
    return order


def count_by_order(models: FittedModels) -> pd.DataFrame:
    """Count models by order and status.

    Returns
    -------
    DataFrame
        One row an order, columns ``order``, ``n_models`` and one a status.
    """
    rows = []
    for order in np.unique(models.order):
        status = models.status[models.order == order]
        counted = {name: int((status == name).sum()) for name in STATUSES}
        rows.append({"order": int(order), "n_models": len(status), **counted})
    return pd.DataFrame(rows, columns=["order", "n_models", *STATUSES])


def spread_of(models: FittedModels, criterion: str, n_observed: int) -> Spread | None:
    """Measure the spread of the answers near the best; None when no model has a finite one."""
    ok = models.status == "ok"
    if not ok.any():
        return None
    values = models.criteria[criterion]
    finite = np.flatnonzero(ok)
    best = int(finite[np.argmin(values[finite])])
    close = finite[values[finite] <= values[best] + CLOSE]
    low, high = int(close[np.argmin(models.n0[close])]), int(close[np.argmax(models.n0[close])])
    n0 = models.n0
    return Spread(
        criterion=criterion,
        n_models=len(close),
        best_model=models.notation(best),
        best=n_observed + float(n0[best]),
        low_model=models.notation(low),
        low=n_observed + float(n0[low]),
        high_model=models.notation(high),
        high=n_observed + float(n0[high]),
        ratio=_ratio(float(n0[high]), float(n0[low])),
        n_better_without_answer=int(np.sum(~ok & (values < values[best]))),
    )


def _ratio(high: float, low: float) -> float:
    """Ratio of two dark figures; of a positive one to none at all it is infinite."""
    if low > 0.0:
        return high / low
    return math.inf if high > 0.0 else 1.0
