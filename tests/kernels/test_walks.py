"""What is said of several walks, against the same by hand."""

import numpy as np
import pytest

import hiddenpop as hp
from hiddenpop.kernels.search.bound import ADMISSIBLE
from hiddenpop.kernels.search.mc3 import Walk, agreement, merge, split_rhat, starts, walk
from hiddenpop.model import HierarchicalModel


def term_set(text):
    return HierarchicalModel.parse(text, n_lists=3).term_set


def chains(counts, n_steps):
    rng = np.random.default_rng(1)
    begun = zip(starts(6, 3, rng), rng.spawn(3), strict=True)
    return [walk(counts, 6, start=start, n_steps=n_steps, rng=child) for start, child in begun]


def walk_at(masks, log_n0, trace, values):
    n = len(masks)
    return Walk(
        masks,
        np.array(values, dtype=float),
        np.zeros(n),
        np.array(log_n0, dtype=float),
        np.ones(n),
        np.full(n, ADMISSIBLE),
        np.array(trace),
        int(np.argmin(values)),
    )


def test_total_variation_and_best_by_hand():
    # After eight steps the last four count: shares 3/4, 1/4 against 1/4, 3/4.
    a = walk_at((0, 1), (1.0, 2.0), [0, 1, 1, 1, 1, 0, 0, 0, 1], (5.0, 4.0))
    b = walk_at((1, 0, 3), (2.0, 1.0, 3.0), [0, 2, 0, 0, 0, 1, 0, 0, 0], (4.0, 5.0, 3.0))
    told = agreement([a, b], 3)
    assert told.total_variation == pytest.approx(0.5)
    assert told.best == (term_set("[12,3]"), term_set("[12,13]"))
    assert told.found_best == 1
    assert not told.agree
    same = agreement([a, a], 3)
    assert same.total_variation == 0.0
    assert same.found_best == 2


def test_split_rhat_is_its_formula():
    rng = np.random.default_rng(1)
    traces = rng.normal(size=(3, 40)) + np.array([[0.0], [0.5], [1.0]])
    pieces = [trace[cut] for trace in traces for cut in (slice(20), slice(20, None))]
    means, n = [sum(piece) / 20 for piece in pieces], 20
    within = sum(sum((x - m) ** 2 for x in piece) / 19 for piece, m in zip(pieces, means, strict=True)) / 6
    grand = sum(means) / 6
    between = n * sum((m - grand) ** 2 for m in means) / 5
    expected = (((n - 1) / n * within + between / n) / within) ** 0.5
    assert split_rhat(traces) == pytest.approx(expected, rel=1e-12)
    assert split_rhat(np.ones((2, 8))) == 1.0


def test_chains_that_have_not_met_disagree_and_long_ones_agree():
    counts = hp.datasets.load("uk").to_dense().astype(float)
    assert not agreement(chains(counts, 8), 6).agree
    assert agreement(chains(counts, 20_000), 6).agree


def test_chains_are_merged_by_model():
    a = walk_at((0, 1), (1.0, 2.0), [0, 1, 1], (5.0, 4.0))
    b = walk_at((1, 0, 3), (2.0, 1.0, 3.0), [0, 2, 0], (4.0, 5.0, 4.0 + 1e-9))
    b.codes[:] = [1, -1, 0]
    found = merge([a, b], 3)
    assert found.term_sets == (term_set("[12,3]"), term_set("[12,13]"), term_set("[1,2,3]"))
    assert found.visits.tolist() == [4, 1, 1]
    assert found.codes.tolist() == [1, 0, 1]
    assert found.n0 == pytest.approx(np.exp([2.0, 3.0, 1.0]))
