"""`hiddenpop run` and `hiddenpop reproduce`: exit codes, one line a fault, what they print."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

PLAN = """
[analysis]
title = "Women held at Palembang"
question = "How many were there?"
population = "Korean women held at Palembang"
seed = 1
[data]
table = "korea"
[[estimator]]
name = "loglinear"
model = "[12,3]"
[choice]
estimator = "loglinear"
why = "It is the model of the source."
[report]
formats = []
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "analysis.toml"
    path.write_text(PLAN)
    return path


def test_a_run_and_the_same_again(run: Callable, plan: Path) -> None:
    answer = run("run", str(plan), "--workers", "1")
    assert (answer.code, answer.err) == (0, "")
    assert "loglinear: N = " in answer.out
    assert max(map(len, answer.out.splitlines()[:-1])) <= 80
    folder = plan.with_name("analysis-run")
    assert (folder / "manifest.json").is_file()

    again = run("reproduce", str(folder), "--workers", "1")
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith("Done again, the run agrees with")

    path = folder / "results.json"
    content = json.loads(path.read_text())
    content["estimates"][0]["n_hat"] += 1.0
    path.write_text(json.dumps(content))
    other = run("reproduce", str(folder), "--workers", "1")
    assert (other.code, other.err) == (1, "")
    assert "different: estimates[loglinear].n_hat: " in " ".join(other.out.split())
    shown = run("reproduce", str(folder), "--workers", "1", "--json")
    assert shown.code == 1
    assert json.loads(shown.out)["values"][0]["where"] == "estimates[loglinear].n_hat"

    twice = run("run", str(plan))
    assert (twice.code, twice.out) == (2, "")
    assert twice.err.startswith("hiddenpop: error: ")
    assert "holds a finished run" in twice.err
    assert twice.err.count("\n") == 1


def test_another_folder_can_be_named(run: Callable, plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    assert run("run", str(plan), "--out", str(out), "--workers", "1").code == 0
    assert (out / "results.json").is_file()
    assert not plan.with_name("analysis-run").exists()


def test_all_faults_stand_on_one_line(run: Callable, plan: Path) -> None:
    plan.write_text(PLAN.replace("korea", "koera").replace("seed = 1", "sed = 1").replace("why", "wy"))
    answer = run("run", str(plan))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert "5 faults in" in answer.err
    for fault in ("no key 'sed'", "has no seed", "'koera'", "no key 'wy'", "has no why"):
        assert fault in answer.err
    assert answer.err.count("; [") >= 3
    assert not plan.with_name("analysis-run").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run",), "Missing argument"),
        (("run", "gone.toml"), "cannot read the plan gone.toml"),
        (("run", "{plan}", "--workers", "0"), "workers is 0"),
        (("run", "{plan}", "--out", "{plan}"), "is a file; name a folder"),
        (("reproduce", "gone"), "there is no folder gone"),
        (("reproduce", "{folder}"), "holds no manifest.json"),
    ],
)
def test_bad_input_exits_2_with_one_line(
    words: tuple[str, ...], told: str, run: Callable, plan: Path, tmp_path: Path
) -> None:
    answer = run(*(word.format(plan=plan, folder=tmp_path) for word in words))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert told in answer.err
