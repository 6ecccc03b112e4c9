"""Paths of modules that have moved: they answer for one release, with a warning that names the new path."""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["PATHS", "moved"]

PATHS: dict[str, str] = {}
"""The version at which a path goes, by path; of those that have been imported."""


def moved(old: str, new: str, *, until: str, **names: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module whose names stand in another one.

    Parameters
    ----------
    old, new : str
        Modules, with the package in front.
    until : str
        The version at which the old path goes.
    **names
        Names that are others in the new module, by the old name.

    Returns
    -------
    callable

    Examples
    --------
    >>> get = moved("hiddenpop.counts", "hiddenpop.histories", until="0.2.0")
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     encode = get("encode")
    >>> print(caught[0].message)
    hiddenpop.counts.encode is hiddenpop.histories.encode now; the old path goes with version 0.2.0
    """
    PATHS[old] = until

    def get(name: str) -> Any:
        place = names.get(name, name)
        if name.startswith("__") or not hasattr(module := importlib.import_module(new), place):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        text = f"{old}.{name} is {new}.{place} now; the old path goes with version {until}"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        return getattr(module, place)

    return get
