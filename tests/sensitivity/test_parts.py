"""What the checks share: claims, settings behind wrappers, points, verdicts, tipping points and results."""

import json
import math
import pickle
from dataclasses import replace

import pandas as pd
import pytest
from tests.contract.cases import table_of

from hiddenpop import Bootstrapped, ChaoLowerBound, LogLinear, SelectedLogLinear, datasets, parallel
from hiddenpop.errors import SettingError
from hiddenpop.sensitivity.claims import Claim, as_claim, claim_or_interval, tipping_points
from hiddenpop.sensitivity.dependence_sweep import DependenceSweep
from hiddenpop.sensitivity.points import REFUSED, Point, evaluate
from hiddenpop.sensitivity.protocol import Check, CheckResult, has_setting, judge, setting_of, with_settings

KOSOVO = datasets.load("kosovo")


# --- claims -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("more than 10,000", 10_001, 9_999),
        ("at least 10 000", 10_000, 9_999),
        ("> 2_500.5", 2_501, 2_500),
        ("Fewer than 20,000", 19_999, 20_001),
        ("<=300", 300, 301),
        ("between 10,000 and 13,000", 12_000, 13_001),
        ("10000 to 13000", 10_000, 9_999),
        ("10,000-13,000", 13_000, 13_001),
        ("more than 1.000.000", 1_000_001, 999_999),
        ("more than 1,500.5", 1_501, 1_500),
        ("meer dan 2.000", 2_001, 1_999),
        ("Minstens 1.500,5", 1_501, 1_500),
        ("ten minste 10 000", 10_000, 9_999),
        ("minder dan 20.000", 19_999, 20_001),
        ("hoogstens 300", 300, 301),
        ("tussen de 10.000 en 13.000", 12_000, 13_001),
        ("tussen 10.000 en de 13.000", 12_000, 9_999),
        ("10.000 tot 13.000", 10_000, 9_999),
    ],
)
def test_claims_are_read_as_people_write_them(text, inside, outside):
    claim = Claim.parse(text)
    assert claim.holds(inside)
    assert not claim.holds(outside)
    assert not claim.holds(math.nan)
    assert claim.text == text


@pytest.mark.parametrize("text", ["about 10,000", "more than many", "", "between 5", "10,000"])
def test_a_claim_that_says_nothing_is_refused(text):
    with pytest.raises(SettingError, match="cannot be read"):
        Claim.parse(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("more than 50.000", "'50.000' can be read as 50, or as 50,000 the Dutch way; write 50000, or 50"),
        ("> 1.500", "'1.500' can be read as 1.5, or as 1,500 the Dutch way; write 1500, or 1.5"),
        ("meer dan 50,000", "'50,000' can be read as 50, or as 50,000 the English way; write 50000, or 50"),
        ("tussen 1.000 en 2,000", "'2,000' can be read as 2, or as 2,000 the English way"),
        ("between 10,000 and 13.000", "'13.000' can be read as 13, or as 13,000 the Dutch way"),
        ("more than 10 00", "'10 00' is not a number; write 1000"),
        ("more than 1,0000", "'1,0000' is not a number; write it without signs between thousands"),
        ("more than 1.000,000", "'1.000,000' is not a number"),
    ],
)
def test_a_claim_that_can_be_read_in_two_ways_is_refused(text, told):
    with pytest.raises(SettingError, match=f"claim={text!r}: {told}"):
        Claim.parse(text)


def test_claims_the_wrong_way_round_or_of_another_kind_are_refused():
    with pytest.raises(SettingError, match="low <= high"):
        Claim.parse("between 20 and 10")
    with pytest.raises(SettingError, match="neither a Claim nor text"):
        as_claim(10_000)


def test_without_a_claim_the_interval_of_the_baseline_is_held_to():
    baseline = LogLinear().fit(KOSOVO)
    claim = claim_or_interval(None, baseline)
    assert (claim.low, claim.high) == (baseline.interval.low, baseline.interval.high)
    assert "within the interval of the estimate" in claim.text


# --- settings behind wrappers -----------------------------------------------------------------------------------------


def test_a_setting_is_found_and_changed_where_it_stands():
    wrapped = Bootstrapped(base=LogLinear(model="[12,3]"), n_boot=400)
    assert has_setting(wrapped, "xi")
    assert not has_setting(ChaoLowerBound(), "xi")
    changed = with_settings(wrapped, xi=0.5, n_boot=500)
    assert (setting_of(changed, "xi"), changed.n_boot, changed.base.model) == (0.5, 500, "[12,3]")
    # The level of the interval is that of the wrapper, not of what it wraps.
    assert with_settings(wrapped, level=0.9).base.level == 0.95


# --- points -----------------------------------------------------------------------------------------------------------


def points_of(estimators, table=KOSOVO):
    return [Point({"at": i}, estimator, table) for i, estimator in enumerate(estimators)]


def test_a_point_is_the_estimate_itself():
    estimators = [LogLinear(model=m) for m in ("independence", "[12,3,4]", "all-pairs")]
    frame = evaluate(points_of(estimators), seed=1, label="")
    for row, estimator in zip(frame.itertuples(), estimators, strict=True):
        found = estimator.fit(KOSOVO)
        assert (row.n_hat, row.low, row.high) == (found.n_hat, found.interval.low, found.interval.high)
        assert (row.status, row.model) == (found.status, found.details["model"])


def test_a_point_that_the_estimator_refuses_is_a_row_with_the_reason():
    one_list = table_of((0, 30), "a")
    frame = evaluate(points_of([LogLinear(), LogLinear()], one_list), seed=1, label="")
    assert frame["status"].tolist() == [REFUSED, REFUSED]
    assert "at least 2 lists" in frame["reason"][0]
    assert frame["n_hat"].isna().all()


@pytest.mark.parametrize("name", ["uk_5", "western_us", "kosovo", "korea", "netherlands"])
@pytest.mark.parametrize("settings", [{}, {"criterion": "aic", "max_order": 2, "admissible": "exists"}])
def test_the_quicker_route_gives_the_same_estimate(name, settings):
    if name == "netherlands" and settings:
        settings = {**settings, "max_order": 1}
    table, asked = datasets.load(name), SelectedLogLinear(**settings)
    quick = asked.quicker(table)
    assert quick.search == "exact"
    slow, fast = asked.fit(table), quick.fit(table)
    assert fast.details["model"] == slow.details["model"]
    assert fast.n_hat == pytest.approx(slow.n_hat, rel=1e-12)
    assert fast.interval.high == pytest.approx(slow.interval.high, rel=1e-9)


def test_finished_points_are_taken_from_the_store(tmp_path, monkeypatch):
    check = DependenceSweep(pairs=[("EXH", "ABA")], odds_ratios=(0.5, 1, 2))
    baseline = LogLinear().fit(KOSOVO)
    with parallel(store=tmp_path):
        first = check.run(LogLinear(), KOSOVO, baseline, rng=1)
        monkeypatch.setattr(LogLinear, "fit", None)  # a second fit of a point would fail
        again = check.run(LogLinear(), KOSOVO, baseline, rng=1)
    assert first.table.equals(again.table)


# --- verdicts ---------------------------------------------------------------------------------------------------------


def swept(*numbers):
    statuses = ["ok" if math.isfinite(n) else "unbounded" if n > 0 else "not_identified" for n in numbers]
    return pd.DataFrame(
        {
            "n_hat": numbers,
            "n_observed": 50,
            "status": statuses,
            "reason": ["" if s == "ok" else s for s in statuses],
        }
    )


CLAIM = Claim.parse("more than 100")


@pytest.mark.parametrize(
    ("numbers", "passed", "failed"),
    [
        ((150.0, 200.0), True, 0),
        ((150.0, 90.0), False, 0),
        ((150.0, math.inf), None, 1),
        ((90.0, math.inf), False, 1),
        ((math.nan, math.inf), None, 2),
        ((), None, 0),
    ],
)
def test_no_verdict_is_made_from_fewer_points_than_it_states(numbers, passed, failed):
    verdict = judge(swept(*numbers), CLAIM)
    assert verdict.passed is passed
    assert verdict.n_failed == failed
    assert verdict.n_points == len(numbers)
    assert f"of {len(numbers)} points" in verdict.text or f"the {len(numbers)} points" in verdict.text
    if failed:
        assert "Without a number" in verdict.text


# --- tipping points ---------------------------------------------------------------------------------------------------


def test_a_power_law_is_interpolated_exactly_on_logarithms():
    x = [0.5, 1.0, 2.0, 4.0]
    found = tipping_points(x, [40 * v**1.3 for v in x], CLAIM, log=True)
    assert len(found) == 1
    assert found[0].about == pytest.approx(2.5 ** (1 / 1.3))
    assert (found[0].holds, found[0].fails) == (4.0, 2.0)


def test_every_turn_is_found_and_gaps_hide_none_that_is_seen():
    numbers = [150.0, 90.0, 120.0, math.inf, 80.0, 70.0, 130.0]
    found = tipping_points(list(range(7)), numbers, CLAIM, log=False)
    assert [(t.holds, t.fails) for t in found] == [(0, 1), (2, 1), (6, 5)]
    assert all(min(t.holds, t.fails) < t.about < max(t.holds, t.fails) for t in found)


# --- results ----------------------------------------------------------------------------------------------------------


def result_on(table):
    return DependenceSweep(pairs=[("EXH", "ABA")], odds_ratios=(0.5, 2)).run(LogLinear(), table, rng=1)


def test_a_result_is_plain_json_with_its_points_counted():
    written = json.loads(json.dumps(result_on(KOSOVO).to_dict(), allow_nan=False))
    assert written["n_points"] == len(written["table"]) == 2
    assert written["settings"]["odds_ratios"] == [0.5, 2.0]
    assert written["provenance"]["small_counts_shown"] is True


def test_what_gives_counts_away_stays_when_the_data_are_not_public():
    private = replace(KOSOVO, public=False)
    kept = result_on(private).to_dict()
    assert {row["coverage[EXH]"] for row in kept["table"]} == {"<10"}
    assert all(float(f"{row['n_hat']:.2e}") == row["n_hat"] for row in kept["table"])
    assert "fragile" not in kept["text"]
    shown = result_on(private).to_dict(show_small_counts=True)
    assert isinstance(shown["table"][0]["coverage[EXH]"], float)


def test_a_reason_that_tells_a_count_stays_too():
    private = replace(KOSOVO, public=False)
    told = "fewer than the 7 observed"
    frame = pd.DataFrame({"n_hat": [math.nan], "low": 1.0, "high": 2.0, "status": "refused", "reason": told})
    result = replace(
        result_on(private), table=frame, text=f"No verdict: 1 refused ({told}).", text_to_leave=""
    )
    kept = result.to_dict()
    assert kept["text"] == "No verdict: 1 refused (reason withheld)."
    assert kept["table"][0]["reason"] == "reason withheld"
    assert told in result.to_dict(show_small_counts=True)["text"]


def test_of_fewer_than_ten_persons_no_figure_leaves():
    few = replace(table_of((0, 3, 2, 2), "ab"), public=False)
    check = DependenceSweep(odds_ratios=(0.5, 2), claim="more than 2")
    kept = check.run(LogLinear(), few).to_dict()
    for row in kept["table"]:
        assert {row[name] for name in ("n_hat", "low", "high", "n_observed", "coverage[a]")} == {"<10"}
    assert kept["text"] == "Withheld: fewer than 10 persons were observed."
    assert "7 observed" in check.run(LogLinear(), few).to_dict(show_small_counts=True)["text"]


def test_a_result_can_be_sent_to_another_process_and_says_what_it_is():
    result = result_on(KOSOVO)
    again = pickle.loads(pickle.dumps(result))
    assert again.table.equals(result.table)
    assert again.to_dict() == result.to_dict()
    assert "dependence_sweep of loglinear" in repr(result)
    assert "<table" in result._repr_html_()
    assert isinstance(DependenceSweep(), Check)


def test_points_that_cannot_be_counted_are_refused():
    with pytest.raises(ValueError, match="3 of 2 points"):
        CheckResult(
            name="x", passed=None, table=pd.DataFrame(), text="", figure={}, estimator=result_on(KOSOVO).estimator,
            data=KOSOVO.summary, n_points=2, n_failed=3,
        )  # fmt: skip
