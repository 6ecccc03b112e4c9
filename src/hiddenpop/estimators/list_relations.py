"""Lists that say little of each other: one inside another, copies, and one that holds nearly everybody."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Floats
from hiddenpop.histories import decode
from hiddenpop.result import Diagnostic

__all__ = ["ListRelations", "list_relations", "list_remarks"]

NEARLY = 0.95
"""Share of a list from which on it lies nearly inside another, or is nearly its copy."""

NEARLY_EVERYBODY = 0.9
"""Share of all observed persons from which on a list holds nearly everybody."""

ENOUGH = 200
"""Below so many persons only "all" counts, not "nearly all": the exceptions could be counted on two hands."""

BY_CHANCE = 0.01
"""Probability from which on a small list can lie inside a large one by chance."""


@dataclass(frozen=True, slots=True)
class ListRelations:
    """What lists have to do with each other; lists by their positions.

    Attributes
    ----------
    inside : tuple of (int, int)
        Pairs of a list and a larger one that holds all or nearly all of its persons.
    copies : tuple of (int, int)
        Pairs of lists that hold the same persons, or nearly.
    everybody : tuple of int
        Lists that hold all or nearly all persons observed.
    coverage, coverage_without : float
        Sample coverage, and what it is without the lists inside others and one of each pair of copies.
    twice, twice_without : int
        Persons on two or more lists, and how many those are without these lists.
    """

    inside: tuple[tuple[int, int], ...]
    copies: tuple[tuple[int, int], ...]
    everybody: tuple[int, ...]
    coverage: float
    coverage_without: float
    twice: int
    twice_without: int


def list_relations(histories: npt.NDArray[np.int64], counts: Floats, n_lists: int) -> ListRelations:
    """Find lists that lie inside others, copies, and lists that hold nearly everybody.

    Parameters
    ----------
    histories : ndarray of int
        The cells given, empty ones or not.
    counts : ndarray, as long
        Persons of each.
    n_lists : int

    Returns
    -------
    ListRelations

    Notes
    -----
    List a lies inside b when everybody on a is on b, and that is no chance: the share of all observed persons who are
    on b, to the power of the persons on a, is below 0.01. From 200 persons on 95 % of them are enough. Two lists each
    inside the other are copies. A list holds nearly everybody with 90 % of all observed.

    Examples
    --------
    >>> relations = list_relations(np.array([1, 3, 4, 5, 7]), np.array([300.0, 80.0, 200.0, 40.0, 30.0]), 3)
    >>> relations.inside, round(relations.coverage, 2), round(relations.coverage_without, 2)
    (((1, 0),), 0.53, 0.21)
    """
    filled = counts > 0.0
    on, persons = decode(histories[filled], n_lists).astype(bool), counts[filled]
    held, everyone = (on.T * persons) @ on, float(persons.sum())
    pairs = [
        (a, b) for a in range(n_lists) for b in range(n_lists) if a != b and _inside(held, a, b, everyone)
    ]
    copies = tuple((a, b) for a, b in pairs if a < b and (b, a) in pairs)
    inside = tuple((a, b) for a, b in pairs if (b, a) not in pairs)
    gone = {a for a, _ in inside} | {b for _, b in copies}
    kept = [i for i in range(n_lists) if i not in gone]
    coverage, twice = _overlap(on, persons)
    coverage_without, twice_without = _overlap(on[:, kept], persons)
    everybody = [i for i in range(n_lists) if n_lists > 1 and _nearly(held[i, i], everyone, NEARLY_EVERYBODY)]
    return ListRelations(inside, copies, tuple(everybody), coverage, coverage_without, twice, twice_without)


def _inside(held: Floats, a: int, b: int, everyone: float) -> bool:
    """Tell whether list a lies inside list b, and not by chance."""
    size, larger = float(held[a, a]), float(held[b, b])
    by_chance = size * math.log(larger / everyone) > math.log(BY_CHANCE)
    return not by_chance and _nearly(float(held[a, b]), size, NEARLY)


def _nearly(part: float, whole: float, share: float) -> bool:
    """Tell whether a part is the whole, or of many persons nearly the whole."""
    return part == whole or (whole >= ENOUGH and part >= share * whole)


def _overlap(on: npt.NDArray[np.bool_], persons: Floats) -> tuple[float, int]:
    """Give sample coverage and the persons on two or more of these lists."""
    times = on.sum(axis=1)
    sizes, only = on.T @ persons, on[times == 1].T @ persons[times == 1]
    return float(1.0 - (only / sizes).mean()), int(persons[times > 1].sum())


def list_remarks(
    histories: npt.NDArray[np.int64], counts: Floats, lists: tuple[str, ...]
) -> tuple[Diagnostic, ...]:
    """Say which lists add nothing or hold nearly everybody, and what that does.

    Parameters
    ----------
    histories, counts
        As for `list_relations`.
    lists : tuple of str

    Returns
    -------
    tuple of Diagnostic
        Sample coverage is written in hundredths, so that of a table that is not public it is withheld as a number is.

    Examples
    --------
    >>> cells = np.array([1, 3, 4, 5, 7]), np.array([300.0, 80.0, 200.0, 40.0, 30.0])
    >>> [remark.name for remark in list_remarks(*cells, ("police", "convicted", "shelter"))]
    ['list_inside_another']
    """
    found = list_relations(histories, counts, len(lists))
    rows = [
        *(_remark("list_inside_another", f"{lists[a]} lies inside {lists[b]}: {lists[b]} holds all of it or nearly, "
                  f"so it adds nothing", found) for a, b in found.inside),
        *(_remark("list_copies", f"{lists[a]} and {lists[b]} hold the same persons or nearly, as copies do, so one of "
                  f"them adds nothing", found) for a, b in found.copies),
    ]  # fmt: skip
    return (*rows, *(_everybody(lists[i]) for i in found.everybody))


def _remark(name: str, what: str, found: ListRelations) -> Diagnostic:
    message = (
        f"{what}. Without such lists sample coverage is {100 * found.coverage_without:.0f} hundredths, not "
        f"{100 * found.coverage:.0f}, and {found.twice_without:,} persons are on two or more lists, not {found.twice:,}"
    )
    return Diagnostic(name, "warning", message, found.coverage - found.coverage_without)


def _everybody(name: str) -> Diagnostic:
    message = f"{name} holds nearly everybody observed: the estimate rests on the few whom it missed and others found"
    return Diagnostic("list_of_nearly_everybody", "warning", message)
