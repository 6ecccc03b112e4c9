"""`ranks`: which groups are the largest, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from hiddenpop._cells import distinct_texts
from hiddenpop._front_door import front_door
from hiddenpop._typing import Floats
from hiddenpop.errors import CapabilityError, SettingError, TableError
from hiddenpop.estimators.protocol import check_whole
from hiddenpop.monitor.groups import (
    Groups,
    added_years,
    covariate_names,
    group_limits,
    groups_of,
    limits_are_for,
    settled_level,
    strata_of,
)
from hiddenpop.monitor.limits import draw_limits, draw_median
from hiddenpop.monitor.monitor_table import MonitorTable
from hiddenpop.monitor.rates import read_residents
from hiddenpop.monitor.trend import share_name
from hiddenpop.monitor.withhold import marked, withheld_rows
from hiddenpop.result import Estimate, format_level
from hiddenpop.table import TableSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Places", "Ranks", "places", "ranks"]


FIGURES = ("n_observed", "n_hat", "low", "high", "rate", "status")
MOST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Ranks(MonitorTable):
    """The order of groups by size, or by rate per residents.

    Attributes
    ----------
    by : tuple of str
        The covariates that make the groups.
    frame : DataFrame
        One row a group, from the first place down: the covariates, ``n_observed``, ``n_hat``, ``low``, ``high``,
        ``rate`` (per 100,000 residents, nan without residents), the median ``rank`` (1 is the largest) with
        ``rank_low`` and ``rank_high``, ``top_share`` and ``first_share`` (shares of the draws in which the group is
        among the first `top`, and the first), and ``status``.
    top : int
    measure : {"persons", "rate"}
        What the order is by.
    level : float
        Of the limits.
    draws_are : {"posterior", "bootstrap"}
        Shares are posterior probabilities, or shares of resamples.
    estimator : str
    table : TableSummary
    notes : tuple of str
    """

    by: tuple[str, ...]
    frame: pd.DataFrame
    top: int
    measure: str
    level: float
    draws_are: str
    estimator: str
    table: TableSummary
    notes: tuple[str, ...] = ()

    @property
    def withheld(self) -> npt.NDArray[np.bool_]:
        """Rows of `frame` whose numbers of persons must not leave when the table is not public."""
        if self.table.public:
            return np.zeros(len(self.frame), dtype=np.bool_)
        return withheld_rows(self.frame[list(self.by)], self.frame["n_observed"].tolist())

    def protected_frame(self) -> pd.DataFrame:
        """Give the frame as it may leave: numbers of few persons, and what tells them, marked; ranks stay."""
        return marked(self.frame, self.withheld, FIGURES)

    def text(self) -> str:
        """Write a line for each of the first groups."""
        what = "rate per residents" if self.measure == "rate" else "number of persons"
        lines = [
            f"{self.table.name}: order by {what} ({self.estimator}; {format_level(self.level)} limits of the rank)"
        ]
        lines += [f"  {self._line(row)}" for _, row in self.frame.head(MOST_LINES).iterrows()]
        left = len(self.frame) - MOST_LINES
        more = [f"  and {left} more"] if left > 0 else []
        return "\n".join([*lines, *more, *(f"  note: {note}" for note in self.notes)])

    def _line(self, row: "pd.Series[Any]") -> str:
        name = " / ".join(str(row[covariate]) for covariate in self.by)
        rank, low, high = (f"{row[key]:g}" for key in ("rank", "rank_low", "rank_high"))
        share = share_name(self.draws_are)
        return (
            f"{name}: rank {rank} ({low} to {high}); {share} of the first {self.top} {row['top_share']:.2f}, "
            f"of the first place {row['first_share']:.2f}"
        )

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the ranks with their limits (`hiddenpop.plotting.ranking_plot`)."""
        from hiddenpop.plotting import ranking_plot

        return ranking_plot(self, ax=ax, **options)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Where each group stands in each draw.

    Attributes
    ----------
    rank : ndarray, shape (d, g)
        1 is the largest; tied groups share the mean of their places; nan in a draw in which some group is unknown.
    top_share, first_share : ndarray, shape (g,)
        They add up to the number of places, and to 1.
    n_unknown : int
        Draws in which some group is unknown.
    """

    rank: Floats
    top_share: Floats
    first_share: Floats
    n_unknown: int


def places(values: Floats, top: int) -> Places:
    """Rank the groups in each draw, the largest first.

    Parameters
    ----------
    values : ndarray, shape (d, g)
        inf where unbounded, nan where unknown.
    top : int

    Returns
    -------
    Places

    Notes
    -----
    Of a tie over places a to b each group has an equal part of the places up to `top`, as if chance decided. In a draw
    with an unknown group every place is as likely for each.

    Examples
    --------
    >>> found = places(np.array([[5.0, 5.0, 1.0], [9.0, 2.0, 3.0]]), top=1)
    >>> found.rank.tolist(), found.top_share.tolist()
    ([[1.5, 1.5, 3.0], [1.0, 3.0, 2.0]], [0.75, 0.25, 0.0])
    """
    unknown: npt.NDArray[np.bool_] = np.asarray(np.isnan(values).any(axis=1))
    settled = np.where(unknown[:, None], 0.0, values)
    first, last = (rankdata(-settled, method=method, axis=1) for method in ("min", "max"))
    rank = np.where(unknown[:, None], math.nan, (first + last) / 2.0)

    def share(k: int) -> Floats:
        inside = np.clip(k - first + 1.0, 0.0, last - first + 1.0) / (last - first + 1.0)
        return np.asarray(inside.mean(axis=0))

    return Places(rank=rank, top_share=share(top), first_share=share(1), n_unknown=int(unknown.sum()))


@front_door
def ranks(
    estimate: Estimate,
    by: str | Sequence[str],
    top: int = 10,
    *,
    residents: pd.DataFrame | None = None,
    level: float | None = None,
) -> Ranks:
    """Order groups by their number of persons, or by their rate, with the uncertainty of the order.

    Parameters
    ----------
    estimate : Estimate
        Of an estimator that models strata and gives draws by stratum.
    by : str or sequence of str
        The covariates that make the groups, such as municipalities.
    top : int
        How many first places to give a share for; at most the number of groups counts.
    residents : DataFrame, optional
        As for `rates`; the order is then by persons per resident.
    level : float, optional
        Of the limits; by default that of the estimate.

    Returns
    -------
    Ranks

    Raises
    ------
    CapabilityError
        For an estimate without strata or without draws by stratum.
    UnknownNameError, TableError
        As for `rates`.
    SettingError
        For fewer than two groups, or a setting it cannot have.

    Warns
    -----
    PersonYearsWarning
        If years are added up.

    Notes
    -----
    Groups are ordered by the persons in them, or by their rate, and not by what would be expected of them in another
    year. Ranks are taken in each draw, from 1 for the largest. Tied groups share the mean of their places as their
    rank; in the shares of first places they count as if chance decided, so that these add up to `top` and to 1. Draws
    in which some group is unknown tell nothing of the order: every place is as likely, and they only widen the limits.
    Limits of ranks are among the ranks drawn.

    With posterior draws the shares are probabilities. With bootstrap draws they are shares of resamples, which say how
    stable the order is under sampling; they are not probabilities of the order, and resampling spreads the groups
    further apart than they are. Where rank limits are wide, a league table says little (Goldstein and Spiegelhalter
    1996).

    References
    ----------
    Goldstein, H. and Spiegelhalter, D. J. (1996). League tables and their limitations: statistical issues in
    comparisons of institutional performance. Journal of the Royal Statistical Society, Series A 159(3), 385-443.
    doi:10.2307/2983325

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
    >>> model = CovariateLogLinear(model="R1*X1 + R2 + R3 + R4 + Y", n_boot=400)
    >>> estimate = model.fit(hp.datasets.load("simdat").collapse("X2", "X3", "X4"), rng=1)
    >>> order = ranks(estimate, ["X1", "Y"], top=3)
    >>> len(order.frame), round(float(order.frame["top_share"].sum()), 9)
    (8, 3.0)
    """
    names = covariate_names(estimate, by)
    check_whole("top", top)
    if estimate.stratum_draws is None:
        raise CapabilityError(
            f"{estimate.estimator.name} gives no draws by stratum, which ranks need; fit with an interval from a "
            "bootstrap, or with a Bayesian estimator"
        )
    chosen = settled_level(estimate, level)
    groups = groups_of(estimate, strata_of(estimate)[list(names)])
    if len(groups.members) < 2:
        raise SettingError(f"by={by!r} gives one group; an order needs at least 2")
    bottom = None if residents is None else _residents_of(estimate, groups, names, residents)
    places_shown = min(int(top), len(groups.members))
    frame, notes = _frame(estimate, groups, bottom, places_shown, chosen)
    return Ranks(
        by=names,
        frame=frame,
        top=places_shown,
        measure="persons" if residents is None else "rate",
        level=chosen,
        draws_are=estimate.draws_are,
        estimator=estimate.estimator.label,
        table=estimate.table,
        notes=(*limits_are_for(estimate), *added_years(estimate, apart=names), *notes),
    )


def _residents_of(
    estimate: Estimate, groups: Groups, names: Sequence[str], residents: pd.DataFrame
) -> Floats:
    known = read_residents(estimate, residents, names, ())
    bottom = np.array([known.of(own) for own in groups.members])
    named = distinct_texts(groups.levels.itertuples(index=False, name=None), " / ")
    wrong = [named[g] for g in np.flatnonzero(~(bottom > 0.0))]
    if wrong:
        raise TableError(
            f"residents are missing or zero for {', '.join(wrong[:5])}"
            f"{f' and {len(wrong) - 5} more' if len(wrong) > 5 else ''}; an order by rate needs them for all groups"
        )
    return bottom


def _frame(
    estimate: Estimate, groups: Groups, bottom: Floats | None, top: int, level: float
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    draws: Floats = np.asarray(groups.draws)
    found = places(draws if bottom is None else draws / bottom, top)
    n_groups = draws.shape[1]
    ends = [
        draw_limits(found.rank[:, g], level, "posterior", unknown=(1.0, float(n_groups)))
        for g in range(n_groups)
    ]
    low, high = group_limits(estimate, groups, level)
    frame = groups.levels.assign(
        n_observed=groups.n_observed,
        n_hat=groups.n_hat,
        low=low,
        high=high,
        rate=math.nan if bottom is None else 100_000.0 * groups.n_hat / bottom,
        rank=[draw_median(found.rank[:, g]) for g in range(n_groups)],
        rank_low=[low for low, _ in ends],
        rank_high=[high for _, high in ends],
        top_share=found.top_share,
        first_share=found.first_share,
        status=list(groups.status),
    )
    order = np.lexsort((_mean_rank(found), frame["rank"]))
    note = (
        f"in {found.n_unknown} of {len(draws)} draws some group has no number; every place is as likely there"
    )
    return frame.iloc[order].reset_index(drop=True), (note,) * bool(found.n_unknown)


def _mean_rank(found: Places) -> Floats:
    known = ~np.isnan(found.rank).any(axis=1)
    return found.rank[known].mean(axis=0) if known.any() else np.full(found.rank.shape[1], math.nan)
