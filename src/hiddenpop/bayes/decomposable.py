"""`DecomposableAveraging`: the exact posterior of N, averaged over all decomposable graphs of the lists."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hiddenpop._details import Deferred
from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats, Ints
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.priors import (
    DEFAULT_DELTA,
    GraphPrior,
    Prior,
    check_delta,
    check_graph_prior,
    check_log_prior,
    check_prior,
    check_range,
    log_graph_prior,
    size_prior,
)
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.base import POSTERIOR, BaseEstimator, Change, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.protocol import as_number, check_level, check_whole, spec_of
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.bayes.count_posterior import CountPosterior, Mode, modes
from hiddenpop.kernels.bayes.decomposable import GraphPosterior, posterior_of
from hiddenpop.kernels.bayes.graphs import (
    LARGEST_ENUMERATION,
    NUMBER_OF_GRAPHS,
    DecomposableGraphs,
    GraphDensity,
    SizePrior,
    decomposable_graphs,
    graph_density,
)
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval, Status
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["DecomposableAveraging", "sweep_delta"]

METHOD = "equal-tailed posterior, averaged over decomposable graphs"
SMALLEST_MODE = 0.01
TOP_GRAPHS = 10
PROTECTED = ("graphs", "links", "mean", "modes", "p_saturated", "posterior", "tail", "top_graphs")
"""Details that give small counts away: exact probabilities can be solved for the cells behind them."""

STANDARD_PRIORS: tuple[Change, ...] = (
    (("delta", "2^-K"),),
    (("delta", 0.01),),
    (("delta", 0.1),),
    (("delta", 0.5),),
    (("delta", 1.0),),
    (("link_weight", 0.5),),
)
"""Priors worth trying beside the one that is set."""

SATURATED_WARNING = 0.5
LIMIT_WARNING = 0.01
SHOWN_QUANTILES, SHOWN_STEPS = 101, 100
WHOLE_RANGE = 400
"""A posterior on at most so many numbers is shown whole."""

CENTRE = (0.001, 0.995)


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class DecomposableAveraging(BaseEstimator):
    """Size of a closed population, averaged over every decomposable graph of dependence between the lists.

    A graph links lists that depend on each other; on 2 to 6 lists there are 2, 8, 61, 822 or 18,154 decomposable ones.
    Under each the cell probabilities have a hyper-Dirichlet prior, so that the posterior of graph and population size
    is a closed formula. It is summed over all graphs and all sizes: nothing is sampled to find the answer.

    Parameters
    ----------
    delta : float or "2^-K"
        Prior count, in persons, of each of the 2^K cells of K lists. By default 2^-K, so that all cells together count
        one person. Larger ones favour the saturated graph: see Notes.
    prior : {"reciprocal", "uniform"} or ("negative_binomial", mean, shape)
        Prior of N: 1/N, flat, or negative binomial with that mean and variance ``mean + mean^2 / shape``.
    log_prior : sequence of float, optional
        Log prior weights of the dark figures of `n_missing`, in place of `prior`; minus infinity or None for what is
        impossible. A constant added to all of them changes nothing.
    link_weight : float
        Prior weight of a graph for each of its links; below 1 favours few links.
    graph_prior : mapping of str to float, or sequence of float, optional
        Prior weights of graphs, by their cliques (``{"[12,3]": 2.0, "A*C + B": 1.0}``, all others 0), or one a graph
        in the order of `hiddenpop.kernels.bayes.graphs.decomposable_graphs`. By default all alike.
    n_missing : range or (int, int), optional
        Only these dark figures are possible: a range of step 1, or its first and last number.
    max_missing : int, optional
        Short for ``n_missing=(0, max_missing)``.
    n_draws : int
        Draws from the posterior of N; 0 for none.
    level : float
        Probability of the interval.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    `n_hat` is the posterior median. Under the saturated graph the data say nothing of the dark figure n0, and with the
    prior 1/N its posterior falls like ``n0^(-1 - (2^K - 1) delta)``, so that with the default `delta` the mean is
    infinite. Without a range the sum runs to infinity: number by number where the posterior is sharp, by quadrature
    over panels where it is smooth, and beyond ten thousand times the scale of data and peaks by a power law for each
    graph. A flat prior without a range needs ``(2^K - 1) delta > 1``; otherwise there is no posterior.

    With `delta` of 0.5 or 1 on five lists, the prior counts as 16 or 32 persons spread evenly over the cells; on sparse
    tables the saturated graph then takes over and N falls to the number observed. `sweep_delta` shows it.

    Several modes are common, as graphs disagree; `details["modes"]` lists them with their weights.

    References
    ----------
    Madigan, D. and York, J. C. (1997). Bayesian methods for estimation of the size of a closed population. Biometrika
    84(1), 19-31. doi:10.1093/biomet/84.1.19
    Dawid, A. P. and Lauritzen, S. L. (1993). Hyper Markov laws in the statistical analysis of decomposable graphical
    models. Annals of Statistics 21(3), 1272-1317. doi:10.1214/aos/1176349260

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = DecomposableAveraging(n_draws=0).fit(hp.datasets.load("kosovo"))
    >>> estimate.n_hat, estimate.interval.low, estimate.interval.high
    (12595.0, 9827.0, 16544.0)
    >>> estimate.details["top_graphs"]["graph"][0]
    '[123,134]'
    """

    name: ClassVar[str] = "decomposable"

    delta: float | str = DEFAULT_DELTA
    prior: Prior = "reciprocal"
    log_prior: tuple[float | None, ...] | None = None
    link_weight: float = 1.0
    graph_prior: GraphPrior | None = None
    n_missing: tuple[int, int] | None = None
    max_missing: int | None = None
    n_draws: int = 4000
    level: float = 0.95

    def __post_init__(self) -> None:
        limits = check_range(self.n_missing, self.max_missing)
        prior = check_prior(self.prior)
        checked: dict[str, Any] = {
            "delta": check_delta(self.delta),
            "prior": prior,
            "log_prior": check_log_prior(self.log_prior, prior, limits),
            "graph_prior": check_graph_prior(self.graph_prior),
            "n_missing": None if self.n_missing is None else limits,
        }
        for setting, value in checked.items():
            object.__setattr__(self, setting, value)
        _check_link_weight(self.link_weight)
        check_whole("n_draws", self.n_draws, least=0)
        check_level(self.level)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Sum the posterior over all graphs and population sizes.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None
            Only for the draws; median and interval are exact.

        Returns
        -------
        Estimate
            ``details`` holds ``posterior`` (of N), ``graphs`` and ``top_graphs``, ``links`` (the probability of each
            pair), ``modes``, ``mean``, ``p_saturated``, ``tail``, ``prior`` and ``idata``; the tables among them are
            made when they are first read. The status is ``"boundary"`` when more than half of the posterior lies on
            nobody hidden, and ``"unbounded"`` when more than half lies beyond every number that a computer holds.

        Raises
        ------
        CapabilityError
            For fewer than two lists that caught somebody, more than six, gaps or censored cells, or a `graph_prior`
            beside an empty list.
        SettingError
            If the priors leave no proper posterior, or `graph_prior` does not fit the lists.
        """
        prior = self.prepare(table)
        provenance = make_provenance(table.summary, rng)
        data, found = prior.data, _posterior(prior)
        n, missing = data.n_observed, found.posterior.missing
        tail = (1.0 - self.level) / 2.0
        low, median, high = (n + missing.quantile([tail, 0.5, 1.0 - tail])).tolist()
        status, reason = _status(median, n, float(missing.below(0.0)[0]))
        draws = self._draws(found, n, rng)
        return Estimate(
            n_hat=median,
            n_observed=n,
            interval=Interval(low if math.isfinite(low) else n, high, self.level, METHOD),
            status=status,
            reason=reason,
            estimator=spec_of(self),
            table=table.summary,
            diagnostics=(*data.diagnostics, *found.diagnostics()),
            draws=draws,
            draws_are="posterior",
            provenance=provenance,
            details=self._details(found, draws),
            protected=PROTECTED if data.has_small else (),
        )

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("homogeneous", "decomposable_graph", "no_highest_order", "priors"),
            model_is="averaged",
            other_priors=STANDARD_PRIORS,
            needs_draws=False,
            adds_up_strata=True,
        )

    def prepare(self, table: CaptureTable) -> "_Prior":
        """Count, and weigh the graphs; refuse lists that are too many, and priors without a proper posterior."""
        check_table(table)
        data = list_counts(table, estimator=self.name)
        _refuse(self, data, table.name)
        return _weighed(self, data)

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(scenario, POSTERIOR)

    def _draws(self, found: "_Found", n_observed: int, rng: RNGLike) -> Floats | None:
        if not self.n_draws:
            return None
        shares = np.random.default_rng(rng).random(int(self.n_draws))
        return found.posterior.missing.quantile(shares) + n_observed

    def _details(self, found: "_Found", draws: Floats | None) -> dict[str, Any]:
        data, posterior = found.data, found.posterior
        mean = data.n_observed + posterior.missing.mean()
        graphs = Deferred(lambda: graph_frame(posterior, found.graphs, found.kept, data))
        details = {
            "dropped_lists": list(data.dropped),
            "mean": mean,
            "mean_note": "" if math.isfinite(mean) else "the tail of the posterior is too heavy for a mean",
            "modes": Deferred(lambda: modes_frame(found.modes, data.n_observed)),
            "p_saturated": found.p_saturated,
            "tail": tail_details(posterior, data.n_observed),
            "prior": self._prior_in_words(found),
            "posterior": Deferred(lambda: posterior_frame(posterior.missing, data.n_observed, found.modes)),
            "links": Deferred(lambda: link_frame(posterior, found.graphs, found.kept, data.lists)),
            "top_graphs": Deferred(lambda: graphs.value().head(TOP_GRAPHS)),
            "graphs": graphs,
        }
        return details if draws is None else {**details, "idata": inference_data({"N": draws[None]})}

    def _prior_in_words(self, found: "_Found") -> dict[str, Any]:
        limits = check_range(self.n_missing, self.max_missing)
        return {
            "delta": found.delta,
            "size": "as given by log_prior" if self.log_prior is not None else self.prior,
            "n_missing": "0 to infinity" if limits is None else f"{limits[0]:,} to {limits[1]:,}",
            "graphs": "all alike" if self.graph_prior is None else "as given by graph_prior",
            "link_weight": self.link_weight,
            "n_graphs": len(found.kept),
        }


def sweep_delta(
    table: CaptureTable, deltas: Iterable[float | str], *, base: DecomposableAveraging | None = None
) -> pd.DataFrame:
    """Show how the answer moves with the prior count of a cell.

    Parameters
    ----------
    table : CaptureTable
    deltas : iterable of float or "2^-K"
        Prior counts, in persons a cell.
    base : DecomposableAveraging, optional
        Its other settings; the defaults when left out.

    Returns
    -------
    DataFrame
        One row a prior count: ``delta``, ``median``, ``low``, ``high``, ``p_saturated`` (the probability of the
        saturated graph), ``n_modes``.

    Raises
    ------
    CapabilityError
        As for `DecomposableAveraging.fit`.
    SettingError
        For an impossible prior count, or priors that leave no proper posterior.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> sweep = sweep_delta(hp.datasets.load("kosovo"), ["2^-K", 0.5, 1.0])
    >>> sweep["median"].tolist()
    [12595.0, 11319.0, 4616.0]
    """
    base = base or DecomposableAveraging()
    settings = [replace(base, delta=delta) for delta in deltas]
    return pd.DataFrame(
        [_sweep_row(_posterior(setting.prepare(table)), base.level) for setting in settings],
        columns=["delta", "median", "low", "high", "p_saturated", "n_modes"],
    )


def _sweep_row(found: "_Found", level: float) -> dict[str, float]:
    tail = (1.0 - level) / 2.0
    limits = found.data.n_observed + found.posterior.missing.quantile([0.5, tail, 1.0 - tail])
    median, low, high = limits.tolist()
    return {
        "delta": found.delta,
        "median": median,
        "low": low,
        "high": high,
        "p_saturated": found.p_saturated,
        "n_modes": len(found.modes),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A posterior with what it was made from."""

    data: ListCounts
    delta: float
    graphs: DecomposableGraphs
    kept: Ints
    posterior: GraphPosterior
    modes: tuple[Mode, ...]

    @property
    def p_saturated(self) -> float:
        last = len(self.graphs.links) - 1
        return float(self.posterior.probabilities[-1]) if self.kept[-1] == last else 0.0

    def diagnostics(self) -> list[Any]:
        return diagnostics_of(self.data, self.delta, self.p_saturated, self.modes, self.posterior.outside)


@dataclass(frozen=True, slots=True, eq=False)
class _Prior:
    """Counts and graphs under the priors of a setting."""

    data: ListCounts
    delta: float
    graphs: DecomposableGraphs
    kept: Ints
    density: GraphDensity
    limits: tuple[int, int] | None
    log_weights: Floats | None


def _weighed(setting: DecomposableAveraging, data: ListCounts) -> _Prior:
    """Give the density of the dark figure under every graph."""
    graphs = decomposable_graphs(data.n_lists)
    delta = 2.0**-data.n_lists if isinstance(setting.delta, str) else setting.delta
    by_graph = log_graph_prior(setting.graph_prior, setting.link_weight, graphs, data.lists)
    kept = np.flatnonzero(by_graph > -math.inf)
    limits = check_range(setting.n_missing, setting.max_missing)
    if setting.log_prior is None:
        size, weights = size_prior(setting.prior), None
    else:
        size = SizePrior(power=0.0)
        weights = np.array([-math.inf if x is None else x for x in setting.log_prior])
    density = graph_density(data.counts, graphs, delta, size, np.where(by_graph > -math.inf, by_graph, 0.0))
    density = density if len(kept) == len(by_graph) else density.select(kept)
    _refuse_improper(density, delta, data.n_lists, limits)
    return _Prior(data, delta, graphs, kept, density, limits, weights)


def _posterior(prior: _Prior) -> _Found:
    """Sum the posterior of a table."""
    first, last = prior.limits or (0, None)
    posterior = posterior_of(prior.density, first, last, prior.log_weights)
    return _Found(
        prior.data, prior.delta, prior.graphs, prior.kept, posterior, modes(posterior.missing, SMALLEST_MODE)
    )


def _refuse_improper(
    density: GraphDensity, delta: float, n_lists: int, limits: tuple[int, int] | None
) -> None:
    if limits is not None or density.is_proper:
        return
    needed = 1.0 / (2.0**n_lists - 1.0)
    raise SettingError(
        f"a uniform prior of N with delta={delta:g} leaves no proper posterior on {n_lists} lists: under the saturated "
        f"graph the sum over N is infinite; take delta above {needed:.3g}, another prior, or a limit by max_missing"
    )


def _refuse(setting: DecomposableAveraging, data: ListCounts, table: str) -> None:
    k = data.n_lists
    if k > LARGEST_ENUMERATION:
        number = f"{NUMBER_OF_GRAPHS[k]:,}" if k in NUMBER_OF_GRAPHS else "more than 30 million"
        raise CapabilityError(
            f"{setting.name} sums over all decomposable graphs, of which {k} lists have {number}; {table} may have at "
            f"most {LARGEST_ENUMERATION} lists: merge those of the same kind with merge_lists, or drop some"
        )
    if setting.graph_prior is not None and data.dropped:
        raise CapabilityError(
            f"graph_prior is about all lists of {table}, and {', '.join(data.dropped)} caught nobody; drop empty lists "
            f"from the table first"
        )


def _status(median: float, n_observed: int, nobody_hidden: float) -> tuple[Status, str]:
    if math.isinf(median):
        return "unbounded", "more than half of the posterior lies beyond every number that a computer holds"
    if median == n_observed:
        return (
            "boundary",
            f"the posterior median is the number observed: nobody hidden has {nobody_hidden:.0%}",
        )
    return "ok", ""


def _check_link_weight(link_weight: Any) -> None:
    if not 0.0 < as_number(link_weight) < math.inf:
        raise SettingError(f"link_weight={link_weight!r} must be a number above 0; 1 makes all graphs alike")


# === what a reader of a posterior over graphs and dark figures asks for ===============================================
# Frames, and remarks on what to beware of.


def modes_frame(modes: Sequence[Mode], n_observed: int) -> pd.DataFrame:
    """Modes of the posterior of N with their weights, by size.

    Examples
    --------
    >>> modes_frame([Mode(50.0, 0.7), Mode(20.0, 0.3)], 100).to_numpy().tolist()
    [[120.0, 0.3], [150.0, 0.7]]
    """
    rows = [
        (n_observed + mode.position, mode.weight) for mode in sorted(modes, key=lambda mode: mode.position)
    ]
    return pd.DataFrame(rows, columns=["location", "weight"])


def posterior_frame(missing: CountPosterior, n_observed: int, summits: tuple[Mode, ...]) -> pd.DataFrame:
    """Posterior of N at a few hundred numbers: evenly over the centre, at quantiles far out, and at the modes.

    Parameters
    ----------
    missing : CountPosterior
    n_observed : int
    summits : tuple of Mode

    Returns
    -------
    DataFrame
        ``n``, ``n_missing``, ``probability`` of exactly that number, and ``below``, the probability of it or less.
    """
    if missing.tail is None and len(missing.grid.starts) <= WHOLE_RANGE and missing.grid.is_single.all():
        numbers = missing.grid.starts
    else:
        found = missing.quantile([*np.linspace(0.0005, 0.9995, SHOWN_QUANTILES), *CENTRE])
        far, ends = found[:SHOWN_QUANTILES], found[SHOWN_QUANTILES:]
        centre = np.linspace(float(ends[0]), float(ends[1]), SHOWN_STEPS) if np.isfinite(far).all() else far
        numbers = np.unique(np.round(np.concatenate([far, centre, [mode.position for mode in summits]])))
        numbers = numbers[np.isfinite(numbers)]
    return pd.DataFrame(
        {
            "n": numbers + n_observed,
            "n_missing": numbers,
            "probability": missing.probability(numbers),
            "below": np.minimum(missing.below(numbers), 1.0),
        }
    )


def graph_frame(
    found: GraphPosterior, graphs: DecomposableGraphs, kept: Any, data: ListCounts
) -> pd.DataFrame:
    """Every graph with its posterior probability, the most probable first.

    Parameters
    ----------
    found : GraphPosterior
    graphs : DecomposableGraphs
    kept : ndarray of int64
        Positions in `graphs` of those that the prior allows, in the order of `found`.
    data : ListCounts

    Returns
    -------
    DataFrame
        ``graph`` and ``cliques`` in brackets and by names, the number of ``links``, ``probability``, and ``mean``, the
        mean of N under that graph (inf where it has none, nan where the prior rules the graph out).
    """
    probability, mean = np.zeros(len(graphs.links)), np.full(len(graphs.links), math.nan)
    probability[kept] = found.probabilities
    mean[kept] = data.n_observed + found.means
    order = np.argsort(-probability, kind="stable")
    named = ["*".join(data.lists[i] for i in bit_positions(mask)) for mask in range(len(data.counts))]
    return pd.DataFrame(
        {
            "graph": [graphs.notation(g) for g in order.tolist()],
            "cliques": [" + ".join(named[clique] for clique in graphs.cliques(g)) for g in order.tolist()],
            "links": graphs.n_links[order],
            "probability": probability[order],
            "mean": mean[order],
        }
    )


def link_frame(
    found: GraphPosterior, graphs: DecomposableGraphs, kept: Any, lists: tuple[str, ...]
) -> pd.DataFrame:
    """Probability that two lists are linked, 1 on the diagonal."""
    shares = found.probabilities @ graphs.linked[kept].astype(np.float64)
    links = np.eye(len(lists))
    for (i, j), share in zip(graphs.pairs, shares.tolist(), strict=True):
        links[i, j] = links[j, i] = share
    return pd.DataFrame(links, index=list(lists), columns=list(lists))


def tail_details(found: GraphPosterior, n_observed: int) -> dict[str, float] | None:
    """Where the closed form begins, and what lies beyond; None when the range or the prior ends the sum."""
    tail = found.missing.tail
    if tail is None:
        return None
    return {
        "beyond": n_observed + tail.start - 1.0,
        "mass": tail.mass,
        "exponent": float(found.exponents.min()),
    }


def diagnostics_of(
    data: ListCounts, delta: float, p_saturated: float, summits: tuple[Mode, ...], beyond_limit: float
) -> list[Diagnostic]:
    """Say what to beware of.

    Parameters
    ----------
    data : ListCounts
    delta : float
    p_saturated : float
        Posterior probability of the saturated graph.
    summits : tuple of Mode
    beyond_limit : float
        Share of the posterior without a limit that lies outside the range given; 0 without one.

    Returns
    -------
    list of Diagnostic
    """
    found = [*_no_overlap(data), *_saturated(data, delta, p_saturated)]
    if len(summits) > 1:
        sizes = tuple(float(data.n_observed + mode.position) for mode in summits)
        listed = ", ".join(f"{{{place}}} ({mode.weight:.0%})" for place, mode in enumerate(summits))
        message = f"the posterior has {len(summits)} modes: {listed}; read them beside the median"
        found.append(Diagnostic("several_modes", "warning", message, len(summits), sizes))
    if beyond_limit > LIMIT_WARNING:
        message = (
            f"the range of dark figures cuts off {beyond_limit:.0%} of the posterior that the same priors give without "
            f"a limit; leave out n_missing and max_missing unless the range is knowledge of its own"
        )
        found.append(Diagnostic("limit_cuts", "warning", message, round(beyond_limit, 2)))
    return found


def _no_overlap(data: ListCounts) -> list[Diagnostic]:
    shared = np.bitwise_count(np.arange(len(data.counts))) > 1
    if data.counts[shared].any():
        return []
    message = (
        "nobody is on two lists: the data set the population no upper limit, and the prior alone sets one"
    )
    return [Diagnostic("no_overlap", "warning", message, 0)]


def _saturated(data: ListCounts, delta: float, p_saturated: float) -> list[Diagnostic]:
    if p_saturated <= SATURATED_WARNING:
        return []
    cells = len(data.counts)
    message = (
        f"the saturated graph, under which the data say nothing of the dark figure, holds {p_saturated:.0%} of the "
        f"posterior: the prior sets the answer"
    )
    if delta * cells > 1.0:
        message += (
            f", and delta={delta:g} is a prior of {delta * cells:g} persons spread evenly over {cells} cells, which "
            f"favours that graph; compare smaller ones with sweep_delta"
        )
    return [Diagnostic("saturated_graph", "warning", message, round(p_saturated, 2))]
