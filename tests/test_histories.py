import numpy as np
import pytest

from hiddenpop.histories import (
    MAX_LISTS,
    bit_positions,
    captures,
    decode,
    encode,
    merge,
    project,
    subset_order,
)


def test_encode_gives_list_i_the_value_two_to_the_i():
    assert encode(np.eye(5, dtype=int)).tolist() == [1, 2, 4, 8, 16]


def test_decode_undoes_encode_for_every_history_on_four_lists():
    codes = np.arange(16)
    assert encode(decode(codes, 4)).tolist() == codes.tolist()


def test_the_largest_number_of_lists_fits():
    everywhere = encode(np.ones((1, MAX_LISTS), dtype=int))
    assert everywhere.tolist() == [2**63 - 1]
    assert decode(everywhere, MAX_LISTS).sum() == MAX_LISTS
    assert captures(everywhere).tolist() == [MAX_LISTS]
    assert merge(everywhere, [range(MAX_LISTS)]).tolist() == [1]
    assert project(everywhere, [62, 0]).tolist() == [3]


def test_captures_counts_bits():
    assert captures([0, 1, 6, 7]).tolist() == [0, 1, 2, 3]


def test_project_keeps_lists_in_the_order_asked_for():
    assert project([0b100, 0b001, 0b010], keep=[2, 0]).tolist() == [0b01, 0b10, 0b00]


def test_merge_is_on_the_new_list_when_on_any_part():
    assert merge([0b001, 0b010, 0b100, 0b111], groups=[[0, 2], [1]]).tolist() == [1, 2, 1, 3]


@pytest.mark.parametrize(("mask", "positions"), [(0, ()), (1, (0,)), (0b10110, (1, 2, 4))])
def test_bit_positions(mask, positions):
    assert bit_positions(mask) == positions


def test_subsets_are_ordered_by_size_and_then_by_position():
    ordered = sorted(range(1, 8), key=subset_order)
    assert ordered == [0b001, 0b010, 0b100, 0b011, 0b101, 0b110, 0b111]
