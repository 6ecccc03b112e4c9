import dataclasses
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import SettingError, UnknownNameError
from hiddenpop.kernels.identified_set import (
    LogFigure,
    critical_value,
    log_saturated_figure,
    pair_counts,
    set_limits,
)
from hiddenpop.sensitivity.partial_identification import Assumption, PartialIdentification
from hiddenpop.table import CaptureTable, Coverage

KOSOVO = hp.LogLinear(model="[123,14,34]")
PAIR = [0, 400, 300, 100]


def stated(result, pair=None):
    """The row of the assumption stated, or of one pair there."""
    frame = result.table
    rows = frame[frame["gamma"] == 2.0]
    return rows.iloc[-1] if pair is None else rows.set_index("pair").loc[pair]


# --- the interval -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0.0, 0.3, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_critical_value_solves_its_equation(width, level):
    c = critical_value(width * 7.0, 7.0, level)
    assert norm.cdf(c + width) - norm.cdf(-c) == pytest.approx(level, abs=1e-12)


def test_at_a_width_of_one_the_interval_is_the_two_sided_normal_one():
    low, high = set_limits(LogFigure(math.log(100), 0.04), 1.0, 1.0, 0.95)
    error = math.sqrt(0.04 + 0.01)
    assert (low, high) == pytest.approx(
        (100 * math.exp(-1.959964 * error), 100 * math.exp(1.959964 * error)), rel=1e-6
    )


def test_a_wide_set_takes_the_one_sided_normal_quantile_at_each_end():
    low, high = set_limits(LogFigure(math.log(1e6), 1e-4), 0.1, 10.0, 0.95)
    assert low == pytest.approx(1e5 * math.exp(-1.644854 * math.sqrt(1e-4 + 1e-5)), rel=1e-6)
    assert high == pytest.approx(1e7 * math.exp(1.644854 * math.sqrt(1e-4 + 1e-7)), rel=1e-6)


def coverage(psi, repeats, size=1000, chances=(0.15, 0.1)):
    """Share of tables whose interval for odds ratios from 1/2 to 2 holds the hidden when the odds ratio is `psi`."""
    rng, (p, q) = np.random.default_rng(7), chances
    cells = np.array([psi * (1 - p) * (1 - q), p * (1 - q), (1 - p) * q, p * q])
    held = 0
    for hidden, *seen in rng.multinomial(size, cells / cells.sum(), size=repeats):
        figure = pair_counts(np.array([0.0, *seen]), 0, 1).figure
        low, high = set_limits(figure, 0.5, 2.0, 0.95)
        held += low <= hidden <= high
    return held / repeats


def test_intervals_hold_the_truth_at_the_ends_of_the_set_and_within():
    for psi in (0.5, 2.0):
        assert coverage(psi, 800) == pytest.approx(0.95, abs=0.025)
    assert coverage(1.0, 300) > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("size", [400, 1000, 5000])
def test_coverage_at_the_ends_is_near_the_level(size):
    for psi in (0.5, 2.0):
        assert coverage(psi, 4000, size) == pytest.approx(0.95, abs=0.018)


@pytest.mark.slow
@pytest.mark.parametrize("xi", [0.5, 1.0, 2.0])
def test_coverage_of_the_whole_check_with_a_model(xi):
    rng, p = np.random.default_rng(8), np.array([0.2, 0.15, 0.1])
    on = np.arange(8)[:, None] >> np.arange(3) & 1
    cells = np.where(on, p, 1 - p).prod(axis=1)
    cells[0] /= xi
    check, held, repeats = PartialIdentification(gammas=(2,)), 0, 400
    for counts in rng.multinomial(1000, cells / cells.sum(), size=repeats):
        row = check.run(hp.LogLinear(), table_of([0, *counts[1:]]), rng=1).table.iloc[0]
        held += row["low"] <= 1000 <= row["high"]
    assert held / repeats == pytest.approx(0.95, abs=0.035) if xi != 1 else held / repeats > 0.99


# --- the highest order ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [KOSOVO, hp.SelectedLogLinear(), hp.AveragedLogLinear()])
def test_the_ends_are_the_estimates_with_xi_at_its_ends(estimator):
    kosovo = hp.datasets.load("kosovo")
    row = stated(PartialIdentification(xi=(0.5, 2)).run(estimator, kosovo, rng=1))
    base = estimator.fit(kosovo)
    assert row["set_low"] == pytest.approx(base.n_observed + base.n_hidden / 2)
    assert row["set_high"] == pytest.approx(base.n_observed + base.n_hidden * 2)
    assert row["n_hat"] == pytest.approx(base.n_hat)
    if isinstance(estimator, hp.LogLinear):
        ends = [hp.LogLinear(model=estimator.model, xi=xi).fit(kosovo).n_hat for xi in (2, 0.5)]
        assert [row["set_low"], row["set_high"]] == pytest.approx(ends)


def test_a_larger_xi_gives_fewer_hidden():
    kosovo, base = hp.datasets.load("kosovo"), KOSOVO.fit(hp.datasets.load("kosovo"))
    row = PartialIdentification(xi=(1.0, 2.0), gammas=(2,)).run(KOSOVO, kosovo, rng=1).table.iloc[0]
    assert (row["least"], row["most"]) == (1.0, 2.0)
    assert row["set_low"] == pytest.approx(base.n_observed + base.n_hidden / 2)
    assert row["set_high"] == pytest.approx(base.n_hat)


@pytest.mark.parametrize("interval", ["profile", "lognormal"])
def test_a_wrapper_tells_its_error_by_its_interval(interval):
    kosovo = hp.datasets.load("kosovo")
    inner = hp.LogLinear(model=KOSOVO.model, xi=1.7, interval=interval)
    base = inner.fit(kosovo)
    figure = base.n_hidden, base.interval.high - base.n_observed, base.interval.low - base.n_observed
    told = dataclasses.replace(base, details={})
    row = PartialIdentification(gammas=(1,)).run(inner, kosovo, told, rng=1).table.iloc[0]
    # The hidden without xi are 1.7 times as many, so that they vary a little less by chance than those of the interval.
    assert (row["high"] - base.n_observed) / (row["n_hat"] - base.n_observed) == pytest.approx(
        math.sqrt(figure[1] / figure[2]), rel=0.01
    )


def test_an_estimator_with_a_xi_of_its_own_is_brought_back_to_none():
    kosovo = hp.datasets.load("kosovo")
    one, other = (
        PartialIdentification().run(hp.LogLinear(model=KOSOVO.model, xi=xi), kosovo, rng=1).table
        for xi in (1.0, 1.7)
    )
    assert one[["set_low", "set_high"]].to_numpy() == pytest.approx(other[["set_low", "set_high"]].to_numpy())


def test_without_a_model_the_observed_cells_stand_in():
    counts = [0, 50, 60, 20, 70, 25, 30, 12]
    row = stated(PartialIdentification().run(hp.ChaoLowerBound(), table_of(counts), rng=1))
    n0 = 50 * 60 * 70 * 12 / (20 * 25 * 30)
    assert row["n_hat"] == pytest.approx(sum(counts) + n0)
    assert row["set_low"] == pytest.approx(sum(counts) + n0 / 2)
    assert log_saturated_figure(np.array(counts, dtype=float)).variance == pytest.approx(
        sum(1 / c for c in counts[1:])
    )


@pytest.mark.parametrize(
    ("counts", "status", "words"),
    [
        ([0, 50, 60, 20, 70, 0, 30, 12], "unbounded", "nothing limits N"),
        ([0, 50, 60, 20, 70, 25, 30, 0], "boundary", "the dark figure is 0"),
        ([0, 50, 60, 20, 70, 0, 30, 0], "not_identified", "empty cells leave the dark figure open"),
    ],
)
def test_empty_cells_without_a_model(counts, status, words):
    result = PartialIdentification(claim="more than 100").run(hp.ChaoLowerBound(), table_of(counts), rng=1)
    row = stated(result)
    assert row["status"] == status
    assert words in row["reason"]
    assert result.passed is (True if status == "boundary" else None)


def test_an_unbounded_model_keeps_the_lower_limit_of_its_profile():
    apart = table_of([0, 30, 40, 0])
    base = hp.LincolnPetersen().fit(apart)
    row = stated(PartialIdentification().run(hp.LincolnPetersen(), apart, rng=1))
    assert (row["status"], row["set_high"], row["high"]) == ("unbounded", math.inf, math.inf)
    assert row["low"] == pytest.approx(70 + (base.interval.low - 70) / 2)


def test_the_width_at_which_a_claim_fails_is_exact():
    kosovo, base = hp.datasets.load("kosovo"), KOSOVO.fit(hp.datasets.load("kosovo"))
    result = PartialIdentification(claim="more than 9,000").run(KOSOVO, kosovo, rng=1)
    width = base.n_hidden / (9000 - base.n_observed)
    assert result.passed is False
    assert f"It begins to fail at a width of {width:.2f}." in result.text
    narrow = PartialIdentification(xi=(0.8, 1.25), claim="more than 9,000").run(KOSOVO, kosovo, rng=1)
    assert narrow.passed is True
    never = PartialIdentification(claim="more than 4,400").run(KOSOVO, kosovo, rng=1)
    assert "It does not fail up to a width of 1,000." in never.text
    already = PartialIdentification(claim="more than 20,000").run(KOSOVO, kosovo, rng=1)
    assert "It fails at a width of 1 already." in already.text


def test_a_one_sided_assumption_keeps_its_shape():
    assumption = Assumption(1.0, 3.0)
    assert (assumption.middle, assumption.width) == (1.0, 3.0)
    assert assumption.at(2.0) == pytest.approx((1.0, 2.0))
    assert Assumption(0.5, 2.0, inverted=True).factors(4.0) == pytest.approx((0.25, 1.0, 4.0))
    away = Assumption(2.0, 8.0)
    assert (away.middle, away.width) == pytest.approx((4.0, 2.0))
    assert away.at(1.0) == pytest.approx((4.0, 4.0))


@pytest.mark.parametrize("estimator", [hp.LogLinear(), hp.AveragedLogLinear(), hp.ChaoLowerBound()])
def test_formula_and_bootstrap_agree_where_counts_are_large(estimator):
    on, p = np.arange(8)[:, None] >> np.arange(3) & 1, np.array([0.3, 0.25, 0.2])
    table = table_of(np.round(50_000 * np.where(on, p, 1 - p).prod(axis=1)))
    reach = {}
    for errors in ("delta", "bootstrap"):
        row = stated(PartialIdentification(errors=errors, n_boot=1000).run(estimator, table, rng=1))
        hidden = row[["set_low", "set_high", "low", "high"]].to_numpy(dtype=float) - table.n_observed
        reach[errors] = np.abs(np.log(hidden[2:] / hidden[:2]))
    assert reach["bootstrap"] == pytest.approx(reach["delta"], rel=0.12)


def test_the_bootstrap_repeats_the_choice_of_a_model():
    uk = hp.datasets.load("uk_5")
    formula, drawn = (
        stated(PartialIdentification(errors=errors).run(hp.SelectedLogLinear(), uk, rng=1))
        for errors in ("delta", "bootstrap")
    )
    assert drawn["high"] > 1.3 * formula["high"]


# --- pairs ------------------------------------------------------------------------------------------------------------


def test_a_pair_by_hand():
    counts = [0, 50, 60, 20, 70, 25, 30, 12]
    result = PartialIdentification(kind="pair", pairs=(("l0", "l1"),)).run(
        hp.LogLinear(), table_of(counts), rng=1
    )
    first, second, both, neither = 50 + 25, 60 + 30, 20 + 12, 70
    seen, q = first + second + both, first * second / both
    row = stated(result)
    assert (row["set_low"], row["set_high"]) == pytest.approx(
        (max(seen + q / 2, seen + neither), seen + 2 * q)
    )
    assert row["n_hat"] == pytest.approx(seen + q)
    assert "where" not in result.figure


def test_two_lists_are_the_same_by_both_routes():
    whole = stated(PartialIdentification().run(hp.LogLinear(interval="wald"), table_of(PAIR), rng=1))
    pair = stated(PartialIdentification(kind="pair").run(hp.LogLinear(), table_of(PAIR), rng=1))
    columns = ["set_low", "set_high", "low", "high", "n_hat"]
    assert whole[columns].tolist() == pytest.approx(pair[columns].tolist())


def test_all_pairs_together_are_what_their_sets_have_in_common():
    result = PartialIdentification(kind="pair").run(KOSOVO, hp.datasets.load("kosovo"), rng=1)
    rows = result.table[result.table["gamma"] == 2.0].set_index("pair")
    pairs, together = rows.drop("all pairs"), rows.loc["all pairs"]
    assert len(pairs) == 6
    assert together["set_low"] == pairs["set_low"].max()
    assert together["set_high"] == pairs["set_high"].min()
    joint = (
        PartialIdentification(kind="pair", level=1 - 0.05 / 6)
        .run(KOSOVO, hp.datasets.load("kosovo"), rng=1)
        .table
    )
    limits = joint[(joint["gamma"] == 2.0) & (joint["pair"] != "all pairs")]
    assert (together["low"], together["high"]) == pytest.approx((limits["low"].max(), limits["high"].min()))
    assert (
        together["low"] < together["set_low"] < together["n_hat"] <= together["set_high"] < together["high"]
    )
    assert result.figure["where"] == {"pair": "all pairs"}


def test_pairs_that_have_nothing_in_common_refute_the_assumption():
    result = PartialIdentification(kind="pair", odds_ratio=(0.8, 1.25), gammas=(1,)).run(
        KOSOVO, hp.datasets.load("kosovo"), rng=1
    )
    assert result.passed is None
    assert "ABA & HRW needs a larger N than OSCE & HRW allows, though chance may explain it" in result.text
    low, high = (
        PartialIdentification(kind="pair", odds_ratio=(1 / w, w), gammas=(1,))
        .run(KOSOVO, hp.datasets.load("kosovo"), rng=1)
        .table.iloc[-1]["status"]
        for w in (1.50, 1.52)
    )
    assert (low, high) == ("refuted", "ok")
    assert "Below a width of 1.51 no size agrees with all pairs" in result.text


def test_a_contradiction_beyond_chance_has_no_interval():
    # Lists 0 and 1 say that nobody is hidden, lists 0 and 2 that many are.
    counts = np.zeros(8)
    counts[[3, 7, 4, 1, 2]] = [5000, 100, 5000, 50, 50]
    row = stated(PartialIdentification(kind="pair").run(hp.LogLinear(), table_of(counts), rng=1))
    assert row["status"] == "refuted"
    assert "and chance does not explain it" in row["reason"]
    assert math.isnan(row["low"])


def test_a_pair_without_overlap_sets_no_upper_limit():
    counts = [0, 50, 60, 0, 70, 25, 30, 0]
    result = PartialIdentification(kind="pair").run(hp.LogLinear(), table_of(counts), rng=1)
    row = stated(result, "l0 & l1")
    assert (row["status"], row["set_low"], row["set_high"]) == ("unbounded", sum(counts), math.inf)
    assert row["low"] == pytest.approx(75 + 90 + 0.5 * 75 * 90 / -math.log(0.05))
    assert math.isfinite(stated(result)["set_high"])
    assert "without an upper limit of their own: l0 & l1" in result.text


def test_more_on_neither_list_than_the_assumption_allows():
    counts = np.zeros(8)
    counts[[1, 2, 3, 4]] = [10, 10, 1000, 500]
    alone = PartialIdentification(kind="pair", pairs=[("l0", "l1")]).run(
        hp.LogLinear(), table_of(counts), rng=1
    )
    row = stated(alone)
    assert (row["status"], alone.passed) == ("refuted", None)
    assert "more persons are on neither of l0 & l1 than the assumption allows" in row["reason"]


def test_the_pair_bootstrap_agrees_with_the_formula():
    table = table_of([0, 4000, 3000, 1000])
    formula, drawn = (
        stated(
            PartialIdentification(kind="pair", errors=errors, n_boot=2000).run(hp.LogLinear(), table, rng=1)
        )
        for errors in ("delta", "bootstrap")
    )
    assert math.log((drawn["high"] - 8000) / (drawn["set_high"] - 8000)) == pytest.approx(
        math.log((formula["high"] - 8000) / (formula["set_high"] - 8000)), rel=0.08
    )


# --- the check --------------------------------------------------------------------------------------------------------


def test_columns_figure_and_equal_bytes():
    check, kosovo = PartialIdentification(errors="bootstrap", n_boot=200), hp.datasets.load("kosovo")
    one, two = (check.run(KOSOVO, kosovo, rng=1, workers=n) for n in (1, 2))
    assert pickle.dumps(one.to_dict()) == pickle.dumps(two.to_dict())
    assert {"gamma", "n_hat", "low", "high", "status", "reason"} <= set(one.table)
    assert (one.figure["kind"], one.figure["bounds"]) == ("band", ["set_low", "set_high"])
    assert one.table["gamma"].is_monotonic_increasing


def test_tables_it_does_not_apply_to():
    rows = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "r": ["n", "s", "s"], "count": [4, 5, 9]})
    gaps = CaptureTable.from_counts(rows, strata=["r"], coverage=[Coverage("b", "r", ("s",))])
    censored = CaptureTable.from_counts(
        rows.drop(columns="r").assign(bound=[True, False, False]), lists=["a", "b"], censored="bound"
    )
    single = CaptureTable.from_memberships([["a"], ["b"]]).merge_lists({"ab": ["a", "b"]})
    for table, why in (
        (gaps, "did not operate in every stratum"),
        (censored, "only upper bounds"),
        (single, "2 to 12"),
    ):
        result = PartialIdentification().run(hp.LogLinear(), table, rng=1)
        assert result.passed is None
        assert why in result.text


def test_strata_are_added_up():
    rows = [(r, a, b, n) for r in "ns" for a, b, n in ((1, 0, 200), (0, 1, 150), (1, 1, 50))]
    strata = CaptureTable.from_counts(pd.DataFrame(rows, columns=["r", "a", "b", "count"]), strata=["r"])
    check = PartialIdentification(kind="pair")
    one, other = (
        check.run(hp.LogLinear(), table, hp.LogLinear().fit(strata.collapse()), rng=1).table
        for table in (strata, strata.collapse())
    )
    assert one["set_high"].tolist() == other["set_high"].tolist()


def test_nothing_small_leaves_of_data_that_are_not_public():
    private = table_of([0, 40, 30, 3, 20, 2, 1, 5])
    told = PartialIdentification(kind="pair").run(hp.LogLinear(), private, rng=1).to_dict()
    assert {row["set_low"] for row in told["table"]} == {"<10"}


def test_settings_are_checked():
    with pytest.raises(SettingError, match=r"xi=\(2, 1\) must be two numbers, the smaller first"):
        PartialIdentification(xi=(2, 1))
    with pytest.raises(SettingError, match=r"odds_ratio=\(0, 2\) must be two numbers"):
        PartialIdentification(odds_ratio=(0, 2))
    with pytest.raises(SettingError, match=r"gammas=\(0.5,\) must be numbers from 1"):
        PartialIdentification(gammas=(0.5,))
    with pytest.raises(SettingError, match="is not a pair of different lists"):
        PartialIdentification(pairs=(("a", "a"),))
    with pytest.raises(SettingError, match="is not a pair of different lists"):
        PartialIdentification(pairs=("ab",))
    with pytest.raises(SettingError, match="each once"):
        PartialIdentification(pairs=(("a", "b"), ("b", "a")))
    with pytest.raises(SettingError, match="n_boot=10"):
        PartialIdentification(n_boot=10)
    with pytest.raises(UnknownNameError, match="did you mean 'EXH'"):
        PartialIdentification(pairs=(("EXX", "HRW"),)).run(KOSOVO, hp.datasets.load("kosovo"), rng=1)
