"""No identity gets out: not into files, errors, logs, warnings, representations or what is left of DuckDB."""

import logging
import os
import re
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hiddenpop.errors import HiddenpopError, TableError
from hiddenpop.registers import FellegiSunter, KeyLinkage, Registrations, create_key
from hiddenpop.registers.pseudonyms import Normal, encoded, part_columns

from .conftest import LINK

PLANTED = ["Zwetschgenbaum", "Quaxelius", "19630417", "987654321"]
"""A last name, a first name, a birth date and a key that stand nowhere else."""


def planted(n: int = 60, **columns: Any) -> pd.DataFrame:
    """Give registrations of persons whose identities are easily recognised."""
    base = pd.DataFrame({
        "registration": [str(i) for i in range(n)], "date": ["20190105"] * n, "year": ["2019"] * n,
        "RINPERSOONS": ["R"] * n, "RINPERSOON": [str(987654321 + i // 2) for i in range(n)],
        "first_name": [f"Quaxelius{'abcdefghij'[i // 2 % 10]}" for i in range(n)],
        "last_name": [f"Zwetschgenbaum{'klmnopqrst'[i // 20 % 10]}" for i in range(n)],
        "birth_date": [f"1963{4 + i // 2 % 8:02d}{10 + i // 2 % 17:02d}" for i in range(n)],
        "sex": ["F"] * n, "nationality": ["NL"] * n, "municipality": ["0363"] * n, "form": ["labour"] * n,
    })  # fmt: skip
    base.loc[0, "birth_date"] = "19630417"
    return base.assign(**columns)


def told(frame: Any, **more: Any) -> dict[str, Any]:
    description = {
        "record": "registration", "day": "date", "unit": "year", "key": ["RINPERSOONS", "RINPERSOON"], "link": LINK,
        "strata": ["form"], **more,
    }  # fmt: skip
    return {"file" if isinstance(frame, str | Path) else "data": frame, **description}


def names_somebody(text: str) -> bool:
    plain = text.casefold()
    return any(value.casefold() in plain for value in PLANTED) or re.search(r"9876543\d\d", plain) is not None


def said(error: BaseException) -> str:
    """Write an error with everything that it was raised from."""
    return "".join(traceback.format_exception(error))


def test_the_relation_holds_no_identity_and_no_text_of_a_link_field(key_file: Path) -> None:
    read = Registrations.read({"police": told(planted())}, key_file=key_file)
    everything = read.relation.df().to_csv() + repr(read) + str(dict(read.described)) + read.quality.to_csv()
    assert not names_somebody(everything.replace("registration", ""))
    kinds = dict(
        read.connection.execute("SELECT column_name, data_type FROM information_schema.columns").fetchall()
    )
    for field in LINK:
        for part, shape in part_columns(field).items():
            assert kinds[part] == ("BIGINT" if shape == "one" else "BIGINT[]")
    tables = {
        name
        for (name,) in read.connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
    }
    assert tables == {"registrations"}


def test_links_tables_and_errors_hold_no_identity(
    key_file: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    read = Registrations.read(
        {"police": told(planted()[:50]), "shelter": told(planted()[10:])}, key_file=key_file
    )
    for linkage in (KeyLinkage(), FellegiSunter()):
        links = linkage.fit(read)
        table = links.tabulate(strata=["form"])
        shown = [
            repr(links),
            repr(links.quality),
            str(links.model),
            str(links.describe()),
            repr(table),
            str(table.reading),
        ]
        assert not names_somebody("\n".join(shown))
        left = read.connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
        assert left == [("registrations",)]
    out = capsys.readouterr()
    assert not names_somebody(caplog.text + out.out + out.err)
    assert "splink" not in caplog.text


FAULTY = {
    "a day that is a name": {"date": ["Zwetschgenbaum"] + ["20190105"] * 59},
    "a code that is a name": {"form": ["Quaxelius"] + ["labour"] * 59},
    "a name for a birth date": {"birth_date": ["Quaxelius"] * 60},
    "a key that is shorter": {"RINPERSOON": ["98765432"] + ["987654321"] * 59},
    "a record twice": {"registration": ["Zwetschgenbaum"] * 60},
    "a place of another width": {"municipality": ["Zwetschgenbaum"] * 60},
    "a future day": {"date": ["29990101"] * 60},
}


@pytest.mark.parametrize("what", FAULTY)
def test_a_fault_is_told_by_row_and_column_and_without_an_identity(key_file: Path, what: str) -> None:
    frame = planted(**FAULTY[what])
    with pytest.raises(TableError, match=r"fault.*\n  - register 'police', column '\w+': row \d+") as caught:
        Registrations.read({"police": told(frame, codes={"form": ["labour"]})}, key_file=key_file)
    assert not names_somebody(said(caught.value))


@pytest.mark.parametrize("cut", ["half a parquet", "a row too long", "an open quote", "no text"])
def test_a_damaged_file_is_refused_without_quoting_it(tmp_path: Path, key_file: Path, cut: str) -> None:
    path = tmp_path / ("police.parquet" if cut == "half a parquet" else "police.csv")
    if cut == "half a parquet":
        planted().to_parquet(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        text = planted(3000).to_csv(index=False)
        tail = {
            "a row too long": "1,2,3,4,5,6,Quaxelius,Zwetschgenbaum,19630417,10,11,12,13,14\n",
            "an open quote": '"Zwetschgenbaum\n',
            "no text": "Zwetschgenbaum\0\1\n",
        }
        path.write_bytes((text + tail[cut]).encode())
    with pytest.raises(HiddenpopError) as caught:
        Registrations.read({"police": told(path)}, key_file=key_file)
    assert not names_somebody(said(caught.value))


def test_nothing_is_written_to_disk(tmp_path: Path, key_file: Path) -> None:
    """Read and link in a process of its own, in an empty folder that is also the place for temporary files."""
    source = tmp_path / "in" / "police.csv"
    source.parent.mkdir()
    planted(400).to_csv(source, index=False)
    room = tmp_path / "room"
    room.mkdir()
    script = (
        "import sys, logging; logging.basicConfig(level=1, filename='log.txt')\n"
        "from hiddenpop.registers import *\n"
        f"told = {told('police.csv')!r}\n"
        f"read = Registrations.read({{'a': told, 'b': told}}, key_file={str(key_file)!r}, "
        f"folder={str(source.parent)!r})\n"
        "print(FellegiSunter().fit(read), FellegiSunter().fit(read).quality)\n"
        "print(read.connection.execute(\"SELECT current_setting('temp_directory')\").fetchall())\n"
    )
    environment = {**os.environ, "TMPDIR": str(room), "HOME": str(room)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=room, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not names_somebody(done.stdout + done.stderr)
    for path in room.rglob("*"):
        assert path.is_dir() or not names_somebody(path.read_bytes().decode("latin-1")), path.name
    assert not list(room.glob("*.tmp*"))


LETTERS = st.text(st.characters(codec="utf-8", categories=["L", "Pd", "Zs"]), min_size=4, max_size=24)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=LETTERS.filter(lambda text: len(text.strip()) > 3), key=st.binary(min_size=32, max_size=32))
def test_pseudonyms_are_numbers_that_depend_on_the_key(name: str, key: bytes) -> None:
    one = encoded("last_name", [name], key, Normal()).to_pylist()[0]
    other = encoded("last_name", [name], bytes(32) if key != bytes(32) else b"1" * 32, Normal()).to_pylist()[
        0
    ]
    again = encoded("last_name", [name], key, Normal()).to_pylist()[0]
    assert one == again
    parts = {part: value for part, value in one.items() if part != "value" and value is not None}
    assert all(
        isinstance(v, int)
        for value in parts.values()
        for v in (value if isinstance(value, list) else [value])
    )
    assert all(other[part] != value for part, value in parts.items())


def test_a_key_is_made_for_its_owner_alone_and_refused_otherwise(tmp_path: Path) -> None:
    path = create_key(tmp_path / "key")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TableError, match="never overwritten"):
        create_key(path)
    frame = planted()
    with pytest.raises(TableError, match="no key_file is named; make one"):
        Registrations.read({"police": told(frame)})
    with pytest.raises(
        TableError, match=r"there is no key file .*make one: hiddenpop\.registers\.create_key"
    ):
        Registrations.read({"police": told(frame)}, key_file=tmp_path / "other")
    path.chmod(0o640)
    with pytest.raises(TableError, match="can be used by others; run: chmod 600"):
        Registrations.read({"police": told(frame)}, key_file=path)
    short = tmp_path / "short"
    short.write_bytes(b"x" * 31)
    short.chmod(0o600)
    with pytest.raises(TableError, match="holds 31 bytes, fewer than the 32"):
        Registrations.read({"police": told(frame)}, key_file=short)


def test_the_secret_is_in_no_record_of_the_run(key_file: Path) -> None:
    read = Registrations.read({"police": told(planted())}, key_file=key_file)
    links = KeyLinkage().fit(read)
    secret = key_file.read_bytes()
    records = str(links.describe()) + repr(read)
    assert secret.hex() not in records
    assert str(key_file) not in records
    assert repr(secret) not in records
