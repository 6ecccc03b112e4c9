"""Stepwise search between a minimal and a maximal model with an explicit design.

Every step looks at all terms that may be added or dropped and takes the one that lowers the criterion most. Few of
them are fitted: means that meet the margins of a model bound its likelihood from above, and one linear system gives
such means. A model whose bound loses against a model already fitted cannot win.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.kernels.poisson.dense import one_thread, poisson_deviance
from hiddenpop.kernels.poisson.hidden_cells import empty_margins, factor, fit_cells, likelihood_bound
from hiddenpop.kernels.poisson.lattice import solve_factored

__all__ = ["SearchSpace", "Step", "stepwise_path"]


TIE = 1e-7
"""Criteria closer than this are equal but for rounding; the first candidate wins."""

MARGIN_TOLERANCE = 1e-7
"""Means miss the margins by no more than this, in persons, when they bound a likelihood."""


@dataclass(frozen=True, slots=True, eq=False)
class SearchSpace:
    """Everything a search may use.

    Attributes
    ----------
    design : ndarray, shape (m, p)
        Columns of the maximal model on the observable cells.
    term_of : ndarray of int, shape (p,)
        Position in `terms` of the term that a column belongs to; -1 for the intercept.
    terms : tuple of int
        Terms of the maximal model as bit masks, in the order in which ties are decided.
    minimal : frozenset of int
        Terms that stay.
    counts : ndarray, shape (m,)
    products : ndarray, shape (p, p)
        Cross-products of the columns, scaled to a largest entry of 1: their rank is that of the columns.
    empty : ndarray of bool, shape (p,)
        Columns whose margin is empty.
    """

    design: Floats
    term_of: Ints
    terms: tuple[int, ...]
    minimal: frozenset[int]
    counts: Floats
    products: Floats = field(init=False)
    empty: Bools = field(init=False)

    def __post_init__(self) -> None:
        largest = np.abs(self.design).max(axis=0, initial=0.0)
        scaled = self.design / np.where(largest > 0.0, largest, 1.0)
        object.__setattr__(self, "products", scaled.T @ scaled)
        object.__setattr__(self, "empty", empty_margins(self.design, self.counts > 0))


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A model on the path.

    Attributes
    ----------
    change : {"", "+", "-"}
        Whether `term` was added or dropped to come here; the first model has neither.
    term : int
    included : tuple of int
        Terms of the model, in the order of the maximal model.
    deviance : float
    n_parameters : int
        Rank of the design on all observable cells: aliased columns are no parameters.
    penalty : float
        Penalty a parameter under which the step was taken.
    columns : ndarray of int, shape (q,)
        Its columns of the design.
    coefficients : ndarray, shape (q,)
        Where the search found the maximum; finite, also where the maximum lies at infinity.
    n_fitted : int
        Candidates that had to be fitted to take the step.
    """

    change: str
    term: int
    included: tuple[int, ...]
    deviance: float
    n_parameters: int
    penalty: float
    columns: Ints
    coefficients: Floats
    n_fitted: int


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """A fitted model: columns, cells left once empty margins are out, coefficients and means."""

    included: Bools
    columns: Ints
    live: Bools
    coefficients: Floats
    means: Floats
    likelihood: float
    n_parameters: int

    def value(self, penalty: float) -> float:
        return -2.0 * self.likelihood + penalty * self.n_parameters


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A model one term away, where its fit starts, and what its likelihood cannot exceed."""

    place: int
    included: Bools
    columns: Ints
    live: Bools
    start: Floats
    bound: float
    n_parameters: int

    def least(self, penalty: float) -> float:
        return -2.0 * self.bound + penalty * self.n_parameters


def stepwise_path(space: SearchSpace, penalties: Sequence[float]) -> list[Step]:
    """Follow the best step until none lowers the criterion, for each penalty in turn.

    Parameters
    ----------
    space : SearchSpace
    penalties : sequence of float
        Penalty a parameter, e.g. ``log n`` and then 2: each goes on from where the one before ended. Under the first
        one terms are added and dropped, under the later ones only added.

    Returns
    -------
    list of Step
        From the minimal model to the last one.

    Notes
    -----
    A candidate is passed over without a fit only when a bound on its likelihood proves that it loses. Dropped terms
    are candidates before added ones, each in the order of the maximal model.

    Examples
    --------
    >>> import numpy as np
    >>> design = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]])
    >>> space = SearchSpace(design, np.array([-1, 0, 1, 2]), (1, 2, 3), frozenset({1, 2}), np.array([40.0, 30, 9]))
    >>> [step.included for step in stepwise_path(space, [2.0])]
    [(1, 2)]
    """
    with one_thread():
        return _walk(space, penalties)


def _walk(space: SearchSpace, penalties: Sequence[float]) -> list[Step]:
    state = _minimal_model(space)
    path = [_step(space, state, "", 0, 0.0, 1)]
    for stage, penalty in enumerate(penalties):
        while (found := _best_move(space, state, penalty, may_drop=stage == 0)) is not None:
            place, state, n_fitted = found
            change = "+" if state.included[place] else "-"
            path.append(_step(space, state, change, space.terms[place], penalty, n_fitted))
    return path


def _minimal_model(space: SearchSpace) -> _State:
    included = np.array([term in space.minimal for term in space.terms], dtype=bool)
    columns = _columns(space, included)
    start = np.zeros(len(columns))
    live = _live(space, columns)
    candidate = _Candidate(-1, included, columns, live, start, np.inf, _rank(space, columns))
    return _fit(space, candidate, -np.inf)


def _step(space: SearchSpace, state: _State, change: str, term: int, penalty: float, n_fitted: int) -> Step:
    """Write a model of the path down."""
    terms = tuple(t for t, inside in zip(space.terms, state.included, strict=True) if inside)
    deviance = poisson_deviance(space.counts, state.means)
    return Step(
        change,
        term,
        terms,
        deviance,
        state.n_parameters,
        penalty,
        state.columns,
        state.coefficients,
        n_fitted,
    )


def _best_move(
    space: SearchSpace, state: _State, penalty: float, *, may_drop: bool
) -> tuple[int, _State, int] | None:
    """Find the best model one term away, if it lowers the criterion; also how many were fitted."""
    candidates = _candidates(space, state, may_drop=may_drop)
    best, fitted = state.value(penalty) - 2.0 * TIE, {}
    for at in np.argsort([candidate.least(penalty) for candidate in candidates], kind="stable").tolist():
        candidate = candidates[at]
        if candidate.least(penalty) > best + TIE:
            break
        needed = (penalty * candidate.n_parameters - best - TIE) / 2.0
        fitted[at] = _fit(space, candidate, needed)
        best = min(best, fitted[at].value(penalty))
    winners = [at for at in sorted(fitted) if fitted[at].value(penalty) <= best + TIE]
    return (candidates[winners[0]].place, fitted[winners[0]], len(fitted)) if winners else None


def _candidates(space: SearchSpace, state: _State, *, may_drop: bool) -> list[_Candidate]:
    """Models one term away that have another number of parameters."""
    gram = space.design.T @ (state.means[:, None] * space.design)
    drops = _droppable(space, state.included) if may_drop else []
    found = []
    for place in [*drops, *_addable(space, state.included)]:
        included = state.included.copy()
        included[place] = not included[place]
        columns = _columns(space, included)
        n_parameters = _rank(space, columns)
        if n_parameters != state.n_parameters:
            found.append(_candidate(space, state, gram, place, included, columns, n_parameters))
    return found


def _candidate(
    space: SearchSpace,
    state: _State,
    gram: Floats,
    place: int,
    included: Bools,
    columns: Ints,
    n_parameters: int,
) -> _Candidate:
    live = _live(space, columns)
    start = _start(state, gram, columns)
    rows = np.ascontiguousarray(space.design[np.ix_(live, columns)])
    same_cells = bool((live == state.live).all())
    grows = len(columns) > len(state.columns)
    means = state.means[live] if same_cells and grows else _means(rows, start)
    weights = state.means[live] if same_cells else means
    products = gram[np.ix_(columns, columns)] if same_cells else rows.T @ (weights[:, None] * rows)
    bound = _bound(rows, space.counts[live], means, weights, products)
    return _Candidate(place, included, columns, live, start, bound, n_parameters)


def _start(state: _State, gram: Floats, columns: Ints) -> Floats:
    """Coefficients of the present model, moved by the Wald step where a term is dropped."""
    start = np.zeros(len(gram))
    start[state.columns] = state.coefficients
    dropped = np.setdiff1d(state.columns, columns, assume_unique=True)
    if len(dropped):
        lower = np.zeros((len(columns), len(columns)))
        factor(gram[np.ix_(columns, columns)], lower)
        shift = gram[np.ix_(columns, dropped)] @ start[dropped]
        solve_factored(lower, len(shift), shift)
        start[columns] += shift
    return start[columns]


def _fit(space: SearchSpace, candidate: _Candidate, needed: float) -> _State:
    """Fit a candidate, or give up once its likelihood is proven to stay below what is needed."""
    live = candidate.live
    rows = np.ascontiguousarray(space.design[np.ix_(live, candidate.columns)])
    fitted = np.zeros(len(rows))
    coefficients, likelihood, _ = fit_cells(
        rows, space.counts[live], np.zeros(len(rows)), candidate.start, fitted, needed
    )
    means = np.zeros(len(live))
    means[live] = fitted
    return _State(
        candidate.included,
        candidate.columns,
        live,
        coefficients,
        means,
        float(likelihood),
        candidate.n_parameters,
    )


def _columns(space: SearchSpace, included: Bools) -> Ints:
    return np.flatnonzero((space.term_of < 0) | included[space.term_of])


def _live(space: SearchSpace, columns: Ints) -> Bools:
    """Cells above no empty margin of the columns."""
    dead = columns[space.empty[columns]]
    return np.asarray(~(space.design[:, dead] > 0.0).any(axis=1))


def _rank(space: SearchSpace, columns: Ints) -> int:
    lower = np.zeros((len(columns), len(columns)))
    return len(columns) - int(factor(space.products[np.ix_(columns, columns)], lower))


def _addable(space: SearchSpace, included: Bools) -> list[int]:
    """Terms of the maximal model whose parts are all in."""
    inside = {t for t, is_in in zip(space.terms, included, strict=True) if is_in}
    return [
        place
        for place, term in enumerate(space.terms)
        if term not in inside and all(part in inside for part in _parts(term))
    ]


def _droppable(space: SearchSpace, included: Bools) -> list[int]:
    """Terms outside the minimal model that are part of no other term."""
    inside = [t for t, is_in in zip(space.terms, included, strict=True) if is_in]
    return [
        place
        for place, term in enumerate(space.terms)
        if included[place]
        and term not in space.minimal
        and not any(other != term and other & term == term for other in inside)
    ]


def _parts(term: int) -> list[int]:
    """Terms with one factor less; the intercept is always there."""
    return [part for i in range(term.bit_length()) if term >> i & 1 and (part := term & ~(1 << i))]


def _means(rows: Floats, coefficients: Floats) -> Floats:
    return np.exp(np.minimum(rows @ coefficients, 700.0))


def _bound(rows: Floats, counts: Floats, means: Floats, weights: Floats, products: Floats) -> float:
    """Bound the likelihood by means moved along `weights * rows` until they meet the margins; inf where they do not.

    `products` is the weighted Gram matrix of the rows.
    """
    score = rows.T @ (counts - means)
    lower = np.zeros_like(products)
    factor(products, lower)
    move = score.copy()
    solve_factored(lower, len(move), move)
    if np.abs(products @ move - score).max(initial=0.0) > MARGIN_TOLERANCE:
        return np.inf
    return float(likelihood_bound(means + weights * (rows @ move)))
