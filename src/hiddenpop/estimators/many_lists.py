"""More lists than a dense table can have: models whose lists fall apart into independent groups, on non-empty cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hiddenpop.estimators.criteria import criteria_of
from hiddenpop.estimators.misfit import misfit_remarks, pooled_pearson
from hiddenpop.estimators.outcome import (
    REASONS,
    IntervalMethod,
    limits_from_variance,
    noted_coefficients,
    residuals_of,
)
from hiddenpop.estimators.prepare import MAX_DENSE_LISTS, ListCells, list_cells, refuse_many_lists
from hiddenpop.histories import added_by, bit_positions, captures, decode
from hiddenpop.kernels.list_groups import GroupFit, fit_groups, profile_of_groups
from hiddenpop.kernels.model_fit import saturated_constant
from hiddenpop.kernels.profile import HiddenProfile, profile_limits
from hiddenpop.model import HierarchicalModel, term_label
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Estimate, EstimatorSpec, Interval
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["GroupedLists", "filled_cells", "goodness_of_filled", "grouped_lists"]

Floats = npt.NDArray[np.float64]
Groups = tuple[tuple[int, ...], ...]

LARGEST_GROUP = 8
"""A group of so many lists has 255 coefficients."""


@dataclass(frozen=True, slots=True)
class GroupedLists:
    """A model of independent groups of lists, fitted to the non-empty cells of a table.

    Attributes
    ----------
    data : ListCells
    groups : tuple of tuple of int
        Positions of the lists of each group.
    fit : GroupFit
    """

    data: ListCells
    groups: Groups
    fit: GroupFit

    @property
    def model(self) -> HierarchicalModel:
        """The model of the lists kept."""
        return HierarchicalModel(
            self.data.n_lists, tuple(sum(1 << i for i in group) for group in self.groups)
        )

    @property
    def label(self) -> dict[str, Any]:
        """The model in words, for the details of a log-linear estimate."""
        return {"model": str(self.model), "formula": self.model.to_formula(self.data.lists)}

    @property
    def number(self) -> float:
        """The population size; inf where unbounded."""
        return self.data.n_observed + self.fit.n0

    @property
    def profile(self) -> HiddenProfile:
        """What the data tell of every dark figure."""
        data = self.data
        return profile_of_groups(data.histories, data.counts, self.groups, self.fit)

    def estimate(
        self,
        spec: EstimatorSpec,
        table: CaptureTable,
        *,
        label: dict[str, Any],
        level: float,
        interval: IntervalMethod,
        rng: RNGLike,
        protected: tuple[str, ...],
    ) -> Estimate:
        """Make the estimate; `label` names the model in its details."""
        limits, found = self._interval(level, interval)
        details = self._details()
        return Estimate(
            n_hat=self.number,
            n_observed=self.data.n_observed,
            interval=limits,
            status=self.fit.status,
            reason=REASONS.get(self.fit.status, ""),
            estimator=spec,
            table=table.summary,
            diagnostics=(*misfit_remarks(details), *self.data.diagnostics),
            provenance=make_provenance(table.summary, rng),
            details={**label, **details, **found},
            protected=protected if self.data.has_small else (),
        )

    def _interval(self, level: float, method: IntervalMethod) -> tuple[Interval, dict[str, Any]]:
        n, fit, known = self.data.n_observed, self.fit, "model taken as known"
        if fit.status == "ok" and method != "profile":
            low, high = limits_from_variance(
                fit.n0, fit.n0_standard_error, fit.log_n0_variance, level, method
            )
            name = {"lognormal": "log-normal", "wald": "Wald on the log dark figure"}[method]
            return Interval(n + low, n + high, level, f"{name}, {known}"), {}
        limits = profile_limits(self.profile, level)
        fallback = "" if method == "profile" else f" ({method} needs a finite dark figure)"
        found = {"profile_maximum": limits.maximiser, "profile_reason": limits.reason}
        return Interval(limits.low, limits.high, level, f"{limits.method}, {known}{fallback}"), found

    def _details(self) -> dict[str, Any]:
        data, fit = self.data, self.fit
        minus_twice = np.array([fit.deviance + saturated_constant(np.append(0.0, data.counts))])
        criteria = criteria_of(minus_twice, [len(fit.terms)], data.n_observed)
        return {
            "dropped_lists": list(data.dropped),
            "coefficients": self._coefficients(),
            "n0_standard_error": fit.n0_standard_error,
            "deviance": fit.deviance,
            "criteria": {name: float(value[0]) for name, value in criteria.items()},
            "goodness_of_fit": goodness_of_filled(data, fit.means, fit.deviance, fit.rank, fit.by_captures),
            "cells": filled_cells(data, fit.means),
        }

    def _coefficients(self) -> pd.DataFrame:
        data, fit = self.data, self.fit
        names = ["*".join(data.lists[i] for i in bit_positions(term)) or "intercept" for term in fit.terms]
        positions = [term_label(term, data.n_lists) for term in fit.terms]
        return noted_coefficients(names, positions, fit.coefficients, fit.standard_errors)


def filled_cells(data: ListCells, means: Floats) -> pd.DataFrame:
    """Table the non-empty cells; all others are observed 0 times and share what is left of the fitted persons."""
    bits = decode(data.histories, data.n_lists)
    return pd.DataFrame(
        {
            **dict(zip(data.lists, bits.T, strict=True)),
            "count": data.counts.astype(np.int64),
            "fitted": means,
            "residual": residuals_of(data.counts, means),
            "on_face": np.ones(len(means), dtype=np.bool_),
        }
    )


def goodness_of_filled(
    data: ListCells, means: Floats, deviance: float, rank: int, by_captures: Floats | None
) -> dict[str, Any]:
    """Give deviance and Pearson statistics on all cells from the non-empty ones, and a test whose law is known.

    Nearly all cells are empty, and which are not is the work of chance, so that neither they nor pools of them can be
    tested. The numbers of persons on 1, 2, ... lists can, against those that the model expects.
    """
    empty = max(float(data.counts.sum() - means.sum()), 0.0)
    result = {
        "deviance": deviance,
        "pearson": float((residuals_of(data.counts, means) ** 2).sum()) + empty,
        "df": 2**data.n_lists - 1 - rank,
        "p_deviance": None,
        "p_pearson": None,
    }
    if by_captures is None:
        return {**result, "p_captures": None, "p_method": "none: the model has no finite dark figure"}
    seen = added_by(captures(data.histories) - 1, data.counts, data.n_lists)
    test = pooled_pearson(seen, by_captures)
    method = f"Pearson X2 {test.pearson:,.1f} over persons by number of lists, on at most {test.df} df"
    return {**result, "p_captures": test.p_value, "p_method": method}


def grouped_lists(
    table: CaptureTable, estimator: str, model: HierarchicalModel, assumed: Sequence[object] = ()
) -> GroupedLists:
    """Fit a model to more lists than a dense table can have.

    Parameters
    ----------
    table : CaptureTable
    estimator : str
        Name for the messages.
    model : HierarchicalModel
        Of all lists of the table.
    assumed : sequence
        Fixed odds ratios and the like; none can be taken.

    Returns
    -------
    GroupedLists

    Raises
    ------
    CapabilityError
        If lists of the model are in more than one interaction, or something is assumed of lists.
    """
    data = list_cells(table, estimator=estimator)
    kept = model.restrict(data.kept)
    groups = tuple(bit_positions(generator) for generator in kept.generators)
    if assumed or sum(map(len, groups)) > data.n_lists or max(map(len, groups)) > LARGEST_GROUP:
        what = "odds_ratios and xi" if assumed else f"the model {model}"
        instead = (
            f"for {what} it needs a cell of every history; beyond {MAX_DENSE_LISTS} lists each list may be in one "
            f"interaction, of at most {LARGEST_GROUP} lists; "
        )
        refuse_many_lists(table, estimator, instead)
    return GroupedLists(data, groups, fit_groups(data.histories, data.counts, groups))
