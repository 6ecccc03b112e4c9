"""What a reader of a pooled model asks for: strata, spreads, convergence, and how much is borrowed."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._cells import distinct_texts
from hiddenpop._typing import Floats
from hiddenpop.bayes.convergence import HIGHEST_RHAT, effective_draws
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.loglinear_details import (
    LARGEST_MOVE,
    OTHER_POWERS,
    PRIOR_DRIVEN,
    reweighted_median,
)
from hiddenpop.bayes.outcome import quantiles, reach_of
from hiddenpop.bayes.pooled_design import PooledDesign
from hiddenpop.bayes.pooled_draws import Agreement, agreement
from hiddenpop.bayes.pooled_model import Hyper, PooledPrior, hypers_of
from hiddenpop.bayes.priors import odds_ratio_of_sd
from hiddenpop.bayes.sampling import Chains
from hiddenpop.result import Diagnostic, Status

__all__ = [
    "PROTECTED",
    "Posterior",
    "details_of",
    "diagnostics_of",
    "faults_of",
    "posterior_of",
    "strata_frame",
]


PROTECTED = ("shrinkage",)
"""Details from which the counts of small cells could be worked out."""

FEW_LEVELS = 5
"""With fewer levels the standard deviation between them is mostly its prior."""

BLOCK = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """All that was drawn, and how well chains agree on it.

    Attributes
    ----------
    design : PooledDesign
    prior : PooledPrior
    chains : Chains
    by_stratum : ndarray, shape (chains, draws, s)
        Population size, in persons.
    of_strata, of_hypers : Agreement
    """

    design: PooledDesign
    prior: PooledPrior
    chains: Chains
    by_stratum: Floats
    of_strata: Agreement
    of_hypers: Agreement

    @property
    def sizes(self) -> Floats:
        """Population size, shape (chains, draws)."""
        return np.asarray(self.by_stratum.sum(axis=-1))

    @property
    def hypers(self) -> tuple[Hyper, ...]:
        """The standard deviations that were drawn."""
        return hypers_of(self.design, self.prior)


def posterior_of(design: PooledDesign, prior: PooledPrior, chains: Chains, by_stratum: Floats) -> Posterior:
    """Put draws together with how well chains agree on them.

    Parameters
    ----------
    design : PooledDesign
    prior : PooledPrior
    chains : Chains
    by_stratum : ndarray, shape (chains, draws, s)

    Returns
    -------
    Posterior
    """
    return Posterior(
        design=design,
        prior=prior,
        chains=chains,
        by_stratum=by_stratum,
        of_strata=agreement(by_stratum),
        of_hypers=agreement(chains.draws["hyper"]),
    )


def faults_of(posterior: Posterior) -> list[str]:
    """Say on which stratum and on which standard deviation chains disagree most, where that is too much.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    list of str
    """
    names = {"of_strata": _stratum_names(posterior.design), "of_hypers": _hyper_names(posterior)}
    faults = []
    for what, subject in (("of_strata", "N in"), ("of_hypers", "the spread")):
        rhat = getattr(posterior, what).rhat
        if len(rhat) and not rhat.max() <= HIGHEST_RHAT:
            worst = int(np.argmax(rhat))
            faults.append(
                f"R-hat of {subject} {names[what][worst]} is {rhat[worst]:.3f}, above {HIGHEST_RHAT}, the highest of "
                f"{int((rhat > HIGHEST_RHAT).sum()):,} that are"
            )
    return faults


def details_of(posterior: Posterior, level: float) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    posterior : Posterior
    level : float

    Returns
    -------
    dict
    """
    design, draws = posterior.design, posterior.chains.draws
    held = {
        "N": posterior.sizes,
        "hyper": draws["hyper"],
        "log_level": draws["log_level"],
        "mean": draws["mean"],
    }
    labels = {"spread": _hyper_names(posterior), "term": _term_names(design)}
    return {
        "dropped_lists": list(design.dropped),
        "factors": {factor.name: len(factor.levels) for factor in design.factors},
        "hyperparameters": _hyperparameters(posterior, level),
        "means": _means(posterior, level),
        "worst": _worst(posterior),
        "shrinkage": _shrinkage(posterior),
        "backend": posterior.chains.backend,
        "idata": inference_data(held, dims={"hyper": ["spread"], "mean": ["term"]}, coords=labels),
    }


def diagnostics_of(posterior: Posterior) -> list[Diagnostic]:
    """Say what the answer rests on and what to beware of.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    list of Diagnostic
    """
    return [*posterior.design.diagnostics, *_little_to_pool(posterior.design), *_nobody(posterior.design)]


def prior_sets_the_answer(posterior: Posterior) -> str:
    """Say that the prior of the mean list effects moves the median of N too far; empty when it does not.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    str
    """
    mains = posterior.chains.draws["mean"][..., : len(posterior.design.lists)]
    log_prior = -0.5 * ((mains / posterior.prior.main_sd) ** 2).sum(axis=-1).ravel()
    sizes = posterior.sizes.ravel()
    medians = [reweighted_median(sizes, (power - 1.0) * log_prior)[0] for power in (*OTHER_POWERS, 1.0)]
    return PRIOR_DRIVEN if max(medians) > LARGEST_MOVE * min(medians) else ""


# --- strata -----------------------------------------------------------------------------------------------------------


def strata_frame(posterior: Posterior, level: float, status: Status) -> pd.DataFrame:
    """Give one row a stratum: levels, persons observed, median, limits and status.

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
    n = design.observed.astype(np.int64)
    flat = posterior.by_stratum.reshape(-1, design.n_strata)
    tail = (1.0 - level) / 2.0
    shares = [0.5, tail, 1.0 - tail]
    blocks = [
        np.quantile(flat[:, start : start + BLOCK], shares, axis=0, method="inverted_cdf")
        for start in range(0, design.n_strata, BLOCK)
    ]
    median, low, high = np.concatenate(blocks, axis=1)
    own = _statuses(posterior, median, status)
    has_number = np.isin(own, ["ok", "boundary"])
    n_hat = np.where(own == "unbounded", math.inf, np.where(has_number, median, math.nan))
    found = {"n_observed": n, "n_hat": n_hat, "low": low, "high": high, "status": own}
    return pd.concat([design.strata, pd.DataFrame(found)], axis=1)


def _statuses(posterior: Posterior, median: Floats, status: Status) -> npt.NDArray[Any]:
    design = posterior.design
    n = design.observed
    reach = reach_of(design.n_observed, len(design.lists))
    own = np.where(median == n, "boundary", "ok").astype(object)
    own[median > reach] = "unbounded"
    own[posterior.of_strata.rhat > HIGHEST_RHAT] = "not_converged"
    return own if status in ("ok", "boundary") else np.full(len(n), status, dtype=object)


def _stratum_names(design: PooledDesign) -> list[str]:
    return distinct_texts(design.strata.itertuples(index=False, name=None), " / ")


# --- frames -----------------------------------------------------------------------------------------------------------


def _hyper_names(posterior: Posterior) -> list[str]:
    return distinct_texts([(hyper.factor, hyper.effect) for hyper in posterior.hypers], ": ")


def _term_names(design: PooledDesign) -> list[str]:
    return [
        "*".join(name for position, name in enumerate(design.lists) if mask >> position & 1)
        for mask in design.terms
    ]


def _hyperparameters(posterior: Posterior, level: float) -> pd.DataFrame:
    """Give each standard deviation, the factor that 95 % of what varies lies within, and how well it was drawn."""
    tail = (1.0 - level) / 2.0
    rows = []
    for at, hyper in enumerate(posterior.hypers):
        drawn = posterior.chains.draws["hyper"][..., at]
        median, low, high = quantiles(drawn.ravel(), [0.5, tail, 1.0 - tail]).tolist()
        rows.append(
            {
                "factor": hyper.factor,
                "effect": hyper.effect,
                "sd": median,
                "low": low,
                "high": high,
                "within_factor": odds_ratio_of_sd(median),
                "prior_scale": hyper.scale,
                "rhat": float(posterior.of_hypers.rhat[at]),
                "ess_bulk": effective_draws(drawn, "bulk"),
                "ess_tail": effective_draws(drawn, "tail"),
            }
        )
    return pd.DataFrame(rows)


def _means(posterior: Posterior, level: float) -> pd.DataFrame:
    """Means of list effects (log odds) and interactions (log odds ratios)."""
    tail = (1.0 - level) / 2.0
    rows = []
    for at, name in enumerate(_term_names(posterior.design)):
        drawn = posterior.chains.draws["mean"][..., at].ravel()
        median, low, high = quantiles(drawn, [0.5, tail, 1.0 - tail]).tolist()
        rows.append({"term": name, "median": median, "low": low, "high": high})
    return pd.DataFrame(rows)


def _worst(posterior: Posterior) -> dict[str, Any]:
    """Name the stratum and the standard deviation on which chains agree least."""
    found: dict[str, Any] = {}
    names = {"stratum": _stratum_names(posterior.design), "spread": _hyper_names(posterior)}
    for what, measured in (("stratum", posterior.of_strata), ("spread", posterior.of_hypers)):
        if len(measured.rhat):
            highest, fewest = int(np.argmax(measured.rhat)), int(np.argmin(measured.ess_bulk))
            found[what] = {
                "rhat": float(measured.rhat[highest]),
                "rhat_of": names[what][highest],
                "ess_bulk": float(measured.ess_bulk[fewest]),
                "ess_bulk_of": names[what][fewest],
            }
    return found


def _shrinkage(posterior: Posterior) -> pd.DataFrame:
    """How far each stratum speaks for itself: 1 when the others weigh nothing, 0 when all is borrowed."""
    design, place = posterior.design, posterior.design.place
    if not place.n_free:
        return design.strata.assign(own_size=1.0, own_lists=1.0)
    n = np.bincount(place.index, design.observed, len(place.levels))[place.index]
    middle = np.median(posterior.chains.draws["hyper"], axis=(0, 1))
    size, lists = middle[0] ** 2, middle[1 : len(design.lists) + 1] ** 2
    total = max(design.n_observed, 1)
    caught = design.counts.sum(axis=0) @ design.columns[:, : len(design.lists)] / total
    told = np.outer(n, caught * (1.0 - caught) * lists)
    return design.strata.assign(
        own_size=n * size / (1.0 + n * size), own_lists=(told / (1.0 + told)).mean(axis=1)
    )


# --- remarks ----------------------------------------------------------------------------------------------------------


def _little_to_pool(design: PooledDesign) -> list[Diagnostic]:
    n_levels = len(design.place.levels)
    if n_levels >= FEW_LEVELS:
        return []
    message = (
        f"{design.place.name} has {n_levels} {'level' if n_levels == 1 else 'levels'}: there is little to pool, "
        f"and how much they differ is mostly the prior"
    )
    return [Diagnostic("little_to_pool", "warning", message, n_levels)]


def _nobody(design: PooledDesign) -> list[Diagnostic]:
    empty = int((design.observed == 0.0).sum())
    if not empty:
        return []
    message = (
        f"nobody was observed in {empty:,} of {design.n_strata:,} strata: what is said of them comes mostly from the "
        f"others"
    )
    return [Diagnostic("strata_without_persons", "info", message, empty)]
