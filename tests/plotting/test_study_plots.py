"""Plots of simulation studies: what is drawn is what the study says."""

import math
from typing import Any

import pandas as pd
import pytest
from matplotlib.axes import Axes

from hiddenpop.errors import SettingError
from hiddenpop.plotting import coverage_plot, error_overlap_plot, zip_plot
from hiddenpop.validation import Study
from hiddenpop.validation.measures import NOT_APPLICABLE

N, TRUTH = 10, 100


def rows(scenario: str, estimator: str, **columns: Any) -> pd.DataFrame:
    """Make ten replicates; intervals 90 to 110 around 100 unless told otherwise."""
    frame = {
        "scenario": scenario,
        "estimator": estimator,
        "replicate": range(N),
        "truth": TRUTH,
        "n_hat": 100.0,
    }
    frame |= {"low": 90.0, "high": 110.0, "level": 0.95, "status": "ok", "reason": "", "has_interval": True}
    return pd.DataFrame(
        {**frame, "n_observed": 80, "n_failed": 0, "n_warnings": 0, "seconds": 0.1, **columns}
    )


def made_up(*frames: pd.DataFrame) -> Study:
    names = dict.fromkeys(name for frame in frames for name in frame["scenario"])
    overlaps = dict(zip(names, (5.0, 200.0), strict=False))
    record = {"description": "", "truth": TRUTH, "n_lists": 2, "assumptions": [], "model": None}
    scenarios = [{"scenario": name, "smallest_overlap": overlaps[name], **record} for name in names]
    return Study.from_frames(frames, {"scenarios": scenarios})


@pytest.fixture
def result() -> Study:
    misses = [111.0] * 3 + [90.0] * 7
    return made_up(
        rows("a", "x", low=misses, high=120.0, n_hat=[115.0] * 3 + [100.0] * 7),
        rows("a", "y", high=math.inf, n_hat=math.inf, status="unbounded"),
        rows("b", "x", has_interval=[False] * 2 + [True] * 8, n_hat=[math.nan] * 2 + [150.0] * 8),
        rows(
            "b", "y", status=NOT_APPLICABLE, n_hat=math.nan, low=math.nan, high=math.nan, has_interval=False
        ),
    )


def named(ax: Axes, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def test_coverage_stands_where_the_study_says(result: Study, ax: Axes) -> None:
    coverage_plot(result, ax=ax)
    assert [point.get_xdata()[0] for point in named(ax, "share")] == [0.7, 1.0, 0.8]
    assert [text.get_text() for text in named(ax, "none")] == ["not applicable"]
    assert named(ax, "nominal")[0].get_xdata() == [0.95, 0.95]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_bars_are_monte_carlo_intervals_within_0_and_1(result: Study, ax: Axes) -> None:
    coverage_plot(result, ax=ax, estimators=["x"])
    first, second = (bar.get_xdata() for bar in named(ax, "bar"))
    assert first == pytest.approx([0.7 - 1.96 * math.sqrt(0.021), 0.7 + 1.96 * math.sqrt(0.021)])
    assert second[1] == 1.0


def test_estimators_are_named_once_there_are_several(result: Study, ax: Axes) -> None:
    coverage_plot(result, ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["x", "y"]
    assert ax.get_title(loc="left") == "Coverage of intervals"


@pytest.mark.parametrize("plot", [coverage_plot, error_overlap_plot])
def test_labels_that_are_not_there_are_refused(plot: Any, result: Study, ax: Axes) -> None:
    with pytest.raises(SettingError, match="no estimator 'z'; it has x, y"):
        plot(result, ax=ax, estimators=["z"])
    with pytest.raises(SettingError, match="0 estimators on one axis"):
        plot(result, ax=ax, estimators=[])


def test_zip_puts_the_misses_on_top(result: Study, ax: Axes) -> None:
    zip_plot(result, "a", "x", ax=ax)
    (hits,), (misses,) = named(ax, "hit"), named(ax, "miss")
    heights = [[segment[0][1] for segment in lines.get_segments()] for lines in (hits, misses)]
    assert len(heights[0]) == 7
    assert len(heights[1]) == 3
    assert max(heights[0]) < 70.0 < min(heights[1])
    assert "coverage 70.0% of 10, claimed 95%" in ax.get_xlabel()
    assert named(ax, "truth")[0].get_xdata() == [100.0, 100.0]


def test_zip_says_how_many_have_no_interval(result: Study, ax: Axes) -> None:
    zip_plot(result, "b", "x", ax=ax)
    assert "2 without an interval" in ax.get_xlabel()
    assert sum(len(lines.get_segments()) for lines in named(ax, "hit") + named(ax, "miss")) == 8


def test_zip_cuts_intervals_without_an_end(result: Study, ax: Axes) -> None:
    zip_plot(result, "a", "y", ax=ax)
    right = ax.get_xlim()[1]
    (hits,) = named(ax, "hit")
    assert all(right < segment[1][0] < 2 * right for segment in hits.get_segments())


def test_zip_refuses_what_does_not_apply(result: Study, ax: Axes) -> None:
    with pytest.raises(SettingError, match="'y' does not apply in 'b'"):
        zip_plot(result, "b", "y", ax=ax)
    with pytest.raises(SettingError, match="the study has no 'x' in 'c'"):
        zip_plot(result, "c", "x", ax=ax)


def test_errors_stand_at_their_overlap(result: Study, ax: Axes) -> None:
    error_overlap_plot(result, ax=ax, estimators=["x"])
    points = [(point.get_xdata()[0], point.get_ydata()[0]) for point in named(ax, "median")]
    assert points == [pytest.approx((5.0, 0.0)), pytest.approx((200.0, 0.5))]
    assert ax.get_xscale() == "log"


def test_infinite_errors_are_arrows(result: Study, ax: Axes) -> None:
    error_overlap_plot(result, ax=ax, estimators=["y"])
    assert len(named(ax, "arrow")) == 1
    assert not named(ax, "median")


def test_a_study_plots_its_coverage(result: Study, ax: Axes) -> None:
    assert result.plot(ax) is ax
    assert named(ax, "share")
