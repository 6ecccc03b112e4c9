"""More lists than a dense table can have: models whose lists fall apart into independent groups, on non-empty cells."""

import functools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._typing import Floats
from hiddenpop.errors import CapabilityError
from hiddenpop.estimators.outcome import (
    REASONS,
    IntervalMethod,
    criteria_of,
    limits_from_variance,
    misfit_remarks,
    noted_coefficients,
    pooled_pearson,
    residuals_of,
)
from hiddenpop.estimators.prepare import (
    MAX_DENSE_LISTS,
    ListCells,
    OddsRatios,
    list_cells,
    merger_to_type,
    pair_of,
    refuse_unknown_lists,
    remarks,
    shifts_of,
)
from hiddenpop.histories import added_by, bit_positions, captures, decode, project, subset_order
from hiddenpop.kernels.poisson.list_groups import (
    GroupFit,
    ListGroup,
    fit_groups,
    free_group,
    profile_of_groups,
)
from hiddenpop.kernels.poisson.model_fit import saturated_constant
from hiddenpop.kernels.poisson.profile import HiddenProfile, profile_limits
from hiddenpop.model import HierarchicalModel, term_label
from hiddenpop.provenance import make_provenance
from hiddenpop.result import Estimate, EstimatorSpec, Interval, Status
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["GroupedLists", "filled_cells", "goodness_of_filled", "grouped_lists"]


MOST_COEFFICIENTS = 300
"""Of a group: sixteen lists with all pairs have 137, eight lists with all interactions 256."""


@dataclass(frozen=True, slots=True)
class GroupedLists:
    """A model of independent groups of lists, fitted to the non-empty cells of a table.

    Attributes
    ----------
    data : ListCells
    model : HierarchicalModel
        Of the lists kept.
    groups : tuple of ListGroup
    xi : float
        What divides the dark figure.
    fit : GroupFit
    """

    data: ListCells
    model: HierarchicalModel
    groups: tuple[ListGroup, ...]
    xi: float
    fit: GroupFit

    @property
    def label(self) -> dict[str, Any]:
        """The model in words, for the details of a log-linear estimate."""
        return {"model": str(self.model), "formula": self.model.to_formula(self.data.lists)}

    @property
    def number(self) -> float:
        """The population size; inf where unbounded, nan where there is none for another reason."""
        return self.data.n_observed + self.fit.n0 if self.fit.converged else math.nan

    @property
    def status(self) -> Status:
        """What became of the fit."""
        return self.fit.status if self.fit.converged else "not_converged"

    @property
    def profile(self) -> HiddenProfile | None:
        """What the data tell of every dark figure; None where the fit did not converge."""
        if not self.fit.converged:
            return None
        data = self.data
        return profile_of_groups(data.histories, data.counts, self.groups, self.fit, self.xi)

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
            status=self.status,
            reason=REASONS.get(self.status, ""),
            estimator=spec,
            table=table.summary,
            diagnostics=(*misfit_remarks(details), *self.data.diagnostics),
            provenance=make_provenance(table.summary, rng),
            details={**label, **details, **found},
            protected=protected if self.data.has_small else (),
        )

    def _interval(self, level: float, method: IntervalMethod) -> tuple[Interval, dict[str, Any]]:
        n, fit, known = self.data.n_observed, self.fit, "model taken as known"
        profile = self.profile
        if profile is None or fit.status == "not_identified":
            return Interval(n, math.inf, level, "none: from the number observed to infinity"), {}
        if fit.status == "ok" and method != "profile":
            low, high = limits_from_variance(
                fit.n0, fit.n0_standard_error, fit.log_n0_variance, level, method
            )
            name = {"lognormal": "log-normal", "wald": "Wald on the log dark figure"}[method]
            return Interval(n + low, n + high, level, f"{name}, {known}"), {}
        limits = profile_limits(profile, level)
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
        order = sorted(range(len(fit.terms) - 1), key=lambda at: subset_order(fit.terms[at]))
        order.append(len(fit.terms) - 1)
        terms = [fit.terms[at] for at in order]
        names = ["*".join(data.lists[i] for i in bit_positions(term)) or "intercept" for term in terms]
        positions = [term_label(term, data.n_lists) for term in terms]
        return noted_coefficients(names, positions, fit.coefficients[order], fit.standard_errors[order])


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
    table: CaptureTable,
    estimator: str,
    model: HierarchicalModel,
    odds_ratios: OddsRatios = (),
    xi: float = 1.0,
) -> GroupedLists:
    """Fit a model to more lists than a dense table can have.

    Parameters
    ----------
    table : CaptureTable
    estimator : str
        Name for the messages.
    model : HierarchicalModel
        Of all lists of the table.
    odds_ratios : tuple of (str, str, float)
        Fixed odds ratios of pairs of lists, which join the two as an interaction does.
    xi : float
        What the highest-order interaction is assumed to be.

    Returns
    -------
    GroupedLists

    Raises
    ------
    CapabilityError
        If more lists depend on each other than a dense table can have, or by too many interactions.
    UnknownNameError
        If an odds ratio is of a list that is not there.
    """
    data = list_cells(table, estimator=estimator)
    refuse_unknown_lists(table, odds_ratios)
    pairs = [pair_of(data.lists, first, second) for first, second, _ in odds_ratios]
    kept = model.restrict(data.kept)
    joined = _joined([*kept.generators, *filter(None, pairs)])
    _refuse_large(data, table, estimator, kept, joined)
    terms = [t for t in kept.terms if not any(pair and t & pair == pair for pair in pairs)]
    kept = HierarchicalModel(data.n_lists, tuple(terms[1:]))
    groups = tuple(_group(lists, terms, data.lists, odds_ratios) for lists in joined)
    told = (*data.diagnostics, *remarks(data.lists, odds_ratios, xi))
    fit = fit_groups(data.histories, data.counts, groups, xi)
    return GroupedLists(replace(data, diagnostics=told), kept, groups, xi, fit)


def _joined(sets: Sequence[int]) -> list[tuple[int, ...]]:
    """Put lists that some set holds together, or a chain of sets, in one group; groups in order of their first list.

    Examples
    --------
    >>> _joined([0b0011, 0b1010, 0b0100])
    [(0, 1, 3), (2,)]
    """
    groups: list[int] = []
    for lists in sets:
        touched = [group for group in groups if group & lists]
        groups = [group for group in groups if not group & lists]
        groups.append(functools.reduce(operator.or_, touched, lists))
    return sorted(bit_positions(group) for group in groups)


def _refuse_large(
    data: ListCells,
    table: CaptureTable,
    estimator: str,
    model: HierarchicalModel,
    joined: Sequence[tuple[int, ...]],
) -> None:
    """Refuse lists that depend on each other and are too many, and name two to merge or a term to leave out."""
    for lists in joined:
        if len(lists) > MAX_DENSE_LISTS:
            limit = f"at most {MAX_DENSE_LISTS} lists that depend on each other, directly or through others"
            there = f"in {table.name} {len(lists)} do"
        elif (n_terms := model.restrict(lists).n_parameters) > MOST_COEFFICIENTS:
            limit = f"at most {MOST_COEFFICIENTS} coefficients among lists that depend on each other"
            there = f"in {table.name} {len(lists)} have {n_terms:,}"
        else:
            continue
        names = [data.lists[i] for i in lists]
        within = sum(1 << i for i in lists)
        largest = max((g for g in model.generators if g & within), key=int.bit_count)
        term = "*".join(data.lists[i] for i in bit_positions(largest))
        or_term = (
            f", or leave an interaction out of the model, such as {term}" if largest.bit_count() > 1 else ""
        )
        raise CapabilityError(
            f"beyond {MAX_DENSE_LISTS} lists {estimator} works with {limit}, and {there}: {', '.join(names)}; merge "
            f"some of these, {merger_to_type(table.overlaps.loc[names, names])}{or_term}"
        )


def _group(
    lists: tuple[int, ...], terms: Sequence[int], names: Sequence[str], odds_ratios: OddsRatios
) -> ListGroup:
    """Write the terms inside a group over its own lists; those of a free group need not be listed."""
    within = sum(1 << i for i in lists)
    own = tuple(int(project([term], lists)[0]) for term in terms if term and term & within == term)
    if len(own) == (1 << len(lists)) - 1:
        return free_group(lists)
    local = tuple(names[i] for i in lists)
    return ListGroup(lists, own, shifts_of(np.arange(1 << len(lists)), local, odds_ratios))
