"""NUTS over a pooled model: by nutpie on its compiled density, or by PyMC."""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hiddenpop.bayes.loglinear_model import Steps
from hiddenpop.bayes.sampling import NO_START, Chains, sample
from hiddenpop.parallel import threads

__all__ = ["draw_kept", "pymc_model"]

Floats = npt.NDArray[np.float64]

KEPT = "kept"
FIRST = 1.0
"""Chains start within so much of 0, as nutpie starts PyMC's models."""


def draw_kept(data: Floats, n_parameters: int, n_kept: int, steps: Steps, rng: np.random.Generator) -> Chains:
    """Draw from a pooled model by NUTS, and keep of each draw what its strata need.

    Parameters
    ----------
    data : ndarray
        By `pooled_data.packed`.
    n_parameters, n_kept : int
    steps : Steps
    rng : Generator

    Returns
    -------
    Chains
        With the draws ``"kept"``.

    Notes
    -----
    Nutpie takes the density as it is, without PyMC between, for two reasons. Written in PyTensor the model is more than
    a hundred operations, which take half a minute to compile for every shape of table; the density is compiled once and
    numba keeps it on disk. And of a PyMC model nutpie stores every parameter: with ten thousand places and eleven
    effects each 8,000 draws fill seven gigabytes several times over. PyMC's own sampler, the fallback, has the same
    density as one operation of `pymc_model`, and does store them.
    """
    if steps.backend == "nutpie":
        return _by_nutpie(data, n_parameters, n_kept, steps, int(rng.integers(2**31)))
    return sample(
        lambda arrays: pymc_model(arrays["data"], n_parameters, n_kept),
        ("pooled", n_parameters, n_kept),
        {"data": data},
        n_draws=steps.n_draws,
        n_tune=steps.n_tune,
        n_chains=steps.n_chains,
        target_accept=steps.target_accept,
        rng=rng,
        backend="pymc",
    )


def pymc_model(data: Floats, n_parameters: int, n_kept: int) -> Any:
    """Make the PyMC model.

    Parameters
    ----------
    data : ndarray
    n_parameters, n_kept : int

    Returns
    -------
    pymc.Model
        With the parameters ``x``, flat before the density is added, and what is kept.
    """
    import pymc as pm

    from hiddenpop.bayes.pooled_op import PooledDensity

    with pm.Model() as model:
        x = pm.Flat("x", shape=n_parameters)
        outputs: Any = PooledDensity(n_kept)(x, pm.Data("data", data))
        pm.Potential("density", outputs[0])
        pm.Deterministic(KEPT, outputs[2])
    return model


def _by_nutpie(data: Floats, n_parameters: int, n_kept: int, steps: Steps, seed: int) -> Chains:
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    compiled = from_pyfunc(
        n_parameters,
        lambda: partial(_value_and_gradient, data=data),
        lambda *_: partial(_kept, data=data),
        [np.dtype(np.float64)],
        [(n_kept,)],
        [KEPT],
        make_initial_point_fn=lambda chain_seed: _start(n_parameters, chain_seed),
    )
    try:
        trace = nutpie.sample(
            compiled,
            draws=steps.n_draws,
            tune=steps.n_tune,
            chains=steps.n_chains,
            target_accept=steps.target_accept,
            seed=seed,
            cores=threads(steps.n_chains),
            save_warmup=False,
            progress_bar=False,
        )
    except RuntimeError as error:
        return Chains(draws={}, n_divergent=0, backend="nutpie", failure=f"{NO_START} ({error})")
    draws = {KEPT: np.asarray(trace.posterior[KEPT].to_numpy(), dtype=np.float64)}
    return Chains(draws=draws, n_divergent=int(trace.sample_stats["diverging"].sum()), backend="nutpie")


def _value_and_gradient(x: Floats, data: Floats) -> tuple[float, Floats]:
    from hiddenpop.kernels.pooled_density import packed_density

    found = packed_density(np.array(x), data)
    return float(found[0]), found[1 : 1 + len(x)]


def _kept(x: Floats, data: Floats) -> dict[str, Floats]:
    from hiddenpop.kernels.pooled_density import packed_density

    return {KEPT: packed_density(np.array(x), data)[1 + len(x) :]}


def _start(n_parameters: int, seed: int) -> Floats:
    return np.random.default_rng(seed).uniform(-FIRST, FIRST, n_parameters)
