"""`InternalConsistency`: each list in turn is a population of known size, which the other lists have to find."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hiddenpop._cells import unknown_name
from hiddenpop.errors import TableError
from hiddenpop.estimators.protocol import Estimator, check_whole
from hiddenpop.sensitivity.points import REFUSED, evaluate_made, has_number
from hiddenpop.sensitivity.protocol import CheckContext, Found, StandardCheck
from hiddenpop.sensitivity.regrouping import regrouped_estimator
from hiddenpop.table import CaptureTable

__all__ = ["InternalConsistency", "conditioned", "consistency_summary"]

FEWEST_LISTS = 3
"""One is the population, and an estimate needs two more."""

WITH_LIMITS = ("ok", "boundary", "unbounded")
"""Statuses whose limits the estimator answers for: an unbounded estimate has a lower one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalConsistency(StandardCheck):
    """Whether an estimator finds the known size of each list from the other lists.

    The persons on a list L are a population whose size is known. The other lists see some of them; whoever is on L
    alone is their dark figure. The estimator is given what the others see and has to find the number on L.

    Parameters
    ----------
    minimum : int
        Fewest persons on L that the other lists must have seen; a list with fewer is a row without an estimate.

    Raises
    ------
    SettingError
        If `minimum` is not a whole number of at least 1.

    Notes
    -----
    Only an interval that says something can hold a known size or miss it: one with a finite upper limit, or a lower
    limit above the number that the other lists see, of a status other than ``"not_identified"`` and
    ``"not_converged"``. An interval from that number to infinity holds any size whatever.

    ``passed`` is True when all known sizes that were estimated lie in intervals that say something, False when one does
    not lie in its own, and None when none could be estimated, when one of them has no number, or when one of the
    intervals says nothing. The check asks whether the method works on tables
    of this kind. It says nothing of the bias in the estimate of the whole: the persons on L were found by L, and are
    not like all others. It has no claim.

    The table has one row per list: ``list``, ``known`` (persons on it), ``observed_by_others``, the figures of the
    estimate, ``log_relative_bias`` (``log(n_hat / known)``) and ``covered``, which is None where there is nothing to
    judge. Status ``"refused"`` marks the lists that
    the others hardly see.

    Settings stay as they are. The default prior of `DecomposableAveraging`, a prior count of 2^-K a cell, follows the
    number of lists that are left; a prior count given as a number does not. A model that was given goes along without
    L.

    References
    ----------
    Binette, O. and Steorts, R. C. (2022). On the reliability of multiple systems estimation for the quantification of
    modern slavery. Journal of the Royal Statistical Society A 185(2), 640-676. doi:10.1111/rssa.12803

    Examples
    --------
    >>> import hiddenpop as hp
    >>> found = InternalConsistency().run(hp.LogLinear(), hp.datasets.load("kosovo"))
    >>> found.table[["list", "known", "observed_by_others", "n_hat", "covered"]].round(0).values.tolist()
    [['EXH', 1910, 779, 1117.0, False], ['ABA', 1528, 683, 894.0, False], ['OSCE', 1786, 850, 1259.0, False],
    ['HRW', 685, 379, 546.0, False]]
    """

    name: ClassVar[str] = "internal_consistency"

    minimum: int = 30

    def __post_init__(self) -> None:
        check_whole("minimum", self.minimum)

    def _find(self, asked: CheckContext) -> Found | str:
        estimator, table = asked.estimator, asked.table
        lists = tuple(name for name in table.lists if name not in table.empty_lists)
        if len(lists) < FEWEST_LISTS:
            why = f"does not apply: {table.name} has {len(lists)} lists that caught somebody; one is the population,"
            return f"{why} and an estimate needs two more"
        made = [(_labels(table, name), self._made(estimator, table, name)) for name in lists]
        label = f"lists of {table.name} from each other"
        frame = _judged(evaluate_made(made, table, seed=asked.seed, label=label))
        return Found(
            passed=_passed(frame),
            table=frame,
            text=_in_words(frame),
            figure=_figure(frame),
            n_points=len(frame),
            n_failed=int((~has_number(frame)).sum()),
            protected=("known", "observed_by_others", "n_observed", "log_relative_bias"),
            text_to_leave=_in_words(frame, with_bias=False),
        )

    def _made(
        self, estimator: Estimator, table: CaptureTable, name: str
    ) -> Callable[[], tuple[Estimator, CaptureTable]]:
        def make() -> tuple[Estimator, CaptureTable]:
            if seen_by_others(table, name) < self.minimum:
                raise TableError(f"fewer than {self.minimum} of its persons are on another list")
            left = tuple((other,) for other in table.lists if other != name)
            return regrouped_estimator(estimator, table, left), conditioned(table, name)

        return make


def conditioned(table: CaptureTable, name: str) -> CaptureTable:
    """Take the persons on a list as the population, and the other lists as what is known of it.

    Parameters
    ----------
    table : CaptureTable
    name : str
        The list that makes the population.

    Returns
    -------
    CaptureTable
        Of the other lists; who is on `name` alone is hidden in it.

    Raises
    ------
    TableError
        If nobody on the list is on another one.
    UnknownNameError
        If there is no such list.

    Examples
    --------
    >>> from hiddenpop import CaptureTable
    >>> table = CaptureTable.from_memberships([["a"], ["a", "b"], ["b", "c"], ["a", "c"]])
    >>> conditioned(table, "a").list_totals.to_dict()
    {'b': 1, 'c': 1}
    """
    rows = _on(table, name)
    if not seen_by_others(table, name):
        raise TableError(f"nobody on {name!r} is on another list, so that the others know nothing of it")
    members = replace(
        table,
        histories=table.histories[rows],
        counts=table.counts[rows],
        censored=table.censored[rows],
        _strata=table.strata.loc[rows].reset_index(drop=True),
    )
    return members.drop_list(name)


def _on(table: CaptureTable, name: str) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    if name not in table.lists:
        raise unknown_name("list", name, table.lists)
    found: np.ndarray[Any, np.dtype[np.bool_]] = (table.histories >> table.lists.index(name) & 1).astype(bool)
    return found


def seen_by_others(table: CaptureTable, name: str) -> int:
    """Count the persons on a list who are on another one too."""
    several = np.bitwise_count(table.histories) > 1
    return int(table.counts[_on(table, name) & several].sum())


def _labels(table: CaptureTable, name: str) -> dict[str, Any]:
    return {
        "list": name,
        "known": int(table.list_totals[name]),
        "observed_by_others": seen_by_others(table, name),
    }


def _judged(frame: pd.DataFrame) -> pd.DataFrame:
    """Add bias and coverage, which are unknown where there is no estimate or where its interval says nothing."""
    inside = (frame["low"] <= frame["known"]) & (frame["known"] <= frame["high"])
    known = has_number(frame)
    bias = np.log((frame["n_hat"] / frame["known"]).where(known))
    told = zip(inside, _says_something(frame), strict=True)
    covered = pd.Series([bool(x) if says else None for x, says in told], dtype=object)
    return frame.assign(log_relative_bias=bias, covered=covered, n_observed=frame["observed_by_others"])


def _says_something(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Tell which intervals leave out a size that the persons seen by the others do not leave out already."""
    limited = (frame["low"] > frame["observed_by_others"]) | (frame["high"] < math.inf)
    return frame["status"].isin(WITH_LIMITS) & limited


def _passed(frame: pd.DataFrame) -> bool | None:
    tried = frame[frame["status"] != REFUSED]
    if any(covered is False for covered in tried["covered"]):
        return False
    judged = all(covered is True for covered in tried["covered"])
    return True if len(tried) and judged and has_number(tried).all() else None


def consistency_summary(tables: Iterable[pd.DataFrame]) -> dict[str, float]:
    """Sum up the bias and coverage of lists, of one table or of several.

    Parameters
    ----------
    tables : iterable of DataFrame
        The tables of results of `InternalConsistency`.

    Returns
    -------
    dict
        ``mean``, ``sd`` (divisor n - 1), ``rmse`` and ``median`` of the log relative bias, ``coverage``, and the number
        of lists behind each: ``n_bias``, those with a number, and ``n_coverage``, those whose interval says something.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> found = InternalConsistency().run(hp.LogLinear(), hp.datasets.load("kosovo"))
    >>> {name: round(figure, 2) for name, figure in consistency_summary([found.table]).items()}
    {'mean': -0.41, 'sd': 0.15, 'rmse': 0.43, 'median': -0.44, 'coverage': 0.0, 'n_bias': 4, 'n_coverage': 4}
    """
    rows = [
        row for table in tables for row in table[["log_relative_bias", "covered"]].itertuples(index=False)
    ]
    bias = np.array([row[0] for row in rows if math.isfinite(row[0])])
    covered = [row[1] for row in rows if row[1] is not None]
    return {
        "mean": float(bias.mean()) if len(bias) else math.nan,
        "sd": float(bias.std(ddof=1)) if len(bias) > 1 else math.nan,
        "rmse": float(np.sqrt((bias**2).mean())) if len(bias) else math.nan,
        "median": float(np.median(bias)) if len(bias) else math.nan,
        "coverage": sum(covered) / len(covered) if covered else math.nan,
        "n_bias": len(bias),
        "n_coverage": len(covered),
    }


def _figure(frame: pd.DataFrame) -> dict[str, Any]:
    """Say how it is drawn: against the known sizes, not against a baseline or a claim."""
    return {
        "kind": "forest",
        "title": "Known sizes of lists, estimated from the others",
        "label": "list",
        "truth": "known",
        "baseline": {"n_hat": None, "low": None, "high": None},
        "claim": {"low": None, "high": None, "text": ""},
        "summary": consistency_summary([frame]),
    }


def _in_words(frame: pd.DataFrame, *, with_bias: bool = True) -> str:
    """Say how many known sizes were found, how far off, and which lists were not tried."""
    tried = frame[frame["status"] != REFUSED]
    figures = consistency_summary([tried])
    if tried.empty:
        return f"No verdict: none of the {len(frame)} lists could be estimated from the others.{_not_tried(frame)}"
    inside, n = sum(c is True for c in tried["covered"]), int(figures["n_coverage"])
    said = f"The known size lies in its interval for {inside} of {n} lists that were estimated ({len(frame)} in all)."
    nothing = [
        str(name) for name, covered in zip(tried["list"], tried["covered"], strict=True) if covered is None
    ]
    if nothing:
        said = _with_nothing(inside, n, nothing, len(frame))
    missed = [str(row["list"]) for _, row in tried.iterrows() if row["covered"] is False]
    parts = [said, f"Missed: {', '.join(missed)}." if missed else ""]
    if with_bias and figures["n_bias"]:
        parts.append(
            f"Log relative bias of {figures['n_bias']}: mean {figures['mean']:.2f}, root mean square "
            f"{figures['rmse']:.2f}, median {figures['median']:.2f}; a typical estimate is "
            f"{math.exp(figures['median']):.2f} times the truth."
        )
    silent = tried.loc[~has_number(tried), "list"]
    parts.append(f"Without a number: {', '.join(silent)}." if len(silent) else "")
    return " ".join(part for part in parts if part) + _not_tried(frame)


def _with_nothing(inside: int, n: int, nothing: list[str], n_lists: int) -> str:
    """Say of how many lists an interval says nothing, beside those of which there was something to judge."""
    judged = f"The known size lies in its interval for {inside} of {n} lists that could be judged ({n_lists} in all). "
    return (
        f"{judged if n else ''}For {len(nothing)} of the {n + len(nothing)} lists that were estimated there is nothing "
        f"to judge, as their intervals leave out no size or the estimator has no answer: {', '.join(nothing)}."
    )


def _not_tried(frame: pd.DataFrame) -> str:
    """Name the lists that were not estimated, by reason."""
    refused = frame[frame["status"] == REFUSED]
    reasons = refused.groupby("reason", sort=False)["list"].agg(", ".join)
    return "".join(f" Not estimated: {names} ({reason})." for reason, names in reasons.items())
