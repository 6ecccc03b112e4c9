"""Thousands of fits on the lattice of subsets side by side in numpy: many models on one table, or one on many tables.

They take the steps of `hiddenpop.kernels.plain` and of the compiled loops, which are three times as quick once they
are there. The last axis of every array runs over the fits.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.kernels.plain import (
    DECREMENT_TOLERANCE,
    LIKELIHOOD_SLACK,
    MAX_HALVINGS,
    MAX_ITERATIONS,
    PIVOT_TOLERANCE,
    START_OFFSET,
    BatchFit,
    add_subsets,
    add_supersets,
    deviances,
    factored,
    offset_or_zeros,
    solved_by,
    superset_sums,
)

__all__ = ["MOST_LISTS", "fit_batch", "refit_deviances"]


MOST_LISTS = 5
"""Many fits of more lists are left to the compiled loops, which are then worth the wait."""

CHUNK = 400
"""Fits side by side: enough to make the work of Python small, few enough for the cache of a core."""

QUICK_ITERATIONS = 9
"""Most fits are there by then; those on the way to a face are not."""


def fit_batch(
    counts: npt.NDArray[np.float64],
    term_sets: npt.NDArray[np.uint64],
    n_lists: int,
    offset: Floats | None = None,
) -> BatchFit:
    """Fit every model of `term_sets` to one table by Poisson maximum likelihood on the observable cells.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by capture history; element 0 is not used.
    term_sets : ndarray of uint64, shape (m,)
        Models as coded by `hiddenpop.model.enumerate_models`.
    n_lists : int
        Number of lists, at most 6.
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history; element 0 is that of the unobserved cell.

    Returns
    -------
    BatchFit

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_batch(np.array([0.0, 30.0, 20.0, 10.0]), np.array([0b0111], dtype=np.uint64), n_lists=2)
    >>> round(float(fit.n0[0]), 6)
    60.0
    """
    observed = np.array(counts, dtype=np.float64)
    observed[0] = 0.0
    term_sets = np.asarray(term_sets, dtype=np.uint64)
    terms = np.append(np.arange(1, len(observed)), 0)
    nominal = (term_sets >> terms[:, None].astype(np.uint64) & np.uint64(1)).astype(bool)
    offset = offset_or_zeros(offset, len(observed))
    tables = np.broadcast_to(observed[:, None], (len(observed), len(term_sets)))
    intercept, variance, deviance, converged = _fit_all(tables, terms, nominal, n_lists, offset)
    with np.errstate(over="ignore"):
        n0 = np.exp(intercept + offset[0])
    return BatchFit(n0, variance, deviance, nominal.sum(axis=0), converged)


def refit_deviances(tables: Floats, terms: Ints, n_lists: int, offset: Floats | None = None) -> Floats:
    """Fit one model to many tables and return the deviances.

    Parameters
    ----------
    tables : ndarray of float, shape (b, 2**n_lists)
        Counts by history; column 0 is not used.
    terms : ndarray of int64, shape (p,)
        Terms as masks, the intercept (0) last.
    n_lists : int
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history.

    Returns
    -------
    ndarray of float, shape (b,)
    """
    if n_lists > MOST_LISTS:
        from hiddenpop.kernels import lattice

        return lattice.refit_deviances(tables, terms, n_lists, offset)
    observed = np.array(tables.T, dtype=np.float64)
    observed[0] = 0.0
    nominal = np.ones((len(terms), len(tables)), dtype=bool)
    offset = offset_or_zeros(offset, len(observed))
    return _fit_all(observed, terms, nominal, n_lists, offset)[2]


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def _fit_all(
    tables: Floats, terms: Ints, nominal: Bools, n_lists: int, offset: Floats
) -> tuple[Floats, Floats, Floats, Bools]:
    """Fit to each table the terms marked for it; give intercepts, their variances, deviances, and which converged.

    Parameters
    ----------
    tables : ndarray, shape (2**n_lists, b)
    terms : ndarray, shape (p,)
        The intercept last.
    nominal : ndarray of bool, shape (p, b)
    """
    margins = superset_sums(tables, n_lists)
    active = nominal & ((margins[terms] > 0.0) | (terms == 0)[:, None])
    live = _live_cells(terms, nominal & ~active, n_lists)
    b = tables.shape[1]
    found = np.zeros(tables.shape), np.empty(b), np.empty(b), np.empty(b), np.zeros(b, dtype=bool)
    fits = _Fits(tables, margins, live, terms, active, n_lists, offset[:, None], *found)
    slow = [_climb(fits, rows, 0, QUICK_ITERATIONS) for rows in _alike(active.sum(axis=0))]
    # The few that run to a face take many more steps; they go on together, whatever their number of parameters.
    rest = np.concatenate([np.zeros(0, dtype=np.int64), *slow])
    if len(rest):
        _climb(fits, rest, QUICK_ITERATIONS, MAX_ITERATIONS)
    return fits.intercept, fits.variance, fits.deviance, fits.converged


def _live_cells(terms: Ints, dead: Bools, n_lists: int) -> Bools:
    """Observable cells that contain no term with an empty margin, one column a fit."""
    above = np.zeros((1 << n_lists, dead.shape[1]), dtype=np.int64)
    above[terms] = dead
    add_subsets(above, n_lists)
    live = above == 0
    live[0] = False
    return live


def _alike(sizes: Ints) -> list[Ints]:
    """Positions of about equally many parameters together, in pieces that the cache of a core holds."""
    order = np.argsort((sizes + 1) // 2, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff((sizes[order] + 1) // 2)) + 1)
    return [group[i : i + CHUNK] for group in groups for i in range(0, len(group), CHUNK)]


class _Fits(NamedTuple):
    """Fits side by side, one column each: what is given, and what is found, filled in place."""

    counts: Floats
    margins: Floats
    live: Bools
    terms: Ints
    active: Bools
    n_lists: int
    offset: Floats
    theta: Floats
    intercept: Floats
    variance: Floats
    deviance: Floats
    converged: Bools


class _Columns(NamedTuple):
    """Some of the fits, brought to equally many parameters by ones that stand for nothing.

    Those come first, so that they leave the factors of the others alone. Below the cells stand a row of ones and a row
    of zeros, in which their own entries of the Gram matrix lie.
    """

    counts: Floats
    live: Bools
    terms: Ints
    targets: Floats
    places: Ints
    n_lists: int
    offset: Floats


def _columns(fits: _Fits, rows: Ints) -> _Columns:
    active, size = fits.active[:, rows], len(fits.counts)
    p = int(active.sum(axis=0).max())
    order = np.argsort(active, axis=0, kind="stable")[-p:]
    real = np.take_along_axis(active, order, axis=0)
    terms = np.where(real, fits.terms[order], size + 1)
    targets = np.where(real, np.take_along_axis(fits.margins[:, rows], fits.terms[order], axis=0), 0.0)
    by_fit = terms.T
    unions = np.minimum(by_fit[:, :, None] | by_fit[:, None], size + 1)
    unions[(by_fit[:, :, None] > size) & np.eye(p, dtype=bool)] = size
    places = unions * len(rows) + np.arange(len(rows))[:, None, None]
    counts, live = fits.counts[:, rows], fits.live[:, rows]
    return _Columns(counts, live, terms, targets, places, fits.n_lists, fits.offset)


def _climb(fits: _Fits, rows: Ints, first: int, last: int) -> Ints:
    """Take the steps of Newton from `first` to `last` on some columns; give those that have further to go."""
    batch = _columns(fits, rows)
    theta = _start(batch) if first == 0 else _at_terms(batch, np.pad(fits.theta[:, rows], ((0, 2), (0, 0))))
    means, likelihood = _predict(batch, theta)
    going = np.ones(len(rows), dtype=bool)
    for iteration in range(first, last):
        sums = _sums(batch, means)
        score = batch.targets - _at_terms(batch, sums)
        lower = _factors(sums.ravel().take(batch.places))
        step = solved_by(lower, score.copy())
        decrement = np.einsum("pb,pb->b", score, step)
        theta, means, likelihood = _advance(batch, theta, step, likelihood)
        there = going & (decrement < DECREMENT_TOLERANCE)
        ended = going if iteration == MAX_ITERATIONS - 1 else there
        _keep(fits, rows, batch, ended, theta[-1], lower[-1, -1], means)
        fits.converged[rows[there]] = True
        going = going & ~ended
        if 2 * going.sum() < len(going) and iteration < last - 1:
            rows, theta, likelihood, means = rows[going], theta[:, going], likelihood[going], means[:, going]
            if not len(rows):
                return rows
            # The terms of nothing come first, so that fewer of them may be needed now.
            batch = _columns(fits, rows)
            theta, going = theta[-len(batch.terms) :], np.ones(len(rows), dtype=bool)
    fits.theta[:, rows] = _spread(batch, theta)
    return rows[going]


def _keep(
    fits: _Fits, rows: Ints, batch: _Columns, ended: Bools, intercept: Floats, pivot: Floats, means: Floats
) -> None:
    """Keep what a fit has come to when it takes no further step."""
    if ended.any():
        at, last = rows[ended], pivot[ended]
        fits.intercept[at] = intercept[ended]
        fits.variance[at] = np.where(last > 0.0, 1.0 / np.square(last), np.inf)
        fits.deviance[at] = deviances(batch.counts[:, ended], batch.live[:, ended], means[:, ended])


def _sums(batch: _Columns, values: Floats) -> Floats:
    """Superset sums of the cells, with the two rows below them."""
    size = len(values)
    sums = np.empty((size + 2, values.shape[1]))
    sums[:size] = values
    add_supersets(sums[:size], batch.n_lists)
    sums[size], sums[size + 1] = 1.0, 0.0
    return sums


def _at_terms(batch: _Columns, rows: Floats) -> Floats:
    return np.take_along_axis(rows, batch.terms, axis=0)


def _spread(batch: _Columns, theta: Floats) -> Floats:
    """Put parameters in the places of their terms, 0 elsewhere."""
    spread = np.zeros((len(batch.counts) + 2, theta.shape[1]))
    np.put_along_axis(spread, batch.terms, theta, axis=0)
    return spread[: len(batch.counts)]


def _start(batch: _Columns) -> Floats:
    """Least squares on the logarithms of the counts, weighted by them."""
    weights = np.where(batch.live, batch.counts + START_OFFSET, 0.0)
    response = np.where(batch.live, weights * (np.log(batch.counts + START_OFFSET) - batch.offset), 0.0)
    right = _at_terms(batch, _sums(batch, response))
    return solved_by(_factors(_sums(batch, weights).ravel().take(batch.places)), right)


def _predict(batch: _Columns, theta: Floats) -> tuple[Floats, Floats]:
    """Fitted means, and the log-likelihoods up to a constant."""
    linear = _spread(batch, theta)
    add_subsets(linear, batch.n_lists)
    linear += batch.offset
    means = np.where(batch.live, np.exp(linear), 0.0)
    return means, np.where(batch.live, batch.counts * linear - means, 0.0).sum(axis=0)


def _advance(
    batch: _Columns, theta: Floats, step: Floats, likelihood: Floats
) -> tuple[Floats, Floats, Floats]:
    """Take the steps, each halved until its likelihood falls by no more than rounding."""
    theta = theta + step
    means, proposed = _predict(batch, theta)
    lowest = likelihood - LIKELIHOOD_SLACK * (1.0 + np.abs(likelihood))
    for _ in range(MAX_HALVINGS):
        low = ~(proposed >= lowest)
        if not low.any():
            break
        step = np.where(low, step * 0.5, 0.0)
        theta = theta - step
        means, proposed = _predict(batch, theta)
    return theta, means, proposed


def _factors(grams: Floats) -> Floats:
    """Cholesky factors, shape (p, p, b), of Gram matrices, shape (b, p, p), as `factored` defines them."""
    try:
        lower = np.ascontiguousarray(np.moveaxis(np.linalg.cholesky(grams), 0, 2))
    except np.linalg.LinAlgError:
        return factored(np.ascontiguousarray(np.moveaxis(grams, 0, 2)))
    pivots, diagonal = np.square(np.einsum("iib->bi", lower)), np.einsum("bii->bi", grams)
    aliased = ~(pivots > PIVOT_TOLERANCE * diagonal).all(axis=1)
    if aliased.any():
        lower[:, :, aliased] = factored(np.ascontiguousarray(np.moveaxis(grams[aliased], 0, 2)))
    return lower
