"""What holds for every check of the standard set, on any estimator and table."""

import json
import pickle
import warnings
from dataclasses import FrozenInstanceError, dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tests.contract.cases import table_of

import hiddenpop as hp
from hiddenpop.errors import EmptyListWarning, HiddenpopWarning, SettingError
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.result import Estimate, Interval
from hiddenpop.sensitivity import CHECKS, build_check, standard, standard_checks
from hiddenpop.sensitivity.protocol import Check, CheckResult

KOSOVO = hp.datasets.load("kosovo")
STANDARD = {check.name: check for check in standard_checks("more than 60")}
STANDARD["trajectory"] = build_check("trajectory", {"claim": "more than 60", "n_resamples": 5})
NAMES = list(STANDARD)
WITHOUT_FIT = ("partial_identification", "list_influence", "internal_consistency", "prior", "highest_order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubling:
    """An estimator of a user's own: twice the number observed."""

    name: ClassVar[str] = "doubling"

    factor: float = 2.0

    def fit(self, table, *, rng=None):
        n = table.n_observed
        return Estimate(
            n_hat=self.factor * n,
            n_observed=n,
            interval=Interval(n, 3.0 * n, 0.95, "made up"),
            status="ok",
            estimator=spec_of(self),
            table=table.summary,
        )


def with_empty_list():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyListWarning)
        return table_of([0, 30, 20, 10, 0, 0, 0, 0], "abc")


def by_year():
    rows = [(1, 0, "1", 30), (0, 1, "1", 20), (1, 1, "1", 10), (0, 1, "2", 9), (1, 0, "2", 8), (1, 1, "2", 5)]
    frame = pd.DataFrame(rows, columns=["a", "b", "year", "count"])
    return hp.CaptureTable.from_counts(frame, lists=["a", "b"], strata=["year"], public=True)


def gapped():
    rows = [(1, 0, "1", 30), (0, 1, "1", 20), (1, 1, "1", 10), (0, 1, "2", 9)]
    frame = pd.DataFrame(rows, columns=["a", "b", "year", "count"])
    gaps = [hp.Coverage("a", "year", ("1",))]
    return hp.CaptureTable.from_counts(frame, lists=["a", "b"], strata=["year"], coverage=gaps, public=True)


TABLES = {
    "two lists": lambda: table_of((0, 30, 20, 10), "ab"),
    "no overlap": lambda: table_of((0, 30, 20, 0), "ab"),
    "everybody on all": lambda: table_of((0, 0, 0, 40), "ab"),
    "three sparse": lambda: table_of((0, 62, 45, 1, 38, 0, 1, 0), "abc"),
    "an empty list": with_empty_list,
    "strata": by_year,
}
ESTIMATORS = {
    "one model": hp.LogLinear(),
    "the best model": hp.SelectedLogLinear(),
    "a lower bound": hp.ChaoLowerBound(),
    "a user's own": Doubling(),
}


def run(check, estimator, table, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        return check.run(estimator, table, rng=1, **more)


WORTH_TWO_PROCESSES = ("list_influence", "linkage", "cell_influence", "trajectory")
WORTH_A_RUN = [
    (table, estimator)
    for table in TABLES
    for estimator in ESTIMATORS
    if estimator in ("one model", "a user's own") or table in ("no overlap", "three sparse")
]


@pytest.mark.parametrize(("table", "estimator"), WORTH_A_RUN)
@pytest.mark.parametrize("name", NAMES)
def test_a_check_gives_a_result_and_never_falls(name, table, estimator):
    result = run(STANDARD[name], ESTIMATORS[estimator], TABLES[table]())
    assert isinstance(result, CheckResult)
    assert result.name == name
    assert result.text.strip().endswith(".")
    assert result.n_failed <= result.n_points
    if result.passed is not None:
        assert result.n_points > result.n_failed
    assert {"n_hat", "low", "high", "status", "reason"} <= set(result.table)
    finite = np.isfinite(result.table["n_hat"].astype(float))
    assert (result.table.loc[~finite, "status"] != "ok").all()
    assert (result.table.loc[~finite, "reason"] != "").all()
    written = json.dumps(result.to_dict(), allow_nan=False)
    assert json.loads(written)["n_points"] == result.n_points
    result.plot(ax=Figure().subplots())


@pytest.mark.parametrize("name", NAMES)
def test_a_table_the_estimator_cannot_treat_is_told_by_the_estimator(name):
    """Gaps in coverage read as zeros would be a wrong number: no check gets around the refusal."""
    if name in WITHOUT_FIT:
        assert run(STANDARD[name], hp.LogLinear(), gapped()).passed is None
        return
    with pytest.raises(hp.errors.CapabilityError, match="did not operate in every stratum"):
        run(STANDARD[name], hp.LogLinear(), gapped())


@pytest.mark.parametrize("name", NAMES)
def test_a_check_is_frozen_settings(name):
    check = STANDARD[name]
    assert isinstance(check, Check)
    assert hash(check) == hash(pickle.loads(pickle.dumps(check)))
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        check.claim = "more than 2"
    json.dumps(spec_of(check).settings, allow_nan=False, default=str)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in WORTH_TWO_PROCESSES else pytest.mark.slow) for name in NAMES],
)
def test_the_same_rng_gives_the_same_bytes_on_any_number_of_workers(name):
    one, two = (run(STANDARD[name], hp.LogLinear(model="[12,3,4]"), KOSOVO, workers=k) for k in (1, 2))
    assert one.table.equals(two.table)
    assert (one.text, one.passed) == (two.text, two.passed)


@pytest.mark.parametrize("name", NAMES)
def test_the_claim_decides(name):
    """Every check holds N to the claim: what all points exceed holds, what none reaches fails, on the same points."""
    if name in ("prior", "internal_consistency"):
        return
    held, broken = (
        run(build_check(name, {"claim": claim}), hp.LogLinear(), KOSOVO)
        for claim in ("more than 1", "more than 10,000,000")
    )
    assert broken.passed is False
    assert held.passed is (True if held.n_failed == 0 else None)
    assert held.table["n_hat"].equals(broken.table["n_hat"])


@pytest.mark.parametrize("name", NAMES)
def test_what_leaves_of_data_that_are_not_public_is_protected(name):
    private = replace(KOSOVO, public=False)
    result = run(STANDARD[name], hp.SelectedLogLinear(), private)
    kept = result.to_dict()
    assert kept["figure"] == {}
    for row in kept["table"]:
        assert all(row[column] == "<10" for column in result.protected)
        for size in ("n_hat", "low", "high"):
            value = row[size]
            assert value is None or isinstance(value, str) or float(f"{value:.2e}") == value
    shown = result.to_dict(show_small_counts=True)
    assert shown["provenance"]["small_counts_shown"] is True


def test_every_check_has_a_name_in_the_registry():
    assert list(CHECKS) == NAMES
    for name in NAMES:
        assert build_check(name).name == name


def test_a_typo_in_a_check_is_answered_with_the_nearest():
    with pytest.raises(hp.errors.UnknownNameError, match="did you mean 'list_influence'"):
        build_check("list_influance")
    with pytest.raises(SettingError, match="has no setting 'claims'; did you mean 'claim'"):
        build_check("list_influence", {"claims": "more than 3"})


# --- the standard set -------------------------------------------------------------------------------------------------


def test_the_standard_set_is_one_table_and_one_page():
    report = standard(KOSOVO, "loglinear", claim="more than 5,000", rng=1, settings={"model": "[123,14,34]"})
    table = report.table()
    assert table["check"].tolist() == NAMES
    assert set(table["verdict"]) <= {"holds", "fails", "no verdict"}
    assert table["in_words"].str.len().gt(20).all()
    assert report["list_influence"].name == "list_influence"
    with pytest.raises(hp.errors.UnknownNameError, match="list_influence"):
        report["list_influense"]
    assert len(report.plot().axes) >= len(NAMES) - 2
    assert "more than 5,000" in report.summary()
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_check_does_not_depend_on_the_company_it_keeps():
    alone = standard(KOSOVO, "loglinear", checks=[STANDARD["trajectory"]], rng=4)
    together = standard(
        KOSOVO, "loglinear", checks=[STANDARD["list_influence"], STANDARD["trajectory"]], rng=4
    )
    assert alone["trajectory"].table.equals(together["trajectory"].table)


def test_the_claim_is_passed_on_to_checks_that_have_none():
    checks = [build_check("list_influence"), build_check("highest_order")]
    report = standard(KOSOVO, "loglinear", claim="more than 9,000", checks=checks, rng=4)
    alone = standard(
        KOSOVO, "loglinear", checks=[build_check(c.name, {"claim": "more than 9,000"}) for c in checks], rng=4
    )
    for result in report.results:
        assert "more than 9,000" in result.text
        assert "within the interval" not in result.text
        assert (result.passed, result.text) == (alone[result.name].passed, alone[result.name].text)
    assert report.claim.text == alone.claim.text == "more than 9,000"
    assert "Held to: more than 9,000" in alone.summary()


def test_checks_with_different_claims_are_refused():
    check = build_check("list_influence", {"claim": "more than 8,000"})
    with pytest.raises(
        SettingError, match="held to 'more than 8,000' and the others to 'more than 9,000'; leave"
    ):
        standard(KOSOVO, "loglinear", claim="more than 9,000", checks=[check], rng=4)
    with pytest.raises(
        SettingError, match=r"different claims \('more than 8,000', none\); give standard one claim"
    ):
        standard(KOSOVO, "loglinear", checks=[check, build_check("highest_order")], rng=4)


def test_checks_that_do_not_apply_are_not_counted():
    table = KOSOVO.drop_list("HRW", "OSCE")
    report = standard(table, "loglinear", claim="more than 60", rng=4)
    without = [result for result in report.results if not result.applies]
    assert without
    assert all(result.verdict == "no verdict" and not len(result.table) for result in without)
    held = sum(result.passed is True for result in report.results)
    rest = f"{len(without)} more {'does' if len(without) == 1 else 'do'} not apply"
    told = f"Holds in {held} of {len(report.results) - len(without)} checks that apply, with "
    assert told in report.summary()
    assert rest in report.summary()
    assert f"{sum(result.n_points for result in report.results):,} points" in report.summary()


def test_an_interrupted_set_goes_on_where_it_was(tmp_path, monkeypatch):
    checks = [STANDARD["dependence_sweep"], STANDARD["list_influence"]]
    first = standard(KOSOVO, hp.LogLinear(), checks=checks, rng=1, store=tmp_path)
    calls = []
    fit = hp.LogLinear.fit
    monkeypatch.setattr(hp.LogLinear, "fit", lambda self, *a, **k: calls.append(1) or fit(self, *a, **k))
    again = standard(KOSOVO, hp.LogLinear(), checks=checks, rng=1, store=tmp_path)
    assert len(calls) == 1  # the baseline; every point was in the store
    for before, after in zip(first.results, again.results, strict=True):
        assert before.table.equals(after.table)


def test_an_estimator_that_has_no_number_gives_no_verdicts():
    report = standard(table_of((0, 30, 20, 0), "ab"), "loglinear", rng=1)
    assert report.baseline.status == "unbounded"
    assert not (report.table()["verdict"] == "holds").any()
