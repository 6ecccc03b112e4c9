"""PyMC models compiled once a shape, and drawn from by NUTS."""

import contextlib
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from hiddenpop._typing import Arrays, Floats
from hiddenpop.extras import REFACTOR_NOTICE
from hiddenpop.parallel import threads

__all__ = ["BACKENDS", "SAMPLER_PACKAGES", "Backend", "Chains", "quietly", "sample"]


Backend = Literal["nutpie", "pymc"]
BACKENDS: tuple[str, ...] = get_args(Backend)
SAMPLER_PACKAGES = ("pymc", "pytensor", "nutpie", "arviz")
"""What the draws depend on besides the packages that every result records."""

MOST_MODELS = 32
"""Compiled models that are kept, each some megabytes."""

NO_START = "no chain could start"

NOT_CONTIGUOUS = r".*is faster on contiguous arrays"
NOT_CACHED = r".*Cannot cache compiled function .* as it uses dynamic globals"
"""What numba says of functions that PyTensor makes; bold on some screens, so that signs stand in front."""

_MODELS: dict[Hashable, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chains:
    """Draws of several chains from a posterior.

    Attributes
    ----------
    draws : mapping of str to ndarray, shape (chains, draws, ...)
        By the names of the model; empty when sampling failed.
    n_divergent : int
        Steps after the warm-up that left the curve they should follow.
    backend : {"nutpie", "pymc"}
    failure : str
        Why there are no draws; empty when there are.
    """

    draws: Mapping[str, Floats]
    n_divergent: int
    backend: Backend
    failure: str = ""


def sample(
    build: Callable[[Arrays], Any],
    key: Hashable,
    data: Arrays,
    *,
    n_draws: int,
    n_tune: int,
    n_chains: int,
    target_accept: float,
    rng: np.random.Generator,
    backend: Backend = "nutpie",
) -> Chains:
    """Draw from a PyMC model by NUTS.

    Parameters
    ----------
    build : callable
        Makes the model from `data`; every array enters as ``pm.Data`` under its name.
    key : hashable
        What fixes the structure of the model: shapes, and settings that do not enter as data. A model with the same key
        is not compiled again.
    data : mapping of str to ndarray
    n_draws, n_tune : int
        Draws a chain, and steps of warm-up before them.
    n_chains : int
    target_accept : float
        Acceptance that the step size aims at.
    rng : Generator
    backend : {"nutpie", "pymc"}
        ``"nutpie"`` is several times faster; ``"pymc"`` is PyMC's own sampler.

    Returns
    -------
    Chains

    Notes
    -----
    The draws follow from the seed on one machine with one backend. Another processor, other versions, or a function
    compiled anew may round otherwise, and chains then drift apart: the distribution is the same and the draws are not.

    Why nutpie with numba. The latent class model of Kosovo, four chains of 1,000 steps of warm-up and 500 draws on two
    busy cores, by what runs it:

    ========================== ======== ======== =======================
    sampler and backend        compile  draw     effective draws of N
    ========================== ======== ======== =======================
    nutpie, numba              16 s     16 s     275, 17 a second
    PyMC, numba                in draw  104 s    589, 6 a second
    PyMC, C                    in draw  172 s    695, 4 a second
    nutpie, JAX                2 s      186 s    271, 1.5 a second
    ========================== ======== ======== =======================

    On a quiet machine nutpie draws 2,000 in 2.6 s and PyMC in 28 s, 143 and 22 effective draws a second.

    PyTensor keeps compiled functions in its folder between runs (``pytensor.config.compiledir``): the first model of a
    shape takes half a minute, later ones some seconds.
    """
    seed = int(rng.integers(2**31))
    run = _by_nutpie if backend == "nutpie" else _by_pymc
    steps = {"draws": n_draws, "tune": n_tune, "chains": n_chains, "target_accept": target_accept}
    with quietly():
        trace = run(build, key, data, seed, steps)
    if isinstance(trace, str):
        return Chains(draws={}, n_divergent=0, backend=backend, failure=trace)
    draws = {
        str(name): np.asarray(values.to_numpy(), dtype=float) for name, values in trace.posterior.items()
    }
    return Chains(draws=draws, n_divergent=int(trace.sample_stats["diverging"].sum()), backend=backend)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Leave notices out that say nothing of the draws.

    They are that ArviZ changes, that PyTensor finds no BLAS of C (numba has that of scipy), and what numba remarks on
    the functions that PyTensor makes. PyTensor filters these remarks too, but only once, where it is imported; whoever
    imports it between two states of the filters, as pytest does in a test, takes that back.
    """
    from numba import NumbaPerformanceWarning, NumbaWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=REFACTOR_NOTICE, category=FutureWarning)
        warnings.filterwarnings("ignore", message="PyTensor could not link to a BLAS", category=UserWarning)
        warnings.filterwarnings("ignore", message=NOT_CONTIGUOUS, category=NumbaPerformanceWarning)
        warnings.filterwarnings("ignore", message=NOT_CACHED, category=NumbaWarning)
        yield


def _by_nutpie(
    build: Callable[[Arrays], Any], key: Hashable, data: Arrays, seed: int, steps: dict[str, Any]
) -> Any:
    """Draw with nutpie; a text in place of draws says why no chain could start."""
    import nutpie

    compiled = _kept(("nutpie", key), lambda: nutpie.compile_pymc_model(build(data), backend="numba"))
    quiet = {"save_warmup": False, "progress_bar": False}
    try:
        return nutpie.sample(
            compiled.with_data(**data), **steps, **quiet, seed=seed, cores=threads(steps["chains"])
        )
    except RuntimeError as error:
        return f"{NO_START} ({error})"


def _by_pymc(
    build: Callable[[Arrays], Any], key: Hashable, data: Arrays, seed: int, steps: dict[str, Any]
) -> Any:
    """Draw with PyMC's own sampler, chain after chain."""
    import pymc

    quiet = {"progressbar": False, "quiet": True, "compute_convergence_checks": False}
    with _kept(("pymc", key), lambda: build(data)):
        pymc.set_data(dict(data))
        try:
            return pymc.sample(**steps, **quiet, random_seed=seed, cores=1, compile_kwargs={"mode": "NUMBA"})
        except pymc.exceptions.SamplingError as error:
            return f"{NO_START} ({error})"


def _kept(key: Hashable, make: Callable[[], Any]) -> Any:
    """Look a compiled model up, or make it; the oldest goes when there are too many."""
    if key not in _MODELS:
        while len(_MODELS) >= MOST_MODELS:
            del _MODELS[next(iter(_MODELS))]
        _MODELS[key] = make()
    return _MODELS[key]
