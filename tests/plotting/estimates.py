"""Estimates of every status, made by hand."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from hiddenpop.result import Estimate, EstimatorSpec, Interval, Status
from hiddenpop.table import TableSummary


def estimate(
    n_hat: float,
    low: float,
    high: float,
    *,
    status: Status = "ok",
    n_observed: int = 100,
    table: str = "t",
    level: float = 0.95,
    estimator: EstimatorSpec | None = None,
    details: Mapping[str, Any] | None = None,
) -> Estimate:
    return Estimate(
        n_hat=n_hat,
        n_observed=n_observed,
        interval=Interval(low, high, level, "profile, model taken as known"),
        status=status,
        reason="" if status == "ok" else "a reason",
        estimator=estimator or EstimatorSpec("loglinear", {"model": "[12,3]"}),
        table=TableSummary(table, "sha256:0", ("a", "b"), True),
        details=details or {},
    )


def unbounded() -> Estimate:
    return estimate(math.inf, 120.0, math.inf, status="unbounded")


def not_identified() -> Estimate:
    return estimate(math.nan, 100.0, math.inf, status="not_identified")


def selection(rows: list[tuple[str, int, float, float, str]], **details: Any) -> Estimate:
    """Make an estimate with a record of models: notation, order, BIC, N and status."""
    frame = pd.DataFrame(rows, columns=["model", "order", "bic", "n_hat", "status"])
    recorded = {"selection": frame, "criterion": "bic", **details}
    return estimate(
        300.0, 200.0, 400.0, estimator=EstimatorSpec("selected", {"criterion": "bic"}), details=recorded
    )
