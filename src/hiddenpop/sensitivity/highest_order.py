"""`HighestOrderSweep`: the answer under a given interaction of all lists together, which no table can test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.base import contract
from hiddenpop.estimators.protocol import Estimator, as_number
from hiddenpop.estimators.registry import build
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Estimate, format_persons
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval, tipping_points
from hiddenpop.sensitivity.points import ANSWER, Point, evaluate, has_number
from hiddenpop.sensitivity.protocol import (
    CheckContext,
    Found,
    StandardCheck,
    figure_of,
    has_setting,
    judge,
    lacks,
    setting_of,
    with_settings,
)
from hiddenpop.table import CaptureTable

__all__ = ["HighestOrderSweep"]

GRID = tuple(3.0 ** (step / 4.0) for step in range(-4, 5))
SMALLEST, LARGEST = 1e-6, 1e6
TITLE = "N by the interaction of all lists"
SAME = 0.05
"""Of the width of the interval: chance alone moves two medians of the same posterior so far."""

PROPORTIONAL = 1e-6
"""Dark figures of a fitted model are in proportion to the multiplier up to the tolerance of the fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HighestOrderSweep(StandardCheck):
    """How far N moves with the interaction of all lists together, about which the observed cells say nothing.

    Parameters
    ----------
    multipliers : sequence of float
        Values of ``1/xi``, above 0: how many times the dark figure is what it would be without that interaction. For
        two lists it is the odds ratio between them.
    claim : str or Claim, optional
        Such as "more than 10,000"; without one, that N stays within the interval of the estimate.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    Direction. A larger ``xi`` means fewer hidden, so the axis has the multiplier ``1/xi``, with which N rises. With u
    the interaction of all lists and the unobserved cell as reference, ``xi = exp(u)`` for an odd number of lists and
    ``xi = exp(-u)`` for an even number. The column ``interaction`` holds u. Persons on every list that are more than
    the other interactions explain (u above 0) speak for fewer hidden with an odd number of lists, and for more with an
    even number.

    What is fitted. An estimator with a setting ``xi`` is fitted with it. For `IdentifiedPosterior` all points come from
    the same draws of the observed cells. Another Bayesian estimator that holds draws of these cells gives them to
    `IdentifiedPosterior`: its own hidden cell is then passed over, and the point at multiplier 1 need not be its own
    answer.

    Tipping point. In a fitted log-linear model the dark figure is in proportion to the multiplier, and the multiplier
    at which a claim begins to fail is exact, also beyond the grid. Otherwise it is interpolated between two points, on
    the logarithms of dark figure and multiplier.

    References
    ----------
    Aleshin-Guendel, S., Sadinle, M. and Wakefield, J. (2021). The central role of the identifying assumption in
    population size estimation. arXiv:2101.09304.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> check = HighestOrderSweep(multipliers=(0.5, 1, 2), claim="more than 10,000")
    >>> result = check.run(hp.LogLinear(model="all-pairs"), hp.datasets.load("kosovo"))
    >>> result.passed, result.table["n_hat"].round(-2).tolist()
    (False, [9400.0, 14400.0, 24400.0])
    """

    name: ClassVar[str] = "highest_order"

    multipliers: tuple[float, ...] = GRID
    claim: str | Claim | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "multipliers", _checked_multipliers(self.multipliers))
        as_claim(self.claim)

    def _find(self, asked: CheckContext) -> Found | str:
        estimator, table = asked.estimator, asked.table
        try:
            found = self._swept(asked)
        except CapabilityError as error:
            return f"does not apply: {error}"
        if isinstance(found, str):
            return found
        base, frame = found
        claim = claim_or_interval(self.claim, base)
        verdict = judge(frame, claim, points="multipliers")
        lists = _lists_of(estimator, table)
        own = _own_answer(estimator, base, frame)
        return Found.judged(
            verdict,
            table=frame,
            text=f"{verdict.text}{own}{_tipping(frame, claim)} {_direction(lists, _is_marginal(estimator))}",
            figure=figure_of("curve", TITLE, base, claim, **_axes(lists, _is_marginal(estimator))),
        )

    def _swept(self, asked: CheckContext) -> tuple[Estimate, pd.DataFrame] | str:
        """Give baseline and points, or a text that says why there are none."""
        estimator, table = asked.estimator, asked.table
        lists = _lists_of(estimator, table)
        labels = [_labels(multiplier, len(lists)) for multiplier in self.multipliers]
        if contract(estimator).facts.from_cells:
            return _by_own_cells(asked, labels)
        if has_setting(estimator, "xi"):
            points = [Point(row, with_settings(estimator, xi=row["xi"]), table) for row in labels]
            return asked.base(), evaluate(points, seed=asked.seed, label=self.name)
        return _by_cells_of(asked, labels)


# --- where the points come from ---------------------------------------------------------------------------------------


def _labels(multiplier: float, n_lists: int) -> dict[str, float]:
    """Multiplier, xi and the interaction of all lists, whose sign depends on their number."""
    log_xi = -math.log(multiplier)
    return {
        "multiplier": multiplier,
        "xi": 1.0 / multiplier,
        "interaction": (log_xi if n_lists % 2 else -log_xi) + 0.0,
    }


def _by_own_cells(asked: CheckContext, labels: list[dict[str, float]]) -> tuple[Estimate, pd.DataFrame]:
    from hiddenpop.bayes.identifying import identified_cells, identified_estimate

    table, base = asked.table, asked.baseline
    cells = identified_cells(asked.estimator, table, rng=asked.seed)
    if base is None:
        provenance = make_provenance(table.summary, asked.seed)
        base = identified_estimate(asked.estimator, table, cells, provenance)
    return base, _frame(cells, asked.estimator.level, labels)


def _by_cells_of(asked: CheckContext, labels: list[dict[str, float]]) -> tuple[Estimate, pd.DataFrame] | str:
    """Hand the cells of a Bayesian estimator to the assumption, from the draws that it has made already."""
    from hiddenpop.bayes.cell_draws import has_cells
    from hiddenpop.bayes.identifying import identified_cells

    estimator, table = asked.estimator, asked.table
    base = fitted = asked.base()
    if base.draws is None and asked.baseline is not None:
        fitted = estimator.fit(table, rng=asked.seed)  # read back from a file, a baseline has lost its draws
    if not has_cells(fitted):
        return lacks(estimator, "xi", "and its answer holds no draws of the shares of the observed cells")
    try:
        setting = build("identified", {"cells": estimator, "level": base.interval.level})
    except SettingError as error:
        return f"does not apply: {error}"
    cells = identified_cells(setting, table, fitted=fitted, rng=asked.seed)
    return base, _frame(cells, setting.level, labels)


def _frame(cells: Any, level: float, labels: list[dict[str, float]]) -> pd.DataFrame:
    """Give the points of a sweep from the same draws of the cells."""
    rows = []
    for row in labels:
        sizes = cells.sizes(row["xi"], level)
        n_hat, status, reason = sizes.outcome()
        answer = (n_hat, *sizes.limits(), sizes.n_observed, status, reason, "")
        rows.append({**row, **dict(zip(ANSWER, answer, strict=True))})
    return pd.DataFrame(rows, columns=[*labels[0], *ANSWER])


def _is_marginal(estimator: Estimator) -> bool:
    return has_setting(estimator, "assumption") and setting_of(estimator, "assumption") == "marginal"


def _lists_of(estimator: Estimator, table: CaptureTable) -> tuple[str, ...]:
    """Give the lists that the assumption is about."""
    named = setting_of(estimator, "lists") if has_setting(estimator, "lists") else None
    return tuple(named or (name for name in table.lists if name not in table.empty_lists))


# --- in words ---------------------------------------------------------------------------------------------------------


def _axes(lists: tuple[str, ...], marginal: bool) -> dict[str, Any]:
    what = f"number on none of {', '.join(lists)}" if marginal else "dark figure"
    return {
        "x": "multiplier",
        "x_label": f"multiplier of the {what} (1/xi)",
        "log_x": True,
        "series": "",
        "neutral": 1.0,
    }


def _direction(lists: tuple[str, ...], marginal: bool) -> str:
    """Say what the multiplier multiplies, and how it goes with the interaction."""
    what = f"the number on none of {', '.join(lists)}" if marginal else "the dark figure"
    scale = f"The multiplier is 1/xi: 1 for no interaction of all {len(lists)} lists, 2 for twice {what}"
    if len(lists) == 2:
        return f"{scale}; it is the odds ratio between {lists[0]} and {lists[1]}."
    parity, sign = ("odd", "") if len(lists) % 2 else ("even", "-")
    return f"{scale}. With an {parity} number of lists xi = exp({sign}u), u that interaction."


def _own_answer(estimator: Estimator, base: Estimate, frame: pd.DataFrame) -> str:
    """Say so where the estimate itself does not stand at multiplier 1."""
    if has_setting(estimator, "xi"):
        xi = setting_of(estimator, "xi")
        xi = xi[1] if isinstance(xi, tuple) else xi
        return "" if xi == 1.0 else f" The estimate itself has the multiplier {1.0 / xi:.3g}."
    neutral = frame.loc[np.isclose(frame["multiplier"], 1.0) & has_number(frame), "n_hat"]
    if neutral.empty or not abs(neutral.iloc[0] - base.n_hat) > SAME * base.interval.width:
        return ""
    own, there = (
        format_persons(n, base.interval.width, base.n_observed) for n in (base.n_hat, neutral.iloc[0])
    )
    name = base.estimator.name
    return (
        f" The hidden cell of {name} is left out: at multiplier 1 its observed cells give {there}, and its own answer "
        f"is {own}."
    )


def _tipping(frame: pd.DataFrame, claim: Claim) -> str:
    """Say at which multiplier the claim begins to fail."""
    known = frame[has_number(frame)]
    if known.empty:
        return ""
    observed = int(known["n_observed"].iloc[0])
    slopes = (known["n_hat"] - observed) / known["multiplier"]
    slope = float(slopes.median())
    if slope > 0.0 and float((slopes / slope - 1.0).abs().max()) < PROPORTIONAL:
        return _exact(claim, observed, slope)
    return _interpolated(frame, claim, observed)


def _exact(claim: Claim, observed: int, slope: float) -> str:
    """Solve for the multiplier where the dark figure is in proportion to it."""
    sides = []
    if observed < claim.low < math.inf:
        sides.append(f"below a multiplier of {(claim.low - observed) / slope:.3g}")
    if claim.high < math.inf:
        high = (claim.high - observed) / slope
        sides.append(f"above a multiplier of {high:.3g}" if high > 0.0 else "at every multiplier")
    if not sides:
        return " No multiplier makes the claim fail."
    return f" The dark figure is in proportion to the multiplier; the claim fails {' and '.join(sides)}."


def _interpolated(frame: pd.DataFrame, claim: Claim, observed: int) -> str:
    """Look between the points, on the dark figure, which is nearly in proportion to the multiplier."""
    hidden = Claim(claim.low - observed, claim.high - observed, claim.text)
    missing: Sequence[float] = (frame["n_hat"] - observed).tolist()
    tips = tipping_points(frame["multiplier"].tolist(), missing, hidden, log=True)
    if not tips:
        return ""
    places = [f"{t.about:.3g} (it holds at {t.holds:.3g} and fails at {t.fails:.3g})" for t in tips]
    return f" The claim begins to fail at a multiplier of about {' and '.join(places)}."


def _checked_multipliers(given: Any) -> tuple[float, ...]:
    values = (given,) if isinstance(given, int | float | str) else tuple(given)
    for value in values:
        if not SMALLEST <= as_number(value) <= LARGEST:
            raise SettingError(
                f"multipliers: {value!r} must be a number from {SMALLEST:g} to {LARGEST:g}, 1 for no interaction"
            )
    if not values:
        raise SettingError("multipliers=() leaves nothing to try; give values such as (0.5, 1, 2)")
    return tuple(sorted({float(value) for value in values}))
