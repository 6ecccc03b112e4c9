import itertools
import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import cauchy, expon, halfcauchy, multivariate_t, nbinom, norm, poisson
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes import loglinear
from hiddenpop.bayes.cells_design import cells_design
from hiddenpop.bayes.loglinear import (
    BayesianLogLinear,
    prior_tables,
    replicated_tables,
    sweep_priors,
)
from hiddenpop.bayes.loglinear_model import (
    CoefficientPrior,
    SizeGamma,
    _build,
    _coefficients,
    _data,
    draw_prior,
    information_scale,
    log_likelihood,
    log_poisson_cdf,
    posterior_mode,
    truncated_poisson,
    whitening,
)
from hiddenpop.bayes.sampling import Chains
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.table import CaptureTable, Coverage

THREE = (0, 62, 45, 21, 38, 14, 11, 9)
LOG_TEN = math.log(10.0) / norm.isf(0.025)


def frame_of(counts, **columns):
    histories = range(1, len(counts))
    frame = pd.DataFrame({name: [x >> i & 1 for x in histories] for i, name in enumerate("abc")})
    return frame.assign(count=counts[1:], censored=False, **columns)


def censored_table(counts, bounded):
    frame = frame_of(counts)
    frame["censored"] = [x in bounded for x in range(1, len(counts))]
    return CaptureTable.from_counts(frame, lists=list("abc"), censored="censored")


def regions(with_gap):
    south = frame_of((0, 30, 20, 9, 25, 8, 7, 5), region="s")
    if with_gap:
        south = south[south["b"] == 0]
    frame = pd.concat([frame_of(THREE, region="n"), south])
    rules = [Coverage("b", "region", ("n",))] if with_gap else None
    return CaptureTable.from_counts(
        frame, lists=list("abc"), strata=["region"], censored="censored", coverage=rules
    )


def names(estimate):
    return {diagnostic.name for diagnostic in estimate.diagnostics}


# --- the density: against a plain one, cell by cell -------------------------------------------------------------------


def plain_log_density(table, theta, log_certain, prior, size, *, strata="model", zeros=(), scale=None):
    """Sum over full cells, one by one, with the Poisson of every observed cell written out."""
    made = cells_design(table, order=2, strata=strata, structural_zeros=zeros, estimator="plain")
    eta = made.columns @ theta
    rows = [
        logsumexp([eta[c] for c, gone in zip(cells, out, strict=True) if not gone])
        for cells, out in zip(made.members, made.absent, strict=True)
    ]
    shift = log_certain - logsumexp(rows[: made.n_certain])
    means = np.exp(np.array(rows) + shift)
    total = poisson.logpmf(made.counts, means[: made.n_certain]).sum()
    total += poisson.logcdf(made.bounds, means[made.n_certain : len(rows) - made.n_strata]).sum()
    fixed = np.where(made.is_interaction, prior.slab_sd, prior.main_sd)
    total += norm.logpdf(theta, scale=fixed if scale is None else scale).sum()
    if size.is_proper:
        total += size.shape * math.log(means.sum()) - size.rate * means.sum()
    return total


def model_of(made, prior, size, *, shrinks=False):
    inner = made.is_interaction
    mode = posterior_mode(made, np.where(inner, prior.slab_sd, prior.main_sd))
    coordinates = whitening(mode, inner, shrinks=shrinks)
    data = _data(made, prior, size, coordinates)
    shrunk = int(inner.sum()) if prior.family == "horseshoe" else 0
    model = _build(data, shrunk=shrunk)
    return model.compile_fn(model.logp(), mode="FAST_COMPILE", inputs=model.value_vars), coordinates, data


NORMAL = CoefficientPrior(family="normal", main_sd=10.0, slab_sd=LOG_TEN)


@pytest.mark.parametrize("size", [SizeGamma(), SizeGamma(shape=2.0, rate=0.004)])
@pytest.mark.parametrize(
    ("table", "zeros"),
    [
        (censored_table(THREE, {4}), ()),
        (censored_table((0, 62, 45, 0, 38, 14, 11, 0), {4, 6}), ("a*b",)),
        (regions(with_gap=True), ()),
    ],
    ids=["censored", "structural zero", "gap"],
)
def test_the_model_is_the_poisson_model_of_every_cell(table, zeros, size):
    made = cells_design(table, order=2, strata="model", structural_zeros=zeros, estimator="test")
    log_density, coordinates, _ = model_of(made, NORMAL, size)
    rng = np.random.default_rng(5)
    found, expected = [], []
    for _ in range(4):
        z = rng.normal(size=made.columns.shape[1])
        theta = coordinates.centre + coordinates.spread @ z
        if made.n_censored:
            distance = rng.normal()
            values = {"z": z, "distance": distance}
            log_certain = math.log(made.n_observed) + distance / math.sqrt(made.n_observed)
            plain = plain_log_density(table, theta, log_certain, NORMAL, size, zeros=zeros)
        else:
            values = {"z": z}
            grid = np.linspace(-8.0, 8.0, 161) / math.sqrt(made.n_observed) + math.log(made.n_observed)
            logs = [plain_log_density(table, theta, at, NORMAL, size) for at in grid]
            plain = logsumexp(logs)
        found.append(float(log_density(values)))
        expected.append(plain)
    assert np.diff(found) == pytest.approx(np.diff(expected), abs=1e-5)


def test_the_horseshoe_in_its_coordinates_is_the_horseshoe():
    prior = CoefficientPrior(family="horseshoe", main_sd=10.0, slab_sd=LOG_TEN, global_scale=0.2)
    counts = (0, 620, 450, 800, 380, 140, 110, 60)
    made = cells_design(table_of(counts), order=2, estimator="test")
    log_density, coordinates, data = model_of(made, prior, SizeGamma(), shrinks=True)
    loose = coordinates.loose > 0
    assert 0 < loose.sum() < made.is_interaction.sum()
    rng, found, expected = np.random.default_rng(6), [], []
    for _ in range(5):
        z, log_tau, log_lam = rng.normal(size=6), rng.normal(), rng.normal(size=3)
        tau, lam = 0.2 * math.exp(log_tau), np.exp(log_lam)
        scale = np.concatenate(
            [np.full(3, 10.0), tau * lam * LOG_TEN / np.sqrt(LOG_TEN**2 + (tau * lam) ** 2)]
        )
        theta = coordinates.centre + coordinates.spread @ z + coordinates.follow @ (loose * scale * z)
        drawn = {"z": z, "raw_tau": np.float64(math.exp(log_tau)), "lam": lam}
        assert _coefficients(drawn, data, prior)["theta"] == pytest.approx(theta)
        values = {"z": z, "raw_tau_log__": log_tau, "lam_log__": log_lam}
        found.append(float(log_density(values)))
        rows = made.log_rows(theta)[:7]
        plain = made.counts @ (rows - logsumexp(rows)) + norm.logpdf(theta, scale=scale).sum()
        plain += halfcauchy.logpdf(math.exp(log_tau)) + log_tau + (halfcauchy.logpdf(lam) + log_lam).sum()
        expected.append(plain + np.log(scale[loose]).sum())  # theta as a function of z
    assert np.diff(found) == pytest.approx(np.diff(expected), abs=1e-8)


def test_the_log_probability_of_a_bound_is_exact_near_and_far():
    import pytensor
    from pytensor import tensor

    mean = tensor.vector()
    bounds = np.array([0.0, 3.0, 122.0])
    value = log_poisson_cdf(bounds, mean)
    evaluate = pytensor.function([mean], [value, pytensor.grad(value.sum(), mean)], mode="FAST_COMPILE")
    for at in (
        [0.1, 0.1, 50.0],
        [2.0, 5.0, 122.0],
        [12.9, 27.0, 255.0],
        [13.1, 28.0, 257.0],
        [900.0, 3e3, 9e4],
    ):
        exact = [logsumexp(poisson.logpmf(np.arange(u + 1), m)) for u, m in zip(bounds, at, strict=True)]
        slope = [-math.exp(poisson.logpmf(u, m) - e) for u, m, e in zip(bounds, at, exact, strict=True)]
        found, gradient = evaluate(np.array(at))
        assert found == pytest.approx(np.array(exact), rel=1e-8, abs=1e-12)
        assert gradient == pytest.approx(np.array(slope), rel=1e-6)


# --- the posterior: by a second route ---------------------------------------------------------------------------------


def design_matrix(order):
    histories = np.arange(8)
    bits = np.array([histories >> i & 1 for i in range(3)]).T.astype(float)
    pairs = [bits[:, i] * bits[:, j] for i, j in itertools.combinations(range(3), 2)]
    return np.column_stack([bits, *pairs]) if order == 2 else bits


def importance_posterior(counts, sd, *, order, shape=0.0, rate=0.0, n_draws=200_000, seed=1):
    """Posterior of N by importance sampling with a t around the mode; also the log evidence."""
    x, y = design_matrix(order), np.asarray(counts, dtype=float)
    n = y.sum()
    rng = np.random.default_rng(seed)

    def log_target(theta):
        eta = theta @ x.T
        log_q, log_seen = logsumexp(eta, axis=-1), logsumexp(eta[..., 1:], axis=-1)
        total = eta @ y + norm.logpdf(theta, scale=sd).sum(axis=-1)
        if not rate:
            return total - n * log_seen
        return total + shape * log_q - (n + shape) * np.logaddexp(math.log(rate) + log_q, log_seen)

    from scipy.optimize import minimize

    start = np.concatenate([np.full(3, -1.0), np.zeros(x.shape[1] - 3)])
    best = minimize(lambda theta: -log_target(theta), start, method="BFGS")
    proposal = multivariate_t(best.x, best.hess_inv * 1.3, df=7, seed=rng)
    theta = proposal.rvs(n_draws)
    log_weight = log_target(theta) - proposal.logpdf(theta)
    weight = np.exp(log_weight - log_weight.max())
    eta = theta @ x.T
    seen = np.exp(logsumexp(eta[:, 1:], axis=-1) - logsumexp(eta, axis=-1))
    sizes = n + rng.poisson(rng.standard_gamma(n + shape, n_draws) / (rate + seen) * (1.0 - seen))
    # n0 is Poisson around Lambda (1 - seen), and Lambda a gamma.
    evidence = logsumexp(log_weight) - math.log(n_draws) + gammaln(n + shape) - gammaln(y + 1.0).sum()
    return sizes, weight, evidence


def weighted_quantiles(sizes, weight, shares):
    order = np.argsort(sizes)
    reached = np.cumsum(weight[order]) / weight.sum()
    return sizes[order][np.searchsorted(reached, shares)]


SHARES = [0.025, 0.25, 0.5, 0.75, 0.975]


def close(estimate, expected, tolerance=0.035):
    """Quantiles of log (N - n) agree within a part of the posterior's own width."""
    n = estimate.n_observed
    found = np.quantile(estimate.draws, SHARES, method="inverted_cdf")
    logs = [np.log(np.asarray(q, dtype=float) - n + 0.5) for q in (found, expected)]
    return np.abs(logs[0] - logs[1]).max() < tolerance * (logs[1][-1] - logs[1][0])


@pytest.mark.slow
def test_normal_priors_agree_with_importance_sampling():
    estimate = BayesianLogLinear(n_draws=2000).fit(table_of(THREE), rng=1)
    sd = np.repeat([10.0, LOG_TEN], 3)
    expected = weighted_quantiles(*importance_posterior(THREE, sd, order=2)[:2], SHARES)
    assert estimate.ok
    assert close(estimate, expected)
    # Planted faults: another odds ratio, a missing prior, and a prior 1/N that is forgotten.
    for wrong in (np.repeat([10.0, 1.4 * LOG_TEN], 3), np.repeat([10.0, 10.0], 3)):
        assert not close(
            estimate, weighted_quantiles(*importance_posterior(THREE, wrong, order=2)[:2], SHARES)
        )


@pytest.mark.slow
def test_a_negative_binomial_prior_agrees_with_importance_sampling():
    prior = ("negative_binomial", 600.0, 3.0)
    estimate = BayesianLogLinear(prior=prior, n_draws=2000).fit(table_of(THREE), rng=2)
    sd = np.repeat([10.0, LOG_TEN], 3)
    right = importance_posterior(THREE, sd, order=2, shape=3.0, rate=3.0 / 600.0)
    assert close(estimate, weighted_quantiles(*right[:2], SHARES))
    assert not close(estimate, weighted_quantiles(*importance_posterior(THREE, sd, order=2)[:2], SHARES))
    assert set(estimate.details["idata"].log_prior.data_vars) == {"main_effects", "interactions", "size"}


@pytest.mark.slow
def test_a_negative_binomial_prior_grows_into_the_reciprocal_one():
    wide = BayesianLogLinear(prior=("negative_binomial", 1e6, 1e-3), n_draws=2000).fit(table_of(THREE), rng=3)
    expected = importance_posterior(THREE, np.repeat([10.0, LOG_TEN], 3), order=2)
    assert close(wide, weighted_quantiles(*expected[:2], SHARES))


@pytest.mark.slow
def test_a_censored_cell_agrees_with_the_sum_over_all_its_counts():
    counts, bound = (0, 62, 45, 21, 30, 14, 11, 9), 30
    estimate = BayesianLogLinear(order=1, n_draws=2000).fit(censored_table(counts, {4}), rng=4)
    sizes, weights = [], []
    evidences = []
    for y in range(bound + 1):
        known = (*counts[:4], y, *counts[5:])
        drawn, weight, evidence = importance_posterior(known, 10.0, order=1, n_draws=20_000, seed=y)
        sizes.append(drawn)
        weights.append(weight / weight.sum())
        evidences.append(evidence)
    shares = np.exp(np.array(evidences) - logsumexp(evidences))
    expected = weighted_quantiles(
        np.concatenate(sizes), np.concatenate([s * w for s, w in zip(shares, weights, strict=True)]), SHARES
    )
    assert estimate.n_observed == sum(counts) - bound
    assert close(estimate, expected)
    drawn = estimate.details["censored"].iloc[0]
    assert drawn["bound"] == bound
    assert drawn["median"] == pytest.approx(np.searchsorted(np.cumsum(shares), 0.5), abs=1)
    # Read as a count, the bound gives another answer.
    read = importance_posterior(counts, 10.0, order=1)
    assert not close(estimate, weighted_quantiles(*read[:2], SHARES))


@pytest.mark.slow
def test_wide_priors_and_large_counts_give_the_maximum_of_all_pairs():
    counts = tuple(200 * count for count in THREE)
    wide = BayesianLogLinear(odds_ratio=1e6, n_draws=2000).fit(table_of(counts), rng=5)
    classical = hp.LogLinear(model="[12,13,23]", interval="lognormal").fit(table_of(counts))
    assert wide.n_hat == pytest.approx(classical.n_hat, rel=0.01)
    for mine, theirs in zip(
        (wide.interval.low, wide.interval.high),
        (classical.interval.low, classical.interval.high),
        strict=True,
    ):
        assert mine - wide.n_observed == pytest.approx(theirs - wide.n_observed, rel=0.03)
    narrow = BayesianLogLinear(odds_ratio=1.02).fit(table_of(counts), rng=5)
    assert abs(narrow.n_hat / classical.n_hat - 1.0) > 0.05


@pytest.mark.slow
def test_the_horseshoe_finds_independence_where_it_holds_and_dependence_where_it_does_not():
    x = design_matrix(2)
    independent = np.round(np.exp(7.0 + x @ np.array([-0.8, -1.0, -1.2, 0.0, 0.0, 0.0])))
    dependent = np.round(np.exp(7.0 + x @ np.array([-0.8, -1.0, -1.2, 1.5, 0.0, 0.0])))
    setting = BayesianLogLinear(prior_family="horseshoe")
    shrunk = setting.fit(table_of(np.append(0, independent[1:])), rng=6).details["interactions"]
    free = replace(setting, prior_family="normal").fit(table_of(np.append(0, independent[1:])), rng=6)
    assert shrunk["median"].to_numpy() == pytest.approx(1.0, abs=0.05)
    width = np.log(shrunk["high"] / shrunk["low"])
    assert (
        width < 0.8 * np.log(free.details["interactions"]["high"] / free.details["interactions"]["low"])
    ).all()
    found = setting.fit(table_of(np.append(0, dependent[1:])), rng=6).details["interactions"]
    assert found["median"][0] == pytest.approx(math.exp(1.5), rel=0.25)
    assert found["median"][1:].to_numpy() == pytest.approx(1.0, abs=0.2)


# --- strata, gaps, structural zeros -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_strata_add_up_draw_by_draw_and_a_gap_widens_its_own_stratum():
    setting = BayesianLogLinear(strata="model")
    whole, gap = (setting.fit(regions(with_gap=gap), rng=7) for gap in (False, True))
    for estimate in (whole, gap):
        assert estimate.ok
        assert (estimate.stratum_draws.sum(axis=1) == estimate.draws).all()
        assert estimate.by_stratum["region"].tolist() == ["n", "s"]
        assert (estimate.by_stratum["low"] >= estimate.by_stratum["n_observed"]).all()
        assert estimate.by_stratum["n_observed"].sum() == estimate.n_observed
    # Without list b in the south, those it saw alone are hidden there: more of them, and less known.
    south = [estimate.by_stratum.iloc[1] for estimate in (whole, gap)]
    assert south[1]["n_observed"] == 63
    assert south[1]["high"] - south[1]["low"] > south[0]["high"] - south[0]["low"]
    assert "collapsed_strata" not in names(whole)


@pytest.mark.slow
def test_a_structural_zero_is_no_evidence_of_avoidance():
    counts = (0, 62, 45, 0, 38, 14, 11, 0)
    as_zero = BayesianLogLinear().fit(table_of(counts), rng=8)
    impossible = BayesianLogLinear(structural_zeros=("l0*l1",)).fit(table_of(counts), rng=8)
    assert as_zero.details["interactions"]["median"][0] < 0.3
    assert impossible.details["interactions"]["interaction"].tolist() == ["l0*l2", "l1*l2"]
    assert impossible.n_hat != pytest.approx(as_zero.n_hat, rel=0.02)


@pytest.mark.slow
def test_scottish_drug_users_agree_with_the_published_analysis():
    # Reversible jump over all pairs (R package conting 1.7, 50,000 steps): median 22,907, 20,394 to 26,512, from 70
    # effective draws; read as counts, the bounds give about 30,400 there.
    table = hp.datasets.load("scottish_pwid")
    estimate = BayesianLogLinear(strata="model").fit(table, rng=9)
    assert estimate.ok
    assert estimate.n_hat == pytest.approx(22_907, rel=0.1)
    assert estimate.interval.low < 20_394
    assert estimate.interval.high > 26_512
    assert estimate.n_observed == 4_986
    as_counts = CaptureTable.from_counts(
        table.to_frame().drop(columns="censored"), lists=list(table.lists), strata=["Region", "Gender", "Age"]
    )
    assert BayesianLogLinear(strata="model").fit(as_counts, rng=9).n_hat > 1.15 * estimate.n_hat


@pytest.mark.slow
def test_medians_of_the_united_kingdom_by_prior():
    sweep = sweep_priors(hp.datasets.load("uk_5"), rng=10)
    assert (sweep["status"] == "ok").all()
    assert sweep["median"].between(11_800, 14_900).all()


# --- status -----------------------------------------------------------------------------------------------------------


def test_without_overlap_the_prior_of_the_main_effects_answers_and_the_status_says_so():
    estimate = BayesianLogLinear().fit(table_of((0, 10, 20, 0, 15, 0, 0, 0)), rng=11)
    assert estimate.status == "not_identified"
    assert math.isnan(estimate.n_hat)
    assert "overlaps say nothing" in estimate.reason
    assert math.isinf(estimate.interval.high)


def test_everybody_on_all_lists_leaves_nobody_hidden():
    estimate = BayesianLogLinear().fit(table_of((0, 0, 0, 0, 0, 0, 0, 50)), rng=12)
    assert (estimate.status, estimate.n_hat, estimate.interval.high) == ("boundary", 50.0, 50.0)


def test_a_million_millions_are_sampled_as_easily_as_a_hundred():
    estimate = BayesianLogLinear().fit(table_of((0, *[10**12] * 7)), rng=13)
    assert estimate.ok
    assert estimate.n_hat == pytest.approx(8e12, rel=1e-5)
    assert (estimate.draws >= 7e12).all()


def test_chains_that_stay_apart_are_no_estimate(monkeypatch):
    def stuck(*args, **kwargs):
        theta = np.full((4, 500, 6), -1.0) + np.arange(4)[:, None, None] / 3.0
        theta = theta + np.random.default_rng(1).normal(0.0, 0.01, theta.shape)
        return Chains(draws={"theta": theta}, n_divergent=3, backend="nutpie")

    monkeypatch.setattr(loglinear, "draw_chains", stuck)
    estimate = BayesianLogLinear().fit(table_of(THREE), rng=1)
    assert estimate.status == "not_converged"
    assert "R-hat" in estimate.reason
    assert estimate.details["convergence"]["n_divergent"] == 3


def test_a_sampler_without_draws_is_no_estimate(monkeypatch):
    failed = Chains(draws={}, n_divergent=0, backend="nutpie", failure="no chain could start")
    monkeypatch.setattr(loglinear, "draw_chains", lambda *args, **kwargs: failed)
    estimate = BayesianLogLinear().fit(table_of(THREE), rng=1)
    assert (estimate.status, estimate.n_failed) == ("not_converged", 4)
    assert "no chain could start" in estimate.reason
    assert estimate.interval.high == math.inf


# --- what is included -------------------------------------------------------------------------------------------------


def test_equal_seeds_give_equal_draws_and_nothing_is_lost_on_the_way():
    table = table_of(THREE)
    first, again = (BayesianLogLinear().fit(table, rng=14) for _ in range(2))
    assert (first.draws == again.draws).all()
    assert (first.draws >= first.n_observed).all()
    assert json.loads(json.dumps(first.to_dict(), allow_nan=False))["status"] == "ok"
    assert pickle.loads(pickle.dumps(first)).n_hat == first.n_hat
    assert first.provenance["rng"] == {"seed": 14}


def test_idata_holds_the_likelihood_of_each_cell_and_the_prior_by_part():
    table = table_of(THREE)
    idata = BayesianLogLinear().fit(table, rng=14).details["idata"]
    posterior = idata.posterior
    theta, log_size = posterior["theta"].to_numpy()[1, 7], float(posterior["log_size"][1, 7])
    eta = design_matrix(2) @ theta
    means = np.exp(eta - logsumexp(eta) + log_size)
    cells = idata.log_likelihood["cells"].to_numpy()[1, 7]
    assert cells == pytest.approx(poisson.logpmf(THREE[1:], means[1:]), rel=1e-9)
    inner = float(idata.log_prior["interactions"][1, 7])
    assert inner == pytest.approx(norm.logpdf(theta[3:], scale=LOG_TEN).sum())


def test_the_likelihood_of_a_bound_is_the_probability_of_at_most_that():
    made = cells_design(censored_table(THREE, {4}), order=1, estimator="test")
    theta = np.array([-1.0, -0.5, -1.5])
    eta = design_matrix(1) @ theta
    mean = math.exp(eta[4] - logsumexp(eta) + 6.0)
    found = log_likelihood(made, theta, np.float64(6.0))
    assert found.shape == (7,)
    assert found[-1] == pytest.approx(poisson.logcdf(38, mean))
    far = log_likelihood(made, theta, np.float64(9.0))
    mean = math.exp(eta[4] - logsumexp(eta) + 9.0)
    assert far[-1] == pytest.approx(logsumexp(poisson.logpmf(np.arange(39), mean)), rel=1e-9)


def test_replicated_tables_scatter_around_the_observed_one():
    table, setting = table_of(THREE), BayesianLogLinear()
    replicates = replicated_tables(setting, table, setting.fit(table, rng=14), rng=15)
    assert replicates.shape == (4000, 7)
    share_below = (replicates < np.array(THREE[1:])).mean(axis=0)
    assert ((share_below > 0.1) & (share_below < 0.9)).all()
    # More spread than Poisson around the fit, as the parameters are not known.
    assert (replicates.var(axis=0) > 1.2 * replicates.mean(axis=0)).all()


def test_the_prior_puts_its_odds_ratios_where_it_says():
    setting = BayesianLogLinear(odds_ratio=5.0, prior=("negative_binomial", 400.0, 2.0))
    drawn = prior_tables(setting, table_of(THREE), 20_000, rng=16)
    inside = (np.abs(drawn.theta[:, 3:]) < math.log(5.0)).mean(axis=0)
    assert inside == pytest.approx(0.95, abs=0.01)
    assert drawn.theta[:, :3].std(axis=0) == pytest.approx(10.0, rel=0.05)
    assert (drawn.counts.sum(axis=1) >= 1).all()
    assert (drawn.sizes >= drawn.counts.sum(axis=1)).all()
    loose = draw_prior(
        cells_design(table_of(THREE), order=2, estimator="test"),
        CoefficientPrior(family="normal", main_sd=0.5, slab_sd=0.5),
        SizeGamma(shape=2.0, rate=2.0 / 400.0),
        20_000,
        np.random.default_rng(1),
    )
    expected = nbinom(2.0, (2.0 / 400.0) / (1.0 + 2.0 / 400.0))
    assert loose.sizes.mean() == pytest.approx(expected.mean(), rel=0.03)
    assert loose.sizes.std() == pytest.approx(expected.std(), rel=0.05)


def test_the_prior_of_the_horseshoe_has_its_common_scale_and_its_slab():
    setting = BayesianLogLinear(
        prior_family="horseshoe", global_scale=0.3, prior=("negative_binomial", 400.0, 2.0)
    )
    drawn = prior_tables(setting, table_of(THREE), 40_000, rng=17)
    rng = np.random.default_rng(2)
    wild = 0.3 * np.abs(cauchy.rvs(size=40_000, random_state=rng) * cauchy.rvs(size=40_000, random_state=rng))
    expected = np.abs(rng.standard_normal(40_000)) / np.sqrt(1.0 / wild**2 + 1.0 / LOG_TEN**2)
    shares = [0.25, 0.5, 0.9, 0.99]
    found = np.quantile(np.abs(drawn.theta[:, 4]), shares)
    assert found == pytest.approx(np.quantile(expected, shares), rel=0.06)


def test_the_common_scale_says_how_many_interactions_are_expected():
    made = cells_design(table_of(tuple(100 * c for c in THREE)), order=2, estimator="test")
    prior = loglinear._coefficient_prior(BayesianLogLinear(prior_family="horseshoe", n_active=2.0), made)
    assert prior.global_scale == pytest.approx(2.0 * information_scale(made, 10.0))
    # A hundred times as many persons know an interaction ten times as well.
    few = information_scale(cells_design(table_of(THREE), order=2, estimator="test"), 10.0)
    assert information_scale(made, 10.0) == pytest.approx(few / 10.0, rel=0.01)
    with pytest.raises(SettingError, match="must be below the number of interactions, which is 3"):
        BayesianLogLinear(prior_family="horseshoe", n_active=3).fit(table_of(THREE))


def test_truncated_counts_follow_the_truncated_poisson():
    rng = np.random.default_rng(18)
    mean, bound = np.tile([3.0, 20.0], (40_000, 1)), np.array([4.0, 12.0])
    drawn = truncated_poisson(mean, bound, rng)
    for cell, (m, u) in enumerate(((3.0, 4), (20.0, 12))):
        pmf = poisson.pmf(np.arange(u + 1), m) / poisson.cdf(u, m)
        found = np.bincount(drawn[:, cell].astype(int), minlength=u + 1) / len(drawn)
        assert found == pytest.approx(pmf, abs=0.008)
    far = truncated_poisson(np.full((40_000, 1), 5000.0), np.array([50.0]), rng)
    below = 50.0 - far
    assert below.mean() == pytest.approx(1.0 / (5000.0 / 50.0 - 1.0), rel=0.2)
    assert expon.cdf(below.max()) <= 1.0


def test_a_sweep_is_one_row_a_prior():
    sweep = sweep_priors(
        table_of(THREE), [{"odds_ratio": 2.0}, {"odds_ratio": 50.0}], base=BayesianLogLinear(), rng=19
    )
    assert sweep["odds_ratio"].tolist() == [2.0, 50.0]
    assert sweep["status"].tolist() == ["ok", "ok"]
    assert sweep["median"][0] != sweep["median"][1]
    widths = np.log(sweep["high"] / sweep["low"])
    assert widths[0] < widths[1]
    with pytest.raises(SettingError, match="a prior of the sweep has 'odds'"):
        sweep_priors(table_of(THREE), [{"odds": 2.0}])


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": 0}, "order=0 must be a whole number"),
        ({"prior_family": "laplace"}, "prior_family='laplace' is not one of"),
        ({"odds_ratio": 1.0}, "odds_ratio=1.0 must be a number above 1"),
        ({"odds_ratio": "10"}, "odds_ratio='10' must be a number"),
        ({"n_active": 2.0}, 'n_active=2.0 goes with prior_family="horseshoe"'),
        ({"prior_family": "horseshoe", "n_active": 0.0}, "n_active=0.0 must be a number above 0"),
        (
            {"prior_family": "horseshoe", "n_active": 1.0, "global_scale": 0.1},
            "either n_active or global_scale",
        ),
        ({"main_effect_sd": 0.0}, "main_effect_sd=0.0"),
        ({"prior": "uniform"}, 'prior="uniform" leaves a tail'),
        ({"prior": "flat"}, "prior='flat' is not one of"),
        ({"strata": "both"}, "strata='both' is not one of"),
        ({"structural_zeros": ("a",)}, "name two or more different lists"),
        ({"n_chains": 1}, "n_chains=1 must be a whole number of at least 2"),
        ({"n_draws": 10}, "n_draws=10 must be"),
        ({"target_accept": 1.5}, "target_accept=1.5"),
        ({"backend": "stan"}, "backend='stan' is not one of"),
        ({"level": 1.0}, "level=1.0"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        BayesianLogLinear(**settings)


def test_an_improper_prior_has_no_tables():
    with pytest.raises(SettingError, match="nothing can be drawn from it"):
        prior_tables(BayesianLogLinear(), table_of(THREE), 5)


def test_two_lists_and_gaps_are_refused():
    with pytest.raises(CapabilityError, match="at least 3 lists"):
        BayesianLogLinear().fit(table_of((0, 5, 6, 2)))
    with pytest.raises(CapabilityError, match="did not operate in every stratum"):
        BayesianLogLinear().fit(regions(with_gap=True))
