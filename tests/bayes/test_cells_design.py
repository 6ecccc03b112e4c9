import numpy as np
import pandas as pd
import pytest
from tests.support.tables import table_of

from hiddenpop.bayes.cells_design import cells_design, check_structural_zeros
from hiddenpop.errors import (
    CapabilityError,
    CollapsedStrataWarning,
    EmptyListWarning,
    SettingError,
    TableError,
    UnknownNameError,
)
from hiddenpop.table import CaptureTable, Coverage

THREE = (0, 62, 45, 21, 38, 14, 11, 9)


def design(table, **settings):
    return cells_design(table, **{"order": 2, "estimator": "test", **settings})


def stratified(levels=("n", "s"), coverage=None, censored=()):
    """Three lists in regions; region k has the counts of THREE plus k, list b only where `coverage` says."""
    rows = [
        {
            "a": x & 1,
            "b": x >> 1 & 1,
            "c": x >> 2 & 1,
            "region": level,
            "count": THREE[x] + k,
            "censored": False,
        }
        for k, level in enumerate(levels)
        for x in range(1, 8)
        if coverage is None or level in coverage or not x >> 1 & 1
    ]
    frame = pd.DataFrame(rows)
    frame.loc[list(censored), "censored"] = True
    rules = None if coverage is None else [Coverage("b", "region", tuple(coverage))]
    return CaptureTable.from_counts(
        frame, lists=["a", "b", "c"], strata=["region"], censored="censored", coverage=rules
    )


# --- lists ------------------------------------------------------------------------------------------------------------


def test_lists_have_treatment_coding_with_the_unobserved_cell_as_reference():
    made = design(table_of(THREE))
    assert [str(term) for term in made.terms] == ["l0", "l1", "l2", "l0*l1", "l0*l2", "l1*l2"]
    assert made.columns[0].tolist() == [0.0] * 6
    assert made.columns[0b011].tolist() == [1.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    assert made.columns[0b111].tolist() == [1.0] * 6
    assert made.is_interaction.tolist() == [False] * 3 + [True] * 3


def test_every_observed_cell_is_a_row_with_its_count_and_the_hidden_come_last():
    made = design(table_of((0, 62, 0, 21, 38, 14, 11, 0)))
    assert made.counts.tolist() == [62, 0, 21, 38, 14, 11, 0]
    assert made.histories.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert made.members[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 0]
    assert made.n_observed == 146


@pytest.mark.parametrize(("order", "n_terms"), [(1, 3), (2, 6), (3, 7), (9, 7)])
def test_the_order_is_the_most_lists_in_a_term(order, n_terms):
    made = design(table_of(THREE), order=order)
    assert len(made.terms) == n_terms
    assert max(term.order for term in made.terms) == min(order, 3)


def test_a_list_that_caught_nobody_is_left_out_with_a_warning():
    with pytest.warns(EmptyListWarning, match="l1 caught nobody"):
        made = design(table_of((0, 5, 0, 0, 4, 2, 0, 0, 3, 1, 0, 0, 2, 1, 0, 0)))
    assert made.lists == ("l0", "l2", "l3")
    assert made.dropped == ("l1",)
    assert made.diagnostics[0].name == "empty_list"


# --- covariates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_levels", [2, 3, 5])
def test_the_difference_between_any_two_levels_has_the_variance_of_a_coefficient(n_levels):
    made = design(stratified([f"r{k}" for k in range(n_levels)]), strata="model")
    main = made.columns[:, made.term_of == [str(term) for term in made.terms].index("region")]
    per_level = main[::8]
    assert per_level.shape == (n_levels, n_levels - 1)
    assert np.abs(per_level.sum(axis=0)).max() < 1e-12
    differences = per_level[:, None] - per_level[None]
    apart = (differences**2).sum(axis=-1)[~np.eye(n_levels, dtype=bool)]
    assert apart == pytest.approx(1.0)


def test_the_interaction_of_two_covariates_has_the_variance_of_a_coefficient_too():
    frame = pd.DataFrame(
        [
            {"a": x & 1, "b": x >> 1 & 1, "c": x >> 2, "f": f, "g": g, "count": 3 + x}
            for x in range(1, 8)
            for f in "mno"
            for g in "pq"
        ]
    )
    table = CaptureTable.from_counts(frame, lists=["a", "b", "c"], strata=["f", "g"])
    made = design(table, strata="model")
    block = made.columns[:, made.term_of == [str(term) for term in made.terms].index("f*g")][::8]
    at = {pair: i for i, pair in enumerate(zip(made.strata["f"], made.strata["g"], strict=True))}
    for one, other in (("m", "n"), ("n", "o"), ("m", "o")):
        ratio = block[at[one, "p"]] - block[at[other, "p"]] - block[at[one, "q"]] + block[at[other, "q"]]
        assert (ratio**2).sum() == pytest.approx(1.0)


def test_strata_are_collapsed_with_a_warning_unless_modelled():
    with pytest.warns(CollapsedStrataWarning, match="added up region"):
        made = design(stratified())
    assert made.n_strata == 1
    assert made.counts.tolist() == [2 * THREE[x] + 1 for x in range(1, 8)]
    assert design(stratified(), strata="model").n_strata == 2


# --- gaps, censored cells, structural zeros ---------------------------------------------------------------------------


def test_where_a_list_does_not_operate_cells_are_sums_over_both_of_its_states():
    made = design(stratified(coverage=("n",)), strata="model")
    # 7 cells in the north, and 3 over lists a and c in the south.
    assert made.n_certain == 10
    assert made.members.shape == (12, 2)
    theta = np.random.default_rng(3).normal(size=made.columns.shape[1])
    full = np.exp(made.columns @ theta).reshape(2, 8)
    expected = [*full[0, 1:], full[1, [1, 3]].sum(), full[1, [4, 6]].sum(), full[1, [5, 7]].sum()]
    expected += [full[0, 0], full[1, [0, 2]].sum()]
    assert np.exp(made.log_rows(theta)) == pytest.approx(np.array(expected))


def test_gaps_are_never_added_up_to_zeros():
    with pytest.raises(CapabilityError, match=r"b did not operate in every stratum.*strata=\"model\""):
        design(stratified(coverage=("n",)))


def test_censored_cells_are_bounds_and_not_counts():
    made = design(stratified(censored=[2, 9]), strata="model")
    assert made.n_certain == 12
    assert made.bounds.tolist() == [21.0, 22.0]
    assert made.histories[12:].tolist() == [3, 3]
    assert made.stratum_of[12:].tolist() == [0, 1]
    assert made.n_observed == 200 + 207 - 21 - 22


def test_structural_zeros_leave_out_cells_and_the_terms_that_none_of_the_others_has():
    made = design(table_of((0, 62, 45, 0, 38, 14, 11, 0)), order=3, structural_zeros=("l0*l1",))
    assert [str(term) for term in made.terms] == ["l0", "l1", "l2", "l0*l2", "l1*l2"]
    assert made.histories.tolist() == [1, 2, 4, 5, 6]
    assert made.columns.shape == (6, 5)


def test_persons_where_nobody_can_be_are_refused():
    with pytest.raises(TableError, match=r"nobody can be on l0\*l1 together"):
        design(table_of(THREE), structural_zeros=("l0*l1",))


def test_a_structural_zero_with_a_list_that_caught_nobody_says_nothing_new():
    with pytest.warns(EmptyListWarning):
        made = design(table_of((0, 5, 0, 0, 4, 2, 0, 0, 3, 1, 0, 0, 2, 1, 0, 0)), structural_zeros=("l0*l1",))
    assert len(made.columns) == 8


def test_a_list_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match=r"names 'list1'.*it has l0, l1, l2"):
        design(table_of(THREE), structural_zeros=("l0*list1",))


@pytest.mark.parametrize("given", [("l0",), ("l0*l0",), ("l0*",), (3,), "l0"])
def test_a_structural_zero_names_two_lists_or_more(given):
    with pytest.raises(SettingError, match="name two or more different lists"):
        check_structural_zeros(given)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_two_lists_are_refused():
    with pytest.raises(CapabilityError, match=r"at least 3 lists that caught somebody.* has 2"):
        design(table_of((0, 5, 6, 2)))


def test_tables_with_too_many_cells_are_refused_and_twelve_lists_are_not():
    counts = np.zeros(2**12, dtype=int)
    counts[2 ** np.arange(12)] = 5
    assert design(table_of(counts)).columns.shape == (2**12, 78)
    many = np.zeros(2**14, dtype=int)
    many[2 ** np.arange(14)] = 5
    with pytest.raises(CapabilityError, match=r"14 lists in 1 strata .* have 16,384"):
        design(table_of(many))
    with pytest.raises(CapabilityError, match=r"order=4 has more than 500 coefficients"):
        design(table_of(np.where(np.bitwise_count(np.arange(2**15 >> 1)) == 1, 5, 0)[: 2**13]), order=4)


def test_a_table_of_bounds_alone_is_refused():
    with pytest.raises(CapabilityError, match="nobody is certain"):
        design(stratified(censored=range(14)), strata="model")
