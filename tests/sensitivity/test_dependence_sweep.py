"""`DependenceSweep`: N under fixed odds ratios, tipping points, coverage, and what it does where it cannot apply."""

import math

import pytest
from tests.contract.cases import table_of

from hiddenpop import (
    AveragedLogLinear,
    Bootstrapped,
    Chapman,
    LincolnPetersen,
    LogLinear,
    SelectedLogLinear,
    datasets,
)
from hiddenpop.errors import SettingError, UnknownNameError
from hiddenpop.sensitivity.dependence_sweep import DependenceSweep

KOSOVO, UK = datasets.load("kosovo"), datasets.load("uk_5")
TWO = table_of((0, 30, 20, 10), "ab")


def test_two_lists_follow_the_closed_form_and_tip_where_it_says():
    check = DependenceSweep(odds_ratios=(0.25, 0.5, 1, 2, 4), claim="fewer than 150")
    result = check.run(LogLinear(), TWO)
    assert result.table["n_hat"].tolist() == pytest.approx([60 + 60 * psi for psi in (0.25, 0.5, 1, 2, 4)])
    # 60 + 60 psi = 150 at psi = 1.5; the line between 1 and 2 in logarithms is near it.
    assert result.passed is False
    assert "turns for a & b at about 1.5 (it holds at 1 and fails at 2)" in result.text
    assert result.table["coverage[a]"].tolist() == pytest.approx((40 / result.table["n_hat"]).tolist())


def test_at_the_odds_ratio_of_the_free_model_the_answer_is_that_of_the_free_model():
    model = LogLinear(model="all-pairs")
    free = model.fit(KOSOVO)
    psi = math.exp(free.details["coefficients"].set_index("term")["estimate"]["EXH*ABA"])
    found = DependenceSweep(pairs=[("EXH", "ABA")], odds_ratios=(1, psi)).run(model, KOSOVO, free)
    assert found.table["n_hat"].iloc[-1] == pytest.approx(free.n_hat, rel=1e-8)
    assert abs(found.table["n_hat"].iloc[0] / free.n_hat - 1) > 0.02


def test_a_pair_that_is_fixed_already_is_fixed_anew_and_others_stay():
    base = LogLinear(odds_ratios=[("EXH", "ABA", 3.0), ("OSCE", "HRW", 2.0)])
    found = DependenceSweep(pairs=[("ABA", "EXH")], odds_ratios=(1.5,)).run(base, KOSOVO)
    same = LogLinear(odds_ratios=[("EXH", "ABA", 1.5), ("OSCE", "HRW", 2.0)]).fit(KOSOVO)
    assert found.table["n_hat"][0] == pytest.approx(same.n_hat)


def test_a_grid_of_two_pairs_has_the_product_of_both():
    pairs = [("EXH", "ABA"), ("OSCE", "HRW")]
    found = DependenceSweep(pairs=pairs, odds_ratios=(0.5, 2), crossed=True).run(LogLinear(), KOSOVO)
    assert found.figure["kind"] == "contour"
    corner = LogLinear(odds_ratios=[("EXH", "ABA", 2.0), ("OSCE", "HRW", 0.5)]).fit(KOSOVO)
    at = found.table.set_index(["odds_ratio[EXH & ABA]", "odds_ratio[OSCE & HRW]"])["n_hat"]
    assert at[(2.0, 0.5)] == pytest.approx(corner.n_hat)
    assert len(found.table) == 4


@pytest.mark.parametrize(
    "estimator",
    [
        SelectedLogLinear(),
        AveragedLogLinear(max_order=2),
        Bootstrapped(base=LogLinear(model="[12,3,4]"), n_boot=400),
        LincolnPetersen(lists=("EXH", "ABA")),
    ],
)
def test_it_works_through_every_estimator_that_has_the_setting(estimator):
    found = DependenceSweep(pairs=[("EXH", "ABA")], odds_ratios=(0.5, 2.0)).run(estimator, KOSOVO, rng=1)
    low, high = found.table["n_hat"]
    assert low < high
    assert found.n_points == 2


def test_an_estimator_without_the_setting_gets_no_verdict():
    found = DependenceSweep().run(Chapman(lists=("EXH", "ABA")), KOSOVO)
    assert found.passed is None
    assert "chapman has no setting 'odds_ratios'" in found.text


def test_points_without_a_number_are_counted_and_leave_the_verdict_open():
    """Nobody is on both lists, so no odds ratio bounds the dark figure."""
    table = table_of((0, 40, 30, 0), "ab")
    found = DependenceSweep(odds_ratios=(0.5, 1, 2), claim="more than 10").run(LogLinear(), table)
    assert found.n_failed == 3
    assert found.passed is None
    assert "none of the 3 odds ratios has a number" in found.text
    assert "3 unbounded" in found.text


def test_results_do_not_depend_on_the_number_of_workers():
    check = DependenceSweep(pairs=[("EXH", "ABA"), ("EXH", "HRW")])
    one, two = (check.run(SelectedLogLinear(), KOSOVO, rng=3, workers=k) for k in (1, 2))
    assert one.table.equals(two.table)
    assert one.text == two.text


def test_low_coverage_is_told():
    text = DependenceSweep(pairs=[("LA", "NG")], odds_ratios=(1, 2)).run(LogLinear(), UK).text
    assert "less than 10% of the population make N fragile" in text
    assert "LA 0.7%" in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pairs": [("a", "a")]}, "not a pair of different lists"),
        ({"pairs": []}, "must name pairs of lists"),
        ({"pairs": [("a", "b"), ("b", "a")]}, "each once"),
        ({"odds_ratios": ()}, "nothing to try"),
        ({"odds_ratios": (0.0,)}, "above 0"),
        ({"crossed": True}, "takes two pairs of lists"),
        ({"claim": "about 5"}, "cannot be read"),
    ],
)
def test_a_setting_it_cannot_have_is_named(settings, message):
    with pytest.raises(SettingError, match=message):
        DependenceSweep(**settings)


def test_an_unknown_list_is_named():
    with pytest.raises(UnknownNameError, match="EXH"):
        DependenceSweep(pairs=[("EXG", "ABA")]).run(LogLinear(), KOSOVO)
