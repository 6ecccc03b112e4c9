"""The bootstrap plot: every draw counted once, under the model it chose, below the two intervals."""

import dataclasses
import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from tests.plotting.estimates import estimate

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.plotting import bootstrap_plot
from hiddenpop.result import Estimate, EstimatorSpec, Interval

LOW, HIGH = np.geomspace(180, 220, 60), np.geomspace(380, 420, 30)
DRAWS = np.concatenate([LOW, HIGH])
MODELS = ("[12,3]",) * 60 + ("[13,2]",) * 30
LUMPS = ((200.0, 0.6), (400.0, 0.3))


def bootstrapped(
    draws: Any = DRAWS,
    models: tuple[str, ...] = MODELS,
    *,
    n_hat: float = 200.0,
    limits: tuple[float, float] = (150.0, 450.0),
    known: tuple[float, float] = (170.0, 230.0),
    n_observed: int = 100,
    lumps: tuple[tuple[float, float], ...] = LUMPS,
) -> Estimate:
    """Make an estimate with draws and the models they chose."""
    values = np.asarray(draws, dtype=np.float64)
    chosen = [
        {
            "model": model,
            "share": n / len(models),
            "median": float(np.median(values[np.array(models) == model])),
        }
        for model, n in Counter(models).most_common()
        if model
    ]
    details = {
        "models": pd.DataFrame(chosen, columns=["model", "share", "median"]),
        "draw_models": models,
        "lumps": [{"n": n, "share": share} for n, share in lumps],
        "base_interval": Interval(*known, 0.95, "profile, model taken as known"),
        "widening": (limits[1] - limits[0]) / (known[1] - known[0]),
    }
    made = estimate(
        n_hat,
        *limits,
        n_observed=n_observed,
        estimator=EstimatorSpec("bootstrapped", {}),
        details=details,
    )
    interval = Interval(*limits, 0.95, "bca bootstrap, selection redone")
    return dataclasses.replace(
        made, draws=values, interval=interval, n_failed=int(np.sum(~np.isfinite(values)))
    )


def named(ax: Axes, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def bars(ax: Axes) -> dict[str, list[tuple[float, float, float]]]:
    """Left end, right end and height of the bars by the label of their layer."""
    return {
        layer.get_label(): [
            (bar.get_x(), bar.get_x() + bar.get_width(), bar.get_height())
            for bar in layer
            if bar.get_height() > 0
        ]
        for layer in ax.containers
    }


def total(ax: Axes) -> float:
    return sum(height for layer in bars(ax).values() for *_, height in layer)


def texts(ax: Axes, gid: str) -> list[str]:
    return [text.get_text() for text in named(ax, gid)]


def legend(ax: Axes) -> list[str]:
    drawn = ax.get_legend()
    return [] if drawn is None else [text.get_text() for text in drawn.get_texts()]


def ends(line: Any) -> tuple[float, float]:
    low, high = line.get_xdata()
    return float(low), float(high)


def note(ax: Axes) -> str:
    return ax.get_xlabel().replace("\n", " ")


def test_each_draw_stands_under_the_model_it_chose(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(), ax=ax)
    first, second = bars(ax).values()
    assert sum(height for *_, height in first) == pytest.approx(60 / 90)
    assert sum(height for *_, height in second) == pytest.approx(30 / 90)
    assert all(left > 170 and right < 240 for left, right, _ in first)
    assert all(left > 360 and right < 430 for left, right, _ in second)
    assert ax.get_xscale() == "log"


def test_layers_lie_on_each_other(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(np.tile(LOW, 2), ("a",) * 60 + ("b",) * 60), ax=ax)
    lower, upper = ax.containers
    assert [bar.get_height() for bar in lower] == pytest.approx([bar.get_y() for bar in upper])
    assert total(ax) == pytest.approx(1.0)


def test_legend_names_models_with_share_and_median_in_the_order_of_the_stack(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(), ax=ax)
    assert legend(ax) == ["[13,2]  33%, median 400", "[12,3]  67%, median 199"]


def test_models_beyond_those_named_are_grey_together(ax: Axes) -> None:
    chosen = ("[12,3]",) * 60 + ("[13,2]",) * 20 + ("[1,2,3]",) * 10
    bootstrap_plot(bootstrapped(models=chosen), ax=ax, n_models=1)
    assert legend(ax) == ["2 other models  33%", "[12,3]  67%, median 199"]
    bottom, top = ax.containers
    assert bottom[0].get_facecolor() != top[0].get_facecolor()
    red, green, blue, _ = top[0].get_facecolor()
    assert red == green == blue


@pytest.mark.parametrize(("rest", "label"), [("[13,2]", "1 other model  33%"), ("", "no model  33%")])
def test_a_single_model_or_none_among_the_rest_is_called_so(ax: Axes, rest: str, label: str) -> None:
    bootstrap_plot(bootstrapped(models=("[12,3]",) * 60 + (rest,) * 30), ax=ax, n_models=1)
    assert legend(ax)[0] == label


def test_models_are_told_apart_by_colour(ax: Axes) -> None:
    chosen = tuple(f"m{i % 6}" for i in range(90))
    bootstrap_plot(bootstrapped(models=chosen), ax=ax)
    assert len({layer[0].get_facecolor() for layer in ax.containers}) == 6
    assert len(legend(ax)) == 6


def test_without_a_choice_of_model_there_is_one_colour_and_no_legend(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(models=("",) * 90), ax=ax)
    assert list(bars(ax)) == ["draws"]
    assert total(ax) == pytest.approx(1.0)
    assert legend(ax) == []


def test_intervals_and_estimate_stand_above(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(), ax=ax)
    assert [ends(line) for line in named(ax, "interval")] == [(150, 450), (170, 230)]
    assert texts(ax, "numbers") == ["150 to 450", "170 to 230"]
    assert [point.get_xdata()[0] for point in named(ax, "point")] == [200, 200]
    assert set(named(ax, "estimate")[0].get_xdata()) == {200}
    assert [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()] == [
        "95% bca bootstrap, selection redone",
        "95% profile, model taken as known",
    ]
    assert not named(ax, "arrow")
    bar_tops = max(bar.get_y() + bar.get_height() for layer in ax.containers for bar in layer)
    assert all(line.get_ydata()[0] > bar_tops for line in named(ax, "interval"))


def test_the_note_says_how_far_the_interval_widens(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(), ax=ax)
    assert "dashed line: the estimate, 200; observed: 100" in note(ax)
    assert "the interval of the bootstrap is 5.0 times as wide as that of its base" in note(ax)


def test_an_interval_without_limit_is_an_arrow(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(limits=(150.0, math.inf)), ax=ax)
    (arrow,) = named(ax, "arrow")
    right = ax.get_xlim()[1]
    assert arrow.get_xdata()[0] == right
    assert ends(named(ax, "interval")[0]) == (150, right)
    assert texts(ax, "numbers")[0] == "150 to no limit"
    assert "times as wide" not in note(ax)


def test_a_huge_limit_does_not_flatten_the_draws(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(limits=(150.0, 1e9)), ax=ax)
    assert ax.get_xlim()[1] < 600
    assert len(named(ax, "arrow")) == 1


def test_lumps_are_named_where_they_are(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(), ax=ax)
    assert texts(ax, "lump") == ["N ≈ 200\n60% of draws", "N ≈ 400\n30% of draws"]
    assert [lump.xy[0] for lump in named(ax, "lump")] == [200, 400]


def test_lumps_side_by_side_do_not_overlap(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(lumps=((195.0, 0.3), (200.0, 0.3), (205.0, 0.1), (400.0, 0.3))), ax=ax)
    ax.figure.draw_without_rendering()
    boxes = [Text.get_window_extent(lump) for lump in named(ax, "lump")]
    assert len(boxes) == 4
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_draws_without_a_number_are_counted_and_not_drawn(ax: Axes) -> None:
    draws = np.concatenate([DRAWS, [math.inf] * 8, [math.nan] * 2])
    bootstrap_plot(bootstrapped(draws, (*MODELS, *("[12,3]",) * 8, "", "")), ax=ax)
    assert total(ax) == pytest.approx(0.9)
    assert "arrow: unbounded, 8 of 100 draws (8%)" in note(ax)
    assert "without a number: 2 of 100 draws (2%)" in note(ax)
    assert len(named(ax, "unbounded")) == 1
    assert texts(ax, "unbounded share")[0].endswith("8%")


def test_without_unbounded_draws_there_is_no_strip(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(), ax=ax)
    assert not named(ax, "unbounded") + named(ax, "unbounded share")
    assert "unbounded" not in note(ax)
    assert "without a number" not in note(ax)
    assert "beyond the axis" not in note(ax)


def test_unbounded_draws_stand_right_of_all_bars(ax: Axes) -> None:
    bootstrap_plot(bootstrapped([*DRAWS, math.inf], (*MODELS, "")), ax=ax)
    (mark,) = named(ax, "unbounded")
    low, high = np.log(ax.get_xlim())
    place = math.exp(low + float(mark.get_xdata()[0]) * (high - low))
    assert place > max(right for layer in bars(ax).values() for _, right, _ in layer)


def test_a_single_far_draw_is_counted_instead_of_stretching_the_axis(ax: Axes) -> None:
    far = np.append(np.tile(DRAWS, 2), 1e12)
    bootstrap_plot(bootstrapped(far, (*MODELS, *MODELS, "[12,3]")), ax=ax)
    assert ax.get_xlim()[1] < 3000
    assert total(ax) == pytest.approx(180 / 181)
    assert "beyond the axis: 1 of 181 draws (<1%)" in note(ax)


def test_draws_that_are_all_the_same_are_one_bar(ax: Axes) -> None:
    bootstrap_plot(
        bootstrapped([200.0] * 20, ("[12,3]",) * 20, limits=(200, 200), lumps=((200.0, 1.0),)), ax=ax
    )
    (layer,) = bars(ax).values()
    assert [height for *_, height in layer] == pytest.approx([1.0])
    assert ax.get_xlim()[0] < 200 < ax.get_xlim()[1]


def test_draws_without_a_single_number_leave_the_intervals(ax: Axes) -> None:
    bootstrap_plot(bootstrapped([math.inf] * 20, ("",) * 20, limits=(150, math.inf), lumps=()), ax=ax)
    assert total(ax) == 0.0
    assert "arrow: unbounded, 20 of 20 draws (100%)" in note(ax)
    assert ends(named(ax, "interval")[1]) == (170, 230)


def test_protection_keeps_a_small_number_observed_out(ax: Axes) -> None:
    draws = np.concatenate([np.full(20, 7.0), np.geomspace(9, 30, 20)])
    made = bootstrapped(
        draws,
        ("[1,2]",) * 20 + ("[12]",) * 20,
        n_hat=8.0,
        limits=(7.0, 40.0),
        known=(7.0, 20.0),
        n_observed=7,
        lumps=((7.0, 0.5), (20.0, 0.5)),
    )
    bootstrap_plot(made, ax=ax, protect=True)
    assert "the estimate, 10; observed: <10" in note(ax)
    assert texts(ax, "numbers") == ["10 to 40", "10 to 20"]
    assert [ends(line) for line in named(ax, "interval")] == [(10, 40), (10, 20)]
    assert texts(ax, "lump")[0].startswith("N ≈ 10\n")
    assert legend(ax)[-1] == "[1,2]  50%, median 10"
    assert min(left for layer in bars(ax).values() for left, *_ in layer) > 9.9
    assert total(ax) == pytest.approx(1.0)


def test_without_protection_a_small_number_observed_is_drawn(ax: Axes) -> None:
    bootstrap_plot(bootstrapped(n_observed=7), ax=ax)
    assert "observed: 7" in note(ax)


@pytest.mark.parametrize("n_models", [0, 7])
def test_more_models_than_colours_or_none_are_refused(ax: Axes, n_models: int) -> None:
    with pytest.raises(SettingError, match=rf"n_models={n_models}: there are colours for 1 to 6 models"):
        bootstrap_plot(bootstrapped(), ax=ax, n_models=n_models)


def test_an_estimate_without_a_bootstrap_is_refused(ax: Axes) -> None:
    with pytest.raises(SettingError, match="loglinear on t holds no bootstrap; the plot needs"):
        bootstrap_plot(estimate(200, 150, 320), ax=ax)


def test_draws_of_another_kind_are_refused(ax: Axes) -> None:
    sampled = dataclasses.replace(estimate(200, 150, 320), draws=DRAWS)
    with pytest.raises(SettingError, match="holds no bootstrap"):
        bootstrap_plot(sampled, ax=ax)


def test_no_words_overlap_in_the_figure_made_for_them() -> None:
    draws = np.concatenate([DRAWS, [math.inf] * 10])
    ax = bootstrap_plot(bootstrapped(draws, (*MODELS, *("[12,13,23,24,25,34,35,45]",) * 10)))
    ax.figure.draw_without_rendering()
    shown = [*named(ax, "numbers"), *named(ax, "lump"), *named(ax, "unbounded share")]
    shown += [*ax.get_yticklabels(), ax.xaxis.label, ax.title, *ax.get_legend().get_texts()]
    boxes = [text.get_window_extent() for text in shown]
    pairs = [(i, j) for i in range(len(boxes)) for j in range(i)]
    assert not [(shown[i], shown[j]) for i, j in pairs if boxes[i].overlaps(boxes[j])]
    assert all(ax.figure.bbox.x0 <= box.x0 and box.x1 <= ax.figure.bbox.x1 for box in boxes)


def test_a_fitted_bootstrap_is_drawn_whole(ax: Axes) -> None:
    fitted = hp.Bootstrapped(n_boot=400, interval="percentile").fit(hp.datasets.load("korea"), rng=1)
    bootstrap_plot(fitted, ax=ax)
    assert total(ax) == pytest.approx(1.0)
    assert {label.split("  ")[0] for label in legend(ax)} == {"[12,23]", "[12,3]"}
    assert len(named(ax, "lump")) == len(fitted.details["lumps"]) == 2
