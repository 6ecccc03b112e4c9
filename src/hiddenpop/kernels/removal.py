"""The dark figure under behavioural response: a removal experiment on first captures.

Once somebody is caught, what happens to them says nothing of those who never are; so only first captures count, and
under a constant capture probability they fall geometrically from list to list.
"""

import math
from dataclasses import replace

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.kernels.dense import poisson_deviance
from hiddenpop.kernels.faces import FitStatus
from hiddenpop.kernels.heterogeneity import ClosedFit, lists_before_the_first
from hiddenpop.kernels.model_fit import NUMBER_BY_STATUS
from hiddenpop.kernels.profile import HiddenProfile
from hiddenpop.kernels.steady import robust_fit

__all__ = ["first_captures", "fit_removal", "profile_of_removal", "removal_status"]


def first_captures(counts: Floats, n_lists: int) -> Floats:
    """Count those caught for the first time on each list, shape (t,), from counts by history from 1.

    Examples
    --------
    >>> import numpy as np
    >>> first_captures(np.array([30.0, 20.0, 10.0]), 2).tolist()
    [40.0, 20.0]
    """
    first = lists_before_the_first(np.arange(1, len(counts) + 1, dtype=np.int64)).astype(np.int64)
    captured = np.zeros(n_lists)
    np.add.at(captured, first, counts)
    return captured


def fit_removal(fit: ClosedFit, first: Floats) -> ClosedFit:
    """Put the dark figure of a removal experiment into a fit with behavioural response.

    Parameters
    ----------
    fit : ClosedFit
        Of the log-linear model, for its deviance and fitted counts.
    first : ndarray, shape (s,)
        First captures on each list from which the capture probability p is constant.

    Returns
    -------
    ClosedFit

    Notes
    -----
    First captures fall by the factor ``q = 1 - p`` from list to list, so ``n0 = n q^s / (1 - q^s)``; recaptures say
    nothing of it. Where they do not fall (q >= 1) there is no finite dark figure, and a formula that goes on regardless
    gives fewer than were observed, or less than nobody.

    References
    ----------
    Otis, D. L., Burnham, K. P., White, G. C. and Anderson, D. R. (1978). Statistical inference from capture data on
    closed animal populations. Wildlife Monographs 62.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([40.0, 20.0, 0.0])
    >>> from hiddenpop.kernels.heterogeneity import closed_design, fit_closed
    >>> fit = fit_closed(closed_design("Mb", ["a", "b"]), counts)
    >>> round(fit_removal(fit, first_captures(counts, 2)).n0, 6)
    20.0
    """
    status = removal_status(first)
    if status != "ok":
        return replace(fit, status=status, n0=NUMBER_BY_STATUS[status], log_n0_variance=math.nan)
    s, n = len(first), float(first.sum())
    geometric = robust_fit(np.column_stack([np.arange(s, dtype=np.float64), np.ones(s)]), first)
    log_q = float(geometric.coefficients[0])
    missed = -math.expm1(s * log_q)
    n0 = n * math.exp(s * log_q) / missed
    variance = 1.0 / n + (s / missed) ** 2 * float(geometric.covariance[0, 0])
    return replace(
        fit, status="ok", n0=n0, log_n0_variance=variance, converged=fit.converged and geometric.converged
    )


def removal_status(first: Floats) -> FitStatus:
    """Judge a removal experiment by the mean place of the first capture."""
    n, s = float(first.sum()), len(first)
    delay = float(first @ np.arange(s))
    if n == 0.0:
        return "not_identified"
    if delay == 0.0:
        return "boundary"
    return "ok" if 2.0 * delay < n * (s - 1) else "unbounded"


def profile_of_removal(first: Floats, fit: ClosedFit) -> HiddenProfile:
    """Say what a removal experiment tells of every dark figure.

    Parameters
    ----------
    first : ndarray, shape (s,)
        See `fit_removal`.
    fit : ClosedFit
        With the dark figure of `fit_removal`.

    Returns
    -------
    HiddenProfile
        For the persons who took part in the experiment; those caught before it are not counted.

    Examples
    --------
    >>> import numpy as np
    >>> from hiddenpop.kernels.heterogeneity import closed_design, fit_closed
    >>> from hiddenpop.kernels.profile import profile_limits
    >>> counts = np.array([40.0, 20.0, 0.0])
    >>> first = first_captures(counts, 2)
    >>> fit = fit_removal(fit_closed(closed_design("Mb", ["a", "b"]), counts), first)
    >>> profile = profile_of_removal(first, fit)
    >>> round(profile.information, 1), round(profile_limits(profile, 0.95).low, 1)
    (1.8, 63.4)
    """
    s, n = len(first), float(first.sum())
    places = np.arange(s + 1, dtype=np.float64)
    delay = float(first @ places[:s])

    def deviance_at(n0: float) -> float:
        failures = delay + s * n0
        p = n / (n + failures)
        log_q = math.log(failures / (n + failures)) if failures > 0.0 else -math.inf
        shares = np.where(places > 0, np.exp(np.maximum(places, 1.0) * log_q), 1.0)
        means = (n + n0) * shares * np.append(np.full(s, p), 1.0)
        return poisson_deviance(np.append(first, n0), means)

    return HiddenProfile(n, fit.n0, fit.information, deviance_at)
