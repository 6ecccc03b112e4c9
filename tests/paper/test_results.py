"""The results that are kept are those that the code computes."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from paper.answers import jobs_of
from paper.printed import FOLDER, read_printed
from paper.results import RESULTS, bare, read_json, records_of, write_json, write_records
from paper.summary import write_summary
from paper.validation import ESTIMATORS, PAGE, PERFORMANCE, held_to_level, validation, write_validation

from hiddenpop import parallel

HEAVY = ("five tables", "uk", "netherlands_5")
"""Counts on which even single fits together take seconds; they are in the slow suite."""

pytestmark = pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")


def kept():
    return {group: read_json(RESULTS / f"{group}.json") for group in read_printed().groups}


def plain(records):
    """Records as they come back from a file."""
    return json.loads(json.dumps(records))


def test_every_printed_row_has_a_result_and_the_words_are_those_printed():
    printed = read_printed()
    for group, found in kept().items():
        rows = printed.of(group)
        assert found["title"] == printed.groups[group]
        assert [record["key"] for record in found["rows"]] == [row.key for row in rows]
        for row, record in zip(rows, found["rows"], strict=True):
            assert (record["words"], record["why"], record["note"]) == (row.words, row.why, row.note)
            assert record["source"] == printed.sources[row.source].label
            if row.route != "none":
                assert {q["name"]: text_of(q["printed"], q) for q in record["quantities"]} == dict(
                    row.printed
                )


def text_of(value, quantity):
    return value if isinstance(value, str) else f"{value:.{quantity['digits']}f}"


def test_files_are_written_plainly_and_hold_no_clock_or_machine():
    for path in RESULTS.glob("*.json"):
        text = path.read_text("utf-8")
        assert text == json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        for word in ("NaN", "Infinity", "seconds", "processor", "date"):
            assert f'"{word}' not in text
    assert sorted(path.stem for path in RESULTS.glob("*.json")) == sorted(
        [*read_printed().groups, "summary", "validation"]
    )


def of_rows(wanted, **settings):
    """Records of some rows only."""
    printed = read_printed()
    some = type(printed)(printed.groups, printed.sources, [row for row in printed.rows if wanted(row)])
    return some, {group: plain(rows) for group, rows in records_of(some, **settings).items()}


def assert_as_kept(found):
    for group, rows in found.items():
        known = {record["key"]: record for record in kept()[group]["rows"]}
        for record in rows:
            assert record == known[record["key"]]


def test_single_fits_are_what_is_kept():
    _, found = of_rows(lambda row: not row.slow and row.table not in HEAVY)
    assert sum(len(rows) for rows in found.values()) > 90
    assert_as_kept(found)


@pytest.mark.slow
def test_everything_that_needs_no_chains_is_what_is_kept():
    _, found = of_rows(lambda row: row.route != "chains" and "latent" not in row.fit.get("name", ""))
    assert_as_kept(found)


@pytest.mark.slow
def test_chains_are_near_what_is_kept():
    # Their last bits depend on the processor, and three digits are kept.
    _, found = of_rows(lambda row: row.route == "chains" and row.fit["name"] == "thresholded")
    for group, rows in found.items():
        known = {record["key"]: record for record in kept()[group]["rows"]}
        for record in rows:
            for ours, theirs in zip(record["quantities"], known[record["key"]]["quantities"], strict=True):
                if not isinstance(ours["ours"], str):
                    assert ours["ours"] == pytest.approx(theirs["ours"], rel=0.1)


def korea(row):
    return row.table in ("korea", "artificial_3") and not row.slow


def test_results_do_not_depend_on_the_store(tmp_path):
    alone = of_rows(korea)[1]
    with parallel(store=tmp_path / "store"):
        first, again = of_rows(korea)[1], of_rows(korea)[1]
    assert json.dumps(alone) == json.dumps(first) == json.dumps(again)
    assert any((tmp_path / "store").glob("*.block"))


@pytest.mark.slow
def test_results_do_not_depend_on_the_workers():
    def some(row):
        return korea(row) or row.key == "bootstrap.korea.top1_80"

    alone = of_rows(some)[1]
    with parallel(workers=2):
        assert json.dumps(of_rows(some)[1]) == json.dumps(alone)


def test_words_do_not_change_what_is_stored(tmp_path):
    row = next(row for row in read_printed().rows if row.key == "elsewhere.korea.bic")
    other = replace(row, words="other words", note="a note")
    assert bare(jobs_of([row])[0]) == bare(jobs_of([other])[0])


def test_a_difference_without_a_reason_writes_nothing(tmp_path):
    some, found = of_rows(lambda row: row.key == "elsewhere.korea.bic")
    found["elsewhere"][0]["status"] = "differs"
    with pytest.raises(ValueError, match=r"elsewhere\.korea\.bic: differs and gives no reason"):
        write_records(some, found, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_summary_and_validation_are_what_is_kept(tmp_path):
    for group, found in kept().items():
        write_json(tmp_path / f"{group}.json", found)
    assert write_summary(tmp_path).read_bytes() == (RESULTS / "summary.json").read_bytes()
    assert write_validation(tmp_path).read_bytes() == (RESULTS / "validation.json").read_bytes()


def test_verdicts_in_the_summary_add_up():
    summary = {name: fact["value"] for name, fact in read_json(RESULTS / "summary.json").items()}
    assert summary["agree"] + summary["by_chance"] + summary["differ"] == summary["computed"]
    assert summary["computed"] + summary["not_computed"] == summary["rows"]
    assert summary["agree"] > 0.5 * summary["rows"]


def test_the_validation_is_read_right():
    performance, page = pd.read_csv(PERFORMANCE), PAGE.read_text("utf-8")
    found = validation(performance, page)
    [row] = [row for row in found["table"] if row["scenario"] == "missed-links-three"]
    one = performance.query(
        "scenario == 'missed-links-three' and estimator == 'stepwise' and measure == 'coverage'"
    )
    assert row["cells"][ESTIMATORS.index("stepwise")]["coverage"] == pytest.approx(
        one["value"].item(), abs=6e-3
    )
    assert {"estimator": "true model", "held": 19, "kept": 19} in held_to_level(page)
    with pytest.raises(ValueError, match="holds nothing like"):
        validation(performance, page.replace("seed", "sowing"))


def test_measured_times_say_where_they_were_measured_and_are_not_made_again():
    found = read_json(FOLDER / "measured" / "speed.json")
    assert set(found["machine"]) == {"note", "processor", "cores", "system", "python", "versions"}
    assert "Times differ from day to day" in found["machine"]["note"]
    assert len(found["measurements"]) >= 5
    for entry in found["measurements"]:
        assert entry["ratio"]["value"] == pytest.approx(
            entry["theirs"]["value"] / entry["ours"]["value"], rel=0.1
        )
    assert "measure_speed" not in (FOLDER / "make.py").read_text("utf-8")
