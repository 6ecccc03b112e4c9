import dataclasses

import pytest

from hiddenpop.description.rules import REACHES, RULES, VERDICTS, Figures, findings_of, grade_of, sentence_of

SOUND = Figures(
    n_lists=4,
    n_twice=500,
    empty_share=0.0,
    coverage=0.7,
    n_models=113,
    n_finite=113,
    independence_finite=True,
    spread_ratio=1.2,
    criteria_ratio=1.1,
    n_better=0,
    own_coverage=0.7,
    n_superfluous=0,
    n_everybody=0,
    misfit=0.5,
    reach=1.1,
    judged=True,
    independence_misfit=1.0,
    n_looked_at=113,
    n_space=113,
)

# A rule, a figure on the wrong side of its threshold, one that is just right, and what the sentence says.
CASES = [
    ("too_few_lists", {"n_lists": 1, "n_models": 0}, {"n_lists": 2}, "only 1 list caught anybody"),
    ("nobody_twice", {"n_twice": 0}, {"n_twice": 1}, "nobody is on two or more lists"),
    (
        "hardly_anybody_twice",
        {"n_twice": 9},
        {"n_twice": 10},
        "persons on two or more lists: only 9, fewer than 10",
    ),
    ("no_finite_model", {"n_finite": 0}, {"n_finite": 1}, "none of the models tried has a finite answer"),
    (
        "independence_not_finite",
        {"independence_finite": False},
        {},
        "even the independence model has no finite",
    ),
    ("two_lists_only", {"n_lists": 2}, {"n_lists": 3}, "with only 2 lists nothing can show"),
    ("few_twice", {"n_twice": 49}, {"n_twice": 50}, "persons on two or more lists: only 49, fewer than 50"),
    (
        "empty_overlaps",
        {"empty_share": 0.25},
        {"empty_share": 0.24},
        "25% of the overlaps of two lists are empty",
    ),
    ("superfluous_list", {"n_superfluous": 1}, {"n_superfluous": 0}, "without which sample coverage is 0.70"),
    ("nearly_everybody", {"n_everybody": 1}, {"n_everybody": 0}, "a list holds nearly everybody observed"),
    ("low_coverage", {"own_coverage": 0.54}, {"own_coverage": 0.55}, "sample coverage 0.54, below 0.55"),
    ("rival_models", {"spread_ratio": 1.6}, {"spread_ratio": 1.5}, "differ by a factor 1.6, more than 1.5"),
    ("rival_criteria", {"criteria_ratio": float("inf")}, {"criteria_ratio": 1.5}, "differ by a factor inf"),
    ("misfit", {"misfit": 0.0099}, {"misfit": 0.01}, "rejected by its goodness of fit, p = 0.01"),
    (
        "independence_misfit",
        {"independence_misfit": 0.0099},
        {"independence_misfit": 0.01},
        "independence is rejected by its goodness of fit, p = 0.01, and no other model is compared",
    ),
    (
        "better_without_answer",
        {"n_better": 1},
        {"n_better": 0},
        "better by BIC or AIC than every model with one: 1",
    ),
]


def test_every_rule_has_a_case() -> None:
    assert [rule.name for rule in RULES] == [name for name, *_ in CASES]


@pytest.mark.parametrize(("name", "wrong", "right", "words"), CASES)
def test_a_rule_fires_on_its_side_of_the_threshold_only(
    name: str, wrong: dict[str, float], right: dict[str, float], words: str
) -> None:
    fired = findings_of(dataclasses.replace(SOUND, **wrong))
    finding = next(f for f in fired if f.rule == name)
    rule = next(r for r in RULES if r.name == name)
    assert words in finding.text
    assert finding.verdict == rule.verdict
    assert VERDICTS[grade_of(SOUND, fired) - 1] == rule.verdict
    assert name not in {f.rule for f in findings_of(dataclasses.replace(SOUND, **right))}


@pytest.mark.parametrize(("reach", "grade"), [(1.14, 1), (1.15, 2), (1.4, 3), (2.5, 4), (float("inf"), 4)])
def test_a_farther_reach_is_a_worse_grade_and_any_ground_one_more(reach: float, grade: int) -> None:
    sound = dataclasses.replace(SOUND, reach=reach)
    lacking = dataclasses.replace(sound, own_coverage=0.1)
    assert grade_of(sound, findings_of(sound)) == grade
    assert grade_of(lacking, findings_of(lacking)) == max(grade, min(grade + 1, 3))
    assert f"grade {grade} of 5" in sentence_of("t", sound)


def test_the_gravest_rule_counts_and_every_finding_is_named() -> None:
    figures = dataclasses.replace(SOUND, n_twice=4, own_coverage=0.1, spread_ratio=3.0)
    assert sentence_of("t", figures) == (
        "t does not carry an estimate (grade 5 of 5): persons on two or more lists: only 4, fewer than 10; the lists "
        "have little in common: sample coverage 0.10, below 0.55; dark figures of models that BIC can hardly tell "
        "apart differ by a factor 3.0, more than 1.5."
    )


def test_a_sound_table_carries() -> None:
    assert findings_of(SOUND) == ()
    assert sentence_of("t", SOUND) == (
        "t carries an estimate (grade 1 of 5): 500 persons are on two or more lists and sample coverage is 0.70; the "
        "sizes that the data allow reach over a factor 1.10."
    )


def test_a_reach_that_is_withheld_is_told_by_its_threshold() -> None:
    veiled = frozenset({"reach"})
    wide, narrow = dataclasses.replace(SOUND, reach=REACHES[1] + 0.2), SOUND
    assert sentence_of("t", wide, veiled).endswith("reach over a factor at least 1.4.")
    assert sentence_of("t", narrow, veiled).endswith("reach over a factor below 1.15.")


def test_withheld_figures_are_told_by_their_threshold() -> None:
    veiled = frozenset({"n_twice", "coverage", "own_coverage", "spread_ratio", "criteria_ratio"})
    figures = dataclasses.replace(SOUND, n_twice=4, own_coverage=0.1, spread_ratio=3.0, criteria_ratio=2.0)
    assert [f.value for f in findings_of(figures, veiled)] == [None] * 4
    told = sentence_of("t", figures, veiled)
    assert "persons on two or more lists: fewer than 10;" in told
    assert "sample coverage below 0.55;" in told
    assert told.count("differ by more than a factor 1.5") == 2
    assert "at least 50 persons" in sentence_of("t", SOUND, veiled)
    assert "0.70" not in sentence_of("t", SOUND, veiled)
