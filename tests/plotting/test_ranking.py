"""The plot of an order with its uncertainty."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from tests.monitor.estimates import by_strata
from tests.plotting.test_trend import named

from hiddenpop.errors import SettingError
from hiddenpop.monitor import Ranks, ranks
from hiddenpop.plotting import ranking_plot


def order(size: int = 12, top: int = 3, **options: Any) -> Ranks:
    counts = options.pop("counts", [50] * size)
    draws = 100.0 + np.random.default_rng(1).poisson(50.0 + 10.0 * np.arange(size), (400, size))
    estimate = by_strata({"town": [f"t{i:02d}" for i in range(size)]}, counts, draws, **options)
    return ranks(estimate, "town", top=top)


def texts(ax: Axes, gid: str) -> list[str]:
    return [text.get_text() for text in named(ax, gid)]


def test_places_and_limits_stand_where_the_frame_says(ax: Axes) -> None:
    found = order()
    assert ranking_plot(found, ax=ax) is ax
    frame = found.frame
    assert [label.get_text() for label in ax.get_yticklabels()] == frame["town"].tolist()
    assert [point.get_xdata()[0] for point in named(ax, "rank")] == frame["rank"].tolist()
    assert [tuple(line.get_xdata()) for line in named(ax, "limits")] == list(
        zip(frame["rank_low"], frame["rank_high"], strict=True)
    )
    assert texts(ax, "share") == [f"{share:.2f}" for share in frame["top_share"]]
    bottom, top = ax.get_ylim()
    assert bottom > top


def test_only_the_first_places_are_drawn_and_the_rest_is_counted(ax: Axes) -> None:
    ranking_plot(order(), ax=ax, max_places=4)
    assert len(named(ax, "rank")) == 4
    assert "8 more of 12 are not drawn" in ax.get_xlabel()
    with pytest.raises(SettingError, match="max_places=0"):
        ranking_plot(order(), ax=ax, max_places=0)


def test_full_points_are_within_the_first_places_with_all_limits(ax: Axes) -> None:
    found = order(top=3)
    ranking_plot(found, ax=ax)
    full = [point.get_markerfacecolor() != "white" for point in named(ax, "rank")]
    assert full == (found.frame["rank_high"] <= 3).tolist()
    assert 0 < sum(full) < 12
    (line,) = named(ax, "top")
    assert line.get_xdata()[0] == 3.5


def test_ticks_are_ranks_from_one(ax: Axes) -> None:
    ranking_plot(order(), ax=ax)
    ticks = ax.get_xticks()
    assert ticks[0] == 1
    assert all(float(tick).is_integer() for tick in ticks)


def test_shares_are_called_by_their_name(ax: Axes) -> None:
    ranking_plot(order(), ax=ax)
    assert "posterior probability to be among them" in ax.get_xlabel().replace("\n", " ")
    ax.clear()
    ranking_plot(order(kind="bootstrap", n_hat=[150.0] * 12), ax=ax)
    assert "share of resamples to be among them" in ax.get_xlabel().replace("\n", " ")


def test_when_all_are_in_the_first_places_there_is_no_border(ax: Axes) -> None:
    ranking_plot(order(size=3, top=10), ax=ax)
    assert not named(ax, "top")
    assert "dashed line" not in ax.get_xlabel()


def test_protection_withholds_numbers_and_keeps_ranks(ax: Axes) -> None:
    found = order(size=4, counts=[4, 60, 70, 80], public=False)
    ranking_plot(found, ax=ax, protect=True)
    withheld = [text == "withheld" for text in texts(ax, "numbers")]
    assert withheld == [bool(hide) for hide in found.withheld]
    assert sum(withheld) == 2
    assert len(named(ax, "rank")) == 4
    assert "numbers of 2 are withheld" in ax.get_xlabel()


def test_what_has_no_number_says_so(ax: Axes) -> None:
    draws = np.tile([100.0, np.inf, 90.0], (400, 1))
    states = ["ok", "unbounded", "not_identified"]
    estimate = by_strata(
        {"town": list("abc")}, [50] * 3, draws, kind="bootstrap", n_hat=[100.0] * 3, status=states
    )
    ranking_plot(ranks(estimate, "town"), ax=ax)
    assert texts(ax, "numbers") == ["unbounded", "100 (100 to 100)", "not identified"]


def test_rates_are_written_per_residents(ax: Axes) -> None:
    draws = np.tile([100.0, 200.0], (400, 1))
    residents = pd.DataFrame({"town": ["a", "b"], "residents": [1_000, 100_000]})
    estimate = by_strata({"town": ["a", "b"]}, [50, 50], draws)
    ranks(estimate, "town", residents=residents).plot(ax)
    assert texts(ax, "numbers") == ["10,000", "200"]
    assert texts(ax, "head")[1] == "per 100,000"
    assert "persons per resident" in ax.get_title(loc="left")


def test_no_labels_overlap_in_the_figure_made_for_them() -> None:
    ax = ranking_plot(order(size=30), max_places=25)
    ax.figure.draw_without_rendering()
    shown = [
        *named(ax, "numbers"),
        *named(ax, "share"),
        *named(ax, "head"),
        *ax.get_yticklabels(),
        ax.xaxis.label,
    ]
    boxes = [text.get_window_extent() for text in shown]
    assert not [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]
    assert all(ax.figure.bbox.x0 <= box.x0 and box.x1 <= ax.figure.bbox.x1 for box in boxes)
