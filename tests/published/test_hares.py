"""Snowshoe hares on six trapping days (Cormack 1989; Agresti 1994), as printed and as Rcapture 1.4.4 answers."""

import pytest

import hiddenpop as hp
from hiddenpop.estimators.closed_population import ClosedPopulation

CONDITIONAL = [
    ("M0", None, 75.4),
    ("Mt", None, 75.1),
    ("Mh", "chao", 79.8),
    ("Mh", "poisson", 81.5),
    ("Mh", "darroch", 90.4),
    ("Mth", "chao", 79.6),
    ("Mth", "poisson", 81.1),
    ("Mth", "darroch", 90.5),
    ("Mb", None, 81.1),
    ("Mbh", None, 74.2),
]
STANDARD_ERRORS = [("M0", None, 3.5), ("Mt", None, 3.4), ("Mth", "poisson", 5.6)]
PROFILES = [
    ("Mt", None, 74.3, 69.3, 82.4),
    ("Mth", "chao", 78.1, 70.4, 95.2),
    ("Mth", "poisson", 80.1, 71.8, 93.8),
    ("Mth", "darroch", 88.2, 73.5, 121.2),
]


@pytest.fixture
def hares() -> hp.CaptureTable:
    return hp.datasets.load("hares")


def test_sixty_eight_hares_were_seen(hares: hp.CaptureTable) -> None:
    assert hares.n_observed == 68


@pytest.mark.parametrize(("model", "column", "printed"), CONDITIONAL)
def test_estimates(hares: hp.CaptureTable, model: str, column: str | None, printed: float) -> None:
    estimate = ClosedPopulation(model=model, heterogeneity=column).fit(hares)
    assert round(estimate.n_hat, 1) == printed


@pytest.mark.parametrize(("model", "column", "printed"), STANDARD_ERRORS)
def test_standard_errors(hares: hp.CaptureTable, model: str, column: str | None, printed: float) -> None:
    estimate = ClosedPopulation(model=model, heterogeneity=column).fit(hares)
    assert round(estimate.details["n0_standard_error"], 1) == printed


@pytest.mark.parametrize(("model", "column", "top", "low", "high"), PROFILES)
def test_multinomial_profiles(
    hares: hp.CaptureTable, model: str, column: str | None, top: float, low: float, high: float
) -> None:
    estimate = ClosedPopulation(model=model, heterogeneity=column).fit(hares)
    limits = (estimate.details["profile_maximum"], estimate.interval.low, estimate.interval.high)
    # An upper limit above N = 100 is printed with Stirling's approximation, a hundredth of a hare away.
    assert limits == pytest.approx((top, low, high), abs=0.065)


@pytest.mark.parametrize(("column", "printed"), [(None, 76.0), ("chao", 80.9)])
def test_bias_corrected(hares: hp.CaptureTable, column: str | None, printed: float) -> None:
    model = "Mth" if column else "Mt"
    corrected = ClosedPopulation(
        model=model, heterogeneity=column, bias_corrected=True, interval="lognormal"
    ).fit(hares)
    assert round(corrected.n_hat, 1) == printed
