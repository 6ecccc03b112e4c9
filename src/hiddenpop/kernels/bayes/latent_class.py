"""Latent classes with class labels and population size summed out: log density, its gradient, draws.

A person of class k is on list j with probability ``lambda_jk``, on each list apart. The weights of the classes come
from a stick that is broken: ``nu_k = V_k prod_{l<k} (1 - V_l)`` with ``V_K = 1``. Parameters are ``z_k = log E_k`` for
the K - 1 sticks, ``E_k = -log(1 - V_k)``, then ``x_kj = logit lambda_jk`` class by class.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from hiddenpop._typing import Floats, Ints
from hiddenpop.kernels.bayes.hamiltonian import has_density
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.resampling.counts import draw_poisson

__all__ = [
    "LatentClassData",
    "PriorDraw",
    "SizeDraws",
    "cell_probabilities",
    "class_weights",
    "draw_prior",
    "draw_sizes",
    "evaluate",
    "hidden_share",
    "latent_class_data",
    "latent_class_of_cells",
    "starts",
]


SMALLEST = 1e-250
"""Below, the probability of a cell is worked out in logarithms: a product might be no floating number."""

FARTHEST_START = 3.0


class LatentClassData(NamedTuple):
    """What the density needs to know.

    Attributes
    ----------
    members : ndarray of int, shape (cells, lists)
        1 where the history of a non-empty cell has the list.
    counts : ndarray, shape (cells,)
    log_shares : ndarray, shape (cells,)
        Logarithm of ``counts / n``, taken off so that large counts keep their digits.
    n_classes : int
    shape, rate : float
        Of the gamma distribution of the expected population size, both 0 for the prior 1/N of the size.
    a, b : float
        Shape and rate of the gamma prior of the concentration, summed out.
    """

    members: npt.NDArray[np.int64]
    counts: Floats
    log_shares: Floats
    n_classes: int
    shape: float
    rate: float
    a: float
    b: float

    @property
    def n_lists(self) -> int:
        """Number of lists."""
        return self.members.shape[1]

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        return self.n_classes - 1 + self.n_classes * self.n_lists


def latent_class_data(
    counts: Floats,
    *,
    n_classes: int,
    size_prior: tuple[float, float] = (0.0, 0.0),
    concentration: tuple[float, float] = (0.25, 0.25),
) -> LatentClassData:
    """Put the data of a table together.

    Parameters
    ----------
    counts : ndarray, shape (2**t,)
        By history, the first list in the lowest bit; element 0 is not looked at.
    n_classes : int
    size_prior : (float, float)
        Shape a and rate b of the gamma prior of the expected population size; (0, 0) for 1/N.
    concentration : (float, float)
        Shape and rate of the gamma prior of the concentration.

    Returns
    -------
    LatentClassData
    """
    cells = np.flatnonzero(counts[1:]) + 1
    return latent_class_of_cells(
        cells,
        counts[cells],
        len(counts).bit_length() - 1,
        n_classes=n_classes,
        size_prior=size_prior,
        concentration=concentration,
    )


def latent_class_of_cells(
    cells: Ints,
    counts: Floats,
    n_lists: int,
    *,
    n_classes: int,
    size_prior: tuple[float, float] = (0.0, 0.0),
    concentration: tuple[float, float] = (0.25, 0.25),
) -> LatentClassData:
    """Put the data together from the non-empty cells, of any number of lists.

    Parameters
    ----------
    cells : ndarray of int64, shape (m,)
        Their histories, in order.
    counts : ndarray, shape (m,)
    n_lists : int
    n_classes, size_prior, concentration
        As for `latent_class_data`.

    Returns
    -------
    LatentClassData
    """
    filled = np.ascontiguousarray(counts, dtype=np.float64)
    members = ((cells[:, None] >> np.arange(n_lists)) & 1).astype(np.int64)
    shares = np.log(filled / filled.sum())
    return LatentClassData(
        members,
        filled,
        shares,
        int(n_classes),
        *(float(value) for value in (*size_prior, *concentration)),
    )


class _Room(NamedTuple):
    """What one evaluation works out on the way, one row per list or one figure, one column per class.

    Attributes
    ----------
    on, off : ndarray, shape (lists, classes)
        Chance to be on each list, and not to be.
    by_list : ndarray, shape (lists, classes)
        Persons of each class on each list.
    weights : ndarray, shape (classes,)
        ``nu``.
    slopes, exponents : ndarray, shape (classes,)
        ``d log V / dz`` and E; the last elements are not used.
    missed, seen : ndarray, shape (classes,)
        Chance to be on no list, and on one at least.
    persons : ndarray, shape (classes,)
    shares : ndarray, shape (classes,)
        Of one cell.
    """

    on: Floats
    off: Floats
    by_list: Floats
    weights: Floats
    slopes: Floats
    exponents: Floats
    missed: Floats
    seen: Floats
    persons: Floats
    shares: Floats


@njit(keep=False, error_model="numpy")
def _new_room(t: int, n_classes: int) -> Any:
    rows = np.zeros((3 * t + 7, n_classes))
    return _Room(
        rows[:t],
        rows[t : 2 * t],
        rows[2 * t : 3 * t],
        rows[3 * t],
        rows[3 * t + 1],
        rows[3 * t + 2],
        rows[3 * t + 3],
        rows[3 * t + 4],
        rows[3 * t + 5],
        rows[3 * t + 6],
    )


@njit(keep=False, error_model="numpy")
def _sticks(z: Floats, room: Any) -> float:
    """Fill weights, ``d log V / dz`` and E; give the sum of E."""
    total, left = 0.0, 1.0
    for k in range(z.shape[0]):
        E = math.exp(z[k])
        if E < 1.0:
            rest = -math.expm1(-E)
            stays = 1.0 - rest
        else:
            stays = math.exp(-E)
            rest = 1.0 - stays
        room.exponents[k], room.weights[k] = E, rest * left
        room.slopes[k] = stays * E / rest if rest > 0.0 else 1.0
        left *= stays
        total += E
    room.weights[z.shape[0]] = left
    return total


@njit(keep=False, error_model="numpy")
def _lists_prior(data: Any, x: Floats, gradient: Floats, room: Any) -> float:
    """Log prior of the logits, uniform in lambda; fills the chances to be on each list, on none and on some."""
    K, t = data.n_classes, data.members.shape[1]
    total = 0.0
    for k in range(K):
        more, missed, seen = 0.0, 1.0, 0.0
        for j in range(t):
            i = K - 1 + k * t + j
            e = math.exp(-abs(x[i]))
            larger = 1.0 / (1.0 + e)
            on, off = (larger, e * larger) if x[i] >= 0.0 else (e * larger, larger)
            room.on[j, k], room.off[j, k] = on, off
            gradient[i] = off - on
            total -= abs(x[i])
            # Sums of positive parts: what is near 0 keeps all its digits.
            more += e + more * e
            seen += on * missed
            missed *= off
        total -= 2.0 * math.log1p(more)
        room.missed[k], room.seen[k] = missed, seen
    return total


@njit(keep=False, error_model="numpy")
def _far_cell(data: Any, x: Floats, w: int, shares: Floats) -> float:
    """Log probability of a cell too small for a floating number, and the shares of the classes in it."""
    K, t = data.n_classes, data.members.shape[1]
    before, top = 0.0, -np.inf
    for k in range(K):
        shares[k] = -before
        if k < K - 1:
            E = math.exp(x[k])
            rest = -math.expm1(-E)
            shares[k] += math.log(rest) if rest > 0.0 else x[k]
            before += E
        for j in range(t):
            logit = x[K - 1 + k * t + j] if data.members[w, j] else -x[K - 1 + k * t + j]
            shares[k] += min(logit, 0.0) - math.log1p(math.exp(-abs(logit)))
        top = max(top, shares[k])
    total = 0.0
    for k in range(K):
        shares[k] = math.exp(shares[k] - top)
        total += shares[k]
    for k in range(K):
        shares[k] /= total
    return top + math.log(total)


@njit(keep=False, error_model="numpy")
def _cells(data: Any, x: Floats, room: Any) -> float:
    """Sum of ``y log(p / share)`` over the cells; fills the persons that fall to each class, and class and list."""
    K, t = data.n_classes, data.members.shape[1]
    shares, total = room.shares, 0.0
    for w in range(data.counts.shape[0]):
        for k in range(K):
            shares[k] = room.weights[k]
        for j in range(t):
            chances = room.on[j] if data.members[w, j] else room.off[j]
            for k in range(K):
                shares[k] *= chances[k]
        p = 0.0
        for k in range(K):
            p += shares[k]
        if p > SMALLEST:
            log_p = math.log(p)
        else:
            log_p, p = _far_cell(data, x, w, shares), 1.0
        total += data.counts[w] * (log_p - data.log_shares[w])
        scale = data.counts[w] / p
        for k in range(K):
            shares[k] *= scale
            room.persons[k] += shares[k]
        for j in range(t):
            if data.members[w, j]:
                for k in range(K):
                    room.by_list[j, k] += shares[k]
    return total


@njit(keep=False, error_model="numpy")
def _log_density(data: Any, x: Floats, prior_gradient: Floats, likelihood_gradient: Floats) -> Any:
    K, t = data.n_classes, data.members.shape[1]
    room = _new_room(t, K)
    total_E = _sticks(x[: K - 1], room)
    power = data.a + K - 1.0
    log_prior = -power * math.log(data.b + total_E)
    for k in range(K - 1):
        log_prior += x[k]
        prior_gradient[k] = 1.0 - power * room.exponents[k] / (data.b + total_E)
    log_prior += _lists_prior(data, x, prior_gradient, room)
    log_likelihood = _cells(data, x, room)
    seen = 0.0
    for k in range(K):
        seen += room.weights[k] * room.seen[k]
    n = data.counts.sum()
    log_likelihood -= (n + data.shape) * math.log(data.rate + seen)
    factor = (n + data.shape) / (data.rate + seen)
    after = 0.0
    for k in range(K - 1, -1, -1):
        expected = factor * room.weights[k]
        # Every person observed is in the denominator too: what is left are small differences of large sums.
        of_class = room.persons[k] - expected * room.seen[k]
        in_all = room.persons[k] + expected * room.missed[k]
        for j in range(t):
            likelihood_gradient[K - 1 + k * t + j] = room.by_list[j, k] - room.on[j, k] * in_all
        if k < K - 1:
            later = room.exponents[k] * after if after != 0.0 else 0.0
            likelihood_gradient[k] = of_class * room.slopes[k] - later
        after += of_class
    return log_prior, log_likelihood


# --- classes change places --------------------------------------------------------------------------------------------


@njit(keep=False, error_model="numpy")
def _swapped(first: float, second: float) -> Any:
    """Exponents of two sticks after their classes have exchanged weights."""
    u, v = -math.expm1(-first), -math.expm1(-second)
    new_first = -math.log1p(-math.exp(-first) * v)
    share = u / (1.0 - math.exp(-first) * v) if math.exp(-first) * v < 1.0 else 1.0
    new_second = -math.log1p(-share) if share < 0.5 else first + second - new_first
    return new_first, new_second


@njit(keep=False, error_model="numpy")
def _exchange_classes(data: Any, x: Floats, beta: float, rng: Any) -> bool:
    """Offer each class in turn the place of the next, weight and all, which leaves the likelihood as it is.

    The prior depends on the sum of the exponents alone, and that changes only in the last place; the Jacobian of the
    exponents is ``exp(new - old)`` of the first of the two, and that of their logarithms the ratio of products.
    """
    K, t = data.n_classes, data.members.shape[1]
    moved = False
    total = np.exp(x[: K - 1]).sum()
    for k in range(K - 1):
        first = math.exp(x[k])
        if k < K - 2:
            new_first, new_second = _swapped(first, math.exp(x[k + 1]))
            gain = new_first - first
        else:
            new_first, new_second = -math.log(-math.expm1(-first)), 1.0
            change = math.log((data.b + total - first + new_first) / (data.b + total))
            gain = new_first - first - (data.a + K - 1.0) * change
        possible = 0.0 < new_first < np.inf and 0.0 < new_second < np.inf
        if math.log(1.0 - rng.random()) < gain and possible:
            total += new_first - first if k == K - 2 else 0.0
            x[k] = math.log(new_first)
            if k < K - 2:
                x[k + 1] = math.log(new_second)
            for j in range(t):
                i = K - 1 + k * t + j
                x[i], x[i + t] = x[i + t], x[i]
            moved = True
    return moved


has_density(LatentClassData, _log_density, jump=_exchange_classes)


# --- in plain numpy ---------------------------------------------------------------------------------------------------


def evaluate(data: LatentClassData, x: Floats) -> tuple[float, float, Floats, Floats]:
    """Log prior and log likelihood at `x`, each up to a constant, and their gradients."""
    prior_gradient, likelihood_gradient = np.zeros(len(x)), np.zeros(len(x))
    log_prior, log_likelihood = _log_density(
        data, np.asarray(x, dtype=np.float64), prior_gradient, likelihood_gradient
    )
    return log_prior, log_likelihood, prior_gradient, likelihood_gradient


def class_weights(x: Floats, n_classes: int) -> Floats:
    """Weights of the classes.

    Parameters
    ----------
    x : ndarray, shape (..., p)
    n_classes : int

    Returns
    -------
    ndarray, shape (..., n_classes)
    """
    E = np.exp(x[..., : n_classes - 1])
    before = np.cumsum(E, axis=-1) - E
    last = np.exp(-E.sum(axis=-1, keepdims=True))
    return np.concatenate([-np.expm1(-E) * np.exp(-before), last], axis=-1)


def log_missed(x: Floats, n_classes: int) -> Floats:
    """Log probability of being on no list, in each class; shape (..., n_classes)."""
    logits = x[..., n_classes - 1 :].reshape(*x.shape[:-1], n_classes, -1)
    missed: Floats = -np.logaddexp(0.0, logits).sum(axis=-1)
    return missed


def hidden_share(x: Floats, n_classes: int) -> tuple[Floats, Floats]:
    """Probability of being hidden and of being observed, each without loss of digits.

    Parameters
    ----------
    x : ndarray, shape (..., p)
    n_classes : int

    Returns
    -------
    hidden, observed : ndarray, shape (...)
    """
    weights, missed = class_weights(x, n_classes), log_missed(x, n_classes)
    return (weights * np.exp(missed)).sum(axis=-1), (weights * -np.expm1(missed)).sum(axis=-1)


@dataclass(frozen=True, slots=True)
class SizeDraws:
    """Population sizes that go with draws of the parameters.

    Attributes
    ----------
    sizes : ndarray, shape (...)
        N, in persons.
    expected : ndarray, shape (...)
        Expected number of persons, from which observed and hidden ones alike were drawn.
    """

    sizes: Floats
    expected: Floats


def draw_sizes(data: LatentClassData, x: Floats, rng: np.random.Generator) -> SizeDraws:
    """Draw a population size for each draw of the parameters, observed persons included.

    Given the parameters the expected size is gamma distributed, and the dark figure is Poisson: together negative
    binomial, without an upper limit.

    Parameters
    ----------
    data : LatentClassData
    x : ndarray, shape (..., p)
    rng : Generator

    Returns
    -------
    SizeDraws
    """
    hidden, observed = hidden_share(x, data.n_classes)
    n = data.counts.sum()
    with np.errstate(divide="ignore", over="ignore"):
        total = rng.standard_gamma(n + data.shape, hidden.shape)
        mean = total * (hidden / (data.rate + observed))
        expected = total / (data.rate + observed)
    return SizeDraws(n + draw_poisson(mean, rng), expected)


def starts(data: LatentClassData, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Draw starting points: sticks as with concentration 1, logits from -3 to 3.

    Parameters
    ----------
    data : LatentClassData
    shape : tuple of int
    rng : Generator

    Returns
    -------
    ndarray, shape (*shape, p)
    """
    n_sticks = data.n_classes - 1
    z = np.log(rng.standard_exponential((*shape, n_sticks)))
    logits = rng.uniform(-FARTHEST_START, FARTHEST_START, (*shape, data.n_parameters - n_sticks))
    return np.concatenate([z, logits], axis=-1)


@dataclass(frozen=True, slots=True)
class PriorDraw:
    """A population drawn from the prior.

    Attributes
    ----------
    parameters : ndarray, shape (p,)
    size : int
        N, hidden persons included.
    counts : ndarray, shape (2**t,)
        By history; element 0, which nobody observes, is 0.
    """

    parameters: Floats
    size: int
    counts: Floats


def draw_prior(
    n_lists: int,
    *,
    n_classes: int,
    size_prior: tuple[float, float],
    concentration: tuple[float, float] = (0.25, 0.25),
    rng: np.random.Generator,
) -> PriorDraw:
    """Draw parameters, population size and table from the prior, until somebody is observed.

    Parameters
    ----------
    n_lists : int
    n_classes : int
    size_prior : (float, float)
        Shape and rate of the gamma prior of the expected population size, both above 0.
    concentration : (float, float)
        Shape and rate of the gamma prior of the concentration.
    rng : Generator

    Returns
    -------
    PriorDraw
    """
    while True:
        x = draw_parameters(n_lists, n_classes=n_classes, concentration=concentration, rng=rng)
        size = int(rng.poisson(rng.standard_gamma(size_prior[0]) / size_prior[1]))
        counts = rng.multinomial(size, cell_probabilities(x, n_classes)).astype(np.float64)
        counts[0] = 0.0
        if counts.any():
            return PriorDraw(x, size, counts)


def draw_parameters(
    n_lists: int, *, n_classes: int, concentration: tuple[float, float], rng: np.random.Generator
) -> Floats:
    """Draw the parameters from their prior; shape (p,)."""
    # A gamma of small shape underflows: its logarithm is drawn as that of shape + 1 plus log U / shape.
    a, b = concentration
    log_alpha = math.log(rng.standard_gamma(a + 1.0) / b) + math.log(1.0 - rng.random()) / a
    z = np.log(rng.standard_exponential(n_classes - 1)) - log_alpha
    return np.concatenate([z, rng.logistic(size=n_classes * n_lists)])


def cell_probabilities(x: Floats, n_classes: int) -> Floats:
    """Probability of each history, being on no list included.

    Parameters
    ----------
    x : ndarray, shape (..., p)
    n_classes : int

    Returns
    -------
    ndarray, shape (..., 2**t)
    """
    lam = expit(x[..., n_classes - 1 :]).reshape(*x.shape[:-1], n_classes, -1)
    with np.errstate(over="ignore"):
        cells = class_weights(x, n_classes)[..., None]
    for j in range(lam.shape[-1]):  # a list doubles the cells, those that are on it coming after the others
        on = lam[..., j, None]
        cells = np.concatenate([cells * (1.0 - on), cells * on], axis=-1)
    probabilities: Floats = cells.sum(axis=-2)
    return probabilities / probabilities.sum(axis=-1, keepdims=True)
