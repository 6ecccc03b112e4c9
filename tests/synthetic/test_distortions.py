import itertools
from dataclasses import replace

import numpy as np
import pytest

from hiddenpop.errors import SettingError, TableError
from hiddenpop.synthetic import (
    FalseLinks,
    Group,
    IndependentLists,
    ListGap,
    MissedLinks,
    MissingLevels,
    OverCoverage,
    Scenario,
    scenario,
)
from hiddenpop.synthetic.drawn import Drawn

LISTS = ("police", "shelter", "coordinator")


def world(*distortions: object, size: int = 10**6) -> Scenario:
    laws = [IndependentLists(probabilities=p) for p in ((0.3, 0.25, 0.2), (0.2, 0.4, 0.3))]
    groups = tuple(
        Group(size=size // 2, law=law, strata={"sex": sex, "year": year})
        for law, sex, year in zip(laws, ("man", "woman"), ("2018", "2019"), strict=True)
    )
    return Scenario(
        name="x",
        description="X.",
        lists=LISTS,
        groups=groups,
        distortions=distortions,
        assumptions=frozenset(),
    )


def dense(scenario: Scenario, seed: int = 1) -> np.ndarray:
    return scenario.draw(rng=seed).collapse().to_dense()


def worst(counts: np.ndarray, expected: np.ndarray) -> float:
    """Give the largest distance from the expected counts, in Poisson standard errors."""
    seen = expected[1:] > 0
    assert not counts[1:][~seen].any()
    return float((np.abs(counts - expected)[1:][seen] / np.sqrt(expected[1:][seen])).max())


FAR = 5.0


# --- linkage ---------------------------------------------------------------------------------------------------


def split(cells: np.ndarray, rates: dict[int, float]) -> np.ndarray:
    """Give the expected records when each list's records of a person on several come loose on their own."""
    result = np.zeros_like(cells)
    for history, value in enumerate(cells):
        on = [i for i in range(3) if history >> i & 1]
        if len(on) < 2:
            result[history] += value
            continue
        for loose in itertools.product((0, 1), repeat=len(on)):
            chance = np.prod([rates[i] if gone else 1 - rates[i] for i, gone in zip(on, loose, strict=True)])
            rest = sum(1 << i for i, gone in zip(on, loose, strict=True) if not gone)
            result[rest] += value * chance * bool(rest)
            for i, gone in zip(on, loose, strict=True):
                result[1 << i] += value * chance * gone
    return result


@pytest.mark.parametrize("lists", [None, ("shelter",), ("coordinator", "police")])
def test_missed_links_split_histories_as_enumerated(lists: tuple[str, ...] | None) -> None:
    distorted = world(MissedLinks(rate=0.1, lists=lists))
    cells = 10**6 * distorted.cell_probabilities()
    rates = {i: 0.1 if lists is None or name in lists else 0.0 for i, name in enumerate(LISTS)}
    counts = dense(distorted)
    assert worst(counts, split(cells, rates)) < FAR
    slightly_more = {i: rate * 1.2 for i, rate in rates.items()}
    assert worst(counts, split(cells, slightly_more)) > FAR


def test_missed_links_leave_every_list_its_records() -> None:
    before, after = world().draw(rng=1), world(MissedLinks(rate=0.3)).draw(rng=1)
    assert before.list_totals.to_dict() == after.list_totals.to_dict()
    assert after.n_observed > before.n_observed
    apart = world(MissedLinks(rate=1.0)).draw(rng=1)
    assert np.triu(apart.overlaps.to_numpy(), k=1).sum() == 0


def joined(counts: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Join persons one by one, the plain way."""
    persons = np.repeat(np.arange(len(counts)), counts)[counts[0] :]
    rng.shuffle(persons)
    half = len(persons) // 2
    first, second, single = persons[:half], persons[half : 2 * half], persons[2 * half :]
    join = (rng.random(half) < rate) & (first != second)
    records = np.concatenate([(first | second)[join], first[~join], second[~join], single])
    return np.bincount(records, minlength=len(counts))


def test_false_links_agree_with_joining_persons_one_by_one() -> None:
    size = 400_000
    start = np.rint(size * world().cell_probabilities()).astype(np.int64)
    drawn = Drawn(lists=LISTS, covariates=(), levels=((),), counts=start[None], population=int(start.sum()))
    rng = np.random.default_rng(5)
    expected = np.mean([joined(start, 0.1, rng) for _ in range(20)], axis=0)
    counts = FalseLinks(rate=0.1).apply(drawn, rng).counts[0]
    assert counts[0] == start[0]
    assert worst(counts, expected) < FAR
    assert worst(FalseLinks(rate=0.13).apply(drawn, rng).counts[0], expected) > FAR


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_false_links_lose_persons_and_never_records_of_lists_apart(rate: float) -> None:
    counts = np.array([[50, 30, 20, 0]])
    drawn = Drawn(lists=("a", "b"), covariates=(), levels=((),), counts=counts, population=100)
    after = FalseLinks(rate=rate).apply(drawn, np.random.default_rng(2)).counts[0]
    assert (after >= 0).all()
    assert (after[1] + after[3], after[2] + after[3]) == (30, 20)
    assert bool(after[3]) == (rate > 0)


def test_false_links_stay_within_a_stratum() -> None:
    counts = np.array([[0, 40, 0, 0], [0, 0, 40, 0]])
    drawn = Drawn(lists=("a", "b"), covariates=("k",), levels=(("x",), ("y",)), counts=counts, population=80)
    after = FalseLinks(rate=1.0).apply(drawn, np.random.default_rng(2)).counts
    assert after.tolist() == counts.tolist()


@pytest.mark.parametrize("kind", [MissedLinks, FalseLinks])
@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), "0.1"])
def test_a_rate_is_a_share(kind: type, rate: object) -> None:
    with pytest.raises(SettingError, match=r"rate=.* must be a number between 0 and 1"):
        kind(rate=rate)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ((), "must be a sequence of names"),
        ("police", "must be a sequence"),
        (("a", "a"), "the name 'a' twice"),
    ],
)
def test_lists_that_lose_links_are_named_once(lists: object, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        MissedLinks(rate=0.1, lists=lists)


# --- gaps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [True, False])
def test_a_list_catches_nobody_where_it_does_not_operate(declared: bool) -> None:
    gap = ListGap(list="coordinator", covariate="year", levels=(2019,), declared=declared)
    table, whole = world(gap).draw(rng=1), world().draw(rng=1)
    assert table.has_gaps == declared
    assert table.select(year="2018").list_totals["coordinator"] == 0
    assert table.select(year="2019") == whole.select(year="2019")
    before = whole.select(year="2018")
    assert table.select(year="2018").list_totals["police"] == before.list_totals["police"]
    assert table.select(year="2018").n_observed == before.n_observed - before.to_dense()[4]
    if declared:
        with pytest.raises(TableError, match="list 'coordinator' operates only in its levels '2019'"):
            table.collapse()


def test_a_gap_is_part_of_the_truth() -> None:
    gap = ListGap(list="coordinator", covariate="year", levels=("2019",))
    people = world(gap, size=2000).draw_people(rng=1)
    assert people.loc[people["year"] == "2018", "coordinator"].sum() == 0
    assert people.loc[people["year"] == "2019", "coordinator"].sum() > 100
    assert people["observed"].sum() == world(gap, size=2000).draw(rng=1).n_observed


def test_a_gap_names_levels() -> None:
    with pytest.raises(SettingError, match="'police' operates nowhere"):
        ListGap(list="police", covariate="year", levels=())


# --- missing levels --------------------------------------------------------------------------------------------


def missing_share(table: object, **where: str) -> float:
    within = np.ones(len(table), dtype=bool)
    for name, level in where.items():
        if name in table.lists:
            within &= (table.histories >> table.lists.index(name) & 1) == int(level)
        else:
            within &= (table.strata[name] == level).to_numpy()
    unknown = (table.strata["sex"] == "unknown").to_numpy()
    return float(table.counts[within & unknown].sum() / table.counts[within].sum())


@pytest.mark.parametrize(
    ("settings", "mechanism", "expected"),
    [
        ({"share": 0.2}, "MCAR", [({}, 0.2), ({"police": "1"}, 0.2), ({"year": "2019"}, 0.2)]),
        (
            {"share": 0.1, "depends_on": "police", "shares": {1: 0.4}},
            "MAR",
            [({"police": "1"}, 0.4), ({"police": "0"}, 0.1)],
        ),
        (
            {"share": 0.1, "depends_on": "year", "shares": {2018: 0.3}},
            "MAR",
            [({"year": "2018"}, 0.3), ({"year": "2019"}, 0.1)],
        ),
        # Sex and year are one to one here, so that the level behind "unknown" can be seen.
        (
            {"share": 0.05, "depends_on": "sex", "shares": {"woman": 0.25}},
            "MNAR",
            [({"year": "2018"}, 0.05), ({"year": "2019"}, 0.25)],
        ),
    ],
)
def test_levels_go_missing_by_their_mechanism(settings: dict, mechanism: str, expected: list) -> None:
    missing = MissingLevels(covariate="sex", **settings)
    assert missing.mechanism == mechanism
    table = world(missing).draw(rng=1)
    for where, share in expected:
        assert missing_share(table, **where) == pytest.approx(share, abs=0.005)
    assert table.collapse("sex") == world().draw(rng=1).collapse("sex")


def test_a_level_cannot_go_missing_twice() -> None:
    twice = MissingLevels(covariate="sex", share=1.0)
    table = world(twice, twice, size=1000).draw(rng=1)
    assert set(table.strata["sex"]) == {"unknown"}


def test_the_truth_knows_every_level() -> None:
    people = world(MissingLevels(covariate="sex", share=0.5), size=1000).draw_people(rng=1)
    assert set(people["sex"]) == {"man", "woman"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 1.2}, "share=1.2 must be a number between 0 and 1"),
        ({"share": 0.1, "depends_on": "police", "shares": {"1": -0.2}}, r"shares\['1'\]=-0.2"),
        ({"share": 0.1, "depends_on": "police", "shares": (("1", 0.2), (1, 0.3))}, "has a level twice"),
        ({"share": 0.1, "depends_on": "police"}, "go together; give both or none"),
        ({"share": 0.1, "shares": {"1": 0.2}}, "go together; give both or none"),
    ],
)
def test_impossible_shares_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        MissingLevels(covariate="sex", **settings)


# --- over-coverage ---------------------------------------------------------------------------------------------


def test_over_coverage_adds_records_and_leaves_the_truth() -> None:
    law = IndependentLists(probabilities=(0.5, 0.1, 0.0))
    distorted = world(OverCoverage(share=0.2, law=law))
    assert distorted.truth == 10**6
    expected = 10**6 * (distorted.cell_probabilities() + 0.2 * law.cell_probabilities())
    counts = dense(distorted)
    assert worst(counts, expected) < FAR
    assert worst(counts, expected + 10**6 * 0.01 * law.cell_probabilities()) > FAR
    assert len(distorted.draw_people(rng=1)) == 10**6


def test_over_coverage_spreads_over_the_strata() -> None:
    law = IndependentLists(probabilities=(1.0, 0.0, 0.0))
    extra = world(OverCoverage(share=0.1, law=law)).draw(rng=1), world().draw(rng=1)
    added = [
        (extra[0].select(sex=sex).n_observed - extra[1].select(sex=sex).n_observed)
        for sex in ("man", "woman")
    ]
    assert sum(added) == 100_000
    assert added[0] == pytest.approx(50_000, abs=800)


@pytest.mark.parametrize("share", [-0.1, 11, float("inf")])
def test_over_coverage_has_a_sensible_share(share: float) -> None:
    with pytest.raises(SettingError, match=r"share=.* must be a number from 0 to 10"):
        OverCoverage(share=share, law=IndependentLists(probabilities=(0.5, 0.1)))


@pytest.mark.parametrize(
    "distortion",
    [
        MissedLinks(rate=0.5),
        FalseLinks(rate=0.5),
        MissingLevels(covariate="sex", share=0.5),
        OverCoverage(share=0.5, law=IndependentLists(probabilities=(0.1, 0.1, 0.1))),
    ],
    ids=lambda distortion: type(distortion).__name__,
)
def test_what_happens_to_records_leaves_the_hidden_alone(distortion: object) -> None:
    counts = np.array([[70, 1, 20, 30, 4, 5, 60, 7], [90, 10, 2, 3, 40, 50, 6, 70]])
    levels = (("man", "2018"), ("woman", "2019"))
    drawn = Drawn(lists=LISTS, covariates=("sex", "year"), levels=levels, counts=counts, population=468)
    after = distortion.apply(drawn, np.random.default_rng(3)).counts
    assert after[:2, 0].tolist() == [70, 90]
    assert after[2:, 0].sum() == 0
    assert after.tolist() != counts.tolist()


def test_distortions_work_in_order() -> None:
    gap = ListGap(list="police", covariate="year", levels=("2019",))
    extra = OverCoverage(share=0.1, law=IndependentLists(probabilities=(1.0, 0.0, 0.0)))
    hidden = world(extra, gap).draw(rng=1)
    assert hidden.select(year="2018").list_totals["police"] == 0
    with pytest.raises(TableError, match="list 'police' caught people where 'year' is '2018'"):
        world(gap, extra).draw(rng=1)


def test_everything_at_once_keeps_the_truth() -> None:
    whole = scenario("everything-three")
    table = whole.draw(rng=1)
    assert "unknown" in set(table.strata["age"])
    assert len(whole.draw_people(rng=1)) == whole.truth == 6000
    plain = replace(whole, distortions=(), assumptions=frozenset())
    assert table.n_observed != plain.draw(rng=1).n_observed
