"""One person more on one list alone, where nobody was: upper limits fall only where a method changes, and how far."""

import numpy as np
import pandas as pd
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import CapabilityError
from hiddenpop.histories import decode
from hiddenpop.kernels.poisson.profile import FOR_FEW

TABLES = 25
AT_THE_CHANGE = 0.04
"""Cormack's limits follow those for few persons from two persons' worth of data on, and are a little shorter there."""

ESTIMATORS = {
    "Lincoln-Petersen": (hp.LincolnPetersen(), (2,)),
    "Chapman": (hp.Chapman(), (2,)),
    "Chapman, log-normal": (hp.Chapman(interval="lognormal"), (2,)),
    "independence": (hp.LogLinear(), (2, 3, 4)),
    "all pairs": (hp.LogLinear(model="[12,13,23]"), (3,)),
    "Chao": (hp.ChaoLowerBound(), (2, 3, 4)),
    "Chao, closed form": (hp.ChaoLowerBound(list_effects=False), (2, 3, 4)),
    "M0": (hp.ClosedPopulation(model="M0"), (2, 3, 4)),
    "Mth": (hp.ClosedPopulation(model="Mth"), (3, 4)),
    "Mt, bias-corrected": (
        hp.ClosedPopulation(model="Mt", bias_corrected=True, interval="lognormal"),
        (2, 3),
    ),
}


def few_persons(size, lists, seed=20261130):
    """Tables with nobody on at least one list alone, and which cell that is."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < size:
        n_lists = int(rng.choice(lists))
        cells = 1 << n_lists
        counts = rng.poisson(rng.choice([0.4, 1.0, 3.0, 8.0]), cells) * (rng.random(cells) < 0.8)
        counts[0] = 0
        empty = [1 << i for i in range(n_lists) if counts[1 << i] == 0]
        if empty and (decode(np.arange(cells), n_lists).T @ counts).all():
            found.append((counts, int(rng.choice(empty))))
    return found


def one_more(counts, cell):
    more = counts.copy()
    more[cell] += 1
    return more


@pytest.mark.parametrize("name", ESTIMATORS)
def test_no_upper_limit_falls_but_a_little_where_the_method_changes(name):
    estimator, lists = ESTIMATORS[name]
    for counts, cell in few_persons(TABLES, lists):
        before, after = (
            estimator.fit(table_of(c)) for c in (counts.astype(float), one_more(counts, cell).astype(float))
        )
        if before.status == "not_identified":
            continue
        changed = FOR_FEW in before.interval.method and FOR_FEW not in after.interval.method
        least = before.interval.high * (1.0 - (AT_THE_CHANGE if changed else 1e-9))
        assert after.interval.high >= least, (counts.tolist(), cell, before.interval, after.interval)


def test_nor_does_that_of_a_total_of_strata():
    rng = np.random.default_rng(3)
    for counts, cell in few_persons(8, (2, 3)):
        other = rng.poisson(20.0, len(counts)).astype(float)
        limits = [
            hp.Stratified(base=hp.LogLinear()).fit(two_strata(c, other)).interval.high
            for c in (counts, one_more(counts, cell))
        ]
        assert limits[1] >= limits[0] * (1.0 - AT_THE_CHANGE), (counts.tolist(), cell, limits)


def two_strata(first, second):
    n_lists = len(first).bit_length() - 1
    names = [f"l{i}" for i in range(n_lists)]
    bits = decode(np.arange(1, len(first)), n_lists)
    rows = [
        {**dict(zip(names, row, strict=True)), "sex": sex, "count": int(count)}
        for sex, counts in (("f", first), ("m", second))
        for row, count in zip(bits.tolist(), counts[1:], strict=True)
    ]
    return hp.CaptureTable.from_counts(pd.DataFrame(rows), lists=names, strata=["sex"])


@pytest.mark.parametrize("variant", ["high", "low"])
def test_that_of_sample_coverage_may_where_tables_are_drawn(variant):
    estimator = hp.SampleCoverage(variant=variant)
    for counts, cell in few_persons(12, (3,)):
        limits = []
        for c in (counts, one_more(counts, cell)):
            try:
                limits.append(estimator.fit(table_of(c.astype(float)), rng=1).interval.high)
            except CapabilityError:
                break
        else:
            assert limits[1] >= 0.85 * limits[0], (counts.tolist(), cell, limits)


def test_a_limit_at_the_boundary_of_sample_coverage_falls_by_its_form_and_not_by_chance():
    """Exact shares: two lists with one person more catch more at every size, so a smaller size explains the table."""
    limits = []
    for counts in ([0, 2, 0, 2], [0, 2, 1, 2]):
        table = table_of(np.array(counts, dtype=float))
        estimate = hp.SampleCoverage(variant="independent").fit(table, rng=1)
        limits.append(estimate.interval.high)
        totals = counts[1] + counts[3], counts[2] + counts[3]
        assert exact_limit(totals) == pytest.approx(estimate.interval.high, rel=0.05)
    assert limits[1] < 0.7 * limits[0]


def exact_limit(totals, tail=0.025):
    """Largest whole size at which independent lists of these sizes give nobody hidden in a share `tail` of tables."""
    size = sum(totals)
    while share_with_nobody_hidden(totals, size) >= tail:
        size += 1
    return size


def share_with_nobody_hidden(totals, size):
    """Nobody is hidden by the independent form where all on one list are on the other, given that no list is empty."""
    p, q = (min(total / size, 1.0) for total in totals)
    cells = [p * (1 - q), (1 - p) * q, p * q, (1 - p) * (1 - q)]
    alone_first, alone_second = 1 - cells[0], 1 - cells[1]
    no_first, no_second = alone_first**size, alone_second**size
    neither = (1 - cells[0] - cells[1]) ** size
    empty_first, empty_second = (1 - p) ** size, (1 - q) ** size
    both_empty = cells[3] ** size
    # Nobody on the first alone, or nobody on the second alone; a list that is empty is in both of these.
    return (no_first + no_second - neither - (empty_first + empty_second - both_empty)) / (
        1 - empty_first - empty_second + both_empty
    )
