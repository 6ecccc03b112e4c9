"""`hiddenpop sensitivity`: what it prints, what it leaves, and that small counts stay."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from hiddenpop.sensitivity.cell_influence import CellInfluence
from hiddenpop.sensitivity.claims import Claim
from hiddenpop.sensitivity.prior import PriorSensitivity
from hiddenpop.sensitivity.protocol import Check
from hiddenpop.sensitivity.trajectory import Trajectory

FILES = {"page.png", "results.json", "table.csv"}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put two quick checks and one that does not apply in the place of the standard set."""

    def checks(claim: Claim | None = None) -> tuple[Check, ...]:
        trajectory = Trajectory(shares=(0.6, 1.0), n_resamples=10, claim=claim)
        return CellInfluence(claim=claim), trajectory, PriorSensitivity(claim=claim)

    module = importlib.import_module("hiddenpop.sensitivity.standard_set")
    monkeypatch.setattr(module, "standard_checks", checks)


def test_the_command_prints_a_verdict_a_check(run: Callable) -> None:
    answer = run("sensitivity", "korea", "--claim", "more than 100", "--workers", "1", "--seed", "1")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("selected")
    assert "Held to: more than 100" in answer.out
    for verdict in (
        "holds       cell_influence: N runs",
        "no verdict  trajectory: ",
        f"no verdict  {PriorSensitivity.name}: ",
    ):
        assert verdict in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_it_leaves_page_results_and_table(run: Callable, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    answer = run(
        "sensitivity", "korea", "--claim", "more than 100", "--out", str(out), "--workers", "1", "--seed", "1"
    )
    assert {path.name for path in out.iterdir()} == FILES
    assert f"written to {out}" in answer.err
    assert (out / "page.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(out / "table.csv")
    assert table["check"].tolist() == ["cell_influence", "trajectory", PriorSensitivity.name]
    assert table["verdict"].tolist() == ["holds", "no verdict", "no verdict"]
    results = json.loads((out / "results.json").read_text())
    assert results["claim"] == "more than 100"
    assert [result["n_points"] for result in results["results"]] == table["points"].tolist()


def test_json_is_what_stands_in_the_file_and_follows_the_seed(run: Callable, tmp_path: Path) -> None:
    words = ("sensitivity", "korea", "--json", "--workers", "1", "--out", str(tmp_path))
    one, two, other = (run(*words, "--seed", seed) for seed in ("1", "1", "2"))
    assert one.out == two.out
    assert other.out == (tmp_path / "results.json").read_text()
    assert json.loads(one.out)["results"][1]["table"] != json.loads(other.out)["results"][1]["table"]


def test_estimator_settings_and_level_are_passed_on(run: Callable) -> None:
    words = (
        "--estimator",
        "loglinear",
        "--set",
        "model=[12,3]",
        "--level",
        "0.9",
        "--workers",
        "1",
        "--json",
    )
    baseline = json.loads(run("sensitivity", "korea", *words).out)["baseline"]
    assert baseline["estimator"]["settings"]["model"] == "[12,3]"
    assert baseline["interval"]["level"] == 0.9


def test_small_counts_of_a_private_table_stay(run: Callable, private: str, tmp_path: Path) -> None:
    words = ("sensitivity", private, "--workers", "1", "--seed", "1", "--claim", "more than 400")
    shown = run(*words)
    assert "cell_influence: N runs from" in shown.out
    closed, open_ = tmp_path / "closed", tmp_path / "open"
    run(*words, "--out", str(closed))
    run(*words, "--out", str(open_), "--show-small-counts")
    left, lifted = (json.loads((folder / "results.json").read_text()) for folder in (closed, open_))
    moves = left["results"][0]["table"]
    assert {(row["count"], row["n_hat"], row["model"]) for row in moves} == {("<10", "<10", "<10")}
    assert {row["count"] for row in lifted["results"][0]["table"]} >= {2, 3, 6}
    assert lifted["results"][0]["provenance"]["small_counts_shown"]
    assert "N runs from" not in pd.read_csv(closed / "table.csv")["in_words"][0]
    assert "N runs from" in pd.read_csv(open_ / "table.csv")["in_words"][0]
    assert (closed / "page.png").read_bytes() != (open_ / "page.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ukk",), "'ukk' is neither a file nor a published data set; did you mean 'uk'"),
        (("korea", "--estimator", "selectd"), "there is no estimator 'selectd'; did you mean 'selected'?"),
        (
            ("korea", "--claim", "rather many"),
            "claim='rather many' cannot be read; write \"more than 10,000\"",
        ),
        (("korea", "--workers", "0"), "workers is 0; give a number of processes from 1 up"),
        (("korea", "--set", "criterion=bik"), "bik"),
        (("korea", "--clam", "more than 5"), "No such option: --clam"),
        (("korea", "--lists", "a,b"), "--lists name columns of a file"),
    ],
)
def test_a_wrong_word_is_one_line_and_exit_code_2(
    run: Callable, words: tuple[str, ...], message: str
) -> None:
    answer = run("sensitivity", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert answer.err.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_one_line_before_the_work(run: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = run("sensitivity", "korea", "--out", str(tmp_path / "file" / "in"))
    assert answer.code == 2
    assert f"--out {tmp_path / 'file' / 'in'}: Not a directory; name a folder you can write" in answer.err
