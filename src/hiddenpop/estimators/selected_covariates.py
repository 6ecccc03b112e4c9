"""`SelectedCovariateLogLinear`: the model of lists and covariates that a stepwise search chooses."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_doors
from hiddenpop._typing import Bools, Floats
from hiddenpop.errors import ModelError
from hiddenpop.estimators.base import BaseEstimator, Facts, Scenario, held_to_no_level
from hiddenpop.estimators.covariate_design import CovariateDesign, ModelCells, covariate_design, model_cells
from hiddenpop.estimators.covariate_formula import CovariateModel, joint_coding, model_of_table
from hiddenpop.estimators.covariate_loglinear import check_covariate_settings, covariates_of
from hiddenpop.estimators.covariate_outcome import CovariateInterval, LimitsOf, estimate_of_covariate_model
from hiddenpop.estimators.outcome import CRITERIA, Criterion, criteria_of
from hiddenpop.estimators.protocol import check_choice, spec_of
from hiddenpop.estimators.selected import NAMED_MODELS, RIVAL_DISTANCE, RIVAL_RATIO
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.poisson.composite_link import CompositeFit
from hiddenpop.kernels.poisson.dense import one_thread
from hiddenpop.kernels.poisson.hidden_cells import HiddenFit, HiddenRefits, refit_hidden
from hiddenpop.kernels.poisson.model_fit import NUMBER_BY_STATUS, saturated_constant
from hiddenpop.kernels.search.stepwise import TIE, SearchSpace, Step, stepwise_path
from hiddenpop.result import Diagnostic, Estimate
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["SelectedCovariateLogLinear"]

LATER_PENALTIES = (2.0, 1.0)
"""After BIC's penalty AIC's, and then one that goes a little beyond AIC's best, so that the best lies on the path."""

MAIN_EFFECTS = "main-effects"

Terms = tuple[int, ...]


@front_doors("__init__", "fit")
@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedCovariateLogLinear(BaseEstimator):
    """Size of a closed population under the model of lists and covariates that a stepwise search chooses.

    Parameters
    ----------
    minimal : str
        Formula of the model the search starts from, all main effects in it; ``"main-effects"`` by default.
    maximal : str
        Formula of the largest model; ``"all-pairs"`` by default. Covariates that it leaves out are added up.
    criterion : {"bic", "aic", "aicc"}
        Chooses among the models on the path. BIC's penalty uses the number of persons observed.
    coding, levels, combinations, structural_zeros
        As for `CovariateLogLinear`.
    interval : {"bootstrap", "lognormal"}
        For the chosen model, taken as known.
    limits_of : {"persons", "expected"}
        As for `CovariateLogLinear`.
    n_boot : int
        Number of replicates.
    level : float
        Confidence level.

    Raises
    ------
    SettingError
        For a setting it cannot have.

    Notes
    -----
    A step adds or drops the term that lowers minus twice the log-likelihood plus a penalty a parameter most, with
    ``log n`` as the penalty, until no step lowers it. From there terms are added with the penalty 2, and then 1. The
    model chosen is the one of the path with the lowest criterion among those with a finite dark figure: a path may
    well end in models without one, and they stay in ``details["path"]`` with their status.

    With lists that do not operate everywhere every candidate is fitted, which takes longer.

    A search that moves one term at a time can miss the best model, and the interval takes the chosen model as known,
    so it is too short.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> births = hp.datasets.load("spina_bifida")
    >>> estimate = SelectedCovariateLogLinear(interval="lognormal").fit(births)
    >>> estimate.details["model"], round(estimate.n_hat, 1)
    ('S1 + S2*S3 + eth', 724.1)
    >>> estimate.details["path"][["term", "bic"]].round(1).to_dict("list")
    {'term': ['', '+ S2*S3', '+ S1*S2', '+ S1*eth'], 'bic': [173.7, 125.6, 127.7, 134.6]}
    """

    name: ClassVar[str] = "covariate_selected"

    minimal: str = MAIN_EFFECTS
    maximal: str = "all-pairs"
    criterion: Criterion = "bic"
    coding: Mapping[str, Any] | Sequence[tuple[str, Any]] = ()
    levels: Mapping[str, Sequence[str]] | Sequence[tuple[str, Sequence[str]]] = ()
    combinations: Literal["crossed", "observed"] = "crossed"
    structural_zeros: str | Sequence[str] = ()
    interval: CovariateInterval = "bootstrap"
    limits_of: LimitsOf = "persons"
    n_boot: int = 1000
    level: float = 0.95

    def __post_init__(self) -> None:
        for setting in ("minimal", "maximal"):
            formula = getattr(self, setting)
            if not isinstance(formula, str):
                raise ModelError(f"{setting}={formula!r} is not text such as 'police*shelter + year'")
            object.__setattr__(self, setting, formula.strip())
        check_choice("criterion", self.criterion, CRITERIA)
        check_covariate_settings(self)

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Search for a model and estimate the population size under it, in total and by stratum.

        Parameters
        ----------
        table : CaptureTable
        rng : int, Generator or None
            For the bootstrap.

        Returns
        -------
        Estimate
            ``details["path"]`` has a row for each model on the way, with deviance, criteria, N and status.

        Raises
        ------
        ModelError
            If a formula cannot be read, is not hierarchical, leaves a list out, or the minimal model is not inside the
            maximal one with all its main effects.
        UnknownNameError
            For a list, covariate or level that is not there.
        CapabilityError
            If the table has gaps in coverage by a covariate that the model leaves out, censored cells, fewer than two
            lists that caught somebody, or the maximal model more cells and columns than can be laid out.
        TableError
            For persons in a structural zero.

        Warns
        -----
        EmptyListWarning, CollapsedStrataWarning
        """
        design, minimal, maximal = self.prepare(table)
        with one_thread():
            path = _search(design, minimal, maximal)
        chosen, may_win = path.choice(self.criterion)
        cells = model_cells(design, path.models[chosen].terms)
        return estimate_of_covariate_model(
            spec_of(self),
            table,
            design,
            path.models[chosen],
            cells,
            cells.fit(design.counts),
            level=self.level,
            interval=self.interval,
            limits_of=self.limits_of,
            n_boot=self.n_boot,
            rng=rng,
            known="chosen model taken as known",
            diagnostics=_remarks(path, self.criterion, chosen, may_win),
            extra={
                "criterion": self.criterion,
                "minimal": path.models[0].formula(),
                "maximal": maximal.formula(),
                "path": path.frame(),
                "chosen": chosen,
            },
        )

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts(
            assumes=("one_of_formulas", "covariates_known", "no_highest_order", "choice_as_known"),
            model_is="chosen",
            other_priors=(),
            needs_draws=self.interval == "bootstrap",
        )

    def prepare(self, table: CaptureTable) -> tuple[CovariateDesign, CovariateModel, CovariateModel]:
        """Lay out strata and cells, and read the smallest and the largest model on them."""
        check_table(table)
        maximal = model_of_table(self.maximal, table)
        minimal = self._minimal(maximal, table)
        design = covariate_design(
            table,
            covariates=maximal.covariates,
            coding=joint_coding(self.coding, maximal, minimal),
            levels=self.levels,  # type: ignore[arg-type]  # in one form since __post_init__
            combinations=self.combinations,
            structural_zeros=tuple(self.structural_zeros),
            estimator=self.name,
        )
        largest = maximal.onto(design.factors)
        if not design.sometimes_absent:
            design.refuse_size(largest.terms)
        return design, minimal.onto(design.factors), largest

    def strata_of(self, table: CaptureTable) -> tuple[str, ...] | None:
        """Name the covariates of the largest model; None where it cannot be read for the table."""
        return covariates_of(self.maximal, table)

    def _violated(self, scenario: Scenario) -> tuple[str, ...]:
        return held_to_no_level(
            scenario, "the interval takes a model that was chosen on the same data as known"
        )

    def _minimal(self, maximal: CovariateModel, table: CaptureTable) -> CovariateModel:
        """Read the minimal model; its main effects are those of the maximal one."""
        if self.minimal.lower().replace("_", "-") == MAIN_EFFECTS:
            mains = tuple(1 << i for i in range(len(maximal.factors)))
            return CovariateModel(factors=maximal.factors, n_lists=maximal.n_lists, terms=mains)
        minimal = model_of_table(self.minimal, table)
        absent = [name for name in maximal.factors if name not in minimal.factors]
        if absent:
            raise ModelError(
                f"minimal={self.minimal!r} leaves out {', '.join(absent)}, which the maximal model has; "
                f"add + {' + '.join(absent)}, or take it out of maximal"
            )
        outside = [minimal.label(t) for t in minimal.terms if not _holds(maximal, minimal, t)]
        if outside:
            raise ModelError(
                f"minimal={self.minimal!r} has {', '.join(outside)}, which maximal={self.maximal!r} has not; "
                f"add + {' + '.join(outside)} to maximal"
            )
        return minimal


def _holds(maximal: CovariateModel, minimal: CovariateModel, term: int) -> bool:
    """Whether the maximal model has a term of the minimal one."""
    names = [name for i, name in enumerate(minimal.factors) if term >> i & 1]
    if not set(names) <= set(maximal.factors):
        return False
    return sum(1 << maximal.factors.index(name) for name in names) in maximal.terms


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """The models of a search, fitted and judged."""

    steps: tuple[Step, ...]
    models: tuple[CovariateModel, ...]
    deviance: Floats
    n_hidden: Floats
    status: tuple[str, ...]
    criteria: dict[str, Floats]
    n_observed: int
    n_cells: int

    def may_win(self, criterion: str) -> Bools:
        """Models with a finite dark figure and a finite criterion."""
        finite = [word in ("ok", "boundary") for word in self.status]
        return np.array(finite) & np.isfinite(self.criteria[criterion])

    def choice(self, criterion: str) -> tuple[int, Bools]:
        """Place of the model with the lowest criterion among those that may win, of all where none may."""
        allowed = self.may_win(criterion)
        values = self.criteria[criterion]
        return int(np.argmin(np.where(allowed, values, np.inf) if allowed.any() else values)), allowed

    def label(self, place: int) -> str:
        """Write how a model came about."""
        step, model = self.steps[place], self.models[place]
        return f"{step.change} {model.label(step.term)}".strip() if step.change else ""

    def frame(self) -> pd.DataFrame:
        parameters = np.array([step.n_parameters for step in self.steps])
        return pd.DataFrame(
            {
                "step": np.arange(len(self.steps)),
                "term": [self.label(place) for place in range(len(self.steps))],
                "n_parameters": parameters,
                "df": self.n_cells - parameters,
                "deviance": self.deviance,
                **{name: self.criteria[name] for name in ("aic", "aicc", "bic")},
                "n_hat": self.n_observed + self.n_hidden,
                "status": list(self.status),
                "model": [model.formula() for model in self.models],
            }
        )


def _search(design: CovariateDesign, minimal: CovariateModel, maximal: CovariateModel) -> _Path:
    """Walk from the minimal model, fit every model on the way to full precision, and judge it."""
    penalties = [math.log(design.n_observed), *LATER_PENALTIES]
    if design.sometimes_absent:
        search = GapSearch(design, frozenset(minimal.terms), maximal.terms)
        steps = tuple(search.path(penalties))
        fits = [search.fitted(step.included).outcome() for step in steps]
    else:
        columns, hidden, term_of = design.columns(maximal.terms)
        space = SearchSpace(columns, term_of, maximal.terms, frozenset(minimal.terms), design.counts)
        steps = tuple(stepwise_path(space, penalties))
        fits = [_refit(columns, hidden, design.counts, step) for step in steps]
    models = tuple(
        CovariateModel(
            factors=maximal.factors, n_lists=maximal.n_lists, terms=step.included, coding=maximal.coding
        )
        for step in steps
    )
    deviance = np.array([fit.deviances[0] for fit in fits])
    status = tuple(str(fit.status[0]) for fit in fits)
    n_hidden = [
        NUMBER_BY_STATUS.get(word, float(fit.hidden_means.sum()))
        for word, fit in zip(status, fits, strict=True)
    ]
    criteria = criteria_of(
        deviance + saturated_constant(np.insert(design.counts, 0, 0.0)),
        [step.n_parameters for step in steps],
        design.n_observed,
    )
    return _Path(
        steps, models, deviance, np.array(n_hidden), status, criteria, design.n_observed, len(design.counts)
    )


def _refit(columns: Floats, hidden: Floats, counts: Floats, step: Step) -> HiddenRefits:
    """Fit a model of the path to full precision."""
    here = step.columns
    return refit_hidden(columns[:, here], hidden[:, here], counts[None], start=step.coefficients)


def _remarks(path: _Path, criterion: str, chosen: int, may_win: Bools) -> tuple[Diagnostic, ...]:
    values, word = path.criteria[criterion], criterion.upper()
    found = []
    without = [place for place, status in enumerate(path.status) if status not in ("ok", "boundary")]
    if without:
        message = f"{len(without)} of the {len(path.steps)} models on the path have no finite N"
        found.append(Diagnostic("path_without_answer", "info", message, len(without)))
    if not may_win.any():
        message = f"no model on the path has a finite N; this is the one with the lowest {word}"
        return (*found, Diagnostic("no_model_with_answer", "warning", message))
    better = [place for place in np.argsort(values, kind="stable") if values[place] < values[chosen]]
    if better:
        named = ", ".join(
            f"step {place} ({path.status[place]}, {values[chosen] - values[place]:.2f} lower)"
            for place in better[:NAMED_MODELS]
        )
        message = f"{word} prefers models without an admissible answer, which were passed over: {named}"
        found.append(Diagnostic("better_models_without_answer", "warning", message, len(better)))
    return (*found, *_rivals(path, values, may_win, word))


def _rivals(path: _Path, values: Floats, may_win: Bools, word: str) -> list[Diagnostic]:
    """Say when models about as good give very different answers."""
    near = may_win & (values <= values[may_win].min() + RIVAL_DISTANCE)
    hidden = path.n_hidden[near]
    if hidden.max() < RIVAL_RATIO * hidden.min() or hidden.max() == 0.0:
        return []
    message = (
        f"{int(near.sum())} models on the path within {RIVAL_DISTANCE:g} units of the best {word} give N from {{0}} to "
        f"{{1}}: the choice among them decides the answer"
    )
    ratio = float(hidden.max() / hidden.min()) if hidden.min() > 0.0 else math.inf
    sizes = (float(path.n_observed + hidden.min()), float(path.n_observed + hidden.max()))
    return [Diagnostic("rivals_disagree", "warning", message, ratio, sizes)]


# === stepwise search on tables with gaps in coverage ==================================================================
# Every candidate is fitted, since what is added up depends on it.


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A model of the search with its fit.

    Attributes
    ----------
    terms : tuple of int
    cells : ModelCells
    fit : HiddenFit or CompositeFit
    n_parameters : int
    """

    terms: Terms
    cells: ModelCells
    fit: HiddenFit | CompositeFit
    n_parameters: int

    def value(self, penalty: float) -> float:
        """Give the deviance and a penalty a parameter."""
        return self.fit.deviance + penalty * self.n_parameters

    def outcome(self) -> HiddenRefits:
        """Give the fit as that of one table among many."""
        status = self.fit.status if self.fit.converged else "not_converged"
        return HiddenRefits(
            self.fit.hidden_means[None], np.array([self.fit.deviance]), np.array([status], dtype="<U14")
        )


@dataclass(frozen=True, slots=True, eq=False)
class GapSearch:
    """Follows the best step until none lowers the criterion, as `hiddenpop.kernels.search.stepwise` does.

    Attributes
    ----------
    design : CovariateDesign
    minimal : frozenset of int
        Terms that stay.
    maximal : tuple of int
        All terms, in the order in which ties are decided.
    known : dict
        Models already fitted.
    """

    design: CovariateDesign
    minimal: frozenset[int]
    maximal: Terms
    known: dict[Terms, FittedModel] = field(default_factory=dict)

    def path(self, penalties: Sequence[float]) -> list[Step]:
        """Walk from the minimal model: under the first penalty terms are added and dropped, then only added."""
        model = self.fitted(tuple(term for term in self.maximal if term in self.minimal))
        steps = [_step(model, "", 0, 0.0, 1)]
        for stage, penalty in enumerate(penalties):
            while (found := self._best(model, penalty, may_drop=stage == 0)) is not None:
                term, model, tried = found
                change = "+" if term in model.terms else "-"
                steps.append(_step(model, change, term, penalty, tried))
        return steps

    def fitted(self, terms: Terms) -> FittedModel:
        """Fit a model, once."""
        if terms not in self.known:
            cells = model_cells(self.design, terms)
            fit = cells.fit(self.design.counts)
            self.known[terms] = FittedModel(terms, cells, fit, cells.n_parameters(fit))
        return self.known[terms]

    def _best(
        self, model: FittedModel, penalty: float, *, may_drop: bool
    ) -> tuple[int, FittedModel, int] | None:
        """Find the best model one term away, if it lowers the criterion; the first one of a tie."""
        best, tried = None, 0
        lowest = model.value(penalty) - 2.0 * TIE
        for term in self._moves(set(model.terms), may_drop=may_drop):
            inside = set(model.terms) ^ {term}
            candidate = self.fitted(tuple(t for t in self.maximal if t in inside))
            tried += 1
            if candidate.n_parameters != model.n_parameters and candidate.value(penalty) < lowest:
                best, lowest = (term, candidate), candidate.value(penalty) - TIE
        return None if best is None else (*best, tried)

    def _moves(self, inside: set[int], *, may_drop: bool) -> Iterator[int]:
        """Yield terms outside the minimal model that are part of no other, and terms whose parts are all in."""
        for term in self.maximal if may_drop else ():
            held = any(other != term and other & term == term for other in inside)
            if term in inside and term not in self.minimal and not held:
                yield term
        for term in self.maximal:
            parts = {term & ~(1 << i) for i in bit_positions(term)} - {0}
            if term not in inside and parts <= inside:
                yield term


def _step(model: FittedModel, change: str, term: int, penalty: float, n_fitted: int) -> Step:
    columns = np.arange(len(model.fit.coefficients))
    return Step(
        change,
        term,
        model.terms,
        model.fit.deviance,
        model.n_parameters,
        penalty,
        columns,
        model.fit.coefficients,
        n_fitted,
    )
