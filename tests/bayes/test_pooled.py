import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from hiddenpop import CaptureTable
from hiddenpop.bayes.inference_data import load_arviz
from hiddenpop.bayes.pooled import PooledLogLinear, agreement, design_of, draw_sizes
from hiddenpop.bayes.sampling import Chains, quietly
from hiddenpop.errors import CapabilityError, EmptyListWarning, SettingError, UnknownNameError
from hiddenpop.serial import to_jsonable
from hiddenpop.synthetic.local import draw_local
from hiddenpop.table import Coverage

SHORT = {"n_draws": 1000, "n_tune": 400}
LISTS = ["a", "b", "c"]


@pytest.fixture(scope="module")
def world():
    return draw_local(n_places=25, n_persons=1500, rng=1)


@pytest.fixture(scope="module")
def estimate(world):
    return setting_of(world).fit(world.table, rng=1)


def setting_of(world, **changes):
    places = dict(zip(world.residents["municipality"], world.residents["region"], strict=True))
    return PooledLogLinear(
        **{"place": "municipality", "region": "region", "places": places, **SHORT, **changes}
    )


def table_from(rows, **options):
    return CaptureTable.from_counts(
        pd.DataFrame(rows, columns=[*LISTS, "place", "count"]),
        lists=LISTS,
        strata=["place"],
        public=True,
        **options,
    )


def one_stratum(counts, place="x"):
    return [(h & 1, h >> 1 & 1, h >> 2, place, n) for h, n in enumerate(counts, start=1) if n]


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_every_place_has_a_row_and_draws_that_add_up(world, estimate):
    assert estimate.status == "ok", estimate.reason
    assert estimate.draws_are == "posterior"
    assert estimate.by_stratum["municipality"].tolist() == sorted(world.places)
    assert estimate.by_stratum["n_observed"].tolist() == world.truth["n_observed"].tolist()
    np.testing.assert_array_equal(estimate.stratum_draws.sum(axis=1), estimate.draws)
    assert (estimate.stratum_draws >= estimate.by_stratum["n_observed"].to_numpy()).all()
    assert set(estimate.by_stratum["status"]) <= {"ok", "boundary"}
    json.dumps(estimate.to_dict(), allow_nan=False)


def test_the_truth_lies_in_most_intervals(world, estimate):
    n, rows = world.truth["n"], estimate.by_stratum
    assert rows["low"].le(n).mul(rows["high"].ge(n)).mean() >= 0.8
    assert world.truth["n"].sum() in estimate.interval


def test_details_name_what_varies_and_how_well_it_was_drawn(estimate):
    spreads = estimate.details["hyperparameters"]
    assert spreads["effect"].tolist()[:3] == ["size", "list_1", "list_2"]
    assert (spreads["rhat"] < 1.01).all()
    assert (spreads[["low", "sd", "high"]].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    own = estimate.details["shrinkage"]
    assert own["own_lists"].is_monotonic_decreasing or own["own_lists"].iloc[0] > own["own_lists"].iloc[-1]
    assert estimate.details["worst"]["stratum"]["rhat"] < 1.01
    assert set(estimate.details["idata"].posterior.data_vars) == {"N", "hyper", "log_level", "mean"}


def test_the_same_seed_gives_the_same_bytes(world, estimate):
    again = setting_of(world).fit(world.table, rng=1)
    assert again.stratum_draws.tobytes() == estimate.stratum_draws.tobytes()


def test_settings_come_back_from_their_json_form(world):
    residents = dict(zip(world.residents["municipality"], world.residents["residents"], strict=True))
    setting = setting_of(world, residents=residents, level_prior=(3.0, 20.0))
    names = [field.name for field in dataclasses.fields(setting)]
    plain = json.loads(json.dumps(to_jsonable({name: getattr(setting, name) for name in names})))
    assert PooledLogLinear(**plain) == setting
    assert hash(setting) == hash(PooledLogLinear(**plain))


@pytest.mark.slow
def test_a_place_without_persons_borrows_its_size_from_its_residents():
    world = draw_local(n_places=40, n_persons=3000, spread=1.5, rng=4)
    residents = dict.fromkeys(world.places, 10_000.0)
    residents |= {"9001": 10_000.0, "9002": 100.0}
    setting = PooledLogLinear(
        place="municipality", places=[*world.places, "9001", "9002"], residents=residents, **SHORT
    )
    rows = setting.fit(world.table.collapse("region"), rng=1).by_stratum.set_index("municipality")
    assert rows.loc["9001", "n_observed"] == 0
    assert rows.loc["9001", "high"] > 3 * max(rows.loc["9002", "high"], 1.0)


@pytest.mark.slow
def test_without_settings_every_stratum_is_a_place():
    world = draw_local(n_places=10, n_persons=800, years=(2018, 2019), rng=1)
    design = design_of(PooledLogLinear(), world.table)
    assert [factor.name for factor in design.factors] == ["municipality / region / year"]
    assert not design.has_residual
    assert PooledLogLinear(**SHORT).fit(world.table, rng=1).status == "ok"


@pytest.mark.slow
def test_places_where_no_list_operates_borrow_their_size_from_the_region():
    cells = {"s": [20, 18, 2, 22, 2, 2, 1], "n": [200, 180, 20, 220, 20, 20, 10]}
    rows = [
        (*row, region)
        for region, counts in cells.items()
        for number in range(6)
        for row in one_stratum(counts, f"{region}{number}")
    ]
    seen = tuple(f"{region}{number}" for region in "sn" for number in range(6))
    table = CaptureTable.from_counts(
        pd.DataFrame(rows, columns=[*LISTS, "place", "count", "region"]),
        lists=LISTS,
        strata=["place", "region"],
        coverage=[Coverage(name, "place", seen) for name in LISTS],
        public=True,
    )
    places = {place: place[0] for place in (*seen, "s9", "n9")}
    found = PooledLogLinear(place="place", region="region", places=places, **SHORT).fit(table, rng=1)
    named = dict(zip(found.by_stratum["place"], np.median(found.stratum_draws, axis=0), strict=True))
    assert 4 < named["n9"] / named["s9"] < 25
    assert named["s9"] == pytest.approx(named["s0"], rel=0.3)


@pytest.mark.slow
def test_years_walk_and_what_lies_between_two_years_is_near_them():
    world = draw_local(n_places=15, n_persons=6000, years=(2015, 2016, 2017, 2018), growth=1.4, rng=2)
    setting = PooledLogLinear(place="municipality", region="region", year="year", n_draws=4000)
    found = setting.fit(world.table, rng=1)
    assert found.status == "ok", found.reason
    by_year = found.by_stratum.groupby("year")["n_observed"].sum()
    rows = found.by_stratum["year"].to_numpy()
    drawn = np.array([np.median(found.stratum_draws[:, rows == y].sum(axis=1)) for y in by_year.index])
    truth = world.truth.groupby("year")["n"].sum().to_numpy()
    assert np.abs(np.log(drawn / truth)).max() < 0.25
    effects = found.details["hyperparameters"][["factor", "effect"]].to_numpy().tolist()
    assert ["year", "lists"] in effects
    assert ["residual", "size"] in effects


# --- lists that do not operate ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_list_that_does_not_operate_is_not_read_as_one_that_saw_nobody():
    world = draw_local(n_places=20, n_persons=8000, exponent=0.3, spread=1.5, odds_ratio=1.0, rng=5)
    frame = world.table.to_frame()
    away = tuple(world.places[::2])
    frame.loc[frame["municipality"].isin(away), "list_1"] = 0
    lists = list(world.table.lists)
    frame = frame[frame[lists].sum(axis=1) > 0].groupby([*lists, "municipality"])["count"].sum().reset_index()
    rule = Coverage("list_1", "municipality", tuple(world.places[1::2]))
    truth = world.truth.set_index("municipality")["n"]
    medians, spreads = {}, {}
    for name, coverage in (("told", (rule,)), ("not told", ())):
        table = CaptureTable.from_counts(
            frame, lists=lists, strata=["municipality"], coverage=coverage, public=True
        )
        found = PooledLogLinear(place="municipality", **SHORT).fit(table, rng=1)
        rows = found.by_stratum["municipality"].isin(away).to_numpy()
        medians[name] = np.median(found.stratum_draws[:, rows].sum(axis=1))
        spreads[name] = found.details["hyperparameters"].set_index("effect").loc["list_1", "sd"]
    assert medians["told"] == pytest.approx(truth[list(away)].sum(), rel=0.15)
    assert spreads["told"] < 0.5
    assert spreads["not told"] > 1.5


# --- extremes ---------------------------------------------------------------------------------------------------------

EXTREMES = {
    "one stratum": one_stratum([62, 45, 21, 38, 14, 11, 9]),
    "one person": one_stratum([1, 0, 0, 1, 0, 1, 0]) + one_stratum([0, 1], "y"),
    "everybody on all lists": [row for place in "xyz" for row in one_stratum([0, 0, 0, 0, 0, 0, 30], place)],
    "no overlap": [row for place in "xyz" for row in one_stratum([10, 20, 0, 15, 0, 0, 0], place)],
    "a list empty in all but one": [
        row for place in "xyz" for row in one_stratum([30, 20, 10, 5 * (place == "x")], place)
    ],
    "million millions": [row for place in "xy" for row in one_stratum([10**12] * 7, place)],
}


CUT = {"million millions": {"n_draws": 100, "n_tune": 100, "n_chains": 2}}
"""Nothing converges there: mean and places move together, by a millionth of what their prior leaves them."""


@pytest.mark.slow
@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.filterwarnings("ignore:list .* caught everybody")
def test_an_extreme_table_gets_an_answer_or_a_status(name):
    found = PooledLogLinear(**{"n_draws": 500, "n_tune": 300} | CUT.get(name, {})).fit(
        table_from(EXTREMES[name]), rng=1
    )
    n = found.n_observed
    json.dumps(found.to_dict(), allow_nan=False)
    assert n <= found.interval.low <= found.interval.high
    if found.status in ("ok", "boundary"):
        assert n <= found.n_hat <= (n + 1) ** 3
    if name == "no overlap":
        assert found.status in ("not_identified", "not_converged", "unbounded")
    if name == "one stratum":
        assert found.status == "ok"
        assert any(d.name == "little_to_pool" for d in found.diagnostics)


def test_an_empty_list_is_left_out():
    rows = [(*row[:3], 0, *row[3:]) for row in one_stratum([62, 45, 21, 38, 14, 11, 9])]
    frame = pd.DataFrame(rows, columns=[*LISTS, "d", "place", "count"])
    with pytest.warns(EmptyListWarning, match="'d' caught nobody"):
        table = CaptureTable.from_counts(frame, lists=[*LISTS, "d"], strata=["place"], public=True)
    with pytest.warns(EmptyListWarning, match="d caught nobody and is left out"):
        assert design_of(PooledLogLinear(), table).lists == tuple(LISTS)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_table_without_covariates_is_one_stratum(world):
    estimate = PooledLogLinear(n_draws=300, n_tune=300).fit(world.table.collapse(), rng=1)
    assert "one_stratum" in {remark.name for remark in estimate.diagnostics}
    assert (estimate.by_stratum.empty, estimate.stratum_draws) == (True, None)
    assert estimate.interval.method.startswith("equal-tailed posterior, one stratum")


def test_a_table_that_it_cannot_treat_is_refused(world):
    censored = CaptureTable.from_counts(
        pd.DataFrame(one_stratum([5, 4, 3, 2, 1, 1, 1]), columns=[*LISTS, "place", "count"]).assign(
            bound=[True] + [False] * 6
        ),
        lists=LISTS, strata=["place"], censored="bound",
    )  # fmt: skip
    with pytest.raises(CapabilityError, match="only an upper bound"):
        PooledLogLinear().fit(censored)
    with pytest.raises(CapabilityError, match="at least 3 lists"):
        PooledLogLinear().fit(world.table.drop_list("list_1", "list_2"))


def test_a_covariate_with_many_levels_must_be_the_place():
    world = draw_local(n_places=600, n_persons=20_000, exponent=0.1, rng=1)
    with pytest.raises(CapabilityError, match=r"municipality has .* levels and only the place"):
        design_of(PooledLogLinear(place="region"), world.table)


def test_ten_thousand_places_need_no_table_of_places_by_places():
    world = draw_local(n_places=10_000, n_persons=20_000, rng=1)
    setting = PooledLogLinear(place="municipality", region="region", places=None)
    assert design_of(setting, world.table).place.contrasts.size == 0


def test_chains_that_fill_the_memory_are_refused():
    world = draw_local(n_places=10_000, n_persons=20_000, rng=1)
    with pytest.raises(CapabilityError, match=r"need .* gigabytes, more than 9; lower n_draws"):
        PooledLogLinear(place="municipality", region="region", places=None, n_draws=50_000).fit(world.table)


@pytest.mark.slow
def test_chains_drawn_one_after_the_other_are_the_same_kind_of_draws(world, monkeypatch):
    from hiddenpop.bayes import pooled_model

    monkeypatch.setattr(pooled_model, "LARGEST_TRACE", 1)
    found = setting_of(world).fit(world.table, rng=1)
    assert found.status == "ok", found.reason
    assert len(found.draws) == 4000
    chains = found.draws.reshape(4, 1000)
    assert len(np.unique(chains[:, :50], axis=0)) == 4


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"place": "gemeente", "places": None, "region": None}, UnknownNameError, "no covariate 'gemeente'"),
        ({"places": {"0001": "region 01"}}, UnknownNameError, "in places"),
        ({"residents": {"0001": 5.0}}, UnknownNameError, "in residents"),
        ({"year": "region", "region": None, "places": None}, SettingError, "must have numbers as levels"),
    ],
)
def test_a_name_that_is_not_there_is_refused(world, changes, error, message):
    with pytest.raises(error, match=message):
        setting_of(world, **changes).fit(world.table)


def test_residents_of_places_that_several_covariates_make_are_by_tuples():
    frame = pd.DataFrame(
        [
            (*(h >> i & 1 for i in range(3)), *place, 9)
            for place in (("a", "b / c"), ("a / b", "c"))
            for h in range(1, 8)
        ],
        columns=["l1", "l2", "l3", "u", "v", "count"],
    )
    table = CaptureTable.from_counts(frame, lists=["l1", "l2", "l3"], strata=["u", "v"], public=True)
    setting = PooledLogLinear(residents={("a", "b / c"): 100, ("a / b", "c"): 300})
    assert np.diff(design_of(setting, table).log_offset) == pytest.approx([np.log(3.0)])
    again = PooledLogLinear(residents=json.loads(json.dumps(to_jsonable(setting.residents))))
    assert again == setting
    with pytest.raises(
        UnknownNameError, match=r"several covariates make a place here, so give .* as a tuple"
    ):
        design_of(PooledLogLinear(residents={"a / b / c": 100}), table)


def test_a_place_in_two_regions_is_refused():
    rows = one_stratum([62, 45, 21, 38, 14, 11, 9])
    frame = pd.DataFrame(rows, columns=[*LISTS, "place", "count"]).assign(region=["n", "s"] * 3 + ["n"])
    table = CaptureTable.from_counts(frame, lists=LISTS, strata=["place", "region"])
    with pytest.raises(SettingError, match="place 'x' lies in n and s"):
        PooledLogLinear(place="place", region="region").fit(table)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"place": ""}, "place='' must be the name of a covariate"),
        ({"place": "a", "year": "a"}, "must be different covariates"),
        ({"places": ["0001"]}, "say with place"),
        ({"place": "a", "places": ["x", "x"]}, "each once"),
        ({"place": "a", "places": ["x"], "region": "r"}, "its region with each"),
        ({"place": "a", "places": {"x": "r"}}, "or name the region"),
        ({"residents": {"x": 0}}, "give a number above 0"),
        ({"residents": "many"}, "must be a mapping"),
        ({"spread": 1.0}, "spread=1.0 must be a number above 1"),
        ({"level_prior": (0.0, 3.0)}, "expected persons in a typical stratum"),
        ({"order": 0}, "order=0"),
        ({"n_chains": 1}, "n_chains=1"),
        ({"backend": "stan"}, "backend='stan'"),
    ],
)
def test_a_setting_it_cannot_have_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        PooledLogLinear(**settings)


# --- whether chains agree ---------------------------------------------------------------------------------------------


def test_a_stratum_is_drawn_as_the_persons_in_it():
    """Of known means the observed are sure, and the hidden Poisson: not a whole stratum that is drawn again."""
    frame = pd.DataFrame(
        [(*(h >> i & 1 for i in range(3)), place, 40) for place in ("x", "y") for h in range(1, 8)],
        columns=["a", "b", "c", "place", "count"],
    )
    table = CaptureTable.from_counts(frame, lists=list("abc"), strata=["place"], public=True)
    design = design_of(PooledLogLinear(place="place"), table)
    hidden = np.array([20.0, 300.0])
    chains = Chains(
        draws={"log_hidden": np.full((2, 4000, 2), np.log(hidden))}, n_divergent=0, backend="nutpie"
    )
    drawn = draw_sizes(design, chains, np.random.default_rng(1)).reshape(-1, 2)
    assert (drawn >= design.observed).all()
    np.testing.assert_array_equal(drawn, np.round(drawn))
    np.testing.assert_allclose(drawn.var(axis=0), hidden, rtol=0.06)
    assert drawn.sum(axis=1).var() == pytest.approx(hidden.sum(), rel=0.06)


def test_agreement_of_many_is_that_of_each():
    rng, arviz = np.random.default_rng(1), load_arviz()
    drawn = rng.standard_normal((4, 401, 5)).cumsum(axis=1) * [0.0, 0.05, 0.1, 1.0, 0.0]
    drawn += rng.standard_normal((4, 401, 5)) * [1.0, 1.0, 1.0, 1.0, 0.0]
    drawn[0, :, 1] += 0.4
    drawn[..., 2] = np.round(drawn[..., 2])
    found = agreement(drawn)
    for q in range(4):
        assert found.rhat[q] == pytest.approx(float(arviz.rhat(drawn[..., q])), rel=1e-6), q
        assert found.ess_bulk[q] == pytest.approx(float(arviz.ess(drawn[..., q], method="bulk")), rel=0.02), q
    assert found.rhat[4] == 1.0


def test_a_stratum_on_which_chains_disagree_keeps_the_estimate_from_being_ok(world, monkeypatch):
    from hiddenpop.bayes import pooled

    honest = pooled.draw_sizes

    def apart(design, chains, rng):
        drawn = honest(design, chains, rng)
        drawn[0, :, 3] += 40.0
        return drawn

    monkeypatch.setattr(pooled, "draw_sizes", apart)
    found = setting_of(world).fit(world.table, rng=1)
    assert found.status == "not_converged", found.details["worst"]
    assert "N in 0004 / region 01" in found.reason


@pytest.mark.slow
def test_pymc_draws_from_the_same_posterior(world, estimate):
    other = setting_of(world, backend="pymc", n_chains=2).fit(world.table, rng=1)
    apart = np.log(np.median(other.stratum_draws, axis=0) + 1) - np.log(
        np.median(estimate.stratum_draws, axis=0) + 1
    )
    assert np.abs(apart).max() < 0.25
    assert np.median(other.draws) == pytest.approx(np.median(estimate.draws), rel=0.03)


def test_the_first_fit_of_a_day_says_nothing_of_its_libraries(tmp_path):
    """ArviZ warns once a day, as a file in the folder of caches tells it."""
    script = (
        "from hiddenpop import PooledLogLinear\n"
        "from hiddenpop.synthetic.local import draw_local\n"
        "table = draw_local(n_places=5, n_persons=300, rng=1).table\n"
        "PooledLogLinear(n_draws=100, n_tune=100, n_chains=2).fit(table, rng=1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_pytensor_keeps_the_density_by_the_source_behind_it(monkeypatch):
    with quietly():
        from pytensor.link.numba.dispatch.basic import numba_funcify_and_cache_key

        from hiddenpop.bayes import pooled_op

        key = numba_funcify_and_cache_key(pooled_op.PooledDensity(3))[1]
        assert numba_funcify_and_cache_key(pooled_op.PooledDensity(3))[1] == key
        monkeypatch.setattr(pooled_op, "source_digest", lambda module: "af")
        assert numba_funcify_and_cache_key(pooled_op.PooledDensity(3))[1] != key
