"""How good links are said to be, against a truth that links never see; and what is made of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hiddenpop as hp
from hiddenpop.errors import CapabilityError, SettingError, TableError, UnknownNameError
from hiddenpop.kernels.linkage import missed_links
from hiddenpop.registers import FellegiSunter, KeyLinkage, Links, Registrations
from hiddenpop.registers.fellegi_sunter import _Apart, _kept_apart
from hiddenpop.registers.links import Pairs, components
from hiddenpop.registers.quality import _rates_of
from hiddenpop.sensitivity import corrected
from hiddenpop.synthetic.world import draw_world, read_settings

from .conftest import by_agency, precision_recall


@pytest.fixture(scope="module")
def hard(key_file: Path) -> tuple[Registrations, np.ndarray[Any, Any]]:
    """Registrations of a harder world, with the person behind each."""
    world = draw_world(read_settings(version="2"), size=40_000, rng=7)
    read = Registrations.read(by_agency(world.registrations), key_file=key_file)
    links = world.links[world.links["file"] == "registrations"]
    person = dict(zip(links["record"].astype(str), links["person"], strict=True))
    records = read.connection.execute("SELECT record FROM registrations ORDER BY id").fetchall()
    return read, np.array([person[record] for (record,) in records])


@pytest.fixture(scope="module")
def links(hard: tuple[Registrations, Any]) -> Links:
    return FellegiSunter().fit(hard[0])


def person_pairs_found(links: Links, true: Any) -> float:
    """Give the share of true pairs of registers of a person and year whose records have a person in common."""
    rows = links.registrations.connection.execute("SELECT register, unit FROM registrations ORDER BY id").df()
    frame = rows.assign(true=true, found=links.persons)
    both = frame.merge(frame, on=["true", "unit"])
    both = both[both["register_x"] < both["register_y"]]
    met = (
        (both["found_x"] == both["found_y"])
        .groupby([both[c] for c in ("true", "unit", "register_x", "register_y")])
        .any()
    )
    return float(met.mean())


def test_harder_registers_are_linked_well_enough(links: Links, hard: tuple[Registrations, Any]) -> None:
    precision, recall = precision_recall(links.persons, hard[1])
    assert precision >= 0.998
    assert recall >= 0.92


def test_the_audit_tells_the_recall_without_the_key(links: Links, hard: tuple[Registrations, Any]) -> None:
    audit = links.audit(unit="person-year")
    assert audit.recall < 0.97
    keyed = (
        hard[0]
        .connection.execute("SELECT key IS NOT NULL AS known FROM registrations ORDER BY id")
        .df()["known"]
    )
    # The audit speaks of records with a key; the truth of these is what the key already says.
    assert abs(audit.recall - person_pairs_found(links.without_key, hard[1])) < 0.06
    assert 0.4 < keyed.mean() < 0.95
    assert audit.pairs["found"].le(audit.pairs["proven"]).all()
    assert audit.calibration["pairs"].sum() > 1000
    assert 0.0 <= audit.wrong < 0.02


def test_a_key_left_in_the_rules_would_flatter_the_audit(links: Links) -> None:
    assert all(
        "key" not in rule
        for rule in links.without_key.linkage._rules(links.registrations, links.registrations.link)
    )
    assert not links.without_key.linkage.use_key


def test_no_person_has_two_keys_and_the_quality_says_so(links: Links) -> None:
    quality = links.quality
    assert quality.two_keys == 0
    assert quality.persons == links.n_persons == quality.sizes["persons"].sum()
    assert (quality.sizes["records"] * quality.sizes["persons"]).sum() == quality.records
    assert 0.99 < quality.expected_precision <= 1.0
    assert links.without_key.at(0.5).quality.two_keys > 0


@pytest.mark.slow
def test_rates_bring_the_estimate_to_that_by_true_links(
    links: Links, hard: tuple[Registrations, Any]
) -> None:
    true = Links(
        registrations=hard[0], persons=np.unique(hard[1], return_inverse=True)[1], linkage=KeyLinkage()
    )
    estimator = hp.LogLinear()
    dark = estimator.fit(true.tabulate(unit="person-year", units=["2016"])).n_hidden
    for found in (links, links.without_key):
        rates = found.rates(unit="person-year", n_boot=20, rng=1)
        answer = corrected(estimator, found.tabulate(unit="person-year", units=["2016"]), rates, rng=1)
        before, after = answer.plain.n_hidden / dark, answer.corrected.n_hidden / dark
        assert before > after
        assert abs(after - 1.0) < 0.12
        assert answer.corrected.interval.low >= answer.corrected.n_observed
        assert f"{answer.corrected.n_hat:,.0f}" in answer.sentence


def test_a_higher_ratio_means_more_missed_links(links: Links) -> None:
    by_ratio = [links.rates(ratio=ratio, n_boot=0)["missed"].mean() for ratio in (1.0, 2.0, 3.0)]
    assert by_ratio == sorted(by_ratio)
    assert by_ratio[0] < by_ratio[2]
    with pytest.raises(SettingError, match=r"ratio=0\.5 must lie between 1 and"):
        links.rates(ratio=0.5)


def test_resampled_rates_scatter_around_the_estimate(links: Links) -> None:
    rates = links.rates(n_boot=100, rng=3)
    drawn = rates[rates["draw"] > 0].groupby("register", sort=False)["missed"]
    estimate = rates[rates["draw"] == 0].set_index("register")["missed"]
    assert (drawn.std() > 0).any()
    assert ((drawn.mean() - estimate).abs() < 2.0 * drawn.std() + 0.002).all()
    again = links.rates(n_boot=100, rng=3)
    pd.testing.assert_frame_equal(rates, again)


def test_rates_are_found_again_from_pairs_that_follow_them() -> None:
    registers = ["a", "b", "c", "d"]
    chances = np.array([0.05, 0.1, 0.0, 0.2])
    rows = []
    for i, first in enumerate(registers):
        for j in range(i + 1, 4):
            recall = (1 - chances[i]) * (1 - chances[j])
            rows.append({
                "first": first, "second": registers[j], "group": 0, "proven": 1e7, "found": 1e7 * recall,
                "with_key": 0.0, "without_key": 500.0 * recall,
            })  # fmt: skip
    found = _rates_of(pd.DataFrame(rows), registers, 1.0, by_key=True)
    np.testing.assert_allclose(found, chances, atol=1e-4)


def test_corrected_undoes_missed_links_at_known_rates() -> None:
    persons = np.array([0, 300, 200, 100, 150, 60, 40, 20], dtype=float)
    chances = np.array([0.05, 0.1, 0.2])
    records = missed_links(persons, chances).round().astype(int)
    cells = pd.DataFrame({"a": [1, 0, 1, 0, 1, 0, 1], "b": [0, 1, 1, 0, 0, 1, 1], "c": [0, 0, 0, 1, 1, 1, 1]})
    tables = [
        hp.CaptureTable.from_counts(cells.assign(count=counts[1:].astype(int)), public=True)
        for counts in (persons, records)
    ]
    rates = pd.DataFrame({"draw": 0, "register": ["a", "b", "c"], "missed": chances, "false": 0.0})
    answer = corrected(hp.LogLinear(), tables[1], rates, rng=1)
    wanted = hp.LogLinear().fit(tables[0]).n_hat
    assert answer.plain.n_hat > 1.2 * wanted
    assert answer.corrected.n_hat == pytest.approx(wanted, rel=0.01)
    assert "rates of links taken as known" in answer.corrected.interval.method
    with pytest.raises(UnknownNameError, match="no register 'c'"):
        corrected(hp.LogLinear(), tables[1], rates[:2])
    with pytest.raises(SettingError, match="missed must lie from 0 to below 1"):
        corrected(hp.LogLinear(), tables[1], rates.assign(missed=1.0))


def test_an_interval_with_doubt_about_rates_is_wider_than_without(links: Links) -> None:
    table = links.tabulate(unit="person-year", units=["2016"])
    sure = links.rates(unit="person-year", n_boot=60, rng=1)
    same = sure.copy()
    same["missed"] = np.tile(sure[sure["draw"] == 0]["missed"], 61)
    unsure = sure.copy()
    unsure["missed"] = np.clip(
        unsure["missed"] * (1 + 2.0 * (unsure["draw"] % 5 - 2) * (unsure["draw"] > 0)), 0, 0.5
    )
    widths = [
        corrected(hp.LogLinear(), table, rates, rng=2).corrected.interval.width for rates in (same, unsure)
    ]
    assert widths[1] > widths[0]


def test_draws_change_links_and_do_not_repair_what_was_missed(
    links: Links, hard: tuple[Registrations, Any]
) -> None:
    found = [precision_recall(links.draw(rng=seed).persons, hard[1])[1] for seed in range(3)]
    assert len(set(found)) > 1
    assert max(found) < 0.995
    np.testing.assert_array_equal(links.draw(rng=1).persons, links.draw(rng=1).persons)


def test_a_lower_threshold_links_more(links: Links) -> None:
    curve = links.thresholds((0.5, 0.9, 0.99))
    assert curve["persons"].is_monotonic_increasing
    assert curve["expected_recall"].is_monotonic_decreasing
    with pytest.raises(SettingError, match=r"must lie between 0\.01 and 1"):
        links.at(0.001)


def test_a_model_is_saved_without_values_and_used_again(links: Links, tmp_path: Path) -> None:
    path = links.save_model(tmp_path / "model.json")
    model = json.loads(path.read_text())
    assert set(model) >= {"comparisons", "probability_two_random_records_match"}
    again = FellegiSunter(model=str(path)).fit(links.registrations)
    np.testing.assert_array_equal(again.persons, links.persons)
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(SettingError, match="is not a model of links"):
        FellegiSunter(model=str(tmp_path / "bad.json")).fit(links.registrations)
    weights = links.weights()
    same = weights[weights["level"] == "same"].set_index("field")["weight"]
    assert (same > 0).all()
    assert (weights[weights["level"] == "differ"]["weight"] < 0).all()


def test_a_pair_is_explained_by_levels_and_not_by_values(links: Links) -> None:
    names = links.registrations.connection.execute(
        "SELECT register, record FROM registrations ORDER BY id"
    ).df()
    at = int(np.argmax(links.pairs.probability))
    first, second = (tuple(names.iloc[ids[at]]) for ids in (links.pairs.left, links.pairs.right))
    told = links.explain(first, second)
    assert list(told["field"]) == [*links.registrations.link, "key"]
    assert told["weight"].sum() > 20
    assert set(told["level"]) <= set(links.weights()["level"]) | {"not known"}
    with pytest.raises(TableError, match="has no such record"):
        links.explain(first, ("police", "no such"))


def test_a_sample_is_written_judged_and_read_back(
    links: Links, hard: tuple[Registrations, Any], tmp_path: Path
) -> None:
    path = links.sample(tmp_path / "pairs.csv", n=120, rng=1)
    assert path.stat().st_mode & 0o777 == 0o600
    frame = pd.read_csv(path, dtype=str)
    assert list(frame.columns) == [
        "first_register",
        "first_record",
        "second_register",
        "second_record",
        "same",
    ]
    records = links.registrations.connection.execute("SELECT record FROM registrations ORDER BY id").df()[
        "record"
    ]
    person = dict(zip(records, hard[1], strict=True))
    frame["same"] = [
        int(person[a] == person[b])
        for a, b in zip(frame["first_record"], frame["second_record"], strict=True)
    ]
    frame.to_csv(path, index=False)
    judged = links.judged(path)
    assert judged["judged"].sum() == len(frame)
    assert judged["pairs"].sum() <= len(links.pairs)
    assert judged["shown"].iloc[-1] > 0.9 > judged["shown"].iloc[0]
    frame.assign(same="perhaps").to_csv(path, index=False)
    with pytest.raises(TableError, match="row 1: same must be 1, 0 or empty"):
        links.judged(path)


def test_without_a_key_the_audit_says_what_to_do(registrations: Registrations) -> None:
    with pytest.raises(SettingError, match="use FellegiSunter"):
        KeyLinkage().fit(registrations).audit()


def test_more_pairs_than_allowed_are_refused_before_the_work(registrations: Registrations) -> None:
    with pytest.raises(SettingError, match=r"ask for up to [\d,]+ pairs, more than most_pairs=10"):
        FellegiSunter(most_pairs=10).fit(registrations)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"threshold": 0.0}, "threshold=0.0 must lie above 0"),
        ({"threshold": 0.5, "keep": 0.6}, "keep=0.6 must lie above 0 and up to the threshold"),
        ({"most_pairs": 0}, "at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingError, match=fault):
        FellegiSunter(**settings)


def test_a_chain_that_joins_two_keys_is_cut_at_its_weakest_pair() -> None:
    codes = np.array([1, -1, -1, 2])
    pairs = Pairs(np.array([0, 1, 2]), np.array([1, 2, 3]), np.array([0.99, 0.95, 0.999]))
    joined = components(4, pairs.left, pairs.right)
    assert joined.tolist() == [0, 0, 0, 0]
    assert _kept_apart(joined, pairs, [_Apart(codes, twice=False)]).tolist() == [0, 0, 1, 1]
    rooms = _Apart(np.array([5, 6, 5, 7]), twice=True)
    assert _kept_apart(joined, pairs, [rooms]).tolist() == [0, 0, 1, 1]


def test_one_a_register_leaves_no_person_twice_in_a_register_and_period(registrations: Registrations) -> None:
    links = FellegiSunter(one_per_register=True).fit(registrations)
    rows = registrations.connection.execute("SELECT register, unit FROM registrations ORDER BY id").df()
    assert not rows.assign(person=links.persons).duplicated().any()


@pytest.mark.slow
def test_links_do_not_depend_on_the_number_of_threads(world: Any, key_file: Path) -> None:
    found = [
        FellegiSunter()
        .fit(Registrations.read(by_agency(world.registrations), key_file=key_file, threads=threads))
        .persons
        for threads in (1, 2)
    ]
    np.testing.assert_array_equal(*found)


def test_a_table_with_bounds_is_not_corrected(truth: Callable[..., Any]) -> None:
    cells = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "count": [5, 6, 9], "upper": [True, False, False]})
    table = hp.CaptureTable.from_counts(cells, censored="upper")
    rates = pd.DataFrame({"draw": 0, "register": ["a", "b"], "missed": 0.1, "false": 0.0})
    with pytest.raises(CapabilityError, match="only upper bounds"):
        corrected(hp.Chapman(), table, rates)
