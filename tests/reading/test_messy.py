"""Files with what people put around and into a table: each is read as its owner meant it, or one question is put."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyreadstat
import pytest

from hiddenpop.errors import TableError
from hiddenpop.runs import read_plan
from hiddenpop.runs.initial import initial_plan
from hiddenpop.table import CaptureTable

LISTS = ("politie", "opvang", "kliniek")
COUNTS = {"100": 1089, "110": 24, "010": 103, "111": 27, "101": 29, "011": 13, "001": 21}
TOTAL = sum(COUNTS.values())
HEADER = ",".join(LISTS)
FRAME = pd.DataFrame([[*map(int, bits), n] for bits, n in COUNTS.items()], columns=[*LISTS, "n"])
RIGHT = CaptureTable.from_counts(FRAME, count="n")
UNNAMED = CaptureTable.read(COUNTS)
PERSONS = [bits for bits, n in COUNTS.items() for _ in range(min(n, 25))]


def rows(
    separator: str = ",", words: tuple[str, str] = ("0", "1"), number: Callable[[int], str] = str
) -> str:
    lines = ([*(words[int(bit)] for bit in bits), number(n)] for bits, n in COUNTS.items())
    return "".join(separator.join(line) + "\n" for line in lines)


def persons(names: str, cells: Callable[[int, str], str]) -> str:
    return f"{names}\n" + "".join(cells(place, bits) + "\n" for place, bits in enumerate(PERSONS))


def in_strata(levels: dict[str, int], column: str = "sex") -> str:
    lines = (
        f"{level},{','.join(bits)},{n * part}" for level, part in levels.items() for bits, n in COUNTS.items()
    )
    return f"{column},{HEADER},n\n" + "\n".join(lines) + "\n"


AROUND = {
    "lines of comment": f"# Brussel 2019\n# bron: politie, opvang, kliniek\n{HEADER},count\n{rows()}",
    "a title with commas": f"Tabel 3, Brussel, 2019\n\n{HEADER},count\n{rows()}",
    "two titles": f"Tabel 3;;;\nbron: eigen opgave;;;\n;;;\npolitie;opvang;kliniek;aantal\n{rows(';')}",
    "merged cells above the names": f"Registers,,,\n{HEADER},aantal\n{rows()}",
    "a name one line higher": f"Registers,,,Aantal\n{HEADER},\n{rows()}",
    "a note below": f"{HEADER},count\n{rows()}\nBron: CBS\n",
    "notes below, filled out": f"{HEADER},count\n{rows()}Bron: CBS StatLine,,,\n* voorlopig,,,\n",
    "another word for a total": f"{HEADER},count\n{rows()}Eindtotaal:,,,{TOTAL}\n",
    "a total with a label of its own": f"{HEADER},count\n{rows()},,Alle personen,{TOTAL}\n",
    "a separator too many": f"{HEADER},count,\n" + rows().replace("\n", ",\n"),
    "bars with blanks": "politie | opvang | kliniek | aantal\n" + rows(" | "),
    "columns set out with blanks": "politie  opvang kliniek   count\n" + rows("    "),
    "single quotes": "".join(
        ",".join(f"'{cell}'" for cell in line.split(",")) + "\n" for line in (f"{HEADER},n\n{rows()}").splitlines()
    ),
    "decimal commas in the lists too": "politie;opvang;kliniek;n\n" + rows(";", ("0,0", "1,0"), lambda n: f"{n},0"),
    "thousands in quotes": f"{HEADER},n\n" + rows(number=lambda n: f'"{n:,}"'),
    "numbers of a computer": f"{HEADER},n\n" + rows(number=lambda n: f"{n:.4e}"),
    "plus and minus": f"{HEADER},n\n" + rows(words=("-", "+")),
    "wel en niet": f"{HEADER},n\n" + rows(words=("niet", "wel")),
    "a cross and a dash": f"{HEADER},n\n" + rows(words=("-", "x")),
    "a cross and a nought": f"{HEADER},n\n" + rows(words=("0", "X")),
    "true as Access writes it": f"{HEADER},n\n" + rows(words=("0", "-1")),
    "absent and present": f"{HEADER},n\n" + rows(words=("absent", "present")),
    "German": f"{HEADER},Anzahl\n" + rows(words=("nein", "ja")),
    "Spanish": f"{HEADER},n\n" + rows(words=("no", "s\u00ed")),
    "its own name where on a list": f"{HEADER},n\n"
    + "".join(
        ",".join([*(name if bit == "1" else "" for name, bit in zip(LISTS, bits, strict=True)), str(n)]) + "\n"
        for bits, n in COUNTS.items()
    ),
    "two decimals in the lists": "politie;opvang;kliniek;n\n" + rows(";", ("0,00", "1,00")),
    "Russian": f"{HEADER},n\n" + rows(words=("\u043d\u0435\u0442", "\u0434\u0430")),
    "boxes": f"{HEADER},n\n" + rows(words=("\u2610", "\u2612")),
    "bullets": f"{HEADER},n\n" + rows(words=("", "\u2022")),
    "as REDCap writes it": f"{HEADER},n\n" + rows(words=("Unchecked", "Checked")),
    "tildes": f"{HEADER},n\n".replace(",", "~") + rows("~"),
    "Markdown": f"| {HEADER},n |\n|---,:--,---,--:|\n".replace(",", " | ")
    + "".join(f"| {line} |\n" for line in rows(" | ").splitlines()),
    "a line of units": f"{HEADER},aantal\n,,,personen\n{rows()}",
    "a total above": f"{HEADER},count\n,,,{TOTAL}\n{rows()}",
    "N = behind": f"{HEADER},count\n{rows()}N = {TOTAL},,,\n",
    "a total in words": f"{HEADER},count\n{rows()},,,Totaal: {TOTAL}\n",
    "totals of lists": f"{HEADER},count\n{rows()}"
    + ",".join(str(sum(n for bits, n in COUNTS.items() if bits[place] == "1")) for place in range(3))
    + f",{TOTAL}\n",
    "a text for what is sought": f"{HEADER},count\n0,0,0,te schatten\n{rows()}",
    "a label of each row": f"combi,{HEADER},n\n"
    + "".join(f"{'en '.join('abc'[place] for place in range(3) if bits[place] == '1')},{','.join(bits)},{n}\n"
              for bits, n in COUNTS.items()),
    "persons counted in words": f"{HEADER},Aantal personen\n{rows()}",
    "number of persons": f"{HEADER},number of persons\n{rows()}",
    "shares in a column of numbers": f"{HEADER},n,percentage\n"
    + "".join(f"{','.join(bits)},{n},{100 * n / TOTAL:.1f}\n" for bits, n in COUNTS.items()),
    "shares with a decimal comma": f"{HEADER.replace(',', ';')};n;%\n"
    + "".join(f"{';'.join(bits)};{n};{100 * n / TOTAL:.2f}".replace(".", ",") + "\n" for bits, n in COUNTS.items()),
    "parts that add up": f"{HEADER},2019,2020,Totaal\n"
    + "".join(f"{','.join(bits)},{n - 3},3,{n}\n" for bits, n in COUNTS.items()),
    "a remark": f"{HEADER},n,opmerking\n"
    + "".join(f"{','.join(bits)},{n},{'zie noot' * (n == 13)}\n" for bits, n in COUNTS.items()),
    "bytes of nothing behind it": f"{HEADER},n\n{rows()}\0\0\0",
    "Dutch truth values": f"{HEADER},n\n" + rows(words=("ONWAAR", "WAAR")),
    "German truth values": f"{HEADER},n\n" + rows(words=("FALSCH", "WAHR")),
    "French truth values": f"{HEADER},n\n" + rows(words=("FAUX", "VRAI")),
    "registered or not": f"{HEADER},n\n" + rows(words=("not registered", "registered")),
    "an error of Excel for what is sought": f"{HEADER},n\n0,0,0,#VERW!\n{rows()}",
    "a flat table of R": ",,kliniek,0,1\npolitie,opvang,,,\n0,0,,NA,21\n,1,,103,13\n1,0,,1089,29\n,1,,24,27\n",
    "years beside counts": f"{HEADER},n,2019,2020\n"
    + "".join(f"{','.join(bits)},{n},{n - 3},3\n" for bits, n in COUNTS.items()),
    "shares as texts": f"{HEADER},n,share\n"
    + "".join(f"{','.join(bits)},{n},{100 * n / TOTAL:.3f}%\n" for bits, n in COUNTS.items()),
}  # fmt: skip


@pytest.mark.parametrize("kind", AROUND)
def test_what_stands_around_a_table_and_how_its_cells_are_written(kind: str, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(AROUND[kind], "utf-8")
    assert CaptureTable.read(tmp_path / "mine.csv") == RIGHT


@pytest.mark.parametrize("kind", AROUND)
def test_init_says_the_same_of_it(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    (tmp_path / "mine.csv").write_text(AROUND[kind], "utf-8")
    plan = initial_plan(tmp_path / "mine.csv", {}, tmp_path / "analysis.toml")
    filled = plan.replace('population = ""', 'population = "Persons in an invented place"')
    (tmp_path / "analysis.toml").write_text(filled, "utf-8")
    assert read_plan(tmp_path / "analysis.toml").table == RIGHT


def write_merged(path: Path) -> None:
    FRAME.set_index(list(LISTS)).sort_index().to_excel(path)


def write_sheets(path: Path) -> None:
    with pd.ExcelWriter(path) as book:
        pd.DataFrame([["Toelichting"], ["Bron: CBS"]]).to_excel(
            book, sheet_name="Info", header=False, index=False
        )
        FRAME.to_excel(book, sheet_name="Data", index=False)


def write_json(content: object) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(content))


def labelled(labels: dict[int, str], on: int) -> Callable[[Path], object]:
    codes = {int(code == on): code for code in labels}
    coded = FRAME.assign(**{name: FRAME[name].map(codes) for name in LISTS})
    return lambda path: pyreadstat.write_sav(coded, path, variable_value_labels=dict.fromkeys(LISTS, labels))


RECORDS = FRAME.to_dict("records")
PROGRAMS = {
    "merged cells.xlsx": write_merged,
    "a sheet of words first.xlsx": write_sheets,
    "digits as texts.xlsx": lambda path: FRAME.astype(str).astype(object).to_excel(path, index=False),
    "an index.parquet": lambda path: FRAME.set_index(list(LISTS)).to_parquet(path),
    "truth values.parquet": lambda path: FRAME.astype(dict.fromkeys(LISTS, bool)).to_parquet(path),
    "categories.parquet": lambda path: FRAME.astype(dict.fromkeys(LISTS, "category")).to_parquet(path),
    "names and rows.json": write_json({"columns": [*LISTS, "n"], "data": FRAME.to_numpy().tolist()}),
    "columns of rows.json": FRAME.to_json,
    "records under a name.json": write_json({"source": "CBS", "table": RECORDS}),
    "keys left out.json": write_json([{key: n for key, n in row.items() if n} for row in RECORDS]),
    "labels, the other way round.sav": labelled({1: "Nee", 2: "Ja"}, 2),
    "codes without labels.sav": lambda path: pyreadstat.write_sav(
        FRAME.assign(**{name: 2 - FRAME[name] for name in LISTS}), path
    ),
}


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-16-be", "utf-16"])
def test_wide_encodings(encoding: str, tmp_path: Path) -> None:
    mark = "\ufeff" if encoding == "utf-32-le" else ""
    (tmp_path / "mine.csv").write_bytes(f"{mark}{HEADER},n\n{rows()}".encode(encoding))
    table = CaptureTable.read(tmp_path / "mine.csv")
    assert table == RIGHT
    assert table.reading is not None
    assert any(note.startswith("the file is in UTF-") for note in table.reading.notes)


def test_sums_below_rows_about_persons_are_no_person(tmp_path: Path) -> None:
    sums = ",".join(str(sum(int(bits[place]) for bits in PERSONS)) for place in range(3))
    (tmp_path / "mine.csv").write_text(persons(HEADER, lambda _, bits: ",".join(bits)) + sums + "\n")
    assert CaptureTable.read(tmp_path / "mine.csv").n_observed == len(PERSONS)


@pytest.mark.parametrize("change", [str.upper, str.title, lambda name: f" {name} "])
def test_lists_that_differ_in_capitals_and_blanks_alone_are_one(
    change: Callable[[str], str], tmp_path: Path
) -> None:
    names = [f"{name} noord" for name in LISTS]
    lines = [f"K{i % 50:05},{names[i % 3] if i % 2 else change(names[i % 3])}" for i in range(120)]
    (tmp_path / "mine.csv").write_text("\n".join(["klant,bron", *lines]))
    table = CaptureTable.read(tmp_path / "mine.csv", person="klant", list="bron")
    assert table.n_lists == 3
    assert table.reading is not None
    assert ("one list" in " ".join(table.reading.notes)) == (change("a b").strip() != "a b")


@pytest.mark.parametrize("word", ["", "NA", "?", "onbekend", "unknown", "-", "."])
def test_somebody_who_is_not_known_is_no_person(word: str, tmp_path: Path) -> None:
    lines = [f"{f'K{i % 40:05}' if i % 9 else word},{LISTS[i % 3]}" for i in range(120)]
    (tmp_path / "mine.csv").write_text("\n".join(["klant,bron", *lines]))
    with pytest.raises(
        TableError, match="column 'klant': no person in 14 rows \\(1, 10, 19, 28, 37 and more\\)"
    ):
        CaptureTable.read(tmp_path / "mine.csv", person="klant", list="bron")


@pytest.mark.parametrize(
    ("form", "last"), [("{m}/{d}/2020", "m"), ("{d}/{m}/2020", "m"), ("{d}-{m}-2020", "m")]
)
def test_days_are_read_the_same_way_in_a_whole_column(form: str, last: str, tmp_path: Path) -> None:
    days = [form.format(d=d, m=m) for d, m in ((11, 3), (4, 4), (28, 2))]  # the second is the last of all
    rows_ = "".join(f"K{i},{LISTS[j]},{'vmv'[j]},{day}\n" for i in range(20) for j, day in enumerate(days))
    rows_ += "".join(f"L{i},{name},m,{days[0]}\n" for i, name in enumerate(LISTS))  # no list holds everybody
    (tmp_path / "mine.csv").write_text("klant,bron,sekse,dag\n" + rows_)
    table = CaptureTable.read(
        tmp_path / "mine.csv", person="klant", list="bron", strata=["sekse"], date="dag", conflicts="last"
    )
    assert set(table.strata["sekse"]) == {last}


def test_days_in_the_place_of_ticks(tmp_path: Path) -> None:
    text = persons(
        HEADER, lambda i, bits: ",".join(f"2020-01-{1 + i % 28:02}" * (bit == "1") for bit in bits)
    )
    (tmp_path / "mine.csv").write_text(text)
    table = CaptureTable.read(tmp_path / "mine.csv", lists=list(LISTS))
    assert table.list_totals.to_dict() == {
        name: sum(bits[place] == "1" for bits in PERSONS) for place, name in enumerate(LISTS)
    }
    with pytest.raises(TableError, match=f"holds days and blanks.*: say --lists {HEADER}"):
        CaptureTable.read(tmp_path / "mine.csv")


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_programs_write(name: str, tmp_path: Path) -> None:
    PROGRAMS[name](tmp_path / name)
    assert CaptureTable.read(tmp_path / name) == RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "cell,n\n" + "".join(f"n{bits},{n}\n" for bits, n in COUNTS.items()),
        "cap_hist,freq\n" + "".join(f"{int(bits)},{n}\n" for bits, n in COUNTS.items()),
        '"","ch","freq"\n'
        + "".join(f'"{place}","{bits}",{COUNTS[bits]}\n' for place, bits in enumerate(COUNTS, 1)),
        "ch,n\n" + "".join(f"{' '.join(bits)},{n}\n" for bits, n in COUNTS.items()),
        "ch,n\n" + "".join(f"{'-'.join(bits)},{n}\n" for bits, n in COUNTS.items()),
        "ch;n\n" + "".join(f"({', '.join(bits)});{n}\n" for bits, n in COUNTS.items()),
        "ch,n\n" + "".join(f'"\'{bits}",{n}\n' for bits, n in COUNTS.items()),
        ",".join(f"x.{bits}" for bits in COUNTS) + ",x.000\n" + ",".join(map(str, COUNTS.values())) + ",\n",
    ],
    ids=["letters in front", "zeros lost", "row names", "blanks", "dashes", "vectors", "apostrophes", "wide"],
)
def test_histories_as_programs_write_them(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(text)
    assert CaptureTable.read(tmp_path / "mine.csv") == UNNAMED


@pytest.mark.parametrize(
    "levels", [{"m": 1, "v": 1, "all": 2}, {"m": 1, "v": 1, "Totaal": 2}, {"noord": 1, "zuid": 2, "land": 3}]
)
def test_a_level_that_adds_up_the_others_counts_nobody_twice(levels: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(in_strata(levels))
    table = CaptureTable.read(tmp_path / "mine.csv")
    assert table.n_observed == TOTAL * max(levels.values())
    assert table.strata["sex"].nunique() == 2
    assert any("left out" in note for note in table.reading.notes)


def test_levels_that_do_not_add_up_all_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(in_strata({"noord": 1, "zuid": 2, "west": 4}))
    assert CaptureTable.read(tmp_path / "mine.csv").n_observed == 7 * TOTAL


def test_merged_cells_of_a_stratum_are_filled_down(tmp_path: Path) -> None:
    lines = in_strata({"noord": 1, "zuid": 2}).splitlines()
    merged = [
        line if place in (1, 8) or place == 0 else line[line.index(",") :] for place, line in enumerate(lines)
    ]
    (tmp_path / "mine.csv").write_text("\n".join(merged))
    table = CaptureTable.read(tmp_path / "mine.csv")
    assert table == CaptureTable.from_counts(
        pd.read_csv(_written("\n".join(lines), tmp_path)), count="n", strata=["sex"]
    )
    assert "a blank in sex was read as the value above it, as of merged cells" in table.reading.notes


def _written(text: str, folder: Path) -> Path:
    (folder / "whole.csv").write_text(text)
    return folder / "whole.csv"


def test_a_count_of_one_in_every_row_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(persons(f"{HEADER},freq", lambda _, bits: ",".join([*bits, "1"])))
    table = CaptureTable.read(tmp_path / "mine.csv")
    assert (table.lists, table.n_observed) == (LISTS, len(PERSONS))
    assert "freq is the same in every row and is not taken for counts" in table.reading.notes


def test_columns_that_are_named_take_the_place_of_names_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a,a,c,n\n" + rows())
    with pytest.raises(TableError, match=r"more than one column is called 'a'.* say --columns a,a_2,c,n"):
        CaptureTable.read(tmp_path / "mine.csv")
    table = CaptureTable.read(tmp_path / "mine.csv", columns=[*LISTS, "n"])
    assert table == RIGHT
    assert "the names of the columns are those given, not those of the file" in table.reading.notes


def test_an_index_with_a_name_is_a_column() -> None:
    frame = pd.DataFrame(
        {"politie": [i % 2 for i in range(60)], "opvang": [1 - i % 2 for i in range(60)]},
        index=pd.Index([f"K{10_007 + i % 20}" for i in range(60)], name="klant"),
    )
    with pytest.raises(TableError, match="say --person klant"):
        CaptureTable.read(frame)
    assert CaptureTable.read(frame, person="klant").n_observed == 20


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("politie,gemeente,n\n1,0,50\n0,1,30\n1,1,10\n", "only 'politie' is a list for certain"),
        (persons(HEADER, lambda i, bits: ",".join(["x" if bits[0] == "1" else "", "nx"[int(bits[1])], *bits[2:]])),
         "column 'politie' holds values other than 0 and 1: row .* is missing"),
        ("politie,opvang,n\n1,0,5\n0,1,6\n1,1,3\n1,?,2\n", r"column 'opvang' holds values other than 0 and 1"),
        (persons(HEADER, lambda i, bits: ",".join([bits[0] if i % 9 else "", *bits[1:]])), "row 1 is missing"),
        (persons(f"{HEADER},n", lambda i, bits: f"{','.join(bits)},{1 + i % 5}"), "rows of the same lists repeat"),
        (f"{HEADER},seen\n{rows()}1,0,0,7\n", "two rows or more|holds numbers and is not named"),
        ("2018,2019,2020,2021\n" + rows(), "it may hold the counts"),
        (persons(f"dossier,{HEADER}", lambda i, bits: f"{i % 5 + 1},{','.join(bits)}"), "tells persons apart"),
        ("a;b;n\n1;0;1.089\n0;1;2.400\n1;1;1.250\n", "can be decimal or stand between thousands"),
        ("a,b,n\n1,0,5\n1,7\n1,1,4\n", "is missing"),
        (f"{HEADER},n\n" + rows(number=lambda n: f"{n} personen"), "numbers with words beside them"),
        (f"{HEADER},aantal\n" + rows(number=lambda n: f"{n} ({n / TOTAL:.0%})"), "numbers with words beside them"),
        ("politie,opvang,2018,2019\n1,0,61,50\n0,1,84,60\n1,1,18,20\n", "say --count 2018 .* or --count 2019"),
        ("politie,opvang,aantal,\n,,mannen,vrouwen\n1,0,61,50\n0,1,84,60\n1,1,18,20\n", "--count mannen .* or"),
        ("lijsten,n\n1,61\n2,84\n3,12\n12,18\n13,5\n", "say --split letters$"),
        ("lijsten,n\npolitie,61\nopvang,84\npolitie-opvang,18\n", "say --split -$"),
        ("klant,a,b,n\n" + "".join(f"K{i:04},{i % 2},{i % 3 % 2},{1 + i % 6}\n" for i in range(90)),
         "may hold parts of counts, or something of a person"),
        ("bsn,achternaam,a,b\n" + "".join(f"{123450000 + i},Jansen{i % 9},{i % 2},1\n" for i in range(80)),
         "say --lists a,b or --person bsn$"),
    ],
    ids=[
        "one list and a municipality", "crosses and one of words", "a question mark", "blanks in a list of 0 and 1",
        "contacts", "parts", "years and counts", "few numbers of files", "thousands or decimals", "a row too short",
        "counts with words",
        "counts with shares", "years", "two lines of names", "digits", "dashes", "contacts of clients", "family names",
    ],
)  # fmt: skip
def test_what_is_not_clear_is_not_read(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(TableError, match=told):
        CaptureTable.read(tmp_path / "mine.csv")


@pytest.mark.parametrize(
    "text",
    [
        "politie \\ opvang,nee,ja\nnee,,84\nja,61,18\n",
        "politie/opvang;0;1\n0;?;84\n1;61;18\n".replace("0;1", "FALSE;TRUE"),
        '"","","opvang","0","1"\n"politie","","","",""\n'.replace('"","","opvang"', '"","opvang"').replace(
            '"politie","","","",""', '"politie","","",""'
        )
        + '"0","",NA,84\n"1","",61,18\n',
    ],
    ids=["words", "truth values", "R"],
)
def test_two_lists_across_each_other(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(text)
    table = CaptureTable.read(tmp_path / "mine.csv")
    assert table.list_totals.to_dict() == {"politie": 79, "opvang": 102}
    assert table.n_observed == 163


def test_counts_under_the_words_of_a_list_beside_two_others() -> None:
    wide = FRAME.pivot_table("n", list(LISTS[:2]), LISTS[2], fill_value=0).rename(columns=str).reset_index()
    table = CaptureTable.read(wide)
    assert table.rename({"list3": "kliniek"}) == RIGHT


def test_days_and_family_names_are_not_called_persons_that_repeat(tmp_path: Path) -> None:
    lines = [f"K{i:04},{2000 + i % 9}-01-02,Jansen{i % 9},{','.join(bits)}" for i, bits in enumerate(PERSONS)]
    (tmp_path / "mine.csv").write_text("\n".join([f"klant,datum,achternaam,{HEADER}", *lines]))
    table = CaptureTable.read(tmp_path / "mine.csv", lists=LISTS)
    assert (table.n_observed, table.reading.notes) == (len(PERSONS), ())


def test_a_code_of_1_and_2_is_no_list_with_faults(tmp_path: Path) -> None:
    lines = [f"{1 + i % 2},{','.join(bits)}" for i, bits in enumerate(PERSONS)]
    (tmp_path / "mine.csv").write_text("\n".join([f"sexe,{HEADER}", *lines]))
    table = CaptureTable.read(tmp_path / "mine.csv")
    assert (table.lists, [*table.strata.columns], table.n_observed) == (LISTS, ["sexe"], len(PERSONS))
