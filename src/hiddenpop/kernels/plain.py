"""One fit on the lattice of subsets in numpy, with nothing to compile.

Whoever fits one model should not wait for a compiler. The steps are those of the compiled loops of
`hiddenpop.kernels.lattice`, from the same start to the same stopping rule, so that both give the same answers but for
rounding. Which route is taken depends on the task alone, never on what has been imported: one fit always takes this
one, and so do the few thousand models of five lists, in `hiddenpop.kernels.plain_batch`.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotrs

from hiddenpop._typing import Bools, Floats, Ints

__all__ = ["BatchFit", "LatticeFit", "fit_one", "live_part", "offset_or_zeros", "superset_sums"]


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
        `hiddenpop.kernels.dense` is the more exact one.
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
    """Sums over the cells of a model by its design, a row a term."""

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
