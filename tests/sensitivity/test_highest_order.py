"""`HighestOrderSweep`: direction, exact and interpolated tipping points, whose draws, and where it cannot apply."""

import json
import math
import pickle
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.bayes import identifying
from hiddenpop.bayes.averaged import BayesianModelAveraging
from hiddenpop.bayes.decomposable import DecomposableAveraging
from hiddenpop.bayes.identifying import IdentifiedPosterior, sweep_xi
from hiddenpop.bayes.latent_class import LatentClass
from hiddenpop.bayes.thresholded import ThresholdedLogLinear
from hiddenpop.errors import SettingError
from hiddenpop.histories import decode
from hiddenpop.sensitivity import highest_order
from hiddenpop.sensitivity.highest_order import HighestOrderSweep
from hiddenpop.sensitivity.points import seed_of
from hiddenpop.sensitivity.protocol import Check
from hiddenpop.table import CaptureTable, Coverage

KOSOVO = hp.datasets.load("kosovo")
PAIRS = hp.LogLinear(model="all-pairs")
SHORT = ThresholdedLogLinear(n_draws=1000, n_tune=200)
# Few on lists 0 and 1 alone, many on both, and many on list 2 only.
CONTRADICTION = (0, 10, 10, 50, 100, 2, 2, 20)


def private(counts):
    seen = np.arange(1, len(counts))
    lists = [f"l{i}" for i in range(len(counts).bit_length() - 1)]
    frame = pd.DataFrame(decode(seen, len(lists)), columns=lists).assign(count=counts[1:])
    return CaptureTable.from_counts(frame, lists=lists, count="count", name="ours")


# --- direction --------------------------------------------------------------------------------------------------------


def finds_the_hidden(n_lists, highest):
    """Whether the row with the true interaction of all lists has the true population size."""
    terms = np.random.default_rng(n_lists).normal(0.0, 0.3, 1 << n_lists)
    terms[-1] = highest
    cells = np.arange(1 << n_lists)
    people = np.exp([terms[(cells & cell) == cells].sum() for cell in cells])
    people = np.round(1e8 * people / people.sum())
    multiplier = math.exp(-highest if n_lists % 2 else highest)
    model = "independence" if n_lists == 2 else f"[{','.join(_faces(n_lists))}]"
    check = HighestOrderSweep(multipliers=(1.0, multiplier), claim="more than 10")
    frame = check.run(hp.LogLinear(model=model), table_of([0, *people[1:]])).table.set_index("multiplier")
    row = frame.loc[multiplier]
    return row["interaction"] == pytest.approx(highest) and row["n_hat"] == pytest.approx(1e8, rel=1e-5)


def _faces(n_lists):
    return ["".join(str(i + 1) for i in range(n_lists) if i != left) for left in reversed(range(n_lists))]


@pytest.mark.parametrize("n_lists", [2, 3, 4, 5])
@pytest.mark.parametrize("highest", [0.5, -0.8])
def test_the_true_interaction_gives_the_true_size(n_lists, highest):
    assert finds_the_hidden(n_lists, highest)


def upside_down(multiplier, n_lists):
    row = LABELS(multiplier, n_lists)
    return {**row, "xi": 1.0 / row["xi"]}


def parity_exchanged(multiplier, n_lists):
    return LABELS(multiplier, n_lists + 1)


LABELS = highest_order._labels


@pytest.mark.parametrize("wrong", [upside_down, parity_exchanged])
@pytest.mark.parametrize("n_lists", [3, 4])
def test_the_check_of_the_direction_finds_a_fault(wrong, n_lists, monkeypatch):
    monkeypatch.setattr(highest_order, "_labels", wrong)
    assert not finds_the_hidden(n_lists, 0.5)


def test_the_text_states_the_direction():
    sweep = HighestOrderSweep(multipliers=(1, 2))
    assert "an even number of lists xi = exp(-u)" in sweep.run(PAIRS, KOSOVO).text
    assert "2 for twice the dark figure" in sweep.run(PAIRS, KOSOVO).text
    assert "an odd number of lists xi = exp(u)" in sweep.run(hp.LogLinear(), KOSOVO.drop_list("HRW")).text
    two = sweep.run(hp.LogLinear(), table_of((0, 30, 20, 10)))
    assert "it is the odds ratio between l0 and l1" in two.text
    assert two.table["n_hat"].tolist() == pytest.approx([120.0, 180.0])
    marginal = IdentifiedPosterior(assumption="marginal", lists=("EXH", "ABA"), n_draws=500)
    found = sweep.run(marginal, KOSOVO, rng=1)
    assert (
        "2 for twice the number on none of EXH, ABA; it is the odds ratio between EXH and ABA" in found.text
    )
    assert found.figure["x_label"] == "multiplier of the number on none of EXH, ABA (1/xi)"


# --- fitted models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "tolerance"),
    [(PAIRS, 1e-6), (hp.SelectedLogLinear(), 1e-6), (hp.AveragedLogLinear(), 0.01)],  # a median of a mixture
)
def test_the_dark_figure_is_in_proportion_and_the_interval_stays_around_it(estimator, tolerance):
    frame = HighestOrderSweep().run(estimator, KOSOVO).table
    assert ((frame["n_hat"] - 4400) / frame["multiplier"]).to_numpy() == pytest.approx(
        frame.loc[4, "n_hat"] - 4400, rel=tolerance
    )
    assert frame["multiplier"][4] == 1.0
    assert frame["n_hat"][4] == pytest.approx(estimator.fit(KOSOVO).n_hat)
    assert ((frame["low"] < frame["n_hat"]) & (frame["n_hat"] < frame["high"])).all()


def test_the_exact_tipping_point_lies_beyond_the_grid_and_is_where_it_says():
    result = HighestOrderSweep(claim="between 6,000 and 40,000").run(PAIRS, KOSOVO)
    assert result.passed is True
    hidden = PAIRS.fit(KOSOVO).n_hidden
    low, high = (6000 - 4400) / hidden, (40_000 - 4400) / hidden
    assert low < 1 / 3
    assert high > 3
    assert (
        f"the claim fails below a multiplier of {low:.3g} and above a multiplier of {high:.3g}" in result.text
    )
    assert hp.LogLinear(model="all-pairs", xi=1 / low).fit(KOSOVO).n_hat == pytest.approx(6000, rel=1e-6)


def test_a_claim_below_the_number_observed_never_fails_and_one_above_every_size_always():
    assert (
        "No multiplier makes the claim fail."
        in HighestOrderSweep(claim="more than 4,000").run(PAIRS, KOSOVO).text
    )
    found = HighestOrderSweep(claim="fewer than 4,000").run(PAIRS, KOSOVO)
    assert found.passed is False
    assert "the claim fails at every multiplier" in found.text


def test_without_a_claim_the_interval_of_the_estimate_is_held_to():
    found = HighestOrderSweep(multipliers=(0.9, 1.0, 1.1)).run(PAIRS, KOSOVO)
    assert found.passed is True
    assert HighestOrderSweep().run(PAIRS, KOSOVO).passed is False
    assert found.figure["claim"]["low"] == PAIRS.fit(KOSOVO).interval.low


def test_the_setting_is_found_behind_wrappers():
    boot = hp.Bootstrapped(base=PAIRS, n_boot=200)
    result = HighestOrderSweep(multipliers=(0.5, 1, 2)).run(boot, KOSOVO, rng=1)
    assert (result.table["n_hat"] - 4400).to_numpy() == pytest.approx(
        (PAIRS.fit(KOSOVO).n_hidden * np.array([0.5, 1, 2])), rel=1e-6
    )


def test_an_estimate_that_has_a_multiplier_says_so():
    text = HighestOrderSweep(multipliers=(1, 2)).run(hp.LogLinear(xi=2.0), KOSOVO).text
    assert "The estimate itself has the multiplier 0.5." in text


# --- draws of the cells -----------------------------------------------------------------------------------------------


def test_all_points_of_an_identified_posterior_come_from_the_same_draws(monkeypatch):
    calls = []
    draw = identifying.draw_cells

    def counted(*args, **kwargs):
        calls.append(1)
        return draw(*args, **kwargs)

    estimator = IdentifiedPosterior(n_draws=2000)
    expected = sweep_xi(KOSOVO, [2.0, 1.0, 0.5], base=estimator, rng=seed_of(4))
    monkeypatch.setattr(identifying, "draw_cells", counted)
    result = HighestOrderSweep(multipliers=(0.5, 1, 2)).run(estimator, KOSOVO, rng=4)
    assert len(calls) == 1
    assert result.table["n_hat"].tolist() == expected["median"].tolist()
    assert result.table["high"].tolist() == expected["high"].tolist()
    assert result.figure["baseline"]["n_hat"] == expected["median"][1]


def test_the_interpolated_tipping_point_is_where_the_claim_fails():
    estimator = IdentifiedPosterior(n_draws=20_000)
    text = HighestOrderSweep(claim="more than 10,000").run(estimator, KOSOVO, rng=1).text
    about = float(text.split("at a multiplier of about ")[1].split(" ")[0])
    assert "(it holds at 0.577 and fails at 0.439)" in text
    there = IdentifiedPosterior(n_draws=20_000, xi=1 / about).fit(KOSOVO, rng=2)
    assert there.n_hat == pytest.approx(10_000, rel=0.02)


def test_the_cells_of_a_bayesian_estimator_are_used_from_the_fit_there_is(monkeypatch):
    base = SHORT.fit(KOSOVO, rng=3)
    monkeypatch.setattr(ThresholdedLogLinear, "fit", lambda *args, **kwargs: pytest.fail("fitted again"))
    result = HighestOrderSweep(multipliers=(0.5, 1, 2), claim="more than 9,500").run(
        SHORT, KOSOVO, base, rng=3
    )
    hidden = result.table["n_hat"] - 4400
    assert result.table["n_hat"][1] == pytest.approx(base.n_hat, rel=0.01)
    assert hidden.to_numpy() == pytest.approx(hidden[1] * np.array([0.5, 1, 2]), rel=0.01)
    assert "own answer" not in result.text


def test_a_baseline_without_draws_is_fitted_again():
    base = hp.Estimate.from_dict(json.loads(json.dumps(SHORT.fit(KOSOVO, rng=3).to_dict())))
    assert base.draws_are == ""
    result = HighestOrderSweep(multipliers=(0.5, 2)).run(SHORT, KOSOVO, base, rng=3)
    assert result.table["status"].tolist() == ["ok", "ok"]


def test_a_model_whose_own_hidden_cell_says_otherwise_is_named():
    base = SHORT.fit(KOSOVO, rng=3)
    frame = pd.DataFrame({"multiplier": [0.5, 1.0], "n_hat": [5000.0, 20_000.0]})
    text = highest_order._own_answer(SHORT, base, frame)
    assert "at multiplier 1 its observed cells give 20,000, and its own answer is 14,0" in text
    same = frame.assign(n_hat=base.n_hat + 0.04 * base.interval.width)
    assert highest_order._own_answer(SHORT, base, same) == ""


def test_cells_that_did_not_converge_give_no_number():
    latent = LatentClass(n_classes=3, n_draws=100, n_tune=100, n_chains=2, n_temperatures=3, n_sweeps=1)
    base = latent.fit(KOSOVO, rng=1)
    assert base.status == "not_converged"
    result = HighestOrderSweep(multipliers=(1.0, 2.0), claim="more than 10").run(latent, KOSOVO, base, rng=1)
    assert result.table["status"].tolist() == ["not_converged"] * 2
    assert result.passed is None
    assert (
        f"2 not_converged (the observed cells come from latent_class, and there: {base.reason}" in result.text
    )


def test_an_average_over_models_is_swept_too():
    result = HighestOrderSweep(multipliers=(0.5, 1)).run(BayesianModelAveraging(n_draws=1000), KOSOVO, rng=1)
    hidden = result.table["n_hat"] - 4400
    assert hidden[0] == pytest.approx(hidden[1] / 2, rel=0.02)


# --- points without a number ------------------------------------------------------------------------------------------


def test_points_that_the_table_contradicts_are_gaps_and_counted():
    estimator = IdentifiedPosterior(assumption="marginal", lists=("l0", "l1"), n_draws=1000)
    check = HighestOrderSweep(multipliers=(1, 10, 100, 1000), claim="more than 100")
    result = check.run(estimator, table_of(CONTRADICTION), rng=1)
    assert result.table["status"].tolist() == ["not_identified", "not_identified", "ok", "ok"]
    assert (result.passed, result.n_failed, result.n_points) == (None, 2, 4)
    assert "2 not_identified (the table contradicts the assumption" in result.text
    assert result.table["n_hat"].isna().tolist() == [True, True, False, False]


# --- where it cannot apply --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (hp.Chapman(lists=("EXH", "ABA")), "chapman has no setting 'xi', and its answer holds no draws"),
        (DecomposableAveraging(n_draws=100), "decomposable has no setting 'xi'"),
        (
            ThresholdedLogLinear(prior=("negative_binomial", 1e4, 1.0), n_draws=500),
            "thresholded has prior=('negative_binomial', 10000.0, 1.0)",
        ),
    ],
)
def test_an_estimator_without_xi_and_cells_cannot_be_swept(estimator, why):
    result = HighestOrderSweep().run(estimator, KOSOVO, rng=1)
    assert result.passed is None
    assert why in result.text
    assert result.figure["kind"] == "nothing"


def test_gaps_too_few_lists_and_too_many_are_no_faults():
    frame = pd.DataFrame({"a": [1, 0, 1], "b": [0, 1, 1], "region": list("nss"), "count": [14, 15, 16]})
    gaps = CaptureTable.from_counts(
        frame, lists=["a", "b"], strata=["region"], coverage=[Coverage("b", "region", ("s",))]
    )
    for estimator in (IdentifiedPosterior(), PAIRS):
        result = HighestOrderSweep().run(estimator, gaps, rng=1)
        assert result.passed is None
        assert "structurally missing" in result.text
    few = HighestOrderSweep().run(SHORT, table_of((0, 30, 20, 10)), rng=1)
    assert "Does not apply: thresholded needs at least 3 lists" in few.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"multipliers": ()}, "leaves nothing to try"),
        ({"multipliers": (1, 0)}, "multipliers: 0 must be a number from 1e-06"),
        ({"multipliers": (math.nan,)}, "multipliers: nan must be"),
        ({"multipliers": "1"}, "multipliers: '1' must be"),
        ({"claim": "many"}, "cannot be read"),
    ],
)
def test_an_impossible_setting_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        HighestOrderSweep(**settings)


# --- the result -------------------------------------------------------------------------------------------------------


def test_multipliers_are_put_in_order_and_the_default_is_even_on_the_log_scale():
    assert HighestOrderSweep(multipliers=[2, 0.5, 2]).multipliers == (0.5, 2.0)
    grid = HighestOrderSweep().multipliers
    assert (grid[0], grid[-1]) == pytest.approx((1 / 3, 3))
    assert np.diff(np.log(grid)) == pytest.approx(math.log(3) / 4)
    assert isinstance(HighestOrderSweep(), Check)


def test_the_result_is_plain_repeats_and_names_its_columns():
    check = HighestOrderSweep(claim="more than 10,000")
    one, again = (check.run(IdentifiedPosterior(n_draws=500), KOSOVO, rng=7) for _ in range(2))
    written = json.dumps(one.to_dict(), allow_nan=False)
    assert written == json.dumps(again.to_dict(), allow_nan=False)
    assert {one.figure["kind"], one.figure["x"]} == {"curve", "multiplier"}
    assert one.figure["x"] in one.table
    assert (one.figure["neutral"], one.figure["log_x"]) == (1.0, True)
    assert one.figure["claim"] == {"low": 10_000.0, "high": None, "text": "more than 10,000"}
    assert one.provenance["rng"] == {"seed": 7}
    assert pickle.loads(pickle.dumps(one)).table.equals(one.table)


def test_sizes_of_a_private_table_leave_with_three_digits(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDDENPOP_KEY_FILE", str(tmp_path / "key"))
    result = HighestOrderSweep(multipliers=(1, 2)).run(
        hp.LogLinear(), private((0, 620, 450, 210, 380, 140, 110, 9))
    )
    shown = result.to_dict()
    sizes = (
        [row["n_hat"] for row in shown["table"]]
        if isinstance(shown["table"], list)
        else shown["table"]["n_hat"]
    )
    assert sizes == [float(f"{n:.2e}") for n in result.table["n_hat"]]
    assert sizes != result.table["n_hat"].tolist()


@pytest.mark.slow
def test_two_workers_give_the_same_bytes():
    check = HighestOrderSweep()
    one, two = (check.run(hp.SelectedLogLinear(), KOSOVO, rng=1, workers=w) for w in (1, 2))
    assert one.table.equals(two.table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """An estimator whose dark figure is not in proportion to 1/xi."""

    name: ClassVar[str] = "jump"

    xi: float = 1.0

    def fit(self, table: Any, *, rng: Any = None) -> Any:
        return hp.LogLinear(xi=self.xi**2).fit(table)


def test_what_is_not_in_proportion_is_interpolated():
    hidden = hp.LogLinear().fit(KOSOVO).n_hidden
    claim = f"fewer than {4400 + 2 * hidden:.0f}"
    text = HighestOrderSweep(claim=claim).run(Jump(), KOSOVO).text
    assert "in proportion" not in text
    assert "begins to fail at a multiplier of about 1.41 " in text
