import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.tables import table_of

import hiddenpop as hp
from hiddenpop.errors import CapabilityError, EmptyListWarning, SettingError
from hiddenpop.estimators.loglinear import LogLinear
from hiddenpop.estimators.two_lists import Chapman, LincolnPetersen
from hiddenpop.table import CaptureTable


def table(**cells: int) -> CaptureTable:
    """Build a table of the lists l0, l1, ... from histories such as ``_10=5``, one digit a list."""
    n_lists = len(next(iter(cells))) - 1
    counts = np.zeros(1 << n_lists)
    for history, count in cells.items():
        counts[int(history[:0:-1], 2)] = count
    return table_of(counts)


counts = st.integers(min_value=1, max_value=10**6)


@given(first=counts, second=counts, both=counts)
def test_petersen_is_n1_n2_over_m(first: int, second: int, both: int) -> None:
    estimate = LincolnPetersen(interval="wald").fit(table(_10=first, _01=second, _11=both))
    assert estimate.n_hat == pytest.approx((first + both) * (second + both) / both, rel=1e-10)


@pytest.mark.parametrize("interval", ["profile", "lognormal", "wald"])
def test_petersen_is_log_linear_independence_on_the_table_of_the_two_lists(interval: str) -> None:
    kosovo = hp.datasets.load("kosovo")
    pair = kosovo.drop_list("ABA", "HRW")
    petersen = LincolnPetersen(lists=("EXH", "OSCE"), interval=interval).fit(kosovo)
    independence = LogLinear(interval=interval).fit(pair)
    assert petersen.n_hat == pytest.approx(independence.n_hat, rel=1e-12)
    assert petersen.interval.low == pytest.approx(max(independence.interval.low, 4400), rel=1e-9)
    assert petersen.interval.high == pytest.approx(independence.interval.high, rel=1e-9)


def test_petersen_standard_error_is_that_of_the_textbook() -> None:
    # N^2-form of the multinomial variance: n1 n2 (n1 - m)(n2 - m) / m^3.
    estimate = LincolnPetersen().fit(table(_10=30, _01=20, _11=10))
    assert estimate.details["n0_standard_error"] == pytest.approx(math.sqrt(40 * 30 * 30 * 20 / 10**3))


def test_the_order_of_the_two_lists_changes_nothing() -> None:
    kosovo = hp.datasets.load("kosovo")
    one, other = (LincolnPetersen(lists=pair).fit(kosovo) for pair in (("EXH", "HRW"), ("HRW", "EXH")))
    assert one.n_hat == pytest.approx(other.n_hat, rel=1e-12)


def test_persons_on_other_lists_count_as_observed() -> None:
    kosovo = hp.datasets.load("kosovo")
    estimate = LincolnPetersen(lists=("EXH", "HRW")).fit(kosovo)
    assert estimate.n_observed == 4400
    assert "1,998 persons are on other lists only" in estimate.diagnostics[-1].message


@pytest.mark.parametrize("estimator", [LincolnPetersen, Chapman])
def test_an_estimate_below_the_observed_is_raised_to_it(estimator: type) -> None:
    crowd = table(_100=5, _010=5, _110=50, _001=1000)
    estimate = estimator(lists=("l0", "l1")).fit(crowd)
    assert (estimate.n_hat, estimate.status) == (1060.0, "boundary")
    assert "fewer than the 1,060 observed" in estimate.reason
    assert estimate.interval.low == estimate.interval.high == 1060.0


def test_without_overlap_petersen_is_unbounded_and_chapman_warns() -> None:
    apart = table(_10=10, _01=20)
    petersen, chapman = LincolnPetersen().fit(apart), Chapman().fit(apart)
    assert (petersen.n_hat, petersen.status, petersen.interval.high) == (math.inf, "unbounded", math.inf)
    assert petersen.interval.low > 30
    assert (chapman.n_hat, chapman.status) == (230.0, "ok")
    assert "nobody is on both l0 and l1" in chapman.diagnostics[-1].message


@pytest.mark.parametrize("estimator", [LincolnPetersen, Chapman])
@pytest.mark.parametrize("cells", [{"_10": 10, "_11": 20}, {"_11": 1}, {"_11": 10**12}])
def test_a_list_inside_the_other_pushes_the_dark_figure_to_zero(
    estimator: type, cells: dict[str, int]
) -> None:
    estimate = estimator().fit(table(**cells))
    n = sum(cells.values())
    assert (estimate.n_hat, estimate.n_hidden, estimate.status) == (n, 0.0, "boundary")
    assert estimate.interval.low == n < estimate.interval.high < math.inf
    assert estimate.reason


@given(first=counts, second=counts, both=st.integers(min_value=0, max_value=10**6))
def test_chapman_is_its_formula_and_below_petersen(first: int, second: int, both: int) -> None:
    cells = {"_10": first, "_01": second, "_11": both}
    estimate = Chapman().fit(table(**cells))
    n1, n2 = first + both, second + both
    assert estimate.n_hat == pytest.approx((n1 + 1) * (n2 + 1) / (both + 1) - 1, rel=1e-12)
    variance = (n1 + 1) * (n2 + 1) * first * second / ((both + 1) ** 2 * (both + 2))
    assert estimate.details["n0_standard_error"] == pytest.approx(math.sqrt(variance), rel=1e-12)
    assert estimate.n_observed <= estimate.interval.low <= estimate.n_hat <= estimate.interval.high


def test_chapman_is_nearly_unbiased() -> None:
    # Exactly unbiased under hypergeometric sampling when n1 + n2 >= N: the expectation is a sum over overlaps.
    n, n1, n2 = 30, 20, 15
    overlaps = range(max(0, n1 + n2 - n), min(n1, n2) + 1)
    weights = np.array([math.comb(n1, m) * math.comb(n - n1, n2 - m) for m in overlaps], dtype=float)
    values = []
    for m in overlaps:
        values.append(Chapman().fit(table(_10=n1 - m, _01=n2 - m, _11=m)).n_hat)
    assert weights @ values / weights.sum() == pytest.approx(n)


def test_chapman_wald_limits_are_symmetric_and_cut_off() -> None:
    wide = Chapman(interval="wald").fit(table(_10=30, _01=20, _11=3))
    assert wide.interval.low == 53
    narrow = Chapman(interval="wald").fit(table(_10=300, _01=200, _11=900))
    assert narrow.interval.high - narrow.n_hat == pytest.approx(narrow.n_hat - narrow.interval.low)


@pytest.mark.parametrize("interval", ["lognormal", "wald"])
@pytest.mark.parametrize("cells", [(30, 20, 0), (30, 20, 1), (1, 40, 12), (0, 40, 12), (1, 1, 60)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_chapman_with_few_persons_has_the_limits_of_the_likelihood(
    cells: tuple[int, int, int], interval: str, level: float
) -> None:
    made = table(_10=cells[0], _01=cells[1], _11=cells[2])
    corrected = Chapman(interval=interval, level=level).fit(made)  # type: ignore[arg-type]
    plain = LincolnPetersen(level=level).fit(made)
    assert corrected.interval.high == plain.interval.high
    assert corrected.interval.low == min(plain.interval.low, corrected.n_hat)
    assert "too few persons for" in corrected.interval.method


def test_counts_of_a_million_millions_keep_their_digits() -> None:
    estimate = Chapman().fit(table(_10=10**12, _01=10**12, _11=10**12))
    assert estimate.n_hat == pytest.approx(4e12, rel=1e-11)
    assert LincolnPetersen().fit(table(_10=10**12, _01=10**12, _11=10**12)).n_hat == pytest.approx(4e12)


@pytest.mark.parametrize("estimator", [LincolnPetersen, Chapman])
def test_more_than_two_lists_need_a_choice(estimator: type) -> None:
    with pytest.raises(CapabilityError, match="has 4: EXH, ABA, OSCE, HRW; name two"):
        estimator().fit(hp.datasets.load("kosovo"))


def test_an_empty_third_list_needs_no_choice() -> None:
    three = table(_100=30, _010=20, _110=10)
    with pytest.warns(EmptyListWarning, match="l2 caught nobody"):
        estimate = LincolnPetersen().fit(three)
    assert estimate.n_hat == pytest.approx(120.0)
    assert estimate.details["dropped_lists"] == ["l2"]
    with (
        pytest.warns(EmptyListWarning, match="l2 caught nobody"),
        pytest.raises(CapabilityError, match="no list 'l2' that caught somebody"),
    ):
        LincolnPetersen(lists=("l0", "l2")).fit(three)


@pytest.mark.parametrize("lists", [("a",), ("a", "a"), "ab", ("a", "b", "c"), ("a", 1)])
def test_lists_must_be_two_names(lists: object) -> None:
    with pytest.raises(SettingError, match="must name two different lists"):
        LincolnPetersen(lists=lists)


def test_settings_are_checked() -> None:
    with pytest.raises(SettingError, match="interval='bca' is not one of"):
        Chapman(interval="bca")
    with pytest.raises(SettingError, match="level=1"):
        Chapman(level=1)


def test_lists_given_as_a_list_become_a_tuple_and_round_trip() -> None:
    estimator = LincolnPetersen(lists=["EXH", "HRW"])
    assert estimator.lists == ("EXH", "HRW")
    assert estimator.fit(hp.datasets.load("kosovo")).estimator.build() == estimator


@given(first=counts, second=counts, both=counts)
@settings(deadline=None, max_examples=30)
def test_by_default_chapman_has_the_limits_of_the_likelihood(first: int, second: int, both: int) -> None:
    made = table(_10=first, _01=second, _11=both)
    corrected, plain = Chapman().fit(made).interval, LincolnPetersen().fit(made).interval
    assert corrected.high == plain.high
    assert corrected.low == min(plain.low, Chapman().fit(made).n_hat)
