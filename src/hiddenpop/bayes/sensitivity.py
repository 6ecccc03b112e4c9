"""How far the size of a population rests on the prior, by raising prior and likelihood to powers."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.bayes.inference_data import inference_data, load_arviz
from hiddenpop.errors import SettingError
from hiddenpop.result import Estimate

__all__ = ["prior_sensitivity", "sensitivity_range"]


SENSITIVE = 0.05
"""Of a normal posterior, the distance that corresponds to a shift of the mean by 0.3 standard deviations when prior or
likelihood count twice (Kallioinen et al. 2024)."""

HIGHEST_K = 0.7
HEAVIEST = 0.2
"""A draw that weighs more than this share of what lies beyond a limit sets the limit by itself."""

LARGEST = 1e300
ALL_PARTS = "all"


def prior_sensitivity(estimate: Estimate) -> pd.DataFrame:
    """Measure how the posterior of the population size moves when prior or likelihood count a little more.

    Parameters
    ----------
    estimate : Estimate
        With log prior and log likelihood in ``details["idata"]``.

    Returns
    -------
    DataFrame
        A row for ``"all"`` of the prior and one for each part of it: ``part``, ``prior`` and ``likelihood``
        (sensitivity of log N), and ``diagnosis`` in words.

    Raises
    ------
    SettingError
        If the estimate does not hold what is needed.

    Notes
    -----
    The prior, or the likelihood, is raised to a power near 1 by reweighting the draws, and the distance that this moves
    the posterior is measured. Above 0.05 counts as sensitive. Prior and likelihood both sensitive: they pull N in
    different directions. The prior alone: the data say little about N, and the prior decides. A flat part has no power
    to be raised to, and is not a row.

    References
    ----------
    Kallioinen, N., Paananen, T., Bürkner, P.-C. and Vehtari, A. (2024). Detecting and diagnosing prior and likelihood
    sensitivity with power-scaling. Statistics and Computing 34, 57. doi:10.1007/s11222-023-10366-5

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.bayes.thresholded import ThresholdedLogLinear
    >>> estimate = ThresholdedLogLinear(n_draws=500).fit(hp.datasets.load("kosovo"), rng=1)
    >>> prior_sensitivity(estimate)["part"].tolist()
    ['all', 'size', 'interactions']
    """
    log_sizes, parts, likelihood = _held(estimate)
    groups = {"log_prior": parts, "log_likelihood": {"table": likelihood}}
    idata = inference_data({"log_N": log_sizes}, groups=groups)
    by_likelihood = _sensitivity(idata, "likelihood", None)
    rows = []
    for part in [ALL_PARTS, *parts] if len(parts) > 1 else [ALL_PARTS]:
        by_prior = _sensitivity(idata, "prior", None if part == ALL_PARTS else [part])
        rows.append((part, by_prior, by_likelihood, _diagnosis(by_prior, by_likelihood)))
    return pd.DataFrame(rows, columns=["part", "prior", "likelihood", "diagnosis"])


def _held(estimate: Estimate) -> tuple[Floats, dict[str, Floats], Floats]:
    """Log sizes, the parts of the log prior and the log likelihood of the table, each (chains, draws)."""
    idata: Any = estimate.details.get("idata")
    absent = [g for g in ("log_prior", "log_likelihood") if idata is None or g not in idata.groups()]
    if absent:
        raise SettingError(
            f"the estimate by {estimate.estimator.name} holds no {' and no '.join(absent)} of its draws, which "
            f"are raised to powers here; compare fits under several priors in its place"
        )
    parts = {str(name): _per_draw(idata.log_prior[name]) for name in idata.log_prior.data_vars}
    held = idata.log_likelihood
    likelihood = np.sum([_per_draw(held[name]) for name in held.data_vars], axis=0)
    sizes = np.log(np.clip(_per_draw(idata.posterior["N"]), 1.0, LARGEST))
    return sizes, parts, np.asarray(likelihood)


def _per_draw(variable: Any) -> Floats:
    values = np.asarray(variable.values, dtype=np.float64)
    return np.asarray(values.reshape(*values.shape[:2], -1).sum(axis=-1))


def _sensitivity(idata: Any, component: str, names: list[str] | None) -> float:
    if np.ptp(idata.posterior["log_N"].to_numpy()) == 0.0:
        return 0.0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = load_arviz().psens(idata, component=component, component_var_names=names)
    return float(found["log_N"])


def _diagnosis(prior: float, likelihood: float) -> str:
    if prior < SENSITIVE:
        return (
            "the prior hardly moves N"
            if likelihood >= SENSITIVE
            else "neither moves N: it is fixed by structure"
        )
    if likelihood < SENSITIVE:
        return "the prior decides: the data say little about N"
    return "prior and data pull N in different directions"


def sensitivity_range(
    estimate: Estimate, powers: Sequence[float] = (0.5, 1.0, 2.0), *, parts: Sequence[str] | None = None
) -> pd.DataFrame:
    """Give N under the prior raised to several powers, from the same draws.

    Parameters
    ----------
    estimate : Estimate
        With log prior and log likelihood in ``details["idata"]``.
    powers : sequence of float
        Below 1 the prior counts less, above 1 more; a normal prior raised to the power 0.5 has twice the variance.
    parts : sequence of str, optional
        Parts of the prior to raise; all when left out.

    Returns
    -------
    DataFrame
        A row a power: ``power``, ``median``, ``low`` and ``high`` of N, ``pareto_k`` of the weights, ``effective``
        draws, and ``reliable``: where it is False the draws do not reach that prior, as the weights have too long a
        tail (k above 0.7) or single draws set a limit, and the model must be fitted anew.

    Raises
    ------
    SettingError
        For a power that is not above 0, a part that is not there, or an estimate that does not hold what is needed.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.bayes.thresholded import ThresholdedLogLinear
    >>> estimate = ThresholdedLogLinear(n_draws=500).fit(hp.datasets.load("kosovo"), rng=1)
    >>> found = sensitivity_range(estimate)
    >>> found["power"].tolist(), bool(found["reliable"].all())
    ([0.5, 1.0, 2.0], True)
    """
    log_sizes, held, _ = _held(estimate)
    chosen = list(held) if parts is None else list(parts)
    unknown = [part for part in chosen if part not in held]
    if unknown or not chosen:
        raise SettingError(f"parts={parts!r}: the prior has the parts {', '.join(held) or 'none'}")
    for power in powers:
        if not 0.0 < float(power) < np.inf:
            raise SettingError(f"powers: {power!r} must be a number above 0, with 1 for the prior as it is")
    prior = np.asarray(np.sum([held[part] for part in chosen], axis=0), dtype=np.float64).ravel()
    sizes: Floats = np.rint(np.exp(log_sizes.ravel())).astype(np.float64)
    level = estimate.interval.level
    rows = [_under(float(power), prior, sizes, level) for power in powers]
    return pd.DataFrame(rows)


def _under(power: float, log_prior: Floats, sizes: Floats, level: float) -> dict[str, float | bool]:
    weights, k = _smoothed((power - 1.0) * log_prior)
    tail = (1.0 - level) / 2.0
    median, low, high = np.quantile(
        sizes, [0.5, tail, 1.0 - tail], weights=weights, method="inverted_cdf"
    ).tolist()
    return {
        "power": power,
        "median": median,
        "low": low,
        "high": high,
        "pareto_k": k,
        "effective": float(1.0 / np.sum(weights**2)),
        "reliable": bool(k <= HIGHEST_K and weights.max() <= HEAVIEST * tail),
    }


def _smoothed(log_weights: Floats) -> tuple[Floats, float]:
    """Weights that add up to 1, their tail smoothed, and its shape; equal weights have no tail."""
    if np.ptp(log_weights) == 0.0:
        return np.full(len(log_weights), 1.0 / len(log_weights)), 0.0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        smoothed, k = load_arviz().psislw(log_weights)
    weights = np.exp(np.asarray(smoothed, dtype=np.float64))
    return weights / weights.sum(), float(k)
