"""What of a report may leave when counts are not public."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.description.withhold import withheld_figures
from hiddenpop.disclosure import THRESHOLD, is_small, protect_text
from hiddenpop.histories import captures, decode
from hiddenpop.monitor import TrendByList
from hiddenpop.result import Estimate
from hiddenpop.sensitivity.protocol import size_to_leave
from hiddenpop.table import CaptureTable

__all__ = ["MARK", "Registers", "leaving_directions", "registers_to_leave", "rounded", "told_of"]

MARK = f"<{THRESHOLD}"
MOST_LISTS_JUDGED = 10
"""With more lists it is not worked out which sizes give small counts away: all sizes are withheld."""

DIRECTION_FIGURES = ("ratio", "ratio_low", "ratio_high", "increase_share")

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """What the lists hold, as it may be shown.

    Attributes
    ----------
    n_observed : int or str
    lists : DataFrame
        One row a list: ``list``, ``persons``, ``only``.
    overlaps : DataFrame, shape (t, t)
        Persons on each pair; empty on the diagonal and below it.
    seen : tuple of (int or str)
        Persons on exactly 1, 2, ... lists.
    """

    n_observed: int | str
    lists: pd.DataFrame
    overlaps: pd.DataFrame
    seen: tuple[int | str, ...]


def registers_to_leave(table: CaptureTable, *, protect: bool) -> Registers:
    """Give sizes and overlaps of the lists; those that tell a small count are marked where the table is protected.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> registers_to_leave(hp.datasets.load("korea"), protect=False).lists["persons"].tolist()
    [77, 71, 59]
    """
    hidden = _withheld(table) if protect and not table.public else frozenset[tuple[str, ...]]()
    everything = protect and not table.public and table.n_lists > MOST_LISTS_JUDGED

    def told(n: Any, *key: str) -> int | str:
        unsafe = key in hidden or (everything and key != ("observed",)) or (protect and _small(table, n))
        return MARK if unsafe else int(n)

    names, shared = table.lists, table.overlaps.to_numpy()
    alone = captures(table.histories) == 1
    bits = decode(table.histories, table.n_lists).astype(bool)
    only = [int(table.counts[alone & bits[:, i]].sum()) for i in range(len(names))]
    rows = [(a, told(shared[i, i], "total", a), told(only[i], "only", a)) for i, a in enumerate(names)]
    overlaps = pd.DataFrame("", index=names, columns=names, dtype=object)
    for i, a in enumerate(names):
        for j in range(i + 1, len(names)):
            overlaps.iloc[i, j] = told(shared[i, j], "overlap", a, names[j])
    seen = [told(n, "seen", str(k)) for k, n in enumerate(table.capture_frequencies.tolist(), start=1)]
    frame = pd.DataFrame(rows, columns=["list", "persons", "only"]).astype(
        {"persons": object, "only": object}
    )
    return Registers(told(table.n_observed, "observed"), frame, overlaps, tuple(seen))


def _small(table: CaptureTable, n: Any) -> bool:
    return not table.public and is_small(float(n))


def _withheld(table: CaptureTable) -> frozenset[tuple[str, ...]]:
    if table.n_lists > MOST_LISTS_JUDGED:
        return frozenset()
    return withheld_figures(table.to_dense().astype(np.float64), table.lists)


def rounded(n: float, least: float) -> float:
    """Round a size of counts that are not public to three digits, but never below the number observed.

    Examples
    --------
    >>> rounded(12345.6, 400), rounded(1234.2, 1233)
    (12300.0, 1233.0)
    """
    return max(float(size_to_leave(n)), float(least)) if math.isfinite(n) else n


def told_of(estimate: Estimate, text: str, *, protect: bool) -> str:
    """Give a sentence about an estimate as it may leave."""
    return protect_text(text) if protect and not estimate.table.public else text


def leaving_directions(part: TrendByList) -> pd.DataFrame:
    """Give the directions of a trend without each list as they may leave.

    Where an end of the trend is withheld on some selection of lists, so are all changes; reasons with a number are too.
    """
    if part.table.public:
        return part.directions
    frame = part.directions.copy()
    if any(bool(trend.withheld.any()) for trend in part.trends):
        frame = frame.assign(**dict.fromkeys(DIRECTION_FIGURES, MARK))
    return frame.assign(reason=[protect_text(str(reason)) for reason in frame["reason"]])
