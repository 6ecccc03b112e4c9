"""What an estimator tells of itself, so that other rooms ask it and do not know its name."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from hiddenpop._cells import unknown_name
from hiddenpop.errors import HiddenpopError
from hiddenpop.estimators.prepare import regroup_ratios
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.registry import build, is_registered
from hiddenpop.result import Estimate, EstimatorSpec
from hiddenpop.sources import check_table
from hiddenpop.table import CaptureTable, RNGLike

if TYPE_CHECKING:
    from hiddenpop.estimators.resampled import RefitBlock, Resamples

__all__ = [
    "FOR_ALL",
    "NO_MODEL",
    "POSTERIOR",
    "BaseEstimator",
    "Change",
    "Facts",
    "ModelIs",
    "Scenario",
    "as_spec",
    "contract",
    "estimates_below",
    "held_to_no_level",
    "inner_spec",
    "interval_kind",
    "is_bound",
    "model_in_interval",
    "read_facts",
    "settings_of",
]

ModelIs = Literal["given", "chosen", "averaged", "repeated", "unknown"]
Change = tuple[tuple[str, Any], ...]
"""Settings with their values."""

UNKNOWN = "unknown"
FOR_ALL = ("closed", "linked", "in_scope", "operating")
"""What every estimator assumes of a scenario, by the keys of `hiddenpop.synthetic.ASSUMPTIONS`."""

NO_MODEL = "no log-linear model without the interaction of all lists holds"
POSTERIOR = "posterior intervals keep their level on average over the prior only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is true of an estimator as it is set, whatever the table. The defaults claim nothing.

    Attributes
    ----------
    assumes : tuple of str
        What it assumes beside what every estimator does, by the keys of the catalogue of the report.
    model_is : {"given", "chosen", "averaged", "repeated", "unknown"}
        Whether its model is given beforehand, chosen on the table, averaged over, or chosen anew in every resample.
    is_bound : bool
        Whether it is meant as a lower bound.
    bounds_where : tuple of str, or None
        Assumptions of a scenario under which theory makes it a lower bound; None where theory does not.
    other_priors : tuple of changes of settings, or None
        Priors worth trying beside its own. Empty where it has no prior, None where that is not known.
    needs_draws : bool
        Whether estimate and interval need random numbers.
    keeps_number_observed : bool
        Whether its resamples hold as many persons as were observed, so that the variation of their number is left out.
    adds_interval_only : bool
        Whether its number is that of the estimator inside.
    adds_up_strata : bool
        Whether strata are added up before anything else.
    loglinear : bool
        Whether it is about hierarchical log-linear models of the lists, and sees nothing else of a table.
    fits_cells : bool
        Whether its estimate holds the fitted count of every cell.
    ranks_models : bool
        Whether its estimate holds all models, ranked.
    from_cells : bool
        Whether an assumption is laid on draws of the observed cells, so that all its values share these draws.
    takes_censored : bool
        Whether it models counts that are only upper bounds.
    """

    assumes: tuple[str, ...] = (UNKNOWN,)
    model_is: ModelIs = "unknown"
    is_bound: bool = False
    bounds_where: tuple[str, ...] | None = None
    other_priors: tuple[Change, ...] | None = None
    needs_draws: bool = True
    keeps_number_observed: bool = False
    adds_interval_only: bool = False
    adds_up_strata: bool = False
    loglinear: bool = False
    fits_cells: bool = False
    ranks_models: bool = False
    from_cells: bool = False
    takes_censored: bool = False

    def assumed_with(self, *own: str) -> tuple[str, ...]:
        """Name what a wrapper assumes and then what this one does, each once.

        Examples
        --------
        >>> Facts(assumes=("homogeneous", "large_sample")).assumed_with("as_inside", "large_sample")
        ('as_inside', 'large_sample', 'homogeneous')
        """
        return tuple(dict.fromkeys([*own, *self.assumes]))


class Scenario(Protocol):
    """What an estimator asks of a population of known truth; `hiddenpop.synthetic.Scenario` has it."""

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of the lists."""
        ...

    @property
    def model(self) -> str | None:
        """The log-linear model that holds, where one does."""
        ...

    @property
    def assumptions(self) -> frozenset[str]:
        """Names of the assumptions that hold."""
        ...

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the covariates."""
        ...

    def cell_probabilities(self) -> Any:
        """Give the chance of each capture history."""
        ...

    def unmet(self, *needed: str) -> tuple[str, ...]:
        """Say in sentences which of some assumptions do not hold."""
        ...

    def by_stratum(self, *by: str) -> Sequence["Scenario"]:
        """Give a scenario for each stratum, before distortions."""
        ...


class BaseEstimator(ABC):
    """What estimators of this package inherit; one of your own may, to tell more of itself than `fit`.

    A subclass is a frozen, slotted, keyword-only dataclass of settings. Everything here has a cautious default, so that
    only `fit` must be there. A wrapper is an estimator with a setting that holds another estimator.

    Examples
    --------
    >>> from hiddenpop import Bootstrapped, LogLinear
    >>> wrapped = Bootstrapped(base=LogLinear(), n_boot=400)
    >>> wrapped.inner.name, wrapped.facts.model_is
    ('loglinear', 'given')
    """

    __slots__ = ()

    name: ClassVar[str]

    @abstractmethod
    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Estimate the population size behind `table`."""

    @property
    def facts(self) -> Facts:
        """What is true of it as it is set, whatever the table."""
        return Facts()

    @property
    def _itself(self) -> Any:
        return self

    # --- settings, its own and those of what it wraps ---

    @property
    def inner(self) -> Any:
        """The estimator that it wraps, None where it wraps none."""
        place = self._place
        return None if place is None else getattr(self._itself, place)

    @property
    def _place(self) -> str | None:
        """The setting that holds the estimator inside."""
        return next((name for name in settings_of(self._itself) if _fits(getattr(self._itself, name))), None)

    @property
    def innermost(self) -> Any:
        """The estimator inside all wrappers; itself where it wraps none."""
        return self._itself if self.inner is None else contract(self.inner).innermost

    def with_innermost(self, innermost: Any) -> Any:
        """Put another estimator inside the same wrappers."""
        place = self._place
        if place is None:
            return innermost
        return dataclasses.replace(self._itself, **{place: contract(self.inner).with_innermost(innermost)})

    def holder(self, setting: str) -> Any:
        """Give the estimator that has a setting: this one, or the first inside that has it; None where none has."""
        if setting in settings_of(self._itself):
            return self._itself
        return None if self.inner is None else contract(self.inner).holder(setting)

    def with_settings(self, **changes: Any) -> Any:
        """Make a variant, each change made where the setting stands: here or in what it wraps.

        Raises
        ------
        UnknownNameError
            For a setting that none of them has.

        Examples
        --------
        >>> from hiddenpop import Bootstrapped, LogLinear
        >>> Bootstrapped(base=LogLinear(), n_boot=400).with_settings(model="all-pairs").base.model
        'all-pairs'
        """
        known = settings_of(self._itself)
        own = {name: value for name, value in changes.items() if name in known}
        others = {name: value for name, value in changes.items() if name not in known}
        if others:
            place = self._place
            if place is None:
                raise unknown_name(
                    f"setting of {spec_of(self._itself).name}", next(iter(others)), sorted(known)
                )
            own[place] = contract(self.inner).with_settings(**others)
        return dataclasses.replace(self._itself, **own)

    def canonical(self, n_lists: int) -> Any:
        """Set the settings that play no part on so many lists to one value, so that two spellings of a method are one.

        Parameters
        ----------
        n_lists : int
            Lists that caught somebody.

        Returns
        -------
        Estimator
        """
        if self.inner is None:
            return self._itself
        return self.with_innermost(contract(self.innermost).canonical(n_lists))

    # --- what it makes of a table ---

    def prepare(self, table: CaptureTable) -> Any:
        """Refuse a table for what `fit` would refuse it for, without fitting; else give what `fit` works on.

        What only shows in the course of a fit, such as more models about as good as the best than can be listed, or
        draws that do not hold what is asked of them, `fit` alone can tell.

        Parameters
        ----------
        table : CaptureTable

        Returns
        -------
        object
            For the estimator's own use.

        Raises
        ------
        HiddenpopError
            The one that `fit` would raise.
        """
        check_table(table)
        return table

    def strata_of(self, table: CaptureTable) -> tuple[str, ...] | None:
        """Name the covariates by whose levels it gives numbers for a table; None where that is not known."""
        return () if self.facts.adds_up_strata else None

    def without_highest_order(self, table: CaptureTable) -> bool:
        """Tell whether its dark figure is that without an interaction of all lists of a table, but for ``xi``."""
        return False

    def on_groups(self, table: CaptureTable, groups: Mapping[str, str]) -> Any:
        """Make the same method for a table some of whose lists are left out or merged.

        Parameters
        ----------
        table : CaptureTable
            As it is before.
        groups : mapping of str to str
            The list that each list becomes a part of; one that is left out is not in it.

        Returns
        -------
        Estimator
            Fixed odds ratios stay between the groups of their two lists, and go where these are one.
        """
        own, place = self._itself, self._place
        changes: dict[str, Any] = {}
        if "odds_ratios" in settings_of(own):
            changes["odds_ratios"] = regroup_ratios(own.odds_ratios, groups)
        if place is not None:
            changes[place] = contract(self.inner).on_groups(table, groups)
        return dataclasses.replace(own, **changes) if changes else own

    def quicker(self, table: CaptureTable) -> Any:
        """Give an estimator with the same answer on a table and less work; itself where there is none."""
        return self._itself

    # --- many resamples ---

    def refit(self, block: "RefitBlock") -> "Resamples":
        """Estimate from every resample of a block: by a compiled loop where there is one, else one by one."""
        from hiddenpop.estimators.resampled import one_by_one

        return self.quick_refits(block) or one_by_one(block)

    def quick_refits(self, block: "RefitBlock") -> "Resamples | None":
        """Estimate by a compiled loop, which takes counts that are not whole, too; None where there is none."""
        return None

    @property
    def for_real_counts(self) -> Any:
        """An estimator with the same number that has quick refits, itself as a rule; None where there is none."""
        return None

    # --- populations of known truth ---

    def violated(self, scenario: Scenario) -> tuple[str, ...]:
        """Say in sentences what it assumes and does not hold in a scenario; empty where all holds."""
        own = self._violated(scenario)
        if own is None:
            return (f"nothing is known of what {spec_of(self._itself).name} assumes",)
        return scenario.unmet(*FOR_ALL) + own

    def _violated(self, scenario: Scenario) -> tuple[str, ...] | None:
        """Say what does not hold of what it assumes beside what all do; None where that is not known."""
        return None


@dataclass(frozen=True, slots=True)
class _Foreign(BaseEstimator):
    """An estimator that inherits nothing: it fits, and everything else has its cautious default."""

    estimator: Any

    @property
    def _itself(self) -> Any:
        return self.estimator

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        found: Estimate = self.estimator.fit(table, rng=rng)
        return found

    def prepare(self, table: CaptureTable) -> Any:
        """Look into nothing: who knows what it takes."""
        return table


def contract(estimator: Any) -> BaseEstimator:
    """Give an estimator by what it tells of itself; one that inherits nothing tells the cautious defaults.

    Examples
    --------
    >>> from hiddenpop import LogLinear
    >>> contract(LogLinear()).facts.model_is, contract(object()).facts.model_is
    ('given', 'unknown')
    """
    return estimator if isinstance(estimator, BaseEstimator) else _Foreign(estimator)


def settings_of(estimator: Any) -> tuple[str, ...]:
    """Name the settings of an estimator, none where it is not a dataclass."""
    if isinstance(estimator, type) or not dataclasses.is_dataclass(estimator):
        return ()
    return tuple(field.name for field in dataclasses.fields(estimator))


def held_to_no_level(scenario: Scenario, why: str) -> tuple[str, ...]:
    """Say why the coverage of an estimator is reported and never held to its level."""
    has_model = scenario.model is not None or "independent" in scenario.assumptions
    return (*(() if has_model else (NO_MODEL,)), why)


def _fits(value: Any) -> bool:
    return hasattr(value, "fit") and dataclasses.is_dataclass(value) and not isinstance(value, type)


# === what is asked of estimators that are written down ================================================================
# How they came by their model, and whether they bound.


def inner_spec(spec: EstimatorSpec) -> list[tuple[str, EstimatorSpec]]:
    """List the estimators inside an estimator, with the setting that holds each."""
    found = []
    for key, value in spec.settings.items():
        inner = as_spec(value)
        if inner is not None:
            found.append((key, inner))
    return found


def as_spec(value: Any) -> EstimatorSpec | None:
    """Read an estimator that stands in a setting; None for anything else."""
    if isinstance(value, EstimatorSpec):
        return value
    if isinstance(value, Mapping) and set(value) == {"name", "settings"}:
        name, settings = value["name"], value["settings"]
        if isinstance(settings, Mapping) and isinstance(name, str):
            return EstimatorSpec(name, settings)
    return None


def read_facts(spec: EstimatorSpec) -> Facts:
    """Give the facts of an estimator that is written down, as those of a result read from a file.

    A registered one is made again and asked. Of another one nothing is imported, and nothing claimed.

    Examples
    --------
    >>> inside = EstimatorSpec("bootstrapped", {"base": {"name": "selected", "settings": {}}})
    >>> read_facts(inside).model_is, read_facts(EstimatorSpec("somebody:Else", {})).assumes
    ('repeated', ('unknown',))
    """
    return contract(_made(spec)).facts


@dataclass(frozen=True, slots=True)
class _Unknown:
    """Stands where an estimator cannot be made again."""

    name: str

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        raise NotImplementedError


def _made(spec: EstimatorSpec) -> Any:
    if not is_registered(spec.name):
        return _Unknown(str(spec.name))
    inside = {key: _made(inner) for key, inner in inner_spec(spec)}
    try:
        return build(spec.name, {**spec.settings, **inside})
    except HiddenpopError:  # written by a version with other settings
        return _Unknown(spec.name)


def is_bound(spec: EstimatorSpec) -> bool:
    """Tell whether an estimator is meant as a lower bound.

    Examples
    --------
    >>> is_bound(EstimatorSpec("chao", {})), is_bound(EstimatorSpec("loglinear", {}))
    (True, False)
    """
    return read_facts(spec).is_bound


def model_is(spec: EstimatorSpec) -> ModelIs:
    """Say whether the model of an estimator is given, chosen, averaged, or chosen anew in every resample.

    Returns
    -------
    {"given", "chosen", "averaged", "repeated", "unknown"}

    Examples
    --------
    >>> chosen = EstimatorSpec("selected", {})
    >>> by_stratum = EstimatorSpec("stratified", {"base": chosen})
    >>> [model_is(spec) for spec in (chosen, by_stratum, EstimatorSpec("bootstrapped", {"base": by_stratum}))]
    ['chosen', 'chosen', 'repeated']
    """
    return read_facts(spec).model_is


def interval_kind(estimate: Estimate) -> str:
    """Say in a word what an interval holds of the uncertainty about the model.

    Returns
    -------
    {"bound", "posterior", "given", "chosen", "averaged", "repeated", "unknown"}
        The last for an estimator of one's own that does not tell.
    """
    if is_bound(estimate.estimator):
        return "bound"
    if estimate.draws_are == "posterior":
        return "posterior"
    return model_in_interval(estimate)


def model_in_interval(estimate: Estimate) -> ModelIs:
    """Say as `model_is` what an interval knows of the model; without resamples that of the base stands.

    Returns
    -------
    {"given", "chosen", "averaged", "repeated", "unknown"}
    """
    spec = estimate.estimator
    kind = model_is(spec)
    if kind == "repeated" and estimate.draws_are != "bootstrap":
        kind = model_is(next((inner for _, inner in inner_spec(spec)), spec))
    return kind


def estimates_below(estimates: Mapping[str, Estimate]) -> dict[str, list[str]]:
    """Name the estimates below the lower limit of each lower bound, which they disagree with; by label.

    Parameters
    ----------
    estimates : mapping of str to Estimate
        By label.
    """
    bounds = {
        label: e.interval.low
        for label, e in estimates.items()
        if is_bound(e.estimator) and math.isfinite(e.n_hat)
    }
    found = {
        bound: [label for label, e in estimates.items() if label not in bounds and e.n_hat < low]
        for bound, low in bounds.items()
    }
    return {bound: labels for bound, labels in found.items() if labels}
