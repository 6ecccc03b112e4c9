"""From results to JSON and back: numbers, frames and settings as plain values, never a NaN or an Infinity token."""

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
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    if isinstance(value, HierarchicalModel):
        return str(value)
    if isinstance(value, pd.DataFrame):
        return [to_jsonable(row) for row in value.to_dict(orient="records")]
    if isinstance(value, pd.Series):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [to_jsonable(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    raise NotJsonableError(f"{type(value).__name__} has no form in JSON")
