"""Draws of the observed cells of a table, and the population sizes that an assumption makes of them."""

import difflib
import math
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.bayes.cell_draws import FittedCells, fitted_cells
from hiddenpop.bayes.outcome import limits_of, outcome_of, quantiles, reach_of
from hiddenpop.errors import CapabilityError, UnknownNameError
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.histories import project
from hiddenpop.kernels.odds import CellShapes, RatioDraws, cell_shapes, empty_share, missing, ratio_draws
from hiddenpop.result import Estimate, Status
from hiddenpop.table import CaptureTable

__all__ = [
    "MOST_LISTS",
    "ObservedCells",
    "Sizes",
    "Xi",
    "counts_of",
    "draw_cells",
    "median_xi",
    "modelled_cells",
]

Xi = float | tuple[str, float, float]

MOST_LISTS = 8
"""On nine lists the ratio is a product over 511 cells, of which no real table fills more than a part."""

FAR = 100.0
"""Limits that differ by more than this factor are no answer when the prior makes most of their distance."""

MOST = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class ObservedCells:
    """Posterior draws of the observed cells, with what they were made from.

    Attributes
    ----------
    data : ListCounts
        Counts over all lists that caught somebody.
    lists : tuple of str
        The t lists that the assumption is about.
    counts : ndarray, shape (2**t,)
        Counts over these; element 0 holds those observed on other lists only.
    draws : RatioDraws
    prior_count : float or None
        Persons a cell; None where an estimator has made the draws.
    shapes : CellShapes or None
    fitted : FittedCells or None
        By an estimator; None for Dirichlet cells.
    """

    data: ListCounts
    lists: tuple[str, ...]
    counts: Floats
    draws: RatioDraws
    prior_count: float | None = None
    shapes: CellShapes | None = None
    fitted: FittedCells | None = None

    @property
    def are_all(self) -> bool:
        """Whether the assumption is about all lists that caught somebody."""
        return len(self.lists) == self.data.n_lists

    @property
    def n_empty(self) -> int:
        """Number of cells of the ratio that hold nobody."""
        return int((self.counts[1:] == 0.0).sum())

    @property
    def empty_share(self) -> float:
        """Share of the variance of the log ratio that comes from cells without a person; nan of a model."""
        if self.shapes is None or self.prior_count is None:
            return math.nan
        return empty_share(self.shapes, self.prior_count)

    def sizes(self, xi: Xi, level: float) -> "Sizes":
        """Draw population sizes under an assumption."""
        log_xi = _log_xi(xi, self.draws.normal)
        odds, n_missing = missing(self.draws, log_xi)
        n, agrees = self.data.n_observed, ~np.isnan(n_missing)
        return Sizes(
            n_observed=n,
            reach=reach_of(n, len(self.lists)),
            level=level,
            drawn=n_missing[agrees] + n,
            odds=odds[agrees],
            log_xi=log_xi[agrees],
            contradicted=1.0 - float(agrees.mean()) if len(agrees) else 0.0,
            empty_share=self.empty_share,
            fault=None if self.fitted is None else self.fitted.fault,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sizes:
    """Population sizes drawn under an assumption, from the draws of the cells that agree with it.

    Attributes
    ----------
    n_observed : int
    reach : float
        The largest number that so many persons on so many lists can tell.
    level : float
    drawn : ndarray
        Persons.
    odds, log_xi : ndarray
        Odds of being hidden and logarithm of xi, one a draw of `drawn`.
    contradicted : float
        Share of the draws that agree with no population size.
    empty_share : float
        Share of the variance of the log ratio that comes from cells without a person.
    fault : (str, str) or None
        Status and reason why the draws of the cells cannot be used.
    """

    n_observed: int
    reach: float
    level: float
    drawn: Floats
    odds: Floats
    log_xi: Floats
    contradicted: float
    empty_share: float
    fault: tuple[Status, str] | None = None

    @property
    def as_drawn(self) -> tuple[float, float, float]:
        """Median and equal-tailed limits."""
        tail = (1.0 - self.level) / 2.0
        median, low, high = quantiles(self.drawn, [0.5, tail, 1.0 - tail]).tolist()
        return median, low, high

    @property
    def hidden_share(self) -> Floats:
        """Probability of being hidden."""
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(1.0 / (1.0 + 1.0 / self.odds))

    def outcome(self) -> tuple[float, Status, str]:
        """Give the estimate, its status and the reason."""
        median, low, high = self.as_drawn
        if self.fault is not None:
            return math.nan, *self.fault
        if self.contradicted > MOST:
            return math.nan, "not_identified", CONTRADICTION
        if self.empty_share > MOST and high > FAR * low:
            return math.nan, "not_identified", PRIOR_DRIVEN
        return outcome_of(median, self.n_observed, self.reach)

    def limits(self) -> tuple[float, float]:
        """Give equal-tailed limits; what lies too far for data to tell is infinite above, and cut off below."""
        if not len(self.drawn):
            return float(self.n_observed), math.inf
        return limits_of(*self.as_drawn, self.reach)


CONTRADICTION = (
    "the table contradicts the assumption: in more than half of the posterior more persons were observed on other "
    "lists only than it allows to be on none of these, seen or unseen"
)
PRIOR_DRIVEN = (
    "the empty cells leave the answer to the prior: more than half of the spread comes from its count of persons a "
    "cell, and the limits differ by more than a factor 100; details['quantiles'] has the posterior as drawn"
)


def median_xi(xi: Xi) -> float:
    """Give `xi` itself, or the median of its prior.

    Examples
    --------
    >>> median_xi(("lognormal", 2.0, 0.3))
    2.0
    """
    return xi[1] if isinstance(xi, tuple) else xi


def draw_cells(
    table: CaptureTable,
    lists: tuple[str, ...] | None,
    prior_count: float | None,
    n_draws: int,
    *,
    estimator: str,
    rng: np.random.Generator,
) -> ObservedCells:
    """Draw the cells of some lists from their Dirichlet posterior.

    Parameters
    ----------
    table : CaptureTable
    lists : tuple of str or None
        None for all that caught somebody.
    prior_count : float or None
        Persons a cell; None for one person over all cells.
    n_draws : int
    estimator : str
        Name for the messages.
    rng : Generator

    Returns
    -------
    ObservedCells
    """
    data, lists, _, counts = counts_of(table, lists, estimator)
    prior = 1.0 / (len(counts) - 1) if prior_count is None else prior_count
    shapes = cell_shapes(counts, prior, others=len(lists) < data.n_lists)
    draws = ratio_draws(shapes, data.n_observed, n_draws, rng)
    return ObservedCells(data, lists, counts, draws, prior_count=prior, shapes=shapes)


def modelled_cells(
    estimate: Estimate,
    table: CaptureTable,
    lists: tuple[str, ...] | None,
    *,
    estimator: str,
    rng: np.random.Generator,
) -> ObservedCells:
    """Take the cells of some lists from the draws of an estimate.

    Parameters
    ----------
    estimate : Estimate
        By a Bayesian estimator, of the same table.
    table : CaptureTable
    lists : tuple of str or None
        None for all that caught somebody.
    estimator : str
        Name for the messages.
    rng : Generator
        Turns the ratio into persons.

    Returns
    -------
    ObservedCells
    """
    data, lists, at, counts = counts_of(table, lists, estimator)
    fitted = fitted_cells(estimate, data, at, estimator=estimator)
    size = fitted.log_ratio.size
    draws = RatioDraws(
        log_ratio=fitted.log_ratio.ravel(),
        log_other=fitted.log_other.ravel(),
        log_scale=np.log(rng.standard_gamma(data.n_observed, size)),
        uniform=rng.random(size),
        normal=rng.standard_normal(size),
    )
    return ObservedCells(data, lists, counts, draws, fitted=fitted)


def counts_of(
    table: CaptureTable, lists: tuple[str, ...] | None, estimator: str
) -> tuple[ListCounts, tuple[str, ...], list[int], Floats]:
    """Count over all lists; also give the lists of the assumption, their positions, and the counts over these."""
    data = list_counts(table, estimator=estimator)
    chosen = lists or data.lists
    _refuse_lists(chosen, data, table, estimator)
    at = [data.lists.index(name) for name in chosen]
    counts = np.zeros(1 << len(at))
    np.add.at(counts, project(np.arange(len(data.counts)), at), data.counts)
    return data, chosen, at, counts


def _refuse_lists(lists: tuple[str, ...], data: ListCounts, table: CaptureTable, estimator: str) -> None:
    for name in lists:
        if name in data.dropped:
            raise CapabilityError(f"lists names {name!r}, which caught nobody in {table.name}; leave it out")
        if name not in data.lists:
            near = difflib.get_close_matches(name, data.lists, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UnknownNameError(
                f"lists names {name!r}, and {table.name} has no such list; {hint}it has {', '.join(data.lists)}"
            )
    if len(lists) > MOST_LISTS:
        raise CapabilityError(
            f"{estimator} multiplies the shares of all {2 ** len(lists) - 1:,} cells of {len(lists)} lists, most of "
            f"them empty, so that the prior would set the answer; take at most {MOST_LISTS} lists of {table.name}: "
            f'name them under assumption="marginal", or merge lists with merge_lists'
        )


def _log_xi(xi: Xi, normal: Floats) -> Floats:
    if isinstance(xi, tuple):
        return math.log(xi[1]) + xi[2] * normal
    return np.full(len(normal), math.log(xi))
