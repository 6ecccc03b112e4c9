"""The order of groups, and how sure it is."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.monitor.estimates import by_strata, two_by_two, yearly

from hiddenpop.errors import CapabilityError, PersonYearsWarning, SettingError, TableError
from hiddenpop.monitor import ranks
from hiddenpop.monitor.ranks import places
from hiddenpop.result import Estimate


def towns(size: int = 400, **options: Any) -> Estimate:
    draws = 50.0 + np.random.default_rng(1).poisson([100, 120, 125, 60, 118], (size, 5))
    return by_strata({"town": list("abcde")}, [50] * 5, draws, **options)


def test_ranks_are_those_of_sorting_each_draw() -> None:
    values = np.random.default_rng(2).normal(size=(300, 6))
    found = places(values, top=2)
    by_sorting = np.argsort(np.argsort(-values, axis=1), axis=1) + 1
    np.testing.assert_array_equal(found.rank, by_sorting)
    np.testing.assert_allclose(found.top_share, (by_sorting <= 2).mean(axis=0))
    np.testing.assert_allclose(found.first_share, (by_sorting == 1).mean(axis=0))


@pytest.mark.parametrize("top", [1, 2, 3, 4, 5])
def test_shares_under_ties_are_those_of_chance(top: int) -> None:
    """Every order of tied groups is as likely: compare with all orders written out."""
    values = np.array([[5.0, 5.0, 5.0, 1.0, 1.0], [np.inf, 2.0, np.inf, 2.0, 0.0]])
    found = places(values, top)
    share = np.zeros(5)
    for row in values:
        orders = [
            o
            for o in itertools.permutations(range(5))
            if all(row[a] >= row[b] for a, b in itertools.pairwise(o))
        ]
        for order in orders:
            share[list(order[:top])] += 1.0 / len(orders) / len(values)
    np.testing.assert_allclose(found.top_share, share)
    assert found.top_share.sum() == pytest.approx(top)
    assert found.first_share.sum() == pytest.approx(1.0)


def test_draws_with_an_unknown_group_tell_nothing() -> None:
    values = np.tile([3.0, 2.0, 1.0], (100, 1))
    values[:25, 2] = np.nan
    found = places(values, top=1)
    assert found.n_unknown == 25
    np.testing.assert_allclose(found.top_share, [0.75 + 0.25 / 3, 0.25 / 3, 0.25 / 3])


def test_unknown_draws_widen_ranks_and_are_said() -> None:
    draws = np.tile([300.0, 200.0, 100.0], (400, 1))
    draws[:30, 2] = np.nan
    order = ranks(
        by_strata({"town": list("abc")}, [50] * 3, draws, kind="bootstrap", n_hat=[300.0, 200.0, 100.0]),
        "town",
    )
    assert order.frame["rank"].tolist() == [1.0, 2.0, 3.0]
    assert order.frame["rank_low"].tolist() == [1.0, 1.0, 1.0]
    assert order.frame["rank_high"].tolist() == [3.0, 3.0, 3.0]
    assert "in 30 of 400 draws some group has no number" in order.notes[0]


def test_order_runs_from_the_largest_down() -> None:
    order = ranks(towns(), "town", top=2)
    assert order.frame["town"].tolist()[0] == "c"
    assert order.frame["town"].tolist()[-1] == "d"
    assert order.frame["rank"].is_monotonic_increasing
    assert order.frame["top_share"].sum() == pytest.approx(2.0)
    assert order.frame["first_share"].sum() == pytest.approx(1.0)
    last = order.frame.iloc[-1]
    assert (last["rank_low"], last["rank"], last["rank_high"]) == (5.0, 5.0, 5.0)


def test_rank_limits_hold_their_share_of_the_draws() -> None:
    estimate = towns(size=2000)
    rank = places(np.asarray(estimate.stratum_draws), top=1).rank
    frame = ranks(estimate, "town").frame.set_index("town")
    for place, town in enumerate("abcde"):
        own, low, high = rank[:, place], frame.loc[town, "rank_low"], frame.loc[town, "rank_high"]
        assert (own < low).mean() < 0.05 <= (own <= low).mean()
        assert (own > high).mean() <= 0.05


def test_rates_give_another_order() -> None:
    residents = pd.DataFrame({"town": list("abcde"), "residents": [1e6, 1e6, 1e6, 1e3, 1e6]})
    order = ranks(towns(), "town", residents=residents)
    assert order.measure == "rate"
    assert order.frame["town"].iloc[0] == "d"
    assert order.frame["rate"].iloc[0] == pytest.approx(100.0 * order.frame["n_hat"].iloc[0])


def test_more_places_than_groups_are_all_of_them() -> None:
    order = ranks(towns(), "town", top=10)
    assert order.top == 5
    assert order.frame["top_share"].tolist() == [1.0] * 5


def test_shares_are_called_by_their_name() -> None:
    assert "posterior probability of the first" in ranks(towns(), "town").text()
    resampled = ranks(towns(kind="bootstrap", n_hat=[150.0, 170.0, 175.0, 110.0, 168.0]), "town")
    assert "share of resamples of the first" in resampled.text()
    assert "probability" not in resampled.text()


def test_long_orders_are_cut_in_the_text() -> None:
    draws = 50.0 + np.random.default_rng(3).poisson(50, (400, 30))
    text = ranks(by_strata({"town": [f"t{i}" for i in range(30)]}, [50] * 30, draws), "town").text()
    assert "and 10 more" in text


def test_an_unbounded_group_is_first() -> None:
    draws = np.tile([100.0, np.inf], (400, 1))
    estimate = by_strata(
        {"town": ["a", "b"]},
        [50, 50],
        draws,
        kind="bootstrap",
        n_hat=[100.0, 1.0],
        status=["ok", "unbounded"],
    )
    order = ranks(estimate, "town", top=1).frame
    assert order["town"].tolist() == ["b", "a"]
    assert order["status"].tolist() == ["unbounded", "ok"]


def test_what_cannot_be_ordered_is_refused() -> None:
    with pytest.raises(SettingError, match="gives one group; an order needs at least 2"):
        ranks(yearly([2020]), "year")
    with pytest.raises(CapabilityError, match="no draws by stratum, which ranks need"):
        ranks(by_strata({"town": ["a", "b"]}, [1, 1], None, n_hat=[2.0, 3.0], kind=""), "town")
    with pytest.raises(SettingError, match="top=0 must be a whole number"):
        ranks(two_by_two(), "sex", top=0)
    residents = pd.DataFrame({"town": list("abcd"), "residents": [1, 1, 0, 1]})
    with pytest.raises(TableError, match="missing or zero for c, e"):
        ranks(towns(), "town", residents=residents)


def test_years_that_are_added_up_are_warned_of_and_an_order_of_years_is_not() -> None:
    levels = {"town": ["a", "a", "b", "b"], "year": ["2019", "2020"] * 2}
    estimate = by_strata(levels, [20] * 4, 50.0 + np.random.default_rng(4).poisson(50, (400, 4)))
    with pytest.warns(PersonYearsWarning, match="added up"):
        assert ranks(estimate, "town").notes
    assert not ranks(estimate, ["town", "year"]).notes


def test_what_leaves_keeps_ranks_and_marks_numbers() -> None:
    draws = 100.0 + np.random.default_rng(5).poisson(50, (400, 3))
    frame = ranks(
        by_strata({"town": list("abc")}, [4, 60, 70], draws, public=False), "town"
    ).protected_frame()
    marked = frame.set_index("town")
    assert marked.loc["a", ["n_observed", "n_hat", "low"]].tolist() == ["<10"] * 3
    assert marked["rank"].map(float).gt(0).all()
