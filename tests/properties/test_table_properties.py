"""Properties of capture tables, each against the plainest possible account of the same people."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiddenpop.table import CaptureTable

LISTS = ("a", "b", "c", "d")
REGIONS = ("north", "south", "west")

pytestmark = pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")

person = st.tuples(st.sets(st.sampled_from(LISTS), min_size=1), st.sampled_from(REGIONS))
populations = st.lists(person, min_size=1, max_size=40)
quick = settings(max_examples=60, deadline=None)


def indicators(people, lists=LISTS):
    frame = pd.DataFrame([[int(name in on) for name in lists] for on, _ in people], columns=list(lists))
    return frame.assign(region=[region for _, region in people])


def tabulated(people, lists=LISTS, strata=("region",)):
    return CaptureTable.from_indicators(indicators(people, lists), lists=lists, strata=strata, public=True)


def registrations(people):
    rows = [(f"id{i}", name, region) for i, (on, region) in enumerate(people) for name in sorted(on)]
    return pd.DataFrame(rows, columns=["who", "where", "region"])


def plain(people, lists=LISTS):
    return tabulated([(on, "") for on, _ in people], lists, strata=())


@quick
@given(populations, st.randoms(use_true_random=False))
def test_every_constructor_gives_the_same_table(people, random):
    table = tabulated(people)
    assert table.n_observed == len(people)
    cells = indicators(people).value_counts().rename("count").reset_index()
    cells = cells.sample(frac=1, random_state=random.randrange(2**31))
    assert CaptureTable.from_counts(cells, lists=LISTS, strata=["region"]) == table
    rows = registrations(people * 2).sample(frac=1, random_state=random.randrange(2**31))
    doubled = CaptureTable.from_registrations(rows, "who", "where", strata=["region"], lists=LISTS)
    assert doubled == tabulated(people * 2)
    again = pd.concat([registrations(people)] * 2)
    assert CaptureTable.from_registrations(again, "who", "where", strata=["region"], lists=LISTS) == table
    memberships = [on for on, _ in people]
    assert CaptureTable.from_memberships(memberships, lists=LISTS) == table.collapse()


@quick
@given(populations, st.permutations(range(40)), st.permutations([*LISTS, "region"]))
def test_the_order_of_rows_and_columns_changes_nothing(people, order, columns):
    shuffled = [people[i] for i in order if i < len(people)]
    frame = indicators(shuffled)[columns]
    again = CaptureTable.from_indicators(frame, lists=LISTS, strata=["region"], public=True)
    assert again == tabulated(people)
    assert again.fingerprint == tabulated(people).fingerprint
    assert again.to_frame().equals(tabulated(people).to_frame())


@quick
@given(populations, st.sets(st.sampled_from(LISTS), min_size=1, max_size=3))
def test_dropping_lists_is_dropping_them_from_the_people(people, dropped):
    left = [(on - dropped, region) for on, region in people if on - dropped]
    keep = tuple(name for name in LISTS if name not in dropped)
    if not left:
        with pytest.raises(ValueError, match="nobody observed"):
            tabulated(people).drop_list(*dropped)
        return
    assert tabulated(people).drop_list(*dropped) == tabulated(left, keep)


@quick
@given(populations, st.sets(st.sampled_from(LISTS), min_size=1))
def test_merging_lists_is_merging_them_for_the_people(people, parts):
    merged = [((on - parts) | ({"new"} if on & parts else set()), region) for on, region in people]
    first = min(LISTS.index(part) for part in parts)
    names = tuple(
        "new" if i == first else name for i, name in enumerate(LISTS) if i == first or name not in parts
    )
    assert tabulated(people).merge_lists({"new": sorted(parts)}) == tabulated(merged, names)


@quick
@given(populations)
def test_views_are_plain_counts_of_people(people):
    table = tabulated(people)
    for i, one in enumerate(LISTS):
        assert table.list_totals[one] == sum(one in on for on, _ in people)
        for j, two in enumerate(LISTS):
            shared = sum(one in on and two in on for on, _ in people)
            assert table.overlaps.loc[one, two] == shared
            assert ((one, two) in table.empty_overlaps) == (shared == 0 and i < j)
    sizes = [len(on) for on, _ in people]
    assert table.capture_frequencies.tolist() == [sizes.count(k) for k in range(1, 5)]
    assert table.empty_lists == tuple(name for name in LISTS if not any(name in on for on, _ in people))


@quick
@given(populations)
def test_dense_counts_add_up_the_strata(people):
    table = tabulated(people)
    dense = np.zeros(16, dtype=int)
    for on, _ in people:
        dense[sum(1 << LISTS.index(name) for name in on)] += 1
    assert table.to_dense().tolist() == dense.tolist()
    assert table.collapse().to_dense().tolist() == dense.tolist()
    assert table.collapse() == plain(people)


@quick
@given(populations, st.sets(st.sampled_from(REGIONS), min_size=1))
def test_selecting_is_selecting_people(people, regions):
    present = {region for _, region in people}
    chosen = sorted(regions & present)
    if chosen:
        left = [(on, region) for on, region in people if region in chosen]
        assert tabulated(people).select(region=chosen) == tabulated(left)
    for region in regions - present:
        with pytest.raises(KeyError, match=f"no level of 'region' '{region}'"):
            tabulated(people).select(region=region)


@quick
@given(populations, st.integers(0, 2**32))
def test_resampling_keeps_the_number_of_people_and_finds_no_new_cell(people, seed):
    table = tabulated(people)
    drawn = table.resample(seed)
    assert drawn.n_observed == len(people)
    assert drawn.lists == table.lists
    cells = set(zip(table.histories, table.strata["region"], strict=True))
    assert set(zip(drawn.histories, drawn.strata["region"], strict=True)) <= cells
    assert drawn == table.resample(seed)


@quick
@given(populations, populations)
def test_fingerprints_are_equal_exactly_when_the_content_is(people, others):
    def account(group):
        return sorted((sorted(on), region) for on, region in group)

    same = account(people) == account(others)
    assert (tabulated(people) == tabulated(others)) is same
    assert (tabulated(people).fingerprint == tabulated(others).fingerprint) is same
    assert tabulated(people).fingerprint == tabulated(people[::-1]).fingerprint


@quick
@given(populations)
def test_an_empty_list_changes_the_lists_only(people):
    table, wider = tabulated(people), tabulated(people, (*LISTS, "empty"))
    assert wider != table
    assert wider.drop_list("empty") == table
    assert wider.histories.tolist() == table.histories.tolist()
    assert wider.counts.tolist() == table.counts.tolist()
    assert wider.empty_lists == (*table.empty_lists, "empty")


@quick
@given(populations)
def test_a_table_survives_its_frame(people):
    table = tabulated(people)
    frame = table.to_frame()
    assert len(frame) == len(table)
    assert CaptureTable.from_counts(frame, strata=["region"]) == table
    repeated = frame.loc[frame.index.repeat(frame["count"])].drop(columns="count")
    assert CaptureTable.from_indicators(repeated, strata=["region"]) == table


@settings(max_examples=25, deadline=None)
@given(populations, st.sampled_from(["csv", "parquet"]))
def test_a_public_table_survives_a_file(tmp_path_factory, people, suffix):
    path = tmp_path_factory.mktemp("tables") / f"table.{suffix}"
    table = tabulated(people)
    table.write(path)
    assert CaptureTable.read(path) == table


@quick
@given(populations, st.permutations(LISTS))
def test_renaming_there_and_back_is_nothing(people, names):
    table = tabulated(people)
    there = dict(zip(LISTS, names, strict=True))
    back = {new: old for old, new in there.items()}
    assert table.rename(there).lists == tuple(names)
    assert table.rename(there).rename(back) == table
