"""Limits from draws, and bands that hold whole paths."""

import math

import numpy as np
import pytest

from hiddenpop.errors import SettingError
from hiddenpop.kernels.resampling.bootstrap_limits import bootstrap_limits
from hiddenpop.monitor.limits import (
    check_draws,
    draw_limits,
    draw_median,
    simultaneous_band,
    upward_share,
)

NO_FLOOR = np.full(8, -np.inf)


def paths(rng: np.random.Generator, size: int, points: int = 8, correlation: float = 0.5) -> np.ndarray:
    lag = np.abs(np.subtract.outer(np.arange(points), np.arange(points)))
    return rng.multivariate_normal(np.zeros(points), correlation**lag, size)


def test_posterior_limits_are_among_the_draws_and_equal_tailed() -> None:
    values = np.random.default_rng(1).normal(size=1000)
    low, high = draw_limits(values, 0.9, "posterior", unknown=(0.0, math.inf))
    assert low in values
    assert high in values
    assert (values <= low).sum() == 50
    assert (values <= high).sum() == 950


def test_bootstrap_limits_are_those_of_the_bootstrap_with_unknown_and_unbounded_draws() -> None:
    values = np.random.default_rng(2).poisson(150, 400).astype(float)
    values[:15], values[15:20] = np.inf, np.nan
    expected = bootstrap_limits(values, 150.0, 100, level=0.9, method="percentile")
    found = draw_limits(values, 0.9, "bootstrap", unknown=(100.0, math.inf))
    assert found == (expected.low, expected.high)


def test_unknown_draws_only_widen() -> None:
    values = np.random.default_rng(3).poisson(150, 400).astype(float)
    fewer = values[20:]
    with_unknown = np.concatenate([np.full(20, np.nan), fewer])
    narrow = draw_limits(fewer, 0.9, "posterior", unknown=(100.0, math.inf))
    wide = draw_limits(with_unknown, 0.9, "posterior", unknown=(100.0, math.inf))
    assert wide[0] <= narrow[0]
    assert wide[1] >= narrow[1]
    assert draw_limits(np.full(400, np.nan), 0.9, "posterior", unknown=(100.0, math.inf)) == (100.0, math.inf)


def test_a_median_that_unknown_draws_could_move_is_none() -> None:
    assert draw_median(np.array([1.0, 1.0, 1.0, np.nan])) == 1.0
    assert math.isnan(draw_median(np.array([1.0, 2.0, np.nan, np.nan])))


@pytest.mark.parametrize(("n_draws", "level"), [(199, 0.95), (99, 0.9), (400, 0.999)])
def test_a_level_that_draws_cannot_carry_is_refused(n_draws: int, level: float) -> None:
    with pytest.raises(SettingError, match=f"fewer than 5 of {n_draws} draws"):
        check_draws(n_draws, level)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_outside_its_range_is_refused(level: float) -> None:
    with pytest.raises(SettingError, match="must lie between 0 and 1"):
        check_draws(1000, level)


def test_share_that_went_up_counts_ties_and_unknown_draws_half() -> None:
    assert upward_share(np.array([1.0, np.inf, 2.0]), np.array([2.0, np.inf, np.nan])) == pytest.approx(
        2.0 / 3.0
    )


# --- bands ---


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_band_holds_its_share_of_paths_and_one_rank_less_does_not(level: float) -> None:
    draws = paths(np.random.default_rng(4), 2000)
    band = simultaneous_band(draws, level, NO_FLOOR)
    ordered = np.sort(draws, axis=0)

    def held(rank: int) -> float:
        inside = (draws >= ordered[rank - 1]) & (draws <= ordered[len(draws) - rank])
        return float(inside.all(axis=1).mean())

    assert held(band.rank) >= level > held(band.rank + 1)
    assert np.array_equal(band.low, ordered[band.rank - 1])
    assert np.array_equal(band.high, ordered[len(draws) - band.rank])


def test_band_of_one_point_is_its_equal_tailed_interval() -> None:
    draws = np.arange(1000.0)[:, None]
    band = simultaneous_band(draws, 0.9, np.array([-np.inf]))
    assert (band.low[0], band.high[0], band.rank) == (50.0, 949.0, 51)


def test_band_of_points_that_move_together_is_that_of_one() -> None:
    one = np.random.default_rng(5).normal(size=(1000, 1))
    alone, together = (
        simultaneous_band(x, 0.9, np.full(x.shape[1], -np.inf))
        for x in (one, np.hstack([one, 3.0 * one, np.exp(one)]))
    )
    assert together.rank == alone.rank
    assert together.high[1] == pytest.approx(3.0 * alone.high[0])


def test_band_does_not_depend_on_the_scale() -> None:
    draws = np.exp(paths(np.random.default_rng(6), 1000))
    plain, logged = (
        simultaneous_band(draws, 0.9, np.zeros(8)),
        simultaneous_band(np.log(draws), 0.9, NO_FLOOR),
    )
    assert plain.rank == logged.rank
    np.testing.assert_allclose(np.log(plain.high), logged.high)


def test_band_with_ties_holds_its_share() -> None:
    draws = np.random.default_rng(7).poisson(2.0, (1000, 5)).astype(float)
    band = simultaneous_band(draws, 0.9, np.zeros(5))
    inside = (draws >= band.low) & (draws <= band.high)
    assert inside.all(axis=1).mean() >= 0.9
    tighter = (draws >= band.low) & (draws <= band.high - 1.0)
    assert tighter.all(axis=1).mean() < 0.9


def test_unbounded_and_unknown_draws_open_the_band_where_they_are() -> None:
    draws = 100.0 + np.random.default_rng(8).poisson(50.0, (1000, 3)).astype(float)
    draws[:60, 1], draws[60:120, 2] = np.inf, np.nan
    band = simultaneous_band(draws, 0.9, np.full(3, 100.0))
    assert np.isfinite(band.high[0])
    assert np.isinf(band.high[1:]).all()
    assert band.low[1] > 100.0 == band.low[2]


def test_band_is_never_below_its_floor() -> None:
    draws = np.random.default_rng(9).normal(100.0, 10.0, (400, 3))
    band = simultaneous_band(draws, 0.9, np.full(3, 105.0))
    assert (band.low == 105.0).all()
    assert (band.high >= 105.0).all()


def test_simultaneous_coverage_is_right_and_pointwise_is_not() -> None:
    """Truth at 0, an estimate around it, and posterior draws around the estimate with the same law."""
    rng, n_studies, level = np.random.default_rng(10), 600, 0.9
    centres = paths(rng, n_studies)
    all_at_once = pointwise = 0
    for centre in centres:
        draws = centre + paths(rng, 600)
        band = simultaneous_band(draws, level, NO_FLOOR)
        all_at_once += bool(((band.low <= 0.0) & (band.high >= 0.0)).all())
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        pointwise += bool(((low <= 0.0) & (high >= 0.0)).all())
    error = math.sqrt(level * (1.0 - level) / n_studies)
    assert abs(all_at_once / n_studies - level) < 3.0 * error
    assert pointwise / n_studies < 0.65
