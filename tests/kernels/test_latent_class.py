"""The latent class density by several routes, and its sampler against exact posteriors and its own prior."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import betaln, expit, gammaln, logsumexp
from scipy.stats import chisquare, kstest

import hiddenpop as hp
from hiddenpop.kernels.bayes import latent_class
from hiddenpop.kernels.bayes.hamiltonian import ladder, tempered
from hiddenpop.kernels.bayes.latent_class import (
    LatentClassData,
    class_weights,
    draw_prior,
    draw_sizes,
    evaluate,
    hidden_share,
    latent_class_data,
    starts,
)

Floats = npt.NDArray[np.float64]

SMALL = np.array([0.0, 20, 30, 8, 25, 7, 9, 4])


def data_of(name: str, n_classes: int = 4, size_prior: tuple[float, float] = (0.0, 0.0)) -> LatentClassData:
    counts = hp.datasets.load(name).to_dense().astype(float)
    return latent_class_data(counts, n_classes=n_classes, size_prior=size_prior)


def plain(
    counts: Floats, x: Floats, n_classes: int, gamma: tuple[float, float], a: float, b: float
) -> Floats:
    """Log prior and log likelihood, by the definition, cell by cell."""
    V = np.append(1.0 - np.exp(-np.exp(x[: n_classes - 1])), 1.0)
    nu = V * np.cumprod(np.append(1.0, 1.0 - V[:-1]))
    lam = expit(x[n_classes - 1 :].reshape(n_classes, -1))
    t = lam.shape[1]
    p = np.zeros(1 << t)
    for w in range(1 << t):
        on = np.array([(w >> j) & 1 for j in range(t)], dtype=bool)
        p[w] = (nu * np.where(on, lam, 1.0 - lam).prod(axis=1)).sum()
    n = counts[1:].sum()
    y = counts[1:][counts[1:] > 0]
    log_likelihood = (y * (np.log(p[1:][counts[1:] > 0]) - np.log(y / n))).sum()
    log_likelihood -= (n + gamma[0]) * math.log(gamma[1] + 1.0 - p[0])
    E = np.exp(x[: n_classes - 1])
    log_prior = -(a + n_classes - 1) * math.log(b + E.sum()) + x[: n_classes - 1].sum()
    return np.array([log_prior + np.log(lam * (1.0 - lam)).sum(), log_likelihood])


@pytest.mark.parametrize("name", ["kosovo", "uk", "new_orleans_186"])
@pytest.mark.parametrize("size_prior", [(0.0, 0.0), (2.0, 1e-4)])
def test_the_density_is_the_plain_formula(name: str, size_prior: tuple[float, float]) -> None:
    data = data_of(name, size_prior=size_prior)
    counts = hp.datasets.load(name).to_dense().astype(float)
    for x in starts(data, (5,), np.random.default_rng(1)):
        expected = plain(counts, x, 4, size_prior, 0.25, 0.25)
        assert evaluate(data, x)[:2] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_the_gradient_is_the_slope_of_the_density(n_classes: int) -> None:
    data = data_of("kosovo", n_classes, (2.0, 1e-4))
    for x in starts(data, (3,), np.random.default_rng(2)):
        _, _, prior_gradient, likelihood_gradient = evaluate(data, x)
        for i in range(len(x)):
            step = np.zeros(len(x))
            step[i] = 1e-5
            above, below = evaluate(data, x + step), evaluate(data, x - step)
            slope = [(above[part] - below[part]) / 2e-5 for part in (0, 1)]
            assert slope == pytest.approx([prior_gradient[i], likelihood_gradient[i]], rel=1e-5, abs=1e-4)


def test_far_corners_have_a_number_or_none_that_a_sampler_would_accept() -> None:
    data = data_of("kosovo")
    for size in (5.0, 30.0, 300.0, 800.0):
        for signs in np.random.default_rng(1).choice([-1.0, 1.0], (20, data.n_parameters)):
            log_prior, log_likelihood, *gradients = evaluate(data, size * signs)
            assert not math.isinf(log_prior + log_likelihood) or log_prior + log_likelihood < 0.0
            if size <= 300.0:
                assert math.isfinite(log_prior + log_likelihood)
                assert np.all(np.isfinite(gradients))


def test_large_counts_keep_their_digits() -> None:
    small, large = latent_class_data(SMALL, n_classes=2), latent_class_data(SMALL * 1e10, n_classes=2)
    x = starts(small, (1,), np.random.default_rng(1))[0]
    one, many = evaluate(small, x), evaluate(large, x)
    assert many[1] == pytest.approx(1e10 * one[1], rel=1e-12)
    assert many[3] == pytest.approx(1e10 * one[3], rel=1e-9, abs=1e-2)


# --- classes change places --------------------------------------------------------------------------------------------


def test_exchanging_two_sticks_exchanges_the_weights_and_comes_back() -> None:
    rng = np.random.default_rng(1)
    for first, second in np.exp(rng.normal(0.0, 3.0, (200, 2))):
        new = latent_class._swapped(first, second)
        before = np.array([-math.expm1(-first), math.exp(-first) * -math.expm1(-second)])
        after = np.array([-math.expm1(-new[0]), math.exp(-new[0]) * -math.expm1(-new[1])])
        assert after == pytest.approx(before[::-1], rel=1e-9, abs=1e-15)
        assert sum(new) == pytest.approx(first + second, rel=1e-9)


def test_exchanges_leave_the_likelihood_and_the_prior_of_the_sticks_as_they_are() -> None:
    """From many draws of the prior of three sticks, moved: the same distribution, and the same cells."""
    data = latent_class_data(SMALL, n_classes=4)
    rng = np.random.default_rng(2)
    before = np.array([_prior_parameters(data, rng) for _ in range(4000)])
    after, moved = before.copy(), 0
    for x in after:
        old = evaluate(data, x)[1]
        moved += latent_class._exchange_classes(data, x, 1.0, rng)
        assert evaluate(data, x)[1] == pytest.approx(old, rel=1e-6, abs=1e-6)
    assert moved > 1000
    for k in range(3):
        fresh = np.array([_prior_parameters(data, rng)[k] for _ in range(4000)])
        assert kstest(after[:, k], fresh).pvalue > 1e-3


def _prior_parameters(data: LatentClassData, rng: np.random.Generator) -> Floats:
    return latent_class.draw_parameters(
        data.n_lists, n_classes=data.n_classes, concentration=(2.0, 2.0), rng=rng
    )


def test_a_jump_without_its_jacobian_is_seen() -> None:
    """The same check as above, with every exchange taken: the first stick gets shorter than its prior."""
    rng = np.random.default_rng(2)
    data = latent_class_data(SMALL, n_classes=4)
    before = np.array([_prior_parameters(data, rng)[:2] for _ in range(4000)])
    after = np.log([latent_class._swapped(*np.exp(z)) for z in before])
    assert kstest(after[:, 0], before[:, 0]).pvalue < 1e-6


# --- the sampler ------------------------------------------------------------------------------------------------------


def sample(data: LatentClassData, *, n_draws: int = 3000, temps: int = 1, seed: int = 1) -> Floats:
    rng = np.random.default_rng(seed)
    betas = ladder(0.1, temps)
    found = tempered(data, starts(data, (4, temps), rng), betas=betas, n_draws=n_draws, n_tune=500, rng=rng)
    return found.draws


def exact_independence(data: LatentClassData, power: float) -> tuple[Floats, Floats]:
    """One class: the posterior of N with uniform list probabilities summed out, for the prior N^-power."""
    totals = data.counts @ data.members
    n = int(data.counts.sum())
    sizes = np.arange(n, 60 * n, dtype=float)
    log_p = gammaln(sizes + 1) - gammaln(sizes - n + 1) - power * np.log(sizes)
    log_p += sum(betaln(total + 1, sizes - total + 1) for total in totals)
    return sizes, np.exp(log_p - logsumexp(log_p))


@pytest.mark.parametrize(("size_prior", "power"), [((0.0, 0.0), 1.0), ((1.0, 0.0), 0.0)])
def test_one_class_has_the_exact_posterior_of_independent_lists(
    size_prior: tuple[float, float], power: float
) -> None:
    data = data_of("western_us", 1, size_prior)
    sizes, probability = exact_independence(data, power)
    drawn = draw_sizes(data, sample(data), np.random.default_rng(2)).sizes
    cumulative = np.cumsum(probability)
    rank = cumulative[np.searchsorted(sizes, drawn)]
    batches = np.array(
        [(rank < share).reshape(40, -1).mean(axis=1) for share in (0.025, 0.25, 0.5, 0.75, 0.975)]
    )
    error = batches.std(axis=1, ddof=1) / math.sqrt(40)
    z = (batches.mean(axis=1) - np.array([0.025, 0.25, 0.5, 0.75, 0.975])) / error
    assert np.abs(z).max() < 4.0
    wrong = np.cumsum(exact_independence(data, 1.0 - power)[1])[np.searchsorted(sizes, drawn)]
    assert abs((wrong < 0.5).mean() - 0.5) > 4.0 * error[2]


def test_without_data_the_prior_of_the_parameters_comes_back() -> None:
    data = latent_class_data(SMALL, n_classes=3, concentration=(2.0, 2.0))
    rng = np.random.default_rng(5)
    found = tempered(
        data, starts(data, (4, 1), rng), betas=np.zeros(1), n_draws=10_000, n_tune=500, rng=rng
    ).draws
    exact = np.array([_prior_three(data, rng) for _ in range(40_000)])
    for i in (0, 1, 2, 10):
        for q in (0.1, 0.5, 0.9):
            inside = (found[..., i] < np.quantile(exact[:, i], q)).reshape(40, -1).mean(axis=1)
            assert abs(inside.mean() - q) < 4.0 * math.hypot(inside.std(ddof=1) / math.sqrt(40), 0.0025)


def _prior_three(data: LatentClassData, rng: np.random.Generator) -> Floats:
    return latent_class.draw_parameters(3, n_classes=3, concentration=(2.0, 2.0), rng=rng)


# --- sizes and the prior of tables ------------------------------------------------------------------------------------


def test_sizes_are_negative_binomial_and_never_below_the_observed() -> None:
    data = latent_class_data(SMALL, n_classes=2)
    x = starts(data, (1,), np.random.default_rng(1))[0]
    hidden, observed = hidden_share(x, 2)
    drawn = draw_sizes(data, np.broadcast_to(x, (200_000, len(x))), np.random.default_rng(2)).sizes
    n = SMALL.sum()
    mean, variance = n * hidden / observed, n * hidden / observed**2
    assert drawn.min() >= n
    assert (drawn - n).mean() == pytest.approx(mean, abs=5 * math.sqrt(variance / 2e5))
    assert drawn.var() == pytest.approx(variance, rel=0.03)


def test_shares_of_hidden_and_observed_keep_their_digits() -> None:
    x = np.array([0.3, *[-40.0] * 6])
    hidden, observed = hidden_share(x, 2)
    assert hidden == 1.0
    assert observed == pytest.approx(3.0 * math.exp(-40.0), rel=1e-9)


def test_weights_add_up_to_one() -> None:
    x = np.random.default_rng(1).normal(0.0, 3.0, (50, 4 + 15))
    weights = class_weights(x, 5)
    assert weights.sum(axis=-1) == pytest.approx(np.ones(50))
    assert weights.min() >= 0.0


def test_prior_tables_follow_their_size_and_their_parameters() -> None:
    rng = np.random.default_rng(3)
    drawn = [
        draw_prior(3, n_classes=3, size_prior=(5.0, 0.02), concentration=(1.0, 1.0), rng=rng)
        for _ in range(3000)
    ]
    sizes = np.array([draw.size for draw in drawn])
    # Somebody is observed in nearly all: the mean is that of the prior, 250, and the variance 250 + 250^2 / 5.
    assert sizes.mean() == pytest.approx(250.0, abs=5 * math.sqrt((250 + 250**2 / 5) / 3000) + 1.0)
    uniform = np.array([1.0 / (1.0 + math.exp(-draw.parameters[-1])) for draw in drawn])
    assert kstest(uniform, "uniform").pvalue > 1e-3
    assert all(draw.counts[0] == 0.0 and 0 < draw.counts.sum() <= draw.size for draw in drawn)


def test_prior_cells_follow_the_probabilities() -> None:
    data = latent_class_data(SMALL, n_classes=2)
    x = starts(data, (1,), np.random.default_rng(7))[0]
    p = latent_class.cell_probabilities(x, 2)
    counts = np.random.default_rng(1).multinomial(20_000, p)
    assert p.sum() == pytest.approx(1.0)
    assert p[0] == pytest.approx(hidden_share(x, 2)[0])
    assert chisquare(counts, 20_000 * p).pvalue > 1e-3
