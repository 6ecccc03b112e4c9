"""Primary rules: which numbers may not be shown whatever stands beside them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hiddenpop.disclosure.rules import ReleaseRules
from hiddenpop.errors import SettingError

__all__ = [
    "Contributions",
    "group_disclosed",
    "small_count",
    "too_few_degrees",
    "unsafe_magnitude",
    "unsafe_percentile",
    "unsafe_steps",
]

Contributions = Sequence[npt.NDArray[np.float64]]
"""For each magnitude, what each person or body contributes to it."""


def small_count(counts: npt.ArrayLike, rules: ReleaseRules) -> npt.NDArray[np.bool_]:
    """Tell counts with fewer persons behind them than the threshold, and zeros where these may not be shown.

    Parameters
    ----------
    counts : array_like, shape (q,)
        Unweighted.
    rules : ReleaseRules

    Returns
    -------
    ndarray of bool, shape (q,)

    Examples
    --------
    >>> small_count([0, 1, 9, 10], ReleaseRules()).tolist()
    [False, True, True, False]
    """
    found = np.asarray(counts, dtype=np.float64)
    return (found < rules.threshold) & ((found > 0) | (rules.zeros == "withheld"))


def unsafe_magnitude(contributions: npt.ArrayLike, rules: ReleaseRules) -> tuple[str, ...]:
    """Name the rules that a sum of contributions breaks.

    Parameters
    ----------
    contributions : array_like, shape (m,)
        What each contributor adds, not negative; what one contributor adds twice stands here as one number.
    rules : ReleaseRules

    Returns
    -------
    tuple of str
        Of ``"threshold"``, ``"dominance 1"`` (with the number of contributors) and ``"p-ratio"``.

    Raises
    ------
    SettingError
        If a contribution is negative or missing.

    Notes
    -----
    With contributions x1 >= x2 >= ... of total X: dominance (n, k) where x1 + ... + xn > k X; the p % rule where
    X - x1 - x2 < p x1, since the second largest could then estimate the largest within p %.

    References
    ----------
    Hundepool, A. et al. (2012). Statistical Disclosure Control. Wiley. doi:10.1002/9781118348239

    Examples
    --------
    >>> unsafe_magnitude([96.6, 43.2], ReleaseRules(name="of companies", threshold=3, width=1, values=1))
    ('threshold', 'dominance 1', 'dominance 2', 'p-ratio')
    """
    parts = np.sort(np.asarray(contributions, dtype=np.float64))[::-1]
    if not (parts >= 0).all():
        raise SettingError(
            "a contribution to a magnitude is negative or missing; primary rules need numbers from 0"
        )
    total, largest = parts.sum(), parts[:1].sum()
    broken = ["threshold"] if 0 < parts.size < rules.threshold else []
    broken += [f"dominance {n}" for n, k in rules.dominance if parts[:n].sum() > k * total]
    if largest > 0 and total - parts[:2].sum() < rules.p_ratio * largest:
        broken.append("p-ratio")
    return tuple(broken)


def group_disclosed(
    counts: npt.ArrayLike, totals: npt.ArrayLike, rules: ReleaseRules
) -> npt.NDArray[np.bool_]:
    """Tell cells that hold (nearly) all persons of their row or column, so that membership tells the answer.

    Parameters
    ----------
    counts, totals : array_like, shape (q,)
        Of each cell, and of the row or column it is in.
    rules : ReleaseRules

    Returns
    -------
    ndarray of bool, shape (q,)

    Examples
    --------
    >>> group_disclosed([19, 18], [20, 20], ReleaseRules()).tolist()
    [True, False]
    """
    parts, whole = np.asarray(counts, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    return (parts > rules.group_share * whole) & (parts > 0)


def too_few_degrees(n_observed: float, n_parameters: int, rules: ReleaseRules) -> bool:
    """Tell a model with too few persons observed for its parameters.

    Residual degrees of freedom of the table are no part of this: they are 0 for every saturated model, however many
    persons it rests on.

    Examples
    --------
    >>> too_few_degrees(226, 7, ReleaseRules()), too_few_degrees(15, 7, ReleaseRules())
    (False, True)
    """
    return n_observed - n_parameters < rules.degrees_of_freedom


def unsafe_percentile(n_values: int, share: float, rules: ReleaseRules) -> bool:
    """Tell a percentile, a smallest or a largest value that speaks of too few persons.

    Parameters
    ----------
    n_values : int
        Persons whose values it is a percentile of.
    share : float
        0 for the smallest value, 0.5 for the median, 1 for the largest.
    rules : ReleaseRules

    Returns
    -------
    bool
        True where fewer persons than the threshold lie on either side.

    Raises
    ------
    SettingError
        If `share` is not between 0 and 1.

    Examples
    --------
    >>> unsafe_percentile(40, 0.5, ReleaseRules()), unsafe_percentile(40, 0.9, ReleaseRules())
    (False, True)
    """
    if not 0 <= share <= 1:
        raise SettingError(f"share={share!r} of a percentile is not between 0 and 1")
    if share in {0, 1}:
        return not rules.extremes or n_values < rules.threshold
    return min(share, 1 - share) * n_values < rules.threshold * (1 - 1e-12)


def unsafe_steps(events: npt.ArrayLike, rules: ReleaseRules) -> npt.NDArray[np.bool_]:
    """Tell steps of a survival curve with too few events behind them; each must be joined with the next.

    Examples
    --------
    >>> unsafe_steps([12, 3, 0, 25], ReleaseRules()).tolist()
    [False, True, False, False]
    """
    found = np.asarray(events, dtype=np.float64)
    return (found > 0) & (found < rules.survival_step)
