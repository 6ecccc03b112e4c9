"""What a check needs of an estimator: a setting that it has itself, or that the estimator it wraps has."""

from typing import Any

from hiddenpop.estimators.base import contract
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
    return contract(estimator).holder(name) is not None


def setting_of(estimator: Estimator, name: str) -> Any:
    """Give the value of a setting of an estimator or of the one it wraps."""
    return getattr(contract(estimator).holder(name), name)


def with_settings(estimator: Estimator, **changes: Any) -> Any:
    """Make a variant of an estimator, each change made where the setting stands: in it or in what it wraps."""
    return contract(estimator).with_settings(**changes)


def lacks(estimator: Estimator, name: str, what: str) -> str:
    """Say that a check cannot apply, as the estimator has no such setting."""
    return f"does not apply: {spec_of(estimator).name} has no setting {name!r}, {what}"
