"""The models of a table, counted by what they say of the dark figure, and how far the good ones disagree."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.estimators.criteria import criteria_of
from hiddenpop.estimators.outcome import terms_of
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.faces import face_of_model, faces_of_batch
from hiddenpop.kernels.lattice import LatticeFit, fit_batch, fit_one, superset_sums
from hiddenpop.kernels.model_fit import saturated_constant
from hiddenpop.kernels.rank import full_rank_batch, independent_terms
from hiddenpop.model import MAX_ENUMERATED_LISTS, HierarchicalModel, enumerate_models, notations

__all__ = ["STATUSES", "FittedModels", "Spread", "count_by_order", "fit_space", "spread_of"]

STATUSES = ("ok", "unbounded", "boundary", "not_identified", "not_converged")

EVERY_ORDER_LISTS = 5
"""Five lists have 6,893 models, fitted in a tenth of a second; six have 7.8 million."""

CLOSE = 2.0
"""Units of a criterion within which a model is about as good as the best (Raftery 1995, doi:10.2307/271063)."""

Floats = npt.NDArray[np.float64]


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
        BIC and AIC, over the observed persons.
    notation : callable
        Writes the model at a position in brackets.
    """

    space: str
    order: npt.NDArray[np.int64]
    status: npt.NDArray[np.str_]
    n0: Floats
    criteria: dict[str, Floats]
    notation: Callable[[int], str]

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
        and the models with one two-list term.
    """
    return _fit_enumerated(data) if data.n_lists <= MAX_ENUMERATED_LISTS else _fit_one_pair(data)


def _fit_enumerated(data: ListCounts) -> FittedModels:
    whole = data.n_lists <= EVERY_ORDER_LISTS
    blocks = enumerate_models(data.n_lists, max_order=None if whole else 2)
    term_sets = np.concatenate(list(blocks))
    fit = fit_batch(data.counts, term_sets, data.n_lists)
    status = _statuses(data.counts, term_sets, data.n_lists)
    return FittedModels(
        space="every hierarchical model" if whole else "every model of two-list terms",
        order=_orders(term_sets, data.n_lists),
        status=np.where((status == "ok") & ~fit.converged, "not_converged", status),
        n0=fit.n0,
        criteria=_criteria(data, fit.deviance, fit.n_parameters),
        notation=lambda i: notations(term_sets[i : i + 1], data.n_lists)[0],
    )


def _statuses(counts: Floats, term_sets: npt.NDArray[np.uint64], n_lists: int) -> npt.NDArray[np.str_]:
    """Judge many models; the costly search for a face is only made where the cells with people leave N open."""
    settled = full_rank_batch(counts, superset_sums(counts, n_lists), term_sets)
    positive = np.flatnonzero(counts > 0)
    for m in np.flatnonzero(~settled):
        terms = np.array([*bit_positions(int(term_sets[m]))[1:], 0], dtype=np.int64)
        settled[m] = independent_terms(positive, terms)[-1]
    status = np.full(len(term_sets), "ok", dtype="<U14")
    status[~settled] = faces_of_batch(counts, term_sets[~settled], n_lists).status
    return status


def _fit_one_pair(data: ListCounts) -> FittedModels:
    t = data.n_lists
    mains = HierarchicalModel.independence(t).generators
    pairs = [1 << i | 1 << j for i in range(t) for j in range(i + 1, t)]
    models = [HierarchicalModel(t, mains), *(HierarchicalModel(t, (*mains, pair)) for pair in pairs)]
    fits = [_fit(data.counts, terms_of(model), t) for model in models]
    n_parameters = np.array([model.n_parameters for model in models])
    return FittedModels(
        space="independence and the models with one two-list term; more are out of reach with so many lists",
        order=np.array([model.order for model in models]),
        status=np.array([status for status, _ in fits]),
        n0=np.array([fit.means[0] for _, fit in fits]),
        criteria=_criteria(data, np.array([fit.deviance for _, fit in fits]), n_parameters),
        notation=lambda i: str(models[i]),
    )


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
