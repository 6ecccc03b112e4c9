"""The figures of checks: gaps are drawn and counted, the claim and where it fails can be read off."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hiddenpop.errors import SettingError
from hiddenpop.plotting import check_page, check_plot
from hiddenpop.plotting.check_parts import drawing_of, failure_note, ratio_text
from hiddenpop.result import EstimatorSpec
from hiddenpop.sensitivity import CheckResult
from hiddenpop.table import TableSummary

INF, NAN = math.inf, math.nan
BASE = {"n_hat": 100.0, "low": 80.0, "high": 130.0}
ABOVE_90: Mapping[str, Any] = {"low": 90.0, "high": None, "text": "more than 90"}
STATUS = {True: "unbounded", False: "refused"}


def check(
    points: Mapping[str, Any],
    *,
    claim: Mapping[str, Any] = ABOVE_90,
    passed: bool | None = False,
    public: bool = True,
    protected: tuple[str, ...] = (),
    name: str = "made_up",
    **figure: Any,
) -> CheckResult:
    frame = pd.DataFrame(points)
    for limit in ("low", "high"):
        frame[limit] = frame.get(limit, NAN)
    status = ["ok" if math.isfinite(n) else STATUS[math.isinf(n)] for n in frame["n_hat"]]
    frame = frame.assign(status=status, reason="")
    return CheckResult(
        name=name,
        passed=passed,
        table=frame,
        text="N runs from here to there.",
        figure={"title": "a title", "baseline": BASE, "claim": claim, **figure},
        estimator=EstimatorSpec("chapman", {}),
        data=TableSummary("table", "", ("a", "b"), public),
        n_points=len(frame),
        n_failed=int((frame["status"] != "ok").sum()),
        protected=protected,
    )


def curve(n_hat: list[float], x: list[float] | None = None, **more: Any) -> CheckResult:
    at = x or [0.25, 0.5, 1.0, 2.0, 4.0]
    figure = {"x": "x", "x_label": "odds ratio", "log_x": True, "series": "", "neutral": 1.0}
    limits = {"low": [0.8 * n for n in n_hat], "high": [1.2 * n for n in n_hat]}
    options = {name: more.pop(name) for name in list(more) if name in figure}
    points = {"x": at, "n_hat": n_hat, **limits, **more.pop("columns", {})}
    return check(points, kind="curve", **{**figure, **options}, **more)


def contour(n_hat: Any, x: list[float], y: list[float], **more: Any) -> CheckResult:
    grid = list(itertools.product(y, x))
    points = {"x": [b for _, b in grid], "y": [a for a, _ in grid], "n_hat": np.ravel(n_hat)}
    figure = {"x": "x", "y": "y", "log_x": False, "log_y": False, "neutral": [0.0, 0.0]}
    return check(points, kind="contour", **{**figure, **more})


def named(ax: Axes, gid: str) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == gid]


def words(ax: Axes, gid: str) -> list[str]:
    return [artist.get_text() for artist in named(ax, gid)]


def xs(ax: Axes, gid: str) -> list[float]:
    return [float(x) for line in named(ax, gid) for x in line.get_xdata()]


def note(ax: Axes) -> str:
    return ax.get_xlabel().replace("\n", " ")


def tick_labels(axis: Axes) -> list[Any]:
    """Those that are seen: locators also give ticks beyond the ends."""
    found = []
    for one, (low, high) in ((axis.xaxis, sorted(axis.get_xlim())), (axis.yaxis, sorted(axis.get_ylim()))):
        inside = [tick for tick in one.get_major_ticks() if low <= tick.get_loc() <= high]
        found += [tick.label1 for tick in inside if tick.label1.get_text() and tick.label1.get_visible()]
    return found


# --- curve ------------------------------------------------------------------------------------------------------------


def test_a_curve_breaks_at_points_without_a_number_and_counts_them(ax: Axes) -> None:
    found = curve([95.0, NAN, 100.0, 110.0, INF])
    assert check_plot(found, ax=ax) is ax
    assert [list(line.get_xdata()) for line in named(ax, "path")] == [[0.25], [1.0, 2.0]]
    assert (xs(ax, "unknown"), xs(ax, "unbounded")) == ([0.5], [4.0])
    assert "2 of 5 points without a number: 1 refused, 1 unbounded" in note(ax)
    assert named(ax, "unbounded")[0].get_ydata()[0] == ax.get_ylim()[1]


def test_baseline_and_claim_are_lines_with_their_words(ax: Axes) -> None:
    check_plot(curve([95.0, 97.0, 100.0, 110.0, 120.0]), ax=ax)
    (base,), (band,), (claim,) = (named(ax, gid) for gid in ("baseline", "baseline band", "claim"))
    assert (base.get_ydata()[0], claim.get_ydata()[0]) == (100.0, 90.0)
    assert (band.get_y(), band.get_y() + band.get_height()) == (80.0, 130.0)
    assert claim.get_linestyle() != "-"
    assert words(ax, "words") == ["more than 90", "estimate\n100"]
    assert "dashed: the claim, more than 90 (fails)" in note(ax)


def test_the_tipping_point_is_where_the_line_passes_the_claim(ax: Axes) -> None:
    check_plot(curve([60.0, 80.0, 100.0, 110.0, 120.0]), ax=ax)
    (mark,) = named(ax, "tipping")
    share = math.log(90 / 80) / math.log(100 / 80)
    assert mark.get_xdata()[0] == pytest.approx(0.5 ** (1 - share))
    assert mark.get_ydata()[0] == 90.0
    assert words(ax, "tipping words") == ["0.72"]


def test_a_gap_hides_no_tipping_point_behind_a_guess(ax: Axes) -> None:
    check_plot(curve([60.0, 80.0, NAN, 110.0, 120.0]), ax=ax)
    assert not named(ax, "tipping")


def test_factors_are_labelled_as_fractions_and_the_neutral_one_is_dotted(ax: Axes) -> None:
    check_plot(curve([90.0, 95.0, 100.0, 110.0, 120.0], x=[1 / 3, 1 / 2, 1.0, 2.0, 3.0]), ax=ax)
    ax.figure.draw_without_rendering()
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert {"1/3", "1/2", "1", "2", "3"} <= set(labels)
    assert set(xs(ax, "neutral")) == {1.0}
    assert [ratio_text(x) for x in (0.2, 2 / 3, 0.8, 1.25, 1000)] == ["1/5", "2/3", "0.8", "1.25", "1,000"]


def test_a_limit_beyond_the_axis_is_an_arrow_and_flattens_nothing(ax: Axes) -> None:
    high = [110.0, 110.0, 120.0, 1e9, INF]
    check_plot(curve([95.0, 97.0, 100.0, 105.0, 110.0], columns={"high": high}), ax=ax)
    assert xs(ax, "arrow") == [2.0, 4.0]
    assert ax.get_ylim()[1] < 1000
    assert "small arrow: a limit beyond the axis" in note(ax)


def test_without_a_claim_the_ends_are_those_of_the_interval(ax: Axes) -> None:
    claim = {"low": 80.0, "high": 130.0, "text": "within the interval of the estimate, 80 to 130"}
    check_plot(curve([70.0, 95.0, 100.0, 110.0, 140.0], claim=claim), ax=ax)
    assert [line.get_ydata()[0] for line in named(ax, "claim")] == [80.0, 130.0]
    assert "dashed: the ends of that interval (fails)" in note(ax)
    assert len(named(ax, "tipping")) == 2


def several(n_series: int) -> CheckResult:
    x = [0.5, 1.0, 2.0]
    points = [(f"pair {k}", at, 100.0 * at ** (0.1 * k)) for k in range(n_series) for at in x]
    columns = {"pair": [pair for pair, _, _ in points]}
    n = [n for _, _, n in points]
    return curve(n, [at for _, at, _ in points], columns=columns, series="pair", claim={})


def test_a_few_series_are_named_in_a_legend(ax: Axes) -> None:
    check_plot(several(3), ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["pair 0", "pair 1", "pair 2"]
    assert len(named(ax, "limits")) == 3
    colours = {line.get_color() for line in named(ax, "path")}
    markers = {line.get_marker() for line in named(ax, "path")}
    assert len(colours) == len(markers) == 3


def test_of_many_series_those_that_move_most_are_named_and_the_others_counted(ax: Axes) -> None:
    check_plot(several(10), ax=ax)
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == [*(f"pair {k}" for k in range(5, 10)), "5 others"]
    assert len(named(ax, "path")) == 10
    assert "limits are in the table" in note(ax)


def test_without_any_number_the_axis_has_no_ticks(ax: Axes) -> None:
    check_plot(curve([INF] * 5, baseline={"n_hat": None, "low": None, "high": None}, claim={}), ax=ax)
    assert xs(ax, "unbounded") == [0.25, 0.5, 1.0, 2.0, 4.0]
    assert not len(ax.get_yticks())
    assert "5 of 5 points without a number: 5 unbounded" in note(ax)


# --- contour ----------------------------------------------------------------------------------------------------------


def test_a_small_grid_says_its_numbers_and_those_that_fail_in_red(ax: Axes) -> None:
    check_plot(contour([[100, 80], [120, NAN]], [0.0, 0.1], [0.0, 0.2]), ax=ax)
    numbers = {text.get_text(): text.get_color() for text in named(ax, "number")}
    assert list(numbers) == ["100", "80", "120"]
    assert numbers["80"] != numbers["100"] == numbers["120"]
    (gap,) = named(ax, "unknown")
    assert gap.get_hatch()
    assert (gap.get_x() + gap.get_width() / 2, gap.get_y() + gap.get_height() / 2) == pytest.approx(
        (0.1, 0.2)
    )
    assert "1 of 4 points without a number: 1 refused" in note(ax)
    assert "box: no change (estimate 100)" in note(ax)


def test_the_line_of_the_claim_runs_where_the_size_passes_it(ax: Axes) -> None:
    check_plot(contour([[100, 80], [100, 80]], [0.0, 0.1], [0.0, 0.2]), ax=ax)
    (line,) = named(ax, "claim")
    points = np.concatenate([path.vertices for path in line.get_paths()])
    assert points[:, 0] == pytest.approx(0.05)


def test_a_large_grid_has_lines_of_equal_size_and_hatched_gaps(ax: Axes) -> None:
    x = [0.01 * k for k in range(12)]
    sizes = np.array([[100.0 + 400 * a - 300 * b for b in x] for a in x])
    sizes[0, 0], sizes[-1, -1] = NAN, INF
    check_plot(contour(sizes, x, x), ax=ax)
    assert not named(ax, "number")
    assert (len(named(ax, "unknown")), len(named(ax, "unbounded"))) == (1, 1)
    assert "circle: no change" in note(ax)
    assert "hatched in red: unbounded; hatched in grey: no number" in note(ax)


@pytest.mark.parametrize("sizes", [[[100.0, 100.0]], [[NAN, INF]], [[100.0], [120.0]]])
def test_a_grid_of_one_line_or_of_nothing_is_drawn(ax: Axes, sizes: Any) -> None:
    shape = np.shape(sizes)
    check_plot(contour(sizes, [0.0, 0.1][: shape[1]], [0.0, 0.1][: shape[0]]), ax=ax)
    ax.figure.draw_without_rendering()


# --- forest -----------------------------------------------------------------------------------------------------------


def forest(n_hat: list[float], truth: list[float] | None = None, **more: Any) -> CheckResult:
    points: dict[str, Any] = {"label": [f"row {k}" for k in range(len(n_hat))], "n_hat": n_hat}
    points |= {"low": [0.8 * n if math.isfinite(n) else 60.0 for n in n_hat]}
    points |= {"high": [1.3 * n for n in n_hat], **({"truth": truth} if truth else {})}
    return check(points, kind="forest", label="label", truth="truth" if truth else "", **more)


def test_rows_have_points_limits_words_and_numbers(ax: Axes) -> None:
    check_plot(forest([100.0, INF, NAN, 120.0]), ax=ax)
    assert xs(ax, "point") == [100.0, 120.0]
    assert words(ax, "word") == ["unbounded", "refused"]
    assert words(ax, "numbers") == ["100 (80 to 130)", "120 (96 to 156)"]
    assert len(named(ax, "arrow")) == 1
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"row {k}" for k in range(4)]
    assert words(ax, "words") == ["more than 90"]


def test_known_sizes_are_bars_and_the_estimate_is_left_out(ax: Axes) -> None:
    check_plot(forest([100.0, 50.0], truth=[110.0, 40.0]), ax=ax)
    assert xs(ax, "truth") == [110.0, 40.0]
    assert not named(ax, "baseline") + named(ax, "claim")
    assert "black bar: the true size" in note(ax)


def test_of_many_rows_the_furthest_are_drawn_and_the_others_told(ax: Axes) -> None:
    sizes = [100.0 + k for k in range(50)]
    check_plot(forest(sizes), ax=ax)
    assert xs(ax, "point") == sizes[20:]
    assert "20 more, nearer to the estimate, are not drawn (100 to 119)" in note(ax)


@pytest.mark.parametrize("n", [NAN, INF])
def test_rows_that_have_no_number_at_all_are_drawn_and_counted(ax: Axes, n: float) -> None:
    nothing = {"n_hat": None, "low": None, "high": None}
    check_plot(forest([n] * 40, baseline=nothing, claim={}), ax=ax)
    assert len(named(ax, "word")) == 30
    assert "40 of 40 points without a number" in note(ax)
    assert "10 more are not drawn" in note(ax)
    ax.figure.draw_without_rendering()


# --- specification curve ----------------------------------------------------------------------------------------------


def specification(n_hat: list[float], **choices: list[str]) -> CheckResult:
    limits = {"low": [0.8 * n for n in n_hat], "high": [1.2 * n for n in n_hat]}
    points = {**choices, "n_hat": n_hat, **limits}
    return check(points, kind="specification", choices=list(choices))


def test_specifications_stand_in_order_with_their_choices_underneath(ax: Axes) -> None:
    found = specification(
        [120.0, 80.0, 100.0, INF],
        model=["a", "b", "a", "b"],
        order=["2", "2", "3", "3"],
        same=["x"] * 4,
    )
    assert check_plot(found, ax=ax) is ax
    estimates, matrix = ax.child_axes
    assert [point.get_ydata()[0] for point in named(estimates, "point")] == [80.0, 100.0, 120.0]
    assert xs(estimates, "unbounded") == [3.0]
    assert [label.get_text() for label in matrix.get_yticklabels()] == ["model: a", "b", "order: 2", "3"]
    at = [sorted({segment[0][0] for segment in lines.get_segments()}) for lines in named(matrix, "choice")]
    assert at == [[1, 2], [0, 3], [0, 2], [1, 3]]
    first = named(estimates, "point")[0].get_color()
    assert first != named(estimates, "point")[1].get_color()
    assert "1 of 4 specifications without a number: 1 unbounded" in note(ax)


def test_two_hundred_specifications_fit() -> None:
    rng = np.random.default_rng(1)
    names = {"merge": [f"a very long name of merged lists, number {k % 7}" for k in range(200)]}
    found = specification(rng.lognormal(4.6, 0.3, 200).tolist(), model=["a", "b"] * 100, **names)
    ax = check_plot(found)
    ax.figure.draw_without_rendering()
    _, matrix = ax.child_axes
    assert all(len(label.get_text()) < 50 for label in matrix.get_yticklabels())
    boxes = [label.get_window_extent() for label in matrix.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))
    assert min(box.x0 for box in boxes) >= ax.figure.bbox.x0


# --- band -------------------------------------------------------------------------------------------------------------


def test_a_band_shows_the_set_its_limits_and_where_its_end_passes_the_claim(ax: Axes) -> None:
    points = {
        "gamma": [1.0, 2.0, 4.0],
        "n_hat": [100.0] * 3,
        "low": [95.0, 75.0, 60.0],
        "high": [120.0, 160.0, INF],
        "from": [100.0, 80.0, 70.0],
        "to": [100.0, 140.0, 200.0],
    }
    found = check(
        points, kind="band", x="gamma", log_x=True, neutral=1.0, bounds=["from", "to"], limits=["low", "high"]
    )
    check_plot(found, ax=ax)
    inner, outer = (named(ax, gid)[0].get_paths()[0].vertices[:, 1] for gid in ("set", "limits"))
    assert (inner.min(), inner.max()) == (70.0, 200.0)
    assert outer.min() == 60.0
    assert xs(ax, "arrow") == [4.0]
    (mark,) = named(ax, "tipping")
    assert mark.get_xdata()[0] == pytest.approx(2.0 ** (math.log(90 / 100) / math.log(80 / 100)))


# --- all of them ------------------------------------------------------------------------------------------------------


def test_a_check_that_does_not_apply_is_a_sentence(ax: Axes) -> None:
    check_plot(check({"n_hat": []}, kind="nothing", passed=None), ax=ax)
    assert words(ax, "text") == ["N runs from here to there."]
    assert not ax.axison


def test_an_unknown_kind_is_refused(ax: Axes) -> None:
    with pytest.raises(SettingError, match="figure kind 'pie' is not known; choose one of curve, contour"):
        check_plot(check({"n_hat": [1.0]}, kind="pie"), ax=ax)


def test_failures_are_counted_by_status() -> None:
    frame = pd.DataFrame(
        {"n_hat": [1.0, INF, INF, NAN], "status": ["ok", "unbounded", "unbounded", "not_identified"]}
    )
    assert failure_note(frame) == ["3 of 4 points without a number: 2 unbounded, 1 not identified"]
    assert failure_note(frame.head(1)) == []


def test_protection_draws_three_digits_and_nothing_that_is_withheld(ax: Axes) -> None:
    sizes = [91.23456, 97.65432, 100.0, 110.0, 120.0]
    base = {"n_hat": 101.2345, "low": 80.1234, "high": 130.4321}
    check_plot(curve(sizes, public=False, baseline=base), ax=ax, protect=True)
    assert named(ax, "path")[0].get_ydata()[0] == 91.2
    assert named(ax, "baseline")[0].get_ydata()[0] == 101.0
    hidden = Figure().add_subplot()
    check_plot(forest(sizes, public=False, protected=("n_hat",)), ax=hidden, protect=True)
    assert words(hidden, "text") == ["The points are withheld: they would give small counts away."]
    assert not named(hidden, "point")
    shown = Figure().add_subplot()
    check_plot(forest(sizes, public=False, protected=("n_hat",)), ax=shown)
    assert xs(shown, "point") == sizes


def kinds() -> list[CheckResult]:
    x = [0.01 * k for k in range(12)]
    names = [f"a long list name & another long one, number {k}" for k in range(40)]
    band = {"gamma": [1.0, 2.0], "n_hat": [100.0] * 2, "from": [100.0, 80.0], "to": [100.0, 140.0]}
    return [
        curve([60.0, NAN, 100.0, 110.0, INF]),
        several(10),
        contour(np.linspace(50, 200, 144), x, x),
        forest([100.0 + k for k in range(40)]),
        check(
            {"label": names, "n_hat": [90.0 + k for k in range(40)]}, kind="forest", label="label", truth=""
        ),
        specification([120.0, 80.0, 100.0], model=["a", "b", "a"]),
        check(band, kind="band", x="gamma", log_x=True, neutral=1.0, bounds=["from", "to"]),
    ]


@pytest.mark.parametrize("place", range(7))
def test_texts_stay_in_the_figure_made_for_them_and_apart(place: int) -> None:
    ax = check_plot(kinds()[place])
    ax.figure.draw_without_rendering()
    frame = ax.figure.bbox
    for axis in (ax, *ax.child_axes):
        texts = (*tick_labels(axis), axis.xaxis.label, *named(axis, "words"))
        boxes = [text.get_window_extent() for text in texts if text.get_text()]
        assert all(frame.x0 - 1 <= box.x0 and box.x1 <= frame.x1 + 1 for box in boxes)
        assert not [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]


def test_a_page_has_a_panel_a_check_and_names_those_that_do_not_apply() -> None:
    left_out = check({"n_hat": []}, kind="nothing", passed=None, name="prior sensitivity")
    page = check_page([*kinds(), left_out])
    drawn = [ax for ax in page.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in drawn] == ["Made up: fails"] * 7
    assert page.get_suptitle() == "table: sensitivity of chapman"
    assert page.get_supxlabel() == "Prior sensitivity: N runs from here to there."
    assert "2 of 5 points without a number" in drawn[0].get_xlabel()
    page.draw_without_rendering()
    tops = {round(ax.get_position().y1, 3) for ax in page.axes}
    assert len(tops) == 3


def test_a_page_goes_on_a_figure_that_is_given_and_needs_a_check() -> None:
    figure = Figure(figsize=(11, 4), layout="constrained")
    assert check_page(kinds()[:2], figure=figure, title="mine") is figure
    assert figure.get_suptitle() == "mine"
    with pytest.raises(SettingError, match="there are no checks to draw"):
        check_page([])


def test_a_result_draws_itself() -> None:
    assert named(curve([95.0, 97.0, 100.0, 110.0, 120.0]).plot(), "path")


def test_a_figure_can_be_about_some_rows_alone():
    frame = {
        "gamma": [1.0, 1.0, 2.0, 2.0], "pair": ["a & b", "all pairs"] * 2, "n_hat": [100.0, 120.0, 100.0, 120.0],
        "set_low": [50.0, 110.0, 40.0, 105.0], "set_high": [900.0, 130.0, 950.0, 140.0],
    }  # fmt: skip
    bounds = {"bounds": ["set_low", "set_high"], "limits": ["low", "high"]}
    result = check(frame, kind="band", x="gamma", x_label="width", where={"pair": "all pairs"}, **bounds)
    drawn = drawing_of(result, protect=False, small=False).frame
    assert drawn["set_low"].tolist() == [110.0, 105.0]
    assert drawn["set_high"].tolist() == [130.0, 140.0]
    assert len(result.table) == 4


def test_numbers_of_narrow_columns_do_not_run_into_each_other():
    """A grid of few cells says its numbers where its columns are wide enough, and draws lines where they are not."""
    even, uneven = ((0.0, 0.05, 0.1), (0.0, 0.005, 0.1))
    drawn = []
    for columns in (even, uneven):
        rows = [(x, y, 1_000.0 + 5_000 * x + 3_000 * y) for x in columns for y in (0.0, 0.05)]
        frame = dict(zip(("missed", "false", "n_hat"), map(list, zip(*rows, strict=True)), strict=True))
        grid = check(frame, kind="contour", x="missed", y="false", neutral=[0.0, 0.0])
        ax = check_plot(grid, ax=Figure().subplots())
        drawn.append(sum(text.get_gid() == "number" for text in ax.texts))
    assert drawn == [6, 0]
