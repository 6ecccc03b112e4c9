"""Small places pooled, against each by itself and all alike, and posteriors against the prior they come from."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests.statistical.pooled_study import POOLED, study, summary

from hiddenpop import CaptureTable, parallel
from hiddenpop.bayes.pooled import PooledLogLinear, prior_of
from hiddenpop.errors import CapabilityError
from hiddenpop.histories import decode
from hiddenpop.validation import calibrate

WORLD = {"n_places": 150, "n_persons": 4000, "spread": 4.0}
SMALL = ["0 to 5", "6 to 20", "21 to 100"]


@pytest.fixture(scope="module")
def measured():
    return summary(study(4, rng=1, **WORLD))


def least_coverage(places):
    """Three standard errors below 95 %."""
    return 0.95 - 3.0 * np.sqrt(0.95 * 0.05 / places)


def by_method(measured, column):
    return measured.reset_index().pivot_table(column, "size", "method", observed=True)


@pytest.mark.slow
def test_pooled_intervals_hold_the_truth_in_places_of_every_size(measured):
    found = measured.xs("pooled", level="method")
    assert (found["covered"] >= least_coverage(found["places"])).all(), found.to_string()


@pytest.mark.slow
@pytest.mark.parametrize("alone", ["alone, independence", "alone, all-pairs"])
def test_pooling_errs_less_than_each_place_by_itself(measured, alone):
    rmse = by_method(measured, "rmse").fillna(np.inf).loc[SMALL]
    assert (rmse["pooled"] < rmse[alone]).all(), rmse.to_string()
    assert by_method(measured, "without").loc["0 to 5", alone] > 0.3
    assert measured.xs("pooled", level="method")["without"].eq(0.0).all()


@pytest.mark.slow
def test_places_that_are_forced_to_be_alike_are_not_covered():
    rigid = dataclasses.replace(POOLED, spread=1.02, interaction_spread=1.02)
    covered = summary(study(4, rng=1, setting=rigid, alone=(), **WORLD)).xs("pooled", level="method")[
        "covered"
    ]
    assert covered["over 100"] < 0.9, covered.to_string()


# --- calibration ------------------------------------------------------------------------------------------------------

PROPER = PooledLogLinear(
    place="place",
    places=tuple(f"{place:02d}" for place in range(12)),
    order=2,
    odds_ratio=2.0,
    spread=3.0,
    interaction_spread=2.0,
    size_spread=3.0,
    main_effect_sd=0.7,
    level_prior=(15.0, 2.0),
    n_draws=400,
    n_tune=300,
    n_chains=2,
)
N_LISTS = 3
WORTH = 99


def prior_replicate(rng, fitted, what):
    """Sizes from the prior, written down from the model, and the posterior of a table drawn for them."""
    prior, n_places = prior_of(PROPER), len(PROPER.places)
    scale = lambda width: abs(rng.normal(0.0, width))  # noqa: E731
    log_size = prior.log_size[0] + prior.log_size[1] ** -0.5 * rng.normal()
    log_size = log_size + scale(prior.size_scale) * rng.normal(size=n_places)
    mains = rng.normal(0.0, prior.main_sd, N_LISTS) + rng.normal(size=(n_places, N_LISTS)) * [
        scale(prior.list_scale) for _ in range(N_LISTS)
    ]
    pairs = rng.normal(0.0, prior.interaction_sd, 3) + scale(prior.interaction_scale) * rng.normal(
        size=(n_places, 3)
    )
    on = decode(np.arange(8), N_LISTS)
    eta = mains @ on.T + pairs @ np.array([on[:, 0] * on[:, 1], on[:, 0] * on[:, 2], on[:, 1] * on[:, 2]])
    share = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    counts = rng.poisson(np.exp(log_size)[:, None] * share)
    if (counts[:, 1:].sum(axis=0) @ on[1:] == 0).any():
        raise CapabilityError("a list caught nobody")
    estimate = fitted.fit(table_of(counts), rng=rng)
    chosen = np.linspace(0, len(estimate.draws) - 1, WORTH).round().astype(int)
    at = slice(None) if what == "total" else slice(0, 1)
    return counts[at].sum(), estimate.stratum_draws[chosen][:, at].sum(axis=1)


def table_of(counts):
    place, history = np.nonzero(counts[:, 1:])
    frame = pd.DataFrame(decode(history + 1, N_LISTS), columns=list("abc"))
    names = np.array([name for name, _ in PROPER.places])[place]
    return CaptureTable.from_counts(
        frame.assign(place=names, count=counts[place, history + 1]), lists=list("abc"), strata=["place"]
    )


class Replicate:
    def __init__(self, fitted, what):
        self.fitted, self.what = fitted, what

    def __call__(self, rng):
        return prior_replicate(rng, self.fitted, self.what)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:list .* caught everybody")
@pytest.mark.parametrize("what", ["total", "one place"])
def test_the_posterior_is_calibrated(what):
    with parallel(workers=2):
        found = calibrate(Replicate(PROPER, what), n_rep=150, rng=20261125, label=what)
    assert found.calibrated, found.histogram().to_string()


WRONG = {
    "larger places": ({"level_prior": (30.0, 1.2)}, "total"),
    "places alike": ({"spread": 1.02, "size_spread": 1.02, "interaction_spread": 1.02}, "one place"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:list .* caught everybody")
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_posterior_is_not_calibrated(name):
    changes, what = WRONG[name]
    fitted = dataclasses.replace(PROPER, **changes)
    with parallel(workers=2):
        found = calibrate(Replicate(fitted, what), n_rep=150, rng=20261125, label=name)
    assert not found.calibrated, found.histogram().to_string()
