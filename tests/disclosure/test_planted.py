"""A leak of every kind, planted in frames that were fit to leave: the audit finds each."""

import itertools

import numpy as np
import pandas as pd
import pytest
from tests.attack.tools import ESTIMATORS
from tests.attack.worlds import estimate, history_table, random_world, resolver

from hiddenpop.disclosure import Base, OutputTable, ReleaseRules, audit_frames, release
from hiddenpop.errors import SettingError

ROUNDED = ReleaseRules(name="rounded", protection="round", rounding=10)


def base_of(counts, name="city", **columns):
    frame = pd.DataFrame(list(itertools.product(*columns.values())), columns=list(columns), dtype=object)
    return Base(name=name, frame=frame, counts=np.asarray(counts).ravel())


BASE = base_of([3, 40, 25, 60, 4, 33, 12, 50], town=list("abcd"), sex=list("fm"))
BOTH = OutputTable.of_counts("both", BASE, ["town", "sex"])


def planted(frame, place, value, column="count"):
    changed = frame.astype({column: object})
    changed.loc[place, column] = value
    return changed


def test_what_was_released_passes_when_it_is_read_as_it_stands():
    found = release([BOTH])
    again = audit_frames([BOTH], found.frames)
    assert again["open"].all()
    pd.testing.assert_frame_equal(again, found.audit)


def test_a_number_shown_again():
    found = release([BOTH])
    for place in np.flatnonzero((found.frames["both"]["count"] == ".").to_numpy()):
        frame = planted(found.frames["both"], place, BOTH.numbers[place])
        assert not audit_frames([BOTH], {"both": frame})["open"].all()


def test_a_small_count_shown():
    found = release([BOTH])
    place = int(np.flatnonzero((found.frames["both"]["count"] == "<10").to_numpy())[0])
    frame = planted(found.frames["both"], place, BOTH.numbers[place])
    assert not audit_frames([BOTH], {"both": frame})["open"].all()


def test_a_number_that_is_not_true():
    found = release([BOTH])
    with pytest.raises(SettingError, match="do not agree with the table"):
        audit_frames([BOTH], {"both": planted(found.frames["both"], 1, 41)})
    with pytest.raises(SettingError, match="neither a number nor a mark"):
        audit_frames([BOTH], {"both": planted(found.frames["both"], 1, "about 40")})


def test_a_second_table_beside_it():
    """All towns in one table, all but one in the other."""
    base = base_of([7, 30, 31], town=list("abc"))
    rows = [base.sums([{}]), base.sums([{"town": ["b", "c"]}])]
    items = [
        OutputTable.of_sums(name, base, pd.DataFrame({"who": [name]}), row)
        for name, row in zip(["all", "without a"], rows, strict=True)
    ]
    frames = {item.name: item.frame for item in items}
    assert audit_frames(items[:1], {"all": frames["all"]})["open"].all()
    assert not audit_frames(items, frames)["open"].any()


def test_a_group_that_two_tables_single_out():
    """Three and four persons are on the list left out: 7 follows, although neither 3 nor 4 does."""
    frame = pd.DataFrame(
        [(*history, sex) for sex in "fm" for history in ((1, 0), (0, 1), (1, 1))], columns=["a", "b", "sex"]
    )
    base = Base(name="city", frame=frame, counts=np.array([30, 3, 25, 41, 4, 33]))
    fewer = frame.assign(n=base.counts).query("a == 1").groupby("a", as_index=False)["n"].sum()
    coarse = Base(name="city", frame=fewer[["a"]], counts=fewer["n"].to_numpy())
    tables = [
        OutputTable.of_sums(name, one, pd.DataFrame({"who": ["observed"]}), one.sums([{}]))
        for name, one in (("two lists", base), ("one list", coarse))
    ]
    shown = {table.name: table.frame for table in tables}
    audit = audit_frames(tables, shown)
    assert audit.loc[~audit["open"], "number"].tolist() == [7]
    found = release(tables)
    assert "." in [frame["count"].item() for frame in found.frames.values()]
    first = release(tables[:1])
    later = release(tables[1:])
    assert not later.against(first.knowledge)["open"].all()
    assert release(tables[1:], earlier=[first.knowledge]).frames["one list"]["count"].tolist() == ["."]


def test_what_has_left_before():
    later = OutputTable.of_sums(
        "without", BASE, pd.DataFrame({"who": ["not"]}), BASE.sums([{"town": list("bcd")}])
    )
    first = release([BOTH])
    base = base_of([7, 30, 31, 44], town=list("abcd"))
    total = OutputTable.of_sums("all", base, pd.DataFrame({"who": ["all"]}), base.sums([{}]))
    part = OutputTable.of_sums("part", base, pd.DataFrame({"who": ["p"]}), base.sums([{"town": list("bcd")}]))
    told = release([total]).knowledge
    assert audit_frames([part], {"part": part.frame})["open"].all()
    assert not audit_frames([part], {"part": part.frame}, earlier=[told])["open"].all()
    assert first.against(release([later]).knowledge)["open"].all()


def test_digits_of_an_estimate():
    world = random_world(5, 3, 1)
    assert world.small.size
    items = [history_table(world), estimate(world, "chao")]
    found = release(items, resolve=resolver(world))
    answers = items[1].output_tables()[1]
    full = {**found.frames, answers.name: answers.frame}
    assert not audit_frames(items, full, resolve=resolver(world))["open"].all()
    assert audit_frames(items, found.frames, resolve=resolver(world))["open"].all()
    with pytest.raises(SettingError, match="under any way of printing"):
        audit_frames(
            items,
            {**full, answers.name: planted(answers.frame, 1, 12345.0, "value")},
            resolve=resolver(world),
        )
    with pytest.raises(SettingError, match="hand in resolve="):
        audit_frames(items, full)


def test_an_answer_that_left_before():
    world = random_world(5, 3, 1)
    first = release([estimate(world, "chao")], resolve=resolver(world))
    assert first.frames["chao: answers"]["value"].tolist()[1] != "."
    cells = [history_table(world)]
    alone = audit_frames(cells, release(cells).frames)
    beside = audit_frames(cells, release(cells).frames, earlier=[first.knowledge], resolve=resolver(world))
    assert beside["witnessed"].min() <= alone["witnessed"].min()
    exact = estimate(world, "chao").output_tables()[1]
    told = release([exact], unprotected=True).knowledge
    assert told["table"].printed[0].level == "as it is"
    audit = audit_frames(cells, release(cells).frames, earlier=[told], resolve=resolver(world))
    assert not audit["open"].all()


def test_rounding_that_is_too_fine():
    found = release([BOTH], ROUNDED)
    assert found.passed
    assert not any(isinstance(value, str) for value in found.frames["both"]["count"])
    assert (found.frames["both"]["count"] % 10 == 0).all()
    shown = found.frames["both"].set_index(["town", "sex"])["count"]
    assert shown["a", "f"] + shown["a", "m"] == shown["a", "total"]
    fine = ReleaseRules(name="fine", protection="round", rounding=2)
    with pytest.raises(SettingError, match=r"This would pass: rounding to base \d+"):
        release([BOTH], fine)


def test_a_status_that_few_tables_have():
    """Of two lists of which one is inside the other: "boundary" holds of few tables beside the counts."""
    world = random_world(1, 2, 1)
    counts = np.array([0, 40, 5])
    part = type(world)(world.cells, counts, world.lists)
    items = [history_table(part), estimate(part, "chapman")]
    found = release(items, resolve=resolver(part))
    status = found.frames["chapman: answers"]["value"][0]
    truth = ESTIMATORS["chapman"](counts.astype(float), part.cells, part.lists)
    assert truth[0] == "boundary"
    assert status in {".", "boundary"}
    assert found.passed
