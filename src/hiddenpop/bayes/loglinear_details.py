"""What a reader of a Bayesian log-linear model asks for: odds ratios, strata, remarks, and what the prior moves."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax

from hiddenpop._typing import Floats
from hiddenpop.bayes.cell_groups import CELL_SHARES
from hiddenpop.bayes.cells_design import CellsDesign
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.loglinear_draws import SizeDraws, log_likelihood, log_prior, replicates
from hiddenpop.bayes.loglinear_model import CoefficientPrior, SizeGamma
from hiddenpop.bayes.loglinear_start import information_scale
from hiddenpop.bayes.outcome import median_and_limits, quantiles
from hiddenpop.bayes.sampling import Chains
from hiddenpop.histories import decode
from hiddenpop.result import Diagnostic, Status

__all__ = [
    "PROTECTED",
    "Posterior",
    "details_of",
    "diagnostics_of",
    "prior_sets_the_answer",
    "reweighted_median",
    "strata_frame",
]


PROTECTED = ("censored", "hidden_share", "interactions", "prior_powers")
"""Details from which the counts of small cells could be worked out."""

POWERS = {"interactions": (0.8, 1.25)}
OTHER_POWERS = (0.5, 2.0)
"""Powers to which a part of the prior is raised. The half-Cauchy prior of a scale has no finite integral below 1/2."""

LARGEST_MOVE = 2.0
NOTABLE_MOVE = 1.1
FEWEST_EFFECTIVE = 50.0
"""Reweighted draws that are worth fewer say only that the prior moves the answer further than they reach."""

MOST_POINTWISE = 512
"""Cells up to which the log likelihood of each is kept for every draw; beyond, it fills hundreds of megabytes."""

PRIOR_DRIVEN = (
    "the nearly flat prior of the main effects sets the answer: with half or double its weight the median of N moves "
    "by more than a factor of two, so that the overlaps say nothing of the size"
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Posterior:
    """All that was drawn, and what from."""

    design: CellsDesign
    prior: CoefficientPrior
    size: SizeGamma
    chains: Chains
    drawn: SizeDraws

    @property
    def theta(self) -> Floats:
        """Coefficients, shape (chains, draws, p)."""
        return self.chains.draws["theta"]

    @property
    def log_prior(self) -> dict[str, Floats]:
        """Log prior by its parts, each of shape (chains, draws)."""
        tau = self.chains.draws.get("tau")
        return log_prior(self.design, self.prior, self.size, self.theta, self.drawn.log_size, tau)


def details_of(posterior: Posterior, level: float, rng: np.random.Generator) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    posterior : Posterior
    level : float
    rng : Generator
        For tables drawn again.

    Returns
    -------
    dict
    """
    design, prior = posterior.design, posterior.prior
    return {
        "dropped_lists": list(design.dropped),
        "terms": [str(term) for term in design.terms],
        "interactions": _interactions(posterior, level),
        "hidden_share": median_and_limits(posterior.drawn.hidden_share, level),
        "prior": _prior_in_numbers(design, prior),
        "prior_powers": _prior_powers(posterior),
        "censored": _censored(posterior, level),
        "backend": posterior.chains.backend,
        "idata": _idata(posterior, rng),
    }


def _interactions(posterior: Posterior, level: float) -> pd.DataFrame:
    """Odds ratios of the interactions between lists, and ratios of these for higher orders."""
    design = posterior.design
    rows = []
    for place, term in enumerate(design.terms):
        if term.order > 1 and not term.covariates:
            log_ratio = posterior.theta[..., design.term_of == place].ravel()
            limits = median_and_limits(np.exp(log_ratio), level)
            rows.append({"interaction": str(term), **limits, "above_1": float((log_ratio > 0.0).mean())})
    return pd.DataFrame(rows, columns=["interaction", "median", "low", "high", "above_1"])


def _prior_in_numbers(design: CellsDesign, prior: CoefficientPrior) -> dict[str, Any]:
    numbers = {"family": prior.family, "main_effect_sd": prior.main_sd, "interaction_sd": prior.slab_sd}
    if prior.family == "normal":
        return numbers
    ratio = prior.global_scale / information_scale(design, prior.main_sd)
    n_interactions = sum(term.order > 1 for term in design.terms)
    active = n_interactions * ratio / (1.0 + ratio)
    return {**numbers, "global_scale": prior.global_scale, "n_active": active}


def _censored(posterior: Posterior, level: float) -> pd.DataFrame:
    """Censored cells with their bounds and the persons drawn."""
    design = posterior.design
    at = slice(design.n_certain, design.n_certain + design.n_censored)
    frame = pd.DataFrame(decode(design.histories[at], len(design.lists)), columns=list(design.lists))
    levels = design.strata.iloc[design.stratum_of[at]].reset_index(drop=True)
    drawn = posterior.drawn.censored.reshape(posterior.drawn.sizes.size, design.n_censored)
    found = [median_and_limits(drawn[:, cell], level) for cell in range(design.n_censored)]
    limits = pd.DataFrame(found, columns=["median", "low", "high"])
    return pd.concat([frame, levels, limits], axis=1).assign(bound=design.bounds)


def _idata(posterior: Posterior, rng: np.random.Generator) -> Any:
    design, drawn, draws = posterior.design, posterior.drawn, posterior.chains.draws
    held = {
        "N": drawn.sizes,
        "hidden_share": drawn.hidden_share,
        "log_size": drawn.log_size,
        **{name: draws[name] for name in ("theta", "tau", "lam") if name in draws},
    }
    groups = {"log_prior": posterior.log_prior}
    if design.n_certain + design.n_censored <= MOST_POINTWISE:
        cells = log_likelihood(design, posterior.theta, drawn.log_size)
        groups["log_likelihood"] = {"cells": cells}
        if not design.n_censored:  # a bound says nothing of what to compare a replicate with
            belongs = _by_history(design)
            drawn_again = replicates(design, posterior.theta, drawn.log_size, rng)
            groups["posterior_predictive"] = {"cells": drawn_again @ belongs}
            groups["observed_data"] = {"cells": design.counts @ belongs}
        held |= _cell_shares(design, posterior.theta)
    return inference_data(held, groups=groups)


def _cell_shares(design: CellsDesign, theta: Floats) -> dict[str, Floats]:
    """Share of each history among the observed; nothing where a history has no cell, or a cell no certain count."""
    belongs = _by_history(design)
    if design.n_censored or design.members.shape[1] > 1 or not belongs.any(axis=0).all():
        return {}
    return {CELL_SHARES: softmax(design.log_rows(theta)[..., : design.n_certain], axis=-1) @ belongs}


def _by_history(design: CellsDesign) -> npt.NDArray[np.bool_]:
    """Which certain cell has which history 1, 2, ..., so that a product with it adds the strata up."""
    cells = np.arange(1, 1 << len(design.lists))
    return np.asarray(design.histories[: design.n_certain, None] == cells)


# --- strata -----------------------------------------------------------------------------------------------------------


def strata_frame(posterior: Posterior, level: float, status: Status) -> pd.DataFrame:
    """Give one row a stratum: levels, persons certain, median and limits.

    Parameters
    ----------
    posterior : Posterior
    level : float
    status : str
        Of the estimate; a row has a number only where the estimate has one.

    Returns
    -------
    DataFrame
    """
    design = posterior.design
    certain = np.bincount(design.stratum_of[: design.n_certain], design.counts, design.n_strata)
    rows = []
    for stratum, n in enumerate(certain.astype(np.int64).tolist()):
        found = median_and_limits(posterior.drawn.by_stratum[..., stratum], level)
        n_hat = found["median"] if status in ("ok", "boundary") else math.nan
        own = "boundary" if status == "ok" and n_hat == n else status
        rows.append(
            {"n_observed": n, "n_hat": n_hat, "low": found["low"], "high": found["high"], "status": own}
        )
    return pd.concat([design.strata, pd.DataFrame(rows)], axis=1)


# --- what the prior moves ---------------------------------------------------------------------------------------------


def _prior_powers(posterior: Posterior) -> pd.DataFrame:
    """Medians of N when a part of the prior weighs less or more, by reweighting, with what the draws are worth."""
    sizes = posterior.drawn.sizes.ravel()
    rows = []
    for part, density in posterior.log_prior.items():
        for power in POWERS.get(part, OTHER_POWERS):
            median, worth = reweighted_median(sizes, (power - 1.0) * density.ravel())
            rows.append({"part": part, "power": power, "median": median, "effective_draws": worth})
    return pd.DataFrame(rows)


def reweighted_median(sizes: Floats, log_weight: Floats) -> tuple[float, float]:
    """Median of weighted draws, and how many draws without weights they are worth.

    Examples
    --------
    >>> reweighted_median(np.array([5.0, 7.0, 9.0]), np.log([1.0, 1.0, 2.0]))[0]
    7.0
    """
    weight = np.exp(log_weight - log_weight.max())
    order = np.argsort(sizes, kind="stable")
    reached = np.cumsum(weight[order])
    at = int(np.searchsorted(reached, 0.5 * reached[-1]))
    return float(sizes[order][at]), float(weight.sum() ** 2 / (weight**2).sum())


def _largest_move(posterior: Posterior, part: str) -> tuple[float, float, float]:
    """Smallest and largest median over the powers of one part, and the fewest draws they are worth."""
    frame = _prior_powers(posterior)
    mine = frame[frame["part"] == part]
    median = float(quantiles(posterior.drawn.sizes.ravel(), [0.5])[0])
    if mine.empty:
        return median, median, math.inf
    low, high = float(mine["median"].min()), float(mine["median"].max())
    return min(low, median), max(high, median), float(mine["effective_draws"].min())


def prior_sets_the_answer(posterior: Posterior) -> str:
    """Say that the prior of the main effects moves the median too far; empty when it does not."""
    low, high, _ = _largest_move(posterior, "main_effects")
    return PRIOR_DRIVEN if high > LARGEST_MOVE * low else ""


def diagnostics_of(posterior: Posterior) -> list[Diagnostic]:
    """Say what the answer rests on and what to beware of.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    list of Diagnostic
    """
    return [*posterior.design.diagnostics, *_bounds(posterior), *_moved(posterior)]


def _bounds(posterior: Posterior) -> list[Diagnostic]:
    design = posterior.design
    if not design.n_censored:
        return []
    most = float(design.bounds.sum())
    message = (
        f"{design.n_censored} cells have only an upper bound: together they hold at most {most:,.0f} persons more than "
        f"the {design.n_observed:,} that are certain; N counts those drawn"
    )
    return [Diagnostic("censored_cells", "info", message, most)]


def _moved(posterior: Posterior) -> list[Diagnostic]:
    low, high, worth = _largest_move(posterior, "interactions")
    if high <= NOTABLE_MOVE * low and worth >= FEWEST_EFFECTIVE:
        return []
    message = (
        f"the prior of the interactions is a part of the answer: raised to the powers 0.8 and 1.25 it moves the median "
        f"between {low:,.0f} and {high:,.0f}; report the range of sweep_priors"
    )
    return [Diagnostic("prior_of_interactions", "warning", message, round(high / max(low, 1.0), 3))]
