"""Lists that do not operate everywhere: against years on their own, EM on a layout of its own, and a known truth."""

import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from formulaic import model_matrix

import hiddenpop as hp
from hiddenpop import CaptureTable, Coverage
from hiddenpop.errors import CapabilityError, HiddenpopWarning
from hiddenpop.estimators.covariate_design import _summed, covariate_design, model_cells, summed_lists
from hiddenpop.estimators.covariate_formula import model_of_table
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.estimators.covariate_outcome import passive_covariates
from hiddenpop.estimators.loglinear import LogLinear
from hiddenpop.estimators.selected_covariates import GapSearch, SelectedCovariateLogLinear
from hiddenpop.kernels.poisson.composite_link import fit_composite
from hiddenpop.kernels.poisson.hidden_cells import fit_hidden
from hiddenpop.kernels.search.stepwise import SearchSpace, stepwise_path
from hiddenpop.synthetic import scenario

SEPARATE = "(police + shelter + coordinator + prosecution)*year"
ALONE = "(police + shelter + coordinator)*year + prosecution"


def quietly(function, *args, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return function(*args, **settings)


def fit(table, model, rng=None, **settings):
    settings = {"interval": "lognormal", **settings}
    return quietly(CovariateLogLinear(model=model, **settings).fit, table, rng=rng)


def years(seed=1):
    return scenario("gap-years-four").draw(rng=seed)


def made(seed, absent, lists="abc", levels=None, mean=30.0, name="made"):
    """Counts of lists in strata, where ``absent`` gives the lists that are off in a level of the first covariate."""
    levels = levels or {"y": 3}
    rng = np.random.default_rng(seed)
    grid = np.indices((*(2,) * len(lists), *levels.values())).reshape(len(lists) + len(levels), -1).T
    effects = rng.normal(0, 0.35, (grid.shape[1], grid.shape[1]))
    counts = rng.poisson(mean * np.exp(np.einsum("ij,jk,ik->i", grid, effects, grid)))
    frame = pd.DataFrame(grid, columns=[*lists, *levels]).assign(count=counts)
    first = next(iter(levels))
    for level, off in absent.items():
        frame.loc[frame[first] == level, list(off)] = 0
    frame = frame[frame[list(lists)].any(axis=1)].groupby([*lists, *levels], as_index=False).sum()
    operates = {x: [y for y in range(levels[first]) if x not in absent.get(y, "")] for x in lists}
    coverage = [Coverage(x, first, tuple(ys)) for x, ys in operates.items() if len(ys) < levels[first]]
    return quietly(
        CaptureTable.from_counts, frame, lists=list(lists), strata=list(levels), coverage=coverage, name=name,
        public=True,
    )  # fmt: skip


# --- years that stand alone -------------------------------------------------------------------------------------------


def test_a_year_that_stands_alone_has_the_answer_of_its_own_table():
    table = years()
    estimate = fit(table, SEPARATE)
    for _, row in estimate.by_stratum.iterrows():
        alone = quietly(table.select, year=row["year"])
        alone = alone.drop_list("prosecution") if row["year"] in ("2015", "2016") else alone
        reference = quietly(LogLinear(model=" + ".join(alone.lists), interval="lognormal").fit, alone)
        assert row["n_hat"] == pytest.approx(reference.n_hat, rel=1e-9)
    assert estimate.status == "ok"
    assert {d.name: d.value for d in estimate.diagnostics}["gap"] == 2


def test_a_list_that_interacts_with_nothing_factors_out_where_it_is_absent():
    table = years(2)
    estimate = fit(table, ALONE)
    without = fit(
        table.select(year=["2015", "2016"]).drop_list("prosecution"), "(police+shelter+coordinator)*year"
    )
    absent = estimate.by_stratum.head(2)
    pd.testing.assert_frame_equal(absent, without.by_stratum, rtol=1e-7)


def test_years_without_a_gap_are_those_of_statsmodels():
    table = years(3)
    estimate = fit(table, ALONE)
    present = table.select(year=["2017", "2018", "2019"])
    cells = present.to_frame()
    grid = pd.DataFrame(
        [(*on, y) for y in ("2017", "2018", "2019") for on in itertools.product((0, 1), repeat=4)],
        columns=[*table.lists, "year"],
    )
    cells["year"] = cells["year"].astype(str)
    full = grid.merge(cells, how="left").fillna({"count": 0})
    X = model_matrix(ALONE, full)
    seen = full[list(table.lists)].any(axis=1)
    reference = sm.GLM(full.loc[seen, "count"], X[seen], family=sm.families.Poisson()).fit(tol=1e-12)
    hidden = np.exp(X[~seen].to_numpy() @ reference.params.to_numpy())
    own = estimate.by_stratum.tail(3)
    np.testing.assert_allclose(own["n_hat"] - own["n_observed"], hidden, rtol=1e-6)


# --- sums that are not log-linear -------------------------------------------------------------------------------------


def em_by_frames(table, formula, steps, impossible=lambda full: np.zeros(len(full), dtype=bool)):
    """Hidden persons by stratum by EM over a frame of full cells; columns by formulaic, fits by statsmodels."""
    covariates = list(table.strata.columns)
    strata = table.strata.drop_duplicates().sort_values(covariates)
    grid = pd.DataFrame(list(itertools.product((0, 1), repeat=table.n_lists)), columns=list(table.lists))
    full = strata.merge(grid, how="cross")
    full = full[~impossible(full)].reset_index(drop=True)
    seen = full.copy()
    for rule in table.coverage:
        seen.loc[~full[rule.covariate].isin(rule.levels), rule.list] = 0
    counts = table.to_frame().astype(dict.fromkeys(covariates, str))
    observed = seen.merge(counts, how="left").fillna({"count": 0})["count"].to_numpy(dtype=float)
    row = seen.groupby([*covariates, *table.lists]).ngroup().to_numpy()
    caught = seen[list(table.lists)].any(axis=1).to_numpy()
    X = model_matrix(formula, full).to_numpy(dtype=float)
    means, start = np.ones(len(full)), None
    for _ in range(steps):
        spread = observed * means / np.bincount(row, means)[row]
        result = sm.GLM(spread[caught], X[caught], family=sm.families.Poisson()).fit(start_params=start)
        start = result.params
        means = np.exp(X @ start)
    missed = full[~caught].assign(hidden=means[~caught])
    return missed.groupby(covariates, as_index=False)["hidden"].sum()["hidden"].to_numpy()


@pytest.mark.parametrize(
    ("formula", "absent", "levels"),
    [
        ("a*c + b + y", {0: "c"}, None),
        ("a*c + b*y", {0: "c"}, None),
        ("a*c + b*c + a*y", {0: "c", 1: "a"}, None),
        ("a*c + b*s + y", {0: "c"}, {"y": 2, "s": 2}),
    ],
)
def test_sums_have_the_answer_of_em(formula, absent, levels):
    table = made(5, absent, levels=levels)
    estimate = fit(table, formula)
    hidden = em_by_frames(table, formula, 400)
    assert "numerical_maximum" in {d.name for d in estimate.diagnostics}
    np.testing.assert_allclose(
        estimate.by_stratum["n_hat"] - estimate.by_stratum["n_observed"], hidden, rtol=5e-3
    )


@pytest.mark.parametrize("formula", ["b*c + a + y", "a + b + c + y"])
def test_structural_zeros_are_no_part_of_a_sum(formula):
    table = made(6, {0: "c"})
    frame = table.to_frame()
    frame = frame[~((frame.a == 1) & (frame.c == 1))]
    table = quietly(
        CaptureTable.from_counts, frame, lists=list("abc"), strata=["y"], coverage=table.coverage, public=True
    )
    estimate = fit(table, formula, structural_zeros="a*c")
    hidden = em_by_frames(table, formula, 400, lambda full: (full.a == 1) & (full.c == 1))
    np.testing.assert_allclose(
        estimate.by_stratum["n_hat"] - estimate.by_stratum["n_observed"], hidden, rtol=5e-3
    )
    free = fit(table, formula)
    assert abs(free.n_hat - estimate.n_hat) > 1.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("formula", "absent", "lists"),
    [
        ("(a+b+c)*y", {0: "c"}, "abc"),
        ("(a+b)*y + c", {1: "c", 2: "c"}, "abc"),
        ("(a+b+c)*y + a*c", {0: "c"}, "abc"),
        ("(a+b+c)*y + c*d*y + a*b", {0: "cd", 1: "d"}, "abcd"),
    ],
)
def test_what_is_absorbed_has_the_same_fit_as_all_its_cells(formula, absent, lists, seed):
    table = made(seed, absent, lists=lists)
    model = model_of_table(formula, table)
    design = covariate_design(table, covariates=model.covariates, estimator="test")
    terms = model.onto(design.factors).terms
    assert summed_lists(design, terms) == 0
    cells = model_cells(design, terms)
    whole = fit_composite(_summed(design, terms, design.sometimes_absent), design.counts)
    exact = fit_hidden(cells.design, cells.hidden, design.counts)
    assert whole.hidden_status.tolist() == exact.hidden_status.tolist()
    np.testing.assert_allclose(whole.means, exact.means, rtol=1e-6)
    np.testing.assert_allclose(whole.hidden_means, exact.hidden_means, rtol=1e-6)


@pytest.mark.parametrize(
    ("formula", "absent", "coding"),
    [
        ("a*c + b + y", {0: "c"}, ()),
        ("(a+b+c)*y + a*b + a*c + b*c", {0: "b"}, ()),
        ("(a+b)*y + c", {0: "c"}, {"y": "linear"}),
        ("a*b*y + b*c", {0: "b"}, ()),
    ],
)
def test_what_is_not_absorbed_is_summed(formula, absent, coding):
    table = made(1, absent)
    estimate = fit(table, formula, coding=coding)
    assert "numerical_maximum" in {d.name for d in estimate.diagnostics}


# --- what cannot be known ---------------------------------------------------------------------------------------------


def test_one_operating_list_in_every_stratum_has_no_answer():
    table = made(1, {0: "b", 1: "a"}, lists="ab", levels={"y": 2})
    for model in ("a + b + y", "(a + b)*y"):
        estimate = fit(table, model)
        assert estimate.status == "not_identified"
        assert math.isnan(estimate.n_hat)
        assert (estimate.by_stratum["status"] == "not_identified").all()


def test_two_lists_that_never_operate_together_may_not_interact():
    table = made(2, {0: "c", 1: "b", 2: "c"})
    free, tied = fit(table, "a + b + c + y"), fit(table, "a + b*c + y")
    assert free.status == tied.status == "ok"
    assert tied.n_hat == pytest.approx(free.n_hat, rel=1e-6)
    coefficients = tied.details["coefficients"].set_index("term")
    assert coefficients.loc["b*c", "note"] == "not determined by the data"
    assert tied.details["n_parameters"] == free.details["n_parameters"]
    assert fit(table, "a*b + a*c + b*c + y").status == "not_identified"


def test_a_list_may_be_absent_everywhere_but_in_one_stratum():
    table = made(3, {0: "c", 1: "c", 2: "c", 3: "c"}, levels={"y": 5}, mean=60.0)
    estimate = fit(table, "(a + b)*y + c")
    assert estimate.status == "ok"
    exact = [fit(table.select(y=str(y)).drop_list("c"), "a + b").n_hat for y in range(4)]
    np.testing.assert_allclose(estimate.by_stratum["n_hat"][:4], exact, rtol=1e-7)


def test_a_covariate_that_coverage_depends_on_must_be_in_the_model():
    with pytest.raises(CapabilityError, match=r"prosecution did not operate .* add \+ year to the model"):
        fit(years(), "police + shelter + coordinator + prosecution")


def test_coverage_that_leaves_nothing_out_changes_nothing():
    table = made(4, {})
    covered = quietly(
        CaptureTable.from_counts, table.to_frame(), lists=list("abc"), strata=["y"], public=True, name="made",
        coverage=[Coverage("c", "y", ("0", "1", "2"))],
    )  # fmt: skip
    one, other = fit(table, "a*c + b*y"), fit(covered, "a*c + b*y")
    pd.testing.assert_frame_equal(one.by_stratum, other.by_stratum)
    assert "gap" not in {d.name for d in other.diagnostics}


@pytest.mark.parametrize("formula", ["(a+b+c)*y", "a*c + b*y"])
def test_large_counts_keep_their_digits(formula):
    table = made(5, {0: "c"})
    frame = table.to_frame().assign(count=lambda f: f["count"] * 10**7)
    large = quietly(
        CaptureTable.from_counts, frame, lists=list("abc"), strata=["y"], coverage=table.coverage, public=True
    )
    assert large.n_observed > 10**9
    assert fit(large, formula).n_hat == pytest.approx(fit(table, formula).n_hat * 10**7, rel=1e-6)


# --- intervals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formula", ["(a+b+c)*y", "a*c + b + y"])
def test_bootstrap_and_delta_method_agree_in_a_large_table(formula):
    table = made(7, {0: "c"}, mean=300.0)
    quick = fit(table, formula)
    slow = fit(table, formula, rng=1, interval="bootstrap", n_boot=400)
    width = quick.interval.high - quick.interval.low
    assert slow.interval.high - slow.interval.low == pytest.approx(width, rel=0.15)
    np.testing.assert_allclose(slow.stratum_draws.sum(axis=1), slow.draws)
    widths = [(e.by_stratum["high"] - e.by_stratum["low"]).to_numpy() for e in (slow, quick)]
    np.testing.assert_allclose(widths[0], widths[1], rtol=0.2)
    for _, row in slow.by_stratum.iterrows():
        assert row["low"] < row["n_hat"] < row["high"]


def test_one_seed_gives_the_same_bytes_on_any_number_of_workers():
    table = made(8, {0: "c"})
    settings = {"rng": 5, "interval": "bootstrap", "n_boot": 220}
    one = fit(table, "a*c + b + y", **settings)
    with hp.parallel(workers=2):
        two = fit(table, "a*c + b + y", **settings)
    assert one.draws.tobytes() == two.draws.tobytes()
    assert one.to_dict() == two.to_dict()


# --- the search -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formula", ["all-pairs", "a*b*c + (a + b + c + d)*y"])
def test_without_gaps_the_plain_search_takes_the_path_of_the_quick_one(formula):
    table = made(9, {}, lists="abcd", levels={"y": 2}, mean=8.0)
    model = model_of_table(formula, table)
    design = covariate_design(table, covariates=model.covariates, estimator="test")
    maximal = model.onto(design.factors)
    minimal = frozenset(term for term in maximal.terms if term.bit_count() == 1)
    columns, _, term_of = design.columns(maximal.terms)
    penalties = [math.log(design.n_observed), 2.0, 1.0]
    quick = stepwise_path(SearchSpace(columns, term_of, maximal.terms, minimal, design.counts), penalties)
    plain = GapSearch(design, minimal, maximal.terms).path(penalties)
    assert [(s.change, s.included, s.n_parameters) for s in plain] == [
        (s.change, s.included, s.n_parameters) for s in quick
    ]
    np.testing.assert_allclose([s.deviance for s in plain], [s.deviance for s in quick], rtol=1e-7)


def test_a_term_is_dropped_only_when_it_is_part_of_no_other():
    table = made(9, {})
    design = covariate_design(table, covariates=("y",), estimator="test")
    search = GapSearch(design, frozenset({1, 2, 4, 8}), (1, 2, 4, 8, 3, 5, 6, 9, 7))
    assert list(search._moves({1, 2, 4, 8, 3, 5, 6, 7}, may_drop=True)) == [7, 9]
    assert list(search._moves({1, 2, 4, 8, 3, 5}, may_drop=True)) == [3, 5, 6, 9]
    assert list(search._moves({1, 2, 4, 8, 3, 5}, may_drop=False)) == [6, 9]


def test_every_model_of_the_path_is_the_model_fitted_alone():
    table = made(10, {0: "c"}, lists="abcd", levels={"y": 2}, mean=60.0)
    estimate = quietly(SelectedCovariateLogLinear(interval="lognormal").fit, table)
    path = estimate.details["path"]
    assert len(path) > 2
    for _, row in path.iterrows():
        alone = fit(table, row["model"])
        assert (alone.status, alone.details["n_parameters"]) == (row["status"], row["n_parameters"])
        assert alone.details["deviance"] == pytest.approx(row["deviance"], abs=1e-7)
        assert alone.details["criteria"]["bic"] == pytest.approx(row["bic"])
        assert alone.n_hat == pytest.approx(row["n_hat"], rel=1e-7, nan_ok=True)


def test_the_search_finds_what_makes_a_gap_matter():
    estimate = quietly(SelectedCovariateLogLinear(interval="lognormal").fit, years())
    assert "prosecution*year" in estimate.details["model"]
    assert estimate.status == "ok"


# --- passive covariates -----------------------------------------------------------------------------------------------


def test_a_covariate_that_coverage_depends_on_is_active():
    table = made(1, {0: "c"})
    roles = passive_covariates("a*b + c + y", table)
    assert roles["role"].tolist() == ["active"]
    assert roles["why"].tolist() == ["c operates only in some of its levels"]
    whole = made(1, {})
    assert passive_covariates("a*b + c + y", whole)["role"].tolist() == ["passive"]


@pytest.mark.parametrize(
    ("formula", "role"),
    [
        ("(a+b+c)*y + a*s", "passive"),
        ("(a+b+c)*y + c*s", "passive"),
        ("(a+b)*y + c*s", "active"),
        ("(a+b)*y + c + s", "passive"),
        ("a*c + b + y + s*y", "passive"),
        ("a*c + b*y + b*s", "passive"),
        ("a*c + b + y + a*s", "passive"),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_leaving_a_passive_covariate_out_changes_nothing(formula, role, seed):
    table = made(seed, {0: "c"}, levels={"y": 2, "s": 2})
    roles = passive_covariates(formula, table).set_index("covariate")["role"]
    assert roles["s"] == role
    if role == "passive":
        whole = fit(table, formula)
        less = " + ".join(part for part in formula.split(" + ") if "s" not in part)
        if "*s" in formula and less == formula:
            pytest.fail("the covariate is still there")
        less = less + (" + y" if formula.endswith("s*y") else "")
        assert fit(table, less).n_hat == pytest.approx(whole.n_hat, rel=1e-6)


# --- a known truth ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_truth_of_a_list_that_starts_later_is_found():
    world, n_tables, n_boots = scenario("gap-years-four"), 600, 200
    sizes, covered, wrong, confident, years = [], 0, [], 0, []
    persons = world.truth_by_stratum()["n"].to_numpy()
    for seed in range(n_tables):
        table = world.draw(rng=seed)
        sizes.append(fit(table, SEPARATE).n_hat)
        if seed < n_boots:
            estimate = fit(table, SEPARATE, rng=seed, interval="bootstrap", n_boot=200)
            limits, parts = estimate.interval, estimate.by_stratum
            covered += limits.low <= world.truth <= limits.high
            years.append(((parts["low"] <= persons) & (persons <= parts["high"])).to_numpy())
            plain = CaptureTable.from_counts(
                table.to_frame(), lists=list(table.lists), strata=["year"], public=True
            )
            naive = fit(plain, ALONE)
            wrong.append(naive.n_hat)
            confident += naive.interval.low <= world.truth <= naive.interval.high
    error = np.std(sizes, ddof=1) / math.sqrt(n_tables)
    assert abs(np.mean(sizes) - world.truth) < 2 * error
    assert abs(covered - 0.95 * n_boots) <= 3 * math.sqrt(0.95 * 0.05 * n_boots)
    assert 0.92 <= np.mean(years) <= 0.98
    assert np.mean(years, axis=0).min() >= 0.9
    print(f"N {np.mean(sizes):.0f} of {world.truth}, error {error:.0f}, {covered} of {n_boots} covered")  # noqa: T201
    print(f"gaps read as zeros: N {np.mean(wrong):.0f}, {confident} of {n_boots} covered")  # noqa: T201
    assert abs(np.mean(wrong) - world.truth) > 10 * error
    assert confident < 0.8 * n_boots


@pytest.mark.slow
def test_the_truth_is_found_where_counts_are_sums():
    world, n_tables = scenario("gap-years-four"), 100
    fits = [fit(world.draw(rng=seed), "all-pairs") for seed in range(n_tables)]
    assert all(estimate.status == "ok" for estimate in fits)
    assert all("numerical_maximum" in {d.name for d in estimate.diagnostics} for estimate in fits)
    sizes = np.array([estimate.n_hat for estimate in fits])
    covered = sum(estimate.interval.low <= world.truth <= estimate.interval.high for estimate in fits)
    assert abs(sizes.mean() - world.truth) < 2 * sizes.std(ddof=1) / math.sqrt(n_tables)
    assert abs(covered - 0.95 * n_tables) <= 3 * math.sqrt(0.95 * 0.05 * n_tables)
