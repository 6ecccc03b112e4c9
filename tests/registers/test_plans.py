"""Plans with ``[registers]`` and ``[link]``: run, reproduced, refused whole, and looked at by ``hiddenpop link``."""

import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from hiddenpop.cli.commands import app
from hiddenpop.errors import SettingError
from hiddenpop.registers import create_key
from hiddenpop.runs import read_plan, reproduce, run
from hiddenpop.synthetic.world import draw_world

PLAN = """
[analysis]
title = "Linked registers"
question = "How many victims were there in 2016?"
population = "victims in 2016, by any agency"
seed = 1

[registers]
key_file = "secret"
window = ["2015-01-01", "2019-12-31"]

[registers.world]
file = "world.csv"
register = "agency"
record = "registration"
day = "date"
unit = "year"
key = ["RINPERSOONS", "RINPERSOON"]
link = { first_name = "first_name", last_name = "last_name", birth_date = "birth_date" }
strata = ["form"]

[link]
method = "METHOD"
unit = "person-year"
units = ["2016"]

[[estimator]]
label = "bound"
name = "chao"

[choice]
estimator = "bound"
why = "A bound is enough here."
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("plan")
    draw_world(size=4000, rng=5).registrations.to_csv(place / "world.csv", index=False)
    create_key(place / "secret")
    (place / "key.toml").write_text(PLAN.replace("METHOD", "key"))
    (place / "names.toml").write_text(PLAN.replace("METHOD", "fellegi_sunter"))
    return place


@pytest.mark.parametrize("method", ["key", "names"])
def test_a_plan_with_registers_runs_and_is_reproduced_number_by_number(
    folder: Path, tmp_path: Path, method: str
) -> None:
    done = run(folder / f"{method}.toml", tmp_path / "out", workers=1)
    assert "bound" in done.summary()
    found = reproduce(tmp_path / "out", workers=1)
    assert found.agrees, found.summary()
    written = "\n".join(p.read_text("utf-8", "ignore") for p in (tmp_path / "out").rglob("*") if p.is_file())
    secret = (folder / "secret").read_bytes()
    assert secret.hex() not in written
    frame = pd.read_csv(folder / "world.csv", dtype=str)
    for column in ("last_name", "RINPERSOON"):
        for value in frame[column].dropna().unique()[:200]:
            assert value not in written
    assert "hmac-sha256" in (tmp_path / "out" / "manifest.json").read_text()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('register = "agency"', 'registr = "agency"', r"\[registers\] no key 'registr'.*did you mean 'register'"),
        ('day = "date"', "", r"day is missing; name the column"),
        ('file = "world.csv"', 'file = "other.csv"', r"there is no file .*other\.csv"),
        ('record = "registration"', 'record = "registratie"', r"no column 'registratie'.*'registration'"),
        ('method = "key"', 'method = "keys"', r"no method 'keys'.*did you mean 'key'"),
        ('method = "key"', 'method = "key"\nthreshold = 0.9', r"no key 'threshold'"),
        ('units = ["2016"]', 'units = ["2014"]', r"nobody is on these lists"),
        ('key_file = "secret"', 'key_file = "no"', r"there is no key file"),
        ('window = ["2015-01-01", "2019-12-31"]', 'window = ["2019-12-31"]', r"window must be a first and a last day"),
        ("[link]", '[data]\ntable = "uk"\n[link]', r"\[data\] and \[registers\]"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_is_refused_with_what_to_do(
    folder: Path, old: str, new: str, fault: str
) -> None:
    path = folder / "faulty.toml"
    path.write_text(PLAN.replace("METHOD", "key").replace(old, new))
    with pytest.raises(SettingError, match=fault):
        read_plan(path)


def test_hiddenpop_link_says_how_good_the_links_are(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "links.html"
    done = CliRunner().invoke(app, ["link", str(folder / "names.toml"), "--out", str(page)])
    assert done.exit_code == 0, done.output
    for words in ("Sizes of the lists", "Overlaps", "Missing", "recall", "come loose"):
        assert words in done.output
    html = page.read_text()
    assert html.startswith("<!DOCTYPE html>")
    assert "<script" not in html
    frame = pd.read_csv(folder / "world.csv", dtype=str)
    assert not any(name in html + done.output for name in frame["last_name"].dropna().unique())
    for cells in re.findall(r"<td>([^<]*)</td><td>([^<]*)</td><td>([^<]*)</td></tr>", html):
        assert not re.fullmatch("[1-9]", cells[-1])  # the overlaps, and what the key shows
    assert "&lt;10" in html or "<10" in html
