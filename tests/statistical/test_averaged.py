"""Averages over models of three sparse lists, where all pairs end at the boundary in two of three tables."""

import numpy as np
import pytest
from tests.statistical.test_few_persons import paired
from tests.support.tables import table_of

import hiddenpop as hp

pytestmark = pytest.mark.slow

LAW = paired(6000, (0.03, 0.02, 0.015), (0, 0, 0))


def test_the_average_holds_the_truth():
    size = round(LAW.sum())
    held = []
    for counts in np.random.default_rng(5).multinomial(size, LAW / size, size=300).astype(float):
        counts[0] = 0.0
        held.append(size in hp.AveragedLogLinear().fit(table_of(counts)).interval)
    assert np.mean(held) >= 0.92
