"""What settings, scenarios and code contain, as one digest: equal content, equal digest, in any process."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Set
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from hiddenpop.errors import SettingError

__all__ = ["content_digest", "source_digest", "versions"]

_ROOMS_BEHIND_A_RESULT = ("kernels", "estimators", "bayes", "synthetic")
_PACKAGES = ("hiddenpop", "numpy", "scipy", "pandas", "numba")


def content_digest(value: Any) -> str:
    """Digest a value made of numbers, text, arrays, collections and dataclasses.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
        64 hexadecimal digits. Sets and mappings count without their order.

    Raises
    ------
    SettingError
        If something in it cannot be told apart from others of its kind.

    Examples
    --------
    >>> content_digest({"a": 1, "b": {2.0, 3.0}}) == content_digest({"b": {3.0, 2.0}, "a": 1})
    True
    >>> content_digest(1) == content_digest(1.0)
    False
    """
    return hashlib.sha256(_text(value).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return {"array": [value.dtype.str, list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]}
    if isinstance(value, FunctionType):
        return {"function": f"{value.__module__}:{value.__qualname__}"}
    return _collection(value)


def _collection(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Set):
        return {"set": sorted(_text(item) for item in value)}
    if isinstance(value, Mapping):
        return {"mapping": sorted([_text(key), _text(item)] for key, item in value.items())}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        content = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": content}
    raise SettingError(
        f"{type(value).__module__}.{type(value).__qualname__} cannot be written down, so that a study could not tell "
        f"its results from others; make it a frozen dataclass of numbers, text, arrays and collections"
    )


@cache
def source_digest() -> str:
    """Digest the code that results depend on: a block computed by other code is not mixed with new ones.

    Examples
    --------
    >>> len(source_digest())
    64
    """
    package = Path(__file__).parents[1]
    paths = [
        *package.glob("*.py"),
        *(p for room in _ROOMS_BEHIND_A_RESULT for p in (package / room).rglob("*.py")),
    ]
    return content_digest({path.relative_to(package).as_posix(): path.read_text("utf-8") for path in paths})


@cache
def versions() -> dict[str, str]:
    """Name the packages that results depend on, with their versions."""
    return {name: version(name) for name in _PACKAGES}
