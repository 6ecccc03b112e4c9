"""One hierarchical model on one table, to full precision: face, fit, and what can be said of the dark figure."""

import math
from dataclasses import dataclass

import numpy as np

from hiddenpop._typing import Floats, Ints
from hiddenpop.kernels.poisson.dense import fit_design
from hiddenpop.kernels.poisson.faces import Face, face_of_model, lattice_design
from hiddenpop.kernels.poisson.plain import (
    fit_one,
    independent_terms,
    live_part,
    offset_or_zeros,
    superset_sums,
)
from hiddenpop.kernels.poisson.profile import HiddenProfile, information_of, stirling_remainder

__all__ = ["ModelFit", "estimable", "fit_model", "hidden_profile", "saturated_constant"]


@dataclass(frozen=True, slots=True)
class ModelFit:
    """A fitted hierarchical log-linear model.

    Attributes
    ----------
    face : Face
        Its `status` says whether there is a number at all.
    n0 : float
        The dark figure: finite when the status is ``"ok"``, 0 at the ``"boundary"``, inf when ``"unbounded"``, nan
        when ``"not_identified"``.
    log_n0_variance : float
        Variance of the intercept, from a fit of full rank on the face; nan unless the status is ``"ok"``.
    deviance : float
    means : ndarray, shape (2**K,)
        Fitted means of the observable cells, 0 off the face; element 0 is `n0`.
    coefficients, standard_errors : ndarray, shape (p,)
        One per nominal term, the intercept last: ``-inf`` where the margin is empty, nan where the face does not
        determine it.
    converged : bool
    """

    face: Face
    n0: float
    log_n0_variance: float
    deviance: float
    means: Floats
    coefficients: Floats
    standard_errors: Floats
    converged: bool

    @property
    def n0_standard_error(self) -> float:
        """Standard error of the dark figure, ``sqrt(n0 + n0^2 var)``: Poisson variation and estimation error."""
        return math.sqrt(self.n0 + self.n0**2 * self.log_n0_variance)

    @property
    def information(self) -> float:
        """How many persons a count would have that tells as much of the dark figure; 0 where it has no number."""
        return information_of(self.log_n0_variance)


NUMBER_BY_STATUS = {"boundary": 0.0, "unbounded": math.inf, "not_identified": math.nan}


def fit_model(counts: Floats, terms: Ints, n_lists: int, offset: Floats | None = None) -> ModelFit:
    """Fit a model by Poisson maximum likelihood on the observable cells.

    Parameters
    ----------
    counts : ndarray, shape (2**n_lists,)
        Counts by history; element 0 is not used.
    terms : ndarray of int64, shape (p,)
        All terms, the intercept (0) last.
    n_lists : int
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history; element 0 is that of the unobserved cell.

    Returns
    -------
    ModelFit

    Notes
    -----
    The fit is made on the face of the maximum with a subset of columns of full rank, so it converges quadratically
    even when other parameters lie at infinity. With the intercept free it equals the conditional multinomial fit
    (Sanathanan 1972).

    References
    ----------
    Sanathanan, L. (1972). Estimating the size of a multinomial population. Annals of Mathematical Statistics 43(1),
    142-152. doi:10.1214/aoms/1177692709

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_model(np.array([0.0, 30.0, 20.0, 10.0]), np.array([1, 2, 0]), n_lists=2)
    >>> fit.face.status, round(fit.n0, 6)
    ('ok', 60.0)
    """
    face = face_of_model(counts, terms, n_lists)
    cells = np.flatnonzero(face.cells)
    kept = face.terms[independent_terms(cells, face.terms)]
    offset = offset_or_zeros(offset, len(counts))
    fit = fit_design(lattice_design(cells, kept), counts[cells].astype(np.float64), offset[cells])
    ok = face.status == "ok"
    n0 = math.exp(fit.coefficients[-1] + offset[0]) if ok else NUMBER_BY_STATUS[face.status]
    means = np.zeros(len(counts))
    means[cells] = fit.means
    means[0] = n0
    coefficients, errors = _by_term(
        terms, face, cells, kept, fit.coefficients, np.sqrt(np.diag(fit.covariance))
    )
    variance = float(fit.covariance[-1, -1]) if ok else math.nan
    return ModelFit(face, n0, variance, fit.deviance, means, coefficients, errors, fit.converged)


def _by_term(
    terms: Ints, face: Face, cells: Ints, kept: Ints, values: Floats, errors: Floats
) -> tuple[Floats, Floats]:
    """Spread the fitted coefficients over the nominal terms, only where the face determines them."""
    coefficients = np.full(len(terms), np.nan)
    standard_errors = np.full(len(terms), np.nan)
    coefficients[~np.isin(terms, face.terms)] = -np.inf
    full = len(kept) == len(face.terms)
    for position, term in enumerate(kept):
        if full or estimable(term, cells, face.terms):
            at = terms == term
            coefficients[at], standard_errors[at] = values[position], errors[position]
    return coefficients, standard_errors


def estimable(term: int, cells: Ints, terms: Ints) -> bool:
    """Whether the cells fix the coefficient of `term`: its column is independent of all the others."""
    term_last = np.append(terms[terms != term], term)
    return bool(independent_terms(cells, term_last)[-1])


def hidden_profile(
    counts: Floats, terms: Ints, n_lists: int, fit: ModelFit, offset: Floats | None = None
) -> HiddenProfile:
    """Say what the data tell of every dark figure under a hierarchical model taken as known.

    Parameters
    ----------
    counts, terms, n_lists, offset
        As for `fit_model`.
    fit : ModelFit
        What `fit_model` gave for them.

    Returns
    -------
    HiddenProfile

    Notes
    -----
    The unobserved cell enters as a positive cell, so that its face is that of the enlarged table. Newton's method
    approaches the maximum on that face to within 1e-11 of the deviance.
    """
    everything = np.ones(len(counts), dtype=bool)
    supposed = counts.astype(np.float64)

    def deviance_at(n0: float) -> float:
        supposed[0] = n0
        quick = fit_one(supposed, everything, terms, n_lists, offset)
        return quick.deviance if quick.converged else _deviance_exactly(supposed, terms, n_lists, offset)

    return HiddenProfile(float(counts[1:].sum()), fit.n0, fit.information, deviance_at)


def _deviance_exactly(supposed: Floats, terms: Ints, n_lists: int, offset: Floats | None) -> float:
    """Deviance with a supposed dark figure where the lattice kernel ran out of steps or digits."""
    active, live = live_part(superset_sums(supposed, n_lists), terms)
    cells, kept = np.flatnonzero(live), terms[active]
    kept = kept[independent_terms(cells, kept)]
    offsets = offset_or_zeros(offset, len(supposed))
    return fit_design(lattice_design(cells, kept), supposed[cells], offsets[cells]).deviance


def saturated_constant(counts: Floats) -> float:
    """Minus twice the log-likelihood of the saturated model on the observable cells: -2 log L = deviance + this.

    Examples
    --------
    >>> import numpy as np
    >>> round(saturated_constant(np.array([0.0, 1.0, 2.0])), 6)
    4.613706
    """
    return -2.0 * sum(stirling_remainder(float(count)) for count in counts[1:])
