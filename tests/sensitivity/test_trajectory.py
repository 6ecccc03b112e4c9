"""The estimate as persons are added."""

import math

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.sensitivity.trajectory import Trajectory, paths_of

SHARES = (0.5, 0.8, 1.0)


def population(n: int, rng: np.random.Generator, *, public: bool = True) -> hp.CaptureTable:
    """Persons on three lists of whom the first two depend on each other, so that [12,3] is true."""
    b = rng.random(n) < 0.3
    on = {"a": rng.random(n) < np.where(b, 0.5, 0.2), "b": b, "c": rng.random(n) < 0.35}
    frame = pd.DataFrame({name: seen.astype(int) for name, seen in on.items()})
    return hp.CaptureTable.from_indicators(frame[frame.sum(axis=1) > 0], name="made up", public=public)


def two_lists(a: int, b: int, both: int, *, public: bool = True) -> hp.CaptureTable:
    frame = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [a, b, both]})
    return hp.CaptureTable.from_counts(frame, public=public)


def test_a_path_adds_persons_and_loses_none() -> None:
    counts = np.array([300, 5, 0, 95])
    path = paths_of(counts, (0.25, 0.5, 0.75, 1.0), np.random.default_rng(1))
    assert path.sum(axis=1).tolist() == [100, 200, 300, 400]
    assert (np.diff(path, axis=0) >= 0).all()
    assert path[-1].tolist() == counts.tolist()


def test_persons_are_drawn_without_replacement_and_without_favour() -> None:
    counts = np.array([300, 60, 40])
    halves = np.array([paths_of(counts, (0.5, 1.0), np.random.default_rng(seed))[0] for seed in range(400)])
    assert (halves <= counts).all()
    shares = counts / counts.sum()
    spread = np.sqrt(200 * shares * (1 - shares) * 200 / 399)
    assert np.abs((halves.mean(axis=0) - counts / 2) / (spread / 20)).max() < 4.0
    assert halves.std(axis=0) == pytest.approx(spread, rel=0.12)


def test_every_share_estimates_the_whole_population() -> None:
    ratios = []
    for seed in range(12):
        table = population(8_000, np.random.default_rng(seed))
        found = Trajectory(shares=SHARES, n_resamples=20).run(hp.LogLinear(model="[12,3]"), table, rng=seed)
        ratios.append(found.table["n_hat"].to_numpy() / 8_000)
    assert np.mean(ratios, axis=0) == pytest.approx(1.0, abs=0.02)


def test_the_last_share_is_the_estimate_itself() -> None:
    table = hp.datasets.load("uk_5")
    base = hp.SelectedLogLinear().fit(table)
    found = Trajectory(shares=SHARES, n_resamples=4).run(hp.SelectedLogLinear(), table, base, rng=1)
    last = found.table.iloc[-1]
    assert last[["n_hat", "low", "high"]].tolist() == pytest.approx([base.n_hat] * 3)
    assert (last["n_observed"], last["model"]) == (table.n_observed, str(base.details["model"]))


def test_median_and_limits_are_those_of_the_refits() -> None:
    table, estimator = hp.datasets.load("korea"), hp.LogLinear(model="[12,23]")
    found = Trajectory(shares=(0.6, 1.0), n_resamples=31).run(estimator, table, rng=3)
    seed = int(np.random.default_rng(3).integers(2**63))
    paths = [paths_of(table.counts, (0.6, 1.0), path)[0] for path in np.random.default_rng(seed).spawn(31)]
    frame = table.to_frame()
    sizes = sorted(
        hp.LogLinear(model="[12,23]")
        .fit(hp.CaptureTable.from_counts(frame.assign(count=counts), lists=table.lists, public=True))
        .n_hat
        * table.n_observed
        / counts.sum()
        for counts in paths
    )
    assert found.table["n_hat"].iloc[0] == pytest.approx(sizes[15])
    assert found.table["without_number"].iloc[0] == sum(not math.isfinite(size) for size in sizes)


def test_resamples_without_a_number_are_counted_and_told() -> None:
    found = Trajectory(shares=SHARES, n_resamples=40).run(hp.LogLinear(), two_lists(60, 40, 1), rng=1)
    half, late, whole = found.table.to_dict("records")
    assert half["without_number"] > late["without_number"] > 0 == whole["without_number"]
    assert math.isinf(half["high"])
    without = half["without_number"] + late["without_number"]
    assert f"{without} of 120 resamples have no number" in found.text


def test_a_share_that_is_mostly_unbounded_is_a_failed_point() -> None:
    found = Trajectory(shares=(0.2, 1.0), n_resamples=40).run(hp.LogLinear(), two_lists(60, 40, 1), rng=1)
    assert found.table["status"].tolist() == ["unbounded", "ok"]
    assert (found.n_points, found.n_failed) == (2, 1)
    assert "the change of the median is unknown" in found.text
    assert "resamples are unbounded" in found.table["reason"].iloc[0]


def test_it_tells_an_answer_that_settled_from_one_that_did_not() -> None:
    table = hp.datasets.load("uk_5")
    check = Trajectory(shares=SHARES, n_resamples=30)
    assert "has settled" in check.run(hp.LogLinear(), table, rng=1).text
    moving = check.run(hp.SelectedLogLinear(), table, rng=1)
    assert "has not settled" in moving.text


def test_no_claim_holds_of_an_answer_that_has_not_settled() -> None:
    table = hp.datasets.load("uk_5")
    for claim, passed in (("more than 10", None), ("more than 1,000,000", False)):
        found = Trajectory(shares=SHARES, n_resamples=30, claim=claim).run(
            hp.SelectedLogLinear(), table, rng=1
        )
        assert "has not settled" in found.text
        assert found.passed is passed
        assert found.text.startswith("No verdict, although the claim holds so far.") is (passed is None)
    settled = Trajectory(shares=SHARES, n_resamples=30, claim="more than 10").run(
        hp.LogLinear(), table, rng=1
    )
    assert settled.passed is True


def test_a_claim_is_held_to_the_median_of_every_share() -> None:
    table = hp.datasets.load("uk_5")
    check = Trajectory(shares=SHARES, n_resamples=20, claim="more than 20,000")
    found = check.run(hp.SelectedLogLinear(), table, rng=1)
    holds = int((found.table["n_hat"] >= 20_000).sum())
    settled = "has settled" in found.text
    assert found.passed is (False if holds < 3 else True if settled else None)
    assert f"holds at {holds} of them" in found.text


def test_a_bootstrap_around_the_estimator_changes_nothing_but_the_interval() -> None:
    table, check = hp.datasets.load("korea"), Trajectory(shares=SHARES, n_resamples=8)
    plain = check.run(hp.LogLinear(), table, rng=5)
    wrapped = check.run(hp.Bootstrapped(base=hp.LogLinear(), n_boot=200), table, rng=5)
    pd.testing.assert_frame_equal(plain.table, wrapped.table)
    assert wrapped.estimator.name == "bootstrapped"


def test_another_seed_draws_other_persons() -> None:
    table, check = hp.datasets.load("korea"), Trajectory(shares=SHARES, n_resamples=20)
    one, again, other = (check.run(hp.LogLinear(), table, rng=seed).to_dict() for seed in (1, 1, 2))
    assert one == again
    assert one["table"] != other["table"]


def test_refits_of_an_estimator_that_draws_share_the_seed_of_the_estimate() -> None:
    table, check = two_lists(60, 40, 20), Trajectory(shares=(0.5, 1.0), n_resamples=3)
    found = check.run(hp.IdentifiedPosterior(n_draws=200), table, rng=1)
    last = found.table.iloc[-1]
    assert last["low"] == last["high"] == found.figure["baseline"]["n_hat"]


def test_it_does_not_apply_to_censored_or_tiny_tables() -> None:
    pwid = Trajectory().run(hp.LogLinear(), hp.datasets.load("scottish_pwid"))
    tiny = Trajectory().run(hp.LogLinear(), two_lists(8, 6, 4))
    assert (pwid.passed, tiny.passed) == (None, None)
    assert "censored counts cannot be resampled" in pwid.text
    assert "fewer than 20 persons" in tiny.text


@pytest.mark.parametrize("shares", [(1.0,), (0.5, 0.4), (0.0, 1.0), (0.5, 1.2)])
def test_shares_that_cannot_be_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match="must be two or more shares of the persons"):
        Trajectory(shares=shares)


def test_too_few_resamples_and_unreadable_claims_are_refused() -> None:
    with pytest.raises(SettingError, match="n_resamples=1 must be a whole number from 2 up"):
        Trajectory(n_resamples=1)
    with pytest.raises(SettingError, match="cannot be read"):
        Trajectory(claim="rather many")


def test_of_private_data_the_number_drawn_stays_and_sizes_have_three_digits() -> None:
    table = population(3_000, np.random.default_rng(1), public=False)
    left = Trajectory(shares=SHARES, n_resamples=5).run(hp.LogLinear(), table, rng=1).to_dict()
    assert {row["n_observed"] for row in left["table"]} == {"<10"}
    assert all(row["n_hat"] == float(f"{row['n_hat']:.2e}") for row in left["table"])
