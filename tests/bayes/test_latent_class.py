"""`LatentClass`: two samplers of one posterior, honest statuses, and what the estimate holds."""

import math
import pickle
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes import latent_class
from hiddenpop.bayes.latent_class import LatentClass, build, data_of
from hiddenpop.bayes.priors import size_gamma
from hiddenpop.bayes.sampling import Chains
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, EmptyListWarning, SettingError
from hiddenpop.kernels.bayes.latent_class import evaluate, latent_class_data, starts
from hiddenpop.result import Estimate
from hiddenpop.table import CaptureTable

QUICK = LatentClass(n_classes=5, n_draws=800, n_tune=300, n_temperatures=6)
SMALL = (0, 40, 60, 15, 50, 14, 18, 8)


@cache
def quick() -> Estimate:
    return QUICK.fit(table_of(SMALL), rng=1)


def test_the_details_hold_no_labels_and_say_how_the_ladder_was_climbed() -> None:
    details = quick().details
    assert {"classes", "hidden_share", "powers", "swap_rates", "round_trips", "modes", "convergence"} <= set(
        details
    )
    assert len(details["powers"]) == 6
    assert len(details["swap_rates"]) == 5
    assert len(details["round_trips"]) == 4
    assert set(details["idata"].posterior.data_vars) == {"N", "hidden_share", "cell_shares"}
    assert details["idata"].posterior["N"].shape == (4, 800)
    assert 1.0 <= details["classes"] <= 5.0


def test_draws_are_whole_numbers_of_at_least_the_observed() -> None:
    estimate = quick()
    assert estimate.draws is not None
    assert estimate.draws.min() >= sum(SMALL)
    assert np.all(estimate.draws == np.round(estimate.draws))
    assert estimate.n_hat in estimate.draws
    assert estimate.interval.method == "equal-tailed posterior, latent classes"


def test_equal_seeds_give_equal_draws_on_any_number_of_workers() -> None:
    setting = replace(QUICK, n_draws=100, n_tune=100, n_temperatures=3, n_sweeps=1)
    table = table_of(SMALL)
    one, two = setting.fit(table, rng=7), setting.fit(table, rng=7)
    with hp.parallel(workers=2):
        spread = setting.fit(table, rng=7)
    assert one.draws.tobytes() == two.draws.tobytes() == spread.draws.tobytes()
    assert setting.fit(table, rng=8).draws.tobytes() != one.draws.tobytes()


def test_the_order_of_the_lists_changes_nothing_but_the_draws() -> None:
    counts = np.array(SMALL)
    turned = counts[[0, 4, 2, 6, 1, 5, 3, 7]]
    one, other = (QUICK.fit(table_of(cells), rng=seed) for seed, cells in ((1, counts), (2, turned)))
    assert one.ok
    assert other.ok
    spread = math.log(one.interval.high / one.interval.low) / 3.92
    assert math.log(one.n_hat / other.n_hat) == pytest.approx(0.0, abs=0.3 * spread)


def test_a_proper_prior_tells() -> None:
    table = table_of((0, 12, 15, 2, 11, 1, 2, 0))
    free = QUICK.fit(table, rng=1)
    bound = replace(QUICK, prior=("negative_binomial", 60.0, 400.0)).fit(table, rng=1)
    assert bound.interval.high < 90.0 < free.interval.high


def test_an_empty_list_is_left_out() -> None:
    padded = np.zeros(16)
    padded[:8] = SMALL
    with pytest.warns(EmptyListWarning, match="l3 caught nobody"):
        estimate = replace(QUICK, n_draws=100, n_sweeps=1).fit(table_of(padded), rng=1)
    assert estimate.details["dropped_lists"] == ["l3"]


def test_strata_are_added_up_with_a_warning() -> None:
    frame = table_of(SMALL).to_frame()
    twice = pd.concat([frame.assign(sex="f"), frame.assign(sex="m")])
    both = CaptureTable.from_counts(twice, lists=["l0", "l1", "l2"], count="count", strata=["sex"])
    with pytest.warns(CollapsedStrataWarning, match="added up sex"):
        estimate = replace(QUICK, n_draws=100, n_sweeps=1).fit(both, rng=1)
    assert estimate.n_observed == 2 * sum(SMALL)


# --- statuses ---------------------------------------------------------------------------------------------------------


def test_chains_without_round_trips_are_not_converged_and_show_modes() -> None:
    setting = LatentClass(n_classes=3, n_draws=100, n_tune=100, n_temperatures=4, n_sweeps=1)
    estimate = setting.fit(hp.datasets.load("netherlands"), rng=1)
    assert estimate.status == "not_converged"
    assert math.isnan(estimate.n_hat)
    assert "round trips between the temperatures, under 30" in estimate.reason
    assert {"location", "weight", "standard_error"} <= set(estimate.details["modes"].columns)
    assert estimate.interval.method.endswith("from the lowest limit of a chain to the highest")


def test_everybody_on_all_lists_leaves_nobody_hidden() -> None:
    estimate = QUICK.fit(table_of((0, 0, 0, 0, 0, 0, 0, 50)), rng=1)
    assert (estimate.n_hat, estimate.status) == (50.0, "boundary")


def test_without_any_overlap_the_posterior_is_wide() -> None:
    estimate = replace(QUICK, n_draws=1000).fit(table_of((0, 10, 20, 0, 15, 0, 0, 0)), rng=1)
    assert estimate.interval.high > 8 * estimate.interval.low


def test_one_person_has_a_posterior() -> None:
    estimate = QUICK.fit(table_of((0, 0, 0, 0, 0, 0, 0, 1)), rng=1)
    assert estimate.ok or estimate.status == "boundary"
    assert estimate.interval.low == 1.0


def test_counts_of_a_million_millions_give_a_number_or_say_that_they_do_not() -> None:
    estimate = replace(QUICK, n_draws=100, n_sweeps=1).fit(table_of([0, *[10**12] * 7]), rng=1)
    assert estimate.interval.low >= 7e12
    assert estimate.status in {"ok", "not_converged"}


def test_twelve_lists() -> None:
    rng = np.random.default_rng(1)
    histories = (rng.random((400, 12)) < 0.15) @ (1 << np.arange(12))
    counts = np.bincount(histories, minlength=4096)
    counts[0] = 0
    setting = LatentClass(n_classes=3, n_draws=100, n_tune=100, n_temperatures=4, n_sweeps=1)
    estimate = setting.fit(table_of(counts), rng=1)
    assert estimate.draws is not None
    # 400 persons, of whom (1 - 0.15)^12 = 14 % are hidden.
    assert np.median(estimate.draws) == pytest.approx(400.0, rel=0.1)


def test_classes_that_are_all_in_use_are_remarked_on() -> None:
    estimate = replace(QUICK, n_classes=2, n_draws=100, n_sweeps=1).fit(hp.datasets.load("kosovo"), rng=1)
    assert any(remark.name == "classes_used_up" for remark in estimate.diagnostics)


def test_a_second_run_follows_one_that_has_not_converged() -> None:
    setting = LatentClass(n_classes=2, n_draws=100, n_tune=100, n_temperatures=3)
    assert setting.fit(hp.datasets.load("netherlands"), rng=1).details["n_sweeps"] == 8
    assert quick().details["n_sweeps"] == 1


# --- two routes -------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")
@pytest.mark.parametrize("n_classes", [1, 3])
def test_the_pymc_model_has_the_density_of_the_kernel(n_classes: int) -> None:
    counts = hp.datasets.load("kosovo").to_dense().astype(float)
    data = latent_class_data(counts, n_classes=n_classes, size_prior=(2.0, 1e-4))
    model = build(data_of(data), n_classes=n_classes)
    log_density = model.compile_logp(mode="FAST_COMPILE")
    found = []
    for x in starts(data, (4,), np.random.default_rng(3)):
        z, logits = x[: n_classes - 1], x[n_classes - 1 :].reshape(n_classes, 4)
        found.append(sum(evaluate(data, x)[:2]) - float(log_density({"z": z, "logits": logits})))
    assert np.ptp(found) < 1e-7


@pytest.mark.slow
def test_nuts_and_tempering_agree_on_kosovo() -> None:
    table = hp.datasets.load("kosovo")
    nuts = LatentClass(sampler="nuts", n_draws=2500, n_tune=1000).fit(table, rng=1)
    ladder = LatentClass().fit(table, rng=1)
    assert nuts.ok
    assert ladder.ok
    assert nuts.n_hat == pytest.approx(ladder.n_hat, rel=0.015)
    assert nuts.interval.low == pytest.approx(ladder.interval.low, rel=0.04)
    assert nuts.interval.high == pytest.approx(ladder.interval.high, rel=0.06)
    assert nuts.details["convergence"]["ess_bulk"] > 1000
    assert nuts.details["convergence"]["n_divergent"] <= 15


@pytest.mark.slow
def test_the_netherlands_table_is_honest() -> None:
    estimate = LatentClass().fit(hp.datasets.load("netherlands"), rng=1)
    if estimate.ok:
        assert len(estimate.details["modes"]) > 1
    else:
        assert estimate.status == "not_converged"
        assert estimate.interval.low < 120_000
        assert estimate.interval.high > 160_000


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_classes": 0}, "n_classes=0 must be a whole number"),
        ({"n_classes": 51}, "n_classes=51 is more than 50"),
        ({"sampler": "gibbs"}, "sampler='gibbs' is not one of 'tempering', 'nuts'"),
        ({"prior": "flat"}, "prior='flat' is not one of"),
        ({"concentration_prior": (0.25,)}, "must be the shape and the rate"),
        ({"concentration_prior": (0.25, 0.0)}, "two numbers above 0"),
        ({"concentration_prior": 0.25}, "must be the shape and the rate"),
        ({"n_draws": 10}, "n_draws=10 must be a whole number of at least 100"),
        ({"n_tune": 0}, "n_tune=0 must be a whole number of at least 100"),
        ({"n_chains": 1}, "n_chains=1 must be a whole number of at least 2"),
        ({"n_temperatures": 1}, "n_temperatures=1 must be a whole number of at least 2"),
        ({"lowest_power": 0.0}, "lowest_power=0.0 must lie between 0 and 1"),
        ({"n_sweeps": 0}, "n_sweeps=0 must be a whole number"),
        ({"target_accept": 1.0}, "target_accept=1.0 must lie between 0 and 1"),
        ({"backend": "stan"}, "backend='stan' is not one of"),
        ({"level": 1.0}, "level=1.0 must lie between 0 and 1"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message.replace("(", r"\(")):
        LatentClass(**changes)


def test_fewer_than_three_lists_are_refused() -> None:
    with pytest.raises(CapabilityError, match="latent_class needs at least 3 lists that caught somebody"):
        LatentClass().fit(table_of((0, 10, 20, 5)))


def test_settings_are_values() -> None:
    setting = LatentClass(concentration_prior=[0.5, 1.0])
    assert setting == pickle.loads(pickle.dumps(setting))
    assert hash(setting) == hash(LatentClass(concentration_prior=(0.5, 1.0)))


def test_the_gamma_behind_a_prior() -> None:
    assert size_gamma("uniform") == (1.0, 0.0)
    assert size_gamma(("negative_binomial", 500.0, 5.0)) == (5.0, 0.01)


def test_a_sampler_without_draws_is_no_estimate(monkeypatch):
    failed = Chains(draws={}, n_divergent=0, backend="nutpie", failure="no chain could start")
    monkeypatch.setattr(latent_class, "draw_by_nuts", lambda *args, **kwargs: failed)
    estimate = LatentClass(sampler="nuts").fit(table_of(SMALL), rng=1)
    assert (estimate.status, estimate.n_failed) == ("not_converged", 4)
    assert "no chain could start" in estimate.reason
    assert estimate.interval.high == math.inf
