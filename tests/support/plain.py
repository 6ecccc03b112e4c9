"""Plain floating-point routes: dense designs, statsmodels, and weighted least squares by QR."""

import warnings

import numpy as np
import statsmodels.api as sm

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


def statsmodels_fit(X, y):
    """Poisson GLM by statsmodels' own IRLS, run to the end of double precision."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # saturated fits warn of perfect prediction and of zero degrees of freedom
        return sm.GLM(y, X, family=sm.families.Poisson()).fit(maxiter=200, tol=1e-13)


def face_columns(counts, terms):
    """Cells of the exact face and a full-rank choice of columns that keeps the intercept (last) if it can."""
    cells = exact_face(counts, terms)
    margins = np.array([sum(counts[w] for w in cells if w & int(t) == int(t)) for t in terms])
    live = np.asarray(terms)[(margins > 0)]
    return cells, live[exact_pivots(cells, live)]


def statsmodels_dark_figure(counts, terms):
    """Dark figure and deviance by statsmodels on the exact face, for a model whose status is ok."""
    cells, columns = face_columns(counts, terms)
    fit = statsmodels_fit(design(cells, columns), np.asarray(counts)[cells])
    return float(np.exp(fit.params[-1])), float(fit.deviance)


def qr_fit(X, y, iterations=200, tolerance=1e-14):
    """Poisson maximum likelihood by iterated weighted least squares with a minimum-norm solution at each step."""
    eta = np.log(y + 0.1)
    means = np.exp(eta)
    for _ in range(iterations):
        root = np.sqrt(means)
        working = root * (eta + (y - means) / means)
        coefficients = np.linalg.lstsq(X * root[:, None], working, rcond=1e-13)[0]
        moved = X @ coefficients
        change = np.max(np.abs(np.exp(moved) - means) / (np.exp(moved) + means))
        eta, means = moved, np.exp(moved)
        if change < tolerance:
            break
    return coefficients, means


def perturbed_dark_figure(counts, terms, epsilon):
    """Dark figure when every empty observable cell holds `epsilon` persons: a fit that always has a maximum."""
    cells = np.arange(1, len(counts))
    y = np.asarray(counts, dtype=float)[cells]
    coefficients, _ = qr_fit(design(cells, terms), np.where(y > 0, y, epsilon))
    return float(np.exp(coefficients[-1]))
