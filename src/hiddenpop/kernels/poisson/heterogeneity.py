"""Closed-population models whose design is not a subset lattice: capture counts, behaviour, heterogeneity.

One Poisson log-linear fit on the observable cells serves the whole family (Rivest & Baillargeon). The unobserved cell
has the intercept alone in its design row, so that the exponential of the intercept is the dark figure; only under
behavioural response to capture it is another function of the fit, see `fit_removal`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.histories import added_by, captures, decode
from hiddenpop.kernels.poisson.dense import (
    LARGEST_COUNT,
    LARGEST_LOG_MEAN,
    DenseFit,
    Examined,
    RepeatedFit,
    free_at_maximum,
    poisson_deviance,
    repeated_fit,
    robust_fit,
    steady_fit,
)
from hiddenpop.kernels.poisson.faces import FitStatus, direction_of_dark_figure, facial_set
from hiddenpop.kernels.poisson.model_fit import NUMBER_BY_STATUS
from hiddenpop.kernels.poisson.profile import HiddenProfile, information_of

__all__ = [
    "ClosedDesign",
    "ClosedFit",
    "behaviour_design",
    "bias_corrected_cells",
    "bias_corrected_counts",
    "bias_corrected_variance",
    "closed_design",
    "face_of_design",
    "first_captures",
    "fit_closed",
    "fit_lower_bound",
    "fit_removal",
    "frequency_design",
    "heterogeneity_column",
    "independent_columns",
    "level_design",
    "lists_before_the_first",
    "profile_deviance",
    "profile_of_design",
    "profile_of_removal",
    "reached_steps",
]

RANK_TOLERANCE = 1e-9
"""Columns are scaled to at most 1. They hold small integers or a smooth convex function of the number of captures;
what is left of an independent column is above 1e-6 over the parameters that the estimators admit, and rounding leaves
1e-14 of a dependent one."""

SCORE_ROUNDING = 1e-7
"""Score of a step, in persons by the step's column, that a fit may leave: its likelihood is right to 1e-14 of them."""

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
        One row per history from 1, the intercept last.
    names : tuple of str, length p
    etas : tuple of int
        Columns whose coefficient may not be negative: the steps of Chao's lower bound.
    offset : ndarray, shape (m,), or None
        Logarithm of how many histories each row stands for, where it is not one.
    """

    matrix: Floats
    names: tuple[str, ...]
    etas: tuple[int, ...] = ()
    offset: Floats | None = None

    def without(self, columns: Sequence[int]) -> "ClosedDesign":
        """Leave columns out, which sets their coefficients to 0."""
        keep = [c for c in range(len(self.names)) if c not in set(columns)]
        etas = tuple(new for new, old in enumerate(keep) if old in self.etas)
        return ClosedDesign(self.matrix[:, keep], tuple(self.names[c] for c in keep), etas, self.offset)


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
    by_captures : ndarray, shape (t,), or None
        Persons expected to be caught 1, ..., t times, where `means` are not those of every cell.
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
    by_captures: Floats | None = None

    @property
    def n0_standard_error(self) -> float:
        """Standard error of the dark figure, ``sqrt(n0 + n0^2 var)``: Poisson variation and estimation error."""
        return math.sqrt(self.n0 + self.n0**2 * self.log_n0_variance)

    @property
    def information(self) -> float:
        """How many persons a count would have that tells as much of the dark figure; 0 where it has no number."""
        return information_of(self.log_n0_variance)


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
        columns = _behaviour(model, lists_before_the_first(histories), k)
    elif model in ("Mt", "Mth"):
        columns = dict(zip(lists, decode(histories, t).T.astype(np.float64), strict=True))
    else:
        columns = {"captures": k}
    return _with_heterogeneity(columns, k, t, heterogeneity, parameter)


def frequency_design(
    n_lists: int, heterogeneity: str | None = None, parameter: float = math.nan
) -> ClosedDesign:
    """Build the design of a model whose lists are alike, on the numbers of persons caught 1, ..., t times.

    Parameters
    ----------
    n_lists : int
        Any number, t.
    heterogeneity, parameter
        As for `closed_design`, model ``"M0"`` or ``"Mh"``.

    Returns
    -------
    ClosedDesign
        One row per number of captures, with the logarithm of its number of histories as offset.

    Examples
    --------
    >>> round(fit_closed(frequency_design(2), np.array([50.0, 10])).n0, 6)  # 50 persons on one list, 10 on both
    62.5
    """
    k = np.arange(1.0, n_lists + 1.0)
    design = _with_heterogeneity({"captures": k}, k, n_lists, heterogeneity, parameter)
    return replace(design, offset=np.log([float(math.comb(n_lists, int(times))) for times in k]))


def behaviour_design(model: str, n_lists: int) -> tuple[ClosedDesign, npt.NDArray[np.int64]]:
    """Build the design of a model with behavioural response on numbers of persons by first capture and captures.

    Parameters
    ----------
    model : {"Mb", "Mbh"}
    n_lists : int
        Any number, t.

    Returns
    -------
    design : ClosedDesign
        A row for each number of lists before the first capture and each number of captures that goes with it, with the
        logarithm of its number of histories as offset.
    row : ndarray of int, shape (t, t + 1)
        Which row that is, -1 where there is none.

    Examples
    --------
    >>> design, row = behaviour_design("Mb", 3)
    >>> design.matrix[row[1, 2]].tolist(), float(np.exp(design.offset[row[0, 2]]))
    ([1.0, 1.0, 1.0], 2.0)
    """
    pairs = [(before, k) for before in range(n_lists) for k in range(1, n_lists - before + 1)]
    before, k = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    row = np.full((n_lists, n_lists + 1), -1, dtype=np.int64)
    row[tuple(np.array(pairs).T)] = np.arange(len(pairs))
    design = _with_heterogeneity(_behaviour(model, before, k), k, n_lists, None, math.nan)
    numbers = [float(math.comb(n_lists - first - 1, times - 1)) for first, times in pairs]
    return replace(design, offset=np.log(numbers)), row


def _behaviour(model: str, before: Floats, k: Floats) -> dict[str, Floats]:
    columns = {"lists before the first capture": before, "recaptures": k - 1.0}
    if model == "Mbh":
        columns["first capture on the first list"] = (before == 0).astype(np.float64)
    return columns


def level_design(n_lists: int, heterogeneity: str | None, parameter: float = math.nan) -> ClosedDesign:
    """Build what the number of captures alone does, one row per number from 1, the intercept last.

    Parameters
    ----------
    n_lists : int
    heterogeneity, parameter
        As for `closed_design`.

    Returns
    -------
    ClosedDesign

    Examples
    --------
    >>> level_design(3, "chao").names
    ('eta3', 'intercept')
    """
    return _with_heterogeneity({}, np.arange(1.0, n_lists + 1.0), n_lists, heterogeneity, parameter)


def _with_heterogeneity(
    columns: dict[str, Floats], k: Floats, t: int, heterogeneity: str | None, parameter: float
) -> ClosedDesign:
    n_base = len(columns)
    if heterogeneity == "chao":
        columns |= {f"eta{j}": np.maximum(k - j + 1.0, 0.0) for j in range(3, t + 1)}
    elif heterogeneity is not None:
        columns["heterogeneity"] = heterogeneity_column(heterogeneity, k, parameter)
    etas = tuple(range(n_base, len(columns))) if heterogeneity == "chao" else ()
    columns["intercept"] = np.ones(len(k))
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
        One row per cell, the intercept last.
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
    offset = None if design.offset is None else design.offset[on_face]
    fit = robust_fit(design.matrix[on_face][:, kept], counts[on_face], offset)
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
    """Fit a model with Chao's steps eta by maximum likelihood under the condition that none is negative.

    Parameters
    ----------
    design : ClosedDesign
    counts : ndarray, shape (2**t - 1,)

    Returns
    -------
    design : ClosedDesign
        Without the steps that are 0.
    fit : ClosedFit

    Notes
    -----
    A step at 0 would lower the likelihood if it grew: its score is not positive. Where nobody was caught exactly j
    times eta_j runs to minus infinity, so it is not among the first to be free.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([40.0, 30, 6, 20, 4, 3, 1])
    >>> kept, fit = fit_lower_bound(closed_design("Mth", ["a", "b", "c"], "chao"), counts)
    >>> kept.names
    ('a', 'b', 'c', 'eta3', 'intercept')
    """

    def examine(free: frozenset[int]) -> Examined[tuple[ClosedDesign, ClosedFit]]:
        reduced = design.without([c for c in design.etas if c not in free])
        fit = fit_closed(reduced, counts)
        below = [_is_negative(reduced, fit, c) for c in reduced.etas]
        wanted = _wanted(design, free, counts - fit.means, counts)
        return Examined((reduced, fit), fit.deviance, _those(free, below), wanted)

    return free_at_maximum(design.etas, reached_steps(design, counts), examine)[1]


def reached_steps(design: ClosedDesign, counts: Floats) -> list[int]:
    """Give the columns of the steps eta_j for which somebody was caught exactly j times."""
    return [c for c in design.etas if counts[design.matrix[:, c] == 1.0].any()]


def _those(free: frozenset[int], chosen: Sequence[bool]) -> frozenset[int]:
    """Choose among the free columns, in order."""
    return frozenset(c for c, is_so in zip(sorted(free), chosen, strict=True) if is_so)


def _wanted(design: ClosedDesign, free: frozenset[int], residuals: Floats, counts: Floats) -> frozenset[int]:
    """Give the steps held at 0 whose score is positive beyond rounding."""
    held = [c for c in design.etas if c not in free]
    columns = design.matrix[:, held]
    scores, sizes = columns.T @ residuals, columns.T @ counts
    return frozenset(
        c for c, score, size in zip(held, scores, sizes, strict=True) if score > SCORE_ROUNDING * size
    )


def _is_negative(design: ClosedDesign, fit: ClosedFit, column: int) -> bool:
    """Tell whether a coefficient is below 0, also where it runs off to minus infinity on the way to a face."""
    value = float(fit.coefficients[column])
    if not math.isnan(value):
        return value < 0.0
    return not fit.on_face.all() and _falls(_scaled(design.matrix), fit.on_face, column)


def _falls(matrix: Floats, on_face: Bools, column: int) -> bool:
    """Tell whether a coefficient that the face leaves open falls wherever the likelihood climbs to it."""
    return direction_of_dark_figure(matrix, on_face, column) == "boundary"


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


def bias_corrected_cells(histories: Ints, counts: Floats, n_lists: int) -> tuple[Ints, Floats]:
    """Add the pseudo-counts of `bias_corrected_counts` to the non-empty cells of any number of lists.

    Parameters
    ----------
    histories : ndarray of int64, shape (m,)
    counts : ndarray, shape (m,)
    n_lists : int

    Returns
    -------
    histories, counts : ndarray
        With all histories of one list and of two.

    Examples
    --------
    >>> histories, counts = bias_corrected_cells(np.array([1, 3]), np.array([30.0, 10.0]), 2)
    >>> histories.tolist(), counts.tolist()
    ([1, 2, 3], [30.0, 0.0, 11.0])
    """
    alone = 1 << np.arange(n_lists, dtype=np.int64)
    pairs = alone[:, None] | alone
    both = pairs[np.triu_indices(n_lists, k=1)]
    added = np.repeat([0.5 - 1.0 / n_lists, 2.0 / (n_lists * (n_lists - 1))], [n_lists, len(both)])
    cells, place = np.unique(np.concatenate([histories, alone, both]), return_inverse=True)
    return cells, added_by(place, np.concatenate([counts, added]), len(cells))


def bias_corrected_variance(fit: ClosedFit, counts: Floats) -> float:
    """Give the variance of the logarithm of a bias-corrected dark figure.

    Parameters
    ----------
    fit : ClosedFit
        Of the counts.
    counts : ndarray, shape (2**t - 1,)
        With pseudo-counts, see `bias_corrected_counts`.

    Returns
    -------
    float

    Notes
    -----
    That of the fit, but for two lists: with m persons on both, the variance of the dark figure, Poisson variation
    included, is then ``(m + 1) / (m + 2)`` of what the fit says. So corrected it is Seber's (1970), which has no bias.

    References
    ----------
    Seber, G. A. F. (1970). The effects of trap response on tag recapture estimates. Biometrics 26(1), 13-22.
    doi:10.2307/2529040

    Examples
    --------
    >>> import numpy as np
    >>> counts = bias_corrected_counts(np.array([30.0, 20.0, 10.0]), 2)
    >>> fit = fit_closed(closed_design("Mt", ["a", "b"]), counts)
    >>> n0 = fit.n0
    >>> round((n0 + n0**2 * bias_corrected_variance(fit, counts)) ** 0.5, 2)
    22.92
    """
    if len(counts) > 3 or fit.status != "ok":
        return fit.log_n0_variance
    on_both = float(counts[2])
    whole = fit.n0_standard_error**2 * on_both / (on_both + 1.0)
    return (whole - fit.n0) / fit.n0**2


def profile_of_design(design: ClosedDesign, counts: Floats, fit: ClosedFit) -> HiddenProfile:
    """Say what the data tell of every dark figure under a model whose unobserved cell has the intercept alone.

    Parameters
    ----------
    design : ClosedDesign
        With every step eta, see `profile_deviance`.
    counts : ndarray, shape (2**t - 1,)
    fit : ClosedFit
        Of the same model to the same counts.

    Returns
    -------
    HiddenProfile

    Examples
    --------
    >>> import numpy as np
    >>> from hiddenpop.kernels.poisson.profile import profile_limits
    >>> design, counts = closed_design("Mt", ["a", "b"]), np.array([30.0, 20.0, 10.0])
    >>> limits = profile_limits(profile_of_design(design, counts, fit_closed(design, counts)), 0.95)
    >>> round(limits.low, 1), round(limits.high, 1)
    (82.4, 199.4)
    """
    return HiddenProfile(float(counts.sum()), fit.n0, fit.information, profile_deviance(design, counts))


def profile_deviance(design: ClosedDesign, counts: Floats) -> Callable[[float], float]:
    """Give the deviance as a function of a supposed dark figure, no step eta being negative.

    Parameters
    ----------
    design : ClosedDesign
        With every step eta: at each supposed dark figure it is found anew which of them are 0.
    counts : ndarray, shape (2**t - 1,)

    Returns
    -------
    callable
        From a dark figure of 0 or more to the deviance of the fit to the observed cells and this one.

    Examples
    --------
    >>> import numpy as np
    >>> deviance_at = profile_deviance(closed_design("Mt", ["a", "b"]), np.array([30.0, 20.0, 10.0]))
    >>> abs(deviance_at(60.0)) < 1e-9, round(deviance_at(30.0), 2)  # as of a table of four cells, 10 30 20 30
    (True, 2.28)
    """
    unobserved = np.append(np.zeros(design.matrix.shape[1] - 1), 1.0)
    offset = None if design.offset is None else np.append(0.0, design.offset)
    whole = ClosedDesign(np.vstack([unobserved, design.matrix]), design.names, design.etas, offset)
    supposed = np.append(1.0, counts)
    reductions: dict[frozenset[int], _Reduction] = {}
    starts: dict[frozenset[int], Floats] = {}
    last_free = frozenset(reached_steps(design, counts))

    def examine(free: frozenset[int]) -> Examined[float]:
        if free not in reductions:
            reductions[free] = _reduction(whole, free, supposed)
        reduced = reductions[free]
        seen = supposed[reduced.on_face]
        fit = _fit_again(reduced.matrix, seen, starts.get(free), reduced.offset)
        starts[free] = fit.coefficients
        log_means = reduced.matrix @ fit.coefficients + (0.0 if reduced.offset is None else reduced.offset)
        residuals = seen - np.exp(np.minimum(log_means, LARGEST_LOG_MEAN))
        wrong = reduced.negative(fit.coefficients), reduced.wanted(residuals)
        return Examined(fit.deviance, fit.deviance, *wrong)

    @cache
    def deviance_at(n0: float) -> float:
        nonlocal last_free
        supposed[0] = max(n0, SMALLEST_CELL)
        last_free, deviance = free_at_maximum(whole.etas, last_free, examine)
        return deviance

    return deviance_at


def _fit_again(
    matrix: Floats, counts: Floats, start: Floats | None, offset: Floats | None
) -> RepeatedFit | DenseFit:
    """Fit by compiled steps from the last coefficients or from the counts, else by the exact or the steady route."""
    if offset is not None:
        return robust_fit(matrix, counts, offset)
    if counts.max() <= LARGEST_COUNT:
        for near in (start, None):
            quick = repeated_fit(matrix, counts, near)
            if quick.converged:
                return quick
    return steady_fit(matrix, counts, start) if len(matrix) > MANY_CELLS else robust_fit(matrix, counts)


@dataclass(frozen=True, slots=True)
class _Reduction:
    """A design with some steps left out, of full rank on the face that a supposed dark figure leaves it.

    Attributes
    ----------
    matrix : ndarray, shape (f, q)
    on_face : ndarray of bool, shape (2**t,)
    fixed : tuple of (int, int)
        Free steps that the face determines: the column in the whole design, and in `matrix`.
    falling : frozenset of int
        Free steps that run to minus infinity.
    held : tuple of int
        Steps left out.
    held_matrix : ndarray, shape (h, f)
        Their columns on the face.
    least : ndarray, shape (h,)
        Scores of theirs that may be rounding.
    offset : ndarray, shape (f,), or None
    """

    matrix: Floats
    on_face: Bools
    fixed: tuple[tuple[int, int], ...]
    falling: frozenset[int]
    held: tuple[int, ...]
    held_matrix: Floats
    least: Floats
    offset: Floats | None

    def negative(self, coefficients: Floats) -> frozenset[int]:
        """Give the free steps below 0."""
        return self.falling | {step for step, column in self.fixed if coefficients[column] < 0.0}

    def wanted(self, residuals: Floats) -> frozenset[int]:
        """Give the steps left out whose score is positive."""
        scores = self.held_matrix @ residuals
        return frozenset(step for step, up in zip(self.held, scores > self.least, strict=True) if up)


def _reduction(design: ClosedDesign, free: frozenset[int], counts: Floats) -> _Reduction:
    columns = [c for c in range(len(design.names)) if c in free or c not in design.etas]
    matrix = design.matrix[:, columns]
    _, on_face = face_of_design(matrix, counts > 0)
    scaled = _scaled(matrix)
    kept = np.flatnonzero(independent_columns(scaled[on_face])).tolist()
    loose = [] if on_face.all() else [c for c in free if not _determined(scaled[on_face], columns.index(c))]
    fixed = tuple((c, kept.index(columns.index(c))) for c in sorted(free) if c not in loose)
    falling = [c for c in loose if _falls(scaled, on_face, columns.index(c))]
    held = tuple(c for c in design.etas if c not in free)
    # The unobserved cell is on no list and so in no step: what a score may be does not depend on its count.
    least = SCORE_ROUNDING * (counts @ design.matrix[:, held])
    held_matrix = np.ascontiguousarray(design.matrix[on_face][:, held].T)
    offset = None if design.offset is None else design.offset[on_face]
    return _Reduction(
        matrix[on_face][:, kept], on_face, fixed, frozenset(falling), held, held_matrix, least, offset
    )


# === the dark figure under behavioural response: a removal experiment on first captures ===============================
# Once somebody is caught, what happens to them says nothing of those who never are; so only first captures
# count, and under a constant capture probability they fall geometrically from list to list.


def first_captures(counts: Floats, n_lists: int) -> Floats:
    """Count those caught for the first time on each list, shape (t,), from counts by history from 1.

    Examples
    --------
    >>> import numpy as np
    >>> first_captures(np.array([30.0, 20.0, 10.0]), 2).tolist()
    [40.0, 20.0]
    """
    first = lists_before_the_first(np.arange(1, len(counts) + 1, dtype=np.int64)).astype(np.int64)
    captured = np.zeros(n_lists)
    np.add.at(captured, first, counts)
    return captured


def fit_removal(fit: ClosedFit, first: Floats) -> ClosedFit:
    """Put the dark figure of a removal experiment into a fit with behavioural response.

    Parameters
    ----------
    fit : ClosedFit
        Of the log-linear model, for its deviance and fitted counts.
    first : ndarray, shape (s,)
        First captures on each list from which the capture probability p is constant.

    Returns
    -------
    ClosedFit

    Notes
    -----
    First captures fall by the factor ``q = 1 - p`` from list to list, so ``n0 = n q^s / (1 - q^s)``; recaptures say
    nothing of it. Where they do not fall (q >= 1) there is no finite dark figure, and a formula that goes on regardless
    gives fewer than were observed, or less than nobody.

    References
    ----------
    Otis, D. L., Burnham, K. P., White, G. C. and Anderson, D. R. (1978). Statistical inference from capture data on
    closed animal populations. Wildlife Monographs 62.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([40.0, 20.0, 0.0])
    >>> from hiddenpop.kernels.poisson.heterogeneity import closed_design, fit_closed
    >>> fit = fit_closed(closed_design("Mb", ["a", "b"]), counts)
    >>> round(fit_removal(fit, first_captures(counts, 2)).n0, 6)
    20.0
    """
    status = removal_status(first)
    if status != "ok":
        return replace(fit, status=status, n0=NUMBER_BY_STATUS[status], log_n0_variance=math.nan)
    s, n = len(first), float(first.sum())
    geometric = robust_fit(np.column_stack([np.arange(s, dtype=np.float64), np.ones(s)]), first)
    log_q = float(geometric.coefficients[0])
    missed = -math.expm1(s * log_q)
    n0 = n * math.exp(s * log_q) / missed
    variance = 1.0 / n + (s / missed) ** 2 * float(geometric.covariance[0, 0])
    return replace(
        fit, status="ok", n0=n0, log_n0_variance=variance, converged=fit.converged and geometric.converged
    )


def removal_status(first: Floats) -> FitStatus:
    """Judge a removal experiment by the mean place of the first capture."""
    n, s = float(first.sum()), len(first)
    delay = float(first @ np.arange(s))
    if n == 0.0:
        return "not_identified"
    if delay == 0.0:
        return "boundary"
    return "ok" if 2.0 * delay < n * (s - 1) else "unbounded"


def profile_of_removal(first: Floats, fit: ClosedFit) -> HiddenProfile:
    """Say what a removal experiment tells of every dark figure.

    Parameters
    ----------
    first : ndarray, shape (s,)
        See `fit_removal`.
    fit : ClosedFit
        With the dark figure of `fit_removal`.

    Returns
    -------
    HiddenProfile
        For the persons who took part in the experiment; those caught before it are not counted.

    Examples
    --------
    >>> import numpy as np
    >>> from hiddenpop.kernels.poisson.heterogeneity import closed_design, fit_closed
    >>> from hiddenpop.kernels.poisson.profile import profile_limits
    >>> counts = np.array([40.0, 20.0, 0.0])
    >>> first = first_captures(counts, 2)
    >>> fit = fit_removal(fit_closed(closed_design("Mb", ["a", "b"]), counts), first)
    >>> profile = profile_of_removal(first, fit)
    >>> round(profile.information, 1), round(profile_limits(profile, 0.95).low, 1)
    (1.8, 63.4)
    """
    s, n = len(first), float(first.sum())
    places = np.arange(s + 1, dtype=np.float64)
    delay = float(first @ places[:s])

    def deviance_at(n0: float) -> float:
        failures = delay + s * n0
        p = n / (n + failures)
        log_q = math.log(failures / (n + failures)) if failures > 0.0 else -math.inf
        shares = np.where(places > 0, np.exp(np.maximum(places, 1.0) * log_q), 1.0)
        means = (n + n0) * shares * np.append(np.full(s, p), 1.0)
        return poisson_deviance(np.append(first, n0), means)

    return HiddenProfile(n, fit.n0, fit.information, deviance_at)
