"""Sets of population sizes that agree with an assumption, their limits, and what several of them have in common."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hiddenpop.kernels.identified_set import LogFigure, set_limits

__all__ = ["Assumption", "SetOfN", "Source", "intersection", "set_of"]

REFUTED = "refuted"
"""Status of an assumption with which no size agrees."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """A range for an odds ratio or for xi, which can be made wider and narrower around its middle.

    Attributes
    ----------
    low, high : float
        The range stated.
    inverted : bool
        Whether a larger value makes fewer hidden.
    """

    low: float
    high: float
    inverted: bool = False

    @property
    def middle(self) -> float:
        """No dependence where the range holds it, else the middle on the logarithmic scale."""
        return 1.0 if self.low <= 1.0 <= self.high else math.sqrt(self.low * self.high)

    @property
    def width(self) -> float:
        """The largest factor between the middle and an end."""
        return max(self.middle / self.low, self.high / self.middle)

    def at(self, gamma: float) -> tuple[float, float]:
        """Give the range of another width, each end moved by the same power."""
        power = math.log(gamma) / math.log(self.width)
        return (
            self.middle * (self.low / self.middle) ** power,
            self.middle * (self.high / self.middle) ** power,
        )

    def factors(self, gamma: float) -> tuple[float, float, float]:
        """Give the least, the middle and the largest factor on the number of persons not seen."""
        low, high = self.at(gamma)
        return (1.0 / high, 1.0 / self.middle, 1.0 / low) if self.inverted else (low, self.middle, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What bounds on N are made of: ``N = seen + factor * figure``, never below the number observed.

    Attributes
    ----------
    name : str
        The pair of lists, empty for all lists together.
    n_observed : int
    seen : float
        Persons on the lists concerned.
    figure : LogFigure
        Persons on none of these lists without dependence.
    fallback : (float, float)
        Limits of that number where the estimate is 0 or infinite.
    status, reason : str
    """

    name: str
    n_observed: int
    seen: float
    figure: LogFigure
    fallback: tuple[float, float] = (0.0, math.inf)
    status: str = "ok"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOfN:
    """Sizes that agree with an assumption.

    Attributes
    ----------
    set_low, set_high : float
        Ends of the estimated set; nan where it is empty or unknown.
    low, high : float
        Limits for N.
    n_hat : float
        N in the middle of the assumption.
    status, reason : str
    """

    set_low: float
    set_high: float
    low: float
    high: float
    n_hat: float
    status: str = "ok"
    reason: str = ""

    def lies_in(self, low: float, high: float, *, limits: bool = False) -> bool:
        """Tell whether the set, or its interval, lies between two sizes; an empty one does."""
        ends = (self.low, self.high) if limits else (self.set_low, self.set_high)
        return math.isnan(ends[0]) or (low <= ends[0] and ends[1] <= high)


def set_of(source: Source, factors: tuple[float, float, float], level: float) -> SetOfN:
    """Give the sizes that agree with least, middle and largest factors on the number not seen."""
    n, (least, _, most) = source.n_observed, factors
    if source.status not in ("ok", "boundary", "unbounded"):
        return SetOfN(
            set_low=math.nan,
            set_high=math.nan,
            low=math.nan,
            high=math.nan,
            n_hat=math.nan,
            status=source.status,
            reason=source.reason,
        )
    if source.status == "ok":
        low, high = set_limits(source.figure, least, most, level)
        unseen = math.exp(source.figure.log_n)
    else:
        low, high = least * source.fallback[0], most * source.fallback[1]
        unseen = 0.0 if source.status == "boundary" else math.inf
    ends = [source.seen + factor * unseen for factor in factors]
    limits = max(source.seen + low, n), source.seen + high
    if ends[2] < n:
        return _refuted(source, limits)
    return SetOfN(
        # Without an upper limit the estimate says nothing of the lower end either.
        set_low=float(n) if source.status == "unbounded" else max(ends[0], n),
        set_high=max(ends[2], n),
        low=limits[0],
        high=max(limits[1], n),
        n_hat=max(ends[1], n),
        status=source.status,
        reason=source.reason,
    )


def _refuted(source: Source, limits: tuple[float, float]) -> SetOfN:
    beyond = limits[1] < source.n_observed
    how = "and chance does not explain it" if beyond else "though chance may explain it"
    low, high = (math.nan, math.nan) if beyond else (float(source.n_observed), float(source.n_observed))
    return SetOfN(
        set_low=math.nan,
        set_high=math.nan,
        low=low,
        high=max(high, limits[1]) if not beyond else high,
        n_hat=math.nan,
        status=REFUTED,
        reason=f"more persons are on neither of {source.name} than the assumption allows, {how}",
    )


def intersection(
    names: Sequence[str], sets: Sequence[SetOfN], limits: Sequence[SetOfN], n_hat: float
) -> SetOfN:
    """Give what several sets have in common.

    Parameters
    ----------
    names : sequence of str
        Of the pairs.
    sets : sequence of SetOfN
        Their sets.
    limits : sequence of SetOfN
        The same with limits at a level that holds for all of them together.
    n_hat : float
        An estimate, moved into the set.

    Returns
    -------
    SetOfN
        With status ``"refuted"`` where they have nothing in common, and limits only if chance may explain that.
    """
    known = [at for at, one in enumerate(sets) if one.status not in ("not_identified", "not_converged")]
    if not known:
        why = "no pair says anything of N"
        return SetOfN(
            set_low=math.nan, set_high=math.nan, low=math.nan, high=math.nan, n_hat=math.nan,
            status="not_identified", reason=why,
        )  # fmt: skip
    low, high = max(limits[at].low for at in known), min(limits[at].high for at in known)
    within = not any(math.isnan(limits[at].low) for at in known) and low <= high
    shown = (low, high) if within else (math.nan, math.nan)
    contradiction = _contradiction([(names[at], sets[at]) for at in known])
    if contradiction:
        how = "though chance may explain it" if within else "and chance does not explain it"
        return SetOfN(
            set_low=math.nan, set_high=math.nan, low=shown[0], high=shown[1], n_hat=math.nan,
            status=REFUTED, reason=f"{contradiction}, {how}",
        )  # fmt: skip
    ends = max(sets[at].set_low for at in known), min(sets[at].set_high for at in known)
    moved = min(max(n_hat, ends[0]), ends[1]) if math.isfinite(n_hat) else math.nan
    unbounded = math.isinf(ends[1])
    return SetOfN(
        set_low=ends[0],
        set_high=ends[1],
        low=min(low, ends[0]),
        high=max(high, ends[1]),
        n_hat=moved,
        status="unbounded" if unbounded else "ok",
        reason="no pair sets an upper limit" if unbounded else "",
    )


def _contradiction(sets: Sequence[tuple[str, SetOfN]]) -> str:
    """Name two pairs that have no size in common, or one that has none; empty when all share one."""
    for _, one in sets:
        if one.status == REFUTED:
            return one.reason.rsplit(",", 1)[0]
    most = max(sets, key=lambda named: named[1].set_low)
    least = min(sets, key=lambda named: named[1].set_high)
    if most[1].set_low <= least[1].set_high:
        return ""
    return f"{most[0]} needs a larger N than {least[0]} allows"
