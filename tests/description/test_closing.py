"""The sentence that closes an answer, against a count of the persons themselves."""

from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop import CaptureTable
from hiddenpop.description import closing_sentence, describe, record

ADVICE = "; `hiddenpop describe` compares its models too."


def counted(table: CaptureTable) -> dict[str, float]:
    """Count person by person: those on two lists or more, the pairs without anybody, what other lists know."""
    frame = table.to_frame()
    on = [frozenset(name for name in table.lists if row[name]) for _, row in frame.iterrows()]
    persons: Counter[frozenset[str]] = Counter()
    for lists, n in zip(on, frame["count"], strict=True):
        persons[lists] += int(n)
    caught = [name for name in table.lists if any(name in lists for lists in persons)]
    pairs = [frozenset(pair) for pair in combinations(caught, 2)]
    empty = sum(not any(pair <= lists for lists in persons) for pair in pairs)
    known = [
        1.0 - persons[frozenset({name})] / sum(count for lists, count in persons.items() if name in lists)
        for name in caught
    ]
    return {
        "twice": sum(count for lists, count in persons.items() if len(lists) > 1),
        "empty": empty / len(pairs),
        "coverage": float(np.mean(known)),
    }


VERDICTS = ("carries", "fairly carries", "barely carries", "hardly carries", "does not carry")


def expected_clauses(figures: dict[str, float]) -> tuple[int, list[str]]:
    """Give the grade and the clauses, by the thresholds that the documentation states."""
    twice, clauses, hopeless = figures["twice"], [], False
    if twice == 0:
        clauses.append("nobody is on two or more lists, so nothing says how many were missed")
        hopeless = True
    elif twice < 10:
        clauses.append(f"persons on two or more lists: only {twice}, fewer than 10")
        hopeless = True
    elif twice < 50:
        clauses.append(f"persons on two or more lists: only {twice}, fewer than 50")
    if figures["empty"] >= 0.25:
        clauses.append(f"{figures['empty']:.0%} of the overlaps of two lists are empty, a quarter or more")
    if figures["coverage"] < 0.55:
        clauses.append(
            f"the lists have little in common: sample coverage {figures['coverage']:.2f}, below 0.55"
        )
    return 5 if hopeless else expected_grade(twice, bool(clauses)), clauses


def expected_grade(twice: float, has_grounds: bool) -> int:
    """Grade by how far apart the limits of sampling error alone are, grounds make grades 1 and 2 one worse."""
    apart = np.exp(2 * 1.959964 / np.sqrt(twice))
    grade = 1 if apart < 1.15 else 2 if apart < 1.4 else 3 if apart < 2.5 else 4
    return min(grade + 1, 3) if has_grounds and grade < 3 else grade


def expected_sentence(table: CaptureTable) -> str:
    figures = counted(table)
    grade, clauses = expected_clauses(figures)
    enough = f"{figures['twice']:,} persons are on two or more lists and sample coverage is {figures['coverage']:.2f}"
    reasons = "; ".join(clauses) or enough
    return (
        f"Judged by its counts alone, {table.name} {VERDICTS[grade - 1]} an estimate (grade {grade} of 5): "
        f"{reasons}{ADVICE}"
    )


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to fit the models of a table."""

    def fit_space(*_: Any) -> None:
        raise AssertionError("models are fitted for a sentence")

    monkeypatch.setattr(record, "fit_space", fit_space)


@pytest.mark.parametrize(
    "name", ["uk_5", "netherlands_5", "western_us", "hares", "uk", "new_orleans_185", "congenital_anomalies"]
)
@pytest.mark.usefixtures("no_models")
def test_of_many_lists_it_counts_persons_and_fits_no_model(name: str) -> None:
    table = hp.datasets.load(name)
    assert closing_sentence(table) == expected_sentence(table)


@pytest.mark.parametrize("name", ["korea", "kosovo", "artificial_3", "spina_bifida_626", "rome_hiv"])
def test_of_few_lists_it_is_the_sentence_of_the_description(name: str) -> None:
    table = hp.datasets.load(name)
    assert closing_sentence(table) == describe(table).sentence


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([0.03, 0.2, 2.0, 20.0]), st.booleans())
def test_any_table_of_five_lists_is_judged_by_its_persons(seed: int, mean: float, often: bool) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(mean, 32) * (rng.random(32) < 0.7)
    counts[0] = 0
    counts[1 << np.arange(5)] += rng.integers(1, 40 if not often else 3, 5)  # every list caught somebody
    table = table_of(counts)
    assert closing_sentence(table) == expected_sentence(table)


@pytest.mark.usefixtures("no_models")
def test_a_table_of_five_lists_that_know_each_other_carries() -> None:
    counts = np.full(32, 9)
    counts[0] = 0
    assert closing_sentence(table_of(counts)) == (
        f"Judged by its counts alone, table fairly carries an estimate (grade 2 of 5): 234 persons are on two or more "
        f"lists and sample coverage is 0.94{ADVICE}"
    )


@pytest.mark.usefixtures("no_models")
def test_nobody_on_two_lists() -> None:
    counts = np.zeros(32, dtype=int)
    counts[1 << np.arange(5)] = 7
    assert closing_sentence(table_of(counts)) == (
        "Judged by its counts alone, table does not carry an estimate (grade 5 of 5): nobody is on two or more lists, "
        "so nothing says how many were missed; 100% of the overlaps of two lists are empty, a quarter or more; the "
        f"lists have little in common: sample coverage 0.00, below 0.55{ADVICE}"
    )


def test_one_list_alone() -> None:
    table = table_of([0, 40, 0, 3]).drop_list("l1")
    expected = "table does not carry an estimate (grade 5 of 5): only 1 list caught anybody, and an estimate needs two."
    assert closing_sentence(table) == expected


def test_a_table_with_bounds_is_not_judged() -> None:
    told = closing_sentence(hp.datasets.load("scottish_pwid"))
    assert told.endswith("can carry an estimate is not judged: it has counts that are only upper bounds.")
