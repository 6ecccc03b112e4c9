"""Where the posterior of a log-linear model lies and how it stretches, so that a sampler can start there."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from hiddenpop._typing import Bools, Floats
from hiddenpop.bayes.cells_design import CellsDesign

__all__ = ["Mode", "Whitening", "information_scale", "posterior_mode", "whitening"]


MOST_STEPS, MOST_HALVINGS = 200, 40
DECREMENT = 1e-6
SMALLEST_EIGENVALUE = 1e-13
"""Of a matrix with unit diagonal: below lies rounding. A direction cut off here is stretched too little, no more."""

CLEARLY_ACTIVE = 5.0
"""Standard errors from no interaction; beyond, a coefficient cannot come near 0, where its scale would matter."""


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """Mode of the coefficients under normal priors, with the precision there.

    Attributes
    ----------
    theta : ndarray, shape (p,)
    precision : ndarray, shape (p, p)
        Fisher information plus that of the prior.
    """

    theta: Floats
    precision: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """``theta = centre + spread z + follow (loose scale z)``: coordinates z in which the posterior is nearly round.

    Attributes
    ----------
    centre : ndarray, shape (p,)
    spread, follow : ndarray, shape (p, p)
    loose : ndarray of float, shape (p,)
        1 for coefficients that are their prior scale times z, 0 for those whose z is a distance from the mode.
    """

    centre: Floats
    spread: Floats
    follow: Floats
    loose: Floats


def posterior_mode(design: CellsDesign, sd: Floats, columns: Bools | None = None) -> Mode:
    """Maximise the posterior of the coefficients by Fisher scoring, the total left out.

    Parameters
    ----------
    design : CellsDesign
    sd : ndarray, shape (p,)
        Standard deviations of independent normal priors around 0.
    columns : ndarray of bool, shape (p,), optional
        Coefficients that are free, the others 0.

    Returns
    -------
    Mode
        Cells with only an upper bound are left out: the mode is a place to start from.
    """
    free = np.ones(len(sd), dtype=np.bool_) if columns is None else columns
    theta = np.where(design.is_interaction | ~free, 0.0, -1.0)
    value = _log_posterior(design, theta, sd)
    for _ in range(MOST_STEPS):
        score, precision = _score(design, theta, sd)
        step = np.zeros(len(sd))
        step[free] = _solve(precision[np.ix_(free, free)], score[free])
        if score[free] @ step[free] < DECREMENT:
            break
        theta, value = _uphill(design, theta, step, value, sd)
    return Mode(theta, _score(design, theta, sd)[1])


def whitening(mode: Mode, is_interaction: Bools, *, shrinks: bool) -> Whitening:
    """Choose coordinates for a sampler.

    Parameters
    ----------
    mode : Mode
    is_interaction : ndarray of bool, shape (p,)
    shrinks : bool
        Whether the scale of interactions is unknown: those not clearly away from 0 are then multiples of their scale.

    Returns
    -------
    Whitening

    Notes
    -----
    With an unknown scale, a coefficient that the data leave near 0 and its scale form a funnel, which no step size
    fits; as a multiple of the scale it does not. A coefficient far from 0 is better taken by itself. All other
    coefficients are taken given these, as a regression on them.
    """
    loose = _near_zero(mode) & is_interaction if shrinks else np.zeros_like(is_interaction)
    tight = ~loose
    size = len(loose)
    spread, follow = np.zeros((size, size)), np.zeros((size, size))
    spread[np.ix_(tight, tight)] = _root_of_inverse(mode.precision[np.ix_(tight, tight)])
    follow[loose, loose] = 1.0
    if loose.any():
        slope = _solve(mode.precision[np.ix_(tight, tight)], mode.precision[np.ix_(tight, loose)])
        follow[np.ix_(tight, loose)] = -slope
    centre = np.where(tight, mode.theta - follow @ np.where(loose, mode.theta, 0.0), 0.0)
    return Whitening(centre, spread, follow, loose.astype(np.float64))


def information_scale(design: CellsDesign, main_sd: float) -> float:
    """Give the typical standard error of one interaction added to independence.

    Parameters
    ----------
    design : CellsDesign
    main_sd : float
        Prior standard deviation of main effects.

    Returns
    -------
    float
        Median over the interactions, on the scale of log odds ratios; 1 when there are none.
    """
    inner = design.is_interaction
    if not inner.any():
        return 1.0
    wide = np.full(len(inner), main_sd)
    precision = posterior_mode(design, wide, ~inner).precision - np.diag(np.where(inner, wide**-2, 0.0))
    cross = precision[np.ix_(~inner, inner)]
    left = np.diag(precision)[inner] - (cross * _solve(precision[np.ix_(~inner, ~inner)], cross)).sum(axis=0)
    return float(np.median(1.0 / np.sqrt(np.maximum(left, SMALLEST_EIGENVALUE))))


# --- steps ------------------------------------------------------------------------------------------------------------


def _log_posterior(design: CellsDesign, theta: Floats, sd: Floats) -> float:
    rows = design.log_rows(theta)[: design.n_certain]
    log_share = rows - logsumexp(rows)
    return float(design.counts @ log_share - 0.5 * ((theta / sd) ** 2).sum())


def _score(design: CellsDesign, theta: Floats, sd: Floats) -> tuple[Floats, Floats]:
    """Gradient, and Fisher information with that of the prior."""
    eta = design.columns @ theta
    members = design.members[: design.n_certain]
    logs = np.where(design.absent[: design.n_certain], -np.inf, eta[members])
    rows = logsumexp(logs, axis=1)
    within = np.exp(logs - rows[:, None])
    mean = np.einsum("rm,rmp->rp", within, design.columns[members])
    share = np.exp(rows - logsumexp(rows))
    total = design.counts.sum()
    centred = mean - share @ mean
    score = centred.T @ (design.counts - total * share) - theta / sd**2
    return score, total * (centred.T * share) @ centred + np.diag(sd**-2)


def _uphill(
    design: CellsDesign, theta: Floats, step: Floats, value: float, sd: Floats
) -> tuple[Floats, float]:
    """Take the longest halving of a step that does not go down by more than rounding."""
    least = value - 1e-13 * abs(value)
    for halving in range(MOST_HALVINGS):
        tried = theta + step / 2.0**halving
        reached = _log_posterior(design, tried, sd)
        if reached >= least:
            return tried, reached
    return theta, value


def _near_zero(mode: Mode) -> Bools:
    root = _root_of_inverse(mode.precision)
    return np.asarray(np.abs(mode.theta) < CLEARLY_ACTIVE * np.sqrt((root**2).sum(axis=1)))


def _solve(matrix: Floats, right: Floats) -> Floats:
    root = _root_of_inverse(matrix)
    return np.asarray(root @ (root.T @ right))


def _root_of_inverse(matrix: Floats) -> Floats:
    """Give a square root R of the inverse of a positive matrix, ``R R' = inverse``, with rounding kept out."""
    scale = 1.0 / np.sqrt(np.diag(matrix))
    values, vectors = np.linalg.eigh(matrix * scale * scale[:, None])
    return np.asarray(scale[:, None] * vectors / np.sqrt(np.maximum(values, SMALLEST_EIGENVALUE)))
