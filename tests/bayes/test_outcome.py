import json
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from tests.support.tables import table_of

from hiddenpop.bayes.convergence import Convergence, convergence
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.outcome import limits_of, outcome_of, reach_of, sampled_estimate
from hiddenpop.result import Diagnostic

TABLE = table_of((0, 40, 30, 10, 12, 5, 2, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    name: ClassVar[str] = "loglinear"
    level: float = 0.9


def made(sizes, **changes):
    values = {
        "sizes": sizes,
        "n_observed": 100,
        "n_lists": 3,
        "convergence": convergence(sizes),
        "method": "equal-tailed posterior",
        "provenance": {"rng": {"seed": 1}},
        "details": {"own": 3},
    }
    return sampled_estimate(Setting(), TABLE, **{**values, **changes})


def draws(seed=1, shift=(0.0, 0.0, 0.0, 0.0)):
    rng = np.random.default_rng(seed)
    return np.round(100 + np.exp(5.0 + np.array(shift)[:, None] + 0.3 * rng.normal(size=(4, 1000))))


def test_median_and_equal_tailed_limits_are_among_the_draws():
    sizes = draws()
    estimate = made(sizes)
    ordered = np.sort(sizes.ravel())
    assert estimate.status == "ok"
    assert estimate.n_hat == ordered[1999]
    assert (estimate.interval.low, estimate.interval.high) == (ordered[199], ordered[3799])
    assert estimate.interval.level == 0.9
    assert estimate.interval.method == "equal-tailed posterior"
    assert estimate.draws.tolist() == [*sizes[0], *sizes[1], *sizes[2], *sizes[3]]


def test_details_hold_chains_modes_and_quantiles():
    sizes = draws()
    estimate = made(sizes)
    assert estimate.details["own"] == 3
    assert estimate.details["convergence"]["converged"] is True
    assert len(estimate.details["modes"]) == 1
    shown = estimate.details["quantiles"].set_index("share")["n"]
    assert shown[0.5] == estimate.n_hat
    assert estimate.details["idata"].posterior["N"].to_numpy().tolist() == sizes.tolist()
    json.dumps(estimate.to_dict(), allow_nan=False)


def test_own_inference_data_is_kept():
    own = inference_data({"N": draws(), "xi": draws()})
    assert made(draws(), details={"idata": own}).details["idata"] is own


def test_chains_apart_give_no_number_and_the_widest_limits():
    sizes = draws(shift=(0.0, 0.0, 0.0, 1.5))
    estimate = made(sizes)
    assert estimate.status == "not_converged"
    assert math.isnan(estimate.n_hat)
    assert "R-hat of N" in estimate.reason
    assert "the draws lie around" in estimate.reason
    limits = np.quantile(sizes, [0.05, 0.95], axis=1, method="inverted_cdf")
    assert (estimate.interval.low, estimate.interval.high) == (limits[0].min(), limits[1].max())
    pooled = np.quantile(sizes, [0.05, 0.95], method="inverted_cdf")
    assert limits[1].max() > pooled[1]
    assert "from the lowest limit of a chain to the highest" in estimate.interval.method
    assert "nan" not in estimate.summary()


def test_other_faults_leave_no_number_either():
    estimate = made(draws(), faults=["the first stage has not mixed"])
    assert estimate.status == "not_converged"
    assert estimate.reason.startswith("the first stage has not mixed; the draws lie around")


def test_nobody_hidden_is_the_boundary():
    sizes = np.where(np.random.default_rng(1).random((4, 1000)) < 0.6, 100.0, 101.0)
    estimate = made(sizes)
    assert estimate.status == "boundary"
    assert estimate.n_hat == estimate.interval.low == 100


def test_what_so_few_persons_cannot_tell_is_unbounded():
    rng = np.random.default_rng(1)
    estimate = made(np.exp(rng.normal(30.0, 1.0, (4, 1000))))
    assert estimate.status == "unbounded"
    assert estimate.n_hat == estimate.interval.high == math.inf
    assert estimate.interval.low <= 101**3
    assert "no_upper_limit" in {d.name for d in estimate.diagnostics}


def test_divergences_and_several_modes_are_remarked():
    rng = np.random.default_rng(2)
    lumps = np.where(rng.random((4, 1000)) < 0.4, 5.0, 7.0) + 0.1 * rng.normal(size=(4, 1000))
    sizes = np.round(100 + np.exp(lumps))
    known = convergence(sizes, n_divergent=3)
    first = Diagnostic("first", "info", "a remark")
    estimate = made(sizes, convergence=known, diagnostics=[first])
    assert [d.name for d in estimate.diagnostics] == ["first", "divergences", "several_modes"]
    assert "read them beside the median" in estimate.summary()
    many = convergence(sizes, n_divergent=400)
    assert made(sizes, convergence=many).status == "not_converged"


def test_what_leaves_of_small_tables_is_protected():
    assert made(draws(), protected=("own",)).protected == ("own", "modes", "quantiles")
    assert made(draws()).protected == ()
    assert made(draws(), n_observed=7).protected == ("modes", "quantiles")


def test_strata_are_handed_on():
    sizes = draws()
    parts = np.stack([sizes.ravel() - 50, np.full(4000, 50.0)], axis=1)
    frame = pd.DataFrame({"region": ["a", "b"], "n_hat": [200.0, 50.0]})
    estimate = made(sizes, by_stratum=frame, stratum_draws=parts)
    assert estimate.by_stratum.equals(frame)
    assert estimate.stratum_draws.sum(axis=1).tolist() == estimate.draws.tolist()


def test_rules_of_status_and_limits():
    reach = reach_of(9, 2)
    assert reach == 100.0
    assert outcome_of(9.0, 9, reach)[1] == "boundary"
    assert outcome_of(100.0, 9, reach) == (100.0, "ok", "")
    assert outcome_of(101.0, 9, reach)[:2] == (math.inf, "unbounded")
    assert limits_of(50.0, 10.0, 1e4, reach) == (10.0, 1e4)
    assert limits_of(50.0, 10.0, 1e4 + 1, reach) == (10.0, math.inf)
    assert limits_of(101.0, 300.0, 400.0, reach) == (100.0, math.inf)


def test_groups_of_inference_data_come_without_a_clock():
    zeros = np.zeros((2, 5, 3))
    data = inference_data(
        {"N": np.ones((2, 5))},
        groups={
            "log_likelihood": {"cells": zeros},
            "log_prior": {"theta": np.zeros((2, 5))},
            "posterior_predictive": {"cells": zeros},
            "observed_data": {"cells": np.ones(3)},
        },
        dims={"cells": ["cell"]},
        coords={"cell": ["100", "010", "110"]},
    )
    expected = {"posterior", "log_likelihood", "log_prior", "posterior_predictive", "observed_data"}
    assert set(data.groups()) == expected
    assert data.log_likelihood["cells"].coords["cell"].to_numpy().tolist() == ["100", "010", "110"]
    assert not any("created_at" in data[group].attrs for group in data.groups())


def test_a_convergence_that_was_measured_elsewhere_counts():
    poor = Convergence(rhat=1.0, ess_bulk=50.0, ess_tail=50.0, n_chains=1, n_draws=4000)
    assert made(draws(), convergence=poor).status == "not_converged"


def test_limits_never_lie_below_the_number_observed():
    with pytest.raises(ValueError, match="below the 100 observed"):
        made(draws()).__class__(
            **{
                **{
                    f: getattr(made(draws()), f)
                    for f in ("n_hat", "n_observed", "status", "estimator", "table")
                },
                "interval": type(made(draws()).interval)(99.0, 200.0, 0.9, "x"),
            }
        )
    assert made(draws()).interval.low >= 100
