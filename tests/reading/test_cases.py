"""Files as people have them: what each must give, and every way out that a refusal offers works.

The right values were derived apart from the package, from closed forms, an own fit or published numbers.
"""

import ast
import inspect
import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import hiddenpop as hp
from hiddenpop.cli import main
from hiddenpop.cli.inputs import read_columns
from hiddenpop.errors import CapabilityError, TableError
from hiddenpop.reading.questions import OpenQuestionError, ask
from hiddenpop.table import CaptureTable

CASES = Path(__file__).parent / "cases"
BRUSSELS = "fieldwork,low,crisis"


class Case(NamedTuple):
    """A file, what is typed, what it holds, and estimates by model: "best" is the lowest BIC."""

    file: str
    typed: str
    persons: int
    lists: str
    strata: str = ""
    estimates: dict[str, float] = {}  # noqa: RUF012 - read only


READ = (
    Case("01-misfit.csv", "", 4614, "1996,1997,1998", "", {"independence": 10_642.8}),
    Case(
        "01-no-header.csv",
        "--columns a,b,c,n",
        4614,
        "a,b,c",
        "",
        {"independence": 10_642.8, "[13,23]": 21_028.9, "best": 21_028.9, "all-pairs": 16_958.5},
    ),
    Case(
        "03-counts-named-total.csv",
        "",
        856,
        "treat,arrest,exchange,survey",
        "",
        {"independence": 1_607.6, "[12,3,4]": 1_656.5, "best": 1_656.5},
    ),
    Case("03-zero-one-counts.csv", "", 4, "police,shelter,clinic"),
    Case("08-seven-sources.csv", "", 18_336, "in_23,in_1,in_28,in_6,in_21,in_19,in_17"),
    Case("09-eight-occasions.csv", "", 1681, "p1,p2,p3,p4,p5,p6,p7,p8", "", {"independence": 4_329}),
    Case(
        "10-text-id.csv",
        "--lists 2021-05-03,2021-05-04,2021-05-05,2021-05-06,2021-05-07",
        49,
        "2021-05-03,2021-05-04,2021-05-05,2021-05-06,2021-05-07",
        "",
        {"independence": 50.9},
    ),
    Case("13-sex-coded-01.csv", "", 1634, "kc,np,po", "female", {"independence": 2_908.6, "best": 6_883}),
    Case("16-list-inside-another.csv", "", 763, "police,convicted,shelter,hotline"),
    Case(
        "16-list-inside-another.csv",
        "--lists police,shelter,hotline",
        763,
        "police,shelter,hotline",
        "",
        {"independence": 1_751.7},
    ),
    Case("22-row-a-registration.csv", "--person clientnr", 209, "police,shelter", "", {"[1,2]": 298.2}),
    Case("22-numeric-id.csv", "--person clientnr", 209, "police,shelter", "", {"[1,2]": 298.2}),
    Case("23-row-of-nobody-NA.csv", "", 306, "LA,NG,PF", "", {"best": 688.0}),
    Case("24-thousands-point.csv", "", 2209, "politie,opvang,kliniek", "", {"best": 12_946.9}),
    Case("25-sex-NA.csv", "", 1634, "kc,np,po", "sex,age"),
    Case("30-boundary.csv", "", 368, "a,b,c"),
    *(
        Case(f"shapes/{name}.csv", "", 306, BRUSSELS, "", {"best": 688.0})
        for name in (
            "1-2-spss", "NA-for-0", "T-F", "decimal-comma-semicolon", "ftable", "rownames", "title-row", "total-row",
            "trailing-blank-lines", "x-blank", "yes-no",
        )
    ),
    Case("shapes/latin1.csv", "", 306, "Étude,b,c", "", {"best": 688.0}),
    Case("shapes/thousands-comma.csv", "", 30_600, BRUSSELS),
    Case("shapes/thousands-space.csv", "", 30_600, BRUSSELS),
)  # fmt: skip

REFUSED = {
    "01-no-header.csv": "the first line looks like data and not like names of columns",
    "10-text-id.csv": "column 'id' looks like what tells persons apart",
    "22-row-a-registration.csv": "column 'clientnr' looks like what tells persons apart and has more than one row",
    "22-numeric-id.csv": "column 'clientnr' looks like what tells persons apart and has more than one row",
}
"""Files that can be read in several ways, and the question."""

LONG = "client,where,ward,client_name\n" + "".join(
    f"K{i % 40:05},{('police', 'shelter', 'clinic')[i % 3]},{('north', 'south', 'north', 'west')[i // 3 % 4]},"
    f"{'abcdefghij'[i % 10]}{'klmn'[i // 10 % 4]} janssen\n"
    for i in range(90)
)
MADE = {
    "number-beside-lists": "a,b,c,personen\n1,0,0,61\n0,1,0,84\n0,0,1,39\n1,1,0,18\n",
    "no-name-for-0-1-counts": "a,b,c,seen\n1,0,0,1\n0,1,0,1\n0,0,1,0\n1,1,0,1\n1,0,1,0\n0,1,1,0\n1,1,1,1\n",
    "thousands-or-decimals": "a;b;count\n1;0;50.000\n0;1;12.500\n1;1;30.250\n",
    "codes-1-2": "a,b,count\n1,2,61\n2,1,39\n",
    "long": LONG,
    "two-counts": "a,b,n,freq\n1,0,61,5\n0,1,84,6\n1,1,18,7\n",
    "number-beside-counts": "a,b,score,count\n1,0,7,61\n0,1,8,84\n1,1,9,18\n1,0,9,3\n",
    "e-mail": "a,b,post\n" + "".join(f"{i % 2},1,p{i}@voorbeeld.nl\n" for i in range(30)),
    "BSN-repeated": "nummer,a,b\n"
    + "".join(f"{123456782 + i % 20},{i % 2},{1 - i % 2}\n" for i in range(50)),
    "scattered-text": "a,b,wie\n"
    + "".join(f"{i % 2},1,persoon {'abcdefghijklmnop'[i]}\n" for i in range(16)),
    "lists-and-text-beside-strata": "a,b,sex,city,count\n1,0,f,n,61\n0,1,m,n,84\n1,1,f,s,18\n",
    "copies-of-a-name": "a,a,count\n1,0,61\n0,1,84\n1,1,18\n",
    "column-without-a-name": "a,b,\n1,0,61\n0,1,84\n1,1,18\n",
    "signs-in-a-name": '"a, north",b:c,count\n1,0,61\n0,1,84\n1,1,18\n',
    "one-list-and-a-covariate": "politie,gemeente,count\n1,0,61\n0,1,84\n1,1,18\n",
    "words-not-known": "a,b,count\nbekend,anders,61\nanders,bekend,84\nbekend,bekend,18\n",
    "counts-of-a-person": "a,b,n\n" + "".join(f"{i % 2},1,{1 + i % 5}\n" for i in range(30)),
    "parts-of-counts": "a,b,seen\n1,0,61\n0,1,84\n1,1,18\n1,0,7\n",
    "no-names-and-identifiers": "".join(f"K{10_007 + i % 20},{i % 2},{1 - i % 2}\n" for i in range(50)),
    "no-names-and-histories": "110,24\n100,61\n011,7\n001,18\n",
    "list-without-person": LONG,
    "person-without-list": LONG,
    "swapped": LONG,
    "no-names-of-lists": "client,day,where\n"
    + "".join(f"K{i % 80:05},d{i % 70:02}x,{('police', 'shelter')[i % 2]}\n" for i in range(90)),
    "conflicts": LONG,
    "no-counts": "a,b,ward,seen\n1,0,north,61\n0,1,south,84\n1,1,west,18\n",
    "days-of-lists": "klant,politie,opvang\n"
    + "".join(f"{10**8 + i},{'2020-01-02' * (i % 3 > 0)},{'2020-02-03' * (i % 2)}\n" for i in range(60)),
    "marks-not-known": "a,b,count\nv,,61\n,v,39\nv,v,12\n",
    "ja-nee-onbekend": "a,b\n"
    + "".join(
        f"{('Ja', 'Nee', 'Onbekend')[i % 3]},{('Ja', 'Nee', 'Onbekend')[i // 3 % 3]}\n" for i in range(60)
    ),
    "shares-alone": "a,b,%\n1,0,61.5\n0,1,30.2\n1,1,8.3\n",
    "remarks": "a,b,opmerking\n" + "".join(f"{i % 2},1,{'belt later' * (i == 3)}\n" for i in range(60)),
    "two-tables": "a,b,count\n1,0,61\n0,1,84\n1,1,18\n\na,b,count\n1,0,6\n0,1,8\n1,1,7\n",
    "lists-in-a-cell": "who,ward,seen\na & b,north,61\na & c,north,8\nb & c,north,84\na & b & c,south,18\n",
    "lists-and-wards": "where,ward,count\na,x,61\nb,x,84\na & b,x,18\na,y,6\nb,y,8\na & b,y,7\n",
    "lists-of-a-registration": "client,where\n"
    + "".join(f"K{i % 17:05},{('Politie', 'Opvang', 'Politie en justitie')[i % 3]}\n" for i in range(40)),
    "weights": "a,b,w,seen\n1,0,6.1,61\n0,1,8.4,84\n1,1,1.8,18\n",
    "visits": "a,b,c\n" + "".join(f"{i % 4},{i // 4 % 3},{i // 12 % 2}\n" for i in range(72)),
    "visits-and-persons": "klant,a,b\n" + "".join(f"NL-{i:05},{i % 4},{i // 4 % 3}\n" for i in range(72)),
    "visits-and-counts": "a,b,n\n1,0,61\n0,1,84\n1,2,18\n2,1,7\n",
    "one-number-in-a-list": "a,b,n\n1,0,61\n0,1,84\n1,2,18\n",
    "visits-by-person-and-list": "klant,bron,keer\n"
    + "".join(f"NL-{i // 2:05},{'ab'[i % 2]},{(i * 7 + i // 5) % 4}\n" for i in range(80)),
    "names-beside": "klant,reg1,reg2\n"
    + "".join(f"NL-{i % 50:05},{'abc'[i % 3]},{('b', 'c', '')[i // 3 % 3]}\n" for i in range(80)),
    "names-beside-and-person": "klant,reg1,reg2\n"
    + "".join(f"NL-{i % 50:05},{'abc'[i % 3]},{('b', 'c', '')[i // 3 % 3]}\n" for i in range(80)),
    "numbers-of-records": "naam,reg1,reg2\n"
    + "".join(f"p{i},{f'{10_000 + i}' * (i % 3 > 0)},{f'A{i}-{i * 7}' * (i % 2)}\n" for i in range(60)),
}
TYPED = {
    "lists-and-text-beside-strata": "--strata sex",
    "parts-of-counts": "--count seen",
    "list-without-person": "--list where",
    "person-without-list": "--person client",
    "swapped": "--person where --list client",
    "no-names-of-lists": "--person client --list day",
    "no-counts": "--count ward",
    "lists-of-a-registration": "--person client --list where",
    "weights": "--count w",
    "conflicts": "--person client --list where --strata ward",
    "visits-by-person-and-list": "--person klant --list bron",
    "names-beside-and-person": "--person klant",
}
FAULTS = {
    "identifying-stratum": (LONG, "--person client --list where --strata client_name", "leave it out of --strata",
                            "--person client --list where"),
    "no-dates": (LONG, "--person client --list where --date ward", "leave out --date", "--person client --list where"),
    "censored-without-counts": ("a,b,below,seen\n1,0,FALSE,61\n0,1,FALSE,84\n1,1,TRUE,18\n", "--lists a,b",
                                "name the column of counts too, with --count", "--lists a,b --count seen"),
}  # fmt: skip
"""Faults whose message names an option to change: the file, what is typed, the advice, and what it leads to."""


def read(path: Path, typed: str = "", **more: str) -> CaptureTable:
    words = shlex.split(typed)
    given = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
    return CaptureTable.read(path, **read_columns(given), **more)


def ways_out(message: str) -> list[str]:
    """Take the options out of a message, as they are to be typed."""
    offered = message.rpartition(": say ")[2]
    return re.split(r" or (?=--)", offered)


def method(model: str) -> Any:
    if model == "best":
        return hp.SelectedLogLinear(criterion="bic")
    return hp.LogLinear() if model == "independence" else hp.LogLinear(model=model)


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hp.errors.HiddenpopWarning)
        yield


@pytest.mark.parametrize("case", READ, ids=lambda case: f"{case.file} {case.typed}")
def test_a_file_is_read_as_its_owner_meant_it(case: Case) -> None:
    table = read(CASES / case.file, case.typed)
    assert (table.n_observed, ",".join(table.lists)) == (case.persons, case.lists)
    assert ",".join(table.strata.columns) == case.strata
    for model, right in case.estimates.items():
        found = method(model).fit(table)
        assert found.n_hat == pytest.approx(right, abs=0.05 if right % 1 else 0.5)  # the digits given


def test_a_covariate_that_is_missing_is_said_and_is_no_group_in_silence() -> None:
    table = read(CASES / "25-sex-NA.csv")
    assert sorted(table.strata["sex"].unique()) == ["F", "M", "unknown"]
    assert 'sex is missing in 20 rows, which got the level "unknown"' in table.reading.notes
    found = hp.CovariateLogLinear(model="kc*np + np*po + po*age + sex*age").fit(table)
    assert found.n_hat == pytest.approx(3375, abs=1)


def test_a_count_below_a_bound_is_a_censored_cell() -> None:
    table = read(CASES / "shapes/less-than-10.csv")
    assert table.censored.sum() == 1
    assert table.counts[table.censored].tolist() == [14]
    assert "1 count, such as <10, read as an upper bound only" in table.reading.notes
    with pytest.raises(CapabilityError, match="upper bound"):
        hp.LogLinear().fit(table)


def test_weights_are_refused() -> None:
    with pytest.raises(TableError, match="column 'count' holds numbers that are not whole, such as weights"):
        read(CASES / "shapes/weights.csv")


def test_eighteen_occasions_are_read() -> None:
    table = read(CASES / "09-eighteen-occasions.csv")
    assert (table.n_lists, table.n_observed) == (18, 560)


def test_the_row_of_nobody_is_read_over_and_said() -> None:
    notes = read(CASES / "23-row-of-nobody-NA.csv").reading.notes
    assert "the row of those on no list is what is sought, and is read over" in notes


@pytest.mark.parametrize("file", REFUSED)
def test_what_can_be_read_in_several_ways_is_asked(file: str) -> None:
    with pytest.raises(TableError, match=REFUSED[file]):
        read(CASES / file)


def refusals(folder: Path) -> dict[str, tuple[Path, str]]:
    """Every file that is refused, with what is typed."""
    made = {}
    for name, text in MADE.items():
        (folder / f"{name}.csv").write_text(text)
        made[name] = (folder / f"{name}.csv", TYPED.get(name, ""))
    return made | {name: (CASES / name, "") for name in REFUSED}


def asked(path: Path, typed: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Describe a file that leaves something open, and take the ways out of the answer."""
    assert main(["describe", str(path), *shlex.split(typed)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert ": say --" in told.err
    return ways_out(told.err.strip())


@pytest.mark.parametrize("name", [*MADE, *REFUSED])
def test_every_way_out_that_a_refusal_names_works(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, typed = refusals(tmp_path)[name]
    for way in asked(path, typed, capsys):
        assert way.startswith("--")
        changed = {word for word in shlex.split(way) if word.startswith("--")}
        given = shlex.split(typed)
        kept = [
            part
            for place in range(0, len(given), 2)
            if given[place] not in changed
            for part in given[place:][:2]
        ]
        assert main(["describe", str(path), *kept, *shlex.split(way)]) == 0, way
        assert capsys.readouterr().out.startswith("Read ")


def questions() -> set[tuple[str, int, int]]:
    """Every place of the reader where a question is put: the file and its lines."""
    places = set()
    for file in Path(hp.__file__).parent.joinpath("reading").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "OpenQuestionError":
                places.add((file.name, node.lineno, node.end_lineno or node.lineno))
    return places


def test_every_question_of_the_reader_is_among_those_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = set()

    made: dict[int, tuple[str, int]] = {}
    make = OpenQuestionError.__init__

    def noted(self: OpenQuestionError, *given: Any, **more: Any) -> None:
        caller = inspect.stack()[1]
        made[id(self)] = (Path(caller.filename).name, caller.lineno)
        make(self, *given, **more)

    def asked(question: OpenQuestionError, *given: Any) -> TableError:
        put.add(made[id(question)])  # and not the questions that an answer, when it is tried, would lead to
        return ask(question, *given)

    monkeypatch.setattr(OpenQuestionError, "__init__", noted)
    monkeypatch.setattr("hiddenpop.reading.read.ask", asked)
    for path, typed in refusals(tmp_path).values():
        with pytest.raises(TableError):
            read(path, typed)
    missed = {
        (file, first)
        for file, first, last in questions()
        if not any((file, line) in put for line in range(first, last + 1))
    }
    assert not missed


@pytest.mark.parametrize("name", FAULTS)
def test_an_option_that_a_fault_names_mends_it(name: str, tmp_path: Path) -> None:
    text, typed, advice, mended = FAULTS[name]
    (tmp_path / "mine.csv").write_text(text)
    censored = {"censored": "below"} if name.startswith("censored") else {}
    with pytest.raises(TableError, match=re.escape(advice)):
        read(tmp_path / "mine.csv", typed, **censored)
    assert read(tmp_path / "mine.csv", mended, **censored).n_observed > 0
