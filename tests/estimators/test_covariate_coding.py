import numpy as np
import pytest

from hiddenpop.errors import SettingError
from hiddenpop.estimators.covariate_formula import (
    check_coding,
    check_level_order,
    level_columns,
    natural_order,
)

YEARS = ("2015", "2016", "2019", "2020")


def test_dummies_have_the_first_level_as_reference():
    made = level_columns("sex", ("f", "m", "x"), "dummies", 1)
    assert made.matrix.tolist() == [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    assert made.labels == ("m", "x")
    assert made.saturated


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_polynomials_are_orthonormal_over_the_rows_and_span_the_powers(degree):
    rows = 5
    made = level_columns("year", YEARS, f"poly({degree})", rows)
    assert made.labels == tuple(f"poly {power}" for power in range(1, degree + 1))
    assert rows * made.matrix.T @ made.matrix == pytest.approx(np.eye(degree), abs=1e-12)
    assert rows * made.matrix.sum(axis=0) == pytest.approx(np.zeros(degree), abs=1e-12)
    numbers = np.array(YEARS, dtype=float)
    powers = np.vander(numbers - 2017, degree + 1, increasing=True)
    left = powers - (q := np.linalg.qr(np.column_stack([np.ones(4), made.matrix]))[0]) @ (q.T @ powers)
    assert np.abs(left).max() < 1e-9
    assert np.all(np.diff(made.matrix[:, 0]) > 0)
    assert made.saturated is (degree == 3)


def test_the_columns_of_a_known_quadratic():
    # Orthogonal contrasts of four equally spaced levels, as in any table of them.
    made = level_columns("year", ("1", "2", "3", "4"), "poly(2)", 1)
    expected = np.array([[-3, -1, 1, 3], [1, -1, -1, 1]]) / np.array([[np.sqrt(20)], [2]])
    assert pytest.approx(expected) == made.matrix.T


def test_a_polynomial_has_no_more_powers_than_the_numbers_carry():
    made = level_columns("year", ("2015", "2016"), "poly(3)", 1)
    assert made.matrix.shape == (2, 1)
    assert "2 different numbers, which carry a polynomial of degree 1 and not 3" in made.note
    twice = level_columns("year", ("1", "1.0", "2"), "poly(2)", 1)
    assert twice.matrix.shape == (3, 1)
    assert twice.matrix[0] == pytest.approx(twice.matrix[1])
    assert not twice.saturated


@pytest.mark.parametrize("level", ["unknown", "nan", "inf", ""])
def test_a_polynomial_of_what_is_no_number_is_refused(level):
    with pytest.raises(SettingError, match=rf"poly\(2\) and its level '{level}' is not a number"):
        level_columns("year", ("2015", level, "2016"), "poly(2)", 1)


def test_linear_scores_follow_the_order_of_the_levels():
    assert level_columns("age", ("old", "young", "mid"), "linear", 1).matrix.ravel().tolist() == [0, 1, 2]
    some = level_columns("age", ("b", "d"), "linear", 1, scale=("a", "b", "c", "d"))
    assert some.matrix.ravel().tolist() == [0, 2]
    assert level_columns("age", ("a", "b"), "linear", 1).saturated
    assert not level_columns("age", ("a", "b", "c"), "linear", 1).saturated


def test_scores_are_measured_from_the_first_level():
    made = level_columns("age", ("a", "b", "c"), (("c", 40.0), ("a", 8.5), ("b", 20.0)), 1)
    assert made.matrix.ravel().tolist() == [0.0, 11.5, 31.5]


def test_a_level_without_a_score_is_named():
    with pytest.raises(SettingError, match="coding of age has no score for 'c', 'd'"):
        level_columns("age", ("a", "b", "c", "d"), (("a", 1.0), ("b", 2.0)), 1)


def test_levels_are_sorted_as_numbers_where_all_are_numbers():
    assert natural_order(["10", "9", "-1", "2.5"]) == ("-1", "2.5", "9", "10")
    assert natural_order(["10-19", "0-9", "20"]) == ("0-9", "10-19", "20")


def test_settings_have_one_form_however_they_are_given():
    as_mapping = check_coding({"year": " poly( 2 ) ", "age": {"a": 1, 2: 3}, "sex": "dummies"})
    as_pairs = check_coding([["sex", "dummies"], ("age", [["a", 1.0], ("2", 3)]), ("year", "poly(2)")])
    assert (
        as_mapping == as_pairs == (("age", (("a", 1.0), ("2", 3.0))), ("sex", "dummies"), ("year", "poly(2)"))
    )
    assert check_coding(as_pairs) == as_pairs
    assert hash(as_pairs) == hash(as_mapping)
    assert check_level_order({"b": [1, 2.0], "a": ("x",)}) == (("a", ("x",)), ("b", ("1", "2")))


@pytest.mark.parametrize(
    ("coding", "message"),
    [
        ("poly(2)", "coding='poly.* must be a mapping"),
        ({"year": "cubic"}, "coding of year is 'cubic'; use 'dummies'"),
        ({"year": "poly(0)"}, "coding of year is 'poly\\(0\\)'"),
        ({"year": 2}, "coding of year is 2"),
        ({"year": {"a": "x"}}, "gives level 'a' the score 'x'"),
        ({"year": {"a": float("nan"), "b": 1}}, "gives level 'a' the score nan"),
        ({"year": {"a": True, "b": 1}}, "gives level 'a' the score True"),
        ({"year": ("a", "b")}, "gives level 'a' the score None"),
        ({"year": {"a": 1, "b": 1.0}}, "gives every level the same score"),
        ({"year": {}}, "gives every level the same score"),
        ({"year": (("a", 1), ("a", 2))}, "names a level twice"),
        ((("year", "linear"), ("year", "linear")), "coding names 'year' twice"),
        ({3: "linear"}, "must be a mapping"),
        (None, "coding=None must be a mapping"),
    ],
)
def test_codings_that_are_none_are_refused(coding, message):
    with pytest.raises(SettingError, match=message):
        check_coding(coding)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"age": "abc"}, "levels of age are 'abc'; give its levels in order"),
        ({"age": 3}, "levels of age are 3"),
        ({"age": ("a", "a")}, "name each level once"),
        ({"age": ()}, "name each level once"),
        (5, "levels=5 must be a mapping"),
    ],
)
def test_orders_of_levels_that_are_none_are_refused(levels, message):
    with pytest.raises(SettingError, match=message):
        check_level_order(levels)
