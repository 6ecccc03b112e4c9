"""What of a frame by groups may leave."""

import itertools

import numpy as np
import pandas as pd
import pytest

from hiddenpop.monitor import withhold
from hiddenpop.monitor.withhold import marked, withheld_groups, withheld_rows, withheld_with_total


def grid(*sizes: int) -> pd.DataFrame:
    names = "abcd"[: len(sizes)]
    rows = itertools.product(
        *([f"{name}{i}" for i in range(n)] for name, n in zip(names, sizes, strict=True))
    )
    return pd.DataFrame(list(rows), columns=list(names))


def told(levels: pd.DataFrame, counts: np.ndarray, found: dict) -> bool:
    """Say whether the shown counts and sums determine a small one that is withheld."""
    shown, small = [], []
    for names, hidden in found.items():
        groups: dict[tuple[str, ...], list[int]] = {}
        for i, row in enumerate(levels[list(names)].itertuples(index=False, name=None)):
            groups.setdefault(row, []).append(i)
        for key, members in groups.items():
            row = np.zeros(len(counts))
            row[members] = 1.0
            if key not in hidden:
                shown.append(row)
            elif 0 < counts[members].sum() < 10:
                small.append(row)
    known = np.array(shown).reshape(-1, len(counts))
    projection = np.linalg.pinv(known) @ known if len(known) else np.zeros((len(counts),) * 2)
    return any(np.abs(row @ projection - row).max() < 1e-8 for row in small)


def test_small_counts_and_one_more_are_withheld() -> None:
    assert withheld_rows(grid(4), [40, 3, 12, 0]).tolist() == [False, True, True, False]
    assert withheld_rows(grid(4), [40, 3, 8, 12]).tolist() == [False, True, True, False]
    assert not withheld_rows(grid(3), [10, 20, 0]).any()


def test_everything_of_a_small_total_is_withheld() -> None:
    assert withheld_rows(grid(3), [4, 0, 3]).tolist() == [True, False, True]


@pytest.mark.parametrize("sizes", [(3, 3), (2, 5), (4, 5), (2, 2, 3), (2, 2, 2, 2)])
def test_no_small_count_follows_from_what_is_shown(sizes: tuple[int, ...]) -> None:
    rng, levels = np.random.default_rng(1), grid(*sizes)
    for _ in range(60):
        counts = rng.negative_binomial(1, 0.03, len(levels)) * (rng.random(len(levels)) < 0.9)
        found = withheld_groups(levels, counts.tolist())
        assert not told(levels, counts, found)
        hidden = found[tuple(levels.columns)]
        small = [
            key
            for key, n in zip(levels.itertuples(index=False, name=None), counts, strict=True)
            if 0 < n < 10
        ]
        assert set(small) <= hidden


def test_the_check_itself_sees_a_leak() -> None:
    levels, counts = grid(2, 2), np.array([4, 60, 50, 70])
    only_small = {
        (): frozenset(),
        ("a",): frozenset(),
        ("b",): frozenset(),
        ("a", "b"): frozenset({("a0", "b0")}),
    }
    assert told(levels, counts, only_small)


def test_nothing_is_withheld_without_small_counts() -> None:
    found = withheld_groups(grid(3, 3), [10, 20, 30, 40, 0, 60, 70, 80, 90])
    assert not any(found.values())


def test_columns_that_are_never_added_up_are_judged_apart() -> None:
    levels = grid(2, 3)  # two years of three towns
    found = withheld_groups(levels, [4, 50, 60, 70, 80, 90], apart=["a"])
    assert set(found) == {("a",), ("a", "b")}
    assert found["a", "b"] == {("a0", "b0"), ("a0", "b1")}


def test_a_large_table_is_judged_in_time() -> None:
    counts = np.random.default_rng(2).negative_binomial(1, 0.1, 3500)
    hidden = withheld_rows(grid(350, 10), counts.tolist())
    assert hidden[(counts > 0) & (counts < 10)].all()


def test_the_rest_of_a_whole_counts_as_a_part() -> None:
    frame = pd.DataFrame({"sex": ["f", "(all)"], "n_observed": [95, 100]})
    assert withheld_with_total(frame, ["sex"]).tolist() == [True, False]
    frame = pd.DataFrame({"sex": ["f", "(all)"], "n_observed": [50, 100]})
    assert withheld_with_total(frame, ["sex"]).tolist() == [False, False]
    frame = pd.DataFrame({"sex": ["f", "(all)"], "n_observed": [5, 5]})
    assert withheld_with_total(frame, ["sex"]).tolist() == [True, True]


def test_marks_stand_in_figures_only() -> None:
    frame = pd.DataFrame({"sex": ["f", "m"], "n_observed": [4, 50], "n_hat": [9.0, np.inf]})
    shown = marked(frame, np.array([True, False]), ["n_observed", "n_hat", "not there"])
    assert shown.to_dict("list") == {"sex": ["f", "m"], "n_observed": ["<10", 50], "n_hat": ["<10", np.inf]}


def test_tables_too_large_to_judge_as_a_whole_still_keep_every_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withhold, "MOST_JUDGED", 0)
    rng, levels = np.random.default_rng(3), grid(4, 5)
    for _ in range(60):
        counts = 1 + rng.negative_binomial(1, 0.03, len(levels))
        hidden = withheld_rows(levels, counts.tolist())
        for name in levels.columns:
            for level in levels[name].unique():
                line = hidden & (levels[name] == level).to_numpy()
                assert not line.any() or (line.sum() > 1 and counts[line].sum() >= 10)


def test_what_is_in_a_withheld_sum_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withhold, "MOST_JUDGED", 0)
    found = withheld_groups(grid(3, 2), [4, 0, 50, 70, 100, 30])
    assert found["a",] == {("a0",), ("a1",)}
    assert {("a1", "b0"), ("a1", "b1")} <= found["a", "b"]
