"""The points of a sweep: estimators on tables, fitted in blocks of work, each with its number or why it has none."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.errors import HiddenpopError, HiddenpopWarning
from hiddenpop.estimators.base import contract
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.resampled import RefitBlock, Resamples, join_resamples, refit
from hiddenpop.parallel import block_slices, run_blocks
from hiddenpop.result import Estimate
from hiddenpop.table import CaptureTable, RNGLike

__all__ = [
    "ANSWER",
    "REFUSED",
    "Point",
    "answer_of",
    "baseline_of",
    "cells_that_count",
    "evaluate",
    "evaluate_made",
    "has_number",
    "number_maker",
    "refit_all",
    "seed_of",
]

REFUSED = "refused"
"""Status of a point that the estimator cannot treat at all, beside those of an estimate."""

ANSWER = ("n_hat", "low", "high", "n_observed", "status", "reason", "model")
"""Columns that every point of a sweep has beside its labels."""

POINTS_PER_BLOCK = 4
"""Points a block; it depends on nothing, so that any number of workers gives the same."""

REFITS_PER_BLOCK = 25
"""Refits a block; it depends on nothing, so that any number of workers gives the same."""


@dataclass(frozen=True, slots=True)
class Point:
    """One estimator on one table.

    Attributes
    ----------
    labels : mapping
        Column and value that name the point.
    estimator : Estimator
    table : CaptureTable
    """

    labels: Mapping[str, Any]
    estimator: Estimator
    table: CaptureTable


@dataclass(frozen=True, slots=True)
class _Task:
    """A block of work: estimators, tables and the seed that all points share."""

    estimators: tuple[Estimator, ...]
    tables: tuple[CaptureTable, ...]
    seed: int


def seed_of(rng: RNGLike) -> int:
    """Draw the seed that all points of a check share, so that they differ by what is varied and not by chance."""
    return int(np.random.default_rng(rng).integers(2**63))


def baseline_of(estimator: Estimator, table: CaptureTable, baseline: Estimate | None, seed: int) -> Estimate:
    """Give the estimate that the points are compared with, fitted where it was not given."""
    return estimator.fit(table, rng=seed) if baseline is None else baseline


def evaluate(points: Sequence[Point], *, seed: int, label: str) -> pd.DataFrame:
    """Fit every point and give one row each: its labels, then `ANSWER`.

    Parameters
    ----------
    points : sequence of Point
    seed : int
        The same for all.
    label : str
        For the progress bar.

    Returns
    -------
    DataFrame
        ``n_hat`` is nan where there is no number and inf where the dark figure is unbounded; ``status`` is that of the
        estimate, or ``"refused"`` where the estimator cannot treat the point, with the ``reason`` in words.
    """
    tasks = [
        _Task(tuple(p.estimator for p in points[cut]), tuple(p.table for p in points[cut]), seed)
        for cut in block_slices(len(points), POINTS_PER_BLOCK)
    ]
    answers = [answer for block in run_blocks(_fit_block, tasks, label=label) for answer in block]
    rows = [{**p.labels, **dict(zip(ANSWER, a, strict=True))} for p, a in zip(points, answers, strict=True)]
    names = list(points[0].labels) if points else []
    return pd.DataFrame(rows, columns=[*names, *ANSWER])


def evaluate_made(
    made: Sequence[tuple[Mapping[str, Any], Callable[[], tuple[Estimator, CaptureTable]]]],
    table: CaptureTable,
    *,
    seed: int,
    label: str,
) -> pd.DataFrame:
    """Fit points whose tables are still to be made; one that cannot be made is a row with the reason."""
    points: list[Point] = []
    refused: dict[int, dict[str, Any]] = {}
    for number, (labels, make) in enumerate(made):
        try:
            points.append(Point(labels, *make()))
        except HiddenpopError as error:
            answer = (*[math.nan] * 3, table.n_observed, REFUSED, str(error), "")
            refused[number] = {**labels, **dict(zip(ANSWER, answer, strict=True))}
    frame = evaluate(points, seed=seed, label=label)
    if not refused:
        return frame
    found = iter(frame.to_dict("records"))
    return pd.DataFrame([refused[i] if i in refused else next(found) for i in range(len(made))])


def has_number(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Tell which points have a finite number."""
    return pd.Series(np.isfinite(frame["n_hat"].to_numpy(dtype=float)), index=frame.index, dtype=bool)


def _fit_block(task: _Task) -> list[tuple[Any, ...]]:
    return [_answer(e, t, task.seed) for e, t in zip(task.estimators, task.tables, strict=True)]


def _answer(estimator: Estimator, table: CaptureTable, seed: int) -> tuple[Any, ...]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HiddenpopWarning)
            return answer_of(contract(estimator).quicker(table).fit(table, rng=seed))
    except HiddenpopError as error:
        return math.nan, math.nan, math.nan, table.n_observed, REFUSED, str(error), ""


def answer_of(estimate: Estimate) -> tuple[Any, ...]:
    """Give the figures of an estimate in the order of `ANSWER`."""
    return (
        float(estimate.n_hat),
        float(estimate.interval.low),
        float(estimate.interval.high),
        int(estimate.n_observed),
        str(estimate.status),
        estimate.reason,
        estimate.model,
    )


# === many refits of one estimator to other counts of the same cells ===================================================
# Of which a check needs the numbers only.


def number_maker(estimator: Estimator) -> Estimator:
    """Give the estimator that makes the number: a bootstrap around it only adds an interval.

    Examples
    --------
    >>> from hiddenpop import Bootstrapped, LogLinear
    >>> number_maker(Bootstrapped(base=LogLinear())).name
    'loglinear'
    """
    told = contract(estimator)
    return number_maker(told.inner) if told.facts.adds_interval_only else estimator


def cells_that_count(estimator: Estimator, table: CaptureTable) -> CaptureTable:
    """Add up over strata and leave out empty lists for an estimator that knows lists only; else leave all as it is."""
    if not contract(number_maker(estimator)).facts.loglinear or table.coverage:
        return table
    return table.collapse().drop_list(*table.list_totals.index[table.list_totals == 0])


def refit_all(
    estimator: Estimator,
    table: CaptureTable,
    counts: npt.NDArray[np.int64],
    *,
    seed: int,
    label: str,
) -> Resamples:
    """Estimate from every row of counts of the cells of a table.

    Parameters
    ----------
    estimator : Estimator
    table : CaptureTable
        Its cells are what the columns of `counts` are of; its own counts do not matter.
    counts : ndarray of int, shape (b, m)
    seed : int
        The same for all rows, so that they differ by their counts and not by chance.
    label : str
        For the progress bar.

    Returns
    -------
    Resamples
        In the order of the rows.
    """
    base = number_maker(estimator)
    tasks = [
        RefitBlock(base, table, counts[cut], rngs=tuple(np.random.default_rng(seed) for _ in counts[cut]))
        for cut in block_slices(len(counts), REFITS_PER_BLOCK)
    ]
    return join_resamples(run_blocks(refit, tasks, label=label))
