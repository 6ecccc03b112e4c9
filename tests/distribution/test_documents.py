"""What stands in CITATION.cff, CHANGELOG.md, CONTRIBUTING.md and SECURITY.md is so."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import hiddenpop
from hiddenpop.cli.commands import app

ROOT = Path(__file__).parents[2]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
REQUIRED = ("cff-version", "message", "title", "authors")
KNOWN = {
    *REQUIRED,
    "abstract",
    "date-released",
    "doi",
    "keywords",
    "license",
    "repository-code",
    "type",
    "url",
    "version",
}


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def named_tests() -> list[tuple[str, str]]:
    return TEST.findall(text("SECURITY.md"))


@pytest.mark.parametrize(("path", "name"), named_tests())
def test_a_promise_names_a_test_that_exists(path: str, name: str) -> None:
    tree = ast.parse(text(path))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def promises() -> list[str]:
    kept = text("SECURITY.md").split("## What is promised")[1].split("\n## ")[0]
    return re.split(r"\n\d\. ", kept)[1:]


def test_every_promise_has_a_test() -> None:
    assert len(promises()) >= 8
    assert [promise.split("**")[1] for promise in promises() if not TEST.search(promise)] == []
    assert len(named_tests()) > 20


def test_the_citation_is_that_of_this_version() -> None:
    citation: dict[str, Any] = yaml.safe_load(text("CITATION.cff"))
    assert set(REQUIRED) <= set(citation) <= KNOWN
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == hiddenpop.__version__
    assert citation["type"] == "software"
    assert f'license = "{citation["license"]}"' in text("pyproject.toml")
    assert all(author.get("name") or author.get("family-names") for author in citation["authors"])


def test_the_changelog_begins_with_this_version_and_names_every_command() -> None:
    first = re.search(r"^## (\S+)", text("CHANGELOG.md"), re.MULTILINE)
    assert first is not None
    assert first[1] == hiddenpop.__version__
    for command in app.registered_commands:
        name = command.name or command.callback.__name__  # type: ignore[union-attr]
        assert f"`{name}`" in text("CHANGELOG.md")


def test_targets_and_files_named_in_contributing_are_there() -> None:
    page = text("CONTRIBUTING.md")
    for target in re.findall(r"make (\w+)  ", page):
        assert re.search(rf"^(?:[a-z]+ )*{target}(?: [a-z]+)*:", text("Makefile"), re.MULTILINE), target
    places = [ROOT, ROOT / "src", ROOT / "src" / "hiddenpop"]
    for name in re.findall(r"`([\w/]+\.(?:py|md|toml|txt)|(?:docs|tests)/[\w/]+)`", page):
        assert any((place / name).exists() for place in places) or "KEY" in name, name
