"""One table, written in every way that people write tables, is the same table."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hiddenpop.errors import MissingExtraError, TableError
from hiddenpop.reading import CONFLICTS
from hiddenpop.table import CaptureTable

LISTS = ("politie", "opvang", "cliënt")
COUNTS = {"100": 1089, "110": 24, "010": 103, "111": 27, "101": 29, "011": 13, "001": 21}
WORDS = (
    ("0", "1"), ("0.0", "1.0"), ("FALSE", "TRUE"), ("False", "True"), ("F", "T"), ("no", "yes"),
    ("No", "Yes"), ("N", "Y"), ("nee", "ja"), ("Nee", "Ja"), ("", "x"), ("", "X"), ("", "1"), ("NA", "1"), ("2", "1"),
    ("N", "J"),
)  # fmt: skip
NUMBERS: dict[str, Callable[[int], str]] = {
    "plain": str,
    "decimals": lambda n: f"{n}.0",
    "thousands with a blank": lambda n: f"{n:,}".replace(",", " "),
    "thousands with an apostrophe": lambda n: f"{n:,}".replace(",", "'"),
    "thousands with a point": lambda n: f"{n:,}".replace(",", "."),
    "decimal comma": lambda n: f"{n},0",
}
RIGHT = CaptureTable.from_counts(
    pd.DataFrame([[*map(int, bits), n] for bits, n in COUNTS.items()], columns=[*LISTS, "count"])
)


def grid(words: tuple[str, str], number: Callable[[int], str], nobody: str | None) -> list[list[str]]:
    rows = [[*(words[int(bit)] for bit in bits), number(n)] for bits, n in COUNTS.items()]
    return rows if nobody is None else [[*[words[0]] * 3, nobody], *rows]


def decorated(header: list[str], rows: list[list[str]], total: str) -> dict[str, list[list[str]]]:
    """The lines of a file with what stands around a table, by name."""
    blank = [""] * len(header)
    return {
        "nothing": [header, *rows],
        "title": [["Brussel 2019", *blank[1:]], header, *rows],
        "total": [header, *rows, ["Totaal", *blank[2:], total]],
        "bare total": [header, *rows, [*blank[1:], total]],
        "blank rows": [header, *rows, blank, blank],
        "row names": [["", *header], *([str(place), *row] for place, row in enumerate(rows, 1))],
        "empty column": [[*header, ""], *([*row, ""] for row in rows)],
    }


def text_of(lines: Sequence[Sequence[str]], separator: str) -> str:
    frame = pd.DataFrame(list(lines))
    return frame.to_csv(sep=separator, header=False, index=False, lineterminator="\r\n")


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    words=st.sampled_from(WORDS),
    number=st.sampled_from(sorted(NUMBERS)),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"]),
    around=st.sampled_from(
        ["nothing", "title", "total", "bare total", "blank rows", "row names", "empty column"]
    ),
    count=st.sampled_from(["count", "Count", "Counts", "n", "N", "freq", "Freq", "total", "aantal"]),
    nobody=st.sampled_from([None, "", "NA", "?", "0"]),
    suffix=st.sampled_from([".csv", ".txt", ".tsv", ".csv.gz"]),
)
def test_a_text_file_is_the_same_table(
    tmp_path_factory: pytest.TempPathFactory,
    words: tuple[str, str],
    number: str,
    separator: str,
    encoding: str,
    around: str,
    count: str,
    nobody: str | None,
    suffix: str,
) -> None:
    if words == ("", "x") and nobody == "":
        nobody = "NA"  # a row without a cell is not a row
    write = NUMBERS[number]
    around_it = decorated([*LISTS, count], grid(words, write, nobody), write(sum(COUNTS.values())))
    content = text_of(around_it[around], separator).encode(encoding)
    path = tmp_path_factory.mktemp("text") / f"mine{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    assert CaptureTable.read(path) == RIGHT


def plain() -> pd.DataFrame:
    return pd.DataFrame([[*map(int, bits), n] for bits, n in COUNTS.items()], columns=[*LISTS, "count"])


def labelled() -> pd.DataFrame:
    return plain().assign(**{name: plain()[name].map({0: 2, 1: 1}) for name in LISTS})


def write_excel(path: Path) -> None:
    rows = [
        ["Brussel 2019", None, None, None],
        [*LISTS, "count"],
        *plain().to_numpy().tolist(),
        ["Totaal", None, None, 1306],
    ]
    pd.DataFrame(rows, dtype=object).to_excel(path, header=False, index=False)


def write_spss(path: Path) -> None:
    labels = {name: {1: "Ja", 2: "Nee"} for name in LISTS}
    pyreadstat.write_sav(labelled(), path, variable_value_labels=labels)


def write_stata(path: Path) -> None:
    labels = {name: {1: "yes", 2: "no"} for name in LISTS}
    labelled().to_stata(path, write_index=False, value_labels=labels, version=118)


def write_arrow(path: Path) -> None:
    pa.feather.write_feather(pa.table(plain()), path)


WRITERS: dict[str, Callable[[Path], object]] = {
    ".xlsx": write_excel,
    ".sav": write_spss,
    ".dta": write_stata,
    ".parquet": lambda path: plain().to_parquet(path),
    ".feather": write_arrow,
    ".arrow": write_arrow,
    ".json": lambda path: path.write_text(plain().to_json(orient="records")),
    ".jsonl": lambda path: path.write_text(plain().to_json(orient="records", lines=True)),
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_of_another_program_is_the_same_table(tmp_path: Path, suffix: str) -> None:
    WRITERS[suffix](tmp_path / f"mine{suffix}")
    assert CaptureTable.read(tmp_path / f"mine{suffix}") == RIGHT


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_damaged_file_is_refused_without_a_word_of_its_reader(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(b"PK\3\4 Jan Jansen 1980-01-02")
    with pytest.raises(
        TableError, match=f"cannot read .* as {suffix[1:]}: it is damaged, or a file of another kind"
    ) as told:
        CaptureTable.read(path)
    assert "Jansen" not in str(told.value)


@pytest.mark.parametrize(("suffix", "package"), [(".xlsx", "openpyxl"), (".sav", "pyreadstat")])
def test_a_missing_reader_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    (tmp_path / f"mine{suffix}").write_bytes(b"x")
    monkeypatch.setattr("hiddenpop.extras.import_module", absent)
    with pytest.raises(MissingExtraError, match=rf"needs {package}.*hiddenpop\[files\]"):
        CaptureTable.read(tmp_path / f"mine{suffix}")


@pytest.mark.parametrize(
    "convert", [pl.from_pandas, pa.Table.from_pandas, lambda f: pl.from_pandas(f).lazy(), lambda f: f]
)
def test_any_dataframe_is_the_same_table(convert: Callable[[pd.DataFrame], object]) -> None:
    assert CaptureTable.read(convert(plain())) == RIGHT
    assert CaptureTable.from_counts(convert(plain())) == RIGHT
    words = plain().astype(dict.fromkeys(LISTS, object))
    words[list(LISTS)] = words[list(LISTS)].replace({0: "no", 1: "yes"})
    assert CaptureTable.from_counts(convert(words)) == RIGHT


def test_what_is_no_dataframe_is_named() -> None:
    with pytest.raises(TableError, match="a table is read from a dataframe, and this is a ndarray"):
        CaptureTable.from_counts(plain().to_numpy())


# --- other shapes ---


def named(content: str, folder: Path, suffix: str = ".csv", **options: object) -> CaptureTable:
    (folder / f"mine{suffix}").write_text(content)
    return CaptureTable.read(folder / f"mine{suffix}", **options)


def test_histories_and_wide_rows_and_dicts(tmp_path: Path) -> None:
    histories = "history,n\n" + "".join(f"{bits},{n}\n" for bits, n in COUNTS.items())
    wide = (
        ",".join(f"n{bits}" for bits in [*COUNTS, "000"])
        + "\n"
        + ",".join([*map(str, COUNTS.values()), "NA"])
        + "\n"
    )
    assert named(histories, tmp_path, lists=LISTS) == RIGHT
    assert named(wide, tmp_path, lists=LISTS) == RIGHT
    assert CaptureTable.read(COUNTS, lists=LISTS) == RIGHT
    assert CaptureTable.read({tuple(map(int, bits)): n for bits, n in COUNTS.items()}, lists=LISTS) == RIGHT
    assert named(json.dumps(COUNTS), tmp_path, ".json", lists=LISTS) == RIGHT
    assert named(histories, tmp_path).lists == ("list1", "list2", "list3")


def test_a_wide_row_a_stratum(tmp_path: Path) -> None:
    table = named("region,n10,n01,n11\nnorth,61,84,18\nsouth,39,7,14\n", tmp_path)
    assert table.strata["region"].tolist() == ["north"] * 3 + ["south"] * 3
    assert table.select(region="south").list_totals.tolist() == [53, 21]


def test_histories_of_persons(tmp_path: Path) -> None:
    assert named("ch\n10\n01\n11\n11\n", tmp_path).counts.tolist() == [1, 1, 2]


def test_the_totals_of_two_lists(tmp_path: Path) -> None:
    table = named("n1,n2,m\n200,150,40\n", tmp_path)
    assert table.counts.tolist() == [160, 110, 40]
    assert CaptureTable.read({"n1": 200, "n2": 150, "m": 40}) == table
    with pytest.raises(TableError, match="which is at most either"):
        named("n1,n2,m\n200,150,160\n", tmp_path)


def test_a_table_of_r_written_without_a_name_above_its_row_names(tmp_path: Path) -> None:
    text = '"a" "b" "Freq"\n"1" 1 0 61\n"2" 0 1 84\n"3" 1 1 18\n'
    assert named(text, tmp_path, ".txt").counts.tolist() == [61, 84, 18]


def test_rows_of_totals_in_strata_are_no_persons(tmp_path: Path) -> None:
    table = named("a,b,sex,n\n1,0,f,6\n0,1,f,4\n1,0,m,5\n0,1,m,3\n1,0,Total,11\n0,1,Total,7\n", tmp_path)
    assert table.n_observed == 18
    assert "2 rows of totals are left out" in table.reading.notes


# --- registrations ---

REGISTRATIONS = pd.DataFrame(
    {
        "cliënt": ["K1", "K1", "K2", "K3", "K3", "K3", "K4", None],
        "bron": ["police", "shelter", "police", "clinic", "clinic", "police", "shelter", "shelter"],
        "sex": ["f", "f", "m", "m", "f", "f", "m", "m"],
        "day": [
            "2020-01-05",
            "2020-01-06",
            "2020-02-01",
            "2020-03-03",
            "2020-03-02",
            "2020-03-01",
            "2020-05-05",
            "2020-01-01",
        ],
    }
).dropna()


def test_registrations_are_brought_together_to_persons(tmp_path: Path) -> None:
    REGISTRATIONS.to_csv(tmp_path / "mine.csv", index=False)
    table = CaptureTable.read(tmp_path / "mine.csv", person="cliënt", list="bron")
    assert table == CaptureTable.from_registrations(REGISTRATIONS, person="cliënt", list="bron")
    assert table.reading.lines()[0] == (
        "Read 7 rows, one row per registration of fewer than 10 persons: lists named in bron; person cliënt; "
        "set aside sex, day."
    )
    assert table.reading.to_dict()["persons"] is None


@pytest.mark.parametrize(
    ("how", "date", "sex"),
    [
        ("first", None, "m"),
        ("last", None, "f"),
        ("mode", None, "f"),
        ("first", "day", "f"),
        ("last", "day", "m"),
    ],
)
def test_a_stratum_that_differs_within_a_person(how: str, date: str | None, sex: str) -> None:
    options = {"person": "cliënt", "list": "bron", "strata": ["sex"], "date": date}
    with pytest.raises(
        TableError, match=r"differs between the registrations of fewer than 10 persons: say --conflicts first"
    ):
        CaptureTable.read(REGISTRATIONS, **options)
    table = CaptureTable.read(REGISTRATIONS, **options, conflicts=how)
    clinic = table.to_frame().query("clinic == 1")
    assert clinic["sex"].tolist() == [sex]
    assert CaptureTable.from_registrations(REGISTRATIONS, **options, conflicts=how) == table
    assert (
        f"sex differs between the registrations of fewer than 10 persons; the {how} counts"
        in table.reading.notes
    )


def test_swapped_columns_of_registrations_are_asked(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="seem to be swapped: say --person 'cliënt' --list bron"):
        CaptureTable.read(REGISTRATIONS, person="bron", list="cliënt")


def test_conflicts_are_one_of_four() -> None:
    assert CONFLICTS == ("error", "first", "last", "mode")
    with pytest.raises(TableError, match="conflicts='never'; choose error, first, last, mode"):
        CaptureTable.from_registrations(REGISTRATIONS, person="cliënt", list="bron", conflicts="never")


def test_people_on_no_list_are_counted_and_left_out(tmp_path: Path) -> None:
    table = named("a,b,c,sex\n1,0,0,f\n0,0,0,m\n1,0,1,m\n0,1,1,f\n0,1,1,f\n", tmp_path)
    assert table.n_observed == 4
    assert "fewer than 10 persons on none of the lists left out" in table.reading.notes


def test_a_table_says_nothing_of_a_reading_it_did_not_have() -> None:
    assert RIGHT.reading is None
    assert CaptureTable.read(plain()).reading is not None
    assert CaptureTable.read(plain()).fingerprint == RIGHT.fingerprint
