"""The overlap plot: a bar a capture history, dots for its lists, sizes at the left."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.plotting import overlap_plot
from hiddenpop.plotting.style import INK
from hiddenpop.table import CaptureTable


def heights(ax: Axes) -> list[float]:
    return [bar.get_height() for bar in ax.patches]


def labels(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def panels(ax: Axes) -> tuple[Axes, Axes]:
    """Give the panel of dots and the panel of list sizes."""
    _, dots, sizes = ax.figure.axes
    return dots, sizes


def note(ax: Axes) -> str:
    return panels(ax)[0].get_xlabel().replace("\n", " ")


def totals(ax: Axes) -> list[str]:
    return [text.get_text().strip() for text in panels(ax)[1].texts]


def on_lists(ax: Axes) -> set[tuple[int, int]]:
    """Read the dark dots: which bar is on which list."""
    dark = [dots for dots in panels(ax)[0].collections if to_hex(dots.get_facecolor()[0]) == INK]
    return {(int(x), int(y)) for x, y in np.concatenate([dots.get_offsets() for dots in dark])}


def small_table(counts: dict[str, int], *, public: bool = True) -> CaptureTable:
    frame = pd.DataFrame([[int(bit) for bit in cell] for cell in counts], columns=list("ABC"))
    return CaptureTable.from_counts(frame.assign(count=list(counts.values())), name="small", public=public)


def test_bars_are_the_counts_from_large_to_small(ax: Axes) -> None:
    table = hp.datasets.load("korea")
    overlap_plot(table, ax=ax)
    assert heights(ax) == [54, 41, 12, 6, 5, 5]
    assert sum(heights(ax)) == table.n_observed
    assert labels(ax) == ["54", "41", "12", "6", "5", "5"]


def test_dots_say_which_lists_a_bar_belongs_to(ax: Axes) -> None:
    overlap_plot(small_table({"100": 30, "011": 20, "101": 10}), ax=ax)
    assert on_lists(ax) == {(0, 0), (1, 1), (1, 2), (2, 0), (2, 2)}


def test_list_sizes_stand_beside_the_list_names(ax: Axes) -> None:
    overlap_plot(small_table({"100": 30, "011": 20, "101": 10}), ax=ax)
    sizes = panels(ax)[1]
    assert [bar.get_width() for bar in sizes.patches if bar.get_height() < 1] == [40, 20, 30]
    assert totals(ax) == ["40", "20", "30"]
    assert [label.get_text() for label in sizes.get_yticklabels()] == ["A", "B", "C"]


def test_empty_overlaps_are_named(ax: Axes) -> None:
    overlap_plot(hp.datasets.load("uk"), ax=ax)
    assert "2 of 15 pairs of lists share nobody: LA & GP, LA & NCA" in note(ax)


def test_absence_of_empty_overlaps_is_said(ax: Axes) -> None:
    overlap_plot(hp.datasets.load("kosovo"), ax=ax)
    assert "every pair of lists shares people" in note(ax)


def test_many_empty_overlaps_are_counted(ax: Axes) -> None:
    lists = "ABCDEFGH"
    table = CaptureTable.from_memberships([[name] for name in lists for _ in range(3)])
    overlap_plot(table, ax=ax)
    assert "28 of 28 pairs of lists share nobody" in note(ax)
    assert "and 8 more" in note(ax)


def test_strata_are_added_up(ax: Axes) -> None:
    table = hp.datasets.load("spina_bifida")
    overlap_plot(table, ax=ax)
    assert heights(ax) == sorted(table.collapse().counts.tolist(), reverse=True)


def test_smallest_bars_beyond_the_limit_are_left_out_and_counted(ax: Axes) -> None:
    overlap_plot(hp.datasets.load("korea"), ax=ax, max_cells=4)
    assert heights(ax) == [54, 41, 12, 6]
    assert "the 2 with the fewest people, together 10, are not drawn" in note(ax)


@pytest.mark.parametrize(("name", "scale"), [("netherlands", "log"), ("kosovo", "linear")])
def test_scale_follows_the_span_and_is_named(ax: Axes, name: str, scale: str) -> None:
    overlap_plot(hp.datasets.load(name), ax=ax)
    assert ax.get_yscale() == scale
    assert ("log scale" in ax.get_ylabel()) is (scale == "log")


def test_on_a_log_scale_a_count_of_one_has_a_bar_and_all_fit(ax: Axes) -> None:
    overlap_plot(hp.datasets.load("netherlands"), ax=ax)
    bottom, top = ax.get_ylim()
    assert bottom < 1 <= min(heights(ax))
    assert max(heights(ax)) == 4466 < top


def test_log_can_be_refused(ax: Axes) -> None:
    overlap_plot(hp.datasets.load("netherlands"), ax=ax, log=False)
    assert ax.get_yscale() == "linear"
    assert ax.get_ylim()[0] == 0


def test_counts_of_a_million_and_more_are_written_short(ax: Axes) -> None:
    overlap_plot(small_table({"100": 10**12, "011": 2_345_678, "101": 12}), ax=ax)
    assert labels(ax) == ["1 trillion", "2.346 million", "12"]


def test_censored_counts_are_upper_bounds(ax: Axes) -> None:
    overlap_plot(hp.datasets.load("scottish_pwid"), ax=ax)
    assert "≤684" in labels(ax)
    assert [bar.get_hatch() is not None for bar in ax.patches].count(True) == 1
    assert "upper bound" in note(ax)


def test_no_counts_touch_in_the_figure_made_for_them() -> None:
    ax = overlap_plot(hp.datasets.load("netherlands"))
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(left.overlaps(right) for left, right in pairwise(boxes))
    assert max(box.y1 for box in boxes) < ax.bbox.y1


def test_protected_bars_are_hatched_at_the_threshold(ax: Axes) -> None:
    overlap_plot(small_table({"100": 40, "010": 30, "001": 7, "110": 4}), ax=ax, protect=True)
    assert heights(ax) == [40, 30, 10, 10]
    assert labels(ax) == ["40", "30", "<10", "<10"]
    assert [bar.get_hatch() is not None for bar in ax.patches] == [False, False, True, True]
    assert "<10: withheld" in note(ax)


def test_protected_bars_do_not_show_their_order(ax: Axes) -> None:
    def cells(first: int, second: int) -> set[tuple[int, int]]:
        place = Figure().add_subplot()
        overlap_plot(small_table({"100": 40, "010": first, "001": second}), ax=place, protect=True)
        return on_lists(place)

    assert cells(7, 4) == cells(4, 7)


def test_withheld_bars_come_after_all_that_show_their_count(ax: Axes) -> None:
    overlap_plot(small_table({"100": 40, "010": 7, "110": 4, "001": 10}), ax=ax, protect=True)
    assert labels(ax) == ["40", "10", "<10", "<10"]


def test_one_small_count_takes_another_with_it(ax: Axes) -> None:
    overlap_plot(small_table({"100": 40, "010": 30, "001": 20, "110": 4}), ax=ax, protect=True)
    assert labels(ax) == ["40", "30", "<10", "<10"]


def test_protected_list_sizes_count_only_the_bars_shown(ax: Axes) -> None:
    overlap_plot(small_table({"100": 40, "010": 30, "001": 7, "110": 4}), ax=ax, protect=True)
    assert totals(ax) == ["≥40", "≥30", "≥0"]


def test_protection_changes_nothing_without_small_counts(ax: Axes) -> None:
    overlap_plot(hp.datasets.load("kosovo"), ax=ax, protect=True)
    assert heights(ax) == sorted(hp.datasets.load("kosovo").counts.tolist(), reverse=True)
    assert totals(ax) == ["1,910", "1,528", "1,786", "685"]
    assert "withheld" not in note(ax)


def test_protection_hides_a_small_total_and_what_is_not_drawn(ax: Axes) -> None:
    overlap_plot(small_table({"110": 4, "001": 3}), ax=ax, protect=True, max_cells=1)
    written = ax.get_title(loc="left") + note(ax) + "".join(totals(ax) + labels(ax))
    assert "small: <10 people" in ax.get_title(loc="left")
    assert "together" not in note(ax)
    assert "7" not in written.replace("of 7 capture histories", "")


def test_given_axes_become_the_panel_of_bars_in_their_place(ax: Axes) -> None:
    figure = Figure(figsize=(12, 4))
    left, right = figure.subplots(1, 2)
    assert overlap_plot(hp.datasets.load("korea"), ax=right) is right
    assert right.get_title(loc="left").startswith("korea:")
    assert all(panel.get_position().x0 > left.get_position().x1 for panel in figure.axes[1:])


def test_free_axes_are_divided_in_their_place() -> None:
    figure = Figure()
    ax = figure.add_axes((0.2, 0.3, 0.6, 0.5))
    overlap_plot(hp.datasets.load("korea"), ax=ax)
    dots, sizes = panels(ax)
    assert ax.get_position().y0 == pytest.approx(dots.get_position().y1)
    assert sizes.get_position().x1 == pytest.approx(dots.get_position().x0)
    assert (sizes.get_position().x0, sizes.get_position().y0) == pytest.approx((0.2, 0.3))
    assert (ax.get_position().x1, ax.get_position().y1) == pytest.approx((0.8, 0.8))


def test_given_axes_leave_pyplot_alone(ax: Axes) -> None:
    from matplotlib import pyplot as plt

    overlap_plot(hp.datasets.load("korea"), ax=ax)
    assert plt.get_fignums() == []


def test_without_axes_a_pyplot_figure_is_made() -> None:
    from matplotlib import pyplot as plt

    ax = overlap_plot(hp.datasets.load("korea"))
    assert plt.get_fignums() == [ax.figure.number]


def test_no_bars_at_all_is_refused(ax: Axes) -> None:
    with pytest.raises(SettingError, match="max_cells=0 leaves nothing to draw"):
        overlap_plot(hp.datasets.load("korea"), ax=ax, max_cells=0)
