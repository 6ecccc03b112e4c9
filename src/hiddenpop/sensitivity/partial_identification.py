"""`PartialIdentification`: bounds on N when dependence between lists is bounded instead of taken as known."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtri

from hiddenpop._cells import distinct_texts, refuse_unknown
from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import SettingError
from hiddenpop.estimators.base import contract
from hiddenpop.estimators.protocol import (
    Estimator,
    as_number,
    check_choice,
    check_level,
    check_whole,
)
from hiddenpop.estimators.resampled import RefitBlock, refit
from hiddenpop.kernels.identified_set import (
    LogFigure,
    PairCounts,
    log_saturated_figure,
    pair_counts,
    set_limits,
)
from hiddenpop.parallel import block_slices, run_blocks
from hiddenpop.result import Estimate, format_level, format_persons
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval
from hiddenpop.sensitivity.points import has_number, number_maker
from hiddenpop.sensitivity.protocol import (
    CheckContext,
    Found,
    StandardCheck,
    as_pairs,
    figure_of,
    has_setting,
    setting_of,
    with_settings,
)
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

FROM_MODEL = "its own fitted cells"
FROM_CELLS = "the observed cells, with no model"

BLOCK = 100
"""Tables a block of refits."""

ONE_SIGMA = (0.1586552539, 0.8413447461)
"""Shares of a normal law below one standard deviation under and above its mean."""

FIGURE_REASONS = {
    math.inf: ("unbounded", "no person has some history of an even number of lists, so nothing limits N"),
    -math.inf: ("boundary", "no person has some history of an odd number of lists, so the dark figure is 0"),
}

REFUTED = "refuted"
"""Status of an assumption with which no size agrees."""


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

    The table has one row per width, and for pairs one row per pair besides: ``gamma``, ``pair``, ``least`` and ``most``
    (what is assumed of `xi` or the odds ratio), ``set_low`` and ``set_high`` (the bounds), ``low`` and ``high`` (the
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

    def _find(self, asked: CheckContext) -> Found | str:
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

    assumption: "Assumption"
    sources: "tuple[Source, ...]"
    base: Estimate
    level: float
    origin: str = ""

    def sets(self, gamma: float) -> "list[SetOfN]":
        """Give the set of each source."""
        return [set_of(source, self.assumption.factors(gamma), self.level) for source in self.sources]

    def at(self, gamma: float) -> "SetOfN":
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

    def _first(self, found: "Callable[[SetOfN], bool]") -> float:
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


def _passed(stated: "SetOfN", claim: Claim) -> bool | None:
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


# === where bounds on N come from: the dark figure of a model or of the observed cells, and pairs of lists =============


def whole_source(
    estimator: Estimator, table: CaptureTable, base: Estimate, *, n_boot: int, seed: int
) -> "tuple[Source, str]":
    """Give the dark figure without an interaction of all lists, and where it comes from.

    Parameters
    ----------
    estimator : Estimator
    table : CaptureTable
        Without strata.
    base : Estimate
    n_boot : int
        Tables for the standard error, 0 for formulas.
    seed : int

    Returns
    -------
    source : Source
    origin : str
        In words.
    """
    n = base.n_observed
    if not contract(estimator).without_highest_order(table):
        figure = log_saturated_figure(_dense(table))
        if math.isnan(figure.log_n):
            why = "empty cells leave the dark figure open without a model"
            return Source(
                name="", n_observed=n, seen=n, figure=figure, status="not_identified", reason=why
            ), ""
        if n_boot and math.isfinite(figure.log_n):
            figure = _bootstrapped(figure, table, None, n_boot, seed)
        status, reason = FIGURE_REASONS.get(figure.log_n, ("ok", ""))
        return Source(name="", n_observed=n, seen=n, figure=figure, status=status, reason=reason), FROM_CELLS
    xi = float(setting_of(estimator, "xi")) if has_setting(estimator, "xi") else 1.0
    limits = (xi * (base.interval.low - n), xi * (base.interval.high - n))
    if base.status != "ok":
        nothing = LogFigure(math.nan, math.inf)
        source = Source(
            name="", n_observed=n, seen=n, figure=nothing, fallback=limits, status=base.status, reason=base.reason
        )  # fmt: skip
        return source, FROM_MODEL
    figure = _model_figure(base, xi, limits)
    if n_boot:
        figure = _bootstrapped(figure, table, _without_xi(estimator), n_boot, seed)
    return Source(name="", n_observed=n, seen=n, figure=figure), FROM_MODEL


def _without_xi(estimator: Any) -> Estimator:
    """Give the estimator that is refitted to resamples."""
    maker = number_maker(estimator)
    changed: Estimator = with_settings(maker, xi=1.0) if has_setting(maker, "xi") else maker
    return changed


def _model_figure(base: Estimate, xi: float, limits: tuple[float, float]) -> LogFigure:
    """Give the dark figure of a model; its variance as the model states it, else from the interval."""
    n0 = max(xi * base.n_hidden, 1e-12)
    error = base.standard_error
    if isinstance(error, float) and math.isfinite(error) and base.draws is None:
        relative = error * xi / n0
    else:
        z = float(ndtri(0.5 + base.interval.level / 2.0))
        relative = math.log(limits[1] / limits[0]) / (2.0 * z) if limits[0] > 0.0 else math.inf
    return LogFigure(math.log(n0), max(relative**2 - 1.0 / n0, 0.0))


def _dense(table: CaptureTable) -> Floats:
    counts: Floats = table.to_dense().astype(np.float64)
    return counts


def pair_sources(
    table: CaptureTable, pairs: Sequence[tuple[str, str]], *, n_boot: int, seed: int, level: float
) -> "list[Source]":
    """Give the persons on neither list of each pair under independence."""
    dense = _dense(table)
    rngs = np.random.default_rng(seed).spawn(len(pairs))
    names = distinct_texts(pairs, " & ")
    return [
        _pair_source(table, dense, pair, name, n_boot, rng, level)
        for pair, name, rng in zip(pairs, names, rngs, strict=True)
    ]


def _pair_source(
    table: CaptureTable,
    dense: Floats,
    pair: tuple[str, str],
    name: str,
    n_boot: int,
    rng: np.random.Generator,
    level: float,
) -> "Source":
    counts = pair_counts(dense, *(table.lists.index(name) for name in pair))
    figure = counts.figure
    status, reason = _pair_status(counts, name)
    if n_boot and math.isfinite(figure.log_n):
        figure = _bootstrapped_pair(counts, n_boot, rng)
    return Source(
        name=name,
        n_observed=table.n_observed,
        seen=counts.first + counts.second + counts.both,
        figure=figure,
        fallback=_pair_fallback(counts, level),
        status=status,
        reason=reason,
    )


def _pair_status(counts: PairCounts, name: str) -> tuple[str, str]:
    log_n = counts.figure.log_n
    if math.isnan(log_n) or (counts.both == 0.0 and counts.first + counts.second == 0.0):
        return "not_identified", f"nobody is on both lists of {name}, or on one of them"
    if log_n == math.inf:
        return "unbounded", f"nobody is on both lists of {name}, so the pair sets no upper limit"
    if log_n == -math.inf:
        return "boundary", f"everybody on one of {name} is on the other too"
    return "ok", ""


def _pair_fallback(counts: PairCounts, level: float) -> tuple[float, float]:
    """Limits where a cell is empty: with nobody found, so many are still likely to have been expected."""
    unlucky = -math.log1p(-level)
    if counts.both == 0.0:
        return counts.first * counts.second / unlucky, math.inf
    return 0.0, max(counts.first, unlucky) * max(counts.second, unlucky) / counts.both


# --- a second route to the variance ----------------------------------------------------------------------------------


def _bootstrapped(
    figure: LogFigure, table: CaptureTable, estimator: Estimator | None, n_boot: int, seed: int
) -> LogFigure:
    """Draw tables from the observed cells and the dark figure, and estimate the dark figure of each."""
    rng = np.random.default_rng(seed)
    n0, counts = math.exp(figure.log_n), table.counts.astype(np.float64)
    total = n0 + counts.sum()
    drawn = rng.multinomial(round(total), np.append(n0, counts) / total, size=n_boot)
    found = (
        _saturated_logs(table, drawn[:, 1:])
        if estimator is None
        else _refitted_logs(table, estimator, drawn[:, 1:])
    )
    return LogFigure(figure.log_n, _variance(found, drawn[:, 0], n0))


def _saturated_logs(table: CaptureTable, drawn: Ints) -> Floats:
    logs = np.empty(len(drawn))
    for row, counts in enumerate(drawn):
        dense = np.zeros(1 << table.n_lists)
        dense[table.histories] = counts
        logs[row] = log_saturated_figure(dense).log_n
    return logs


def _refitted_logs(table: CaptureTable, estimator: Estimator, drawn: Ints) -> Floats:
    blocks = [RefitBlock(estimator, table, drawn[cut]) for cut in block_slices(len(drawn), BLOCK)]
    n_hat = np.concatenate([found.n_hat for found in run_blocks(refit, blocks, label="standard errors")])
    with np.errstate(divide="ignore"):
        logs: Floats = np.log(np.maximum(n_hat - drawn.sum(axis=1), 0.0))
    return logs


def _bootstrapped_pair(counts: PairCounts, n_boot: int, rng: np.random.Generator) -> LogFigure:
    figure = counts.figure
    neither = math.exp(figure.log_n)
    cells = np.array([neither, counts.first, counts.second, counts.both])
    drawn = rng.multinomial(round(cells.sum()), cells / cells.sum(), size=n_boot)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(drawn[:, 1]) + np.log(drawn[:, 2]) - np.log(drawn[:, 3])
    return LogFigure(figure.log_n, _variance(logs, drawn[:, 0], neither))


def _variance(logs: Floats, realised: Ints, n0: float) -> float:
    """Variance of the estimation, from the middle of the distribution of its error; a draw without a number is out."""
    errors = logs - np.log(np.maximum(realised, 0.5))
    lower = np.sort(np.where(np.isnan(errors), -math.inf, errors))
    upper = np.sort(np.where(np.isnan(errors), math.inf, errors))
    ends = lower[int(ONE_SIGMA[0] * len(lower))], upper[math.ceil(ONE_SIGMA[1] * len(upper)) - 1]
    if not all(math.isfinite(end) for end in ends):
        return math.inf
    return max((0.5 * float(ends[1] - ends[0])) ** 2 - 1.0 / max(n0, 1.0), 0.0)


# === sets of population sizes that agree with an assumption ===========================================================
# Their limits, and what several of them have in common.


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
