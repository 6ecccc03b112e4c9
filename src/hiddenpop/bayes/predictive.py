"""Replicated tables against the observed one, and cells predicted from the others."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.bayes.inference_data import load_arviz
from hiddenpop.errors import SettingError
from hiddenpop.estimators.protocol import check_level
from hiddenpop.histories import decode
from hiddenpop.result import Diagnostic, Estimate
from hiddenpop.table import CaptureTable

__all__ = [
    "LeaveOneOut",
    "PredictiveCheck",
    "fit_remarks",
    "leave_one_out",
    "posterior_predictive",
    "predictive_check",
    "prior_predictive",
]


ODD_TAIL = 0.025
"""A cell counts as odd when no more than this share of the replicates lies on one side of it."""

POOR_FIT = 0.01
"""Below, a model is called one that does not fit; the p-value is conservative, so that chance seldom does that."""

HIGHEST_K = 0.7
"""Above, the prediction of a cell from the others rests on too few draws (Vehtari, Gelman and Gabry 2017)."""

FIGURES = ("observed", "median", "low", "high", "tail")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictiveCheck:
    """What tables a model makes, beside the one observed.

    Attributes
    ----------
    kind : {"posterior", "prior"}
    cells : DataFrame
        One row per cell: its lists (0/1), ``observed``, and of the replicates ``median``, ``low``, ``high`` and
        ``tail``, the share above what was observed, those equal to it counted half. Near 0 or 1 the model does not make
        such a count.
    captures : DataFrame
        The same by number of lists that caught a person.
    lists : DataFrame
        The same by list.
    discrepancy : DataFrame
        For ``deviance`` and ``freeman_tukey``, the distance of the observed table from the mean of the replicates, the
        median distance of a replicate, and ``p``, the share of replicates at least as far away.
    n_replicates : int
    level : float
        Of `low` and `high`.
    """

    kind: Literal["posterior", "prior"]
    cells: pd.DataFrame
    captures: pd.DataFrame
    lists: pd.DataFrame
    discrepancy: pd.DataFrame
    n_replicates: int
    level: float

    @property
    def odd_cells(self) -> pd.DataFrame:
        """Cells with hardly a replicate on one side."""
        tail = self.cells["tail"]
        return self.cells[(tail <= ODD_TAIL) | (tail >= 1.0 - ODD_TAIL)]

    def text(self) -> str:
        """Say in words how the observed table fits in."""
        p = _freeman_tukey_p(self.discrepancy)
        expected = 2.0 * ODD_TAIL * len(self.cells)
        if self.kind == "prior":
            return (
                f"{len(self.odd_cells)} of {len(self.cells)} cells lie where the prior hardly puts a count, by "
                f"{self.n_replicates:,} tables drawn from it; a prior should make the observed table possible, not "
                f"likely"
            )
        return (
            f"{len(self.odd_cells)} of {len(self.cells)} cells lie in the outer {2 * ODD_TAIL:.0%} of their "
            f"{self.n_replicates:,} replicates, where about {expected:.1f} would by chance, or fewer, as "
            f"the same table made the fit; {p:.1%} of the replicates lie as far from their mean as the observed table "
            f"(Freeman-Tukey)"
        )


def predictive_check(
    replicates: npt.ArrayLike,
    cells: pd.DataFrame,
    lists: Sequence[str],
    *,
    kind: Literal["posterior", "prior"] = "posterior",
    level: float = 0.95,
) -> PredictiveCheck:
    """Compare replicated counts with those observed.

    Parameters
    ----------
    replicates : array_like, shape (..., cells)
        Counts drawn from the model, the last axis in the order of `cells`.
    cells : DataFrame
        One row per cell that can be observed, those with nobody included: 0/1 columns of the lists, ``count``, and any
        other columns, e.g. strata.
    lists : sequence of str
        Columns that are lists.
    kind : {"posterior", "prior"}
    level : float

    Returns
    -------
    PredictiveCheck

    Raises
    ------
    SettingError
        If the replicates do not fit the cells.

    Examples
    --------
    >>> cells = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [30, 20, 90]})
    >>> drawn = np.random.default_rng(1).poisson([30, 20, 10], (1000, 3))
    >>> predictive_check(drawn, cells, ["a", "b"]).odd_cells["observed"].tolist()
    [90.0]
    """
    check_level(level)
    drawn = np.asarray(replicates, dtype=np.float64)
    if drawn.ndim < 2 or drawn.shape[-1] != len(cells) or not drawn.size:
        raise SettingError(
            f"replicates of shape {drawn.shape} do not fit {len(cells)} cells: the last axis must be the cells, in the "
            f"order 1, 2, ... of their histories with the first list in the lowest bit"
        )
    drawn = drawn.reshape(-1, len(cells))
    observed = cells["count"].to_numpy(dtype=np.float64)
    member = cells[list(lists)].to_numpy(dtype=np.float64)
    n_caught = member.sum(axis=1)
    classes = np.unique(n_caught)
    by_class = (n_caught[:, None] == classes).astype(np.float64)
    labels = cells.drop(columns="count").reset_index(drop=True)
    return PredictiveCheck(
        kind=kind,
        cells=pd.concat([labels, _figures(drawn, observed, level)], axis=1),
        captures=_figures(drawn @ by_class, observed @ by_class, level).assign(captures=classes.astype(int))[
            ["captures", *FIGURES]
        ],
        lists=_figures(drawn @ member, observed @ member, level).assign(list=list(lists))[["list", *FIGURES]],
        discrepancy=_discrepancy(drawn, observed),
        n_replicates=len(drawn),
        level=level,
    )


def _figures(drawn: Floats, observed: Floats, level: float) -> pd.DataFrame:
    tail = (1.0 - level) / 2.0
    low, median, high = np.quantile(drawn, [tail, 0.5, 1.0 - tail], axis=0, method="inverted_cdf")
    above = (drawn > observed).mean(axis=0) + 0.5 * (drawn == observed).mean(axis=0)
    columns = (observed, median, low, high, above)
    return pd.DataFrame(dict(zip(FIGURES, columns, strict=True)))


def _discrepancy(drawn: Floats, observed: Floats) -> pd.DataFrame:
    centre = drawn.mean(axis=0)
    rows = []
    for name, distance in (("deviance", _deviance), ("freeman_tukey", _freeman_tukey)):
        seen, made = float(distance(observed[None], centre)[0]), distance(drawn, centre)
        rows.append((name, seen, float(np.median(made)), float((made >= seen).mean())))
    return pd.DataFrame(rows, columns=["statistic", "observed", "median", "p"])


def _freeman_tukey_p(discrepancy: pd.DataFrame) -> float:
    [p] = discrepancy.loc[discrepancy["statistic"] == "freeman_tukey", "p"].tolist()
    return float(p)


def _deviance(counts: Floats, centre: Floats) -> Floats:
    safe = np.where(centre > 0.0, centre, 1.0)
    ratio = np.where(counts > 0.0, counts / safe, 1.0)
    terms = 2.0 * (counts * np.log(ratio) - counts + centre)
    never = (centre == 0.0) & (counts > 0.0)  # observed, and never replicated
    return np.asarray(np.where(never, np.inf, terms).sum(axis=-1))


def _freeman_tukey(counts: Floats, centre: Floats) -> Floats:
    return np.asarray(4.0 * ((np.sqrt(counts) - np.sqrt(centre)) ** 2).sum(axis=-1))


def posterior_predictive(
    source: Estimate | npt.ArrayLike, table: CaptureTable, *, level: float = 0.95
) -> PredictiveCheck:
    """Compare tables replicated with the draws of a posterior with the table behind it.

    Parameters
    ----------
    source : Estimate or array_like
        An estimate that holds replicates, or replicates of shape (..., cells): all observable cells of the lists that
        caught somebody, in the order 1, 2, ... of their histories with the first list in the lowest bit.
    table : CaptureTable
        The table that was fitted; its strata are added up.
    level : float
        Of the limits.

    Returns
    -------
    PredictiveCheck

    Raises
    ------
    SettingError
        For an estimate without replicates, or replicates that do not fit the table.

    Notes
    -----
    A model that makes tables like the observed one may still be wrong about those whom no list saw: many models fit
    equally well and differ in N. A model that cannot make the observed table is in doubt. The p-values are
    conservative, as the same table has made the fit: values near 0 say more than values near 0.5.

    References
    ----------
    Gelman, A., Meng, X.-L. and Stern, H. (1996). Posterior predictive assessment of model fitness via realized
    discrepancies. Statistica Sinica 6(4), 733-807.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.bayes.thresholded import ThresholdedLogLinear
    >>> table = hp.datasets.load("kosovo")
    >>> check = posterior_predictive(ThresholdedLogLinear(n_draws=500).fit(table, rng=1), table)
    >>> check.captures["observed"].tolist()
    [3218.0, 882.0, 273.0, 27.0]
    """
    replicates = _replicates(source) if isinstance(source, Estimate) else np.asarray(source)
    cells, lists = _cells(table)
    if replicates.ndim and replicates.shape[-1] == len(cells) + 1:
        replicates = replicates[..., 1:]
    return predictive_check(replicates, cells, lists, kind="posterior", level=level)


def prior_predictive(drawn: npt.ArrayLike, table: CaptureTable, *, level: float = 0.95) -> PredictiveCheck:
    """Compare tables drawn from the prior alone with the observed one.

    Parameters
    ----------
    drawn : array_like, shape (..., cells)
        Tables from the prior: all observable cells of the lists that caught somebody, in the order 1, 2, ... of their
        histories with the first list in the lowest bit; with or without an element for the unobserved cell in front.
    table : CaptureTable
    level : float

    Returns
    -------
    PredictiveCheck

    Raises
    ------
    SettingError
        If the drawn tables do not fit the table.

    Notes
    -----
    A prior is not asked to make the observed table likely, only to make it possible, and not to put most of its
    tables where no such study could lie, e.g. millions of persons on all lists.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.bayes.thresholded import ThresholdedLogLinear, draw_from_prior
    >>> setting = ThresholdedLogLinear(main_effect_sd=2.0, prior=("negative_binomial", 10000.0, 1.0))
    >>> check = prior_predictive(draw_from_prior(setting, 4, 1000, rng=1).counts, hp.datasets.load("kosovo"))
    >>> len(check.cells), check.kind
    (15, 'prior')
    """
    tables = np.asarray(drawn)
    cells, lists = _cells(table)
    if tables.ndim and tables.shape[-1] == len(cells) + 1:
        tables = tables[..., 1:]
    return predictive_check(tables, cells, lists, kind="prior", level=level)


def _cells(table: CaptureTable) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """All observable cells of the lists that caught somebody."""
    flat = table.collapse() if table.has_strata else table
    kept = flat.drop_list(*flat.empty_lists) if flat.empty_lists else flat
    counts = kept.to_dense()
    frame = pd.DataFrame(decode(np.arange(1, len(counts)), kept.n_lists), columns=list(kept.lists))
    return frame.assign(count=counts[1:]), kept.lists


def fit_remarks(idata: Any) -> list[Diagnostic]:
    """Say so when the replicates of a posterior hardly ever lie as far from their mean as the observed table does.

    Parameters
    ----------
    idata : arviz.InferenceData
        Looked at when it holds replicates and what was observed.

    Returns
    -------
    list of Diagnostic
    """
    if not {"posterior_predictive", "observed_data"} <= set(idata.groups()):
        return []
    drawn = idata.posterior_predictive["cells"].to_numpy()
    seen = idata.observed_data["cells"].to_numpy()
    p = _freeman_tukey_p(_discrepancy(drawn.reshape(-1, len(seen)), seen))
    if p >= POOR_FIT:
        return []
    message = (
        f"the model hardly makes tables like this one: {p:.1%} of those it draws lie as far from their mean "
        f"(Freeman-Tukey); see hiddenpop.bayes.diagnostics.posterior_predictive for the cells"
    )
    return [Diagnostic("poor_fit", "warning", message, round(p, 4))]


def _replicates(estimate: Estimate) -> Floats:
    held = _group(estimate, "posterior_predictive")
    if held is None or "cells" not in held:
        raise SettingError(
            f"the estimate by {estimate.estimator.name} holds no replicated tables; give them as an array in its place"
        )
    return np.asarray(held["cells"].values, dtype=np.float64)


def _group(estimate: Estimate, name: str) -> Any:
    idata = estimate.details.get("idata")
    return getattr(idata, name, None) if idata is not None else None


# --- one cell from the others -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeaveOneOut:
    """How well each cell is predicted from the others.

    Attributes
    ----------
    elpd : float
        Expected log density of a cell that was left out, added up over the cells.
    standard_error : float
    p_loo : float
        Effective number of parameters.
    n_unreliable : int
        Cells whose Pareto k is above 0.7: their prediction cannot be had from these draws.
    cells : DataFrame
        One row per cell: ``cell``, ``elpd``, ``pareto_k``.
    """

    elpd: float
    standard_error: float
    p_loo: float
    n_unreliable: int
    cells: pd.DataFrame

    def text(self) -> str:
        """Say what the figures are worth."""
        start = f"expected log predictive density {self.elpd:.1f} (standard error {self.standard_error:.1f})"
        if not self.n_unreliable:
            return f"{start}; every cell could be predicted from the others"
        return (
            f"{start}, not to be relied on: {self.n_unreliable} of {len(self.cells)} cells have a Pareto k above "
            f"{HIGHEST_K}, as they alone determine a part of the model; refit without them to know"
        )


def leave_one_out(estimate: Estimate) -> LeaveOneOut:
    """Predict each cell from the others by importance sampling, without fitting again.

    Parameters
    ----------
    estimate : Estimate
        With a log likelihood of each cell in ``details["idata"]``.

    Returns
    -------
    LeaveOneOut

    Raises
    ------
    SettingError
        If the estimate does not hold a log likelihood of each cell.

    Notes
    -----
    What is left out is a cell, not a person, and what is asked is how well its count is predicted. That compares models
    of one table by how they describe the lists. It cannot say which of them is right about the hidden: the unobserved
    cell is the one that no model is ever tested on, and models that predict the others equally well may put it
    far apart. A cell that alone carries an interaction, as most cells do in a rich model, cannot be predicted from the
    others by reweighting; its Pareto k says so.

    References
    ----------
    Vehtari, A., Gelman, A. and Gabry, J. (2017). Practical Bayesian model evaluation using leave-one-out
    cross-validation and WAIC. Statistics and Computing 27(5), 1413-1432. doi:10.1007/s11222-016-9696-4

    Examples
    --------
    >>> import hiddenpop as hp
    >>> from hiddenpop.bayes.thresholded import ThresholdedLogLinear
    >>> found = leave_one_out(ThresholdedLogLinear(n_draws=500).fit(hp.datasets.load("kosovo"), rng=1))
    >>> len(found.cells), found.n_unreliable > 0
    (15, True)
    """
    held = _group(estimate, "log_likelihood")
    by_cell = [] if held is None else [name for name in held.data_vars if held[name].ndim == 3]
    if len(by_cell) != 1:
        raise SettingError(
            f"the estimate by {estimate.estimator.name} holds no log likelihood of each cell, which leaving "
            f"one out needs"
        )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # high Pareto k, which are counted here
        found = load_arviz().loo(estimate.details["idata"], var_name=by_cell[0], pointwise=True)
    k = np.asarray(found.pareto_k.values, dtype=np.float64)
    frame = pd.DataFrame(
        {"cell": _labels(held[by_cell[0]]), "elpd": np.asarray(found.loo_i.values), "pareto_k": k}
    )
    return LeaveOneOut(
        elpd=float(found.elpd_loo),
        standard_error=float(found.se),
        p_loo=float(found.p_loo),
        n_unreliable=int((k > HIGHEST_K).sum()),
        cells=frame,
    )


def _labels(variable: Any) -> list[str]:
    dimension = variable.dims[-1]
    return [str(label) for label in variable.coords[dimension].to_numpy()]
