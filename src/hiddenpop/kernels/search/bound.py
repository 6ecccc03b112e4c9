"""Exact search of the space of hierarchical models by branch and bound, compiled.

A node is a pair of models (I, S): I has been fitted, and the node stands for every model between I and S. None of
them fits better than S, and each has at least one parameter more than I, so ``deviance(S) + penalty(|I| + 1)`` bounds
their criterion from below. A node whose bound does not beat the models already found is left unopened. About two
hundred fits find the best of the 6,893 models of five lists.
"""

from typing import NamedTuple

import numpy as np

from hiddenpop._typing import Bools, Floats, Ints, Words
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.poisson.lattice import fit_terms, independent_terms, odd_full_rank, rank_of
from hiddenpop.parallel import progress_bar

__all__ = [
    "ADMISSIBLE",
    "DOUBTFUL",
    "INADMISSIBLE",
    "Catch",
    "Problem",
    "from_words",
    "judge",
    "n_words",
    "new_catch",
    "run_search",
    "to_words",
]

DEVIANCE_SLACK = 1e-6
"""A converged deviance lies above its infimum by no more than Newton's stopping rule allows, 1e-8."""

ROUNDING = 1e-11
"""What rounding in the Gram matrix can hide, as a share of the persons: of a mean on its way to 0, of a deviance."""

STRETCH = 2_000
"""Fits between two looks at the clock: a tenth of a second for six lists, a few for nine."""

OFF_FACE_MEAN = 1e-6
SURELY_OFF_FACE, SURELY_ON_FACE = 1e-8, 1e-5

INADMISSIBLE, ADMISSIBLE, DOUBTFUL = 0, 1, 2

BEST, PROVEN, COMPACTED = 0, 1, 2
FOUND, FITS, LOST = 0, 1, 2
FIGURES = 4

WORD_BITS = 64


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
    figures : ndarray, shape (capacity, 4)
        Deviance, dark figure, variance of its logarithm, and 1 where the fit converged, else 0.
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
    """The open nodes, one row a depth.

    Attributes
    ----------
    depth : ndarray of int, shape (1,)
        Row of the node at work, -1 when none is left.
    inner, outer : ndarray of words, shape (rows, n_words)
        Its smaller model, with the term that is tried, and its larger.
    marks : ndarray of int, shape (rows, 5)
        Its phase; parameters of its smaller model; the term that is tried; how many children it has; how many of them
        have been visited.
    floor : ndarray, shape (rows,)
        No model of it has a deviance below this.
    children : ndarray of int, shape (rows, 2**n_lists)
        Terms that may come next, the one that fits best first.
    deviances : ndarray, shape (2**n_lists,)
        Deviances that belong to the children of the node at work.
    """

    depth: Ints
    inner: Words
    outer: Words
    marks: Ints
    floor: Floats
    children: Ints
    deviances: Floats


PHASE, N_INNER, TRIED, N_CHILDREN, VISITED = 0, 1, 2, 3, 4
N_MARKS = 5

NEW, TRIMMED, SCANNED, OPEN = 0, 1, 2, 3
"""Phases of a node: nothing done; its larger model is being trimmed; its children are being fitted; they are known."""

NOTHING, LARGEST, FIRST, CHILD = 0, 1, 2, 3
"""What is fitted next: nothing, the larger model of a node, its smaller model, or that and one term."""


def new_catch(capacity: int, n_words: int) -> Catch:
    """Make room for so many models."""
    return Catch(
        np.empty(capacity),
        np.zeros((capacity, n_words), dtype=np.uint64),
        np.empty((capacity, FIGURES)),
        np.empty(capacity, dtype=np.int64),
        np.full(3, np.inf),
        np.zeros(3, dtype=np.int64),
    )


def _new_stack(smallest: Words, largest: Words, n_lists: int) -> Stack:
    """Put the node of the whole space at the bottom of a stack."""
    size = 1 << n_lists
    rows = int(np.bitwise_count(largest).sum() - np.bitwise_count(smallest).sum()) + 2
    stack = Stack(
        np.zeros(1, dtype=np.int64),
        np.zeros((rows, len(smallest)), dtype=np.uint64),
        np.zeros((rows, len(smallest)), dtype=np.uint64),
        np.zeros((rows, N_MARKS), dtype=np.int64),
        np.zeros(rows),
        np.empty((rows, size), dtype=np.int64),
        np.empty(size),
    )
    stack.inner[0], stack.outer[0] = smallest, largest
    stack.marks[0, N_INNER] = np.bitwise_count(smallest).sum()
    return stack


@njit
def judge(counts: Floats, margins: Floats, exists: bool, terms: Ints, means: Floats, live: Bools) -> int:
    """Whether a fitted model may be chosen; doubtful where Newton's means do not settle the face."""
    size = counts.shape[0]
    active, p = np.empty(terms.shape[0], dtype=np.int64), 0
    for t in terms:
        if margins[t] > 0.0 or t == 0:
            active[p] = t
            p += 1
    active = active[:p]
    cells, n = np.empty(size, dtype=np.int64), 0
    for w in range(1, size):
        if counts[w] > 0.0:
            cells[n] = w
            n += 1
    if p <= WORD_BITS and odd_full_rank(cells[:n], active):
        return ADMISSIBLE
    independent = independent_terms(cells[:n], active)
    if rank_of(independent) == p or (independent[p - 1] and not exists):
        return ADMISSIBLE
    surely_on_face = max(SURELY_ON_FACE, ROUNDING * margins[0])
    n, n_live = 0, 0
    for w in range(1, size):
        if not live[w]:
            continue
        n_live += 1
        if counts[w] == 0.0 and SURELY_OFF_FACE < means[w] < surely_on_face:
            return DOUBTFUL
        if counts[w] > 0.0 or means[w] > OFF_FACE_MEAN:
            cells[n] = w
            n += 1
    independent = independent_terms(cells[:n], active)
    if exists:
        return ADMISSIBLE if n == n_live and rank_of(independent) == p else INADMISSIBLE
    return ADMISSIBLE if independent[p - 1] else INADMISSIBLE


@njit
def _consider(
    problem: Problem, catch: Catch, words: Words, code: int, value: float, figures: tuple[float, ...]
) -> None:
    """Keep a model that is within the window of the best, if it is wanted."""
    for e in range(problem.excluded.shape[0]):
        if same(problem.excluded[e], words):
            code = INADMISSIBLE
    if code == INADMISSIBLE and not problem.keep_inadmissible:
        return
    if code != INADMISSIBLE and value < catch.state[BEST]:
        catch.state[BEST] = value
    if catch.tally[FOUND] == catch.values.shape[0] and catch.state[BEST] < catch.state[COMPACTED]:
        compact(catch, catch.state[BEST] + problem.window)
    at = catch.tally[FOUND]
    if at == catch.values.shape[0]:
        catch.tally[LOST] += 1
        return
    catch.values[at] = value
    copy(catch.sets[at], words)
    for j in range(FIGURES):
        catch.figures[at, j] = figures[j]
    catch.codes[at] = code
    catch.tally[FOUND] += 1


@njit
def compact(catch: Catch, threshold: float) -> None:
    """Drop the models that a better one has pushed out of the window."""
    kept = 0
    for i in range(catch.tally[FOUND]):
        if catch.values[i] <= threshold:
            catch.values[kept] = catch.values[i]
            copy(catch.sets[kept], catch.sets[i])
            for j in range(FIGURES):
                catch.figures[kept, j] = catch.figures[i, j]
            catch.codes[kept] = catch.codes[i]
            kept += 1
    catch.tally[FOUND] = kept
    catch.state[COMPACTED] = catch.state[BEST]


@njit
def _affordable(stack: Stack, row: int, penalty: Floats, threshold: float) -> int:
    """How many further parameters a model of the node could have and still be good enough."""
    n_inner = stack.marks[row, N_INNER]
    n_free = count(stack.outer[row]) - n_inner
    budget = 0
    while budget < n_free and stack.floor[row] + penalty[n_inner + budget + 1] <= threshold:
        budget += 1
    return budget


@njit
def _trim(stack: Stack, row: int, penalty: Floats, threshold: float) -> int:
    """Shrink the larger model of a node to what is affordable; if it shrank, it is to be fitted again."""
    budget = _affordable(stack, row, penalty, threshold)
    trimmed = False
    for t in range(1, stack.children.shape[1]):
        if has(stack.outer[row], t) and missing_below(stack.inner[row], t) > budget:
            drop(stack.outer[row], t)
            trimmed = True
    if budget == 0:
        stack.marks[row, PHASE] = OPEN
    elif not trimmed:
        stack.marks[row, PHASE] = SCANNED
    return LARGEST if trimmed and budget > 0 else NOTHING


@njit
def _scan(stack: Stack, row: int, n_lists: int) -> int:
    """Put the next term that may come next into the smaller model of a node, which is then to be fitted."""
    inner = stack.inner[row]
    for t in range(stack.marks[row, TRIED] + 1, stack.children.shape[1]):
        if not has(inner, t) and has(stack.outer[row], t) and facets_inside(inner, t, n_lists):
            put(inner, t)
            stack.marks[row, TRIED] = t
            return CHILD
    stack.marks[row, PHASE] = OPEN
    return NOTHING


@njit
def _add_child(stack: Stack, row: int, deviance: float) -> None:
    """Take the term that was tried out again and write it down as a child, in the order of the deviances."""
    term = stack.marks[row, TRIED]
    drop(stack.inner[row], term)
    at = stack.marks[row, N_CHILDREN]
    while at > 0 and stack.deviances[at - 1] > deviance:
        stack.children[row, at], stack.deviances[at] = stack.children[row, at - 1], stack.deviances[at - 1]
        at -= 1
    stack.children[row, at], stack.deviances[at] = term, deviance
    stack.marks[row, N_CHILDREN] += 1


@njit
def _descend(stack: Stack, row: int, penalty: Floats, threshold: float) -> int:
    """Go to the next child of a node, one row deeper, if it holds any further model; back where there is none."""
    if stack.marks[row, VISITED] == stack.marks[row, N_CHILDREN]:
        stack.depth[0] -= 1
        return NOTHING
    first = stack.marks[row, VISITED] == 0
    term = stack.children[row, stack.marks[row, VISITED]]
    stack.marks[row, VISITED] += 1
    child = row + 1
    copy(stack.inner[child], stack.inner[row])
    put(stack.inner[child], term)
    copy(stack.outer[child], stack.outer[row])
    drop_above(stack.outer[row], term, stack.children.shape[1])
    for mark in range(N_MARKS):
        stack.marks[child, mark] = 0
    stack.marks[child, N_INNER] = stack.marks[row, N_INNER] + 1
    stack.floor[child] = stack.floor[row]
    if count(stack.outer[child]) == stack.marks[child, N_INNER]:
        return NOTHING
    stack.depth[0] = child
    return NOTHING if first or _affordable(stack, child, penalty, threshold) == 0 else LARGEST


@njit
def _next_fit(stack: Stack, penalty: Floats, threshold: float, n_lists: int, out_of_fits: bool) -> int:
    """Walk through the nodes to the next model that has to be fitted; nothing when the search has ended."""
    job = NOTHING
    while job == NOTHING and stack.depth[0] >= 0:
        row = stack.depth[0]
        phase = stack.marks[row, PHASE]
        if out_of_fits and phase in (NEW, OPEN):
            break
        if phase == NEW:
            stack.marks[row, PHASE] = TRIMMED
        elif phase == TRIMMED:
            job = _trim(stack, row, penalty, threshold)
        elif phase == SCANNED:
            job = _scan(stack, row, n_lists)
        else:
            job = _descend(stack, row, penalty, threshold)
    return job


@njit
def _search(problem: Problem, stack: Stack, catch: Catch) -> None:
    """Search on from where the stack stands, until nothing is left or the fits have run out."""
    size = problem.counts.shape[0]
    terms = np.empty(size, dtype=np.int64)
    job = FIRST
    if catch.tally[FITS] > 0:
        threshold = catch.state[BEST] + problem.window
        out_of_fits = catch.tally[FITS] > problem.max_fits
        job = _next_fit(stack, problem.penalty, threshold, problem.n_lists, out_of_fits)
    while job != NOTHING:
        row = stack.depth[0]
        words = stack.outer[row] if job == LARGEST else stack.inner[row]
        p = list_terms(words, size, terms)
        parameters, means, live, deviance, variance, _, converged = fit_terms(
            problem.counts, problem.margins, problem.use, terms[:p], problem.n_lists, problem.offset
        )
        catch.tally[FITS] += 1
        if job == LARGEST:
            if converged:  # without convergence the inherited bound stays
                lowest = deviance - DEVIANCE_SLACK - ROUNDING * problem.margins[0]
                stack.floor[row] = max(stack.floor[row], lowest)
        else:
            value = deviance + problem.penalty[p]
            if value < np.inf and value <= catch.state[BEST] + problem.window:
                code = judge(problem.counts, problem.margins, problem.exists, terms[:p], means, live)
                n0 = np.exp(parameters[p - 1] + problem.offset[0])
                _consider(
                    problem, catch, words, code, value, (deviance, n0, variance, 1.0 if converged else 0.0)
                )
        if job == FIRST:
            job = LARGEST
            continue
        if job == CHILD:
            _add_child(stack, row, deviance)
        threshold = catch.state[BEST] + problem.window
        out_of_fits = catch.tally[FITS] > problem.max_fits
        job = _next_fit(stack, problem.penalty, threshold, problem.n_lists, out_of_fits)


def run_search(problem: Problem, smallest: Words, largest: Words, catch: Catch) -> None:
    """Collect in `catch` every model from `smallest` to `largest` that is within the window of the best.

    When the fits run out, ``state[PROVEN]`` is the lowest criterion that a model not looked at could have; otherwise
    it is inf. Models that a later best pushed out of the window are dropped. A long search shows how far it is where
    `hiddenpop.parallel` has asked for progress.
    """
    stack = _new_stack(smallest, largest, problem.n_lists)
    catch.state[:], catch.tally[:] = np.inf, 0
    _search(problem._replace(max_fits=min(STRETCH, problem.max_fits)), stack, catch)
    if _is_going_on(problem, stack, catch):
        _search_on(problem, stack, catch)
    for row in range(int(stack.depth[0]) + 1):
        ahead = 1 if stack.marks[row, PHASE] == NEW else 2
        least = stack.floor[row] + problem.penalty[stack.marks[row, N_INNER] + ahead]
        catch.state[PROVEN] = min(catch.state[PROVEN], least)
    compact(catch, catch.state[BEST] + problem.window)


def _is_going_on(problem: Problem, stack: Stack, catch: Catch) -> bool:
    return bool(stack.depth[0] >= 0 and catch.tally[FITS] <= problem.max_fits)


def _search_on(problem: Problem, stack: Stack, catch: Catch) -> None:
    """Search stretch by stretch, which leaves room to show progress and to be interrupted."""
    stretches = -(-problem.max_fits // STRETCH)
    label = f"search of models, at most {problem.max_fits:,} fits"
    with progress_bar(label, stretches, done=1) as step:
        while _is_going_on(problem, stack, catch):
            limit = min(int(catch.tally[FITS]) + STRETCH, problem.max_fits)
            _search(problem._replace(max_fits=limit), stack, catch)
            step()


# === sets of terms as bits in 64-bit words, compiled ==================================================================
# A model of t lists is 2**t bits, so up to six lists are one word.


def n_words(n_lists: int) -> int:
    """Words that a set of terms over so many lists takes."""
    return max(1, (1 << n_lists) // WORD_BITS)


def to_words(term_set: int, n_lists: int) -> Words:
    """Cut a term set, one Python integer, into words.

    Examples
    --------
    >>> to_words(0b10111, 3).tolist()
    [23]
    """
    mask = (1 << WORD_BITS) - 1
    return np.array([term_set >> (WORD_BITS * i) & mask for i in range(n_words(n_lists))], dtype=np.uint64)


def from_words(words: Words) -> int:
    """Join words to a term set.

    Examples
    --------
    >>> from_words(to_words(0b10111, 3)) == 0b10111
    True
    """
    return sum(int(word) << (WORD_BITS * i) for i, word in enumerate(words))


@njit
def has(words: Words, term: int) -> bool:
    """Whether the set holds a term."""
    found: bool = (words[term >> 6] >> np.uint64(term & 63)) & np.uint64(1) != 0
    return found


@njit
def put(words: Words, term: int) -> None:
    """Put a term into the set."""
    words[term >> 6] |= np.uint64(1) << np.uint64(term & 63)


@njit
def drop(words: Words, term: int) -> None:
    """Take a term out of the set."""
    words[term >> 6] &= ~(np.uint64(1) << np.uint64(term & 63))


@njit
def drop_above(words: Words, term: int, size: int) -> None:
    """Take out every term that contains `term`."""
    for t in range(term, size):
        if t & term == term:
            drop(words, t)


@njit
def copy(to: Words, words: Words) -> None:
    """Make one set equal to another; a slice would say the same and take seconds to compile."""
    for i in range(words.shape[0]):
        to[i] = words[i]


@njit
def same(a: Words, b: Words) -> bool:
    """Whether two sets are equal."""
    equal = True
    for i in range(a.shape[0]):
        equal &= a[i] == b[i]
    return equal


@njit
def count(words: Words) -> int:
    """How many terms the set holds."""
    total = 0
    for word in words:
        rest = word
        while rest:
            rest &= rest - np.uint64(1)
            total += 1
    return total


@njit
def list_terms(words: Words, size: int, terms: Ints) -> int:
    """Fill `terms` with the terms of a set, the intercept last; return how many there are."""
    count = 0
    for t in range(1, size):
        if has(words, t):
            terms[count] = t
            count += 1
    terms[count] = 0
    return count + 1


@njit
def facets_inside(words: Words, term: int, n_lists: int) -> bool:
    """Whether the set holds every term that is `term` less one list."""
    inside = True
    for i in range(n_lists):
        inside &= not term >> i & 1 or has(words, term & ~(1 << i))
    return inside


@njit
def missing_below(words: Words, term: int) -> int:
    """How many terms the set lacks of those that come with `term`, itself included."""
    missing = 0
    subset = term
    while subset > 0:
        if not has(words, subset):
            missing += 1
        subset = (subset - 1) & term
    return missing
