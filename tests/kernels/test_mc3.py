"""The walk against exact weights, exact searches and the fits of other kernels; a wrong walk is shown to fail."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy.stats import chisquare

import hiddenpop as hp
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.poisson.faces import faces_of_batch
from hiddenpop.kernels.poisson.lattice import fit_batch, fit_one
from hiddenpop.kernels.search.best_models import best_models, penalties
from hiddenpop.kernels.search.bound import ADMISSIBLE, INADMISSIBLE
from hiddenpop.kernels.search.mc3 import Book, Space, _new_problem, agreement, merge, run_chain, starts, walk
from hiddenpop.model import HierarchicalModel, enumerate_models

UNJUDGED = -1
ALL_PAIRS = {t: (1 << t * (t - 1) // 2) - 1 for t in range(2, 13)}

# Newton leaves some means between 1e-8 and 1e-5 here, so that only a linear programme can judge.
DOUBTFUL = [
    [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 30, 0, 0, 35, 2, 0, 0, 0, 1, 10, 0, 0, 3, 0, 0, 9, 1, 0, 3],
    [0, 0, 0, 0, 0, 0, 1, 5, 0, 0, 1, 0, 0, 1, 0, 0, 1, 15, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 9, 0, 5, 0],
    [0, 2, 1, 0, 3, 16, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 5, 0, 0, 1],
    [0, 2, 0, 1209, 0, 35, 0, 2338, 79, 11876, 1329, 1688, 2, 282, 119, 1],
]


def dense(name, *dropped):
    table = hp.datasets.load(name)
    return (table.drop_list(*dropped) if dropped else table).to_dense().astype(float)


def simulated(n_lists, n, seed):
    """A table of neighbouring pairs that attract each other."""
    rng = np.random.default_rng(seed)
    cells = np.arange(1 << n_lists)
    captures = (cells[:, None] >> np.arange(n_lists)) & 1
    eta = captures @ rng.uniform(-3.0, -1.2, n_lists) + (captures[:, 0:-1:2] * captures[:, 1::2]).sum(axis=1)
    counts = rng.multinomial(n, np.exp(eta) / np.exp(eta).sum()).astype(float)
    counts[0] = 0.0
    return counts


def pairs_of(n_lists):
    return sorted(1 << i | 1 << j for i, j in combinations(range(n_lists), 2))


def term_set(mask, n_lists):
    pairs = pairs_of(n_lists)
    terms = [0, *(1 << i for i in range(n_lists)), *(pairs[k] for k in bit_positions(mask))]
    return sum(1 << term for term in terms)


def chains(counts, n_lists, n_steps, n_chains=3, seed=1, **rule):
    rng = np.random.default_rng(seed)
    return [
        walk(counts, n_lists, start=start, n_steps=n_steps, rng=child, **rule)
        for start, child in zip(starts(n_lists, n_chains, rng), rng.spawn(n_chains), strict=True)
    ]


TABLES = [
    ("uk_5", 5, ()),
    ("netherlands_5", 5, ()),
    ("western_us", 5, ()),
    ("uk", 6, ()),
    ("netherlands", 6, ()),
    ("new_orleans_186", 7, ("B",)),
    ("new_orleans_186", 8, ()),
]


@pytest.mark.parametrize(("criterion", "exists"), [("bic", False), ("aic", False), ("bic", True)])
@pytest.mark.parametrize(("name", "n_lists", "dropped"), TABLES)
def test_it_finds_the_best_of_the_exact_search(name, n_lists, dropped, criterion, exists):
    counts = dense(name, *dropped)
    exact = best_models(counts, n_lists, criterion=criterion, max_order=2, exists=exists)
    assert exact.finished
    first = int(np.argmax(exact.admissible))
    found = merge(chains(counts, n_lists, 3_000, criterion=criterion, exists=exists), n_lists)
    at = int(np.flatnonzero(found.codes == ADMISSIBLE)[0])
    assert found.term_sets[at] == exact.term_sets[first]
    assert found.values[at] == pytest.approx(exact.values[first], abs=1e-9)
    assert found.n0[at] == pytest.approx(exact.n0[first], rel=1e-9)


@pytest.mark.parametrize("criterion", ["bic", "aic", "aicc"])
def test_every_model_of_the_book_is_the_one_that_others_fit(criterion):
    counts = dense("western_us")
    found = merge(chains(counts, 5, 1_000, criterion=criterion), 5)
    sets = np.array(found.term_sets, dtype=np.uint64)
    assert len(set(found.term_sets)) == len(sets) > 100
    fit = fit_batch(counts, sets, 5)
    penalty = penalties(criterion, 32, counts.sum())[fit.n_parameters]
    assert np.allclose(found.values, fit.deviance + penalty, rtol=1e-11)
    admissible = found.codes == ADMISSIBLE
    assert np.allclose(found.n0[admissible], fit.n0[admissible], rtol=1e-8)
    assert np.allclose(found.log_n0_variance[admissible], fit.log_n0_variance[admissible], rtol=1e-6)
    assert all(np.diff(found.values) >= -1e-7)
    assert found.visits.sum() == 3 * 1_001


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("counts", DOUBTFUL)
def test_what_may_be_chosen_is_what_the_faces_say(counts, exists):
    counts, n_lists = np.array(counts, dtype=float), len(counts).bit_length() - 1
    found = merge(chains(counts, n_lists, 800, criterion="aic", exists=exists), n_lists)
    judged = found.codes != UNJUDGED
    faces = faces_of_batch(counts, np.array(found.term_sets, dtype=np.uint64), n_lists)
    truth = faces.exists if exists else faces.status == "ok"
    assert np.array_equal(found.codes[judged] == ADMISSIBLE, truth[judged])
    assert {ADMISSIBLE, INADMISSIBLE} <= set(found.codes.tolist())
    assert np.all(found.codes[found.visits > 0] != UNJUDGED)


class Impatient:
    """A generator whose uniform numbers make the walk accept with the square of the right probability."""

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)
        self.permutation, self.integers = self._rng.permutation, self._rng.integers

    def random(self, size):
        return 1.0 - np.sqrt(1.0 - self._rng.random(size))


# Two are admissible throughout; in the third, 2 of the 8 models have no finite dark figure.
SPACES = {
    "kosovo": (4, dense("kosovo")),
    "weak": (3, np.array([0.0, 60, 50, 14, 40, 12, 9, 5])),
    "sparse": (3, np.array([0.0, 6, 5, 0, 4, 3, 2, 0])),
}
THIN, KEPT = 60, 3_000


def exact_weights(counts, n_lists, criterion):
    sets = np.concatenate(list(enumerate_models(n_lists, max_order=2)))
    fit = fit_batch(counts, sets, n_lists)
    value = fit.deviance + penalties(criterion, len(counts), counts.sum())[fit.n_parameters]
    value[faces_of_batch(counts, sets, n_lists).status != "ok"] = np.inf
    weight = np.exp(-0.5 * (value - value.min()))
    return dict(zip(sets.tolist(), weight / weight.sum(), strict=True))


def p_value_of_visits(name, criterion, rng, start=0):
    """Chi-square of thinned visits against the exact weights; models expected less than five times are one."""
    n_lists, counts = SPACES[name]
    chain = walk(counts, n_lists, start=start, n_steps=THIN * KEPT, rng=rng, criterion=criterion)
    rows = np.bincount(chain.trace[THIN::THIN], minlength=len(chain.masks))
    visits = {term_set(mask, n_lists): int(n) for mask, n in zip(chain.masks, rows, strict=True)}
    weights = exact_weights(counts, n_lists, criterion)
    assert all(weights[s] > 0 for s, n in visits.items() if n)
    seen, expected = (
        np.array([v.get(s, 0) for s in weights]) for v in (visits, {s: KEPT * w for s, w in weights.items()})
    )
    rare = expected < 5.0
    pooled = [np.append(v[~rare], v[rare].sum()) for v in (seen, expected)]
    kept = pooled[1] > 1e-9
    assert kept.sum() >= 3
    return chisquare(pooled[0][kept], pooled[1][kept]).pvalue


@pytest.mark.parametrize("criterion", ["bic", "aic"])
@pytest.mark.parametrize("name", SPACES)
def test_time_is_spent_by_the_exact_weights(name, criterion):
    n_lists = SPACES[name][0]
    for start in (0, ALL_PAIRS[n_lists]):
        rng = np.random.default_rng([start, len(criterion)])
        assert p_value_of_visits(name, criterion, rng, start) > 1e-3


@pytest.mark.parametrize("name", SPACES)
def test_a_wrong_acceptance_rule_fails_that_test(name):
    assert p_value_of_visits(name, "bic", Impatient(1)) < 1e-6


def test_the_sparse_space_has_models_that_may_not_be_entered():
    weights = exact_weights(SPACES["sparse"][1], 3, "bic")
    assert sum(weight == 0.0 for weight in weights.values()) == 2


def test_same_seed_same_bytes():
    counts = dense("uk")
    first, again, other = (chains(counts, 6, 500, seed=seed) for seed in (1, 1, 2))
    for a, b, c in zip(first, again, other, strict=True):
        assert a.masks == b.masks
        assert a.trace.tobytes() == b.trace.tobytes()
        assert a.values.tobytes() == b.values.tobytes()
        assert a.trace.tobytes() != c.trace.tobytes()


def test_each_step_adds_or_removes_one_pair_or_stays():
    chain = walk(dense("uk"), 6, start=0, n_steps=500, rng=np.random.default_rng(1))
    path = [chain.masks[row] for row in chain.trace]
    distances = {(a ^ b).bit_count() for a, b in pairwise(path)}
    assert distances == {0, 1}


def test_chains_start_at_independence_all_pairs_and_anywhere():
    found = starts(12, 8, np.random.default_rng(1))
    assert found[:2] == [0, (1 << 66) - 1]
    assert len(set(found)) >= 7
    assert all(0 <= mask <= ALL_PAIRS[12] for mask in found)
    assert starts(5, 1, np.random.default_rng(1)) == [0]


def test_a_start_without_answer_is_cut_to_a_largest_part_with_one():
    counts = SPACES["sparse"][1]
    weights = exact_weights(counts, 3, "bic")
    assert weights[term_set(0b111, 3)] == 0.0
    chain = walk(counts, 3, start=0b111, n_steps=1, rng=np.random.default_rng(1))
    begun = chain.masks[chain.trace[0]]
    assert weights[term_set(begun, 3)] > 0.0
    larger = [begun | 1 << k for k in range(3) if not begun >> k & 1]
    assert all(weights[term_set(mask, 3)] == 0.0 for mask in larger)


def test_twelve_lists_take_both_words():
    counts = simulated(12, 3_000, seed=12)
    chain = walk(counts, 12, start=ALL_PAIRS[12], n_steps=150, rng=np.random.default_rng(1))
    assert chain.masks[chain.trace[0]] == (1 << 66) - 1
    upper = {mask >> 64 for mask in chain.masks}
    assert len(upper) > 1
    fewest = min(chain.masks, key=int.bit_count)
    mask = next(mask for mask in chain.masks if mask >> 64)
    use = np.ones(1 << 12, dtype=bool)
    use[0] = False
    for one in (fewest, mask):
        model = HierarchicalModel.from_term_set(term_set(one, 12), 12)
        fit = fit_one(counts, use, np.array([*model.terms[1:], 0]), 12)
        row = chain.masks.index(one)
        penalty = penalties("bic", 1 << 12, counts.sum())[len(model.terms)]
        assert chain.values[row] == pytest.approx(fit.deviance + penalty, rel=1e-10)
        assert chain.log_n0[row] == pytest.approx(np.log(fit.means[0]), abs=1e-8)


def test_models_that_hash_alike_are_told_apart_by_both_words():
    # Four models of pairs 64 and 65 and a start outside the book share eight slots.
    book = Book(
        np.full(8, -1),
        np.zeros((8, 2), dtype=np.uint64),
        np.full(8, np.inf),
        np.empty((8, 3)),
        np.zeros(8, dtype=np.int64),
        np.ones(1, dtype=np.int64),
    )
    flips = np.random.default_rng(1).integers(64, 66, 40)
    trace = np.zeros(41, dtype=np.int64)
    problem = _new_problem(simulated(12, 3_000, seed=12), 12, "bic", False, None)
    space = Space(np.array(pairs_of(12)), ADMISSIBLE)
    assert run_chain(problem, space, book, flips, np.full(40, -1e9), trace, 0) == 40
    assert book.tally[0] == 5
    upper = book.masks[trace, 1].tolist()
    assert [a ^ b for a, b in pairwise(upper)] == [1 << k - 64 for k in flips]
    assert not book.masks[:, 0].any()


def test_a_table_without_any_admissible_model_is_walked_and_says_so():
    apart = np.array([0.0, 10, 12, 0, 9, 0, 0, 0])
    found = chains(apart, 3, 200)
    assert np.all(merge(found, 3).codes != ADMISSIBLE)
    told = agreement(found, 3)
    assert told.best == (0, 0, 0)
    assert told.found_best == 0
    assert np.isnan(told.rhat)
    assert not told.agree


def test_a_criterion_that_is_infinite_keeps_models_out():
    few = np.array([0.0, 2, 2, 1, 1, 1, 1, 1])  # 9 persons: AICc ends at 7 parameters
    found = merge(chains(few, 3, 400, criterion="aicc"), 3)
    few_enough = np.isfinite(found.values)
    assert np.all(found.codes[~few_enough] == INADMISSIBLE)
    assert np.all(found.visits[~few_enough] == 0)
    tiny = np.array([0.0, 2, 1, 1, 1, 0, 0, 0])  # 5 persons: even independence has an infinite AICc
    assert np.all(merge(chains(tiny, 3, 50, criterion="aicc"), 3).codes == INADMISSIBLE)


@pytest.mark.parametrize("n_lists", [1, 13])
def test_other_numbers_of_lists_are_refused(n_lists):
    with pytest.raises(ValueError, match=f"n_lists={n_lists} must lie between 2 and 12"):
        walk(np.ones(1 << n_lists), n_lists, start=0, n_steps=1, rng=np.random.default_rng(1))


def test_no_single_pair_improves_the_best_of_a_chain():
    counts = dense("new_orleans_186")
    chain = walk(counts, 8, start=0, n_steps=10, rng=np.random.default_rng(1), criterion="aic")
    best = chain.masks[chain.best]
    rows = [chain.masks.index(best ^ 1 << k) for k in range(28)]
    assert all(
        chain.values[row] > chain.values[chain.best] or chain.codes[row] == INADMISSIBLE for row in rows
    )
    walked = chain.values[np.unique(chain.trace)].min()
    assert chain.values[chain.best] < walked
