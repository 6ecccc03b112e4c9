"""What of a description may leave when the table is not public.

Totals, overlaps and the numbers seen on 1, 2, ... lists are sums of cells, so together they can give away a small cell
that none of them shows: for three lists they give every cell. Each figure is therefore written as a sum over the
withheld cells, and figures are withheld until no small one follows from those that are left.
"""

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats
from hiddenpop.disclosure import is_small, protect_counts
from hiddenpop.histories import captures, decode

__all__ = ["Key", "figures_but_observed", "withheld_figures"]

ROUNDING = 1e-7
"""Weights of such combinations are ratios of small integers; what is smaller is rounding."""

Key = tuple[str, ...]


def withheld_figures(counts: Floats, lists: tuple[str, ...]) -> frozenset[Key]:
    """Choose the figures of a description that must not leave.

    Parameters
    ----------
    counts : ndarray, shape (2**t,)
        Counts by history; element 0 is not used.
    lists : tuple of str
        Names of the t lists.

    Returns
    -------
    frozenset of tuple of str
        Among ``("observed",)``, ``("twice",)``, ``("total", a)``, ``("only", a)``, ``("overlap", a, b)`` and
        ``("seen", "k")``.

    Notes
    -----
    The cells that `protect_counts` shows, and the number observed unless it is small, count as known, because
    estimates show them. Small figures are withheld first; then, one at a time, the smallest of the figures that
    together determine a small figure or a small cell. Bounds on what is withheld are not judged; the mark is one.

    Examples
    --------
    >>> counts = np.array([0.0, 300.0, 200.0, 12.0, 150.0, 30.0, 22.0, 4.0])
    >>> sorted(withheld_figures(counts, ("a", "b", "c")))[:3]
    [('overlap', 'a', 'b'), ('overlap', 'a', 'c'), ('overlap', 'b', 'c')]
    """
    cells = counts[1:].astype(np.int64)
    sums = _sums_of_cells(np.arange(1, len(counts)), lists)
    values = np.array([cells[cells_in].sum() for cells_in in sums.values()])
    small = np.array([is_small(value) for value in values])
    hidden = np.array([isinstance(shown, str) for shown in protect_counts(cells)])
    rows = np.array(list(sums.values()))[:, hidden].astype(np.float64)
    small_cells = np.array([is_small(count) for count in cells[hidden]], dtype=bool)
    secrets = np.vstack([rows[small], np.eye(int(hidden.sum()))[small_cells]])
    shown = ~small
    while (telling := _most_telling(rows, values, shown, secrets)) is not None:
        shown[telling] = False
    return frozenset(key for key, show in zip(sums, shown, strict=True) if not show)


def figures_but_observed(n_observed: int, lists: tuple[str, ...]) -> frozenset[Key]:
    """Name every figure but the number observed, and that too where it is small.

    Of more lists than a table of all cells can have nearly every cell is small, and which figures give one away would
    take hours to find out: so none of them leaves.
    """
    figures = frozenset(_sums_of_cells(np.arange(0), lists))
    return figures if is_small(n_observed) else figures - {("observed",)}


def _sums_of_cells(histories: npt.NDArray[np.int64], lists: tuple[str, ...]) -> dict[Key, Bools]:
    """Give the cells that each figure adds up, the number observed first."""
    on = decode(histories, len(lists)).astype(bool)
    times = captures(histories)
    sums: dict[Key, Bools] = {("observed",): times > 0, ("twice",): times > 1}
    for i, a in enumerate(lists):
        sums["total", a] = on[:, i]
        sums["only", a] = on[:, i] & (times == 1)
        sums |= {("overlap", a, lists[j]): on[:, i] & on[:, j] for j in range(i + 1, len(lists))}
    return sums | {("seen", str(k)): times == k for k in range(1, len(lists) + 1)}


def _most_telling(rows: Floats, values: npt.NDArray[np.int64], shown: Bools, secrets: Floats) -> int | None:
    """Position of the smallest figure shown that helps to determine a secret; None when no secret is determined."""
    known = np.flatnonzero(shown & rows.any(axis=1))
    if not known.size or not secrets.size:
        return None
    weights = secrets @ np.linalg.pinv(rows[known], rcond=ROUNDING)
    determined = np.abs(weights @ rows[known] - secrets).max(axis=1) < ROUNDING
    for weight in weights[determined]:
        telling = known[(np.abs(weight) > ROUNDING) & (known > 0)]
        return int(telling[np.argmin(values[telling])])
    return None
