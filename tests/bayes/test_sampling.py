"""PyMC models are compiled once a shape, draw what they should by either sampler, and fail with a word."""

import os
import subprocess
import sys
import warnings

import numba
import numpy as np
import pytest

from hiddenpop.bayes import sampling
from hiddenpop.bayes.sampling import MOST_MODELS, Chains, quietly, sample

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


# --- what numba says of the functions that PyTensor makes -------------------------------------------------------------

COLD = """
import warnings
warnings.simplefilter("error")
with warnings.catch_warnings():  # as the test in which it is imported first
    import pytensor.link.numba.dispatch.basic
import numpy as np
from hiddenpop.bayes.sampling import sample

def build(data):
    import pymc as pm
    with pm.Model() as model:
        seen = pm.Data("seen", data["seen"])
        pm.Potential("density", -0.5 * (seen[:, ::2].dot(pm.Flat("mean", shape=(2, 2))) ** 2).sum())
    return model

found = sample(build, "key", {"seen": np.arange(12.0).reshape(3, 4)}, n_draws=50, n_tune=50, n_chains=2,
               target_accept=0.8, rng=np.random.default_rng(1))
print(found.draws["mean"].shape)
"""


def test_a_remark_of_numba_is_no_fault_of_the_model():
    @numba.njit
    def product(left, right):
        return np.dot(left, right)

    parts = np.ones((3, 4))[:, ::2], np.ones((2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(numba.NumbaPerformanceWarning, match="is faster on contiguous arrays"):
            product(*parts)
        with quietly():
            assert product(*parts).sum() == 12.0


def test_what_pytensor_filters_where_it_is_imported_is_filtered_where_it_is_used():
    from pytensor.link.numba.dispatch import basic

    with warnings.catch_warnings():
        warnings.resetwarnings()
        basic._filter_numba_warnings()
        theirs = {(category, message.pattern) for _, message, category, *_ in warnings.filters}
    with warnings.catch_warnings():
        warnings.resetwarnings()
        with quietly():
            ours = {
                category: message
                for action, message, category, *_ in warnings.filters
                if action == "ignore" and issubclass(category, numba.NumbaWarning)
            }
    assert len(theirs) == len(ours) == 2
    for category, pattern in theirs:
        said = pattern.split("*", 1)[1].replace(r"\(\)", "()").replace(".*", " of a model")
        assert ours[category].match(said), said
        assert ours[category].match(f"\x1b[1m\x1b[1m{said}"), said


@pytest.mark.slow
def test_a_model_compiles_on_a_machine_that_has_never_compiled_anything(tmp_path):
    flags = f"{os.environ.get('PYTENSOR_FLAGS', '')},base_compiledir={tmp_path / 'pytensor'}".strip(",")
    done = subprocess.run(
        [sys.executable, "-c", COLD],
        env={**os.environ, "PYTENSOR_FLAGS": flags, "NUMBA_CACHE_DIR": str(tmp_path / "numba")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("(2, 50, 2, 2)\n", 0), done.stderr[-2000:]
    assert any((tmp_path / "pytensor").rglob("*.nbi"))
