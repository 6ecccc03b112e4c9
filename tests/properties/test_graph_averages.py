"""The average over decomposable graphs under odd priors: an answer that adds up, or one clear refusal."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.support.drawn import counts_by_history
from tests.support.tables import table_of

from hiddenpop.bayes.decomposable import DecomposableAveraging
from hiddenpop.bayes.priors import (
    LARGEST_DELTA,
    LARGEST_MEAN,
    LARGEST_MISSING,
    LARGEST_SHAPE,
    SMALLEST_DELTA,
    SMALLEST_MEAN,
    SMALLEST_SHAPE,
)
from hiddenpop.errors import HiddenpopError, SettingError
from hiddenpop.result import Estimate


def judged(examples: int) -> Any:
    return settings(
        max_examples=examples, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
    )


def decades(least: float, most: float) -> Any:
    """Numbers of all sizes between two, and these themselves."""
    low, high = math.log10(least), math.log10(most)
    return st.sampled_from([least, most]) | st.floats(low, high).map(
        lambda power: min(max(10.0**power, least), most)
    )


priors = st.sampled_from(["reciprocal", "uniform"]) | st.tuples(
    st.just("negative_binomial"), decades(SMALLEST_MEAN, LARGEST_MEAN), decades(SMALLEST_SHAPE, LARGEST_SHAPE)
)
ends = st.sampled_from([0, 1, 5, 10**6, LARGEST_MISSING]) | st.integers(0, LARGEST_MISSING)
ranges = st.none() | st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))
SETTINGS = {
    "delta": st.just("2^-K") | decades(SMALLEST_DELTA, LARGEST_DELTA),
    "prior": priors,
    "link_weight": st.just(1.0) | decades(1e-12, 1e12),
    "n_missing": ranges,
    "level": st.sampled_from([0.5, 0.95, 0.999]),
}


@judged(150)
@given(counts_by_history(("sparse", "full", "huge")), st.fixed_dictionaries(SETTINGS))
@pytest.mark.filterwarnings("ignore::hiddenpop.errors.HiddenpopWarning")
def test_odd_priors_give_a_distribution_or_are_refused(table: Any, asked: dict[str, Any]) -> None:
    estimator = DecomposableAveraging(n_draws=0, **asked)
    try:
        found = estimator.fit(table_of(table[1]), rng=1)
    except HiddenpopError as error:
        assert_is_clear(error)
        return
    assert_adds_up(found, asked)


def assert_is_clear(error: HiddenpopError) -> None:
    message = str(error)
    assert "\n" not in message
    assert 30 < len(message) < 400


def assert_adds_up(found: Estimate, asked: dict[str, Any]) -> None:
    n, details, limits = found.n_observed, found.details, found.interval
    assert n <= limits.low <= found.n_hat <= limits.high
    if asked["n_missing"] is not None:
        first, last = asked["n_missing"]
        assert float(n + first) <= found.n_hat <= float(n + last)
    assert details["graphs"]["probability"].sum() == pytest.approx(1.0, abs=1e-9)
    links = details["links"].to_numpy()
    assert ((links >= 0.0) & (links <= 1.0 + 1e-9)).all()
    below = details["posterior"]["below"].to_numpy()
    assert (np.diff(below) >= -1e-12).all()
    assert ((below >= 0.0) & (below <= 1.0 + 1e-9)).all()
    assert 0.0 <= details["p_saturated"] <= 1.0 + 1e-9
    assert found.status in {"ok", "boundary", "unbounded"}


ODD_NUMBERS = [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e-300, 1e300, True, "x", None, (), 1j]


@pytest.mark.parametrize("value", ODD_NUMBERS, ids=repr)
@pytest.mark.parametrize("setting", ["delta", "link_weight", "level", "n_missing", "max_missing", "n_draws"])
def test_an_impossible_number_is_refused_in_a_sentence_that_names_it(setting: str, value: Any) -> None:
    allowed = {
        "link_weight": [1e-300, 1e300],
        "level": [1e-300],
        "n_missing": [None],
        "max_missing": [None, 0.0],
        "n_draws": [0.0],
    }
    if value in allowed.get(setting, []):
        return
    with pytest.raises(SettingError) as refused:
        DecomposableAveraging(**{setting: value})
    assert setting in str(refused.value)
    assert_is_clear(refused.value)


def test_a_dark_figure_beyond_what_a_computer_counts_is_refused() -> None:
    last = DecomposableAveraging(n_missing=(LARGEST_MISSING, LARGEST_MISSING), n_draws=0)
    assert last.fit(table_of([0, 30, 20, 10])).n_hat == float(LARGEST_MISSING + 60)
    with pytest.raises(SettingError, match=r"n_missing goes to 9\.01e\+15, and a computer counts"):
        DecomposableAveraging(n_missing=(0, LARGEST_MISSING + 1))


@pytest.mark.parametrize("value", ODD_NUMBERS, ids=repr)
@pytest.mark.parametrize("place", [1, 2])
def test_an_impossible_prior_is_refused_in_a_sentence_that_names_it(place: int, value: Any) -> None:
    prior: list[Any] = ["negative_binomial", 1000.0, 2.0]
    prior[place] = value
    with pytest.raises(SettingError, match="prior=") as refused:
        DecomposableAveraging(prior=tuple(prior))
    assert_is_clear(refused.value)
