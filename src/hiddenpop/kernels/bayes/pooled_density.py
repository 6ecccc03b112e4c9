"""Posterior of a pooled log-linear model, with its gradient.

In stratum s the cell of a history w has the predictor ``eta_sw``, the sum over the terms inside w of a mean and of
effects of the place and of other factors; ``eta_s0 = 0``. The expected size is ``L_s``, and ``p_s0`` the probability of
being on no list. Given that they were observed, persons fall into histories by a multinomial law; the number observed
is Poisson with mean ``L_s (1 - p_s0)``, or with a residual negative binomial, ``L_s`` summed out.

The parameters are one vector: standard deviations, as logarithms or with a sign that means nothing; whitened means; the
level; by place the size, then list effects and interactions; by factor its variables.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from hiddenpop._typing import Floats, Ints
from hiddenpop.kernels.compiled import njit

__all__ = ["SMALLEST_CV2", "PooledData", "density", "n_parameters", "packed", "packed_density", "unpacked"]

SMALLEST_CV2 = 1e-8
"""Added to the squared coefficient of variation of a residual, so that its gamma distribution has a finite shape."""

# --- parts of the density ---------------------------------------------------------------------------------------------

NEVER = -1e6
"""Log odds of being observed where no list operates."""

FEW = 16
TINY = 1e-300

# --- small functions --------------------------------------------------------------------------------------------------


class _Layout(NamedTuple):
    """Where what stands among the parameters, and how many there are of what."""

    n_lists: int
    n_varying: int
    first: int
    mean: int
    level: int
    sizes: int
    lists: int
    factors: int


class _Typical(NamedTuple):
    """Everything at its mean: coefficients, log of the size, log odds of observation with their slope in the mean."""

    mean: Floats
    level: float
    log_odds: float
    of_mean: Floats


class _Strata(NamedTuple):
    """By stratum: derivatives of the likelihood of its histories and of the log odds of observation, numbers, logs."""

    fit: Floats
    odds: Floats
    n: Floats
    base: Floats
    log_some: Floats
    log_none: Floats


@njit
def _layout(data: "PooledData") -> _Layout:
    n_lists = 0
    while 1 << n_lists < data.cells.shape[1]:
        n_lists += 1
    n_places, n_pairs = data.places.shape[1], data.flags[0]
    n_varying = n_lists + n_pairs
    first = 1 + n_lists + (n_pairs > 0) if n_places else 0
    level = len(data.scales) + len(data.centre)
    lists = level + 1 + n_places
    return _Layout(
        n_lists,
        n_varying,
        first,
        len(data.scales),
        level,
        level + 1,
        lists,
        lists + n_places * n_varying,
    )


@njit
def _spreads(x: Floats, data: "PooledData") -> tuple[float, Floats]:
    sd, value = np.empty(len(data.scales)), 0.0
    for h in range(len(sd)):
        if data.logs[h]:
            sd[h] = data.scales[h] * math.exp(x[h])
            value += x[h] - 0.5 * math.exp(2.0 * x[h])
        else:
            sd[h] = data.scales[h] * x[h]
            value -= 0.5 * x[h] * x[h]
    return value, sd


@njit
def _powers(sd: float, own: float) -> tuple[float, float, float]:
    """Factor from a variable to its effect and to its standard normal form, and the slope of the former in `sd`."""
    if own == 0.0:
        return sd, 1.0, 1.0
    return sd ** (1.0 - own), sd**-own, (1.0 - own) * sd**-own


@njit
def _typical(x: Floats, data: "PooledData", at: _Layout) -> tuple[float, _Typical]:
    """Place everything at its mean, with the priors of the means and of the level."""
    n_cells = data.cells.shape[1]
    mean = data.centre + data.spread @ x[at.mean : at.level]
    eta, odds, empty = np.zeros(n_cells), np.zeros(n_cells), np.zeros(n_cells)
    eta[data.masks] = mean
    subset_sums(eta, at.n_lists)
    _, log_odds = histories(eta, empty, 0.0, empty.copy(), odds)
    odds[0] = 0.0
    superset_sums(odds, at.n_lists)
    level = data.level[0] + data.level[1] * x[at.level] + softplus(-log_odds)
    value = -0.5 * ((mean / data.mean_sd) ** 2).sum() - 0.5 * data.level[3] * (level - data.level[2]) ** 2
    return value, _Typical(mean, level, log_odds, odds[data.masks])


@njit
def _spread_of(first: int, column: int, n_lists: int) -> int:
    """Tell which standard deviation a column of a factor has: that of sizes, of lists, of interactions."""
    if column == 0:
        return first
    return first + 1 if column <= n_lists else first + 2


@njit
def _factor_effects(x: Floats, data: "PooledData", at: _Layout, sd: Floats) -> tuple[float, Floats]:
    """Effects of all factors, shape (f, levels, 1 + terms), and their prior."""
    most = data.shapes[:, 2].max() + 1 if len(data.shapes) else 0
    effects, value = np.zeros((len(data.shapes), data.contrasts.shape[1], most)), 0.0
    start, first = at.factors, at.first
    for f in range(len(data.shapes)):
        n_levels, n_free, width = data.shapes[f, 0], data.shapes[f, 1], data.shapes[f, 2] + 1
        z = x[start : start + n_free * width].reshape(n_free, width)
        for column in range(width):
            h = _spread_of(first, column, at.n_lists)
            up, down, _ = _powers(sd[h], data.own[h])
            value -= 0.5 * ((down * z[:, column]) ** 2).sum()
            if data.own[h] > 0.0:
                value -= n_free * data.own[h] * math.log(sd[h])
            for level in range(n_levels):
                total = 0.0
                for v in range(n_free):
                    total += data.contrasts[f, level, v] * z[v, column]
                effects[f, level, column] = total * up
        start += n_free * width
        first += 2 + (width - 1 > at.n_lists)
    return value, effects


@njit
def _factor_gradient(
    x: Floats, data: "PooledData", at: _Layout, sd: Floats, slope: Floats, gradient: Floats, of_sd: Floats
) -> None:
    start, first = at.factors, at.first
    for f in range(len(data.shapes)):
        n_levels, n_free, width = data.shapes[f, 0], data.shapes[f, 1], data.shapes[f, 2] + 1
        for column in range(width):
            h = _spread_of(first, column, at.n_lists)
            up, down, rate = _powers(sd[h], data.own[h])
            for v in range(n_free):
                p = start + v * width + column
                total, z = 0.0, down * x[p]
                for level in range(n_levels):
                    total += data.contrasts[f, level, v] * slope[f, level, column]
                gradient[p] = total * up - z * down
                of_sd[h] += total * x[p] * rate
                if data.own[h] > 0.0:
                    of_sd[h] += data.own[h] * (z * z - 1.0) / sd[h]
        start += n_free * width
        first += 2 + (width - 1 > at.n_lists)


@njit
def _place_effects(u: Floats, sd: Floats, own: Floats, n_lists: int) -> tuple[float, Floats]:
    """List effects and interactions by place; the nearer `own` is to 1, the freer of their standard deviation."""
    effects, value = np.empty(u.shape), 0.0
    if not len(u):
        return value, effects
    for column in range(u.shape[1]):
        if column >= n_lists:
            for j in range(len(u)):
                effects[j, column] = u[j, column] * sd[n_lists + 1]
                value -= 0.5 * u[j, column] * u[j, column]
            continue
        log_sd = math.log(sd[column + 1])
        for j in range(len(u)):
            root = math.exp(-own[column, j] * log_sd)
            effects[j, column] = u[j, column] * root * sd[column + 1]
            value -= 0.5 * (u[j, column] * root) ** 2 + own[column, j] * log_sd
    return value, effects


@njit
def _place_gradient(
    u: Floats, sd: Floats, own: Floats, n_lists: int, effects: Floats, slope: Floats, of_sd: Floats
) -> Floats:
    gradient = np.empty(u.shape)
    if not len(u):
        return gradient
    for column in range(u.shape[1]):
        if column >= n_lists:
            for j in range(len(u)):
                gradient[j, column] = slope[j, column] * sd[n_lists + 1] - u[j, column]
                of_sd[n_lists + 1] += slope[j, column] * u[j, column]
            continue
        log_sd, total = math.log(sd[column + 1]), 0.0
        for j in range(len(u)):
            root = math.exp(-own[column, j] * log_sd)
            z = u[j, column] * root
            gradient[j, column] = slope[j, column] * root * sd[column + 1] - z * root
            total += slope[j, column] * effects[j, column] * (1.0 - own[column, j]) + own[column, j] * (
                z * z - 1.0
            )
        of_sd[column + 1] += total / sd[column + 1]
    return gradient


@njit
def _each_stratum(
    data: "PooledData", at: _Layout, typical: _Typical, by_place: Floats, by_factor: Floats
) -> tuple[float, _Strata]:
    """Histories of each stratum with their log likelihood, and its size without the effect of the place."""
    n_strata, n_cells = data.cells.shape
    fit, odds = np.empty((n_strata, n_cells)), np.empty((n_strata, n_cells))
    n, base, log_some, log_none = (
        np.empty(n_strata),
        np.empty(n_strata),
        np.empty(n_strata),
        np.empty(n_strata),
    )
    eta, weight, value = np.empty(n_cells), np.empty(n_cells), 0.0
    for s in range(n_strata):
        eta[:] = 0.0
        for t in range(len(data.masks)):
            eta[data.masks[t]] = typical.mean[t]
        if len(by_place):
            for t in range(at.n_varying):
                eta[data.masks[t]] += by_place[data.place[s], t]
        base[s] = typical.level + data.offset[s]
        for f in range(len(data.shapes)):
            base[s] += by_factor[f, data.levels[f, s], 0]
            for t in range(data.shapes[f, 2]):
                eta[data.masks[t]] += by_factor[f, data.levels[f, s], t + 1]
        subset_sums(eta, at.n_lists)
        n[s] = data.cells[s].sum()
        if data.absent[s]:
            more, log_odds = merged_histories(
                eta, data.cells[s], n[s], data.absent[s], fit[s], odds[s], weight
            )
        else:
            more, log_odds = histories(eta, data.cells[s], n[s], fit[s], odds[s])
        value += more
        log_some[s], log_none[s] = -softplus(-log_odds), -softplus(log_odds)
    return value, _Strata(fit, odds, n, base, log_some, log_none)


@njit
def _place_sizes(u: Floats, sd: Floats, data: "PooledData", expected: Floats) -> tuple[float, Floats, Floats]:
    """Effects of places on sizes, and the log of the number expected to be observed in each without its effect."""
    if not len(u):
        return 0.0, np.zeros(1), np.zeros(1)
    top = expected.max()
    seen = np.zeros(len(u))
    for s in range(len(expected)):
        seen[data.place[s]] += math.exp(expected[s] - top)
    effects, value = np.empty(len(u)), 0.0
    for j in range(len(u)):
        seen[j] = math.log(seen[j] + TINY) + top
        if data.places[0, j] > 0.0:
            effects[j] = data.places[1, j] + data.places[2, j] * u[j] - seen[j]
            value -= 0.5 * (effects[j] / sd[0]) ** 2 + math.log(sd[0])
        else:
            effects[j] = u[j] * sd[0]
            value -= 0.5 * u[j] * u[j]
    return value, effects, seen


@njit
def _size_gradient(
    u: Floats,
    sd: Floats,
    data: "PooledData",
    expected: Floats,
    effects: Floats,
    seen: Floats,
    slope: Floats,
    of_sd: Floats,
) -> Floats:
    """Differentiate in the sizes of places; `slope` becomes that in what is expected in a stratum."""
    gradient, sums = np.empty(len(u)), np.zeros(len(seen))
    for s in range(len(slope)):
        sums[data.place[s]] += slope[s]
    for j in range(len(u)):
        if data.places[0, j] > 0.0:
            sums[j] -= effects[j] / sd[0] ** 2
            gradient[j] = sums[j] * data.places[2, j]
            of_sd[0] += (effects[j] / sd[0]) ** 2 / sd[0] - 1.0 / sd[0]
        else:
            gradient[j] = sums[j] * sd[0] - u[j]
            of_sd[0] += sums[j] * u[j]
    if len(u):
        for s in range(len(slope)):
            j = data.place[s]
            if data.places[0, j] > 0.0:
                slope[s] -= sums[j] * math.exp(expected[s] - seen[j])
    return gradient


@njit
def _numbers(
    log_seen: Floats, strata: _Strata, cv: float, residual: bool
) -> tuple[float, Floats, float, Floats]:
    """Log likelihood of the numbers observed, its slopes in `log_seen` and in the residual, and `log_hidden`."""
    value, of_log_k, slope, hidden = 0.0, 0.0, np.empty(len(log_seen)), np.empty(len(log_seen))
    k = 1.0 / (cv * cv + SMALLEST_CV2)
    log_k = math.log(k)
    for s in range(len(log_seen)):
        n, log_share = strata.n[s], strata.log_none[s] - strata.log_some[s]
        if not residual:
            mean = math.exp(log_seen[s])
            value += n * log_seen[s] - mean
            slope[s] = n - mean
            hidden[s] = log_seen[s] + log_share
            continue
        gap = log_seen[s] - log_k
        log_other, log_own = -softplus(-gap), -softplus(gap)
        steps, of_steps = gamma_steps(n, k)
        value += steps + k * log_own + n * log_other
        slope[s] = n * math.exp(log_own) - k * math.exp(log_other)
        of_log_k += k * (log_own + math.exp(log_other) + of_steps) - n * math.exp(log_own)
        hidden[s] = log_share + log_other
    return value, slope, -2.0 * cv * k * of_log_k, hidden


@njit
def _stratum_slopes(
    slope: Floats, strata: _Strata, data: "PooledData", at: _Layout, by_factor: Floats
) -> tuple[Floats, Floats, Floats]:
    """Differentiate in the means, the effects of places and those of factors."""
    total, of_factors = np.zeros(len(data.masks)), np.zeros(by_factor.shape)
    of_places = np.zeros((data.places.shape[1], at.n_varying))
    work = np.empty(data.cells.shape[1])
    for s in range(len(slope)):
        of_odds = slope[s] * math.exp(strata.log_none[s])
        work[0] = 0.0
        for w in range(1, len(work)):
            work[w] = strata.fit[s, w] + of_odds * strata.odds[s, w]
        superset_sums(work, at.n_lists)
        for t in range(len(data.masks)):
            total[t] += work[data.masks[t]]
        if len(of_places):
            for t in range(at.n_varying):
                of_places[data.place[s], t] += work[data.masks[t]]
        for f in range(len(data.shapes)):
            of_factors[f, data.levels[f, s], 0] += slope[s]
            for t in range(data.shapes[f, 2]):
                of_factors[f, data.levels[f, s], t + 1] += work[data.masks[t]]
    return total, of_places, of_factors


# --- the density ------------------------------------------------------------------------------------------------------


@njit
def density(x: Floats, data: "PooledData") -> tuple[float, Floats, Floats, Floats, float, Floats]:
    """Log posterior, its gradient, and what is kept of a draw.

    Parameters
    ----------
    x : ndarray
        Parameters.
    data : PooledData

    Returns
    -------
    value : float
    gradient : ndarray
    log_hidden : ndarray, shape (s,)
        Log of the expected hidden persons; with a residual of its share of ``k + n``, k the shape of the residual.
    sd : ndarray, shape (h,)
    level : float
        Log of the expected size of a typical stratum.
    mean : ndarray, shape (p,)
    """
    at, residual = _layout(data), data.flags[1] == 1
    of_spreads, sd = _spreads(x, data)
    of_means, typical = _typical(x, data, at)
    of_factors, by_factor = _factor_effects(x, data, at, sd)
    u = x[at.lists : at.factors].reshape(data.places.shape[1], at.n_varying)
    of_lists, by_place = _place_effects(u, sd, data.places[3:], at.n_lists)
    of_histories, strata = _each_stratum(data, at, typical, by_place, by_factor)
    expected = strata.base + strata.log_some
    sizes = x[at.sizes : at.lists]
    of_sizes, effects, seen = _place_sizes(sizes, sd, data, expected)
    cv = sd[-1] if residual else 1.0
    of_numbers, slope, of_cv, log_hidden = _numbers(expected + effects[data.place], strata, cv, residual)

    gradient, of_sd = np.empty(len(x)), np.zeros(len(sd))
    if residual:
        of_sd[-1] += of_cv
    gradient[at.sizes : at.lists] = _size_gradient(sizes, sd, data, expected, effects, seen, slope, of_sd)
    total, place_slope, factor_slope = _stratum_slopes(slope, strata, data, at, by_factor)
    lists = _place_gradient(u, sd, data.places[3:], at.n_lists, by_place, place_slope, of_sd)
    gradient[at.lists : at.factors] = lists.ravel()
    _factor_gradient(x, data, at, sd, factor_slope, gradient, of_sd)
    _rest_of_gradient(x, data, at, typical, total, slope.sum(), sd, of_sd, gradient)
    value = of_spreads + of_means + of_factors + of_lists + of_histories + of_sizes + of_numbers
    return value, gradient, log_hidden, np.abs(sd), typical.level, typical.mean


@njit
def _rest_of_gradient(
    x: Floats,
    data: "PooledData",
    at: _Layout,
    typical: _Typical,
    total: Floats,
    of_level: float,
    sd: Floats,
    of_sd: Floats,
    gradient: Floats,
) -> None:
    """Fill in the derivatives in the level, the means and the standard deviations."""
    of_level -= data.level[3] * (typical.level - data.level[2])
    total = total - typical.mean / data.mean_sd**2 - of_level * expit(-typical.log_odds) * typical.of_mean
    gradient[at.mean : at.level] = data.spread.T @ total
    gradient[at.level] = of_level * data.level[1]
    for h in range(len(sd)):
        if data.logs[h]:
            gradient[h] = of_sd[h] * sd[h] + 1.0 - math.exp(2.0 * x[h])
        else:
            gradient[h] = of_sd[h] * data.scales[h] - x[h]


@njit(nogil=True)
def packed_density(x: Floats, data: Floats) -> Floats:
    """Compute the density from the vector of `packed`.

    Parameters
    ----------
    x : ndarray
        Parameters.
    data : ndarray

    Returns
    -------
    ndarray
        The log density, its gradient, and what is kept of a draw.
    """
    value, gradient, log_hidden, sd, level, mean = density(x, unpack(data))
    found = np.empty(2 + len(x) + len(log_hidden) + len(sd) + len(mean))
    found[0] = value
    found[1 : 1 + len(x)] = gradient
    at = 1 + len(x)
    for part in (log_hidden, sd, np.array([level]), mean):
        found[at : at + len(part)] = part
        at += len(part)
    return found


# === what the density of a pooled model is of, as arrays and as one vector ============================================


class PooledData(NamedTuple):
    """All that the density is of, in s strata with 2**k histories.

    Attributes
    ----------
    scales : ndarray, shape (h,)
        Of the half-normal priors of the standard deviations.
    own : ndarray, shape (h,)
        For the standard deviations of factors other than the place, how far their effects are free of them.
    logs : ndarray of int64, shape (h,)
        1 for standard deviations whose parameter is their logarithm; those of the place and of effects that are free to
        some extent are among them.
    centre, spread, mean_sd : ndarray, shape (p,), (p, p), (p,)
        The means are ``centre + spread z``; standard deviations of their normal priors.
    level : ndarray, shape (4,)
        Where the number observed in a typical stratum is looked for, and in what steps, on the scale of logs; centre
        and precision of the prior of the log of its size.
    offset : ndarray, shape (s,)
    cells : ndarray, shape (s, 2**k)
        Persons by history.
    absent : ndarray of int64, shape (s,)
        Lists that do not operate, as a mask.
    masks : ndarray of int64, shape (p,)
        Lists of each term: main effects, interactions of two, further ones.
    place : ndarray of int64, shape (s,)
    places : ndarray, shape (3 + k, j)
        By place: 1 where its size is found from the number observed and 0 where from its prior; where it is looked for,
        in what steps; for each list, how far its effect is free of its standard deviation. No columns when all strata
        are of one place.
    levels : ndarray of int64, shape (f, s)
        Level of each stratum in each other factor.
    contrasts : ndarray, shape (f, most levels, most variables)
    shapes : ndarray of int64, shape (f, 3)
        Levels, variables and terms that vary, of each factor.
    flags : ndarray of int64, shape (2,)
        Number of interactions of two lists that vary; 1 with a residual.
    """

    scales: Floats
    own: Floats
    centre: Floats
    spread: Floats
    mean_sd: Floats
    level: Floats
    offset: Floats
    cells: Floats
    absent: Ints
    masks: Ints
    place: Ints
    places: Floats
    levels: Ints
    contrasts: Floats
    shapes: Ints
    logs: Ints
    flags: Ints


def n_parameters(data: PooledData) -> int:
    """Count the parameters.

    Parameters
    ----------
    data : PooledData

    Returns
    -------
    int
    """
    n_lists = data.cells.shape[1].bit_length() - 1
    of_places = data.places.shape[1] * (1 + n_lists + int(data.flags[0]))
    of_factors = int((data.shapes[:, 1] * (1 + data.shapes[:, 2])).sum())
    return len(data.scales) + len(data.centre) + 1 + of_places + of_factors


FLOATS = ("scales", "own", "centre", "spread", "mean_sd", "level", "offset", "cells", "places", "contrasts")
INTS = ("absent", "masks", "place", "levels", "shapes", "logs", "flags")
HEADER = 8


def packed(data: PooledData) -> Floats:
    """Put everything into one vector, as samplers hand it to compiled code.

    Parameters
    ----------
    data : PooledData

    Returns
    -------
    ndarray
        Numbers of strata, histories, means, standard deviations and places, and the shape of the contrasts; then the
        fields, whole numbers among them.
    """
    sizes = (
        *data.cells.shape,
        len(data.masks),
        len(data.scales),
        data.places.shape[1],
        *data.contrasts.shape,
    )
    fields = [np.ravel(getattr(data, name)) for name in (*FLOATS, *INTS)]
    return np.concatenate([np.array(sizes), *fields]).astype(np.float64)


def unpacked(kept: Floats, data: PooledData) -> dict[str, Floats]:
    """Name what is kept of draws.

    Parameters
    ----------
    kept : ndarray, shape (..., s + h + 1 + p)
    data : PooledData

    Returns
    -------
    dict
        ``log_hidden`` (s,), ``hyper`` (h,), ``log_level`` and ``mean`` (p,), as `density` gives them.
    """
    n_strata, n_spreads = len(data.cells), len(data.scales)
    at = n_strata + n_spreads
    return {
        "log_hidden": kept[..., :n_strata],
        "hyper": kept[..., n_strata:at],
        "log_level": kept[..., at],
        "mean": kept[..., at + 1 :],
    }


@njit
def _take(vector: Any, at: int, size: int) -> tuple[Any, int]:
    return vector[at : at + size], at + size


@njit
def unpack(data: Floats) -> PooledData:
    """Read the vector that `packed` makes.

    Parameters
    ----------
    data : ndarray

    Returns
    -------
    PooledData
    """
    header = data[:HEADER].astype(np.int64)
    s, c, p, h, j = header[0], header[1], header[2], header[3], header[4]
    f, most_levels, most_free = header[5], header[6], header[7]
    rows = 3
    while 1 << (rows - 3) < c:
        rows += 1
    n_floats = 2 * h + 2 * p + p * p + 4 + s + s * c + rows * j + f * most_levels * most_free
    floats, ints = data[HEADER : HEADER + n_floats], data[HEADER + n_floats :].astype(np.int64)
    scales, at = _take(floats, 0, h)
    own, at = _take(floats, at, h)
    centre, at = _take(floats, at, p)
    spread, at = _take(floats, at, p * p)
    mean_sd, at = _take(floats, at, p)
    level, at = _take(floats, at, 4)
    offset, at = _take(floats, at, s)
    cells, at = _take(floats, at, s * c)
    places, at = _take(floats, at, rows * j)
    contrasts, at = _take(floats, at, f * most_levels * most_free)
    absent, at = _take(ints, 0, s)
    masks, at = _take(ints, at, p)
    place, at = _take(ints, at, s)
    levels, at = _take(ints, at, f * s)
    shapes, at = _take(ints, at, 3 * f)
    logs, at = _take(ints, at, h)
    flags, at = _take(ints, at, 2)
    return PooledData(
        scales, own, centre, spread.reshape(p, p), mean_sd, level, offset, cells.reshape(s, c), absent, masks, place,
        places.reshape(rows, j), levels.reshape(f, s), contrasts.reshape(f, most_levels, most_free),
        shapes.reshape(f, 3), logs, flags,
    )  # fmt: skip


# === histories of one stratum, with lists that do not operate, and small functions that do not overflow ===============


@njit(inline="always")
def softplus(x: float) -> float:
    """``log(1 + exp(x))``.

    Examples
    --------
    >>> softplus(1000.0)
    1000.0
    """
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@njit(inline="always")
def expit(x: float) -> float:
    """``1 / (1 + exp(-x))``.

    Examples
    --------
    >>> expit(-1000.0)
    0.0
    """
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@njit
def _digamma(x: float) -> float:
    found = 0.0
    while x < 8.0:
        found -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r / 132.0))))
    return found + math.log(x) - 0.5 / x - series


@njit
def gamma_steps(n: float, k: float) -> tuple[float, float]:
    """Log of ``gamma(n + k) / gamma(k)`` and its derivative in k.

    Examples
    --------
    >>> [round(value, 3) for value in gamma_steps(2.0, 1.0)]
    [0.693, 1.5]
    """
    if n > FEW:
        return math.lgamma(n + k) - math.lgamma(k), _digamma(n + k) - _digamma(k)
    product, slope = 0.0, 0.0
    for j in range(int(n)):
        product += math.log(k + j)
        slope += 1.0 / (k + j)
    return product, slope


@njit(inline="always")
def subset_sums(cells: Floats, n_lists: int) -> None:
    """Add to each history, in place, the values of all histories inside it.

    Parameters
    ----------
    cells : ndarray, shape (2**k,)
    n_lists : int
    """
    for i in range(n_lists):
        bit = 1 << i
        for w in range(len(cells)):
            if w & bit:
                cells[w] += cells[w ^ bit]


@njit(inline="always")
def superset_sums(cells: Floats, n_lists: int) -> None:
    """Add to each history, in place, the values of all histories that it is inside of.

    Parameters
    ----------
    cells : ndarray, shape (2**k,)
    n_lists : int
    """
    for i in range(n_lists):
        bit = 1 << i
        for w in range(len(cells)):
            if not w & bit:
                cells[w] += cells[w | bit]


# --- histories --------------------------------------------------------------------------------------------------------


@njit
def histories(eta: Floats, y: Floats, n: float, fit: Floats, odds: Floats) -> tuple[float, float]:
    """Log likelihood of histories given observation, and log odds of observation, with their derivatives in eta.

    Parameters
    ----------
    eta, y : ndarray, shape (2**k,)
        Predictors, that of history 0 being 0, and persons.
    n : float
        All persons.
    fit, odds : ndarray, shape (2**k,)
        Filled with the derivatives, from element 1.

    Returns
    -------
    (float, float)
    """
    top = eta[1]
    for w in range(2, len(eta)):
        top = max(top, eta[w])
    some, value = 0.0, 0.0
    for w in range(1, len(eta)):
        odds[w] = math.exp(eta[w] - top)
        some += odds[w]
        value += y[w] * (eta[w] - top)
    for w in range(1, len(eta)):
        odds[w] /= some
        fit[w] = y[w] - n * odds[w]
    log_some = math.log(some)
    return value - n * log_some, top + log_some


@njit
def merged_histories(
    eta: Floats, y: Floats, n: float, absent: int, fit: Floats, odds: Floats, weight: Floats
) -> tuple[float, float]:
    """Do the same where some lists do not operate: histories that differ only in these are added up.

    Parameters
    ----------
    eta, y : ndarray, shape (2**k,)
    n : float
    absent : int
        The lists that do not operate, as a mask.
    fit, odds : ndarray, shape (2**k,)
    weight : ndarray, shape (2**k,)
        Room to work in.

    Returns
    -------
    (float, float)
    """
    top, top_none = -np.inf, 0.0
    for w in range(1, len(eta)):
        if w & ~absent:
            top = max(top, eta[w])
        else:
            top_none = max(top_none, eta[w])
    weight[:] = 0.0
    some, none = 0.0, 0.0
    for w in range(len(eta)):
        seen = w & ~absent
        odds[w] = math.exp(eta[w] - (top if seen else top_none))
        weight[seen] += odds[w]
    none = weight[0]
    value = 0.0
    for w in range(1, len(eta)):
        some += weight[w]
        if y[w] > 0.0:
            value += y[w] * math.log(weight[w] + TINY)
    for w in range(1, len(eta)):
        seen = w & ~absent
        if seen:
            fit[w] = odds[w] * (y[seen] / (weight[seen] + TINY) - n / some)
            odds[w] /= some
        else:
            fit[w] = 0.0
            odds[w] /= -none
    if some == 0.0:
        return 0.0, NEVER
    log_some = math.log(some)
    return value - n * log_some, top + log_some - top_none - math.log(none)
