"""The sampler as a distribution: moments it must give, and faults that must show."""

from pathlib import Path
from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt
import pytest

import hiddenpop as hp
from hiddenpop.kernels.bayes import hamiltonian
from hiddenpop.kernels.bayes.hamiltonian import (
    Tempered,
    has_density,
    ladder,
    respaced,
    tempered,
    tuned_ladder,
)
from hiddenpop.kernels.compiled import DIGITS, source_digest

Floats = npt.NDArray[np.float64]


class Normals(NamedTuple):
    """A normal prior with precision 1 and a normal likelihood around `centre`; `fault` spoils a gradient or a term."""

    centre: Floats
    precision: Floats
    fault: int


@nb.njit(error_model="numpy")
def _normals(data, x, prior_gradient, likelihood_gradient):
    log_prior, log_likelihood = 0.0, 0.0
    for i in range(x.shape[0]):
        off = x[i] - data.centre[i]
        log_prior -= 0.5 * x[i] * x[i]
        log_likelihood -= 0.5 * data.precision[i] * off * off
        prior_gradient[i] = -x[i]
        likelihood_gradient[i] = -data.precision[i] * off
    if (
        data.fault == 1
    ):  # a wrong sign: still a correct chain, as acceptance repairs it, but one that hardly moves
        likelihood_gradient[:] = -likelihood_gradient
    if data.fault == 2:  # a wrong prior
        log_prior *= 0.5
        prior_gradient[:] = 0.5 * prior_gradient
    return log_prior, log_likelihood


has_density(Normals, _normals)


class Hills(NamedTuple):
    """Two narrow hills at -`distance` and +`distance`, the second with the share `share`, under a flat prior."""

    distance: float
    share: float


@nb.njit(error_model="numpy")
def _hills(data, x, prior_gradient, likelihood_gradient):
    left = np.log(1.0 - data.share) - 0.5 * (x[0] + data.distance) ** 2
    right = np.log(data.share) - 0.5 * (x[0] - data.distance) ** 2
    top = max(left, right)
    total = top + np.log(np.exp(left - top) + np.exp(right - top))
    of_right = np.exp(right - total)
    likelihood_gradient[0] = -(x[0] + data.distance) + 2.0 * data.distance * of_right
    prior_gradient[0] = -0.01 * x[0]
    return -0.005 * x[0] ** 2, total


@nb.njit(error_model="numpy")
def _mirror(data, x, beta, rng):
    """Jump to the mirror image, as Metropolis and Hastings say."""
    scratch = np.zeros(1)
    here = _hills(data, x, scratch, scratch)[1]
    x[0] = -x[0]
    there = _hills(data, x, scratch, scratch)[1]
    if np.log(1.0 - rng.random()) < beta * (there - here):
        return True
    x[0] = -x[0]
    return False


has_density(Hills, _hills)


class MirroredHills(NamedTuple):
    distance: float
    share: float


has_density(MirroredHills, _hills, jump=_mirror)

POINTS = np.array([3.0, -1.0, 0.5])
PRECISION = np.array([4.0, 0.25, 100.0])


def draw_normals(
    *, fault: int = 0, betas: Floats | None = None, seed: int = 1, n_draws: int = 4000
) -> Tempered:
    betas = np.ones(1) if betas is None else betas
    rng = np.random.default_rng(seed)
    starts = rng.normal(0.0, 3.0, (4, len(betas), 3))
    data = Normals(POINTS, PRECISION, fault)
    return tempered(data, starts, betas=betas, n_draws=n_draws, n_tune=500, rng=rng)


def z_scores(found: Tempered) -> Floats:
    """Distance of the mean of x and of its square from the truth, in standard errors over the chains' batches."""
    precision = PRECISION + 1.0
    mean, variance = PRECISION * POINTS / precision, 1.0 / precision
    scores = []
    for power, truth in ((1, mean), (2, mean**2 + variance)):
        batches = (found.draws**power).reshape(40, -1, 3).mean(axis=1)
        scores.append((batches.mean(axis=0) - truth) / (batches.std(axis=0, ddof=1) / np.sqrt(40)))
    return np.abs(np.concatenate(scores))


@pytest.mark.slow
def test_moments_of_a_normal_density() -> None:
    found = draw_normals()
    assert z_scores(found).max() < 3.5
    assert found.n_divergent == 0
    assert 0.6 < found.accept[0] < 0.99


@pytest.mark.slow
def test_moments_at_power_one_on_a_ladder() -> None:
    found = draw_normals(betas=ladder(0.1, 4))
    assert z_scores(found).max() < 3.5
    assert found.round_trips.min() > 20
    assert found.swap_rates.min() > 0.2


@pytest.mark.slow
def test_a_wrong_prior_is_seen() -> None:
    assert z_scores(draw_normals(fault=2)).max() > 5.0


def test_a_wrong_sign_of_a_gradient_is_seen() -> None:
    wrong, right = draw_normals(fault=1), draw_normals()
    assert wrong.step_sizes.mean() < 0.5 * right.step_sizes.mean()


def test_at_power_zero_the_prior_comes_back() -> None:
    found = draw_normals(betas=np.zeros(1))
    batches = found.draws.reshape(40, -1, 3)
    error = batches.mean(axis=1).std(axis=0, ddof=1) / np.sqrt(40)
    assert np.abs(found.draws.mean(axis=(0, 1)) / error).max() < 3.5
    assert found.draws.std(axis=(0, 1)) == pytest.approx(np.ones(3), rel=0.06)


def draw_hills(kind: type, betas: Floats, n_sweeps: int = 1) -> Tempered:
    rng = np.random.default_rng(3)
    starts = np.full((4, len(betas), 1), -8.0)
    data = kind(distance=8.0, share=0.7)
    return tempered(data, starts, betas=betas, n_draws=3000, n_tune=500, n_sweeps=n_sweeps, rng=rng)


@pytest.mark.slow
def test_a_ladder_finds_the_weight_of_a_hill_that_one_power_never_sees() -> None:
    alone, climbing = draw_hills(Hills, np.ones(1)), draw_hills(Hills, ladder(0.01, 6))
    assert set((alone.draws > 0.0).mean(axis=1).ravel().tolist()) <= {0.0, 1.0}
    by_chain = (climbing.draws[..., 0] > 0.0).mean(axis=1)
    assert by_chain.mean() == pytest.approx(0.7, abs=0.05)
    assert np.all(climbing.round_trips > 50)
    assert alone.round_trips.tolist() == [0, 0, 0, 0]


def test_a_jump_is_taken_and_keeps_the_weights() -> None:
    found = draw_hills(MirroredHills, np.ones(1))
    assert (found.draws > 0.0).mean() == pytest.approx(0.7, abs=0.02)


def test_a_scale_far_from_one_is_learned() -> None:
    rng = np.random.default_rng(1)
    data = Normals(np.array([0.5]), np.array([1e12]), 0)
    starts = rng.normal(0.5, 1e-3, (4, 1, 1))
    found = tempered(data, starts, betas=np.ones(1), n_draws=1000, n_tune=1000, rng=rng)
    assert found.draws.std() == pytest.approx(1e-6, rel=0.1)


def test_a_density_without_a_number_is_refused_and_counted() -> None:
    rng = np.random.default_rng(1)
    data = Normals(np.array([np.nan]), np.array([1.0]), 0)
    found = tempered(data, np.zeros((1, 1, 1)), betas=np.ones(1), n_draws=20, n_tune=10, rng=rng)
    assert found.n_divergent == 20
    assert np.all(found.draws == 0.0)


def test_equal_seeds_give_equal_bytes_on_any_number_of_workers() -> None:
    betas = ladder(0.1, 3)
    alone = draw_normals(betas=betas, n_draws=50)
    again = draw_normals(betas=betas, n_draws=50)
    other = draw_normals(betas=betas, n_draws=50, seed=2)
    assert alone.draws.tobytes() == again.draws.tobytes() != other.draws.tobytes()
    assert alone.log_likelihood.tobytes() == again.log_likelihood.tobytes()


def test_two_workers_give_the_bytes_of_one() -> None:
    from hiddenpop.kernels.bayes.latent_class import latent_class_data, starts

    data = latent_class_data(np.array([0.0, 20, 30, 8, 25, 7, 9, 4]), n_classes=2)

    def run() -> Tempered:
        rng = np.random.default_rng(4)
        first = starts(data, (2, 3), rng)
        return tempered(data, first, betas=ladder(0.2, 3), n_draws=40, n_tune=20, rng=rng)

    alone = run()
    with hp.parallel(workers=2):
        spread = run()
    assert alone.draws.tobytes() == spread.draws.tobytes()
    assert alone.round_trips.tolist() == spread.round_trips.tolist()


def test_the_log_likelihood_belongs_to_the_draw() -> None:
    found = draw_normals(betas=ladder(0.1, 3), n_draws=100)
    off = found.draws - POINTS
    assert found.log_likelihood == pytest.approx(-0.5 * (PRECISION * off**2).sum(axis=-1), rel=1e-12)


def test_a_draw_every_few_sweeps_thins_the_chain() -> None:
    betas = np.ones(1)
    data, rng = Normals(POINTS, PRECISION, 0), np.random.default_rng(5)
    starts = np.zeros((1, 1, 3))
    every = tempered(data, starts, betas=betas, n_draws=60, n_tune=0, rng=np.random.default_rng(5))
    third = tempered(data, starts, betas=betas, n_draws=20, n_tune=0, n_sweeps=3, rng=rng)
    assert np.array_equal(third.draws[0], every.draws[0, 2::3])


def test_respacing_moves_powers_to_where_exchanges_fail() -> None:
    betas = ladder(0.1, 5)
    spaced = respaced(betas, np.array([0.9, 0.2, 0.9, 0.9]))
    assert spaced[[0, -1]].tolist() == betas[[0, -1]].tolist()
    assert np.all(np.diff(spaced) < 0.0)
    assert ((spaced < betas[1]) & (spaced > betas[2])).sum() >= 2


def test_a_tuned_ladder_keeps_its_ends_and_evens_the_exchanges() -> None:
    rng = np.random.default_rng(1)
    data = Normals(np.full(3, 4.0), np.full(3, 50.0), 0)
    starts = rng.normal(0.0, 1.0, (2, 6, 3))
    betas = tuned_ladder(data, starts, lowest=0.001, rng=rng)
    assert betas[[0, -1]].tolist() == [1.0, 0.001]

    def spread(powers: Floats) -> float:
        found = tempered(data, starts, betas=powers, n_draws=500, n_tune=300, rng=np.random.default_rng(2))
        return float(np.ptp(found.swap_rates))

    assert spread(betas) < 0.6 * spread(ladder(0.001, 6))


def test_a_chain_is_kept_under_the_source_of_its_density() -> None:
    place = hamiltonian._compiled(Normals).stats.cache_path
    assert Path(place).name == f"{hamiltonian.__name__}+{__name__}-{digest_of(__name__)}"
    assert digest_of(__name__) != digest_of("hiddenpop.kernels.bayes.latent_class")


def digest_of(density: str) -> str:
    return source_digest(hamiltonian.__name__, density)[:DIGITS]


def test_each_density_is_kept_in_files_of_its_own() -> None:
    names = {hamiltonian._compiled(kind).__qualname__ for kind in (Normals, Hills)}
    assert len(names) == 2
