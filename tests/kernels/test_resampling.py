"""Resampled counts as distributions, and the bagged estimate against the delta method and a double bootstrap."""

import math

import numpy as np
import pytest

from hiddenpop.errors import CapabilityError
from hiddenpop.kernels.resampling.counts import bagged, draw_multinomial, draw_parametric, draw_semiparametric

COUNTS = np.array([0, 40, 25, 0, 15])
FITTED = np.array([60.0, 30.0, 20.0, 10.0])
SIZE = 20_000


def rng(seed=4):
    return np.random.default_rng(seed)


def assert_multinomial(drawn, shares, persons):
    """Every cell is binomial, and so is every sum of two cells: that fixes the covariances too."""
    for i in range(len(shares)):
        for cells in ({i}, {i, (i + 1) % len(shares)}):
            share = sum(shares[cell] for cell in cells)
            totals = drawn[:, sorted(cells)].sum(axis=1)
            error = math.sqrt(persons * share * (1 - share) / len(drawn))
            assert totals.mean() == pytest.approx(persons * share, abs=4 * error + 1e-9)
            # The variance of SIZE draws has a relative standard error of one per cent.
            assert totals.var() == pytest.approx(persons * share * (1 - share), rel=0.04, abs=1e-9)


def test_multinomial_resamples_the_observed_persons():
    drawn = draw_multinomial(COUNTS, SIZE, rng())
    assert (drawn.shape, drawn.dtype) == ((SIZE, 5), np.int64)
    assert (drawn.sum(axis=1) == 80).all()
    assert_multinomial(drawn, COUNTS / 80, 80)


def test_semiparametric_lets_the_number_observed_vary():
    drawn = draw_semiparametric(COUNTS, 200.4, SIZE, rng())
    assert (drawn.shape, drawn.dtype) == ((SIZE, 5), np.int64)
    everybody = np.column_stack([drawn, 200 - drawn.sum(axis=1)])
    assert_multinomial(everybody, np.append(COUNTS, 120.4) / 200.4, 200)


def test_parametric_draws_from_the_fitted_cells_and_drops_the_unobserved():
    drawn = draw_parametric(FITTED, 120.0, SIZE, rng())
    assert (drawn.shape, drawn.dtype) == ((SIZE, 4), np.int64)
    assert (drawn[:, 0] == 0).all()
    everybody = drawn.copy()
    everybody[:, 0] = 120 - drawn.sum(axis=1)
    assert_multinomial(everybody, FITTED / 120, 120)


HUGE = 1e24
"""More persons than whole numbers of 64 bits can count."""


@pytest.mark.parametrize(
    "draw",
    [
        lambda: draw_semiparametric(COUNTS, HUGE, SIZE, rng()),
        lambda: draw_parametric(np.concatenate([[HUGE], COUNTS]), HUGE, SIZE, rng())[:, 1:],
    ],
    ids=["semiparametric", "parametric"],
)
def test_of_a_population_beyond_counting_every_cell_is_poisson(draw):
    drawn = draw()
    for cell, mean in enumerate(COUNTS):
        assert drawn[:, cell].mean() == pytest.approx(mean, abs=4 * math.sqrt(mean / SIZE))
        assert drawn[:, cell].var() == pytest.approx(mean, rel=0.04, abs=1e-9)
    assert np.corrcoef(drawn[:, 1], drawn[:, 2])[0, 1] == pytest.approx(0.0, abs=4 / math.sqrt(SIZE))


def test_a_population_beyond_counting_of_whom_many_are_caught_is_refused():
    with pytest.raises(
        CapabilityError, match=r"a population of 1e\+24 of whom 1e\+22 are caught is too large"
    ):
        draw_semiparametric([0, 1e22], HUGE, SIZE, rng())


@pytest.mark.parametrize("last", [COUNTS[::-1], np.array([7, 3, 0])])
def test_nobody_is_drawn_into_an_empty_cell(last):
    assert (draw_multinomial(last, SIZE, rng())[:, last == 0] == 0).all()


def test_what_rounding_leaves_over_does_not_land_in_an_empty_last_cell():
    fitted, n_hat = np.array([7e17, 3e17, 0.0, 0.0]), 1e18
    assert (
        rng().multinomial(10**18, fitted / n_hat, 200)[:, -1].max() > 0
    )  # numpy alone does put somebody there
    assert (draw_parametric(fitted, n_hat, 200, rng())[:, 2:] == 0).all()


@pytest.mark.parametrize(
    "draw",
    [
        lambda r: draw_multinomial(COUNTS, 7, r),
        lambda r: draw_semiparametric(COUNTS, 200.0, 7, r),
        lambda r: draw_parametric(FITTED, 120.0, 7, r),
    ],
)
def test_the_same_generator_gives_the_same_bytes(draw):
    assert draw(rng(1)).tobytes() == draw(rng(1)).tobytes() != draw(rng(2)).tobytes()


def test_with_everybody_observed_the_semiparametric_resample_keeps_n():
    assert (draw_semiparametric(COUNTS, 80.0, 50, rng()).sum(axis=1) == 80).all()


@pytest.mark.parametrize("n_hat", [79.0, math.inf, math.nan])
def test_a_semiparametric_resample_needs_a_finite_estimate(n_hat):
    with pytest.raises(ValueError, match="must be finite and at least the number observed, 80"):
        draw_semiparametric(COUNTS, n_hat, 5, rng())


@pytest.mark.parametrize("n_hat", [60.0, math.inf, math.nan])
def test_a_parametric_resample_needs_cells_that_add_up(n_hat):
    with pytest.raises(ValueError, match="the fitted cells add up to 120, not to a finite n_hat"):
        draw_parametric(FITTED, n_hat, 5, rng())


def test_an_empty_table_cannot_be_resampled():
    with pytest.raises(ValueError, match="nobody to draw from"):
        draw_multinomial([0, 0], 5, rng())


TWO_LISTS = np.array([300, 200, 100])


def petersen(cells):
    """Two lists; cells are only in the first, only in the second, in both."""
    first, second, both = np.moveaxis(np.asarray(cells, dtype=float), -1, 0)
    return (first + both) * (second + both) / both


def bag(estimator, counts, size, generator):
    resamples = draw_multinomial(counts, size, generator)
    return bagged(estimator(resamples), resamples, counts)


def test_of_a_linear_statistic_the_standard_error_is_exact():
    score = np.array([3.0, 1.0, 0.0])
    exact = math.sqrt(TWO_LISTS @ score**2 - (TWO_LISTS @ score) ** 2 / 600)
    answer = bag(lambda cells: cells @ score, TWO_LISTS, 200_000, rng())
    assert answer.standard_error == pytest.approx(exact, rel=0.01)
    assert answer.n_hat == pytest.approx(TWO_LISTS @ score, rel=0.002)
    assert answer.reason == ""


def test_of_a_smooth_statistic_the_standard_error_is_that_of_the_delta_method():
    step = 1e-4 * np.eye(3)
    gradient = (petersen(TWO_LISTS + step) - petersen(TWO_LISTS - step)) / 2e-4
    delta = math.sqrt(TWO_LISTS @ gradient**2 - (TWO_LISTS @ gradient) ** 2 / 600)
    answer = bag(petersen, TWO_LISTS, 200_000, rng())
    assert answer.standard_error == pytest.approx(delta, rel=0.03)


def with_n(estimator, counts, size, generator, scheme):
    """Bag an estimate of N, the variance of the number observed included."""
    n_hat = float(estimator(counts))
    resamples = (
        draw_multinomial(counts, size, generator)
        if scheme == "multinomial"
        else draw_semiparametric(counts, n_hat, size, generator)
    )
    return bagged(estimator(resamples), resamples, counts, n_hat=n_hat)


@pytest.mark.parametrize("scheme", ["multinomial", "semiparametric"])
def test_with_the_variance_of_the_number_observed_it_is_the_standard_error_of_lincoln_and_petersen(scheme):
    # Sekar and Deming (1949), equation 12: n1 n2 b c / m^3, with b and c the persons on one list only.
    first, second, both = TWO_LISTS.astype(float)
    known = math.sqrt((first + both) * (second + both) * first * second / both**3)
    answer = with_n(petersen, TWO_LISTS, 200_000, rng(), scheme)
    assert answer.standard_error == pytest.approx(known, rel=0.03)
    fixed = bag(petersen, TWO_LISTS, 200_000, rng())
    # The rest is the variance of the number observed: N (N - n) / n, with N = 1,200 of whom 600 are seen.
    assert answer.standard_error**2 - fixed.standard_error**2 == pytest.approx(1200, rel=0.15)


def test_few_resamples_that_let_n_vary_do_not_bias_the_variance():
    counts, score = np.arange(10, 41), np.sin(np.arange(31.0)) + 2
    total = 1.6 * counts.sum()
    exact = counts @ score**2 - (counts @ score) ** 2 / total
    generator, found = rng(3), []
    for _ in range(1000):
        resamples = draw_semiparametric(counts, total, 100, generator)
        found.append(bagged(resamples @ score, resamples, counts, n_hat=total).standard_error ** 2)
    # The sum of all cells is one direction more than given n: without m v / B the variance is 31 per cent too large.
    assert np.mean(found) == pytest.approx(exact, rel=0.02 + 4 * np.std(found) / exact / math.sqrt(1000))


def test_resamples_that_let_n_vary_need_the_size_of_their_population():
    resamples = draw_semiparametric(TWO_LISTS, 1200.0, 50, rng())
    with pytest.raises(ValueError, match="give n_hat, whose population they are of"):
        bagged(petersen(resamples), resamples, TWO_LISTS)


def test_where_everybody_is_seen_the_number_observed_adds_nothing():
    resamples = draw_semiparametric(TWO_LISTS, 600.0, 300, rng())
    draws = resamples @ np.array([3.0, 1.0, 0.0])
    assert bagged(draws, resamples, TWO_LISTS, n_hat=600.0) == bagged(draws, resamples, TWO_LISTS)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["multinomial", "semiparametric"])
def test_where_lists_overlap_well_the_standard_error_is_the_spread_of_bagged_estimates(scheme):
    generator, cells = rng(21), np.array([120.0, 180.0, 120.0, 180.0])  # lists that catch .6 and .5 of 600
    bags = []
    for _ in range(2000):
        counts = generator.multinomial(600, cells / 600)[1:]
        bags.append(with_n(petersen, counts, 200, generator, scheme))
    spread = np.std([answer.n_hat for answer in bags])
    found = math.sqrt(np.mean([answer.standard_error**2 for answer in bags]))
    assert found == pytest.approx(spread, rel=0.07)  # a spread of 2,000 has a relative error of 1.6 %
    if scheme == "multinomial":  # given n alone it is far too small
        given = [math.sqrt(max(a.standard_error**2 - a.n_hat * (a.n_hat - 480) / 480, 0)) for a in bags]
        assert np.mean(given) < 0.85 * spread


def jumping(cells):
    """Choose between two answers, as a selection of models does: the bootstrap distribution has two lumps."""
    cells = np.asarray(cells, dtype=float)
    return np.where(cells[..., 0] > 1.5 * cells[..., 1], 900.0, 1500.0) + cells[..., 2]


def test_of_a_selected_statistic_the_standard_error_is_that_of_a_double_bootstrap():
    generator = rng(12)
    outer = draw_multinomial(TWO_LISTS, 1500, generator)
    inner = [bag(jumping, counts, 400, generator) for counts in outer]
    spread = np.std([answer.n_hat for answer in inner])
    assert np.mean([answer.standard_error for answer in inner]) == pytest.approx(spread, rel=0.1)
    assert spread < 0.7 * np.std(jumping(outer))


def test_at_the_edge_of_a_choice_the_standard_error_is_the_slope_of_the_smoothed_step():
    # Smoothed, a step of 600 is 600 Phi(z), whose slope at its middle is 600 phi(0).
    answer = bag(jumping, TWO_LISTS, 100_000, rng())
    assert answer.standard_error == pytest.approx(600 / math.sqrt(2 * math.pi), rel=0.02)
    assert answer.standard_error < 0.85 * np.std(jumping(draw_multinomial(TWO_LISTS, SIZE, rng())))


def test_few_resamples_do_not_bias_the_variance():
    counts, score = np.arange(10, 41), np.sin(np.arange(31.0)) + 2
    exact = counts @ score**2 - (counts @ score) ** 2 / counts.sum()
    generator, size = rng(3), 100
    found = np.array(
        [bag(lambda cells: cells @ score, counts, size, generator).standard_error ** 2 for _ in range(1000)]
    )
    # Without its correction the variance is thirty per cent too large here. A covariance with divisor 100 is a
    # hundredth too small, its square two.
    assert found.mean() == pytest.approx(exact, rel=0.02 + 4 * found.std() / exact / math.sqrt(1000))


def test_histories_that_nobody_has_change_nothing():
    resamples = draw_multinomial(TWO_LISTS, 300, rng())
    draws = petersen(resamples)
    padded = bagged(draws, np.insert(resamples, 1, 0, axis=1), np.insert(TWO_LISTS, 1, 0))
    assert padded == bagged(draws, resamples, TWO_LISTS)


def test_a_variance_below_its_noise_is_zero_and_says_so():
    answer = bagged([140.0, 160.0, 180.0], np.tile(TWO_LISTS, (3, 1)), TWO_LISTS)
    assert (answer.n_hat, answer.standard_error) == (160.0, 0.0)
    assert "below the Monte Carlo noise" in answer.reason


@pytest.mark.parametrize(
    ("draws", "median", "reason"),
    [
        ([140.0, 150.0, 160.0, math.inf, math.inf], 160.0, "of 5 draws 2 are unbounded"),
        ([140.0, 150.0, math.nan, 160.0, math.nan], 150.0, "of 5 draws 2 have no number"),
        ([140.0, math.inf, math.nan, 160.0, 150.0], 155.0, "of 5 draws 1 are unbounded and 1 have no number"),
        ([140.0, math.inf, math.nan, math.inf, 150.0], math.inf, "2 are unbounded and 1 have no number"),
    ],
)
def test_one_draw_without_a_number_makes_the_mean_infinite_and_gives_the_median(draws, median, reason):
    answer = bagged(draws, np.tile(TWO_LISTS, (5, 1)), TWO_LISTS)
    assert (answer.n_hat, answer.standard_error, answer.median) == (math.inf, math.inf, median)
    assert reason in answer.reason


def test_if_every_draw_is_unknown_so_is_the_median():
    answer = bagged([math.nan, math.nan], np.tile(TWO_LISTS, (2, 1)), TWO_LISTS)
    assert math.isinf(answer.n_hat)
    assert math.isnan(answer.median)
    assert answer.reason == "of 2 draws 2 have no number, so their mean is not finite"


@pytest.mark.parametrize("shape", [(3, 3), (2, 2), (2, 3, 1)])
def test_draws_and_their_resamples_belong_together(shape):
    with pytest.raises(ValueError, match="do not fit together"):
        bagged([140.0, 150.0], np.zeros(shape), TWO_LISTS)


def test_one_draw_cannot_be_bagged():
    with pytest.raises(ValueError, match="at least two draws are needed"):
        bagged([140.0], TWO_LISTS[None], TWO_LISTS)
