"""Every estimator by name. A plain dict of ``"module:Class"`` strings, imported at the point of use."""

import dataclasses
import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from hiddenpop.errors import HiddenpopError, SettingError, UnknownNameError

__all__ = ["ESTIMATORS", "STANDARD_PANEL", "build", "default_settings", "estimator_class", "made"]

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

NO_VALUE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a value of another kind than the setting makes Python raise: a number where names should be, say."""

STANDARD_PANEL: dict[str, tuple[str, dict[str, Any]]] = {
    "independence": ("loglinear", {"model": "independence"}),
    "best BIC model": ("selected", {"criterion": "bic"}),
    "best AIC model": ("selected", {"criterion": "aic"}),
    "model-averaged": ("averaged", {}),
    "stepwise": ("selected", {"search": "stepwise_p"}),
    "lower bound": ("chao", {}),
}
"""What `hiddenpop estimate` shows side by side when no estimator is named."""


def estimator_class(name: str) -> type[Any]:
    """Import the class of a registered name, or of a ``module:Class`` path.

    Raises
    ------
    UnknownNameError
        If there is no such estimator.

    Examples
    --------
    >>> estimator_class("chapman").__name__
    'Chapman'
    """
    path = ESTIMATORS.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        near = difflib.get_close_matches(name, ESTIMATORS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownNameError(f"there is no estimator {name!r}; {hint}known: {', '.join(ESTIMATORS)}")
    try:
        found: Any = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UnknownNameError(f"the estimator {name!r} cannot be imported: {error}") from error
    # A check is written down as an estimator is, and built again from that.
    works = hasattr(found, "fit") or hasattr(found, "run")
    if not (isinstance(found, type) and dataclasses.is_dataclass(found) and works):
        raise UnknownNameError(f"{name!r} is no estimator: it must name a dataclass of settings with a fit")
    kind: type[Any] = found
    return kind


def default_settings(name: str) -> dict[str, Any]:
    """Give the default settings of an estimator by name, nothing for one that cannot be found.

    Examples
    --------
    >>> default_settings("chapman")["level"]
    0.95
    """
    try:
        kind = estimator_class(name)
    except UnknownNameError:
        return {}
    return {field.name: _default(field) for field in dataclasses.fields(kind)}


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def build(name: str, settings: Mapping[str, Any]) -> Any:
    """Make an estimator from its name and plain settings.

    Parameters
    ----------
    name : str
    settings : mapping
        As in `EstimatorSpec.settings`; an inner estimator is a mapping with ``name`` and ``settings``.

    Returns
    -------
    Estimator

    Raises
    ------
    UnknownNameError
        If there is no such estimator.
    SettingError
        If there is no such setting, or it has a value it cannot have.

    Examples
    --------
    >>> build("loglinear", {"model": "[12,3]", "level": 0.9}).level
    0.9
    """
    return made(estimator_class(name), name, settings)


def made(kind: type[Any], name: str, settings: Mapping[str, Any]) -> Any:
    """Make a frozen record of settings from plain values.

    Raises
    ------
    SettingError
        If there is no such setting, or it has a value it cannot have.
    """
    known = [f.name for f in dataclasses.fields(kind)]
    for setting in settings:
        if setting not in known:
            near = difflib.get_close_matches(setting, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SettingError(f"{name} has no setting {setting!r}; {hint}settings: {', '.join(known)}")
    try:
        result = kind(**{key: _revive(value) for key, value in settings.items()})
        hash(result)
    except HiddenpopError:
        raise
    except NO_VALUE as error:
        given = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        raise SettingError(f"{name} cannot be made with {given}: {error}; correct the setting") from error
    return result


def _revive(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {"name", "settings"}:
        if not isinstance(value["name"], str) or not isinstance(value["settings"], Mapping):
            raise SettingError(f"{dict(value)!r} must hold the name of an estimator and a table of settings")
        return build(value["name"], value["settings"])
    return tuple(_revive(item) for item in value) if isinstance(value, list) else value
