"""More lists than a dense table can have: eighteen occasions (six periods of three), and simulated lists up to 63."""

import itertools
import json
import logging
import math
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

import hiddenpop as hp
from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.registry import build

EIGHTEEN = Path(__file__).parents[1] / "cases" / "eighteen_occasions.csv"

LOG = logging.getLogger(__name__)
"""Figures and times, shown by ``--log-cli-level=info``."""

TWO_PAIRS = "[1.2,2.3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18]"


@pytest.fixture(scope="module")
def occasions():
    return hp.CaptureTable.read(EIGHTEEN, public=True)


def drawn(n_lists, size=20_000, seed=20261130, equal=False):
    """Draw persons on independent lists, each with a chance of 1 to 4 %."""
    rng = np.random.default_rng(seed)
    chances = np.full(n_lists, 0.02) if equal else rng.uniform(0.01, 0.04, n_lists)
    on = rng.random((size, n_lists)) < chances
    names = [f"list {i + 1}" for i in range(n_lists)]
    persons = [[name for name, is_on in zip(names, row, strict=True) if is_on] for row in on[on.any(axis=1)]]
    return hp.CaptureTable.from_memberships(persons, lists=names, public=True)


def darroch(table):
    """Solve 1 - n/N = prod(1 - n_j/N) apart from the package."""
    n, sizes = table.n_observed, table.list_totals.to_numpy()
    return brentq(
        lambda size: math.log1p(-n / size) - np.log1p(-sizes / size).sum(), n * (1 + 1e-9), 1e9, xtol=1e-8
    )


def test_eighteen_occasions_give_the_number_known(occasions):
    assert occasions.n_lists == 18
    assert round(hp.LogLinear().fit(occasions).n_hat, 1) == 945.3
    assert round(hp.ClosedPopulation(model="Mt").fit(occasions).n_hat, 1) == 945.3


@pytest.mark.parametrize("n_lists", [17, 30, 63])
def test_independence_solves_its_equation(n_lists):
    table = drawn(n_lists)
    estimate = hp.LogLinear().fit(table)
    assert estimate.n_hat == pytest.approx(darroch(table), rel=1e-9)
    assert estimate.interval.low < 20_000 < estimate.interval.high
    assert estimate.status == "ok"


def test_equal_lists_solve_their_equation():
    table = drawn(30, equal=True)
    n, mean = table.n_observed, table.list_totals.mean()
    root = brentq(
        lambda size: math.log1p(-n / size) - 30 * math.log1p(-mean / size), n * (1 + 1e-9), 1e9, xtol=1e-8
    )
    estimate = hp.ClosedPopulation(model="M0").fit(table)
    assert estimate.n_hat == pytest.approx(root, rel=1e-9)
    assert estimate.interval.low < 20_000 < estimate.interval.high


def test_chao_is_the_formula_of_those_seen_once_and_twice():
    table = drawn(30)
    f1, f2 = (float(f) for f in table.capture_frequencies[:2])
    bound = hp.ChaoLowerBound(list_effects=False).fit(table)
    assert bound.n_hat == pytest.approx(table.n_observed + 29 / 60 * f1 * (f1 - 1) / (f2 + 1))


def test_steps_on_lists_that_are_alike_rest_on_those_seen_once_and_twice():
    rng = np.random.default_rng(20261130)
    frequencies = {1: 1000, 2: 200, 3: 60, 4: 25, 5: 12}  # more at every step than a binomial law would have
    names = [f"list {i + 1}" for i in range(20)]
    persons = [rng.choice(names, k, replace=False).tolist() for k, f in frequencies.items() for _ in range(f)]
    table = hp.CaptureTable.from_memberships(persons, lists=names, public=True)
    estimate = hp.ClosedPopulation(model="Mh", heterogeneity="chao").fit(table)
    assert estimate.n_hat == pytest.approx(table.n_observed + 19 / 40 * 1000**2 / 200, rel=1e-9)
    assert set(estimate.details["etas"]) == {"eta3", "eta4"}


def test_deviance_and_fitted_counts_are_those_of_independence(occasions):
    estimate = hp.LogLinear().fit(occasions)
    cells = estimate.details["cells"]
    chances = occasions.list_totals.to_numpy() / estimate.n_hat
    bits = cells[list(occasions.lists)].to_numpy()
    fitted = estimate.n_hat * np.where(bits, chances, 1 - chances).prod(axis=1)
    counts = cells["count"].to_numpy()
    assert cells["fitted"].to_numpy() == pytest.approx(fitted, rel=1e-9)
    # Over all cells the counts and the fitted counts add up to the same number of persons.
    assert estimate.details["deviance"] == pytest.approx(
        2 * (counts * np.log(counts / fitted)).sum(), rel=1e-9
    )
    pearson = ((counts - fitted) ** 2 / fitted).sum() + (counts.sum() - fitted.sum())
    assert estimate.details["goodness_of_fit"]["pearson"] == pytest.approx(pearson, rel=1e-6)


def test_a_pair_in_one_interaction_is_one_list_of_those_on_either(occasions):
    first, second, *others = occasions.lists
    estimate = hp.LogLinear(model=f"{first}*{second} + {' + '.join(others)}").fit(occasions)
    merged = hp.LogLinear().fit(occasions.merge_lists({"either": [first, second]}))
    assert estimate.n_hat == pytest.approx(merged.n_hat, rel=1e-9)
    assert estimate.interval.high == pytest.approx(merged.interval.high, rel=1e-6)
    assert estimate.details["formula"].startswith(f"{first}*{second} + ")


@pytest.mark.parametrize("interval", ["profile", "lognormal", "wald"])
def test_intervals_hold_the_estimate(occasions, interval):
    for estimator in (hp.LogLinear(interval=interval), hp.ClosedPopulation(model="M0", interval=interval)):
        estimate = estimator.fit(occasions)
        assert estimate.n_observed <= estimate.interval.low < estimate.n_hat < estimate.interval.high


@pytest.mark.parametrize("variant", ["high", "low", "independent"])
def test_sample_coverage_depends_on_pairs_alone(occasions, variant):
    estimate = hp.SampleCoverage(variant=variant).fit(occasions, rng=1)
    alone = [occasions.counts[occasions.histories == 1 << i].sum() for i in range(18)]
    coverage = 1 - np.mean(alone / occasions.list_totals)
    assert estimate.details["sample_coverage"] == pytest.approx(coverage)
    assert estimate.n_hat > occasions.n_observed


def test_the_bootstrap_of_independence_is_about_as_wide_as_its_profile(occasions):
    estimate = hp.Bootstrapped(base=hp.LogLinear(), n_boot=200).fit(occasions, rng=1)
    known = estimate.details["base_interval"]
    assert estimate.n_failed == 0
    assert 0.6 < estimate.interval.width / known.width < 1.6


def test_two_of_many_lists_are_two_lists():
    table = drawn(30)
    pair = ("list 3", "list 7")
    both = table.overlaps.loc[pair]
    totals = table.list_totals[list(pair)].prod()
    assert hp.LincolnPetersen(lists=pair).fit(table).n_hat == pytest.approx(totals / both)


def test_numbers_and_profiles_are_those_of_the_fit(occasions):
    for estimator in (hp.LogLinear(), hp.ClosedPopulation(model="Mt"), hp.ClosedPopulation(model="Mh")):
        estimate = estimator.fit(occasions)
        assert estimator.hidden_profile(occasions).n0_hat == pytest.approx(estimate.n_hidden)
    assert hp.LogLinear().number(occasions)[0] == hp.LogLinear().fit(occasions).n_hat


def panel_of(table):
    """Give what works on any number of lists, by the terms in which it is asked for."""
    names = table.lists
    largest = tuple(table.list_totals.nlargest(2).index)
    return {
        "independence": hp.LogLinear(),
        "one pair": hp.LogLinear(model=by_names(table, names[:2])),
        "pairs that overlap, and a triple": hp.LogLinear(
            model=by_names(table, names[:2], names[1:3], names[3:5], names[4:7])
        ),
        "a chain of ten": hp.LogLinear(model=by_names(table, *itertools.pairwise(names[:10]))),
        "fixed odds ratio": hp.LogLinear(odds_ratios=((*names[:2], 1.0),)),
        "M0": hp.ClosedPopulation(model="M0"),
        "Mt": hp.ClosedPopulation(model="Mt"),
        "Mt, bias-corrected": hp.ClosedPopulation(model="Mt", bias_corrected=True, interval="lognormal"),
        "Chao": hp.ChaoLowerBound(),
        "Chao, closed form": hp.ChaoLowerBound(list_effects=False),
        **{f"sample coverage, {v}": hp.SampleCoverage(variant=v) for v in ("independent", "low", "high")},
        "Lincoln-Petersen": hp.LincolnPetersen(lists=largest),
        "Chapman": hp.Chapman(lists=largest),
    }


@pytest.mark.parametrize("n_lists", [34, 63])
def test_all_that_works_on_many_lists_finds_a_known_size(n_lists):
    table = drawn(n_lists)
    for label, estimator in panel_of(table).items():
        start = time.perf_counter()
        estimate = estimator.fit(table, rng=1)
        limits = estimate.interval
        LOG.info(
            "%d lists, %s: %.0f (%.0f to %.0f), %.2f s",
            n_lists, label, estimate.n_hat, limits.low, limits.high, time.perf_counter() - start,
        )  # fmt: skip
        assert math.isfinite(estimate.n_hat), label
        assert estimate.n_observed <= limits.low <= estimate.n_hat <= limits.high < math.inf, label
        assert limits.low <= 20_000 <= limits.high, label


@pytest.mark.slow
@pytest.mark.parametrize("n_lists", [34, 63])
def test_latent_classes_find_a_known_size(n_lists):
    table = drawn(n_lists, size=2_000)
    start = time.perf_counter()
    model = hp.LatentClass(n_classes=2, n_chains=2, n_draws=100, n_tune=100, n_temperatures=4, n_sweeps=1)
    estimate = model.fit(table, rng=1)
    numbers = estimate.details["idata"].posterior["N"].to_numpy()
    low, high = np.quantile(numbers, [0.025, 0.975])
    LOG.info(
        "%d lists, latent classes: %.0f to %.0f, %.1f s", n_lists, low, high, time.perf_counter() - start
    )
    assert low <= 2_000 <= high
    assert estimate.n_observed < numbers.min()


def test_latent_classes_are_drawn_on_the_non_empty_cells():
    table = drawn(20, size=2_000)
    model = hp.LatentClass(n_classes=2, n_chains=2, n_draws=100, n_tune=100, n_temperatures=4, n_sweeps=1)
    estimate = model.fit(table, rng=1)
    assert estimate.details["idata"].posterior["N"].shape == (2, 100)
    assert float(estimate.details["idata"].posterior["N"].min()) > table.n_observed


@pytest.mark.parametrize("n_lists", [17, 34, 63])
def test_chao_with_list_effects_finds_independent_lists(n_lists):
    estimate = hp.ChaoLowerBound().fit(drawn(n_lists))
    assert estimate.status == "ok"
    assert estimate.interval.low < 20_000 < estimate.interval.high
    assert not [remark for remark in estimate.diagnostics if remark.name == "misfit"]


def test_a_lower_bound_with_list_effects_stays_below_where_persons_differ():
    rng = np.random.default_rng(20261130)
    odds = rng.uniform(0.01, 0.04, 34) * np.exp(rng.normal(0.0, 1.0, 20_000))[:, None]
    on = rng.random((20_000, 34)) < odds / (1 + odds)
    names = [f"list {i + 1}" for i in range(34)]
    frame = pd.DataFrame(on[on.any(axis=1)].astype(int), columns=names)
    table = hp.CaptureTable.from_indicators(frame, lists=names, public=True)
    bound, independence = hp.ChaoLowerBound().fit(table), hp.LogLinear().fit(table)
    assert independence.n_hat < bound.n_hat < 20_000
    assert [remark.name for remark in independence.diagnostics] == ["misfit"]


def narrowed(table, n_lists):
    """Keep so few lists that the dense route works too."""
    return table.drop_list(*table.lists[n_lists:])


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "Mb"},
        {"model": "Mbh"},
        {"model": "Mth"},
        {"model": "Mth", "heterogeneity": "darroch"},
        {"model": "M0"},
        {"model": "Mh"},
    ],
)
def test_the_route_of_many_lists_is_the_dense_one_on_twelve(monkeypatch, settings):
    table = narrowed(drawn(20, equal=settings["model"] in ("M0", "Mh")), 12)
    dense = hp.ClosedPopulation(**settings).fit(table)
    monkeypatch.setattr("hiddenpop.estimators.prepare.MAX_DENSE_LISTS", 11)
    sparse = hp.ClosedPopulation(**settings).fit(table)
    assert sparse.n_hat == pytest.approx(dense.n_hat, rel=1e-9)
    assert sparse.details["deviance"] == pytest.approx(dense.details["deviance"], rel=1e-9)
    assert (sparse.interval.low, sparse.interval.high) == pytest.approx(
        (dense.interval.low, dense.interval.high), rel=1e-7
    )
    assert sparse.details["goodness_of_fit"]["p_captures"] is not None  # the other route was taken


@pytest.mark.parametrize("name", ["selected", "averaged", "decomposable"])
def test_what_needs_a_dense_table_names_the_lists_to_merge(occasions, name):
    shared = np.triu(occasions.overlaps.to_numpy(), k=1)
    first, second = (occasions.lists[i] for i in np.unravel_index(shared.argmax(), shared.shape))
    said = (
        f"works on at most 16 lists and eighteen_occasions has 18, 2 too many; merge lists of the same kind, "
        f"first of all {first} and {second}, which share most persons: "
    )
    with pytest.raises(CapabilityError, match=re.escape(said)) as refusal:
        build(name, {}).fit(occasions)
    typed = re.search(r"merge_lists\((.*?)\)", str(refusal.value)).group(1)
    merged = occasions.merge_lists(json.loads(typed))
    with pytest.raises(CapabilityError, match="eighteen_occasions has 17, 1 too many"):
        build(name, {}).fit(merged)


def by_names(table, *terms):
    """Write a model of some terms, all other lists on their own."""
    named = {name for term in terms for name in term}
    return " + ".join(["*".join(term) for term in terms] + [x for x in table.lists if x not in named])


def test_lists_that_depend_on_each_other_through_others_are_refused_by_name(occasions):
    names = occasions.lists
    chain = by_names(occasions, *itertools.pairwise(names[:17]))
    shared = np.triu(occasions.overlaps.to_numpy()[:17, :17], k=1)
    first, second = (names[i] for i in np.unravel_index(shared.argmax(), shared.shape))
    said = (
        f"at most 16 lists that depend on each other, directly or through others, and in eighteen_occasions 17 do: "
        f"{', '.join(names[:17])}; merge some of these, first of all {first} and {second}, which share most persons: "
        f'merge_lists({{"{first}": ["{first}", "{second}"]}}), or --merge "{first}={first}+{second}", or leave an '
        f"interaction out of the model, such as {names[0]}*{names[1]}"
    )
    with pytest.raises(CapabilityError, match=re.escape(said)):
        hp.LogLinear(model=chain).fit(occasions)
    without = by_names(occasions, *itertools.pairwise(names[1:17]))
    assert hp.LogLinear(model=without).fit(occasions).status == "ok"
    merged = occasions.merge_lists({first: [first, second]})
    assert merged.n_lists == 17
    left = [name for name in merged.lists if name in (*names[:17],)]
    assert hp.LogLinear(model=by_names(merged, *itertools.pairwise(left))).fit(merged).status == "ok"


def test_too_many_coefficients_are_refused_with_their_number(occasions):
    term = occasions.lists[:9]
    with pytest.raises(
        CapabilityError, match=r"at most 300 coefficients .* 9 have 512: c11, .*such as c11\*c12"
    ):
        hp.LogLinear(model=by_names(occasions, term)).fit(occasions)


@pytest.mark.parametrize(
    "settings",
    [
        {"model": TWO_PAIRS},
        {"model": TWO_PAIRS, "interval": "lognormal"},
        {"model": TWO_PAIRS, "xi": 2.0},
        {"xi": 0.5},
        {"model": TWO_PAIRS, "odds_ratios": (("list 2", "list 3", 2.0), ("list 7", "list 8", 0.5))},
        {"model": "[1.2.3,3.4,4.5,3.5,6.7,8,9,10,11,12]"},
    ],
)
def test_interactions_of_many_lists_are_those_of_the_dense_route_on_twelve(monkeypatch, settings):
    table = narrowed(drawn(20), 12)
    settings = {**settings, "model": settings.get("model", "independence").replace(",13,14,15,16,17,18", "")}
    dense = hp.LogLinear(**settings).fit(table)
    profile = hp.LogLinear(**settings).hidden_profile(table)
    monkeypatch.setattr("hiddenpop.estimators.prepare.MAX_DENSE_LISTS", 11)
    sparse = hp.LogLinear(**settings).fit(table)
    assert "p_captures" in sparse.details["goodness_of_fit"]  # the other route was taken
    assert sparse.n_hat == pytest.approx(dense.n_hat, rel=1e-9)
    assert (sparse.status, sparse.details["model"]) == (dense.status, dense.details["model"])
    assert [x.message for x in sparse.diagnostics if x.name.startswith("fixed")] == [
        x.message for x in dense.diagnostics if x.name.startswith("fixed")
    ]
    assert (sparse.interval.low, sparse.interval.high) == pytest.approx(
        (dense.interval.low, dense.interval.high), rel=1e-7
    )
    assert sparse.interval.method == dense.interval.method
    for name in ("deviance", "n0_standard_error"):
        assert sparse.details[name] == pytest.approx(dense.details[name], rel=1e-7)
    assert sparse.details["criteria"] == pytest.approx(dense.details["criteria"], rel=1e-9)
    assert (
        sparse.details["goodness_of_fit"]["df"]
        == 2**12 - 1 - sparse.details["coefficients"]["estimate"].map(np.isfinite).sum()
    )
    wanted, found = dense.details["coefficients"], sparse.details["coefficients"]
    assert found["term"].tolist() == wanted["term"].tolist()
    for column in ("estimate", "standard_error"):
        assert found[column].to_numpy() == pytest.approx(wanted[column].to_numpy(), rel=1e-6, nan_ok=True)
    if profile is not None:
        other = hp.LogLinear(**settings).hidden_profile(table)
        assert other.deviance_at(5_000.0) == pytest.approx(profile.deviance_at(5_000.0), rel=1e-9)


@pytest.mark.parametrize("model", ["Mt", "Mth"])
def test_the_bias_correction_of_many_lists_is_the_dense_one_on_twelve(monkeypatch, model):
    table = narrowed(drawn(20), 12)
    estimator = hp.ClosedPopulation(model=model, bias_corrected=True, interval="lognormal")
    dense = estimator.fit(table)
    monkeypatch.setattr("hiddenpop.estimators.prepare.MAX_DENSE_LISTS", 11)
    sparse = estimator.fit(table)
    assert "p_captures" in sparse.details["goodness_of_fit"]
    assert sparse.n_hat == pytest.approx(dense.n_hat, rel=1e-9)
    assert sparse.interval.high == pytest.approx(dense.interval.high, rel=1e-7)
    assert sparse.interval.method == dense.interval.method
    assert [x.message for x in sparse.diagnostics] == [x.message for x in dense.diagnostics]


def test_the_bias_correction_of_few_persons_takes_the_limits_of_the_likelihood():
    names = [f"list {i + 1}" for i in range(20)]
    persons = [[name] for name in names] * 3 + [names[:2]]
    few = hp.CaptureTable.from_memberships(persons, lists=names, public=True)
    corrected = hp.ClosedPopulation(model="Mt", bias_corrected=True, interval="lognormal").fit(few)
    assert corrected.interval.method.endswith("(too few persons for log-normal limits)")
    assert corrected.interval.low <= corrected.n_hat <= corrected.interval.high


def test_the_panel_gives_what_it_can(occasions):
    panel = hp.estimate(occasions, rng=1)
    assert panel.labels == ("independence", "lower bound")
    assert set(panel.left_out) | set(panel.labels) == set(hp.standard_panel(occasions))
    assert all("at most 16 lists" in reason for reason in panel.left_out.values())
