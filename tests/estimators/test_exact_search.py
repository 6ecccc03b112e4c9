"""`SelectedLogLinear(search="exact")` against fitting every model."""

import json
from functools import cache

import numpy as np
import pytest
from tests.contract.cases import quietly
from tests.support.tables import table_of

from hiddenpop import SelectedLogLinear, datasets
from hiddenpop.errors import SettingError
from hiddenpop.estimators.prepare import list_counts
from hiddenpop.estimators.search import SelectionRule, exact, exhaustive, judge
from hiddenpop.estimators.selected import SELECTION_WINDOW

SMALL = [
    "artificial_3",
    "korea",
    "spina_bifida_626",
    "hepatitis_a_taiwan",
    "kosovo",
    "australia",
    "rome_hiv",
    "uk_4",
]
FIVE = [
    "uk_5",
    "netherlands_5",
    "new_orleans_5_185",
    "new_orleans_5_186",
    "western_us",
    "congenital_anomalies",
]


def both(name, **settings):
    table = datasets.load(name)
    return (SelectedLogLinear(search=search, **settings).fit(table) for search in ("exact", "exhaustive"))


def assert_same_winner(found, full):
    assert (found.status, found.details["model"]) == (full.status, full.details["model"])
    assert found.n_hat == full.n_hat
    assert (found.interval.low, found.interval.high) == (full.interval.low, full.interval.high)


def assert_same_head(found, full, criterion):
    """The models listed are the head of the full list, inadmissible ones in their places."""
    listed, everything = found.details["selection"], full.details["selection"]
    best = everything.loc[everything["admissible"], criterion].iloc[0]
    head = everything[everything[criterion] <= best + SELECTION_WINDOW[criterion] + 1e-7]
    assert listed["model"].tolist() == head["model"].tolist()
    for column in ("admissible", "status", "n_parameters"):
        assert listed[column].tolist() == head[column].tolist()
    assert listed[criterion].to_numpy() == pytest.approx(head[criterion].to_numpy(), abs=1e-6)


@pytest.mark.parametrize("admissible", ["finite", "exists"])
@pytest.mark.parametrize("criterion", ["bic", "aic", "aicc"])
@pytest.mark.parametrize("name", SMALL)
def test_winner_and_list_of_every_small_table(name, criterion, admissible):
    found, full = both(name, criterion=criterion, admissible=admissible)
    assert_same_winner(found, full)
    assert_same_head(found, full, criterion)


@pytest.mark.parametrize("criterion", ["bic", "aic"])
@pytest.mark.parametrize("name", FIVE)
def test_winner_of_every_table_of_five_lists(name, criterion):
    assert_same_winner(*both(name, criterion=criterion))


@pytest.mark.parametrize("name", FIVE[:2])
def test_winner_and_list_of_five_lists_by_bic(name):
    found, full = both(name)
    assert_same_winner(found, full)
    assert_same_head(found, full, "bic")


@pytest.mark.slow
@pytest.mark.parametrize("admissible", ["finite", "exists"])
@pytest.mark.parametrize("criterion", ["bic", "aic", "aicc"])
@pytest.mark.parametrize("name", FIVE)
def test_winner_and_list_of_five_lists(name, criterion, admissible):
    found, full = both(name, criterion=criterion, admissible=admissible)
    assert_same_winner(found, full)
    assert_same_head(found, full, criterion)


@pytest.mark.slow
def test_six_lists_up_to_pairs():
    found, full = both("uk", max_order=2)
    assert_same_winner(found, full)
    assert_same_head(found, full, "bic")


def test_the_proof_is_in_the_details():
    found = SelectedLogLinear(search="exact").fit(datasets.load("kosovo"))
    proof = found.details["proof"]
    assert proof.finished
    assert proof.gap == 0.0
    assert proof.n_fits == found.details["n_models"] < 113
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert written["details"]["proof"] == {
        "n_fits": proof.n_fits,
        "finished": True,
        "gap": 0.0,
        "window": 10.0,
    }


@cache
def best_bic(name):
    full = SelectedLogLinear(search="exhaustive").fit(datasets.load(name))
    return full.details["selection"].query("admissible")["bic"].iloc[0]


@pytest.mark.parametrize("max_fits", [1, 10, 60, 150])
@pytest.mark.parametrize("name", ["uk_5", "kosovo"])
def test_the_gap_of_an_unfinished_search_covers_the_best_model(name, max_fits):
    found = SelectedLogLinear(search="exact", max_fits=max_fits).fit(datasets.load(name))
    best = best_bic(name)
    ours = found.details["selection"].query("admissible")["bic"].iloc[0]
    proof = found.details["proof"]
    assert proof.gap >= ours - best - 1e-6
    assert proof.finished or proof.n_fits > max_fits
    assert (proof.gap == 0.0) is proof.finished
    assert (proof.gap == 0.0) is proof.finished


@pytest.mark.parametrize("max_fits", [0, -1, 2.5, "many", True])
def test_an_impossible_number_of_fits_is_refused(max_fits):
    with pytest.raises(SettingError, match=r"max_fits=.* must be a whole number of at least 1"):
        SelectedLogLinear(search="exact", max_fits=max_fits)


def test_counting_by_rank_is_refused():
    with pytest.raises(SettingError, match='search="exact" bounds the penalty by every nominal parameter'):
        SelectedLogLinear(search="exact", count="rank")


@pytest.mark.parametrize("admissible", ["finite", "exists"])
@pytest.mark.parametrize("criterion", ["bic", "aicc"])
@pytest.mark.parametrize(
    "cells",
    [
        [0, 12, 7, 0, 9, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 25],
        [0, 1, 0, 0, 0, 1, 1, 1],
        [0, 30, 0, 10],
        [0, 30, 20, 0],
    ],
)
def test_tables_on_which_few_models_or_none_may_be_chosen_get_the_same_answer_from_both_searches(
    cells, criterion, admissible
):
    answers = []
    for search in ("exact", "exhaustive"):
        estimator = SelectedLogLinear(search=search, criterion=criterion, admissible=admissible)
        found = quietly(estimator.fit, table_of(cells))
        answers.append((found.status, str(found.n_hat), found.interval.low, found.interval.high))
    assert answers[0] == answers[1]


def test_the_search_itself_gives_what_the_full_search_gives():
    data = list_counts(datasets.load("australia"), estimator="selected")
    rule = SelectionRule("bic", "all", "exists")
    near, proof = exact(data, rule, None, 6.0, 10_000)
    everything, n_models = exhaustive(data, rule, None)
    ranked, full = (judge(data, fits).ranked(data, rule) for fits in (near, everything))
    assert proof.finished
    assert proof.n_fits < n_models == 113
    assert ranked.term_sets.tolist() == full.term_sets[: len(ranked)].tolist()
    assert ranked.n0 == pytest.approx(full.n0[: len(ranked)], rel=1e-12)
    assert np.array_equal(ranked.exists, full.exists[: len(ranked)])
