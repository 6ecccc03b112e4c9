import numpy as np
import pandas as pd
import pytest

from hiddenpop.disclosure import (
    is_small,
    protect_cells,
    protect_counts,
    protect_value,
)
from hiddenpop.errors import SettingError, TableError


@pytest.mark.parametrize(("value", "small"), [(0, False), (0.5, True), (1, True), (9, True), (10, False)])
def test_small_is_above_zero_and_below_the_threshold(value, small):
    assert is_small(value) is small


def test_a_value_is_shown_or_marked():
    assert protect_value(10) == 10
    assert protect_value(9) == "<10"
    assert protect_value(4, threshold=5) == "<5"
    assert protect_value(5, threshold=5) == 5


def test_a_threshold_of_one_shows_everything():
    assert protect_counts([1, 2, 0], threshold=1).tolist() == [1, 2, 0]


@pytest.mark.parametrize("function", [lambda t: is_small(3, t), lambda t: protect_counts([3], t)])
def test_a_threshold_below_one_is_refused(function):
    with pytest.raises(SettingError, match=r"threshold for small counts is 0; it must be 1"):
        function(0)


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([50, 60, 0], [50, 60, 0]),
        ([50, 7, 8, 0], [50, "<10", "<10", 0]),
        ([50, 7, 60, 0], ["<10", "<10", 60, 0]),
        ([50, 2, 3, 60], ["<10", "<10", "<10", 60]),
        ([50, 2, 8, 60], [50, "<10", "<10", 60]),
        ([200, 90, *[1] * 10], [200, *["<10"] * 11]),
        ([200, 90, 9, 9], [200, "<10", "<10", "<10"]),
        ([7, 0], ["<10", 0]),
        ([], []),
    ],
    ids=[
        "none small",
        "two small",
        "one small",
        "small sum",
        "sum at threshold",
        "ones alone",
        "nines alone",
        "no other cell",
        "no cell",
    ],
)
def test_small_counts_and_what_would_reveal_them_are_withheld(counts, shown):
    assert protect_counts(counts).tolist() == shown


def test_no_withheld_count_follows_from_the_total():
    rng = np.random.default_rng(5)
    for _ in range(200):
        counts = rng.integers(0, 40, size=6)
        hidden = np.array([value == "<10" for value in protect_counts(counts)])
        assert not ((counts > 0) & (counts < 10) & ~hidden).any()
        if hidden.any() and (counts > 0).sum() > hidden.sum():
            assert hidden.sum() >= 2
            assert counts[hidden].sum() >= 10


def test_all_figures_of_a_withheld_cell_go_and_its_history_stays():
    frame = pd.DataFrame(
        {
            "police": [1, 0, 1],
            "censored": [False, True, False],
            "region": ["n", "s", "n"],
            "count": [3, 8, 40],
            "fitted": [3.5, 7.0, 40.5],
            "residual": [0.0, 1.0, 0.0],
            "without": [80, 90, 95],
        }
    )
    shown = protect_cells(frame)
    for column in ("count", "fitted", "residual", "without"):
        assert shown[column].tolist() == ["<10", "<10", frame[column].iloc[2]]
    for column in ("police", "censored", "region"):
        assert shown[column].tolist() == frame[column].tolist()
    assert frame["count"].tolist() == [3, 8, 40]


def test_a_column_of_whole_zero_one_figures_is_protected_by_its_name():
    shown = protect_cells(pd.DataFrame({"count": [1, 1], "fitted": [1, 1], "residual": [0, 0]}))
    assert (shown == "<10").all(axis=None)


def test_cells_without_counts_cannot_be_protected():
    with pytest.raises(TableError, match="without a column 'count'"):
        protect_cells(pd.DataFrame({"fitted": [1.0]}))
