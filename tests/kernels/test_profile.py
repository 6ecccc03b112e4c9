"""Profile limits against the multinomial likelihood itself, written down directly and maximised by other means."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import gammaln, xlogy
from scipy.stats import chi2
from tests.support.plain import dense_counts, design, model_of, terms_of

import hiddenpop as hp
from hiddenpop.kernels.model_fit import fit_model, profile_of_model
from hiddenpop.kernels.profile import stirling_remainder


def independence_likelihood(counts):
    """Profile log-likelihood of N under independence: the captures of each list are binomial, so p_j = n_j / N."""
    cells = np.arange(len(counts))
    n_lists = len(counts).bit_length() - 1
    totals = np.array([counts[cells >> j & 1 == 1].sum() for j in range(n_lists)])
    n = counts.sum()

    def value(N):
        missed = xlogy(N - totals, (N - totals) / N)
        return gammaln(N + 1) - gammaln(N - n + 1) + (xlogy(totals, totals / N) + missed).sum()

    return value


def softmax_likelihood(counts, terms):
    """Profile log-likelihood of N for any model: multinomial cell probabilities by a general optimiser."""
    X = design(range(len(counts)), terms[:-1])
    n = counts.sum()
    start = np.zeros(X.shape[1])

    def value(N):
        y = counts.copy()
        y[0] = N - n

        def objective(beta):
            eta = X @ beta
            top = eta.max()
            weights = np.exp(eta - top)
            total = weights.sum()
            return top + np.log(total) - y @ eta / N, X.T @ (weights / total - y / N)

        found = minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 3000})
        return gammaln(N + 1) - gammaln(N - n + 1) - N * found.fun

    return value


def limits_of(counts, text, level=0.95):
    n_lists = len(counts).bit_length() - 1
    terms = terms_of(model_of(text, n_lists))
    fit = fit_model(counts, terms, n_lists)
    return fit, profile_of_model(counts, terms, n_lists, fit.n0, level)


def check(limits, likelihood, n, level=0.95, tolerance=1e-5):
    """The likelihood at each finite limit is below its maximum by half a chi-square quantile, and inside it is not."""
    drop = chi2.ppf(level, 1) / 2
    found = minimize_scalar(
        lambda t: -likelihood(n + np.exp(t)),
        bounds=(np.log(limits.maximiser - n) - 1, np.log(limits.maximiser - n) + 1),
        method="bounded",
        options={"xatol": 1e-9},
    )
    best = -found.fun
    assert np.exp(found.x) == pytest.approx(limits.maximiser - n, rel=1e-3)
    assert likelihood(limits.low) == pytest.approx(best - drop, abs=tolerance)
    assert likelihood(limits.high) == pytest.approx(best - drop, abs=tolerance)
    for N in np.linspace(limits.low, limits.high, 9)[1:-1]:
        assert likelihood(N) > best - drop
    for N in (n + 0.97 * (limits.low - n), limits.high * 1.03):
        assert likelihood(N) < best - drop


TABLES = {
    "two lists": [0, 30, 20, 10],
    "three lists": [0, 25, 18, 7, 31, 9, 4, 3],
    "four lists": [0, 25, 18, 7, 31, 9, 4, 3, 12, 6, 2, 1, 5, 3, 2, 2],
    "a face": [0, 25, 18, 7, 31, 9, 0, 3],
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_independence_against_its_closed_form(name, level):
    counts = np.array(TABLES[name], dtype=float)
    _, limits = limits_of(counts, "independence", level)
    check(limits, independence_likelihood(counts), counts.sum(), level)
    assert limits.reason == ""


@pytest.mark.parametrize("name", ["uk", "netherlands", "kosovo", "hares", "rome_hiv"])
def test_published_tables_under_independence(name):
    counts = dense_counts(hp.datasets.load(name))
    _, limits = limits_of(counts, "independence")
    check(limits, independence_likelihood(counts), counts.sum())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("three lists", "[12,3]"),
        ("three lists", "[12,13,23]"),
        ("four lists", "[123,34]"),
        ("a face", "[12,3]"),
    ],
)
def test_other_models_against_a_general_optimiser(name, text):
    counts = np.array(TABLES[name], dtype=float)
    _, limits = limits_of(counts, text)
    check(
        limits,
        softmax_likelihood(counts, terms_of(model_of(text, len(counts).bit_length() - 1))),
        counts.sum(),
        tolerance=1e-4,
    )


def test_the_two_direct_likelihoods_agree():
    counts = np.array(TABLES["three lists"], dtype=float)
    closed, general = independence_likelihood(counts), softmax_likelihood(counts, np.array([1, 2, 4, 0]))
    assert general(150.0) - general(300.0) == pytest.approx(closed(150.0) - closed(300.0), abs=1e-7)


def test_the_estimate_lies_inside_and_slightly_above_the_multinomial_maximum():
    counts = np.array(TABLES["three lists"], dtype=float)
    fit, limits = limits_of(counts, "independence")
    assert limits.low < limits.maximiser < counts.sum() + fit.n0 < limits.high


def test_hares_multinomial_maximum_is_the_known_one():
    _, limits = limits_of(dense_counts(hp.datasets.load("hares")), "independence")
    assert limits.maximiser == pytest.approx(74.3, abs=0.05)


def test_an_unbounded_model_has_a_lower_limit_only():
    counts = np.array([0.0, 30, 20, 0])
    fit, limits = limits_of(counts, "independence")
    assert fit.face.status == "unbounded"
    assert (limits.high, limits.maximiser) == (np.inf, np.inf)
    assert "no upper limit" in limits.reason
    likelihood = independence_likelihood(counts)
    assert likelihood(limits.low) == pytest.approx(likelihood(1e9) - chi2.ppf(0.95, 1) / 2, abs=1e-4)


def test_a_boundary_model_has_an_upper_limit_only():
    counts = np.array([0.0, 30, 0, 12])
    fit, limits = limits_of(counts, "independence")
    assert fit.face.status == "boundary"
    assert limits.low == limits.maximiser == 42
    likelihood = independence_likelihood(counts)
    assert likelihood(limits.high) == pytest.approx(likelihood(42.0) - chi2.ppf(0.95, 1) / 2, abs=1e-5)


def test_the_lower_limit_is_the_number_observed_when_nobody_need_be_missed():
    counts = np.array([0.0, 6, 6, 20])
    _, limits = limits_of(counts, "independence")
    likelihood = independence_likelihood(counts)
    assert limits.low == 32
    assert "do not exclude that nobody was missed" in limits.reason
    assert likelihood(32.0) > likelihood(limits.high)


def test_a_higher_level_gives_a_wider_interval():
    counts = np.array(TABLES["four lists"], dtype=float)
    inner, outer = (limits_of(counts, "[12,3,4]", level)[1] for level in (0.8, 0.95))
    assert outer.low < inner.low < inner.high < outer.high
    assert outer.maximiser == pytest.approx(inner.maximiser, rel=1e-6)


@pytest.mark.parametrize("x", [0.5, 3.0, 50.0, 9_999.0])
def test_stirling_remainder_by_its_definition(x):
    assert stirling_remainder(x) == pytest.approx(xlogy(x, x) - gammaln(x + 1) - x, abs=1e-9)


def test_stirling_remainder_of_large_numbers_is_half_a_logarithm():
    assert stirling_remainder(1e12) == pytest.approx(-0.5 * np.log(2 * np.pi * 1e12), abs=1e-12)
    assert stirling_remainder(1e4) == pytest.approx(stirling_remainder(np.nextafter(1e4, 0)), abs=1e-10)
