"""Each output alone: small counts are withheld one table at a time, fingerprints are keyed.

On screen a researcher sees everything. A file, a report or a saved figure is another matter: a count of 1 to 9 in a
table of addresses of vulnerable people can point at somebody. These functions put a mark in its place, and in place of
whatever would give it away.
"""

import re
from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.errors import SettingError, TableError

__all__ = [
    "THRESHOLD",
    "is_small",
    "protect_cells",
    "protect_counts",
    "protect_text",
    "protect_value",
]

THRESHOLD = 10
_NUMBER = re.compile(
    r"(?<![\w.,])\d++(?:,++\d++)*+(?:\.\d++)?+(?:e[+-]?\d++)?+(?![\w%.,]{0,40}\d)(?!\s?%)(?!\w)"
)
"""Nothing is tried twice: a text of a million digits takes no longer than any other of its length."""
_NUMBER_MARK = "[number withheld]"
_ALWAYS_FIGURES = frozenset({"count", "fitted", "residual"})


def is_small(value: float, threshold: int = THRESHOLD) -> bool:
    """Tell whether a figure is above 0 and below the threshold, so that it must not leave.

    Parameters
    ----------
    value : float
        A number of people.
    threshold : int
        The smallest number of people that may be shown; 1 shows everything.

    Returns
    -------
    bool
        True for ``0 < value < threshold``.

    Raises
    ------
    SettingError
        If `threshold` is below 1.

    Examples
    --------
    >>> is_small(9), is_small(10), is_small(0)
    (True, False, False)
    """
    _check_threshold(threshold)
    return bool(0 < value < threshold)


def protect_value(value: float, threshold: int = THRESHOLD) -> float | str:
    """Give the figure itself, or the mark ``"<threshold"`` when it is small.

    Parameters
    ----------
    value : float
        A number of people.
    threshold : int
        The smallest number of people that may be shown.

    Returns
    -------
    float or str
        `value` unchanged, or the mark.

    Raises
    ------
    SettingError
        If `threshold` is below 1.

    Examples
    --------
    >>> protect_value(12), protect_value(3), protect_value(3, threshold=5)
    (12, '<10', '<5')
    """
    return _mark(threshold) if is_small(value, threshold) else value


def protect_text(text: str) -> str:
    """Take every whole number, and every decimal one from 1, out of a sentence that may tell a count.

    Parameters
    ----------
    text : str
        A sentence about a table.

    Returns
    -------
    str
        The sentence with a mark in place of its numbers; percentages and numbers below 1 stay.

    Examples
    --------
    >>> protect_text("the two lists alone give 1,234.5, fewer than the 7 observed")
    'the two lists alone give [number withheld], fewer than the [number withheld] observed'
    >>> protect_text("95 % of R2, at 0.05 and 12%")
    '95 % of R2, at 0.05 and 12%'
    """
    return _NUMBER.sub(lambda found: found[0] if found[0].startswith("0.") else _NUMBER_MARK, text)


def protect_counts(counts: npt.ArrayLike, threshold: int = THRESHOLD) -> npt.NDArray[np.object_]:
    """Withhold the small counts of one table, and one more where the total would give them away.

    Parameters
    ----------
    counts : array_like of int, shape (m,)
        Non-negative numbers of people in the cells of one table.
    threshold : int
        The smallest number of people that may be shown.

    Returns
    -------
    ndarray of object, shape (m,)
        The counts as `int`, with the mark ``"<threshold"`` in place of every withheld one.

    Raises
    ------
    SettingError
        If `threshold` is below 1.

    Notes
    -----
    Zeros are shown. When the withheld counts together stay below the threshold, as a single one always does, or are
    all as small or all as large as the mark allows, the smallest other positive count is withheld as well, because
    the total minus the counts shown would otherwise reveal them. It carries the same mark, so that nobody can tell
    which of the two was small: read the mark as "withheld".

    References
    ----------
    Hundepool, A. et al. (2012). Statistical Disclosure Control. Wiley. doi:10.1002/9781118348239

    Examples
    --------
    >>> protect_counts([40, 3, 12, 0]).tolist()
    [40, '<10', '<10', 0]
    >>> protect_counts([40, 3, 8, 12]).tolist()
    [40, '<10', '<10', 12]
    """
    values = np.asarray(counts, dtype=np.int64)
    shown = values.astype(object)
    shown[_withheld(values, threshold)] = _mark(threshold)
    return shown


def protect_cells(frame: pd.DataFrame, threshold: int = THRESHOLD) -> pd.DataFrame:
    """Withhold the figures of the cells whose count may not be shown.

    Parameters
    ----------
    frame : DataFrame
        One row a cell, with a column ``count`` and possibly ``fitted``, ``residual`` and other figures. Boolean columns
        and whole-number columns that hold only 0 and 1 (the capture history) say which cell it is and stay.
    threshold : int
        The smallest number of people that may be shown.

    Returns
    -------
    DataFrame
        A copy with the mark ``"<threshold"`` in every figure of a withheld row.

    Raises
    ------
    TableError
        If there is no column ``count``.
    SettingError
        If `threshold` is below 1.

    Examples
    --------
    >>> cells = pd.DataFrame({"a": [1, 0], "count": [30, 4], "fitted": [29.5, 4.5]})
    >>> protect_cells(cells.iloc[[1]]).to_dict("list")
    {'a': [0], 'count': ['<10'], 'fitted': ['<10']}
    """
    if "count" not in frame.columns:
        raise TableError("cells cannot be protected without a column 'count'; add the counts to the frame")
    hidden = _withheld(frame["count"].to_numpy(dtype=np.int64), threshold)
    return frame.assign(
        **{
            str(name): _masked(column, hidden, threshold)
            for name, column in frame.items()
            if _is_figure(name, column)
        }
    )


def _check_threshold(threshold: int) -> None:
    if threshold < 1:
        raise SettingError(f"the threshold for small counts is {threshold}; it must be 1 (show all) or more")


def _mark(threshold: int) -> str:
    return f"<{threshold}"


def _withheld(counts: npt.NDArray[np.int64], threshold: int) -> npt.NDArray[np.bool_]:
    _check_threshold(threshold)
    hidden = (counts > 0) & (counts < threshold)
    if hidden.any() and _tells(counts[hidden], threshold):
        others = np.flatnonzero((counts > 0) & ~hidden)
        if others.size:
            hidden[others[np.argmin(counts[others])]] = True
    return hidden


def _tells(hidden: npt.NDArray[np.int64], threshold: int) -> bool:
    """Tell whether the sum of hidden counts is small itself, or the sum of ones or of nines alone."""
    total = int(hidden.sum())
    return total < threshold or total in {hidden.size, hidden.size * (threshold - 1)}


def _is_figure(name: Hashable, column: "pd.Series[Any]") -> bool:
    if name in _ALWAYS_FIGURES:
        return True
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return False
    return not (pd.api.types.is_integer_dtype(column) and column.isin([0, 1]).all())


def _masked(column: "pd.Series[Any]", hidden: npt.NDArray[np.bool_], threshold: int) -> "pd.Series[Any]":
    return column.astype(object).mask(hidden, _mark(threshold))
