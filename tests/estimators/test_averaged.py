"""`AveragedLogLinear`: the mixture over models by two routes, its weights, its modes, and what it leaves out."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom, norm
from tests.contract.cases import SPARSE, quietly, table_of

from hiddenpop import AveragedLogLinear, LogLinear, SelectedLogLinear, datasets
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.estimators import averaged
from hiddenpop.estimators.averaged import Mixture
from hiddenpop.estimators.prepare import list_counts
from hiddenpop.model import HierarchicalModel

TABLES = ("kosovo", "australia", "korea", "artificial_3")


def spread_of(n0, error):
    """Standard deviation of the log dark figure with Poisson variation in it: tau^2 = var(log n0) + 1 / n0."""
    return error / n0


def components(estimate, table, smallest=1e-9):
    """Weight, centre and spread of each model, from a fit of that model alone."""
    selection = estimate.details["selection"]
    rows = selection[selection["weight"] > smallest]
    fits = [LogLinear(model=model).fit(table) for model in rows["model"]]
    n0 = np.array([one.n_hidden for one in fits])
    error = np.array([one.details["n0_standard_error"] for one in fits])
    return rows["weight"].to_numpy(), np.log(n0), spread_of(n0, error)


def share_below(n0, weights, centres, spreads):
    return float(weights @ norm.cdf((math.log(n0) - centres) / spreads))


@pytest.mark.parametrize("criterion", ["bic", "aicc"])
@pytest.mark.parametrize("name", TABLES)
def test_the_limits_cut_off_the_tails_of_the_mixture(name, criterion):
    table = datasets.load(name)
    estimate = AveragedLogLinear(criterion=criterion, level=0.9).fit(table)
    mixture = components(estimate, table)
    n = table.n_observed
    assert share_below(estimate.interval.low - n, *mixture) == pytest.approx(0.05, abs=2e-6)
    assert share_below(estimate.n_hat - n, *mixture) == pytest.approx(0.5, abs=2e-6)
    assert share_below(estimate.interval.high - n, *mixture) == pytest.approx(0.95, abs=2e-6)


def test_quantiles_are_those_of_draws_from_the_mixture():
    table = datasets.load("uk_5")
    estimate = AveragedLogLinear(max_order=2).fit(table)
    weights, centres, spreads = components(estimate, table, smallest=1e-5)
    assert weights.sum() > 0.999
    rng, size = np.random.default_rng(20260117), 50_000
    model = rng.choice(len(weights), size=size, p=weights / weights.sum())
    draws = table.n_observed + np.exp(rng.normal(centres[model], spreads[model]))
    for limit, share in (
        (estimate.interval.low, 0.025),
        (estimate.n_hat, 0.5),
        (estimate.interval.high, 0.975),
    ):
        below = int((draws < limit).sum())
        assert binom.cdf(below, size, share) > 1e-5
        assert binom.sf(below - 1, size, share) > 1e-5


def test_quantiles_are_those_of_the_integrated_density():
    mixture = Mixture(np.array([0.3, 0.7]), np.array([2.0, 4.0]), np.array([0.5, 0.1]))

    def density(x):
        return float(mixture.weights @ norm.pdf(x, mixture.centres, mixture.spreads))

    for share in (0.01, 0.2, 0.31, 0.5, 0.99):
        at = math.log(mixture.quantile(share))
        mass = quad(density, -5.0, at, points=[2.0, min(4.0, at)], limit=200)[0]
        assert mass == pytest.approx(share, abs=1e-8)


def test_weights_follow_the_criterion_and_add_up_to_one():
    estimate = AveragedLogLinear(criterion="aic").fit(datasets.load("kosovo"))
    selection = estimate.details["selection"]
    assert selection["weight"].sum() == pytest.approx(1.0, abs=1e-12)
    ratio = selection["weight"] / selection["weight"].iloc[0]
    by_hand = np.exp(-(selection["aic"] - selection["aic"].iloc[0]) / 2)
    assert ratio.to_numpy() == pytest.approx(by_hand.to_numpy(), rel=1e-10)
    assert len(selection) == estimate.details["n_models"] == 113


@pytest.mark.parametrize("count", ["all", "rank"])
@pytest.mark.parametrize("admissible", ["finite", "exists"])
def test_models_without_an_admissible_answer_have_no_weight_and_are_told(admissible, count):
    table = datasets.load("australia")
    estimate = AveragedLogLinear(criterion="aic", admissible=admissible, count=count).fit(table)
    selection = estimate.details["selection"]
    raw = np.exp(-(selection["aic"] - selection["aic"].min()) / 2)
    lost = raw[selection["weight"] == 0].sum() / raw.sum()
    assert estimate.details["inadmissible_weight"] == pytest.approx(lost, rel=1e-9)
    entering = ["ok", "boundary"] if admissible == "finite" else ["ok"]
    assert (selection.loc[~selection["status"].isin(entering), "weight"] == 0).all()
    warned = {d.name: d.value for d in estimate.diagnostics if d.name == "inadmissible_weight"}
    assert warned == ({"inadmissible_weight": pytest.approx(lost)} if lost > 0.05 else {})


def test_the_existence_test_takes_weight_from_models_whose_answer_is_finite():
    table = datasets.load("australia")
    finite, exists = (
        AveragedLogLinear(criterion="aic", admissible=word).fit(table) for word in ("finite", "exists")
    )
    assert exists.details["inadmissible_weight"] > 0.5 > finite.details["inadmissible_weight"]
    assert finite.details["selection"].set_index("model").loc["[234,12]", "weight"] > 0.2
    assert exists.details["selection"].set_index("model").loc["[234,12]", "weight"] == 0.0


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("name", ["kosovo", "korea", "uk"])
def test_a_space_of_one_model_gives_its_lognormal_interval(name, level):
    table = datasets.load(name)
    estimate = AveragedLogLinear(max_order=1, level=level).fit(table)
    alone = LogLinear().fit(table)
    spread = spread_of(alone.n_hidden, alone.details["n0_standard_error"]) * norm.isf((1 - level) / 2)
    assert estimate.n_hat == pytest.approx(alone.n_hat, rel=1e-6)
    assert estimate.details["weighted_mean"] == pytest.approx(alone.n_hat, rel=1e-6)
    assert estimate.interval.low == pytest.approx(
        table.n_observed + alone.n_hidden * math.exp(-spread), rel=1e-6
    )
    assert estimate.interval.high == pytest.approx(
        table.n_observed + alone.n_hidden * math.exp(spread), rel=1e-6
    )
    assert estimate.interval.method == "mixture over models, on models to order 1"


def test_the_two_modes_of_the_uk_table_are_shown_and_not_averaged_away():
    estimate = AveragedLogLinear(criterion="bic").fit(datasets.load("uk_5"))
    modes = sorted(estimate.details["modes"], key=lambda mode: mode["n"])
    assert len(modes) == 2
    assert 11_000 < modes[0]["n"] < 13_000
    assert 23_000 < modes[1]["n"] < 26_500
    assert sum(mode["share"] for mode in modes) == pytest.approx(1.0, abs=1e-9)
    assert estimate.interval.low < modes[0]["n"] < modes[1]["n"] < estimate.interval.high
    told = next(d for d in estimate.diagnostics if d.name == "several_modes")
    assert told.level == "warning"
    written = (f"{estimate.persons_in_words(mode['n'])} ({mode['share']:.0%})" for mode in modes)
    assert all(text in told.message for text in written)


def test_order_two_of_the_uk_table_has_the_same_two_modes():
    modes = sorted(
        mode["n"]
        for mode in AveragedLogLinear(criterion="bic", max_order=2)
        .fit(datasets.load("uk_5"))
        .details["modes"]
    )
    assert modes == pytest.approx([12_100, 23_700], rel=0.05)


def test_the_weighted_mean_is_the_mean_of_the_estimates():
    table = datasets.load("kosovo")
    estimate = AveragedLogLinear().fit(table)
    selection = estimate.details["selection"]
    used = selection[selection["weight"] > 0]
    assert estimate.details["weighted_mean"] == pytest.approx(
        (used["weight"] * used["n_hat"]).sum(), rel=1e-6
    )


# --- modes of a mixture -----------------------------------------------------------------------------------------------


def mixture(*parts):
    weights, centres, spreads = np.array(parts, dtype=float).T
    return Mixture(weights, centres, spreads)


def test_one_component_has_one_mode_where_it_is():
    assert mixture((1.0, 3.0, 0.2)).modes() == [(pytest.approx(math.exp(3.0), rel=1e-3), pytest.approx(1.0))]


def test_two_components_apart_have_two_modes_with_their_weights():
    found = mixture((0.25, 1.0, 0.2), (0.75, 5.0, 0.3)).modes()
    assert [n0 for n0, _ in found] == pytest.approx([math.exp(5.0), math.exp(1.0)], rel=1e-2)
    assert [share for _, share in found] == pytest.approx([0.75, 0.25], abs=1e-3)


def test_two_components_close_together_have_one_mode():
    assert len(mixture((0.5, 3.0, 0.5), (0.5, 3.4, 0.5)).modes()) == 1


@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-7])
def test_narrow_components_far_apart_are_not_lost_between_points(spread):
    found = mixture((0.4, 10.0, spread), (0.6, 29.0 + 1 / 7, spread)).modes()
    assert [n0 for n0, _ in found] == pytest.approx(
        [math.exp(29.0 + 1 / 7), math.exp(10.0)], rel=max(3 * spread, 1e-6)
    )


def test_a_wide_component_does_not_hide_a_narrow_one():
    found = mixture((0.5, 0.0, 25.0), (0.5, 7.0, 0.01)).modes()
    assert found[0][0] == pytest.approx(math.exp(7.0), rel=0.05)


# --- when there is little or nothing to average -----------------------------------------------------------------------


def test_without_any_admissible_model_there_is_a_status_and_no_number():
    estimate = AveragedLogLinear().fit(table_of((0, 10, 20, 0), "ab"))
    assert estimate.status == "unbounded"
    assert estimate.n_hat == math.inf
    assert "the likelihood keeps rising as the dark figure grows" in estimate.reason


def test_aicc_of_fewer_persons_than_parameters_gives_a_status_and_no_nan():
    table = table_of((0, 1, 1, 1, 0, 0, 0, 0), "abc")
    estimate = quietly(AveragedLogLinear(criterion="aicc").fit, table)
    assert estimate.status in {"ok", "boundary", "unbounded", "not_identified"}
    weights = estimate.details["selection"]["weight"]
    assert np.isfinite(weights).all()


@pytest.mark.parametrize("counts", [(0, 5, 5, 10_000), (0, 1, 1, 1000), (0, 1, 1, 10**12)])
def test_a_dark_figure_below_one_person_has_no_monstrous_upper_limit(counts):
    estimate = AveragedLogLinear().fit(table_of(counts, "ab"))
    other = LogLinear(interval="lognormal").fit(table_of(counts, "ab"))
    assert estimate.n_hat == pytest.approx(other.n_hat, rel=1e-9)
    assert estimate.interval.high <= sum(counts) + 1000


def test_a_sparse_table_is_averaged_over_what_is_finite_or_at_the_boundary():
    estimate = AveragedLogLinear().fit(table_of(SPARSE, "abc"))
    selection = estimate.details["selection"]
    assert estimate.status == "ok"
    assert ((selection["weight"] > 0) == selection["status"].isin(["ok", "boundary"])).all()


def test_seven_lists_are_refused_with_the_size_of_the_space():
    with pytest.raises(CapabilityError, match="8 lists have 268,435,456 hierarchical models up to order 2"):
        AveragedLogLinear().fit(datasets.load("new_orleans_185"))


@pytest.mark.parametrize("max_order", [0, -1, 1.5, "2", True, math.inf])
def test_an_impossible_order_is_refused(max_order):
    with pytest.raises(SettingError, match=r"max_order=.* must be a whole number of at least 1"):
        AveragedLogLinear(max_order=max_order)


def test_the_average_lies_between_the_models_it_averages():
    table = datasets.load("rome_hiv")
    estimate = AveragedLogLinear(criterion="aic").fit(table)
    heavy = estimate.details["selection"].query("weight > 0.001")
    assert heavy["n_hat"].min() < estimate.n_hat < heavy["n_hat"].max()
    best = SelectedLogLinear(criterion="aic").fit(table)
    assert estimate.interval.width > best.interval.width


@pytest.mark.parametrize("name", ["kosovo", "uk_5", pytest.param("western_us", marks=pytest.mark.slow)])
def test_the_exact_search_agrees_with_all_models_up_to_the_weight_outside(name):
    table = datasets.load(name)
    all_models = AveragedLogLinear().fit(table)
    near = AveragedLogLinear(search="exact", outside=1e-6).fit(table)
    assert 0 < near.details["outside"] <= 1e-6
    assert near.n_hat == pytest.approx(all_models.n_hat, rel=1e-5)
    assert near.interval.low == pytest.approx(all_models.interval.low, rel=1e-5)
    assert near.interval.high == pytest.approx(all_models.interval.high, rel=1e-5)
    # The bound holds for the true weight outside, measured on the full list of models.
    listed = set(near.details["selection"]["model"])
    whole = all_models.details["selection"]
    outside = whole.loc[~whole["model"].isin(listed), "weight"].sum()
    assert outside / whole["weight"].max() <= near.details["outside"]


def test_a_window_that_is_not_covered_gives_no_number():
    estimate = AveragedLogLinear(search="exact", max_fits=10).fit(datasets.load("uk_5"))
    assert estimate.status == "not_converged"
    assert math.isnan(estimate.n_hat)
    assert "raise max_fits" in estimate.reason
    assert not estimate.details["proof"].finished


def test_the_exact_search_counts_every_nominal_parameter():
    with pytest.raises(SettingError, match='search="exact" bounds the penalty by every nominal parameter'):
        AveragedLogLinear(search="exact", count="rank")


def test_modes_of_very_many_models_fit_in_memory():
    """Two clusters of 20,000 equal models: two modes, without a table of all points by all models."""
    centres = np.repeat([5.0, 8.0], 10_000)
    mixture = Mixture(np.full(20_000, 1 / 20_000), centres, np.full(20_000, 0.2))
    tracemalloc.start()
    modes = mixture.modes()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sorted((round(np.log(n), 2), round(share, 2)) for n, share in modes) == [(5.0, 0.5), (8.0, 0.5)]
    assert peak < 200e6


# --- models at the boundary -------------------------------------------------------------------------------------------

BOUNDARY = np.array([0.0, 174, 109, 6, 77, 1, 1, 0])
"""Drawn with 6,000 persons; with all pairs, which is true, the data push the dark figure to 0."""


def test_a_model_at_the_boundary_alone_has_the_limits_of_its_likelihood():
    data = list_counts(table_of(BOUNDARY, "abc"), estimator="averaged")
    model = HierarchicalModel.parse("[12,13,23]", n_lists=3)
    component = averaged._boundary_part(model.term_set, 1.0, data)
    mixture = Mixture(np.zeros(1), np.zeros(1), np.ones(1), (component,))
    for level in (0.5, 0.8, 0.95):
        alone = LogLinear(model=model, level=level).fit(table_of(BOUNDARY, "abc"))
        assert (alone.status, alone.interval.low) == ("boundary", 368)
        assert mixture.quantile((1 + level) / 2) == pytest.approx(alone.interval.high - 368, rel=0.02)
        assert mixture.quantile((1 - level) / 2) == 0.0


def test_models_at_the_boundary_enter_with_their_weight_and_raise_the_upper_limit():
    # Strongly dependent pairs: only all of them together fit, and that model is at the boundary.
    table = table_of(np.array([0.0, 60, 50, 60, 40, 50, 40, 0]), "abc")
    estimate = AveragedLogLinear().fit(table)
    selection = estimate.details["selection"].set_index("model")
    assert selection.loc["[12,13,23]", "status"] == "boundary"
    share = selection.loc["[12,13,23]", "weight"]
    assert share > 0.5
    assert estimate.details["boundary_weight"] == pytest.approx(share)
    assert estimate.details["inadmissible_weight"] == pytest.approx(0.0, abs=1e-12)
    assert "boundary_weight" in {remark.name for remark in estimate.diagnostics}
    assert estimate.interval.low == estimate.n_observed
    assert (estimate.n_hat, estimate.status) == (estimate.n_observed, "boundary")
    # Its tail is that of its own interval, as far as it has the weight.
    alone = LogLinear(model="[12,13,23]", level=1 - 0.05 / share).fit(table).interval
    assert estimate.interval.high == pytest.approx(alone.high, rel=0.02)


def test_the_existence_test_leaves_models_at_the_boundary_out_and_says_so():
    estimate = AveragedLogLinear(admissible="exists").fit(table_of(BOUNDARY, "abc"))
    assert estimate.details["boundary_weight"] == 0.0
    assert estimate.details["inadmissible_weight"] > 0.03


def test_the_median_of_a_resample_is_that_of_the_whole_answer():
    table = table_of(np.array([0.0, 60, 50, 6, 40, 5, 4, 0]), "abc")
    data = list_counts(table, estimator="averaged")
    assert AveragedLogLinear().median(data) == pytest.approx(AveragedLogLinear().fit(table).n_hat)
