"""What an estimate by thresholding carries along: interactions, stages, remarks."""

from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.bayes.cell_groups import CELL_SHARES, MOST_VALUES, cell_groups, shares_of_seen
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.outcome import median_and_limits
from hiddenpop.bayes.thresholded_draws import Sampled, cell_means, table_likelihood
from hiddenpop.bayes.thresholding import Chosen, Problem, Stage, Statistic, term_name
from hiddenpop.histories import decode
from hiddenpop.model import HierarchicalModel
from hiddenpop.result import Diagnostic

__all__ = ["PROTECTED", "details_of", "diagnostics_of", "no_posterior"]


PROTECTED = ("expected", "hidden_share", "interactions")

COLUMNS = ["interaction", "n_lists", "mean", "sd", "statistic", "error", "effective", "outcome"]


def no_posterior(reason: str, *, flat: bool) -> str:
    """Say that flat priors have left a table without a posterior.

    Parameters
    ----------
    reason : str
        Where the likelihood drives what.
    flat : bool
        Whether the interactions have flat priors too.

    Returns
    -------
    str
    """
    what = "the model of all two-list interactions" if flat else "the main effects"
    remedy = (
        "a prior_variance, and perhaps a main_effect_sd, make it proper"
        if flat
        else "a main_effect_sd makes it proper"
    )
    return (
        f"there is no posterior: under flat priors of {what} the likelihood has no maximum and drives the {reason}; "
        f"{remedy}"
    )


def details_of(
    problem: Problem, found: Chosen, drawn: Sampled, level: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    problem : Problem
    found : Chosen
    drawn : Sampled
    level : float
    rng : Generator
        For the replicated tables.

    Returns
    -------
    dict
    """
    lists = problem.data.lists
    return {
        "dropped_lists": list(problem.data.dropped),
        "model": str(HierarchicalModel(problem.data.n_lists, _generators(found.last.terms))),
        "retained": [term_name(term, lists) for term in found.kept],
        "minus_infinity": [term_name(term, lists) for term in found.last.dead],
        "interactions": _interactions(found, lists),
        "stages": pd.DataFrame([_stage_row(tried.statistics) for tried in found.tries]),
        "expected": median_and_limits(problem.data.n_observed + drawn.hidden, level),
        "hidden_share": median_and_limits(drawn.hidden_share, level),
        "idata": _idata(problem, found.last, drawn, rng),
    }


def _generators(terms: list[int]) -> tuple[int, ...]:
    return tuple(t for t in terms if not any(t != other and t & other == t for other in terms))


def _interactions(found: Chosen, lists: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        (
            term_name(s.term, lists),
            s.term.bit_count(),
            s.mean,
            s.sd,
            s.value,
            s.error,
            s.effective,
            "kept" if s.term in found.kept else "left out",
        )
        for s in found.statistics
    ]
    rows += [
        (term_name(term, lists), term.bit_count(), -np.inf, 0.0, np.inf, 0.0, np.inf, "minus infinity")
        for term in found.last.dead
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _stage_row(statistics: list[Statistic]) -> dict[str, float]:
    return {
        "n_lists": max((s.term.bit_count() for s in statistics), default=0),
        "rhat": max((s.rhat for s in statistics), default=1.0),
        "effective": min((s.effective for s in statistics), default=np.inf),
        "error": max((s.error for s in statistics), default=0.0),
    }


def _idata(problem: Problem, last: Stage, drawn: Sampled, rng: np.random.Generator) -> Any:
    lists = problem.data.lists
    posterior = {
        "N": drawn.sizes,
        "hidden_share": drawn.hidden_share,
        "expected": problem.data.n_observed + drawn.hidden,
        "theta": last.theta,
    }
    cells = decode(np.arange(1, len(problem.data.counts)), len(lists))
    names = ["".join(map(str, row)) for row in cells.tolist()]
    groups: dict[str, Any] = {"log_prior": _log_prior(problem, last, drawn)}
    if drawn.sizes.size * len(names) <= MOST_VALUES:
        means = cell_means(problem, last, drawn)
        groups |= cell_groups(means, problem.data.counts[1:], rng)
        posterior[CELL_SHARES] = shares_of_seen(means)
    else:
        groups["log_likelihood"] = {"table": table_likelihood(problem, last, drawn)}
    return inference_data(
        posterior,
        groups=groups,
        dims={"theta": ["term"], "cells": ["cell"], CELL_SHARES: ["cell"]},
        coords={"term": [term_name(term, lists) for term in last.terms], "cell": names},
    )


def _log_prior(problem: Problem, last: Stage, drawn: Sampled) -> dict[str, Floats]:
    """Log prior of each part, of the expected size in place of N, up to constants; a flat part is left out."""
    shape, rate = problem.shape, problem.rate
    parts = {"size": (shape - 1.0) * drawn.log_rate - rate * np.exp(np.minimum(drawn.log_rate, 690.0))}
    precision = problem.task(last.terms, last.dead).precision
    single = np.bitwise_count(np.array(last.terms, dtype=np.int64)) == 1
    for name, chosen in (("main_effects", single), ("interactions", ~single)):
        if precision[chosen].any():
            parts[name] = -0.5 * (last.theta[..., chosen] ** 2 @ precision[chosen])
    return parts


def diagnostics_of(problem: Problem, found: Chosen) -> list[Diagnostic]:
    """Say what the answer rests on and what to beware of.

    Parameters
    ----------
    problem : Problem
    found : Chosen

    Returns
    -------
    list of Diagnostic
    """
    return [*_choice(problem, found), *_tosses(problem, found), *_untried(found)]


def _choice(problem: Problem, found: Chosen) -> list[Diagnostic]:
    if not any(s.term not in found.kept for s in found.statistics):
        return []
    message = (
        f"{len(found.kept)} of {len(found.statistics)} interactions were kept by the same data that then give N: the "
        f"interval takes them as known and does not hold the doubt about the choice"
    )
    return [Diagnostic("chosen_by_data", "info", message, len(found.kept))]


def _tosses(problem: Problem, found: Chosen) -> list[Diagnostic]:
    close = [s for s in found.statistics if s.is_toss(found.threshold)]
    if not close:
        return []
    listed = ", ".join(
        f"{term_name(s.term, problem.data.lists)} ({s.value:.3f}, Monte Carlo error {s.error:.3f})"
        for s in close
    )
    message = (
        f"too close to the threshold of {found.threshold:g} to tell with so many draws: {listed}; another seed may "
        f"choose another model, so draw more or look at both"
    )
    return [Diagnostic("coin_toss", "warning", message, len(close))]


def _untried(found: Chosen) -> list[Diagnostic]:
    if not found.untried:
        return []
    message = (
        f"interactions of three lists were left out: with them the likelihood has no maximum under flat priors and "
        f"drives the {found.untried}"
    )
    return [Diagnostic("triples_left_out", "warning", message)]
