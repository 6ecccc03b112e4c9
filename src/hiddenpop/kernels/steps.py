"""Which coefficients are 0 where some may not be negative: a search that lets them come back."""

import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Examined", "free_at_maximum"]

Fit = TypeVar("Fit")


@dataclass(frozen=True, slots=True)
class Examined(Generic[Fit]):
    """A fit with some coefficients free and the others held at 0.

    Attributes
    ----------
    fit : object
    deviance : float
    negative : frozenset of int
        Free coefficients below 0.
    wanted : frozenset of int
        Held coefficients whose score is positive: the likelihood would rise with them.
    """

    fit: Fit
    deviance: float
    negative: frozenset[int]
    wanted: frozenset[int]

    @property
    def wrong(self) -> frozenset[int]:
        """What keeps the fit from being the constrained maximum."""
        return self.negative | self.wanted


def free_at_maximum(
    columns: Collection[int], start: Collection[int], examine: Callable[[frozenset[int]], Examined[Fit]]
) -> tuple[frozenset[int], Fit]:
    """Find the free coefficients at the maximum under which none of `columns` is negative.

    Parameters
    ----------
    columns : collection of int
        Coefficients that may not be negative.
    start : collection of int
        Those free at first.
    examine : callable
        From a set of free coefficients to its fit.

    Returns
    -------
    free : frozenset of int
    fit : object

    Notes
    -----
    The likelihood is concave, so a fit without a negative coefficient and without a positive score among those held at
    0 is the constrained maximum, however it was found (Karush, Kuhn and Tucker). All that is wrong is turned at once;
    where that comes back to a set, only the last of it is turned, and where that comes back too, all sets are looked
    through, those with the most free ones first.

    References
    ----------
    Portugal, L. F., Judice, J. J. and Vicente, L. N. (1994). A comparison of block pivoting and interior-point
    algorithms for linear least squares problems with nonnegative variables. Mathematics of Computation 63, 625-643.
    doi:10.1090/S0025-5718-1994-1250776-4

    Examples
    --------
    >>> def examine(free):
    ...     wrong = frozenset({3}) if 3 in free else frozenset()
    ...     return Examined("a fit", 0.0, wrong, frozenset({2}) - free)
    >>> sorted(free_at_maximum([2, 3], [3], examine)[0])
    [2]
    """
    known: dict[frozenset[int], Examined[Fit]] = {}

    def look(free: frozenset[int]) -> Examined[Fit]:
        if free not in known:
            known[free] = examine(free)
        return known[free]

    free = frozenset(start)
    for all_at_once in (True, False):
        passed: set[frozenset[int]] = set()
        while free not in passed:
            passed.add(free)
            wrong = look(free).wrong
            if not wrong:
                return free, look(free).fit
            free ^= wrong if all_at_once else {max(wrong)}
    return _best_of_all(columns, look)


def _best_of_all(
    columns: Collection[int], look: Callable[[frozenset[int]], Examined[Fit]]
) -> tuple[frozenset[int], Fit]:
    """Take the first set without anything wrong, else the best of those without a negative coefficient."""
    allowed = []
    for size in range(len(columns), -1, -1):
        for free in map(frozenset, itertools.combinations(sorted(columns), size)):
            found = look(free)
            if not found.wrong:
                return free, found.fit
            if not found.negative:
                allowed.append((found.deviance, free, found.fit))
    # With nothing free nothing is negative, so there is always one.
    _, free, fit = min(allowed, key=lambda entry: entry[0])
    return free, fit
