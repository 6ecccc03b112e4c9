import json
import math
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes.decomposable import DecomposableAveraging, sweep_delta
from hiddenpop.errors import CapabilityError, CollapsedStrataWarning, EmptyListWarning, SettingError
from hiddenpop.kernels.bayes.decomposable import posterior_of
from hiddenpop.kernels.bayes.graphs import SizePrior, decomposable_graphs, graph_density
from hiddenpop.result import Estimate
from hiddenpop.table import CaptureTable
from hiddenpop.validation import Calibration

THREE = (0, 41, 30, 6, 20, 4, 3, 5)
NO_OVERLAP = (0, 10, 20, 0)


def fit(counts, rng=None, **settings):
    return DecomposableAveraging(**{"n_draws": 0, **settings}).fit(table_of(counts), rng=rng)


def names(estimate):
    return {diagnostic.name for diagnostic in estimate.diagnostics}


@pytest.fixture(scope="module")
def uk():
    return DecomposableAveraging().fit(hp.datasets.load("uk_5"), rng=7)


# --- the estimate -----------------------------------------------------------------------------------------------------


def test_the_estimate_is_the_median_of_an_exact_posterior(uk):
    # The published grid ends at 40,000 and has 22,985; the other 0.2 % lie beyond it.
    assert uk.status == "ok"
    assert uk.n_hat == 22_990
    assert (uk.interval.low, uk.interval.high) == (10_387, 33_510)
    assert uk.interval.method == "equal-tailed posterior, averaged over decomposable graphs"
    assert uk.details["mean"] == math.inf
    assert "too heavy" in uk.details["mean_note"]


def test_draws_follow_the_exact_posterior(uk):
    shown = uk.details["posterior"]
    n = len(uk.draws)
    assert n == 4000
    shares = np.searchsorted(np.sort(uk.draws), shown["n"], side="right") / n
    # Kolmogorov: a distance above 1.95/sqrt(n) has probability 0.001.
    assert np.abs(shares - shown["below"]).max() < 1.95 / math.sqrt(n)
    shifted = np.searchsorted(np.sort(uk.draws + 500), shown["n"], side="right") / n
    assert np.abs(shifted - shown["below"]).max() > 1.95 / math.sqrt(n)
    assert (uk.draws == np.round(uk.draws)).all()


def test_draws_reach_into_the_tail():
    estimate = fit(NO_OVERLAP, n_draws=100_000, rng=3)
    tail = estimate.details["tail"]
    beyond = (estimate.draws > tail["beyond"]).mean()
    assert 1e-4 < tail["mass"] < 0.01
    assert beyond == pytest.approx(tail["mass"], abs=4 * math.sqrt(tail["mass"] / 100_000))
    assert estimate.draws.max() > 10 * tail["beyond"]


def test_equal_seeds_give_equal_draws_and_move_no_figure(uk):
    table = hp.datasets.load("uk_5")
    again, other = (DecomposableAveraging().fit(table, rng=seed) for seed in (7, 8))
    assert again.draws.tobytes() == uk.draws.tobytes()
    assert other.draws.tobytes() != uk.draws.tobytes()
    assert (other.n_hat, other.interval) == (uk.n_hat, uk.interval)
    assert json.dumps(again.to_dict()) == json.dumps(uk.to_dict())


def test_the_posterior_shown_is_compact_and_consistent(uk):
    shown = uk.details["posterior"]
    assert len(shown) < 400
    assert shown["below"].is_monotonic_increasing
    assert shown["n"].is_unique
    assert {24_307.0, 11_718.0} <= set(shown["n"])
    median = shown[shown["n"] <= uk.n_hat].iloc[-1]
    assert median["below"] == pytest.approx(0.5, abs=0.02)
    assert np.trapezoid(shown["probability"], shown["n"]) == pytest.approx(1.0, abs=0.01)


def test_modes_carry_their_weights(uk):
    modes = uk.details["modes"]
    assert modes["location"].tolist() == [11_718, 24_307]
    assert modes["weight"].sum() == pytest.approx(1.0, abs=1e-4)
    warning = next(d for d in uk.diagnostics if d.name == "several_modes")
    assert "24,300 (69%), 11,700 (31%)" in warning.message
    assert uk.details["posterior"].set_index("n").loc[24_307.0, "below"] > modes["weight"][0]


def test_graphs_have_names_and_probabilities(uk):
    graphs = uk.details["graphs"]
    assert len(graphs) == 822
    assert graphs["probability"].sum() == pytest.approx(1.0)
    assert graphs["probability"].is_monotonic_decreasing
    assert graphs.loc[0, ["graph", "cliques", "links"]].tolist() == [
        "[123,25,34]",
        "LA*NG*PFNCA + NG*GP + PFNCA*GO",
        5,
    ]
    pd.testing.assert_frame_equal(uk.details["top_graphs"], graphs.head(10))
    saturated = graphs[graphs["graph"] == "[12345]"]
    assert saturated["probability"].item() == uk.details["p_saturated"]
    assert saturated["mean"].item() == math.inf


def test_links_add_up_the_graphs_that_have_them(uk):
    links, graphs = uk.details["links"], uk.details["graphs"]
    lists = list(links.columns)
    assert (links.to_numpy() == links.to_numpy().T).all()
    for a, b in (("LA", "NG"), ("PFNCA", "GP")):
        together = [
            any({a, b} <= set(clique.split("*")) for clique in row.split(" + ")) for row in graphs["cliques"]
        ]
        assert links.loc[a, b] == pytest.approx(graphs.loc[together, "probability"].sum())
    assert np.diag(links).tolist() == [1.0] * len(lists)


def test_arviz_holds_the_draws(uk):
    idata = uk.details["idata"]
    assert idata.posterior["N"].to_numpy().ravel().tolist() == uk.draws.tolist()
    assert "created_at" not in idata.posterior.attrs


def test_arviz_is_loaded_late_and_without_its_notice():
    code = """
import sys, warnings
warnings.simplefilter("error")
import hiddenpop as hp
from hiddenpop.bayes.decomposable import DecomposableAveraging
table = hp.datasets.load("korea")
DecomposableAveraging(n_draws=0).fit(table)
assert "arviz" not in sys.modules
assert DecomposableAveraging(n_draws=10).fit(table, rng=1).details["idata"] is not None
assert any(entry[0] == "error" and entry[2] is Warning for entry in warnings.filters)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_json_leaves_the_inference_data_out_and_comes_back(uk):
    data = json.loads(json.dumps(uk.to_dict(), allow_nan=False))
    assert "idata" not in data["details"]
    assert data["details"]["mean"] is None
    back = Estimate.from_dict(data)
    assert (back.n_hat, back.interval) == (uk.n_hat, uk.interval)
    assert json.loads(json.dumps(back.to_dict())) == data
    assert pickle.loads(pickle.dumps(uk)).draws.tobytes() == uk.draws.tobytes()


def test_a_private_table_lets_no_exact_probability_out(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    table = table_of(THREE)
    assert not table.public
    details = DecomposableAveraging(n_draws=0).fit(table).to_dict()["details"]
    for name in ("graphs", "top_graphs", "links", "posterior", "p_saturated", "modes", "mean", "tail"):
        assert details[name] == "<10"


def test_no_draws_on_request():
    estimate = fit(THREE)
    assert estimate.draws is None
    assert "idata" not in estimate.details


# --- what it makes of odd tables --------------------------------------------------------------------------------------


def test_without_overlap_the_posterior_is_wide_and_says_why():
    estimate = fit(NO_OVERLAP)
    assert estimate.status == "ok"
    assert estimate.interval.high > 50 * estimate.n_observed
    assert {"no_overlap", "saturated_graph"} <= names(estimate)


def test_one_person_gets_a_posterior():
    estimate = fit((0, 0, 0, 1))
    assert (estimate.n_hat, estimate.status) == (1.0, "boundary")
    assert "nobody hidden has" in estimate.reason
    assert estimate.interval.high >= 10


def test_a_prior_that_sets_no_limit_leaves_an_unbounded_answer():
    estimate = fit(NO_OVERLAP, delta=1e-6)
    assert (estimate.status, estimate.n_hat) == ("unbounded", math.inf)
    assert (estimate.interval.low, estimate.interval.high) == (30, math.inf)
    json.dumps(estimate.to_dict(), allow_nan=False)


@pytest.mark.parametrize("name", ["uk_5", "netherlands_5"])
@pytest.mark.parametrize("delta", [0.5, 1.0])
def test_a_saturated_graph_that_the_prior_favours_is_a_warning(name, delta):
    estimate = DecomposableAveraging(delta=delta, n_draws=0).fit(hp.datasets.load(name))
    assert estimate.n_hat < 1.05 * estimate.n_observed
    warning = next(d for d in estimate.diagnostics if d.name == "saturated_graph")
    assert f"delta={delta:g} is a prior of {32 * delta:g} persons" in warning.message
    assert "sweep_delta" in warning.message


def test_no_warning_where_the_data_speak(uk):
    assert names(uk) == {"several_modes"}
    assert names(DecomposableAveraging(n_draws=0).fit(hp.datasets.load("rome_hiv"))) <= {"several_modes"}


def test_more_than_six_lists_are_refused_with_what_to_do():
    table = hp.datasets.load("new_orleans_185")
    with pytest.raises(CapabilityError, match=r"8 lists have more than 30 million.*merge_lists"):
        DecomposableAveraging().fit(table)
    seven = table.drop_list("A")
    with pytest.raises(CapabilityError, match="7 lists have 617,675"):
        DecomposableAveraging().fit(seven)


def test_an_empty_list_is_left_out_and_one_list_is_too_few():
    with pytest.warns(EmptyListWarning, match="l1 caught nobody"):
        estimate = fit((0, 40, 0, 0, 30, 8, 0, 0))
    assert estimate.details["dropped_lists"] == ["l1"]
    assert estimate.n_hat == fit((0, 40, 30, 8)).n_hat
    with (
        pytest.warns(EmptyListWarning, match="l1 caught nobody"),
        pytest.raises(CapabilityError, match="at least 2 lists"),
    ):
        fit((0, 12, 0, 0))


def test_strata_are_added_up_with_a_warning():
    frame = pd.DataFrame({"a": [1, 0, 1] * 2, "b": [0, 1, 1] * 2, "sex": list("fffmmm"), "n": [9, 8, 3] * 2})
    table = CaptureTable.from_counts(frame, count="n", strata=["sex"])
    with pytest.warns(CollapsedStrataWarning, match="added up sex"):
        estimate = DecomposableAveraging(n_draws=0).fit(table)
    assert estimate.n_hat == fit((0, 18, 16, 6)).n_hat


def test_the_order_of_the_lists_changes_nothing(uk):
    table = hp.datasets.load("uk_5")
    moved = CaptureTable.from_counts(table.to_frame(), lists=["GP", "NG", "LA", "GO", "PFNCA"], public=True)
    other = DecomposableAveraging().fit(moved, rng=7)
    assert (other.n_hat, other.interval) == (uk.n_hat, uk.interval)
    assert other.details["p_saturated"] == pytest.approx(uk.details["p_saturated"], rel=1e-9)
    assert other.details["links"].loc["LA", "GP"] == pytest.approx(uk.details["links"].loc["LA", "GP"])


# --- priors -----------------------------------------------------------------------------------------------------------


def test_delta_by_default_is_one_over_the_cells():
    assert fit(THREE).n_hat == fit(THREE, delta=0.125).n_hat
    assert fit(THREE).details["prior"]["delta"] == 0.125


def test_a_uniform_prior_without_a_posterior_is_refused():
    with pytest.raises(SettingError, match=r"no proper posterior on 3 lists.*delta above 0.143.*max_missing"):
        fit(THREE, prior="uniform")
    assert fit(THREE, prior="uniform", delta=0.2).ok
    assert fit(THREE, prior="uniform", max_missing=5000).ok


def test_a_uniform_prior_is_proper_when_the_graphs_allowed_have_thin_tails():
    links = {"[1,2,3]": 1.0, "[12,3]": 1.0}
    assert fit(THREE, prior="uniform", graph_prior=links).n_hat > fit(THREE, graph_prior=links).n_hat


@pytest.mark.parametrize("limits", [{"max_missing": 900}, {"n_missing": range(901)}, {"n_missing": (0, 900)}])
def test_an_array_of_log_weights_is_a_prior(limits):
    weights = -np.log(np.arange(901) + 109.0)
    given = DecomposableAveraging(log_prior=(weights + 1e4).tolist(), n_draws=0, **limits)
    named = DecomposableAveraging(n_draws=0, **limits)
    one, other = (estimator.fit(table_of(THREE)) for estimator in (given, named))
    assert (one.n_hat, one.interval) == (other.n_hat, other.interval)
    assert one.details["mean"] == pytest.approx(other.details["mean"], rel=1e-9)


def test_minus_infinity_rules_a_dark_figure_out():
    weights = [-math.inf] * 20 + [0.0] * 30
    estimator = DecomposableAveraging(log_prior=weights, max_missing=49, n_draws=500)
    estimate = estimator.fit(table_of(THREE), rng=1)
    assert estimate.draws.min() >= 109 + 20
    assert estimator.log_prior[0] is None
    assert estimate.estimator.settings["log_prior"][0] is None
    rebuilt = DecomposableAveraging(**json.loads(json.dumps(dict(estimate.estimator.settings))))
    assert rebuilt == estimator


def test_a_negative_binomial_prior_pulls_towards_its_mean():
    low, high = (fit(THREE, prior=("negative_binomial", mean, 1000.0)).n_hat for mean in (120.0, 1000.0))
    assert low < fit(THREE).n_hat < 400 < high < 1000


def test_fewer_links_are_favoured_by_a_small_weight():
    means = [
        (fit(THREE, link_weight=w).details["graphs"].pipe(lambda f: f["links"] @ f["probability"]))
        for w in (0.1, 1.0, 10.0)
    ]
    assert means[0] < means[1] < means[2]


def test_a_link_weight_is_a_prior_of_graphs():
    graphs = decomposable_graphs(3)
    by_hand = {graphs.notation(g): 0.3 ** int(graphs.n_links[g]) for g in range(8)}
    one, other, third = (
        fit(THREE, **settings).details["graphs"]
        for settings in (
            {"link_weight": 0.3},
            {"graph_prior": by_hand},
            {"graph_prior": [7 * weight for weight in by_hand.values()]},
        )
    )
    assert one["probability"].tolist() == pytest.approx(other["probability"].tolist())
    assert one["probability"].tolist() == pytest.approx(third["probability"].tolist())


def test_graphs_that_are_not_named_are_ruled_out():
    estimate = fit(THREE, graph_prior={"l0*l1 + l2": 3.0, "[1,2,3]": 1.0})
    graphs = estimate.details["graphs"].set_index("graph")
    assert graphs.loc[["[12,3]", "[1,2,3]"], "probability"].sum() == pytest.approx(1.0)
    assert graphs.loc["[123]", "probability"] == estimate.details["p_saturated"] == 0.0
    assert math.isnan(graphs.loc["[123]", "mean"])
    assert estimate.details["prior"]["n_graphs"] == 2
    json.dumps(estimate.to_dict(), allow_nan=False)


def test_a_range_that_cuts_the_posterior_is_a_warning():
    cut = fit(THREE, max_missing=60)
    value = next(d.value for d in cut.diagnostics if d.name == "limit_cuts")
    assert value > 0.3
    assert "limit_cuts" not in names(fit(THREE, max_missing=90_000))
    far = fit(THREE, n_missing=(60, 90_000))
    share = next(d.value for d in far.diagnostics if d.name == "limit_cuts")
    shown = fit(THREE).details["posterior"].set_index("n_missing")["below"]
    assert share == pytest.approx(np.interp(59, shown.index, shown), abs=0.01)
    assert fit(THREE, n_missing=(5, 5)).n_hat == 114


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"delta": 0.0}, "delta=0.0 must be a number from 1e-09"),
        ({"delta": -1}, "delta=-1 must be"),
        ({"delta": math.nan}, "delta=nan must be"),
        ({"delta": math.inf}, "delta=inf must be"),
        ({"delta": "small"}, "delta='small' must be"),
        ({"delta": True}, "delta=True must be"),
        ({"prior": "jeffreys"}, "prior='jeffreys' is not one of"),
        ({"prior": ("negative_binomial", -1.0, 2.0)}, "both numbers above 0"),
        ({"prior": ("negative_binomial", 10.0)}, "is not one of"),
        ({"prior": None}, "prior=None is not one of"),
        ({"n_missing": range(0, 10, 2)}, "must be a range of step 1"),
        ({"n_missing": (5, 4)}, "must be a range of step 1"),
        ({"n_missing": (-1, 4)}, "must be a range of step 1"),
        ({"n_missing": 100}, "must be a range of step 1"),
        ({"max_missing": -1}, "max_missing=-1 must be a whole number"),
        ({"max_missing": 1.5}, "max_missing=1.5 must be a whole number"),
        ({"max_missing": 5, "n_missing": (0, 5)}, "not both"),
        ({"log_prior": [0.0, 0.0]}, "needs n_missing"),
        ({"log_prior": [0.0, 0.0], "max_missing": 1, "prior": "uniform"}, "takes the place of prior"),
        ({"log_prior": [0.0, 0.0], "max_missing": 5}, "has 2 values and the range from 0 to 5 has 6"),
        ({"log_prior": [0.0, math.nan], "max_missing": 1}, "must hold numbers"),
        ({"log_prior": [-math.inf] * 2, "max_missing": 1}, "not that alone"),
        ({"link_weight": 0.0}, "link_weight=0.0 must be a number above 0"),
        ({"link_weight": "few"}, "link_weight='few' must be"),
        ({"graph_prior": {}}, "must give weights"),
        ({"graph_prior": {"[12,3]": -1.0}}, "must give weights"),
        ({"graph_prior": "[12,3]"}, "must give weights"),
        ({"n_draws": -1}, "n_draws=-1"),
        ({"level": 1.0}, "level=1.0"),
    ],
)
def test_an_impossible_setting_is_refused(settings, message):
    with pytest.raises(SettingError, match=message.replace("(", r"\(")):
        DecomposableAveraging(**settings)


@pytest.mark.parametrize(
    ("graph_prior", "message"),
    [
        ([1.0, 1.0], "has 2 weights, and 3 lists have 8"),
        ({"[12,13,23]": 1.0}, "not the set of cliques of a decomposable graph"),
        ({"[12]": 1.0}, "leaves out l2"),
        ({"police*l1 + l2": 1.0}, "there is no list 'police'"),
    ],
)
def test_a_graph_prior_that_does_not_fit_the_lists_is_refused(graph_prior, message):
    with pytest.raises(SettingError, match=message):
        fit(THREE, graph_prior=graph_prior)


def test_a_graph_prior_beside_an_empty_list_is_refused():
    with (
        pytest.warns(EmptyListWarning, match="l2 caught nobody"),
        pytest.raises(CapabilityError, match="l2 caught nobody; drop empty lists"),
    ):
        fit((0, 40, 30, 8, 0, 0, 0, 0), graph_prior={"[12,3]": 1.0})


def test_settings_are_hashable_and_survive_pickling():
    estimator = DecomposableAveraging(graph_prior={"[12,3]": 2}, n_missing=range(10), log_prior=[0.0] * 10)
    assert pickle.loads(pickle.dumps(estimator)) == estimator
    assert hash(replace(estimator)) == hash(estimator)
    assert estimator.n_missing == (0, 9)


# --- the sweep --------------------------------------------------------------------------------------------------------


def test_a_sweep_gives_what_single_fits_give():
    table = hp.datasets.load("uk_5")
    sweep = sweep_delta(table, [2.0**-7, "2^-K", 0.5])
    assert sweep.columns.tolist() == ["delta", "median", "low", "high", "p_saturated", "n_modes"]
    assert sweep["delta"].tolist() == [2.0**-7, 2.0**-5, 0.5]
    for row in sweep.itertuples():
        single = DecomposableAveraging(delta=row.delta, n_draws=0).fit(table)
        assert (row.median, row.low, row.high) == (single.n_hat, single.interval.low, single.interval.high)
        assert row.p_saturated == single.details["p_saturated"]
    assert sweep["p_saturated"].is_monotonic_increasing


def test_a_sweep_keeps_other_settings_and_refuses_before_the_first_sum():
    table = table_of(THREE)
    narrow, wide = (
        sweep_delta(table, [0.5], base=DecomposableAveraging(level=level)) for level in (0.5, 0.99)
    )
    assert wide["high"].item() > narrow["high"].item()
    with pytest.raises(SettingError, match="delta=0 must be"):
        sweep_delta(table, [0.5, 0])
    assert sweep_delta(table, []).empty


# --- calibration ------------------------------------------------------------------------------------------------------

REPLICATES = 300
# Few persons and many nearly empty cells, so that the priors matter and a fault in one of them shows.
MEAN, SHAPE, DELTA, LAST = 40.0, 4.0, 0.25, 1000
RIGHT = SizePrior(0.0, SHAPE, math.log1p(SHAPE / MEAN))


def draw_cells(graphs, graph, rng):
    """Cell probabilities from the hyper-Dirichlet prior: each list given its earlier neighbours is a beta variable."""
    k = graphs.n_lists
    cells, seen = np.arange(1 << k), 0
    p = np.ones(1 << k)
    linked = [set() for _ in range(k)]
    for pair, there in zip(graphs.pairs, graphs.linked[graph], strict=True):
        if there:
            linked[pair[0]].add(pair[1])
            linked[pair[1]].add(pair[0])
    for _ in range(k):  # maximum cardinality search
        v = max(
            (u for u in range(k) if not seen >> u & 1), key=lambda u: sum(seen >> w & 1 for w in linked[u])
        )
        parents = sum(1 << w for w in linked[v] if seen >> w & 1)
        prior = DELTA * 2 ** (k - parents.bit_count() - 1)
        for pattern in np.unique(cells & parents):
            share = rng.beta(prior, prior)
            here = cells & parents == pattern
            p[here] *= np.where(cells[here] >> v & 1, share, 1.0 - share)
        seen |= 1 << v
    return p


def calibration(n_lists, posterior_density, rng):
    """Where the true N lies in its posterior."""
    graphs = decomposable_graphs(n_lists)
    found = np.empty(REPLICATES)
    for i in range(REPLICATES):
        size = rng.poisson(rng.gamma(SHAPE, MEAN / SHAPE))
        drawn = rng.multinomial(size, draw_cells(graphs, rng.integers(len(graphs.links)), rng)).astype(float)
        missing = posterior_of(posterior_density(drawn, graphs), 0, LAST).missing
        truth = drawn[0]
        found[i] = missing.below(truth - 1)[0] + rng.random() * missing.probability(truth)[0]
    return Calibration(positions=found)


def right(counts, graphs, prior=RIGHT, delta=DELTA):
    return graph_density(counts, graphs, delta, prior, np.zeros(len(graphs.links)))


def without_averaging(counts, graphs):
    return right(counts, graphs).select(np.array([0]))


def without_factorials(counts, graphs):
    """Leave out ``lgamma(N + 1) - lgamma(n0 + 1)``, and with it the prior of N."""
    density = right(counts, graphs)
    weights = density.weights.toarray()
    weights[:, -2] = 0.0
    return replace(density, weights=csr_array(weights))


def without_prior_counts(counts, graphs):
    density = right(counts, graphs)
    cells = np.arange(len(counts))
    pseudo = DELTA * 2.0 ** (graphs.n_lists - np.bitwise_count(cells).astype(float))
    return replace(density, shifts=np.maximum(density.shifts - pseudo, 1e-3))


def with_another_delta(counts, graphs):
    return right(counts, graphs, delta=DELTA / 8)


def with_another_prior_mean(counts, graphs):
    return right(counts, graphs, prior=SizePrior(0.0, SHAPE, 3 * RIGHT.rate))


@pytest.mark.slow
@pytest.mark.parametrize("n_lists", [2, 3, 4])
def test_the_posterior_is_calibrated(n_lists):
    assert calibration(n_lists, right, np.random.default_rng([2024, n_lists])).calibrated


# How sharp the check is, in trials with other seeds: the right posterior left the bands in none of 20. Of these faults
# the other delta was found in 4 of 5, the others in 5 of 5. A prior mean off by a third was found in 3 of 4, and the
# prior 1/N in place of the negative binomial in none of 4: 300 replicates cannot be relied on for these two.
@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        without_averaging,
        without_factorials,
        without_prior_counts,
        with_another_delta,
        with_another_prior_mean,
    ],
)
def test_a_wrong_posterior_is_not_calibrated(wrong):
    assert not calibration(3, wrong, np.random.default_rng([2024, 3])).calibrated
