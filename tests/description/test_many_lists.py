"""More lists than a table of all cells can have are judged on their counts, and on independence."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.description import closing_sentence

EIGHTEEN = Path(__file__).parents[1] / "cases" / "eighteen_occasions.csv"


def drawn(n_lists, size=6_000, spread=0.0, *, public=True):
    """Draw persons on independent lists, who differ by the spread."""
    rng = np.random.default_rng(20261130)
    odds = rng.uniform(0.01, 0.04, n_lists) * np.exp(rng.normal(0.0, spread, size))[:, None]
    on = rng.random((size, n_lists)) < odds / (1.0 + odds)
    frame = pd.DataFrame(on[on.any(axis=1)].astype(int), columns=[f"list {i + 1}" for i in range(n_lists)])
    return hp.CaptureTable.from_indicators(frame, lists=list(frame), public=public, name="drawn")


@pytest.mark.parametrize("n_lists", [17, 34, 63])
def test_sizes_overlaps_and_frequencies_are_those_of_the_table(n_lists):
    table = drawn(n_lists)
    description = hp.describe(table)
    assert description.lists["persons"].tolist() == table.list_totals.tolist()
    assert description.overlaps.to_numpy().tolist() == table.overlaps.to_numpy().tolist()
    assert description.capture_frequencies == tuple(table.capture_frequencies)
    assert description.models["n_models"].tolist() == [1, math.comb(n_lists, 2)]
    assert description.spreads == ()


def test_the_sentence_says_that_the_counts_alone_are_judged():
    description = hp.describe(EIGHTEEN)
    assert description.sentence.startswith("Judged by its counts alone, eighteen_occasions ")
    assert description.sentence.endswith("; its models are not judged: 154 of 2^153 looked at.")
    assert "so many lists have too many models to compare" in " ".join(description.text().split())
    assert closing_sentence(hp.CaptureTable.read(EIGHTEEN)) == description.sentence


def test_independence_that_is_rejected_is_a_ground():
    found = hp.describe(drawn(34, spread=1.0)).findings
    assert "independence_misfit" in [finding.rule for finding in found]
    assert "independence_misfit" not in [finding.rule for finding in hp.describe(drawn(34)).findings]


def test_of_a_table_that_is_not_public_the_number_observed_alone_leaves():
    description = hp.describe(drawn(20, public=False))
    shown = json.loads(json.dumps(description.to_dict()))
    assert shown["n_observed"] == description.n_observed
    assert {row["persons"] for row in shown["lists"]} == {"<10"}
    assert {row["persons"] for row in shown["overlaps"]} == {"<10"}
    assert set(shown["capture_frequencies"]) == {"<10"}
    assert shown["models_in_space"] is None
    assert f"{description.n_twice:,}" not in shown["sentence"]
    assert f"{description.sample_coverage:.2f}" not in shown["sentence"]


def test_twelve_lists_are_counted_as_they_are_by_the_table():
    table = drawn(12)
    description = hp.describe(table)
    assert description.lists["only"].tolist() == [
        int(table.counts[table.histories == 1 << i].sum()) for i in range(12)
    ]
    assert description.capture_frequencies == tuple(table.capture_frequencies)
