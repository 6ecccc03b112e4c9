"""What a check needs of an estimator: a setting that it has itself, or that the estimator it wraps has."""

import dataclasses
from typing import Any

from hiddenpop.estimators.protocol import Estimator, spec_of

__all__ = ["has_setting", "lacks", "setting_of", "with_settings"]


def has_setting(estimator: Estimator, name: str) -> bool:
    """Tell whether an estimator, or the one it wraps, has a setting.

    Examples
    --------
    >>> from hiddenpop import Bootstrapped, LogLinear
    >>> has_setting(Bootstrapped(base=LogLinear()), "model"), has_setting(LogLinear(), "n_boot")
    (True, False)
    """
    return _holder(estimator, name) is not None


def setting_of(estimator: Estimator, name: str) -> Any:
    """Give the value of a setting of an estimator or of the one it wraps."""
    return getattr(_holder(estimator, name), name)


def with_settings(estimator: Estimator, **changes: Any) -> Any:
    """Make a variant of an estimator, each change made where the setting stands: in it or in what it wraps.

    Examples
    --------
    >>> from hiddenpop import Bootstrapped, LogLinear
    >>> with_settings(Bootstrapped(base=LogLinear(), n_boot=400), model="all-pairs").base.model
    'all-pairs'
    """
    settings = {f.name for f in dataclasses.fields(estimator)}  # type: ignore[arg-type]
    own = {name: value for name, value in changes.items() if name in settings}
    inner = {name: value for name, value in changes.items() if name not in settings}
    if inner:
        own["base"] = with_settings(getattr(estimator, "base"), **inner)  # noqa: B009
    return dataclasses.replace(estimator, **own)  # type: ignore[type-var]


def lacks(estimator: Estimator, name: str, what: str) -> str:
    """Say that a check cannot apply, as the estimator has no such setting."""
    return f"does not apply: {spec_of(estimator).name} has no setting {name!r}, {what}"


def _holder(estimator: Any, name: str) -> Any:
    """Find the estimator in a chain of wrappers that has a setting, None where none has."""
    while estimator is not None and dataclasses.is_dataclass(estimator):
        if any(f.name == name for f in dataclasses.fields(estimator)):
            return estimator
        estimator = getattr(estimator, "base", None)
    return None
