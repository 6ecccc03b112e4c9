"""The plots of parts: small multiples over years, and rows."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from tests.monitor.estimates import by_strata, two_by_two, yearly
from tests.plotting.test_trend import heights, named

from hiddenpop.errors import SettingError
from hiddenpop.monitor import Subgroups, rates, subgroups, trend
from hiddenpop.plotting import part_plot, subgroup_plot


def towns_by_year(n_towns: int, **options: Any) -> Any:
    levels = {
        "town": [f"town {i}" for i in range(n_towns) for _ in range(3)],
        "year": ["2018", "2019", "2020"] * n_towns,
    }
    counts = options.pop("counts", [20 + 5 * i for i in range(n_towns) for _ in range(3)])
    draws = np.array(counts) + np.random.default_rng(1).poisson(100, (400, 3 * n_towns))
    return trend(by_strata(levels, counts, draws.astype(np.float64), **options), by="town")


def labels(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def numbers(ax: Axes) -> list[str]:
    return [text.get_text() for text in named(ax, "numbers")]


# --- small multiples ---


def test_every_group_has_a_panel_with_its_years(ax: Axes) -> None:
    found = towns_by_year(4)
    assert subgroup_plot(found, ax=ax) is ax
    assert [panel.get_title(loc="left") for panel in ax.child_axes] == [f"town {i}" for i in range(4)]
    for i, panel in enumerate(ax.child_axes):
        assert heights(panel, "observed") == [(year, 20 + 5 * i) for year in (2018, 2019, 2020)]
        rows = found.frame[found.frame["town"] == f"town {i}"]
        assert [p.get_ydata()[0] for p in named(panel, "point")] == rows["n_hat"].tolist()


def test_panels_share_a_scale_unless_told_otherwise(ax: Axes) -> None:
    found = towns_by_year(3, counts=[20, 20, 20, 200, 200, 200, 2000, 2000, 2000])
    subgroup_plot(found, ax=ax)
    assert len({panel.get_ylim() for panel in ax.child_axes}) == 1
    assert {panel.get_xlim() for panel in ax.child_axes} == {(2017.4, 2020.6)}
    ax.clear()
    subgroup_plot(found, ax=ax, same_scale=False)
    assert len({panel.get_ylim() for panel in ax.child_axes}) == 3
    assert "a scale of its own" in ax.get_xlabel()


def test_the_largest_groups_stay_in_their_order_and_the_rest_is_counted(ax: Axes) -> None:
    subgroup_plot(towns_by_year(5), ax=ax, max_panels=3)
    assert [panel.get_title(loc="left") for panel in ax.child_axes] == ["town 2", "town 3", "town 4"]
    assert "2 more groups, with fewer observed, are not drawn" in ax.get_xlabel()


def test_protected_panels_leave_out_small_years(ax: Axes) -> None:
    found = towns_by_year(2, counts=[40, 4, 40, 50, 60, 70], public=False)
    subgroup_plot(found, ax=ax, protect=True)
    drawn = [[year for year, _ in heights(panel, "observed")] for panel in ax.child_axes]
    assert 2019 not in drawn[0]
    assert 2019 not in drawn[1]
    n_hidden = int(found.withheld.sum())
    assert f"{n_hidden} years are withheld" in ax.get_xlabel()
    assert sum(map(len, drawn)) == 6 - n_hidden


def test_panels_do_not_overlap() -> None:
    for size in (1, 2, 4, 6, 12):
        ax = subgroup_plot(towns_by_year(size))
        ax.figure.draw_without_rendering()
        boxes = [panel.get_tightbbox() for panel in ax.child_axes]
        assert not [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]
        lowest = min(box.y0 for box in boxes)
        assert ax.xaxis.label.get_window_extent().y1 <= lowest


def test_what_has_no_groups_is_refused(ax: Axes) -> None:
    with pytest.raises(SettingError, match="the trend has one group"):
        subgroup_plot(trend(yearly([2018, 2019])), ax=ax)
    with pytest.raises(SettingError, match="max_panels=0"):
        subgroup_plot(towns_by_year(2), ax=ax, max_panels=0)


# --- rows ---


def test_rows_hold_points_limits_and_what_was_observed(ax: Axes) -> None:
    parts = subgroups(two_by_two(), "sex")
    part_plot(parts, ax=ax)
    frame = parts.parts
    assert labels(ax) == ["f", "m"]
    assert [point.get_xdata()[0] for point in named(ax, "point")] == frame["n_hat"].tolist()
    assert [tuple(line.get_xdata()) for line in named(ax, "interval")] == list(
        zip(frame["low"], frame["high"], strict=True)
    )
    assert [mark.get_xdata()[0] for mark in named(ax, "observed")] == [50, 90]
    assert "all together" in ax.get_xlabel()


def test_rates_have_their_own_axis_and_a_line_for_all(ax: Axes) -> None:
    residents = pd.DataFrame({"sex": ["f", "m"], "residents": [10_000, 5_000]})
    found = rates(two_by_two(), residents, "sex")
    part_plot(found, ax=ax)
    (line,) = named(ax, "whole")
    assert line.get_xdata()[0] == found.frame["rate"].iloc[-1]
    assert "persons per 100,000 residents" in ax.get_xlabel()
    assert [point.get_xdata()[0] for point in named(ax, "point")] == found.frame["rate"].tolist()[:-1]


def test_words_and_arrows_stand_for_what_is_not_finite(ax: Axes) -> None:
    draws = np.tile([100.0, 100.0, 100.0, 100.0], (400, 1))
    draws[:60, 1:3] = np.inf
    states = ["ok", "ok", "unbounded", "not_identified"]
    estimate = by_strata(
        {"town": list("abcd")}, [50] * 4, draws, kind="bootstrap", n_hat=[100.0] * 4, status=states
    )
    part_plot(subgroups(estimate, "town"), ax=ax)
    assert numbers(ax) == [
        "100 (100 to 100)",
        "100 (100 to no limit)",
        "unbounded (from 100)",
        "not identified",
    ]
    assert [arrow.get_ydata()[0] for arrow in named(ax, "arrow")] == [1, 2]
    assert len(named(ax, "point")) == 2
    assert "arrow: a limit lies beyond the axis" in ax.get_xlabel()


def test_a_rate_without_residents_says_so(ax: Axes) -> None:
    residents = pd.DataFrame({"sex": ["f", "m"], "residents": [10_000, 0]})
    part_plot(rates(two_by_two(), residents, "sex", allow_missing=True), ax=ax)
    assert numbers(ax)[1] == "no residents"
    assert not named(ax, "whole")


def test_many_parts_are_cut_and_counted(ax: Axes) -> None:
    draws = 100.0 + np.random.default_rng(2).poisson(50, (400, 30))
    estimate = by_strata({"town": [f"t{i:02d}" for i in range(30)]}, list(range(10, 40)), draws)
    part_plot(subgroups(estimate, "town"), ax=ax, max_rows=5)
    assert labels(ax) == ["t25", "t26", "t27", "t28", "t29"]
    assert "25 more parts, with fewer observed, are not drawn" in ax.get_xlabel()
    with pytest.raises(SettingError, match="max_rows=0"):
        part_plot(subgroups(estimate, "town"), ax=ax, max_rows=0)


def test_protected_rows_are_left_out_and_counted(ax: Axes) -> None:
    estimate = by_strata({"town": list("abc")}, [4, 60, 70], np.full((400, 3), 300.0), public=False)
    part_plot(subgroups(estimate, "town"), ax=ax, protect=True)
    assert labels(ax) == ["c"]
    assert "2 parts are withheld" in ax.get_xlabel()
    ax.clear()
    part_plot(subgroups(estimate, "town"), ax=ax)
    assert labels(ax) == ["a", "b", "c"]


def test_records_draw_themselves(ax: Axes) -> None:
    parts = subgroups(two_by_two(), "sex")
    assert isinstance(parts, Subgroups)
    assert parts.plot(ax, max_rows=1) is ax
    assert len(labels(ax)) == 1
    assert math.isfinite(ax.get_xlim()[1])


def test_numbers_do_not_overlap_the_figure() -> None:
    ax = part_plot(subgroups(two_by_two(), ["sex", "age"]))
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in [*named(ax, "numbers"), *ax.get_yticklabels()]]
    assert all(ax.figure.bbox.x0 <= box.x0 and box.x1 <= ax.figure.bbox.x1 for box in boxes)
