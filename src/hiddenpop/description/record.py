"""`TableDescription`: what a table holds, what models make of it, and the verdict."""

import html
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hiddenpop._front_door import front_door
from hiddenpop._text import screen_text
from hiddenpop.description.rules import (
    VERDICTS,
    Figures,
    Finding,
    Verdict,
    findings_of,
    grade_of,
    sentence_of,
    sentence_of_counts,
)
from hiddenpop.description.tally import (
    FittedModels,
    Spread,
    count_by_order,
    fit_closed_forms,
    fit_space,
    spread_of,
)
from hiddenpop.description.text import text_of
from hiddenpop.description.withhold import Key, figures_but_observed, withheld_figures
from hiddenpop.disclosure import THRESHOLD
from hiddenpop.estimators.many_lists import goodness_of_filled
from hiddenpop.estimators.outcome import misfit_p_value, model_details, model_interval, terms_of
from hiddenpop.estimators.prepare import MAX_DENSE_LISTS, ListCells, dense_counts, list_cells, list_relations
from hiddenpop.histories import captures, decode
from hiddenpop.kernels.poisson.list_groups import fit_groups, free_group
from hiddenpop.kernels.poisson.model_fit import fit_model
from hiddenpop.model import HierarchicalModel
from hiddenpop.provenance import make_provenance
from hiddenpop.result import SCHEMA_VERSION, Diagnostic, protect_remark
from hiddenpop.serial import to_jsonable
from hiddenpop.sources import TableLike, as_table
from hiddenpop.table import CaptureTable, TableSummary

__all__ = ["TableDescription", "closing_sentence", "describe"]

FEW_MODELS_LISTS = 4
"""Four lists have 113 models, fitted in a hundredth of a second; five have 6,893."""

LARGEST_JSON = 2**53
"""Largest whole number that every reader of JSON takes as it is."""

Z_95 = 1.96

MARK = f"<{THRESHOLD}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class TableDescription:
    """What a capture table can carry.

    Attributes
    ----------
    table : TableSummary
    population : str
    n_observed : int
        Persons on at least one list.
    lists : DataFrame
        One row a list that caught somebody: ``list``, ``persons`` on it, and those ``only`` on it.
    overlaps : DataFrame, shape (t, t)
        Persons on each pair of these lists; totals on the diagonal.
    capture_frequencies : tuple of int
        Persons on exactly 1, ..., t lists.
    models : DataFrame
        One row an order: ``order``, ``n_models`` tried, and how many of each status. Empty without two lists.
    model_space : str
        Which models were tried, in words.
    spreads : tuple of Spread
        How far the models close to the best by BIC and by AIC disagree; empty when none has a finite answer.
    figures : Figures
        What the rules looked at.
    notes : tuple of Diagnostic
        Lists left out, strata added up.
    withheld : frozenset
        Figures that must not leave when the table is not public.
    """

    table: TableSummary
    population: str
    n_observed: int
    lists: pd.DataFrame
    overlaps: pd.DataFrame
    capture_frequencies: tuple[int, ...]
    models: pd.DataFrame
    model_space: str
    spreads: tuple[Spread, ...]
    figures: Figures
    notes: tuple[Diagnostic, ...]
    withheld: frozenset[Key]

    @property
    def n_twice(self) -> int:
        """Persons on two or more lists."""
        return self.figures.n_twice

    @property
    def share_seen_once(self) -> float:
        """Share of the observed persons who are on one list only."""
        return self.capture_frequencies[0] / self.n_observed

    @property
    def sample_coverage(self) -> float:
        """Mean over the lists of the share of their persons whom another list knows too."""
        return self.figures.coverage

    @property
    def empty_overlaps(self) -> tuple[tuple[str, str], ...]:
        """Pairs of lists with nobody in common."""
        return tuple(pair for pair, persons in _pairs(self.overlaps) if persons == 0)

    @property
    def n_overlaps(self) -> int:
        """Number of pairs of lists."""
        return math.comb(len(self.lists), 2)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The rules that fired."""
        return findings_of(self.figures)

    @property
    def grade(self) -> int:
        """From 1, which carries an estimate, to 5, which does not."""
        return grade_of(self.figures, self.findings)

    @property
    def verdict(self) -> Verdict:
        """The grade in words: whether the table "carries" to "does not carry" an estimate."""
        return VERDICTS[self.grade - 1]

    @property
    def sentence(self) -> str:
        """The verdict with every rule that fired, in one sentence."""
        return sentence_of(self.table.name, self.figures)

    def protected_sentence(self, *, show_small_counts: bool = False) -> str:
        """Write the sentence as it may leave: without figures that must be withheld when the table is not public."""
        hide = not (self.table.public or show_small_counts)
        return sentence_of(self.table.name, self.figures, _veiled(self.withheld) if hide else frozenset())

    def to_frame(self) -> pd.DataFrame:
        """Give the main figures as one tidy row, so that descriptions of several tables stack."""
        row: dict[str, Any] = {
            "table": self.table.name,
            "n_observed": self.n_observed,
            "n_lists": len(self.lists),
            "n_twice": self.n_twice,
            "share_seen_once": self.share_seen_once,
            "sample_coverage": self.sample_coverage,
            "n_overlaps": self.n_overlaps,
            "n_empty_overlaps": len(self.empty_overlaps),
            "n_models": self.figures.n_models,
            "n_finite": self.figures.n_finite,
        }
        for criterion in ("bic", "aic"):
            found = next((spread for spread in self.spreads if spread.criterion == criterion), None)
            for field in ("low", "best", "high", "ratio"):
                row[f"{criterion}_{field}"] = getattr(found, field, math.nan)
        return pd.DataFrame(
            [{**row, "grade": self.grade, "verdict": self.verdict, "sentence": self.sentence}]
        )

    def to_dict(self, *, show_small_counts: bool = False) -> dict[str, Any]:
        """Give the description as plain values for JSON.

        Parameters
        ----------
        show_small_counts : bool
            Of a table that is not public, counts from 1 to 9 and the figures that would give them away are written as
            ``"<10"``. True lifts that, and the provenance says so.

        Returns
        -------
        dict
            Numbers that are not finite are None.
        """
        hide = not (self.table.public or show_small_counts)
        keys = self.withheld if hide else frozenset()
        provenance = {**make_provenance(self.table, None), "small_counts_shown": not hide}
        return {
            "schema_version": SCHEMA_VERSION,
            "table": to_jsonable(self.table),
            "population": self.population,
            **_counts_for_json(self, keys),
            "models": to_jsonable(self.models),
            "model_space": self.model_space,
            "models_judged": self.figures.judged,
            "models_looked_at": self.figures.n_looked_at,
            "models_in_space": self.figures.n_space if self.figures.n_space <= LARGEST_JSON else None,
            "spreads": [_spread_for_json(s, hide="spread_ratio" in _veiled(keys)) for s in self.spreads],
            "grade": self.grade,
            "verdict": self.verdict,
            "sentence": sentence_of(self.table.name, self.figures, _veiled(keys)),
            "findings": to_jsonable(findings_of(self.figures, _veiled(keys))),
            "notes": to_jsonable([protect_remark(note) for note in self.notes] if hide else self.notes),
            "provenance": to_jsonable(provenance),
        }

    def text(self) -> str:
        """Write the description out for a screen of 80 columns."""
        return screen_text(text_of(self))

    def __repr__(self) -> str:
        return screen_text(f"<TableDescription {self.sentence}>")

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text())}</pre>"


@front_door
def describe(table: TableLike) -> TableDescription:
    """Answer a reviewer's first question: whether this table can carry an estimate at all.

    Parameters
    ----------
    table : CaptureTable, str, path, DataFrame or mapping
        Or what `hiddenpop.sources.as_table` makes one of. Strata are added up and empty lists left out, each with a
        warning.

    Returns
    -------
    TableDescription

    Raises
    ------
    CapabilityError
        If a list does not operate in some stratum, or a count is only an upper bound.

    Warns
    -----
    EmptyListWarning, CollapsedStrataWarning

    Notes
    -----
    Sample coverage is ``1 - mean(S_j / n_j)`` over the lists, with `S_j` of the `n_j` persons of list j on no other
    list (Chao & Tsay 1998). Up to five lists every hierarchical model is tried, for six the 32,768 of two-list terms.
    For more lists an exact search over those of two-list terms finds all that are close to the best; where it does not
    close within some thousand fits the models are not judged, which the sentence says. Nor are they with more than 16
    lists, of which only independence and its models with one pair in an interaction are fitted: the verdict is then one
    on the counts alone. The rules of the verdict are `RULES`.

    References
    ----------
    Chao, A. and Tsay, P. K. (1998). A sample coverage approach to multiple-system estimation with application to
    census undercount. Journal of the American Statistical Association 93(441), 283-293.
    doi:10.1080/01621459.1998.10474109

    Examples
    --------
    >>> import hiddenpop as hp
    >>> description = describe(hp.datasets.load("artificial_3"))
    >>> description.verdict, description.n_twice, len(description.empty_overlaps)
    ('does not carry', 6, 2)
    """
    table = as_table(table)
    data = list_cells(table, estimator="describe", minimum_lists=1)
    models = _fitted(data) if data.n_lists > 1 else None
    spreads = _spreads(models, data.n_observed)
    lists, overlaps, frequencies = _what_lists_share(data)
    return TableDescription(
        table=table.summary,
        population=table.population,
        n_observed=data.n_observed,
        lists=lists,
        overlaps=overlaps,
        capture_frequencies=frequencies,
        models=count_by_order(models) if models else pd.DataFrame(),
        model_space=models.space if models else "none: one list alone says nothing of those it missed",
        spreads=spreads,
        figures=_figures(data, lists, overlaps, frequencies, models, spreads),
        notes=data.diagnostics,
        withheld=frozenset() if table.public else _withheld(data),
    )


def closing_sentence(table: CaptureTable) -> str:
    """Judge a table in the sentence that closes an answer by one estimator, without fitting thousands of models for it.

    Parameters
    ----------
    table : CaptureTable

    Returns
    -------
    str
        The sentence of `describe` up to four lists and beyond 16; between, one on the counts alone, which says so. With
        counts that are only upper bounds, that the table is not judged.

    Raises
    ------
    CapabilityError
        If a list does not operate in some stratum.

    Examples
    --------
    >>> import hiddenpop as hp
    >>> closing_sentence(hp.datasets.load("hares"))[:56]
    'Judged by its counts alone, hares barely carries an esti'
    """
    if table.has_censored:
        return f"Whether {table.name} can carry an estimate is not judged: it has counts that are only upper bounds."
    data = list_cells(table, estimator="describe", minimum_lists=1)
    if data.n_lists <= FEW_MODELS_LISTS or data.n_lists > MAX_DENSE_LISTS:
        return describe(table).sentence
    lists, overlaps, frequencies = _what_lists_share(data)
    return sentence_of_counts(table.name, _figures(data, lists, overlaps, frequencies, None, ()))


def _fitted(data: ListCells) -> FittedModels:
    """Fit the models that so many lists allow to try."""
    return fit_closed_forms(data) if data.n_lists > MAX_DENSE_LISTS else fit_space(dense_counts(data))


def _withheld(data: ListCells) -> frozenset[Key]:
    """Name the figures of a table that is not public that must not leave."""
    if data.n_lists > MAX_DENSE_LISTS:
        return figures_but_observed(data.n_observed, data.lists)
    return withheld_figures(dense_counts(data).counts, data.lists)


def _what_lists_share(data: ListCells) -> tuple[pd.DataFrame, pd.DataFrame, tuple[int, ...]]:
    """List sizes, overlaps, and how many persons are on exactly 1, 2, ... lists."""
    counts = data.counts.astype(np.int64)
    on, times = decode(data.histories, data.n_lists).astype(np.int64), captures(data.histories)
    shared = on.T @ (on * counts[:, None])
    only = on[times == 1].T @ counts[times == 1]
    frequencies = np.zeros(data.n_lists + 1, dtype=np.int64)
    np.add.at(frequencies, times, counts)
    names = list(data.lists)
    lists = pd.DataFrame({"list": names, "persons": np.diag(shared), "only": only})
    return lists, pd.DataFrame(shared, index=names, columns=names), tuple(frequencies[1:].tolist())


def _spreads(models: FittedModels | None, n_observed: int) -> tuple[Spread, ...]:
    if models is None or not models.judged:
        return ()
    found = (spread_of(models, criterion, n_observed) for criterion in ("bic", "aic"))
    return tuple(spread for spread in found if spread is not None)


def _figures(
    data: ListCells,
    lists: pd.DataFrame,
    overlaps: pd.DataFrame,
    frequencies: tuple[int, ...],
    models: FittedModels | None,
    spreads: tuple[Spread, ...],
) -> Figures:
    pairs = [persons for _, persons in _pairs(overlaps)]
    relations = list_relations(data.histories, data.counts, data.n_lists)
    misfit, reach = _fit_of_best(data, spreads)
    status = models.status if models else np.array([], dtype="<U1")
    return Figures(
        n_lists=len(lists),
        n_twice=sum(frequencies[1:]),
        empty_share=sum(persons == 0 for persons in pairs) / len(pairs) if pairs else 0.0,
        coverage=float(1.0 - (lists["only"] / lists["persons"]).mean()),
        n_models=len(status),
        n_finite=int((status == "ok").sum()),
        independence_finite=bool(len(status)) and str(status[0]) == "ok",
        spread_ratio=spreads[0].ratio if spreads else 1.0,
        criteria_ratio=_criteria_ratio(spreads, sum(frequencies)),
        n_better=max((spread.n_better_without_answer for spread in spreads), default=0),
        own_coverage=relations.coverage_without,
        n_superfluous=len(relations.inside) + len(relations.copies),
        n_everybody=len(relations.everybody),
        misfit=misfit,
        reach=reach,
        independence_misfit=1.0
        if models is None or data.n_lists <= MAX_DENSE_LISTS
        else _misfit_of_many(data),
        judged=models is not None and models.judged,
        n_looked_at=models.n_looked_at if models else 0,
        n_space=models.n_space if models else 0,
    )


def _fit_of_best(cells: ListCells, spreads: tuple[Spread, ...]) -> tuple[float, float]:
    """Give the p-value of the fit of the best model by BIC, and how far the sizes reach that the data allow.

    Without models that were judged nothing is tested, and the reach is that of the sampling error: with m persons seen
    twice the dark figure has a relative standard error of about 1/sqrt(m).
    """
    if not spreads:
        twice = float(cells.counts[captures(cells.histories) > 1].sum())
        return 1.0, math.exp(2.0 * Z_95 / math.sqrt(twice)) if twice > 0.0 else math.inf
    bic, aic = spreads
    data = dense_counts(cells)
    model = HierarchicalModel.parse(bic.best_model, n_lists=data.n_lists)
    fit = fit_model(data.counts, terms_of(model), data.n_lists)
    limits, _ = model_interval(data, model, fit, 0.95, "profile", "")
    low, high = min(limits.low, bic.low, aic.best), max(limits.high, bic.high, aic.best)
    return misfit_p_value(model_details(data, model, fit, {}, None)), high / low


def _misfit_of_many(data: ListCells) -> float:
    """Give the p-value of the fit of independence to more lists than a table of all cells can have."""
    groups = [free_group([i]) for i in range(data.n_lists)]
    fit = fit_groups(data.histories, data.counts, groups)
    goodness = goodness_of_filled(data, fit.means, fit.deviance, fit.rank, fit.by_captures)
    return misfit_p_value({"goodness_of_fit": goodness, "cells": None})


def _criteria_ratio(spreads: tuple[Spread, ...], n_observed: int) -> float:
    """Ratio of the dark figures of the best models by BIC and by AIC."""
    dark = sorted(spread.best - n_observed for spread in spreads)
    if not dark or dark[-1] == 0.0:
        return 1.0
    return dark[-1] / dark[0] if dark[0] > 0.0 else math.inf


def _pairs(overlaps: pd.DataFrame) -> list[tuple[tuple[str, str], int]]:
    names, shared = list(overlaps.columns), overlaps.to_numpy()
    return [
        ((names[i], names[j]), int(shared[i, j])) for i in range(len(names)) for j in range(i + 1, len(names))
    ]


def _counts_for_json(description: TableDescription, withheld: frozenset[Key]) -> dict[str, Any]:
    """Write the numbers of people, and what follows from them, with the mark in place of what is withheld."""
    d = description
    veiled = _veiled(withheld)

    def told(value: int, *key: str) -> int | str:
        return MARK if key in withheld else value

    return {
        "n_observed": told(d.n_observed, "observed"),
        "lists": [
            {"list": a, "persons": told(int(n), "total", a), "only": told(int(only), "only", a)}
            for a, n, only in d.lists.itertuples(index=False)
        ],
        "overlaps": [
            {"lists": [a, b], "persons": told(n, "overlap", a, b)} for (a, b), n in _pairs(d.overlaps)
        ],
        "empty_overlaps": to_jsonable(d.empty_overlaps),
        "capture_frequencies": [
            told(n, "seen", str(k)) for k, n in enumerate(d.capture_frequencies, start=1)
        ],
        "n_twice": told(d.n_twice, "twice"),
        "share_seen_once": MARK if "n_twice" in veiled else d.share_seen_once,
        "sample_coverage": MARK if "coverage" in veiled else d.sample_coverage,
    }


def _veiled(withheld: frozenset[Key]) -> frozenset[str]:
    """Fields of `Figures` that would give away what is withheld."""
    kinds = {key[0] for key in withheld}
    twice = {"n_twice"} if ("twice",) in withheld or ("seen", "1") in withheld else set()
    coverage = {"coverage", "own_coverage"} if kinds & {"total", "only"} else set()
    ratios = {"spread_ratio", "criteria_ratio", "reach"} if twice else set()
    misfit = {"misfit", "independence_misfit"} if kinds else set()
    return frozenset(twice | coverage | ratios | misfit)


def _spread_for_json(spread: Spread, *, hide: bool) -> dict[str, Any]:
    plain: dict[str, Any] = to_jsonable(spread)
    return {**plain, **dict.fromkeys(("best", "low", "high", "ratio"), MARK)} if hide else plain
