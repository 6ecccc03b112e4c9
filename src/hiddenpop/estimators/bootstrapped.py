"""`Bootstrapped`: an interval for any estimator that repeats all it does, the choice of model included."""

import dataclasses
import math
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.errors import CapabilityError, EmptyListWarning, SettingError
from hiddenpop.estimators.loglinear import LogLinear
from hiddenpop.estimators.protocol import (
    Estimator,
    check_choice,
    check_level,
    check_whole,
    spec_of,
)
from hiddenpop.estimators.resampled import RefitBlock, Resamples, refit
from hiddenpop.estimators.selected import NO_MODEL, SelectedLogLinear
from hiddenpop.kernels.bootstrap_limits import Limits, bootstrap_limits, check_boot_size
from hiddenpop.kernels.lumps import lumps
from hiddenpop.kernels.resampling import bagged, draw_multinomial, draw_parametric, draw_semiparametric
from hiddenpop.model import HierarchicalModel
from hiddenpop.parallel import block_slices, run_blocks, spawn_seeds
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["Bootstrapped"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SCHEMES = ("multinomial", "parametric", "semiparametric")
INTERVALS = ("bca", "percentile", "basic")
BLOCK = 100
"""Resamples a block; it depends on nothing, so that any number of workers draws the same numbers."""

SAME_NUMBER = 1e-9
"""Relative difference below which two routes to one estimate differ by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrapped:
    """Bootstrap interval around any estimator, with the choice of model repeated in every resample.

    The estimate is that of the base; the interval comes from its estimates on `n_boot` resamples.

    Parameters
    ----------
    base : Estimator
        By default the best model by BIC of the whole hierarchical space, found by branch and bound.
    n_boot : int
        Number of resamples.
    scheme : {"multinomial", "parametric", "semiparametric"}
        Draw the observed persons again; draw all persons of the fitted population, hidden ones included, and drop
        the unobserved; or draw the estimated population from the observed histories and the dark figure.
    interval : {"bca", "percentile", "basic"}
        Bias-corrected and accelerated (Efron 1987), with the delete-one jackknife over distinct histories; quantiles
        of the resamples; or the basic interval on the log dark figure.
    n_top : int, optional
        Choose in every resample only among the best so many models of the original fit (Silverman, Chan & Vincent
        2024), not among all. Needs a `SelectedLogLinear` that ranks all models.
    level : float

    Raises
    ------
    SettingError
        For a setting it cannot have, such as too few resamples for the level.

    Notes
    -----
    A resample without a finite estimate is counted in `Estimate.n_failed` and enters the limits: unbounded as
    infinity, unknown at the number observed for the lower and at infinity for the upper limit, so that it can only
    widen the interval. If the base itself has no estimate away from a boundary, its own status and interval are
    returned.

    References
    ----------
    Efron, B. (1987). Better bootstrap confidence intervals. Journal of the American Statistical Association 82(397),
    171-185. doi:10.1080/01621459.1987.10478410
    Silverman, B. W., Chan, L. and Vincent, K. (2024). Bootstrapping multiple systems estimates to account for model
    selection. Statistics and Computing 34, 44. doi:10.1007/s11222-023-10346-9

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = Bootstrapped(n_boot=400, interval="percentile").fit(hp.datasets.load("kosovo"), rng=1)
    >>> round(estimate.n_hat), estimate.n_failed, len(estimate.draws)
    (10357, 0, 400)
    """

    name: ClassVar[str] = "bootstrapped"

    base: Estimator = dataclasses.field(default_factory=lambda: SelectedLogLinear(search="exact"))
    n_boot: int = 1000
    scheme: Literal["multinomial", "parametric", "semiparametric"] = "multinomial"
    interval: Literal["bca", "percentile", "basic"] = "bca"
    n_top: int | None = None
    level: float = 0.95

    def __post_init__(self) -> None:
        if isinstance(self.base, type) or not hasattr(self.base, "fit"):
            raise SettingError(f"base={self.base!r} is no estimator; give one, such as LogLinear()")
        check_choice("scheme", self.scheme, SCHEMES)
        check_choice("interval", self.interval, INTERVALS)
        check_level(self.level)
        check_whole("n_boot", self.n_boot)
        check_boot_size(self.n_boot, self.level)
        if self.n_top is not None:
            check_whole("n_top", self.n_top)
            base = self.base
            if not (
                isinstance(base, SelectedLogLinear) and base.search == "exhaustive" and base.count == "all"
            ):
                raise SettingError(
                    'n_top needs base=SelectedLogLinear(search="exhaustive"), which ranks all models'
                )

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Estimate with the base, and bound the estimate by resampling.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None

        Returns
        -------
        Estimate
            ``draws`` holds the estimates of the resamples, ``details["models"]`` how often each model was chosen.

        Raises
        ------
        CapabilityError
            If the base cannot treat the table, or a parametric scheme is asked of a base without fitted counts.
        """
        rngs = spawn_seeds(rng, 2)
        estimate = self.base.fit(table, rng=rngs[0])
        if estimate.status != "ok":
            return self._without_bootstrap(estimate, table, rng)
        drawn_from, counts = self._resampled_counts(table, estimate, rngs[1])
        models = self._top_models(estimate)
        draws = self._refit_all(drawn_from, counts, models, rngs[1], f"bootstrap of {table.name}")
        draws = _without_rounding(draws, estimate.n_hat)
        jackknife = self._jackknife(table, models, rngs[1]) if self.interval == "bca" else None
        limits = bootstrap_limits(
            draws.n_hat,
            estimate.n_hat,
            estimate.n_observed,
            level=self.level,
            method=self.interval,
            jackknife=jackknife,
            jackknife_weights=None if jackknife is None else table.counts,
        )
        return self._with_bootstrap(estimate, table, counts, draws, limits, rng)

    def _without_bootstrap(self, estimate: Estimate, table: CaptureTable, rng: RNGLike) -> Estimate:
        message = "the base has no estimate away from a boundary to resample around; its own interval stands"
        return dataclasses.replace(
            estimate,
            estimator=spec_of(self),
            diagnostics=(*estimate.diagnostics, Diagnostic("no_bootstrap", "warning", message)),
            provenance=make_provenance(table.summary, rng),
        )

    def _resampled_counts(
        self, table: CaptureTable, estimate: Estimate, rng: np.random.Generator
    ) -> tuple[CaptureTable, Ints]:
        """Draw the counts of every cell in every resample; also the table whose cells they count."""
        if self.scheme == "multinomial":
            return table, draw_multinomial(table.counts, self.n_boot, rng)
        if self.scheme == "semiparametric":
            return table, draw_semiparametric(table.counts, estimate.n_hat, self.n_boot, rng)
        if not isinstance(self.base, LogLinear | SelectedLogLinear):
            raise CapabilityError(
                f'scheme="parametric" needs fitted counts, which {spec_of(self.base).name} has not; '
                f'use "multinomial" or "semiparametric"'
            )
        cells = estimate.details["cells"]
        fitted = np.concatenate([[estimate.n_hidden], cells["fitted"]])
        every_cell = _one_person_each(cells, table)
        return every_cell, draw_parametric(fitted, estimate.n_hat, self.n_boot, rng)[:, 1:]

    def _known(self) -> str:
        """Say what the interval takes as known, where that can be said."""
        if isinstance(self.base, LogLinear):
            return ", model taken as known"
        if self.n_top is not None:
            return f", selection among the best {self.n_top} redone"
        return ", selection redone" if isinstance(self.base, SelectedLogLinear) else ""

    def _top_models(self, estimate: Estimate) -> tuple[int, ...]:
        """Term sets of the best models of the original fit that may be chosen, none without `n_top`."""
        if self.n_top is None:
            return ()
        frame = estimate.details["selection"]
        allowed = frame[frame["admissible"]].head(self.n_top)
        n_lists = len(estimate.table.lists) - len(estimate.details["dropped_lists"])
        return tuple(HierarchicalModel.parse(m, n_lists=n_lists).term_set for m in allowed["model"])

    def _refit_all(
        self, table: CaptureTable, counts: Ints, models: tuple[int, ...], rng: np.random.Generator, label: str
    ) -> Resamples:
        slices = block_slices(len(counts), BLOCK)
        tasks = [
            RefitBlock(self.base, table, counts[cut], models, tuple(child.spawn(len(counts[cut]))))
            for cut, child in zip(slices, rng.spawn(len(slices)), strict=True)
        ]
        done = run_blocks(refit, tasks, label=label)
        return Resamples(
            np.concatenate([block.n_hat for block in done]),
            tuple(model for block in done for model in block.models),
            sum(block.n_unfinished for block in done),
        )

    def _jackknife(self, table: CaptureTable, models: tuple[int, ...], rng: np.random.Generator) -> Floats:
        """Estimate without one person of each cell."""
        without_one = table.counts - np.eye(len(table.counts), dtype=np.int64)
        return self._refit_all(table, without_one, models, rng, f"jackknife of {table.name}").n_hat

    def _with_bootstrap(
        self,
        estimate: Estimate,
        table: CaptureTable,
        counts: Ints,
        draws: Resamples,
        limits: Limits,
        rng: RNGLike,
    ) -> Estimate:
        n, known = estimate.n_observed, estimate.interval
        chosen = _choices(draws)
        notes = [Diagnostic("bootstrap_limits", "info", note) for note in limits.notes]
        details = {
            **estimate.details,
            "models": chosen,
            "draw_models": draws.models,
            "lumps": [{"n": lump.n, "share": lump.share} for lump in lumps(draws.n_hat, n)],
            "z0": limits.z0,
            "acceleration": limits.acceleration,
            "base_interval": known,
            "widening": (limits.high - limits.low) / known.width if known.width > 0 else math.nan,
            "bagged": bagged(draws.n_hat, counts, table.counts) if self.scheme == "multinomial" else None,
        }
        return dataclasses.replace(
            estimate,
            interval=Interval(
                limits.low, limits.high, self.level, f"{limits.method_name} bootstrap{self._known()}"
            ),
            estimator=spec_of(self),
            n_failed=int(np.sum(~np.isfinite(draws.n_hat))),
            draws=draws.n_hat,
            draws_are="bootstrap",
            stratum_draws=None,  # those of the base do not add up to these draws
            diagnostics=(
                *estimate.diagnostics,
                *notes,
                *_unstable(chosen, self.n_boot),
                *_unfinished(draws),
                *_outside(estimate.n_hat, limits),
            ),
            provenance=make_provenance(table.summary, rng),
            details=details,
            protected=(*estimate.protected, "bagged", "acceleration"),
        )


def _one_person_each(cells: pd.DataFrame, table: CaptureTable) -> CaptureTable:
    """Make a table with every observable cell of the fitted lists; lists that caught nobody stay empty."""
    frame = cells.reindex(columns=list(table.lists), fill_value=0).assign(count=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyListWarning)
        return CaptureTable.from_counts(frame, lists=table.lists, name=table.name, public=table.public)


def _without_rounding(draws: Resamples, n_hat: float) -> Resamples:
    """Make draws that differ from the estimate by rounding alone equal to it: two routes led to one number."""
    same = np.isclose(draws.n_hat, n_hat, rtol=SAME_NUMBER, atol=0.0)
    return dataclasses.replace(draws, n_hat=np.where(same, n_hat, draws.n_hat))


def _outside(n_hat: float, limits: Limits) -> list[Diagnostic]:
    """Warn when nearly all resamples lie on one side of the estimate."""
    if limits.low <= n_hat <= limits.high:
        return []
    side = "above" if n_hat > limits.high else "below"
    message = (
        f"the estimate lies {side} its interval: resampling moves nearly all estimates to one side, "
        f"so neither is a good guide"
    )
    return [Diagnostic("estimate_outside_interval", "warning", message)]


def _choices(draws: Resamples) -> pd.DataFrame:
    """How often each model was chosen, with the median of N under it."""
    counted = Counter(draws.models)
    models = np.array(draws.models)
    rows = [
        {
            "model": model,
            "share": times / len(models),
            "median": float(np.median(draws.n_hat[models == model])),
        }
        for model, times in counted.most_common()
        if model != NO_MODEL
    ]
    return pd.DataFrame(rows, columns=["model", "share", "median"])


def _unfinished(draws: Resamples) -> list[Diagnostic]:
    """Warn when some searches ran out of fits, so that a better model may have been missed."""
    if not draws.n_unfinished:
        return []
    message = f"in {draws.n_unfinished} resamples the search stopped before the best model was proven; raise max_fits"
    return [Diagnostic("search_unfinished", "warning", message, draws.n_unfinished)]


def _unstable(chosen: pd.DataFrame, n_boot: int) -> list[Diagnostic]:
    """Warn when resampling hardly ever chooses the same model."""
    if chosen.empty or chosen["share"].iloc[0] >= 0.5:
        return []
    message = (
        f"the choice of model is unstable: {len(chosen)} models were chosen in {n_boot} resamples, "
        f"the most frequent, {chosen['model'].iloc[0]}, in {chosen['share'].iloc[0]:.0%}"
    )
    return [Diagnostic("unstable_choice", "warning", message, float(chosen["share"].iloc[0]))]
