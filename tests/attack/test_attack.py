"""What a release wrote of random tables that are not public, against an attack that shares no code with the audit."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from tests.attack.tools import (
    ESTIMATORS,
    RANGE,
    VALUES,
    facts_of,
    floor_facts,
    joined,
    read_release,
    ways_to_print,
)
from tests.attack.worlds import estimate, history_table, margins, random_world, resolver

from hiddenpop.disclosure import (
    FrameRecord,
    Message,
    OutputTable,
    Persons,
    plot_data,
    read_knowledge,
    release,
)
from hiddenpop.errors import SettingError

QUICK = range(8)
SLOW = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 200)]
SEEDS = [*QUICK, *SLOW]


def written(items, folder, **settings):
    """What leaves, and what is known inside; None where nothing does."""
    try:
        found = release(items, **settings)
    except SettingError:
        return None
    found.write(folder / "out")
    frames, rules = read_release(folder / "out")
    return found, frames, rules


def attacked_linearly(facts, world):
    """The narrowest interval of a small cell."""
    widths = []
    for j in world.small:
        low, high = facts.interval(np.eye(len(world.counts))[j])
        assert low - 1e-6 <= world.counts[j] <= high + 1e-6
        widths.append(high - low)
    return min(widths, default=math.inf)


def values_left(tables, world):
    """Of each small cell, how many values are left and how far apart."""
    return [(np.unique(tables[:, j]).size, np.ptp(tables[:, j])) for j in world.small]


def assert_open(tables, world):
    for values, apart in values_left(tables, world):
        assert values >= VALUES
        assert apart >= RANGE


@pytest.mark.parametrize("seed", SEEDS)
def test_tables_of_counts(seed, tmp_path):
    world = random_world(seed)
    got = written([margins(world), history_table(world)], tmp_path)
    if got is None:
        return
    _, frames, rules = got
    facts = joined(
        facts_of(frames["pairs"], world.cells, rules), facts_of(frames["cells"], world.cells, rules)
    )
    assert facts.agrees(world.counts)
    assert attacked_linearly(facts, world) >= RANGE - 1e-6
    tables = facts.all_tables(20_000)
    if tables is not None and world.small.size:
        assert_open(tables, world)


def answers_shown(frames, name):
    return frames[f"{name}--answers"]["value"].tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_estimates_with_and_without_a_list(seed, tmp_path):
    """Two estimates and the same without a list: differencing between items, and digits, by witnesses."""
    world = random_world(seed)
    items = [estimate(world, "chao"), estimate(world, "chapman")]
    without = world.lists[-1] if len(world.lists) > 2 else None
    if without:
        items.append(estimate(world, "chapman", "fewer", without))
    got = written(items, tmp_path, resolve=resolver(world))
    if got is None:
        return
    found, frames, rules = got
    facts = joined(
        *[
            floor_facts(frames[f"{one}--counts"], world.cells, rules, world.lists)
            for one in ("chao", "chapman")
        ]
    )
    if without:
        fewer = [name for name in world.lists if name != without]
        part = frames["fewer--counts"]
        rows = floor_facts(part, world.cells, rules, fewer)
        rows.rows[0] = world.about(fewer).astype(float)
        facts = joined(facts, rows)
    assert facts.agrees(world.counts)
    assert attacked_linearly(facts, world) >= RANGE - 1e-6
    tables = np.array([world.counts, *found.witnesses["table"]])
    names = {"chao": world, "chapman": world, **({"fewer": world.without(without)} if without else {})}
    kept = [
        table for table in tables if facts.agrees(table) and reproduces(table, world, names, frames, without)
    ]
    assert len(kept) == len(tables)
    told = [name for name in names if set(answers_shown(frames, name)) != {"."}]
    if told and world.small.size:
        assert_open(np.array(kept), world)


def reproduces(table, world, names, frames, without):
    """Whether a table prints all answers in the way that the true one does."""
    for name, part in names.items():
        shown = answers_shown(frames, name)
        if set(shown) == {"."}:
            continue
        counts = {id(world): table}.get(id(part))
        if counts is None:
            counts = type(world)(world.cells, table.astype(int), world.lists).without(without).counts
        method = "chapman" if name == "fewer" else name
        truth = ESTIMATORS[method](part.counts.astype(float), part.cells, part.lists)
        other = ESTIMATORS[method](np.asarray(counts, dtype=float), part.cells, part.lists)
        if not ways_to_print(truth, shown) & ways_to_print(other, shown):
            return False
    return True


@pytest.mark.parametrize(
    "seed", [*range(6), *[pytest.param(s, marks=pytest.mark.slow) for s in range(6, 60)]]
)
def test_two_lists_by_every_table(seed, tmp_path):
    """Few cells: every table that agrees with the files is tried, answers and all."""
    world = random_world(seed, n_lists=2, n_strata=1)
    got = written([estimate(world, "chapman")], tmp_path, resolve=resolver(world))
    if got is None or not world.small.size:
        return
    _, frames, rules = got
    facts = floor_facts(frames["chapman--counts"], world.cells, rules, world.lists)
    tables = facts.all_tables()
    if tables is None:
        assert attacked_linearly(facts, world) >= RANGE
        return
    kept = [table for table in tables if reproduces(table, world, {"chapman": world}, frames, None)]
    assert any((table == world.counts).all() for table in kept)
    assert_open(np.array(kept), world)


def test_most_random_tables_are_released():
    """An attack on nothing proves nothing: how many of the quick tables have counts and an estimate that leave."""
    counts = answers = 0
    for seed in QUICK:
        world = random_world(seed)
        try:
            counts += bool(release([margins(world)]).passed)
            found = release([estimate(world, "chao")], resolve=resolver(world))
        except SettingError:
            continue
        answers += found.frames["chao: answers"]["value"].tolist()[1] != "."
    assert counts >= 6
    assert answers >= 5


@pytest.mark.parametrize("seed", [0, 3, *[pytest.param(s, marks=pytest.mark.slow) for s in range(4, 40)]])
def test_a_later_release(seed, tmp_path):
    """The year before left one estimate, now a table of counts and another estimate leave."""
    world = random_world(seed, n_lists=3)
    first = release([estimate(world, "chao")], resolve=resolver(world))
    first.write_inside(tmp_path / "inside")
    told = read_knowledge(tmp_path / "inside")
    first.write(tmp_path / "first")
    got = written(
        [history_table(world), estimate(world, "chapman")], tmp_path, resolve=resolver(world), earlier=[told]
    )
    if got is None:
        return
    found, frames, rules = got
    before, _ = read_release(tmp_path / "first")
    facts = joined(
        floor_facts(before["chao--counts"], world.cells, rules, world.lists),
        floor_facts(frames["chapman--counts"], world.cells, rules, world.lists),
        facts_of(frames["cells"], world.cells, rules),
    )
    assert attacked_linearly(facts, world) >= RANGE - 1e-6
    shown = {**frames, "chao--answers": before["chao--answers"]}
    tables = [world.counts, *found.witnesses["table"]]
    names = {"chao": world, "chapman": world}
    kept = [table for table in tables if facts.agrees(table) and reproduces(table, world, names, shown, None)]
    told_something = any(set(answers_shown(shown, name)) != {"."} for name in names)
    if told_something and world.small.size:
        assert_open(np.array(kept), world)


# --- other ways out ---------------------------------------------------------------------------------------------------


def everything(world, folder):
    frame = pd.DataFrame(
        {
            "method": ["chao", "chapman"],
            "n_hat": [estimate(world, one).n_hat for one in ("chao", "chapman")],
            "draws": [[1.0, 2.0], [3.0, 4.0]],
            "reason": ["the overlap of list a and list b is 3", "list b holds 7 persons alone"],
            "fitted": [3.25, 6.75],
            "bic": [123.456789, 234.567891],
        }
    )
    names = ["n_hat"]
    record = FrameRecord(name="compared", frame=frame, base=world.base, dimensions=["method"])
    message = Message(
        name="remark",
        template="{few} persons are on {list} alone, of {n}; the estimate rests on {unknown}",
        base=world.base,
        settings={"list": "Politie 2021"},
        persons={
            "few": Persons(value=int(world.counts[0]), of=world.cells.iloc[0].to_dict()),
            "n": Persons(value=int(world.counts.sum()), of={}),
            "unknown": Persons(value=3),
        },
    )
    items = [record, message, estimate(world, "chao")]
    found = release(items, resolve=resolver(world))
    found.write(folder / "out")
    texts = {path.name: path.read_text() for path in (folder / "out").iterdir()}
    return found, record, message, texts, names


def world_with_a_small_cell():
    return next(w for w in (random_world(s, 3, 1) for s in range(50)) if 0 < w.counts[0] < 10)


def test_nothing_leaves_that_nobody_named(tmp_path):
    world = world_with_a_small_cell()
    found, record, message, texts, _ = everything(world, tmp_path)
    view = found.view(record)
    assert list(view.frame.columns) == ["method"]
    text = "".join(texts.values()) + found.view(message).text
    for secret in ("123.45", "234.56", "3.25", "6.75", "overlap of list a", "holds 7", "draws"):
        assert secret not in text
    sentence = found.view(message).text
    assert sentence.startswith("<10 persons are on Politie 2021 alone")
    assert sentence.endswith("rests on .")


def test_no_digits_and_no_hashes(tmp_path):
    _, _, _, texts, _ = everything(world_with_a_small_cell(), tmp_path)
    for text in texts.values():
        assert not re.search(r"[0-9a-f]{16}", text)
    for number in re.findall(r"[\d.]+", texts["chao--answers.csv"].partition("\n")[2]):
        if re.fullmatch(r"\d+\.\d+", number):
            assert float(number) % 10 == 0


def test_bars_and_axes_hold_no_withheld_number():
    world = world_with_a_small_cell()
    shown = release([history_table(world)]).frames["cells"]
    drawn = plot_data(shown, "count")
    assert set(drawn["height"].dropna()) <= {
        10.0,
        *[float(v) for v in shown["count"] if not isinstance(v, str)],
    }
    assert drawn["mark"][0] == "<10"
    other = world.counts.copy()
    other[0] = 1 + other[0] % 9
    again = release([history_table(type(world)(world.cells, other, world.lists))]).frames["cells"]
    assert plot_data(again, "count")["height"][0] == drawn["height"][0]


def test_a_boundary_says_no_more_than_its_number(tmp_path):
    """A status that holds of few tables tells of them: it has witnesses, or it does not leave."""
    for seed in range(40):
        world = random_world(seed, 2, 1)
        record = estimate(world, "chapman")
        if record.status == "boundary" and world.small.size:
            break
    else:
        counts = np.array([0, 40, 5])
        world = type(world)(world.cells, counts, world.lists)
        record = estimate(world, "chapman")
    assert record.status == "boundary"
    got = written([record], tmp_path, resolve=resolver(world))
    if got is None:
        return
    _, frames, rules = got
    facts = floor_facts(frames["chapman--counts"], world.cells, rules, world.lists)
    tables = facts.all_tables()
    kept = [table for table in tables if reproduces(table, world, {"chapman": world}, frames, None)]
    assert_open(np.array(kept), world)


def test_a_table_of_answers_alone_is_not_its_cells():
    world = world_with_a_small_cell()
    values = pd.DataFrame({"cell": [str(k) for k in range(len(world.counts))], "value": world.counts + 0.25})
    fitted = OutputTable.of_answers("fitted", world.base, values, recompute={"method": "none"})
    found = release([fitted], resolve=lambda plain: lambda counts: list(np.asarray(counts) + 0.25))
    shown = found.frames["fitted"]["value"].tolist()
    assert not set(shown) & {float(v) + 0.25 for v in world.counts}
