"""Every estimator by name. A plain dict of ``"module:Class"`` strings, imported at the point of use."""

import dataclasses
import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from hiddenpop.errors import HiddenpopError, SettingError, UnknownNameError

__all__ = [
    "ESTIMATORS",
    "STANDARD_PANEL",
    "build",
    "default_settings",
    "estimator_class",
    "is_registered",
    "made",
    "refuse_seed",
]

ESTIMATORS: dict[str, str] = {
    "loglinear": "hiddenpop.estimators.loglinear:LogLinear",
    "selected": "hiddenpop.estimators.selected:SelectedLogLinear",
    "averaged": "hiddenpop.estimators.averaged:AveragedLogLinear",
    "lincoln_petersen": "hiddenpop.estimators.two_lists:LincolnPetersen",
    "chapman": "hiddenpop.estimators.two_lists:Chapman",
    "chao": "hiddenpop.estimators.lower_bound:ChaoLowerBound",
    "bootstrapped": "hiddenpop.estimators.bootstrapped:Bootstrapped",
    "closed_population": "hiddenpop.estimators.closed_population:ClosedPopulation",
    "covariate_loglinear": "hiddenpop.estimators.covariate_loglinear:CovariateLogLinear",
    "covariate_selected": "hiddenpop.estimators.selected_covariates:SelectedCovariateLogLinear",
    "stratified": "hiddenpop.estimators.stratified:Stratified",
    "pooled": "hiddenpop.bayes.pooled:PooledLogLinear",
    "decomposable": "hiddenpop.bayes.decomposable:DecomposableAveraging",
    "identified": "hiddenpop.bayes.identifying:IdentifiedPosterior",
    "latent_class": "hiddenpop.bayes.latent_class:LatentClass",
    "bayesian_loglinear": "hiddenpop.bayes.loglinear:BayesianLogLinear",
    "bayesian_averaged": "hiddenpop.bayes.averaged:BayesianModelAveraging",
    "thresholded": "hiddenpop.bayes.thresholded:ThresholdedLogLinear",
    "sample_coverage": "hiddenpop.estimators.sample_coverage:SampleCoverage",
}

NOT_TRUSTED = (
    "and to import its module would run whatever is written there; read it, and if you trust it, say so: trust=True "
    "for build, read_plan, run and reproduce, --trust for a command; or give the estimator itself in place of its name"
)

NO_VALUE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a value of another kind than the setting makes Python raise: a number where names should be, say."""

STANDARD_PANEL: dict[str, tuple[str, dict[str, Any]]] = {
    "best BIC, bootstrapped": (
        "bootstrapped",
        {"n_boot": 200, "base": {"name": "selected", "settings": {"max_fits": 5_000}}},
    ),
    "independence": ("loglinear", {"model": "independence"}),
    "best BIC model": ("selected", {"criterion": "bic"}),
    "best AIC model": ("selected", {"criterion": "aic"}),
    "model-averaged": ("averaged", {}),
    "stepwise": ("selected", {"search": "stepwise_p"}),
    "lower bound": ("chao", {"one_sided": True}),
}
"""What is shown side by side when no estimator is named: the interval that repeats the choice of model first.

Each resample may take 5,000 fits, and five lists take some hundred; `compare.standard_panel` says what six and more
may take."""


def estimator_class(name: str, *, trust: bool = False) -> type[Any]:
    """Give the class of a registered name; of another ``module:Class`` path only where it is trusted.

    Parameters
    ----------
    name : str
    trust : bool
        Whether the module of a path that is not registered may be imported. To import a module is to run it, and names
        come from plans and results that somebody else may have written.

    Returns
    -------
    type

    Raises
    ------
    UnknownNameError
        If there is no such estimator, or it is not registered and not trusted.

    Examples
    --------
    >>> estimator_class("chapman").__name__
    'Chapman'
    """
    path = ESTIMATORS[name] if is_registered(name) else str(name)
    module, _, attribute = path.partition(":")
    if not attribute:
        near = difflib.get_close_matches(path, ESTIMATORS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownNameError(f"there is no estimator {name!r}; {hint}known: {', '.join(ESTIMATORS)}")
    if not (trust or is_registered(name)):
        raise UnknownNameError(f"{name!r} is not a registered estimator, {NOT_TRUSTED}")
    try:
        found: Any = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UnknownNameError(f"the estimator {name!r} cannot be imported: {error}") from error
    # A check is written down as an estimator is, and built again from that.
    works = hasattr(found, "fit") or hasattr(found, "run")
    if not (isinstance(found, type) and dataclasses.is_dataclass(found) and works):
        raise UnknownNameError(
            f"{name!r} is not an estimator: it must name a dataclass of settings with a fit"
        )
    kind: type[Any] = found
    return kind


def is_registered(name: object) -> bool:
    """Tell whether a name is that of a registered estimator.

    Examples
    --------
    >>> is_registered("chapman"), is_registered("mymodule:Zelterman")
    (True, False)
    """
    return isinstance(name, str) and name in ESTIMATORS


def default_settings(name: str) -> dict[str, Any]:
    """Give the default settings of a registered estimator, nothing for any other name: nothing is imported for it.

    Examples
    --------
    >>> default_settings("chapman")["level"]
    0.95
    """
    if not is_registered(name):
        return {}
    kind = estimator_class(name)
    return {field.name: _default(field) for field in dataclasses.fields(kind)}


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def build(name: str, settings: Mapping[str, Any], *, trust: bool = False) -> Any:
    """Make an estimator from its name and plain settings.

    Parameters
    ----------
    name : str
    settings : mapping
        As in `EstimatorSpec.settings`; an inner estimator is a mapping with ``name`` and ``settings``.
    trust : bool
        Whether an estimator of your own, ``"mymodule:Zelterman"``, may be imported, here and inside another. Only for
        names that you know: to import a module is to run it.

    Returns
    -------
    Estimator

    Raises
    ------
    UnknownNameError
        If there is no such estimator, or it is not registered and not trusted.
    SettingError
        If there is no such setting, or it has a value it cannot have.

    Examples
    --------
    >>> build("loglinear", {"model": "[12,3]", "level": 0.9}).level
    0.9
    """
    return made(estimator_class(name, trust=trust), name, settings, trust=trust)


def made(kind: type[Any], name: str, settings: Mapping[str, Any], *, trust: bool = False) -> Any:
    """Make a frozen record of settings from plain values; `trust` is for the estimators inside.

    Raises
    ------
    SettingError
        If there is no such setting, or it has a value it cannot have.
    """
    known = [f.name for f in dataclasses.fields(kind)]
    if "seed" not in known:
        refuse_seed(name, settings)
    for setting in settings:
        if setting not in known:
            near = difflib.get_close_matches(setting, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SettingError(f"{name} has no setting {setting!r}; {hint}settings: {', '.join(known)}")
    try:
        result = kind(**{key: _revive(value, trust) for key, value in settings.items()})
        hash(result)
    except HiddenpopError:
        raise
    except NO_VALUE as error:
        given = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        raise SettingError(f"{name} cannot be made with {given}: {error}; correct the setting") from error
    return result


def refuse_seed(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse a seed among the settings: random numbers are no setting of a method.

    Raises
    ------
    SettingError
        With where the seed goes.
    """
    if "seed" in settings:
        raise SettingError(
            f"{name} has no setting 'seed'; give rng={settings['seed']!r:.20} to estimate, compare or fit (--seed on "
            f"the command line, seed = at the top of a plan)"
        )


def _revive(value: Any, trust: bool) -> Any:
    if isinstance(value, Mapping) and set(value) == {"name", "settings"}:
        if not isinstance(value["name"], str) or not isinstance(value["settings"], Mapping):
            raise SettingError(f"{dict(value)!r} must hold the name of an estimator and a table of settings")
        return build(value["name"], value["settings"], trust=trust)
    return tuple(_revive(item, trust) for item in value) if isinstance(value, list) else value
