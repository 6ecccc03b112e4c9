"""The check of calibration passes what is right, and finds what is wrong."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from hiddenpop import parallel
from hiddenpop.errors import CapabilityError, SettingError
from hiddenpop.validation import Calibration, calibrate

N_REP = 300


def normal(rng, shift=0.0, spread=1.0):
    """A truth from N(0, 1), seen with noise of sd 1; its posterior is N(seen / 2, 1 / 2)."""
    truth = rng.normal()
    seen = truth + rng.normal()
    return truth, seen / 2.0 + (shift + spread * rng.normal(size=199)) * np.sqrt(0.5)


def shifted(rng):
    return normal(rng, shift=0.35)


def narrow(rng):
    return normal(rng, spread=0.67)


def wide(rng):
    return normal(rng, spread=1.5)


def counts(rng):
    """Counts with many ties: Poisson with a gamma prior, whose posterior predictive is negative binomial."""
    rate = rng.gamma(2.0)
    seen = rng.poisson(rate)
    return rng.poisson(rate), rng.poisson(rng.gamma(2.0 + seen, 0.5, size=199)).astype(float)


def picky(rng):
    truth, draws = normal(rng)
    if draws.mean() < 0.0:
        raise CapabilityError("nothing below zero")
    return truth, draws


def never(rng):
    raise CapabilityError("no table will do")


@pytest.mark.parametrize("replicate", [normal, counts, picky])
def test_a_right_posterior_stays_inside_nearly_always(replicate):
    inside = [calibrate(replicate, n_rep=N_REP, rng=seed).calibrated for seed in range(20)]
    assert sum(inside) >= 18


@pytest.mark.parametrize("replicate", [shifted, narrow, wide])
def test_a_posterior_wrong_by_a_third_of_its_spread_is_found(replicate):
    assert not any(calibrate(replicate, n_rep=N_REP, rng=seed).calibrated for seed in range(5))


@pytest.mark.parametrize("n", [100, 300])
def test_bands_hold_for_all_bars_together(n):
    rng = np.random.default_rng(5)
    found = [Calibration(positions=rng.random(n)) for _ in range(400)]
    bars = [one.histogram() for one in found]
    shares = [one.excess() for one in found]
    bars_out = np.mean([not b["count"].between(b["low"], b["high"]).all() for b in bars])
    shares_out = np.mean([not s["excess"].between(s["low"], s["high"]).all() for s in shares])
    assert bars_out < 0.03
    assert shares_out < 0.03
    assert max(bars_out, shares_out) > 0.0


def test_refused_tables_are_counted_and_replaced():
    result = calibrate(picky, n_rep=100, rng=3)
    assert len(result.positions) == 100
    assert result.n_refused > 50


def test_an_estimator_that_refuses_everything_ends_with_its_reason():
    with pytest.raises(SettingError, match=r"1,000 tables in a row .* no table will do"):
        calibrate(never, n_rep=5, rng=1)


@pytest.mark.slow
def test_workers_change_nothing():
    alone = calibrate(normal, n_rep=20, rng=7)
    with parallel(workers=2):
        together = calibrate(normal, n_rep=20, rng=7)
    assert alone.positions.tobytes() == together.positions.tobytes()


def test_the_plot_says_whether_the_bars_stay_inside():
    ax = Figure().add_subplot()
    Calibration(positions=np.full(100, 0.5), label="made up").plot(ax)
    assert "outside the 99 % bands" in ax.get_xlabel()
    assert len(ax.patches) == 11
