"""`corrected`: an estimate from a table whose links were missed and made wrongly at rates that were measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._cells import refuse_unknown, stratum_codes
from hiddenpop._front_door import front_door
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.kernels.linkage import Corrected, corrected_counts
from hiddenpop.result import Estimate, Interval, format_level
from hiddenpop.sensitivity.corrected import CorrectedPoint, evaluate_corrected, rounded, with_cells
from hiddenpop.sensitivity.points import seed_of
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["LinkCorrection", "corrected"]

Floats = npt.NDArray[np.float64]

MOST_LISTS = 12
COLUMNS = ("draw", "register", "missed", "false")


@dataclass(frozen=True, slots=True)
class LinkCorrection:
    """An estimate as the links are, and the same after their errors were taken out.

    Attributes
    ----------
    plain, corrected : Estimate
        The second from corrected counts; its interval holds the doubt about the rates and the sampling of the counts.
    n_failed : int
        Resamples without a finite answer; they are left out of the interval and counted.
    sentence : str
        Both in words.
    """

    plain: Estimate
    corrected: Estimate
    n_failed: int
    sentence: str

    def to_frame(self) -> pd.DataFrame:
        """Give both as tidy rows."""
        rows = [
            self.plain.to_frame().assign(links="as they are"),
            self.corrected.to_frame().assign(links="corrected"),
        ]
        return pd.concat(rows, ignore_index=True)


@front_door
def corrected(
    estimator: Estimator,
    table: CaptureTable,
    rates: pd.DataFrame,
    *,
    level: float = 0.95,
    rng: RNGLike = None,
) -> LinkCorrection:
    """Estimate from counts corrected for missed and false links.

    Parameters
    ----------
    estimator : Estimator
    table : CaptureTable
        As `Links.tabulate` counted it.
    rates : DataFrame
        As `Links.rates` gives them, one row per draw and register: ``draw``, ``register``, ``missed``, ``false``. Draw
        0 is the estimate of the rates, the others are resamples.
    level : float
        Of the interval.
    rng : int, Generator or None
        Seed of the resamples of the counts.

    Returns
    -------
    LinkCorrection

    Raises
    ------
    SettingError
        For rates that lack a column or a list of the table, or cannot be.
    CapabilityError
        For a table with upper bounds in place of counts, or with too many lists.

    Notes
    -----
    The counts are corrected as in `LinkageSweep`, with a chance by list. Every resample takes another draw of the
    rates, draws the records anew (how many of the estimated persons are seen is binomial, on which lists
    multinomial), corrects and estimates; the interval goes from one quantile of them to the other. The rates
    themselves hold for records with a key, and for others by the ratio that they were made with: vary it.

    References
    ----------
    Di Consiglio, L. and Tuoto, T. (2018). Population size estimation and linkage errors: the multiple lists case.
    Journal of Official Statistics 34(4), 889-908.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> table = hp.CaptureTable.from_counts(pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [428, 328, 72]}))
    >>> rates = pd.DataFrame({"draw": 0, "register": ["a", "b"], "missed": [0.1, 0.2], "false": 0.0})
    >>> found = corrected(hp.Chapman(), table, rates, rng=1)
    >>> round(found.plain.n_hat), round(found.corrected.n_hat)
    (2751, 1988)
    """
    if table.has_censored:
        raise CapabilityError("some counts are only upper bounds, and cannot be corrected for links")
    if table.n_lists > MOST_LISTS:
        raise CapabilityError(
            f"links are corrected on at most {MOST_LISTS} lists, and there are {table.n_lists}"
        )
    draws = _checked(rates, table.lists)
    seed, generator = seed_of(rng), np.random.default_rng(rng)
    plain = estimator.fit(table, rng=seed)
    point = _point(table, table.counts.astype(np.float64), *draws[0])
    mended = with_cells(table, point.histories, point.rows, rounded(point.counts))
    base = estimator.fit(mended, rng=seed)
    resamples = [
        _point(table, counts, *draw)
        for draw in draws[1:]
        if (counts := _resampled(table, plain, generator)) is not None
    ]
    frame = evaluate_corrected([point, *resamples], estimator, seed=seed, label="corrected links")
    n_hats = frame["n_hat"].to_numpy(np.float64)
    found = n_hats[1:][np.isfinite(n_hats[1:])]
    estimate = _estimate(base, float(n_hats[0]), found, level)
    return LinkCorrection(
        plain, estimate, len(draws) - 1 - len(found), _sentence(plain, estimate, draws[0][0])
    )


def _checked(rates: pd.DataFrame, lists: Sequence[str]) -> list[tuple[Floats, float]]:
    """Give the rates of every draw in the order of the lists."""
    refuse_unknown("column", COLUMNS, map(str, rates.columns))
    refuse_unknown("register", lists, map(str, rates["register"].unique()))
    found = []
    for draw, part in rates.groupby("draw", sort=True):
        by_list = part.set_index("register").reindex(list(lists))
        missed, false = by_list["missed"].to_numpy(np.float64), float(by_list["false"].mean())
        if not (np.all((missed >= 0.0) & (missed < 1.0)) and 0.0 <= false < 0.5):
            raise SettingError(
                f"rates of draw {draw}: missed must lie from 0 to below 1, false from 0 to below 0.5"
            )
        found.append((missed, false))
    if not found:
        raise SettingError("rates holds no draw; give those of links.rates()")
    return found


def _point(table: CaptureTable, counts: Floats, missed: Floats, false: float) -> CorrectedPoint:
    """Correct every stratum of the table, with other counts in its cells."""
    codes = stratum_codes(table.strata)
    histories, rows, cells, reason = [], [], [], ""
    for code in np.unique(codes):
        at = np.flatnonzero(codes == code)
        dense = np.zeros(1 << table.n_lists)
        dense[table.histories[at]] = counts[at]
        part: Corrected = corrected_counts(dense, missed, false)
        there = np.flatnonzero(part.counts > 0.0)
        histories.append(there)
        rows.append(np.full(len(there), at[0]))
        cells.append(part.counts[there])
        if not part.converged:
            reason = "no counts of persons were found that explain the records at these rates"
    return CorrectedPoint(
        {},
        table,
        np.concatenate(histories).astype(np.int64),
        np.concatenate(rows),
        np.concatenate(cells),
        reason,
    )


def _resampled(table: CaptureTable, plain: Estimate, rng: np.random.Generator) -> Floats | None:
    """Draw the records anew, with the number of those seen as one of the estimated persons."""
    seen = table.n_observed
    size = round(plain.n_hat) if math.isfinite(plain.n_hat) else seen
    number = int(rng.binomial(size, min(seen / size, 1.0))) if size > seen else seen
    counts = rng.multinomial(number, table.counts / seen).astype(np.float64)
    return counts if counts.sum() else None


def _estimate(base: Estimate, n_hat: float, draws: Floats, level: float) -> Estimate:
    """Put number and interval of the corrected counts into an estimate."""
    value = max(n_hat, float(base.n_observed)) if math.isfinite(n_hat) else base.n_hat
    if len(draws) and math.isfinite(value):
        low, high = np.quantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
        low, high = max(min(low, value), float(base.n_observed)), max(high, value)
        interval = Interval(
            float(low), float(high), level, "rates of links and counts resampled, method repeated"
        )
    else:
        interval = replace(base.interval, method=f"{base.interval.method}; rates of links taken as known")
    return replace(
        base,
        n_hat=value,
        interval=interval,
        draws=np.maximum(draws, float(base.n_observed)) if len(draws) else None,
        draws_are="bootstrap" if len(draws) else "",
        stratum_draws=None,
        by_stratum=pd.DataFrame(),
    )


def _sentence(plain: Estimate, estimate: Estimate, missed: Floats) -> str:
    """Say what the correction does."""
    return (
        f"With links as they are the estimate is {plain.n_hat:,.0f}; with records that come loose with a chance of "
        f"{100 * missed.min():.1f} to {100 * missed.max():.1f} % by list taken into account it is "
        f"{estimate.n_hat:,.0f} ({format_level(estimate.interval.level)} interval "
        f"{estimate.interval.low:,.0f} to {estimate.interval.high:,.0f})."
    )
