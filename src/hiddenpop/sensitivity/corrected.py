"""Estimates from corrected counts: as they are where an estimator can take them, rounded to whole numbers elsewhere."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import HiddenpopError, HiddenpopWarning
from hiddenpop.estimators.base import contract
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.estimators.resampled import RefitBlock
from hiddenpop.parallel import run_blocks
from hiddenpop.sensitivity.points import ANSWER, Point, evaluate
from hiddenpop.table import CaptureTable

__all__ = [
    "INFEASIBLE",
    "CorrectedPoint",
    "evaluate_corrected",
    "rounded",
    "with_cells",
]


INFEASIBLE = "infeasible"
"""Status of a point whose correction the table cannot hold."""


@dataclass(frozen=True, slots=True)
class CorrectedPoint:
    """One estimator on one corrected table.

    Attributes
    ----------
    labels : mapping
        Column and value that name the point, and what else the table says of it.
    table : CaptureTable
        The table whose cells are corrected; it gives lists, strata and labels.
    histories, rows : ndarray of int, shape (m,)
        Capture history of each corrected cell, and a row of `table` with the strata of the cell.
    counts : ndarray of float, shape (m,)
        Corrected counts, 0 or more.
    reason : str
        Why the table cannot be corrected so; empty when it can.
    """

    labels: Mapping[str, Any]
    table: CaptureTable
    histories: Ints
    rows: Ints
    counts: Floats
    reason: str = ""


def rounded(counts: Floats) -> Ints:
    """Round counts to whole numbers whose total is the rounded total, those with the largest remainders up.

    Examples
    --------
    >>> rounded(np.array([1.4, 2.4, 0.2])).tolist()
    [2, 2, 0]
    """
    whole = np.floor(counts + 1e-9)
    short = round(float(counts.sum())) - int(whole.sum())
    up = np.argsort(-(counts - whole), kind="stable")[: max(short, 0)]
    whole[up] += 1.0
    return whole.astype(np.int64)


def with_cells(table: CaptureTable, histories: Ints, rows: Ints, counts: Ints) -> CaptureTable:
    """Give a table other cells, each with the strata of a row of the table."""
    return replace(
        table,
        histories=histories,
        counts=counts,
        censored=np.zeros(len(counts), dtype=np.bool_),
        _strata=table.strata.iloc[rows].reset_index(drop=True),
    )


def evaluate_corrected(
    points: Sequence[CorrectedPoint], estimator: Estimator, *, seed: int, label: str
) -> pd.DataFrame:
    """Fit every point, equal ones once, and give one row each: its labels, `ANSWER` and ``counts_are``.

    Parameters
    ----------
    points : sequence of CorrectedPoint
    estimator : Estimator
    seed : int
        The same for all.
    label : str
        For the progress bar.

    Returns
    -------
    DataFrame
        ``counts_are`` is ``"real"`` where the estimate comes from the corrected counts as they are, ``"rounded"`` where
        the estimator takes whole counts only, and empty where nothing could be fitted.

    Notes
    -----
    Log-linear models are fitted to the corrected counts themselves. Their limits are those from the rounded table, with
    the dark figure moved by the ratio of the two estimates.
    """
    keys = [(p.counts.tobytes(), p.histories.tobytes(), p.rows.tobytes(), bool(p.reason)) for p in points]
    first = {key: at for at, key in reversed(list(enumerate(keys)))}
    fitted = [at for at, key in enumerate(keys) if first[key] == at and not points[at].reason]
    answers = _answers([points[at] for at in fitted], estimator, seed, label)
    place = dict(zip(fitted, answers, strict=True))
    rows = [
        {**p.labels, **(_refused(p) if p.reason else place[first[key]])}
        for p, key in zip(points, keys, strict=True)
    ]
    names = list(points[0].labels) if points else []
    return pd.DataFrame(rows, columns=[*names, *ANSWER, "counts_are"])


def _refused(point: CorrectedPoint) -> dict[str, Any]:
    nothing = (math.nan, math.nan, math.nan, point.table.n_observed, INFEASIBLE, point.reason, "")
    return {**dict(zip(ANSWER, nothing, strict=True)), "counts_are": ""}


def _answers(
    points: Sequence[CorrectedPoint], estimator: Estimator, seed: int, label: str
) -> list[dict[str, Any]]:
    tables = [with_cells(p.table, p.histories, p.rows, rounded(p.counts)) for p in points]
    frame = evaluate([Point({}, estimator, table) for table in tables], seed=seed, label=label)
    found = [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]
    quick = contract(estimator).for_real_counts
    if quick is None:
        return [{**answer, "counts_are": "rounded"} for answer in found]
    blocks = [_real_block(p, quick) for p in points]
    real = run_blocks(_number, blocks, label=f"{label}, not rounded")
    return [_moved(answer, *number) for answer, number in zip(found, real, strict=True)]


def _real_block(point: CorrectedPoint, estimator: Estimator) -> RefitBlock:
    """Put the corrected counts on a table that has every cell of theirs."""
    plain = replace(point.table, coverage=(), _strata=pd.DataFrame(index=range(len(point.table))))
    histories, at = np.unique(point.histories[point.counts > 0.0], return_inverse=True)
    counts = np.bincount(at, weights=point.counts[point.counts > 0.0], minlength=len(histories))
    carrier = with_cells(
        plain, histories, np.zeros(len(histories), dtype=np.int64), np.ceil(counts).astype(np.int64)
    )
    return RefitBlock(estimator, carrier, counts[None])  # the compiled fits take counts that are not whole


def _number(block: RefitBlock) -> tuple[float, str, float]:
    """Fit counts that are not whole; also their total. No number where there is no compiled fit for them."""
    total = float(block.counts.sum())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HiddenpopWarning)
            found = contract(block.estimator).quick_refits(block)
    except HiddenpopError:
        found = None
    if found is None:
        return math.nan, "", total
    # A model without a number is fitted again by the estimator itself, to the counts cut to whole numbers.
    return (float(found.n_hat[0]) if found.n_hat[0] >= total else math.nan), found.models[0], total


def _moved(answer: dict[str, Any], n_hat: float, model: str, observed: float) -> dict[str, Any]:
    """Put the estimate from the counts as they are in the place of the one from rounded counts."""
    if not math.isfinite(n_hat) or not math.isfinite(answer["n_hat"]):
        return {**answer, "counts_are": "rounded"}
    hidden, hidden_rounded = n_hat - observed, answer["n_hat"] - answer["n_observed"]
    ratio = hidden / hidden_rounded if hidden_rounded > 0.0 else 1.0
    low, high = (observed + ratio * (answer[end] - answer["n_observed"]) for end in ("low", "high"))
    return {
        **answer,
        "n_hat": n_hat,
        "low": low,
        "high": high,
        "model": model or answer["model"],
        "counts_are": "real",
    }
