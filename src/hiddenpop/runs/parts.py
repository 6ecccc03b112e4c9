"""The section ``[monitor]``: subgroups, rates, years, ranks and the UN indicator of one estimate."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hiddenpop._files import read_file
from hiddenpop.errors import HiddenpopError
from hiddenpop.estimators.base import contract
from hiddenpop.monitor import ranks, rates, subgroups, trend, trend_by_list, un_indicator
from hiddenpop.result import Estimate
from hiddenpop.runs.data import Input, digest_of_file
from hiddenpop.runs.schema import (
    Key,
    anything,
    named_groups,
    near,
    number_below_one,
    read_section,
    shown,
    text,
)
from hiddenpop.table import CaptureTable

__all__ = ["KINDS", "PartPlan", "make_part", "read_parts"]

Faults = list[str]
RESIDENTS = "residents"

KINDS: dict[str, dict[str, Key]] = {
    "subgroups": {"by": Key(named_groups, "name the covariates"), "level": Key(number_below_one)},
    "trend": {
        "year": Key(text, "name the covariate of the years"),
        "by": Key(named_groups),
        "level": Key(number_below_one),
    },
    "trend_by_list": {
        "year": Key(text, "name the covariate of the years"),
        "level": Key(number_below_one),
    },
    "rates": {
        "by": Key(named_groups, "name the covariates"),
        RESIDENTS: Key(text, "name the file of residents"),
        "per": Key(anything),
        "undivided": Key(named_groups),
        "allow_missing": Key(anything),
        "level": Key(number_below_one),
    },
    "ranks": {
        "by": Key(named_groups, "name the covariates"),
        "top": Key(anything),
        RESIDENTS: Key(text),
        "level": Key(number_below_one),
    },
    "un_indicator": {
        RESIDENTS: Key(text, "name the file of residents"),
        "mapping": Key(anything, "say which covariate is which dimension"),
        "area": Key(anything, 'give code and name, ["528", "Netherlands"]'),
        "year": Key(anything, "name the covariate of the years, or the year"),
        "source": Key(anything),
        "reporting_type": Key(anything),
        "level": Key(number_below_one),
    },
}
"""What a monitor can make of an estimate, and the settings of each."""

SHORT = {"subgroups": "by", "trend": "year", "trend_by_list": "year", "ranks": "by"}
"""The setting that stands alone where a part is written short: ``trend = "year"``."""

COVARIATES = ("by", "undivided")
YEARS = ("trend", "trend_by_list")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartPlan:
    """One thing to make of an estimate.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    label : str
        The kind with its number.
    settings : mapping
        Arguments of the function of that kind, residents apart.
    residents : DataFrame or None
    """

    kind: str
    label: str
    settings: Mapping[str, Any]
    residents: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """What the parts of a plan are about.

    Parameters
    ----------
    folder : Path
        That files are named from.
    table : CaptureTable or None
    estimators : mapping of str to Estimator
    chosen : str
        The label in ``[choice]``.
    """

    folder: Path
    table: CaptureTable | None
    estimators: Mapping[str, Any]
    chosen: str


def read_parts(
    given: Any, setting: Setting, faults: Faults
) -> tuple[tuple[PartPlan, ...], str, tuple[Input, ...]]:
    """Read what a monitor is to make of an estimate.

    Returns
    -------
    parts : tuple of PartPlan
    estimator : str
        The label of the estimate that they are made of.
    inputs : tuple of Input
        Files of residents.
    """
    keys = {"estimator": Key(text), **{kind: Key(anything) for kind in KINDS}}
    section = read_section("[monitor]", given, keys, faults)
    label = section.pop("estimator", setting.chosen)
    if label not in setting.estimators and label != setting.chosen:
        faults.append(
            f"[monitor] there is no estimator labelled {shown(label)}; {near(label, setting.estimators)}"
        )
    parts, inputs = [], {}
    for kind, wanted in section.items():
        for place, item in enumerate(_several(kind, wanted), 1):
            part, read = _part(kind, f"{kind}-{place}", item, setting, faults)
            parts.append(part)
            inputs.update({source.name: source for source in read})
    _refuse_unmodelled(parts, setting, label, faults)
    return tuple(parts), label, tuple(inputs.values())


def _several(kind: str, wanted: Any) -> list[Any]:
    """Give the parts of one kind: a list of sections or of lists of covariates is several, all else is one."""
    if isinstance(wanted, list) and wanted and all(isinstance(item, Mapping) for item in wanted):
        return wanted
    if kind in SHORT and not isinstance(wanted, Mapping):
        groups = wanted if isinstance(wanted, list) and any(isinstance(x, list) for x in wanted) else [wanted]
        return [{SHORT[kind]: item} for item in groups]
    return [wanted]


def _part(
    kind: str, label: str, given: Any, setting: Setting, faults: Faults
) -> tuple[PartPlan, list[Input]]:
    where = f"[monitor] {label}"
    settings = read_section(where, given, KINDS[kind], faults)
    settings.update({key: _names(settings[key]) for key in COVARIATES if key in settings})
    if kind == "un_indicator":
        settings = {key: _tuples(value) for key, value in settings.items()}
    _refuse_unknown(settings, kind, setting.table, where, faults)
    path = settings.pop(RESIDENTS, None)
    frame, inputs = (None, []) if path is None else _read_residents(str(path), setting.folder, where, faults)
    return PartPlan(kind=kind, label=label, settings=settings, residents=frame), inputs


def _names(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _covariates_named(settings: Mapping[str, Any], kind: str) -> list[str]:
    named = [name for key in COVARIATES for name in settings.get(key, ()) if isinstance(name, str)]
    return [*named, *([settings["year"]] if kind in YEARS and "year" in settings else [])]


def _refuse_unknown(
    settings: Mapping[str, Any], kind: str, table: CaptureTable | None, where: str, faults: Faults
) -> None:
    if table is None:
        return
    known = list(map(str, table.strata.columns))
    for name in _covariates_named(settings, kind):
        if name not in known:
            hint = near(name, known) if known else "the table has no strata"
            faults.append(f"{where}: there is no covariate {shown(name)}; {hint}")


def _refuse_unmodelled(parts: list[PartPlan], setting: Setting, label: str, faults: Faults) -> None:
    """Refuse parts by covariates that the estimator adds up."""
    method = setting.estimators.get(label)
    if method is None or setting.table is None or not parts:
        return
    strata = contract(method).strata_of(setting.table)
    if strata is None:
        return
    for part in parts:
        asked = _covariates_named(part.settings, part.kind)
        absent = [name for name in asked if name in setting.table.strata.columns and name not in strata]
        if absent or not strata:
            what = f"by {', '.join(absent)}" if absent else "by strata"
            faults.append(
                f"[monitor] {part.label}: the estimator {shown(label)} gives no numbers {what}; take one that models "
                f"strata, or name another with estimator = ..."
            )


def _read_residents(
    name: str, folder: Path, where: str, faults: Faults
) -> tuple[pd.DataFrame | None, list[Input]]:
    """Read a file of residents, its levels as text; numbers of residents are public."""
    path = folder / name
    try:
        columns = [str(column) for column in read_file(path, ()).columns]
        frame = read_file(path, [column for column in columns if column != RESIDENTS])
        return frame, [Input(name, "file", digest_of_file(path, public=True))]
    except HiddenpopError as error:
        faults.append(f"{where}: {error}")
        return None, []


def make_part(part: PartPlan, estimate: Estimate, estimator: Any, table: CaptureTable, seed: int) -> Any:
    """Make a part of an estimate.

    Parameters
    ----------
    part : PartPlan
    estimate : Estimate
    estimator : Estimator
        That made it; fitted again without each list for ``trend_by_list``.
    table : CaptureTable
    seed : int
        Of the estimate.

    Returns
    -------
    Subgroups, Rates, Trend, TrendByList, Ranks or UNIndicator
    """
    settings = dict(part.settings)
    if part.kind == "trend_by_list":
        return trend_by_list(estimator, table, rng=seed, **settings)
    if part.kind in ("rates", "un_indicator"):
        per_residents: Any = rates if part.kind == "rates" else un_indicator
        return per_residents(estimate, part.residents, **settings)
    if part.kind == "ranks":
        return ranks(estimate, residents=part.residents, **settings)
    of_strata: Any = subgroups if part.kind == "subgroups" else trend
    return of_strata(estimate, **settings)
