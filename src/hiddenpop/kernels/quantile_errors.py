"""How far a quantile of draws moves when other random numbers are drawn."""

import math

import numpy as np
from scipy.special import betaincinv

from hiddenpop._typing import Floats

__all__ = ["limit_errors", "quantile_error"]


TWO_SIGMA = 0.022750
"""Share of a normal law beyond two standard deviations: a wide span is less at the mercy of single draws."""

CORRECTED_ERROR = 2.0
"""A corrected bootstrap limit also moves with its correction, about as far as the quantile and often the same way."""


def quantile_error(draws: Floats, share: float, effective: float) -> float:
    """Monte Carlo standard error of a quantile of draws.

    Parameters
    ----------
    draws : ndarray, shape (n,)
    share : float
        Of the draws below the quantile.
    effective : float
        Number of independent draws that are worth these.

    Returns
    -------
    float
        nan where it cannot be told.

    References
    ----------
    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021). Rank-normalization, folding, and
    localization: an improved R-hat for assessing convergence of MCMC. Bayesian Analysis 16(2), 667-718.
    doi:10.1214/20-BA1221

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=4000)
    >>> round(quantile_error(draws, 0.5, 4000.0), 2)  # 1.25 / sqrt(4000)
    0.02
    """
    counts = effective * share + 1.0, effective * (1.0 - share) + 1.0
    places = [float(betaincinv(*counts, tail)) for tail in (TWO_SIGMA, 1.0 - TWO_SIGMA)]
    low, high = (float(np.quantile(draws, place, method="closest_observation")) for place in places)
    return (high - low) / 4.0 if math.isfinite(high) and math.isfinite(low) else math.nan


def limit_errors(
    draws: Floats,
    low: float,
    high: float,
    *,
    floor: float,
    corrected: bool,
    effective: float | None = None,
) -> tuple[float, float]:
    """Monte Carlo standard errors of two limits that are quantiles of draws.

    Parameters
    ----------
    draws : ndarray, shape (n,)
        inf where unbounded; nan where unknown, which stands at `floor` for the lower limit and at infinity for the
        upper one.
    low, high : float
        The limits.
    floor : float
        Persons observed.
    corrected : bool
        Whether the shares at which they were taken were estimated from the draws too.
    effective : float, optional
        Number of independent draws that are worth these; all of them by default.

    Returns
    -------
    low, high : float
        nan for a limit that no draw reaches, or that may be infinite with other draws.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=200)
    >>> [round(x, 2) for x in limit_errors(draws, -1.96, 1.96, floor=-9.0, corrected=False)]
    [0.29, 0.22]
    """
    worth = float(len(draws)) if effective is None else effective
    factor = CORRECTED_ERROR if corrected else 1.0
    unknown = np.isnan(draws)
    below, above = np.where(unknown, floor, draws), np.where(unknown, np.inf, draws)
    return (
        factor * quantile_error(below, float((below < low).mean()), worth)
        if low >= below.min()
        else math.nan,
        factor * quantile_error(above, float((above <= high).mean()), worth)
        if high <= above.max()
        else math.nan,
    )
