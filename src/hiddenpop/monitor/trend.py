"""`trend`: how many there were year by year, and what changed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._cells import distinct_texts
from hiddenpop._front_door import front_door
from hiddenpop._typing import Floats
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.kernels.resampling.bootstrap_limits import DRAWS_BEYOND
from hiddenpop.monitor.groups import (
    WITHOUT_NUMBER,
    Groups,
    covariate_names,
    group_limits,
    groups_of,
    limits_are_for,
    settled_level,
    strata_of,
)
from hiddenpop.monitor.limits import draw_limits, draw_median, simultaneous_band, upward_share
from hiddenpop.monitor.monitor_table import MonitorTable
from hiddenpop.monitor.subgroups import persons_in_words
from hiddenpop.monitor.withhold import marked, withheld_rows
from hiddenpop.result import Estimate, format_level, format_persons
from hiddenpop.table import TableSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Trend", "share_name", "trend"]


YEAR_FIGURES = ("n_observed", "n_hat", "low", "high", "simultaneous_low", "simultaneous_high", "status")
CHANGE_FIGURES = (
    "difference",
    "difference_low",
    "difference_high",
    "ratio",
    "ratio_low",
    "ratio_high",
    "increase_share",
    "status",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Trend(MonitorTable):
    """Numbers year by year, and the changes between them.

    Attributes
    ----------
    year : str
        The covariate that holds the years.
    by : tuple of str
        Covariates whose levels have a trend each; none for one trend.
    frame : DataFrame
        One row a group and year: the covariates in `by`, ``year`` as a number, ``n_observed``, ``n_hat``, ``low`` and
        ``high`` for this year alone, ``simultaneous_low`` and ``simultaneous_high`` for all years of the group at once,
        and ``status``.
    changes : DataFrame
        One row a group and pair of years: ``kind`` (``"consecutive"`` or ``"first to last"``), ``from_year``,
        ``to_year``, ``difference`` and ``ratio`` of the later to the earlier with limits, ``increase_share`` (share of
        the draws that went up) and ``status``.
    level : float
        Of all limits. Those of changes are for one change alone.
    draws_are : {"posterior", "bootstrap"}
    estimator : str
    table : TableSummary
    notes : tuple of str
        Years that are missing, and limits that rest on few draws.
    """

    year: str
    by: tuple[str, ...]
    frame: pd.DataFrame
    changes: pd.DataFrame
    level: float
    draws_are: str
    estimator: str
    table: TableSummary
    notes: tuple[str, ...] = ()

    @property
    def withheld(self) -> npt.NDArray[np.bool_]:
        """Rows of `frame` that must not leave when the table is not public."""
        if self.table.public:
            return np.zeros(len(self.frame), dtype=np.bool_)
        levels = self.frame[[*self.by, "year"]].astype(str)
        return withheld_rows(levels, self.frame["n_observed"].tolist())

    def protected_frame(self) -> pd.DataFrame:
        """Give the frame as it may leave: years of few persons, and what tells them, marked."""
        return marked(self.frame, self.withheld, YEAR_FIGURES)

    def protected_changes(self) -> pd.DataFrame:
        """Give the changes as they may leave: those from or to a withheld year marked."""
        hidden = self.frame.loc[self.withheld, [*self.by, "year"]]
        keys = set(hidden.itertuples(index=False, name=None))
        ends = (self.changes[[*self.by, name]].itertuples(index=False, name=None) for name in PAIR)
        rows = np.array([a in keys or b in keys for a, b in zip(*ends, strict=True)], dtype=np.bool_)
        return marked(self.changes, rows, CHANGE_FIGURES)

    def text(self) -> str:
        """Write a line a year and a line a change."""
        head = f"{self.table.name} by {self.year} ({self.estimator}; {format_level(self.level)} limits"
        lines = [f"{head}, in brackets those for all years at once)"]
        lines += [f"  {_year_line(row, self.by)}" for _, row in self.frame.iterrows()]
        lines += [f"  {_change_line(row, self.by, self.draws_are)}" for _, row in self.changes.iterrows()]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the years (`hiddenpop.plotting.trend_plot`, or `subgroup_plot` for several groups)."""
        from hiddenpop.plotting import subgroup_plot, trend_plot

        return subgroup_plot(self, ax=ax, **options) if self.by else trend_plot(self, ax=ax, **options)


PAIR = ("from_year", "to_year")


def share_name(draws_are: str) -> str:
    """Call shares of draws by their name.

    Examples
    --------
    >>> share_name("posterior"), share_name("bootstrap")
    ('posterior probability', 'share of resamples')
    """
    return "posterior probability" if draws_are == "posterior" else "share of resamples"


@front_door
def trend(
    estimate: Estimate,
    year: str = "year",
    by: str | Sequence[str] | None = None,
    *,
    level: float | None = None,
) -> Trend:
    """Give numbers year by year with limits for each year and for all years at once, and the changes.

    Parameters
    ----------
    estimate : Estimate
        Of an estimator that models strata and gives draws by stratum.
    year : str
        The covariate that holds the years, whole numbers.
    by : str or sequence of str, optional
        Covariates whose levels have a trend each. All others are added up within a year.
    level : float, optional
        Of the limits; by default that of the estimate.

    Returns
    -------
    Trend
        Years in the order of their numbers. Changes are from a year to the next one and from the first to the last.

    Raises
    ------
    CapabilityError
        For an estimate without strata or without draws by stratum.
    UnknownNameError
        For a covariate that is not there.
    SettingError
        For years that are not whole numbers, or a level that the draws cannot carry.

    Notes
    -----
    The limits of a year hold the persons of that year with the stated probability: those who were there, not the number
    that would be expected there again. An estimate by `CovariateLogLinear` with ``limits_of="expected"`` gives limits
    for the latter, wider bands, and shares of an increase nearer to a half. Those of all years at once hold the whole
    path of numbers with it: they are the smallest band of pointwise quantiles, between draws of the same rank from
    below and from above in every year, inside which the stated share of the draws lies in all years (Besag et al.
    1995). They are wider, and it is to them that a reading of the whole figure belongs. Several groups each have their
    own band.

    Changes are computed draw by draw, so that what the years share cancels. A draw that is unknown counts half in the
    share that went up, as does one without a change.

    A change of the estimate is a change of the population only if the lists kept working in the same way: where a list
    starts, stops or changes its habits, see `trend_by_list`. Years that nobody was observed in are named in the notes
    and no change is computed across them, except from the first to the last year.

    References
    ----------
    Besag, J., Green, P., Higdon, D. and Mengersen, K. (1995). Bayesian computation and stochastic systems. Statistical
    Science 10(1), 3-41. doi:10.1214/ss/1177010123

    Examples
    --------
    >>> from hiddenpop.result import EstimatorSpec, Interval
    >>> from hiddenpop.table import TableSummary
    >>> draws = np.random.default_rng(1).poisson([300, 400], size=(1000, 2)).astype(float)
    >>> strata = pd.DataFrame({"year": ["2020", "2021"], "n_observed": [90, 95], "n_hat": [300.0, 400.0]})
    >>> made_up = Estimate(
    ...     n_hat=700.0, n_observed=185, interval=Interval(650.0, 750.0, 0.95, "made up"), status="ok",
    ...     estimator=EstimatorSpec("made_up", {}), table=TableSummary("made up", "", ("a", "b"), True),
    ...     draws=draws.sum(axis=1), stratum_draws=draws, draws_are="posterior",
    ...     by_stratum=strata.assign(low=260.0, high=440.0, status="ok"))
    >>> change = trend(made_up).changes.iloc[0]
    >>> round(float(change["ratio"]), 1), float(change["increase_share"])
    (1.3, 0.999)
    """
    (name,) = covariate_names(estimate, year)
    others = () if by is None else covariate_names(estimate, by)
    if name in others:
        raise SettingError(f"by={by!r} names {name!r}, which already gives the years; name other covariates")
    if estimate.stratum_draws is None:
        raise CapabilityError(
            f"changes, and limits for all years at once, need draws by stratum, which {estimate.estimator.name} does "
            "not give here; fit with an interval from a bootstrap, or with a Bayesian estimator"
        )
    chosen = settled_level(estimate, level)
    groups = groups_of(estimate, strata_of(estimate)[[*others, name]])
    numbers = _years(name, groups.levels[name])
    paths = _paths(groups, others, numbers)
    frames, notes = zip(*(_path_frame(estimate, groups, path, chosen) for path in paths), strict=True)
    frame = pd.concat(frames)
    levels = groups.levels[list(others)].iloc[frame.index].assign(year=numbers[frame.index])
    return Trend(
        year=name,
        by=others,
        frame=pd.concat([levels, frame], axis=1).reset_index(drop=True),
        changes=_changes(estimate, groups, others, numbers, paths, chosen),
        level=chosen,
        draws_are=estimate.draws_are,
        estimator=estimate.estimator.label,
        table=estimate.table,
        notes=(
            *limits_are_for(estimate),
            *_missing_years(groups, others, numbers, paths),
            *dict.fromkeys(n for n in notes if n),
        ),
    )


def _years(name: str, levels: "pd.Series[str]") -> npt.NDArray[np.int64]:
    wrong = [level for level in levels.unique() if not level.strip().lstrip("+-").isdecimal()]
    if wrong:
        raise SettingError(
            f"{name!r} has the level {wrong[0]!r}, which is not a whole number; name the covariate of years, or give "
            "its levels as numbers"
        )
    return np.array([int(level) for level in levels], dtype=np.int64)


def _paths(
    groups: Groups, others: Sequence[str], numbers: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.int64]]:
    """List, for each trend, the positions of its years in their order."""
    found: dict[tuple[str, ...], list[int]] = {}
    rows = groups.levels[list(others)].itertuples(index=False, name=None)
    for position, row in enumerate(rows if others else [()] * len(groups.levels)):
        found.setdefault(row, []).append(position)
    return [np.array(sorted(own, key=lambda i: int(numbers[i]))) for own in found.values()]


def _path_frame(
    estimate: Estimate, groups: Groups, path: npt.NDArray[np.int64], level: float
) -> tuple[pd.DataFrame, str]:
    """Lay out the figures of one trend, with a note where its band rests on few draws."""
    draws: Floats = np.asarray(groups.draws)[:, path]
    low, high = (ends[path] for ends in group_limits(estimate, groups, level))
    band = simultaneous_band(draws, level, groups.n_observed[path].astype(np.float64))
    frame = pd.DataFrame(
        {
            "n_observed": groups.n_observed[path],
            "n_hat": groups.n_hat[path],
            "low": low,
            "high": high,
            "simultaneous_low": np.minimum(band.low, low),
            "simultaneous_high": np.maximum(band.high, high),
            "status": [groups.status[i] for i in path],
        },
        index=path,
    )
    few = len(path) > 1 and band.rank < DRAWS_BEYOND
    note = (
        f"the limits for all years at once leave fewer than {DRAWS_BEYOND} draws beyond them; take more draws"
    )
    return frame, note if few else ""


# --- changes ----------------------------------------------------------------------------------------------------------


def _changes(
    estimate: Estimate,
    groups: Groups,
    others: Sequence[str],
    numbers: npt.NDArray[np.int64],
    paths: Sequence[npt.NDArray[np.int64]],
    level: float,
) -> pd.DataFrame:
    rows = []
    for path in paths:
        pairs = [("consecutive", a, b) for a, b in pairwise(path) if numbers[b] == numbers[a] + 1]
        pairs += [("first to last", path[0], path[-1])] if len(path) > 1 else []
        for kind, first, last in pairs:
            named = groups.levels.loc[first, list(others)].to_dict() if others else {}
            years = {"kind": kind, "from_year": int(numbers[first]), "to_year": int(numbers[last])}
            rows.append({**named, **years, **_change(estimate, groups, int(first), int(last), level)})
    return pd.DataFrame(rows, columns=[*others, "kind", *PAIR, *CHANGE_FIGURES])


def _change(estimate: Estimate, groups: Groups, first: int, last: int, level: float) -> dict[str, Any]:
    """Compute difference and ratio of two years, draw by draw."""
    draws: Floats = np.asarray(groups.draws)
    before, after = draws[:, first], draws[:, last]
    with np.errstate(invalid="ignore", divide="ignore"):
        difference, ratio = after - before, after / before
        plain = groups.n_hat[last] - groups.n_hat[first], groups.n_hat[last] / groups.n_hat[first]
    status = _worse(groups.status[first], groups.status[last])
    if status in WITHOUT_NUMBER:
        plain = math.nan, math.nan
    elif estimate.draws_are == "posterior":
        plain = draw_median(difference), draw_median(ratio)
    kind = estimate.draws_are
    limits = [
        *draw_limits(difference, level, kind, unknown=(-math.inf, math.inf)),
        *draw_limits(ratio, level, kind, unknown=(0.0, math.inf)),
    ]
    figures = (plain[0], *limits[:2], plain[1], *limits[2:], upward_share(before, after), status)
    return dict(zip(CHANGE_FIGURES, figures, strict=True))


def _worse(first: str, last: str) -> str:
    order = (*WITHOUT_NUMBER, "boundary", "ok")
    return min((first, last), key=lambda status: order.index(status) if status in order else -1)


def _missing_years(
    groups: Groups,
    others: Sequence[str],
    numbers: npt.NDArray[np.int64],
    paths: Sequence[npt.NDArray[np.int64]],
) -> tuple[str, ...]:
    """Name the years between the first and the last for which there is no stratum."""
    lacking: dict[tuple[int, ...], list[str]] = {}
    rows = [groups.levels.loc[path[0], list(others)] if others else () for path in paths]
    for path, name in zip(paths, distinct_texts(rows, " / "), strict=True):
        own = set(numbers[path].tolist())
        missing = tuple(y for y in range(int(numbers.min()), int(numbers.max()) + 1) if y not in own)
        lacking.setdefault(missing, []).append(name)
    return tuple(
        f"{'' if len(names) == len(paths) else _few(names) + ': '}no estimate for {_few(list(map(str, missing)))}; "
        "the years around are not joined"
        for missing, names in lacking.items()
        if missing
    )


def _few(names: Sequence[str]) -> str:
    """List names, the first ten of many."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


# --- in words ---------------------------------------------------------------------------------------------------------


def _year_line(row: "pd.Series[Any]", by: Sequence[str]) -> str:
    name = " / ".join([*(str(row[covariate]) for covariate in by), str(row["year"])])
    low, high = row["simultaneous_low"], row["simultaneous_high"]
    band = " to ".join(format_persons(x, high - low, row["n_observed"]) for x in (low, high))
    return f"{name}: {persons_in_words(row)} [{band}]; {row['n_observed']:,} observed"


def _change_line(row: "pd.Series[Any]", by: Sequence[str], draws_are: str) -> str:
    name = " / ".join(str(row[covariate]) for covariate in by)
    years = f"{row['from_year']} to {row['to_year']}"
    ratio, low, high = (_ratio_text(row[key]) for key in ("ratio", "ratio_low", "ratio_high"))
    share = f"{share_name(draws_are)} of an increase {row['increase_share']:.2f}"
    return f"{name + ', ' if name else ''}{years}: times {ratio} ({low} to {high}); {share}"


def _ratio_text(ratio: float) -> str:
    if math.isnan(ratio):
        return "none"
    return "no limit" if math.isinf(ratio) else f"{ratio:.2f}"
