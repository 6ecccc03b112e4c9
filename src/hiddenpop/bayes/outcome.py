"""From draws of the population size to an `Estimate` that says when they cannot be trusted."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.bayes.convergence import Convergence, in_words, judge, modes, three_digits
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.predictive import fit_remarks
from hiddenpop.disclosure import is_small
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.result import Diagnostic, Estimate, Interval, Status
from hiddenpop.table import CaptureTable

__all__ = [
    "estimate_without_draws",
    "limits_of",
    "median_and_limits",
    "outcome_of",
    "quantiles",
    "reach_of",
    "sampled_estimate",
]


FAR = 100.0
"""An upper limit beyond so many times (n + 1)^t is not a figure that n persons on t lists can tell."""

SHARES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
NOBODY_HIDDEN = "the posterior median is the number observed: half of the posterior or more has nobody hidden"
OURS = ("modes", "quantiles")


def quantiles(drawn: Floats, shares: Sequence[float]) -> Floats:
    """Quantiles that are among the numbers drawn, nan when there are none.

    Examples
    --------
    >>> quantiles(np.array([4.0, 9.0, 7.0]), [0.5, 0.9]).tolist()
    [7.0, 9.0]
    """
    if not len(drawn):
        return np.full(len(shares), np.nan)
    return np.asarray(np.quantile(drawn, shares, method="inverted_cdf"))


def median_and_limits(drawn: Floats, level: float) -> dict[str, float]:
    """Give median and equal-tailed limits by name.

    Examples
    --------
    >>> median_and_limits(np.arange(1.0, 100.0), 0.9)
    {'median': 50.0, 'low': 5.0, 'high': 95.0}
    """
    tail = (1.0 - level) / 2.0
    found = quantiles(np.ravel(drawn), [0.5, tail, 1.0 - tail]).tolist()
    return dict(zip(("median", "low", "high"), found, strict=True))


def reach_of(n_observed: int, n_lists: int) -> float:
    """Give the largest number that so many persons on so many lists can tell.

    Examples
    --------
    >>> reach_of(99, 3)
    1000000.0
    """
    return float((n_observed + 1.0) ** n_lists)


def outcome_of(median: float, n_observed: int, reach: float) -> tuple[float, Status, str]:
    """Give the estimate, its status and the reason, from a posterior median.

    Parameters
    ----------
    median : float
    n_observed : int
    reach : float
        By `reach_of`.

    Returns
    -------
    n_hat : float
    status : {"ok", "boundary", "unbounded"}
    reason : str

    Examples
    --------
    >>> outcome_of(99.0, 99, 1e6)[:2], outcome_of(1e9, 99, 1e6)[:2]
    ((99.0, 'boundary'), (inf, 'unbounded'))
    """
    if median > reach:
        reason = f"the posterior median lies beyond {reach:.3g}: {n_observed:,} persons cannot tell it"
        return math.inf, "unbounded", reason
    if median == n_observed:
        return median, "boundary", NOBODY_HIDDEN
    return median, "ok", ""


def limits_of(median: float, low: float, high: float, reach: float) -> tuple[float, float]:
    """Give limits of which those too far for data to tell are infinite above, and cut off below.

    Examples
    --------
    >>> limits_of(150.0, 120.0, 1e12, reach=1e6)
    (120.0, inf)
    """
    beyond = high > FAR * reach or median > reach
    return min(low, reach), math.inf if beyond else high


def sampled_estimate(
    setting: Any,
    table: CaptureTable,
    *,
    sizes: Floats,
    n_observed: int,
    n_lists: int,
    convergence: Convergence,
    method: str,
    provenance: Mapping[str, Any],
    details: Mapping[str, Any],
    diagnostics: Sequence[Diagnostic] = (),
    protected: tuple[str, ...] = (),
    faults: Sequence[str] = (),
    by_stratum: pd.DataFrame | None = None,
    stratum_draws: Floats | None = None,
) -> Estimate:
    """Make an estimate of draws by chains.

    Parameters
    ----------
    setting : estimator
        Frozen settings with a `level`.
    table : CaptureTable
    sizes : ndarray, shape (chains, draws)
        Draws of N, in persons, never below `n_observed`.
    n_observed : int
        Persons observed for certain.
    n_lists : int
        Lists that caught somebody.
    convergence : Convergence
    method : str
        What the interval is and takes as known.
    provenance : mapping
        Made before the first number was drawn.
    details : mapping
        The estimator's own; ``"idata"`` among them is kept.
    diagnostics : sequence of Diagnostic
    protected : tuple of str
        Details of a table with small cells that must not leave.
    faults : sequence of str
        What else keeps the draws from being trusted; each makes the status ``"not_converged"``.
    by_stratum : DataFrame, optional
    stratum_draws : ndarray, shape (chains * draws, strata), optional
        Chain by chain.

    Returns
    -------
    Estimate
        The posterior median with equal-tailed limits. When the chains cannot be trusted there is no number, and the
        interval reaches from the lowest limit of a chain to the highest. ``details`` also holds ``convergence``,
        ``modes``, ``quantiles`` and ``idata``. Replicated tables in the latter are compared with the observed one.
    """
    reach, found = reach_of(n_observed, n_lists), modes(sizes)
    status, reason = judge(convergence)
    if faults:
        status, reason = "not_converged", "; ".join([*([reason] if reason else []), *faults])
    median = float(quantiles(sizes.ravel(), [0.5])[0])
    n_hat, final, why = outcome_of(median, n_observed, reach)
    if status == "not_converged":
        n_hat, final, why = math.nan, status, _with_modes(reason, found)
    limits = _limits(sizes, setting.level, n_observed, reach, apart=status == "not_converged")
    held = _details(details, sizes, convergence, found)
    return Estimate(
        n_hat=n_hat,
        n_observed=n_observed,
        interval=Interval(*limits, setting.level, method if status == "ok" else f"{method}; {APART}"),
        status=final,
        reason=why,
        estimator=spec_of(setting),
        table=table.summary,
        diagnostics=(
            *diagnostics,
            *_remarks(convergence, found, status, limits),
            *fit_remarks(held["idata"]),
        ),
        draws=sizes.ravel(),
        draws_are="posterior",
        stratum_draws=stratum_draws,
        by_stratum=pd.DataFrame() if by_stratum is None else by_stratum,
        provenance=provenance,
        details=held,
        protected=(*protected, *OURS) if protected or is_small(n_observed) else (),
    )


def estimate_without_draws(
    setting: Any,
    table: CaptureTable,
    *,
    n_observed: int,
    why: str,
    provenance: Mapping[str, Any],
    diagnostics: Sequence[Diagnostic],
    dropped: Sequence[str],
) -> Estimate:
    """Make the estimate of a sampler that could not start.

    Parameters
    ----------
    setting : estimator
        With `level` and `n_chains`.
    table : CaptureTable
    n_observed : int
    why : str
    provenance : mapping
    diagnostics : sequence of Diagnostic
    dropped : sequence of str
        Lists that caught nobody.

    Returns
    -------
    Estimate
        Not converged, with every chain failed.
    """
    return Estimate(
        n_hat=math.nan,
        n_observed=n_observed,
        interval=Interval(float(n_observed), math.inf, setting.level, "none: no draws"),
        status="not_converged",
        reason=f"the sampler gave no draws: {why}",
        estimator=spec_of(setting),
        table=table.summary,
        n_failed=int(setting.n_chains),
        diagnostics=tuple(diagnostics),
        provenance=provenance,
        details={"dropped_lists": list(dropped)},
    )


APART = "not converged: from the lowest limit of a chain to the highest"


def _with_modes(reason: str, found: pd.DataFrame) -> str:
    listed = in_words(found, map(three_digits, found["location"]))
    return f"{reason}; the draws lie around {listed}"


def _limits(
    sizes: Floats, level: float, n_observed: int, reach: float, *, apart: bool
) -> tuple[float, float]:
    tail = (1.0 - level) / 2.0
    shares = [0.5, tail, 1.0 - tail]
    if not apart:
        median, low, high = quantiles(sizes.ravel(), shares).tolist()
    else:
        by_chain = np.array([quantiles(chain, shares) for chain in sizes])
        median, low, high = by_chain[:, 0].max(), by_chain[:, 1].min(), by_chain[:, 2].max()
    low, high = limits_of(float(median), float(low), float(high), reach)
    return max(low, float(n_observed)), high


def _remarks(
    measured: Convergence, found: pd.DataFrame, status: str, limits: tuple[float, float]
) -> list[Diagnostic]:
    remarks: list[Diagnostic] = []
    if measured.n_divergent and status == "ok":
        message = (
            f"{measured.n_divergent:,} of {measured.n_chains * measured.n_draws:,} draws are divergent: the sampler "
            f"may miss a narrow part of the posterior; try a higher target_accept"
        )
        remarks.append(Diagnostic("divergences", "warning", message, measured.n_divergent))
    if len(found) > 1 and status == "ok":
        sizes = tuple(found["location"].astype(float))
        listed = in_words(found, (f"{{{place}}}" for place in range(len(found))))
        message = f"the posterior has {len(found)} modes: {listed}; read them beside the median"
        remarks.append(Diagnostic("several_modes", "warning", message, len(found), sizes))
    if math.isinf(limits[1]):
        message = (
            "the upper limit of the posterior lies further than so few persons can tell and is written as infinite; "
            "details['quantiles'] has it as drawn"
        )
        remarks.append(Diagnostic("no_upper_limit", "warning", message))
    return remarks


def _details(
    details: Mapping[str, Any], sizes: Floats, measured: Convergence, found: pd.DataFrame
) -> dict[str, Any]:
    return {
        **details,
        "convergence": measured.as_dict(),
        "modes": found,
        "quantiles": pd.DataFrame({"share": SHARES, "n": quantiles(sizes.ravel(), SHARES)}),
        "idata": details["idata"] if "idata" in details else inference_data({"N": sizes}),
    }
