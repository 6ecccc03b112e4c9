"""The latent class model as PyMC holds it, with class labels and population size summed out."""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Arrays
from hiddenpop.bayes.inference_data import load_pymc
from hiddenpop.bayes.sampling import Backend, Chains, sample
from hiddenpop.kernels.latent_class import LatentClassData

__all__ = ["build", "data_of", "draw_by_nuts"]


def draw_by_nuts(
    data: LatentClassData,
    *,
    n_draws: int,
    n_tune: int,
    n_chains: int,
    target_accept: float,
    backend: Backend,
    rng: np.random.Generator,
) -> Chains:
    """Draw the parameters by NUTS.

    Parameters
    ----------
    data : LatentClassData
    n_draws, n_tune : int
        Draws a chain, and steps of warm-up before them.
    n_chains : int
    target_accept : float
    backend : {"nutpie", "pymc"}
    rng : Generator

    Returns
    -------
    Chains
        With ``x``, the parameters in the order of `hiddenpop.kernels.latent_class`.
    """
    arrays = data_of(data)
    key = ("latent_class", data.n_classes, tuple((name, values.shape) for name, values in arrays.items()))
    return sample(
        partial(build, n_classes=data.n_classes),
        key,
        arrays,
        n_draws=n_draws,
        n_tune=n_tune,
        n_chains=n_chains,
        target_accept=target_accept,
        rng=rng,
        backend=backend,
    )


def data_of(data: LatentClassData) -> dict[str, npt.NDArray[Any]]:
    """Give the arrays that enter the model."""
    return {
        "members": data.members.astype(np.float64),
        "counts": data.counts,
        "log_shares": data.log_shares,
        "priors": np.array([data.shape, data.rate, data.a, data.b]),
    }


def build(data: Arrays, *, n_classes: int) -> Any:
    """Make the PyMC model.

    Parameters
    ----------
    data : mapping of str to ndarray
        By `data_of`.
    n_classes : int

    Returns
    -------
    pymc.Model
    """
    from pytensor import tensor

    pm = load_pymc()

    pt: Any = tensor  # a part of its functions has no types

    with pm.Model() as model:
        d = {name: pm.Data(name, values) for name, values in data.items()}
        shape, rate, a, b = (d["priors"][i] for i in range(4))
        z = pm.Flat("z", shape=n_classes - 1)
        logits = pm.Logistic("logits", 0.0, 1.0, shape=(n_classes, data["members"].shape[1]))
        pm.Deterministic("x", pt.concatenate([z, logits.ravel()]))
        exponents = pt.exp(z)
        total = exponents.sum()
        pm.Potential("sticks", z.sum() - (a + n_classes - 1.0) * pt.log(b + total))
        before = pt.concatenate([pt.zeros(1), pt.cumsum(exponents)])
        log_v = pt.concatenate([pt.log(-pt.expm1(-exponents)), pt.zeros(1)])
        log_nu = log_v - before
        log_missed = -pt.softplus(logits).sum(axis=1)
        log_cells = pt.logsumexp(log_nu + log_missed + d["members"] @ logits.T, axis=1)
        seen = (pt.exp(log_nu) * -pt.expm1(log_missed)).sum()
        by_cell = (d["counts"] * (log_cells - d["log_shares"])).sum()
        pm.Potential("likelihood", by_cell - (d["counts"].sum() + shape) * pt.log(rate + seen))
    return model
