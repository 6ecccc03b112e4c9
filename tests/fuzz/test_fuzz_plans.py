"""Plans of any content: judged as a whole, or refused with an error of the package, before anything runs."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.limits import REFUSED, answered, damaged, fuzz, nasty, plain
from tests.runs.conftest import COUNTS, PLAN, PRIVATE

from hiddenpop.runs import Plan, read_plan
from hiddenpop.synthetic.cards import toml_text

WHOLE = [tomllib.loads(PLAN), tomllib.loads(PRIVATE)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("plans")
    (place / "counts.csv").write_text(COUNTS)
    return place


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(folder / "key"))


def judged(folder: Path, content: bytes) -> None:
    path = folder / "analysis.toml"
    path.write_bytes(content)
    found = answered(read_plan, path)
    assert found is REFUSED or isinstance(found, Plan)


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = content.items() if isinstance(content, dict) else enumerate(content)
    return [
        place
        for key, item in inner
        for place in [(*path, key), *(places(item, (*path, key)) if isinstance(item, dict | list) else [])]
    ]


@fuzz(60)
@given(data=st.data())
def test_a_plan_with_one_value_changed(folder: Path, data: st.DataObject) -> None:
    content = copy.deepcopy(data.draw(st.sampled_from(WHOLE)))
    *above, last = data.draw(st.sampled_from(places(content)))
    table: Any = content
    for key in above:
        table = table[key]
    how = data.draw(st.sampled_from(["change", "remove", "add"]))
    if how == "remove":
        del table[last]
    elif how == "add" and isinstance(table, dict):
        table[data.draw(nasty)] = data.draw(plain)
    else:
        table[last] = data.draw(plain)
    text = answered(toml_text, content)
    if text is not REFUSED:
        judged(folder, text.encode("utf-8", "replace"))


@fuzz(40)
@given(content=damaged(PLAN.encode()) | st.binary(max_size=60))
def test_a_damaged_plan(folder: Path, content: bytes) -> None:
    judged(folder, content)


def test_a_plan_for_fuzzing_is_whole(folder: Path) -> None:
    for content in WHOLE:
        (folder / "analysis.toml").write_text(toml_text(content))
        assert answered(read_plan, folder / "analysis.toml") is not REFUSED
