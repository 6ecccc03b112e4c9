"""The plot of numbers year by year."""

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from tests.monitor.estimates import by_strata, yearly

from hiddenpop.errors import SettingError
from hiddenpop.monitor import trend
from hiddenpop.plotting import trend_plot


def named(ax: Axes, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def years_of(ax: Axes, gid: str) -> list[float]:
    return [float(x) for line in named(ax, gid) for x in line.get_xdata()]


def heights(ax: Axes, gid: str) -> list[tuple[float, float]]:
    return [(round(bar.get_x() + bar.get_width() / 2, 6), bar.get_height()) for bar in named(ax, gid)]


def extent(band: Any) -> tuple[float, float, float, float]:
    points = band.get_paths()[0].vertices
    return (points[:, 0].min(), points[:, 0].max(), points[:, 1].min(), points[:, 1].max())


def with_states(states: list[str], draws: np.ndarray | None = None, **options: Any) -> Any:
    size = len(states)
    chosen = 100.0 + np.random.default_rng(1).poisson(50, (400, size)) if draws is None else draws
    levels = {"year": [str(2015 + i) for i in range(size)]}
    return trend(
        by_strata(
            levels, [50] * size, chosen, kind="bootstrap", n_hat=[150.0] * size, status=states, **options
        )
    )


def test_points_bands_and_bars_stand_where_the_frame_says(ax: Axes) -> None:
    found = trend(yearly([2018, 2019, 2020]))
    assert trend_plot(found, ax=ax) is ax
    frame = found.frame
    assert [(p.get_xdata()[0], p.get_ydata()[0]) for p in named(ax, "point")] == list(
        zip(frame["year"], frame["n_hat"], strict=True)
    )
    assert heights(ax, "observed") == [(2018, 50), (2019, 50), (2020, 50)]
    (band,), (limits,) = named(ax, "band"), named(ax, "limits")
    assert extent(band)[2:] == (frame["simultaneous_low"].min(), frame["simultaneous_high"].max())
    assert extent(limits)[2:] == (frame["low"].min(), frame["high"].max())
    assert not named(ax, "arrow") + named(ax, "word")


def test_years_that_are_missing_break_path_and_bands(ax: Axes) -> None:
    trend_plot(trend(yearly([2015, 2016, 2018, 2019, 2021])), ax=ax)
    assert [list(line.get_xdata()) for line in named(ax, "path")] == [[2015, 2016], [2018, 2019]]
    assert len(named(ax, "band")) == 3
    assert "no estimate for 2017, 2020" in ax.get_xlabel()
    ax.figure.draw_without_rendering()
    assert "2017" in [label.get_text() for label in ax.get_xticklabels()]


def test_a_year_without_a_number_is_hatched_and_says_why(ax: Axes) -> None:
    trend_plot(with_states(["ok", "unbounded", "ok", "not_identified", "ok", "ok"]), ax=ax)
    assert [text.get_text() for text in named(ax, "word")] == ["no limit", "not identified"]
    assert [bar.get_hatch() for bar in named(ax, "without a number")] == ["////"] * 2
    assert years_of(ax, "point") == [2015, 2017, 2019, 2020]
    assert [list(line.get_xdata()) for line in named(ax, "path")] == [[2019, 2020]]
    assert "hatched: no number" in ax.get_xlabel()


def test_a_limit_beyond_the_axis_is_an_arrow(ax: Axes) -> None:
    draws = 100.0 + np.random.default_rng(2).poisson(50, (400, 3))
    draws[:60, 1] = np.inf
    trend_plot(with_states(["ok"] * 3, draws), ax=ax)
    (arrow,) = named(ax, "arrow")
    assert (arrow.get_xdata()[0], arrow.get_ydata()[0]) == (2016, ax.get_ylim()[1])
    assert not arrow.get_clip_on()
    assert ax.get_ylim()[1] < 1000
    assert "arrow: a limit lies beyond the axis" in ax.get_xlabel()


def test_a_huge_limit_does_not_flatten_the_years(ax: Axes) -> None:
    draws = 100.0 + np.random.default_rng(3).poisson(50, (400, 3)).astype(float)
    draws[:60, 0] = 1e9
    trend_plot(with_states(["ok"] * 3, draws), ax=ax)
    assert ax.get_ylim()[1] < 1000
    assert years_of(ax, "arrow") == [2015]


def test_boundary_is_a_hollow_diamond(ax: Axes) -> None:
    draws = np.tile([50.0, 150.0], (400, 1))
    estimate = by_strata({"year": ["1", "2"]}, [50, 50], draws, status=["boundary", "ok"])
    trend_plot(trend(estimate), ax=ax)
    hollow, full = named(ax, "point")
    assert hollow.get_markerfacecolor() == "white" != full.get_markerfacecolor()
    assert hollow.get_marker() != full.get_marker()
    assert "diamond: nobody hidden" in ax.get_xlabel()


def test_protection_leaves_out_small_years_and_one_more(ax: Axes) -> None:
    draws = 100.0 + np.random.default_rng(4).poisson(50, (400, 4))
    estimate = by_strata({"year": list("1234")}, [40, 3, 30, 60], draws, public=False)
    trend_plot(trend(estimate), ax=ax, protect=True)
    assert heights(ax, "observed") == [(1, 40), (4, 60)]
    assert years_of(ax, "point") == [1, 4]
    assert [text.get_text() for text in named(ax, "word")] == ["withheld"] * 2
    assert {bar.get_y() for bar in named(ax, "without a number")} == {0}
    assert "2 years are withheld" in ax.get_xlabel()


def test_without_protection_or_of_a_public_table_all_is_drawn(ax: Axes) -> None:
    draws = 100.0 + np.random.default_rng(4).poisson(50, (400, 2))
    for public, protect in ((False, False), (True, True)):
        ax.clear()
        estimate = by_strata({"year": list("12")}, [40, 3], draws, public=public)
        trend_plot(trend(estimate), ax=ax, protect=protect)
        assert heights(ax, "observed") == [(1, 40), (2, 3)]


def test_with_nothing_to_show_the_axis_holds(ax: Axes) -> None:
    trend_plot(with_states(["not_identified", "unbounded"], np.full((400, 2), math.inf)), ax=ax)
    assert 50 < ax.get_ylim()[1] < 1000


def test_one_year_has_bars_for_bands(ax: Axes) -> None:
    trend_plot(trend(yearly([2020])), ax=ax)
    (band,) = named(ax, "limits")
    low, high = extent(band)[:2]
    assert low < 2020 < high
    assert not named(ax, "path")


def test_several_groups_are_refused_and_the_record_draws_itself() -> None:
    levels = {"year": ["1", "2", "1", "2"], "sex": ["f", "f", "m", "m"]}
    estimate = by_strata(levels, [20] * 4, 50.0 + np.random.default_rng(5).poisson(50, (400, 4)))
    by_sex = trend(estimate, by="sex")
    with pytest.raises(SettingError, match="several groups, by sex; draw them with subgroup_plot"):
        trend_plot(by_sex)
    assert len(by_sex.plot().child_axes) == 2
    assert named(trend(estimate).plot(), "path")


def test_no_labels_overlap_in_the_figure_made_for_them() -> None:
    ax = trend_plot(with_states(["ok", "unbounded", "ok", "not_identified", "ok", "ok"]))
    ax.figure.draw_without_rendering()
    texts = [*named(ax, "word"), *ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, ax.yaxis.label]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert not [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]
    assert all(ax.figure.bbox.x0 <= box.x0 and box.x1 <= ax.figure.bbox.x1 for box in boxes)
