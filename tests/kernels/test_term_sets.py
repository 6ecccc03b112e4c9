"""Sets of terms in words against Python's own integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiddenpop.histories import bit_positions
from hiddenpop.kernels.search.bound import (
    copy,
    count,
    drop,
    drop_above,
    facets_inside,
    from_words,
    has,
    list_terms,
    missing_below,
    n_words,
    put,
    same,
    to_words,
)

quick = settings(max_examples=80, deadline=None, derandomize=True)


@st.composite
def sets(draw, number=1):
    """Some sets of terms over the same lists: (n_lists, set, ...)."""
    n_lists = draw(st.integers(1, 8))
    return n_lists, *(draw(st.integers(0, (1 << (1 << n_lists)) - 1)) for _ in range(number))


@pytest.mark.parametrize(("n_lists", "words"), [(1, 1), (5, 1), (6, 1), (7, 2), (8, 4), (12, 64)])
def test_six_lists_are_one_word_and_each_list_more_doubles_them(n_lists, words):
    assert n_words(n_lists) == words
    assert to_words(0, n_lists).shape == (words,)


@quick
@given(sets())
def test_words_hold_exactly_the_set(drawn):
    n_lists, term_set = drawn
    words = to_words(term_set, n_lists)
    assert words.dtype == np.uint64
    assert from_words(words) == term_set
    assert count(words) == term_set.bit_count()
    assert [t for t in range(1 << n_lists) if has(words, t)] == list(bit_positions(term_set))


@quick
@given(sets(), st.data())
def test_a_term_is_put_in_and_taken_out_and_nothing_else_moves(drawn, data):
    n_lists, term_set = drawn
    term = data.draw(st.integers(0, (1 << n_lists) - 1))
    words = to_words(term_set, n_lists)
    put(words, term)
    assert from_words(words) == term_set | 1 << term
    drop(words, term)
    assert from_words(words) == term_set & ~(1 << term)


@quick
@given(sets(), st.data())
def test_dropping_above_takes_out_every_superset(drawn, data):
    n_lists, term_set = drawn
    term = data.draw(st.integers(1, (1 << n_lists) - 1))
    words = to_words(term_set, n_lists)
    drop_above(words, term, 1 << n_lists)
    assert list(bit_positions(from_words(words))) == [t for t in bit_positions(term_set) if t & term != term]


@quick
@given(sets(2))
def test_equality_is_that_of_the_integers_and_a_copy_is_equal(drawn):
    n_lists, a, b = drawn
    left, right = to_words(a, n_lists), to_words(b, n_lists)
    assert same(left, right) is (a == b)
    copy(left, right)
    assert same(left, right)
    assert from_words(left) == b


@quick
@given(sets())
def test_terms_are_listed_upwards_with_the_intercept_last(drawn):
    n_lists, term_set = drawn
    terms = np.full(1 << n_lists, -1, dtype=np.int64)
    p = list_terms(to_words(term_set & ~1, n_lists), 1 << n_lists, terms)
    assert terms[:p].tolist() == [*bit_positions(term_set & ~1), 0]


@quick
@given(sets(), st.data())
def test_what_a_term_brings_with_it(drawn, data):
    n_lists, term_set = drawn
    term = data.draw(st.integers(1, (1 << n_lists) - 1))
    below = [s for s in range(1, 1 << n_lists) if s & ~term == 0]
    facets = [term & ~(1 << i) for i in bit_positions(term)]
    words = to_words(term_set, n_lists)
    assert missing_below(words, term) == sum(not term_set >> s & 1 for s in below)
    assert facets_inside(words, term, n_lists) is all(term_set >> s & 1 for s in facets)
