"""`IdentifiedPosterior`: a model of the observed cells, and beside it the assumption that fixes the dark figure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_doors
from hiddenpop.bayes.cell_draws import fit_cells
from hiddenpop.bayes.identifying_details import PROTECTED, details_of, diagnostics_of, method_of
from hiddenpop.bayes.observed_cells import (
    ObservedCells,
    Sizes,
    Xi,
    counts_of,
    draw_cells,
    median_xi,
    modelled_cells,
)
from hiddenpop.bayes.priors import check_count
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.base import (
    POSTERIOR,
    BaseEstimator,
    Change,
    Facts,
    Scenario,
    contract,
    held_to_no_level,
)
from hiddenpop.estimators.protocol import (
    Estimator,
    as_number,
    check_choice,
    check_level,
    check_whole,
    spec_of,
)
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Estimate, Interval
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = [
    "IdentifiedPosterior",
    "identified_cells",
    "identified_estimate",
    "sweep_prior_count",
    "sweep_xi",
]

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
    setting: IdentifiedPosterior, table: CaptureTable, cells: ObservedCells, provenance: Mapping[str, Any]
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


def _sweep_row(setting: IdentifiedPosterior, cells: ObservedCells) -> dict[str, Any]:
    sizes: Sizes = cells.sizes(setting.xi, setting.level)
    figures = (1.0 / median_xi(setting.xi), *sizes.as_drawn, sizes.outcome()[1], sizes.contradicted)
    return dict(zip(COLUMNS, figures, strict=True))


def identified_cells(
    setting: IdentifiedPosterior, table: CaptureTable, *, fitted: Estimate | None = None, rng: RNGLike = None
) -> ObservedCells:
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
