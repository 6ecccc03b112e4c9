"""Marks: what stands for a number that is withheld, what it says, and what a figure may draw of it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.disclosure.rules import OTHER_MARK, ReleaseRules
from hiddenpop.disclosure.tables import Base, OutputTable
from hiddenpop.errors import SettingError

__all__ = ["ends_of", "legend", "plot_data", "read_marks", "rounded_ends"]


def legend(rules: ReleaseRules) -> str:
    """Say what the marks of a release under some rules mean.

    Examples
    --------
    >>> legend(ReleaseRules())
    '<10 = 1 to 9; . = withheld to protect another number'
    """
    if rules.protection == "round":
        return f"all counts are rounded to multiples of {rules.rounding}, so that they add up"
    if rules.marks == "one":
        return f"{OTHER_MARK} = withheld"
    return (
        f"{rules.small_mark} = 1 to {rules.threshold - 1}; {OTHER_MARK} = withheld to protect another number"
    )


def rounded_ends(shown: npt.ArrayLike, rules: ReleaseRules) -> tuple[Floats, Floats]:
    """Give the smallest and largest counts that are rounded to what is shown, and may be shown.

    Examples
    --------
    >>> [ends.tolist() for ends in rounded_ends([10, 15], ReleaseRules())]
    [[10.0, 13.0], [12.0, 17.0]]
    """
    values, base = np.asarray(shown, dtype=np.float64), rules.rounding
    low, high = np.ceil(values - base / 2), np.ceil(values + base / 2) - 1
    least = np.where(values == 0, 0.0, float(rules.threshold))
    return np.maximum(low, least), np.where(values == 0, 0.0, high)


def ends_of(shown: Any, table: OutputTable, base: Base, rules: ReleaseRules) -> tuple[float, float]:
    """Read what is shown of one number as an outsider does.

    Raises
    ------
    SettingError
        If it is neither a number nor a mark.
    """
    if shown == OTHER_MARK:
        if not base.whole:
            return -np.inf, np.inf
        least = 0.0 if rules.zeros == "withheld" else float(rules.threshold if rules.marks == "small" else 1)
        return least, np.inf
    if shown == rules.small_mark:
        return 1.0, rules.threshold - 1.0
    if isinstance(shown, str) or not np.isfinite(shown):
        raise SettingError(f"output {table.name!r} shows {shown!r}, which is neither a number nor a mark")
    value = float(shown)
    if rules.protection == "round":
        return max(value - rules.rounding + 1, 0.0), value + rules.rounding - 1
    if table.rounded and value % rules.rounding == 0:
        low, high = rounded_ends([value], rules)
        return float(low[0]), float(high[0])
    return value, value


def read_marks(shown: Iterable[Any], threshold: int = 10) -> pd.DataFrame:
    """Read numbers and marks back as what they are: a number, a censored count, or a withheld one.

    Parameters
    ----------
    shown : iterable
        Numbers, or their text, ``<10`` and ``.``.
    threshold : int
        Of the rules under which it was released.

    Returns
    -------
    DataFrame
        With columns ``kind`` (``"number"``, ``"censored"`` or ``"withheld"``), ``low`` and ``high``.

    Raises
    ------
    SettingError
        If something is neither a number nor a mark.

    Examples
    --------
    >>> read_marks(["12", "<10", "."]).to_dict("list")
    {'kind': ['number', 'censored', 'withheld'], 'low': [12.0, 1.0, 0.0], 'high': [12.0, 9.0, inf]}
    """
    rows = []
    for place, value in enumerate(shown):
        word = str(value).strip()
        if word == OTHER_MARK:
            rows.append(("withheld", 0.0, np.inf))
        elif word == f"<{threshold}":
            rows.append(("censored", 1.0, threshold - 1.0))
        else:
            try:
                number = float(word)
            except ValueError:
                number = np.nan
            if not np.isfinite(number):
                raise SettingError(
                    f"row {place} shows {word[:20]!r}, which is neither a number, nor <{threshold}, nor {OTHER_MARK}"
                )
            rows.append(("number", number, number))
    return pd.DataFrame(rows, columns=["kind", "low", "high"])


def plot_data(frame: pd.DataFrame, value: str, threshold: int = 10) -> pd.DataFrame:
    """Give what a figure may draw of released numbers: nothing of it comes from a number that is withheld.

    Parameters
    ----------
    frame : DataFrame
        As in `Release.frames`.
    value : str
        The column of the numbers.
    threshold : int
        Of the rules under which it was released.

    Returns
    -------
    DataFrame
        Other columns, ``height`` (the number shown; the threshold for a small count, whatever it is; missing for one
        that is withheld to protect another) and ``mark`` (empty, or what to write beside the bar). Limits of axes
        follow from ``height`` alone.

    Examples
    --------
    >>> shown = pd.DataFrame({"town": ["a", "b", "c"], "count": [12, "<10", "."]})
    >>> plot_data(shown, "count").to_dict("list")
    {'town': ['a', 'b', 'c'], 'height': [12.0, 10.0, nan], 'mark': ['', '<10', '.']}
    """
    read = read_marks(frame[value], threshold)
    height = read["low"].where(read["kind"] != "censored", float(threshold))
    height = height.where(read["kind"] != "withheld")
    mark = [
        str(one) if kind != "number" else "" for one, kind in zip(frame[value], read["kind"], strict=True)
    ]
    return frame.drop(columns=value).assign(height=height.to_numpy(), mark=mark)
