"""Version 2 of the world: the errors that it adds, and that version 1 stays what it is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hiddenpop.errors import SettingError
from hiddenpop.synthetic.world import World, draw_world, read_settings
from hiddenpop.synthetic.world.harder import CHANCES, HarderRules

SIZE = 6_000


def drawn(**rates: object) -> World:
    """Draw a world with some of the errors of version 2 and no others."""
    return draw_world(replace(read_settings(), harder=HarderRules(**rates)), size=SIZE, rng=3)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain() -> World:
    return draw_world(size=SIZE, rng=3)


def test_version_2_without_its_errors_is_version_1(plain: World) -> None:
    other = drawn()
    for name in ("registrations", "measures", "cases", "persons", "victims", "links"):
        pd.testing.assert_frame_equal(getattr(plain, name), getattr(other, name))


COLUMNS = {
    "first_typo": ["first_name"],
    "last_typo": ["last_name"],
    "birth_digit": ["birth_date"],
    "names_swapped": ["first_name", "last_name"],
    "wrong_sex": ["sex"],
    "no_nationality": ["nationality"],
    "place_otherwise": ["municipality"],
    "place_abroad": ["municipality"],
    "form_otherwise": ["form"],
    "no_birth_date_foreign": ["birth_date"],
}


@pytest.mark.parametrize("rate", COLUMNS)
def test_an_error_changes_its_column_about_as_often_as_it_says(plain: World, rate: str) -> None:
    chance = 0.3
    spoilt = drawn(**{rate: chance}).registrations
    before = plain.registrations
    settings = read_settings()
    factor = before["agency"].map({name: settings.agency[name].errors for name in settings.lists})
    could = (
        before["nationality"] != "NL" if rate == "no_birth_date_foreign" else pd.Series(True, before.index)
    )
    if rate == "no_nationality":
        could = before["nationality"] != "XX"
    for column in before.columns:
        one, other = before[column].fillna("-").astype(str), spoilt[column].fillna("-").astype(str)
        share = (one != other)[could].mean()
        if column in COLUMNS[rate]:
            assert 0.75 * (chance * factor)[could].mean() < share <= 1.1 * (chance * factor)[could].mean()
        else:
            assert share == 0.0


def test_a_register_writes_foreign_names_in_its_own_way(plain: World) -> None:
    spoilt = drawn(spellings=3, slavic=("PL", "RO", "BG", "HU")).registrations
    changed = spoilt["last_name"].fillna("-") != plain.registrations["last_name"].fillna("-")
    slavic = spoilt["nationality"].isin(["PL", "RO", "BG", "HU"])
    first_way = spoilt["agency"].isin(
        ["police", "youth_care", "coordinators"]
    )  # the first, fourth and seventh
    assert not changed[~slavic | first_way].any()
    assert changed[slavic & ~first_way].mean() > 0.3


def test_second_names_and_particles_belong_to_persons() -> None:
    world = drawn(particles=1.0, second_name=1.0)
    links = world.links[world.links["file"] == "registrations"]
    frame = world.registrations.merge(links, left_on="registration", right_on="record").dropna(
        subset="last_name"
    )
    dutch = frame[frame["nationality"] == "NL"]
    assert dutch["last_name"].str.contains(" ").all()
    ordered = frame[frame["sex"] == "F"].sort_values("date").groupby("person")["last_name"]
    double = ordered.transform(lambda names: names.str.contains("-").astype(int))
    assert 0.1 < double.mean() < 0.9
    assert (double.groupby(frame["person"]).diff().dropna() >= 0).all()  # nobody gives the name up again


def test_twins_share_a_birthday_and_siblings_do_not() -> None:
    people = drawn(twins=0.05, siblings=0.05).persons
    victims = people[people["role"] == "victim"][["last_name", "nationality", "birth_date"]].reset_index(
        drop=True
    )
    shared = victims.eq(victims.shift())
    related = shared["last_name"] & shared["nationality"]
    assert 0.08 < related.mean() < 0.12
    assert 0.35 < shared["birth_date"][related].mean() < 0.6


def test_other_files_have_errors_too(plain: World) -> None:
    spoilt = drawn(birth_digit=0.3, last_typo=0.3, other_files=1.0)
    assert 0.1 < (spoilt.measures["birth_date"] != plain.measures["birth_date"]).mean() < 0.4
    assert 0.1 < (spoilt.cases["last_name"] != plain.cases["last_name"]).mean() < 0.4


def test_every_rate_has_a_value_in_the_file_and_a_bad_one_is_named() -> None:
    settings = read_settings(version="2")
    assert settings.version == "2"
    assert settings.harder is not None
    assert all(getattr(settings.harder, name) > 0.0 for name in CHANCES)
    with pytest.raises(SettingError, match=r"harder\.twins=2 must be a number between 0 and 1"):
        HarderRules(twins=2)
    with pytest.raises(SettingError, match="spellings=4 must be a whole number from 1 to 3"):
        HarderRules(spellings=4)
    with pytest.raises(SettingError, match="version='3'"):
        read_settings(version="3")  # type: ignore[arg-type]


def test_birthdays_stay_days() -> None:
    born = drawn(birth_digit=1.0).registrations["birth_date"].dropna()
    assert pd.to_datetime(born, format="%Y%m%d", errors="coerce").notna().all()
    assert np.all(born.str.len() == 8)
