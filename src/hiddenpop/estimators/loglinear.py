"""`LogLinear`: one hierarchical log-linear model, taken as known."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hiddenpop.errors import ModelError
from hiddenpop.estimators.criteria import criteria_of
from hiddenpop.estimators.dependence import OddsRatios, as_odds_ratios, check_positive, without_terms
from hiddenpop.estimators.outcome import (
    INTERVALS,
    IntervalMethod,
    fit_diagnostics,
    model_details,
    model_interval,
    status_of_fit,
    terms_of,
)
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.protocol import check_choice, check_level, spec_of
from hiddenpop.kernels.model_fit import ModelFit, fit_model, saturated_constant
from hiddenpop.model import HierarchicalModel
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, EstimatorSpec
from hiddenpop.table import CaptureTable, RNGLike

PROTECTED = (
    "cells",
    "coefficients",
    "criteria",
    "deviance",
    "goodness_of_fit",
    "n0_standard_error",
    "path",
    "profile_maximum",
    "selection",
    "weighted_mean",
)
"""Details that give small counts away: a few exact figures of a fit can be solved for the cells behind them."""

__all__ = ["PROTECTED", "LogLinear", "counts_under", "estimate_of_model", "model_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLinear:
    """Size of a closed population under one hierarchical log-linear model.

    The estimand is ``N = n + exp(alpha_0)``: the persons observed, and the mean of the unobserved cell when
    ``log mu_w = sum of alpha_theta over the terms theta within w``.

    Parameters
    ----------
    model : str or HierarchicalModel
        ``"[12,3]"`` by positions of the lists, ``"police*shelter + coordinator"`` by names, ``"independence"``
        (default) or ``"all-pairs"``.
    interval : {"profile", "lognormal", "wald"}
        Profile likelihood (Cormack 1992) by default.
    level : float
        Confidence level.
    odds_ratios : tuple of (str, str, float), or mapping
        Pairs of lists whose odds ratio, given absence from all other lists, is fixed and not estimated: what the data
        cannot check, for sensitivity analysis. The pair and every interaction that contains it leave the model.
    xi : float
        What the interaction of all lists is assumed to be, 1 for none. It multiplies the dark figure by ``1/xi``.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    Assumes a closed population, lists linked without error, no erroneous inclusions, and the model: above all that
    the interaction of all lists is 0, which the data cannot check. The interval takes the model as known and so is
    too short when it was chosen on the same data.

    On sparse tables the maximum may lie on a face of the marginal cone (Fienberg & Rinaldo 2012). The estimate is
    reported whenever the intercept is determined there; otherwise the status says whether the dark figure is
    unbounded, pushed to 0, or not identified.

    ``xi`` is ``exp(u)`` for an odd and ``exp(-u)`` for an even number of lists, with u the interaction of all of them
    and the unobserved cell as reference (Aleshin-Guendel, Sadinle & Wakefield 2021). A larger ``xi`` gives fewer hidden
    persons; for two lists their odds ratio is ``1/xi``.

    References
    ----------
    Fienberg, S. E. (1972). Biometrika 59(3), 591-603. doi:10.1093/biomet/59.3.591
    Cormack, R. M. (1992). Biometrics 48(2), 567-576. doi:10.2307/2532310
    Fienberg, S. E. and Rinaldo, A. (2012). Annals of Statistics 40(2), 996-1023. doi:10.1214/12-AOS986
    Gerritse, S. C., van der Heijden, P. G. M. and Bakker, B. F. M. (2015). Journal of Official Statistics 31(3),
    357-379. doi:10.1515/jos-2015-0022
    Aleshin-Guendel, S., Sadinle, M. and Wakefield, J. (2021). arXiv:2101.09304.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> estimate = LogLinear(model="[123,14,34]").fit(hp.datasets.load("kosovo"))
    >>> round(estimate.n_hat, 2), estimate.status
    (10356.52, 'ok')
    """

    name: ClassVar[str] = "loglinear"

    model: str | HierarchicalModel = "independence"
    interval: IntervalMethod = "profile"
    level: float = 0.95
    odds_ratios: OddsRatios = ()
    xi: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.model, str | HierarchicalModel):
            raise ModelError(f"model={self.model!r} is neither text such as '[12,3]' nor a HierarchicalModel")
        check_choice("interval", self.interval, INTERVALS)
        check_level(self.level)
        object.__setattr__(self, "odds_ratios", as_odds_ratios(self.odds_ratios))
        object.__setattr__(self, "xi", check_positive("xi", self.xi))

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Estimate the population size behind `table`.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None
            Only for the goodness of fit on sparse tables, which needs a parametric bootstrap.

        Returns
        -------
        Estimate

        Raises
        ------
        ModelError
            If the model does not fit the lists of the table.
        CapabilityError
            If the table has gaps in coverage, censored cells, or fewer than two lists that caught somebody.
        """
        data, model = self._asked(table)
        fit = fit_model(data.counts, terms_of(model), data.n_lists, data.offset)
        return estimate_of_model(
            spec_of(self), table, data, model, fit, level=self.level, interval=self.interval, rng=rng
        )

    def number(self, table: CaptureTable, *, rng: RNGLike = None) -> tuple[float, str]:
        """Give the number and the model of `fit`, without interval and tables; inf or nan where there is none."""
        data, model = self._asked(table)
        return number_of_model(data, model), str(model)

    def _asked(self, table: CaptureTable) -> tuple[ListCounts, HierarchicalModel]:
        """Count, and read the model for the lists that caught somebody, less what is fixed."""
        whole = model_for(self.model, table)
        data = counts_under(self, table)
        return data, without_terms(whole.restrict(data.kept), data.without)


def counts_under(setting: Any, table: CaptureTable) -> ListCounts:
    """Count for an estimator whose settings may fix odds ratios and the highest-order interaction."""
    return list_counts(table, estimator=setting.name, odds_ratios=setting.odds_ratios, xi=setting.xi)


def number_of_model(data: ListCounts, model: HierarchicalModel) -> float:
    """Give the population size under a model; inf where unbounded, nan where there is none for another reason."""
    fit = fit_model(data.counts, terms_of(model), data.n_lists, data.offset)
    return data.n_observed + fit.n0 if fit.converged else math.nan


def model_for(model: str | HierarchicalModel, table: CaptureTable) -> HierarchicalModel:
    """Read a model for the lists of a table, and check that it is one for so many lists."""
    if isinstance(model, str):
        return HierarchicalModel.parse(model, lists=table.lists)
    if model.n_lists != len(table.lists):
        raise ModelError(
            f"the model {model} is for {model.n_lists} lists and {table.name} has {len(table.lists)}"
        )
    return model


def estimate_of_model(
    spec: EstimatorSpec,
    table: CaptureTable,
    data: ListCounts,
    model: HierarchicalModel,
    fit: ModelFit,
    *,
    level: float,
    interval: IntervalMethod,
    rng: RNGLike,
    known: str = "model taken as known",
    diagnostics: tuple[Diagnostic, ...] = (),
    extra: dict[str, object] | None = None,
) -> Estimate:
    """Make the estimate that follows from one fitted model."""
    status, reason = status_of_fit(fit)
    limits, found = model_interval(data, model, fit, level, interval, known)
    minus_twice = np.array([fit.deviance + saturated_constant(data.counts)])
    criteria = {
        k: float(v[0]) for k, v in criteria_of(minus_twice, [model.n_parameters], data.n_observed).items()
    }
    return Estimate(
        n_hat=data.n_observed + fit.n0 if status != "not_converged" else float("nan"),
        n_observed=data.n_observed,
        interval=limits,
        status=status,
        reason=reason,
        estimator=spec,
        table=table.summary,
        diagnostics=(*data.diagnostics, *fit_diagnostics(fit), *diagnostics),
        provenance=make_provenance(table.summary, rng),
        details={**model_details(data, model, fit, criteria, rng), **found, **(extra or {})},
        protected=PROTECTED if data.has_small else (),
    )
