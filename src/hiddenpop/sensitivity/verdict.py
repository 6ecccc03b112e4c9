"""From the points of a sweep to a verdict, made from all the points it states or not at all."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hiddenpop.result import format_persons
from hiddenpop.sensitivity.claims import Claim
from hiddenpop.sensitivity.points import has_number

__all__ = ["Verdict", "failures_in_words", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the points say of a claim.

    Attributes
    ----------
    passed : bool or None
        None where points without a number leave it open.
    text : str
    n_points, n_failed : int
        Points tried, and those among them without a finite number.
    share : float
        Share of the points with a number at which the claim holds; nan where no point has one.
    """

    passed: bool | None
    text: str
    n_points: int
    n_failed: int
    share: float


def judge(frame: pd.DataFrame, claim: Claim, *, points: str = "points") -> Verdict:
    """Hold every point of a sweep to a claim.

    Parameters
    ----------
    frame : DataFrame
        As `points.evaluate` gives it.
    claim : Claim
    points : str
        What a point is called, in the plural.

    Returns
    -------
    Verdict
        ``passed`` is False when a point with a number breaks the claim, True when all points have a number and none
        breaks it, and None otherwise.
    """
    known = has_number(frame).to_numpy()
    numbers = frame["n_hat"].to_numpy(dtype=float)[known]
    holds = np.array([claim.holds(n) for n in numbers], dtype=bool)
    n_points, n_failed = len(frame), int((~known).sum())
    passed = False if not holds.all() else (True if n_points and not n_failed else None)
    text = _in_words(frame, claim, numbers, holds, points)
    share = float(holds.mean()) if len(holds) else float("nan")
    return Verdict(passed, text, n_points, n_failed, share)


def _in_words(
    frame: pd.DataFrame, claim: Claim, numbers: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    holds: "np.ndarray[tuple[int], np.dtype[np.bool_]]", points: str,
) -> str:  # fmt: skip
    if not len(numbers):
        return f"No verdict: none of the {len(frame)} {points} has a number.{failures_in_words(frame)}"
    observed = frame["n_observed"].unique()
    beside = f" ({int(observed[0]):,} observed)" if len(observed) == 1 else ""
    low, high = (format_persons(n, float(np.ptp(numbers)), 0.0) for n in (numbers.min(), numbers.max()))
    span = f"N runs from {low} to {high} over {len(numbers)} of {len(frame)} {points}{beside}."
    found = f"The claim ({claim.text}) holds at {int(holds.sum())} of them."
    return f"{span} {found}{failures_in_words(frame)}"


def failures_in_words(frame: pd.DataFrame) -> str:
    """Count the points without a number by status, with the first reason of each; empty where there are none."""
    failed = frame[~has_number(frame)]
    if failed.empty:
        return ""
    reasons = failed.drop_duplicates("status").set_index("status")["reason"]
    counted = Counter(failed["status"])
    listed = "; ".join(f"{times} {status} ({reasons[status]})" for status, times in counted.items())
    return f" Without a number: {listed}."
