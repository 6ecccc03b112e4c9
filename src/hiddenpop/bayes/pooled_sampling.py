"""NUTS over a pooled model: by nutpie on its compiled density, or by PyMC."""

from functools import partial
from typing import Any

import numpy as np

from hiddenpop._typing import Floats
from hiddenpop.bayes.inference_data import load_pymc
from hiddenpop.bayes.loglinear_model import Steps
from hiddenpop.bayes.sampling import NO_START, Chains, quietly, sample
from hiddenpop.errors import CapabilityError
from hiddenpop.parallel import threads

__all__ = ["draw_kept", "pymc_model", "refuse_chain"]


KEPT = "kept"
BYTES_A_STEP = 16
"""Of nutpie for each parameter: its value and its slope."""

LARGEST_TRACE, LARGEST_CHAIN = 2**31, 2**33

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

    Raises
    ------
    CapabilityError
        When a single chain would fill more than eight gigabytes.

    Notes
    -----
    Nutpie takes the density as it is, without PyMC between. Written in PyTensor the model is more than a hundred
    operations, which take half a minute to compile for every shape of table; the density is compiled once and numba
    keeps it on disk. PyMC's own sampler, the fallback, has the same density as one operation of `pymc_model`.

    While a chain is drawn, nutpie holds its parameters and its gradient at every step. Where those of all chains would
    fill more than two gigabytes, they are drawn one after the other.
    """
    refuse_chain(n_parameters, steps)
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
    pm = load_pymc()

    from hiddenpop.bayes.pooled_op import PooledDensity

    with pm.Model() as model:
        x = pm.Flat("x", shape=n_parameters)
        outputs: Any = PooledDensity(n_kept)(x, pm.Data("data", data))
        pm.Potential("density", outputs[0])
        pm.Deterministic(KEPT, outputs[2])
    return model


def _bytes_of_chain(n_parameters: int, steps: Steps) -> int:
    return BYTES_A_STEP * n_parameters * (steps.n_draws + steps.n_tune)


def refuse_chain(n_parameters: int, steps: Steps) -> None:
    """Refuse a chain that would fill more memory than there may be.

    Raises
    ------
    CapabilityError
    """
    needed = _bytes_of_chain(n_parameters, steps)
    if needed > LARGEST_CHAIN:
        raise CapabilityError(
            f"{n_parameters:,} effects at {steps.n_draws + steps.n_tune:,} steps of a chain need "
            f"{needed / 1e9:.0f} gigabytes, more than {LARGEST_CHAIN / 1e9:.0f}; lower n_draws, take order=1, or "
            f"collapse places"
        )


def _by_nutpie(data: Floats, n_parameters: int, n_kept: int, steps: Steps, seed: int) -> Chains:
    together = _bytes_of_chain(n_parameters, steps) * steps.n_chains <= LARGEST_TRACE
    calls = [steps.n_chains] if together else [1] * steps.n_chains
    try:
        with quietly():
            found = [
                _one_call(data, n_parameters, n_kept, steps, n_chains, seed + number)
                for number, n_chains in enumerate(calls)
            ]
    except RuntimeError as error:
        return Chains(draws={}, n_divergent=0, backend="nutpie", failure=f"{NO_START} ({error})")
    return Chains(
        draws={KEPT: np.concatenate([kept for kept, _ in found])},
        n_divergent=sum(divergent for _, divergent in found),
        backend="nutpie",
    )


def _one_call(
    data: Floats, n_parameters: int, n_kept: int, steps: Steps, n_chains: int, seed: int
) -> tuple[Floats, int]:
    """Draw some chains; give what is kept, and the number of divergent draws."""
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
    trace = nutpie.sample(
        compiled,
        draws=steps.n_draws,
        tune=steps.n_tune,
        chains=n_chains,
        target_accept=steps.target_accept,
        seed=seed,
        cores=threads(n_chains),
        save_warmup=False,
        progress_bar=False,
    )
    kept = np.asarray(trace.posterior[KEPT].to_numpy(), dtype=np.float64)
    return kept, int(trace.sample_stats["diverging"].sum())


def _value_and_gradient(x: Floats, data: Floats) -> tuple[float, Floats]:
    from hiddenpop.kernels.pooled_density import packed_density

    found = packed_density(np.array(x), data)
    return float(found[0]), found[1 : 1 + len(x)]


def _kept(x: Floats, data: Floats) -> dict[str, Floats]:
    from hiddenpop.kernels.pooled_density import packed_density

    return {KEPT: packed_density(np.array(x), data)[1 + len(x) :]}


def _start(n_parameters: int, seed: int) -> Floats:
    return np.random.default_rng(seed).uniform(-FIRST, FIRST, n_parameters)
