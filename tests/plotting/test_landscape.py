"""The landscape of models: criterion against N, rivals named."""

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from tests.plotting.estimates import estimate, selection

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.plotting import landscape_plot

ROWS = [
    ("[12,3]", 2, 50.0, 300.0, "ok"),
    ("[1,2,3]", 1, 51.0, 600.0, "ok"),
    ("[13,2]", 2, 51.5, 620.0, "ok"),
    ("[12,13]", 2, 58.0, 900.0, "ok"),
    ("[12,23]", 2, 75.0, 1000.0, "ok"),
]


def named(ax: Axes, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def places(ax: Axes, gid: str) -> list[tuple[float, float]]:
    groups = [group.get_offsets() for group in named(ax, gid)]
    return sorted((float(x), float(y)) for x, y in np.concatenate(groups)) if groups else []


def heads(ax: Axes) -> list[str]:
    return [text.get_text() for text in named(ax, "lump")]


def bodies(ax: Axes) -> list[str]:
    return [text.get_text() for text in named(ax, "names")]


def test_models_stand_at_their_n_and_distance_from_the_best(ax: Axes) -> None:
    landscape_plot(selection(ROWS, model="[12,3]"), ax=ax)
    assert places(ax, "models") == [(300, 0), (600, 1), (620, 1.5), (900, 8)]
    assert ax.get_xscale() == "log"


def test_within_limits_what_is_drawn(ax: Axes) -> None:
    landscape_plot(selection(ROWS, model="[12,3]"), ax=ax, within=30)
    assert (1000, 25) in places(ax, "models")
    assert "5 of 5 models lie within 30 units, 3 in the shaded band of 2 units" in ax.get_xlabel()


def test_selected_model_is_circled_and_named(ax: Axes) -> None:
    landscape_plot(selection(ROWS, model="[12,3]"), ax=ax)
    assert places(ax, "selected") == [(300, 0)]
    assert bodies(ax)[0] == "[12,3]  +0.00  selected"


def test_a_selected_model_out_of_reach_is_drawn_all_the_same(ax: Axes) -> None:
    landscape_plot(selection(ROWS, model="[12,23]"), ax=ax)
    assert places(ax, "selected") == [(1000, 25)]
    assert ax.get_ylim()[1] > 25
    assert "[12,23]  +25.00  selected" in bodies(ax)
    assert "4 of 5 models lie within 10 units" in ax.get_xlabel()


def test_lumps_in_the_band_are_named_with_their_n(ax: Axes) -> None:
    landscape_plot(selection(ROWS, model="[12,3]"), ax=ax)
    assert heads(ax) == ["N ≈ 300", "N ≈ 600 to 620"]
    assert bodies(ax)[1] == "[1,2,3]  +1.00\n[13,2]  +1.50"


def test_band_of_two_units_is_shaded(ax: Axes) -> None:
    landscape_plot(selection(ROWS, model="[12,3]"), ax=ax)
    (band,) = named(ax, "band")
    assert (band.get_y(), band.get_height()) == (0, 2)


def test_orders_differ_in_colour_and_marker(ax: Axes) -> None:
    landscape_plot(selection(ROWS, model="[12,3]"), ax=ax)
    first, second = named(ax, "models")
    assert (first.get_label(), second.get_label()) == ("order 1", "order 2")
    assert not np.allclose(first.get_facecolor(), second.get_facecolor())
    assert len(first.get_paths()[0].vertices) != len(second.get_paths()[0].vertices)


def test_models_without_a_finite_n_stand_in_the_strip(ax: Axes) -> None:
    rows = [
        *ROWS,
        ("[12,13,23]", 2, 50.5, math.inf, "unbounded"),
        ("[123]", 3, 54.0, math.nan, "not_identified"),
    ]
    landscape_plot(selection(rows, model="[12,3]"), ax=ax)
    assert [y for _, y in places(ax, "without")] == [0.5, 4]
    assert all(x > 0.9 for x, _ in places(ax, "without"))
    assert heads(ax)[-1] == "no finite N"
    assert bodies(ax)[-1] == "[12,13,23]  +0.50"
    assert [group.get_label() for group in named(ax, "without")] == [
        "no finite N: unbounded",
        "no finite N: not identified or not converged",
    ]


def test_a_better_model_without_a_finite_n_lies_below_zero(ax: Axes) -> None:
    rows = [*ROWS, ("[12,13,23]", 2, 47.0, math.inf, "unbounded")]
    landscape_plot(selection(rows, model="[12,3]"), ax=ax)
    assert [y for _, y in places(ax, "without")] == [-3]
    assert ax.get_ylim()[0] < -3
    assert places(ax, "selected") == [(300, 0)]
    assert bodies(ax)[-1] == "[12,13,23]  -3.00"


def test_a_model_that_did_not_converge_has_no_place_on_the_axis(ax: Axes) -> None:
    landscape_plot(selection([*ROWS, ("[23,1]", 2, 52.0, 0.0, "not_converged")], model="[12,3]"), ax=ax)
    assert ax.get_xlim()[0] > 100
    assert [y for _, y in places(ax, "without")] == [2]


def test_boundary_models_are_finite(ax: Axes) -> None:
    landscape_plot(selection([*ROWS, ("[23,1]", 2, 50.2, 100.0, "boundary")], model="[12,3]"), ax=ax)
    assert places(ax, "models")[0] == (100, pytest.approx(0.2))
    assert heads(ax)[0] == "N ≈ 100"


def test_a_crowded_lump_names_the_best_three(ax: Axes) -> None:
    rows = [(f"[{i}]", 2, 50.0 + i / 10, 300.0 + i, "ok") for i in range(6)]
    landscape_plot(selection(rows, model="[5]"), ax=ax)
    assert bodies(ax) == ["[0]  +0.00\n[1]  +0.10\n[5]  +0.50  selected\nand 3 more in the band"]


def test_at_most_four_lumps_are_named_the_selected_among_them(ax: Axes) -> None:
    rows = [(f"[{i}]", 2, 50.0 + i / 10, 300.0 * 2**i, "ok") for i in range(6)]
    landscape_plot(selection(rows, model="[5]"), ax=ax)
    assert heads(ax) == ["N ≈ 300", "N ≈ 600", "N ≈ 1,200", "N ≈ 9,600"]


def test_an_average_is_a_line_and_no_model_is_circled(ax: Axes) -> None:
    landscape_plot(selection(ROWS), ax=ax)
    (line,) = named(ax, "estimate")
    assert line.get_segments()[0][0][0] == 300
    assert not named(ax, "selected")


def test_five_lists_of_the_uk_show_two_answers_within_two_units(ax: Axes) -> None:
    fitted = hp.estimate(hp.datasets.load("uk_5"), "selected", criterion="bic")
    landscape_plot(fitted, ax=ax)
    assert heads(ax) == ["N ≈ 12,300", "N ≈ 23,000 to 28,800"]
    band = [n for n, distance in places(ax, "models") if distance <= 2]
    assert min(band) == pytest.approx(12262.41, abs=0.01)
    assert "[12,13,23,25,34]  +0.66" in bodies(ax)[1]
    assert "[123,25,34]  +0.00  selected" in bodies(ax)[1]


@pytest.mark.parametrize(("table", "criterion"), [("uk_5", "aic"), ("kosovo", "bic"), ("korea", "aic")])
def test_names_do_not_overlap_and_stay_inside(table: str, criterion: str) -> None:
    ax = landscape_plot(hp.estimate(hp.datasets.load(table), "selected", criterion=criterion))
    ax.figure.draw_without_rendering()
    # An annotation's own extent includes its arrow; only the text counts here.
    boxes = [
        super(type(text), text).get_window_extent() for text in [*named(ax, "lump"), *named(ax, "names")]
    ]
    assert not [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]
    assert all(ax.bbox.y0 <= box.y0 and box.y1 <= ax.transData.transform((1, 0))[1] for box in boxes)


def test_protection_keeps_a_small_number_observed_out(ax: Axes) -> None:
    few = hp.CaptureTable.from_memberships([["a"], ["a", "b"], ["b"], ["a", "b", "c"], ["c"]], name="few")
    landscape_plot(hp.estimate(few, "selected"), ax=ax, protect=True)
    assert "observed: <10" in ax.get_xlabel()


def test_an_estimate_without_a_record_is_refused(ax: Axes) -> None:
    with pytest.raises(SettingError, match="loglinear on t keeps no record of models tried"):
        landscape_plot(estimate(200, 150, 320), ax=ax)


def test_a_record_without_a_finite_model_is_refused(ax: Axes) -> None:
    with pytest.raises(SettingError, match="none of the 1 models tried on t has a finite N"):
        landscape_plot(selection([("[12]", 2, 50.0, math.inf, "unbounded")]), ax=ax)


@pytest.mark.parametrize("within", [0.0, -1.0, math.nan])
def test_reach_must_be_positive(ax: Axes, within: float) -> None:
    with pytest.raises(SettingError, match="must be a positive distance"):
        landscape_plot(selection(ROWS), ax=ax, within=within)


def test_after_an_exact_search_no_more_is_said_than_it_knows(ax: Axes) -> None:
    estimate = hp.SelectedLogLinear(criterion="aic").fit(hp.datasets.load("kosovo"))
    every = hp.SelectedLogLinear(criterion="aic", search="exhaustive").fit(hp.datasets.load("kosovo"))
    window = estimate.details["proof"].window
    aic = every.details["selection"]["aic"]
    near = int((aic - aic.min() <= window).sum())
    landscape_plot(estimate, ax=ax, within=100)
    assert f"{near} models lie within {window:g} units" in ax.get_xlabel()
