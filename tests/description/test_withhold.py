import itertools
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiddenpop import CaptureTable
from hiddenpop.description import describe
from hiddenpop.description.withhold import withheld_figures
from hiddenpop.disclosure import protect_counts


def shown_rows(counts: np.ndarray, lists: tuple[str, ...]) -> list[np.ndarray]:
    """Rows over the cells of everything that stays visible, the cells themselves included."""
    withheld = withheld_figures(counts, lists)
    cells = [tuple(i for i in range(len(lists)) if w >> i & 1) for w in range(1, len(counts))]
    rows = [np.eye(len(cells))[i] for i, c in enumerate(protect_counts(counts[1:])) if not isinstance(c, str)]

    def add(key: tuple[str, ...], inside: Any) -> None:
        if key not in withheld:
            rows.append(np.array([float(inside(cell)) for cell in cells]))

    add(("observed",), lambda cell: True)
    add(("twice",), lambda cell: len(cell) > 1)
    for i, a in enumerate(lists):
        add(("total", a), lambda cell, i=i: i in cell)
        add(("only", a), lambda cell, i=i: cell == (i,))
        add(("seen", str(i + 1)), lambda cell, i=i: len(cell) == i + 1)
    for (i, a), (j, b) in itertools.combinations(enumerate(lists), 2):
        add(("overlap", a, b), lambda cell, i=i, j=j: i in cell and j in cell)
    return rows


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda t: st.lists(st.sampled_from([0, 1, 4, 9, 10, 25, 300]), min_size=2**t, max_size=2**t)
    )
)
def test_no_small_cell_follows_from_what_is_shown(values: list[int]) -> None:
    counts = np.array([0, *values[1:]], dtype=float)
    n_lists = len(values).bit_length() - 1
    matrix = np.array(shown_rows(counts, tuple("abcd"[:n_lists])) or [np.zeros(len(counts) - 1)])
    rank = np.linalg.matrix_rank(matrix)
    # Whoever observed fewer than ten people shows no total at all, so that case is not an exception.
    for cell in np.flatnonzero((counts[1:] > 0) & (counts[1:] < 10)):
        assert np.linalg.matrix_rank(np.vstack([matrix, np.eye(len(counts) - 1)[cell]])) > rank


def test_nothing_is_withheld_where_no_cell_is_small() -> None:
    assert withheld_figures(np.array([0.0, 300, 200, 40, 150, 30, 22, 14]), ("a", "b", "c")) == frozenset()


def test_overlaps_of_three_lists_give_the_inmost_cell_away_unless_they_go_too() -> None:
    withheld = withheld_figures(np.array([0.0, 300, 200, 40, 150, 30, 22, 4]), ("a", "b", "c"))
    assert {("overlap", "a", "b"), ("seen", "3")} <= withheld
    assert ("only", "a") not in withheld


PLANTED = {"a": 143, "b": 88, "c": 61, "ab": 17, "ac": 6, "bc": 3, "abc": 2}


@pytest.fixture
def private() -> CaptureTable:
    rows = [{**{name: int(name in on) for name in "abc"}, "count": n} for on, n in PLANTED.items()]
    return CaptureTable.from_counts(pd.DataFrame(rows), name="private")


def test_a_private_description_shows_no_small_count(private: CaptureTable) -> None:
    content = describe(private).to_dict()
    assert [row["persons"] for row in content["overlaps"]] == ["<10"] * 3
    assert content["capture_frequencies"] == [292, "<10", "<10"]
    assert [row["only"] for row in content["lists"]] == [143, 88, 61]
    assert content["sample_coverage"] == "<10"
    assert "sample coverage below 0.55" in content["sentence"]
    assert content["provenance"]["small_counts_shown"] is False
    assert content["table"]["fingerprint"].startswith("hmac-sha256:")


def test_showing_small_counts_is_explicit_and_recorded(private: CaptureTable) -> None:
    description = describe(private)
    content = description.to_dict(show_small_counts=True)
    assert [row["persons"] for row in content["overlaps"]] == [19, 8, 5]
    assert content["capture_frequencies"] == [292, 26, 2]
    assert content["sample_coverage"] == pytest.approx(description.sample_coverage)
    assert content["provenance"]["small_counts_shown"] is True
    assert content["sentence"] == description.sentence


def test_few_persons_seen_twice_take_the_spread_along() -> None:
    frame = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [40, 30, 7]})
    content = describe(CaptureTable.from_counts(frame, name="private")).to_dict()
    assert content["n_twice"] == "<10"
    assert content["share_seen_once"] == "<10"
    assert [spread["best"] for spread in content["spreads"]] == ["<10", "<10"]
    assert "persons on two or more lists: fewer than 10" in content["sentence"]
    assert "only 7" not in json.dumps(content)


def test_a_public_table_withholds_nothing(private: CaptureTable) -> None:
    public = private.with_meta(public=True)
    assert describe(public).to_dict()["capture_frequencies"] == [292, 26, 2]
    assert describe(public).protected_sentence() == describe(public).sentence


def test_on_screen_everything_is_shown(private: CaptureTable) -> None:
    text = describe(private).text()
    assert "292 on 1, 26 on 2, 2 on 3" in text
