"""The same estimate on many tables: one model, or the best of a short list of models, compiled."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hiddenpop._typing import Bools, Floats, Ints, Words
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.best_models import TIE, penalties
from hiddenpop.kernels.bound import DOUBTFUL, INADMISSIBLE, judge
from hiddenpop.kernels.compiled import njit
from hiddenpop.kernels.faces import face_of_model
from hiddenpop.kernels.lattice import _fit_terms, fit_one, offset_or_zeros, superset_sums
from hiddenpop.kernels.model_fit import NUMBER_BY_STATUS
from hiddenpop.kernels.term_sets import list_terms, to_words

__all__ = ["Refits", "best_among", "same_model"]


@dataclass(frozen=True, slots=True)
class Refits:
    """Dark figures of many tables.

    Attributes
    ----------
    n0 : ndarray of float
        0 at the boundary, inf where it is unbounded, nan where it is not identified or no model may be chosen.
    chosen : ndarray of int
        Position of the model, -1 where none may be chosen.
    """

    n0: Floats
    chosen: Ints


@njit
def _best_of_list(
    counts: Floats,
    margins: Floats,
    use: Bools,
    models: Words,
    n_lists: int,
    offset: Floats,
    penalty: Floats,
    exists: bool,
) -> tuple[int, int, float]:
    """Position of the best admissible model, what `judge` says of it, and its dark figure; -1 where there is none."""
    terms = np.empty(counts.shape[0], dtype=np.int64)
    best, chosen, its_code, n0 = np.inf, -1, INADMISSIBLE, np.nan
    for m in range(models.shape[0]):
        p = list_terms(models[m], counts.shape[0], terms)
        parameters, means, live, deviance, _, _, _ = _fit_terms(
            counts, margins, use, terms[:p], n_lists, offset
        )
        value = deviance + penalty[p]
        if value < best - TIE:
            code = judge(counts, margins, exists, terms[:p], means, live)
            if code != INADMISSIBLE:
                best, chosen, its_code = value, m, code
                n0 = np.exp(parameters[p - 1] + offset[0])
    return chosen, its_code, n0


def best_among(
    tables: Floats,
    term_sets: list[int],
    n_lists: int,
    *,
    criterion: str = "bic",
    exists: bool = False,
    offset: Floats | None = None,
) -> Refits:
    """Choose the best of a list of models for every table anew.

    Parameters
    ----------
    tables : ndarray, shape (b, 2**n_lists)
        Counts by history, one table a row; column 0 is not used.
    term_sets : list of int
        The models, the smaller ones first where they should win ties.
    n_lists : int
    criterion : {"bic", "aic", "aicc"}
    exists : bool
        Admit only models whose maximum exists.
    offset : ndarray, shape (2**n_lists,), optional
        Added to the log mean of each history; element 0 is that of the unobserved cell.

    Returns
    -------
    Refits
    """
    n0, chosen = np.full(len(tables), np.nan), np.full(len(tables), -1, dtype=np.int64)
    models = np.array([to_words(s, n_lists) for s in term_sets])
    offsets = offset_or_zeros(offset, tables.shape[1])
    use = _observable(tables.shape[1])
    for row, counts in enumerate(np.where(use, tables, 0.0)):
        penalty = penalties(criterion, len(counts), float(counts.sum()))
        chosen[row], code, n0[row] = _best_of_list(
            counts, superset_sums(counts, n_lists), use, models, n_lists, offsets, penalty, exists
        )
        if code == DOUBTFUL:
            chosen[row], n0[row] = _best_by_face(counts, term_sets, n_lists, criterion, exists, offsets)
    return Refits(n0, chosen)


def _best_by_face(
    counts: Floats, term_sets: list[int], n_lists: int, criterion: str, exists: bool, offset: Floats
) -> tuple[int, float]:
    """Choose for one table with every face found by linear programming."""
    penalty = penalties(criterion, len(counts), float(counts[1:].sum()))
    best, chosen, n0 = np.inf, -1, np.nan
    for position, term_set in enumerate(term_sets):
        fit = fit_one(counts, _observable(len(counts)), terms_array(term_set), n_lists, offset)
        value = fit.deviance + penalty[term_set.bit_count()]
        if value < best - TIE:
            face = face_of_model(counts, terms_array(term_set), n_lists)
            if face.exists if exists else face.status == "ok":
                best, chosen, n0 = value, position, float(fit.means[0])
    return chosen, n0


def same_model(tables: Floats, term_set: int, n_lists: int, offset: Floats | None = None) -> Floats:
    """Fit one model to every table.

    Parameters
    ----------
    tables : ndarray, shape (b, 2**n_lists)
    term_set : int
    n_lists : int
    offset : ndarray, shape (2**n_lists,), optional
        As for `best_among`.

    Returns
    -------
    ndarray of float, shape (b,)
        Dark figures: 0 at the boundary, inf where unbounded, nan where not identified.

    Examples
    --------
    >>> tables = np.array([[0.0, 30, 20, 10], [0.0, 30, 20, 0], [0.0, 30, 0, 10]])
    >>> [round(float(n0), 6) for n0 in same_model(tables, 0b111, 2)]
    [60.0, inf, 0.0]
    """
    n0 = best_among(tables, [term_set], n_lists, offset=offset).n0
    for row in np.flatnonzero(np.isnan(n0)):
        status = face_of_model(tables[row], terms_array(term_set), n_lists).status
        n0[row] = NUMBER_BY_STATUS[status]
    return n0


def terms_array(term_set: int) -> Ints:
    """List the terms of a coded model as the kernels want them, the intercept last."""
    return np.array([*bit_positions(term_set)[1:], 0], dtype=np.int64)


def _observable(n_cells: int) -> npt.NDArray[np.bool_]:
    use = np.ones(n_cells, dtype=bool)
    use[0] = False
    return use
