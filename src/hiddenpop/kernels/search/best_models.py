"""The best hierarchical models of a table, over the whole space, without fitting all of it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats, Ints, Words
from hiddenpop.errors import TableSizeError
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.poisson.faces import face_of_model
from hiddenpop.kernels.poisson.lattice import fit_one, fit_terms, offset_or_zeros, superset_sums
from hiddenpop.kernels.poisson.model_fit import NUMBER_BY_STATUS
from hiddenpop.kernels.search.bound import (
    ADMISSIBLE,
    BEST,
    DOUBTFUL,
    FITS,
    FOUND,
    INADMISSIBLE,
    LOST,
    PROVEN,
    Catch,
    Problem,
    from_words,
    judge,
    list_terms,
    n_words,
    new_catch,
    run_search,
    to_words,
)

__all__ = [
    "BestModels",
    "ResampledBest",
    "best_among",
    "best_models",
    "best_of_each",
    "penalties",
    "same_model",
]

TIE = 1e-7
"""Criteria closer than this are equal but for rounding; among equals the smaller model is taken."""

CAPACITY = 1 << 16
TIES_KEPT = 64
NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class BestModels:
    """Models near the best of a space, sorted by criterion; every array has one element a model.

    Attributes
    ----------
    term_sets : tuple of int
    values : ndarray of float
        Criterion without the constant of the saturated model.
    deviance, n0, log_n0_variance : ndarray of float
    converged : ndarray of bool
    admissible : ndarray of bool
    n_fits : int
        Models fitted to prove it.
    finished : bool
        Whether the whole space was covered.
    proven : float
        No model that is not listed has a lower criterion than this: the end of the window when the search was
        finished, otherwise a lower bound for what was left.
    """

    term_sets: tuple[int, ...]
    values: Floats
    deviance: Floats
    n0: Floats
    log_n0_variance: Floats
    converged: npt.NDArray[np.bool_]
    admissible: npt.NDArray[np.bool_]
    n_fits: int
    finished: bool
    proven: float


def penalties(criterion: str, n_cells: int, n_observed: float) -> Floats:
    """Penalty of a criterion by number of parameters.

    Examples
    --------
    >>> penalties("aic", 4, 100.0)[:4].tolist()
    [0.0, 2.0, 4.0, 6.0]
    """
    p = np.arange(n_cells + 3.0)
    if criterion == "bic":
        return np.log(max(n_observed, 1.0)) * p
    if criterion == "aic":
        return 2.0 * p
    spare = n_observed - p - 1.0
    few = np.full(len(p), np.inf)
    np.divide(2.0 * p * (p + 1.0), spare, out=few, where=spare > 0.0)
    return 2.0 * p + few


def _ends(
    n_lists: int, max_order: int, without: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Smallest model, the main effects, and the largest: every term up to an order, less the saturated one and some."""
    order = min(max_order, n_lists - 1)
    smallest = sum(1 << term for term in range(1 << n_lists) if term.bit_count() <= 1)
    largest = sum(1 << term for term in range(1 << n_lists) if term.bit_count() <= max(order, 1))
    return to_words(smallest, n_lists), to_words(largest & ~without, n_lists)


def best_models(
    counts: Floats,
    n_lists: int,
    *,
    criterion: str = "bic",
    max_order: int | None = None,
    exists: bool = False,
    window: float = 0.0,
    max_fits: int = NO_LIMIT,
    capacity: int = CAPACITY,
    offset: Floats | None = None,
    without: int = 0,
) -> BestModels:
    """Find every hierarchical model whose criterion is within a distance of the best, over the whole space.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by history; element 0 is not used.
    n_lists : int
    criterion : {"bic", "aic", "aicc"}
        Every nominal parameter counts.
    max_order : int, optional
        Size of the largest term; every order below `n_lists` by default.
    exists : bool
        Admit only models whose maximum exists, not all whose dark figure is finite.
    window : float
        Distance from the best admissible model. Inadmissible models below it are listed too.
    max_fits : int
        Stop after so many fits, with the bound that is proven by then.
    capacity : int
        Most models that are kept.
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history; element 0 is that of the unobserved cell.
    without : int
        Term set of the terms that no model has, each with all terms that contain it.

    Returns
    -------
    BestModels

    Raises
    ------
    TableSizeError
        If more models lie within the window than `capacity`.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> counts = hp.datasets.load("kosovo").to_dense().astype(float)
    >>> best = best_models(counts, 4)
    >>> best.n_fits < 113, round(float(best.n0[0] + counts.sum()), 2)
    (True, 10356.52)
    """
    smallest, largest = _ends(n_lists, n_lists - 1 if max_order is None else max_order, without)
    problem = _problem(counts, n_lists, criterion, exists, max_fits, offset)._replace(
        window=window + TIE, keep_inadmissible=True
    )
    catch = new_catch(capacity, n_words(n_lists))
    while True:
        run_search(problem, smallest, largest, catch)
        refused = _refused_by_face(catch, problem.counts, n_lists, exists)
        if not refused:
            return _sorted(catch, window)
        # A refused model may have been the best and have narrowed the window: search again without it.
        problem = problem._replace(excluded=np.concatenate([problem.excluded, np.array(refused)]))


def _problem(
    counts: Floats, n_lists: int, criterion: str, exists: bool, max_fits: int, offset: Floats | None
) -> Problem:
    """Ask for the best admissible model of a table, and those that tie with it."""
    observed = counts.astype(np.float64)
    observed[0] = 0.0
    use = np.ones(len(counts), dtype=bool)
    use[0] = False
    return Problem(
        counts=observed,
        margins=superset_sums(observed, n_lists),
        use=use,
        n_lists=n_lists,
        offset=offset_or_zeros(offset, len(counts)),
        penalty=penalties(criterion, len(counts), float(observed.sum())),
        exists=exists,
        window=TIE,
        max_fits=max_fits,
        excluded=np.zeros((0, n_words(n_lists)), dtype=np.uint64),
        keep_inadmissible=False,
    )


def _refused_by_face(
    catch: Catch, counts: Floats, n_lists: int, exists: bool
) -> list[npt.NDArray[np.uint64]]:
    """Settle the doubtful models by linear programming; return those that may not be chosen."""
    refused = []
    for at in np.flatnonzero(catch.codes[: catch.tally[FOUND]] == DOUBTFUL):
        if _face_admits(counts, from_words(catch.sets[at]), n_lists, exists):
            catch.codes[at] = ADMISSIBLE
        else:
            refused.append(catch.sets[at].copy())
    return refused


def _face_admits(counts: Floats, term_set: int, n_lists: int, exists: bool) -> bool:
    terms = np.array([*bit_positions(term_set)[1:], 0], dtype=np.int64)
    face = face_of_model(counts, terms, n_lists)
    return face.exists if exists else face.status == "ok"


def _sorted(catch: Catch, window: float) -> BestModels:
    """Give what was caught, best first and smaller models first among equals."""
    found = int(catch.tally[FOUND])
    best, proven = float(catch.state[BEST]), float(catch.state[PROVEN])
    if catch.tally[LOST] and np.isfinite(best):
        raise TableSizeError(
            f"more than {found} models lie within {window} of the best; choose a narrower window, or models of lower "
            f"order with max_order=2"
        )
    values = catch.values[:found]
    steps = np.round((values - values.min(initial=np.inf)) / TIE)
    sizes = np.bitwise_count(catch.sets[:found]).sum(axis=1)
    rows = np.lexsort((*catch.sets[:found].T, sizes, steps))
    return BestModels(
        term_sets=tuple(from_words(words) for words in catch.sets[rows]),
        values=catch.values[rows],
        deviance=catch.figures[rows, 0],
        n0=catch.figures[rows, 1],
        log_n0_variance=catch.figures[rows, 2],
        converged=catch.figures[rows, 3] > 0.0,
        admissible=catch.codes[rows] == ADMISSIBLE,
        n_fits=int(catch.tally[FITS]),
        finished=bool(np.isinf(proven)),
        proven=min(proven, best + window),
    )


@dataclass(frozen=True, slots=True)
class ResampledBest:
    """The best model of each of many tables; every array has one element a table.

    Attributes
    ----------
    term_sets : ndarray of words, shape (b, n_words)
    n0 : ndarray of float
        Dark figure, nan where no model is admissible.
    log_n0_variance, deviance : ndarray of float
    n_fits : ndarray of int
    finished : ndarray of bool
        Whether the whole space was covered.
    """

    term_sets: npt.NDArray[np.uint64]
    n0: Floats
    log_n0_variance: Floats
    deviance: Floats
    n_fits: Ints
    finished: npt.NDArray[np.bool_]


def best_of_each(
    tables: Floats,
    n_lists: int,
    *,
    criterion: str = "bic",
    max_order: int | None = None,
    exists: bool = False,
    max_fits: int = NO_LIMIT,
    offset: Floats | None = None,
    without: int = 0,
) -> ResampledBest:
    """Choose the best model of every table anew, each over the whole space.

    Parameters
    ----------
    tables : ndarray, shape (b, 2**n_lists)
        Counts by history, one table a row; column 0 is not used.
    n_lists, criterion, max_order, exists, max_fits, offset, without
        As for `best_models`.

    Returns
    -------
    ResampledBest

    Examples
    --------
    >>> import hiddenpop as hp
    >>> counts = hp.datasets.load("kosovo").to_dense().astype(float)
    >>> float(best_of_each(np.stack([counts, counts]), 4).n0[1] + counts.sum()).__round__(2)
    10356.52
    """
    smallest, largest = _ends(n_lists, n_lists - 1 if max_order is None else max_order, without)
    catch = new_catch(TIES_KEPT, len(smallest))
    best = ResampledBest(
        term_sets=np.zeros((len(tables), len(smallest)), dtype=np.uint64),
        n0=np.full(len(tables), np.nan),
        log_n0_variance=np.full(len(tables), np.nan),
        deviance=np.full(len(tables), np.nan),
        n_fits=np.zeros(len(tables), dtype=np.int64),
        finished=np.zeros(len(tables), dtype=np.bool_),
    )
    for row, counts in enumerate(tables):
        run_search(_problem(counts, n_lists, criterion, exists, max_fits, offset), smallest, largest, catch)
        best.n_fits[row] = catch.tally[FITS]
        best.finished[row] = catch.state[PROVEN] == np.inf
        at = _smallest(catch)
        if at is not None and catch.codes[at] == ADMISSIBLE:
            best.term_sets[row] = catch.sets[at]
            best.deviance[row], best.n0[row], best.log_n0_variance[row] = catch.figures[at, :3]
        elif at is not None:
            found = best_models(
                counts,
                n_lists,
                criterion=criterion,
                max_order=max_order,
                exists=exists,
                max_fits=max_fits,
                offset=offset,
                without=without,
            )
            best.n_fits[row] += found.n_fits
            best.finished[row] = found.finished
            if found.admissible.any():
                first = int(np.argmax(found.admissible))
                best.term_sets[row] = to_words(found.term_sets[first], n_lists)
                best.deviance[row], best.n0[row] = found.deviance[first], found.n0[first]
                best.log_n0_variance[row] = found.log_n0_variance[first]
    return best


def _smallest(catch: Catch) -> int | None:
    """Where the smallest of the models that tie stands; among equals the first by its number."""
    found = range(int(catch.tally[FOUND]))
    return min(
        found,
        key=lambda at: (np.bitwise_count(catch.sets[at]).sum(), from_words(catch.sets[at])),
        default=None,
    )


# === the same estimate on many tables: one model, or the best of a short list of models, compiled =====================


@dataclass(frozen=True, slots=True)
class Refits:
    """Dark figures of many tables.

    Attributes
    ----------
    n0 : ndarray of float
        0 at the boundary, inf where it is unbounded, nan where it is not identified or no model may be chosen.
    chosen : ndarray of int
        Position of the model, -1 where none may be chosen.
    """

    n0: Floats
    chosen: Ints


@njit
def _best_of_list(
    counts: Floats,
    margins: Floats,
    use: Bools,
    models: Words,
    n_lists: int,
    offset: Floats,
    penalty: Floats,
    exists: bool,
) -> tuple[int, int, float]:
    """Position of the best admissible model, what `judge` says of it, and its dark figure; -1 where there is none."""
    terms = np.empty(counts.shape[0], dtype=np.int64)
    best, chosen, its_code, n0 = np.inf, -1, INADMISSIBLE, np.nan
    for m in range(models.shape[0]):
        p = list_terms(models[m], counts.shape[0], terms)
        parameters, means, live, deviance, _, _, _ = fit_terms(
            counts, margins, use, terms[:p], n_lists, offset
        )
        value = deviance + penalty[p]
        if value < best - TIE:
            code = judge(counts, margins, exists, terms[:p], means, live)
            if code != INADMISSIBLE:
                best, chosen, its_code = value, m, code
                n0 = np.exp(parameters[p - 1] + offset[0])
    return chosen, its_code, n0


def best_among(
    tables: Floats,
    term_sets: list[int],
    n_lists: int,
    *,
    criterion: str = "bic",
    exists: bool = False,
    offset: Floats | None = None,
) -> Refits:
    """Choose the best of a list of models for every table anew.

    Parameters
    ----------
    tables : ndarray, shape (b, 2**n_lists)
        Counts by history, one table a row; column 0 is not used.
    term_sets : list of int
        The models, the smaller ones first where they should win ties.
    n_lists : int
    criterion : {"bic", "aic", "aicc"}
    exists : bool
        Admit only models whose maximum exists.
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history; element 0 is that of the unobserved cell.

    Returns
    -------
    Refits
    """
    n0, chosen = np.full(len(tables), np.nan), np.full(len(tables), -1, dtype=np.int64)
    models = np.array([to_words(s, n_lists) for s in term_sets])
    offsets = offset_or_zeros(offset, tables.shape[1])
    use = _observable(tables.shape[1])
    for row, counts in enumerate(np.where(use, tables, 0.0)):
        penalty = penalties(criterion, len(counts), float(counts.sum()))
        chosen[row], code, n0[row] = _best_of_list(
            counts, superset_sums(counts, n_lists), use, models, n_lists, offsets, penalty, exists
        )
        if code == DOUBTFUL:
            chosen[row], n0[row] = _best_by_face(counts, term_sets, n_lists, criterion, exists, offsets)
    return Refits(n0, chosen)


def _best_by_face(
    counts: Floats, term_sets: list[int], n_lists: int, criterion: str, exists: bool, offset: Floats
) -> tuple[int, float]:
    """Choose for one table with every face found by linear programming."""
    penalty = penalties(criterion, len(counts), float(counts[1:].sum()))
    best, chosen, n0 = np.inf, -1, np.nan
    for position, term_set in enumerate(term_sets):
        fit = fit_one(counts, _observable(len(counts)), terms_array(term_set), n_lists, offset)
        value = fit.deviance + penalty[term_set.bit_count()]
        if value < best - TIE:
            face = face_of_model(counts, terms_array(term_set), n_lists)
            if face.exists if exists else face.status == "ok":
                best, chosen, n0 = value, position, float(fit.means[0])
    return chosen, n0


def same_model(tables: Floats, term_set: int, n_lists: int, offset: Floats | None = None) -> Floats:
    """Fit one model to every table.

    Parameters
    ----------
    tables : ndarray, shape (b, 2**n_lists)
    term_set : int
    n_lists : int
    offset : ndarray, shape (2**n_lists,), optional
        As for `best_among`.

    Returns
    -------
    ndarray of float, shape (b,)
        Dark figures: 0 at the boundary, inf where unbounded, nan where not identified.

    Examples
    --------
    >>> tables = np.array([[0.0, 30, 20, 10], [0.0, 30, 20, 0], [0.0, 30, 0, 10]])
    >>> [round(float(n0), 6) for n0 in same_model(tables, 0b111, 2)]
    [60.0, inf, 0.0]
    """
    n0 = best_among(tables, [term_set], n_lists, offset=offset).n0
    for row in np.flatnonzero(np.isnan(n0)):
        status = face_of_model(tables[row], terms_array(term_set), n_lists).status
        n0[row] = NUMBER_BY_STATUS[status]
    return n0


def terms_array(term_set: int) -> Ints:
    """List the terms of a coded model as the kernels want them, the intercept last."""
    return np.array([*bit_positions(term_set)[1:], 0], dtype=np.int64)


def _observable(n_cells: int) -> npt.NDArray[np.bool_]:
    use = np.ones(n_cells, dtype=bool)
    use[0] = False
    return use
