import numpy as np
import pandas as pd
import pytest

from hiddenpop.errors import ConstantListWarning, EmptyListWarning, TableError, UnknownNameError
from hiddenpop.table import CaptureTable


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


# --- constructors ---


def test_cells_are_stored_by_stratum_and_history(table):
    assert table.lists == ("police", "shelter", "care")
    assert table.histories.tolist() == [1, 2, 3, 1, 4]
    assert table.counts.tolist() == [40, 25, 12, 7, 3]
    assert table.strata["region"].tolist() == ["north", "north", "north", "south", "south"]
    assert table.censored.tolist() == [False] * 5
    assert len(table) == 5


def test_lists_fixes_the_order_of_the_bits(counts):
    table = CaptureTable.from_counts(counts, lists=["care", "police", "shelter"], strata=["region"])
    assert table.histories.tolist() == [2, 4, 6, 1, 2]


def test_zero_one_is_accepted_as_bool_float_text_and_nullable(counts):
    plain = CaptureTable.from_counts(counts, strata=["region"])
    varied = counts.assign(
        police=counts.police.astype(bool), shelter=counts.shelter.astype(float), care=counts.care.astype(str)
    )
    assert CaptureTable.from_counts(varied, strata=["region"]) == plain
    assert CaptureTable.from_counts(counts.convert_dtypes(), strata=["region"]) == plain
    categorical = counts.assign(care=counts.care.astype("category"))
    assert CaptureTable.from_counts(categorical, strata=["region"]) == plain


def test_a_row_on_no_list_with_count_zero_is_no_data(counts):
    empty = pd.DataFrame({"police": [0], "shelter": 0, "care": 0, "region": "north", "count": 0})
    table = CaptureTable.from_counts(pd.concat([counts, empty, empty]), strata=["region"])
    assert table == CaptureTable.from_counts(counts, strata=["region"])


def test_empty_cells_are_not_stored_but_censored_ones_are(counts):
    frame = counts.assign(count=[40, 0, 12, 0, 7], low=[False, False, False, True, False])
    frame = pd.concat([frame, frame.assign(police=0, shelter=1, region="west", count=1, low=False).iloc[:1]])
    with pytest.warns(EmptyListWarning, match="'care' caught nobody"):
        table = CaptureTable.from_counts(frame, strata=["region"], censored="low")
    assert table.counts.tolist() == [40, 12, 7, 0, 1]
    assert table.censored.tolist() == [False, False, False, True, False]
    assert table.has_censored is True


def test_levels_of_numbers_and_truths_become_text():
    frame = pd.DataFrame({"a": [1, 0], "b": [0, 1], "year": [2019.0, 2020.0], "adult": [True, False]})
    table = CaptureTable.from_indicators(frame, strata=["year", "adult"])
    assert table.strata.to_dict("list") == {"year": ["2019", "2020"], "adult": ["True", "False"]}
    assert table.select(year=2019) == table.select(year="2019")


def test_columns_with_numbers_for_names_become_text():
    table = CaptureTable.from_indicators(pd.DataFrame(np.eye(3, dtype=int)))
    assert table.lists == ("0", "1", "2")


def test_the_largest_table_has_63_lists():
    table = CaptureTable.from_indicators(pd.DataFrame(np.eye(63, dtype=int)))
    assert table.histories[-1] == 2**62
    assert table.list_totals.tolist() == [1] * 63
    assert table.operating[0] == 2**63 - 1


def test_memberships_may_repeat_a_name_and_lists_may_be_empty():
    with pytest.warns(EmptyListWarning, match="'care' caught nobody"):
        table = CaptureTable.from_memberships([["b", "b"], {"a"}, ("a", "b")], lists=["b", "care", "a"])
    assert table.lists == ("b", "care", "a")
    assert table.empty_lists == ("care",)
    assert table.to_dense().tolist() == [0, 1, 0, 0, 1, 1, 0, 0]


def test_repeated_registrations_count_once():
    frame = pd.DataFrame({"p": ["x", "y", "x", "z"], "l": ["b", "a", "b", "b"], "r": ["n", "s", "n", "n"]})
    table = CaptureTable.from_registrations(frame, person="p", list="l", strata=["r"])
    assert table.lists == ("a", "b")
    assert table.to_frame().to_dict("list") == {"a": [0, 1], "b": [1, 0], "r": ["n", "s"], "count": [2, 1]}


def test_a_list_that_caught_everybody_is_named():
    frame = pd.DataFrame({"a": [1, 1], "b": [0, 1], "count": [3, 4]})
    with pytest.warns(ConstantListWarning, match="'a' caught everybody") as caught:
        CaptureTable.from_counts(frame)
    assert caught[0].filename == __file__


# --- faults of a frame ---


def fault(frame):
    with pytest.raises(TableError, match="row") as caught:
        CaptureTable.from_counts(frame, strata=["region"])
    return str(caught.value)


def put(frame, column, row, value):
    values = frame[column].tolist()
    values[row] = value
    return frame.assign(**{column: pd.Series(values, dtype=object)})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2, "row 2 holds 2"),
        (-1, "row 2 holds -1"),
        (0.5, "row 2 holds 0.5"),
        (np.nan, "row 2 is missing"),
        (None, "row 2 is missing"),
        ("yes", "row 2 holds 'yes'"),
        ([1], r"row 2 holds \[1\]"),
        (1 + 1j, r"row 2 holds \(1\+1j\)"),
    ],
)
def test_a_list_holds_zero_and_one_only(counts, value, shown):
    with pytest.raises(
        TableError, match=f"column 'police' holds values other than 0 and 1: {shown}; correct it"
    ):
        CaptureTable.from_counts(put(counts, "police", 1, value), strata=["region"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-1, "holds -1"),
        (2.5, "holds 2.5"),
        (np.nan, "is missing"),
        (np.inf, "holds inf"),
        (2**62 + 1, "holds 4611686018427387905"),
        (2**63, "holds 9223372036854775808"),
        (2**80, "holds 1208925819614629174706176"),
        ("<10", "holds '<10'"),
        (pd.Timestamp("2020-01-01"), "holds Timestamp"),
        (3 + 0j, r"holds \(3\+0j\)"),
    ],
)
def test_counts_are_whole_numbers_from_zero(counts, value, shown):
    with pytest.raises(
        TableError, match=rf"'count' must hold whole numbers from 0 to 2\*\*62: row 3 {shown}"
    ):
        CaptureTable.from_counts(put(counts, "count", 2, value), strata=["region"])


def test_a_column_of_complex_counts_is_refused(counts):
    message = fault(counts.assign(count=counts["count"] + 1j))
    assert message.startswith("column 'count' must hold whole numbers from 0 to 2**62: row 1 holds (40+1j)")


def test_the_largest_count_is_kept_exactly():
    frame = pd.DataFrame({"a": [1, 0], "b": [0, 1], "count": [2**62, 2**62 - 1]})
    table = CaptureTable.from_counts(frame)
    assert table.n_observed == 2**63 - 1
    assert table.to_dense().tolist() == [0, 2**62, 2**62 - 1, 0]


def test_a_total_beyond_int64_is_refused():
    frame = pd.DataFrame({"a": [1, 0], "b": [0, 1], "count": [2**62, 2**62]})
    with pytest.raises(TableError, match="adds up to more than 9223372036854775807 people"):
        CaptureTable.from_counts(frame)


def test_a_count_of_people_on_no_list_is_refused(counts):
    with pytest.raises(TableError, match=r"on no list, but with a count, in row 1: .*remove the row"):
        CaptureTable.from_counts(put(counts, "police", 0, 0), strata=["region"])


def test_rows_of_one_cell_are_to_be_added_up_first(counts):
    doubled = pd.concat([counts, counts.iloc[[1, 3]]])
    message = fault(doubled)
    assert "rows 2 and 6 are the same cell (on 'shelter'): add them up first" in message
    assert "rows 4 and 7 are the same cell (on 'care'): add them up first" in message


def test_many_repeats_are_counted(counts):
    message = fault(pd.concat([counts] * 4))
    assert message.count("add them up first") == 5
    assert "10 more rows repeat a cell" in message


def test_long_lists_of_rows_are_cut():
    frame = pd.DataFrame({"a": [7] * 8, "b": 1, "count": 1, "r": [None] * 8})
    with pytest.raises(TableError, match="2 faults in the table") as caught:
        CaptureTable.from_counts(frame, strata=["r"])
    assert "row 5 holds 7 and 3 more; correct it" in str(caught.value)
    assert "no value in rows 1, 2, 3, 4, 5 and 3 more" in str(caught.value)


@pytest.mark.parametrize("level", [None, np.nan, "", "  "])
def test_a_missing_level_needs_a_name(counts, level):
    with pytest.raises(
        TableError, match="column 'region': no value in row 4; give it a level such as \"unknown\""
    ):
        CaptureTable.from_counts(put(counts, "region", 3, level), strata=["region"])


def test_a_column_that_says_nothing_is_to_be_named_or_dropped(counts):
    repeated = pd.concat([counts, counts.assign(region="west")])
    with pytest.raises(TableError, match=r"^text in column 'region': name it in strata or drop it$"):
        CaptureTable.from_counts(repeated)
    with pytest.raises(TableError, match=r"column 'age' holds .*row 1 holds 31.*name the column in strata"):
        CaptureTable.from_counts(counts.assign(age=[31, 0, 1, 0, 1]), strata=["region"])


def test_all_faults_of_a_table_are_reported_together(counts):
    frame = counts.astype({"police": object, "count": object})
    frame.loc[0, "police"] = "yes"
    frame.loc[1, "count"] = -3
    frame.loc[2, "region"] = None
    frame.loc[3, "care"] = 0
    frame.loc[5] = frame.loc[4]
    message = fault(frame)
    assert message.startswith("5 faults in the table:")
    for part in ("row 1 holds 'yes'", "row 2 holds -3", "no value in row 3", "in row 4", "rows 5 and 6"):
        assert part in message


def test_doubled_columns_and_lists_are_refused(counts):
    doubled = counts.set_axis(["police", "police", "care", "region", "count"], axis=1)
    with pytest.raises(TableError, match="more than one column is called 'police'"):
        CaptureTable.from_counts(doubled, strata=["region"])
    with pytest.raises(TableError, match="list 'police' is named more than once"):
        CaptureTable.from_counts(counts, lists=["police", "police"], strata=["region"])
    with pytest.raises(TableError, match="'police' cannot be a list and something else"):
        CaptureTable.from_counts(counts, lists=["police", "care"], strata=["police"])


def test_no_list_and_too_many_lists_are_refused(counts):
    with pytest.raises(TableError, match="no list: a table needs at least one"):
        CaptureTable.from_counts(counts[["region", "count"]], strata=["region"])
    with pytest.raises(TableError, match="no list: a table needs at least one"):
        CaptureTable.from_counts(counts, lists=[], strata=["region"])
    with pytest.raises(TableError, match="64 lists: a table holds at most 63"):
        CaptureTable.from_indicators(pd.DataFrame(np.eye(64, dtype=int)))


def test_a_table_of_nobody_is_refused(counts):
    with pytest.raises(TableError, match="nobody observed: no cell holds a person"):
        CaptureTable.from_counts(counts.assign(count=0), strata=["region"])
    with pytest.raises(TableError, match="nobody observed: the table has no rows"):
        CaptureTable.from_indicators(counts.iloc[:0][["police", "care"]])
    with pytest.raises(TableError, match="nobody observed: there are no memberships"):
        CaptureTable.from_memberships([])


@pytest.mark.parametrize(
    "options", [{"lists": ["polise"]}, {"count": "polise"}, {"strata": ["polise"]}, {"censored": "polise"}]
)
def test_a_column_that_is_not_there_is_named_with_a_suggestion(counts, options):
    with pytest.raises(UnknownNameError, match=r"no column 'polise': there is .*did you mean 'police'"):
        CaptureTable.from_counts(counts, **options)


def test_a_single_text_is_no_sequence_of_names(counts):
    with pytest.raises(TableError, match=r"strata is the text 'region'; give a sequence"):
        CaptureTable.from_counts(counts, strata="region")
    with pytest.raises(TableError, match=r"lists is the text 'police'; give a sequence"):
        CaptureTable.from_counts(counts, lists="police", strata=["region"])


def test_a_censored_column_says_true_or_false(counts):
    frame = counts.assign(low=["True", "no", "False", "False", "perhaps"])
    with pytest.raises(TableError, match=r"'low' must say true or false, .* in rows 2 and 5; correct it"):
        CaptureTable.from_counts(frame, strata=["region"], censored="low")


@pytest.mark.parametrize("taken", ["count", "censored", " "])
def test_names_that_a_frame_needs_cannot_be_lists(taken):
    frame = pd.DataFrame({taken: [1, 0], "b": [0, 1], "n": [3, 4]})
    with pytest.raises(TableError, match=f"a list or covariate cannot be called '{taken}'"):
        CaptureTable.from_counts(frame, count="n")


def test_a_person_on_no_list_was_not_observed():
    with pytest.raises(TableError, match=r"on no list: persons 2 and 3; .*not observed"):
        CaptureTable.from_indicators(pd.DataFrame({"a": [1, 0, 0], "b": [1, 0, 0]}))
    with pytest.raises(TableError, match=r"on no list: person 2; .*not observed"):
        CaptureTable.from_memberships([["a"], []])


def test_a_membership_is_a_collection_of_names():
    with pytest.raises(TableError, match="person 2 is not a collection of list names"):
        CaptureTable.from_memberships([["a"], "a"])
    with pytest.raises(TableError, match="no list named in person 2"):
        CaptureTable.from_memberships([["a"], ["b", None]])
    with pytest.raises(TableError, match="not in lists, in person 2: 'polce' looks like 'police'"):
        CaptureTable.from_memberships([["police"], ["polce", "polce"]], lists=["police"])


def test_registrations_name_a_person_and_a_list():
    frame = pd.DataFrame({"p": ["x", None, "y"], "l": ["a", "a", " "]})
    with pytest.raises(TableError, match="2 faults in the table") as caught:
        CaptureTable.from_registrations(frame, person="p", list="l")
    assert "column 'p': no person in row 2" in str(caught.value)
    assert "no list named in row 3" in str(caught.value)


def test_strata_are_constant_within_a_person():
    frame = pd.DataFrame({"p": ["x", "y", "y", "y"], "l": ["a", "a", "b", "a"], "r": ["n", "n", "s", "n"]})
    with pytest.raises(
        TableError, match=r"'r' differs between .*person 2 \(in order .*at row 3; choose one level"
    ):
        CaptureTable.from_registrations(frame, person="p", list="l", strata=["r"])


def test_messages_never_quote_what_could_identify_a_person():
    secrets = ["Jansen", "195001012", "NL77BANK"]
    people = pd.DataFrame({"a": [1, "Jansen", 0], "b": [1, 1, 195001012], "c": ["NL77BANK", 1, 1]})
    rows = pd.DataFrame({"p": ["Jansen", "Jansen", "NL77BANK"], "l": ["a", "b", "a"], "r": ["n", "s", None]})
    attempts = [
        lambda: CaptureTable.from_indicators(people),
        lambda: CaptureTable.from_registrations(rows, person="p", list="l", strata=["r"]),
        lambda: CaptureTable.from_registrations(rows, person="l", list="p", lists=["a", "b"]),
        lambda: CaptureTable.from_memberships([["Jansen"], ["a"]], lists=["a"]),
    ]
    for attempt in attempts:
        with pytest.raises(TableError, match=r"person|row") as caught:
            attempt()
        assert not [secret for secret in secrets if secret in str(caught.value)]
