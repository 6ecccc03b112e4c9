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
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.extending import overload

from hiddenpop._typing import Floats
from hiddenpop.kernels.compiled import njit
from hiddenpop.parallel import run_blocks

__all__ = ["Tempered", "has_density", "ladder", "respaced", "tempered", "tuned_ladder"]

PATH = 1.5
"""Average length of a trajectory, in standard deviations: a quarter of the period of a normal density is 1.57."""

MOST_STEPS = 16
"""Leapfrog steps a trajectory; where the step must be smaller than an eighth of `PATH`, the trajectory is shorter."""

JITTER = 1.5
"""A trajectory takes its step shorter by a factor drawn from exp(-1.5) to 1, alike in logarithm: where a density is
narrower than the warm-up has seen, the full step would never be accepted."""

DIVERGENT = 1000.0
"""Loss of log density that no error of a working integrator explains; the bound that Stan uses."""

LOG_STEPS = (-25.0, 2.0)
"""Limits of the logarithm of a step; a density of scale 1e-10 is reached by masses first."""

UPDATES = (0.1, 0.2, 0.4, 0.7)
"""Shares of the warm-up after which the masses are set anew; what follows the last is for the step size."""

SHRINKAGE = 5.0
"""Old variance counts as so many draws when masses are set."""


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


# === one sweep of tempered Hamiltonian Monte Carlo, compiled ==========================================================
# Trajectories, exchanges, and what the warm-up learns.


class _Behind(NamedTuple):
    """The compiled functions behind a type of data."""

    density: Callable[..., Any]
    jump: Callable[..., Any]


_BEHIND: dict[type, _Behind] = {}


@njit(keep=False, error_model="numpy")
def _stay(data: Any, x: Floats, beta: float, rng: Any) -> bool:
    return False


def has_density(kind: type, density: Callable[..., Any], *, jump: Callable[..., Any] = _stay) -> None:
    """Tie a type of data to its density; called once, in the module that defines both.

    Parameters
    ----------
    kind : type
        A NamedTuple of arrays and numbers, defined in the same file as its density.
    density : compiled function
        Takes (data, x, prior_gradient, likelihood_gradient), fills the gradients, and returns the log prior and the
        log likelihood at `x`.
    jump : compiled function, optional
        Takes (data, x, beta, rng) and changes `x` by a step that leaves the density with power `beta` of the
        likelihood as it is; returns whether `x` changed. It is called after each trajectory.
    """
    _BEHIND[kind] = _Behind(density, jump)


def log_density(data: Any, x: Floats, prior_gradient: Floats, likelihood_gradient: Floats) -> Any:
    """Stand in compiled code for the density behind the type of `data`."""
    return _BEHIND[type(data)].density(data, x, prior_gradient, likelihood_gradient)


def jump(data: Any, x: Floats, beta: float, rng: np.random.Generator) -> Any:
    """Stand in compiled code for the jump behind the type of `data`."""
    return _BEHIND[type(data)].jump(data, x, beta, rng)


@overload(log_density, strict=False)
def _density_of(data: Any, x: Any, prior_gradient: Any, likelihood_gradient: Any) -> Any:
    density = _BEHIND[data.instance_class].density
    return lambda data, x, prior_gradient, likelihood_gradient: density(  # noqa: PLW0108 - numba needs the names
        data, x, prior_gradient, likelihood_gradient
    )


@overload(jump, strict=False)
def _jump_of(data: Any, x: Any, beta: Any, rng: Any) -> Any:
    move = _BEHIND[data.instance_class].jump
    return lambda data, x, beta, rng: move(data, x, beta, rng)  # noqa: PLW0108 - numba needs the names


class _States(NamedTuple):
    """One state a power: position, gradients, log prior and likelihood, and the way the state has come."""

    x: Floats
    prior_gradient: Floats
    likelihood_gradient: Floats
    log_prior: Floats
    log_likelihood: Floats
    phase: npt.NDArray[np.int64]


class _Tuning(NamedTuple):
    """Inverse masses and step size of each power, with the sums that dual averaging and variances need."""

    inverse_mass: Floats
    step: Floats
    log_step_average: Floats
    error: Floats
    centre: Floats
    n_steps: npt.NDArray[np.int64]
    n_seen: npt.NDArray[np.int64]
    mean: Floats
    square: Floats


class _Scratch(NamedTuple):
    """Room for one trajectory."""

    x: Floats
    momentum: Floats
    prior_gradient: Floats
    likelihood_gradient: Floats


@njit(keep=False, error_model="numpy")
def evaluate(data: Any, states: Any, t: int) -> None:
    """Fill log densities and gradients of the state at power t."""
    log_prior, log_likelihood = log_density(
        data, states.x[t], states.prior_gradient[t], states.likelihood_gradient[t]
    )
    states.log_prior[t], states.log_likelihood[t] = log_prior, log_likelihood


@njit(keep=False, error_model="numpy")
def _push(scratch: Any, beta: float, size: float) -> None:
    for i in range(scratch.x.shape[0]):
        scratch.momentum[i] += size * (scratch.prior_gradient[i] + beta * scratch.likelihood_gradient[i])


@njit(keep=False, error_model="numpy")
def _kinetic(momentum: Floats, inverse_mass: Floats) -> float:
    total = 0.0
    for i in range(momentum.shape[0]):
        total += inverse_mass[i] * momentum[i] * momentum[i]
    return 0.5 * total


@njit(keep=False, error_model="numpy")
def _start(states: Any, scratch: Any, t: int, inverse_mass: Floats, rng: Any) -> None:
    for i in range(scratch.x.shape[0]):
        scratch.x[i] = states.x[t, i]
        scratch.prior_gradient[i] = states.prior_gradient[t, i]
        scratch.likelihood_gradient[i] = states.likelihood_gradient[t, i]
        scratch.momentum[i] = rng.standard_normal() / np.sqrt(inverse_mass[i])


@njit(keep=False, error_model="numpy")
def _trajectory(
    data: Any, states: Any, scratch: Any, t: int, beta: float, step: float, inverse_mass: Floats, rng: Any
) -> Any:
    """One trajectory and its acceptance; gives the chance of acceptance and whether the integrator failed."""
    step *= math.exp(-JITTER * rng.random())
    _start(states, scratch, t, inverse_mass, rng)
    before = states.log_prior[t] + beta * states.log_likelihood[t] - _kinetic(scratch.momentum, inverse_mass)
    n_steps = 1 + int(min(MOST_STEPS - 1.0, rng.random() * 2.0 * PATH / step))
    log_prior, log_likelihood, energy = 0.0, 0.0, -np.inf
    _push(scratch, beta, 0.5 * step)
    for s in range(n_steps):
        for i in range(scratch.x.shape[0]):
            scratch.x[i] += step * inverse_mass[i] * scratch.momentum[i]
        log_prior, log_likelihood = log_density(
            data, scratch.x, scratch.prior_gradient, scratch.likelihood_gradient
        )
        energy = log_prior + beta * log_likelihood
        if not energy > before - DIVERGENT - 1e6:  # lost for good, nan included
            return 0.0, True
        _push(scratch, beta, step if s < n_steps - 1 else 0.5 * step)
    change = energy - _kinetic(scratch.momentum, inverse_mass) - before
    if not change > -DIVERGENT:
        return 0.0, True
    if np.log(1.0 - rng.random()) < change:
        states.x[t], states.prior_gradient[t] = scratch.x, scratch.prior_gradient
        states.likelihood_gradient[t] = scratch.likelihood_gradient
        states.log_prior[t], states.log_likelihood[t] = log_prior, log_likelihood
    return np.exp(min(0.0, change)), False


@njit(keep=False, error_model="numpy")
def exchange(states: Any, betas: Floats, first: int, rates: Floats, rng: Any) -> None:
    """Offer neighbours (first, first + 1), (first + 2, first + 3), ... the exchange of their states."""
    for t in range(first, betas.shape[0] - 1, 2):
        gain = (betas[t] - betas[t + 1]) * (states.log_likelihood[t + 1] - states.log_likelihood[t])
        rates[t] += np.exp(min(0.0, gain))
        if np.log(1.0 - rng.random()) < gain:
            for i in range(states.x.shape[1]):
                states.x[t, i], states.x[t + 1, i] = states.x[t + 1, i], states.x[t, i]
            states.phase[t], states.phase[t + 1] = states.phase[t + 1], states.phase[t]
            for values in (states.log_prior, states.log_likelihood):
                values[t], values[t + 1] = values[t + 1], values[t]
            for g in (states.prior_gradient, states.likelihood_gradient):
                for i in range(g.shape[1]):
                    g[t, i], g[t + 1, i] = g[t + 1, i], g[t, i]


@njit(keep=False, error_model="numpy")
def round_trip(phase: npt.NDArray[np.int64]) -> int:
    """Mark the states at both ends (1 has been at power 1, 2 at the lowest since); 1 when a round trip ends."""
    last = phase.shape[0] - 1
    done = 1 if last > 0 and phase[0] == 2 else 0
    phase[0] = 1
    if last > 0 and phase[last] == 1:
        phase[last] = 2
    return done


@njit(keep=False, error_model="numpy")
def _adapt_step(tuning: Any, t: int, accepted: float, target: float) -> None:
    """Dual averaging of the log step size, with the constants of Hoffman and Gelman (2014)."""
    tuning.n_steps[t] += 1
    m = tuning.n_steps[t]
    tuning.error[t] += (target - accepted - tuning.error[t]) / (m + 10.0)
    log_step = tuning.centre[t] - np.sqrt(m) / 0.05 * tuning.error[t]
    log_step = min(max(log_step, LOG_STEPS[0]), LOG_STEPS[1])
    weight = m**-0.75
    tuning.log_step_average[t] = weight * log_step + (1.0 - weight) * tuning.log_step_average[t]
    tuning.step[t] = np.exp(log_step)


@njit(keep=False, error_model="numpy")
def _note(tuning: Any, t: int, x: Floats) -> None:
    tuning.n_seen[t] += 1
    for i in range(x.shape[0]):
        off = x[i] - tuning.mean[t, i]
        tuning.mean[t, i] += off / tuning.n_seen[t]
        tuning.square[t, i] += off * (x[i] - tuning.mean[t, i])


@njit(keep=False, error_model="numpy")
def _set_masses(tuning: Any, t: int) -> None:
    n = tuning.n_seen[t]
    for i in range(tuning.mean.shape[1]):
        old = tuning.inverse_mass[t, i]
        tuning.inverse_mass[t, i] = (tuning.square[t, i] + SHRINKAGE * old) / (n + SHRINKAGE)
        tuning.mean[t, i], tuning.square[t, i] = 0.0, 0.0
    tuning.n_seen[t] = 0
    _restart(tuning, t, np.exp(tuning.log_step_average[t]))


@njit(keep=False, error_model="numpy")
def _restart(tuning: Any, t: int, step: float) -> None:
    tuning.centre[t], tuning.error[t], tuning.n_steps[t] = np.log(10.0 * step), 0.0, 0
    tuning.step[t], tuning.log_step_average[t] = step, np.log(step)


@njit(keep=False, error_model="numpy")
def new_states(x: Floats) -> Any:
    """Make one state a power around the starts `x`."""
    n, p = x.shape
    return _States(
        x, np.zeros((n, p)), np.zeros((n, p)), np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64)
    )


@njit(keep=False, error_model="numpy")
def new_tuning(n: int, p: int) -> Any:
    """Make the tuning of `n` powers and `p` parameters: unit masses, steps of 0.1."""
    tuning = _Tuning(
        np.ones((n, p)),
        np.ones(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros((n, p)),
        np.zeros((n, p)),
    )
    for t in range(n):
        _restart(tuning, t, 0.1)
    return tuning


@njit(keep=False, error_model="numpy")
def _is_update(sweep: int, n_sweeps: int) -> bool:
    found = False
    for share in UPDATES:
        found |= sweep == int(share * n_sweeps) and sweep > 0
    return found


@njit(keep=False, error_model="numpy")
def sweep_once(
    data: Any, states: Any, scratch: Any, tuning: Any, betas: Floats, target: float, accept: Floats, rng: Any
) -> int:
    """One trajectory and one jump at each power; a `target` above 0 makes the step sizes learn from it.

    Adds to `accept`, and gives 1 when the integrator failed at power 1.
    """
    divergent = 0
    for t in range(betas.shape[0]):
        accepted, failed = _trajectory(
            data, states, scratch, t, betas[t], tuning.step[t], tuning.inverse_mass[t], rng
        )
        accept[t] += accepted
        divergent += failed and t == 0
        if target > 0.0:
            _adapt_step(tuning, t, accepted, target)
        if jump(data, states.x[t], betas[t], rng):
            evaluate(data, states, t)
    return divergent


@njit(keep=False, error_model="numpy")
def warm_up(
    data: Any, states: Any, scratch: Any, tuning: Any, betas: Floats, n_sweeps: int, target: float, rng: Any
) -> None:
    """Run the sweeps of the warm-up and leave the tuning as it should stay."""
    unused = np.zeros(betas.shape[0])
    for sweep in range(n_sweeps):
        if _is_update(sweep, n_sweeps):
            for t in range(betas.shape[0]):
                _set_masses(tuning, t)
        sweep_once(data, states, scratch, tuning, betas, target, unused, rng)
        for t in range(betas.shape[0]):
            _note(tuning, t, states.x[t])
        exchange(states, betas, sweep % 2, unused, rng)
    if n_sweeps > 0:
        tuning.step[:] = np.exp(tuning.log_step_average)


@njit(keep=False, error_model="numpy")
def new_scratch(p: int) -> Any:
    """Make room for one trajectory."""
    return _Scratch(np.zeros(p), np.zeros(p), np.zeros(p), np.zeros(p))
