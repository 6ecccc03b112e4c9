import ast
import csv
import os
import stat
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from hiddenpop._files import whole, write_file, write_text
from hiddenpop.errors import TableError
from hiddenpop.table import CaptureTable


@pytest.fixture
def counts():
    return pd.DataFrame(
        {
            "police": [1, 0, 1, 0, 1],
            "shelter": [0, 1, 1, 0, 0],
            "care": [0, 0, 0, 1, 0],
            "region": ["north", "north", "north", "south", "south"],
            "count": [40, 25, 12, 3, 7],
        }
    )


@pytest.fixture
def table(counts):
    return CaptureTable.from_counts(counts, strata=["region"], public=True)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_public_table_survives_a_file(table, tmp_path, suffix):
    path = tmp_path / f"open.{suffix}"
    table.write(path)
    again = CaptureTable.read(path)
    assert again == table
    assert again.name == "open"
    assert again.public is False
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_censoring_survives_a_file(counts, tmp_path, suffix):
    frame = counts.assign(low=[True, False, False, False, True])
    table = CaptureTable.from_counts(frame, strata=["region"], censored="low", public=True)
    table.write(tmp_path / f"t.{suffix}")
    assert CaptureTable.read(tmp_path / f"t.{suffix}") == table


@pytest.mark.parametrize(("suffix", "reader"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_small_counts_of_other_tables_do_not_leave(table, tmp_path, suffix, reader):
    secret, path = table.with_meta(public=False), tmp_path / f"t.{suffix}"
    secret.write(path)
    assert reader(path)["count"].tolist() == ["40", "25", "12", "<10", "<10"]
    again = CaptureTable.read(path)
    assert again.censored.tolist() == [False, False, False, True, True]
    assert again.counts.tolist() == [40, 25, 12, 9, 9]
    secret.write(path, threshold=30)
    assert reader(path)["count"].tolist() == ["40", "<30", "<30", "<30", "<30"]
    secret.write(path, show_small_counts=True)
    assert reader(path)["count"].tolist() == [40, 25, 12, 7, 3]


def test_a_failed_write_leaves_the_old_file_whole(table, tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    path.write_text("old")

    def fail(_, draft, **__):
        draft.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.raises(TableError, match=r"cannot write .*No space left on device"):
        table.write(path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_a_file_that_cannot_be_written_says_why(table, tmp_path):
    with pytest.raises(TableError, match=r"its suffix is '.ods'; choose .csv, .xlsx or .parquet"):
        table.write(tmp_path / "t.ods")
    with pytest.raises(TableError, match=r"cannot write .*choose a folder you can write"):
        table.write(tmp_path / "nowhere" / "t.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.docx", b"", r"its suffix is '.docx'; give a file that ends in .csv, .tsv"),
        ("t.csv", b"", "cannot read .* as csv: "),
        ("t.csv", b"a,b,count\n", "holds no rows; there is nobody to count"),
        ("t.csv", b"a,b,count\n1,0,3,9\n", "cannot read .*: row 1 has more cells than there are names"),
        ("t.csv", b"a,b\xff,count\n1,0,3\n", "is not UTF-8, UTF-16 or Latin-1 text; save it again as UTF-8"),
        ("t.csv", b"a,b,a\n1,0,0\n0,1,1\n", "more than one column is called 'a'"),
        ("t.csv", b"a,,count\n1,0,3\n0,1,4\n", "a list or covariate cannot be called ''"),
        (
            "t.csv",
            b"a,b,count\n1,0,3\nyes,1,4\n",
            "column 'a' holds values other than 0 and 1: row 2 holds 'yes'",
        ),
        (
            "t.csv",
            b"a,b,count\n1,0,3\n,1,4\n",
            "column 'a' holds values other than 0 and 1: row 2 is missing",
        ),
        ("t.parquet", b"nothing", "cannot read .* as parquet: "),
    ],
)
def test_a_file_that_is_no_table_says_why(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message) as caught:
        CaptureTable.read(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(TableError, match=f"there is no file .*{name}; check the name"):
        CaptureTable.read(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "a,b,place,count\n1,0,north,3\n0,1,NA,4\n",
        "\ufeffa;b;place;count\r\n1;0;north;3\r\n0;1;NA;4\r\n",
        "a\tb\tplace\tcount\n1\t0\tnorth\t3\n0\t1\tNA\t4\n",
        "a, b, place, count\n1.0, 0.0, north, 3\n0.0, 1.0, NA, 4\n",
        "a,b,place,count\nTrue,False,north,3\nFalse,True,NA,4\n",
    ],
)
def test_csv_files_of_many_makes_are_read_alike(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    frame = CaptureTable.read(tmp_path / "t.csv").to_frame()
    assert frame.to_dict("list") == {"a": [1, 0], "b": [0, 1], "place": ["north", "unknown"], "count": [3, 4]}


def test_strata_that_are_named_keep_their_zeros(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,postcode,n\n1,0,007,3\n0,1,012,4\n")
    table = CaptureTable.read(tmp_path / "t.csv", count="n", strata=["postcode"])
    assert table.strata["postcode"].tolist() == ["007", "012"]


def test_a_file_without_counts_has_a_row_a_person(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,sex\n1,0,f\n1,0,f\n0,1,m\n")
    assert CaptureTable.read(tmp_path / "t.csv").counts.tolist() == [2, 1]
    with pytest.raises(TableError, match="column 'sex' can only mark counts as censored"):
        CaptureTable.read(tmp_path / "t.csv", censored="sex")


def test_a_column_of_identities_does_not_become_strata(tmp_path):
    rows = "".join(f"1,{number % 2},P{number:03}\n" for number in range(20))
    (tmp_path / "t.csv").write_text("a,b,who\n" + rows)
    with pytest.raises(
        TableError, match=r"column 'who' looks like what tells persons apart.* --lists a,b"
    ) as caught:
        CaptureTable.read(tmp_path / "t.csv")
    with pytest.raises(TableError, match="column 'who' has 20 levels for 20 rows, like a name"):
        CaptureTable.read(tmp_path / "t.csv", strata=["who"])
    assert "P001" not in str(caught.value)


# --- files written whole ---


def rights(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_draft_is_its_owners_alone_and_cannot_be_foreseen(tmp_path):
    seen = set()
    for private in (True, False):
        with whole(tmp_path / "t.csv", private=private) as draft:
            assert rights(draft) == 0o600
            assert draft.parent == tmp_path
            assert draft.name.startswith(".t.csv.")
            assert draft.name.endswith(".part")
            seen.add(draft.name)
        assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert len(seen) == 2
    assert not any(str(os.getpid()) == name.split(".")[-2] for name in seen)


def test_a_link_in_the_place_of_a_draft_or_a_file_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".t.txt.{os.getpid()}.part").symlink_to(victim)
    (tmp_path / "t.txt").symlink_to(victim)
    write_text("new", tmp_path / "t.txt")
    assert victim.read_text() == "mine"
    assert (tmp_path / "t.txt").read_text() == "new"
    assert not (tmp_path / "t.txt").is_symlink()


def test_a_file_has_the_rights_that_it_had_or_those_of_a_new_one(tmp_path):
    before = os.umask(0o027)
    try:
        write_text("a", tmp_path / "t.txt")
        assert rights(tmp_path / "t.txt") == 0o640
        (tmp_path / "t.txt").chmod(0o600)
        write_text("b", tmp_path / "t.txt")
        assert rights(tmp_path / "t.txt") == 0o600
        assert os.umask(0o027) == 0o027
        write_text("c", tmp_path / "s.txt", private=True)
        assert rights(tmp_path / "s.txt") == 0o600
    finally:
        os.umask(before)


WRITES = {
    "to_csv",
    "to_excel",
    "to_parquet",
    "to_json",
    "savefig",
    "write_text",
    "write_bytes",
    "mkstemp",
    "savez",
}
ON_DRAFTS = {"hiddenpop/_files.py", "hiddenpop/keys.py"}
KNOWN = {
    "hiddenpop/plotting/files.py": {"savefig"},  # on a draft
    "hiddenpop/synthetic/world/files.py": {"write_text"},  # on a draft
    "hiddenpop/store.py": {"write_bytes", "savez"},  # on a draft; into memory
    "hiddenpop/report/pdf.py": {"write_bytes", "write_text"},  # into a folder of its own that is gone
    "hiddenpop/reading/files.py": {"write_bytes"},
}


def test_files_are_written_in_one_place():
    """A method that writes is called on drafts alone, and a file is opened for writing in one module."""
    root = Path(__file__).parents[1] / "src"
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root).as_posix()
        if place in ON_DRAFTS:
            continue
        called = [
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        ]
        assert WRITES & set(called) <= KNOWN.get(place, set()), place


# --- texts that a spreadsheet would work out ---

FORMULAS = ["=1+1", "+31", "-", "@home", "=cmd|'/c calc'!A0", "'=x"]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
def test_levels_that_a_spreadsheet_would_work_out_come_back_as_they_were(suffix, tmp_path):
    frame = pd.DataFrame(
        {"a": [1, 1, 0, 0, 1, 1], "b": [0, 1, 1, 1, 0, 1], "place": FORMULAS, "count": range(20, 26)}
    )
    table = CaptureTable.from_counts(frame, lists=["a", "b"], strata=["place"], public=True)
    path = tmp_path / f"t{suffix}"
    table.write(path)
    assert CaptureTable.read(path, strata=["place"], lists=["a", "b"]) == table


def test_no_cell_of_a_csv_begins_with_a_formula(tmp_path):
    frame = pd.DataFrame(
        {"=name": FORMULAS, "n": [-1, 2, -3, 4, 5, 6], "mixed": ["<10", -2.5, "=x", None, "a", 7]}
    )
    write_file(frame, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["'=name", "n", "mixed"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+31", "'-", "'@home", "'=cmd|'/c calc'!A0", "''=x"]
    assert [row[1] for row in rows[1:]] == ["-1", "2", "-3", "4", "5", "6"]
    assert [row[2] for row in rows[1:]] == ["<10", "-2.5", "'=x", "", "a", "7"]


def test_no_cell_of_a_workbook_is_a_formula(tmp_path):
    frame = pd.DataFrame(
        {"=name": FORMULAS, "n": [-1, 2.5, np.nan, np.inf, 5, 6], "at": ["a\x1b[2J", None, 1, 2, 3, 4]}
    )
    write_file(frame, tmp_path / "t.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx").active
    cells = list(sheet.iter_rows())
    assert [cell.value for cell in cells[0]] == ["=name", "n", "at"]
    assert {row[0].data_type for row in cells} == {"s"}
    assert [row[0].value for row in cells[1:]] == FORMULAS
    assert [row[1].value for row in cells[1:]] == [-1, 2.5, None, "inf", 5, 6]
    assert cells[1][2].value == "a\\x1b[2J"
