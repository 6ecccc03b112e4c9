"""Fixed odds ratios and the highest-order interaction, against closed forms, a GLM with an offset, and each other."""

import itertools
import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from tests.contract.cases import quietly, table_of
from tests.support.plain import dense_counts, design, terms_of

from hiddenpop import (
    AveragedLogLinear,
    Bootstrapped,
    CaptureTable,
    CovariateLogLinear,
    Coverage,
    HierarchicalModel,
    LincolnPetersen,
    LogLinear,
    SelectedLogLinear,
    datasets,
)
from hiddenpop.errors import CapabilityError, EmptyListWarning, SettingError, UnknownNameError
from hiddenpop.estimators.prepare import as_odds_ratios
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.resampled import RefitBlock, refit
from hiddenpop.kernels.poisson.lattice import fit_one
from hiddenpop.kernels.search.best_models import best_of_each

TWO = (0, 30, 20, 10)
SEARCHES = ("exhaustive", "exact", "mc3", "stepwise_p", "stepwise_aic", "downhill")
KOSOVO = datasets.load("kosovo")
FIXED = (("EXH", "ABA", 2.0), ("OSCE", "HRW", 0.5))


def two_lists():
    return table_of(TWO, "ab")


# --- what an odds ratio does ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("psi", [0.25, 1.0, 3.0])
def test_two_lists_with_a_known_odds_ratio_have_a_closed_form(psi):
    expected = 60 + psi * 30 * 20 / 10
    assert LogLinear(odds_ratios=[("a", "b", psi)]).fit(two_lists()).n_hat == pytest.approx(
        expected, rel=1e-12
    )
    assert LincolnPetersen(odds_ratios=[("a", "b", psi)]).fit(two_lists()).n_hat == pytest.approx(
        expected, rel=1e-12
    )
    assert LogLinear(xi=1 / psi).fit(two_lists()).n_hat == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("pair", [("EXH", "ABA"), ("ABA", "OSCE"), ("OSCE", "HRW")])
def test_the_estimated_odds_ratio_gives_back_the_free_model(pair):
    """Free interaction, then its exponential as a fixed odds ratio: the same maximum, and N moves with the ratio."""
    model = "[12,13,14,23,24,34]"
    free = LogLinear(model=model).fit(KOSOVO)
    terms = free.details["coefficients"].set_index("term")["estimate"]
    psi = math.exp(terms["*".join(pair)])
    fixed = LogLinear(model=model, odds_ratios=[(*pair, psi)]).fit(KOSOVO)
    doubled = LogLinear(model=model, odds_ratios=[(*pair, 2 * psi)]).fit(KOSOVO)
    assert fixed.n_hat == pytest.approx(free.n_hat, rel=1e-8)
    assert fixed.details["deviance"] == pytest.approx(free.details["deviance"], abs=1e-7)
    assert abs(doubled.n_hidden / fixed.n_hidden - 1) > 0.05


def test_a_fit_with_offsets_is_that_of_a_glm_with_them():
    counts = dense_counts(KOSOVO)
    model = HierarchicalModel.parse("[13,14,23]", n_lists=4)
    histories = np.arange(1, 16)
    offset = sum(math.log(psi) * ((histories & pair) == pair) for pair, psi in ((0b0011, 2.0), (0b1100, 0.5)))
    x = design(histories, terms_of(model))
    glm = sm.GLM(counts[1:], x, family=sm.families.Poisson(), offset=offset).fit(tol=1e-12)
    ours = LogLinear(model="[13,14,23]", odds_ratios=FIXED, interval="lognormal").fit(KOSOVO)
    at = terms_of(model).tolist().index(0)
    assert ours.n_hidden == pytest.approx(math.exp(glm.params[at]), rel=1e-8)
    assert ours.details["deviance"] == pytest.approx(glm.deviance, rel=1e-8)
    assert ours.details["cells"]["fitted"].to_numpy() == pytest.approx(np.asarray(glm.mu), rel=1e-8)


def test_the_profile_with_an_offset_is_that_of_the_fit_with_a_supposed_dark_figure():
    """At its limits the deviance with the dark figure as a count, and its offset, is a chi-square quantile higher."""
    estimate = LogLinear(odds_ratios=[("a", "b", 3.0)], xi=0.5).fit(two_lists())
    assert estimate.n_hidden == pytest.approx(2 * 3 * 60, rel=1e-10)
    plain = LogLinear().fit(two_lists())
    # Two lists: the offsets only multiply the mean of the unobserved cell, so limits scale but for Poisson variation.
    ratio = (estimate.interval.high - 60) / (plain.interval.high - 60)
    assert 5.4 < ratio < 6.2


def test_the_pair_and_everything_around_it_leave_the_model():
    estimate = LogLinear(model="[123,34]", odds_ratios=[("ABA", "EXH", 2.0)]).fit(KOSOVO)
    assert estimate.details["model"] == "[13,23,34]"
    assert any(d.name == "fixed_odds_ratio" and "EXH" in d.message for d in estimate.diagnostics)


# --- xi ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["independence", "[12,3,4]", "[123,124,134,234]"])
@pytest.mark.parametrize("xi", [0.5, 2.0])
def test_xi_divides_the_dark_figure(model, xi):
    plain, assumed = (LogLinear(model=model, xi=x).fit(KOSOVO) for x in (1.0, xi))
    assert assumed.n_hidden == pytest.approx(plain.n_hidden / xi, rel=1e-10)
    assert assumed.details["deviance"] == pytest.approx(plain.details["deviance"], abs=1e-8)


@pytest.mark.parametrize("n_lists", [3, 4])
def test_xi_is_the_interaction_of_all_lists(n_lists):
    """With the dark figure that xi gives, the interaction of all lists in the saturated table is log xi, up to sign."""
    counts = np.arange(2.0, 2.0 + (1 << n_lists)) ** 2
    table = table_of([0, *counts[1:].astype(int)], "abcd"[:n_lists])
    largest = ",".join("".join(c) for c in itertools.combinations("1234"[:n_lists], n_lists - 1))
    complete = counts.copy()
    complete[0] = LogLinear(model=f"[{largest}]", xi=0.4).fit(table).n_hidden
    complete[1:] = table.to_dense()[1:]
    signs = np.array([(-1) ** (n_lists - int(w).bit_count()) for w in range(1 << n_lists)])
    highest = float(signs @ np.log(complete))
    assert math.exp(highest if n_lists % 2 else -highest) == pytest.approx(0.4, rel=1e-6)


# --- every search -----------------------------------------------------------------------------------------------------


def restricted():
    """Every model of four lists without the two pairs and what contains them, fitted one by one."""
    data = dense_counts(KOSOVO)
    n, penalty = data.sum(), math.log(data.sum())
    rows = []
    for pairs in itertools.chain.from_iterable(
        itertools.combinations(("13", "14", "23", "24"), k) for k in range(5)
    ):
        label = "[" + ",".join([*pairs, *(i for i in "1234" if not any(i in p for p in pairs))]) + "]"
        fitted = LogLinear(model=label, odds_ratios=FIXED, xi=2.0).fit(KOSOVO)
        size = 5 + len(pairs)
        rows.append((fitted.details["deviance"] + penalty * size, fitted.n_hat, label))
    assert n == KOSOVO.n_observed
    return min(rows)


@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_stays_within_the_models_that_are_left(search):
    best = restricted()
    found = SelectedLogLinear(search=search, odds_ratios=FIXED, xi=2.0).fit(KOSOVO, rng=1)
    frame = found.details["selection"]
    assert not frame["model"].str.contains("12").any()
    assert not frame["model"].str.contains("34").any()
    if search in ("exhaustive", "exact", "mc3"):
        assert found.n_hat == pytest.approx(best[1], rel=1e-9)


def test_averages_by_both_searches_agree_under_fixed_odds_ratios():
    every, near = (
        AveragedLogLinear(search=search, odds_ratios=FIXED, xi=0.7, **more).fit(KOSOVO)
        for search, more in (("exhaustive", {}), ("exact", {"outside": 1e-9}))
    )
    assert near.n_hat == pytest.approx(every.n_hat, rel=1e-6)
    assert every.details["n_models"] == 16


@pytest.mark.parametrize("base", [LogLinear(model="[13,24]"), SelectedLogLinear(search="exact")])
def test_the_quick_refits_of_a_bootstrap_keep_the_assumptions(base):
    """Compiled refits of the table itself give the estimate itself, assumptions included."""
    assumed = replace(base, odds_ratios=FIXED, xi=0.5)
    again = refit(RefitBlock(assumed, KOSOVO, KOSOVO.counts[None]))
    assert again.n_hat[0] == pytest.approx(assumed.fit(KOSOVO).n_hat, rel=1e-8)
    assert again.n_hat[0] != pytest.approx(
        refit(RefitBlock(base, KOSOVO, KOSOVO.counts[None])).n_hat[0], rel=0.05
    )
    assert Bootstrapped(base=assumed, n_boot=400).fit(KOSOVO, rng=1).n_hat == pytest.approx(again.n_hat[0])


def test_no_offset_changes_no_bit():
    counts = KOSOVO.to_dense().astype(float)
    zeros = np.zeros(16)
    use = np.arange(16) > 0
    terms = np.array([1, 2, 4, 8, 3, 0])
    assert (
        fit_one(counts, use, terms, 4, zeros).means.tolist() == fit_one(counts, use, terms, 4).means.tolist()
    )
    assert best_of_each(counts[None], 4, offset=zeros).n0[0] == best_of_each(counts[None], 4).n0[0]


# --- input ------------------------------------------------------------------------------------------------------------


def test_settings_are_read_and_written_in_one_form():
    given = LogLinear(odds_ratios={("police", "shelter"): 2})
    assert given.odds_ratios == (("police", "shelter", 2.0),)
    assert spec_of(given).build() == given
    assert hash(given) == hash(LogLinear(odds_ratios=[["police", "shelter", 2.0]]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a", "must hold two lists and a number"),
        ([("a", "b")], "not a pair of lists with a number"),
        ([("a", "a", 2)], "two different lists"),
        ([("a", "b", 0)], "above 0"),
        ([("a", "b", math.inf)], "above 0"),
        ([("a", "b", 1), ("b", "a", 2)], "a and b twice"),
        (3, "must hold two lists and a number"),
    ],
)
def test_a_fault_in_odds_ratios_is_named(given, message):
    with pytest.raises(SettingError, match=message):
        as_odds_ratios(given)


def test_a_fault_in_xi_is_named():
    with pytest.raises(SettingError, match="xi is -1"):
        SelectedLogLinear(xi=-1)
    with pytest.raises(SettingError, match="the odds ratio of a and b is 'x'"):
        LincolnPetersen(odds_ratios=[("a", "b", "x")])
    with pytest.raises(CapabilityError, match="is about a and c, and the estimate is from a and b"):
        LincolnPetersen(odds_ratios=[("a", "c", 2.0)]).fit(two_lists())


def test_an_unknown_list_is_named_with_its_neighbour():
    with pytest.raises(UnknownNameError, match="EXH"):
        LogLinear(odds_ratios=[("EXJ", "ABA", 2)]).fit(KOSOVO)


def test_a_pair_with_an_empty_list_has_no_say():
    with pytest.warns(EmptyListWarning):
        found = LogLinear(odds_ratios=[("a", "c", 5.0)]).fit(with_empty_list())
    assert found.n_hat == pytest.approx(120.0)
    assert any(d.name == "idle_odds_ratio" and "c caught nobody" in d.message for d in found.diagnostics)


def with_empty_list():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyListWarning)
        return table_of([0, 30, 20, 10, 0, 0, 0, 0], "abc")


def test_a_walk_with_nothing_left_to_search_says_so():
    with pytest.raises(CapabilityError, match="use LogLinear in its place"):
        SelectedLogLinear(search="mc3", odds_ratios=[("a", "b", 2.0)]).fit(two_lists(), rng=1)


def test_a_face_keeps_its_status_under_an_offset():
    sparse = table_of((0, 30, 20, 0), "ab")
    assert LogLinear(odds_ratios=[("a", "b", 2.0)], xi=3.0).fit(sparse).status == "unbounded"


# --- with covariates --------------------------------------------------------------------------------------------------

BIRTHS = datasets.load("spina_bifida")
EACH_STRATUM = "(S1+S2+S3)*eth"


def test_with_everything_by_stratum_it_is_the_fit_of_each_stratum():
    ratios = (("S1", "S2", 2.5), ("S2", "S3", 0.6))
    whole = CovariateLogLinear(model=EACH_STRATUM, odds_ratios=ratios, xi=0.8, interval="lognormal").fit(
        BIRTHS
    )
    for row in whole.by_stratum.itertuples():
        here = BIRTHS.select(eth=row.eth).collapse()
        alone = quietly(LogLinear(odds_ratios=ratios, xi=0.8, interval="lognormal").fit, here)
        assert row.n_hat == pytest.approx(alone.n_hat, rel=1e-8)
        assert row.status == alone.status
        if row.status == "ok":
            assert row.low == pytest.approx(alone.interval.low, rel=1e-6)
            assert row.high == pytest.approx(alone.interval.high, rel=1e-6)
    assert whole.by_stratum["status"].tolist().count("ok") == 2


def test_with_covariates_the_estimated_odds_ratio_gives_back_the_free_model():
    free = CovariateLogLinear(model="S1*S2 + S2*S3 + S1*eth + S3*eth", interval="lognormal").fit(BIRTHS)
    psi = math.exp(free.details["coefficients"].set_index("term")["estimate"]["S1*S2"])
    fixed, moved = (
        CovariateLogLinear(
            model="S1*S2 + S2*S3 + S1*eth + S3*eth", odds_ratios=[("S2", "S1", x)], interval="lognormal"
        ).fit(BIRTHS)
        for x in (psi, 2 * psi)
    )
    assert "S1*S2" not in fixed.details["formula"]
    assert fixed.by_stratum["n_hat"].tolist() == pytest.approx(free.by_stratum["n_hat"].tolist(), rel=1e-7)
    assert fixed.details["deviance"] == pytest.approx(free.details["deviance"], abs=1e-7)
    assert moved.n_hidden > 1.05 * fixed.n_hidden


def test_replicates_with_covariates_keep_the_assumptions():
    estimate = CovariateLogLinear(
        model="S1 + S2*S3 + eth", odds_ratios=[("S1", "S2", 3.0)], xi=0.5, n_boot=400
    ).fit(BIRTHS, rng=1)
    assert np.median(estimate.draws) == pytest.approx(estimate.n_hat, rel=0.05)
    assert estimate.draws.std() > 0


def test_with_gaps_odds_ratios_are_refused():
    with pytest.raises(CapabilityError, match="only where lists operate in every stratum"):
        CovariateLogLinear(model="a*year + b*year", odds_ratios=[("a", "b", 2.0)]).fit(gapped())


def gapped():
    rows = [(1, 0, "1", 30), (0, 1, "1", 20), (1, 1, "1", 10), (0, 1, "2", 9)]
    frame = pd.DataFrame(rows, columns=["a", "b", "year", "count"])
    coverage = [Coverage("a", "year", ("1",))]
    return CaptureTable.from_counts(frame, lists=["a", "b"], strata=["year"], coverage=coverage, public=True)
