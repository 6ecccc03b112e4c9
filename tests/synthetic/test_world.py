"""The world: who is caught by whom, what is typed, keys, files, and the table with its truth."""

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.errors import SettingError, TableError, UnknownNameError
from hiddenpop.synthetic.world import (
    World,
    draw_world,
    read_settings,
    read_world,
    world_table,
    world_truth,
    write_world,
)
from hiddenpop.synthetic.world import draw as drawing
from hiddenpop.synthetic.world.keys import draw_salt, key_numbers
from hiddenpop.synthetic.world.names import (
    ONSETS,
    first_names,
    last_names,
    transpose_letters,
    without_a_letter,
)
from hiddenpop.synthetic.world.persons import place_codes

# Common names of the countries that the world speaks of, some of them with uncommon beginnings.
REAL_NAMES = """
Jan Piet Klaas Johannes Maria Anna Emma Sophie Julia Daan Sem Lucas Finn Fleur Femke Pieter Willem Wouter
Jeroen Joost Jurgen Roos Rutger Thijs Tim Tess Zoe Zara Vera Vincent Victor Fatima Mohamed Ahmed Youssef
Rachid Khadija Fadoua Jamila Mehmet Mustafa Fatma Zeynep Yusuf Piotr Pawel Zbigniew Wladyslaw Wojciech
Krzysztof Katarzyna Jadwiga Szymon Przemyslaw Zdzislaw Grzegorz Bronislaw Zofia Ion Gheorghe Vlad Florin
Fanel Laszlo Zsolt Zsuzsanna Ferenc Ildiko Gyorgy Tibor Georgi Dimitar Ivan Hristo Tsvetan Zdravko
Vladimir Kvetoslav Zvonimir Dvora Bjorn Fjodor Pjotr Tjeerd Sjoerd Ngozi Chukwu Nkechi Mbali Ifeanyi
Olufemi Kwame Nguyen Tran Pham Phuong Thi Vu Ngoc Wei Xiu Zhang Wang Li Liu Ying Siti Budi Putri Jose
Juan Tchaikovsky Mzia Tvrtko Jean Pjanic Kfir Rhys Lloyd Pfeiffer Vlk Wright Wladek Psyche de Jong Jansen
Vries Berg Bakker Visser Smit Meijer Boer Mulder Groot Bos Vos Peters Hendriks Leeuwen Dekker Brouwer Wit
Dijkstra Smits Graaf Meer Linden Kok Jacobs Haan Vermeulen Heuvel Veen Broek Bruijn Heijden Schouten Beek
Willems Vliet Hoekstra Maas Verhoeven Koster Dam Wal Prins Blom Huisman Peeters Jonge Kuipers Kuiper
Veenstra Post Fokkema Zijlstra Pronk Kowalski Nowak Wisniewski Wojcik Kaminski Lewandowski Zielinski
Szymanski Wozniak Popescu Ionescu Dumitru Ivanov Petrov Nagy Kovacs Szabo Yilmaz Kaya Demir Celik Sahin
Bouali Benali Okafor Eze Adeyemi Le Phan Huang Chen Santos Reyes Cruz Wijaya Vdovin Vrba Fjeld Zlatan
Zwart Zweers Rzeznik Lviv Jdid Jbara Fvell Wdowiak Bzdok Vfiadis
"""
INVENTED = ("Fvell", "Vfiadis")  # planted: a test that cannot see these sees nothing

NATIONAL = 28_750


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world(size=4 * NATIONAL, rng=7)


@pytest.fixture(scope="module")
def records(world) -> pd.DataFrame:
    """Registrations with the true person and the truth about that person."""
    links = world.links[world.links["file"] == "registrations"]
    rows = world.registrations.merge(links, left_on="registration", right_on="record")
    return rows.merge(world.persons, on="person", suffixes=("", "_true"))


def near(hits: "pd.Series[bool]", chance: float) -> bool:
    return abs(hits.mean() - chance) <= 4.5 * math.sqrt(chance * (1 - chance) / len(hits))


# --- captures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agency", ["police", "border_police", "labour_inspectorate", "youth_care", "others"])
def test_an_agency_finds_what_the_settings_say(world, agency):
    settings = read_settings()
    for position, year in enumerate(settings.years):
        chances = settings.found_chances(position, agency)
        for form in settings.forms:
            for minor in (False, True):
                v = world.victims
                rows = v[(v["year"] == year) & (v["form"] == form) & (v["minor"] == minor)]
                assert near(rows[agency] == 1, chances[form, minor])


def test_who_is_less_visible_is_found_less_by_everybody(world):
    hidden = world.victims[world.victims["less_visible"]]
    seen = world.victims[~world.victims["less_visible"]]
    rules = read_settings().victims.visibility
    assert near(world.victims["less_visible"], rules.less_visible)
    for agency in ("police", "others"):
        ratio = hidden[agency].mean() / seen[agency].mean()
        error = math.sqrt(1 / hidden[agency].sum() + 1 / seen[agency].sum())
        assert abs(math.log(ratio / (rules.factor / rules.raised))) < 4 * error


def test_referrals_are_the_share_of_those_not_found_anyway(world, records):
    first = records.drop_duplicates(["person", "year", "agency"])
    for referral in read_settings().referral[:2]:
        source = first[first["agency"] == referral.source]
        known = set(zip(source["person"], source["year"], strict=True))
        there = first[first["agency"] == referral.target]
        itself = there[there["referred_by"].isna()]
        alone = known - set(zip(itself["person"], itself["year"], strict=True))
        sent = there[there["referred_by"] == referral.source]
        # Some of those sent would also have come by another way; the earlier referral of two is kept.
        share = len(sent) / len(alone)
        assert abs(share - referral.share) < 4.5 * math.sqrt(referral.share / len(alone))
        assert set(zip(sent["person"], sent["year"], strict=True)) <= known


def test_a_referral_comes_after_the_one_who_refers_and_within_its_days(records):
    days = records.assign(day=pd.to_datetime(records["date"], format="%Y%m%d"))
    first = days.drop_duplicates(["person", "year", "agency"])
    sent = first[first["referred_by"].notna()].merge(
        first, left_on=["person", "year", "referred_by"], right_on=["person", "year", "agency"]
    )
    wait = (sent["day_x"] - sent["day_y"]).dt.days
    limit = {(r.source, r.target): r.within_days for r in read_settings().referral}
    limits = pd.Series([limit[pair] for pair in zip(sent["agency_y"], sent["agency_x"], strict=True)])
    assert len(sent) > 1000
    assert ((wait >= 0) & (wait <= limits)).all()
    assert wait.max() > 60


def test_who_is_referred_can_be_referred_on(records):
    first = records.drop_duplicates(["person", "year", "agency"]).set_index(["person", "year", "agency"])
    shelters, coordinators = (
        first["referred_by"].xs(name, level="agency") for name in ("shelters", "coordinators")
    )
    brought = shelters.index[shelters == "police"]
    assert len(coordinators.index[coordinators == "shelters"].intersection(brought)) > 50


def test_every_block_has_a_generator_of_its_own(monkeypatch):
    seen = []
    monkeypatch.setattr(drawing, "run_blocks", lambda _, tasks, label: seen.extend(tasks) or [])
    with pytest.raises(ValueError, match=r"No objects|at least one"):
        draw_world(size=200_000, rng=1)
    assert len({str(task.rng.bit_generator.state) for task in seen}) == len(seen) == 4
    assert len({task.salt for task in seen}) == 1


def test_without_referrals_and_differences_the_lists_are_independent():
    settings = read_settings()
    flat = replace(
        settings,
        referral=(),
        victims=replace(settings.victims, visibility=replace(settings.victims.visibility, factor=1.0)),
    )
    for rules, independent in ((flat, True), (settings, False)):
        v = draw_world(rules, size=4 * NATIONAL, rng=3).victims
        v = v[(v["year"] < 2018) & (v["form"] == "domestic_sexual") & ~v["minor"]]
        both, expected = (v["police"] * v["shelters"]).sum(), v["police"].mean() * v["shelters"].sum()
        assert bool(abs(both - expected) < 4 * math.sqrt(expected)) is independent


def test_an_agency_finds_nobody_beyond_its_remit(world):
    labour = world.victims[world.victims["labour_inspectorate"] == 1]
    assert set(labour["form"]) == {"labour"}
    assert world.victims.loc[world.victims["youth_care"] == 1, "minor"].all()
    forms = world.coverage.groupby("agency")["form"].agg(list)
    assert forms["labour_inspectorate"] == ["labour"]
    assert len(forms["coordinators"]) == 5


def test_days_lie_in_order(world, records):
    assert (records["date"].str[:4].astype(int) == records["year"]).all()
    merged = records.merge(world.victims[["person", "year", "begin_date"]], on=["person", "year"])
    assert (merged["date"] >= merged["begin_date"]).all()
    assert (world.victims["end_date"] >= world.victims["begin_date"]).all()
    cases = world.cases
    for before, after in [
        ("suspicion_date", "prosecution_date"),
        ("prosecution_date", "decision_date"),
        ("decision_date", "verdict_date"),
        ("verdict_date", "supervision_date"),
        ("suspicion_date", "reoffence_date"),
    ]:
        both = cases[[before, after]].dropna()
        assert len(both) > 100
        assert (both[after] > both[before]).all()
    late = pd.concat([cases.filter(like="_date").drop(columns="birth_date"), world.measures[["help_date"]]])
    assert late.max().max() <= "20211231"


def test_victims_go_on_into_the_next_year(world):
    v = world.victims
    years = v.groupby("person")["year"].agg(["min", "max", "size"])
    assert (years["max"] - years["min"] + 1 == years["size"]).all()
    people = {year: set(v.loc[v["year"] == year, "person"]) for year in (2015, 2016)}
    assert near(pd.Series([p in people[2016] for p in people[2015]]), read_settings().victims.carried_over)
    on = v[v.duplicated("person", keep=False)]
    assert len(on.drop_duplicates(["person", "form"])) == on["person"].nunique()


# --- names, keys, errors ------------------------------------------------------------------------------------------


def test_no_invented_name_is_a_common_real_one(world):
    """Every name begins with a pair of letters with which no common name begins; two planted names do."""
    assert [name for name in REAL_NAMES.split() if name.startswith(ONSETS)] == list(INVENTED)
    pools = np.concatenate([first_names(True), first_names(False), last_names()])
    assert len(pools) == 33_000
    assert all(name.decode().startswith(ONSETS) for name in pools)
    typed = world.registrations["last_name"].dropna()
    whole = pd.concat([world.persons["first_name"], world.persons["last_name"], world.cases["last_name"]])
    assert whole.str.startswith(ONSETS).all()
    assert typed.str[0].isin({onset[0] for onset in ONSETS}).all()


def test_names_in_use_differ_and_tell_the_sex():
    women, men, last = (
        set(names.tolist()) for names in (first_names(True), first_names(False), last_names())
    )
    assert (len(women), len(men), len(last)) == (1500, 1500, 30_000)
    assert not women & men


def test_few_names_are_frequent(world):
    counts = world.persons["last_name"].value_counts()
    assert counts.iloc[0] > 100 * counts.median()


def test_letters_change_places_or_go():
    names = last_names()[:500]
    rng = np.random.default_rng(2)
    for name, swapped, shorter in zip(
        names, transpose_letters(names, rng), without_a_letter(names, rng), strict=True
    ):
        assert sorted(swapped) == sorted(name)
        assert sum(a != b for a, b in zip(name, swapped, strict=True)) in (0, 2)
        assert swapped[0] == shorter[0] == name[0]
        assert any(shorter == name[:i] + name[i + 1 :] for i in range(1, len(name)))
    assert (transpose_letters(names, rng) != names).mean() > 0.8


def test_errors_come_as_often_as_the_settings_say(records):
    settings = read_settings()
    factor = records["agency"].map({name: agency.errors for name, agency in settings.agency.items()})
    rates = settings.errors
    month, day = records["birth_date_true"].str[4:6], records["birth_date_true"].str[6:]
    could = (day.astype(int) <= 12) & (day != month) & records["birth_date"].notna()
    turned = records["birth_date_true"].str[:4] + day + month
    found = {
        rates.no_first_name: records["first_name"].isna(),
        rates.no_last_name: records["last_name"].isna(),
        rates.no_birth_date: records["birth_date"].isna(),
        rates.no_sex: records["sex"].isna(),
        rates.initial: records["first_name"].dropna().str.len() == 1,
        rates.birth_swapped: (records["birth_date"] == turned)[could & (day != "01")],
    }
    for rate, hits in found.items():
        assert near(hits, rate * factor[hits.index].mean() * (0.98 if rate == rates.birth_swapped else 1.0))
    given = records["last_name"].notna()
    changed = (records["last_name"] != records["last_name_true"])[given]
    assert 0.8 < changed.mean() / ((rates.transposed + rates.dropped) * factor[given].mean()) < 1.0


def test_keys_are_nine_digits_and_do_not_tell_the_person(world, records):
    for frame in (world.registrations, world.measures, world.cases):
        assert set(frame["RINPERSOONS"]) == {"R", "S"}
        assert frame["RINPERSOON"].str.fullmatch(r"[0-9]{9}").all()
        assert "person" not in frame.columns
    key = records["RINPERSOONS"] + records["RINPERSOON"]
    assert records.groupby(key)["person"].nunique().max() == 1
    order = records["RINPERSOON"].astype(int).corr(records["person"])
    assert abs(order) < 4 / math.sqrt(len(records))
    # The digits under R and S differ, or the letter would be all that hides a person.
    per_person = records.assign(key=key).groupby("person")[["RINPERSOON", "key"]].nunique()
    assert (per_person["RINPERSOON"] == per_person["key"]).all()


def test_the_register_holds_the_dutch_and_misses_links(records):
    rules = read_settings().keys
    dutch = records["nationality"] == "NL"
    assert near(records["in_register"][dutch], rules.dutch_in_register)
    inside = records[records["in_register"]]
    assert near(inside["RINPERSOONS"] == "S", rules.unmatched)
    per_person = records.drop_duplicates(["person", "RINPERSOONS", "RINPERSOON"]).groupby("person").size()
    assert (per_person > 1).sum() > 100


def test_keys_of_different_numbers_differ():
    salts = [draw_salt(np.random.default_rng(seed)) for seed in (1, 2)]
    numbers = np.concatenate([np.arange(100_000), np.arange(10**9 - 100_000, 10**9)])
    one, two = (key_numbers(numbers, salt) for salt in salts)
    assert len(np.unique(one)) == len(numbers)
    assert 0 <= one.min() <= one.max() < 10**9
    assert (one == two).mean() < 0.001


def test_a_municipality_is_merged_after_its_last_year(world):
    settings = read_settings()
    codes = place_codes(settings.municipality, settings.years)
    by_code = {place.code: row for place, row in zip(settings.municipality, codes, strict=True)}
    assert by_code["0017"].tolist() == [b"0017"] * 4 + [b"0014"]
    assert by_code["0081"].tolist() == [b"0081"] * 3 + [b"0080"] * 2
    haren = world.victims[world.victims["municipality"] == "0017"]
    assert set(haren["year"]) == {2015, 2016, 2017, 2018}
    assert (haren["municipality_year"] == haren["year"]).all()
    assert world.victims["municipality"].str.fullmatch("[0-9]{4}").all()


def test_an_agency_may_register_somebody_twice(records):
    twice = records.duplicated(["person", "year", "agency"])
    once = len(records) - twice.sum()
    assert abs(twice.sum() / once - 0.04) < 4 * math.sqrt(0.04 / once)


# --- the table and its truth --------------------------------------------------------------------------------------


def test_the_table_counts_those_registered(world):
    v = world.victims[world.victims["year"] == 2019]
    table = world_table(world, year=2019, reported=False)
    assert table.n_observed == v["registered"].sum()
    assert table.list_totals.to_dict() == v[list(table.lists)].sum().to_dict()
    assert world_table(world, year=2019).n_observed == v["reported"].sum()
    assert world_truth(world, year=2019) == len(v) == 20_000
    assert table.public


def test_strata_of_the_table_add_up_and_have_their_truth(world):
    table = world_table(world, year=2016, strata=["form", "minor"])
    assert table.n_observed == world_table(world, year=2016).n_observed
    truth = world_truth(world, year=2016, by=["form", "minor"])
    assert list(truth.columns) == ["form", "minor", "n"]
    assert truth["n"].sum() == 25_000
    assert [(c.list, c.covariate, c.levels) for c in table.coverage] == [
        ("labour_inspectorate", "form", ("labour",))
    ]
    by_form = world_truth(world, by=["year", "form"]).assign(year=lambda f: f["year"].astype(int))
    expected = world.totals.merge(by_form, on=["year", "form"])
    assert len(expected) == 25
    assert (expected["victims"] == expected["n"]).all()


def test_a_person_counts_once_over_all_years_and_in_each_of_them_by_year(world):
    pooled, yearly = world_table(world, strata=["minor"]), world_table(world, strata=["year"])
    assert pooled.n_observed == world.victims[world.victims["reported"]]["person"].nunique()
    assert yearly.n_observed == world.victims["reported"].sum() > pooled.n_observed
    assert world_truth(world) == world.victims["person"].nunique()
    assert world_truth(world, by=["minor"])["n"].sum() == world_truth(world)


def test_municipalities_are_strata_with_their_code_of_the_year(world):
    table = world_table(world, strata=["municipality", "year"])
    truth = world_truth(world, by=["municipality", "year"])
    assert truth["n"].sum() == world_truth(world, by=["year"])["n"].sum()
    merged = next(place for place in read_settings().municipality if place.until)
    years = truth.loc[truth["municipality"] == merged.code, "year"].astype(int)
    assert years.max() <= merged.until
    observed = table.to_frame().groupby(["municipality", "year"])["count"].sum()
    assert (observed <= truth.set_index(["municipality", "year"])["n"].reindex(observed.index)).all()
    pooled = world_truth(world, by=["municipality"])
    assert pooled["n"].sum() == world_truth(world)


def test_keys_miss_links(world):
    true, seen = (world_table(world, year=2019, identify=how) for how in ("person", "key"))
    assert seen.n_observed > 1.01 * true.n_observed


def test_a_wrong_wish_is_refused(world):
    with pytest.raises(SettingError, match=r"no victims in year=2021; it covers 2015 to 2019"):
        world_table(world, year=2021)
    with pytest.raises(UnknownNameError, match=r"'age' is not a stratum of a world; choose from year, form"):
        world_truth(world, by=["age"])
    with pytest.raises(SettingError, match=r"identify='name' is not one of 'person', 'key'"):
        world_table(world, identify="name")


def test_the_smallest_world():
    tiny = draw_world(size=1, rng=1)
    assert (len(tiny.victims), len(tiny.cases), len(tiny.persons)) == (1, 0, 1)
    assert (
        tiny.registrations["RINPERSOON"].dtype
        == draw_world(size=5000, rng=1).registrations["RINPERSOON"].dtype
    )


def test_extreme_rules_can_be_drawn():
    settings = read_settings()
    always = replace(
        settings,
        measures=replace(settings.measures, without_help=0.0),
        cases=replace(settings.cases, reoffend=dict.fromkeys(settings.forms, 0.0), dismissed=(1.0,) * 5),
        victims=replace(settings.victims, carried_over=1.0),
    )
    world = draw_world(always, size=NATIONAL, rng=1)
    assert world.cases["verdict"].isna().all()
    assert world.cases["reoffence_date"].isna().all()
    assert world.measures["help_date"].notna().mean() > 0.99
    assert world.victims.groupby("person").size().max() == 5


# --- files --------------------------------------------------------------------------------------------------------


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_bytes_on_any_number_of_workers(tmp_path, monkeypatch):
    write_world(tmp_path / "one", size=120_000, rng=5)
    monkeypatch.setattr(drawing, "BATCH", 2)
    with hp.parallel(workers=2):
        write_world(tmp_path / "two", size=120_000, rng=5)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 8


def test_another_seed_gives_other_bytes_and_the_same_truth(tmp_path):
    for seed in (1, 2):
        write_world(tmp_path / str(seed), size=1000, rng=seed)
    one, two = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert {str(path) for path in one if one[path] == two[path]} == {"truth/totals.csv", "truth/coverage.csv"}


def test_what_is_written_is_what_is_drawn(tmp_path):
    write_world(tmp_path, size=60_000, rng=4)
    written, drawn = read_world(tmp_path), draw_world(size=60_000, rng=4)
    for name in World.__slots__:
        pd.testing.assert_frame_equal(getattr(written, name), getattr(drawn, name))
    assert drawn.links["record"].groupby(drawn.links["file"]).nunique().sum() == len(drawn.links)


def test_blocks_can_be_kept_and_taken_up_again(tmp_path):
    with hp.parallel(store=tmp_path / "store"):
        first = draw_world(size=60_000, rng=4)
        again = draw_world(size=60_000, rng=4)
    pd.testing.assert_frame_equal(first.registrations, again.registrations)
    assert len(list((tmp_path / "store").glob("*.block"))) == 2


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    write_world(tmp_path, size=200, rng=1)
    before = contents(tmp_path)
    monkeypatch.setattr(drawing, "_totals", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division"):
        write_world(tmp_path, size=200, rng=2)
    assert contents(tmp_path) == before


def test_a_folder_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match=r"cannot write to .*file: .*choose a folder you can write"):
        write_world(tmp_path / "file", size=10, rng=1)
    with pytest.raises(TableError, match=r"there is no file .*registrations\.parquet"):
        read_world(tmp_path)


def test_a_world_shows_its_size_and_no_address():
    shown = repr(draw_world(size=500, rng=1))
    assert re.fullmatch(r"World: 500 victims in 5 years, \d+ registrations, \d+ suspects", shown)
