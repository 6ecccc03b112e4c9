"""Estimates by strata with known draws, made by hand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.errors import CapabilityError
from hiddenpop.result import Estimate, EstimatorSpec, Interval
from hiddenpop.table import CaptureTable, RNGLike, TableSummary

NUMBER = {"unbounded": math.inf, "not_identified": math.nan, "not_converged": math.nan}


def by_strata(
    levels: dict[str, Sequence[str]],
    n_observed: Sequence[int],
    draws: npt.NDArray[np.float64] | None,
    *,
    n_hat: Sequence[float] | None = None,
    kind: Literal["posterior", "bootstrap", ""] = "posterior",
    status: Sequence[str] | None = None,
    public: bool = True,
    level: float = 0.9,
) -> Estimate:
    size, least = len(n_observed), float(sum(n_observed))
    states = list(status or ["ok"] * size)
    if n_hat is None:
        assert draws is not None
        n_hat = np.quantile(draws, 0.5, axis=0, method="inverted_cdf").tolist()
    own = [NUMBER.get(state, n) for state, n in zip(states, n_hat, strict=True)]
    strata = pd.DataFrame(levels).assign(n_observed=n_observed, n_hat=own, low=n_observed, high=np.inf)
    worst = next((state for state in NUMBER if state in states), "ok")
    total = (
        float(np.sum(own)) if draws is None or kind != "posterior" else float(np.median(draws.sum(axis=1)))
    )
    return Estimate(
        n_hat=NUMBER.get(worst, total),
        n_observed=int(least),
        interval=Interval(least, math.inf, level, "made up"),
        status=worst,  # type: ignore[arg-type]
        reason="" if worst == "ok" else "a reason",
        estimator=EstimatorSpec("made_up", {}),
        table=TableSummary("table", "sha256:0", ("a", "b"), public),
        draws=None if draws is None else draws.sum(axis=1),
        stratum_draws=draws,
        draws_are=kind if draws is not None else "",
        by_stratum=strata.assign(status=states),
    )


def two_by_two(size: int = 400, **options: object) -> Estimate:
    """Sex by age, with draws that differ in size by stratum."""
    rng = np.random.default_rng(1)
    draws = np.array([20, 30, 40, 50]) + rng.poisson([80, 120, 160, 200], (size, 4)).astype(np.float64)
    levels = {"sex": ["f", "f", "m", "m"], "age": ["old", "young"] * 2}
    return by_strata(levels, [20, 30, 40, 50], draws, **options)  # type: ignore[arg-type]


def yearly(years: Sequence[int], size: int = 400, seed: int = 1, **options: object) -> Estimate:
    """One stratum a year, each 10 persons larger than the one before."""
    rng = np.random.default_rng(seed)
    means = 100.0 + 10.0 * np.arange(len(years))
    draws = 50.0 + rng.poisson(means, (size, len(years)))
    return by_strata({"year": [str(y) for y in years]}, [50] * len(years), draws, **options)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubled:
    """Twice the observed in every stratum of one covariate, with Poisson draws; needs two lists."""

    name: ClassVar[str] = "doubled"

    covariate: str = "year"
    level: float = 0.9

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        if table.n_lists - len(table.empty_lists) < 2:
            raise CapabilityError("one list is not enough; give two")
        counts = pd.Series(table.counts).groupby(table.strata[self.covariate].to_numpy()).sum()
        draws = counts.to_numpy() + np.random.default_rng(rng).poisson(counts, (300, len(counts)))
        return by_strata(
            {self.covariate: list(counts.index)},
            counts.tolist(),
            draws.astype(np.float64),
            n_hat=(2.0 * counts).tolist(),
            kind="bootstrap",
            level=self.level,
        )
