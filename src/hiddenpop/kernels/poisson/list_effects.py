"""Lists that differ beside what the number of captures does, on any number of lists: no table of 2**t cells is needed.

The mean of a history is a product over its lists times a factor of the number of captures, so that every sum over all
histories is one of elementary symmetric polynomials: of all lists, of all but one, of all but two.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotrs

from hiddenpop._typing import Bools, Floats, Ints
from hiddenpop.histories import added_by, captures, decode
from hiddenpop.kernels.poisson.dense import poisson_deviance
from hiddenpop.kernels.poisson.faces import FitStatus, null_space
from hiddenpop.kernels.poisson.heterogeneity import (
    SCORE_ROUNDING,
    SMALLEST_CELL,
    ClosedDesign,
    ClosedFit,
    independent_columns,
    level_design,
)
from hiddenpop.kernels.poisson.model_fit import NUMBER_BY_STATUS
from hiddenpop.kernels.poisson.profile import HiddenProfile

__all__ = [
    "ListEffects",
    "Sums",
    "fit_list_effects",
    "list_effects",
    "profile_of_list_effects",
    "sums_over_histories",
]


ITERATIONS, HALVINGS = 200, 30
TOLERANCE = 1e-11
"""Newton decrement after which one more step leaves the likelihood right to the last digits."""

PIVOT_TOLERANCE = 1e-10
LARGEST_LOG = 690.0
LONGEST_STEP = 5.0


@dataclass(frozen=True, slots=True)
class ListEffects:
    """A model whose means are ``exp(sum of the effects of the lists + what the number of captures does)``.

    Attributes
    ----------
    lists : tuple of str
        The t lists.
    levels : ClosedDesign
        One row per number of captures 1, ..., t, the intercept last; without captures there is the intercept alone.
    """

    lists: tuple[str, ...]
    levels: ClosedDesign

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients, those of the lists first."""
        return (*self.lists, *self.levels.names)

    @property
    def etas(self) -> tuple[int, ...]:
        """Coefficients that may not be negative."""
        return tuple(len(self.lists) + column for column in self.levels.etas)

    @property
    def offset(self) -> None:
        """None: every history stands for itself."""
        return

    def without(self, columns: Sequence[int]) -> "ListEffects":
        """Leave steps out, which sets their coefficients to 0."""
        return ListEffects(self.lists, self.levels.without([c - len(self.lists) for c in columns]))


@dataclass(frozen=True, slots=True)
class Sums:
    """What a model with list effects expects, over all histories.

    Attributes
    ----------
    by_captures : ndarray, shape (t + 1,)
        Persons caught 0, 1, ..., t times.
    on_list : ndarray, shape (t, t + 1)
        Those of them on each list.
    on_both : ndarray, shape (t, t)
        Persons on each pair of lists, the persons on each list on the diagonal.
    """

    by_captures: Floats
    on_list: Floats
    on_both: Floats


def list_effects(lists: Sequence[str], heterogeneity: str, parameter: float = math.nan) -> ListEffects:
    """Give model Mth: lists differ, and persons differ by a column on the number of captures.

    Parameters
    ----------
    lists : sequence of str
    heterogeneity, parameter
        As for `hiddenpop.kernels.poisson.heterogeneity.closed_design`.

    Returns
    -------
    ListEffects

    Examples
    --------
    >>> list_effects(["a", "b", "c"], "chao").names
    ('a', 'b', 'c', 'eta3', 'intercept')
    """
    return ListEffects(tuple(lists), level_design(len(lists), heterogeneity, parameter))


def sums_over_histories(effects: Floats, factors: Floats) -> Sums:
    """Add up ``exp(effects @ w + factors[k])`` over all histories w, by their number of captures k and their lists.

    Parameters
    ----------
    effects : ndarray, shape (t,)
    factors : ndarray, shape (t + 1,)
        ``-inf`` leaves a number of captures out.

    Returns
    -------
    Sums

    Notes
    -----
    Everything that is added is positive, so that no digits are lost. The polynomials without lists i and j are those
    of the lists before j without i, times those of the lists after j; the latter are taken together with the factors.
    The whole takes t steps on arrays of t x t numbers.

    Examples
    --------
    >>> sums = sums_over_histories(np.log([0.5, 0.25]), np.log([8.0, 8.0, 8.0]))
    >>> sums.by_captures.round(9).tolist(), sums.on_both.round(9).tolist()
    ([8.0, 6.0, 1.0], [[5.0, 1.0], [1.0, 3.0]])
    """
    t = len(effects)
    shift = float(effects.mean())
    weights = np.exp(np.clip(effects - shift, -LARGEST_LOG, LARGEST_LOG))
    scaled = np.exp(np.minimum(factors + shift * np.arange(t + 1), LARGEST_LOG))
    after = _after(weights, scaled)
    on_both = np.zeros((t, t))
    without = np.zeros((t, t + 1))  # row i: polynomials of the lists so far but i
    everything = np.zeros(t + 1)
    everything[0] = 1.0
    for j, weight in enumerate(weights):
        on_both[:j, j] = without[:j] @ after[j] * weights[:j] * weight
        without[:j, 1:] += weight * without[:j, :-1]
        without[j] = everything
        everything[1:] += weight * everything[:-1]
    on_list = np.zeros((t, t + 1))
    on_list[:, 1:] = weights[:, None] * without[:, :-1] * scaled[1:]
    on_both += on_both.T
    on_both[np.diag_indices(t)] = on_list.sum(axis=1)
    return Sums(everything * scaled, on_list, on_both)


def _after(weights: Floats, scaled: Floats) -> Floats:
    """Row j, element m: the factors of m + 2 and more captures with the polynomials of the lists after j."""
    t = len(weights)
    after = np.zeros((t, t + 1))
    after[t - 1, : t - 1] = scaled[2:]
    for j in range(t - 1, 0, -1):
        after[j - 1] = after[j]
        after[j - 1, :-1] += weights[j] * after[j, 1:]
    return after


@dataclass(frozen=True)
class _Seen:
    """Persons by history, and what the models with list effects take of them."""

    histories: Ints
    counts: Floats
    n_lists: int

    @cached_property
    def times(self) -> Ints:
        """Number of captures of each history."""
        return captures(self.histories).astype(np.int64)

    @cached_property
    def on(self) -> Floats:
        """Lists of each history."""
        return decode(self.histories, self.n_lists).astype(np.float64)

    @cached_property
    def totals(self) -> Floats:
        """Persons on each list."""
        return np.asarray(self.counts @ self.on)

    @cached_property
    def frequencies(self) -> Floats:
        """Persons caught 0, 1, ..., t times; nobody is known to have been caught 0 times."""
        return added_by(self.times, self.counts, self.n_lists + 1)

    def rows(self, levels: Floats) -> Floats:
        """Rows of the design of the histories with people."""
        return np.hstack([self.on, levels[self.times]])


@dataclass(frozen=True, slots=True)
class _Maximum:
    """Where Newton's method ended: coefficients, which of them are free, and what follows."""

    coefficients: Floats
    free: Bools
    information: Floats
    sums: Sums
    deviance: float
    converged: bool


def _with_nobody(design: ListEffects) -> Floats:
    """Put the row of those never caught before the others: the intercept alone."""
    matrix = design.levels.matrix
    return np.vstack([np.append(np.zeros(matrix.shape[1] - 1), 1.0), matrix])


def _maximum(seen: _Seen, design: ListEffects, start: Floats, supposed: float | None = None) -> _Maximum:
    """Climb to the maximum under which no step is negative, by Newton's method on those that are above 0.

    A step that would become negative stops the climb where it is 0, and is held there; where nothing more is to be
    gained, the one held whose score is largest for its size is let go. So the likelihood never falls, and no set of
    steps comes back. With a supposed dark figure those never caught are a cell like the others.
    """
    t, levels, steps = seen.n_lists, _with_nobody(design), np.array(design.etas, dtype=np.int64)
    frequencies = seen.frequencies.copy()
    frequencies[0] = supposed or 0.0
    target = np.concatenate([seen.totals, frequencies @ levels])
    least = SCORE_ROUNDING * np.maximum(np.abs(target), 1.0)

    def at(coefficients: Floats) -> tuple[Sums, float]:
        factors = levels @ coefficients[t:]
        if supposed is None:
            factors[0] = -math.inf
        sums = sums_over_histories(coefficients[:t], factors)
        return sums, float(target @ coefficients - sums.by_captures.sum())

    coefficients, free, converged = start, np.ones(len(start), dtype=np.bool_), False
    free[steps] = coefficients[steps] > 0.0
    sums, likelihood = at(coefficients)
    for _ in range(ITERATIONS):
        score = target - _expected(sums, levels)
        step = np.zeros(len(start))
        step[free] = _newton_step(_information(sums, levels)[np.ix_(free, free)], score[free])
        decrement = float(score @ step)
        if not math.isfinite(decrement):
            break
        # Of most persons no mean moves further on the log scale than one list and the number of captures take it.
        reach = float(np.abs(step[:t]).max() + np.abs(levels @ step[t:]).max())
        step *= LONGEST_STEP / max(reach, LONGEST_STEP)
        stopped = _first_at_zero(coefficients, step, steps)
        slack = 1e-9 * (1.0 + abs(likelihood))
        for _ in range(HALVINGS):
            sums, proposed = at(coefficients + step)
            if proposed >= likelihood - slack:
                break
            step, stopped = step * 0.5, stopped[:0]
        else:
            break
        coefficients, likelihood = coefficients + step, proposed
        coefficients[stopped], free[stopped] = 0.0, False
        if decrement < TOLERANCE and not stopped.size:
            held = steps[~free[steps]]
            wanted = _most_wanted(held, target - _expected(sums, levels), least, _information(sums, levels))
            if wanted is None:
                converged = True
                break
            free[wanted] = True
    information = _information(sums, levels)
    deviance = _deviance(seen, levels, coefficients, sums, supposed)
    return _Maximum(coefficients, free, information, sums, deviance, converged)


def _most_wanted(held: Ints, score: Floats, least: Floats, information: Floats) -> int | None:
    """Choose the coefficient held at 0 whose score is the largest for its size, if one is above rounding."""
    wanted = held[score[held] > least[held]]
    if not wanted.size:
        return None
    return int(wanted[np.argmax(score[wanted] ** 2 / np.maximum(information[wanted, wanted], 1e-300))])


def _expected(sums: Sums, levels: Floats) -> Floats:
    """Give what the sufficient statistics are expected to be: persons on each list, and by the columns of captures."""
    return np.concatenate([sums.on_both.diagonal(), sums.by_captures @ levels])


def _first_at_zero(coefficients: Floats, step: Floats, steps: Ints) -> Ints:
    """Cut the move in place where the first of the coefficients that may not be negative is 0; say which that is."""
    falling = steps[coefficients[steps] + step[steps] < 0.0]
    if not falling.size:
        return falling
    shares = coefficients[falling] / -step[falling]
    share = float(shares.min())
    step *= share
    return falling[shares == share]


def _information(sums: Sums, levels: Floats) -> Floats:
    across = sums.on_list @ levels
    return np.block([[sums.on_both, across], [across.T, (levels.T * sums.by_captures) @ levels]])


def _newton_step(information: Floats, score: Floats) -> Floats:
    """Solve on the scale of the diagonal; the shortest step where a mean on its way to 0 leaves it singular."""
    scale = np.sqrt(np.maximum(information.diagonal(), 1e-300))
    scaled = information / np.outer(scale, scale)
    lower, fault = dpotrf(scaled, lower=1, clean=0)
    if not fault and np.square(np.diagonal(lower)).min() > PIVOT_TOLERANCE:
        return np.asarray(dpotrs(lower, score / scale, lower=1)[0] / scale)
    if not np.isfinite(scaled).all():
        return np.full(len(score), math.nan)
    return np.asarray(np.linalg.lstsq(scaled, score / scale, rcond=1e-14)[0] / scale)


def _deviance(seen: _Seen, levels: Floats, coefficients: Floats, sums: Sums, supposed: float | None) -> float:
    """Deviance on all observable cells, and on the unobserved one with a supposed dark figure."""
    means = _means(seen, levels, coefficients)
    rest = 2.0 * (float(sums.by_captures[1:].sum()) - float(means.sum()))
    nobody = 0.0 if supposed is None else poisson_deviance(np.array([supposed]), sums.by_captures[:1])
    return poisson_deviance(seen.counts, means) + rest + nobody


def _means(seen: _Seen, levels: Floats, coefficients: Floats) -> Floats:
    return np.asarray(np.exp(np.minimum(seen.rows(levels) @ coefficients, LARGEST_LOG)))


def _start(seen: _Seen, design: ListEffects, supposed: float | None = None) -> Floats:
    """Independent lists, with those hidden that the numbers seen once and twice suggest."""
    n, (f1, f2) = float(seen.counts.sum()), seen.frequencies[1:3]
    n0 = max(0.5 * f1**2 / (f2 + 1.0), 1.0) if supposed is None else supposed
    shares = np.clip(seen.totals / (n + n0), 1e-12, 0.999)
    start = np.zeros(len(design.names))
    start[: seen.n_lists] = np.log(shares) - np.log1p(-shares)
    start[-1] = math.log(n + n0) + float(np.log1p(-shares).sum())
    return start


def fit_list_effects(design: ListEffects, histories: Ints, counts: Floats) -> tuple[ListEffects, ClosedFit]:
    """Fit by maximum likelihood under the condition that no step eta is negative.

    Parameters
    ----------
    design : ListEffects
    histories : ndarray of int64, shape (m,)
        Those with people; every list has caught somebody.
    counts : ndarray, shape (m,)

    Returns
    -------
    design : ListEffects
        Without the steps that are 0.
    fit : ClosedFit
        Means are of the histories given, all of which are on the face. Where the maximum lies at infinity, Newton's
        method approaches it, and the likelihood, to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> cells, counts = np.arange(1, 8), np.array([40.0, 30, 6, 20, 4, 3, 1])
    >>> kept, fit = fit_list_effects(list_effects(["a", "b", "c"], "chao"), cells, counts)
    >>> kept.names, round(fit.n0, 6)
    (('a', 'b', 'c', 'eta3', 'intercept'), 200.0)
    """
    seen = _Seen(histories, counts, len(design.lists))
    found = _maximum(seen, design, _start(seen, design))
    kept = design.without([c for c in design.etas if not found.free[c]])
    rows = seen.rows(_with_nobody(kept))
    known = independent_columns(rows / np.maximum(np.abs(rows).max(axis=0), 1e-300))
    open_ends = {} if known.all() else _open_ends(seen, _with_nobody(kept), rows, int((~known).sum()))
    status: FitStatus = open_ends.get(rows.shape[1] - 1, "ok")
    covariance = np.linalg.pinv(found.information[np.ix_(found.free, found.free)], hermitian=True)
    coefficients, errors = found.coefficients[found.free], np.sqrt(np.maximum(covariance.diagonal(), 0.0))
    undetermined = sorted(open_ends)
    coefficients[undetermined], errors[undetermined] = math.nan, math.nan
    ok = status == "ok"
    return kept, ClosedFit(
        status=status,
        n0=math.exp(found.coefficients[-1]) if ok else NUMBER_BY_STATUS[status],
        log_n0_variance=float(covariance[-1, -1]) if ok else math.nan,
        deviance=found.deviance,
        rank=int(known.sum()),
        on_face=np.ones(len(counts), dtype=bool),
        means=_means(seen, _with_nobody(design), found.coefficients),
        coefficients=coefficients,
        standard_errors=errors,
        converged=found.converged,
        by_captures=found.sums.by_captures[1:],
    )


def _open_ends(seen: _Seen, levels: Floats, rows: Floats, free: int) -> dict[int, FitStatus]:
    """Say where coefficients go that the likelihood leaves open: up ("unbounded"), down ("boundary"), or either.

    A direction that lowers no filled history and raises none is sought by linear programming. Over all histories of k
    captures the largest change is that of the k lists that rise most, which is the least of ``k u + sum max(d_j - u,
    0)`` over u; so that t (t + 1) more unknowns stand for 2**t conditions.
    """
    basis = null_space(rows, free)
    programme = _Programme.of(seen.n_lists, levels, basis)
    ends: dict[int, FitStatus] = {}
    for column in np.flatnonzero(np.abs(basis).max(axis=1) > 1e-9).tolist():
        up, down = programme.climbs(basis[column]), programme.climbs(-basis[column])
        if up or down:
            ends[column] = "not_identified" if up and down else "unbounded" if up else "boundary"
    return ends


@dataclass(frozen=True, slots=True)
class _Programme:
    """Conditions that no history is raised, on directions that leave the filled ones alone."""

    conditions: "npt.NDArray[np.float64]"
    n_free: int
    t: int

    @classmethod
    def of(cls, t: int, levels: Floats, basis: Floats) -> "_Programme":
        """Write the conditions down; unknowns are the direction, u of each k, and what is above u on each list."""
        free = basis.shape[1]
        above = np.zeros((t * t, free + t + t * t))
        total = np.zeros((t, free + t + t * t))
        for k in range(1, t + 1):
            own = slice(free + t + (k - 1) * t, free + t + k * t)
            at = slice((k - 1) * t, k * t)
            above[at, :free] = basis[:t]
            above[at, free + k - 1] = -1.0
            above[at, own] = -np.eye(t)
            total[k - 1, :free] = levels[k] @ basis[t:]
            total[k - 1, free + k - 1] = float(k)
            total[k - 1, own] = 1.0
        return cls(np.vstack([above, total]), free, t)

    def climbs(self, row: Floats) -> bool:
        """Whether the coefficient with this row rises along some direction; the programme is bounded, 0 or 1."""
        from scipy import sparse
        from scipy.optimize import linprog

        objective = np.zeros(self.conditions.shape[1])
        objective[: self.n_free] = row
        bounds = [(None, None)] * (self.n_free + self.t) + [(0.0, None)] * (self.t * self.t)
        # Sparse, because each condition holds few unknowns; the solver's stubs know dense arrays only.
        conditions: Any = sparse.csr_array(np.vstack([self.conditions, objective]))
        solution = linprog(
            -objective,
            A_ub=conditions,
            b_ub=np.append(np.zeros(len(self.conditions)), 1.0),
            bounds=bounds,
            method="highs",
        )
        if solution.fun is None:
            raise ArithmeticError(f"the linear programme of the dark figure failed: {solution.message}")
        return bool(-solution.fun > 0.5)


def profile_of_list_effects(
    design: ListEffects, histories: Ints, counts: Floats, fit: ClosedFit
) -> HiddenProfile:
    """Say what the data tell of every dark figure, no step eta being negative.

    Parameters
    ----------
    design : ListEffects
        With every step: at each supposed dark figure it is found anew which of them are 0.
    histories, counts
        As for `fit_list_effects`.
    fit : ClosedFit

    Returns
    -------
    HiddenProfile

    Examples
    --------
    >>> import numpy as np
    >>> cells, counts = np.arange(1, 8), np.array([40.0, 30, 6, 20, 4, 3, 1])
    >>> design = list_effects(["a", "b", "c"], "chao")
    >>> profile = profile_of_list_effects(design, cells, counts, fit_list_effects(design, cells, counts)[1])
    >>> abs(profile.rise_at(profile.n0_hat)) < 1e-8, round(profile.rise_at(60.0), 2)
    (True, 12.21)
    """
    seen = _Seen(histories, counts, len(design.lists))
    start: Floats | None = None

    @cache
    def deviance_at(n0: float) -> float:
        nonlocal start
        supposed = max(n0, SMALLEST_CELL)
        found = None if start is None else _maximum(seen, design, start, supposed)
        if found is None or not found.converged:
            found = _maximum(seen, design, _start(seen, design, supposed), supposed)
        if found.converged:
            start = found.coefficients
        return found.deviance

    return HiddenProfile(float(counts.sum()), fit.n0, fit.information, deviance_at)
