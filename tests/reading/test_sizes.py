"""What unpacks to more than there is room for is refused before memory is taken, and a deep or endless text at once."""

import gzip
import json
import time
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.runs.conftest import PLAN

import hiddenpop as hp
from hiddenpop import CaptureTable
from hiddenpop._files import DEEPEST, parse_json, parse_toml, read_file
from hiddenpop.disclosure import ReleaseRules, protect_text
from hiddenpop.errors import ModelError, SettingError, TableError
from hiddenpop.registers import Registrations, create_key
from hiddenpop.runs.plan import plan_of_text

LIMIT = 5
LIFTED = (
    r"unpacks to .* MB or more, and the limit is {} MB; if you expect that, set HIDDENPOP_MOST_MEGABYTES to a larger "
    r"number, such as (\d+)"
)


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIDDENPOP_MOST_MEGABYTES", str(LIMIT))
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))


def equal_rows(path: Path) -> None:
    """Two million rows of one value in a few kilobytes."""
    zeros = pa.array([0], pa.int64()).take(pa.array([0] * 1_000_000, pa.int32()))
    with pq.ParquetWriter(path, pa.schema({"a": pa.int64()})) as writer:
        for _ in range(2):
            writer.write_table(pa.table({"a": zeros}))


def one_text(path: Path) -> None:
    """A text of half a megabyte, stored once, in each of 4,000 rows: 2 GB."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), pa.array(["x" * 500_000]))
    pq.write_table(pa.table({"a": column}), path, compression="zstd", store_schema=False)


def zeros_in_gzip(path: Path) -> None:
    with gzip.open(path, "wb") as file:
        file.write(b"a,b,count\n" + b"1,0,5\n" * 1_500_000)


def frames_in_arrow(path: Path) -> None:
    table = pa.table({"a": pa.array([0] * 100_000, pa.int64())})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(path, table.schema, options=options) as writer:
        for _ in range(10):
            writer.write_table(table)


def book_of(path: Path, rows: str) -> None:
    openpyxl.Workbook().save(path)
    with zipfile.ZipFile(path) as book:
        parts = {part.filename: book.read(part) for part in book.infolist()}
    head, tail = parts["xl/worksheets/sheet1.xml"].split(b"<sheetData", 1)
    rest = tail.split(b">", 1)[1].removeprefix(b"</sheetData>")
    parts["xl/worksheets/sheet1.xml"] = head + b"<sheetData>" + rows.encode() + b"</sheetData>" + rest
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, content in parts.items():
            book.writestr(name, content)


def bomb_in_excel(path: Path) -> None:
    book_of(path, '<row r="1"><c r="A1"><v>1</v></c></row>' * 100_000)


BOMBS: dict[str, tuple[Callable[[Path], None], str]] = {
    "t.parquet": (equal_rows, "5"),
    "s.parquet": (one_text, "5"),
    "t.csv.gz": (zeros_in_gzip, "5"),
    "t.arrow": (frames_in_arrow, "5"),
    "t.xlsx": (bomb_in_excel, "1"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_unpacks_to_more_than_the_limit_is_refused(name: str, tmp_path: Path) -> None:
    make, limit = BOMBS[name]
    path = tmp_path / name
    make(path)
    assert path.stat().st_size < 1_000_000 * LIMIT / 2
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(TableError, match=f"cannot read .*{name}: it {LIFTED.format(limit)}$"):
        CaptureTable.read(path)
    if path.suffix == ".parquet":
        assert pa.default_memory_pool().max_memory() - before < 40_000_000
        with pytest.raises(TableError, match=f"cannot read .*{name}: it {LIFTED.format(limit)}$"):
            read_file(path, ())


def test_what_a_parquet_file_says_of_itself_is_looked_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    equal_rows(tmp_path / "t.parquet")

    def read(*args: Any, **more: Any) -> None:
        raise AssertionError("a row was read")

    monkeypatch.setattr("hiddenpop._files.within_limit", read)
    with pytest.raises(TableError, match="unpacks to 8 MB or more"):
        CaptureTable.read(tmp_path / "t.parquet")


def test_the_limit_is_lifted_by_what_the_error_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [20, 30, 40]})
    path = tmp_path / "t.csv.gz"
    padded = frame.to_csv(index=False) + "\n" * 1_500_000
    with gzip.open(path, "wt") as file:
        file.write(padded)
    monkeypatch.setenv("HIDDENPOP_MOST_MEGABYTES", "1")
    with pytest.raises(TableError, match=LIFTED.format(1)) as caught:
        CaptureTable.read(path)
    monkeypatch.setenv("HIDDENPOP_MOST_MEGABYTES", str(caught.value).split()[-1])
    assert CaptureTable.read(path).n_observed == 90
    monkeypatch.setenv("HIDDENPOP_MOST_MEGABYTES", "1e9")
    with pytest.raises(
        SettingError, match="HIDDENPOP_MOST_MEGABYTES is '1e9'; give a whole number of megabytes"
    ):
        CaptureTable.read(path)


def test_the_limit_is_two_thousand_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from hiddenpop._files import most_bytes

    monkeypatch.delenv("HIDDENPOP_MOST_MEGABYTES")
    assert most_bytes() == 2_000_000_000


def test_a_cell_far_below_makes_no_endless_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hiddenpop.reading.files.MOST_CELLS", 100_000)
    book_of(tmp_path / "t.xlsx", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    with pytest.raises(
        TableError, match=r"sheet 'Sheet' has more than 100,000 cells, .* save what is needed as csv"
    ):
        CaptureTable.read(tmp_path / "t.xlsx")


@pytest.mark.parametrize("name", ["t.parquet", "t.csv.gz"])
def test_a_register_that_unpacks_to_more_than_the_limit_is_refused(name: str, tmp_path: Path) -> None:
    BOMBS[name][0](tmp_path / name)
    registers = {"police": {"data": tmp_path / name, "record": "a", "day": "a", "key": "a"}}
    with pytest.raises(TableError, match=f"register 'police': cannot read .*{name}: it {LIFTED.format(5)}"):
        Registrations.read(registers, key_file=create_key(tmp_path / "secret"))


# --- texts ---


@pytest.mark.parametrize("text", ["[" * 200 + "]" * 200, '{"a":' * 200 + "1" + "}" * 200, "[" * 1_000_000])
def test_json_that_is_nested_too_deep_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"nested more than {DEEPEST} levels deep"):
        parse_json(text)
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(
        TableError, match=f"cannot read .*t.json: it is nested more than {DEEPEST} levels deep"
    ):
        CaptureTable.read(tmp_path / "t.json")


TOML_TOO_DEEP = {
    "arrays": "a = " + "[" * 200 + "]" * 200,
    "tables": "a = " + "{a = " * 200 + "1" + "}" * 200,
    "dotted key": "a." * 20_000 + "a = 1",
    "dotted header": "[" + "a . " * 20_000 + "a]",
}


@pytest.mark.parametrize("kind", TOML_TOO_DEEP)
def test_toml_that_is_nested_too_deep_is_refused(kind: str, tmp_path: Path) -> None:
    text = TOML_TOO_DEEP[kind]
    with pytest.raises(tomllib.TOMLDecodeError, match=f"nested more than {DEEPEST} levels deep"):
        parse_toml(text)
    with pytest.raises(SettingError, match=f"is not TOML: .*nested more than {DEEPEST} levels deep"):
        plan_of_text(f"{PLAN}\n{text}", tmp_path / "plan.toml", tmp_path)
    with pytest.raises(SettingError, match=f"is not TOML: .*nested more than {DEEPEST} levels deep"):
        ReleaseRules.of_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "a = 'it [[[[[ says \\'",
        'a = "[[ \\" [["\nb = [1, [2]] # [[[',
        "a = '''[['[['''\nb = 1.5e3",
        'a = """[[ "" \\""" [[ x.y.z """""\nc.d = 0xff',
    ],
)
def test_texts_and_remarks_are_not_looked_into(text: str) -> None:
    many = text.replace("[[", "[" * 2 * DEEPEST) if "b = [" not in text else text
    assert parse_toml(many) == tomllib.loads(many)


def test_brackets_in_texts_of_json_count_for_nothing() -> None:
    content = {"a": "[" * 500 + '\\"' + "{" * 500, "b": [[1]], "1" * 500: "9" * 500}
    assert parse_json(json.dumps(content)) == content


LONG = "9" * 200_000


def plan_with(seed: str, folder: Path) -> Any:
    return plan_of_text(PLAN.replace("seed = ", f"seed = {seed} # "), folder / "plan.toml", folder)


def csv_with(count: str, folder: Path) -> CaptureTable:
    (folder / "t.csv").write_text(f"a,b,count\n1,0,20\n0,1,{count}\n1,1,8\n")
    return CaptureTable.read(folder / "t.csv")


ENDLESS: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "whole number in a plan": (
        lambda f: plan_with(LONG, f),
        SettingError,
        "a number of more than 400 digits",
    ),
    "fraction in a plan": (
        lambda f: plan_with(f"1.{LONG}", f),
        SettingError,
        "a number of more than 400 digits",
    ),
    "hexadecimal in a plan": (
        lambda f: plan_with("0x" + "f" * 200_000, f),
        SettingError,
        "a number of more than 400 digits",
    ),
    "count": (lambda f: csv_with(LONG, f), TableError, "row 2 holds a text of 200000 characters"),
    "bound": (lambda f: csv_with(f"<{LONG}", f), TableError, "row 2 holds a text of 200001 characters"),
    "thousands": (
        lambda f: csv_with("1" + ".999" * 50_000, f),
        TableError,
        "holds a text of 200001 characters",
    ),
    "model": (
        lambda _: hp.LogLinear(model=f"[{LONG},1]").fit(hp.datasets.load("kosovo")),
        ModelError,
        "a model of 200,004 letters, beginning",
    ),
    "value on the command line": (lambda _: parse_json(LONG), ValueError, "a number of more than 400 digits"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_long_run_of_digits_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    make, error, told = ENDLESS[kind]
    started = time.process_time()
    with pytest.raises(error, match=told) as caught:
        make(tmp_path)
    assert time.process_time() - started < 2.0
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", [f"it is {LONG}x", "5%" * 50_000, "1," * 50_000, "1.5e" + LONG, LONG])
def test_numbers_in_a_text_are_looked_for_once(text: str) -> None:
    started = time.process_time()
    protect_text(text)
    assert time.process_time() - started < 2.0


def test_a_gzip_file_in_memory_is_read_whole() -> None:
    from hiddenpop._files import unpacked

    content = bytes(range(256)) * 5000
    assert unpacked(gzip.compress(content)) == content
    assert unpacked(gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"
    with pytest.raises(EOFError):
        unpacked(gzip.compress(content)[:-9])
