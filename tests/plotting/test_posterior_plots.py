"""Chains and replicated tables in figures: what is drawn, and what is withheld."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from tests.plotting.estimates import estimate

from hiddenpop.bayes.convergence import convergence
from hiddenpop.bayes.inference_data import inference_data
from hiddenpop.bayes.predictive import PredictiveCheck, predictive_check
from hiddenpop.errors import SettingError
from hiddenpop.plotting.posterior import rank_plot, trace_plot
from hiddenpop.plotting.predictive import predictive_plot

COUNTS = [30, 20, 4, 12, 9, 0, 2]


def named(ax: Axes, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def sampled(shift: float = 0.0, n_draws: int = 500, n_observed: int = 100) -> Any:
    drawn = np.exp(5.5 + 0.2 * np.random.default_rng(1).normal(size=(4, n_draws)))
    drawn[3] += shift
    drawn = np.round(n_observed + drawn)
    details = {"idata": inference_data({"N": drawn}), "convergence": convergence(drawn).as_dict()}
    return estimate(300, n_observed, 500, n_observed=n_observed, details=details)


def check(level: float = 0.95) -> PredictiveCheck:
    bits = np.arange(1, 8)
    cells = pd.DataFrame({name: bits >> i & 1 for i, name in enumerate("abc")}).assign(count=COUNTS)
    drawn = np.random.default_rng(1).poisson([30, 20, 4, 40, 9, 1, 2], (2000, 7))
    return predictive_check(drawn, cells, ["a", "b", "c"], level=level)


# --- chains -----------------------------------------------------------------------------------------------------------


def test_every_chain_has_its_ranks(ax: Axes) -> None:
    rank_plot(sampled(), ax=ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2", "3", "4"]
    bars = np.array([bar.get_height() for bar in ax.patches]).reshape(4, -1)
    assert bars.sum(axis=1).std() < 0.01 * bars.sum(axis=1).mean()
    assert "do the chains of loglinear agree" in ax.get_title(loc="left")
    assert "R-hat 1.00" in ax.get_xlabel()


def test_a_chain_that_lies_higher_has_its_bars_at_the_right(ax: Axes) -> None:
    rank_plot(sampled(shift=300.0), ax=ax)
    bars = np.array([bar.get_height() for bar in ax.patches]).reshape(4, -1)
    half = bars.shape[1] // 2
    assert bars[3, half:].sum() > 20 * bars[3, :half].sum()
    assert bars[0, half:].sum() < bars[0, :half].sum()


def test_every_chain_has_its_way(ax: Axes) -> None:
    made = sampled()
    trace_plot(made, ax=ax)
    lines = named(ax, "chain")
    drawn = made.details["idata"].posterior["N"].to_numpy()
    assert [line.get_ydata().tolist() for line in lines] == drawn.tolist()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["1", "2", "3", "4"]
    assert ax.get_yscale() == "linear"


def test_long_chains_are_thinned_and_wide_ones_logarithmic(ax: Axes) -> None:
    trace_plot(sampled(shift=50_000.0, n_draws=4000), ax=ax)
    assert len(named(ax, "chain")[0].get_ydata()) == 1000
    assert "every 4th draw is shown" in ax.get_xlabel()
    assert ax.get_yscale() == "log"


def test_a_small_number_observed_is_kept_out_of_the_way(ax: Axes) -> None:
    made = sampled(n_observed=3)
    drawn = np.full((2, 50), 3.0)
    drawn[0, ::2] = 40.0
    made.details["idata"].posterior["N"][:2, :50] = drawn
    trace_plot(made, ax=ax, protect=True)
    assert min(line.get_ydata().min() for line in named(ax, "chain")) == 10


@pytest.mark.parametrize("plot", [rank_plot, trace_plot])
def test_an_estimate_without_chains_is_refused(plot: Any, ax: Axes) -> None:
    with pytest.raises(SettingError, match="loglinear on t holds no chains to draw"):
        plot(estimate(300, 100, 500), ax=ax)


# --- replicated tables ------------------------------------------------------------------------------------------------


def test_observed_counts_stand_within_their_limits(ax: Axes) -> None:
    found = check()
    predictive_plot(found, ax=ax)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["a", "b", "c", "a & b", "a & c", "b & c", "a & b & c"]
    inside, odd = named(ax, "observed")
    assert list(odd.get_xdata()) == [12.0]
    assert names[int(odd.get_ydata()[0])] == "c"
    assert sorted([*inside.get_xdata(), 12.0]) == sorted(map(float, COUNTS))
    [limits] = named(ax, "limits")
    ends = [segment[:, 0].tolist() for segment in limits.get_segments()]
    ordered = found.cells.iloc[[0, 1, 3, 2, 4, 5, 6]]
    assert ends == ordered[["low", "high"]].to_numpy().tolist()
    assert "(1 of 7 cells)" in ax.get_xlabel()


def test_cells_furthest_out_stay(ax: Axes) -> None:
    predictive_plot(check(), ax=ax, max_cells=1)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["c"]
    assert "6 more cells, nearer to their medians, are not drawn" in ax.get_xlabel()


def test_small_counts_are_withheld(ax: Axes) -> None:
    predictive_plot(check(), ax=ax, protect=True)
    drawn = {x for line in named(ax, "observed") for x in line.get_xdata()}
    assert not drawn & {4.0, 9.0, 2.0}
    assert "cells are withheld: their counts are below 10" in ax.get_xlabel()


def test_ticks_are_round_and_apart(ax: Axes) -> None:
    predictive_plot(check(), ax=ax)
    ticks = ax.get_xticks()
    assert ticks[0] == 0
    assert np.diff(np.sqrt(ticks)).min() > 0.06 * np.sqrt(ticks[-1])


def test_nothing_to_draw_is_refused(ax: Axes) -> None:
    with pytest.raises(SettingError, match="max_cells=0 leaves nothing to draw"):
        predictive_plot(check(), ax=ax, max_cells=0)
