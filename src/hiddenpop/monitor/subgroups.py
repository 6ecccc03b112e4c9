"""`subgroups` and `subgroup`: how many there are in a part of the population, and what share that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hiddenpop._cells import level_text, unknown_name
from hiddenpop._front_door import front_door
from hiddenpop._typing import Floats
from hiddenpop.errors import SettingError
from hiddenpop.monitor.groups import (
    ALL,
    Groups,
    added_years,
    covariate_names,
    group_limits,
    groups_of,
    level_order,
    limits_are_for,
    settled_level,
    strata_of,
)
from hiddenpop.monitor.limits import draw_limits, draw_median
from hiddenpop.monitor.monitor_table import MonitorTable
from hiddenpop.monitor.withhold import marked, withheld_with_total
from hiddenpop.result import Estimate, format_level, format_persons
from hiddenpop.table import TableSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FIGURES", "Subgroups", "figures_of", "subgroup", "subgroups", "total_of"]


FIGURES = ("n_observed", "n_hat", "low", "high", "status", "share", "share_low", "share_high")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Subgroups(MonitorTable):
    """Parts of a population.

    Attributes
    ----------
    by : tuple of str
        The covariates that make the parts.
    frame : DataFrame
        One row a part and, last, one for the whole population, whose levels are ``"(all)"``: the covariates,
        ``n_observed``, ``n_hat``, ``low`` and ``high`` in persons, ``status``, and the ``share`` of the whole with
        ``share_low`` and ``share_high``.
    level : float
        Of the limits.
    draws_are : {"posterior", "bootstrap", ""}
        What the limits come from; empty where they are those of the estimator.
    estimator : str
    table : TableSummary
    notes : tuple of str
    """

    by: tuple[str, ...]
    frame: pd.DataFrame
    level: float
    draws_are: str
    estimator: str
    table: TableSummary
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> pd.DataFrame:
        """The rows of the parts, without the whole."""
        return self.frame.iloc[:-1]

    def protected_frame(self) -> pd.DataFrame:
        """Give the frame as it may leave if the table is not public: few persons, and what tells them, marked."""
        if self.table.public:
            return self.frame
        return marked(self.frame, withheld_with_total(self.frame, self.by), FIGURES)

    def text(self) -> str:
        """Write a line a part."""
        head = (
            f"{self.table.name} by {', '.join(self.by)} ({self.estimator}; {format_level(self.level)} limits)"
        )
        lines = [f"  {_line(row, self.by)}" for _, row in self.frame.iterrows()]
        return "\n".join([head, *lines, *(f"  note: {note}" for note in self.notes)])

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the parts with their limits (`hiddenpop.plotting.part_plot`)."""
        from hiddenpop.plotting import part_plot

        return part_plot(self, ax=ax, **options)


def _line(row: "pd.Series[Any]", by: Sequence[str]) -> str:
    name = " / ".join(str(row[covariate]) for covariate in by)
    return f"{name}: {persons_in_words(row)}; {row['n_observed']:,} observed"


def persons_in_words(row: "pd.Series[Any]") -> str:
    """Write number and limits with the digits they support, or the status in their place."""
    n_hat, low, high, least = (float(str(row[name])) for name in ("n_hat", "low", "high", "n_observed"))
    width = high - low
    limits = " to ".join(format_persons(x, width, least) for x in (low, high))
    if not math.isfinite(n_hat):
        return f"{str(row['status']).replace('_', ' ')} ({limits})"
    boundary = ", boundary" if row["status"] == "boundary" else ""
    return f"{format_persons(n_hat, width, least)} ({limits}{boundary})"


@front_door
def subgroups(estimate: Estimate, by: str | Sequence[str], *, level: float | None = None) -> Subgroups:
    """Give the number of persons in every combination of levels of some covariates.

    Parameters
    ----------
    estimate : Estimate
        Of an estimator that models strata.
    by : str or sequence of str
        One covariate or several; the others are added up.
    level : float, optional
        Of the limits; by default that of the estimate.

    Returns
    -------
    Subgroups

    Raises
    ------
    CapabilityError
        For an estimate without strata, or for sums of strata without draws.
    UnknownNameError
        For a covariate that is not there.
    SettingError
        For a level that the draws cannot carry.

    Warns
    -----
    PersonYearsWarning
        If years are added up, be it in the last row only.

    Notes
    -----
    Limits of a part are for the persons in it, as those of the whole are. The draws of a part are the sums of those of
    its strata, so that the parts add up to the whole draw by draw. Of
    posterior draws the median and equal-tailed limits are given. Of bootstrap draws the number is the sum of the
    estimates of the strata and the limits are percentiles; a replicate that is unbounded counts as infinite, one that
    is unknown only widens the limits. Medians of parts need not add up to the median of the whole. A part that
    holds a stratum without a number has none either.

    Examples
    --------
    >>> import warnings
    >>> import hiddenpop as hp
    >>> from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
    >>> model = CovariateLogLinear(model="R1*X1 + R2 + R3 + R4 + Y", n_boot=400)
    >>> estimate = model.fit(hp.datasets.load("simdat").collapse("X2", "X3", "X4"), rng=1)
    >>> parts = subgroups(estimate, "X1")
    >>> parts.frame[["X1", "n_observed"]].to_dict("list")
    {'X1': ['1', '2', '(all)'], 'n_observed': [560, 483, 1043]}
    """
    names = covariate_names(estimate, by)
    chosen = settled_level(estimate, level)
    groups = groups_of(estimate, strata_of(estimate)[list(names)])
    notes = added_years(estimate, apart=())
    return _record(estimate, names, groups, chosen, notes)


@front_door
def subgroup(estimate: Estimate, *, level: float | None = None, **levels: object) -> Subgroups:
    """Give the number of persons in one part of the population.

    Parameters
    ----------
    estimate : Estimate
        Of an estimator that models strata.
    level : float, optional
        Of the limits; by default that of the estimate. A covariate of this name has to be renamed in the table.
    **levels : str or list of str
        For each covariate the level, or the levels, that the part has.

    Returns
    -------
    Subgroups
        With one part.

    Raises
    ------
    CapabilityError, SettingError
        As for `subgroups`.
    UnknownNameError
        For a covariate or a level that is not there, or a combination that no stratum has.

    Warns
    -----
    PersonYearsWarning
        If years are added up, be it in the last row only.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
    >>> model = CovariateLogLinear(model="R1*X1 + R2 + R3 + R4 + Y", n_boot=400)
    >>> estimate = model.fit(hp.datasets.load("simdat").collapse("X2", "X3", "X4"), rng=1)
    >>> subgroup(estimate, X1="1", Y=["1", "2"]).parts[["X1", "Y", "status"]].to_dict("list")
    {'X1': ['1'], 'Y': ['1 or 2'], 'status': ['ok']}
    """
    names = covariate_names(estimate, tuple(levels))
    chosen = settled_level(estimate, level)
    strata = strata_of(estimate)
    rows, label = np.ones(len(strata), dtype=np.bool_), {}
    for name in names:
        wanted = _wanted_levels(name, levels[name], strata[name])
        rows &= strata[name].isin(wanted).to_numpy(dtype=np.bool_)
        label[name] = " or ".join(wanted)
    if not rows.any():
        asked = ", ".join(f"{name}={text!r}" for name, text in label.items())
        raise unknown_name("stratum with", asked, (" / ".join(row) for row in _combinations(strata, names)))
    labels = strata.loc[rows, list(names)].assign(**label)
    notes = added_years(estimate, apart=())
    return _record(estimate, names, groups_of(estimate, labels), chosen, notes)


def _wanted_levels(name: str, given: object, levels: "pd.Series[str]") -> list[str]:
    """Read a level or several, and refuse what no stratum has."""
    several = given if isinstance(given, list | tuple | set | frozenset | range) else [given]
    known = level_order(levels)
    wanted = [level_text(item) for item in several]
    for item in wanted:
        if item not in known:
            raise unknown_name(f"level of {name!r}", item, known)
    if not wanted:
        raise SettingError(f"{name}={given!r} names no level; there is {', '.join(known)}")
    return [item for item in known if item in wanted]


def _combinations(strata: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, ...]]:
    return list(strata[list(names)].drop_duplicates().itertuples(index=False, name=None))


def total_of(estimate: Estimate, by: Sequence[str]) -> Groups:
    """Give the whole population as a group of all strata, with the number and the status of the estimate itself."""
    strata = strata_of(estimate)
    labels = pd.DataFrame(ALL, index=strata.index, columns=list(by), dtype="str")
    draws = None if estimate.stratum_draws is None else groups_of(estimate, labels).draws
    return Groups(
        levels=labels.iloc[[0]].reset_index(drop=True),
        members=(np.arange(len(strata)),),
        n_observed=np.array([estimate.n_observed], dtype=np.int64),
        n_hat=np.array([estimate.n_hat]),
        draws=draws,
        status=(estimate.status,),
    )


def figures_of(estimate: Estimate, groups: Groups, whole: Groups, level: float) -> pd.DataFrame:
    """Lay out groups and, last, the whole: levels, number observed, estimate, limits and status."""
    low, high = group_limits(estimate, groups, level)
    if level == estimate.interval.level:
        ends = np.array([[estimate.interval.low], [estimate.interval.high]])
    else:
        ends = np.array(group_limits(estimate, whole, level))
    return pd.concat([groups.levels, whole.levels], ignore_index=True).assign(
        n_observed=np.append(groups.n_observed, whole.n_observed),
        n_hat=np.append(groups.n_hat, whole.n_hat),
        low=np.append(low, ends[0]),
        high=np.append(high, ends[1]),
        status=[*groups.status, *whole.status],
    )


def _record(
    estimate: Estimate, by: tuple[str, ...], groups: Groups, level: float, notes: tuple[str, ...]
) -> Subgroups:
    whole = total_of(estimate, by)
    frame = figures_of(estimate, groups, whole, level)
    shares = [_share(estimate, groups, whole, g, level) for g in range(len(groups.members))]
    columns = np.array([*shares, (1.0, 1.0, 1.0)]).T
    return Subgroups(
        by=by,
        frame=frame.assign(**dict(zip(("share", "share_low", "share_high"), columns, strict=True))),
        level=level,
        draws_are=estimate.draws_are if whole.draws is not None else "",
        estimator=estimate.estimator.label,
        table=estimate.table,
        notes=(*limits_are_for(estimate), *notes),
    )


def _share(
    estimate: Estimate, groups: Groups, whole: Groups, g: int, level: float
) -> tuple[float, float, float]:
    """Give the share of a group in the whole with its limits, which need draws."""
    numbers = math.isfinite(groups.n_hat[g]) and math.isfinite(whole.n_hat[0])
    point = float(groups.n_hat[g] / whole.n_hat[0]) if numbers else math.nan
    if estimate.stratum_draws is None or groups.draws is None:
        return point, math.nan, math.nan
    drawn = _shares_drawn(estimate.stratum_draws, groups, g)
    if estimate.draws_are == "posterior" and numbers:
        point = draw_median(drawn)
    low, high = draw_limits(drawn, level, estimate.draws_are, unknown=(0.0, 1.0))
    return point, low, high


def _shares_drawn(draws: Floats, groups: Groups, g: int) -> Floats:
    """Give a group over the whole, draw by draw: 1 where only the group is infinite, unknown where the rest is too."""
    rest = np.delete(draws, groups.members[g], axis=1).sum(axis=1)
    own = groups.draws[:, g] if groups.draws is not None else np.full(len(draws), math.nan)
    with np.errstate(invalid="ignore"):
        share = own / (own + rest)
    return np.where(np.isposinf(own) & np.isfinite(rest), 1.0, share)
