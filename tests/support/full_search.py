"""The slow route to the best models: fit the whole space, judge every face that matters by linear programming."""

from functools import cache

import numpy as np

from hiddenpop.histories import bit_positions
from hiddenpop.kernels.poisson.faces import face_of_model
from hiddenpop.kernels.poisson.lattice import fit_batch
from hiddenpop.kernels.poisson.model_fit import fit_model
from hiddenpop.kernels.search.best_models import TIE, penalties
from hiddenpop.model import enumerate_models


@cache
def space(n_lists, max_order=None):
    """Every hierarchical model up to an order, the saturated one excepted."""
    order = n_lists - 1 if max_order is None else max_order
    return np.concatenate(list(enumerate_models(n_lists, max_order=order)))


def terms_array(term_set):
    return np.array([*bit_positions(int(term_set))[1:], 0], dtype=np.int64)


class FullSearch:
    """All models of a space fitted to one table, in canonical order; faces are found when asked for."""

    def __init__(self, counts, n_lists, criterion="bic", max_order=None):
        self.counts, self.n_lists = np.asarray(counts, dtype=float), n_lists
        sets = space(n_lists, max_order)
        fit = fit_batch(self.counts, sets, n_lists)
        deviance, n0 = fit.deviance.copy(), fit.n0.copy()
        for row in np.flatnonzero(~fit.converged):
            exact = fit_model(self.counts, terms_array(sets[row]), n_lists)
            if exact.converged:
                deviance[row], n0[row] = exact.deviance, exact.n0
        values = deviance + penalties(criterion, len(counts), self.counts[1:].sum())[fit.n_parameters]
        steps = np.round((values - values.min()) / TIE) if np.isfinite(values.min()) else values
        rows = np.lexsort((sets, fit.n_parameters, steps))
        self.term_sets, self.values = sets[rows], values[rows]
        self.n0, self.n_parameters = n0[rows], fit.n_parameters[rows]
        self._admitted = {}

    def admits(self, row, exists):
        """Whether a model may be chosen, by the linear programmes of its face alone."""
        if row not in self._admitted:
            face = face_of_model(self.counts, terms_array(self.term_sets[row]), self.n_lists)
            self._admitted[row] = face.status == "ok", face.exists
        return self._admitted[row][int(exists)]

    def best(self, exists):
        """Position of the best admissible model with a finite criterion, None where there is none."""
        for row in range(len(self.values)):
            if not np.isfinite(self.values[row]):
                return None
            if self.admits(row, exists):
                return self._smallest_tie(row, exists)
        return None

    def _smallest_tie(self, row, exists):
        """Among admissible models equal to the best but for rounding: the smaller, then the earlier."""
        tied = [r for r in range(row, len(self.values)) if self.values[r] <= self.values[row] + TIE / 2]
        tied = [r for r in tied if self.admits(r, exists)]
        return min(tied, key=lambda r: (self.n_parameters[r], self.term_sets[r]))

    def within(self, window, exists):
        """Term sets of every model within a distance of the best admissible one, with whether it is admissible."""
        limit = self.values[self.best(exists)] + window
        return {
            int(self.term_sets[row]): self.admits(row, exists)
            for row in np.flatnonzero(self.values <= limit + TIE)
        }
