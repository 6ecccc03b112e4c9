import copy
import dataclasses
import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from hiddenpop.errors import (
    TableError,
    TableSizeError,
    UnknownNameError,
)
from hiddenpop.table import CaptureTable, Coverage, TableSummary


@pytest.fixture(autouse=True)
def key(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "secret"))


@pytest.fixture
def counts():
    return pd.DataFrame(
        {
            "police": [1, 0, 1, 0, 1],
            "shelter": [0, 1, 1, 0, 0],
            "care": [0, 0, 0, 1, 0],
            "region": ["north", "north", "north", "south", "south"],
            "count": [40, 25, 12, 3, 7],
        }
    )


@pytest.fixture
def table(counts):
    return CaptureTable.from_counts(counts, strata=["region"], public=True)


def only_north(counts):
    return CaptureTable.from_counts(
        counts, strata=["region"], coverage=[Coverage("shelter", "region", ("north",))]
    )


def put(frame, column, row, value):
    values = frame[column].tolist()
    values[row] = value
    return frame.assign(**{column: pd.Series(values, dtype=object)})


def test_labels_travel_with_the_table(counts):
    table = CaptureTable.from_counts(counts, strata=["region"], name="a", population="b", public=True)
    verbs = [table.drop_list("care"), table.collapse(), table.select(region="north"), table.resample(1)]
    for result in [table, *verbs, table.merge_lists({"x": ["care", "police"]}), table.rename({"care": "y"})]:
        assert (result.name, result.population, result.public) == ("a", "b", True)


def test_a_cell_built_by_hand_is_checked_too(table):
    with pytest.raises(TableError, match="0 is not a capture history on 3 lists; use 1 to 7"):
        dataclasses.replace(table, histories=np.array([1, 2, 3, 0, 4]))
    with pytest.raises(TableError, match="8 is not a capture history on 3 lists"):
        dataclasses.replace(table, histories=np.array([1, 2, 3, 8, 4]))
    with pytest.raises(TableError, match="a cell counts -2 people"):
        dataclasses.replace(table, counts=np.array([1, 2, 3, -2, 4]))


# --- verbs ---


def test_verbs_that_make_a_list_empty_or_constant_stay_silent(table):
    assert table.select(region="south").empty_lists == ("shelter",)
    assert table.select(region="north").drop_list("care", "shelter").n_lists == 1


def test_dropping_a_list_hides_who_was_only_there(table):
    dropped = table.drop_list("police")
    assert dropped.lists == ("shelter", "care")
    assert dropped.n_observed == 25 + 12 + 3
    assert dropped.collapse().to_dense().tolist() == [0, 37, 3, 0]


def test_dropping_nothing_is_the_same_table(table):
    assert table.drop_list() == table


def test_dropping_every_list_is_refused(table):
    with pytest.raises(TableError, match="1 to 63 lists, not 0"):
        table.drop_list(*table.lists)


def test_a_merged_list_stands_where_its_first_part_stood(table):
    merged = table.merge_lists({"aid": ["care", "shelter"]})
    assert merged.lists == ("police", "aid")
    assert merged.collapse().to_dense().tolist() == [0, 47, 28, 12]


def test_a_merged_list_may_take_the_name_of_a_part(table):
    assert table.merge_lists({"police": ["police", "care"]}).lists == ("police", "shelter")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"x": ["police"], "y": ["police", "care"]}, "list 'police' goes into both 'x' and 'y'"),
        ({"x": []}, r"list 'x' would have the parts \[\]"),
        ({"x": "police"}, "list 'x' would have the parts 'police'; give a sequence"),
        ({"care": ["police", "shelter"]}, "the name 'care' is used more than once"),
        ({"region": ["police", "shelter"]}, "the name 'region' is used more than once"),
    ],
)
def test_mergers_that_make_no_sense(table, mapping, message):
    with pytest.raises(TableError, match=message):
        table.merge_lists(mapping)


def test_collapse_adds_up(table):
    assert table.collapse("region") == table.collapse()
    assert table.collapse().counts.tolist() == [47, 25, 12, 3]
    assert table.collapse().has_strata is False
    assert table.has_strata is True


def test_collapsing_a_censored_cell_leaves_an_upper_bound(counts):
    frame = counts.assign(low=[False, False, False, False, True])
    table = CaptureTable.from_counts(frame, strata=["region"], censored="low").collapse()
    assert table.counts.tolist() == [47, 25, 12, 3]
    assert table.censored.tolist() == [True, False, False, False]


def test_select_takes_a_level_or_several(table):
    assert table.select(region="south").counts.tolist() == [7, 3]
    assert table.select(region=["south", "north"]) == table
    assert table.select() == table


def test_rename_covers_lists_covariates_and_coverage(counts):
    table = only_north(counts).rename({"shelter": "refuge", "region": "place"})
    assert table.lists == ("police", "refuge", "care")
    assert list(table.strata) == ["place"]
    assert table.coverage == (Coverage("refuge", "place", ("north",)),)


def test_lists_can_swap_names(table):
    assert table.rename({"police": "care", "care": "police"}).lists == ("care", "shelter", "police")


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (
            lambda t: t.drop_list("polis"),
            "no list 'polis': there is 'police', 'shelter', 'care'; did you mean",
        ),
        (lambda t: t.merge_lists({"x": ["polis"]}), "no list 'polis'"),
        (lambda t: t.collapse("regio"), "no covariate 'regio': there is 'region'; did you mean 'region'"),
        (lambda t: t.select(regio="north"), "no covariate 'regio'"),
        (
            lambda t: t.select(region="nord"),
            "no level of 'region' 'nord': there is 'north', 'south'; did you mean",
        ),
        (lambda t: t.rename({"polis": "x"}), "no list or covariate 'polis'"),
        (lambda t: t.collapse().select(age="old"), "no covariate 'age': there is none$"),
    ],
)
def test_unknown_names_list_what_exists(table, verb, message):
    with pytest.raises(UnknownNameError, match=message):
        verb(table)


def test_resampling_draws_people_from_the_cells(table):
    drawn = table.resample(3)
    assert drawn.n_observed == table.n_observed
    assert drawn == table.resample(3)
    assert drawn == table.resample(np.random.default_rng(3))
    assert drawn != table.resample(4)
    totals = sum(table.resample(seed).collapse().to_dense() for seed in range(400)) / 400
    assert totals == pytest.approx([0, 47, 25, 12, 3, 0, 0, 0], abs=1.0)


def test_censored_counts_cannot_be_resampled(counts):
    table = CaptureTable.from_counts(counts.assign(low=True), strata=["region"], censored="low")
    with pytest.raises(TableError, match="censored counts cannot be resampled"):
        table.resample(1)


def test_labels_that_are_not_given_stay(table):
    assert table.with_meta(name="x").name == "x"
    assert table.with_meta(population="y").name == "table"
    assert table.with_meta(public=False).public is False
    assert table.with_meta(name="x") == table


# --- coverage ---


def test_coverage_says_which_lists_could_have_seen_whom(counts):
    table = only_north(counts)
    assert table.has_gaps is True
    assert table.operating.tolist() == [7, 7, 7, 5, 5]


def test_two_limits_of_one_list_both_hold(counts):
    both = [
        Coverage("shelter", "region", ("north", "south")),
        Coverage("shelter", "region", ("north", "east")),
    ]
    assert CaptureTable.from_counts(counts, strata=["region"], coverage=both) == only_north(counts)


def test_coverage_against_the_table_is_refused(counts):
    with pytest.raises(TableError, match="list 'police' caught people where 'region' is 'south'"):
        CaptureTable.from_counts(
            counts, strata=["region"], coverage=[Coverage("police", "region", ("north",))]
        )
    with pytest.raises(UnknownNameError, match="no list 'polis'"):
        CaptureTable.from_counts(
            counts, strata=["region"], coverage=[Coverage("polis", "region", ("north",))]
        )
    with pytest.raises(UnknownNameError, match="no covariate 'age'"):
        CaptureTable.from_counts(counts, strata=["region"], coverage=[Coverage("police", "age", ("old",))])
    with pytest.raises(TableError, match="list 'police' operates in no level of 'region'"):
        Coverage("police", "region", ())


def test_a_level_of_coverage_may_be_a_single_text():
    assert Coverage("police", "region", "north").levels == ("north",)


def test_coverage_follows_the_verbs(counts):
    table = only_north(counts)
    assert table.drop_list("shelter").coverage == ()
    assert table.drop_list("care").coverage == table.coverage
    assert table.select(region="north").has_gaps is False
    assert table.select(region="south").has_gaps is True
    assert table.select(region=["north", "south"]).coverage == table.coverage
    assert table.resample(1).coverage == table.coverage
    with pytest.raises(
        TableError, match=r"cannot collapse 'region': list 'shelter' operates only in .*'north'"
    ):
        table.collapse()


def merged_coverage(counts, *coverage):
    frame = counts.assign(age=["old", "old", "old", "young", "young"])
    table = CaptureTable.from_counts(frame, strata=["region", "age"], coverage=coverage)
    return table.merge_lists({"aid": ["shelter", "care"]}).coverage


def test_a_merged_list_operates_where_any_part_does(counts):
    north, south = Coverage("shelter", "region", ("north",)), Coverage("care", "region", ("south",))
    old = Coverage("shelter", "age", ("old",))
    assert merged_coverage(counts, north) == ()
    assert merged_coverage(counts, north, south) == (Coverage("aid", "region", ("north", "south")),)
    everywhere = [Coverage(name, c, v) for name in ("shelter", "care") for c, v in _both()]
    assert merged_coverage(counts, *everywhere) == tuple(Coverage("aid", c, v) for c, v in _both())
    with pytest.raises(TableError, match=r"where 'aid' operates cannot be said .* depend on 'age', 'region'"):
        merged_coverage(counts, old, south)


def _both():
    return [("age", ("old", "young")), ("region", ("north", "south"))]


# --- views ---


def test_totals_and_overlaps(table):
    assert table.n_lists == 3
    assert table.n_observed == 87
    assert table.list_totals.to_dict() == {"police": 59, "shelter": 37, "care": 3}
    assert table.overlaps.loc["police", "shelter"] == 12
    assert table.overlaps.loc["shelter", "police"] == 12
    assert np.diag(table.overlaps).tolist() == [59, 37, 3]
    assert table.empty_overlaps == [("police", "care"), ("shelter", "care")]
    assert table.empty_lists == ()
    assert table.capture_frequencies.tolist() == [75, 12, 0]


def test_a_dense_array_has_a_limit():
    frame = pd.DataFrame(np.eye(21, dtype=int))
    with pytest.raises(
        TableSizeError, match=r"21 lists have 2\*\*21 histories, more than the limit of 1048576"
    ):
        CaptureTable.from_indicators(frame).to_dense()
    assert CaptureTable.from_indicators(frame.iloc[:20, :20]).to_dense().sum() == 20


def test_a_table_shows_itself_without_a_clock_or_an_address(counts):
    table = only_north(counts.assign(count=[4000, 25, 12, 3, 7])).with_meta(name="<b>")
    assert repr(table) == (
        "CaptureTable '<b>': 3 lists (police, shelter, care), 4,047 observed in 5 cells, strata region (2), "
        "shelter only where region is north"
    )
    assert "&lt;b&gt;" in table._repr_html_()
    assert "<b>" not in table._repr_html_()
    assert "<td>4000</td>" in table._repr_html_()


def test_a_repr_says_how_many_cells_are_censored(counts):
    table = CaptureTable.from_counts(counts.assign(low=True), strata=["region"], censored="low")
    assert repr(table).endswith("5 censored")
    assert table.to_frame()["censored"].tolist() == [True] * 5


def test_nothing_handed_out_changes_the_table(table):
    before = table.fingerprint
    for array in (table.histories, table.counts, table.censored):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    strata, frame = table.strata, table.to_frame()
    strata.loc[0, "region"] = "elsewhere"
    frame.loc[0, "count"] = 99
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        table.name = "x"
    assert table.fingerprint == before


def test_the_arrays_of_the_caller_stay_the_callers(table):
    mine = np.array([1, 2, 3, 4, 5])
    other = dataclasses.replace(table, counts=mine)
    mine[0] = 1000
    assert other.counts[0] == 1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_are_equal_and_read_only(counts, duplicate):
    table = only_north(counts).with_meta(name="n", population="p")
    again = duplicate(table)
    assert again == table
    assert (again.name, again.population, again.coverage) == ("n", "p", table.coverage)
    assert again.counts.flags.writeable is False


def test_equality_is_of_content(table, counts):
    assert table == CaptureTable.from_counts(counts.iloc[::-1], strata=["region"])
    assert table != table.drop_list("care")
    assert table != "table"
    assert only_north(counts) != table
    with pytest.raises(TypeError, match="unhashable"):
        hash(table)


def test_the_fingerprint_of_a_public_table_is_open_and_stable(table):
    assert table.fingerprint == table.with_meta(name="other").fingerprint
    assert table.fingerprint.startswith("sha256:")
    assert len(table.fingerprint) == len("sha256:") + 64
    assert table.summary == TableSummary("table", table.fingerprint, table.lists, True)


def test_the_fingerprint_of_any_other_table_needs_the_key(table, tmp_path, monkeypatch):
    secret = table.with_meta(public=False)
    first = secret.fingerprint
    assert first.startswith("hmac-sha256:")
    assert first == secret.fingerprint
    assert first.removeprefix("hmac-") != table.fingerprint
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "another"))
    assert secret.fingerprint != first


def test_every_part_of_the_content_counts_in_the_fingerprint(table, counts):
    low = CaptureTable.from_counts(
        counts.assign(low=[True, False, False, False, False]), strata=["region"], censored="low", public=True
    )
    variants = [
        table,
        table.rename({"care": "help"}),
        table.rename({"region": "place"}),
        table.collapse(),
        low,
        only_north(counts).with_meta(public=True),
        CaptureTable.from_counts(counts.replace("south", "west"), strata=["region"], public=True),
        CaptureTable.from_counts(put(counts, "count", 0, 41), strata=["region"], public=True),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)


# --- weight ---


def test_importing_the_table_imports_nothing_heavy():
    heavy = ["scipy", "matplotlib", "numba", "pymc", "arviz", "joblib", "pyarrow.parquet"]
    program = f"import sys, hiddenpop.table; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["a+b", "a*b", "a:b", "[a", "a,b", "b "])
def test_a_list_name_that_a_formula_could_not_read_back_is_refused(name: str) -> None:
    frame = pd.DataFrame({name: [1, 0], "other": [1, 1], "count": [3, 4]})
    with pytest.raises(TableError, match="cannot be read back from a model's formula; rename it"):
        CaptureTable.from_counts(frame)


def test_of_many_names_an_error_shows_the_one_that_may_have_been_meant():
    names = [f"list{i}" for i in range(30)]
    table = CaptureTable.from_memberships([names[1:], names[:1]], lists=names)
    with pytest.raises(
        UnknownNameError, match=r"no list 'list03': there is 'list\d+' and 29 more; did you mean 'list"
    ):
        table.drop_list("list03")
