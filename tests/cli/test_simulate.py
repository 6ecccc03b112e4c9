"""`hiddenpop simulate` through the entry point."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hiddenpop.synthetic import LIBRARY
from hiddenpop.synthetic.cards import read_sums
from hiddenpop.table import CaptureTable

Run = Callable[..., Any]


def test_a_scenario_becomes_a_table_with_its_card(run: Run, tmp_path: Path) -> None:
    answer = run("simulate", "like-uk", "--out", str(tmp_path / "new"), "--seed", "4")
    assert (answer.code, answer.err) == (0, "")
    assert "like-uk, seed 4: " in answer.out
    table = CaptureTable.read(tmp_path / "new" / "like-uk.csv")
    assert table == LIBRARY["like-uk"].draw(rng=4)


def test_without_a_seed_the_one_drawn_is_written_down(run: Run, tmp_path: Path) -> None:
    answers = [run("simulate", "like-uk", "--out", str(tmp_path / name)) for name in "ab"]
    seeds = [tomllib.loads((tmp_path / name / "like-uk.toml").read_text())["seed"] for name in "ab"]
    assert seeds[0] != seeds[1]
    assert all(f"seed {seed}: " in answer.out for seed, answer in zip(seeds, answers, strict=True))
    again = run("simulate", "like-uk", "--out", str(tmp_path / "c"), "--seed", str(seeds[0]))
    assert again.code == 0
    assert (tmp_path / "c" / "like-uk.csv").read_bytes() == (tmp_path / "a" / "like-uk.csv").read_bytes()


def test_the_world_in_a_size(run: Run, tmp_path: Path) -> None:
    answer = run("simulate", "world", "--out", str(tmp_path), "--seed", "1", "--size", "400")
    assert answer.code == 0
    assert f"world, seed 1: registers in {tmp_path}" in answer.out
    assert tomllib.loads((tmp_path / "world.toml").read_text("utf-8"))["size"] == 400
    assert (tmp_path / "truth" / "victims.parquet").is_file()


def test_all_of_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = run("simulate", "--all")
    assert (answer.code, answer.err) == (0, "")
    place = tmp_path / "data" / "synthetic"
    assert answer.out.startswith(f"{len(read_sums(place)) + 1} files in ")
    assert len(read_sums(place)) == len([p for p in place.rglob("*") if p.is_file()]) - 1


def test_without_a_name_the_scenarios_are_listed(run: Run) -> None:
    answer = run("simulate")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["world", *LIBRARY]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["like-uk"], "--out is missing; name the folder for the files"),
        (["lik-uk", "--out", "x"], "did you mean 'like-uk'?"),
        (["like-uk", "--all"], "'like-uk' does not go with --all"),
        (["--all", "--size", "5"], "--size 5 does not go with --all"),
        (["--out", "x"], "--out needs a scenario; name one"),
        (["--seed", "5"], "--seed needs a scenario; name one"),
        (["world", "--out", "x", "--size", "10000001"], "size=10000001 is more than a world can number"),
        (["world", "--out", "x", "--size", "0"], "Invalid value for '--size'"),
        (["like-uk", "--out", "x", "--workers", "0"], "workers is 0; give a number of processes"),
        (["like-uk", "--out", "taken"], "cannot use the folder taken"),
    ],
)
def test_a_wrong_command_leaves_one_line_and_no_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    answer = run("simulate", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("hiddenpop: error: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()} - {"key"}
    assert left == {"taken"}
