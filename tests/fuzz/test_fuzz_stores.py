"""Folders that were written earlier: cut short, flipped, of another make. Read as they were, or refused."""

import json
import pickle
import shutil
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.limits import REFUSED, answered, damaged, fuzz, nasty, plain

from hiddenpop.parallel import parallel, run_blocks
from hiddenpop.synthetic.cards import SUMS, read_sums, toml_text
from hiddenpop.synthetic.curated import faulty_files
from hiddenpop.synthetic.world import WorldSettings, read_settings
from hiddenpop.validation import read_study, study

TASKS = [1, 2, 3]
SETTINGS = tomllib.loads((files("hiddenpop.synthetic.world") / "settings.toml").read_text("utf-8"))


def twice(number: int) -> dict[str, Any]:
    return {"number": 2 * number, "more": (number, [None, "é", 1.5])}


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blocks")
    with parallel(store=folder):
        run_blocks(twice, TASKS)
    return folder


@fuzz(40)
@given(data=st.data())
def test_a_damaged_block_is_computed_again(blocks: Path, data: st.DataObject) -> None:
    path = sorted(blocks.glob("*.block"))[data.draw(st.integers(0, len(TASKS) - 1))]
    whole = path.read_bytes()
    path.write_bytes(data.draw(damaged(whole)))
    with parallel(store=blocks):
        assert answered(run_blocks, twice, TASKS) == [twice(task) for task in TASKS]
    assert path.read_bytes() == whole


@fuzz(20)
@given(data=st.data(), kept=st.integers(0, 32))
def test_a_block_of_anything_with_a_right_checksum_runs_nothing(
    blocks: Path, data: st.DataObject, kept: int
) -> None:
    path = min(blocks.glob("*.block"))
    path.write_bytes(
        path.read_bytes()[:kept] + data.draw(st.just(pickle.dumps(print)) | st.binary(max_size=50))
    )
    with parallel(store=blocks):
        assert answered(run_blocks, twice, TASKS) == [twice(task) for task in TASKS]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    study(["chapman"], ["independent-two"], n_rep=6, rng=1, out=folder, block_size=3)
    return folder


@fuzz(40)
@given(data=st.data())
def test_a_damaged_study_is_the_same_or_refused(finished: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(file for file in finished.rglob("*") if file.is_file())))
    whole = path.read_bytes()
    before = read_study(finished).replicates
    try:
        path.write_bytes(data.draw(damaged(whole)))
        found = answered(read_study, finished)
        if found is not REFUSED and path.suffix != ".json":
            pd.testing.assert_frame_equal(found.replicates, before, check_exact=True)
    finally:
        path.write_bytes(whole)


@fuzz(40)
@given(data=st.data())
def test_a_manifest_of_anything(finished: Path, data: st.DataObject) -> None:
    path = finished / "manifest.json"
    whole = path.read_text()
    content = json.loads(whole)
    changed = data.draw(plain)
    if data.draw(st.booleans()):
        content[data.draw(st.sampled_from(sorted(content)))] = changed
        changed = content
    try:
        path.write_text(json.dumps(changed))
        answered(read_study, finished)
    finally:
        path.write_text(whole)


@fuzz(15)
@given(data=st.data())
def test_a_damaged_study_is_run_again(finished: Path, data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("again")
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    path = data.draw(
        st.sampled_from(sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file()))
    )
    (folder / path).write_bytes(data.draw(damaged((folder / path).read_bytes()))[:-1])
    found = answered(study, ["chapman"], ["independent-two"], n_rep=6, rng=1, out=folder, block_size=3)
    pd.testing.assert_frame_equal(found.replicates, read_study(finished).replicates)


@fuzz(40)
@given(content=st.binary(max_size=200) | damaged(b"ab  a.csv\ncd  b.csv\n"))
def test_checksums_of_anything(tmp_path_factory: Any, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("sums", numbered=True)
    (folder / SUMS).write_bytes(content)
    answered(read_sums, folder)
    answered(faulty_files, folder)


# --- settings of a world ---


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key of the settings, however deep, of lists the first element only."""
    inner = content.items() if isinstance(content, dict) else enumerate(content[:1])
    return [
        place
        for key, item in inner
        for place in [(*path, key), *(places(item, (*path, key)) if isinstance(item, dict | list) else [])]
    ]


PLACES = places(SETTINGS)
toml_values = plain.filter(lambda value: value is not None)


@fuzz(80)
@given(data=st.data())
def test_world_settings_with_one_value_changed(tmp_path_factory: Any, data: st.DataObject) -> None:
    content = pickle.loads(pickle.dumps(SETTINGS))
    *above, last = data.draw(st.sampled_from(PLACES))
    table: Any = content
    for key in above:
        table = table[key]
    if data.draw(st.booleans()):
        table[last] = data.draw(toml_values)
    else:
        del table[last]
    path = tmp_path_factory.mktemp("world") / "settings.toml"
    text = answered(toml_text, content)
    if text is REFUSED:
        return
    path.write_text(text, encoding="utf-8", errors="replace")
    found = answered(read_settings, path)
    assert found is REFUSED or isinstance(found, WorldSettings)


@fuzz(40)
@given(content=st.binary(max_size=100) | nasty.map(lambda text: text.encode("utf-8", "replace")))
def test_world_settings_of_anything(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.mktemp("world") / "settings.toml"
    path.write_bytes(content)
    assert answered(read_settings, path) is REFUSED
