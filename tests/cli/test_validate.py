"""`hiddenpop validate`: the files it leaves, and that it goes on where it was."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.cli import validate
from hiddenpop.validation import standard
from hiddenpop.validation.standard import Part

FILES = {"performance.csv", "coverage.png", "zip.png", "error-overlap.png", ".blocks"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put two estimators in two scenarios in the place of the standard."""
    part = Part(
        name="small",
        n_rep=9,
        quick=4,
        scenarios=("independent-two", "positive-two"),
        estimators={"chapman": hp.Chapman(), "independence": hp.LogLinear()},
    )
    monkeypatch.setattr(standard, "STANDARD", (part,))
    monkeypatch.setattr("hiddenpop.cli.validate.ZIPPED", ("chapman",))
    monkeypatch.setattr("hiddenpop.cli.validate.ZIP_SCENARIOS", ("independent-two",))


def test_the_command_leaves_table_figures_and_page(run: Callable, tmp_path: Path) -> None:
    out = tmp_path / "v"
    answer = run("validate", "--quick", "--out", str(out), "--workers", "1")
    assert (answer.code, answer.err) == (0, "")
    assert {path.name for path in out.iterdir()} == FILES
    page = (tmp_path / "v.md").read_text()
    assert "`hiddenpop validate --quick`" in page
    assert "(v/coverage.png)" in page
    table = pd.read_csv(out / "performance.csv")
    assert list(table.columns) == ["scenario", "estimator", "measure", "value", "mcse"]
    assert set(table[table["measure"] == "replicates"]["value"]) == {4.0}


def test_the_same_seed_gives_the_same_files_and_another_one_others(run: Callable, tmp_path: Path) -> None:
    tables = []
    for name, seed in (("one", "5"), ("two", "5"), ("three", "6")):
        run("validate", "--out", str(tmp_path / name), "--workers", "1", "--seed", seed)
        tables.append((tmp_path / name / "performance.csv").read_bytes())
    assert tables[0] == tables[1] != tables[2]
    assert "--seed 6" in (tmp_path / "three.md").read_text()


def test_blocks_are_kept_out_of_version_control(run: Callable, tmp_path: Path) -> None:
    run("validate", "--quick", "--out", str(tmp_path / "v"), "--workers", "1")
    assert (tmp_path / "v" / validate.STORE / ".gitignore").read_text() == "*\n"


def test_a_folder_that_cannot_be_made_is_one_line(run: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = run("validate", "--out", str(tmp_path / "file"))
    assert answer.code == 2
    assert answer.err.startswith("hiddenpop: error: --out ")
    assert answer.err.count("\n") == 1
