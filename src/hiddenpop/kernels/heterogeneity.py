"""Closed-population models whose design is no subset lattice: capture counts, behaviour, heterogeneity.

One Poisson log-linear fit on the observable cells serves the whole family (Rivest & Baillargeon). The unobserved cell
has the intercept alone in its design row, so that the exponential of the intercept is the dark figure; only under
behavioural response to capture it is another function of the fit, see `hiddenpop.kernels.removal`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from hiddenpop.histories import captures, decode
from hiddenpop.kernels.dense import DenseFit
from hiddenpop.kernels.faces import FitStatus, direction_of_dark_figure, facial_set
from hiddenpop.kernels.model_fit import NUMBER_BY_STATUS
from hiddenpop.kernels.profile import ProfileLimits, profile_limits
from hiddenpop.kernels.repeated import LARGEST_COUNT, RepeatedFit, repeated_fit
from hiddenpop.kernels.steady import robust_fit, steady_fit

__all__ = [
    "ClosedDesign",
    "ClosedFit",
    "bias_corrected_counts",
    "closed_design",
    "face_of_design",
    "fit_closed",
    "fit_lower_bound",
    "heterogeneity_column",
    "independent_columns",
    "lists_before_the_first",
    "profile_of_design",
    "without_unreached",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

RANK_TOLERANCE = 1e-9
"""Columns are scaled to at most 1. They hold small integers or a smooth convex function of the number of captures;
what is left of an independent column is above 1e-6 over the parameters that the estimators admit, and rounding leaves
1e-14 of a dependent one."""

SMALLEST_CELL = 1e-9
"""The likelihood is continuous as the supposed dark figure goes to 0; at 0 Newton's method would be singular."""


MANY_CELLS = 512
"""Above this a profile takes Gram matrices and warm starts; below, factors of the design, which are more exact."""


@dataclass(frozen=True, slots=True)
class ClosedDesign:
    """Design of a closed-population model on the observable cells.

    Attributes
    ----------
    matrix : ndarray, shape (2**t - 1, p)
        A row a history from 1, the intercept last.
    names : tuple of str, length p
    etas : tuple of int
        Columns whose coefficient may not be negative: the steps of Chao's lower bound.
    """

    matrix: Floats
    names: tuple[str, ...]
    etas: tuple[int, ...] = ()

    def without(self, columns: Sequence[int]) -> "ClosedDesign":
        """Leave columns out, which sets their coefficients to 0."""
        keep = [c for c in range(len(self.names)) if c not in set(columns)]
        etas = tuple(new for new, old in enumerate(keep) if old in self.etas)
        return ClosedDesign(self.matrix[:, keep], tuple(self.names[c] for c in keep), etas)


@dataclass(frozen=True, slots=True)
class ClosedFit:
    """A fitted closed-population model.

    Attributes
    ----------
    status : {"ok", "boundary", "unbounded", "not_identified"}
    n0 : float
        The dark figure: finite when the status is ``"ok"``, 0, inf or nan otherwise.
    log_n0_variance : float
        Variance of its logarithm under Poisson sampling; nan unless the status is ``"ok"``.
    deviance : float
    rank : int
        Parameters that the data determine.
    on_face : ndarray of bool, shape (2**t - 1,)
        Cells on the face of the maximum; the others have fitted mean 0.
    means : ndarray, shape (2**t - 1,)
    coefficients, standard_errors : ndarray, shape (p,)
        nan where the face does not determine them.
    converged : bool
    """

    status: FitStatus
    n0: float
    log_n0_variance: float
    deviance: float
    rank: int
    on_face: Bools
    means: Floats
    coefficients: Floats
    standard_errors: Floats
    converged: bool

    @property
    def n0_standard_error(self) -> float:
        """Standard error of the dark figure, ``sqrt(n0 + n0^2 var)``: Poisson variation and estimation error."""
        return math.sqrt(self.n0 + self.n0**2 * self.log_n0_variance)


def heterogeneity_column(kind: str, k: Floats, parameter: float) -> Floats:
    """Give the column that stands for heterogeneity of capture, as a function of the number of captures.

    Parameters
    ----------
    kind : {"poisson", "darroch", "gamma"}
    k : ndarray
        Number of captures, 0 included: the value there is 0.
    parameter : float
        theta of ``theta^k - 1`` (poisson) or of ``log theta - log(theta + k)`` (gamma); not used by ``k^2 / 2``.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> import numpy as np
    >>> heterogeneity_column("poisson", np.array([0.0, 1.0, 2.0, 3.0]), 2.0).tolist()
    [0.0, 1.0, 3.0, 7.0]
    """
    if kind == "poisson":
        return parameter**k - 1.0
    if kind == "gamma":
        return -np.log1p(k / parameter)
    return k**2 / 2.0


def closed_design(
    model: str, lists: Sequence[str], heterogeneity: str | None = None, parameter: float = math.nan
) -> ClosedDesign:
    """Build the design of a closed-population model.

    Parameters
    ----------
    model : {"M0", "Mt", "Mh", "Mth", "Mb", "Mbh"}
    lists : sequence of str
        The t lists, in the order of time for ``"Mb"`` and ``"Mbh"``.
    heterogeneity : {"chao", "poisson", "darroch", "gamma"}, optional
        For ``"Mh"`` and ``"Mth"``.
    parameter : float
        See `heterogeneity_column`.

    Returns
    -------
    ClosedDesign

    References
    ----------
    Baillargeon, S. and Rivest, L.-P. (2007). Rcapture: loglinear models for capture-recapture in R. Journal of
    Statistical Software 19(5). doi:10.18637/jss.v019.i05

    Examples
    --------
    >>> closed_design("Mth", ["a", "b", "c"], "chao").names
    ('a', 'b', 'c', 'eta3', 'intercept')
    """
    t = len(lists)
    histories = np.arange(1, 1 << t, dtype=np.int64)
    k = captures(histories).astype(np.float64)
    columns: dict[str, Floats] = {}
    if model in ("Mb", "Mbh"):
        before = lists_before_the_first(histories)
        columns = {"lists before the first capture": before, "recaptures": k - 1.0}
        if model == "Mbh":
            columns["first capture on the first list"] = (before == 0).astype(np.float64)
    elif model in ("Mt", "Mth"):
        columns = dict(zip(lists, decode(histories, t).T.astype(np.float64), strict=True))
    else:
        columns = {"captures": k}
    n_base = len(columns)
    if heterogeneity == "chao":
        columns |= {f"eta{j}": np.maximum(k - j + 1.0, 0.0) for j in range(3, t + 1)}
    elif heterogeneity is not None:
        columns["heterogeneity"] = heterogeneity_column(heterogeneity, k, parameter)
    etas = tuple(range(n_base, len(columns))) if heterogeneity == "chao" else ()
    columns["intercept"] = np.ones(len(histories))
    return ClosedDesign(np.column_stack(list(columns.values())), tuple(columns), etas)


def lists_before_the_first(histories: npt.NDArray[np.int64]) -> Floats:
    """Count the lists that passed before somebody was caught for the first time."""
    lowest_bit = histories & -histories
    return np.asarray(np.bitwise_count(lowest_bit - 1), dtype=np.float64)


def independent_columns(matrix: Floats) -> Bools:
    """Say which columns are independent of the columns before them, by Gram-Schmidt done twice.

    Examples
    --------
    >>> import numpy as np
    >>> independent_columns(np.array([[1.0, 2.0, 1.0], [1.0, 2.0, 0.0]])).tolist()
    [True, False, True]
    """
    basis = np.empty((len(matrix), 0))
    independent = np.zeros(matrix.shape[1], dtype=bool)
    for j, column in enumerate(matrix.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        size = float(np.linalg.norm(rest))
        independent[j] = size > RANK_TOLERANCE * max(1.0, float(np.linalg.norm(column)))
        if independent[j]:
            basis = np.column_stack([basis, rest / size])
    return independent


def face_of_design(matrix: Floats, positive: Bools) -> tuple[FitStatus, Bools]:
    """Find the face of the maximum, and what it says of the dark figure.

    Parameters
    ----------
    matrix : ndarray, shape (m, p)
        A row a cell, the intercept last.
    positive : ndarray of bool, shape (m,)
        Cells with a positive count.

    Returns
    -------
    status : {"ok", "boundary", "unbounded", "not_identified"}
    on_face : ndarray of bool, shape (m,)

    Examples
    --------
    >>> import numpy as np
    >>> two_lists = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    >>> face_of_design(two_lists, np.array([True, True, False]))[0]
    'unbounded'
    """
    scaled = _scaled(matrix)
    if independent_columns(scaled[positive]).all():
        return "ok", np.ones(len(matrix), dtype=bool)
    # Cells with equal rows stand and fall together, and most of these designs have few different rows.
    rows, of_cell = np.unique(scaled, axis=0, return_inverse=True)
    rows_on_face = facial_set(rows, np.bincount(of_cell, weights=positive) > 0)
    on_face = rows_on_face[of_cell]
    if independent_columns(rows[rows_on_face])[-1]:
        return "ok", on_face
    if not independent_columns(rows)[-1]:
        return "not_identified", on_face
    return direction_of_dark_figure(rows, rows_on_face, intercept=matrix.shape[1] - 1), on_face


def _scaled(matrix: Floats) -> Floats:
    return np.asarray(matrix / np.abs(matrix).max(axis=0))


def fit_closed(design: ClosedDesign, counts: Floats) -> ClosedFit:
    """Fit by Poisson maximum likelihood on the observable cells, on the face of the maximum.

    Parameters
    ----------
    design : ClosedDesign
    counts : ndarray, shape (2**t - 1,)

    Returns
    -------
    ClosedFit
        Its dark figure is the exponential of the intercept.

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_closed(closed_design("Mt", ["a", "b"]), np.array([30.0, 20.0, 10.0]))
    >>> fit.status, round(fit.n0, 6)
    ('ok', 60.0)
    """
    status, on_face = face_of_design(design.matrix, counts > 0)
    scaled = _scaled(design.matrix)[on_face]
    kept = independent_columns(scaled)
    fit = robust_fit(design.matrix[on_face][:, kept], counts[on_face])
    means = np.zeros(len(counts))
    means[on_face] = fit.means
    determined = kept if kept.all() else np.array([_determined(scaled, c) for c in range(len(kept))])
    coefficients, errors = (np.full(len(kept), np.nan) for _ in range(2))
    coefficients[kept], errors[kept] = fit.coefficients, np.sqrt(np.diag(fit.covariance))
    coefficients[~determined], errors[~determined] = np.nan, np.nan
    ok = status == "ok"
    n0 = math.exp(fit.coefficients[-1]) if ok else NUMBER_BY_STATUS[status]
    variance = float(fit.covariance[-1, -1]) if ok else math.nan
    return ClosedFit(
        status,
        n0,
        variance,
        fit.deviance,
        int(kept.sum()),
        on_face,
        means,
        coefficients,
        errors,
        fit.converged,
    )


def _determined(rows: Floats, column: int) -> bool:
    """Whether a column is independent of all the others, so that the data fix its coefficient."""
    return bool(independent_columns(np.column_stack([np.delete(rows, column, axis=1), rows[:, column]]))[-1])


def fit_lower_bound(design: ClosedDesign, counts: Floats) -> tuple[ClosedDesign, ClosedFit]:
    """Fit a model with Chao's steps eta, setting negative ones to 0 until none is negative.

    Parameters
    ----------
    design : ClosedDesign
    counts : ndarray, shape (2**t - 1,)

    Returns
    -------
    design : ClosedDesign
        Without the steps that were set to 0.
    fit : ClosedFit

    Notes
    -----
    Where nobody was caught exactly j times eta_j runs to minus infinity, so it is among the first to go.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([40.0, 30, 6, 20, 4, 3, 1])
    >>> kept, fit = fit_lower_bound(closed_design("Mth", ["a", "b", "c"], "chao"), counts)
    >>> kept.names
    ('a', 'b', 'c', 'eta3', 'intercept')
    """
    design = without_unreached(design, counts)
    while True:
        fit = fit_closed(design, counts)
        negative = [c for c in design.etas if fit.coefficients[c] < 0.0]
        if not negative:
            return design, fit
        design = design.without(negative)


def without_unreached(design: ClosedDesign, counts: Floats) -> ClosedDesign:
    """Leave out the steps eta_j for which nobody was caught exactly j times."""
    return design.without([c for c in design.etas if not counts[design.matrix[:, c] == 1.0].any()])


def bias_corrected_counts(counts: Floats, n_lists: int) -> Floats:
    """Add the pseudo-counts that take the first-order bias out of the dark figure of model Mt.

    Parameters
    ----------
    counts : ndarray, shape (2**t - 1,)
    n_lists : int

    Returns
    -------
    ndarray
        ``1/2 - 1/t`` more in every cell of one list and ``2 / (t(t-1))`` more in every cell of two: ``(t+2)/(2t)`` more
        on every list and ``t/2`` more persons.

    Notes
    -----
    The dark figure fitted to these counts is that of the data: ``N = n + n0``. For two lists it is Chapman's.

    References
    ----------
    Rivest, L.-P. and Levesque, T. (2001). Improved log-linear model estimators of abundance in capture-recapture
    experiments. Canadian Journal of Statistics 29(4), 555-572. doi:10.2307/3316007

    Examples
    --------
    >>> import numpy as np
    >>> bias_corrected_counts(np.array([30.0, 20.0, 10.0]), 2).tolist()
    [30.0, 20.0, 11.0]
    """
    k = captures(np.arange(1, len(counts) + 1, dtype=np.int64))
    t = n_lists
    return np.asarray(counts + np.select([k == 1, k == 2], [0.5 - 1.0 / t, 2.0 / (t * (t - 1))], 0.0))


def profile_of_design(design: ClosedDesign, counts: Floats, n0_hat: float, level: float) -> ProfileLimits:
    """Profile likelihood limits for a model whose unobserved cell has the intercept alone.

    Parameters
    ----------
    design : ClosedDesign
        With every step eta that may be positive: at each supposed dark figure the negative ones are set to 0 anew.
    counts : ndarray, shape (2**t - 1,)
    n0_hat : float
        Estimated dark figure, 0 or inf included.
    level : float

    Returns
    -------
    ProfileLimits

    Raises
    ------
    ArithmeticError
        If rounding hides the fall of the likelihood, as where cells of 10^12 and of 1 contradict the model.

    Examples
    --------
    >>> import numpy as np
    >>> limits = profile_of_design(closed_design("Mt", ["a", "b"]), np.array([30.0, 20.0, 10.0]), 60.0, 0.95)
    >>> round(limits.low, 1), round(limits.high, 1)
    (82.4, 199.4)
    """
    unobserved = np.append(np.zeros(design.matrix.shape[1] - 1), 1.0)
    whole = ClosedDesign(np.vstack([unobserved, design.matrix]), design.names, design.etas)
    supposed = np.append(1.0, counts)
    reductions: dict[tuple[str, ...], tuple[Floats, Bools, list[int]]] = {}
    starts: dict[tuple[str, ...], Floats] = {}

    @cache
    def deviance_at(n0: float) -> float:
        supposed[0] = max(n0, SMALLEST_CELL)
        reduced = whole
        while True:
            if reduced.names not in reductions:
                reductions[reduced.names] = _reduction(reduced, supposed > 0)
            matrix, on_face, positions = reductions[reduced.names]
            fit = _fit_again(matrix, supposed[on_face], starts.get(reduced.names))
            starts[reduced.names] = fit.coefficients
            negative = [
                c
                for c, value in zip(positions, fit.coefficients, strict=True)
                if value < 0 and c in reduced.etas
            ]
            if not negative:
                return fit.deviance
            reduced = reduced.without(negative)

    try:
        return profile_limits(deviance_at, float(counts.sum()), n0_hat, level)
    except ValueError as error:  # the search for a limit finds no change of sign
        raise ArithmeticError("the profile likelihood drowns in rounding: counts differ too much") from error


def _fit_again(matrix: Floats, counts: Floats, start: Floats | None) -> RepeatedFit | DenseFit:
    """Fit by compiled steps from the last coefficients or from the counts, else by the exact or the steady route."""
    if counts.max() <= LARGEST_COUNT:
        for near in (start, None):
            quick = repeated_fit(matrix, counts, near)
            if quick.converged:
                return quick
    return steady_fit(matrix, counts, start) if len(matrix) > MANY_CELLS else robust_fit(matrix, counts)


def _reduction(design: ClosedDesign, positive: Bools) -> tuple[Floats, Bools, list[int]]:
    """Matrix of full rank on the face, the cells on it, and which columns it has."""
    _, on_face = face_of_design(design.matrix, positive)
    matrix = design.matrix[on_face]
    kept = np.flatnonzero(independent_columns(_scaled(matrix)))
    return matrix[:, kept], on_face, kept.tolist()
