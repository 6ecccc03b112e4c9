"""Checks of settings that name the key and the value at fault."""

import difflib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

from hiddenpop.errors import SettingError, UnknownNameError

__all__ = [
    "check_amount",
    "check_chance",
    "check_date",
    "check_division",
    "check_each",
    "check_keys",
    "check_known",
    "check_length",
    "check_table",
    "known_fields",
]

TOTAL_TOLERANCE = 1e-9
"""Shares written in decimals add up to 1 within the rounding of a float."""


def check_amount(key: str, value: Any, *, above: float = 0.0) -> None:
    """Refuse what is not a finite number of `above` or more."""
    good = not isinstance(value, bool) and isinstance(value, int | float) and above <= value < math.inf
    if not good:
        raise SettingError(f"{key}={value!r} must be a number of at least {above:g}")


def check_chance(key: str, value: Any) -> None:
    """Refuse what is not a number between 0 and 1."""
    good = not isinstance(value, bool) and isinstance(value, int | float) and 0.0 <= value <= 1.0
    if not good:
        raise SettingError(f"{key}={value!r} must be a number between 0 and 1")


def check_each(key: str, values: Any, check: Callable[[str, Any], None]) -> None:
    """Check every member of a table or of a list."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            check(f"{key}.{name}", value)
    elif isinstance(values, Sequence) and not isinstance(values, str):
        for position, value in enumerate(values):
            check(f"{key}[{position}]", value)
    else:
        raise SettingError(f"{key}={values!r} must be a table or a list")


def check_table(key: str, values: Any) -> None:
    """Refuse what is not a table with at least one key."""
    if not isinstance(values, Mapping) or not values:
        raise SettingError(f"{key}={values!r} must be a table with at least one key")


def check_division(key: str, values: Any) -> None:
    """Refuse shares that do not add up to 1."""
    check_each(key, values, check_chance)
    total = math.fsum(values.values() if isinstance(values, Mapping) else values)
    if abs(total - 1.0) > TOTAL_TOLERANCE:
        raise SettingError(f"the shares of {key} add up to {total:.6g}; they must add up to 1")


def check_length(key: str, values: Any, length: int, what: str) -> None:
    """Refuse a list that has not one value for each of a number of things."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != length:
        raise SettingError(f"{key}={values!r} must be a list of {length} values, one for each {what}")


def check_date(key: str, value: Any) -> None:
    """Refuse what is not a day written YYYY-MM-DD."""
    from datetime import date

    try:
        date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{key}={value!r} is not a day; write it as YYYY-MM-DD") from error


def check_known(key: str, name: Any, known: Collection[str]) -> None:
    """Refuse a name that is not among the known ones."""
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(known)}"
        raise UnknownNameError(f"{key} names {name!r}, which is not there; {hint}")


def check_keys(key: str, values: Any, known: Collection[str]) -> None:
    """Refuse a table that has not exactly the known keys."""
    if not isinstance(values, Mapping):
        raise SettingError(f"{key}={values!r} must be a table with the keys {', '.join(known)}")
    for name in values:
        check_known(key, name, known)
    missing = [name for name in known if name not in values]
    if missing:
        raise SettingError(f"{key} has no value for {', '.join(missing)}; add it")


def known_fields(kind: type, values: Any, key: str) -> dict[str, Any]:
    """Give the values of a table that become the fields of a dataclass, none unknown and none missing."""
    from dataclasses import MISSING

    if not isinstance(values, Mapping):
        raise SettingError(f"{key}={values!r} must be a table")
    names = {field.name: field for field in fields(kind)}
    for name in values:
        check_known(key, name, names)
    missing = [n for n, field in names.items() if n not in values and field.default is MISSING]
    if missing:
        raise SettingError(f"{key} has no {', '.join(missing)}; add it")
    return dict(values)
