"""Intervals on 34 lists that see few: independence where it holds, and Chao's bound there and where persons differ."""

import logging

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import hiddenpop as hp

pytestmark = pytest.mark.slow

LOG = logging.getLogger(__name__)
"""Figures, shown by ``--log-cli-level=info``."""

N_LISTS, SIZE, SEED = 34, 4_000, 20261130
TABLES, TABLES_OF_THE_BOUND = 200, 30
NAMES = [f"list {i + 1}" for i in range(N_LISTS)]


def drawn(spread, tables):
    """Draw tables of persons on lists that see 1 to 4 %, whose log odds differ from person to person by the spread."""
    rng = np.random.default_rng(SEED)
    for _ in range(tables):
        chances = rng.uniform(0.01, 0.04, N_LISTS)
        odds = chances / (1.0 - chances) * np.exp(rng.normal(0.0, spread, SIZE))[:, None]
        on = rng.random((SIZE, N_LISTS)) < odds / (1.0 + odds)
        frame = pd.DataFrame(on[on.any(axis=1)].astype(int), columns=NAMES)
        yield hp.CaptureTable.from_indicators(frame, lists=NAMES, public=True)


def missed(estimators, spread, tables):
    """Count the tables with the truth below and above the interval, and give the mean of each estimate."""
    below, above, means = (
        dict.fromkeys(estimators, 0),
        dict.fromkeys(estimators, 0),
        dict.fromkeys(estimators, 0.0),
    )
    for table in drawn(spread, tables):
        for label, estimator in estimators.items():
            found = estimator.fit(table)
            below[label] += found.interval.low > SIZE
            above[label] += found.interval.high < SIZE
            means[label] += found.n_hat / tables
    for label in estimators:
        LOG.info(
            "spread %g, %s: mean %.0f, interval above the truth in %d tables, below it in %d",
            spread, label, means[label], below[label], above[label],
        )  # fmt: skip
    return below, above, means


ESTIMATORS = {
    "independence": hp.LogLinear(),
    "pairs that overlap": hp.LogLinear(
        model="list 1*list 2 + list 2*list 3 + list 4*list 5 + " + " + ".join(NAMES[5:])
    ),
    "Chao": hp.ChaoLowerBound(),
    "Chao, one-sided": hp.ChaoLowerBound(one_sided=True),
}


def test_intervals_keep_their_level_where_lists_are_independent():
    below, above, means = missed(ESTIMATORS, 0.0, TABLES)
    fewest, most = binom.interval(0.999, TABLES, 0.05)
    for label in ("independence", "pairs that overlap"):
        assert fewest <= below[label] + above[label] <= most, label
        assert means[label] == pytest.approx(SIZE, rel=0.01)
    # Steps that may not be negative push the bound up where none is there, so it is wide enough and more.
    assert below["Chao"] + above["Chao"] <= most
    assert below["Chao, one-sided"] <= most


def test_chaos_bound_lies_below_where_persons_differ():
    below, above, means = missed(ESTIMATORS, 1.0, TABLES_OF_THE_BOUND)
    assert means["independence"] < means["Chao"] < SIZE
    assert below["Chao, one-sided"] == 0
    assert above["independence"] == TABLES_OF_THE_BOUND  # the heterogeneity is there
