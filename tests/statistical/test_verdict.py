"""A worse grade of `describe` means a larger error, where the truth is known."""

import pytest
from tests.statistical.verdict_study import by_grade, judged, judged_apart


@pytest.mark.slow
def test_a_worse_grade_means_a_larger_error() -> None:
    grades = by_grade(judged(6, most_lists=4))
    assert grades.index.tolist() == [1, 2, 3, 4, 5]
    assert grades["tables"].min() >= 8
    assert grades["median"].is_monotonic_increasing
    assert grades["median"].is_unique
    assert grades.loc[1, "median"] < 0.04
    assert grades.loc[3, "median"] > 2.0 * grades.loc[1, "median"]
    assert grades.loc[4, "median"] > 2.0 * grades.loc[2, "median"]


@pytest.mark.slow
def test_it_does_so_on_laws_that_had_no_part_in_the_choice_of_the_rules() -> None:
    grades = by_grade(judged_apart(400))
    assert grades["tables"].min() >= 10
    assert grades["median"].is_monotonic_increasing
    assert grades["third quartile"].is_monotonic_increasing
    assert grades.loc[1, "median"] < 0.06
    assert grades.loc[5, "median"] > 4.0 * grades.loc[1, "median"]
