"""The stochastic search as the estimators see it, against the exact one."""

import joblib
import numpy as np
import pytest
from tests.support.tables import table_of

from hiddenpop import datasets
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators.prepare import ListCounts, list_counts
from hiddenpop.estimators.search import SelectionRule, exact, judge
from hiddenpop.estimators.selected import stochastic


def data_of(table):
    return list_counts(table, estimator="selected")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("uk", SelectionRule("bic")),
        ("netherlands", SelectionRule("aic")),
        ("western_us", SelectionRule("bic", admissible="exists")),
        ("new_orleans_186", SelectionRule("aicc")),
    ],
)
def test_it_lists_what_the_exact_search_lists(name, rule):
    data = data_of(datasets.load(name))
    tried, found = stochastic(data, rule, rng=1, n_steps=6_000)
    window = 2.0
    proven, _ = exact(data, rule, 2, window, 200_000)
    proven = judge(data, proven).ranked(data, rule)
    allowed, truth = tried.take(tried.eligible(data, rule)), proven.take(proven.eligible(data, rule))
    first = allowed.take(slice(0, 1))
    assert first.term_sets[0] == truth.term_sets[0]
    assert first.n0[0] == pytest.approx(truth.n0[0], rel=1e-9)
    assert set(truth.term_sets[:5]) <= set(allowed.term_sets)
    assert found["n_models"] >= len(tried) == len(found["visits"])
    values = tried.criteria(data, rule.count)[rule.criterion]
    assert np.all(np.diff(values) >= -1e-7)


def test_ten_lists_agree_with_the_proof():
    rng = np.random.default_rng(10)
    captures = (np.arange(1 << 10)[:, None] >> np.arange(10)) & 1
    eta = captures @ rng.uniform(-3.0, -1.2, 10) + (captures[:, 0::2] * captures[:, 1::2]).sum(axis=1)
    table = table_of(np.append(0, rng.multinomial(3_000, np.exp(eta) / np.exp(eta).sum())[1:]))
    data = data_of(table)
    tried, found = stochastic(data, SelectionRule("bic"), rng=1, n_steps=4_000, n_chains=3)
    proven, proof = exact(data, SelectionRule("bic"), 2, 0.0, 50_000)
    assert proof.finished
    assert tried.term_sets[0] == judge(data, proven).ranked(data, SelectionRule("bic")).term_sets[0]
    assert found["agreement"].found_best == 3


def test_same_bytes_on_any_number_of_workers():
    data = data_of(datasets.load("uk"))
    runs = []
    for workers in (1, 3):
        with joblib.parallel_config("threading", n_jobs=workers):
            runs.append(stochastic(data, SelectionRule("bic"), rng=5, n_steps=500))
    (a, found_a), (b, found_b) = runs
    assert a.term_sets.tolist() == b.term_sets.tolist()
    assert a.deviance.tobytes() == b.deviance.tobytes()
    assert found_a == found_b


def test_disagreement_is_said():
    data = data_of(datasets.load("netherlands"))
    _, found = stochastic(data, SelectionRule("aic"), rng=1, n_steps=100)
    (note,) = found["diagnostics"]
    assert note.level == "warning"
    assert "chains of the stochastic search disagree" in note.message
    assert "Take more steps" in note.message
    _, settled = stochastic(data, SelectionRule("bic"), rng=1, n_steps=20_000)
    assert settled["diagnostics"] == ()
    assert settled["agreement"].agree


def test_a_table_without_any_admissible_model():
    apart = table_of([0, 10, 12, 0, 9, 0, 0, 0])
    tried, found = stochastic(data_of(apart), SelectionRule("bic"), rng=1, n_steps=100)
    assert not tried.eligible(data_of(apart), SelectionRule("bic")).any()
    assert len(tried) > 0
    (note,) = found["diagnostics"]
    assert "none admissible" in note.message


def test_better_models_without_an_answer_are_listed():
    data = data_of(datasets.load("artificial_3"))
    rule = SelectionRule("aic")
    tried, _ = stochastic(data, rule, rng=1, n_steps=500)
    values, allowed = tried.criteria(data, "all")["aic"], tried.eligible(data, rule)
    proven = judge(data, exact(data, rule, 2, 0.0, 200_000)[0])
    listed = set(tried.term_sets[~allowed & (values < values[allowed].min())])
    assert listed
    assert listed <= set(proven.term_sets[~proven.eligible(data, rule)])


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"n_chains": 1}, "n_chains=1 must be a whole number of at least 2"),
        ({"n_steps": 99}, "n_steps=99 must be a whole number of at least 100"),
    ],
)
def test_bad_settings_are_refused(setting, match):
    with pytest.raises(SettingError, match=match):
        stochastic(data_of(datasets.load("uk")), SelectionRule("bic"), rng=1, **setting)


def test_thirteen_lists_are_refused():
    counts = np.zeros(1 << 13)
    counts[1:] = 1.0
    names = tuple(f"l{i}" for i in range(13))
    data = ListCounts(counts, names, tuple(range(13)), (), int(counts.sum()), (), False)
    with pytest.raises(CapabilityError, match="at most 12 lists and this table has 13"):
        stochastic(data, SelectionRule("bic"), rng=1)
