import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests.disclosure.golden import answers

from hiddenpop.disclosure.primary import (
    group_disclosed,
    small_count,
    too_few_degrees,
    unsafe_magnitude,
    unsafe_percentile,
    unsafe_steps,
)
from hiddenpop.disclosure.rules import ReleaseRules
from hiddenpop.errors import SettingError

RULES = ReleaseRules()
PRIMARY = answers("primary_rules")


def magnitudes():
    data = pd.DataFrame(PRIMARY["data"]).astype({"value": float})
    for cell in PRIMARY["cells"]:
        inside = np.ones(len(data), dtype=bool)
        for dimension in ("sector4", "geo"):
            if cell[dimension] != "Total":
                inside &= (data[dimension] == cell[dimension]).to_numpy()
        yield cell, data[inside].groupby("company")["value"].sum().to_numpy()


def test_verdicts_follow_the_shares_of_the_definitions():
    seen = set()
    for cell, parts in magnitudes():
        assert parts.sum() == pytest.approx(cell["total"])
        assert parts.size == cell["contributors"]
        expected = {
            "threshold": cell["contributors"] < 10,
            "dominance 1": cell["largest_share"] > 0.5,
            "dominance 2": cell["two_largest_share"] > 0.9,
            "p-ratio": cell["rest_over_largest"] < 0.1,
        }
        assert unsafe_magnitude(parts, RULES) == tuple(name for name, broken in expected.items() if broken)
        seen |= set(expected.items())
    assert seen >= {(name, broken) for name in ("dominance 2", "p-ratio") for broken in (True, False)}


def test_the_other_program_counts_the_same_inner_cells():
    inner = [parts for cell, parts in magnitudes() if "Total" not in {cell["sector4"], cell["geo"]}]
    empty = 12 - len(inner)
    verdicts = [unsafe_magnitude(parts, RULES) for parts in inner]
    counts = {
        name: sum(name in broken for broken in verdicts) for name in ("threshold", "dominance 2", "p-ratio")
    }
    assert counts["threshold"] + empty == 12
    # it counts cells, not contributors of cells without any: the two empty ones are in its threshold alone
    assert PRIMARY["acro_1.0.2_defaults"].count(f"nk {counts['dominance 2']}") == 1
    assert PRIMARY["acro_1.0.2_defaults"].count(f"p-ratio {counts['p-ratio']} ") == 1


def test_a_percentile_needs_persons_on_both_sides():
    assert [unsafe_percentile(100, share, RULES) for share in (0.0, 0.05, 0.1, 0.5, 0.9, 0.95, 1.0)] == [
        True, True, False, False, False, True, True,
    ]  # fmt: skip
    shown = dataclasses.replace(RULES, name="mine", extremes=True)
    assert not unsafe_percentile(100, 1.0, shown)
    with pytest.raises(SettingError, match=r"share=1.5 of a percentile"):
        unsafe_percentile(100, 1.5, RULES)


def test_the_other_rules():
    assert small_count([0, 1, 9, 10], RULES).tolist() == [False, True, True, False]
    without = dataclasses.replace(RULES, name="mine", zeros="withheld")
    assert small_count([0, 1, 9, 10], without).tolist() == [True, True, True, False]
    assert group_disclosed([91, 90, 0], [100, 100, 0], RULES).tolist() == [True, False, False]
    assert [too_few_degrees(n, 7, RULES) for n in (16, 17)] == [True, False]
    assert unsafe_steps([0, 9, 10], RULES).tolist() == [False, True, False]
    with pytest.raises(SettingError, match="negative or missing"):
        unsafe_magnitude([3.0, np.nan], RULES)


def test_rules_come_from_toml_and_go_back(tmp_path):
    rules = dataclasses.replace(
        RULES, name='of the "house"', threshold=20, dominance=((1, 0.4),), marks="one"
    )
    path = tmp_path / "rules.toml"
    path.write_text(rules.to_toml(), "utf-8")
    assert ReleaseRules.read(path) == rules
    assert ReleaseRules.from_dict(rules.to_dict()) == rules


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("treshold = 5", r"no setting 'treshold'; did you mean 'threshold'"),
        ("zz = 5", r"no setting 'zz'; use name, version"),
        ("threshold = 0", r"threshold=0 is below 1"),
        ("threshold = 2.5", r"threshold=2.5 is not of type int"),
        ("threshold = true", r"threshold=True is not of type int"),
        ('marks = "stars"', r"marks='stars' is none of 'small', 'one'"),
        ("width = 9", r"a mark <10 says 1 to 9"),
        ("dominance = [[0, 0.5]]", r"dominance \(0, 0.5\) is not a pair"),
        ("threshold = 12", r"bear its name; give them a name"),
        ("threshold = ", r"is not TOML"),
    ],
)
def test_faults_in_rules_are_named(text, message):
    with pytest.raises(SettingError, match=message):
        ReleaseRules.of_text(text)


def test_rules_that_are_not_there(tmp_path):
    with pytest.raises(SettingError, match=r"none\.toml cannot be read"):
        ReleaseRules.read(tmp_path / "none.toml")
