"""`Interval`, `Diagnostic`, `EstimatorSpec` and `Estimate`: what they refuse, say, write and read back."""

import copy
import dataclasses
import json
import math
import pickle
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hiddenpop
from hiddenpop import CaptureTable, Diagnostic, Estimate, Interval, LogLinear, SelectedLogLinear, datasets
from hiddenpop.errors import ConstantListWarning, EstimateNotOkError
from hiddenpop.provenance import make_provenance
from hiddenpop.result import SCHEMA_VERSION, EstimatorSpec, format_level, format_persons
from hiddenpop.table import TableSummary

SOURCE = Path(hiddenpop.__file__).parent
SUMMARY = TableSummary("made up", "abc", ("police", "shelter"), public=True)
SPEC = EstimatorSpec("loglinear", {"model": "[1,2]", "interval": "profile", "level": 0.95})


def estimate(**changes):
    settings = {
        "n_hat": 120.0,
        "n_observed": 60,
        "interval": Interval(82.4, 199.4, 0.95, "profile, model taken as known"),
        "status": "ok",
        "estimator": SPEC,
        "table": SUMMARY,
    }
    return Estimate(**{**settings, **changes})


# --- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(2.0, 1.0), (math.nan, 1.0), (1.0, math.nan)])
def test_an_interval_runs_from_low_to_high(low, high):
    with pytest.raises(ValueError, match="an interval needs low <= high"):
        Interval(low, high, 0.95, "wald")


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, -0.5])
def test_the_level_of_an_interval_is_a_share(level):
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        Interval(1.0, 2.0, level, "wald")


def test_an_interval_may_be_a_point_or_have_no_upper_limit():
    assert Interval(5.0, 5.0, 0.9, "x").width == 0.0
    open_ended = Interval(5.0, math.inf, 0.9, "x")
    assert open_ended.width == math.inf
    assert math.inf in open_ended
    assert 4.9 not in open_ended


def test_a_spec_writes_and_builds_its_estimator():
    assert SPEC.label == "loglinear (model=[1,2])"
    assert (
        dataclasses.replace(SPEC, settings={**SPEC.settings, "level": 0.9}).label
        == "loglinear (model=[1,2], level=0.9)"
    )
    assert SPEC.build() == LogLinear(model="[1,2]")


def test_a_spec_names_the_estimator_inside_another():
    outer = EstimatorSpec(
        "bootstrap", {"base": {"name": "loglinear", "settings": {"model": "[1,2]"}}, "n": 200}
    )
    assert outer.label == "bootstrap (base=loglinear (model=[1,2]), n=200)"


@pytest.mark.parametrize(
    ("n", "width", "text"),
    [
        (12349.587, 5800.0, "12,350"),
        (137.2, 12.0, "137"),
        (1234567.0, 1e6, "1,230,000"),
        (137.2, 0.01, "137"),
        (1234.5, 1e9, "1,230"),
        (186.0, 2e5, "186"),
        (137.2, math.inf, "137"),
        (math.inf, math.inf, "infinity"),
        (math.nan, math.inf, "unknown"),
        (1e12 + 5, 2.0, "1,000,000,000,005"),
    ],
)
def test_digits_follow_the_width_of_the_interval(n, width, text):
    assert format_persons(n, width) == text


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (0.95, "95%"),
        (0.5, "50%"),
        (0.9, "90%"),
        (0.57, "57%"),
        (0.975, "97.5%"),
        (0.999, "99.9%"),
        (0.9999, "99.99%"),
        (0.6827, "68.27%"),
        (2 / 3, "66.67%"),
        (1e-5, "0.001%"),
        (1.0 - 1e-9, "99.9999999%"),
    ],
)
def test_a_level_keeps_the_digits_that_it_has(level, text):
    assert format_level(level) == text


@given(st.floats(0.0, 1.0, exclude_min=True, exclude_max=True))
def test_no_level_reads_as_all_or_nothing(level):
    text = format_level(level)
    number = Decimal(text.removesuffix("%"))
    assert 0 < number < 100
    exact = 100 * Decimal(repr(level))
    assert abs(number - exact) <= min(exact, 100 - exact) / 1000


def test_levels_are_written_in_one_place():
    """A level formatted to whole per cent, or with six digits, would read as 100 % when it is near 1."""
    own = re.compile(r"level\b[^{}]*:(\.\d%|g\}\s?%)|percent\([a-z_.]*level\)")
    found = [path.name for path in SOURCE.rglob("*.py") if own.search(path.read_text(encoding="utf-8"))]
    assert found == []


# --- consistency ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "fine"}, "status 'fine' is not one of"),
        ({"interval": Interval(59.9, 199.4, 0.95, "wald")}, "starts at 59.9, below the 60 observed"),
        ({"n_hat": 59.0}, "status 'ok' needs a finite estimate of at least 60; got 59.0"),
        ({"n_hat": math.inf}, "status 'ok' needs a finite estimate"),
        ({"n_hat": math.nan}, "status 'ok' needs a finite estimate"),
        (
            {"status": "boundary", "n_hat": math.nan, "reason": "r"},
            "status 'boundary' needs a finite estimate",
        ),
        ({"status": "unbounded", "reason": "r"}, "status 'unbounded' goes with n_hat=inf; got 120.0"),
        ({"status": "not_identified", "reason": "r"}, "status 'not_identified' goes with n_hat=nan"),
        ({"status": "boundary", "n_hat": 60.0}, "status 'boundary' needs a reason in words"),
        ({"status": "not_converged", "n_hat": math.nan}, "status 'not_converged' needs a reason in words"),
    ],
)
def test_an_estimate_whose_parts_contradict_each_other_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        estimate(**changes)


@pytest.mark.parametrize(
    ("status", "n_hat"), [("unbounded", math.nan), ("not_identified", math.inf), ("not_converged", math.inf)]
)
def test_inf_is_for_unbounded_and_nan_for_unknown(status, n_hat):
    with pytest.raises(ValueError, match=f"status '{status}'"):
        estimate(status=status, n_hat=n_hat, reason="r")


def test_what_follows_from_the_numbers():
    found = estimate()
    assert found.ok
    assert found.n_hidden == 60.0
    assert found.hidden_share == 0.5
    assert found.require_ok() is found


def test_without_a_number_nothing_is_made_up():
    unbounded = estimate(
        n_hat=math.inf, status="unbounded", reason="no overlap", interval=Interval(80.0, math.inf, 0.95, "p")
    )
    assert unbounded.n_hidden == math.inf
    assert unbounded.hidden_share == 1.0
    unknown = estimate(
        n_hat=math.nan,
        status="not_identified",
        reason="flat",
        interval=Interval(60.0, math.inf, 0.95, "none"),
    )
    assert math.isnan(unknown.n_hidden)
    assert math.isnan(unknown.hidden_share)
    assert "no estimate" in unknown.summary()


def test_require_ok_says_what_is_wrong():
    boundary = estimate(
        n_hat=60.0, status="boundary", reason="nobody was missed", interval=Interval(60.0, 70.0, 0.95, "p")
    )
    with pytest.raises(EstimateNotOkError, match="loglinear on made up: boundary: nobody was missed"):
        boundary.require_ok()


def test_draws_and_mappings_are_read_only():
    draws = np.array([100.0, 120.0])
    found = estimate(draws=draws, details={"a": 1}, provenance={"b": 2})
    with pytest.raises(ValueError, match="read-only"):
        found.draws[0] = 1.0
    with pytest.raises(TypeError, match="does not support item assignment"):
        found.provenance["b"] = 3


def test_an_estimate_does_not_seize_the_array_of_its_maker():
    draws = np.array([100.0, 120.0])
    estimate(draws=draws)
    draws[0] = 90.0
    assert draws[0] == 90.0


# --- text -------------------------------------------------------------------------------------------------------------


def test_the_summary_holds_everything_a_reader_must_see():
    text = estimate(n_failed=3, diagnostics=(Diagnostic("face", "warning", "on a face", 2),)).summary()
    assert "N = 120, 95% interval 82 to 199 (profile, model taken as known); 60 observed" in text
    assert "3 inner fits gave no finite answer" in text
    assert "warning: on a face" in text


def test_a_high_level_is_not_written_as_all():
    text = estimate(interval=Interval(60.0, 199.4, 0.999, "profile")).summary()
    assert "99.9% interval" in text
    assert "100%" not in text


def test_a_limit_at_the_number_observed_is_not_rounded_below_it():
    found = estimate(n_hat=1300.0, n_observed=1234, interval=Interval(1234.0, 9999.0, 0.95, "p"))
    assert "95% interval 1,234 to" in found.summary()
    assert "1,230" not in repr(found)


def test_a_repr_holds_no_address_and_no_clock():
    assert repr(estimate()) == repr(estimate())
    assert "0x" not in repr(estimate())


def test_html_is_escaped():
    found = estimate(diagnostics=(Diagnostic("x", "info", "<script>alert(1)</script>"),))
    assert "<script>" not in found._repr_html_()
    assert "&lt;script&gt;" in found._repr_html_()


def test_a_tidy_row_has_one_column_a_figure():
    row = estimate().to_frame()
    assert row.shape == (1, 13)
    assert row.loc[0, ["n_hat", "low", "high", "n_observed", "n_hidden"]].tolist() == [
        120.0,
        82.4,
        199.4,
        60,
        60.0,
    ]


# --- writing and reading ----------------------------------------------------------------------------------------------


def test_json_leaves_out_what_has_no_form_there_and_draws():
    found = estimate(details={"kept": 1, "model": object()}, draws=np.ones(3))
    data = found.to_dict()
    assert data["details"] == {"kept": 1}
    assert "draws" not in data
    assert data["schema_version"] == SCHEMA_VERSION


@pytest.mark.parametrize(
    ("status", "n_hat"),
    [
        ("ok", 120.0),
        ("boundary", 60.0),
        ("unbounded", math.inf),
        ("not_identified", math.nan),
        ("not_converged", math.nan),
    ],
)
def test_every_status_survives_json(status, n_hat):
    high = 199.4 if status in {"ok", "boundary"} else math.inf
    found = estimate(
        status=status,
        n_hat=n_hat,
        reason="" if status == "ok" else "in words",
        interval=Interval(60.0, high, 0.95, "p"),
        by_stratum=pd.DataFrame({"region": ["north"], "n_observed": [60], "n_hat": [n_hat]}),
    )
    text = json.dumps(found.to_dict(), allow_nan=False)
    back = Estimate.from_dict(json.loads(text))
    assert json.dumps(back.to_dict(), allow_nan=False) == text
    assert back.status == status
    assert back.n_hat == pytest.approx(n_hat, nan_ok=True)
    assert back.interval == found.interval


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 0}, "schema version 0 is not 1"),
        ({"status": None}, "the fields status are missing"),
        ({"n_observed": "<10"}, "the number observed was withheld"),
    ],
)
def test_a_record_that_is_no_estimate_is_refused(change, message):
    data = estimate().to_dict()
    for key, value in change.items():
        if value is None:
            del data[key]
        else:
            data[key] = value
    with pytest.raises(ValueError, match=message):
        Estimate.from_dict(data)


def test_an_estimate_crosses_to_another_process():
    found = SelectedLogLinear().fit(datasets.load("kosovo"))
    back = pickle.loads(pickle.dumps(found))
    assert back.to_dict() == found.to_dict()
    assert copy.deepcopy(found).to_dict() == found.to_dict()


@pytest.mark.parametrize("rng", [None, 7, np.int64(7), np.random.default_rng(7)])
def test_the_provenance_records_the_random_number_generator(rng):
    expected = {"seed": 7} if isinstance(rng, int | np.integer) else rng and {"bit_generator": "PCG64"}
    assert make_provenance(SUMMARY, rng)["rng"] == expected


# --- disclosure -------------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))


def private_table(counts):
    frame = pd.DataFrame({"police": [1, 0, 1], "shelter": [0, 1, 1], "count": counts})
    return CaptureTable.from_counts(frame, public=False, name="private")


@pytest.mark.usefixtures("key_file")
def test_a_small_number_observed_cannot_be_read_off_any_other_field():
    with pytest.warns(ConstantListWarning, match="'police' caught everybody"):
        table = private_table([3, 0, 4])
    found = LogLinear().fit(table)
    assert (found.status, found.n_observed) == ("boundary", 7)
    data = found.to_dict()
    assert data["n_observed"] == "<10"
    told = [data["n_hat"], data["n_hidden"], data["interval"]["low"], data["interval"]["high"]]
    assert 7 not in told


@pytest.mark.usefixtures("key_file")
def test_small_counts_stay_hidden_when_a_full_record_is_read_back_and_written_again():
    found = LogLinear().fit(private_table([40, 30, 4]))
    full = found.to_dict(show_small_counts=True)
    assert 4 in [row["count"] for row in full["details"]["cells"]]
    again = Estimate.from_dict(full).to_dict()
    assert again["provenance"]["small_counts_shown"] is False
    assert 4 not in [row["count"] for row in again["details"]["cells"]]


@pytest.mark.usefixtures("key_file")
def test_strata_with_few_people_are_withheld():
    strata = pd.DataFrame({"region": ["n", "s", "w"], "n_observed": [40, 4, 16], "n_hat": [80.0, 9.0, 31.0]})
    hidden = dataclasses.replace(
        estimate(), table=dataclasses.replace(SUMMARY, public=False), by_stratum=strata
    )
    rows = hidden.to_dict()["by_stratum"]
    assert rows[0]["n_observed"] == 40
    assert rows[1]["n_observed"] == rows[1]["n_hat"] == "<10"
    # One withheld count alone could be had by subtraction, so the next smallest goes as well.
    assert rows[2]["n_observed"] == "<10"
    shown = hidden.to_dict(show_small_counts=True)
    assert shown["by_stratum"][1]["n_observed"] == 4
    assert shown["provenance"]["small_counts_shown"] is True


def test_a_label_counts_the_items_of_a_long_setting():
    places = tuple((f"{i:04}", "") for i in range(342))
    assert EstimatorSpec("pooled", {"place": "town", "places": places}).label == (
        "pooled (place=town, places=342 items)"
    )
