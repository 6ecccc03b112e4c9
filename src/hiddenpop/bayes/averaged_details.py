"""What a reader of a posterior over log-linear models asks for: models, interactions, and how far to trust them."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.bayes.inference_data import inference_data, load_arviz
from hiddenpop.bayes.priors import odds_ratio_of_sd
from hiddenpop.histories import bit_positions, captures
from hiddenpop.kernels.posterior_draws import MOST_PROBABLE, reweighted, weighted_quantiles
from hiddenpop.model import HierarchicalModel, notations
from hiddenpop.result import Diagnostic

if TYPE_CHECKING:
    from hiddenpop.bayes.averaged import Averaged

__all__ = [
    "PROTECTED",
    "Importance",
    "details_of",
    "diagnostics_of",
    "faults_of",
    "importance_of",
    "pareto_k",
]


PROTECTED = ("hidden_share", "importance", "interactions", "models", "sensitivity", "top_models")
"""Details that give small counts away: exact probabilities can be solved for the cells behind them."""

TOP_MODELS, SHOWN_MODELS = 10, 10_000
HIGHEST_K = 0.7
"""Above, importance weights do not settle with any number of draws that one would take (Vehtari et al. 2024)."""

UNRELIABLE = 0.1
"""A Pareto k from a thousand draws has a standard error of 0.15: a few of a hundred lie above 0.7 by chance."""

LAPLACE_ERROR = 0.1
FACTORS, MOVED = (0.5, 2.0), 1.15
"""A figure that moves by more than 15 % when a prior is twice or half as wide rests on it."""

LARGEST_SHOWN = 1e15
HEAVY = 0.05
APART = 0.8
"""Two models disagree when their equal-tailed intervals of this probability have nothing in common."""


def pareto_k(log_weight: Floats) -> float:
    """Shape of the generalised Pareto law of the largest importance weights; below 0.7 they can be relied on.

    References
    ----------
    Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024). Pareto smoothed importance sampling. Journal of
    Machine Learning Research 25(72), 1-58.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> bool(pareto_k(rng.normal(size=2000)) < 0.7), bool(pareto_k(3.0 * rng.normal(size=2000)) > 0.7)
    (True, True)
    """
    if np.ptp(log_weight) < 1e-9:
        return -math.inf
    with np.errstate(all="ignore"):
        return float(load_arviz().psislw(log_weight)[1])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Importance:
    """How well weighted draws stand for the posterior.

    Attributes
    ----------
    examined : ndarray of int
        The most probable models, the first first.
    k : ndarray
        Pareto k of each, from its own draws.
    pooled_k : float
        Pareto k of all draws together.
    effective_draws : float
        Independent draws that the weighted ones are worth, over the whole posterior.
    unreliable_share : float
        Of the probability of the models examined, that of models with a Pareto k above 0.7.
    """

    examined: npt.NDArray[np.int64]
    k: Floats
    pooled_k: float
    effective_draws: float
    unreliable_share: float


def importance_of(found: "Averaged") -> Importance:
    """Look at the importance weights, together and model by model.

    Parameters
    ----------
    found : Averaged

    Returns
    -------
    Importance
    """
    posterior = found.posterior
    order = np.argsort(-posterior.probability, kind="stable")
    examined = order[~np.isnan(posterior.error[order])][:MOST_PROBABLE]
    by_model = [pareto_k(posterior.draws.log_weight[posterior.model == m]) for m in examined]
    k = np.array(by_model)
    shares = posterior.probability[examined]
    return Importance(
        examined=examined,
        k=k,
        pooled_k=pareto_k(np.log(posterior.weight[posterior.weight > 0.0])),
        effective_draws=float(1.0 / (posterior.weight**2).sum()),
        unreliable_share=float(shares[k > HIGHEST_K].sum() / shares.sum()),
    )


def faults_of(importance: Importance) -> list[str]:
    """Say why the weighted draws cannot be trusted, nothing when they can.

    Examples
    --------
    >>> faults_of(
    ...     Importance(
    ...         examined=np.array([0]), k=np.array([0.9]), pooled_k=0.2, effective_draws=900.0, unreliable_share=1.0
    ...     )
    ... )
    ['models with 100% of the probability examined have a Pareto k above 0.7: few importance weights carry them']
    """
    faults = []
    if importance.pooled_k > HIGHEST_K:
        faults.append(
            f"the Pareto k of the importance weights is {importance.pooled_k:.2f}, above {HIGHEST_K}: few of them "
            f"carry all"
        )
    if importance.unreliable_share > UNRELIABLE:
        faults.append(
            f"models with {importance.unreliable_share:.0%} of the probability examined have a Pareto k above "
            f"{HIGHEST_K}: few importance weights carry them"
        )
    return faults


def diagnostics_of(found: "Averaged", importance: Importance, sensitivity: pd.DataFrame) -> list[Diagnostic]:
    """Say what to beware of.

    Parameters
    ----------
    found : Averaged
    importance : Importance
    sensitivity : DataFrame
        By `sensitivity_of`.

    Returns
    -------
    list of Diagnostic
    """
    return [
        *_no_overlap(found),
        *_few_persons(found),
        *_prior_sensitivity(sensitivity),
        *_models_disagree(found),
        *_laplace_error(found, importance),
    ]


def _no_overlap(found: "Averaged") -> list[Diagnostic]:
    counts = found.data.counts
    if counts[captures(np.arange(len(counts))) > 1].any():
        return []
    message = (
        "nobody is on two lists: the data set the population no upper limit, and the priors of main effects and "
        "interactions alone set one"
    )
    return [Diagnostic("no_overlap", "warning", message, 0)]


def _few_persons(found: "Averaged") -> list[Diagnostic]:
    n, cells = found.data.n_observed, len(found.data.counts) - 1
    if n >= cells:
        return []
    persons = "1 person" if n == 1 else f"{n} persons"
    message = f"{persons} for {cells} capture histories: the priors weigh as much as the data"
    return [Diagnostic("few_persons", "warning", message)]


def sensitivity_of(found: "Averaged", level: float) -> pd.DataFrame:
    """Median and limits of N under half and twice the standard deviation of a normal prior, from the same draws.

    Parameters
    ----------
    found : Averaged
    level : float

    Returns
    -------
    DataFrame
        ``odds_ratio``, ``main_effect_sd``, ``median``, ``low``, ``high``, and the ``effective_draws`` left; the first
        row has the priors of the estimate.
    """
    posterior, prior = found.posterior, found.prior
    others = [prior._replace(main_sd=factor * prior.main_sd) for factor in FACTORS]
    others += [prior._replace(interaction_sd=factor * prior.interaction_sd) for factor in FACTORS]
    tail = (1.0 - level) / 2.0
    rows = []
    for other in [prior, *others]:
        weight = reweighted(posterior, prior, other)
        missing = weighted_quantiles(posterior.n_missing, weight, [0.5, tail, 1.0 - tail])
        odds_ratio = odds_ratio_of_sd(other.interaction_sd)
        sizes = (found.data.n_observed + missing).tolist()
        rows.append((odds_ratio, other.main_sd, *sizes, float(1.0 / (weight**2).sum())))
    columns = ["odds_ratio", "main_effect_sd", "median", "low", "high", "effective_draws"]
    return pd.DataFrame(rows, columns=columns)


def _prior_sensitivity(sensitivity: pd.DataFrame) -> list[Diagnostic]:
    """Warn where another width of a prior moves a figure by much."""
    figures = sensitivity[["median", "low", "high"]]
    moved = np.abs(np.log(figures / figures.iloc[0])).max(axis=1)
    found = []
    for name, rows in (("main_effect_sd", [1, 2]), ("odds_ratio", [3, 4])):
        if moved[rows].max() <= math.log(MOVED):
            continue
        here = sensitivity.loc[[rows[0], 0, rows[1]]]
        shown = ", ".join(
            f"{_three_digits(median)} [{_three_digits(low)}, {_three_digits(high)}] at {value:.3g}"
            for value, median, low, high in here[[name, "median", "low", "high"]].to_numpy().tolist()
        )
        message = f"the answer moves with the prior {name}: {shown}; report the range"
        largest = round(float(np.exp(moved[rows].max())), 2)
        found.append(Diagnostic(f"sensitive_{name}", "warning", message, largest))
    return found


def _models_disagree(found: "Averaged") -> list[Diagnostic]:
    """Warn where heavy models have intervals that do not meet."""
    posterior = found.posterior
    heavy = np.flatnonzero(posterior.probability > HEAVY).tolist()
    if len(heavy) < 2:
        return []
    limits = np.array([_sizes_under(found, m, APART) for m in heavy])
    lowest, highest = int(np.argmin(limits[:, 2])), int(np.argmax(limits[:, 1]))
    if limits[highest, 1] <= limits[lowest, 2]:
        return []
    names = notations(found.space.term_sets[heavy], found.data.n_lists)
    shown = [
        f"{names[i]} has {_three_digits(limits[i, 0])} ({posterior.probability[heavy[i]]:.0%})"
        for i in (lowest, highest)
    ]
    message = (
        f"models that both carry weight are far apart: {shown[0]} and {shown[1]}; the median may lie between"
    )
    return [Diagnostic("models_disagree", "warning", message, len(heavy))]


def _three_digits(value: float) -> str:
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded < LARGEST_SHOWN else f"{rounded:.2e}"


def _laplace_error(found: "Averaged", importance: Importance) -> list[Diagnostic]:
    """Say where Laplace's evidence is off by more than its limit and the noise of the other."""
    posterior, top = found.posterior, importance.examined
    correction, error = posterior.correction[top], posterior.error[top]
    wrong = np.abs(correction) > LAPLACE_ERROR + 2.0 * error
    if not wrong.any():
        return []
    largest = float(np.abs(correction[wrong]).max())
    light = 1.0 - float(posterior.probability[~np.isnan(posterior.error)].sum())
    message = (
        f"Laplace's log evidence is off by up to {largest:.2f} in {int(wrong.sum())} of the {len(top)} most probable "
        f"models, so that importance sampling gives it for all but the lightest, which have {light:.1%} of the weight"
    )
    return [Diagnostic("laplace_error", "info", message, round(largest, 2))]


def details_of(
    found: "Averaged", importance: Importance, sensitivity: pd.DataFrame, level: float
) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    found : Averaged
    importance : Importance
    sensitivity : DataFrame
    level : float

    Returns
    -------
    dict
    """
    tail = (1.0 - level) / 2.0
    shares = np.quantile(found.hidden_share, [0.5, tail, 1.0 - tail], method="inverted_cdf")
    posterior = found.posterior
    models = _model_frame(found)
    return {
        "dropped_lists": list(found.data.dropped),
        "n_models": len(found.space.term_sets),
        "order": found.space.order,
        "interactions": _interaction_frame(found),
        "top_models": _top_frame(found, importance, models, level),
        "models": models,
        "sensitivity": sensitivity,
        "importance": {
            "n_proposals": len(posterior.weight),
            "n_models_drawn": len(posterior.explored),
            "effective_draws": importance.effective_draws,
            "pareto_k": importance.pooled_k,
            "unreliable_share": importance.unreliable_share,
        },
        "hidden_share": dict(zip(("median", "low", "high"), shares.tolist(), strict=True)),
        "idata": inference_data({"N": found.sizes[None], "hidden_share": found.hidden_share[None]}),
    }


def _interaction_frame(found: "Averaged") -> pd.DataFrame:
    """Prior and posterior probability of each interaction."""
    space, holds = found.space, found.space.holds.astype(np.float64)
    lists = found.data.lists
    return pd.DataFrame(
        {
            "interaction": ["*".join(lists[i] for i in bit_positions(term)) for term in space.interactions],
            "order": [term.bit_count() for term in space.interactions],
            "prior": np.exp(found.log_model_prior) @ holds,
            "posterior": np.minimum(found.posterior.probability @ holds, 1.0),
        }
    )


def _model_frame(found: "Averaged") -> pd.DataFrame:
    """Give the models, the most probable first."""
    posterior, space = found.posterior, found.space
    order = np.argsort(-posterior.probability, kind="stable")[:SHOWN_MODELS]
    return pd.DataFrame(
        {
            "model": notations(space.term_sets[order], space.n_lists),
            "interactions": space.n_interactions[order],
            "prior": np.exp(found.log_model_prior[order]),
            "probability": posterior.probability[order],
            "log_evidence": posterior.log_evidence[order] + found.constant,
            "evidence": np.where(np.isnan(posterior.error[order]), "laplace", "importance"),
        }
    )


def _top_frame(found: "Averaged", importance: Importance, models: pd.DataFrame, level: float) -> pd.DataFrame:
    """Give the most probable models with the population size under each."""
    rows = importance.examined[:TOP_MODELS]
    sizes = np.array([_sizes_under(found, m, level) for m in rows])
    lists = found.data.lists
    formulas = [
        HierarchicalModel.from_term_set(int(found.space.term_sets[m]), len(lists)).to_formula(lists)
        for m in rows
    ]
    top = models.head(len(rows))
    return top.assign(
        formula=formulas,
        median=sizes[:, 0],
        low=sizes[:, 1],
        high=sizes[:, 2],
        laplace_error=-found.posterior.correction[rows],
        pareto_k=importance.k[: len(rows)],
    )


def _sizes_under(found: "Averaged", model: int, level: float) -> tuple[float, float, float]:
    """Median and equal-tailed limits of N under one model."""
    posterior = found.posterior
    here = posterior.model == model
    tail = (1.0 - level) / 2.0
    shares = [0.5, tail, 1.0 - tail]
    missing = weighted_quantiles(posterior.n_missing[here], posterior.weight[here], shares)
    median, low, high = (found.data.n_observed + missing).tolist()
    return median, low, high
