"""The forest plot: points, intervals, and words where there is no point."""

import math
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tests.plotting.estimates import estimate, not_identified, unbounded

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.plotting import forest_plot
from hiddenpop.result import Estimate, EstimatorSpec


def named(ax: Axes, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def ends(line: Any) -> tuple[float, float]:
    low, high = line.get_xdata()
    return float(low), float(high)


def numbers(ax: Axes) -> list[str]:
    return [text.get_text() for text in named(ax, "numbers")]


def row_labels(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_points_and_intervals_stand_where_the_estimates_say(ax: Axes) -> None:
    forest_plot([estimate(200, 150, 320), estimate(180, 130, 260)], labels=["one", "two"], ax=ax)
    assert [(point.get_xdata()[0], point.get_ydata()[0]) for point in named(ax, "point")] == [
        (200, 0),
        (180, 1),
    ]
    assert [ends(line) for line in named(ax, "interval")] == [(150, 320), (130, 260)]
    assert numbers(ax) == ["200 (150 to 320)", "180 (130 to 260)"]
    assert row_labels(ax) == ["one", "two"]
    assert not named(ax, "arrow")
    assert not named(ax, "word")


def test_first_estimate_is_on_top(ax: Axes) -> None:
    forest_plot([estimate(200, 150, 320), estimate(180, 130, 260)], ax=ax)
    bottom, top = ax.get_ylim()
    assert bottom > top


def test_number_observed_is_a_line(ax: Axes) -> None:
    forest_plot([estimate(200, 150, 320), estimate(180, 130, 260)], ax=ax)
    (line,) = named(ax, "observed")
    assert set(line.get_xdata()) == {100}
    assert "observed, 100" in ax.get_xlabel()


def test_numbers_observed_that_differ_are_marked_by_row(ax: Axes) -> None:
    forest_plot([estimate(200, 150, 320), estimate(180, 130, 260, n_observed=90, table="u")], ax=ax)
    marks = [segment for marks in named(ax, "observed") for segment in marks.get_segments()]
    assert [(mark[0][0], round(mark[:, 1].mean())) for mark in marks] == [(90, 1), (100, 0)]
    assert "observed, 90, 100" in ax.get_xlabel()


def test_unbounded_is_an_arrow_and_a_word_without_a_point(ax: Axes) -> None:
    forest_plot([estimate(200, 150, 320), unbounded()], ax=ax)
    (arrow,) = named(ax, "arrow")
    right = ax.get_xlim()[1]
    assert (arrow.get_xdata()[0], arrow.get_ydata()[0]) == (right, 1)
    assert not arrow.get_clip_on()
    assert ends(named(ax, "interval")[1]) == (120, right)
    assert [text.get_text() for text in named(ax, "word")] == ["unbounded"]
    assert len(named(ax, "point")) == 1
    assert numbers(ax)[1] == "unbounded (from 120)"
    assert row_labels(ax)[1].endswith("[unbounded]")
    assert "arrow: the interval goes on beyond the axis" in ax.get_xlabel()


@pytest.mark.parametrize(
    ("status", "word"), [("not_identified", "not identified"), ("not_converged", "not converged")]
)
def test_without_a_number_there_is_a_word_only(ax: Axes, status: Any, word: str) -> None:
    forest_plot([estimate(math.nan, 100, math.inf, status=status)], ax=ax)
    assert [text.get_text() for text in named(ax, "word")] == [word]
    assert numbers(ax) == [word]
    assert not named(ax, "point") + named(ax, "interval") + named(ax, "arrow")
    assert row_labels(ax)[0].endswith(f"[{word}]")


def test_boundary_is_a_hollow_mark_at_the_number_observed(ax: Axes) -> None:
    forest_plot([estimate(100, 100, 140, status="boundary"), estimate(120, 110, 150)], ax=ax)
    hollow, full = named(ax, "point")
    assert hollow.get_xdata()[0] == 100
    assert hollow.get_markerfacecolor() == "white" != full.get_markerfacecolor()
    assert hollow.get_marker() != full.get_marker()
    assert row_labels(ax)[0].endswith("[boundary]")


def test_an_infinite_limit_of_a_finite_estimate_is_an_arrow(ax: Axes) -> None:
    forest_plot([estimate(200, 150, math.inf)], ax=ax)
    assert len(named(ax, "arrow")) == len(named(ax, "point")) == 1
    assert numbers(ax) == ["200 (150 or more)"]


def test_a_huge_limit_does_not_flatten_the_others(ax: Axes) -> None:
    forest_plot([estimate(200, 150, 320), estimate(250, 120, 1e9)], ax=ax)
    assert ax.get_xlim()[1] < 5000
    assert named(ax, "arrow")[0].get_ydata()[0] == 1
    assert "1,000,000,000" in numbers(ax)[1]


@pytest.mark.parametrize(("high", "scale"), [(700.0, "linear"), (900.0, "log")])
def test_axis_is_logarithmic_from_a_factor_of_eight(ax: Axes, high: float, scale: str) -> None:
    forest_plot([estimate(200, 150, high)], ax=ax)
    assert ax.get_xscale() == scale
    assert ("log scale" in ax.get_xlabel()) is (scale == "log")


def test_axis_names_the_level(ax: Axes) -> None:
    forest_plot([estimate(200, 150, 320, level=0.9)], ax=ax)
    assert "90% interval" in ax.get_xlabel()


def test_axis_names_levels_that_differ(ax: Axes) -> None:
    forest_plot([estimate(200, 150, 320, level=0.9), estimate(200, 150, 320, level=0.99)], ax=ax)
    assert "90% to 99% interval" in ax.get_xlabel()


@pytest.mark.parametrize("estimates", [[unbounded()], [not_identified()], [unbounded(), not_identified()]])
def test_without_any_number_the_axis_still_holds_the_observed(ax: Axes, estimates: list[Estimate]) -> None:
    forest_plot(estimates, ax=ax)
    low, high = ax.get_xlim()
    assert low < 100 < high < 10_000
    assert len(named(ax, "word")) == len(estimates)


def test_ticks_of_a_narrow_axis_differ(ax: Axes) -> None:
    forest_plot([estimate(50, 50, 50, n_observed=50, status="boundary")], ax=ax)
    ax.figure.draw_without_rendering()
    shown = [label.get_text() for label in ax.get_xticklabels()]
    assert len(shown) == len(set(shown)) >= 2


def test_limits_hold_every_point_and_ordinary_interval(ax: Axes) -> None:
    chosen = [estimate(200, 150, 320), estimate(5000, 900, 20_000), unbounded()]
    forest_plot(chosen, ax=ax)
    low, high = ax.get_xlim()
    assert low < 100
    assert high > 20_000


def test_default_labels_leave_out_settings_at_their_default(ax: Axes) -> None:
    forest_plot([hp.estimate(hp.datasets.load("korea"), "selected", criterion="aic")], ax=ax)
    assert row_labels(ax) == ["selected (criterion=aic)"]


def test_default_labels_name_the_table_where_there_are_several(ax: Axes) -> None:
    forest_plot([estimate(200, 150, 320, table="t"), estimate(200, 150, 320, table="u")], ax=ax)
    assert row_labels(ax) == ["t: loglinear (model=[12,3])", "u: loglinear (model=[12,3])"]
    assert ax.get_title(loc="left").startswith("t, u:")


def test_an_estimator_that_is_not_registered_has_a_label(ax: Axes) -> None:
    own = EstimatorSpec("mine", {"base": {"name": "loglinear", "settings": {}}, "size": 3})
    forest_plot([estimate(200, 150, 320, estimator=own)], ax=ax)
    assert row_labels(ax) == ["mine (base=loglinear, size=3)"]


def test_no_labels_overlap_in_the_figure_made_for_them() -> None:
    ax = forest_plot([estimate(200, 150, 320), unbounded(), not_identified(), estimate(150, 120, 900)])
    ax.figure.draw_without_rendering()
    texts = [*named(ax, "numbers"), *named(ax, "word"), *ax.get_yticklabels(), ax.xaxis.label]
    boxes = [text.get_window_extent() for text in texts]
    pairs = [(i, j) for i in range(len(boxes)) for j in range(i)]
    assert not [(texts[i], texts[j]) for i, j in pairs if boxes[i].overlaps(boxes[j])]
    assert all(ax.figure.bbox.x0 <= box.x0 and box.x1 <= ax.figure.bbox.x1 for box in boxes)


def test_protection_keeps_a_small_number_observed_out(ax: Axes) -> None:
    forest_plot([estimate(9, 7, 30, n_observed=7)], labels=["a"], ax=ax, protect=True)
    assert not named(ax, "observed")
    assert "observed, <10 (not drawn)" in ax.get_xlabel()
    assert ends(named(ax, "interval")[0]) == (10, 30)
    assert named(ax, "point")[0].get_xdata()[0] == 10
    assert numbers(ax) == ["10 (10 to 30)"]


def test_without_protection_a_small_number_observed_is_drawn(ax: Axes) -> None:
    forest_plot([estimate(9, 7, 30, n_observed=7)], ax=ax)
    assert set(named(ax, "observed")[0].get_xdata()) == {7}
    assert "observed, 7" in ax.get_xlabel()


def test_nothing_to_draw_is_refused(ax: Axes) -> None:
    with pytest.raises(SettingError, match="no estimates to draw"):
        forest_plot([], ax=ax)


def test_labels_must_match_the_estimates(ax: Axes) -> None:
    with pytest.raises(SettingError, match="2 labels for 1 estimates"):
        forest_plot([estimate(200, 150, 320)], labels=["a", "b"], ax=ax)


def test_an_estimate_and_a_comparison_draw_themselves(ax: Axes) -> None:
    comparison = hp.compare(
        hp.datasets.load("korea"), {"none": hp.LogLinear(), "pair": hp.LogLinear(model="[12,3]")}
    )
    assert comparison.plot(ax) is ax
    assert row_labels(ax) == ["none\nif this model is true", "pair\nif this model is true"]
    alone = Figure().add_subplot()
    assert comparison.estimates[0].plot(alone) is alone
    assert len(named(alone, "point")) == 1
