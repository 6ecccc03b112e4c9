"""Registrations and other files in plans, and the plan that `hiddenpop init` writes for a file."""

import io
import json
import shlex
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from tests.reading.test_cases import CASES, READ, Case, read

import hiddenpop as hp
from hiddenpop.cli import main
from hiddenpop.errors import HiddenpopWarning, SettingError
from hiddenpop.runs import read_plan

REGISTRATIONS = "cliënt,bron,sekse,dag\n" + "".join(
    f"K{i % 40:05},{('politie', 'opvang', 'kliniek')[i % 3]},{'vm'[i // 3 % 2]},2020-01-{1 + i % 28:02}\n"
    for i in range(100)
)
COMMANDS = ("describe {file}", "estimate {file} --estimator chao", "compare {file} chao loglinear")
BLANK = 'population = ""'
FILLED = 'population = "Persons in an invented place"'


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        yield


def filled(plan: Path) -> Path:
    plan.write_text(plan.read_text("utf-8").replace(BLANK, FILLED), "utf-8")
    return plan


@pytest.mark.parametrize("case", READ, ids=lambda case: f"{case.file} {case.typed}")
def test_init_writes_a_plan_that_is_accepted_once_the_population_is_filled_in(
    case: Case, tmp_path: Path
) -> None:
    plan = tmp_path / "analysis.toml"
    assert main(["init", str(CASES / case.file), "--out", str(plan), *shlex.split(case.typed)]) == 0
    with pytest.raises(
        SettingError, match=r"(?s)1 fault in .*\[analysis\] population must be text.*say who is counted"
    ):
        read_plan(plan)
    judged = read_plan(filled(plan))
    assert judged.table == read(CASES / case.file, case.typed)
    assert judged.languages == ("nl", "en")
    assert judged.chosen in judged.estimators
    assert judged.checks


def test_init_for_registrations(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(REGISTRATIONS, "utf-8")
    plan = tmp_path / "analysis.toml"
    words = [
        "--person",
        "cliënt",
        "--list",
        "bron",
        "--strata",
        "sekse",
        "--date",
        "dag",
        "--conflicts",
        "last",
    ]
    assert main(["init", str(tmp_path / "mine.csv"), "--out", str(plan), *words]) == 0
    text = plan.read_text("utf-8")
    for line in (
        'person = "cliënt"',
        'list = "bron"',
        'strata = ["sekse"]',
        'date = "dag"',
        'conflicts = "last"',
    ):
        assert line in text
    assert "K000" not in text
    table = read_plan(filled(plan)).table
    assert (table.n_observed, table.lists) == (40, ("kliniek", "opvang", "politie"))


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "analysis.toml").write_text("mine")
    assert main(["init", str(CASES / "01-misfit.csv"), "--out", str(tmp_path / "analysis.toml")]) == 2
    assert "is there already; name another file with --out" in capsys.readouterr().err
    assert (tmp_path / "analysis.toml").read_text() == "mine"


def test_a_question_in_a_plan_names_the_keys_to_write(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(REGISTRATIONS, "utf-8")
    plan = tmp_path / "analysis.toml"
    plan.write_text('[data]\nfile = "mine.csv"\n', "utf-8")
    with pytest.raises(SettingError, match=r"(?s)\[data\] no list: .* say --person 'cliënt' --list bron"):
        read_plan(plan)


@pytest.mark.parametrize(
    "command",
    [
        "describe {file} --json",
        "estimate {file} --estimator chao --json",
        "compare {file} chao loglinear --json",
    ],
)
def test_json_says_how_the_file_was_read(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.format(file=CASES / "03-counts-named-total.csv").split(), "--json"]) == 0
    reading = json.loads(capsys.readouterr().out)["reading"]
    assert reading["unit"] == "cell"
    assert reading["roles"] == {
        **dict.fromkeys(("treat", "arrest", "exchange", "survey"), "list"),
        "total": "count",
    }
    assert reading["notes"] == ["total is taken for the counts by its name"]


@pytest.mark.parametrize(
    "command", ["describe {file}", "estimate {file} --estimator chao", "compare {file} chao loglinear"]
)
def test_the_first_lines_say_how_the_file_was_read(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.format(file=CASES / "13-sex-coded-01.csv").split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "Read 16 rows, one row per combination of lists: lists kc, np, po; counts count;",
        "  stratum female.",
    ]
    assert lines[2] == "female is taken for a stratum by name; if it is a list, name it in --lists."


def test_completion_can_be_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "--install-completion" in capsys.readouterr().out


COUNTED = (
    "police,shelter,clinic,count\n1,0,0,61\n0,1,0,84\n0,0,1,39\n1,1,0,18\n1,0,1,17\n0,1,1,14\n1,1,1,13\n"
)
PERSONS = [
    (bits, i) for bits, n in ((1, 61), (2, 84), (4, 39), (3, 18), (5, 17), (6, 14), (7, 13)) for i in range(n)
]


def _counts(folder: Path) -> tuple[Path, str]:
    (folder / "counts.csv").write_text(COUNTED)
    return folder / "counts.csv", ""


def _persons(folder: Path) -> tuple[Path, str]:
    rows = [
        f"{'ja' if b & 1 else 'nee'};{'ja' if b & 2 else 'nee'};{'ja' if b & 4 else 'nee'}\n"
        for b, _ in PERSONS
    ]
    (folder / "persons.csv").write_text("police;shelter;clinic\n" + "".join(rows), "utf-16")
    return folder / "persons.csv", ""


def _registrations(folder: Path) -> tuple[Path, str]:
    lists = ("police", "shelter", "clinic")
    rows = [
        f"NL-{b}{i:04},{name},2020-01-{1 + i % 28:02}\n"
        for b, i in PERSONS
        for place, name in enumerate(lists)
        if b >> place & 1
    ]
    (folder / "registrations.csv").write_text("client,where,day\n" + "".join(rows))
    return folder / "registrations.csv", "--person client --list where --date day"


def _excel(folder: Path) -> tuple[Path, str]:
    frame = pd.read_csv(io.StringIO(COUNTED))
    with pd.ExcelWriter(folder / "book.xlsx") as book:
        frame.head(4).to_excel(book, sheet_name="draft", index=False)
        frame.to_excel(book, sheet_name="2020", index=False, startrow=2)
    return folder / "book.xlsx", "--sheet 2020"


def _joined(folder: Path) -> tuple[Path, str]:
    cells = "police,61\nshelter,84\nclinic,39\npolice & shelter,18\npolice & clinic,17\nshelter & clinic,14\nAll,13\n"
    (folder / "venn.csv").write_text(f"lists,count\n{cells}")
    return folder / "venn.csv", ""


@pytest.mark.parametrize("write", [_counts, _persons, _registrations, _excel, _joined])
def test_from_a_file_to_a_report_by_filling_in_the_population(
    write: Callable[[Path], tuple[Path, str]], tmp_path: Path
) -> None:
    file, typed = write(tmp_path)
    plan, out = tmp_path / "analysis.toml", tmp_path / "out"
    assert main(["init", str(file), "--out", str(plan), *shlex.split(typed)]) == 0
    assert (
        main(["run", str(plan), "--out", str(out), "--workers", "1"]) == 2
    )  # the population is not filled in
    quick = filled(plan).read_text("utf-8").replace('checks = "standard"', 'checks = ["list_influence"]')
    plan.write_text(quick.replace("n_boot = 400", "n_boot = 200"), "utf-8")
    assert main(["run", str(plan), "--out", str(out), "--workers", "1"]) == 0
    found = {
        e["label"]: e["n_hat"] for e in json.loads((out / "results.json").read_text("utf-8"))["estimates"]
    }
    (tmp_path / "right.csv").write_text(COUNTED)
    right = hp.SelectedLogLinear(criterion="bic").fit(read(tmp_path / "right.csv")).n_hat
    assert found["best BIC model"] == pytest.approx(right)
    assert {path.name for path in out.glob("*.html")} == {"report.html", "report.nl.html"}
    assert not any("NL-" in path.read_text("utf-8", "replace") for path in out.rglob("*") if path.is_file())
