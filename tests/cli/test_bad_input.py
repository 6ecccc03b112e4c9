"""Every way to ask wrongly: one clear line on stderr, nothing on stdout, and the exit code that says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
        ("describe irregular_migrants", "'irregular_migrants' holds repeat counts of one register"),
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
            "3 faults in the table: column 'a' holds values other than 0 and 1",
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

    monkeypatch.setattr("hiddenpop.cli.inputs.load", fail)
    answer = run("describe", "korea")
    assert answer == (2, "", "hiddenpop: error: korea: Permission denied; check the name and the folder\n")


def test_interrupted_work_ends_quietly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hiddenpop.cli.inputs.load", interrupt)
    answer = run("describe", "korea")
    assert (answer.code, answer.out, answer.err) == (130, "", "")
