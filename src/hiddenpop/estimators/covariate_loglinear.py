"""`CovariateLogLinear`: one hierarchical log-linear model of lists and covariates, taken as known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from hiddenpop._front_door import front_doors
from hiddenpop.errors import CapabilityError, HiddenpopError, ModelError, SettingError
from hiddenpop.estimators.base import BaseEstimator, Facts, Scenario
from hiddenpop.estimators.cell_space import check_structural_zeros
from hiddenpop.estimators.covariate_design import CovariateDesign, ModelCells, covariate_design, model_cells
from hiddenpop.estimators.covariate_formula import (
    CovariateModel,
    check_coding,
    check_level_order,
    joint_coding,
    model_of_table,
)
from hiddenpop.estimators.covariate_outcome import CovariateInterval, LimitsOf, estimate_of_covariate_model
from hiddenpop.estimators.prepare import (
    OddsRatios,
    as_odds_ratios,
    check_positive,
    pair_of,
    refuse_unknown_lists,
    regroup_ratios,
    remarks,
    shifts_of,
)
from hiddenpop.estimators.protocol import check_choice, check_level, check_whole, spec_of
from hiddenpop.histories import merged_term
from hiddenpop.kernels.resampling.bootstrap_limits import check_boot_size
from hiddenpop.result import Estimate
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["CovariateLogLinear", "check_covariate_settings", "covariates_of"]

COMBINATIONS = ("crossed", "observed")
COVARIATE_INTERVALS = ("bootstrap", "lognormal")
LIMITS_OF = ("persons", "expected")
NOT_WITHIN = "the lists are not independent within strata"


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class CovariateLogLinear(BaseEstimator):
    """Size of a closed population, in total and by subgroup, under one log-linear model of lists and covariates.

    The estimand is ``N = n + sum over strata s of exp(x_s b)``: the persons observed, and in each stratum the mean of
    the cell of those on no list, under ``log mu = X b`` on the cells of lists crossed with covariates.

    Parameters
    ----------
    model : str
        A formula, such as ``"police*shelter + coordinator + police*year + sex*age"``; ``"main-effects"`` (default) or
        ``"all-pairs"``. Hierarchical, with every list. Covariates that it leaves out are added up.
    coding : mapping or tuple of pairs
        By covariate ``"dummies"`` (default), ``"poly(2)"`` for orthogonal polynomials of levels that are numbers,
        ``"linear"`` for equally spaced scores in the order of the levels, or a score for each level.
    levels : mapping or tuple of pairs
        By covariate its levels in order, the first the reference. By default those in the table, in the order of
        numbers where all are numbers, else sorted. A level named here that nobody seen has exists all the same, unless
        only combinations in the table do.
    combinations : {"crossed", "observed"}
        Whether every combination of levels exists, also those in which nobody was seen; or those in the table alone,
        which takes less memory and says that nobody, hidden or not, has another.
    structural_zeros : sequence of str
        Combinations of lists and levels that cannot be, such as ``"police*shelter"``, ``"sex=male*form=domestic"`` or
        ``"police*age=0-11"``.
    interval : {"bootstrap", "lognormal"}
        Percentiles of a parametric bootstrap, or log-normal limits from the delta method. Log-normal limits are always
        for persons.
    limits_of : {"persons", "expected"}
        What limits of a stratum from a bootstrap are for: the persons in it, or the number expected in it, as published
        with the R package mse. The total is for persons in both.
    n_boot : int
        Number of replicates.
    level : float
        Confidence level.
    odds_ratios : tuple of (str, str, float), or mapping
        Pairs of lists whose odds ratio, given absence from all other lists, is fixed everywhere and not estimated:
        what the data cannot check, for sensitivity analysis. The pair and every term that contains it leave the model.
    xi : float
        What the interaction of all lists is assumed to be in every stratum, 1 for none; see `LogLinear`. It multiplies
        the dark figures by ``1/xi``.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    Assumes a closed population, lists linked without error, no erroneous inclusions, covariates known of everybody on
    a list, and the model: above all that no interaction of all lists is missing from it, in any stratum.

    A list that does not operate in a stratum says nothing there: hidden are the persons on none of the lists that
    operate, also those whom the absent list would have caught (Zwane et al. 2004). Counts there are sums over being on
    the absent list or not. As a rule they follow the same model without that list, and the fit is exact; coefficients
    are then those of this model, for the lists that operate. Otherwise the maximum is found numerically, and the
    diagnostic ``numerical_maximum`` says so: when a term is missing that joins all that the list interacts with and
    all that its coverage depends on.

    All limits are for persons: those in the population, and those in a stratum. A replicate draws a Poisson count for
    each observable cell from its fitted mean, fits the same model again, and draws the hidden persons of each stratum
    from a Poisson law with the mean that it fitted. Its size of a stratum is these and the persons observed, so no size
    is below the number observed. The spread is that of the error of ``N_s``, whose variance is that of the fitted mean
    plus this mean, in a stratum as in a sum of strata.

    With ``limits_of="expected"`` a replicate draws ``round(N)`` persons over all cells, leaves out those on no list,
    and its size of a stratum is the number it drew and saw there and the hidden persons fitted to them (van der Heijden
    et al. 2012). A stratum then has other persons in every replicate, as if the population were made again: the limits
    are for the size that is expected of it, wider than those for the persons who were there, and about twice as wide
    where most are seen. Percentiles below the number observed are raised to it.

    Replicates without a number are counted in `Estimate.n_failed`: unbounded ones lie at infinity, unknown ones at the
    number observed for the lower and at infinity for the upper limit.

    Without an estimate there are no draws. Strata with a number of their own then keep it, with log-normal limits.

    References
    ----------
    van der Heijden, P. G. M., Whittaker, J., Cruyff, M., Bakker, B. and van der Vliet, R. (2012). People born in the
    Middle East but residing in the Netherlands: invariant population size estimates and the role of active and passive
    covariates. Annals of Applied Statistics 6(3), 831-852. doi:10.1214/12-AOAS536
    Fienberg, S. E. (1972). Biometrika 59(3), 591-603. doi:10.1093/biomet/59.3.591
    Zwane, E. N., van der Pal-de Bruin, K. and van der Heijden, P. G. M. (2004). The multiple-record systems estimator
    when registrations refer to different but overlapping populations. Statistics in Medicine 23(14), 2267-2281.
    Gerritse, S. C., van der Heijden, P. G. M. and Bakker, B. F. M. (2015). Journal of Official Statistics 31(3),
    357-379. doi:10.1515/jos-2015-0022

    Examples
    --------
    >>> import hiddenpop as hp
    >>> births = hp.datasets.load("spina_bifida")
    >>> model = CovariateLogLinear(model="S1 + S2*S3 + eth", interval="lognormal")
    >>> estimate = model.fit(births)
    >>> round(estimate.n_hat, 1), estimate.by_stratum["n_hat"].round(1).tolist()
    (724.1, [42.0, 679.8, 2.3])
    """

    name: ClassVar[str] = "covariate_loglinear"

    model: str = "main-effects"
    coding: Mapping[str, Any] | Sequence[tuple[str, Any]] = ()
    levels: Mapping[str, Sequence[str]] | Sequence[tuple[str, Sequence[str]]] = ()
    combinations: Literal["crossed", "observed"] = "crossed"
    structural_zeros: str | Sequence[str] = ()
    interval: CovariateInterval = "bootstrap"
    limits_of: LimitsOf = "persons"
    n_boot: int = 1000
    level: float = 0.95
    odds_ratios: OddsRatios = ()
    xi: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.model, str):
            raise ModelError(f"model={self.model!r} is not text such as 'police*shelter + year'")
        object.__setattr__(self, "model", self.model.strip())
        check_covariate_settings(self)
        object.__setattr__(self, "odds_ratios", as_odds_ratios(self.odds_ratios))
        object.__setattr__(self, "xi", check_positive("xi", self.xi))

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Estimate the population size behind `table`, in total and by stratum.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None
            For the bootstrap.

        Returns
        -------
        Estimate
            ``by_stratum`` has a row for each combination of levels that can hold somebody, ``stratum_draws`` a column.

        Raises
        ------
        ModelError
            If the model cannot be read, is not hierarchical, or leaves a list out.
        UnknownNameError
            For a list, covariate or level that is not there.
        CapabilityError
            If the table has gaps in coverage by a covariate that the model leaves out, censored cells, fewer than two
            lists that caught somebody, or more cells than can be laid out; for fixed odds ratios also if its lists do
            not operate in every stratum.
        TableError
            For persons in a structural zero.

        Warns
        -----
        EmptyListWarning, CollapsedStrataWarning
        """
        design, model, cells = self.prepare(table)
        return estimate_of_covariate_model(
            spec_of(self),
            table,
            design,
            model,
            cells,
            cells.fit(design.counts),
            level=self.level,
            interval=self.interval,
            limits_of=self.limits_of,
            n_boot=self.n_boot,
            rng=rng,
            diagnostics=remarks(design.lists, self.odds_ratios, self.xi),
        )

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("given_formula", "covariates_known", "no_highest_order", "large_sample"),
            model_is="given",
            other_priors=(),
            needs_draws=self.interval == "bootstrap",
        )

    def prepare(self, table: CaptureTable) -> tuple[CovariateDesign, CovariateModel, ModelCells]:
        """Lay out strata and cells, and the model on them."""
        check_table(table)
        refuse_unknown_lists(table, self.odds_ratios)
        whole = model_of_table(self.model, table)
        design = covariate_design(
            table,
            covariates=whole.covariates,
            coding=joint_coding(self.coding, whole),
            levels=self.levels,  # type: ignore[arg-type]  # in one form since __post_init__
            combinations=self.combinations,
            structural_zeros=tuple(self.structural_zeros),
            estimator=self.name,
        )
        model = self._without_fixed(whole.onto(design.factors), design)
        return design, model, self._assumed(model_cells(design, model.terms), design)

    def strata_of(self, table: CaptureTable) -> tuple[str, ...] | None:
        """Name the covariates of the model; None where it cannot be read for the table."""
        return covariates_of(self.model, table)

    def on_groups(self, table: CaptureTable, groups: Mapping[str, str]) -> "CovariateLogLinear":
        """Keep the interactions of the lists that remain, each one of the whole group."""
        whole = model_of_table(self.model, table)
        names = tuple(dict.fromkeys(groups[name] for name in table.lists if name in groups))
        covariates = whole.factors[whole.n_lists :]
        bits = [1 << names.index(groups[name]) if name in groups else 0 for name in whole.lists]
        bits += [1 << len(names) + at for at in range(len(covariates))]
        terms = {merged_term(term, bits) for term in whole.terms} - {0}
        model = replace(whole, factors=(*names, *covariates), n_lists=len(names), terms=tuple(terms))
        return replace(self, model=model.formula(), odds_ratios=regroup_ratios(self.odds_ratios, groups))

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        """Every list has to depend on all covariates together, where they are independent within strata."""
        covariates = scenario.covariates
        model = CovariateModel.parse(self.model, lists=scenario.lists, covariates=covariates)
        whole = [name for name in model.factors if name in covariates]
        needed = [sum(1 << model.factors.index(name) for name in (one, *whole)) for one in model.lists]
        if len(whole) < len(covariates) or any(term not in model.terms for term in needed):
            return ("lists that do not depend on all covariates together are not looked into",)
        independent = all("independent" in part.assumptions for part in scenario.by_stratum())
        return scenario.unmet("known_strata") + (() if independent else (NOT_WITHIN,))

    def _without_fixed(self, model: CovariateModel, design: CovariateDesign) -> CovariateModel:
        """Take the pairs with a fixed odds ratio out of the model, and every term that contains one."""
        fixed = [pair_of(design.lists, first, second) for first, second, _ in self.odds_ratios]
        kept = [term for term in model.terms if not any(pair and term & pair == pair for pair in fixed)]
        return replace(model, terms=tuple(kept))

    def _assumed(self, cells: ModelCells, design: CovariateDesign) -> ModelCells:
        """Give the cells their offsets."""
        if not self.odds_ratios and self.xi == 1.0:
            return cells
        pairs = [pair_of(design.lists, first, second) for first, second, _ in self.odds_ratios]
        if cells.summed is not None or any(pair & design.sometimes_absent for pair in pairs):
            raise CapabilityError(
                f"{self.name} fixes odds ratios and xi only where lists operate in every stratum; select such strata"
            )
        shifts = shifts_of(design.histories, design.lists, self.odds_ratios)
        return replace(cells, offset=shifts, multiplier=1.0 / self.xi)


def covariates_of(model: str, table: CaptureTable) -> tuple[str, ...] | None:
    """Name the covariates of a formula; None where it cannot be read for a table."""
    try:
        return tuple(model_of_table(model, table).covariates)
    except HiddenpopError:
        return None


def check_covariate_settings(setting: Any) -> None:
    """Check the settings that estimators with covariates share, and bring them into one form."""
    object.__setattr__(setting, "coding", check_coding(setting.coding))
    object.__setattr__(setting, "levels", check_level_order(setting.levels))
    zeros = check_structural_zeros(
        setting.structural_zeros, "lists or levels", "police*shelter' or 'police*age=0-11"
    )
    object.__setattr__(setting, "structural_zeros", zeros)
    check_choice("combinations", setting.combinations, COMBINATIONS)
    check_choice("interval", setting.interval, COVARIATE_INTERVALS)
    check_choice("limits_of", setting.limits_of, LIMITS_OF)
    if setting.limits_of == "expected" and setting.interval != "bootstrap":
        raise SettingError(
            f'limits_of="expected" is for limits from a bootstrap, and interval={setting.interval!r} gives limits for '
            f'persons; take interval="bootstrap" or leave limits_of out'
        )
    check_level(setting.level)
    check_whole("n_boot", setting.n_boot)
    check_boot_size(setting.n_boot, setting.level)
