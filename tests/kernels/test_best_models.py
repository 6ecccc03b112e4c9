"""The best models by branch and bound against fitting and judging every model of the space.

Run by hand when this was written: 5,583 multinomial resamples of eighteen published tables (3,600 of three and four
lists, 1,686 of five, 297 of six up to pairs), most of them by BIC, AIC and AICc, 14,370 comparisons under each rule of
admission. No disagreement. Both routes share the compiled fit, which has tests of its own.
"""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.full_search import FullSearch, space
from tests.support.plain import dense_counts

import hiddenpop as hp
from hiddenpop.errors import TableSizeError
from hiddenpop.kernels.search.best_models import TIE, best_models, best_of_each, penalties
from hiddenpop.kernels.search.bound import from_words
from hiddenpop.model import HierarchicalModel, model_space_size

THREE = ["artificial_3", "korea", "spina_bifida", "spina_bifida_626", "hepatitis_a_taiwan"]
FOUR = ["kosovo", "australia", "rome_hiv", "allegheny", "uk_4"]
FIVE = [
    "uk_5",
    "netherlands_5",
    "new_orleans_5_185",
    "new_orleans_5_186",
    "western_us",
    "congenital_anomalies",
]
SIX = ["uk", "netherlands", "hares"]
CRITERIA = ["bic", "aic", "aicc"]

every_criterion = pytest.mark.parametrize("criterion", CRITERIA)
both_rules = pytest.mark.parametrize("exists", [True, False], ids=["exists", "finite"])


def counts_of(name):
    table = hp.datasets.load(name)
    counts = dense_counts(table.collapse() if table.has_strata else table)
    return counts, len(counts).bit_length() - 1


def resamples(counts, size, seed):
    persons = counts.sum()
    drawn = np.random.default_rng(seed).multinomial(int(persons), counts / persons, size=size)
    return drawn.astype(float)


def assert_same_best(full, exists, term_set, n0):
    """The full search agrees on the model and its dark figure, or on there being none."""
    row = full.best(exists)
    if row is None:
        assert np.isnan(n0)
        return
    assert term_set == full.term_sets[row]
    assert n0 == pytest.approx(full.n0[row], rel=1e-6, abs=1e-6)


def assert_same_window(full, exists, found, window):
    """Every model in the window is listed, admissible or not, with its value, and none beyond it."""
    wanted = full.within(window, exists)
    assert dict(zip(found.term_sets, found.admissible.tolist(), strict=True)) == wanted
    values = dict(zip(full.term_sets.tolist(), full.values, strict=True))
    assert found.values == pytest.approx([values[s] for s in found.term_sets], abs=1e-6)
    assert np.diff(found.values).min(initial=0.0) >= -TIE
    assert found.finished
    assert found.proven == pytest.approx(full.values[full.best(exists)] + window, abs=1e-6)


def check_table(name, criterion, max_order, windows):
    counts, n_lists = counts_of(name)
    full = FullSearch(counts, n_lists, criterion, max_order)
    for exists in (True, False):
        for window in windows:
            found = best_models(
                counts, n_lists, criterion=criterion, max_order=max_order, exists=exists, window=window
            )
            first = int(np.argmax(found.admissible))
            assert_same_best(full, exists, found.term_sets[first], found.n0[first])
            assert_same_window(full, exists, found, window)


# --- the published tables ---------------------------------------------------------------------------------------------


@every_criterion
@pytest.mark.parametrize("name", [*THREE, *FOUR])
def test_best_model_and_windows_of_every_small_published_table(name, criterion):
    check_table(name, criterion, None, (0.0, 2.0, 6.0, 12.0))


@pytest.mark.parametrize("name", FIVE)
def test_best_model_and_windows_of_five_lists_by_bic(name):
    check_table(name, "bic", None, (2.0, 6.0))


@pytest.mark.parametrize("name", SIX)
def test_best_model_and_windows_of_six_lists_up_to_pairs(name):
    check_table(name, "bic", 2, (0.0, 6.0))


@pytest.mark.slow
@every_criterion
@pytest.mark.parametrize(
    ("name", "max_order"), [*((name, None) for name in FIVE), *((name, 2) for name in SIX)]
)
def test_every_window_of_every_large_published_table(name, max_order, criterion):
    check_table(name, criterion, max_order, (2.0, 6.0, 12.0))


@pytest.mark.parametrize(("name", "max_order"), [("kosovo", 1), ("kosovo", 2), ("uk_5", 2), ("uk_5", 3)])
def test_a_limit_on_the_order_is_kept(name, max_order):
    check_table(name, "bic", max_order, (6.0,))
    counts, n_lists = counts_of(name)
    found = best_models(counts, n_lists, max_order=max_order, window=30.0)
    orders = [HierarchicalModel.from_term_set(s, n_lists).order for s in found.term_sets]
    assert max(orders) == max_order


def test_an_order_beyond_the_space_is_the_whole_space():
    counts, n_lists = counts_of("kosovo")
    assert (
        best_models(counts, n_lists, max_order=9, window=6.0).term_sets
        == best_models(counts, n_lists, window=6.0).term_sets
    )


@pytest.mark.parametrize(
    ("name", "model", "n_hat", "best", "tenth"),
    [
        ("uk", "[12,13,25,35,36,45]", 12349.59, 244.119, 249.346),
        ("netherlands", "[346,16,25,45]", 143603.02, 292.175, 298.565),
    ],
)
def test_best_and_tenth_of_all_six_list_models(name, model, n_hat, best, tenth):
    # From a full enumeration of the 7,785,061 models by another program.
    counts, n_lists = counts_of(name)
    found = best_models(counts, n_lists, window=7.0)
    saturated = -2 * float(np.sum(counts[counts > 0] * (np.log(counts[counts > 0]) - 1))) + 2 * float(
        sum(np.sum(np.log(np.arange(1, c + 1))) for c in counts)
    )
    bic = found.values[found.admissible] + saturated
    first = int(np.argmax(found.admissible))
    assert str(HierarchicalModel.from_term_set(found.term_sets[first], n_lists)) == model
    assert counts.sum() + found.n0[first] == pytest.approx(n_hat, abs=0.005)
    assert (bic[0], bic[9]) == (pytest.approx(best, abs=5e-4), pytest.approx(tenth, abs=5e-4))
    assert found.n_fits < model_space_size(6, None) / 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uk", "netherlands"])
def test_all_orders_of_six_lists_by_full_enumeration(name):
    from hiddenpop.kernels.poisson.lattice import fit_batch
    from hiddenpop.model import enumerate_models

    counts, n_lists = counts_of(name)
    penalty = penalties("bic", len(counts), counts.sum())
    kept, values = np.empty(0, dtype=np.uint64), np.empty(0)
    for block in enumerate_models(n_lists, max_order=5):
        fit = fit_batch(counts, block, n_lists)
        kept = np.concatenate([kept, block])
        values = np.concatenate([values, fit.deviance + penalty[fit.n_parameters]])
        best = np.argsort(values, kind="stable")[:10_000]
        kept, values = kept[best], values[best]
    found = best_models(counts, n_lists, window=8.0)
    limit = found.values[found.admissible].min() + 8.0
    assert len(found.values) > 10
    assert limit < values.max()
    assert set(found.term_sets) == {int(s) for s in kept[values <= limit + TIE]}


# --- resamples --------------------------------------------------------------------------------------------------------


def check_resamples(name, criterion, size, seed, max_order=None):
    counts, n_lists = counts_of(name)
    tables = resamples(counts, size, seed)
    found = {
        exists: best_of_each(tables, n_lists, criterion=criterion, max_order=max_order, exists=exists)
        for exists in (True, False)
    }
    for row, table in enumerate(tables):
        full = FullSearch(table, n_lists, criterion, max_order)
        for exists, best in found.items():
            assert_same_best(full, exists, from_words(best.term_sets[row]), best.n0[row])


@every_criterion
@pytest.mark.parametrize(
    "name", ["korea", "spina_bifida_626", "hepatitis_a_taiwan", "kosovo", "rome_hiv", "uk_4"]
)
def test_best_model_of_resamples_of_small_tables(name, criterion):
    check_resamples(name, criterion, 30, seed=1)


@pytest.mark.parametrize(("name", "size"), [("artificial_3", 30), ("australia", 15)])
def test_best_model_of_resamples_of_tables_whose_best_models_are_mostly_refused(name, size):
    check_resamples(name, "aic", size, seed=2)


@pytest.mark.parametrize("name", ["uk_5", "netherlands_5"])
def test_best_model_of_resamples_of_five_lists(name):
    check_resamples(name, "bic", 6, seed=3)


@pytest.mark.slow
@every_criterion
@pytest.mark.parametrize(
    ("name", "size", "max_order"),
    [
        *((name, 400, None) for name in [*THREE, *FOUR]),
        *((name, 100, None) for name in FIVE),
        *((name, 20, 2) for name in SIX),
    ],
)
def test_thousands_of_resamples(name, size, max_order, criterion):
    check_resamples(name, criterion, size, seed=20, max_order=max_order)


@both_rules
def test_one_table_at_a_time_and_all_at_once_give_the_same(exists):
    counts, n_lists = counts_of("western_us")
    tables = resamples(counts, 12, seed=5)
    together = best_of_each(tables, n_lists, exists=exists)
    for row, table in enumerate(tables):
        found = best_models(table, n_lists, exists=exists)
        first = int(np.argmax(found.admissible))
        assert from_words(together.term_sets[row]) == found.term_sets[first]
        assert together.n0[row] == pytest.approx(found.n0[first], rel=1e-12)
        assert together.deviance[row] == pytest.approx(found.deviance[first], rel=1e-10)
        assert together.log_n0_variance[row] == pytest.approx(found.log_n0_variance[first], rel=1e-10)


def test_the_unobserved_cell_is_not_read_and_the_tables_are_left_alone():
    counts, n_lists = counts_of("kosovo")
    filled = counts.copy()
    filled[0] = 1e6
    before = filled.copy()
    assert best_models(filled, n_lists).values.tolist() == best_models(counts, n_lists).values.tolist()
    both = best_of_each(np.stack([filled, counts]), n_lists)
    assert both.n0[0] == both.n0[1]
    assert np.array_equal(filled, before)


# --- sparse tables, ties, doubt ---------------------------------------------------------------------------------------


@st.composite
def sparse_tables(draw):
    """Three or four lists, few persons, many empty cells; now and then one large cell."""
    n_lists = draw(st.sampled_from([3, 3, 4]))
    cell = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 7, 40, 900])
    counts = np.array([0, *(draw(cell) for _ in range((1 << n_lists) - 1))], dtype=float)
    assume(counts.sum() >= 2)
    return counts, n_lists


@settings(max_examples=60, deadline=None, derandomize=True)
@given(sparse_tables(), st.sampled_from(["bic", "aic"]), st.booleans(), st.sampled_from([0.0, 2.0, 6.0]))
def test_sparse_tables(drawn, criterion, exists, window):
    counts, n_lists = drawn
    full = FullSearch(counts, n_lists, criterion)
    best = best_of_each(counts[None], n_lists, criterion=criterion, exists=exists)
    assert_same_best(full, exists, from_words(best.term_sets[0]), best.n0[0])
    found = best_models(counts, n_lists, criterion=criterion, exists=exists, window=window)
    if full.best(exists) is None:
        assert not found.admissible.any()
        assert len(found.term_sets) == len(space(n_lists))
    else:
        assert_same_window(full, exists, found, window)


TIED = np.array([0.0, 20, 20, 5, 20, 5, 5, 0])
"""The same seen from each list, so models that differ by the names of the lists are equal."""


@both_rules
def test_among_equals_the_smaller_model_and_then_the_smaller_integer_comes_first(exists):
    full = FullSearch(TIED, 3)
    found = best_models(TIED, 3, exists=exists, window=12.0)
    assert found.term_sets == tuple(s for s in full.term_sets.tolist() if s in set(found.term_sets))
    values, sizes = np.round(found.values / TIE), [s.bit_count() for s in found.term_sets]
    assert len(set(values.tolist())) < len(values)
    assert list(zip(values.tolist(), sizes, found.term_sets, strict=True)) == sorted(
        zip(values.tolist(), sizes, found.term_sets, strict=True)
    )


def test_tied_best_models_give_the_earliest_on_both_routes():
    counts = np.array([0.0, 14, 14, 0, 14, 0, 0, 43])
    full = FullSearch(counts, 3)
    best = full.best(exists=False)
    equals = [
        int(s) for s, v in zip(full.term_sets, full.values, strict=True) if abs(v - full.values[best]) < TIE
    ]
    assert len(equals) == 3
    found = best_models(counts, 3)
    assert [s for s, admitted in zip(found.term_sets, found.admissible, strict=True) if admitted] == sorted(
        equals
    )
    assert from_words(best_of_each(counts[None], 3).term_sets[0]) == min(equals) == full.term_sets[best]


NOBODY_TWICE = np.array([0.0, 12, 7, 0, 9, 0, 0, 0])
SEEN_BY_ALL = np.array([0.0, 0, 0, 0, 0, 0, 0, 25])


@both_rules
@pytest.mark.parametrize("counts", [NOBODY_TWICE, SEEN_BY_ALL], ids=["no overlap", "one cell"])
def test_where_no_model_may_be_chosen_there_is_no_number_and_every_model_is_listed(counts, exists):
    assert FullSearch(counts, 3).best(exists) is None
    best = best_of_each(counts[None], 3, exists=exists)
    assert np.isnan(best.n0[0])
    assert np.isnan(best.deviance[0])
    assert best.term_sets[0, 0] == 0
    found = best_models(counts, 3, exists=exists, window=2.0)
    assert not found.admissible.any()
    assert set(found.term_sets) == set(space(3).tolist())


def test_where_the_correction_leaves_no_finite_aicc_no_model_is_chosen():
    counts = np.array([0.0, 1, 0, 0, 0, 1, 1, 1])
    assert FullSearch(counts, 3, "aicc").best(exists=False) is None
    assert np.isnan(best_of_each(counts[None], 3, criterion="aicc").n0[0])
    assert not best_models(counts, 3, criterion="aicc").admissible.any()


FAR_APART = [
    np.array([0.0, 454, 542, 481, 50_500_000, 504, 0, 46_200]),
    np.array([0.0, 2_611_322, 0, 908, 0, 423, 1_536_752, 0]),
    np.array([0.0, 0, 4_770_000, 514, 0, 473, 52_400_000, 0]),
]


@both_rules
@pytest.mark.parametrize("counts", FAR_APART, ids=["one empty cell", "three empty cells", "two lists apart"])
def test_counts_that_span_many_orders_do_not_hide_a_face(counts, exists):
    full = FullSearch(counts, 3)
    best = best_of_each(counts[None], 3, exists=exists)
    assert_same_best(full, exists, from_words(best.term_sets[0]), best.n0[0])


DOUBTFUL = [
    (3, [0, 21, 290, 23, 0, 24, 24000, 190]),
    (3, [0, 20, 22, 29, 0, 2500, 120000, 2300]),
    (4, [0, 0, 1, 0, 0, 0, 0, 0, 0, 10000, 1, 0, 0, 0, 0, 0]),
    (4, [0, 180, 0, 27, 17, 0, 0, 28, 0, 0, 19, 0, 22, 17, 140000, 0]),
    (4, [0, 1600, 220000, 20, 0, 8, 21, 18, 1800, 17, 270, 13, 230, 24, 14, 23]),
]


@both_rules
@pytest.mark.parametrize(("n_lists", "cells"), DOUBTFUL)
def test_doubtful_models_are_settled_by_linear_programming(n_lists, cells, exists):
    counts = np.array(cells, dtype=float)
    full = FullSearch(counts, n_lists)
    found = best_models(counts, n_lists, exists=exists, window=8.0)
    best = best_of_each(counts[None], n_lists, exists=exists)
    assert_same_best(full, exists, from_words(best.term_sets[0]), best.n0[0])
    if full.best(exists) is not None:
        assert_same_window(full, exists, found, 8.0)


# --- an end to the search ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_fits", [1, 20, 60, 120, 250])
@pytest.mark.parametrize("name", ["uk_5", "australia", "western_us"])
def test_what_is_proven_when_the_fits_run_out_is_a_true_lower_bound(name, max_fits):
    counts, n_lists = counts_of(name)
    full = FullSearch(counts, n_lists)
    found = best_models(counts, n_lists, window=6.0, max_fits=max_fits)
    unlisted = ~np.isin(full.term_sets, np.array(found.term_sets, dtype=np.uint64))
    assert full.values[unlisted].min() >= found.proven - 1e-6
    if not found.finished:
        assert max_fits < found.n_fits < max_fits + 2 * len(counts)
        assert found.proven > full.values[0] - 1000


def test_more_fits_prove_more_until_the_search_is_finished():
    counts, n_lists = counts_of("uk_5")
    proven = [best_models(counts, n_lists, max_fits=m).proven for m in (1, 40, 80, 160, 1000)]
    assert proven == sorted(proven)
    assert proven[0] < proven[-1]
    assert [best_models(counts, n_lists, max_fits=m).finished for m in (1, 1000)] == [False, True]


def test_a_finished_search_makes_no_more_fits_than_it_is_given():
    counts, n_lists = counts_of("kosovo")
    needed = best_models(counts, n_lists).n_fits
    assert best_models(counts, n_lists, max_fits=needed).finished
    assert needed < len(space(4))


def test_more_models_than_there_is_room_for_are_refused():
    counts, n_lists = counts_of("uk_5")
    with pytest.raises(
        TableSizeError, match=r"more than 10 models lie within 12\.0 of the best; choose a narrower"
    ):
        best_models(counts, n_lists, window=12.0, capacity=10)


def test_little_room_is_enough_where_the_models_that_are_kept_fit_in():
    counts, n_lists = counts_of("uk_5")
    wide = best_models(counts, n_lists, window=6.0)
    narrow = best_models(counts, n_lists, window=6.0, capacity=len(wide.term_sets) + 200)
    assert narrow.term_sets == wide.term_sets


@every_criterion
def test_penalties_are_the_criteria_of_the_literature(criterion):
    n = 200.0
    found = penalties(criterion, 8, n)
    p = np.arange(len(found))
    wanted = {"bic": p * np.log(n), "aic": 2.0 * p, "aicc": 2.0 * p + 2.0 * (p * p + p) / (n - p - 1.0)}
    assert found == pytest.approx(wanted[criterion])


def test_the_corrected_penalty_is_infinite_where_there_are_too_few_persons():
    assert penalties("aicc", 8, 6.0).tolist()[4:] == [pytest.approx(8.0 + 40.0), *[np.inf] * 6]
