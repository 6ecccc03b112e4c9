"""The bootstrap around any estimator: what is drawn, what is counted, and what goes into the limits."""

import dataclasses
import json
import math
import warnings

import numpy as np
import pytest
from tests.contract.cases import PRIVATE, quietly, split_into_strata
from tests.contract.cases import table_of as named_table
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop import (
    AveragedLogLinear,
    Bootstrapped,
    CaptureTable,
    Chapman,
    HierarchicalModel,
    LogLinear,
    SampleCoverage,
    SelectedLogLinear,
)
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, EmptyListWarning, SettingError
from hiddenpop.estimators.protocol import spec_of
from hiddenpop.kernels.resampling.bootstrap_limits import bootstrap_limits
from hiddenpop.kernels.resampling.counts import bagged, draw_multinomial, draw_semiparametric
from hiddenpop.result import Estimate

EXISTS = {"admissible": "exists", "search": "exhaustive"}


def bootstrap(table, base=None, *, rng=1, **settings):
    """200 resamples unless told otherwise."""
    base = SelectedLogLinear(search="exact") if base is None else base
    return Bootstrapped(base=base, **{"n_boot": 200, **settings}).fit(table, rng=rng)


def load(name):
    return hp.datasets.load(name)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_by_default_the_best_model_of_the_whole_space_is_chosen_in_a_thousand_resamples():
    default = Bootstrapped()
    assert default.base == SelectedLogLinear(search="exact")
    assert (default.n_boot, default.scheme, default.interval, default.level) == (
        1000,
        "semiparametric",
        "percentile",
        0.95,
    )


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"n_boot": 1},
            "n_boot=1 leaves fewer than 5 draws beyond each limit at level=0.95; use at least 200",
        ),
        ({"n_boot": 200, "level": 0.99}, "n_boot=200 leaves fewer than 5 .* use at least 1000"),
        ({"n_boot": 0}, "n_boot=0 must be a whole number"),
        ({"n_boot": 500.5}, r"n_boot=500\.5 must be a whole number"),
        ({"n_boot": True}, "n_boot=True must be a whole number"),
        ({"n_boot": "many"}, "n_boot='many' must be a whole number"),
        ({"level": 1.5}, r"level=1\.5 must lie between 0 and 1"),
        (
            {"scheme": "jackknife"},
            "scheme='jackknife' is not one of 'semiparametric', 'multinomial', 'parametric'",
        ),
        ({"interval": "wald"}, "interval='wald' is not one of 'percentile', 'bca', 'basic'"),
        ({"base": "selected"}, r"base='selected' is not an estimator; give one, such as LogLinear\(\)"),
        ({"base": LogLinear}, r"base=<class .*LogLinear'> is not an estimator"),
        ({"base": None}, "base=None is not an estimator"),
        ({"n_top": 0, "base": SelectedLogLinear()}, "n_top=0 must be a whole number of at least 1"),
        ({"n_top": 2.5, "base": SelectedLogLinear()}, r"n_top=2\.5 must be a whole number"),
        ({"n_top": 5, "base": LogLinear()}, 'n_top needs base=SelectedLogLinear.search="exhaustive".'),
        ({"n_top": 5, "base": SelectedLogLinear(search="downhill")}, "which ranks all models"),
    ],
)
def test_bad_settings_are_refused_with_the_reason(settings, why):
    with pytest.raises(SettingError, match=why):
        Bootstrapped(**settings)


def test_a_restricted_choice_that_counts_by_rank_is_refused_or_kept():
    # To ignore `n_top` in silence would answer another question than the one asked.
    try:
        restricted = Bootstrapped(
            base=SelectedLogLinear(count="rank", search="exhaustive"), n_boot=200, n_top=1
        )
    except SettingError:
        return
    assert len(restricted.fit(load("kosovo"), rng=1).details["models"]) == 1


def test_a_bootstrap_within_json_is_built_again():
    estimator = Bootstrapped(
        base=SelectedLogLinear(criterion="aic", **EXISTS),
        n_boot=300,
        n_top=3,
        scheme="multinomial",
        interval="bca",
        level=0.9,
    )
    spec = spec_of(estimator)
    assert spec.settings["base"]["name"] == "selected"
    through_json = json.loads(json.dumps(dict(spec.settings)))
    assert type(spec)(spec.name, through_json).build() == estimator
    outer = Bootstrapped(base=estimator, n_boot=200)
    assert spec_of(outer).build() == outer


def test_an_estimate_read_back_holds_the_inner_estimator():
    estimate = bootstrap(table_of([0, 30, 20, 2]), LogLinear())
    back = Estimate.from_dict(json.loads(json.dumps(estimate.to_dict(), allow_nan=False)))
    assert back.estimator.build() == Bootstrapped(base=LogLinear(), n_boot=200)
    assert back.interval == estimate.interval
    assert back.n_failed == estimate.n_failed > 0


# --- what is computed -------------------------------------------------------------------------------------------------


def test_the_estimate_is_that_of_the_base_and_its_own_interval_is_kept_beside():
    base = SelectedLogLinear(search="exact")
    alone, found = base.fit(load("kosovo")), bootstrap(load("kosovo"), base)
    assert (found.n_hat, found.status, found.n_observed) == (alone.n_hat, alone.status, alone.n_observed)
    assert found.details["base_interval"] == alone.interval
    assert found.details["widening"] == pytest.approx(found.interval.width / alone.interval.width)
    assert found.details["widening"] > 1.5
    assert found.details["model"] == alone.details["model"]


@pytest.mark.parametrize("scheme", ["multinomial", "semiparametric"])
@pytest.mark.parametrize("interval", ["bca", "percentile", "basic"])
@pytest.mark.parametrize(
    ("table", "base"), [("kosovo", SelectedLogLinear()), ("korea", LogLinear(model="[12,23]"))]
)
def test_the_limits_are_those_of_the_draws_and_a_jackknife_by_hand(table, base, interval, scheme):
    table = load(table)
    found = bootstrap(table, base, interval=interval, scheme=scheme, level=0.9)
    without_one = table.counts - np.eye(len(table.counts), dtype=np.int64)
    jackknife = [base.fit(dataclasses.replace(table, counts=counts)).n_hat for counts in without_one]
    persons = table.counts.tolist()
    if (
        scheme == "semiparametric"
    ):  # the hidden are drawn too, and without one of them the estimate is the same
        jackknife, persons = [*jackknife, found.n_hat], [*persons, found.n_hidden]
    wanted = bootstrap_limits(
        found.draws,
        found.n_hat,
        found.n_observed,
        level=0.9,
        method=interval,
        jackknife=jackknife,
        jackknife_weights=persons,
    )
    assert (found.interval.low, found.interval.high) == pytest.approx((wanted.low, wanted.high), rel=1e-6)
    assert found.interval.level == 0.9
    assert found.interval.method.startswith(wanted.method_name)
    assert found.details["z0"] == wanted.z0
    assert (found.details["acceleration"] is None) is (interval != "bca")
    if interval == "bca":
        assert found.details["acceleration"] == pytest.approx(wanted.acceleration, rel=1e-4)
    assert [d.message for d in found.diagnostics if d.name == "bootstrap_limits"] == list(wanted.notes)


def test_shares_of_models_lumps_and_the_bagged_estimate_come_from_the_draws():
    table = load("uk_5")
    found = bootstrap(table)
    models, chosen = np.array(found.details["draw_models"]), found.details["models"]
    assert len(models) == len(found.draws) == 200
    assert chosen["share"].sum() == pytest.approx(1.0)
    assert chosen["share"].is_monotonic_decreasing
    for row in chosen.itertuples():
        assert row.share == np.mean(models == row.model)
        assert row.median == np.median(found.draws[models == row.model])
    assert found.details["bagged"].n_hat == pytest.approx(found.draws.mean())
    assert sum(lump["share"] for lump in found.details["lumps"]) <= 1.0 + 1e-12
    assert "unstable_choice" in {d.name for d in found.diagnostics}


def test_uk_of_five_lists_has_two_lumps():
    found = bootstrap(load("uk_5"), n_boot=1000)
    low, high = (lump["n"] for lump in found.details["lumps"])
    assert 11_000 < low < 13_500
    assert 21_000 < high < 29_000


def test_the_bagged_estimate_is_that_of_the_resamples_and_only_where_its_error_is_known():
    table = load("kosovo")
    found = bootstrap(table, rng=3)
    counts = draw_semiparametric(table.counts, found.n_hat, 200, np.random.default_rng(3).spawn(2)[1])
    assert found.details["bagged"] == bagged(found.draws, counts, table.counts, n_hat=found.n_hat)
    published = bootstrap(table, scheme="multinomial", rng=3)
    counts = draw_multinomial(table.counts, 200, np.random.default_rng(3).spawn(2)[1])
    assert published.details["bagged"] == bagged(published.draws, counts, table.counts, n_hat=found.n_hat)
    assert bootstrap(table, scheme="parametric").details["bagged"] is None


def test_a_steady_choice_brings_no_warning():
    found = bootstrap(load("rome_hiv"), LogLinear())
    assert "unstable_choice" not in {d.name for d in found.diagnostics}
    assert found.details["models"]["share"].tolist() == [1.0]


@pytest.mark.parametrize(
    "base", [LogLinear(), SelectedLogLinear(search="exact"), Chapman(lists=("EXH", "ABA"))]
)
@pytest.mark.parametrize("scheme", ["multinomial", "semiparametric"])
def test_the_interval_is_never_below_the_number_observed(base, scheme):
    found = bootstrap(load("kosovo"), base, scheme=scheme)
    assert found.n_observed <= found.interval.low <= found.interval.high
    assert np.nanmin(found.draws) > 0


def test_draws_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        bootstrap(load("korea")).draws[0] = 1.0


# --- schemes ----------------------------------------------------------------------------------------------------------


def spread_of(scheme, **settings):
    draws = bootstrap(
        load("rome_hiv"), LogLinear(), scheme=scheme, n_boot=1000, interval="percentile", **settings
    ).draws
    return float(draws.mean()), float(draws.std())


def test_each_scheme_is_centred_at_the_estimate_with_about_the_standard_error():
    # 11,124.6 with standard error 904.8 by Rcapture.
    for scheme in ("multinomial", "parametric", "semiparametric"):
        mean, deviation = spread_of(scheme)
        assert mean == pytest.approx(
            11_124.6, abs=4 * 905 / math.sqrt(1000) + 150
        )  # N is biased upwards by about 100
        assert deviation == pytest.approx(905, rel=0.25)


def test_a_fixed_number_observed_spreads_less_than_a_random_one():
    # With n fixed the variance lacks that of n itself, n0 n / N.
    fixed, free = spread_of("multinomial")[1], spread_of("semiparametric")[1]
    assert free > fixed * 0.95
    assert spread_of("parametric")[1] == pytest.approx(905, rel=0.12)


def test_the_number_observed_adds_its_variance_where_lists_overlap_well():
    # The variance of n / p is N (1 - p) / p, which a scheme that keeps n fixed lacks: here it is the larger part.
    table = table_of([0, 50, 50, 50, 50, 50, 50, 50])
    free, fixed = (
        bootstrap(table, LogLinear(), scheme=scheme, n_boot=4000)
        for scheme in ("semiparametric", "multinomial")
    )
    lacking = free.n_hat * free.n_hidden / free.n_observed
    # Each variance of 4,000 draws has a relative standard error of 2.2 %.
    error = 4 * 0.022 * math.hypot(free.draws.var(), fixed.draws.var())
    assert free.draws.var() - fixed.draws.var() == pytest.approx(lacking, abs=error)
    assert lacking > fixed.draws.var() + error


def test_the_method_names_the_limits_the_scheme_and_the_choice():
    assert bootstrap(load("korea")).interval.method == "percentile semiparametric bootstrap, selection redone"
    published = bootstrap(load("korea"), LogLinear(), scheme="multinomial", interval="bca")
    assert published.interval.method == "bca multinomial bootstrap, model taken as known"


def test_the_estimate_is_made_at_the_level_of_the_bootstrap():
    wide = bootstrap(load("korea"), LogLinear(model="[12,23]"), level=0.8)
    assert wide.details["base_interval"] == LogLinear(model="[12,23]", level=0.8).fit(load("korea")).interval
    silent = bootstrap(table_of([0, 30, 0, 10]), LogLinear(), level=0.8)
    assert (silent.status, silent.interval.level) == ("boundary", 0.8)


def test_upper_bounds_are_not_drawn_from():
    frame = load("korea").to_frame().assign(censored=False)
    frame.loc[0, "censored"] = True
    table = CaptureTable.from_counts(frame, lists=load("korea").lists, count="count", censored="censored")
    with pytest.raises(CapabilityError, match="only an upper bound is known, from which nobody can be drawn"):
        bootstrap(table, Seen())


def test_a_parametric_scheme_needs_fitted_counts():
    with pytest.raises(
        CapabilityError, match='scheme="parametric" needs fitted counts, which sample_coverage has not'
    ):
        bootstrap(load("kosovo"), SampleCoverage(), scheme="parametric")


@pytest.mark.parametrize("scheme", ["multinomial", "parametric", "semiparametric"])
@pytest.mark.parametrize(
    "model", ["[12,3,4]", "a*b + c + nobody", HierarchicalModel.parse("[12,3,4]", n_lists=4)]
)
def test_a_list_that_caught_nobody_is_no_obstacle_to_any_scheme(model, scheme):
    cells = (0, 41, 30, 6, 20, 11, 8, 3)
    without = bootstrap(named_table(cells, ("a", "b", "c")), LogLinear(model="[12,3]"), scheme=scheme)
    wider = named_table((*cells, *(0,) * 8), ("a", "b", "c", "nobody"))
    with pytest.warns(EmptyListWarning, match="nobody caught nobody and is left out"):
        found = bootstrap(wider, LogLinear(model=model), scheme=scheme)
    assert found.draws == pytest.approx(without.draws, rel=1e-9)


def test_a_list_that_is_empty_in_some_resamples_is_no_obstacle():
    rare = table_of([0, 41, 30, 6, 20, 11, 8, 3, 1, *(0,) * 7])
    for base in (LogLinear(), SelectedLogLinear(search="exact")):
        found = bootstrap(rare, base)
        assert found.n_failed == 0
        assert np.isfinite(found.interval.high)


@pytest.mark.parametrize("scheme", ["multinomial", "parametric", "semiparametric"])
def test_a_table_with_strata_is_added_up(scheme):
    whole = load("korea")
    split = split_into_strata(whole, np.random.default_rng(2))
    with pytest.warns(CollapsedStrataWarning, match="added up region"):
        found = bootstrap(split, LogLinear(), scheme=scheme, interval="bca")
    reference = bootstrap(whole, LogLinear(), scheme=scheme, interval="bca")
    assert found.n_hat == reference.n_hat
    assert found.details["acceleration"] == pytest.approx(reference.details["acceleration"], rel=1e-9)
    assert found.interval.high == pytest.approx(reference.interval.high, rel=0.15)


# --- resamples without a number ---------------------------------------------------------------------------------------


def test_unbounded_resamples_are_counted_and_carry_the_upper_limit_to_infinity():
    table = table_of([0, 30, 20, 2])
    found = bootstrap(table, LogLinear(), n_boot=1000)
    unbounded = int(np.isposinf(found.draws).sum())
    # The overlap is Mult(52, 2/52): empty in 13 % of the resamples.
    assert unbounded == pytest.approx(1000 * (1 - 2 / 52) ** 52, abs=4 * math.sqrt(1000 * 0.13 * 0.87))
    assert found.n_failed == unbounded
    assert math.isinf(found.interval.high)
    assert found.n_observed <= found.interval.low < found.n_hat
    assert any(f"{unbounded} of 1000 draws are unbounded" in d.message for d in found.diagnostics)
    assert math.isinf(found.details["bagged"].n_hat)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["interval"]["high"] is None
    assert data["n_failed"] == unbounded


def test_korea_with_its_best_model_has_resamples_of_either_kind():
    published = {"scheme": "multinomial", "interval": "bca"}
    unknown = bootstrap(load("korea"), SelectedLogLinear(**EXISTS), n_top=1, n_boot=1000, **published)
    assert 0 < np.isnan(unknown.draws).sum() == unknown.n_failed
    finite = bootstrap(load("korea"), LogLinear(model="[12,23]"), n_boot=1000, **published)
    assert 0 < np.isposinf(finite.draws).sum() == finite.n_failed < unknown.n_failed
    # A draw that is unknown can only widen: it stands at n below and at infinity above.
    assert unknown.interval.low <= finite.interval.low
    assert unknown.interval.high >= finite.interval.high
    assert math.isfinite(unknown.interval.high)


def test_artificial_table_with_independence_has_a_finite_interval():
    found = bootstrap(load("artificial_3"), LogLinear(), n_boot=1000)
    assert found.status == "ok"
    assert found.n_failed == int(np.sum(~np.isfinite(found.draws)))
    assert found.interval.low < found.n_hat < found.interval.high


@pytest.mark.parametrize(
    ("table", "base", "status"),
    [
        ("artificial_3", LogLinear(model="[12,3]"), "unbounded"),
        ("artificial_3", LogLinear(model="[12,13,23]"), "not_identified"),
        ("korea", LogLinear(model="[12,13,23]"), "unbounded"),
        ("kosovo", LogLinear(model="[1234]"), "not_identified"),
    ],
)
def test_a_base_without_a_finite_estimate_keeps_its_own_interval(table, base, status):
    alone, found = base.fit(load(table)), bootstrap(load(table), base)
    assert found.status == alone.status == status
    assert found.interval == alone.interval
    assert found.draws is None
    assert found.n_failed == 0
    assert found.reason == alone.reason
    assert "no_bootstrap" in {d.name for d in found.diagnostics}
    assert found.estimator.build() == Bootstrapped(base=base, n_boot=200)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_boundary_estimate_does_not_get_an_interval_of_no_width_in_silence():
    # Every resample of a table at the boundary is at the boundary: the draws say nothing of the upper limit.
    base = LogLinear()
    table = table_of([0, 30, 0, 10])
    alone, found = base.fit(table), bootstrap(table, base)
    assert alone.status == found.status == "boundary"
    assert alone.interval.high > 40
    assert found.interval.high >= alone.interval.high


def nearly_everybody(alone):
    """Two lists; so many are on the second only, on which the dark figure rests."""
    return table_of([0, 40, alone, 20])


@pytest.mark.parametrize("alone", [1, 2, 3])
def test_where_resamples_have_nobody_hidden_the_upper_limit_of_the_base_is_used_and_named(alone):
    table = nearly_everybody(alone)
    base, found = LogLinear().fit(table), bootstrap(table, LogLinear(), n_boot=1000)
    share = math.exp(-alone)  # of the resamples in which nobody is on the second list only
    at_boundary = found.details["n_boundary"]
    assert at_boundary == pytest.approx(1000 * share, abs=4 * math.sqrt(1000 * share))
    plain = bootstrap_limits(found.draws, found.n_hat, found.n_observed, level=0.95, method="percentile")
    assert plain.high < base.interval.high == found.interval.high
    assert found.interval.low == plain.low
    assert found.interval.method == (
        "percentile semiparametric bootstrap, model taken as known; upper limit of the base "
        f"({base.interval.method})"
    )
    (told,) = (d for d in found.diagnostics if d.name == "silent_resamples")
    assert told.value == at_boundary / 1000
    assert told.message.startswith(
        f"of 1000 resamples {at_boundary} have nobody hidden and 0 no finite number"
    )


def test_few_resamples_with_nobody_hidden_change_nothing():
    found = bootstrap(nearly_everybody(6), LogLinear(), n_boot=1000)  # a share of 0.25 %
    assert "silent_resamples" not in {d.name for d in found.diagnostics}
    assert "upper limit" not in found.interval.method


@pytest.mark.parametrize("interval", ["percentile", "bca", "basic"])
@pytest.mark.parametrize("scheme", ["semiparametric", "multinomial", "parametric"])
def test_no_upper_limit_falls_when_one_person_more_is_found_on_one_list_only(scheme, interval):
    limits = [
        bootstrap(nearly_everybody(alone), LogLinear(), scheme=scheme, interval=interval).interval.high
        for alone in range(4)
    ]
    assert limits == sorted(limits)


def test_a_sparse_table_that_is_not_quite_at_the_boundary_has_room_above():
    # Drawn with N = 6,000. With all pairs dependent, the dark figure is proportional to the persons on all three lists.
    base = LogLinear(model="all-pairs")
    for rare in (0, 1):
        table = table_of([0, 174, 109, 6, 77, 1, 1, rare])
        alone, found = base.fit(table), bootstrap(table, base)
        assert found.interval.high >= alone.interval.high
        assert found.interval.high > 10 * found.n_observed


def test_an_unfinished_search_is_told():
    found = bootstrap(load("kosovo"), SelectedLogLinear(search="exact", max_fits=10))
    assert not found.details["proof"].finished
    assert any("search" in d.message and d.level == "warning" for d in found.diagnostics)


def test_an_aicc_that_no_resample_allows_is_not_answered():
    table = table_of([0, 2, 1, 0, 1, 1, 1, 2])  # eight persons: AICc is infinite from six parameters on
    found = bootstrap(table, SelectedLogLinear(search="exact", criterion="aicc"))
    slow = Bootstrapped(base=SelectedLogLinear(criterion="aicc"), n_boot=200).fit(table, rng=1)
    assert found.draws == pytest.approx(slow.draws, rel=1e-6, nan_ok=True)


# --- the restricted choice --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_top", [1, 2, 5])
def test_only_the_best_models_of_the_original_fit_are_chosen(n_top):
    found = bootstrap(load("kosovo"), SelectedLogLinear(**EXISTS), n_top=n_top)
    allowed = found.details["selection"].query("admissible")["model"].head(n_top)
    assert set(found.details["models"]["model"]) <= set(allowed)
    if n_top == 1:
        alone = bootstrap(load("kosovo"), LogLinear(model=allowed.iloc[0]))
        assert found.draws == pytest.approx(alone.draws, rel=1e-9)


def test_more_top_models_than_there_are_is_the_choice_among_all():
    everything = bootstrap(load("kosovo"), SelectedLogLinear(**EXISTS))
    restricted = bootstrap(load("kosovo"), SelectedLogLinear(**EXISTS), n_top=10_000)
    assert restricted.draws == pytest.approx(everything.draws, rel=1e-9)
    assert restricted.details["draw_models"] == everything.details["draw_models"]


# --- the same bytes on any number of workers --------------------------------------------------------------------------


@pytest.mark.parametrize("base", [SelectedLogLinear(search="exact"), AveragedLogLinear(), SampleCoverage()])
def test_equal_seeds_give_equal_bytes_on_one_worker_and_two(base):
    table = load("korea")
    estimator = Bootstrapped(base=base, n_boot=200)
    alone = estimator.fit(table, rng=7)
    with hp.parallel(workers=2):
        spread = estimator.fit(table, rng=7)
    assert spread.draws.tobytes() == alone.draws.tobytes()
    assert json.dumps(spread.to_dict()) == json.dumps(alone.to_dict())


# --- private tables ---------------------------------------------------------------------------------------------------


@pytest.fixture
def private(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    return named_table(PRIVATE, ("police", "shelter", "health"), public=False, name="private")


def numbers(value):
    if isinstance(value, dict):
        return [n for item in value.values() for n in numbers(item)]
    if isinstance(value, list):
        return [n for item in value for n in numbers(item)]
    return [float(value)] if isinstance(value, int | float) else []


@pytest.mark.parametrize("scheme", ["multinomial", "parametric", "semiparametric"])
def test_no_delete_one_figure_and_no_draw_of_a_private_table_is_written(private, scheme):
    base = LogLinear(model="[12,3]")
    found = bootstrap(private, base, scheme=scheme)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    written = np.array(numbers(data))
    without_one = private.counts - np.eye(len(private.counts), dtype=np.int64)
    jackknife = np.array([base.fit(dataclasses.replace(private, counts=c)).n_hat for c in without_one])
    assert np.isfinite(jackknife).all()
    near = np.abs(written[:, None] - jackknife) <= 1e-9 * jackknife
    assert not near.any()
    assert "draws" not in data


def test_the_acceleration_of_a_private_table_is_withheld(private):
    # It is an exact figure of the delete-one estimates, from which small counts could be solved.
    found = bootstrap(private, LogLinear(model="[12,3]"))
    assert found.details["acceleration"] not in numbers(json.loads(json.dumps(found.to_dict())))


def test_the_bagged_figures_of_a_private_table_are_withheld(private):
    found = bootstrap(private, LogLinear(model="[12,3]"))
    assert "bagged" in found.protected
    hidden, shown = found.to_dict()["details"], found.to_dict(show_small_counts=True)["details"]
    assert hidden["bagged"] != shown["bagged"]
    assert found.details["bagged"].standard_error not in numbers(json.loads(json.dumps(hidden)))


def test_a_private_table_stays_private_in_the_parametric_scheme(private):
    found = bootstrap(private, LogLinear(model="[12,3]"), scheme="parametric")
    assert found.table.public is False
    assert found.to_dict()["provenance"]["small_counts_shown"] is False


# --- other bases ------------------------------------------------------------------------------------------------------


def test_the_bootstrap_of_a_pair_of_lists_is_that_of_the_pair():
    table = load("kosovo")
    found = bootstrap(table, Chapman(lists=("EXH", "ABA")))
    assert found.n_hat == Chapman(lists=("EXH", "ABA")).fit(table).n_hat
    assert found.draws.std() > 0
    assert found.details["models"].empty


def test_a_base_of_its_own_make_is_enough():
    found = bootstrap(load("korea"), Seen(), scheme="multinomial")
    assert found.n_hat == 246.0
    assert found.draws.tolist() == [246.0] * 200
    assert (found.interval.low, found.interval.high) == (246.0, 246.0)
    # Of 246 persons who are seen one in two, 123 are, with a standard deviation of 7.8: twice that is 15.7.
    varied = bootstrap(load("korea"), Seen(), n_boot=1000)
    assert varied.draws.std() == pytest.approx(math.sqrt(246), rel=0.07)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Twice the number observed, which resampling leaves alone."""

    name = "tests.estimators.test_bootstrapped:Seen"

    def fit(self, table: CaptureTable, *, rng=None) -> Estimate:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = LogLinear(interval="wald").fit(table, rng=rng)
        return dataclasses.replace(fitted, n_hat=2.0 * table.n_observed, status="ok", reason="", details={})


def test_an_estimate_outside_its_interval_is_told():
    # Lists of one size at their largest estimate: every unequal resample gives a smaller one.
    table = table_of((0, 0, 0, 5, 0, 5, 5, 0))
    found = quietly(Bootstrapped(n_boot=200, scheme="multinomial").fit, table, rng=1)
    assert found.interval.high < found.n_hat
    told = [d for d in found.diagnostics if d.name == "estimate_outside_interval"]
    assert [d.level for d in told] == ["warning"]
    assert told[0].message.startswith("the estimate lies above its interval")


def test_a_draw_that_differs_by_rounding_is_the_estimate():
    table = table_of((0, 0, 0, 5, 0, 5, 5, 0))
    found = quietly(Bootstrapped(n_boot=200, scheme="multinomial", interval="bca").fit, table, rng=1)
    near = np.abs(found.draws / found.n_hat - 1.0) < 1e-9
    assert near.any()
    assert (found.draws[near] == found.n_hat).all()
    assert found.interval.high == found.n_hat


@pytest.mark.slow
def test_draws_of_the_total_do_not_stand_beside_other_draws_by_stratum():
    table = hp.datasets.load("spina_bifida")
    base = hp.CovariateLogLinear(model="S1 + S2*S3 + eth", n_boot=100, level=0.8)
    estimate = hp.Bootstrapped(base=base, n_boot=100, interval="percentile", level=0.8).fit(table, rng=1)
    assert base.fit(table, rng=1).stratum_draws is not None
    assert estimate.stratum_draws is None
    assert len(estimate.by_stratum) == 3
