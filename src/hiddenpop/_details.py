"""The details of an estimate: read-only, and what is long to make is made when somebody reads it."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["Deferred", "read_only", "with_best_models"]

MOST_WRITTEN = 100
"""Models of a selection that a file holds beside other estimates; a file of one estimate has them all."""


class Deferred:
    """A value that is made when it is read for the first time, and kept.

    Parameters
    ----------
    make : callable
        Gives the value; called once, and the same whenever that is.

    Examples
    --------
    >>> details = read_only({"rows": Deferred(lambda: [1, 2, 3])})
    >>> details["rows"]
    [1, 2, 3]
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make: Callable[[], Any] | None = make
        self._made: Any = None

    def value(self) -> Any:
        """Give the value."""
        if self._make is not None:
            self._made = self._make()
            self._make = None
        return self._made


class _Details(Mapping[str, Any]):
    """A mapping whose deferred values are made when they are read; ``|`` and `copy` leave them deferred."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values: dict[str, Any] = dict(values._values if isinstance(values, _Details) else values)

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        return value.value() if isinstance(value, Deferred) else value

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __or__(self, others: Mapping[str, Any]) -> "_Details":
        return _Details({**self._values, **_Details(others)._values})

    def __repr__(self) -> str:
        return repr(dict(self))

    def copy(self) -> "_Details":
        """Give a mapping of its own with the same values."""
        return _Details(self)


def read_only(details: Mapping[str, Any]) -> MappingProxyType[str, Any]:
    """Give details that cannot be changed; those of another estimate keep what they have not made yet."""
    own = details.copy() if isinstance(details, MappingProxyType) else details
    return MappingProxyType(_Details(own))


def with_best_models(written: dict[str, Any]) -> dict[str, Any]:
    """Leave of a long table of models in an estimate written out only the best."""
    models = written["details"].get("selection")
    if isinstance(models, list):
        written["details"]["selection"] = models[:MOST_WRITTEN]
    return written
