"""What the data cannot check, as offsets: fixed odds ratios between lists, and the highest-order interaction."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hiddenpop._cells import refuse_unknown
from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import as_number
from hiddenpop.model import HierarchicalModel
from hiddenpop.result import Diagnostic
from hiddenpop.table import CaptureTable

__all__ = [
    "OddsRatios",
    "as_odds_ratios",
    "check_positive",
    "offset_of",
    "pair_of",
    "refuse_unknown_lists",
    "regroup_ratios",
    "remarks",
    "shifts_of",
    "without_terms",
]

OddsRatios = tuple[tuple[str, str, float], ...]

SMALLEST, LARGEST = 1e-12, 1e12
EXAMPLE = 'odds_ratios=[("police", "shelter", 2.0)]'


def as_odds_ratios(given: Any) -> OddsRatios:
    """Read fixed odds ratios: triples of two lists and a number, or a mapping of pairs of lists to numbers.

    Raises
    ------
    SettingError
        For anything else, a number that is not above 0, or a pair that stands twice.

    Examples
    --------
    >>> as_odds_ratios({("police", "shelter"): 2})
    (('police', 'shelter', 2.0),)
    """
    if isinstance(given, str) or not isinstance(given, Mapping | Sequence):
        raise SettingError(
            f"odds_ratios={given!r} must hold two lists and a number for each pair, as in {EXAMPLE}"
        )
    ratios = tuple(_as_triple(item) for item in (_items(given) if isinstance(given, Mapping) else given))
    pairs = [frozenset(pair) for *pair, _ in ratios]
    for pair in pairs:
        if pairs.count(pair) > 1:
            raise SettingError(f"odds_ratios has {' and '.join(sorted(pair))} twice; give one number a pair")
    return ratios


def _items(given: Mapping[Any, Any]) -> list[tuple[Any, ...]]:
    """Give the triples of a mapping; a key that is no pair makes a triple that is none."""
    return [(*pair, psi) if isinstance(pair, tuple | list) else (pair, psi) for pair, psi in given.items()]


def _as_triple(item: Any) -> tuple[str, str, float]:
    if isinstance(item, str) or not isinstance(item, Sequence) or len(item) != 3:
        raise SettingError(f"odds_ratios: {item!r} is no pair of lists with a number, as in {EXAMPLE}")
    first, second, psi = item
    if not isinstance(first, str) or not isinstance(second, str) or first == second:
        raise SettingError(f"odds_ratios: {first!r} and {second!r} must name two different lists")
    return first, second, check_positive(f"the odds ratio of {first} and {second}", psi)


def check_positive(what: str, value: Any) -> float:
    """Give a number above 0, or refuse it."""
    number = as_number(value)
    if not SMALLEST <= number <= LARGEST:
        raise SettingError(f"{what} is {value!r}; it must be a number above 0, and 1 stands for independence")
    return number


def regroup_ratios(ratios: OddsRatios, groups: Mapping[str, str]) -> OddsRatios:
    """Fix odds ratios between groups of lists; of two that come to stand between the same groups, the first.

    Examples
    --------
    >>> regroup_ratios((("a", "b", 2.0), ("a", "c", 3.0)), {"a": "a", "b": "b or c", "c": "b or c"})
    (('a', 'b or c', 2.0),)
    """
    kept: dict[frozenset[str], tuple[str, str, float]] = {}
    for first, second, psi in ratios:
        one, other = groups.get(first), groups.get(second)
        if one is not None and other is not None and one != other:
            kept.setdefault(frozenset((one, other)), (one, other, psi))
    return tuple(kept.values())


def offset_of(
    table: CaptureTable, lists: tuple[str, ...], odds_ratios: OddsRatios, xi: float
) -> tuple[Floats | None, int]:
    """Turn the assumptions into an offset of the log means, and the terms that it replaces.

    Parameters
    ----------
    table : CaptureTable
        To say which names are wrong.
    lists : tuple of str
        Those that caught somebody, t of them. A pair with another one has no say.
    odds_ratios : tuple of (str, str, float)
    xi : float

    Returns
    -------
    offset : ndarray, shape (2**t,), or None
        ``log psi`` for every history with both lists of a pair, ``-log xi`` for the unobserved cell; None where nothing
        is assumed.
    without : int
        Term set of the pairs and of every interaction that contains one of them.

    Raises
    ------
    UnknownNameError
        For a list that is not in the table.

    Notes
    -----
    The offset takes the place of the interaction: were the pair, or a larger interaction around it, still in the
    model, it would take the offset up and N would not move.

    References
    ----------
    Gerritse, S. C., van der Heijden, P. G. M. and Bakker, B. F. M. (2015). Sensitivity of population size estimation
    for violating parametric assumptions in log-linear models. Journal of Official Statistics 31(3), 357-379.
    doi:10.1515/jos-2015-0022
    """
    refuse_unknown_lists(table, odds_ratios)
    cells = np.arange(1 << len(lists))
    offset, without = shifts_of(cells, lists, odds_ratios), 0
    for pair in (pair_of(lists, first, second) for first, second, _ in odds_ratios):
        if pair:
            without |= sum(1 << int(term) for term in cells[cells & pair == pair])
    offset[0] = -math.log(xi)
    return (offset if offset.any() or without else None), without


def shifts_of(histories: Ints, lists: tuple[str, ...], odds_ratios: OddsRatios) -> Floats:
    """Give the sum of ``log psi`` over the pairs of which each history has both lists.

    Examples
    --------
    >>> shifts_of(np.array([1, 2, 3]), ("a", "b"), (("a", "b", 1.0),)).tolist()
    [0.0, 0.0, 0.0]
    """
    shifts = np.zeros(len(histories))
    for first, second, psi in odds_ratios:
        pair = pair_of(lists, first, second)
        if pair:
            shifts[histories & pair == pair] += math.log(psi)
    return shifts


def pair_of(lists: tuple[str, ...], first: str, second: str) -> int:
    """Bits of two lists, 0 where one of them is not there."""
    there = first in lists and second in lists
    return 1 << lists.index(first) | 1 << lists.index(second) if there else 0


def refuse_unknown_lists(table: CaptureTable, odds_ratios: OddsRatios) -> None:
    """Refuse odds ratios of lists that are not in the table."""
    refuse_unknown("list", (name for *pair, _ in odds_ratios for name in pair), table.lists)


def without_terms(model: HierarchicalModel, without: int) -> HierarchicalModel:
    """Take the terms out of a model whose place an offset takes.

    Examples
    --------
    >>> pair_12 = 1 << 0b011 | 1 << 0b111
    >>> str(without_terms(HierarchicalModel.parse("[12,13,23]", n_lists=3), pair_12))
    '[13,23]'
    """
    kept = model.term_set & ~without
    return model if kept == model.term_set else HierarchicalModel.from_term_set(kept, model.n_lists)


def remarks(lists: tuple[str, ...], odds_ratios: OddsRatios, xi: float) -> tuple[Diagnostic, ...]:
    """Say what is assumed, and what of it has no say as a list caught nobody."""
    found = []
    for first, second, psi in odds_ratios:
        if pair_of(lists, first, second):
            message = f"the odds ratio of {first} and {second} is fixed at {psi:g}, not estimated"
            found.append(Diagnostic("fixed_odds_ratio", "info", message, psi))
        else:
            empty = first if first not in lists else second
            message = f"the odds ratio of {first} and {second} has no say: {empty} caught nobody"
            found.append(Diagnostic("idle_odds_ratio", "warning", message, psi))
    if xi != 1.0:
        message = f"xi is fixed at {xi:g}: the dark figure is {1 / xi:.4g} times that at 1"
        found.append(Diagnostic("fixed_xi", "info", message, xi))
    return tuple(found)
