import dataclasses
import json
import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import xlogy
from scipy.stats import norm
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import (
    CollapsedStrataWarning,
    HiddenpopWarning,
    ModelError,
    SettingError,
    TableError,
)
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.estimators.loglinear import LogLinear
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.registry import build
from hiddenpop.table import CaptureTable

PATH = "hiddenpop.estimators.covariate_loglinear:CovariateLogLinear"


def fit(table, model, rng=None, **settings):
    settings = {"interval": "lognormal", **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return CovariateLogLinear(model=model, **settings).fit(table, rng=rng)


def table(rows, lists="abc", strata=("s", "y"), **labels):
    frame = pd.DataFrame(rows, columns=[*lists, *strata, "count"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return CaptureTable.from_counts(
            frame, lists=list(lists), strata=list(strata), **{"public": True, "name": "made", **labels}
        )


def random_table(seed, n_lists=3, levels=(2, 3), mean=8.0):
    rng = np.random.default_rng(seed)
    grid = np.indices((*(2,) * n_lists, *levels)).reshape(n_lists + len(levels), -1).T
    grid = grid[grid[:, :n_lists].any(axis=1)]
    effects = rng.normal(0, 0.3, (grid.shape[1], grid.shape[1]))
    counts = rng.poisson(mean * np.exp(np.einsum("ij,jk,ik->i", grid, effects, grid)))
    return table(np.column_stack([grid, counts]).tolist(), "abcdef"[:n_lists], "syz"[: len(levels)])


# --- against other routes ---------------------------------------------------------------------------------------------


def reference(captures, formula, lists, strata):
    """Dark figure by stratum, means and deviance: model columns by formulaic, the fit by statsmodels."""
    from formulaic import model_matrix

    names = [*lists, *strata]
    grid = pd.MultiIndex.from_product(
        [[0, 1]] * len(lists) + [sorted(captures.strata[name].unique()) for name in strata], names=names
    )
    counts = captures.to_frame().groupby(names)["count"].sum().reindex(grid, fill_value=0)
    frame = grid.to_frame(index=False)
    matrix = np.asarray(model_matrix(formula, frame), dtype=float)
    seen = frame[list(lists)].any(axis=1).to_numpy()
    y = counts.to_numpy()[seen].astype(float)
    made = sm.GLM(y, matrix[seen], family=sm.families.Poisson()).fit(maxiter=300, tol=1e-14)
    hidden = np.exp(matrix[~seen] @ made.params)
    deviance = 2 * (xlogy(y, y / made.mu) - (y - made.mu)).sum()
    return hidden, pd.Series(made.mu, index=grid[seen]), deviance, made


FORMULAS = [
    ("a + b + c + s + y", "a + b + c + s + y", {}),
    ("a*b + c*s + s*y", "a*b + c*s + s*y", {}),
    ("a*s + b*y + a*c", "a*s + b*y + a*c", {}),
    ("a*b*s + c*y", "a*b*s + c*y", {}),
    (".**2", "(a + b + c + s + y)**2", {}),
    ("a*y + b*c + s", "a*(y.astype(float)) + b*c + s", {"coding": {"y": "linear"}}),
    ("a*b + poly(y, 2)*c + s", "a*b + c*y + s", {}),
    ("a*y + b + c + s", "a*poly(y.astype(float), 1) + b + c + s", {"coding": {"y": "poly(1)"}}),
    ("a*b + c*y + s", "a*b + c*{y.astype(float)**2} + s", {"coding": {"y": {"0": 5, "1": 6, "2": 9}}}),
]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("formula", "theirs", "settings"), FORMULAS)
def test_a_fit_is_that_of_a_poisson_regression_with_the_same_columns(formula, theirs, settings, seed):
    captures = random_table(seed)
    estimate = fit(captures, formula, **settings)
    hidden, means, deviance, made = reference(captures, theirs, "abc", "sy")
    assert estimate.status == "ok"
    assert estimate.n_hat == pytest.approx(captures.n_observed + hidden.sum(), rel=1e-8)
    cells = estimate.details["cells"].set_index(["a", "b", "c", "s", "y"])["fitted"]
    assert cells.reindex(means.index).to_numpy() == pytest.approx(means.to_numpy(), rel=1e-7)
    assert estimate.details["deviance"] == pytest.approx(deviance, rel=1e-8, abs=1e-8)
    assert estimate.by_stratum["n_hat"].to_numpy() == pytest.approx(
        hidden + estimate.by_stratum["n_observed"].to_numpy(), rel=1e-8
    )
    assert estimate.details["n_parameters"] == np.linalg.matrix_rank(made.model.exog)
    assert estimate.details["criteria"]["aic"] == pytest.approx(made.aic, rel=1e-8)
    bic = -2 * made.llf + estimate.details["n_parameters"] * math.log(captures.n_observed)
    assert estimate.details["criteria"]["bic"] == pytest.approx(bic, rel=1e-8)


def test_standard_errors_are_those_of_the_regression():
    captures = random_table(3)
    frame = fit(captures, "a*b + c*s + y").details["coefficients"]
    *_, made = reference(captures, "a*b + c*s + y", "abc", "sy")
    assert sorted(frame["estimate"]) == pytest.approx(sorted(made.params), rel=1e-7)
    assert sorted(frame["standard_error"]) == pytest.approx(sorted(made.bse), rel=1e-5)
    assert frame["term"].tolist() == ["intercept", "a", "b", "c", "s", "y", "y", "a*b", "c*s"]
    assert frame["column"].tolist()[4:] == ["s[1]", "y[1]", "y[2]", "a*b", "c*s[1]"]


@pytest.mark.parametrize("name", ["kosovo", "australia", "korea", "artificial_3", "uk_4", "western_us"])
@pytest.mark.parametrize("model", ["main-effects", "all-pairs"])
def test_without_covariates_it_is_the_model_for_lists(name, model):
    captures = hp.datasets.load(name)
    ours = fit(captures, model)
    theirs = LogLinear(model=model.replace("main-effects", "independence"), interval="lognormal").fit(
        captures
    )
    assert ours.status == theirs.status
    assert ours.n_hat == pytest.approx(theirs.n_hat, rel=1e-9, nan_ok=True)
    assert ours.details["deviance"] == pytest.approx(theirs.details["deviance"], rel=1e-8, abs=1e-7)
    assert ours.details["criteria"] == pytest.approx(theirs.details["criteria"], rel=1e-9)
    if ours.status == "ok":
        assert ours.interval.low == pytest.approx(theirs.interval.low, rel=1e-8)
        assert ours.interval.high == pytest.approx(theirs.interval.high, rel=1e-8)
    assert ours.by_stratum.empty
    assert ours.stratum_draws is None


def test_everything_crossed_with_a_covariate_is_a_model_in_each_level():
    captures = random_table(5, levels=(3,))
    together = fit(captures, "(a + b + c)*s + a*b*s")
    for row in together.by_stratum.itertuples():
        alone = LogLinear(model="a*b + c", interval="lognormal").fit(captures.select(s=row.s).collapse())
        assert (row.n_observed, row.status) == (alone.n_observed, "ok")
        assert row.n_hat == pytest.approx(alone.n_hat, rel=1e-9)
        assert row.low == pytest.approx(alone.interval.low, rel=1e-8)
        assert row.high == pytest.approx(alone.interval.high, rel=1e-8)


# Models of the R package mse 1.0 on its own table simdat, as its search prints them, and the sizes of its bootstrap
# tables: formula, coding, N, residual deviance, N by level.
MSE = [
    ("R1 + R2*R4 + R1*R4 + R3", {}, 9980.14809336491, 14.5, {}),
    ("R1*Y + R2*R4 + R1*R4 + R2*Y + R3", {}, 10091.5543246663, 108.5, {"Y": [1800, 1456, 2681, 4155]}),
    ("R1*X1 + R2*R4 + R1*R4 + R3", {}, 9980.14809336475, 35.2, {"X1": [7112, 2868]}),
    ("R3*X2 + R1*X1 + R1*X2 + X1*X2 + R2*R4 + R3*X1 + R2*X2 + R1*R4", {}, 9273.71132482352, 145.7, {}),
    (
        "X1*Y + R1*X1 + R1*Y + R2*R4 + R1*R4 + R2*Y + R4*Y + R3*Y",
        {"Y": "poly(2)"},
        9604.61257754673,
        346.1,
        {},
    ),
]


@pytest.mark.parametrize(("formula", "coding", "n_hat", "deviance", "by_level"), MSE)
def test_models_of_another_program(formula, coding, n_hat, deviance, by_level):
    estimate = fit(hp.datasets.load("simdat"), formula, coding=coding)
    assert estimate.n_hat == pytest.approx(n_hat, rel=1e-9)
    assert round(estimate.details["deviance"], 1) == deviance
    for name, sizes in by_level.items():
        groups = estimate.by_stratum.groupby(name)["n_hat"].sum()
        assert groups.round().tolist() == sizes


def test_coefficients_of_another_program_with_a_polynomial():
    estimate = fit(hp.datasets.load("simdat"), "R1 + R2 + R3 + R4 + X1*Y", coding={"Y": "poly(2)"})
    found = estimate.details["coefficients"].set_index("column")["estimate"]
    theirs = {
        "intercept": 6.4544679208931,
        "X1[2]": -0.219512776096706,
        "Y[poly 1]": 0.0443313822056295,
        "Y[poly 2]": 3.23715184943097,
        "X1[2]*Y[poly 1]": -0.679781235057722,
        "X1[2]*Y[poly 2]": -8.66633582124361,
    }
    assert found[list(theirs)].to_dict() == pytest.approx(theirs, rel=1e-8)


def test_a_model_that_another_program_gives_a_billion_is_unbounded():
    terms = (
        "R3:X2 + X1:Y + X2:Y + X2:X4 + X1:X2 + R1:X2 + X2:X3 + X4:Y + X3:X4 + X3:Y + R1:X1 + R2:R4 + X1:X4 + X1:X3 + "
        "R4:X3 + R4:X4 + R1:X4 + R3:Y + R2:X2 + R4:Y + R3:X1 + R1:R4 + R2:X4 + R3:R4 + R2:X1 + R2:X3 + R3:X4"
    )
    estimate = fit(hp.datasets.load("simdat"), f". + {terms}", coding={"Y": "poly(2)"})
    assert estimate.details["deviance"] == pytest.approx(981.379, abs=0.05)
    assert (estimate.status, estimate.n_hat) == ("unbounded", math.inf)
    assert "strata" in estimate.reason


def test_sizes_by_ethnicity_of_another_program():
    births = hp.datasets.load("spina_bifida")
    estimate = fit(births, "S1 + S2*S3 + eth", rng=3, interval="bootstrap", limits_of="expected")
    assert estimate.n_hat == pytest.approx(724.124528301888, rel=1e-9)
    frame = estimate.by_stratum.set_index("eth")
    assert frame["n_hat"].round().to_dict() == {"afro-american": 42, "caucasian": 680, "other": 2}
    # Its intervals, of 1,000 replicates too, are 692 to 759 and 647 to 714 (and 29 to 56, below the 36 observed).
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((692, 759), abs=5)
    assert tuple(frame.loc["caucasian", ["low", "high"]]) == pytest.approx((647, 714), abs=7)
    assert tuple(frame.loc["afro-american", ["low", "high"]]) == pytest.approx((36, 56), abs=3)


# --- the bootstrap ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simdat():
    captures = hp.datasets.load("simdat").collapse("X2", "X3", "X4", "Y")
    return fit(captures, "R1*X1 + R2*R4 + R1*R4 + R3", rng=8, interval="bootstrap", n_boot=4000)


@pytest.mark.parametrize("limits_of", ["persons", "expected"])
def test_the_bootstrap_agrees_with_that_of_another_program(simdat, limits_of):
    # Few are seen, so that the persons of a stratum and the number expected there have about the same limits.
    if limits_of == "expected":
        captures = hp.datasets.load("simdat").collapse("X2", "X3", "X4", "Y")
        settings = {"interval": "bootstrap", "n_boot": 4000, "limits_of": limits_of}
        simdat = fit(captures, simdat.estimator.settings["model"], rng=8, **settings)
    # 7071 to 15716, and 4998 to 11272 and 2034 to 4506 by X1, of 1,000 replicates.
    limits = [
        (simdat.interval.low, simdat.interval.high),
        *simdat.by_stratum[["low", "high"]].to_numpy().tolist(),
    ]
    for ours, theirs in zip(limits, [(7071, 15716), (4998, 11272), (2034, 4506)], strict=True):
        assert tuple(ours) == pytest.approx(theirs, rel=0.06)
    assert simdat.interval.method == "percentile parametric bootstrap, model taken as known"


def test_draws_add_up_and_give_the_limits(simdat):
    assert simdat.draws.shape == (4000,)
    assert simdat.draws_are == "bootstrap"
    assert simdat.stratum_draws.shape == (4000, 2)
    assert simdat.stratum_draws.sum(axis=1).tolist() == simdat.draws.tolist()
    shares = [(simdat.draws < limit).mean() for limit in (simdat.interval.low, simdat.interval.high)]
    assert shares == pytest.approx([0.025, 0.975], abs=0.001)
    for column, row in zip(simdat.stratum_draws.T, simdat.by_stratum.itertuples(), strict=True):
        assert [(column < row.low).mean(), (column < row.high).mean()] == pytest.approx(
            [0.025, 0.975], abs=0.001
        )


def test_the_spread_of_the_draws_is_that_of_theory():
    # Large counts, so that the delta method holds: the variance of N among N persons is n0 + n0^2 var(log n0).
    rows = [
        (h & 1, h >> 1 & 1, h >> 2, s, round(4000 * 0.5 ** h.bit_count() * (1 + s * (h & 1))))
        for h in range(1, 8)
        for s in (0, 1)
    ]
    captures = table(rows, strata=("s",))
    bootstrap = fit(captures, "a*s + b + c", rng=5, interval="bootstrap", n_boot=4000)
    delta = fit(captures, "a*s + b + c")
    n0 = delta.n_hat - captures.n_observed
    error = n0 * math.sqrt(
        math.expm1((math.log((delta.interval.high - captures.n_observed) / n0) / 1.959964) ** 2)
    )
    assert bootstrap.draws.std() == pytest.approx(error, rel=0.05)
    assert bootstrap.draws.mean() == pytest.approx(delta.n_hat, abs=4 * error / math.sqrt(4000) + 20)


def error_of_persons(row, level=0.95):
    """Standard error behind log-normal limits of the persons in a stratum."""
    n0 = row.n_hat - row.n_observed
    z = float(norm.isf((1 - level) / 2))
    return n0 * math.sqrt(math.expm1((math.log((row.high - row.n_observed) / n0) / z) ** 2))


ALONE = "(a + b + c)*s"
TOGETHER = "a*s + b + c"


@pytest.mark.parametrize("model", [ALONE, TOGETHER])
@pytest.mark.parametrize("seen", [0.9, 0.5])
def test_the_spread_of_a_stratum_is_that_of_its_persons(model, seen):
    """Draws against the delta method, where most are seen and where half are."""
    odds = 1.0 - (1.0 - seen) ** (1 / 3)
    rows = [
        (h & 1, h >> 1 & 1, h >> 2, s, round(3000 * s * odds ** h.bit_count() * (1 - odds) ** (3 - h.bit_count())))
        for h in range(1, 8)
        for s in (1, 2, 3)
    ]  # fmt: skip
    captures = table(rows, strata=("s",))
    delta = fit(captures, model).by_stratum
    persons = fit(captures, model, rng=5, interval="bootstrap", n_boot=1000)
    expected = fit(captures, model, rng=5, interval="bootstrap", n_boot=1000, limits_of="expected")
    errors = np.array([error_of_persons(row) for row in delta.itertuples()])
    np.testing.assert_allclose(persons.stratum_draws.std(axis=0), errors, rtol=0.09)
    # A stratum that is drawn again adds the variance of its size, of a population whose size stays.
    again = np.sqrt(errors**2 + delta["n_hat"] * (1.0 - delta["n_hat"] / delta["n_hat"].sum()))
    np.testing.assert_allclose(expected.stratum_draws.std(axis=0), again, rtol=0.09)
    assert persons.draws.std() == pytest.approx(expected.draws.std(), rel=0.12)


def test_a_stratum_has_the_limits_that_it_has_alone():
    """Two routes: nothing is shared between strata, so that each is a table of its own."""
    rows = [(*map(int, f"{h:03b}"), s, 40 * s + 9 * h) for h in range(1, 8) for s in (1, 4)]
    captures = table(rows, strata=("s",))
    settings = {"interval": "bootstrap", "n_boot": 2000}
    whole = fit(captures, ALONE, rng=1, **settings)
    for i, (levels, part) in enumerate(captures.split("s")):
        alone = fit(part, "a + b + c", rng=2, **settings)
        assert whole.by_stratum["s"][i] == levels["s"]
        assert whole.by_stratum["n_hat"][i] == pytest.approx(alone.n_hat, rel=1e-9)
        assert whole.stratum_draws[:, i].std() == pytest.approx(alone.draws.std(), rel=0.08)
        for name in ("low", "high"):
            limit = getattr(alone.interval, name)
            assert whole.by_stratum[name][i] == pytest.approx(limit, abs=0.2 * alone.draws.std())


def test_no_draw_of_persons_is_below_the_number_observed():
    captures = table([(1, 0, "x", 9), (0, 1, "x", 9), (1, 1, "x", 90), (1, 1, "y", 40)], "ab", ("s",))
    persons = fit(captures, "a + b + s", rng=1, interval="bootstrap", n_boot=400)
    assert (persons.stratum_draws >= persons.by_stratum["n_observed"].to_numpy()).all()
    assert (persons.stratum_draws == np.round(persons.stratum_draws)).all()
    expected = fit(captures, "a + b + s", rng=1, interval="bootstrap", n_boot=400, limits_of="expected")
    assert (expected.stratum_draws < expected.by_stratum["n_observed"].to_numpy()).any()
    assert (expected.by_stratum["low"] >= expected.by_stratum["n_observed"]).all()
    assert [d.name for d in expected.diagnostics].count("limits_of_expected_sizes") == 1
    assert "limits_of_expected_sizes" not in [d.name for d in persons.diagnostics]


def test_in_a_replicate_of_expected_sizes_the_number_seen_in_a_stratum_varies():
    # It adds about as much again as Poisson counts have.
    captures = table([(1, 0, "x", 900), (0, 1, "x", 900), (1, 1, "x", 900), (1, 1, "y", 400)], "ab", ("s",))
    settings = {"rng": 1, "interval": "bootstrap", "n_boot": 2000}
    estimate = fit(captures, "a + b + s", limits_of="expected", **settings)
    y = estimate.stratum_draws[:, 1]
    assert y.mean() == pytest.approx(estimate.by_stratum["n_hat"][1], rel=0.02)
    assert y.std() == pytest.approx(math.sqrt(estimate.by_stratum["n_hat"][1]), rel=0.15)
    assert (y < 400 + 0.5).any()
    assert (estimate.by_stratum["low"] >= estimate.by_stratum["n_observed"]).all()


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_workers():
    births = hp.datasets.load("spina_bifida")
    setting = CovariateLogLinear(model="S1*eth + S2*S3", n_boot=250)
    alone = setting.fit(births, rng=6)
    with hp.parallel(workers=2):
        spread = setting.fit(births, rng=6)
    assert alone.stratum_draws.tobytes() == spread.stratum_draws.tobytes()
    assert json.dumps(alone.to_dict()) == json.dumps(spread.to_dict())
    assert setting.fit(births, rng=7).draws.tolist() != alone.draws.tolist()


def test_replicates_without_a_number_are_counted_and_widen_the_interval():
    captures = table(
        [(1, 0, "x", 9), (0, 1, "x", 9), (1, 1, "x", 2), (1, 0, "y", 8), (0, 1, "y", 7)], "ab", ("s",)
    )
    estimate = fit(captures, "a + b + s", rng=2, interval="bootstrap")
    assert 0 < estimate.n_failed == int(np.sum(~np.isfinite(estimate.draws)))
    assert estimate.interval.high == math.inf
    assert "bootstrap_limits" in {d.name for d in estimate.diagnostics}


def test_the_goodness_of_fit_comes_from_the_replicates_where_counts_are_small(simdat):
    assert simdat.details["goodness_of_fit"]["p_method"].startswith(
        "parametric bootstrap of the deviance, 4000"
    )
    assert (
        simdat.details["goodness_of_fit"]["p_deviance"] < 0.02
    )  # a deviance of 35.2 on 21 degrees of freedom
    good = fit(random_table(9, mean=30.0), "a*b + c*s + y", rng=1, interval="bootstrap", n_boot=400)
    assert good.details["goodness_of_fit"]["p_method"] == "chi-square"


# --- strata, zeros, combinations --------------------------------------------------------------------------------------


def test_a_table_of_observed_rows_is_the_table_with_its_empty_cells():
    births = hp.datasets.load("spina_bifida")
    frame = births.to_frame()
    full = pd.MultiIndex.from_product([*[[0, 1]] * 3, frame["eth"].unique()], names=["S1", "S2", "S3", "eth"])
    filled = frame.set_index(full.names)["count"].reindex(full, fill_value=0).reset_index()
    filled = filled[filled[["S1", "S2", "S3"]].any(axis=1)]
    wide = CaptureTable.from_counts(filled, lists=list(births.lists), strata=["eth"], public=True)
    wide = wide.with_meta(name=births.name, population=births.population)
    assert len(filled) > len(births)
    setting = CovariateLogLinear(model="S1*eth + S2*S3", interval="lognormal")
    one, other = (setting.fit(captures).to_dict() for captures in (births, wide))
    assert json.dumps(one) == json.dumps(other)


def test_a_combination_that_nobody_has_holds_hidden_persons_unless_it_cannot_be():
    rows = [(1, 0, s, y, 20) for s in "fm" for y in "uv" if (s, y) != ("m", "v")]
    rows += [(0, 1, s, y, 20) for _, _, s, y, _ in rows] + [(1, 1, s, y, 10) for _, _, s, y, _ in rows]
    captures = table(rows, "ab")
    crossed, observed = (fit(captures, "main-effects", combinations=c) for c in ("crossed", "observed"))
    zero = fit(captures, "main-effects", structural_zeros="s=m*y=v")
    assert len(crossed.by_stratum) == 4
    assert crossed.by_stratum["n_hat"][3] > 10
    assert len(observed.by_stratum) == len(zero.by_stratum) == 3
    assert zero.n_hat == pytest.approx(observed.n_hat, rel=1e-10)
    # Every cell is given by the model of lists within each stratum: 20 * 20 / 10 hidden.
    assert observed.by_stratum["n_hat"].tolist() == pytest.approx([90.0] * 3, rel=1e-9)


def test_lists_that_cannot_go_together_have_no_cell_and_no_parameter():
    captures = hp.datasets.load("kosovo")
    frame = captures.to_frame()
    apart = frame[~((frame["EXH"] == 1) & (frame["HRW"] == 1))]
    apart = CaptureTable.from_counts(apart, lists=list(captures.lists), public=True)
    estimate = fit(apart, "main-effects", structural_zeros=("EXH*HRW",))
    cells = estimate.details["cells"]
    assert len(cells) == 11
    X = np.column_stack([np.ones(11), cells[list(captures.lists)]])
    made = sm.GLM(cells["count"], X, family=sm.families.Poisson()).fit(maxiter=200, tol=1e-14)
    assert estimate.n_hat == pytest.approx(apart.n_observed + math.exp(made.params.iloc[0]), rel=1e-8)
    with_term = fit(apart, ". + EXH:HRW", structural_zeros=("EXH*HRW",))
    assert with_term.details["n_parameters"] == estimate.details["n_parameters"] == 5


def test_a_level_that_nobody_seen_has_is_a_stratum_of_its_own_where_the_scores_reach_it():
    captures = random_table(12, levels=(3,))
    gone = CaptureTable.from_counts(
        captures.to_frame().query("s != '1'"), lists=list("abc"), strata=["s"], public=True
    )
    dummies = fit(gone, "main-effects", levels={"s": ("0", "1", "2")})
    assert dummies.by_stratum["status"].tolist() == ["ok", "boundary", "ok"]
    assert dummies.by_stratum["n_hat"][1] == 0.0
    assert dummies.n_hat == pytest.approx(fit(gone, "main-effects").n_hat, rel=1e-9)
    line = fit(gone, "main-effects", levels={"s": ("0", "1", "2")}, coding={"s": "linear"})
    assert line.by_stratum["status"].tolist() == ["ok"] * 3
    assert line.by_stratum["n_hat"][1] > 0.0


def test_the_reference_level_changes_no_size():
    captures = random_table(4)
    one = fit(captures, "a*s + b*y + c")
    other = fit(captures, "a*s + b*y + c", levels={"y": ("2", "0", "1"), "s": ("1", "0")})
    assert other.n_hat == pytest.approx(one.n_hat, rel=1e-10)
    assert other.by_stratum["y"].tolist() == ["2", "0", "1"] * 2
    moved = other.by_stratum.sort_values(["s", "y"])
    assert moved["n_hat"].to_numpy() == pytest.approx(one.by_stratum["n_hat"].to_numpy(), rel=1e-10)
    assert moved["high"].to_numpy() == pytest.approx(one.by_stratum["high"].to_numpy(), rel=1e-8)


def test_a_polynomial_of_full_degree_is_dummies():
    captures = random_table(6)
    one, other = fit(captures, "a*y + b + c + s"), fit(captures, "a*poly(y, 2) + b + c + s")
    assert other.n_hat == pytest.approx(one.n_hat, rel=1e-10)
    assert other.details["deviance"] == pytest.approx(one.details["deviance"], rel=1e-9)


def test_covariates_that_the_model_leaves_out_are_added_up_with_a_warning():
    captures = random_table(7)
    with pytest.warns(CollapsedStrataWarning, match="covariate_loglinear added up y"):
        estimate = CovariateLogLinear(model="a*s + b + c", interval="lognormal").fit(captures)
    assert estimate.n_hat == pytest.approx(fit(captures.collapse("y"), "a*s + b + c").n_hat, rel=1e-12)
    assert estimate.provenance["fingerprint"] == captures.fingerprint
    assert estimate.diagnostics[0].name == "collapsed_strata"


def test_splitting_people_by_a_covariate_that_the_model_keeps_apart_changes_nothing():
    captures = hp.datasets.load("kosovo")
    rng = np.random.default_rng(3)
    frame = captures.to_frame()
    pieces = [frame.assign(count=part, region=name) for name, part in zip("nsw", np.array(
        [rng.multinomial(count, [0.2, 0.3, 0.5]) for count in frame["count"]]).T, strict=True)]  # fmt: skip
    split = CaptureTable.from_counts(
        pd.concat(pieces), lists=list(captures.lists), strata=["region"], public=True
    )
    together = fit(split, "EXH*ABA + OSCE*HRW + region")
    assert together.n_hat == pytest.approx(
        LogLinear(model="EXH*ABA + OSCE*HRW").fit(captures).n_hat, rel=1e-9
    )


# --- statuses ---------------------------------------------------------------------------------------------------------


def test_an_unbounded_stratum_makes_the_total_unbounded_and_the_others_keep_their_number():
    rows = [(1, 0, "x", 30), (0, 1, "x", 20), (1, 1, "x", 10), (1, 0, "y", 30), (0, 1, "y", 20)]
    estimate = fit(table(rows, "ab", ("s",)), "a*s + b*s", rng=1, interval="bootstrap", n_boot=200)
    assert (estimate.status, estimate.n_hat, estimate.draws) == ("unbounded", math.inf, None)
    assert (estimate.interval.low, estimate.interval.high) == (110, math.inf)
    assert estimate.reason.endswith("so in 1 of 2 strata")
    assert estimate.by_stratum["status"].tolist() == ["ok", "unbounded"]
    assert estimate.by_stratum["n_hat"].tolist() == pytest.approx([120.0, math.inf])
    lincoln = LogLinear(interval="lognormal").fit(table_of((0, 30, 20, 10)))
    assert estimate.by_stratum["high"].tolist() == pytest.approx([lincoln.interval.high, math.inf])
    assert estimate.n_failed == 0


def test_a_stratum_at_the_boundary_leaves_the_total_its_number():
    rows = [(1, 0, "x", 30), (0, 1, "x", 20), (1, 1, "x", 10), (1, 1, "y", 20)]
    estimate = fit(table(rows, "ab", ("s",)), "a*s + b*s", rng=1, interval="bootstrap", n_boot=200)
    assert (estimate.status, estimate.n_hat) == ("ok", pytest.approx(140.0))
    assert estimate.by_stratum["status"].tolist() == ["ok", "boundary"]
    assert {"face", "boundary_strata"} <= {d.name for d in estimate.diagnostics}


@pytest.mark.parametrize("counts", [(30, 0, 12), (3, 0, 40), (200, 0, 3), (0, 0, 20)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_limits_of_a_stratum_at_the_boundary_are_those_of_its_lists_alone(counts, level):
    rows = [(1, 0, "x", 30), (0, 1, "x", 20), (1, 1, "x", 10)]
    rows += [(a, b, "y", n) for (a, b), n in zip([(1, 0), (0, 1), (1, 1)], counts, strict=True) if n]
    captures = table(rows, "ab", ("s",))
    estimate = fit(captures, "a*s + b*s", interval="lognormal", level=level, n_boot=20000)
    alone = LogLinear(level=level).fit(table_of((0, *counts)))
    assert alone.status == "boundary"
    silent = estimate.by_stratum.iloc[1]
    assert silent["high"] - sum(counts) == pytest.approx(alone.interval.high - sum(counts), rel=0.03)
    assert silent["low"] == sum(counts)
    assert estimate.interval.high >= estimate.n_hat + alone.interval.high - sum(counts)


def test_draws_of_a_stratum_at_the_boundary_reach_as_far_as_its_limit():
    rows = [(1, 0, "x", 30), (0, 1, "x", 20), (1, 1, "x", 10), (1, 0, "y", 30), (1, 1, "y", 12)]
    captures = table(rows, "ab", ("s",))
    drawn = fit(captures, "a*s + b*s", rng=1, interval="bootstrap", n_boot=1000)
    alone = LogLinear().fit(table_of((0, 30, 0, 12)))
    assert drawn.by_stratum["high"][1] == pytest.approx(alone.interval.high, abs=3.0)
    assert np.mean(drawn.stratum_draws[:, 1] == 42.0) == pytest.approx(0.5, abs=0.1)
    assert (drawn.stratum_draws.sum(axis=1) == drawn.draws).all()


def test_a_model_that_the_data_do_not_determine_has_no_number():
    births = hp.datasets.load("spina_bifida")
    estimate = fit(births, "S1*S2*S3*eth", rng=1, interval="bootstrap")
    assert (estimate.status, estimate.draws) == ("not_identified", None)
    assert math.isnan(estimate.n_hat)
    assert estimate.interval.method == "none: from the number observed to infinity"


def test_two_lists_that_are_independent_in_each_level_are_enough():
    rows = [
        (1, 0, "x", 30),
        (0, 1, "x", 20),
        (1, 1, "x", 10),
        (1, 0, "y", 40),
        (0, 1, "y", 10),
        (1, 1, "y", 40),
    ]
    estimate = fit(table(rows, "ab", ("s",)), "(a + b)*s")
    assert estimate.by_stratum["n_hat"].tolist() == pytest.approx([120.0, 100.0])


EXTREMES = {
    "a level apart": [(1, 0, 0, "m", 1, 30), (0, 1, 0, "m", 1, 20), (1, 1, 0, "m", 1, 10), (0, 0, 1, "f", 2, 40)],
    "a level seen once": [(1, 1, 0, "m", 1, 9), (1, 0, 1, "m", 2, 8), (0, 1, 1, "m", 1, 7), (1, 0, 0, "f", 3, 1)],
    "one person": [(1, 1, 0, "m", 1, 1)],
    "everybody on all": [(1, 1, 1, s, y, 30) for s in "fm" for y in (1, 2)],
    "a list a stratum": [(1, 0, 0, "m", 1, 30), (0, 1, 0, "f", 1, 30), (0, 0, 1, "f", 2, 30)],
    "million millions": [
        (h & 1, h >> 1 & 1, h >> 2, s, y, 10**12 // (1 + h)) for h in range(1, 8) for s in "fm" for y in (1, 2)
    ],
    "ones and million millions": [
        (h & 1, h >> 1 & 1, h >> 2, s, y, 1 if h == 3 else 10**12) for h in range(1, 8) for s in "fm" for y in (1, 2)
    ],
}  # fmt: skip
EXTREME_MODELS = [
    "main-effects",
    "a*b + c + s*y",
    "(a + b + c)*s + poly(y, 2)",
    "all-pairs",
    "a*b*s + c*s + b*c*s + y",
]


@pytest.mark.slow
@pytest.mark.parametrize("interval", ["bootstrap", "lognormal"])
@pytest.mark.parametrize("model", EXTREME_MODELS)
@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_tables_have_a_status_and_limits_in_order(name, model, interval):
    captures = table(EXTREMES[name])
    estimate = fit(captures, model, rng=1, interval=interval, n_boot=200)
    frame, n = estimate.by_stratum, estimate.n_observed
    json.dumps(estimate.to_dict(), allow_nan=False)
    assert n <= estimate.interval.low <= estimate.interval.high
    assert bool(estimate.reason) is (estimate.status != "ok")
    assert (frame["n_observed"] <= frame["low"]).all()
    assert (frame["low"] <= frame["high"]).all()
    sure = frame["status"].isin(["ok", "boundary"])
    assert (frame["n_hat"][sure] >= frame["n_observed"][sure]).all()
    assert np.isfinite(frame["n_hat"][sure]).all()
    if estimate.status == "ok":
        assert sure.all()
        assert estimate.n_hat == pytest.approx(frame["n_hat"].sum(), rel=1e-12)
        assert estimate.interval.low <= estimate.n_hat <= estimate.interval.high


def test_replicates_of_huge_counts_keep_the_spread_of_a_small_cell():
    captures = table(EXTREMES["ones and million millions"])
    estimate = fit(captures, "all-pairs", rng=1, interval="bootstrap", n_boot=200)
    # Four persons in all are on a and b alone: a relative error of a half.
    assert 0.3 < np.nanstd(np.log(estimate.draws[np.isfinite(estimate.draws)])) < 0.8


# --- settings and details ---------------------------------------------------------------------------------------------


def test_settings_are_hashable_and_survive_json_and_pickling():
    setting = CovariateLogLinear(
        model=" a*b + c ",
        coding={"year": "poly(2)", "age": {"young": 1, "old": 2.5}},
        levels={"age": ["young", "old"]},
        structural_zeros="a * b",
        interval="lognormal",
    )
    spec = spec_of(setting)
    through_json = json.loads(json.dumps(dict(spec.settings), allow_nan=False))
    assert build(spec.name, through_json) == setting
    assert build(PATH, through_json, trust=True) == setting
    assert hash(build(spec.name, through_json)) == hash(setting)
    assert pickle.loads(pickle.dumps(setting)) == setting
    assert dataclasses.replace(setting, level=0.8).level == 0.8
    assert setting.model == "a*b + c"
    assert not hasattr(setting, "__dict__")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": 3}, ModelError, "model=3 is not text"),
        ({"interval": "profile"}, SettingError, "interval='profile' is not one of 'bootstrap', 'lognormal'"),
        ({"combinations": "all"}, SettingError, "combinations='all' is not one of"),
        ({"n_boot": 20}, SettingError, "n_boot"),
        ({"limits_of": "people"}, SettingError, "limits_of='people' is not one of 'persons', 'expected'"),
        ({"limits_of": "expected", "interval": "lognormal"}, SettingError, 'take interval="bootstrap"'),
        ({"level": 95}, SettingError, "level=95 must lie between 0 and 1"),
        ({"structural_zeros": ("a",)}, SettingError, "two or more different lists or levels.*a.*age=0-11"),
        ({"coding": {"year": "cubic"}}, SettingError, "coding of year is 'cubic'"),
        ({"levels": {"age": "abc"}}, SettingError, "levels of age are 'abc'"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        CovariateLogLinear(**settings)


def test_the_model_and_the_setting_may_not_contradict_each_other():
    with pytest.raises(SettingError, match=r"the model codes y as poly\(2\) and another place as linear"):
        fit(random_table(1), "a + b + c + poly(y, 2) + s", coding={"y": "linear"})


def test_persons_where_nobody_can_be_are_refused():
    with pytest.raises(TableError, match=r"a\*b cannot be"):
        fit(random_table(1), "main-effects", structural_zeros=("a*b",))


def test_details_tell_the_model_its_cells_and_its_passive_covariates():
    captures = random_table(2)
    details = fit(captures, "a*s + b*c + y").details
    assert details["model"] == details["formula"] == "a*s + b*c + y"
    assert details["coding"] == {"s": "dummies", "y": "dummies"}
    assert details["levels"] == {"s": ["0", "1"], "y": ["0", "1", "2"]}
    assert details["dropped_lists"] == []
    cells = details["cells"]
    assert cells["count"].sum() == captures.n_observed == pytest.approx(cells["fitted"].sum())
    assert len(cells) == 42
    assert details["passive_covariates"]["role"].tolist() == ["passive", "passive"]
    rank = details["n_parameters"]
    assert details["goodness_of_fit"]["df"] == 42 - rank
    assert details["goodness_of_fit"]["pearson"] == pytest.approx((cells["residual"] ** 2).sum())


def test_small_counts_of_a_private_table_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    captures = random_table(11, levels=(2,), mean=12.0).with_meta(public=False)
    estimate = fit(captures, "a*s + b + c", rng=1, interval="bootstrap", n_boot=200)
    hidden, shown = (json.loads(json.dumps(estimate.to_dict(show_small_counts=s))) for s in (False, True))
    small = [row for row in shown["details"]["cells"] if 0 < row["count"] < 10]
    assert small
    written = json.dumps(hidden["details"]["cells"])
    assert "<10" in written
    for row in small:
        assert repr(row["fitted"]) not in json.dumps(hidden)
    for name in ("coefficients", "deviance", "criteria", "goodness_of_fit"):
        assert hidden["details"][name] == "<10"
        assert shown["details"][name] != "<10"


def test_a_faulty_fit_would_be_seen(monkeypatch):
    """The check against the regression fails when the hidden rows are those of another level."""
    from hiddenpop.estimators.covariate_design import CovariateDesign

    right = CovariateDesign.columns_of_hidden
    monkeypatch.setattr(CovariateDesign, "columns_of_hidden", lambda self, terms: right(self, terms)[::-1])
    with pytest.raises(AssertionError):
        test_a_fit_is_that_of_a_poisson_regression_with_the_same_columns(
            "a*s + b*y + a*c", "a*s + b*y + a*c", {}, 1
        )
