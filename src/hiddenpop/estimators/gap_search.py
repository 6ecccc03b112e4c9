"""Stepwise search on tables with gaps in coverage: every candidate is fitted, since what is added up depends on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from hiddenpop.estimators.covariate_design import CovariateDesign
from hiddenpop.estimators.covariate_gaps import ModelCells, model_cells
from hiddenpop.histories import bit_positions
from hiddenpop.kernels.hidden_cells import HiddenFit, HiddenRefits
from hiddenpop.kernels.stepwise import TIE, Step
from hiddenpop.kernels.summed_cells import SummedFit

__all__ = ["FittedModel", "GapSearch"]

Terms = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A model of the search with its fit.

    Attributes
    ----------
    terms : tuple of int
    cells : ModelCells
    fit : HiddenFit or SummedFit
    n_parameters : int
    """

    terms: Terms
    cells: ModelCells
    fit: HiddenFit | SummedFit
    n_parameters: int

    def value(self, penalty: float) -> float:
        """Give the deviance and a penalty a parameter."""
        return self.fit.deviance + penalty * self.n_parameters

    def outcome(self) -> HiddenRefits:
        """Give the fit as that of one table among many."""
        status = self.fit.status if self.fit.converged else "not_converged"
        return HiddenRefits(
            self.fit.hidden_means[None], np.array([self.fit.deviance]), np.array([status], dtype="<U14")
        )


@dataclass(frozen=True, slots=True, eq=False)
class GapSearch:
    """Follows the best step until none lowers the criterion, as `hiddenpop.kernels.stepwise` does.

    Attributes
    ----------
    design : CovariateDesign
    minimal : frozenset of int
        Terms that stay.
    maximal : tuple of int
        All terms, in the order in which ties are decided.
    known : dict
        Models already fitted.
    """

    design: CovariateDesign
    minimal: frozenset[int]
    maximal: Terms
    known: dict[Terms, FittedModel] = field(default_factory=dict)

    def path(self, penalties: Sequence[float]) -> list[Step]:
        """Walk from the minimal model: under the first penalty terms are added and dropped, then only added."""
        model = self.fitted(tuple(term for term in self.maximal if term in self.minimal))
        steps = [_step(model, "", 0, 0.0, 1)]
        for stage, penalty in enumerate(penalties):
            while (found := self._best(model, penalty, may_drop=stage == 0)) is not None:
                term, model, tried = found
                change = "+" if term in model.terms else "-"
                steps.append(_step(model, change, term, penalty, tried))
        return steps

    def fitted(self, terms: Terms) -> FittedModel:
        """Fit a model, once."""
        if terms not in self.known:
            cells = model_cells(self.design, terms)
            fit = cells.fit(self.design.counts)
            self.known[terms] = FittedModel(terms, cells, fit, cells.n_parameters(fit))
        return self.known[terms]

    def _best(
        self, model: FittedModel, penalty: float, *, may_drop: bool
    ) -> tuple[int, FittedModel, int] | None:
        """Find the best model one term away, if it lowers the criterion; the first one of a tie."""
        best, tried = None, 0
        lowest = model.value(penalty) - 2.0 * TIE
        for term in self._moves(set(model.terms), may_drop=may_drop):
            inside = set(model.terms) ^ {term}
            candidate = self.fitted(tuple(t for t in self.maximal if t in inside))
            tried += 1
            if candidate.n_parameters != model.n_parameters and candidate.value(penalty) < lowest:
                best, lowest = (term, candidate), candidate.value(penalty) - TIE
        return None if best is None else (*best, tried)

    def _moves(self, inside: set[int], *, may_drop: bool) -> Iterator[int]:
        """Yield terms outside the minimal model that are part of no other, and terms whose parts are all in."""
        for term in self.maximal if may_drop else ():
            held = any(other != term and other & term == term for other in inside)
            if term in inside and term not in self.minimal and not held:
                yield term
        for term in self.maximal:
            parts = {term & ~(1 << i) for i in bit_positions(term)} - {0}
            if term not in inside and parts <= inside:
                yield term


def _step(model: FittedModel, change: str, term: int, penalty: float, n_fitted: int) -> Step:
    columns = np.arange(len(model.fit.coefficients))
    return Step(
        change,
        term,
        model.terms,
        model.fit.deviance,
        model.n_parameters,
        penalty,
        columns,
        model.fit.coefficients,
        n_fitted,
    )
