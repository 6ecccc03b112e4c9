"""Fits and ranks on the lattice of subsets of the lists in numpy, with nothing to compile.

Whoever fits one model should not wait for a compiler. The steps are those of the compiled loops of
`hiddenpop.kernels.poisson.lattice`, from the same start to the same stopping rule, so that both give the same answers
but for rounding. Which route is taken depends on the task alone, never on what has been imported: one fit always
takes this one, and so do the few thousand models of five lists.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotrs

from hiddenpop._typing import Bools, Floats, Ints, TermSets

__all__ = [
    "MOST_LISTS",
    "BatchFit",
    "LatticeFit",
    "fit_batch",
    "fit_one",
    "independent_terms",
    "live_part",
    "offset_or_zeros",
    "ranks_of_people",
    "refit_deviances",
    "superset_sums",
    "terms_with_people",
]

START_OFFSET = 0.1
"""Added to the counts as starting means, so that an empty cell has a logarithm."""

DECREMENT_TOLERANCE = 1e-8
"""Newton's decrement is about twice the log-likelihood still to be gained; the step that reveals it is still taken."""

MAX_ITERATIONS = 25
"""Off the face of the maximum a mean shrinks by a factor e a step, so that 25 steps bring 0.1 to 1e-12."""

PIVOT_TOLERANCE = 1e-12
"""A pivot below this share of its diagonal is rounding: that parameter is aliased and stays where it is."""

EXPLICIT_LISTS = 8
"""Up to so many lists the sums of one fit are products with its design, which leave less to do for Python."""

MAX_HALVINGS = 30
LIKELIHOOD_SLACK = 1e-9

MOST_LISTS = 5
"""Many fits of more lists are left to the compiled loops, which are then worth the wait."""

FITS_SIDE_BY_SIDE = 400
"""Fits side by side: enough to make the work of Python small, few enough for the cache of a core."""

QUICK_ITERATIONS = 9
"""Most fits are there by then; those on the way to a face are not."""

PRIME = (1 << 31) - 1
"""Entries of a design are 0 or 1: a rank modulo so large a prime is that over the rational numbers."""

DESIGNS_SIDE_BY_SIDE = 1024
"""Designs that are eliminated side by side, so that they stay in the cache of a core."""


@dataclass(frozen=True, slots=True)
class LatticeFit:
    """One fitted model: parameters, means and what is known of the fit.

    Attributes
    ----------
    parameters : ndarray, shape (p,)
        One per term, in the order given; ``-inf`` where the margin of the term is zero. Without the offset.
    means : ndarray, shape (2**K,)
        Fitted means by history; 0 where the fit leaves the cell out, and at 0 the mean of the unobserved cell.
    deviance : float
    log_n0_variance : float
        Inverse of the last pivot, the variance of the intercept; inf when the intercept is aliased.
    iterations : int
    converged : bool
    """

    parameters: npt.NDArray[np.float64]
    means: npt.NDArray[np.float64]
    deviance: float
    log_n0_variance: float
    iterations: int
    converged: bool


@dataclass(frozen=True, slots=True)
class BatchFit:
    """Many models fitted to one table; every array has one element a model.

    Attributes
    ----------
    n0 : ndarray of float
        Mean of the unobserved cell, the dark figure. A number even where it means nothing: judge the status first.
    log_n0_variance : ndarray of float
        Variance of the intercept, from the information one step before the last: good to about 1e-5 relative.
    deviance : ndarray of float
    n_parameters : ndarray of int
        Nominal number of parameters, those at minus infinity included.
    converged : ndarray of bool
        Rounding in the Gram matrix leaves an error of about 1e-12 n in the deviance: beyond 10^6 persons the route of
        `hiddenpop.kernels.poisson.dense` is the more exact one.
    """

    n0: npt.NDArray[np.float64]
    log_n0_variance: npt.NDArray[np.float64]
    deviance: npt.NDArray[np.float64]
    n_parameters: npt.NDArray[np.int64]
    converged: npt.NDArray[np.bool_]


def offset_or_zeros(offset: Floats | None, n_cells: int) -> Floats:
    """Give an offset as the loops want it; none is 0 for every history."""
    return np.zeros(n_cells) if offset is None else np.ascontiguousarray(offset, dtype=np.float64)


def superset_sums(values: Floats, n_lists: int) -> Floats:
    """Sum `values` over the histories that contain each history.

    Examples
    --------
    >>> superset_sums(np.array([0.0, 30.0, 20.0, 10.0]), 2).tolist()
    [60.0, 40.0, 30.0, 10.0]
    """
    result = np.array(values)
    add_supersets(result, n_lists)
    return result


def live_part(margins: Floats, terms: Ints) -> tuple[Bools, Bools]:
    """Say what is left of a model and of the cells once terms with an empty margin are taken out.

    Parameters
    ----------
    margins : ndarray, shape (2**K,)
        Superset sums of the counts.
    terms : ndarray of int64, shape (p,)

    Returns
    -------
    active : ndarray of bool, shape (p,)
        Terms with a positive margin, and the intercept.
    live : ndarray of bool, shape (2**K,)
        Cells that contain no other term; that of nobody is one of them.

    Examples
    --------
    >>> active, live = live_part(np.array([50.0, 30.0, 20.0, 0.0]), np.array([1, 2, 3, 0]))
    >>> active.tolist(), live.tolist()
    ([True, True, False, True], [True, True, True, False])
    """
    active = (margins[terms] > 0.0) | (terms == 0)
    cells = np.arange(len(margins))
    live = np.ones(len(cells), dtype=bool)
    for dead in terms[~active]:
        live &= cells & dead != dead
    return active, live


def add_supersets(values: Floats, n_lists: int) -> None:
    """Replace each element (or row) by the sum over the histories that contain it, in place."""
    for i in range(n_lists):
        halves = values.reshape(-1, 2, 1 << i, *values.shape[1:])
        halves[:, 0] += halves[:, 1]


def add_subsets(values: npt.NDArray[Any], n_lists: int) -> None:
    """Replace each element (or row) by the sum over the histories that it contains, in place."""
    for i in range(n_lists):
        halves = values.reshape(-1, 2, 1 << i, *values.shape[1:])
        halves[:, 1] += halves[:, 0]


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what runs away is found not to converge
def fit_one(
    counts: npt.NDArray[np.float64],
    use: npt.NDArray[np.bool_],
    terms: npt.NDArray[np.int64],
    n_lists: int,
    offset: Floats | None = None,
) -> LatticeFit:
    """Fit one model to the cells in `use`.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by capture history. Element 0 enters only if ``use[0]``: with a supposed dark figure there, the fit is
        the one whose deviance the profile likelihood needs.
    use : ndarray of bool, shape (2**n_lists,)
        Cells of the likelihood: the observable cells, less those that are off the face.
    terms : ndarray of int64, shape (p,)
        Terms as masks, the intercept (0) last.
    n_lists : int
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history; element 0 is that of the unobserved cell.

    Returns
    -------
    LatticeFit

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([0.0, 30.0, 20.0, 10.0])
    >>> fit = fit_one(counts, np.array([False, True, True, True]), np.array([1, 2, 0]), n_lists=2)
    >>> round(float(fit.means[0]), 6)
    60.0
    """
    usable = np.where(use, counts, 0.0)
    margins = superset_sums(usable, n_lists)
    offset = offset_or_zeros(offset, len(counts))
    active, live = live_part(margins, terms)
    cells = np.flatnonzero(live & use)
    sums = (
        _Products.of(cells, terms[active])
        if n_lists <= EXPLICIT_LISTS
        else _Transforms(cells, terms[active], n_lists)
    )
    model = _Model(usable[cells], margins[terms[active]], offset[cells], sums)
    theta, fitted, variance, iterations, converged = model.fit()
    parameters, means = np.full(len(terms), -np.inf), np.zeros(len(counts))
    parameters[active], means[cells] = theta, fitted
    if not use[0]:
        means[0] = np.exp(parameters[-1] + offset[0])
    deviance = float(deviances(usable[cells], np.ones(len(cells), dtype=bool), fitted))
    return LatticeFit(parameters, means, deviance, variance, iterations, converged)


class _Products(NamedTuple):
    """Sums over the cells of a model by its design, one row per term."""

    design: Floats

    @classmethod
    def of(cls, cells: Ints, terms: Ints) -> "_Products":
        return cls((cells & terms[:, None] == terms[:, None]).astype(np.float64))

    def linear(self, theta: Floats) -> Floats:
        """Sum of the parameters inside each cell."""
        return np.asarray(theta @ self.design)

    def at_terms(self, values: Floats) -> Floats:
        """Sum over the cells around each term."""
        return np.asarray(self.design @ values)

    def gram(self, weights: Floats) -> Floats:
        """Sum over the cells around each pair of terms."""
        return np.asarray((self.design * weights) @ self.design.T)


class _Transforms(NamedTuple):
    """The same sums as subset and superset sums over all histories, without a design."""

    cells: Ints
    terms: Ints
    n_lists: int

    def linear(self, theta: Floats) -> Floats:
        linear = np.zeros(1 << self.n_lists)
        linear[self.terms] = theta
        add_subsets(linear, self.n_lists)
        return linear[self.cells]

    def at_terms(self, values: Floats) -> Floats:
        return self._around(values)[self.terms]

    def gram(self, weights: Floats) -> Floats:
        return self._around(weights)[self.terms[:, None] | self.terms]

    def _around(self, values: Floats) -> Floats:
        sums = np.zeros(1 << self.n_lists)
        sums[self.cells] = values
        add_supersets(sums, self.n_lists)
        return sums


@dataclass(frozen=True, slots=True)
class _Model:
    """One model on the cells of its likelihood, its terms without those whose margin is empty."""

    counts: Floats
    margins: Floats
    offset: Floats
    cells: _Products | _Transforms

    def fit(self) -> tuple[Floats, Floats, float, int, bool]:
        """Maximise the likelihood; give parameters, means, variance of the intercept, iterations, and convergence."""
        theta = self._start()
        means, likelihood = self._predict(theta)
        variance = np.inf
        for iteration in range(1, MAX_ITERATIONS + 1):
            score = self.margins - self.cells.at_terms(means)
            step, variance = _solved(self.cells.gram(means), score)
            decrement = float(score @ step)
            theta = theta + step
            means, proposed = self._predict(theta)
            for _ in range(MAX_HALVINGS):
                if proposed >= likelihood - LIKELIHOOD_SLACK * (1.0 + abs(likelihood)):
                    break
                step = step * 0.5
                theta = theta - step
                means, proposed = self._predict(theta)
            likelihood = proposed
            if decrement < DECREMENT_TOLERANCE:
                return theta, means, variance, iteration, True
        return theta, means, variance, MAX_ITERATIONS, False

    def _start(self) -> Floats:
        """Least squares on the logarithms of the counts, weighted by them."""
        weights = self.counts + START_OFFSET
        response = weights * (np.log(weights) - self.offset)
        return _solved(self.cells.gram(weights), self.cells.at_terms(response))[0]

    def _predict(self, theta: Floats) -> tuple[Floats, float]:
        """Fitted means, and the log-likelihood up to a constant."""
        linear = self.cells.linear(theta) + self.offset
        means = np.exp(linear)
        return means, float(self.counts @ linear - means.sum())


def _solved(gram: Floats, vector: Floats) -> tuple[Floats, float]:
    """Solve with a Gram matrix; also give the inverse of its last pivot. Aliased parameters get 0."""
    lower, fault = dpotrf(gram, lower=1, clean=0)
    pivots = np.square(np.diagonal(lower))
    if fault == 0 and (pivots > PIVOT_TOLERANCE * np.diagonal(gram)).all():
        return dpotrs(lower, vector, lower=1)[0], 1.0 / float(pivots[-1])
    factor = factored(gram[:, :, None].copy())
    last = float(factor[-1, -1, 0])
    return solved_by(factor, vector[:, None].copy())[:, 0], 1.0 / last**2 if last > 0.0 else np.inf


def factored(gram: Floats) -> Floats:
    """Turn Gram matrices, shape (p, p, b), into Cholesky factors in place; an aliased parameter gets a zero column."""
    p = len(gram)
    smallest = PIVOT_TOLERANCE * np.einsum("iib->ib", gram)
    for i in range(p):
        pivot = gram[i, i]
        sound = (pivot > smallest[i]) & (pivot > 0.0)
        root = np.sqrt(np.where(sound, pivot, 1.0))
        gram[i, i] = np.where(sound, root, 0.0)
        below = gram[i + 1 :, i] = np.where(sound, gram[i + 1 :, i] / root, 0.0)
        gram[i + 1 :, i + 1 :] -= below[:, None] * below
    return gram


def solved_by(lower: Floats, vector: Floats) -> Floats:
    """Solve with Cholesky factors in place; aliased parameters get 0."""
    p = len(lower)
    diagonal = np.einsum("iib->ib", lower)
    inverse = np.where(diagonal > 0.0, 1.0 / np.where(diagonal > 0.0, diagonal, 1.0), 0.0)
    for i in range(p):
        vector[i] *= inverse[i]
        vector[i + 1 :] -= lower[i + 1 :, i] * vector[i]
    for i in range(p - 1, -1, -1):
        vector[i] *= inverse[i]
        vector[:i] -= lower[i, :i] * vector[i]
    return vector


def deviances(counts: Floats, live: Bools, means: Floats) -> Floats:
    """Poisson deviances by column; by log1p, so that a huge count fitted closely adds its own share and no rounding."""
    positive = live & (counts > 0.0)
    relative = (means - counts) / counts
    near = relative > -0.5
    logarithm = np.where(near, np.log1p(np.where(near, relative, 0.0)), np.log(means / counts))
    added = np.where(positive, counts * (relative - logarithm), np.where(live, means, 0.0))
    return 2.0 * np.asarray(added.sum(axis=0))


# === thousands of fits on the lattice of subsets side by side in numpy ================================================
# Many models on one table, or one on many tables.
#
# They take the steps of `fit_one` and of the compiled loops, which are three times as quick
# once they are there. The last axis of every array runs over the fits.


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
        from hiddenpop.kernels.poisson import lattice

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
    return [
        group[i : i + FITS_SIDE_BY_SIDE] for group in groups for i in range(0, len(group), FITS_SIDE_BY_SIDE)
    ]


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


# === the exact ranks of the compiled route, in numpy ==================================================================


def independent_terms(cells: Ints, terms: Ints) -> Bools:
    """Say which columns of the design of `terms` on `cells` are independent of the columns before them.

    Parameters
    ----------
    cells : ndarray of int64
        Histories whose rows the design has.
    terms : ndarray of int64
        Columns.

    Returns
    -------
    ndarray of bool
        Their number is the rank. The last term is estimable from the cells exactly when its element is true.

    Examples
    --------
    >>> independent_terms(np.array([1, 2]), np.array([1, 2, 0])).tolist()
    [True, True, False]
    """
    matrix = ((cells[:, None] & terms) == terms).astype(np.int64)
    pivots = np.zeros(len(terms), dtype=bool)
    for column in range(len(terms)):
        rows = np.flatnonzero(matrix[:, column])
        if not len(rows):
            continue
        pivots[column] = True
        first, below = rows[0], rows[1:]
        scaled = matrix[first, column:] * pow(int(matrix[first, column]), -1, PRIME) % PRIME
        matrix[first] = 0
        if len(below):
            matrix[below, column:] = (
                matrix[below, column:] - matrix[below, column][:, None] * scaled
            ) % PRIME
    return pivots


def ranks_of_people(counts: Floats, margins: Floats, term_sets: TermSets) -> tuple[Ints, Bools]:
    """Say of each model what the cells with people in them alone determine.

    Parameters
    ----------
    counts, margins : ndarray, shape (2**K,)
        Counts by history (element 0 is 0) and their superset sums.
    term_sets : ndarray of uint64, shape (m,)
        Models, K at most 6. Terms with an empty margin are left out of the question.

    Returns
    -------
    rank : ndarray of int64, shape (m,)
        Of the design on the cells with people: the data determine so many parameters at least. Where it is the number
        of terms with a margin, the maximum is attained, unique, and the dark figure finite.
    identified : ndarray of bool, shape (m,)
        Whether these cells determine the intercept; the dark figure is then finite and unique on whatever face the
        maximum lies.

    Examples
    --------
    >>> counts = np.array([0.0, 40, 30, 6, 20, 0, 0, 0])
    >>> margins = np.array([96.0, 46, 36, 6, 20, 0, 0, 0])
    >>> rank, identified = ranks_of_people(counts, margins, np.array([0b10111, 0b11111], dtype=np.uint64))
    >>> rank.tolist(), identified.tolist()
    ([4, 4], [True, False])
    """
    cells, size = np.flatnonzero(counts > 0), len(counts)
    sets, place = np.unique(term_sets & terms_with_people(margins), return_inverse=True)
    rank, identified = np.bitwise_count(sets).astype(np.int64), np.ones(len(sets), dtype=bool)
    full = [_full_rank_modulo_two(cells, piece, size) for piece in _pieces(sets)]
    doubtful = np.flatnonzero(~np.concatenate([np.zeros(0, dtype=bool), *full]))
    pivots = _pivots(cells, sets[doubtful], size)
    rank[doubtful], identified[doubtful] = pivots.sum(axis=0), pivots[-1]
    return rank[place], identified[place]


def terms_with_people(margins: Floats) -> np.uint64:
    """Terms with a positive margin, and the intercept, as a term set.

    Examples
    --------
    >>> bin(terms_with_people(np.array([96.0, 46, 36, 6, 20, 0, 0, 0])))
    '0b11111'
    """
    return np.uint64(1 | sum(1 << t for t in range(1, len(margins)) if margins[t] > 0))


def _full_rank_modulo_two(cells: Ints, sets: TermSets, size: int) -> Bools:
    """Whether designs have full column rank modulo 2, which implies it over the rational numbers."""
    if not len(cells):
        return np.zeros(len(sets), dtype=bool)
    inside = [sum(1 << t for t in range(size) if t & int(cell) == t) for cell in cells]
    rows = np.array(inside, dtype=np.uint64)[:, None] & sets
    rank = np.zeros(len(sets), dtype=np.int64)
    every = np.arange(len(sets))
    for t in range(size):
        holds = (rows >> np.uint64(t) & np.uint64(1)).astype(bool)
        pivot = rows[holds.argmax(axis=0), every]
        rows ^= holds * pivot
        rank += holds.any(axis=0)
    return rank == np.bitwise_count(sets)


def _pivots(cells: Ints, sets: TermSets, size: int) -> Bools:
    """Which terms are independent of those before them, the intercept last; shape (size, m), false for absent terms."""
    terms = np.append(np.arange(1, size), 0)
    pivots = np.zeros((size, len(sets)), dtype=bool)
    design = ((cells[:, None] & terms) == terms).astype(np.int64)
    for piece, found in zip(_pieces(sets), _pieces(pivots.T), strict=True):
        present = (piece >> terms[:, None].astype(np.uint64) & np.uint64(1)).astype(np.int64)
        _eliminate(design[:, :, None] * present, found.T)
    return pivots


def _pieces(values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return [
        values[start : start + DESIGNS_SIDE_BY_SIDE] for start in range(0, len(values), DESIGNS_SIDE_BY_SIDE)
    ]


def _eliminate(matrix: Ints, pivots: Bools) -> None:
    """Eliminate designs side by side, shape (cells, terms, m), and mark the columns that hold a pivot."""
    every = np.arange(matrix.shape[2])
    for column in range(matrix.shape[1]):
        entries = matrix[:, column]
        holds = pivots[column] = entries.any(axis=0)
        if not holds.any():
            continue
        first = (entries != 0).argmax(axis=0)
        scaled = matrix[first, column:, every].T * _inverses(entries[first, every]) % PRIME
        matrix[first[holds], column:, every[holds]] = 0  # no row is used up where there is no pivot
        rows = np.flatnonzero(entries.any(axis=1))
        matrix[rows, column:] = (matrix[rows, column:] - entries[rows, None] * scaled) % PRIME


def _inverses(values: Ints) -> Ints:
    """Inverses modulo the prime, by Fermat; of 0 it is 0."""
    result, base, exponent = np.ones_like(values), values % PRIME, PRIME - 2
    while exponent:
        if exponent & 1:
            result = result * base % PRIME
        base = base * base % PRIME
        exponent >>= 1
    return result
