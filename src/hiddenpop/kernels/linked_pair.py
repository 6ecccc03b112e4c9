"""Two lists with linkage errors, in closed form."""

import math
from dataclasses import dataclass

__all__ = ["LinkedPair", "corrected_pair"]


@dataclass(frozen=True, slots=True)
class LinkedPair:
    """What two lists would show without linkage errors.

    Attributes
    ----------
    overlap : float
        Persons on both lists.
    n_observed : float
        Persons on one list at least: the records of both lists less the overlap.
    n_hat : float
        The number of Petersen, ``n1 n2 / overlap``; inf without overlap, nan when the rates cannot be.
    reason : str
        Why the rates cannot be; empty when they can.
    """

    overlap: float
    n_observed: float
    n_hat: float
    reason: str = ""


def corrected_pair(
    first: float,
    second: float,
    linked: float,
    *,
    missed: float = 0.0,
    false_first: float = 0.0,
    false_second: float = 0.0,
    false_share: float = 0.0,
) -> LinkedPair:
    """Correct the overlap of two lists for missed and false links.

    Parameters
    ----------
    first, second : float
        Records of each list, one a person.
    linked : float
        Records of the first list that were linked to one of the second.
    missed : float
        Chance that the link of a person on both lists is missed.
    false_first : float
        Chance that a record of the first list whose person is not on the second is linked to another person there.
    false_second : float
        The same for records of the second list.
    false_share : float
        Share of the links made that join two persons: 1 less the precision of the linkage.

    Returns
    -------
    LinkedPair

    Notes
    -----
    With n1 and n2 records, m persons on both, and a link that was missed not made up by a false one,

        E linked (1 - false_share) = m (1 - missed) + (n1 - m) false_first + (n2 - m) false_second,

    which is solved for m. With `missed` alone ``m = linked / (1 - missed)`` and ``N = n1 n2 (1 - missed) / linked``;
    the links that were missed also made the union of records, ``n1 + n2 - linked``, too large. With one of the two
    false rates it is the one-directional correction of Ding and Fienberg (1994); with both, links are made from either
    side. A false link takes one record of each list, so that for lists of unequal size the two rates that describe the
    same links differ: ``(n1 - m) false_first = (n2 - m) false_second``. Give such links once, on the side where the
    rate was measured.

    References
    ----------
    Ding, Y. and Fienberg, S. E. (1994). Dual system estimation of census undercount in the presence of matching error.
    Survey Methodology 20(2), 149-158.
    Di Consiglio, L. and Tuoto, T. (2015). Coverage evaluation on probabilistically linked data. Journal of Official
    Statistics 31(3), 415-429. doi:10.1515/jos-2015-0025

    Examples
    --------
    >>> pair = corrected_pair(500, 400, 90, missed=0.1)
    >>> round(pair.overlap), round(pair.n_observed), round(pair.n_hat)
    (100, 800, 2000)
    """
    kept = 1.0 - missed - false_first - false_second
    if kept <= 0.0:
        return LinkedPair(
            math.nan, math.nan, math.nan, "links are as likely between strangers as for a person"
        )
    overlap = ((1.0 - false_share) * linked - false_first * first - false_second * second) / kept
    if overlap < 0.0:
        return LinkedPair(math.nan, math.nan, math.nan, "more false links than there are links")
    if overlap > min(first, second):
        return LinkedPair(
            math.nan, math.nan, math.nan, "more missed links than there are records without a link"
        )
    n_hat = first * second / overlap if overlap > 0.0 else math.inf
    return LinkedPair(overlap, first + second - overlap, n_hat)
