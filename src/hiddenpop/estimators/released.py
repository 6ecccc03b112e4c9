"""What may leave of estimates of a table that is not public: the floor, judged together."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.disclosure import Base, Disclosed, EstimateRecord, Release, ReleaseRules, release
from hiddenpop.errors import HiddenpopError
from hiddenpop.estimators.base import Facts, read_facts
from hiddenpop.estimators.registry import build
from hiddenpop.histories import decode
from hiddenpop.result import Estimate
from hiddenpop.table import CaptureTable

__all__ = ["base_of", "release_estimates", "released_estimates"]

MOST_CELLS = 2_000
"""Above this many cells answers are not judged, and so do not leave."""

REDRAWN, DEAR_WORK, QUICK_CELLS = 30, 12_000, 15
"""How often an answer that needs random numbers is worked out for another table: so often at most, and so often that
this, divided by the square of the number of cells, is not passed. For averages of models half of it from so many cells
on; below they are quick."""


def released_estimates(
    table: CaptureTable, estimates: Mapping[str, Estimate], rules: ReleaseRules | None = None
) -> dict[str, Any]:
    """Give what may leave of the estimates of one table, as `release_estimates` does, and nothing else.

    Parameters
    ----------
    table : CaptureTable
    estimates : mapping of str to Estimate
    rules : ReleaseRules, optional

    Returns
    -------
    dict

    Examples
    --------
    >>> import hiddenpop as hp
    >>> table = hp.datasets.load("korea").with_meta(public=False)
    >>> found = released_estimates(table, {"independence": hp.estimate(table, "loglinear")})["estimates"][0]
    >>> found["n_hat"], found["interval"]["low"], found["n_observed"]
    (140.0, 130.0, 125)
    """
    return release_estimates(table, estimates, rules)[1]


def release_estimates(
    table: CaptureTable,
    estimates: Mapping[str, Estimate],
    rules: ReleaseRules | None = None,
    earlier: Sequence[Mapping[str, Disclosed]] = (),
) -> tuple[Release, dict[str, Any]]:
    """Judge the estimates of one table together, and give what may leave of them as plain values for JSON.

    Parameters
    ----------
    table : CaptureTable
    estimates : mapping of str to Estimate
        By label, all of this table; a label leaves as it is.
    rules : ReleaseRules, optional
    earlier : sequence of mapping
        The knowledge of releases of this table that have left before.

    Returns
    -------
    Release
        With what stays inside: audit, account and witnesses.
    dict
        ``rules``, ``legend``, and ``estimates``: for each, status, method, number of lists, N and its limits as coarse
        as nobody's small count needs, the number observed and sizes of lists to base 5. What is withheld is ``"."``.

    Raises
    ------
    SettingError
        If nothing can be released, with what would pass.

    Notes
    -----
    An answer leaves only if, for every small cell, other tables with other counts there give the same printed answers
    (witnesses), each worked out by the estimator itself. Answers of more than 2,000 cells, of tables with gaps in
    coverage or counts that are upper bounds, and of draws whose seed is not known, are not judged and do not leave.
    """
    base = base_of(table)
    records = [_record(label, found, base, table) for label, found in estimates.items()]
    counted = _Counted(table, base)
    found = release(records, rules, earlier=earlier, resolve=lambda plain: _Again(counted, plain))
    shown = [found.view(record).to_dict() for record in records]
    return found, {
        "rules": found.rules.label,
        "legend": found.legend,
        "estimates": [
            {"label": one.pop("name"), **{key: one[key] for key in one if key not in ("low", "high")}}
            for one in shown
        ],
    }


def base_of(table: CaptureTable) -> Base:
    """Give every cell of a table, zeros included: each history in each combination of strata that somebody is in.

    Of so many lists that this would be large, the cells with persons alone.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> base_of(hp.datasets.load("korea")).counts.tolist()
    [5.0, 5.0, 54.0, 41.0, 6.0, 0.0, 12.0]
    """
    strata = table.strata.drop_duplicates().reset_index(drop=True)
    groups = max(len(strata), 1)
    if groups * 2.0**table.n_lists > MOST_CELLS:
        histories = np.unique(table.histories)
    else:
        histories = np.arange(1, 1 << table.n_lists, dtype=np.int64)
    seen = decode(histories, table.n_lists)
    cells = pd.DataFrame(np.asarray(seen, dtype=np.int64), columns=list(table.lists))
    cells.insert(0, _HISTORY, histories)
    if strata.shape[1]:
        cells = cells.merge(strata.astype(object), how="cross")
    here = pd.DataFrame({_HISTORY: table.histories, _COUNT: table.counts})
    here[list(strata.columns)] = table.strata.astype(object)
    keys = [_HISTORY, *strata.columns]
    counts = cells[keys].merge(
        here.groupby(keys, sort=False)[_COUNT].sum().reset_index(), on=keys, how="left"
    )
    return Base(
        name="persons of the table",
        frame=cells.drop(columns=_HISTORY),
        counts=counts[_COUNT].fillna(0).to_numpy(dtype=np.float64),
    )


_HISTORY, _COUNT = "\x00history", "\x00count"
"""Names that no list and no stratum can have."""


def _record(label: str, found: Estimate, base: Base, table: CaptureTable) -> EstimateRecord:
    method = found.interval.method
    return EstimateRecord(
        name=label,
        base=base,
        lists=list(table.lists),
        method=found.estimator.name,
        status=found.status,
        n_hat=found.n_hat,
        low=found.interval.low,
        high=found.interval.high,
        level=found.interval.level,
        interval="" if any(sign.isdigit() for sign in method) else method,
        recompute=_how_again(found, base, table),
    )


def _how_again(found: Estimate, base: Base, table: CaptureTable) -> dict[str, Any]:
    """Say as plain data how an estimate follows from counts; nothing where that cannot be judged."""
    facts = read_facts(found.estimator)
    seed = (found.provenance.get("rng") or {}).get("seed") if facts.needs_draws else None
    unknown = facts.needs_draws and not isinstance(seed, int)
    if unknown or base.counts.size > MOST_CELLS or table.coverage or bool(np.any(table.censored)):
        return {}
    return {
        "name": found.estimator.name,
        "settings": dict(found.estimator.settings),
        "seed": seed,
        "times": _times(facts, base.counts.size),
    }


def _times(facts: Facts, cells: int) -> int | None:
    """Say how often an answer may be worked out for other tables; None where it is quick."""
    if facts.needs_draws:
        return min(REDRAWN, DEAR_WORK // cells**2)
    if facts.model_is == "averaged" and cells > QUICK_CELLS:
        return DEAR_WORK // (2 * cells**2)
    return None


class _Counted:
    """Tables with other counts in the same cells; the last is kept, as several estimators ask for it in turn."""

    def __init__(self, table: CaptureTable, base: Base) -> None:
        self.table, self.base = table, base
        self.last: tuple[bytes, CaptureTable] | None = None

    def __call__(self, counts: Sequence[float] | Floats) -> CaptureTable:
        whole = np.asarray(counts).round().astype(np.int64)
        if self.last is None or self.last[0] != whole.tobytes():
            self.last = whole.tobytes(), self._made(whole)
        return self.last[1]

    def _made(self, whole: npt.NDArray[np.int64]) -> CaptureTable:
        held = np.flatnonzero(whole > 0)
        return CaptureTable.from_counts(
            self.base.frame.iloc[held].assign(**{_COUNT: whole[held]}),
            lists=list(self.table.lists),
            count=_COUNT,
            strata=list(self.table.strata.columns),
        )


class _Again:
    """An estimate worked out for other counts."""

    def __init__(self, counted: _Counted, plain: Mapping[str, Any]) -> None:
        self.counted, self.plain = counted, plain
        self.estimator = build(plain["name"], plain["settings"])

    def __call__(self, counts: Sequence[float] | Floats) -> list[Any]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self.estimator.fit(self.counted(counts), rng=self.plain["seed"])
        except HiddenpopError as error:
            return [type(error).__name__, math.nan, math.nan, math.nan]
        return [found.status, found.n_hat, found.interval.low, found.interval.high]
