"""`DependenceSweep`: the answer under fixed odds ratios between lists, which no data of these lists can check."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hiddenpop._cells import distinct_texts, refuse_unknown
from hiddenpop.errors import SettingError
from hiddenpop.estimators.prepare import OddsRatios, check_positive
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.result import Estimate, format_persons
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval, tipping_points
from hiddenpop.sensitivity.points import Point, evaluate
from hiddenpop.sensitivity.protocol import (
    CheckContext,
    Found,
    StandardCheck,
    as_pairs,
    figure_of,
    has_setting,
    judge,
    lacks,
    setting_of,
    with_settings,
)
from hiddenpop.table import CaptureTable

__all__ = ["DependenceSweep"]

GRID = (0.2, 1 / 3, 0.5, 2 / 3, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
LOW_COVERAGE = 0.1
"""Below it, an odds ratio of 2 on top of independence moves N by nearly a factor of 2."""

NAMED = 4
INDEPENDENT = "independence in place of what the model estimates"


@dataclass(frozen=True, slots=True, kw_only=True)
class DependenceSweep(StandardCheck):
    """How far N moves when two lists depend on each other by a given odds ratio, in place of what the model estimates.

    Parameters
    ----------
    pairs : sequence of (str, str), optional
        Pairs of lists; every pair of lists that caught somebody by default.
    odds_ratios : sequence of float
        The values, above 0; 1 stands for independence given absence from all other lists.
    crossed : bool
        Cross two pairs in a two-dimensional grid, in place of one pair at a time.
    claim : str or Claim, optional
        Such as "more than 10,000"; without one, that N stays within the interval of the estimate.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    The odds ratio is an offset that replaces the interaction of the pair: the pair and every interaction that contains
    it leave the model, and the models that are searched. For two lists ``N = n + psi n10 n01 / n11``. A value at the
    odds ratio that the free model estimates gives back the answer of that model.

    The table has one row per pair and odds ratio; when crossed, one row per cell of the grid. It takes an estimator
    with a setting ``odds_ratios``. ``coverage[list]`` is the implied share of the population that a list holds. Where
    it is low the same odds ratio moves N further, so that low implied coverage means a fragile answer. The values are
    no confidence limits: which of them are plausible is for those who know how cases move between registers.

    References
    ----------
    Gerritse, S. C., van der Heijden, P. G. M. and Bakker, B. F. M. (2015). Sensitivity of population size estimation
    for violating parametric assumptions in log-linear models. Journal of Official Statistics 31(3), 357-379.
    doi:10.1515/jos-2015-0022

    Examples
    --------
    >>> import hiddenpop as hp
    >>> check = DependenceSweep(pairs=[("EXH", "ABA")], odds_ratios=(0.5, 1, 2), claim="more than 8,000")
    >>> result = check.run(hp.LogLinear(model="all-pairs"), hp.datasets.load("kosovo"))
    >>> result.passed, result.table["n_hat"].round(-2).tolist()
    (False, [7500.0, 9700.0, 13500.0])
    """

    name: ClassVar[str] = "dependence_sweep"

    pairs: tuple[tuple[str, str], ...] | None = None
    odds_ratios: tuple[float, ...] = GRID
    crossed: bool = False
    claim: str | Claim | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", as_pairs(self.pairs))
        object.__setattr__(self, "odds_ratios", _as_grid(self.odds_ratios))
        as_claim(self.claim)
        if self.crossed and (self.pairs is None or len(self.pairs) != 2):
            raise SettingError(
                f"crossed=True takes two pairs of lists and pairs={self.pairs!r}; name two, one for each axis"
            )

    def _find(self, asked: CheckContext) -> Found | str:
        estimator, table = asked.estimator, asked.table
        pairs = self._pairs_in(estimator, table)
        if not has_setting(estimator, "odds_ratios"):
            return lacks(estimator, "odds_ratios", "by which the dependence of two lists could be fixed")
        if not pairs:
            return "does not apply: fewer than two lists caught somebody"
        base = asked.base()
        frame = evaluate(list(self._points(estimator, table, pairs)), seed=asked.seed, label=self.name)
        return self._result(estimator, table, base, _with_coverage(frame, table), pairs)

    def _pairs_in(self, estimator: Estimator, table: CaptureTable) -> tuple[tuple[str, str], ...]:
        refuse_unknown("list", (name for pair in self.pairs or () for name in pair), table.lists)
        if self.pairs is not None:
            return self.pairs
        used = setting_of(estimator, "lists") if has_setting(estimator, "lists") else None
        caught = [name for name in used or table.lists if name not in table.empty_lists]
        return tuple(combinations(caught, 2))

    def _points(
        self, estimator: Estimator, table: CaptureTable, pairs: tuple[tuple[str, str], ...]
    ) -> Iterator[Point]:
        if self.crossed:
            for first, second in product(self.odds_ratios, repeat=2):
                ratios = ((*pairs[0], first), (*pairs[1], second))
                crossed = dict(zip(_axes(pairs), (first, second), strict=True))
                yield Point(crossed, _with_ratios(estimator, ratios), table)
            return
        for (pair, name), psi in product(zip(pairs, _names(pairs), strict=True), self.odds_ratios):
            labels: dict[str, Any] = {"pair": name, "odds_ratio": psi}
            yield Point(labels, _with_ratios(estimator, ((*pair, psi),)), table)

    def _result(
        self,
        estimator: Estimator,
        table: CaptureTable,
        base: Estimate,
        frame: pd.DataFrame,
        pairs: tuple[tuple[str, str], ...],
    ) -> Found:
        claim = claim_or_interval(self.claim, base)
        verdict = judge(frame, claim, points="odds ratios")
        turning = "" if self.crossed else _turning(frame, claim)
        text = f"{verdict.text}{turning}{_coverage_in_words(frame, base, table)}"
        return Found.judged(
            verdict,
            table=frame,
            text=text,
            figure=self._figure(pairs, base, claim),
            protected=tuple(str(name) for name in frame if str(name).startswith("coverage[")),
            text_to_leave=f"{verdict.text}{turning}",
        )

    def _figure(self, pairs: tuple[tuple[str, str], ...], base: Estimate, claim: Claim) -> dict[str, Any]:
        if not self.crossed:
            return figure_of(
                "curve", "N by the odds ratio between two lists", base, claim,
                x="odds_ratio", x_label="odds ratio", log_x=True, neutral=1.0,
                neutral_means=INDEPENDENT, series="pair",
            )  # fmt: skip
        (x, y), (x_label, y_label) = _axes(pairs), [f"odds ratio of {name}" for name in _names(pairs)]
        return figure_of(
            "contour", "N by two odds ratios", base, claim,
            x=x, x_label=x_label, log_x=True, y=y, y_label=y_label, log_y=True, neutral=[1.0, 1.0],
            neutral_means=INDEPENDENT,
        )  # fmt: skip


def _as_grid(given: Sequence[float]) -> tuple[float, ...]:
    values = sorted({check_positive("an odds ratio", value) for value in given})
    if not values:
        raise SettingError("odds_ratios=() leaves nothing to try; give values such as (0.5, 1, 2)")
    return tuple(values)


def _with_ratios(estimator: Estimator, ratios: OddsRatios) -> Any:
    """Fix odds ratios beside those that the estimator has fixed already for other pairs."""
    pairs = [frozenset(pair) for *pair, _ in ratios]
    others = [kept for kept in setting_of(estimator, "odds_ratios") if frozenset(kept[:2]) not in pairs]
    return with_settings(estimator, odds_ratios=(*others, *ratios))


def _names(pairs: tuple[tuple[str, str], ...]) -> list[str]:
    return distinct_texts(pairs, " & ")


def _axes(pairs: tuple[tuple[str, str], ...]) -> list[str]:
    return [f"odds_ratio[{name}]" for name in _names(pairs)]


def _with_coverage(frame: pd.DataFrame, table: CaptureTable) -> pd.DataFrame:
    """Add the share of the population that each list would hold."""
    sizes = frame["n_hat"].where(np.isfinite(frame["n_hat"]))
    return frame.assign(**{f"coverage[{name}]": total / sizes for name, total in table.list_totals.items()})


def _turning(frame: pd.DataFrame, claim: Claim) -> str:
    """Say for which pairs, and at about which odds ratio, the claim begins to fail."""
    found = []
    for pair, rows in frame.groupby("pair", sort=False):
        for tip in tipping_points(rows["odds_ratio"].tolist(), rows["n_hat"].tolist(), claim, log=True):
            place = f"about {tip.about:.2g} (it holds at {tip.holds:.2g} and fails at {tip.fails:.2g})"
            found.append((abs(math.log(tip.about)), f"{pair} at {place}"))
    if not found:
        return ""
    named = [words for _, words in sorted(found)]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return f" It turns for {'; '.join(named[:NAMED])}{more}."


def _coverage_in_words(frame: pd.DataFrame, base: Estimate, table: CaptureTable) -> str:
    """Name the lists that would hold so little of the population that the answer is fragile."""
    if not math.isfinite(base.n_hat):
        return ""
    shares = {name: total / base.n_hat for name, total in table.list_totals.items() if total}
    low = [f"{name} {share:.1%}" for name, share in shares.items() if share < LOW_COVERAGE]
    if not low:
        return ""
    size = format_persons(base.n_hat, base.interval.width, base.n_observed)
    listed = ", ".join(low)
    return (
        f" At N = {size} lists with less than {LOW_COVERAGE:.0%} of the population make N fragile: {listed}."
    )
