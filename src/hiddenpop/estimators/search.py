"""Searches of the space of hierarchical models: everything, stepwise by p-value or AIC, and downhill."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy
from scipy.stats import poisson

from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.criteria import criteria_of
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.histories import bit_positions, subset_order
from hiddenpop.kernels.faces import face_of_model, faces_of_batch
from hiddenpop.kernels.lattice import BatchFit, LatticeFit, fit_batch, fit_one
from hiddenpop.kernels.model_fit import fit_model, saturated_constant
from hiddenpop.model import (
    MAX_ENUMERATED_LISTS,
    HierarchicalModel,
    enumerate_models,
    model_space_size,
    notations,
)
from hiddenpop.parallel import run_blocks

__all__ = [
    "Rule",
    "Tried",
    "default_order",
    "downhill",
    "exhaustive",
    "forward_pairs",
    "stepwise_p",
]

MODELS_KEPT = 1 << 15
"""Of a larger space only the best this many models are judged; up to five lists, and order 2 of six, keep all."""


TIE = 1e-7
"""Criteria closer than this are equal but for rounding."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How models are ranked and which may win.

    Attributes
    ----------
    criterion : {"bic", "aic", "aicc"}
    count : {"all", "rank"}
        Whether the penalty counts every nominal parameter or only those that the data determine.
    admissible : {"finite", "exists"}
        Whether a model may win when its dark figure is finite and unique, or only when it passes the stricter
        existence test of the extended maximum likelihood literature.
    """

    criterion: str
    count: str = "all"
    admissible: str = "finite"


@dataclass(frozen=True, slots=True)
class Tried:
    """Models that were fitted to one table, one element of every array a model.

    Attributes
    ----------
    term_sets : ndarray of object
        Python integers whose bit ``theta`` is set when the model holds term ``theta``.
    deviance, n0, log_n0_variance : ndarray of float
    n_parameters, rank : ndarray of int
    status : ndarray of str
    exists : ndarray of bool
    """

    term_sets: npt.NDArray[np.object_]
    deviance: npt.NDArray[np.float64]
    n0: npt.NDArray[np.float64]
    log_n0_variance: npt.NDArray[np.float64]
    n_parameters: npt.NDArray[np.int64]
    rank: npt.NDArray[np.int64]
    status: npt.NDArray[np.str_]
    exists: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.term_sets)

    def take(self, rows: Any) -> "Tried":
        """Pick models by position or mask."""
        return Tried(*(getattr(self, f.name)[rows] for f in fields(self)))

    def admissible(self, rule: Rule) -> npt.NDArray[np.bool_]:
        """Say which models may win."""
        return self.exists if rule.admissible == "exists" else self.status == "ok"

    def eligible(self, data: ListCounts, rule: Rule) -> npt.NDArray[np.bool_]:
        """Say which models may win and have a finite criterion, which AICc has not for too few persons."""
        return self.admissible(rule) & np.isfinite(self.criteria(data, rule.count)[rule.criterion])

    def criteria(self, data: ListCounts, count: str) -> dict[str, npt.NDArray[np.float64]]:
        """Give BIC, AIC and AICc of every model."""
        parameters = self.n_parameters if count == "all" else self.rank
        return criteria_of(self.deviance + saturated_constant(data.counts), parameters, data.n_observed)

    def ranked(self, data: ListCounts, rule: Rule) -> "Tried":
        """Sort by the criterion; equals by size and then by their terms, so that the winner never hangs on rounding."""
        values = self.criteria(data, rule.count)[rule.criterion]
        finite = np.isfinite(values)
        lowest = values[finite].min() if finite.any() else 0.0
        steps = np.where(finite, np.round((values - lowest) / TIE), np.inf)
        by_terms = np.argsort(np.argsort(self.term_sets))
        return self.take(np.lexsort((by_terms, self.n_parameters, steps)))

    def labels(self, n_lists: int) -> list[str]:
        """Write the models in bracket notation."""
        if n_lists <= MAX_ENUMERATED_LISTS:
            return notations(self.term_sets.astype(np.uint64), n_lists)
        return [str(HierarchicalModel.from_term_set(s, n_lists)) for s in self.term_sets]


def default_order(n_lists: int, max_order: int | None) -> int:
    """Largest term searched: every order up to five lists and two-list terms beyond, unless told otherwise."""
    limit = n_lists - 1
    if max_order is not None:
        return min(max_order, limit)
    return limit if n_lists <= 5 else 2


def exhaustive(data: ListCounts, rule: Rule, max_order: int | None) -> tuple[Tried, int]:
    """Fit every hierarchical model up to an order.

    Returns
    -------
    tried : Tried
        All models, or of a very large space the best `MODELS_KEPT` by the criterion.
    n_models : int
        How many were fitted.

    Raises
    ------
    CapabilityError
        For more than six lists.
    """
    t = data.n_lists
    if t > MAX_ENUMERATED_LISTS:
        raise CapabilityError(_refusal(t, max_order))
    blocks = enumerate_models(t, max_order=default_order(t, max_order))
    fixed = np.uint64(data.without)
    fitted = run_blocks(
        _best_of_block,
        [
            _Block(data.counts, block[block & fixed == 0], t, rule.criterion, data.n_observed, data.offset)
            for block in blocks
        ],
        label=f"models of {t} lists",
    )
    values = np.concatenate([value for _, value, _ in fitted])
    kept, _ = _best(np.concatenate([term_sets for term_sets, _, _ in fitted]), values)
    n_models = sum(size for _, _, size in fitted)
    return evaluate(data, kept), n_models


@dataclass(frozen=True, slots=True)
class _Block:
    """Models to fit to one table, as a block of work."""

    counts: npt.NDArray[np.float64]
    term_sets: npt.NDArray[np.uint64]
    n_lists: int
    criterion: str
    n_observed: int
    offset: npt.NDArray[np.float64] | None


def _best_of_block(block: _Block) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float64], int]:
    """Fit a block of models; give the best of them with their criterion, and how many were fitted."""
    fit = fit_batch(block.counts, block.term_sets, block.n_lists, block.offset)
    values = criteria_of(fit.deviance, fit.n_parameters, block.n_observed)[block.criterion]
    return *_best(block.term_sets, values), len(block.term_sets)


def _best(
    term_sets: npt.NDArray[np.uint64], values: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float64]]:
    if len(values) <= MODELS_KEPT:
        return term_sets, values
    rows = np.argsort(values, kind="stable")[:MODELS_KEPT]
    return term_sets[rows], values[rows]


def _refusal(n_lists: int, max_order: int | None) -> str:
    size = model_space_size(n_lists, default_order(n_lists, max_order))
    spelled = f"{size:,}" if size is not None else "more than a million million"
    return (
        f"{n_lists} lists have {spelled} hierarchical models up to order {default_order(n_lists, max_order)}, too many "
        f'to fit one by one; use search="downhill", "stepwise_p" or "stepwise_aic", or merge lists of the same kind '
        f"down to {MAX_ENUMERATED_LISTS}"
    )


def evaluate(data: ListCounts, term_sets: Sequence[int] | npt.NDArray[np.uint64]) -> Tried:
    """Fit and judge models."""
    if data.n_lists <= MAX_ENUMERATED_LISTS:
        sets = np.asarray(term_sets, dtype=np.uint64)
        fit = fit_batch(data.counts, sets, data.n_lists, data.offset)
        faces = faces_of_batch(data.counts, sets, data.n_lists)
        tried = Tried(
            sets.astype(object),
            fit.deviance,
            fit.n0,
            fit.log_n0_variance,
            fit.n_parameters,
            faces.rank,
            faces.status,
            faces.exists,
        )
        _refit_exactly(data, tried, np.flatnonzero(_hurried(fit) & (faces.status == "ok")))
        return tried
    return _evaluate_one_by_one(data, [int(s) for s in term_sets])


def _hurried(fit: BatchFit) -> npt.NDArray[np.bool_]:
    """Fits that ran out of steps, or of digits for the variance."""
    return ~fit.converged | ~np.isfinite(fit.log_n0_variance)


def _refit_exactly(data: ListCounts, tried: Tried, rows: npt.NDArray[np.intp]) -> None:
    """Fit again, by the slower and more exact route, the models on which the quick one ran out of steps."""
    for row in rows:
        fit = fit_model(data.counts, _terms(int(tried.term_sets[row])), data.n_lists, data.offset)
        tried.deviance[row], tried.n0[row], tried.log_n0_variance[row] = (
            fit.deviance,
            fit.n0,
            fit.log_n0_variance,
        )
        if not fit.converged:
            tried.status[row], tried.exists[row] = "not_converged", False


def _evaluate_one_by_one(data: ListCounts, term_sets: list[int]) -> Tried:
    fits = [_fit(data, s) for s in term_sets]
    faces = [face_of_model(data.counts, _terms(s), data.n_lists) for s in term_sets]
    tried = Tried(
        np.array(term_sets, dtype=object),
        np.array([fit.deviance for fit in fits]),
        np.array([fit.means[0] for fit in fits]),
        np.array([fit.log_n0_variance for fit in fits]),
        np.array([s.bit_count() for s in term_sets]),
        np.array([face.rank for face in faces]),
        np.array([face.status for face in faces], dtype="<U14"),
        np.array([face.exists for face in faces], dtype=bool),
    )
    hurried = [
        row
        for row, fit in enumerate(fits)
        if faces[row].status == "ok" and not (fit.converged and np.isfinite(fit.log_n0_variance))
    ]
    _refit_exactly(data, tried, np.array(hurried, dtype=np.intp))
    return tried


def _terms(term_set: int) -> npt.NDArray[np.int64]:
    return np.array([*bit_positions(term_set)[1:], 0], dtype=np.int64)


def _fit(data: ListCounts, term_set: int) -> LatticeFit:
    use = np.ones(len(data.counts), dtype=bool)
    use[0] = False
    return fit_one(data.counts, use, _terms(term_set), data.n_lists, data.offset)


def _join(parts: Iterable[Tried]) -> Tried:
    collected = list(parts)
    return Tried(*(np.concatenate([getattr(part, f.name) for part in collected]) for f in fields(Tried)))


def _pairs(data: ListCounts) -> list[int]:
    """Two-list terms that are not fixed."""
    pairs = (1 << i | 1 << j for i in range(data.n_lists) for j in range(i))
    return sorted((pair for pair in pairs if not data.without >> pair & 1), key=subset_order)


def stepwise_p(data: ListCounts, rule: Rule, threshold: float) -> tuple[Tried, list[dict[str, Any]]]:
    """Add two-list terms by the Poisson p-value of their overlap (Chan, Silverman & Vincent 2021).

    From the main effects on, the overlap of each pair not in the model is compared with its fitted expectation by
    the smaller one-sided Poisson probability. The pair with the smallest one below `threshold` whose model is
    admissible enters; the search ends when there is none.

    Returns
    -------
    tried : Tried
        Every model that was judged; the last admissible one is the outcome.
    path : list of dict
        The steps: pair, observed and expected overlap, p-value.

    References
    ----------
    Chan, L., Silverman, B. W. and Vincent, K. (2021). Multiple systems estimation for sparse capture data. Journal of
    the American Statistical Association 116(535), 1297-1306. doi:10.1080/01621459.2019.1708748
    """
    current = HierarchicalModel.independence(data.n_lists).term_set
    rows, path = [evaluate(data, [current])], []
    while True:
        for p_value, pair, observed, expected in _surprising_pairs(data, current, threshold):
            tried = evaluate(data, [current | 1 << pair])
            rows.append(tried)
            if tried.admissible(rule)[0]:
                current |= 1 << pair
                step = {"pair": "*".join(data.lists[i] for i in bit_positions(pair))}
                path.append({**step, "observed": observed, "expected": expected, "p_value": p_value})
                break
        else:
            break
    return _winner_first(_join(rows), current), path


def _surprising_pairs(
    data: ListCounts, term_set: int, threshold: float
) -> list[tuple[float, int, float, float]]:
    """Pairs outside the model whose overlap has a p-value below the threshold, smallest first."""
    means = _fit(data, term_set).means
    cells = np.arange(len(means))
    found = []
    for pair in _pairs(data):
        if term_set >> pair & 1:
            continue
        on_both = cells & pair == pair
        observed, expected = float(data.counts[on_both].sum()), float(means[on_both].sum())
        p_value = float(min(poisson.cdf(observed, expected), poisson.sf(observed - 1, expected)))
        if p_value < threshold:
            surprise = float(xlogy(observed, observed / expected)) - observed + expected
            found.append((p_value, -surprise, pair, observed, expected))
    # Among p-values that are 0 to machine precision the larger deviance contribution comes first.
    return [(p_value, pair, observed, expected) for p_value, _, pair, observed, expected in sorted(found)]


def forward_pairs(data: ListCounts, rule: Rule) -> tuple[Tried, list[dict[str, Any]]]:
    """Add the two-list term that lowers the criterion most, until none does."""

    def larger(term_set: int) -> list[int]:
        return [term_set | 1 << pair for pair in _pairs(data) if not term_set >> pair & 1]

    return _climb_down(data, rule, larger)


def downhill(data: ListCounts, rule: Rule, max_order: int | None) -> tuple[Tried, list[dict[str, Any]]]:
    """From the main effects, move to the best neighbour until no neighbour is better.

    A neighbour has one term more or one term less and is hierarchical (Silverman, Chan & Vincent 2024).
    """
    order = default_order(data.n_lists, max_order)
    return _climb_down(data, rule, lambda term_set: _neighbours(term_set, data.n_lists, order, data.without))


def _neighbours(term_set: int, n_lists: int, max_order: int, without: int) -> list[int]:
    terms = set(bit_positions(term_set))
    larger = {term | 1 << i for term in terms for i in range(n_lists)} - terms
    free = [t for t in larger if not without >> t & 1]
    fit_in = [t for t in free if t.bit_count() <= max_order and _facets(t) <= terms]
    inside = {facet for term in terms for facet in _facets(term)}
    removable = [t for t in terms - inside if t.bit_count() >= 2]
    added = [term_set | 1 << t for t in sorted(fit_in, key=subset_order)]
    return added + [term_set & ~(1 << t) for t in sorted(removable, key=subset_order)]


def _facets(term: int) -> set[int]:
    return {term & ~(1 << i) for i in bit_positions(term)}


def _climb_down(
    data: ListCounts, rule: Rule, moves: Callable[[int], list[int]]
) -> tuple[Tried, list[dict[str, Any]]]:
    """Follow the best admissible move while the criterion falls."""
    current = HierarchicalModel.independence(data.n_lists).term_set
    rows, path = [evaluate(data, [current])], []
    best = _value(rows[0], data, rule)[0] if rows[0].eligible(data, rule)[0] else np.inf
    while candidates := moves(current):
        tried = evaluate(data, candidates)
        rows.append(tried)
        values = np.where(tried.eligible(data, rule), _value(tried, data, rule), np.inf)
        at = int(np.argmin(values))
        if not values[at] < best:
            break
        current, best = candidates[at], float(values[at])
        path.append(
            {"model": str(HierarchicalModel.from_term_set(current, data.n_lists)), rule.criterion: best}
        )
    return _winner_first(_join(rows), current), path


def _value(tried: Tried, data: ListCounts, rule: Rule) -> npt.NDArray[np.float64]:
    return tried.criteria(data, rule.count)[rule.criterion]


def _winner_first(tried: Tried, winner: int) -> Tried:
    """Keep each model once, the outcome of the search first."""
    first = {int(s): row for row, s in reversed(list(enumerate(tried.term_sets)))}
    rows = [first.pop(winner), *sorted(first.values())]
    return tried.take(np.array(rows))
