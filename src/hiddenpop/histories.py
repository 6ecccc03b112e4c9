"""Pure functions on bit-coded capture histories.

A capture history over ``t`` lists is one integer: bit ``i`` (value ``1 << i``) is set when the person is on list
``i``, counted from 0. History 0 is the person on no list, whom no table can hold. Up to 63 lists fit in an ``int64``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "MAX_LISTS",
    "added_by",
    "bit_positions",
    "captures",
    "decode",
    "encode",
    "merge",
    "merged_term",
    "project",
    "subset_order",
]

MAX_LISTS = 63

Histories = npt.NDArray[np.int64]


def encode(indicators: npt.ArrayLike) -> Histories:
    """Code rows of 0/1 indicators, shape ``(n, t)``, as integers, shape ``(n,)``.

    Examples
    --------
    >>> encode([[1, 0, 0], [1, 0, 1]]).tolist()
    [1, 5]
    """
    bits = np.asarray(indicators)
    codes: Histories = np.zeros(len(bits), dtype=np.int64)
    for place in range(bits.shape[1]):  # list by list: a million rows of all lists would be copied twice
        codes += bits[:, place].astype(np.int64) << place
    return codes


def decode(histories: npt.ArrayLike, n_lists: int) -> npt.NDArray[np.int8]:
    """Unfold coded histories, shape ``(n,)``, to 0/1 indicators, shape ``(n, n_lists)``.

    Examples
    --------
    >>> decode([1, 5], 3).tolist()
    [[1, 0, 0], [1, 0, 1]]
    """
    codes = np.asarray(histories, dtype=np.int64)
    return ((codes[:, None] >> np.arange(n_lists, dtype=np.int64)) & 1).astype(np.int8)


def captures(histories: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Count the lists in each history.

    Examples
    --------
    >>> captures([1, 5, 7]).tolist()
    [1, 2, 3]
    """
    return np.bitwise_count(np.asarray(histories, dtype=np.int64)).astype(np.int64)


def project(histories: npt.ArrayLike, keep: Sequence[int]) -> Histories:
    """Keep only the lists at positions `keep`, renumbered in that order.

    Examples
    --------
    >>> project([5, 2], keep=[2, 1]).tolist()
    [1, 2]
    """
    codes = np.asarray(histories, dtype=np.int64)
    result = np.zeros_like(codes)
    for new, old in enumerate(keep):
        result |= ((codes >> old) & 1) << new
    return result


def merge(histories: npt.ArrayLike, groups: Sequence[Sequence[int]]) -> Histories:
    """Replace each group of list positions by one list: on it when on any of the group.

    Examples
    --------
    >>> merge([1, 4, 6], groups=[[0], [1, 2]]).tolist()
    [1, 2, 2]
    """
    codes = np.asarray(histories, dtype=np.int64)
    result = np.zeros_like(codes)
    for new, group in enumerate(groups):
        mask = np.int64(sum(1 << position for position in group))
        result |= ((codes & mask) != 0).astype(np.int64) << new
    return result


def merged_term(term: int, images: Sequence[int]) -> int:
    """Map each bit of a term: several onto one where lists are merged, to 0 where one is left out.

    Examples
    --------
    >>> merged_term(0b101, [0b1, 0b10, 0b1]), merged_term(0b11, [0, 0b1, 0b10])
    (1, 1)
    """
    merged = 0
    for position in bit_positions(term):
        merged |= images[position]
    return merged


def bit_positions(mask: int) -> tuple[int, ...]:
    """List the positions of the bits set in `mask`, from low to high.

    Examples
    --------
    >>> bit_positions(0b1101)
    (0, 2, 3)
    """
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)


def subset_order(mask: int) -> tuple[int, tuple[int, ...]]:
    """Give the sort key that puts sets of lists by size and then by their positions.

    Examples
    --------
    >>> sorted([0b11, 0b100, 0b1], key=subset_order)
    [1, 4, 3]
    """
    return mask.bit_count(), bit_positions(mask)


def added_by(
    group: npt.NDArray[np.integer[Any]], persons: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.float64]:
    """Add up persons by the group that each cell is in.

    Examples
    --------
    >>> added_by(np.array([0, 2, 2]), np.array([5.0, 1.0, 2.0]), 4).tolist()
    [5.0, 0.0, 3.0, 0.0]
    """
    return np.bincount(group, weights=persons, minlength=size).astype(np.float64)
