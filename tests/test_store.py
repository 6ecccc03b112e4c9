"""Finished work comes back as it was, and a file of it runs nothing."""

import dataclasses
import datetime
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.contract.cases import NAMES, SAMPLED, label, make, variants

import hiddenpop as hp
from hiddenpop.errors import HiddenpopWarning
from hiddenpop.sensitivity import standard
from hiddenpop.store import CannotBeKeptError, read_finished, write_finished

KEY = b"k" * 32


def kept(result: Any, folder: Path) -> Any:
    write_finished(folder / "a.step", result, KEY)
    [found] = read_finished(folder / "a.step", KEY)
    return found


def assert_same(left: Any, right: Any) -> None:
    """Compare by type and content, inside records and containers too."""
    assert type(left) is type(right)
    if isinstance(left, pd.DataFrame):
        pd.testing.assert_frame_equal(left, right, check_exact=True, check_column_type=True)
    elif isinstance(left, pd.Series):
        pd.testing.assert_series_equal(left, right, check_exact=True)
    elif isinstance(left, np.ndarray) and not left.dtype.hasobject:
        assert (left.dtype, left.shape) == (right.dtype, right.shape)
        assert left.tobytes() == right.tobytes()
    elif type(left).__name__ == "InferenceData":
        assert left.groups() == right.groups()
        for name in left.groups():
            assert left[name].identical(right[name])
    elif isinstance(left, Mapping):
        assert list(left) == list(right)
        for name in left:
            assert_same(left[name], right[name])
    elif isinstance(left, list | tuple | np.ndarray):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    elif dataclasses.is_dataclass(left):
        for field in dataclasses.fields(left):
            assert_same(getattr(left, field.name), getattr(right, field.name))
    else:
        assert left == right or (left != left and right != right)  # noqa: PLR0124


FRAMES = {
    "numbers": pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan], "c": [True, False]}),
    "mixed": pd.DataFrame({"n": pd.Series(["<10", 12.5, None, 3], dtype=object)}, index=[3, 3, 1, 0]),
    "text": pd.DataFrame({"level": ["x", None]}),
    "no text": pd.DataFrame({"level": pd.array(["x", None], dtype="string")}),
    "whole": pd.DataFrame(
        {"n": pd.array([1, None], dtype="Int64"), "t": pd.array([True, None], dtype="boolean")}
    ),
    "levels": pd.DataFrame({"sex": pd.Categorical(["m", None], categories=["w", "m"], ordered=True)}),
    "days": pd.DataFrame(
        {"day": pd.to_datetime(["2020-01-02", None])}, index=pd.Index(["p", "q"], name="who")
    ),
    "numbered": pd.DataFrame({7: [1], 8: [2]}).rename_axis(columns="list"),
    "nested": pd.DataFrame(
        {"n": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["level", None])
    ),
    "empty": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": np.zeros(0), "b": pd.Series([], dtype=object)}),
    "two of a name": pd.DataFrame([[1, "x"]], columns=["a", "a"]),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    frame = FRAMES[name]
    assert_same(kept(frame, tmp_path), frame)
    for place in range(frame.shape[1]):
        assert_same(kept(frame.iloc[:, place], tmp_path), frame.iloc[:, place])


@pytest.mark.parametrize(
    "value",
    [
        {1: "a", None: (2, [3.5, float("inf")])},
        {(1, 2): {"x"}, "y": frozenset({3, "z"})},
        np.array([[None, "x"], [(1,), 2.5]], dtype=object),
        datetime.date(2024, 2, 29),
        np.array(["2024-02-29"], dtype="datetime64[D]"),
        "\ud800 half a character",
    ],
    ids=lambda value: type(value).__name__,  # a set has no order to name it by
)
def test_a_value_comes_back_as_it_was(value: Any, tmp_path: Path) -> None:
    assert_same(kept(value, tmp_path), value)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SAMPLED])
def test_an_estimate_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    for settings in variants(name)[:3]:
        case = (name, tuple(settings.items()))
        table = hp.datasets.load("kosovo")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HiddenpopWarning)
            estimate = make(case, table).fit(table, rng=1)
        assert_same(kept(estimate, tmp_path), estimate), label(case)


def test_the_results_of_checks_come_back_as_they_were(tmp_path: Path) -> None:
    table = hp.datasets.load("kosovo")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        found = standard(table, hp.LogLinear(model="[12,3,4]"), claim="more than 60", rng=1)
    assert len(found.results) > 5
    for result in found.results:
        assert_same(kept(result, tmp_path), result)


def test_what_has_no_plain_form_is_not_kept(tmp_path: Path) -> None:
    for value in (
        lambda: 1,
        b"bytes",
        object(),
        pd.DataFrame({"a": [object()]}),
        pd.Series([1, 2], dtype="Sparse[int]"),
    ):
        with pytest.raises(CannotBeKeptError, match="cannot be stored"):
            write_finished(tmp_path / "a.step", value, KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_or_renamed_file_or_another_key_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.step"
    for key in (b"", KEY):
        write_finished(path, {"n": np.arange(9)}, key)
        content = path.read_bytes()
        for place in range(0, len(content), 7):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            assert list(read_finished(path, key)) == []
        path.write_bytes(content[:-1])
        assert list(read_finished(path, key)) == []
        (tmp_path / "b.step").write_bytes(content)
        assert list(read_finished(tmp_path / "b.step", key)) == []
        path.write_bytes(content)
        assert list(read_finished(path, b"another")) == []
        assert len(list(read_finished(path, key))) == 1
