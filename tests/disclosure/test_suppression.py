import itertools
import re

import numpy as np
import pytest
from scipy.sparse import csr_array
from tests.disclosure.attack import linear_interval
from tests.disclosure.golden import answers, big_table, linked, numbers, random_table, sums

from hiddenpop.disclosure.linear import Need
from hiddenpop.disclosure.suppression import suppress
from hiddenpop.errors import SettingError

KNOWN = {name: case for name, case in answers("suppression_known").items() if "relations" in case}
RANDOM = answers("suppression_random")["tables"]


def attacked(problem, withheld):
    """Narrowest interval of a primary number, less what it should be, by the attack."""
    shown = problem.matrix[np.flatnonzero(~withheld)]
    values = problem.amounts
    short = []
    for number in np.flatnonzero(problem.primary):
        low, high = linear_interval(shown, values[~withheld], problem.matrix[[number]].toarray()[0])
        asked = problem.need.at(np.array([number]))
        short += [
            high - low - asked.width[0],
            values[number] - low - asked.down[0],
            high - values[number] - asked.up[0],
        ]
    return min(short)


@pytest.mark.parametrize("name", KNOWN)
def test_published_examples_cost_what_is_known_to_be_least(name):
    _, problem = linked(KNOWN[name])
    found = suppress(problem)
    assert found.optimal
    assert found.cost == KNOWN[name]["optimal_cost"]
    assert attacked(problem, found.withheld) > -1e-6


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("which", ["primaries", "one_optimal_pattern"])
def test_intervals_of_published_patterns(name, which):
    names, problem = linked(KNOWN[name])
    key = "intervals_with_primaries_alone" if which == "primaries" else "intervals_of_that_pattern"
    known = KNOWN[name][key]
    withheld = np.isin(names, KNOWN[name][which])
    found = problem.audit(withheld, np.array([names.index(cell) for cell in known]), exact=True)
    assert found.exact.all()
    np.testing.assert_allclose(np.c_[found.low, found.high], list(known.values()), atol=1e-6)


def test_intervals_that_another_program_prints():
    case = answers("suppression_known")["audit of a small table"]
    rows = {f"{i}T": [f"{i}x", f"{i}y"] for i in "123"} | {f"T{c}": [f"{i}{c}" for i in "123"] for c in "xy"}
    relations = [[total, parts] for total, parts in rows.items()] + [["TT", ["Tx", "Ty"]]]
    names, problem = linked(
        {"cells": case["cells"], "relations": relations, "required_width": 1, "primaries": case["suppressed"]}
    )
    found = problem.audit(problem.primary, np.flatnonzero(problem.primary), exact=True)
    expected = [case["intervals"][name] for name in np.array(names)[problem.primary]]
    assert np.c_[found.low, found.high].tolist() == expected


@pytest.mark.parametrize("case", RANDOM, ids=lambda case: case["name"])
def test_the_cheapest_pattern_of_random_tables(case):
    problem = random_table(case)
    found = suppress(problem)
    assert found.optimal
    assert found.cost == pytest.approx(case["optimal_cost"])
    assert attacked(problem, found.withheld) > -1e-6


def test_cover_bought_number_by_number_is_hardly_dearer():
    ratios = [suppress(random_table(case), exact_up_to=0).cost / case["optimal_cost"] for case in RANDOM]
    assert np.mean(ratios) <= 1.03
    assert np.max(ratios) <= 1.2


@pytest.mark.parametrize(
    ("name", "primaries", "other_program"),
    [("suppression_big_2d_200000.csv.gz", 3977, 318), ("suppression_big_2d_2000000.csv.gz", 48, 675)],
)
def test_four_hundred_municipalities(name, primaries, other_program):
    problem = big_table(name)
    assert problem.primary.sum() == primaries
    found = suppress(problem)
    assert problem.amounts[found.withheld & ~problem.primary].sum() <= other_program
    rng = np.random.default_rng(1)
    some = rng.choice(np.flatnonzero(problem.primary), size=8, replace=False)
    shown = problem.matrix[np.flatnonzero(~found.withheld)]
    for number in some:
        ends = linear_interval(shown, problem.amounts[~found.withheld], problem.matrix[[number]].toarray()[0])
        assert ends[1] - ends[0] >= 10 - 1e-6


def test_a_pattern_with_one_number_shown_again_is_found_too_narrow():
    problem = random_table(RANDOM[4])
    found = suppress(problem)
    for number in np.flatnonzero(found.withheld & ~problem.primary):
        planted = found.withheld.copy()
        planted[number] = False
        seen = problem.audit(planted, np.flatnonzero(problem.primary)).open.all()
        assert bool(seen) == (attacked(problem, planted) > -1e-6)
        assert not seen


def of_rule(counts, needed):
    """Patterns of inner cells by an earlier rule: two or more withheld in every sum, together 10 or more."""
    small = (counts > 0) & (counts < 10)
    for more in itertools.product([False, True], repeat=int((~small).sum())):
        pattern = small.copy()
        pattern[~small] = more
        lines = [(pattern[i], counts[i]) for i in range(3)] + [
            (pattern[:, j], counts[:, j]) for j in range(3)
        ]
        if pattern[needed] and all(
            not line.any() or (line.sum() >= 2 and of[line].sum() >= 10) for line, of in lines
        ):
            yield pattern


@pytest.mark.parametrize("example", answers("withheld_but_narrow")["examples"], ids=lambda one: one["cell"])
def test_an_earlier_rule_leaves_intervals_that_the_audit_finds_narrow(example):
    counts = np.array(example["counts"]).reshape(3, 3)
    place = tuple(int(word) for word in re.findall(r"\d+", example["cell"]))
    matrix = sums([3, 3], [4, 4], [[[3, [0, 1, 2]]], [[3, [0, 1, 2]]]])
    inner = np.zeros((4, 4), dtype=bool)
    inner[:3, :3] = True
    problem = numbers(
        matrix, counts.ravel().astype(float), np.zeros(16, dtype=bool), ~inner.ravel(), Need.of_width(10, 16)
    )
    number = np.array([place[0] * 4 + place[1]])
    assert problem.amounts[number] == example["count"]
    found = []
    for pattern in of_rule(counts, place):
        withheld = np.zeros((4, 4), dtype=bool)
        withheld[:3, :3] = pattern
        ends = problem.audit(withheld.ravel(), number, exact=True)
        found.append([ends.low[0], ends.high[0]])
        attack = linear_interval(
            matrix[np.flatnonzero(~withheld.ravel())],
            problem.amounts[~withheld.ravel()],
            matrix[number].toarray()[0],
        )
        assert found[-1] == pytest.approx(attack)
        assert bool(ends.open[0]) == (attack[1] - attack[0] >= 10 - 1e-6)
    assert example["interval"] in found


def test_where_nothing_may_be_withheld_it_says_so():
    matrix = sums([2], [3], [[[2, [0, 1]]]])
    primary, fixed = np.array([True, False, False]), np.array([False, True, True])
    problem = numbers(matrix, np.array([3.0, 40.0]), primary, fixed, Need.of_width(5, 3))
    for most in (0, 100):
        with pytest.raises(SettingError, match="from numbers that may not be"):
            suppress(problem, exact_up_to=most)


def test_whole_numbers_tell_more_than_real_ones():
    """2 a + 2 b = 14 with a - b between -1 and 1 leaves halves in between and few whole numbers."""
    matrix = csr_array(np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]))
    withheld = np.array([True, True, True, False, False, False])
    problem = numbers(matrix, np.array([3.0, 4.0, 5.0]), withheld, ~withheld, Need.of_width(1, 6))
    found = problem.audit(withheld, np.arange(3), exact=True)
    assert found.low.tolist() == found.high.tolist() == [3, 4, 5]
    assert not found.open.any()
