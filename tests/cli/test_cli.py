"""The command line through its entry point: what it prints where, and with which exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.estimators.registry import ESTIMATORS, STANDARD_PANEL
from hiddenpop.result import Estimate

ESTIMATE_FIELDS = [
    "schema_version",
    "n_hat",
    "n_observed",
    "n_hidden",
    "interval",
    "status",
    "reason",
    "n_failed",
    "diagnostics",
    "by_stratum",
    "estimator",
    "table",
    "provenance",
    "details",
]
SMALL = {2, 3, 6, 5, 8, 26, 19}  # small cells, small overlaps, and sums that would give them away

Run = Callable[..., Any]


def write(folder: Path, text: str, name: str = "mine.csv") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def numbers_in(value: Any, where: str = "") -> Iterator[tuple[str, float]]:
    """Walk a JSON value and give every number with the path to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers_in(item, f"{where}/{key}")
    elif isinstance(value, list):
        for item in value:
            yield from numbers_in(item, where)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield where, value


# --- estimates -------------------------------------------------------------------------------------------------


def test_the_standard_panel_stands_side_by_side(run: Run) -> None:
    answer = run("estimate", "uk_5", "--seed", "1")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0] == "uk_5: 2,744 observed on 5 lists (LA, NG, PFNCA, GO, GP)"
    text = " ".join(answer.out.split())
    assert "independence 13,440 11,990 to 15,170 if this model is true" in text
    assert "best BIC model 25,300 19,400 to 34,100 choice not included" in text
    assert "lower bound 13,570 12,310 or more if no negative dependence" in text
    assert all(any(line.startswith(label) for line in lines) for label in STANDARD_PANEL)
    assert max(map(len, lines)) <= 80
    assert "The estimates run from 5,550 (best AIC model) to 25,300 (best BIC model)" in text
    assert "best AIC model (5,550), stepwise (11,310): below the lower bound, at least 12,310." in text
    assert "Random numbers: seed 1." in text
    assert (
        "uk_5 hardly carries an estimate (grade 4 of 5): the lists have little in common: sample coverage 0.19"
        in text
    )


def test_one_estimator_with_settings(run: Run) -> None:
    answer = run(
        "estimate", "kosovo", "--estimator", "loglinear", "--set", "model=[123,14,34]", "--level", "0.9"
    )
    text = " ".join(answer.out.split())
    assert answer.code == 0
    assert "loglinear (model=[123,14,34], level=0.9) on kosovo" in text
    assert "N = 10,360, 90% interval" in text
    assert text.endswith(hp.describe(hp.datasets.load("kosovo")).sentence)


def test_an_estimate_without_a_number_is_told_in_words(run: Run) -> None:
    answer = run("estimate", "korea", "--estimator", "loglinear", "--set", "model=all-pairs")
    assert answer.code == 0
    assert "unbounded: " in answer.out
    shown = run("estimate", "korea", "--estimator", "loglinear", "--set", "model=[12,13,23]", "--json")
    content = json.loads(shown.out, parse_constant=pytest.fail)
    assert (content["n_hat"], content["status"], content["interval"]["high"]) == (None, "unbounded", None)


def test_a_panel_without_any_number(run: Run, tmp_path: Path) -> None:
    answer = run("estimate", write(tmp_path, "a,b,count\n1,0,140\n0,1,80\n"))
    text = " ".join(answer.out.split())
    assert answer.code == 0
    assert "independence none" in text
    assert "or more unbounded" in text
    assert "Without a number best BIC, bootstrapped: unbounded: " in text
    assert "None of the 6 estimators has a finite answer." in text
    assert "does not carry an estimate (grade 5 of 5): nobody is on two or more lists" in text


@pytest.mark.slow  # 200 resamples of eight lists, each with a search of its own
def test_methods_that_cannot_treat_the_table_are_left_out_with_the_reason(run: Run) -> None:
    panel = run("estimate", "new_orleans_185", "--seed", "1", "--json")
    assert panel.code == 0
    assert [e["label"] for e in json.loads(panel.out)["estimates"]] == [
        "best BIC, bootstrapped (order 2)",
        "independence",
        "best BIC model (order 2)",
        "best AIC model (order 2)",
        "stepwise",
        "lower bound",
    ]
    reason = "model-averaged (order 2) is left out: 8 lists have 268,435,456 hierarchical models"
    assert f"hiddenpop: note: {reason}" in panel.err


def test_json_of_one_estimator_has_exactly_the_fields_of_an_estimate(run: Run) -> None:
    answer = run("estimate", "kosovo", "--estimator", "selected", "--json")
    content = json.loads(answer.out, parse_constant=pytest.fail)
    assert list(content) == ESTIMATE_FIELDS
    assert content == hp.estimate(hp.datasets.load("kosovo"), "selected").to_dict()
    assert Estimate.from_dict(content).n_hat == pytest.approx(10356.52, abs=0.01)


def test_json_of_the_panel(run: Run) -> None:
    answer = run("estimate", "korea", "--json")
    content = json.loads(answer.out, parse_constant=pytest.fail)
    fields = ["schema_version", "table", "description", "sentence", "disagreements", "seed", "estimates"]
    assert list(content) == fields
    assert [e["label"] for e in content["estimates"]] == list(STANDARD_PANEL)
    assert all(list(e) == ["label", *ESTIMATE_FIELDS] for e in content["estimates"])
    assert content["description"] == hp.describe(hp.datasets.load("korea")).to_dict()


def test_the_level_goes_to_every_method_of_the_panel(run: Run) -> None:
    content = json.loads(run("estimate", "korea", "--level", "0.8", "--json").out)
    assert {e["interval"]["level"] for e in content["estimates"]} == {0.8}


def test_the_seed_is_recorded(run: Run) -> None:
    content = json.loads(run("estimate", "korea", "--estimator", "loglinear", "--seed", "7", "--json").out)
    assert content["provenance"]["rng"] == {"seed": 7}
    without = json.loads(run("estimate", "korea", "--estimator", "loglinear", "--json").out)
    assert without["provenance"]["rng"] is None


@pytest.mark.parametrize("value", ["LA,NG", '["LA", "NG"]'])
def test_names_are_read_with_commas_or_as_json(run: Run, value: str) -> None:
    answer = run("estimate", "uk_5", "--estimator", "chapman", "--set", f"lists={value}", "--json")
    assert json.loads(answer.out)["estimator"]["settings"]["lists"] == ["LA", "NG"]


BY_ETH = ("estimate", "spina_bifida", "--estimator", "covariate_loglinear", "--set", "model=S1 + S2*S3 + eth")


def test_one_estimate_by_strata(run: Run) -> None:
    answer = run(*BY_ETH, "--set", "n_boot=200", "--seed", "1", "--by", "eth")
    assert answer.code == 0
    assert "spina_bifida by eth" in answer.out
    assert "  caucasian: 680 (" in answer.out
    shown = json.loads(run(*BY_ETH, "--set", "n_boot=200", "--seed", "1", "--by", "eth", "--json").out)
    assert [row["eth"] for row in shown["subgroups"]] == ["afro-american", "caucasian", "other", "(all)"]
    assert sum(row["n_hat"] for row in shown["subgroups"][:-1]) == pytest.approx(shown["n_hat"])


def test_few_persons_in_a_stratum_do_not_leave(run: Run, tmp_path: Path) -> None:
    rows = [("1,0", 90), ("0,1", 60), ("1,1", 30)]
    text = "a,b,region,count\n" + "".join(
        f"{lists},{region},{count // share}\n"
        for region, share in (("n", 1), ("s", 30))
        for lists, count in rows
    )
    command = ("estimate", write(tmp_path, text), "--estimator", "covariate_loglinear", "--strata", "region")
    held = run(*command, "--set", "n_boot=200", "--seed", "1", "--by", "region", "--json")
    assert "subgroups" not in json.loads(held.out)
    assert "note: numbers by group are on the screen alone: they are not released" in held.err
    open_ = run(
        *command, "--set", "n_boot=200", "--seed", "1", "--by", "region", "--json", "--show-small-counts"
    )
    assert json.loads(open_.out)["subgroups"][1]["n_observed"] == 6


def test_comparison_of_named_methods(run: Run) -> None:
    answer = run("compare", "kosovo", "loglinear", "chao", "--level", "0.9")
    lines = answer.out.splitlines()
    assert answer.code == 0
    assert any(line.startswith("           estimate  90% interval") for line in lines)
    assert any(line.startswith("loglinear     7,") for line in lines)
    content = json.loads(run("compare", "kosovo", "loglinear", "chao", "--json").out)
    assert [e["label"] for e in content["estimates"]] == ["loglinear", "chao"]


def test_two_lists_get_an_answer_with_a_caveat(run: Run, tmp_path: Path) -> None:
    answer = run("estimate", write(tmp_path, "a;b;count\n1;0;140\n0;1;80\n1;1;60\n"))
    assert answer.code == 0
    assert "with only 2 lists nothing can show whether" in " ".join(answer.out.split())


# --- tables ----------------------------------------------------------------------------------------------------


def test_columns_can_be_named(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,sex,n\n1,0,f,40\n0,1,f,30\n1,1,f,20\n1,0,m,15\n")
    answer = run("describe", path, "--lists", "b,a", "--strata", "sex", "--count", "n", "--json")
    assert [entry["list"] for entry in json.loads(answer.out)["lists"]] == ["b", "a"]
    assert answer.err == "hiddenpop: note: describe does not model strata and added up sex\n"


def test_a_parquet_file_is_read_too(run: Run, tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [40, 30, 20]})
    frame.to_parquet(tmp_path / "mine.parquet")
    answer = run("estimate", str(tmp_path / "mine.parquet"), "--estimator", "lincoln_petersen")
    assert "N = 150" in answer.out


def test_notes_are_told_once_and_in_one_line(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,c,sex,count\n1,0,0,f,40\n0,1,0,f,30\n1,1,0,m,20\n")
    answer = run("estimate", path)
    assert answer.code == 0
    assert answer.err.splitlines() == [
        "hiddenpop: note: list 'c' caught nobody; estimators leave it out",
        "hiddenpop: note: describe does not model strata and added up sex",
    ]
    lines = answer.out.splitlines()
    assert lines[:4] == [
        "Read 3 rows, one row per combination of lists: lists a, b, c; counts count;",
        "  stratum sex.",
        "sex is taken for a stratum, as the values are no 0 and 1.",
        "",
    ]
    assert lines[5:7] == [
        "Note: describe does not model strata and added up sex",
        "Note: c caught nobody and is left out",
    ]


def test_description_on_screen_and_as_json(run: Run) -> None:
    described = hp.describe(hp.datasets.load("artificial_3"))
    assert run("describe", "artificial_3").out == described.text() + "\n"
    assert json.loads(run("describe", "artificial_3", "--json").out) == described.to_dict()


def test_catalogue(run: Run) -> None:
    answer = run("datasets")
    lines = answer.out.splitlines()
    assert lines[0].split() == ["name", "n", "lists", "title"]
    assert lines[1].split()[:3] == ["uk", "2,744", "6"]
    assert max(map(len, lines)) <= 80
    content = json.loads(run("datasets", "--json").out)
    assert list(content) == ["schema_version", "datasets"]
    assert [entry["key"] for entry in content["datasets"]] == hp.datasets.catalogue()["key"].tolist()


def test_estimators_are_listed_with_their_settings(run: Run) -> None:
    answer = run("estimators")
    assert [line for line in answer.out.splitlines() if not line.startswith(" ")] == list(ESTIMATORS)
    assert "model='independence', interval='profile', level=0.95" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "base=selected (criterion=bic), n_boot=1000" in answer.out
    assert " object at " not in answer.out


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"hiddenpop {hp.__version__}\n"
    assert run("--help").out == run().out
    assert "Say whether a table can carry an estimate." in run().out


# --- what may leave --------------------------------------------------------------------------------------------


def test_a_private_table_shows_no_small_count_in_json(run: Run, private: str) -> None:
    for command in (["describe", private], ["estimate", private, "--estimator", "loglinear"]):
        content = json.loads(run(*command, "--json").out)
        about_models = ("/models", "/spreads/n_", "/schema_version", "/grade", "/estimates/n_lists")
        leaked = [
            (where, n)
            for where, n in numbers_in(content)
            if n in SMALL and not where.startswith(about_models)
        ]
        assert leaked == []
    assert "<10 = 1 to 9" in content["legend"]


def test_the_panel_of_a_private_table_is_released_as_one(run: Run, private: str) -> None:
    content = json.loads(run("estimate", private, "--seed", "1", "--json").out)
    assert list(content) == [
        "schema_version",
        "released",
        "table",
        "reading",
        "rules",
        "legend",
        "estimates",
    ]
    assert content["rules"] == "cbs-like-1, version 1"
    shown = {one["label"]: one for one in content["estimates"]}
    assert shown["independence"]["n_observed"] == 320
    assert shown["independence"]["status"] == "ok"
    for one in content["estimates"]:
        for number in (one["n_hat"], one["interval"]["low"], one["interval"]["high"]):
            assert number is None or isinstance(number, str) or number % 5 == 0
        assert not {"details", "diagnostics", "provenance", "by_stratum"} & set(one)


def test_small_counts_are_shown_on_request_and_that_is_recorded(run: Run, private: str) -> None:
    content = json.loads(run("estimate", private, "--json", "--show-small-counts").out)
    assert content["description"]["capture_frequencies"] == [292, 26, 2]
    assert [cell["count"] for cell in content["estimates"][0]["details"]["cells"]] == [
        143,
        88,
        17,
        61,
        6,
        3,
        2,
    ]
    assert content["description"]["provenance"]["small_counts_shown"] is True
    assert {e["provenance"]["small_counts_shown"] for e in content["estimates"]} == {True}


def test_on_screen_a_researcher_sees_everything(run: Run, private: str) -> None:
    assert "292 on 1, 26 on 2, 2 on 3" in run("describe", private).out


def svg_text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command",
    [
        ["describe", "korea"],
        ["estimate", "korea"],
        ["compare", "korea", "loglinear", "chao"],
        ["estimate", "korea", "--estimator", "loglinear"],
        ["estimate", "korea", "--estimator", "averaged"],
    ],
)
def test_figures_are_written_and_said_on_stderr(run: Run, tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "figure.png"
    answer = run(*command, "--plot", str(path))
    assert answer.code == 0
    assert answer.err == f"hiddenpop: note: figure written to {path}\n"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_figure_of_one_selected_model_has_the_landscape_below(run: Run, tmp_path: Path) -> None:
    plain, chosen = tmp_path / "plain.svg", tmp_path / "chosen.svg"
    run("estimate", "korea", "--estimator", "loglinear", "--plot", str(plain))
    run("estimate", "korea", "--estimator", "selected", "--plot", str(chosen))
    assert svg_text(plain).count('id="axes_') < svg_text(chosen).count('id="axes_')


def test_figures_of_a_private_table_are_protected(
    run: Run, private: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    from hiddenpop import plotting

    drawn = plotting.overlap_plot

    def watched(table: hp.CaptureTable, *, protect: bool, **options: Any) -> Any:
        asked.append(protect)
        return drawn(table, protect=protect, **options)

    monkeypatch.setattr(plotting, "overlap_plot", watched)
    path = str(tmp_path / "figure.svg")
    run("describe", private, "--plot", path)
    run("describe", private, "--plot", path, "--show-small-counts")
    run("describe", "korea", "--plot", path)
    assert asked == [True, False, False]


def test_draws_go_to_parquet(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from hiddenpop.estimators.loglinear import LogLinear

    fit = LogLinear.fit
    drawn = np.array([140.0, 150.0, 160.0])
    monkeypatch.setattr(
        LogLinear, "fit", lambda self, table, *, rng=None: replace(fit(self, table), draws=drawn.copy())
    )
    path = tmp_path / "draws.parquet"
    answer = run("estimate", "korea", "--estimator", "loglinear", "--draws", str(path))
    assert (answer.code, answer.err) == (0, f"hiddenpop: note: draws written to {path}\n")
    assert pd.read_parquet(path)["n"].tolist() == drawn.tolist()


# --- the process -----------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_fault() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-c", "import sys; from hiddenpop.cli import main; sys.exit(main())", "datasets"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (process.returncode, process.stderr) == (141, "")
