"""Tables at the edge: a right answer or a clear status, never a huge number, a silent NaN, or a limit below n."""

import json
import math

import numpy as np
import pytest
from tests.contract.cases import (
    IN_TIME,
    SAMPLED,
    SHORT,
    VARIANTS,
    compiles_long,
    label,
    make,
    quietly,
    table_of,
)

from hiddenpop import CaptureTable, LogLinear, SelectedLogLinear
from hiddenpop.errors import CapabilityError

BIG = 10**12
CLEAR = {"boundary", "unbounded", "not_identified"}

EXTREMES = {
    "no overlap of two lists": ((0, 10, 20, 0), "ab"),
    "no overlap of three lists": ((0, 10, 20, 0, 15, 0, 0, 0), "abc"),
    "one list apart": ((0, 40, 30, 6, 20, 0, 0, 0), "abc"),
    "everybody on both": ((0, 0, 0, 50), "ab"),
    "everybody on all three": ((0, 0, 0, 0, 0, 0, 0, 50), "abc"),
    "a list inside another": ((0, 30, 0, 10), "ab"),
    "one person on two lists": ((0, 0, 0, 1), "ab"),
    "one person on three lists": ((0, 0, 0, 0, 0, 0, 0, 1), "abc"),
    "three persons": ((0, 1, 1, 1), "ab"),
    "seven persons": ((0, 1, 1, 1, 1, 1, 1, 1), "abc"),
    "two persons on three lists": ((0, 1, 0, 0, 0, 0, 1, 0), "abc"),
    "pairs and nothing else": ((0, 0, 0, 5, 0, 5, 5, 0), "abc"),
    "million millions": ((0, *[BIG] * 3), "ab"),
    "million millions on three lists": ((0, *[BIG] * 7), "abc"),
    "million millions and one": ((0, BIG, BIG, 1), "ab"),
    "one beside million millions": ((0, 1, 1, BIG), "ab"),
    "ones and million millions": ((0, BIG, BIG, 3, BIG, 5, 1, 2), "abc"),
    "an empty list between": ((0, 62, 0, 0, 38, 14, 0, 0), "abc"),
}


def sentence(estimate):
    return f"{estimate.status} {estimate.n_hat} [{estimate.interval.low}, {estimate.interval.high}]"


def assert_sensible(estimate):
    """What no table may break.

    The closed forms of two and three lists, n1 n2 / m and n_a n_b n_c n_abc / (n_ab n_ac n_bc), stay below n^t for t
    lists: a number beyond (n + 1)^t is the debris of a fit that has no maximum. An upper limit may be a hundred times
    that, or say that there is none.
    """
    n, interval = estimate.n_observed, estimate.interval
    largest = (n + 1) ** len(estimate.table.lists)
    json.dumps(estimate.to_dict(), allow_nan=False)
    assert n <= interval.low <= interval.high, sentence(estimate)
    if estimate.status == "ok":
        assert n <= estimate.n_hat <= largest, sentence(estimate)
        outside = any(d.name == "estimate_outside_interval" for d in estimate.diagnostics)
        assert outside != (interval.low <= estimate.n_hat <= interval.high), sentence(estimate)
    else:
        short = estimate.status == "not_converged" and estimate.estimator.name in SHORT
        assert estimate.status in CLEAR or short, sentence(estimate)
        assert len(estimate.reason) > 20
    assert math.isinf(interval.high) or interval.high <= 100 * largest, sentence(estimate)
    assert "nan" not in estimate.summary().lower()


def refuses_two_lists(case, table):
    """Dependence and classes are learnt from a third list, and Mbh sets the first of its captures apart."""
    if table.n_lists - len(table.empty_lists) > 2:
        return False
    if case[0] == "closed_population":
        return ("model", "Mbh") in case[1]
    if case[0] in SAMPLED:
        return True
    return case[0] == "sample_coverage" and ("variant", "independent") not in case[1]


# A bootstrap fits a thousand times: its extremes belong to the slow suite, as do those of every choice of a search that
# is bootstrapped beside its default.
def takes_long(case):
    return (
        case[0] == "bootstrapped"
        or compiles_long(case)
        or (case[0] == "covariate_selected" and case[1] != ())
    )


AT_ONCE = [pytest.param(c, marks=pytest.mark.slow if takes_long(c) else (), id=label(c)) for c in VARIANTS]


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("case", AT_ONCE)
def test_an_extreme_table_gets_a_right_answer_or_a_clear_status(case, name):
    counts, lists = EXTREMES[name]
    table = table_of(counts, lists)
    if refuses_two_lists(case, table):
        with pytest.raises(CapabilityError, match=r"a third list|at least 3"):
            quietly(make(case, table).fit, table)
    else:
        assert_sensible(quietly(make(case, table).fit, table, rng=1))


# --- right answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_hat"),
    [
        ("million millions", 4e12),
        ("million millions on three lists", 8e12),
        ("million millions and one", 2e12 + 1 + 1e24),
        ("one beside million millions", 1e12 + 2),
        ("three persons", 4.0),
        ("seven persons", 8.0),
    ],
)
def test_independence_is_exact_at_any_size(name, n_hat):
    estimate = LogLinear().fit(table_of(*EXTREMES[name]))
    assert estimate.ok
    assert estimate.n_hat == pytest.approx(n_hat, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("no overlap of two lists", "unbounded"),
        ("no overlap of three lists", "unbounded"),
        ("everybody on both", "boundary"),
        ("everybody on all three", "boundary"),
        ("a list inside another", "boundary"),
        ("one person on two lists", "boundary"),
    ],
)
def test_independence_says_which_way_the_data_push(name, status):
    assert quietly(LogLinear().fit, table_of(*EXTREMES[name])).status == status


def test_the_interval_of_huge_counts_is_as_narrow_as_it_must_be():
    estimate = LogLinear(interval="wald").fit(table_of(*EXTREMES["million millions"]))
    profile = LogLinear().fit(table_of(*EXTREMES["million millions"]))
    spread = 1.959964 * math.sqrt(3 / BIG) * BIG
    assert estimate.interval.width == pytest.approx(2 * spread, rel=1e-5)
    # Poisson variation of the dark figure comes on top in the profile.
    assert profile.interval.width == pytest.approx(2 * 1.959964 * math.sqrt(BIG + 3 * BIG), rel=1e-3)


@pytest.mark.parametrize("factor", [10, 10**4, 10**9])
def test_a_table_times_a_factor_gives_the_estimate_times_the_factor(factor):
    counts = (0, 62, 45, 21, 38, 14, 11, 9)
    for model in ("independence", "[12,3]", "all-pairs"):
        once = LogLinear(model=model).fit(table_of(counts, "abc"))
        often = LogLinear(model=model).fit(table_of([factor * count for count in counts], "abc"))
        assert often.n_hat == pytest.approx(factor * once.n_hat, rel=1e-9)
        assert often.details["deviance"] == pytest.approx(
            factor * once.details["deviance"], rel=1e-6, abs=1e-6
        )


# --- twelve lists -----------------------------------------------------------------------------------------------------


def twelve_lists(persons, rng):
    """Persons that each of twelve lists catches with its own probability, those on none left out."""
    probabilities = np.linspace(0.03, 0.15, 12)
    caught = rng.random((persons, 12)) < probabilities
    names = np.array([f"list{i}" for i in range(12)])
    return CaptureTable.from_memberships(
        [names[row].tolist() for row in caught if row.any()], lists=names.tolist(), public=True, name="twelve"
    )


@pytest.fixture(scope="module")
def twelve():
    return twelve_lists(1500, np.random.default_rng(12))


PROOFS = [
    case
    for case in VARIANTS
    if case[0] in {"bootstrapped", "stratified"}
    or ("search", "exact") in case[1]
    or (case[0] == "selected" and "search" not in dict(case[1]))
]
EXHAUSTIVE = [
    case
    for case in VARIANTS
    if case not in PROOFS
    and (case[0] == "averaged" or (case[0] == "selected" and dict(case[1])["search"] == "exhaustive"))
]
TOO_MANY = [case for case in VARIANTS if case[0] == "decomposable" or case == ("identified", ())]
MANY_MODELS = [case for case in VARIANTS if case[0] == "bayesian_averaged"]
CHAINS = [case for case in VARIANTS if case[0] in SHORT]
TWELVE = [case for case in VARIANTS if case not in EXHAUSTIVE + PROOFS + TOO_MANY + MANY_MODELS + CHAINS]


@pytest.mark.parametrize("case", EXHAUSTIVE, ids=label)
def test_twelve_lists_are_too_many_to_search_whole(case, twelve):
    with pytest.raises(CapabilityError, match="12 lists have 73,786,976,294,838,206,464 hierarchical models"):
        make(case, twelve).fit(twelve)


@pytest.mark.parametrize("case", PROOFS, ids=label)
def test_twelve_lists_are_too_many_to_prove_a_best_model(case, twelve):
    with pytest.raises(CapabilityError, match=r'12 lists are too many to prove the best model.*search="mc3"'):
        make(case, twelve).fit(twelve)


SLOW_SEARCH = ("selected", (("search", "stepwise_aic"),))


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.slow if case == SLOW_SEARCH else ()) for case in TWELVE],
    ids=[label(case) for case in TWELVE],
)
def test_twelve_lists_get_an_answer_near_the_truth(case, twelve):
    estimate = make(case, twelve).fit(twelve)
    assert_sensible(estimate)
    if set(case[1]) & IN_TIME:
        # Later lists catch more here, so first captures do not become fewer.
        assert estimate.status == "unbounded"
        return
    assert estimate.ok
    # Chao's closed form takes the lists to be alike and is biased upwards; Petersen's uses two lists of twelve.
    assert estimate.n_hat == pytest.approx(1500, rel=0.35)
    assert len(estimate.table.lists) == 12


@pytest.mark.parametrize("case", TOO_MANY, ids=label)
def test_twelve_lists_are_too_many_to_add_up(case, twelve):
    with pytest.raises(CapabilityError, match=r"at most [68]"):
        make(case, twelve).fit(twelve)


@pytest.mark.parametrize("case", MANY_MODELS, ids=label)
def test_twelve_lists_have_too_many_models_to_average(case, twelve):
    with pytest.raises(CapabilityError, match=r"12 lists"):
        make(case, twelve).fit(twelve)


# Thousands of cells: a minute and more than a gigabyte each.
@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CHAINS if not compiles_long(case)], ids=label)
def test_twelve_lists_keep_chains_busy_and_honest(case, twelve):
    estimate = make(case, twelve).fit(twelve, rng=1)
    assert_sensible(estimate)
    assert np.median(estimate.draws) == pytest.approx(1500, rel=0.35)


def test_twelve_lists_have_a_notation_that_cannot_be_misread(twelve):
    found = LogLinear(model="[1.12,2.11,3,4,5,6,7,8,9,10]").fit(twelve)
    assert found.details["model"] == "[1.12,2.11,3,4,5,6,7,8,9,10]"
    assert found.details["formula"].startswith("list0*list11 + list1*list10 + list2")
    assert found.ok


def test_a_bootstrap_of_the_fit_works_on_twelve_lists():
    table = twelve_lists(300, np.random.default_rng(3))
    found = LogLinear(interval="wald").fit(table, rng=1).details["goodness_of_fit"]
    assert found["p_method"] == "parametric bootstrap of the deviance, 199 tables"
    assert 0.001 < found["p_deviance"] <= 1


@pytest.mark.parametrize("search", ["stepwise_p", pytest.param("downhill", marks=pytest.mark.slow)])
def test_one_person_on_twelve_lists(search):
    table = quietly(CaptureTable.from_memberships, [[f"list{i}" for i in range(12)]], public=True)
    estimate = quietly(SelectedLogLinear(search=search).fit, table)
    assert_sensible(estimate)
    assert not estimate.ok
