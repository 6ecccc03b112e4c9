"""Searches of the space of hierarchical models: everything, stepwise by p-value or AIC, and downhill."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import pdtr, pdtrc, xlogy

from hiddenpop._typing import Bools, Floats
from hiddenpop.errors import CapabilityError, TableSizeError
from hiddenpop.estimators.outcome import criteria_of
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.histories import bit_positions, subset_order
from hiddenpop.kernels.poisson.faces import face_of_model, faces_of_batch
from hiddenpop.kernels.poisson.lattice import (
    LatticeFit,
    fit_batch,
    fit_one,
    independent_terms,
    ranks_of_people,
    superset_sums,
)
from hiddenpop.kernels.poisson.model_fit import fit_model, saturated_constant
from hiddenpop.kernels.search.best_models import BestModels, best_models, penalties
from hiddenpop.model import (
    MAX_ENUMERATED_LISTS,
    HierarchicalModel,
    enumerate_models,
    model_space_size,
    notations,
)
from hiddenpop.parallel import run_blocks

__all__ = [
    "CandidateModels",
    "Fits",
    "Leading",
    "Listed",
    "Proof",
    "SelectionRule",
    "canonical_order",
    "default_order",
    "downhill",
    "exact",
    "exhaustive",
    "forward_pairs",
    "list_models",
    "occams_window",
    "refuse_proof",
    "refuse_space",
    "refuse_uncounted",
    "space_in_words",
    "stepwise_p",
]

Models = TypeVar("Models", "Fits", "CandidateModels")

MODELS_KEPT = 1 << 15
"""Of a larger space only the best this many models are judged; up to five lists, and order 2 of six, keep all."""

ONE_BLOCK_LISTS = 5
"""The 6,893 models of five lists are fitted in less time than it takes to share them out."""

TIE = 1e-7
"""Criteria closer than this are equal but for rounding."""

MAX_EXACT_LISTS = 9
"""The bound of the whole space fits its largest model: 500 parameters at nine lists."""

WIDEST_WINDOW = 80.0


@dataclass(frozen=True, slots=True)
class SelectionRule:
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
class Fits:
    """Models fitted to one table and not judged, one element of every array a model.

    Attributes
    ----------
    term_sets : ndarray
        Bit ``theta`` of an element is set when the model holds term ``theta``: uint64 up to six lists, beyond that
        Python integers.
    deviance, n0, log_n0_variance : ndarray of float
    converged : ndarray of bool
    """

    term_sets: npt.NDArray[Any]
    deviance: Floats
    n0: Floats
    log_n0_variance: Floats
    converged: Bools

    def __len__(self) -> int:
        return len(self.term_sets)

    def take(self, rows: Any) -> "Fits":
        """Pick models by position or mask."""
        return Fits(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def n_parameters(self) -> npt.NDArray[np.int64]:
        """Nominal number of parameters, those at minus infinity included."""
        return _sizes(self.term_sets)

    @property
    def hurried(self) -> Bools:
        """Fits that ran out of steps, or of digits for the variance."""
        return ~self.converged | ~np.isfinite(self.log_n0_variance)


@dataclass(frozen=True, slots=True)
class CandidateModels:
    """Models that were fitted to one table and judged, one element of every array a model.

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
    deviance: Floats
    n0: Floats
    log_n0_variance: Floats
    n_parameters: npt.NDArray[np.int64]
    rank: npt.NDArray[np.int64]
    status: npt.NDArray[np.str_]
    exists: Bools

    def __len__(self) -> int:
        return len(self.term_sets)

    def take(self, rows: Any) -> "CandidateModels":
        """Pick models by position or mask."""
        return CandidateModels(*(getattr(self, f.name)[rows] for f in fields(self)))

    def admissible(self, rule: SelectionRule) -> Bools:
        """Say which models may win."""
        return self.exists if rule.admissible == "exists" else self.status == "ok"

    def eligible(self, data: ListCounts, rule: SelectionRule) -> Bools:
        """Say which models may win and have a finite criterion, which AICc has not for too few persons."""
        return self.admissible(rule) & np.isfinite(self.criteria(data, rule.count)[rule.criterion])

    def criteria(self, data: ListCounts, count: str) -> dict[str, Floats]:
        """Give BIC, AIC and AICc of every model."""
        parameters = self.n_parameters if count == "all" else self.rank
        return criteria_of(self.deviance + saturated_constant(data.counts), parameters, data.n_observed)

    def ranked(self, data: ListCounts, rule: SelectionRule) -> "CandidateModels":
        """Sort by the criterion; equals by size and then by their terms, so that the winner never hangs on rounding."""
        values = self.criteria(data, rule.count)[rule.criterion]
        return self.take(_order(values, self.n_parameters, self.term_sets))

    def labels(self, n_lists: int) -> list[str]:
        """Write the models in bracket notation."""
        if n_lists <= MAX_ENUMERATED_LISTS:
            return notations(self.term_sets.astype(np.uint64), n_lists)
        return [str(HierarchicalModel.from_term_set(s, n_lists)) for s in self.term_sets]

    def leading(self, data: ListCounts, rule: SelectionRule) -> "Leading":
        """Give all that decides a choice among them, in their order."""
        values = self.criteria(data, rule.count)[rule.criterion]
        return Leading(self.term_sets, values, self.n0, self.status, self.eligible(data, rule))


@dataclass(frozen=True, slots=True)
class Leading:
    """The models that decide a choice, one element of every array a model.

    Attributes
    ----------
    term_sets : ndarray of object
    criterion : ndarray of float
    n0 : ndarray of float
    status : ndarray of str
    allowed : ndarray of bool
        Which of them may win.
    """

    term_sets: npt.NDArray[np.object_]
    criterion: Floats
    n0: Floats
    status: npt.NDArray[np.str_]
    allowed: Bools


@dataclass(frozen=True, slots=True)
class Listed:
    """Fitted models in the order of a criterion, which are judged only as far as somebody asks.

    To judge a model may take a linear programme, many times as long as its fit; most models cannot win.

    Attributes
    ----------
    data : ListCounts
    rule : SelectionRule
        Counts every nominal parameter.
    fits : Fits
        Best first.
    rank : ndarray of int
        Parameters that the cells with people determine: no model has a smaller rank on its face.
    identified, full : ndarray of bool
        Whether these cells determine the dark figure, and whether they determine every parameter with a margin.
    """

    data: ListCounts
    rule: SelectionRule
    fits: Fits
    rank: npt.NDArray[np.int64]
    identified: Bools
    full: Bools

    def __len__(self) -> int:
        return len(self.fits)

    @property
    def values(self) -> Floats:
        """The criterion of every model."""
        return self._values(self.fits.n_parameters)

    def _values(self, parameters: npt.NDArray[np.int64]) -> Floats:
        twice = self.fits.deviance + saturated_constant(self.data.counts)
        return criteria_of(twice, parameters, self.data.n_observed)[self.rule.criterion]

    @property
    def settled(self) -> Bools:
        """Models that may win, as the cells with people alone tell."""
        known = self.full if self.rule.admissible == "exists" else self.identified
        return known & ~self.fits.hurried & np.isfinite(self.values)

    def judged(self, rows: Any = slice(None)) -> CandidateModels:
        """Judge models by position or mask."""
        return judge(self.data, self.fits.take(rows))

    def allowed(self, rows: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.str_], Bools]:
        """Give the status of models and whether they may win; a settled one is not looked at further."""
        status, allowed = np.full(len(rows), "ok", dtype="<U14"), np.ones(len(rows), dtype=bool)
        open_ = np.flatnonzero(~self.settled[rows])
        tried = self.judged(rows[open_])
        status[open_], allowed[open_] = tried.status, tried.eligible(self.data, self.rule)
        return status, allowed

    def leading(self, distance: float) -> Leading | None:
        """Give the models up to a distance beyond the first that may win; None where none may."""
        values, settled = self.values, self.settled
        first = int(np.argmax(settled)) if settled.any() else len(self) - 1
        _, allowed = self.allowed(np.arange(first + 1))
        if not allowed.any():
            return None
        rows = np.flatnonzero(values <= values[int(np.argmax(allowed))] + distance)
        status, allowed = self.allowed(rows)
        return Leading(
            self.fits.term_sets[rows].astype(object), values[rows], self.fits.n0[rows], status, allowed
        )

    def best_by_rank(self) -> list[int]:
        """Find the model that would win if only those parameters were counted that the data determine.

        Returns
        -------
        list of int
            Its position, first among any with the same criterion; empty where no model may win.

        Notes
        -----
        A model that cannot beat the best found, not even with the smallest rank it could have, is not judged.
        """
        least = np.where(np.isfinite(self.values), self._values(self.rank), np.inf)
        known = self.full & self.settled
        best = float(least[known].min(initial=np.inf))
        ties = np.flatnonzero(known & (least == best)).tolist()
        open_ = np.flatnonzero(~known & np.isfinite(least))
        for row in open_[np.argsort(least[open_], kind="stable")].tolist():
            if least[row] > best:
                break
            value = self._value_by_rank(row)
            ties = [row] if value < best else [*ties, row] if value == best < np.inf else ties
            best = min(best, value)
        return sorted(ties)

    def _value_by_rank(self, row: int) -> float:
        tried = self.judged([row])
        value = float(tried.criteria(self.data, "rank")[self.rule.criterion][0])
        return value if tried.eligible(self.data, self.rule)[0] else np.inf

    def everything(self) -> CandidateModels:
        """Judge all of them, best first."""
        return self.judged().ranked(self.data, self.rule)


def space_in_words(order: int, n_lists: int) -> str:
    """Say to which order models were searched, where that leaves some out.

    Examples
    --------
    >>> space_in_words(2, 4), space_in_words(3, 4)
    (', on models to order 2', '')
    """
    return f", on models to order {order}" if order < n_lists - 1 else ""


def default_order(n_lists: int, max_order: int | None) -> int:
    """Largest term where all models are fitted: every order up to five lists and 2 beyond, unless told otherwise."""
    limit = n_lists - 1
    if max_order is not None:
        return min(max_order, limit)
    return limit if n_lists <= 5 else 2


def canonical_order(search: str, n_lists: int, max_order: int | None) -> int:
    """Give the largest term that a search looks at; the saturated model never has an answer.

    Examples
    --------
    >>> canonical_order("exact", 4, None), canonical_order("exact", 4, 9), canonical_order("exhaustive", 6, None)
    (3, 3, 2)
    """
    every = max(n_lists - 1, 1)
    if search == "exact":
        return min(max_order or every, every)
    return max(default_order(n_lists, max_order), 1)


def exhaustive(data: ListCounts, rule: SelectionRule, max_order: int | None) -> tuple[Fits, int]:
    """Fit every hierarchical model up to an order.

    Returns
    -------
    fits : Fits
        All models, or of a very large space the best `MODELS_KEPT` by the criterion.
    n_models : int
        How many were fitted.

    Raises
    ------
    CapabilityError
        For more than six lists.
    """
    t = data.n_lists
    refuse_space(t, max_order)
    order = default_order(t, max_order)
    blocks = enumerate_models(t, max_order=order) if t > ONE_BLOCK_LISTS else [_small_space(t, order)]
    fixed = np.uint64(data.without)
    fitted = run_blocks(
        _best_of_block,
        [_Block(data, block[block & fixed == 0], rule.criterion) for block in blocks],
        label=f"models of {t} lists",
    )
    n_models = sum(size for _, size in fitted)
    return _best(join(fits for fits, _ in fitted), data, rule.criterion), n_models


@cache
def _small_space(n_lists: int, order: int) -> npt.NDArray[np.uint64]:
    """All models of few lists, enumerated once."""
    return np.concatenate(list(enumerate_models(n_lists, max_order=order)))


@dataclass(frozen=True, slots=True)
class _Block:
    """Models to fit to one table, as a block of work."""

    data: ListCounts
    term_sets: npt.NDArray[np.uint64]
    criterion: str


def _best_of_block(block: _Block) -> tuple[Fits, int]:
    """Fit a block of models; give the best of them, and how many were fitted."""
    fits = fit_models(block.data, block.term_sets)
    return _best(fits, block.data, block.criterion), len(fits)


def _best(fits: Fits, data: ListCounts, criterion: str) -> Fits:
    if len(fits) <= MODELS_KEPT:
        return fits
    values = criteria_of(fits.deviance, fits.n_parameters, data.n_observed)[criterion]
    return fits.take(np.argsort(values, kind="stable")[:MODELS_KEPT])


def refuse_space(n_lists: int, max_order: int | None) -> None:
    """Refuse more lists than all models of can be fitted.

    Raises
    ------
    CapabilityError
    """
    if n_lists <= MAX_ENUMERATED_LISTS:
        return
    size = model_space_size(n_lists, default_order(n_lists, max_order))
    spelled = f"{size:,}" if size is not None else "more than a million million"
    raise CapabilityError(
        f"{n_lists} lists have {spelled} hierarchical models up to order {default_order(n_lists, max_order)}, too many "
        f'to fit one by one; SelectedLogLinear(search="exact") proves the best of them, or merge lists of the same '
        f"kind down to {MAX_ENUMERATED_LISTS}"
    )


def evaluate(data: ListCounts, term_sets: Sequence[int] | npt.NDArray[np.uint64]) -> CandidateModels:
    """Fit and judge models."""
    return judge(data, fit_models(data, term_sets))


def fit_models(data: ListCounts, term_sets: Sequence[int] | npt.NDArray[Any]) -> Fits:
    """Fit models, without asking what they say of the dark figure."""
    if data.n_lists <= MAX_ENUMERATED_LISTS:
        sets = np.asarray(term_sets, dtype=np.uint64)
        fit = fit_batch(data.counts, sets, data.n_lists, data.offset)
        return Fits(sets, fit.deviance, fit.n0, fit.log_n0_variance, fit.converged)
    fits = [_fit(data, int(s)) for s in term_sets]
    return Fits(
        as_term_sets(term_sets, data.n_lists),
        np.array([fit.deviance for fit in fits]),
        np.array([fit.means[0] for fit in fits]),
        np.array([fit.log_n0_variance for fit in fits]),
        np.array([fit.converged for fit in fits], dtype=bool),
    )


def as_term_sets(term_sets: Iterable[Any], n_lists: int) -> npt.NDArray[Any]:
    """Give models as an array: of uint64 up to six lists, of Python integers beyond that."""
    known = [int(s) for s in term_sets]
    if n_lists <= MAX_ENUMERATED_LISTS:
        return np.array(known, dtype=np.uint64)
    found = np.empty(len(known), dtype=object)
    found[:] = known
    return found


def judge(data: ListCounts, fits: Fits) -> CandidateModels:
    """Say of fitted models what the data tell of their dark figures; fit those again that ran out of steps."""
    rank, status, exists = _faces(data, fits.term_sets)
    tried = CandidateModels(
        fits.term_sets.astype(object),
        fits.deviance.copy(),
        fits.n0.copy(),
        fits.log_n0_variance.copy(),
        fits.n_parameters,
        rank,
        status,
        exists,
    )
    _refit_exactly(data, tried, np.flatnonzero(fits.hurried & (status == "ok")))
    return tried


def _faces(
    data: ListCounts, term_sets: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.str_], Bools]:
    """Give rank, status and existence of each model."""
    if data.n_lists <= MAX_ENUMERATED_LISTS:
        batch = faces_of_batch(data.counts, term_sets, data.n_lists)
        return batch.rank, batch.status, batch.exists
    faces = [face_of_model(data.counts, _terms(s), data.n_lists) for s in term_sets]
    return (
        np.array([face.rank for face in faces], dtype=np.int64),
        np.array([face.status for face in faces], dtype="<U14"),
        np.array([face.exists for face in faces], dtype=bool),
    )


def list_models(data: ListCounts, rule: SelectionRule, fits: Fits) -> Listed:
    """Put fitted models in the order of a criterion that counts every nominal parameter."""
    fits = _with_exact_refits(data, fits)
    values = criteria_of(fits.deviance + saturated_constant(data.counts), fits.n_parameters, data.n_observed)[
        rule.criterion
    ]
    fits = fits.take(_order(values, fits.n_parameters, fits.term_sets))
    margins = superset_sums(data.counts, data.n_lists)
    rank, identified = _ranks_of_people(data, margins, fits.term_sets)
    return Listed(data, rule, fits, rank, identified, rank == _sizes(_with_margin(fits.term_sets, margins)))


def _with_exact_refits(data: ListCounts, fits: Fits) -> Fits:
    """Take the figures of the exact route for models on which the quick one ran out of steps."""
    rows = np.flatnonzero(fits.hurried)
    if not len(rows):
        return fits
    tried = judge(data, fits.take(rows))
    names = ("deviance", "n0", "log_n0_variance")
    figures = {name: getattr(fits, name).copy() for name in names}
    for name in names:
        figures[name][rows] = getattr(tried, name)
    return replace(fits, **figures, converged=fits.converged & ~fits.hurried)


def _with_margin(term_sets: npt.NDArray[Any], margins: Floats) -> npt.NDArray[Any]:
    """Leave out of each model the terms with an empty margin."""
    alive = 1 | sum(1 << term for term in np.flatnonzero(margins > 0.0).tolist())
    kept: npt.NDArray[Any] = term_sets & (alive if term_sets.dtype == object else np.uint64(alive))
    return kept


def _ranks_of_people(
    data: ListCounts, margins: Floats, term_sets: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], Bools]:
    """Rank of each model on the cells with people, and whether these determine the dark figure."""
    if data.n_lists <= MAX_ENUMERATED_LISTS:
        return ranks_of_people(data.counts, margins, term_sets)
    people = np.flatnonzero(data.counts > 0.0)
    independent = []
    for term_set in term_sets:
        terms = _terms(term_set)
        independent.append(independent_terms(people, terms[(margins[terms] > 0.0) | (terms == 0)]))
    return (
        np.array([found.sum() for found in independent], dtype=np.int64),
        np.array([found[-1] for found in independent], dtype=bool),
    )


def _refit_exactly(data: ListCounts, tried: CandidateModels, rows: npt.NDArray[np.intp]) -> None:
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


def _order(values: Floats, sizes: npt.NDArray[np.int64], term_sets: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Positions in the order of a criterion; equals by size and then by their terms."""
    finite = np.isfinite(values)
    lowest = values[finite].min() if finite.any() else 0.0
    steps = np.where(finite, np.round((values - lowest) / TIE), np.inf)
    by_terms = np.argsort(np.argsort(term_sets))
    return np.lexsort((by_terms, sizes, steps))


def _sizes(term_sets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Count the terms of each model."""
    if term_sets.dtype == object:
        return np.array([s.bit_count() for s in term_sets], dtype=np.int64)
    return np.asarray(np.bitwise_count(term_sets), dtype=np.int64)


def _terms(term_set: int) -> npt.NDArray[np.int64]:
    return np.array([*bit_positions(term_set)[1:], 0], dtype=np.int64)


def _fit(data: ListCounts, term_set: int) -> LatticeFit:
    use = np.ones(len(data.counts), dtype=bool)
    use[0] = False
    return fit_one(data.counts, use, _terms(term_set), data.n_lists, data.offset)


def join(parts: Iterable[Models]) -> Models:
    """Put models behind each other."""
    collected = list(parts)
    kind = type(collected[0])
    return kind(*(np.concatenate([getattr(part, f.name) for part in collected]) for f in fields(kind)))


def _pairs(data: ListCounts) -> list[int]:
    """Two-list terms that are not fixed."""
    pairs = (1 << i | 1 << j for i in range(data.n_lists) for j in range(i))
    return sorted((pair for pair in pairs if not data.without >> pair & 1), key=subset_order)


def stepwise_p(
    data: ListCounts, rule: SelectionRule, threshold: float
) -> tuple[CandidateModels, list[dict[str, Any]]]:
    """Add two-list terms by the Poisson p-value of their overlap (Chan, Silverman & Vincent 2021).

    From the main effects on, the overlap of each pair not in the model is compared with its fitted expectation by
    the smaller one-sided Poisson probability. The pair with the smallest one below `threshold` whose model is
    admissible enters; the search ends when there is none.

    Returns
    -------
    tried : CandidateModels
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
    return _winner_first(join(rows), current), path


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
        at_least = float(pdtrc(observed - 1, expected)) if observed > 0 else 1.0
        p_value = min(float(pdtr(observed, expected)), at_least)
        if p_value < threshold:
            surprise = float(xlogy(observed, observed / expected)) - observed + expected
            found.append((p_value, -surprise, pair, observed, expected))
    # Among p-values that are 0 to machine precision the larger deviance contribution comes first.
    return [(p_value, pair, observed, expected) for p_value, _, pair, observed, expected in sorted(found)]


def forward_pairs(data: ListCounts, rule: SelectionRule) -> tuple[CandidateModels, list[dict[str, Any]]]:
    """Add the two-list term that lowers the criterion most, until none does."""

    def larger(term_set: int) -> list[int]:
        return [term_set | 1 << pair for pair in _pairs(data) if not term_set >> pair & 1]

    return _climb_down(data, rule, larger)


def downhill(
    data: ListCounts, rule: SelectionRule, max_order: int | None
) -> tuple[CandidateModels, list[dict[str, Any]]]:
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
    data: ListCounts, rule: SelectionRule, moves: Callable[[int], list[int]]
) -> tuple[CandidateModels, list[dict[str, Any]]]:
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
    return _winner_first(join(rows), current), path


def _value(tried: CandidateModels, data: ListCounts, rule: SelectionRule) -> npt.NDArray[np.float64]:
    return tried.criteria(data, rule.count)[rule.criterion]


def _winner_first(tried: CandidateModels, winner: int) -> CandidateModels:
    """Keep each model once, the outcome of the search first."""
    first = {int(s): row for row, s in reversed(list(enumerate(tried.term_sets)))}
    rows = [first.pop(winner), *sorted(first.values())]
    return tried.take(np.array(rows))


# === exact search of the space of models: the best by branch and bound, and all that carry weight =====================


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
    data: ListCounts, rule: SelectionRule, max_order: int | None, window: float, max_fits: int
) -> tuple[Fits, Proof]:
    """Find the best model of the whole space and those within a distance of it, by branch and bound.

    The best is proven first. What is left of the fits goes into the list of the others.

    Parameters
    ----------
    data : ListCounts
    rule : SelectionRule
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
    data: ListCounts, rule: SelectionRule, max_order: int | None, window: float, max_fits: int
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


def occams_window(
    data: ListCounts, rule: SelectionRule, max_order: int | None, share: float, max_fits: int
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
