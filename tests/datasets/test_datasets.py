"""The shipped tables against what their sources say about them."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from importlib.resources import files
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from hiddenpop import datasets
from hiddenpop.errors import TableError, UnknownNameError
from hiddenpop.table import CaptureTable

KEYS = datasets.catalogue()["key"].tolist()
CAPTURES = [key for key in KEYS if datasets.info(key).kind == "captures"]
REPEATS = [key for key in KEYS if datasets.info(key).kind == "repeat counts"]

# Lists and observed persons as the sources give them, kept apart from the catalogue on purpose.
EXPECTED = {
    "uk": ("LA NG PF GO GP NCA", 2744),
    "uk_5": ("LA NG PFNCA GO GP", 2744),
    "uk_4": ("LA NG PFNCA GO", 2428),
    "netherlands": ("I K O P R Z", 8234),
    "netherlands_5": ("IO K P R Z", 8234),
    "new_orleans_185": ("A B C D E F G H", 185),
    "new_orleans_186": ("A B C D E F G H", 186),
    "new_orleans_5_185": ("A BEFG C D H", 185),
    "new_orleans_5_186": ("A BEFG C D H", 186),
    "western_us": ("A B C D E", 345),
    "australia": ("A B C D", 414),
    "kosovo": ("EXH ABA OSCE HRW", 4400),
    "korea": ("b c d", 123),
    "artificial_3": ("A B C", 96),
    "rome_hiv": ("c1 c2 c3 c4", 1896),
    "allegheny": ("A B C D", 2185),
    "hares": ("c1 c2 c3 c4 c5 c6", 68),
    "spina_bifida": ("S1 S2 S3", 621),
    "spina_bifida_626": ("L1 L2 L3", 626),
    "congenital_anomalies": ("L1 L2 L3 L4 L5", 537),
    "scottish_pwid": ("S1 S2 S3 S4", 5670),
    "hepatitis_a_taiwan": ("P Q E", 271),
    "simdat": ("R1 R2 R3 R4", 1043),
}

EMPTY_PAIRS = {
    "uk": {("LA", "GP"), ("LA", "NCA")},
    "uk_5": {("LA", "GP")},
    "netherlands": {("I", "K"), ("K", "R")},
    "netherlands_5": {("K", "R")},
    "western_us": {("A", "B"), ("B", "E")},
    "artificial_3": {("A", "C"), ("B", "C")},
}


def cell(table: CaptureTable, *on: str) -> int:
    """Count the persons on exactly these lists."""
    frame = table.to_frame()
    pattern = [int(name in on) for name in table.lists]
    return int(frame.loc[(frame[list(table.lists)] == pattern).all(axis=1), "count"].sum())


def test_every_csv_is_in_the_catalogue_and_the_other_way_round() -> None:
    shipped = {path.name for path in files("hiddenpop.datasets").iterdir() if path.name.endswith(".csv")}
    assert shipped == {f"{key}.csv" for key in KEYS}


def test_expectations_cover_every_capture_table() -> None:
    assert set(EXPECTED) == set(CAPTURES)


@pytest.mark.parametrize("key", CAPTURES)
def test_capture_table_has_the_lists_and_persons_of_its_source(key: str) -> None:
    lists, n = EXPECTED[key]
    table, record = datasets.load(key), datasets.info(key)
    assert table.lists == tuple(lists.split())
    assert table.n_observed == n == record.n


@pytest.mark.parametrize("key", CAPTURES)
def test_loaded_table_carries_its_metadata(key: str) -> None:
    table, record = datasets.load(key), datasets.info(key)
    assert table.public
    assert table.name == key
    assert table.population == record.population
    assert tuple(table.strata.columns) == record.strata_names
    assert table.has_censored == bool(record.censored)
    assert table.fingerprint.startswith("sha256:")


@pytest.mark.parametrize("key", CAPTURES)
def test_loading_twice_gives_the_same_content(key: str) -> None:
    assert datasets.load(key) == datasets.load(key)


@pytest.mark.parametrize(("key", "pairs"), EMPTY_PAIRS.items())
def test_empty_overlaps_are_those_of_the_source(key: str, pairs: set[tuple[str, str]]) -> None:
    assert {tuple(pair) for pair in datasets.load(key).empty_overlaps} == pairs


@pytest.mark.parametrize("version", ["185", "186"])
def test_new_orleans_has_18_empty_pairs_of_28(version: str) -> None:
    table = datasets.load(f"new_orleans_{version}")
    assert len(list(combinations(table.lists, 2))) == 28
    assert len(table.empty_overlaps) == 18


@pytest.mark.parametrize("prefix", ["new_orleans", "new_orleans_5"])
def test_new_orleans_versions_differ_by_one_person_on_c_and_d(prefix: str) -> None:
    small, large = datasets.load(f"{prefix}_185"), datasets.load(f"{prefix}_186")
    assert (cell(small, "C", "D"), cell(large, "C", "D")) == (1, 2)
    np.testing.assert_array_equal(small.histories, large.histories)
    assert np.abs(large.counts - small.counts).sum() == 1


@pytest.mark.parametrize("version", ["185", "186"])
def test_five_list_new_orleans_is_the_eight_list_table_merged(version: str) -> None:
    merged = datasets.load(f"new_orleans_{version}").merge_lists({"BEFG": ["B", "E", "F", "G"]})
    five = datasets.load(f"new_orleans_5_{version}")
    assert cells(merged) == cells(five)


def test_five_list_netherlands_is_the_six_list_table_merged() -> None:
    merged = datasets.load("netherlands").merge_lists({"IO": ["I", "O"]})
    assert cells(merged) == cells(datasets.load("netherlands_5"))


def test_smaller_uk_tables_follow_from_the_six_lists() -> None:
    five = datasets.load("uk").merge_lists({"PFNCA": ["PF", "NCA"]})
    assert cells(five) == cells(datasets.load("uk_5"))
    assert cells(five.drop_list("GP")) == cells(datasets.load("uk_4"))


def cells(table: CaptureTable) -> dict[frozenset[str], int]:
    """Give the counts by set of lists, so that the order of lists does not matter."""
    rows = table.to_frame().to_dict("records")
    return {frozenset(name for name in table.lists if row[name]): int(row["count"]) for row in rows}


def test_netherlands_is_the_version_with_two_persons_on_o_and_r() -> None:
    table = datasets.load("netherlands")
    assert (cell(table, "O", "Z"), cell(table, "O", "R")) == (57, 2)


def test_hepatitis_list_totals_are_those_of_the_bulletin() -> None:
    totals = datasets.load("hepatitis_a_taiwan").list_totals
    assert totals.to_dict() == {"P": 135, "Q": 122, "E": 126}


def test_kosovo_has_27_persons_on_all_lists() -> None:
    assert cell(datasets.load("kosovo"), "EXH", "ABA", "OSCE", "HRW") == 27


def test_two_hares_were_caught_every_day() -> None:
    assert datasets.load("hares").capture_frequencies[-1] == 2


def test_korea_has_nobody_on_c_and_d_alone() -> None:
    assert cell(datasets.load("korea"), "c", "d") == 0


def test_scottish_table_censors_exactly_the_cells_of_s4_alone() -> None:
    table = datasets.load("scottish_pwid")
    only_s4 = 1 << table.lists.index("S4")
    np.testing.assert_array_equal(table.censored, table.histories == only_s4)
    assert table.censored.sum() == 8
    assert table.counts[table.censored].sum() == 684


@pytest.mark.parametrize(
    ("key", "levels"),
    [
        ("scottish_pwid", {"Region": 2, "Gender": 2, "Age": 2}),
        ("spina_bifida", {"eth": 3}),
        ("simdat", {"X1": 2, "X2": 2, "X3": 2, "X4": 3, "Y": 4}),
    ],
)
def test_strata_have_the_levels_of_the_source(key: str, levels: dict[str, int]) -> None:
    strata = datasets.load(key).strata
    assert {column: strata[column].nunique() for column in strata.columns} == levels


def test_spina_bifida_by_ethnicity() -> None:
    table = datasets.load("spina_bifida")
    sizes = {level: table.select(eth=level).n_observed for level in ("caucasian", "afro-american", "other")}
    assert sizes == {"caucasian": 583, "afro-american": 36, "other": 2}


@pytest.mark.parametrize("key", REPEATS)
def test_repeat_counts_have_the_units_and_columns_of_their_source(key: str) -> None:
    frame, record = datasets.load_counts(key), datasets.info(key)
    assert frame.columns.tolist() == [column.name for column in record.columns]
    units = frame["count"].sum() if "count" in frame else len(frame)
    assert units == record.n


def test_repeat_counts_of_single_registers() -> None:
    n = {key: datasets.info(key).n for key in REPEATS}
    assert n == {
        "irregular_migrants": 1880,
        "irregular_migrants_counts": 1880,
        "farm_submissions": 12036,
        "bird_species_counts": 71,
        "catbird_counts": 19,
    }


def test_frequencies_of_migrants_follow_from_the_persons() -> None:
    persons = datasets.load_counts("irregular_migrants")["capture"].value_counts()
    frequencies = datasets.load_counts("irregular_migrants_counts").set_index("nbcap")["count"]
    assert persons.to_dict() == frequencies.to_dict()


@pytest.mark.parametrize("key", REPEATS)
def test_load_points_to_load_counts(key: str) -> None:
    with pytest.raises(TableError, match=rf"repeat counts.*load_counts\('{key}'\)"):
        datasets.load(key)


def test_load_counts_points_to_load() -> None:
    with pytest.raises(TableError, match=r"'uk' is a capture table; read it with load\('uk'\)"):
        datasets.load_counts("uk")


@pytest.mark.parametrize("name", ["new_orleans", "new_orleans_5"])
@pytest.mark.parametrize("reader", [datasets.load, datasets.load_counts, datasets.info])
def test_name_of_two_versions_says_which_paper_needs_which(
    name: str, reader: Callable[[str], object]
) -> None:
    with pytest.raises(UnknownNameError, match=rf"{name}_185' is what.*\(2021\).*{name}_186' what.*\(2024\)"):
        reader(name)


def test_unknown_name_suggests_and_lists() -> None:
    with pytest.raises(UnknownNameError, match=r"no data set 'kosovoo'; did you mean 'kosovo'\? .*uk, uk_5"):
        datasets.load("kosovoo")


def test_unknown_name_without_a_close_match_lists() -> None:
    with pytest.raises(UnknownNameError, match=r"no data set 'zzz'\. The data sets are: uk"):
        datasets.load("zzz")


def test_catalogue_has_one_row_a_data_set() -> None:
    frame = datasets.catalogue()
    assert frame["key"].is_unique
    assert len(frame) == len(CAPTURES) + len(REPEATS)
    assert frame.loc[frame["kind"] == "captures", "lists"].between(3, 8).all()
    assert (frame.loc[frame["kind"] == "repeat counts", "lists"] == 0).all()


def test_catalogue_is_a_fresh_frame_each_time() -> None:
    spoiled = datasets.catalogue()
    spoiled["n"] = -1
    assert (datasets.catalogue()["n"] > 0).all()


@pytest.mark.parametrize("key", KEYS)
def test_record_is_complete(key: str) -> None:
    record = datasets.info(key)
    for text in (record.title, record.population, record.citation):
        assert len(text) > 20
    assert record.doi == "" or record.doi.startswith("10.")
    assert all(variable.meaning for variable in (*record.lists, *record.strata, *record.columns))
    assert bool(record.lists) != bool(record.columns)


@pytest.mark.parametrize("key", KEYS)
def test_figures_are_in_order_and_name_their_interval(key: str) -> None:
    for figure in datasets.info(key).figures:
        assert figure.model
        assert figure.source
        assert (figure.low is None) == (figure.high is None) == (figure.interval == "")
        assert figure.value is not None or figure.low is not None
        if figure.low is not None and figure.high is not None:
            assert figure.low <= (figure.value or figure.low) <= figure.high
        if figure.quantity == "population size" and figure.value is not None:
            assert figure.value >= datasets.info(key).n


def test_records_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        datasets.info("uk").n = 1


def test_frames_handed_out_are_copies() -> None:
    first = datasets.load_counts("catbird_counts")
    first["count"] = 0
    assert datasets.load_counts("catbird_counts")["count"].sum() == 19
    assert isinstance(first, pd.DataFrame)
