"""What an estimator is, and how its settings are checked and written down."""

import dataclasses
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar, Protocol, runtime_checkable

from hiddenpop.errors import SettingError
from hiddenpop.model import HierarchicalModel
from hiddenpop.result import Estimate, EstimatorSpec
from hiddenpop.table import CaptureTable, RNGLike

__all__ = [
    "Estimator",
    "as_number",
    "check_choice",
    "check_exact",
    "check_level",
    "check_order",
    "check_share",
    "check_whole",
    "spec_of",
]

MOST = 10**15
"""More draws, persons or steps than any memory holds; arrays of such lengths fail in ways of their own."""


@runtime_checkable
class Estimator(Protocol):
    """A frozen, keyword-only dataclass of settings with a pure `fit`.

    `fit` gives the same bytes for the same settings, table and `rng`. It raises only for bad input or a table that the
    estimator cannot treat; a statistical failure is an `Estimate` with a status and a reason.
    """

    name: ClassVar[str]

    def fit(self, table: CaptureTable, *, rng: RNGLike = None) -> Estimate:
        """Estimate the population size behind `table`."""
        ...


def spec_of(estimator: Any) -> EstimatorSpec:
    """Write an estimator down: its registered name, else ``module:Class``, and its settings as plain values.

    Examples
    --------
    >>> from hiddenpop.estimators.loglinear import LogLinear
    >>> spec_of(LogLinear(model="[12,3]")).name
    'loglinear'
    """
    kind = type(estimator)
    name = getattr(kind, "name", f"{kind.__module__}:{kind.__qualname__}")
    settings = {f.name: _plain(getattr(estimator, f.name)) for f in dataclasses.fields(estimator)}
    return EstimatorSpec(name, settings)


def _plain(value: Any) -> Any:
    if isinstance(value, HierarchicalModel):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and hasattr(value, "fit"):
        spec = spec_of(value)
        return {"name": spec.name, "settings": dict(spec.settings)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def check_choice(setting: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of the choices."""
    if value not in choices:
        raise SettingError(f"{setting}={value!r} is not one of {', '.join(map(repr, choices))}")


def check_level(level: float) -> None:
    """Refuse a confidence level that is not between 0 and 1."""
    number = as_number(level)
    if not 0.0 < number < 1.0:
        raise SettingError(f"level={level!r} must lie between 0 and 1, e.g. 0.95")


def check_share(setting: str, value: float) -> None:
    """Refuse a value that is not between 0 and 1, the ends included."""
    if not 0.0 <= as_number(value) <= 1.0:
        raise SettingError(f"{setting}={value!r} must be a number between 0 and 1")


def check_whole(setting: str, value: int, *, least: int = 1, most: float = MOST) -> None:
    """Refuse a value that is not a whole number of at least `least`, or one that no computer can count to."""
    number = as_number(value)
    if not least <= number < math.inf or number != int(number):
        raise SettingError(f"{setting}={value!r} must be a whole number of at least {least}")
    if number > most:
        raise SettingError(f"{setting}={value!r:.40} is too large; give {most:,.0f} at most")


def check_exact(search: str, count: str) -> None:
    """Refuse the exact and the stochastic search together with a penalty that counts only what the data determine."""
    if search in ("exact", "mc3") and count != "all":
        raise SettingError(
            f'search="{search}" bounds the penalty by every nominal parameter; leave count="all", or take '
            f'search="exhaustive"'
        )


def check_order(max_order: int | None) -> None:
    """Refuse an order that is not a whole number of at least 1; None leaves it open."""
    if max_order is not None:
        check_whole("max_order", max_order)


def as_number(value: Any) -> float:
    """Give the value as a number, nan where it is none, infinity where it is too large for one."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    number: Any = value
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
