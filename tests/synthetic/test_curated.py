"""The data that are included: whole, made again byte for byte, and told by their cards."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest

from hiddenpop.errors import SettingError, TableError, UnknownNameError
from hiddenpop.synthetic import LIBRARY, Group, IndependentLists, Scenario
from hiddenpop.synthetic.cards import read_sums, toml_text
from hiddenpop.synthetic.curated import (
    CURATED,
    CURATED_SEED,
    faulty_files,
    write_curated,
    write_scenario,
    write_world_set,
)
from hiddenpop.synthetic.world import draw_world, read_world
from hiddenpop.table import CaptureTable

SHIPPED = Path(__file__).parents[2] / "data" / "synthetic"


def card_of(path: Path) -> dict:
    return tomllib.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def again(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_curated(folder)
    return folder


def test_the_shipped_files_are_whole():
    assert faulty_files(SHIPPED) == []
    there = {path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*") if path.is_file()}
    assert there - {".gitattributes", "SHA256SUMS"} == set(read_sums(SHIPPED))
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 3_000_000


def test_the_shipped_files_are_made_again_byte_for_byte(again):
    made_with = card_of(SHIPPED / "world" / "world.toml")["made_with"]
    same = all(version(name) == found for name, found in made_with.items())
    names = [name for name in read_sums(again) if same or name.endswith(".csv")]
    assert len(names) >= len(CURATED)
    changed = [name for name in names if (SHIPPED / name).read_bytes() != (again / name).read_bytes()]
    assert not changed, (
        "the generator has changed: raise its version, run `make data`, and say so in the changelog"
    )


def test_a_changed_or_missing_file_is_seen(again, tmp_path):
    write_curated(tmp_path)
    assert faulty_files(tmp_path) == []
    (tmp_path / "like-uk.csv").write_text("police,count\n")
    (tmp_path / "world" / "cases.parquet").unlink()
    assert faulty_files(tmp_path) == ["like-uk.csv", "world/cases.parquet"]
    with pytest.raises(TableError, match=r"there is no SHA256SUMS in .*world"):
        faulty_files(again / "world")


@pytest.mark.parametrize("name", CURATED)
def test_a_table_is_the_draw_its_card_speaks_of(name):
    card, world = card_of(SHIPPED / f"{name}.toml"), LIBRARY[name]
    table = CaptureTable.read(SHIPPED / card["file"], lists=card["lists"], strata=card["strata"])
    drawn = world.draw(rng=card["seed"])
    pd.testing.assert_frame_equal(table.to_frame(), drawn.to_frame())
    assert (card["truth"], card["observed"]) == (world.truth, table.n_observed)
    assert list(card["columns"]) == list(pd.read_csv(SHIPPED / card["file"]).columns)
    assert [entry["list"] for entry in card.get("coverage", [])] == [c.list for c in drawn.coverage]
    assert sum(row["n"] for row in card.get("truth_by_stratum", [{"n": world.truth}])) == world.truth
    assert card["synthetic"] is True
    assert card["licence"] == "CC0-1.0"


def test_the_card_of_the_world_names_every_column_of_every_file():
    folder = SHIPPED / "world"
    card, world = card_of(folder / "world.toml"), read_world(folder)
    told = {entry["file"]: list(entry["columns"]) for entry in card["files"].values()}
    there = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*") if path.suffix != ".toml"
    }
    assert set(told) == set(there)
    for name, entry in card["files"].items():
        assert list(getattr(world, name).columns) == list(entry["columns"])
    assert sum(card["victims"].values()) == len(world.victims) == card["size"] == 2875
    drawn = draw_world(size=card["size"], rng=card["seed"])
    if all(version(name) == found for name, found in card["made_with"].items()):
        pd.testing.assert_frame_equal(world.registrations, drawn.registrations)


def test_the_seed_and_the_size_stand_in_the_card(tmp_path):
    write_scenario(tmp_path, "like-kosovo", seed=8, size=500)
    card = card_of(tmp_path / "like-kosovo.toml")
    assert (card["seed"], card["truth"]) == (8, 500)
    assert card["generator"] == 'hiddenpop.synthetic.scenario("like-kosovo").resized(500).draw(rng=8)'
    write_world_set(tmp_path / "w", seed=8, size=300)
    card = card_of(tmp_path / "w" / "world.toml")
    assert (card["seed"], card["size"]) == (8, 300)


def test_a_scenario_of_your_own(tmp_path):
    own = Scenario(
        name="own",
        description='Two lists, "mine".',
        lists=("a", "b"),
        groups=(Group(size=100, law=IndependentLists(probabilities=(0.5, 0.5))),),
    )
    write_scenario(tmp_path, own, seed=1)
    card = card_of(tmp_path / "own.toml")
    assert card["title"] == 'Two lists, "mine".'
    assert card["generator"] == "a scenario of its own.draw(rng=1)"


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'like-uk'"):
        write_scenario(tmp_path, "like-u", seed=1)
    with pytest.raises(SettingError, match="seed=-1 must be a whole number of at least 0"):
        write_scenario(tmp_path, "like-uk", seed=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match=r"cannot use the folder .*file: .*choose another"):
        write_world_set(tmp_path / "file", seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_another_seed_gives_other_tables(again, tmp_path):
    write_curated(tmp_path, seed=CURATED_SEED + 1)
    same = {name for name, digest in read_sums(tmp_path).items() if read_sums(again)[name] == digest}
    assert same == {"README.md", "world/truth/totals.csv", "world/truth/coverage.csv"}


@pytest.mark.parametrize(
    "content",
    [
        {"a": 1, "b": [1.5, 2], "c": True, "d": 'say "x"\n\\', "e": [], "f": {"g": {"h": "é"}}},
        {"rows": [{"x": 1, "y": {"z": [["a", "b"], []]}}, {"x": 2}], "key with blanks": {"k": -0.1}},
        {"empty": {}, "table": {"inner": {}, "value": 1}},
        {},
    ],
)
def test_what_a_card_holds_is_read_back(content):
    assert tomllib.loads(toml_text(content)) == content


def test_what_has_no_form_in_a_card_is_refused():
    with pytest.raises(SettingError, match=r"None \(NoneType\) has no form in a card"):
        toml_text({"a": None})
