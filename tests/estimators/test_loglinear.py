"""`LogLinear`: estimates, intervals, details and goodness of fit against formulas written out here."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import gammaln, xlogy
from scipy.stats import binom, chi2, kstest, lognorm, norm, poisson
from tests.contract.cases import SPARSE, quietly, table_of
from tests.support.plain import dense_counts, design, statsmodels_fit, terms_of

from hiddenpop import CaptureTable, HierarchicalModel, LogLinear, datasets
from hiddenpop.errors import CapabilityError, EmptyListWarning, ModelError
from hiddenpop.estimators.outcome import limits_from_variance

TWO = (0, 30, 20, 10)
THREE = (0, 62, 45, 21, 38, 14, 11, 9)
NAMES = "abcdefghijkl"


def made(counts, **labels):
    return table_of(counts, NAMES[: len(counts).bit_length() - 1], **labels)


def fit(counts, **settings):
    return LogLinear(**settings).fit(made(counts))


# --- the estimate -----------------------------------------------------------------------------------------------------


def test_two_independent_lists_give_petersens_estimate():
    estimate = fit(TWO)
    assert estimate.n_hat == pytest.approx(40 * 30 / 10, rel=1e-12)
    # The delta-method variance of Petersen's estimate with Poisson variation: n1 n2 n10 n01 / m^3.
    assert estimate.details["n0_standard_error"] == pytest.approx(
        math.sqrt(40 * 30 * 30 * 20 / 10**3), rel=1e-9
    )


@pytest.mark.parametrize(
    ("model", "closed_form"),
    [
        # No highest-order term: the odds ratio of a and b is the same with and without c.
        ("all-pairs", lambda c: c[1] * c[2] * c[4] * c[7] / (c[3] * c[5] * c[6])),
        # b and c independent given a: among those not on a it is a two-list table.
        ("[12,13]", lambda c: c[2] * c[4] / c[6]),
        # c independent of a and b together: everyone on a or b, seen by c or not, tells how many c missed.
        ("[12,3]", lambda c: c[4] * (c[1] + c[2] + c[3]) / (c[5] + c[6] + c[7])),
    ],
)
def test_decomposable_models_of_three_lists_have_closed_forms(model, closed_form):
    assert fit(THREE, model=model).n_hidden == pytest.approx(closed_form(THREE), rel=1e-10)


@pytest.mark.parametrize("model", ["independence", "[12,3]", "[13,2]", "all-pairs"])
def test_the_poisson_fit_is_the_conditional_multinomial_fit(model):
    """Sanathanan (1972): maximise the likelihood of the cells given that they were seen, over log-linear parameters."""
    estimate = fit(THREE, model=model)
    terms = terms_of(HierarchicalModel.parse(model, n_lists=3))[:-1]
    rows, counts = design(range(1, 8), terms), np.array(THREE[1:], dtype=float)

    def minus_log_likelihood(coefficients):
        linear = rows @ coefficients
        return np.logaddexp.reduce(linear) * counts.sum() - counts @ linear

    found = minimize(minus_log_likelihood, np.zeros(len(terms)), method="BFGS", options={"gtol": 1e-8})
    hidden_per_seen = math.exp(-np.logaddexp.reduce(rows @ found.x))
    assert estimate.n_hat == pytest.approx(counts.sum() * (1 + hidden_per_seen), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("kosovo", "[123,14,34]"),
        ("uk_5", "[12,13,25,35,45]"),
        ("rome_hiv", "[12,3,4]"),
        ("hares", "independence"),
    ],
)
def test_fits_agree_with_statsmodels(name, model):
    table = datasets.load(name)
    estimate = LogLinear(model=model).fit(table)
    terms = terms_of(HierarchicalModel.parse(model, n_lists=table.n_lists))
    counts = dense_counts(table)
    cells = [
        w
        for w in range(1, len(counts))
        if all(counts[[v for v in range(1, len(counts)) if v & t == t]].any() for t in terms if w & t == t)
    ]
    alive = [t for t in terms if t == 0 or any(counts[v] for v in range(1, len(counts)) if v & t == t)]
    other = statsmodels_fit(design(cells, alive), counts[cells])
    coefficients = estimate.details["coefficients"]
    finite = np.isfinite(coefficients["estimate"])
    assert estimate.n_hidden == pytest.approx(math.exp(other.params[-1]), rel=1e-8)
    assert estimate.details["deviance"] == pytest.approx(other.deviance, rel=1e-8)
    assert coefficients["estimate"][finite].to_numpy() == pytest.approx(other.params, rel=1e-6, abs=1e-8)
    assert coefficients["standard_error"][finite].to_numpy() == pytest.approx(other.bse, rel=1e-6)


def test_the_same_model_can_be_written_in_four_ways():
    table = datasets.load("kosovo")
    names = [
        "[123,14,34]",
        "[EXH*ABA*OSCE,EXH*HRW,OSCE*HRW]",
        "OSCE*HRW + EXH*HRW + EXH*ABA*OSCE",
        HierarchicalModel(4, (0b0111, 0b1001, 0b1100)),
    ]
    fits = [LogLinear(model=name).fit(table) for name in names]
    assert {(e.n_hat, e.interval.low, e.interval.high, e.details["model"]) for e in fits} == {
        (fits[0].n_hat, fits[0].interval.low, fits[0].interval.high, "[123,14,34]")
    }
    assert {e.details["formula"] for e in fits} == {"EXH*ABA*OSCE + EXH*HRW + OSCE*HRW"}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("[12]", "leaves out c; every list needs its main effect"),
        ("[12,4]", "there is no list 4 among 3"),
        ("a*d + b + c", "there is no list 'd'; the lists are a, b, c"),
        ("[12,3", "opens a bracket that it does not close"),
        ("", "has an empty term"),
        ("a + b + c + a:b:c", "is not hierarchical"),
        (HierarchicalModel.independence(4), r"the model \[1,2,3,4\] is for 4 lists and made up has 3"),
    ],
)
def test_a_model_that_does_not_fit_the_table_is_refused(model, message):
    with pytest.raises(ModelError, match=message):
        fit(THREE, model=model)


@pytest.mark.parametrize("model", [5, None, ("12", "3")])
def test_a_model_that_is_no_model_is_refused_at_once(model):
    with pytest.raises(ModelError, match="is neither text such as"):
        LogLinear(model=model)


def test_an_empty_list_leaves_the_model_with_its_terms():
    frame = made(THREE).to_frame().assign(nobody=0)
    with pytest.warns(EmptyListWarning, match="'nobody' caught nobody"):
        wider = type(made(THREE)).from_counts(frame, lists=["a", "nobody", "b", "c"], public=True)
    with pytest.warns(EmptyListWarning, match="nobody caught nobody"):
        estimate = LogLinear(model="a*b*nobody + c").fit(wider)
    assert estimate.n_hat == pytest.approx(fit(THREE, model="[12,3]").n_hat, rel=1e-12)
    assert estimate.details["formula"] == "a*b + c"


# --- status -----------------------------------------------------------------------------------------------------------


def test_the_saturated_model_is_not_identified():
    estimate = fit(THREE, model="[123]")
    assert estimate.status == "not_identified"
    assert math.isnan(estimate.n_hat)
    assert (estimate.interval.low, estimate.interval.high) == (200, math.inf)
    assert "do not determine the dark figure" in estimate.reason


@pytest.mark.parametrize("interval", ["profile", "lognormal", "wald"])
def test_without_an_overlap_there_is_a_lower_limit_and_no_upper_one(interval):
    estimate = fit((0, 10, 20, 0), interval=interval)
    assert estimate.status == "unbounded"
    assert estimate.n_hat == estimate.interval.high == math.inf
    # Nobody on both lists has half its probability below .025 at the lower limit: a deviance of -2 log(.05).
    hidden = estimate.interval.low - 30
    expected = np.outer([10, 20 + hidden], [20, 10 + hidden])[[0, 0, 1], [0, 1, 1]] / estimate.interval.low
    observed = np.array([0, 10, hidden])
    deviance = 2 * np.sum(xlogy(observed, observed / expected)) + 2 * 20 * math.log(
        20 / (20 * (20 + hidden) / estimate.interval.low)
    )
    assert deviance == pytest.approx(-2 * math.log(0.05), rel=1e-4)
    assert estimate.interval.method.startswith("profile for few persons, mid-P, model taken as known")
    assert ("needs a finite dark figure" in estimate.interval.method) is (interval != "profile")
    assert "no upper limit" in estimate.details["profile_reason"]


def test_a_list_inside_another_pushes_the_dark_figure_to_nothing():
    estimate = quietly(fit, (0, 30, 0, 10))
    assert (estimate.status, estimate.n_hat, estimate.interval.low) == ("boundary", 40, 40)
    assert estimate.interval.high == pytest.approx(52.152, abs=0.01)


def test_a_face_is_told_and_its_cells_are_marked():
    estimate = LogLinear(model="[234,12]").fit(datasets.load("australia"))
    cells = estimate.details["cells"]
    off = cells[~cells["on_face"]]
    assert estimate.status == "ok"
    assert len(off) == 2
    assert (off[["count", "fitted", "residual"]] == 0).all(axis=None)
    assert {d.name: d.value for d in estimate.diagnostics} == {"face": 2}


# --- intervals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.99, 0.999])
def test_the_wald_interval_by_hand(level):
    estimate = fit(TWO, interval="wald", level=level)
    # var(log n0) = 1/n10 + 1/n01 + 1/m for n0 = n10 n01 / m.
    spread = norm.isf((1 - level) / 2) * math.sqrt(1 / 30 + 1 / 20 + 1 / 10)
    assert estimate.interval.low == pytest.approx(60 + 60 * math.exp(-spread), rel=1e-9)
    assert estimate.interval.high == pytest.approx(60 + 60 * math.exp(spread), rel=1e-9)
    assert estimate.interval.method == "Wald on the log dark figure, model taken as known"


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.99, 0.999])
def test_the_lognormal_interval_by_hand(level):
    estimate = fit(TWO, interval="lognormal", level=level)
    variance = 60 + 60**2 * (1 / 30 + 1 / 20 + 1 / 10)
    factor = math.exp(norm.isf((1 - level) / 2) * math.sqrt(math.log(1 + variance / 60**2)))
    assert estimate.interval.low == 60 + math.floor(60 / factor)
    assert estimate.interval.high == pytest.approx(60 + 60 * factor, rel=1e-9)
    assert estimate.interval.method == "log-normal, model taken as known"


@pytest.mark.parametrize("level", [1e-6, 0.5, 0.95, 0.999, 1 - 1e-12])
@pytest.mark.parametrize("n0", [1e-9, 0.4, 60.0, 1e9])
def test_limits_from_a_variance_are_quantiles_of_the_lognormal_law(n0, level):
    """Also where hardly anybody is hidden, whose standard error is many times the dark figure."""
    error = math.sqrt(n0 + n0**2 * 0.3)
    for method, spread in (("wald", math.sqrt(0.3)), ("lognormal", math.sqrt(math.log1p(error**2 / n0**2)))):
        law, tail = lognorm(spread, scale=n0), (1 - level) / 2
        low, high = limits_from_variance(n0, error, 0.3, level, method)
        exact = law.ppf(tail)
        whole = method == "lognormal" or exact < 1.0
        assert low == (math.floor(exact) if whole else pytest.approx(exact, rel=1e-9))
        assert high == pytest.approx(law.isf(tail), rel=1e-9)


@pytest.mark.parametrize("interval", ["lognormal", "wald"])
def test_limits_from_a_variance_do_not_exclude_that_nobody_is_hidden_by_a_fraction_of_a_person(interval):
    # The dark figure is 0.2, and its positive limits stand between 0 and 1.
    estimate = fit((0, 2, 3, 30), interval=interval)
    assert 0.0 < estimate.n_hidden < 1.0
    assert estimate.interval.low == estimate.n_observed


def test_the_wald_standard_error_is_that_of_r_run_to_the_end():
    # stats::glm(count ~ A + B + C, poisson, epsilon = 1e-14) in R 4.2.2: se(log dark figure) 0.4521565915822747.
    estimate = LogLinear(interval="wald").fit(datasets.load("artificial_3"))
    n0 = estimate.n_hidden
    assert math.log((estimate.interval.high - 96) / n0) / norm.isf(0.025) == pytest.approx(
        0.4521565915822747, rel=1e-8
    )


def binomial_profile(n_total, *list_sizes, n_observed):
    """Log-likelihood of N for independent lists, their probabilities at the maximum, for real N."""
    missed = [binomial_term(size, n_total) for size in list_sizes]
    return gammaln(n_total + 1) - gammaln(n_total - n_observed + 1) + sum(missed)


def binomial_term(size, n_total):
    rest = n_total - size
    return size * math.log(size / n_total) + (rest * math.log(rest / n_total) if rest > 0 else 0.0)


def limits_of(likelihood, n_observed, inside, level):
    """Limits by brute force: the maximum on a fine grid, then the two crossings."""
    grid = n_observed + np.concatenate([[0.0], np.geomspace(1e-4, 1e3 * n_observed, 20001)])
    values = np.array([likelihood(n) for n in grid])
    at = int(values.argmax())
    around = (float(grid[max(at - 1, 0)]), float(grid[at + 1]))
    found = minimize_scalar(
        lambda n: -likelihood(n), bounds=around, method="bounded", options={"xatol": 1e-10}
    )
    best = (
        float(found.x) if -found.fun > values[at] else float(grid[at])
    )  # the maximum may lie at the number observed
    target = likelihood(best) - chi2.ppf(level, 1) / 2
    low = (
        n_observed
        if likelihood(n_observed) >= target
        else brentq(lambda n: likelihood(n) - target, n_observed, best)
    )
    return low, brentq(lambda n: likelihood(n) - target, best, grid[-1])


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("counts", [TWO, (0, 13, 12, 11), (0, 500, 400, 3), (0, 5, 4, 40), THREE, SPARSE])
def test_the_profile_interval_under_independence_by_hand(counts, level):
    estimate = fit(counts, level=level)
    n_lists = len(counts).bit_length() - 1
    sizes = [sum(c for w, c in enumerate(counts) if w >> i & 1) for i in range(n_lists)]
    n = sum(counts)
    low, high = limits_of(
        lambda total: binomial_profile(total, *sizes, n_observed=n), n, estimate.n_hat, level
    )
    assert estimate.interval.low == pytest.approx(low, rel=1e-7)
    assert estimate.interval.high == pytest.approx(high, rel=1e-7)
    assert estimate.interval.method == "profile, model taken as known"


def test_the_profile_interval_of_a_joint_model_by_hand():
    # [12,3]: the four cells of a and b are free, c is independent of them.
    estimate = fit(THREE, model="[12,3]")
    n = sum(THREE)
    margins = [THREE[w] + THREE[w + 4] for w in (1, 2, 3)]
    on_c = sum(THREE[4:])

    def likelihood(total):
        neither = total - sum(margins)
        pairs = sum(m * math.log(m / total) for m in [*margins, neither])
        return gammaln(total + 1) - gammaln(total - n + 1) + pairs + binomial_term(on_c, total)

    low, high = limits_of(likelihood, n, estimate.n_hat, 0.95)
    assert estimate.interval.low == pytest.approx(low, rel=1e-7)
    assert estimate.interval.high == pytest.approx(high, rel=1e-7)


# Rcapture 1.4.4, closedpCI.t(m = "Mt"): the maximum of the multinomial profile and the 95 % limits. Rcapture looks
# for its maximum only up to three times N and uses a coarser form of log N! above 100.
RCAPTURE = {
    "artificial_3": (530.9357626722481, 285.5411197364996, 1267.5225970781257),
    "korea": (141.07586310084946, 130.9985201003531, 155.77242098780033),
    "rome_hiv": (11117.018923935022, 9531.735517643396, 13114.122641564793),
}


@pytest.mark.parametrize("name", RCAPTURE)
def test_the_profile_interval_is_that_of_rcapture(name):
    estimate = LogLinear().fit(datasets.load(name))
    maximum, low, high = RCAPTURE[name]
    assert estimate.interval.low == pytest.approx(low, rel=1e-4)
    assert estimate.interval.high == pytest.approx(high, rel=1e-4)
    assert estimate.details["profile_maximum"] == pytest.approx(maximum, rel=1e-4)


@pytest.mark.parametrize("interval", ["profile", "lognormal", "wald"])
@pytest.mark.parametrize("counts", [TWO, THREE, SPARSE])
def test_a_higher_level_gives_a_wider_interval_around_the_estimate(counts, interval):
    levels = [0.5, 0.8, 0.9, 0.95, 0.99, 0.999]
    fits = [fit(counts, interval=interval, level=level) for level in levels]
    lows, highs = np.array([(e.interval.low, e.interval.high) for e in fits]).T
    assert (np.diff(lows) <= 0).all()
    assert (np.diff(highs) > 0).all()
    assert lows[-1] >= sum(counts)


def test_the_profile_maximum_lies_just_below_the_estimate():
    estimate = LogLinear().fit(datasets.load("hares"))
    assert estimate.n_hat == pytest.approx(75.1, abs=0.05)
    assert estimate.details["profile_maximum"] == pytest.approx(74.3, abs=0.05)


# --- details ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["independence", "[12,3]", "all-pairs"])
def test_cells_hold_every_observable_history_with_its_fit(model):
    estimate = fit(THREE, model=model)
    cells = estimate.details["cells"]
    assert cells.columns.tolist() == ["a", "b", "c", "count", "fitted", "residual", "on_face"]
    assert cells["count"].tolist() == list(THREE[1:])
    assert cells[["a", "b", "c"]].to_numpy().tolist() == [[w >> i & 1 for i in range(3)] for w in range(1, 8)]
    assert cells["fitted"].sum() == pytest.approx(sum(THREE), rel=1e-10)
    by_hand = (cells["count"] - cells["fitted"]) / np.sqrt(cells["fitted"])
    assert cells["residual"].to_numpy() == pytest.approx(by_hand.to_numpy(), abs=1e-12)


def test_sufficient_margins_are_fitted_exactly():
    cells = fit(THREE, model="[12,3]").details["cells"]
    for margin in (["a", "b"], ["c"]):
        rows = cells[cells[margin].all(axis=1)]
        assert rows["fitted"].sum() == pytest.approx(rows["count"].sum(), rel=1e-10)


def test_criteria_by_hand():
    estimate = fit(THREE, model="[12,3]")
    cells = estimate.details["cells"]
    minus_twice = -2 * poisson.logpmf(cells["count"], cells["fitted"]).sum()
    p, n = 5, sum(THREE)
    criteria = estimate.details["criteria"]
    assert criteria["aic"] == pytest.approx(minus_twice + 2 * p, rel=1e-10)
    assert criteria["bic"] == pytest.approx(minus_twice + p * math.log(n), rel=1e-10)
    assert criteria["aicc"] == pytest.approx(minus_twice + 2 * p + 2 * (p * p + p) / (n - p - 1), rel=1e-10)


def test_coefficients_are_named_and_explained():
    frame = LogLinear(model="all-pairs").fit(datasets.load("new_orleans_5_185")).details["coefficients"]
    assert frame.columns.tolist() == ["term", "positions", "estimate", "standard_error", "note"]
    assert frame["term"].iloc[-1] == "intercept"
    lost = frame[frame["estimate"] == -math.inf]
    assert len(lost) == 3
    assert set(lost["note"]) == {"minus infinity: nobody is on all of these lists"}
    assert lost["standard_error"].isna().all()


def test_an_undetermined_coefficient_is_left_open():
    frame = LogLinear(model="[234,12]").fit(datasets.load("australia")).details["coefficients"]
    open_ones = frame[frame["estimate"].isna()]
    assert len(open_ones) > 0
    assert set(open_ones["note"]) == {"not determined by the data"}


# --- goodness of fit --------------------------------------------------------------------------------------------------


def test_goodness_of_fit_by_chi_square_where_fitted_counts_are_large():
    estimate = LogLinear(model="[123,14,34]").fit(datasets.load("kosovo"))
    found = estimate.details["goodness_of_fit"]
    assert (found["df"], found["p_method"]) == (4, "chi-square")
    assert found["p_deviance"] == pytest.approx(chi2.sf(found["deviance"], 4), rel=1e-9)
    assert found["p_pearson"] == pytest.approx(chi2.sf(found["pearson"], 4), rel=1e-9)
    residuals = estimate.details["cells"]["residual"]
    assert found["pearson"] == pytest.approx((residuals**2).sum(), rel=1e-12)


def test_goodness_of_fit_of_small_counts_needs_a_seed():
    table = datasets.load("western_us")
    without = LogLinear().fit(table).details["goodness_of_fit"]
    assert without["p_deviance"] is None
    assert "needs a seed" in without["p_method"]
    bootstrap = LogLinear().fit(table, rng=5).details["goodness_of_fit"]
    assert 1 / 1000 <= bootstrap["p_deviance"] <= 1
    assert bootstrap["p_method"] == "parametric bootstrap of the deviance, 999 tables"
    assert LogLinear().fit(table, rng=6).details["goodness_of_fit"]["p_deviance"] == pytest.approx(
        bootstrap["p_deviance"], abs=0.08
    )


def test_goodness_of_fit_has_nothing_to_say_of_as_many_parameters_as_cells():
    found = fit(THREE, model="all-pairs").details["goodness_of_fit"]
    assert found["df"] == 0
    assert found["p_deviance"] is None
    assert found["p_method"].startswith("none: the model has as many parameters")


def test_degrees_of_freedom_count_the_cells_and_the_rank_of_the_face():
    estimate = LogLinear(model="[234,12]").fit(datasets.load("australia"))
    # 15 observable cells, 2 of them off the face; 10 nominal parameters, of which the face determines 9.
    assert estimate.details["goodness_of_fit"]["df"] == 15 - 2 - 9


# --- by simulation ----------------------------------------------------------------------------------------------------


def draw_independent(rng, n_total, probabilities):
    caught = rng.random((n_total, len(probabilities))) < probabilities
    histories = caught @ (1 << np.arange(len(probabilities)))
    counts = np.bincount(histories, minlength=1 << len(probabilities))
    counts[0] = 0
    return tuple(int(count) for count in counts)


def assert_coverage_near(hits, trials, level):
    """Refuse a coverage that a true one within two points of `level` would give once in ten thousand studies."""
    assert binom.cdf(hits, trials, level - 0.02) > 1e-4
    assert binom.sf(hits - 1, trials, min(level + 0.02, 0.999)) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(
    ("n_total", "probabilities"), [(300, (0.3, 0.25, 0.2)), (2000, (0.15, 0.1, 0.05, 0.05))]
)
def test_the_profile_interval_covers_under_its_own_model(n_total, probabilities, level):
    rng, trials = np.random.default_rng(20260117), 1000
    hits = 0
    for _ in range(trials):
        hits += n_total in fit(draw_independent(rng, n_total, probabilities), level=level).interval
    assert_coverage_near(hits, trials, level)


@pytest.mark.slow
def test_the_bootstrap_p_value_is_uniform_under_the_model():
    rng, trials = np.random.default_rng(7), 300
    values = [
        LogLinear()
        .fit(made(draw_independent(rng, 150, (0.2, 0.15, 0.1, 0.1))), rng=rng)
        .details["goodness_of_fit"]
        for _ in range(trials)
    ]
    bootstrapped = [v["p_deviance"] for v in values if v["p_method"].startswith("parametric bootstrap")]
    assert len(bootstrapped) > 0.9 * trials
    assert kstest(bootstrapped, "uniform").pvalue > 1e-3


def test_a_residual_of_a_count_that_the_model_meets_is_zero_without_a_sign():
    table = table_of((0, 61, 84, 18, 39, 7, 14, 4), "abc")
    cells = LogLinear(model="[12,3]").fit(table).details["cells"]
    met = np.isclose(cells["fitted"], cells["count"], rtol=1e-12)
    assert met.any()
    assert not met.all()
    assert (cells["residual"][met] == 0.0).all()
    assert not np.signbit(cells["residual"][met]).any()
    assert (cells["residual"][~met].abs() > 1e-3).all()


@pytest.mark.parametrize(
    "estimator",
    [
        LogLinear(),
        LogLinear(model="[12,34]"),
        LogLinear(model="[123,14,34]", odds_ratios={("ABA", "HRW"): 0.5}),
        LogLinear(model="all-pairs", xi=2.0),
    ],
    ids=repr,
)
def test_statsmodels_fits_the_same_model(estimator):
    table = datasets.load("kosovo")
    glm, estimate = estimator.to_statsmodels(table), estimator.fit(table)
    found = glm.fit(tol=1e-12)
    hidden = math.exp(found.params["intercept"]) / estimator.xi
    assert table.n_observed + hidden == pytest.approx(estimate.n_hat, rel=1e-8)
    assert found.deviance == pytest.approx(estimate.details["deviance"], rel=1e-8)
    own = estimate.details["coefficients"].set_index("term")
    assert set(own.index) == set(glm.exog_names)
    assert found.params[own.index].tolist() == pytest.approx(own["estimate"].tolist(), abs=1e-8)
    assert found.bse[own.index].tolist() == pytest.approx(own["standard_error"].tolist(), rel=1e-6)


def test_statsmodels_is_given_no_list_that_caught_nobody_and_no_table_of_too_many():
    korea = datasets.load("korea")
    glm = LogLinear().to_statsmodels(korea)
    assert list(glm.exog_names) == ["intercept", *korea.lists]
    assert glm.endog.sum() == korea.n_observed
    names = [f"l{i:02}" for i in range(17)]
    wide = CaptureTable.from_memberships([[name] for name in names], lists=names, public=True)
    with pytest.raises(CapabilityError, match="at most 16 lists"):
        LogLinear().to_statsmodels(wide)
