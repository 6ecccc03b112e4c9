import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import gammaln, logsumexp
from scipy.stats import nbinom, norm

from hiddenpop.kernels.bayes import marginal_likelihood
from hiddenpop.kernels.bayes.marginal_likelihood import (
    ThetaPrior,
    draw_missing,
    draw_parameters,
    effective_draws,
    evidence_constant,
    laplace_evidence,
    model_posterior,
    reweighted,
    systematic_rows,
    weighted_quantiles,
)
from hiddenpop.kernels.poisson.lattice import fit_batch
from hiddenpop.model import HierarchicalModel, enumerate_models

TWO = np.array([0.0, 9.0, 6.0, 3.0])
THREE = np.array([0.0, 14.0, 9.0, 5.0, 11.0, 2.0, 0.0, 3.0])
PROPER = ThetaPrior(1.0, 0.8, 2.0, 2.0 / 60.0)
RECIPROCAL = ThetaPrior(1.0, 0.8)
FLAT = ThetaPrior(1.0, 0.8, 1.0, 0.0)
PRIORS = {"negative binomial": PROPER, "1/N": RECIPROCAL, "flat": FLAT}


def coded(model, n_lists):
    """A model as one element of an array of term sets."""
    terms = [t for t in range(1, 1 << n_lists) if any(t & g == t for g in model.generators)]
    return np.array([1 | sum(1 << t for t in terms)], dtype=np.uint64)


def model_of(text, n_lists):
    return coded(HierarchicalModel.parse(text, n_lists=n_lists), n_lists)


def terms_of(term_set, n_lists):
    return [t for t in range(1, 1 << n_lists) if int(term_set) >> t & 1]


def log_joint(theta, counts, terms, prior):
    """Log of prior times likelihood with N summed out, all constants, from probabilities of cells; theta (..., p)."""
    cells = np.arange(len(counts))
    design = np.array([[float(w & t == t) for t in terms] for w in cells])
    sd = np.array([prior.main_sd if t.bit_count() == 1 else prior.interaction_sd for t in terms])
    eta = theta @ design.T
    log_p = eta - logsumexp(eta, axis=-1, keepdims=True)
    n = counts[1:].sum()
    value = log_p[..., 1:] @ counts[1:] - gammaln(counts[1:] + 1.0).sum() + gammaln(n + prior.shape)
    value -= (n + prior.shape) * np.log(prior.rate - np.expm1(log_p[..., 0]))
    if prior.rate:
        value += prior.shape * math.log(prior.rate) - gammaln(prior.shape)
    return value + norm.logpdf(theta, scale=sd).sum(axis=-1)


def by_quadrature(counts, terms, prior, points=31):
    """Trapezoid rule on a dense grid: exact to many digits for a smooth density that vanishes at the ends."""
    ends = [5.5 * (prior.main_sd if t.bit_count() == 1 else prior.interaction_sd) for t in terms]
    axes = [np.linspace(-end, end, points) for end in ends]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(terms))
    steps = sum(math.log(axis[1] - axis[0]) for axis in axes)
    values = np.concatenate([log_joint(part, counts, terms, prior) for part in np.array_split(grid, 40)])
    return logsumexp(values) + steps


def by_importance(counts, term_set, n_lists, prior, draws=20_000, seed=1):
    drawn = draw_parameters(counts, term_set, np.array([draws]), n_lists, prior, np.random.default_rng(seed))
    weight = np.exp(drawn.log_weight - drawn.log_weight.max())
    error = math.sqrt((weight**2).sum() / weight.sum() ** 2 - 1 / draws)
    return logsumexp(drawn.log_weight) - math.log(draws) + evidence_constant(counts, prior), error


# --- evidence ---------------------------------------------------------------------------------------------------------


def test_the_sum_over_population_sizes_is_the_closed_form():
    theta, n = np.array([-0.4, 0.3]), TWO.sum()
    cells = np.exp([0.0, -0.4, 0.3, -0.1])
    log_p = np.log(cells / cells.sum())
    hidden = np.arange(3000)
    log_prior = nbinom.logpmf(n + hidden, PROPER.shape, PROPER.rate / (1.0 + PROPER.rate))
    table = gammaln(n + hidden + 1.0) - gammaln(hidden + 1.0) - gammaln(TWO[1:] + 1.0).sum()
    summed = logsumexp(log_prior + table + hidden * log_p[0]) + log_p[1:] @ TWO[1:]
    expected = log_joint(theta, TWO, [1, 2], PROPER) - norm.logpdf(theta).sum()
    assert expected == pytest.approx(summed, abs=1e-9)


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
@pytest.mark.parametrize(
    ("model", "counts"), [("[1,2]", TWO), ("[1,2,3]", THREE), ("[12,3]", THREE), ("[12,23]", THREE)]
)
def test_importance_sampling_gives_the_evidence_of_quadrature(model, counts, prior):
    n_lists = len(counts).bit_length() - 1
    term_set = model_of(model, n_lists)
    terms = terms_of(term_set[0], n_lists)
    exact = by_quadrature(counts, terms, prior, points=19 if len(terms) == 5 else 31)
    found, error = by_importance(counts, term_set, n_lists, prior)
    assert error < 0.01
    assert found == pytest.approx(exact, abs=4 * error)
    laplace = laplace_evidence(counts, term_set, n_lists, prior).log_evidence[0]
    assert laplace + evidence_constant(counts, prior) == pytest.approx(exact, abs=0.15)


@pytest.mark.parametrize(
    "wrong",
    [
        PROPER._replace(main_sd=1.1),
        PROPER._replace(interaction_sd=0.9),
        PROPER._replace(shape=2.2),
        PROPER._replace(rate=2.0 / 66.0),
    ],
)
def test_each_prior_is_in_the_evidence(wrong):
    term_set = model_of("[12,3]", 3)
    found, error = by_importance(THREE, term_set, 3, PROPER)
    other = by_quadrature(THREE, terms_of(term_set[0], 3), wrong)
    assert abs(found - other) > 4 * error


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
def test_laplace_agrees_with_a_general_optimiser(prior):
    term_sets = np.concatenate(list(enumerate_models(3)))
    found = laplace_evidence(THREE, term_sets, 3, prior)
    assert found.converged.all()
    for term_set, log_evidence, log_odds in zip(term_sets, found.log_evidence, found.log_odds, strict=True):
        terms = terms_of(term_set, 3)

        def minus(theta, terms=terms):
            return -log_joint(theta, THREE, terms, prior)

        mode = minimize(minus, np.zeros(len(terms)), method="BFGS", options={"gtol": 1e-8}).x
        step = 1e-3 * np.eye(len(terms))
        hessian = [
            [
                (minus(mode + a + b) - minus(mode + a - b) - minus(mode - a + b) + minus(mode - a - b)) / 4e-6
                for a in step
            ]
            for b in step
        ]
        half = 0.5 * (len(terms) * math.log(2 * math.pi) - np.linalg.slogdet(hessian)[1])
        total = log_evidence + evidence_constant(THREE, prior)
        assert total == pytest.approx(half - minus(mode), abs=1e-4)
        design = np.array([[float(w & t == t) for t in terms] for w in range(1, 8)])
        assert log_odds == pytest.approx(logsumexp(design @ mode), abs=1e-5)


def test_laplace_gets_better_with_more_persons():
    term_set = model_of("[12,3]", 3)
    errors = []
    for factor in (1.0, 10.0, 100.0):
        counts = factor * (THREE + 1.0)
        exact, error = by_importance(counts, term_set, 3, RECIPROCAL)
        assert error < 0.01
        laplace = laplace_evidence(counts, term_set, 3, RECIPROCAL).log_evidence[0]
        errors.append(abs(laplace + evidence_constant(counts, RECIPROCAL) - exact))
    assert errors[0] > errors[1] + 0.01
    assert errors[2] < 0.02


def test_the_evidence_behaves_like_bic_with_many_persons():
    term_sets = np.concatenate(list(enumerate_models(3)))
    prior = ThetaPrior(10.0, 1.2)
    gaps, ratios = [], []
    for factor in (1e3, 1e5, 1e7):
        counts = factor * (THREE + 1.0)
        counts[0] = 0.0
        fit = fit_batch(counts, term_sets, 3)
        bic = fit.deviance + fit.n_parameters * math.log(counts.sum())
        log_evidence = laplace_evidence(counts, term_sets, 3, prior).log_evidence
        gaps.append(log_evidence - log_evidence[0] + 0.5 * (bic - bic[0]))
        ratios.append(log_evidence - log_evidence[0])
    assert np.abs(ratios[2] - ratios[1]).max() > 1000
    assert np.abs(gaps[2] - gaps[1]).max() < 0.05
    assert np.abs(gaps[2]).max() < 5


def test_one_over_n_is_the_limit_of_the_negative_binomial():
    term_sets = np.concatenate(list(enumerate_models(3)))
    limits = [
        laplace_evidence(THREE, term_sets, 3, prior).log_evidence
        for prior in (RECIPROCAL, ThetaPrior(1.0, 0.8, 1e-7, 1e-7 / 1e6), ThetaPrior(1.0, 0.8, 1.0, 1e-3))
    ]
    relative = [evidence - evidence[0] for evidence in limits]
    assert relative[1] == pytest.approx(relative[0], abs=1e-5)
    assert relative[2] != pytest.approx(relative[0], abs=1e-2)


def test_a_flat_prior_is_the_limit_of_the_geometric():
    term_sets = np.concatenate(list(enumerate_models(3)))
    one, other = (
        laplace_evidence(THREE, term_sets, 3, prior).log_evidence
        for prior in (FLAT, ThetaPrior(1.0, 0.8, 1.0, 1e-9))
    )
    assert other - other[0] == pytest.approx(one - one[0], abs=1e-5)


@pytest.mark.parametrize("factor", [1.0, 1e4, 1e9, 1e12])
@pytest.mark.parametrize("prior", [ThetaPrior(10.0, 1.2), ThetaPrior(10.0, 1.2, 3.0, 0.01)])
def test_every_mode_is_found_at_any_size(factor, prior):
    term_sets = np.concatenate(list(enumerate_models(4)))
    rng = np.random.default_rng(3)
    counts = np.floor(factor * rng.gamma(0.5, 1.0, 16) * (rng.random(16) < 0.7))
    counts[1:5] += 1.0
    found = laplace_evidence(counts, term_sets, 4, prior)
    assert found.converged.all()
    assert np.isfinite(found.log_evidence).all()


# --- draws ------------------------------------------------------------------------------------------------------------


def exact_posterior(counts, terms, prior, most):
    """Distribution function of the dark figure 0, 1, ..., most under one model, by quadrature."""
    ends = [5.5 * prior.main_sd for _ in terms]
    axes = [np.linspace(-end, end, 121) for end in ends]
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(terms))
    density = np.exp(log_joint(theta, counts, terms, prior))
    odds = np.exp(theta) @ np.array([1.0, 1.0]) + np.exp(theta.sum(axis=1))
    unseen = 1.0 / odds
    success = (prior.rate * (1 + unseen) + 1) / (prior.rate * (1 + unseen) + 1 + unseen)
    hidden = np.arange(most)
    n = counts[1:].sum() + prior.shape
    below = np.array([density @ nbinom.cdf(k, n, success) for k in hidden])
    return hidden, below / density.sum()


@pytest.mark.parametrize("prior", [PROPER, RECIPROCAL])
def test_weighted_draws_follow_the_exact_posterior(prior):
    found = model_posterior(
        TWO, model_of("[1,2]", 2), 2, prior, np.zeros(1), 20_000, np.random.default_rng(1)
    )
    hidden, exact = exact_posterior(TWO, [1, 2], prior, 60)
    below = np.array([found.weight[found.n_missing <= k].sum() for k in hidden])
    effective = 1.0 / (found.weight**2).sum()
    assert effective > 10_000
    assert np.abs(below - exact).max() < 1.95 / math.sqrt(effective)
    rows = systematic_rows(found.weight, 10_000, np.random.default_rng(2))
    drawn = draw_missing(found.draws.log_odds[rows], TWO.sum(), prior, np.random.default_rng(3))
    below = np.array([(drawn <= k).mean() for k in hidden])
    assert np.abs(below - exact).max() < 1.95 / math.sqrt(10_000)
    expectation = TWO.sum() * np.exp(-found.draws.log_odds)
    narrow = np.array([found.weight[expectation <= k].sum() for k in hidden])
    assert np.abs(narrow - exact).max() > 5 / math.sqrt(effective)


def test_equal_seeds_give_equal_draws():
    term_sets = np.concatenate(list(enumerate_models(3)))
    one, again, other = (
        model_posterior(THREE, term_sets, 3, RECIPROCAL, np.zeros(8), 1000, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert one.n_missing.tobytes() == again.n_missing.tobytes()
    assert one.weight.tobytes() == again.weight.tobytes()
    assert one.weight.tobytes() != other.weight.tobytes()


def test_light_models_are_represented_by_some_of_them(monkeypatch):
    term_sets = np.concatenate(list(enumerate_models(4)))
    rng = np.random.default_rng(4)
    counts = rng.poisson(6.0, 16).astype(float)

    def explore(seed):
        found = model_posterior(
            counts, term_sets, 4, RECIPROCAL, np.zeros(113), 20_000, np.random.default_rng(seed)
        )
        return found, weighted_quantiles(found.n_missing, found.weight, [0.1, 0.5, 0.9])

    whole, expected = explore(1)
    monkeypatch.setattr(marginal_likelihood, "OUTSIDE", 0.4)
    monkeypatch.setattr(marginal_likelihood, "SHARED_DRAWS", 20_000)
    parted, quantiles = explore(2)
    assert (~np.isnan(parted.error)).sum() < 0.7 * (~np.isnan(whole.error)).sum()
    light = np.isnan(parted.error)
    assert whole.probability[light].sum() > 0.3
    assert parted.probability[light].sum() == pytest.approx(whole.probability[light].sum(), abs=0.01)
    assert quantiles == pytest.approx(expected, abs=2)
    assert parted.weight[light[parted.model]].sum() == pytest.approx(parted.probability[light].sum())


def test_probabilities_are_prior_times_evidence():
    term_sets = np.concatenate(list(enumerate_models(3)))
    log_prior = np.log(np.arange(1.0, 9.0))
    found = model_posterior(THREE, term_sets, 3, PROPER, log_prior, 20_000, np.random.default_rng(1))
    assert found.probability.sum() == pytest.approx(1.0)
    by_draws = np.bincount(found.model, found.weight, minlength=8)
    assert by_draws == pytest.approx(found.probability, abs=1e-9)
    small = [m for m in range(8) if int(term_sets[m]).bit_count() < 6]
    assert len(small) == 4
    exact = [by_quadrature(THREE, terms_of(term_sets[m], 3), PROPER) for m in small]
    expected = np.exp(np.array(exact) + log_prior[small])
    assert found.probability[small] / found.probability[0] == pytest.approx(expected / expected[0], rel=0.03)


def test_reweighted_draws_are_those_of_the_other_prior():
    term_sets = np.concatenate(list(enumerate_models(3)))
    wide, narrow = ThetaPrior(3.0, 1.2), ThetaPrior(1.5, 0.6)
    one, other = (
        model_posterior(THREE, term_sets, 3, prior, np.zeros(8), 40_000, np.random.default_rng(i))
        for i, prior in enumerate((wide, narrow))
    )
    weight = reweighted(one, wide, narrow)
    shares = [0.1, 0.5, 0.9]
    before = weighted_quantiles(one.n_missing, one.weight, shares)
    after = weighted_quantiles(one.n_missing, weight, shares)
    expected = weighted_quantiles(other.n_missing, other.weight, shares)
    assert after == pytest.approx(expected, rel=0.03, abs=1)
    assert before != pytest.approx(expected, rel=0.1)
    by_model = np.bincount(one.model, weight, minlength=8)
    assert by_model == pytest.approx(other.probability, abs=0.01)


def test_systematic_rows_keep_to_the_weights():
    weight = np.random.default_rng(1).dirichlet(np.ones(50))
    picked = np.bincount(systematic_rows(weight, 1000, np.random.default_rng(2)), minlength=50)
    assert np.abs(picked - 1000 * weight).max() < 1.0
    rows = systematic_rows(weight, 1000, np.random.default_rng(2))
    assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.15


def test_effective_draws_fall_with_uneven_weights_and_ignore_atoms():
    rng = np.random.default_rng(1)
    values, weight = rng.normal(size=4000), rng.exponential(size=4000)
    weight /= weight.sum()
    assert effective_draws(values, weight, 0.5) == pytest.approx(2000, rel=0.1)
    heavy = np.where(values > 1.5, 20 * weight, weight)
    heavy /= heavy.sum()
    assert effective_draws(values, heavy, 0.975) < 400
    assert effective_draws(np.zeros(4000), weight, 0.025) == pytest.approx(1 / (weight**2).sum())


def test_dark_figures_beyond_whole_numbers_are_drawn_without_a_fault():
    drawn = draw_missing(
        np.array([-60.0, -800.0, 0.0]), 1e12, ThetaPrior(10.0, 1.0), np.random.default_rng(1)
    )
    assert drawn[0] == pytest.approx(1e12 * math.exp(60.0), rel=1e-4)
    assert np.isfinite(drawn).all()
    assert drawn[2] == pytest.approx(1e12, rel=1e-5)
