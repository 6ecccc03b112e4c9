"""From results to JSON: numbers, frames and records as plain values, never a NaN or an Infinity token. And text."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop.model import HierarchicalModel

__all__ = ["NotJsonableError", "steering_text", "to_jsonable", "visible"]

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters besides tab and line feed, marks that turn the direction of text, and halves of characters."""
_NOT_ON_A_LINE = re.compile(rf"[\t\n{_STEERING.pattern[1:]}")


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


def visible(text: str) -> str:
    r"""Write what steers a terminal, breaks a line or turns the direction of text as its escape.

    Examples
    --------
    >>> visible("café"), visible("a\x1b[2J\nb")
    ('café', 'a\\x1b[2J\\nb')
    """
    return _NOT_ON_A_LINE.sub(lambda sign: ascii(sign[0])[1:-1], text)


def steering_text(value: Any) -> str:
    r"""Give the first text in plain values that would steer a terminal; empty where there is none.

    Parameters
    ----------
    value : object
        As JSON gives it: mappings, lists, text, numbers. Line breaks and tabs may be in text.

    Returns
    -------
    str

    Examples
    --------
    >>> steering_text({"a": ["two\nlines", 1]}), steering_text([{"b\x1b[2J": None}])
    ('', 'b\x1b[2J')
    """
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str) and _STEERING.search(item):
            return item
        if isinstance(item, Mapping):
            left += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            left += item
    return ""
