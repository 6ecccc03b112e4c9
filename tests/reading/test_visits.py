"""Lists that hold numbers of visits, names of lists that stand beside each other, and numbers of records."""

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.reading.test_cases import read

from hiddenpop.cli import main
from hiddenpop.errors import ConstantListWarning, TableError
from hiddenpop.runs import read_plan
from hiddenpop.table import CaptureTable

LISTS = ("police", "shelter", "clinic")
VISITS = [(i % 4, i // 4 % 3, i * 5 % 7 % 5) for i in range(1, 96)]
TOTALS = {name: sum(row[place] > 0 for row in VISITS) for place, name in enumerate(LISTS)}
OBSERVED = sum(any(row) for row in VISITS)


def written(folder: Path, text: str) -> Path:
    (folder / "mine.csv").write_text(text, "utf-8")
    return folder / "mine.csv"


def wide(names: str, cells: "object") -> str:
    return f"{names}\n" + "".join(cells(place, row) + "\n" for place, row in enumerate(VISITS))  # type: ignore[operator]


def plain(row: tuple[int, ...]) -> str:
    return ",".join(map(str, row))


WIDE = {
    "persons": (wide(",".join(LISTS), lambda i, row: plain(row)), "--visits presence"),
    "a number of each person": (
        wide(f"client,{','.join(LISTS)}", lambda i, row: f"NL-{i:05},{plain(row)}"),
        f"--visits presence --lists {','.join(LISTS)}",
    ),
    "their sum": (
        wide(f"{','.join(LISTS)},total", lambda i, row: f"{plain(row)},{sum(row)}"), "--visits presence",
    ),
    "strata": (
        wide(f"sex,{','.join(LISTS)}", lambda i, row: f"{'fm'[i % 2]},{plain(row)}"), "--visits presence",
    ),
    "decimals": (
        wide(";".join(LISTS), lambda i, row: ";".join(f"{n},0" for n in row)), "--visits presence",
    ),
    "a row many visits": (
        wide(f"client,{','.join(LISTS)}", lambda i, row: f"NL-{i % 95:05},{plain(row)}")
        + "NL-00001,0,0,0\n",
        "--visits presence --person client",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WIDE)
def test_numbers_of_visits_are_asked_and_never_read_in_silence(name: str, tmp_path: Path) -> None:
    text, typed = WIDE[name]
    path = written(tmp_path, text)
    with pytest.raises(TableError, match=r"holds whole numbers above 1, in .* say .*--visits presence"):
        read(path)
    table = read(path, typed)
    assert table.list_totals.to_dict() == TOTALS
    assert table.n_observed == OBSERVED
    assert "of the numbers in lists, every one above 0 was read as being on the list" in table.reading.notes


def test_of_visits_a_blank_is_none_where_no_list_says_0(tmp_path: Path) -> None:
    blanks = wide(",".join(LISTS), lambda i, row: ",".join(str(n or "") for n in row))
    table = read(written(tmp_path, blanks), "--visits presence")
    assert table.list_totals.to_dict() == TOTALS
    assert "a list that is blank or NA in a row was read as 0, as no list says 0" in table.reading.notes
    mixed = wide(",".join(LISTS), lambda i, row: ",".join(str(n or ("" if i % 9 == 0 else 0)) for n in row))
    with pytest.raises(TableError, match="is missing"):
        read(written(tmp_path, mixed), "--visits presence")


@pytest.mark.parametrize("wrong", ["-1", "1.5", "<10", "vaak", "?"])
def test_what_is_no_number_of_visits_is_refused(wrong: str, tmp_path: Path) -> None:
    text = wide(
        ",".join(LISTS), lambda i, row: ",".join([*map(str, row[:2]), wrong if i == 7 else str(row[2])])
    )
    with pytest.raises(TableError, match=r"column 'clinic' holds values other than 0 and 1: row 8 holds"):
        read(written(tmp_path, text), "--visits presence")


def test_a_choice_that_is_none_and_two_that_clash_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, WIDE["persons"][0])
    with pytest.raises(TableError, match="visits='twice'; say 'presence'"):
        CaptureTable.read(path, visits="twice")
    with pytest.raises(TableError, match="yes and visits both say"):
        CaptureTable.read(path, visits="presence", yes="1")


def test_a_fault_that_the_option_does_not_mend_is_told_with_the_others(tmp_path: Path) -> None:
    path = written(tmp_path, "police,shelter,count\n1,0,4\n0,2,5\n1,1,-3\n")
    with pytest.raises(TableError, match=r"(?s)2 faults in the table.*row 2 holds 2.*row 3 holds -3"):
        read(path)


def test_a_number_beside_lists_is_offered_as_visits(tmp_path: Path) -> None:
    rows = "".join(f"{i % 2},{i // 2 % 2},{i * 3 % 11}\n" for i in range(60))
    path = written(tmp_path, f"police,shelter,clinic\n{rows}")
    with pytest.raises(TableError, match=r"--visits presence --lists police,shelter,clinic"):
        read(path)
    assert read(path, "--visits presence --lists police,shelter,clinic").n_lists == 3


LONG = [(f"NL-{i:05}", name, VISITS[i][place]) for i in range(95) for place, name in enumerate(LISTS)]


@pytest.mark.parametrize(
    "form", [str, lambda n: f"{n}.0", lambda n: str(min(n, 1)), lambda n: "ja" if n else "nee"]
)
def test_a_number_for_each_person_and_list_leaves_out_rows_with_0(form: "object", tmp_path: Path) -> None:
    rows = "".join(f"{who},{where},{form(n)}\n" for who, where, n in LONG)  # type: ignore[operator]
    path = written(tmp_path, f"client,source,times\n{rows}")
    with pytest.raises(TableError, match="say --count times or --count none"):
        read(path, "--person client --list source")
    table = read(path, "--person client --list source --count times")
    assert (table.list_totals.to_dict(), table.n_observed) == (TOTALS, OBSERVED)
    assert any("rows left out, in which times says 0" in note for note in table.reading.notes)
    assert table.reading.roles["times"] == "count"
    with pytest.warns(ConstantListWarning):
        assert read(path, "--person client --list source --count none").n_observed == 95


@pytest.mark.parametrize("wrong", ["", "-1", "1.5", "often", "<10"])
def test_a_number_of_registrations_that_is_none_is_refused_with_its_row(wrong: str, tmp_path: Path) -> None:
    rows = "".join(f"{who},{where},{wrong if i == 4 else n}\n" for i, (who, where, n) in enumerate(LONG))
    path = written(tmp_path, f"client,source,times\n{rows}")
    with pytest.raises(TableError, match=r"column 'times' must say in whole numbers .* in 1 row \(5\)"):
        read(path, "--person client --list source --count times")


# --- names of lists beside each other ---


def named(row: tuple[int, ...]) -> list[str]:
    held = [name for name, n in zip(LISTS, row, strict=True) if n]
    return [*held, *[""] * (3 - len(held))]


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=st.permutations(range(3)),
    person=st.sampled_from(["", "client"]),
    missing=st.sampled_from(["", "NA", "-"]),
    change=st.sampled_from([str, str.upper]),
)
def test_names_of_lists_beside_each_other_are_lists(
    tmp_path: Path, order: list[int], person: str, missing: str, change: "object"
) -> None:
    names = [f"register{place}" for place in (1, 2, 3)]
    head = ",".join([*([person] if person else []), *names])
    rows = []
    for i, row in enumerate(VISITS):
        cells = [named(row)[place] or missing for place in order]
        if i % 2:
            cells = [change(cell) for cell in cells]  # type: ignore[operator]
        rows.append(",".join([*([f"NL-{i:05}"] if person else []), *cells]))
    path = written(tmp_path, "\n".join([head, *rows]))
    missing_is_a_name = missing == "-"
    if missing_is_a_name:
        return
    typed = f"--list {','.join(names)}"
    with pytest.raises(TableError, match=f"{typed}$"):
        read(path)
    table = read(path, f"--person client {typed}" if person else typed)
    totals = {name.casefold(): n for name, n in table.list_totals.items()}
    assert (totals, table.n_observed) == (TOTALS, OBSERVED)


def test_names_beside_each_other_with_counts(tmp_path: Path) -> None:
    text = "reg1,reg2,n\npolice,,61\nshelter,,84\npolice,shelter,18\nclinic,,9\nclinic,police,6\nclinic,shelter,7\n"
    path = written(tmp_path, text)
    with pytest.raises(TableError, match=r"may each name a list that the row is on: say --list reg1,reg2$"):
        read(path)
    table = read(path, "--list reg1,reg2")
    assert table.list_totals.to_dict() == {"police": 85, "shelter": 109, "clinic": 22}
    assert table == CaptureTable.read(path, list=["reg1", "reg2"])
    assert "the lists of a row are named in reg1, reg2: police, shelter, clinic" in table.reading.notes


def test_one_of_several_columns_of_names_is_said_to_have_another_beside_it(tmp_path: Path) -> None:
    rows = "".join(f"NL-{i:05},{','.join(named(row)[:2])}\n" for i, row in enumerate(VISITS))
    path = written(tmp_path, f"client,reg1,reg2\n{rows}".replace(",,\n", ",police,\n"))
    notes = read(path, "--person client --list reg1").reading.notes
    assert "reg2 holds names that reg1 holds too; if it names lists as well, say --list reg1,reg2" in notes
    read(path, "--person client --list reg1,reg2")


@pytest.mark.parametrize(
    ("text", "typed", "told"),
    [
        ("reg1,reg2\n" + "1,0\n0,1\n1,1\n" * 9, "--list reg1,reg2", "name such columns with --lists"),
        (
            "naam,reg1,reg2\n" + "".join(f"p{i},Jansen {i},De Vries {i}\n" for i in range(30)),
            "--list reg1,reg2",
            "does not seem to name lists: there are 60 different values in 60 cells",
        ),
        ("reg1,reg2\na,b\nb,\na,\n", "--list reg1,reg3", "reg3"),
        (
            "reg1,wie\n" + "".join(f"{'ab'[i % 2]},Jansen{'abcdefghijklmnop'[i % 16]}\n" for i in range(96)),
            "--list reg1,wie",
            "does not seem to name lists",
        ),
        (
            "reg1,v1\n" + "".join(f"{'ab'[i % 2]},Jansen{'abcdefghijklmnop'[i % 16]}\n" for i in range(96)),
            "--list reg1,v1",
            "does not seem to name lists",
        ),
    ],
)
def test_columns_that_name_no_lists_are_refused(text: str, typed: str, told: str, tmp_path: Path) -> None:
    with pytest.raises((TableError, KeyError), match=told) as error:
        read(written(tmp_path, text), typed)
    assert "Jansen" not in str(error.value)


def test_numbers_of_records_say_who_is_on_a_list(tmp_path: Path) -> None:
    text = wide(
        f"naam,{','.join(LISTS)}",
        lambda i, row: (
            f"persoon {i}," + ",".join(f"{'PSC'[p]}{1000 + 7 * i}" * (n > 0) for p, n in enumerate(row))
        ),
    )
    path = written(tmp_path, text)
    with pytest.raises(
        TableError, match=f"as numbers of records are.* say --lists {','.join(LISTS)}$"
    ) as told:
        read(path)
    table = read(path, f"--lists {','.join(LISTS)}")
    assert table.list_totals.to_dict() == TOTALS
    assert "P10" not in str(told.value) + str(table.reading)


# --- in plans, and on the command line ---


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (WIDE["persons"][0], "--visits presence"),
        ("client,source,times\n" + "".join(f"{a},{b},{n}\n" for a, b, n in LONG),
         "--person client --list source --count times"),
        ("r1,r2,r3\n" + "".join(",".join(named(row)) + "\n" for row in VISITS), "--list r1,r2,r3"),
    ],
)  # fmt: skip
def test_the_command_line_and_plans_take_them(
    text: str, typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    path, plan = written(tmp_path, text), tmp_path / "analysis.toml"
    assert main(["describe", str(path), *shlex.split(typed), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["reading"]["notes"] == list(read(path, typed).reading.notes)
    assert main(["init", str(path), "--out", str(plan), *shlex.split(typed)]) == 0
    plan.write_text(plan.read_text("utf-8").replace('population = ""', 'population = "All"'), "utf-8")
    table = read_plan(plan).table
    assert table.list_totals.to_dict() == TOTALS


CENSORED = "a,b,c,seen,below\n1,0,0,89,FALSE\n0,1,0,103,FALSE\n0,0,1,21,FALSE\n1,1,0,24,FALSE\n1,0,1,9,TRUE\n"


def test_a_column_that_marks_counts_as_bounds_is_named_on_the_command_line_and_in_plans(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, CENSORED)
    words = ["--count", "seen", "--censored", "below"]
    assert main(["describe", str(path), *words]) == 2
    told = capsys.readouterr()
    assert "counts seen; censored below." in " ".join(told.out.split())
    assert "(hiddenpop estimate FILE --estimator bayesian_loglinear)" in told.err
    plan = tmp_path / "analysis.toml"
    plan.write_text('[data]\nfile = "mine.csv"\ncount = "seen"\ncensored = "below"\n', "utf-8")
    right = CaptureTable.read(path, count="seen", censored="below")
    assert right.censored.tolist() == [False, False, False, False, True]
    assert right.to_frame()["censored"].sum() == 1
    assert read(path, "--count seen --censored below") == right


def test_a_column_of_marks_that_is_none_is_refused_with_its_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, CENSORED.replace("9,TRUE", "9,maybe"))
    assert main(["describe", str(path), "--count", "seen", "--censored", "below"]) == 2
    assert "must say true or false, which it does not in row 5" in capsys.readouterr().err
