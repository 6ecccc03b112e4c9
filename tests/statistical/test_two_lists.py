"""Chapman's default limits where an overlap of few persons is expected, and where few persons are hidden."""

import numpy as np
import pytest
from tests.support.tables import table_of

import hiddenpop as hp

pytestmark = pytest.mark.slow

LAWS = [
    (60, 0.2, 0.2), (100, 0.2, 0.2), (200, 0.1, 0.1), (500, 0.1, 0.1), (2000, 0.03, 0.03),
    (40, 0.8, 0.7), (60, 0.95, 0.9), (200, 0.97, 0.95), (1000, 0.9, 0.8),
]  # fmt: skip
TABLES = 2000


def missed(law, estimator):
    """Shares of the tables of one law with the truth below and above the interval; equal tables are fitted once."""
    size, first, second = law
    shares = np.array([1.0, (1 - first) * second, first * (1 - second), first * second])
    shares[0] -= shares[1:].sum()
    drawn = np.random.default_rng(20261130).multinomial(size, shares, size=TABLES)[:, 1:]
    drawn = drawn[(drawn[:, 0] + drawn[:, 2] > 0) & (drawn[:, 1] + drawn[:, 2] > 0)]
    cells, times = np.unique(drawn, axis=0, return_counts=True)
    found = [estimator.fit(table_of(np.array([0.0, *row]))).interval for row in cells]
    below = times @ np.array([size < interval.low for interval in found]) / times.sum()
    above = times @ np.array([size > interval.high for interval in found]) / times.sum()
    return below, above


@pytest.mark.parametrize("law", LAWS)
def test_the_default_holds_the_truth(law):
    below, above = missed(law, hp.Chapman())
    assert below + above <= 0.07
    assert above <= 0.05


def test_log_normal_limits_miss_above_where_the_overlap_is_small():
    assert missed((200, 0.1, 0.1), hp.Chapman(interval="lognormal"))[1] > 0.09
