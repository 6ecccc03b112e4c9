import numpy as np
import pandas as pd
import pytest

from hiddenpop.errors import SettingError
from hiddenpop.synthetic.local import draw_local


def test_the_country_has_many_small_places_and_few_large_ones():
    world = draw_local(rng=1)
    assert len(world.truth) == len(world.places) == 342
    assert 0.35 < (world.truth["n"] <= 5).mean() < 0.6
    assert (world.truth["n_observed"] == 0).any()
    assert world.truth["n"].max() > 500
    assert world.truth["n"].sum() == pytest.approx(6000, rel=0.06)


def test_the_truth_has_every_stratum_and_the_table_those_with_persons():
    world = draw_local(n_places=30, n_persons=500, years=(2018, 2019), forms=("labour", "sexual"), rng=1)
    levels = ["municipality", "region", "year", "form"]
    assert len(world.truth) == 30 * 2 * 2
    seen = world.table.to_frame().groupby(levels)["count"].sum()
    there = world.truth[world.truth["n_observed"] > 0].set_index(levels)["n_observed"]
    pd.testing.assert_series_equal(
        seen.sort_index(), there.sort_index(), check_names=False, check_dtype=False, check_index_type=False
    )
    assert world.table.public


def test_places_have_codes_and_each_lies_in_one_region():
    world = draw_local(n_places=60, rng=1)
    assert world.places[0] == "0001"
    assert world.residents.groupby("municipality")["region"].nunique().eq(1).all()
    assert world.residents["region"].nunique() == 2
    assert world.residents["residents"].min() >= 1000


def test_list_effects_differ_between_places_by_the_spread_asked_for():
    share = {}
    for spread in (1.0, 5.0):
        world = draw_local(
            n_places=200, n_persons=400_000, exponent=0.0, spread=spread, odds_ratio=1.0, rng=1
        )
        frame = world.table.to_frame()
        on = frame["list_1"] * frame["count"]
        by_place = on.groupby(frame["municipality"]).sum() / world.truth.set_index("municipality")["n"]
        share[spread] = np.log(by_place / (1.0 - by_place)).std()
    assert share[1.0] < 0.1
    assert share[5.0] == pytest.approx(np.log(5.0) / 1.96, rel=0.15)


def test_sizes_grow_over_the_years():
    world = draw_local(n_persons=20_000, years=range(2015, 2020), growth=1.5, rng=1)
    by_year = world.truth.groupby("year")["n"].sum()
    assert by_year["2019"] / by_year["2015"] == pytest.approx(1.5**4, rel=0.1)


def test_the_same_seed_gives_the_same_world():
    first, again = draw_local(n_places=20, rng=3), draw_local(n_places=20, rng=3)
    assert first.table == again.table
    pd.testing.assert_frame_equal(first.residents, again.residents)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_places": 0}, "n_places=0 must be a whole number"),
        ({"probabilities": (0.2, 1.0, 0.1)}, r"probabilities\[1\]=1.0 must be above 0 and below 1"),
        ({"spread": 0.5}, "spread=0.5 must be a number from 1"),
    ],
)
def test_a_setting_it_cannot_have_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        draw_local(**settings)
