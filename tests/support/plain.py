"""Plain floating-point routes: dense designs, statsmodels, and weighted least squares by QR."""

import warnings

import numpy as np
import statsmodels.api as sm
from scipy.special import xlogy

from hiddenpop.model import HierarchicalModel

from .exact import exact_face, exact_pivots


def terms_of(model):
    """Terms with the intercept last, the order the kernels ask for."""
    return np.array([*model.terms[1:], 0], dtype=np.int64)


def model_of(text, n_lists):
    return HierarchicalModel.parse(text, n_lists=n_lists)


def dense_counts(table):
    counts = np.zeros(1 << len(table.lists))
    np.add.at(counts, table.histories, table.counts)
    return counts


def design(cells, terms):
    return np.array([[float(int(w) & int(t) == int(t)) for t in terms] for w in cells])


def statsmodels_fit(X, y, start=None):
    """Poisson GLM by statsmodels' own IRLS, run to the end of double precision."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # saturated fits warn of perfect prediction and of zero degrees of freedom
        model = sm.GLM(y, X, family=sm.families.Poisson())
        return model.fit(start_params=start, maxiter=200, tol=1e-13)


def statsmodels_maximum(X, y):
    """As `statsmodels_fit`; where its own start leads it astray, from the maximum of `least_squares_fit`."""
    try:
        fit = statsmodels_fit(X, y)
    except (ValueError, np.linalg.LinAlgError):
        fit = None
    if fit is None or not _solves_the_score_equations(X, y, fit.mu):
        start = np.zeros(X.shape[1])
        start[-1] = np.log(y.mean())
        fit = statsmodels_fit(X, y, least_squares_fit(X, y, start))
    assert _solves_the_score_equations(X, y, fit.mu)
    return fit


def _solves_the_score_equations(X, y, means):
    return bool(np.abs(X.T @ (means - y)).max() < 1e-7 * y.sum())


def face_columns(counts, terms):
    """Cells of the exact face and a full-rank choice of columns that keeps the intercept (last) if it can."""
    cells = exact_face(counts, terms)
    margins = np.array([sum(counts[w] for w in cells if w & int(t) == int(t)) for t in terms])
    live = np.asarray(terms)[(margins > 0)]
    return cells, live[exact_pivots(cells, live)]


def statsmodels_dark_figure(counts, terms):
    """Dark figure and deviance by statsmodels on the exact face, for a model whose status is ok."""
    cells, columns = face_columns(counts, terms)
    y = np.asarray(counts)[cells]
    fit = statsmodels_maximum(design(cells, columns), y)
    # Its own deviance bounds the ratios of counts to means away from 0, which costs digits on sparse tables.
    return float(np.exp(fit.params[-1])), float(2 * (xlogy(y, y / fit.mu) - (y - fit.mu)).sum())


LONGEST_STEP = 3.0


def least_squares_fit(X, y, coefficients):
    """Poisson maximum likelihood by damped Newton steps, each a minimum-norm least-squares problem."""
    eta = X @ coefficients
    likelihood = y @ eta - np.exp(eta).sum()
    for _ in range(300):
        root = np.exp(eta / 2)
        step = np.linalg.lstsq(X * root[:, None], y / root - root, rcond=1e-13)[0]
        step *= min(1.0, LONGEST_STEP / max(np.abs(X @ step).max(), 1e-300))
        while (ahead := y @ (eta + X @ step) - np.exp(eta + X @ step).sum()) < likelihood - 1e-9 * (
            1 + abs(likelihood)
        ):
            step /= 2
        coefficients, eta, likelihood = coefficients + step, eta + X @ step, ahead
        if np.abs(X @ step).max() < 1e-9:
            break
    return coefficients


def perturbed_dark_figure(counts, terms, epsilons):
    """Dark figures when every empty observable cell holds `epsilon` persons: fits that always have a maximum."""
    cells = np.arange(1, len(counts))
    y = np.asarray(counts, dtype=float)[cells]
    X = design(cells, terms)
    coefficients = np.zeros(len(terms))
    coefficients[-1] = np.log(y.mean())
    figures = []
    for epsilon in epsilons:
        coefficients = least_squares_fit(X, np.where(y > 0, y, epsilon), coefficients)
        figures.append(float(np.exp(coefficients[-1])))
    return figures
