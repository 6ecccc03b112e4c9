"""What every registered estimator promises, whatever it does with the counts."""

import dataclasses
import json
import math
import pickle
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from tests.contract.cases import (
    DRAWS_AT_TIMES,
    IN_TIME,
    MODELS_STRATA,
    NAMES,
    PRIVATE,
    RESAMPLES,
    SAMPLED,
    SEED,
    TABLES,
    TAKES_BOUNDS,
    VARIANTS,
    choices,
    draws_numbers,
    fitted,
    label,
    make,
    marked,
    quietly,
    split_into_strata,
    table_of,
    tables,
)

from hiddenpop import CaptureTable, Estimate, Estimator, LogLinear, datasets
from hiddenpop.errors import (
    CapabilityError,
    CollapsedStrataWarning,
    EmptyListWarning,
    SettingError,
    UnknownNameError,
)
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.estimators.registry import STANDARD_PANEL, build, estimator_class
from hiddenpop.result import Diagnostic
from hiddenpop.table import Coverage

STATUSES = {"ok", "boundary", "unbounded", "not_identified", "not_converged"}
WITHOUT_NUMBER = {"unbounded", "not_identified", "not_converged"}
FIELDS = {
    "schema_version",
    "n_hat",
    "n_observed",
    "n_hidden",
    "interval",
    "status",
    "reason",
    "n_failed",
    "diagnostics",
    "by_stratum",
    "estimator",
    "table",
    "provenance",
    "details",
}

COLLAPSING = [
    case for case in VARIANTS if ("strata", "model") not in case[1] and case[0] not in MODELS_STRATA
]
OUT_OF_TIME = [case for case in VARIANTS if not IN_TIME & set(case[1])]
every_variant = pytest.mark.parametrize("case", marked(VARIANTS))
every_name = pytest.mark.parametrize("name", NAMES)
every_table = pytest.mark.parametrize("table_name", TABLES)


def written(estimate, **options):
    return json.dumps(estimate.to_dict(**options), allow_nan=False)


def figures(estimate):
    return estimate.n_hat, estimate.interval.low, estimate.interval.high


def assert_same_figures(one, other):
    assert one.status == other.status
    assert one.n_observed == other.n_observed
    assert figures(one) == pytest.approx(figures(other), rel=1e-9, nan_ok=True)


def assert_same_posterior(one, other):
    """Draws of the same distribution, as far as their effective number can tell."""
    assert one.n_observed == other.n_observed
    everything = np.concatenate([one.draws, other.draws])
    shares = [
        np.searchsorted(np.sort(e.draws), everything, side="right") / len(e.draws) for e in (one, other)
    ]
    worth = [e.details["convergence"]["ess_bulk"] for e in (one, other)]
    # Kolmogorov and Smirnov's distance: fewer than one of a thousand pairs pass it.
    assert np.abs(shares[0] - shares[1]).max() < 1.95 * sum(1.0 / n for n in worth) ** 0.5


def assert_same_answer(case, one, other):
    """The same figures; where they come from random draws, those that do not, and draws of the same distribution."""
    if case[0] in SAMPLED:
        assert_same_posterior(one, other)
        return
    if not draws_numbers(case) or other.draws is None:
        assert_same_figures(one, other)
        return
    assert (one.status, one.n_observed) == (other.status, other.n_observed)
    assert one.n_hat == pytest.approx(other.n_hat, rel=1e-9)
    accelerations = [estimate.details.get("acceleration") for estimate in (one, other)]
    assert accelerations == [None, None] or accelerations[0] == pytest.approx(accelerations[1], rel=1e-6)
    everything = np.concatenate([one.draws, other.draws])
    shares = [np.mean(drawn[:, None] <= everything, axis=0) for drawn in (one.draws, other.draws)]
    # Kolmogorov and Smirnov's distance of two samples of 200 passes 0.2 in fewer than one of a thousand pairs.
    assert np.abs(shares[0] - shares[1]).max() < 0.2


# --- settings ---------------------------------------------------------------------------------------------------------


@every_name
def test_the_registered_name_is_the_name_of_the_class(name):
    assert estimator_class(name).name == name
    assert isinstance(estimator_class(name)(), Estimator)


@every_variant
def test_settings_are_frozen_slotted_and_hashable(case):
    estimator = make(case, tables()["korea"])
    first = dataclasses.fields(estimator)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        setattr(estimator, first, getattr(estimator, first))
    assert not hasattr(estimator, "__dict__")
    twin = make(case, tables()["korea"])
    assert twin == estimator
    assert hash(twin) == hash(estimator)


@every_name
def test_settings_are_keyword_only(name):
    with pytest.raises(TypeError, match="positional"):
        estimator_class(name)("x")


@every_variant
def test_an_estimator_survives_pickling(case):
    estimator = make(case, tables()["korea"])
    assert pickle.loads(pickle.dumps(estimator)) == estimator


@every_variant
def test_an_estimator_is_rebuilt_from_what_is_written_down(case):
    estimator = make(case, tables()["korea"])
    spec = spec_of(estimator)
    through_json = json.loads(json.dumps(dict(spec.settings), allow_nan=False))
    assert spec.name == case[0]
    assert spec.build() == estimator
    assert build(spec.name, through_json) == estimator


@every_name
def test_variants_by_replace_differ_and_are_checked(name):
    estimator = estimator_class(name)()
    other = dataclasses.replace(estimator, level=0.8)
    assert other != estimator
    assert other.level == 0.8
    with pytest.raises(SettingError, match="level"):
        dataclasses.replace(estimator, level=80)


@every_name
@pytest.mark.parametrize("level", [0, 1, -0.1, 95, math.nan, "high", None, True])
def test_an_impossible_level_is_refused(name, level):
    with pytest.raises(SettingError, match="level"):
        estimator_class(name)(level=level)


CHOICES = [(name, setting) for name in NAMES for setting in choices(estimator_class(name))]


@pytest.mark.parametrize(("name", "setting"), CHOICES)
@pytest.mark.parametrize("value", ["nonsense", None, 1, ""])
def test_a_word_that_is_no_choice_is_refused(name, setting, value):
    with pytest.raises(SettingError, match=f"{setting}=.* is not one of"):
        estimator_class(name)(**{setting: value})


@every_name
def test_a_setting_that_does_not_exist_is_refused_with_what_does(name):
    with pytest.raises(SettingError, match="has no setting 'levle'; did you mean 'level'"):
        build(name, {"levle": 0.9})


def test_an_estimator_that_does_not_exist_is_refused_with_what_does():
    with pytest.raises(UnknownNameError, match="did you mean 'loglinear'"):
        build("loglinaer", {})


def test_the_standard_panel_names_registered_estimators():
    for name, settings in STANDARD_PANEL.values():
        assert build(name, settings).name in NAMES


# --- fit --------------------------------------------------------------------------------------------------------------


@every_table
@every_variant
def test_an_estimate_is_consistent(case, table_name):
    estimate, table = fitted(case, table_name), tables()[table_name]
    interval = estimate.interval
    assert estimate.status in STATUSES
    assert estimate.n_observed == table.n_observed
    assert estimate.n_observed <= interval.low <= interval.high
    assert interval.level == 0.95
    assert interval.method
    assert bool(estimate.reason) is (estimate.status != "ok")
    if estimate.status == "unbounded":
        assert estimate.n_hat == interval.high == math.inf
    elif estimate.status in WITHOUT_NUMBER:
        assert math.isnan(estimate.n_hat)
    else:
        assert math.isfinite(estimate.n_hat)
        assert interval.low <= estimate.n_hat <= interval.high


@every_table
@every_variant
def test_an_estimate_says_where_it_came_from(case, table_name):
    estimate, table = fitted(case, table_name), tables()[table_name]
    assert estimate.estimator.build() == make(case, table)
    assert estimate.table == table.summary
    assert estimate.provenance["fingerprint"] == table.fingerprint
    assert estimate.provenance["rng"] == {"seed": SEED}
    assert {"python", "hiddenpop", "numpy", "scipy"} <= set(estimate.provenance["versions"])
    assert all(isinstance(diagnostic, Diagnostic) for diagnostic in estimate.diagnostics)
    assert estimate.details["dropped_lists"] == []


@every_table
@every_variant
def test_json_has_exactly_the_fields_and_no_token_that_json_lacks(case, table_name):
    estimate = fitted(case, table_name)
    data = json.loads(written(estimate))
    assert set(data) == FIELDS
    assert set(data["interval"]) == {"low", "high", "level", "method"}
    assert set(data["estimator"]) == {"name", "settings"}
    assert set(data["table"]) == {"name", "fingerprint", "lists", "public", "population"}
    assert (data["n_hat"] is None) is (estimate.status in WITHOUT_NUMBER)
    assert (data["interval"]["high"] is None) is math.isinf(estimate.interval.high)


@every_table
@every_variant
def test_an_estimate_can_be_written_and_read_back(case, table_name):
    estimate = fitted(case, table_name)
    data = json.loads(written(estimate))
    back = Estimate.from_dict(data)
    assert json.loads(written(back)) == data
    assert_same_figures(back, estimate)
    assert back.estimator.build() == estimate.estimator.build()
    assert back.summary() == estimate.summary()


@pytest.mark.parametrize("table_name", ["kosovo", "artificial_3", "sparse"])
@every_variant
def test_equal_rng_gives_equal_bytes_and_leaves_the_table_alone(case, table_name):
    table = tables()[table_name]
    before = table.fingerprint, table.counts.tobytes()
    again = make(case, table).fit(table, rng=SEED)
    assert written(again) == written(fitted(case, table_name))
    by_generator = [make(case, table).fit(table, rng=np.random.default_rng(7)) for _ in range(2)]
    assert written(by_generator[0]) == written(by_generator[1])
    assert (table.fingerprint, table.counts.tobytes()) == before


@every_variant
def test_a_fit_does_not_touch_the_global_random_state(case):
    table = tables()["sparse"]
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    make(case, table).fit(table, rng=None)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


@every_table
@pytest.mark.parametrize("case", marked(OUT_OF_TIME))
def test_the_order_of_the_lists_changes_nothing(case, table_name):
    table = tables()[table_name]
    order = np.random.default_rng(3).permutation(table.n_lists)
    names = [table.lists[i] for i in (order if (np.diff(order) < 0).any() else order[::-1])]
    moved = CaptureTable.from_counts(table.to_frame(), lists=names, name=table.name, public=True)
    assert moved.lists != table.lists
    assert_same_answer(case, make(case, moved).fit(moved, rng=SEED), fitted(case, table_name))


@pytest.mark.parametrize("model", ["EXH*ABA*OSCE + EXH*HRW + OSCE*HRW", "EXH*ABA + OSCE*HRW", "all-pairs"])
def test_the_order_of_the_lists_changes_nothing_for_a_model_by_names(model):
    table = tables()["kosovo"]
    moved = CaptureTable.from_counts(table.to_frame(), lists=["OSCE", "EXH", "HRW", "ABA"], public=True)
    assert_same_figures(LogLinear(model=model).fit(moved), LogLinear(model=model).fit(table))


@pytest.mark.parametrize("table_name", ["kosovo", "sparse"])
@every_variant
def test_the_order_of_the_cells_changes_no_byte(case, table_name):
    table = tables()[table_name]
    frame = table.to_frame().sample(frac=1.0, random_state=5)
    shuffled = CaptureTable.from_counts(
        frame, lists=list(table.lists), name=table.name, population=table.population, public=True
    )
    assert written(make(case, shuffled).fit(shuffled, rng=SEED)) == written(fitted(case, table_name))


@every_variant
def test_names_of_lists_change_nothing(case):
    table = tables()["australia"]
    renamed = table.rename({"A": "1", "B": "police", "C": "B", "D": "x-y"})
    assert_same_figures(make(case, renamed).fit(renamed, rng=SEED), fitted(case, "australia"))


@pytest.mark.parametrize("table_name", ["kosovo", "sparse"])
@pytest.mark.parametrize("case", marked(COLLAPSING))
def test_splitting_people_into_strata_changes_nothing_but_a_warning(case, table_name):
    split = split_into_strata(tables()[table_name], np.random.default_rng(11))
    said = 'region; strata="model" models' if case[0] in TAKES_BOUNDS else "region"
    how = "" if case[0] in TAKES_BOUNDS else "does not model strata and "
    with pytest.warns(CollapsedStrataWarning, match=f"{how}added up {said}"):
        estimate = make(case, split).fit(split, rng=SEED)
    assert_same_answer(case, estimate, fitted(case, table_name))
    assert "collapsed_strata" in {diagnostic.name for diagnostic in estimate.diagnostics}


@pytest.mark.parametrize("table_name", ["kosovo", "artificial_3"])
@every_variant
def test_an_empty_list_is_a_no_op_that_is_told(case, table_name):
    table = tables()[table_name]
    frame = table.to_frame().assign(nobody=0)
    with pytest.warns(EmptyListWarning, match="'nobody' caught nobody"):
        wider = CaptureTable.from_counts(frame, lists=["nobody", *table.lists], name=table.name, public=True)
    with pytest.warns(EmptyListWarning, match="nobody caught nobody and is left out"):
        estimate = make(case, wider).fit(wider, rng=SEED)
    assert_same_figures(estimate, fitted(case, table_name))
    assert estimate.details["dropped_lists"] == ["nobody"]
    assert "empty_list" in {diagnostic.name for diagnostic in estimate.diagnostics}


@pytest.mark.parametrize("case", marked(COLLAPSING))
def test_a_gap_in_coverage_is_refused_and_not_read_as_zero(case):
    frame = pd.DataFrame(
        {
            "a": [1, 0, 1, 1, 0],
            "b": [0, 1, 1, 0, 1],
            "c": [1, 0, 1, 0, 0],
            "region": ["north", "north", "north", "south", "south"],
            "count": [40, 30, 12, 50, 20],
        }
    )
    gaps = [Coverage("c", "region", ("north",))]
    table = CaptureTable.from_counts(frame, strata=["region"], coverage=gaps, name="gaps", public=True)
    with pytest.raises(CapabilityError, match="c did not operate in every stratum of gaps"):
        make(case, table).fit(table)


@pytest.mark.parametrize("case", marked([case for case in VARIANTS if case[0] not in TAKES_BOUNDS]))
def test_an_upper_bound_is_refused_and_not_read_as_a_count(case):
    table = datasets.load("scottish_pwid")
    with pytest.raises(CapabilityError, match="only an upper bound"):
        make(case, table).fit(table)


@every_variant
def test_one_list_is_too_few(case):
    table = table_of((0, 12, 0, 0), ("a", "b"), name="lonely")
    with pytest.raises(CapabilityError, match=r"needs at least \d lists that caught somebody; lonely has 1"):
        quietly(make(case, table).fit, table)


# --- disclosure -------------------------------------------------------------------------------------------------------

COUNT_KEYS = {"count", "fitted", "observed", "expected", "overlap", "totals", "capture_frequencies"}


def leaves(value, path=()):
    """Every plain value in nested JSON, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield path, value


def small_counts(data):
    """Figures in the details that stand under a name for persons in cells and are too small to leave."""
    return [
        (path, value)
        for path, value in leaves(data["details"])
        if COUNT_KEYS & set(path) and isinstance(value, int | float) and 0 < abs(value) < 10
    ]


@pytest.fixture
def private(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    return table_of(PRIVATE, ("police", "shelter", "health"), public=False, name="private")


@every_variant
def test_small_counts_of_a_private_table_are_not_written(case, private):
    estimate = make(case, private).fit(private, rng=SEED)
    data = json.loads(written(estimate))
    assert small_counts(data) == []
    assert data["provenance"]["small_counts_shown"] is False
    assert data["table"]["public"] is False
    assert data["n_observed"] == 482


@every_variant
def test_small_counts_are_shown_only_when_asked_and_the_record_says_so(case, private):
    estimate = make(case, private).fit(private, rng=SEED)
    shown = json.loads(written(estimate, show_small_counts=True))
    assert shown["provenance"]["small_counts_shown"] is True
    assert "<10" not in json.dumps(shown)
    hidden = json.loads(written(estimate))
    protected = [name for name in estimate.protected if name in shown["details"]]
    assert protected
    for name in protected:
        assert hidden["details"][name] != shown["details"][name]


DRAWING = [case for case in VARIANTS if draws_numbers(case) and case[0] not in DRAWS_AT_TIMES]


@pytest.mark.parametrize("table_name", ["kosovo", "sparse"])
@pytest.mark.parametrize("case", DRAWING, ids=label)
def test_draws_are_kept_beside_the_estimate_and_not_written(case, table_name):
    estimate = fitted(case, table_name)
    assert estimate.draws.shape == (RESAMPLES,)
    assert estimate.draws_are == "bootstrap"
    assert estimate.n_failed == np.sum(~np.isfinite(estimate.draws))
    with pytest.raises(ValueError, match="read-only"):
        estimate.draws[0] = 1.0
    assert "draws" not in json.loads(written(estimate))


@pytest.mark.parametrize("case", DRAWING, ids=label)
def test_another_rng_gives_other_draws(case):
    table = tables()["kosovo"]
    assert make(case, table).fit(table, rng=SEED + 1).draws.tolist() != fitted(case, "kosovo").draws.tolist()


def test_the_search_for_small_counts_finds_them_where_they_are_shown(private):
    data = json.loads(written(LogLinear().fit(private), show_small_counts=True))
    assert {value for path, value in small_counts(data) if path[-1] == "count"} == {8, 2, 1}


def test_a_public_copy_of_a_private_table_has_another_fingerprint(private):
    assert private.fingerprint != private.with_meta(public=True).fingerprint


@every_variant
def test_details_cannot_be_edited(case):
    estimate = fitted(case, "sparse")
    assert isinstance(estimate.details, MappingProxyType)
    with pytest.raises(TypeError, match="does not support item assignment"):
        estimate.details["criterion"] = "mine"
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        estimate.n_hat = 1.0


OF_THE_FIT = (
    "coefficients",
    "criteria",
    "deviance",
    "goodness_of_fit",
    "n0_standard_error",
    "profile_maximum",
)


@pytest.mark.parametrize("case", [case for case in VARIANTS if case[0] not in SAMPLED], ids=label)
def test_no_exact_figure_of_a_fit_leaves_a_table_with_small_counts(case):
    table = table_of(PRIVATE, ("police", "shelter", "health"), public=False, name="private")
    details = quietly(make(case, table).fit, table, rng=SEED).to_dict()["details"]
    assert {key: details[key] for key in OF_THE_FIT if details.get(key) not in (None, {}, [], "<10")} == {}
