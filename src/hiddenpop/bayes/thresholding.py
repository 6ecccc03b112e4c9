"""The stages of Bayesian thresholding: draws from one log-linear model, and which of its interactions stay."""

import math
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Bools, Floats
from hiddenpop.bayes.convergence import FEWEST_EFFECTIVE, HIGHEST_RHAT, effective_draws, rhat
from hiddenpop.estimators.prepare import ListCounts
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.faces import face_of_model
from hiddenpop.kernels.hamiltonian import tempered
from hiddenpop.kernels.loglinear_density import LogLinearTask, whitened

__all__ = ["Chosen", "Problem", "Stage", "Statistic", "Try", "choose", "stage", "statistic", "term_name"]


OVERDISPERSED = 1.5
"""Chains start around the mode, spread by so many posterior standard deviations."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """A table and the priors that every stage shares.

    Attributes
    ----------
    data : ListCounts
    prior_variance : float or None
        Of the interactions; None for flat priors.
    main_effect_sd : float or None
    shape, rate : float
        Of the negative binomial prior of N as a gamma mixture; 0 for 1/N.
    n_draws, n_tune, n_chains : int
    """

    data: ListCounts
    prior_variance: float | None
    main_effect_sd: float | None
    shape: float
    rate: float
    n_draws: int
    n_tune: int
    n_chains: int

    @property
    def mains(self) -> list[int]:
        """Terms of one list."""
        return [1 << i for i in range(self.data.n_lists)]

    def interactions(self, order: int) -> list[int]:
        """Give the terms of so many lists, in the order of their bits."""
        return [t for t in range(1 << self.data.n_lists) if t.bit_count() == order]

    def triples_over(self, pairs: list[int]) -> list[int]:
        """Terms of three lists, not of all there are, of which every pair is among `pairs`."""
        whole = (1 << self.data.n_lists) - 1
        return [
            t
            for t in self.interactions(3)
            if t != whole and all(t & ~(1 << i) in pairs for i in bit_positions(t))
        ]

    def is_empty(self, term: int) -> bool:
        """Whether nobody is on all lists of a term."""
        histories = np.arange(len(self.data.counts))
        return not self.data.counts[histories & term == term].any()

    def live(self, dead: list[int]) -> Bools:
        """Cells that can be observed when some terms are minus infinity."""
        histories = np.arange(len(self.data.counts))
        alive = histories > 0
        for term in dead:
            alive &= histories & term != term
        return alive

    def task(self, terms: list[int], dead: list[int]) -> LogLinearTask:
        """Put together what the density of one model needs."""
        sds = [self.main_effect_sd if t.bit_count() == 1 else _sd(self.prior_variance) for t in terms]
        return LogLinearTask(
            counts=self.data.counts,
            terms=np.array(terms, dtype=np.int64),
            live=self.live(dead),
            precision=np.array([0.0 if sd is None else sd**-2 for sd in sds]),
            shape=self.shape,
            rate=self.rate,
        )

    def why_improper(self, terms: list[int]) -> str:
        """Say why the posterior of a model does not exist; empty when it does.

        Flat priors leave it to the likelihood to end: it must have a maximum, of all terms when all are flat, and of
        the main effects when the interactions have a proper prior.
        """
        if self.main_effect_sd is not None and self.prior_variance is not None:
            return ""
        flat = terms if self.prior_variance is None else self.mains
        face = face_of_model(self.data.counts, np.array([*flat, 0], dtype=np.int64), self.data.n_lists)
        if face.exists or (face.status == "unbounded" and self.shape > 0.0):
            return ""
        return "dark figure to infinity" if face.status == "unbounded" else "parameters to infinity"


def _sd(variance: float | None) -> float | None:
    return None if variance is None else math.sqrt(variance)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """Draws of the parameters of one model.

    Attributes
    ----------
    terms : list of int
        Without the intercept.
    dead : list of int
        Interactions fixed at minus infinity.
    theta : ndarray, shape (chains, draws, p)
    n_divergent : int
    """

    terms: list[int]
    dead: list[int]
    theta: Floats
    n_divergent: int


def stage(problem: Problem, terms: list[int], dead: list[int], rng: np.random.Generator) -> Stage:
    """Draw from the posterior of one model.

    Parameters
    ----------
    problem : Problem
    terms, dead : list of int
    rng : Generator

    Returns
    -------
    Stage
    """
    data, mode = whitened(problem.task(terms, dead))
    starts = OVERDISPERSED * rng.standard_normal((problem.n_chains, 1, len(terms)))
    drawn = tempered(data, starts, betas=np.ones(1), n_draws=problem.n_draws, n_tune=problem.n_tune, rng=rng)
    return Stage(
        terms=terms,
        dead=dead,
        theta=mode.theta + drawn.draws @ mode.root.T,
        n_divergent=drawn.n_divergent,
    )


# --- which interactions stay ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """Mean over standard deviation of one interaction.

    Attributes
    ----------
    term : int
    mean, sd : float
    value : float
        Their ratio without its sign.
    error : float
        Monte Carlo standard error of `value`.
    effective : float
        Effective draws, the smaller number of those for the mean and for the variance.
    rhat : float
    """

    term: int
    mean: float
    sd: float
    value: float
    error: float
    effective: float
    rhat: float

    @property
    def trusted(self) -> bool:
        """Whether the chains agree on it."""
        return self.rhat <= HIGHEST_RHAT and self.effective >= FEWEST_EFFECTIVE

    def stays(self, threshold: float) -> bool:
        """Whether the interaction stays in the model."""
        return self.value >= threshold

    def is_toss(self, threshold: float) -> bool:
        """Whether another seed may well decide otherwise."""
        return abs(self.value - threshold) <= 2.0 * self.error


def statistic(term: int, drawn: Floats) -> Statistic:
    """Measure one interaction.

    Parameters
    ----------
    term : int
    drawn : ndarray, shape (chains, draws)

    Returns
    -------
    Statistic

    Examples
    --------
    >>> found = statistic(3, np.random.default_rng(1).normal(2.0, 1.0, (4, 1000)))
    >>> round(found.value, 1), found.error < 0.05
    (2.0, True)
    """
    mean, sd = float(drawn.mean()), float(drawn.std(ddof=1))
    squares = (drawn - mean) ** 2
    for_mean, for_square = effective_draws(drawn, "mean"), effective_draws(squares, "mean")
    value = abs(mean) / sd
    spread = float(squares.std()) / (2.0 * sd**2) / math.sqrt(for_square)
    return Statistic(
        term=term,
        mean=mean,
        sd=sd,
        value=value,
        error=math.hypot(1.0 / math.sqrt(for_mean), value * spread),
        effective=min(for_mean, for_square),
        rhat=rhat(drawn),
    )


def term_name(term: int, lists: tuple[str, ...]) -> str:
    """Write an interaction by its lists.

    Examples
    --------
    >>> term_name(0b101, ("police", "shelter", "youth"))
    'police*youth'
    """
    return "*".join(lists[i] for i in bit_positions(term))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Try:
    """A model with candidates, and what became of them.

    Attributes
    ----------
    last : Stage
    statistics : list of Statistic
        Of the candidates that were no minus infinity.
    kept, dead : list of int
        Interactions that stay, from earlier tries too, and those fixed at minus infinity.
    """

    last: Stage
    statistics: list[Statistic]
    kept: list[int]
    dead: list[int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """The model that is left and the way to it.

    Attributes
    ----------
    last : Stage
        Of the model that is left.
    tries : list of Try
        Of pairs, and of triples where there were any to try.
    threshold : float
    untried : str
        Why triples that could have been tried were not; empty when there were none.
    """

    last: Stage
    tries: list[Try]
    threshold: float
    untried: str = ""

    @property
    def kept(self) -> list[int]:
        """Interactions that stay."""
        return self.tries[-1].kept

    @property
    def statistics(self) -> list[Statistic]:
        """Give those of all tries."""
        return [found for tried in self.tries for found in tried.statistics]

    @property
    def faults(self) -> list[str]:
        """What keeps the choice from being trusted."""
        poor = [found for found in self.statistics if not found.trusted]
        if not poor:
            return []
        worst = min(poor, key=lambda found: found.effective)
        return [
            f"the choice of interactions rests on chains that do not agree: R-hat up to "
            f"{max(found.rhat for found in poor):.3g}, {worst.effective:,.0f} effective draws at worst"
        ]


def choose(problem: Problem, threshold: float, order: int, rng: np.random.Generator) -> Chosen | str:
    """Try pairs, then the triples whose pairs have stayed, and draw from the model that is left.

    Parameters
    ----------
    problem : Problem
    threshold : float
    order : int
        2 or 3.
    rng : Generator

    Returns
    -------
    Chosen or str
        A text says why the model of all pairs has no posterior.
    """
    first = _try(problem, threshold, [], [], problem.interactions(2), rng)
    if isinstance(first, str):
        return first
    tries, untried = [first], ""
    triples = problem.triples_over(first.kept) if order > 2 else []
    if triples:
        second = _try(problem, threshold, first.kept, first.dead, triples, rng)
        if isinstance(second, str):
            untried = second
        else:
            tries.append(second)
    final = tries[-1]
    terms, last = [*problem.mains, *final.kept], final.last
    if set(last.terms) != set(terms):
        last = stage(problem, terms, final.dead, rng)
    return Chosen(last=last, tries=tries, threshold=threshold, untried=untried)


def _try(
    problem: Problem,
    threshold: float,
    kept: list[int],
    dead: list[int],
    candidates: list[int],
    rng: np.random.Generator,
) -> Try | str:
    flat = problem.prior_variance is None
    gone = [term for term in candidates if flat and problem.is_empty(term)]
    left = [term for term in candidates if term not in gone]
    reason = problem.why_improper([*problem.mains, *kept, *dead, *candidates])
    if reason:
        return reason
    terms = [*problem.mains, *kept, *left]
    last = stage(problem, terms, [*dead, *gone], rng)
    found = [statistic(term, last.theta[..., terms.index(term)]) for term in left]
    passed = [s.term for s in found if s.stays(threshold)]
    return Try(last=last, statistics=found, kept=[*kept, *passed], dead=last.dead)
