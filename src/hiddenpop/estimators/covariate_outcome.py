"""From a fitted model of lists and covariates to an `Estimate`, with its bootstrap and its strata."""

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from hiddenpop._typing import Floats, Ints
from hiddenpop.errors import HiddenpopWarning
from hiddenpop.estimators.cell_space import check_structural_zeros
from hiddenpop.estimators.covariate_design import CovariateDesign, ModelCells, covariate_design, neighbours
from hiddenpop.estimators.covariate_formula import (
    CovariateModel,
    check_coding,
    check_level_order,
    factor_label,
    joint_coding,
    model_of_table,
)
from hiddenpop.estimators.loglinear import PROTECTED
from hiddenpop.estimators.outcome import (
    DEVIANCE_ROUNDING,
    IMPLAUSIBLE_RATIO,
    REASONS,
    RESIDUAL_ROUNDING,
    criteria_of,
    goodness_of_fit,
    limits_from_variance,
    misfit_remarks,
)
from hiddenpop.histories import bit_positions, decode
from hiddenpop.kernels.poisson.composite_link import CompositeFit
from hiddenpop.kernels.poisson.hidden_cells import NO_TAIL, HiddenFit, SilentTail, silent_tail
from hiddenpop.kernels.poisson.model_fit import saturated_constant
from hiddenpop.kernels.poisson.profile import mid_p_drop
from hiddenpop.kernels.resampling.bootstrap_limits import bootstrap_limits
from hiddenpop.kernels.resampling.counts import draw_parametric, draw_poisson
from hiddenpop.parallel import block_slices, run_blocks, spawn_seeds
from hiddenpop.provenance import make_provenance
from hiddenpop.result import OF_EXPECTED_SIZES, Diagnostic, Estimate, EstimatorSpec, Interval, Status
from hiddenpop.table import CaptureTable, RNGLike

__all__ = ["CovariateInterval", "LimitsOf", "estimate_of_covariate_model", "passive_covariates"]

CovariateInterval = Literal["bootstrap", "lognormal"]
LimitsOf = Literal["persons", "expected"]
Fit: TypeAlias = HiddenFit | CompositeFit

BLOCK, BLOCK_NUMBERS = 100, 4_000_000
"""Replicates a block, fewer where tables are large; they depend on the table alone, and so do the random numbers."""

NO_LIMITS = "none: from the number observed to infinity"
OF_EXPECTED = "limits of strata are for the number expected there, and wider than those for the persons in it"
SMALLEST_DARK_FIGURE = 1e-100
"""Below it the square of a relative error overflows."""

MOST_SUBSETS = 2**12
"""Every set of up to twelve covariates is tried; of more, sets that grow one covariate at a time."""


@dataclass(frozen=True, slots=True)
class Replicates:
    """Replicates of a table, refitted.

    Attributes
    ----------
    sizes : ndarray, shape (b, h)
        Of each stratum: inf where unbounded, nan where unknown.
    deviances : ndarray, shape (b,)
    """

    sizes: Floats
    deviances: Floats


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of replicates: what to draw from, the model to refit, and what the limits are for."""

    cells: ModelCells
    means: Floats
    hidden_persons: float
    observed: Floats
    stratum_of: Ints
    start: Floats
    limits_of: LimitsOf
    size: int
    rng: np.random.Generator


def estimate_of_covariate_model(
    spec: EstimatorSpec,
    table: CaptureTable,
    design: CovariateDesign,
    model: CovariateModel,
    cells: ModelCells,
    fit: Fit,
    *,
    level: float,
    interval: CovariateInterval,
    limits_of: LimitsOf,
    n_boot: int,
    rng: RNGLike,
    known: str = "model taken as known",
    diagnostics: tuple[Diagnostic, ...] = (),
    extra: dict[str, object] | None = None,
) -> Estimate:
    """Make the estimate that follows from one fitted model.

    Parameters
    ----------
    spec : EstimatorSpec
    table : CaptureTable
        As it was given to the estimator.
    design : CovariateDesign
    model : CovariateModel
        Over the factors of the design.
    cells : ModelCells
        Of the model.
    fit : HiddenFit or CompositeFit
        Of the cells.
    level : float
    interval : {"bootstrap", "lognormal"}
    limits_of : {"persons", "expected"}
        What limits of a stratum from a bootstrap are for.
    n_boot : int
    rng : int, Generator or None
    known : str
        What the interval takes as known.
    diagnostics : tuple of Diagnostic
        Besides those of design and fit.
    extra : dict, optional
        Further details.

    Returns
    -------
    Estimate
    """
    provenance = make_provenance(table.summary, rng)
    status: Status = fit.status if fit.converged else "not_converged"
    replicates = None
    if interval == "bootstrap" and status == "ok":
        replicates = _bootstrap(design, cells, fit, limits_of, n_boot, rng, f"bootstrap of {table.name}")
    limits, notes = _interval(design, cells, fit, status, replicates, limits_of, level, known)
    modelled = bool(design.strata.shape[1])
    draws = None if replicates is None else replicates.sizes.sum(axis=1)
    details = _details(design, model, cells, fit, replicates)
    return Estimate(
        n_hat=_n_hat(design, fit, status),
        n_observed=design.n_observed,
        interval=limits,
        status=status,
        reason=_reason(fit, status),
        estimator=spec,
        table=table.summary,
        n_failed=0 if draws is None else int(np.sum(~np.isfinite(draws))),
        diagnostics=(
            *misfit_remarks(details),
            *design.diagnostics,
            *_remarks(design, fit, status),
            *notes,
            *diagnostics,
        ),
        draws=draws,
        draws_are="" if draws is None else "bootstrap",
        stratum_draws=replicates.sizes if replicates is not None and modelled else None,
        by_stratum=_strata_frame(design, cells, fit, replicates, level) if modelled else pd.DataFrame(),
        provenance=provenance,
        details={**details, **(extra or {})},
        protected=PROTECTED if design.has_small else (),
    )


def _n_hat(design: CovariateDesign, fit: Fit, status: Status) -> float:
    if status == "ok":
        return design.n_observed + float(fit.hidden_means.sum())
    return {"boundary": float(design.n_observed), "unbounded": math.inf}.get(status, math.nan)


def _reason(fit: Fit, status: Status) -> str:
    """Say why there is no ordinary estimate, and in how many strata."""
    reason = REASONS.get(status, "")
    if status == "not_identified" and isinstance(fit, CompositeFit) and fit.reason:
        reason = f"{reason}: {fit.reason}"
    here = int(np.sum(fit.hidden_status == status))
    if len(fit.hidden_status) == 1 or not reason or status in ("boundary", "not_converged"):
        return reason
    return f"{reason}; so in {here} of {len(fit.hidden_status)} strata"


# --- the bootstrap ----------------------------------------------------------------------------------------------------


def _bootstrap(
    design: CovariateDesign,
    cells: ModelCells,
    fit: Fit,
    limits_of: LimitsOf,
    n_boot: int,
    rng: RNGLike,
    label: str,
) -> Replicates:
    """Draw tables from the fitted model, and fit the same model again."""
    slices = block_slices(n_boot, max(1, min(BLOCK, BLOCK_NUMBERS // len(design.counts))))
    places = np.searchsorted(design.hidden_stratum, design.stratum_of).astype(np.int64)
    children = spawn_seeds(rng, len(slices) + 1)
    tasks = [
        _Block(
            cells,
            fit.means,
            float(fit.hidden_means.sum()),
            design.observed_by_stratum(),
            places,
            fit.coefficients,
            limits_of,
            cut.stop - cut.start,
            child,
        )
        for cut, child in zip(slices, children, strict=False)
    ]
    done = run_blocks(replicates_of, tasks, label=label)
    sizes = np.concatenate([block.sizes for block in done])
    if limits_of == "persons":
        for place, tail in _silent_tails(design, cells, fit).items():
            sizes[:, place] += tail.draw(n_boot, children[-1])
    return Replicates(sizes, np.concatenate([block.deviances for block in done]))


def _silent_tails(design: CovariateDesign, cells: ModelCells, fit: Fit) -> dict[int, SilentTail]:
    """Say how many may be hidden in each stratum where the data push the dark figure to 0."""
    silent = np.flatnonzero(fit.hidden_status == "boundary").tolist()
    if cells.summed is not None:  # sums of cells leave it open
        return dict.fromkeys(silent, NO_TAIL)
    counts = design.counts.astype(np.float64)
    return {
        place: silent_tail(cells.design, cells.hidden, counts, place, cells.offset, cells.multiplier)
        for place in silent
    }


def replicates_of(block: _Block) -> Replicates:
    """Draw and refit one block of replicates."""
    return _of_persons(block) if block.limits_of == "persons" else _of_expected_sizes(block)


def _of_persons(block: _Block) -> Replicates:
    """Add to the persons observed as many hidden ones as a replicate says there may be.

    The hidden persons of a stratum are a Poisson count, of a mean that is known as well as the replicates agree on it:
    both go into the spread, so that it is that of the persons, in a stratum as in a sum of strata.
    """
    tables = block.rng.poisson(block.means, size=(block.size, len(block.means)))
    refits = block.cells.refit(tables.astype(np.float64), block.start)
    return Replicates(block.observed + _hidden_persons(refits.hidden_means, block.rng), refits.deviances)


def _hidden_persons(means: Floats, rng: np.random.Generator) -> Floats:
    """Draw Poisson counts; a mean that is unbounded or unknown stays so."""
    finite = np.isfinite(means)
    return np.where(finite, draw_poisson(np.where(finite, means, 0.0), rng), means)


def _of_expected_sizes(block: _Block) -> Replicates:
    """Draw whole populations of one size, leave out the hidden, and estimate each stratum again.

    A stratum has other persons in every replicate, so that the spread of its size is that of an expected size. The
    persons in all strata together are the same in every replicate.
    """
    fitted = np.insert(block.means, 0, block.hidden_persons)
    tables = draw_parametric(fitted, float(fitted.sum()), block.size, block.rng)[:, 1:]
    refits = block.cells.refit(tables.astype(np.float64), block.start)
    n_strata = len(block.cells.hidden)
    seen = [np.bincount(block.stratum_of, row, minlength=n_strata) for row in tables]
    return Replicates(np.array(seen, dtype=np.float64) + refits.hidden_means, refits.deviances)


# --- intervals --------------------------------------------------------------------------------------------------------


def _interval(
    design: CovariateDesign,
    cells: ModelCells,
    fit: Fit,
    status: Status,
    replicates: Replicates | None,
    limits_of: LimitsOf,
    level: float,
    known: str,
) -> tuple[Interval, list[Diagnostic]]:
    """Interval of the total, and what there is to say of it."""
    n = design.n_observed
    if status != "ok":
        return Interval(n, math.inf, level, NO_LIMITS), []
    n_hat = _n_hat(design, fit, status)
    if replicates is None:
        low, high = _delta_limits(cells, fit, level)[0]
        hidden = n_hat - n
        high = hidden + _widened(high - hidden, _silent_limits(design, cells, fit, level))
        return Interval(n + low, n + high, level, f"log-normal, {known}"), []
    limits = bootstrap_limits(replicates.sizes.sum(axis=1), n_hat, n, level=level, method="percentile")
    notes = [Diagnostic("bootstrap_limits", "info", note) for note in limits.notes]
    if limits_of == "expected" and design.strata.shape[1]:
        notes.append(Diagnostic(OF_EXPECTED_SIZES, "info", OF_EXPECTED))
    if not limits.low <= n_hat <= limits.high:
        message = "the replicates lie nearly all on one side of the estimate, so neither is a good guide"
        notes.append(Diagnostic("estimate_outside_interval", "warning", message))
    return Interval(limits.low, limits.high, level, f"percentile parametric bootstrap, {known}"), notes


def _silent_limits(design: CovariateDesign, cells: ModelCells, fit: Fit, level: float) -> dict[int, float]:
    """Upper mid-P limit of the persons hidden in each stratum where the data push the dark figure to 0."""
    rise = np.array([mid_p_drop(0.0, level)])
    tails = _silent_tails(design, cells, fit)
    return {place: float(tail.at(rise)[0]) for place, tail in tails.items()}


def _widened(above: float, silent: dict[int, float]) -> float:
    """Distance of an upper limit from the estimate, with what may be hidden in strata at the boundary.

    The deviance of the total is ``(x / above)^2`` for the part with an estimate and rises in a straight line for a
    stratum at the boundary; the largest sum at a given rise is the widest stratum and ``above^2 / 4`` of it, where that
    is more than `above`.
    """
    widest = max(silent.values(), default=0.0)
    if math.isinf(widest):
        return math.inf
    return widest + above**2 / (4.0 * widest) if widest > above / 2.0 else above


def _delta_limits(
    cells: ModelCells, fit: Fit, level: float
) -> tuple[tuple[float, float], list[tuple[float, float]]]:
    """Log-normal limits of the dark figure in total and in each stratum; 0 to infinity without a positive one."""
    ok = (fit.hidden_status == "ok") & (fit.hidden_means > SMALLEST_DARK_FIGURE)
    means = np.where(ok, fit.hidden_means, 0.0)
    rows = cells.gradient(fit)
    spread = rows @ fit.estimable_covariance
    variances = np.maximum(np.einsum("ij,ij->i", spread, rows), 0.0)
    weights = means @ rows
    whole = float(weights @ fit.estimable_covariance @ weights)
    total = _log_normal(float(means.sum()), max(whole, 0.0), level)
    each = zip(ok, means.tolist(), (means**2 * variances).tolist(), strict=True)
    return total, [_log_normal(n0, var, level) if fine else (0.0, math.inf) for fine, n0, var in each]


def _log_normal(n0: float, variance_of_mean: float, level: float) -> tuple[float, float]:
    """Log-normal limits from the variance of the fitted mean, with the Poisson variation of the dark figure added."""
    if n0 <= 0.0:
        return 0.0, math.inf
    return limits_from_variance(n0, math.sqrt(n0 + variance_of_mean), math.nan, level, "lognormal")


def _strata_frame(
    design: CovariateDesign,
    cells: ModelCells,
    fit: Fit,
    replicates: Replicates | None,
    level: float,
) -> pd.DataFrame:
    """One row a stratum that can hold somebody, with its own status."""
    observed = design.observed_by_stratum()
    status = fit.hidden_status if fit.converged else np.full(len(observed), "not_converged")
    n_hat = observed + (fit.hidden_means if fit.converged else np.full(len(observed), math.nan))
    if replicates is None:
        silent = _silent_limits(design, cells, fit, level)
        limits = [
            (n + low, n + high) if word == "ok" else (n, n + silent.get(place, math.inf))
            for place, (n, word, (low, high)) in enumerate(
                zip(observed.tolist(), status, _delta_limits(cells, fit, level)[1], strict=True)
            )
        ]
    else:
        limits = [
            _percentiles(replicates.sizes[:, i], n_hat[i], observed[i], level) for i in range(len(observed))
        ]
    frame = design.strata.iloc[design.hidden_stratum].reset_index(drop=True)
    return frame.assign(
        n_observed=observed.astype(np.int64),
        n_hat=n_hat,
        low=[low for low, _ in limits],
        high=[high for _, high in limits],
        status=[str(word) for word in status],
    )


def _percentiles(sizes: Floats, n_hat: float, n_observed: float, level: float) -> tuple[float, float]:
    limits = bootstrap_limits(sizes, n_hat, round(n_observed), level=level, method="percentile")
    return limits.low, limits.high


# --- remarks and details ----------------------------------------------------------------------------------------------


def _remarks(design: CovariateDesign, fit: Fit, status: Status) -> list[Diagnostic]:
    found = []
    hidden = float(fit.hidden_means.sum()) if status == "ok" else 0.0
    if hidden > IMPLAUSIBLE_RATIO * design.n_observed:
        message = "the dark figure is more than a million times the observed: far outside what data can tell"
        found.append(Diagnostic("implausibly_large", "warning", message, hidden / design.n_observed))
    off = int(np.sum(~fit.on_face))
    if off:
        message = (
            f"the maximum lies on a face: the fitted count is 0 in {off} empty cells, some terms are infinite"
        )
        found.append(Diagnostic("face", "info", message, off))
    if isinstance(fit, CompositeFit):
        message = (
            "some counts are sums, where a list did not operate, and not log-linear: the maximum is numerical"
        )
        found.append(Diagnostic("numerical_maximum", "info", message))
    at_zero = int(np.sum(fit.hidden_status == "boundary"))
    if at_zero and status == "ok":
        message = (
            f"in {at_zero} of {len(fit.hidden_status)} strata the data push the dark figure to 0: their upper limits "
            f"say how many may be hidden there all the same"
        )
        found.append(Diagnostic("boundary_strata", "warning", message, at_zero))
    return found


def _details(
    design: CovariateDesign, model: CovariateModel, cells: ModelCells, fit: Fit, replicates: Replicates | None
) -> dict[str, Any]:
    """Collect what a reader of one fitted model asks for."""
    n_parameters = cells.n_parameters(fit)
    minus_twice = np.array([fit.deviance + saturated_constant(np.insert(design.counts, 0, 0.0))])
    criteria = criteria_of(minus_twice, [n_parameters], design.n_observed)
    frame = _cell_frame(design, fit)
    return {
        "model": model.formula(),
        "formula": model.formula(),
        "coding": {
            name: coding if isinstance(coding, str) else dict(coding)
            for name, coding in design.coding.items()
        },
        "levels": {name: list(levels) for name, levels in design.levels.items()},
        "dropped_lists": list(design.dropped),
        "coefficients": _coefficient_frame(design, model, fit),
        "n_parameters": n_parameters,
        "deviance": fit.deviance,
        "criteria": {name: float(value[0]) for name, value in criteria.items()},
        "goodness_of_fit": _goodness(frame, fit, replicates),
        "cells": frame,
        "passive_covariates": passive_frame(model, design),
    }


def _goodness(cells: pd.DataFrame, fit: Fit, replicates: Replicates | None) -> dict[str, Any]:
    """Judge the fit; where chi-square does not hold, by the deviances of the replicates."""
    if replicates is None:
        return goodness_of_fit(cells, fit.deviance, fit.rank)
    worse = int(np.sum(replicates.deviances >= fit.deviance - DEVIANCE_ROUNDING))
    size = len(replicates.deviances)
    return goodness_of_fit(cells, fit.deviance, fit.rank, lambda: ((1 + worse) / (1 + size), size))


def _cell_frame(design: CovariateDesign, fit: Fit) -> pd.DataFrame:
    """Observed and fitted counts of every observable cell, with Pearson residuals on the face."""
    on = fit.on_face
    residual = np.zeros(len(design.counts))
    residual[on] = (design.counts[on] - fit.means[on]) / np.sqrt(fit.means[on])
    residual[np.abs(residual) < RESIDUAL_ROUNDING] = 0.0
    bits = decode(design.histories, len(design.lists))
    strata = design.strata.iloc[design.stratum_of]
    return pd.DataFrame(
        {
            **dict(zip(design.lists, bits.T, strict=True)),
            **{str(name): strata[name].to_numpy() for name in strata.columns},
            "count": design.counts.astype(np.int64),
            "fitted": fit.means,
            "residual": residual,
            "on_face": on,
        }
    )


def _coefficient_frame(design: CovariateDesign, model: CovariateModel, fit: Fit) -> pd.DataFrame:
    terms = ["intercept", *(model.label(term) for term in model.terms)]
    widths = [1, *(design.width(term) for term in model.terms)]
    return pd.DataFrame(
        {
            "term": np.repeat(terms, widths),
            "column": design.labels(model.terms),
            "estimate": fit.coefficients,
            "standard_error": np.sqrt(np.diag(fit.covariance)),
            "note": [_coefficient_note(value) for value in fit.coefficients],
        }
    )


def _coefficient_note(value: float) -> str:
    if value == -math.inf:
        return "minus infinity: nobody is there"
    return "not determined by the data" if math.isnan(value) else ""


# === which covariates may be left out of a model without changing the size of the population ==========================


def passive_covariates(
    model: str,
    table: CaptureTable,
    *,
    coding: Mapping[str, Any] | Sequence[tuple[str, Any]] = (),
    levels: Mapping[str, Sequence[str]] | Sequence[tuple[str, Sequence[str]]] = (),
    combinations: str = "crossed",
    structural_zeros: str | Sequence[str] = (),
) -> pd.DataFrame:
    """Tell which covariates of a model are passive: the size of the population is the same without them.

    Parameters
    ----------
    model : str
        As for `CovariateLogLinear`, like the settings that follow.
    table : CaptureTable
    coding, levels : mapping or tuple of pairs
    combinations : {"crossed", "observed"}
    structural_zeros : sequence of str

    Returns
    -------
    DataFrame
        ``covariate``; ``role``, which is ``"active"``, ``"passive"``, or ``"left out"`` of a covariate that is not in
        the model or that does not vary; and ``why``.

    Raises
    ------
    ModelError
        If the model cannot be read, is not hierarchical, or leaves a list out.
    UnknownNameError, CapabilityError, TableError, SettingError
        As for `CovariateLogLinear.fit`.

    Notes
    -----
    Draw a line between any two lists or covariates that a term joins. A set of covariates may be added up without
    changing what the model says of the rest when what surrounds each of its connected parts lies inside one term
    (Asmussen & Edwards 1983), and the covariates there have a coefficient for each level: then the sum over the set is
    a model of the rest in which nothing is missing. The passive covariates are the largest such set. All of them
    together, and any choice from them, may be left out: the estimate of N is the same, as far as it exists, and so are
    those of the subgroups by other covariates when all are left out. They are needed only to give N by their own levels
    (van der Heijden et al. 2012).

    Structural zeros draw lines too. So does a list that does not operate everywhere: it joins all that it interacts
    with and the covariates that its coverage depends on, and these are active in any case. With such lines the rule
    is safe, but may call a covariate active whose absence would change nothing.

    References
    ----------
    Asmussen, S. and Edwards, D. (1983). Collapsibility and response variables in contingency tables. Biometrika 70(3),
    567-578. doi:10.1093/biomet/70.3.567
    van der Heijden, P. G. M., Whittaker, J., Cruyff, M., Bakker, B. and van der Vliet, R. (2012). People born in the
    Middle East but residing in the Netherlands: invariant population size estimates and the role of active and passive
    covariates. Annals of Applied Statistics 6(3), 831-852. doi:10.1214/12-AOAS536

    Examples
    --------
    >>> import hiddenpop as hp
    >>> births = hp.datasets.load("spina_bifida")
    >>> passive_covariates("S1*eth + S2*S3", births)["role"].tolist()
    ['passive']
    >>> passive_covariates("S1*eth + S2*eth + S2*S3", births)["why"].tolist()
    ['stands between S1 and S2, which no term joins']
    """
    whole = model_of_table(model, table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HiddenpopWarning)
        design = covariate_design(
            table,
            covariates=whole.covariates,
            coding=joint_coding(check_coding(coding), whole),
            levels=check_level_order(levels),
            combinations=combinations,
            structural_zeros=check_structural_zeros(structural_zeros, "lists or levels"),
            estimator="passive_covariates",
        )
    return passive_frame(whole.onto(design.factors), design, tuple(map(str, table.strata.columns)))


def passive_frame(
    model: CovariateModel, design: CovariateDesign, covariates: Sequence[str] = ()
) -> pd.DataFrame:
    """Table the covariates of a fitted model, and others that are left out."""
    links = _links(model, design)
    passive = links.largest()
    rows = []
    for name in dict.fromkeys([*map(str, design.strata.columns), *covariates]):
        if name not in design.covariates:
            why = "everybody has one level of it" if name in design.levels else "not in the model"
            rows.append((name, "left out", why))
            continue
        bit = 1 << design.factors.index(name)
        role = "passive" if passive & bit else "active"
        rows.append((name, role, links.why(passive, bit)))
    return pd.DataFrame(rows, columns=["covariate", "role", "why"], dtype=object)


@dataclass(frozen=True, slots=True)
class _Links:
    """What joins the factors of a model, each set of them a bit mask.

    Attributes
    ----------
    factors : tuple of str
    n_lists : int
    generators : tuple of int
        Of the model: a set inside one is saturated.
    edges : tuple of int
        Generators, combinations that cannot be, and what the gaps of a list join.
    coarse : int
        Covariates whose columns do not give each level a coefficient.
    limits : dict of int to str
        Covariates that the coverage of a list depends on, with the name of the list.
    """

    factors: tuple[str, ...]
    n_lists: int
    generators: tuple[int, ...]
    edges: tuple[int, ...]
    coarse: int
    limits: dict[int, str]

    def around(self, part: int) -> int:
        """Give what the edges join with a set of factors."""
        return reduce(or_, (edge for edge in self.edges if edge & part), 0) & ~part

    def component(self, chosen: int, bit: int) -> int:
        """Give the connected part of a set of factors that holds one of them."""
        part = bit
        while (wider := part | self.around(part) & chosen) != part:
            part = wider
        return part

    def parts(self, chosen: int) -> Iterator[int]:
        """Yield the connected parts of a set of factors."""
        while chosen:
            part = self.component(chosen, chosen & -chosen)
            yield part
            chosen &= ~part

    def fault(self, boundary: int) -> str:
        """Say why the model of a boundary is not saturated; nothing where it is."""
        coarse = boundary & self.coarse
        if coarse:
            return f"touches {self._names(coarse)}, whose columns give not every level a coefficient"
        if not boundary or any(boundary & term == boundary for term in self.generators):
            return ""
        for one, other in itertools.combinations(bit_positions(boundary), 2):
            pair = 1 << one | 1 << other
            if not any(pair & term == pair for term in self.generators):
                return f"stands between {self.factors[one]} and {self.factors[other]}, which no term joins"
        return f"stands between {self._names(boundary)}, which no single term joins"

    def may_go(self, chosen: int) -> bool:
        """Whether a set of covariates may be added up."""
        if any(bit & chosen for bit in self.limits):
            return False
        return not any(self.fault(self.around(part)) for part in self.parts(chosen))

    def largest(self) -> int:
        """Give the largest set of covariates that may be added up."""
        bits = [1 << i for i in range(self.n_lists, len(self.factors))]
        if 2 ** len(bits) <= MOST_SUBSETS:
            sizes = range(len(bits), 0, -1)
            every = (sum(chosen) for size in sizes for chosen in itertools.combinations(bits, size))
            return next((chosen for chosen in every if self.may_go(chosen)), 0)
        chosen = sum(bits)
        if self.may_go(chosen):
            return chosen
        chosen = 0
        while found := [bit for bit in bits if not chosen & bit and self.may_go(chosen | bit)]:
            chosen |= found[0]
        return chosen

    def why(self, passive: int, bit: int) -> str:
        """Say in words what makes a covariate active or passive."""
        if bit in self.limits:
            return f"{self.limits[bit]} operates only in some of its levels"
        part = self.component(passive | bit, bit)
        boundary = self.around(part)
        if not passive & bit:
            return self.fault(boundary) or self.fault(self.around(bit))
        with_others = f"together with {self._names(part & ~bit)} " if part != bit else ""
        if not boundary:
            return f"{with_others}touches nothing else"
        joined = ", which one term joins" if boundary.bit_count() > 1 else ""
        return f"{with_others}touches only {factor_label(self.factors, boundary)}{joined}"

    def _names(self, part: int) -> str:
        names = [self.factors[i] for i in bit_positions(part)]
        return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])


def _links(model: CovariateModel, design: CovariateDesign) -> _Links:
    """Read off a model and the cells that exist what joins the factors."""
    place = {name: 1 << i for i, name in enumerate(design.factors)}
    zeros = [sum(place[name] for name in set(zero.factors) if name in place) for zero in design.zeros]
    gaps = [neighbours(design, model.terms, 1 << i) | 1 << i for i in bit_positions(design.sometimes_absent)]
    return _Links(
        factors=design.factors,
        n_lists=len(design.lists),
        generators=model.generators,
        edges=tuple({*model.generators, *zeros, *gaps, sum(place[name] for name in _coupled(design))} - {0}),
        coarse=sum(place[name] for name in design.covariates if not design.blocks[name].saturated),
        limits={place[rule.covariate]: rule.list for rule in design.coverage if rule.covariate in place},
    )


def _coupled(design: CovariateDesign) -> list[str]:
    """Covariates whose levels do not occur in every combination with the others, as far as strata are laid out."""
    if design.crossed:
        return []  # what is missing then is a structural zero
    strata = design.strata[list(design.covariates)]
    found = []
    for name in design.covariates:
        others = strata.drop(columns=name).drop_duplicates()
        if len(others.columns) and len(others) * len(design.levels[name]) > len(strata):
            found.append(name)
    return found
