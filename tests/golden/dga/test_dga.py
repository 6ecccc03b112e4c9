"""Exact decomposable averaging against dga; see ORIGIN.md."""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hiddenpop.bayes.decomposable import DecomposableAveraging
from hiddenpop.histories import decode
from hiddenpop.result import Estimate
from hiddenpop.table import CaptureTable

REFERENCE = json.loads((Path(__file__).parent / "decomposable.json").read_text())
# Their last digits: sums of up to 80,001 terms whose logarithms are near 1e5.
TOLERANCE = 1e-8


def table_of(answer) -> CaptureTable:
    """Counts are written with the first list slowest; our histories have the first list in the lowest bit."""
    lists = answer["lists"]
    k = len(lists)
    counts = np.array(answer["counts_lexicographic_first_list_slowest"])
    indicators = decode(np.arange(1 << k), k)[:, ::-1]
    frame = pd.DataFrame(indicators, columns=lists).assign(count=counts)
    return CaptureTable.from_counts(frame[counts > 0], lists=lists, public=True, name=answer["table"])


@cache
def fit(key: str) -> Estimate:
    answer = REFERENCE[key]
    first, last = (int(end) for end in answer["Nmissing"].split(":"))
    negative_binomial = answer["prior_N"].startswith("negative binomial")
    prior = ("negative_binomial", 13.14 * 55.17, 13.14) if negative_binomial else "reciprocal"
    estimator = DecomposableAveraging(
        delta=answer["delta"], prior=prior, n_missing=range(first, last + 1), n_draws=0
    )
    return estimator.fit(table_of(answer))


def by_cliques(graphs: pd.DataFrame) -> dict[frozenset[frozenset[str]], pd.Series]:
    return {
        frozenset(frozenset(clique.split("*")) for clique in row["cliques"].split(" + ")): row
        for _, row in graphs.iterrows()
    }


def their_cliques(text: str) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(clique.split(",")) for clique in text.strip("[]").split("]["))


@pytest.mark.parametrize("key", REFERENCE)
def test_median_and_limits_are_the_same_numbers(key: str) -> None:
    answer, estimate = REFERENCE[key], fit(key)
    assert estimate.n_observed == answer["n_observed"]
    assert estimate.n_hat == answer["median_N"]
    assert (estimate.interval.low, estimate.interval.high) == (answer["q025_N"], answer["q975_N"])


@pytest.mark.parametrize("key", REFERENCE)
def test_the_posterior_of_n_agrees(key: str) -> None:
    answer, estimate = REFERENCE[key], fit(key)
    assert estimate.details["mean"] == pytest.approx(answer["posterior_mean_N"], rel=TOLERANCE)
    posterior = estimate.details["posterior"]
    best = posterior.loc[posterior["probability"].idxmax(), "n"]
    assert best == answer["mode_N"]


@pytest.mark.parametrize("key", [key for key, answer in REFERENCE.items() if answer["Nmissing"] == "1:300"])
def test_the_whole_of_a_short_posterior_agrees(key: str) -> None:
    answer = REFERENCE[key]
    shown = fit(key).details["posterior"]["probability"].to_numpy()
    assert len(shown) == 300
    assert shown[-1] == pytest.approx(answer["prob_last_gridpoint"], rel=TOLERANCE)
    assert shown[-10:].sum() == pytest.approx(answer["prob_last10_gridpoints"], rel=TOLERANCE)
    numbers = np.arange(1, 301)
    spread = math.sqrt(shown @ numbers**2 - (shown @ numbers) ** 2)
    assert spread == pytest.approx(answer["posterior_sd_N"], rel=TOLERANCE)


@pytest.mark.parametrize("key", REFERENCE)
def test_the_posterior_of_the_graphs_agrees(key: str) -> None:
    answer, estimate = REFERENCE[key], fit(key)
    ours = by_cliques(estimate.details["graphs"])
    for graph in answer["top_graphs"]:
        row = ours[their_cliques(graph["cliques"])]
        assert row["probability"] == pytest.approx(graph["prob"], rel=TOLERANCE)
        assert row["mean"] == pytest.approx(graph["mean_N_given_graph"], rel=TOLERANCE)
    assert estimate.details["p_saturated"] == pytest.approx(answer["saturated_graph_prob"], rel=TOLERANCE)
    independence = ours[frozenset(frozenset([name]) for name in answer["lists"])]
    assert independence["probability"] == pytest.approx(answer["independence_graph_prob"], rel=TOLERANCE)


def test_the_short_grid_of_the_netherlands_hides_a_third_of_the_posterior() -> None:
    short = fit("Ned_5_delta0.03125")
    whole = DecomposableAveraging(n_draws=0).fit(table_of(REFERENCE["Ned_5_delta0.03125"]))
    assert short.n_hat == 47_903
    cut = next(d for d in short.diagnostics if d.name == "limit_cuts")
    assert cut.value == pytest.approx(0.35, abs=0.01)
    assert whole.n_hat == pytest.approx(50_460, abs=2)
    assert whole.details["modes"]["location"].tolist() == [47_655, 160_824]
    assert whole.details["modes"]["weight"][1] == pytest.approx(0.346, abs=0.001)


def test_the_mean_of_korea_has_no_value() -> None:
    short = fit("Korea_delta0.125")
    whole = DecomposableAveraging(n_draws=0).fit(table_of(REFERENCE["Korea_delta0.125"]))
    assert short.n_hat == whole.n_hat == 159
    assert short.details["mean"] == pytest.approx(223.26, abs=0.01)
    assert whole.details["mean"] == math.inf
