"""Residuals by cell: where they stand, which are marked, which are left out."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from tests.plotting.estimates import estimate

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.plotting import residual_plot


def named(ax: Axes, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def places(ax: Axes, gid: str) -> dict[str, float]:
    """Read the marks of one kind: the cell and where its mark stands."""
    cells = [label.get_text() for label in ax.get_yticklabels()]
    marks = [zip(mark.get_ydata(), mark.get_xdata(), strict=True) for mark in named(ax, gid)]
    return {cells[int(row)]: float(x) for pairs in marks for row, x in pairs}


def fitted(cells: list[tuple[int, int, int, float, float, bool]]) -> Any:
    frame = pd.DataFrame(cells, columns=["a", "b", "count", "fitted", "residual", "on_face"])
    return estimate(200, 150, 320, details={"cells": frame, "model": "[1,2]"})


CELLS = [(1, 1, 4, 9.0, -5 / 3, True), (0, 1, 30, 20.0, 2.24, True), (1, 0, 40, 41.0, -0.16, True)]


def test_residuals_stand_at_their_cells_from_one_list_to_many(ax: Axes) -> None:
    residual_plot(fitted(CELLS), ax=ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "a & b"]
    assert places(ax, "residual") == {"a": -0.16, "b": 2.24, "a & b": pytest.approx(-5 / 3)}


def test_residuals_are_those_of_the_estimate(ax: Axes) -> None:
    kosovo = hp.estimate(hp.datasets.load("kosovo"), "loglinear", model="[12,3,4]")
    residual_plot(kosovo, ax=ax)
    cells = kosovo.details["cells"]
    expected = (cells["count"] - cells["fitted"]) / np.sqrt(cells["fitted"])
    assert sorted(places(ax, "residual").values()) == pytest.approx(sorted(expected))


def test_guides_stand_at_two_and_large_residuals_are_marked(ax: Axes) -> None:
    residual_plot(fitted(CELLS), ax=ax)
    assert [line.get_xdata()[0] for line in named(ax, "guide")] == [-2, 2]
    small, large = named(ax, "residual")
    assert list(large.get_xdata()) == [2.24]
    assert small.get_marker() != large.get_marker()
    assert "1 of 3 cells drawn lie beyond the dashed guides" in ax.get_xlabel()


def test_observed_and_fitted_counts_stand_beside(ax: Axes) -> None:
    residual_plot(fitted(CELLS), ax=ax)
    assert [text.get_text().split() for text in named(ax, "counts")] == [
        ["40", "/", "41.0"],
        ["30", "/", "20.0"],
        ["4", "/", "9.0"],
    ]


def test_cells_off_the_face_are_crosses(ax: Axes) -> None:
    residual_plot(hp.estimate(hp.datasets.load("artificial_3"), "loglinear", model="[13,23]"), ax=ax)
    assert set(places(ax, "off face")) == {"A & C", "B & C", "A & B & C"}
    assert set(places(ax, "residual")) == {"A", "B", "C", "A & B"}
    assert "off the face that holds the maximum (3 cells)" in ax.get_xlabel()


def test_largest_residuals_stay_when_there_are_too_many_cells(ax: Axes) -> None:
    residual_plot(fitted(CELLS), ax=ax, max_cells=2)
    assert set(places(ax, "residual")) == {"b", "a & b"}
    assert "1 more cells, with residuals within ±0.16, are not drawn" in ax.get_xlabel()


def test_long_names_become_patterns(ax: Axes) -> None:
    names = {"a": "organisation for coordination", "b": "youth protection services"}
    cells = fitted(CELLS).details["cells"].rename(columns=names)
    residual_plot(estimate(200, 150, 320, details={"cells": cells}), ax=ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["10", "01", "11"]
    assert "patterns: organisation for coordination, youth protection services" in ax.get_xlabel().replace(
        "\n", " "
    )


def test_title_names_table_estimator_and_model(ax: Axes) -> None:
    residual_plot(fitted(CELLS), ax=ax)
    assert ax.get_title(loc="left") == "t: residuals of loglinear [1,2]"


def test_protection_leaves_small_cells_out_and_says_so(ax: Axes) -> None:
    residual_plot(
        fitted([(1, 1, 4, 9.0, -5 / 3, True), (0, 1, 7, 5.0, 0.9, True), CELLS[2]]), ax=ax, protect=True
    )
    assert places(ax, "residual") == {"a": -0.16}
    assert "2 cells are withheld" in ax.get_xlabel()
    assert [text.get_text().split()[0] for text in named(ax, "counts")] == ["40"]


def test_protection_takes_a_second_cell_with_a_lone_small_one(ax: Axes) -> None:
    residual_plot(fitted(CELLS), ax=ax, protect=True)
    assert places(ax, "residual") == {"a": -0.16}
    assert "2 cells are withheld" in ax.get_xlabel()


def test_every_cell_withheld_leaves_an_empty_figure_that_says_so(ax: Axes) -> None:
    residual_plot(fitted([(1, 0, 4, 4.0, 0.0, True), (0, 1, 5, 5.0, 0.0, True)]), ax=ax, protect=True)
    assert places(ax, "residual") == {}
    assert "2 cells are withheld" in ax.get_xlabel()


def test_without_fitted_cells_it_is_refused(ax: Axes) -> None:
    with pytest.raises(SettingError, match="has no fitted cells"):
        residual_plot(estimate(200, 150, 320), ax=ax)


def test_no_cells_at_all_is_refused(ax: Axes) -> None:
    with pytest.raises(SettingError, match="max_cells=0 leaves nothing to draw"):
        residual_plot(fitted(CELLS), ax=ax, max_cells=0)
