"""What a group, a place, a stratum or a pair of lists is called never decides which it is.

Levels and lists with hostile names, in which signs that join names stand, give what the same table gives with plain
names: as many groups, with the same numbers.
"""

import warnings

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.monitor.estimates import by_strata

import hiddenpop as hp
from hiddenpop import CaptureTable
from hiddenpop._cells import distinct_texts
from hiddenpop.bayes.pooled import PooledLogLinear, _stratum_names, design_of
from hiddenpop.monitor import ranks, rates, subgroups, trend
from hiddenpop.plotting.subgroups import _largest_groups
from hiddenpop.sensitivity.cell_influence import MovedCells
from hiddenpop.sensitivity.dependence_sweep import DependenceSweep
from hiddenpop.sensitivity.multiverse import _mergers, _periods
from hiddenpop.sensitivity.partial_identification import PartialIdentification
from hiddenpop.sensitivity.regrouping import block_names, regrouped

LISTS = ("l1", "l2", "l3")
PARTS = [
    "a",
    "b",
    "c",
    " / ",
    ", ",
    " & ",
    " or ",
    "|",
    "=",
    ": ",
    "'",
    "(all)",
    "together",
    "a / b",
    "b / c",
    "any",
]
names = (
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=3)
    .map("".join)
    .filter(lambda name: name == name.strip())
)
rows = st.lists(st.tuples(names, names), min_size=2, max_size=6, unique=True)
AMBIGUOUS = [("a", "b / c"), ("a / b", "c"), ("a, b", "c"), ("a", "b, c")]


def judged(test):
    """Try the rows that read the same under each sign, and a few others."""
    few = settings(max_examples=5, deadline=None, derandomize=True)
    return few(example(AMBIGUOUS)(given(rows)(test)))


def plain(pairs):
    """Give names of the same order in which no sign stands."""
    columns = []
    for column in zip(*pairs, strict=True):
        code = {name: f"n{i:02}" for i, name in enumerate(sorted(set(column)))}
        columns.append([code[name] for name in column])
    return list(zip(*columns, strict=True))


def table_by(pairs, columns=("u", "v")):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        [
            (*(h >> i & 1 for i in range(3)), *pair, int(rng.integers(3, 40)))
            for pair in pairs
            for h in range(1, 8)
        ],
        columns=[*LISTS, *columns, "count"],
    )
    return CaptureTable.from_counts(frame, lists=LISTS, strata=list(columns), public=True)


def test_the_named_example_is_two_places():
    design = design_of(PooledLogLinear(), table_by([("a", "b / c"), ("a / b", "c")]))
    assert design.place.levels == (("a", "b / c"), ("a / b", "c"))
    assert sorted(set(design.place.index.tolist())) == [0, 1]


@judged
def test_places_of_a_pooled_model(pairs):
    hostile, safe = (design_of(PooledLogLinear(), table_by(given)) for given in (pairs, plain(pairs)))
    assert len(hostile.place.levels) == len(safe.place.levels) == len(pairs)
    assert hostile.place.index.tolist() == safe.place.index.tolist()
    assert len(set(_stratum_names(hostile))) == len(pairs)
    residents = {pair: 100.0 + i for i, pair in enumerate(pairs)}
    coded = {pair: 100.0 + i for i, pair in enumerate(plain(pairs))}
    offsets = [
        design_of(PooledLogLinear(residents=given), table_by(of)).log_offset
        for given, of in ((residents, pairs), (coded, plain(pairs)))
    ]
    np.testing.assert_array_equal(*offsets)


def estimate_by(pairs):
    draws = 50.0 + np.random.default_rng(1).poisson(np.arange(1, len(pairs) + 1) * 30.0, (400, len(pairs)))
    levels = {"u": [u for u, _ in pairs], "v": [v for _, v in pairs]}
    return by_strata(levels, [50] * len(pairs), draws)


@judged
def test_groups_of_a_monitor(pairs):
    frames = []
    for given_pairs in (pairs, plain(pairs)):
        estimate = estimate_by(given_pairs)
        residents = pd.DataFrame(given_pairs, columns=["u", "v"]).assign(residents=1000)
        parts = subgroups(estimate, ["u", "v"]).frame
        frames.append(
            [
                parts.iloc[:, 2:],
                rates(estimate, residents, ["u", "v"]).frame.iloc[:, 2:],
                ranks(estimate, ["u", "v"], top=2).frame.iloc[:, 2:],
                subgroups(estimate, "u").frame.iloc[:, 1:],
            ]
        )
        assert len(parts) == len(pairs) + 1
    for hostile, safe in zip(*frames, strict=True):
        pd.testing.assert_frame_equal(hostile, safe)


@judged
def test_trends_and_their_panels(pairs):
    draws = 50.0 + np.random.default_rng(1).poisson(100.0, (400, 2 * len(pairs)))
    found = []
    for given_pairs in (pairs, plain(pairs)):
        levels = {
            "u": [u for u, _ in given_pairs] * 2,
            "v": [v for _, v in given_pairs] * 2,
            "year": ["2019"] * len(pairs) + ["2020"] * len(pairs),
        }
        path = trend(by_strata(levels, [50] * (2 * len(pairs)), draws), by=["u", "v"])
        panels = _largest_groups(path, most=12)
        assert len(panels) == len({name for name, _ in panels}) == len(pairs)
        found.append((path.frame.iloc[:, 2:], [rows.tolist() for _, rows in panels]))
    pd.testing.assert_frame_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


@judged
def test_strata_of_estimators_and_cells_of_a_table(pairs):
    estimates = []
    for given_pairs in (pairs, plain(pairs)):
        table = table_by(given_pairs)
        models = (
            hp.Stratified(base=hp.LogLinear()),
            hp.CovariateLogLinear(model="l1 + l2 + l3 + u*v", interval="lognormal", combinations="observed"),
        )
        estimates.append([model.fit(table).by_stratum for model in models])
        cells = MovedCells(hp.LogLinear(), table, 1)
        assert len(set(cells.names)) == len(table)
    for hostile, safe in zip(*estimates, strict=True):
        assert len(hostile) == len(pairs)
        pd.testing.assert_frame_equal(hostile.iloc[:, 2:], safe.iloc[:, 2:])


@given(st.lists(st.tuples(names, names, names), min_size=1, max_size=6))
def test_texts_of_different_rows_are_different(given_rows):
    for sign in (" / ", ", ", " & "):
        assert len(set(distinct_texts(given_rows, sign))) == len(set(given_rows))


HOSTILE_LISTS = ("a", "b or c", "a or b", "c", "a & b", "b & c")
SAFE_LISTS = tuple(f"l{i}" for i in range(6))


def table_of_lists(lists):
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 20, (1 << len(lists)) - 1)
    frame = pd.DataFrame(
        [(*(h >> i & 1 for i in range(len(lists))), int(n)) for h, n in enumerate(counts, 1)],
        columns=[*lists, "count"],
    )
    return CaptureTable.from_counts(frame, lists=lists, public=True)


def test_lists_that_are_merged_keep_apart_what_reads_the_same():
    blocks = (("a", "b or c"), ("a or b", "c"), ("a & b",), ("b & c",))
    safe = (("l0", "l1"), ("l2", "l3"), ("l4",), ("l5",))
    hostile, plain_lists = (
        regrouped(table_of_lists(lists), groups)
        for lists, groups in ((HOSTILE_LISTS, blocks), (SAFE_LISTS, safe))
    )
    assert len(set(block_names(blocks).values())) == 4
    assert hostile.n_lists == plain_lists.n_lists == 4
    np.testing.assert_array_equal(hostile.to_dense(), plain_lists.to_dense())
    # A list has the name that two others would get.
    three = table_of_lists(("a", "b", "a or b"))
    assert regrouped(three, (("a", "b"), ("a or b",))).lists == ("'a' or 'b'", "a or b")


def test_pairs_of_lists_that_read_the_same_are_two_pairs():
    lists = ("a", "b & c", "a & b", "c")
    pairs = (("a", "b & c"), ("a & b", "c"))
    safe = (("l0", "l1"), ("l2", "l3"))
    tables = []
    for chosen, names_of in ((pairs, lists), (safe, SAFE_LISTS[:4])):
        table = table_of_lists(names_of)
        sweep = DependenceSweep(pairs=chosen, odds_ratios=(0.5, 2.0)).run(hp.LogLinear(), table)
        crossed = DependenceSweep(pairs=chosen, odds_ratios=(0.5, 2.0), crossed=True).run(
            hp.LogLinear(), table
        )
        bounded = PartialIdentification(kind="pair", pairs=chosen).run(hp.LogLinear(), table)
        assert sweep.table["pair"].nunique() == 2
        assert bounded.table["pair"].nunique() == 3  # and all of them together
        assert sum(str(name).startswith("odds_ratio[") for name in crossed.table) == 2
        tables.append([sweep.table["n_hat"], crossed.table["n_hat"], bounded.table["n_hat"]])
    for hostile, plain_names in zip(*tables, strict=True):
        np.testing.assert_array_equal(hostile, plain_names)


def test_options_of_a_multiverse_are_as_many_as_there_are():
    years = table_by([("all", "x"), ("all of year", "x"), ("2020", "x")], columns=("year", "v"))
    assert len(_periods(years)) == 4
    assert sum(option == {} for option in _periods(years).values()) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = pd.DataFrame(
            [
                (1, 1, 0, 0, 9),
                (0, 0, 1, 1, 9),
                (1, 0, 1, 0, 4),
                (0, 1, 0, 0, 5),
                (0, 0, 0, 1, 5),
                (1, 0, 0, 1, 3),
            ],
            columns=["a", "b or c", "a or b", "c", "count"],
        )
        table = CaptureTable.from_counts(frame, public=True)
    merged = [tuple(pair) for option in _mergers(table).values() for pair in option.get("merge", {}).values()]
    assert len(merged) == len(set(merged)) == len(_mergers(table)) - 1
