"""Results become plain JSON values, or an error; never a token that JSON does not have."""

import json
import math
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiddenpop import HierarchicalModel
from hiddenpop.serial import NotJsonableError, to_jsonable


@dataclass(frozen=True, slots=True)
class Record:
    n: float
    parts: tuple[int, ...]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (np.bool_(True), True),
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (math.nan, None),
        (math.inf, None),
        (np.float64(-math.inf), None),
        ("text", "text"),
        (np.str_("text"), "text"),
        ((1, 2.0), [1, 2.0]),
        (np.array([[1.0, math.nan]]), [[1.0, None]]),
        (np.array([True, False]), [True, False]),
        (np.array(["ok"], dtype="<U4"), ["ok"]),
        ({1: {"a": math.inf}}, {"1": {"a": None}}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (pd.Series({"x": 1, "y": 2}), {"x": 1, "y": 2}),
        (Record(math.inf, (1, 2)), {"n": None, "parts": [1, 2]}),
        (HierarchicalModel.parse("[12,3]", n_lists=3), "[12,3]"),
    ],
)
def test_a_value_has_one_plain_form(value, expected):
    plain = to_jsonable(value)
    assert plain == expected
    assert type(plain) is type(expected)


def test_a_frame_becomes_one_record_a_row():
    frame = pd.DataFrame({"model": ["[1,2]", "[12]"], "n_hat": [10.0, math.inf], "order": np.array([1, 2])})
    assert to_jsonable(frame) == [
        {"model": "[1,2]", "n_hat": 10.0, "order": 1},
        {"model": "[12]", "n_hat": None, "order": 2},
    ]


def test_missing_values_of_pandas_are_null():
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "region": ["north", None]})
    assert json.loads(json.dumps(to_jsonable(frame), allow_nan=False)) == [
        {"n": 1, "region": "north"},
        {"n": None, "region": None},
    ]


@pytest.mark.parametrize("value", [object(), {1, 2}, 1 + 2j, b"bytes", Record, lambda: None])
def test_what_has_no_faithful_form_is_an_error(value):
    with pytest.raises(NotJsonableError, match="has no form in JSON"):
        to_jsonable(value)


def test_the_error_is_found_however_deep():
    with pytest.raises(NotJsonableError, match="complex has no form in JSON"):
        to_jsonable({"a": [{"b": (1 + 2j,)}]})


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(nested)
def test_anything_plain_survives_strict_json_and_is_a_fixed_point(value):
    plain = to_jsonable(value)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert to_jsonable(plain) == plain
