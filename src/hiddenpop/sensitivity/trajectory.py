"""The estimate as persons are added: whether it had settled when the data ended."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.kernels.resampling.bootstrap_limits import type8_quantile
from hiddenpop.result import Estimate, format_persons
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval
from hiddenpop.sensitivity.points import cells_that_count, refit_all
from hiddenpop.sensitivity.protocol import CheckContext, Found, StandardCheck, figure_of, judge
from hiddenpop.table import CaptureTable

__all__ = ["Trajectory"]


LIMITS = (0.05, 0.95)
"""Nine of ten resamples lie between the limits of a share."""

LATE = 0.8
"""The last fifth of the persons begins here."""

STEADY, NARROW = 0.05, 1.5
"""Settled: over the last fifth the median changes by no more, and where it begins the upper limit is no more than
so many times the lower one."""

FEWEST_PERSONS = 20
"""With fewer, half of the data is not worth a fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory(StandardCheck):
    """The estimate against the share of the observed persons that it is made from.

    Parameters
    ----------
    shares : tuple of float
        Shares of the observed persons, above 0 and up to 1, in ascending order. Share 1 is the estimate itself.
    n_resamples : int
        Paths: each adds the observed persons in a random order of its own.
    claim : str or Claim, optional
        For instance "more than 10,000". Without one the medians are held to the interval of the estimate.

    Raises
    ------
    SettingError
        For shares that are not ascending or outside (0, 1], fewer than two of them, or too few resamples.

    Notes
    -----
    What is drawn without replacement are observed persons, each with the lists that caught them. A share s of them is
    a sample of a population of which a share s is left: whoever is not drawn does not become hidden but leaves. The
    estimate from a share is therefore divided by it, N(s) / s, and then all shares estimate the same population. (To
    leave out records, not persons, would keep the population and lower the coverage of the lists: a different
    question.) An estimator whose model is given gives the same N at every share, but for chance. One that chooses a
    model may choose a smaller one from fewer persons, and its estimate then moves with the number of persons: had the
    study gone on, it might have moved again.

    The table has one row per share: ``n_hat`` is the median over resamples, divided by the share; ``low`` and ``high``
    hold nine of ten of them; ``without_number`` counts those that have none; ``model`` is the most frequent.

    The spread of the resamples near share 1 is small because they share nearly all persons. It is not an interval.

    References
    ----------
    Binette, O. and Steorts, R. C. (2022). On the reliability of multiple systems estimation for the quantification of
    modern slavery. Journal of the Royal Statistical Society A 185(2), 640-676. doi:10.1111/rssa.12803

    Examples
    --------
    >>> import hiddenpop as hp
    >>> found = Trajectory(shares=(0.5, 0.8, 1.0), n_resamples=20).run(hp.LogLinear(), hp.datasets.load("korea"), rng=1)
    >>> found.table["share"].tolist()
    [0.5, 0.8, 1.0]
    """

    name: ClassVar[str] = "trajectory"

    shares: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    n_resamples: int = 50
    claim: str | Claim | None = None

    def __post_init__(self) -> None:
        shares = tuple(float(share) for share in self.shares)
        rising = all(before < after for before, after in pairwise(shares))
        if len(shares) < 2 or not rising or shares[0] <= 0.0 or shares[-1] > 1.0:
            raise SettingError(
                f"shares={self.shares!r} must be two or more shares of the persons, ascending, above 0 and up to 1"
            )
        if self.n_resamples < 2:
            raise SettingError(f"n_resamples={self.n_resamples!r} must be a whole number from 2 up")
        as_claim(self.claim)
        object.__setattr__(self, "shares", shares)

    def _find(self, asked: CheckContext) -> Found | str:
        table = asked.table
        if table.has_censored:
            return "does not apply: censored counts cannot be resampled"
        if table.n_observed < FEWEST_PERSONS:
            return (
                f"does not apply: half of fewer than {FEWEST_PERSONS} persons is too little to estimate from"
            )
        base = asked.base()
        cells = cells_that_count(asked.estimator, table)
        sizes, models = self._estimate(asked.estimator, cells, asked.seed)
        frame = _frame(self.shares, sizes, models, table.n_observed)
        claim = claim_or_interval(self.claim, base)
        verdict = judge(frame, claim, points="shares")
        moved, steady = _in_words(frame, sizes)
        if verdict.passed and not steady:  # an answer that still moves may yet leave what it now agrees with
            verdict = replace(verdict, passed=None)
            moved = f"No verdict, although the claim holds so far. {moved}"
        return Found.judged(
            verdict,
            table=frame,
            text=f"{moved} {verdict.text}",
            figure=_figure(table, base, claim),
            protected=() if table.public else ("n_observed",),
        )

    def _estimate(
        self, estimator: Estimator, cells: CaptureTable, seed: int
    ) -> tuple[Floats, npt.NDArray[np.str_]]:
        """Estimate from every share of every path, divided by the share that was drawn; one path a row."""
        drawn = [
            paths_of(cells.counts, self.shares, path)
            for path in np.random.default_rng(seed).spawn(self.n_resamples)
        ]
        counts = np.concatenate(drawn)
        found = refit_all(estimator, cells, counts, seed=seed, label=f"trajectory of {cells.name}")
        sizes: Floats = found.n_hat * cells.n_observed / counts.sum(axis=1)
        shape = (self.n_resamples, len(self.shares))
        return sizes.reshape(shape), np.array(found.models).reshape(shape)


def paths_of(counts: Ints, shares: tuple[float, ...], rng: np.random.Generator) -> Ints:
    """Draw one growing sample of persons without replacement: a row of counts for each share.

    Parameters
    ----------
    counts : ndarray of int, shape (m,)
    shares : tuple of float
        Ascending.
    rng : Generator

    Returns
    -------
    ndarray of int, shape (len(shares), m)
        Each row holds the persons of the row before it.

    Examples
    --------
    >>> path = paths_of(np.array([30, 50, 20]), (0.5, 0.8, 1.0), np.random.default_rng(1))
    >>> path.sum(axis=1).tolist(), bool((np.diff(path, axis=0) >= 0).all())
    ([50, 80, 100], True)
    """
    total, left = int(counts.sum()), np.asarray(counts, dtype=np.int64)
    rows = []
    for share in reversed(shares):
        left = rng.multivariate_hypergeometric(left, max(1, round(share * total)), method="marginals")
        rows.append(left)
    return np.array(rows[::-1], dtype=np.int64)


def _frame(
    shares: tuple[float, ...], sizes: Floats, models: npt.NDArray[np.str_], n_observed: int
) -> pd.DataFrame:
    rows = []
    for share, column, chosen in zip(shares, sizes.T, models.T, strict=True):
        n_drawn, ((model, _),) = max(1, round(share * n_observed)), Counter(chosen.tolist()).most_common(1)
        rows.append({"share": share, **_of_share(column), "n_observed": n_drawn, "model": model})
    return pd.DataFrame(rows)


def _of_share(sizes: Floats) -> dict[str, object]:
    """Give the median and the limits over resamples. Unbounded ones lie above all; unknown ones are counted."""
    known = np.sort(sizes[~np.isnan(sizes)])
    without = int(np.sum(~np.isfinite(sizes)))
    counted = {"n_resamples": len(sizes), "without_number": without}
    if 2 * len(known) < len(sizes):
        reason = f"{len(sizes) - len(known)} of {len(sizes)} resamples have no number"
        unknown = {"n_hat": math.nan, "low": math.nan, "high": math.nan}
        return {**unknown, **counted, "status": "not_identified", "reason": reason}
    median = type8_quantile(known, 0.5, "upper")
    low, high = type8_quantile(known, LIMITS[0], "lower"), type8_quantile(known, LIMITS[1], "upper")
    bounded = math.isfinite(median)
    reason = "" if bounded else f"{int(np.isposinf(known).sum())} of {len(sizes)} resamples are unbounded"
    status = "ok" if bounded else "unbounded"
    return {"n_hat": median, "low": low, "high": high, **counted, "status": status, "reason": reason}


def _in_words(frame: pd.DataFrame, sizes: Floats) -> tuple[str, bool]:
    """Say how far the median moved over the last fifth and how wide resamples lie, and whether that is settled."""
    late = frame[frame["share"] >= LATE - 1e-9]
    first, last = (frame if len(late) < 2 else late).iloc[0], frame.iloc[-1]
    span = f"share {first['share']:g} to {last['share']:g}"
    steady = False
    if math.isfinite(first["n_hat"]) and math.isfinite(last["n_hat"]):
        change = float(last["n_hat"] / first["n_hat"] - 1.0)
        steady = abs(change) <= STEADY and float(first["high"]) <= NARROW * float(first["low"])
        moved = f"The estimate has {'' if steady else 'not '}settled: from {span} the median changes by {change:+.1%}."
    else:
        moved = f"From {span} the change of the median is unknown, as one of them has no number."
    return f"{moved} {_spread_in_words(first)}{_without_in_words(sizes)}", steady


def _spread_in_words(row: "pd.Series[float]") -> str:
    width = float(row["high"]) - float(row["low"])
    if not math.isfinite(row["low"]):
        return f"At share {row['share']:g} too few resamples have a number."
    low, high = format_persons(row["low"], width), format_persons(row["high"], width)
    ends = f"between {low} and {high}" if math.isfinite(width) else f"above {low}, without a limit"
    return f"At share {row['share']:g}, nine of ten resamples lie {ends}."


def _without_in_words(sizes: Floats) -> str:
    without = int(np.sum(~np.isfinite(sizes)))
    return f" {without} of {sizes.size} resamples have no number." if without else ""


def _figure(table: CaptureTable, base: Estimate, claim: Claim) -> dict[str, Any]:
    x_label = "share of the observed persons (median and nine of ten resamples)"
    what = {"x": "share", "x_label": x_label, "log_x": False, "series": "", "neutral": None}
    return figure_of("curve", f"{table.name}: the estimate as persons are added", base, claim, **what)
