"""`LogLinear`: one hierarchical log-linear model, taken as known."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_doors
from hiddenpop.errors import ModelError
from hiddenpop.estimators.base import NO_MODEL, BaseEstimator, Facts, Scenario
from hiddenpop.estimators.many_lists import GroupedLists, grouped_lists
from hiddenpop.estimators.outcome import (
    INTERVALS,
    IntervalMethod,
    criteria_of,
    fit_diagnostics,
    misfit_remarks,
    model_details,
    model_interval,
    status_of_fit,
    terms_of,
)
from hiddenpop.estimators.prepare import (
    ListCounts,
    OddsRatios,
    as_odds_ratios,
    check_positive,
    has_many_lists,
    list_counts,
    refuse_many_lists,
    regroup_ratios,
    without_terms,
)
from hiddenpop.estimators.protocol import check_choice, check_level, spec_of
from hiddenpop.estimators.resampled import RefitBlock, Resamples
from hiddenpop.histories import bit_positions, merged_term
from hiddenpop.kernels.poisson.model_fit import ModelFit, fit_model, hidden_profile, saturated_constant
from hiddenpop.kernels.poisson.profile import HiddenProfile
from hiddenpop.model import HierarchicalModel
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Diagnostic, Estimate, EstimatorSpec
from hiddenpop.sources import check_table
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


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class LogLinear(BaseEstimator):
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
            If the table has gaps in coverage, censored cells, or fewer than two lists that caught somebody; and if
            more than 16 did, of which more than 16 depend on each other, directly or through others.
        """
        asked = self.prepare(table)
        if isinstance(asked, GroupedLists):
            return asked.estimate(
                spec_of(self), table, label=asked.label, level=self.level, interval=self.interval, rng=rng,
                protected=PROTECTED,
            )  # fmt: skip
        data, model = asked
        fit = fit_model(data.counts, terms_of(model), data.n_lists, data.offset)
        return estimate_of_model(
            spec_of(self), table, data, model, fit, level=self.level, interval=self.interval, rng=rng
        )

    def number(self, table: CaptureTable, *, rng: RNGLike = None) -> tuple[float, str]:
        """Give the number and the model of `fit`, without interval and tables; inf or nan where there is none."""
        if has_many_lists(table):
            grouped = self._grouped(table)
            return grouped.number, str(grouped.model)
        data, model = self._asked(table)
        return number_of_model(data, model), str(model)

    def hidden_profile(self, table: CaptureTable) -> HiddenProfile | None:
        """Say what the data tell of every dark figure; None where the interval is not from the likelihood."""
        if has_many_lists(table):
            return self._grouped(table).profile if self.interval == "profile" else None
        data, model = self._asked(table)
        return profile_under(data, model) if self.interval == "profile" else None

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("homogeneous", "given_model", "no_highest_order", "large_sample"),
            model_is="given",
            other_priors=(),
            needs_draws=False,
            adds_up_strata=True,
            loglinear=True,
            fits_cells=True,
        )

    def prepare(self, table: CaptureTable) -> GroupedLists | tuple[ListCounts, HierarchicalModel]:
        """Count the lists that caught somebody and read the model for them; of more than 16 lists, fit them."""
        check_table(table)
        return self._grouped(table) if has_many_lists(table) else self._asked(table)

    def to_statsmodels(self, table: CaptureTable) -> Any:
        """Give the model as a generalised linear model of statsmodels, with its design, for readers.

        Parameters
        ----------
        table : CaptureTable

        Returns
        -------
        statsmodels.genmod.generalized_linear_model.GLM
            A row for every history of the lists that caught somebody, nobody's left out: ``endog`` holds the counts,
            ``exog`` the intercept and one column per term, 1 where a history has all lists of the term. Fixed odds
            ratios are its offset.

        Raises
        ------
        CapabilityError, ModelError
            As `fit`, and for more than 16 lists.

        Notes
        -----
        Where a cell of the sufficient statistics is empty, coefficients of its ``fit()`` go to infinity; `fit` says
        what that means for the dark figure.

        Examples
        --------
        The dark figure is the exponential of the intercept, times ``1/xi``.

        >>> import hiddenpop as hp
        >>> kosovo, model = hp.datasets.load("kosovo"), LogLinear(model="[123,14,34]")
        >>> found = model.to_statsmodels(kosovo).fit()
        >>> round(kosovo.n_observed + math.exp(found.params["intercept"]), 2), round(model.fit(kosovo).n_hat, 2)
        (10356.52, 10356.52)
        """
        from statsmodels.genmod.families import Poisson
        from statsmodels.genmod.generalized_linear_model import GLM

        check_table(table)
        refuse_many_lists(table, "a model of all cells")
        data, model = self._asked(table)
        terms, histories = np.array([0, *model.terms[1:]]), np.arange(1, len(data.counts))
        rows, columns = (
            ["*".join(data.lists[at] for at in bit_positions(int(mask))) or "intercept" for mask in masks]
            for masks in (histories, terms)
        )
        exog = pd.DataFrame(histories[:, None] & terms == terms, index=rows, columns=columns, dtype=float)
        endog = pd.Series(data.counts[1:], index=rows, name="count")
        return GLM(endog, exog, family=Poisson(), offset=None if data.offset is None else data.offset[1:])

    def without_highest_order(self, table: CaptureTable) -> bool:
        """Tell that its dark figure is that without an interaction of all lists, but for ``xi``."""
        return True

    def on_groups(self, table: CaptureTable, groups: Mapping[str, str]) -> "LogLinear":
        """Keep the interactions of the lists that remain, each one of the whole group."""
        names = tuple(dict.fromkeys(groups[name] for name in table.lists if name in groups))
        bits = [1 << names.index(groups[name]) if name in groups else 0 for name in table.lists]
        images = (merged_term(term, bits) for term in model_for(self.model, table).generators)
        model = HierarchicalModel(len(names), tuple(term for term in images if term))
        return replace(self, model=model, odds_ratios=regroup_ratios(self.odds_ratios, groups))

    def quick_refits(self, block: RefitBlock) -> Resamples | None:
        """Fit the model to every resample by a compiled loop; None for a saturated model and very large counts."""
        if block.is_large:
            return None
        data, model = self._asked(block.table)
        if model.is_saturated:
            return None
        from hiddenpop.kernels.search.best_models import same_model

        tables = block.dense(data)
        n0 = same_model(tables, model.term_set, data.n_lists, data.offset)
        return Resamples(tables.sum(axis=1) + n0, (str(model),) * len(tables))

    @property
    def for_real_counts(self) -> "LogLinear":
        """Itself: the compiled loop takes counts that are not whole."""
        return self

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        """Compare the model with the one that holds: every term of the true one must be in it."""
        try:
            model = _model_in(self.model, scenario)
        except ModelError as error:
            return (str(error),)
        if model.is_saturated:
            return (
                f"the model {model} holds the interaction of all lists, so the data do not determine the dark figure",
            )
        if "independent" in scenario.assumptions:
            return ()
        if scenario.model is None:
            return (NO_MODEL,)
        lacking = set(_model_in(scenario.model, scenario).terms) - set(model.terms)
        return (f"the model {model} lacks terms of {scenario.model}, which holds",) if lacking else ()

    def _grouped(self, table: CaptureTable) -> GroupedLists:
        """Fit to more lists than a dense table can have."""
        return grouped_lists(table, self.name, model_for(self.model, table), self.odds_ratios, self.xi)

    def _asked(self, table: CaptureTable) -> tuple[ListCounts, HierarchicalModel]:
        """Count, and read the model for the lists that caught somebody, less what is fixed."""
        whole = model_for(self.model, table)
        data = counts_under(self, table)
        return data, without_terms(whole.restrict(data.kept), data.without)


def _model_in(model: str | HierarchicalModel, scenario: Scenario) -> HierarchicalModel:
    """Read a model for the lists of a scenario."""
    if isinstance(model, HierarchicalModel):
        if model.n_lists != len(scenario.lists):
            raise ModelError(
                f"the model {model} is for {model.n_lists} lists, and there are {len(scenario.lists)}"
            )
        return model
    return HierarchicalModel.parse(model, lists=scenario.lists)


def counts_under(setting: Any, table: CaptureTable) -> ListCounts:
    """Count for an estimator whose settings may fix odds ratios and the highest-order interaction."""
    return list_counts(table, estimator=setting.name, odds_ratios=setting.odds_ratios, xi=setting.xi)


def number_of_model(data: ListCounts, model: HierarchicalModel) -> float:
    """Give the population size under a model; inf where unbounded, nan where there is none for another reason."""
    fit = fit_model(data.counts, terms_of(model), data.n_lists, data.offset)
    return data.n_observed + fit.n0 if fit.converged else math.nan


def profile_under(data: ListCounts, model: HierarchicalModel) -> HiddenProfile | None:
    """Say what the data tell of every dark figure under a model; None where the fit did not converge."""
    fit = fit_model(data.counts, terms_of(model), data.n_lists, data.offset)
    if not fit.converged:
        return None
    return hidden_profile(data.counts, terms_of(model), data.n_lists, fit, data.offset)


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
    details = model_details(data, model, fit, criteria, rng)
    return Estimate(
        n_hat=data.n_observed + fit.n0 if status != "not_converged" else float("nan"),
        n_observed=data.n_observed,
        interval=limits,
        status=status,
        reason=reason,
        estimator=spec,
        table=table.summary,
        diagnostics=(*misfit_remarks(details), *data.diagnostics, *fit_diagnostics(fit), *diagnostics),
        provenance=make_provenance(table.summary, rng),
        details={**details, **found, **(extra or {})},
        protected=PROTECTED if data.has_small else (),
    )
