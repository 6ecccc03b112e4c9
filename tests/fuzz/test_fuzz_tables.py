"""Files and frames of every kind and of none: a table, or an error of the package."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.limits import REFUSED, answered, damaged, fuzz, nasty, scalars

from hiddenpop.disclosure import KEY_VARIABLE, secret_key
from hiddenpop.table import CaptureTable

VALID = "police,shelter,region,count\n1,0,north,40\n0,1,north,25\n1,1,south,12\n"
DELIMITERS = (",", ";", "\t", "|")


@cache
def parquet_bytes(folder: Path) -> bytes:
    path = folder / "valid.parquet"
    pd.read_csv(folder / "valid.csv").to_parquet(path, index=False)
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fuzz")
    (place / "valid.csv").write_text(VALID)
    return place


@st.composite
def csv_texts(draw: st.DrawFn) -> str:
    """A grid of nasty values under a nasty header, here and there a field too many."""
    columns = draw(st.integers(1, 5))
    rows = draw(st.lists(st.lists(nasty, min_size=1, max_size=columns + 1), max_size=6))
    header = draw(st.lists(nasty, min_size=columns, max_size=columns))
    delimiter = draw(st.sampled_from(DELIMITERS))
    ends = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return ends.join(delimiter.join(row) for row in [header, *rows])


def read(path: Path, **options: object) -> object:
    table = answered(CaptureTable.read, path, **options)
    if table is not REFUSED:
        check_sound(table)
    return table


def check_sound(table: CaptureTable) -> None:
    """A table that was accepted counts people, and its content can be looked at."""
    assert table.n_observed > 0 or table.censored.any()
    assert (table.counts >= 0).all()
    assert (table.histories > 0).all()
    assert len(table.fingerprint) > 10
    assert len(repr(table)) < 10_000
    assert answered(CaptureTable.to_frame, table) is not REFUSED


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv(KEY_VARIABLE, str(folder / "key"))


@fuzz(80)
@given(text=csv_texts())
@example(text="\t{\n,\n\t:")
@example(text=",\n:")
@example(text='a,b,count\n1,0,3\n"x\ny",1,4\n')
def test_a_csv_file_of_anything(folder: Path, text: str) -> None:
    path = folder / "any.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    read(path)


@fuzz(40)
@given(content=st.binary(max_size=300), suffix=st.sampled_from(["csv", "parquet", "CSV"]))
def test_a_file_of_any_bytes(folder: Path, content: bytes, suffix: str) -> None:
    path = folder / f"bytes.{suffix}"
    path.write_bytes(content)
    read(path)


@fuzz(50)
@given(content=damaged(VALID.encode()))
def test_a_damaged_csv_file(folder: Path, content: bytes) -> None:
    path = folder / "damaged.csv"
    path.write_bytes(content)
    read(path)


@fuzz(60)
@given(data=st.data())
def test_a_damaged_parquet_file(folder: Path, data: st.DataObject) -> None:
    path = folder / "damaged.parquet"
    path.write_bytes(data.draw(damaged(parquet_bytes(folder))))
    read(path)


@fuzz(40)
@given(
    lists=st.none() | st.lists(nasty, max_size=3),
    count=st.none() | nasty,
    strata=st.none() | st.lists(nasty, max_size=2),
    censored=st.none() | nasty,
)
def test_any_columns_may_be_asked_for(
    folder: Path, lists: object, count: object, strata: object, censored: object
) -> None:
    read(folder / "valid.csv", lists=lists, count=count, strata=strata, censored=censored)


# pandas itself has no columns whose name cannot be written.
columns_of_anything = st.dictionaries(
    nasty.filter(lambda name: name != "\ud800"),
    st.lists(
        scalars | st.sampled_from([0, 1, 1.0, np.nan, pd.NA, pd.NaT, (1,), b"x", 1j]), min_size=3, max_size=3
    ),
    max_size=4,
)


@fuzz(60)
@given(columns=columns_of_anything, strata=st.lists(nasty, max_size=2), data=st.data())
def test_a_frame_of_anything(
    columns: dict[str, list[object]], strata: list[str], data: st.DataObject
) -> None:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    names = st.sampled_from([*columns, "none such"])
    for table in (
        answered(CaptureTable.from_counts, frame, count=data.draw(names), strata=strata),
        answered(CaptureTable.from_indicators, frame, strata=strata),
        answered(CaptureTable.from_registrations, frame, person=data.draw(names), list=data.draw(names)),
    ):
        if table is not REFUSED:
            check_sound(table)


@fuzz(40)
@given(
    people=st.lists(st.lists(scalars, max_size=3) | scalars, max_size=5),
    lists=st.none() | st.lists(nasty, max_size=3),
)
def test_memberships_of_anything(people: list[object], lists: list[str] | None) -> None:
    table = answered(CaptureTable.from_memberships, people, lists=lists)
    if table is not REFUSED:
        check_sound(table)


histories = st.lists(
    st.tuples(
        st.integers(1, 7), st.sampled_from(["north", "a,b", 'say "x"', "é", "0 1"]), st.integers(1, 10**9)
    ),
    min_size=1,
    max_size=10,
    unique_by=lambda cell: cell[:2],
)


@fuzz(40)
@given(cells=histories, suffix=st.sampled_from(["csv", "parquet"]))
def test_what_is_written_is_read_back(folder: Path, cells: list[tuple[int, str, int]], suffix: str) -> None:
    rows = [[h & 1, h >> 1 & 1, h >> 2 & 1, region, count] for h, region, count in cells]
    frame = pd.DataFrame(rows, columns=["a", "b", "c", "region", "count"])
    table = answered(CaptureTable.from_counts, frame, strata=["region"], public=True)
    path = folder / f"round.{suffix}"
    table.write(path)
    assert answered(CaptureTable.read, path, strata=["region"]) == table


@fuzz(30)
@given(content=st.binary(max_size=80))
@example(content=b"")
def test_a_key_file_of_anything(folder: Path, content: bytes) -> None:
    (folder / "key").touch(0o600)
    (folder / "key").write_bytes(content)
    assert answered(secret_key) in (REFUSED, content)
    (folder / "key").unlink()
