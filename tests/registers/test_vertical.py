"""From files of registers to an estimate: the whole way, and what must hold along it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.errors import SettingError, TableError, UnknownNameError
from hiddenpop.registers import FellegiSunter, KeyLinkage, Linkage, Registrations
from hiddenpop.synthetic.world import World, world_table

from .conftest import by_agency, described, precision_recall


def same_table(one: hp.CaptureTable, other: hp.CaptureTable) -> bool:
    return one.fingerprint == other.fingerprint


def test_files_of_registers_lead_to_an_estimate(tmp_path: Path, world: World, key_file: Path) -> None:
    plan: dict[str, dict[str, Any]] = {}
    for at, (name, part) in enumerate(world.registrations.groupby("agency")):
        path = tmp_path / f"{name}.{('csv', 'parquet')[at % 2]}"
        part.to_csv(path, index=False, sep=";") if at % 2 == 0 else part.to_parquet(path)
        plan[str(name)] = {k: v for k, v in described(part).items() if k != "data"} | {"file": path.name}
    read = Registrations.read(plan, key_file=key_file, folder=tmp_path)
    links = KeyLinkage().fit(read)
    table = links.tabulate(unit="person-year", units=["2016"], population="victims in 2016")
    assert isinstance(KeyLinkage(), Linkage)
    assert not table.public
    assert table.population == "victims in 2016"
    estimate = hp.estimate(table, "loglinear")
    assert estimate.n_hat > estimate.n_observed == table.n_observed
    assert "KeyLinkage" in str(table.reading)


def test_a_workbook_is_read_and_one_of_two_sheets_is_asked_for(
    tmp_path: Path, world: World, key_file: Path
) -> None:
    parts = {str(name): part.head(150) for name, part in world.registrations.groupby("agency")}
    plan: dict[str, dict[str, Any]] = {}
    for name, part in parts.items():
        part.to_excel(tmp_path / f"{name}.xlsx", index=False)
        plan[name] = {k: v for k, v in described(part).items() if k != "data"} | {"file": f"{name}.xlsx"}
    read = Registrations.read(plan, key_file=key_file, folder=tmp_path)
    whole = {name: described(part) for name, part in parts.items()}
    wanted = Registrations.read(whole, key_file=key_file)
    found, right = (KeyLinkage().fit(one).tabulate(unit="person") for one in (read, wanted))
    assert found.list_totals.to_dict() == right.list_totals.to_dict()
    name = next(iter(parts))
    with pd.ExcelWriter(tmp_path / f"{name}.xlsx") as book:
        for sheet in ("2016", "2017"):
            parts[name].to_excel(book, sheet_name=sheet, index=False)
    with pytest.raises(TableError, match="has 2 sheets with rows; save the sheet of the register"):
        Registrations.read(plan, key_file=key_file, folder=tmp_path)


def test_the_key_alone_counts_as_the_world_counts_by_keys_of_the_register(
    world: World, registrations: Registrations
) -> None:
    frame = world.registrations
    person = (frame["RINPERSOONS"] + frame["RINPERSOON"]).where(
        frame["RINPERSOONS"] == "R", "record " + frame["registration"].astype(str)
    )
    year = frame["year"].astype(str)
    long = pd.DataFrame({"person": person + "/" + year, "list": frame["agency"], "year": year})
    wanted = hp.CaptureTable.from_registrations(long, person="person", list="list", strata=["year"])
    found = (
        KeyLinkage().fit(registrations).tabulate(unit="person-year", strata=["unit"]).rename({"unit": "year"})
    )
    assert found.n_observed == wanted.n_observed
    pd.testing.assert_series_equal(found.list_totals, wanted.list_totals, check_names=False)
    assert (
        dict(zip(found.histories, found.counts, strict=True)).keys() == dict.fromkeys(wanted.histories).keys()
    )


@pytest.mark.parametrize("conflicts", ["first", "last", "mode"])
@pytest.mark.parametrize("unit", ["person", "person-year"])
def test_two_routes_to_the_table_agree(registrations: Registrations, unit: Any, conflicts: str) -> None:
    links = KeyLinkage().fit(registrations)
    rows = registrations.connection.execute(
        "SELECT id, register, day, unit, stratum_form AS form, stratum_sex AS sex FROM registrations ORDER BY day, id"
    ).df()
    rows["person"] = links.persons[rows["id"]].astype(str)
    if unit == "person-year":
        rows["person"] += "/" + rows["unit"]
    wanted = hp.CaptureTable.from_registrations(
        rows, person="person", list="register", strata=["form", "sex"], conflicts=conflicts
    )
    found = links.tabulate(strata=["form", "sex"], unit=unit, conflicts=conflicts)
    columns = [*wanted.lists, "form", "sex"]
    one, other = (
        table.to_frame().astype({"form": str, "sex": str}).sort_values(columns)[[*columns, "count"]]
        for table in (found, wanted)
    )
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True), check_dtype=False)


def test_the_total_of_each_list_is_the_number_of_its_persons(registrations: Registrations) -> None:
    links = KeyLinkage().fit(registrations)
    registers = registrations.connection.execute("SELECT register FROM registrations ORDER BY id").df()[
        "register"
    ]
    persons = pd.Series(links.persons).groupby(registers).nunique()
    totals = links.tabulate().list_totals
    assert dict(totals) == dict(persons)


def test_the_order_of_rows_and_registers_changes_nothing(world: World, key_file: Path) -> None:
    frame = world.registrations
    shuffled = frame.sample(frac=1.0, random_state=1)
    one = Registrations.read(by_agency(frame), key_file=key_file)
    other = Registrations.read(dict(reversed(by_agency(shuffled).items())), key_file=key_file)
    assert one.fingerprint == other.fingerprint
    for linkage in (KeyLinkage(), FellegiSunter()):
        first, second = linkage.fit(one), linkage.fit(other)
        np.testing.assert_array_equal(first.persons, second.persons)


def test_names_find_what_the_key_misses(registrations: Registrations, truth: Any) -> None:
    true = truth(registrations)
    precision, recall = precision_recall(FellegiSunter().fit(registrations).persons, true)
    by_key = precision_recall(KeyLinkage().fit(registrations).persons, true)
    assert precision >= 0.999
    assert recall >= 0.99
    assert by_key[0] == 1.0
    assert by_key[1] < 0.85


def test_with_every_record_keyed_a_threshold_of_1_is_the_key(world: World, key_file: Path) -> None:
    links = world.links[world.links["file"] == "registrations"]
    frame = world.registrations.merge(links, left_on="registration", right_on="record")
    frame["RINPERSOONS"], frame["RINPERSOON"] = "R", frame["person"].astype(str).str.zfill(9)
    read = Registrations.read(by_agency(frame), key_file=key_file)
    by_names = FellegiSunter().fit(read).at(1.0)
    by_key = KeyLinkage().fit(read)
    scored = by_names.pairs.where(by_names.pairs.probability >= 1.0)
    assert (by_key.persons[scored.left] == by_key.persons[scored.right]).all()
    np.testing.assert_array_equal(FellegiSunter(blocking=(("key",),)).fit(read).persons, by_key.persons)


def test_a_person_on_one_record_stays_one(key_file: Path) -> None:
    frame = pd.DataFrame({
        "registration": ["1", "2"], "date": ["20190101", "20190102"], "year": ["2019"] * 2, "form": ["x", "y"],
        "RINPERSOONS": ["S", "S"], "RINPERSOON": ["000000001"] * 2,
        "first_name": ["Aa", "Bb"], "last_name": ["Cc", "Dd"],
        "birth_date": ["19900202", "19800303"], "sex": ["F", "M"], "nationality": ["NL", "PL"],
        "municipality": ["0363"] * 2,
    })  # fmt: skip
    read = Registrations.read({"police": described(frame)}, key_file=key_file)
    assert KeyLinkage().fit(read).n_persons == 2


def test_lists_may_be_made_of_several_registers(registrations: Registrations) -> None:
    links = KeyLinkage().fit(registrations)
    merged = links.tabulate(lists={"care": ["shelters", "youth_care"], "police": ["police"]})
    apart = links.tabulate(lists=["shelters", "youth_care", "police"]).merge_lists(
        {"care": ["shelters", "youth_care"]}
    )
    assert merged.n_observed == apart.n_observed
    assert dict(merged.list_totals) == dict(apart.list_totals)


def test_settings_of_a_table_that_cannot_be_are_refused(registrations: Registrations) -> None:
    links = KeyLinkage().fit(registrations)
    with pytest.raises(UnknownNameError, match=r"no register 'polise'.*did you mean 'police'"):
        links.tabulate(lists=["polise"])
    with pytest.raises(UnknownNameError, match="no stratum 'forms'"):
        links.tabulate(strata=["forms"])
    with pytest.raises(SettingError, match="part of two lists"):
        links.tabulate(lists={"a": ["police"], "b": ["police"]})
    with pytest.raises(SettingError, match="choose 'person' or 'person-year'"):
        links.tabulate(unit="year")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="person-year"):
        links.tabulate(strata=["unit"])
    with pytest.raises(SettingError, match="choose 'first'"):
        links.tabulate(strata=["form"], conflicts="any")
    with pytest.raises(TableError, match="nobody is on these lists"):
        links.tabulate(units=["1900"])
    with pytest.raises(SettingError, match="at has nothing to vary"):
        links.at(0.5)


def test_a_world_counted_by_true_persons_and_by_links_nearly_agree(
    world: World, registrations: Registrations
) -> None:
    wanted = world_table(world, year=2016, reported=False)
    found = (
        FellegiSunter()
        .fit(registrations)
        .tabulate(lists=list(wanted.lists), unit="person-year", units=["2016"])
    )
    assert abs(found.n_observed - wanted.n_observed) <= 0.01 * wanted.n_observed
