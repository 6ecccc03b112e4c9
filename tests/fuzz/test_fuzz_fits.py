"""Odd settings that an estimator accepts: its fit gives an estimate or an error of the package, and nothing else."""

from typing import Any

import pytest
from tests.fuzz.limits import REFUSED, answered

from hiddenpop import datasets
from hiddenpop.estimators.registry import ESTIMATORS, build, default_settings
from hiddenpop.result import Estimate

FEW: dict[str, Any] = {"n_boot": 200, "n_draws": 50, "n_tune": 50, "n_chains": 2}
ODD: list[Any] = [
    "", "x", 0, 1, 2, -1, 1.5, True, [], [[]], {}, ["A", "B"], None, 1e-300, 1e300, "[12,3]", "all-pairs", [1, 2],
    ["x"], [["A", "B", 2]], {"a": 1},
]  # fmt: skip
SLOW = ("latent_class", "bayesian_loglinear", "bayesian_averaged", "thresholded", "pooled", "decomposable")
CASES = [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in ESTIMATORS]


@pytest.mark.parametrize("name", CASES)
def test_an_odd_setting_gives_an_estimate_or_is_refused(name: str) -> None:
    table = datasets.load("korea")
    settings = default_settings(name)
    few = {key: value for key, value in FEW.items() if key in settings}
    for key in settings:
        for value in ODD:
            made = answered(build, name, {**few, key: value})
            if made is not REFUSED:
                found = answered(made.fit, table, rng=1)
                assert found is REFUSED or isinstance(found, Estimate), (key, value)
