"""From results to JSON: numbers, frames and records as plain values, never a NaN or an Infinity token."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop.model import HierarchicalModel

__all__ = ["NotJsonableError", "to_jsonable"]


class NotJsonableError(TypeError):
    """A value has no faithful form in JSON."""


def to_jsonable(value: Any) -> Any:
    """Turn a value into what JSON can hold; numbers that are not finite become None.

    Parameters
    ----------
    value : object
        Scalars, strings, mappings, sequences, arrays, frames, models, records.

    Returns
    -------
    object
        Made of dict, list, str, int, float, bool and None.

    Raises
    ------
    NotJsonableError
        For anything else.

    Examples
    --------
    >>> to_jsonable({"n": np.int64(3), "limits": (1.0, float("inf"))})
    {'n': 3, 'limits': [1.0, None]}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, HierarchicalModel):
        return str(value)
    return _container(value)


def _container(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        value = value.to_dict(orient="records")
    elif isinstance(value, pd.Series):
        value = value.to_dict()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [to_jsonable(item) for item in value]
    raise NotJsonableError(f"{type(value).__name__} has no form in JSON")
