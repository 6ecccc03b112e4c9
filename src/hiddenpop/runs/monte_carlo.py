"""How far a number may move when other random numbers are drawn: standard errors of quantiles of draws."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.kernels.quantile_errors import limit_errors, quantile_error
from hiddenpop.result import Estimate
from hiddenpop.runs.execute import Found

__all__ = ["Allowances", "allowances", "effective_draws"]

Path = tuple[str, ...]
Allowances = dict[Path, float]

ERRORS_ALLOWED = 4.0
"""Standard errors that two runs may lie apart: of a thousand numbers hardly one does by chance."""

CORRECTED = ("bc", "bca")
"""Bootstrap limits at shares that are estimated too."""

FEWEST_DRAWS = 20


def effective_draws(draws: Floats, recorded: float = math.inf) -> float:
    """Give the number of independent draws that these are worth, from means of batches of the share below the median.

    Parameters
    ----------
    draws : ndarray, shape (n,)
        In the order in which they were drawn.
    recorded : float
        What the sampler itself says; the smaller of the two counts.

    Returns
    -------
    float

    References
    ----------
    Flegal, J. M., Haran, M. and Jones, G. L. (2008). Markov chain Monte Carlo: can we trust the third significant
    figure? Statistical Science 23(2), 250-260. doi:10.1214/08-STS257

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> bool(effective_draws(np.repeat(rng.random(100), 50)) < 500 < effective_draws(rng.random(5000)))
    True
    """
    n = len(draws)
    below = (draws <= np.median(draws)).astype(np.float64)
    size = math.isqrt(n)
    batches = below[: n // size * size].reshape(-1, size).mean(axis=1)
    spread, between = below.var(), size * batches.var(ddof=1)
    counted = n if between <= spread or spread == 0.0 else n * spread / between
    return max(1.0, min(counted, n, recorded))


def allowances(found: Found, results: Mapping[str, Any], chosen: str, parts_of: str) -> Allowances:
    """Say how far each number that comes from draws may lie from that of another run.

    Parameters
    ----------
    found : Found
    results : mapping
        What `results_of` made of it.
    chosen, parts_of : str
        Labels of the estimates that the checks and the parts are about.

    Returns
    -------
    dict
        By the path of a number in the results. Points of checks and rows of parts, of which no draws are kept, may move
        by the same share of their interval as the estimate they are about.
    """
    found_allowances: Allowances = {}
    for label, estimate in found.estimates.items():
        found_allowances.update(_of_estimate(("estimates", label), estimate))
    for section, about in (("checks", chosen), ("parts", parts_of)):
        share = _share_of_interval(found.estimates.get(about))
        if share > 0.0:
            found_allowances.update(_of_rows(section, results[section], share))
    return found_allowances


def _of_estimate(path: Path, estimate: Estimate) -> Iterator[tuple[Path, float]]:
    if estimate.draws is None or len(estimate.draws) < FEWEST_DRAWS:
        return
    point, low, high = _errors(estimate, estimate.draws, _limits(estimate))
    yield (*path, "n_hat"), point
    yield (*path, "n_hidden"), point
    yield (*path, "interval", "low"), low
    yield (*path, "interval", "high"), high
    tail = (1.0 - estimate.interval.level) / 2.0
    columns = () if estimate.stratum_draws is None else estimate.stratum_draws.T
    for row, draws in enumerate(columns):
        limits = np.quantile(draws, [tail, 1.0 - tail], method="closest_observation")
        errors = _errors(estimate, draws, (float(limits[0]), float(limits[1])))
        for name, allowed in zip(("n_hat", "low", "high"), errors, strict=True):
            yield (*path, "by_stratum", str(row), name), allowed


def _limits(estimate: Estimate) -> tuple[float, float]:
    return estimate.interval.low, estimate.interval.high


def _errors(estimate: Estimate, draws: Floats, interval: tuple[float, float]) -> tuple[float, float, float]:
    """Give what estimate and limits may move; a bootstrap leaves the estimate where it is."""
    measured = estimate.details.get("convergence")
    recorded = measured if isinstance(measured, Mapping) else {}
    centre = effective_draws(draws, float(recorded.get("ess_bulk", math.inf)))
    limits = effective_draws(draws, float(recorded.get("ess_tail", math.inf)))
    corrected = estimate.estimator.settings.get("interval") in CORRECTED
    errors = (
        0.0 if estimate.draws_are == "bootstrap" else quantile_error(draws, 0.5, centre),
        *limit_errors(draws, *interval, floor=-math.inf, corrected=corrected, effective=limits),
    )
    first, second, third = (_between_runs(error) for error in errors)
    return first, second, third


def _between_runs(error: float) -> float:
    """Turn the error of one run into what two may lie apart."""
    return 0.0 if math.isnan(error) else ERRORS_ALLOWED * math.sqrt(2.0) * error


def _share_of_interval(estimate: Estimate | None) -> float:
    if estimate is None or estimate.draws is None or len(estimate.draws) < FEWEST_DRAWS:
        return 0.0
    width = estimate.interval.width
    return (
        max(_errors(estimate, estimate.draws, _limits(estimate))) / width if 0.0 < width < math.inf else 0.0
    )


def _of_rows(section: str, items: list[dict[str, Any]], share: float) -> Iterator[tuple[Path, float]]:
    for item in items:
        for name, rows in item.items():
            if not isinstance(rows, list):
                continue
            for place, row in enumerate(rows):
                for column in row if isinstance(row, Mapping) else ():
                    width = _width(row, str(column))
                    if width > 0.0:
                        yield (section, item["label"], name, str(place), str(column)), share * width


def _width(row: Mapping[str, Any], column: str) -> float:
    """Give the width of the interval that a number of a row belongs to."""
    stem = column.removesuffix("_low").removesuffix("_high")
    ends = [row.get(f"{stem}_low"), row.get(f"{stem}_high")]
    if stem in ("n_hat", "rate", "low", "high"):
        ends = [row.get("low"), row.get("high")]
    numbers = [float(end) for end in ends if isinstance(end, int | float)]
    return numbers[1] - numbers[0] if len(numbers) == 2 else 0.0
