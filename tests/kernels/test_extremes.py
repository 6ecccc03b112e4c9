"""Counts from 1 to 10^12 in one table: a right answer or an honest flag, never an error or a wrong number."""

import numpy as np
import pytest
from tests.support.plain import terms_of

from hiddenpop.kernels.poisson.faces import faces_of_batch
from hiddenpop.kernels.poisson.lattice import fit_batch
from hiddenpop.kernels.poisson.model_fit import fit_model, hidden_profile
from hiddenpop.kernels.poisson.profile import profile_limits
from hiddenpop.model import HierarchicalModel, enumerate_models


def wild_tables(exponent, how_many):
    """Tables whose counts span `exponent` powers of ten, a fifth of the cells empty, each with a random model."""
    rng = np.random.default_rng(exponent)
    for _ in range(how_many):
        n_lists = int(rng.choice([3, 4]))
        counts = np.floor(10 ** rng.uniform(0, exponent, 1 << n_lists))
        counts[rng.random(1 << n_lists) < 0.2] = 0.0
        counts[0] = 0.0
        yield n_lists, counts, rng.choice(np.concatenate(list(enumerate_models(n_lists))))


def margins_reproduced(counts, means, face):
    cells = np.arange(1, len(counts))
    gaps = [
        abs((means - counts)[cells[cells & t == t]].sum()) / counts[cells[cells & t == t]].sum()
        for t in face.terms
    ]
    return max(gaps)


@pytest.mark.parametrize("exponent", [4, 8, 12])
def test_the_careful_fit_is_right_or_says_that_it_did_not_converge(exponent):
    unconverged = 0
    for n_lists, counts, term_set in wild_tables(exponent, 120):
        fit = fit_model(counts, terms_of(HierarchicalModel.from_term_set(term_set, n_lists)), n_lists)
        assert not np.isnan(fit.deviance)
        unconverged += not fit.converged
        if fit.converged:
            assert margins_reproduced(counts, fit.means, fit.face) < 1e-7
    assert unconverged <= (0 if exponent < 12 else 6)


@pytest.mark.parametrize("exponent", [4, 8, 12])
def test_the_batch_never_calls_a_wrong_number_converged(exponent):
    for n_lists, counts, term_set in wild_tables(exponent, 120):
        models = np.array([term_set])
        batch = fit_batch(counts, models, n_lists)
        if faces_of_batch(counts, models, n_lists).status[0] == "ok" and batch.converged[0]:
            fit = fit_model(counts, terms_of(HierarchicalModel.from_term_set(term_set, n_lists)), n_lists)
            if fit.converged:
                assert counts.sum() + batch.n0[0] == pytest.approx(counts.sum() + fit.n0, rel=1e-5)
                assert batch.deviance[0] == pytest.approx(fit.deviance, rel=1e-6, abs=1e-4)


@pytest.mark.parametrize("size", [1e3, 1e6, 1e9, 1e12])
def test_the_lower_limit_of_two_large_lists_without_an_overlap(size):
    # No overlap has probability about exp(-size^2 / N), which falls to 2 * .025 at N = size^2 / 3.00.
    fit = fit_model(np.array([0, size, size, 0]), np.array([1, 2, 0]), 2)
    limits = profile_limits(hidden_profile(np.array([0, size, size, 0]), np.array([1, 2, 0]), 2, fit), 0.95)
    assert (fit.face.status, limits.high) == ("unbounded", np.inf)
    assert limits.low == pytest.approx(size**2 / -np.log(0.05), rel=4e-3)
