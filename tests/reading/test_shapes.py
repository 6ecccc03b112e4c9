"""Shapes beside one row a cell: lists joined in a cell, MARK, totals by stratum, several tables, large Excel files."""

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.reading.test_cases import ways_out

from hiddenpop.cli import main
from hiddenpop.errors import TableError
from hiddenpop.reading import files
from hiddenpop.runs import read_plan
from hiddenpop.runs.initial import initial_plan
from hiddenpop.table import CaptureTable

NAMES = ("politie", "opvang", "kliniek", "GGD Noord")
COUNTS = (1089, 24, 103, 27, 29, 13, 21, 5, 8, 17, 31, 2, 44, 6, 3)
SIGNS = ("+", " + ", ",", ", ", ";", " & ", "|", "/", " en ", " and ", " und ", " \u2229 ")
ONLY = ("{}", "{} only", "only {}", "alleen {}", "{} alleen")


def table_of(names: Sequence[str]) -> CaptureTable:
    """All combinations of lists, the first of these in the highest place of the counts."""
    rows = [[*bits, n] for bits, n in zip(bits_of(len(names)), COUNTS, strict=False)]
    return CaptureTable.from_counts(pd.DataFrame(rows, columns=[*names, "count"]), lists=list(names))


def bits_of(n: int) -> list[tuple[int, ...]]:
    return [bits for bits in itertools.product((1, 0), repeat=n) if any(bits)]


def same(found: CaptureTable, right: CaptureTable) -> bool:
    """Whether the cells are the same, in whatever order the lists are met."""
    names = [*right.lists]
    frames = [table.to_frame().sort_values(names)[[*names, "count"]] for table in (found, right)]
    return set(found.lists) == set(names) and frames[0].to_numpy().tolist() == frames[1].to_numpy().tolist()


def labels(names: Sequence[str], sign: str, only: str = "{}") -> list[str]:
    held = ([name for name, on in zip(names, bits, strict=True) if on] for bits in bits_of(len(names)))
    return [only.format(on[0]) if len(on) == 1 else sign.join(on) for on in held]


def written(folder: Path, text: str, name: str = "mine.csv") -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder / name


def lines(header: str, rows: Sequence[Sequence[object]], separator: str = ",") -> str:
    return pd.DataFrame([header.split(","), *rows]).to_csv(index=False, header=False, sep=separator)


@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    n=st.integers(2, 4),
    sign=st.sampled_from(SIGNS),
    only=st.sampled_from(ONLY),
    everybody=st.sampled_from([None, "Both", "beide", "alle"]),
    nobody=st.sampled_from([None, "", "Neither", "geen"]),
    separator=st.sampled_from([",", ";", "\t"]),
    head=st.sampled_from(["lists,count", "area,n", "combinatie,aantal", "x,Freq"]),
    wide=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_lists_joined_in_a_cell_are_lists(
    tmp_path: Path,
    n: int,
    sign: str,
    only: str,
    everybody: str | None,
    nobody: str | None,
    separator: str,
    head: str,
    wide: bool,
    order: "object",
) -> None:
    names = NAMES[:n]
    cells = [*zip(labels(names, sign, only), map(str, COUNTS), strict=False)]
    if everybody is not None:
        cells[0] = (everybody, cells[0][1])
    if nobody is not None and not (wide and nobody == ""):
        cells.append((nobody, "?"))
    order.shuffle(cells)  # type: ignore[attr-defined]
    assume(not wide or n < 4)
    if wide:
        text = pd.DataFrame([list(part) for part in zip(*cells, strict=True)]).to_csv(
            index=False, header=False, sep=separator
        )
    else:
        text = lines(head, cells, separator)
    table = CaptureTable.read(written(tmp_path, text))
    assert same(table, table_of(names))
    assert table.reading is not None
    assert any("were cut into" in note or "beside each other" in note for note in table.reading.notes)


@pytest.mark.parametrize("wide", [False, True])
def test_letters_joined_are_lists(tmp_path: Path, wide: bool) -> None:
    cells = [*zip(labels("ABC", ""), COUNTS, strict=False)]
    text = (
        pd.DataFrame([list(part) for part in zip(*cells, strict=True)]).to_csv(index=False, header=False)
        if wide
        else lines("cell,n", cells)
    )
    assert same(CaptureTable.read(written(tmp_path, text)), table_of("ABC"))
    assert same(CaptureTable.read(dict(cells)), table_of("ABC"))


def test_lists_of_a_person_in_one_cell(tmp_path: Path) -> None:
    held = labels(NAMES[:3], ", ")
    rows = [[f"K{i:05}", held[i % 7]] for i in range(70)]
    path = written(tmp_path, lines("client,lists", rows))
    right = dict.fromkeys(range(1, 8), 10)
    for options in ({"person": "client"}, {"person": "client", "list": "lists"}):
        table = CaptureTable.read(path, **options)
        assert dict(zip(table.histories.tolist(), table.counts.tolist(), strict=True)) == right
        assert set(table.lists) == set(NAMES[:3])
    assert CaptureTable.read(written(tmp_path, lines("lists", [row[1:] for row in rows]))).n_observed == 70


def test_a_sign_that_is_a_part_of_a_name_cuts_nothing(tmp_path: Path) -> None:
    rows = [[f"K{i % 40:05}", ("GGD/GGZ", "politie", "Leger des Heils, Den Haag")[i % 3]] for i in range(60)]
    table = CaptureTable.read(written(tmp_path, lines("client,where", rows)), person="client", list="where")
    assert table.lists == ("GGD/GGZ", "Leger des Heils Den Haag", "politie")
    assert table.reading is not None
    assert "taken out of the names of lists: Leger des Heils Den Haag" in "".join(table.reading.notes)


def test_what_is_beside_lists_is_a_label_or_a_stratum(tmp_path: Path) -> None:
    text = "a,b,place,n\n" + "".join(
        f"{a},{b},{place},{n}\n"
        for place, n in (("noord", 5), ("zuid", 7), ("noord en zuid", 3))
        for a, b in ((1, 0), (0, 1), (1, 1))
    )
    table = CaptureTable.read(written(tmp_path, text))
    assert (table.lists, table.n_observed) == (("a", "b"), 45)
    assert table.strata["place"].nunique() == 3


@pytest.mark.parametrize(
    "name",
    [
        lambda i: f"{'ABCDEFGH'[i % 8]}anders, {'KLMN'[i % 4]}iek",
        lambda i: f"{'ABC'[i % 3]}l/{'XYZ'[i // 3 % 3]}k",
    ],
)
def test_names_of_persons_are_not_cut_whatever_is_typed(tmp_path: Path, name: Callable[[int], str]) -> None:
    path = written(tmp_path, lines("v1,n", [[name(i), 1 + i] for i in range(24)]))
    for split in (None, ",", "/"):
        with pytest.raises(TableError) as told:
            CaptureTable.read(path, split=split)
        assert "anders" not in str(told.value)
        assert "Xk" not in str(told.value)


def test_a_split_that_cuts_nothing_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,n\n1,0,5\n0,1,6\n1,1,3\n")
    with pytest.raises(TableError, match=r"--split \+: no cell names several lists so"):
        CaptureTable.read(path, split="+")
    with pytest.raises(TableError, match="split is blank"):
        CaptureTable.read(path, split=" ")


# --- MARK ---

MARK = "/* Brussel,\n2019 */\n" + "".join(
    f"{''.join(map(str, bits))} {n};\n" for bits, n in zip(bits_of(3), COUNTS, strict=False)
)


def test_histories_of_mark(tmp_path: Path) -> None:
    names = ["list1", "list2", "list3"]
    assert CaptureTable.read(written(tmp_path, MARK, "mine.inp")) == table_of(names)
    assert CaptureTable.read(written(tmp_path, MARK.replace(";\n", " ; "), "mine.inp")) == table_of(names)
    assert CaptureTable.read(tmp_path / "mine.inp", lists=NAMES[:3]).lists == NAMES[:3]


def test_groups_of_mark_are_a_stratum(tmp_path: Path) -> None:
    table = CaptureTable.read(written(tmp_path, "10 61 6;\n01 84 0;\n11 18 7;", "mine.inp"))
    assert table.select(group="group 2").counts.tolist() == [6, 7]
    assert table.select(group="group 1").counts.tolist() == [61, 84, 18]


@pytest.mark.parametrize(("groups", "tail"), [(1, "1 {}"), (1, "1 {} 0"), (2, "1 0 {}"), (2, "0 1 {}")])
def test_persons_of_mark_with_covariates(tmp_path: Path, groups: int, tail: str) -> None:
    text = "".join(f"{('10', '01', '11')[i % 3]} {tail.format(20 + i / 2)};\n" for i in range(30))
    if groups == 2:
        text += f"10 {tail[2]} {tail[0]} 7.5;\n"  # one person of the other group
    table = CaptureTable.read(written(tmp_path, text, "mine.inp"))
    assert table.n_observed == 30 + (groups == 2)
    assert (table.strata.shape[1], table.strata.nunique().sum()) == ((1, 2) if groups == 2 else (0, 0))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("10 5\n01 6\n", "none does; put one behind every record"),
        ("10 5;\n01 6\n", "the last does not; put one behind every record"),
        ("10 5;\n0. 6;\n", "record 2 does not begin with a history of 0 and 1"),
        ("10 5;\n011 6;\n", "record 2 does not begin with a history of 0 and 1"),
        ("10 5;\n01;\n", "record 2 has no count"),
        ("10 5;\n01 6 7;\n", "record 2 has another number of counts"),
        ("10 5;\n01 Jansen;\n", "record 2 holds something else than numbers"),
        ("10 5;\n01 -6;\n", "record 2 has a count below 0"),
        ("10 5.5;\n01 6;\n", "numbers that are not whole"),
        ("/* nothing */", "none does"),
        ("10 nan;", "something else than numbers"),
    ],
)
def test_what_mark_could_not_read_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(TableError, match=told) as error:
        CaptureTable.read(written(tmp_path, text, "mine.inp"))
    assert "Jansen" not in str(error.value)


# --- totals of two lists ---


@pytest.mark.parametrize("names", ["n1,n2,m", "N1,N2,M2", "n1,n2,n12", "M,C,R"])
def test_the_totals_of_two_lists_in_strata(tmp_path: Path, names: str) -> None:
    text = (
        f"region;{names.replace(',', ';')}\nnorth;1.200;1.150;140\nsouth;100;50;4\nTotaal;1.300;1.200;144\n"
    )
    table = CaptureTable.read(written(tmp_path, text))
    assert table.select(region="north").counts.tolist() == [1060, 1010, 140]
    assert table.select(region="south").counts.tolist() == [96, 46, 4]


def test_totals_that_cannot_be_are_refused_with_their_row(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="at most either; row 2 does not hold such numbers"):
        CaptureTable.read(written(tmp_path, "year,n1,n2,m\n2018,20,15,4\n2019,10,5,6\n"))


# --- several tables in a file ---

TABLES = {
    "police": pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [61, 84, 18]}),
    "Blad 2": pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [6, 8, 7]}),
}
SUMS = (163, 21)


def write_below(path: Path, titles: bool) -> None:
    blocks = [
        (f"Tabel {name}\n\n" if titles else "") + frame.to_csv(index=False) for name, frame in TABLES.items()
    ]
    path.write_text("\n".join(blocks))


def write_sheets(path: Path, titles: bool) -> None:
    with pd.ExcelWriter(path) as book:
        for name, frame in TABLES.items():
            frame.to_excel(book, sheet_name=name, index=False, startrow=2 * titles)


@pytest.mark.parametrize("titles", [False, True])
@pytest.mark.parametrize(("write", "suffix"), [(write_below, ".csv"), (write_sheets, ".xlsx")])
def test_of_several_tables_one_is_asked_and_can_be_typed(
    tmp_path: Path,
    write: Callable[[Path, bool], None],
    suffix: str,
    titles: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / f"mine{suffix}"
    write(path, titles)
    assert main(["describe", str(path)]) == 2
    message = capsys.readouterr().err
    assert "the file holds 2 tables: say --sheet" in message
    for way, right in zip(ways_out(message.strip()), SUMS, strict=True):
        named = way.removeprefix("--sheet ").strip("'")
        assert CaptureTable.read(path, sheet=named).n_observed == right
        plan = initial_plan(path, {"sheet": named}, tmp_path / "analysis.toml")
        (tmp_path / "analysis.toml").write_text(
            plan.replace('population = ""', 'population = "All"'), "utf-8"
        )
        assert read_plan(tmp_path / "analysis.toml").table.n_observed == right
    assert CaptureTable.read(path, sheet=2).n_observed == SUMS[1]
    with pytest.raises(TableError, match=r"--sheet names no table of .*: it has 2 tables"):
        CaptureTable.read(path, sheet="none-such")


def test_only_one_of_several_tables_can_be_read(tmp_path: Path) -> None:
    text = TABLES["police"].to_csv(index=False) + "\nregion,people\nnorth,20\nsouth,30\n"
    with pytest.raises(TableError, match=r"holds 2 tables: say --sheet 1$"):
        CaptureTable.read(written(tmp_path, text))


def test_a_blank_row_within_a_table_and_notes_around_it_make_no_second_table(tmp_path: Path) -> None:
    text = "Bron,CBS\nJaar,2019\nPlaats,Brussel\n\na,b,count\n1,0,61\n\n0,1,84\n1,1,18\n\nBron: CBS\n"
    assert CaptureTable.read(written(tmp_path, text)).n_observed == SUMS[0]


def test_names_of_sheets_that_may_be_of_persons_are_not_shown(tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "mine.xlsx") as book:
        for place in range(2):
            TABLES["police"].to_excel(book, sheet_name=f"NL-{10_007 + place}", index=False)
    with pytest.raises(TableError, match="--sheet 1 or --sheet 2") as told:
        CaptureTable.read(tmp_path / "mine.xlsx")
    assert "1000" not in str(told.value)


# --- large Excel files ---


def test_merged_cells_of_a_large_excel_file_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["region", "a", "b", "count"])
    for place, region in enumerate(("north", "south")):
        for row, (a, b) in enumerate(((1, 0), (0, 1), (1, 1))):
            sheet.append([None if row else region, a, b, 10 * place + row + 1])
        sheet.merge_cells(start_row=2 + 3 * place, end_row=4 + 3 * place, start_column=1, end_column=1)
    sheet.merge_cells("A9:D9")
    book.save(tmp_path / "mine.xlsx")
    small = CaptureTable.read(tmp_path / "mine.xlsx")
    monkeypatch.setattr(files, "LARGE_EXCEL", 0)
    monkeypatch.setattr(files, "READ_BYTES", 7)
    assert CaptureTable.read(tmp_path / "mine.xlsx") == small
    assert small.select(region="south").counts.tolist() == [11, 12, 13]


# --- counts that are only upper bounds ---

BOUNDED = "a,b,c,count\n1,0,0,89\n0,1,0,103\n0,0,1,21\n1,1,0,24\n1,0,1,29\n0,1,1,<15\n1,1,1,27\n"


@pytest.mark.parametrize(
    "command", ["describe {}", "estimate {}", "estimate {} --estimator chao", "compare {} chao loglinear"]
)
def test_of_counts_below_a_bound_the_reading_is_said_and_then_the_estimator_that_takes_them(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, BOUNDED)
    assert main(command.format(path).split()) == 2
    told = capsys.readouterr()
    assert "1 count, such as <10, read as an upper bound only." in told.out
    assert "(hiddenpop estimate FILE --estimator bayesian_loglinear)" in told.err
    assert main([*command.format(path).split(), "--json"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.parametrize("strata", [False, True])
def test_the_estimator_that_a_refusal_of_bounds_names_takes_them(
    strata: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = BOUNDED.splitlines()
    by_sex = [f"sex,{rows[0]}", *(f"{sex},{row}" for sex in "fm" for row in rows[1:])]
    path = written(tmp_path, "\n".join(by_sex if strata else rows))
    words = ["estimate", str(path), "--estimator", "bayesian_loglinear", "--seed", "1"]
    assert main(words) == 0
    assert "is not judged: it has counts that are only upper bounds." in " ".join(
        capsys.readouterr().out.split()
    )
    assert main([*words, "--json", "--show-small-counts"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_hat"] >= found["n_observed"]
