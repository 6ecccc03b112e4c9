"""`OverCoverageSweep`: the answer if some records are of persons outside the population; and the trimmed estimator."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from hiddenpop._cells import refuse_unknown
from hiddenpop.errors import SettingError, TableError
from hiddenpop.estimators.protocol import as_number, check_choice
from hiddenpop.result import Estimate
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval, tipping_in_words
from hiddenpop.sensitivity.corrected import CorrectedPoint, evaluate_corrected
from hiddenpop.sensitivity.protocol import CheckContext, Found, StandardCheck, figure_of, judge
from hiddenpop.table import CaptureTable

__all__ = ["OverCoverageSweep", "trimmed_dual_system"]

Which = Literal["only here", "any"]

SHARES = tuple(round(0.02 * step, 2) for step in range(11))
TRIMMED = ["k", "linked", "n_hat", "n_observed", "status", "reason"]
PROTECTED = ("n_observed", "removed")
"""Persons left at a few shares can be solved for the persons on a list, or on it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverCoverageSweep(StandardCheck):
    """The estimate when a share of the records of a list is taken for erroneous and removed, list by list.

    Parameters
    ----------
    list : str or sequence of str, optional
        The lists to try, one at a time; every list by default.
    shares : sequence of float
        Shares of the records of a list, from 0 to below 1, whose persons are not members of the population.
    which : {"only here", "any"}
        ``"only here"``: these persons are on no other list, as those who come onto it by an error that other lists do
        not share. ``"any"``: they are on other lists as often as the members on this list are.
    claim : str or Claim, optional
        What must hold at every point; by default that N stays within the interval of the estimate.

    Raises
    ------
    SettingError
        For shares that cannot be, and a claim that cannot be read.

    Notes
    -----
    Erroneous persons on one list alone swell its total and no overlap, so N is too large: for two lists by the share
    itself, and at each share the answer is that of the trimmed dual-system estimator (`trimmed_dual_system`). Under
    ``"any"`` a person of the list is removed from each capture history alike, which leaves the overlap rates of the
    list as they are; N falls by less. Where to stop cannot be read off the table: the share is an assumption.

    The table has one row per list and share: ``list``, ``share``, ``removed`` (persons), the estimate, and
    ``counts_are`` ("real" or "rounded"). Where more records would be erroneous than there are persons on that list
    alone, the point is infeasible.

    References
    ----------
    Zhang, L.-C. and Dunne, J. (2017). Trimmed dual system estimation. In: Capture-Recapture Methods for the Social and
    Medical Sciences. CRC Press.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> check = OverCoverageSweep(list="EXH", shares=(0, 0.1))
    >>> result = check.run(hp.LogLinear(model="[123,14,34]"), hp.datasets.load("kosovo"), rng=1)
    >>> result.table["n_hat"].round(-2).tolist()
    [10400.0, 9800.0]
    """

    name: ClassVar[str] = "over_coverage"

    list: str | tuple[str, ...] | None = None
    shares: tuple[float, ...] = SHARES
    which: Which = "only here"
    claim: str | Claim | None = None

    def __post_init__(self) -> None:
        if self.list is not None and not isinstance(self.list, str):
            object.__setattr__(self, "list", tuple(self.list))
            if not self.list:
                raise SettingError("list=() names no list; leave it out to try every list")
        object.__setattr__(self, "shares", _checked_shares(self.shares))
        check_choice("which", self.which, ("only here", "any"))
        as_claim(self.claim)

    def _find(self, asked: CheckContext) -> Found | str:
        estimator, table = asked.estimator, asked.table
        lists = self._lists(table)
        if table.has_censored:
            return (
                "does not apply: some counts are only upper bounds, and persons cannot be removed from them"
            )
        base = asked.base()
        points = [_point(table, name, share, self.which) for name in lists for share in self.shares]
        frame = evaluate_corrected(points, estimator, seed=asked.seed, label="over-coverage")
        claim = claim_or_interval(self.claim, base)
        verdict = judge(frame, claim, points="lists and shares")
        return Found.judged(
            verdict,
            table=frame,
            text=f"{verdict.text}{_tipping(frame, claim)}",
            figure=_figure(base, claim),
            protected=PROTECTED,
        )

    def _lists(self, table: CaptureTable) -> tuple[str, ...]:
        """Give the lists to try: those named, or all that caught somebody."""
        if self.list is None:
            return tuple(name for name in table.lists if name not in table.empty_lists)
        names = (self.list,) if isinstance(self.list, str) else self.list
        refuse_unknown("list", names, table.lists)
        return names


def _checked_shares(shares: Sequence[float]) -> tuple[float, ...]:
    given = (shares,) if isinstance(shares, int | float) else tuple(shares)
    if not given or not all(0.0 <= as_number(share) < 1.0 for share in given):
        raise SettingError(f"shares={shares!r} must be numbers from 0 to below 1, e.g. (0, 0.05, 0.1)")
    return tuple(sorted({float(share) for share in given}))


def _point(table: CaptureTable, name: str, share: float, which: Which) -> CorrectedPoint:
    """Take a share of the records of a list away, in every stratum alike."""
    bit = 1 << table.lists.index(name)
    on, alone = table.histories & bit != 0, table.histories == bit
    erroneous, only = share * float(table.counts[on].sum()), float(table.counts[alone].sum())
    counts, reason = table.counts.astype(np.float64), ""
    if which == "any":
        counts[on] *= 1.0 - share
    elif erroneous > only:
        reason = f"{share:.1%} of the records of {name} are more persons than are on {name} alone"
    elif only > 0.0:
        counts[alone] *= 1.0 - erroneous / only
    rows = np.arange(len(table), dtype=np.int64)
    labels = {"list": name, "share": share, "removed": math.nan if reason else erroneous}
    return CorrectedPoint(labels, table, table.histories, rows, counts, reason)


def _tipping(frame: pd.DataFrame, claim: Claim) -> str:
    """Say for each list at which share the claim begins to fail, those for which it does not together."""
    told: dict[str, str] = {}
    for name, line in frame.groupby("list", sort=False):
        words = tipping_in_words(line["share"].tolist(), line["n_hat"].tolist(), claim, "a share")
        told[str(name)] = words.replace(" It ", " it ", 1)
    same: dict[str, list[str]] = {}
    for name, words in told.items():
        same.setdefault(words, []).append(name)
    return "".join(f" Of {', '.join(names)}:{words}" for words, names in same.items() if words)


def _figure(base: Estimate, claim: Claim) -> dict[str, object]:
    label = "share of the records of the list that are erroneous"
    return figure_of(
        "curve",
        "Over-coverage",
        base,
        claim,
        x="share",
        x_label=label,
        log_x=False,
        series="list",
        neutral=0.0,
    )


def trimmed_dual_system(
    table: CaptureTable,
    list: str,
    k: int | Sequence[int],
    *,
    linked: int | Sequence[int] = 0,
    other: str | None = None,
) -> pd.DataFrame:
    """Estimate from two lists of which one has k suspect records trimmed: ``N(k) = (n1 - k) n2 / (m - k1)``.

    Parameters
    ----------
    table : CaptureTable
    list : str
        The list that is trimmed, of n1 persons.
    k : int or sequence of int
        Records trimmed.
    linked : int or sequence of int
        How many of them are linked to the other list, k1; one number for all `k`, or as many as there are of `k`.
    other : str, optional
        The other list, of n2 persons, m of them on both; needed when the table has more than two lists.

    Returns
    -------
    DataFrame
        One row per number trimmed: ``k``, ``linked``, ``n_hat``, ``n_observed`` (persons left on the two lists),
        ``status`` and ``reason``.

    Raises
    ------
    UnknownNameError
        For a list that is not there.
    SettingError
        For numbers that cannot be, and without `other` on more than two lists.
    TableError
        For censored counts.

    Notes
    -----
    Trimming lowers the bias from erroneous records as long as it hits them more often than a random choice would and no
    more are trimmed than there are. A random choice leaves N where it is, as k1/k is then about m/n1: when N stops
    falling as k grows, what is trimmed are no longer erroneous records.

    References
    ----------
    Zhang, L.-C. and Dunne, J. (2017). Trimmed dual system estimation. In: Capture-Recapture Methods for the Social and
    Medical Sciences. CRC Press.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"police": [1, 0, 1], "shelter": [0, 1, 1], "count": [400, 300, 100]})
    >>> table = CaptureTable.from_counts(frame, public=True)
    >>> trimmed_dual_system(table, "police", (0, 50, 100), linked=(0, 2, 20))["n_hat"].round(1).tolist()
    [2000.0, 1836.7, 2000.0]
    """
    first, second, both = _two_lists(table, list, other)
    trimmed = (k,) if isinstance(k, int) else tuple(k)
    taken = (linked,) * len(trimmed) if isinstance(linked, int) else tuple(linked)
    if len(taken) != len(trimmed):
        raise SettingError(
            f"linked={linked!r} must be one number, or one for each of the {len(trimmed)} of k"
        )
    for number, of_both in zip(trimmed, taken, strict=True):
        if not 0 <= of_both <= number:
            raise SettingError(f"of k={number!r} records trimmed, linked={of_both!r} must be 0 to {number!r}")
    rows = [_trimmed(first, second, both, *numbers) for numbers in zip(trimmed, taken, strict=True)]
    return pd.DataFrame(rows, columns=TRIMMED)


def _trimmed(first: int, second: int, both: int, k: int, linked: int) -> tuple[object, ...]:
    left, overlap = first - k, both - linked
    if overlap < 0 or left < overlap:
        why = "more records are trimmed than the list has, linked to the other list or not"
        return k, linked, math.nan, 0, "infeasible", why
    observed = left + second - overlap
    if overlap == 0:
        return (
            k,
            linked,
            math.inf,
            observed,
            "unbounded",
            "no record is left that is linked to the other list",
        )
    return k, linked, left * second / overlap, observed, "ok", ""


def _two_lists(table: CaptureTable, list: str, other: str | None) -> tuple[int, int, int]:
    """Count the persons on a list, on the other, and on both."""
    if table.has_censored:
        raise TableError(f"{table.name} has counts that are only upper bounds; drop the list concerned")
    others = [name for name in table.lists if name != list]
    if other is None and len(others) != 1 and list in table.lists:
        raise SettingError(
            f"{table.name} has {table.n_lists} lists; name the other one, e.g. other={others[:1]}"
        )
    chosen = others[0] if other is None else other
    refuse_unknown("list", (list, chosen), table.lists)
    if chosen == list:
        raise SettingError(f"list and other are both {list!r}; name two lists")
    overlaps = table.overlaps
    return int(overlaps.loc[list, list]), int(overlaps.loc[chosen, chosen]), int(overlaps.loc[list, chosen])  # type: ignore[arg-type]
