"""Hamiltonian Monte Carlo on a ladder of powers of the likelihood, compiled, for any density.

A density is a NamedTuple of data with a compiled function behind it. `has_density` ties the two by the type of the
data, as compiled code that takes functions as arguments cannot be kept on disk::

    class Normal(NamedTuple):
        precision: Floats

    @njit
    def _log_normal(data, x, prior_gradient, likelihood_gradient):
        ...                                     # fills both gradients at x
        return log_prior, log_likelihood        # each up to a constant

    has_density(Normal, _log_normal)
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Floats
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.trajectories import (
    evaluate,
    exchange,
    has_density,
    new_scratch,
    new_states,
    new_tuning,
    round_trip,
    sweep_once,
    warm_up,
)
from hiddenpop.parallel import run_blocks

__all__ = ["Tempered", "has_density", "ladder", "respaced", "tempered", "tuned_ladder"]


@dataclass(frozen=True, slots=True)
class Tempered:
    """Draws from a density by chains that each climb their own ladder of powers of the likelihood.

    Attributes
    ----------
    draws : ndarray, shape (chains, draws, p)
        At power 1.
    log_likelihood : ndarray, shape (chains, draws)
        At power 1, up to the constant that the density leaves out.
    accept : ndarray, shape (temps,)
        Average chance that a trajectory was accepted.
    swap_rates : ndarray, shape (temps - 1,)
        Average chance that two neighbours on the ladder exchanged their states.
    round_trips : ndarray of int, shape (chains,)
        Times that a state went from power 1 to the lowest power and came back to power 1.
    n_divergent : int
        Trajectories at power 1 on which the integrator failed.
    step_sizes : ndarray, shape (chains, temps)
    """

    draws: Floats
    log_likelihood: Floats
    accept: Floats
    swap_rates: Floats
    round_trips: npt.NDArray[np.int64]
    n_divergent: int
    step_sizes: Floats


def ladder(lowest: float, n_temperatures: int) -> Floats:
    """Powers from 1 down to `lowest` in equal ratios.

    Examples
    --------
    >>> ladder(0.25, 3).tolist()
    [1.0, 0.5, 0.25]
    """
    return np.geomspace(1.0, lowest, n_temperatures) if n_temperatures > 1 else np.ones(1)


def respaced(betas: Floats, swap_rates: Floats) -> Floats:
    """Space the powers between the same ends so that neighbours exchange alike.

    Parameters
    ----------
    betas : ndarray, shape (temps,)
    swap_rates : ndarray, shape (temps - 1,)
        Of a run with these powers.

    Returns
    -------
    ndarray, shape (temps,)

    References
    ----------
    Syed, S., Bouchard-Cote, A., Deligiannidis, G. and Doucet, A. (2022). Non-reversible parallel tempering: a scalable
    highly parallel MCMC scheme. Journal of the Royal Statistical Society B 84(2), 321-350. doi:10.1111/rssb.12464

    Examples
    --------
    >>> respaced(np.array([1.0, 0.5, 0.25]), np.array([0.5, 0.5])).round(6).tolist()
    [1.0, 0.5, 0.25]
    """
    if len(betas) < 3:
        return betas
    barrier = np.concatenate([[0.0], np.cumsum(np.maximum(1.0 - swap_rates, 0.01))])
    wanted = np.linspace(0.0, barrier[-1], len(betas))
    spaced: Floats = np.exp(np.interp(wanted, barrier, np.log(betas)))
    spaced[0], spaced[-1] = betas[0], betas[-1]
    return spaced


def tuned_ladder(
    data: Any,
    starts: Floats,
    *,
    lowest: float,
    n_draws: int = 200,
    n_rounds: int = 2,
    rng: np.random.Generator,
) -> Floats:
    """Find powers at which neighbours exchange alike, by short runs.

    Parameters
    ----------
    data : NamedTuple
    starts : ndarray, shape (chains, temps, p)
    lowest : float
        Last power.
    n_draws : int
        Draws a run, after as many of warm-up.
    n_rounds : int
        Runs, each with the powers that the one before suggests.
    rng : Generator

    Returns
    -------
    ndarray, shape (temps,)
    """
    betas = ladder(lowest, starts.shape[1])
    for _ in range(n_rounds if len(betas) > 2 else 0):
        found = tempered(data, starts, betas=betas, n_draws=n_draws, n_tune=n_draws, rng=rng)
        betas = respaced(betas, found.swap_rates)
    return betas


def tempered(
    data: Any,
    starts: Floats,
    *,
    betas: Floats,
    n_draws: int,
    n_tune: int,
    n_sweeps: int = 1,
    target_accept: float = 0.8,
    rng: np.random.Generator,
) -> Tempered:
    """Draw from a density by parallel tempering, in chains that know nothing of each other.

    A sweep is a trajectory at each power, then exchanges between neighbours, of even and of odd pairs in turn; a draw
    is kept every `n_sweeps` of them. Step sizes and masses are set in the warm-up, for each power and chain. With the
    single power 1 this is plain Hamiltonian Monte Carlo with trajectories of random length.

    Parameters
    ----------
    data : NamedTuple
        Of a type that `has_density` knows.
    starts : ndarray, shape (chains, temps, p)
    betas : ndarray, shape (temps,)
        Powers of the likelihood, falling from 1.
    n_draws, n_tune : int
        Draws kept and draws of warm-up, a chain.
    n_sweeps : int
        Sweeps a draw, in the warm-up too.
    target_accept : float
        Acceptance that the warm-up aims at.
    rng : Generator

    Returns
    -------
    Tempered
        The same bytes on any number of workers; one chain is one block of work.

    References
    ----------
    Geyer, C. J. (1991). Markov chain Monte Carlo maximum likelihood. Computing Science and Statistics: Proceedings of
    the 23rd Symposium on the Interface, 156-163.
    Hoffman, M. D. and Gelman, A. (2014). The No-U-Turn Sampler. Journal of Machine Learning Research 15, 1593-1623.
    """
    run = functools.partial(
        _run_chain, data, np.ascontiguousarray(betas), (n_draws, n_tune, n_sweeps), target_accept
    )
    tasks = list(zip(np.array(starts, dtype=np.float64), rng.spawn(len(starts)), strict=True))
    chains = run_blocks(run, tasks, label="chains")
    draws, log_likelihood, accept, swaps, trips, divergent, steps = zip(*chains, strict=True)
    return Tempered(
        np.stack(draws),
        np.stack(log_likelihood),
        np.mean(accept, axis=0),
        np.mean(swaps, axis=0),
        np.array(trips),
        sum(divergent),
        np.stack(steps),
    )


def _run_chain(
    data: Any,
    betas: Floats,
    lengths: tuple[int, int, int],
    target_accept: float,
    task: tuple[Floats, np.random.Generator],
) -> tuple[Any, ...]:
    starts, rng = task
    kind: Any = type(data)
    compiled = _compiled(kind)
    result: tuple[Any, ...] = compiled(data, starts.copy(), betas, *lengths, target_accept, rng)
    return result


@functools.cache
def _compiled(kind: Any) -> Callable[..., tuple[Any, ...]]:
    """Compile one chain, kept on disk in files of this density's own.

    In a file for all, one density whose module cannot be imported would keep every other from being loaded.
    """

    def chain(
        data: Any,
        x: Floats,
        betas: Floats,
        n_draws: int,
        n_tune: int,
        n_sweeps: int,
        target: float,
        rng: Any,
    ) -> Any:
        n_temps, p = x.shape
        states, tuning = new_states(x), new_tuning(n_temps, p)
        scratch = new_scratch(p)
        for t in range(n_temps):
            evaluate(data, states, t)
        warm_up(data, states, scratch, tuning, betas, n_tune * n_sweeps, target, rng)
        draws, log_likelihood = np.empty((n_draws, p)), np.empty(n_draws)
        accept, rates = np.zeros(n_temps), np.zeros(max(n_temps - 1, 0))
        trips, divergent, total = 0, 0, n_draws * n_sweeps
        for sweep in range(total):
            divergent += sweep_once(data, states, scratch, tuning, betas, 0.0, accept, rng)
            exchange(states, betas, sweep % 2, rates, rng)
            trips += round_trip(states.phase)
            if (sweep + 1) % n_sweeps == 0:
                draw = sweep // n_sweeps
                draws[draw], log_likelihood[draw] = states.x[0], states.log_likelihood[0]
        accept /= total
        for t in range(n_temps - 1):
            rates[t] /= max((total + 1 - t % 2) // 2, 1)
        return draws, log_likelihood, accept, rates, trips, divergent, tuning.step

    chain.__qualname__ = f"chain.{kind.__module__}.{kind.__qualname__}"
    return njit(error_model="numpy", behind=(kind.__module__,))(chain)
