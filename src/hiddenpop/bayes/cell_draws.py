"""Draws of the observed cells that a Bayesian estimator has made, and the ratio that an assumption takes from them."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.bayes.convergence import convergence, judge
from hiddenpop.bayes.inference_data import CELL_SHARES
from hiddenpop.errors import CapabilityError, HiddenpopWarning
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.estimators.protocol import Estimator
from hiddenpop.histories import captures, project
from hiddenpop.result import Diagnostic, Estimate, Status
from hiddenpop.table import CaptureTable

__all__ = ["FittedCells", "fit_cells", "fitted_cells", "has_cells"]


WITHOUT_HIGHEST = ("bayesian_averaged",)
"""Estimators that keep no cells, and whose every model is log-linear without the interaction of all lists: the ratio is
then the odds of being hidden."""

WITH_CELLS = "latent_class, bayesian_loglinear, thresholded and bayesian_averaged"
SMALLEST, LARGEST_LOG = 1e-300, 600.0
MOST = 0.5
PASSED_ON = ("poor_fit", "classes_used_up", "chosen_by_data", "coin_toss")
"""Remarks of the estimator of the cells that are about these and not about its own dark figure."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FittedCells:
    """Draws of the observed cells by a Bayesian estimator.

    Attributes
    ----------
    estimate : Estimate
        Where they come from.
    log_ratio : ndarray, shape (chains, draws)
        ``log R``, the product of the odd cells over the product of the even ones, as shares.
    log_other : ndarray, shape (chains, draws)
        Log share of those observed on none of the lists of the assumption; minus infinity when there can be none.
    n_without_share : int
        Draws in which a cell has no share at all, so that the ratio has no value.
    """

    estimate: Estimate
    log_ratio: Floats
    log_other: Floats
    n_without_share: int = 0

    @property
    def name(self) -> str:
        """Name of the estimator."""
        return self.estimate.estimator.name

    @property
    def fault(self) -> tuple[Status, str] | None:
        """What keeps the draws from being used: a status and the reason."""
        inner = self.estimate
        if inner.status in ("not_converged", "not_identified"):
            return inner.status, f"the observed cells come from {self.name}, and there: {inner.reason}"
        if self.n_without_share > MOST * self.log_ratio.size:
            reason = f"{self.name} gives a cell no share at all, so that the ratio of the cells has no value"
            return "not_identified", reason
        status, reason = judge(convergence(self.sizes))
        return None if status == "ok" else (status, f"the ratio of the cells by {self.name}: {reason}")

    @property
    def sizes(self) -> Floats:
        """Expected size without the highest interaction, on which the agreement of chains is measured."""
        odds = np.exp(np.minimum(self.log_ratio, LARGEST_LOG))
        return np.asarray(self.estimate.n_observed * (1.0 + odds))

    @property
    def convergence(self) -> dict[str, Any]:
        """How well the chains agree on the ratio."""
        return convergence(self.sizes).as_dict() if self.log_ratio.size else {}

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Remarks of the estimator that are about the cells."""
        return [remark for remark in self.estimate.diagnostics if remark.name in PASSED_ON]


def has_cells(estimate: Estimate) -> bool:
    """Tell whether an estimate holds what `fitted_cells` needs.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> has_cells(hp.LogLinear().fit(hp.datasets.load("kosovo")))
    False
    """
    return _held(estimate, CELL_SHARES) is not None or _held_ratio(estimate) is not None


def fit_cells(estimator: Estimator, table: CaptureTable, rng: np.random.Generator) -> Estimate:
    """Fit the estimator of the cells; what it says of strata and empty lists is said once, by whoever uses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return estimator.fit(table, rng=rng.spawn(1)[0])


def fitted_cells(estimate: Estimate, data: ListCounts, at: list[int], *, estimator: str) -> FittedCells:
    """Take the ratio of the cells of some lists from the draws of an estimate.

    Parameters
    ----------
    estimate : Estimate
        By a Bayesian estimator, of the table behind `data`.
    data : ListCounts
    at : list of int
        Positions of the lists of the assumption among those of `data`.
    estimator : str
        Name for the messages.

    Returns
    -------
    FittedCells
        Without draws where the estimate has none.

    Raises
    ------
    CapabilityError
        If such an estimate never holds what is needed.
    """
    if estimate.draws is None and estimate.status in ("not_converged", "not_identified"):
        nothing = np.zeros((1, 0))
        return FittedCells(estimate=estimate, log_ratio=nothing, log_other=nothing)
    shares, ratio = _held(estimate, CELL_SHARES), _held_ratio(estimate)
    if shares is not None:
        return _from_shares(estimate, shares, at, data.n_lists)
    if ratio is not None and len(at) == data.n_lists:
        return FittedCells(estimate=estimate, log_ratio=ratio, log_other=np.full(ratio.shape, -np.inf))
    raise CapabilityError(_lacks(estimate, estimator, ratio is not None))


def _lacks(estimate: Estimate, estimator: str, has_ratio: bool) -> str:
    name = estimate.estimator.name
    if has_ratio:
        return (
            f'{estimator} needs the cells of single lists under assumption="marginal", and {name} keeps only the '
            f"ratio over all lists"
        )
    return (
        f"{estimator} takes the observed cells from the draws of a Bayesian estimator, and those of {name} on "
        f"{estimate.table.name} do not hold a share of every cell; {WITH_CELLS} do, without structural zeros and on "
        f"tables of moderate size"
    )


def _from_shares(estimate: Estimate, shares: Floats, at: list[int], n_lists: int) -> FittedCells:
    histories = project(np.arange(1, 1 << n_lists), at)
    belongs = (histories[:, None] == np.arange(1 << len(at))).astype(np.float64)
    cells = shares @ belongs
    sign = np.where(captures(np.arange(1, 1 << len(at))) % 2 == 1, 1.0, -1.0)
    none = (cells[..., 1:] < SMALLEST).any(axis=-1)
    with np.errstate(divide="ignore"):
        log_other = np.log(cells[..., 0])
    return FittedCells(
        estimate=estimate,
        log_ratio=np.log(np.maximum(cells[..., 1:], SMALLEST)) @ sign,
        log_other=log_other,
        n_without_share=int(none.sum()),
    )


def _held(estimate: Estimate, name: str) -> Floats | None:
    posterior = getattr(estimate.details.get("idata"), "posterior", None)
    return None if posterior is None or name not in posterior else np.asarray(posterior[name].to_numpy())


def _held_ratio(estimate: Estimate) -> Floats | None:
    """Log odds of being hidden, where these are the ratio of the cells."""
    share = _held(estimate, "hidden_share") if estimate.estimator.name in WITHOUT_HIGHEST else None
    if share is None:
        return None
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(share) - np.log1p(-share))
