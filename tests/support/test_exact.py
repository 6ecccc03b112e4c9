"""The exact route is a judge of the kernels, so it is first judged itself: by hand and by exhaustive search."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from tests.support.exact import (
    AscentCone,
    exact_existence,
    exact_face,
    exact_pivots,
    exact_status,
    in_cone,
    null_space,
)


def fractions(rows):
    return [[Fraction(value) for value in row] for row in rows]


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        ((1, 1), True),
        ((1, 0), True),
        ((1, 2), True),
        ((1, 3), False),
        ((0, 1), False),
        ((-1, 0), False),
        ((0, 0), True),
    ],
)
def test_membership_in_a_wedge_of_the_plane(target, inside):
    assert in_cone(fractions([(1, 0), (1, 2)]), fractions([target])[0]) is inside


def test_a_cone_without_generators_holds_the_origin_only():
    assert in_cone([], [Fraction(0)]) is True
    assert in_cone([], [Fraction(1)]) is False


def test_null_space_of_a_known_matrix():
    assert null_space(fractions([(1, 1, 0), (0, 1, 1)]), 3) == fractions([(1, -1, 1)])


def test_pivots_name_the_columns_that_bring_something_new():
    assert exact_pivots([1, 2, 3], [1, 2, 3, 0]) == [True, True, True, False]
    assert exact_pivots([1, 2, 3], [1, 2, 0]) == [True, True, True]


# Two lists under independence: n0 = n_a n_b / n_ab, so every verdict is known without any theory.
@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ((0, 3, 4, 2), "ok"),
        ((0, 3, 4, 0), "unbounded"),
        ((0, 3, 0, 2), "boundary"),
        ((0, 0, 0, 2), "boundary"),
        ((0, 3, 0, 0), "not_identified"),
    ],
)
def test_two_lists_by_hand(counts, status):
    assert exact_status(counts, [1, 2, 0]) == status


# Three lists without the triple term: n0 = n_a n_b n_c n_abc / (n_ab n_ac n_bc).
@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ((0, 27, 37, 4, 19, 4, 1, 3), "ok"),
        ((0, 27, 37, 4, 19, 4, 1, 0), "boundary"),
        ((0, 27, 37, 0, 19, 4, 1, 3), "unbounded"),
        ((0, 27, 37, 0, 19, 4, 1, 0), "not_identified"),
    ],
)
def test_three_lists_with_all_pairs_by_hand(counts, status):
    assert exact_status(counts, [1, 2, 4, 3, 5, 6, 0]) == status


def brute_force_signs(counts, terms):
    """Signs of d_0 and of each empty cell over the integer directions of ascent in a box."""
    rows = {w: np.array([int(w & t == t) for t in terms]) for w in range(len(counts))}
    directions = np.array(list(product(range(-2, 3), repeat=len(terms))))
    keep = np.ones(len(directions), dtype=bool)
    for w in range(1, len(counts)):
        move = directions @ rows[w]
        keep &= move == 0 if counts[w] > 0 else move <= 0
    return {w: np.sign(directions[keep] @ rows[w]) for w in rows}


@pytest.mark.parametrize("terms", [(1, 2, 4, 0), (1, 2, 4, 3, 0), (1, 2, 4, 3, 6, 0), (1, 2, 4, 3, 5, 6, 0)])
def test_every_zero_pattern_of_three_lists_against_a_search_over_integer_directions(terms):
    every = 1 if len(terms) < 7 else 5  # of a search that grows fivefold with each term
    for pattern in list(product((0, 3), repeat=7))[::every]:
        counts = (0, *pattern)
        signs = brute_force_signs(counts, terms)
        cone = AscentCone(counts, terms)
        assert (cone.ascends(0, 1), cone.ascends(0, -1)) == (signs[0].max() > 0, signs[0].min() < 0)
        assert cone.face() == [w for w in range(1, 8) if signs[w].min() == 0]


def test_existence_takes_empty_margins_out_first():
    counts = (0, 30, 20, 10, 15, 0, 4, 0)
    assert exact_existence(counts, [1, 2, 4, 5, 0]) is True
    assert AscentCone(counts, [1, 2, 4, 5, 0]).is_a_point() is False
    assert exact_face(counts, [1, 2, 4, 5, 0]) == [1, 2, 3, 4, 6]
