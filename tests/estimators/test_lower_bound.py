import math

import numpy as np
import pytest
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import SettingError
from hiddenpop.estimators.lower_bound import ChaoLowerBound, chao_dark_figure
from hiddenpop.estimators.two_lists import LincolnPetersen
from hiddenpop.histories import captures, decode


def expected_counts(size: int, by_group: dict[float, list[float]]) -> np.ndarray:
    """Expected counts of independent lists, for shares of the population with their capture probabilities."""
    n_lists = len(next(iter(by_group.values())))
    bits = decode(np.arange(1 << n_lists), n_lists)
    counts = np.zeros(1 << n_lists)
    for share, probabilities in by_group.items():
        counts += size * share * np.prod(np.where(bits, probabilities, 1.0 - np.array(probabilities)), axis=1)
    counts[0] = 0.0
    return np.rint(counts)


def test_two_lists_are_petersen() -> None:
    pair = hp.datasets.load("kosovo").drop_list("ABA", "HRW")
    bound, petersen = ChaoLowerBound().fit(pair), LincolnPetersen().fit(pair)
    assert bound.n_hat == pytest.approx(petersen.n_hat, rel=1e-12)
    assert bound.interval.low == pytest.approx(petersen.interval.low, rel=1e-7)
    assert bound.interval.high == pytest.approx(petersen.interval.high, rel=1e-7)


def test_the_closed_form_is_no_lower_bound_when_lists_differ_in_size() -> None:
    counts = expected_counts(10**6, {1.0: [0.5, 0.1]})
    closed = ChaoLowerBound(list_effects=False).fit(table_of(counts))
    hidden = 10**6 - counts.sum()
    assert closed.n_hidden / hidden == pytest.approx(2.78, abs=0.01)
    assert closed.interval.low > 10**6
    warning = closed.diagnostics[-1]
    assert (warning.name, warning.level) == ("unequal_lists", "warning")
    assert "THIS IS NO LOWER BOUND" in warning.message
    assert warning.value == pytest.approx(5.0)
    assert ChaoLowerBound().fit(table_of(counts)).n_hat == pytest.approx(10**6, rel=1e-6)


@pytest.mark.parametrize(
    "groups",
    [
        {0.5: [0.6, 0.5, 0.4, 0.3], 0.50001: [0.2, 0.15, 0.1, 0.08]},
        {0.9: [0.1, 0.2, 0.05, 0.1, 0.1], 0.1: [0.6, 0.8, 0.4, 0.5, 0.5]},
    ],
)
def test_with_list_effects_it_bounds_a_mixture_from_below(groups: dict[float, list[float]]) -> None:
    size = 10**7
    bound = ChaoLowerBound().fit(table_of(expected_counts(size, groups)))
    assert bound.n_observed < bound.n_hat < size
    assert all(value > 0 for value in bound.details["etas"].values())


def test_equal_lists_get_no_warning() -> None:
    closed = ChaoLowerBound(list_effects=False).fit(table_of(expected_counts(10**6, {1.0: [0.3, 0.3, 0.3]})))
    assert [d.name for d in closed.diagnostics] == ["equal_lists"]
    assert closed.n_hat == pytest.approx(10**6, rel=1e-4)


def test_the_netherlands() -> None:
    # Six lists: the closed form is far above independence with list effects, 52,823, which fits far better.
    table = hp.datasets.load("netherlands")
    assert ChaoLowerBound(list_effects=False).fit(table).n_hat == pytest.approx(69342, abs=1)
    assert ChaoLowerBound().fit(table).n_hat == pytest.approx(54368, abs=1)


def test_the_closed_form_is_its_formula() -> None:
    n0, error = chao_dark_figure(10.0, 4.0, 3)
    share = 2.0 / 6.0
    assert n0 == pytest.approx(share * 10 * 9 / 5)
    tail = share**2 * 10 * 9 * (100 + 160 + 30 - 24 - 6) / (25 * 6)
    assert error == pytest.approx(math.sqrt(n0 + tail))


@pytest.mark.parametrize("singles", [0, 1])
def test_at_most_one_person_seen_once_puts_the_closed_form_at_the_boundary(singles: int) -> None:
    counts = np.array([0, singles, 0, 20, 0, 30, 15, 4], dtype=float)
    closed = ChaoLowerBound(list_effects=False).fit(table_of(counts))
    assert (closed.n_hat, closed.status) == (counts.sum(), "boundary")
    assert f"{singles} persons on one list only" in closed.reason
    assert closed.interval.low == counts.sum() < closed.interval.high


def test_nobody_seen_once_is_the_boundary() -> None:
    bound = ChaoLowerBound().fit(table_of(np.array([0, 0, 0, 20, 0, 30, 10, 4], dtype=float)))
    assert (bound.n_hat, bound.status) == (64.0, "boundary")
    assert bound.interval.low == 64.0 < bound.interval.high < 80.0


def test_nobody_seen_twice_is_unbounded_though_some_were_seen_thrice() -> None:
    bound = ChaoLowerBound().fit(table_of(np.array([0, 10, 20, 0, 30, 0, 0, 4], dtype=float)))
    assert (bound.n_hat, bound.status, bound.interval.high) == (math.inf, "unbounded", math.inf)
    assert bound.interval.low > 500


def test_one_person_on_every_list_identifies_nothing() -> None:
    bound = ChaoLowerBound().fit(table_of(np.array([0, 0, 0, 0, 0, 0, 0, 1], dtype=float)))
    assert math.isnan(bound.n_hat)
    assert bound.status == "not_identified"
    assert (bound.interval.low, bound.interval.high) == (1, math.inf)


def test_a_level_that_nobody_reached_has_no_step() -> None:
    # Nobody was seen exactly three times; eta3 would run to minus infinity and eta4 to plus infinity against it.
    counts = np.zeros(16)
    counts[[1, 2, 4, 8, 3, 5, 6, 9, 15]] = [10, 20, 30, 12, 3, 5, 4, 2, 4]
    bound = ChaoLowerBound().fit(table_of(counts))
    assert list(bound.details["etas"]) == ["eta4"]
    assert bound.status == "ok"


def test_dropped_steps_satisfy_the_conditions_of_the_constrained_maximum() -> None:
    # A step at 0 must not want to grow: its score, residuals times its column, may not be positive.
    for name in ("uk", "netherlands", "hares", "rome_hiv"):
        bound = ChaoLowerBound().fit(hp.datasets.load(name))
        cells = bound.details["cells"]
        n_lists = len(bound.table.lists)
        residual = cells["count"].to_numpy() - cells["fitted"].to_numpy()
        k = captures(np.arange(1, 1 << n_lists))
        for j in range(3, n_lists + 1):
            if f"eta{j}" not in bound.details["etas"]:
                assert residual @ np.maximum(k - j + 1, 0) <= 1e-6


def test_details_are_those_of_the_log_linear_family() -> None:
    bound = ChaoLowerBound().fit(hp.datasets.load("kosovo"))
    details = bound.details
    assert list(details["coefficients"]["term"]) == ["EXH", "ABA", "OSCE", "HRW", "eta3", "intercept"]
    assert details["goodness_of_fit"]["df"] == 9
    assert details["cells"]["fitted"].sum() == pytest.approx(4400)
    assert details["etas"]["eta3"] == pytest.approx(0.99966, abs=1e-5)
    assert details["n0_standard_error"] == pytest.approx(213.549, abs=1e-2)


@pytest.mark.parametrize("interval", ["profile", "lognormal", "wald"])
@pytest.mark.parametrize("list_effects", [True, False])
def test_intervals_hold_the_estimate_and_name_themselves(interval: str, list_effects: bool) -> None:
    bound = ChaoLowerBound(interval=interval, list_effects=list_effects).fit(hp.datasets.load("uk"))
    assert bound.n_observed < bound.interval.low < bound.n_hat < bound.interval.high
    word = (
        "log-normal"
        if not list_effects and interval == "profile"
        else interval.replace("lognormal", "log-normal")
    )
    assert word in bound.interval.method.lower()


def test_twelve_lists() -> None:
    counts = expected_counts(10**9, {1.0: [0.05 + 0.01 * i for i in range(12)]})
    assert ChaoLowerBound(interval="lognormal").fit(table_of(counts)).n_hat == pytest.approx(10**9, rel=1e-3)
    sparse = expected_counts(800, {1.0: [0.12] * 12})
    bound = ChaoLowerBound().fit(table_of(sparse))
    assert bound.n_observed < bound.interval.low < bound.n_hat < bound.interval.high < 1000


def test_a_million_millions() -> None:
    counts = expected_counts(4 * 10**12, {1.0: [0.5, 0.3, 0.2]})
    assert ChaoLowerBound().fit(table_of(counts)).n_hat == pytest.approx(4e12, rel=1e-9)


def test_settings_are_checked() -> None:
    with pytest.raises(SettingError, match="list_effects='yes' must be True or False"):
        ChaoLowerBound(list_effects="yes")
    with pytest.raises(SettingError, match="interval='bca' is not one of"):
        ChaoLowerBound(interval="bca")
