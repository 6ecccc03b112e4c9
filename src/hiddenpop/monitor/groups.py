"""Groups of strata of an estimate: who is in them, how many, and whether years are added up."""

import math
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hiddenpop._cells import unknown_name
from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import CapabilityError, PersonYearsWarning, SettingError
from hiddenpop.estimators.protocol import check_level
from hiddenpop.monitor.limits import check_draws, draw_limits, draw_median
from hiddenpop.result import OF_EXPECTED_SIZES, Estimate

__all__ = [
    "ALL",
    "WITHOUT_NUMBER",
    "Groups",
    "added_years",
    "covariate_names",
    "covariates_of",
    "group_limits",
    "groups_of",
    "level_order",
    "limits_are_for",
    "settled_level",
    "strata_of",
]


ALL = "(all)"
"""Stands for the level of a covariate in a row that adds up its levels."""

WITHOUT_NUMBER = {"unbounded": math.inf, "not_converged": math.nan, "not_identified": math.nan}
"""Statuses without a number, the one that wins in a group first."""

MODELS_OF_STRATA = (
    'covariate_loglinear, covariate_selected, pooled, stratified, or bayesian_loglinear with strata="model"'
)
YEAR_NAMES = frozenset({"year", "jaar"})
YEAR = re.compile(r"(18|19|20|21)\d\d")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Groups of strata, each with the sum of their draws.

    Attributes
    ----------
    levels : DataFrame, shape (g, c)
        What names each group, as text.
    members : tuple of ndarray of int
        Positions of its strata in ``estimate.by_stratum``.
    n_observed : ndarray of int, shape (g,)
    n_hat : ndarray, shape (g,)
        inf or nan where the status has no number.
    draws : ndarray, shape (d, g), or None
    status : tuple of str
    """

    levels: pd.DataFrame
    members: tuple[Ints, ...]
    n_observed: Ints
    n_hat: Floats
    draws: Floats | None
    status: tuple[str, ...]


def strata_of(estimate: Estimate) -> pd.DataFrame:
    """Give the strata of an estimate with their figures as numbers, after checking that there are any."""
    frame = estimate.by_stratum
    if frame.empty:
        raise CapabilityError(
            f"{estimate.estimator.name} on {estimate.table.name} has no estimates by stratum; take an estimator that "
            f"models strata, on a table with covariates: {MODELS_OF_STRATA}"
        )
    numbers = {name: pd.to_numeric(frame[name], errors="coerce") for name in ("n_observed", "n_hat", "low")}
    if numbers["n_observed"].isna().any():
        raise CapabilityError(
            f"the numbers observed in strata of {estimate.table.name} were withheld when the estimate was written; fit "
            "it again"
        )
    high = pd.to_numeric(frame["high"], errors="coerce").fillna(math.inf)  # JSON knows no infinity
    return frame.assign(**numbers, high=high, status=frame["status"].astype(str)).reset_index(drop=True)


def covariates_of(estimate: Estimate) -> tuple[str, ...]:
    """Name the covariates whose levels make the strata of an estimate."""
    columns = [str(name) for name in strata_of(estimate).columns]
    return tuple(columns[: columns.index("n_observed")])


def covariate_names(estimate: Estimate, by: str | Sequence[str]) -> tuple[str, ...]:
    """Read one name or several, and refuse what is not a covariate of the estimate."""
    names = (by,) if isinstance(by, str) else tuple(by)
    known = covariates_of(estimate)
    for name in names:
        if name not in known:
            raise unknown_name("covariate", str(name), known)
    if not names or len(set(names)) < len(names):
        raise SettingError(
            f"by={by!r} must name one covariate or several, each once; there is {', '.join(known)}"
        )
    return names


def settled_level(estimate: Estimate, level: float | None) -> float:
    """Give the level asked for, else that of the estimate, if its draws can carry it."""
    chosen = estimate.interval.level if level is None else level
    check_level(chosen)
    if estimate.stratum_draws is not None:
        check_draws(len(estimate.stratum_draws), chosen)
    elif chosen != estimate.interval.level:
        raise SettingError(
            f"level={chosen} differs from the level {estimate.interval.level} of the estimate, which has no draws by "
            "stratum to take other limits from; leave it out"
        )
    return chosen


def level_order(levels: Iterable[str]) -> list[str]:
    """Sort distinct levels, as numbers where all are whole numbers.

    Examples
    --------
    >>> level_order(["10", "9", "9"]), level_order(["b", "a", "10"])
    (['9', '10'], ['10', 'a', 'b'])
    """
    distinct = sorted(set(levels))
    whole = all(level.strip().lstrip("+-").isdecimal() for level in distinct)
    return sorted(distinct, key=int) if whole else distinct


def groups_of(estimate: Estimate, labels: pd.DataFrame) -> Groups:
    """Group strata by labels.

    Parameters
    ----------
    estimate : Estimate
    labels : DataFrame
        One row a stratum that takes part, its index the position of the stratum; equal rows make a group.

    Returns
    -------
    Groups
        In the order of their labels.

    Raises
    ------
    CapabilityError
        If several strata are to be added up and there are no draws by stratum, or nothing says what the draws are.
    """
    strata = strata_of(estimate)
    _check_parts(estimate, strata)
    names, members = _partition(labels)
    if estimate.stratum_draws is None and any(len(own) > 1 for own in members):
        raise CapabilityError(
            f"{estimate.estimator.name} gives no draws by stratum, so strata cannot be added up with an interval; ask "
            f"for single strata, by={list(covariates_of(estimate))!r}, or fit with an interval from a bootstrap"
        )
    n_observed = np.array([int(strata["n_observed"].iloc[own].sum()) for own in members], dtype=np.int64)
    draws = None if estimate.stratum_draws is None else _summed(estimate.stratum_draws, members)
    points = [
        _point(strata.iloc[own], None if draws is None else draws[:, g], estimate.draws_are)
        for g, own in enumerate(members)
    ]
    return Groups(
        levels=names,
        members=members,
        n_observed=n_observed,
        n_hat=np.array([n for n, _ in points]),
        draws=draws,
        status=tuple(status for _, status in points),
    )


def _check_parts(estimate: Estimate, strata: pd.DataFrame) -> None:
    if estimate.stratum_draws is None:
        return
    if estimate.stratum_draws.shape[1] != len(strata):
        raise CapabilityError(
            f"{estimate.stratum_draws.shape[1]} columns of draws do not go with {len(strata)} strata; fit again"
        )
    if not estimate.draws_are:
        raise CapabilityError(
            f"{estimate.estimator.name} does not say what its draws are; an estimator sets draws_are to 'posterior' or "
            "'bootstrap'"
        )


def _partition(labels: pd.DataFrame) -> tuple[pd.DataFrame, tuple[Ints, ...]]:
    """Sort the distinct rows, and list the positions of the strata behind each."""
    places = [{level: i for i, level in enumerate(level_order(labels[name]))} for name in labels.columns]
    found: dict[tuple[str, ...], list[int]] = {}
    for position, row in zip(labels.index, labels.itertuples(index=False, name=None), strict=True):
        found.setdefault(row, []).append(int(position))
    rows = sorted(found, key=lambda row: [place[level] for place, level in zip(places, row, strict=True)])
    names = pd.DataFrame(rows, columns=list(labels.columns), dtype="str")
    return names, tuple(np.array(found[row], dtype=np.int64) for row in rows)


def _summed(draws: Floats, members: Sequence[Ints]) -> Floats:
    """Add up the draws of each group; with an unbounded stratum the sum is unbounded, whatever the others are."""
    sums = [draws[:, own].sum(axis=1) for own in members]
    unbounded = [np.isposinf(draws[:, own]).any(axis=1) for own in members]
    return np.column_stack(
        [np.where(inf, math.inf, total) for inf, total in zip(unbounded, sums, strict=True)]
    )


def _point(strata: pd.DataFrame, draws: Floats | None, kind: str) -> tuple[float, str]:
    """Give the estimate of a group and its status."""
    statuses = list(strata["status"])
    bad = [status for status in statuses if status not in ("ok", "boundary")]
    if bad:
        worst = next((status for status in WITHOUT_NUMBER if status in bad), bad[0])
        return WITHOUT_NUMBER.get(worst, math.nan), worst
    n_observed = float(strata["n_observed"].sum())
    n_hat = draw_median(draws) if kind == "posterior" and draws is not None else float(strata["n_hat"].sum())
    if math.isnan(n_hat):
        return n_hat, "not_identified"
    if math.isinf(n_hat):
        return n_hat, "unbounded"
    nobody = n_hat <= n_observed or (kind != "posterior" and set(statuses) == {"boundary"})
    return max(n_hat, n_observed), "boundary" if nobody else "ok"


def group_limits(estimate: Estimate, groups: Groups, level: float) -> tuple[Floats, Floats]:
    """Give limits for each group, never below its number observed."""
    if groups.draws is None:
        strata = strata_of(estimate).iloc[[int(own[0]) for own in groups.members]]
        low, high = strata["low"].to_numpy(dtype=np.float64), strata["high"].to_numpy(dtype=np.float64)
        low = np.where(np.isnan(low), groups.n_observed, low)
    else:
        pairs = [
            draw_limits(groups.draws[:, g], level, estimate.draws_are, unknown=(float(n), math.inf))
            for g, n in enumerate(groups.n_observed)
        ]
        low, high = np.array(pairs).T
    return np.maximum(low, groups.n_observed), np.maximum(high, groups.n_observed)


def limits_are_for(estimate: Estimate) -> tuple[str, ...]:
    """Say what limits of groups are for, where that is not the persons in them."""
    return tuple(remark.message for remark in estimate.diagnostics if remark.name == OF_EXPECTED_SIZES)


def added_years(
    estimate: Estimate, apart: Iterable[str], rows: pd.DataFrame | None = None
) -> tuple[str, ...]:
    """Say, and warn, that years are added up, if they are.

    Parameters
    ----------
    estimate : Estimate
    apart : iterable of str
        Covariates whose levels are kept apart.
    rows : DataFrame, optional
        The strata that take part; all of them by default.

    Returns
    -------
    tuple of str
        One text a covariate of years with several levels that are added up. Such a covariate is called ``year`` or
        ``jaar``, or has only levels that read as years.
    """
    strata = strata_of(estimate) if rows is None else rows
    kept = set(apart)
    found = [
        (name, level_order(strata[name]))
        for name in covariates_of(estimate)
        if name not in kept and _holds_years(name, strata[name])
    ]
    texts = tuple(_person_years(estimate, name, levels) for name, levels in found if len(levels) > 1)
    for text in texts:
        warnings.warn(text, PersonYearsWarning, stacklevel=4)
    return texts


def _holds_years(name: str, levels: "pd.Series[str]") -> bool:
    return name.casefold() in YEAR_NAMES or all(YEAR.fullmatch(level) for level in levels)


def _person_years(estimate: Estimate, name: str, levels: list[str]) -> str:
    stated = estimate.table.population
    said = (
        f"the population is stated as {stated!r}" if stated else "the table does not say whom it counts when"
    )
    return (
        f"the levels of {name!r} ({levels[0]} to {levels[-1]}) are added up: a person seen in two of them counts "
        f"twice, so the sum is not a number of different persons; {said}"
    )
