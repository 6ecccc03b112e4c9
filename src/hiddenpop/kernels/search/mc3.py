"""Random walks over the models with two-list terms, weighted by a criterion: MC3, compiled.

A step proposes to add or remove one pair and is accepted with probability ``exp(-(increase of the criterion) / 2)``,
so the walk visits every admissible model in proportion to its weight. From the best model met a chain then goes
downhill to a model that no single pair improves. Up to twelve lists: 66 pairs in two words.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from hiddenpop._typing import Floats, Ints, Words
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.poisson.faces import face_of_model
from hiddenpop.kernels.poisson.lattice import fit_terms, independent_terms, offset_or_zeros, superset_sums
from hiddenpop.kernels.search.best_models import TIE, penalties
from hiddenpop.kernels.search.bound import ADMISSIBLE, DOUBTFUL, INADMISSIBLE, Problem, judge, n_words

__all__ = [
    "MAX_LISTS",
    "UNJUDGED",
    "Agreement",
    "Visited",
    "Walk",
    "agreement",
    "merge",
    "pairs_of",
    "run_chain",
    "starts",
    "walk",
]

MAX_LISTS = 12
"""Two words of 64 bits hold the 66 pairs of twelve lists."""

UNJUDGED = -1
MODELS, SLOTS_A_MODEL = 0, 4
MIX_LOW, MIX_HIGH, MIX_SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(32)

DESCENT_STEPS = 30
"""Downhill steps for which a chain has room; from the best model of a walk it takes a few."""

TOP_MODELS = 20
"""Models by which the chains are compared one by one; all others count as one."""

LARGEST_RHAT = 1.05
LARGEST_VARIATION = 0.2
"""Chains that agree have a split R-hat and a total variation below these."""


class Space(NamedTuple):
    """The models that are walked over.

    Attributes
    ----------
    pairs : ndarray of int
        Two-list terms; bit k of a model's code stands for ``pairs[k]``.
    first_code : int
        Code of a model that has been fitted and not yet judged: `ADMISSIBLE` where the cells with people in them
        determine every parameter of the largest model, and so of each, else `UNJUDGED`.
    """

    pairs: Ints
    first_code: int


class Book(NamedTuple):
    """Every model fitted so far, found by hashing; filled in place.

    Attributes
    ----------
    slots : ndarray of int
        Row of the model that hashes there, -1 where there is none; the length is a power of 2.
    masks : ndarray of words, shape (capacity, 2)
    values : ndarray
        Criterion, without the constant of the saturated model.
    figures : ndarray, shape (capacity, 3)
        Deviance, logarithm of the dark figure, its variance.
    codes : ndarray of int
        `ADMISSIBLE`, `INADMISSIBLE`, `DOUBTFUL` or `UNJUDGED`.
    tally : ndarray of int, shape (1,)
        Models in the book.
    """

    slots: Ints
    masks: Words
    values: Floats
    figures: Floats
    codes: Ints
    tally: Ints


@njit
def _terms(mask: Words, pairs: Ints, n_lists: int) -> Ints:
    """Terms of a model, the intercept last."""
    terms = np.empty(n_lists + pairs.shape[0] + 1, dtype=np.int64)
    count = n_lists
    for i in range(n_lists):
        terms[i] = 1 << i
    for k in range(pairs.shape[0]):
        if (mask[k >> 6] >> np.uint64(k & 63)) & np.uint64(1):
            terms[count] = pairs[k]
            count += 1
    terms[count] = 0
    return terms[: count + 1]


@njit
def _row(problem: Problem, space: Space, book: Book, mask: Words) -> int:
    """Row of a model in the book; a model not seen before is fitted."""
    last = np.uint64(book.slots.shape[0] - 1)
    mixed = mask[0] * MIX_LOW ^ (mask[1] + MIX_HIGH) * MIX_HIGH
    slot = (mixed ^ mixed >> MIX_SHIFT) & last
    while book.slots[slot] >= 0:
        row = book.slots[slot]
        if book.masks[row, 0] == mask[0] and book.masks[row, 1] == mask[1]:
            return row
        slot = (slot + np.uint64(1)) & last
    terms = _terms(mask, space.pairs, problem.n_lists)
    parameters, _, _, deviance, variance, _, _ = fit_terms(
        problem.counts, problem.margins, problem.use, terms, problem.n_lists, problem.offset
    )
    row = book.tally[MODELS]
    book.tally[MODELS] += 1
    book.slots[slot] = row
    book.masks[row] = mask
    book.values[row] = deviance + problem.penalty[terms.shape[0]]
    log_n0 = parameters[-1] + problem.offset[0]
    book.figures[row, 0], book.figures[row, 1], book.figures[row, 2] = deviance, log_n0, variance
    book.codes[row] = space.first_code if np.isfinite(book.values[row]) else INADMISSIBLE
    return row


@njit
def _code(problem: Problem, space: Space, book: Book, row: int) -> int:
    """Whether a model of the book may be chosen, judged when it is first asked."""
    if book.codes[row] == UNJUDGED:
        terms = _terms(book.masks[row], space.pairs, problem.n_lists)
        _, means, live, _, _, _, _ = fit_terms(
            problem.counts, problem.margins, problem.use, terms, problem.n_lists, problem.offset
        )
        book.codes[row] = judge(problem.counts, problem.margins, problem.exists, terms, means, live)
    return book.codes[row]


@njit
def run_chain(
    problem: Problem, space: Space, book: Book, flips: Ints, log_uniforms: Floats, trace: Ints, first: int
) -> int:
    """Walk from model to model until the end, or until a doubtful model would be entered.

    Parameters
    ----------
    problem : Problem
    space : Space
    book : Book
        Has the room for a new model a step.
    flips : ndarray of int, shape (n_steps,)
        Pair that each step proposes to add or remove.
    log_uniforms : ndarray, shape (n_steps,)
        Logarithms of uniform numbers. A step is taken when its number is below minus half the increase of the
        criterion.
    trace : ndarray of int, shape (n_steps + 1,)
        Row of the model after each step, filled from ``first + 1``; the start, which has been judged, stands first.
    first : int
        Step to begin with.

    Returns
    -------
    int
        Number of steps done. If it is not all of them, settle the doubtful models and call again from there.

    Notes
    -----
    An admissible model is never left for one that is not; among inadmissible ones the walk goes by the criterion
    until it finds an admissible one.
    """
    mask = np.empty(2, dtype=np.uint64)
    for step in range(first, flips.shape[0]):
        now = trace[step]
        trace[step + 1] = now
        mask[:] = book.masks[now]
        mask[flips[step] >> 6] ^= np.uint64(1) << np.uint64(flips[step] & 63)
        other = _row(problem, space, book, mask)
        good_enough = log_uniforms[step] < -0.5 * (book.values[other] - book.values[now])
        outside = book.codes[now] != ADMISSIBLE
        if not good_enough and not outside:
            continue
        code = _code(problem, space, book, other)
        if code == DOUBTFUL:
            return step
        if code == ADMISSIBLE or (outside and good_enough):
            trace[step + 1] = other
    return flips.shape[0]


@dataclass(frozen=True, slots=True)
class Walk:
    """One chain and every model it fitted; an element of each array but `trace` is a model.

    Attributes
    ----------
    masks : tuple of int
        Pairs of each model, a bit a pair in the order of their values.
    values : ndarray of float
        Criterion without the constant of the saturated model.
    deviance, log_n0, log_n0_variance : ndarray of float
    codes : ndarray of int
        1 admissible, 0 inadmissible, -1 not judged because the walk never wanted to go there.
    trace : ndarray of int, shape (n_steps + 1,)
        Model after each step, the start first.
    best : int
        Best admissible model, -1 without one. No admissible model that differs from it by one pair is better.
    """

    masks: tuple[int, ...]
    values: Floats
    deviance: Floats
    log_n0: Floats
    log_n0_variance: Floats
    codes: Ints
    trace: Ints
    best: int


def pairs_of(n_lists: int, without: int = 0) -> Ints:
    """Two-list terms, less those of a term set, in the order in which the bits of a mask stand for them."""
    pairs = sorted(1 << i | 1 << j for i, j in combinations(range(n_lists), 2))
    return np.array([pair for pair in pairs if not without >> pair & 1], dtype=np.int64)


def _two_words(mask: int) -> Words:
    return np.array([mask & (1 << 64) - 1, mask >> 64], dtype=np.uint64)


def _new_problem(
    counts: Floats, n_lists: int, criterion: str, exists: bool, offset: Floats | None
) -> Problem:
    observed = counts.astype(np.float64)
    observed[0] = 0.0
    use = np.ones(len(counts), dtype=bool)
    use[0] = False
    return Problem(
        observed,
        superset_sums(observed, n_lists),
        use,
        n_lists,
        offset_or_zeros(offset, len(counts)),
        penalties(criterion, len(counts), float(observed.sum())),
        exists,
        0.0,
        0,
        np.zeros((0, n_words(n_lists)), dtype=np.uint64),
        False,
    )


def _new_space(problem: Problem, without: int) -> Space:
    pairs = pairs_of(problem.n_lists, without)
    largest = np.concatenate([1 << np.arange(problem.n_lists), pairs, [0]])
    active = largest[(problem.margins[largest] > 0.0) | (largest == 0)]
    full = independent_terms(np.flatnonzero(problem.counts > 0.0), active).all()
    return Space(pairs, ADMISSIBLE if full else UNJUDGED)


def _new_book(capacity: int) -> Book:
    return Book(
        np.full(1 << (SLOTS_A_MODEL * capacity - 1).bit_length(), -1, dtype=np.int64),
        np.zeros((capacity, 2), dtype=np.uint64),
        np.empty(capacity),
        np.empty((capacity, 3)),
        np.empty(capacity, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
    )


def starts(n_lists: int, n_chains: int, rng: np.random.Generator, without: int = 0) -> list[int]:
    """Choose where chains begin: at independence, at all pairs, and at random sets of pairs of every density.

    Examples
    --------
    >>> starts(3, 2, np.random.default_rng(1))
    [0, 7]
    """
    n_pairs = len(pairs_of(n_lists, without))
    found = [0, (1 << n_pairs) - 1]
    while len(found) < n_chains:
        inside = rng.random(n_pairs) < rng.random()
        found.append(sum(1 << int(k) for k in np.flatnonzero(inside)))
    return found[:n_chains]


def walk(
    counts: Floats,
    n_lists: int,
    *,
    start: int,
    n_steps: int,
    rng: np.random.Generator,
    criterion: str = "bic",
    exists: bool = False,
    offset: Floats | None = None,
    without: int = 0,
) -> Walk:
    """Run one chain over the hierarchical models with two-list terms.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by history; element 0 is not used.
    n_lists : int
        From 2 to 12.
    start : int
        Pairs of the first model. Where they make it inadmissible, a largest admissible part of them is taken, in
        random order.
    n_steps : int
    rng : Generator
    criterion : {"bic", "aic", "aicc"}
    exists : bool
        Admit only models whose maximum exists, not all whose dark figure is finite.
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history; element 0 is that of the unobserved cell.
    without : int
        Term set of the terms that no model has.

    Returns
    -------
    Walk

    Notes
    -----
    Where the dark figure of a model is finite, it is so in every smaller model, so that the admissible models are
    connected through independence and the chain can reach each of them.

    References
    ----------
    Madigan, D. and York, J. (1995). Bayesian graphical models for discrete data. International Statistical Review
    63(2), 215-232. doi:10.2307/1403615

    Examples
    --------
    >>> import hiddenpop as hp
    >>> counts = hp.datasets.load("kosovo").to_dense().astype(float)
    >>> chain = walk(counts, 4, start=0, n_steps=500, rng=np.random.default_rng(1))
    >>> bin(chain.masks[chain.best]), round(float(np.exp(chain.log_n0[chain.best]) + counts.sum()))
    ('0b101111', 14342)
    """
    if not 2 <= n_lists <= MAX_LISTS:
        raise ValueError(f"n_lists={n_lists} must lie between 2 and {MAX_LISTS}")
    problem = _new_problem(counts, n_lists, criterion, exists, offset)
    space = _new_space(problem, without)
    n_pairs = len(space.pairs)
    book = _new_book(n_steps + (DESCENT_STEPS + 1) * (n_pairs + 1))
    order, flips = rng.permutation(n_pairs), rng.integers(0, n_pairs, n_steps)
    log_uniforms = np.log1p(-rng.random(n_steps))
    trace = np.empty(n_steps + 1, dtype=np.int64)
    trace[0] = _begin(problem, space, book, start, order)
    done = 0
    while (done := run_chain(problem, space, book, flips, log_uniforms, trace, done)) < n_steps:
        _settle(problem, space, book)
    return _written(book, trace, _downhill(problem, space, book))


def _downhill(problem: Problem, space: Space, book: Book) -> int:
    """Row of a model that no single pair improves, reached from the best in the book; -1 without any."""
    best = _best_row(book)
    for _ in range(DESCENT_STEPS if best >= 0 else 0):
        for k in range(len(space.pairs)):
            mask = book.masks[best].copy()
            mask[k >> 6] ^= np.uint64(1 << (k & 63))
            row = _row(problem, space, book, mask)
            if book.values[row] < book.values[best]:
                _settled_code(problem, space, book, row)
        last, best = best, _best_row(book)
        if best == last:
            break
    return best


def _best_row(book: Book) -> int:
    """Row of the best admissible model, the smaller among equals."""
    rows = np.flatnonzero(book.codes[: book.tally[MODELS]] == ADMISSIBLE)
    if not len(rows):
        return -1
    near = rows[book.values[rows] <= book.values[rows].min() + TIE]
    low_first = book.masks[near].T
    sizes = np.bitwise_count(book.masks[near]).sum(axis=1)
    return int(near[np.lexsort((*low_first, sizes))[0]])


def _begin(problem: Problem, space: Space, book: Book, start: int, order: Ints) -> int:
    """Row of the largest admissible part of the wished start."""
    whole = _row(problem, space, book, _two_words(start))
    if _settled_code(problem, space, book, whole) == ADMISSIBLE:
        return whole
    mask, row = 0, _row(problem, space, book, _two_words(0))
    if _settled_code(problem, space, book, row) != ADMISSIBLE:
        return row
    for k in (int(k) for k in order if start >> int(k) & 1):
        larger = _row(problem, space, book, _two_words(mask | 1 << k))
        if _settled_code(problem, space, book, larger) == ADMISSIBLE:
            mask, row = mask | 1 << k, larger
    return row


def _settled_code(problem: Problem, space: Space, book: Book, row: int) -> int:
    if _code(problem, space, book, row) == DOUBTFUL:
        _settle(problem, space, book)
    return int(book.codes[row])


def _settle(problem: Problem, space: Space, book: Book) -> None:
    """Judge the doubtful models by linear programming."""
    for row in np.flatnonzero(book.codes[: book.tally[MODELS]] == DOUBTFUL):
        terms = _terms(book.masks[row], space.pairs, problem.n_lists)
        face = face_of_model(problem.counts, terms, problem.n_lists)
        admitted = face.exists if problem.exists else face.status == "ok"
        book.codes[row] = ADMISSIBLE if admitted else INADMISSIBLE


def _written(book: Book, trace: Ints, best: int) -> Walk:
    n = int(book.tally[MODELS])
    masks = tuple(int(low) | int(high) << 64 for low, high in book.masks[:n])
    deviance, log_n0, variance = book.figures[:n].T.copy()
    return Walk(masks, book.values[:n].copy(), deviance, log_n0, variance, book.codes[:n].copy(), trace, best)


# === what several random walks over models found together, and whether they tell the same =============================


@dataclass(frozen=True, slots=True)
class Visited:
    """The models that several chains fitted, best first; every array has one element a model.

    Attributes
    ----------
    term_sets : tuple of int
    values, deviance, n0, log_n0_variance : ndarray of float
        As in `hiddenpop.kernels.search.best_models.BestModels`.
    codes : ndarray of int
        1 admissible, 0 inadmissible, -1 proposed but never judged.
    visits : ndarray of int
        Steps spent at the model by all chains.
    """

    term_sets: tuple[int, ...]
    values: Floats
    deviance: Floats
    n0: Floats
    log_n0_variance: Floats
    codes: Ints
    visits: Ints


def merge(chains: Sequence[Walk], n_lists: int, without: int = 0) -> Visited:
    """Put the models of several chains together, sorted by criterion, the smaller first among equals."""
    masks = [mask for chain in chains for mask in chain.masks]
    visits = np.concatenate([np.bincount(chain.trace, minlength=len(chain.masks)) for chain in chains])
    codes = np.concatenate([chain.codes for chain in chains])
    columns = [
        np.concatenate([getattr(chain, name) for chain in chains])
        for name in ("values", "deviance", "log_n0", "log_n0_variance")
    ]
    total: Counter[int] = Counter()
    code: dict[int, int] = {}
    first: dict[int, int] = {}
    for i, mask in enumerate(masks):
        total[mask] += int(visits[i])
        code[mask] = max(code.get(mask, UNJUDGED), int(codes[i]))
        first.setdefault(mask, i)
    lowest = columns[0].min()
    steps = np.round((columns[0] - lowest) / TIE) if np.isfinite(lowest) else columns[0]
    unique = sorted(first, key=lambda mask: (steps[first[mask]], mask.bit_count(), mask))
    rows = [first[mask] for mask in unique]
    values, deviance, log_n0, variance = (column[rows] for column in columns)
    return Visited(
        tuple(_term_set(mask, n_lists, without) for mask in unique),
        values,
        deviance,
        np.exp(log_n0),
        variance,
        np.array([code[mask] for mask in unique]),
        np.array([total[mask] for mask in unique]),
    )


def _term_set(mask: int, n_lists: int, without: int) -> int:
    """Code of a model with a bit a term, as everywhere outside this module."""
    pairs = pairs_of(n_lists, without)
    singles = sum(1 << (1 << i) for i in range(n_lists)) | 1
    return singles | sum(1 << int(pairs[k]) for k in bit_positions(mask))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether chains from different starts tell the same; the first half of each is left out of the last two.

    Attributes
    ----------
    best : tuple of int
        Term set of the best admissible model of each chain, 0 where it found none.
    found_best : int
        Chains that found the best of all.
    rhat : float
        Split R-hat of the logarithm of the dark figure of the current model; nan where a chain never found an
        admissible model.
    total_variation : float
        Largest between two chains' shares of time at the models most visited, all others as one.
    """

    best: tuple[int, ...]
    found_best: int
    rhat: float
    total_variation: float

    @property
    def agree(self) -> bool:
        """Whether every chain found the same best model and spent its time alike."""
        return (
            self.found_best == len(self.best)
            and self.rhat < LARGEST_RHAT
            and self.total_variation < LARGEST_VARIATION
        )


def agreement(chains: Sequence[Walk], n_lists: int, without: int = 0) -> Agreement:
    """Compare chains from different starts.

    Parameters
    ----------
    chains : sequence of Walk
        Of the same number of steps, at least 4.
    n_lists : int

    Returns
    -------
    Agreement

    References
    ----------
    Gelman, A. et al. (2013). Bayesian Data Analysis, 3rd ed., section 11.4.
    """
    found = [chain for chain in chains if chain.best >= 0]
    winners = [chain.masks[chain.best] for chain in found]
    first = min(
        zip((chain.values[chain.best] for chain in found), winners, strict=True), default=(np.inf, -1)
    )
    late = [_late(chain) for chain in chains]
    judged = all(np.all(chain.codes[rows] == ADMISSIBLE) for chain, rows in zip(chains, late, strict=True))
    traces = np.array([chain.log_n0[rows] for chain, rows in zip(chains, late, strict=True)])
    shares = [
        Counter(chain.masks[row] for row in rows.tolist()) for chain, rows in zip(chains, late, strict=True)
    ]
    return Agreement(
        tuple(
            _term_set(chain.masks[chain.best], n_lists, without) if chain.best >= 0 else 0 for chain in chains
        ),
        winners.count(first[1]),
        split_rhat(traces) if judged else float("nan"),
        _largest_variation(shares),
    )


def _late(chain: Walk) -> Ints:
    return chain.trace[len(chain.trace) - (len(chain.trace) - 1) // 2 :]


def split_rhat(traces: Floats) -> float:
    """Give the potential scale reduction of chains, each cut in two.

    Parameters
    ----------
    traces : ndarray, shape (n_chains, n_steps)

    Returns
    -------
    float
        1 when nothing varies; inf when the chains stand still at different values.

    Examples
    --------
    >>> split_rhat(np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0]]))
    inf
    """
    half = traces.shape[1] // 2
    pieces = np.concatenate([traces[:, :half], traces[:, traces.shape[1] - half :]])
    within = float(pieces.var(axis=1, ddof=1).mean())
    between = float(pieces.mean(axis=1).var(ddof=1))
    if within == 0.0:
        return 1.0 if between == 0.0 else float("inf")
    return float(np.sqrt((half - 1) / half + between / within))


def _largest_variation(shares: Sequence[Counter[int]]) -> float:
    """Largest total variation between two chains over the models most visited by all."""
    together: Counter[int] = Counter()
    for share in shares:
        together.update(share)
    top = [mask for mask, _ in sorted(together.items(), key=lambda item: (-item[1], item[0]))[:TOP_MODELS]]
    rows = []
    for share in shares:
        row = np.array([share[mask] for mask in top], dtype=np.float64) / share.total()
        rows.append(np.append(row, 1.0 - row.sum()))
    return max((0.5 * float(np.abs(a - b).sum()) for a, b in combinations(rows, 2)), default=0.0)
