import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri
from scipy.stats import rankdata

from hiddenpop.bayes import diagnostics
from hiddenpop.bayes.convergence import FEWEST_ROUND_TRIPS, effective_draws, in_words, rhat, three_digits
from hiddenpop.bayes.diagnostics import Convergence, convergence, judge, modes

GOOD = {"rhat": 1.004, "ess_bulk": 900.0, "ess_tail": 800.0, "n_chains": 4, "n_draws": 1000}


def chains(seed=1, n_chains=4, n_draws=1000, dependence=0.0):
    """Standard normal chains in which neighbours correlate."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, math.sqrt(1.0 - dependence**2), (n_chains, n_draws))
    drawn = np.empty((n_chains, n_draws))
    drawn[:, 0] = rng.normal(size=n_chains)
    for t in range(1, n_draws):
        drawn[:, t] = dependence * drawn[:, t - 1] + noise[:, t]
    return drawn


def plain_rhat(drawn):
    """Split, rank-normalised R-hat, written out."""

    def on(values):
        half = values.shape[1] // 2
        split = np.concatenate([values[:, :half], values[:, -half:]])
        z = ndtri((rankdata(split).reshape(split.shape) - 0.375) / (split.size + 0.25))
        within, between = z.var(axis=1, ddof=1).mean(), z.mean(axis=1).var(ddof=1)
        return math.sqrt((half - 1) / half + between / within)

    return max(on(drawn), on(np.abs(drawn - np.median(drawn))))


# --- convergence ------------------------------------------------------------------------------------------------------


def test_chains_that_agree_converge():
    found = convergence(np.round(np.exp(8 + 0.2 * chains())))
    assert found.converged
    assert found.rhat < 1.005
    assert 3000 < found.ess_bulk < 5000
    assert (found.n_chains, found.n_draws) == (4, 1000)


@pytest.mark.parametrize("dependence", [0.0, 0.9])
def test_rhat_is_the_one_of_vehtari_and_others(dependence):
    drawn = chains(dependence=dependence, n_draws=400)
    assert rhat(drawn) == pytest.approx(plain_rhat(drawn), abs=1e-3)


def test_effective_draws_follow_the_dependence():
    found = np.mean([effective_draws(chains(seed, dependence=0.8), "mean") for seed in range(10)])
    assert found == pytest.approx(4000 * (1 - 0.8) / (1 + 0.8), rel=0.15)


def shifted(drawn):
    return drawn + np.array([[0.0], [0.0], [0.0], [1.0]])


def wider(drawn):
    return drawn * np.array([[1.0], [1.0], [1.0], [2.0]])


def drifting(drawn):
    return drawn + np.linspace(0.0, 1.5, drawn.shape[1])


def stuck(drawn):
    return np.where(np.arange(4)[:, None] == 2, 0.0, drawn)


@pytest.mark.parametrize("fault", [shifted, wider, drifting, stuck])
def test_a_chain_that_disagrees_is_found(fault):
    status, reason = judge(convergence(np.exp(9 + 0.3 * fault(chains()))))
    assert status == "not_converged"
    assert "R-hat of N is" in reason


def test_dependent_chains_have_too_few_draws():
    status, reason = judge(convergence(np.exp(9 + 0.3 * chains(dependence=0.97))))
    assert status == "not_converged"
    assert "effective draws for the centre of N, under 400" in reason


def test_equal_draws_agree_and_chains_that_do_not_move_do_not():
    equal = convergence(np.full((4, 200), 50.0))
    assert equal.converged
    assert equal.rhat == 1.0
    apart = convergence(np.repeat([[50.0], [50.0], [50.0], [51.0]], 200, axis=1))
    assert not apart.converged
    assert "very large, as a chain hardly moves" in judge(apart)[1]


def test_one_chain_is_split():
    assert convergence(np.exp(chains(n_chains=1, n_draws=4000))).converged
    assert not convergence(np.exp(drifting(chains(n_chains=1, n_draws=4000)))).converged


def test_draws_that_no_number_can_hold_are_far_away():
    drawn = np.exp(8 + chains())
    drawn[0, :20] = np.inf
    assert math.isfinite(convergence(drawn).ess_bulk)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"rhat": 1.011}, "R-hat of N is 1.011, above 1.01"),
        ({"rhat": math.nan}, "R-hat of N"),
        ({"ess_bulk": 399.0}, "399 effective draws for the centre"),
        ({"ess_tail": 12.0}, "12 effective draws for the limits"),
        ({"n_divergent": 41}, "41 of 4,000 draws are divergent"),
        ({"round_trips": FEWEST_ROUND_TRIPS - 1}, "29 round trips between the temperatures, under 30"),
    ],
)
def test_each_fault_is_named(change, fault):
    status, reason = judge(Convergence(**{**GOOD, **change}))
    assert status == "not_converged"
    assert fault in reason
    assert not Convergence(**{**GOOD, **change}).as_dict()["converged"]


def test_limits_themselves_are_good_enough():
    edge = {
        "rhat": 1.01,
        "ess_bulk": 400,
        "ess_tail": 400,
        "n_divergent": 40,
        "round_trips": FEWEST_ROUND_TRIPS,
    }
    assert judge(Convergence(**{**GOOD, **edge})) == ("ok", "")


@pytest.mark.parametrize("drawn", [np.ones(100), np.ones((4, 3)), np.ones((0, 10))])
def test_draws_must_be_chains(drawn):
    with pytest.raises(ValueError, match="draws come as chains of at least four draws each"):
        convergence(drawn)


def test_draws_must_be_numbers():
    drawn = np.ones((2, 10))
    drawn[0, 3] = np.nan
    with pytest.raises(ValueError, match="a draw of N is not a number"):
        modes(drawn)


# --- modes ------------------------------------------------------------------------------------------------------------


def two_lumps(share, seed=1, n_draws=1000):
    rng = np.random.default_rng(seed)
    low = rng.random((4, n_draws)) < share
    return np.exp(np.where(low, 9.0, 10.2) + 0.12 * rng.normal(size=(4, n_draws)))


def test_two_lumps_are_two_modes_with_their_weights():
    found = modes(two_lumps(0.3))
    assert found["location"].to_numpy() == pytest.approx(np.exp([9.0, 10.2]), rel=0.03)
    assert found["weight"].tolist() == pytest.approx([0.3, 0.7], abs=0.03)
    assert found["weight"].sum() == 1.0
    assert found["high"][0] < found["low"][1]
    assert [c for c in found if c.startswith("chain_")] == ["chain_1", "chain_2", "chain_3", "chain_4"]
    assert found.filter(like="chain_").mean(axis=1).to_numpy() == pytest.approx(found["weight"].to_numpy())


def test_standard_error_of_a_weight_is_its_spread_over_repetitions():
    found = [modes(two_lumps(0.3, seed)).iloc[0] for seed in range(60)]
    weights = np.array([row["weight"] for row in found])
    assert weights.std() == pytest.approx(np.mean([row["standard_error"] for row in found]), rel=0.3)


def test_chains_in_different_modes_do_not_know_the_weights():
    drawn = np.exp(np.array([[9.0], [9.0], [10.2], [10.2]]) + 0.12 * chains())
    found = modes(drawn)
    assert len(found) == 2
    assert found["chain_1"].tolist() == [1.0, 0.0]
    assert found["chain_4"].tolist() == [0.0, 1.0]
    assert (found["standard_error"] > 0.15).all()


def test_a_slow_chain_still_shows_its_own_mode(monkeypatch):
    apart = np.where(np.arange(8)[:, None] == 5, 10.4, 9.0)
    drawn = np.exp(apart + 0.3 * chains(n_chains=8, dependence=0.99))
    assert len(modes(drawn)) == 2
    monkeypatch.setattr("hiddenpop.bayes.convergence.FEWEST_FOR_DENSITY", 1.0)
    assert len(modes(drawn)) == 1


def test_one_lump_is_one_mode_also_when_chains_are_slow_or_numbers_small():
    for seed in range(10):
        assert len(modes(np.exp(9 + 0.3 * chains(seed)))) == 1
        assert len(modes(np.exp(9 + 0.3 * chains(seed, dependence=0.95)))) == 1
        small = 40.0 + np.random.default_rng(seed).poisson(3.0, (4, 1000))
        assert len(modes(small)) == 1


def test_few_persons_are_no_lumps_because_of_a_planted_fault(monkeypatch):
    """Without spreading ties every whole number would be a lump of its own."""
    small = 400.0 + np.random.default_rng(1).poisson(3.0, (4, 4000))
    assert len(modes(small)) == 1
    monkeypatch.setattr("hiddenpop.bayes.convergence._spread_ties", np.log)
    assert len(modes(small)) > 1


def test_a_small_lump_belongs_to_its_neighbour():
    assert len(modes(two_lumps(0.01))) == 1
    assert len(modes(two_lumps(0.06))) == 2


def test_equal_draws_are_one_mode():
    [row] = modes(np.full((4, 100), 7.0)).to_dict("records")
    assert (row["location"], row["low"], row["high"], row["weight"], row["standard_error"]) == (7, 7, 7, 1, 0)


def test_modes_in_words():
    frame = pd.DataFrame([{"location": 144_321.0, "weight": 0.8712, "standard_error": 0.061}])
    assert in_words(frame, [three_digits(144_321.0)]) == "144,000 (weight 0.87, standard error 0.06)"


def test_the_face_holds_what_it_names():
    assert all(hasattr(diagnostics, name) for name in diagnostics.__all__)
