"""Stochastic search for ten to twelve lists: random walks over the models with two-list terms, from several starts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.estimators.protocol import check_whole
from hiddenpop.estimators.search import Rule, Tried, evaluate
from hiddenpop.kernels.bound import INADMISSIBLE
from hiddenpop.kernels.mc3 import MAX_LISTS, Walk, pairs_of, starts, walk
from hiddenpop.kernels.walks import Agreement, Visited, agreement, merge
from hiddenpop.model import HierarchicalModel
from hiddenpop.parallel import run_blocks, spawn_seeds
from hiddenpop.result import Diagnostic
from hiddenpop.table import RNGLike

__all__ = ["FEWEST_STEPS", "refuse_walks", "stochastic"]

WINDOW = {"bic": 10.0, "aic": 4.0, "aicc": 4.0}
MODELS_KEPT, INADMISSIBLE_KEPT = 100, 20
"""Models near the best that are judged and listed; at twelve lists a linear programme takes a second."""

FEWEST_STEPS = 100


@dataclass(frozen=True, slots=True)
class _Chain:
    """One chain as a block of work."""

    counts: npt.NDArray[np.float64]
    n_lists: int
    start: int
    n_steps: int
    rng: np.random.Generator
    criterion: str
    exists: bool
    offset: npt.NDArray[np.float64] | None
    without: int


def stochastic(
    data: ListCounts, rule: Rule, *, rng: RNGLike, n_chains: int = 4, n_steps: int = 20_000
) -> tuple[Tried, dict[str, Any]]:
    """Search the models with two-list terms by random walks (MC3; Madigan & York 1995) from several starts.

    Parameters
    ----------
    data : ListCounts
        Up to twelve lists.
    rule : Rule
        Must count every nominal parameter.
    rng : int, Generator or None
    n_chains : int
        The first starts from independence, the second from all pairs, the others from random sets of pairs.
    n_steps : int
        Steps a chain, each adding or removing one pair or staying; twelve lists took half a minute with 20,000.

    Returns
    -------
    tried : Tried
        Models near the best that the chains fitted, best first, the inadmissible ones among them included.
    found : dict
        ``n_models`` fitted, ``visits`` of the models in `tried`, ``agreement`` of the chains and ``diagnostics``, a
        tuple that warns where they disagree.

    Raises
    ------
    CapabilityError
        For more than twelve lists, or where every odds ratio is fixed.
    SettingError
        For fewer than two chains or too few steps.

    Notes
    -----
    Each chain ends by going downhill from its best model, one pair at a time. What it finds is not proven to be the
    best. Chains that agree on it, and on the time they spend at the best models, make it likely.

    References
    ----------
    Madigan, D. and York, J. (1995). Bayesian graphical models for discrete data. International Statistical Review
    63(2), 215-232. doi:10.2307/1403615

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.estimators.prepare import list_counts
    >>> data = list_counts(hp.datasets.load("uk"), estimator="selected")
    >>> tried, found = stochastic(data, Rule("bic"), rng=1, n_steps=2_000)
    >>> tried.labels(6)[0], round(float(tried.n0[0]) + data.n_observed, 2), found["agreement"].found_best
    ('[12,13,25,35,36,45]', 12349.59, 4)
    """
    check_whole("n_chains", n_chains, least=2)
    check_whole("n_steps", n_steps, least=FEWEST_STEPS)
    refuse_walks(data)
    begin, *rngs = spawn_seeds(rng, n_chains + 1)
    tasks = [
        _Chain(
            data.counts,
            data.n_lists,
            start,
            n_steps,
            child,
            rule.criterion,
            rule.admissible == "exists",
            data.offset,
            data.without,
        )
        for start, child in zip(starts(data.n_lists, n_chains, begin, data.without), rngs, strict=True)
    ]
    chains = run_blocks(_run, tasks, label="stochastic search")
    visited = merge(chains, data.n_lists, data.without)
    rows = _near_best(visited, rule)
    visits = dict(zip(visited.term_sets, visited.visits.tolist(), strict=True))
    tried = evaluate(data, [visited.term_sets[row] for row in rows]).ranked(data, rule)
    agreed = agreement(chains, data.n_lists, data.without)
    return tried, {
        "n_models": len(visited.term_sets),
        "visits": [visits[int(term_set)] for term_set in tried.term_sets],
        "agreement": agreed,
        "diagnostics": _warnings(agreed, data.n_lists),
    }


def refuse_walks(data: ListCounts) -> None:
    """Refuse more lists than walks can be taken over, and a space without a model to walk to.

    Raises
    ------
    CapabilityError
    """
    if data.n_lists > MAX_LISTS:
        raise CapabilityError(
            f"the stochastic search takes at most {MAX_LISTS} lists and this table has {data.n_lists}; merge lists "
            f"of the same kind, or use a stepwise search"
        )
    if not len(pairs_of(data.n_lists, data.without)):
        raise CapabilityError(
            "odds_ratios fixes every pair of lists, so there is nothing to search; use LogLinear in its place"
        )


def _run(task: _Chain) -> Walk:
    return walk(
        task.counts,
        task.n_lists,
        start=task.start,
        n_steps=task.n_steps,
        rng=task.rng,
        criterion=task.criterion,
        exists=task.exists,
        offset=task.offset,
        without=task.without,
    )


def _near_best(visited: Visited, rule: Rule) -> npt.NDArray[np.intp]:
    """Positions of the models worth judging: those near the best, and the inadmissible ones that come before it."""
    allowed = np.flatnonzero(visited.codes != INADMISSIBLE)
    refused = np.flatnonzero(visited.codes == INADMISSIBLE)[:INADMISSIBLE_KEPT]
    if not len(allowed):
        return refused
    end = visited.values[allowed[0]] + WINDOW[rule.criterion]
    rows = np.concatenate([allowed[:MODELS_KEPT], refused])
    return np.sort(rows[visited.values[rows] <= end])


def _warnings(agreed: Agreement, n_lists: int) -> tuple[Diagnostic, ...]:
    """Say where the chains differ."""
    if agreed.agree:
        return ()
    named = dict.fromkeys(
        str(HierarchicalModel.from_term_set(term_set, n_lists)) for term_set in agreed.best if term_set
    )
    message = (
        f"the chains of the stochastic search disagree: {agreed.found_best} of {len(agreed.best)} found the best "
        f"model; split R-hat of the log dark figure {agreed.rhat:.2f}, total variation between chains "
        f"{agreed.total_variation:.2f}; best models by chain: {', '.join(named) or 'none admissible'}. Take more steps"
    )
    return (Diagnostic("chains_disagree", "warning", message, agreed.rhat),)
