"""Profile limits against the multinomial likelihood itself, written down directly and maximised by other means."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import gammaincc, gammaln, xlogy
from scipy.stats import chi2, hypergeom, poisson
from tests.support.plain import dense_counts, design, model_of, terms_of

import hiddenpop as hp
from hiddenpop.kernels.poisson.model_fit import fit_model, hidden_profile
from hiddenpop.kernels.poisson.profile import (
    FEW_PERSONS,
    HiddenProfile,
    chi_square_drop,
    fall_limits,
    mid_p_drop,
    profile_limits,
    stirling_remainder,
)


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
    return fit, cormack_limits(counts, terms, n_lists, fit, level)


def cormack_limits(counts, terms, n_lists, fit, level=0.95):
    """Limits by the multinomial likelihood, however few persons carry the estimate."""
    profile = hidden_profile(counts, terms, n_lists, fit)
    return profile_limits(replace(profile, information=np.inf), level)


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


def few_limits(counts, text="independence", level=0.95):
    """Limits as the package gives them, and how far the conditional deviance rises there."""
    n_lists = len(counts).bit_length() - 1
    terms = terms_of(model_of(text, n_lists))
    fit = fit_model(counts, terms, n_lists)
    profile = hidden_profile(counts, terms, n_lists, fit)
    identified = fit.face.status != "not_identified"
    return fit, profile, profile_limits(profile, level) if identified else None


def test_an_unbounded_model_has_a_lower_limit_only():
    counts = np.array([0.0, 30, 20, 0])
    fit, profile, limits = few_limits(counts)
    assert (fit.face.status, profile.information) == ("unbounded", 0.0)
    assert (limits.high, limits.maximiser) == (np.inf, np.inf)
    assert "no upper limit" in limits.reason
    assert "few persons" in limits.method
    # Half the probability of nobody on both lists, exp(-30 * 20 / n0) for many hidden, is .025 at the limit.
    assert two_lists_deviance(30, 20, 0, limits.low - 50) == pytest.approx(-2 * np.log(0.05), rel=1e-4)


def test_a_boundary_model_has_an_upper_limit_only():
    counts = np.array([0.0, 30, 0, 12])
    fit, _, limits = few_limits(counts)
    assert fit.face.status == "boundary"
    assert limits.low == limits.maximiser == 42
    # All 12 of the second list are on the first, which holds a share 42 / N.
    assert two_lists_deviance(30, 0, 12, limits.high - 42) == pytest.approx(-2 * np.log(0.05), rel=1e-6)


def two_lists_deviance(first, second, both, n0):
    """Deviance of independence in a table of four cells, from the textbook."""
    table = np.array([[both, first], [second, n0]], dtype=float)
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    return 2 * (xlogy(table, table) - xlogy(table, expected)).sum()


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("counts", [(1, 9, 4), (9, 1, 40), (300, 5, 1), (2, 2, 2), (0, 7, 3), (0, 0, 9)])
def test_two_lists_with_few_persons_against_the_textbook_deviance(counts, level):
    _, profile, limits = few_limits(np.array([0.0, *counts]), level=level)
    assert profile.information < FEW_PERSONS
    n = sum(counts)
    drop = mid_p_drop(profile.information, level)
    for limit in (limits.low, limits.high):
        if n < limit < np.inf:
            assert two_lists_deviance(*counts, limit - n) == pytest.approx(drop, rel=1e-5)
    if limits.low == n:
        assert two_lists_deviance(*counts, 0.0) <= drop


@pytest.mark.parametrize(
    "counts", [(1, 9, 4), (9, 1, 40), (300, 5, 1), (0, 30, 12), (0, 400, 3), (60, 50, 0)]
)
def test_two_lists_with_few_persons_against_the_exact_law_of_the_overlap(counts):
    """At each limit the hypergeometric overlap has a mid-P tail near half of 5 %."""
    _, _, limits = few_limits(np.array([0.0, *counts]))
    first, second = counts[0] + counts[2], counts[1] + counts[2]
    for limit, side in ((limits.low, -1), (limits.high, 1)):
        if sum(counts) < limit < np.inf:
            law = hypergeom(round(limit), first, second)
            at_overlap = law.pmf(counts[2])
            tail = (law.sf(counts[2]) if side > 0 else law.cdf(counts[2] - 1)) + at_overlap / 2
            assert 0.012 < tail < 0.045


@pytest.mark.parametrize("information", [0.0, 1e-12, 1e-6, 1e-3, 0.3, 1.0, 4.0, 40.0])
@pytest.mark.parametrize("level", [0.02, 0.5, 0.95, 0.999])
def test_the_mid_p_drop_by_its_definition(information, level):
    drop = mid_p_drop(information, level)
    k = information

    def deviance(mean):
        return 2 * (mean - k - xlogy(k, mean / k if k else 1.0))

    mean = brentq(lambda m: deviance(m) - drop, k, k + 200)
    below = gammaincc(k, mean) if k else 0.0
    assert (below + gammaincc(k + 1, mean)) / 2 == pytest.approx((1 - level) / 2, rel=1e-6)
    if k == int(k):
        counted = poisson(mean)
        assert counted.cdf(k - 1) + counted.pmf(k) / 2 == pytest.approx((1 - level) / 2, rel=1e-6)
    assert drop > chi2.ppf(level, 1)


@pytest.mark.parametrize("level", [1e-6, 0.02, 0.5, 0.95, 0.999, 1 - 1e-9])
def test_the_chi_square_drop_is_half_a_quantile(level):
    assert chi_square_drop(level) == pytest.approx(chi2.ppf(level, 1) / 2, rel=1e-9)


@pytest.mark.parametrize("hidden", [0.0, 1e-9, 0.01, 1.0, 30.0, 1e7])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_limits_of_a_poisson_count_are_where_its_deviance_says(hidden, level):
    """Also of a dark figure of nobody or of hardly anybody, whose lower limit is nobody or hardly less."""

    def deviance(mean):
        return 2 * (mean - hidden - xlogy(hidden, mean / hidden if hidden else 1.0))

    drop = chi_square_drop(level)
    low, high = fall_limits(HiddenProfile(1000.0, hidden, hidden, deviance), drop)
    assert high == pytest.approx(brentq(lambda m: deviance(m) / 2 - drop, hidden, 2 * hidden + 50), rel=1e-8)
    if hidden < 1e-6:  # the smallest dark figure that is looked at
        assert low == 0.0
    else:
        theirs = brentq(lambda m: deviance(m) / 2 - drop, hidden * np.exp(-drop / hidden - 2), hidden)
        assert low == pytest.approx(theirs, rel=1e-8, abs=1e-6)


def test_with_much_information_the_drop_is_that_of_chi_square():
    assert mid_p_drop(1e8, 0.95) == pytest.approx(chi2.ppf(0.95, 1), rel=1e-3)


ADDED_TO = [
    (text, history)
    for text, histories in {"independence": (1, 2), "[12,13,23]": (1, 2, 4, 7), "[12,3]": (4,)}.items()
    for history in histories
]


@pytest.mark.parametrize(("text", "history"), ADDED_TO)
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_a_person_more_in_an_empty_cell_that_raises_the_estimate_does_not_lower_the_upper_limit(
    text, history, level
):
    rng = np.random.default_rng(3)
    n_lists = 2 if text == "independence" else 3
    for _ in range(15):
        counts = np.append(0.0, rng.poisson(rng.choice([0.7, 3.0, 20.0], size=2**n_lists - 1)))
        counts[history] = 0.0
        more = counts.copy()
        more[history] = 1.0
        before, after = (few_limits(table, text, level) for table in (counts, more))
        if before[2] is None or after[2] is None or after[0].n0 < before[0].n0:
            continue
        assert after[2].high >= before[2].high * (1 - 1e-9)


def test_the_lower_limit_is_the_number_observed_when_nobody_need_be_missed():
    counts = np.array([0.0, 6, 6, 20])
    _, limits = limits_of(counts, "independence")
    likelihood = independence_likelihood(counts)
    assert limits.low == 32
    assert "do not exclude that nobody was missed" in limits.reason
    assert likelihood(32.0) > likelihood(limits.high)


@pytest.mark.parametrize("counts", [(8, 8, 60), (6, 7, 90), (20, 12, 2000)])
def test_at_a_low_level_the_interval_holds_the_estimate(counts):
    """The multinomial likelihood favours nobody missed, and its interval at level .5 may leave the estimate out."""
    table = np.array([0.0, *counts])
    terms = terms_of(model_of("independence", 2))
    fit = fit_model(table, terms, 2)
    profile = hidden_profile(table, terms, 2, fit)
    for level in (0.02, 0.1, 0.5, 0.999):
        limits = profile_limits(replace(profile, information=max(profile.information, 50.0)), level)
        assert limits.low <= table.sum() + fit.n0 <= limits.high


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
