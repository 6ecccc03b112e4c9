"""Every way to ask wrongly: one clear line on stderr, nothing on stdout, and the exit code that says so."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.fuzz.limits import bounded

from hiddenpop.cli.commands import app

Run = Callable[..., Any]


def write(folder: Path, text: str) -> str:
    path = folder / "mine.csv"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("estimate ukk", "'ukk' is neither a file nor a published data set; did you mean 'uk'"),
        ("estimate zzzzz", "'zzzzz' is neither a file nor a published data set; check the name"),
        ("estimate new_orleans", "'new_orleans_185' is what Chan, Silverman & Vincent (2021) used"),
        ("describe irregular_migrants", "'irregular_migrants' holds repeat counts of a single register"),
        ("estimate scottish_pwid", "scottish_pwid has cells whose count is only an upper bound"),
        ("estimate nothing.csv", "there is no file nothing.csv; check the name and the folder"),
        ("estimate", "Missing argument 'TABLE'; see hiddenpop --help"),
        ("estimat uk", "No such command 'estimat'. Did you mean 'estimate'"),
        ("estimate uk_5 --estimatr loglinear", "No such option: --estimatr"),
        ("estimate uk_5 --level high", "Invalid value for '--level'"),
        ("estimate uk_5 --seed -1", "Invalid value for '--seed'"),
        ("estimate uk_5 --level 2", "level=2.0 must lie between 0 and 1"),
        ("estimate uk_5 --estimator logliner", "there is no estimator 'logliner'; did you mean 'loglinear'?"),
        ("estimate uk_5 --estimator loglinear --set modl=x", "no setting 'modl'; did you mean 'model'?"),
        ("estimate uk_5 --estimator loglinear --set model", "--set 'model' is not of the form key=value"),
        ("estimate uk_5 --estimator loglinear --set =3", "--set '=3' is not of the form key=value"),
        ("estimate uk_5 --estimator loglinear --set level=NaN", "level='NaN' must lie between 0 and 1"),
        ("estimate uk_5 --estimator loglinear --set level=.9 --set level=.8", "--set level is given twice"),
        ("estimate uk_5 --estimator loglinear --set level=0.9 --level 0.8", "the level is given twice"),
        (
            "estimate uk_5 --estimator loglinear --set model=[12,7]",
            "model '[12,7]': there is no list 7 among 5",
        ),
        ("estimate uk_5 --estimator chapman", "chapman works on two lists and uk_5 has 5"),
        ("estimate uk_5 --set model=[12,3]", "--set goes with one estimator; name it with --estimator"),
        ("estimate uk_5 --draws x.parquet", "--draws goes with one estimator; name it with --estimator"),
        ("estimate uk_5 --by year", "--by goes with one estimator; name it with --estimator"),
        (
            "estimate kosovo --estimator loglinear --by eth",
            "has no estimates by stratum; take an estimator that models strata",
        ),
        ("estimate korea --estimator loglinear --draws x.parquet", "loglinear has no draws to write"),
        (
            "estimate uk_5 --estimator loglinear --draws x.csv",
            "--draws x.csv: the suffix is '.csv'; choose .parquet",
        ),
        ("estimate uk_5 --plot x.bmp", "--plot x.bmp: the suffix is '.bmp'; choose .png or .svg or .pdf"),
        ("estimate uk_5 --plot no/such/x.png", "--plot no/such/x.png: there is no folder no/such"),
        (
            "estimate uk_5 --lists a,b --count n",
            "--lists, --count name columns of a file, and 'uk_5' is not one",
        ),
        ("compare uk_5 loglinear", "only loglinear is named; name two or more different estimators"),
        ("compare uk_5 chao chao", "chao is named twice; name two or more different estimators"),
        ("compare uk_5 loglinear chaos", "there is no estimator 'chaos'; did you mean 'chao'?"),
        ("compare uk_5 chapman lincoln_petersen", "chapman works on two lists and uk_5 has 5"),
    ],
)
def test_bad_input_is_one_clear_line(run: Run, command: str, message: str) -> None:
    answer = run(*command.split())
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("hiddenpop: error: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b,count\n1,0,140\n0,0,5\n2,1,88\n1,1,x\n",
            "2 faults in the table: column 'a' holds values other than 0 and 1",
        ),
        ("a,b,count\n", "holds no rows; there is nobody to count"),
        ("a,b,count\n1,0,0\n", "nobody observed"),
    ],
)
def test_faults_of_a_file_are_told_together_in_one_line(
    run: Run, tmp_path: Path, text: str, message: str
) -> None:
    answer = run("describe", write(tmp_path, text))
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert message in answer.err


def test_a_folder_is_no_place_for_a_figure(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    answer = run("describe", "korea", "--plot", str(tmp_path / "x.png"))
    assert answer.code == 2
    assert "x.png is a folder; name a file in it" in answer.err


def test_an_unknown_column_is_named(run: Run, private: str) -> None:
    answer = run("describe", private, "--count", "persons")
    assert (answer.code, "no column 'persons'" in answer.err) == (2, True)


def test_a_fault_of_the_file_system_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("hiddenpop.sources.load", fail)
    answer = run("describe", "korea")
    assert answer == (2, "", "hiddenpop: error: korea: Permission denied; check the name and the folder\n")


def test_interrupted_work_ends_quietly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hiddenpop.sources.load", interrupt)
    answer = run("describe", "korea")
    assert (answer.code, answer.out, answer.err) == (130, "", "")


# --- every command and every option, so that a new one without a bad value here is a failing test ---

NO_TABLE = {
    "empty.csv": b"",
    "header.csv": b"a,b,count\n",
    "other-bytes.csv": b"a,b,count\n\xff\xfe,1,3\n",
    "noughts.csv": b"a,b,count\n" + b"\0" * 50,
    "nan.csv": b"a,b,count\n1,0,NaN\n0,1,3\n",
    "huge.csv": b"a,b,count\n1,0,1e30\n0,1,3\n",
    "too-many.csv": b"a,b,count\n1,0,4611686018427387904\n0,1,4611686018427387904\n",
    "negative.csv": b"a,b,count\n1,0,-3\n0,1,3\n",
    "wide.csv": b",".join(b"l%d" % i for i in range(70)) + b"\n" + b",".join([b"1"] * 70) + b"\n",
    "quote.csv": b'a,b,count\n"1,0,3\n0,1,3\n',
    "terminal.csv": b"a\x1b[2J,b,count\n1,0,30\n0,1,30\n",
    "garbage.parquet": b"PAR1" + b"\xff" * 40 + b"PAR1",
    "text.parquet": b"a,b,count\n1,0,3\n",
}
GOOD = b"police,shelter,region,count\n1,0,north,140\n0,1,north,125\n1,1,south,112\n"
TABLES = [
    *NO_TABLE,
    "folder.csv",
    "pipe.csv",
    "good.csv/inside.csv",
    "missing.csv",
    "no/such/folder/missing.csv",
    "a\nb\x1b[2J.csv",
    "caf\udce9.csv",
    "nul\0.csv",
    "n" * 300 + ".csv",
    "",
    ".csv",
    "good.xlsx",
]
COLUMNS = {
    "lists": ["--lists none-such", "--lists police,police", "--lists region", "--lists ,", "--lists count"],
    "count": ["--count none-such", "--count region", "--count police"],
    "strata": ["--strata none-such", "--strata police,police", "--strata count"],
    "person": ["--person none-such", "--person police --lists police,shelter", "--person ''"],
    "list": [
        "--list none-such",
        "--list region",
        "--list region --person region",
        "--list count --person police",
        "--list ''",
        "--list ,",
        "--list police,shelter",
        "--list police,none-such",
        "--list region,region",
    ],
    "date": ["--date none-such", "--date region --person count --conflicts first", "--date police"],
    "conflicts": ["--conflicts never", "--conflicts ''"],
    "columns": ["--columns a", "--columns a,a,b,c", "--columns a,b,c,d,e", "--columns ,"],
    "censored": [
        "--censored none-such",
        "--censored region",
        "--censored police --lists police,shelter",
        "--censored ''",
    ],
    "visits": ["--visits twice", "--visits ''", "--visits presence --yes 1"],
    "decimal": ["--decimal ;", "--decimal ''", "--decimal point"],
    "yes": ["--yes none-such", "--yes ''"],
    "split": ["--split +", "--split ''", "--split letters"],
    "sheet": ["--sheet none-such", "--sheet 2", "--sheet ''"],
}
MERGERS = ["--merge new", "--merge new=police+none-such", "--merge ''"]
FIGURES = ["--plot x.bmp", "--plot x", "--plot no/such/x.png", "--plot folder.png", "--plot good.csv/x.png"]
INSIDE = ["--inside x.csv", "--inside x", "--inside no/such/x.json", "--inside good.csv/x.json"]
LEVELS = [
    "--level 0",
    "--level 1",
    "--level NaN",
    "--level inf",
    "--level 1e400",
    "--level -0.5",
    "--level high",
]
SEEDS = ["--seed -1", "--seed 1.5", "--seed NaN", "--seed one"]
WORKERS = ["--workers 0", "--workers -2", "--workers many", "--workers 1.5"]
OUT = ["--out good.csv", "--out good.csv/inside", "--out /proc/none-such"]
BAD: dict[tuple[str, str], list[str]] = {
    **{("describe", option): [f"good.csv {words}" for words in cases] for option, cases in COLUMNS.items()},
    ("describe", "plot"): [f"uk_5 {words}" for words in FIGURES],
    **{("estimate", option): [f"good.csv {words}" for words in cases] for option, cases in COLUMNS.items()},
    ("estimate", "estimator"): [
        f"uk_5 --estimator {name}" for name in ("none", "os:getcwd", ":x", "..a:b", "hiddenpop:estimate", "''")
    ],
    ("estimate", "settings"): [
        f"uk_5 --estimator loglinear --set {pair}"
        for pair in (
            "model", "=", "model=[", "model=[99]", "model=[[[", "model={}", "level=null", "level=[]", "level=true",
            "none=1", f"level={'9' * 400}", f"level={'9' * 5000}", f"level={'[' * 50_000}", "odds_ratios=1", "xi=[1]",
        )
    ] + [f"uk_5 --estimator bootstrapped --set {pair}" for pair in (
        "n_boot=0", "n_boot=-1", "n_boot=1.5", "n_boot=NaN", "base=1", 'base={"name":"none","settings":{}}',
        'base={"name":1,"settings":2}',
    )],
    ("estimate", "level"): [f"uk_5 {words}" for words in LEVELS],
    ("estimate", "seed"): [f"uk_5 {words}" for words in SEEDS],
    ("estimate", "plot"): [f"uk_5 {words}" for words in FIGURES],
    ("estimate", "inside"): [f"uk_5 {words}" for words in INSIDE],
    ("compare", "inside"): [f"uk_5 chao loglinear {words}" for words in INSIDE],
    ("estimate", "draws"): [
        f"uk_5 --estimator decomposable --draws {path}"
        for path in ("x.csv", "x", "no/such/x.parquet", "folder.parquet", "good.csv/x.parquet")
    ] + ["uk_5 --estimator chao --draws x.parquet", "uk_5 --draws x.parquet"],
    ("estimate", "by"): [
        "good.csv --by region",
        "good.csv --estimator stratified --by none-such",
        "good.csv --estimator stratified --by region,region",
        "uk_5 --estimator chao --by year",
    ],
    **{
        ("compare", option): [f"good.csv chao loglinear {words}" for words in cases]
        for option, cases in COLUMNS.items()
    },
    ("compare", "names"): ["uk_5", "uk_5 chao", "uk_5 chao chao", "uk_5 chao none", "uk_5 chao os:path"],
    ("compare", "level"): [f"uk_5 chao loglinear {words}" for words in LEVELS],
    ("compare", "seed"): [f"uk_5 chao loglinear {words}" for words in SEEDS],
    ("compare", "plot"): [f"uk_5 chao loglinear {words}" for words in FIGURES],
    ("run", "plan"): [*(f"{name} --out new" for name in (
        "missing.toml", "empty.toml", "broken.toml", "other-bytes.toml", "odd.toml", "folder.toml", "pipe.toml",
        "good.csv",
        "good.csv/a.toml",
    ))],
    ("run", "out"): [f"plan.toml {words}" for words in OUT],
    ("run", "workers"): [f"plan.toml --out new {words}" for words in WORKERS],
    ("reproduce", "folder"): ["missing", "empty", "good.csv", "good.csv/inside", "broken-run"],
    ("reproduce", "data"): ["empty --data missing"],
    ("reproduce", "workers"): [f"empty {words}" for words in WORKERS],
    **{("sensitivity", option): [f"good.csv {words}" for words in cases] for option, cases in COLUMNS.items()},
    **{("init", option): [f"good.csv {words} --out new.toml" for words in cases] for option, cases in COLUMNS.items()},
    **{
        (name, "merge"): [f"good.csv {named} {words}" for words in MERGERS]
        for name, named in (("describe", ""), ("estimate", ""), ("compare", "loglinear chao"), ("sensitivity", ""))
    },
    ("link", "plan"): ["missing.toml", "empty.toml", "broken.toml", "other-bytes.toml", "folder.toml", "plan.toml"],
    ("link", "out"): [f"plan.toml --out {place}" for place in ("x.csv", "no/such/x.html", "good.csv/x.html")],
    ("init", "out"): [f"good.csv --out {place}" for place in (
        "x.csv", "no/such/x.toml", "folder.toml", "empty.toml", "good.csv/x.toml",
    )],
    ("sensitivity", "estimator"): ["uk_5 --estimator none", "uk_5 --estimator os:getcwd"],
    ("sensitivity", "settings"): ["uk_5 --set max_order=0", "uk_5 --set none=1", "uk_5 --set level"],
    ("sensitivity", "claim"): [
        *(f"uk_5 --claim '{claim}'" for claim in ("", "many", "more than", "between 5 and 3", "> 1e5", "NaN", "> -3"))
    ],
    ("sensitivity", "level"): [f"uk_5 {words}" for words in LEVELS],
    ("sensitivity", "seed"): [f"uk_5 {words}" for words in SEEDS],
    ("sensitivity", "workers"): [f"uk_5 {words}" for words in WORKERS],
    ("sensitivity", "out"): [f"uk_5 {words}" for words in OUT],
    ("validate", "out"): [f"--quick {words}" for words in OUT],
    ("validate", "workers"): [f"--quick {words}" for words in WORKERS],
    ("validate", "seed"): [f"--quick {words}" for words in SEEDS],
    ("simulate", "name"): [
        f"{name} --out new --seed 1" for name in ("none-such", "../x", "''")
    ] + ["like-uk"],
    ("simulate", "out"): [f"{name} --seed 1 {words}" for name in ("like-kosovo", "world", "--all") for words in OUT],
    ("simulate", "seed"): [f"like-kosovo --out new {words}" for words in SEEDS],
    ("simulate", "size"): [
        f"{name} --out new --seed 1 --size {size}"
        for name, size in (("like-kosovo", 0), ("like-kosovo", -5), ("like-kosovo", "1e6"), ("world", "NaN"))
    ] + [f"like-kosovo --out new --seed 1 --size {'9' * 30}", f"world --out new --seed 1 --size {'9' * 30}"],
    ("simulate", "workers"): [f"like-kosovo --out new --seed 1 {words}" for words in WORKERS],
    ("warm", "workers"): WORKERS,
    **{(name, "table"): [f"{shlex.quote(table)}{rest}" for table in TABLES] for name, rest in (
        ("describe", ""), ("estimate", ""), ("compare", " chao loglinear"), ("sensitivity", ""),
        ("init", " --out new.toml"),
    )},
}  # fmt: skip


def parameters() -> list[tuple[str, Any]]:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return [(name, parameter) for name, command in sorted(commands.items()) for parameter in command.params]


FLAGS = [(name, p) for name, p in parameters() if getattr(p, "is_flag", False)]
VALUES = [(name, p) for name, p in parameters() if not getattr(p, "is_flag", False)]


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that is not a table, no plan and no run."""
    for name, content in NO_TABLE.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "good.csv").write_bytes(GOOD)
    for name in ("folder.csv", "folder.png", "folder.parquet", "folder.toml", "empty", "broken-run"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken-run" / "manifest.json").write_text("{")
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "broken.toml").write_text("[data\n")
    (tmp_path / "other-bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "odd.toml").write_text("data = 3\nestimators = [1]\nseed = 'x'\n")
    for name in ("pipe.csv", "pipe.toml"):
        os.mkfifo(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(run: Run, words: list[str]) -> str:
    """Run a command that must be refused at once, in one line that steers no terminal."""
    before = sorted(Path().rglob("*"))
    with bounded():
        answer = run(*words)
    assert (answer.code, answer.out) == (2, ""), (words, answer)
    assert answer.err.startswith("hiddenpop: error: ")
    assert answer.err.count("\n") == 1
    assert answer.err[:-1].isprintable()
    assert not [
        path for path in Path().rglob("*") if path.is_file() and path not in before and path.name != "key"
    ]
    return str(answer.err)


def test_every_option_that_takes_a_value_has_bad_ones() -> None:
    assert sorted((name, p.name) for name, p in VALUES) == sorted(BAD)


@pytest.mark.parametrize("case", BAD, ids="-".join)
def test_bad_values(run: Run, workshop: Path, case: tuple[str, str]) -> None:
    for words in BAD[case]:
        refused(run, [case[0], *shlex.split(words)])


@pytest.mark.parametrize(("name", "parameter"), FLAGS, ids=lambda value: getattr(value, "name", value))
def test_a_flag_takes_no_value(run: Run, workshop: Path, name: str, parameter: Any) -> None:
    assert "does not take a value" in refused(run, [name, f"{parameter.opts[0]}=yes"])


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, p) for name, p in VALUES if p.opts[0].startswith("--")],
    ids=lambda value: getattr(value, "name", value),
)
def test_an_option_without_its_value(run: Run, workshop: Path, name: str, parameter: Any) -> None:
    assert "requires an argument" in refused(run, [name, parameter.opts[0]])


@pytest.mark.parametrize("name", sorted({name for name, _ in parameters()} | {"estimators"}))
def test_a_word_too_many_or_an_option_that_is_not_there(run: Run, workshop: Path, name: str) -> None:
    assert "No such option" in refused(run, [name, "--none-such"])
    if name != "compare":
        refused(run, [name, "one", "two", "three"])
