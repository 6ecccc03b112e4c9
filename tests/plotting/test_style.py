"""Ticks, lumps and places that the figures share."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiddenpop.plotting.style import lumps, round_ticks, spread

sizes = st.floats(min_value=1.0, max_value=1e12)


@given(low=sizes, ratio=st.floats(min_value=1.2, max_value=1e6))
def test_an_axis_has_ticks_and_all_lie_on_it(low: float, ratio: float) -> None:
    ticks = round_ticks(low, low * ratio)
    assert len(ticks) >= 2
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0]
    assert ticks[-1] <= low * ratio


@given(low=st.floats(min_value=10.0, max_value=1e6), ratio=st.floats(min_value=1.2, max_value=1e6))
def test_ticks_from_ten_are_whole_so_that_their_labels_are_true(low: float, ratio: float) -> None:
    assert all(tick == pytest.approx(round(tick), abs=1e-6) for tick in round_ticks(low, low * ratio))


@given(st.lists(sizes, min_size=1, max_size=20))
def test_lumps_hold_every_model_once_and_are_apart(values: list[float]) -> None:
    groups = lumps(values, ratio=1.2)
    assert sorted(i for group in groups for i in group) == list(range(len(values)))
    for before, after in pairwise(groups):
        assert values[after[0]] > 1.2 * values[before[-1]]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.2)), min_size=1, max_size=5))
def test_blocks_on_a_line_do_not_overlap_and_stay_between_the_ends(blocks: list[tuple[float, float]]) -> None:
    centres, widths = sorted(centre for centre, _ in blocks), [width for _, width in blocks]
    placed = spread(centres, widths, 0.0, 1.0)
    edges = [(x - width / 2, x + width / 2) for x, width in zip(placed, widths, strict=True)]
    assert edges[0][0] >= -1e-9
    assert edges[-1][1] <= 1 + 1e-9
    assert all(left[1] <= right[0] + 1e-9 for left, right in pairwise(edges))


def test_blocks_with_room_stay_where_they_are() -> None:
    assert spread([0.3, 0.7], [0.2, 0.2], 0.0, 1.0) == pytest.approx([0.3, 0.7])
