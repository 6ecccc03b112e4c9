"""PyMC models are compiled once a shape, draw what they should by either sampler, and fail with a word."""

import numpy as np
import pytest

from hiddenpop.bayes import sampling
from hiddenpop.bayes.sampling import MOST_MODELS, Chains, sample

SEEN = np.array([4.0, 6.0, 5.0, 5.5])
BOTH = ["nutpie", pytest.param("pymc", marks=pytest.mark.slow)]


def build(data):
    """A normal mean with a flat prior: its posterior is N(mean, 1/4) for four numbers of variance 1."""
    import pymc as pm

    with pm.Model() as model:
        seen = pm.Data("seen", data["seen"])
        mean = pm.Flat("mean")
        pm.Potential("likelihood", -0.5 * ((seen - mean) ** 2).sum())
    return model


def impossible(data):
    """A density that is nowhere a number."""
    import pymc as pm

    with pm.Model() as model:
        seen = pm.Data("seen", data["seen"])
        pm.Potential("never", pm.math.log(-pm.math.exp(pm.Flat("mean") + (seen**2).sum())))
    return model


def draw(seen=SEEN, seed=1, build=build, backend="nutpie", n_draws=1000) -> Chains:
    return sample(
        build,
        (build.__name__, len(seen)),
        {"seen": seen},
        n_draws=n_draws,
        n_tune=300,
        n_chains=2,
        target_accept=0.8,
        rng=np.random.default_rng(seed),
        backend=backend,
    )


@pytest.mark.parametrize("backend", BOTH)
def test_draws_follow_the_posterior(backend):
    found = draw(backend=backend)
    assert found.draws["mean"].shape == (2, 1000)
    assert found.draws["mean"].mean() == pytest.approx(SEEN.mean(), abs=0.06)
    assert found.draws["mean"].std() == pytest.approx(0.5, rel=0.1)
    assert (found.n_divergent, found.failure, found.backend) == (0, "", backend)


def test_equal_seeds_give_equal_draws_and_others_do_not():
    one, same, other = draw(seed=3), draw(seed=3), draw(seed=4)
    assert one.draws["mean"].tobytes() == same.draws["mean"].tobytes()
    assert one.draws["mean"].tobytes() != other.draws["mean"].tobytes()


@pytest.mark.parametrize("backend", BOTH)
def test_another_table_of_the_same_shape_is_not_compiled_again_and_is_not_mixed_up(backend, monkeypatch):
    draw(backend=backend)
    monkeypatch.setattr(sampling, "_MODELS", dict(sampling._MODELS))
    before = list(sampling._MODELS)
    moved = draw(SEEN + 100.0, backend=backend)
    assert list(sampling._MODELS) == before
    assert moved.draws["mean"].mean() == pytest.approx(SEEN.mean() + 100.0, abs=0.06)


@pytest.mark.parametrize("backend", BOTH)
def test_chains_that_cannot_start_say_so(backend):
    found = draw(build=impossible, backend=backend)
    assert found.draws == {}
    assert found.failure.startswith("no chain could start")


def test_the_oldest_model_goes_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(sampling, "_MODELS", {})
    made = [sampling._kept(number, lambda number=number: number) for number in range(MOST_MODELS + 1)]
    assert made == list(range(MOST_MODELS + 1))
    assert list(sampling._MODELS) == list(range(1, MOST_MODELS + 1))
