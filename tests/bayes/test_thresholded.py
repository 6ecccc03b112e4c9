import json
import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import gamma, norm
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes import thresholded
from hiddenpop.bayes.thresholded import (
    LogLinearTask,
    ThresholdedLogLinear,
    draw_from_prior,
    problem_of,
    statistic,
)
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, EmptyListWarning, SettingError
from hiddenpop.kernels.bayes.loglinear_density import posterior_mode
from hiddenpop.table import CaptureTable

THREE = (0, 62_000, 45_000, 21_000, 38_000, 14_000, 11_000, 9_000)
SMALL = (0, 30, 22, 9, 15, 6, 4, 3)
NO_OVERLAP = (0, 10, 20, 0, 15, 0, 0, 0)
EVERYBODY = (0, 0, 0, 0, 0, 0, 0, 50)
PROPER = {"main_effect_sd": 1.5, "prior": ("negative_binomial", 300.0, 3.0), "threshold": 0.0}


def fit(counts, rng=1, **settings):
    return ThresholdedLogLinear(**{"n_draws": 2000, **settings}).fit(table_of(counts), rng=rng)


def names(estimate):
    return {diagnostic.name for diagnostic in estimate.diagnostics}


# --- two routes to one number -----------------------------------------------------------------------------------------


def agrees_with_the_likelihood():
    """Whether flat priors on large counts give the maximum of the likelihood and its standard error."""
    estimate = fit(THREE, threshold=0.0, prior_variance=None, n_draws=4000)
    fitted = hp.LogLinear(model="all-pairs", interval="wald").fit(table_of(THREE))
    limits = [fitted.interval.low - fitted.n_observed, fitted.interval.high - fitted.n_observed]
    log_error = math.log(limits[1] / limits[0]) / (2 * norm.isf(0.025))
    error = math.hypot(log_error * fitted.n_hidden, math.sqrt(fitted.n_hidden))
    drawn, effective = estimate.draws, estimate.details["convergence"]["ess_bulk"]
    median_right = abs(np.median(drawn) - fitted.n_hat) < 5 * 1.25 * error / math.sqrt(effective) + 1
    return median_right and abs(drawn.std() / error - 1.0) < 5 / math.sqrt(effective)


def test_flat_priors_give_the_likelihood():
    assert agrees_with_the_likelihood()


def test_the_check_against_the_likelihood_finds_a_wrong_prior(monkeypatch):
    def shrunk(self, terms, dead):
        right = original(self, terms, dead)
        return LogLinearTask(
            counts=right.counts, terms=right.terms, live=right.live, precision=np.full(len(terms), 300.0)
        )

    original = thresholded.Problem.task
    monkeypatch.setattr(thresholded.Problem, "task", shrunk)
    assert not agrees_with_the_likelihood()


def spread_is_that_of_counts():
    """Whether the variance of N is that of the expected size and of Poisson variation around it."""
    estimate = fit(THREE, threshold=100.0, n_draws=4000)
    expected = estimate.details["idata"].posterior["expected"].to_numpy()
    variance = expected.var() + (expected - sum(THREE)).mean()
    assert expected.var() < 0.9 * variance
    return abs(estimate.draws.var() / variance - 1.0) < 4 * math.sqrt(2 / 14_000)


def test_hidden_persons_are_drawn(monkeypatch):
    assert spread_is_that_of_counts()
    monkeypatch.setattr(thresholded, "draw_poisson", lambda mean, rng: mean)
    assert not spread_is_that_of_counts()


def by_importance(counts, *, prior_variance, main_effect_sd, prior, n=200_000):
    """Median and limits of N, and the statistics of the pairs, by importance sampling with everything written out."""
    rng = np.random.default_rng(8)
    setting = ThresholdedLogLinear(prior_variance=prior_variance, main_effect_sd=main_effect_sd, prior=prior)
    problem = problem_of(setting, table_of(counts))
    task = problem.task([1, 2, 4, 3, 5, 6], [])
    mode = posterior_mode(task)
    z = rng.standard_normal((n, 6)) * 1.1 / np.sqrt(rng.chisquare(6.0, n) / 6.0)[:, None]
    theta = mode.theta + z @ mode.root.T
    cells = np.arange(8)
    eta = theta @ (cells[:, None] & task.terms == task.terms).astype(float).T
    shares = np.exp(eta - logsumexp(eta, axis=1)[:, None])
    sd = np.array([main_effect_sd or np.inf] * 3 + [math.sqrt(prior_variance)] * 3)
    seen = sum(counts)
    a, b = (0.0, 0.0) if prior == "reciprocal" else (prior[2], prior[2] / prior[1])
    log_weights = np.log(shares[:, 1:]) @ np.array(counts[1:]) - (seen + a) * np.log(b + 1 - shares[:, 0])
    log_weights -= 0.5 * ((theta / sd) ** 2).sum(axis=1)
    log_weights += 0.5 * 12.0 * np.log1p((z**2).sum(axis=1) / (6.0 * 1.1**2))
    weights = np.exp(log_weights - logsumexp(log_weights))
    rate = rng.gamma(seen + a, 1.0, n) / (b + 1 - shares[:, 0])
    sizes = seen + rng.poisson(rate * shares[:, 0])
    found = np.quantile(sizes, [0.025, 0.5, 0.975], weights=weights, method="inverted_cdf")
    pairs = theta[:, 3:]
    mean = weights @ pairs
    values = np.abs(mean) / np.sqrt(weights @ (pairs - mean) ** 2)
    return found, values, 1.0 / (weights**2).sum()


CASES = [
    {"prior_variance": 1.0, "main_effect_sd": None, "prior": "reciprocal"},
    {"prior_variance": 0.3, "main_effect_sd": 1.0, "prior": ("negative_binomial", 120.0, 4.0)},
    {"prior_variance": 0.3, "main_effect_sd": 1.0, "prior": ("negative_binomial", 150.0, 90.0)},
]


def agrees_with_importance(case):
    found, values, effective = by_importance(SMALL, **case)
    estimate = fit(SMALL, threshold=0.0, n_draws=8000, **case)
    ours = estimate.details["interactions"]
    assert effective > 20_000
    right = np.abs(ours["statistic"] - values) < 4.5 * np.hypot(ours["error"], 1.2 / math.sqrt(effective))
    shares = [
        (estimate.draws <= limit).mean() - np.clip(share, 0, 1)
        for limit, share in zip(found, (0.025, 0.5, 0.975), strict=True)
    ]
    tied = [(estimate.draws == limit).mean() for limit in found]
    near = all(abs(off) < 0.012 + tie for off, tie in zip(shares, tied, strict=True))
    return bool(right.all()) and near


@pytest.mark.parametrize("case", CASES)
def test_chains_agree_with_importance_sampling(case):
    assert agrees_with_importance(case)


def test_the_check_against_importance_sampling_finds_a_wrong_shape(monkeypatch):
    original = thresholded.sampled

    def wrong(problem, last, rng):
        drawn = original(problem, last, rng)
        return type(drawn)(
            sizes=drawn.sizes + 2.0,
            log_hidden=drawn.log_hidden,
            log_odds=drawn.log_odds,
            measured=drawn.measured,
        )

    monkeypatch.setattr("hiddenpop.bayes.thresholded.sampled", wrong)
    assert not agrees_with_importance(CASES[1])


def test_the_check_against_importance_sampling_finds_a_prior_of_double_precision(monkeypatch):
    original = thresholded._sd
    monkeypatch.setattr(thresholded, "_sd", lambda variance: original(variance / 2))
    assert not agrees_with_importance({**CASES[0], "prior_variance": 1.0}) or not agrees_with_importance(
        CASES[1]
    )


def test_a_vague_proper_prior_of_the_size_is_the_reciprocal_one():
    vague = fit(SMALL, threshold=0.0, prior=("negative_binomial", 1e7, 1e-4), n_draws=8000)
    reciprocal = fit(SMALL, threshold=0.0, n_draws=8000)
    informed = fit(SMALL, threshold=0.0, prior=("negative_binomial", 1000.0, 10.0), n_draws=8000)
    assert vague.n_hat == pytest.approx(reciprocal.n_hat, rel=0.02)
    assert informed.n_hat > 1.2 * reciprocal.n_hat


# --- the choice -------------------------------------------------------------------------------------------------------


def test_statistic_is_mean_over_sd_with_its_monte_carlo_error():
    rng = np.random.default_rng(2)
    found = [statistic(3, rng.normal(-2.0, 1.0, (4, 500))) for _ in range(200)]
    values = np.array([s.value for s in found])
    assert values.mean() == pytest.approx(2.0, abs=0.01)
    assert values.std() == pytest.approx(np.mean([s.error for s in found]), rel=0.2)
    assert values.std() == pytest.approx(math.sqrt((1 + 2.0**2 / 2) / 2000), rel=0.2)


def test_error_of_the_statistic_follows_the_dependence_of_the_draws():
    rng = np.random.default_rng(2)

    def dependent():
        noise = rng.normal(0.0, math.sqrt(1 - 0.8**2), (4, 1000))
        chain = np.zeros((4, 1000))
        chain[:, 0] = rng.normal(size=4)
        for t in range(1, 1000):
            chain[:, t] = 0.8 * chain[:, t - 1] + noise[:, t]
        return statistic(3, 2.0 + chain)

    found = [dependent() for _ in range(100)]
    assert np.std([s.value for s in found]) == pytest.approx(np.mean([s.error for s in found]), rel=0.3)


def test_threshold_decides_what_stays():
    table = hp.datasets.load("kosovo")
    kept = [
        len(ThresholdedLogLinear(threshold=t, n_draws=500).fit(table, rng=1).details["retained"])
        for t in (0.0, 2.0, 9.0, 100.0)
    ]
    assert kept[0] == 6
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] == 0


def test_a_statistic_at_the_threshold_stays():
    table = hp.datasets.load("kosovo")
    first = ThresholdedLogLinear(n_draws=500).fit(table, rng=1).details["interactions"]
    lowest = first[first["statistic"] > 2.0].nsmallest(1, "statistic")
    [name], [at] = lowest["interaction"].tolist(), lowest["statistic"].tolist()
    for threshold, stays in ((at, True), (1.0001 * at, False)):
        again = ThresholdedLogLinear(n_draws=500, threshold=threshold).fit(table, rng=1)
        assert (name in again.details["retained"]) == stays


def test_interactions_are_told_with_what_became_of_them():
    estimate = fit(SMALL)
    rows = estimate.details["interactions"]
    assert set(rows["interaction"]) == {"l0*l1", "l0*l2", "l1*l2"}
    kept = rows["statistic"] >= 2.0
    assert (rows["outcome"] == np.where(kept, "kept", "left out")).all()
    assert estimate.details["retained"] == rows.loc[kept, "interaction"].tolist()
    assert "chosen_by_data" in names(estimate)


def test_a_statistic_at_the_threshold_is_a_coin_toss():
    first = fit(SMALL, threshold=0.0)
    at = float(first.details["interactions"]["statistic"].max())
    assert "coin_toss" in names(fit(SMALL, rng=5, threshold=at))
    assert "coin_toss" not in names(first)


def test_nothing_is_chosen_at_threshold_nought():
    estimate = fit(SMALL, threshold=0.0)
    assert "chosen_by_data" not in names(estimate)
    assert estimate.details["model"] == "[12,13,23]"


def test_triples_are_tried_over_pairs_that_stay_and_never_all_lists_together():
    three = fit(SMALL, threshold=0.0, order=3)
    assert three.details["model"] == "[12,13,23]"
    kosovo = ThresholdedLogLinear(order=3, n_draws=1000).fit(hp.datasets.load("kosovo"), rng=1)
    tried = set(kosovo.details["interactions"].query("n_lists == 3")["interaction"])
    assert tried == {"EXH*ABA*OSCE", "EXH*OSCE*HRW"}
    assert len(kosovo.details["stages"]) == 2


def test_a_first_stage_that_has_not_mixed_leaves_no_number():
    estimate = ThresholdedLogLinear(n_draws=100, n_chains=2).fit(hp.datasets.load("uk"), rng=1)
    assert estimate.status == "not_converged"
    assert "choice of interactions rests on chains that do not agree" in estimate.reason
    assert math.isnan(estimate.n_hat)
    assert estimate.interval.low >= estimate.n_observed


# --- whether there is a posterior -------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [NO_OVERLAP, EVERYBODY, (0, 0, 0, 0, 0, 0, 0, 1)])
def test_flat_main_effects_need_a_maximum(counts):
    estimate = fit(counts)
    assert estimate.status == "not_identified"
    assert "a main_effect_sd makes it proper" in estimate.reason
    assert estimate.draws is None
    assert fit(counts, main_effect_sd=3.0).draws.min() >= sum(counts)


def test_a_proper_prior_of_the_size_ends_a_dark_figure_without_limit():
    estimate = fit(NO_OVERLAP, prior=("negative_binomial", 1000.0, 2.0))
    assert estimate.status == "ok"
    assert 100 < estimate.n_hat < 3000
    assert fit(EVERYBODY, prior=("negative_binomial", 1000.0, 2.0)).status == "not_identified"


def test_flat_interactions_put_pairs_without_a_person_at_minus_infinity():
    uk = ThresholdedLogLinear(prior_variance=None, n_draws=1000).fit(hp.datasets.load("uk"), rng=1)
    assert uk.details["minus_infinity"] == ["LA*GP", "LA*NCA"]
    replicated = uk.details["idata"].posterior_predictive["cells"]
    lists = hp.datasets.load("uk").lists
    both = [
        cell
        for cell in replicated.coords["cell"].to_numpy()
        if cell[lists.index("LA")] == cell[lists.index("GP")] == "1"
    ]
    assert not replicated.sel(cell=both).to_numpy().any()


def test_flat_interactions_without_a_maximum_have_no_posterior():
    estimate = ThresholdedLogLinear(prior_variance=None).fit(hp.datasets.load("korea"), rng=1)
    assert estimate.status == "not_identified"
    assert "dark figure to infinity" in estimate.reason
    assert estimate.interval.high == math.inf


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_what_arviz_gets_adds_up():
    estimate = fit(SMALL, threshold=0.0)
    idata = estimate.details["idata"]
    assert idata.posterior["N"].shape == (4, 2000)
    assert estimate.draws.tolist() == idata.posterior["N"].to_numpy().ravel().tolist()
    assert idata.observed_data["cells"].to_numpy().tolist() == list(SMALL[1:])
    share = idata.posterior["hidden_share"].to_numpy()
    expected = idata.posterior["expected"].to_numpy()
    replicated = idata.posterior_predictive["cells"].to_numpy().sum(axis=-1)
    assert replicated.mean() == pytest.approx(sum(SMALL), rel=0.02)
    hidden = expected - sum(SMALL)
    assert np.median(hidden / (hidden + sum(SMALL)) - share) == pytest.approx(0.0, abs=0.01)
    assert set(idata.log_prior.data_vars) == {"size", "interactions"}


def test_log_prior_is_that_of_expected_size_and_parameters():
    case = CASES[1]
    _, mean, shape = case["prior"]
    for settings in (case, CASES[0]):
        held = fit(SMALL, threshold=0.0, **settings).details["idata"]
        hidden = held.posterior["expected"].to_numpy() - sum(SMALL)
        rate = hidden / held.posterior["hidden_share"].to_numpy()
        law = -np.log(rate) if settings is CASES[0] else gamma(shape, scale=mean / shape).logpdf(rate)
        off = held.log_prior["size"].to_numpy() - law
        assert np.ptp(off) < 1e-6
    theta = held.posterior["theta"].to_numpy()
    assert held.log_prior["interactions"].to_numpy() == pytest.approx(
        norm.logpdf(theta[..., 3:]).sum(axis=-1) - 3 * norm.logpdf(0.0)
    )


def test_log_likelihood_of_the_table_is_the_sum_over_cells(monkeypatch):
    table = hp.datasets.load("kosovo")
    by_cell = ThresholdedLogLinear(n_draws=200).fit(table, rng=1).details["idata"].log_likelihood["cells"]
    monkeypatch.setattr("hiddenpop.bayes.thresholded.MOST_VALUES", 0)
    whole = ThresholdedLogLinear(n_draws=200).fit(table, rng=1).details["idata"].log_likelihood["table"]
    assert by_cell.to_numpy().sum(axis=-1) == pytest.approx(whole.to_numpy(), abs=1e-6)


def test_equal_seeds_give_equal_bytes_on_any_number_of_workers():
    table = hp.datasets.load("korea")
    setting = ThresholdedLogLinear(n_draws=300)
    first = setting.fit(table, rng=4)
    with hp.parallel(workers=2):
        second = setting.fit(table, rng=4)
    assert first.draws.tobytes() == second.draws.tobytes()
    assert setting.fit(table, rng=5).draws.tobytes() != first.draws.tobytes()


def test_order_and_names_of_lists_change_the_draws_only_by_chance():
    first = fit(SMALL, threshold=0.0, n_draws=8000)
    permuted = tuple(np.array(SMALL)[[0, 2, 4, 6, 1, 3, 5, 7]])
    second = fit(permuted, threshold=0.0, n_draws=8000)
    assert second.n_hat == pytest.approx(first.n_hat, rel=0.02)


def test_an_empty_list_is_left_out():
    with pytest.warns(EmptyListWarning, match="l3 caught nobody"):
        estimate = fit((*SMALL, *[0] * 8))
    assert estimate.details["dropped_lists"] == ["l3"]
    assert estimate.draws.tolist() == fit(SMALL).draws.tolist()


def test_extreme_counts():
    large = fit((0, *[10**12] * 7))
    assert large.status == "ok"
    assert large.n_hat == pytest.approx(8e12, rel=1e-5)
    assert 1e6 < large.interval.width < 1e8
    json.dumps(large.to_dict(), allow_nan=False)
    pairs_only = fit((0, 0, 0, 5, 0, 5, 5, 0))
    assert pairs_only.n_hat >= 15


def test_what_leaves_of_a_private_table_gives_no_small_count_away():
    frame = table_of(SMALL).to_frame()

    def details(public):
        table = CaptureTable.from_counts(frame, lists=["l0", "l1", "l2"], count="count", public=public)
        return ThresholdedLogLinear(n_draws=2000).fit(table, rng=1).to_dict()["details"]

    shown, hidden = details(True), details(False)
    protected = {"expected", "hidden_share", "interactions", "modes", "quantiles"}
    assert {name for name in shown if shown[name] != hidden[name]} == protected


# --- settings and tables it refuses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"threshold": -1.0}, r"threshold=-1\.0 must be a number of at least 0"),
        ({"threshold": math.nan}, "threshold=nan"),
        ({"order": 4}, "order=4 must be 2 or 3"),
        ({"order": True}, "order=True must be 2 or 3"),
        ({"prior_variance": 0.0}, r"prior_variance=0\.0 must be a number from"),
        ({"main_effect_sd": -2.0}, r"main_effect_sd=-2\.0 must be a number from"),
        ({"prior": "uniform"}, "leaves log-linear models without a posterior"),
        ({"prior": "flat"}, "prior='flat' is not one of"),
        ({"n_draws": 10}, "n_draws=10 must be a whole number of at least 100"),
        ({"n_tune": 0}, "n_tune=0"),
        ({"n_chains": 0}, "n_chains=0"),
        ({"level": 1.0}, r"level=1\.0"),
    ],
)
def test_impossible_settings_are_refused(settings, match):
    with pytest.raises(SettingError, match=match):
        ThresholdedLogLinear(**settings)


def test_two_lists_and_many_lists_are_refused():
    with pytest.raises(CapabilityError, match="needs at least 3 lists"):
        fit((0, 10, 20, 5))
    with pytest.raises(CapabilityError, match="at most 12 lists"):
        fit(np.arange(2**13))


def test_strata_are_added_up():
    table = hp.datasets.load("spina_bifida")
    with pytest.warns(CollapsedStrataWarning, match="thresholded does not model strata"):
        estimate = ThresholdedLogLinear(n_draws=200).fit(table, rng=1)
    assert estimate.by_stratum.empty


def test_a_prior_that_is_not_proper_cannot_be_drawn_from():
    with pytest.raises(SettingError, match="a prior that is not proper cannot be drawn from"):
        draw_from_prior(ThresholdedLogLinear(), 3, 10, rng=1)


def test_tables_from_the_prior_have_the_prior_size():
    drawn = draw_from_prior(ThresholdedLogLinear(**PROPER), 3, 4000, rng=1)
    assert drawn.sizes.mean() == pytest.approx(300.0, rel=0.03)
    assert drawn.sizes.var() == pytest.approx(300.0 + 300.0**2 / 3.0, rel=0.1)
    assert (drawn.counts.sum(axis=1) <= drawn.sizes).all()
    assert (drawn.counts.sum(axis=1) >= 1).all()
    assert drawn.theta.std(axis=0) == pytest.approx([1.5] * 3 + [1.0] * 3, rel=0.05)
