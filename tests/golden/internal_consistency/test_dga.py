"""Known sizes of lists, estimated from the other lists by decomposable averaging; see ORIGIN.md."""

import json
import math
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from tests.golden.internal_consistency.their_grid import TheirGrid, grid_of, posterior_on_grid

import hiddenpop as hp
from hiddenpop import DecomposableAveraging
from hiddenpop.errors import HiddenpopWarning
from hiddenpop.sensitivity.internal_consistency import InternalConsistency, conditioned

REFERENCE = json.loads((Path(__file__).parent / "internal_consistency.json").read_text())
NAMES = {
    "Australia": "australia",
    "Netherlands": "netherlands_5",
    "NewOrleans": "new_orleans_5_185",
    "UK": "uk_5",
    "WesternUS": "western_us",
}
WHOLE = [key for key in REFERENCE if key.startswith("MSETools")]
BY_LIST = [key for key in REFERENCE if key.startswith("internal")]


WITHOUT_EMPTY_LISTS = [  # among the persons on the list, every other list has somebody
    "Australia_A", "Australia_B", "Australia_C", "Australia_D", "Netherlands_IO", "Netherlands_P", "Netherlands_Z",
    "NewOrleans_BEFG", "UK_NG", "UK_PFNCA", "UK_GO", "WesternUS_C", "WesternUS_D",
]  # fmt: skip


@cache
def checked(name: str) -> pd.DataFrame:
    return (
        InternalConsistency(minimum=1).run(TheirGrid(), hp.datasets.load(NAMES[name])).table.set_index("list")
    )


def row_of(key: str) -> pd.Series:
    _, _, name, chosen = key.split("_")
    return checked(name).loc[chosen]


@pytest.mark.parametrize("key", WHOLE)
def test_whole_tables(key: str) -> None:
    answer = REFERENCE[key]["est"]
    table = hp.datasets.load(NAMES[key.rsplit("_", maxsplit=1)[-1]])
    found = TheirGrid().fit(table)
    assert (found.n_hat, found.interval.low, found.interval.high) == (
        answer["N.hat"],
        answer["N.lwr"],
        answer["N.upr"],
    )
    missing = posterior_on_grid(table, 2.0**-table.n_lists).missing
    # The last point holds what lies beyond the last but one, to all its digits; 1 minus the rest has lost them.
    assert missing.probability([grid_of(table)[-1]])[0] == pytest.approx(answer["tail"], rel=1e-5)
    assert 1.0 - missing.below([grid_of(table)[-2]])[0] == pytest.approx(answer["tail"], rel=1e-5)


@pytest.mark.parametrize("key", BY_LIST)
def test_each_list_from_the_others(key: str) -> None:
    answer, row = REFERENCE[key], row_of(key)
    assert (row["known"], row["observed_by_others"]) == (
        answer["true_count"],
        answer["observed_in_other_lists"],
    )
    assert [row["n_hat"], row["low"], row["high"]] == list(answer["est"].values())[:3]
    assert row["log_relative_bias"] == pytest.approx(answer["log_relative_bias"], rel=1e-12)
    assert row["covered"] is answer["covered"]


def test_the_reference_has_every_list_of_every_table() -> None:
    assert {(name, chosen) for name in NAMES for chosen in checked(name).index} == {
        tuple(key.split("_")[2:]) for key in BY_LIST
    }


@pytest.mark.parametrize("key", WITHOUT_EMPTY_LISTS)
def test_without_gaps_in_the_grid_the_estimator_agrees_within_a_step(key: str) -> None:
    # The same range of dark figures, but every number in it.
    name, chosen = key.split("_")
    answer, table = (
        REFERENCE[f"internal_consistency_{key}"],
        conditioned(hp.datasets.load(NAMES[name]), chosen),
    )
    found = DecomposableAveraging(n_missing=(1, 30 * table.n_observed), n_draws=0).fit(table)
    step = math.ceil(30 * table.n_observed / 1000)
    assert abs(found.n_hat - answer["est"]["N.hat"]) <= step
    assert abs(math.log(found.n_hat / answer["true_count"]) - answer["log_relative_bias"]) < 0.02
    assert abs(found.interval.high - answer["est"]["N.upr"]) <= step


def test_the_prior_count_follows_the_lists_that_are_left() -> None:
    table = hp.datasets.load("netherlands_5")
    check = InternalConsistency(minimum=100)
    runs = {
        delta: check.run(DecomposableAveraging(delta=delta, n_draws=0), table).table.set_index("list")[
            "n_hat"
        ]
        for delta in ("2^-K", 2.0**-4, 2.0**-5)
    }
    assert runs["2^-K"].equals(runs[2.0**-4])
    assert runs["2^-K"]["IO"] != runs[2.0**-5]["IO"]


def test_an_empty_list_is_left_out_where_theirs_counts_it() -> None:
    table = conditioned(hp.datasets.load("uk_5"), "LA")
    with pytest.warns(HiddenpopWarning, match="GP caught nobody"):
        ours = DecomposableAveraging(n_missing=(1, 30 * table.n_observed), n_draws=0).fit(table)
    without = TheirGrid().fit(table.drop_list("GP"))
    assert abs(ours.n_hat - without.n_hat) <= math.ceil(30 * table.n_observed / 1000)
    assert TheirGrid().fit(table).n_hat == REFERENCE["internal_consistency_UK_LA"]["est"]["N.hat"]
