import itertools
import json
import stat

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.disclosure.attack import all_tables, linear_interval
from tests.disclosure.golden import answers

from hiddenpop.disclosure import Base, OutputTable, ReleaseRules, read_knowledge, release
from hiddenpop.errors import SettingError, TableError, UnknownNameError

ONE_MARK = ReleaseRules(name="one mark", marks="one", width=10)


def base_of(counts, **columns):
    frame = pd.DataFrame(list(itertools.product(*columns.values())), columns=list(columns), dtype=object)
    return Base(name="city", frame=frame, counts=np.asarray(counts).ravel())


def seen(base, frames, groups=None):
    """Read the frames as an outsider does: rows of sums, with the ends that a number or a mark gives."""
    rows, low, high = [], [], []
    for frame in frames:
        columns = [name for name in frame.columns if name != "count"]
        for values in frame.itertuples(index=False):
            inside = np.ones(len(base.frame), dtype=bool)
            for name, value in zip(columns, values, strict=False):
                if value != "total":
                    members = (groups or {}).get(name, {}).get(value, [value])
                    inside &= base.frame[name].isin(members).to_numpy()
            shown = values[-1]
            rows.append(inside.astype(float))
            ends = (
                {"<10": (1, 9), ".": (10, np.inf)}.get(shown, (shown, shown))
                if isinstance(shown, str)
                else (shown, shown)
            )
            low.append(ends[0])
            high.append(ends[1])
    return np.array(rows), np.array(low, dtype=float), np.array(high, dtype=float)


def attacked(rows, low, high, target):
    """Smallest and largest value of a sum that agree with all that is seen."""
    found = []
    finite = np.isfinite(high)
    for sign in (1, -1):
        answer = linprog(
            sign * target,
            A_ub=np.concatenate([-rows, rows[finite]]),
            b_ub=np.concatenate([-low, high[finite]]),
            bounds=(0, None),
            method="highs-ipm",
        )
        assert answer.status in {0, 3}, answer.message
        found.append(sign * answer.fun if answer.status == 0 else np.inf)
    return found


def narrowest(base, frames, groups=None):
    rows, low, high = seen(base, frames, groups)
    widths = [np.inf]
    for j in np.flatnonzero((base.counts > 0) & (base.counts < 10)):
        ends = attacked(rows, low, high, np.eye(base.counts.size)[j])
        widths.append(ends[1] - ends[0])
    sums = rows @ base.counts
    for row in rows[(sums > 0) & (sums < 10)]:
        ends = attacked(rows, low, high, row)
        widths.append(ends[1] - ends[0])
    return min(widths)


def released(base, tables):
    """Give the release, or None where even a table of marks alone would be too narrow."""
    asked = [OutputTable.of_counts("-".join(by), base, by) for by in tables]
    try:
        return release(asked)
    except SettingError:
        marks = [
            table.frame.assign(count=["." if n >= 10 else "<10" if n else 0 for n in table.numbers])
            for table in asked
        ]
        assert narrowest(base, marks) < 5
        return None


counts_of = st.lists(st.sampled_from([0, 1, 2, 3, 5, 8, 9, 11, 14, 20, 37, 60]), min_size=12, max_size=12)


@given(counts=counts_of)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_small_number_is_narrow_for_an_outsider(counts):
    base = base_of(counts, town=list("abcd"), sex=list("fmx"))
    found = released(base, [["town", "sex"]])
    if found is None:
        return
    assert found.passed
    assert narrowest(base, found.frames.values()) >= 5 - 1e-6
    truth = OutputTable.of_counts("both", base, ["town", "sex"]).numbers
    for shown, value in zip(found.frames["town-sex"]["count"], truth, strict=True):
        assert shown == value or (shown == "<10" and 0 < value < 10) or (shown == "." and value >= 10)


@given(counts=counts_of)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_tables_of_the_same_persons_are_judged_together(counts):
    base = base_of(counts, town=list("ab"), sex=list("fm"), age=list("123"))
    pairs = [["town", "sex"], ["town", "age"], ["sex", "age"]]
    found = released(base, pairs)
    if found is None:
        return
    assert narrowest(base, found.frames.values()) >= 5 - 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_a_thousand_random_tables(block):
    """Two and three dimensions, one with a hierarchy, and linked pairs, by programmes apart from the audit."""
    released_some = 0
    for seed in range(50):
        rng = np.random.default_rng([19, block, seed])
        shape = [(4, 3), (3, 2, 2), (5, 4), (2, 2, 3)][seed % 4]
        letters = ("abcde", "ABCDE", "123")
        columns = {"xyz"[k]: list(letters[k][:size]) for k, size in enumerate(shape)}
        counts = rng.choice([0, 1, 2, 4, 7, 9, 10, 13, 20, 37, 60], size=int(np.prod(shape)))
        base = base_of(counts, **columns)
        groups = {"x": {"west": ["a", "b"]}} if shape[0] > 2 else {}
        names = list(columns)
        if len(names) == 2 or seed % 3 == 0:
            asked = [OutputTable.of_counts("all", base, names, groups=groups)]
        else:
            asked = [OutputTable.of_counts("-".join(by), base, by) for by in itertools.combinations(names, 2)]
        try:
            found = release(asked)
        except SettingError:
            marks = [
                table.frame.assign(count=["." if n >= 10 else "<10" if n else 0 for n in table.numbers])
                for table in asked
            ]
            assert narrowest(base, marks, groups) < 5 or len(names) == 3
            continue
        released_some += 1
        assert narrowest(base, found.frames.values(), groups) >= 5 - 1e-6
    assert released_some >= 25


def test_every_value_of_a_small_number_stays_possible_in_whole_numbers():
    base = base_of([3, 12, 7, 15, 4, 11, 10, 13], town=list("ab"), sex=list("fm"), age=list("12"))
    pairs = [["town", "sex"], ["town", "age"], ["sex", "age"]]
    found = release([OutputTable.of_counts("-".join(by), base, by) for by in pairs], ONE_MARK)
    rows, values = [], []
    for frame in found.frames.values():
        matrix, low, high = seen(base, [frame])
        keep = low == high
        keep &= np.array([value != "." for value in frame["count"]])
        rows.append(matrix[keep])
        values.append(low[keep])
    tables = all_tables(np.concatenate(rows).astype(int), np.concatenate(values).astype(int), 40)
    assert (tables == base.counts).all(axis=1).any()
    for j in np.flatnonzero(base.counts < 10):
        assert np.ptp(tables[:, j]) >= 10
        assert np.unique(tables[:, j]).size >= 5


def test_a_planted_leak_is_found_by_attack_and_audit():
    base = base_of([3, 40, 25, 60, 4, 33, 12, 50], town=list("abcd"), sex=list("fm"))
    found = release([OutputTable.of_counts("both", base, ["town", "sex"])])
    frame = found.frames["both"].copy()
    truth = OutputTable.of_counts("both", base, ["town", "sex"]).numbers
    places = np.flatnonzero((frame["count"] == ".").to_numpy())
    assert places.size
    for place in places:
        planted = frame.copy()
        planted.loc[place, "count"] = truth[place]
        assert narrowest(base, [planted]) < 5
    known = release([OutputTable.of_counts("cover", base, ["town", "sex"])], unprotected=True).knowledge
    assert not found.against(known)["open"].all()
    assert found.against(found.knowledge)["open"].all()


@pytest.mark.parametrize("example", answers("withheld_but_narrow")["examples"], ids=lambda one: one["cell"])
def test_tables_that_an_earlier_rule_left_narrow(example):
    base = base_of(example["counts"], row=list("abc"), column=list("xyz"))
    found = release([OutputTable.of_counts("both", base, ["row", "column"])], ONE_MARK)
    rows, low, _ = seen(base, found.frames.values())
    shown = np.array([value != "." for value in found.frames["both"]["count"]])
    for j in np.flatnonzero((base.counts > 0) & (base.counts < 10)):
        ends = linear_interval(rows[shown], low[shown], np.eye(base.counts.size)[j])
        assert ends[1] - ends[0] >= 10 - 1e-6


def test_a_difference_between_two_tables_of_one_file_is_seen():
    """7 = 68 - 61: all towns in one table, all but one in the other."""
    base = base_of([7, 30, 31], town=list("abc"))
    rows = base.sums([{"town": ["a", "b", "c"]}, {"town": ["b", "c"]}])
    names = pd.DataFrame({"who": ["all", "without a"]})
    found = release([OutputTable.of_sums("two estimates", base, names, rows)])
    assert "." in found.frames["two estimates"]["count"].tolist()
    assert found.passed


def test_what_left_earlier_is_known():
    base = base_of([7, 30, 31, 44], town=list("abcd"))
    total = base.sums([{"town": list("abcd")}])
    earlier = release([OutputTable.of_sums("first", base, pd.DataFrame({"who": ["all"]}), total)])
    later = OutputTable.of_sums(
        "second", base, pd.DataFrame({"who": ["not a"]}), base.sums([{"town": list("bcd")}])
    )
    alone = release([later])
    assert alone.frames["second"]["count"].tolist() == [105]
    assert not alone.against(earlier.knowledge)["open"].any()
    together = release([later], earlier=[earlier.knowledge])
    assert together.frames["second"]["count"].tolist() == ["."]
    assert together.against(earlier.knowledge)["open"].all()


def test_where_earlier_releases_have_told_all_it_says_so():
    base = base_of([7, 30], town=list("ab"))
    told = release([OutputTable.of_counts("first", base, ["town"])], unprotected=True).knowledge
    with pytest.raises(SettingError, match="follows too narrowly"):
        release([OutputTable.of_counts("second", base, ["town"])], earlier=[told])


def test_an_earlier_release_of_other_cells_is_refused():
    first = release([OutputTable.of_counts("first", base_of([30, 40], town=list("ab")), ["town"])])
    second = base_of([30, 40], town=list("ac"))
    with pytest.raises(SettingError, match="finest base that they share"):
        release([OutputTable.of_counts("second", second, ["town"])], earlier=[first.knowledge])


def test_a_view_is_the_record_as_it_may_be_shown():
    base = base_of([3, 40, 25, 60], town=list("abcd"))
    table = OutputTable.of_counts("by town", base, ["town"])
    settings_ = OutputTable.of_words("settings", pd.DataFrame({"seed": [19]}), numbers=["seed"])
    found = release([table, settings_])
    view = found.view(table)
    assert type(view) is OutputTable
    assert view.frame["count"].tolist() == ["<10", 40, ".", 60, 128]
    assert view.base is None
    assert "3" not in repr(view.frame["count"].tolist()).replace("'", "").split(", ")
    assert found.view(settings_).frame["seed"].tolist() == [19]
    with pytest.raises(UnknownNameError, match="'other' was not judged"):
        found.view(OutputTable.of_counts("other", base, ["town"]))


def test_a_release_on_the_screen_shows_what_may_be_shown():
    found = release([OutputTable.of_counts("by town", base_of([7, 40, 25, 60], town=list("abcd")), ["town"])])
    text = repr(found)
    assert "<10" in text
    assert not {"7", "7.", "7.0", "25", "25.", "25.0"} & set(text.replace(",", " ").replace("]", " ").split())


def test_what_is_written_holds_no_withheld_number(tmp_path):
    base = base_of([3, 40, 25, 60], town=list("abcd"))
    found = release([OutputTable.of_counts("by town", base, ["town"])])
    folder = found.write(tmp_path / "release")
    assert sorted(path.name for path in folder.iterdir()) == ["by-town.csv", "release.json"]
    assert (folder / "by-town.csv").read_text() == "town,count\na,<10\nb,40\nc,.\nd,60\ntotal,128\n"
    about = json.loads((folder / "release.json").read_text())
    assert about["legend"] == "<10 = 1 to 9; . = withheld to protect another number"
    with pytest.raises(SettingError, match="exists"):
        found.write(folder)


def test_what_stays_inside_is_for_its_owner_and_can_be_read_back(tmp_path):
    base = base_of([3, 40, 25, 60], town=list("abcd"))
    found = release([OutputTable.of_counts("by town", base, ["town"])])
    folder = found.write_inside(tmp_path / "inside")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    account = pd.read_csv(folder / "account.csv")
    assert account["rule"].fillna("").tolist() == ["small", "", "protects another", "", ""]
    known = read_knowledge(folder)
    pd.testing.assert_frame_equal(found.against(known), found.against(found.knowledge))
    (folder / "knowledge.json").write_text("{")
    with pytest.raises(SettingError, match=r"knowledge\.json; give the folder"):
        read_knowledge(folder)


def test_unprotected_is_said_in_every_file(tmp_path):
    base = base_of([3, 40], town=list("ab"))
    found = release([OutputTable.of_counts("by town", base, ["town"])], unprotected=True)
    folder = found.write(tmp_path / "all")
    assert (folder / "by-town.csv").read_text().startswith("# NOT PROTECTED")
    assert json.loads((folder / "release.json").read_text())["unprotected"] is True
    assert found.log[0].startswith("NOT PROTECTED")


def test_nothing_is_left_of_a_release_that_fails(tmp_path, monkeypatch):
    found = release([OutputTable.of_counts("by town", base_of([30, 40], town=list("ab")), ["town"])])
    monkeypatch.setattr("pathlib.Path.rename", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        found.write(tmp_path / "release")
    assert list(tmp_path.iterdir()) == []


def test_a_group_whose_answer_is_known_of_all_is_withheld():
    base = base_of([95, 0, 50, 60], town=list("ab"), helped=["yes", "no"])
    table = OutputTable.of_counts("help", base, ["town", "helped"], telling=["helped"])
    found = release([table], ReleaseRules(name="groups", zeros="withheld"))
    shown = found.frames["help"].set_index(["town", "helped"])["count"]
    assert shown["a", "yes"] == "."
    assert shown["a", "no"] == "."
    without = release([OutputTable.of_counts("help", base, ["town", "helped"])])
    assert without.frames["help"].set_index(["town", "helped"])["count"]["a", "yes"] == 95


def test_magnitudes_are_judged_by_their_contributors():
    parts = [[60.0, 3, 2], [5.0] * 12, [4.0] * 15, [7.0] * 11]
    amounts = np.array([sum(part) for part in parts])
    base = Base(name="costs", frame=pd.DataFrame({"town": list("abcd")}), counts=amounts, whole=False)
    frame = pd.DataFrame({"town": [*"abcd", "total"]})
    matrix = base.sums([{"town": town} for town in "abcd"] + [{}])
    table = OutputTable.of_magnitudes("costs", base, frame, matrix, [*parts, np.concatenate(parts)])
    found = release([table])
    shown = found.frames["costs"]["value"].tolist()
    assert shown[0] == "."
    assert shown.count(".") == 2
    assert found.account["rule"][0] == "threshold, dominance 1, dominance 2, p-ratio"


def test_a_zero_that_everybody_knows_protects_nobody():
    frame = pd.DataFrame({"town": list("abcd")})
    counts = np.array([3, 0, 25, 60])
    open_zero = Base(name="city", frame=frame, counts=counts)
    closed = Base(name="city", frame=frame, counts=counts, known=counts == 0)
    rules = ReleaseRules(name="zeros", zeros="withheld", marks="one")
    shown = [
        release([OutputTable.of_counts("t", base, ["town"])], rules).frames["t"]["count"].tolist()
        for base in (open_zero, closed)
    ]
    assert shown == [[".", ".", ".", 60, 88], [".", 0, ".", 60, 88]]


def test_faults_of_what_is_handed_in_are_named():
    base = base_of([3, 40], town=list("ab"))
    table = OutputTable.of_counts("t", base, ["town"])
    with pytest.raises(SettingError, match="two outputs are called 't'"):
        release([table, table])
    other = base_of([4, 40], town=list("ab"))
    with pytest.raises(SettingError, match="two bases are called 'city'"):
        release([table, OutputTable.of_counts("u", other, ["town"])])
    with pytest.raises(
        TableError, match="1 of 2 counts are negative, missing or fractional, the first in row 0"
    ):
        base_of([0.5, 40], town=list("ab"))
    with pytest.raises(TableError, match="a cell twice"):
        base_of([3, 40], town=list("aa"))
    with pytest.raises(TableError, match="no column 'twn'; it has town"):
        OutputTable.of_counts("t", base, ["twn"])
    wrong = pd.DataFrame({"who": ["all"], "count": [42]})
    with pytest.raises(TableError, match="1 of 1 numbers are not the sums"):
        OutputTable.of_sums("t", base, wrong, base.sums([{}]))
