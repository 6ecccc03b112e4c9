"""Records as they are released: an estimate, a frame, a message; marks read back; what is kept of what has left."""

import itertools
import json
import math
import stat

import numpy as np
import pandas as pd
import pytest
from tests.attack.worlds import estimate, random_world, resolver

from hiddenpop.disclosure import (
    Answers,
    Base,
    EstimateRecord,
    FrameRecord,
    Ledger,
    Message,
    OutputTable,
    Persons,
    ReleaseRules,
    Shares,
    plot_data,
    prices,
    print_answers,
    read_knowledge,
    read_marks,
    release,
)
from hiddenpop.errors import SettingError, TableError

TOWNS = Base(name="city", frame=pd.DataFrame({"town": list("abcd")}), counts=np.array([3, 40, 25, 60]))


def by_town(base=TOWNS):
    return base.sums([{"town": town} for town in base.frame["town"]])


# --- an estimate ------------------------------------------------------------------------------------------------------


def test_an_estimate_leaves_as_its_floor():
    world = random_world(2, 3, 1)
    record = estimate(world, "chao")
    view = release([record], resolve=resolver(world)).view(record)
    plain = view.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["status"] == record.status == "ok"
    assert plain["n_lists"] == 3
    for name in ("n_hat", "low", "high"):
        assert plain[name] % 10 == 0 or plain[name] == plain["n_observed"]
        assert plain[name] >= plain["n_observed"]
    assert plain["n_observed"] % 5 == 0
    assert set(plain["lists"]) == set(world.lists)
    exact = world.base.sums([{name: 1} for name in world.lists]) @ world.counts
    for shown, value in zip(plain["lists"].values(), exact, strict=True):
        assert shown == "<10" if 0 < value < 10 else abs(shown - value) <= 2


def test_an_estimate_is_not_written_before_it_is_released():
    world = random_world(2, 3, 1)
    record = estimate(world, "chao")
    with pytest.raises(SettingError, match="'chao' has not been released"):
        record.to_dict()
    view = release([record], resolve=resolver(world)).view(record)
    assert view.base is None
    assert view.recompute == {}
    with pytest.raises(SettingError, match="has been released already"):
        view.output_tables()


def test_an_estimate_without_a_number_is_null_beside_its_status():
    frame = pd.DataFrame({"a": [1, 0], "b": [0, 1]})
    base = Base(name="apart", frame=frame, counts=np.array([40, 35]))
    record = EstimateRecord(
        name="lp", base=base, lists=["a", "b"], method="two lists", status="unbounded", n_hat=math.inf,
        low=75.0, high=math.inf, level=0.95, recompute={"method": "lp"},
    )  # fmt: skip
    found = release(
        [record], resolve=lambda _: lambda counts: ["unbounded", math.inf, counts.sum(), math.inf]
    )
    plain = found.view(record).to_dict()
    assert plain["n_hat"] is None
    assert plain["status"] == "unbounded"
    assert plain["low"] == 80


def test_a_function_that_gives_something_else_is_not_believed():
    world = random_world(2, 3, 1)
    record = estimate(world, "chao")
    found = release([record], resolve=lambda _: lambda counts: ["ok", 1.0, 1.0, 1.0])
    assert found.view(record).to_dict()["n_hat"] == "."
    assert "gives something else" in " ".join(found.log)


# --- frames -----------------------------------------------------------------------------------------------------------


def frame_record(**changes):
    frame = pd.DataFrame(
        {
            "town": list("abcd"), "year": 2025, "count": [3, 40, 25, 60], "helped": [1, 30, 20, 45],
            "share": [1 / 3, 0.75, 0.8, 0.75], "n_hat": [9.0, 120.0, 75.0, 180.0], "bic": [1.5, 2.5, 3.5, 4.5],
        }
    )  # fmt: skip
    cells = pd.DataFrame(itertools.product("abcd", ["yes", "no"]), columns=["town", "helped"])
    base = Base(name="city", frame=cells, counts=np.array([1, 2, 30, 10, 20, 5, 45, 15]))
    settings = {
        "name": "towns",
        "frame": frame,
        "base": base,
        "dimensions": ["town"],
        "settings": ["year"],
        "counts": {
            "count": base.sums([{"town": t} for t in "abcd"]),
            "helped": base.sums([{"town": t, "helped": "yes"} for t in "abcd"]),
        },
        "shares": {"share": Shares(of="helped", among="count")},
        "answers": [Answers(columns=["n_hat"], recompute={"method": "triple"})],
    }
    return FrameRecord(**{**settings, **changes})


def triple(plain):
    assert plain == {"method": "triple"}
    return lambda counts: (3.0 * np.asarray(counts).reshape(4, 2).sum(axis=1)).tolist()


def test_each_column_of_a_frame_leaves_as_what_it_is():
    record = frame_record()
    view = release([record], resolve=triple).view(record)
    assert list(view.frame.columns) == ["town", "year", "count", "helped", "share", "n_hat"]
    assert view.frame["count"].tolist()[0] == "<10"
    assert view.frame["share"].tolist()[0] == "."
    for part, whole, share in zip(
        view.frame["helped"], view.frame["count"], view.frame["share"], strict=True
    ):
        if isinstance(part, str) or isinstance(whole, str):
            assert share == "."
    # town c: 20 of 25, and the 5 others would follow from both
    row = view.frame.set_index("town").loc["c"]
    assert isinstance(row["helped"], str) or isinstance(row["count"], str)


def test_what_is_named_wrongly_is_refused():
    with pytest.raises(TableError, match="no column 'twn'; it has town, year"):
        frame_record(dimensions=["twn"])
    with pytest.raises(TableError, match="a share of 'persons', which is not a column of counts"):
        frame_record(shares={"share": Shares(of="helped", among="persons")})
    with pytest.raises(TableError, match="no base; say which persons"):
        frame_record(base=None)
    with pytest.raises(TableError, match="column 'bic' holds numbers of which nothing is known"):
        OutputTable.of_words("settings", pd.DataFrame({"bic": [123.4]}))
    extra = pd.DataFrame(
        {"town": list("abcd"), "count": [3, 40, 25, 60], "mean age": [18.5, 20.1, 30.2, 40.9]}
    )
    with pytest.raises(TableError, match="column 'mean age' holds numbers"):
        OutputTable.of_sums("towns", TOWNS, extra, by_town())


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_message_keeps_its_settings_and_protects_its_persons():
    message = Message(
        name="remark", template="{n} models were chosen in {b} resamples; {list} holds {few}, in all {all}",
        base=TOWNS, settings={"n": 12, "b": 1000, "list": "Politie 2021"},
        persons={"few": Persons(value=3, of={"town": "a"}), "all": Persons(value=128, of={})},
    )  # fmt: skip
    with pytest.raises(SettingError, match="has not been released"):
        _ = message.text
    view = release([message]).view(message)
    assert view.text == "12 models were chosen in 1000 resamples; Politie 2021 holds <10, in all 128"
    assert view.base is None
    with pytest.raises(SettingError, match="the template asks for 'm', and has n"):
        Message(name="remark", template="{m} models", settings={"n": 1})
    with pytest.raises(SettingError, match="no base"):
        Message(name="remark", template="{n}", persons={"n": Persons(value=3, of={})})
    wrong = Message(name="w", template="{n}", base=TOWNS, persons={"n": Persons(value=4, of={"town": "a"})})
    with pytest.raises(TableError, match="are not the sums"):
        release([wrong])


# --- marks ------------------------------------------------------------------------------------------------------------


def test_marks_go_out_and_come_back():
    shown = release([OutputTable.of_counts("towns", TOWNS, ["town"])]).frames["towns"]
    read = read_marks(shown["count"])
    assert read["kind"].tolist() == ["censored", "number", "withheld", "number", "number"]
    assert ((read["low"] <= [3, 40, 25, 60, 128]) & (read["high"] >= [3, 40, 25, 60, 128])).all()
    with pytest.raises(SettingError, match="row 1 shows '<5'"):
        read_marks([1, "<5"])
    with pytest.raises(SettingError, match="row 0 shows 'nan'"):
        read_marks([math.nan])
    assert plot_data(shown, "count")["height"].max() == 128


@pytest.mark.parametrize(
    ("value", "rounded", "one", "grid"),
    [
        (996.0, 1000.0, 1000.0, "between 500 and 1,000"),
        (1449.9, 1400.0, 1000.0, "between 1,000 and 2,000"),
        (94.9, 90.0, 90.0, "between 50 and 100"),
        (3.0, 0.0, 0.0, "between 0 and 10"),
        (-37.0, -40.0, -40.0, "between -50 and -20"),
        (math.inf, math.inf, math.inf, math.inf),
        ("ok", "ok", "ok", "ok"),
        (True, True, True, True),
    ],
)
def test_how_answers_are_printed(value, rounded, one, grid):
    levels = ("as it is", "rounded", "one digit", "between two numbers of a grid")
    found = [print_answers([value], level, 10, 2)[0] for level in levels]
    assert found == [value, rounded, one, grid]


# --- bases of one table -----------------------------------------------------------------------------------------------


def test_a_base_that_is_no_sum_of_the_finer_one_is_refused():
    fine = Base(
        name="city",
        frame=pd.DataFrame({"town": list("aabb"), "sex": list("fmfm")}),
        counts=np.array([13, 14, 15, 16]),
    )
    right = Base(name="city", frame=pd.DataFrame({"town": list("ab")}), counts=np.array([27, 31]))
    wrong = Base(name="city", frame=pd.DataFrame({"town": list("ab")}), counts=np.array([27, 30]))
    other = Base(name="city", frame=pd.DataFrame({"age": list("ab")}), counts=np.array([27, 31]))
    first = OutputTable.of_counts("fine", fine, ["town", "sex"])
    assert release([first, OutputTable.of_counts("right", right, ["town"])]).passed
    for base in (wrong, other):
        with pytest.raises(SettingError, match="two bases are called 'city' and"):
            release([first, OutputTable.of_counts("x", base, [base.frame.columns[0]])])


def test_a_finer_table_that_left_earlier_becomes_the_base(tmp_path):
    """The finer counts come from the folder that stayed inside."""
    fine = Base(
        name="city",
        frame=pd.DataFrame({"town": list("aabbcc"), "known": [True, False] * 3}),
        counts=np.array([12, 4, 30, 25, 28, 31]),
    )
    first = release([OutputTable.of_counts("known", fine, ["town", "known"])])
    first.write_inside(tmp_path / "inside")
    told = read_knowledge(tmp_path / "inside")
    coarse = Base(name="city", frame=pd.DataFrame({"town": list("abc")}), counts=np.array([16, 55, 59]))
    later = OutputTable.of_counts("towns", coarse, ["town"])
    found = release([later], earlier=[told])
    assert found.small["city"].base.cells == fine.cells[:0] + told["city"].linear.cells
    assert found.passed
    assert found.against(told)["open"].all()


# --- over time --------------------------------------------------------------------------------------------------------


def test_a_ledger_keeps_what_has_left(tmp_path):
    base = Base(name="city", frame=pd.DataFrame({"town": list("abcd")}), counts=np.array([7, 30, 31, 44]))
    every = OutputTable.of_sums("all", base, pd.DataFrame({"who": ["all"]}), base.sums([{}]))
    part = OutputTable.of_sums(
        "part", base, pd.DataFrame({"who": ["bcd"]}), base.sums([{"town": list("bcd")}])
    )
    ledger = Ledger(tmp_path / "ledger")
    assert ledger.earlier("table one") == []
    path = ledger.add(release([every]), table="table one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ledger").stat().st_mode) == 0o700
    assert ledger.earlier("table two") == []
    earlier = ledger.earlier("table one")
    assert release([part], earlier=earlier).frames["part"]["count"].tolist() == ["."]
    assert ledger.add(release([part], earlier=earlier), table="table one") != path
    assert len(ledger.earlier("table one")) == 2
    with pytest.raises(SettingError, match="may not leave"):
        ledger.add(release([every], unprotected=True), table="table one")
    path.write_text("{}}")
    with pytest.raises(SettingError, match="cannot be read"):
        ledger.earlier("table one")


def test_answers_are_kept_and_read_back(tmp_path):
    world = random_world(6, 3, 1)
    found = release([estimate(world, "chao")], resolve=resolver(world))
    found.write_inside(tmp_path / "inside")
    assert {p.name for p in (tmp_path / "inside").iterdir()} >= {"witnesses-table.csv", "knowledge.json"}
    read = read_knowledge(tmp_path / "inside")["table"]
    (one,) = read.printed
    assert one.shown == found.knowledge["table"].printed[0].shown
    assert one.level == "rounded"
    witnesses = pd.read_csv(tmp_path / "inside" / "witnesses-table.csv")
    assert (witnesses["count"] == world.counts).all()
    assert sum(column.startswith("witness ") for column in witnesses) >= 4
    again = release([estimate(world, "chapman")], earlier=[{"table": read}], resolve=resolver(world))
    assert again.passed
    with pytest.raises(SettingError, match="hand in resolve="):
        release([estimate(world, "chapman")], earlier=[{"table": read}])


def test_what_one_more_estimate_would_cost():
    world = random_world(5, 3, 1)
    first = release([estimate(world, "chao")], resolve=resolver(world))
    asked = [estimate(world, "chapman"), estimate(world, "chao", "again")]
    found = prices(asked, earlier=[first.knowledge], resolve=resolver(world))
    assert found["passes"].all()
    assert (found["fewest_values"] >= 5).all()
    assert found["item"].tolist() == ["chapman: counts, chapman: answers", "again: counts, again: answers"]
    told = release([OutputTable.of_counts("towns", TOWNS, ["town"])], unprotected=True).knowledge
    (row,) = prices([OutputTable.of_counts("t", TOWNS, ["town"])], earlier=[told]).to_dict("records")
    assert not row["passes"]
    assert "nothing is released" in row["shown"]


def test_without_a_small_enough_change_it_says_so():
    told = release([OutputTable.of_counts("towns", TOWNS, ["town"])], unprotected=True).knowledge
    with pytest.raises(
        SettingError, match=r"nothing is released: .* Neither other marks nor one output less"
    ):
        release([OutputTable.of_counts("t", TOWNS, ["town"])], earlier=[told])
    seven = Base(name="few", frame=pd.DataFrame({"town": list("abc")}), counts=np.array([1, 1, 1]))
    with pytest.raises(SettingError, match=r"This would pass: one mark for all that is withheld"):
        release([OutputTable.of_counts("t", seven, ["town"])], ReleaseRules(name="wide", width=8, values=8))


def test_text_that_a_spreadsheet_or_a_terminal_would_act_on(tmp_path):
    frame = pd.DataFrame({"=town": ["=1+1", "+a", "-b", "@c", "d\u202ee\x1b[2J"]})
    base = Base(name="city", frame=frame, counts=np.array([30, 40, 25, 60, 33]))
    found = release([OutputTable.of_counts("towns", base, ["=town"])])
    text = (found.write(tmp_path / "out") / "towns.csv").read_text()
    assert [line.split(",")[0] for line in text.splitlines()] == [
        "'=town", "'=1+1", "'+a", "'-b", "'@c", "d\\u202ee\\x1b[2J", "total",
    ]  # fmt: skip
