"""Where bounds on N come from: the dark figure of a model or of the observed cells, and pairs of lists."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from hiddenpop._cells import distinct_texts
from hiddenpop._typing import Floats, Ints
from hiddenpop.estimators.base import contract
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.resampled import RefitBlock, refit
from hiddenpop.kernels.identified_set import LogFigure, PairCounts, log_saturated_figure, pair_counts
from hiddenpop.parallel import block_slices, run_blocks
from hiddenpop.result import Estimate
from hiddenpop.sensitivity.bounds import Source
from hiddenpop.sensitivity.needs import has_setting, setting_of, with_settings
from hiddenpop.sensitivity.refits import number_maker
from hiddenpop.table import CaptureTable

__all__ = ["FROM_CELLS", "FROM_MODEL", "pair_sources", "whole_source"]


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


def whole_source(
    estimator: Estimator, table: CaptureTable, base: Estimate, *, n_boot: int, seed: int
) -> tuple[Source, str]:
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
    error = base.details.get("n0_standard_error")
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
) -> list[Source]:
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
) -> Source:
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
