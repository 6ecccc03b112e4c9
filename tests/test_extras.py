"""A missing extra is named, with the command that brings it."""

import sys
import tomllib
from pathlib import Path

import pytest

from hiddenpop.errors import MissingExtraError
from hiddenpop.extras import EXTRA_OF, need

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


@pytest.mark.parametrize("package", EXTRA_OF)
def test_a_missing_package_is_named_with_its_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def find_spec(self, name: str, *_: object) -> None:
            if name == package:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(MissingExtraError, match=rf"a page needs {package}.*hiddenpop\[{EXTRA_OF[package]}\]"):
        need(package, "a page")


def test_every_extra_installs_what_it_is_said_to() -> None:
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    for package, extra in EXTRA_OF.items():
        assert any(requirement.startswith(f"{package}>=") for requirement in extras[extra])
