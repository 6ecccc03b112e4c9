"""Lists left out and merged: the table that results, and the same estimator on it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import Any

from hiddenpop.estimators.covariate_formula import model_of_table
from hiddenpop.estimators.covariate_loglinear import CovariateLogLinear
from hiddenpop.estimators.dependence import OddsRatios
from hiddenpop.estimators.loglinear import LogLinear, model_for
from hiddenpop.histories import bit_positions
from hiddenpop.model import HierarchicalModel
from hiddenpop.sensitivity.needs import has_setting, setting_of, with_settings
from hiddenpop.table import CaptureTable

__all__ = ["Blocks", "joined_name", "regrouped", "regrouped_estimator"]

Blocks = tuple[tuple[str, ...], ...]
"""Lists in groups, each group one list of a new table; lists in no group are left out."""


def joined_name(block: Sequence[str]) -> str:
    """Name the list that holds everybody who is on any of these."""
    return " or ".join(block)


def regrouped(table: CaptureTable, blocks: Blocks) -> CaptureTable:
    """Make each group of lists one list, and leave out the lists in no group.

    Examples
    --------
    >>> from hiddenpop import CaptureTable
    >>> table = CaptureTable.from_memberships([["a"], ["a", "b"], ["c"]])
    >>> regrouped(table, (("a", "c"), ("b",))).list_totals.to_dict()
    {'a or c': 3, 'b': 1}
    """
    kept = {name for block in blocks for name in block}
    gone = [name for name in table.lists if name not in kept]
    smaller = table.drop_list(*gone) if gone else table
    merged = {joined_name(block): block for block in blocks if len(block) > 1}
    return smaller.merge_lists(merged) if merged else smaller


def regrouped_estimator(estimator: Any, table: CaptureTable, blocks: Blocks) -> Any:
    """Take what an estimator, itself or in a wrapper, says of single lists along to the groups of lists.

    The model of a `LogLinear` or `CovariateLogLinear` keeps the interactions of lists that remain, each one of the
    whole group. A fixed odds
    ratio stays between the groups of its two lists, and goes where these are one or a list is left out.
    """
    if has_setting(estimator, "odds_ratios"):
        estimator = with_settings(
            estimator, odds_ratios=_ratios(setting_of(estimator, "odds_ratios"), blocks)
        )
    inner = estimator
    while inner is not None and not isinstance(inner, LogLinear | CovariateLogLinear):
        inner = getattr(inner, "base", None)
    if inner is None:
        return estimator
    ordered = _in_order(table, blocks)
    if isinstance(inner, LogLinear):
        return with_settings(estimator, model=_regrouped_model(inner.model, table, ordered))
    return with_settings(estimator, model=_regrouped_formula(inner.model, table, ordered))


def _regrouped_model(
    model: str | HierarchicalModel, table: CaptureTable, ordered: Sequence[tuple[str, ...]]
) -> HierarchicalModel:
    place = {name: 1 << at for at, block in enumerate(ordered) for name in block}
    generators = model_for(model, table).generators
    image = [_image(term, [place.get(name, 0) for name in table.lists]) for term in generators]
    return HierarchicalModel(len(ordered), tuple(term for term in image if term))


def _regrouped_formula(formula: str, table: CaptureTable, ordered: Sequence[tuple[str, ...]]) -> str:
    whole = model_of_table(formula, table)
    place = {name: 1 << at for at, block in enumerate(ordered) for name in block}
    covariates = whole.factors[whole.n_lists :]
    bits = [place.get(name, 0) for name in whole.factors[: whole.n_lists]]
    bits += [1 << len(ordered) + at for at in range(len(covariates))]
    terms = {_image(term, bits) for term in whole.terms} - {0}
    lists = tuple(joined_name(block) for block in ordered)
    factors = (*lists, *covariates)
    return replace(whole, factors=factors, n_lists=len(lists), terms=tuple(terms)).formula()


def _image(term: int, bits: Sequence[int]) -> int:
    """Map the bits of a term, several onto one where lists are merged, to none where one is left out."""
    return reduce(or_, (bits[i] for i in bit_positions(term)), 0)


def _ratios(ratios: OddsRatios, blocks: Blocks) -> OddsRatios:
    """Fix odds ratios between groups of lists; of two that come to stand between the same groups, the first."""
    group = {name: joined_name(block) for block in blocks for name in block}
    kept: dict[frozenset[str], tuple[str, str, float]] = {}
    for first, second, psi in ratios:
        ends = group.get(first), group.get(second)
        if ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
            kept.setdefault(frozenset(ends), (ends[0], ends[1], psi))  # type: ignore[arg-type]
    return tuple(kept.values())


def _in_order(table: CaptureTable, blocks: Blocks) -> list[tuple[str, ...]]:
    """Sort groups as they stand in the new table, each where its first part stood."""
    return sorted(blocks, key=lambda block: min(table.lists.index(name) for name in block))
