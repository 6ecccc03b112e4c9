"""No identifier leaves: planted in every column and every shape, none comes back from any command."""

import contextlib
import io
import itertools
import json
import re
import shutil
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hiddenpop.cli import main
from hiddenpop.cli.inputs import read_columns
from hiddenpop.errors import HiddenpopError
from hiddenpop.table import CaptureTable

FIRST = ("Anneke", "Bartel", "Corneel", "Dieuwke", "Eelkje", "Froukje", "Gerlof", "Hiltje", "Ieme", "Jeltsje")
LAST = ("Zwartendijk", "Yntema", "Xhaferi", "Wiersma", "Vellinga", "Uneken", "Tamsma")
KINDS = {
    "UUID": lambda i: f"{0x9F3A1C00 + 7919 * i:08x}-4b7d-4c1a-9e0f-{0x5D2E00000000 + 104729 * i:012x}",
    "case numbers": lambda i: f"{2018 + i % 5}/{1000 + 7 * i}",
    "letters": lambda i: f"zq{chr(97 + i % 26)}{chr(97 + i // 26)}xw",
    "names": lambda i: f"{FIRST[i % 10]} {LAST[i % 7]} {'abcdefghijklmnopqrstuvwxyz'[i // 70]}.",
    "one name": lambda i: f"{FIRST[i % 10]}{LAST[i % 7].lower()}{'abcdefghijklmnopqrstuvwxyz'[i // 70]}",
    "birth dates": lambda i: f"{1950 + i % 50}-{1 + i % 12:02}-{1 + i % 28:02}",
    "Dutch birth dates": lambda i: f"{1 + i % 28:02}-{1 + i % 12:02}-{1950 + i % 50}",
    "client codes": lambda i: f"NL-{10_000 + 7 * i}",
    "client numbers": lambda i: str(41_000 + 13 * i),
    "family name first": lambda i: f"{LAST[i % 7]}, {FIRST[i % 10]} {'abcdefghijklmnopqrstuvwxyz'[i // 70]}.",
    "two persons": lambda i: f"{FIRST[i % 10]}{'kop'[i // 30]} & {LAST[(3 * i) % 7]}{'tuv'[i // 30]}",
    "e-mail": lambda i: f"{FIRST[i % 10].lower()}{i}@voorbeeld.nl",
    "BSN": lambda i: str(123_456_782 + 9 * i),
}
LISTS = ("police", "shelter", "clinic")
SHAPES = ("registrations", "long", "persons", "persons with sex", "cells with a name")
OPTIONS = (
    "",
    "--person {who}",
    "--person {who} --list {where}",
    "--person {where} --list {who}",
    "--list {who}",
    "--strata {who}",
    "--lists {who},{where}",
    "--lists police,shelter",
    "--count {who}",
    "--count none --strata {who}",
    "--date {who} --person {where}",
    "--person {where} --strata {who} --conflicts first",
    "--strata none-such",
    "--person none-such",
    "--decimal ,",
    "--split ,",
    "--person {where} --list {who} --split &",
    "--list {who},{where}",
    "--visits presence --lists {who},{where}",
    "--person {where} --count {who}",
    "--count {who} --censored {where}",
)
COMMANDS = (
    "describe {file}",
    "describe {file} --json --plot {out}/overlap.svg",
    "estimate {file} --estimator chao --json",
    "estimate {file} --estimator lincoln_petersen --plot {out}/forest.svg",
    "compare {file} chao loglinear",
    "sensitivity {file} --estimator none-such",
    "estimate {file} --json",
    "compare {file} chao loglinear --json",
    "init {file} --out {out}/analysis.toml",
    "run {plan} --out {out}/run --workers 1",
)


WRITERS: dict[str, Callable[[pd.DataFrame, Path, bool], object]] = {
    ".xlsx": lambda frame, path, header: frame.to_excel(path, index=False, header=header),
    ".sav": lambda frame, path, _: pyreadstat.write_sav(numbered(frame), path),
    ".dta": lambda frame, path, _: numbered(frame).to_stata(path, write_index=False),
    ".parquet": lambda frame, path, _: numbered(frame).set_index(frame.columns[0]).to_parquet(path),
    ".json": lambda frame, path, _: numbered(frame).to_json(path, orient="records"),
}


def numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of digits as numbers, as programs hold them."""
    return frame.apply(lambda column: pd.to_numeric(column) if column.str.fullmatch(r"\d+").all() else column)


def plan_of(file: Path, typed: list[str]) -> str:
    """A plan for a file, with what is typed as its keys."""
    given = dict(zip((word.removeprefix("--") for word in typed[::2]), typed[1::2], strict=True))
    columns = "".join(f"{key} = {json.dumps(value)}\n" for key, value in read_columns(given).items())
    return f"""
[analysis]
title = "A title"
question = "How many?"
population = "Persons in an invented place"
seed = 1
[data]
file = {json.dumps(file.name)}
{columns}
[[estimator]]
label = "bound"
name = "chao"
[choice]
estimator = "bound"
why = "It is a bound."
[sensitivity]
checks = ["list_influence"]
[report]
formats = ["html"]
"""


def written(folder: Path) -> str:
    """All that stands in the files of a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    tables = [pd.read_parquet(path).to_csv() for path in files if path.suffix == ".parquet"]
    return "".join([*tables, *(f"{path} {path.read_text(errors='replace')}" for path in files)])


def lines_of(shape: str, ids: list[str], seed: int) -> list[list[str]]:
    """Rows of a table of 60 persons under a line of names; the identifier is called `who`."""
    rng = np.random.default_rng(seed)
    people = ids[:60]
    if shape == "registrations":
        rows = [[who, *on] for who in people * 3 for on in [["1", "0"] if rng.random() < 0.6 else ["0", "1"]]]
        return [["who", "police", "shelter"], *rows]
    if shape == "long":
        return [["who", "where"], *([who, str(rng.choice(LISTS))] for who in people * 2)]
    if shape == "cells with a name":
        rows = [[who, *map(str, rng.integers(0, 2, 2)), str(rng.integers(1, 40))] for who in people]
        return [["who", "police", "shelter", "total"], *rows]
    marks = [["1", "0"], ["0", "1"], ["1", "1"]]
    rows = [[who, *marks[rng.integers(0, 3)]] for who in people]
    if shape == "persons with sex":
        return [
            ["who", "police", "shelter", "sex"],
            *([*row, "mf"[place % 2]] for place, row in enumerate(rows)),
        ]
    return [["who", "police", "shelter"], *rows]


def leaving(words: list[str]) -> str:
    """Run a command and give all that it says."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = main(words)
    assert code in (0, 2)
    return out.getvalue() + err.getvalue()


def reading_of(source: object, typed: list[str]) -> str:
    """Read a file with typed options and give all that is said of it, and all that could become a name or a level."""
    given = dict(zip((word.removeprefix("--") for word in typed[::2]), typed[1::2], strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = CaptureTable.read(source, **read_columns(given))
        except HiddenpopError as error:
            return "".join(traceback.format_exception(error))
    return f"{table!r} {table.reading} {table.lists} {table.strata.to_dict('list')}"


def assert_without(ids: list[str], told: str, where: str) -> None:
    for identifier in set(ids):
        found = re.search(rf"(?<![\d.]){re.escape(identifier)}(?!\d)", told)  # no part of another number
        assert not found, f"{identifier} after {where}: {told[:2000]}"


@contextlib.contextmanager
def planted(
    kind: str,
    shape: str,
    options: str,
    name: str,
    *,
    header: bool,
    separator: str = ",",
    suffix: str = ".csv",
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A file with identifiers of one kind, them, and the options as they are typed."""
    ids = [KINDS[kind](place) for place in range(60)]
    lines = lines_of(shape, ids, 1)
    lines[0][0] = name
    where = "where" if shape == "long" else "police"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"mine{suffix}"
        frame = pd.DataFrame(lines[1:], columns=lines[0])
        if suffix == ".csv":
            frame.to_csv(file, sep=separator, index=False, header=header)
        else:
            WRITERS[suffix](frame, file, header)
        yield file, ids, options.format(who=name, where=where).split()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_identifier_is_read_whatever_is_typed(kind: str, shape: str) -> None:
    for options, header in itertools.product(OPTIONS, (True, False)):
        name = "v1" if len(options) % 2 else "who"  # what is called so is known, and what is not must be seen
        with planted(kind, shape, options, name, header=header) as (file, ids, typed):
            assert_without(ids, reading_of(file, typed), f"{options} header={header}")


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    shape=st.sampled_from(SHAPES),
    options=st.sampled_from(OPTIONS),
    name=st.sampled_from(["who", "clientnr", "q", "naam", "kenmerk", "geboren", "v1"]),
    header=st.booleans(),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    suffix=st.sampled_from([".csv", *WRITERS]),
)
@example(
    kind="client codes",
    shape="registrations",
    options="--person {who}",
    name="who",
    header=True,
    separator=",",
    suffix=".csv",
)
@example(
    kind="names",
    shape="long",
    options="--person {who} --list {where}",
    name="q",
    header=True,
    separator=";",
    suffix=".parquet",
)
def test_no_identifier_leaves_through_any_command(
    kind: str, shape: str, options: str, name: str, header: bool, separator: str, suffix: str
) -> None:
    how = {"header": header, "separator": separator, "suffix": suffix}
    with planted(kind, shape, options, name, **how) as (file, ids, typed):
        plan = file.parent / "analysis.toml"
        plan.write_text(plan_of(file, typed), "utf-8")
        for command in COMMANDS:
            out = file.parent / "out"
            out.mkdir()
            words = command.format(file=file, out=out, plan=plan).split()
            told = leaving([*words, *(() if "{plan}" in command else typed)])
            assert_without(ids, told + written(out), command)
            shutil.rmtree(out)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_identifier_is_read_from_the_file_of_another_program(kind: str, suffix: str) -> None:
    for shape, options in itertools.product(("registrations", "long", "persons with sex"), OPTIONS):
        with planted(kind, shape, options, "v1", header=suffix != ".xlsx", suffix=suffix) as (
            file,
            ids,
            typed,
        ):
            assert_without(ids, reading_of(file, typed), f"{shape} {options} {suffix}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["v1", None])
def test_no_identifier_is_read_from_an_index(kind: str, name: str | None) -> None:
    for shape, options in itertools.product(SHAPES, OPTIONS):
        lines = lines_of(shape, ids := [KINDS[kind](place) for place in range(60)], 1)
        frame = pd.DataFrame(lines[1:], columns=["v1", *lines[0][1:]]).set_index("v1").rename_axis(name)
        typed = options.format(who="v1", where="where" if shape == "long" else "police").split()
        assert_without(ids, reading_of(frame, typed), f"{shape} {options}")
