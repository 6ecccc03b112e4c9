"""Lists left out and merged: the table that results, and the same estimator on it."""

from collections import Counter
from typing import Any

from hiddenpop.estimators.base import contract
from hiddenpop.table import CaptureTable

__all__ = ["Blocks", "block_names", "regrouped", "regrouped_estimator"]

Blocks = tuple[tuple[str, ...], ...]
"""Lists in groups, each group one list of a new table; lists in no group are left out."""

JOINED = " or "


def block_names(blocks: Blocks) -> dict[tuple[str, ...], str]:
    """Name, for each group, the list that holds everybody who is on any of its lists.

    Examples
    --------
    >>> block_names((("a", "b"), ("c",)))
    {('a', 'b'): 'a or b', ('c',): 'c'}
    >>> list(block_names((("a", "b"), ("a or b",))).values())  # a list has that name already
    ["'a' or 'b'", 'a or b']
    """
    plain = {block: JOINED.join(block) for block in blocks}
    times = Counter(plain.values())
    return {
        block: name if len(block) == 1 or times[name] == 1 else JOINED.join(map(repr, block))
        for block, name in plain.items()
    }


def regrouped(table: CaptureTable, blocks: Blocks) -> CaptureTable:
    """Make each group of lists one list, and leave out the lists in no group.

    Examples
    --------
    >>> from hiddenpop import CaptureTable
    >>> table = CaptureTable.from_memberships([["a"], ["a", "b"], ["c"]])
    >>> regrouped(table, (("a", "c"), ("b",))).list_totals.to_dict()
    {'a or c': 3, 'b': 1}
    """
    kept = {name for block in blocks for name in block}
    gone = [name for name in table.lists if name not in kept]
    smaller = table.drop_list(*gone) if gone else table
    merged = {name: block for block, name in block_names(blocks).items() if len(block) > 1}
    return smaller.merge_lists(merged) if merged else smaller


def regrouped_estimator(estimator: Any, table: CaptureTable, blocks: Blocks) -> Any:
    """Take what an estimator, itself or in a wrapper, says of single lists along to the groups of lists.

    A model that is given keeps the interactions of lists that remain, each one of the whole group. A fixed odds ratio
    stays between the groups of its two lists, and goes where these are one or a list is left out.
    """
    names = block_names(blocks)
    groups = {name: names[block] for block in blocks for name in block}
    return contract(estimator).on_groups(table, groups)
