"""Linkage errors: the models against persons drawn one by one, and the way back against a second route."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from hiddenpop.kernels.linkage import (
    corrected_counts,
    corrected_pair,
    false_links,
    missed_links,
    transition_matrix,
    without_false_links,
    without_missed_links,
)
from hiddenpop.synthetic import FalseLinks, MissedLinks
from hiddenpop.synthetic.drawn import Drawn

RATES = np.array([0.1, 0.0, 0.3])
PERSONS = np.array([0.0, 900, 700, 300, 500, 40, 60, 200])

rate = st.floats(0.0, 0.9)
cell = st.floats(0.0, 1e6)


def records_of(person, rates, rng):
    """Let the records of one person come loose, and give the histories of what they become."""
    lists = [i for i in range(len(rates)) if person >> i & 1]
    if len(lists) == 1:
        return [person]
    loose = [i for i in lists if rng.random() < rates[i]]
    held = person & ~sum(1 << i for i in loose)
    return [1 << i for i in loose] + ([held] if held else [])


def mean_and_error(draws):
    return np.mean(draws, axis=0), np.std(draws, axis=0) / math.sqrt(len(draws)) + 1e-9


def distorted(distortion, rng, repeats=400):
    counts = PERSONS.astype(np.int64)
    drawn = Drawn(
        lists=("a", "b", "c"), covariates=(), levels=((),), counts=counts[None], population=counts.sum()
    )
    return mean_and_error([distortion.apply(drawn, rng).counts[0] for _ in range(repeats)])


def test_the_matrix_is_what_persons_leave_one_by_one():
    rng, repeats = np.random.default_rng(1), 20_000
    matrix = transition_matrix(RATES)
    for person in (3, 5, 7):
        found = np.zeros(8)
        for _ in range(repeats):
            np.add.at(found, records_of(person, RATES, rng), 1)
        assert found[1:] / repeats == pytest.approx(matrix[:, person - 1], abs=5 / math.sqrt(repeats))


def test_the_matrix_of_two_lists_by_hand():
    r1, r2 = 0.2, 0.3
    both = [
        r1 * r2 + r2 * (1 - r1) + r1 * (1 - r2),
        r1 * r2 + r2 * (1 - r1) + r1 * (1 - r2),
        (1 - r1) * (1 - r2),
    ]
    expected = [[1, 0, both[0]], [0, 1, both[1]], [0, 0, both[2]]]
    assert transition_matrix(np.array([r1, r2])) == pytest.approx(np.array(expected))


@given(st.lists(rate, min_size=2, max_size=5))
def test_a_column_holds_the_person_and_every_split(rates):
    matrix = transition_matrix(np.array(rates))
    for person in range(1, 1 << len(rates)):
        of = [rates[i] for i in range(len(rates)) if person >> i & 1]
        assert matrix[:, person - 1].sum() == pytest.approx(
            1 + sum(of) - math.prod(of) if len(of) > 1 else 1.0
        )


@given(st.lists(cell, min_size=8, max_size=8), st.lists(rate, min_size=3, max_size=3))
def test_missed_links_keep_list_totals_and_can_be_undone(cells, rates):
    persons = np.array([0.0, *cells[1:]])
    records = missed_links(persons, np.array(rates))
    for i in range(3):
        on = np.arange(8) >> i & 1 == 1
        assert records[on].sum() == pytest.approx(persons[on].sum(), abs=1e-6)
    back = without_missed_links(records, np.array(rates))
    assert back == pytest.approx(persons, rel=1e-6, abs=1e-3 * (1 + persons.max() * 1e-4))


def test_the_model_of_missed_links_is_that_of_the_synthetic_ones():
    mean, error = distorted(MissedLinks(rate=0.1, lists=("a", "c")), np.random.default_rng(2))
    expected = missed_links(PERSONS, np.array([0.1, 0.0, 0.1]))
    assert np.abs((mean - expected) / error)[1:].max() < 4.5


def test_the_model_of_false_links_is_that_of_the_synthetic_ones():
    mean, error = distorted(FalseLinks(rate=0.2), np.random.default_rng(3))
    assert np.abs((mean - false_links(PERSONS, 0.2)) / error)[1:].max() < 4.5


def test_false_links_pair_by_pair():
    n, expected = PERSONS.sum(), PERSONS.copy()
    for g in range(1, 8):
        for h in range(g + 1, 8):
            pairs = 0.2 / (n - 1) * PERSONS[g] * PERSONS[h]
            expected[g] -= pairs
            expected[h] -= pairs
            expected[g | h] += pairs
    assert false_links(PERSONS, 0.2) == pytest.approx(expected)


@given(st.lists(st.integers(0, 10**6), min_size=7, max_size=7).filter(any), st.floats(0.0, 0.3))
def test_false_links_can_be_undone(cells, share):
    persons = np.array([0.0, *cells])
    back, converged = without_false_links(false_links(persons, share), share)
    assert converged
    assert back == pytest.approx(persons, abs=1e-6 * persons.sum())


def test_false_links_that_left_no_overlap_ask_for_fewer_than_nobody():
    cells, converged = without_false_links(np.array([0.0, 500.0, 500.0, 0.0]), 0.3)
    assert converged
    assert cells[3] < -50
    assert corrected_counts(np.array([0.0, 500.0, 500.0, 0.0]), np.zeros(2), 0.3).method == "em"


def test_the_inverse_is_taken_where_it_has_no_negative_cell():
    records = false_links(missed_links(PERSONS, RATES), 0.05)
    found = corrected_counts(records, RATES, 0.05)
    assert (found.method, found.misfit, found.n_at_zero) == ("inverse", 0.0, 0)
    assert found.counts == pytest.approx(PERSONS, abs=1e-5)


def test_em_finds_the_inverse_too():
    records = false_links(missed_links(PERSONS, RATES), 0.05)
    found = corrected_counts(records, RATES, 0.05, "em")
    assert found.method == "em"
    assert found.converged
    assert found.counts == pytest.approx(PERSONS, abs=0.01)
    assert found.misfit < 1e-6


def test_em_maximises_the_poisson_likelihood_where_the_inverse_is_negative():
    records = np.array([0.0, 40, 30, 0, 20, 3, 0, 60])
    rates = np.array([0.2, 0.15, 0.1])
    assert without_missed_links(records, rates).min() < -1
    found = corrected_counts(records, rates, 0.0)
    matrix = transition_matrix(rates)

    def loss(log_cells):
        expected = matrix @ np.exp(log_cells)
        return float((expected - records[1:] * np.log(expected)).sum())

    other = minimize(
        loss, np.log(records[1:] + 1.0), method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15}
    )
    assert loss(np.log(found.counts[1:] + 1e-12)) <= other.fun + 1e-6
    assert found.counts[1:] == pytest.approx(np.exp(other.x), abs=0.05)
    assert found.n_at_zero == int((without_missed_links(records, rates) < 0).sum())
    assert found.misfit > 1
    assert missed_links(found.counts, rates).sum() == pytest.approx(records.sum())


# --- two lists --------------------------------------------------------------------------------------------------------


def linked_records(rng, first, second, overlap, *, missed=0.0, false_first=0.0, false_second=0.0):
    """Link the records of two lists one by one, with errors, and count the links."""
    links = int((rng.random(overlap) >= missed).sum())
    wrong = int((rng.random(first - overlap) < false_first).sum())
    return links + wrong + int((rng.random(second - overlap) < false_second).sum())


@pytest.mark.parametrize(
    "errors",
    [
        {"missed": 0.2},
        {"missed": 0.1, "false_first": 0.02},
        {"missed": 0.1, "false_second": 0.02},
        {"missed": 0.1, "false_first": 0.01, "false_second": 0.03},
    ],
)
def test_the_closed_form_gives_the_overlap_back(errors):
    rng = np.random.default_rng(4)
    first, second, overlap = 60_000, 25_000, 8_000
    linked = np.mean([linked_records(rng, first, second, overlap, **errors) for _ in range(50)])
    found = corrected_pair(first, second, linked, **errors)
    assert found.overlap == pytest.approx(overlap, rel=0.005)
    assert found.n_hat == pytest.approx(first * second / overlap, rel=0.005)
    assert found.n_observed == pytest.approx(first + second - overlap, rel=0.001)


def test_a_share_of_false_links_is_taken_off_the_links():
    # 90 of 100 links are right, and they are 3 in 4 of those there should be: 120.
    assert corrected_pair(500, 400, 100, missed=0.25, false_share=0.1).overlap == pytest.approx(120.0)


def test_rates_of_the_two_sides_that_describe_the_same_links_agree():
    first, second, overlap, wrong = 900, 300, 100, 16
    one = corrected_pair(first, second, overlap + wrong, false_first=wrong / (first - overlap))
    other = corrected_pair(first, second, overlap + wrong, false_second=wrong / (second - overlap))
    assert one.overlap == pytest.approx(overlap)
    assert other.overlap == pytest.approx(overlap)


def test_the_closed_form_is_the_matrix_for_two_lists():
    persons = np.array([0.0, 400, 300, 100])
    records = missed_links(persons, np.array([0.1, 0.2]))
    found = corrected_pair(500, 400, records[3], missed=1 - 0.9 * 0.8)
    back = without_missed_links(records, np.array([0.1, 0.2]))
    assert (found.overlap, found.n_observed) == pytest.approx((back[3], back.sum()))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"missed": 0.9}, "more missed links than there are records"),
        ({"false_first": 0.5}, "more false links than there are links"),
        ({"missed": 0.6, "false_first": 0.4}, "as likely between strangers"),
    ],
)
def test_rates_that_cannot_be_have_a_reason(settings, why):
    found = corrected_pair(500, 400, 100, **settings)
    assert math.isnan(found.n_hat)
    assert why in found.reason


def test_without_links_there_is_no_upper_limit():
    assert corrected_pair(500, 400, 0).n_hat == math.inf
