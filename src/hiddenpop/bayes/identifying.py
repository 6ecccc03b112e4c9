"""`IdentifiedPosterior`: a model of the observed cells, and beside it the assumption that fixes the dark figure."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Floats
from hiddenpop.bayes.cell_draws import FittedCells, fit_cells, fitted_cells
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.outcome import limits_of, median_and_limits, outcome_of, quantiles, reach_of
from hiddenpop.bayes.priors import check_count
from hiddenpop.errors import CapabilityError, SettingError, UnknownNameError
from hiddenpop.estimators.base import (
    POSTERIOR,
    BaseEstimator,
    Change,
    Facts,
    Scenario,
    contract,
    held_to_no_level,
)
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.protocol import (
    Estimator,
    as_number,
    check_choice,
    check_level,
    check_whole,
    spec_of,
)
from hiddenpop.histories import captures, decode, project
from hiddenpop.kernels.bayes.odds import (
    CellShapes,
    RatioDraws,
    cell_shapes,
    empty_share,
    missing,
    ratio_draws,
)
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, Interval, Status
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["IdentifiedPosterior", "identified_cells", "identified_estimate", "sweep_prior_count", "sweep_xi"]

Assumption = Literal["no_highest_order", "marginal"]

ASSUMPTIONS: tuple[str, ...] = ("no_highest_order", "marginal")
LOGNORMAL = "lognormal"
ONE_IN_ALL = "1/cells"
RECIPROCAL = "reciprocal"
SMALLEST_COUNT, LARGEST_COUNT = 1e-6, 1e6
"""Outside, the posterior of the cells is the prior: no limit that a computer can hold, or every cell alike."""

SMALLEST, LARGEST = 1e-100, 1e100
FEWEST_DRAWS = 100
COLUMNS = ["multiplier", "median", "low", "high", "status", "contradicted"]

STANDARD_PRIORS: tuple[Change, ...] = (
    (("prior_count", "1/cells"),),
    (("prior_count", 0.25),),
    (("prior_count", 0.5),),
    (("prior_count", 1.0),),
)
"""Priors worth trying beside the one that is set."""

Xi = float | tuple[str, float, float]

MOST_LISTS = 8
"""On nine lists the ratio is a product over 511 cells, of which no real table fills more than a part."""

FAR = 100.0
"""Limits that differ by more than this factor are no answer when the prior makes most of their distance."""

MOST = 0.5

SEVERAL_CONTRADICTED = 0.01
NEARLY_ALL = 0.9
SHARES = (0.005, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.995)
LARGEST_LOG = math.log(1e300)
PROTECTED = ("cells", "contradicted", "empty_share", "hidden_share", "quantiles", "ratio")
"""Details that give small counts away: the cells, and exact figures that can be solved for them."""


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedPosterior(BaseEstimator):
    """Size of a population from a model of the observed cells and one stated assumption about the unobserved one.

    Any figure for the hidden rests on two parts. The shares of the observed cells are a matter of data. The step from
    them to the dark figure n0 is an assumption that no table can test. Here they are apart: the observed cells have a
    Dirichlet posterior with nothing assumed of the lists, and `xi` says what is assumed. With R the product of the
    shares of cells of an odd number of lists over the product of those of an even number (two or more),
    ``n0 = n R / xi`` on average, for n persons observed.

    Parameters
    ----------
    assumption : {"no_highest_order", "marginal"}
        ``"no_highest_order"``: the interaction of all lists together is as `xi` says. ``"marginal"``: the same in the
        table of `lists` alone, other lists left out.
    lists : sequence of str, optional
        Two or more lists for ``"marginal"``; needed when the table has more than two that caught somebody.
    xi : float or ("lognormal", median, sd)
        What the assumption fixes, 1 for no interaction; or a prior of it, with the standard deviation of its logarithm.
        A larger `xi` gives fewer hidden: see Notes.
    prior_count : float or "1/cells"
        Prior count, in persons, of each cell of the table that the assumption is about; ``"1/cells"`` lets all cells
        together count one person.
    cells : estimator, optional
        A Bayesian estimator from whose draws the shares of the observed cells are taken, in place of the Dirichlet
        posterior; `prior_count` and `n_draws` then stay as they are. See Notes.
    n_draws : int
        Draws from the posterior, at least 100. Median and limits come from them.
    level : float
        Probability of the interval.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    Direction of `xi`. In the log-linear model of all ``2^t`` cells with the unobserved cell as reference,
    ``xi = exp(u_{1..t})`` for an odd number of lists t and ``xi = exp(-u_{1..t})`` for an even number. In both, n0
    falls when `xi` rises: read it by the multiplier ``1/xi`` of the dark figure. For two lists the odds ratio between
    them is ``1/xi``.

    Under ``"marginal"`` the number on none of `lists` is multiplied by ``1/xi``. Part of it was observed on other
    lists: with ``pi_00`` their share, ``g = R - xi pi_00`` and the probability of being hidden is ``g / (xi + g)``.
    Draws with ``g <= 0`` agree with no population size. The posterior is that of the others, and
    ``details["contradicted"]`` is the share it leaves out; when it is more than half, the status is
    ``"not_identified"``.

    Given the probability of being hidden, n0 is negative binomial with n successes, which is the prior 1/N.

    `cells`. A model fills empty cells from the others, and makes the ratio less variable. Only its shares among the
    observed are used. Its own hidden cell is passed over, and so is what it says of N: a latent class model has one
    answer of its own and another under no highest interaction. A log-linear model without the highest interaction has
    the same for both, and `xi` moves it from there. `latent_class`, `bayesian_loglinear`, `thresholded` and
    `bayesian_averaged` (over all lists only) hold such draws. The prior of their population size must be 1/N, as any
    other lets the hidden cell of the model speak. Their status is passed on, and the chains must also agree on the
    ratio.

    `prior_count`. The posterior mean of a log share is ``log(count + prior_count - 1/2)`` up to a small term, so the
    default 1/2 centres log R on the observed ratio. An empty cell has no log: it stands for a share that the prior
    alone sets. Each one adds about 4.9 to the variance of log R with the default, and about the square of the number
    of cells with ``"1/cells"``; empty even cells push n0 up, empty odd cells push it down. Where a diagnostic
    ``empty_cells`` stands, compare prior counts with `sweep_prior_count` and prefer a model with fewer parameters.

    When more than half of the variance of log R comes from empty cells and the limits differ by more than a factor 100,
    the prior answers in place of the data, and the status is ``"not_identified"``. A median beyond ``(n + 1)^t`` is no
    figure that n persons on t lists can tell: the status is ``"unbounded"``. A limit beyond a hundred times that is
    written as infinite. ``details["quantiles"]`` and the sweeps have the posterior as drawn.

    With 10,000 draws the median moves by about 1 % of the posterior standard deviation from seed to seed, and the
    limits by 2 to 3 %.

    References
    ----------
    Aleshin-Guendel, S., Sadinle, M. and Wakefield, J. (2021). The central role of the identifying assumption in
    population size estimation. arXiv:2101.09304.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> table = hp.datasets.load("kosovo")
    >>> estimate = IdentifiedPosterior(assumption="marginal", lists=("EXH", "OSCE"), xi=0.5).fit(table, rng=1)
    >>> round(estimate.n_hat, -2), estimate.interval.method
    (11000.0, 'equal-tailed posterior, highest-order interaction in the table of EXH, OSCE of xi=0.5')
    """

    name: ClassVar[str] = "identified"

    assumption: Assumption = "no_highest_order"
    lists: tuple[str, ...] | None = None
    xi: Xi = 1.0
    prior_count: float | str = 0.5
    cells: Estimator | None = None
    n_draws: int = 10_000
    level: float = 0.95

    def __post_init__(self) -> None:
        check_choice("assumption", self.assumption, ASSUMPTIONS)
        object.__setattr__(self, "lists", _checked_lists(self.lists, self.assumption))
        object.__setattr__(self, "xi", _checked_xi(self.xi))
        count = check_count("prior_count", self.prior_count, SMALLEST_COUNT, LARGEST_COUNT, ONE_IN_ALL)
        object.__setattr__(self, "prior_count", count)
        check_whole("n_draws", self.n_draws, least=FEWEST_DRAWS)
        _check_cells(self)
        check_level(self.level)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Draw from the posterior of the population size behind `table`.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None

        Returns
        -------
        Estimate
            ``details`` holds ``assumption`` (in words), ``lists``, ``xi``, ``multiplier`` (1/xi), ``prior_count``,
            ``ratio`` (R), ``hidden_share``, ``quantiles`` (of N), ``cells`` (which stand above and below the line of
            R), ``empty_share`` (of the variance of the log ratio), ``contradicted`` and ``idata``. The status is
            ``"boundary"`` when half of the posterior or more lies on nobody hidden, ``"unbounded"`` when its median
            says more than the data can, ``"not_identified"`` when the table contradicts the assumption, and that of
            `cells` where these cannot be used.

        Raises
        ------
        CapabilityError
            For fewer than two lists that caught somebody, an assumption about more than eight, gaps or censored cells,
            lists that caught nobody or are not named where they must be, and `cells` that do not hold what is needed.
        UnknownNameError
            For a list that is not there.
        """
        check_table(table)
        provenance = make_provenance(table.summary, rng)
        return identified_estimate(self, table, identified_cells(self, table, rng=rng), provenance)

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        own = ("stated_assumption", "priors")
        cells = None if self.cells is None else contract(self.cells).facts
        return Facts(
            assumes=own if cells is None else cells.assumed_with(*own),
            model_is="given",
            is_bound=cells is not None and cells.is_bound,
            other_priors=STANDARD_PRIORS if cells is None else cells.other_priors,
            keeps_number_observed=cells is not None and cells.keeps_number_observed,
            adds_up_strata=True,
            from_cells=True,
        )

    def prepare(self, table: CaptureTable) -> Any:
        """Count over all lists and over those of the assumption.

        Whether the draws of `cells` hold what is needed, these alone can tell.
        """
        check_table(table)
        _refuse_unnamed(self, table)
        if self.cells is not None:
            contract(self.cells).prepare(table)
        return counts_of(table, self.lists, self.name)

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(scenario, POSTERIOR)


def identified_estimate(
    setting: IdentifiedPosterior, table: CaptureTable, cells: "ObservedCells", provenance: Mapping[str, Any]
) -> Estimate:
    """Give the estimate that draws of the observed cells make under the assumption of a setting.

    Parameters
    ----------
    setting : IdentifiedPosterior
    table : CaptureTable
    cells : ObservedCells
        Of this table, by `identified_cells`.
    provenance : mapping

    Returns
    -------
    Estimate
    """
    sizes = cells.sizes(setting.xi, setting.level)
    n_hat, status, reason = sizes.outcome()
    return Estimate(
        n_hat=n_hat,
        n_observed=sizes.n_observed,
        interval=Interval(*sizes.limits(), setting.level, method_of(cells, setting.xi)),
        status=status,
        reason=reason,
        estimator=spec_of(setting),
        table=table.summary,
        diagnostics=(*cells.data.diagnostics, *diagnostics_of(cells, sizes, setting.xi)),
        draws=sizes.drawn,
        draws_are="posterior",
        provenance=provenance,
        details=details_of(cells, sizes, setting.xi),
        protected=PROTECTED if cells.data.has_small else (),
    )


def sweep_xi(
    table: CaptureTable,
    xis: Iterable[float],
    *,
    base: IdentifiedPosterior | None = None,
    rng: RNGLike = None,
) -> pd.DataFrame:
    """Show how the answer moves with the assumption, all from the same draws of the observed cells.

    Parameters
    ----------
    table : CaptureTable
    xis : iterable of float
        Values of `IdentifiedPosterior.xi`.
    base : IdentifiedPosterior, optional
        Its other settings; the defaults when left out.
    rng : int, Generator or None

    Returns
    -------
    DataFrame
        One row a value: ``xi``, ``multiplier`` (1/xi, of the dark figure; of all on none of `lists` under
        ``"marginal"``), ``median``, ``low`` and ``high`` of N as drawn, the ``status`` that `fit` gives, and
        ``contradicted``, the share of draws that agree with no population size.

    Raises
    ------
    SettingError
        For an `xi` that is not a number above 0.
    CapabilityError, UnknownNameError
        As for `IdentifiedPosterior.fit`.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> sweep = sweep_xi(hp.datasets.load("kosovo"), [0.5, 1.0, 2.0], rng=1)
    >>> sweep["multiplier"].tolist(), bool(sweep["median"].is_monotonic_decreasing)
    ([2.0, 1.0, 0.5], True)
    """
    base = base or IdentifiedPosterior()
    settings = [replace(base, xi=_checked_number("xi", xi, "a sweep takes fixed values")) for xi in xis]
    cells = identified_cells(base, table, rng=rng)
    rows = [{"xi": setting.xi, **_sweep_row(setting, cells)} for setting in settings]
    return pd.DataFrame(rows, columns=["xi", *COLUMNS])


def sweep_prior_count(
    table: CaptureTable,
    prior_counts: Iterable[float | str],
    *,
    base: IdentifiedPosterior | None = None,
    rng: RNGLike = None,
) -> pd.DataFrame:
    """Show how the answer moves with the prior count of a cell, which decides where cells are empty.

    Parameters
    ----------
    table : CaptureTable
    prior_counts : iterable of float or "1/cells"
        Persons a cell.
    base : IdentifiedPosterior, optional
        Its other settings; the defaults when left out.
    rng : int, Generator or None

    Returns
    -------
    DataFrame
        One row a prior count: ``prior_count``, and the columns of `sweep_xi`.

    Raises
    ------
    SettingError
        For an impossible prior count.
    CapabilityError, UnknownNameError
        As for `IdentifiedPosterior.fit`.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> sweep = sweep_prior_count(hp.datasets.load("korea"), [0.5, "1/cells"], rng=1)
    >>> sweep["prior_count"].round(3).tolist()
    [0.5, 0.143]
    """
    base = base or IdentifiedPosterior()
    settings = [replace(base, prior_count=count) for count in prior_counts]
    seed = int(np.random.default_rng(rng).integers(2**63))
    rows = []
    for setting in settings:
        cells = identified_cells(setting, table, rng=seed)
        rows.append({"prior_count": cells.prior_count, **_sweep_row(setting, cells)})
    return pd.DataFrame(rows, columns=["prior_count", *COLUMNS])


def _sweep_row(setting: IdentifiedPosterior, cells: "ObservedCells") -> dict[str, Any]:
    sizes: Sizes = cells.sizes(setting.xi, setting.level)
    figures = (1.0 / median_xi(setting.xi), *sizes.as_drawn, sizes.outcome()[1], sizes.contradicted)
    return dict(zip(COLUMNS, figures, strict=True))


def identified_cells(
    setting: IdentifiedPosterior, table: CaptureTable, *, fitted: Estimate | None = None, rng: RNGLike = None
) -> "ObservedCells":
    """Draw the observed cells of a table, with all that turns them into persons under any `xi`.

    Parameters
    ----------
    setting : IdentifiedPosterior
    table : CaptureTable
    fitted : Estimate, optional
        By `setting.cells` on this table, when there is one already.
    rng : int, Generator or None

    Returns
    -------
    ObservedCells

    Raises
    ------
    CapabilityError, UnknownNameError
        As for `IdentifiedPosterior.fit`.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> cells = identified_cells(IdentifiedPosterior(), hp.datasets.load("kosovo"), rng=1)
    >>> bool(cells.sizes(2.0, 0.95).drawn.mean() < cells.sizes(1.0, 0.95).drawn.mean())
    True
    """
    _refuse_unnamed(setting, table)
    generator = np.random.default_rng(rng)
    if setting.cells is not None:
        estimate = fit_cells(setting.cells, table, generator) if fitted is None else fitted
        return modelled_cells(estimate, table, setting.lists, estimator=setting.name, rng=generator)
    count = None if isinstance(setting.prior_count, str) else setting.prior_count
    return draw_cells(
        table, setting.lists, count, int(setting.n_draws), estimator=setting.name, rng=generator
    )


def _refuse_unnamed(setting: IdentifiedPosterior, table: CaptureTable) -> None:
    caught = [name for name in table.lists if name not in table.empty_lists]
    if setting.assumption == "marginal" and setting.lists is None and len(caught) > 2:
        raise CapabilityError(
            f'assumption="marginal" is about some lists of a table and {table.name} has {len(caught)}: '
            f"{', '.join(caught)}; name two or more, e.g. lists=({caught[0]!r}, {caught[1]!r})"
        )


# --- settings ---------------------------------------------------------------------------------------------------------


def _checked_lists(lists: Sequence[str] | None, assumption: str) -> tuple[str, ...] | None:
    if lists is None:
        return None
    if assumption != "marginal":
        raise SettingError(
            f'lists={lists!r} goes with assumption="marginal"; "{assumption}" is about all lists of the table'
        )
    names = tuple(lists) if not isinstance(lists, str) else (lists,)
    if len(names) < 2 or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise SettingError(
            f"lists={lists!r} must name two or more different lists, e.g. ('police', 'shelter')"
        )
    return names


def _checked_xi(xi: Any) -> Xi:
    if not isinstance(xi, tuple | list):
        return _checked_number("xi", xi, "xi=1 stands for no interaction")
    if len(xi) == 3 and xi[0] == LOGNORMAL:
        median = _checked_number("the median of xi", xi[1], "1 stands for no interaction")
        return LOGNORMAL, median, _checked_number("the sd of log xi", xi[2], "give a fixed xi without one")
    raise SettingError(
        f'xi={xi!r} must be a number above 0 or ("{LOGNORMAL}", median, sd of the logarithm); for several values use '
        f"sweep_xi"
    )


def _checked_number(what: str, value: Any, hint: str) -> float:
    checked = as_number(value)
    if not SMALLEST <= checked <= LARGEST:
        raise SettingError(f"{what}={value!r} must be a number above 0; {hint}")
    return checked


def _check_cells(setting: IdentifiedPosterior) -> None:
    """Refuse cells that are no estimator, or whose own hidden cell would speak, beside settings that are not theirs."""
    cells: Any = setting.cells
    if cells is None:
        return
    if isinstance(cells, type | IdentifiedPosterior) or not isinstance(cells, Estimator):
        raise SettingError(f"cells={cells!r} must be a Bayesian estimator, e.g. LatentClass(), or None")
    prior = getattr(cells, "prior", RECIPROCAL)
    if prior != RECIPROCAL:
        raise SettingError(
            f"cells: {cells.name} has prior={prior!r} of the population size, through which its own hidden cell would "
            f'move the observed ones; leave prior="{RECIPROCAL}"'
        )
    for name in ("prior_count", "n_draws"):
        default = IdentifiedPosterior.__dataclass_fields__[name].default
        if getattr(setting, name) != default:
            raise SettingError(
                f"{name}={getattr(setting, name)!r} is about Dirichlet cells; {cells.name} has settings of its own"
            )


# === draws of the observed cells of a table, and the population sizes that an assumption makes of them ================


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


# === what a reader of an identified posterior asks for: the assumption in words, remarks, and frames ==================


def assumption_in_words(cells: ObservedCells, xi: Xi) -> str:
    """Name the assumption.

    Parameters
    ----------
    cells : ObservedCells
    xi : float or ("lognormal", median, sd)

    Returns
    -------
    str
    """
    where = "" if cells.are_all else f" in the table of {', '.join(cells.lists)}"
    if isinstance(xi, tuple):
        return (
            f"highest-order interaction{where} by a prior, xi log-normal around {xi[1]:g} with sd {xi[2]:g}"
        )
    return (
        f"no highest-order interaction{where}"
        if xi == 1.0
        else f"highest-order interaction{where} of xi={xi:g}"
    )


def method_of(cells: ObservedCells, xi: Xi) -> str:
    """Name the interval: the assumption, and where the cells come from when they are not Dirichlet.

    Parameters
    ----------
    cells : ObservedCells
    xi : float or ("lognormal", median, sd)

    Returns
    -------
    str
    """
    by = "" if cells.fitted is None else f", observed cells by {cells.fitted.name}"
    return f"equal-tailed posterior, {assumption_in_words(cells, xi)}{by}"


def diagnostics_of(cells: ObservedCells, sizes: Sizes, xi: Xi) -> list[Diagnostic]:
    """Say what the answer rests on and what to beware of.

    Parameters
    ----------
    cells : ObservedCells
    sizes : Sizes
    xi : float or ("lognormal", median, sd)

    Returns
    -------
    list of Diagnostic
    """
    passed_on = [] if cells.fitted is None else cells.fitted.diagnostics
    return [
        _assumption(cells, xi),
        *passed_on,
        *_empty_cells(cells),
        *_contradicted(sizes),
        *_no_upper_limit(sizes),
    ]


def _assumption(cells: ObservedCells, xi: Xi) -> Diagnostic:
    multiplier = 1.0 / median_xi(xi)
    multiplied = "the dark figure" if cells.are_all else f"the number on none of {', '.join(cells.lists)}"
    message = (
        f"{assumption_in_words(cells, xi)} is an assumption that the table cannot test: it multiplies {multiplied} by "
        f"1/xi = {multiplier:.3g}, compared with no interaction; a larger xi means fewer hidden"
    )
    return Diagnostic("assumption", "info", message, multiplier)


def _empty_cells(cells: ObservedCells) -> list[Diagnostic]:
    if not cells.n_empty:
        return []
    if cells.fitted is not None:
        message = (
            f"{cells.n_empty} of {len(cells.counts) - 1} cells hold nobody: their shares, and with them the ratio, "
            f"are what {cells.fitted.name} makes of the other cells"
        )
        return [Diagnostic("empty_cells", "info", message, cells.n_empty)]
    share = cells.empty_share
    much = "nearly all" if share > NEARLY_ALL else "more than half" if share > 0.5 else "a part"
    message = (
        f"{cells.n_empty} of {len(cells.counts) - 1} cells hold nobody, and of these the prior count of "
        f"{cells.prior_count:.3g} persons alone speaks: {much} of the spread of the posterior comes from it; compare "
        f"others with sweep_prior_count"
    )
    return [Diagnostic("empty_cells", "warning", message, cells.n_empty)]


def _contradicted(sizes: Sizes) -> list[Diagnostic]:
    if sizes.contradicted == 0.0:
        return []
    severity: Literal["info", "warning"] = "warning" if sizes.contradicted > SEVERAL_CONTRADICTED else "info"
    message = (
        f"{sizes.contradicted:.1%} of the draws of the observed cells agree with no population size, as more persons "
        f"are on other lists only than the assumption allows; the posterior is that of the {len(sizes.drawn):,} others"
    )
    return [Diagnostic("contradicted", severity, message, round(sizes.contradicted, 3))]


def _no_upper_limit(sizes: Sizes) -> list[Diagnostic]:
    if math.isfinite(sizes.limits()[1]) or not len(sizes.drawn):
        return []
    message = (
        f"the upper limit of the posterior lies further than {sizes.n_observed:,} persons can tell and is written as "
        f"infinite; details['quantiles'] has it as drawn"
    )
    return [Diagnostic("no_upper_limit", "warning", message)]


def details_of(cells: ObservedCells, sizes: Sizes, xi: Xi) -> dict[str, Any]:
    """Put together the details of an estimate.

    Parameters
    ----------
    cells : ObservedCells
    sizes : Sizes
    xi : float or ("lognormal", median, sd)

    Returns
    -------
    dict
    """
    ratio = np.exp(np.minimum(cells.draws.log_ratio, LARGEST_LOG))
    agreement = {} if cells.fitted is None else {"convergence": cells.fitted.convergence}
    return {
        **agreement,
        "dropped_lists": list(cells.data.dropped),
        "assumption": assumption_in_words(cells, xi),
        "lists": list(cells.lists),
        "xi": list(xi) if isinstance(xi, tuple) else xi,
        "multiplier": 1.0 / median_xi(xi),
        "prior_count": cells.prior_count,
        "ratio": median_and_limits(ratio, sizes.level),
        "hidden_share": median_and_limits(sizes.hidden_share, sizes.level),
        "quantiles": pd.DataFrame({"share": SHARES, "n": quantiles(sizes.drawn, SHARES)}),
        "cells": _cell_frame(cells),
        "empty_share": cells.empty_share,
        "contradicted": sizes.contradicted,
        "idata": _idata(cells, sizes),
    }


def _cell_frame(cells: ObservedCells) -> pd.DataFrame:
    """Cells of the ratio with their counts, and the side of the line of R on which each stands."""
    histories = np.arange(1, len(cells.counts))
    odd = captures(histories) % 2 == 1
    return pd.DataFrame(decode(histories, len(cells.lists)), columns=list(cells.lists)).assign(
        count=cells.counts[1:].astype(np.int64), side=np.where(odd, "above", "below")
    )


def _idata(cells: ObservedCells, sizes: Sizes) -> Any:
    """Give the draws chain by chain, unless some were left out."""
    if not len(sizes.drawn):
        return None
    whole = cells.fitted is not None and cells.fitted.log_ratio.size == len(sizes.drawn)
    chains = len(cells.fitted.log_ratio) if cells.fitted is not None and whole else 1
    values = {"N": sizes.drawn, "hidden_share": sizes.hidden_share, "xi": np.exp(sizes.log_xi)}
    return inference_data({name: drawn.reshape(chains, -1) for name, drawn in values.items()})
