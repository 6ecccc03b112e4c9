"""`PartialIdentification`: bounds on N when dependence between lists is bounded instead of taken as known."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

import pandas as pd

from hiddenpop._cells import refuse_unknown
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import (
    Estimator,
    as_number,
    check_choice,
    check_level,
    check_whole,
)
from hiddenpop.result import Estimate, format_level, format_persons
from hiddenpop.sensitivity.bound_sources import pair_sources, whole_source
from hiddenpop.sensitivity.bounds import Assumption, SetOfN, Source, intersection, set_of
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval
from hiddenpop.sensitivity.figures import figure_of
from hiddenpop.sensitivity.pairs import as_pairs
from hiddenpop.sensitivity.points import has_number
from hiddenpop.sensitivity.protocol import Asked, Found, StandardCheck
from hiddenpop.table import CaptureTable

__all__ = ["PartialIdentification"]

Range = tuple[float, float]

MOST_LISTS = 12
WIDEST = 1e3
"""No odds ratio of this size is looked for a tipping point."""

HALVINGS = 50
SAME_WIDTH = 1e-6
"""Widths that differ by less, relatively, differ by where a search stopped."""

ALL_PAIRS = "all pairs"
PROTECTED = ("set_low", "set_high")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialIdentification(StandardCheck):
    """Bounds on N that follow from bounds on the dependence between lists, with intervals valid for N within them.

    Parameters
    ----------
    kind : {"highest_order", "pair"}
        What is bounded: the interaction of all lists together, or the odds ratio of each of some pairs of lists.
    pairs : sequence of (str, str), optional
        The pairs for ``"pair"``; all by default.
    odds_ratio : (float, float)
        For ``"pair"``: least and largest odds ratio in the population between the two lists of a pair. 1 is
        independence; above 1 who is on one list is more often on the other, and N is larger.
    xi : (float, float)
        For ``"highest_order"``: least and largest `xi`, 1 for no interaction of all lists. A larger `xi` gives fewer
        hidden: the dark figure is multiplied by 1/xi.
    gammas : sequence of float
        Widths of the assumption to try beside the one stated, 1 or more: with width 2 an odds ratio or `xi` may be half
        or twice its middle value. The middle is 1, or that of the range on the logarithmic scale if 1 is outside.
    errors : {"delta", "bootstrap"}
        Where the standard errors come from: formulas, or refits to tables drawn from the cells and the dark figure.
    n_boot : int
        Tables for ``"bootstrap"``, at least 100.
    level : float
        Chance that the interval holds N, wherever N lies in the set.
    claim : str or Claim, optional
        What must hold in the whole set; by default that N stays within the interval of the estimate.

    Raises
    ------
    SettingError
        For settings that cannot be.

    Notes
    -----
    Highest order. With n persons observed and R the product of the shares of cells of an odd number of lists over that
    of cells of an even number, the dark figure is ``n R / xi``. A log-linear model has its own fitted cells, for which
    ``n R`` is the dark figure of the model; other estimators say nothing of R, and the observed cells stand in.

    Pairs. With n_a and n_b persons on one of two lists only and n_ab on both, ``psi n_a n_b / n_ab`` persons are on
    neither, of whom those on other lists were observed. Every pair bounds N by itself. When all odds ratios are in
    their bounds N lies in all the sets; when these have nothing in common the assumption is refuted.

    Intervals are those of Imbens and Manski (2004) on the logarithm of the hidden (highest order) or of the persons on
    neither list (pairs), never below the number observed. They hold N itself, not its mean: the Poisson variation of
    the hidden is included. The interval of several pairs together is what their intervals at level
    ``1 - (1 - level) / pairs`` have in common, and is on the safe side. They take a model as known; with
    ``errors="bootstrap"`` its selection is repeated.

    The table has a row a width, and for pairs a row a pair besides: ``gamma``, ``pair``, ``least`` and ``most`` (what
    is assumed of `xi` or the odds ratio), ``set_low`` and ``set_high`` (the bounds), ``low`` and ``high`` (the
    interval), ``n_hat`` (N in the middle of the assumption; for all pairs the estimate, moved into the set).

    References
    ----------
    Imbens, G. W. and Manski, C. F. (2004). Confidence intervals for partially identified parameters. Econometrica
    72(6), 1845-1857. doi:10.1111/j.1468-0262.2004.00555.x
    Aleshin-Guendel, S., Sadinle, M. and Wakefield, J. (2021). The central role of the identifying assumption in
    population size estimation. arXiv:2101.09304.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> check = PartialIdentification(xi=(0.8, 1.25), gammas=(1,), claim="more than 9,000")
    >>> result = check.run(hp.LogLinear(model="[123,14,34]"), hp.datasets.load("kosovo"), rng=1)
    >>> result.table[["set_low", "set_high"]].round(-1).to_numpy().tolist()
    [[10360.0, 10360.0], [9170.0, 11850.0]]
    """

    name: ClassVar[str] = "partial_identification"

    kind: Literal["highest_order", "pair"] = "highest_order"
    pairs: tuple[tuple[str, str], ...] | None = None
    odds_ratio: Range = (0.5, 2.0)
    xi: Range = (0.5, 2.0)
    gammas: tuple[float, ...] = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
    errors: Literal["delta", "bootstrap"] = "delta"
    n_boot: int = 400
    level: float = 0.95
    claim: str | Claim | None = None

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("highest_order", "pair"))
        check_choice("errors", self.errors, ("delta", "bootstrap"))
        object.__setattr__(self, "pairs", as_pairs(self.pairs))
        for name in ("odds_ratio", "xi"):
            object.__setattr__(self, name, _checked_range(name, getattr(self, name)))
        object.__setattr__(self, "gammas", _checked_gammas(self.gammas))
        check_whole("n_boot", self.n_boot, least=100)
        check_level(self.level)
        as_claim(self.claim)

    def _find(self, asked: Asked) -> Found | str:
        estimator, table = asked.estimator, asked.table
        refuse_unknown("list", (name for pair in self.pairs or () for name in pair), table.lists)
        if why := _why_not(table):
            return why
        base = asked.base()
        sweep = _sweep(self, estimator, table.collapse() if table.has_strata else table, base, asked.seed)
        claim = claim_or_interval(self.claim, base)
        frame = sweep.frame(self.gammas)
        return Found(
            passed=_passed(sweep.at(sweep.assumption.width), claim),
            table=frame,
            text=_in_words(self, sweep, claim),
            figure=_figure(self, sweep, claim),
            n_points=len(frame),
            n_failed=int((~has_number(frame)).sum()),
            protected=PROTECTED,
        )


@dataclass(frozen=True, slots=True)
class _Sweep:
    """Sets of N by the width of the assumption.

    Attributes
    ----------
    assumption : Assumption
    sources : tuple of Source
        One for all lists together, or one a pair.
    base : Estimate
    level : float
    origin : str
        Where the dark figure comes from, in words.
    """

    assumption: Assumption
    sources: tuple[Source, ...]
    base: Estimate
    level: float
    origin: str = ""

    def sets(self, gamma: float) -> list[SetOfN]:
        """Give the set of each source."""
        return [set_of(source, self.assumption.factors(gamma), self.level) for source in self.sources]

    def at(self, gamma: float) -> SetOfN:
        """Give the set that agrees with all sources."""
        sets = self.sets(gamma)
        if len(sets) == 1:
            return sets[0]
        joint = 1.0 - (1.0 - self.level) / len(sets)
        limits = [set_of(source, self.assumption.factors(gamma), joint) for source in self.sources]
        return intersection([source.name for source in self.sources], sets, limits, self.base.n_hat)

    def frame(self, gammas: Sequence[float]) -> pd.DataFrame:
        """Table the sets at the widths given and at the one stated."""
        widths = sorted({*gammas, self.assumption.width})
        return pd.DataFrame([row for gamma in widths for row in self._rows(gamma)])

    def _rows(self, gamma: float) -> list[dict[str, object]]:
        least, most = self.assumption.at(gamma)
        named = [(source.name, one) for source, one in zip(self.sources, self.sets(gamma), strict=True)]
        if len(named) > 1:
            named.append((ALL_PAIRS, self.at(gamma)))
        return [
            {
                "gamma": gamma,
                "pair": name,
                "least": least,
                "most": most,
                "set_low": one.set_low,
                "set_high": one.set_high,
                "n_hat": one.n_hat,
                "low": one.low,
                "high": one.high,
                "n_observed": self.base.n_observed,
                "status": one.status,
                "reason": one.reason,
            }
            for name, one in named
        ]

    def first_failure(self, claim: Claim, *, limits: bool = False) -> float:
        """Give the least width at which a size in the set, or in its interval, breaks a claim; inf beyond `WIDEST`."""
        return self._first(lambda one: not one.lies_in(claim.low, claim.high, limits=limits))

    def first_agreement(self) -> float:
        """Give the least width at which some size agrees with all pairs."""
        return self._first(lambda one: one.status != "refuted")

    def _first(self, found: Callable[[SetOfN], bool]) -> float:
        """Halve on the logarithm of the width; sets only grow with it."""
        if found(self.at(1.0)):
            return 1.0
        if not found(self.at(WIDEST)):
            return math.inf
        low, high = 0.0, math.log(WIDEST)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if found(self.at(math.exp(middle))) else (middle, high)
        return math.exp(high)


def _sweep(
    check: PartialIdentification, estimator: Estimator, table: CaptureTable, base: Estimate, seed: int
) -> _Sweep:
    n_boot = check.n_boot if check.errors == "bootstrap" else 0
    if check.kind == "pair":
        pairs = check.pairs or tuple(combinations(_seen_lists(table), 2))
        sources = pair_sources(table, pairs, n_boot=n_boot, seed=seed, level=check.level)
        return _Sweep(Assumption(*check.odds_ratio), tuple(sources), base, check.level)
    source, origin = whole_source(estimator, table, base, n_boot=n_boot, seed=seed)
    return _Sweep(Assumption(*check.xi, inverted=True), (source,), base, check.level, origin)


def _seen_lists(table: CaptureTable) -> list[str]:
    return [name for name in table.lists if name not in table.empty_lists]


def _why_not(table: CaptureTable) -> str:
    if table.has_censored:
        return "does not apply: some counts are only upper bounds"
    if table.has_gaps:
        return "does not apply: a list did not operate in every stratum, and its zeros there say nothing"
    seen = len(_seen_lists(table))
    if not 2 <= seen <= MOST_LISTS:
        return f"does not apply: it needs 2 to {MOST_LISTS} lists that caught somebody, and {table.name} has {seen}"
    return ""


def _passed(stated: SetOfN, claim: Claim) -> bool | None:
    """Tell whether the claim holds for every size in the set; no verdict without a set, or with one without limit."""
    if not math.isfinite(stated.set_low) or math.isinf(stated.set_high):
        return None
    return stated.lies_in(claim.low, claim.high)


def _in_words(check: PartialIdentification, sweep: _Sweep, claim: Claim) -> str:
    stated = sweep.at(sweep.assumption.width)
    intro = _assumed(check, sweep)
    if math.isnan(stated.set_low):
        return f"No verdict: {intro}, no size can be given: {stated.reason}.{_agreement(sweep)}"
    spread = stated.high - stated.low if math.isfinite(stated.high) else 0.0
    least = sweep.base.n_observed
    ends = [
        format_persons(x, spread, least) for x in (stated.set_low, stated.set_high, stated.low, stated.high)
    ]
    bounds = (
        f"N lies between {ends[0]} and {ends[1]}; the {format_level(sweep.level)} interval for N is {ends[2]} to "
        f"{ends[3]} ({least:,} observed)."
    )
    if math.isinf(stated.set_high):
        told = f"No verdict: {intro}, {bounds} {stated.reason[:1].upper()}{stated.reason[1:]}"
        return f"{told.rstrip('.')}.{_without_limit(sweep)}"
    holds = "holds in the whole set" if stated.lies_in(claim.low, claim.high) else "fails in part of the set"
    return (
        f"{intro[:1].upper()}{intro[1:]}, {bounds} The claim ({claim.text}) {holds}."
        f"{_tipping(sweep, claim)}{_agreement(sweep)}{_without_limit(sweep)}"
    )


def _assumed(check: PartialIdentification, sweep: _Sweep) -> str:
    low, high = sweep.assumption.low, sweep.assumption.high
    if check.kind == "pair":
        one = sweep.sources[0].name
        pairs = f"of {one}" if len(sweep.sources) == 1 else f"of {len(sweep.sources)} pairs"
        return f"with the odds ratio {pairs} from {low:.3g} to {high:.3g}"
    return (
        f"with xi from {low:.3g} to {high:.3g}, so {1 / high:.3g} to {1 / low:.3g} times the dark figure without an "
        f"interaction of all lists ({sweep.origin})"
    )


def _tipping(sweep: _Sweep, claim: Claim) -> str:
    first, with_limits = sweep.first_failure(claim), sweep.first_failure(claim, limits=True)
    agreed = sweep.first_agreement()
    if first <= agreed * (1.0 + SAME_WIDTH):
        return (
            " It fails at a width of 1 already." if agreed == 1.0 else " It fails wherever the pairs agree."
        )
    told = (
        f" It does not fail up to a width of {WIDEST:,.0f}."
        if math.isinf(first)
        else f" It begins to fail at a width of {first:.2f}."
    )
    if with_limits == 1.0:
        return f"{told} The interval reaches beyond the claim at a width of 1 already."
    return told if math.isinf(with_limits) else f"{told} Its interval does at {with_limits:.2f}."


def _agreement(sweep: _Sweep) -> str:
    """Say below which width the pairs contradict each other."""
    if sweep.assumption.inverted:
        return ""
    first = sweep.first_agreement()
    if first == 1.0:
        return ""
    if math.isinf(first):
        return " No width makes the pairs agree."
    return f" Below a width of {first:.2f} no size agrees with all pairs: so much dependence the table itself shows."


def _without_limit(sweep: _Sweep) -> str:
    names = [source.name for source in sweep.sources if source.status == "unbounded" and source.name]
    return (
        f" Without overlap, and so without an upper limit of their own: {', '.join(names)}." if names else ""
    )


def _figure(check: PartialIdentification, sweep: _Sweep, claim: Claim) -> dict[str, object]:
    what = "odds ratio" if check.kind == "pair" else "xi"
    label = f"width of the assumption: {what} within this factor of {sweep.assumption.middle:.3g}"
    where = {"where": {"pair": ALL_PAIRS}} if len(sweep.sources) > 1 else {}
    return figure_of(
        "band",
        "Partial identification",
        sweep.base,
        claim,
        x="gamma",
        x_label=label,
        log_x=True,
        neutral=1.0,
        bounds=["set_low", "set_high"],
        limits=["low", "high"],
        **where,
    )


def _checked_range(setting: str, given: Sequence[float]) -> Range:
    ends = tuple(as_number(end) for end in given) if isinstance(given, tuple | list) else ()
    if len(ends) != 2 or not 1 / WIDEST <= ends[0] < ends[1] <= WIDEST:
        raise SettingError(
            f"{setting}={given!r} must be two numbers, the smaller first, from {1 / WIDEST:g} to {WIDEST:g}, "
            f"e.g. (0.5, 2)"
        )
    return ends[0], ends[1]


def _checked_gammas(gammas: Sequence[float]) -> tuple[float, ...]:
    given = (gammas,) if isinstance(gammas, int | float) else tuple(gammas)
    if not given or not all(1.0 <= as_number(gamma) <= WIDEST for gamma in given):
        raise SettingError(f"gammas={gammas!r} must be numbers from 1 to {WIDEST:g}, e.g. (1, 2, 5)")
    return tuple(sorted({float(gamma) for gamma in given}))
