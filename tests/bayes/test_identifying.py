import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, loggamma, norm, poisson
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes.identifying import IdentifiedPosterior, sweep_prior_count, sweep_xi
from hiddenpop.errors import (
    CapabilityError,
    CollapsedStrataWarning,
    EmptyListWarning,
    SettingError,
    UnknownNameError,
)
from hiddenpop.kernels.bayes import odds
from hiddenpop.kernels.bayes.odds import CellShapes, cell_shapes, log_gamma_draws, missing, ratio_draws
from hiddenpop.result import Estimate
from hiddenpop.table import CaptureTable, Coverage
from hiddenpop.validation import Calibration
from hiddenpop.validation.calibration import position

TWO = (0, 400_000_000, 300_000_000, 200_000_000)
THREE = (0, 62_000, 45_000, 21_000, 38_000, 14_000, 11_000, 9_000)
FULL = (0, 62, 45, 21, 38, 14, 11, 9)
EMPTY_EVEN = (0, 62, 45, 0, 38, 14, 11, 9)
EMPTY_ODD = (0, 62, 0, 21, 38, 14, 11, 9)
# Few on lists 0 and 1 alone, many on both, and many on list 2 only.
CONTRADICTION = (0, 10, 10, 50, 100, 2, 2, 20)


def fit(counts, rng=1, **settings):
    return IdentifiedPosterior(**{"n_draws": 4000, **settings}).fit(table_of(counts), rng=rng)


def names(estimate):
    return {diagnostic.name for diagnostic in estimate.diagnostics}


def message(estimate, name):
    return next(d.message for d in estimate.diagnostics if d.name == name)


# --- the draws --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [1e-3, 0.3, 1.0, 7.5])
def test_log_gamma_draws_follow_the_log_gamma_distribution(shape):
    drawn = log_gamma_draws(shape, 4000, np.random.default_rng(4))
    assert kstest(drawn, loggamma(shape).cdf).pvalue > 0.001
    assert kstest(drawn, loggamma(1.2 * shape).cdf).pvalue < 0.001


def test_poisson_quantiles_are_exact():
    rng = np.random.default_rng(2)
    mean, share = np.exp(rng.uniform(-8, 13.8, 500)), rng.random(500)
    found = odds._poisson_quantile(share, mean)
    assert found.tolist() == poisson.ppf(share, mean).tolist()
    edges = odds._poisson_quantile(
        np.array([0.0, 0.5, 0.5, 1.0 - 2**-53]), np.array([9.0, 0.0, math.inf, 1e-9])
    )
    assert edges.tolist() == [0.0, 0.0, math.inf, 1.0]


def test_poisson_quantiles_of_large_means_lie_within_a_person():
    share, mean = np.array([1e-4, 0.02, 0.5, 0.999]), np.full(4, 2e6)
    found = odds._poisson_quantile(share, mean)
    assert np.abs(found - poisson.ppf(share, mean)).max() <= 1.0


def test_cells_stand_above_and_below_the_line_by_the_number_of_lists():
    shapes = cell_shapes(range(8), 0.5, others=True)
    assert shapes.odd.tolist() == [1.5, 2.5, 4.5, 7.5]
    assert shapes.even.tolist() == [3.5, 5.5, 6.5]
    assert shapes.other == 0.5
    assert cell_shapes(range(8), 0.5, others=False).other == 0.0


# --- two routes to one number -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("odds_ratio", [0.25, 1.0, 3.0])
def test_two_lists_give_petersen_with_an_odds_ratio(odds_ratio):
    estimate = fit(TWO, xi=1.0 / odds_ratio)
    _, first, second, both = TWO
    assert estimate.n_hat == pytest.approx(sum(TWO) + odds_ratio * first * second / both, rel=1e-4)
    if odds_ratio == 1.0:
        petersen = hp.LincolnPetersen().fit(table_of(TWO)).n_hat
        assert estimate.n_hat == pytest.approx(petersen, rel=1e-4)
        assert estimate.interval.width < 1e-3 * petersen


def agrees_with_the_likelihood(counts, model):
    """Whether draws of N centre on a fitted model, and spread as the delta method and Poisson variation say."""
    drawn = fit(counts, n_draws=40_000).draws
    fitted = hp.LogLinear(model=model, interval="wald").fit(table_of(counts))
    limits = [fitted.interval.low - fitted.n_observed, fitted.interval.high - fitted.n_observed]
    log_error = math.log(limits[1] / limits[0]) / (2 * norm.isf(0.025))
    error = math.hypot(log_error * fitted.n_hidden, math.sqrt(fitted.n_hidden))
    # Of 40,000 draws: 5 standard errors of the median and of the standard deviation.
    median_right = abs(np.median(drawn) - fitted.n_hat) < 5 * 1.25 * error / 200 + 1
    return median_right and abs(drawn.std() / error - 1.0) < 5 / math.sqrt(2 * 40_000)


TWO_ALIKE = (0, 100_000, 110_000, 90_000)


def test_two_and_three_lists_give_the_fit_without_the_highest_interaction():
    assert agrees_with_the_likelihood(THREE, "all-pairs")
    assert agrees_with_the_likelihood(TWO_ALIKE, "independence")


def expected_only(draws, log_xi):
    odds_of_hidden = np.exp(draws.log_ratio - log_xi)
    return odds_of_hidden, sum(TWO_ALIKE) * odds_of_hidden


def without_gamma(draws, log_xi):
    return missing(replace(draws, log_scale=np.full(len(draws.uniform), math.log(sum(TWO_ALIKE)))), log_xi)


def with_too_large_a_prior(counts, prior, others):
    return cell_shapes(counts, prior + 200, others=others)


def with_two_cells_exchanged(counts, prior, others):
    return cell_shapes(counts[[0, 1, 2, 7, 4, 5, 6, 3]], prior, others=others)


@pytest.mark.parametrize(
    ("where", "wrong", "counts", "model"),
    [
        ("missing", expected_only, TWO_ALIKE, "independence"),
        ("missing", without_gamma, TWO_ALIKE, "independence"),
        ("cell_shapes", with_too_large_a_prior, THREE, "all-pairs"),
        ("cell_shapes", with_two_cells_exchanged, THREE, "all-pairs"),
    ],
)
def test_the_check_against_the_likelihood_finds_a_fault(where, wrong, counts, model, monkeypatch):
    monkeypatch.setattr(f"hiddenpop.bayes.identifying.{where}", wrong)
    assert not agrees_with_the_likelihood(counts, model)


def test_xi_is_the_highest_interaction_with_the_sign_of_the_number_of_lists():
    for n_lists in (2, 3, 4):
        rng = np.random.default_rng(n_lists)
        terms = rng.normal(0.0, 0.3, 1 << n_lists)
        terms[-1] = 0.7
        cells = np.arange(1 << n_lists)
        logs = np.array([terms[(cells & cell) == cells].sum() for cell in cells])
        people = np.round(1e9 * np.exp(logs) / np.exp(logs).sum())
        xi = math.exp(0.7 if n_lists % 2 else -0.7)
        found = fit([0, *people[1:]], xi=xi)
        assert found.n_hidden == pytest.approx(people[0], rel=0.005)
        assert fit([0, *people[1:]], xi=1.0 / xi).n_hidden == pytest.approx(people[0] * xi**2, rel=0.005)


def four_lists():
    """Three lists without their highest interaction, and a fourth that catches some histories more often."""
    three = np.array([30.0, 20.0, 15.0, 15.0, 12.0, 12.0, 9.0, 0.0]) * 1e7
    three[7] = three[3] * three[5] * three[6] * three[0] / (three[1] * three[2] * three[4])
    caught = np.array([0.4, 0.1, 0.3, 0.6, 0.5, 0.2, 0.7, 0.9])
    cells = np.round(np.concatenate([three * (1 - caught), three * caught]))
    return cells.sum(), [0, *cells[1:]]


def test_the_marginal_form_counts_those_seen_on_other_lists():
    truth, counts = four_lists()
    named = ("l0", "l1", "l2")
    estimate = fit(counts, assumption="marginal", lists=named)
    assert estimate.n_hat == pytest.approx(truth, rel=1e-3)
    assert estimate.details["contradicted"] == 0.0
    assert "on none of l0, l1, l2 by 1/xi" in message(estimate, "assumption")
    assert fit(counts).n_hat != pytest.approx(truth, rel=0.05)
    halved = fit(counts, assumption="marginal", lists=named, xi=2.0)
    on_none = truth - sum(counts) + counts[8]
    assert halved.n_hidden == pytest.approx(on_none / 2 - counts[8], rel=0.01)


def test_the_marginal_form_on_all_lists_is_the_other_assumption():
    one, other = fit(FULL), fit(FULL, assumption="marginal", lists=("l2", "l0", "l1"))
    assert one.draws.tobytes() == other.draws.tobytes()
    assert one.interval == other.interval


def test_a_pair_of_three_lists_gives_petersen_at_least_what_was_observed():
    estimate = fit(THREE, assumption="marginal", lists=("l0", "l1"))
    petersen = hp.LincolnPetersen(lists=("l0", "l1")).fit(table_of(THREE))
    assert estimate.n_hat == pytest.approx(petersen.n_hat, rel=0.01)
    assert estimate.interval.low == pytest.approx(petersen.interval.low, rel=0.01)


# --- draws that agree with nothing ------------------------------------------------------------------------------------


def test_draws_that_agree_with_no_size_are_counted():
    estimate = fit(CONTRADICTION, assumption="marginal", lists=("l0", "l1"), xi=0.0155)
    assert estimate.status == "ok"
    share = estimate.details["contradicted"]
    assert 0.05 < share < 0.5
    assert len(estimate.draws) == round(4000 * (1 - share))
    assert f"{share:.1%} of the draws" in message(estimate, "contradicted")
    assert estimate.draws.min() >= estimate.n_observed


@pytest.mark.parametrize(("xi", "is_empty"), [(0.03, False), (1e9, True)])
def test_a_table_that_contradicts_the_assumption_is_not_identified(xi, is_empty):
    estimate = fit(CONTRADICTION, assumption="marginal", lists=("l0", "l1"), xi=xi)
    assert estimate.status == "not_identified"
    assert "contradicts the assumption" in estimate.reason
    assert (len(estimate.draws) == 0) is is_empty
    assert "nan" not in estimate.summary()
    json.dumps(estimate.to_dict(), allow_nan=False)


# --- empty cells ------------------------------------------------------------------------------------------------------


def test_no_empty_cell_no_remark():
    estimate = fit(FULL)
    assert names(estimate) == {"assumption"}
    assert estimate.details["empty_share"] == 0.0
    assert estimate.ok


@pytest.mark.parametrize("counts", [EMPTY_EVEN, EMPTY_ODD])
def test_an_empty_cell_is_told_and_makes_most_of_the_spread(counts):
    estimate = fit(counts)
    assert "1 of 7 cells hold nobody" in message(estimate, "empty_cells")
    assert "sweep_prior_count" in message(estimate, "empty_cells")
    assert estimate.details["empty_share"] > 0.8
    narrow, wide = (fit(cells).details["ratio"] for cells in (FULL, counts))
    assert wide["high"] / wide["low"] > (narrow["high"] / narrow["low"]) ** 2


def test_empty_even_cells_push_up_and_empty_odd_cells_push_down():
    ratios = [fit(counts).details["ratio"]["median"] for counts in (EMPTY_ODD, FULL, EMPTY_EVEN)]
    assert ratios[0] < ratios[1] / 3
    assert ratios[2] > 3 * ratios[1]


def test_an_answer_that_the_prior_sets_is_no_answer():
    estimate = fit(EMPTY_EVEN)
    assert estimate.status == "not_identified"
    assert "the prior" in estimate.reason
    assert math.isnan(estimate.n_hat)
    assert estimate.interval.high > 100 * estimate.interval.low
    shown = estimate.details["quantiles"].set_index("share")["n"]
    assert shown[0.5] == np.quantile(estimate.draws, 0.5, method="inverted_cdf")
    assert shown[0.975] == estimate.interval.high


def test_a_limit_too_far_to_tell_is_infinite_and_told():
    estimate = fit((0, 10, 20, 0, 15, 0, 0, 0))
    assert estimate.interval.high == math.inf
    assert "no_upper_limit" in names(estimate)
    assert math.isfinite(estimate.details["quantiles"]["n"].iloc[-1])


def test_a_median_too_far_to_tell_is_unbounded():
    # Every cell is full, and the odds multiplied until no table could tell.
    estimate = fit(FULL, xi=1e-9)
    assert (estimate.status, estimate.n_hat, estimate.interval.high) == ("unbounded", math.inf, math.inf)
    assert "beyond 8.12e+06" in estimate.reason
    assert estimate.interval.low <= 201**3


def test_nobody_hidden_is_the_boundary():
    estimate = fit((0, 0, 0, 50))
    assert (estimate.status, estimate.n_hat) == ("boundary", 50.0)
    assert fit(FULL, xi=1e6).status == "boundary"


def test_a_small_prior_count_reaches_past_every_number():
    estimate = fit((0, 10, 20, 0), prior_count=1e-6)
    assert np.isinf(estimate.draws).mean() > 0.9
    assert estimate.status in {"unbounded", "not_identified"}
    json.dumps(estimate.to_dict(), allow_nan=False)


# --- the estimate -----------------------------------------------------------------------------------------------------


def test_the_default_prior_count_centres_on_the_observed_ratio():
    observed = 62 * 45 * 38 * 9 / (21 * 14 * 11) / sum(FULL)
    found = np.log(fit(FULL, n_draws=40_000).details["ratio"]["median"])
    # Eight standard errors of the median of 40,000 draws whose standard deviation is 0.6.
    assert found == pytest.approx(math.log(observed), abs=0.03)
    assert np.log(fit(FULL, n_draws=40_000, prior_count=5.0).details["ratio"]["median"]) != pytest.approx(
        math.log(observed), abs=0.03
    )


def test_one_over_the_cells_is_a_prior_count():
    one, other = fit(FULL, prior_count="1/cells"), fit(FULL, prior_count=1 / 7)
    assert one.draws.tobytes() == other.draws.tobytes()
    assert one.details["prior_count"] == 1 / 7


def test_draws_are_whole_persons_at_or_above_the_number_observed():
    estimate = fit((0, 3, 4, 9))
    assert len(estimate.draws) == 4000
    assert (estimate.draws == np.round(estimate.draws)).all()
    assert estimate.draws.min() >= 16
    assert estimate.n_hat in estimate.draws
    assert estimate.interval.low in estimate.draws
    below = (estimate.draws < estimate.interval.low).mean()
    assert below <= 0.025 < (estimate.draws <= estimate.interval.low).mean()


def test_the_interval_names_the_assumption():
    assert fit(FULL).interval.method == "equal-tailed posterior, no highest-order interaction"
    assert fit(FULL, xi=2).interval.method.endswith("highest-order interaction of xi=2")
    of_pair = fit(FULL, assumption="marginal", lists=["l0", "l1"])
    assert of_pair.interval.method.endswith("no highest-order interaction in the table of l0, l1")
    by_prior = fit(FULL, xi=("lognormal", 1.5, 0.2)).interval.method
    assert by_prior.endswith("by a prior, xi log-normal around 1.5 with sd 0.2")


def test_a_prior_of_xi_widens_the_posterior():
    fixed, narrow, wide = (
        fit(FULL, xi=xi) for xi in (2.0, ("lognormal", 2.0, 1e-9), ("lognormal", 2.0, 1.0))
    )
    assert narrow.draws.tolist() == fixed.draws.tolist()
    spreads = [np.log(e.draws - e.n_observed).std() for e in (fixed, wide)]
    assert spreads[1] == pytest.approx(math.hypot(spreads[0], 1.0), rel=0.05)
    assert wide.details["multiplier"] == 0.5


def test_equal_seeds_give_equal_bytes():
    one, again, other = (fit(FULL, rng=seed) for seed in (5, 5, 6))
    assert one.draws.tobytes() == again.draws.tobytes() != other.draws.tobytes()
    assert json.dumps(one.to_dict()) == json.dumps(again.to_dict())


def test_the_order_of_the_lists_changes_no_draw():
    frame = table_of(FULL).to_frame()
    moved = CaptureTable.from_counts(frame, lists=["l2", "l0", "l1"])
    for settings in ({}, {"assumption": "marginal", "lists": ("l2", "l1")}):
        estimator = IdentifiedPosterior(**settings, n_draws=500)
        one, other = (estimator.fit(table, rng=3) for table in (table_of(FULL), moved))
        assert one.draws.tobytes() == other.draws.tobytes()


def test_arviz_holds_the_draws():
    estimate = fit(FULL, xi=("lognormal", 1.0, 0.5))
    posterior = estimate.details["idata"].posterior
    assert posterior["N"].to_numpy().ravel().tolist() == estimate.draws.tolist()
    shares = posterior["hidden_share"].to_numpy().ravel()
    assert np.quantile(shares, 0.5, method="inverted_cdf") == estimate.details["hidden_share"]["median"]
    assert np.log(posterior["xi"].to_numpy()).std() == pytest.approx(0.5, rel=0.1)


def test_an_estimate_can_be_written_read_and_pickled():
    estimate = fit(FULL, xi=("lognormal", 1.0, 0.5), assumption="marginal", lists=["l0", "l2"])
    data = json.loads(json.dumps(estimate.to_dict(), allow_nan=False))
    assert "idata" not in data["details"]
    assert json.loads(json.dumps(Estimate.from_dict(data).to_dict())) == data
    assert IdentifiedPosterior(**data["estimator"]["settings"]) == IdentifiedPosterior(
        n_draws=4000, xi=("lognormal", 1.0, 0.5), assumption="marginal", lists=("l0", "l2")
    )
    assert pickle.loads(pickle.dumps(estimate)).draws.tobytes() == estimate.draws.tobytes()


def test_a_private_table_lets_no_exact_figure_out(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    details = fit(FULL).to_dict()["details"]
    for name in ("contradicted", "empty_share", "hidden_share", "quantiles", "ratio"):
        assert details[name] == "<10"
    shown = (
        [row["count"] for row in details["cells"]]
        if isinstance(details["cells"], list)
        else details["cells"]["count"]
    )
    assert 9 not in shown
    assert 62 in shown


def test_cells_say_on_which_side_they_stand():
    cells = fit(FULL).details["cells"]
    assert cells["count"].tolist() == list(FULL[1:])
    assert cells["side"].tolist() == ["above", "above", "below", "above", "below", "below", "above"]
    assert cells.loc[2, ["l0", "l1", "l2"]].tolist() == [1, 1, 0]


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"xi": 0}, "xi=0 must be a number above 0"),
        ({"xi": -1.0}, "xi=-1.0 must be a number above 0"),
        ({"xi": math.nan}, "xi=nan must be"),
        ({"xi": math.inf}, "xi=inf must be"),
        ({"xi": True}, "xi=True must be"),
        ({"xi": "one"}, "xi='one' must be"),
        ({"xi": (0.5, 1.0)}, "for several values use sweep_xi"),
        ({"xi": ("normal", 1.0, 1.0)}, "must be a number above 0 or"),
        ({"xi": ("lognormal", 0.0, 1.0)}, "the median of xi=0.0 must be"),
        ({"xi": ("lognormal", 1.0, -1.0)}, "the sd of log xi=-1.0 must be a number above 0; give a fixed xi"),
        (
            {"assumption": "independence"},
            "assumption='independence' is not one of 'no_highest_order', 'marginal'",
        ),
        ({"lists": ("a", "b")}, 'goes with assumption="marginal"'),
        ({"assumption": "marginal", "lists": ("a",)}, "must name two or more different lists"),
        ({"assumption": "marginal", "lists": ("a", "a")}, "must name two or more different lists"),
        ({"assumption": "marginal", "lists": "ab"}, "must name two or more different lists"),
        ({"assumption": "marginal", "lists": ("a", 1)}, "must name two or more different lists"),
        ({"prior_count": 0}, "prior_count=0 must be a number from 1e-06"),
        ({"prior_count": "few"}, "prior_count='few' must be"),
        ({"prior_count": True}, "prior_count=True must be"),
        ({"n_draws": 99}, "n_draws=99 must be a whole number of at least 100"),
        ({"level": 1.0}, "level=1.0"),
    ],
)
def test_an_impossible_setting_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        IdentifiedPosterior(**settings)


def test_lists_that_are_not_there_are_refused():
    with pytest.raises(UnknownNameError, match=r"no such list; did you mean 'l1'.*it has l0, l1, l2"):
        fit(FULL, assumption="marginal", lists=("l0", "l11"))
    with pytest.raises(CapabilityError, match=r"about some lists.*has 3: l0, l1, l2; name two or more"):
        fit(FULL, assumption="marginal")
    with (
        pytest.warns(EmptyListWarning, match="l1 caught nobody"),
        pytest.raises(CapabilityError, match="lists names 'l1', which caught nobody"),
    ):
        fit((0, 40, 0, 0, 30, 8, 0, 0), assumption="marginal", lists=("l0", "l1"))


def test_two_lists_need_no_names():
    assert fit((0, 40, 30, 8), assumption="marginal").n_hat == fit((0, 40, 30, 8)).n_hat


def test_one_list_is_too_few_and_nine_are_too_many():
    with (
        pytest.warns(EmptyListWarning, match="l1 caught nobody"),
        pytest.raises(CapabilityError, match="at least 2 lists"),
    ):
        fit((0, 12, 0, 0))
    counts = np.random.default_rng(9).poisson(3, 512)
    with pytest.raises(CapabilityError, match=r"all 511 cells of 9 lists.*at most 8.*merge_lists"):
        fit(counts)
    assert fit(counts, assumption="marginal", lists=("l0", "l8"), xi=0.1, n_draws=100).n_observed == sum(
        counts[1:]
    )


def test_gaps_and_upper_bounds_are_refused():
    frame = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "region": list("nns"), "count": [4, 5, 6]})
    gaps = [Coverage("b", "region", ("n",))]
    table = CaptureTable.from_counts(frame.assign(b=[0, 1, 0]), strata=["region"], coverage=gaps, name="gaps")
    with pytest.raises(CapabilityError, match="b did not operate in every stratum of gaps"):
        IdentifiedPosterior().fit(table)
    with pytest.raises(CapabilityError, match="only an upper bound"):
        IdentifiedPosterior().fit(hp.datasets.load("scottish_pwid"))


def test_strata_are_added_up_with_a_warning():
    frame = pd.DataFrame({"a": [1, 0, 1] * 2, "b": [0, 1, 1] * 2, "sex": list("fffmmm"), "n": [9, 8, 3] * 2})
    table = CaptureTable.from_counts(frame, count="n", strata=["sex"])
    with pytest.warns(CollapsedStrataWarning, match="added up sex"):
        estimate = IdentifiedPosterior(n_draws=4000).fit(table, rng=1)
    assert estimate.n_hat == fit((0, 18, 16, 6)).n_hat


# --- sweeps -----------------------------------------------------------------------------------------------------------

SWEPT = ["multiplier", "median", "low", "high", "status", "contradicted"]


def test_a_sweep_gives_what_single_fits_give():
    table = table_of(FULL)
    base = IdentifiedPosterior(n_draws=1000, level=0.8)
    sweep = sweep_xi(table, [0.5, 1, 2.0], base=base, rng=4)
    assert sweep.columns.tolist() == ["xi", *SWEPT]
    assert sweep["multiplier"].tolist() == [2.0, 1.0, 0.5]
    for row in sweep.itertuples():
        single = replace(base, xi=row.xi).fit(table, rng=4)
        assert (row.median, row.low, row.high) == (single.n_hat, single.interval.low, single.interval.high)


def test_the_dark_figure_falls_with_every_step_of_xi():
    sweep = sweep_xi(table_of(THREE), np.geomspace(0.5, 2.0, 60), rng=8)
    for column in ("median", "low", "high"):
        assert sweep[column].is_monotonic_decreasing
    hidden = (sweep["median"] - sum(THREE)) / sweep["multiplier"]
    # The same draws throughout: only the Poisson step leaves the proportion, by about one over the root of n0.
    assert hidden.max() / hidden.min() < 1.005


def test_a_sweep_of_a_pair_counts_contradictions():
    base = IdentifiedPosterior(assumption="marginal", lists=("l0", "l1"), n_draws=1000)
    sweep = sweep_xi(table_of(CONTRADICTION), [0.005, 0.0155, 0.03, 1e9], base=base, rng=4)
    assert sweep["contradicted"].is_monotonic_increasing
    assert sweep["contradicted"].iloc[-1] == 1.0
    assert math.isnan(sweep["median"].iloc[-1])
    assert sweep["status"].iloc[-1] == "not_identified"


def test_a_sweep_refuses_before_the_first_draw():
    table = table_of(FULL)
    with pytest.raises(SettingError, match="xi=0 must be"):
        sweep_xi(table, [1.0, 0])
    with pytest.raises(SettingError, match=r"xi=.*must be a number"):
        sweep_xi(table, [("lognormal", 1.0, 1.0)])
    with pytest.raises(SettingError, match="prior_count=-1 must be"):
        sweep_prior_count(table, [0.5, -1])
    assert sweep_xi(table, []).empty
    assert sweep_prior_count(table, []).empty


def test_the_prior_count_decides_where_cells_are_empty_and_nowhere_else():
    counts = [0.1, 0.5, 1.0, "1/cells"]
    full, empty = (sweep_prior_count(table_of(cells), counts, rng=2) for cells in (THREE, EMPTY_EVEN))
    assert full.columns.tolist() == ["prior_count", *SWEPT]
    assert full["median"].max() < 1.01 * full["median"].min()
    assert empty["median"].max() > 5 * empty["median"].min()
    again = sweep_prior_count(table_of(THREE), counts, rng=np.random.default_rng(2))
    pd.testing.assert_frame_equal(full, again)


# --- calibration ------------------------------------------------------------------------------------------------------
# The prior 1/N is improper, but given n observed persons everything is proper: cell shares from the Dirichlet prior, n
# persons into the cells, and a negative binomial number of hidden. The true number must then rank evenly among draws.

REPLICATES, DRAWS = 400, 199
PRIOR_COUNT = 1.0


def one_truth(n, log_xi, others, rng):
    """Draw cell shares that agree with the assumption, the counts, and the true number hidden."""
    while True:
        cells = 3 + others
        shares = rng.dirichlet(np.full(cells, PRIOR_COUNT))
        other = shares[3] if others else 0.0
        found = shares[0] * shares[1] / shares[2] / math.exp(log_xi) - other
        if found > 0.0:
            break
    counts = rng.multinomial(n, shares)
    hidden = rng.poisson(min(rng.standard_gamma(n) * found, 1e15))
    return np.array([counts[3] if others else 0, *counts[:3]]), hidden


def calibration(posterior, others, seed):
    rng = np.random.default_rng(seed)
    found = np.empty(REPLICATES)
    for i in range(REPLICATES):
        n = int(rng.integers(5, 60))
        log_xi = rng.normal(0.3, 0.8)
        counts, hidden = one_truth(n, log_xi, others, rng)
        drawn = posterior(counts, n, log_xi, others, rng)
        found[i] = position(hidden, drawn[~np.isnan(drawn)], rng)
    return Calibration(positions=found)


def right(counts, n, log_xi, others, rng, prior=PRIOR_COUNT):
    shapes = cell_shapes(counts, prior, others=others)
    return missing(ratio_draws(shapes, n, DRAWS, rng), log_xi)[1]


def with_xi_upside_down(counts, n, log_xi, others, rng):
    return right(counts, n, -log_xi, others, rng)


def with_another_prior_count(counts, n, log_xi, others, rng):
    return right(counts, n, log_xi, others, rng, prior=10 * PRIOR_COUNT)


def with_shares_taken_as_known(counts, n, log_xi, others, rng):
    return right(counts * 1e6, n, log_xi, others, rng, prior=1e6 * PRIOR_COUNT)


def with_sides_exchanged(counts, n, log_xi, others, rng):
    return right(counts[[0, 3, 2, 1]], n, log_xi, others, rng)


def without_the_others(counts, n, log_xi, others, rng):
    shapes = cell_shapes(counts, PRIOR_COUNT, others=False)
    return missing(ratio_draws(shapes, n, DRAWS, rng), log_xi)[1]


def with_draws_floored(counts, n, log_xi, others, rng):
    return np.nan_to_num(right(counts, n, log_xi, others, rng), nan=0.0)


@pytest.mark.parametrize("others", [False, True])
def test_the_posterior_is_calibrated(others):
    assert calibration(right, others, [2024, others]).calibrated


@pytest.mark.parametrize(
    ("wrong", "others"),
    [
        (with_xi_upside_down, False),
        (with_another_prior_count, False),
        (with_shares_taken_as_known, False),
        (with_sides_exchanged, False),
        (without_the_others, True),
        (with_draws_floored, True),
    ],
)
def test_a_wrong_posterior_is_not_calibrated(wrong, others):
    assert not calibration(wrong, others, [2024, others]).calibrated


def test_sorted_shapes_are_those_of_the_record():
    shapes = CellShapes(np.array([1.5, 2.5]), np.array([3.5]), 0.0)
    drawn = ratio_draws(shapes, 10, 50, np.random.default_rng(1))
    assert np.isneginf(drawn.log_other).all()
    assert drawn.log_ratio.shape == (50,)
