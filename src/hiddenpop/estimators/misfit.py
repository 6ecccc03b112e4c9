"""Whether a fitted model is rejected by its goodness of fit, also where many cells hold few persons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from hiddenpop._typing import Floats
from hiddenpop.result import MISFIT, Diagnostic

__all__ = ["REJECTED", "PooledTest", "misfit_p_value", "misfit_remarks", "pooled_pearson"]

REJECTED = 0.01
"""p-value below which a model is rejected; the choice of a model by the same data makes p-values too large."""

LARGE_ENOUGH = 5.0


@dataclass(frozen=True, slots=True)
class PooledTest:
    """Pearson's test over pooled cells.

    Attributes
    ----------
    pearson : float
    df : int
        At most so many degrees of freedom.
    p_value : float
        Of the most degrees of freedom, so no smaller than it should be; 1 where there is nothing to test.
    """

    pearson: float
    df: int
    p_value: float


def pooled_pearson(counts: Floats, fitted: Floats) -> PooledTest:
    """Test a fit by Pearson's X2 over cells that are pooled until each is expected to hold five persons.

    Parameters
    ----------
    counts, fitted : ndarray, shape (m,)
        Of the cells whose fitted count is above 0; both add up to the same.

    Returns
    -------
    PooledTest

    Notes
    -----
    The smallest cells are pooled first. With parameters fitted to all cells, X2 of g pools has a law between the
    chi-square laws on g - 1 - parameters and on g - 1 degrees of freedom (Chernoff and Lehmann 1954). The second is
    taken, so that a model is not rejected for its small cells alone.

    References
    ----------
    Chernoff, H. and Lehmann, E. L. (1954). The use of maximum likelihood estimates in chi-square tests for goodness of
    fit. Annals of Mathematical Statistics 25(3), 579-586. doi:10.1214/aoms/1177728726

    Examples
    --------
    >>> test = pooled_pearson(np.array([30.0, 4.0, 0.0, 16.0]), np.array([20.0, 3.0, 2.0, 25.0]))
    >>> round(test.pearson, 2), test.df
    (8.44, 2)
    """
    order = np.argsort(fitted, kind="stable")
    pool, expected, numbers = 0, 0.0, np.zeros(len(fitted), dtype=np.int64)
    for row in order:
        numbers[row] = pool
        expected += float(fitted[row])
        if expected >= LARGE_ENOUGH:
            pool, expected = pool + 1, 0.0
    numbers = np.minimum(numbers, max(pool - 1, 0))  # what is left over joins the last pool
    seen, fit = np.bincount(numbers, weights=counts), np.bincount(numbers, weights=fitted)
    pearson, df = float(((seen - fit) ** 2 / fit).sum()), len(fit) - 1
    return PooledTest(pearson, df, float(chdtrc(df, pearson)) if df > 0 else 1.0)


def misfit_remarks(details: Mapping[str, Any]) -> list[Diagnostic]:
    """Say that a model is rejected, with the test.

    Parameters
    ----------
    details : mapping
        ``goodness_of_fit`` and ``cells`` of a fitted model.

    Returns
    -------
    list of Diagnostic
        None where the model is not rejected, or has as many parameters as cells.
    """
    p_value, evidence = _evidence(details["goodness_of_fit"], details["cells"])
    if p_value >= REJECTED:
        return []
    return [
        Diagnostic(MISFIT, "warning", f"the model is rejected by its goodness of fit: {evidence}", p_value)
    ]


def misfit_p_value(details: Mapping[str, Any]) -> float:
    """Give the p-value by which `misfit_remarks` judges; 1 where there is nothing to test."""
    return _evidence(details["goodness_of_fit"], details["cells"])[0]


def _evidence(fit: Mapping[str, Any], cells: pd.DataFrame) -> tuple[float, str]:
    """Give the p-value by the route that the fitted counts carry, and the statistics with the test in words."""
    if fit["df"] <= 0:
        return 1.0, "as many parameters as cells"
    deviance, pearson, df = f"deviance {fit['deviance']:,.1f}", f"Pearson X2 {fit['pearson']:,.1f}", fit["df"]
    if "p_captures" in fit:  # of more lists than a table of all cells can have
        p_value = 1.0 if fit["p_captures"] is None else float(fit["p_captures"])
        return p_value, f"{fit['p_method']}, p = {p_value:.1g}"
    if fit["p_deviance"] is not None and fit["p_pearson"] is not None:
        both = f"{deviance}, p = {fit['p_deviance']:.1g}, and {pearson}, p = {fit['p_pearson']:.1g}"
        # A few small cells can make one of the two large; a model that fails is failed by both.
        return max(float(fit["p_deviance"]), float(fit["p_pearson"])), f"{both}, on {df} df (chi-square)"
    if fit["p_deviance"] is not None:
        words = f"{deviance}, p = {fit['p_deviance']:.1g} ({fit['p_method']}), {pearson}, on {df} df"
        return float(fit["p_deviance"]), words
    on = cells["on_face"].to_numpy()
    pooled = pooled_pearson(*(cells[name].to_numpy(dtype=np.float64)[on] for name in ("count", "fitted")))
    words = (
        f"{deviance} and {pearson} on {df} df; many cells are small, and over cells pooled to five persons or more X2 "
        f"{pooled.pearson:,.1f} on at most {pooled.df} df, p = {pooled.p_value:.1g}"
    )
    return pooled.p_value, words
