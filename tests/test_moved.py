"""Paths that have moved answer for one release, and no longer."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import pytest

import hiddenpop
from hiddenpop import _moved

PACKAGE = Path(hiddenpop.__file__).parent


def old_paths() -> dict[str, str]:
    """Import every module that answers for another one."""
    files = [path for path in PACKAGE.rglob("*.py") if "__getattr__ = moved(" in path.read_text("utf-8")]
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in files]
    return {name: _moved.PATHS[import_module(name).__name__] for name in names}


def due(paths: Mapping[str, str], version: str) -> set[str]:
    def numbers(text: str) -> tuple[int, ...]:
        return tuple(map(int, text.split(".")))

    return {path for path, until in paths.items() if numbers(until) <= numbers(version)}


def test_no_old_path_is_there_at_its_version() -> None:
    assert due(old_paths(), hiddenpop.__version__) == set()


def test_an_old_path_at_its_version_is_seen() -> None:
    assert due({"old": "0.2.0", "older": "0.10.0"}, "0.9.1") == {"old"}


def test_what_is_in_neither_module_is_an_attribute_error() -> None:
    get = _moved.moved("hiddenpop.counts", "hiddenpop.histories", until="9.0.0")
    with pytest.raises(AttributeError, match=r"^module 'hiddenpop\.counts' has no attribute 'nobody'$"):
        get("nobody")
