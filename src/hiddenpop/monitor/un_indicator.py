"""`un_indicator`: SDG indicator 16.2.2, victims of trafficking per 100,000 residents, as the UN tables it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._front_door import front_door
from hiddenpop.errors import SettingError, TableError, UnknownNameError
from hiddenpop.monitor.groups import (
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
from hiddenpop.monitor.monitor_table import MonitorTable
from hiddenpop.monitor.rates import Residents, read_residents
from hiddenpop.monitor.withhold import marked, withheld_groups
from hiddenpop.result import Estimate, format_level
from hiddenpop.table import TableSummary

__all__ = ["OUR_COLUMNS", "UN_COLUMNS", "UNIndicator", "un_indicator"]

UN_COLUMNS = (
    "Goal",
    "Target",
    "Indicator",
    "SeriesCode",
    "SeriesDescription",
    "GeoAreaCode",
    "GeoAreaName",
    "TimePeriod",
    "Value",
    "Time_Detail",
    "TimeCoverage",
    "UpperBound",
    "LowerBound",
    "BasePeriod",
    "Source",
    "GeoInfoUrl",
    "FootNote",
    "Age",
    "Nature",
    "Reporting Type",
    "Sex",
    "Units",
)
OUR_COLUMNS = ("Part", "Form", "Level", "Status")

SERIES = "VC_HTF_DETV"
FORMS = {
    "": "",
    "FL": " for forced labour, servitude and slavery",
    "SX": " for sexual exploitation",
    "OG": " for removal of organs",
    "OP": " for other purposes",
}
TOTALS = {"Form": "", "Sex": "BOTHSEX", "Age": "ALLAGE"}
UNITS = {"NUMBER": "number", "PER_100000_POP": "per 100,000 population"}
PER = 100_000.0
FIGURES = ("Value", "LowerBound", "UpperBound", "Status")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class UNIndicator(MonitorTable):
    """Indicator 16.2.2 in the columns of the UN's global SDG database.

    Attributes
    ----------
    frame : DataFrame
        The columns `UN_COLUMNS`, filled where they apply, and ours: ``Part`` (``"detected"``, ``"undetected"``,
        ``"total"``), ``Form`` (code of the form of exploitation), ``Level`` of the bounds, ``Status`` of the estimate.
    level : float
    estimator : str
    table : TableSummary
    withheld : ndarray of bool
        Rows that must not leave when the table is not public.
    notes : tuple of str
    """

    frame: pd.DataFrame
    level: float
    estimator: str
    table: TableSummary
    withheld: npt.NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    def protected_frame(self) -> pd.DataFrame:
        """Give the frame as it may leave if the table is not public: few persons, and what tells them, marked."""
        if self.table.public:
            return self.frame
        return marked(self.frame, self.withheld, FIGURES)

    def text(self) -> str:
        """Write a line a year: rates of all persons, detected and in all."""
        every = self.frame[(self.frame["Sex"] == TOTALS["Sex"]) & (self.frame["Age"] == TOTALS["Age"])]
        rate = every[(every["Form"] == "") & (every["Units"] == "PER_100000_POP")]
        lines = [
            f"  {row['TimePeriod']}, {row['Part']}: {row['Value']:.3g}"
            + (f" ({row['LowerBound']:.3g} to {row['UpperBound']:.3g})" if row["Part"] != "detected" else "")
            for _, row in rate.iterrows()
        ]
        of = f"({self.estimator}; {format_level(self.level)} bounds)"
        head = f"{self.table.name}: indicator 16.2.2, per 100,000 residents {of}"
        return "\n".join([head, *lines, *(f"  note: {note}" for note in self.notes)])


@front_door
def un_indicator(
    estimate: Estimate,
    residents: pd.DataFrame,
    mapping: Mapping[str, tuple[str, Mapping[str, str]]],
    *,
    area: tuple[str, str],
    year: str | int,
    source: str = "",
    reporting_type: str = "N",
    level: float | None = None,
) -> UNIndicator:
    """Give SDG indicator 16.2.2 by sex, age and form of exploitation, detected and undetected.

    Parameters
    ----------
    estimate : Estimate
        Of an estimator that models strata.
    residents : DataFrame
        As for `rates`. They need not be divided by the form of exploitation.
    mapping : mapping of str to (str, mapping of str to str)
        For each covariate its dimension, ``"Sex"``, ``"Age"`` or ``"Form"``, and the UN code of each level, e.g.
        ``{"gender": ("Sex", {"woman": "FEMALE", "man": "MALE"}), "minor": ("Age", {"yes": "<18Y", "no": "18+"}),
        "form": ("Form", {"labour": "FL", "sexual": "SX", "criminal": "OP"})}``. Levels of one code are added up.
    area : (str, str)
        Code (M49) and name of the country, e.g. ``("528", "Netherlands")``.
    year : str or int
        The covariate of years, or the year of the table.
    source : str
        Who made the figures.
    reporting_type : str
        ``"N"`` for national, ``"G"`` for global reporting.
    level : float, optional
        Of the bounds; by default that of the estimate.

    Returns
    -------
    UNIndicator
        For every year and every combination of levels and totals a number and a rate, for each of three parts.

    Raises
    ------
    CapabilityError
        For an estimate without strata, or for sums of strata without draws.
    UnknownNameError
        For a covariate or a dimension that is not there, and for levels without a code.
    TableError
        For residents that are missing or zero, with all faults in one message.
    SettingError
        For a setting it cannot have.

    Warns
    -----
    PersonYearsWarning
        If `year` is a number though the strata hold several years.

    Notes
    -----
    The UN's database has series of detected victims only: ``VC_HTF_DETV`` and, by form, ``VC_HTF_DETVFL``, ``...SX``,
    ``...OG`` and ``...OP`` in numbers, and the same with an R at the end per 100,000 population. Its columns, codes of
    sex and age, ``Nature`` (``"C"`` country data, ``"E"`` estimated) and ``Units`` are used as they stand there.

    Ours are the rows of the undetected and of the total, which have no series of the UN and so no ``SeriesCode``; in
    them ``LowerBound`` and ``UpperBound``, which the UN leaves empty for this indicator; and the columns ``Part``,
    ``Form``, ``Level`` and ``Status``. The undetected are the total less the detected, with bounds moved alike.
    ``Value`` is empty where an estimate has no number, and an ``UpperBound`` may be infinite.

    Bounds are for the persons in the group. Rates by form are set against all residents of the sex and age. Residents
    are taken as known. Years are never added up.

    References
    ----------
    United Nations Statistics Division. SDG indicator metadata, indicator 16.2.2.
    https://unstats.un.org/sdgs/metadata/files/Metadata-16-02-02.pdf

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
    >>> model = CovariateLogLinear(model="R1*X1 + R2 + R3 + R4 + Y", n_boot=400)
    >>> estimate = model.fit(hp.datasets.load("simdat").collapse("X2", "X3", "X4"), rng=1)
    >>> made_up = pd.DataFrame({"X1": ["1", "2"], "residents": [600_000, 500_000]})
    >>> codes = {"X1": ("Sex", {"1": "FEMALE", "2": "MALE"})}
    >>> shown = un_indicator(estimate, made_up, codes, area=("528", "Netherlands"), year=2019)
    >>> rows = shown.frame[shown.frame["SeriesCode"] == "VC_HTF_DETVR"]
    >>> rows[["Sex", "Value"]].round(1).to_dict("list")
    {'Sex': ['BOTHSEX', 'FEMALE', 'MALE'], 'Value': [94.8, 93.3, 96.6]}
    """
    dimensions = _checked_mapping(estimate, mapping)
    chosen = settled_level(estimate, level)
    strata = strata_of(estimate)
    apart = covariate_names(estimate, year) if isinstance(year, str) else ()
    labels = _labels(strata, mapping, dimensions, year)
    undivided = tuple(c for c, d in dimensions.items() if d == "Form" and c not in residents.columns)
    known = read_residents(estimate, residents, (*apart, *dimensions), undivided)
    base = _Base(
        area=area, source=source, reporting_type=reporting_type, level=chosen, footnote=_footnote(estimate)
    )
    present = [d for d in TOTALS if d in dimensions.values()]
    tables = [
        _rows(estimate, _totalled(labels, present, shown), known, base)
        for size in range(len(present) + 1)
        for shown in combinations(present, size)
    ]
    _check_residents(pd.concat(tables))
    frame = pd.concat(tables, ignore_index=True)
    order = frame["TimePeriod"].map({y: i for i, y in enumerate(level_order(labels["TimePeriod"]))})
    frame = frame.iloc[np.argsort(order.to_numpy(), kind="stable")].reset_index(drop=True)
    return UNIndicator(
        frame=frame[[*UN_COLUMNS, *OUR_COLUMNS]],
        level=chosen,
        estimator=estimate.estimator.label,
        table=estimate.table,
        withheld=_withheld(estimate, labels, present, frame),
        notes=(*limits_are_for(estimate), *added_years(estimate, apart=apart)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What is the same in all rows."""

    area: tuple[str, str]
    source: str
    reporting_type: str
    level: float
    footnote: str


def _checked_mapping(
    estimate: Estimate, mapping: Mapping[str, tuple[str, Mapping[str, str]]]
) -> dict[str, str]:
    """Give the dimension of each covariate, after checking that every level has a code."""
    names = covariate_names(estimate, tuple(mapping)) if mapping else ()
    strata, faults = strata_of(estimate), []
    for name in names:
        dimension, codes = mapping[name]
        if dimension not in TOTALS:
            raise UnknownNameError(f"no dimension {dimension!r}: there is {', '.join(map(repr, TOTALS))}")
        absent = [level for level in level_order(strata[name]) if level not in codes]
        faults += [f"{level!r} of {name!r}" for level in absent]
        if TOTALS[dimension] and TOTALS[dimension] in codes.values():
            raise SettingError(
                f"the code {TOTALS[dimension]!r} of {name!r} is that of all levels added up; give a level its own code"
            )
        wrong = [code for code in codes.values() if dimension == "Form" and (not code or code not in FORMS)]
        if wrong:
            raise SettingError(
                f"the form {wrong[0]!r} of {name!r} is not one of {', '.join(list(FORMS)[1:])}"
            )
    if faults:
        raise UnknownNameError(f"no UN code for {', '.join(faults)}; add them to mapping")
    dimensions = {name: mapping[name][0] for name in names}
    if len(set(dimensions.values())) < len(dimensions):
        raise SettingError(
            f"mapping gives two covariates the same dimension: {dimensions}; choose one of them"
        )
    return dimensions


def _labels(
    strata: pd.DataFrame,
    mapping: Mapping[str, tuple[str, Mapping[str, str]]],
    dimensions: Mapping[str, str],
    year: str | int,
) -> pd.DataFrame:
    """Give the UN codes of every stratum."""
    labels = pd.DataFrame(
        {"TimePeriod": strata[year] if isinstance(year, str) else str(year)}, index=strata.index
    )
    for name, dimension in dimensions.items():
        labels[dimension] = strata[name].map(dict(mapping[name][1]))
    return labels


def _totalled(labels: pd.DataFrame, present: Sequence[str], shown: Sequence[str]) -> pd.DataFrame:
    """Put the code of the total in the place of the dimensions that are not shown."""
    totals = {dimension: code for dimension, code in TOTALS.items() if dimension not in shown}
    return labels.assign(**totals)[["TimePeriod", *TOTALS]].astype("str")


def _rows(estimate: Estimate, labels: pd.DataFrame, known: Residents, base: _Base) -> pd.DataFrame:
    """Lay out one table of groups: three parts, in numbers and per 100,000."""
    groups = groups_of(estimate, labels)
    low, high = group_limits(estimate, groups, base.level)
    rows: list[dict[str, Any]] = []
    for g, codes in enumerate(groups.levels.to_dict("records")):
        bottom = known.of(groups.members[g])
        for part, figures in _parts(groups, g, low[g], high[g]).items():
            for unit in UNITS:
                scale = 1.0 if unit == "NUMBER" else PER / bottom if bottom > 0.0 else math.nan
                rows.append(
                    _row(codes, part, unit, figures, scale, groups.status[g], base) | {"\0bottom": bottom}
                )
    return pd.DataFrame(rows)


def _parts(groups: Groups, g: int, low: float, high: float) -> dict[str, tuple[float, float, float]]:
    """Give value and bounds of the three parts."""
    n, n_hat = float(groups.n_observed[g]), float(groups.n_hat[g])
    point = n_hat if math.isfinite(n_hat) else math.nan
    return {
        "detected": (n, math.nan, math.nan),
        "undetected": (point - n, low - n, high - n),
        "total": (point, low, high),
    }


def _row(
    codes: Mapping[Any, str],
    part: str,
    unit: str,
    figures: tuple[float, float, float],
    scale: float,
    status: str,
    base: _Base,
) -> dict[str, Any]:
    detected, rate = part == "detected", unit != "NUMBER"
    who = {"detected": "Detected victims", "undetected": "Undetected victims", "total": "All victims"}[part]
    described = f"{who} of human trafficking{FORMS[codes['Form']]}, by age and sex ({UNITS[unit]})"
    value, lower, upper = (figure * scale for figure in figures)
    return {
        **dict.fromkeys(UN_COLUMNS, ""),
        "Goal": "16",
        "Target": "16.2",
        "Indicator": "16.2.2",
        "SeriesCode": f"{SERIES}{codes['Form']}{'R' if rate else ''}" if detected else "",
        "SeriesDescription": described if detected else f"{described}, not a series of the UN",
        "GeoAreaCode": str(base.area[0]),
        "GeoAreaName": base.area[1],
        **codes,
        "Value": value,
        "UpperBound": upper,
        "LowerBound": lower,
        "Source": base.source,
        "FootNote": "" if detected else base.footnote,
        "Nature": "C" if detected else "E",
        "Reporting Type": base.reporting_type,
        "Units": unit,
        "Part": part,
        "Level": math.nan if detected else base.level,
        "Status": "ok" if detected else status,
    }


def _footnote(estimate: Estimate) -> str:
    return f"Multiple systems estimation: {estimate.estimator.label}; residents taken as known"


def _check_residents(frame: pd.DataFrame) -> None:
    """Refuse groups without residents, named."""
    wrong = frame[~(frame["\0bottom"] > 0.0)][["TimePeriod", "Sex", "Age"]].drop_duplicates()
    if len(wrong):
        named = "; ".join(", ".join(row) for row in wrong.head(5).itertuples(index=False, name=None))
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise TableError(f"residents are missing or zero for {named}{more}; give them")


def _withheld(
    estimate: Estimate, labels: pd.DataFrame, present: Sequence[str], frame: pd.DataFrame
) -> npt.NDArray[np.bool_]:
    """Mark the rows whose persons, or whose sums, are too few."""
    if estimate.table.public:
        return np.zeros(len(frame), dtype=np.bool_)
    fine = labels[["TimePeriod", *present]]
    counts = strata_of(estimate)["n_observed"].astype(np.int64).tolist()
    found = withheld_groups(fine, counts, apart=["TimePeriod"])
    rows = []
    for row in frame[["TimePeriod", *present]].to_dict("records"):
        shown = tuple(name for name in row if name == "TimePeriod" or row[name] != TOTALS[str(name)])
        rows.append(tuple(row[name] for name in shown) in found[tuple(map(str, shown))])
    return np.array(rows, dtype=np.bool_)
