"""Exact search of the space of hierarchical models by branch and bound, compiled.

A node is a pair of models (I, S): I has been fitted, and the node stands for every model between I and S. None of
them fits better than S, and each has at least one parameter more than I, so ``deviance(S) + penalty(|I| + 1)`` bounds
their criterion from below. A node whose bound does not beat the models already found is left unopened. About two
hundred fits find the best of the 6,893 models of five lists.
"""

from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from hiddenpop.kernels.lattice import _fit_terms
from hiddenpop.kernels.rank import _odd_full_rank, independent_terms
from hiddenpop.kernels.term_sets import (
    drop,
    drop_above,
    facets_inside,
    has,
    list_terms,
    missing_below,
    put,
    same,
)

__all__ = ["ADMISSIBLE", "DOUBTFUL", "INADMISSIBLE", "Catch", "Problem", "judge", "new_catch", "run_search"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]

DEVIANCE_SLACK = 1e-6
"""A converged deviance lies above its infimum by no more than Newton's stopping rule allows, 1e-8."""

ROUNDING = 1e-11
"""What rounding in the Gram matrix can hide, as a share of the persons: of a mean on its way to 0, of a deviance."""

OFF_FACE_MEAN = 1e-6
SURELY_OFF_FACE, SURELY_ON_FACE = 1e-8, 1e-5

INADMISSIBLE, ADMISSIBLE, DOUBTFUL = 0, 1, 2

BEST, PROVEN, COMPACTED = 0, 1, 2
FOUND, FITS, LOST = 0, 1, 2


class Problem(NamedTuple):
    """What is searched, for which table and by which rule.

    Attributes
    ----------
    counts, margins : ndarray, shape (2**n_lists,)
        Counts by history with 0 for the unobserved cell, and their superset sums.
    use : ndarray of bool
        True but for the unobserved cell.
    n_lists : int
    offset : ndarray, shape (2**n_lists,)
        Added to the log mean of each history; element 0 is that of the unobserved cell.
    penalty : ndarray
        Penalty by number of parameters, increasing with increasing steps.
    exists : bool
        Admit only models whose maximum exists, not all whose dark figure is finite.
    window : float
        Keep every model whose criterion is within this distance of the best admissible one.
    max_fits : int
        Give up after this many fits.
    excluded : ndarray of words, shape (e, n_words)
        Models known to be inadmissible.
    keep_inadmissible : bool
        Whether to keep those too.
    """

    counts: Floats
    margins: Floats
    use: Bools
    n_lists: int
    offset: Floats
    penalty: Floats
    exists: bool
    window: float
    max_fits: int
    excluded: Words
    keep_inadmissible: bool


class Catch(NamedTuple):
    """What a search has found; filled in place.

    Attributes
    ----------
    values : ndarray, shape (capacity,)
        Criterion, without the constant of the saturated model.
    sets : ndarray of words, shape (capacity, n_words)
    figures : ndarray, shape (capacity, 3)
        Deviance, dark figure, variance of its logarithm.
    codes : ndarray of int
        `ADMISSIBLE`, `INADMISSIBLE`, or `DOUBTFUL` where only a linear programme can tell.
    state : ndarray, shape (3,)
        Best value; lowest value that the nodes left unopened could hold, inf when the search was finished; best value
        when models out of the window were last dropped.
    tally : ndarray of int, shape (3,)
        Models kept, fits made, models lost for want of room.
    """

    values: Floats
    sets: Words
    figures: Floats
    codes: Ints
    state: Floats
    tally: Ints


class Stack(NamedTuple):
    """The open nodes, one row a depth."""

    inner: Words
    outer: Words
    n_inner: Ints
    floor: Floats
    children: Ints
    n_children: Ints
    next_child: Ints


def new_catch(capacity: int, n_words: int) -> Catch:
    """Make room for so many models."""
    return Catch(
        np.empty(capacity),
        np.zeros((capacity, n_words), dtype=np.uint64),
        np.empty((capacity, 3)),
        np.empty(capacity, dtype=np.int64),
        np.full(3, np.inf),
        np.zeros(3, dtype=np.int64),
    )


@nb.njit(cache=True)
def judge(problem: Problem, terms: Ints, means: Floats, live: Bools) -> int:
    """Whether a fitted model may be chosen; doubtful where Newton's means do not settle the face."""
    counts = problem.counts
    active = terms[(problem.margins[terms] > 0.0) | (terms == 0)]
    positive = np.flatnonzero(counts > 0.0)
    if active.shape[0] <= 64 and _odd_full_rank(positive, active):
        return ADMISSIBLE
    independent = independent_terms(positive, active)
    if independent.all() or (independent[-1] and not problem.exists):
        return ADMISSIBLE
    on_face = live & ((counts > 0.0) | (means > OFF_FACE_MEAN))
    on_face[0] = False
    surely_on_face = max(SURELY_ON_FACE, ROUNDING * problem.margins[0])
    for w in range(1, counts.shape[0]):
        if live[w] and counts[w] == 0.0 and SURELY_OFF_FACE < means[w] < surely_on_face:
            return DOUBTFUL
    independent = independent_terms(np.flatnonzero(on_face), active)
    if problem.exists:
        return ADMISSIBLE if on_face.sum() == live.sum() and independent.all() else INADMISSIBLE
    return ADMISSIBLE if independent[-1] else INADMISSIBLE


@nb.njit(cache=True)
def _consider(problem: Problem, catch: Catch, words: Words, terms: Ints) -> float:
    """Fit one model, keep it if it is good enough, and return its deviance."""
    p = list_terms(words, problem.counts.shape[0], terms)
    parameters, means, live, deviance, variance, _, _ = _fit_terms(
        problem.counts, problem.margins, problem.use, terms[:p], problem.n_lists, problem.offset
    )
    catch.tally[FITS] += 1
    value = deviance + problem.penalty[p]
    if value == np.inf or value > catch.state[BEST] + problem.window:
        return deviance
    code = judge(problem, terms[:p], means, live)
    for e in range(problem.excluded.shape[0]):
        if same(problem.excluded[e], words):
            code = INADMISSIBLE
    if code != INADMISSIBLE and value < catch.state[BEST]:
        catch.state[BEST] = value
    if code != INADMISSIBLE or problem.keep_inadmissible:
        _keep(
            problem,
            catch,
            value,
            words,
            deviance,
            np.exp(parameters[p - 1] + problem.offset[0]),
            variance,
            code,
        )
    return deviance


@nb.njit(cache=True)
def _keep(
    problem: Problem,
    catch: Catch,
    value: float,
    words: Words,
    deviance: float,
    n0: float,
    variance: float,
    code: int,
) -> None:
    if catch.tally[FOUND] == catch.values.shape[0] and catch.state[BEST] < catch.state[COMPACTED]:
        compact(catch, catch.state[BEST] + problem.window)
    at = catch.tally[FOUND]
    if at == catch.values.shape[0]:
        catch.tally[LOST] += 1
        return
    catch.values[at] = value
    catch.sets[at] = words
    catch.figures[at, 0], catch.figures[at, 1], catch.figures[at, 2] = deviance, n0, variance
    catch.codes[at] = code
    catch.tally[FOUND] += 1


@nb.njit(cache=True)
def compact(catch: Catch, threshold: float) -> None:
    """Drop the models that a better one has pushed out of the window."""
    kept = 0
    for i in range(catch.tally[FOUND]):
        if catch.values[i] <= threshold:
            catch.values[kept] = catch.values[i]
            catch.sets[kept] = catch.sets[i]
            catch.figures[kept] = catch.figures[i]
            catch.codes[kept] = catch.codes[i]
            kept += 1
    catch.tally[FOUND] = kept
    catch.state[COMPACTED] = catch.state[BEST]


@nb.njit(cache=True)
def _raise_floor(problem: Problem, catch: Catch, stack: Stack, depth: int, terms: Ints) -> None:
    """Fit the largest model of a node; without convergence the inherited bound stays."""
    p = list_terms(stack.outer[depth], problem.counts.shape[0], terms)
    fitted = _fit_terms(
        problem.counts, problem.margins, problem.use, terms[:p], problem.n_lists, problem.offset
    )
    catch.tally[FITS] += 1
    if fitted[6]:
        stack.floor[depth] = max(
            stack.floor[depth], fitted[3] - DEVIANCE_SLACK - ROUNDING * problem.margins[0]
        )


@nb.njit(cache=True)
def _affordable(problem: Problem, catch: Catch, stack: Stack, depth: int, n_free: int) -> int:
    """How many further parameters a model of the node could have and still be good enough."""
    budget = 0
    while (
        budget < n_free
        and stack.floor[depth] + problem.penalty[stack.n_inner[depth] + budget + 1]
        <= catch.state[BEST] + problem.window
    ):
        budget += 1
    return budget


@nb.njit(cache=True)
def _trim(problem: Problem, catch: Catch, stack: Stack, depth: int, terms: Ints) -> bool:
    """Shrink the largest model of a node to what is affordable; return whether the node is worth opening."""
    size = problem.counts.shape[0]
    p = stack.n_inner[depth]
    while True:
        n_free = list_terms(stack.outer[depth], size, terms) - p
        budget = _affordable(problem, catch, stack, depth, n_free)
        trimmed = False
        for t in range(1, size):
            if has(stack.outer[depth], t) and missing_below(stack.inner[depth], t) > budget:
                drop(stack.outer[depth], t)
                trimmed = True
        if budget == 0 or not trimmed:
            return budget > 0
        _raise_floor(problem, catch, stack, depth, terms)


@nb.njit(cache=True)
def _open(problem: Problem, catch: Catch, stack: Stack, depth: int, terms: Ints, deviances: Floats) -> None:
    """Fit the smaller model of a node with each term that may come next, best first."""
    size = problem.counts.shape[0]
    inner = stack.inner[depth]
    count = 0
    stack.next_child[depth] = 0
    stack.n_children[depth] = 0
    if not _trim(problem, catch, stack, depth, terms):
        return
    for t in range(1, size):
        if has(inner, t) or not has(stack.outer[depth], t) or not facets_inside(inner, t, problem.n_lists):
            continue
        put(inner, t)
        deviance = _consider(problem, catch, inner, terms)
        drop(inner, t)
        at = count
        while at > 0 and deviances[at - 1] > deviance:
            stack.children[depth, at], deviances[at] = stack.children[depth, at - 1], deviances[at - 1]
            at -= 1
        stack.children[depth, at], deviances[at] = t, deviance
        count += 1
    stack.n_children[depth] = count


@nb.njit(cache=True)
def _descend(problem: Problem, catch: Catch, stack: Stack, depth: int, terms: Ints) -> bool:
    """Prepare the next child of a node one row deeper; return whether it holds any further model."""
    size = problem.counts.shape[0]
    first = stack.next_child[depth] == 0
    term = stack.children[depth, stack.next_child[depth]]
    stack.next_child[depth] += 1
    child = depth + 1
    stack.inner[child] = stack.inner[depth]
    put(stack.inner[child], term)
    stack.outer[child] = stack.outer[depth]
    drop_above(stack.outer[depth], term, size)
    stack.n_inner[child] = stack.n_inner[depth] + 1
    stack.floor[child] = stack.floor[depth]
    stack.n_children[child] = -1
    n_free = list_terms(stack.outer[child], size, terms) - stack.n_inner[child]
    if n_free == 0:
        return False
    if not first and _affordable(problem, catch, stack, child, n_free) > 0:
        _raise_floor(problem, catch, stack, child, terms)
    return True


@nb.njit(cache=True)
def run_search(problem: Problem, smallest: Words, largest: Words, catch: Catch) -> None:
    """Collect in `catch` every model from `smallest` to `largest` that is within the window of the best.

    When the fits run out, ``state[PROVEN]`` is the lowest criterion that a model not looked at could have; otherwise
    it is inf. Models that a later best pushed out of the window are dropped.
    """
    size = problem.counts.shape[0]
    rows = size + 2
    stack = Stack(
        np.zeros((rows, smallest.shape[0]), dtype=np.uint64),
        np.zeros((rows, smallest.shape[0]), dtype=np.uint64),
        np.zeros(rows, dtype=np.int64),
        np.zeros(rows),
        np.empty((rows, size), dtype=np.int64),
        np.full(rows, -1, dtype=np.int64),
        np.zeros(rows, dtype=np.int64),
    )
    terms = np.empty(size, dtype=np.int64)
    deviances = np.empty(size)
    catch.state[:] = np.inf
    catch.tally[:] = 0
    stack.inner[0], stack.outer[0] = smallest, largest
    stack.n_inner[0] = list_terms(smallest, size, terms)
    _consider(problem, catch, smallest, terms)
    _raise_floor(problem, catch, stack, 0, terms)
    depth = 0
    while depth >= 0 and catch.tally[FITS] <= problem.max_fits:
        if stack.n_children[depth] < 0:
            _open(problem, catch, stack, depth, terms, deviances)
        if stack.next_child[depth] == stack.n_children[depth]:
            depth -= 1
        elif _descend(problem, catch, stack, depth, terms):
            depth += 1
    for row in range(depth + 1):
        ahead = 1 if stack.n_children[row] < 0 else 2
        catch.state[PROVEN] = min(
            catch.state[PROVEN], stack.floor[row] + problem.penalty[stack.n_inner[row] + ahead]
        )
    compact(catch, catch.state[BEST] + problem.window)
