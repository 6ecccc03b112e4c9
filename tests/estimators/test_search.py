"""The searches against slow ones written here for reading: brute force, statsmodels, and every neighbour by hand."""

import math
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import poisson
from tests.contract.cases import SPARSE, quietly, table_of
from tests.support.plain import dense_counts, design, statsmodels_fit

from hiddenpop import HierarchicalModel, LogLinear, SelectedLogLinear, datasets
from hiddenpop.estimators.prepare import list_counts
from hiddenpop.estimators.search import SelectionRule, default_order, evaluate, exhaustive, judge
from hiddenpop.model import enumerate_models

FOUR_LISTS = ("kosovo", "australia", "uk_4")


def every_model(n_lists, max_order=None):
    """All hierarchical models with all main effects, by adding or not adding each term in turn."""
    top = n_lists - 1 if max_order is None else max_order
    everything = sorted(range(1, 1 << n_lists), key=lambda term: (term.bit_count(), term))
    families = [{0}]
    for term in everything:
        facets = {term & ~(1 << i) for i in range(n_lists) if term >> i & 1}
        if term.bit_count() == 1:
            families = [family | {term} for family in families]
        elif term.bit_count() <= top:
            families += [family | {term} for family in families if facets <= family]
    return [HierarchicalModel(n_lists, tuple(family - {0})) for family in families]


def test_the_models_to_search_are_all_of_them_and_each_once():
    for n_lists, size in ((2, 1), (3, 8), (4, 113)):
        by_hand = {model.term_set for model in every_model(n_lists)}
        ours = np.concatenate(list(enumerate_models(n_lists)))
        assert len(by_hand) == len(ours) == size
        assert by_hand == set(ours.tolist())


@cache
def all_fits(name):
    table = datasets.load(name)
    return [LogLinear(model=model, interval="wald").fit(table) for model in every_model(4)]


@pytest.mark.parametrize("criterion", ["bic", "aic", "aicc"])
@pytest.mark.parametrize("name", FOUR_LISTS)
def test_exhaustive_search_is_brute_force(name, criterion):
    table = datasets.load(name)
    fits = all_fits(name)
    best = min((one for one in fits if one.ok), key=lambda one: one.details["criteria"][criterion])
    found = SelectedLogLinear(criterion=criterion, search="exhaustive").fit(table)
    assert found.details["model"] == best.details["model"]
    assert found.n_hat == pytest.approx(best.n_hat, rel=1e-10)
    rows = found.details["selection"].set_index("model")
    assert len(rows) == 113
    for one in fits:
        row = rows.loc[one.details["model"]]
        assert row["status"] == one.status
        assert row[criterion] == pytest.approx(one.details["criteria"][criterion], rel=1e-9)
        assert row["n_hat"] == pytest.approx(one.n_hat, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("max_order", [1, 2, 3, 4, 9])
def test_the_order_limits_the_terms(max_order):
    selection = (
        SelectedLogLinear(max_order=max_order, search="exhaustive")
        .fit(datasets.load("kosovo"))
        .details["selection"]
    )
    assert len(selection) == len(every_model(4, min(max_order, 3)))
    assert selection["order"].max() == min(max_order, 3)


@pytest.mark.parametrize(
    ("n_lists", "given", "expected"),
    [(2, None, 1), (5, None, 4), (6, None, 2), (12, None, 2), (4, 9, 3), (6, 3, 3)],
)
def test_the_default_order(n_lists, given, expected):
    assert default_order(n_lists, given) == expected


@pytest.mark.parametrize("criterion", ["bic", "aic", "aicc"])
@pytest.mark.parametrize("count", ["all", "rank"])
def test_criteria_count_all_parameters_or_the_rank(criterion, count):
    table = datasets.load("australia")
    rows = (
        SelectedLogLinear(criterion=criterion, count=count, search="exhaustive")
        .fit(table)
        .details["selection"]
    )
    p = rows["n_parameters" if count == "all" else "rank"].to_numpy(dtype=float)
    n = table.n_observed
    counts = dense_counts(table)[1:]
    constant = -2 * poisson.logpmf(counts, counts).sum()
    penalty = {"bic": p * math.log(n), "aic": 2 * p, "aicc": 2 * p + 2 * (p * p + p) / (n - p - 1)}[criterion]
    assert rows[criterion].to_numpy() == pytest.approx(
        (rows["deviance"] + constant + penalty).to_numpy(), rel=1e-9
    )
    assert (np.diff(rows[criterion]) >= -1e-9).all()


# --- stepwise by p-value ----------------------------------------------------------------------------------------------


def fitted_overlaps(counts, pairs, n_lists):
    """Expected persons on both lists of every pair, by statsmodels; pairs without anybody leave the fit."""
    cells = np.arange(1, 1 << n_lists)
    dead = [pair for pair in pairs if not counts[(np.arange(len(counts)) & pair) == pair].any()]
    live = cells[[all(w & pair != pair for pair in dead) for w in cells]]
    terms = [*(1 << i for i in range(n_lists)), *(pair for pair in pairs if pair not in dead), 0]
    means = statsmodels_fit(design(live, terms), counts[live]).fittedvalues
    return {pair: means[(live & pair) == pair].sum() for pair in two_list_terms(n_lists)}


def two_list_terms(n_lists):
    return [1 << i | 1 << j for i, j in combinations(range(n_lists), 2)]


def stepwise_by_hand(table, threshold):
    """Chan, Silverman & Vincent (2021): add the most surprising overlap until none surprises any more.

    Every model of these tables passes the existence test, so nothing is skipped.
    """
    counts, t = dense_counts(table), table.n_lists
    model = []
    while True:
        expected = fitted_overlaps(counts, model, t)
        surprise = {}
        for pair in set(two_list_terms(t)) - set(model):
            observed = counts[(np.arange(len(counts)) & pair) == pair].sum()
            lower, upper = poisson.cdf(observed, expected[pair]), poisson.sf(observed - 1, expected[pair])
            surprise[pair] = min(lower, upper)
        if not surprise or min(surprise.values()) >= threshold:
            return HierarchicalModel(t, (*(1 << i for i in range(t)), *model))
        model.append(min(surprise, key=surprise.get))


@pytest.mark.parametrize("threshold", [0.001, 0.02, 0.1])
@pytest.mark.parametrize(
    "name", ["uk_5", "netherlands_5", "new_orleans_5_185", "new_orleans_186", "western_us"]
)
def test_stepwise_by_p_value_is_the_rule_as_published(name, threshold):
    table = datasets.load(name)
    found = SelectedLogLinear(search="stepwise_p", p_threshold=threshold).fit(table)
    assert found.details["model"] == str(stepwise_by_hand(table, threshold))


def test_the_path_holds_the_pairs_in_the_order_they_entered():
    found = SelectedLogLinear(search="stepwise_p", p_threshold=0.02).fit(datasets.load("western_us"))
    (step,) = found.details["path"]
    assert step["pair"] == "A*E"
    observed = datasets.load("western_us").overlaps.loc["A", "E"]
    assert step["observed"] == observed
    assert step["p_value"] == pytest.approx(poisson.sf(observed - 1, step["expected"]), rel=1e-9)


def test_stepwise_skips_a_pair_that_leaves_no_answer():
    # Korea: [12,3] is fine, and from there either other pair leaves the dark figure unbounded or is refused.
    found = SelectedLogLinear(search="stepwise_p", p_threshold=1.0, admissible="exists").fit(
        datasets.load("korea")
    )
    tried = found.details["selection"].set_index("model")
    assert tried.loc["[12,13,23]", "status"] == "unbounded"
    assert found.details["model"] == "[12,23]"
    assert len(found.details["path"]) == 2


@pytest.mark.parametrize("names", ["abcd", "cdab"])
def test_of_pairs_with_p_values_too_small_for_a_float_the_more_surprising_one_enters_first(names):
    # The first pair shares three times more persons than chance, the second half more; of four million persons both
    # p-values lie far below 1e-308. Which lists come first in the table must not decide.
    strong, weak = joint_probabilities(3.0), joint_probabilities(1.5)
    cells = {(w, v): round(4e6 * strong[w] * weak[v]) for w in range(4) for v in range(4)}
    swapped = names == "cdab"
    counts = [cells[(h >> 2, h & 3) if swapped else (h & 3, h >> 2)] for h in range(16)]
    table = table_of((0, *counts[1:]), names)
    assert SelectedLogLinear(search="stepwise_p").fit(table).details["path"][0]["pair"] == "a*b"


def joint_probabilities(odds):
    """Of two lists that catch a tenth each, with `odds` times more on both than chance, by history."""
    both = 0.01 * odds
    return [1 - 0.2 + both, 0.1 - both, 0.1 - both, both]


# --- forward by AIC, and downhill -------------------------------------------------------------------------------------


def admissible_value(table, term_set, criterion):
    fit = LogLinear(model=HierarchicalModel.from_term_set(term_set, table.n_lists), interval="wald").fit(
        table
    )
    return fit.details["criteria"][criterion] if fit.ok else math.inf


@pytest.mark.parametrize("name", ["kosovo", "rome_hiv", "australia", "western_us"])
def test_forward_by_aic_by_hand(name):
    table = datasets.load(name)
    current = HierarchicalModel.independence(table.n_lists).term_set
    best = admissible_value(table, current, "aic")
    while True:
        options = [current | 1 << pair for pair in two_list_terms(table.n_lists) if not current >> pair & 1]
        values = {option: admissible_value(table, option, "aic") for option in options}
        if not values or min(values.values()) >= best:
            break
        current, best = min(values.items(), key=lambda item: item[1])[0], min(values.values())
    found = SelectedLogLinear(search="stepwise_aic", criterion="bic").fit(table)
    assert found.details["model"] == str(HierarchicalModel.from_term_set(current, table.n_lists))
    assert found.details["criterion"] == "aic"


def neighbours(model, max_order):
    """Every hierarchical model with one term more or one term less, main effects kept."""
    t = model.n_lists
    terms = set(model.terms)
    for term in range(1, 1 << t):
        if term in terms:
            rest = terms - {term}
            if term.bit_count() >= 2 and is_closed(rest):
                yield HierarchicalModel(t, tuple(rest - {0}))
        elif term.bit_count() <= max_order and is_closed(terms | {term}):
            yield HierarchicalModel(t, tuple((terms | {term}) - {0}))


def is_closed(terms):
    return all(term & ~(1 << i) in terms for term in terms for i in range(term.bit_length()) if term >> i & 1)


@pytest.mark.parametrize("criterion", ["bic", "aic"])
@pytest.mark.parametrize("name", ["kosovo", "australia", "uk_5", "western_us", "korea"])
def test_downhill_ends_where_no_neighbour_is_better(name, criterion):
    table = datasets.load(name)
    found = SelectedLogLinear(search="downhill", criterion=criterion).fit(table)
    here = HierarchicalModel.parse(found.details["model"], n_lists=table.n_lists)
    value = found.details["criteria"][criterion]
    around = list(neighbours(here, table.n_lists - 1))
    assert len(around) >= 3
    for model in around:
        assert admissible_value(table, model.term_set, criterion) >= value - 1e-9
    tried = set(found.details["selection"]["model"])
    assert {str(model) for model in around} <= tried


def test_the_downhill_path_falls_at_every_step():
    path = SelectedLogLinear(search="downhill").fit(datasets.load("uk")).details["path"]
    values = [step["bic"] for step in path]
    assert len(values) == 6
    assert (np.diff(values) < 0).all()


def test_downhill_can_miss_the_best_model_and_says_where_it_ended():
    table = datasets.load("uk_5")
    downhill, best = (SelectedLogLinear(search=search).fit(table) for search in ("downhill", "exhaustive"))
    assert downhill.details["criteria"]["bic"] > best.details["criteria"]["bic"] + 1.5
    assert downhill.details["n_models"] < 60 < best.details["n_models"]


@pytest.mark.parametrize("search", ["stepwise_p", "stepwise_aic", "downhill"])
def test_the_outcome_of_a_search_stands_first_and_no_model_twice(search):
    found = SelectedLogLinear(search=search).fit(datasets.load("netherlands"))
    selection = found.details["selection"]
    assert selection["model"].iloc[0] == found.details["model"]
    assert selection["model"].is_unique
    assert found.details["n_models"] == len(selection)


# --- many lists -------------------------------------------------------------------------------------------------------


def test_more_than_six_lists_are_judged_one_by_one_with_the_same_result():
    six = datasets.load("uk")
    wide = table_of(
        np.concatenate([dense_counts(six), np.where(np.arange(64) == 1, 40, 0)]).astype(int),
        [*six.lists, "more"],
    )
    data = quietly(list_counts, wide, estimator="test")
    models = [HierarchicalModel.independence(7), HierarchicalModel.parse("[12,3,4,5,6,7]", n_lists=7)]
    tried = evaluate(data, [model.term_set for model in models])
    for row, model in enumerate(models):
        one = LogLinear(model=model).fit(wide)
        assert tried.status[row] == one.status
        assert data.n_observed + tried.n0[row] == pytest.approx(one.n_hat, rel=1e-7)
        assert tried.deviance[row] == pytest.approx(one.details["deviance"], rel=1e-9)
    assert tried.labels(7) == ["[1,2,3,4,5,6,7]", "[12,3,4,5,6,7]"]


def test_models_of_equal_criterion_come_smaller_first():
    data = quietly(list_counts, table_of(SPARSE, "abc"), estimator="test")
    rule = SelectionRule("bic", "rank")
    fits, n_models = exhaustive(data, rule, None)
    ranked = judge(data, fits).ranked(data, rule)
    values = ranked.criteria(data, "rank")["bic"]
    ties = np.flatnonzero(np.diff(values) == 0)
    assert n_models == len(ranked) == 8
    assert (np.diff(ranked.n_parameters)[ties] >= 0).all()
